"""The L2 penalty: what it adds to the loss and does to a weight; ridge regression in closed form.

The book's convention, unless a chapter says otherwise: mean loss L plus
(λ/2)‖w‖², biases not penalised.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Real

import numpy as np
import torch
from numpy.typing import ArrayLike

from l2lib.datasets import Array, check_data

__all__ = [
    "SCALINGS",
    "check_weight_decay",
    "filter_factors",
    "half_life",
    "l2_penalty",
    "ridge",
    "shrink_factor",
    "size_factor",
]

SCALINGS: dict[str, Callable[[int, float, float], float]] = {
    "sum": lambda size, fan_in, fan_out: 1.0,
    "mean": lambda size, fan_in, fan_out: 1 / size,
    "fans": lambda size, fan_in, fan_out: (fan_in + fan_out) / size,
    "fan_in": lambda size, fan_in, fan_out: fan_in,
}
"""Factors on a layer's λ, by its number of weights and its fans.

For a matrix "fans" is 1/fan_in + 1/fan_out.

:meta hide-value:
"""

# Singular values below this share of the largest are rounding: no input moves
# in their direction, and the fit of smallest norm leaves them alone.
_NULL = 1e-12


def size_factor(shape: Sequence[int], scaling: str) -> float:
    """The factor by which a size normalisation multiplies a layer's λ.

    Args:
        shape: of the layer's weight as PyTorch stores it: (out, in), or
            (out, in, kernel, …) for a convolution.
        scaling: "sum" (1), "mean" (1 over the number of weights), "fans"
            ((fan_in + fan_out) over it) or "fan_in".

    Returns:
        The factor, > 0.

    Raises:
        ValueError: if the scaling is unknown, or the shape has fewer than two
            axes or an empty one.

    Source: chapter 5, which derives what each does; "fan_in" is the Bayesian
    rule for w ~ N(0, 1/fan_in).

    Example:
        >>> size_factor((10, 4), "mean")
        0.025
        >>> size_factor((8, 3, 5, 5), "fan_in")
        75.0
    """
    if scaling not in SCALINGS:
        known = ", ".join(SCALINGS)
        raise ValueError(f"no scaling is called {scaling!r}; choose one of {known}")
    if len(shape) < 2 or min(shape) < 1:
        wanted = "give (out, in, …), each ≥ 1, no bias"
        raise ValueError(f"a weight of shape {tuple(shape)} has no fans; {wanted}")
    size = math.prod(shape)
    fan_in = size / shape[0]
    fan_out = size / shape[1]
    return SCALINGS[scaling](size, fan_in, fan_out)


def l2_penalty(
    weights: Iterable[torch.Tensor],
    weight_decay: float,
    *,
    half: bool = True,
    scaling: str = "sum",
) -> torch.Tensor:
    """The penalty (λ/2)Σw², or λΣw² without the half.

    Its gradient, by autograd, is λw or 2λw.

    Args:
        weights: the tensors that are penalised, of any shape; leave biases out
            of the list to leave them free.
        weight_decay: λ ≥ 0.
        half: keep the factor ½ (the book's convention).
        scaling: factor on λ by a tensor's size, see ``size_factor``.

    Returns:
        A scalar tensor in units of the loss.

    Raises:
        ValueError: if λ is negative or not finite, there is no weight, or a
            tensor does not fit the scaling.

    Source: chapters 1 and 5; Krogh and Hertz (1991).

    Example:
        >>> weights = [torch.tensor([[3.0, 0.0], [0.0, 4.0]])]
        >>> l2_penalty(weights, 0.1).item()
        1.25
        >>> l2_penalty(weights, 0.1, half=False).item()
        2.5
    """
    check_weight_decay(weight_decay)
    squares = [w.square().sum() * _factor(w, scaling) for w in weights]
    if not squares:
        wanted = "pass the tensors to penalise, such as [layer.weight]"
        raise ValueError(f"l2_penalty: no weights were given; {wanted}")
    coefficient = weight_decay / 2 if half else weight_decay
    return coefficient * torch.stack(squares).sum()


def _factor(weight: torch.Tensor, scaling: str) -> float:
    """A tensor's factor on λ; the plain sum takes tensors of any shape."""
    return 1.0 if scaling == "sum" else size_factor(weight.shape, scaling)


def shrink_factor(lr: float, weight_decay: float) -> float:
    """The factor 1 - ηλ by which a step multiplies a weight whose loss gradient is zero.

    Args:
        lr: learning rate η per step of gradient descent, > 0.
        weight_decay: λ ≥ 0 of the penalty (λ/2)‖w‖².

    Returns:
        1 - ηλ, in (-1, 1].

    Raises:
        ValueError: if an argument is out of range, or ηλ ≥ 2: then the weight
            grows without bound.

    Source: derived in chapter 2.

    Example:
        >>> shrink_factor(0.5, 0.5)
        0.75
    """
    check_weight_decay(weight_decay)
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"lr is {lr}; the learning rate must be a positive number")
    rate = lr * weight_decay
    if rate >= 2:
        why = "it must be below 2, or the penalty's own step diverges"
        raise ValueError(f"lr·weight_decay is {rate:g}; {why}")
    return 1 - rate


