"""Chapter 8's numbers a second time: its networks trained again by hand, its walks as numbers, its formulas by roots."""

import math
import statistics
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from sklearn.datasets import load_digits

from tests.twice import nets

Array = NDArray[Any]


class Run(NamedTuple):
    """What one run is told."""

    seed: int
    lr: float
    lam: float = 0.0
    mu: float = 0.0
    inside: bool = True
    scale: float = 1.0
    hot: bool = False


class History(NamedTuple):
    """Of each run, layer and step, (runs, 2, steps): norms of weights and gradients, turns; losses at every 50th step."""

    norm: Array
    slope: Array
    turn: Array
    losses: Array


@cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images with grey levels from 0 to 1, and their digits."""
    data = load_digits()
    return torch.tensor(data.data / 16), torch.tensor(data.target)


def history(
    runs: list[Run], steps: int, head: bool = True, factor: Callable[[int], float] = lambda t: 1.0
) -> History:
    """Train 64-32-10 in batches of 16; without the head's decay its matrix is held at norm one, and losses are kept."""
    X, y = digits()
    p = begun(runs, head)
    lr, lam, mu, inside = (nets.column([float(run[k]) for run in runs]) for k in range(1, 5))
    warm, decays = nets.column([9.0 * run.hot for run in runs]), ("weight0", "weight1")[: 1 + head]
    buffers = {name: torch.zeros_like(value) for name, value in p.items()}
    first = X[:500].expand(len(runs), -1, -1), y[:500].expand(len(runs), -1)
    kept: tuple[list[torch.Tensor], ...] = ([], [], [], [])

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        if not head and t % 50 == 0:
            kept[3].append(nets.loss(nets.outputs(p, first[0]), first[1]))
        rate = lr * factor(t) * (1 + warm * (t < 30))
        old = [p["weight0"], p["weight1"]]
        for name, slope in g.items():
            decay = lam * (name in decays)
            buffers[name] = mu * buffers[name] + slope + inside * decay * p[name]
            p[name] = p[name] - rate * (buffers[name] + (1 - inside) * decay * p[name])
        kept[0].append(torch.stack([nets.lengths(w) for w in old], 1))
        kept[1].append(torch.stack([nets.lengths(g[f"weight{i}"]) for i in range(2)], 1))
        if head:
            kept[2].append(
                torch.stack([nets.angle(w, p[f"weight{i}"]) for i, w in enumerate(old)], 1)
            )
        else:
            p["weight1"] = p["weight1"] / nets.lengths(p["weight1"])[:, None, None]

    nets.train(p, X, y, [run.seed for run in runs], steps, 16, update)
    kept[0].append(torch.stack([nets.lengths(p[f"weight{i}"]) for i in range(2)], 1))
    kept[3].append(nets.loss(nets.outputs(p, first[0]), first[1]))
    norm, slope, turn = (torch.stack(each, 2).numpy() if each else np.empty(0) for each in kept[:3])
    return History(norm, slope, turn, torch.stack(kept[3], 1).numpy())


def begun(runs: list[Run], head: bool) -> nets.Weights:
    """The networks at the start."""
    p = nets.starts((64, 32, 10), [run.seed for run in runs])
    for name in ("weight0", "weight1"):
        p[name] = p[name] * nets.column([run.scale for run in runs])
    if not head:
        p["weight1"] = p["weight1"] / nets.lengths(p["weight1"])[:, None, None]
    return p


def mean(values: Iterable[Any], root: int = 1) -> float:
    """Sum over count, or a root of that."""
    every = [float(each) for each in values]
    return math.pow(sum(every) / len(every), 1 / root)


# ---- without decay -----------------------------------------------------------------------------------
ASKED = (0.1, 0.3, 1.0)


@cache
def free() -> tuple[Array, Array]:
    """Norms (learning rate, seed, 1,001) and gradients' norms (…, 1,000) of the normalised layer, trained again."""
    found = history([Run(seed, lr) for lr in ASKED for seed in range(5)], 1000)
    return found.norm[:, 0].reshape(3, 5, 1001), found.slope[:, 0].reshape(3, 5, 1000)


