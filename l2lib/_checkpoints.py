"""Checkpoints: the parameters in them, files that load safely, and the command on two of them."""

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2lib._checks import check_mapping, shown
from l2lib._roles import plain
from l2lib._turns import has_numbers

# What states of modules hold beside parameters.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# Where training scripts put the model's state, among other things.
_PLACES = ("state_dict", "model_state_dict", "model", "module")
_STATE = "what model.state_dict() returns, tensors by name"
_SAVE = 'save torch.save(model.state_dict(), "name.pt"), or safetensors'


def pairs_of(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """The parameters of two state dicts of one model, side by side.

    Args:
        before: the earlier one.
        after: the later one.

    Returns:
        Both tensors by name, without prefixes of wrappers.

    Raises:
        ValueError: if one has no parameters, or they do not have the same.
    """
    first, second = _parameters("before", before), _parameters("after", after)
    names = [*first, *(second.keys() - first.keys())]
    if odd := [n for n in names if _shape(first.get(n)) != _shape(second.get(n))]:
        shapes = f"{_shape(first.get(odd[0]))} before, {_shape(second.get(odd[0]))} after"
        todo = "give two checkpoints of one model"
        raise ValueError(f"checkpoints: {odd[0]} has shape {shapes}; {todo}")
    return {name: (tensor, second[name]) for name, tensor in first.items()}


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return "none" if tensor is None else tuple(tensor.shape)


def _parameters(which: str, state: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors of a state dict that may be parameters."""
    check_mapping(which, state, _STATE)
    kept = {str(name): t for name, t in state.items() if isinstance(t, Tensor) and has_numbers(t)}
    kept = {name: t for name, t in kept.items() if name.rpartition(".")[2] not in _STATISTICS}
    if not kept:
        raise ValueError(
            f"{which} is {shown(state)}, without real or complex numbers; give {_STATE}"
        )
    return plain(kept)


# ---- files -----------------------------------------------------------------------------------
def loaded(path: str) -> Mapping[str, Tensor]:
    """The state dict in a file, loaded so that nothing in it can run.

    Args:
        path: of a file that torch.save wrote, or of a safetensors file.

    Returns:
        Tensors by name, and perhaps more.

    Raises:
        ValueError: if the file cannot be read safely, or holds no dictionary.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{path}: there is no such file; give two checkpoints, the earlier first")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file  # not among l2lib's requirements

            content: Any = load_file(file)
        else:
            with warnings.catch_warnings():  # of what is refused, or of no matter here
                warnings.simplefilter("ignore")
                content = torch.load(file, map_location="cpu", weights_only=True)
    except ImportError as error:
        todo = "pip install safetensors, or save with torch.save"
        raise ValueError(f"{path}: safetensors is not installed; {todo}") from error
    except Exception as error:  # what torch's reader, pickle, zip files and safetensors raise
        why = "is no file that can be loaded safely, as tensors alone can"
        raise ValueError(f"{path} {why}; {_SAVE}") from error
    check_mapping(path, content, f"tensors by name: {_SAVE}")
    inner = (content.get(place) for place in _PLACES)
    return next((each for each in inner if isinstance(each, Mapping)), content)


# ---- the command -----------------------------------------------------------------------------
def command(compare: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Print the audit of two checkpoints.

    Args:
        compare: ``l2lib.audit.compare``.
        arguments: of the command line; None takes those of the process.

    Returns:
        0, or 2 where something is wrong with what was given, as standard error then says.
    """
    given = vars(_parser().parse_args(arguments))
    try:
        print(compare(loaded(given.pop("before")), loaded(given.pop("after")), **given))
    except ValueError as error:
        print(f"l2lib.audit: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    about = "What weight decay did to each tensor between two checkpoints of one run."
    parser = argparse.ArgumentParser("python -m l2lib.audit", description=about, allow_abbrev=False)
    told = "torch.save(model.state_dict(), …) or safetensors; loaded so that nothing in it can run"
    kinds = "adamw: decay beside updates of one length (the default); sgd: λ in the gradient"
    add = parser.add_argument
    add("before", help=f"the earlier checkpoint: {told}")
    add("after", help="the later one")
    add("--lr", type=float, required=True, help="η between them, > 0, on average")
    add("--weight-decay", type=float, required=True, help="λ ≥ 0")
    add("--steps", type=int, required=True, help="of the optimiser between them")
    add("--optimizer", choices=["adamw", "sgd"], default="adamw", help=kinds)
    add("--momentum", type=float, help="β₁ (default 0.9) or μ (default 0)")
    add("--total-steps", type=int, help="of the run, from the first checkpoint on")
    add("--no-decay", nargs="+", metavar="GLOB", help="tensors whose λ is 0")
    return parser
