"""Chapter 6's numbers a second time: fits by least squares with more examples, networks again in plain NumPy."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import Ridge

Array = NDArray[Any]


def fitted(X: Array, y: Array, lam: float, of_bias: float) -> tuple[Array, float]:
    """Ridge with a penalty on the bias, too: each penalty is one more example, with a target of 0."""
    n, d = X.shape
    more = np.diag([(n * lam) ** 0.5] * d + [(n * of_bias) ** 0.5])
    Z = np.vstack([np.hstack([X, np.ones((n, 1))]), more])
    found = np.linalg.lstsq(Z, np.append(y, np.zeros(d + 1)))[0]
    return found[:d], float(found[d])


@cache
def year() -> tuple[Array, Array]:
    """Cosine and sine of the date, of variance 1, and 365 temperatures."""
    turns = [2 * np.pi * day / 365 for day in range(365)]
    noise = np.random.default_rng(0).normal(0, 3, 365)
    warm = [10 - 9 * np.cos(t) - 3 * np.sin(t) + e for t, e in zip(turns, noise, strict=True)]
    return np.array([[2**0.5 * np.cos(t), 2**0.5 * np.sin(t)] for t in turns]), np.array(warm)


def wave(zero: float) -> Array:
    """The year as it is fitted on a scale that has such a number at 0 °C, in °C."""
    date, warm = year()
    w, b = fitted(date, warm + zero, 0.01, 0.01)
    return np.array([float(row @ w) + b - zero for row in date])


@cache
def patients() -> tuple[Array, Array, Array]:
    """Measurements as they are and standardised; targets."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X, np.array([(c - c.mean()) / c.std() for c in X.T]).T, y


def left_over() -> float:
    """What ridge on raw inputs over 100, without intercept, leaves of a constant of 1, on average."""
    X = patients()[0] / 100
    ones = np.ones(len(X))
    shown = Ridge(alpha=0.1 * len(X), fit_intercept=False, solver="svd").fit(X, ones).predict(X)
    return float(1 - sum(shown.tolist()) / len(X))


def by_adamw(shift: float, free: bool) -> Array:
    """What 50 steps of AdamW with λ = 1 predict for shifted targets, less the shift, gradients by hand."""
    _, X, y = patients()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = [torch.nn.Linear(10, 8), torch.nn.Linear(8, 1)]
    p = [t.detach().double().numpy().copy() for each in layers for t in (each.weight, each.bias)]
    p[3] += shift
    m, v, goal = [0 * a for a in p], [0 * a for a in p], y / 100 + shift
    for t in range(1, 51):
        h = np.tanh(X @ p[0].T + p[1])
        e = 2 * (h @ p[2][0] + p[3] - goal) / len(y)
        back = e[:, None] * p[2] * (1 - h * h)
        g = [back.T @ X, back.sum(0), (e @ h)[None], np.array([e.sum()])]
        for k in range(4):
            p[k] = p[k] * (1 if free and k == 3 else 1 - 0.01)
            m[k], v[k] = 0.9 * m[k] + 0.1 * g[k], 0.999 * v[k] + 0.001 * g[k] ** 2
            p[k] = p[k] - 0.01 * m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
    return np.asarray(np.tanh(X @ p[0].T + p[1]) @ p[2][0] + p[3] - shift)


def apart_by_adamw(free: bool) -> float:
    """By how much predictions move at most, less the shift, when targets and start move by 10."""
    pairs = zip(by_adamw(10, free).tolist(), by_adamw(0, free).tolist(), strict=True)
    return float(max(abs(a - b) for a, b in pairs))


def line(of_bias: float) -> tuple[float, float]:
    """Slope and intercept for 30 points around 6 + x, the bias penalised."""
    x = np.array([4 + 5 * k / 29 for k in range(30)])
    y = 6 + x + np.random.default_rng(0).normal(0, 0.5, 30)
    w, b = fitted(x[:, None], y, 0, of_bias)
    return float(w[0]), b


@cache
def cost(offset: float) -> tuple[float, float, float]:
    """Training error, means of five data sets: what decaying ten weights adds, what the bias adds, all over nothing."""
    rows = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((200, 10))
        y = np.array([offset + sum(row) for row in X]) + 0.5 * rng.standard_normal(200)
        X = X - X.mean(0)
        nothing, weights, both = (
            float(((y - X @ w - b) ** 2).sum() / 200)
            for w, b in (fitted(X, y, *lams) for lams in ((0, 0), (0.01, 0), (0.01, 0.01)))
        )
        rows.append((weights - nothing, both - weights, both / nothing))
    first, second, third = (sum(column) / 5 for column in zip(*rows, strict=True))
    return first, second, third


