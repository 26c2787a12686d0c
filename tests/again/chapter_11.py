"""Chapter 11 again: how often a run forgets its weights, and how the best λ goes with its steps."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.again import number

Array = NDArray[np.float64]
Net = dict[str, Tensor]
"""Parameters by name, or averages of their gradients; λ comes first, then the seed.

w, gamma and beta are of the hidden layer, v and c of the last. The hidden layer's bias is left out:
before a batch norm it has no effect.
"""

SEEDS = 20
"""How many seeds are computed at once.

A number that is taken over five seeds is the mean over their disjoint sets, which is the mean over
all of them; one that is taken over two vectors is the mean over SEEDS pairs.
"""
BATCH = 25
GRID = np.array([-np.inf, -4, -2, 0, 2, 4, 5])
"""log2 of N = λ Σ η_t; the first λ is 0."""
MNIST1D = Path(__file__).parents[2] / "l2lib" / "data" / "mnist1d.npz"


# ---- recipes -------------------------------------------------------------------------------------
def forgetting(rate: float, decay: float, steps: int, warm: int, end: int, floor: float) -> float:
    """N = λη Σ s_t, with a warm-up and a cosine that ends at ``floor`` when step ``end`` comes."""
    t = np.arange(steps)
    cosine = np.cos(np.pi * np.minimum(1, (t - warm) / (end - warm)))
    s = np.where(t < warm, t / warm, floor + (1 - floor) * (1 + cosine) / 2)
    return float(decay * rate * s.sum())


@number("11-span")
def recipes_apart() -> float:
    """N of OLMo 2 1B over that of GPT-3."""
    gpt = forgetting(6e-5, 0.1, 93_750, 117, 81_250, 0.1)
    olmo = forgetting(4e-4, 0.1, 1_907_348, 4_000, 2_384_186, 0.1)
    return olmo / gpt


# ---- AdamW under noise ---------------------------------------------------------------------------
def rms(w: Array) -> Array:
    """Of each vector."""
    found: Array = np.sqrt((w**2).mean(axis=-1))
    return found


def angle(a: Array, b: Array) -> Array:
    """Between each two vectors."""
    chords = a / rms(a)[..., None] - b / rms(b)[..., None]
    found: Array = 2 * np.arcsin(rms(chords) / 2)
    return found


@cache
def under_noise() -> tuple[Array, Array]:
    """RMS after 1200 to 2000 steps and angle of the last 800 steps, (…, SEEDS, 2)."""
    rng = np.random.default_rng(110)
    w = rng.normal(size=(SEEDS, 2, 1000)) * np.sqrt(0.001) * np.array([[1], [0.1]])
    m = v = np.zeros_like(w)
    lengths, turns = [], []
    for t in range(1, 2001):
        g = rng.normal(size=w.shape)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        before, w = w, (1 - 0.002) * w - 0.002 * step
        if t >= 1200:
            lengths.append(rms(w))
        if t > 1200:
            turns.append(angle(before, w))
    return np.array(lengths), np.array(turns)


@number("11-rms")
def size_at_rest() -> float:
    """RMS of the weights over √(η/2λ)."""
    return float(under_noise()[0].mean() / np.sqrt(0.001))


@number("11-turn")
def turn_at_rest() -> float:
    """Angle of a step over √(2ηλ) √((1 − β₁)/(1 + β₁))."""
    return float(under_noise()[1].mean() / np.sqrt(0.004 * 0.1 / 1.9))


# ---- the best λ ----------------------------------------------------------------------------------
@cache
def signals() -> tuple[Tensor, Tensor]:
    """Signals and labels; the first 4000 are for training."""
    with np.load(MNIST1D) as file:
        return torch.tensor(file["X"].astype(float)), torch.tensor(file["y"].astype(int))


def start(rng: np.random.Generator) -> Net:
    """A network for each seed, the same for every λ."""

    def draw(k: int, *shape: int) -> Tensor:
        own = torch.tensor(rng.uniform(-1, 1, (SEEDS, *shape)) / np.sqrt(k))
        return own.repeat(len(GRID), 1, 1, 1)

    ones = torch.ones(len(GRID), SEEDS, 1, 32, dtype=torch.float64)
    net = {"w": draw(40, 32, 40), "gamma": ones, "beta": torch.zeros_like(ones)}
    return net | {"v": draw(32, 10, 32), "c": draw(32, 1, 10)}


def log_shares(net: Net, x: Tensor, statistics: int) -> Tensor:
    """Logarithms of the classes' shares, (λ, SEEDS, examples, classes)."""
    z = x @ net["w"].mT
    own = z[..., :statistics, :]
    variance = own.var(dim=-2, correction=0, keepdim=True)
    z = (z - own.mean(dim=-2, keepdim=True)) / (variance + 1e-30).sqrt()
    outputs = torch.relu(net["gamma"] * z + net["beta"]) @ net["v"].mT + net["c"]
    return outputs.log_softmax(dim=-1)


