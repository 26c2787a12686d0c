"""The printed formulas, tied to code: formulas.toml read, values drawn, each statement checked.

An entry of formulas.toml draws numbers at random and binds the letters of a formula to what code of
the book, or an independent computation, makes of them. Then the formula must hold as it is printed:

    =  \\leftarrow     both sides agree; what an arrow gives is bound with ``new`` before its name
    \\approx  \\to     the relative error falls with the ``order`` of what is ``small``
    <  \\le  >  \\ge   true where ``truth`` is; or always, and ``equal`` reaches equality
    \\propto          the sides' ratio is the same for all values of the index
"""

import ast
import itertools
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq, minimize, minimize_scalar

import l2lib
from book.execute import read_source
from book.names import Names as NamesOf
from tests.formulas import (
    Formula,
    Names,
    Over,
    Side,
    Statement,
    UnreadableError,
    printed,
    statements,
    twin,
)
from tests.needed import needed, run

ROWS = tomllib.loads((Path(__file__).parent / "formulas.toml").read_text(encoding="utf-8"))
FINER = 1 / 16  # the second scale of what is small
CHAPTERS = tuple(range(12))


@dataclass(frozen=True)
class Entry:
    """An entry of formulas.toml, whose head says what each key is."""

    tag: str = ""
    chapter: int = 0
    after: str = ""
    by: str = ""
    untied: str = ""
    uses: tuple[str, ...] = ()
    draws: int = 3
    draw: dict[str, list[float]] = field(default_factory=dict)
    code: str = ""
    only: tuple[int, ...] = ()
    said: tuple[int, ...] = ()
    each: str = ""
    small: dict[str, float] = field(default_factory=dict)
    order: float = 0
    truth: str = ""
    equal: str = ""
    pairs: tuple[int, ...] = ()
    about: float = 0
    nearly: tuple[int, ...] = ()
    moves: tuple[int, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    rtol: float = 1e-9
    atol: float = 1e-12
    wrong: tuple[str, ...] = ()
    survives: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What a failing test calls it."""
        part = f"/{','.join(map(str, self.only))}" if self.only else ""
        return (f"({self.tag})" if self.tag else f"{self.chapter}: {self.after}") + part

    @property
    def home(self) -> int:
        """The chapter that prints it."""
        return self.chapter or int(self.tag.partition(".")[0])

    def formula(self) -> Formula:
        """The formula that it is about.

        Raises:
            LookupError: if the chapter has none such, or several.
        """
        found = [formula for formula in printed(self.home) if self._means(formula)]
        if len(found) != 1:
            raise LookupError(f"{self.name} stands {len(found)} times in chapter {self.home}")
        return found[0]

    def _means(self, formula: Formula) -> bool:
        if self.tag:
            return formula.tag == self.tag
        return formula.before.endswith(self.after)


def entries() -> list[Entry]:
    """All entries, in order."""

    def fields(row: dict[str, Any]) -> dict[str, Any]:
        return {key: tuple(x) if isinstance(x, list) else x for key, x in row.items()}

    return [Entry(**fields(row)) for row in ROWS["formula"]]


# ---- what letters stand for ----------------------------------------------------------------
def column(rng: np.random.Generator, *shape: int) -> Any:
    """A random column, or a random matrix of this shape."""
    return rng.standard_normal(shape if len(shape) > 1 else (*shape, 1))


def gradient(function: Callable[[torch.Tensor], torch.Tensor], at: Any) -> Any:
    """What autograd says, at a number or an array, as one."""
    point = torch.tensor(np.asarray(at, dtype=float), requires_grad=True)
    (slope,) = torch.autograd.grad(function(point), point)
    return slope.numpy()


def stepped(optimizer: type[torch.optim.Optimizer], w: Any, g: Any, **options: float) -> Any:
    """Where an optimizer of torch gets from w, with the gradients g, one a step."""
    point = torch.nn.Parameter(torch.tensor(np.asarray(w, dtype=float)))
    steps = optimizer([point], **options)  # type: ignore[arg-type]
    for slope in g:
        point.grad = torch.tensor(np.asarray(slope, dtype=float))
        steps.step()
    return point.detach().numpy()


def sgd(w: Any, v: Any, g: Any, **options: Any) -> tuple[Any, Any]:
    """The weight and the buffer after a step of torch.optim.SGD, from a buffer v."""
    point, buffer, slope = (torch.tensor(np.asarray(x, dtype=float)) for x in (w, v, g))
    point = torch.nn.Parameter(point)
    optimizer = torch.optim.SGD([point], **options)
    optimizer.state[point]["momentum_buffer"] = buffer
    point.grad = slope
    optimizer.step()
    return point.detach().numpy(), optimizer.state[point]["momentum_buffer"].numpy()


def adam(w: float, m: float, v: float, g: float, t: int, **options: Any) -> list[float]:
    """The weight and both running means after step t of torch.optim.Adam."""
    point = torch.nn.Parameter(torch.tensor(w, dtype=torch.float64))
    optimizer = torch.optim.Adam([point], **options)
    means = [torch.tensor(x, dtype=torch.float64) for x in (m, v)]
    start = {"step": torch.tensor(t - 1.0), "exp_avg": means[0], "exp_avg_sq": means[1]}
    optimizer.state[point] |= start
    point.grad = torch.tensor(g, dtype=torch.float64)
    optimizer.step()
    return [point.item(), means[0].item(), means[1].item()]


def norm_of(z: Any, eps: float, gamma: float = 1.0, beta: float = 0.0) -> Any:
    """Batch norm of one unit, by torch."""
    normed = torch.nn.BatchNorm1d(1, eps=eps, dtype=torch.float64)
    torch.nn.init.constant_(normed.weight, gamma)
    torch.nn.init.constant_(normed.bias, beta)
    found = normed(torch.tensor(z)[:, None]).detach()
    return found.numpy()[:, 0]


def angle(w: Any, new: Any) -> float:
    """The angle between two arrays."""
    u = w / np.linalg.norm(w)
    along = np.sum(u * new)
    return float(np.arctan2(np.linalg.norm(new - along * u), along))


def argmin(function: Callable[[float], float]) -> float:
    """Where a function of one number is smallest, between -10 and 10."""
    tight = {"xatol": 1e-12}
    return float(minimize_scalar(function, bounds=(-10, 10), method="bounded", options=tight).x)


def lowest(function: Callable[[float], float]) -> float:
    """The smallest value of a function of one number, between -10 and 10."""
    return function(argmin(function))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one number is zero."""
    return float(brentq(function, low, high, xtol=1e-14))


def trained(rng: np.random.Generator, widths: Sequence[int], lams: Sequence[float]) -> list[Any]:
    """Layers of a linear network without biases, trained with a λ each until nothing moves."""
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(widths)]
    sizes = np.cumsum([0, *(a * b for a, b in shapes)])
    x = torch.tensor(rng.standard_normal((widths[0], 8)))
    y = torch.tensor(2 * rng.standard_normal((widths[-1], 8)))

    def layers(p: Any) -> list[Any]:
        spans = zip(itertools.pairwise(sizes), shapes, strict=True)
        return [p[low:high].reshape(shape) for (low, high), shape in spans]

    def cost(p: Any) -> tuple[float, Any]:
        p = torch.tensor(p, requires_grad=True)
        out = x
        for layer in layers(p):
            out = layer @ out
        total = (out - y).square().sum(0).mean() / 2
        for layer, lam in zip(layers(p), lams, strict=True):
            total = total + l2lib.l2_penalty([layer], lam)
        return total.item(), torch.autograd.grad(total, p)[0].numpy()

    start = rng.standard_normal(sizes[-1])
    return layers(minimize(cost, start, jac=True, options={"gtol": 1e-11, "maxiter": 5000}).x)


