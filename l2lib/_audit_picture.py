"""What an audit found, as a picture."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from l2lib import figures

MOST = 30  # tensors that a picture has room for
_PARTS = {"decay": figures.BLUE, "push": figures.ORANGE, "growth": figures.GREEN}


def picture_of(data: xr.Dataset) -> tuple[Figure, str]:
    """The budget of each tensor as bars, and its turn beside the prediction.

    Args:
        data: of an audit.

    Returns:
        The figure, and its description in words.

    Raises:
        ValueError: if no tensor turned.
    """
    turned = data.isel(tensor=np.flatnonzero(data.turn > 0))
    if not turned.sizes["tensor"]:
        todo = "look at tensors that an optimiser changes, and more often if they turn far"
        raise ValueError(f"picture: no tensor turned between two looks; {todo}")
    # Those that turn most, if there are too many; in the model's order.
    most = np.sort(np.argsort(-turned.turn.values, kind="stable")[:MOST])
    shown = turned.isel(tensor=most)
    count = shown.sizes["tensor"]
    size = (9.6, 2.2 + 0.26 * count)
    fig, (left, right) = figures.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    _draw_budget(left, shown)
    _draw_turns(right, shown)
    fig.legend(loc="outside lower center", ncols=3, fontsize=8)
    left.set_yticks(range(count), [str(name) for name in shown.tensor.values])
    left.set_ylim(count - 0.5, -0.5)
    return fig, _words(shown, turned.sizes["tensor"])


def _draw_budget(ax: Axes, data: xr.Dataset) -> None:
    """Bars that end to end are the turn: what is above zero to the right, the rest to the left."""
    place = np.arange(data.sizes["tensor"])
    ends = {1: np.zeros(len(place)), -1: np.zeros(len(place))}
    for part, colour in _PARTS.items():
        values = np.nan_to_num(data[part].values)
        start = np.where(values > 0, ends[1], ends[-1])
        ax.barh(place, values, left=start, color=colour, height=0.7, label=part)
        for sign, end in ends.items():
            end += np.where(np.sign(values) == sign, values, 0)
    ax.plot(data.turn.values, place, "k|", markersize=9, markeredgewidth=2, label="turn, their sum")
    ax.axvline(0, color=figures.GREY, linewidth=0.8)
    ax.set(xlabel="Σ −ln cos θ", ylabel="tensor", title="Each turn is decay, push and growth")


def _draw_turns(ax: Axes, data: xr.Dataset) -> None:
    """The angle from look to look, and what is predicted of a scale-invariant tensor."""
    place = np.arange(data.sizes["tensor"])
    ax.plot(data.angle.values, place, "o", color=figures.BLUE, label="measured")
    known = np.isfinite(data.angle_predicted.values)
    if known.any():
        predicted = data.angle_predicted.values[known]
        (marks,) = ax.plot(predicted, place[known], "|", label="equilibrium, if invariant")
        marks.set(color=figures.ORANGE, markersize=10, markeredgewidth=2)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ratio = _median_ratio(data)
    told = (
        "How far each turns" if math.isnan(ratio) else f"Turns {ratio:.2g} × equilibrium's (median)"
    )
    ax.set(xlabel="angle between two looks (radians)", ylabel="tensor", title=told)


def _median_ratio(data: xr.Dataset) -> float:
    """The angle over the predicted one, in the median of the tensors that have both."""
    ratios = (data.angle / data.angle_predicted).values
    known = ratios[np.isfinite(ratios)]
    return float(np.median(known)) if known.size else math.nan


def _words(data: xr.Dataset, turned: int) -> str:
    count = data.sizes["tensor"]
    some = f"{count} tensor{'s' * (count > 1)}" + (f" of {turned}" if turned > count else "")
    sums = {part: float(np.nansum(data[part].values)) for part in ("turn", *_PARTS)}
    parts = ", ".join(f"{part} {value:.2g}" for part, value in sums.items() if part != "turn")
    ratio, second = _median_ratio(data), "the angle from look to look"
    if not math.isnan(ratio):
        second += f", in the median {ratio:.2g} times what equilibrium predicts"
    return (
        f"Left, what the turn of {some} is made of, bars for each: in sum {sums['turn']:.2g}, of"
        f" which {parts}. Right, {second}."
    )
