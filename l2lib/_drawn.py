"""What a picture shows, read from its own lines, bands, bars and words."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from l2lib._checks import shown

MIME = "text/vnd.l2lib.drawn"
"""Mime type under which a picture stores what it draws; a changed picture is noticed by it."""

ROUNDING = "rounding"
"""Group id (``gid=``) of what shows rounding error: only that it is drawn is stored."""

Numbers = NDArray[np.float64]


# ---- by label ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Mark:
    """The data of what was drawn under one label.

    Attributes:
        x: coordinates along the x axis, shape (points,), or (lines, points) where several have
            the label: a line's points, a bar's centre, a dot's place; of a map the values of its
            cells.
        y: the same along the y axis: a line's points, a bar's end, a dot's place.
        low: of a band or error bars the lower ends, shape (points,); else empty.
        high: the upper ends.

    Example:
        >>> Mark(np.array([0.0, 1.0]), np.array([3.0, 5.0])).at(1)
        5.0
    """

    x: Numbers
    y: Numbers
    low: Numbers = field(default_factory=lambda: np.empty(0))
    high: Numbers = field(default_factory=lambda: np.empty(0))

    def at(self, x: float) -> Any:
        """What is drawn at a value on the x axis.

        Args:
            x: one of the x that have a point, to within a millionth of their range.

        Returns:
            y there: a number, or an array with one for each line of this label.

        Raises:
            ValueError: if there is no point at x.

        Example:
            >>> Mark(np.array([0.0, 1.0]), np.array([3.0, 5.0])).at(0.5)
            Traceback (most recent call last):
            ValueError: drawn: no point at x = 0.5; the nearest is at 0
        """
        places = self.x if self.x.ndim == 1 else self.x[0]
        nearest = int(np.abs(places - x).argmin())
        if abs(places[nearest] - x) > 1e-6 * max(float(np.ptp(places)), abs(x)):
            there = f"the nearest is at {places[nearest]:.9g}"
            raise ValueError(f"drawn: no point at x = {x:.9g}; {there}")
        y = np.asarray(self.y[..., nearest])
        return float(y) if y.ndim == 0 else y


class Drawn(Mapping[str, Mark]):
    """What axes show, by label: a mapping, which keeps the data after the figure is closed.

    Args:
        marks: the data by label, in the order in which they were drawn.

    Example:
        >>> line = Mark(np.array([0.0, 1.0]), np.array([3.0, 5.0]))
        >>> list(Drawn({"loss": line})), Drawn({"loss": line})["loss"].y.max()
        (['loss'], np.float64(5.0))
    """

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self._marks = dict(marks)

    def __getitem__(self, label: str) -> Mark:
        """The data under a label.

        Returns:
            All that was drawn under it.

        Raises:
            ValueError: if nothing is drawn under it.
        """
        if label not in self._marks:
            known = ", ".join(map(repr, self._marks)) or "none"
            raise ValueError(f"drawn: nothing has the label {label!r}; labels are {known}")
        return self._marks[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._marks)

    def __len__(self) -> int:
        return len(self._marks)


def drawn(ax: Axes) -> Drawn:
    """The data that axes show, by label: what a description and a claim about a picture read.

    A label that begins with an underscore stands in no legend and is found here all the same,
    except those that matplotlib gives itself.

    Args:
        ax: axes with lines, bands (``fill_between``), bars, error bars, dots (``scatter``) or a
            map (``imshow``, ``pcolormesh``) that have labels.

    Returns:
        The data by label. Lines of one label and one length are stacked.

    Raises:
        ValueError: if things that cannot be stacked have one label, or ax are no axes.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> fig, ax = plt.subplots()
        >>> line = ax.plot([0, 1, 2], [1, 4, 9], label="squares")
        >>> drawn(ax)["squares"].at(2)
        9.0
        >>> plt.close(fig)
    """
    check_axes(ax)
    found: dict[str, list[Mark]] = {}
    for artist in _labelled(ax):
        if label := _label(artist):
            found.setdefault(label, []).append(_mark(artist))
    return Drawn({label: _stacked(label, marks) for label, marks in found.items()})


def check_axes(ax: object) -> None:
    """Refuse what is not one axes, such as the array of several.

    Args:
        ax: what was given.

    Raises:
        ValueError: if it is anything else.
    """
    if not isinstance(ax, Axes):
        wanted = "give one axes, such as ax or axes[0] of figures.subplots"
        raise ValueError(f"figure: ax is {shown(ax)}; {wanted}")


def _labelled(ax: Axes) -> list[Any]:
    """What may have a label; parts of bars and error bars stand for nothing of their own."""
    wholes = [c for c in ax.containers if isinstance(c, BarContainer | ErrorbarContainer)]
    inside = {id(part) for whole in wholes for part in _parts(whole)}
    loose = [*ax.lines, *ax.collections, *ax.patches, *ax.images]
    return [*wholes, *(artist for artist in loose if id(artist) not in inside)]


def _label(artist: Any) -> str:
    """An artist's label; empty, if it has none but what matplotlib gives it."""
    label = str(artist.get_label())
    return "" if label.startswith(("_child", "_nolegend_", "_container")) else label


