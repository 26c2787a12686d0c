"""The cells of a chapter that a piece of code needs, and how they are run without a kernel."""

from typing import Any

from book.names import Names


def needed(cells: list[str], last: str) -> list[str]:
    """Those cells, in order, that define what the last piece of code uses, and what they use themselves."""
    names, later, kept = [Names(cell) for cell in (*cells, last)], set[str](), list[int]()
    while True:
        wanted, kept = set[str](), []
        for i, cell in reversed([*enumerate(names)]):
            if i == len(cells) or (cell.gives | cell.changes) & (wanted | later):
                kept.insert(0, i)
                wanted = wanted - cell.gives | cell.takes
        if later >= (more := set().union(*(names[i].later for i in kept))):
            return [(*cells, last)[i] for i in kept]
        later |= more


def run(cells: list[str], names: dict[str, Any]) -> None:
    """Execute cells as a notebook does."""
    for cell in cells:
        exec(compile(cell, "<cell>", "exec"), names)
