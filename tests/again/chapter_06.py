"""Chapter 6 again: weight decay on biases, on what stands in for them, and on rare rows."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits

from tests.again import number

Array = NDArray[np.float64]
Layers = list[Array]

FITS = 200
"""How often a number from five exact fits is computed; the mean is what is returned."""


class Data(NamedTuple):
    """Toy data sets: inputs (sets, n, d) and targets (sets, n)."""

    x: Array
    y: Array


def toy(rng: np.random.Generator, sets: int, n: int, d: int, bias: float) -> Data:
    """Draw toy problems of weight 1 and noise 0.5."""
    x = rng.standard_normal((sets, n, d))
    return Data(x, bias + x.sum(axis=2) + 0.5 * rng.standard_normal((sets, n)))


def around(rng: np.random.Generator, sets: int) -> Data:
    """Draw toy problems of 60 examples whose targets have a mean of exactly 8."""
    x, y = toy(rng, sets, 60, 3, 8.0)
    return Data(x, y + 8 - y.mean(axis=1, keepdims=True))


def residuals(data: Data, decay: float, of_bias: float) -> Array:
    """Of the exact fits with the penalties (decay/2)‖w‖² + (of_bias/2) b², (sets, n)."""
    n, d = data.x.shape[1:]
    x = np.concatenate([data.x, np.ones_like(data.x[:, :, :1])], axis=2)
    penalties = n * np.diag([decay] * d + [of_bias])
    transposed = x.swapaxes(1, 2)
    w = np.linalg.solve(transposed @ x + penalties, transposed @ data.y[:, :, None])
    left: Array = data.y - (x @ w)[:, :, 0]
    return left


class Errors(NamedTuple):
    """Mean squared errors of the same data sets, (FITS, 5), by what decays at λ = 0.01."""

    nothing: Array
    weights: Array
    all: Array


@cache
def offset_errors() -> Errors:
    """Errors of fits to targets of offset 100, with centred inputs."""
    x, y = toy(np.random.default_rng(6), 5 * FITS, 200, 10, 100.0)
    data = Data(x - x.mean(axis=1, keepdims=True), y)
    decays = ((0.0, 0.0), (0.01, 0.0), (0.01, 0.01))
    errors = [(residuals(data, *each) ** 2).mean(axis=1).reshape(FITS, 5) for each in decays]
    return Errors(*errors)


def mean_least(values: Array) -> float:
    """The smallest of five seeds' values, mean over the sets of five."""
    return float(values.reshape(-1, 5).min(axis=1).mean())


def uniform_start(
    rng: np.random.Generator, seeds: int, sizes: tuple[int, ...]
) -> tuple[Layers, Layers]:
    """Weight matrices (seeds, out, in) and biases (seeds, out) from U(−1/√in, 1/√in)."""
    weights, biases = [], []
    for k, out in pairwise(sizes):
        weights.append(rng.uniform(-1, 1, (seeds, out, k)) / np.sqrt(k))
        biases.append(rng.uniform(-1, 1, (seeds, out)) / np.sqrt(k))
    return weights, biases


@number("06-uncentred")
def left_of_a_constant() -> float:
    """What raw inputs leave over of a constant target, on average."""
    x = load_diabetes(scaled=False).data / 100
    w = np.linalg.solve(x.T @ x + len(x) * 0.1 * np.eye(10), x.sum(axis=0))
    return float((1 - x @ w).mean())


@number("S2-18")
def slope_through_origin() -> float:
    """The least-squares slope of a line through the origin, mean over 1000 draws."""
    rng = np.random.default_rng(61)
    x = np.linspace(4, 9, 30)
    y = 6 + x + 0.5 * rng.standard_normal((1000, 30))
    return float((y @ x / (x @ x)).mean())


@number("S2-03-offset")
def error_with_decayed_bias() -> float:
    """Error with everything decayed over that with nothing, mean over the data sets."""
    errors = offset_errors()
    return float((errors.all / errors.nothing).mean())


@number("S2-10")
def one_bias_or_ten_weights() -> float:
    """Harm of decaying the bias over that of decaying the weights."""
    errors = offset_errors()
    # A ratio of means over five data sets; then the mean of these ratios.
    of_bias = (errors.all - errors.weights).mean(axis=1)
    of_weights = (errors.weights - errors.nothing).mean(axis=1)
    return float((of_bias / of_weights).mean())


def network_residuals(data: Data, parameters: Layers) -> tuple[Array, Array]:
    """Targets minus outputs of ReLU networks, (sets, n, 1), and their hidden layers."""
    w, b, v, c = parameters
    hidden = np.maximum(data.x @ w.swapaxes(1, 2) + b[:, None, :], 0)
    outputs = hidden @ v.swapaxes(1, 2) + c[:, None, :]
    return data.y[:, :, None] - outputs, hidden


def network_slopes(data: Data, parameters: Layers) -> Layers:
    """Gradients of half the mean squared error."""
    missed, hidden = network_residuals(data, parameters)
    slope = -missed / missed.shape[1]
    back = (slope @ parameters[2]) * (hidden > 0)
    return [
        back.swapaxes(1, 2) @ data.x,
        back.sum(axis=1),
        slope.swapaxes(1, 2) @ hidden,
        slope.sum(axis=1),
    ]


