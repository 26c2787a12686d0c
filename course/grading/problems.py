"""Problem sets as their authors wrote them: tests, points, what people grade, the solution."""

import ast
import builtins
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext

_NAME = re.compile(r"q\d+(-.*)?")


@dataclass(frozen=True)
class Check:
    """A test cell: what it gives, the names it asks the student for, what its asserts may say."""

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


@dataclass(frozen=True)
class _Marks:
    """What nbgrader's metadata say of a cell."""

    id: str
    graded: bool
    solution: bool
    locked: bool
    points: float


def _marks(cell: Any) -> _Marks:
    said = cell.metadata.get("nbgrader", {})
    return _Marks(
        id=said.get("grade_id", ""),
        graded=said.get("grade", False),
        solution=said.get("solution", False),
        locked=said.get("locked", False),
        points=float(said.get("points") or 0),
    )


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
    tests: list[Check] = []
    by_hand: dict[str, float] = {}
    locked: dict[str, str] = {}
    cells: list[Cell] = []
    for cell in jupytext.reads(text, fmt="py:percent").cells:
        marks = _marks(cell)
        cells.append(Cell(cell.cell_type, marks.id, cell.source))
        if marks.graded:
            _refuse_bad_marks(path, marks)
            if marks.solution:
                by_hand[marks.id] = marks.points
            else:
                tests.append(_test(marks.id, marks.points, cell.source))
        elif marks.locked and not marks.solution and cell.cell_type == "code":
            locked[marks.id] = cell.source
    if not tests and not by_hand:
        words = "no cell is marked as graded, so this is not the source of a problem set"
        raise ValueError(f"{path}: {words}")
    return Problems(path.stem, text, tuple(tests), by_hand, locked, tuple(cells))


def _refuse_bad_marks(path: Path, marks: _Marks) -> None:
    if not _NAME.fullmatch(marks.id) or marks.points <= 0:
        words = f"the graded cell {marks.id!r} needs points, and an id like q1-name-check"
        raise ValueError(f"{path}: {words}")


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
    nodes = list(ast.walk(ast.parse(code)))
    bound = {name for node in nodes for name in _bound(node)}
    read = dict.fromkeys(name for node in nodes for name in _read(node))
    return tuple(name for name in read if name not in bound and not hasattr(builtins, name))


def _read(node: ast.AST) -> tuple[str, ...]:
    """The name that a node reads."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return (name,)
    return ()


def _bound(node: ast.AST) -> tuple[str, ...]:
    """The name that a node defines."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return (name,)
        case ast.arg(arg=name):
            return (name,)
        case ast.alias(name=path, asname=name):
            return (name or path.partition(".")[0],)
        case (
            ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name))
        ):
            return (name,)
    return ()


def messages(code: str) -> frozenset[str]:
    """The constant messages of a cell's asserts."""
    found = [node.msg for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
    return frozenset(
        node.value
        for node in found
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
