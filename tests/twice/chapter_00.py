"""Chapter 0's numbers a second time: curves by eigenvectors, noise and networks step by step in plain NumPy."""

import statistics
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.datasets import load_digits

Array = NDArray[Any]

WIDTHS = (64, 256, 32, 10)
COUNTS = (64 * 256, 256 * 32, 32 * 10)
"""Weights of each layer."""


def mean(numbers: Iterable[Any]) -> float:
    """Sum over count."""
    found = [float(each) for each in numbers]
    return sum(found) / len(found)


def listed(numbers: Iterable[Any], digits: int = 2) -> str:
    """Rounded, with commas."""
    return ", ".join(f"{float(each):.{digits}f}" for each in numbers)


def spread(numbers: Iterable[Any]) -> float:
    """The largest over the smallest."""
    found = sorted(float(each) for each in numbers)
    return found[-1] / found[0]


# ---- twenty noisy curves -----------------------------------------------------------------------------
LAMS = (0.0, *(10 ** (-4 + k / 3) for k in range(13)))
GRID = np.array([-1 + k / 95 for k in range(191)])
TRUTH = np.sin(3 * GRID)
AT = range(0, 191, 10)
"""Every tenth x has an example."""


@cache
def data(seed: int) -> tuple[Array, Array]:
    """Twenty targets, the sine plus noise of standard deviation 0.5; outputs of 100 random tanh units at all x."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(20, 1))[:, 0]
    slopes, places = 10 * rng.normal(size=100), 10 * rng.uniform(-1, 1, 100)
    units = np.tanh(GRID[:, None] * slopes + places) / 10
    return TRUTH[AT] + 0.5 * noise, units


@cache
def of_train(seed: int, lam: float, steps: float = 3000, noisy: bool = True) -> tuple[Array, Array]:
    """Weights and fit after gradient steps of rate 1 from zero, one eigenvector of the examples after another."""
    targets, units = data(seed)
    targets = targets if noisy else TRUTH[AT]
    A = units[AT]
    values, vectors = np.linalg.eigh(A @ A.T / 20)
    w = np.zeros(100)
    for value, vector in zip(values, vectors.T, strict=True):
        done = 1 - (1 - lam - value) ** steps if steps < np.inf else 1.0
        w += done * (vector @ targets / 20) / (value + lam) * (A.T @ vector)
    return w, units @ w


def error_on_new(seed: int, lam: float, steps: float = 3000) -> float:
    """Mean squared distance from the sine, plus the variance of the noise."""
    fit = of_train(seed, lam, steps)[1]
    return mean((a - b) ** 2 for a, b in zip(fit, TRUTH, strict=True)) + 0.25


def own_error(seed: int, lam: float) -> float:
    """Mean squared error on a network's own twenty examples."""
    fit = of_train(seed, lam)[1]
    return mean((fit[10 * k] - y) ** 2 for k, y in enumerate(data(seed)[0]))


def of_twenty(lam: float, steps: float = 3000) -> float:
    """The mean test error of twenty networks."""
    return mean(error_on_new(seed, lam, steps) for seed in range(20))


def own_of_twenty(lam: float) -> float:
    """The mean training error of twenty networks."""
    return mean(own_error(seed, lam) for seed in range(20))


def in_the_middle() -> int:
    """The network whose share of the test error that λ = 0.01 leaves is the upper of the two middle ones."""
    left = {seed: error_on_new(seed, 0.01) / error_on_new(seed, 0) for seed in range(20)}
    return sorted(left, key=left.__getitem__)[10]


def too_flat() -> float:
    """How much lower the mean of hill minus valley is than the sine's, with λ = 0.01 and no noise."""
    fits = [of_train(seed, 0.01, noisy=False)[1] for seed in range(20)]
    return float(1 - mean(max(fit) - min(fit) for fit in fits) / (max(TRUTH) - min(TRUTH)))


# ---- noise for gradients -----------------------------------------------------------------------------
def noisy_steps(
    draws: torch.Generator,
    eta: float,
    lam: float,
    scale: float,
    start: float,
    steps: int,
    coupled: bool,
) -> Iterator[Array]:
    """5,000 weights after each step of Adam or AdamW without momentum, β₂ = 0.999, by hand."""
    w, v = np.full(5000, start), np.zeros(5000)
    for t in range(1, steps + 1):
        g = scale * torch.randn(5000, generator=draws, dtype=torch.float64).numpy()
        if coupled:
            g = g + lam * w
        else:
            w = w - eta * lam * w
        v = 0.999 * v + 0.001 * g**2
        w = w - eta * g / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


