"""Whether what stands where a number is meant is one, and what to do where it is not."""

import math
from numbers import Real

DECAY = "λ must be a finite number ≥ 0 (0 means no penalty)"
TEXT = "that is text: call float() on it (YAML reads 5e-5 as text, and 5.0e-5 as a number)"


def as_number(name: str, value: object, wanted: str) -> float:
    """A real number as a float, perhaps infinite or NaN; text, truth values and tensors are none.

    Args:
        name: how the argument is called.
        value: what was given.
        wanted: what it must be, for the error.

    Returns:
        The number; NumPy's scalars are numbers, too.

    Raises:
        ValueError: if it is none.

    Example:
        >>> as_number("lr", "5e-5", "it must be a positive number")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: lr is '5e-5'; it must be a positive number; that is text: call float() ...
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # a Python integer of more than 308 digits
            return -math.inf if value < 0 else math.inf
    raise ValueError(f"{name} is {value!r:.60}; {wanted}{_advice(name, value)}")


def _advice(name: str, value: object) -> str:
    """What to do with something that is no number, where that is known."""
    if isinstance(value, str | bytes):
        return f"; {TEXT}"
    if isinstance(value, bool):
        return "; True and False are no numbers"
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return f"; give {name}.item(), a plain number"
    if hasattr(value, "__len__"):
        return "; give one number"
    return ""


def in_range(name: str, value: object, wanted: str, low: float, *, closed: bool) -> float:
    """A finite number above ``low``, or at least ``low`` where that belongs to the range.

    Args:
        name: how the argument is called.
        value: what was given.
        wanted: what it must be, for the error.
        low: the lower end.
        closed: whether the lower end is allowed.

    Returns:
        The number.

    Raises:
        ValueError: if it is no number, not finite, or too small.
    """
    number = as_number(name, value, wanted)
    if not (math.isfinite(number) and (number > low or (closed and number == low))):
        raise ValueError(f"{name} is {value!r:.60}; {wanted}")
    return number


def whole(name: str, value: object, wanted: str) -> int:
    """A whole number ≥ 1, perhaps written as a float.

    Args:
        name: how the argument is called.
        value: what was given.
        wanted: what it must be, for the error.

    Returns:
        The number.

    Raises:
        ValueError: if it is none.
    """
    number = in_range(name, value, wanted, 1, closed=True)
    if number % 1:
        raise ValueError(f"{name} is {value!r:.60}; {wanted}")
    return int(number)


def truth(name: str, value: object) -> bool:
    """True or False, and nothing that merely counts as such.

    Args:
        name: how the argument is called.
        value: what was given.

    Returns:
        The value.

    Raises:
        ValueError: if it is neither.
    """
    if type(value).__name__ not in ("bool", "bool_"):  # Python's and NumPy's
        raise ValueError(f"{name} is {value!r:.60}; it must be True or False")
    return bool(value)
