"""Chapter 9's numbers a second time: steps and networks by hand, walks of all settings at once, maps by projections."""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from tests.twice import contours, nets

Array = NDArray[Any]
off_map = contours.off_map


def mean(values: Iterable[Any], root: int = 1) -> float:
    """Sum over count, or a root of that."""
    every = [float(each) for each in values]
    return math.pow(sum(every) / len(every), 1 / root)


# ---- one step, and Newton's --------------------------------------------------------------------------
ALPHAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@cache
def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Output matrix, weights and one unit's weights."""
    rng = np.random.default_rng(0)
    head, w = rng.standard_normal((24, 10)) / 5, rng.standard_normal((40, 24)) / 5
    return torch.tensor(head), torch.tensor(w), torch.tensor(rng.standard_normal(40))


@cache
def slopes_at(alpha: float) -> list[tuple[float, Tensor]]:
    """Losses and gradients of ten batches of 100 signals at α times the weights."""
    head, w, _ = drawn()
    X, y = nets.signals()
    found = []
    for k in range(10):
        leaf = (alpha * w).requires_grad_()
        rows = slice(100 * k, 100 * k + 100)
        h = nets.standard((X[rows] @ leaf).T[None])[0].T
        loss = torch.nn.functional.cross_entropy(torch.relu(h) @ head, y[rows])
        found.append((loss.item(), torch.autograd.grad(loss, leaf)[0]))
    return found


def angle_at(method: str, alpha: float) -> float:
    """The angle between the weights, times α, and what one method's step makes of them."""
    w = alpha * drawn()[1]
    every = slopes_at(alpha)
    loss, g = every[-1]
    size = {
        "SGD": 1.0,
        "normalised SGD": 1 / float(g.norm()),
        "trust ratio": float(w.norm() / g.norm()),
        "Polyak": loss / float(g.norm()) ** 2,
    }
    if method == "Adam":
        firsts = [0.9 ** (9 - k) for k in range(10)]
        seconds = [0.999 ** (9 - k) for k in range(10)]
        m = sum(b * s for b, (_, s) in zip(firsts, every, strict=True)) / sum(firsts)
        v = sum(b * s * s for b, (_, s) in zip(seconds, every, strict=True)) / sum(seconds)
        step = torch.as_tensor(m) / torch.as_tensor(v).sqrt()
    else:
        step = g * size[method]
    new = w - (1e-3 if method == "trust ratio" else 1e-4) * step
    half = (new / new.norm() - w / w.norm()).norm() / 2
    return 2 * math.asin(float(half))


def exponent_of(method: str) -> float:
    """The slope of the angle against α on logarithmic axes."""
    angles = [math.log(angle_at(method, alpha)) for alpha in ALPHAS]
    return float(stats.linregress(np.log(ALPHAS), angles).slope)


@cache
def newton() -> tuple[float, float]:
    """Newton across the ray, by a pseudo-inverse: the angle of its step, and the slope that is left over the slope."""
    X, y = nets.signals()
    signs = 1 - 2 * (y[:500] >= 5).double()
    v = drawn()[2]

    def loss(w: Tensor) -> Tensor:
        z = X[:500] @ w
        z = (z - z.mean()) / (z - z.mean()).square().mean().sqrt()
        return torch.log1p(torch.exp(-signs * z)).mean()

    H, g = torch.func.hessian(loss)(v), torch.func.grad(loss)(v)
    across = torch.eye(40, dtype=torch.float64) - torch.outer(v, v) / (v @ v)
    step = -torch.linalg.pinv(across @ H @ across, rtol=1e-9, hermitian=True) @ g
    return math.atan(float(step.norm() / v.norm())), float((H @ step + g).norm() / g.norm())


# ---- networks all of whose layers are standardised ---------------------------------------------------
class Run(NamedTuple):
    """What one run is told; with μ or β₁ = 0.9, or μ = 0."""

    seed: int
    lr: float
    lam: float
    adam: bool = True
    inside: bool = False
    mu: float = 0.9
    scale: float = 1.0
    eps: float = 1e-8


