"""A sweep as data: its parts, checked against each other, and its chunks."""

import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from l2lib._arrays import as_array
from l2lib._checks import (
    COUNT,
    INDEX,
    POSITIVE,
    as_flag,
    as_number,
    check_mapping,
    shown,
)
from l2lib.datasets import Array, check_data
from l2lib.splits import HeldOutError, Part, Split, check_apart
from l2lib.sweep.models import Model
from l2lib.sweep.recipe import Configuration, Engine, Grid, Recipe, Record

CACHE = 3 * 2**19
"""Numbers of a chunk: parameters and activations, so that they stay close to the core."""


class Examples(NamedTuple):
    """Inputs (S, n, d) and targets (S, n), with S = 1 where all seeds share them."""

    X: Array
    y: Array


@dataclass(frozen=True, kw_only=True)
class Job:
    """Configurations to be trained, and all that it takes.

    Attributes:
        model: what is trained.
        parameters: names of its parameters, in order.
        grid: the whole sweep's.
        recipe: how each configuration is trained.
        record: what is written down.
        train: training examples.
        test: test examples, or None.
        dtype: "float64" or "float32".
        device: "cpu" or "cuda".
        configurations: those of the grid that this job trains.
    """

    model: Model
    parameters: Sequence[str]
    grid: Grid
    recipe: Recipe
    record: Record
    train: Examples
    test: Examples | None
    dtype: str
    device: str
    configurations: Sequence[Configuration]

    @property
    def steps(self) -> int:
        """Steps of all its configurations together."""
        return self.recipe.steps * len(self.configurations)

    def halves(self) -> Iterator["Job"]:
        """Two jobs with half of the configurations each; none if there is only one."""
        middle = len(self.configurations) // 2
        if middle:
            yield replace(self, configurations=self.configurations[:middle])
            yield replace(self, configurations=self.configurations[middle:])

    def chunks(self, size: int) -> Iterator["Job"]:
        """Jobs with so many configurations each; the last may have fewer."""
        for first in range(0, len(self.configurations), size):
            part = self.configurations[first : first + size]
            yield replace(self, configurations=part)


