"""Parameter groups for torch's optimisers: which tensors decay.

That goes by the class of a module and what it calls its tensors, not by their
number of axes; chapter 6 says why.
"""

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from torch import nn

from l2lib import _rules
from l2lib._decays import table
from l2lib._roles import parameters_of, roles, roles_of, short_names
from l2lib._rules import fits_name, optional
from l2lib._storages import shared, two_on_one_memory
from l2lib.penalty import check_weight_decay
from l2lib.tables import html_table

__all__ = [
    "COMMON_RULES",
    "DECAY_FACTORS",
    "ROLES",
    "ParamGroups",
    "Rules",
    "optional",
    "param_groups",
    "roles",
    "table",
]

ROLES = _rules.ROLES
"""What a parameter can be for."""

Rules = _rules.Rules
"""Role by class, by glob of class names, or by glob of the parameters' full names."""

COMMON_RULES = _rules.COMMON_RULES
"""Rules for what many models bring: norms and matrices of their own, tokens, positions, adapters.

They apply where neither torch's classes nor another rule say a role, and may fit nothing.

:meta hide-value:
"""

DECAY_FACTORS = {"weight": 1.0}
"""Factor on λ by role, 0 for what is not named, as in a sweep."""


class ParamGroups(list[dict[str, Any]]):
    """A list of groups for any torch optimiser, which a notebook shows as a table.

    An optimiser that checks its groups' keys gets new ones, such as
    ``[{"params": g["params"], "weight_decay": g["weight_decay"]} for g in groups]``.

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
        lines = ["  ".join(row) for row in self._rows()]
        columns = ", ".join(self._columns())
        return "\n".join([f"{len(self)} groups: {columns}", *lines])

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        caption = "Groups of parameters, with their weight decay"
        return html_table(caption, self._columns(), self._rows())

    def _columns(self) -> list[str]:
        rate = ["lr"] if any("lr" in group for group in self) else []
        return ["role", "weight_decay", *rate, "tensors", "names"]

    def _rows(self) -> list[list[str]]:
        return [_row(group) for group in self]


def _row(group: dict[str, Any]) -> list[str]:
    names = group["names"]
    rate = [f"{group['lr']:g}"] if "lr" in group else []
    return [group["role"], f"{group['weight_decay']:g}", *rate, str(len(names)), short_names(names)]


def param_groups(
    model: nn.Module,
    weight_decay: float,
    *,
    decay_factors: Mapping[str, float] | None = None,
    lr: float | None = None,
    lr_factors: Mapping[str, float] | None = None,
    roles: Mapping[str, str] | None = None,
    rules: Rules | str | None = None,
) -> ParamGroups:
    """Groups for a torch optimiser, one for each role, λ and learning rate.

    Every parameter is in one, those that are frozen, or that the model's own
    ``named_parameters`` leaves out, in none. Embeddings do not decay by default:
    a row has a gradient only when its token comes up, yet would shrink every
    step. Two Parameters on one memory are refused: a step would change it twice.

    Args:
        model: any module.
        weight_decay: λ ≥ 0; 0 where nothing decays.
        decay_factors: factor ≥ 0 on λ by role, 0 for what is not named; None
            means {"weight": 1}. A glob of full names multiplies that:
            {"weight": 1, "blocks.0.*": 0.1} leaves the biases of block 0 alone.
        lr: learning rate η ≥ 0, in each group; None leaves it to the optimiser.
        lr_factors: factor ≥ 0 on η by role or glob of full names, multiplied
            where several fit, 1 where none does. AdamW takes away the share ηλ:
            where that is to stay, give decay_factors the inverse.
        roles: role by name, from ``l2lib.groups.roles``; None finds them.
        rules: short for ``roles=roles(model, rules=rules)``.

    Returns:
        Dictionaries with "params", "names", "weight_decay", "role" and, if it
        was given, "lr". Groups without these may be added to the optimiser later.

    Raises:
        ValueError: as in ``roles``; if λ, η or a factor is negative or not a
            finite number, a glob fits nothing (of decay_factors: nothing that
            decays), factors on η come without it, the roles are another
            model's, or both roles and rules are given.

    Source: chapter 6.

    Example:
        >>> from torch import optim
        >>> model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
        >>> groups = param_groups(model, 0.1, decay_factors={"weight": 1, "embedding": 0.5})
        >>> [(group["role"], group["weight_decay"]) for group in groups]
        [('embedding', 0.05), ('weight', 0.1), ('bias', 0.0)]
        >>> optimizer = optim.AdamW(groups, lr=1e-3)
        >>> groups = param_groups(model, 0.1, lr=1e-3, lr_factors={"0.*": 0.5})
        >>> [(group["names"], group["lr"]) for group in groups]
        [(['0.weight'], 0.0005), (['1.weight'], 0.001), (['1.bias'], 0.001)]
    """
    check_weight_decay(weight_decay)
    factors = _checked("decay_factors", DECAY_FACTORS if decay_factors is None else decay_factors)
    rates = _checked("lr_factors", lr_factors or {})
    _check_rate(lr, rates)
    labels = roles_of(model, roles, rules)
    _check_globs("decay_factors", factors, {n: r for n, r in labels.items() if factors.get(r)})
    _check_globs("lr_factors", rates, labels)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    parameters = parameters_of(model)
    if pair := shared(parameters, frozen={*parameters} - {*trained}):
        raise ValueError(two_on_one_memory(*pair))
    members: dict[tuple[str, float, float | None], list[str]] = {}
    for name in trained:
        role = labels[name]
        decay = weight_decay * factors.get(role, 0.0) * _product(name, factors)
        rate = None if lr is None else lr * rates.get(role, 1.0) * _product(name, rates)
        members.setdefault((role, decay, rate), []).append(name)
    groups = ParamGroups(roles=labels)
    for (role, decay, rate), names in members.items():
        group = {"role": role, "weight_decay": decay, "names": names}
        group |= {} if rate is None else {"lr": rate}
        groups.append({"params": [trained[name] for name in names], **group})
    return groups


def _checked(what: str, factors: Mapping[str, float]) -> Mapping[str, float]:
    """Factors, if each is a number that can be one."""
    if not isinstance(factors, Mapping):
        todo = 'give a dictionary such as {"weight": 1}'
        raise ValueError(f"{what} is {factors!r}; {todo}")
    if bad := {key: f for key, f in factors.items() if not _is_factor(f)}:
        raise ValueError(f"{what}: {bad} must be finite numbers ≥ 0{_HINT if _texts(bad) else ''}")
    return factors


_HINT = " (YAML reads 1e-4 as text, and 1.0e-4 as a number)"


def _is_factor(value: object) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and 0 <= float(value) < math.inf  # type: ignore[arg-type]


def _texts(factors: Mapping[str, object]) -> bool:
    return any(isinstance(value, str) for value in factors.values())


def _check_rate(lr: float | None, rates: Mapping[str, float]) -> None:
    if lr is not None and not _is_factor(lr):
        hint = _HINT if isinstance(lr, str) else ""
        raise ValueError(f"lr is {lr!r}; the learning rate must be a finite number ≥ 0{hint}")
    if lr is None and rates:
        raise ValueError("lr_factors multiply a learning rate; give lr= as well")


def _globs(name: str, factors: Mapping[str, float]) -> list[str]:
    """The factors for patterns of names that fit this one."""
    return [key for key in factors if key not in ROLES and fits_name(key, name)]


def _product(name: str, factors: Mapping[str, float]) -> float:
    """The product of a name's factors."""
    return math.prod(factors[key] for key in _globs(name, factors))


def _check_globs(what: str, factors: Mapping[str, float], labels: Mapping[str, str]) -> None:
    """Refuse a pattern that changes nothing: it is misspelt, or its role does not decay."""
    used = {key for name in labels for key in _globs(name, factors)}
    if unused := sorted({*factors} - {*ROLES} - used, key=str):
        of = "nothing whose role decays" if what == "decay_factors" else "nothing"
        known = f"roles are {', '.join(ROLES)} (0 if not named)"
        known = known if what == "decay_factors" else f"roles are {', '.join(ROLES)}"
        raise ValueError(f"{what}: {of} fits {unused}; {known}, names {short_names(labels)}")
