"""Tries a statement on a scaling of parameters: with finite factors, at several points."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from l2lib._exact_loss import ExactLoss
from l2lib._points import Point, point_at, rms, uniform

# An effect is larger than so many times what the last digit of each number does.
ROOM = 100
Factors = tuple[float, float]
NEAR = (1.4, 2.0)
FAR = (1e2, 1e3)
# Between which a parameter is multiplied; where a function saturates, far factors show it.
FACTORS: tuple[Factors, ...] = ((0.25, 0.75), (1.5, 3.0), (1e-3, 1e-2), FAR)
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
# Slopes that last digits change by no more than this share are no rounding.
STEADY = 1e-3
# Relative steps of a difference quotient: a longer one where rounding hides the shorter.
STEPS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclass
class Trials:
    """Finite changes at a few points.

    A parameter is tried where the model is, and at the two other points where it
    does most: at some it may do nothing, as before a unit that is not active.

    Attributes:
        exact: the loss.
        points: first where the model is, then others.
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
        moved += [abs(self.exact.value(self._beside(point)) - point.loss) for _ in range(2)]
        return ROOM * float(np.max(moved))

    def _beside(self, point: Point) -> dict[str, Tensor]:
        """A point that differs in the last digits."""
        values = point.values.items()
        return {n: v * (1 + 2.0**-52 * uniform(self.rng, v).sgn()) for n, v in values}

    def lost(self, names: Sequence[str]) -> list[str]:
        """Those that do something, though too little for the loss: last digits do not change what.

        Args:
            names: of parameters that are idle.

        Returns:
            The names of those that are not.
        """
        if not names:
            return []
        found: set[str] = set()
        for point in self.points[:2]:
            beside = point_at(self.exact, self._beside(point))
            for name in names:
                one, other = point.slopes[name].rows, beside.slopes[name].rows
                if one.any() and np.linalg.norm(one - other) <= STEADY * np.linalg.norm(one):
                    found.add(name)
        return [name for name in names if name in found]

    def _best(self, name: str) -> list[int]:
        """The two points, but for the first, where a parameter does most; the best first."""
        others = range(1, len(self.points))
        return sorted(others, key=lambda k: -self.points[k].slopes[name].size)[:2]

    def idle(self, names: Sequence[str]) -> bool:
        """Whether other values of parameters, of either sign, leave the loss alone.

        Args:
            names: the parameters, all changed at once.

        Returns:
            That; of several, that none moves it.
        """
        return not any(
            self._moves(k, self._others(self.points[k], names, sign), 0)
            for k in self._where(names)
            for sign in (1, -1)
        )

    def free(self, axes: Mapping[str, Sequence[int]]) -> bool:
        """Whether positive factors of parameters leave the loss alone.

        Args:
            axes: by parameter, those whose indices have a factor each; none if one is for all.

        Returns:
            That; of several, which are changed at once, that none moves it.
        """
        where = self._where([*axes])
        if any(self._moves_by_factors(k, self.points[k], axes) for k in where):
            return False
        # From other values, too: near these a parameter may be read by no active unit.
        point = self.points[where[1]]
        values = point.values | self._others(point, [*axes], -1)
        other = Point(values, self.exact.value(values), point.slopes)
        return not self._moves_by_factors(where[1], other, axes)

    def _where(self, names: Sequence[str]) -> list[int]:
        return [0, *self._best(names[0])] if len(names) == 1 else [*range(len(self.points))]

    def _others(self, point: Point, names: Sequence[str], sign: int) -> dict[str, Tensor]:
        values = ((name, point.values[name]) for name in names)
        return {n: sign * v + (rms(v) or 1.0) * uniform(self.rng, v) for n, v in values}

    def _moves_by_factors(self, k: int, point: Point, axes: Mapping[str, Sequence[int]]) -> bool:
        size = max(point.slopes[name].size for name in axes)
        return any(
            self._moves(
                k, {n: self._scaled(point.values[n], a, f) for n, a in axes.items()}, size, of=point
            )
            for f in FACTORS
        )

    def _scaled(self, v: Tensor, axes: Sequence[int], factors: tuple[float, float]) -> Tensor:
        shapes = [[n if b == a else 1 for b, n in enumerate(v.shape)] for a in axes]
        for shape in shapes or [[1] * v.ndim]:
            low, high = map(math.log, factors)
            alpha = np.exp(self.rng.uniform(low, high, shape))
            v = v * torch.from_numpy(np.asarray(alpha)).to(v.device)
        return v

    def jointly_free(
        self, powers: Mapping[str, float], miss: float = MISS, factors: Factors = NEAR
    ) -> bool:
        """Whether powers of a positive number change nothing.

        Args:
            powers: exponents by parameter.
            miss: what may be missed, relative to what the parameters do.
            factors: how large the largest power may be, and its inverse.

        Returns:
            Whether the loss stays at three points.
        """
        largest = max(map(abs, powers.values()))
        low, high = map(math.log, factors)
        for k, point in enumerate(self.points[:3]):
            size = max(point.slopes[name].size for name in powers)
            for sign in (1, -1):
                log = sign * self.rng.uniform(low, high) / largest
                scaled = {n: point.values[n] * math.exp(log * power) for n, power in powers.items()}
                if self._moves(k, scaled, size, miss=miss):
                    return False
        return True

    def _moves(
        self,
        k: int,
        changed: dict[str, Tensor],
        size: float,
        *,
        miss: float = MISS,
        of: Point | None = None,
    ) -> bool:
        point = of or self.points[k]
        moved = abs(self.exact.value(point.values | changed) - point.loss)
        allowed = self.noise[k] + (miss * size if math.isfinite(size) else 0)
        return not moved <= allowed  # not a number: it moves

    def slope_holds(self, name: str, place: int) -> bool | None:
        """Whether a gradient along a parameter, each row by a factor of its own, is the derivative.

        Args:
            name: the parameter.
            place: 0 where it does most, 1 where it does second most.

        Returns:
            That, or None where rounding hides it.
        """
        return self._slopes_hold([name], self._best(name)[place])

    def _slopes_hold(self, names: Sequence[str], k: int) -> bool | None:
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

    def held(self, names: Iterable[str], place: int) -> set[str]:
        """Those of some parameters whose slopes are derivatives, as far as several at once show it.

        Args:
            names: the parameters.
            place: 0 where each does most, 1 where it does second most.

        Returns:
            Their names; of the others nothing is said.
        """
        at = {name: self._best(name)[place] for name in names}
        sizes = {n: float(np.abs(self.points[k].slopes[n].rows).sum()) for n, k in at.items()}
        groups: list[list[str]] = []
        for name in sorted(sizes, key=lambda name: (at[name], sizes[name])):
            last = groups[-1] if groups else []
            alike = last and at[last[0]] == at[name] and sizes[name] <= ALIKE * sizes[last[0]]
            if alike and len(last) < SOME:
                last.append(name)
            else:
                groups.append([name])
        return {n for group in groups if self._slopes_hold(group, at[group[0]]) for n in group}

    def _row_factors(self, v: Tensor) -> Tensor:
        return torch.from_numpy(self.rng.uniform(0.5, 1.5, v.shape[0] if v.ndim else ()))

    def _along(self, point: Point, factors: dict[str, Tensor], h: float) -> float:
        changed = {}
        for name, c in factors.items():
            v = point.values[name]
            by_row = (1 + h * c.to(v.device)).reshape([-1] + [1] * (v.ndim - 1) if v.ndim else [])
            changed[name] = v * by_row
        return self.exact.value({**point.values, **changed})
