"""What is wrong with a cell that has run: an error, or outputs that are not the stored ones, by
nbval's own rule.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, coalesce_streams

from book.running.cells import Ran
from tests.planted.outcomes import Failure, Kind, describe, shorten

_UNCOMPARED = (
    *("metadata", "traceback", "prompt_number", "output_type", "name", "execution_count"),
    *("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"),
)
"""What nbval does not compare."""


class _Colours(NamedTuple):
    """None: what nbval's words are coloured with."""

    OKBLUE: str = ""
    FAIL: str = ""
    ENDC: str = ""


@dataclass
class _Notebook:
    """As much of nbval's notebook as its rule reads."""

    skip_compare: tuple[str, ...] = _UNCOMPARED


@dataclass
class _Cell:
    """As much of nbval's cell as its rule reads, and what the rule says."""

    parent: _Notebook = field(default_factory=_Notebook)
    colors: _Colours = field(default_factory=_Colours)
    said: list[str] = field(default_factory=list)
    comparison_traceback: list[str] = field(default_factory=list)

    def sanitize(self, value: str) -> str:
        """Nothing is left out."""
        return value

    def format_output_compare(self, key: str, left: str, right: str) -> None:
        """A difference, in words."""
        self.said.append(f"{key}: {left!r} is now {right!r}")


def difference(stored: list[NotebookNode], found: list[NotebookNode]) -> str:
    """How a cell's outputs differ from the stored ones, in nbval's words; empty if they do not."""
    cell: Any = _Cell()
    whole = [coalesce_streams(copy.deepcopy(outputs)) for outputs in (found, stored)]
    if IPyNbCell.compare_outputs(cell, *whole):
        return ""
    return " ".join([*cell.said, *cell.comparison_traceback])


def failure_of(where: str, ran: Ran, stored: list[NotebookNode]) -> Failure | None:
    """What is wrong with a cell: an error, or outputs that are not the stored ones."""
    if ran.error is not None:
        return describe(where, ran.error)
    if words := difference(stored, ran.outputs):
        return Failure(where, Kind.OUTPUT, shorten(words))
    return None
