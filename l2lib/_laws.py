"""What is known of an optimiser's decay: what a step takes away, and how far a weight then turns.

Where gradients have no preferred direction, the weights of a scale-invariant tensor follow a
linear recurrence with noise, w_t = s w_(t-1) - p w_(t-2) + e_t + c e_(t-1). Its autocorrelation is
the cosine between two looks; with one step between them it is (8.9), and (9.3)'s angle.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from torch import optim

from l2lib._decays import _inner
from l2lib._momentum import Momentum


class Kind(enum.Enum):
    """What an optimiser does with its λ."""

    COUPLED = "λw goes into the gradient, and through the momentum"
    DECOUPLED = "a step takes ηλ of w away, and its updates have a length that gradients do not set"
    RELATIVE = "a step takes ηλ of w away, and its updates are as long as w"
    DIVIDED = "λw goes into the gradient, and is divided by the gradients' size"
    NONE = "it has no weight_decay"
    UNKNOWN = "it is not torch's"


_DIVIDED = ("Adam", "Adamax", "NAdam", "RAdam", "Adadelta", "Adagrad", "RMSprop")
_OTHERS = {
    "ASGD": Kind.COUPLED,
    "Adafactor": Kind.RELATIVE,
    **dict.fromkeys(("LBFGS", "Rprop", "SparseAdam"), Kind.NONE),
}


@dataclass(frozen=True)
class Law:
    """How a group's tensors decay.

    Attributes:
        kind: what becomes of λ.
        momentum: μ of a buffer, or β₁ of an average of gradients.
        dampening: as in torch's SGD.
        nesterov: whether a step looks ahead.
        unit: whether each number of an update has size η, as in Adam's.

    Example:
        >>> law = Law(Kind.DECOUPLED, momentum=0.9, unit=True)
        >>> round(math.sqrt(2 * law.turn(1e-4, 1) / 1e-4), 3)  # √(2(1 - β₁)/(1 + β₁))
        0.324
    """

    kind: Kind
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    unit: bool = False

    @property
    def power(self) -> int:
        """At which power a norm runs to its equilibrium exponentially; 0 where it is not known.

        By SGD, d(r⁴) = -4ηλr⁴ + 2η²G²: its updates are as long as gradients, and these ∝ 1/r.
        With updates of one length, d(r²) = -2ηλr² + η²‖u‖².
        """
        return {Kind.COUPLED: 4, Kind.DECOUPLED: 2}.get(self.kind, 0)

    def share(self, rate: float) -> float:
        """What a step takes away in the long run of a weight that the loss ignores.

        Args:
            rate: ηλ ≥ 0.

        Returns:
            ηλ, or about ηλ/(1 - μ) with PyTorch's momentum; NaN where there is no such share.
        """
        if self.kind in (Kind.DECOUPLED, Kind.RELATIVE):
            return rate
        return _coupled_share(self, rate) if self.kind is Kind.COUPLED else math.nan

    def turn(self, rate: float, steps: int) -> float:
        """How far a scale-invariant tensor turns in equilibrium.

        Args:
            rate: ηλ > 0 of a step, on average.
            steps: between the two looks.

        Returns:
            -ln cos θ; NaN where nothing is predicted.
        """
        return _turn(self, rate, steps) if self.power and rate > 0 and steps else math.nan


NOT_READ = Law(Kind.UNKNOWN)
"""Of an optimiser that is not torch's, or before any step."""


@lru_cache(maxsize=4096)
def _coupled_share(law: Law, rate: float) -> float:
    try:
        return Momentum(law.momentum, law.dampening, law.nesterov).share(rate)
    except ValueError:  # it oscillates
        return math.nan


@lru_cache(maxsize=4096)
def _turn(law: Law, rate: float, steps: int) -> float:
    mu = law.momentum
    if law.kind is Kind.COUPLED:
        gap = (1 - law.dampening) * rate
        p = mu * (1 - gap) if law.nesterov else mu
    else:
        gap, p = rate * (1 - mu), mu * (1 - rate)
    c = -mu / (1 + mu) if law.nesterov else 0.0
    s = 1 + p - gap  # gap = 1 + p - s is written out, as the difference would lose it
    noise = (1 - p) * gap * (1 + p + s) / (s * c * (1 - p) + (1 + c * s + c * c) * (1 + p))
    first = (gap - c * noise) / (1 + p)
    # With v = 1 - cos, v_k = s v_(k-1) - p v_(k-2) + gap.
    recurrence = np.array([[s, -p, gap], [1, 0, 0], [0, 0, 1]])
    chord = (np.linalg.matrix_power(recurrence, steps - 1) @ [first, 0, 1])[0]
    return -math.log1p(-chord) if 0 < chord < 1 else math.nan


# ---- torch's optimisers --------------------------------------------------------------------
def law_of(optimizer: Any, group: Mapping[str, Any]) -> Law:
    """The law of a group, by the class whose step it is.

    Args:
        optimizer: or what wraps one.
        group: one of its groups.

    Returns:
        The law; of kind UNKNOWN if the step is not torch's.

    Example:
        >>> from torch import nn
        >>> rule = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1, momentum=0.9)
        >>> law_of(rule, rule.param_groups[0])
        Law(kind=<Kind.COUPLED: ...>, momentum=0.9, dampening=0, nesterov=False, unit=False)
    """
    name = _name_of(_inner(optimizer))
    if not name:
        return NOT_READ
    if name == "SGD":
        return Law(Kind.COUPLED, group["momentum"], group["dampening"], group["nesterov"])
    if name == "Muon":
        return Law(Kind.DECOUPLED, group["momentum"], nesterov=group["nesterov"])
    if name in _OTHERS:
        return Law(_OTHERS[name])
    if name == "AdamW" or group.get("decoupled_weight_decay"):
        beta = float(group["betas"][0])
        return Law(Kind.DECOUPLED, beta, nesterov=name == "NAdam", unit=True)
    return Law(Kind.DIVIDED) if name in _DIVIDED else NOT_READ


class Step(NamedTuple):
    """What a step of a group took away.

    Attributes:
        law: of the group.
        lr: η.
        rate: ηλ; 0 where no λ is read.
        share: in the long run.
    """

    law: Law
    lr: float
    rate: float
    share: float


def step_of(optimizer: optim.Optimizer, group: Mapping[str, Any]) -> Step:
    """The step that a group has just taken.

    Args:
        optimizer: of torch, or one that derives from it.
        group: one of its groups.

    Returns:
        The step. ASGD's η is its own, which falls, and its lambd a second λ.
    """
    law = law_of(optimizer, group)
    if law.kind is Kind.UNKNOWN:
        return Step(law, math.nan, 0.0, math.nan)
    lr, lam = float(group["lr"]), float(group.get("weight_decay", 0))
    if "lambd" in group:
        etas = [state["eta"] for p in group["params"] if (state := optimizer.state.get(p))]
        lr, lam = float(etas[0]) if etas else lr, lam + float(group["lambd"])
    return Step(law, lr, lr * lam, law.share(lr * lam))


def _name_of(optimizer: Any) -> str:
    """The class whose step an optimiser takes, if that is torch's."""
    # Torch puts a wrapper of the same name in each class that an optimiser is made of.
    step = type(optimizer).step
    cls = step.__qualname__.rpartition(".")[0]
    return str(cls) if step.__module__.startswith("torch.optim.") else ""
