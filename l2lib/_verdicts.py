"""What λ does to a tensor in this run, in words, and where the border lies between them.

A norm r runs to its equilibrium R exponentially in the number N = Σ ηλ: r^p - R^p falls as e^(-pN),
with p = 4 by SGD and 2 where updates have one length (chapters 8 and 9). So two norms, and the N
between them, tell R, how far off r is, and how many steps are wanting.
"""

import math
from dataclasses import dataclass

from l2lib._laws import Kind

NOTHING = 0.05
"""With N below this decay takes less than 5 % of a norm, and gives less than 10 % to its turn."""

NEAR = 0.2
"""So far r^p may be from R^p in equilibrium: the turn, ∝ r^(-p/2), is within about 10 % then."""

ALIKE = 1.2
"""Without a loss a tensor counts as invariant if it turns as predicted, to this factor."""

DECAYING_ROLES = ("weight", "embedding", "other", "unknown")
"""Roles whose decay calls for no word of its own."""

YES = ("each unit", "whole tensor")
NOT_ASKED = "?"


@dataclass(frozen=True)
class Case:
    """What is known of a tensor, and asked of it.

    Attributes:
        role: as in ``l2lib.groups.ROLES``, or "unknown".
        invariant: as in ``Invariances.alone``, "together", or "?" if nobody asked.
        kind: what the optimiser does with λ.
        moved: whether steps changed it.
        rate: Σ η_tλ over the steps.
        share: what a step takes away, in the long run.
        power: p, 0 if it is not known.
        norms: r at the begin and the end of the later half of what was watched.
        between: N between the two.
        n_run: N by the end of the run, or so far.
        left: steps that the run has left; None if nobody said.
        ratio: the angle over the predicted one.
    """

    role: str
    invariant: str
    kind: Kind
    moved: bool
    rate: float
    share: float
    power: int
    norms: tuple[float, float]
    between: float
    n_run: float
    left: int | None
    ratio: float


def excess(norms: tuple[float, float], between: float, power: int) -> float:
    """How far a norm is from its equilibrium R: r^p/R^p - 1 at the second of two looks.

    Args:
        norms: r at the two looks.
        between: N between them, > 0.
        power: p.

    Returns:
        Above 0 the norm is too large; infinite if it falls as if nothing held it.

    Example:
        >>> start, end = 3.0**0.5, (1 + 2 * math.exp(-2 * 0.5)) ** 0.5  # R = 1, p = 2
        >>> round(excess((start, end), 0.5, 2), 6) == round(2 * math.exp(-1), 6)
        True
    """
    first, second = norms
    if not (first > 0 and second > 0 and between > 0 and power):
        return math.nan
    left = math.exp(-power * between)
    reached = 1 - (first / second) ** power * left  # (R/r)^p (1 - left)
    return (1 - left) / reached - 1 if reached > 0 else math.inf


def steps_to_go(off: float, share: float, power: int) -> float:
    """How many steps a norm needs to its equilibrium, if η, λ and the gradients stay as they are.

    Args:
        off: r^p/R^p - 1.
        share: what a step takes away.
        power: p.

    Returns:
        The number; 0 if it is there.

    Example:
        >>> round(steps_to_go(0.2 * math.e, 0.001, 2))
        500
    """
    if abs(off) <= NEAR:
        return 0.0
    return math.log(abs(off) / NEAR) / (power * share)


def verdict(case: Case) -> str:
    """What λ does to a tensor, in words.

    Args:
        case: the tensor.

    Returns:
        The verdict.
    """
    return _without_decay(case) or _with_decay(case)


def _without_decay(case: Case) -> str:
    if not case.moved:
        return "does not move"
    if case.kind is Kind.UNKNOWN:
        return "λ is unknown: only w was read"
    return "" if case.rate > 0 else "does not decay"


def _with_decay(case: Case) -> str:
    if case.role not in DECAYING_ROLES:
        return f"decays though its role is {case.role}"
    if case.n_run < NOTHING:
        return "λ does nothing in this run" if case.left is not None else "λ does nothing so far"
    if case.invariant in ("no", "together"):
        return "not invariant, here λ is a penalty"
    if case.invariant == "no effect":
        return "the loss ignores it: it only decays"
    if not case.power:
        return f"no equilibrium is known: {case.kind.value}"
    return _of_equilibrium(case)


def _of_equilibrium(case: Case) -> str:
    """Whether the norm is where decay and updates hold it."""
    off = excess(case.norms, case.between, case.power)
    if math.isnan(off):
        return "cannot be told: the tensor is zero, not finite, or turns by a right angle"
    if abs(off) > NEAR:
        return _on_its_way(case, off)
    if case.invariant == NOT_ASKED and not 1 / ALIKE <= case.ratio <= ALIKE:
        return "steady, but turns otherwise than predicted: ask with a loss"
    return "in equilibrium"


def _on_its_way(case: Case, off: float) -> str:
    way = "falling" if off > 0 else "rising"
    if off == math.inf:
        return f"{way}, as if nothing held it"
    steps = math.ceil(steps_to_go(off, case.share, case.power))
    short = case.left is not None and steps > case.left
    return f"{way}, needs {steps:,} steps" + (f" and has {case.left:,}" if short else "")
