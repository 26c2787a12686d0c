"""What is written down while a sweep trains, and the data set that it becomes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from l2lib._checks import shown
from l2lib.sweep.job import Job
from l2lib.sweep.models import LOSSES, Parameters, role_of
from l2lib.sweep.updates import unit


class Variable(NamedTuple):
    """What a table holds."""

    words: str
    unit: str
    dims: tuple[str, ...]  # after those of the grid


LAYERED = ("layer", "step")
EVALUATED = ("evaluated",)
ABOUT = {
    "train_loss": Variable("training loss without penalty", "", EVALUATED),
    "test_loss": Variable("test loss without penalty", "", EVALUATED),
    "train_accuracy": Variable("fraction of training examples classified rightly", "1", EVALUATED),
    "test_accuracy": Variable("fraction of test examples classified rightly", "1", EVALUATED),
    "norm": Variable("‖w‖", "1", LAYERED),
    "gradient_norm": Variable("‖g‖", "1", LAYERED),
    "cosine": Variable("cosine of w and g", "1", LAYERED),
    "angle": Variable("angle that w turns in the step that follows", "rad", LAYERED),
    "effective_lr": Variable("η/‖w‖²", "1", LAYERED),
}
"""Every record that a sweep makes itself; an empty unit is the loss's."""


def taken_names(job: Job) -> set[str]:
    """Names that a record of the caller's may not have, as the data set uses them itself.

    Args:
        job: the whole sweep.

    Returns:
        The sweep's own records, its parameters, and all dimensions and coordinates.
    """
    sides = {f"{name}_{side}" for name in job.parameters for side in ("out", "in")}
    return {*ABOUT, *job.parameters, *sides, *job.grid.axes(), *LAYERED, "evaluated_step"}


class Records:
    """Tables by name, of shape (K, …, columns): a row a configuration, a column a recorded step.

    Args:
        job: whose configurations are recorded.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tables: dict[str, Tensor] = {}

    def _write(self, every: int, t: int, values: Mapping[str, Tensor]) -> None:
        """Put values, shape (K, …), into the column of step t; there is one every so many steps."""
        for name, value in values.items():
            if name not in self.tables:
                self.tables[name] = self._table(name, value, every)
            table = self.tables[name]
            if not isinstance(value, Tensor) or value.shape != table.shape[:-1]:
                first = f"it was {tuple(table.shape[:-1])} before"
                raise ValueError(f"record {name!r} returns {_shape(value)} at step {t}; {first}")
            table[..., t // every] = value

    def _table(self, name: str, value: Tensor, every: int) -> Tensor:
        """A table for values like this one, of nan."""
        configurations = len(self.job.configurations)
        wrong = not isinstance(value, Tensor) or value.is_complex() or value.is_meta
        if wrong or value.shape[:1] != (configurations,):
            must = f"its first axis must be the {configurations} configurations"
            wanted = "and it a tensor of real numbers"
            raise ValueError(f"record {name!r} returns {_shape(value)}; {must}, {wanted}")
        dtype = value.dtype if value.dtype in (torch.float32, torch.float64) else torch.float64
        shape = (*value.shape, 1 + self.job.recipe.steps // every)
        return torch.full(shape, torch.nan, dtype=dtype, device=value.device)

    @torch.no_grad()
    def before(
        self, t: int, parameters: Parameters, gradients: Parameters, lr: Tensor
    ) -> Parameters:
        """Record what a step starts from.

        Args:
            t: number of the step, 0 for the first.
            parameters: by name, shape (K, out, in).
            gradients: of the step's loss without penalty, the same.
            lr: η of the step, shape (K, 1, 1).

        Returns:
            Directions w/‖w‖ of the weight matrices, by name, for ``after``.
        """
        weights = {name: w for name, w in parameters.items() if role_of(name) == "weight"}
        slopes = [gradients[name] for name in weights]
        products = [(w * g).sum((1, 2)) for w, g in zip(weights.values(), slopes, strict=True)]
        norm = torch.stack([w.norm(dim=(1, 2)) for w in weights.values()], 1)  # (K, layers)
        gradient_norm = torch.stack([g.norm(dim=(1, 2)) for g in slopes], 1)
        functions = self.job.record.functions
        values = {name: function(parameters, gradients) for name, function in functions.items()}
        values["cosine"] = torch.stack(products, 1) / (norm * gradient_norm)
        values["norm"] = norm
        values["gradient_norm"] = gradient_norm
        values["effective_lr"] = lr[:, 0] / norm.square()
        self._write(self.job.record.every, t, values)
        return {name: unit(w) for name, w in weights.items()}

    @torch.no_grad()
    def after(self, t: int, parameters: Parameters, directions: Parameters) -> None:
        """Record how far a step turned each weight matrix: tan(θ/2), as Kahan (2006) computes it.

        Args:
            t: number of the step.
            parameters: by name, after the step.
            directions: what ``before`` returned.
        """
        tangents = []
        for name, old in directions.items():
            new = unit(parameters[name])
            tangents.append((old - new).norm(dim=(1, 2)) / (old + new).norm(dim=(1, 2)))
        self._write(self.job.record.every, t, {"angle": torch.stack(tangents, 1)})

    def evaluate(self, t: int, name: str, outputs: Tensor, targets: Tensor) -> None:
        """Record the loss of a data set, and the accuracy if the targets are labels.

        Args:
            t: number of the step that comes next.
            name: "train" or "test".
            outputs: of the models, shape (K, out, n).
            targets: shape (K, n).
        """
        loss = self.job.recipe.loss
        values = {f"{name}_loss": LOSSES[loss](outputs, targets)}
        if loss == "cross_entropy":
            right = (outputs.argmax(1) == targets).to(outputs.dtype)
            values[f"{name}_accuracy"] = right.mean(1)
        self._write(self.job.record.evaluate_every, t, values)


def _shape(value: object) -> str:
    """What a record is, for messages: a tensor's shape, or anything else as it is."""
    real = isinstance(value, Tensor) and not value.is_complex()
    return f"shape {tuple(value.shape)}" if real else shown(value)  # type: ignore[attr-defined]