@cache
def means_of_noise() -> dict[tuple[str, float], Array]:
    """The mean weight after each of 250 steps from 1, η = 0.02 and λ = 0.3: Adam at three scales, then AdamW."""
    draws = torch.Generator().manual_seed(0)
    found = {}
    for name in ("Adam", "AdamW"):
        for scale in (0.1, 1.0, 10.0):
            run = noisy_steps(draws, 0.02, 0.3, scale, 1.0, 250, name == "Adam")
            found[name, scale] = np.array([sum(w) / 5000 for w in run])
    return found


@cache
def with_momentum() -> float:
    """RMS of such weights under AdamW with memories 0.9 and 0.999, from step 601 to 700, from 0.2 and from 0."""
    draws, squares = torch.Generator().manual_seed(0), []
    for scale, start in ((0.1, 0.2), (10.0, 0.0)):
        w, m, v = np.full(5000, start), np.zeros(5000), np.zeros(5000)
        for t in range(1, 701):
            g = scale * torch.randn(5000, generator=draws, dtype=torch.float64).numpy()
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            root = np.sqrt(v / (1 - 0.999**t)) + 1e-8
            w = w - 0.01 * (0.6 * w + m / (1 - 0.9**t) / root)
            squares += [w @ w / 5000] if t > 600 else []
    return float(mean(squares) ** 0.5)


def line(factor: float, steps: int) -> float:
    """What is left of 1 after so many multiplications."""
    left = 1.0
    for _ in range(steps):
        left *= factor
    return left


def off_dots() -> float:
    """Of four means after 250 steps over their dots, the ratio furthest from 1: Adam at scale 10, AdamW at all."""
    last = {key: run[-1] for key, run in means_of_noise().items()}
    ratios = [last["Adam", 10.0] / line(1 - 0.02 * 0.3 / 10, 250)]
    ratios += [last["AdamW", scale] / line(1 - 0.02 * 0.3, 250) for scale in (0.1, 1.0, 10.0)]
    return float(max(ratios, key=lambda ratio: abs(ratio - 1)))


@cache
def squares_of_noise() -> dict[str, Array]:
    """The mean square after each of 700 steps of AdamW with η = 0.01: from 0.2 and from 0, λ = 0.6; from 0.2, λ = 0."""
    draws = torch.Generator().manual_seed(0)
    runs = {"0.1": (0.6, 0.1, 0.2), "10": (0.6, 10.0, 0.0), "free": (0.0, 1.0, 0.2)}
    return {
        name: np.array([w @ w / 5000 for w in noisy_steps(draws, 0.01, *how, 700, False)])
        for name, how in runs.items()
    }


def added_by_noise(name: str) -> list[tuple[float, float]]:
    """For each 50 steps, the RMS of the weights, and what gradients added to the mean square in a step, over η²."""
    square, kept, found = squares_of_noise()[name], (1 - 0.01 * 0.6) ** 2, []
    for first in range(0, 700, 50):
        block = square[first : first + 50]
        added = [after - kept * before for before, after in pairwise(block)]
        found.append((mean(block) ** 0.5, mean(added) / 0.01**2))
    return found


def furthest_noise() -> float:
    """Of both means of the RMS from step 601 on, over √(η/2λ), the one furthest from 1."""
    ends = [
        mean(square**0.5 for square in squares_of_noise()[name][600:]) for name in ("0.1", "10")
    ]
    return max((float(end / (0.01 / 1.2) ** 0.5) for end in ends), key=lambda ratio: abs(ratio - 1))


# ---- networks on the digits --------------------------------------------------------------------------
@cache
def images() -> tuple[Array, Array]:
    """Grey levels over 16 less each pixel's mean; labels."""
    raw, labels = load_digits(return_X_y=True)
    return raw / 16 - sum(raw / 16) / len(raw), labels


def forward(ws: list[Array], x: Array, bent: bool = False) -> list[Array]:
    """Inputs of each layer and the outputs; examples in rows. Units are ReLU, or tanh if they are bent."""
    values = [x]
    for k, w in enumerate(ws):
        out = values[-1] @ w.mT
        values.append(out if k == 2 else np.tanh(out) if bent else np.maximum(out, 0))
    return values


