"""Claims raise when they should, show what they should, and seeds shift."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2lib import claims, ledger
from l2lib.claims import MIME, ClaimError, claim, seeds, verdict


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The mime bundles that were displayed."""
    bundles: list[dict[str, Any]] = []

    def display(bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        bundles.append(bundle)

    monkeypatch.setattr(claims, "display", display)
    return bundles


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


@pytest.mark.parametrize(("bound", "value"), [(bound, value) for bound, holds, _ in BOUNDS for value in holds])
def test_claim_holds(shown: list[dict[str, Any]], bound: dict[str, Any], value: float) -> None:
    claim("S3-01", "it holds", measured=value, **bound)
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("bound", "value"), [(bound, value) for bound, _, fails in BOUNDS for value in [*fails, math.nan]]
)
def test_claim_fails(shown: list[dict[str, Any]], bound: dict[str, Any], value: float) -> None:
    with pytest.raises(ClaimError, match=r"^S3-01 does not hold: it holds\. Measured .*, must be"):
        claim("S3-01", "it holds", measured=value, **bound)
    assert shown == []


@given(value=st.floats(allow_nan=True), low=st.floats(-1e9, 1e9), width=st.floats(1e-3, 1e9))
def test_between_is_the_open_interval(value: float, low: float, width: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "display", lambda bundle, raw: None)
        if low < value < low + width:
            claim("S3-01", "it holds", measured=value, between=(low, low + width))
        else:
            with pytest.raises(ClaimError):
                claim("S3-01", "it holds", measured=value, between=(low, low + width))


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (1.0, 1.0), (math.nan, 1.0)])
def test_between_without_an_interval_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="the lower bound first"):
        claim("S3-01", "it holds", measured=1.0, between=bounds)


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
    torch = pytest.importorskip("torch")  # imported here, because it takes longer than all the other tests
    numbers = [torch.tensor(2.0), torch.tensor([[2]]), torch.ones((), requires_grad=True) * 2]
    for number in numbers:
        claim("S3-01", "it holds", measured=number, above=1)
        with pytest.raises(ClaimError):
            claim("S3-01", "it holds", measured=number, above=2)
    assert [bundle[MIME]["measured"] for bundle in shown] == ["2"] * 3
    with pytest.raises((RuntimeError, ValueError)):
        claim("S3-01", "it holds", measured=torch.ones(2), above=0)


@pytest.mark.parametrize("measured", [np.ones(2), "one", None], ids=["array", "str", "None"])
def test_claim_takes_one_number_only(measured: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        claim("S3-01", "it holds", measured=measured, above=0)


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
def test_claim_shows_three_digits_and_its_bound(shown: list[dict[str, Any]], bound: dict[str, Any], words: str) -> None:
    claim("S3-01", "a < b & c", measured=1.23456, **bound)
    assert shown[0]["text/plain"] == f"✓ S3-01  a < b & c  [1.23, must be {words}]"
    assert shown[0]["text/html"].startswith('<p class="l2-claim">')
    assert "a &lt; b &amp; c" in shown[0]["text/html"]
    assert f"[1.23, must be {words}]" in shown[0]["text/html"]
    assert shown[0][MIME] == {
        "kind": "claim",
        "id": "S3-01",
        "sentence": "a < b & c",
        "measured": "1.23",
        "bound": words,
    }


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
    first, second = shown
    assert (first == second) is identity
    assert (first[MIME]["measured"] is None) is identity
    assert ("e-14" in second["text/plain"] + second["text/html"]) is not identity


def test_claim_below_a_negative_bound_shows_its_number(shown: list[dict[str, Any]]) -> None:
    claim("S3-01", "it falls", measured=-3.0, below=-1e-9)
    assert "[-3, must be below -1e-09]" in shown[0]["text/plain"]


# ---- misuse --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"below": 1, "above": 0},
        {"below": 1, "between": (0, 1)},
        {"below": 1, "equals": 1, "within": 1},
        {"equals": 1},
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


@pytest.mark.parametrize("name", ["", "S4-01", "S3-1", "S3-001", "s3-01", "1-words", "01-", "01-Words", "S3-01 "])
def test_malformed_ids_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        claim(name, "it holds", measured=0.5, below=1)
    with pytest.raises(ValueError, match="is not a line of the ledger"):
        verdict(name, "true", "it was measured")


@pytest.mark.parametrize("name", ["S0-00", "S3-99", "01-variance", "12-two-words-3"])
def test_well_formed_ids_are_taken(shown: list[dict[str, Any]], name: str) -> None:
    claim(name, "it holds", measured=0.5, below=1)
    assert shown[0][MIME]["id"] == name


# ---- verdicts ------------------------------------------------------------------------------
@pytest.mark.parametrize("ruling", ledger.RULINGS)
def test_verdict_shows_what_was_said_and_why(shown: list[dict[str, Any]], ruling: str) -> None:
    verdict("S3-12", ruling, "c & d")
    line = ledger.line("S3-12")
    assert shown[0]["text/plain"] == (
        f"S3-12  The source: “{line.quote}”  In our words: {line.says}.  {ruling.upper()}: c & d"
    )
    assert shown[0]["text/html"].startswith('<p class="l2-verdict">')
    for words in ("S3-12", f"“{line.quote}”", f"{line.says}.", ruling.capitalize(), "c &amp; d"):
        assert words in shown[0]["text/html"]
    assert shown[0][MIME] == {"kind": "verdict", "id": "S3-12", "ruling": ruling, "because": "c & d"}


def test_verdict_escapes_the_source_and_ends_a_question_as_one(shown: list[dict[str, Any]]) -> None:
    verdict("S2-04", "answered", "yes")
    assert "In our words: is the penalty on a bias not negative" in shown[0]["text/plain"]
    assert "wx + b?  ANSWERED: yes" in shown[0]["text/plain"]
    verdict("S2-06", "false", "no")
    assert "print(&#x27;L1 norm of w:&#x27;" in shown[1]["text/html"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("01-own", "true", "why"), "not a line of the ledger"),
        (("S3-14", "true", "why"), "not a line of the ledger"),
        (("S3-06", "maybe", "why"), "use one of true, false"),
        (("S3-06", "True", "why"), "use one of"),
        (("S3-06", "true", " "), "say why the ruling holds"),
    ],
)
def test_verdict_refuses_misuse(shown: list[dict[str, Any]], arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        verdict(*arguments)
    assert shown == []


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


@pytest.mark.parametrize("n", [0, -1, 1001])
def test_seeds_refuse_a_number_out_of_range(n: int) -> None:
    with pytest.raises(ValueError, match="it must be 1 to 1000"):
        seeds(n)


@pytest.mark.parametrize("shift", ["-1", "1.5", "one", ""])
def test_seeds_refuse_a_shift_that_is_no_whole_number(monkeypatch: pytest.MonkeyPatch, shift: str) -> None:
    with pytest.raises(ValueError, match="L2LIB_SEED is"):
        shifted(monkeypatch, shift)
