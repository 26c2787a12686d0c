"""Chapter 2's numbers a second time: from seeds, by SGD in other coordinates, loops and other solvers."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, stats

Array = NDArray[np.float64]
Rows = NDArray[Any]
Way = Literal["shuffled", "anew", "apart"]


# ---- data --------------------------------------------------------------------------------------------
@cache
def toy(seed: int) -> tuple[Array, Array]:
    """The toy problem: 20 examples with 200 inputs; targets 0.05 + 0.01 times their sum, and noise of size 0.01."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 200))
    return X, np.array([0.05 + 0.01 * sum(x) for x in X]) + 0.01 * rng.standard_normal(20)


@cache
def larger(seed: int) -> tuple[Array, Array]:
    """200 examples with 20 inputs; true weights and noise of size 1, the intercept 0.05."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, 20))
    return X, np.array([0.05 + sum(x) for x in X]) + rng.standard_normal(200)


def with_one(X: Array) -> Array:
    """Inputs and a last input 1, the bias's."""
    return np.hstack([X, np.ones((len(X), 1))])


def sharpness(X: Array) -> float:
    """The largest curvature of the mean squared error of these examples, weights and bias together."""
    return float(2 / len(X) * linalg.svdvals(with_one(X))[0] ** 2)


def full_border() -> float:
    """2/ρ of all 20 examples, in the mean of 20 data sets."""
    return fmean(2 / sharpness(toy(k)[0]) for k in range(20))


@cache
def safe(seed: int) -> float:
    """2/ρ of the sharpest of all batches of five: by traces of powers, then singular values of those that can be it."""
    X = toy(seed)[0]
    Q = with_one(X) @ with_one(X).T
    groups = np.array([*combinations(range(20), 5)])
    part = Q[groups[:, :, None], groups[:, None, :]]
    for _ in range(4):
        part = part @ part
    upper = np.einsum("nii->n", part) ** (1 / 16)  # no less than the largest eigenvalue
    best = 0.0
    for k in np.argsort(-upper):
        if 2 / 5 * upper[k] <= best:
            break
        best = max(best, sharpness(X[groups[k]]))
    return 2 / best


# ---- the puzzle --------------------------------------------------------------------------------------
@cache
def puzzle(
    decay: float,
    batch: int,
    rate: float = 0.03,
    start: int = 1,
    epochs: int = 30,
    pull: bool = True,
) -> Array:
    """Mean squared errors before each epoch on the first toy problem, without weights: by predictions alone."""
    X, y = toy(0)
    K, goal, rng = X @ X.T, y if pull else 0 * y, np.random.default_rng(start)
    p, b, losses = X @ rng.standard_normal(200), 0.0, []
    for _ in range(epochs):
        losses.append(sum((p + b - goal) ** 2) / 20)
        order = rng.permutation(20)
        for first in range(0, 20, batch):
            rows = order[first : first + batch]
            miss = p[rows] + b - goal[rows]
            p, b = (
                p - rate * (2 / batch * K[:, rows] @ miss + decay * p),
                b - rate * 2 * sum(miss) / batch,
            )
    return np.array(losses)


def median_run(batch: int, epoch: int) -> float:
    """At η = 0.055, λ = 15 the median loss of seven runs before an epoch."""
    return median(float(puzzle(15, batch, 0.055, k)[epoch]) for k in range(1, 8))


# ---- stability ---------------------------------------------------------------------------------------
def dealt(rng: np.random.Generator, way: Way, last: list[int]) -> list[Any]:
    """Four batches of five; `last` holds the examples of the one before, and is kept up to date."""
    if way == "apart":
        batches = []
        for _ in range(4):
            ranks = sorted((key, k) for k, key in enumerate(rng.random(20)) if k not in last)
            last[:] = [k for _, k in ranks[:5]]
            batches.append([*last])
        return batches
    order = [*rng.permutation(20).reshape(4, 5)]
    if way == "anew":  # the generator goes on behind an order
        return [rng.choice(20, 5, replace=False) for _ in range(4)]
    return order


