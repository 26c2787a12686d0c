"""The L2 penalty: what it adds to the loss, what it does to a weight, and ridge regression in closed form.

The book's convention, unless a chapter says otherwise: mean loss L plus (λ/2)‖w‖², biases not penalised.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from l2lib.datasets import Array, check_data

SCALINGS: dict[str, Callable[[int, float, float], float]] = {
    "sum": lambda size, fan_in, fan_out: 1.0,
    "mean": lambda size, fan_in, fan_out: 1 / size,
    "fans": lambda size, fan_in, fan_out: (fan_in + fan_out) / size,
    "fan_in": lambda size, fan_in, fan_out: fan_in,
}
"""Factors on a layer's λ, by its number of weights and its fans; for a matrix "fans" is 1/fan_in + 1/fan_out."""


def size_factor(shape: Sequence[int], scaling: str) -> float:
    """The factor by which a size normalisation multiplies a layer's λ.

    Args:
        shape: of the layer's weight as PyTorch stores it: (out, in), or (out, in, kernel, …) for a convolution.
        scaling: "sum" (1), "mean" (1 over the number of weights), "fans" ((fan_in + fan_out) over it) or "fan_in".

    Returns:
        The factor, > 0.

    Raises:
        ValueError: if the scaling is unknown, or the shape has fewer than two axes or an empty one.

    Source: chapter 5, which derives what each does; "fan_in" is the Bayesian rule for w ~ N(0, 1/fan_in).
    """
    if scaling not in SCALINGS:
        raise ValueError(f"no scaling is called {scaling!r}; choose one of {', '.join(SCALINGS)}")
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(f"a weight of shape {tuple(shape)} has no fans; give (out, in, …), each ≥ 1, no bias")
    size = math.prod(shape)
    return SCALINGS[scaling](size, size / shape[0], size / shape[1])


def l2_penalty(
    weights: Iterable[torch.Tensor], weight_decay: float, *, half: bool = True, scaling: str = "sum"
) -> torch.Tensor:
    """The penalty (λ/2)Σw², or λΣw² without the half; its gradient, by autograd, is λw or 2λw.

    Args:
        weights: the tensors that are penalised, of any shape; leave biases out of the list to leave them free.
        weight_decay: λ ≥ 0.
        half: keep the factor ½ (the book's convention).
        scaling: factor on λ by a tensor's size, see ``size_factor``.

    Returns:
        A scalar tensor in units of the loss.

    Raises:
        ValueError: if λ is negative or not finite, there is no weight, or a tensor does not fit the scaling.

    Source: chapters 1 and 5; Krogh and Hertz (1991).
    """
    check_weight_decay(weight_decay)
    squares = [
        weight.square().sum() * (1.0 if scaling == "sum" else size_factor(weight.shape, scaling)) for weight in weights
    ]
    if not squares:
        raise ValueError("l2_penalty: no weights were given; pass the tensors to penalise, such as [layer.weight]")
    return (weight_decay / 2 if half else weight_decay) * torch.stack(squares).sum()


def shrink_factor(lr: float, weight_decay: float) -> float:
    """The factor 1 - ηλ by which one step of gradient descent multiplies a weight whose loss gradient is zero.

    Args:
        lr: learning rate η per step, > 0.
        weight_decay: λ ≥ 0 of the penalty (λ/2)‖w‖².

    Returns:
        1 - ηλ, in (-1, 1].

    Raises:
        ValueError: if an argument is out of range, or ηλ ≥ 2: then the weight grows without bound.

    Source: derived in chapter 2.
    """
    check_weight_decay(weight_decay)
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"lr is {lr}; the learning rate must be a positive number")
    if lr * weight_decay >= 2:
        raise ValueError(
            f"lr·weight_decay is {lr * weight_decay:g}; it must be below 2, or the penalty's own step diverges"
        )
    return 1 - lr * weight_decay


