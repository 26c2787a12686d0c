"""Where answers stand that are not where they were given: in new, split, merged and re-typed cells.

A cell that was given is known by its id; one without an id, by its text. What else has text is the
student's own, and stands between two given cells: an answer in words that is missing there, or goes
on there, is shown with it. A definition in a cell that is not run is named.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from course.grading.problems import Cell, Problems

PLACEHOLDER = "YOUR ANSWER HERE"
FIRST = 60  # characters of a cell that a reason shows


class Answer(NamedTuple):
    """An answer in words, for the person who reads it."""

    text: str
    reason: str


class _Own(NamedTuple):
    """What a student has written into a cell that was not given, or beside the text of one."""

    number: int
    kind: str
    text: str
    above: int
    """Number, in the source, of the last given cell above."""
    below: int
    """Of the first given cell below."""

    def stands_at(self, given: int) -> bool:
        """Whether it stands where a cell of the source stood, or next to it."""
        if self.above < self.below:
            return self.above <= given <= self.below
        return given in (self.above, self.below)  # the cells have another order


# ---- answers that people read ----------------------------------------------------------------
def in_words(name: str, problems: Problems, cells: Sequence[Cell]) -> Answer:
    """An answer that a person reads, with what the student has written beside its cell.

    Args:
        name: id of the cell that was given for it.
        problems: the set.
        cells: the notebook's.

    Returns:
        All that the student has written there, and what is to be known of where it stood.
    """
    there = [number for number, cell in enumerate(cells) if cell.id == name]
    parts = {number: _without_given(cells[number].source, problems) for number in there}
    written = {number: text for number, text in parts.items() if text}
    place = next(i for i, cell in enumerate(problems.cells) if cell.id == name)
    own = [each for each in _own(problems, cells) if each.stands_at(place)]
    prose = [each for each in own if each.kind != "code"]
    beside = prose or ([] if written else own)
    texts = written | {each.number: each.text for each in beside}
    return Answer("\n\n".join(texts[n] for n in sorted(texts)), _where(there, written, beside))


def _where(there: Sequence[int], written: object, beside: object) -> str:
    if written:
        return "With the text of a cell beside it." if beside else ""
    if there:
        empty = "The cell for this answer is empty; the text is from a cell beside it."
        return empty if beside else "Left empty."
    if beside:
        return "The cell for this answer is gone; the text is what stands in its place."
    return "The cell for this answer is gone: look in the notebook."


def _own(problems: Problems, cells: Sequence[Cell]) -> list[_Own]:
    """What a student has written outside the cells that were given, in order."""
    ids = {cell.id: number for number, cell in enumerate(problems.cells) if cell.id}
    places = [ids[cell.id] if cell.id in ids else _given_in(cell, problems) for cell in cells]
    found = []
    for number, cell in enumerate(cells):
        text = "" if cell.id in ids else _without_given(cell.source, problems)
        if text:
            above = [place for place in places[: number + 1] if place is not None]
            below = [place for place in places[number + 1 :] if place is not None]
            first, last = (above or [-1])[-1], (below or [len(problems.cells)])[0]
            found.append(_Own(number, cell.kind, text, first, last))
    return found


def _given_in(cell: Cell, problems: Problems) -> int | None:
    """Number of the source's cell whose text stands in one without an id."""
    for number, given in _given(problems):
        same = cell.source.strip() == given
        if same or (cell.kind != "code" and given in cell.source):
            return number
    return None


def _given(problems: Problems) -> Iterator[tuple[int, str]]:
    """Texts that students get, in cells without an id; the longest first."""
    texts = [(i, cell.source.strip()) for i, cell in enumerate(problems.cells) if not cell.id]
    yield from sorted((each for each in texts if each[1]), key=lambda each: -len(each[1]))


def _without_given(text: str, problems: Problems) -> str:
    """What a student has written, of a cell that may hold given text as well."""
    if text.strip() in problems.locked.values():
        return ""
    for _, given in _given(problems):
        text = text.replace(given, "")
    return text.replace(PLACEHOLDER, "").strip()


# ---- answers that tests ask for --------------------------------------------------------------
def first_line(cell: Cell) -> str:
    """The beginning of a cell, by which a student finds it.

    Args:
        cell: of the notebook.

    Returns:
        Its first line, cut.
    """
    return cell.source.strip().partition("\n")[0][:FIRST]


def not_run(name: str, problems: Problems | None, cells: Sequence[Cell]) -> str:
    """Which cell defines a name and is not run, and what to do; empty if none does.

    Args:
        name: what a test asks for.
        problems: the set; None where all cells are as they were given.
        cells: the notebook's.

    Returns:
        Words that go on a sentence.
    """
    for cell in cells if problems is not None else ():
        if problems and (why := _left_out(cell, problems)) and defines(cell.source, name):
            return f"the cell that begins with “{first_line(cell)}” defines it, but is {why}"
    return ""


def _left_out(cell: Cell, problems: Problems) -> str:
    """Why what stands in a cell is not run, and what to do; empty where it is."""
    own = "write it in a code cell of its own"
    if cell.kind != "code":
        given = _without_given(cell.source, problems) == ""
        kind = "a Markdown cell" if cell.kind == "markdown" else "no code cell"
        return "" if given else f"{kind}: {own}"
    if cell.id in {test.id for test in problems.tests}:
        return f"the cell of a test, which is not run: {own}"
    if problems.locked.get(cell.id, cell.source).strip() != cell.source.strip():
        return f"a given cell, which is run as it was given: {own}"
    return ""


def definitions(name: str, problems: Problems | None, cells: Sequence[Cell]) -> int:
    """How many cells that are run define a name.

    Args:
        name: what a test asks for.
        problems: the set; None where all cells are as they were given.
        cells: the notebook's.

    Returns:
        Their number; the last of them counts.
    """
    tests = {test.id for test in problems.tests} if problems else set()
    run = [cell for cell in cells if cell.kind == "code" and cell.id not in tests]
    return sum(defines(cell.source, name) for cell in run)


def defines(code: str, name: str) -> bool:
    """Whether code gives a name its value at the beginning of a line, even if it does not compile.

    Args:
        code: of a cell, or a text with code in it.
        name: of a function, or of data.

    Returns:
        True for ``def name``, ``class name``, ``name = …`` and ``other, name = …``.

    Example:
        >>> defines("def penalty(w):", "penalty"), defines("a, norms = 1, 2", "norms")
        (True, True)
        >>> defines("f(norms=2)", "norms"), defines("norms == 2", "norms")
        (False, False)
    """
    word = rf"\b{re.escape(name)}\b"
    function = rf"^[ \t>]*(?:async[ \t]+)?(?:def|class)[ \t]+{word}"
    value = rf"^[^=\n#(]*{word}[^=\n(]*=(?!=)"
    return re.search(f"{function}|{value}", code, re.MULTILINE) is not None