def forgotten(which: int, step: int) -> float:
    """Geometric mean over seeds of η over the squared norm."""
    rates = [ASKED[which] / float(norm) ** 2 for norm in free()[0][which, :, step]]
    return statistics.geometric_mean(rates)


def at_end() -> list[float]:
    """These rates after 1,000 steps, the smallest first."""
    return sorted(forgotten(which, 1000) for which in range(3))


def growth() -> list[float]:
    """How often each of 15 norms is larger after 1,000 steps, the least first."""
    return sorted(float(n[-1] / n[0]) for norms in free()[0] for n in norms)


def below_prediction() -> int:
    """Runs whose rate ends below that of (8.4), with each step's own G in a sum."""
    count = 0
    for lr, norms, slopes in zip(ASKED, *free(), strict=True):
        for r, g in zip(norms, slopes, strict=True):
            r4 = r[0] ** 4 + sum(2 * lr**2 * (a * b) ** 2 for a, b in zip(r[:-1], g, strict=True))
            count += lr / r[-1] ** 2 < lr / math.sqrt(r4)
    return count


@cache
def squares(start: float, lr: float, lam: float, steps: int, G: float = 1.0) -> list[float]:
    """Norms by (8.5), from one on."""
    path = [start]
    for _ in range(steps):
        path.append(math.hypot((1 - lr * lam) * path[-1], lr * G / path[-1]))
    return path


def falls(lr: float, first: int, last: int) -> float:
    """Exponent of t between two steps, where G = 1 and the norm starts at 1."""
    path = squares(1.0, lr, 0.0, last)
    return math.log(path[first] ** 2 / path[last] ** 2, last / first)


def as_predicted() -> int:
    """Of η = 0.1, 1, 10 those whose rate after 20,000 steps is that of (8.4) to 0.2 %."""
    ends = [(lr, lr / squares(1.0, lr, 0.0, 20_000)[-1] ** 2) for lr in (0.1, 1.0, 10.0)]
    return sum(
        math.isclose(end, lr / math.sqrt(1 + 40_000 * lr**2), rel_tol=0.002) for lr, end in ends
    )


# ---- with decay --------------------------------------------------------------------------------------
def rest(lr: float, lam: float, G: float = 1.0) -> float:
    """The norm that a step of (8.5) gives back, found by bisection."""
    return float(
        optimize.brentq(lambda r: math.hypot((1 - lr * lam) * r, lr * G / r) - r, 1e-3, 1e3)
    )


def first_near(start: float, lr: float, lam: float, share: float = 0.05) -> int:
    """The first step at which the norm is within 5 % of the circle's."""
    goal = rest(lr, lam)
    return next(
        k for k, r in enumerate(squares(start, lr, lam, 150)) if abs(r - goal) < share * goal
    )


def shrinks(lr: float, lam: float) -> float:
    """By what a step multiplies a small deviation of r⁴ from the circle, by a difference of two."""
    r4 = rest(lr, lam) ** 4
    up, down = (
        math.hypot((1 - lr * lam) * r, lr / r) ** 4
        for r in ((r4 * x) ** 0.25 for x in (1 + 1e-5, 1 - 1e-5))
    )
    return (up - down) / (2e-5 * r4)


def steps_from(start: float, to: float) -> int:
    """Steps at ηλ = 0.01 from so many radii until to so many, down or up."""
    radius = rest(0.1, 0.1)
    path = squares(start * radius, 0.1, 0.1, 400)
    return next(k for k, r in enumerate(path) if (r - to * radius) * (start - to) < 0)


def by_law(start: float, to: float) -> float:
    """The same by (8.8), as t where it gets there."""
    return float(
        optimize.brentq(lambda t: 1 + (start**4 - 1) * math.exp(-0.04 * t) - to**4, 0, 1e4)
    )


