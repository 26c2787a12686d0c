"""Chapter 5 again: how one λ weighs the layers of a network, and how it goes with their sizes."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.again import number

Array = NDArray[np.float64]
Layers = list[Array]

SETS = 4
"""How often a number that is taken over five seeds is computed; the mean is what is returned."""
SIZES = (64, 128, 16, 10)


@cache
def digits() -> tuple[Array, Array]:
    """Centred pixels (1797, 64) and one-hot labels (1797, 10)."""
    data = load_digits()
    pixels = data.data / 16
    return pixels - pixels.mean(axis=0), np.eye(10)[data.target]


def batches(
    rng: np.random.Generator, seeds: int, n: int, size: int, steps: int
) -> NDArray[np.intp]:
    """Numbers of the examples of each step and seed, (steps, seeds, size)."""
    whole = n // size
    orders = np.tile(np.arange(n), (seeds, 1))
    epochs = [
        rng.permuted(orders, axis=1)[:, : whole * size].reshape(seeds, whole, size).swapaxes(0, 1)
        for _ in range(-(-steps // whole))
    ]
    return np.concatenate(epochs)[:steps]


def uniform_start(
    rng: np.random.Generator, seeds: int, sizes: tuple[int, ...]
) -> tuple[Layers, Layers]:
    """Weight matrices (seeds, out, in) and biases (seeds, out) from U(−1/√in, 1/√in)."""
    weights, biases = [], []
    for k, out in pairwise(sizes):
        weights.append(rng.uniform(-1, 1, (seeds, out, k)) / np.sqrt(k))
        biases.append(rng.uniform(-1, 1, (seeds, out)) / np.sqrt(k))
    return weights, biases


def gradients(weights: Layers, biases: Layers, x: Array, y: Array) -> tuple[Layers, Layers]:
    """Of the cross-entropy of a ReLU network, for all seeds at once."""
    hidden, outputs = [x], x
    for w, b in zip(weights, biases, strict=True):
        outputs = hidden[-1] @ w.swapaxes(1, 2) + b[:, None, :]
        hidden.append(np.maximum(outputs, 0))
    odds = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    slope = (odds / odds.sum(axis=2, keepdims=True) - y) / x.shape[-2]
    of_weights: Layers = []
    of_biases: Layers = []
    for w, h in zip(reversed(weights), reversed(hidden[:-1]), strict=True):
        of_weights.insert(0, slope.swapaxes(1, 2) @ h)
        of_biases.insert(0, slope.sum(axis=1))
        slope = (slope @ w) * (h > 0)
    return of_weights, of_biases


def squared_norms(weights: Layers) -> Array:
    """Of each seed's matrices, (seeds, layers)."""
    return np.array([(w**2).sum(axis=(1, 2)) for w in weights]).T


def largest_over_smallest(terms: Array) -> Array:
    """Ratio for each seed of the largest to the smallest layer's term."""
    ratios: Array = terms.max(axis=1) / terms.min(axis=1)
    return ratios


def mean_largest(values: Array) -> float:
    """The largest of five seeds' values, mean over the sets of five."""
    return float(values.reshape(-1, 5).max(axis=1).mean())


def mean_least(values: Array) -> float:
    """The smallest of five seeds' values, mean over the sets of five."""
    return float(values.reshape(-1, 5).min(axis=1).mean())


class Norms(NamedTuple):
    """Squared norms of the three matrices of each seed, (seeds, 3)."""

    halfway: Array
    end: Array


def entries() -> Array:
    """Number of entries of each of the three matrices."""
    return np.array([k * out for k, out in pairwise(SIZES)], float)


@cache
def train(*decays: float) -> Norms:
    """Train the network 64-128-16-10 with one λ for each matrix."""
    rng = np.random.default_rng(5)
    x, y = digits()
    weights, biases = uniform_start(rng, 5 * SETS, SIZES)
    parameters = weights + biases
    penalties = [*decays, 0.0, 0.0, 0.0]
    speeds = [np.zeros_like(p) for p in parameters]
    halfway = squared_norms(weights)
    for t, rows in enumerate(batches(rng, 5 * SETS, len(x), 32, 1000)):
        if t == 500:
            halfway = squared_norms(parameters[:3])
        rate = 0.2 * min(1, 2 * (1 - t / 1000))
        of_weights, of_biases = gradients(parameters[:3], parameters[3:], x[rows], y[rows])
        slopes = of_weights + of_biases
        for p, v, g, decay in zip(parameters, speeds, slopes, penalties, strict=True):
            v *= 0.9
            v += g + decay * p
            p -= rate * v
    return Norms(halfway, squared_norms(parameters[:3]))


def plain() -> Norms:
    """Train with the same λ = 0.01 on each matrix."""
    return train(0.01, 0.01, 0.01)


@number("S0-04-start")
def share_of_first_layer() -> float:
    """What the first of two random layers has of the sum of squares, mean over 20 draws."""
    rng = np.random.default_rng(51)
    first = (rng.standard_normal((20, 300 * 400)) ** 2).sum(axis=1)
    second = (rng.standard_normal((20, 10 * 300)) ** 2).sum(axis=1)
    return float((first / (first + second)).mean())


@number("S0-04-end")
def terms_of_plain_sum() -> float:
    """The largest squared norm over the smallest after training, worst of five seeds."""
    return mean_largest(largest_over_smallest(plain().end))


