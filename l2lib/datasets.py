"""Data as arrays, offline and the same on every machine, each with its source and licence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2lib._arrays import as_array
from l2lib._checks import (
    COUNT,
    INDEX,
    NOT_NEGATIVE,
    POSITIVE,
    REAL,
    SEED,
    Range,
    as_flag,
    as_number,
    as_numbers,
    items_of,
    shown,
)

__all__ = [
    "Array",
    "Dataset",
    "check_data",
    "load",
    "make_regression",
    "minibatches",
    "sonnets",
]

Array = NDArray[np.float64]
"""NumPy arrays of 64-bit numbers, which the book computes with."""


@dataclass(frozen=True)
class Dataset:
    """Examples and targets, with their origin.

    Attributes:
        name: the data set's name.
        X: inputs, shape (n, d), in the units given in ``about``.
        y: targets, shape (n,): float64 for a regression, int64 class labels
            0 … c-1 for a classification.
        feature_names: d names.
        about: what an example is, and its units.
        source: who made it, and where it was published.
        licence: under which terms it is copied here.

    Example:
        >>> diabetes = load("diabetes")
        >>> diabetes.X.shape
        (442, 10)
        >>> diabetes.feature_names[:3]
        ('age', 'sex', 'bmi')
    """

    name: str
    X: Array
    y: Array | NDArray[np.int64]
    feature_names: tuple[str, ...]
    about: str
    source: str
    licence: str

    def scaled(self, unit: float, *, centre: bool = False) -> Array:
        """The inputs in other units, and if you like without their mean.

        Args:
            unit: what becomes 1, in the units of ``X``, > 0: 16 for the digits,
                whose grey levels go from 0 to 16.
            centre: take each input's mean over the examples away.

        Returns:
            A new array of the shape of ``X``.

        Raises:
            ValueError: if the unit is not a finite number > 0, or centre neither True nor False.

        Example:
            >>> pixels = load("digits").scaled(16)
            >>> float(pixels.min()), float(pixels.max())
            (0.0, 1.0)
            >>> bool(abs(load("digits").scaled(16, centre=True).mean(0)).max() < 1e-15)
            True
        """
        X: Array = self.X / as_number("unit", unit, POSITIVE)
        return X - X.mean(0) if as_flag("centre", centre) else X


_SONNET = Range("a whole number, 1 to 70", lambda v: COUNT.holds(v) and v <= 70)


class _Origin(NamedTuple):
    about: str
    source: str
    licence: str


_ORIGINS = {
    "diabetes": _Origin(
        "442 patients; age (years), sex, body mass index (kg/m²), blood "
        "pressure (mm Hg) and six blood serum measurements; the target is a "
        "measure of the disease's progress one year later (25 to 346, no unit)",
        "Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression. "
        "Annals of Statistics 32(2), 2004",
        "copied from scikit-learn, BSD 3-Clause",
    ),
    "digits": _Origin(
        "1797 handwritten digits of 13 writers, 8 by 8 pixels of grey level "
        "0 to 16; the target is the digit",
        "Alpaydin, Kaynak: Optical Recognition of Handwritten Digits. "
        "UCI Machine Learning Repository, 1998",
        "CC BY 4.0; copied from scikit-learn, BSD 3-Clause",
    ),
    "mnist1d": _Origin(
        "5000 signals of 40 values (no unit, float32), a noisy, shifted, "
        "stretched template each; the target is the template's digit; the "
        "first 4000 are for training, the last 1000 for testing",
        "Greydanus, Kobak: Scaling Down Deep Learning with MNIST-1D. "
        "ICML 2024; as its package draws it by default",
        "Apache 2.0",
    ),
}  # fmt: skip


def load(name: str) -> Dataset:
    """A data set that ships with the book.

    Args:
        name: "diabetes" (442 × 10, regression), "digits" (1797 × 64) or
            "mnist1d" (5000 × 40), each of the last two of ten classes.

    Returns:
        The data set, raw: nothing is centred or scaled.

    Raises:
        ValueError: if the name is unknown.

    Source: each data set names its own, in ``source``.

    Example:
        >>> digits = load("digits")
        >>> digits.X.shape, digits.y[:5].tolist()
        ((1797, 64), [0, 1, 2, 3, 4])
    """
    if not isinstance(name, str) or name not in _ORIGINS:
        known = ", ".join(sorted(_ORIGINS))
        raise ValueError(f"no data set is called {shown(name)}; choose one of {known}")
    file = resources.files("l2lib").joinpath(f"data/{name}.npz")
    with file.open("rb") as opened, np.load(opened) as stored:
        X = stored["X"].astype(np.float64)
        y = stored["y"]
        names = tuple(f"input {i}" for i in range(X.shape[1]))
        if "feature_names" in stored:
            names = tuple(stored["feature_names"].tolist())
    # Labels are stored as bytes, which would overflow in arithmetic.
    y = y.astype(np.int64 if y.dtype.kind in "iu" else np.float64)
    return Dataset(name, X, y, names, *_ORIGINS[name])


def sonnets(first: int = 1, last: int = 70) -> str:
    """Some of Shakespeare's sonnets, as one text: a small corpus to model by characters.

    The first 70 ship with the book, in modern spelling and ASCII, 14 lines each, without their
    numbers; an empty line stands between two. Take those to train on and those to test on by
    their numbers, and no line is in both.

    Args:
        first: number of the first sonnet, 1 to 70.
        last: number of the last one, ``first`` to 70.

    Returns:
        The text, which ends with a newline.

    Raises:
        ValueError: if a number is no whole number from 1 to 70, or the last is before the first.

    Source: William Shakespeare, *Sonnets*, 1609; in the public domain.

    Example:
        >>> sonnets(18, 18).splitlines()[0]
        "Shall I compare thee to a summer's day?"
        >>> len(sonnets().splitlines()), 70 * 14 + 69
        (1049, 1049)
    """
    first, last = as_number("first", first, _SONNET), as_number("last", last, _SONNET)
    if last < first:
        todo = "give the smaller number first"
        raise ValueError(f"first is {first} and last is {last}, which leaves no sonnet; {todo}")
    file = resources.files("l2lib").joinpath("data/sonnets.txt")
    poems = file.read_text(encoding="ascii").rstrip("\n").split("\n\n")
    return "\n\n".join(poems[first - 1 : last]) + "\n"


def make_regression(
    n: int,
    *,
    seed: int,
    n_inputs: int = 200,
    weight: float = 0.01,
    bias: float = 0.05,
    noise: float = 0.01,
) -> tuple[Array, Array]:
    """Draw examples of a linear model whose inputs all matter equally.

    y = bias + weight·Σᵢxᵢ + ε with xᵢ ~ N(0, 1) and ε ~ N(0, noise²).

    The defaults are the weight-decay example of *Dive into Deep Learning*: 200
    inputs that matter equally and little, fitted there from n = 20 examples.

    Args:
        n: examples, ≥ 1.
        seed: of NumPy's generator, ≥ 0. One seed gives one stream: the first
            rows of a longer draw are not those of a shorter one, so draw
            training and test examples together and split them.
        n_inputs: inputs d, ≥ 1.
        weight: every true weight.
        bias: the true bias, in units of y.
        noise: standard deviation of ε, in units of y, ≥ 0.

    Returns:
        X of shape (n, n_inputs) and y of shape (n,).

    Raises:
        ValueError: if an argument is no number, or out of its range.

    Source: Zhang, Lipton, Li, Smola, *Dive into Deep Learning*, the section on
    weight decay.

    Example:
        >>> X, y = make_regression(20, seed=0)
        >>> X.shape, y.shape
        ((20, 200), (20,))
        >>> X, y = make_regression(3, seed=0, n_inputs=2, weight=1, bias=0, noise=0)
        >>> bool(abs(y - X.sum(1)).max() < 1e-15)
        True
    """
    shape = (as_number("n", n, COUNT), as_number("n_inputs", n_inputs, COUNT))
    weight, bias = as_number("weight", weight, REAL), as_number("bias", bias, REAL)
    noise = as_number("noise", noise, NOT_NEGATIVE)
    rng = np.random.default_rng(as_number("seed", seed, INDEX))
    X = rng.standard_normal(shape)
    return X, bias + weight * X.sum(1) + noise * rng.standard_normal(n)


def check_data(
    X: ArrayLike,
    y: ArrayLike,
    classes: int | None = None,
) -> tuple[Array, Array]:
    """Inputs and targets as float64 arrays, or an error that says what is wrong.

    Args:
        X: inputs, shape (…, n, d) with n, d ≥ 1, all finite.
        y: targets, shape (…, n), all finite, with the same leading shape and
            the same n.
        classes: where targets are labels, their number: they must be whole
            numbers 0 … classes - 1.

    Returns:
        X and y as float64 arrays.

    Raises:
        ValueError: if they hold anything but real numbers, a shape does not
            fit, there is no example, a number is NaN or infinite, or a label
            no class.

    Example:
        >>> X, y = check_data([[1, 2], [3, 4], [5, 6]], [0, 1, 2], classes=3)
        >>> X.shape, y.dtype
        ((3, 2), dtype('float64'))
    """
    X = as_array("X", X).astype(np.float64, copy=False)
    y = as_array("y", y).astype(np.float64, copy=False)
    if X.ndim < 2 or y.shape != X.shape[:-1]:
        got = f"{X.shape} and {y.shape}{_reshaped(X, y, classes)}"
        raise ValueError(f"X must have shape (n, d) and y shape (n,) with the same n; got {got}")
    if X.size == 0:
        raise ValueError(f"X has shape {X.shape}: at least one example and one input are needed")
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        todo = "remove or replace those examples first"
        raise ValueError(f"X or y holds NaN or infinite numbers; {todo}")
    if classes is not None:
        _check_labels(y, as_number("classes", classes, COUNT))
    return X, y


def _reshaped(X: Array, y: Array, classes: int | None) -> str:
    """What to write where shapes do not fit, if they are among those that are met most."""
    if y.shape == (*X.shape[:-1], 1):
        return "; write y[..., 0]"
    if classes and y.shape == (*X.shape[:-1], classes):
        return "; if y is one-hot, write y.argmax(-1)"
    if X.ndim == 1 and y.shape == X.shape:
        return "; write X[:, None]"
    if X.ndim > 2 and y.shape == X.shape[:1]:
        return "; write X.reshape(len(X), -1)"
    return ""


def _check_labels(y: Array, classes: int) -> None:
    whole = (y == np.round(y)).all()
    if not whole or y.min() < 0 or y.max() >= classes:
        got = f"{y.min():g} to {y.max():g}"
        raise ValueError(f"need whole labels 0 … {classes - 1}; got {got}")


def minibatches(
    n: int,
    batch_size: int | None,
    seeds: Sequence[int],
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of one minibatch after the other, without end.

    Each seed shuffles anew every epoch.

    Args:
        n: number of examples.
        batch_size: examples a minibatch, 1 … n; a rest is left out of its
            epoch. None means all n, in order.
        seeds: S seeds ≥ 0, of streams that are not those of ``MLP.initial``.

    Returns:
        An iterator over row numbers, shape (S, batch_size).

    Raises:
        ValueError: if batch_size is not between 1 and n, or another argument no such number.

    Example:
        >>> batches = minibatches(6, 2, seeds=[0, 1])
        >>> next(batches).shape
        (2, 2)
        >>> next(minibatches(4, None, seeds=[0])).tolist()
        [[0, 1, 2, 3]]
    """
    n = as_number("n", n, COUNT)
    size = n if batch_size is None else as_number("batch_size", batch_size, REAL)
    if not isinstance(size, int) or not 1 <= size <= n:
        raise ValueError(f"batch_size is {size}; it must be 1 to {n}, the number of examples")
    if items_of(seeds) is None:
        raise ValueError(f"seeds is {shown(seeds)}; give a list, such as [0]")
    own = as_numbers("seeds", seeds, SEED)
    return _batches(n, size, own, shuffled=batch_size is not None)


def _batches(
    n: int, size: int, seeds: Sequence[int], shuffled: bool
) -> Iterator[NDArray[np.int64]]:
    """As ``minibatches``; a generator would check its arguments only at the first step."""
    streams = [np.random.default_rng([seed, 1]) for seed in seeds]

    def order(stream: np.random.Generator) -> NDArray[np.int64]:
        return stream.permutation(n) if shuffled else np.arange(n)

    while True:
        epoch = np.stack([order(stream) for stream in streams])
        for first in range(0, n - size + 1, size):
            yield epoch[:, first : first + size]
