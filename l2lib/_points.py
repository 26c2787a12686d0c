"""Points near a model's parameters, and what the parameters do to the loss there to first order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from l2lib._exact_loss import ExactLoss
from l2lib._model_copy import RefusalError
from l2lib.datasets import Array

RADIUS = 0.5
"""So far, in units of its tensor's size, a number is moved at most."""
TINY = 1e-3
"""A tensor of no larger numbers, which does no more than this share, is made larger."""
GONE = 1e-8
"""So is one that does no more than this share, and does not keep the size of what it multiplies."""
ENLARGED = 3
"""So often, at most: then other tensors may be seen to be small."""


def uniform(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Numbers between -1 and 1, as many as a tensor has; if that is complex, in both parts.

    Args:
        rng: draws them.
        like: a tensor of any shape, real or complex.

    Returns:
        A tensor like it.
    """
    shape = (*like.shape, 2) if like.is_complex() else tuple(like.shape)
    drawn = torch.from_numpy(np.asarray(2 * rng.random(shape, dtype=np.float32) - 1)).to(
        like.device
    )
    drawn = drawn.to(torch.float64)
    return torch.view_as_complex(drawn) if like.is_complex() else drawn


def rms(v: Tensor) -> float:
    """Root mean square of a tensor's numbers.

    Args:
        v: of any shape, real or complex.

    Returns:
        That, 0 if there are none.
    """
    return v.abs().square().mean().sqrt().item() if v.numel() else 0.0


@dataclass(frozen=True)
class Slopes:
    """What a parameter p does to a loss to first order, at one point.

    Attributes:
        parts: by axis, ⟨∂L/∂p, p⟩ of each index of that axis.
        whole: ⟨∂L/∂p, p⟩.
        size: ‖∂L/∂p‖·‖p‖.
    """

    parts: tuple[Array, ...]
    whole: float
    size: float

    @property
    def rows(self) -> Array:
        """The parts of the first axis; of a number without axes, itself."""
        return self.parts[0] if self.parts else np.array(self.whole)


@dataclass(frozen=True)
class Point:
    """A loss at one point: the parameters there, its value, and slopes by parameter."""

    values: dict[str, Tensor]
    loss: float
    slopes: dict[str, Slopes]

    @property
    def finite(self) -> bool:
        """Whether loss and gradients are."""
        return all(map(math.isfinite, (self.loss, *(s.size for s in self.slopes.values()))))


def point_at(exact: ExactLoss, values: dict[str, Tensor], parts: bool = True) -> Point:
    """Loss and slopes at one point.

    Args:
        exact: the loss.
        values: of all parameters, by name.
        parts: whether their parts are asked for, and not only the whole.

    Returns:
        They.
    """
    loss, gradients = exact.gradient(values)
    slopes = _slopes if parts else _whole_slopes
    return Point(values, loss, {name: slopes(g, values[name]) for name, g in gradients.items()})


def _slopes(g: Tensor, w: Tensor) -> Slopes:
    product = (g.conj() * w).real
    axes = range(w.ndim)
    parts = [product.sum([b for b in axes if b != a]) if w.ndim > 1 else product for a in axes]
    size = torch.linalg.vector_norm(g) * torch.linalg.vector_norm(w)
    return Slopes(tuple(p.cpu().numpy() for p in parts), product.sum().item(), size.item())


def _whole_slopes(g: Tensor, w: Tensor) -> Slopes:
    whole = torch.vdot(g.flatten(), w.flatten()).real.item()
    return Slopes((), whole, abs(whole))


class Places:
    """Points near a model's parameters, where loss and gradient are finite."""

    def __init__(self, exact: ExactLoss, rng: np.random.Generator) -> None:
        self._exact, self._rng = exact, rng
        self._start = exact.start
        # What is zero has no size of its own.
        self._sizes = {name: rms(v) or 1.0 for name, v in exact.start.items()}
        self._radius = RADIUS
        self._enlarge()

    def point(self, parts: bool = True, powers: Mapping[str, float] | None = None) -> Point:
        """The next one.

        Args:
            parts: whether slopes have them.
            powers: of a large or a small factor, by parameter: then it lies far along these.

        Returns:
            It.

        Raises:
            RefusalError: if loss or gradient is finite nowhere near.
        """
        for _ in range(8):
            values = {n: self._near(n, v) for n, v in self._start.items()}
            if powers:
                log = self._rng.choice([-1, 1]) * self._rng.uniform(4, 7)
                log /= max(map(abs, powers.values()))
                values |= {n: values[n] * math.exp(log * power) for n, power in powers.items()}
            if (point := point_at(self._exact, values, parts)).finite:
                return point
            self._radius /= 2
        raise RefusalError("loss or gradient is not finite near the model's parameters")

    def _near(self, name: str, v: Tensor) -> Tensor:
        return v + self._radius * self._sizes[name] * uniform(self._rng, v)

    def _enlarge(self) -> None:
        """Begin from a larger size with what is so small that it hides what is behind it."""
        for _ in range(ENLARGED):
            slopes = self.point().slopes
            largest = max(each.size for each in slopes.values())
            grown = {
                n: _unit_size(self._start[n])
                for n, s in slopes.items()
                if self._hides(n, s.size / (largest or 1))
            }
            if not grown:
                return
            before = self._start, self._radius
            self._start = {**self._start, **grown}
            try:
                self.point()
            except RefusalError:  # at that size there is no number
                self._start, self._radius = before
                return
            self._sizes = {name: rms(v) or 1.0 for name, v in self._start.items()}

    def _hides(self, name: str, share: float) -> bool:
        """Whether a tensor is small, and does no more than this share of what another does."""
        v = self._start[name]
        size = rms(v)
        tiny = share < TINY and size < TINY
        return size > 0 and (tiny or (share < GONE and 2 * size < _unit(v)))


def _unit(v: Tensor) -> float:
    """The size at which a tensor's rows keep the size of what they multiply."""
    return math.sqrt((len(v) if v.ndim else 1) / v.numel())


def _unit_size(v: Tensor) -> Tensor:
    return v * (_unit(v) / rms(v))
