"""Chapter 11's numbers a second time: recipes by areas of their schedules, networks in plain NumPy, stored runs by line."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

Array = NDArray[np.float64]
STORED = Path(__file__).parents[2] / "l2lib" / "data" / "learning_rates.txt"
GRID = (0, 1 / 16, 1 / 4, 1, 4, 16, 32)
"""λ = 0 and the N that are tried."""


# ---- recipes -------------------------------------------------------------------------------------
def ramp_and(share: float, steps: float, warm: float = 0, end: float = 0) -> float:
    """Area below a schedule of peak one: a straight rise, then a fall to ``end`` that leaves this share of its height."""
    return warm / 2 + (steps - warm) * (end + (1 - end) * share)


@cache
def recipes() -> dict[str, tuple[float, float]]:
    """N and λ of each recipe: λ times its η times the area below its schedule, by ten where SGD's momentum is 0.9."""
    image = 1_281_167
    gpt = ramp_and(1 / 2, 81_250, 117, 0.1) + 0.1 * (93_750 - 81_250)  # the end stays at a tenth
    long, at = 2_384_186, 1_907_348  # a cosine that is stopped before its end
    share = (at - 4000) / (long - 4000)
    olmo = 2000 + (at - 4000) * (
        0.1 + 0.9 * (0.5 + math.sin(math.pi * share) / share / 2 / math.pi)
    )
    air = 476 * (0.23 * (0.2 + 1) / 2 + 0.77 * (1 + 0.07) / 2)
    areas = {  # η, λ, area, one over 1 − μ
        "ResNet-50": (0.1, 1e-4, 1.11 * 30 * image / 256, 10),
        "ResNet-50, 2021": (0.5, 2e-5, ramp_and(1 / 2, 600, 5) * image / 1024, 10),
        "ResNet, CIFAR": (0.1, 5e-4, 200 * 391 / 2, 10),
        "DeiT": (1e-3, 0.05, ramp_and(1 / 2, 300, 5, 0.01) * image / 1024, 1),
        "ConvNeXt-T": (4e-3, 0.05, ramp_and(1 / 2, 300, 20) * image / 4096, 1),
        "MAE": (1.5e-4 * 4096 / 256, 0.05, ramp_and(1 / 2, 800, 40) * image / 4096, 1),
        "ViT-S, big_vision": (1e-3, 0.1, ramp_and(1 / 2, 89.1 * image / 1024, 10_000), 1),
        "ViT": (3e-3, 0.3, ramp_and(1 / 2, 300 * image / 4096, 10_000), 1),
        "cifar10-fast": (0.4, 5e-4, 24 * 97 / 2, 10),
        "airbench94": (11.5 / (1 + 1 / 0.15), 0.0153 / 11.5, air, 1 / 0.15),
        "BERT": (1e-4, 0.01, 500_000, 1),
        "GPT-3 175B": (6e-5, 0.1, gpt, 1),
        "Llama 65B": (1.5e-4, 0.1, ramp_and(1 / 2, 350_000, 2000, 0.1), 1),
        "Llama 2 70B": (1.5e-4, 0.1, ramp_and(1 / 2, 500_000, 2000, 0.1), 1),
        "Llama 2 7B": (3e-4, 0.1, ramp_and(1 / 2, 500_000, 2000, 0.1), 1),
        "Pythia 12B": (1.2e-4, 0.1, ramp_and(1 / 2, 143_000, 1430, 0.1), 1),
        "OLMo 7B": (3e-4, 0.1, ramp_and(1 / 2, 476_837, 5000, 0.1), 1),
        "OLMo 2 1B": (4e-4, 0.1, olmo, 1),
        "wav2vec 2.0": (5e-4, 0.01, 200_000, 1),
        "our chapter 9": (0.01, 3, 400, 1),
        "RoBERTa on MNLI": (1e-5, 0.1, 123_873 / 2, 1),
        "LoRA, GPT-2 on E2E": (2e-4, 0.01, 26_289 / 2, 1),
    }
    return {name: (eta * lam * area * by, lam) for name, (eta, lam, area, by) in areas.items()}


