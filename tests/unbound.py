"""Numbers in a chapter's words that nothing binds.

    python -m tests.unbound [WORDS ...]    chapters whose file's name holds a word, or all

In prose, titles, descriptions, claims' sentences and verdicts a number that was measured comes from
the kernel: ``{{...}}`` in Markdown, a field of an f-string in code, a claim's place. What stands
there as a literal must be something else:

- a value that is set: the same number stands in the chapter's code, as a setting or a bound; but a
  ratio ("3 times", "12 %") in prose, and a number in a heading, are never taken for that;
- a name or an address: chapter 5, section 1.8, (1.2), exercise 3, 2017, float32, L2;
- in a place, computed: one made of numbers alone is the author's formula typed again, so a row of
  ``tests/directions.toml`` or ``tests/exercises.toml`` must hold it;
- part of a formula, which ``tests/test_formulas.py`` looks after;
- in a solution, what the exercise gives, or part of what ``tests/exercises.toml`` tries;
- spelt out, from four on ("nine levels of noise"), set by the code beside the words, or held by a
  row of either list;
- or an exception, with its reason, in ``tests/unbound.toml``.

A chapter's code sets many numbers, so a wrong one is often another's. A setting must therefore be
set by the code beside the words, up to the next words before and after;
η and λ by that name, where the code beside names them, and "five seeds" by ``seeds(5)``.
"""

import argparse
import ast
import math
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from book.execute import SOURCE, read_source
from book.running import terminal
from book.sentences import places

HERE = Path(__file__).parent
SAYS = {"claim": 1, "verdict": 2, "show": 1, "set_title": 0, "title": 1, "suptitle": 0}
SAYS |= {"text": 2, "annotate": 0}
"""Functions that show words, and which argument they are."""
ARITHMETIC = {"np", "math", "round", "sum", "range", "abs", "max", "min", "len"}
"""Names that tell nothing of a chapter."""
DRAWS = {"plot", "text", "annotate", "set", "subplots", "axhline", "axvline", "legend", "linspace"}
DRAWS |= {"contour", "contourf", "fill_between", "fill_betweenx", "hlines", "vlines", "scatter"}
DRAWS |= {"bar", "barh", "errorbar", "step", "imshow", "pcolormesh", "tick_params", "margins"}
DRAWS |= {"set_xlim", "set_ylim", "set_xticks", "set_yticks", "axvspan", "axhspan", "quiver"}


class Found(NamedTuple):
    """A number that nothing binds."""

    chapter: str
    number: str
    context: str

    def __str__(self) -> str:
        return f"{self.chapter}: {self.number!r} in “{self.context}”"


# ---- numbers in words ----------------------------------------------------------------------------
_NUMBER = re.compile(
    r"(?<![\w.\\^_{])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|e-?\d+)?(?:\s?%)?(?![\w]|\.\d)"
)
_COUNTS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    "seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|"
    "hundreds?|thousands?|millions?"
)
_TIMES = re.compile(
    rf"\b(?:{_COUNTS})(?:\s+|-)(?:times|fold|per cent|percent)\b|\bfactors?\s+of\s+(?:{_COUNTS})\b|"
    rf"\b(?:{_COUNTS}|one|a)\s+(?:third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)s?\b"
)
_NAMES = (
    r"`[^`]*`",
    r"\$\$.*?\$\$",
    r"\{\{.*?\}\}",
    r"\[\d+\]\([^)]*\)|\]\([^)]*\)|\[\d+ ",
    r"<[/!]?[a-zA-Z-][^>]*>",
    r"(?m)^#+ (?:\d+(?:\.\d+)? )?",
    r"(?m)^\s*(?:\*\*)?\d+\.(?:\*\*)?\s",
    r"\*Reading .*?\*",
    r"(?i)(?:\b(?:chapters?|sections?|exercises?|equations?|figures?|points?|step|set|NIPS|part)|§§?)\s*"
    r"(?:\[?\d+(?:\.\d+)*\]?(?:,? (?:and|to|or) |, |–)?)+",
    r"\((?:\d+\.\d+[a-z]?(?:(?:,? (?:and|to|or) |, |–))?)+\)",
    r"\b(?:19|20)\d\d\b",
    r"\bS[0-3]-\d\d\b",
    r"\b\d\d-[a-z][a-z0-9-]*\b",
    r"\b(?:L[012]|MNIST-1D|float\d+|bfloat16|bf16|fp\d+|int\d+|\d+-bit|\d+ bits?|1D|2D|beta\d)\b",
    r"\b\d+ × \d+\b",
)
# What a setting seldom is: a reader takes it for measured.
_RATIO = re.compile(
    r"(?<![\w.\\^_{(/])[-−]?\d[\d,]*(?:\.\d+)?(?=\s?%(?! interval)|\s(?:times|fold)\b|-fold\b)"
)
_QUOTED = r'"[^"]*"'  # tests/quotations.py holds these
_HEADING = re.compile(r"(?m)^#+ (?:\d+(?:\.\d+)? )?(.*)$")
_BARE = re.compile(r"(?<!= )(?<![\w.\\^_{(/=])\d[\d,]*(?:\.\d+)?(?![\w/(.])")
_FORMULA = re.compile(r"\$([^$]*)\$", re.DOTALL)
_RELATION = re.compile(r"=|<|>|\\[lg]eq?(?![a-z])|\\approx|\\to(?![a-z])|,\\?\s|\\quad|;")
_SIDE = re.compile(
    r"\s*([-−]?\d[\d,{}]*(?:\.\d+)?)(?:\s*\\cdot\s*10\^\{?(-?\d+)\}?)?\s*(?:\\%)?\s*"
)


