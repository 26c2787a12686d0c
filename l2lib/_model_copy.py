"""A copy of a model to compute with: in float64, unwrapped, sharing nothing.

What cannot be copied faithfully is refused, with the reason and a way out.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from l2lib._float64 import wide
from l2lib._storages import shared


class RefusalError(ValueError):
    """What was found, why nothing can be said, and what to do."""


def private_copy(model: nn.Module) -> nn.Module:
    """Copy a model in float64, all of whose gradients are asked for.

    Parameters keep their names, ties and devices. DataParallel,
    DistributedDataParallel and compiled modules become what they wrap. Hooks on
    gradients stay behind; an embedding's gradient is dense.

    Args:
        model: any module. It is left alone.

    Returns:
        The copy, in the model's mode.

    Raises:
        RefusalError: if the model has no numbers yet, holds them elsewhere, or
            shares memory that a copy would not share.
    """
    if not isinstance(model, nn.Module):
        raise RefusalError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    _refuse_what_has_no_numbers(model)
    _refuse_shared_memory(model)
    copied = _copied(model)
    if {*map(id, copied.parameters())} & {*map(id, model.parameters())}:
        raise RefusalError(
            "model's own __deepcopy__ shares its parameters; remove it for this call"
        )
    for module in copied.modules():
        _prepare(module)
    copied._apply(wide)
    for p in copied.parameters():
        p.requires_grad_(is_real(p))
    return copied


def is_real(p: Tensor) -> bool:
    """Whether a parameter has numbers that a factor can scale: not if it is quantised."""
    return p.is_floating_point() or p.is_complex()


def tensors_beside(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's own tensors that are no parameters: buffers, attributes, and lists of them."""
    for name, value in itertools.chain(module._buffers.items(), vars(module).items()):
        held = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, dict) and not name.startswith("_"):
            held = [*value.values()]
        yield from (
            (name, t) for t in held if isinstance(t, Tensor) and type(t) is not nn.Parameter
        )


# ---- what is refused -----------------------------------------------------------------------
def _refuse_what_has_no_numbers(model: nn.Module) -> None:
    named = dict(model.named_parameters())
    for name, p in named.items():
        if reason := _missing(p):
            raise RefusalError(f"parameter {name!r} {reason}")
    if not any(p.numel() and is_real(p) for p in named.values()):
        raise RefusalError("model has no parameters that a factor could scale")


def _missing(p: Tensor) -> str:
    """Why a parameter's numbers cannot be had, or nothing."""
    if is_lazy(p):
        return "has no shape yet; run the model once, then ask"
    if p.is_meta:
        return "has no numbers (device meta); load or initialise the model, then ask"
    if hasattr(p, "ds_numel") and p.numel() != p.ds_numel:
        return "is sharded (DeepSpeed); gather it, or ask of the model before it is sharded"
    if is_traceable_wrapper_subclass(p):
        return f"is a {type(p).__name__}; ask of the model before it is sharded or quantised"
    if p.device.type == "mps":
        return "is on mps, which has no float64; move the model and the loss's data to the CPU"
    if p.layout != torch.strided:
        return f"is sparse ({p.layout}); make it dense"
    return ""


def _refuse_shared_memory(model: nn.Module) -> None:
    """Two tensors on one memory are two in a copy: what ties them would be lost."""
    parameters = dict(model.named_parameters())
    beside = _constants(model, {*map(id, parameters.values())})
    if two := shared(parameters | beside, frozen=beside):
        raise RefusalError(
            f"{two[0]!r} and {two[1]!r} share memory, but are not one parameter; "
            f"tie them (module.weight = other.weight) or give one a clone"
        )


def _constants(model: nn.Module, seen: set[int]) -> dict[str, Tensor]:
    """The tensors beside the parameters, by name, each once; nothing that autograd computed."""
    found: dict[str, Tensor] = {}
    for at, module in model.named_modules():
        for name, t in tensors_beside(module):
            if id(t) not in seen and t.grad_fn is None:
                full = f"{at}.{name}".lstrip(".")
                found[f"{full}[{len(found)}]" if full in found else full] = t
                seen.add(id(t))
    return found


# ---- copying -------------------------------------------------------------------------------
class _Constants(TorchFunctionMode):
    """Copies computed tensors, which old weight_norm and pruning keep, as constants."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is not Tensor.__deepcopy__ or args[0].is_leaf:
            return func(*args, **kwargs or {})
        computed, memo = args
        return memo.setdefault(id(computed), computed.detach().clone())


class _Unwrapped(nn.Module):
    """Stands for a wrapper: the same names, but it only calls what is inside."""

    def __init__(self, name: str, inside: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inside)
        self.training = inside.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        (inside,) = self._modules.values()
        assert inside is not None
        return inside(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        inside = [*self._modules.values()]
        if name in self._modules or not inside:
            return super().__getattr__(name)
        return getattr(inside[0], name)


def _copied(model: nn.Module) -> nn.Module:
    memo: dict[int, Any] = {}
    try:
        with torch.no_grad(), _Constants():
            for module in reversed([*model.modules()]):  # what is inside comes first
                for name in _wrapped(module):
                    inside = copy.deepcopy(module.get_submodule(name), memo)
                    memo[id(module)] = _Unwrapped(name, inside)
            return copy.deepcopy(model, memo)
    except Exception as error:
        raise RefusalError(
            f"model cannot be copied ({error}); give one that copy.deepcopy copies"
        ) from error


def _wrapped(module: nn.Module) -> list[str]:
    """The name of what a wrapper wraps, or nothing."""
    if type(module).__name__ == "FullyShardedDataParallel":
        raise RefusalError("model is sharded (FSDP); ask of the model before it is wrapped")
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return ["module"]
    return ["_orig_mod"] if type(module).__name__ == "OptimizedModule" else []


def _prepare(module: nn.Module) -> None:
    """Take off what makes gradients untrue; make tensors in attributes float64."""
    module._backward_hooks.clear()
    module._backward_pre_hooks.clear()
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        module.sparse = False
    for name, value in [*vars(module).items()]:
        if type(value) is Tensor:
            setattr(module, name, wide(value))
