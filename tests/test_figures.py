"""Pictures have a title, labels and a description; they leave nothing open."""

import html
import io
import sys
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

    def __call__(
        self, bundle: dict[str, Any], *, raw: bool = False, metadata: dict[str, Any] | None = None
    ) -> None:
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


def test_show_says_the_number_of_a_figure(shown: Displayed) -> None:
    figures.show(picture(), ALT, number="2.3")
    assert shown[0][0]["text/plain"] == f"Figure 2.3: {ALT}"
    assert shown[0][1]["image/png"]["number"] == "2.3"
    assert "<summary>Figure 2.3 in words</summary>" in shown[1][0]["text/html"]


def test_a_caption_stands_after_the_number_and_unfolds_the_words(shown: Displayed) -> None:
    figures.show(picture(), ALT, number="2.3", caption="Bands: n < 5 seeds.")
    assert shown[0][0]["text/plain"] == f"Figure 2.3: {ALT}"
    assert shown[0][1]["image/png"].get("caption") == "Bands: n < 5 seeds."
    folded = f"<summary>Figure 2.3. Bands: n &lt; 5 seeds.</summary><p>{html.escape(ALT)}</p>"
    assert folded in shown[1][0]["text/html"]


@pytest.mark.parametrize("caption", ["", ".", "no stop", "of $w$.", "a *b* c.", "two\nlines.", 3])
def test_a_caption_that_is_no_plain_sentence_is_refused(shown: Displayed, caption: object) -> None:
    with pytest.raises(ValueError, match=r"caption is .*plain text"):
        figures.show(picture(), ALT, caption=caption)  # type: ignore[arg-type]
    assert shown == []


@pytest.mark.parametrize("number", ["", "2", "2.0", "Figure 2.3", "2.3\n", 2.3])
def test_show_refuses_what_is_no_number(shown: Displayed, number: object) -> None:
    with pytest.raises(ValueError, match=r"number is .*such as"):
        figures.show(picture(), ALT, number=number)  # type: ignore[arg-type]
    assert shown == []


def test_the_end_of_a_cell_does_not_show_what_is_not_finished() -> None:
    backend = mpl.get_backend()
    try:
        plt.switch_backend("module://matplotlib_inline.backend_inline")
        to_show = sys.modules["matplotlib_inline.backend_inline"].show
        plt.ion()
        picture()
        assert not to_show._draw_called
        plt.figure()
        assert to_show._draw_called  # what is made by pyplot is shown
    finally:
        plt.ioff()
        plt.close("all")
        plt.switch_backend(backend)


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
    ("missing", "problem"),
    [("title", "no axes has a title"), ("xlabel", "no x or y"), ("ylabel", "no x or y")],
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
    fig, axes = figures.subplots(nrows=2, ncols=3, sharey=True)
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
    assert [(text.get_text(), text.xy, text.get_color()) for text in ax.texts] == [
        ("η = 0.1", (1, 3), figures.GREEN)
    ]
    assert ax.texts[0].xyann == (5, 0)


def test_label_lines_moves_labels_that_collide() -> None:
    _, ax = figures.subplots()
    for label, end in (("a", 1.0), ("b", 1.01), ("c", 2.0), ("", 3.0)):
        ax.plot([0, 1], [0, end], label=label)
    figures.label_lines(ax, nudge={"a": -6, "b": 6})
    assert [(text.get_text(), text.xyann) for text in ax.texts] == [
        ("a", (5, -6)),
        ("b", (5, 6)),
        ("c", (5, 0)),
    ]
    with pytest.raises(ValueError, match=r"no line is labelled \['d'\]; labels are a, b, c"):
        figures.label_lines(ax, nudge={"d": 1})


def test_title_stands_left_over_all_axes(shown: Displayed) -> None:
    fig = picture()
    figures.title(fig, "Both fall")
    text = fig.texts[0]
    assert (text.get_text(), text.get_ha(), text.get_weight(), text.get_size()) == (
        "Both fall",
        "left",
        "bold",
        11,
    )
    assert text.get_position()[0] == 0.01


