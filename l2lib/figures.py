"""One style for every picture, and a description in words beside each."""

import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from l2lib._checks import (
    REAL,
    as_number,
    as_numbers,
    as_text,
    check_callable,
    check_mapping,
    is_set,
    items_of,
)
from l2lib._checks import shown as words_for
from l2lib._drawn import MIME, Drawn, Mark, check_axes, digest, drawn
from l2lib._legible import illegible

__all__ = [
    "AMBER",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PINK",
    "SKY",
    "Drawn",
    "Mark",
    "drawn",
    "interactive",
    "label_lines",
    "show",
    "subplots",
    "title",
]

# Okabe and Ito's palette, which readers with any colour vision can tell apart.
# The style file has the same, in this order.
BLUE = "#0072B2"  #: the first colour of lines
ORANGE = "#D55E00"  #: the second colour of lines
GREEN = "#009E73"  #: the third colour of lines
PINK = "#CC79A7"  #: the fourth colour of lines
SKY = "#56B4E9"  #: the fifth colour of lines
AMBER = "#E69F00"  #: the sixth colour of lines
GREY = "#5F5F5F"  #: for what stands behind the lines

_DPI = 150
_COLOURS = 128
_MIN_WORDS = 12
_NUMBER = re.compile(r"\d{1,2}\.[1-9]\d?", re.ASCII)
_CAPTION = re.compile(r"[^*_`$\\\n]*\w[^*_`$\\\n]*\.")

# What is drawn reads matplotlib's settings when it is made: lines and words
# after subplots() has returned, colours like "C1" as late as in show(). So the
# style is on from the one to the other. Here are the settings that it covers
# meanwhile, and the figures for which it is on.
_covered: dict[Any, Any] = {}
_unfinished: list[Figure] = []


# ---- a figure ----------------------------------------------------------------
def subplots(nrows: int = 1, ncols: int = 1, **options: Any) -> tuple[Figure, Any]:
    """``matplotlib.pyplot.subplots`` in the book's style.

    The style, ``plt.style.use("l2lib.l2")`` to matplotlib, is on until ``show``
    has shown the figure; then ``rcParams`` are again as they were.

    Args:
        nrows: rows of axes, ≥ 1.
        ncols: columns of axes, ≥ 1.
        **options: handed on to ``matplotlib.pyplot.subplots``, such as
            ``sharey`` or ``figsize`` in inches.

    Returns:
        The figure, and its axes as ``matplotlib.pyplot.subplots`` gives them.

    Example:
        >>> fig, axes = subplots(ncols=2, sharey=True)
        >>> axes.shape, fig.get_size_inches().tolist()
        ((2,), [7.2, 3.5])
        >>> plt.close(fig)
    """
    _put_on()
    try:
        # Jupyter shows at the end of a cell what was made interactively, finished or not: a figure
        # that is drawn in two cells would be seen half-drawn, and again. The first line loads the
        # backend, which makes pyplot interactive once more.
        plt.draw_if_interactive()  # type: ignore[no-untyped-call]
        with plt.ioff():
            fig, axes = plt.subplots(nrows, ncols, **options)
    except BaseException:
        _take_off(None)
        raise
    _unfinished.append(fig)
    return fig, axes


def _style() -> dict[Any, Any]:
    with resources.as_file(resources.files("l2lib") / "l2.mplstyle") as file:
        return dict(mpl.rc_params_from_file(file, use_default_template=False))


def _put_on() -> None:
    """Put the style over the user's settings."""
    for name, value in _style().items():
        # What already has the style's value has it from us, if a figure was never shown.
        if name not in _covered or mpl.rcParams[name] != value:
            _covered[name] = mpl.rcParams[name]
        mpl.rcParams[name] = value


def _take_off(fig: Figure | None) -> None:
    """Give the user's settings back, unless another figure than this is still being drawn."""
    others = [other for other in _unfinished if other is not fig]
    _unfinished[:] = [other for other in others if plt.fignum_exists(other.number)]
    if not _unfinished:
        mpl.rcParams.update(_covered)
        _covered.clear()


def title(fig: Figure, text: str) -> None:
    """Write a title over all axes of a figure, where the book has its titles: left and bold.

    Args:
        fig: a figure.
        text: the finding.

    Raises:
        ValueError: if fig is no figure, or the text empty.

    Example:
        >>> fig, axes = subplots(1, 2)
        >>> title(fig, "Both fall")
        >>> fig.get_suptitle()
        'Both fall'
        >>> plt.close(fig)
    """
    _check_figure(fig)
    as_text("figure: the title", text, "state the finding")
    fig.suptitle(text, x=0.01, ha="left", weight="bold", size=11)


