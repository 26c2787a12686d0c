"""Which parameters of a model are scale-invariant, alone or together (chapter 7)."""

import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import nn

from l2lib._exact_loss import ExactLoss, Loss
from l2lib._exact_mode import GUARD, Guard, place
from l2lib._joint import NO_EXPONENT, null_space
from l2lib._model_copy import RefusalError
from l2lib._points import Places, Point, Slopes, point_at
from l2lib._trials import Trials
from l2lib.datasets import Array
from l2lib.tables import html_table

__all__ = ["Invariances", "scale_invariance"]


# Relative. Rounding is about 1e-15, and what is not zero by identity seldom below 1e-3.
ZERO = 1e-8
# At so many points a parameter's slope must vanish.
POINTS = 5
# An ε that moves the loss by more than this share of what moving all parameters does is no ε.
MATTERS = 0.3
# Exponents are told to so many.
DIGITS = 6
UNTRUE = "untrue gradient"


@dataclass(frozen=True)
class Invariances:
    """Scalings of a model's parameters by powers of any α > 0 that leave its loss alone.

    Attributes:
        alone: by parameter, whether α times it changes nothing:

            * "each unit" if so already for each row (index of the first axis)
              with an α of its own; "each unit of axis 1" if for each column, as
              in transposed convolutions and other layouts (in, out); "each unit
              of axes 0 and 2" if for each index of either axis, as of experts;
            * "whole tensor" if with one α for all its numbers;
            * "no" if with none;
            * "no effect" if other values change the loss by rounding only.
        together: of those that are "no" alone: exponents k by parameter, so
            that α^k times each changes nothing. All others follow from these by
            multiplication. Few parameters each; exponents are rounded to 6
            digits.

    Example:
        >>> print(Invariances({"up": "no", "down": "no"}, [{"up": 1.0, "down": -1.0}]))
        up    no
        down  no
        together: up × α^1, down × α^-1
    """

    alone: dict[str, str]
    together: list[dict[str, float]]

    def __str__(self) -> str:
        """A line for each parameter and for each joint invariance, to be printed."""
        width = max(map(len, self.alone)) + 2
        lines = [f"{name:<{width}}{kind}" for name, kind in self.alone.items()]
        return "\n".join(lines + [f"together: {joint}" for joint in self._joint()])

    def _joint(self) -> list[str]:
        """Each joint invariance in words."""
        return [_joint(powers) for powers in self.together]

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        rows = [*self.alone.items(), *(("together", joint) for joint in self._joint())]
        caption = "Scalings that leave the loss alone"
        return html_table(caption, ("parameter", "scale-invariant"), rows)


def _joint(powers: Mapping[str, float]) -> str:
    times = "× α"
    try:  # to print into a file in cp1252 shall not fail
        times.encode(sys.stdout.encoding or "utf-8")
    except (AttributeError, LookupError, UnicodeError):
        times = "* a"
    return ", ".join(f"{name} {times}^{exponent:g}" for name, exponent in powers.items())


