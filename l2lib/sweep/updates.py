"""Update rules, written out: one step for K configurations at once, in place.

Args:
    w: a parameter, shape (K, out, in), which takes the step.
    g: gradient of the loss, of the same shape, which may be overwritten.
    v: momentum buffer, or Adam's average of g², of the same shape, 0 before the first step.
    m: Adam's average of g, of the same shape, 0 before the first step.
    step: η, λ, μ and the rest.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from l2lib._checks import check_choice

__all__ = [
    "RULES",
    "Rule",
    "Step",
    "adam",
    "adamw",
    "adamw_paper",
    "rule_of",
    "sgd",
    "sgdw",
    "trust_ratio",
    "unit",
]


class Step(NamedTuple):
    """The numbers of one step; tensors have shape (K, 1, 1)."""

    t: int  # 1 for the first step
    schedule: float  # s_t ≥ 0, the schedule's factor
    lr: Tensor  # η, s_t included
    momentum: Tensor | None  # μ, or Adam's β₁; None for 0 in all configurations
    weight_decay: Tensor | None  # λ of the parameter at hand; None for 0 in all configurations
    beta2: float  # Adam's β₂ in [0, 1)
    adam_eps: float  # Adam's ε ≥ 0


def sgd(w: Tensor, g: Tensor, v: Tensor, step: Step) -> None:
    """L2 penalty inside the momentum, as ``torch.optim.SGD``: v ← μv + (g + λw); w ← w - ηv."""
    w.addcmul_(step.lr, _accumulate(v, _penalise(g, w, step), step), value=-1)


def sgdw(w: Tensor, g: Tensor, v: Tensor, step: Step) -> None:
    """Decay beside the momentum (Loshchilov and Hutter 2019): v ← μv + g; w ← (1 - ηλ)w - ηv."""
    _decay(w, step.lr, step)
    w.addcmul_(step.lr, _accumulate(v, g, step), value=-1)


def trust_ratio(w: Tensor, g: Tensor, v: Tensor, step: Step) -> None:
    """SGD with g + λw brought to w's length, unless one is 0 (LARS, You et al. 2017)."""
    g = _penalise(g, w, step)
    ratio = w.norm(dim=(1, 2), keepdim=True) / g.norm(dim=(1, 2), keepdim=True)
    g = g * torch.where((ratio > 0) & (ratio < torch.inf), ratio, 1.0)
    w.addcmul_(step.lr, _accumulate(v, g, step), value=-1)


def adam(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Step) -> None:
    """The penalty's gradient inside Adam, as ``torch.optim.Adam``: g + λw enters both averages."""
    _adam(w, _penalise(g, w, step), m, v, step)


def adamw(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Step) -> None:
    """Weight decay beside Adam, as ``torch.optim.AdamW``: w ← (1 - ηλ)w, then Adam with g alone."""
    _decay(w, step.lr, step)
    _adam(w, g, m, v, step)


def adamw_paper(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Step) -> None:
    """AdamW as published (Loshchilov and Hutter 2019): w ← (1 - s_t λ)w, without η in the decay."""
    _decay(w, step.schedule, step)
    _adam(w, g, m, v, step)


def _penalise(g: Tensor, w: Tensor, step: Step) -> Tensor:
    """g + λw."""
    return g if step.weight_decay is None else g.addcmul_(step.weight_decay, w)


def _decay(w: Tensor, rate: Tensor | float, step: Step) -> None:
    """w ← w - rate·λw. The factor 1 - rate·λ would be rounded, in float32 to a multiple of 6e-8."""
    if step.weight_decay is not None:
        w.addcmul_(rate * step.weight_decay, w, value=-1)


def _accumulate(v: Tensor, g: Tensor, step: Step) -> Tensor:
    """v ← μv + g."""
    return g if step.momentum is None else v.mul_(step.momentum).add_(g)


def _adam(w: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Step) -> None:
    """Adam (Kingma and Ba 2015): w ← w - η m̂/(√v̂ + ε), with corrected averages of g and g²."""
    beta1 = 0.0 if step.momentum is None else step.momentum
    m.lerp_(g, 1 - beta1)
    v.mul_(step.beta2).addcmul_(g, g, value=1 - step.beta2)
    # m̂ = m/c₁ and v̂ = v/c₂², so that m̂/(√v̂ + ε) is (c₂/c₁) m/(√v + c₂ε): c₁ and c₂ need no pass
    # over the weights.
    c1, c2 = 1 - beta1**step.t, (1 - step.beta2**step.t) ** 0.5
    w.addcmul_(step.lr * (c2 / c1), m / v.sqrt().add_(c2 * step.adam_eps), value=-1)


class Rule(NamedTuple):
    """An update, and what a sweep must know of it."""

    update: Callable[..., None]  # of w, g, the buffers and a Step
    buffers: int
    momentum: float  # where none is given
    only: str | None = None  # the role it is for; parameters of others take a step of SGD

    def for_role(self, role: str) -> Callable[..., None]:
        """The update of parameters of a role."""
        return self.update if self.only in (None, role) else sgd


RULES: dict[str, Rule] = {
    "sgd": Rule(sgd, buffers=1, momentum=0.0),
    "sgdw": Rule(sgdw, buffers=1, momentum=0.0),
    "trust_ratio": Rule(trust_ratio, buffers=1, momentum=0.0, only="weight"),
    "adam": Rule(adam, buffers=2, momentum=0.9),
    "adamw": Rule(adamw, buffers=2, momentum=0.9),
    "adamw_paper": Rule(adamw_paper, buffers=2, momentum=0.9),
}
"""Each optimiser by name. Add yours here, and to ``Optimizer`` in ``recipe``.

:meta hide-value:
"""


def rule_of(optimizer: str) -> Rule:
    """The rule that an optimiser's name stands for.

    Args:
        optimizer: a name among ``RULES``.

    Returns:
        The rule.

    Raises:
        ValueError: if no rule has this name.
    """
    check_choice("optimizer", optimizer, RULES)
    return RULES[optimizer]


def unit(w: Tensor) -> Tensor:
    """w/‖w‖ of each configuration.

    Args:
        w: shape (K, out, in), not zero.

    Returns:
        The same shape.
    """
    return torch.div(w, w.norm(dim=(1, 2), keepdim=True))