HELPERS = {"np": np, "torch": torch, "l2lib": l2lib, "Over": Over, "e": math.e} | {
    helper.__name__: helper
    for helper in (
        *(column, gradient, stepped, sgd, adam, norm_of, angle, argmin, lowest, root, trained),
    )
}


@cache
def lines(chapter: int) -> list[str]:
    """The code of a chapter, a statement each."""
    sources = [cell.source for cell in read_source(twin(chapter)).cells if cell.cell_type == "code"]
    return [ast.unparse(statement) for code in sources for statement in ast.parse(code).body]


@cache
def from_chapter(chapter: int, wanted: tuple[str, ...]) -> Names:
    """What names of a chapter first stand for, from those of its lines that they need."""
    names: dict[str, Any] = {"__name__": "formulas"}
    if not wanted:
        return {}
    gives = [NamesOf(line).gives for line in lines(chapter)]
    last = max(next(k for k, given in enumerate(gives) if name in given) for name in wanted)
    run(needed(lines(chapter)[: last + 1], f"({', '.join(wanted)},)")[:-1], names)
    return {name: names[name] for name in wanted}


def number(rng: np.random.Generator, low: float, high: float) -> float:
    """A whole number between whole bounds; from a positive range evenly in its logarithm."""
    if isinstance(low, int) and isinstance(high, int):
        return int(rng.integers(low, high + 1))
    if low > 0:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))


