"""Numbers in sentences come from the kernel: a source says which, an executed notebook shows them.

In the Markdown of a source a place such as ``{{error.mean():.3g}}`` holds what would stand between
the braces of an f-string. It is evaluated where it stands, after the code above it; a place that
begins with ``below:`` as soon as a cell below has bound what it names. The executed notebook has
the number in its place, so that GitHub, JupyterLab and the HTML book show plain text, and keeps the
source's words in the cell's metadata, so that nothing is lost on the way back.

TeX needs no two braces in a row: write ``{ {`` where it does.
"""

import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import Match, SequenceMatcher
from typing import Any, NamedTuple

from nbformat import NotebookNode

from book.names import Names

KEY = "numbers"
"""Of a Markdown cell's metadata, in an executed notebook."""

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_BELOW = re.compile(r"\s*below:\s*")
_POWER = re.compile(r"(-?[\d.]+)e([+-]?)0*(\d+)")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class SentenceError(ValueError):
    """A place in a sentence gives no number; the message says which and why."""


class Place(NamedTuple):
    """A place in a text: where it begins and ends, and what is asked for."""

    start: int
    end: int
    words: str
    """What stands between the braces, without ``below:``."""
    below: bool

    @property
    def code(self) -> str:
        """Python that gives the text to show."""
        return f'f"""{{{self.words}}}"""'


def places(text: str) -> list[Place]:
    """The places of a text, in order.

    Args:
        text: Markdown of a source.

    Returns:
        A place for each pair of double braces.

    Raises:
        SentenceError: if what stands in one is no Python.
    """
    found = []
    for match in _PLACE.finditer(text):
        words = match[1].strip()
        begins = _BELOW.match(words)
        place = Place(*match.span(), words[begins.end() :] if begins else words, bool(begins))
        try:
            ast.parse(place.code, mode="eval")
        except SyntaxError as error:
            todo = "write what an f-string takes between its braces, and { { in TeX"
            raise SentenceError(f"{match[0]} is no Python: {error.msg}; {todo}") from None
        found.append(place)
    return found


def filled(text: str, values: Sequence[str]) -> str:
    """A text with its numbers in their places; powers of ten as the prose around them has them."""
    return "".join(_pieces(text, values))


def _pieces(text: str, values: Sequence[str]) -> list[str]:
    """Words and numbers in turns; words come first and last."""
    pieces, end = [], 0
    for place, value in zip(places(text), values, strict=True):
        pieces.append(text[end : place.start])
        in_formula = text[: place.start].count("$") % 2 == 1
        pieces.append(_written(value, in_formula))
        end = place.end
    return [*pieces, text[end:]]


def _written(value: str, in_formula: bool) -> str:
    power = _POWER.fullmatch(value)
    if not power:
        return value
    number, sign, exponent = power[1], power[2].strip("+"), power[3]
    if in_formula:
        return rf"{number}\cdot10^{{{sign}{exponent}}}"
    return f"{number}·10{(sign + exponent).translate(_RAISED)}"


# ---- a notebook and its source -------------------------------------------------------------------
def template(cell: NotebookNode) -> str:
    """The text of a Markdown cell with its places, executed or not."""
    return str(cell.metadata.get(KEY, {}).get("template", cell.source))


def stored(notebook: NotebookNode) -> dict[str, str]:
    """The numbers that an executed notebook shows, by place."""
    return {
        _name(number, order): value
        for number, cell in _texts(notebook)
        for order, value in enumerate(cell.metadata.get(KEY, {}).get("values", []))
    }


def fill(notebook: NotebookNode, values: Mapping[str, str]) -> None:
    """Put numbers in their places in the cells of a source, which keep their places' words."""
    for number, cell in _texts(notebook):
        text = template(cell)
        if there := places(text):
            own = [values[_name(number, order)] for order in range(len(there))]
            cell.metadata[KEY] = {"template": text, "values": own}
            cell.source = filled(text, own)


