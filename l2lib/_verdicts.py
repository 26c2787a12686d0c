"""What λ does to a tensor in this run, in words, and where the border lies between them.

A norm r runs to its equilibrium R exponentially in the number N = Σ ηλ: r^p - R^p falls as e^(-pN),
with p = 4 by SGD and 2 where updates have one length (chapters 8 and 9). So two norms, and the N
between them, tell R, how far off r is, and how many steps are wanting.
"""

import math

import xarray as xr

from l2lib._laws import Kind, Law

NOTHING = 0.05
"""With N below this decay takes less than 5 % of a norm, and gives less than 10 % to its turn."""

NEAR = 0.2
"""So far r^p may be from R^p in equilibrium: the turn, ∝ r^(-p/2), is within about 10 % then."""

NOT_ASKED = "?"
"""Whether a tensor is scale-invariant, if no loss was given."""

ALIKE = 1.2
"""Without a loss a tensor counts as invariant if it turns as predicted, to this factor."""

DECAYING_ROLES = ("weight", "embedding", "other", "unknown")
"""Roles whose decay calls for no word of its own."""


def excess(growth: float, passed: float, power: int) -> float:
    """How far a norm is from its equilibrium R: r^p/R^p - 1 at the second of two looks.

    Args:
        growth: ln of the norm's growth between the two.
        passed: N between them, > 0.
        power: p; 0 if it is not known.

    Returns:
        Above 0 the norm is too large; infinite if it falls as if nothing held
        it; NaN if nothing is known.

    Example:
        >>> start, end = 3.0**0.5, (1 + 2 * math.exp(-2 * 0.5)) ** 0.5  # R = 1, p = 2
        >>> round(excess(math.log(end / start), 0.5, 2) / (2 * math.exp(-1)), 6)
        1.0
    """
    if not (passed > 0 and power):
        return math.nan
    held = -math.expm1(-power * (growth + passed))  # (R/r)^p (1 - e^(-pN))
    return -math.expm1(-power * passed) / held - 1 if held > 0 else math.inf


def verdict(one: xr.Dataset, law: Law) -> str:
    """What λ does to a tensor, in words.

    Args:
        one: what was found of it.
        law: of its group.

    Returns:
        The verdict.
    """
    role = str(one.role.item())
    if not one.steps_at.any():
        return "does not move"
    if law.kind is Kind.UNKNOWN:
        return "λ is unknown: only w was read"
    if not one.sum_lr_decay > 0:
        return "does not decay"
    if role not in DECAYING_ROLES:
        return f"decays though its role is {role}"
    ends = float(one.N if math.isnan(one.total_steps) else one.N_end)
    if ends < NOTHING:
        return f"λ does nothing {'so far' if math.isnan(one.total_steps) else 'in this run'}"
    return _of_decay(one, law)


def _of_decay(one: xr.Dataset, law: Law) -> str:
    """Whether decay and updates hold the norm, and where."""
    invariant, off = str(one.scale_invariant.item()), float(one.excess)
    if invariant in ("no", "together"):
        return "not invariant, here λ is a penalty"
    if invariant == "no effect":
        return "the loss ignores it: it only decays"
    if not law.power:
        return f"no equilibrium is known: {law.kind.value}"
    if math.isnan(off):
        return "cannot be told: the tensor is zero, not finite, or turns by a right angle"
    if abs(off) > NEAR:
        return _on_its_way(one, law, off)
    if invariant == NOT_ASKED and not 1 / ALIKE <= one.angle / one.angle_predicted <= ALIKE:
        return "steady, but turns otherwise than predicted: ask with a loss"
    return "in equilibrium"


def _on_its_way(one: xr.Dataset, law: Law, off: float) -> str:
    """How many steps it takes, if η, λ and the gradients stay as they are."""
    way, scale = "falling" if off > 0 else "rising", float(one.time_scale)
    if off == math.inf:
        return f"{way}, as if nothing held it"
    if math.isnan(scale):
        return f"{way}, but ηλ is 0 now"
    steps, left = (
        math.ceil(math.log(abs(off) / NEAR) * scale / law.power),
        one.total_steps - one.steps,
    )
    return f"{way}, needs {steps:,} steps" + (f" and has {max(left, 0):,}" if steps > left else "")