def numbers_in(text: str) -> Iterator[tuple[str, str]]:
    """The numbers of a text that may have been measured, each with what stands around it."""
    for name in _NAMES:
        text = re.sub(name, lambda match: " " * len(match[0]), text, flags=re.DOTALL)
    for match in _FORMULA.finditer(text):
        for side in map(_SIDE.fullmatch, _RELATION.split(match[1])):
            if side:
                power = f"e{side[2]}" if side[2] else ""
                yield side[1].replace("{,}", ",") + power, _around(text, match)
    text = _FORMULA.sub(lambda match: " " * len(match[0]), text)
    for kind in (_NUMBER, _TIMES):
        for match in kind.finditer(text):
            yield match[0], _around(text, match)


def ratios_in(text: str) -> Iterator[tuple[str, str]]:
    """The ratios of a Markdown text, and the numbers of its headings, each with what stands around it."""
    headings = [match[1] for match in _HEADING.finditer(text)]
    for name in _NAMES:
        text = re.sub(name, lambda match: " " * len(match[0]), text, flags=re.DOTALL)
    for match in _RATIO.finditer(text):
        yield match[0], _around(text, match)
    for heading in headings:
        for name in (*_NAMES, _FORMULA.pattern, _QUOTED):
            heading = re.sub(name, lambda match: " " * len(match[0]), heading)
        for match in _BARE.finditer(heading):
            yield match[0], _around(heading, match)


def _around(text: str, match: re.Match[str]) -> str:
    start, end = max(match.start() - 40, 0), match.end() + 30
    return " ".join(text[start:end].split())


# ---- where words stand -----------------------------------------------------------------------------
def prose_of(source: Path) -> Iterator[str]:
    """A chapter's Markdown, a cell at a time."""
    yield from (cell.source for cell in read_source(source).cells if cell.cell_type == "markdown")


def words_of(source: Path) -> Iterator[str]:
    """The texts that a chapter shows: Markdown, and literal parts of what its code says."""
    for cell in read_source(source).cells:
        yield from words_in(cell)


def words_in(cell: Any) -> Iterator[str]:
    """The texts that a cell shows, as ``words_of``."""
    if cell.cell_type == "markdown":
        yield cell.source
    else:
        yield from _said(ast.parse(cell.source))


def _said(tree: ast.AST) -> Iterator[str]:
    """Words in code: those of claims, verdicts, titles, captions, labels and descriptions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:  # in figures.interactive
            last = node.value.elts[-1] if isinstance(node.value, ast.Tuple) else node.value
            yield from _literal(last)
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = SAYS.get(name)
            if place is not None and len(node.args) > place:
                yield from _literal(node.args[place])
            for word in node.keywords:
                if word.arg in ("title", "caption", "label", "xlabel", "ylabel"):
                    yield from _literal(word.value)


def _literal(node: ast.expr) -> Iterator[str]:
    """A string's text; of an f-string what stands between its fields."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub(r"\{[^{}]*\}", " ", node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        yield "".join(map(str, parts))
    elif isinstance(node, ast.BinOp):
        yield from _literal(node.left)
        yield from _literal(node.right)
    elif isinstance(node, ast.IfExp):
        yield from _literal(node.body)
        yield from _literal(node.orelse)


