"""Chapter 3 again: what a penalty's number means in six programs, and under Adam and AdamW."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.datasets import load_diabetes

from tests.again import number

Array = NDArray[np.float64]


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


@number("03-coupled")
def decay_at_ten_times_the_rate() -> float:
    """PyTorch's AdamW: an ignored weight's log-decay at η = 0.01 over that at η = 0.001."""
    schedule = (1 + np.cos(np.pi * np.arange(200) / 200)) / 2
    high, low = (-np.log1p(-rate * schedule * 0.1).sum() for rate in (0.01, 0.001))
    return float(high / low)
