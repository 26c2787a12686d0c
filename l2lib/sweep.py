"""Train every configuration of a sweep at once, and record what happens."""

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from l2lib.datasets import check_data
from l2lib.layers import LOSSES, MLP, Parameters
from l2lib.penalty import check_weight_decay
from l2lib.updates import sgd

Data = tuple[Tensor, Tensor]

# Sweeps are many small products, for which a second torch thread costs more than it brings. Importing this module
# therefore leaves torch with one thread in the whole process, unless OMP_NUM_THREADS asks for more.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)


def sweep(
    model: MLP,
    X: ArrayLike,
    y: ArrayLike,
    *,
    lr: Sequence[float],
    weight_decay: Sequence[float] = (0.0,),
    seeds: Sequence[int] = (0,),
    steps: int,
    batch_size: int | None = None,
    loss: str = "half_mse",
    momentum: float = 0.0,
    decay_bias: bool = False,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    record_every: int = 1,
) -> xr.Dataset:
    """Train a model by SGD for every combination of seed, learning rate and weight decay, all at once.

    A seed draws the initial parameters and the order of the minibatches: it is shared by the configurations of
    that seed, so that they differ in lr and weight decay alone. A configuration that diverges is data: its
    records become inf or nan, and no other configuration is touched.

    Args:
        model: what to train.
        X: training inputs, shape (n, d), or (S, n, d) for one data set a seed.
        y: targets, shape (n,) or (S, n): numbers for "half_mse" and "mse", class labels for "cross_entropy".
        lr: learning rates η, each > 0.
        weight_decay: λ ≥ 0 of the penalty (λ/2)‖w‖² that is added to the mean loss.
        seeds: S seeds ≥ 0.
        steps: SGD steps, ≥ 1.
        batch_size: examples a step, drawn without replacement epoch by epoch; a rest smaller than a batch is left
            out of its epoch. None means all n.
        loss: "half_mse", "mse" or "cross_entropy".
        momentum: μ in [0, 1).
        decay_bias: penalise biases too.
        test: test inputs and targets, shaped as X and y, with any number of examples.
        record_every: record before the first step and after every so many steps, ≥ 1.

    Returns:
        Dataset over (seed, lr, weight_decay, step): ``train_loss`` (over all n, without penalty), ``test_loss`` if
        there is a test set, ``norm`` with a dimension ``layer`` (‖W‖ of each weight matrix); and the final
        parameters, ``weight0`` with dimensions (weight0_out, weight0_in) and so on. The state after the last step is
        recorded if ``steps`` is a multiple of ``record_every``.

    Raises:
        ValueError: if an argument is out of range or the arrays do not fit together.
    """
    _check(lr, weight_decay, seeds, steps, batch_size, momentum, loss, record_every)
    sets = {"train_loss": _tensors(X, y, model, len(seeds), loss)}
    if test is not None:
        sets["test_loss"] = _tensors(*test, model, len(seeds), loss)
    per_seed = len(lr) * len(weight_decay)
    starts = [model.initial(seed) for seed in seeds]
    parameters = {
        name: torch.tensor(np.repeat([start[name] for start in starts], per_seed, axis=0), requires_grad=True)
        for name in starts[0]
    }
    buffers = {name: torch.zeros_like(w) for name, w in parameters.items()}
    grid = torch.tensor([(eta, decay) for _ in seeds for eta in lr for decay in weight_decay], dtype=torch.float64)
    eta, decay = grid.T[:, :, None, None]
    decayed = {name: decay for name in parameters if decay_bias or name.startswith("weight")}

    def losses(x: Tensor, targets: Tensor) -> Tensor:
        return LOSSES[loss](model(parameters, x), targets.repeat_interleave(per_seed, 0))

    records = _Records(sets, losses, parameters, 1 + steps // record_every)
    x, targets = sets["train_loss"]
    for step, batch in enumerate(_minibatches(x.shape[2], batch_size, seeds, steps)):
        if step % record_every == 0:
            records.take()
        # Row k of the summed losses' gradient is configuration k's own gradient.
        loss_sum = losses(*_rows(x, targets, batch)).sum()
        gradients = torch.autograd.grad(loss_sum, list(parameters.values()))
        named = dict(zip(parameters, gradients, strict=True))
        sgd(parameters, named, buffers, lr=eta, weight_decay=decayed, momentum=momentum)
    if steps % record_every == 0:
        records.take()
    return records.dataset({"seed": seeds, "lr": lr, "weight_decay": weight_decay}, record_every)


class _Records:
    """What is written down along the way: preallocated, a row a configuration, a column a recorded step."""

    def __init__(
        self, sets: dict[str, Data], losses: Callable[[Tensor, Tensor], Tensor], parameters: Parameters, columns: int
    ) -> None:
        self.sets, self.losses, self.parameters = sets, losses, parameters
        self.weights = [name for name in parameters if name.startswith("weight")]
        rows = len(parameters["weight0"])
        self.tables = {name: torch.empty(rows, columns, dtype=torch.float64) for name in sets}
        self.norms = torch.empty(rows, len(self.weights), columns, dtype=torch.float64)
        self.column = 0

    @torch.no_grad()
    def take(self) -> None:
        """Write the current losses and norms into the next column."""
        for name, (x, targets) in self.sets.items():
            self.tables[name][:, self.column] = self.losses(x, targets)
        for layer, name in enumerate(self.weights):
            self.norms[:, layer, self.column] = self.parameters[name].flatten(1).norm(dim=1)
        self.column += 1

    def dataset(self, coordinates: dict[str, Sequence[float]], record_every: int) -> xr.Dataset:
        """The records and the final parameters, with the configurations' axis unfolded into its dimensions."""
        dims, shape = tuple(coordinates), tuple(len(values) for values in coordinates.values())

        def unfold(table: Tensor, *names: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
            return (*dims, *names), table.detach().reshape(*shape, *table.shape[1:]).numpy()

        variables = {name: unfold(table, "step") for name, table in self.tables.items()}
        variables["norm"] = unfold(self.norms, "layer", "step")
        for name, w in self.parameters.items():
            variables[name] = unfold(w, f"{name}_out", f"{name}_in")
        steps = record_every * np.arange(self.column)
        return xr.Dataset(variables, coords={name: list(c) for name, c in coordinates.items()} | {"step": steps})


def _minibatches(n: int, batch_size: int | None, seeds: Sequence[int], steps: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each step's minibatch, shape (S, batch): each seed shuffles anew every epoch."""
    size = batch_size or n
    if size > n:
        raise ValueError(f"batch_size is {batch_size}, but there are only {n} training examples")
    streams = [np.random.default_rng([seed, 1]) for seed in seeds]  # not the stream of the initial parameters
    while True:
        order = np.stack([stream.permutation(n) for stream in streams])
        for first in range(0, n - size + 1, size):
            if steps == 0:
                return
            steps -= 1
            yield order[:, first : first + size]


def _rows(x: Tensor, targets: Tensor, batch: NDArray[np.int64]) -> Data:
    """One minibatch a seed: inputs (S, d, batch), targets (S, batch)."""
    index = torch.from_numpy(batch)
    return x.gather(2, index[:, None, :].expand(-1, x.shape[1], -1)), targets.gather(1, index)


def _tensors(X: ArrayLike, y: ArrayLike, model: MLP, n_seeds: int, loss: str) -> Data:
    """Data set as tensors: inputs (S, d, n), feature-major, and targets (S, n)."""
    X, y = check_data(X, y)
    shared, outputs = X.ndim == 2, model.widths[-1]
    if X.shape[-1] != model.widths[0] or not (shared or (X.ndim == 3 and len(X) == n_seeds)):
        raise ValueError(
            f"X has shape {X.shape}; need (n, {model.widths[0]}), or a first axis of {n_seeds} seeds before it"
        )
    if shared:
        X, y = np.repeat(X[None], n_seeds, 0), np.repeat(y[None], n_seeds, 0)
    if loss != "cross_entropy":
        if outputs != 1:
            raise ValueError(f"{loss} needs a model with one output; widths is {model.widths}")
        return torch.tensor(X.transpose(0, 2, 1)), torch.tensor(y)
    if (y != np.round(y)).any() or y.min() < 0 or y.max() >= outputs:
        raise ValueError(f"cross_entropy needs whole labels 0 … {outputs - 1}; got {y.min():g} to {y.max():g}")
    return torch.tensor(X.transpose(0, 2, 1)), torch.tensor(y.astype(np.int64))


def _check(
    lr: Sequence[float], weight_decay: Sequence[float], seeds: Sequence[int], steps: int, batch_size: int | None,
    momentum: float, loss: str, record_every: int,
) -> None:  # fmt: skip
    """Refuse arguments that are out of range."""
    for name, values in (("lr", lr), ("weight_decay", weight_decay), ("seeds", seeds)):
        if np.ndim(values) != 1 or len(values) == 0:
            raise ValueError(f"{name} is {values!r}; give a list with at least one value")
    for eta in lr:
        if not (eta > 0 and np.isfinite(eta)):
            raise ValueError(f"lr holds {eta}; a learning rate must be a positive number")
    for decay in weight_decay:
        check_weight_decay(decay)
    if steps < 1 or record_every < 1 or (batch_size is not None and batch_size < 1):
        raise ValueError(f"steps, record_every and batch_size must be ≥ 1; got {steps}, {record_every}, {batch_size}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; it must be in [0, 1)")
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}; choose one of {', '.join(LOSSES)}")
