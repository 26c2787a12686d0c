"""What an optimiser does to each tensor by way of decay, as a table."""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from torch import Tensor, nn, optim

from l2lib._roles import known_roles, parameters_of, roles_of, short_names
from l2lib._rules import ROLES, Rules
from l2lib._storages import shared, two_on_one_memory
from l2lib.tables import Table

_UNKNOWN = "unknown"
_ELSEWHERE = "elsewhere"


def table(
    model: nn.Module,
    groups: Sequence[Any] | optim.Optimizer,
    *,
    roles: Mapping[str, str] | None = None,
    rules: Rules | str | None = None,
) -> Table:
    """What decays: a line for each role and λ, then the total.

    It tells what the next step does, as far as that is known. A tensor without a
    gradient is left alone, so that one which is frozen, or which got none in a
    backward pass that gave some to others, shows "frozen" or "no gradient", with
    the λ of its group in brackets. Before the first backward pass, each is taken
    to get one.

    Args:
        model: any module.
        groups: what ``param_groups`` gave, or an optimiser, whoever made it, or
            what wraps one; or a list of dictionaries with "params" and
            "weight_decay".
        roles: role by name, from ``l2lib.groups.roles``; None takes them from
            the groups, if they come from ``param_groups``, or finds them. What
            is in no group and has no rule is "unknown" then.
        rules: short for ``roles=roles(model, rules=rules)``.

    Returns:
        Role, weight_decay (or "frozen", "no gradient", "no group"; "(lr 0)"
        where the group has that), tensors, numbers and names (N for a number).
        Last, what the groups hold beside the model: "elsewhere". Text where it
        is printed, a table in a notebook.

    Raises:
        ValueError: as in ``roles``; if the optimiser has no weight_decay, or
            one more for everything (ASGD's lambd), holds none of the model's
            tensors, or holds one twice; if a group lacks something or is used
            up by reading; if the roles are another model's, or both roles and
            rules are given.

    Source: chapter 6.

    Example:
        >>> from l2lib.groups import param_groups
        >>> model = nn.Linear(3, 2)
        >>> print(table(model, param_groups(model, 0.1)))
        role      weight_decay  tensors        numbers  names
        weight             0.1        1              6  weight
        bias                 0        1              2  bias
        total                         2              8
    """
    parameters = parameters_of(model)
    members = _members(groups)
    _check_memory(parameters, members)
    if roles is None and rules is None:
        labels = _carried_roles(model, groups, members) or roles_of(model, None)
    else:
        labels = roles_of(model, roles, rules)
    trained = any(p.grad is not None for p in parameters.values())
    order = (*ROLES, _UNKNOWN)
    lines: dict[tuple[int, str], list[str]] = {}
    for name, role in labels.items():
        shown = _shown(parameters[name], members.get(id(parameters[name])), trained)
        lines.setdefault((order.index(role), shown), []).append(name)
    rows = [_row(order[i], shown, names, parameters) for (i, shown), names in sorted(lines.items())]
    total = _row("total", "", list(parameters), parameters)._replace(names=_sharded(model))
    return _as_table([*rows, total, *_elsewhere(parameters, members)])


# ---- what happens to a tensor --------------------------------------------------------
class _Member(NamedTuple):
    """A tensor in a group."""

    tensor: Tensor
    group: Mapping[str, Any]

    @property
    def decay(self) -> str:
        return f"{float(self.group['weight_decay']):g}"

    @property
    def idle(self) -> bool:
        """Whether its group does not move, and no schedule will change that."""
        return self.group.get("lr") is not None and not (
            float(self.group["lr"]) or self.group.get("initial_lr")
        )


def _shown(p: Tensor, member: _Member | None, trained: bool) -> str:
    """What the next step does to a parameter by way of decay."""
    if member is None:
        return "no group" if p.requires_grad else "frozen"
    if p.grad is None and not p.requires_grad:
        return f"frozen ({member.decay})"
    if p.grad is None and trained:
        return f"no gradient ({member.decay})"
    return f"{member.decay} (lr 0)" if member.idle else member.decay