# ---- the style -----------------------------------------------------------------------------
def settings() -> dict[str, Any]:
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


def test_the_style_file_has_the_colours_that_have_names() -> None:
    with mpl.style.context("l2lib.l2"):
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == [
        figures.BLUE,
        figures.ORANGE,
        figures.GREEN,
        figures.PINK,
        figures.SKY,
        figures.AMBER,
    ]


def test_afterwards_the_readers_settings_are_as_before(shown: Displayed) -> None:
    mpl.rcParams.update({"lines.linewidth": 7.0, "axes.grid": False, "font.size": 5.0})
    before = settings()
    fig = picture()
    assert settings() != before
    figures.show(fig, ALT)
    assert settings() == before
    figures.interactive(drawn, height=[3])
    assert settings() == before


def test_the_style_is_on_until_the_last_of_several_is_shown(shown: Displayed) -> None:
    before = settings()
    first, second = picture(), picture()
    figures.show(first, ALT)
    (line,) = second.axes[0].plot([1, 2])
    assert line.get_linewidth() == 1.8
    figures.show(second, ALT)
    assert settings() == before


def test_a_figure_that_is_closed_unseen_keeps_the_style_no_longer_than_to_the_next(
    shown: Displayed,
) -> None:
    before = settings()
    plt.close(picture())
    figures.show(picture(), ALT)
    assert settings() == before


def test_a_refused_figure_is_still_being_drawn(shown: Displayed) -> None:
    before, fig = settings(), picture(title="")
    with pytest.raises(ValueError, match="no axes has a title"):
        figures.show(fig, ALT)
    assert mpl.rcParams["axes.titlelocation"] == "left"
    fig.axes[0].set_title("It falls")
    figures.show(fig, ALT)
    assert settings() == before


def test_what_a_reader_sets_after_an_unseen_figure_is_kept(shown: Displayed) -> None:
    plt.close(picture())
    mpl.rcParams["lines.linewidth"] = 7.0
    figures.show(picture(), ALT)
    assert mpl.rcParams["lines.linewidth"] == 7.0


def test_a_picture_does_not_depend_on_the_readers_settings(shown: Displayed) -> None:
    for own in ({}, {"lines.linewidth": 7.0}):
        mpl.rcParams.update(own)
        fig = picture()
        fig.axes[0].text(0.2, 3.5, "falls", color="C1")
        if own:  # a colour by its number is looked up as late as in show
            mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=["red", "red"])
        figures.show(fig, ALT)
    assert shown[0] == shown[2]


def drawn(height: float, slope: float = 1.0) -> tuple[Figure, str]:
    return (
        picture(),
        f"A line of height {height:g} and slope {slope:g}, with more words about it than are needed.",
    )


