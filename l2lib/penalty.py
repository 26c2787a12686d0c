"""The L2 penalty: what it adds to the loss and does to a weight; ridge regression in closed form.

The book's convention, unless a chapter says otherwise: mean loss L plus
(λ/2)‖w‖², biases not penalised.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from l2lib._fans import fans_of_layer, fans_of_shape
from l2lib._numbers import DECAY, in_range, truth
from l2lib._regression import decays, refuse_several_targets
from l2lib._tensors import checked_centres, checked_weights, listed, square_sum
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


def size_factor(
    shape: Sequence[int] | nn.Module,
    scaling: str,
    *,
    groups: int = 1,
    transposed: bool = False,
) -> float:
    """The factor by which a size normalisation multiplies a layer's λ.

    A fan_in is the number of weights that reach one unit, a fan_out that of
    the weights that leave one input; strides and an image's borders do not
    count. A shape alone cannot tell a grouped or transposed kernel from a plain
    one, so say it, or give the layer, which knows.

    Args:
        shape: of the layer's weight as PyTorch stores it: (out, in), or
            (out, in/groups, kernel, …) for a convolution. Or the layer: an
            ``nn.Linear``, or a convolution.
        scaling: "sum" (1), "mean" (1 over the number of weights), "fans"
            ((fan_in + fan_out) over it) or "fan_in".
        groups: of a convolution, ≥ 1; as many as channels where it is
            depthwise.
        transposed: the shape is (in, out/groups, …), as that of
            ``nn.ConvTranspose2d``, and of GPT-2's ``Conv1D``.

    Returns:
        The factor, > 0.

    Raises:
        ValueError: if the scaling is unknown, the shape has fewer than two
            axes or an empty one, or does not fit the groups; if the layer is
            of another kind.

    Source: chapter 5, which derives what each does; "fan_in" is the Bayesian
    rule for w ~ N(0, 1/fan_in).

    Example:
        >>> size_factor((10, 4), "mean")
        0.025
        >>> size_factor((8, 3, 5, 5), "fan_in")
        75.0
        >>> size_factor((64, 1, 3, 3), "fans", groups=64)  # (9 + 9) over 576
        0.03125
        >>> size_factor(nn.Conv2d(64, 64, 3, groups=64), "fans")
        0.03125
    """
    factor = _scaling(scaling)
    if isinstance(shape, nn.Module):
        if groups != 1 or transposed is not False:
            raise ValueError("a layer knows its groups; leave out groups= and transposed=")
        return factor(*fans_of_layer(shape))
    return factor(*fans_of_shape(shape, groups, transposed))


def _scaling(name: str) -> Callable[[int, float, float], float]:
    if isinstance(name, str) and name in SCALINGS:
        return SCALINGS[name]
    known = ", ".join(SCALINGS)
    raise ValueError(f"no scaling is called {name!r:.60}; choose one of {known}")


def l2_penalty(
    weights: Iterable[torch.Tensor | nn.Module],
    weight_decay: float,
    *,
    half: bool = True,
    scaling: str = "sum",
    towards: Iterable[torch.Tensor] | None = None,
) -> torch.Tensor:
    """The penalty (λ/2)Σ|w|², or λΣ|w|² without the half; towards w₀ it is (λ/2)Σ|w - w₀|².

    Its gradient, by autograd, is λw or 2λw, in each weight's own type. A
    complex number counts by its modulus.

    Args:
        weights: the tensors that are penalised, dense, of any shape, real or
            complex, each once; leave biases out of the list to leave them free.
            A linear or convolutional layer stands for its weight, and tells a
            scaling its groups, which a tensor's shape does not.
        weight_decay: λ ≥ 0.
        half: keep the factor ½ (the book's convention).
        scaling: factor on λ by a tensor's size, see ``size_factor``.
        towards: w₀, a tensor for each weight, in their order: constants, such
            as copies of pretrained weights (L2-SP).

    Returns:
        A scalar tensor in units of the loss: float64 if a weight is float64 or
        complex128, otherwise float32, in which float16 and bfloat16 are summed.

    Raises:
        ValueError: if λ is negative or no finite number, there is no weight, a
            tensor does not fit the scaling, is sparse, of integers, elsewhere
            or tied to another; or if ``towards`` does not fit the weights,
            requires a gradient, or shares their memory.

    Source: chapters 1 and 5; Krogh and Hertz (1991). Towards pretrained
    weights: Li, Grandvalet and Davoine (2018), arXiv 1802.01483.

    Example:
        >>> weights = [torch.tensor([[3.0, 0.0], [0.0, 4.0]])]
        >>> l2_penalty(weights, 0.1).item()
        1.25
        >>> l2_penalty(weights, 0.1, half=False).item()
        2.5
        >>> before = [w.detach().clone() for w in weights]
        >>> weights[0][0, 0] = 5.0
        >>> l2_penalty(weights, 0.5, towards=before).item()
        1.0
    """
    check_weight_decay(weight_decay)
    half = truth("half", half)
    given = listed("weights", weights)
    tensors = checked_weights(given)
    if not tensors:
        wanted = "pass the tensors to penalise, such as [layer.weight]"
        raise ValueError(f"l2_penalty: no weights were given; {wanted}")
    if towards is None:
        sums = [square_sum(w) for w in tensors]
    else:
        centres = checked_centres(listed("towards", towards), tensors)
        sums = [square_sum(w, centre) for w, centre in zip(tensors, centres, strict=True)]
    squares = [_factor(each, scaling) * total for each, total in zip(given, sums, strict=True)]
    coefficient = weight_decay / 2 if half else weight_decay
    return float(coefficient) * torch.stack(squares).sum()


def _factor(weight: object, scaling: str) -> float:
    """A tensor's or layer's factor on λ; the plain sum takes tensors of any shape."""
    if isinstance(weight, nn.Module):
        return size_factor(weight, scaling)
    assert isinstance(weight, torch.Tensor)
    return 1.0 if scaling == "sum" else size_factor(tuple(weight.shape), scaling)


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
    rate = _rate(lr, weight_decay)
    if rate >= 2:
        why = "it must be below 2, or the penalty's own step diverges"
        raise ValueError(f"lr·weight_decay is {rate:g}; {why}")
    return 1 - rate


def _rate(lr: float, weight_decay: float) -> float:
    """ηλ of two numbers that can be a learning rate and a λ."""
    check_weight_decay(weight_decay)
    wanted = "the learning rate must be a positive number"
    return in_range("lr", lr, wanted, 0, closed=False) * float(weight_decay)


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
    rate = _rate(lr, weight_decay)
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
        y: targets, shape (n,), one for each example. Several targets are as
            many fits: under a summed square they share nothing but λ.
        weight_decay: λ ≥ 0, a number or a list of K.
        intercept: fit an unpenalised b by centring; without it b = 0.
        loss: "half_mse", or "mse" (``torch.nn.MSELoss``), beside which the same
            λ acts half as strongly.

    Returns:
        w of shape (d,) and b of shape (), or (K, d) and (K,) for K values of λ.

    Raises:
        ValueError: if λ is negative or no finite number, the loss is another,
            there are several targets, or the data do not fit together.

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
    if np.ndim(X) == 2:
        refuse_several_targets(np.shape(y))
    X, y = check_data(X, y)
    if X.ndim != 2:
        raise ValueError(f"ridge fits one data set: X must have shape (n, d); got {X.shape}")
    if loss not in ("half_mse", "mse"):
        raise ValueError(f"loss is {loss!r}; ridge minimises 'half_mse' or 'mse'")
    lam = decays(weight_decay)
    intercept = truth("intercept", intercept)
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
    n: float,
    weight_decay: ArrayLike,
) -> Array:
    """The factors s²/(s² + nλ) by which ridge shrinks the fit along singular directions.

    Args:
        singular_values: s ≥ 0 of the (centred) inputs, shape (r,).
        n: training examples, ≥ 1, or the sum of their weights.
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
    lam = decays(weight_decay)
    n = in_range("n", n, "it must be the number of training examples, n ≥ 1", 1, closed=True)
    if not ((s >= 0) & np.isfinite(s)).all():
        raise ValueError(f"need finite singular values ≥ 0; got {s}")
    square = s**2
    total = square + n * lam[..., None]
    # Where s is 0 there is nothing to shrink, and at λ = 0 the quotient would be 0/0.
    return np.divide(square, total, out=np.zeros_like(total), where=square > 0)


def check_weight_decay(weight_decay: float) -> None:
    """Refuse a λ that is negative, infinite or no number.

    Text is none, nor is a truth value or a tensor; the error says what to do.

    Args:
        weight_decay: λ ≥ 0.

    Raises:
        ValueError: if it is none.

    Example:
        >>> check_weight_decay(-0.1)
        Traceback (most recent call last):
        ValueError: weight_decay is -0.1; λ must be a finite number ≥ 0 (0 means no penalty)
    """
    in_range("weight_decay", weight_decay, DECAY, 0, closed=True)
