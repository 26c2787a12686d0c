"""Chapter 7 again: weight decay before batch norm, and in plain networks."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.again import number

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]

SETS = 24
"""How often a number that is taken over five seeds is computed; the mean is what is returned."""
SEEDS = 5 * SETS
EPSILON = 1e-12
"""Of batch norm; None in its place stands for a plain network."""
MNIST1D = Path(__file__).parents[2] / "l2lib" / "data" / "mnist1d.npz"


class Network(NamedTuple):
    """Parameters of a hidden ReLU layer and an output layer, or a gradient; seeds come first."""

    w: Array
    b: Array
    gamma: Array
    beta: Array
    v: Array
    c: Array


class Data(NamedTuple):
    """Examples, and the numbers of those that each seed trains and tests with, (seeds, n)."""

    x: Array
    labels: Numbers
    train: Numbers
    test: Numbers


@cache
def digits() -> Data:
    """Centred pixels; every five seeds share a draw of 600 for training."""
    data = load_digits()
    pixels = data.data / 16
    rng = np.random.default_rng(70)
    draws = np.array([rng.permutation(len(pixels)) for _ in range(SETS)]).repeat(5, axis=0)
    return Data(pixels - pixels.mean(axis=0), data.target, draws[:, :600], draws[:, 600:])


@cache
def signals() -> Data:
    """MNIST-1D, the first 500 signals for training."""
    with np.load(MNIST1D) as file:
        x, labels = file["X"].astype(float), file["y"].astype(int)
    train, test = np.arange(500), np.arange(500, len(x))
    return Data(x, labels, np.tile(train, (SEEDS, 1)), np.tile(test, (SEEDS, 1)))


def uniform_start(rng: np.random.Generator, inputs: int, hidden: int) -> Network:
    """Weights and biases of all seeds from U(−1/√k, 1/√k), with γ = 1 and β = 0."""

    def draw(k: int, *shape: int) -> Array:
        values: Array = rng.uniform(-1, 1, (SEEDS, *shape)) / np.sqrt(k)
        return values

    gamma, beta = np.ones((SEEDS, 1, hidden)), np.zeros((SEEDS, 1, hidden))
    w, b = draw(inputs, hidden, inputs), draw(inputs, 1, hidden)
    return Network(w, b, gamma, beta, draw(hidden, 10, hidden), draw(hidden, 1, 10))


class Forward(NamedTuple):
    """What a network computes on its way, (seeds, examples, units)."""

    normed: Array
    deviation: Array
    hidden: Array
    outputs: Array


def forward(net: Network, x: Array, epsilon: float | None) -> Forward:
    """Run a batch through the networks, with batch norm if there is an ε."""
    z = x @ net.w.swapaxes(1, 2) + net.b
    deviation = np.ones((1, 1, 1))
    if epsilon is not None:
        deviation = np.sqrt(z.var(axis=1, keepdims=True) + epsilon)
        z = (z - z.mean(axis=1, keepdims=True)) / deviation
    hidden = np.maximum(net.gamma * z + net.beta, 0)
    return Forward(z, deviation, hidden, hidden @ net.v.swapaxes(1, 2) + net.c)


def log_probabilities(outputs: Array) -> Array:
    """Logarithm of the softmax."""
    shifted = outputs - outputs.max(axis=2, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    return logs


def gradient(net: Network, x: Array, labels: Numbers, epsilon: float | None) -> Network:
    """Of the batch's cross-entropy."""
    run = forward(net, x, epsilon)
    slope = (np.exp(log_probabilities(run.outputs)) - np.eye(10)[labels]) / x.shape[1]
    of_scaled = (slope @ net.v) * (run.hidden > 0)
    of_z = of_scaled * net.gamma
    if epsilon is not None:
        along = run.normed * (of_z * run.normed).mean(axis=1, keepdims=True)
        of_z = (of_z - of_z.mean(axis=1, keepdims=True) - along) / run.deviation
    return Network(
        w=of_z.swapaxes(1, 2) @ x,
        b=of_z.sum(axis=1, keepdims=True),
        gamma=(of_scaled * run.normed).sum(axis=1, keepdims=True),
        beta=of_scaled.sum(axis=1, keepdims=True),
        v=slope.swapaxes(1, 2) @ run.hidden,
        c=slope.sum(axis=1, keepdims=True),
    )