LONG_IMAGES = (
    "ResNet-50",
    "ResNet-50, 2021",
    "ResNet, CIFAR",
    "DeiT",
    "ConvNeXt-T",
    "MAE",
    "ViT-S, big_vision",
    "ViT",
)
SHORT_IMAGES = ("cifar10-fast", "airbench94")
BY_SGD = (*LONG_IMAGES[:3], *SHORT_IMAGES)
PASSES = dict(zip(LONG_IMAGES, (90, 600, 200, 300, 300, 800, 89.1, 300), strict=True))
PER_WEIGHT = {  # billions of tokens, of weights
    "GPT-3 175B": (300, 175),
    "Llama 65B": (1400, 65),
    "Llama 2 70B": (2000, 70),
    "Llama 2 7B": (2000, 7),
    "Pythia 12B": (143_000 * 2097.152e-6, 12),
    "OLMo 7B": (476_837 * 4194.304e-6, 7),
    "OLMo 2 1B": (1_907_348 * 2097.152e-6, 1.5),
}


def n_of(name: str) -> float:
    """A recipe's N."""
    return recipes()[name][0]


def per_weight(name: str) -> float:
    """Tokens that a language model reads for each of its weights."""
    read, weights = PER_WEIGHT[name]
    return read / weights


def line(pairs: Iterable[tuple[float, float]]) -> Any:
    """A straight line through logarithms."""
    first, second = zip(*pairs, strict=True)
    return stats.linregress([math.log(x) for x in first], [math.log(x) for x in second])


def spread(column: int) -> float:
    """The largest N (0) or λ (1) of the published recipes by Adam that train from scratch, divided by the smallest."""
    apart = {*BY_SGD, "our chapter 9", "RoBERTa on MNLI", "LoRA, GPT-2 on E2E"}
    found = sorted(recipe[column] for name, recipe in recipes().items() if name not in apart)
    return found[-1] / found[0]


# ---- averages ------------------------------------------------------------------------------------
def half(values: Iterable[float]) -> float:
    """Half the width of the 95-percent interval of a mean."""
    numbers = [float(value) for value in values]
    return float(stats.sem(numbers) * stats.t.isf(0.025, len(numbers) - 1))


def mean(values: Iterable[float]) -> float:
    """The mean."""
    return statistics.fmean(float(value) for value in values)


def up(loss: float) -> float:
    """Rounded up to hundredths."""
    return -math.floor(-100 * loss) / 100


@cache
def run(eta: float, n: int, steps: int) -> dict[float, tuple[list[float], list[float]]]:
    """A stored run: for each N the losses and the errors in points, by seed."""
    found: dict[float, tuple[list[float], list[float]]] = {}
    for words in map(str.split, STORED.read_text(encoding="utf-8").splitlines()):
        if words[0] != "#" and [*map(float, words[:3])] == [eta, n, steps]:
            losses, errors = found.setdefault(float(words[4]), ([], []))
            assert len(losses) == int(words[3]), "seeds in order"
            losses.append(float(words[5]))
            errors.append(100 * float(words[6]))
    assert [*found] == [*GRID]
    assert {len(losses) for losses, _ in found.values()} == {5}
    return found


FIVE = ((250, 100), (500, 200), (1000, 400), (500, 100), (500, 400))
"""Signals and steps of the five runs of 10, 10, 10, 5 and 20 passes."""


def less(eta: float, n: int, steps: int, rival: float, tried: float, what: int = 0) -> list[float]:
    """By seed, how much less loss (0) or error (1) a stored run has at the N tried than at its rival."""
    found = run(eta, n, steps)
    return [a - b for a, b in zip(found[rival][what], found[tried][what], strict=True)]


def less_in_five(rival: float, tried: float, what: int = 0) -> list[float]:
    """The same at η = 0.27, averaged over the five runs, by seed."""
    each = [less(0.27, *one, rival, tried, what) for one in FIVE]
    return [mean(of_seed) for of_seed in zip(*each, strict=True)]