class Trainer:
    """Steps of SGD or Adam for many runs at once."""

    def __init__(self, runs: Sequence[Run], widths: Sequence[int], beta2: float = 0.999) -> None:
        """All runs take the same optimiser."""
        self.runs, self.beta2, self.adam = runs, beta2, runs[0].adam
        seeds = [run.seed for run in runs]
        first = nets.starts(widths, seeds, bias=False, affine=False)
        columns = ([float(run[k]) for run in runs] for k in (1, 2, 4, 5, 6, 7))
        self.lr, self.lam, self.inside, self.mu, scale, self.eps = map(nets.column, columns)
        self.p = {name: w * scale for name, w in first.items()}
        self.m = {name: torch.zeros_like(w) for name, w in self.p.items()}
        self.v = {name: torch.zeros_like(w) for name, w in self.p.items()}

    def step(self, t: int, p: nets.Weights, g: nets.Weights) -> None:
        """One of them; the mean of the gradients is corrected after it was taken."""
        for name, slope in g.items():
            w, both = p[name], slope + self.inside * self.lam * p[name]
            if self.adam:
                m = self.m[name] = self.mu * self.m[name] + (1 - self.mu) * both
                v = self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * both * both
                move = m / (1 - self.mu ** (t + 1))
                move = move / ((v / (1 - self.beta2 ** (t + 1))).sqrt() + self.eps)
            else:
                move = self.m[name] = self.mu * self.m[name] + both
            p[name] = w - self.lr * move - (1 - self.inside) * self.lr * self.lam * w


@cache
def losses_of(optimizer: str, c: float, eta: int, lam: int) -> list[float]:
    """Losses on 500 signals at every tenth of 100 steps, from c times the weights, at c^eta η and λ/c^lam."""
    X, y = nets.signals()
    pair = {"sgd": (0.1, 0.01), "sgdw": (0.02, 0.05), "adam": (0.01, 0.1), "adamw": (0.01, 3.0)}
    lr, weight_decay = pair[optimizer]
    run = Run(
        0, lr * c**eta, weight_decay / c**lam, optimizer.startswith("adam"),
        optimizer in ("sgd", "adam"), scale=c, eps=1e-6 / c,
    )  # fmt: skip
    trainer, found = Trainer([run], (40, 24, 10)), []

    def look() -> None:
        found.append(nets.loss(nets.outputs(trainer.p, X[None, :500], 3.0), y[None, :500]).item())

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        if t % 10 == 0:
            look()
        trainer.step(t, p, g)

    nets.train(trainer.p, X[:4000], y[:4000], [0], 100, 50, update, 3.0)
    look()
    return found


def apart(optimizer: str, eta: int, lam: int) -> float:
    """The largest difference of these losses from those of the run that is not scaled."""
    pairs = zip(losses_of(optimizer, 1, 0, 0), losses_of(optimizer, 3, eta, lam), strict=True)
    return max(abs(a - b) for a, b in pairs)


def deviation() -> float:
    """The network's outputs for 500 signals: their standard deviation, mean over the classes."""
    first = nets.starts((40, 24, 10), [0], bias=False, affine=False)
    found = nets.outputs(first, nets.signals()[0][None, :500], 3.0)[0]
    return mean(np.std(row) for row in found.numpy())


