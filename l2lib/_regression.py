"""What ridge regression is given: one λ or many, and one target."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from l2lib._numbers import DECAY, in_range


def decays(weight_decay: ArrayLike) -> NDArray[np.float64]:
    """One λ as an array of shape (), or a list of them as one of shape (K,).

    Args:
        weight_decay: a number, or a sequence or array of them, each ≥ 0.

    Returns:
        The array.

    Raises:
        ValueError: if one is no number, negative or not finite, or there are
            lists in the list.

    Example:
        >>> decays([0, 0.5]).tolist()
        [0.0, 0.5]
    """
    known = weight_decay.detach() if isinstance(weight_decay, torch.Tensor) else weight_decay
    plain = np.asarray(known) if hasattr(known, "__array__") else known
    values = plain.tolist() if isinstance(plain, np.ndarray) else plain
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        return np.asarray(_decay(values))
    if any(isinstance(value, Sequence) and not isinstance(value, str) for value in values):
        raise ValueError(f"weight_decay is {values!r:.60}; give one number or a list of them")
    return np.asarray([_decay(value) for value in values], dtype=np.float64)


def _decay(value: object) -> float:
    return in_range("weight_decay", value, DECAY, 0, closed=True)


def refuse_several_targets(shape: tuple[int, ...]) -> None:
    """Say what to do with targets of shape (n, k).

    Args:
        shape: of the targets.

    Raises:
        ValueError: if it has two axes.
    """
    if len(shape) != 2:
        return
    what = f"y has shape {shape}; ridge fits one target"
    if shape[1] == 1:
        raise ValueError(f"{what} of shape (n,): give y[:, 0]")
    each = "[ridge(X, column, λ) for column in np.transpose(y)]"
    mean = f"for the λ of an MSELoss over all {shape[1]} give {shape[1]}λ and loss='mse'"
    raise ValueError(f"{what}: write {each}; {mean}")