def chunk_size_for(job: Job, engine: Engine) -> int:
    """How many configurations are trained at once.

    Args:
        job: all of them.
        engine: its chunk_size, if given, is the most.

    Returns:
        A number ≥ 1.
    """
    configurations = len(job.configurations)
    batch = job.recipe.batch_size or job.train.y.shape[1]
    most = engine.chunk_size or configurations
    if engine.chunk_size is None and engine.device == "cpu":
        most = max(1, CACHE // job.model.size(batch))
    chunks = -(-configurations // most)
    if chunks > 1:
        chunks += chunks % 2  # an even number of about the same size, for two workers
    return -(-configurations // chunks)


def examples(
    name: Literal["train", "test"],
    data: Part | tuple[ArrayLike, ArrayLike],
    model: Model,
    loss: str,
    seeds: int,
) -> Examples:
    """Check data against a model, a loss and the number of seeds.

    Args:
        name: of the data, for messages.
        data: inputs, shape (n, d) or (seeds, n, d), and targets, shape (n,) or (seeds, n); or a
            part of a split that is for this.
        model: what is to be trained.
        loss: it decides what targets are.
        seeds: how many there are.

    Returns:
        The data, with an axis for seeds.

    Raises:
        HeldOutError: if the part is for something else.
        ValueError: if they do not fit.
    """
    if isinstance(data, Part):
        if data.role != name:
            raise HeldOutError(f"{name} is a {data.role} part; give the {name} part of the split")
        data = (data.X, data.y)
    if not isinstance(data, tuple | list) or len(data) != 2:
        todo = f"; give its .{name} part" if isinstance(data, Split) else ""
        got = f"got a {type(data).__name__}{todo}"
        raise ValueError(f"{name} must be a pair, inputs and targets; {got}")
    classes = model.outputs if loss == "cross_entropy" else None
    try:
        X, y = check_data(data[0], data[1], classes=classes)
    except ValueError as error:
        raise ValueError(f"{error}" if name == "train" else f"{name}: {error}") from None
    shape = X.shape
    if X.ndim == 2:
        X, y = X[None], y[None]
    if X.ndim != 3 or X.shape[2] != model.inputs or len(X) not in (1, seeds):
        need = f"(n, {model.inputs}), or ({seeds}, n, {model.inputs}) for one data set a seed"
        inputs = "X" if name == "train" else f"{name}'s X"
        raise ValueError(f"{inputs} has shape {shape}; need {need}")
    return Examples(X, y)


def check_start(start: object, unit_norm: Sequence[str] = ()) -> None:
    """Refuse initial parameters whose names are not a role and a number, as decay goes by role.

    Args:
        start: what the model's ``initial`` returned: arrays (out, in) by name.
        unit_norm: parameters that are to be brought to norm one.

    Raises:
        ValueError: if there is none, one has no number, is no finite matrix, or is zero and so
            cannot have norm one.
    """
    check_mapping("model.initial(0)", start, "arrays (out, in) by name, such as weight0")
    assert isinstance(start, Mapping)
    wrong = [name for name in start if not re.fullmatch(r"[A-Za-z_]+\d+", str(name))]
    if wrong or not start:
        wanted = "a model calls its parameters by role and number, such as weight0"
        raise ValueError(f"parameters are {list(start)}: {wanted}")
    for name, values in start.items():
        w = as_array(f"the initial {name}", values)
        if w.ndim != 2 or not np.isfinite(w).all():
            wanted = "a parameter is a finite matrix, shape (out, in)"
            raise ValueError(f"the initial {name} is {shown(values)}, shape {w.shape}; {wanted}")
        if name in unit_norm and not w.any():
            why = f"{name} begins at zero, which no factor brings to norm one"
            raise ValueError(f"unit_norm: {why}; leave it out, or choose another init")


def check_model(model: object) -> None:
    """Refuse what is no model.

    Args:
        model: what was given.

    Raises:
        ValueError: if it is a class, or lacks something that ``Model`` has, or says of itself what
            no model can be.
    """
    if isinstance(model, type):
        wanted = f"give an instance, such as {model.__name__}((64, 10))"
        raise ValueError(f"model is the class {model.__name__}; {wanted}")
    parts = ("inputs", "outputs", "batch_statistics", "size", "initial", "__call__")
    if missing := [part for part in parts if not hasattr(model, part)]:
        wanted = f"give an MLP, a CNN, or a Model of your own; it lacks {', '.join(missing)}"
        raise ValueError(f"model is a {type(model).__name__}; {wanted}")
    own: Any = model
    as_number("model.inputs", own.inputs, COUNT)
    as_number("model.outputs", own.outputs, COUNT)
    as_flag("model.batch_statistics", own.batch_statistics)
    as_number("model.size(1)", own.size(1), POSITIVE)


def check_together(job: Job, reserved: Collection[str]) -> None:
    """Refuse parts that are wrong together; warn of a decay that float32 rounds away.

    Args:
        job: the whole sweep.
        reserved: names that a record may not have.

    Raises:
        ValueError: if two parts do not fit.
    """
    if taken := {*reserved} & {*job.record.functions}:
        raise ValueError(f"record {min(taken)!r} is taken; choose another name")
    n = job.train.y.shape[1]
    _check_batches(job.recipe.batch_size, job.record.evaluate_on, n)
    _check_model(job.model, job.recipe, n)
    rates = np.outer(job.grid.lr, job.grid.weight_decay)
    if job.dtype == "float32" and ((rates > 0) & (rates < 1e-6)).any():
        lost = "float32, with its 24 bits, rounds such a decay away; use float64"
        warnings.warn(f"ηλ < 1e-6: {lost}", stacklevel=3)


def check_held_out(job: Job, duplicates: int) -> None:
    """Refuse a test set that holds training examples.

    Args:
        job: the whole sweep.
        duplicates: so many test inputs of a seed may be training inputs too, ≥ 0.

    Raises:
        HeldOutError: if more are.
    """
    duplicates = as_number("duplicates", duplicates, INDEX)
    if job.test is not None:
        check_apart(Part(*job.train, "train"), Part(*job.test, "test"), duplicates)


def _check_batches(batch_size: int | None, evaluate_on: int | None, n: int) -> None:
    """Refuse batches that n training examples cannot fill."""
    if max(batch_size or 1, evaluate_on or 1) > n:
        asked = f"batch_size is {batch_size}, evaluate_on {evaluate_on}"
        raise ValueError(f"{asked}; there are only {n} training examples")


def _check_model(model: Model, recipe: Recipe, n: int) -> None:
    """Refuse a model whose outputs do not fit the loss, or whose statistics have one example."""
    if recipe.loss != "cross_entropy" and model.outputs != 1:
        raise ValueError(f"{recipe.loss} needs a model with one output, not {model.outputs}")
    if model.batch_statistics and (recipe.batch_size or n) < 2:
        raise ValueError("batch normalisation needs at least two examples in a batch")
