"""Chapter 3 again: what a penalty's number means in six programs, and under Adam and AdamW."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.datasets import load_diabetes, load_digits

from tests.again import number

Array = NDArray[np.float64]

PIXEL_SEEDS = 50
"""Seeds of the digits' classifier; the interval is that of the first five."""


class Adam:
    """Adam's averages for an array of parameters, and the steps that follow from them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Start with averages of zero."""
        self.mean = np.zeros(shape)
        self.square = np.zeros(shape)
        self.steps = 0

    def step(self, gradient: Array) -> Array:
        """What η is multiplied with in the step after this gradient."""
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - 0.9**self.steps)
        square = self.square / (1 - 0.999**self.steps)
        direction: Array = mean / (np.sqrt(square) + 1e-8)
        return direction


class Problem(NamedTuple):
    """H and c of half the mean squared error, whose gradient is H w − c."""

    curvature: Array
    pull: Array

    def ridge(self, decay: float) -> NDArray[np.floating]:
        """The minimum of half the mean squared error plus (λ/2)‖w‖²."""
        return np.linalg.solve(self.curvature + decay * np.eye(len(self.pull)), self.pull)


def diabetes() -> Problem:
    """The ten standardised inputs with standardised targets."""
    data = load_diabetes(scaled=False)
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    y = (data.target - data.target.mean()) / data.target.std()
    return Problem(x.T @ x / len(y), x.T @ y / len(y))


def lower_end(values: Array) -> float:
    """The lower end of Student's 95 % interval of the mean."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - student.ppf(0.975, len(values) - 1) * error)


def pale_over_dark(sizes: Array, scales: Array) -> Array:
    """The mean of 1/scale over pale pixels, over that over dark ones, for scales (…, 64)."""
    low, high = np.quantile(sizes[sizes > 0.015], [0.1, 0.9])
    pale = (sizes > 0.015) & (sizes <= low)
    dark = sizes >= high
    ratios: Array = (1 / scales[..., pale]).mean(axis=-1) / (1 / scales[..., dark]).mean(axis=-1)
    return ratios


@cache
def pixels() -> tuple[Array, Array]:
    """The pixels' sizes (64), and the root of Adam's average for each pixel (seeds, 64)."""
    rng = np.random.default_rng(33)
    data = load_digits()
    # A constant input of 1 carries the biases; it is left out of what is returned.
    x = np.hstack([data.data / 16, np.ones((len(data.data), 1))])
    labels = np.eye(10)[data.target]
    w = np.zeros((PIXEL_SEEDS, 10, 65))
    adam = Adam(w.shape)
    rows = np.tile(np.arange(len(x)), (PIXEL_SEEDS, 1))
    for _ in range(100):
        batch = rng.permuted(rows, axis=1)[:, :32]
        outputs = np.exp(x[batch] @ w.swapaxes(1, 2))
        errors = outputs / outputs.sum(axis=2, keepdims=True) - labels[batch]
        gradient = errors.swapaxes(1, 2) @ x[batch] / 32
        w = w - 0.001 * adam.step(gradient + 1e-4 * w)
    sizes = np.sqrt((x[:, :64] ** 2).mean(axis=0))
    return sizes, np.sqrt(adam.square[:, :, :64].mean(axis=1))


@number("S2-14")
def six_conventions() -> float:
    """The smallest over the largest norm of the fits of six objectives with c = 0.1."""
    problem, c, n = diabetes(), 0.1, 442
    # λ of the same objective, when it is written as half the mean squared error + (λ/2)‖w‖².
    decays = [c, c / 2, c / (2 * n), 2 * c, c / n, c / n]
    norms = [np.linalg.norm(problem.ridge(decay)) for decay in decays]
    return float(min(norms) / max(norms))


@number("S2-13")
def ignored_weight_under_adam() -> float:
    """A weight of 5 that the loss ignores, after 100 steps of Adam with L2."""
    w, adam = np.array([5.0]), Adam((1,))
    for _ in range(100):
        w = w - 0.01 * adam.step(1.0 * w)
    return float(w[0])


@number("S2-13-noise")
def decay_under_noise() -> float:
    """The lower end of the interval of the log-decay at σ = 1 over that at σ = 10."""
    rng = np.random.default_rng(31)
    half = rng.standard_normal((2000, 5, 20))
    noise = np.concatenate([half, -half], axis=2)

    def log_decays(scale: float) -> Array:
        w = np.full((5, 40), 4.0)
        adam = Adam(w.shape)
        for draw in noise:
            w = w - 0.002 * adam.step(scale * draw + 0.1 * w)
        decays: Array = -np.log(w.mean(axis=1) / 4)
        return decays

    return lower_end(log_decays(1.0) / log_decays(10.0))


@number("03-full-beside")
def adamw_beside_ridge() -> float:
    """AdamW's distance from least squares, over that of ridge regression."""
    problem = diabetes()
    w, adam = np.zeros(10), Adam((10,))
    for _ in range(4000):
        direction = adam.step(problem.curvature @ w - problem.pull)
        w = (1 - 0.003 * 0.1) * w - 0.003 * direction
    least_squares, ridge = problem.ridge(0.0), problem.ridge(0.1)
    return float(np.linalg.norm(w - least_squares) / np.linalg.norm(ridge - least_squares))


@number("03-digits")
def pale_pixels_decay_faster() -> float:
    """The lower end of the interval of the rates' ratio, pale over dark pixels, five seeds."""
    sizes, scales = pixels()
    return lower_end(pale_over_dark(sizes, scales[:5]))


@number("03-digits-size")
def sizes_predict_the_ratio() -> float:
    """The measured ratio of the rates over the one that the pixels' sizes predict."""
    sizes, scales = pixels()
    return float(pale_over_dark(sizes, scales).mean() / pale_over_dark(sizes, sizes))


@number("03-coupled")
def decay_at_ten_times_the_rate() -> float:
    """PyTorch's AdamW: an ignored weight's log-decay at η = 0.01 over that at η = 0.001."""
    schedule = (1 + np.cos(np.pi * np.arange(200) / 200)) / 2
    high, low = (-np.log1p(-rate * schedule * 0.1).sum() for rate in (0.01, 0.001))
    return float(high / low)