def _parts(whole: BarContainer | ErrorbarContainer) -> Iterator[Artist]:
    for part in whole:
        if isinstance(part, Artist):
            yield part
        elif part is not None:
            yield from part


def _mark(artist: Any) -> Mark:
    """The data of one artist."""
    if isinstance(artist, BarContainer):
        return _bars(artist)
    if isinstance(artist, ErrorbarContainer):
        return _error_bars(artist)
    if isinstance(artist, Line2D):
        return Mark(*(_numbers(part) for part in artist.get_data(orig=False)))
    if isinstance(artist, PathCollection):
        return Mark(*_numbers(artist.get_offsets()).T)
    if isinstance(artist, PolyCollection):
        return _band(_numbers(artist.get_paths()[0].vertices))
    if isinstance(artist, Patch):
        return Mark(*_numbers(artist.get_path().vertices).T)
    return Mark(_numbers(artist.get_array()), np.empty(0))


def _bars(bars: BarContainer) -> Mark:
    boxes = [bar.get_bbox() for bar in bars.patches]
    if bars.orientation == "horizontal":
        ends = [(box.x1, (box.y0 + box.y1) / 2) for box in boxes]
    else:
        ends = [((box.x0 + box.x1) / 2, box.y1) for box in boxes]
    return Mark(*np.array(ends).T)


def _error_bars(whole: ErrorbarContainer) -> Mark:
    line, _, bars = whole
    along = 1 if whole.has_yerr else 0
    ends = np.array([path.vertices[:, along] for path in bars[-1].get_paths()])  # NaN included
    x, y = line.get_data(orig=False) if line is not None else (np.empty(0), np.empty(0))
    return Mark(_numbers(x), _numbers(y), ends.min(1), ends.max(1))


def _band(outline: Numbers) -> Mark:
    """A band between two curves: matplotlib draws it around, along one and back on the other."""
    n = (len(outline) - 3) // 2
    low, high = outline[1 : n + 1], outline[n + 2 : 2 * n + 2][::-1]
    both = np.stack([low[:, 1], high[:, 1]])
    return Mark(low[:, 0], both.mean(0), both.min(0), both.max(0))


def _stacked(label: str, marks: list[Mark]) -> Mark:
    if len(marks) == 1:
        return marks[0]
    if len({mark.x.shape for mark in marks}) > 1:
        todo = "give them labels of their own"
        raise ValueError(f"drawn: {len(marks)} things of different size are {label!r}; {todo}")
    names = ("x", "y", "low", "high")
    return Mark(*(np.stack([getattr(mark, name) for mark in marks]) for name in names))


def _numbers(values: ArrayLike) -> Numbers:
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)


# ---- all of it, in a few numbers --------------------------------------------------------------
_DIGITS = 4  # of a place in the axes, whose width and height are 1
_SAMPLES = 9


def digest(fig: Figure) -> str:
    """What a drawn figure shows: for each axes its words, its limits, and where its artists lie.

    Places are fractions of the axes, so that they mean the same on any scale. Each artist gives a
    few points along its path, and their mean; their look is part of it.

    Args:
        fig: a figure that has been drawn, so that its limits are final.

    Returns:
        JSON, a line for each axes and each thing in it.
    """
    whole = {"title": fig.get_suptitle(), "words": [text.get_text() for text in fig.texts]}
    lines = [whole, *(line for ax in fig.axes for line in _axes(ax))]
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def _axes(ax: Axes) -> list[dict[str, Any]]:
    titles = [ax.get_title(place) for place in ("left", "center", "right")]
    legend = ax.get_legend()
    marks = [*ax.lines, *ax.collections, *ax.patches, *ax.images]
    head = {
        "axes": " ".join(filter(None, titles)),
        "x": _axis(ax.get_xlim(), ax.xaxis),
        "y": _axis(ax.get_ylim(), ax.yaxis),
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
    }
    texts = [_words(ax, text) for text in ax.texts if text.get_visible()]
    return [head, *(_look(ax, artist) for artist in marks if artist.get_visible()), *texts]


