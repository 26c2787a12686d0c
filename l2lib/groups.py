"""Parameter groups for torch's optimisers: which tensors decay.

That goes by the class of a module and what it calls its tensors, not by their
number of axes; chapter 6 says why.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import Tensor, nn, optim
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.weight_norm import WeightNorm

from l2lib.penalty import check_weight_decay
from l2lib.tables import Table, html_table

__all__ = [
    "DECAY_FACTORS",
    "ROLES",
    "ParamGroups",
    "Rules",
    "param_groups",
    "roles",
    "table",
]

DECAY_FACTORS = {"weight": 1.0}
"""Factor on λ by role, 0 for what is not named, as in a sweep."""

ROLES = ("weight", "embedding", "bias", "gamma", "beta", "g", "slope", "other")
"""What a parameter can be for."""

_Key = type | str
Rules = Mapping[_Key, str]
"""Role by class, by glob of class names, or by glob of the parameters' full names."""

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_OTHER_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Their tensors have names like in_proj_weight and bias_hh_l0.
_MANY = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
_TYPES: dict[type, str] = {
    **dict.fromkeys(_EMBEDDINGS, "embedding"),
    **dict.fromkeys((*_BATCH_NORMS, *_INSTANCE_NORMS, *_OTHER_NORMS), "gamma"),
    **dict.fromkeys((nn.Linear, nn.Bilinear, *_CONVOLUTIONS, *_TRANSPOSED, *_MANY), "weight"),
    nn.PReLU: "slope",
}


# ---- roles -------------------------------------------------------------------
def roles(model: nn.Module, *, rules: Rules | None = None) -> dict[str, str]:
    """What each parameter is for, by its module's class and its name there.

    A matrix or kernel is a "weight"; a norm has "gamma" and "beta", PReLU a
    "slope", weight norm a "g" and a direction that is a "weight"; what else is
    called bias is one; only rules give "other". A tied tensor takes, of the
    roles of its uses, the first in ``ROLES``.

    Args:
        model: any module.
        rules: role by class or glob of class names ("*RMSNorm"), for the
            class's own parameters, whose biases become "bias", or "beta" beside
            "gamma"; or by glob of full names ("*.cls_token"), which wins. Of
            classes the more specific wins, then the later rule.

    Returns:
        One of ``ROLES`` by name, as in ``model.named_parameters()``.

    Raises:
        ValueError: if no rule covers a parameter, a rule fits nothing, a role
            is unknown, or a lazy module has not run.

    Source: chapter 6.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        >>> roles(model)
        {'0.weight': 'weight', '0.bias': 'bias', '1.weight': 'gamma', '1.bias': 'beta'}
        >>> roles(model, rules={"0.*": "other"})["0.bias"]
        'other'
    """
    rules = dict(rules or {})
    _check_known(rules)
    found: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    used: set[_Key] = set()
    for name, uses in _uses(model).items():
        label = _label(name, uses, rules)
        used.update(label.rules)
        if label.role is None:
            missing.setdefault(label.culprit, []).append(name)
        else:
            found[name] = label.role
    if missing:
        raise ValueError(_rules_to_add(missing))
    if unused := [key for key in rules if key not in used]:
        raise ValueError(f"rules: nothing fits {unused}; names are {_names(found)}")
    return found


def _check_known(rules: dict[_Key, str]) -> None:
    for role in rules.values():
        if role not in ROLES:
            known = ", ".join(ROLES)
            raise ValueError(f"rules: {role!r} is not a role; choose among {known}")


def _rules_to_add(missing: dict[str, list[str]]) -> str:
    """An error that can be pasted: a line for each class without a rule."""
    what = f"no rule covers all parameters; add to `rules`, ROLE among {', '.join(ROLES)}:"
    lines = [f'    "{cls}": ROLE  # for {_names(names)}' for cls, names in missing.items()]
    return "\n".join([what, *lines])


class _Use(NamedTuple):
    """A module that uses a parameter, and as what."""

    module: nn.Module
    name: str  # of the tensor there that the parameter makes; "" for weight norm's length g


class _Label(NamedTuple):
    """A role, if there is one, the rules that fit, and the class that lacks one."""

    role: str | None
    rules: list[_Key]
    culprit: str = ""


def _label(name: str, uses: list[_Use], rules: dict[_Key, str]) -> _Label:
    """The role of a parameter, by its name or else by all its uses."""
    by_name = [key for key in rules if _fits_name(key, name)]
    by_use = [_role(use, rules) for use in uses]
    fitting = [*by_name, *(key for label in by_use for key in label.rules)]
    if by_name:
        return _Label(rules[by_name[-1]], fitting)
    return min(by_use, key=_rank)._replace(rules=fitting)