# ---- random gradients --------------------------------------------------------------------------------
@cache
def walks() -> tuple[Array, Array, Array]:
    """Root mean squares of norms and turns after 1,000 of 2,000 steps, (AdamW and Adam, ten settings, five runs); sizes σ."""
    lr, lam, G = np.full(10, 0.01), np.array([1.0] * 6 + [2, 15, 1, 1]), np.ones(10)
    lr[[5, 7]], G[:5] = 0.02, (1, 2, 5, 10, 30)
    sigma = np.ones((10, 1, 200))
    sigma[8:] = 10 ** np.linspace(-1, 1, 200)
    sigma *= (G / np.sqrt((sigma**2).sum(2)[:, 0]))[:, None, None]
    inside = np.array([0.0, 1.0])[:, None, None, None]
    lam_of = np.array([lam, 0.1 * lam])[:, :, None, None]
    rate = lr[:, None, None]
    rng, w = np.random.default_rng(0), np.full((2, 10, 5, 200), 200**-0.5)
    m, v, squares, turns = 0 * w, 0 * w, np.zeros((2, 10, 5)), np.zeros((2, 10, 5))
    r2 = np.einsum("...i,...i", w, w)
    for t in range(1, 2001):
        g = sigma * rng.standard_normal((10, 5, 200))
        along = np.einsum("...i,k...i->k...", g, w) / r2
        g = (g - along[..., None] * w) / np.sqrt(r2)[..., None] + inside * lam_of * w
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        new = w - rate * m / (1 - 0.9**t) / np.sqrt(v / (1 - 0.99**t))
        new -= (1 - inside) * rate * lam_of * w
        now = np.einsum("...i,...i", new, new)
        if t > 1000:
            squares += r2 / 1000
            cosine = np.einsum("...i,...i", w, new) / np.sqrt(r2 * now)
            turns += np.arccos(cosine) ** 2 / 1000
        w, r2 = new, now
    return np.sqrt(squares), np.sqrt(turns), sigma[:, 0]


def power(optimizer: int, turn: bool, setting: int, factor: float) -> float:
    """Exponent of what is larger in one setting than in the first, under AdamW (0) or Adam with L2 (1)."""
    found = walks()[int(turn)][optimizer]
    return math.log(mean(found[setting]) / mean(found[0]), factor)


def uneven(full: bool) -> float:
    """Adam with L2, entries of uneven size: norm of ten runs over (9.4), with S or with G√d for it."""
    S = math.sqrt(200) if full else sum(walks()[2][8])
    return mean(walks()[0][1, 8:].ravel()) / math.cbrt(0.01 * S / 0.2)


def uneven_turn() -> float:
    """The same under AdamW: turn of ten runs over (9.3)."""
    return mean(walks()[1][0, 8:].ravel()) / math.acos(
        math.tanh(math.atanh(0.99) + math.atanh(0.9))
    )


# ---- three layers ------------------------------------------------------------------------------------
SIZES = (2560, 512, 80)


class Layer(NamedTuple):
    """Of one layer of one run, from its records: root mean square turn and norm, S, and κ."""

    turn: float
    norm: float
    S: float
    kappa: float


@cache
def layers(inside: bool) -> list[list[Layer]]:
    """By layer and seed, from the records at every fourth step from 152 to 396 of 400 under Adam with L2, or AdamW."""
    X, y = nets.signals()
    runs = [Run(seed, 0.01, 0.3 if inside else 3.0, inside=inside) for seed in range(5)]
    trainer = Trainer(runs, (40, 64, 8, 10), 0.99)
    kept: list[list[list[Tensor]]] = [[[], [], []] for _ in range(3)]

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        old = [p[f"weight{i}"] for i in range(3)]
        trainer.step(t, p, g)
        if 152 <= t <= 396 and t % 4 == 0:
            for i, w in enumerate(old):
                of_layer = w, g[f"weight{i}"], nets.angle(w, p[f"weight{i}"])
                for part, value in zip(kept[i], of_layer, strict=True):
                    part.append(value)

    nets.train(trainer.p, X[:4000], y[:4000], range(5), 400, 50, update, 3.0)
    return [[of_records(parts, seed) for seed in range(5)] for parts in kept]


