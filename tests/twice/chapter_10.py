"""Chapter 10's numbers a second time: its networks trained again, each unit by itself, intervals by SciPy, curves by fits."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor

from tests.twice import nets

Array = NDArray[Any]
ETAS, LAMS = (0.1, 0.3, 1.0, 3.0), (0.0, 0.003, 0.01, 0.03)


def mean(values: Iterable[Any], root: int = 1) -> float:
    """Sum over count, or a root of that."""
    every = [float(each) for each in values]
    return math.pow(sum(every) / len(every), 1 / root)


def ends(values: Iterable[Any]) -> tuple[float, float]:
    """Both ends of Student's 95 % interval of a mean."""
    every = [float(each) for each in values]
    low, high = stats.t.interval(0.95, len(every) - 1, mean(every), stats.sem(every))
    return float(low), float(high)


def falling(t: int, steps: int) -> float:
    """The schedule: one for the first half of the steps, then a straight line to zero."""
    return 1.0 if 2 * t <= steps else 2 - 2 * t / steps


def rows_of(w: Tensor) -> Tensor:
    """Norm of each unit's weights."""
    return (w * w).sum(2, keepdim=True).sqrt()


def turns(w: Tensor, new: Tensor) -> Tensor:
    """Each unit's turn."""
    cosine = (w * new).sum(2, keepdim=True) / rows_of(w) / rows_of(new)
    return cosine.clip(-1, 1).arccos()


def tested(p: nets.Weights) -> tuple[Array, Array]:
    """Per cent of the 1,000 test signals that are right, and the loss there; batch norm looks at 1,000 training signals."""
    X, y = nets.signals()
    with_own = torch.cat([X[:1000], X[4000:]]).expand(len(p["weight0"]), -1, -1)
    scores = nets.outputs(p, with_own, own=1000)[..., 1000:]
    right = (scores.argmax(1) == y[4000:]).double().mean(1)
    return (100 * right).numpy(), nets.loss(scores, y[4000:].expand(len(scores), -1)).numpy()


def fit(p: nets.Weights, seeds: Sequence[int], steps: int, update: nets.Update) -> nets.Weights:
    """Train on the first 4,000 signals, in batches of 50."""
    X, y = nets.signals()
    return nets.train(p, X[:4000], y[:4000], seeds, steps, 50, update)


# ---- the map -----------------------------------------------------------------------------------------
class Map(NamedTuple):
    """By seed, η and λ: test accuracies and root mean square turns in the second quarter of the steps."""

    accuracy: Array
    turn: Array


@cache
def grid(unit: bool) -> Map:
    """The 80 runs, with free norms or each unit at norm one, trained again."""
    runs = [(seed, lr, lam) for seed in range(5) for lr in ETAS for lam in LAMS]
    lr, lam = (nets.column([run[k] for run in runs]) for k in (1, 2))
    p = nets.starts((40, 32, 10), [run[0] for run in runs])
    if unit:
        p["weight0"] = p["weight0"] / rows_of(p["weight0"])
    seen: list[Tensor] = []

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        s, old = falling(t, 300), p["weight0"]
        for name, slope in g.items():
            if name == "weight0":
                p[name] = old - s * lr * (slope + lam * old)
            else:
                p[name] = p[name] - 0.3 * s * slope
        if 75 <= t < 150:
            seen.append(turns(old, p["weight0"]).square().mean((1, 2)))
        if unit:
            p["weight0"] = p["weight0"] / rows_of(p["weight0"])

    fit(p, [run[0] for run in runs], 300, update)
    turn = torch.stack(seen).mean(0).sqrt().numpy()
    return Map(tested(p)[0].reshape(5, 4, 4), turn.reshape(5, 4, 4))


def cell(unit: bool, eta: int, lam: int) -> float:
    """Test accuracy in per cent, mean over seeds."""
    return mean(grid(unit).accuracy[:, eta, lam])


def cells(unit: bool) -> list[float]:
    """All sixteen."""
    return [cell(unit, eta, lam) for eta in range(4) for lam in range(4)]


def over_lams(unit: bool) -> float:
    """The standard deviation of these over λ, root of its mean square over η."""
    return mean((np.var([cell(unit, eta, k) for k in range(4)], ddof=1) for eta in range(4)), 2)