def _rank(label: _Label) -> int:
    """The order of ``ROLES``, and before all a use without a role: one of them is an error."""
    return -1 if label.role is None else ROLES.index(label.role)


def _role(use: _Use, rules: dict[_Key, str]) -> _Label:
    """The role of a module's own parameter, by the module's class."""
    classes = _classes(use.module)
    # The more specific class first, and of its rules the later.
    fitting = [key for cls in classes for key in reversed(rules) if _fits_class(key, cls)]
    if use.name == "":
        return _Label("g", fitting)
    words = _words(use, ruled=bool(fitting))
    role = rules[fitting[0]] if fitting else _built_in(use.name, words, classes)
    if role and "bias" in words:
        role = "beta" if role == "gamma" else "bias"
    return _Label(role, fitting, type(use.module).__name__)


def _classes(module: nn.Module) -> list[type]:
    """What a module is, the more specific first."""
    # Without the base of all modules, which "*" and "M*" would fit as well.
    return [cls for cls in type(module).__mro__ if cls not in (nn.Module, object)]


def _words(use: _Use, *, ruled: bool) -> set[str]:
    """Where to look for "weight" and "bias" in a name."""
    # A class with a rule, or with many tensors, may write them before or after
    # something else. Otherwise a name like weight_scale is no weight.
    if ruled or isinstance(use.module, _MANY):
        parts = use.name.split("_")
        return {parts[0], parts[-1]}
    return {use.name}


def _built_in(name: str, words: set[str], classes: list[type]) -> str | None:
    """What torch's classes call weight and bias; what else a subclass adds is unknown."""
    if words & {"weight", "bias"}:
        for cls in classes:
            if cls in _TYPES:
                return _TYPES[cls]
    return "bias" if name == "bias" else None


def _fits_class(key: _Key, cls: type) -> bool:
    return key is cls or fnmatchcase(cls.__name__, str(key))


def _fits_name(key: _Key, name: str) -> bool:
    """Whether a glob fits; brackets in it stand for themselves, as names may have some."""
    return fnmatchcase(name, str(key).replace("[", "[[]"))


def _uses(model: nn.Module) -> dict[str, list[_Use]]:
    """The modules that use each parameter; several where it is tied."""
    if not isinstance(model, nn.Module) or not list(model.parameters()):
        wanted = f"give an nn.Module that has some, not a {type(model).__name__}"
        raise ValueError(f"the model has no parameters; {wanted}")
    names = {id(p): name for name, p in model.named_parameters()}
    uses: dict[str, list[_Use]] = {}
    for path, module in model.named_modules():
        for own, p in module.named_parameters(recurse=False, remove_duplicate=False):
            name = names[id(p)]
            if nn.parameter.is_lazy(p):
                todo = "run one batch through the model first"
                raise ValueError(f"{name} is lazy and has no shape; {todo}")
            uses.setdefault(name, []).append(_use(model, path, module, own))
    return uses


def _use(model: nn.Module, path: str, module: nn.Module, own: str) -> _Use:
    """Who uses the parameter that a module at a path calls its own, and as what."""
    if isinstance(module, parametrize.ParametrizationList):
        return _parametrised(model, path, module, own)
    if own[:-2] in _weight_normed(module):
        return _Use(module, "" if own.endswith("_g") else own[:-2])
    return _Use(module, own.removesuffix("_orig"))  # of spectral_norm and of pruning


def _parametrised(
    model: nn.Module,
    path: str,
    module: parametrize.ParametrizationList,
    own: str,
) -> _Use:
    """The module whose tensor is made here, at "….parametrizations.weight"."""
    parent, _, tensor = path.rpartition("parametrizations.")
    user = model.get_submodule(parent.rstrip("."))
    # Torch has no public name for the class; in it original0 is the length.
    by_weight_norm = isinstance(module[0], parametrizations._WeightNorm)
    return _Use(user, "" if own == "original0" and by_weight_norm else tensor)


def _weight_normed(module: nn.Module) -> set[str]:
    """The tensors that the older ``nn.utils.weight_norm`` makes."""
    # The private dictionary is the only place where torch shows a module's hooks.
    hooks = module._forward_pre_hooks.values()
    return {hook.name for hook in hooks if isinstance(hook, WeightNorm)}