def _axis(limits: tuple[float, float], axis: Any) -> dict[str, Any]:
    ticks = [label.get_text() for label in axis.get_ticklabels() if label.get_visible()]
    named = {"label": axis.label.get_text(), "scale": axis.get_scale(), "ticks": ticks}
    return named | {"limits": [float(f"{float(limit):.4g}") for limit in limits]}


def _look(ax: Axes, artist: Any) -> dict[str, Any]:
    """One artist: what it is, its label, how it looks, and where it lies."""
    look: dict[str, Any] = {"kind": type(artist).__name__, "label": _label(artist)}
    values = getattr(artist, "get_array", lambda: None)()
    if values is not None:
        flat = _numbers(values).ravel()
        low, high = artist.get_clim()
        colours = (flat - low) / ((high - low) or 1)
        look |= {"at": _few(colours[:, None]), "range": [f"{low:.3g}", f"{high:.3g}"]}
    else:
        look["colour"] = _colour(artist)
    at = _few(_path(ax, artist))
    if isinstance(artist, ContourSet):
        at = at[-4:]  # how many points a contour has hangs on rounding
    if artist.get_gid() == ROUNDING:
        at = at[:1]
    return look | {"at": [*look.get("at", []), *at]}


def _colour(artist: Any) -> str:
    if isinstance(artist, Line2D):
        style = f"{artist.get_linestyle()} {artist.get_marker()} {artist.get_linewidth():.2g}"
        return f"{_hex(artist.get_color())} {style}"
    faces = artist.get_facecolor()
    if isinstance(artist, Collection):
        colours = [*faces, *artist.get_edgecolor()][:20]
        return " ".join(dict.fromkeys(map(_hex, colours)))
    return _hex(faces)


def _hex(colour: Any) -> str:
    return to_hex(mpl.colors.to_rgba(colour), keep_alpha=True)


def _path(ax: Axes, artist: Any) -> Numbers:
    """The points along an artist, as fractions of the axes: shape (points, 2)."""
    transform, points = _points(ax, artist)
    if not len(points):
        return np.empty((0, 2))
    there: Numbers = ax.transAxes.inverted().transform(transform.transform(points))
    return there


def _points(ax: Axes, artist: Any) -> tuple[Any, Numbers]:
    """The points along an artist, and what takes them to the screen."""
    if isinstance(artist, Line2D):
        return artist.get_transform(), _numbers(artist.get_xydata())
    if isinstance(artist, PathCollection):
        return artist.get_offset_transform(), _numbers(artist.get_offsets())
    if isinstance(artist, Patch):
        return artist.get_transform(), _numbers(artist.get_path().vertices)
    if hasattr(artist, "get_extent"):
        left, right, bottom, top = artist.get_extent()
        return ax.transData, np.array([(left, bottom), (right, top)])
    if hasattr(artist, "get_coordinates"):
        return artist.get_transform(), artist.get_coordinates().reshape(-1, 2)
    paths = [_numbers(path.vertices) for path in artist.get_paths()]
    return artist.get_transform(), np.concatenate([np.empty((0, 2)), *paths])


def _few(points: Numbers) -> list[float | int | None]:
    """Some of an artist's points, and means that every point moves: what stands for all."""
    n = len(points)
    if not n:
        return [0]
    points = np.clip(points, -1, 2)
    some = points[np.linspace(0, n - 1, min(n, _SAMPLES)).round().astype(int)]
    order = np.linspace(0, 2, n)[:, None]
    there = np.nan_to_num(points)
    flat = np.concatenate([some, [there.mean(0), (order * there).mean(0)]]).ravel()
    return [n, *(round(float(one), _DIGITS) if math.isfinite(one) else None for one in flat)]


def _words(ax: Axes, text: Text) -> dict[str, Any]:
    place = text.xy if hasattr(text, "xy") else text.get_position()
    system = getattr(text, "xycoords", None)
    if isinstance(system, str) and system == "data":
        place = ax.transAxes.inverted().transform(ax.transData.transform(place))
    elif system is None:
        place = ax.transAxes.inverted().transform(text.get_transform().transform(place))
    at = [round(float(np.clip(one, -1, 2)), _DIGITS) for one in place]
    return {"words": text.get_text(), "colour": _hex(text.get_color()), "at": at}
