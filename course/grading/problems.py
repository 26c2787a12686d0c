"""Problem sets as their authors wrote them: tests, points, what is graded by hand, the reference solution."""

import ast
import builtins
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext

_NAME = re.compile(r"q\d+(-.*)?")


@dataclass(frozen=True)
class Check:
    """A test cell: what passing it gives, the names it asks the student for, the words its asserts may say."""

    id: str
    question: str
    points: float
    code: str
    needs: tuple[str, ...]
    messages: frozenset[str]


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook, of a source or of a submission."""

    kind: str
    id: str
    source: str


@dataclass(frozen=True)
class Problems:
    """A problem set."""

    name: str
    text: str
    tests: tuple[Check, ...]
    by_hand: dict[str, float]
    locked: dict[str, str]
    cells: tuple[Cell, ...]


def load(path: Path) -> Problems:
    """Read a source.

    Args:
        path: py:percent, with nbgrader's metadata and markers.

    Returns:
        The problem set; its name is the file's.

    Raises:
        ValueError: if it has nothing to grade, or a graded cell has no question or no points.
    """
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    tests, by_hand, locked, cells = [], {}, {}, []
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        name, graded, solution = marks.get("grade_id", ""), marks.get("grade", False), marks.get("solution", False)
        cells.append(Cell(cell.cell_type, name, cell.source))
        if graded and not (_NAME.fullmatch(name) and marks.get("points", 0) > 0):
            raise ValueError(f"{path}: the graded cell {name!r} needs points, and an id like q1-name-check")
        if graded and solution:
            by_hand[name] = float(marks["points"])
        elif graded:
            tests.append(_test(name, float(marks["points"]), cell.source))
        elif marks.get("locked") and cell.cell_type == "code" and not solution:
            locked[name] = cell.source
    if not tests and not by_hand:
        raise ValueError(f"{path}: no cell is marked as graded, so this is not the source of a problem set")
    return Problems(path.stem, text, tuple(tests), by_hand, locked, tuple(cells))


def load_all(folder: Path) -> dict[str, Problems]:
    """Read the sources in a folder.

    Args:
        folder: every file *.py in it is a source.

    Returns:
        The problem sets by name.

    Raises:
        ValueError: if there are none.
    """
    found = {path.stem: load(path) for path in sorted(folder.glob("*.py"))}
    if not found:
        raise ValueError(f"{folder}: no source of a problem set (*.py) is there")
    return found


def question_number(name: str) -> int:
    """The 3 of q3, and of q3-name-derive."""
    return int(name.partition("-")[0][1:])


def _test(name: str, points: float, code: str) -> Check:
    return Check(name, name.partition("-")[0], points, code, needs(code), messages(code))


def needs(code: str) -> tuple[str, ...]:
    """Names that a cell reads and does not define: what it asks of the student."""
    read: dict[str, None] = {}
    bound = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (read.setdefault(node.id) if isinstance(node.ctx, ast.Load) else bound.add(node.id))
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            bound.add(node.name or "")
    return tuple(name for name in read if name not in bound and not hasattr(builtins, name))


def messages(code: str) -> frozenset[str]:
    """The constant messages of a cell's asserts."""
    found = [node.msg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
    return frozenset(node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str))
