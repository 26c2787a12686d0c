"""Train every configuration of a sweep at once."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import product
from types import SimpleNamespace

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from l2lib.datasets import Array, minibatches
from l2lib.sweep import recipe as arguments
from l2lib.sweep import updates
from l2lib.sweep.models import LOSSES, MLP, Parameters
from l2lib.sweep.records import Records, dataset
from l2lib.sweep.workers import run

# One torch thread, unless OMP_NUM_THREADS asks for more: sweeps are small products, and their workers are threads.
# It is OpenMP's variable, and may be a list ("4,2": four threads, of which each may start two) or no number at all.
_asked = re.match(r"\s*([1-9]\d{0,4})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""), re.ASCII)
torch.set_num_threads(int(_asked[1]) if _asked else 1)

Values = float | Sequence[float]
Record = Callable[[Parameters, Parameters], Tensor]
DIMENSIONS = ("seed", "lr", "weight_decay", "momentum", "init_scale")
CACHE = 3 * 2**19  # numbers: parameters and activations of a chunk, so that they stay close to the core


def sweep(
    model: MLP, X: ArrayLike, y: ArrayLike, *, test: tuple[ArrayLike, ArrayLike] | None = None,
    lr: Values, weight_decay: Values = 0.0, momentum: Values | None = None, init_scale: Values = 1.0,
    seeds: Sequence[int] = (0,), steps: int, batch_size: int | None = None, loss: str = "half_mse",
    optimizer: str = "sgd", decay_factors: Mapping[str, float] | None = None, unit_norm: Sequence[str] = (),
    schedule: Callable[[int], float] | None = None, beta2: float = 0.999, adam_eps: float = 1e-8,
    record: Mapping[str, Record] | None = None, record_every: int = 1, evaluate_every: int | None = None,
    evaluate_on: int | None = None, dtype: str = "float64", device: str = "cpu", chunk_size: int | None = None,
    workers: int | None = None, executor: Executor | None = None, progress: bool = True,
) -> xr.Dataset:  # fmt: skip
    """Train a model for every combination of seed, learning rate, weight decay, momentum and initial scale.

    A seed draws the initial parameters and the order of the minibatches, so that configurations of one seed differ in
    nothing but their hyper-parameters. A configuration that diverges is data: its records become inf or nan, and no
    other is touched. Results do not depend on chunk_size, workers or executor, to the last bit.

    Args:
        model: what to train, an ``MLP`` or a ``CNN``.
        X: training inputs, shape (n, d), or (S, n, d) for one data set a seed.
        y: targets, shape (n,) or (S, n): numbers for "half_mse" and "mse", class labels for "cross_entropy".
        lr: learning rate η > 0. Here and in the next three, a list makes a dimension of the result.
        weight_decay: λ ≥ 0, of the penalty (λ/2)‖w‖² that is added to the mean loss.
        momentum: μ in [0, 1), or Adam's β₁; None means 0, and 0.9 for Adam.
        init_scale: factor > 0 on the initial weight matrices.
        seeds: S seeds ≥ 0, each once.
        steps: updates of every configuration, ≥ 1.
        batch_size: examples a step, drawn without replacement epoch by epoch; None means all n.
        loss: "half_mse", "mse" or "cross_entropy".
        optimizer: a rule of ``l2lib.sweep.updates``: "sgd", "sgdw", "adam", "adamw", "adamw_paper" or "trust_ratio".
        decay_factors: factor ≥ 0 on λ by role ("weight", "bias", "gamma", "beta", "g") or parameter ("weight0", which
            wins); 0 for what is not named. None means {"weight": 1}.
        unit_norm: roles or parameters that are brought to norm one, at the start and after every step.
        schedule: factor on lr as a function of the step, 0 for the first.
        beta2: Adam's β₂ in [0, 1).
        adam_eps: Adam's ε ≥ 0.
        test: test inputs and targets, shaped as X and y, with any number of examples.
        record: functions of (parameters, gradients), both by name with K configurations, whose results (K, …) are kept.
        record_every: record before the first step and after every so many steps, ≥ 1.
        evaluate_every: the same for losses and accuracies, which then have a dimension ``evaluated_step`` of their own.
        evaluate_on: so many first examples (None: all n) give the training loss, and batch norm's statistics for tests.
        dtype: "float64" or "float32".
        device: "cpu" or "cuda".
        chunk_size: configurations trained at once, ≥ 1; None means as many as fit a core's cache, or all on a GPU.
        workers: threads, one chunk each at a time; None means one a core.
        executor: a ``concurrent.futures.Executor`` to train chunks in, instead of threads.
        progress: show a bar when it takes longer than two seconds.

    Returns:
        Dataset over seed and whatever is a list. By step: ``train_loss``, ``test_loss``, ``train_accuracy``,
        ``test_accuracy``. By layer and step, with the weight matrix w and its gradient g, of a minibatch and without
        penalty: ``norm`` ‖w‖, ``gradient_norm`` ‖g‖, ``cosine`` of w and g, ``effective_lr`` η/‖w‖², ``angle`` of the
        turn w takes next. What ``record`` says. The final parameters: ``weight0`` by weight0_out and weight0_in, …

    Raises:
        ValueError: if an argument is out of range or the arrays do not fit together.
        RuntimeError: if a configuration raises an error or its worker dies; it is named.
    """
    job = SimpleNamespace(**{k: v for k, v in locals().items() if k not in ("X", "y", "test", "schedule", "executor")})
    arguments.check(job, (X, y), test, schedule)
    n = job.sets["train"][1].shape[1]
    grid = {name: np.atleast_1d(getattr(job, name)).tolist() for name in DIMENSIONS}
    rows = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    numbers = sum(out * (fan_in + pixels * (batch_size or n)) for out, fan_in, _, pixels in model.layers())
    size = chunk_size or (max(1, CACHE // numbers) if device == "cpu" else len(rows))
    chunks = -(-len(rows) // size)
    size = -(-len(rows) // (chunks + chunks % 2 if chunks > 1 else 1))  # of even number and size, for two workers
    jobs = [SimpleNamespace(**vars(job), rows=rows[i : i + size]) for i in range(0, len(rows), size)]
    parts = run(_train, jobs, workers=workers, executor=executor, progress=progress)
    return dataset(job, grid, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _train(job: SimpleNamespace, tick: Callable[[int], None]) -> dict[str, Array]:
    """Train one chunk, in whatever thread or process this is; return its records and final parameters."""
    torch.set_num_threads(1)
    chunk, records = _Chunk(job), Records(job)
    batches = minibatches(chunk.train[1].shape[1], job.batch_size, chunk.seeds)
    for t in range(job.steps + 1):
        if t % job.evaluate_every == 0:
            chunk.evaluate(t, records)
        recorded = t % job.record_every == 0
        if t == job.steps and not recorded:
            break
        gradients, lr = chunk.gradients(next(batches)), chunk.lr * job.factors[t]
        directions = records.before(t, chunk.parameters, gradients, lr) if recorded else {}
        if t == job.steps:
            break
        step = updates.Step(t + 1, job.factors[t], lr, chunk.momentum, None, job.beta2, job.adam_eps)
        chunk.take(step, gradients)
        if recorded:
            records.after(t, chunk.parameters, directions)
        tick(len(job.rows))
    return {name: table.detach().cpu().numpy() for name, table in (records.tables | chunk.parameters).items()}


class _Chunk:
    """Configurations that are trained together: data, parameters and hyper-parameters."""

    def __init__(self, job: SimpleNamespace) -> None:
        self.job, self.like = job, torch.empty(0, dtype=getattr(torch, job.dtype), device=job.device)
        self.seeds = sorted({row["seed"] for row in job.rows})
        self.seed_of = torch.tensor([self.seeds.index(row["seed"]) for row in job.rows], device=job.device)
        self.train, *self.test = (self.load(*arrays) for arrays in job.sets.values())
        column = {name: self.like.new_tensor([[[row[name]]] for row in job.rows]) for name in DIMENSIONS[1:]}
        self.lr, self.momentum = column["lr"], column["momentum"] if np.any(job.momentum) else None
        decayed = np.any(job.weight_decay)
        self.weight_decay = {
            k: column["weight_decay"] * f if f and decayed else None for k, f in job.decay_factors.items()
        }
        starts, self.parameters = [job.model.initial(seed) for seed in self.seeds], Parameters()
        for name in starts[0]:
            w = self.like.new_tensor(np.stack([start[name] for start in starts]))[self.seed_of]
            w *= column["init_scale"] if name.startswith("weight") else 1
            self.parameters[name] = (updates.unit(w) if job.unit_norm[name] else w).requires_grad_()
        n_buffers = updates.RULES[job.optimizer][1]
        self.buffers = {k: [torch.zeros_like(w) for _ in range(n_buffers)] for k, w in self.parameters.items()}

    def load(self, X: Array, y: Array) -> tuple[Tensor, Tensor]:
        """Inputs (U, n, d) and targets (U, n) of the chunk's U seeds, or U = 1 where all seeds share them."""
        if len(X) > 1:
            X, y = (a[[self.job.seeds.index(seed) for seed in self.seeds]] for a in (X, y))
        labels = self.job.loss == "cross_entropy"
        return self.like.new_tensor(X), self.like.new_tensor(y, dtype=torch.int64 if labels else self.like.dtype)

    def each(self, data: Tensor) -> Tensor:
        """What seeds have, (U, …), as what configurations have, (K, …)."""
        return data.expand(len(self.seed_of), *data.shape[1:]) if len(data) == 1 else data[self.seed_of]

    def gradients(self, batch: NDArray[np.int64]) -> Parameters:
        """Gradients of the loss on a minibatch, by parameter."""
        rows = torch.from_numpy(batch).to(self.like.device, non_blocking=True)
        own = torch.arange(len(rows), device=rows.device)[:, None] * (len(self.train[0]) > 1)
        x, y = (self.each(data[own, rows]) for data in self.train)
        losses = LOSSES[self.job.loss](self.job.model(self.parameters, x), y)
        # Row k of the sum's gradient is the gradient of configuration k's own loss.
        gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()))
        return dict(zip(self.parameters, gradients, strict=True))

    @torch.no_grad()
    def take(self, step: updates.Step, gradients: Parameters) -> None:
        """Update every parameter; then bring to norm one what is projected."""
        for name, w in self.parameters.items():
            # A trust ratio is for weights, as usual; biases and the like take a step of SGD.
            rule = (
                "sgd" if self.job.optimizer == "trust_ratio" and not name.startswith("weight") else self.job.optimizer
            )
            here = step._replace(weight_decay=self.weight_decay[name])
            updates.RULES[rule][0](w, gradients[name], *self.buffers[name], here)
            if self.job.unit_norm[name]:
                w.copy_(updates.unit(w))

    @torch.no_grad()
    def evaluate(self, t: int, records: Records) -> None:
        """Record losses; batch normalisation takes its statistics from the training examples."""
        x, y = (data[:, : self.job.evaluate_on] for data in self.train)
        records.evaluate(t, "train", self.job.model(self.parameters, self.each(x)), self.each(y))
        n = x.shape[1] if self.job.model.norm == "batch" else 0
        for inputs, targets in self.test:
            seeds, outputs = max(len(x), len(inputs)), []
            for part in torch.split(inputs, x.shape[1], 1):
                both = torch.cat([x[:, :n].expand(seeds, -1, -1), part.expand(seeds, -1, -1)], 1)
                outputs.append(self.job.model(self.parameters, self.each(both), n or None)[..., n:])
            records.evaluate(t, "test", torch.cat(outputs, 2), self.each(targets))