def emptied(notebook: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook with its source's words, and a writer's changes to the rest.

    Args:
        notebook: executed, perhaps edited since.

    Returns:
        The notebook as its source has it.

    Raises:
        SentenceError: if a number was changed where it is shown: it comes from the code.
    """
    notebook = copy.deepcopy(notebook)
    for _, cell in _texts(notebook):
        if kept := cell.metadata.pop(KEY, None):
            cell.source = _merged(kept["template"], kept["values"], cell.source)
    return notebook


def problems(notebook: NotebookNode) -> list[str]:
    """Cells of an executed notebook whose text is not their source's with the numbers in place."""
    return [
        f"cell {number}: its text is not its source's with the stored numbers; run `make notebooks`"
        for number, cell in _texts(notebook)
        if (kept := cell.metadata.get(KEY))
        if cell.source != filled(kept["template"], kept["values"])
    ]


def _texts(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    return ((n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "markdown")


def _name(cell: int, order: int) -> str:
    return f"{cell}.{order}"


def _merged(text: str, values: Sequence[str], shown: str) -> str:
    """The source of a cell that shows ``shown`` now, where it showed ``text`` with its numbers."""
    was = _pieces(text, values)
    kept = SequenceMatcher(None, "".join(was), shown, autojunk=False).get_matching_blocks()
    merged, end, begin = [], 0, 0
    for place, words, number in zip(places(text), was[::2], was[1::2], strict=False):
        begin += len(words)
        around = [block for block in kept if _holds(block, begin, begin + len(number))]
        if not around:
            todo = "change the code, or in the source what stands between the braces"
            raise SentenceError(f"the number {number} was changed or removed in {shown!r}; {todo}")
        start = begin + around[0].b - around[0].a
        merged += [shown[end:start], text[place.start : place.end]]
        begin, end = begin + len(number), start + len(number)
    return "".join([*merged, shown[end:]])


def _holds(block: Match, start: int, end: int) -> bool:
    return block.a <= start and end <= block.a + block.size


# ---- a chapter that runs ------------------------------------------------------------------------
class _Waiting(NamedTuple):
    place: Place
    since: int
    """Index of the code cell after which it can first be asked for."""


class Sentences:
    """The places of a chapter, as its code cells run: what to ask the kernel, and when.

    Args:
        notebook: from a source, or executed.
    """

    def __init__(self, notebook: NotebookNode) -> None:
        self._codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        self._waiting: dict[str, _Waiting] = {}
        above = -1
        for number, cell in enumerate(notebook.cells):
            above += cell.cell_type == "code"
            if cell.cell_type == "markdown":
                for order, place in enumerate(places(template(cell))):
                    since = self._bound_below(place, above) if place.below else max(above, 0)
                    self._waiting[_name(number, order)] = _Waiting(place, since)

    def _bound_below(self, place: Place, above: int) -> int:
        """The first code cell below that binds one of a place's names."""
        takes = Names(place.code).takes
        for number, code in enumerate(self._codes[above + 1 :], above + 1):
            names = Names(code)
            if takes & (names.gives | names.changes):
                return number
        raise SentenceError(f"{{{{below: {place.words}}}}}: no cell below binds any of its names")

    def asked(self, after: int) -> dict[str, str]:
        """Expressions to evaluate after this code cell, by place."""
        last = after == len(self._codes) - 1
        return {
            name: each.place.code
            for name, each in self._waiting.items()
            if each.since == after or (each.since < after and (each.place.below or last))
        }

    def heard(self, after: int, answers: Mapping[str, Any]) -> dict[str, str]:
        """What the kernel answered, in the form of Jupyter's ``user_expressions``.

        Returns:
            Texts to show, by place.

        Raises:
            SentenceError: if an expression failed; one that looks below may wait for more cells.
        """
        found = {}
        last = after == len(self._codes) - 1
        for name, answer in answers.items():
            place, _ = self._waiting[name]
            if answer["status"] == "ok":
                found[name] = _finite(place, ast.literal_eval(answer["data"]["text/plain"]))
                del self._waiting[name]
            elif last or not (place.below and answer["ename"] == "NameError"):
                why = f"{answer['ename']}: {answer['evalue']}"
                todo = (
                    "; write {{below: …}} to look ahead" if answer["ename"] == "NameError" else ""
                )
                raise SentenceError(f"{{{{{place.words}}}}} gives no number: {why}{todo}")
        return found


def _finite(place: Place, text: str) -> str:
    """What a place shows, unless it is the text of no number."""
    if text.strip().lstrip("+-") in ("nan", "inf", "nan%", "inf%"):
        raise SentenceError(f"{{{{{place.words}}}}} gives no number: it is {text.strip()}")
    return text
