"""Chapter 1 again: ridge regression, its degrees of freedom, validation and early stopping."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from tests.again import number

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

SPLITS = 200
"""Ten times as many random splits as the sheets ask for: they are cheap."""

SETS = 40
"""Four times as many data sets of the toy problem as the sheets ask for: they are cheap."""

LAMBDAS = np.logspace(-6, 3, 73)


def standardise(x: Array, rows: Integers | slice = slice(None)) -> Array:
    """Inputs of mean 0 and standard deviation 1 on the rows, column by column."""
    standardised: Array = (x - x[rows].mean(axis=0)) / x[rows].std(axis=0)
    return standardised


@cache
def diabetes() -> tuple[Array, Array]:
    """The ten standardised inputs and the targets."""
    data = load_diabetes(scaled=False)
    return standardise(data.data), data.target


def wide(rows: Integers) -> Array:
    """The 64 inputs, scaled by the rows: the ten, and their products but for the square of sex."""
    z = standardise(diabetes()[0], rows)
    pairs = [(i, j) for i in range(10) for j in range(i, 10) if (i, j) != (1, 1)]
    products = np.array([z[:, i] * z[:, j] for i, j in pairs]).T
    return standardise(np.hstack([z, products]), rows)


@cache
def hundred() -> tuple[Array, Array]:
    """The centred ten inputs of the first 100 patients, and their least-squares weights."""
    inputs, targets = diabetes()
    x = inputs[:100] - inputs[:100].mean(axis=0)
    y = targets[:100] - targets[:100].mean()
    return x, np.linalg.lstsq(x, y)[0]


def splits(seed: int) -> list[Integers]:
    """Random orders of the 442 patients; the first 150 of each are for training."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(442) for _ in range(SPLITS)]


def ridge_errors(x: Array, y: Array, fitted: Integers, judged: Integers) -> Array:
    """The mean squared errors on `judged` of ridge regression on `fitted`, for every λ."""
    middle, level = x[fitted].mean(axis=0), y[fitted].mean()
    centred = x[fitted] - middle
    curvatures, directions = np.linalg.eigh(centred.T @ centred / len(fitted))
    slopes = directions.T @ (centred.T @ (y[fitted] - level)) / len(fitted)
    weights = directions @ (slopes / (curvatures + LAMBDAS[:, None])).T
    errors = level + (x[judged] - middle) @ weights - y[judged][:, None]
    squares: Array = (errors**2).mean(axis=0)
    return squares


def least_squares_loss(x: Array, y: Array, fitted: Integers, judged: Integers) -> float:
    """The test loss (half the mean squared error) of least squares with an intercept."""
    middle, level = x[fitted].mean(axis=0), y[fitted].mean()
    weights = np.linalg.lstsq(x[fitted] - middle, y[fitted] - level)[0]
    errors = level + (x[judged] - middle) @ weights - y[judged]
    return float((errors**2).mean() / 2)


def stopped_loss(x: Array, y: Array, fitted: Integers, judged: Integers) -> float:
    """The test loss (half the mean squared error) after 30 steps of gradient descent."""
    middle, level = x[fitted].mean(axis=0), y[fitted].mean()
    centred, targets = x[fitted] - middle, y[fitted] - level
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        weights = weights + 0.1 * centred.T @ (targets - centred @ weights) / len(fitted)
    errors = level + (x[judged] - middle) @ weights - y[judged]
    return float((errors**2).mean() / 2)


def toy(rng: np.random.Generator) -> tuple[Array, Array]:
    """Data sets of the toy problem in its standard case."""
    x = rng.standard_normal((SETS, 20, 200))
    return x, 0.05 + 0.01 * x.sum(axis=2) + 0.01 * rng.standard_normal((SETS, 20))


def toy_batches(rng: np.random.Generator, epochs: int) -> Integers:
    """The examples of every step and data set: (steps, sets, 5)."""
    rows = np.tile(np.arange(20), (epochs, SETS, 1))
    orders = rng.permuted(rows, axis=2).reshape(epochs, SETS, 4, 5)
    return orders.transpose(0, 2, 1, 3).reshape(4 * epochs, SETS, 5)