def bound(entry: Entry, draw: int, finer: float = 1.0, *, equal: bool = False) -> Names:
    """All names at a draw; what is small by so much smaller; at equality, if asked."""
    rng = np.random.default_rng([entry.home, draw])
    names: dict[str, Any] = {**HELPERS, "ranges": {}, **from_chapter(entry.home, entry.uses)}
    for name, (low, high) in entry.draw.items():
        names[name] = number(rng, low, high)
        if power := entry.small.get(name, 0):
            names[name] = type(names[name])(names[name] * finer**power)
    names |= {"rng": rng, "draw": draw}
    exec(entry.code + ("\n" + entry.equal if equal else ""), names)
    return names


# ---- does it hold? -------------------------------------------------------------------------
class Tied:
    """An entry with its values drawn, so that many versions of its formula can be tried."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.tex = entry.formula().tex
        self.sides = [len(statement.sides) for statement in statements(self.tex)]
        draws = range(entry.draws)
        self.at = [bound(entry, draw) for draw in draws]
        self.finer = [bound(entry, draw, FINER) for draw in draws if entry.small]
        self.equal = [bound(entry, draw, equal=True) for draw in draws if entry.equal]

    def problems(self, tex: str) -> list[str]:
        """Why the formula, printed so, does not hold; nothing if it does."""
        try:
            found = statements(tex)
            if (sides := [len(statement.sides) for statement in found]) != self.sides:
                return [f"statements with {sides} sides, not {self.sides}"]
            with np.errstate(all="ignore"):  # a wrong version may divide by zero
                return [problem for k, s in self._mine(found) for problem in self._failing(k, s)]
        except (UnreadableError, ArithmeticError) as error:
            return [f"unreadable: {error}"]

    def _mine(self, found: list[Statement]) -> Iterator[tuple[int, Statement]]:
        """The statements that the entry is about, by number from one."""
        for k, statement in enumerate(found, 1):
            if k not in self.entry.said and (not self.entry.only or k in self.entry.only):
                yield k, statement

    def _failing(self, k: int, statement: Statement) -> Iterator[str]:
        sides, relations = statement
        for j, (left, right) in enumerate(itertools.pairwise(sides), 1):
            if self.entry.pairs and j not in self.entry.pairs:
                continue
            relation = self._meant(k, relations[j - 1])
            if problem := self._relation(left, relation, right):
                yield f"{left.tex} {relation} {right.tex}: {problem}"
        for j, side in enumerate(sides, 1):
            if code := self.entry.values.get(f"{k}.{j}"):
                if problem := self._value(side, code):
                    yield f"{side.tex}, and {code}: {problem}"
            elif len(sides) == 1:
                raise LookupError(f"{self.entry.name}: statement {k} needs a value")

    def _meant(self, k: int, relation: str) -> str:
        """The relation that is printed, or what the entry says it means."""
        if k in self.entry.nearly and relation == "=":
            return "\\approx"
        return "\\leftarrow" if k in self.entry.moves and relation == "\\to" else relation

    def _relation(self, left: Side, relation: str, right: Side) -> str:
        if relation in {"=", "\\leftarrow"}:
            given = after if relation == "\\leftarrow" else dict
            return self._first(
                self.at, lambda names: self._unequal(left.value(given(names)), right.value(names))
            )
        if relation in {"\\approx", "\\to"}:
            return self._approximation(left.value, right.value)
        if relation == "\\propto":
            return self._proportion(left, right)
        return self._inequality(left, relation, right)

    def _value(self, side: Side, code: str) -> str:
        def value(names: Names) -> Any:
            return eval(code, dict(names))

        if self.entry.small or self.entry.about:
            return self._approximation(side.value, value)
        return self._first(self.at, lambda names: self._unequal(side.value(names), value(names)))

    def _first(self, all_names: list[Names], check: Callable[[Names], str]) -> str:
        """The first problem at any draw, for any value of a free index."""
        return next(
            (p for at in all_names for names in self._indexed(at) if (p := check(names))), ""
        )

    def _indexed(self, names: Names) -> list[Names]:
        if not (letter := self.entry.each):
            return [names]
        per = names.get("per", {})
        return [
            {**names, letter: i, **{name: values[i] for name, values in per.items()}}
            for i in names["ranges"][letter]
        ]

    def _unequal(self, left: Any, right: Any) -> str:
        if np.shape(left) != np.shape(right):
            return f"shapes {np.shape(left)} and {np.shape(right)}"
        error, size = np.max(np.abs(left - right)), np.max(np.abs([left, right]))
        if error <= self.entry.atol + self.entry.rtol * size:
            return ""
        return f"{np.ravel(left)[:3]} against {np.ravel(right)[:3]}"

    def _approximation(self, left: Callable[[Names], Any], right: Callable[[Names], Any]) -> str:
        if self.entry.about:
            errors = [
                relative(left(each), right(each)) for at in self.at for each in self._indexed(at)
            ]
            return "" if max(errors) < self.entry.about else f"relative errors {errors}"
        if not self.entry.small:
            raise LookupError(f"{self.entry.name}: say what is small")
        for coarse, fine in zip(self.at, self.finer, strict=True):
            for both in zip(self._indexed(coarse), self._indexed(fine), strict=True):
                errors = [relative(left(names), right(names)) for names in both]
                order = math.log(errors[0] / errors[1]) / -math.log(FINER) if min(errors) else 0.0
                if not abs(order - self.entry.order) < 0.25:
                    return f"relative errors {errors}: of order {order:.2f}"
        return ""

    def _proportion(self, left: Side, right: Side) -> str:
        for names in self.at:
            ratios = [left.value(each) / right.value(each) for each in self._indexed(names)]
            if np.ptp(ratios) > self.entry.rtol * np.max(np.abs(ratios)):
                return f"ratios {ratios}"
        return ""

    def _inequality(self, left: Side, relation: str, right: Side) -> str:
        if not (self.entry.truth or self.entry.equal):
            raise LookupError(f"{self.entry.name}: say where {relation} is true, or an equality")
        for names in (each for at in self.at for each in self._indexed(at)):
            a, b = left.value(names), right.value(names)
            if np.size(a) + np.size(b) > 2:
                return "arrays have no order"
            holds = a <= b if relation in {"<", "\\le"} else a >= b
            if bool(holds) != self.true(names):
                return f"{a} and {b}"
        return self._first(
            self.equal, lambda names: self._unequal(left.value(names), right.value(names))
        )

    def true(self, names: Names) -> bool:
        """Whether its inequality must hold."""
        return bool(eval(self.entry.truth or "True", dict(names)))


def after(names: Names) -> Names:
    """What is bound with ``new`` before its name, by that name."""
    return {**names, **{name[3:]: value for name, value in names.items() if name.startswith("new")}}


def relative(left: Any, right: Any) -> float:
    """The largest difference, over the largest size."""
    return float(np.max(np.abs(left - right)) / np.max(np.abs(right)))


# ---- wrong versions of a formula -----------------------------------------------------------
FLIPS = {"+": "-", "-": "+", "<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
TOKENS = re.compile(
    r"\\tag\{.*?\}|\\(?:text|begin|end)\{.*?\}|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|.", re.DOTALL
)


def mutants(tex: str) -> Iterator[tuple[str, str]]:
    """The formula with one thing changed at a time, each with a name: TeX before, and its change.

    A number is one more or less, a sign or an inequality is turned round, a letter is doubled, an
    exponent is one more.
    """
    tokens = split_fractions([match[0] for match in TOKENS.finditer(tex)])
    for k, token in enumerate(tokens):
        before, rest = "".join(tokens[:k]), "".join(tokens[k + 1 :])
        for changed in changes(token, before.rstrip()):
            yield f"{(before + token)[-14:]} → {changed}", before + changed + rest


def split_fractions(tokens: list[str]) -> list[str]:
    r"""As \frac12 is a half, its digits are two numbers."""
    made: list[str] = []
    for token in tokens:
        fraction = re.search(r"\\[td]?frac\d?$", "".join(made[-2:])) is not None
        made += list(token) if fraction and token.isdigit() else [token]
    return made


LETTER = re.compile(
    r"[A-Za-zα-ω]|\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|eta|theta|kappa|lambda|mu|pi|rho|sigma|tau|phi)"
)


def changes(token: str, before: str) -> list[str]:
    """What a token may wrongly be, by what stands before it."""
    if re.fullmatch(r"\d+", token):
        return [str(int(token) + 1), *([str(int(token) - 1)] if int(token) else [])]
    if re.fullmatch(r"\d+\.\d+", token):
        return [str(float(token) + 1), str(float(token) - 1)]
    if token in FLIPS:
        return [FLIPS[token]]
    if token == "^" or not LETTER.fullmatch(token):
        return []
    if before.endswith("^"):
        return [f"{{{token}+1}}"]
    in_index = before.endswith("_") or before.rfind("_{") > before.rfind("}")
    name = re.search(r"\\(?:mathrm|operatorname|mathbb|rm)\s*\{?\w*$", before)
    accented = re.search(r"\\(?:bar|hat|tilde|dot|nabla|partial)(?:_\w)?$|\\nabla_\{.*\}$", before)
    return [] if in_index or name or accented else [f"2{token}"]
