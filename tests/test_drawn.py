"""What is drawn is read back as it is, and a digest notices what a reader would see."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.axes import Axes

from l2lib._drawn import MIME, Drawn, Mark, digest, drawn
from tests.planted import compare
from tests.planted.compare import other_drawing as difference

X = np.linspace(1, 10, 40)


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    yield
    plt.close("all")


def axes(draw: Callable[[Axes], object]) -> Axes:
    _, ax = plt.subplots()
    draw(ax)
    return ax


# ---- by label ------------------------------------------------------------------------------------
def test_a_line_gives_its_data_on_any_scale() -> None:
    ax = axes(lambda ax: ax.loglog(X, X**2, label="squares"))
    line = drawn(ax)["squares"]
    assert np.array_equal(line.x, X)
    assert np.array_equal(line.y, X**2)
    assert line.at(10) == 100


def test_lines_of_one_label_are_stacked() -> None:
    ax = axes(lambda ax: ax.plot(X, np.stack([X, 2 * X], axis=1), label="seeds"))
    mark = drawn(ax)["seeds"]
    assert mark.y.shape == (2, 40)
    assert mark.at(10).tolist() == [10, 20]


def test_lines_that_cannot_be_stacked_are_refused() -> None:
    ax = axes(lambda ax: (ax.plot([1, 2], label="a"), ax.plot([1, 2, 3], label="a")))
    with pytest.raises(ValueError, match="2 things of different size are 'a'"):
        drawn(ax)


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_band_gives_its_two_ends(upside_down: bool) -> None:
    low, high = np.sin(X), np.sin(X) + X / 5
    ends = (high, low) if upside_down else (low, high)
    mark = drawn(axes(lambda ax: ax.fill_between(X, *ends, label="95 %")))["95 %"]
    assert np.allclose(mark.x, X)
    assert np.allclose(mark.low, low)
    assert np.allclose(mark.high, high)


def test_bars_give_their_ends() -> None:
    up = drawn(axes(lambda ax: ax.bar([1, 2], [3, -4], label="up")))["up"]
    along = drawn(axes(lambda ax: ax.barh([1, 2], [3, -4], label="along")))["along"]
    assert (up.x.tolist(), up.y.tolist()) == ([1, 2], [3, -4])
    assert (along.x.tolist(), along.y.tolist()) == ([3, -4], [1, 2])
    stacked = drawn(axes(lambda ax: ax.bar([1, 2], [3, 4], bottom=[1, 5], label="top")))["top"]
    beside = drawn(axes(lambda ax: ax.barh([1, 2], [3, 4], left=[1, 5], label="top")))["top"]
    assert stacked.y.tolist() == beside.x.tolist() == [4, 9]


@pytest.mark.parametrize("which", ["xerr", "yerr"])
def test_error_bars_give_their_ends(which: str) -> None:
    bars = {which: [0.5, 0.25]}
    mark = drawn(axes(lambda ax: ax.errorbar([1, 2], [3, 4], **bars, fmt="o", label="e")))["e"]
    centre = mark.x if which == "xerr" else mark.y
    assert np.allclose(mark.high - centre, [0.5, 0.25])
    assert np.allclose(centre - mark.low, [0.5, 0.25])


def test_error_bars_without_a_number_have_none() -> None:
    y, ends = [3, np.nan, 4], [1, 1, np.nan]
    mark = drawn(axes(lambda ax: ax.errorbar([1, 2, np.nan], y, ends, fmt="o", label="e")))["e"]
    nan = np.nan
    assert np.array_equal([mark.low, mark.high], [[2, nan, nan], [4, nan, nan]], equal_nan=True)


def test_dots_lines_across_and_maps() -> None:
    def draw(ax: Axes) -> None:
        ax.scatter([1, 2], [3, 4], label="dots")
        ax.axhline(3.5, label="_level")
        ax.pcolormesh(np.arange(6.0).reshape(2, 3), label="map")

    found = drawn(axes(draw))
    assert found["dots"].y.tolist() == [3, 4]
    assert found["_level"].y.tolist() == [3.5, 3.5]
    assert found["map"].x.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    assert {*found} == {"dots", "_level", "map"}


def test_what_has_no_label_is_not_found() -> None:
    def draw(ax: Axes) -> None:
        ax.plot([1, 2])
        ax.bar([1], [2])
        ax.errorbar([1], [2], yerr=[1])
        ax.plot([1, 2], label="named")

    found = drawn(axes(draw))
    assert [*found] == ["named"]
    assert len(found) == 1
    with pytest.raises(ValueError, match="nothing has the label 'other'; labels are 'named'"):
        found["other"]
    with pytest.raises(ValueError, match="labels are none"):
        Drawn({})["other"]


def test_data_stay_when_the_figure_is_closed() -> None:
    ax = axes(lambda ax: ax.plot([1, 2], label="named"))
    found = drawn(ax)
    plt.close("all")
    assert found["named"].at(1) == 2


# ---- digests -------------------------------------------------------------------------------------
def picture(
    a: float = 1.0,
    labels: tuple[str, str] = ("one", "two"),
    theory: float = 5.0,
    width: float = 1.0,
    heights: tuple[float, ...] = (3.0, 5.0),
    word: tuple[float, float, str] = (2, 3, "here"),
    scale: str = "linear",
    title: str = "The finding",
    order: int = 1,
    colour: str = "C3",
    values: float = 1.0,
    alpha: float = 0.3,
    swapped: bool = False,
    legend: bool = True,
) -> str:
    fig, (ax, other) = plt.subplots(1, 2)
    curves = [a * X, 0.5 * X + 1][:: -1 if swapped else 1]
    for curve, label in zip(curves, labels, strict=True):
        ax.plot(X[::order], curve[::order], label=label)
    ax.axhline(theory, ls="--", color=colour)
    ax.fill_between(X, X - width, X + width, alpha=alpha)
    ax.scatter([2, 3], [4, 5])
    ax.bar([8, 9], heights)
    ax.text(*word)
    ax.annotate("there", (5, 5))
    ax.set(yscale=scale, ylim=(0.5, 12), title=title)
    if legend:
        ax.legend()
    grid = np.add.outer(X, X) * values
    other.imshow(grid[:5, :5], vmin=0, vmax=20)
    other.contour(grid[:5, :5], levels=[3, 4])
    fig.canvas.draw()
    return digest(fig)


def test_the_same_picture_has_no_difference() -> None:
    assert difference(picture(), picture()) == ""


def test_what_no_eye_sees_is_no_difference() -> None:
    assert difference(picture(), picture(a=1 + 1e-5, theory=5.0001, width=1 - 1e-6)) == ""


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a curve at another value", {"a": 1.01}),
        ("curves' labels exchanged", {"labels": ("two", "one")}),
        ("curves exchanged", {"swapped": True}),
        ("a curve backwards", {"order": -1}),
        ("the line of theory elsewhere", {"theory": 5.1}),
        ("a wider band", {"width": 1.1}),
        ("bars exchanged", {"heights": (5.0, 3.0)}),
        ("a word moved", {"word": (2.2, 3, "here")}),
        ("another word", {"word": (2, 3, "near")}),
        ("another scale", {"scale": "log"}),
        ("another title", {"title": "The other finding"}),
        ("another colour", {"colour": "C4"}),
        ("other values of a map", {"values": 1.05}),
        ("a band that hides what is behind it", {"alpha": 1.0}),
    ],
)
def test_what_a_reader_would_see_is_a_difference(what: str, change: dict[str, object]) -> None:
    assert difference(picture(), picture(**change)) != ""  # type: ignore[arg-type]


def test_a_curve_that_leaves_the_picture_elsewhere_is_another() -> None:
    def leaving(y: float) -> str:
        return digest(axes(lambda ax: (ax.plot([0, 1], [0, y]), ax.set_ylim(0, 1))).figure)

    assert difference(leaving(1.3), leaving(1.3)) == ""
    assert difference(leaving(1.3), leaving(1.6)) != ""


def test_what_is_compared_is_what_is_stored() -> None:
    assert compare.DRAWN == MIME


def test_labels_that_stand_in_no_legend_count() -> None:
    plain = picture(legend=False)
    assert difference(plain, picture(legend=False, labels=("two", "one"))) != ""


def test_where_rounding_error_lies_is_no_difference() -> None:
    def noise(ax: Axes, y: float, gid: str | None) -> str:
        ax.plot([1, 2], [y, 1], "o", gid=gid)
        ax.set(xlim=(0, 3), ylim=(0, 3))
        ax.figure.canvas.draw()
        return digest(ax.figure)

    for gid, same in (("rounding", True), (None, False)):
        one, other = (noise(plt.subplots()[1], y, gid) for y in (0.5, 0.6))
        assert (difference(one, other) == "") is same


def test_something_more_is_a_difference() -> None:
    whole = picture()
    assert "more or fewer" in difference(whole, "\n".join(whole.splitlines()[:-1]))


def test_points_that_are_not_finite_and_empty_lines_have_a_place() -> None:
    fig, ax = plt.subplots()
    ax.plot([1, 2, 3], [1, np.nan, np.inf], label="gaps")
    ax.plot([], [], label="nothing")
    fig.canvas.draw()
    assert difference(digest(fig), digest(fig)) == ""


def test_an_output_more_than_is_stored_is_told_in_words() -> None:
    one, other = (nbformat.v4.new_output("display_data", {"text/plain": word}) for word in "ab")
    assert "b" in compare.difference([one], [one, other])


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
def test_a_place_is_found_to_a_millionth_in_any_unit(unit: float) -> None:
    line = Mark(np.array([0.0, 1.0, 3.0]) * unit, np.array([3.0, 5.0, 8.0]))
    for x, y in ((0, 3), (1, 5), (3, 8), (1 + 2.9e-6, 5), (-2.9e-6, 3)):
        assert line.at(x * unit) == y
    for x in (1 + 3.1e-6, 0.5, 3.1, -1):
        with pytest.raises(ValueError, match="no point at x"):
            line.at(x * unit)
    one = Mark(np.array([2.0]) * unit, np.array([7.0]))
    assert one.at(2 * unit * (1 + 9e-7)) == 7
    with pytest.raises(ValueError, match="no point at x") as refused:
        one.at(2 * unit * (1 + 2e-6))
    told = f"x = {2.000004 * unit:.9g}; the nearest is at {2 * unit:.9g}"
    assert str(refused.value).endswith(told)


def test_the_line_in_a_band_is_its_middle() -> None:
    band = drawn(axes(lambda ax: ax.fill_between(X, X, 3 * X, label="band")))["band"]
    assert np.allclose(band.y, 2 * X)


@pytest.mark.parametrize("both", [True, False])
def test_error_bars_are_those_along_y_if_there_are_any(both: bool) -> None:
    x, y = np.array([1.0, 2, 4]), np.array([3.0, 5, 4])
    errors: dict[str, Any] = {"xerr": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]}
    if both:
        errors["yerr"] = [[1.0, 2, 3], [4, 5, 6]]
    mark = drawn(axes(lambda ax: ax.errorbar(x, y, **errors, label="a")))["a"]
    low, high = (np.array(each) for each in errors["yerr" if both else "xerr"])
    centre = y if both else x
    assert np.allclose([mark.x, mark.y], [x, y])
    assert np.allclose([mark.low, mark.high], [centre - low, centre + high])


def test_marks_of_one_label_are_stacked_whole() -> None:
    def draw(ax: Axes) -> None:
        for k in (1, 2):
            ax.fill_between(X, k * X, 3 * k * X, label="bands")

    bands = drawn(axes(draw))["bands"]
    assert bands.x.shape == bands.y.shape == bands.low.shape == bands.high.shape == (2, 40)
    assert np.allclose(bands.high[1], 6 * X)
    assert np.allclose(bands.at(10), [20, 40])


@pytest.mark.parametrize("horizontal", [True, False])
def test_bars_may_begin_anywhere(horizontal: bool) -> None:
    places, long, first = [1.0, 2.0], [3.0, 5.0], [10.0, 20.0]

    def draw(ax: Axes) -> None:
        if horizontal:
            ax.barh(places, long, left=first, label="b")
        else:
            ax.bar(places, long, bottom=first, label="b")

    mark = drawn(axes(draw))["b"]
    x, y = (mark.y, mark.x) if horizontal else (mark.x, mark.y)
    assert np.allclose([x, y], [places, [13, 25]])


def test_what_is_masked_is_no_number_and_an_underscore_no_secret() -> None:
    line = np.ma.masked_greater([1.0, 2.0, 9.0], 5)

    def draw(ax: Axes) -> None:
        ax.plot([0, 1, 2], line, label="_hidden")
        ax.pcolormesh(line[None], label="map")
        ax.bar([0], [1])
        ax.plot([0, 1], [0, 1])

    found = drawn(axes(draw))
    assert [*found] == ["_hidden", "map"]
    for shown in (found["_hidden"].y, found["map"].x.ravel()):
        assert np.array_equal(shown, [1, 2, np.nan], equal_nan=True)
