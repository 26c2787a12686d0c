"""Chapter 9 again: Adam and AdamW on scale-invariant weights."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.again import number

Array = NDArray[np.float64]

RANDOM_SEEDS = 50
"""How many vectors with random gradients are trained at once."""
SEEDS = 10
"""How many networks of three layers are trained at once."""
MAP_SEEDS = 5
"""How many networks of two layers are trained at once for each of the 25 pairs."""
BATCH = 50
NOTED = range(152, 397, 4)
"""The steps of the networks of three layers at which something is noted."""
MNIST1D = Path(__file__).parents[2] / "l2lib" / "data" / "mnist1d.npz"


@cache
def signals() -> tuple[Tensor, Tensor]:
    """Signals and labels; the first 4000 are for training."""
    with np.load(MNIST1D) as file:
        return torch.tensor(file["X"].astype(float)), torch.tensor(file["y"].astype(int))


def standard(z: Tensor, statistics: int | None = None) -> Tensor:
    """Normalise units over the examples, the last axis but one, or over the first of them."""
    own = z[..., :statistics, :]
    variance = own.var(dim=-2, correction=0, keepdim=True)
    # S1-03 asks for no ε: beside its variances 1e-30 is lost in rounding.
    return (z - own.mean(dim=-2, keepdim=True)) / (variance + 1e-30).sqrt()


def cross_entropies(outputs: Tensor, labels: Tensor) -> Tensor:
    """Sum over the networks of their cross-entropies."""
    logs = outputs.log_softmax(dim=-1).gather(-1, labels[..., None])
    return -logs.sum() / outputs.shape[-2]


@number("S1-03")
def exponent_of_scale() -> float:
    """Slope of ln(angle of Adam's tenth step) against ln(scale of the weights)."""
    rng = np.random.default_rng(90)
    w, v = (torch.tensor(rng.standard_normal(shape) / 5) for shape in ((40, 24), (24, 10)))
    scales = 2.0 ** np.arange(-2, 5)
    found = [angle(scale * w, adam_step(scale * w, v)) for scale in scales]
    return float(np.polyfit(np.log(scales), np.log(found), 1)[0])


def adam_step(w: Tensor, outputs: Tensor) -> Tensor:
    """Adam's tenth step, from ten batches' gradients at the same weights."""
    x, labels = signals()
    mean, square = torch.zeros_like(w), torch.zeros_like(w)
    for first in range(0, 1000, 100):
        leaf = w.detach().requires_grad_()
        rows = slice(first, first + 100)
        loss = cross_entropies(torch.relu(standard(x[rows] @ leaf)) @ outputs, labels[rows])
        (g,) = torch.autograd.grad(loss, [leaf])
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
    return -1e-4 * (mean / (1 - 0.9**10)) / ((square / (1 - 0.999**10)).sqrt() + 1e-12)


def angle(w: Tensor, step: Tensor) -> float:
    """Between w and w plus the step."""
    before, after = w / w.norm(), (w + step) / (w + step).norm()
    return float(2 * torch.arcsin((after - before).norm() / 2))


# ---- random gradients ----------------------------------------------------------------------------
class Walk(NamedTuple):
    """What the last 1000 steps of Adam with L2 on random gradients did, (1000, RANDOM_SEEDS)."""

    norms: Array
    angles: Array


def walk(sizes: Array, rate: float) -> Walk:
    """Take 2000 steps from gradients with entries of the given standard deviations."""
    rng = np.random.default_rng(91)
    w = np.full((RANDOM_SEEDS, len(sizes)), len(sizes) ** -0.5)
    mean, square = np.zeros_like(w), np.zeros_like(w)
    norms, chords = [], []
    for t in range(1, 2001):
        length = np.linalg.norm(w, axis=1, keepdims=True)
        direction = w / length
        h = sizes * rng.standard_normal(w.shape)
        g = (h - (h * direction).sum(axis=1, keepdims=True) * direction) / length + 0.1 * w
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g**2
        w = w - rate * (mean / (1 - 0.9**t)) / np.sqrt(square / (1 - 0.99**t))
        norms.append(length[:, 0])
        turned = w / np.linalg.norm(w, axis=1, keepdims=True)
        chords.append(np.linalg.norm(turned - direction, axis=1))
    return Walk(np.array(norms[1000:]), 2 * np.arcsin(np.array(chords[1000:]) / 2))


def mean_of_roots(values: Array) -> float:
    """Root mean square over the steps, the first axis; then the mean over the seeds."""
    return float(np.sqrt((values**2).mean(axis=0)).mean())


@number("09-exponents")
def exponent_of_rate() -> float:
    """Power of η with which the equilibrium angle grows."""
    # The sheet leaves open whether the two rates share their draws; here they do.
    sizes = np.full(200, 200**-0.5)
    slow, fast = (mean_of_roots(walk(sizes, rate).angles) for rate in (0.01, 0.02))
    return float(np.log2(fast / slow))


@number("09-uneven")
def norm_with_uneven_entries() -> float:
    """Norm over the formula for even entries."""
    sizes = 10 ** np.linspace(-1, 1, 200)
    norms = walk(sizes / np.linalg.norm(sizes), 0.01).norms
    return mean_of_roots(norms) / float(np.cbrt(0.01 * np.sqrt(200) / (2 * 0.1)))


# ---- networks ------------------------------------------------------------------------------------
Layers = list[Tensor]


class Adam(NamedTuple):
    """An optimiser's setting; rate and decay are numbers or (pairs, 1, 1, 1)."""

    rate: Tensor
    decay: Tensor
    inside: bool
    """Whether the penalty is part of the gradient; else it is AdamW's."""
    beta2: float
    epsilon: float


class Step(NamedTuple):
    """Weight matrices before a step, the gradients of its batch, and the matrices after it."""

    before: Layers
    slopes: Layers
    after: Layers


def start(rng: np.random.Generator, seeds: int, *widths: int) -> Layers:
    """Weight matrices (seeds, out, in) from U(−1/√in, 1/√in)."""
    return [
        torch.tensor(rng.uniform(-1, 1, (seeds, out, k)) / np.sqrt(k))
        for k, out in pairwise(widths)
    ]


def batches(rng: np.random.Generator, seeds: int) -> Iterator[Tensor]:
    """Numbers of the training signals of each step, (seeds, BATCH), without end."""
    while True:
        orders = rng.permuted(np.tile(np.arange(4000), (seeds, 1)), axis=1)
        yield from torch.tensor(orders.reshape(seeds, -1, BATCH)).swapaxes(0, 1)


def outputs(layers: Layers, x: Tensor, statistics: int | None = None) -> Tensor:
    """Of networks that normalise every layer, with m and v of all or of the first examples."""
    h = x
    for w in layers[:-1]:
        h = torch.relu(standard(h @ w.mT, statistics))
    return 3 * standard(h @ layers[-1].mT, statistics)


def gradients(layers: Layers, x: Tensor, labels: Tensor) -> Layers:
    """Of each network's cross-entropy on its batch."""
    leaves = [w.detach().requires_grad_() for w in layers]
    found = outputs(leaves, x)
    loss = cross_entropies(found, labels.expand(found.shape[:-1]))
    return list(torch.autograd.grad(loss, leaves))


def train(layers: Layers, adam: Adam, rng: np.random.Generator, steps: int) -> Iterator[Step]:
    """Train networks whose last axes before the matrices' are seeds; yield each step."""
    x, labels = signals()
    means = [torch.zeros_like(w) for w in layers]
    squares = [torch.zeros_like(w) for w in layers]
    kept = 1 - adam.rate * adam.decay * (not adam.inside)
    for t, rows in zip(range(1, steps + 1), batches(rng, layers[0].shape[-3]), strict=False):
        slopes = gradients(layers, x[rows], labels[rows])
        before, layers = layers, []
        for i, (w, slope) in enumerate(zip(before, slopes, strict=True)):
            g = slope + adam.inside * adam.decay * w
            means[i] = 0.9 * means[i] + 0.1 * g
            squares[i] = adam.beta2 * squares[i] + (1 - adam.beta2) * g**2
            root = (squares[i] / (1 - adam.beta2**t)).sqrt() + adam.epsilon
            layers.append(kept * w - adam.rate * (means[i] / (1 - 0.9**t)) / root)
        yield Step(before, slopes, layers)


@cache
def noted_steps(decay: float, inside: bool) -> list[Step]:
    """Steps 152, 156, …, 396 of networks 40-64-8-10."""
    rng = np.random.default_rng(92)
    rate, penalty = torch.tensor([0.01, decay], dtype=torch.float64)
    adam = Adam(rate, penalty, inside, beta2=0.99, epsilon=1e-8)
    steps = train(start(rng, SEEDS, 40, 64, 8, 10), adam, rng, 400)
    return [step for t, step in enumerate(steps) if t in NOTED]


def unit(matrices: Tensor) -> Tensor:
    """Divide each seed's matrix by its norm."""
    length: Tensor = matrices.norm(dim=(1, 2), keepdim=True)
    return matrices / length


def noted_angles(steps: list[Step], layer: int) -> Array:
    """Angles of a layer, (steps, seeds)."""
    chords = [unit(step.after[layer]) - unit(step.before[layer]) for step in steps]
    lengths: Array = torch.stack(chords).norm(dim=(2, 3)).numpy()
    return 2 * np.arcsin(lengths / 2)


@number("09-layers")
def last_layer_turns() -> float:
    """Angle of the last layer under AdamW, over the prediction."""
    kept = 1 - 0.01 * 3
    predicted = np.arccos((kept + 0.9) / (1 + 0.9 * kept))
    return mean_of_roots(noted_angles(noted_steps(3.0, False), 2)) / float(predicted)


@number("09-layers-unequal")
def layers_turn_unequally() -> float:
    """Largest of the three layers' angles under Adam with L2, over the smallest."""
    found = [mean_of_roots(noted_angles(noted_steps(0.3, True), layer)) for layer in range(3)]
    return max(found) / min(found)


@number("09-outwards")
def outward_coefficient() -> float:
    """κ of the last layer under AdamW."""
    steps = noted_steps(3.0, False)
    w = torch.stack([step.before[2] for step in steps])
    g = torch.stack([step.slopes[2] for step in steps])
    sizes = g.square().mean(dim=0).sqrt()
    products = (g * w / sizes).sum(dim=(2, 3)).mean(dim=0)
    return float((-2 / (0.01 * 80) * products).mean())


def test_losses(layers: Layers) -> Array:
    """Cross-entropies on the test signals, (pairs, seeds)."""
    x, labels = signals()
    rows = [*range(500), *range(4000, 5000)]
    logs = outputs(layers, x[rows], statistics=500)[..., 500:, :].log_softmax(dim=-1)
    of_label = logs[..., torch.arange(1000), labels[4000:]]
    losses: Array = -of_label.mean(dim=-1).numpy()
    return losses


def steepness(z_of_decay: Array, z_of_rate: Array, losses: Array) -> Array:
    """For each seed the s whose cubic in ln λ + s ln η fits best; losses are (pairs, seeds)."""
    trials = np.arange(301) * 0.02 - 1
    left = []
    for s in trials:
        z = z_of_decay + s * z_of_rate
        powers = np.vander((z - z.mean()) / z.std(), 4)
        fitted = powers @ np.linalg.lstsq(powers, losses, rcond=None)[0]
        left.append(((losses - fitted) ** 2).sum(axis=0))
    best: Array = trials[np.argmin(left, axis=0)]
    return best


def slope_on_map(decays: Array, inside: bool) -> float:
    """Mean slope of the lines of equal test loss over the seeds."""
    rng = np.random.default_rng(93)
    rates, lambdas = (
        each.reshape(25, 1, 1, 1) for each in np.meshgrid(np.geomspace(0.005, 0.05, 5), decays)
    )
    adam = Adam(torch.tensor(rates), torch.tensor(lambdas), inside, beta2=0.98, epsilon=1e-6)
    layers = [w.expand(25, *w.shape) for w in start(rng, MAP_SEEDS, 40, 24, 10)]
    steps = enumerate(train(layers, adam, rng, 240), start=1)
    losses = [test_losses(step.after) for t, step in steps if t in range(120, 241, 30)]
    z_of_decay, z_of_rate = np.log(lambdas).ravel(), np.log(rates).ravel()
    return float(-steepness(z_of_decay, z_of_rate, np.mean(losses, axis=0)).mean())


@number("09-map-adamw")
def slope_of_adamw() -> float:
    """Slope of the lines of equal test loss under AdamW."""
    return slope_on_map(np.geomspace(1, 10, 5), inside=False)


@number("09-map-adam")
def slope_of_adam() -> float:
    """The same under Adam with L2."""
    return slope_on_map(np.geomspace(0.03, 0.5, 5), inside=True)


def recursive_angle(size: float) -> float:
    """The angle noted at step 600 of the recursion, with gradients of a size."""
    square = 1.0
    for _ in range(599):
        shrink = 0.01 * 0.3 * np.sqrt(1000 * square) / size
        square = (1 - shrink) ** 2 * square + 0.01**2 * 1000
    return float(0.01 * np.sqrt(1000 * (1 - 0.9) / ((1 + 0.9) * square)))


@number("09-relax")
def small_over_large() -> float:
    """Angle with gradients of size 3 over that with size 300."""
    return recursive_angle(3) / recursive_angle(300)