def of_records(parts: list[list[Tensor]], seed: int) -> Layer:
    """A layer's numbers from all its weights, gradients and turns."""
    w, g = (torch.stack([each[seed].ravel() for each in every]) for every in parts[:2])
    d, r = w.shape[1], w.norm(dim=1, keepdim=True)
    sizes = (r * g).square().mean(0).sqrt()
    outwards = mean((g / g.square().mean(0).sqrt() * w).sum(1))
    turn, norm = mean((each[seed] ** 2 for each in parts[2]), 2), mean(r[:, 0] ** 2, 2)
    return Layer(turn, norm, float(sizes.sum()), -2 * outwards / (0.01 * d))


def turn_of(inside: bool, layer: int) -> float:
    """A layer's turn, mean over seeds."""
    return mean(each.turn for each in layers(inside)[layer])


def ahead(layer: int, seed: int | None = None) -> float:
    """(9.5): a layer's turn under Adam with L2, from its S; mean over seeds."""
    return mean(
        math.sqrt(SIZES[layer] / 19) * math.cbrt(2 * 0.01**2 * 0.3 / each.S)
        for k, each in enumerate(layers(True)[layer])
        if seed is None or k == seed
    )


def adamw_turn(x: float = 0.03) -> float:
    """(9.3), as an addition of rapidities."""
    return math.acos(math.tanh(math.atanh(1 - x) + math.atanh(0.9)))


def adamw_norm(lr: float, lam: float, d: int) -> float:
    """(9.3): where the mean square stays, in three unknowns: of w, of w times the step, and of the step."""
    a, b = 1 - lr * lam, 0.9
    B = (1 - b) ** 2 * lr**2 * d / (1 - b * b)  # of the step s' = b s + (1 - b) η ĝ
    # w' = a w - s': A = a²A - 2a⟨w, s'⟩ + B, and C = ⟨w', s'⟩ = a b C - B
    C = -B / (1 - a * b)
    return math.sqrt((B - 2 * a * b * C) / (1 - a * a))


def short_of(layer: int) -> float:
    """A layer's root mean square norm under AdamW, mean over seeds, over (9.3)."""
    return mean(each.norm for each in layers(False)[layer]) / adamw_norm(0.01, 3.0, SIZES[layer])


def kappa(layer: int) -> float:
    """κ of a layer under AdamW, mean over seeds."""
    return mean(each.kappa for each in layers(False)[layer])


def slower(layer: int) -> float:
    """A layer's turn under AdamW over (9.3)."""
    return turn_of(False, layer) / adamw_turn()


# ---- the map -----------------------------------------------------------------------------------------
GRID = {
    "SGD": (0.1, 0.6, 0.02, 0.1),
    "AdamW": (0.005, 0.05, 1, 10),
    "Adam + L2": (0.005, 0.05, 0.03, 0.5),
}
"""The smallest and the largest η and λ."""


@cache
def corners(name: str) -> tuple[list[float], list[float], list[float]]:
    """Mean test losses of five seeds in the first and last corner and the middle; norms at the end in the first, by layer."""
    X, y = nets.signals()
    low, high, weak, strong = GRID[name]
    pairs = (low, weak), (high, strong), (math.sqrt(low * high), math.sqrt(weak * strong))
    adam = name != "SGD"
    runs = [
        Run(seed, *pair, adam, name != "AdamW", 0.9 if adam else 0.0, eps=1e-6)
        for pair in pairs
        for seed in range(5)
    ]
    trainer, found = Trainer(runs, (40, 24, 10), 0.98), []
    both = torch.cat([X[:500], X[4000:]]).expand(15, -1, -1)

    def look() -> None:
        scores = nets.outputs(trainer.p, both, 3.0, 500)[..., 500:]
        found.append(nets.loss(scores, y[4000:].expand(15, -1)).numpy())

    def update(t: int, p: nets.Weights, g: nets.Weights) -> None:
        if t in (120, 150, 180, 210):
            look()
        trainer.step(t, p, g)

    nets.train(trainer.p, X[:4000], y[:4000], [run.seed for run in runs], 240, 50, update, 3.0)
    look()
    seeds = [mean(each[run] for each in found) for run in range(15)]
    norms = [mean(nets.lengths(trainer.p[f"weight{i}"])[:5]) for i in range(2)]
    return [mean(seeds[5 * k : 5 * k + 5]) for k in range(3)], seeds, norms