def half_life(lr: float, weight_decay: float) -> float:
    """Steps after which decay alone has halved a weight: ln 2 / -ln|1 - ηλ|.

    Args:
        lr: learning rate η per step, > 0.
        weight_decay: λ ≥ 0 of the penalty (λ/2)‖w‖², with ηλ < 2.

    Returns:
        Steps, not rounded; about 0.69/(ηλ) when ηλ is small; infinite when λ
        is 0, zero when ηλ is 1.

    Raises:
        ValueError: if an argument is out of range.

    Source: derived in chapter 2.

    Example:
        >>> round(half_life(lr=0.1, weight_decay=0.01), 1)
        692.8
        >>> half_life(lr=0.1, weight_decay=0.0)
        inf
    """
    factor = shrink_factor(lr, weight_decay)
    rate = lr * weight_decay
    if rate == 0:
        return math.inf
    if factor == 0:
        return 0.0
    if factor < 0:  # the weight changes sign at each step, and shrinks
        return math.log(2) / -math.log(-factor)
    # log1p, as 1 - ηλ rounds to 1 for a very small ηλ.
    return math.log(2) / -math.log1p(-rate)


def ridge(
    X: ArrayLike,
    y: ArrayLike,
    weight_decay: ArrayLike,
    *,
    intercept: bool = True,
    loss: str = "half_mse",
) -> tuple[Array, Array]:
    """Minimise mean((y - Xw - b)²)/2 + (λ/2)‖w‖² exactly, for one λ or many at once.

    In the singular value decomposition X = U S Vᵀ of the centred inputs,
    w = V diag(s/(s² + nλ)) Uᵀy. At λ = 0 this is the least-squares fit of
    smallest norm.

    Args:
        X: inputs, shape (n, d).
        y: targets, shape (n,).
        weight_decay: λ ≥ 0, a number or a list of K.
        intercept: fit an unpenalised b by centring; without it b = 0.
        loss: "half_mse", or "mse" (``torch.nn.MSELoss``), beside which the same
            λ acts half as strongly.

    Returns:
        w of shape (d,) and b of shape (), or (K, d) and (K,) for K values of λ.

    Raises:
        ValueError: if λ is negative or not finite, the loss is another, or the
            data do not fit together.

    Source: derived in chapter 1; Hoerl and Kennard (1970).

    Example:
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> w, b = ridge(X, y, 0.0)
        >>> w.round(6).tolist(), round(float(b), 6)
        ([2.0], 1.0)
        >>> w, b = ridge(X, y, [0.0, 2 / 3])  # s² = 2 = nλ: half of it is left
        >>> w.round(6).tolist()
        [[2.0], [1.0]]
    """
    X, y = check_data(X, y)
    if X.ndim != 2:
        raise ValueError(f"ridge fits one data set: X must have shape (n, d); got {X.shape}")
    if loss not in ("half_mse", "mse"):
        raise ValueError(f"loss is {loss!r}; ridge minimises 'half_mse' or 'mse'")
    lam = np.asarray(weight_decay, dtype=np.float64)
    if lam.ndim > 1:
        raise ValueError(f"weight_decay has shape {lam.shape}; give one number or a list of them")
    # b is free: at the minimum it makes the residuals' mean zero, which centring does beforehand.
    mean_X = X.mean(0) if intercept else np.zeros(X.shape[1])
    mean_y = y.mean() if intercept else 0.0
    U, s, Vt = np.linalg.svd(X - mean_X, full_matrices=False)
    filters = filter_factors(s, len(X), lam if loss == "half_mse" else lam / 2)
    inverse = np.divide(1.0, s, out=np.zeros_like(s), where=s > s[0] * _NULL)
    w = (filters * inverse * (U.T @ (y - mean_y))) @ Vt
    return w, np.asarray(mean_y - w @ mean_X)


def filter_factors(
    singular_values: ArrayLike,
    n: int,
    weight_decay: ArrayLike,
) -> Array:
    """The factors s²/(s² + nλ) by which ridge shrinks the fit along singular directions.

    Args:
        singular_values: s ≥ 0 of the (centred) inputs, shape (r,).
        n: training examples, ≥ 1.
        weight_decay: λ ≥ 0 beside the half mean squared error, a number or
            shape (K,).

    Returns:
        Factors in [0, 1] on the least-squares fit, shape (r,) or (K, r); 0
        where s is 0. Their sum over r is the fit's degrees of freedom.

    Raises:
        ValueError: if n < 1, or an s or a λ is negative or not finite.

    Source: derived in chapter 1.

    Example:
        >>> filter_factors([3.0, 1.0, 0.0], n=1, weight_decay=1.0).tolist()
        [0.9, 0.5, 0.0]
    """
    s = np.asarray(singular_values, dtype=np.float64)
    lam = np.asarray(weight_decay, dtype=np.float64)
    for value in lam.flat:
        check_weight_decay(float(value))
    if n < 1 or not ((s >= 0) & np.isfinite(s)).all():
        raise ValueError(f"need n ≥ 1 and finite singular values ≥ 0; got n={n}, s={s}")
    square = s**2
    total = square + n * lam[..., None]
    # Where s is 0 there is nothing to shrink, and at λ = 0 the quotient would be 0/0.
    return np.divide(square, total, out=np.zeros_like(total), where=square > 0)


def check_weight_decay(weight_decay: float) -> None:
    """Refuse a λ that is negative, infinite or not a number.

    Args:
        weight_decay: λ ≥ 0.

    Raises:
        ValueError: if it is none.

    Example:
        >>> check_weight_decay(-0.1)
        Traceback (most recent call last):
        ValueError: weight_decay is -0.1; λ must be a finite number ≥ 0 (0 means no penalty)
    """
    number = isinstance(weight_decay, Real) and math.isfinite(weight_decay)
    if not (number and weight_decay >= 0):
        wanted = "λ must be a finite number ≥ 0 (0 means no penalty)"
        raise ValueError(f"weight_decay is {weight_decay!r}; {wanted}")
