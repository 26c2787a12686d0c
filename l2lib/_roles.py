"""What each parameter of a model is for: its role (chapter 6)."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.weight_norm import WeightNorm

from l2lib._checks import items_of, shown
from l2lib._rules import (
    ROLES,
    Common,
    Key,
    Optional,
    Rules,
    checked,
    fits_class,
    fits_name,
    full_name,
)

T = TypeVar("T")

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_OTHER_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# The classes whose tensors have other names than weight and bias, and what these are.
_NAMES = {
    nn.MultiheadAttention: r"(in|q|k|v)_proj_weight|in_proj_bias|bias_[kv]",
    nn.RNNBase: r"(weight_(ih|hh|hr)|bias_(ih|hh))_l\d+(_reverse)?",
    nn.RNNCellBase: r"(weight|bias)_(ih|hh)",
}
_TYPES: dict[type, str] = {
    **dict.fromkeys(_EMBEDDINGS, "embedding"),
    **dict.fromkeys((*_BATCH_NORMS, *_INSTANCE_NORMS, *_OTHER_NORMS), "gamma"),
    **dict.fromkeys((nn.Linear, nn.Bilinear, *_CONVOLUTIONS, *_TRANSPOSED, *_NAMES), "weight"),
    nn.PReLU: "slope",
}


# ---- the function ----------------------------------------------------------------------
def roles(model: nn.Module, *, rules: Rules | str | None = None) -> dict[str, str]:
    """What each parameter is for, by its module's class and its name there.

    A matrix or kernel is a "weight"; a norm has "gamma" and "beta", PReLU a
    "slope", weight norm a "g" and a direction that is a "weight"; in a class of
    your own what is called bias is one, unless it is a table and all that the
    class has. The rest needs a rule; only rules give "other". A tied tensor
    takes, of the roles of its uses, the first in ``ROLES``. A use without a
    module cannot be seen: where the logits are ``h @ embedding.weight.T``, say
    {"embedding.weight": "weight"} for what a tied ``nn.Linear`` would get.

    Args:
        model: any module.
        rules: role by class, by glob of class names ("*RMSNorm") or by a class's
            full name ("package.module.Class"), for the class's own parameters;
            or by glob of full names ("*.cls_token"), which wins. Of classes the
            more specific wins, then the later rule. A class's "bias" stays one,
            or "beta" beside "gamma"; in a class of weights or gammas a name with
            bias or b in it needs a rule of its own. "common" stands for
            ``COMMON_RULES``, and warns of what it assumed; add to them with
            ``{**COMMON_RULES, …}``. ``optional(key)`` may fit nothing.

    Returns:
        One of ``ROLES`` by name, as in ``model.named_parameters()``; last what
        a method of the model's own of that name leaves out.

    Raises:
        ValueError: if no rule covers a parameter (the error has the lines to
            add), a rule fits nothing, fits a class and names that would get
            other roles, or a class of torch beside one of the same name; if a
            role is unknown, or a lazy module has not run.

    Source: chapter 6.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        >>> roles(model)
        {'0.weight': 'weight', '0.bias': 'bias', '1.weight': 'gamma', '1.bias': 'beta'}
        >>> roles(model, rules={"0.*": "other"})["0.bias"]
        'other'
    """
    given = checked(rules)
    uses = _uses(model)
    labels = {name: _label(name, several, given) for name, several in uses.items()}
    if missing := [name for name, label in labels.items() if label.role is None]:
        raise ValueError(_rules_to_add(missing, uses, given))
    _check_all_fit(given, labels)
    _check_clear(given, uses)
    _tell_assumed(labels)
    return {name: str(label.role) for name, label in labels.items()}


def known_roles(model: nn.Module) -> dict[str, str | None]:
    """The roles that need no rule.

    Args:
        model: any module.

    Returns:
        Role by name; None for a parameter that needs a rule.
    """
    return {name: _label(name, several, {}).role for name, several in _uses(model).items()}


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter of a model by name, once.

    Args:
        model: any module.

    Returns:
        As ``model.named_parameters()`` has them, then those that this leaves
        out where the class has a method of its own.

    Raises:
        ValueError: if it has none, or is no module.
    """
    if not isinstance(model, nn.Module) or not list(nn.Module.parameters(model)):
        wanted = f"give an nn.Module that has some, not a {type(model).__name__}"
        raise ValueError(f"the model has no parameters; {wanted}")
    listed = dict(model.named_parameters())
    known = {id(p) for p in listed.values()}
    hidden = {n: p for n, p in nn.Module.named_parameters(model) if id(p) not in known}
    return listed | hidden


