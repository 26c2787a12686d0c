"""What is known of a training run, and what each loss is a multiple of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Number = Literal["lr", "n", "batch_size", "y_std", "max_lr", "sample_weight_sum"]


@dataclass(frozen=True)
class Setting:
    """What is known of a training run."""

    loss: str
    outputs: int = 1
    lr: float | None = None
    n: float | None = None
    batch_size: float | None = None
    sample_weight_sum: float | None = None
    y_std: float | None = None
    max_lr: float | None = None

    def need(self, name: Number) -> float:
        """A number of the run, or an error that asks for it."""
        value: float | None = getattr(self, name)
        if value is None:
            raise ValueError(f"this conversion depends on {name}; give {name}=")
        return value

    @property
    def examples(self) -> float:
        """What a sum over all examples counts: them, or their weights."""
        return self.need("n") if self.sample_weight_sum is None else self.sample_weight_sum

    @property
    def batch(self) -> float:
        """What a sum over a step's examples counts; weights only where a step sees all of them."""
        if self.sample_weight_sum is None:
            return self.need("batch_size")
        if self.batch_size is not None:
            why = "the weights' sum differs from minibatch to minibatch, so that no λ is constant"
            todo = "for steps on all examples leave out batch_size, else take the weighted mean"
            raise ValueError(f"batch_size and sample_weight_sum do not fit together: {why}; {todo}")
        return self.sample_weight_sum

    @property
    def scale(self) -> float:
        """The loss, as a multiple of the one beside which λ is counted."""
        return LOSSES[self.loss](self)

    @property
    def rate(self) -> float:
        """The share of a weight that one step of plain SGD takes away for each unit of λ."""
        return self.need("lr") * self.scale


LOSSES: dict[str, Callable[[Setting], float]] = {
    "half_mse": lambda s: 1 / s.outputs,
    "mse": lambda s: 2 / s.outputs,
    "half_sse": lambda s: s.batch,
    "sse": lambda s: 2 * s.batch,
    "cross_entropy": lambda s: 1,
    "cross_entropy_sum": lambda s: s.batch,
    "binary_cross_entropy": lambda s: 1 / s.outputs,
}