def slopes(ws: list[Array], x: Array, labels: Array, bent: bool = False) -> list[Array]:
    """Gradients of the mean cross-entropy of a batch."""
    values = forward(ws, x, bent)
    p = np.exp(values[3] - values[3].max(-1, keepdims=True))
    back = p / p.sum(-1, keepdims=True)
    np.put_along_axis(
        back, labels[..., None], np.take_along_axis(back, labels[..., None], -1) - 1, -1
    )
    back, found = back / labels.shape[-1], []
    for k in (2, 1, 0):
        found.append(back.mT @ values[k])
        if k:
            back = (back @ ws[k]) * (1 - values[k] ** 2 if bent else values[k] > 0)
    return found[::-1]


def right(ws: list[Array], count: int) -> float:
    """The share of the first images that are classified rightly."""
    pixels, labels = images()
    said = forward(ws, pixels[:count])[3].argmax(-1)
    return mean((said == labels[:count]).ravel())


@cache
def plain_net(bent: bool = False) -> list[Array]:
    """Weights after 1,500 SGD steps with λw in the gradient: PyTorch's draws of seed 0, batches of 64 with repeats."""
    draws = torch.Generator().manual_seed(0)
    pixels, labels = images()
    ws = drawn_weights(draws)
    for _ in range(1500):
        rows = torch.randint(1797, (64,), generator=draws).numpy()
        moves = slopes(ws, pixels[rows], labels[rows], bent)
        ws = [w - 0.5 * (g + 0.003 * w) for w, g in zip(ws, moves, strict=True)]
    return ws


def drawn_weights(draws: torch.Generator) -> list[Array]:
    """Uniform between ±1/√inputs, as PyTorch draws them."""
    ws = []
    for inputs, outputs in pairwise(WIDTHS):
        w = torch.empty(outputs, inputs, dtype=torch.float64)
        ws.append(w.uniform_(-(inputs**-0.5), inputs**-0.5, generator=draws).numpy())
    return ws


def sizes(ws: list[Array]) -> list[float]:
    """Each layer's squared norm."""
    return [float(np.vdot(w, w)) for w in ws]


@cache
def started() -> list[Array]:
    """Five seeds' weights before training, uniform between ±1/√inputs."""
    layers: list[list[Array]] = [[], [], []]
    for seed in range(5):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        for layer, inputs, outputs in zip(layers, WIDTHS, WIDTHS[1:], strict=False):
            layer.append((2 * rng.random((outputs, inputs)) - 1) / inputs**0.5)
    return [np.array(layer) for layer in layers]


