"""How far a tensor turned between two looks at it, as a budget that is exact (chapter 11).

Let w become w' = (1 - ηλ)w - u, whatever made u. Then ⟨w, w'⟩ = (1 - ηλ)r² - ⟨w, u⟩, so that
cos θ = (1 - ηλ - ⟨w, u⟩/r²) r/r'. The logarithm is a sum, and over several looks it telescopes:
Σ -ln cos θ = Σ -ln(1 - ηλ - ⟨w, u⟩/r²) + ln(r_T/r_0). Over k steps 1 - ηλ is their product.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# So many numbers are taken to float64 at a time: 1 MB on a processor, 128 MB on an accelerator.
_CHUNK, _LARGE_CHUNK = 2**17, 2**24

# Beyond this ratio of two lengths a chord loses digits, and the cosine has them.
_FAR = 1e3


class Sums(NamedTuple):
    """What two looks at a tensor leave of it: sums of products, in float64.

    Attributes:
        before: ‖w‖².
        moved: ‖w' - w‖².
        along: ⟨w, w' - w⟩.
        after: ‖w'‖².
        both: ⟨w, w'⟩.
    """

    before: float
    moved: float
    along: float
    after: float
    both: float


class Budget(NamedTuple):
    """What a turn is made of, each a logarithm; -ln cos θ is about θ²/2.

    Attributes:
        turn: -ln cos θ, from the lengths and the distance.
        decay: -ln(1 - ηλ), about ηλ.
        push: what the updates bring inward, about ⟨w, u⟩/‖w‖².
        growth: ln(‖w'‖/‖w‖).
    """

    turn: float
    decay: float
    push: float
    growth: float

    @property
    def residual(self) -> float:
        """How far the two sides of the identity are apart."""
        return abs(self.turn - (self.decay + self.push + self.growth))


def budget(sums: Sums, log_kept: float) -> Budget:
    """The turn between two looks, and what it is made of.

    The two sides share no number but the lengths: the turn comes from the
    distance, the other side from the part along w. So they check each other,
    but where a tensor became a thousand times longer or shorter.

    Args:
        sums: of the two looks.
        log_kept: ln Π(1 - η_tλ) over the steps between them; NaN leaves decay
            and push open.

    Returns:
        The budget; NaN where the tensor is zero, turned by a right angle or
        more, or is not finite.

    Example:
        >>> found = budget(Sums(25.0, moved=5.0, along=-5.0, after=20.0, both=20.0), math.log(0.9))
        >>> round(math.exp(-found.turn) ** 2, 12), found.residual < 1e-12
        (0.8, True)
    """
    if not (sums.before > 0 and sums.after > 0 and sums.both > 0 and sums.before < math.inf):
        return Budget(*[math.nan] * 4)
    before, after = math.sqrt(sums.before), math.sqrt(sums.after)
    chord = (sums.moved - (after - before) ** 2) / (2 * before * after)  # 1 - cos θ
    if not 1 / _FAR < after / before < _FAR:
        chord = 1 - sums.both / (before * after)
    inward = _inward(sums)
    turn = -math.log1p(-chord) if chord < 1 else math.nan
    growth = math.log(after / before)
    return Budget(max(turn, 0.0), -log_kept, inward + log_kept, growth)


def _inward(sums: Sums) -> float:
    """-ln(Π(1 - η_tλ) - ⟨w, u⟩/r²), where that is ⟨w, w'⟩/‖w‖², whatever u is."""
    if abs(sums.along) < sums.before / 2:
        return -math.log1p(sums.along / sums.before)
    return -math.log(sums.both / sums.before)


def axes_of(tensor: Tensor) -> tuple[int, ...]:
    """The axes of a tensor in the order of memory, the slowest first.

    Args:
        tensor: any strided tensor.

    Returns:
        Their numbers.

    Example:
        >>> axes_of(torch.zeros(2, 3).T)
        (1, 0)
    """
    return tuple(sorted(range(tensor.ndim), key=lambda axis: -tensor.stride()[axis]))


def flat(tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The numbers of a tensor along one axis, complex ones as pairs.

    Args:
        tensor: any strided tensor.
        axes: the slowest first.

    Returns:
        A view, if these are the axes in the order of memory, and no gaps are
        between the numbers; a copy of others.

    Example:
        >>> flat(torch.tensor([[1, 2], [3, 4]]).T, (1, 0)).tolist()
        [1, 2, 3, 4]
    """
    plain = tensor.detach().permute(axes)
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj())
    return plain.reshape(-1)


def sums_of(before: Tensor, after: Tensor) -> Tensor:
    """The sums of two looks at the same numbers, on their device, without waiting for it.

    Args:
        before: flat.
        after: flat, of the same length.

    Returns:
        Five numbers in the order of ``Sums``, float64 where the device has it.

    Example:
        >>> sums_of(torch.tensor([3.0, 4.0]), torch.tensor([2.0, 4.0])).tolist()
        [25.0, 1.0, -3.0, 20.0, 22.0]
    """
    wide = torch.float32 if after.device.type == "mps" else torch.float64
    total = torch.zeros(5, dtype=wide, device=after.device)
    size = _CHUNK if after.device.type == "cpu" else _LARGE_CHUNK
    for old, new in zip(before.split(size), after.split(size), strict=True):
        old, new = old.to(wide), new.to(wide)
        step = new - old
        total += torch.stack([old @ old, step @ step, old @ step, new @ new, old @ new])
    return total
