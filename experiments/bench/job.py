"""What a contender is told to train. Every process reads it: it imports nothing but NumPy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Optimizer = Literal["sgd", "adamw"]
CHUNK = 24  # configurations that l2lib trains at a time


class Entry(NamedTuple):
    """A contender that trains K configurations with one worker or two."""

    contender: str
    k: int
    workers: int = 1


@dataclass(frozen=True)
class Grid:
    """The axes of K configurations, as ``sweep`` takes them."""

    seeds: list[int]
    lr: list[float]
    weight_decay: list[float]


@dataclass(frozen=True)
class Configurations:
    """The same one by one: shape (K,) each."""

    seed: NDArray[np.int64]
    lr: NDArray[np.float64]
    weight_decay: NDArray[np.float64]

    def split(self, parts: int) -> list["Configurations"]:
        """As many parts, as equal as can be."""
        columns = (self.seed, self.lr, self.weight_decay)
        shares = zip(*(np.array_split(column, parts) for column in columns), strict=True)
        return [Configurations(*share) for share in shares]


@dataclass(frozen=True)
class Engine:
    """How l2lib is to train; by default it records as a chapter does."""

    workers: int = 1
    record_every: int = 10
    evaluate_every: int = 100
    chunk_size: int | None = None


@dataclass(frozen=True)
class Job:
    """One training of K configurations, spelled out.

    Attributes:
        work: its name among the works.
        optimizer: "sgd" or "adamw".
        dtype: "float32" or "float64".
        steps: that each configuration takes.
        X: inputs (n, d).
        y: targets (n,).
        evaluate_on: number of examples whose loss, as one batch, is compared.
        rows: minibatches, row numbers (S, steps, batch) for S seeds.
        initial: initial parameters for each seed, by name.
        norm: whether hidden layers have batch norm.
        image: channels, height and width, where the model takes images.
        grid: the configurations as axes.
        each: the configurations one by one.
        engine: for l2lib only.
    """

    work: str
    optimizer: Optimizer
    dtype: str
    steps: int
    X: NDArray[np.floating]
    y: NDArray[np.floating] | NDArray[np.int64]
    evaluate_on: int
    rows: NDArray[np.int64]
    initial: list[dict[str, NDArray[np.float64]]]
    norm: bool
    image: tuple[int, ...] | None
    grid: Grid
    each: Configurations
    engine: Engine = Engine()

    @property
    def k(self) -> int:
        """How many configurations."""
        return len(self.each.lr)

    @property
    def batch_size(self) -> int:
        """Examples a step."""
        _, _, size = self.rows.shape
        return int(size)

    @property
    def n_layers(self) -> int:
        """Layers that have weights."""
        return sum(name.startswith("weight") for name in self.initial[0])

    def split(self, parts: int) -> list["Job"]:
        """As many jobs, each with a part of the configurations."""
        return [replace(self, each=each) for each in self.each.split(parts)]


class Task(NamedTuple):
    """A job made ready: what trains all configurations, and what then gives their losses."""

    run: Callable[[], object]
    losses: Callable[[], Iterable[Any]]