def label_lines(ax: Axes, *, nudge: Mapping[str, float] | None = None) -> None:
    """Write each labelled line's label at its right end in the line's colour, instead of a legend.

    Args:
        ax: axes with lines.
        nudge: by label, how many points higher (or lower, below 0) it stands
            than its line ends, where labels would collide.

    Raises:
        ValueError: if no line has a label that is to be nudged, by a number of points, or ax are no
            axes.

    Example:
        >>> fig, ax = subplots()
        >>> line = ax.plot([4, 3], label="λ = 0.1")
        >>> label_lines(ax, nudge={"λ = 0.1": 6})
        >>> ax.texts[0].get_text()
        'λ = 0.1'
        >>> plt.close(fig)
    """
    check_axes(ax)
    nudge = {} if nudge is None else nudge
    check_mapping("figure: nudge", nudge, 'points by label, such as {"λ = 0.1": 6}')
    points = {
        label: as_number(f"figure: nudge of {label!r}", nudge[label], REAL) for label in nudge
    }
    # Matplotlib calls lines without a label _child0, _child1, …
    lines = [line for line in ax.get_lines() if str(line.get_label())[:1] not in ("", "_")]
    labels = [str(line.get_label()) for line in lines]
    if unknown := nudge.keys() - {*labels}:
        known = ", ".join(labels)
        raise ValueError(f"figure: no line is labelled {sorted(unknown)}; labels are {known}")
    for label, line in zip(labels, lines, strict=True):
        ax.annotate(
            label,
            (line.get_xdata()[-1], line.get_ydata()[-1]),  # type: ignore[index]
            xytext=(5, points.get(label, 0)),
            textcoords="offset points",
            va="center",
            color=line.get_color(),
            annotation_clip=False,
        )


# ---- showing it --------------------------------------------------------------
def show(fig: Figure, alt: str, *, number: str | None = None, caption: str | None = None) -> None:
    """Display a figure with its caption and its description in words, then close it.

    The caption says how to read the picture: what bands, marks and colours
    are. The description says all that is seen. It is stored as the picture's
    alt text and shown below it, folded behind the caption: JupyterLab gives
    pictures no alt text, and a reader who sees the picture may want the words
    as well.

    What is drawn is stored beside the picture, to a thousandth of its width, so
    that tests notice where it changes. Points that are rounding error lie
    elsewhere on another machine: draw them with ``gid="rounding"``.

    Args:
        fig: a figure whose every visible axes has axis labels, and at least one
            of them a title.
        alt: what is seen, with its numbers, at least 12 words. Numbers from the
            data must not differ from one machine to the next: format them with
            two or three digits.
        number: the chapter's and the figure's own, such as "2.3", by which the
            text speaks of it. It stands below the picture.
        caption: one or two sentences of plain text, which stand after the
            number.

    Raises:
        ValueError: if fig is no figure, the description is too short, a title
            or an axis label is missing, the number is none, or the caption no
            sentence.

    Warns:
        UserWarning: if the picture's edge cuts words off, or words lie on
            others.

    Example:
        >>> fig, ax = subplots()
        >>> show(fig, "A line.")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: figure: describe what is seen, ... at least 12 words; got 'A line.'
        >>> plt.close(fig)
    """
    _check_figure(fig)
    _check_words(alt)
    _check_number(number)
    _check_caption(caption)
    _check_axes([ax for ax in fig.axes if ax.get_visible() and ax.axison])
    name = "Picture" if number is None else f"Figure {number}"
    picture = {**_rendered(fig), "text/plain": f"{name}: {alt}"}
    about = {"alt": alt, "width": int(fig.get_size_inches()[0] * 100)}
    about |= {} if number is None else {"number": number}
    about |= {} if caption is None else {"caption": caption}
    display(picture, raw=True, metadata={"image/png": about})
    summary = f"{name} in words" if caption is None else f"{name}. {caption}"
    display({"text/html": _folded(summary, alt), "text/plain": ""}, raw=True)
    plt.close(fig)
    _take_off(fig)


def _check_figure(fig: object) -> None:
    if not isinstance(fig, Figure):
        raise ValueError(f"figure: fig is {words_for(fig)}; give the figure that subplots returned")


def _check_words(alt: object) -> None:
    if not isinstance(alt, str) or len(alt.split()) < _MIN_WORDS:
        wanted = f"describe what is seen, with its numbers, in at least {_MIN_WORDS} words"
        raise ValueError(f"figure: {wanted}; got {words_for(alt)}")


def _check_number(number: object) -> None:
    if number is None or (isinstance(number, str) and _NUMBER.fullmatch(number)):
        return
    wanted = "give the chapter's number and the figure's, such as \"2.3\""
    raise ValueError(f"figure: number is {words_for(number)}; {wanted}")


def _check_caption(caption: object) -> None:
    if caption is None or (isinstance(caption, str) and _CAPTION.fullmatch(caption)):
        return
    wanted = "give a sentence of plain text that ends with a full stop, on how to read the picture"
    raise ValueError(f"figure: caption is {words_for(caption)}; {wanted}")