# ---- what is set in code -----------------------------------------------------------------------------
def settings_of(source: Path) -> set[str]:
    """The numbers in a chapter's code that set something: no index, no exponent, no styling.

    What computes a number in a sentence is code, too.
    """
    found: set[float] = set()
    for cell in read_source(source).cells:
        code = cell.cell_type == "code"
        for text in [cell.source] if code else [place.code for place in places(cell.source)]:
            found |= set(_values(ast.parse(text)))
    return {_spelt(sign * value) for value in found for sign in (1, -1)}


def _set(number: str, settings: set[str]) -> bool:
    """Whether a number in words is a setting; a percentage may be set as a share."""
    value = value_of(number)
    shares = (value / 100,) if number.endswith("%") else ()
    return any(_spelt(each) in settings for each in (value, *shares))


def _spelt(value: float) -> str:
    """One spelling for values that rounding alone tells apart."""
    return f"{value:.10g}"


def by_hand(source: Path) -> Iterator[tuple[str, str]]:
    """Places made of numbers alone that no row holds, each with what stands around it."""
    chapter = int(source.stem[:2])
    held = [
        " ".join(words.split())
        for words in [*said("direction", chapter), *said("exercise", chapter)]
    ]
    for text in prose_of(source):
        for place in places(text):
            names = {
                node.id for node in ast.walk(ast.parse(place.code)) if isinstance(node, ast.Name)
            }
            raw = " ".join(text[place.start : place.end].split())
            if names <= ARITHMETIC and not any(raw in says for says in held):
                yield raw, " ".join(text[max(place.start - 40, 0) : place.end + 30].split())


def _values(node: ast.AST) -> Iterator[float]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            yield abs(float(node.value))
    elif isinstance(node, ast.Subscript):
        yield from _values(node.value)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield from _values(node.left)
        yield from _power(node)
    elif not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") in DRAWS):
        for part in ast.iter_child_nodes(node):
            yield from _values(part)


def _power(node: ast.BinOp) -> Iterator[float]:
    """The value of a power of two literals, such as 2**-24."""
    try:
        yield float(eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}}))
    except (NameError, TypeError, AttributeError):
        yield from ()


def value_of(number: str) -> float:
    """A number as a reader reads it; a percentage as it is printed."""
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    plain = number.translate(raised).replace(",", "").rstrip("% ")
    mantissa, _, exponent = plain.replace("e", "·10").partition("·10")
    return float(mantissa) * math.pow(10, float(exponent or 0))


# ---- what is set beside the words --------------------------------------------------------------------
_EXERCISES = re.compile(r"(?m)^## [\d.]+ Exercises")
_CALLED = {"η": {"lr", "eta", "etas"}, "λ": {"weight_decay", "lam", "lams"}}
_SPELT_OUT = dict(zip(_COUNTS.split("|"), [*range(2, 20), *range(20, 100, 10)], strict=False))
_COUNT = re.compile(rf"(?<!\ban )\b(?:{'|'.join([*_SPELT_OUT][2:])})\b", re.IGNORECASE)
_SEEDS = re.compile(r"\bseeds\((\d+)\)")
_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")
_NAMED = {
    "η": re.compile(r"(?<![\w}])\\eta\s*=\s*(\d+(?:\.\d+)?)|\bη = (\d+(?:\.\d+)?)"),
    "λ": re.compile(r"(?<!\\eta)\\lambda\s*=\s*(\d+(?:\.\d+)?)|(?<!η)λ = (\d+(?:\.\d+)?)"),
    "seeds": re.compile(rf"(?i)\b(\d+|{_COUNTS}) seeds\b"),
}


