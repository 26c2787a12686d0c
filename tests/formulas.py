"""The printed formulas of the chapters, evaluated.

``printed`` takes the formulas from a source twin. ``statements`` splits one into statements
such as ``a = b \\approx c`` and rewrites what SymPy's parser of TeX does not read: RULES has the
rules. ``Side.value`` walks the tree that the parser gives, with NumPy: a vector is a column, so that
``x^\\top y`` is what linear algebra says, and a letter with an index is an entry of what bears its name.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sympy
from scipy.integrate import quad_vec
from sympy.parsing.latex import parse_latex

from book.execute import SOURCE, read_source

Names = Mapping[str, Any]


class UnreadableError(ValueError):
    """The TeX is not a formula that can be read and evaluated."""


# ---- where formulas stand ------------------------------------------------------------------
class Formula(NamedTuple):
    """A printed formula: its TeX, its number or "", and the text before it on one line."""

    chapter: int
    tex: str
    tag: str
    before: str


@cache
def twin(chapter: int) -> Path:
    """A chapter's source twin."""
    return next(SOURCE.glob(f"{chapter:02d}_*.py"))


@cache
def printed(chapter: int) -> list[Formula]:
    """A chapter's formulas in Markdown, displayed and in the text, in order."""
    cells = read_source(twin(chapter)).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return [found for text in texts for found in printed_in(chapter, text)]


def printed_in(chapter: int, text: str) -> Iterator[Formula]:
    """The formulas of a Markdown text; numbers that come from the kernel are no part of them."""
    text = re.sub(r"\$\{\{[^$]*?\}\}\$", "", text)  # a number alone; two $ would begin a display
    text = re.sub(r"\s*(?:=|\\approx)?\s*\{\{.*?\}\}", "", text, flags=re.DOTALL)
    for match in re.finditer(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL):
        tex = match[1] or match[2]
        tag = re.search(r"\\tag\{(.+?)\}", tex)
        yield Formula(chapter, tex, tag[1] if tag else "", " ".join(text[: match.start()].split()))