def roles_of(
    model: nn.Module,
    given: Mapping[str, str] | None,
    rules: Rules | str | None = None,
) -> dict[str, str]:
    """Roles as they were given, if they are this model's; else those that are found.

    Args:
        model: any module.
        given: role by name; None finds them.
        rules: as in ``roles``.

    Returns:
        One of ``ROLES`` by name.

    Raises:
        ValueError: as in ``roles``; if the roles are another model's, or both are given.
    """
    if given is None:
        return roles(model, rules=rules)
    if rules is not None:
        why = "what roles(model, rules=…) found has the rules in it"
        raise ValueError(f"give roles= or rules=, not both: {why}")
    names = parameters_of(model)
    known = isinstance(given, Mapping) and {*given.values()} <= {*ROLES}
    if not known or given.keys() != names.keys():
        todo = "give what l2lib.groups.roles finds for this model"
        raise ValueError(f"roles: a role must stand for each parameter, and no more; {todo}")
    return {name: given[name] for name in names}


def short_names(names: Iterable[str], most: int | None = None) -> str:
    """Names in a line; those that differ in whole numbers only are one, with their count.

    Args:
        names: of parameters.
        most: how many are shown; None shows all.

    Returns:
        The line, names with N for a number.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"\b\d+\b", "N", name), []).append(name)
    shown = [f"{n} ({len(same)})" if len(same) > 1 else same[0] for n, same in alike.items()]
    if most is not None and len(shown) > most:
        shown = [*shown[:most], "…"]
    return ", ".join(shown)


def plain(named: Mapping[str, T]) -> dict[str, T]:
    """By the names in the model as it was written, without what wrappers put into them.

    Args:
        named: by name in full.

    Returns:
        The same without torch.compile's "_orig_mod.", and without data
        parallelism's "module." where all begin with it.

    Example:
        >>> plain({"module.up._orig_mod.weight": 1, "module.down.weight": 2})
        {'up.weight': 1, 'down.weight': 2}
    """
    short = {name.replace("_orig_mod.", ""): value for name, value in named.items()}
    while short and all(name.startswith("module.") for name in short):
        short = {name.removeprefix("module."): value for name, value in short.items()}
    return short


def fitting(argument: str, everything: Iterable[str], globs: object) -> list[str]:
    """The names that one of several globs fits.

    Args:
        argument: how the globs are called, for the message.
        everything: names.
        globs: or one; None fits all.

    Returns:
        Names in their order.

    Raises:
        ValueError: if the globs are no text, or one fits nothing.

    Example:
        >>> fitting("names", ["0.weight", "0.bias"], "*.bias")
        ['0.bias']
    """
    names = list(everything)
    listed = ["*"] if globs is None else [globs] if isinstance(globs, str) else items_of(globs)
    if not listed or not all(isinstance(glob, str) for glob in listed):
        todo = 'give names or globs, such as ["*.weight"], or None'
        raise ValueError(f"{argument} is {shown(globs)}; {todo}")
    for glob in listed:
        if not any(fits_name(glob, name) for name in names):
            raise ValueError(
                f"{argument}: nothing fits {glob!r}; names are {short_names(names, 6)}"
            )
    return [name for name in names if any(fits_name(glob, name) for glob in listed)]


# ---- one parameter -----------------------------------------------------------------------
class _Use(NamedTuple):
    """A module that uses a parameter, and as what."""

    module: nn.Module
    name: str  # of the tensor there that the parameter makes; "" for weight norm's length g


class _Label(NamedTuple):
    """A role, if there is one, and the rules that fit."""

    role: str | None
    rules: list[Key]


def _label(name: str, uses: list[_Use], rules: Rules) -> _Label:
    """The role by the reader's rules and torch's classes; if these have none, by common rules."""
    own: Rules = {key: role for key, role in rules.items() if not isinstance(key, Common)}
    common: Rules = {key: role for key, role in rules.items() if isinstance(key, Common)}
    label = _ruled(name, uses, own)
    return label if label.role or not common else _ruled(name, uses, common)


def _ruled(name: str, uses: list[_Use], rules: Rules) -> _Label:
    """The role of a parameter, by its name or else by all its uses."""
    by_name = [key for key in rules if fits_name(key, name)]
    by_use = [_role(use, rules) for use in uses]
    fitting = [*by_name, *(key for label in by_use for key in label.rules)]
    if by_name:
        return _Label(rules[by_name[-1]], fitting)
    return _Label(min(by_use, key=_rank).role if by_use else None, fitting)


def _rank(label: _Label) -> int:
    """The order of ``ROLES``, and before all a use without a role: one of them is an error."""
    return -1 if label.role is None else ROLES.index(label.role)


def _role(use: _Use, rules: Rules) -> _Label:
    """The role of a module's own parameter, by the module's class."""
    classes = _classes(use.module)
    # The more specific class first, and of its rules the later.
    fitting = [key for cls in classes for key in reversed([*rules]) if fits_class(key, cls)]
    if use.name == "":
        return _Label("g", fitting)
    built_in = _built_in(use, classes)
    if not fitting:
        return _Label(built_in, fitting)
    return _Label(_by_rule(rules[fitting[0]], use, built_in), fitting)


def _by_rule(role: str, use: _Use, built_in: str | None) -> str | None:
    """The role of a parameter in a class that has a rule; None if its name speaks against it."""
    beside = "beta" if role == "gamma" else "bias"
    with_bias = role in ("weight", "gamma")
    if use.name == "bias" or built_in in ("bias", "beta") or (use.name, role) == ("beta", "gamma"):
        return beside if with_bias or not _is_all(use) else role
    words = re.split(r"[\W_\d]+", use.name.lower())
    guess = "bias" in use.name.lower() or not {"b", "beta"}.isdisjoint(words)
    return None if with_bias and guess else role


def _built_in(use: _Use, classes: list[type]) -> str | None:
    """What torch's classes call weight and bias; what else a subclass adds is unknown."""
    for cls in classes:
        if cls in _TYPES and re.fullmatch(_NAMES.get(cls, "weight|bias"), use.name):
            role = _TYPES[cls]
            bias = "beta" if role == "gamma" else "bias"
            return bias if "bias" in use.name else role
    # A table of relative positions may be called bias as well.
    return "bias" if use.name == "bias" and not (_is_all(use) and _is_table(use)) else None


