"""Chapter 5's numbers a second time: networks trained again in plain NumPy, fits by other solvers."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

Array = NDArray[Any]
Layers = list[Array]
NAMES = ("sum", "mean", "fans")
DEEP, TALL = (64, 128, 16, 10), (64, 32, 16, 10)


@cache
def digits() -> tuple[Array, Array]:
    """Grey levels from 0 to 1 less their means, and labels."""
    data = load_digits()
    grey = data.data / 16
    return grey - sum(grey) / len(grey), data.target


def begin(seed: int, sizes: Sequence[int], biased: bool = True) -> tuple[Layers, Layers]:
    """PyTorch's initial weights, uniform between ±1/√inputs, and biases of the same range."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    weights, biases = [], []
    for k, out in pairwise(sizes):
        weights.append(rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), (out, k)))
        biases.append(
            rng.uniform(-1 / np.sqrt(k), 1 / np.sqrt(k), out) if biased else np.zeros(out)
        )
    return weights, biases


def batches(seed: int, n: int, size: int) -> Iterator[Array]:
    """Whole batches of a new order in each epoch."""
    rng = np.random.default_rng([seed, 1])
    while True:
        order = rng.permutation(n)
        yield from (order[k * size : (k + 1) * size] for k in range(n // size))


def factors(name: str, sizes: Sequence[int]) -> list[float]:
    """What multiplies each layer's λ, with a product of 1."""
    every = [(1.0, 1 / (a * b), 1 / a + 1 / b) for a, b in pairwise(sizes)]
    raw = [each[NAMES.index(name)] for each in every]
    return [f / (raw[0] * raw[1] * raw[2]) ** (1 / 3) for f in raw]


def slopes(weights: Layers, biases: Layers, x: Array, y: Array) -> tuple[Layers, Layers]:
    """Gradients of the mean cross-entropy, networks side by side; y holds a 1 for each label."""
    seen, out = [x], x
    for w, b in zip(weights, biases, strict=True):
        out = seen[-1] @ w.mT + b[:, None]
        seen.append(np.where(out > 0, out, 0))
    p = np.exp(out - out.max(2, keepdims=True))
    back = (p / p.sum(2, keepdims=True) - y) / x.shape[1]
    of_w, of_b = list[Array](), list[Array]()
    for w, h in zip(weights[::-1], seen[-2::-1], strict=True):
        of_w, of_b = [back.mT @ h, *of_w], [back.sum(1), *of_b]
        back = (back @ w) * (h > 0)
    return of_w, of_b


@cache
def norms() -> dict[str, Array]:
    """Squared norms (seed, layer, record) of the networks of section 5.1."""
    seeds = range(5)
    x, labels = digits()
    starts = [begin(seed, DEEP) for _ in NAMES for seed in seeds]
    w, b = (
        [np.array(layer) for layer in zip(*part, strict=True)] for part in zip(*starts, strict=True)
    )
    lams = 0.01 * np.array([factors(name, DEEP) for name in NAMES for _ in seeds])
    orders = [batches(seed, len(x), 32) for _ in NAMES for seed in seeds]
    speeds, found = [0 * each for each in (*w, *b)], []
    for t in range(1001):
        if t % 50 == 0:
            found.append([[float((m * m).sum()) for m in layer] for layer in w])
        if t == 1000:
            break
        rows = np.array([next(order) for order in orders])
        of_w, of_b = slopes(w, b, x[rows], np.eye(10)[labels[rows]])
        pulls = [g + lams[:, i, None, None] * w[i] for i, g in enumerate(of_w)]
        for p, speed, g in zip((*w, *b), speeds, (*pulls, *of_b), strict=True):
            speed *= 0.9
            speed += g
            p -= 0.2 * min(1, 2 - t / 500) * speed
    kept = np.array(found).transpose(2, 1, 0)
    return {name: kept[len(seeds) * k : len(seeds) * (k + 1)] for k, name in enumerate(NAMES)}


def shares(name: str, squares: Array) -> Array:
    """Each layer's part of a penalty, from squared norms (seed, layer, record)."""
    terms = [f * part for f, part in zip(factors(name, DEEP), squares.swapaxes(0, 1), strict=True)]
    return np.array([term / (terms[0] + terms[1] + terms[2]) for term in terms])


def start_shares(name: str) -> list[float]:
    """The three layers' parts of a penalty at the start, means of five seeds."""
    found = []
    for seed in range(5):
        pays = [
            f * sum(v * v for v in w.flat)
            for f, w in zip(factors(name, DEEP), begin(seed, DEEP)[0], strict=True)
        ]
        found.append([pay / sum(pays) for pay in pays])
    return [sum(column) / 5 for column in zip(*found, strict=True)]


def ratios(name: str, squares: Array) -> list[float]:
    """The largest term of a penalty over the smallest after training, one number a seed."""
    return [max(seed) / min(seed) for seed in shares(name, squares)[..., -1].T]


def spreads(squares: Array, by: Sequence[float]) -> list[float]:
    """Squared norms after training times a number for each layer: largest over smallest, one number a seed."""
    ends = [[s * k for s, k in zip(seed[:, -1], by, strict=True)] for seed in squares]
    return [max(end) / min(end) for end in ends]


def first_share() -> float:
    """What 120,000 of 123,000 numbers from N(0, 1) have of the sum of their squares."""
    rng = np.random.default_rng(0)
    first = sum(v * v for v in rng.standard_normal(120_000).tolist())
    return float(first / (first + sum(v * v for v in rng.standard_normal(3_000).tolist())))


def rate(name: str, inputs: int, outputs: int) -> float:
    """By how much a penalty of ½ a layer's sum, mean or mean times both fans falls when weights of 1 shrink."""
    w = torch.ones(outputs, inputs, dtype=torch.float64, requires_grad=True)
    penalty = {
        "sum": (w**2).sum(),
        "mean": (w**2).mean(),
        "fans": (w**2).mean() * (inputs + outputs),
    }
    (0.5 * penalty[name]).backward()
    assert w.grad is not None
    return float(w.grad[0, 0])


def tanh_slope() -> float:
    """The largest slope of the loss along c of 30 tanh units, by small steps to both sides."""
    rng = np.random.default_rng(0)
    w, b, v = (
        rng.standard_normal((30, 64)),
        rng.standard_normal((30, 1)),
        rng.standard_normal((10, 30)),
    )
    x, y = (part[:200] for part in digits())

    def loss(unit: int, c: float) -> float:
        scale = np.ones((30, 1))
        scale[unit] = c
        out = (v / scale[:, 0]) @ np.tanh(scale * (w @ x.T + b))
        return float(np.mean(np.log(np.exp(out).sum(0)) - out[y, range(200)]))

    found = [(loss(k, 1 + 1e-5) - loss(k, 1 - 1e-5)) / 2e-5 for k in range(30)]
    return max(abs(value) for value in found)


@cache
def flow() -> Array:
    """Of seed 0's networks of section 5.3, squared norms (λ, scale, layer, record)."""
    x, y = digits()[0][:100], np.eye(10)[digits()[1][:100]]
    start = begin(0, (64, 32, 10), biased=False)[0]
    cases = [(lam, scale) for lam in (0, 0.01, 0.03) for scale in (1, 2)]
    w = [np.array([scale * layer for _, scale in cases]) for layer in start]
    b, found = [np.zeros((6, 32)), np.zeros((6, 10))], []
    keep = 1 - 0.1 * np.array([lam for lam, _ in cases])[:, None, None]
    for t in range(601):
        if t % 50 == 0:
            found.append([[float((m * m).sum()) for m in layer] for layer in w])
        of_w, _ = slopes(w, b, np.broadcast_to(x, (6, 100, 64)), y)
        w = [keep * layer - 0.1 * g for layer, g in zip(w, of_w, strict=True)]
    return np.array(found).transpose(2, 1, 0).reshape(3, 2, 2, 13)


def imbalance(scale: int) -> float:
    """How far apart the squared norms of the two layers start, mean of five seeds."""
    found = []
    for seed in range(5):
        one, two = (
            np.linalg.norm(scale * w) ** 2 for w in begin(seed, (64, 32, 10), biased=False)[0]
        )
        found.append(float(one - two))
    return sum(found) / 5


# ---- kinks --------------------------------------------------------------------------------------
@cache
def kinks() -> tuple[Array, Array]:
    """Five data sets of 25 points with an input of 1, and |x| + relu(x + y) − 1 with noise of 0.1."""
    inputs, targets = [], []
    for seed in range(5):
        rng = np.random.default_rng([seed, 5])
        x = rng.standard_normal((25, 2))
        clean = [max(a, -a) + max(a + b, 0) - 1 for a, b in x]
        inputs.append([[a, b, 1] for a, b in x])
        targets.append(np.array(clean) + 0.1 * rng.standard_normal(25))
    return np.array(inputs), np.array(targets)


@cache
def learnt(width: int, lam1: float, lam2: float) -> tuple[Array, Array]:
    """Weights after 400 steps of Adam with λ₁ and λ₂ in the gradient, η falling from step 200: of five data sets."""
    x, y = kinks()
    w, v = np.empty((5, width, 3)), np.empty((5, width, 1))
    for seed in range(5):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        w[seed] = rng.uniform(-1, 1, (width, 3)) * np.sqrt(6 / (width + 3))
        v[seed, :, 0] = rng.uniform(-1, 1, width) * np.sqrt(6 / (width + 1))
    means, squares = [0 * w, 0 * v], [0 * w, 0 * v]
    for t in range(1, 401):
        reached = x @ w.mT
        active = np.maximum(reached, 0)
        miss = (active @ v - y[..., None]) / 25
        down = [(miss * v.mT * (reached > 0)).mT @ x + lam1 * w, active.mT @ miss + lam2 * v]
        eta = 0.05 * min(1, 2 - (t - 1) / 200)
        for p, m, s, g in zip((w, v), means, squares, down, strict=True):
            m += 0.1 * (g - m)
            s += 0.001 * (g * g - s)
            p -= eta * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
    return w, v[..., 0]


def outputs(weights: tuple[Array, Array], x: Array) -> Array:
    """Of each data set's network, for its own inputs."""
    w, v = weights
    return np.asarray(np.einsum("snh,sh->sn", np.maximum(np.einsum("sni,shi->snh", x, w), 0), v))


def along(weights: tuple[Array, Array]) -> Array:
    """The function from −2.5 to 2.5 of the first input, the second being 0."""
    line = np.array([[k / 20, 0, 1] for k in range(-50, 51)])
    return outputs(weights, np.array([line] * 5))


def scaled(name: str, width: int) -> tuple[Array, Array]:
    """Weights at the λ of a scaling that has √(λ₁λ₂) = 0.03 at 200 units."""
    at = {m: (rate(name, 3, m), rate(name, m, 1)) for m in (width, 200)}
    size = (at[200][0] * at[200][1]) ** 0.5
    return learnt(width, 0.03 * at[width][0] / size, 0.03 * at[width][1] / size)


def changes(one: tuple[Array, Array], other: tuple[Array, Array]) -> list[float]:
    """How far two networks are apart at the examples, root mean square over that of the targets: each data set."""
    x, y = kinks()
    gaps = zip(outputs(one, x), outputs(other, x), y, strict=True)
    return [float(np.linalg.norm(a - b) / np.linalg.norm(t)) for a, b, t in gaps]


def unbalanced(lam1: float, lam2: float) -> float:
    """By how much units' two payments differ, at most, over the largest payment of incoming weights; mean of five."""
    w, v = learnt(50, lam1, lam2)
    found = []
    for ws, vs in zip(w, v, strict=True):
        pays = [(lam1 * float(a @ a), lam2 * float(b * b)) for a, b in zip(ws, vs, strict=True)]
        found.append(max(abs(p - q) for p, q in pays) / max(p for p, _ in pays))
    return sum(found) / 5


def branches(curve: Array) -> tuple[float, float]:
    """Slopes of a curve left of −1 and right of 1."""
    x = np.array([k / 20 for k in range(-50, 51)])
    left, right = (stats.linregress(x[part], curve[part]).slope for part in (x < -1, x > 1))
    return float(left), float(right)


# ---- Bayes --------------------------------------------------------------------------------------
@cache
def bayes() -> tuple[list[float], list[float]]:
    """For 25 to 400 inputs, the λ of 61 with the least test error of 20 data sets, and that error over Bayes'."""
    grid, best, over = [0.01 * 1000 ** (k / 60) for k in range(61)], [], []
    for d in (25, 50, 100, 200, 400):
        errors, expected = [0.0] * 61, 0.0
        for seed in range(20):
            rng = np.random.default_rng([seed, d])
            X, truth = rng.standard_normal((50, d)), rng.standard_normal(d) / d**0.5
            y, K = X @ truth + 0.5 * rng.standard_normal(50), X @ X.T
            values, Q = np.linalg.eigh(K)
            for k, lam in enumerate(grid):
                w = X.T @ (Q @ ((Q.T @ y) / (values + 50 * lam)))
                errors[k] += float((w - truth) @ (w - truth))
            # The posterior's covariance: (I + XᵀX/(σ²d))⁻¹/d.
            expected += float(np.trace(np.linalg.inv(np.eye(d) + X.T @ X / (0.25 * d)))) / d
        least = min(range(61), key=lambda k: errors[k])
        best.append(grid[least])
        over.append(errors[least] / expected)
    return best, over


def bayes_power() -> float:
    """Slope of log best λ against log number of inputs."""
    return float(stats.linregress(np.log([25, 50, 100, 200, 400]), np.log(bayes()[0])).slope)


def bayes_off() -> float:
    """Factor by which the best λ is off σ²d/n, geometric mean of five sizes."""
    wanted = [0.25 / 50 * d for d in (25, 50, 100, 200, 400)]
    product = 1.0
    for a, b in zip(bayes()[0], wanted, strict=True):
        product *= max(a / b, b / a)
    return float(product**0.2)


# ---- which generalises --------------------------------------------------------------------------
@cache
def trials(name: str) -> tuple[Array, Array]:
    """Misses of ten seeds and four λ among the digits for the choice, and among those for the test."""
    x, labels = digits()
    lams = (0, 0.001, 0.005, 0.02)
    orders = [np.random.default_rng([seed, 7]).permutation(len(x)) for seed in range(10)]
    starts = [begin(seed, TALL) for seed in range(10) for _ in lams]
    w, b = (
        [np.array(layer) for layer in zip(*part, strict=True)] for part in zip(*starts, strict=True)
    )
    decay = [
        np.array([lam * f for _ in range(10) for lam in lams])[:, None, None]
        for f in factors(name, TALL)
    ]
    draws, speeds = [batches(seed, 200, 25) for seed in range(10)], [0 * each for each in (*w, *b)]
    for t in range(300):
        rows = [order[:200][next(draw)] for order, draw in zip(orders, draws, strict=True)]
        each = np.array([row for row in rows for _ in lams])
        of_w, of_b = slopes(w, b, x[each], np.eye(10)[labels[each]])
        pulls = [g + lam * p for g, lam, p in zip(of_w, decay, w, strict=True)]
        for p, speed, g in zip((*w, *b), speeds, (*pulls, *of_b), strict=True):
            speed *= 0.9
            speed += g
            p -= 0.1 * (1 - t / 300) * speed
    missed = np.empty((2, 10, 4))
    for s, order in enumerate(orders):
        for part in (0, 1):
            own = order[200 + part :: 2]
            for k in range(4):
                h = x[own]
                for i in range(3):
                    h = h @ w[i][4 * s + k].T + b[i][4 * s + k]
                    h = h.clip(0) if i < 2 else h
                missed[part, s, k] = sum(h.argmax(1) != labels[own]) / len(own)
    return missed[0], missed[1]


def which(name: str) -> list[int]:
    """Which λ each seed chooses: the first with the fewest misses on its digits for the choice."""
    return [min(range(4), key=lambda k: (row[k], k)) for row in trials(name)[0].tolist()]


def tested(name: str) -> list[float]:
    """Each seed's test accuracy at the λ it chose."""
    rows = zip(trials(name)[1], which(name), strict=True)
    return [1 - float(row[k]) for row, k in rows]


def lead(name: str) -> tuple[float, float, float]:
    """By how many points a scaling is ahead of the sum, mean of ten seeds, with the ends of its 95 % interval."""
    gaps = [100 * (a - b) for a, b in zip(tested(name), tested("sum"), strict=True)]
    mean = sum(gaps) / 10
    half = stats.t.ppf(0.975, 9) * (sum((g - mean) ** 2 for g in gaps) / 9 / 10) ** 0.5
    return mean, mean - half, mean + half


def linear_variance() -> float:
    """Variance of PyTorch's second default layer, of 50 inputs and 800 outputs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.nn.Linear(200, 50)
        values = torch.nn.Linear(50, 800).weight.detach().flatten().tolist()
    mean = sum(values) / len(values)
    return float(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def copied(copies: int, lam: float) -> Array:
    """Ridge without intercept on the first data set, each input given so many times: its predictions."""
    X, y = kinks()[0][0], kinks()[1][0]
    Z = np.hstack([X] * copies)
    return np.asarray(Ridge(alpha=25 * lam, fit_intercept=False).fit(Z, y).predict(Z))
