"""Answers in new, split, merged and re-typed cells: they are shown, and what is said of them is true."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course.grading import places, report
from course.grading.places import PLACEHOLDER, defines, in_words
from course.grading.problems import Problems, load
from course.grading.results import Result, Row, Status
from course.grading.submissions import read
from course.problem_sets import RELEASE, SOURCES

SETS = {path.stem: load(path) for path in sorted(SOURCES.glob("*.py"))}
ANSWERS = [(name, answer) for name, problems in SETS.items() for answer in problems.by_hand]
WORDS = "The penalty's gradient is λw, so **each step** shrinks w.\n\nThat is all."
HALVES = WORDS.split("\n\n")
Cells = list[Any]


def released(name: str) -> Any:
    return nbformat.read(RELEASE / f"{name}.ipynb", as_version=4)


def place(cells: Cells, answer: str) -> int:
    (number,) = (i for i, cell in enumerate(cells) if marks(cell).get("grade_id") == answer)
    return number


def marks(cell: Any) -> Any:
    return cell.metadata.get("nbgrader", {})


def found(tmp_path: Path, name: str, notebook: Any, answer: str) -> places.Answer:
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    return in_words(answer, SETS[name], read(str(tmp_path / f"{name}.ipynb")).cells)


# ---- what students do with the cell of an answer in words ----------------------------------
def answered(cells: Cells, at: int) -> None:
    cells[at].source = WORDS


def left(cells: Cells, at: int) -> None:
    """Nothing is done."""


def emptied(cells: Cells, at: int) -> None:
    cells[at].source = " \n"


def new_below(cells: Cells, at: int) -> None:
    cells.insert(at + 1, new_markdown_cell(WORDS))


def new_below_emptied(cells: Cells, at: int) -> None:
    emptied(cells, at)
    new_below(cells, at)


def new_above(cells: Cells, at: int) -> None:
    cells.insert(at, new_markdown_cell(WORDS))


def new_two(cells: Cells, at: int) -> None:
    cells[at + 1 : at + 1] = [new_markdown_cell(half) for half in HALVES]


def new_code(cells: Cells, at: int) -> None:
    cells.insert(at + 1, new_code_cell(WORDS))


def split(cells: Cells, at: int) -> None:
    """The second half has no metadata."""
    cells[at].source = HALVES[0]
    cells.insert(at + 1, new_markdown_cell(HALVES[1]))


def split_with_metadata(cells: Cells, at: int) -> None:
    cells.insert(at, copy.deepcopy(cells[at]))
    cells[at].source, cells[at + 1].source = HALVES


def gone(cells: Cells, at: int) -> None:
    del cells[at]


def replaced(cells: Cells, at: int) -> None:
    cells[at] = new_markdown_cell(WORDS)


def merged_with_the_text_above(cells: Cells, at: int) -> None:
    """As in JupyterLab the metadata of the first remain."""
    cells[at - 1].source += f"\n\n{WORDS}"
    del cells[at]


def merged_with_the_text_below(cells: Cells, at: int) -> None:
    below = cells.pop(at + 1).source if at + 1 < len(cells) else ""
    cells[at].source = f"{WORDS}\n\n{below}"


def empty_and_merged_with_the_text_below(cells: Cells, at: int) -> None:
    merged_with_the_text_below(cells, at)
    cells[at].source = cells[at].source.replace(WORDS, PLACEHOLDER)


def retyped(kind: str) -> Callable[[Cells, int], None]:
    def change(cells: Cells, at: int) -> None:
        new = nbformat.v4.new_raw_cell if kind == "raw" else new_code_cell
        cells[at] = new(WORDS, metadata=cells[at].metadata)

    change.__name__ = f"retyped_{kind}"
    return change


def without_metadata(cells: Cells, at: int) -> None:
    answered(cells, at)
    for cell in cells:
        cell.metadata = {}


def without_metadata_and_reversed(cells: Cells, at: int) -> None:
    without_metadata(cells, at)
    cells.reverse()


BESIDE = "With the text of a cell beside it."
EMPTY = "The cell for this answer is empty; the text is from a cell beside it."
GONE = "The cell for this answer is gone; the text is what stands in its place."
DONE = {
    answered: "",
    new_below: EMPTY,
    new_below_emptied: EMPTY,
    new_above: EMPTY,
    new_two: EMPTY,
    new_code: EMPTY,
    split: BESIDE,
    split_with_metadata: "",
    replaced: GONE,
    merged_with_the_text_above: GONE,
    merged_with_the_text_below: "",
    retyped("raw"): "",
    retyped("code"): "",
    without_metadata: GONE,
}
NOT_DONE = {
    left: "Left empty.",
    emptied: "Left empty.",
    empty_and_merged_with_the_text_below: "Left empty.",
    gone: "The cell for this answer is gone: look in the notebook.",
}


def place_of(name: str, answer: str) -> int:
    return place(released(name).cells, answer)


def fits(change: Callable[[Cells, int], None], name: str, answer: str) -> bool:
    """Whether the cell above is text, where a change needs one."""
    return change is not merged_with_the_text_above or not marks(
        released(name).cells[place_of(name, answer) - 1]
    )


@pytest.mark.parametrize(
    ("change", "name", "answer"),
    [
        pytest.param(change, *which, id=f"{change.__name__}-{'-'.join(which)}")
        for change in (DONE | NOT_DONE)
        for which in ANSWERS
        if fits(change, *which)
    ],
)
def test_an_answer_is_found_and_what_is_said_is_true(
    tmp_path: Path, change: Callable[[Cells, int], None], name: str, answer: str
) -> None:
    notebook = released(name)
    at = place(notebook.cells, answer)
    change(notebook.cells, at)
    text, reason = found(tmp_path, name, notebook, answer)
    assert text == (WORDS if change in DONE else "")
    assert reason == (DONE | NOT_DONE)[change]
    for other in SETS[name].by_hand if change in (new_below, without_metadata) else ():
        # nothing is said of the others
        if other != answer and place_of(name, other) not in neighbours(name, answer):
            apart = "gone" if change is without_metadata else "Left empty."
            assert apart in found(tmp_path, name, notebook, other).reason


def neighbours(name: str, answer: str) -> tuple[int, int]:
    at = place_of(name, answer)
    return at - 1, at + 1


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_text_elsewhere_is_no_part_of_an_answer(tmp_path: Path, name: str, answer: str) -> None:
    notebook = released(name)
    at = place(notebook.cells, answer)
    for number in reversed(range(len(notebook.cells) + 1)):
        if number not in (at, at + 1):
            notebook.cells.insert(number, new_markdown_cell("A note of mine."))
    text, reason = found(tmp_path, name, notebook, answer)
    assert (text, reason) == ("", "Left empty.")


def test_code_beside_an_answer_in_words_is_not_taken_for_it(tmp_path: Path) -> None:
    notebook = released("ps1")
    at = place(notebook.cells, "q4-units-derive")
    notebook.cells[at].source = WORDS
    notebook.cells.insert(at + 1, new_code_cell("print(2 + 2)"))
    assert found(tmp_path, "ps1", notebook, "q4-units-derive") == (WORDS, "")


@pytest.mark.parametrize("change", [new_below, new_above])
def test_cells_in_another_order_are_shown_where_they_touch(
    tmp_path: Path, change: Callable[[Cells, int], None]
) -> None:
    notebook = released("ps1")
    change(notebook.cells, place(notebook.cells, "q4-units-derive"))
    notebook.cells.reverse()
    assert found(tmp_path, "ps1", notebook, "q4-units-derive") == (WORDS, EMPTY)


def test_the_page_shows_what_the_table_speaks_of(tmp_path: Path) -> None:
    notebook = released("ps1")
    new_below(notebook.cells, place(notebook.cells, "q4-units-derive"))
    text, reason = found(tmp_path, "ps1", notebook, "q4-units-derive")
    row = Row("q4-units-derive", None, 3.0, Status.BY_HAND, reason, text)
    page, table = (made(Result("ann", "ps1", (row,))) for made in (report.feedback, one_line))
    assert EMPTY in page
    assert "each step** shrinks w" in page
    assert EMPTY.replace(";", ",") in table  # no spreadsheet splits it


def one_line(result: Result) -> str:
    return report.table([result])


# ---- answers that tests ask for ------------------------------------------------------------
def first(problems: Problems) -> str:
    return problems.tests[0].needs[0]


@pytest.mark.parametrize("name", SETS)
def test_code_in_a_cell_that_is_not_run_is_named(tmp_path: Path, name: str) -> None:
    """In a Markdown cell of the answer's own id or of none; in a test's cell; in a given cell."""
    problems = SETS[name]
    asked = first(problems)
    code = f"def {asked}(*args):\n    return 1"
    kinds = {"markdown": "a Markdown cell", "raw": "no code cell"}
    for kind, said in kinds.items():
        for given in (True, False):
            notebook = released(name)
            at = next(i for i, cell in enumerate(notebook.cells) if defines(cell.source, asked))
            cell = notebook.cells[at]
            metadata = cell.metadata if given else {}
            new = new_markdown_cell if kind == "markdown" else nbformat.v4.new_raw_cell
            notebook.cells[at] = new(f"```python\n{code}\n```", metadata=metadata)
            where = sought(tmp_path, name, notebook, asked)
            assert where.startswith("the cell that begins with “```python” defines it, but is ")
            assert f"{said}: write it in a code cell of its own" in where
    notebook = released(name)
    test = place(notebook.cells, problems.tests[0].id)
    notebook.cells[test].source += f"\n\n{code}"
    assert "the cell of a test, which is not run" in sought(tmp_path, name, notebook, asked)


def sought(tmp_path: Path, name: str, notebook: Any, asked: str) -> str:
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    return places.not_run(asked, SETS[name], read(str(tmp_path / f"{name}.ipynb")).cells)


@pytest.mark.parametrize("name", SETS)
def test_of_what_was_given_nothing_is_said(tmp_path: Path, name: str) -> None:
    notebook = released(name)
    for test in SETS[name].tests:
        for asked in test.needs:
            assert sought(tmp_path, name, notebook, asked) == ""


def test_a_given_cell_with_an_answer_in_it_is_named(tmp_path: Path) -> None:
    notebook = released("ps1")
    at = place(notebook.cells, "q6-data")
    notebook.cells[
        at
    ].source += "\n\ndef leave_group_out(X, y, weight_decay, groups):\n    return y"
    assert "a given cell, which is run as it was given" in sought(
        tmp_path, "ps1", notebook, "leave_group_out"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def norms(w):", True),
        ("    def norms(w):", True),
        ("> def norms(w):", True),
        ("async def norms(w):", True),
        ("class norms:", True),
        ("norms = [1]", True),
        ("norms: list[int] = [1]", True),
        ("a, norms = 1, 2", True),
        ("norms == 2", False),
        ("f(norms=2)", False),
        ("x = norms", False),
        ("# norms = 2", False),
        ("my_norms = 2", False),
        ("def norms_of(w):", False),
        ("the norms are large", False),
    ],
)
def test_what_defines_a_name(code: str, expected: bool) -> None:
    assert defines(f"import x\n{code}\n", "norms") is expected
