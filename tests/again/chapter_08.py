"""Chapter 8 again: the equilibrium of scale-invariant weights, and the way to it."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from tests.again import number

Array = NDArray[np.float64]

SEEDS = 10
"""How many networks are trained at once; all of them make up each number."""
BATCH = 16


class Network(NamedTuple):
    """Parameters of a network with batch norm, or a gradient; seeds come first.

    The hidden layer's bias is left out: before a batch norm it has no effect.
    """

    w: Tensor
    gamma: Tensor
    beta: Tensor
    v: Tensor
    c: Tensor


class Setting(NamedTuple):
    """How the networks are trained."""

    steps: int
    rate: float
    decays: tuple[float, float] = (0, 0)
    """λ of the hidden and of the output matrix."""
    momentum: float = 0
    coupled: bool = True
    unit_outputs: bool = False
    """Whether the output matrix is divided by its norm at the start and after every step."""
    scale: float = 1
    """What the initial hidden matrix is multiplied by."""
    later_rate: float = 0
    later_from: int = 10**6
    """The step from which the rate is ``later_rate``."""


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Pixels and labels."""
    data = load_digits()
    return torch.tensor(data.data / 16), torch.tensor(data.target)


def batches(rng: np.random.Generator, examples: int) -> Iterator[Tensor]:
    """Numbers of the examples of each step, (SEEDS, BATCH), without end."""
    whole = examples // BATCH
    while True:
        orders = rng.permuted(np.tile(np.arange(examples), (SEEDS, 1)), axis=1)
        rows = orders[:, : whole * BATCH].reshape(SEEDS, whole, BATCH)
        yield from torch.tensor(rows).swapaxes(0, 1)


def unit(matrices: Tensor) -> Tensor:
    """Divide each seed's matrix by its norm."""
    length: Tensor = matrices.norm(dim=(1, 2), keepdim=True)
    return matrices / length


def start(rng: np.random.Generator) -> Network:
    """Weights and biases from U(−1/√k, 1/√k), with γ = 1 and β = 0."""

    def draw(k: int, *shape: int) -> Tensor:
        return torch.tensor(rng.uniform(-1, 1, (SEEDS, *shape)) / np.sqrt(k))

    ones = torch.ones(SEEDS, 1, 32, dtype=torch.float64)
    return Network(draw(64, 32, 64), ones, 0 * ones, draw(32, 10, 32), draw(32, 1, 10))


def gradient(net: Network, x: Tensor, labels: Tensor) -> Network:
    """Of each seed's cross-entropy on its batch."""
    leaves = Network(*(p.detach().requires_grad_() for p in net))
    z = x @ leaves.w.mT
    z = z - z.mean(dim=1, keepdim=True)
    z = z / (z.square().mean(dim=1, keepdim=True) + 1e-30).sqrt()
    outputs = torch.relu(leaves.gamma * z + leaves.beta) @ leaves.v.mT + leaves.c
    logs = outputs.log_softmax(dim=2).gather(2, labels[:, :, None])
    return Network(*torch.autograd.grad(-logs.sum() / x.shape[1], leaves))


def train(setting: Setting) -> Iterator[Tensor]:
    """Yield the hidden matrix before each step and after the last; all runs are paired."""
    rng = np.random.default_rng(80)
    x, labels = digits()
    place = unit if setting.unit_outputs else torch.clone
    net = start(rng)
    net = net._replace(w=setting.scale * net.w, v=place(net.v))
    velocity = Network(*(torch.zeros_like(p) for p in net))
    decays = (setting.decays[0], 0, 0, setting.decays[1], 0)
    for t, rows in zip(range(setting.steps), batches(rng, len(x)), strict=False):
        yield net.w
        rate = setting.rate if t < setting.later_from else setting.later_rate
        inside = [each * setting.coupled for each in decays]
        shrink = [1 - rate * each * (not setting.coupled) for each in decays]
        slopes = gradient(net, x[rows], labels[rows])
        pushes = (g + decay * p for p, g, decay in zip(net, slopes, inside, strict=True))
        velocity = Network(
            *(setting.momentum * v + push for v, push in zip(velocity, pushes, strict=True))
        )
        net = Network(*(a * p - rate * v for a, p, v in zip(shrink, net, velocity, strict=True)))
        net = net._replace(v=place(net.v))
    yield net.w


@cache
def effective_rates(setting: Setting) -> Array:
    """η/‖W‖² after t = 0, 1, … steps, (steps + 1, SEEDS)."""
    squares = [w.square().sum(dim=(1, 2)).numpy() for w in train(setting)]
    return setting.rate / np.array(squares)