def over_seeds(unit: bool) -> float:
    """The standard deviation over seeds, root of its mean square over the cells."""
    values = grid(unit).accuracy.reshape(5, 16).T
    return mean((stats.tvar(each) for each in values), 2)


def errors(unit: bool) -> list[float]:
    """Standard errors of the sixteen means."""
    return [float(stats.sem(each)) for each in grid(unit).accuracy.reshape(5, 16).T]


def turned(unit: bool, eta: int, lam: int) -> float:
    """Root mean square turn over seeds, too."""
    return mean(grid(unit).turn[:, eta, lam] ** 2, 2)


def off_curve() -> tuple[float, float, int]:
    """Free accuracies less those of norm one, root mean square: at the same turn, by a parabola, and at the same η; cells."""
    x = [math.log(turned(True, i, j)) for i in range(4) for j in range(4)]
    parabola = np.linalg.lstsq(np.vander(x, 3), np.array(cells(True)))[0]
    at_turn, at_rate = [], []
    for i in range(4):
        for j in range(4):
            log = math.log(turned(False, i, j))
            if log < max(x):
                at_turn.append((cell(False, i, j) - np.polyval(parabola, log)) ** 2)
                at_rate.append((cell(False, i, j) - mean(cell(True, i, k) for k in range(4))) ** 2)
    return mean(at_turn, 2), mean(at_rate, 2), len(at_turn)


def noise() -> float:
    """Standard error of a mean of five seeds, root mean square over both maps."""
    return mean((each**2 for unit in (False, True) for each in errors(unit)), 2)


def steady() -> list[float]:
    """The products ηλ above 0.008."""
    return sorted(x for x in (lr * lam for lr in ETAS for lam in LAMS) if x > 0.008)


# ---- λ = 2, and momentum -----------------------------------------------------------------------------
@cache
def heavy() -> tuple[Array, float]:
    """Momentum 0.9 with ηλ = 0.003 inside: distances after 50 steps to λ = 0, to η/(1 − ηλ), to η/n and μ/n, by seed."""
    n = 1 - 0.003 / 0.1
    told = [(0.03, 0.1, 0.9), (0.03, 0.0, 0.9), (0.03 / 0.997, 0.0, 0.9), (0.03 / n, 0.0, 0.9 / n)]
    seeds = [seed for _ in told for seed in range(5)]
    lr, lam, mu = (nets.column([row[k] for row in told for _ in range(5)]) for k in range(3))
    p = nets.starts((40, 32, 10), seeds)
    p["weight0"] = p["weight0"] / rows_of(p["weight0"])
    buffer = lam * p["weight0"] / (1 - mu)

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        nonlocal buffer
        for name, slope in g.items():
            if name == "weight0":
                buffer = mu * buffer + slope + lam * p[name]
                p[name] = p[name] - lr * buffer
                p[name] = p[name] / rows_of(p[name])
            else:
                p[name] = p[name] - 0.3 * falling(t, 50) * slope

    w = fit(p, seeds, 50, update)["weight0"].reshape(4, 5, 32, 40)
    away = (w[1:] - w[0]).square().sum(3).sqrt().mean(2).numpy()
    return away, mean(away[2]) / mean(away[0])


@cache
def differs() -> float:
    """Norm one, η = 0.1: the largest difference of parameters and losses of λ = 2 and λ = 0 in 100 steps."""
    seeds, lam = [*range(5), *range(5)], nets.column([2.0] * 5 + [0.0] * 5)
    p = nets.starts((40, 32, 10), seeds)
    p["weight0"] = p["weight0"] / rows_of(p["weight0"])
    X, y = nets.signals()
    streams, most = [nets.batches(4000, 50, seed) for seed in range(5)], 0.0

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        nonlocal most
        rows = torch.tensor(np.array([next(stream) for stream in streams]))
        one, other = (
            nets.loss(nets.outputs({k: w[half] for k, w in p.items()}, X[rows]), y[rows])
            for half in (slice(5), slice(5, 10))
        )
        most = max(most, float((one - other).abs().max()))
        s = falling(t, 100)
        for name, slope in g.items():
            if name == "weight0":
                p[name] = p[name] - s * 0.1 * (slope + lam * p[name])
                p[name] = p[name] / rows_of(p[name])
            else:
                p[name] = p[name] - 0.3 * s * slope

    fit(p, seeds, 100, update)
    return max(most, *(float((w[:5] - w[5:]).abs().max()) for w in p.values()))


