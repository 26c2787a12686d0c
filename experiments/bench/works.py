"""What is trained: models, data and grids, as arrays that every contender can read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.bench.job import Configurations, Grid, Job, Optimizer
from l2lib.datasets import Array, load, make_regression, minibatches
from l2lib.sweep import CNN, MLP


class Sizes(NamedTuple):
    """Numbers of seeds, learning rates and weight decays that make up K configurations."""

    seeds: int
    lrs: int
    decays: int


GRIDS = {
    1: Sizes(1, 1, 1),
    4: Sizes(2, 2, 1),
    8: Sizes(1, 4, 2),
    24: Sizes(1, 6, 4),
    64: Sizes(1, 8, 8),
    96: Sizes(4, 6, 4),
    192: Sizes(4, 8, 6),
    1023: Sizes(1, 33, 31),
}


@dataclass(frozen=True)
class Rates:
    """Range of learning rates by optimizer, in which nothing diverges."""

    sgd: tuple[float, float] = (0.003, 0.03)
    adamw: tuple[float, float] = (1e-4, 1e-3)

    def of(self, optimizer: Optimizer) -> tuple[float, float]:
        """The range for "sgd" or "adamw"."""
        return {"sgd": self.sgd, "adamw": self.adamw}[optimizer]


class Data(NamedTuple):
    """Inputs (n, d) and targets (n,)."""

    X: Array
    y: Array | NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """One kind of training.

    Attributes:
        model: from l2lib.
        data: gives inputs and targets.
        batch_size: examples a step.
        ks: numbers of configurations to train at once.
        steps: that a configuration is trained.
        budget: config-steps that are enough for a peer: with many configurations, peers take fewer
            steps.
        lr: learning rates.
    """

    model: MLP | CNN
    data: Callable[[], Data]
    batch_size: int
    ks: tuple[int, ...] = (8, 24, 64, 192)
    steps: int = 100
    budget: int = 4000
    lr: Rates = Rates()

    def peer_steps(self, k: int) -> int:
        """Steps that a peer takes with K configurations."""
        return max(20, min(self.steps, self.budget // k))


def linear() -> Data:
    """A hundred examples with 200 inputs."""
    return Data(*make_regression(100, seed=0))


def digits() -> Data:
    """The book's digits, pixels from 0 to 1."""
    data = load("digits")
    return Data(data.X / 16, data.y)


@cache
def mnist1d() -> Data:
    """MNIST-1D's training set: 4000 signals of length 40, ten classes."""
    from mnist1d.data import get_dataset_args, make_dataset

    data = make_dataset(get_dataset_args())
    return Data(data["x"].astype(np.float64), data["y"].astype(np.int64))


WIDTHS = (64, 128, 128, 10)
WORKS = {
    "linear": Work(
        MLP((200, 1)),
        linear,
        5,
        ks=(1, 8, 64, 192, 1023),
        steps=500,
        budget=200_000,
        lr=Rates(sgd=(3e-4, 3e-3)),
    ),
    "MLP": Work(MLP(WIDTHS), digits, 32),
    "MLP, batch norm": Work(MLP(WIDTHS, norm="batch"), digits, 32),
    "MNIST-1D, batch norm": Work(MLP((40, 100, 100, 10), norm="batch"), mnist1d, 100, budget=2500),
    "CNN, batch norm": Work(CNN(norm="batch"), digits, 32, (8, 24), budget=200),
}


def job(name: str, k: int, steps: int, dtype: str, optimizer: Optimizer) -> Job:
    """One training of K configurations, spelled out.

    Args:
        name: of a work.
        k: number of configurations, one of GRIDS.
        steps: that each configuration takes.
        dtype: "float32" or "float64".
        optimizer: "sgd" or "adamw".

    Returns:
        The job.
    """
    work = WORKS[name]
    X, y = work.data()
    grid = grid_of(work, k, optimizer)
    axes = np.meshgrid(grid.seeds, grid.lr, grid.weight_decay, indexing="ij")
    batches = islice(minibatches(len(X), work.batch_size, grid.seeds), steps)
    return Job(
        work=name,
        optimizer=optimizer,
        dtype=dtype,
        steps=steps,
        X=X.astype(dtype),
        y=y.astype(dtype) if y.dtype.kind == "f" else y,
        evaluate_on=min(256, len(X)),
        rows=np.stack(list(batches), axis=1),
        initial=[work.model.initial(seed) for seed in grid.seeds],
        norm=work.model.norm is not None,
        image=getattr(work.model, "image", None),
        grid=grid,
        each=Configurations(*(axis.ravel() for axis in axes)),
    )


def grid_of(work: Work, k: int, optimizer: Optimizer) -> Grid:
    """Seeds, learning rates and weight decays that make up K configurations."""
    sizes = GRIDS[k]
    return Grid(
        seeds=list(range(sizes.seeds)),
        lr=np.geomspace(*work.lr.of(optimizer), sizes.lrs).tolist(),
        weight_decay=np.geomspace(0.02, 0.2, sizes.decays).tolist(),
    )
