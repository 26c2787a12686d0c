"""What a sweep may be asked: frozen pieces that check themselves before anything is trained."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from l2lib._checks import (
    BELOW_ONE,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    STEPS,
    as_flag,
    as_number,
    as_numbers,
    check_callable,
    check_choice,
    check_mapping,
    items_of,
    settle,
    shown,
)
from l2lib.sweep.models import LOSSES, Parameters, role_of
from l2lib.sweep.updates import RULES

Values = float | Sequence[float]
"""A number, or a list of them, which makes a dimension of the result."""

Loss = Literal["mse", "half_mse", "cross_entropy"]
Optimizer = Literal["sgd", "sgdw", "trust_ratio", "adam", "adamw", "adamw_paper"]
RecordFunction = Callable[[Parameters, Parameters], Tensor]
"""From parameters and gradients, both by name with K configurations, to what is kept: (K, …)."""

RECORDED = "{'bias': lambda w, g: w['bias0']}"
"""How ``record`` is written, for messages."""


class Configuration(NamedTuple):
    """One run of the sweep: a point of the grid."""

    seed: int
    lr: float
    weight_decay: float
    momentum: float
    init_scale: float

    def __str__(self) -> str:
        """In words, such as "configuration seed=0, lr=0.1, …"."""
        pairs = zip(self._fields, self, strict=True)
        return "configuration " + ", ".join(f"{name}={value:g}" for name, value in pairs)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Every combination of these is a configuration.

    Attributes:
        seed: seeds ≥ 0 and below 2³¹, each once.
        lr: learning rates η > 0.
        weight_decay: λ ≥ 0, of the penalty (λ/2)‖w‖².
        momentum: μ, or Adam's β₁, in [0, 1).
        init_scale: factors > 0 on the initial weight matrices.

    Raises:
        ValueError: if a number is out of its range, a list is empty, or a seed is given twice.
    """

    seed: Sequence[int]
    lr: Values
    weight_decay: Values
    momentum: Values
    init_scale: Values

    def __post_init__(self) -> None:
        settle(
            self,
            seed=_seeds(self.seed),
            lr=as_numbers("lr", self.lr, POSITIVE),
            weight_decay=as_numbers("weight_decay", self.weight_decay, NOT_NEGATIVE),
            momentum=as_numbers("momentum", self.momentum, BELOW_ONE),
            init_scale=as_numbers("init_scale", self.init_scale, POSITIVE),
        )
        seeds = self.axes()["seed"]
        if len(set(seeds)) < len(seeds):
            same = "such configurations would be the same"
            raise ValueError(f"seeds holds a seed twice: {seeds}; {same}")

    def axes(self) -> dict[str, list[float]]:
        """The values of each hyper-parameter, by name; one where the caller gave a number."""
        names = [each.name for each in fields(self)]
        return {name: np.atleast_1d(getattr(self, name)).tolist() for name in names}

    def dimensions(self) -> list[str]:
        """Names of the hyper-parameters that were given as lists."""
        return [each.name for each in fields(self) if np.ndim(getattr(self, each.name))]

    def configurations(self) -> list[Configuration]:
        """All combinations; the last hyper-parameter runs fastest."""
        points = product(*self.axes().values())
        return [Configuration(*point) for point in points]  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every configuration is trained.

    Attributes:
        steps: updates, 1 to a billion.
        batch_size: examples a step, ≥ 1; None means all.
        loss: of an example, averaged over a batch.
        optimizer: a name among ``l2lib.sweep.updates.RULES``.
        decay_factors: factor ≥ 0 on λ of each parameter.
        unit_norm: parameters that are kept at norm one.
        schedule: the factor ≥ 0 on lr, for each step and one more.
        beta2: Adam's β₂ in [0, 1).
        adam_eps: Adam's ε ≥ 0.

    Raises:
        ValueError: if a number is out of its range, or a name unknown.
    """

    steps: int
    batch_size: int | None
    loss: Loss
    optimizer: Optimizer
    decay_factors: Mapping[str, float]
    unit_norm: Sequence[str]
    schedule: Sequence[float]
    beta2: float
    adam_eps: float

    def __post_init__(self) -> None:
        settle(
            self,
            steps=as_number("steps", self.steps, STEPS),
            batch_size=_count("batch_size", self.batch_size),
            beta2=as_number("beta2", self.beta2, BELOW_ONE),
            adam_eps=as_number("adam_eps", self.adam_eps, NOT_NEGATIVE),
        )
        check_choice("loss", self.loss, LOSSES)
        check_choice("optimizer", self.optimizer, RULES)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is written down, and when.

    Attributes:
        functions: of (parameters, gradients), by the name of what they return.
        every: norms, angles and functions, before the first step and after every so many, ≥ 1.
        evaluate_every: the same for losses and accuracies.
        evaluate_on: so many first examples give the training loss, ≥ 1; None means all.

    Raises:
        ValueError: if a number is out of its range, or a function cannot be called.
    """

    functions: Mapping[str, RecordFunction] = field(default_factory=dict)
    every: int = 1
    evaluate_every: int = 1
    evaluate_on: int | None = None

    def __post_init__(self) -> None:
        check_mapping("record", self.functions, f"functions by name, such as {RECORDED}")
        for name, function in self.functions.items():
            if not isinstance(name, str):
                raise ValueError(f"record has the name {shown(name)}; names are text")
            check_callable(f"record {name!r}", function, f"a function, as in {RECORDED}")
        settle(
            self,
            every=as_number("record_every", self.every, COUNT),
            evaluate_every=as_number("evaluate_every", self.evaluate_every, COUNT),
            evaluate_on=_count("evaluate_on", self.evaluate_on),
        )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where and how a sweep is computed: only ``dtype`` and ``device`` change its numbers.

    Attributes:
        dtype: "float64" or "float32".
        device: "cpu", "cuda" or "cuda:0", …, as text or a ``torch.device``. Apple's "mps" has no
            float64, and cannot be chosen.
        chunk_size: at most so many configurations are trained at once, ≥ 1; None means as many as
            fit a core's cache, or all on a GPU.
        workers: threads, one chunk each at a time, ≥ 1; None means one a core.
        executor: a ``concurrent.futures.Executor`` to train chunks in, instead of threads. It is
            left running.
        progress: show a bar when it takes longer than two seconds.

    Raises:
        ValueError: if an attribute is out of range, or PyTorch finds no GPU where one is asked for.

    Example:
        >>> Engine(workers=2, progress=False).dtype
        'float64'
    """

    dtype: str = "float64"
    device: str = "cpu"
    chunk_size: int | None = None
    workers: int | None = None
    executor: Executor | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, ("float64", "float32"))
        if not isinstance(self.executor, Executor | None):
            wanted = "give a concurrent.futures.Executor, such as Dask's client.get_executor()"
            raise ValueError(f"executor is {shown(self.executor)}; {wanted}")
        settle(
            self,
            device=_device(self.device),
            chunk_size=_count("chunk_size", self.chunk_size),
            workers=_count("workers", self.workers),
            progress=as_flag("progress", self.progress),
        )


def factors_of(schedule: Callable[[int], float] | None, steps: int) -> tuple[float, ...]:
    """A schedule as numbers, which any process can read.

    Args:
        schedule: factor on lr as a function of the step, 0 for the first; None means 1.
        steps: of the run, ≥ 1.

    Returns:
        The factor of each step, and one more.

    Raises:
        ValueError: if steps is no whole number, 1 to a billion, or the schedule no function from a
            step to a finite number ≥ 0.
    """
    steps = as_number("steps", steps, STEPS)
    if schedule is None:
        return (1.0,) * (steps + 1)
    wanted = "a function of the step, such as lambda step: 0.5 ** (step // 100)"
    check_callable("schedule", schedule, wanted)
    factors = []
    for step in range(steps + 1):
        try:
            factor = schedule(step)
        except Exception as error:
            said = f"schedule({step}) raises {type(error).__name__}: {error}"
            raise ValueError(f"{said}; give {wanted}") from error
        factors.append(float(as_number(f"schedule({step})", factor, NOT_NEGATIVE)))
    return tuple(factors)


def by_parameter(given: Mapping[str, float], parameters: Sequence[str]) -> dict[str, float]:
    """Decay factors of roles ("weight") and parameters ("weight0", which win), for every parameter.

    Args:
        given: factors ≥ 0 by role or parameter.
        parameters: names of all parameters.

    Returns:
        A factor for each parameter: 0 for what is not named.

    Raises:
        ValueError: if a name is neither a role nor a parameter, or a factor not finite or below 0.
    """
    check_mapping("decay_factors", given, 'a factor by name, such as {"weight": 1}')
    check_names("decay_factors", given, parameters)
    factors = {
        name: as_number(f"decay_factors: {name!r}", factor, NOT_NEGATIVE)
        for name, factor in given.items()
    }
    return {name: factors.get(name, factors.get(role_of(name), 0.0)) for name in parameters}


def named(given: Sequence[str], parameters: Sequence[str]) -> tuple[str, ...]:
    """The parameters of ``unit_norm``, named by role ("weight") or in full ("weight0").

    Args:
        given: roles and parameters.
        parameters: names of all parameters.

    Returns:
        Those of the parameters, in their order.

    Raises:
        ValueError: if a name is neither a role nor a parameter.
    """
    names = list(given) if isinstance(given, Set) else items_of(given)
    if names is None:
        such = f"[{given!r}]" if isinstance(given, str) else '["weight"]'
        raise ValueError(f"unit_norm is {shown(given)}; give a list, such as {such}")
    check_names("unit_norm", names, parameters)
    return tuple(name for name in parameters if name in names or role_of(name) in names)


def check_names(argument: str, given: Iterable[str], parameters: Sequence[str]) -> None:
    """Refuse a name that is neither a role nor a parameter.

    Args:
        argument: for the message.
        given: names.
        parameters: names of all parameters.

    Raises:
        ValueError: if there is such a name; the message lists what there is.
    """
    known = [*dict.fromkeys(map(role_of, parameters)), *parameters]
    for name in given:
        if not isinstance(name, str) or name not in known:
            listed = ", ".join(known)
            raise ValueError(f"{argument}: nothing is called {shown(name)}; choose among {listed}")


def _seeds(given: object) -> list[int]:
    """Seeds of a grid, which are a list even if there is one."""
    if items_of(given) is None:
        wanted = "give a list, such as [3] for one seed or range(3) for three"
        raise ValueError(f"seeds is {shown(given)}; {wanted}")
    return list(as_numbers("seeds", given, SEED))


def _count(name: str, value: object) -> int | None:
    """A whole number ≥ 1, or None."""
    return None if value is None else int(as_number(name, value, COUNT))


def _device(given: object) -> str:
    """A device that this process has and that computes with float64, as text."""
    name = str(given)
    if not re.fullmatch(r"cpu(:0)?|cuda(:\d+)?", name):
        known = "'cpu' or 'cuda' (or 'cuda:0', …); other devices have no float64"
        raise ValueError(f"device is {name!r}; choose {known}")
    if name.startswith("cpu"):
        return "cpu"
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not there:
        raise ValueError(f"device is {name!r}, but PyTorch finds no GPU here; use 'cpu'")
    if int(name.partition(":")[2] or 0) >= there:
        known = ", ".join(f"'cuda:{number}'" for number in range(there))
        raise ValueError(f"device is {name!r}; PyTorch finds {known}")
    return name
