"""What an audit found, as an xarray data set and as a table of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from l2lib._laws import Kind
from l2lib._turns import FIELDS, Tracked
from l2lib._verdicts import excess, verdict
from l2lib.tables import Table


class _Variable(NamedTuple):
    """What the data set has of each tensor.

    Attributes:
        about: it in words.
        heading: of its column in the table; empty if it has none.
        form: of a number there; empty for words.
    """

    about: str
    heading: str = ""
    form: str = ""


VARIABLES = {
    "role": _Variable("what the tensor is for (l2lib.groups)", "role"),
    "decays": _Variable("λ of the last step, or why none took anything away", "decays"),
    "scale_invariant": _Variable("as in l2lib.scale_invariance; ? without a loss", "invariant"),
    "norm": _Variable("‖w‖ at the last look", "‖w‖", ".3g"),
    "rms": _Variable("root of the mean of w²", "RMS", ".3g"),
    "rms_ratio": _Variable("rms over √(η/2λ), its equilibrium by AdamW", "RMS/√(η/2λ)", ".2f"),
    "angle": _Variable("root mean square from look to look, later half", "angle", ".3g"),
    "angle_predicted": _Variable("if scale-invariant and in equilibrium", "predicted", ".3g"),
    "turn": _Variable("Σ -ln cos θ over all looks", "turn", ".3g"),
    "decay": _Variable("part of turn: Σ -ln(1 - ηλ)", "decay", ".3g"),
    "push": _Variable("part of turn: what updates bring inward", "push", ".3g"),
    "growth": _Variable("part of turn: ln of the norm's growth", "growth", ".3g"),
    "residual": _Variable("largest difference of the budget's two sides at a look"),
    "excess": _Variable("how far r^p is above its equilibrium: r^p/R^p - 1"),
    "time_scale": _Variable("steps in which it forgets itself, about 1/(ηλ)", "1/(ηλ)", ",.0f"),
    "time_share": _Variable("time_scale over total_steps", "of run", ",.0%"),
    "sum_lr_decay": _Variable("Σ η_tλ so far"),
    "N": _Variable("how often it has forgotten itself so far", "N", ".3g"),
    "N_end": _Variable("N at the end if η and λ stay as they are", "by the end", ".3g"),
    "verdict": _Variable("what λ does to it", "verdict"),
}
"""By name, in the order of the table."""


def data_of(
    tracked: Sequence[Tracked],
    labels: Mapping[str, tuple[str, str]],
    steps: Sequence[int],
    total_steps: int | None,
) -> xr.Dataset:
    """All that was found, by tensor, and by tensor and look.

    Args:
        tracked: the tensors.
        labels: of each its role, and whether it is scale-invariant.
        steps: of the optimiser at each look.
        total_steps: of the run; None if nobody said.

    Returns:
        The data set.
    """
    looks = np.array([each.looks for each in tracked])
    data = xr.Dataset(
        {f"{name}_at": (("tensor", "step"), looks[..., i]) for i, name in enumerate(FIELDS)},
        {"tensor": [each.name for each in tracked], "step": list(steps)},
        {"steps": steps[-1], "total_steps": math.nan if total_steps is None else total_steps},
    )
    seen = data.turn_at.notnull()
    later = seen & (seen.cumsum("step") > seen.sum("step") // 2)
    share = xr.DataArray([each.share for each in tracked], dims="tensor")

    data["role"] = "tensor", [labels[each.name][0] for each in tracked]
    data["decays"] = "tensor", [_decays(each) for each in tracked]
    data["scale_invariant"] = "tensor", [labels[each.name][1] for each in tracked]
    data["norm"] = data.norm_at.isel(step=-1)
    data["rms"] = data.norm / np.sqrt([each.tensor.numel() for each in tracked])
    data["rms_ratio"] = data.rms / [_unit_rms(each) for each in tracked]
    data["angle"] = _angle(data.turn_at.where(later).mean("step"))
    data["angle_predicted"] = _angle(data.predicted_at.where(later).mean("step"))
    for part in ("turn", "decay", "push", "growth"):
        data[part] = data[f"{part}_at"].where(seen).sum("step", min_count=1)
    two_sides = data.turn_at - data.decay_at - data.push_at - data.growth_at
    data["residual"] = abs(two_sides).max("step")
    data["time_scale"] = 1 / share.where(share > 0)
    data["time_share"] = data.time_scale / data.total_steps
    data["sum_lr_decay"] = data.rate_at.sum("step")
    stepped = data.steps_at > 0
    data["N"] = data.share_at.where(stepped).sum("step", min_count=1).where(share >= 0)
    data["N_end"] = data.N + share * np.maximum(0, data.total_steps - data.steps)
    grown, passed = (data[f"{name}_at"].where(later).sum("step") for name in ("growth", "share"))
    powers = [each.last.law.power for each in tracked]
    off = map(excess, grown.values.tolist(), passed.values.tolist(), powers)
    data["excess"] = "tensor", list(off)
    verdicts = [verdict(data.isel(tensor=i), each.last.law) for i, each in enumerate(tracked)]
    data["verdict"] = "tensor", verdicts
    for name, variable in VARIABLES.items():
        data[name].attrs["description"] = variable.about
    return data


def _decays(each: Tracked) -> str:
    """λ of a tensor, or why no step took anything away."""
    if not any(look[0] for look in each.looks):
        return "no step" if each.tensor.requires_grad else "frozen"
    if each.last.law.kind is Kind.UNKNOWN:
        return "unknown"
    return f"{each.last.weight_decay:g}" if each.last.weight_decay else "no"


def _unit_rms(each: Tracked) -> float:
    """√(η/2λ), where that is the equilibrium's; a step takes ηλ away there."""
    known = each.last.law.unit and each.share > 0
    return math.sqrt(each.share / 2) / each.last.weight_decay if known else math.nan


def _angle(turn: xr.DataArray) -> Any:
    """The angle whose -ln cos this is: its tangent's square is 1/cos² - 1."""
    return np.arctan(np.sqrt(np.expm1(2 * turn)))


def table_of(data: xr.Dataset) -> Table:
    """A line for each tensor, under a line on the run.

    Args:
        data: of an audit.

    Returns:
        The table; a dash where there is no number, and no column of dashes.
    """
    columns, padded = {}, []
    for name, (_, heading, form) in {"tensor": _Variable("", "tensor"), **VARIABLES}.items():
        cells = [format(v, form) if v == v else "-" for v in data[name].values.tolist()]  # not NaN
        if heading and {*cells} != {"-"}:
            columns[heading] = cells
            width = max(map(len, [heading, *cells]))
            padded.append([f"{cell:{'>' if form else '<'}{width}}" for cell in [heading, *cells]])
    of = "" if math.isnan(data.total_steps) else f" of {data.total_steps:,}"
    looks = data.sizes["step"]
    caption = (
        f"Audit: {data.steps:,}{of} steps, {looks:,} look{'s' * (looks > 1)}; angles in radians"
        " from look to look; turn = decay + push + growth, summed"
    )
    lines = ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
    rows = tuple(zip(*columns.values(), strict=True))
    return Table(caption, tuple(columns), rows, "\n".join([caption, *lines]))
