"""What an audit found, as a picture."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    shown = turned.isel(tensor=np.sort(np.argsort(-turned.turn.values, kind="stable")[:MOST]))
    count = shown.sizes["tensor"]
    ratio = float((shown.angle / shown.angle_predicted).median())
    size = (9.6, 2.2 + 0.26 * count)
    fig, (left, right) = figures.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    _draw_budget(left, shown)
    _draw_turns(right, shown)
    told = f"Turns {ratio:.2g} × equilibrium's (median)"
    right.set_title("How far each turns" if math.isnan(ratio) else told)
    fig.legend(loc="outside lower center", ncols=3, fontsize=8)
    left.set_yticks(range(count), [str(name) for name in shown.tensor.values])
    left.set_ylim(count - 0.5, -0.5)

    more = f" of {turned.sizes['tensor']}" if turned.sizes["tensor"] > count else ""
    parts = ", ".join(f"{part} {float(shown[part].sum()):.2g}" for part in _PARTS)
    times = "" if math.isnan(ratio) else f", in the median {ratio:.2g} times what is predicted"
    return fig, (
        f"Left, what the turn of {count} tensor{'s' * (count > 1)}{more} is made of, bars for each:"
        f" in sum {float(shown.turn.sum()):.2g}, of which {parts}. Right, the angle from look to"
        f" look{times}."
    )


def _draw_budget(ax: Axes, data: xr.Dataset) -> None:
    """Bars that end to end are the turn: what is above zero to the right, the rest to the left."""
    place = np.arange(data.sizes["tensor"])
    right, left = np.zeros(len(place)), np.zeros(len(place))
    for part, colour in _PARTS.items():
        values = np.nan_to_num(data[part].values)
        start = np.where(values > 0, right, left)
        ax.barh(place, values, left=start, color=colour, height=0.7, label=part)
        right, left = right + np.maximum(values, 0), left + np.minimum(values, 0)
    ax.plot(data.turn.values, place, "k|", markersize=9, markeredgewidth=2, label="turn, their sum")
    ax.axvline(0, color=figures.GREY, linewidth=0.8)
    ax.set(xlabel="Σ −ln cos θ", ylabel="tensor", title="Each turn is decay, push and growth")


def _draw_turns(ax: Axes, data: xr.Dataset) -> None:
    """The angle from look to look, and what is predicted of a scale-invariant tensor."""
    place = np.arange(data.sizes["tensor"])
    ax.plot(data.angle.values, place, "o", color=figures.BLUE, label="measured")
    (marks,) = ax.plot(data.angle_predicted.values, place, "|", label="equilibrium, if invariant")
    marks.set(color=figures.ORANGE, markersize=10, markeredgewidth=2)
    ax.set(xlabel="angle between two looks (radians)", ylabel="tensor", xlim=(0, None))
