"""Words that the edge of a picture cuts off, or that lie on others, are told of."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2lib import figures

ALT = "A line that falls from a weight of 4 at step 0 to 3 & less at step 1."
LONG = "a title that is much longer than the small picture over which it is to stand"


@pytest.fixture(autouse=True)
def _not_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(figures, "display", lambda *_, **__: None)
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def picture() -> tuple[Figure, Axes]:
    fig, ax = figures.subplots(figsize=(3, 2))
    ax.plot([4, 3])
    ax.set(title="It falls", xlabel="step", ylabel="weight")
    return fig, ax


def turned(ax: Axes) -> None:
    ax.text(0.5, 3.5, "along a line", rotation=30)
    ax.text(0.5, 3.5, "and another", rotation=30)


TOLD: dict[str, tuple[Callable[[Axes], object], str]] = {
    "title": (lambda ax: ax.set_title(LONG), "edge cuts off 'a title"),
    "title over all": (lambda ax: figures.title(plt.gcf(), LONG), "edge cuts off 'a title"),
    "name of an axis": (lambda ax: ax.set_ylabel(LONG), "edge cuts off 'a title"),
    "two notes": (lambda ax: [ax.text(0.2, 3.5, "one"), ax.text(0.22, 3.5, "two")],
                  "'one' lies on 'two'; move one of them$"),
    "small on large": (lambda ax: [ax.text(0.1, 3.2, LONG[:30] + 2 * "\nand more of the same words"),
                                   ax.text(0.3, 3.4, "it")], "'it'"),
    "legend": (lambda ax: [ax.legend(["here"], loc="center"), ax.text(0.5, 3.5, "note")],
               "'note' lies on 'here'"),
    "numbers": (lambda ax: ax.text(-0.15, 3.0, "note"), "'note' lies on '3.0'"),
    "numbers of x": (lambda ax: ax.text(0.5, 2.8, "note", ha="center"), "'note' lies on '0.50'"),
}  # fmt: skip


@pytest.mark.parametrize("named", TOLD)
def test_what_cannot_be_read_is_told(named: str) -> None:
    fig, ax = picture()
    add, problem = TOLD[named]
    add(ax)
    with pytest.warns(UserWarning, match=f"^figure: .*{problem}"):
        figures.show(fig, ALT)


@pytest.mark.parametrize("place", [(-0.05, 0.5), (0.95, 0.5), (0.5, -0.05), (0.5, 0.98)])
def test_no_edge_may_cut_words_off(place: tuple[float, float]) -> None:
    fig, _ = picture()
    fig.text(*place, "note")
    with pytest.warns(
        UserWarning, match=r"cuts off 'note'; shorten it, break the line, or move it$"
    ):
        figures.show(fig, ALT)


TAKEN: dict[str, Callable[[Axes], object]] = {
    "notes side by side": lambda ax: [ax.text(0.2, 3.5, "one"), ax.text(0.6, 3.5, "two")],
    "an arrow over a note": lambda ax: [
        ax.text(0.4, 3.4, "one"),
        ax.annotate("from", (0, 3.1), (0.8, 3.7), arrowprops={"arrowstyle": "->"}),
    ],
    "what is not visible": lambda ax: [
        ax.text(0.2, 3.5, "one"),
        ax.text(0.2, 3.5, "two", visible=False),
    ],
    "what an axes without axis would name": lambda ax: ax.inset_axes((0, 0, 1, 1)).set(
        xlabel=LONG, visible=False
    ),
    "a number beyond the end of an axis": lambda ax: [
        ax.set_ylim(3, 3.9),
        ax.text(-0.02, 4, "note", ha="right", va="center", transform=ax.get_yaxis_transform()),
    ],
    "a note that is clipped": lambda ax: ax.annotate("gone", (9, 9), annotation_clip=True),
    "words along a line": turned,
}


@pytest.mark.parametrize("named", TAKEN)
def test_what_can_be_read_is_taken(named: str) -> None:
    fig, ax = picture()
    TAKEN[named](ax)
    with warnings.catch_warnings(action="error"):
        figures.show(fig, ALT)


def test_names_of_axes_that_are_off_are_not_read() -> None:
    fig, (ax, other) = figures.subplots(ncols=2, figsize=(4, 2))
    ax.set(title="It falls", xlabel="step", ylabel="weight")
    other.set(xlabel=LONG)
    other.set_axis_off()
    with warnings.catch_warnings(action="error"):
        figures.show(fig, ALT)


def test_each_of_several_is_told_once_and_the_picture_shown() -> None:
    fig, ax = picture()
    ax.set(title=LONG, ylabel=LONG[::-1])
    with pytest.warns(UserWarning, match="^figure: ") as told:
        figures.show(fig, ALT)
    assert len({str(each.message) for each in told}) == len(told) == 2
    assert {Path(each.filename) for each in told} == {Path(__file__)}
    assert not plt.fignum_exists(fig.number)
