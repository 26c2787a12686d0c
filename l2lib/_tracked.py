"""What an audit keeps of a tensor between two looks: a copy, and what its steps took away."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from l2lib._laws import NOT_READ, Law, Step
from l2lib._turns import Budget, Sums, axes_of, budget, flat, sums_of


class Look(NamedTuple):
    """What one look at a tensor found since the one before it.

    Attributes:
        steps: how many steps changed it.
        rate: Σ η_tλ of these.
        share: Σ of what they take away in the long run, N.
        norm: ‖w‖ now.
        turn: -ln cos θ, and as in ``Budget`` what it is made of.
        decay: of the budget.
        push: of the budget.
        growth: of the budget.
        predicted: the turn of a scale-invariant tensor in equilibrium.
    """

    steps: float
    rate: float
    share: float
    norm: float
    turn: float
    decay: float
    push: float
    growth: float
    predicted: float


@dataclass
class Tracked:
    """A tensor that is watched, and what happened to it since it was last looked at.

    Attributes:
        name: in the model.
        parameter: the tensor itself.
        law: of the group that it was last stepped in.
        before: its numbers at the last look, flat; None before it has any.
        shape: of the tensor then.
        axes: in the order in which they are copied.
        steps: since then.
        rate: Σ η_tλ since then.
        share: Σ of the long run's shares since then.
        log_kept: Σ ln(1 - η_tλ) since then.
        last_rate: ηλ of the last step.
        last_lr: η of the last step.
        looks: what each look found.
    """

    name: str
    parameter: nn.Parameter
    law: Law = NOT_READ
    before: Tensor | None = None
    shape: torch.Size | None = None
    axes: tuple[int, ...] = ()
    steps: int = 0
    rate: float = 0.0
    share: float = 0.0
    log_kept: float = 0.0
    last_rate: float = 0.0
    last_lr: float = math.nan
    looks: list[Look] = field(default_factory=list)

    def count(self, step: Step, times: int = 1) -> None:
        """Take note of a step, or of several that were alike."""
        self.law = step.law
        self.steps += times
        self.rate += times * step.rate
        self.share += times * step.share
        self.log_kept += times * math.log1p(-step.rate) if step.rate < 1 else math.nan
        self.last_lr, self.last_rate = step.lr, step.rate

    @property
    def now(self) -> Tensor:
        """The numbers as they are, flat, in the order of the copy."""
        return flat(self.parameter, self.axes)

    @property
    def fits(self) -> bool:
        """Whether there is a copy, of a tensor of this shape."""
        return self.before is not None and self.shape == self.parameter.shape

    def keep(self) -> None:
        """Copy the numbers as they are, into the old copy where they fit."""
        if not self.fits:
            self.shape, self.axes = self.parameter.shape, axes_of(self.parameter)
        now, old = self.now, self.before
        if old is not None and _kind(old) == _kind(now):
            old.copy_(now)
        else:
            self.before = now.clone()

    def begin_again(self) -> None:
        """Forget the steps since the last look, which is now."""
        self.steps, self.rate, self.share, self.log_kept = 0, 0.0, 0.0, 0.0


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    return tensor.shape, tensor.dtype, tensor.device


def has_numbers(tensor: Tensor) -> bool:
    """Whether there is something to watch: dense real or complex numbers, which are there."""
    if isinstance(tensor, UninitializedParameter) or tensor.is_meta or tensor.numel() == 0:
        return False
    dense = tensor.layout == torch.strided
    return dense and (tensor.is_floating_point() or tensor.is_complex())


@torch.no_grad()
def norm_of(tensor: Tensor) -> float:
    """‖w‖ of a tensor now.

    Args:
        tensor: any.

    Returns:
        The norm; NaN where there are no real or complex numbers.
    """
    if not has_numbers(tensor):
        return math.nan
    numbers = flat(tensor, axes_of(tensor))
    return math.sqrt(float(sums_of(numbers, numbers)[0]))


@torch.no_grad()
def look_at(tracked: Iterable[Tracked]) -> list[Look]:
    """Look at tensors that are watched, and keep them as they are now.

    Args:
        tracked: the tensors.

    Returns:
        What was found of each; one that has no numbers yet, or is of another
        size than it was, has a look of NaN, and is watched from here on.
    """
    listed = list(tracked)
    pending = [_sums(each) for each in listed]
    # One wait for each device, not one for each tensor.
    by_device: dict[torch.device, list[int]] = {}
    for i, sums in enumerate(pending):
        if sums is not None:
            by_device.setdefault(sums.device, []).append(i)
    found: dict[int, Sums] = {}
    for indices in by_device.values():
        rows = torch.stack([s for i in indices if (s := pending[i]) is not None]).tolist()
        found |= {i: Sums(*row) for i, row in zip(indices, rows, strict=True)}
    looks = [_look(each, found.get(i)) for i, each in enumerate(listed)]
    for each, look in zip(listed, looks, strict=True):
        each.looks.append(look)
        if has_numbers(each.parameter):
            each.keep()
        each.begin_again()
    return looks


def _sums(each: Tracked) -> Tensor | None:
    if each.before is None or not each.fits or not has_numbers(each.parameter):
        return None
    return sums_of(each.before.to(each.now.device), each.now)


def _look(each: Tracked, sums: Sums | None) -> Look:
    # Of an optimiser that is not torch's no λ is read, so that all it does is in its updates.
    parts = Budget(*[math.nan] * 4) if sums is None else budget(sums, each.log_kept)
    predicted = each.law.turn(each.rate / each.steps, each.steps) if each.steps else math.nan
    norm = math.nan if sums is None else math.sqrt(sums.after)
    return Look(each.steps, each.rate, each.share, norm, *parts, predicted)
