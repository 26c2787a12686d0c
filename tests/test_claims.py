"""Claims raise when they should, show what they should, and seeds shift."""

import math
import re
import tomllib
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from l2lib import claims, ledger
from l2lib.claims import (
    MIME,
    ClaimError,
    claim,
    identities,
    interval,
    rng,
    seeds,
    verdict,
    verdicts,
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The mime bundles that were displayed."""
    bundles: list[dict[str, Any]] = []

    def display(bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        bundles.append(bundle)

    monkeypatch.setattr(claims, "get_ipython", lambda: "a shell")
    monkeypatch.setattr(claims, "display", display)
    monkeypatch.setattr(claims, "_pending", {})
    return bundles


def fields_of(*arguments: Any, **keywords: Any) -> dict[str, Any]:
    """What a claim stores when it is shown."""
    bundles: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "_show", lambda fields, plain, rich: bundles.append(fields))
        claim(*arguments, **keywords)
    (fields,) = bundles
    return fields


# ---- bounds --------------------------------------------------------------------------------
BOUNDS = [
    # bound, numbers that hold, numbers that do not: the edge and beyond
    ({"below": 2.0}, [1.999, -1e9], [2.0, 2.001, math.inf, -math.inf]),
    ({"above": 2.0}, [2.001, 1e9], [2.0, 1.999, math.inf, -math.inf]),
    ({"between": (1.0, 2.0)}, [1.001, 1.5, 1.999], [1.0, 2.0, 0.5, 2.5, math.inf, -math.inf]),
    ({"equals": 2.0, "within": 0.5}, [1.5, 2.0, 2.5], [1.499, 2.501, math.inf, -math.inf]),
    ({"equals": 0.0, "within": 0.5}, [-0.5, 0.0, 0.5], [-0.501, 0.501]),
    ({"below": 0.0}, [-1e-300], [0.0, 1e-300]),
]


@pytest.mark.parametrize(
    ("bound", "value"), [(bound, value) for bound, holds, _ in BOUNDS for value in holds]
)
def test_claim_holds(shown: list[dict[str, Any]], bound: dict[str, Any], value: float) -> None:
    claim("S3-01", "it holds", measured=value, **bound)
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("bound", "value"),
    [(bound, value) for bound, _, fails in BOUNDS for value in [*fails, math.nan]],
)
def test_claim_fails(shown: list[dict[str, Any]], bound: dict[str, Any], value: float) -> None:
    with pytest.raises(ClaimError, match=r"^S3-01 does not hold: it holds\. Measured .*, must be"):
        claim("S3-01", "it holds", measured=value, **bound)
    assert shown == []


@given(value=st.floats(allow_nan=True), low=st.floats(-1e9, 1e9), width=st.floats(1e-3, 1e9))
def test_between_is_the_open_interval(value: float, low: float, width: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "_show", lambda fields, plain, rich: None)
        if low < value < low + width:
            claim("S3-01", "it holds", measured=value, between=(low, low + width))
        else:
            with pytest.raises(ClaimError):
                claim("S3-01", "it holds", measured=value, between=(low, low + width))


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (1.0, 1.0)])
def test_between_without_an_interval_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the lower bound first"):
        claim("S3-01", "it holds", measured=1.0, between=bounds)


@pytest.mark.parametrize(
    "bound",
    [
        {"below": math.inf},
        {"below": math.nan},
        {"above": -math.inf},
        {"between": (math.nan, 1.0)},
        {"equals": math.nan, "within": 1.0},
        {"equals": 1.0, "within": math.inf},
    ],
    ids=str,
)
def test_a_bound_that_is_no_number_is_refused(bound: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^claim S3-01: .*bounds are finite numbers"):
        claim("S3-01", "it holds", measured=0.5, **bound)


def test_claim_error_is_an_assertion() -> None:
    assert issubclass(ClaimError, AssertionError)


@pytest.mark.parametrize(
    "number",
    [1, 1.0, True, np.float64(1), np.float32(1), np.int64(1), np.array(1.0)],
    ids=lambda number: type(number).__name__,
)
def test_claim_takes_every_kind_of_number(shown: list[dict[str, Any]], number: Any) -> None:
    claim("S3-01", "it holds", measured=number, equals=1, within=0.1)
    assert shown[0][MIME]["measured"] == "1"
    with pytest.raises(ClaimError):
        claim("S3-01", "it holds", measured=number, above=1)


@pytest.mark.filterwarnings("error")
def test_claim_takes_tensors(shown: list[dict[str, Any]]) -> None:
    torch = pytest.importorskip(
        "torch"
    )  # imported here, because it takes longer than all the other tests
    numbers = [torch.tensor(2.0), torch.tensor([[2]]), torch.ones((), requires_grad=True) * 2]
    for number in numbers:
        claim("S3-01", "it holds", measured=number, above=1)
        with pytest.raises(ClaimError):
            claim("S3-01", "it holds", measured=number, above=2)
    assert [bundle[MIME]["measured"] for bundle in shown] == ["2"] * 3
    claim("S3-01", "it holds", measured=torch.tensor([0.5, 0.25], dtype=torch.bfloat16), above=0.2)
    assert shown[-1][MIME]["measured"] == "0.25"


@pytest.mark.parametrize("measured", ["one", None, ["a"], 1j, [None]], ids=repr)
def test_claim_takes_real_numbers_only(measured: Any) -> None:
    with pytest.raises(
        ValueError, match=r"claim S3-01: measured .*give (an array of )?(real )?(n|o)"
    ):
        claim("S3-01", "it holds", measured=measured, above=0)


# ---- arrays: all elements must satisfy the bound, and the worst is shown --------------------
@pytest.mark.parametrize(
    ("bound", "values", "worst"),
    [
        ({"below": 2.0}, [1.0, 1.75, -9.0], 1),
        ({"above": 2.0}, [9.0, 2.25, 2.5], 1),
        ({"below": 2.0}, [1.0, 1.05, 1.06], 2),
        ({"between": (1.0, 2.0)}, [1.5, 1.75, 1.125], 2),
        ({"between": (1.0, 2.0)}, [1.5, 1.875, 1.25], 1),
        ({"equals": 2.0, "within": 0.5}, [2.0, 2.25, 1.625], 2),
        ({"equals": 2.0, "within": 0.5}, [2.0, 2.5, 1.625], 1),
    ],
)
def test_the_worst_element_is_shown(
    shown: list[dict[str, Any]], bound: dict[str, Any], values: list[float], worst: int
) -> None:
    claim("S3-01", "it holds", measured=np.array(values), **bound)
    claim("S3-01", "it holds", measured=np.array(values)[:, None, None], **bound)
    claim("S3-01", "it holds: {}", measured=values, **bound)
    assert [bundle[MIME]["measured"] for bundle in shown] == [f"{values[worst]:.3g}"] * 3
    assert f"[at worst {values[worst]:.3g}, must be" in shown[0]["text/plain"]
    assert f"it holds: {values[worst]:.3g}  [must be" in shown[2]["text/plain"]


@pytest.mark.parametrize(
    ("bound", "values", "worst"),
    [
        ({"below": 2.0}, [1.0, 3.0, 4.0, 0.0], 2),
        ({"above": 2.0}, [3.0, 2.0, 1.0, 9.0], 2),
        ({"between": (1.0, 2.0)}, [1.5, 0.0, 2.5, 1.5], 1),
        ({"equals": 2.0, "within": 0.5}, [2.0, 2.0, 2.75, 1.0], 3),
        ({"equals": 2}, [2, 3, 4, 2], 2),
        ({"below": 2.0}, [1.0, 9.0, math.nan, 1.0], 2),
        ({"above": 2.0}, [3.0, math.inf, 3.0, 3.0], 1),
        ({"between": (1.0, 2.0)}, [1.5, 1.5, 1.5, -math.inf], 3),
    ],
)
def test_one_bad_element_fails_and_is_named(
    bound: dict[str, Any], values: list[float], worst: int
) -> None:
    said = re.escape(f"Measured {values[worst]:g} at index {worst} of 4 numbers, must be")
    with pytest.raises(ClaimError, match=said):
        claim("S3-01", "it holds", measured=np.array(values), **bound)
    said = re.escape(f"at index {divmod(worst, 2)} of 4 numbers")
    with pytest.raises(ClaimError, match=said):
        claim("S3-01", "it holds", measured=np.array(values).reshape(2, 2), **bound)


@given(
    values=st.lists(st.floats(allow_nan=True) | st.floats(0.9, 2.1), min_size=1),
    bound=st.sampled_from([row[0] for row in BOUNDS]),
)
def test_an_array_holds_if_each_of_its_elements_does(
    values: list[float], bound: dict[str, Any]
) -> None:
    def holds(measured: Any) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(claims, "_show", lambda fields, plain, rich: None)
            try:
                claim("S3-01", "it holds", measured=measured, **bound)
            except ClaimError:
                return False
            return True

    assert holds(values) == all(map(holds, values))


@pytest.mark.parametrize("empty", [[], np.empty((3, 0)), np.array([], dtype=int)], ids=repr)
def test_nothing_measured_is_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match="claim S3-01: measured is empty"):
        claim("S3-01", "it holds", measured=empty, below=1)


def test_of_two_equally_bad_elements_the_first_is_shown() -> None:
    """Else rounding, which differs from machine to machine, would choose."""
    for error in (-1e-15, 0.0, 1e-15):
        values = [0.0, 0.25, -0.25 + error]
        assert (
            fields_of("S3-01", "it holds", measured=values, equals=0, within=1)["measured"]
            == "0.25"
        )


# ---- counts --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "count", [6, np.int64(6), np.uint8(6), np.array([6, 6]), [6], np.array(6)], ids=repr
)
def test_an_integer_equals_an_integer(shown: list[dict[str, Any]], count: Any) -> None:
    claim("S3-01", "there are {}", measured=count, equals=6)
    claim("S3-01", "there are {}", measured=count, equals=np.int64(6))
    assert [bundle["text/plain"] for bundle in shown] == [
        "✓ there are 6  [must be exactly 6]  (S3-01)"
    ] * 2
    for other in (5, 7):
        with pytest.raises(ClaimError, match=f"there are 6. Measured 6.*, must be exactly {other}"):
            claim("S3-01", "there are {}", measured=count, equals=other)


def test_a_large_count_is_exact_and_shown_in_full() -> None:
    count = 2**53 + 1
    assert fields_of("S3-01", "there are {}", measured=count, equals=count)["measured"] == str(
        count
    )
    with pytest.raises(ClaimError, match=f"Measured {count}, must be exactly {count - 1}"):
        claim("S3-01", "there are {}", measured=count, equals=count - 1)


@pytest.mark.parametrize(
    ("measured", "equals"), [(6.0, 6), (6, 6.0), (np.float32(6), 6), ([6, 6.0], 6)], ids=repr
)
def test_other_numbers_need_a_tolerance(measured: Any, equals: float) -> None:
    with pytest.raises(ValueError, match="equals needs within="):
        claim("S3-01", "there are six", measured=measured, equals=equals)


def test_true_is_one() -> None:
    assert (
        fields_of("S3-01", "all are", measured=np.array([True, True]), equals=1)["measured"] == "1"
    )


# ---- what is shown -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ({"below": 2}, "below 2"),
        ({"above": -0.125}, "above -0.125"),
        ({"between": (1, 1.5)}, "between 1 and 1.5"),
        ({"equals": 1.2, "within": 0.1}, "1.2 to within 0.1"),
    ],
)
def test_claim_shows_three_digits_and_its_bound(
    shown: list[dict[str, Any]], bound: dict[str, Any], words: str
) -> None:
    claim("S3-01", "a < b & c", measured=1.23456, **bound)
    assert shown[0]["text/plain"] == f"✓ a < b & c  [1.23, must be {words}]  (S3-01)"
    mark = '<details class="l2-claim"><summary><span aria-hidden="true">✓</span> '
    assert shown[0]["text/html"].startswith(
        f"{mark}a &lt; b &amp; c (1.23)</summary><p>Must be {words}. <small "
    )
    assert shown[0]["text/html"].endswith(">S3-01</small></p></details>")
    assert shown[0][MIME] == {
        "kind": "claim",
        "id": "S3-01",
        "sentence": "a < b & c",
        "measured": "1.23",
        "bound": words,
    }


@pytest.mark.parametrize(
    ("sentence", "said", "number"),
    [
        ("it is {} m", "it is 1.23 m", "1.23"),
        ("it is {:.4f} m", "it is 1.2346 m", "1.2346"),
        ("{:.0%} of it", "123% of it", "123%"),
        ("{0:g} of {{a, b}}", "1.23456 of {a, b}", "1.23456"),
        ("{:.1f}", "1.2", "1.2"),
    ],
)
def test_the_number_stands_in_its_place(
    shown: list[dict[str, Any]], sentence: str, said: str, number: str
) -> None:
    claim("S3-01", sentence, measured=1.23456, below=2)
    assert shown[0]["text/plain"] == f"✓ {said}  [must be below 2]  (S3-01)"
    assert f"</span> {said}</summary><p>Must be below 2. <small" in shown[0]["text/html"]
    assert (shown[0][MIME]["sentence"], shown[0][MIME]["measured"]) == (said, number)


def test_a_failing_claim_says_the_number_in_its_place() -> None:
    with pytest.raises(
        ClaimError,
        match=r"^S3-01 does not hold: it is 3\.14159 m\. Measured 3\.14159, must be below 2",
    ):
        claim("S3-01", "it is {:.1f} m", measured=math.pi, below=2)


@pytest.mark.parametrize(
    "sentence", ["{} or {}", "{name}", "{1}", "{!r}", "a { b", "{:.2f", "{:nonsense}", "{:c}"]
)
def test_a_sentence_with_other_places_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match="claim S3-01: "):
        claim("S3-01", sentence, measured=1.5, below=2)


def test_outside_a_notebook_the_line_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    claim("S3-01", "it holds", measured=1.5, below=2)
    assert capsys.readouterr().out == "✓ it holds  [1.5, must be below 2]  (S3-01)\n"


# ---- what is printed never contradicts what is true ----------------------------------------
def printed(words: str) -> tuple[Decimal, Decimal]:
    """The interval that a reader sees in a bound's words."""
    numbers = [Decimal(word.rstrip(",")) for word in words.split() if re.match(r"-?\d", word)]
    if "within" in words:
        return numbers[0] - numbers[1], numbers[0] + numbers[1]
    if words.startswith("between"):
        return numbers[0], numbers[1]
    return (
        (numbers[0], Decimal("inf")) if words.startswith("above") else (Decimal("-inf"), numbers[0])
    )


NEAR = st.floats(-1e6, 1e6).filter(lambda edge: not 0 < edge < 1e-5) | st.integers(-3, 3).map(float)
STEPS = st.sampled_from([0.0, 1e-16, -1e-16, 1e-12, -1e-12, 1e-5, -1e-5, 4e-4, -4e-4, 0.1, -0.1])


@given(
    edge=NEAR,
    step=STEPS,
    width=st.floats(1e-5, 10),
    kind=st.sampled_from(["below", "above", "between", "equals"]),
)
@example(edge=0.1, step=-4e-3, width=1.0, kind="below")
@example(edge=0.3, step=0.0, width=0.1, kind="equals")
def test_printed_number_and_bound_agree(edge: float, step: float, width: float, kind: str) -> None:
    value = edge * (1 + step)
    bound: dict[str, Any] = {kind: edge}
    if kind == "between":
        bound = {"between": (edge, edge + width)}
    elif kind == "equals":
        bound = {"equals": edge + width, "within": width}
    try:
        fields = fields_of("S3-01", "it is {}", measured=value, **bound)
        number, words, holds = fields["measured"], fields["bound"], True
    except ClaimError as error:
        number, words = re.findall(r"Measured (\S+), must be (.*)\.$", str(error))[0]
        holds = False
    low, high = printed(words)
    seen = Decimal(number)
    closed = kind == "equals" or "at an end" in words
    assert (low <= seen <= high if closed else low < seen < high) is holds
    assert seen == pytest.approx(Decimal(value), rel=Decimal("0.006"))


@pytest.mark.parametrize(
    ("value", "bound", "shown_as"),
    [
        (0.0996, {"below": 0.1}, ("0.0996", "below 0.1")),
        (0.09996, {"below": 0.1}, ("0.09996", "below 0.1")),
        (0.1, {"below": 0.1000000001}, ("0.1", "below 0.1000000001")),
        (1.0004, {"above": 1}, ("1.0004", "above 1")),
        (0.99996, {"between": (0, 1)}, ("0.99996", "between 0 and 1")),
        (2.50006, {"equals": 2, "within": 0.5001}, ("2.5", "2 to within 0.5001")),
        (2.5004, {"equals": 2, "within": 0.50041}, ("2.5", "2 to within 0.50041")),
        (1.23456, {"below": 1.235}, ("1.23", "below 1.235")),
        (99999.4, {"below": 99999.5}, ("99999", "below 99999.5")),
        (1e-4, {"below": 2e-4}, ("0.0001", "below 0.0002")),
        (1e-5, {"below": 2e-5}, ("1e-5", "below 2e-5")),
        (-0.0, {"below": 1}, ("0", "below 1")),
    ],
)
def test_as_many_digits_as_are_needed(
    value: float, bound: dict[str, Any], shown_as: tuple[str, str]
) -> None:
    fields = fields_of("S3-01", "it is {}", measured=value, **bound)
    assert (fields["measured"], fields["bound"]) == shown_as


def test_a_failing_number_does_not_look_as_if_it_held() -> None:
    with pytest.raises(ClaimError, match=r"Measured 0\.10000000001, must be 0 to within 0\.1\."):
        claim("S3-01", "it is small", measured=0.10000000001, equals=0, within=0.1)


@pytest.mark.parametrize(
    ("sentence", "value", "bound"),
    [
        ("{:.2f}", 1.0996, {"below": 1.1}),
        ("{:.0%}", 0.996, {"below": 1}),
        ("{:.1f}", 0.04, {"above": 0}),
        ("{:.1f}", 2.04, {"equals": 2.1, "within": 0.09}),
        ("{:,.0f}", 1234.4, {"above": 1234}),
    ],
)
def test_a_format_that_contradicts_the_bound_is_refused(
    sentence: str, value: float, bound: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"claim S3-01: the format \{:.*\} shows .*; use \{\}"):
        claim("S3-01", sentence, measured=value, **bound)
    assert fields_of("S3-01", sentence.replace(":.0%", ":.1%"), measured=value, below=9999)


# ---- identities ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bound", "identity"),
    [
        ({"below": 1e-6}, True),
        ({"below": 1e-12}, True),
        ({"below": 1.1e-6}, False),
        ({"between": (-1e-7, 1e-6)}, True),
        ({"between": (-2e-6, 1e-6)}, False),
        ({"equals": 0, "within": 1e-6}, True),
        ({"equals": 0, "within": 2e-6}, False),
        ({"above": -1e-9}, False),
    ],
)
def test_identities_hide_their_rounding_error(
    shown: list[dict[str, Any]], bound: dict[str, Any], identity: bool
) -> None:
    for error in (0.0, 1.23e-14):
        claim("01-identity", "both are equal", measured=error, **bound)
        assert bool(shown) is not identity
        if identity:
            identities()
            assert len(shown) == 1
        assert ("e-14" in str(shown[-1])) is (error > 0 and not identity)
        shown.clear()


