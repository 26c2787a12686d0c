"""What is wrong with a cell that has run: an error, or outputs that are not the stored ones, by nbval's own rule."""

import copy
import types
from typing import Any

from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, coalesce_streams

from book.running.cells import Ran
from tests.planted.outcomes import Failure, describe, shorten

_UNCOMPARED = (
    *("metadata", "traceback", "prompt_number", "output_type", "name", "execution_count"),
    *("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"),
)
"""What nbval does not compare."""


def difference(stored: list[NotebookNode], found: list[NotebookNode]) -> str:
    """How a cell's outputs differ from the stored ones, in nbval's words; empty if they do not."""
    colours = types.SimpleNamespace(OKBLUE="", FAIL="", ENDC="")
    said: list[str] = []
    cell: Any = types.SimpleNamespace(parent=types.SimpleNamespace(skip_compare=_UNCOMPARED), colors=colours)
    cell.sanitize = lambda value: value
    cell.format_output_compare = lambda key, left, right: said.append(f"{key}: {left!r} is now {right!r}")
    if IPyNbCell.compare_outputs(cell, *(coalesce_streams(copy.deepcopy(outputs)) for outputs in (found, stored))):
        return ""
    return " ".join([*said, *cell.comparison_traceback])


def failure_of(where: str, ran: Ran, stored: list[NotebookNode]) -> Failure | None:
    """What is wrong with a cell: an error, or outputs that are not the stored ones."""
    if ran.error is not None:
        return describe(where, ran.error)
    if words := difference(stored, ran.outputs):
        return Failure(where, "output", shorten(words))
    return None
