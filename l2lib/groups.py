"""Parameter groups for torch's optimisers: which tensors decay, by module class and role, not by rank (chapter 6)."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn, optim
from torch.nn.utils.weight_norm import WeightNorm

from l2lib.penalty import check_weight_decay

DECAY_FACTORS = {"weight": 1.0}  # factor on λ by role, 0 for what is not named, as in a sweep
ROLES = ("weight", "embedding", "bias", "gamma", "beta", "g", "slope", "other")
TYPES: dict[type, str] = {nn.Embedding: "embedding", nn.EmbeddingBag: "embedding", nn.PReLU: "slope"}
TYPES |= dict.fromkeys((nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm), "gamma")
MANY = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)  # their tensors have names like in_proj_weight, bias_hh_l0
TYPES |= dict.fromkeys((nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, *MANY), "weight")
Rules = Mapping[type | str, str]


def roles(model: nn.Module, *, rules: Rules | None = None) -> dict[str, str]:
    """What each parameter is for, by its module's class and its name there: one of ``ROLES``.

    A matrix or kernel is a "weight"; a norm has "gamma" and "beta", PReLU a "slope", weight norm a "g" and a direction
    that is a "weight"; what else is called bias is one; only rules give "other". A tied tensor takes, of the roles of
    its uses, the first in ``ROLES``.

    Args:
        model: any module.
        rules: role by class or glob of class names ("*RMSNorm"), for the class's own parameters, whose biases become
            "bias", or "beta" beside "gamma"; or by glob of full names ("*.cls_token"), which wins. Of classes the more
            specific wins, then the later rule.

    Returns:
        Role by name, as in ``model.named_parameters()``.

    Raises:
        ValueError: if no rule covers a parameter, a rule fits nothing, a role is unknown, or a lazy module has not run.
    """
    rules, found, missing = rules or {}, dict[str, str](), dict[str, list[str]]()
    unused = {*rules}
    if unknown := [role for role in rules.values() if role not in ROLES]:
        raise ValueError(f"rules: {unknown[0]!r} is not a role; choose among {', '.join(ROLES)}")
    for name, uses in _uses(model).items():
        by_class = [_role(module, own, rules, unused) for module, own in uses]
        by_name = [key for key in rules if fnmatchcase(name, str(key).replace("[", "[[]"))]
        unused.difference_update(by_name)
        if by_name:
            found[name] = rules[by_name[-1]]
        elif None in by_class:
            missing.setdefault(type(uses[by_class.index(None)][0]).__name__, []).append(name)
        else:
            found[name] = next(role for role in ROLES if role in by_class)
    if missing:
        lines = "".join(f'\n    "{cls}": ROLE  # for {_names(names)}' for cls, names in missing.items())
        raise ValueError(f"no rule covers all parameters; add to `rules`, ROLE among {', '.join(ROLES)}:{lines}")
    if unused:
        raise ValueError(f"rules: nothing fits {[key for key in rules if key in unused]}; names are {_names(found)}")
    return found


def param_groups(
    model: nn.Module,
    weight_decay: float,
    *,
    decay_factors: Mapping[str, float] | None = None,
    rules: Rules | None = None,
) -> list[dict[str, Any]]:
    """Groups for a torch optimiser, one for each role and λ: every parameter once, frozen ones in none.

    Embeddings do not decay by default: a row has a gradient only when its token comes up, yet would shrink every step.

    Args:
        model: any module.
        weight_decay: λ ≥ 0.
        decay_factors: factor ≥ 0 on λ by role, 0 for what is not named; None means {"weight": 1}. A glob of full names
            multiplies that: {"weight": 1, "blocks.0.*": 0.1} leaves the biases of block 0 alone.
        rules: as in ``roles``.

    Returns:
        Dictionaries with "params", "param_names", "weight_decay" and "role".

    Raises:
        ValueError: as in ``roles``; if λ or a factor is negative or not finite, or a glob fits nothing that decays.
    """
    check_weight_decay(weight_decay)
    factors = DECAY_FACTORS if decay_factors is None else decay_factors
    if bad := {key: factor for key, factor in factors.items() if not 0 <= factor < math.inf}:
        raise ValueError(f"decay_factors: {bad} must be finite numbers ≥ 0")
    found, parameters = roles(model, rules=rules), dict(model.named_parameters())
    groups, unused = dict[tuple[str, float], list[str]](), {*factors} - {*ROLES}
    for name, role in found.items():
        globs = {key for key in factors if key not in ROLES and fnmatchcase(name, str(key).replace("[", "[[]"))}
        unused -= globs if factors.get(role) else set()
        value = weight_decay * factors.get(role, 0.0) * math.prod(factors[key] for key in globs)
        if parameters[name].requires_grad:
            groups.setdefault((role, value), []).append(name)
    if unused:
        known = f"roles are {', '.join(ROLES)} (0 if not named), names {_names(found)}"
        raise ValueError(f"decay_factors: nothing whose role decays fits {sorted(unused, key=str)}; {known}")
    return [
        {"params": [parameters[name] for name in names], "param_names": names, "weight_decay": value, "role": role}
        for (role, value), names in groups.items()
    ]


def table(model: nn.Module, groups: Sequence[Any] | optim.Optimizer, *, rules: Rules | None = None) -> str:
    """What decays, to be printed: a line for each role and λ, then the total.

    Args:
        model: any module.
        groups: what ``param_groups`` gave, or an optimiser, whoever made it.
        rules: as in ``roles``.

    Returns:
        Role, weight_decay (or "frozen", or "no group"), tensors, numbers and names (N for a number).

    Raises:
        ValueError: as in ``roles``; or if the optimiser has no weight_decay, or one more for everything (ASGD's lambd).
    """
    if isinstance(groups, optim.Optimizer):
        if "weight_decay" not in groups.defaults:
            raise ValueError(f"{type(groups).__name__} ignores weight_decay; choose an optimiser that has it")
        if groups.defaults.get("lambd"):
            raise ValueError(f"{type(groups).__name__} shrinks everything by a lambd of its own; give it lambd=0")
        groups = groups.param_groups
    decays = {id(p): f"{group['weight_decay']:g}" for group in groups for p in group["params"]}
    rows, parameters = dict[tuple[int, str], list[str]](), dict(model.named_parameters())
    for name, role in roles(model, rules=rules).items():
        shown = decays.get(id(parameters[name]), "no group" if parameters[name].requires_grad else "frozen")
        rows.setdefault((ROLES.index(role), shown), []).append(name)
    lines = [f"{'role':<10}{'weight_decay':>12}{'tensors':>9}{'numbers':>15}  names"]
    for (i, shown), names in [*sorted(rows.items()), ((len(ROLES), ""), [*parameters])]:
        numbers, examples = sum(parameters[name].numel() for name in names), f"  {_names(names, 2)}" if shown else ""
        lines.append(f"{(*ROLES, 'total')[i]:<10}{shown:>12}{len(names):>9}{numbers:>15,}{examples}")
    return "\n".join(lines)


def _uses(model: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Modules that use each parameter, and as what: the name there of the tensor it makes, "" for weight norm's g."""
    if not isinstance(model, nn.Module) or not [*model.parameters()]:
        raise ValueError(f"the model has no parameters; give an nn.Module that has some, not a {type(model).__name__}")
    uses, names = dict[str, list[tuple[nn.Module, str]]](), {id(p): name for name, p in model.named_parameters()}
    for at, module in model.named_modules():
        hooked = [hook.name for hook in module._forward_pre_hooks.values() if isinstance(hook, WeightNorm)]
        for own, p in module.named_parameters(recurse=False, remove_duplicate=False):
            user, made = module, own[:-2] if own[:-2] in hooked else own.removesuffix("_orig")
            length = made != own and own.endswith("_g")
            if isinstance(module, nn.utils.parametrize.ParametrizationList):
                user, made = model.get_submodule(at.rpartition("parametrizations.")[0].rstrip(".")), at.split(".")[-1]
                length = own == "original0" and isinstance(module[0], nn.utils.parametrizations._WeightNorm)
            if nn.parameter.is_lazy(p):
                raise ValueError(f"{names[id(p)]} is lazy and has no shape; run one batch through the model first")
            uses.setdefault(names[id(p)], []).append((user, "" if length else made))
    return uses


def _role(module: nn.Module, own: str, rules: Rules, unused: set[type | str]) -> str | None:
    """Role of a module's own parameter by class, or None; strikes the rules that fit its class from the unused."""
    mro = [cls for cls in type(module).__mro__ if cls not in (nn.Module, object)]  # which "M*" and "*" would fit, too
    keys = [key for cls in mro for key in reversed([*rules]) if key is cls or fnmatchcase(cls.__name__, str(key))]
    unused.difference_update(keys)
    words = {own.split("_")[0], own.split("_")[-1]} if keys or isinstance(module, MANY) else {own}
    built_in = [TYPES[cls] for cls in mro if cls in TYPES and words & {"weight", "bias"}] + ["bias"] * (own == "bias")
    role = next(iter([rules[key] for key in keys] + built_in), None) if own else "g"
    return {"gamma": "beta"}.get(role, "bias") if role and "bias" in words else role


def _names(names: Iterable[str], most: int | None = None) -> str:
    """Names, at most so many; those that differ in whole numbers only are one, with N for a number and their count."""
    alike = dict[str, list[str]]()
    for name in names:
        alike.setdefault(re.sub(r"\b\d+\b", "N", name), []).append(name)
    shown = [f"{pattern} ({len(same)})" if len(same) > 1 else same[0] for pattern, same in alike.items()]
    return ", ".join(shown[:most] + ["…"] * (most is not None and len(shown) > most))
