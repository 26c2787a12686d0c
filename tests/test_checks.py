"""What arguments may be: numbers in whatever holds them, and no others; messages that say what to do."""

import math
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2lib._arrays import as_array
from l2lib._checks import (
    BELOW_ONE,
    COUNT,
    INDEX,
    NOT_NEGATIVE,
    POSITIVE,
    REAL,
    SEED,
    STEPS,
    as_counts,
    as_flag,
    as_number,
    as_numbers,
    as_text,
    check_callable,
    check_choice,
    is_set,
    shown,
)
from l2lib.sweep.recipe import factors_of
from tests.conftest import refuses

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHORT = st.floats(allow_nan=False, allow_infinity=False, width=32)

# Each holds a number; 32 bits are enough for it.
HOLDERS = {
    "float": float,
    "float64": np.float64,
    "float32": np.float32,
    "array": np.array,
    "float32 array": np.float32,
    "tensor": lambda v: torch.tensor(v, dtype=torch.float64),
    "float32 tensor": lambda v: torch.tensor(v, dtype=torch.float32),
    "parameter": lambda v: torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)),
    "fraction": Fraction,
    "decimal": Decimal,
}
LISTS = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "array": np.array,
    "tensor": lambda v: torch.tensor(v, dtype=torch.float64),
    "series": pd.Series,
    "index": pd.Index,
}
NO_NUMBERS = {
    "none": None,
    "true": True,
    "numpy's true": np.True_,
    "text": "0.1",
    "numpy's text": np.str_("0.1"),
    "bytes": b"0.1",
    "empty": "",
    "complex": 1j,
    "complex tensor": torch.tensor(1j),
    "date": np.datetime64("2020-01-01"),
    "nan": math.nan,
    "infinity": math.inf,
    "numpy's nan": np.float32("nan"),
    "a large integer": 10**400,
    "a larger one": 10**6000,
    "decimal nan": Decimal("sNaN"),
    "without data": torch.empty((), device="meta"),
    "bool tensor": torch.tensor(False),
    "masked": np.ma.masked,
    "function": len,
    "class": float,
    "module": torch.nn.Linear(1, 1),
    "object": object(),
}
NO_LISTS = {
    "generator": (v for v in [0.1]),
    "map": map(float, [1]),
    "set": {0.1},
    "mapping": {0.1: 1},
    "keys": {0.1: 1}.keys(),
    "nested": [[0.1]],
    "two axes": np.ones((1, 1)),
    "ragged": [[0.1], [0.2, 0.3]],
    "nothing": [],
    "an empty tensor": torch.empty(0),
    "without data": torch.empty(2, device="meta"),
    "sparse": torch.eye(2)[0].to_sparse(),
}


# ---- numbers -------------------------------------------------------------------------------
@given(number=SHORT, holder=st.sampled_from(sorted(HOLDERS)))
def test_a_number_is_itself_whatever_holds_it(number: float, holder: str) -> None:
    found = as_number("x", HOLDERS[holder](number), REAL)
    assert type(found) is float
    assert found == number


@given(
    number=st.integers(0, 2**31 - 1), kind=st.sampled_from([int, np.int64, np.uint32, torch.tensor])
)
def test_a_whole_number_stays_whole(number: int, kind: Any) -> None:
    found = as_number("x", kind(number), INDEX)
    assert type(found) is int
    assert found == number


@given(numbers=st.lists(FINITE, min_size=1), holder=st.sampled_from(sorted(LISTS)))
def test_a_list_is_its_numbers_whatever_holds_it(numbers: list[float], holder: str) -> None:
    assert as_numbers("x", LISTS[holder](numbers), REAL) == numbers


def test_a_list_with_one_float_is_of_floats() -> None:
    assert [type(v) for v in as_numbers("x", [1, 0.5, np.int64(2)], REAL)] == [float] * 3
    assert [type(v) for v in as_numbers("x", [1, np.int64(2)], REAL)] == [int] * 2


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_refused_alone_and_in_a_list(value: Any) -> None:
    for call in (lambda: as_number("x", value, REAL), lambda: as_numbers("x", [0.1, value], REAL)):
        with pytest.raises(ValueError, match=r"^x is .*; it must be a finite number") as caught:
            call()
        assert len(str(caught.value)) < 200  # one line
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^x is .*; give widths, each a whole number ≥ 1"):
        as_counts("x", [2, value], 1, "widths")