def half_life(lr: float, weight_decay: float) -> float:
    """Steps after which decay alone has halved a weight: ln 2 / -ln|1 - ηλ|.

    Args:
        lr: learning rate η per step, > 0.
        weight_decay: λ ≥ 0 of the penalty (λ/2)‖w‖², with ηλ < 2.

    Returns:
        Steps, not rounded; about 0.69/(ηλ) when ηλ is small; infinite when λ is 0, zero when ηλ is 1.

    Raises:
        ValueError: if an argument is out of range.

    Source: derived in chapter 2.
    """
    factor, rate = shrink_factor(lr, weight_decay), lr * weight_decay
    if factor == 0 or rate == 0:
        return math.inf if factor else 0.0
    return math.log(2) / -(math.log1p(-rate) if factor > 0 else math.log(-factor))


def ridge(
    X: ArrayLike, y: ArrayLike, weight_decay: ArrayLike, *, intercept: bool = True, loss: str = "half_mse"
) -> tuple[Array, Array]:
    """Minimise mean((y - Xw - b)²)/2 + (λ/2)‖w‖² exactly, for one λ or many at once.

    In the singular value decomposition X = U S Vᵀ of the centred inputs, w = V diag(s/(s² + nλ)) Uᵀy. At λ = 0
    this is the least-squares fit of smallest norm.

    Args:
        X: inputs, shape (n, d).
        y: targets, shape (n,).
        weight_decay: λ ≥ 0, a number or a list of K.
        intercept: fit an unpenalised b by centring; without it b = 0.
        loss: "half_mse", or "mse" (``torch.nn.MSELoss``), beside which the same λ acts half as strongly.

    Returns:
        w of shape (d,) and b of shape (), or (K, d) and (K,) for K values of λ.

    Raises:
        ValueError: if λ is negative or not finite, the loss is another, or the data do not fit together.

    Source: derived in chapter 1; Hoerl and Kennard (1970).
    """
    X, y = check_data(X, y)
    if X.ndim != 2:
        raise ValueError(f"ridge fits one data set: X must have shape (n, d); got {X.shape}")
    if loss not in ("half_mse", "mse"):
        raise ValueError(f"loss is {loss!r}; ridge minimises 'half_mse' or 'mse'")
    lam = np.asarray(weight_decay, dtype=np.float64)
    if lam.ndim > 1:
        raise ValueError(f"weight_decay has shape {lam.shape}; give one number or a list of them")
    mean_X, mean_y = (X.mean(0), y.mean()) if intercept else (np.zeros(X.shape[1]), 0.0)
    U, s, Vt = np.linalg.svd(X - mean_X, full_matrices=False)
    filters = filter_factors(s, len(X), lam if loss == "half_mse" else lam / 2)
    inverse = np.divide(1.0, s, out=np.zeros_like(s), where=s > s[0] * 1e-12)
    w = (filters * inverse * (U.T @ (y - mean_y))) @ Vt
    return w, np.asarray(mean_y - w @ mean_X)


def filter_factors(singular_values: ArrayLike, n: int, weight_decay: ArrayLike) -> Array:
    """The factor s²/(s² + nλ) by which ridge shrinks the least-squares fit along each singular direction.

    Args:
        singular_values: s ≥ 0 of the (centred) inputs, shape (r,).
        n: training examples, ≥ 1.
        weight_decay: λ ≥ 0 beside the half mean squared error, a number or shape (K,).

    Returns:
        Factors in [0, 1], shape (r,) or (K, r); 0 where s is 0. Their sum over r is the fit's degrees of freedom.

    Raises:
        ValueError: if n < 1, or an s or a λ is negative or not finite.

    Source: derived in chapter 1.
    """
    s, lam = np.asarray(singular_values, dtype=np.float64), np.asarray(weight_decay, dtype=np.float64)
    for value in lam.flat:
        check_weight_decay(float(value))
    if n < 1 or not ((s >= 0) & np.isfinite(s)).all():
        raise ValueError(f"need n ≥ 1 and finite singular values ≥ 0; got n={n}, s={s}")
    square = s**2
    total = square + n * lam[..., None]
    return np.divide(square, total, out=np.zeros_like(total), where=square > 0)


def check_weight_decay(weight_decay: float) -> None:
    """Refuse a λ that is negative, infinite or not a number.

    Args:
        weight_decay: λ ≥ 0.

    Raises:
        ValueError: if it is none.
    """
    if not (weight_decay >= 0 and math.isfinite(weight_decay)):
        raise ValueError(f"weight_decay is {weight_decay}; λ must be a finite number ≥ 0 (0 means no penalty)")