def turn_from(lr: float, lam: float, step: int, r: float = 1.0) -> float:
    """The turn of a free weight with G = 1 in one step, the first being 0."""
    for _ in range(step):
        r = math.hypot((1 - lr * lam) * r, lr / r)
    return math.atan2(lr / r, (1 - lr * lam) * r)


# ---- γ and β -----------------------------------------------------------------------------------------
@cache
def draws() -> tuple[list[Array], Array, Array, Array]:
    """Three matrices of 20 networks each, both γ, both β, and the factors of the channels."""
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((20, *shape)) for shape in ((40, 16), (16, 16), (16, 10))]
    gammas = rng.uniform(0.5, 1.5, (2, 20, 1, 16))
    betas = rng.normal(0, 0.3, (2, 20, 1, 16))
    return matrices, gammas, betas, rng.uniform(1, 5, 16)


def scored(gamma: Any = 1.0, beta: Any = 1.0, skip: bool = False, gelu: bool = False) -> Array:
    """Scores of 100 signals by 20 networks; the first γ and β are multiplied."""
    (A, B, V), gammas, betas, _ = draws()

    def bend(z: Array) -> Array:
        return z * special.ndtr(z) if gelu else np.where(z > 0, z, 0)

    h = bend(
        stats.zscore(nets.signals()[0][:100].numpy() @ A, 1) * gammas[0] * gamma + betas[0] * beta
    )
    z = stats.zscore(h @ B, 1) * gammas[1] + betas[1]
    return np.asarray(bend(z + h * skip) @ V)


def changed(gamma: Any, beta: Any, **options: bool) -> float:
    """Largest change of a score over the largest score, mean over the networks."""
    before, after = scored(**options), scored(gamma, beta, **options)
    pairs = zip(before, after, strict=True)
    return mean(np.abs(new - old).max() / np.abs(old).max() for old, new in pairs)