# ---- groups and optimisers -----------------------------------------------------------------
def _members(groups: Sequence[Any] | optim.Optimizer) -> dict[int, _Member]:
    """Each tensor in a group, by its id."""
    members: dict[int, _Member] = {}
    for i, group in enumerate(_listed(groups)):
        for tensor in _tensors(i, group):
            if id(tensor) in members:
                shape = tuple(tensor.shape)
                raise ValueError(f"group {i}: a tensor of shape {shape} is there twice; keep one")
            members[id(tensor)] = _Member(tensor, group)
    return members


def _listed(groups: Any) -> list[Mapping[str, Any]]:
    """The groups as dictionaries, each with its λ."""
    of_optimizer = hasattr(groups, "param_groups")
    if not of_optimizer and not isinstance(groups, list | tuple):
        wanted = "give an optimiser, or a list of dictionaries as param_groups makes it"
        raise ValueError(f"groups is a {type(groups).__name__}; {wanted}")
    listed = list(groups.param_groups) if of_optimizer else list(groups)
    if not all(isinstance(group, Mapping) and "params" in group for group in listed):
        wanted = 'each group must be a dictionary with "params" and "weight_decay"'
        raise ValueError(f"groups: {wanted}")
    if of_optimizer:
        _check_reads_decay(groups, listed)
    for i, group in enumerate(listed):
        _check_decay(i, group, of_optimizer)
    return listed


def _tensors(i: int, group: Mapping[str, Any]) -> list[Tensor]:
    """The tensors of a group, which torch takes alone, in a list, or with their names."""
    params = group["params"]
    if isinstance(params, Tensor):
        return [params]
    if not isinstance(params, list | tuple):
        why = ", which reading uses up" if isinstance(params, Iterator) else ""
        raise ValueError(f"group {i}: params is a {type(params).__name__}{why}; give a list")
    return [each[1] if isinstance(each, tuple) else each for each in params]


def _check_decay(i: int, group: Mapping[str, Any], of_optimizer: bool) -> None:
    """Refuse a group whose λ is missing, or no number."""
    if "weight_decay" not in group:
        todo = "set it" if of_optimizer else "give the optimiser itself, whose default it takes"
        raise ValueError(f"group {i} has no weight_decay; {todo}")
    decay = group["weight_decay"]
    if not isinstance(decay, Real | Tensor) or not math.isfinite(decay):
        raise ValueError(f"group {i}: weight_decay is {decay!r}; it must be a finite number")


_INNER = ("optimizer", "base_optimizer", "optim", "inner_optimizer", "_optimizer")
# By these some optimisers shrink weights as well, or instead.
_OTHER_NAMES = ("lambd", "weight_decay_rate", "wd", "l2", "l2_reg")


def _check_reads_decay(wrapper: Any, groups: list[Mapping[str, Any]]) -> None:
    """Refuse an optimiser that has no weight_decay, or more than that."""
    inner = _inner(wrapper)
    kind = type(inner).__name__
    defaults = getattr(inner, "defaults", {})
    other = next((k for k in _OTHER_NAMES for g in (*groups, defaults) if g.get(k)), None)
    if other == "lambd":
        raise ValueError(f"{kind} shrinks everything by a lambd of its own; give it lambd=0")
    if other:
        raise ValueError(f"{kind} decays by {other!r}, which a table of weight_decay does not tell")
    if "weight_decay" in defaults:
        return
    if type(inner).__module__.startswith("torch.optim"):
        raise ValueError(f"{kind} ignores weight_decay; choose an optimiser that has it")
    if not _mentions(type(inner), "weight_decay"):
        why = "has no weight_decay among its defaults, and its code does not name it"
        todo = "give the optimiser that it wraps, or choose one that has it"
        raise ValueError(f"{kind} {why}; {todo}")


def _inner(optimizer: Any) -> Any:
    """The optimiser that others wrap."""
    for _ in range(5):
        found = [getattr(optimizer, name, None) for name in _INNER]
        inner = next((each for each in found if hasattr(each, "param_groups")), None)
        if inner is None:
            break
        optimizer = inner
    return optimizer