@cache
def gammas(
    rates: tuple[float, ...],
    decays: tuple[float, ...],
    way: Way = "shuffled",
    bias_decays: bool = False,
    sets: int = 20,
    epochs: int = 200,
    skip: int = 50,
    mu: float = 0.0,
    shift: float = 0.0,
    alike: bool = False,
) -> Array:
    """Change of ln‖e‖ per epoch after some epochs, targets zero: (set, setting); SGD on weights in the examples' span."""
    lr, lam = np.array(rates), np.array(decays)
    as_weight = bias_decays or not lam.any()  # an input 1: without decay that is the same
    rngs, inputs, c = [np.random.default_rng(0 if alike else k) for k in range(sets)], [], []
    for k, rng in enumerate(rngs):
        X = toy(k)[0] + shift
        X = with_one(X) if as_weight else X
        L = linalg.qr(X.T, mode="economic")[1].T  # inputs along an orthonormal basis of the span
        inputs.append(L)
        c.append(np.tile(linalg.solve(L, rng.standard_normal(20))[:, None], len(lr)))
    A, w, which = np.array(inputs), np.array(c), np.arange(sets)[:, None]
    b = np.zeros((sets, 1, len(lr)))
    m, m_b = 0 * w, 0 * b
    early = np.zeros((sets, len(lr)))
    lasts: list[list[int]] = [[] for _ in rngs]
    for epoch in range(epochs):
        if epoch == skip:
            early = np.log(((A @ w + b) ** 2).sum(1)) / 2
        steps = [dealt(rng, way, past) for rng, past in zip(rngs, lasts, strict=True)]
        for step in range(4):
            x = A[which, [each[step] for each in steps]]
            miss = x @ w + b
            m = mu * m + 2 / 5 * x.mT @ miss + lam * w
            w = w - lr * m
            if not as_weight:
                m_b = mu * m_b + 2 * miss.mean(1, keepdims=True)
                b = b - lr * m_b
    return np.asarray((np.log(((A @ w + b) ** 2).sum(1)) / 2 - early) / (epochs - skip))


def mean_gammas(
    rates: Sequence[float], decays: Sequence[float], way: Way = "shuffled", **options: Any
) -> list[float]:
    """Γ at each setting, in the mean of the data sets."""
    found = gammas(tuple(map(float, rates)), tuple(map(float, decays)), way, **options)
    return [fmean(column) for column in found.T]


def over(decays: Sequence[float], way: Way = "shuffled", **options: Any) -> list[float]:
    """Mean Γ at η = 0.03 for each λ."""
    return mean_gammas([0.03] * len(decays), decays, way, **options)


