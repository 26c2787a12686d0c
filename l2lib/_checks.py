"""What arguments may be, in words and as a test: they are refused before anything is done.

Every function takes the argument's name first: its message says what was wrong, what was expected
and what to do. A number may be Python's, NumPy's or a tensor of any device, if it is one; text,
True, None and complex numbers are none. A list may be any sequence, or an array or tensor with one
axis; what can be read only once, or has no order, is none.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

LONGEST = 60  # characters of a value that a message shows


class Range(NamedTuple):
    """Numbers that an argument may take."""

    words: str
    holds: Callable[[float], bool]


REAL = Range("a finite number", lambda v: True)
POSITIVE = Range("a finite number > 0", lambda v: v > 0)
NOT_NEGATIVE = Range("a finite number ≥ 0", lambda v: v >= 0)
BELOW_ONE = Range("in [0, 1)", lambda v: 0 <= v < 1)
INDEX = Range("a whole number ≥ 0", lambda v: isinstance(v, Integral) and v >= 0)
COUNT = Range("a whole number ≥ 1", lambda v: isinstance(v, Integral) and v >= 1)
# NetCDF's files keep integers of 32 bits.
SEED = Range("a whole number ≥ 0, below 2^31", lambda v: INDEX.holds(v) and v < 2**31)
STEPS = Range("a whole number, 1 to a billion", lambda v: COUNT.holds(v) and v <= 10**9)


def shown(value: object) -> str:
    """A value as a message shows it: in one short line.

    Args:
        value: anything.

    Returns:
        What Python writes for it, cut; of what has nothing but an address, its type.

    Example:
        >>> shown([1, 2]), shown(iter([])), shown(print)
        ('[1, 2]', 'a list_iterator', 'a builtin_function_or_method')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    kind = f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever the caller's own class does, the message is about the argument
        return kind
    if text.startswith("<"):
        return kind
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


# ---- numbers -------------------------------------------------------------------------------
def as_number(name: str, value: object, allowed: Range) -> Any:
    """A number of a range, as Python's own.

    Args:
        name: of the argument, for the message.
        value: one number.
        allowed: the range.

    Returns:
        An int, or a float.

    Raises:
        ValueError: if it is no number, or not in the range; the message says what is.

    Example:
        >>> as_number("steps", np.int64(3), COUNT)
        3
        >>> as_number("lr", "5e-5", POSITIVE)
        Traceback (most recent call last):
        ValueError: lr is '5e-5'; it must be a finite number > 0 without quotation marks (in ...
    """
    number = real_of(value)
    if number is None or not allowed.holds(number):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed.words}{_hint(value)}")
    return number


def as_numbers(name: str, values: object, allowed: Range) -> Any:
    """A number of a range, or a list of such.

    Args:
        name: of the argument, for the message.
        values: a number, or at least one in a list.
        allowed: the range of each.

    Returns:
        A number, or a list of numbers: all ints, or all floats.

    Raises:
        ValueError: if there is no number, one is not in the range, or they are in no order.

    Example:
        >>> as_numbers("lr", np.array([1, 0.1]), POSITIVE), as_numbers("lr", 1, POSITIVE)
        ([1.0, 0.1], 1)
    """
    items = items_of(values)
    if items is None:
        single = isinstance(values, str | bytes) or getattr(values, "ndim", None) == 0
        if isinstance(values, Iterable) and not single:
            raise ValueError(f"{name} is {shown(values)}; give a number or a list, as list() makes")
        return as_number(name, values, allowed)
    if not items or any(items_of(item) is not None for item in items):
        wanted = "give a number or a list with at least one value"
        raise ValueError(f"{name} is {shown(values)}; {wanted}")
    return np.array([as_number(name, item, allowed) for item in items]).tolist()


def as_counts(name: str, values: object, least: int, wanted: str) -> tuple[int, ...]:
    """Whole numbers ≥ 1, such as the widths of a network.

    Args:
        name: of the argument, for the message.
        values: a list of them.
        least: there must be so many.
        wanted: what they are, for the message.

    Returns:
        The numbers.

    Raises:
        ValueError: if there are fewer, or one is no whole number ≥ 1.

    Example:
        >>> as_counts("widths", [np.int64(4), 2], 2, "inputs and outputs")
        (4, 2)
    """
    items = items_of(values)
    numbers = [real_of(item) for item in items or ()]
    whole = [int(number) for number in numbers if number is not None and COUNT.holds(number)]
    if items is None or len(items) < least or len(whole) < len(items):
        raise ValueError(f"{name} is {shown(values)}; give {wanted}, each a whole number ≥ 1")
    return tuple(whole)