def scale_invariance(model: nn.Module, loss: Loss) -> Invariances:
    """Find out which parameters of a model are scale-invariant, alone or together.

    Where the loss does not change with α^k·p, Σ k⟨∂L/∂p, p⟩ = 0 (Euler). Such
    sums are looked for at random points near the model's parameters, one
    backward pass a point. Then all is tried. What is said to be invariant is
    scaled by factors from 1/4 to 3, where the model is and at two other points,
    and the loss must stay. What is not must have a gradient that is the
    derivative of the loss, by a difference quotient. It takes about two passes
    for each parameter. Signs are not tried: α > 0. Parts of a tensor that are no
    index of an axis, such as the queries in a stacked projection, are not
    scaled against each other.

    It is a statement on real numbers:

    * Computed on a copy in float64. Casts to fewer digits inside the model or
      the loss, such as ``x.float()`` in a norm, keep all digits; so may the
      model and its inputs have fewer.
    * Every ε is negligible: a constant of at most 0.01 that is added to a
      denominator or under a root, and the ``eps`` of torch's norms, wherever it
      is written and whatever it is called. A larger one stays, and so does
      anything that is called eps but multiplies, divides or is added elsewhere.
    * Parameters that are very small and hardly matter, such as a LayerScale
      of 1e-6, are tried at size one.
    * Buffers, such as running statistics, and tensors in attributes are no
      parameters. They stand still, and start each pass as they were.
    * So does a frozen parameter whose gradient is not the derivative, as that
      of a teacher under ``no_grad``: it is "no", and in nothing together.
    * An embedding's ``padding_idx`` and hooks on gradients change gradients
      only, so they are off.

    Args:
        model: any module, in the mode (train or eval) that is meant: with
            stored statistics batch norm hides no scale. Frozen parameters count
            as well; what is tied counts once. Integer parameters do not count.
        loss: gives the loss of the model it is handed, one number: for instance
            ``lambda model: cross_entropy(model(X), y)``, or for a model of
            transformers ``lambda model: model(ids, labels=ids).loss``. Enough
            examples that no unit is idle.

    Returns:
        What leaves the loss alone. A table where it is printed or shown.

    Raises:
        ValueError: where it cannot know, with the reason and what to do. If the
            loss is not one finite number, differs between two calls, does not
            depend on the model or reads the parameters of another. If a
            gradient is not the derivative and the parameter is not invariant
            anyway, as latent binary weights are: detach, straight-through
            estimators, reversal, reentrant checkpointing of inputs. If what is
            taken for an ε matters and is not a norm's, an embedding's
            ``max_norm`` clips, or finite factors disagree with slopes. If the
            model cannot be copied in float64: shared memory that is no tie,
            quantised or sharded parameters, a device without float64 (mps).

    Warns:
        UserWarning: where a norm's ε is not negligible yet, as with random
            weights that are very small.

    Source: derived in chapter 7; Kunin et al. (2021) list the symmetries of
    common layers.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2, affine=False))
        >>> X = torch.tensor([[1.0, 2, 4], [2, 1, 3], [4, 4, 1], [3, 0, 2]])
        >>> y = torch.tensor([0, 1, 0, 1])
        >>> found = scale_invariance(model, lambda m: nn.functional.cross_entropy(m(X), y))
        >>> found.alone
        {'0.weight': 'each unit'}
    """
    rng = np.random.default_rng(0)
    exact = ExactLoss(model, loss)
    start = _begin(exact)
    places = Places(exact, rng)
    points = [places.point() for _ in range(POINTS)]
    _check_dependence(start, points)
    _check_guards(exact, start, points)
    trials = Trials(exact, [start, *points[:2]], rng)
    slopes = [point.slopes for point in points]
    alone, left = _alone(trials, slopes, exact.frozen)
    # Each parameter that is left is one more unknown, and asks for one more equation.
    slopes += [places.point(parts=False).slopes for _ in left]
    return Invariances(alone, _together(trials, slopes, left))


# ---- what is asked first -------------------------------------------------------------------
def _begin(exact: ExactLoss) -> Point:
    """The loss where the parameters are, if it can be asked there."""
    exact.mode.refuse_clipping = True
    point = point_at(exact, exact.start)
    exact.mode.refuse_clipping = False
    again = exact.value(exact.start)
    if not math.isfinite(point.loss):
        raise RefusalError(f"loss must be one finite number, got {point.loss}")
    if abs(point.loss - again) > ZERO * abs(point.loss):
        raise RefusalError(
            f"loss: {point.loss:.6g}, then {again:.6g}; switch dropout and other noise off, and "
            "what model or loss keep from one call to the next"
        )
    return point


def _check_dependence(start: Point, points: list[Point]) -> None:
    """Something must depend on the parameters, and by their gradients."""
    if any(slopes.size > 0 for point in points for slopes in point.slopes.values()):
        return
    if all(point.loss == start.loss for point in points):
        raise RefusalError("loss does not depend on the parameters of the model that it is handed")
    raise RefusalError("loss has no gradient; compute it without no_grad, detach and numpy")


def _check_guards(exact: ExactLoss, start: Point, points: list[Point]) -> None:
    """Every ε must be what it is taken for, a number that hardly matters."""
    allowed = MATTERS * max(abs(point.loss - start.loss) for point in points)

    def moved(keeps: Callable[[Guard], bool]) -> float:
        exact.mode.keeps = keeps
        value = exact.value(exact.start)
        exact.mode.keeps = lambda guard: False
        return abs(value - start.loss)

    if moved(lambda guard: True) <= allowed:
        return
    doubtful = moved(lambda guard: not guard.certain) > allowed
    worst = max(
        sorted(g for g in exact.mode.guards if g.certain != doubtful),
        key=lambda guard: moved(lambda other: other == guard),
    )
    told = f"ε = {worst.value:g} of {place(worst.module)} is not negligible where the model is"
    if doubtful:
        raise RefusalError(
            f"{told}, and may be no ε. If it is one, ask with larger weights before it; if not, "
            f"multiply numerator and denominator so that it exceeds {GUARD:g}"
        )
    warnings.warn(f"{told}; found is what holds for larger weights, or a smaller ε", stacklevel=3)