def _mentions(cls: type, word: str) -> bool:
    """Whether the code of a class has a word as text: as a key of its groups."""
    bases = [base for base in cls.__mro__ if base not in (optim.Optimizer, object)]
    # Torch wraps each step, and readers do with no_grad.
    found = [inspect.unwrap(f) for base in bases for f in vars(base).values() if callable(f)]
    functions = [f for f in found if isinstance(f, FunctionType)]
    return any(word in code.co_consts for f in functions for code in _codes(f.__code__))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _codes(const)


def _check_memory(parameters: Mapping[str, Tensor], members: Mapping[int, _Member]) -> None:
    """Refuse tensors that share memory, and groups that have nothing to do with the model."""
    known = {id(p) for p in parameters.values()}
    strangers = [member.tensor for i, member in members.items() if i not in known]
    others = {
        f"stranger {i} in the groups, of shape {tuple(tensor.shape)},": tensor
        for i, tensor in enumerate(strangers)
    }
    frozen = {n for n, p in parameters.items() if not p.requires_grad and id(p) not in members}
    if pair := shared({**parameters, **others}, frozen):
        raise ValueError(two_on_one_memory(*pair))
    if members and known.isdisjoint(members):
        why = "none of their tensors is one of the model's"
        todo = "make the optimiser after the model is loaded, moved and wrapped"
        raise ValueError(f"groups: {why} (another model, or copies); {todo}")


def _carried_roles(
    model: nn.Module,
    groups: Any,
    members: Mapping[int, _Member],
) -> dict[str, str]:
    """The roles that groups carry which ``param_groups`` made; none if there are other groups."""
    parameters = parameters_of(model)
    # An optimiser keeps each group's entries, but knows nothing of what is frozen.
    in_group = {
        n: members[id(p)].group.get("role") for n, p in parameters.items() if id(p) in members
    }
    carried = {n: role for n, role in in_group.items() if role in ROLES}
    carried |= {n: role for n, role in getattr(groups, "roles", {}).items() if n in parameters}
    known = {**known_roles(model), **carried}
    if not carried or any(known.get(name) is None for name in in_group):
        return {}
    return {name: known.get(name) or _UNKNOWN for name in parameters}


# ---- the lines ---------------------------------------------------------------------------
class _Row(NamedTuple):
    """A line of the table, as text."""

    role: str
    weight_decay: str
    tensors: str
    numbers: str
    names: str


def _row(role: str, decay: str, names: list[str], tensors: Mapping[str, Tensor]) -> _Row:
    numbers = sum(_numel(tensors[name]) for name in names)
    return _Row(role, decay, str(len(names)), f"{numbers:,}", short_names(names, most=2))


def _numel(tensor: Tensor) -> int:
    """How many numbers a tensor has, in whole where it is cut up or packed."""
    if hasattr(tensor, "ds_numel"):  # DeepSpeed leaves an empty tensor in its place
        return int(tensor.ds_numel)
    packed = getattr(getattr(tensor, "quant_state", None), "shape", None)  # of bitsandbytes
    return tensor.numel() if packed is None else math.prod(packed)


def _sharded(model: nn.Module) -> str:
    cut = any(type(m).__name__ == "FullyShardedDataParallel" for m in model.modules())
    return "numbers: the part of this rank" if cut else ""


def _elsewhere(
    parameters: Mapping[str, Tensor],
    members: Mapping[int, _Member],
) -> Iterable[_Row]:
    """What the groups hold that is not the model's, by its λ."""
    known = {id(p) for p in parameters.values()}
    by_decay: dict[str, list[Tensor]] = {}
    for i, member in members.items():
        if i not in known:
            by_decay.setdefault(member.decay, []).append(member.tensor)
    for decay, tensors in by_decay.items():
        numbers = sum(map(_numel, tensors))
        yield _Row(_ELSEWHERE, decay, str(len(tensors)), f"{numbers:,}", "not in this model")


def _as_table(rows: list[_Row]) -> Table:
    width = max(12, *(len(row.weight_decay) for row in rows))
    lines = [
        f"{role:<10}{decay:>{width}}{tensors:>9}{numbers:>15}  {names}".rstrip()
        for role, decay, tensors, numbers, names in [_Row(*_Row._fields), *rows]
    ]
    caption = "What decays: the parameters by their role and weight decay"
    return Table(caption, _Row._fields, tuple(rows), "\n".join(lines))
