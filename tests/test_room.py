"""The room of claims: standard deviations between what seeds measure and the bound, on each side."""

import math

import numpy as np
import pytest

from l2lib import claims
from tests.room import Claimed, listen, numbers, room, rooms


def claimed(least: float, most: float, low: float = -math.inf, high: float = math.inf) -> Claimed:
    return Claimed("09-a", least, most, low, high, low < least and most < high)


def test_room_counts_standard_deviations_on_the_side_that_has_fewer() -> None:
    met = np.array([[1.0, 4.0], [2.0, 4.5], [3.0, 5.0]])  # s is 1 and 0.5
    assert room(met, claimed(1, 4, low=-2.0)) == pytest.approx(4)
    assert room(met, claimed(1, 4, high=5.5)) == pytest.approx(2)
    assert room(met, claimed(1, 4, low=-2.0, high=5.5)) == pytest.approx(2)


def test_room_of_factors_is_measured_in_logarithms() -> None:
    met = np.exp([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    assert room(met, claimed(1, 1, high=math.e**4)) == pytest.approx(3)
    assert room(met, claimed(1, 1, low=-1.0)) < 2  # a bound below zero has no logarithm


def test_what_never_varies_is_left_out() -> None:
    runs = [[claimed(1, 1, high=2.0)], [claimed(1, 1, high=2.0)]]
    assert rooms("09_x", runs) == []


def test_claims_that_fail_are_counted() -> None:
    (found,) = rooms("09_x", [[claimed(1, 1, high=2.0)], [claimed(1, 3, high=2.0)]])
    assert (found.held, found.seeds, found.enough) == (1, 2, False)


def test_claims_are_heard_and_raise_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "claim", claims.claim)  # put back afterwards
    found: list[Claimed] = []
    listen(found)
    claims.claim("09-a", "it is small", measured=[1, 3], below=2)
    claims.claim("09-a", "it is smaller", measured=[1, 3], below=4)
    claims.claim("09-b", "an identity", measured=1e-15, equals=0, within=1e-9)
    assert [(each.name, each.least, each.most, each.holds) for each in found] == [
        ("09-a", 1, 3, False),
        ("09-a#1", 1, 3, True),
    ]
    with pytest.raises(claims.ClaimError):
        claims.claim("09-b", "a broken identity", measured=1e-3, equals=0, within=1e-9)
    claims.identities()


def test_ranges_of_seeds() -> None:
    assert numbers("3-5") == [3, 4, 5]
    assert numbers("7") == [7]
