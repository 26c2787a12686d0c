"""Pictures have a title, labels and a description; they leave nothing open."""

import html
import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from l2lib import figures

ALT = "A line that falls from a weight of 4 at step 0 to 3 & less at step 1."


class Displayed(list[tuple[dict[str, Any], dict[str, Any]]]):
    """The mime bundles that were displayed, each with its metadata."""

    def __call__(self, bundle: dict[str, Any], *, raw: bool = False, metadata: dict[str, Any] | None = None) -> None:
        assert raw
        self.append((bundle, metadata or {}))


@pytest.fixture(autouse=True)
def _own_style() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Displayed:
    displayed = Displayed()
    monkeypatch.setattr(figures, "display", displayed)
    return displayed


def picture(title: str = "It falls", xlabel: str = "step", ylabel: str = "weight") -> Figure:
    fig, ax = figures.subplots(figsize=(2, 1.5))
    ax.plot([4, 3])
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    assert isinstance(fig, Figure)
    return fig


def test_show_displays_a_png_with_alt_text(shown: Displayed) -> None:
    figures.show(picture(), ALT)
    bundle, metadata = shown[0]
    assert metadata == {"image/png": {"alt": ALT, "width": 200}}
    assert bundle["text/plain"] == f"Picture: {ALT}"
    pixels = imread(io.BytesIO(bundle["image/png"]), format="png")
    assert pixels.shape[:2] == (225, 300)
    assert pixels.min() < 0.5 < pixels.max()
    assert b"Software" not in bundle["image/png"]


def test_show_displays_the_words_below_the_picture(shown: Displayed) -> None:
    figures.show(picture(), ALT)
    assert len(shown) == 2
    assert shown[1][0]["text/html"].startswith('<details class="l2-alt">')
    assert f"<p>{html.escape(ALT)}</p>" in shown[1][0]["text/html"]


def test_show_closes_the_figure_and_no_other(shown: Displayed) -> None:
    other, fig = picture(), picture()
    figures.show(fig, ALT)
    assert plt.get_fignums() == [other.number]


def test_show_draws_the_same_picture_twice(shown: Displayed) -> None:
    figures.show(picture(), ALT)
    figures.show(picture(), ALT)
    assert shown[0] == shown[2]


@pytest.mark.parametrize("alt", ["", "A falling line.", " ".join(["word"] * 11)])
def test_show_refuses_a_short_description(shown: Displayed, alt: str) -> None:
    with pytest.raises(ValueError, match="at least 12 words"):
        figures.show(picture(), alt)
    assert shown == []


def test_show_takes_a_description_of_twelve_words(shown: Displayed) -> None:
    figures.show(picture(), " ".join(["word"] * 12))
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("missing", "problem"), [("title", "no axes has a title"), ("xlabel", "no x or y"), ("ylabel", "no x or y")]
)
def test_show_refuses_a_picture_without(shown: Displayed, missing: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        figures.show(picture(**{missing: ""}), ALT)
    assert shown == []


def test_show_looks_at_every_axes(shown: Displayed) -> None:
    fig = picture()
    second = fig.add_subplot(2, 1, 2)
    with pytest.raises(ValueError, match="no x or y label"):
        figures.show(fig, ALT)
    second.set_axis_off()
    figures.show(fig, ALT)
    assert len(shown) == 2


@pytest.mark.parametrize("place", ["left", "center", "right"])
def test_show_finds_a_title_anywhere(shown: Displayed, place: str) -> None:
    fig = picture(title="")
    fig.axes[0].set_title("It falls", loc=place)
    figures.show(fig, ALT)
    assert len(shown) == 2


def test_show_asks_no_labels_of_a_colour_bar(shown: Displayed) -> None:
    fig = picture()
    fig.colorbar(fig.axes[0].imshow(np.eye(2)))
    figures.show(fig, ALT)
    assert len(shown) == 2


def test_subplots_gives_grids_in_the_style() -> None:
    fig, axes = figures.subplots(2, 3, sharey=True)
    assert axes.shape == (2, 3)
    assert fig.get_size_inches().tolist() == [7.2, 3.5]
    line, line2 = axes[0, 0].plot([1, 2], [[1, 2], [2, 1]])
    assert [line.get_color(), line2.get_color()] == [figures.BLUE, figures.ORANGE]
    assert not axes[0, 0].spines["top"].get_visible()


def test_label_lines_writes_labels_at_the_ends() -> None:
    _, ax = figures.subplots()
    ax.plot([0, 0.5, 1], [2, 9, 3], label="η = 0.1", color=figures.GREEN)
    ax.plot([0, 1], [4, 5])
    figures.label_lines(ax)
    assert [(text.get_text(), text.xy, text.get_color()) for text in ax.texts] == [("η = 0.1", (1, 3), figures.GREEN)]


def drawn(height: float, slope: float = 1.0) -> tuple[Figure, str]:
    return picture(), f"A line of height {height:g} and slope {slope:g}, with more words about it than are needed."


def test_interactive_is_a_picture_where_nothing_answers_a_dial(
    shown: Displayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("L2LIB_WIDGETS", raising=False)
    figures.interactive(drawn, height=[3, 1, 2, 4], slope=np.array([1.5, 0.5, 2.5]))
    assert "height 3 and slope 1.5," in shown[0][1]["image/png"]["alt"]
    assert len(shown) == 2  # the picture, and its words
    assert plt.get_fignums() == []


def test_interactive_redraws_when_a_dial_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes: list[Any] = []
    calls: list[dict[str, float]] = []

    def draw(**values: float) -> tuple[Figure, str]:
        calls.append(values)
        return drawn(**values)

    monkeypatch.setenv("L2LIB_WIDGETS", "1")
    monkeypatch.setattr(figures, "display", lambda *content, **options: boxes.append(content[0]))
    figures.interactive(draw, height=[20.0, 1.0, 3.0], slope=[0.25, 0.1])
    sliders = boxes[-1].children[:2]
    assert [slider.description for slider in sliders] == ["height", "slope"]
    assert [label for label, _ in sliders[0].options] == ["1", "3", "20"]
    sliders[0].value = 3.0
    assert calls == [{"height": 20.0, "slope": 0.25}, {"height": 3.0, "slope": 0.25}]


def test_interactive_refuses_a_dial_without_values(shown: Displayed) -> None:
    with pytest.raises(ValueError, match="no values to choose from for slope"):
        figures.interactive(drawn, height=[1], slope=[])
    assert shown == []