def descent_rate() -> float:
    """How fast ln r falls in the first 100 steps from ten radii, over ηλ = 0.01."""
    path = squares(10 * rest(0.1, 0.1), 0.1, 0.1, 100)
    return mean(math.log(a / b) for a, b in pairwise(path)) / 0.01


# ---- the network with decay --------------------------------------------------------------------------
PAIRS = (
    (0.1, 0.02, 0.0, True),
    (0.1, 0.06, 0.0, True),
    (0.3, 0.02, 0.0, True),
    (0.3, 0.06, 0.0, True),
    (0.02, 0.1, 0.9, True),
    (0.02, 0.1, 0.9, False),
)


@cache
def settled() -> History:
    """All six settings, five seeds, trained again for 1,300 steps; both matrices decay."""
    return history([Run(seed, *pair) for pair in PAIRS for seed in range(5)], 1300)


def cosine(lr: float, lam: float, mu: float, inside: bool) -> float:
    """Of the turn at rest, (8.9) or (8.11)."""
    a = 1 - lr * lam
    return 1 - lr * lam / (1 + mu) if inside else math.tanh(math.atanh(a) + math.atanh(mu))


def fourth(lr: float, lam: float, mu: float, inside: bool) -> float:
    """r⁴ at rest for G = 1, (8.10) or (8.11)."""
    a = 1 - lr * lam
    if inside:
        return lr / (lam * (1 - mu) * (2 - lr * lam / (1 + mu)))
    return lr**2 / (1 - a * a) * (1 + a * mu) / (1 - mu * mu) / (1 - a * mu)


@cache
def point(pair: int, seed: int, layer: int = 0) -> tuple[float, float, float, float]:
    """Norm and turn, each as predicted and measured at every fourth step from 500 on, of one run."""
    late, run = range(500, 1300, 4), 5 * pair + seed
    r, g, turn = (each[run, layer] for each in settled()[:3])
    G2 = mean(float(r[t] * g[t]) ** 2 for t in late)
    predicted = (fourth(*PAIRS[pair]) * G2) ** 0.25
    norm, angle = mean(r[t] ** 4 for t in late) ** 0.25, mean(turn[t] ** 2 for t in late) ** 0.5
    return predicted, norm, math.acos(cosine(*PAIRS[pair])), angle


def points(which: int, layer: int = 0, pairs: Iterable[int] = range(6)) -> list[float]:
    """One of these four numbers for each setting and seed."""
    return [point(pair, seed, layer)[which] for pair in pairs for seed in range(5)]


def over(pair: int, what: int, layer: int = 0) -> float:
    """Measured over predicted norm (0) or angle (1), mean over seeds."""
    every = [point(pair, seed, layer) for seed in range(5)]
    return mean(each[2 * what + 1] / each[2 * what] for each in every)


def furthest(pairs: Iterable[int], what: int) -> float:
    """The largest distance of such a ratio from 1."""
    return max(abs(over(pair, what) - 1) for pair in pairs)


def seed_mean(pair: int, which: int) -> float:
    """One of the four numbers, mean over seeds."""
    return mean(points(which, 0, [pair]))


# ---- the first steps decide the run ------------------------------------------------------------------
KINDS = (0.5, 1.0, 3.0, 0.0)
"""Factors on the initial weights; 0 stands for × 1 and a hot start."""


@cache
def forgetting() -> tuple[Array, Array]:
    """Norms of the first layer (λ, kind, seed, 701) and losses at every 50th step (λ, kind, seed, 15), trained again."""
    runs = [
        Run(seed, 0.1, lam, scale=kind or 1.0, hot=kind == 0)
        for lam in (0, 0.05)
        for kind in KINDS
        for seed in range(5)
    ]
    found = history(runs, 700, head=False)
    return found.norm[:, 0].reshape(2, 4, 5, 701), found.losses.reshape(2, 4, 5, 15)