@pytest.mark.parametrize("values", NO_LISTS.values(), ids=NO_LISTS)
def test_what_is_no_list_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"^x is .*; give a number or a list"):
        as_numbers("x", values, REAL)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("5e-5", "in YAML with a point, 5.0e-5, or it is text"),
        ("1E3", "in YAML with a point, 1.0e3, or it is text"),
        ("-1e-3", "in YAML with a point, -1.0e-3, or it is text"),
        ("5.0e-5", "without quotation marks$"),
        ("0.1", "without quotation marks$"),
        (b"0.1", "without quotation marks$"),
        ("e", "without quotation marks$"),
    ],
)
def test_text_that_looks_like_a_number_says_how_it_becomes_one(value: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        as_number("x", value, REAL)


@pytest.mark.parametrize(
    ("value", "allowed"), [(0, POSITIVE), (-1, NOT_NEGATIVE), (2.0, COUNT), (0, COUNT), (-1, INDEX)]
)
def test_what_is_out_of_range_hears_the_range(value: float, allowed: Any) -> None:
    with pytest.raises(ValueError, match=f"^x is {value}; it must be {allowed.words}$"):
        as_number("x", value, allowed)


# ---- arrays --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([["1"]], "holds text, '1'; give numbers"),
        (np.array(["a", "b"]), "holds text, 'a'; give numbers"),
        (pd.Series(["a", "b"]), "holds text, 'a'; give numbers"),
        (pd.Series(["1", 2], dtype=object), "holds text, '1'"),
        ([b"a"], "holds text"),
        ([1j], "holds complex numbers; give real ones"),
        (torch.tensor([1j]), "holds complex numbers"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "masked numbers; leave them out"),
        ([[1.0], [2.0, 3.0]], "rows of one length"),
        ([1.0, None], "give an array of real numbers"),
        ([10**400], "give an array of real numbers"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "give an array of real numbers"),
        (np.zeros(2, dtype=[("a", float)]), "give an array of real numbers"),
        ({1.0, 2.0}, "give an array of real numbers"),
        ({"a": [1.0]}, "give an array of real numbers"),
        ((v for v in [1.0]), "is a generator; give an array"),
        (None, "is None; give an array"),
        (torch.empty(2, device="meta"), "give an array of real numbers"),
        (torch.eye(2).to_sparse(), "give an array of real numbers"),
        (torch.nn.Linear(1, 1), "give an array of real numbers"),
        (len, "is a builtin_function_or_method; give an array"),
    ],
)
def test_what_holds_no_real_numbers_is_refused(values: Any, problem: str) -> None:
    with pytest.raises(
        ValueError, match=f"^x {problem}|^x is .*{problem}|^x has {problem}"
    ) as caught:
        as_array("x", values)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^X "):  # under any name
        as_array("X", values)


def test_a_column_of_python_numbers_is_an_array() -> None:
    assert as_array("x", np.array([Fraction(1, 2), 2], dtype=object)).tolist() == [0.5, 2.0]
    assert (
        as_array("x", [torch.ones(2, requires_grad=True), torch.ones(2)]).tolist() == [[1, 1]] * 2
    )
    assert as_array("x", torch.ones(1, dtype=torch.bfloat16)).dtype == np.float64
    assert as_array("x", [True, False]).dtype == bool
    assert as_array("x", np.uint8([3])).dtype == np.uint8


# ---- words ---------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [*NO_NUMBERS.values(), 0, 1, [], [True]], ids=shown)
def test_only_true_and_false_are_flags(value: Any) -> None:
    if isinstance(value, bool | np.bool_):
        assert as_flag("x", value) is bool(value)
        return
    with pytest.raises(ValueError, match=r"^x is .*; it must be True or False"):
        as_flag("x", value)


@pytest.mark.parametrize("value", [["mse"], np.array(["mse"]), b"mse", "MSE", "", True, 0, len])
def test_a_choice_is_one_of_the_words(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x is .*; choose one of None, mse$"):
        check_choice("x", value, [None, "mse"])
    check_choice("x", "mse", [None, "mse"])
    check_choice("x", None, [None, "mse"])


def test_functions_and_texts_are_that() -> None:
    check_callable("x", len, "a function")
    for wrong in ("len", None, float):
        with pytest.raises(ValueError, match=r"^x is .*; give a function"):
            check_callable("x", wrong, "a function")
    assert as_text("x", " a ", "say it") == " a "
    for wrong, problem in (
        (" ", "x is empty; say it"),
        (b"a", "x is b'a'; it must be text: say it"),
    ):
        with pytest.raises(ValueError, match=problem):
            as_text("x", wrong, "say it")


class Silent:
    def __repr__(self) -> str:
        raise ArithmeticError("not today")


def test_a_value_is_shown_in_one_short_line() -> None:
    assert shown(np.ones((2, 2))) == "array([[1., 1.], [1., 1.]])"
    assert shown("x" * 99) == "'" + "x" * 59 + "…"
    assert shown(10**6000) == "an int"
    assert shown(Silent()) == "a Silent"
    assert shown(object()) == "an object"
    assert shown(float) == "the class float"


# ---- the environment -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, False) for value in (None, "", "0", " no ", "OFF", "False")),
        *((value, True) for value in ("1", "true", " Yes", "on")),
    ],
)
def test_a_variable_is_on_or_off(
    monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool
) -> None:
    monkeypatch.delenv("L2LIB_TRIED", raising=False)
    if value is not None:
        monkeypatch.setenv("L2LIB_TRIED", value)
    assert is_set("L2LIB_TRIED") is expected