def angles(setting: Setting) -> Array:
    """By which each step turns the hidden matrix, (steps, SEEDS)."""
    chords = (unit(after) - unit(before) for before, after in pairwise(train(setting)))
    lengths = [chord.norm(dim=(1, 2)).numpy() for chord in chords]
    return 2 * np.arcsin(np.array(lengths) / 2)


def free_rates(rate: float) -> Array:
    """Geometric means of the effective rate after t = 0 … 1000 steps without decay."""
    means: Array = np.exp(np.log(effective_rates(Setting(1000, rate))).mean(axis=1))
    return means


def rate_after_700(decay: float = 0, scale: float = 1) -> float:
    """Mean effective rate, with an output matrix of norm one."""
    setting = Setting(700, 0.1, decays=(decay, 0), unit_outputs=True, scale=scale)
    return float(effective_rates(setting)[-1].mean())


@number("08-forgets")
def rates_come_together() -> float:
    """Largest effective rate after 1000 steps, over the smallest, for three learning rates."""
    last = [free_rates(rate)[-1] for rate in (0.1, 0.3, 1.0)]
    return float(max(last) / min(last))


@number("S1-10")
def exponent_of_time() -> float:
    """With which the effective rate falls from step 100 to step 1000."""
    means = free_rates(1.0)
    return float(np.log10(means[1000] / means[100]))


def next_square(square: float, rate: float, decay: float) -> float:
    """Square of the norm after one step, at G = 1."""
    return (1 - rate * decay) ** 2 * square + rate**2 / square


def resting_square(rate: float, decay: float) -> float:
    """Square of the norm that stays, at G = 1."""
    return float(rate / np.sqrt(1 - (1 - rate * decay) ** 2))


@number("08-relaxation")
def factor_per_step() -> float:
    """By which a small deviation of r⁴ is multiplied."""
    # With q = r⁴ and c = η²: q' = a⁴ q + 2 a² c + c²/q, of slope a⁴ − c²/q².
    rate, decay = 0.1, 0.2
    return float((1 - rate * decay) ** 4 - rate**4 / resting_square(rate, decay) ** 4)


def steps_until(square: float, arrived: Callable[[float], bool]) -> int:
    """How many steps it takes from a squared norm, at η = 0.1 and λ = 0.1."""
    steps = 0
    while not arrived(square):
        square = next_square(square, 0.1, 0.1)
        steps += 1
    return steps


@number("08-descent")
def down_over_up() -> float:
    """Steps down from ten times the norm that stays, over those up from half of it."""
    rest = resting_square(0.1, 0.1)
    down = steps_until(100 * rest, lambda square: square < 1.1**2 * rest)
    up = steps_until(0.25 * rest, lambda square: square > 0.9**2 * rest)
    return down / up


@number("08-network-momentum")
def coupled_over_decoupled() -> float:
    """Angle of a step with the penalty inside the momentum, over that with it outside."""
    means = []
    for coupled in (True, False):
        setting = Setting(1297, 0.02, decays=(0.1, 0.1), momentum=0.9, coupled=coupled)
        noted = angles(setting)[500:1297:4]
        means.append(np.sqrt((noted**2).mean(axis=0)).mean())
    return float(means[0] / means[1])


@number("S1-11")
def start_remembered() -> float:
    """Effective rate from half the initial weights, over that from three times them."""
    return rate_after_700(scale=0.5) / rate_after_700(scale=3)


@number("S1-02")
def decay_raises_rate() -> float:
    """Effective rate with λ = 0.05, over that without decay."""
    return rate_after_700(decay=0.05) / rate_after_700()


@number("08-exponential")
def growing_rate() -> float:
    """Learning rate of step 200 over that of step 1."""
    # With decay w₊ = (1 + μ − ηλ) w − μ w₋ − η g(w). Without it, at a rate that grows by κ,
    # u₊ = (1 + κμ) u − κμ u₋ − κᵗ η₀ g(u). With w = αᵗ u the two agree if κ = α⁻² and
    # α + μ/α = 1 + μ − ηλ; α is the larger root, which is 1 at λ = 0.
    alpha = max(np.roots([1, -(1 + 0.9 - 0.1 * 0.01), 0.9]).real)
    return float(alpha ** (-2 * 199))


@number("08-drop")
def turn_after_drop() -> float:
    """Angle in the first 20 steps at a tenth of the rate, over its new equilibrium."""
    setting = Setting(417, 0.4, decays=(0.025, 0.025), later_rate=0.04, later_from=400)
    noted = angles(setting)[400:417:4]
    return float(np.sqrt((noted**2).mean()) / np.arccos(1 - 0.04 * 0.025))