def above(eta: float, n: int, steps: int) -> dict[float, float]:
    """How far the mean loss at each N is above the lowest mean loss of the run."""
    means = {N: sum(losses) / 5 for N, (losses, _) in run(eta, n, steps).items()}
    return {N: loss - min(means.values()) for N, loss in means.items()}


def lowest(eta: float, n: int, steps: int) -> float:
    """The N with the lowest mean loss."""
    return next(N for N, cost in above(eta, n, steps).items() if cost == 0)


def at_best(n: int, steps: int, rates: Sequence[float] = (0.01, 0.03, 0.09, 0.27)) -> float:
    """The η at which a run has the lowest mean loss, at its best N."""
    return min(
        rates, key=lambda eta: min(mean(losses) for losses, _ in run(eta, n, steps).values())
    )


LONG = ((0.27, 500, 400), (0.27, 500, 800), (0.05, 200, 200), (0.05, 200, 400))
"""Runs of 20 and 40 passes on signals and digits, each at the best η tried: η, examples and steps."""
ALL = (
    *((eta, *one) for eta in (0.01, 0.03, 0.09, 0.27, 0.81) for one in FIVE),
    *((eta, 4000, 800) for eta in (0.01, 0.03, 0.09)),
    *((eta, 500, 800) for eta in (0.03, 0.09, 0.27, 0.81)),
    *((eta, 200, steps) for eta in (0.025, 0.05, 0.1) for steps in (200, 400)),
)
"""All stored runs: η, examples and steps."""
BEST = (*((at_best(*one), *one) for one in FIVE[:4]), *LONG, (0.03, 4000, 800))
"""Those at the best η tried."""


LENGTHS = tuple(dict.fromkeys(one[1:] for one in ALL))
"""All kinds of stored runs: examples and steps."""


def _eta_of(seeds: Sequence[int], what: int) -> int:
    """For how many kinds the mean of these seeds is lowest, at the bold N, where that of all is."""
    found = 0
    for n, steps in LENGTHS:
        measured = {
            eta: run(eta, n, steps)[bold(n, steps)][what] for eta, *one in ALL if one == [n, steps]
        }
        best, of_all = (
            min(measured, key=lambda eta: mean(measured[eta][seed] for seed in some))
            for some in (seeds, range(5))
        )
        found += best == of_all
    return found


def one_seed(what: int) -> int:
    """How often one seed finds the η of all five: by loss (0), by error (1)."""
    return sum(_eta_of([seed], what) for seed in range(5))


def three_seeds(what: int) -> int:
    """How often three seeds find it."""
    return sum(
        _eta_of([a, b, c], what) for a in range(5) for b in range(a + 1, 5) for c in range(b + 1, 5)
    )


def pairs(what: int = 0) -> list[list[tuple[float, float]]]:
    """At λ = 0 and at the bold N: loss above the lowest (0), or errors (1); at the best η, at smaller, at larger ones."""
    found: list[list[tuple[float, float]]] = [[], [], []]
    best = {(n, steps): eta for eta, n, steps in BEST}
    for one in ALL:
        each = above(*one) if what == 0 else {N: mean(pair[1]) for N, pair in run(*one).items()}
        eta, n, steps = one
        kind = int(eta != best[n, steps]) + int(eta > best[n, steps])
        found[kind].append((each[0], each[bold(n, steps)]))
    return found


def bold(n: int, steps: int) -> int:
    """The recipe's bold N: 4 from 20 passes on, else 1. Batches have 25 signals, or 20 digits; 800 steps are long."""
    return 4 if steps == 800 or steps * (20 if n == 200 else 25) >= 20 * n else 1


