"""Tries a statement on a scaling of parameters: with finite factors, at several points."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from l2lib._exact_loss import ExactLoss
from l2lib._points import Point, rms, uniform

# An effect is larger than so many times what the last digit of each number does.
ROOM = 100
# Relative to what a tensor does: an invariance may miss by this for rounding.
MISS = 1e-9
# Relative: a derivative and a difference quotient, of one parameter and of some at once.
SAME = 1e-4
SAME_OF_SOME = 1e-5
# So many parameters at once, whose slopes differ by no more than this factor.
SOME = 8
ALIKE = 30
# A derivative that rounding changes by more than this share is not looked at.
HIDDEN = 1e-2
# Relative steps of a difference quotient: a longer one where rounding hides the shorter.
STEPS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclass
class Trials:
    """Finite changes at a few points.

    Attributes:
        exact: the loss.
        points: where.
        rng: gives changes.
    """

    exact: ExactLoss
    points: list[Point]
    rng: np.random.Generator
    noise: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.noise = [self._rounding(point) for point in self.points]

    def _rounding(self, point: Point) -> float:
        """How far the loss moves where each number moves by its last digit."""
        moved = [2.0**-52 * abs(point.loss)]
        for _ in range(3):
            near = {
                name: v * (1 + 2.0**-52 * uniform(self.rng, v).sgn())
                for name, v in point.values.items()
            }
            moved.append(abs(self.exact.value(near) - point.loss))
        return ROOM * float(np.max(moved))

    def idle(self, name: str) -> bool:
        """Whether other values of a parameter, of either sign, leave the loss alone."""
        return not any(
            self._moves(k, {name: sign * v + (rms(v) or 1.0) * uniform(self.rng, v)}, 0)
            for k, v in enumerate(point.values[name] for point in self.points)
            for sign in (1, -1)
        )

    def free(self, name: str, axis: int | None) -> bool:
        """Whether positive factors leave the loss alone, one for all or one for each of an axis."""
        for k, point in enumerate(self.points):
            v = point.values[name]
            shape = [1] * v.ndim
            if axis is not None:
                shape[axis] = v.shape[axis]
            for low, high in ((0.25, 0.75), (1.5, 3.0)):
                alpha = torch.from_numpy(self.rng.uniform(low, high, shape)).to(v.device)
                if self._moves(k, {name: v * alpha}, point.slopes[name].size):
                    return False
        return True

    def jointly_free(self, joint: Sequence[Mapping[str, float]], miss: float = MISS) -> bool:
        """Whether powers of positive numbers, one for each set of exponents, change nothing.

        Args:
            joint: exponents by parameter, in each.
            miss: what may be missed, relative to what the parameters do.

        Returns:
            Whether the loss stays at all points.
        """
        names = {name for powers in joint for name in powers}
        for k, point in enumerate(self.points):
            size = max(point.slopes[name].size for name in names)
            for sign in (1, -1):
                logs = dict.fromkeys(names, 0.0)
                for powers in joint:
                    log = sign * self.rng.uniform(0.35, 0.7) / max(map(abs, powers.values()))
                    for name, power in powers.items():
                        logs[name] += log * power
                scaled = {n: point.values[n] * math.exp(log) for n, log in logs.items()}
                if self._moves(k, scaled, size, miss):
                    return False
        return True

    def _moves(self, k: int, changed: dict[str, Tensor], size: float, miss: float = MISS) -> bool:
        point = self.points[k]
        moved = abs(self.exact.value({**point.values, **changed}) - point.loss)
        allowed = self.noise[k] + (miss * size if math.isfinite(size) else 0)
        return not moved <= allowed  # not a number: it moves

    def slopes_hold(self, names: Sequence[str], k: int) -> bool | None:
        """Whether gradients along parameters, each row by a factor of its own, are the derivative.

        Args:
            names: the parameters.
            k: at which point.

        Returns:
            That, or None where rounding hides it.
        """
        point = self.points[k]
        factors = {name: self._row_factors(point.values[name]) for name in names}
        terms = [c.numpy() * point.slopes[name].rows for name, c in factors.items()]
        predicted, size = (sum(float(f(t).sum()) for t in terms) for f in (np.asarray, np.abs))
        same = SAME if len(names) == 1 else SAME_OF_SOME
        for step in STEPS:
            rounding = self.noise[k] / step
            hidden = rounding > HIDDEN * size
            if hidden and step != STEPS[-1]:
                continue
            ends = [self._along(point, factors, h) for h in (step, -step)]
            error = (ends[0] - ends[1]) / (2 * step) - predicted
            if abs(error) <= (same + 100 * step**2) * size + rounding:
                return None if hidden else True
        return False

    def held(self, names: Iterable[str], k: int) -> set[str]:
        """Those of some parameters whose slopes are derivatives, as far as several at once show it.

        Args:
            names: the parameters.
            k: at which point.

        Returns:
            Their names; of the others nothing is said.
        """
        sizes = {n: float(np.abs(self.points[k].slopes[n].rows).sum()) for n in names}
        groups: list[list[str]] = []
        for name in sorted(sizes, key=lambda name: sizes[name]):
            last = groups[-1] if groups else []
            if last and len(last) < SOME and sizes[name] <= ALIKE * sizes[last[0]]:
                last.append(name)
            else:
                groups.append([name])
        return {name for group in groups if self.slopes_hold(group, k) for name in group}

    def _row_factors(self, v: Tensor) -> Tensor:
        return torch.from_numpy(self.rng.uniform(0.5, 1.5, v.shape[0] if v.ndim else ()))

    def _along(self, point: Point, factors: dict[str, Tensor], h: float) -> float:
        changed = {}
        for name, c in factors.items():
            v = point.values[name]
            by_row = (1 + h * c.to(v.device)).reshape([-1] + [1] * (v.ndim - 1) if v.ndim else [])
            changed[name] = v * by_row
        return self.exact.value({**point.values, **changed})