# ---- alone ---------------------------------------------------------------------------------
class _Claim(NamedTuple):
    """What slopes say of one parameter alone, before it is tried.

    Attributes:
        idle: it may have no effect.
        axes: of those its indices may be scaled.
        whole: it may be scaled as a whole.
        known: its axes: the first, and each of more than one index.
    """

    idle: bool
    axes: list[int]
    whole: bool
    known: list[int]

    @property
    def nothing(self) -> bool:
        return not (self.idle or self.axes or self.whole)


def _claim(slopes: list[Slopes], largest: float) -> _Claim:
    def zero(what: Callable[[Slopes], Array | float]) -> bool:
        return all(bool(np.all(np.abs(what(s)) <= ZERO * s.size)) for s in slopes)

    known = [a for a, parts in enumerate(slopes[0].parts) if a == 0 or len(parts) > 1]
    return _Claim(
        idle=max(s.size for s in slopes) <= ZERO * largest,
        axes=[a for a in known if zero(lambda s, a=a: s.parts[a])],  # type: ignore[misc]
        whole=zero(lambda s: s.whole),
        known=known,
    )


def _alone(
    trials: Trials, slopes: list[dict[str, Slopes]], frozen: set[str]
) -> tuple[dict[str, str], list[str]]:
    """What ``Invariances.alone`` says, tried; and what is left to scale together."""
    largest = max(s.size for point in slopes for s in point.values())
    claims = {name: _claim([point[name] for point in slopes], largest) for name in slopes[0]}
    plain = trials.held([name for name, claim in claims.items() if claim.nothing], 1)
    alone = {n: "no" if n in plain else _kind(trials, n, claim) for n, claim in claims.items()}
    left = [name for name, kind in alone.items() if kind == "no"]
    # Joint invariances are read from slopes: these must be derivatives at another point, too.
    rest = {*left} - trials.held(left, 2)
    untrue = {name for name in sorted(rest) if trials.slopes_hold([name], 2) is False}
    untrue |= {name for name, kind in alone.items() if kind == UNTRUE}
    wrong = [name for name in alone if name in untrue - frozen]
    if wrong:
        shown = ", ".join(map(repr, wrong[:5])) + (" and others" if len(wrong) > 5 else "")
        raise RefusalError(
            f"the gradient of {shown} is not the derivative of the loss: something is detached "
            "or under no_grad, has a backward of its own (straight-through, reversal), jumps, or "
            "is checkpointed reentrantly; ask of a model without that, or freeze what is constant"
        )
    alone |= dict.fromkeys(untrue, "no")
    return alone, [name for name in left if name not in untrue]


def _kind(trials: Trials, name: str, claim: _Claim) -> str:
    """How one parameter is invariant, by finite changes."""
    if claim.idle and trials.idle(name):
        return "no effect"
    axes = claim.axes
    if not axes and not claim.whole:
        told = trials.slopes_hold([name], 1)
        if told:
            return "no"
        if told is None and trials.idle(name):
            return "no effect"
        axes = claim.known
    axes = [a for a in axes if trials.free(name, a)]
    if axes:
        return _each(axes)
    if trials.free(name, None):
        return "whole tensor"
    return "no" if trials.slopes_hold([name], 2) is not False else UNTRUE


def _each(axes: list[int]) -> str:
    if axes == [0]:
        return "each unit"
    numbers = " and ".join(map(str, axes))
    return f"each unit of {'axis' if len(axes) == 1 else 'axes'} {numbers}"


# ---- together ------------------------------------------------------------------------------
def _together(
    trials: Trials, slopes: list[dict[str, Slopes]], names: list[str]
) -> list[dict[str, float]]:
    """What ``Invariances.together`` says: exponents with Σ k·slope = 0 at each point, tried."""
    if not names:
        return []
    space = null_space(np.array([[point[name].whole for name in names] for point in slopes]))
    found = [_powers(names, row) for row in space.basis]
    nearly = [dict(zip(names, row.tolist(), strict=True)) for row in space.nearly]
    free = not found or trials.jointly_free(found, 10**-DIGITS)
    if not free or any(trials.jointly_free([powers]) for powers in nearly):
        raise RefusalError(
            "slopes and finite factors disagree on what scales together, or rounding hides which "
            "is right; ask with more examples, or with parameters of like size"
        )
    return found


def _powers(names: list[str], row: Array) -> dict[str, float]:
    largest = np.abs(row).max()
    named = zip(names, row, strict=True)
    return {n: round(float(k), DIGITS) for n, k in named if abs(k) > NO_EXPONENT * largest}