def rule(which: Sequence[tuple[float, int, int]], count: int = 3) -> tuple[float, float, float]:
    """Over settings: what the lowest N by so many seeds gains on the others over the row's N, the same if taken
    only where its gain is clear, and how often it loses."""
    gained, taken = [], []
    for eta, n, steps in which:
        own = bold(n, steps)
        losses = {
            N: run(eta, n, steps)[N][0]
            for N in (0, own / 4, own, own * 4)
            if eta * N / (eta * (steps + 1) / 2) <= 0.1
        }
        for others in combinations(range(5), 5 - count):
            seen = [seed for seed in range(5) if seed not in others]
            best = min(losses, key=lambda N: mean(losses[N][seed] for seed in seen))
            less_by = [a - b for a, b in zip(losses[own], losses[best], strict=True)]
            found = [less_by[seed] for seed in seen]
            gained.append(mean(less_by[seed] for seed in others))
            taken.append(gained[-1] if count > 1 and mean(found) > half(found) else 0.0)
    return mean(gained), mean(taken), mean(gain < 0 for gain in gained)


def over_ten(N: float | None, digits: Sequence[float]) -> float:
    """Mean loss above the lowest at the best η tried, with a tenth run; without N that of the row."""
    found = [above(*one)[bold(*one[1:]) if N is None else N] for one in BEST]
    return mean([*found, digits[0] - min(digits)])


def age(name: str, N: float) -> float:
    """Mean age of the updates in the average, in runs."""
    parts = shares(name, N)
    return sum(part * (1000 - t) / 1000 for t, part in enumerate(parts)) / sum(parts)


# ---- the best λ ----------------------------------------------------------------------------------
def minimum(tried: Sequence[float], losses: Sequence[float]) -> float:
    """log₂ of where a cubic in log₂ of what was tried is lowest within it, from the roots of its slope."""
    at = [math.log2(value) for value in tried]
    cubic = np.polynomial.Polynomial.fit(at, losses, 3)
    flat = [
        x.real
        for x in cubic.deriv().roots().tolist()
        if abs(x.imag) < 1e-9 and at[0] < x.real < at[-1]
    ]
    return float(min((at[0], at[-1], *flat), key=cubic))


def tilt(
    curves: Sequence[Sequence[Sequence[float]]], tried: Sequence[Sequence[float]], step: float = 1
) -> list[float]:
    """By seed, the slope of log₂ of the best λ in that of what three runs differ in, by least squares.

    Args:
        curves: losses by run, seed and λ.
        tried: the λ by run.
        step: log₂ of what neighbouring runs differ by.
    """
    best = [
        [minimum(lams, losses) for losses in seeds]
        for lams, seeds in zip(tried, curves, strict=True)
    ]
    return [
        float(stats.linregress([0, step, 2 * step], of_seed).slope)
        for of_seed in zip(*best, strict=True)
    ]


def stored_tilt(eta: float, runs: Sequence[tuple[int, int]]) -> list[float]:
    """The same from stored runs, whose λ is N divided by the sum of η."""
    curves = [[[run(eta, *one)[N][0][seed] for N in GRID[1:]] for seed in range(5)] for one in runs]
    return tilt(curves, [[N / (eta * (steps + 1) / 2) for N in GRID[1:]] for _, steps in runs])


DATA, AGAIN = FIVE[:3], (FIVE[3], FIVE[1], FIVE[4])
"""More data, and more passes over the same."""


# ---- networks ------------------------------------------------------------------------------------
class Net(NamedTuple):
    """Networks, one for each λ: by layer weights (λ, inputs, units), and scales and shifts (λ, 1, units)."""

    weights: list[Array]
    scales: list[Array]
    shifts: list[Array]
    norm: bool

    def parts(self) -> list[Array]:
        """All that is trained."""
        return [*self.weights, *(self.scales if self.norm else []), *self.shifts]


def drawn(draw: torch.Generator, sizes: Sequence[int], count: int, *, norm: bool) -> Net:
    """Networks that begin alike: weights uniform up to one over the root of the inputs."""
    weights = []
    for a, b in pairwise(sizes):
        uniform = torch.rand(1, a, b, generator=draw, dtype=torch.float64).numpy()[0]
        weights.append(np.stack([(2 * uniform - 1) / math.sqrt(a)] * count))
    ones = [np.ones((count, 1, b)) for b in sizes[1:]]
    return Net(weights, ones[:-1], [0 * one for one in ones], norm)