@number("S0-16")
def terms_divided_by_sizes() -> float:
    """The same, of the penalty's terms, each layer's sum being divided by its size."""
    shares = 1 / entries()
    factors = shares / shares.prod() ** (1 / 3)
    norms = train(*(float(0.01 * f) for f in factors))
    return mean_largest(largest_over_smallest(factors * norms.end))


@number("S0-17")
def fans_are_no_constant() -> float:
    """The largest mean square weight times (inputs + outputs) over the smallest."""
    fans = np.array(SIZES[:-1]) + np.array(SIZES[1:])
    return mean_least(largest_over_smallest(plain().end / entries() * fans))


@number("05-noise")
def share_at_constant_rate() -> float:
    """The first matrix's share of the squared norms after 500 steps."""
    norms = plain().halfway
    return mean_least(norms[:, 0] / norms.sum(axis=1))


@number("05-memory")
def doubled_start() -> float:
    """Squared norm of the first layer from doubled weights over that from the usual ones."""
    x, y = (each[:100] for each in digits())
    seeds = 5 * SETS
    start, _ = uniform_start(np.random.default_rng(52), seeds, (64, 32, 10))
    weights = [np.concatenate([w, 2 * w]) for w in start]
    biases = [np.zeros(w.shape[:2]) for w in weights]
    for _ in range(600):
        slopes, _ = gradients(weights, biases, x, y)
        weights = [w - 0.1 * g for w, g in zip(weights, slopes, strict=True)]
    norms = squared_norms(weights)[:, 0]
    return mean_least(norms[seeds:] / norms[:seeds])


class Kinks(NamedTuple):
    """Data sets of the sum of two kinks: inputs (sets, 25, 3) and targets (sets, 25)."""

    x: Array
    y: Array


def kinks(rng: np.random.Generator, sets: int) -> Kinks:
    """Draw the data sets."""
    x = np.concatenate([rng.standard_normal((sets, 25, 2)), np.ones((sets, 25, 1))], axis=2)
    y = np.abs(x[:, :, 0]) + np.maximum(x[:, :, 0] + x[:, :, 1], 0) - 1
    return Kinks(x, y + 0.1 * rng.standard_normal(y.shape))


def learn(rng: np.random.Generator, data: Kinks, m: int) -> Array:
    """Outputs of m hidden units on their 25 points, after 400 steps of Adam with L2."""
    x, y = data
    size = np.sqrt(600 * 200)
    w = rng.uniform(-1, 1, (len(x), m, 3)) * np.sqrt(6 / (3 + m))
    v = rng.uniform(-1, 1, (len(x), m, 1)) * np.sqrt(6 / (m + 1))
    parameters, decays = (w, v), (0.03 * size / (3 * m), 0.03 * size / m)
    firsts, seconds = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    for t in range(400):
        rate = 0.05 * min(1, 2 * (1 - t / 400))
        hidden = np.maximum(x @ w.swapaxes(1, 2), 0)
        errors = (hidden @ v - y[:, :, None]) / 25
        slope_w = ((errors * v.swapaxes(1, 2)) * (hidden > 0)).swapaxes(1, 2) @ x
        slopes = (slope_w, hidden.swapaxes(1, 2) @ errors)
        for p, first, second, g, decay in zip(
            parameters, firsts, seconds, slopes, decays, strict=True
        ):
            whole = g + decay * p
            first += 0.1 * (whole - first)
            second += 0.001 * (whole**2 - second)
            scale = np.sqrt(second / (1 - 0.999 ** (t + 1))) + 1e-8
            p -= rate * first / (1 - 0.9 ** (t + 1)) / scale
    outputs: Array = (np.maximum(x @ w.swapaxes(1, 2), 0) @ v)[:, :, 0]
    return outputs


@number("S0-06")
def change_with_width() -> float:
    """How much the learnt function changes from width 50 to 800, least of five data sets."""
    rng = np.random.default_rng(53)
    data = kinks(rng, 5 * SETS)
    narrow, wide = learn(rng, data, 50), learn(rng, data, 800)
    change = ((wide - narrow) ** 2).mean(axis=1) / (data.y**2).mean(axis=1)
    return mean_least(np.sqrt(change))


def best_decay(rng: np.random.Generator, d: int) -> float:
    """The λ of 61 that comes nearest to the true weights of 20 data sets with d inputs."""
    decays = np.geomspace(0.01, 10, 61)
    x = rng.standard_normal((20, 50, d))
    true = rng.standard_normal((20, d)) / np.sqrt(d)
    y = np.einsum("sni,si->sn", x, true) + 0.5 * rng.standard_normal((20, 50))
    left, values, right = np.linalg.svd(x, full_matrices=False)
    pulls = values * np.einsum("snk,sn->sk", left, y)
    along = np.einsum("ski,si->sk", right, true)
    # What lies outside the inputs' span is lost under any λ.
    misses = pulls / (values**2 + 50 * decays[:, None, None]) - along
    return float(decays[(misses**2).sum(axis=(1, 2)).argmin()])


@number("05-bayes")
def power_of_inputs() -> float:
    """Slope of the best λ against the number of inputs, both logarithmic, mean of 20 draws."""
    rng = np.random.default_rng(54)
    sizes = np.array([25, 50, 100, 200, 400])
    bests = np.array([[best_decay(rng, d) for d in sizes] for _ in range(20)])
    return float(np.polyfit(np.log(sizes), np.log(bests).T, 1)[0].mean())