def test_identities_are_shown_in_one_line_that_unfolds(shown: list[dict[str, Any]]) -> None:
    claim("01-first", "a < b", measured=[0.0, 1e-13], below=1e-12)
    claim("S3-01", "the norm is {}", measured=5.0, equals=5, within=1e-9)
    assert shown == []
    identities()
    (bundle,) = shown
    assert bundle["text/plain"] == (
        "✓ 2 identities hold to 1e-9\n  a < b  [below 1e-12]  (01-first)\n  the norm is 5  [5 to within 1e-9]  (S3-01)"
    )
    summary = '<summary><span aria-hidden="true">✓</span> 2 identities hold to 1e-9</summary>'
    assert bundle["text/html"].startswith(
        f'<details class="l2-identities">{summary}<p class="l2-claim">a &lt; b <em>'
    )
    assert bundle["text/html"].count('<p class="l2-claim">') == 2
    assert bundle[MIME]["kind"] == "identities"
    assert [row["id"] for row in bundle[MIME]["claims"]] == ["01-first", "S3-01"]
    assert bundle[MIME]["claims"][0] == {
        "kind": "claim",
        "id": "01-first",
        "sentence": "a < b",
        "measured": None,
        "bound": "below 1e-12",
    }


def test_each_identity_is_shown_once(shown: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="none was claimed"):
        identities()
    claim("01-first", "so it is", measured=0.0, below=1e-12)
    claim("01-first", "so it is", measured=0.0, below=1e-12)  # a cell run again
    identities()
    assert shown[0]["text/plain"].startswith("✓ 1 identity holds to 1e-12\n")
    with pytest.raises(ValueError, match="none was claimed"):
        identities()