# ---- groups ------------------------------------------------------------------
class ParamGroups(list[dict[str, Any]]):
    """A list of groups for any torch optimiser, which a notebook shows as a table.

    Attributes:
        roles: the role of each parameter of the model, frozen ones as well.

    Example:
        >>> groups = param_groups(nn.Linear(3, 2), 0.1)
        >>> [group["weight_decay"] for group in groups]
        [0.1, 0.0]
        >>> groups.roles
        {'weight': 'weight', 'bias': 'bias'}
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]] = (),
        roles: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(groups)
        self.roles = dict(roles or {})

    def __repr__(self) -> str:
        """A line a group; the tensors themselves would fill pages."""
        lines = ["  ".join(_group_row(group)) for group in self]
        return "\n".join([f"{len(self)} groups: role, weight_decay, tensors, names", *lines])

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        caption = "Groups of parameters, with their weight decay"
        columns = ("role", "weight_decay", "tensors", "names")
        return html_table(caption, columns, map(_group_row, self))


def _group_row(group: dict[str, Any]) -> tuple[str, ...]:
    names = group["param_names"]
    return group["role"], f"{group['weight_decay']:g}", str(len(names)), _names(names)


def param_groups(
    model: nn.Module,
    weight_decay: float,
    *,
    decay_factors: Mapping[str, float] | None = None,
    roles: Mapping[str, str] | None = None,
    rules: Rules | None = None,
) -> ParamGroups:
    """Groups for a torch optimiser, one for each role and λ.

    Every parameter is in one, frozen ones in none. Embeddings do not decay by
    default: a row has a gradient only when its token comes up, yet would shrink
    every step.

    Args:
        model: any module.
        weight_decay: λ ≥ 0.
        decay_factors: factor ≥ 0 on λ by role, 0 for what is not named; None
            means {"weight": 1}. A glob of full names multiplies that:
            {"weight": 1, "blocks.0.*": 0.1} leaves the biases of block 0 alone.
        roles: role by name, from ``l2lib.groups.roles``; None finds them.
        rules: short for ``roles=roles(model, rules=rules)``.

    Returns:
        Dictionaries with "params", "param_names", "weight_decay" and "role".

    Raises:
        ValueError: as in ``roles``; if λ or a factor is negative or not finite,
            a glob fits nothing that decays, the roles are another model's, or
            both roles and rules are given.

    Source: chapter 6.

    Example:
        >>> model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
        >>> groups = param_groups(model, 0.1, decay_factors={"weight": 1, "embedding": 0.5})
        >>> [(group["role"], group["weight_decay"]) for group in groups]
        [('embedding', 0.05), ('weight', 0.1), ('bias', 0.0)]
        >>> optimizer = optim.AdamW(groups, lr=1e-3)
    """
    check_weight_decay(weight_decay)
    factors = DECAY_FACTORS if decay_factors is None else decay_factors
    if bad := {key: f for key, f in factors.items() if not 0 <= f < math.inf}:
        raise ValueError(f"decay_factors: {bad} must be finite numbers ≥ 0")
    labels = _given_or_found(model, roles, rules)
    _check_globs(factors, labels)
    parameters = dict(model.named_parameters())
    members: dict[tuple[str, float], list[str]] = {}
    for name, role in labels.items():
        if parameters[name].requires_grad:
            value = weight_decay * _decay_factor(name, role, factors)
            members.setdefault((role, value), []).append(name)
    groups = ParamGroups(roles=labels)
    for (role, value), names in members.items():
        group = {"role": role, "weight_decay": value, "param_names": names}
        groups.append({"params": [parameters[name] for name in names], **group})
    return groups


def _given_or_found(
    model: nn.Module,
    given: Mapping[str, str] | None,
    rules: Rules | None = None,
) -> dict[str, str]:
    """Roles as they were given, if they are this model's; else those that are found."""
    if given is None:
        return roles(model, rules=rules)
    if rules is not None:
        why = "what roles(model, rules=…) found has the rules in it"
        raise ValueError(f"give roles= or rules=, not both: {why}")
    names = [name for name, _ in model.named_parameters()]
    if given.keys() != {*names} or not {*given.values()} <= {*ROLES}:
        todo = "give what l2lib.groups.roles finds for this model"
        raise ValueError(f"roles: a role must stand for each parameter, and no more; {todo}")
    return {name: given[name] for name in names}


def _globs(name: str, factors: Mapping[str, float]) -> list[str]:
    """The factors for patterns of names that fit this one."""
    return [key for key in factors if key not in ROLES and _fits_name(key, name)]


def _decay_factor(name: str, role: str, factors: Mapping[str, float]) -> float:
    """The factor on λ: that of the role, times those of the name."""
    by_name = math.prod(factors[key] for key in _globs(name, factors))
    return factors.get(role, 0.0) * by_name


def _check_globs(factors: Mapping[str, float], labels: dict[str, str]) -> None:
    """Refuse a pattern that changes nothing: it is misspelt, or its role does not decay."""
    unused = {*factors} - {*ROLES}
    for name, role in labels.items():
        if factors.get(role):
            unused.difference_update(_globs(name, factors))
    if unused:
        known = f"roles are {', '.join(ROLES)} (0 if not named), names {_names(labels)}"
        listed = sorted(unused, key=str)
        raise ValueError(f"decay_factors: nothing whose role decays fits {listed}; {known}")