def slopes(net: Net, x: Array, labels: NDArray[np.int64]) -> list[Array]:
    """Gradients of the mean loss of a batch, written out."""
    weights, kept = net.weights, []
    for weight, scale, shift in zip(weights, net.scales, net.shifts, strict=False):
        z = x @ weight
        sd = z.std(-2, keepdims=True) if net.norm else np.ones(1)
        u = (z - z.mean(-2, keepdims=True)) / sd if net.norm else z
        kept.append((x, u, sd, scale * u + shift > 0))
        x = np.maximum(scale * u + shift, 0)
    logits = x @ weights[-1] + net.shifts[-1]
    back = np.exp(logits - logits.max(-1, keepdims=True))
    back /= back.sum(-1, keepdims=True)
    back[:, range(len(labels)), labels] -= 1
    back /= len(labels)
    of_weights, of_shifts = [x.swapaxes(-1, -2) @ back], [back.sum(-2, keepdims=True)]
    of_scales: list[Array] = []
    for k, (before, u, sd, on) in reversed([*enumerate(kept)]):
        back = (back @ weights[k + 1].swapaxes(-1, -2)) * on
        of_shifts.insert(0, back.sum(-2, keepdims=True))
        of_scales.insert(0, (back * u).sum(-2, keepdims=True))
        if net.norm:
            back = back * net.scales[k]
            along = u * (back * u).mean(-2, keepdims=True)
            back = (back - back.mean(-2, keepdims=True) - along) / sd
        of_weights.insert(0, before.swapaxes(-1, -2) @ back)
    return Net(of_weights, of_scales, of_shifts, net.norm).parts()


