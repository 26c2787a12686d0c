"""What an audit found, as an xarray data set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from l2lib._laws import NOT_READ, Kind, Law
from l2lib._tracked import Look, Tracked, has_numbers, norm_of
from l2lib._verdicts import NOT_ASKED, Case, verdict
from l2lib.datasets import Array
from l2lib.invariance import Invariances

ABOUT = {
    "role": "what the tensor is for (l2lib.groups)",
    "decays": "λ of its group, or why no step takes anything away",
    "scale_invariant": "as in l2lib.scale_invariance; ? if no loss was given",
    "norm": "‖w‖ at the last look",
    "rms": "root of the mean of w²",
    "rms_ratio": "rms over √(η/2λ), its equilibrium under AdamW; NaN by other optimisers",
    "angle": "between two looks, radians, root mean square of the later half",
    "angle_predicted": "of a scale-invariant tensor in equilibrium, over as many steps",
    "turn": "Σ -ln cos θ over all looks",
    "decay": "part of turn: Σ -ln(1 - ηλ)",
    "push": "part of turn: what updates bring inward",
    "growth": "part of turn: ln of the norm's growth",
    "residual": "largest difference between the two sides of the budget at a look",
    "time_scale": "steps in which it forgets itself: 1/(ηλ), (1 - μ)/(ηλ) with torch's momentum",
    "time_share": "time_scale over total_steps",
    "sum_lr_decay": "Σ η_tλ so far",
    "N": "how often it has forgotten itself so far: Σ of 1/time_scale",
    "N_end": "N at the end of the run, if η and λ stay as they are",
    "verdict": "what λ does to it",
}
"""Each variable in words."""


@dataclass(frozen=True)
class Record:
    """What an audit knows of a tensor.

    Attributes:
        name: in the model.
        role: or "unknown".
        decays: λ in words.
        size: how many numbers it has.
        norm: ‖w‖ now.
        law: of its group.
        lr: η of the last step.
        rate: ηλ of the last step.
        looks: what each look found.
    """

    name: str
    role: str
    decays: str
    size: int
    norm: float
    law: Law = NOT_READ
    lr: float = math.nan
    rate: float = 0.0
    looks: Sequence[Look] = ()


def record_of(each: Tracked, role: str, group: Mapping[str, Any] | None) -> Record:
    """What is known of a tensor that was watched.

    Args:
        each: the tensor.
        role: or "unknown".
        group: of the optimiser; None if it is in none.

    Returns:
        The record.
    """
    there = has_numbers(each.parameter)
    norm = each.looks[-1].norm if each.looks else math.nan
    norm = norm_of(each.parameter) if math.isnan(norm) else norm
    size = each.parameter.numel() if there else 0
    last = each.law, each.last_lr, each.last_rate
    return Record(each.name, role, _decays(each, group), size, norm, *last, each.looks)


def _decays(each: Tracked, group: Mapping[str, Any] | None) -> str:
    """λ of a tensor, or why no step takes anything away."""
    if group is None:
        return "no group" if each.parameter.requires_grad else "frozen"
    if not any(look.steps for look in each.looks):
        return "no gradient" if each.parameter.requires_grad else "frozen"
    if each.law.kind in (Kind.UNKNOWN, Kind.NONE):
        return {Kind.UNKNOWN: "unknown", Kind.NONE: "no"}[each.law.kind]
    decay = float(group["weight_decay"]) + float(group.get("lambd", 0))
    return f"{decay:g}" if decay else "no"


def data_of(
    records: Sequence[Record],
    steps: Sequence[int],
    total_steps: int | None,
    invariances: Invariances | None,
) -> xr.Dataset:
    """All that was found, by tensor, and by tensor and look.

    Args:
        records: the tensors.
        steps: of the optimiser at each look.
        total_steps: of the run; None if nobody said.
        invariances: if a loss was given.

    Returns:
        The data set.
    """
    left = None if total_steps is None else max(0, total_steps - steps[-1])
    invariant = invariant_words([record.name for record in records], invariances)
    rows = [_row(record, invariant[record.name], left, total_steps) for record in records]
    by_tensor = {
        key: ("tensor", [row[key] for row in rows], {"description": told})
        for key, told in ABOUT.items()
    }
    by_look = {
        f"{field}_at": (("tensor", "step"), _history(records, field, len(steps)))
        for field in Look._fields
    }
    coords = {"tensor": [record.name for record in records], "step": list(steps)}
    attrs = {"steps": steps[-1], "looks": len(steps)}
    attrs |= {} if total_steps is None else {"total_steps": total_steps}
    return xr.Dataset({**by_tensor, **by_look}, coords, attrs)


def invariant_words(names: Sequence[str], found: Invariances | None) -> Mapping[str, str]:
    """Whether each tensor is scale-invariant, in a word or two.

    Args:
        names: of the tensors.
        found: what ``scale_invariance`` found; None if nobody asked.

    Returns:
        By name as in ``Invariances.alone``, or "together", or "?".

    Example:
        >>> found = Invariances({"up": "no", "down": "no"}, [{"up": 1.0, "down": -1.0}])
        >>> dict(invariant_words(["up", "other"], found))
        {'up': 'together', 'other': '?'}
    """
    if found is None:
        return dict.fromkeys(names, NOT_ASKED)
    joint = {name for powers in found.together for name in powers}
    return {n: "together" if n in joint else found.alone.get(n, NOT_ASKED) for n in names}


def _history(records: Sequence[Record], field: str, looks: int) -> Array:
    """One number of each look at each tensor; NaN where it was not watched yet."""
    history = np.full((len(records), looks), math.nan)
    for row, record in zip(history, records, strict=True):
        if record.looks:
            row[-len(record.looks) :] = [getattr(look, field) for look in record.looks]
    return history


def _row(
    record: Record, invariant: str, left: int | None, total_steps: int | None
) -> dict[str, float | str]:
    """What the data set has of one tensor."""
    stepped = [look for look in record.looks if look.steps]
    seen = [look for look in stepped if not math.isnan(look.turn)]
    later = seen[len(seen) // 2 :]
    share = _per_step(stepped[-1:])
    n_far = _sum([look.share for look in stepped])
    n_end = math.nan if left is None else n_far + (share * left if left else 0)
    scale = 1 / share if share > 0 else math.nan
    rms = record.norm / math.sqrt(record.size) if record.size else math.nan
    angle, predicted = _angle([x.turn for x in later]), _angle([x.predicted for x in later])
    case = Case(
        role=record.role,
        invariant=invariant,
        kind=record.law.kind,
        moved=bool(stepped) and record.size > 0,
        rate=sum(look.rate for look in stepped),
        share=_per_step(later),
        power=record.law.power,
        norms=(record.norm * math.exp(-sum(look.growth for look in later)), record.norm),
        between=_sum([look.share for look in later]),
        n_run=n_far if left is None else n_end,
        left=left,
        ratio=angle / predicted if predicted > 0 else math.nan,
    )
    return {
        "role": record.role,
        "decays": record.decays,
        "scale_invariant": invariant,
        "norm": record.norm,
        "rms": rms,
        "rms_ratio": rms / _unit_rms(record),
        "angle": angle,
        "angle_predicted": predicted,
        "turn": _sum([look.turn for look in seen]),
        "decay": _sum([look.decay for look in seen]),
        "push": _sum([look.push for look in seen]),
        "growth": _sum([look.growth for look in seen]),
        "residual": max((_residual(look) for look in seen), default=math.nan),
        "time_scale": scale,
        "time_share": scale / total_steps if total_steps else math.nan,
        "sum_lr_decay": sum(look.rate for look in stepped),
        "N": n_far,
        "N_end": n_end,
        "verdict": verdict(case),
    }


def _per_step(looks: Sequence[Look]) -> float:
    """What a step takes away, on average over some looks."""
    return _sum([x.share for x in looks]) / sum(x.steps for x in looks) if looks else math.nan


def _sum(values: Sequence[float]) -> float:
    return math.fsum(values) if values else math.nan


def _angle(turns: Sequence[float]) -> float:
    """The angle whose -ln cos is the mean."""
    mean = sum(turns) / len(turns) if turns else math.nan
    return math.acos(math.exp(-mean)) if mean >= 1e-8 else math.sqrt(2 * mean)


def _unit_rms(record: Record) -> float:
    """√(η/2λ), where that is the equilibrium's."""
    unit = record.law.unit and record.rate > 0
    return record.lr / math.sqrt(2 * record.rate) if unit else math.nan


def _residual(look: Look) -> float:
    return abs(look.turn - (look.decay + look.push + look.growth))