def _is_all(use: _Use) -> bool:
    """Whether a class of the reader's own has nothing else."""
    return len(use.module._parameters) == 1 and not any(c in _TYPES for c in _classes(use.module))


def _is_table(use: _Use) -> bool:
    p = use.module._parameters.get(use.name)
    return p is not None and sum(size > 1 for size in p.shape) > 1


def _classes(module: nn.Module) -> list[type]:
    """What a module is, the more specific first."""
    # Without the base of all modules, which "*" and "M*" would fit as well.
    classes = [cls for cls in type(module).__mro__ if cls not in (nn.Module, object)]
    if isinstance(module, torch.jit.ScriptModule):  # what it was before it was compiled
        return [_scripted(str(getattr(module, "original_name", ""))), *classes]
    return classes


@cache
def _scripted(name: str) -> type:
    """A class that stands for the name of one that was compiled."""
    return type(name, (), {"__module__": "torch.jit"})


# ---- who uses a parameter -------------------------------------------------------------------
def _uses(model: nn.Module) -> dict[str, list[_Use]]:
    """The modules that use each parameter; several where it is tied."""
    parameters = parameters_of(model)
    names = {id(p): name for name, p in parameters.items()}
    uses: dict[str, list[_Use]] = {name: [] for name in parameters}
    for path, module in model.named_modules():
        # Not by the module's own method, which may leave some out.
        found = nn.Module.named_parameters(module, recurse=False, remove_duplicate=False)
        for own, p in found:
            name = names[id(p)]
            if nn.parameter.is_lazy(p):
                todo = "run one batch through the model first"
                raise ValueError(f"{name} is lazy and has no shape; {todo}")
            uses[name].append(_use(model, path, module, own))
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


# ---- rules -----------------------------------------------------------------------------------
def _check_all_fit(rules: Rules, labels: dict[str, _Label]) -> None:
    used = {key for label in labels.values() for key in label.rules}
    unused = [key for key in rules if key not in used and not isinstance(key, Optional)]
    if unused:
        raise ValueError(f"rules: nothing fits {unused}; names are {short_names(labels)}")


