"""Chapter 2 again: when SGD on the toy problem is stable, with and without weight decay."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.again import number

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

SETS = 60
"""Three times as many data sets of the toy problem as the sheets ask for: they are cheap."""


def toy(rng: np.random.Generator, sets: int) -> tuple[Array, Array]:
    """Data sets of the toy problem in its standard case."""
    x = rng.standard_normal((sets, 20, 200))
    return x, 0.05 + 0.01 * x.sum(axis=2) + 0.01 * rng.standard_normal((sets, 20))


def batches_of_five(rng: np.random.Generator, sets: int, n: int, epochs: int) -> Integers:
    """The examples of every step and data set: (steps, sets, 5)."""
    orders = rng.permuted(np.tile(np.arange(n), (epochs, sets, 1)), axis=2)
    return orders.reshape(epochs, sets, n // 5, 5).swapaxes(1, 2).reshape(-1, sets, 5)


def extended_gram(x: Array) -> Array:
    """X Xᵀ + 1 1ᵀ of each data set."""
    gram: Array = x @ x.swapaxes(1, 2) + 1
    return gram


def exponents(gram: Array, start: Array, batches: Integers, rate: float, decay: float) -> Array:
    """The growth of ln ‖e‖ per epoch between epochs 50 and 200, for each data set."""
    errors, bias = start, np.zeros(len(start))
    logs = np.zeros(len(start))
    keep = 1 - rate * decay
    rows = np.arange(len(start))[:, None]
    for epoch, steps in enumerate(batches.reshape(200, 4, -1, 5), start=1):
        for batch in steps:
            picked = errors[rows, batch]
            push = np.einsum("sbi,sb->si", gram[rows, batch], picked)
            errors = keep * errors + (1 - keep) * bias[:, None] - 2 * rate / 5 * push
            bias = bias - 2 * rate / 5 * picked.sum(axis=1)
        # The step is linear: rescaling errors and bias together keeps them from over- or
        # underflowing, and `logs` keeps account.
        size = np.linalg.norm(errors, axis=1)
        errors, bias, logs = errors / size[:, None], bias / size, logs + np.log(size)
        if epoch == 50:
            early = logs
    growth: Array = (logs - early) / 150
    return growth


def crossing(places: Sequence[float], heights: Sequence[float]) -> float:
    """Where the broken line through the points first changes its sign."""
    first = next(i for i in range(len(places)) if heights[i] * heights[i + 1] <= 0)
    low, high = heights[first], heights[first + 1]
    return places[first] - low * (places[first + 1] - places[first]) / (high - low)


def descend(
    x: Array, y: Array, w: Array, batches: Integers, rate: Array, decay: Array
) -> Iterator[tuple[Array, Array]]:
    """SGD on the mean squared error, weights (sets, settings, d); yields w and b every step."""
    b = np.zeros(w.shape[:2])
    rows = np.arange(len(x))[:, None]
    for batch in batches:
        inputs, targets = x[rows, batch], y[rows, batch]
        errors = w @ inputs.swapaxes(1, 2) + b[:, :, None] - targets[:, None, :]
        w = w - rate[:, None] * (2 * errors @ inputs / 5 + decay[:, None] * w)
        b = b - rate * 2 * errors.mean(axis=2)
        yield w, b


def mean_squares(x: Array, y: Array, w: Array, b: Array) -> Array:
    """The mean squared error on all examples: (sets, settings)."""
    errors = w @ x.swapaxes(1, 2) + b[:, :, None] - y[:, None, :]
    squares: Array = (errors**2).mean(axis=2)
    return squares


@number("S0-11")
def two_rules_apart() -> float:
    """What a fixed shrinkage and an L2 penalty leave of a weight, with a schedule; difference."""
    shrunk = penalised = 1.0
    for step in range(20):
        shrunk *= 0.99
        penalised -= 0.05 * 0.5 ** (step // 5) * 0.01 / 0.05 * penalised
    return penalised - shrunk


@number("S2-08")
def edge_of_minibatches() -> float:
    """The learning rate beyond which SGD with batches of 5 explodes."""
    rng = np.random.default_rng(21)
    gram = extended_gram(toy(rng, SETS)[0])
    # The sheet leaves open whether the learning rates share data, starts and orders; they do.
    start = rng.standard_normal((SETS, 20))
    batches = batches_of_five(rng, SETS, 20, epochs=200)
    rates = (0.020, 0.0225, 0.025, 0.030)
    means = [float(exponents(gram, start, batches, rate, 0.0).mean()) for rate in rates]
    return crossing(rates, means)


@number("S2-05")
def edge_of_full_batches() -> float:
    """The mean over data sets of the largest stable learning rate with full batches."""
    rng = np.random.default_rng(22)
    gram = extended_gram(toy(rng, SETS)[0])
    sharpness = 2 / 20 * np.linalg.eigvalsh(gram)[:, -1]
    return float((2 / sharpness).mean())


@number("S2-07-stable")
def decay_that_stabilises() -> float:
    """The λ at which SGD with η = 0.03 turns stable."""
    rng = np.random.default_rng(23)
    gram = extended_gram(toy(rng, SETS)[0])
    # The sheet leaves open whether the λ share data, starts and orders; they do.
    start = rng.standard_normal((SETS, 20))
    batches = batches_of_five(rng, SETS, 20, epochs=200)
    decays = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
    means = [float(exponents(gram, start, batches, 0.03, decay).mean()) for decay in decays]
    return crossing(decays, means)


@number("S2-07-spread")
def spread_of_late_loss() -> float:
    """The late loss's standard deviation over time, over its mean."""
    rng = np.random.default_rng(25)
    x, y = toy(rng, SETS)
    w = rng.standard_normal((SETS, 1, 200))
    batches = batches_of_five(rng, SETS, 20, epochs=200)
    steps = descend(x, y, w, batches, np.array([0.03]), np.array([10.0]))
    losses = np.array(
        [
            mean_squares(x, y, weights, bias)[:, 0]
            for count, (weights, bias) in enumerate(steps, start=1)
            if count >= 400
        ]
    )
    return float((losses.std(axis=0) / losses.mean(axis=0)).mean())


@number("S3-13")
def excess_at_twice_the_rate() -> float:
    """The mean excess over the minimum at η = 0.02 over that at η = 0.01."""
    rng = np.random.default_rng(26)
    # Four times as many data sets as the sheet asks for: they are cheap.
    sets, n, d, decay = 40, 200, 20, 0.1
    x = rng.standard_normal((sets, n, d))
    y = 0.05 + x.sum(axis=2) + rng.standard_normal((sets, n))
    batches = batches_of_five(rng, sets, n, epochs=100)
    curvature = x.swapaxes(1, 2) @ x / n + decay * np.eye(d)
    minimum = np.linalg.solve(curvature, np.einsum("sni,sn->si", x, y)[:, :, None] / n)[:, :, 0]
    rows = np.arange(sets)[:, None]

    def total_excess(rate: float) -> float:
        w, total = minimum, 0.0
        for batch in batches:
            inputs = x[rows, batch]
            errors = np.einsum("sbi,si->sb", inputs, w) - y[rows, batch]
            w = w - rate * (np.einsum("sbi,sb->si", inputs, errors) / 5 + decay * w)
            off = w - minimum
            total += float(np.einsum("si,sij,sj->", off, curvature, off, optimize=True)) / 2
        return total

    return total_excess(0.02) / total_excess(0.01)
