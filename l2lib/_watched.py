"""Which tensors of a model an audit watches, and in which group of the optimiser each is."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn, optim
from torch.nn.parameter import UninitializedParameter

from l2lib._checks import items_of, shown
from l2lib._decays import _inner
from l2lib._roles import known_roles, parameters_of, roles_of, short_names
from l2lib._rules import Rules, fits_name
from l2lib._storages import shared, two_on_one_memory

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(model: Any) -> nn.Module:
    """The model in what torch.compile and data parallelism put around it.

    Args:
        model: any module.

    Returns:
        The inner module, with the same parameters.

    Raises:
        ValueError: if it is no module, or has no parameters.
    """
    while isinstance(model, nn.Module):
        inner = model.module if isinstance(model, _WRAPPERS) else getattr(model, "_orig_mod", None)
        if inner is None:
            break
        model = inner
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is {shown(model)}; give the nn.Module that is trained")
    parameters_of(model)
    return model


def plain(name: str) -> str:
    """A parameter's name without what torch.compile puts into it.

    Args:
        name: in full.

    Returns:
        The name in the model as it was written.

    Example:
        >>> plain("blocks.0._orig_mod.weight")
        'blocks.0.weight'
    """
    return name.replace("_orig_mod.", "")


def inner_optimizer(optimizer: Any) -> optim.Optimizer:
    """The optimiser of torch in what others put around it.

    Args:
        optimizer: or what wraps one.

    Returns:
        It.

    Raises:
        ValueError: if there is none whose steps can be counted.
    """
    inner = _inner(optimizer)
    if not isinstance(inner, optim.Optimizer):
        todo = "give a torch.optim.Optimizer, or what wraps one, such as Accelerate's"
        raise ValueError(f"optimizer is {shown(optimizer)}; {todo}")
    return inner


def groups_of(optimizer: optim.Optimizer) -> dict[int, Mapping[str, Any]]:
    """The group of each tensor, by the tensor's id.

    Args:
        optimizer: of torch, or one that derives from it.

    Returns:
        The groups as they are now.
    """
    return {id(p): group for group in optimizer.param_groups for p in group["params"]}


def watched(model: nn.Module, optimizer: optim.Optimizer, names: object) -> dict[str, nn.Parameter]:
    """The parameters that are watched, by name.

    Args:
        model: the inner module.
        optimizer: that trains it.
        names: names or globs, as in ``Watch``; None for all.

    Returns:
        Parameters by plain name, tied ones once.

    Raises:
        ValueError: if nothing fits a name, the optimiser has none of the
            model's tensors, two share memory, or one is sharded.
    """
    everything = {plain(name): p for name, p in parameters_of(model).items()}
    grouped = groups_of(optimizer)
    if not any(id(p) in grouped for p in everything.values()):
        why = "none of its tensors is one of the model's"
        todo = "make the optimiser after the model is loaded, moved and wrapped"
        raise ValueError(f"optimizer: {why} (another model, or copies); {todo}")
    chosen = {n: everything[n] for n in fitting(everything, names)}
    if sharded := [n for n, p in chosen.items() if hasattr(p, "to_local") or hasattr(p, "ds_id")]:
        todo = "give names= of tensors that are whole, or compare two full checkpoints"
        raise ValueError(f"{short_names(sharded, 3)} is sharded: its norm is on many ranks; {todo}")
    check_memory(chosen, frozen={n for n, p in chosen.items() if id(p) not in grouped})
    return chosen


def check_memory(chosen: Mapping[str, Tensor], frozen: Iterable[str]) -> None:
    """Refuse two Parameters on one memory, which each step changes twice."""
    there = {n: p for n, p in chosen.items() if not isinstance(p, UninitializedParameter)}
    if pair := shared(there, frozen={*frozen}):
        raise ValueError(two_on_one_memory(*pair))


def fitting(everything: Iterable[str], names: object) -> list[str]:
    """The names that one of several globs fits.

    Args:
        everything: names.
        names: globs, or one; None fits all.

    Returns:
        Names in their order.

    Raises:
        ValueError: if the globs are no text, or one fits nothing.

    Example:
        >>> fitting(["0.weight", "0.bias"], "*.bias")
        ['0.bias']
    """
    listed = list(everything)
    if names is None:
        return listed
    globs = [names] if isinstance(names, str) else items_of(names)
    if not globs or not all(isinstance(glob, str) for glob in globs):
        todo = 'give names or globs, such as ["*.weight"], or None for all'
        raise ValueError(f"names is {shown(names)}; {todo}")
    for glob in globs:
        if not any(fits_name(glob, name) for name in listed):
            raise ValueError(f"names: nothing fits {glob!r}; names are {short_names(listed, 6)}")
    return [name for name in listed if any(fits_name(glob, name) for glob in globs)]


def labels_of(
    model: nn.Module, roles: Mapping[str, str] | None, rules: Rules | str | None
) -> dict[str, str]:
    """The role of each parameter, by plain name.

    Args:
        model: the inner module.
        roles: as in ``param_groups``.
        rules: as in ``param_groups``.

    Returns:
        A role, or "unknown" where neither was given and a rule would be needed.

    Raises:
        ValueError: as in ``l2lib.groups.roles``, if one was given.
    """
    if roles is None and rules is None:
        found = {name: role or "unknown" for name, role in known_roles(model).items()}
    else:
        found = roles_of(model, roles, rules)
    return {plain(name): role for name, role in found.items()}