def test_an_identity_that_fails_raises_at_once(shown: list[dict[str, Any]]) -> None:
    with pytest.raises(
        ClaimError, match=r"01-first does not hold: a is b\. Measured 1e-11, must be below 1e-12\."
    ):
        claim("01-first", "a is b", measured=1e-11, below=1e-12)
    with pytest.raises(ValueError, match="none was claimed"):
        identities()
    assert shown == []


def test_an_identity_has_no_place_for_rounding_errors() -> None:
    with pytest.raises(ValueError, match="leave the place out"):
        claim("01-first", "they differ by {}", measured=1e-14, below=1e-12)


def test_claim_below_a_negative_bound_shows_its_number(shown: list[dict[str, Any]]) -> None:
    claim("S3-01", "it falls", measured=-3.0, below=-1e-9)
    assert "[-3, must be below -1e-9]" in shown[0]["text/plain"]


# ---- misuse --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"below": 1, "above": 0},
        {"below": 1, "between": (0, 1)},
        {"below": 1, "equals": 1, "within": 1},
        {"equals": 1},
        {"equals": 0.5},
        {"within": 1},
        {"below": 1, "within": 1},
        {"equals": 1, "within": 0},
        {"equals": 1, "within": -1},
        {"equals": 1, "within": math.nan},
    ],
    ids=str,
)
def test_claim_refuses_wrong_bounds(shown: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"claim S3-01: "):
        claim("S3-01", "it holds", measured=0.5, **arguments)
    assert shown == []


