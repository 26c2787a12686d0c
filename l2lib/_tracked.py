"""What an audit keeps of a tensor between two looks: a copy, and what its steps took away."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from l2lib._laws import Kind, Law
from l2lib._turns import Budget, Sums, budget, flat, sums_of


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
        steps: since then.
        rate: Σ η_tλ since then.
        share: Σ of the long run's shares since then.
        log_kept: Σ ln(1 - η_tλ) since then.
        last_share: of the last step.
        last_rate: ηλ of the last step.
        last_lr: η of the last step.
    """

    name: str
    parameter: nn.Parameter
    law: Law = Law(Kind.UNKNOWN)
    before: Tensor | None = None
    steps: int = 0
    rate: float = 0.0
    share: float = 0.0
    log_kept: float = 0.0
    last_share: float = math.nan
    last_rate: float = math.nan
    last_lr: float = math.nan
    looks: list[Look] = field(default_factory=list)

    def count(self, law: Law, lr: float, rate: float, share: float) -> None:
        """Take note of a step."""
        self.law = law
        self.steps += 1
        self.rate += rate
        self.share += share
        self.log_kept += math.log1p(-rate) if rate < 1 else math.nan
        self.last_lr, self.last_rate, self.last_share = lr, rate, share

    def keep(self) -> None:
        """Copy the numbers as they are, into the old copy where they fit."""
        now = flat(self.parameter)
        old = self.before
        if old is not None and (old.shape, old.dtype, old.device) == (now.shape, now.dtype, now.device):
            old.copy_(now)
        else:
            self.before = now.clone()

    def begin_again(self) -> None:
        """Forget the steps since the last look, which is now."""
        self.steps, self.rate, self.share, self.log_kept = 0, 0.0, 0.0, 0.0


def has_numbers(tensor: Tensor) -> bool:
    """Whether there is something to watch: real or complex numbers, which are there already."""
    if isinstance(tensor, UninitializedParameter) or tensor.is_meta or tensor.numel() == 0:
        return False
    return tensor.is_floating_point() or tensor.is_complex()


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
    if each.before is None or not has_numbers(each.parameter):
        return None
    now = flat(each.parameter)
    return sums_of(each.before.to(now.device), now) if now.shape == each.before.shape else None


def _look(each: Tracked, sums: Sums | None) -> Look:
    law = each.law
    read = law.kind is not Kind.UNKNOWN
    parts = Budget(*[math.nan] * 4) if sums is None else _budget(each, sums, read)
    predicted = law.turn(each.rate / each.steps, each.steps) if read and each.steps else math.nan
    norm = math.nan if sums is None else math.sqrt(sums.after)
    return Look(each.steps, each.rate, each.share, norm, *parts, predicted)


def _budget(each: Tracked, sums: Sums, read: bool) -> Budget:
    return budget(sums, each.log_kept if read else math.nan)
