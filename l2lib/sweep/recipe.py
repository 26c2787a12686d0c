"""What a sweep may be asked: every argument is checked, and names the way out, before anything is trained."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import ArrayLike

from l2lib.datasets import Array, check_data
from l2lib.sweep.models import LOSSES
from l2lib.sweep.records import ABOUT
from l2lib.sweep.updates import RULES

RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lr init_scale": ("a finite number > 0", lambda v: v > 0),
    "weight_decay adam_eps": ("a finite number ≥ 0", lambda v: v >= 0),
    "momentum beta2": ("in [0, 1)", lambda v: 0 <= v < 1),
    "seeds": ("a whole number ≥ 0", lambda v: v >= 0 and v == int(v)),
    "steps batch_size chunk_size workers": ("a whole number ≥ 1", lambda v: v >= 1 and v == int(v)),
    "record_every evaluate_every evaluate_on": ("a whole number ≥ 1", lambda v: v >= 1 and v == int(v)),
}


def check(
    job: SimpleNamespace, train: tuple[ArrayLike, ArrayLike], test: tuple[ArrayLike, ArrayLike] | None,
    schedule: Callable[[int], float] | None,
) -> None:  # fmt: skip
    """Refuse arguments that are out of range, fill in defaults, warn of a decay that float32 rounds away.

    Args:
        job: the other arguments of ``sweep``; afterwards ``momentum`` and ``evaluate_every`` are not None, ``decay``
            and ``project`` hold a number for every parameter, ``factors`` the schedule's, and ``sets`` the data.
        train: inputs (n, d) or (S, n, d), and targets (n,) or (S, n).
        test: the same, or None.
        schedule: factor ≥ 0 as a function of the step, or None for 1.

    Raises:
        ValueError: if an argument is out of range, or data do not fit each other, the model, the loss and the seeds.
    """
    for names, (words, valid) in RANGES.items():
        for name in names.split():
            values = getattr(job, name)
            if np.ndim(values) > 1 or np.size(values) == 0:
                raise ValueError(f"{name} is {values!r}; give a number or a list with at least one value")
            for value in np.atleast_1d(values):
                if value is not None and not (np.isfinite(value) and valid(value)):
                    raise ValueError(f"{name} is {value}; it must be {words}")
    job.seed = job.seeds = np.asarray(job.seeds).tolist()
    if len(set(job.seeds)) < len(job.seeds):
        raise ValueError(f"seeds holds a seed twice: {job.seeds}; such configurations would be the same")
    for name, choices in (("loss", [*LOSSES]), ("optimizer", [*RULES]), ("dtype", ["float64", "float32"])):
        if getattr(job, name) not in choices:
            raise ValueError(f"{name} is {getattr(job, name)!r}; choose one of {', '.join(choices)}")
    if job.loss != "cross_entropy" and job.model.widths[-1] != 1:
        raise ValueError(f"{job.loss} needs a model with one output, not {job.model.widths[-1]}")
    if job.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {job.device!r}, but PyTorch finds no GPU here; use 'cpu'")
    if job.dtype == "float32" and np.any(((rate := np.outer(job.lr, job.weight_decay)) > 0) & (rate < 1e-6)):
        warnings.warn("ηλ < 1e-6: float32, with its 24 bits, rounds such a decay away; use float64", stacklevel=3)
    if taken := {*ABOUT, *job.model.initial(0)} & {*(job.record or {})}:
        raise ValueError(f"record {min(taken)!r} is taken; choose another name")
    job.evaluate_every = job.evaluate_every or job.record_every
    job.momentum = RULES[job.optimizer][2] if job.momentum is None else job.momentum
    parameters = list(job.model.initial(0))
    job.decay_factors = _by_parameter({"weight": 1.0} if job.decay_factors is None else job.decay_factors, parameters)
    job.unit_norm = _by_parameter(dict.fromkeys(job.unit_norm, 1.0), parameters)
    job.factors = _factors(schedule, job.steps)
    job.sets = {name: _data(job, *data) for name, data in (("train", train), ("test", test)) if data is not None}
    _check_sizes(job, job.sets["train"][1].shape[1])


def _factors(schedule: Callable[[int], float] | None, steps: int) -> list[float]:
    """A schedule as numbers, one for every step and one more: a recipe that any process can read."""
    values = [1.0 if schedule is None else float(schedule(t)) for t in range(steps + 1)]
    for t, value in enumerate(values):
        if not 0 <= value < np.inf:
            raise ValueError(f"schedule returns {value} at step {t}; it must be a finite number ≥ 0")
    return values


def _check_sizes(job: SimpleNamespace, n: int) -> None:
    """Refuse batches that n training examples cannot fill."""
    if max(job.batch_size or 1, job.evaluate_on or 1) > n:
        asked = f"batch_size is {job.batch_size}, evaluate_on {job.evaluate_on}"
        raise ValueError(f"{asked}; there are only {n} training examples")
    if job.model.norm == "batch" and (job.batch_size or n) < 2:
        raise ValueError("batch normalisation needs at least two examples in a batch")


def _data(job: SimpleNamespace, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Inputs (S, n, d) and targets (S, n), with S = 1 where all seeds share them."""
    X, y = check_data(X, y, classes=job.model.widths[-1] if job.loss == "cross_entropy" else None)
    X, y = (X[None], y[None]) if X.ndim == 2 else (X, y)
    if X.ndim != 3 or X.shape[2] != job.model.inputs or len(X) not in (1, len(job.seeds)):
        raise ValueError(f"X has shape {X.shape}; need (n, {job.model.inputs}), or {len(job.seeds)} seeds first")
    return X, y


def _by_parameter(given: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """What is said of roles ("weight") and single parameters ("weight0", which win), for every parameter."""
    roles = {name: name.rstrip("0123456789") for name in names}
    for name, value in given.items():
        if name not in {*roles, *roles.values()} or not 0 <= value < np.inf:
            known = ", ".join([*dict.fromkeys(roles.values()), *roles])
            raise ValueError(f"{name!r}: {value}, but need a finite number ≥ 0 for one of {known}")
    return {name: given.get(name, given.get(role, 0.0)) for name, role in roles.items()}