# ---- from TeX to what the parser reads -----------------------------------------------------
RELATIONS = r"\\approx|\\le(?![a-z])|\\ge(?![a-z])|\\to(?![a-z])|\\leftarrow|\\propto|=|<|>"
NEXT = " \\qquad "  # between two statements
RULES: tuple[tuple[str, str | Callable[[Any], str]], ...] = (
    # what says nothing of the value
    (r"\\tag\{.*?\}", ""),
    (r"\\(?:[Bb]igg?|left|right|textstyle)(?![A-Za-z])", ""),
    (r"\\begin\{aligned\}|\\end\{aligned\}", ""),
    # names of more than one letter
    (r"_\{\\rm (\w+)\}|_\{\\text\{(\w+)\}\}", r"_{\\word\1\2}"),
    (r"(\\[A-Za-z]+)'", r"\1prime "),
    (r"([A-Za-z])'", r"\\\1prime "),
    (r"\\operatorname\{tr\} *(\w(?:_\\?\w+)?)", r"\\tr(\1)"),
    (r"\\(?:mathrm|operatorname)\{(\w+)\}", r"\\\1 "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\mathbf 1", r"\\ones "),
    (r"\\overline\{(\w)_(\w)\}", r"\\\1bar_\2 "),
    (r"\\(bar|hat|tilde|dot) ?\\([A-Za-z]+)", r"\\\2\1 "),
    (r"\\(bar|hat|tilde|dot) ?([A-Za-z])(?![A-Za-z])", r"\\\2\1 "),
    (r"\\nabla(_\w|_\{\w+\})? ?([A-Z])", r"\\nabla\2\1 "),
    (r"\\partial_(\w)\s*L", r"\\partialL_\1 "),
    (r"[_^]\*|[_^]\{\*\}", r"_{\\star}"),
    (r"_\{\\cdot (\w)\}", r"_{\\columns\1}"),
    (r"(\w)\^(\d)(\(\w\))", r"\1\3^\2"),
    (r"(\\[A-Za-z]+ ?\([^()]*\))_(\w)", r"\\entry(\1, \2)"),
    # words, and other things that part statements
    (r"\\text\{[^{}]*\}|\\Leftrightarrow|\\quad|∎", lambda _: NEXT),
    (rf"(?:\\\\\s*)?&\s*(?={RELATIONS})", " "),
    # spaces; the parser takes "d x" for a differential
    (r"\\[,;:!]|\\ ", " "),
    # norms, products and sums over an index whose range the entry knows
    (r"\\lVert(.*?)\\rVert_F", r"\\norm(\1)"),
    (r"\\lVert(.*?)\\rVert_\{\\star\}", r"\\nuclear(\1)"),
    (r"\\lVert(.*?)\\rVert(?:_2)?", r"\\norm(\1)"),
    (r"\\langle(.*?)\\rangle", r"\\inner(\1)"),
    (r"\|([^|]*?)\|", r"\\abs(\1)"),
    (r"\\(sum|prod)_(\w)", r"\\\1_{\2=\\every}^{\\every}"),
    (r"\\(sum|prod)_\{(\w) ?\\in (\w)\}", r"\\\1_{\2=\3}^{\3}"),
    (r"\\(sum|prod)(?!_)", r"\\\1_{\\entry=\\every}^{\\every}"),
    (r"\\frac\{\\partial (\w)\}\{\\partial\s*\\?(\w+)\}", r"\\partial\1_{\\\2}"),
    (r"\\pm", r"+\\pm "),
    # whole sides
    (r"^\s*\\(min|max)_(?:\{.*?\}|\w)(?=[\s\\])(.*)$", r"\\\1over(\2)"),
    (r"^\s*\\mathbb E(.*)$", r"\\mean(\1)"),
    (r"^\s*\\Delta(.*)$", r"\\Delta(\1)"),
)
OF_SIDES = 3  # so many rules at the end are for one side of a relation


def rewritten(tex: str, rules: tuple[tuple[str, Any], ...]) -> str:
    """What the rules make of a text, one after the other."""
    for pattern, replacement in rules:
        tex = re.sub(pattern, replacement, tex, flags=re.DOTALL)
    return tex


def group(tex: str, start: int) -> tuple[str, int]:
    """The argument that begins at or after ``start``, without its braces, and where it ends."""
    while tex[start : start + 1].isspace():
        start += 1
    if tex[start : start + 1] != "{":
        token = re.match(r"\\[A-Za-z]+|\w", tex[start:])
        if not token:
            raise UnreadableError(f"an argument is missing: {tex[start:]}")
        return token[0], start + len(token[0])
    depth = 0
    for end in range(start, len(tex)):
        depth += {"{": 1, "}": -1}.get(tex[end], 0)
        if depth == 0:
            return tex[start + 1 : end], end + 1
    raise UnreadableError(f"a brace is not closed: {tex[start:]}")


def braced(tex: str) -> str:
    r"""Braces around the arguments of \frac and \sqrt; \underbrace goes, with what stands under it."""
    found = re.search(r"\\([td]?frac|sqrt|underbrace)(?![A-Za-z])", tex)
    if not found:
        return tex
    one, end = group(tex, found.end())
    if found[1] == "underbrace":
        _, end = group(tex, end + 1)
        made = f"{{{braced(one)}}}"
    elif found[1] == "sqrt":
        made = f"\\sqrt{{{braced(one)}}}"
    else:
        two, end = group(tex, end)
        made = f"\\frac{{{braced(one)}}}{{{braced(two)}}}"
    return tex[: found.start()] + made + braced(tex[end:])


def matrices(tex: str) -> str:
    r"""A pmatrix becomes \matrix(\row(a, b), \row(c, d))."""

    def made(match: re.Match[str]) -> str:
        rows = [row.replace("&", ",") for row in match[1].split("\\\\")]
        return "\\matrix(" + ",".join(f"\\row({row})" for row in rows) + ")"

    return re.sub(r"\\begin\{pmatrix\}(.*?)\\end\{pmatrix\}", made, tex, flags=re.DOTALL)


def split(tex: str, pattern: str) -> list[str]:
    """The parts between what matches outside all brackets, and what matched, in turns."""
    parts, depth, last, i = [], 0, 0, 0
    while i < len(tex):
        depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(tex[i], 0)
        found = re.compile(pattern).match(tex, i) if depth == 0 else None
        if found:
            parts += [tex[last:i], found[0]]
            i = last = found.end()
        else:
            i += 1
    return [*parts, tex[last:]]


@dataclass(frozen=True)
class Side:
    """One side of a statement: TeX that the parser reads."""

    tex: str

    def value(self, names: Names) -> Any:
        """Its value, where ``names`` gives the values of letters and functions.

        Raises:
            UnreadableError: if it cannot be parsed, or has a name without a value.
        """
        functions = frozenset(name for name, value in names.items() if callable(value))
        try:
            value = plain(evaluate(parsed(self.tex, functions), names))
        except (
            ArithmeticError,
            LookupError,
            NameError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise UnreadableError(f"{self.tex}: {error}") from error
        if callable(value):
            raise UnreadableError(f"{self.tex} is a function without its argument")
        return value


class Statement(NamedTuple):
    """Sides with the relations between them."""

    sides: list[Side]
    relations: list[str]


def statements(tex: str) -> list[Statement]:
    """The statements of a displayed formula."""
    tex = rewritten(braced(matrices(tex)), RULES[:-OF_SIDES])
    tex = re.sub(r"\\\\|&", lambda _: NEXT, tex)
    found = []
    for text in split(tex, r"\\qquad|:|;")[::2]:
        if text := text.strip(" \n.,;:"):
            parts = split(text, RELATIONS)
            sides = [Side(rewritten(side.strip(), RULES[-OF_SIDES:])) for side in parts[::2]]
            found.append(Statement(sides, parts[1::2]))
    return found


@cache
def parsed(tex: str, functions: frozenset[str]) -> sympy.Basic:
    """The tree of an expression; a letter before a bracket is a factor unless it is a function."""

    def shielded(match: re.Match[str]) -> str:
        whole = match[1] + (match[2] or "")
        known = {identifier(match[1]), identifier(whole)} & (functions | FUNCTIONS.keys())
        return match[0] if known else f"{{{whole}}}("

    tex = tex.replace(";", ",").replace("[", "(").replace("]", ")")
    letters = r"(\\[A-Za-z]+'*|(?<![\\A-Za-z])[A-Za-z]'*)((?:_\w|_\\[A-Za-z]+|_\{[^{}]*\})'*)?\s*\("
    tex = re.sub(letters, shielded, tex)
    try:
        return parse_latex(tex, strict=True, backend="antlr")
    except Exception as error:  # the parser has errors of many kinds
        raise UnreadableError(f"{tex}: {error}") from error


# ---- from the tree to a value --------------------------------------------------------------
def identifier(tex: str) -> str:
    """A Python name: \\lambda_1 is lam_1, \\eta' is eta_prime, \\theta_{\\star} is theta_star."""
    name = re.sub(r"[\\{} ]", "", tex).replace("lambda", "lam").replace("word", "")
    return re.sub(r"prime(?![a-z])", "_prime", name)


class Over:
    """A function of an expression, not of its value: a minimum over a letter, a mean over draws."""

    def __init__(self, function: Callable[[Callable[..., Any]], Any]) -> None:
        self.function = function

    def __call__(self, expression: Callable[..., Any]) -> Any:
        """Its value, by a function that gives the expression's value for values of letters."""
        return self.function(expression)


def plain(value: Any) -> Any:
    """A number for an array of one; a tuple, which is a set of indices, stays."""
    value = value if callable(value) or isinstance(value, tuple) else np.asarray(value)
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def times(a: Any, b: Any) -> Any:
    """A product as linear algebra has it; of two columns the inner one."""
    a, b = plain(a), plain(b)
    if np.ndim(a) < 2 or np.ndim(b) < 2:
        return a * b
    return plain(a.T @ b if a.shape == b.shape and a.shape[1] == 1 else a @ b)


def power(base: Any, exponent: Any) -> Any:
    """A power; of a matrix its inverse only."""
    base = plain(base)
    if np.ndim(base) == 2 and exponent == -1:
        return np.linalg.inv(base)
    return base**exponent


def evaluate(tree: Any, names: Names) -> Any:
    """The value of a tree."""
    if tree.is_Number:
        return float(tree)
    if tree.is_Symbol:
        return value_of(tree.name, names)
    for kind, function in KINDS.items():
        if isinstance(tree, kind):
            return function(tree, names)
    raise UnreadableError(f"no value for a {type(tree).__name__}")


def value_of(symbol: str, names: Names) -> Any:
    """The value of a letter: it has its own name, or is an entry of what bears the name before _."""
    if (name := identifier(symbol)) in names:
        return names[name]
    found = re.fullmatch(r"(.*?)_?\{([^{}]*)\}\}*", symbol)
    if not found or (name := identifier(found[1].rstrip("_"))) not in names:
        raise UnreadableError(f"{symbol} has no value")
    where = index_of(found[2], names)
    if isinstance(where, int) and where < 0:
        raise UnreadableError(f"{symbol} comes before the first")
    return names[name][where]


def index_of(text: str, names: Names) -> Any:
    """The value of what stands in an index, such as t + 1."""
    return eval(text.replace("lambda", "lam"), {}, dict(names))


def _sum(tree: Any, names: Names) -> Any:
    return sum(_terms(tree, names))


def _product(tree: Any, names: Names) -> Any:
    return np.prod(_terms(tree, names))


def _terms(tree: Any, names: Names) -> list[Any]:
    """The terms of a sum or a product, over the range that the entry gives its index, or TeX."""
    letter, low, high = map(str, tree.limits[0])
    if letter == "entry":  # no index: over all entries
        return list(np.ravel(evaluate(tree.function, names)))
    if low != high:  # both bounds are printed
        where = range(index_of(low, names), index_of(high, names) + 1)
    else:
        where = names[low] if low != "every" else names["ranges"][letter]
    return [plain(evaluate(tree.function, {**names, letter: i})) for i in where]


def _add(tree: Any, names: Names) -> Any:
    total = evaluate(tree.args[0], names)
    for term in tree.args[1:]:
        total = plain(total) + plain(evaluate(term, names))
    return total


def _mul(tree: Any, names: Names) -> Any:
    result = evaluate(tree.args[0], names)
    for factor in tree.args[1:]:
        result = times(result, evaluate(factor, names))
    return result


def _pow(tree: Any, names: Names) -> Any:
    base = evaluate(tree.base, names)
    if tree.exp == sympy.Symbol("top"):
        return np.transpose(base)
    return power(base, evaluate(tree.exp, names))


def _integral(tree: Any, names: Names) -> Any:
    letter, low, high = tree.limits[0]
    ends = (evaluate(end, names) for end in (low, high))
    return quad_vec(lambda x: evaluate(tree.function, {**names, str(letter): x}), *ends)[0]


def _derivative(tree: Any, names: Names) -> Any:
    """By central differences; ``names["vary"]`` has what a letter changes, as a function of it."""
    letter, step = str(tree.variables[0]), 1e-3
    vary, x = names["vary"][letter], names[letter]
    high, low = (evaluate(tree.expr, {**names, **vary(x + h)}) for h in (step, -step))
    return (high - low) / (2 * step)


def _function(tree: Any, names: Names) -> Any:
    name = tree.func.__name__
    if name in {"cos", "tan", "exp", "log"}:  # "log": the parser's name for a natural one
        return getattr(np, name)(evaluate(tree.args[0], names))
    function = FUNCTIONS.get(name) or value_or_base(name, names)
    if isinstance(function, Over):
        return function(lambda **new: plain(evaluate(tree.args[0], {**names, **new})))
    return function(*(plain(evaluate(argument, names)) for argument in tree.args))


def value_or_base(name: str, names: Names) -> Any:
    """A function by its name; S_x is the function S with x for its first argument."""
    if identifier(name) in names:
        return names[identifier(name)]
    base, _, index = name.partition("_{")
    return partial(names[identifier(base)], index_of(index[:-1], names))


def nuclear(matrix: Any) -> Any:
    """The sum of the singular values."""
    return np.linalg.svd(matrix, compute_uv=False).sum()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "norm": np.linalg.norm,
    "nuclear": nuclear,
    "abs": lambda x: len(x) if isinstance(x, tuple) else np.abs(x),
    "inner": lambda a, b: np.sum(a * b),
    "max": np.maximum,
    "sign": np.sign,
    "ln": np.log,
    "relu": lambda x: np.maximum(x, 0),
    "unit": lambda x: x / np.linalg.norm(x),
    "tr": np.trace,
    "entry": lambda values, i: values[i],
    "row": lambda *entries: np.array([entries]),
    "matrix": lambda *rows: np.vstack(rows),
}
KINDS: dict[Any, Callable[[Any, Names], Any]] = {
    sympy.Sum: _sum,
    sympy.Product: _product,
    sympy.Integral: _integral,
    sympy.Derivative: _derivative,
    sympy.Add: _add,
    sympy.Mul: _mul,
    sympy.Pow: _pow,
    sympy.Function: _function,
}