@pytest.mark.parametrize("value", ["2", "maybe", "4,2", "O"])
def test_a_variable_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("L2LIB_TRIED", value)
    with pytest.raises(
        ValueError, match=f"L2LIB_TRIED is '{value}'; set it to 1 or 0, or unset it"
    ):
        is_set("L2LIB_TRIED")


# ---- limits --------------------------------------------------------------------------------
LIMITS = [
    (POSITIVE, [5e-324, 1e308], [0, -5e-324]),
    (NOT_NEGATIVE, [0, -0.0, 1e308], [-5e-324]),
    (BELOW_ONE, [0, 1 - 2**-53], [1, 1.0, -5e-324]),
    (INDEX, [0, 10**30], [-1, 0.0, 1.5]),
    (COUNT, [1, 10**30], [0, -1, 1.0]),
    (SEED, [0, 2**31 - 1], [2**31, -1, 1.0]),
    (STEPS, [1, 10**9], [0, 10**9 + 1, 1.0]),
    (REAL, [-1e308, 0, 10**300], []),
]


@pytest.mark.parametrize(("allowed", "inside", "outside"), LIMITS)
def test_a_range_ends_where_its_words_say(
    allowed: Any, inside: list[float], outside: list[float]
) -> None:
    for value in inside:
        found = as_number("x", value, allowed)
        assert (found, type(found)) == (value, type(value))
        assert as_numbers("x", [value, value], allowed) == [value, value]
    for value in outside:
        for tried in (value, [inside[0], value]):
            with pytest.raises(ValueError, match=r"^x is ") as refused:
                as_numbers("x", tried, allowed)
            assert str(refused.value) == f"x is {shown(value)}; it must be {allowed.words}"


@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_list_of_counts_has_so_many_at_least(least: int) -> None:
    for n in (least, least + 2):
        for kind in (list, tuple, np.array):
            found = as_counts("x", kind([3] * n), least, "widths")
            assert (found, {*map(type, found)}) == ((3,) * n, {int})
    for wrong in ([3] * (least - 1), [3] * least + [0], [3] * least + [1.5], [3.0] * least, "333"):
        with pytest.raises(ValueError, match=r"^x is .*; give widths, each a whole number ≥ 1$"):
            as_counts("x", wrong, least, "widths")


class Unit:
    pass


class Hour:
    def __repr__(self) -> str:
        return "two\n   lines\tand a tab"


def test_a_value_is_shown_whole_if_it_is_short() -> None:
    assert shown("x" * 58) == repr("x" * 58)
    assert shown("x" * 59) == "'" + "x" * 59 + "…"
    assert shown(Hour()) == "two lines and a tab"
    assert [shown(Unit()), shown(np.ufunc), shown(np.add)] == [
        "a Unit", "the class ufunc", "a ufunc"
    ]  # fmt: skip
    assert [shown(iter([])), shown(object())] == ["a list_iterator", "an object"]


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.int32])
def test_tensors_of_whole_numbers_keep_their_type(dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1]]).to(dtype)
    for held in (values, values.numpy(), np.ma.array(values.numpy())):
        found = as_array("x", held)
        assert (type(found), found.dtype, found.tolist()) == (
            np.ndarray, values.numpy().dtype, values.tolist()
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_other_numbers_become_float64(dtype: torch.dtype) -> None:
    values = torch.tensor([0.1, 3.0], requires_grad=True).to(dtype)
    for held in (values, [values, values]):
        found = as_array("x", held)
        assert found.dtype == np.float64
        assert np.array_equal(found.reshape(-1, 2)[0], values.detach().double().numpy())


def test_flags_are_pythons_own() -> None:
    assert [as_flag("x", value) for value in (np.True_, np.False_, True)] == [True, False, True]
    assert {type(as_flag("x", value)) for value in (np.True_, False)} == {bool}


def test_a_refusal_is_told_from_an_error() -> None:
    """What l2lib raises on purpose; not what breaks in it, nor what breaks elsewhere and is told."""

    def raised(call: Any) -> Exception:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            call()
        return caught.value

    refusal = raised(lambda: as_number("x", "0.1", REAL))
    assert refuses(refusal)
    assert refuses(ExceptionGroup("two", [refusal, raised(lambda: shown_axis("x"))])) is False
    assert refuses(ExceptionGroup("two", [refusal, refusal]))
    assert not refuses(raised(lambda: as_number("x")))  # type: ignore[call-arg]
    assert not refuses(raised(lambda: np.ones(2).reshape(3)))
    assert not refuses(raised(lambda: factors_of(lambda step: 1 / step, 1)))


def shown_axis(name: str) -> None:
    raise ValueError(name)