def batches() -> Iterator[Array]:
    """Rows of five seeds' batches of 64: each seed shuffles all images, and again when fewer than 64 are left."""
    streams = [np.random.default_rng([seed, 1]) for seed in range(5)]
    while True:
        orders = np.array([stream.permutation(1797) for stream in streams])
        for k in range(1797 // 64):
            yield orders[:, 64 * k : 64 * (k + 1)]


class Run:
    """Squared norms (steps + 1, seeds, layers), what the loss added to them in 50 steps, and the last weights."""

    def __init__(self, squares: list[Array], added: list[Array], ws: list[Array]) -> None:
        self.squares, self.added, self.ws = np.array(squares), np.array(added), ws

    def shares(self, layer: int) -> Array:
        """A layer's share of the squared norm, (steps + 1, seeds)."""
        return np.asarray(self.squares[..., layer] / sum(np.moveaxis(self.squares, -1, 0)))

    def rms(self, layer: int) -> Array:
        """Root mean square of a layer's weights, (steps + 1, seeds)."""
        return np.asarray(np.sqrt(self.squares[..., layer] / COUNTS[layer]))


def norms(ws: list[Array]) -> Array:
    """Squared norms, (seeds, layers)."""
    return np.array([np.einsum("kij,kij->k", w, w) for w in ws]).T


@cache
def by_sgd(lam: float = 0.003) -> Run:
    """Five networks by 1,500 steps of SGD, η = 0.5; without decay with half as many digits."""
    pixels, labels = images()
    ws, rows = [*started()], batches()
    if lam == 0:
        pixels, ws = pixels.astype("f4"), [w.astype("f4") for w in ws]
    squares, added = [norms(ws)], []
    for step in range(1500):
        these = next(rows)
        moves = slopes(ws, pixels[these], labels[these])
        if step < 50:
            inner = [np.einsum("kij,kij->k", w, g) for w, g in zip(ws, moves, strict=True)]
            added.append(-2 * (1 - 0.5 * lam) * 0.5 * np.array(inner).T)
        ws = [w - 0.5 * (g + lam * w) for w, g in zip(ws, moves, strict=True)]
        squares.append(norms(ws))
    return Run(squares, added, ws)


@cache
def by_adamw(lam: float) -> Run:
    """Five networks by 400 steps of AdamW, η = 0.01, memories 0.9 and 0.999."""
    pixels, labels = images()
    ws, rows = [*started()], batches()
    m, v = [0 * w for w in ws], [0 * w for w in ws]
    squares = [norms(ws)]
    for t in range(1, 401):
        these = next(rows)
        for k, g in enumerate(slopes(ws, pixels[these], labels[these])):
            m[k] += 0.1 * (g - m[k])
            v[k] += 0.001 * (g * g - v[k])
            root = np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8
            ws[k] = (1 - 0.01 * lam) * ws[k] - 0.01 / (1 - 0.9**t) * m[k] / root
        squares.append(norms(ws))
    return Run(squares, [], ws)


def second_half(lam: float, layer: int) -> list[float]:
    """Under AdamW each seed's mean share of a layer at every fifth step from 200 on."""
    return [mean(by_adamw(lam).shares(layer)[200::5, seed]) for seed in range(5)]


def rms_ratios(shares: Iterable[Iterable[float]]) -> list[float]:
    """Of layers' shares by seed: for each seed the largest RMS over the smallest."""
    return [
        spread((part / count) ** 0.5 for part, count in zip(parts, COUNTS, strict=True))
        for parts in zip(*shares, strict=True)
    ]


def in_second_half(lam: float) -> list[float]:
    """Under AdamW each seed's largest RMS over its smallest, from mean shares from step 200 on."""
    return rms_ratios(second_half(lam, layer) for layer in range(3))


def at_first() -> list[float]:
    """Each seed's largest RMS over its smallest before training."""
    return rms_ratios(by_sgd().shares(layer)[0] for layer in range(3))


def expected_share(layer: int) -> float:
    """A layer's part of the sum of expected squared norms of uniform weights."""
    wants = [a * b * stats.uniform(-(a**-0.5), 2 * a**-0.5).moment(2) for a, b in pairwise(WIDTHS)]
    return float(wants[layer] / sum(wants))


def left_of(other: int) -> Array:
    """First squared norm less another's, as a part of that at the start, (steps + 1, seeds)."""
    gap = by_sgd().squares[..., 0] - by_sgd().squares[..., other]
    return np.asarray(gap / gap[0])


def both_left(step: int) -> list[float]:
    """What is left of both differences in five seeds."""
    return [float(part) for other in (1, 2) for part in left_of(other)[step]]


def part_of_way() -> float:
    """How far shares went to 1/3 in 100 steps, in the mean of layers and seeds."""
    ways = []
    for layer in range(3):
        for now, then in zip(*by_sgd().shares(layer)[[0, 100]], strict=True):
            ways.append((now - then) / (now - 1 / 3))
    return mean(ways)


# ---- a large first layer -----------------------------------------------------------------------------
class Large(Run):
    """A run of one network; of each step its Δ² and wΔ, means by layer."""

    def __init__(self, squares: list[Array], moved: list[Array], ws: list[Array]) -> None:
        super().__init__(squares, [], ws)
        self.moved = np.array(moved)  # steps, (Δ², wΔ, square of Δ before decay), layers

    def late(self, what: int) -> list[list[float]]:
        """A mean by layer of each step of the second half."""
        return [[float(each) for each in row] for row in self.moved[350:, what].T]


@cache
def large(lam: float, beta1: float = 0.0, beta2: float = 0.99) -> Large:
    """700 AdamW steps, η = 0.01, without momentum unless β₁ says so, of a network whose first layer starts four times as large."""
    draws = torch.Generator().manual_seed(0)
    pixels, labels = images()
    ws = drawn_weights(draws)
    ws[0] = 4 * ws[0]
    m, v = [0 * w for w in ws], [0 * w for w in ws]
    squares, moved = [np.array([sizes(ws)])], []
    for t in range(1, 701):
        rows = torch.randint(1797, (64,), generator=draws).numpy()
        found = []
        for k, g in enumerate(slopes(ws, pixels[rows], labels[rows])):
            m[k], v[k] = beta1 * m[k] + (1 - beta1) * g, beta2 * v[k] + (1 - beta2) * g * g
            delta = -0.01 * m[k] / (1 - beta1**t) / (np.sqrt(v[k] / (1 - beta2**t)) + 1e-8)
            found.append((np.vdot(delta, delta) / g.size, np.vdot(ws[k], delta) / g.size))
            ws[k] = ws[k] - 0.01 * lam * ws[k] + delta
        squares.append(np.array([sizes(ws)]))
        moved.append(np.array(found).T)
    return Large(squares, moved, ws)


def with_usual_betas(lam: float) -> float:
    """The largest RMS over the smallest after 700 steps with β = (0.9, 0.999)."""
    return spread(float(large(lam, 0.9, 0.999).rms(layer)[-1, 0]) for layer in range(3))


def step_rms(layer: int) -> float:
    """RMS of Δ in the second half of the run with decay, over η."""
    return float(mean(large(0.6).late(0)[layer]) ** 0.5 / 0.01)


def typical(layer: int, lam: float = 0.6) -> float:
    """RMS over the weights of a step that half the steps of the second half exceed, over η."""
    return float(statistics.median(large(lam).late(0)[layer]) ** 0.5 / 0.01)


def added(layer: int) -> tuple[float, float]:
    """What squared steps alone and a step in all add to the mean square in the second half, over η²."""
    square = large(0.6).squares[350:, 0, layer] / COUNTS[layer]
    gained = [after - (1 - 0.006) ** 2 * before for before, after in pairwise(square)]
    return mean(large(0.6).late(0)[layer]) / 1e-4, mean(gained) / 1e-4


def over_law(layer: int) -> float:
    """A layer's last RMS with decay over √(η/2λ)."""
    return float(large(0.6).rms(layer)[-1, 0] / (0.01 / (2 * 0.6)) ** 0.5)


def units() -> list[tuple[float, float]]:
    """Squared norms of the weights into and out of each unit of the first hidden layer of the trained network."""
    first, second, _ = plain_net()
    return [(float(first[k] @ first[k]), float(second[:, k] @ second[:, k])) for k in range(256)]


# ---- small problems ----------------------------------------------------------------------------------
def cheapest_factor() -> float:
    """Where 4c² + 1/c² is least."""
    found = optimize.minimize_scalar(
        lambda c: 4 * c * c + 1 / (c * c), bounds=(0.3, 2), method="bounded"
    )
    return float(found.x)


def steps_to(share: float, shrink: float) -> int:
    """The first step after which no more than this share is left."""
    left, steps = 1.0, 0
    while left > share:
        left, steps = left * shrink, steps + 1
    return steps


def even_rms() -> float:
    """The RMS at which decay takes as much in a step as η² adds, for η = 0.01 and λ = 0.6, to first order in ηλ."""
    return float(optimize.brentq(lambda r: 2 * 0.01 * 0.6 * r**2 - 0.01**2, 1e-3, 1, xtol=1e-12))


def statements() -> int:
    """The lines that the file of statements holds."""
    there = Path(__file__).parents[2] / "l2lib" / "data" / "ledger.toml"
    return there.read_text(encoding="utf-8").splitlines().count("[[line]]")


# ---- longer than the chapter trains ----------------------------------------------------------------
@cache
def later(momentum: float, first: float, steps: int = 8000) -> Array:
    """RMS of the three layers' weights under AdamW (η = 0.01, λ = 0.6), at each step of the run's second half.

    Args:
        momentum: Adam's β₁; without it v remembers about 100 steps, as in §0.5, and else 1000, as in §0.3.
        first: by what the first layer's starting weights are multiplied.
        steps: length of the run.
    """
    data = load_digits()
    pixels = torch.tensor((data.data - data.data.mean(0)) / 16)
    labels = torch.tensor(data.target)
    rng = np.random.default_rng(5)
    weights = [
        torch.tensor(rng.uniform(-1, 1, (outputs, inputs)) / inputs**0.5)
        for inputs, outputs in pairwise(WIDTHS)
    ]
    weights[0] *= first
    for w in weights:
        w.requires_grad_(True)
    memory = (momentum, 0.999 if momentum else 0.99)
    rule = torch.optim.AdamW(weights, lr=0.01, weight_decay=0.6, betas=memory)
    found = []
    for _ in range(steps):
        batch = torch.tensor(rng.integers(len(labels), size=64))
        hidden = ((pixels[batch] @ weights[0].T).relu() @ weights[1].T).relu()
        rule.zero_grad()
        torch.nn.functional.cross_entropy(hidden @ weights[2].T, labels[batch]).backward()
        rule.step()
        found.append([(w.detach() ** 2).mean().item() ** 0.5 for w in weights])
    return np.array(found[steps // 2 :])