def measured(net: Net, own: Array, x: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Loss and share of wrong answers by λ; batch norm has the statistics of some own signals."""
    for weight, scale, shift in zip(net.weights, net.scales, net.shifts, strict=False):
        x, own = x @ weight, own @ weight
        if net.norm:
            middle, sd = own.mean(-2, keepdims=True), own.std(-2, keepdims=True)
            x, own = (x - middle) / sd, (own - middle) / sd
        x, own = (np.maximum(scale * each + shift, 0) for each in (x, own))
    logits = x @ net.weights[-1] + net.shifts[-1]
    right = logits[:, range(len(labels)), labels]
    return (logsumexp(logits, -1) - right).mean(-1), (logits.argmax(-1) != labels).mean(-1)


class Setting(NamedTuple):
    """How networks are trained: n of the first 4,000 signals, steps, peak η, hidden units, batch, whether with batch norm."""

    n: int
    steps: int
    eta: float
    hidden: tuple[int, ...] = (32,)
    batch: int = 25
    norm: bool = True


def trained(seed: int, lams: Sequence[float], how: Setting) -> tuple[Array, Array]:
    """Train networks by AdamW, one for each λ; losses and errors on the last 1,000 signals.

    η falls linearly to zero, matrices alone decay, batches go through all signals in a new order each
    pass, and in the end batch norm has the statistics of 250 training signals.
    """
    X, y = _mnist1d()
    draw = torch.Generator().manual_seed(seed)
    own = torch.randperm(4000, generator=draw)[: how.n].numpy()
    net = drawn(draw, (X.shape[1], *how.hidden, 10), len(lams), norm=how.norm)
    m, v = [[np.zeros_like(part) for part in net.parts()] for _ in range(2)]
    each_pass, order = how.n // how.batch, own
    for step in range(how.steps):
        if step % each_pass == 0:
            order = own[torch.randperm(how.n, generator=draw).numpy()]
        rows = order[step % each_pass * how.batch :][: how.batch]
        now, found = how.eta * (1 - step / how.steps), slopes(net, X[rows], y[rows])
        for weight in net.weights:
            weight *= 1 - now * np.asarray(lams)[:, None, None]
        for part, slope, a, b in zip(net.parts(), found, m, v, strict=True):
            a += 0.1 * (slope - a)
            b += 0.02 * (slope * slope - b)
            size = np.sqrt(b / (1 - 0.98 ** (step + 1))) + 1e-8
            part -= now * a / (1 - 0.9 ** (step + 1)) / size
    return measured(net, X[own[:250]], X[4000:], y[4000:])


# ---- one run's averages --------------------------------------------------------------------------
def coefficients(etas: Sequence[float], lam: float) -> list[float]:
    """The factor of each update in the last weights: its η, shrunk by all later steps."""
    found = []
    later = 1.0
    for eta in reversed(etas):
        found.append(eta * later)
        later -= later * eta * lam
    return found[::-1]


SHAPES: dict[str, Callable[[int], float]] = {
    "constant": lambda t: 1.0,
    "cosine": lambda t: math.cos(math.pi * t / 2000) ** 2,
    "linear to zero": lambda t: (1000 - t) / 1000,
    "warm-up–stable–decay": lambda t: min(t / 50, 1.0, (1 - (t - 50) / 950) * 5),
}
"""Schedules of 1,000 steps with the peak one."""


def shares(name: str, N: float) -> list[float]:
    """λ times the factor of each update times the steps, under a schedule of 1,000 steps and this N."""
    etas = [SHAPES[name](t) for t in range(1000)]
    lam = N / math.fsum(etas)
    return [1000 * lam * c for c in coefficients(etas, lam)]


def on_noise(lr_decay: float, beta: float = 0.9) -> float:
    """The RMS in equilibrium under momentum and noise over √(η/2λ), from how w and the momentum vary together."""
    rho, lam = 1 - lr_decay, lr_decay  # with η = 1
    step = np.array([[rho, -beta], [0, beta]])  # of w and the average of gradients
    kick = np.array([[-(1 - beta)], [1 - beta]])
    vary = kick @ kick.T
    for _ in range(30):  # 2**30 steps
        vary, step = vary + step @ vary @ step.T, step @ step
    return math.sqrt(vary[0, 0] * 2 * lam)


def angles(path: Array) -> Array:
    """The angle between each vector and the next, from the chord of their directions."""
    unit = path / np.sqrt(np.einsum("...i,...i", path, path))[..., None]
    chord = unit[1:] - unit[:-1]
    return np.asarray(2 * np.arcsin(np.sqrt(np.einsum("...i,...i", chord, chord)) / 2))


def passing(losses: Array) -> float:
    """How often the best of three tries has a mean gain over the first column with p below 2.5 %: cases by seed and try."""
    gains = losses[..., :1] - losses[..., 1:]
    best = np.take_along_axis(gains, gains.mean(0).argmax(-1)[None, :, None], -1)[..., 0]
    return float((stats.ttest_1samp(best, 0, alternative="greater").pvalue < 0.025).mean())


# ---- chapter's networks --------------------------------------------------------------------------
@cache
def _mnist1d() -> tuple[Array, NDArray[np.int64]]:
    with np.load(STORED.with_name("mnist1d.npz")) as file:
        return np.asarray(file["X"], np.float64), np.asarray(file["y"], np.int64)


def signal_run(
    seed: int, n: int, steps: int, eta: float = 0.03, tried: Sequence[float] = GRID
) -> tuple[Array, Array]:
    """Losses and errors by N of a network with batch norm, trained on signals."""
    return trained(seed, [N * 2 / eta / (steps + 1) for N in tried], Setting(n, steps, eta))


@cache
def widths() -> list[list[float]]:
    """log₂ of the best λ by width, 8, 20 and 50, and seed: two hidden layers without batch norm, η = 0.54/m."""
    found = []
    for m in (8, 20, 50):
        lams = [2.0**k * 2 / (0.54 / m) / 161 for k in (-3, -1.5, 0, 1.5, 3)]
        how = Setting(800, 160, 0.54 / m, (m, m), 50, norm=False)
        found.append([minimum(lams, trained(seed, lams, how)[0].tolist()) for seed in range(5)])
    return found


def width_power() -> list[float]:
    """By seed, the slope of log₂ of the best λ in log₂ of the width."""
    return [
        float(
            np.linalg.lstsq(np.log2([[8, 2], [20, 2], [50, 2]]), np.array(seed), rcond=None)[0][0]
        )
        for seed in zip(*widths(), strict=True)
    ]


def cnn(
    parts: dict[str, Array], own: Array, images: Array, labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Loss and points right of two convolutions and a last layer; batch norm measures the training images."""
    of = {name: torch.tensor(part) for name, part in parts.items()}
    x = torch.tensor(np.concatenate([own, images])).reshape(-1, 1, 8, 8)
    for k, (inputs, outputs) in enumerate(((1, 6), (6, 12))):
        kernel = of[f"weight{k}"].reshape(outputs, inputs, 3, 3)
        x = torch.nn.functional.conv2d(x, kernel, padding=1)
        of_own = x[: len(own)].transpose(0, 1).reshape(outputs, -1)
        middle, sd = of_own.mean(1), (of_own.var(1, correction=0) + 1e-5).sqrt()
        x = (x - middle[:, None, None]) / sd[:, None, None]
        x = torch.relu(x * of[f"gamma{k}"].reshape(-1, 1, 1) + of[f"beta{k}"].reshape(-1, 1, 1))
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
    logits = (x.mean((2, 3)) @ of["weight2"].T + of["bias2"].reshape(-1))[len(own) :].numpy()
    right = logits[range(len(labels)), labels]
    wrong = logits.argmax(1) != labels
    return float((logsumexp(logits, 1) - right).mean()), 100 * float(1 - wrong.mean())


_digits: dict[bytes, list[list[tuple[float, float]]]] = {}
CNN_PARTS = (
    *(f"{part}{k}" for part in ("weight", "gamma", "beta") for k in (0, 1)),
    "weight2",
    "bias2",
)


def digits_of(runs: Any, pixels: Array, y: NDArray[np.int64], what: int = 0) -> list[list[float]]:
    """Loss (0) or points right (1) on each seed's second 200 shuffled digits, trained on the first 200; by λ and seed."""
    parts = {name: np.asarray(runs[name].values) for name in CNN_PARTS}
    key = b"".join(each.tobytes() for each in (*parts.values(), pixels, y))
    if key not in _digits:
        orders = [np.random.default_rng(seed).permutation(1797) for seed in range(5)]
        _digits[key] = [
            [
                cnn(
                    {name: part[seed, k] for name, part in parts.items()},
                    pixels[order[:200]],
                    pixels[order[200:400]],
                    y[order[200:400]],
                )
                for seed, order in enumerate(orders)
            ]
            for k in range(next(iter(parts.values())).shape[1])
        ]
    return [[each[what] for each in of_lam] for of_lam in _digits[key]]


# ---- sonnets -------------------------------------------------------------------------------------
Poet = dict[str, torch.Tensor]


def poem(first: int, last: int) -> torch.Tensor:
    """Some sonnets as numbers of letters in the order of their codes."""
    whole = STORED.with_name("sonnets.txt").read_text(encoding="ascii").rstrip("\n").split("\n\n")
    codes = {letter: k for k, letter in enumerate(sorted({*"\n\n".join(whole)} | {"\n"}))}
    return torch.tensor([codes[letter] for letter in "\n\n".join(whole[first - 1 : last]) + "\n"])


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    """Each vector divided by its RMS."""
    return x / (x.square().mean(-1, keepdim=True) + np.finfo(float).eps).sqrt()


def next_letters(w: Poet, x: torch.Tensor) -> torch.Tensor:
    """What a transformer of one block and two heads gives each next letter."""
    h = w["token.weight"][x] + w["place.weight"][: x.shape[1]]
    a, T = rms_norm(h) * w["blocks.0.norm1.weight"], x.shape[1]
    parts = []
    for head in range(2):
        rows = slice(12 * head, 12 * head + 12)
        q, k, v = (a @ w[f"blocks.0.{name}.weight"][rows].T for name in ("query", "key", "value"))
        scores = rms_norm(q) @ rms_norm(k).mT / math.sqrt(12)
        weights = (scores + torch.full((T, T), -math.inf).triu(1)).softmax(-1)
        parts.append(weights @ v)
    h = h + torch.cat(parts, -1) @ w["blocks.0.out.weight"].T
    up = torch.relu(rms_norm(h) * w["blocks.0.norm2.weight"] @ w["blocks.0.up.weight"].T)
    h = h + up @ w["blocks.0.down.weight"].T
    return rms_norm(h) * w["norm.weight"] @ w["head.weight"].T


def per_letter(w: Poet, x: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """Mean loss over all letters."""
    logits = next_letters(w, x)
    return (logits.logsumexp(-1) - logits.gather(-1, then[..., None])[..., 0]).mean()


def read_by(w: Poet, text: torch.Tensor) -> float:
    """Loss of a poet on a text in pieces of 20 letters."""
    ends = range(20, len(text), 20)
    x, then = (torch.stack([text[end - 20 + k : end + k] for end in ends]) for k in (0, 1))
    with torch.no_grad():
        return per_letter(w, x, then).item()


_poets: dict[bytes, list[float]] = {}


def read_by_all(weights: Poet, text: torch.Tensor, k: int) -> list[float]:
    """By seed, the loss of the poets with the k-th of five λ."""
    parts = (*(w.detach().numpy().tobytes() for w in weights.values()), text.numpy().tobytes())
    key = b"".join((*parts, bytes([k])))
    if key not in _poets:
        own = [{name: w[at] for name, w in weights.items()} for at in range(k, 25, 5)]
        _poets[key] = [read_by(w, text) for w in own]
    return [*_poets[key]]


def taught(seed: int, lam: float, eta: float) -> Poet:
    """Train a transformer of width 24 on 50 sonnets in 60 steps by AdamW, η linear to zero; matrices alone decay."""
    text = poem(1, 50)
    torch.manual_seed(seed)
    w: Poet = {}
    for name, shape in (("token", 58), ("place", 20)):
        w[f"{name}.weight"] = torch.nn.Embedding(shape, 24).weight
    sizes = {
        "query": (24, 24),
        "key": (24, 24),
        "value": (24, 24),
        "out": (24, 24),
        "up": (24, 96),
        "down": (96, 24),
    }
    for name, size in sizes.items():
        w[f"blocks.0.{name}.weight"] = torch.nn.Linear(*size, bias=False).weight
    w["head.weight"] = torch.nn.Linear(24, 58, bias=False).weight
    norms = {
        f"{name}.weight": torch.ones(24) for name in ("blocks.0.norm1", "blocks.0.norm2", "norm")
    }
    w = {name: p.detach().double().requires_grad_() for name, p in (w | norms).items()}
    draw = torch.Generator().manual_seed(seed)
    places = torch.randint(len(text) - 20, (60, 8, 1), generator=draw) + torch.arange(20)
    kinds = [
        [p for name, p in w.items() if (name in norms) == is_norm] for is_norm in (False, True)
    ]
    adamw = torch.optim.AdamW(
        [{"params": kinds[0], "weight_decay": lam}, {"params": kinds[1], "weight_decay": 0.0}],
        betas=(0.9, 0.98),
    )
    for step, at in enumerate(places):
        for group in adamw.param_groups:
            group["lr"] = eta * (60 - step) / 60
        adamw.zero_grad()
        per_letter(w, text[at], text[at + 1]).backward()
        adamw.step()
    return w


# ---- pictures ------------------------------------------------------------------------------------
def band(corners: Array) -> dict[float, tuple[float, float]]:
    """The lower and the upper edge of a band at each x, from its corners."""
    found: dict[float, list[float]] = {}
    for x, y in corners.tolist():
        found.setdefault(x, []).append(y)
    return {x: (min(ys), max(ys)) for x, ys in found.items()}


def ends(values: Iterable[float]) -> tuple[float, float]:
    """The two ends of the 95-percent interval of a mean."""
    numbers = [*values]
    return mean(numbers) - half(numbers), mean(numbers) + half(numbers)
