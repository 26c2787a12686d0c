"""What an audit found, as a table of text."""

import math
from collections.abc import Callable
from typing import NamedTuple

import xarray as xr

from l2lib.tables import Table


class _Column(NamedTuple):
    """A column: its heading, and what it shows of a tensor."""

    heading: str
    cell: Callable[[xr.Dataset], str]


def table_of(data: xr.Dataset) -> Table:
    """A line for each tensor, under a line on the run.

    Args:
        data: of an audit.

    Returns:
        The table; a dash where there is no number.
    """
    tensors = [data.isel(tensor=i) for i in range(data.sizes["tensor"])]
    shown = [c for c in _COLUMNS if any(c.cell(t) != "-" for t in tensors)]
    rows = tuple(tuple(column.cell(tensor) for column in shown) for tensor in tensors)
    headings = tuple(column.heading for column in shown)
    caption = _caption(data)
    return Table(caption, headings, rows, "\n".join([caption, *_lines(headings, rows)]))


def _lines(headings: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """Columns of text: words to the left, numbers to the right."""
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    words = {c.heading for c in _COLUMNS[:4]} | {_COLUMNS[-1].heading}
    lines = []
    for row in table:
        cells = zip(headings, row, widths, strict=True)
        padded = [c.ljust(w) if head in words else c.rjust(w) for head, c, w in cells]
        lines.append("  ".join(padded).rstrip())
    return lines


def _caption(data: xr.Dataset) -> str:
    of = f" of {data.attrs['total_steps']:,}" if "total_steps" in data.attrs else ""
    looks = data.attrs["looks"]
    seen = f"Audit: {data.attrs['steps']:,}{of} steps, {looks:,} look{'s' * (looks > 1)}"
    return f"{seen}; angles in radians from look to look; turn = decay + push + growth, summed"


def _text(name: str) -> Callable[[xr.Dataset], str]:
    return lambda tensor: str(tensor[name].item())


def _number(name: str, form: str = ".3g") -> Callable[[xr.Dataset], str]:
    def cell(tensor: xr.Dataset) -> str:
        value = float(tensor[name].item())
        return "-" if math.isnan(value) else format(value, form)

    return cell


_COLUMNS = (
    _Column("tensor", _text("tensor")),
    _Column("role", _text("role")),
    _Column("decays", _text("decays")),
    _Column("invariant", _text("scale_invariant")),
    _Column("‖w‖", _number("norm")),
    _Column("RMS", _number("rms")),
    _Column("RMS/√(η/2λ)", _number("rms_ratio", ".2f")),
    _Column("angle", _number("angle")),
    _Column("predicted", _number("angle_predicted")),
    _Column("turn", _number("turn")),
    _Column("decay", _number("decay")),
    _Column("push", _number("push")),
    _Column("growth", _number("growth")),
    _Column("1/(ηλ)", _number("time_scale", ",.0f")),
    _Column("of run", _number("time_share", ".0%")),
    _Column("N", _number("N")),
    _Column("by the end", _number("N_end")),
    _Column("verdict", _text("verdict")),
)
