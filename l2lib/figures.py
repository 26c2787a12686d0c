"""One style for every picture, and a description in words beside each."""

import html
import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY, AMBER, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5F5F5F",
)  # fmt: skip
"""Okabe and Ito's palette, which readers with any colour vision can tell apart, and a grey."""

STYLE: Any = {
    "figure.figsize": (7.2, 3.5),
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PINK, SKY, AMBER]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "font.size": 10,
}
_DPI = 150
_MIN_WORDS = 12


def subplots(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """``matplotlib.pyplot.subplots`` in the book's style.

    Args:
        rows: rows of axes, ≥ 1.
        columns: columns of axes, ≥ 1.
        **options: handed on to ``matplotlib.pyplot.subplots``, such as ``sharey`` or ``figsize`` in inches.

    Returns:
        The figure, and its axes as ``matplotlib.pyplot.subplots`` gives them.
    """
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, **options)


def label_lines(ax: Axes) -> None:
    """Write each labelled line's label at its right end in the line's colour, instead of a legend."""
    for line in ax.get_lines():
        label = str(line.get_label())
        if label and not label.startswith("_"):
            end = (line.get_xdata()[-1], line.get_ydata()[-1])  # type: ignore[index]
            ax.annotate(label, end, xytext=(5, 0), textcoords="offset points", va="center", color=line.get_color(),
                        annotation_clip=False)  # fmt: skip


def show(fig: Figure, alt: str) -> None:
    """Display a figure with its description in words, then close it.

    The description is stored as the picture's alt text and shown below it, folded: JupyterLab gives
    pictures no alt text, and a reader who sees the picture may want the words as well.

    Args:
        fig: a figure whose every visible axes has axis labels, and at least one of them a title.
        alt: what is seen, with its numbers, at least 12 words. Numbers from the data must not differ
            from one machine to the next: format them with two or three digits.

    Raises:
        ValueError: if the description is too short, or a title or an axis label is missing.
    """
    axes = [ax for ax in fig.axes if ax.get_visible() and ax.axison]
    if len(alt.split()) < _MIN_WORDS:
        raise ValueError(
            f"figure: describe what is seen, with its numbers, in at least {_MIN_WORDS} words; got {alt!r}"
        )
    if not any(ax.get_title(loc) for ax in axes for loc in ("left", "center", "right")):
        raise ValueError("figure: no axes has a title; let one state the finding")
    if not all(ax.get_xlabel() and ax.get_ylabel() for ax in axes if ax.get_label() != "<colorbar>"):
        raise ValueError("figure: an axes has no x or y label; name the quantity and its unit")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    width = int(fig.get_size_inches()[0] * 100)
    display({"image/png": buffer.getvalue(), "text/plain": f"Picture: {alt}"}, raw=True,
            metadata={"image/png": {"alt": alt, "width": width}})  # fmt: skip
    words = f'<details class="l2-alt"><summary>This picture in words</summary><p>{html.escape(alt)}</p></details>'
    display({"text/html": words, "text/plain": ""}, raw=True)
    plt.close(fig)


def interactive(draw: Callable[..., tuple[Figure, str]], **dials: Sequence[Any]) -> None:
    """Display a picture with a slider for each of its numbers, in a JupyterLab opened by ``make lab``.

    Everywhere else, where nothing could answer a slider, the picture stands alone, as it starts: in the
    HTML book, in a stored notebook and when a chapter is tested. It is ``make lab`` that sets L2LIB_WIDGETS.

    Args:
        draw: takes a value of each dial by name; returns a figure and its description, as for ``show``.
        **dials: for each argument of draw the numbers to choose from; the first is the start.

    Raises:
        ValueError: if a dial has no values, or ``show`` refuses the picture.
    """
    if empty := [name for name, values in dials.items() if not len(values)]:
        raise ValueError(f"figure: no values to choose from for {', '.join(empty)}")
    start = {name: values[0] for name, values in dials.items()}
    if not os.environ.get("L2LIB_WIDGETS"):
        show(*draw(**start))
        return
    from ipywidgets import SelectionSlider, VBox, interactive_output

    sliders = {
        name: SelectionSlider(options=[(f"{value:g}", value) for value in sorted(values)], value=start[name],
                              description=name.replace("_", " "), continuous_update=False)
        for name, values in dials.items()
    }  # fmt: skip
    display(VBox([*sliders.values(), interactive_output(lambda **at: show(*draw(**at)), sliders)]))
