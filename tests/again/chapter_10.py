"""Chapter 10 again: what decay does to networks with batch norm, and what can replace it."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor

from tests.again import number

Array = NDArray[np.float64]
Net = dict[str, Tensor]
"""Parameters by name, or their gradients; seeds come first.

In networks with batch norm: w0, w1, … and gamma0, beta0, … of the hidden layers, v and c of the
last. The hidden layers' biases are left out: before a batch norm they have no effect.
"""
Model = Callable[[Net, Tensor, int | None], Tensor]
"""Outputs of networks, by m and v of the first so many examples, or of all."""
Rule = Callable[[int, str, Tensor, Tensor], Tensor]
"""The new value of a parameter, from the step, its name, its value and its gradient."""

SEEDS = 120
"""How many networks are trained at once.

A number that is taken over five, ten or twelve seeds is computed for each of their disjoint sets;
the mean is what is returned.
"""
BATCH = 50
MNIST1D = Path(__file__).parents[2] / "l2lib" / "data" / "mnist1d.npz"


class Step(NamedTuple):
    """Parameters before a step, the gradients of its batch, and the parameters after it."""

    before: Net
    slopes: Net
    after: Net


@cache
def signals() -> tuple[Tensor, Tensor]:
    """Signals and labels; the first 4000 are for training."""
    with np.load(MNIST1D) as file:
        return torch.tensor(file["X"].astype(float)), torch.tensor(file["y"].astype(int))


def uniform(rng: np.random.Generator, out: int, k: int) -> Tensor:
    """Weight matrices (seeds, out, k) from U(−1/√k, 1/√k)."""
    return torch.tensor(rng.uniform(-1, 1, (SEEDS, out, k)) / np.sqrt(k))


def gains(i: int) -> Net:
    """γ = 1 and β = 0 of the hidden layer number i."""
    ones = torch.ones(SEEDS, 1, 32, dtype=torch.float64)
    return {f"gamma{i}": ones, f"beta{i}": torch.zeros_like(ones)}


def start(hidden: int) -> Net:
    """Networks with so many hidden layers of 32 units."""
    rng = np.random.default_rng(100)
    net: Net = {}
    for i, (k, out) in enumerate(pairwise([40, *[32] * hidden])):
        net |= {f"w{i}": uniform(rng, out, k), **gains(i)}
    biases = rng.uniform(-1, 1, (SEEDS, 1, 10)) / np.sqrt(32)
    return net | {"v": uniform(rng, 10, 32), "c": torch.tensor(biases)}


def standard(z: Tensor, statistics: int | None, epsilon: float) -> Tensor:
    """Normalise each unit by mean and variance over the first examples, or all."""
    own = z[:, :statistics]
    variance = own.var(dim=1, correction=0, keepdim=True)
    return (z - own.mean(dim=1, keepdim=True)) / (variance + epsilon).sqrt()


def batch_norm(net: Net, x: Tensor, statistics: int | None = None) -> Tensor:
    """Outputs of networks with batch norm in each hidden layer."""
    for i in range(sum(name.startswith("w") for name in net)):
        z = standard(x @ net[f"w{i}"].mT, statistics, 1e-30)
        x = torch.relu(net[f"gamma{i}"] * z + net[f"beta{i}"])
    return x @ net["v"].mT + net["c"]


def residual(net: Net, x: Tensor, statistics: int | None = None) -> Tensor:
    """Outputs of networks with a residual block."""

    def scaled(i: int, z: Tensor) -> Tensor:
        return net[f"gamma{i}"] * standard(z, statistics, 0) + net[f"beta{i}"]

    h = torch.relu(scaled(0, x @ net["w0"].mT))
    h = h + scaled(1, h @ net["w1"].mT)
    return standard(h, statistics, 0) @ net["w2"].mT


def gradients(model: Model, net: Net, x: Tensor, labels: Tensor) -> Net:
    """Of each seed's cross-entropy on its batch."""
    leaves = {name: p.detach().requires_grad_() for name, p in net.items()}
    logs = model(leaves, x, None).log_softmax(dim=2).gather(2, labels[:, :, None])
    found = torch.autograd.grad(-logs.sum() / x.shape[1], list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def batches() -> Iterator[Tensor]:
    """Numbers of the training signals of each step, (seeds, BATCH), without end."""
    rng = np.random.default_rng(101)
    while True:
        orders = rng.permuted(np.tile(np.arange(4000), (SEEDS, 1)), axis=1)
        yield from torch.tensor(orders.reshape(SEEDS, -1, BATCH)).swapaxes(0, 1)


def train(net: Net, rule: Rule, steps: int, model: Model = batch_norm) -> Iterator[Step]:
    """Yield each step; runs from the same start are paired."""
    x, labels = signals()
    for t, rows in zip(range(steps), batches(), strict=False):
        before, slopes = net, gradients(model, net, x[rows], labels[rows])
        net = {name: rule(t, name, p, slopes[name]) for name, p in before.items()}
        yield Step(before, slopes, net)


def end(steps: Iterator[Step]) -> Net:
    """Parameters after the last step."""
    (last,) = deque(steps, maxlen=1)
    return last.after


def on_test_signals(net: Net) -> Tensor:
    """Each seed's outputs on the test signals, (seeds, signals, classes)."""
    x, _ = signals()
    rows = [*range(1000), *range(4000, 5000)]
    return batch_norm(net, x[rows].expand(SEEDS, -1, -1), 1000)[:, 1000:]


def accuracies(net: Net) -> Array:
    """Of each seed's network on the test signals, in per cent."""
    _, labels = signals()
    classes = on_test_signals(net).argmax(dim=2)
    right: Array = (classes == labels[4000:]).double().mean(dim=1).numpy()
    return 100 * right


def test_losses(net: Net) -> Array:
    """Cross-entropy of each seed's network on the test signals."""
    _, labels = signals()
    wanted = labels[4000:].expand(SEEDS, -1)[:, :, None]
    logs = on_test_signals(net).log_softmax(dim=2).gather(2, wanted)
    losses: Array = -logs.mean(dim=(1, 2)).numpy()
    return losses


def in_sets(values: Array, size: int) -> Array:
    """The seeds' values, a row for each set of so many seeds."""
    return values.reshape(-1, size)


def schedule(t: int, steps: int) -> float:
    """Constant for the first half, then down to zero."""
    return min(1.0, 2 * (1 - t / steps))


def is_hidden(name: str) -> bool:
    """Whether the parameter is a hidden layer's weight matrix."""
    return name.startswith("w")


def of_two_rates(steps: int, rate: float, decay: float) -> Rule:
    """A rate and a decay for the hidden matrices, and 0.3 without decay for all else."""

    def rule(t: int, name: str, p: Tensor, g: Tensor) -> Tensor:
        s = schedule(t, steps)
        return (1 - s * rate * decay) * p - s * rate * g if is_hidden(name) else p - 0.3 * s * g

    return rule


def of_decays(decays: dict[str, float], rate: float, steps: int | None) -> Rule:
    """One rate for all, decay of what is named; constant if no number of steps is given."""

    def rule(t: int, name: str, p: Tensor, g: Tensor) -> Tensor:
        s = schedule(t, steps) if steps else 1
        return p - s * rate * (g + decays.get(name, 0) * p)

    return rule


def rows_of_one(w: Tensor) -> Tensor:
    """Divide each row by its norm."""
    lengths: Tensor = w.norm(dim=2, keepdim=True)
    return w / lengths


def with_rows_of_one(net: Net) -> Net:
    """Divide each row of the hidden matrices by its norm."""
    return {name: rows_of_one(p) if is_hidden(name) else p for name, p in net.items()}


# ---- one hidden layer ----------------------------------------------------------------------------
@number("10-map")
def cost_of_decay() -> float:
    """Test accuracy without decay minus that with λ = 0.03, over two high rates."""
    costs = []
    for rate in (1.0, 3.0):
        free, decayed = (
            accuracies(end(train(start(1), of_two_rates(300, rate, decay), 300)))
            for decay in (0, 0.03)
        )
        costs.append((free - decayed).mean())
    return float(np.mean(costs))


def momentum_run(rate: float, decay: float) -> Tensor:
    """Hidden weights of norm one after 50 steps with a momentum."""
    net = with_rows_of_one(start(1))
    velocity = decay * net["w0"] / (1 - 0.9)

    def rule(t: int, name: str, p: Tensor, g: Tensor) -> Tensor:
        nonlocal velocity
        if not is_hidden(name):
            return p - 0.3 * schedule(t, 50) * g
        velocity = 0.9 * velocity + g + decay * p
        return rows_of_one(p - rate * velocity)

    return end(train(net, rule, 50))["w0"]


@number("10-momentum")
def distance_left() -> float:
    """Distance to the run at η/(1 − ηλ), over that to the run without decay: least of five."""
    decayed = momentum_run(0.03, 0.1)
    free, replaced = (
        (decayed - momentum_run(rate, 0)).norm(dim=2).mean(dim=1) for rate in (0.03, 0.03 / 0.997)
    )
    return float((replaced / free).reshape(-1, 5).amin(dim=1).mean())


# ---- a residual block ----------------------------------------------------------------------------
def branch_over_stream(decay: float) -> Array:
    """Each seed's ratio of norms of (γ, β), with decay of those of the branch."""
    rng = np.random.default_rng(102)
    widths = enumerate(((32, 40), (32, 32), (10, 32)))
    net = {f"w{i}": uniform(rng, out, k) for i, (out, k) in widths}
    net |= gains(0) | gains(1)
    rule = of_decays({"gamma1": decay, "beta1": decay}, 0.3, 300)
    last = end(train(net, rule, 300, residual))
    stream, branch = (pair(last, i).norm(dim=1).numpy() for i in (0, 1))
    ratios: Array = branch / stream
    return ratios


def pair(net: Net, i: int) -> Tensor:
    """γ and β of the hidden layer number i as vectors, (seeds, 64)."""
    return torch.cat([net[f"gamma{i}"], net[f"beta{i}"]], dim=2)[:, 0]


@number("10-residual")
def branch_shrinks() -> float:
    """Branch over stream with decay of the branch's γ and β, over that without; largest of 5."""
    ratios = in_sets(branch_over_stream(0.03) / branch_over_stream(0), 5)
    return float(ratios.max(axis=1).mean())


# ---- two hidden layers ---------------------------------------------------------------------------
@number("10-pair")
def norm_of_inner_pair() -> float:
    """Norm of a decayed inner (γ, β) over the formula for a scale-invariant weight."""
    rule = of_decays(dict.fromkeys(("w0", "w1", "gamma0", "beta0"), 0.1), 0.1, None)
    squares, products = [], []
    for t, step in enumerate(train(start(2), rule, 501)):
        if t in range(305, 501, 5):
            p, g = (pair(each, 0).square().sum(dim=1) for each in (step.before, step.slopes))
            squares.append(p**2)
            products.append(p * g)
    fourth, product = (float(torch.stack(each).mean()) for each in (squares, products))
    return float((fourth / (0.1 * product / (0.1 * (2 - 0.1 * 0.1)))) ** 0.25)


@cache
def accuracies_with(first: float, last: float) -> Array:
    """Test accuracies with λ = 0.05 on all matrices, and a λ on γ and β of each hidden layer."""
    decays = dict.fromkeys(("w0", "w1", "v"), 0.05)
    decays |= {"gamma0": first, "beta0": first, "gamma1": last, "beta1": last}
    return accuracies(end(train(start(2), of_decays(decays, 0.1, 300), 300)))


def upper_ends(differences: Array) -> Array:
    """Of Student's 95 % interval of the mean of each ten seeds."""
    tens = in_sets(differences, 10)
    widths: Array = student.ppf(0.975, 9) * tens.std(axis=1, ddof=1) / np.sqrt(10)
    ends: Array = tens.mean(axis=1) + widths
    return ends


@number("S1-15-last")
def last_pair_decays() -> float:
    """What decay of the last γ and β changes in points, upper end."""
    return float(upper_ends(accuracies_with(0, 0.05) - accuracies_with(0, 0)).mean())


@number("S1-15-inner")
def inner_pair_decays() -> float:
    """What decay of the first γ and β at λ = 1 changes in points, on average."""
    return float((accuracies_with(1, 0) - accuracies_with(0, 0)).mean())


gap_run = partial(of_two_rates, 500, 0.02)
"""The rule of the runs at the rate 0.02, by λ."""


@number("10-schedule")
def rate_at_norm_one() -> float:
    """Mean rate at norm one in the first layer at step 250, over that at step 0."""
    rates = []
    for t, step in enumerate(train(start(2), gap_run(0.15), 251)):
        if t in (0, 250):
            s = schedule(t, 500)
            squares = step.before["w0"].square().sum(dim=2)
            each = (s * 0.02 / ((1 - s * 0.02 * 0.15) * squares)).mean(dim=1)
            rates.append(in_sets(each.numpy(), 12).mean(axis=1))
    return float((rates[1] / rates[0]).mean())


@cache
def free_run(decay: float) -> Net:
    """Parameters after 500 steps with free norms."""
    return end(train(start(2), gap_run(decay), 500))


def means_of_twelve(values: Array) -> Array:
    """Mean of each twelve seeds."""
    means: Array = in_sets(values, 12).mean(axis=1)
    return means


def turning(t: int, name: str, p: Tensor, g: Tensor) -> Tensor:
    """Rows of norm one that take steps of the scheduled length, and 0.3 for all else."""
    s = schedule(t, 500)
    if not is_hidden(name):
        return p - 0.3 * s * g
    # The sheet leaves open what a row does whose gradient is zero; here it stays.
    length = g.norm(dim=2, keepdim=True).clamp(min=1e-300)
    return rows_of_one(p - s * (2 * 0.02 * 0.15) ** 0.5 * g / length)


@number("10-gap")
def gain_of_decay() -> float:
    """Test accuracy at λ = 0.15 minus that at 0."""
    return float((accuracies(free_run(0.15)) - accuracies(free_run(0))).mean())


@number("10-gap-turn")
def recovered_by_turning() -> float:
    """The part of the gain in test loss that constant turns at norm one recover."""
    turned = end(train(with_rows_of_one(start(2)), turning, 500))
    runs = free_run(0.15), free_run(0), turned
    a, b, c = (means_of_twelve(test_losses(run)) for run in runs)
    return float(((c - b) / (a - b)).mean())