def _check_clear(rules: Rules, uses: dict[str, list[_Use]]) -> None:
    """Refuse a rule that can be read in two ways."""
    for key, role in rules.items():
        if isinstance(key, str) and not isinstance(key, Common):
            _check_name_or_class(key, role, uses)
            _check_one_class(key, role, uses)


def _check_name_or_class(key: str, role: str, uses: dict[str, list[_Use]]) -> None:
    """Refuse a pattern of names that fits classes as well, which would give other roles."""
    for name, several in uses.items():
        readings = {label.role for use in several if (label := _role(use, {key: role})).rules}
        if fits_name(key, name) and readings - {role}:
            ways = f"as a name it makes {name} {role!r}, as a class {readings.pop() or 'unclear'!r}"
            todo = f"write the class itself, or {key + '.*'!r} for the names"
            raise ValueError(f"rules: {key!r} fits names and classes, {ways}; {todo}")


def _check_one_class(key: str, role: str, uses: dict[str, list[_Use]]) -> None:
    """Refuse a class's name that is torch's and another's, where torch's has another role."""
    modules = [use.module for several in uses.values() for use in several]
    fit = {cls for module in modules for cls in _classes(module) if cls.__name__ == key}
    torchs = [cls for cls in fit if cls in _TYPES]
    others = [cls for cls in fit if not any(issubclass(cls, each) for each in torchs)]
    if others and any(_TYPES[cls] != role for cls in torchs):
        both = " and ".join(sorted(map(full_name, [*torchs, *others])))
        raise ValueError(f"rules: {key!r} fits {both}; write the one you mean in full")


def _tell_assumed(labels: dict[str, _Label]) -> None:
    """Warn of the roles that common rules gave."""
    assumed: dict[str, list[str]] = {}
    for name, label in labels.items():
        if any(isinstance(key, Common) for key in label.rules):
            assumed.setdefault(str(label.role), []).append(name)
    if assumed:
        each = [f"{role}: {short_names(names)}" for role, names in assumed.items()]
        warnings.warn("common rules assumed\n  " + "\n  ".join(each), stacklevel=3)


# ---- what to add -------------------------------------------------------------------------------
def _rules_to_add(missing: list[str], uses: dict[str, list[_Use]], rules: Rules) -> str:
    """An error whose lines can be pasted: they fit what has no role, and nothing else."""
    before = {name: _label(name, uses[name], rules).role for name in uses}

    @cache
    def changed(key: str) -> set[str]:
        """The parameters whose role one more rule would change."""
        more = {**rules, key: "other"}
        return {name for name in uses if _label(name, uses[name], more).role != before[name]}

    by_class: dict[type | None, list[str]] = {}
    for name in missing:
        without = [use.module for use in uses[name] if _label(name, [use], rules).role is None]
        by_class.setdefault(_classes(without[0])[0] if without else None, []).append(name)
    lines: dict[str, list[str]] = {}
    for cls, names in by_class.items():
        lines |= _lines(cls, names, changed)
    what = f"no rule covers all parameters; add to `rules`, ROLE among {', '.join(ROLES)}:"
    shown = [f'    "{key}": ROLE  # for {short_names(names)}' for key, names in lines.items()]
    return "\n".join([what, *shown])


def _lines(
    cls: type | None,
    names: list[str],
    changed: Callable[[str], set[str]],
) -> dict[str, list[str]]:
    """Keys for a class's parameters: the class, if they are called alike; else their names."""
    if cls and len({name.rpartition(".")[2] for name in names}) == 1:
        for key in (cls.__name__, full_name(cls)):
            if changed(key) == {*names}:
                return {key: names}
    found: dict[str, list[str]] = {}
    for name in names:
        globs = [glob for glob in _globs(name, cls) if changed(glob) <= {*names}]
        found.setdefault(globs[0] if globs else name, []).append(name)
    return found


def _globs(name: str, cls: type | None) -> list[str]:
    """Patterns that fit a name and those that end alike, the shortest first."""
    *path, own = name.split(".")
    if not path:
        return []
    if cls in (nn.ParameterList, nn.ParameterDict):  # their own names are numbers, or a user's
        return [f"*.{path[-1]}.*"] if len(path) > 1 else []
    return [f"*.{own}", f"*.{path[-1]}.{own}"] if len(path) > 1 else [f"*.{own}"]