def to_xarray(job: Job, tables: Mapping[str, NDArray[Any]]) -> xr.Dataset:
    """All tables, with the configurations' axis unfolded into dimensions, and units.

    Args:
        job: the whole sweep.
        tables: by name, a row a configuration in the grid's order: records, and the final
            parameters.

    Returns:
        The data set that ``sweep`` describes.
    """
    dims = job.grid.dimensions()
    axes = job.grid.axes()
    lengths = [len(axes[dim]) for dim in dims]
    about = {"model": repr(job.model), "optimizer": job.recipe.optimizer, "loss": job.recipe.loss}
    data = xr.Dataset(coords=_coordinates(job), attrs=about)
    for name, table in tables.items():
        if name == "angle":  # here, as torch.atan rounds a number by where it stands in its tensor
            table = 2 * np.arctan(table)
        variable = _variable(job, name, table)
        values = table.reshape(*lengths, *table.shape[1:])
        attributes = {"long_name": variable.words, "units": variable.unit}
        data[name] = xr.Variable([*dims, *variable.dims], values, attributes)
    return data


def _coordinates(job: Job) -> dict[str, Any]:
    """Values of the grid, steps, and the weight matrices' names."""
    dims = job.grid.dimensions()
    axes = job.grid.axes()
    coords: dict[str, Any] = {name: axes[name] if name in dims else axes[name][0] for name in axes}
    recorded = job.record.every
    coords[_evaluated(job)] = np.arange(0, job.recipe.steps + 1, job.record.evaluate_every)
    coords["step"] = np.arange(0, job.recipe.steps + 1, recorded)
    coords["layer"] = [name for name in job.parameters if role_of(name) == "weight"]
    return coords


def _evaluated(job: Job) -> str:
    """The dimension of losses and accuracies: "step", if they are recorded when norms are."""
    same = job.record.evaluate_every == job.record.every
    return "step" if same else "evaluated_step"


def _variable(job: Job, name: str, table: NDArray[Any]) -> Variable:
    """What a table holds, with its unit and dimensions in this sweep."""
    if name in job.parameters:
        return Variable("final parameter", "1", (f"{name}_out", f"{name}_in"))
    if name not in ABOUT:  # of the caller's own functions
        own = (f"{name}_{i}" for i in range(table.ndim - 2))
        return Variable("", "", (*own, "step"))
    variable = ABOUT[name]
    if variable.dims != EVALUATED:
        return variable
    of_loss = "nat" if job.recipe.loss == "cross_entropy" else "target²"
    return variable._replace(unit=variable.unit or of_loss, dims=(_evaluated(job),))
