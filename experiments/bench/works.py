"""What is trained: models, data and grids of configurations, as arrays that every contender can read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import SimpleNamespace

import numpy as np

from l2lib.datasets import Array, load, make_regression, minibatches
from l2lib.sweep import CNN, MLP

# Numbers of seeds, learning rates and weight decays that make up K configurations.
GRIDS = {1: (1, 1, 1), 4: (2, 2, 1), 8: (1, 4, 2), 24: (1, 6, 4), 64: (1, 8, 8), 96: (4, 6, 4), 192: (4, 8, 6)}
GRIDS |= {1023: (1, 33, 31)}


@dataclass(frozen=True)
class Work:
    """One kind of training.

    Attributes:
        model: from l2lib.
        data: gives inputs (n, d) and targets (n,).
        batch_size: examples a step.
        ks: numbers of configurations to train at once.
        steps: that a configuration is trained.
        budget: config-steps that are enough for a peer: with many configurations, peers take fewer steps.
        lr: range of learning rates by optimizer, in which nothing diverges.
    """

    model: MLP
    data: Callable[[], tuple[Array, Array]]
    batch_size: int
    ks: tuple[int, ...] = (8, 24, 64, 192)
    steps: int = 100
    budget: int = 4000
    lr: tuple[tuple[str, tuple[float, float]], ...] = (("sgd", (0.003, 0.03)), ("adamw", (1e-4, 1e-3)))

    def peer_steps(self, k: int) -> int:
        """Steps that a peer takes with K configurations."""
        return max(20, min(self.steps, self.budget // k))


def linear() -> tuple[Array, Array]:
    """A hundred examples with 200 inputs."""
    return make_regression(100, seed=0)


def digits() -> tuple[Array, Array]:
    """The book's digits, pixels from 0 to 1."""
    data = load("digits")
    return data.X / 16, data.y


@cache
def mnist1d() -> tuple[Array, Array]:
    """MNIST-1D's training set: 4000 signals of length 40, ten classes."""
    from mnist1d.data import get_dataset_args, make_dataset

    data = make_dataset(get_dataset_args())
    return data["x"].astype(np.float64), data["y"].astype(np.int64)


WIDTHS = (64, 128, 128, 10)
WORKS = {
    "linear": Work(
        MLP((200, 1)), linear, 5, (1, 8, 64, 192, 1023), 500, 200_000,
        lr=(("sgd", (3e-4, 3e-3)), ("adamw", (1e-4, 1e-3))),
    ),
    "MLP": Work(MLP(WIDTHS), digits, 32),
    "MLP, batch norm": Work(MLP(WIDTHS, norm="batch"), digits, 32),
    "MNIST-1D, batch norm": Work(MLP((40, 100, 100, 10), norm="batch"), mnist1d, 100, budget=2500),
    "CNN, batch norm": Work(CNN(norm="batch"), digits, 32, (8, 24), budget=200),
}  # fmt: skip


def job(name: str, k: int, steps: int, dtype: str, optimizer: str) -> SimpleNamespace:
    """One training of K configurations, spelled out.

    Args:
        name: of a work.
        k: number of configurations, one of GRIDS.
        steps: that each configuration takes.
        dtype: "float32" or "float64".
        optimizer: "sgd" or "adamw".

    Returns:
        The grid (seeds, lrs, decays); per configuration seed_of, lr and weight_decay, each (K,); for each seed the
        initial parameters, a dict of arrays, and the minibatches, rows (S, steps, batch); X, y and evaluate_on, the
        number of examples whose loss, as one batch, is compared; what was given, and what the work says.
    """
    work, (n_seeds, n_lrs, n_decays) = WORKS[name], GRIDS[k]
    seeds, (X, y) = list(range(n_seeds)), work.data()
    lrs, decays = np.geomspace(*dict(work.lr)[optimizer], n_lrs), np.geomspace(0.02, 0.2, n_decays)
    seed_of, lr, weight_decay = (axis.ravel() for axis in np.meshgrid(seeds, lrs, decays, indexing="ij"))
    return SimpleNamespace(
        work=name, k=k, steps=steps, dtype=dtype, optimizer=optimizer, batch_size=work.batch_size,
        seeds=seeds, lrs=lrs.tolist(), decays=decays.tolist(), seed_of=seed_of, lr=lr, weight_decay=weight_decay,
        initial=[work.model.initial(seed) for seed in seeds],
        rows=np.stack(list(islice(minibatches(len(X), work.batch_size, seeds), steps)), axis=1),
        X=X.astype(dtype), y=y.astype(dtype) if y.dtype.kind == "f" else y, evaluate_on=min(256, len(X)),
        norm=work.model.norm, image=getattr(work.model, "image", None),
    )  # fmt: skip