@number("06-around")
def network_misses_mean() -> float:
    """By how many λ a ReLU network with decayed biases misses the mean, median of five."""
    rng = np.random.default_rng(62)
    # Twenty times the five data sets.
    data = around(rng, 100)
    (w, v), (b, c) = uniform_start(rng, 100, (3, 10, 1))
    parameters = [w, b, v, c]
    speeds = [np.zeros_like(p) for p in parameters]
    for _ in range(600):
        slopes = network_slopes(data, parameters)
        for p, speed, g in zip(parameters, speeds, slopes, strict=True):
            speed *= 0.9
            speed += g + 0.1 * p
            p -= 0.04 * speed
    missing = network_residuals(data, parameters)[0].mean(axis=(1, 2)) / 0.1
    return float(np.median(missing.reshape(-1, 5), axis=1).mean())


@number("S2-03-linear")
def linear_misses_mean() -> float:
    """By how many λ a linear model with decayed bias misses the mean, least of five."""
    data = around(np.random.default_rng(63), 5 * FITS)
    return mean_least(residuals(data, 0.1, 0.1).mean(axis=1) / 0.1)


class Eights(NamedTuple):
    """Digits with a last input of 1, and whether they are eights."""

    train: Array
    test: Array
    labels: Array
    """1 for the 40 eights and 0 for the 760 others; the same of both."""


def rare_eights(rng: np.random.Generator) -> Eights:
    """Draw 800 digits for training and 800 for testing, 40 eights in each."""
    data = load_digits()
    eights = rng.permutation(np.flatnonzero(data.target == 8))[:80]
    others = rng.permutation(np.flatnonzero(data.target != 8))[:1520]
    train, test = (data.data[np.concatenate([eights[a::2], others[a::2]])] / 16 for a in (0, 1))
    ones, labels = np.ones((800, 1)), np.repeat([1.0, 0.0], [40, 760])
    mean = train.mean(axis=0)
    return Eights(np.hstack([train - mean, ones]), np.hstack([test - mean, ones]), labels)


def logistic(x: Array, labels: Array, decay: float) -> Array:
    """The minimum of the logistic loss and a penalty on all weights, by Newton's method."""
    w = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (p - labels) / len(x) + decay * w
        curvature = (x.T * (p * (1 - p))) @ x / len(x) + decay * np.eye(len(w))
        step = np.linalg.solve(curvature, slope)
        w = w - step
        if np.abs(step).max() < 1e-12:
            return w
    raise ArithmeticError("Newton's method has not converged")


@number("06-rare")
def too_many_eights() -> float:
    """Eights predicted over those there are, mean over 100 seeds."""
    rng = np.random.default_rng(64)
    ratios = []
    for _ in range(100):
        data = rare_eights(rng)
        w = logistic(data.train, data.labels, 0.1)
        ratios.append((1 / (1 + np.exp(-data.test @ w))).mean() / (40 / 800))
    return float(np.mean(ratios))


def hidden_biases(seed: int, of_biases: float) -> float:
    """Mean absolute hidden bias of ten networks 64-32-10, from one draw of 1000 digits."""
    rng = np.random.default_rng(seed)
    data = load_digits()
    pixels = data.data / 16 - (data.data / 16).mean(axis=0)
    chosen = rng.permutation(len(pixels))[:1000]
    x, y = pixels[chosen], np.eye(10)[data.target[chosen]]
    (w, v), (b, c) = uniform_start(rng, 10, (64, 32, 10))
    for _ in range(200 // 20):
        order = rng.permuted(np.tile(np.arange(1000), (10, 1)), axis=1)
        for rows in order.reshape(10, 20, 50).swapaxes(0, 1):
            hidden = np.maximum(x[rows] @ w.swapaxes(1, 2) + b[:, None, :], 0)
            odds = np.exp(hidden @ v.swapaxes(1, 2) + c[:, None, :])
            slope = (odds / odds.sum(axis=2, keepdims=True) - y[rows]) / 50
            back = (slope @ v) * (hidden > 0)
            w = w - 0.5 * (back.swapaxes(1, 2) @ x[rows] + 0.003 * w)
            v = v - 0.5 * (slope.swapaxes(1, 2) @ hidden + 0.003 * v)
            b = b - 0.5 * (back.sum(axis=1) + of_biases * b)
            c = c - 0.5 * (slope.sum(axis=1) + of_biases * c)
    return float(np.abs(b).mean())


@number("06-digits")
def decayed_hidden_biases() -> float:
    """Hidden biases with decay on all biases over free ones, mean over eight draws of digits."""
    seeds = range(600, 608)
    return float(np.mean([hidden_biases(seed, 0.003) / hidden_biases(seed, 0) for seed in seeds]))


@number("06-adam")
def row_never_visited() -> float:
    """What a number without gradient loses to Adam with a tiny L2 penalty, in 100η."""
    w, first, second = 1.0, 0.0, 0.0
    for t in range(1, 101):
        slope = 1e-4 * w
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        scale = (second / (1 - 0.999**t)) ** 0.5 + 1e-8
        w -= 0.001 * first / (1 - 0.9**t) / scale
    return (1 - w) / (100 * 0.001)