def far(source: Path, left: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Numbers in Markdown before the exercises that nothing beside sets, each with what stands around it.

    Args:
        source: of a chapter.
        left: takes what is not looked at out of a text.
    """
    cells = read_source(source).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            beside = [*_run(cells[i + 1 :]), *_run(cells[:i][::-1])]
            trees = [ast.parse(code) for code in beside]
            shown = [ast.parse(place.code) for place in places(cell.source)]
            found = {value for tree in (*trees, *shown) for value in _values(tree)}
            text = left(_EXERCISES.split(cell.source)[0])
            settings = {_spelt(sign * value) for value in found for sign in (1, -1)}
            for number, context in numbers_in(text):
                if not number[-1].isalpha() and not _set(number, settings):
                    yield number, context
            yield from _misnamed(text, trees)
        if cell.cell_type == "markdown" and _EXERCISES.search(cell.source):
            return


def spelt(source: Path, left: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Counts in letters, from four on, that nothing beside sets and no row holds; as ``far``.

    How many seeds there are is set once, and "the worst of five" stands far from it.
    """
    held = [literal(words) for words in said("direction", int(source.stem[:2]))]
    cells = read_source(source).cells
    runs = {_spelt(float(number)) for cell in cells for number in _SEEDS.findall(cell.source)}
    for i, cell in enumerate(cells):
        own = [cell.source] if cell.cell_type == "code" else []
        own += [place.code for place in places(cell.source)] if not own else []
        beside = [*own, *_run(cells[i + 1 :]), *_run(cells[:i][::-1])]
        settings = {_spelt(value) for code in beside for value in _values(ast.parse(code))} | runs
        for text in map(left, words_in(cell)):
            for words in held:
                text = words.sub(lambda match: re.sub(r"\w", " ", match[0]), text)
            for name in (*_NAMES, _QUOTED):
                text = re.sub(name, lambda match: " " * len(match[0]), text, flags=re.DOTALL)
            for match in _COUNT.finditer(text):
                if _spelt(_SPELT_OUT[match[0].lower()]) not in settings:
                    yield match[0], _around(text, match)


def in_solutions(source: Path, left: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Numbers in solutions that their exercise does not give and no row holds; as ``far``."""
    held = [literal(words) for words in said("direction", int(source.stem[:2]))]
    _, _, end = "\n".join(prose_of(source)).partition("Exercises\n")
    for exercise in re.split(r"\*\*\d+\.\*\*", end.partition("\n## ")[0])[1:]:
        asked, _, solution = exercise.partition("<details>")
        given = {_spelt(abs(value_of(number))) for number in _DIGITS.findall(asked)}
        for words in held:
            solution = words.sub(lambda match: re.sub(r"\d", " ", match[0]), solution)
        for number, context in numbers_in(left(solution)):
            value = 0 if number[-1].isalpha() else abs(value_of(number))
            if value not in (0, 1, 2) and _spelt(value) not in given:
                yield number, context


def _run(cells: list[Any]) -> Iterator[str]:
    """The code before the next words."""
    for cell in cells:
        if cell.cell_type == "markdown":
            return
        yield cell.source


def _misnamed(text: str, trees: list[ast.Module]) -> Iterator[tuple[str, str]]:
    """Values of η and λ, and numbers of seeds, of which the code beside sets others only."""
    text = re.sub(r"`[^`]*`|\{\{.*?\}\}", lambda match: " " * len(match[0]), text, flags=re.DOTALL)
    bound: dict[str, set[str]] = {}
    for tree in trees:
        for name, node in _bindings(tree):
            bound.setdefault(name, set()).update(map(_spelt, _values(node)))
    for kind, words in _NAMED.items():
        known = set[str]().union(*(bound.get(name, set()) for name in _CALLED.get(kind, {kind})))
        for match in words.finditer(text):
            number = next(filter(None, match.groups()))
            value = _SPELT_OUT.get(number.lower()) or value_of(number)
            if known and value and _spelt(value) not in known:
                yield number, _around(text, match)


def _bindings(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Names that code gives values: of variables, arguments, keys and loops; and ``seeds(n)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from _unpacked(node.targets[0], node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            rows = node.iter.elts if isinstance(node.iter, ast.Tuple | ast.List) else [node.iter]
            for row in rows:
                yield from _unpacked(node.target, row)
        else:
            yield from _given(node)


def _given(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a call, a dictionary or a function's defaults give by name."""
    if isinstance(node, ast.keyword):
        yield str(node.arg), node.value
    elif isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        yield from ((str(key), value) for key, value in zip(keys, node.values, strict=True))
    elif isinstance(node, ast.arguments):
        named = [*node.posonlyargs, *node.args]
        last = named[len(named) - len(node.defaults) :]
        yield from ((each.arg, value) for each, value in zip(last, node.defaults, strict=True))
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "seeds":
        yield "seeds", node.args[0]


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.AST]]:
    """The names of an assignment with what each gets, as far as it is written there."""
    several = ast.Tuple | ast.List
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, several) and isinstance(value, several):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _unpacked(one, other)