def turns(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Where the broken line through some points crosses zero."""
    return [
        float(optimize.brentq(lambda at: np.interp(at, x, y), a, b, xtol=1e-14))
        for a, b, left, right in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True)
        if (left < 0) != (right < 0)
    ]


DECAYS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30, 40, 44, 48, 52, 56)
ANEW = (0, 3, 6, 8, 10, 12, 13, 14, 15, 16, 18, 21, 24, 28, 31, 33, 34, 35, 36, 38, 40, 44)
RATES = (0.016, 0.018, 0.020, 0.0225, 0.025, 0.030)
KINKS = (6.5, 7.5, 9, 42, 45, 46, 47)


def stable(way: Way = "shuffled") -> list[float]:
    """At η = 0.03 the first and the last λ of stability."""
    decays = {"shuffled": DECAYS, "anew": ANEW, "apart": (4, 6, 7, 8, 9, 10)}[way]
    found = turns(decays, over(decays, way))
    return [found[0], found[-1]]


def edge() -> float:
    """The η without decay at which the mean Γ of 20 data sets turns positive."""
    return turns(RATES, mean_gammas(RATES, [0] * 6))[0]


def above_safe() -> list[float]:
    """Of five data sets, the η at which runs begin to explode over the safe bound."""
    found = gammas(RATES, (0.0,) * 6)
    return [turns(RATES, [*found[k]])[0] / safe(k) for k in range(5)]


def on_map(decay: float, way: Way = "shuffled") -> float:
    """The η at which minibatches begin to explode at a λ; eight data sets, epochs 30 to 80."""
    rates = [0.016 + 0.002 * k for k in range(25)]
    found = turns(rates, mean_gammas(rates, [decay] * 25, way, sets=8, epochs=80, skip=30))
    return found[0] if found else float("nan")


def by_hand(low: bool) -> float:
    """At η = 0.03 the λ at which |a − 2.4|·|a|³ is 1, from the roots of a⁴ − 2.4a³ ± 1."""
    roots = np.roots([1, -2.4, 0, 0, 1 if low else -1])
    real = [
        float(a.real)
        for a in roots
        if abs(a.imag) < 1e-9 and (0 < a.real < 1 if low else a.real < 0)
    ]
    return (1 - real[0]) / 0.03


def turned() -> int:
    """Data sets on which at η = 0.055, λ = 15 minibatches are stable and a full step's largest factor is above 1."""
    count, few = 0, gammas((0.055,), (15.0,))[:, 0]
    for k in range(20):
        A = with_one(toy(k)[0])
        step = np.eye(201) - 0.055 * (0.1 * A.T @ A + np.diag([15.0] * 200 + [0.0]))
        count += bool(few[k] < 0 and max(abs(np.linalg.eigvalsh(step))) > 1)
    return count


# ---- runs on 20 data sets ----------------------------------------------------------------------------
@cache
def trained(rate: float, decay: float, zeros: bool = False) -> tuple[Array, Array, Array]:
    """200 epochs of SGD on 20 toy problems: losses before and after each step (set, step), last weights and biases."""
    X, y = (np.array(part) for part in zip(*(toy(k) for k in range(20)), strict=True))
    orders = [np.random.default_rng([k, 1]) for k in range(20)]
    begin = [np.random.default_rng(np.random.SeedSequence(k, spawn_key=(0,))) for k in range(20)]
    w, b = (
        np.array([0 * X[0, 0] if zeros else rng.normal(0, 1, 200) for rng in begin]),
        np.zeros(20),
    )
    losses, which = [((np.einsum("kij,kj->ki", X, w) - y) ** 2).sum(1) / 20], np.arange(20)[:, None]
    for _ in range(200):
        order = np.array([rng.permutation(20) for rng in orders])
        for first in range(0, 20, 5):
            rows = order[:, first : first + 5]
            x = X[which, rows]
            miss = np.einsum("kij,kj->ki", x, w) + b[:, None] - y[which, rows]
            w = w - rate * (2 / 5 * np.einsum("kij,ki->kj", x, miss) + decay * w)
            b = b - rate * 2 / 5 * miss.sum(1)
            losses.append(((np.einsum("kij,kj->ki", X, w) + b[:, None] - y) ** 2).sum(1) / 20)
    return np.array(losses).T, w, b


def of_mean_target() -> list[float]:
    """On each data set the training loss of always answering the mean target."""
    return [sum((y - fmean(y)) ** 2) / 20 for _, y in (toy(k) for k in range(20))]


def at_circle() -> tuple[float, float]:
    """From epoch 100 to 200, loss after a step over the mean target's: its median, and the median set's highest."""
    late = [trained(0.055, 15)[0][k, 401:] / of_mean_target()[k] for k in range(20)]
    return median(np.ravel(late)), median(max(each) for each in late)


def erratic() -> float:
    """At η = 0.03, λ = 10 from step 400 on the loss's deviation over time as a share of its mean, in the mean of the sets."""
    shares = []
    for losses in trained(0.03, 10)[0][:, 400:]:
        mean = fmean(losses)
        shares.append(float(np.sqrt(sum((losses - mean) ** 2) / len(losses))) / mean)
    return fmean(shares)


@cache
def bottom(seed: int, decay: float = 10.0) -> Array:
    """Weights and bias of least mean squared error plus ½λ‖w‖², by examples that ask for zero; for λ = 0 the shortest."""
    X, y = toy(seed)
    x, t = X - sum(X) / 20, y - fmean(y)
    more = np.vstack([x, np.sqrt(10 * decay) * np.eye(200)])
    w = np.linalg.lstsq(more, np.append(t, np.zeros(200)), rcond=1e-10)[0]
    return np.append(w, fmean(y) - sum(X) / 20 @ w)


def loss_at_bottom(seed: int) -> float:
    """The training loss at the minimum for λ = 10."""
    X, y = toy(seed)
    return float(sum((with_one(X) @ bottom(seed) - y) ** 2)) / 20


@cache
def hovering() -> tuple[Array, Array]:
    """Shuffled epochs with λ = 10 from the minimum at η = 0.03, 0.003 and 0.01: weights (step, set, η, 201), rises of the loss."""
    X, y = (np.array(part) for part in zip(*(toy(k) for k in range(20)), strict=True))
    A, lr = np.concatenate([X, np.ones((20, 20, 1))], 2), np.array([0.03, 0.003, 0.01])[:, None]
    free = np.append(np.full(200, 10.0), 0)
    orders = np.array(
        [
            np.random.default_rng(k).permuted(np.tile(np.arange(20), (200, 1)), axis=1)
            for k in range(20)
        ]
    )
    low = np.array([bottom(k) for k in range(20)])
    w, path, which = np.tile(low[:, None], (1, 3, 1)), [], np.arange(20)[:, None]

    def height(v: Array) -> Array:
        return np.asarray(((v @ A.mT - y[:, None]) ** 2).mean(-1) + 5 * (v[..., :200] ** 2).sum(-1))

    heights = []
    for step in range(800):
        rows = orders[:, step // 4, 5 * (step % 4) : 5 * (step % 4) + 5]
        x = A[which, rows]
        w = w - lr * (2 / 5 * (w @ x.mT - y[which, rows][:, None]) @ x + free * w)
        if step >= 400:
            path.append(w)
            heights.append(height(w) - height(low[:, None]))
    return np.array(path), np.array(heights)


# ---- test errors ---------------------------------------------------------------------------------------
MODELS = ("mean", "questioner", "slow", "minimum", "shortest", "zero", "start")


@cache
def errors(model: str) -> Array:
    """Of each data set the exact test error's parts over the mean target's error: weights, intercept, noise."""
    found = []
    for k in range(20):
        y = toy(k)[1]
        if model in ("questioner", "slow"):
            many = hovering()[0][:, k, 0 if model == "questioner" else 2]
        elif model in ("zero", "start"):
            _, w, b = trained(0.01, 0, model == "zero")
            many = np.append(w[k], b[k])[None]
        else:
            rest = {"mean": np.append(np.zeros(200), fmean(y)), "minimum": bottom(k)}
            many = (rest[model] if model in rest else bottom(k, 0.0))[None]
        of_mean = 200 * 0.01**2 + (fmean(y) - 0.05) ** 2 + 0.01**2
        own = fmean(v @ v - 0.02 * sum(v) + 0.02 for v in many[:, :200])
        found.append([own / of_mean, fmean((many[:, 200] - 0.05) ** 2) / of_mean, 1e-4 / of_mean])
    return np.array(found)


def part(model: str, which: int) -> float:
    """A part in the mean of 20 data sets: 0 the weights', 1 the intercept's, 2 the noise's."""
    return fmean(errors(model)[:, which])


def whole(model: str) -> float:
    """The test error over the mean target's, in the mean of 20 data sets."""
    return fmean(map(sum, errors(model)))


def standard_error(model: str) -> float:
    """Of that mean."""
    return float(stats.sem([sum(each) for each in errors(model)]))


# ---- noise ---------------------------------------------------------------------------------------------
@cache
def cloud(eta: float) -> Array:
    """Where 10,000 runs are after 200 steps of curvature 1 and kicks of variance 1: a sum of what is left of each kick."""
    kicks = np.random.default_rng(0).standard_normal((200, 10_000))
    return np.asarray(sum(-eta * (1 - eta) ** (199 - t) * kick for t, kick in enumerate(kicks)))


def height(eta: float) -> float:
    """The runs' mean height."""
    return sum(float(d * d) for d in cloud(eta)) / 2 / 10_000


@cache
def low(seed: int) -> tuple[Array, Array, Array, float]:
    """Of a larger problem with λ = 0.2: minimum, slopes of the examples there, Hessian, and loss plus penalty."""
    X, y = larger(seed)
    w = np.linalg.lstsq(np.vstack([X, np.sqrt(20) * np.eye(20)]), np.append(y, np.zeros(20)))[0]
    slopes = np.array([2 * (x @ w - t) * x + 0.2 * w for x, t in zip(X, y, strict=True)])
    H = sum(2 * np.outer(x, x) for x in X) / 200 + 0.2 * np.eye(20)
    return w, slopes, H, float(sum((X @ w - y) ** 2) / 200 + 0.1 * w @ w)


def trace(seed: int, curved: bool = False) -> float:
    """tr C, or tr HC: the mean of gᵀg, or of gᵀHg, over the examples' slopes at the minimum."""
    _, slopes, H, _ = low(seed)
    return fmean(float(g @ (H @ g if curved else g)) for g in slopes)


def law(eta: float, way: Way) -> float:
    """The excess by (2.7) or (2.8), in the mean of ten data sets."""
    if way == "anew":
        return fmean(eta / 4 * trace(k) / 5 for k in range(10))
    return fmean(eta**2 * 40 / 12 * trace(k, curved=True) / 5 for k in range(10))


@cache
def orders(way: Way, epochs: int) -> Rows:
    """Batches of five of 200 examples: (set, step, five)."""
    rngs = [np.random.default_rng(k) for k in range(10)]
    if way == "anew":
        return np.array([rng.integers(200, size=(40 * epochs, 5)) for rng in rngs])
    return np.array(
        [np.ravel([rng.permutation(200) for _ in range(epochs)]).reshape(-1, 5) for rng in rngs]
    )


ETAS = (0.0025, 0.005, 0.01, 0.02)


@cache
def excesses(way: Way) -> Array:
    """By how much loss plus penalty lies above its minimum in the mean of 4,000 steps from there: (set, η)."""
    X, y = (np.array(p) for p in zip(*(larger(k) for k in range(10)), strict=True))
    start = np.array([low(k)[0] for k in range(10)])
    w, lr, which = (
        np.tile(start[:, None], (1, 4, 1)),
        np.array(ETAS)[:, None],
        np.arange(10)[:, None],
    )
    gram, cross = X.mT @ X / 200, (y[:, None] @ X / 200)
    level = np.array([low(k)[3] for k in range(10)])[:, None] - (y**2).mean(1)[:, None]
    total = np.zeros((10, 4))
    for rows in orders(way, 100).swapaxes(0, 1):
        x = X[which, rows]
        w = w - lr * (2 / 5 * (w @ x.mT - y[which, rows][:, None]) @ x + 0.2 * w)
        total += ((w @ gram + 0.1 * w - 2 * cross) * w).sum(-1) - level
    return total / 4000


def excess(eta: float, way: Way) -> float:
    """The mean excess over ten data sets."""
    return fmean(excesses(way)[:, ETAS.index(eta)])


@cache
def kicks(way: Way, epochs: int = 20) -> Array:
    """Sums of kicks at the minimum after each batch of each epoch, a kick's root mean square being 1: (set, epoch, 40, input)."""
    found = []
    for k in range(10):
        slopes = low(k)[1]
        unit = slopes / np.sqrt(sum(slopes**2) / 200) * np.sqrt(5)
        for epoch in orders(way, epochs)[k].reshape(epochs, 40, 5):
            so_far, sums = np.zeros(20), []
            for rows in epoch:
                so_far = so_far + sum(unit[i] for i in rows) / 5
                sums.append(so_far)
            found.append(sums)
    return np.array(found).reshape(10, epochs, 40, 20)


def variance(way: Way, batches: int) -> float:
    """The mean square of the sums of so many kicks."""
    return fmean(np.ravel(kicks(way)[:, :, batches - 1] ** 2))


# ---- one weight ------------------------------------------------------------------------------------------
def root(x: float, mu: float) -> float:
    """The larger root of (2.3) at ηλ = x, as the largest eigenvalue of a step of weight and buffer."""
    return float(max(abs(np.linalg.eigvals([[1 - x, -mu], [x, mu]]))))


def halving(x: float, mu: float = 0.0) -> float:
    """Steps in which a weight without gradient halves."""
    return float(np.log(0.5) / np.log(root(x, mu)))


def walk(
    steps: int, coupled: float, mu: float, w: float = 1.0, decoupled: float = 0.0, pull: float = 0.0
) -> list[float]:
    """A weight's path with momentum, coupled and decoupled ηλ, and a pull η towards 1."""
    m, path = 0.0, [w]
    for _ in range(steps):
        m = mu * m + pull * (w - 1) + coupled * w
        w = w - decoupled * w - m
        path.append(w)
    return path


def hand_path(decay: float) -> list[float]:
    """By hand at η = 0.03 the error of an example: in the first batch of an epoch its curvature 80 acts, then decay alone."""
    path = [1.0]
    for curvature in (400 / 5, 0, 0, 0):
        path.append(path[-1] - 0.03 * (curvature + decay) * path[-1])
    return path


def least(many: Iterable[float]) -> float:
    """The smallest."""
    return sorted(many)[0]


def mean_sharpness() -> float:
    """The largest curvature of all 20 examples, in the mean of 20 data sets."""
    return fmean(sharpness(toy(k)[0]) for k in range(20))


def first_swing(mu: float) -> float:
    """The least ηλ at which the roots are complex, by bisection."""
    few, many = 0.0, 1.0
    for _ in range(60):
        middle = (few + many) / 2
        turning = abs(np.linalg.eigvals([[1 - middle, -mu], [middle, mu]])[0].imag) > 0
        few, many = (few, middle) if turning else (middle, many)
    return many


def for_half_life(steps: int, mu: float) -> float:
    """The ηλ of coupled decay at which a weight without gradient halves in so many steps, in the long run."""
    return float(optimize.brentq(lambda x: halving(x, mu) - steps, 1e-7, 1e-4, xtol=1e-15))


def under_cosine(steps: int, x: float, mu: float) -> float:
    """What coupled decay with momentum leaves of a weight if η falls along half a cosine from where ηλ is x."""
    m, w = 0.0, 1.0
    for t in range(steps):
        m = mu * m + w
        w -= x * np.cos(np.pi * t / 2 / steps) ** 2 * m
    return float(w)


def rate_for(share: float, way: Way) -> float:
    """The η at which the law gives a share of the first larger problem's least loss plus penalty."""
    wanted = share * low(0)[3]

    def off(eta: float) -> float:
        if way == "anew":
            return eta / 4 * trace(0) / 5 - wanted
        return eta**2 * 40 / 12 * trace(0, curved=True) / 5 - wanted

    return float(optimize.brentq(off, 1e-5, 1, xtol=1e-15))


def rest(coupled: float) -> float:
    """Where ½(w − 1)² + ½λw² is least."""
    return float(optimize.minimize_scalar(lambda w: ((w - 1) ** 2 + coupled * w**2) / 2).x)


def at_height(paths: Iterable[Any], y: float) -> float:
    """Where the lines of a contour first cross a height."""
    found = []
    for path in paths:
        for (a, low_end), (b, high_end) in pairwise(path.vertices):
            if min(low_end, high_end) <= y <= max(low_end, high_end) and low_end != high_end:
                found.append(a + (b - a) * (y - low_end) / (high_end - low_end))
    return float(min(found))


def full_growth(seed: int, shift: float) -> float:
    """ln of a full step's factors at η = 0.03 without decay, from epoch 50 to 100, by eigenvectors of a normal start."""
    A = with_one(toy(seed)[0] + shift)
    values, vectors = linalg.eigh(A @ A.T)
    share = (vectors.T @ np.random.default_rng(0).standard_normal(20)) ** 2
    logs = [np.log(sum(share * (1 - 0.03 * values / 10) ** (2 * t))) / 2 for t in (50, 100)]
    return float(logs[1] - logs[0]) / 50
