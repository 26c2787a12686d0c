"""Chapter 0 again: who pays the penalty before and after training a network on the digits."""

import itertools

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.again import number

Array = NDArray[np.float64]

WIDTHS = (64, 256, 32, 10)
SEEDS = 5


def start(rng: np.random.Generator) -> list[Array]:
    """Weights (seeds, out, in) of five networks at their start."""
    weights = []
    for inputs, outputs in itertools.pairwise(WIDTHS):
        bound = 1 / np.sqrt(inputs)
        weights.append(rng.uniform(-bound, bound, (SEEDS, outputs, inputs)))
    return weights


def imbalance(weights: list[Array]) -> Array:
    """For each seed, the largest squared norm of a layer's weights over the smallest."""
    squares = np.array([(w**2).sum(axis=(1, 2)) for w in weights])
    ratios: Array = squares.max(axis=0) / squares.min(axis=0)
    return ratios


def gradients(weights: list[Array], x: Array, labels: NDArray[np.int64]) -> list[Array]:
    """The gradients of the mean cross-entropy of a batch."""
    inputs = [x]
    for w in weights[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w.transpose(0, 2, 1), 0))
    outputs = inputs[-1] @ weights[-1].transpose(0, 2, 1)
    delta = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    delta /= delta.sum(axis=2, keepdims=True)
    delta -= np.eye(10)[labels]
    delta /= labels.shape[1]
    found = []
    for layer in (2, 1, 0):
        found.append(delta.transpose(0, 2, 1) @ inputs[layer])
        if layer:
            delta = (delta @ weights[layer]) * (inputs[layer] > 0)
    return found[::-1]


@number("00-balance")
def balance_after_training() -> float:
    """The largest over the smallest squared norm of a layer after training, worst of five."""
    rng = np.random.default_rng(1)
    data = load_digits()
    pixels = data.data / 16
    pixels = pixels - pixels.mean(axis=0)
    labels = data.target
    examples, size, rate, decay = len(pixels), 64, 0.5, 0.003
    weights = start(rng)
    per_epoch = examples // size
    for step in range(1500):
        if step % per_epoch == 0:
            order = rng.permuted(np.tile(np.arange(examples), (SEEDS, 1)), axis=1)
        first = step % per_epoch * size
        batch = order[:, first : first + size]
        moves = gradients(weights, pixels[batch], labels[batch])
        weights = [w - rate * (g + decay * w) for w, g in zip(weights, moves, strict=True)]
    return float(imbalance(weights).max())


@number("00-start")
def balance_at_the_start() -> float:
    """The largest over the smallest squared norm of a layer at the start, smallest of five."""
    return float(imbalance(start(np.random.default_rng(2))).min())
