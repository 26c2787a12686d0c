"""Whether the words of a picture can be read: none is cut off, and none lies on another."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

_COVERED = 0.1  # share of the smaller box that another may cover: boxes are larger than letters
_PIXEL = 0.5  # how far a box may reach over the edge


class _Words(NamedTuple):
    """What is written, and the box around it in pixels."""

    what: str
    box: Bbox


def illegible(fig: Figure) -> list[str]:
    """What cannot be read: words that the edge of a figure cuts off, and words on others.

    Args:
        fig: a figure that has just been drawn, at its own resolution.

    Returns:
        For each, what is wrong and what to do.
    """
    renderer = RendererAgg(fig.bbox.width, fig.bbox.height, fig.dpi)  # type: ignore[no-untyped-call]
    words = [*_level(fig, renderer)]
    todo = "shorten it, break the line, or move it"
    found = [
        f"the picture's edge cuts off {each.what}; {todo}"
        for each in words
        if _reach(fig.bbox, each.box) > _PIXEL
    ]
    pairs = [*combinations(words, 2), *product(words, _ticks(fig, renderer))]
    on = [each for each in pairs if _covered(each[0].box, each[1].box) > _COVERED]
    return found + [f"{one.what} lies on {other.what}; move one of them" for one, other in on]


def _level(fig: Figure, renderer: RendererBase) -> Iterator[_Words]:
    """Titles, names of axes, legends and notes; not those that slant: a box says little."""
    for text in _texts(fig):
        # An annotation's own extent has its arrow in it, and is empty where it is not drawn.
        drawn = text.get_tightbbox(renderer)
        if text.get_text().strip() and text.get_rotation() % 90 == 0 and _is_finite(drawn):
            yield _Words(repr(text.get_text()), Text.get_window_extent(text, renderer))


def _texts(artist: Artist) -> Iterator[Text]:
    """The visible texts in an artist, without the numbers along axes."""
    for child in artist.get_children():
        if isinstance(child, Axis):
            if child.axes.axison:
                yield child.label
        elif isinstance(child, Text):
            if child.get_visible():
                yield child
        elif child.get_visible():
            yield from _texts(child)


def _ticks(fig: Figure, renderer: RendererBase) -> Iterator[_Words]:
    """The numbers along the axes; each axis has some beyond its ends, which it does not draw."""
    axes = [ax for ax in fig.axes if ax.get_visible() and ax.axison]
    for axis in [axis for ax in axes for axis in (ax.xaxis, ax.yaxis)]:
        start, end = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            for label in (tick.label1, tick.label2) if start <= tick.get_loc() <= end else ():
                if label.get_visible() and label.get_text():
                    yield _Words(repr(label.get_text()), label.get_window_extent(renderer))


def _is_finite(box: Bbox | None) -> bool:
    """Whether a box has a place and a size; those of empty texts have none."""
    return box is not None and bool(np.isfinite(box.extents).all()) and box.width * box.height > 0


def _reach(around: BboxBase, box: Bbox) -> float:
    """How far a box reaches over the edge of the one that should be around it."""
    reach = max(around.x0 - box.x0, box.x1 - around.x1, around.y0 - box.y0, box.y1 - around.y1)
    return float(reach)


def _covered(one: Bbox, other: Bbox) -> float:
    """Which share of the smaller of two boxes the other covers."""
    both = Bbox.intersection(one, other)
    smaller = min(one.width * one.height, other.width * other.height)
    return float(both.width * both.height / smaller) if both else 0.0