def begin(seed: int, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """PyTorch's initial weights and biases, uniform between ±1/√inputs."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    weights, biases = [], []
    for k, out in pairwise(sizes):
        weights.append(rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), (out, k)))
        biases.append(rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), out))
    return weights, biases


def starts(sizes: Sequence[int], seeds: int) -> list[Array]:
    """Of each seed two matrices and two biases, (seed, …)."""
    each = [begin(seed, sizes) for seed in range(seeds)]
    return [np.array([e[part][i] for e in each]) for part in (0, 1) for i in (0, 1)]


@cache
def offsets() -> tuple[Array, Array]:
    """Twenty data sets of 60 examples, the means of whose targets are 1, 2, 4 or 8, five times each."""
    inputs, targets = [], []
    for seed in range(20):
        rng, wanted = np.random.default_rng(seed), 2 ** (seed // 5)
        X = rng.standard_normal((60, 3))
        y = X.sum(1) + 0.5 * rng.standard_normal(60)
        inputs.append(X)
        targets.append(y - y.mean() + wanted)
    return np.array(inputs), np.array(targets)


@cache
def around(all_biases: bool) -> tuple[Array, Array, Array]:
    """Ten hidden units after 600 steps with λ = 0.1: mean misses, output biases, and if a unit is always active."""
    X, y = offsets()
    p = starts((3, 10, 1), 20)
    speeds = [0 * a for a in p]
    for _ in range(600):
        reached = X @ p[0].mT + p[2][:, None]
        h = np.where(reached > 0, reached, 0)
        e = (h @ p[1].mT + p[3][:, None] - y[..., None]) / 60
        back = (e @ p[1]) * (reached > 0)
        g = [back.mT @ X, e.mT @ h, back.sum(1), e.sum(1)]
        for k, of in enumerate((0.1, 0.1, 0.1 if all_biases else 0, 0.1)):
            speeds[k] = 0.9 * speeds[k] + g[k] + of * p[k]
            p[k] = p[k] - 0.04 * speeds[k]
    reached = X @ p[0].mT + p[2][:, None]
    miss = y - (np.maximum(reached, 0) @ p[1].mT)[..., 0] - p[3]
    active = [any(min(unit) > 0.1 for unit in network.T) for network in reached]
    return miss.mean(1), p[3][:, 0], np.array(active)


@cache
def linear_misses() -> list[float]:
    """The mean misses of the linear model with everything decayed."""
    found = []
    for X, y in zip(*offsets(), strict=True):
        w, b = fitted(X, y, 0.1, 0.1)
        found.append(sum(t - float(x @ w) - b for x, t in zip(X, y, strict=True)) / 60)
    return found


def typical(all_biases: bool) -> float:
    """What is missing from the network's mean at offset 8, median of five, in λ."""
    return median(abs(float(miss)) for miss in around(all_biases)[0][15:]) / 0.1


# ---- rare eights --------------------------------------------------------------------------------
def logistic(X: Array, y: Array, lam: float, of_bias: float) -> Array:
    """Weights, then bias, at the minimum of the logistic loss with penalties, by Newton's steps."""
    Z, w = np.hstack([X, np.ones((len(X), 1))]), np.zeros(X.shape[1] + 1)
    penalty = np.array([lam] * X.shape[1] + [of_bias])
    for _ in range(50):
        p = 1 / (1 + np.exp(-Z @ w))
        step = np.linalg.solve(
            (Z.T * (p * (1 - p))) @ Z / len(Z) + np.diag(penalty) + 1e-14 * np.eye(len(w)),
            Z.T @ (p - y) / len(Z) + penalty * w,
        )
        w = w - step
        if abs(step).max() < 1e-11:
            break
    return w


@cache
def eights(free: bool) -> tuple[Array, Array]:
    """Eights predicted over eights there, and accuracy, on test digits: five draws, four λ."""
    data = load_digits()
    grey, is_eight, ratios, right = data.data / 16, data.target == 8, [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rows = [*rng.permutation([i for i, e in enumerate(is_eight) if e])[:80]]
        rows += [*rng.permutation([i for i, e in enumerate(is_eight) if not e])[:1520]]
        train, test = rows[::2], rows[1::2]
        centre = sum(grey[train]) / 800
        for lam in (0.001, 0.01, 0.1, 1):
            w = logistic(grey[train] - centre, is_eight[train], lam, 0 if free else lam)
            p = [1 / (1 + np.exp(-(float((x - centre) @ w[:-1]) + w[-1]))) for x in grey[test]]
            ratios.append(sum(p) / 40)
            right.append(sum((q > 0.5) == t for q, t in zip(p, is_eight[test], strict=True)) / 800)
    return np.array(ratios).reshape(5, 4), np.array(right).reshape(5, 4)


def mean_ratio(free: bool, k: int) -> float:
    """Eights predicted over eights there at the k-th λ, mean of five draws."""
    return float(sum(eights(free)[0][:, k])) / 5


# ---- balanced digits ----------------------------------------------------------------------------
@cache
def balanced(of_biases: float) -> tuple[list[float], float]:
    """Test accuracies of ten networks trained on 1,000 digits, and the mean size of their hidden biases."""
    data = load_digits()
    grey = data.data / 16
    grey = grey - grey.mean(0)
    order = np.random.default_rng(0).permutation(len(grey))
    train, test = order[:1000], order[1000:]
    p, rngs = starts((64, 32, 10), 10), [np.random.default_rng([seed, 1]) for seed in range(10)]
    for t in range(200):
        if t % 20 == 0:
            epoch = np.array([rng.permutation(1000) for rng in rngs])
        rows = train[epoch[:, 50 * (t % 20) : 50 * (t % 20) + 50]]
        h = np.maximum(grey[rows] @ p[0].mT + p[2][:, None], 0)
        odds = np.exp(h @ p[1].mT + p[3][:, None])
        e = (odds / odds.sum(2, keepdims=True) - np.eye(10)[data.target[rows]]) / 50
        back = (e @ p[1]) * (h > 0)
        g = [back.mT @ grey[rows], e.mT @ h, back.sum(1), e.sum(1)]
        for k, lam in enumerate((0.003, 0.003, of_biases, of_biases)):
            p[k] = p[k] - 0.5 * (g[k] + lam * p[k])
    scores = np.maximum(grey[test] @ p[0].mT + p[2][:, None], 0) @ p[1].mT + p[3][:, None]
    right = [sum(said.argmax(1) == data.target[test]) / len(test) for said in scores]
    return [float(r) for r in right], sum(abs(b) for b in p[2].flat) / 320


def gain() -> tuple[float, float]:
    """By how much free biases are better, mean of ten seeds, and half its 95 % interval."""
    pairs = zip(balanced(0)[0], balanced(0.003)[0], strict=True)
    gaps = [free - decayed for free, decayed in pairs]
    mean = sum(gaps) / 10
    return mean, float(stats.sem(gaps) * stats.t.ppf(0.975, 9))


def kink_price() -> float:
    """The least ½(a² + β² + v²) of a unit that bends at 3 by 1."""
    return float(optimize.minimize_scalar(lambda a: (10 * a * a + 1 / a / a) / 2, (0.1, 1)).fun)


# ---- embeddings ---------------------------------------------------------------------------------
def row(every: int, steps: int) -> list[float]:
    """After each step, the entry of a row whose token comes every so many steps (0: never), by SGD."""
    entry, path = 1.0, []
    for step in range(1, steps + 1):
        slope = entry - 1 if every and step % every == 0 else 0.0
        entry = entry - 0.5 * (slope + 0.01 * entry)
        path.append(entry)
    return path


def lost_to_adam(lam: float) -> float:
    """What a row without visits loses in 100 steps of Adam with η = 0.001."""
    w, m, v = 1.0, 0.0, 0.0
    for t in range(1, 101):
        m, v = 0.9 * m + 0.1 * lam * w, 0.999 * v + 0.001 * (lam * w) ** 2
        w -= 0.001 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return 1 - w


def settles(every: int) -> float:
    """Where a row's entry settles right after a visit."""
    return row(every, 100 * every)[-1]


def summed(n: int, lam: float) -> float:
    """The bias at the minimum of half the sum of squares of n targets of 50, with λ/2 b²."""
    found = optimize.minimize_scalar(lambda b: (n * (b - 50) ** 2 + lam * b * b) / 2, (0, 50))
    return float(found.x)