@pytest.mark.parametrize("sentence", ["", " \n"])
def test_claim_refuses_an_empty_sentence(sentence: str) -> None:
    with pytest.raises(ValueError, match="sentence is empty"):
        claim("S3-01", sentence, measured=0.5, below=1)


@pytest.mark.parametrize(
    "name", ["", "S4-01", "S3-1", "S3-001", "s3-01", "1-words", "01-", "01-Words", "S3-01 "]
)
def test_malformed_ids_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        claim(name, "it holds", measured=0.5, below=1)
    with pytest.raises(ValueError, match=r"is not a line of the ledger"):
        verdict(name, "true", "it was measured")


@pytest.mark.parametrize("name", ["S0-00", "S3-99", "01-variance", "12-two-words-3"])
def test_well_formed_ids_are_taken(shown: list[dict[str, Any]], name: str) -> None:
    claim(name, "it holds", measured=0.5, below=1)
    assert shown[0][MIME]["id"] == name


# ---- verdicts ------------------------------------------------------------------------------
@pytest.mark.parametrize("ruling", ledger.RULINGS)
def test_verdict_shows_what_was_said_and_why(shown: list[dict[str, Any]], ruling: str) -> None:
    verdict("S3-12", ruling, "c & d")
    assert shown == []
    verdicts()
    line = ledger.line("S3-12")
    title = "1 line of the sources, with its verdict"
    assert shown[0]["text/plain"] == (
        f"{title}\n  “{line.quote}” In our words: {line.says}. {ruling.upper()}: c & d  (S3-12)"
    )
    rich = shown[0]["text/html"]
    assert rich.startswith(f'<details class="l2-verdicts"><summary>{title}</summary><table ')
    for words in ("S3-12", f"“{line.quote}”", f"{line.says}.", ruling.capitalize(), "c &amp; d"):
        assert words in rich
    because = {"kind": "verdict", "id": "S3-12", "ruling": ruling, "because": "c & d"}
    assert shown[0][MIME] == {"kind": "verdicts", "verdicts": [because]}