# ---- a chapter -------------------------------------------------------------------------------------
@cache
def _table(name: str) -> dict[str, object]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def said(kind: str, chapter: int) -> list[str]:
    """What the rows of a list say of a chapter: ``"direction"`` or ``"exercise"``."""
    rows: list[dict[str, Any]] = _table(f"{kind}s.toml")[kind]  # type: ignore[assignment]
    own = [row["says"] for row in rows if row["chapter"] == chapter]
    return [words for says in own for words in ([says] if isinstance(says, str) else says)]


def tried(chapter: int) -> list[re.Pattern[str]]:
    """What exercises.toml says of a chapter's solutions, their numbers filled in by a test."""
    return [pattern(words) for words in said("exercise", chapter)]


def in_one_place(patterns: list[re.Pattern[str]], texts: list[str]) -> list[re.Pattern[str]]:
    """Those that match once in a chapter: "from {} to {}" would cover any sentence."""
    return [each for each in patterns if sum(len(each.findall(text)) for text in texts) == 1]


def pattern(says: str) -> re.Pattern[str]:
    """Words that are tried, with anything in their places, over line ends."""
    pieces, end = [], 0
    for place in places(says):
        pieces += [re.escape(says[end : place.start]), r"\S+?"]
        end = place.end
    pieces.append(re.escape(says[end:]))
    return re.compile("".join(pieces).replace(r"\ ", r"\s+"))


def literal(says: str) -> re.Pattern[str]:
    """Words as a source has them, over line ends."""
    return re.compile(re.escape(says).replace(r"\ ", r"\s+"))


def excepted(chapter: str) -> list[str]:
    """Phrases whose numbers are measured by nobody, from unbound.toml."""
    rows = _table("unbound.toml").get(chapter[:2], {})
    return [*rows]  # type: ignore[misc]


def unbound(source: Path, excepting: bool = True) -> list[Found]:
    """The numbers in a chapter's words that nothing binds, in order; or with the exceptions."""
    settings, chapter = settings_of(source), source.stem
    phrases = excepted(chapter) if excepting else []
    covered = in_one_place(tried(int(chapter[:2])), [*words_of(source)])

    def left(text: str) -> str:
        """A text without what is tried, and without exceptions."""
        for said in covered:
            text = said.sub(lambda match: re.sub(r"\d", " ", match[0]), text)
        for phrase in phrases:
            text = re.sub(pattern(phrase), lambda match: re.sub(r"\w", " ", match[0]), text)
        return text

    found = []
    for text in map(left, words_of(source)):
        for number, context in numbers_in(text):
            if number[-1].isalpha() or not _set(number, settings):
                found.append(Found(chapter, number, context))
    ratios = [each for text in map(left, prose_of(source)) for each in ratios_in(text)]
    found += [Found(chapter, *each) for each in ratios]
    found += [Found(chapter, *each) for each in _more(source, left)]
    return list(dict.fromkeys(found))


def _more(source: Path, left: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """What the rules find that look at more than a number and its chapter's settings."""
    yield from far(source, left)
    yield from spelt(source, left)
    yield from in_solutions(source, left)
    yield from by_hand(source)


def main() -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only chapters whose name holds one of these")
    asked = parser.parse_args()
    sources = sorted(SOURCE.glob("[0-9]*.py"))
    wanted = [s for s in sources if not asked.words or any(w in s.stem for w in asked.words)]
    found = [each for source in wanted for each in unbound(source)]
    print(*found, f"{len(found)} numbers that nothing binds", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