def batches(rng: np.random.Generator, train: Numbers, steps: int) -> Numbers:
    """Numbers of the 50 examples of each step and seed, (steps, seeds, 50)."""
    whole = train.shape[1] // 50
    epochs = [
        rng.permuted(train, axis=1).reshape(len(train), whole, 50).swapaxes(0, 1)
        for _ in range(-(-steps // whole))
    ]
    return np.concatenate(epochs)[:steps]


class Trained(NamedTuple):
    """Networks after 200 and after all 400 steps."""

    halfway: Network
    end: Network


def train(data: Data, hidden: int, epsilon: float | None, decays: tuple[float, float]) -> Trained:
    """Train with a λ for each matrix; calls with the same data and width are paired."""
    rng = np.random.default_rng(71)
    net = uniform_start(rng, data.x.shape[1], hidden)
    halfway = net
    # In the order of Network's fields; in plain networks γ and β stay as they are.
    of_norm = float(epsilon is not None)
    moves = (1, 1, of_norm, of_norm, 1, 1)
    penalties = (decays[0], 0, 0, 0, decays[1], 0)
    for t, rows in enumerate(batches(rng, data.train, 400)):
        if t == 200:
            halfway = net
        rate = 0.1 * min(1, 2 * (1 - t / 400))
        slopes = gradient(net, data.x[rows], data.labels[rows], epsilon)
        net = Network(
            *(
                p - rate * move * (g + decay * p)
                for p, g, move, decay in zip(net, slopes, moves, penalties, strict=True)
            )
        )
    return Trained(halfway, net)


@cache
def train_digits(epsilon: float | None, of_hidden: float, of_outputs: float = 0) -> Trained:
    """Train the network 64-32-10 on the digits."""
    return train(digits(), 32, epsilon, (of_hidden, of_outputs))


@cache
def train_signals(of_hidden: float) -> Trained:
    """Train the plain network 40-48-10 on the signals."""
    return train(signals(), 48, None, (of_hidden, 0))


def training_losses(net: Network, data: Data, epsilon: float | None) -> Array:
    """Of each seed's network on all its training examples."""
    run = forward(net, data.x[data.train], epsilon)
    right = data.labels[data.train][:, :, None]
    losses: Array = -np.take_along_axis(log_probabilities(run.outputs), right, 2).mean(axis=(1, 2))
    return losses


def losses_on_digits(epsilon: float | None, of_hidden: float, of_outputs: float = 0) -> Array:
    """Training losses of networks trained on the digits."""
    net = train_digits(epsilon, of_hidden, of_outputs).end
    return training_losses(net, digits(), epsilon)


def tested_classes(net: Network, data: Data) -> Numbers:
    """The class of each seed's test examples, from plain networks."""
    classes: Numbers = forward(net, data.x[data.test], None).outputs.argmax(axis=2)
    return classes


def norms(net: Network) -> Array:
    """Of each seed's hidden weight matrix."""
    lengths: Array = np.sqrt((net.w**2).sum(axis=(1, 2)))
    return lengths


@number("S1-01-plain")
def plain_loss() -> float:
    """Training loss of plain networks at λ = 0.3 over that without decay."""
    return float((losses_on_digits(None, 0.3) / losses_on_digits(None, 0)).mean())


@number("S1-01-mnist1d")
def plain_loss_on_signals() -> float:
    """The same on MNIST-1D, at λ = 0.1."""
    decayed, free = (
        training_losses(train_signals(each).end, signals(), None) for each in (0.1, 0.0)
    )
    return float((decayed / free).mean())


@number("S1-01-classes")
def other_classes() -> float:
    """Share of test digits that λ = 1 puts into another class."""
    decayed, free = (tested_classes(train_digits(None, each).end, digits()) for each in (1, 0))
    return float((decayed != free).mean())


@number("S1-01-seeds")
def seeds_disagree() -> float:
    """Share of test signals on which two networks of different seeds disagree."""
    classes = tested_classes(train_signals(0.0).end, signals())
    circles = classes.reshape(SETS, 5, -1)
    return float((circles != np.roll(circles, 1, axis=1)).mean())


@number("S1-04")
def cosine_grows_with_epsilon() -> float:
    """Largest cosine of weights and gradient at ε = 10⁻³ over that at 10⁻⁵, mean of all seeds."""
    rng = np.random.default_rng(72)
    data = digits()
    rows = np.array([rng.permutation(len(data.x))[:100] for _ in range(SEEDS)])
    net = Network(
        w=rng.standard_normal((SEEDS, 16, 64)) / 8,
        b=rng.standard_normal((SEEDS, 1, 16)),
        gamma=rng.uniform(0.5, 1.5, (SEEDS, 1, 16)),
        beta=rng.uniform(-0.3, 0.3, (SEEDS, 1, 16)),
        v=rng.standard_normal((SEEDS, 10, 16)) / 8,
        c=np.zeros((SEEDS, 1, 10)),
    )
    largest = []
    for epsilon in (1e-3, 1e-5):
        slope = gradient(net, data.x[rows], data.labels[rows], epsilon).w
        lengths = np.linalg.norm(net.w, axis=2) * np.linalg.norm(slope, axis=2)
        largest.append(np.abs((net.w * slope).sum(axis=2) / lengths).max(axis=1))
    return float((largest[0] / largest[1]).mean())


@number("07-fade")
def hidden_weights_fade() -> float:
    """Norm of plain networks' hidden weights at λ = 1 over that without decay."""
    return float((norms(train_digits(None, 1).end) / norms(train_digits(None, 0).end)).mean())


@number("07-both")
def both_layers_decay() -> float:
    """Training loss with λ = 0.1 on both matrices over that without."""
    return float((losses_on_digits(None, 0.1, 0.1) / losses_on_digits(None, 0)).mean())


@number("07-faster")
def effective_rate() -> float:
    """η/‖W‖² under batch norm halfway, at λ = 0.3 over that without decay."""
    free, decayed = (norms(train_digits(EPSILON, each).halfway) for each in (0, 0.3))
    return float(((free / decayed) ** 2).mean())


@number("07-noise")
def batch_norm_loss() -> float:
    """Training loss with batch norm at λ = 3 over that without decay."""
    return float((losses_on_digits(EPSILON, 3) / losses_on_digits(EPSILON, 0)).mean())