def real_of(value: object) -> int | float | None:
    """A finite real number as Python's own.

    Args:
        value: anything.

    Returns:
        An int or a float; None if it is no such number.
    """
    if value is np.ma.masked:  # whose item() is 0
        return None
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            value = value.item()
        except RuntimeError:  # a tensor without data
            return None
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):  # an integer with more digits than floats go to
        return None
    if not math.isfinite(number):
        return None
    return int(value) if isinstance(value, Integral) else number


def items_of(values: object) -> list[Any] | None:
    """What stands in a list, along its first axis.

    Args:
        values: a sequence, array or tensor, or anything else.

    Returns:
        Its items; None if it is no list.
    """
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return list(values)
    if not getattr(values, "ndim", 0) or isinstance(values, type):
        return None
    try:
        items = values.tolist() if hasattr(values, "tolist") else np.asarray(values).tolist()
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # a tensor without data
        return None
    return items if isinstance(items, list) else None


def _hint(value: object) -> str:
    """What makes a number of a text that looks like one."""
    if isinstance(value, np.str_ | bytes):
        value = value.item() if isinstance(value, np.str_) else value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    mantissa, letter, power = value.lower().partition("e")
    quoted = " without quotation marks"
    if letter and mantissa.strip("+-").isdecimal() and power.strip("+-").isdecimal():
        return f"{quoted} (in YAML with a point, {mantissa}.0e{power}, or it is text)"
    return quoted


# ---- the environment -----------------------------------------------------------------------
OFF, ON = ("", "0", "false", "no", "off"), ("1", "true", "yes", "on")


def is_set(variable: str) -> bool:
    """Whether a variable of the environment switches something on.

    Args:
        variable: its name.

    Returns:
        True for 1, true, yes or on; False for 0, false, no or off, or where it is empty or not set;
        spaces and capitals do not count.

    Raises:
        ValueError: if it has another value.

    Example:
        >>> is_set("L2LIB_NO_SUCH_VARIABLE")
        False
    """
    value = os.environ.get(variable, "")
    if value.strip().lower() not in OFF + ON:
        raise ValueError(f"{variable} is {value!r}; set it to 1 or 0, or unset it")
    return value.strip().lower() in ON


# ---- words ---------------------------------------------------------------------------------
def as_flag(name: str, value: object) -> bool:
    """True or False; what merely counts as such in Python, such as the text "no", is neither.

    Args:
        name: of the argument, for the message.
        value: what was given.

    Returns:
        The same.

    Raises:
        ValueError: if it is anything else.

    Example:
        >>> as_flag("bias", "no")
        Traceback (most recent call last):
        ValueError: bias is 'no'; it must be True or False
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {shown(value)}; it must be True or False")
    return bool(value)


def as_text(name: str, value: object, wanted: str) -> str:
    """Text that is not empty.

    Args:
        name: of the argument, for the message.
        value: what was given.
        wanted: what to do, for the message.

    Returns:
        The same.

    Raises:
        ValueError: if it is no text, or nothing but spaces.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}; it must be text: {wanted}")
    if not value.strip():
        raise ValueError(f"{name} is empty; {wanted}")
    return value


def check_choice(name: str, value: object, choices: Iterable[str | None]) -> None:
    """Refuse what is not among the choices.

    Args:
        name: of the argument, for the message.
        value: what was given.
        choices: what may be.

    Raises:
        ValueError: if it is none of them; the message lists them.

    Example:
        >>> check_choice("loss", "l2", ["mse", "half_mse"])
        Traceback (most recent call last):
        ValueError: loss is 'l2'; choose one of mse, half_mse
    """
    known = list(choices)
    if not isinstance(value, str | None) or value not in known:
        listed = ", ".join(map(str, known))
        raise ValueError(f"{name} is {shown(value)}; choose one of {listed}")


def check_callable(name: str, value: object, wanted: str) -> None:
    """Refuse what cannot be called.

    Args:
        name: of the argument, for the message.
        value: what was given.
        wanted: what to give instead, for the message.

    Raises:
        ValueError: if it is no function, or a class.
    """
    if not callable(value) or isinstance(value, type):
        raise ValueError(f"{name} is {shown(value)}; give {wanted}")


def check_mapping(name: str, value: object, wanted: str) -> None:
    """Refuse what does not say by name.

    Args:
        name: of the argument, for the message.
        value: what was given.
        wanted: what to give instead, for the message.

    Raises:
        ValueError: if it is no mapping.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {shown(value)}; give {wanted}")


def settle(instance: object, **values: object) -> None:
    """Give a frozen dataclass its arguments in the form in which they were checked.

    Args:
        instance: in its ``__post_init__``.
        **values: what becomes of its attributes.
    """
    for name, value in values.items():
        object.__setattr__(instance, name, value)