def losses(logs: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, (λ, SEEDS)."""
    wanted = labels.expand(len(GRID), SEEDS, -1)[..., None]
    return -logs.gather(3, wanted).mean(dim=(2, 3))


def batches(rng: np.random.Generator, own: Array) -> Iterator[Tensor]:
    """Numbers of the signals of each step, (SEEDS, BATCH), without end."""
    while True:
        orders = rng.permuted(own, axis=1).reshape(SEEDS, -1, BATCH)
        yield from torch.tensor(orders).swapaxes(0, 1)


@cache
def tested(n: int, steps: int) -> tuple[Array, Array]:
    """Loss and error on the test signals after training on n, (λ, SEEDS)."""
    rng = np.random.default_rng([111, n, steps])
    x, labels = signals()
    own = rng.permuted(np.tile(np.arange(4000), (SEEDS, 1)), axis=1)[:, :n]
    net = start(rng)
    rates = 0.03 * (1 - np.arange(steps) / steps)
    decays = torch.tensor(2**GRID / rates.sum())[:, None, None, None]
    m = {name: torch.zeros_like(p) for name, p in net.items()}
    v = {**m}
    for t, rows in zip(range(steps), batches(rng, own), strict=False):
        leaves = {name: p.requires_grad_() for name, p in net.items()}
        loss = losses(log_shares(leaves, x[rows], BATCH), labels[rows]).sum()
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        for (name, p), g in zip(leaves.items(), slopes, strict=True):
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.98 * v[name] + 0.02 * g**2
            deviation = (v[name] / (1 - 0.98 ** (t + 1))).sqrt() + 1e-8
            kept = 1 - rates[t] * decays if name in ("w", "v") else 1
            net[name] = kept * p.detach() - rates[t] / (1 - 0.9 ** (t + 1)) * m[name] / deviation
    first = x[own[:, :250]]
    together = torch.cat([first, x[4000:].expand(SEEDS, -1, -1)], dim=1)
    with torch.no_grad():
        logs = log_shares(net, together, 250)[..., 250:, :]
        error: Array = (logs.argmax(dim=-1) != labels[4000:]).double().mean(dim=-1).numpy()
        loss_at_end: Array = losses(logs, labels[4000:]).numpy()
    return loss_at_end, error


def lowest(values: Array) -> float:
    """Where on GRID above λ = 0 a cubic, fitted by least squares, is lowest; its ends included."""
    at = GRID[1:]
    a, b, c, d = np.linalg.lstsq(np.vander(at, 4), values[1:], rcond=None)[0]
    flat = np.roots([3 * a, 2 * b, c])
    inside = [z.real for z in flat if abs(z.imag) < 1e-12 and at[0] < z.real < at[-1]]
    return float(min([at[0], at[-1], *inside], key=lambda z: ((a * z + b) * z + c) * z + d))


def slopes_of_best(examples: tuple[int, ...]) -> Array:
    """Each seed's slope of log2 of the best λ against k."""
    best = []
    for k, n in enumerate(examples):
        steps = 100 * 2**k
        total = (0.03 * (1 - np.arange(steps) / steps)).sum()
        best.append([lowest(each) - np.log2(total) for each in tested(n, steps)[0].T])
    slopes: Array = np.polyfit(range(len(examples)), np.array(best), 1)[0]
    return slopes


@number("11-data")
def power_with_data() -> float:
    """Of the number of steps, in the best λ, when the passes stay the same."""
    return float(slopes_of_best((250, 500, 1000)).mean())


@number("11-passes")
def power_with_passes() -> float:
    """Of the number of steps, in the best λ, when the data stay the same."""
    return float(slopes_of_best((500, 500, 500)).mean())


@number("11-errors")
def errors_from_decay() -> float:
    """Points of error at N = 16 above those at λ = 0, averaged over the five runs."""
    runs = ((250, 100), (500, 200), (1000, 400), (500, 100), (500, 400))
    found = [tested(n, steps)[1] for n, steps in runs]
    return float(100 * np.mean([error[5] - error[0] for error in found]))