def rate(lam: int, kind: float, step: int = 700) -> float:
    """Mean over seeds of η over the squared norm, without decay (0) or with it (1)."""
    return mean(0.1 / float(r) ** 2 for r in forgetting()[0][lam, KINDS.index(kind), :, step])


def behind(lam: int, step: int) -> float:
    """The loss from 3 times the weights less that from once these, mean over seeds."""
    losses = forgetting()[1][lam, :, :, step // 50]
    return mean(losses[2]) - mean(losses[1])


def widest_gap() -> float:
    """Without decay, each seed's largest gap between these two curves, mean over seeds."""
    losses = forgetting()[1][0]
    return mean(
        max(abs(float(a - b)) for a, b in zip(*both, strict=True))
        for both in zip(losses[2], losses[1], strict=True)
    )


def still(step: int) -> float:
    """With decay and 3 times the weights, the mean norm over the last mean norm."""
    norms = forgetting()[0][1, 2]
    return mean(norms[:, step]) / mean(norms[:, 700])


# ---- an exponential schedule, and a drop -------------------------------------------------------------
def grows(lr: float, lam: float, mu: float, steps: int) -> float:
    """The last of so many learning rates over the first, by the larger α of the two that keep w."""
    alpha = float(optimize.brentq(lambda x: x * x - (1 + mu - lr * lam) * x + mu, math.sqrt(mu), 1))
    return math.exp(-2 * (steps - 1) * math.log(alpha))


def back_to(share: float, q: float = 10.0) -> float:
    """When (8.14) gets back to a share of the new turn, in units of 1/(κηλ)."""
    return float(optimize.brentq(lambda t: (1 + (q - 1) * math.exp(-4 * t)) ** -0.5 - share, 0, 9))


@cache
def dropped() -> History:
    """Ten seeds at η = 0.4 and λ = 0.025, and a tenth of that η from step 400 on, trained again."""
    runs = [Run(seed, 0.4, 0.025) for seed in range(10)]
    return history(runs, 1800, factor=lambda t: 1.0 if t < 400 else 0.1)


def turned(first: int, last: int, every: int = 4) -> float:
    """Root mean square turn of the normalised layer over ten seeds and every fourth step before the last."""
    return mean((dropped().turn[:, 0, first:last:every] ** 2).ravel(), 2)


def turn_at_rest(lr: float, lam: float, mu: float = 0.0, inside: bool = True) -> float:
    """By (8.9) or (8.11)."""
    return math.acos(cosine(lr, lam, mu, inside))


def strength(first: int, last: int) -> float:
    """Root mean square of G over ten seeds and every fourth step."""
    r, g = (each[:, 0, first:last:4] for each in (dropped().norm, dropped().slope))
    return mean((r * g).ravel() ** 2, 2)


def norm_before() -> float:
    """The fourth root of the mean r⁴ at steps 200 to 396, over that of (8.6) with the G of the time."""
    r4 = mean(dropped().norm[:, 0, 200:397:4].ravel() ** 4)
    return math.sqrt(math.sqrt(r4 / (fourth(0.4, 0.025, 0, True) * strength(200, 397) ** 2)))


@cache
def recovery(own: bool) -> list[float]:
    """(8.14) at each step after the drop, with the G after it, or at equal G."""
    goal, slow = turn_at_rest(0.04, 0.025), 0.04 * 0.025
    r4 = mean(dropped().norm[:, 0, 400] ** 4)
    q = r4 / (fourth(0.04, 0.025, 0, True) * strength(400, 1800) ** 2) if own else 10.0
    return [goal * (1 + (q - 1) * math.exp(-4 * slow * t)) ** -0.5 for t in range(1400)]


def over_recovery(block: int, own: bool) -> float:
    """Turn over (8.14) in a block of 200 steps; ten root mean squares of 20 steps each, and then their mean."""
    first = 400 + 200 * block
    each = [turned(t, t + 20) for t in range(first, first + 200, 20)]
    return mean(each) / mean(recovery(own)[first - 400 : first - 200])
