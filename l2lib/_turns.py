"""How far a tensor turned between two looks at it, as a budget that is exact (chapter 11).

Let w become w' = (1 - ηλ)w - u, whatever made u. Then ⟨w, w'⟩ = (1 - ηλ)r² - ⟨w, u⟩, so that
cos θ = (1 - ηλ - ⟨w, u⟩/r²) r/r'. The logarithm is a sum, and over several looks it telescopes:
Σ -ln cos θ = Σ -ln(1 - ηλ - ⟨w, u⟩/r²) + ln(r_T/r_0). Over k steps 1 - ηλ is their product.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from l2lib._laws import NOT_READ, Step

# So many numbers are taken to float64 at a time: 1 MB on a processor, 128 MB on an accelerator.
_CHUNK, _LARGE_CHUNK = 2**17, 2**24

# Beyond this ratio of two lengths a chord loses digits, and the cosine has them.
_FAR = 1e3

# A cosine below this is a right angle's, but for rounding.
_RIGHT = 1e-9


class Budget(NamedTuple):
    """What a turn is made of, each a logarithm; -ln cos θ is about θ²/2.

    Attributes:
        norm: ‖w'‖.
        turn: -ln cos θ, from the lengths and the distance.
        decay: -ln(1 - ηλ), about ηλ.
        push: what the updates bring inward, about ⟨w, u⟩/‖w‖².
        growth: ln(‖w'‖/‖w‖).
    """

    norm: float
    turn: float = math.nan
    decay: float = math.nan
    push: float = math.nan
    growth: float = math.nan


def budget(old: Tensor, new: Tensor, log_kept: float) -> Budget:
    """The turn from a tensor to what became of it, and what the turn is made of.

    The two sides share no number but the lengths: the turn comes from the
    distance, the other side from the part along w. So they check each other,
    but where a tensor became a thousand times longer or shorter.

    Args:
        old: w.
        new: w', of the same shape.
        log_kept: ln Π(1 - η_tλ) over the steps between them.

    Returns:
        The budget; NaN where the tensor is zero, turned by a right angle or
        more, or is not finite.

    Example:
        >>> w = torch.tensor([3.0, 4.0])
        >>> found = budget(w, torch.tensor([2.0, 4.0]), math.log(0.9))
        >>> round(math.exp(-found.turn), 6)  # 22/(5 √20)
        0.98387
        >>> abs(found.turn - (found.decay + found.push + found.growth)) < 1e-12
        True
    """
    before, moved, along, both, after = _sums(old, new)
    first, second = math.sqrt(before), math.sqrt(after)
    if not _RIGHT * first * second < both < math.inf:
        return Budget(second)
    if 1 / _FAR < second / first < _FAR:
        # 1 - cos θ and ⟨w, w'⟩/r² - 1: in differences from 1 small ones would lose digits.
        chord = (moved - (second - first) ** 2) / (2 * first * second)
        inward = -math.log1p(along / before)
    else:
        chord, inward = 1 - both / (first * second), -math.log(both / before)
    turn, growth = max(-math.log1p(-chord), 0.0), math.log(second / first)
    return Budget(second, turn, -log_kept, inward + log_kept, growth)


@torch.no_grad()
def _sums(old: Tensor, new: Tensor) -> list[float]:
    """‖w‖², ‖w' - w‖², ⟨w, w' - w⟩, ⟨w, w'⟩ and ‖w'‖², in float64 where the device has it."""
    if new.is_complex():
        old, new = torch.view_as_real(old), torch.view_as_real(new)
    old, new = torch.atleast_1d(old), torch.atleast_1d(new)
    size = _CHUNK if new.device.type == "cpu" else _LARGE_CHUNK
    rows = max(1, size // new[0].numel())
    wide = torch.float32 if new.device.type == "mps" else torch.float64
    total = torch.zeros(5, dtype=wide, device=new.device)
    for a, b in zip(old.split(rows), new.split(rows), strict=True):
        a, b = a.to(new.device, wide).flatten(), b.to(wide).flatten()
        step = b - a
        total += torch.stack([a @ a, step @ step, a @ step, a @ b, b @ b])
    return [float(each) for each in total.tolist()]


FIELDS = ("steps", "rate", "share", "predicted", *Budget._fields)
"""What a look at a tensor found since the one before it: how many steps changed it, Σ η_tλ of
these, Σ of what they take away in the long run (N), the turn that is predicted, and the budget."""


@dataclass
class Tracked:
    """A tensor that is watched, and what happened to it since it was last looked at.

    Attributes:
        name: in the model.
        tensor: the parameter itself.
        before: a copy of it from the last look; None before it has any.
        norm: ‖w‖ at the last look.
        last: the last step that changed it.
        share: what a step took away before the last look, on average.
        steps: how many there were since that look.
        rate: Σ η_tλ since then.
        log_kept: Σ ln(1 - η_tλ) since then.
        looks: what each look found, as in ``FIELDS``.
    """

    name: str
    tensor: Tensor
    before: Tensor | None = None
    norm: float = math.nan
    last: Step = NOT_READ
    share: float = math.nan
    steps: int = 0
    rate: float = 0.0
    log_kept: float = 0.0
    looks: list[tuple[float, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.norm = _norm(self.tensor)

    def count(self, step: Step, times: int = 1) -> None:
        """Take note of a step, or of several that were alike."""
        self.last = step
        self.steps += times
        self.rate += times * step.rate
        self.log_kept += times * math.log1p(-step.rate) if step.rate < 1 else math.nan

    def keep(self) -> None:
        """Copy the tensor as it is; the old copy goes first, so that there is never a second."""
        self.before = None
        self.before = self.tensor.detach().clone()

    def look(self) -> None:
        """Note what the steps since the last look did, if there were any."""
        found, share, predicted = Budget(self.norm), math.nan, math.nan
        if self.steps:
            law, rate = self.last.law, self.rate / self.steps
            self.share, predicted = law.share(rate), law.turn(rate, self.steps)
            share = self.share * self.steps
            found = self._turned()
            self.norm = found.norm
            self.keep()
        self.looks.append((self.steps, self.rate, share, predicted, *found))
        self.steps, self.rate, self.log_kept = 0, 0.0, 0.0

    def _turned(self) -> Budget:
        """The budget since the last look; open where there was none, or another shape."""
        if self.before is None or self.before.shape != self.tensor.shape:
            return Budget(_norm(self.tensor))
        return budget(self.before, self.tensor, self.log_kept)


def has_numbers(tensor: Tensor) -> bool:
    """Whether there is something to watch: dense real or complex numbers."""
    real = tensor.is_floating_point() or tensor.is_complex()
    return real and tensor.layout == torch.strided and tensor.numel() > 0


def _norm(tensor: Tensor) -> float:
    return budget(tensor, tensor, 0.0).norm