def toy_test_error(
    x: Array, y: Array, w: Array, batches: Integers, rate: float, decay: float
) -> float:
    """Train by SGD on the mean squared error from w; the mean of the exact test errors."""
    b = np.zeros(SETS)
    rows = np.arange(SETS)[:, None]
    for batch in batches:
        inputs = x[rows, batch]
        errors = np.einsum("sbd,sd->sb", inputs, w) + b[:, None] - y[rows, batch]
        slope = 2 * np.einsum("sbd,sb->sd", inputs, errors) / 5
        w = w - rate * (slope + decay * w)
        b = b - rate * 2 * errors.mean(axis=1)
    return float((((w - 0.01) ** 2).sum(axis=1) + (b - 0.05) ** 2 + 0.01**2).mean())


@number("S3-12")
def degrees_of_freedom() -> float:
    """The trace of ridge regression's hat matrix at λ = 1."""
    x, _ = diabetes()
    hat = x @ np.linalg.solve(x.T @ x + 442 * np.eye(10), x.T)
    return float(np.trace(hat))


def best_over_least_squares(seen: Array) -> float:
    """The smallest expected squared error of ``seen @ w`` over that of least squares."""
    x, truth = hundred()
    gram = x.T @ x

    def expected_error(penalty: float) -> float:
        inverse = np.linalg.inv(gram + 100 * penalty * np.eye(10))
        bias = seen @ (inverse @ gram @ truth - truth)
        spread = seen @ inverse @ gram @ inverse @ seen.T
        return float(bias @ bias + 54**2 * np.trace(spread))

    return min(map(expected_error, np.logspace(-3, 1, 193))) / expected_error(0.0)


@number("S3-01-best")
def best_expected_error() -> float:
    """The smallest expected squared error of the weights over that of least squares."""
    return best_over_least_squares(np.eye(10))


@number("01-predictions")
def best_expected_error_of_predictions() -> float:
    """The smallest expected squared error of the predictions over that of least squares."""
    return best_over_least_squares(hundred()[0])


@number("01-validation")
def cost_of_validation() -> float:
    """The test loss with the λ that validation chooses, over that with the best λ."""
    # The sheet leaves open whether the means are divided or the ratios averaged. We read "the
    # mean over the splits of …, over that with the best" as the quotient of the two means.
    _, y = diabetes()
    chosen, best = [], []
    for order in splits(12):
        choice = ridge_errors(wide(order[:100]), y, order[:100], order[100:150]).argmin()
        losses = ridge_errors(wide(order[:150]), y, order[:150], order[150:]) / 2
        chosen.append(losses[choice])
        best.append(losses.min())
    return float(np.mean(chosen) / np.mean(best))


@number("01-plain")
def ten_inputs_over_64() -> float:
    """The test loss of ten inputs without penalty over that of 64 inputs with the best λ."""
    few, y = diabetes()
    ratios = []
    for order in splits(13):
        best = ridge_errors(wide(order[:150]), y, order[:150], order[150:]).min() / 2
        ratios.append(least_squares_loss(few, y, order[:150], order[150:]) / best)
    return float(np.mean(ratios))


@number("S3-03")
def early_stopping() -> float:
    """The test loss of early stopping over that of least squares, each a mean over splits."""
    _, y = diabetes()
    stopped, squares = [], []
    for order in splits(14):
        x = wide(order[:150])
        stopped.append(stopped_loss(x, y, order[:150], order[150:]))
        squares.append(least_squares_loss(x, y, order[:150], order[150:]))
    return float(np.mean(stopped) / np.mean(squares))


@number("S2-25")
def zero_start_over_wide_start() -> float:
    """The test error from zero without penalty over that from N(0, 1) with λ = 3."""
    rng = np.random.default_rng(15)
    x, y = toy(rng)
    wide_start = rng.standard_normal((SETS, 200))
    batches = toy_batches(rng, epochs=100)
    from_zero = toy_test_error(x, y, np.zeros((SETS, 200)), batches, 0.003, 0.0)
    return from_zero / toy_test_error(x, y, wide_start, batches, 0.003, 3.0)