def _check_axes(axes: list[Axes]) -> None:
    if not any(_title_of(ax) for ax in axes):
        raise ValueError("figure: no axes has a title; let one state the finding")
    named = [ax for ax in axes if ax.get_label() != "<colorbar>"]
    if not all(ax.get_xlabel() and ax.get_ylabel() for ax in named):
        todo = "name the quantity and its unit"
        raise ValueError(f"figure: an axes has no x or y label; {todo}")


def _title_of(ax: Axes) -> str:
    return ax.get_title("left") + ax.get_title("center") + ax.get_title("right")


def _rendered(fig: Figure) -> dict[str, Any]:
    """The picture, the same to the byte on every run, and what is drawn in it."""
    buffer = io.BytesIO()
    with mpl.rc_context(_style()):
        fig.set_dpi(_DPI)
        fig.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
        drawn_as = digest(fig)  # its limits are final now
        for problem in illegible(fig):
            warnings.warn(f"figure: {problem}", stacklevel=3)
    return {"image/png": _few_colours(buffer), MIME: drawn_as}


def _few_colours(png: io.BytesIO) -> bytes:
    """A picture with a palette, which has a third of the bytes: a notebook holds ten of them."""
    small = io.BytesIO()
    with Image.open(png) as picture:
        flat = picture.convert("RGB").quantize(_COLOURS)
        flat.save(small, format="PNG", optimize=True, dpi=(_DPI, _DPI))
    return small.getvalue()


def _folded(summary: str, alt: str) -> str:
    shown = f"<summary>{html.escape(summary)}</summary>"
    return f'<details class="l2-alt">{shown}<p>{html.escape(alt)}</p></details>'


# ---- dials -------------------------------------------------------------------
def interactive(
    draw: Callable[..., tuple[Figure, str]],
    *,
    number: str | None = None,
    caption: str | None = None,
    **dials: Sequence[Any],
) -> None:
    """Display a picture with a slider for each of its numbers, where ``make lab`` shows it.

    Everywhere else, where nothing could answer a slider, the picture stands
    alone, as it starts: in the HTML book, in a stored notebook and when a
    chapter is tested. It is ``make lab`` that sets the variable L2LIB_WIDGETS
    to 1; 0, or nothing, leaves the picture alone.

    Args:
        draw: takes a value of each dial by name; returns a figure and its
            description, as for ``show``.
        number: as for ``show``; so no dial has this name.
        caption: as for ``show``, too.
        **dials: for each argument of draw the numbers to choose from, each
            once; the first is the start.

    Raises:
        ImportError: if sliders are wanted, and ipywidgets is not installed.
        ValueError: if a dial has no values, or other than numbers, draw does not
            return a figure and its description, ``show`` refuses the picture, or
            L2LIB_WIDGETS is neither 1 nor 0.

    Example:
        >>> def draw(lr):
        ...     fig, ax = subplots()
        ...     return fig, f"What is seen at a learning rate of {lr}."
        >>> interactive(draw, lr=[])
        Traceback (most recent call last):
        ValueError: figure: no values to choose from for lr
    """
    check_callable("figure: draw", draw, "a function from dials to a figure and its description")
    choices = {name: _values(name, values) for name, values in dials.items()}

    def redraw(**at: Any) -> None:
        drawn = draw(**at)
        if not isinstance(drawn, tuple | list) or len(drawn) != 2:
            wanted = "it must return a figure and its description"
            raise ValueError(f"figure: draw returns {words_for(drawn)}; {wanted}")
        show(*drawn, number=number, caption=caption)

    if not is_set("L2LIB_WIDGETS"):
        redraw(**{name: values[0] for name, values in choices.items()})
        return
    try:  # not installed everywhere, and slow to import
        from ipywidgets import VBox, interactive_output
    except ImportError as error:
        todo = "install ipywidgets, or unset the variable L2LIB_WIDGETS, which asks for sliders"
        raise ImportError(f"ipywidgets is missing: {todo}") from error

    sliders = {name: _slider(name, values) for name, values in choices.items()}
    display(VBox([*sliders.values(), interactive_output(redraw, sliders)]))


def _values(name: str, given: Any) -> list[float]:
    """The values of a dial, as Python's own numbers."""
    if items_of(given) == []:
        raise ValueError(f"figure: no values to choose from for {name}")
    numbers = as_numbers(f"figure: dial {name}", given, REAL)
    if not isinstance(numbers, list) or len(set(numbers)) < len(numbers):
        wanted = "give a list of numbers, each once"
        raise ValueError(f"figure: dial {name} is {words_for(given)}; {wanted}")
    return numbers


def _slider(name: str, values: Sequence[Any]) -> Any:
    """A dial with its values in order, which redraws when it is let go."""
    from ipywidgets import SelectionSlider

    return SelectionSlider(
        options=[(f"{value:g}", value) for value in sorted(values)],
        value=values[0],
        description=name.replace("_", " "),
        continuous_update=False,
    )
