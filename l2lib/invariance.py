"""Which parameters of a model are scale-invariant, alone or together (chapter 7)."""

import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from l2lib._alone import alone_of
from l2lib._exact_loss import ExactLoss, Loss
from l2lib._exact_mode import GUARD, Guard, place
from l2lib._joint import NO_EXPONENT, null_space
from l2lib._model_copy import RefusalError
from l2lib._points import Places, Point, Slopes, point_at
from l2lib._trials import FAR, Trials
from l2lib.datasets import Array
from l2lib.tables import html_table

__all__ = ["Invariances", "scale_invariance"]


# Relative. Rounding is about 1e-15, and what is not zero by identity seldom below 1e-3.
ZERO = 1e-8
# At so many points a parameter's slope must vanish.
POINTS = 5
# An ε that moves the loss by more than this share of what moving all parameters does is no ε.
MATTERS = 0.3
# Exponents are told to so many; this, of what parameters do, it changes at most.
DIGITS = 6
ROUNDED = 1e-5
# So often points far away are added, where what held near the parameters does not.
ROUNDS = 5


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
    scaled by factors from 1/1000 to 1000, where the model is and at two other
    points at least, and the loss must stay. What is not must have a gradient that is the
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
    * Parameters that are so small that they hide what is behind them, such as
      a LayerScale of 1e-6, are tried at a larger size.
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
    trials = Trials(exact, [start, *points], rng)
    slopes = [point.slopes for point in points]
    alone, left = alone_of(trials, slopes, exact.frozen)
    # Each parameter that is left is one more unknown, and asks for one more equation.
    slopes += [places.point(parts=False).slopes for _ in left]
    return Invariances(alone, _together(trials, places, slopes, left))


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


# ---- together ------------------------------------------------------------------------------
def _together(
    trials: Trials, places: Places, slopes: list[dict[str, Slopes]], names: list[str]
) -> list[dict[str, float]]:
    """What ``Invariances.together`` says: exponents with Σ k·slope = 0 at each point, tried."""
    # What scales alone near the parameters, but not far away, has a slope there only.
    near = [n for n in names if all(abs(p[n].whole) <= ZERO * p[n].size for p in slopes[:POINTS])]
    slopes = slopes + [places.point(False, {name: 1.0}).slopes for name in near * 2]
    for _ in range(ROUNDS if names else 0):
        space = null_space(np.array([[point[name].whole for name in names] for point in slopes]))
        found = [_powers(names, row) for row in space.basis]
        # Near the parameters a part of the function may sleep, such as where a ReLU6 is flat.
        wrong = [powers for powers in found if not trials.jointly_free(powers, ROUNDED, FAR)]
        if not wrong:
            nearly = [dict(zip(names, row.tolist(), strict=True)) for row in space.nearly]
            if any(trials.jointly_free(powers) for powers in nearly):
                break
            return found
        slopes = slopes + [places.point(False, powers).slopes for powers in wrong * 2]
    if not names:
        return []
    raise RefusalError(
        "slopes and finite factors disagree on what scales together, or rounding hides which "
        "is right; ask with more examples, or with parameters of like size"
    )


def _powers(names: list[str], row: Array) -> dict[str, float]:
    largest = np.abs(row).max()
    named = zip(names, row, strict=True)
    return {n: round(float(k), DIGITS) for n, k in named if abs(k) > NO_EXPONENT * largest}