def periods(layer: int) -> float:
    """240 steps at the rate of exercise 3, 3/2 times the square of η√d over the norm, in Adam's slowest corner."""
    return 240 * 1.5 * (0.005**2 * (960, 240)[layer]) / corners("Adam + L2")[2][layer] ** 2


ALL = np.arange(5)


def best_slopes(
    name: str, losses: Array, degree: int = 3, kept: tuple[Array, Array] = (ALL, ALL)
) -> tuple[list[float], list[float]]:
    """Of each seed the slope whose best polynomial leaves least of its map, of some η and λ, and the squares that it leaves."""
    low, high, weak, strong = GRID[name]
    x, z = np.linspace(np.log(low), np.log(high), 5), np.linspace(np.log(weak), np.log(strong), 5)
    x, z, losses = x[kept[0]], z[kept[1]], losses[:, kept[0]][:, :, kept[1]]
    tried = [-1 + k / 50 for k in range(301)]
    u = np.array([np.add.outer(s * x, z).ravel() for s in tried])
    u = 2 * (u - u.min(1, keepdims=True)) / np.ptp(u, axis=1)[:, None] - 1
    basis = np.polynomial.chebyshev.chebvander(u, degree)
    left = np.eye(x.size * z.size) - basis @ np.linalg.pinv(basis)
    slopes, rest = [], []
    for values in losses.reshape(len(losses), -1):
        squares = [float(each @ each) for each in left @ values]
        best = min(range(301), key=squares.__getitem__)
        slopes.append(-tried[best])
        rest.append(squares[best])
    return slopes, rest


def largest_change(maps: dict[str, Array]) -> float:
    """The furthest a mean slope moves by degree 1, 2, 4 or 5, or without an outer row of η or λ."""
    found = []
    for name, losses in maps.items():
        usual = mean(best_slopes(name, losses)[0])
        others = [best_slopes(name, losses, degree)[0] for degree in (1, 2, 4, 5)]
        for row, column in ((0, None), (4, None), (None, 0), (None, 4)):
            kept = [np.array([k for k in range(5) if k != out]) for out in (row, column)]
            others.append(best_slopes(name, losses, kept=(kept[0], kept[1]))[0])
        found += [max(mean(own) - usual, usual - mean(own)) for own in others]
    return max(found)


def better(name: str, losses: Array) -> int:
    """How often, seed by seed, a map's fit of degree 2, 4 or 5 leaves less than that of 1, 2 or 4."""
    left = [best_slopes(name, losses, degree)[1] for degree in (1, 2, 4, 5)]
    return sum(b < a for one, next_ in pairwise(left) for a, b in zip(one, next_, strict=True))


def gap_ends(maps: dict[str, Array]) -> tuple[float, float]:
    """Mean and lower end of the 95 % interval of AdamW's slope less that of Adam with L2, paired by seed."""
    one, other = (best_slopes(name, maps[name])[0] for name in ("AdamW", "Adam + L2"))
    test = stats.ttest_rel(one, other)
    return mean(one) - mean(other), float(test.confidence_interval(0.95).low)


def settled(lr: float, lam: float, G: float, d: int = 1000, steps: int = 600) -> float:
    """The last turn of 600 from norm one; G = 0 stands for AdamW."""
    r = 1.0
    for _ in range(steps - 1):
        loss = lr * lam * (math.sqrt(d) * r / G if G else 1)
        r = math.hypot((1 - loss) * r, lr * math.sqrt(d))
    return lr * math.sqrt(d / 19) / r
