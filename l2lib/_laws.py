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

from l2lib._momentum import Momentum


class Kind(enum.Enum):
    """What an optimiser does with its λ."""

    COUPLED = "λw goes into the gradient, and through the momentum"
    DECOUPLED = "a step takes ηλ of w away, and its updates have a length that gradients do not set"
    RELATIVE = "a step takes ηλ of w away, and its updates are as long as w"
    DIVIDED = "λw goes into the gradient, and is divided by the gradients' size"
    UNKNOWN = "it is not torch's"


# Of torch's other optimisers those with decoupled_weight_decay are decoupled, the rest divide.
_KINDS = {
    "SGD": Kind.COUPLED,
    "ASGD": Kind.COUPLED,
    "AdamW": Kind.DECOUPLED,
    "Muon": Kind.DECOUPLED,
    "Adafactor": Kind.RELATIVE,
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
        if self.kind is Kind.COUPLED:
            try:
                return Momentum(self.momentum, self.dampening, self.nesterov).share(rate)
            except ValueError:  # it oscillates
                return math.nan
        return rate if self.kind in (Kind.DECOUPLED, Kind.RELATIVE) else math.nan

    @lru_cache(maxsize=4096)  # noqa: B019 (laws are few, and small)
    def turn(self, rate: float, steps: int) -> float:
        """How far a scale-invariant tensor turns in equilibrium.

        Args:
            rate: ηλ > 0 of a step, on average.
            steps: between the two looks.

        Returns:
            -ln cos θ; NaN where nothing is predicted.
        """
        if not (self.power and rate > 0):
            return math.nan
        mu = self.momentum
        if self.kind is Kind.COUPLED:
            gap = (1 - self.dampening) * rate
            p = mu * (1 - gap) if self.nesterov else mu
        else:
            gap, p = rate * (1 - mu), mu * (1 - rate)
        c = -mu / (1 + mu) if self.nesterov else 0.0
        s = 1 + p - gap  # gap = 1 + p - s is written out, as the difference would lose it
        noise = (1 - p) * gap * (1 + p + s) / (s * c * (1 - p) + (1 + c * s + c * c) * (1 + p))
        first = (gap - c * noise) / (1 + p)
        # With v = 1 - cos, v_k = s v_(k-1) - p v_(k-2) + gap.
        recurrence = np.array([[s, -p, gap], [1, 0, 0], [0, 0, 1]])
        chord = (np.linalg.matrix_power(recurrence, steps - 1) @ [first, 0, 1])[0]
        return -math.log1p(-chord) if 0 < chord < 1 else math.nan


class Step(NamedTuple):
    """A step of a group.

    Attributes:
        law: of the group.
        lr: η.
        weight_decay: λ.
    """

    law: Law
    lr: float
    weight_decay: float

    @property
    def rate(self) -> float:
        """ηλ; 0 where no λ is read."""
        return self.lr * self.weight_decay if self.weight_decay else 0.0


NOT_READ = Step(Law(Kind.UNKNOWN), math.nan, 0.0)
"""Of an optimiser that is not torch's, or before any step."""


def step_of(optimizer: Any, group: Mapping[str, Any]) -> Step:
    """The step that a group has just taken.

    Args:
        optimizer: any.
        group: one of its groups.

    Returns:
        The step, by the class whose step it is; ``NOT_READ`` if that is not
        torch's. ASGD's η is its own, which falls, and its lambd a second λ.

    Example:
        >>> from torch import nn, optim
        >>> rule = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1, weight_decay=0.5)
        >>> step_of(rule, rule.param_groups[0]).rate
        0.05
    """
    method = type(optimizer).step
    if not method.__module__.startswith("torch.optim."):
        return NOT_READ
    name = method.__qualname__.partition(".")[0]
    decoupled = Kind.DECOUPLED if group.get("decoupled_weight_decay") else Kind.DIVIDED
    kind, adam = _KINDS.get(name, decoupled), "betas" in group
    momentum = float(group["betas"][0] if adam else group.get("momentum", 0))
    nesterov = group.get("nesterov", name == "NAdam")
    law = Law(kind, momentum, group.get("dampening", 0), nesterov, adam and kind is Kind.DECOUPLED)
    lr, lam = float(group["lr"]), float(group.get("weight_decay", 0))
    if "lambd" in group:
        etas = [state["eta"] for p in group["params"] if (state := optimizer.state.get(p))]
        lr, lam = float(etas[0]) if etas else lr, lam + float(group["lambd"])
    return Step(law, lr, lam)
