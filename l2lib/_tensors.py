"""The tensors of a penalty: what is one, and the sum of its squares."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from l2lib._fans import weight_of
from l2lib._storages import shared

COPY = "copy them before training: [w.detach().clone() for w in weights]"


def listed(name: str, tensors: object) -> list[object]:
    """What was given as a list; one tensor is a list of one.

    Args:
        name: how the argument is called.
        tensors: what was given.

    Returns:
        The list.

    Raises:
        ValueError: if it is a model, a dictionary, or nothing that has parts.
    """
    if isinstance(tensors, torch.Tensor):
        return [tensors]
    wanted = "give a list of tensors, such as [layer.weight]"
    if isinstance(tensors, nn.ParameterList | nn.ModuleList):
        return list(tensors)
    if isinstance(tensors, nn.Module | Mapping | str) or not isinstance(tensors, Iterable):
        raise ValueError(f"{name} is a {type(tensors).__name__}; {wanted}")
    return list(tensors)


def checked_weights(weights: Sequence[object]) -> list[torch.Tensor]:
    """The tensors to penalise, a layer's weight for a layer, if each can be penalised.

    Args:
        weights: tensors and layers.

    Returns:
        Their tensors.

    Raises:
        ValueError: if one is no dense tensor of real or complex numbers, is
            there twice, or lies on another device than the first.
    """
    tensors: list[torch.Tensor] = []
    for i, each in enumerate(weights):
        name = f"weights[{i}]"
        tensor = _tensor(name, weight_of(each) if isinstance(each, nn.Module) else each)
        if tensor.device != (first := tensors[0] if tensors else tensor).device:
            where = f"on {tensor.device}, weights[0] on {first.device}"
            raise ValueError(f"{name} lies {where}; add up the penalties of each device")
        tensors.append(tensor)
    if not torch.compiler.is_compiling():  # where nothing can look at memory
        _refuse_tied(tensors)
    return tensors


def _refuse_tied(tensors: list[torch.Tensor]) -> None:
    """Refuse numbers that are in the list twice, perhaps in another object, shape or order."""
    seen: dict[int, int] = {}
    for i, tensor in enumerate(tensors):
        before = seen.setdefault(id(tensor), i)
        if before < i:
            raise ValueError(_tied(before, i))
    if pair := shared({str(i): _local(tensor) for i, tensor in enumerate(tensors)}):
        raise ValueError(_tied(*sorted(map(int, pair))))


def _tied(before: int, again: int) -> str:
    what = f"weights[{again}] is weights[{before}] again"
    return f"{what}: a tied tensor is penalised once; leave one out"


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a distributed tensor; another one as it is."""
    local: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local


def _tensor(name: str, each: object) -> torch.Tensor:
    """A tensor whose squares can be summed."""
    if not isinstance(each, torch.Tensor):
        kind = type(each).__name__
        raise ValueError(f"{name} is a {kind}; give tensors, such as [layer.weight]")
    if isinstance(each, UninitializedParameter | UninitializedBuffer):
        raise ValueError(f"{name} has no shape yet; run a batch through the model first")
    if each.layout != torch.strided or each.is_nested:
        todo = "give w.to_dense(), or w.coalesce().values(), as what is absent is zero"
        raise ValueError(f"{name} is not dense ({each.layout}); {todo}")
    if not (each.is_floating_point() or each.is_complex()):
        todo = "leave it out, or give its numbers as a floating-point tensor"
        raise ValueError(f"{name} is {each.dtype}: a penalty has no gradient there; {todo}")
    if each.numel() == 0 and getattr(each, "ds_numel", None):
        todo = "penalise it where it is gathered, or use the optimiser's weight_decay"
        raise ValueError(f"{name} is empty here, as DeepSpeed keeps its numbers elsewhere; {todo}")
    return each


def checked_centres(centres: Sequence[object], weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors that the weights are drawn towards, if each is a constant that fits its weight.

    Args:
        centres: tensors, one for each weight.
        weights: what they belong to.

    Returns:
        The tensors.

    Raises:
        ValueError: if their number, a shape, a type or a device is another, one
            has a gradient, or one is a weight's own memory.
    """
    if len(centres) != len(weights):
        raise ValueError(f"towards has {len(centres)} tensors for {len(weights)} weights; {COPY}")
    looked = not torch.compiler.is_compiling()  # where nothing can look at memory
    memory = {_memory(weight) for weight in weights} if looked else set()
    tensors = []
    for i, (each, weight) in enumerate(zip(centres, weights, strict=True)):
        centre = _tensor(f"towards[{i}]", each)
        _check_fit(i, centre, weight)
        if looked and _memory(centre) in memory:
            raise ValueError(f"towards[{i}] is a weight's own memory, and moves with it; {COPY}")
        tensors.append(centre)
    return tensors


def _check_fit(i: int, centre: torch.Tensor, weight: torch.Tensor) -> None:
    """Refuse a centre that would be broadcast, converted, moved or trained."""
    if centre.shape != weight.shape:
        shapes = f"{tuple(centre.shape)}, weights[{i}] {tuple(weight.shape)}"
        raise ValueError(f"towards[{i}] has shape {shapes}; give one for each, in their order")
    for what in ("dtype", "device"):
        ours, theirs = getattr(centre, what), getattr(weight, what)
        if ours != theirs:
            pair = f"towards[{i}] is {ours}, weights[{i}] is {theirs}"
            raise ValueError(f"{pair}; call .to(weight) on it")
    if centre.requires_grad:
        raise ValueError(f"towards[{i}] requires a gradient, and would be trained; {COPY}")


def _memory(tensor: torch.Tensor) -> int:
    """Where a tensor's storage begins; what has no memory is a place of its own, below zero."""
    place = -id(tensor)  # tensors inside torch.func have none that can be seen
    try:
        begin = _local(tensor).untyped_storage().data_ptr()
    except RuntimeError:
        return place
    return begin if begin and tensor.numel() else place


def square_sum(weight: torch.Tensor, centre: torch.Tensor | None = None) -> torch.Tensor:
    """The sum of |w|², or of |w - w₀|², in float32 or float64.

    Args:
        weight: w, any shape, real or complex.
        centre: w₀, of the same shape and type.

    Returns:
        A scalar tensor; float32 for numbers of 8 and 16 bits, whose squares
        overflow or round away in a sum of their own.
    """
    w = _wide(weight) if centre is None else _wide(weight) - _wide(centre)
    if w.is_complex():
        return w.real.square().sum() + w.imag.square().sum()
    return w.square().sum()


def _wide(w: torch.Tensor) -> torch.Tensor:
    """A tensor's numbers in 32 bits at least."""
    least = torch.complex64 if w.is_complex() else torch.float32
    return w if w.dtype.itemsize >= least.itemsize else w.to(least)
