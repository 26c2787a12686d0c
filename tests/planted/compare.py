"""What is wrong with a cell that has run: an error, or outputs that are not the stored ones, by
nbval's own rule.
"""

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, coalesce_streams

from book.running.cells import Ran
from tests.planted.outcomes import Failure, Kind, describe, shorten

DRAWN = "text/vnd.l2lib.drawn"
"""Mime type of what a picture draws: l2lib's, which this module must not import before a copy does."""

SAME = 0.002
"""Of a picture's width or height: less than an eye sees, more than rounding moves."""

_UNCOMPARED = (
    *("metadata", "traceback", "prompt_number", "output_type", "name", "execution_count"),
    *("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"),
    DRAWN,
)
"""What nbval does not compare, and what is drawn, which is compared to a thousandth."""


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
    return " ".join(map(str, [*cell.said, *cell.comparison_traceback]))


def failure_of(
    where: str, ran: Ran, outputs: list[NotebookNode], numbers: Mapping[str, str]
) -> Failure | None:
    """What is wrong with a cell that has run.

    Args:
        where: names the cell.
        ran: what it showed.
        outputs: what is stored of it.
        numbers: what the chapter's stored sentences say, by place.

    Returns:
        An error; or what it draws, shows or makes sentences say that is not what is stored.
    """
    if ran.error is not None:
        return describe(where, ran.error)
    words = [difference(outputs, ran.outputs), *other_numbers(numbers, ran.numbers)]
    words += other_pictures(outputs, ran.outputs)
    if said := " ".join(filter(None, words)):
        return Failure(where, Kind.OUTPUT, shorten(said))
    return None


def other_numbers(stored: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Sentences of which the kernel says something else than what is stored."""
    return [
        f"a sentence in cell {name.partition('.')[0]} says {stored.get(name)}, found {value}"
        for name, value in found.items()
        if stored.get(name) != value
    ]


def other_pictures(stored: list[NotebookNode], found: list[NotebookNode]) -> list[str]:
    """How what is drawn differs from what was, to a thousandth of a picture's width or height."""
    old, new = drawings(stored), drawings(found)
    if len(old) != len(new):
        return [f"{len(old)} pictures are stored with what they draw, {len(new)} are drawn"]
    pairs = zip(old, new, strict=True)
    return [f"a picture: {words}" for old, new in pairs if (words := other_drawing(old, new))]


def drawings(outputs: list[NotebookNode]) -> list[Any]:
    """What the pictures among some outputs show."""
    return [each["data"][DRAWN] for each in outputs if DRAWN in each.get("data", {})]


def other_drawing(old: str, new: str) -> str:
    """How two digests differ, in words; empty if a reader would see the same picture.

    Args:
        old: from ``l2lib._drawn.digest``.
        new: from ``l2lib._drawn.digest``.

    Returns:
        The first difference.
    """
    lines = [[json.loads(line) for line in text.splitlines()] for text in (old, new)]
    for one, other in zip(*lines, strict=False):
        if words := _other(one, other, ""):
            name = next((one[key] for key in ("label", "axes", "words") if one.get(key)), "")
            return f"{one.get('kind', 'picture')} {name!r:.60}: {words}"
    return "" if len(lines[0]) == len(lines[1]) else "it has more or fewer lines, bands or words"


def _other(old: Any, new: Any, where: str) -> str:
    """How two parts differ; numbers may, by what no eye sees."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        parts = [(name, old[name], new[name]) for name in old]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        parts = [("", *pair) for pair in zip(old, new, strict=True)]
    elif isinstance(old, float) and isinstance(new, float):
        same = math.isclose(old, new, rel_tol=SAME, abs_tol=SAME if where == "at" else 1e-9)
        return "" if same else f"{where} {old} is now {new}"
    else:
        return "" if old == new else f"{where} {old!r:.80} is now {new!r:.80}"
    found = (_other(one, other, name or where) for name, one, other in parts)
    return next(filter(None, found), "")
