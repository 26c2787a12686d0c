"""Train one chunk of a sweep: configurations side by side, each as if it were alone."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2lib._checks import shown
from l2lib.datasets import Array, minibatches
from l2lib.sweep.job import Examples, Job
from l2lib.sweep.models import LOSSES, Parameters, role_of
from l2lib.sweep.records import Records
from l2lib.sweep.updates import RULES, Step, unit
from l2lib.sweep.workers import Tick, prepare_process


def train_chunk(job: Job, tick: Tick) -> dict[str, Array]:
    """Train a job's configurations, in whatever thread or process this is.

    Args:
        job: what is trained, all of it at once.
        tick: called after every step with the number of configurations.

    Returns:
        Records and final parameters by name, a row a configuration.
    """
    prepare_process()
    torch.set_num_threads(1)  # the products are small, and other chunks use the other cores
    chunk = Chunk(job)
    records = Records(job)
    n = job.train.y.shape[1]
    batches = minibatches(n, job.recipe.batch_size, chunk.seeds)
    for t in range(job.recipe.steps + 1):
        if t % job.record.evaluate_every == 0:
            chunk.evaluate(t, records)
        recorded = t % job.record.every == 0
        ended = t == job.recipe.steps
        if ended and not recorded:
            break
        gradients = chunk.gradients(next(batches))
        step = chunk.step(t)
        directions = {}
        if recorded:
            directions = records.before(t, chunk.parameters, gradients, step.lr)
        if ended:
            break
        chunk.take(step, gradients)
        if recorded:
            records.after(t, chunk.parameters, directions)
        tick(len(job.configurations))
    tables = records.tables | chunk.parameters
    return {name: table.detach().cpu().numpy() for name, table in tables.items()}


class Chunk:
    """Configurations that are trained together: data, parameters and hyper-parameters.

    Args:
        job: what is trained.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.like = torch.empty(0, dtype=getattr(torch, job.dtype), device=job.device)
        self.seeds = sorted({each.seed for each in job.configurations})
        places = [self.seeds.index(each.seed) for each in job.configurations]
        self.seed_of = torch.tensor(places, device=job.device)
        self.train = self._load(job.train)
        self.test = None if job.test is None else self._load(job.test)
        self.lr = self._column(each.lr for each in job.configurations)
        self.momentum = self._momentum()
        self.weight_decay = self._weight_decay()
        self.parameters = self._start()
        buffers = range(RULES[job.recipe.optimizer].buffers)
        self.buffers = {
            name: [torch.zeros_like(w) for _ in buffers] for name, w in self.parameters.items()
        }

    def _column(self, values: Iterable[float]) -> Tensor:
        """A number for each configuration, shape (K, 1, 1)."""
        return self.like.new_tensor([[[value]] for value in values])

    def _momentum(self) -> Tensor | None:
        """μ; None if it is 0 in the whole sweep, and so in every chunk alike."""
        if not np.any(self.job.grid.momentum):
            return None
        return self._column(each.momentum for each in self.job.configurations)

    def _weight_decay(self) -> dict[str, Tensor | None]:
        """λ of each parameter, its factor included; None where no configuration decays it."""
        weight_decay = self._column(each.weight_decay for each in self.job.configurations)
        none = not np.any(self.job.grid.weight_decay)
        return {
            name: None if none or factor == 0 else weight_decay * factor
            for name, factor in self.job.recipe.decay_factors.items()
        }

    def _start(self) -> Parameters:
        """Initial parameters, each seed's for its configurations."""
        starts = [self.job.model.initial(seed) for seed in self.seeds]
        init_scale = self._column(each.init_scale for each in self.job.configurations)
        parameters: Parameters = {}
        for name in self.job.parameters:
            by_seed = self._stacked(name, starts)
            w = self.like.new_tensor(by_seed)[self.seed_of]
            if role_of(name) == "weight":
                w *= init_scale
            if name in self.job.recipe.unit_norm:
                w = unit(w)
            parameters[name] = w.requires_grad_()
        return parameters

    def _stacked(self, name: str, starts: Sequence[Mapping[str, Array]]) -> Array:
        """A parameter's initial values, one matrix a seed."""
        values = [np.asarray(start[name], dtype=np.float64) for start in starts if name in start]
        shapes = {value.shape for value in values}
        if len(values) < len(starts) or len(shapes) > 1:
            wanted = "every seed begins with parameters of the same names and shapes"
            raise ValueError(f"model.initial gives {name} of shapes {sorted(shapes)}; {wanted}")
        return np.stack(values)

    def _load(self, examples: Examples) -> tuple[Tensor, Tensor]:
        """Inputs (U, n, d) and targets (U, n) of the chunk's U seeds; U = 1 if they share them."""
        X, y = examples
        if len(X) > 1:
            seeds = self.job.grid.axes()["seed"]
            own = [seeds.index(seed) for seed in self.seeds]
            X, y = X[own], y[own]
        labels = self.job.recipe.loss == "cross_entropy"
        dtype = torch.int64 if labels else self.like.dtype
        return self.like.new_tensor(X), self.like.new_tensor(y, dtype=dtype)

    def each(self, data: Tensor) -> Tensor:
        """What seeds have, (U, …), as what configurations have, (K, …)."""
        if len(data) == 1:
            return data.expand(len(self.seed_of), *data.shape[1:])
        return data[self.seed_of]

    def gradients(self, batch: NDArray[np.int64]) -> Parameters:
        """Gradients of the loss on a minibatch, by parameter.

        Args:
            batch: numbers of examples, shape (seeds, batch).

        Returns:
            Shapes (K, out, in).

        Raises:
            ValueError: if the model's outputs do not depend on a parameter.
        """
        rows = torch.from_numpy(batch).to(self.like.device, non_blocking=True)
        inputs, targets = self.train
        data_set = torch.zeros_like(rows[:, :1])  # the number of each seed's own
        if len(inputs) > 1:
            data_set = torch.arange(len(rows), device=rows.device)[:, None]
        x = self.each(inputs[data_set, rows])
        y = self.each(targets[data_set, rows])
        losses = LOSSES[self.job.recipe.loss](self.job.model(self.parameters, x), y)
        # Row k of the sum's gradient is the gradient of configuration k's own loss.
        total = losses.sum()
        if not total.requires_grad:
            todo = "compute them from the tensors that the model is called with, without detaching"
            raise ValueError(f"the model's outputs do not depend on its parameters; {todo}")
        found = torch.autograd.grad(total, list(self.parameters.values()), allow_unused=True)
        gradients = dict(zip(self.parameters, found, strict=True))
        if unused := [name for name, gradient in gradients.items() if gradient is None]:
            todo = "leave them out of initial, or use them"
            raise ValueError(f"the model's outputs do not depend on {', '.join(unused)}; {todo}")
        return gradients

    def step(self, t: int) -> Step:
        """The numbers of step t, 0 for the first, that all parameters share."""
        recipe = self.job.recipe
        schedule = recipe.schedule[t]
        return Step(
            t=t + 1,
            schedule=schedule,
            lr=self.lr * schedule,
            momentum=self.momentum,
            weight_decay=None,
            beta2=recipe.beta2,
            adam_eps=recipe.adam_eps,
        )

    @torch.no_grad()
    def take(self, step: Step, gradients: Parameters) -> None:
        """Update every parameter; then bring to norm one what is kept there."""
        rule = RULES[self.job.recipe.optimizer]
        for name, w in self.parameters.items():
            update = rule.for_role(role_of(name))
            own = step._replace(weight_decay=self.weight_decay[name])
            update(w, gradients[name], *self.buffers[name], own)
            if name in self.job.recipe.unit_norm:
                w.copy_(unit(w))

    @torch.no_grad()
    def evaluate(self, t: int, records: Records) -> None:
        """Record losses; batch normalisation takes its statistics from the training examples."""
        first = slice(self.job.record.evaluate_on)
        inputs, targets = (data[:, first] for data in self.train)
        model = self.job.model
        outputs = model(self.parameters, self.each(inputs))
        wanted = (len(self.job.configurations), model.outputs, inputs.shape[1])
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else None
        if shape != wanted:  # another order might fit a loss, and mean something else
            got = f"the model returns {f'shape {shape}' if shape else shown(outputs)}"
            raise ValueError(f"{got}; it must be (configurations, outputs, examples), {wanted}")
        records.evaluate(t, "train", outputs, self.each(targets))
        if self.test is None:
            return
        test_inputs, test_targets = self.test
        parts = []
        for part in torch.split(test_inputs, inputs.shape[1], 1):
            known = inputs.shape[1] if model.batch_statistics else 0
            both = beside(inputs[:, :known], part)
            found = model(self.parameters, self.each(both), known or None)
            parts.append(found[..., known:])
        records.evaluate(t, "test", torch.cat(parts, 2), self.each(test_targets))


def beside(first: Tensor, second: Tensor) -> Tensor:
    """Two sets of examples as one; what all seeds share is repeated for each seed of the other.

    Args:
        first: shape (U, n, d), or (1, n, d).
        second: shape (U, m, d), or (1, m, d).

    Returns:
        Shape (U, n + m, d).
    """
    seeds = max(len(first), len(second))
    return torch.cat([first.expand(seeds, -1, -1), second.expand(seeds, -1, -1)], 1)
