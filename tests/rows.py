"""What must be true of a chapter's names where its words stand: rows of directions.toml and numbers.toml.

A row of ``directions.toml`` holds words, such as which of two is larger; one of ``numbers.toml`` a
number that words show, which it computes a second way. ``tests/test_directions.py`` runs the cells that
the rows need; planted errors are tried against them, too.
"""

import ast
import builtins
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode

from book.execute import SOURCE, read_source
from book.names import Names
from book.sentences import places
from tests.unbound import words_in

HERE = Path(__file__).parent
CLOSE = 1e-9
"""How far two ways to compute a number may be apart, as a share of it, where its row does not say."""


class Row(NamedTuple):
    """What must be true in a chapter, and where."""

    chapter: int
    says: str
    """Words of its source, or the code of a number that they show."""
    check: str
    """Python that is true there."""
    shown: bool
    """Whether ``says`` is code of a number that is shown."""


class Cell(NamedTuple):
    """A code cell, with the rows to check after it has run."""

    code: str
    rows: tuple[Row, ...]


def joined(text: str) -> str:
    """Words on one line."""
    return " ".join(text.split())


def same(value: Any, again: Any, within: float) -> bool:
    """Whether a number that words show is the one computed a second way.

    Args:
        value: the number.
        again: computed a second way.
        within: how far they may be apart, as a share of the larger.
    """
    value, again = float(value), float(again)
    return bool(abs(value - again) <= within * max(abs(value), abs(again)))


@cache
def rows(chapter: int) -> tuple[Row, ...]:
    """All rows of a chapter."""
    return (*_directions(chapter), *_numbers(chapter))


def _directions(chapter: int) -> Iterator[Row]:
    for row in _table("directions.toml")["direction"]:
        if row["chapter"] == chapter:
            yield Row(chapter, row["says"], row["check"], shown=False)


def _numbers(chapter: int) -> Iterator[Row]:
    for row in _table("numbers.toml")["number"]:
        if row["chapter"] == chapter:
            pair = f"{row['value']}, {row['again']}, {row.get('within', CLOSE)}"
            value = ast.unparse(ast.parse(row["value"], mode="eval"))
            yield Row(chapter, value, f"same({pair})", shown=True)


def helpers(chapter: int) -> dict[str, Any]:
    """What checks may call besides a chapter's names, if it has a module in ``tests/twice``: that, and ``same``."""
    if not (HERE / f"twice/chapter_{chapter:02d}.py").exists():
        return {}
    return {"same": same, "twice": import_module(f"tests.twice.chapter_{chapter:02d}")}


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def chapters() -> list[int]:
    """The chapters that have rows."""
    tables = _table("directions.toml")["direction"], _table("numbers.toml")["number"]
    return sorted({row["chapter"] for table in tables for row in table})


@cache
def placed(chapter: int) -> tuple[Cell, ...]:
    """The code cells of a chapter, each with its rows: where the words stand, or their names are bound.

    Args:
        chapter: its number.

    Returns:
        A cell for each of the chapter's; none if it has no rows.
    """
    if not rows(chapter):
        return ()
    waiting, cells = [*rows(chapter)], list[Cell]()
    bound, text, shown = {*dir(builtins), *helpers(chapter)}, "", set[str]()
    for cell in read_source(next(SOURCE.glob(f"{chapter:02d}_*.py"))).cells:
        if cell.cell_type == "code":
            cells.append(Cell(cell.source, ()))
            bound |= Names(cell.source).gives
        text += " " + joined(" ".join(words_in(cell)))
        shown |= {*shown_in(cell)}
        if cells:
            there = [
                row
                for row in waiting
                if (row.says in shown if row.shown else joined(row.says) in text)
            ]
            ready = [row for row in there if Names(row.check).takes <= bound]
            cells[-1] = cells[-1]._replace(rows=(*cells[-1].rows, *ready))
            waiting = [row for row in waiting if row not in ready]
    return tuple(cells)


def shown_in(cell: NotebookNode) -> Iterator[str]:
    """The code of the numbers that a cell's words show, as ``ast.unparse`` writes it."""
    is_code = cell.cell_type == "code"
    for code in [cell.source] if is_code else [place.code for place in places(cell.source)]:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.FormattedValue):
                yield ast.unparse(node.value)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
                yield from map(ast.unparse, (*node.args, *(word.value for word in node.keywords)))


def without(chapter: int) -> list[str]:
    """The numbers that a chapter's words show and no row computes a second way, as code."""
    cells = read_source(next(SOURCE.glob(f"{chapter:02d}_*.py"))).cells
    shown = dict.fromkeys(code for cell in cells for code in shown_in(cell))
    computed = {row.says for row in rows(chapter) if row.shown}
    return [code for code in shown if code not in computed and Names(code).takes]


if __name__ == "__main__":
    for code in without(int(sys.argv[1])):
        print(code)