# ---- the table ---------------------------------------------------------------
def table(
    model: nn.Module,
    groups: Sequence[Any] | optim.Optimizer,
    *,
    roles: Mapping[str, str] | None = None,
    rules: Rules | None = None,
) -> Table:
    """What decays: a line for each role and λ, then the total.

    Args:
        model: any module.
        groups: what ``param_groups`` gave, or an optimiser, whoever made it.
        roles: role by name, from ``l2lib.groups.roles``; None takes them from
            the groups, if they come from ``param_groups``, or finds them.
        rules: short for ``roles=roles(model, rules=rules)``.

    Returns:
        Role, weight_decay (or "frozen", or "no group"), tensors, numbers and
        names (N for a number). Text where it is printed, a table in a notebook.

    Raises:
        ValueError: as in ``roles``; if the optimiser has no weight_decay, or
            one more for everything (ASGD's lambd); if the roles are another
            model's, or both roles and rules are given.

    Source: chapter 6.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> print(table(model, param_groups(model, 0.1)))
        role      weight_decay  tensors        numbers  names
        weight             0.1        1              6  weight
        bias                 0        1              2  bias
        total                         2              8
    """
    if roles is None and rules is None:
        rules = _carried_roles(model, groups)
    labels = _given_or_found(model, roles, rules)
    decays = _shown_decays(groups)
    parameters = dict(model.named_parameters())
    lines: dict[tuple[int, str], list[str]] = {}
    for name, role in labels.items():
        p = parameters[name]
        shown = decays.get(id(p), "no group" if p.requires_grad else "frozen")
        lines.setdefault((ROLES.index(role), shown), []).append(name)
    rows = [_row(ROLES[i], shown, names, parameters) for (i, shown), names in sorted(lines.items())]
    total = _row("total", "", list(parameters), parameters)._replace(names="")
    return _as_table([*rows, total])


class _Row(NamedTuple):
    """A line of the table, as text."""

    role: str
    weight_decay: str
    tensors: str
    numbers: str
    names: str


def _row(
    role: str,
    decay: str,
    names: list[str],
    parameters: Mapping[str, Tensor],
) -> _Row:
    numbers = sum(parameters[name].numel() for name in names)
    return _Row(role, decay, str(len(names)), f"{numbers:,}", _names(names, most=2))


def _as_table(rows: list[_Row]) -> Table:
    lines = [
        f"{role:<10}{decay:>12}{tensors:>9}{numbers:>15}  {names}".rstrip()
        for role, decay, tensors, numbers, names in [_Row(*_Row._fields), *rows]
    ]
    caption = "What decays: the parameters by their role and weight decay"
    return Table(caption, _Row._fields, tuple(rows), "\n".join(lines))


def _shown_decays(groups: Sequence[Any] | optim.Optimizer) -> dict[int, str]:
    """The weight decay of each tensor in a group, by its id, if that is all that shrinks it."""
    if isinstance(groups, optim.Optimizer):
        kind = type(groups).__name__
        if "weight_decay" not in groups.defaults:
            raise ValueError(f"{kind} ignores weight_decay; choose an optimiser that has it")
        if groups.defaults.get("lambd"):
            raise ValueError(f"{kind} shrinks everything by a lambd of its own; give it lambd=0")
    decays = [(group["params"], f"{group['weight_decay']:g}") for group in _listed(groups)]
    return {id(p): decay for params, decay in decays for p in params}


def _listed(groups: Sequence[Any] | optim.Optimizer) -> Sequence[Any]:
    return groups.param_groups if isinstance(groups, optim.Optimizer) else groups


def _carried_roles(
    model: nn.Module,
    groups: Sequence[Any] | optim.Optimizer,
) -> dict[_Key, str]:
    """The roles that groups carry which ``param_groups`` made, by the parameters' names."""
    if isinstance(groups, ParamGroups):
        carried = groups.roles
        return {name: carried[name] for name, _ in model.named_parameters() if name in carried}
    # An optimiser keeps each group's entries, but knows nothing of what is frozen.
    by_id = {id(p): group.get("role") for group in _listed(groups) for p in group["params"]}
    named = [(name, by_id.get(id(p))) for name, p in model.named_parameters()]
    return {name: role for name, role in named if role in ROLES}


def _names(names: Iterable[str], most: int | None = None) -> str:
    """Names, at most so many; those that differ in whole numbers only are one, with their count."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"\b\d+\b", "N", name), []).append(name)
    shown = [f"{n} ({len(same)})" if len(same) > 1 else same[0] for n, same in alike.items()]
    if most is not None and len(shown) > most:
        shown = [*shown[:most], "…"]
    return ", ".join(shown)
