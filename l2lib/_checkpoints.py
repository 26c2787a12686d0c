"""Two checkpoints of one run, and what decay did between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2lib._audit_data import Record
from l2lib._checks import (
    BELOW_ONE,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    as_number,
    check_choice,
    settle,
    shown,
)
from l2lib._laws import Kind, Law, Step
from l2lib._roles import short_names
from l2lib._tracked import Tracked, has_numbers, look_at, norm_of
from l2lib._watched import fitting, plain

# What states of modules hold beside parameters.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# Where training scripts put the model's state, among other things.
_PLACES = ("state_dict", "model_state_dict", "model", "module")
_SAVE = 'save torch.save(model.state_dict(), "name.pt")'


@dataclass(frozen=True)
class Between:
    """What happened between two checkpoints.

    Attributes:
        lr: η > 0.
        weight_decay: λ ≥ 0.
        steps: of the optimiser.
        optimizer: "adamw" or "sgd".
        momentum: β₁ or μ; None for the usual.
        total_steps: of the run, from the first checkpoint.
    """

    lr: float
    weight_decay: float
    steps: int
    optimizer: str = "adamw"
    momentum: float | None = None
    total_steps: int | None = None

    def __post_init__(self) -> None:
        check_choice("optimizer", self.optimizer, ["adamw", "sgd"])
        given = (
            {"adamw": 0.9, "sgd": 0.0}[self.optimizer] if self.momentum is None else self.momentum
        )
        total = self.total_steps
        settle(
            self,
            lr=as_number("lr", self.lr, POSITIVE),
            weight_decay=as_number("weight_decay", self.weight_decay, NOT_NEGATIVE),
            steps=as_number("steps", self.steps, COUNT),
            momentum=as_number("momentum", given, BELOW_ONE),
            total_steps=None if total is None else as_number("total_steps", total, COUNT),
        )
        if self.total_steps is not None and self.total_steps < self.steps:
            todo = "count it from the first checkpoint, to the end of the run"
            raise ValueError(f"total_steps is {total}, below steps, {self.steps}; {todo}")

    def step_with(self, weight_decay: float) -> Step:
        """A step of a tensor with this λ."""
        mu = float(self.momentum or 0)
        unit = self.optimizer == "adamw"
        law = Law(Kind.DECOUPLED if unit else Kind.COUPLED, mu, unit=unit)
        rate = self.lr * weight_decay
        return Step(law, self.lr, rate, law.share(rate))


def compared(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    between: Between,
    names: Sequence[str] | str | None,
    no_decay: Sequence[str] | str,
) -> list[Record]:
    """What is known of each tensor in two state dicts.

    Args:
        before: the earlier one.
        after: the later one.
        between: what happened between the two.
        names: of the tensors to compare; None for all.
        no_decay: of those whose λ is 0.

    Returns:
        A record for each, of one look.

    Raises:
        ValueError: if they do not have the same tensors, or nothing fits a name.
    """
    first, second = _parameters("before", before), _parameters("after", after)
    _check_same(first, second)
    spared = {*fitting(first, no_decay)} if no_decay else set()
    chosen = fitting(first, names)
    decays, spares = between.step_with(between.weight_decay), between.step_with(0.0)
    return [
        _record(n, first[n], second[n], spares if n in spared else decays, between.steps)
        for n in chosen
    ]


def _record(name: str, first: Tensor, second: Tensor, step: Step, steps: int) -> Record:
    tracked = Tracked(name, torch.nn.Parameter(first, requires_grad=False))
    tracked.keep()
    tracked.parameter = torch.nn.Parameter(second, requires_grad=False)
    tracked.count(step, steps)
    looks = look_at([tracked])
    role = "bias" if name.rpartition(".")[2] == "bias" else "unknown"
    decays = f"{step.rate / step.lr:g}" if step.rate else "no"
    size, norm = second.numel(), norm_of(second)
    return Record(name, role, decays, size, norm, step.law, step.lr, step.rate, looks)


def _parameters(which: str, state: object) -> dict[str, Tensor]:
    """The tensors of a state dict that may be parameters."""
    if not isinstance(state, Mapping) or not all(isinstance(t, Tensor) for t in state.values()):
        todo = "give what model.state_dict() returns, tensors by name"
        raise ValueError(f"{which} is {shown(state)}; {todo}")
    kept = {
        plain(str(name)): tensor
        for name, tensor in state.items()
        if has_numbers(tensor) and str(name).rpartition(".")[2] not in _STATISTICS
    }
    if not kept:
        todo = "give what model.state_dict() returns, tensors by name"
        raise ValueError(f"{which} has no tensor of real or complex numbers; {todo}")
    return kept


def _check_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    todo = "give two checkpoints of one model"
    if missing := sorted(first.keys() ^ second.keys()):
        raise ValueError(f"checkpoints: {short_names(missing, 3)} is in one of them only; {todo}")
    if other := [n for n in first if first[n].shape != second[n].shape]:
        shapes = f"{tuple(first[other[0]].shape)} and {tuple(second[other[0]].shape)}"
        raise ValueError(f"checkpoints: {other[0]} has shapes {shapes}; {todo}")


# ---- files -----------------------------------------------------------------------------------
def loaded(path: str) -> dict[str, Tensor]:
    """The state dict in a file, loaded so that nothing in it can run.

    Args:
        path: of a file that torch.save wrote, or of a safetensors file.

    Returns:
        Tensors by name.

    Raises:
        ValueError: if the file cannot be read, holds more than tensors, or has no state dict.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{path}: there is no such file; give two checkpoints, the earlier first")
    content = _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    for place in _PLACES:
        if isinstance(content, Mapping) and isinstance(content.get(place), Mapping):
            content = content[place]
            break
    if not isinstance(content, Mapping) or not all(isinstance(t, Tensor) for t in content.values()):
        raise ValueError(f"{path} holds {shown(content)}, no tensors by name; {_SAVE}")
    return dict(content)


def _torch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its reader, pickle or zip files raise
        why = "is no file of torch.save that can be loaded safely, as tensors alone can"
        raise ValueError(f"{file} {why}; {_SAVE}, or safetensors") from error


def _safetensors(file: Path) -> Any:
    try:
        from safetensors.torch import load_file  # not among l2lib's requirements
    except ImportError as error:
        todo = "pip install safetensors, or save with torch.save"
        raise ValueError(f"{file}: safetensors is not installed; {todo}") from error
    try:
        return load_file(file)
    except Exception as error:  # it has errors of its own
        raise ValueError(f"{file} is no safetensors file; {_SAVE}, or safetensors") from error
