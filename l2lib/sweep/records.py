"""What is written down while a sweep trains, and the data set that it becomes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from l2lib.sweep.models import LOSSES, Parameters
from l2lib.sweep.updates import unit

LAYERED, EVALUATED = ["layer", "step"], ["evaluated"]
ABOUT = {  # of each record: what it is, its unit and its axes
    "train_loss": ("training loss without penalty", "", EVALUATED),
    "test_loss": ("test loss without penalty", "", EVALUATED),
    "train_accuracy": ("fraction of training examples classified rightly", "1", EVALUATED),
    "test_accuracy": ("fraction of test examples classified rightly", "1", EVALUATED),
    "norm": ("‖w‖", "1", LAYERED),
    "gradient_norm": ("‖g‖", "1", LAYERED),
    "cosine": ("cosine of w and g", "1", LAYERED),
    "angle": ("angle that w turns in the step that follows", "rad", LAYERED),
    "effective_lr": ("η/‖w‖²", "1", LAYERED),
}


class Records:
    """Preallocated tables by name, of shape (K, …, columns): a row a configuration, a column a recorded step.

    Args:
        job: the arguments of ``sweep``, and the rows of its grid that make up the chunk.
    """

    def __init__(self, job: SimpleNamespace) -> None:
        self.job, self.tables = job, dict[str, Tensor]()

    def _write(self, every: int, t: int, **values: Tensor) -> None:
        """Put values, shape (K, …), into the column of step t of tables with a column every so many steps."""
        for name, value in values.items():
            if name not in self.tables:
                if value.shape[:1] != (len(self.job.rows),):
                    found = f"record {name!r} returns shape {tuple(value.shape)}"
                    raise ValueError(f"{found}; its first axis must be the {len(self.job.rows)} configurations")
                floating = value.dtype if value.is_floating_point() else torch.float64
                shape = (*value.shape, 1 + self.job.steps // every)
                self.tables[name] = torch.full(shape, torch.nan, dtype=floating, device=value.device)
            self.tables[name][..., t // every] = value

    @torch.no_grad()
    def before(self, t: int, parameters: Parameters, gradients: Parameters, lr: Tensor) -> Parameters:
        """Record what a step starts from.

        Args:
            t: number of the step, 0 for the first.
            parameters: by name, shape (K, out, in).
            gradients: of the step's loss without penalty, the same.
            lr: η of the step, shape (K, 1, 1).

        Returns:
            Directions w/‖w‖ of the weight matrices, by name, for ``after``.
        """
        weights = {name: w for name, w in parameters.items() if name.startswith("weight")}
        norm = torch.stack([w.norm(dim=(1, 2)) for w in weights.values()], 1)  # (K, layers)
        gradient_norm = torch.stack([gradients[name].norm(dim=(1, 2)) for name in weights], 1)
        product = torch.stack([(w * gradients[name]).sum((1, 2)) for name, w in weights.items()], 1)
        values = {name: function(parameters, gradients) for name, function in (self.job.record or {}).items()}
        values |= {"norm": norm, "gradient_norm": gradient_norm, "effective_lr": lr[:, 0] / norm.square()}
        self._write(self.job.record_every, t, cosine=product / (norm * gradient_norm), **values)
        return {name: unit(w) for name, w in weights.items()}

    @torch.no_grad()
    def after(self, t: int, parameters: Parameters, directions: Parameters) -> None:
        """Record how far a step turned each weight matrix, as tan(θ/2), accurate for small angles too (Kahan 2006).

        Args:
            t: number of the step.
            parameters: by name, after the step.
            directions: what ``before`` returned.
        """
        pairs = [(u, unit(parameters[name])) for name, u in directions.items()]
        tangents = [(u - v).norm(dim=(1, 2)) / (u + v).norm(dim=(1, 2)) for u, v in pairs]
        self._write(self.job.record_every, t, angle=torch.stack(tangents, 1))

    def evaluate(self, t: int, name: str, outputs: Tensor, targets: Tensor) -> None:
        """Record the loss of a data set, and the accuracy if the targets are labels.

        Args:
            t: number of the step that comes next.
            name: "train" or "test".
            outputs: of the models, shape (K, out, n).
            targets: shape (K, n).
        """
        values = {f"{name}_loss": LOSSES[self.job.loss](outputs, targets)}
        if self.job.loss == "cross_entropy":
            values[f"{name}_accuracy"] = (outputs.argmax(1) == targets).to(outputs.dtype).mean(1)
        self._write(self.job.evaluate_every, t, **values)


def dataset(job: SimpleNamespace, grid: dict[str, list[float]], tables: dict[str, NDArray[Any]]) -> xr.Dataset:
    """All tables, with the configurations' axis unfolded into dimensions, and units.

    Args:
        job: the arguments of ``sweep``.
        grid: values of each dimension; those that the caller gave as one number make none.
        tables: by name, a row a configuration in the grid's order: records, and the final parameters.

    Returns:
        The data set that ``sweep`` describes.
    """
    dims = [name for name in grid if np.ndim(getattr(job, name))]
    coords: dict[str, Any] = {name: values if name in dims else values[0] for name, values in grid.items()}
    evaluated = "step" if job.evaluate_every == job.record_every else "evaluated_step"
    coords[evaluated] = np.arange(0, job.steps + 1, job.evaluate_every)
    coords["step"] = np.arange(0, job.steps + 1, job.record_every)
    data = xr.Dataset(coords=coords, attrs={"model": repr(job.model), "optimizer": job.optimizer, "loss": job.loss})
    for name, table in tables.items():
        words, unit, axes = ABOUT.get(name, ("", "", [*(f"{name}_{i}" for i in range(table.ndim - 2)), "step"]))
        if name in job.decay_factors:
            words, unit, axes = "final parameter", "1", [f"{name}_out", f"{name}_in"]
        elif axes == EVALUATED:
            unit, axes = unit or ("nat" if job.loss == "cross_entropy" else "target²"), [evaluated]
        elif name == "angle":  # not in the chunks: torch.atan rounds a number by where it stands in its tensor
            table = 2 * np.arctan(table)
        shape = [*(len(grid[dim]) for dim in dims), *table.shape[1:]]
        data[name] = xr.Variable([*dims, *axes], table.reshape(shape), {"long_name": words, "units": unit})
    return data
