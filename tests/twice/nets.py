"""Networks with batch norm, trained again: many at once, in plain PyTorch. Chapters 8 to 10 share it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Weights = dict[str, Tensor]
Update = Callable[[int, Weights, Weights], None]
"""Of the step, the weights, which it changes, and their gradients."""


@cache
def signals() -> tuple[Tensor, Tensor]:
    """The 5,000 signals of MNIST-1D and their classes."""
    with np.load(Path(__file__).parents[2] / "l2lib/data/mnist1d.npz") as stored:
        return torch.tensor(stored["X"]).double(), torch.tensor(stored["y"]).long()


def start(widths: Sequence[int], seed: int, bias: bool = True, affine: bool = True) -> Weights:
    """A network as PyTorch starts one: all uniform on ±1/√fan-in, γ = 1, β = 0."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    p: Weights = {}
    for i, (fan_in, out) in enumerate(pairwise(widths)):
        edge = 1 / fan_in**0.5
        p[f"weight{i}"] = torch.tensor(rng.uniform(-edge, edge, (out, fan_in)))
        if bias:
            p[f"bias{i}"] = torch.tensor(rng.uniform(-edge, edge, (out, 1)))
        if affine and i < len(widths) - 2:
            p[f"gamma{i}"] = torch.ones(out, 1, dtype=torch.float64)
            p[f"beta{i}"] = torch.zeros(out, 1, dtype=torch.float64)
    return p


def starts(widths: Sequence[int], seeds: Sequence[int], **options: bool) -> Weights:
    """One for each of these seeds, along a first axis."""
    every = [start(widths, seed, **options) for seed in seeds]
    return {name: torch.stack([each[name] for each in every]) for name in every[0]}


def batches(n: int, size: int, seed: int) -> Iterator[Array]:
    """Rows of one batch after the other; each epoch is shuffled anew, and its rest is left out."""
    rng = np.random.default_rng([seed, 1])
    while True:
        order = rng.permutation(n)
        yield from (order[k * size : (k + 1) * size] for k in range(n // size))


def standard(h: Tensor, own: int | None = None) -> Tensor:
    """Each unit less its mean, over its standard deviation, of all examples or of the first so many."""
    some = h[..., :own]
    return (h - some.mean(2, keepdim=True)) / some.std(2, correction=0, keepdim=True)


def outputs(
    p: Mapping[str, Tensor], x: Tensor, scale: float = 0.0, own: int | None = None
) -> Tensor:
    """Outputs (runs, classes, examples); with a scale they are standardised, too, and multiplied by it."""
    h, layers = x.mT, sum(name.startswith("weight") for name in p)
    for i in range(layers):
        h = p[f"weight{i}"] @ h
        if i < layers - 1:
            h = standard(h, own)
            if f"gamma{i}" in p:
                h = h * p[f"gamma{i}"] + p[f"beta{i}"]
            h = torch.relu(h)
    h = h + p[f"bias{layers - 1}"] if f"bias{layers - 1}" in p else h
    return scale * standard(h, own) if scale else h


def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each run."""
    right = scores.gather(1, labels[:, None, :])[:, 0]
    return (torch.logsumexp(scores, 1) - right).mean(1)


def slopes(p: Weights, x: Tensor, labels: Tensor, scale: float = 0.0) -> Weights:
    """Gradients of the loss of each run on a batch of its own, from the last layer to the first."""
    layers, h = len_of(p), x.mT
    below, middle = [], []  # what goes into each matrix; what is standardised, and its deviation
    for i in range(layers):
        below.append(h)
        h = p[f"weight{i}"] @ h
        if i < layers - 1 or scale:
            h = h - h.mean(2, keepdim=True)
            deviation = (h * h).mean(2, keepdim=True).sqrt()
            h = h / deviation
            middle.append((h, deviation))
        if i < layers - 1:
            h = torch.relu(h * p[f"gamma{i}"] + p[f"beta{i}"] if f"gamma{i}" in p else h)
    last = f"bias{layers - 1}"
    h = scale * h if scale else h + p[last] if last in p else h
    slope = torch.softmax(h, 1)
    slope.scatter_add_(
        1, labels[:, None, :], torch.tensor(-1.0).double().expand(len(x), 1, x.shape[1])
    )
    slope = slope / x.shape[1]
    found = {last: slope.sum(2, keepdim=True)} if last in p else {}
    for i in reversed(range(layers)):
        if i < layers - 1:
            slope = slope * (below[i + 1] > 0)
        if i < layers - 1 or scale:
            z, deviation = middle[i]
            if f"gamma{i}" in p:
                found[f"gamma{i}"] = (slope * z).sum(2, keepdim=True)
                found[f"beta{i}"] = slope.sum(2, keepdim=True)
                slope = slope * p[f"gamma{i}"]
            slope = slope * (scale if i == layers - 1 else 1)
            along = (slope * z).mean(2, keepdim=True)
            slope = (slope - slope.mean(2, keepdim=True) - z * along) / deviation
        found[f"weight{i}"] = slope @ below[i].mT
        slope = p[f"weight{i}"].mT @ slope if i else slope
    return found


def len_of(p: Mapping[str, Tensor]) -> int:
    """The number of its matrices."""
    return sum(name.startswith("weight") for name in p)


def train(
    p: Weights, X: Tensor, y: Tensor, seeds: Sequence[int], steps: int, size: int, update: Update,
    scale: float = 0.0,
) -> Weights:  # fmt: skip
    """Train runs, each with the batches of its seed; a bias before a norm, which does nothing, stays."""
    kinds = sorted({*seeds})
    mine, streams = [kinds.index(seed) for seed in seeds], [batches(len(X), size, s) for s in kinds]
    for t in range(steps):
        rows = torch.tensor(np.array([next(stream) for stream in streams])[mine])
        update(t, p, slopes(p, X[rows], y[rows], scale))
    return p


def lengths(w: Tensor) -> Tensor:
    """Norm of each run's matrix."""
    return (w * w).sum((1, 2)).sqrt()


def column(values: Sequence[float]) -> Tensor:
    """One number for each run."""
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


def angle(w: Tensor, new: Tensor) -> Tensor:
    """Between each run's matrix and the next."""
    return ((w * new).sum((1, 2)) / lengths(w) / lengths(new)).clip(-1, 1).arccos()
