"""Chapter 4 again: weight decay on factors, the Lasso, and an adapter under AdamW."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits

from tests.again import number

Array = NDArray[np.float64]


def standardise(x: Array) -> Array:
    """Inputs of mean 0 and standard deviation 1, column by column."""
    standardised: Array = (x - x.mean(axis=0)) / x.std(axis=0)
    return standardised


@cache
def quadratic() -> tuple[Array, Array]:
    """H = XᵀX/n and c = Xᵀy/n of the 64 inputs: the loss's gradient is H w − c."""
    data = load_diabetes(scaled=False)
    z = standardise(data.data)
    pairs = [(i, j) for i in range(10) for j in range(i, 10) if (i, j) != (1, 1)]
    x = standardise(np.hstack([z, np.array([z[:, i] * z[:, j] for i, j in pairs]).T]))
    y = data.target - data.target.mean()
    return x.T @ x / len(y), x.T @ y / len(y)


@cache
def lasso() -> Array:
    """The minimum of half the mean squared error + 5 Σ|w_i|, by coordinate descent."""
    curvature, pull = quadratic()
    w, change = np.zeros(64), np.inf
    while change > 1e-13:
        before = w.copy()
        for i in range(64):
            target = pull[i] - curvature[i] @ w + curvature[i, i] * w[i]
            w[i] = np.sign(target) * max(abs(target) - 5, 0) / curvature[i, i]
        change = np.abs(w - before).max()
    return w


@number("04-puzzle")
def sixth_singular_value() -> float:
    """The sixth singular value of the product of two decayed factors on whitened digits."""
    rng = np.random.default_rng(41)
    data = load_digits()
    levels = data.data[:, data.data.std(axis=0) > 0]
    left, _, right = np.linalg.svd(levels - levels.mean(axis=0), full_matrices=False)
    z = np.sqrt(len(levels)) * left @ right
    labels = np.eye(10)[data.target]
    # The inputs are white, so that the gradient for the product A B is A B − YᵀZ/n.
    target = (labels - labels.mean(axis=0)).T @ z / len(levels)
    a = rng.uniform(-1 / 4, 1 / 4, (10, 16))
    b = rng.uniform(-1 / np.sqrt(61), 1 / np.sqrt(61), (16, 61))
    for _ in range(800):
        slope = a @ b - target
        a, b = a - (slope @ b.T + 0.24 * a), b - (a.T @ slope + 0.24 * b)
    return float(np.linalg.svd(a @ b, compute_uv=False)[5])


@number("S2-12-zeros")
def zeros_of_the_lasso() -> float:
    """How many of 64 weights are exactly zero at the minimum with an L1 penalty."""
    return float((lasso() == 0).sum())


@number("S2-12-hop")
def hopping_subgradients() -> float:
    """How far the weights that belong at zero are from it, in units of ηλ, at the worse of two η."""
    curvature, pull = quadratic()
    furthest = []
    for rate, steps in ((0.02, 2000), (0.002, 20_000)):
        w = np.zeros(64)
        for _ in range(steps):
            w = w - rate * (curvature @ w - pull + 5 * np.sign(w))
        furthest.append(np.abs(w[lasso() == 0]).max() / (rate * 5))
    return float(max(furthest))


@number("S2-12-product")
def lasso_from_two_factors() -> float:
    """The largest distance of decayed products u v from the Lasso, over its largest weight."""
    curvature, pull = quadratic()
    u, v = np.ones(64), np.zeros(64)
    for _ in range(3000):
        slope = curvature @ (u * v) - pull
        u, v = u - 0.004 * (slope * v + 5 * u), v - 0.004 * (slope * u + 5 * v)
    return float(np.abs(u * v - lasso()).max() / np.abs(lasso()).max())


def adapter(rng: np.random.Generator) -> float:
    """What AdamW at λ = 1 takes from the four singular values of an adapter: their mean in a run."""
    data = load_digits()
    levels = data.data[:, data.data.std(axis=0) > 0]
    left, _, right = np.linalg.svd(levels - levels.mean(axis=0), full_matrices=False)
    z = np.sqrt(len(levels)) * left @ right
    labels = np.eye(10)[data.target]
    y = labels - labels.mean(axis=0)
    before = y.T @ z / len(z)
    wanted = y[:, [1, 2, 3, 4, 0, 5, 6, 7, 8, 9]]
    full = np.linalg.svd(wanted.T @ z / len(z) - before, compute_uv=False)[:4]
    w = np.vstack([np.zeros((10, 8)), rng.uniform(-1 / 4, 1 / 4, (61, 8))])
    first, second = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, 1001):
        rows = rng.integers(len(z), size=100)
        error = (z[rows] @ (before + w[:10] @ w[10:].T).T - wanted[rows]) / 100
        slope = np.vstack([error.T @ z[rows] @ w[10:], z[rows].T @ error @ w[:10]])
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        root = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        rate = 0.003 * (1 - (step - 1) / 1000)
        w = (1 - rate) * w - rate * first / (1 - 0.9**step) / root
    return float(np.mean(full - np.linalg.svd(w[:10] @ w[10:].T, compute_uv=False)[:4]))


@number("04-adamw-small")
def adamw_on_an_adapter() -> float:
    """What AdamW at λ = 1 takes from an adapter's singular values: the mean over five runs."""
    rng = np.random.default_rng(48)
    return float(np.mean([adapter(rng) for _ in range(5)]))
