"""Arrays of real numbers from whatever holds them, or an error that says what does not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2lib._checks import real_of, shown

KINDS = "biuf"  # NumPy's letters for real numbers


def as_array(name: str, values: object) -> NDArray[Any]:
    """Real numbers as an array, from any device.

    Args:
        name: of the argument, for the message.
        values: an array, a tensor, a table, or lists in lists.

    Returns:
        The numbers; of floating-point tensors as float64, else in the type that they have.

    Raises:
        ValueError: if they are not real numbers, or rows differ in length, or some are masked.

    Example:
        >>> as_array("X", [[1, 2], [3, 4]]).shape
        (2, 2)
        >>> as_array("X", [[1.0], [2.0, 3.0]])
        Traceback (most recent call last):
        ValueError: X is [[1.0], [2.0, 3.0]]; give an array of real numbers, rows of one length
    """
    try:
        found = _array(values)
    except (TypeError, ValueError, RuntimeError, OverflowError, NotImplementedError):
        found = np.array(None)
    kind = found.dtype.kind
    if isinstance(found, np.ma.MaskedArray):
        raise ValueError(f"{name} has masked numbers; leave them out, or fill them in, first")
    if kind == "c":
        raise ValueError(f"{name} holds complex numbers; give real ones, such as its parts .real")
    if kind in "SUT" or any(isinstance(each, str) for each in found.ravel()[:1].tolist()):
        text = found.ravel()[:1].tolist()[0]
        raise ValueError(f"{name} holds text, {shown(text)}; give numbers (classes are 0, 1, …)")
    if kind not in KINDS:
        wanted = "give an array of real numbers, rows of one length"
        raise ValueError(f"{name} is {shown(values)}; {wanted}")
    return found


def _array(values: Any) -> NDArray[Any]:
    """An array of whatever type; lists of tensors and of Python's own numbers included."""
    if hasattr(values, "detach"):
        # It may be part of a graph, on a device, or of a type that NumPy does not know.
        values = values.detach().cpu()
        found: NDArray[Any] = (values.double() if values.is_floating_point() else values).numpy()
        return found
    if isinstance(values, list | tuple) and any(hasattr(each, "detach") for each in values):
        values = [_array(each) for each in values]
    if isinstance(values, np.ma.MaskedArray):
        return values if np.ma.is_masked(values) else np.asarray(values.data)
    found = np.asarray(values)
    if found.dtype == object and found.size and all(real_of(v) is not None for v in found.flat):
        return found.astype(np.float64)
    return found
