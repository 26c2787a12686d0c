"""How each parameter is invariant alone: what slopes claim, and finite changes confirm."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from l2lib._model_copy import RefusalError
from l2lib._points import Slopes
from l2lib._trials import Trials
from l2lib.datasets import Array

# Relative. Rounding is about 1e-15, and what is not zero by identity seldom below 1e-3.
ZERO = 1e-8
UNTRUE = "untrue gradient"


class _Claim(NamedTuple):
    """What slopes say of one parameter alone, before it is tried.

    Attributes:
        dead: it has no gradient.
        idle: it may have no effect.
        axes: of those its indices may be scaled.
        whole: it may be scaled as a whole.
        known: its axes: the first, and each of more than one index.
    """

    dead: bool
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
    most = max(s.size for s in slopes)
    return _Claim(
        dead=most == 0,
        idle=most <= ZERO * largest,
        axes=[a for a in known if zero(lambda s, a=a: s.parts[a])],  # type: ignore[misc]
        whole=zero(lambda s: s.whole),
        known=known,
    )


def alone_of(
    trials: Trials, slopes: list[dict[str, Slopes]], frozen: set[str]
) -> tuple[dict[str, str], list[str]]:
    """How parameters are invariant alone, tried.

    Args:
        trials: finite changes.
        slopes: by parameter, at each of some points.
        frozen: parameters that may have a gradient that is not the derivative.

    Returns:
        What ``Invariances.alone`` says; and what is left to scale together.

    Raises:
        RefusalError: if a gradient is not the derivative, or rounding hides an effect.
    """
    largest = max(s.size for point in slopes for s in point.values())
    claims = {name: _claim([point[name] for point in slopes], largest) for name in slopes[0]}
    alone = _at_once(trials, claims)
    alone = {n: alone.get(n) or _kind(trials, n, claim) for n, claim in claims.items()}
    left = [name for name, kind in alone.items() if kind == "no"]
    # Joint invariances are read from slopes: these must be derivatives at another point, too.
    rest = {*left} - trials.held(left, 1)
    untrue = {name for name in sorted(rest) if trials.slope_holds(name, 1) is False}
    untrue |= {name for name, kind in alone.items() if kind == UNTRUE}
    wrong = [name for name in alone if name in untrue - frozen]
    if wrong:
        raise RefusalError(
            f"the gradient of {_some(wrong)} is not the derivative of the loss: something is "
            "detached or under no_grad, has a backward of its own (straight-through, reversal), "
            "jumps, is checkpointed reentrantly, or is read by no active unit; ask of a model "
            "without that, with more examples, or freeze what is constant"
        )
    if lost := trials.lost([name for name, kind in alone.items() if kind == "no effect"]):
        raise RefusalError(
            f"rounding hides what {_some(lost)} does, so small it is: "
            "ask with larger weights, with a norm's statistics of the batch, or of fewer layers"
        )
    alone |= dict.fromkeys(untrue, "no")
    return alone, [name for name in left if name not in untrue]


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" and others" if len(names) > 5 else "")


def _at_once(trials: Trials, claims: Mapping[str, _Claim]) -> dict[str, str]:
    """Kinds of those whose claims hold when all are tried together, which is cheaper."""
    nothing = [name for name, claim in claims.items() if claim.nothing]
    found = dict.fromkeys(trials.held(nothing, 0), "no")
    idle = [name for name, claim in claims.items() if claim.idle]
    if idle and trials.idle(idle):
        found |= dict.fromkeys(idle, "no effect")
    rest = {n: c.axes for n, c in claims.items() if n not in found and (c.axes or c.whole)}
    if rest and not any(claims[name].dead for name in rest) and trials.free(rest):
        found |= {name: _each(axes) for name, axes in rest.items()}
    return found


def _kind(trials: Trials, name: str, claim: _Claim) -> str:
    """How one parameter is invariant, by finite changes."""
    if claim.idle and trials.idle([name]):
        return "no effect"
    axes = claim.axes
    if not axes and not claim.whole:
        told = trials.slope_holds(name, 0)
        if told:
            return "no"
        if told is None and trials.idle([name]):
            return "no effect"
        axes = claim.known
    axes = [a for a in axes if trials.free({name: [a]})]
    if axes or trials.free({name: []}):
        return _each(axes)
    return UNTRUE if claim.dead or trials.slope_holds(name, 1) is False else "no"


def _each(axes: list[int]) -> str:
    if not axes:
        return "whole tensor"
    if axes == [0]:
        return "each unit"
    numbers = " and ".join(map(str, axes))
    return f"each unit of {'axis' if len(axes) == 1 else 'axes'} {numbers}"