def test_verdict_escapes_the_source_and_ends_a_question_as_one(shown: list[dict[str, Any]]) -> None:
    verdict("S2-04", "answered", "yes")
    verdict("S2-06", "false", "no")
    verdicts()
    assert "In our words: is the penalty on a bias not negative" in shown[0]["text/plain"]
    assert "wx + b? ANSWERED: yes" in shown[0]["text/plain"]
    assert "print(&#x27;L1 norm of w:&#x27;" in shown[0]["text/html"]


def test_verdicts_are_one_table_in_their_order(shown: list[dict[str, Any]]) -> None:
    for name in ("S3-12", "S2-04", "S3-12"):  # the cell of the first was run twice
        verdict(name, "true", f"why {name}")
    verdicts()
    (bundle,) = shown
    assert bundle["text/plain"].startswith("2 lines of the sources, each with its verdict\n  “")
    assert [row["id"] for row in bundle[MIME]["verdicts"]] == ["S3-12", "S2-04"]
    assert bundle["text/html"].count('<tr class="l2-verdict"') == 2
    assert bundle["text/html"].index("why S3-12") < bundle["text/html"].index("why S2-04")
    with pytest.raises(ValueError, match="verdicts: none was given since the last call"):
        verdicts()
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("01-own", "true", "why"), "not a line of the ledger"),
        (("S3-14", "true", "why"), "not a line of the ledger"),
        (("S3-06", "maybe", "why"), "choose one of true, false"),
        (("S3-06", "True", "why"), "choose one of"),
        (("S3-06", ["true"], "why"), "choose one of"),
        (("S3-06", "true", None), "because is None; it must be text"),
        ((6, "true", "why"), "not a line of the ledger"),
        (("S3-06", "true", " "), "say why the ruling holds"),
    ],
)
def test_verdict_refuses_misuse(
    shown: list[dict[str, Any]], arguments: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        verdict(*arguments)
    assert shown == []
    with pytest.raises(ValueError, match="none was given"):
        verdicts()


# ---- seeds ---------------------------------------------------------------------------------
def shifted(monkeypatch: pytest.MonkeyPatch, shift: int | str, n: int = 5) -> list[int]:
    monkeypatch.setenv("L2LIB_SEED", str(shift))
    return seeds(n)


def test_seeds_start_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("L2LIB_SEED", raising=False)
    assert seeds(3) == [0, 1, 2]
    assert shifted(monkeypatch, 0, 3) == [0, 1, 2]


def test_seeds_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shifted(monkeypatch, 2, 3) == [2000, 2001, 2002]


@given(n=st.integers(1, 1000), first=st.integers(0, 1000), second=st.integers(0, 1000))
def test_shifted_seeds_are_seeds_nobody_looked_at(n: int, first: int, second: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        one, other = set(shifted(patch, first, n)), set(shifted(patch, second, n))
    assert len(one) == n
    assert min(one) >= 0
    assert one == other if first == second else not one & other


@pytest.mark.parametrize("n", [0, -1, 1001, 5.0, "5", None, True])
def test_seeds_refuse_a_number_out_of_range(n: Any) -> None:
    with pytest.raises(ValueError, match="it must be a whole number, 1 to 1000"):
        seeds(n)


@pytest.mark.parametrize(("shift", "first"), [("", 0), (" ", 0), (" 2 ", 2000), ("007", 7000)])
def test_a_shift_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, shift: str, first: int
) -> None:
    assert shifted(monkeypatch, shift) == [first + i for i in range(5)]


@pytest.mark.parametrize("shift", ["-1", "1.5", "one", "4,2", "0x2", "1000001", "1" * 5000, "²"])
def test_seeds_refuse_a_shift_that_is_no_whole_number(
    monkeypatch: pytest.MonkeyPatch, shift: str
) -> None:
    with pytest.raises(ValueError, match="L2LIB_SEED is"):
        shifted(monkeypatch, shift)


# ---- generators ----------------------------------------------------------------------------
def test_the_generator_starts_from_the_first_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    for shift in (0, 3):
        monkeypatch.setenv("L2LIB_SEED", str(shift))
        first = seeds(1)[0]
        assert rng().random() == np.random.default_rng(first).random()
        assert rng(5).random() == np.random.default_rng([first, 5]).random()


def test_streams_are_different() -> None:
    assert len({rng().random(), rng(0).random(), rng(1).random()}) >= 2
    assert rng(1).random() == rng(1).random()
    with pytest.raises(ValueError, match="stream is -1"):
        rng(-1)


# ---- intervals -----------------------------------------------------------------------------
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_interval_is_students(level: float) -> None:
    values = np.random.default_rng(0).normal(3, 2, (7, 2))
    found = interval(values, level)
    low, high = stats.t.interval(level, 6, loc=values.mean(0), scale=stats.sem(values))
    np.testing.assert_allclose(found.low, low, rtol=1e-12)
    np.testing.assert_allclose(found.high, high, rtol=1e-12)
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.half, (high - low) / 2, rtol=1e-12)


