"""What the chapters say is what was computed again, by code that shares nothing with them."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from book.execute import NOTEBOOKS
from book.running.cells import code_cells, read
from l2lib.claims import MIME
from tests import again
from tests.again import Sheet, contradictions, functions, results, sheets
from tests.again import __main__ as again_main

CHAPTERS = sorted({sheet.chapter for sheet in sheets()})
OWN = ("l2lib", "notebooks", "book", "course", "experiments")


def outputs(chapter: int) -> list[nbformat.NotebookNode]:
    notebook = read(next(NOTEBOOKS.glob(f"{chapter:02d}_*.ipynb")))
    return [output for cell in code_cells(notebook) for output in cell.outputs]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_what_was_computed_again(chapter: int) -> None:
    assert contradictions(chapter, outputs(chapter)) == []
    own = [sheet for sheet in sheets() if sheet.chapter == chapter]
    assert [each.id for each in own if each.of_book(outputs(chapter)) is None] == []


def test_every_sheet_has_a_function_and_a_result() -> None:
    ids = [sheet.id for sheet in sheets()]
    assert Counter(ids).most_common(1)[0][1] == 1
    assert {name for chapter in CHAPTERS for name in functions(chapter)} == {*ids}
    assert results().keys() == {*ids}


def test_every_chapter_has_its_headline_numbers() -> None:
    counts = Counter(sheet.chapter for sheet in sheets())
    written = {int(path.name[:2]) for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    assert counts.keys() == written
    assert all(counts[chapter] >= 5 for chapter in written - {0})  # chapter 0 has one experiment


SECOND_WAYS = [
    *sorted(again.HERE.glob("chapter_*.py")),
    *sorted((again.HERE.parent / "twice").glob("[a-z]*.py")),
]
SHARED = {"tests.again", "tests.twice"}  # what second ways have in common, looked at here as well


@pytest.mark.parametrize("path", SECOND_WAYS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_it_shares_nothing_with_the_book(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    roots = {name.partition(".")[0] for name in names}
    assert roots & {*OWN} == set()
    assert [name for name in names if name.startswith("tests") and name not in SHARED] == []


def test_a_number_beyond_its_tolerance_contradicts(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = Sheet("09-a", 9, "___", "", 0.1, "09-b", 1, statistical=True)
    monkeypatch.setattr(again, "sheets", lambda: (sheet,))
    monkeypatch.setattr(again, "results", lambda: {"09-a": 1.0})
    rows = [
        {"kind": "claim", "id": "09-b", "measured": "7"},
        {"kind": "verdict", "id": "09-b"},
        {"kind": "claim", "id": "09-b", "measured": "1.05"},
    ]
    shown = [{"data": {MIME: row}} for row in rows]
    assert contradictions(9, shown) == []
    rows[2]["measured"] = "1.15"
    assert contradictions(9, shown) == ["09-a: the book has 1.15, computed again 1 ± 0.1"]
    rows[2]["measured"] = "111 %"
    assert contradictions(9, shown) == ["09-a: the book has 1.11, computed again 1 ± 0.1"]
    assert sheet.of_book(shown[:2]) is None


def test_the_tool_computes_again_and_compares() -> None:
    command = [sys.executable, "-m", "tests.again", "00-start"]
    done = subprocess.run(command, cwd=again.HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("1 numbers computed again, 0 wrong; not computed: none\n")


@pytest.mark.parametrize(
    ("sheet", "off", "right"),
    [
        ("11-span", 1e-7, True),
        ("11-span", 1e-4, False),
        ("11-rms", 1e-4, True),
        ("11-rms", 0.02, False),
    ],
)
def test_what_is_kept_may_be_off_by_rounding_alone(sheet: str, off: float, right: bool) -> None:
    """A determined number keeps its digits; a mean over seeds may lose a tenth of its tolerance."""
    (own,) = [each for each in sheets() if each.id == sheet]
    value = again_main.of_book(own)
    assert (again_main.verdict(own, value, value * (1 + off)) == "") == right