def test_interactive_is_a_picture_where_nothing_answers_a_dial(
    shown: Displayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("L2LIB_WIDGETS", raising=False)
    figures.interactive(drawn, height=[3, 1, 2, 4], slope=np.array([1.5, 0.5, 2.5]))
    assert "height 3 and slope 1.5," in shown[0][1]["image/png"]["alt"]
    assert len(shown) == 2  # the picture, and its words
    assert plt.get_fignums() == []


@pytest.mark.parametrize("value", ["", "0", " 0 ", "false", "No", "off"])
def test_a_variable_that_says_no_shows_no_dial(
    shown: Displayed, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("L2LIB_WIDGETS", value)
    figures.interactive(drawn, height=[3, 1])
    assert len(shown) == 2


def test_a_variable_that_says_neither_is_refused(
    shown: Displayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2LIB_WIDGETS", "2")
    with pytest.raises(ValueError, match="L2LIB_WIDGETS is '2'; set it to 1 or 0, or unset it"):
        figures.interactive(drawn, height=[3, 1])
    assert shown == []


def test_dials_without_ipywidgets_say_what_to_install(
    shown: Displayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2LIB_WIDGETS", "True")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match="install ipywidgets, or unset the variable L2LIB_WID"):
        figures.interactive(drawn, height=[3, 1])


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


@pytest.mark.parametrize(
    ("draw", "height", "problem"),
    [
        (drawn, 3, "dial height is 3; give a list of numbers"),
        (drawn, [1, 1], r"dial height is \[1, 1\]; .* each once"),
        (drawn, "123", "dial height is '123'"),
        (drawn, ["1", "2"], "dial height is '1'; it must be a finite number"),
        (drawn, [True], "dial height is True"),
        (drawn, (v for v in [1]), "dial height is a generator; give a number or a list"),
        (drawn, None, "dial height is None"),
        ("drawn", [1], "draw is 'drawn'; give a function"),
        (
            lambda **at: picture(),
            [1],
            "draw returns .*; it must return a figure and its description",
        ),
        (lambda **at: (ALT, ALT), [1], "fig is .*; give the figure that subplots returned"),
        (lambda **at: (picture(), None), [1], "at least 12 words; got None"),
    ],
)
def test_interactive_refuses_what_is_no_picture_of_numbers(
    shown: Displayed, draw: Any, height: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=f"figure: .*{problem}"):
        figures.interactive(draw, **{"height": height} | ({"slope": [1]} if draw is drawn else {}))
    assert shown == []


def test_what_is_no_figure_or_axes_is_said() -> None:
    fig, axes = figures.subplots(1, 2)
    axes[0].plot([1, 2], label="a")
    for call in (figures.label_lines, figures.drawn):
        for wrong in (axes, fig, None, "ax"):
            with pytest.raises(
                ValueError, match=r"ax is .*; give one axes, such as ax or axes\[0\]"
            ):
                call(wrong)
    for nudge, problem in (
        ({"a": "6"}, "nudge of 'a' is '6'"),
        ([6], r"nudge is \[6\]; give points by label"),
        ({"a": None}, "nudge of 'a' is None"),
    ):
        with pytest.raises(ValueError, match=problem):
            figures.label_lines(axes[0], nudge=nudge)  # type: ignore[arg-type]
    assert not axes[0].texts
    for wrong, words, problem in (
        (axes[0], "Both fall", "fig is .*; give the figure"),
        (fig, None, "the title is None; it must be text"),
        (fig, " ", "the title is empty; state the finding"),
    ):
        with pytest.raises(ValueError, match=problem):
            figures.title(wrong, words)


def test_a_figure_that_cannot_be_leaves_no_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_unfinished", [])
    monkeypatch.setattr(figures, "_covered", {})
    before = dict(mpl.rcParams)
    for wrong in ({"nrows": 0}, {"nrows": "2"}, {"figsize": "wide"}, {"colour": "red"}):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            figures.subplots(**wrong)
        assert dict(mpl.rcParams) == before


def test_hidden_axes_need_no_words(shown: Displayed) -> None:
    fig, axes = figures.subplots(ncols=2)
    axes[0].set(title="It falls", xlabel="step", ylabel="weight")
    axes[1].set_visible(False)
    figures.show(fig, ALT)
    assert len(shown) == 2


def test_labels_stand_beside_the_axes_too() -> None:
    _, ax = figures.subplots()
    ax.plot([1, 2], [4, 3], label="last", color="#123456")
    figures.label_lines(ax, nudge={"last": -7})
    (label,) = ax.texts
    assert isinstance(label, mpl.text.Annotation)
    assert label.get_annotation_clip() is False
    assert (label.xy, label.get_position(), label.get_va()) == ((2, 3), (5, -7), "center")
    with pytest.raises(ValueError, match=r"is labelled \['a', 'b', 'c', 'd'\]; labels are last$"):
        figures.label_lines(ax, nudge=dict.fromkeys("dbca", 1))


def test_a_dial_has_its_values_in_order_and_a_name_in_words() -> None:
    dial = figures._slider("weight_decay", [0.1, 1e-5, 3.0])
    assert dial.description == "weight decay"
    assert [words for words, _ in dial.options] == ["1e-05", "0.1", "3"]
    assert dial.value == 0.1
    assert dial.continuous_update is False