@pytest.mark.parametrize(("n", "quantile"), [(5, 2.776), (10, 2.262), (20, 2.093)])
def test_interval_has_the_quantiles_of_the_tables(n: int, quantile: float) -> None:
    values = np.arange(n)
    assert interval(values).half / (values.std(ddof=1) / n**0.5) == pytest.approx(
        quantile, abs=5e-4
    )
    assert interval(values).half == interval([*map(float, values)], 0.95).half


@pytest.mark.parametrize(
    ("values", "level", "problem"),
    [
        ([1.0], 0.95, "one value says nothing"),
        (1.0, 0.95, "one value says nothing"),
        (np.ones((1, 5)), 0.95, "one value says nothing"),
        ([], 0.95, "empty"),
        ([1.0, math.nan, 2.0], 0.95, "NaN"),
        ([1.0, math.inf, 2.0], 0.95, "infinite"),
        ([1.0, 2.0], 0.0, "level is 0"),
        ([1.0, 2.0], 1.0, "level is 1"),
        ([1.0, 2.0], 95, "level is 95"),
        ([1.0, 2.0], math.nan, "level is nan"),
    ],
)
def test_interval_refuses_misuse(values: Any, level: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        interval(values, level)


# ---- limits, and what is told --------------------------------------------------------------------
def test_the_largest_shift_and_the_most_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2LIB_SEED", "1000000")
    assert seeds(1000)[::999] == [10**9, 10**9 + 999]
    monkeypatch.setenv("L2LIB_SEED", "1000001")
    with pytest.raises(
        ValueError, match="L2LIB_SEED is '1000001'; set it to 0, 1, 2, …, a million"
    ):
        seeds(1)
    with pytest.raises(ValueError, match="seeds: n is 1001; it must be a whole number, 1 to 1000"):
        seeds(1001)


@pytest.mark.parametrize("measured", [3, [3], [[3]], np.array(3.0), np.array([[[3.0]]])])
def test_one_number_has_no_index_and_is_not_the_worst(
    measured: Any, shown: list[dict[str, Any]]
) -> None:
    claim("01-a", "it is small", measured=measured, below=4)
    assert "[3, must be below 4]" in shown[0]["text/plain"]
    with pytest.raises(ClaimError, match=r"it is small. Measured 3, must be below 2\.$"):
        claim("01-a", "it is small", measured=measured, below=2)


@pytest.mark.parametrize(
    ("measured", "place"),
    [
        ([1, math.inf, math.nan, 9], "1"),
        ([9, math.nan, math.inf], "1"),
        ([1, 3, 5, 4], "2"),
        ([[1, 2], [7, 3]], r"\(1, 0\)"),
        ([5, 5 * (1 - 1e-12), 5 * (1 + 1e-12)], "0"),
        ([1, 5 * (1 - 1e-12), 5 * (1 + 1e-12), 5], "1"),
    ],
)
def test_the_worst_number_is_named_by_its_index(measured: Any, place: str) -> None:
    """The first that is not finite; of numbers that are equal but for rounding the first."""
    size = np.size(measured)
    with pytest.raises(ClaimError, match=f"at index {place} of {size} numbers, must be below 2"):
        claim("01-a", "all are small", measured=measured, below=2)


@pytest.mark.parametrize(
    ("number", "says"),
    [(1.5e7, "1.5e+7"), (-2.5e-7, "-2.5e-7"), (1e20, "1e+20"), (1e-12, "1e-12"), (-0.0, "0")],
)
def test_powers_of_ten_are_short(number: float, says: str) -> None:
    assert fields_of("01-a", "it is {}", measured=number, below=1e30)["sentence"] == f"it is {says}"


def test_whole_numbers_of_any_size_are_measured() -> None:
    large = np.array([2**63 + 2**20], dtype=np.uint64)
    claim("01-a", "they are large", measured=large, above=2.0**62)
    with pytest.raises(ClaimError):
        claim("01-a", "they are small", measured=large, below=0)


def test_every_bound_that_is_given_is_told() -> None:
    bounds: Any = {"below": 1, "between": (0, 1), "equals": 0}
    with pytest.raises(
        ValueError, match=r"^claim 01-a: give exactly one of .*; got below, between, e"
    ):
        claim("01-a", "it is", measured=0, **bounds)
    with pytest.raises(
        ValueError, match=r"^verdict S3-06: ruling is 'wrong'; choose one of true, "
    ):
        verdict("S3-06", "wrong", "because")


def test_the_ledger_says_what_its_file_says() -> None:
    file = Path(str(ledger.__file__)).parent / "data" / "ledger.toml"
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    assert [*ledger.lines()] == [row["id"] for row in written["line"]]
    for row in written["line"]:
        held = asdict(ledger.line(row["id"]))
        assert held == {"also": ()} | row | {"also": tuple(row.get("also", ()))}
    for row in written["source"]:
        source = ledger.sources()[row["id"]]
        assert (source.title, source.spoilt) == (row["title"], row.get("spoilt", {}))
    for wrong in ("S9-99", 3, None, ["S3-06"]):
        with pytest.raises(
            ValueError, match=r"is not a line of the ledger; its ids look like S3-06$"
        ) as no:
            ledger.line(wrong)  # type: ignore[arg-type]
        assert str(no.value).startswith(repr(wrong))