def block(p: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """A residual block, normalised at its end, and the output matrix."""
    h = torch.relu(p["gamma0"] * nets.standard(p["weight0"] @ x.mT) + p["beta0"])
    h = h + p["gamma1"] * nets.standard(p["weight1"] @ h) + p["beta1"]
    return p["weight2"] @ nets.standard(h)


@cache
def residual() -> tuple[Array, float]:
    """Norms of branch over stream with the branch's decay, both, neither (3, 5); what 3 times the branch changes."""
    X, y = nets.signals()
    seeds = [*range(5)] * 3
    lam = {0: nets.column([0] * 5 + [0.03] * 5 + [0] * 5), 1: nets.column([0.03] * 10 + [0] * 5)}
    p = nets.starts((40, 32, 32, 10), seeds, bias=False)
    streams = [nets.batches(4000, 50, seed) for seed in range(5)]
    for t in range(300):
        rows = torch.tensor(np.array([next(stream) for stream in streams] * 3))
        leaves = {name: w.requires_grad_() for name, w in p.items()}
        found = torch.autograd.grad(
            nets.loss(block(leaves, X[rows]), y[rows]).sum(), [*leaves.values()]
        )
        s = 0.3 * falling(t, 300)
        for (name, w), g in zip(leaves.items(), found, strict=True):
            decay = 0 if name.startswith("weight") else lam[int(name[-1])]
            p[name] = (w - s * (g + decay * w)).detach()
    of = [(p[f"gamma{i}"].square() + p[f"beta{i}"].square()).sum((1, 2)).sqrt() for i in (0, 1)]
    first = X[:100].expand(15, -1, -1)
    before = block(p, first)
    after = block(p | {name: 3 * p[name] for name in ("gamma1", "beta1")}, first)
    change = (after - before).abs().amax((1, 2)) / before.abs().amax((1, 2))
    return (of[1] / of[0]).reshape(3, 5).numpy(), mean(change)


# ---- what decaying them does -------------------------------------------------------------------------
DEEP = (40, 32, 32, 10)


@cache
def inner_pair() -> tuple[Array, Array]:
    """Norms of (γ₀, β₀) and of its gradient without decay and with it, (2, ten seeds, 501), trained again for 500 steps."""
    seeds, lam = [*range(10)] * 2, nets.column([0.0] * 10 + [0.1] * 10)
    decays, norms, slopes = (
        ("weight0", "weight1", "gamma0", "beta0"),
        list[Tensor](),
        list[Tensor](),
    )

    def size(of: nets.Weights) -> Tensor:
        return (of["gamma0"].square() + of["beta0"].square()).sum((1, 2)).sqrt()

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        norms.append(size(p))
        slopes.append(size(g))
        for name, slope in g.items():
            if t < 500:
                p[name] = p[name] - 0.1 * (slope + lam * (name in decays) * p[name])

    fit(nets.starts(DEEP, seeds), seeds, 501, update)
    r, g = (torch.stack(each, 1).numpy() for each in (norms, slopes))
    return r.reshape(2, 10, 501), g.reshape(2, 10, 501)


def late(unit: str) -> float:
    """At η = λ = 0.1, over the last steps and ten seeds: G², mean norm, that of r⁴, or of the turn's square."""
    r, g = (each[1] for each in inner_pair())
    r, g = r[:, 301:].ravel(), g[:, 301:].ravel()
    if unit == "G²":
        return mean((r * g) ** 2)
    if unit == "turn":
        return mean((math.atan2(0.1 * b, 0.99 * a) ** 2 for a, b in zip(r, g, strict=True)), 2)
    return mean(r) if unit == "mean" else mean(r**4, 4)


def held(G2: float) -> float:
    """The dotted line's last value: (8.8) after 500 steps from norm √32."""
    r4 = 0.1 * G2 / (0.1 * 1.99)
    return math.pow(r4 + (32**2 - r4) * math.exp(-0.04 * 500), 0.25)


HIDDEN = ("weight0", "weight1")
CASES: dict[str, tuple[tuple[str, ...], float, float]] = {
    "base, 0.005": ((*HIDDEN, "weight2"), 0.005, 0.0),
    "base, 0.05": ((*HIDDEN, "weight2"), 0.05, 0.0),
    "inner pair, 0.005": ((*HIDDEN, "weight2", "gamma0", "beta0"), 0.005, 0.0),
    "inner pair, 0.05": ((*HIDDEN, "weight2", "gamma0", "beta0"), 0.05, 0.0),
    "last pair and head, 0.005": ((*HIDDEN, "weight2", "gamma1", "beta1"), 0.005, 0.0),
    "last pair and head, 0.05": ((*HIDDEN, "weight2", "gamma1", "beta1"), 0.05, 0.0),
    "last pair, head free": ((*HIDDEN, "gamma1", "beta1"), 0.05, 0.0),
    "head free": (HIDDEN, 0.05, 0.0),
    "eager": ((*HIDDEN, "weight2"), 0.05, 1.0),
}
"""What decays, at which λ, and the λ of the inner pair beside these."""


@cache
def cases(count: int = 3) -> dict[str, tuple[Array, Array]]:
    """Test accuracies and losses of all nine, for the first seeds, trained again."""
    seeds = [*range(count)] * len(CASES)
    p = nets.starts(DEEP, seeds)
    lam = {
        name: nets.column([
            weak if name in names else own if name in ("gamma0", "beta0") else 0.0
            for names, weak, own in CASES.values()
            for _ in range(count)
        ])
        for name in p
    }  # fmt: skip

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        for name, slope in g.items():
            p[name] = p[name] - 0.1 * falling(t, 300) * (slope + lam[name] * p[name])

    accuracy, loss = (each.reshape(-1, count) for each in tested(fit(p, seeds, 300, update)))
    return {name: (accuracy[k], loss[k]) for k, name in enumerate(CASES)}


def paired(one: Iterable[Any], other: Iterable[Any]) -> list[float]:
    """Differences, seed by seed."""
    return [float(a) - float(b) for a, b in zip(one, other, strict=True)]


def further(values: Sequence[float]) -> float:
    """The size of that end of the 95 % interval that is further from 0."""
    return max(abs(end) for end in ends(values))


def left_of_balance(run: Any) -> float:
    """At λ = 0.05: ‖γ₁‖² + ‖β₁‖² − ‖V‖² at the end over that at the start, mean over ten seeds."""
    found = []
    for seed in range(10):
        first = nets.start(DEEP, seed)
        now = [
            float((run[name].values[seed, -1] ** 2).sum())
            for name in ("gamma1", "beta1", "weight2")
        ]
        then = [float(first[name].square().sum()) for name in ("gamma1", "beta1", "weight2")]
        found.append((now[0] + now[1] - now[2]) / (then[0] + then[1] - then[2]))
    return mean(found)


# ---- on a schedule -----------------------------------------------------------------------------------
@cache
def decayed() -> tuple[Array, Array, list[Tensor], list[Tensor]]:
    """Accuracies and losses (decay, none, ten times η; twelve seeds), and by layer ρ and G of each step and unit with decay."""
    seeds = [*range(12)] * 3
    lr = nets.column([0.02] * 24 + [0.2] * 12)
    lam = nets.column([0.15] * 12 + [0.0] * 24)
    kept: dict[str, list[list[Tensor]]] = {name: [[], []] for name in HIDDEN}

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        s = falling(t, 500)
        for name, slope in g.items():
            if name in HIDDEN:
                r = rows_of(p[name][:12])
                kept[name][0].append(s * 0.02 / (1 - s * 0.02 * 0.15) / r**2)
                kept[name][1].append(r * rows_of(slope[:12]))
                p[name] = p[name] - s * lr * (slope + lam * p[name])
            else:
                p[name] = p[name] - 0.3 * s * slope

    accuracy, loss = (
        each.reshape(3, 12) for each in tested(fit(nets.starts(DEEP, seeds), seeds, 500, update))
    )
    rho, G = ([torch.stack(kept[name][k]) for name in HIDDEN] for k in (0, 1))
    return accuracy, loss, rho, G


def fellows(values: Tensor) -> Tensor:
    """Mean over units of all seeds but one, each left out in turn: from (…, 12, 32, 1)."""
    every = [torch.cat([values[..., :k, :, :], values[..., k + 1 :, :, :]], -3) for k in range(12)]
    return torch.stack([each.mean((-3, -2, -1)) for each in every], -1)[..., None, None]


@cache
def replaced() -> tuple[Array, Array]:
    """Accuracies and losses at norm one of (a), (b) and (c), twelve seeds each, from the runs with decay."""
    _, _, rho, G = decayed()
    others = [fellows(each) for each in rho]
    single = [(2 * 0.02 * 0.15 / fellows(each.square().mean(0))).sqrt() for each in G]
    seeds = [*range(12)] * 3
    p = nets.starts(DEEP, seeds)
    for name in HIDDEN:
        p[name] = p[name] / rows_of(p[name])

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        s = falling(t, 500)
        for name, slope in g.items():
            if name in HIDDEN:
                i = HIDDEN.index(name)
                constant = math.sqrt(2 * 0.02 * 0.15) * slope[24:] / rows_of(slope[24:])
                moves = others[i][t] * slope[:12], s * single[i] * slope[12:24], s * constant
                p[name] = p[name] - torch.cat(moves)
                p[name] = p[name] / rows_of(p[name])
            else:
                p[name] = p[name] - 0.3 * s * slope

    accuracy, loss = tested(fit(p, seeds, 500, update))
    return accuracy.reshape(3, 12), loss.reshape(3, 12)


def recovers(kind: str) -> float:
    """The part of the gap in mean test loss, between decay and none, that (a), (b), (c) or ten times η recovers."""
    losses = decayed()[1]
    own = losses[2] if kind == "boost" else replaced()[1]["abc".index(kind)]
    return (mean(losses[1]) - mean(own)) / (mean(losses[1]) - mean(losses[0]))


@cache
def foreseen(layer: int) -> list[float]:
    """ρ of each step by (8.5), from r² = 1/3 and the mean G² of the runs with decay."""
    G2, r = mean(decayed()[3][layer].square().ravel().tolist()), math.sqrt(1 / 3)
    found = []
    for t in range(500):
        lr = 0.02 * falling(t, 500)
        found.append(lr / r**2 / (1 - lr * 0.15))
        r = math.hypot((1 - lr * 0.15) * r, lr * math.sqrt(G2) / r)
    return found


def rate(layer: int, step: int) -> float:
    """ρ of a step, mean over twelve seeds and units."""
    return mean(decayed()[2][layer][step].ravel().tolist())
