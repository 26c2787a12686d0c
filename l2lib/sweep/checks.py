"""What numbers may be, in words and as a test: arguments are refused before anything is trained."""

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np


class Range(NamedTuple):
    """Numbers that an argument may take."""

    words: str
    holds: Callable[[float], bool]


POSITIVE = Range("a finite number > 0", lambda v: v > 0)
NOT_NEGATIVE = Range("a finite number ≥ 0", lambda v: v >= 0)
BELOW_ONE = Range("in [0, 1)", lambda v: 0 <= v < 1)
INDEX = Range("a whole number ≥ 0", lambda v: isinstance(v, Integral) and v >= 0)
COUNT = Range("a whole number ≥ 1", lambda v: isinstance(v, Integral) and v >= 1)


def check_number(name: str, value: object, allowed: Range) -> None:
    """Refuse what is no number of a range.

    Args:
        name: of the argument, for the message.
        value: one number; None, words and arrays are none.
        allowed: the range.

    Raises:
        ValueError: if it is not in the range; the message says what is.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not (number and allowed.holds(value)):  # type: ignore[arg-type]
        quoted = " without quotation marks" if isinstance(value, str) else ""
        raise ValueError(f"{name} is {value!r}; it must be {allowed.words}{quoted}")


def check_numbers(name: str, values: object, allowed: Range) -> None:
    """Refuse what is neither a number of a range nor a list of such.

    Args:
        name: of the argument, for the message.
        values: a number, or a sequence or array of at least one.
        allowed: the range.

    Raises:
        ValueError: if there is no number, or one is not in the range.
    """
    if np.ndim(values) > 1 or np.size(values) == 0:  # type: ignore[arg-type]
        wanted = "give a number or a list with at least one value"
        raise ValueError(f"{name} is {values!r}; {wanted}")
    for value in np.atleast_1d(values).tolist():  # type: ignore[call-overload]
        check_number(name, value, allowed)


def check_choice(name: str, value: object, choices: Iterable[str | None]) -> None:
    """Refuse what is not among the choices.

    Args:
        name: of the argument, for the message.
        value: what was given.
        choices: what may be.

    Raises:
        ValueError: if it is none of them; the message lists them.
    """
    known = list(choices)
    if value not in known:
        listed = ", ".join(map(str, known))
        raise ValueError(f"{name} is {value!r}; choose one of {listed}")
