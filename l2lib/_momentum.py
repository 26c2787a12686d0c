"""How fast SGD with momentum shrinks a weight that the loss ignores, its penalty in the buffer."""

import math
from dataclasses import dataclass

from l2lib._numbers import in_range, truth


@dataclass(frozen=True)
class Momentum:
    """The momentum of an SGD whose penalty's gradient λw goes through the buffer, as PyTorch's.

    Such a weight follows a linear recurrence, and in the long run a step takes
    away the share δ, the smaller root of δ² - (1 - μ + cx)δ + x = 0. Here
    x = (1 - dampening)ηλ, and c is 1, or 1 + μ for Nesterov's form. Beyond the
    x at which the two roots meet the weight oscillates, and more λ is no
    longer more decay.

    Attributes:
        momentum: μ, at least 0 and below 1.
        dampening: the share of a gradient that the buffer leaves out, as in
            PyTorch; at least 0 and below 1.
        nesterov: the step looks ahead, as in PyTorch.

    Example:
        >>> heavy = Momentum(0.9)
        >>> round(heavy.share(0.001), 6)  # 1/(1 - 0.9) times 0.001, and a bit more
        0.011127
        >>> round(heavy.rate(heavy.share(0.001)), 12)
        0.001
    """

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        for name in ("momentum", "dampening"):
            wanted = "it must be a number, at least 0 and below 1"
            value = in_range(name, getattr(self, name), wanted, 0, closed=True)
            if value >= 1:
                raise ValueError(f"{name} is {value:g}; {wanted}")
        truth("nesterov", self.nesterov)
        if self.nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise ValueError("nesterov=True needs a momentum and no dampening, as PyTorch does")

    @property
    def _look_ahead(self) -> float:
        return 1 + self.momentum if self.nesterov else 1.0

    @property
    def fastest(self) -> float:
        """The largest share that a step can take away in the long run, without oscillations."""
        mu = self.momentum
        return (1 - mu) / (1 + mu) if self.nesterov else 1 - math.sqrt(mu)

    def share(self, rate: float) -> float:
        """The share that a step takes away in the long run.

        Args:
            rate: ηλ ≥ 0.

        Returns:
            δ; ηλ itself without momentum.

        Raises:
            ValueError: if the weight would oscillate.
        """
        if self.momentum == 0:
            return rate
        x = (1 - self.dampening) * rate
        # At the fastest share both roots of the quadratic are the same, and their product is x.
        if x > self.fastest**2:
            raise ValueError(f"ηλ = {rate:g} is too large: {self._limit()}")
        b = 1 - self.momentum + self._look_ahead * x
        return 2 * x / (b + math.sqrt(max(0.0, b * b - 4 * x)))

    def rate(self, share: float) -> float:
        """The ηλ under which a step takes away this share in the long run.

        Args:
            share: δ ≥ 0.

        Returns:
            ηλ; δ itself without momentum.

        Raises:
            ValueError: if no λ shrinks a weight so fast.
        """
        if self.momentum == 0:
            return share
        if share > self.fastest:
            raise ValueError(f"a share of {share:g} a step is too large: {self._limit()}")
        x = share * (1 - self.momentum - share) / (1 - self._look_ahead * share)
        return x / (1 - self.dampening)

    def _limit(self) -> str:
        limit = self.fastest**2 / (1 - self.dampening)
        reached = f"beyond ηλ = {limit:.3g}, a share of {self.fastest:.3g} a step"
        todo = "more λ is then no more decay; lower λ, lr or momentum"
        return f"with momentum {self.momentum:g} a weight oscillates {reached}, and {todo}"
