"""Models whose parameters carry a leading axis of K configurations.

Weights have shape (K, out, in), biases (K, out, 1), activations (K, features, batch): one batched product does
the work of K models.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from l2lib.datasets import Array

Parameters = dict[str, Tensor]
INITS = ("torch", "normal", "zeros")


@dataclass(frozen=True)
class MLP:
    """Fully connected layers with ReLU between them; two widths make a linear model.

    Attributes:
        widths: inputs, hidden units, outputs: at least two numbers ≥ 1.
        bias: give every layer a bias.
        init: "torch" (PyTorch's default, uniform on ±1/√fan_in for weights and biases), "normal" (weights
            N(0, init_std²), biases 0) or "zeros".
        init_std: standard deviation of "normal", > 0.

    Raises:
        ValueError: if an attribute is out of range.
    """

    widths: tuple[int, ...]
    bias: bool = True
    init: str = "torch"
    init_std: float = 1.0

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths is {self.widths}; give inputs, hidden units and outputs, each ≥ 1")
        if self.init not in INITS:
            raise ValueError(f"init is {self.init!r}; choose one of {', '.join(INITS)}")
        if not self.init_std > 0:
            raise ValueError(f"init_std is {self.init_std}; it must be > 0 (use init='zeros' for zeros)")

    def initial(self, seed: int) -> dict[str, Array]:
        """Initial parameters of one model.

        Args:
            seed: of NumPy's generator, so that they are the same on every machine.

        Returns:
            Arrays by name: "weight0" of shape (out, in), "bias0" of shape (out, 1), "weight1", …
        """
        rng, parameters = np.random.default_rng(seed), {}
        for i, (fan_in, out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            shapes = {f"weight{i}": (out, fan_in)} | ({f"bias{i}": (out, 1)} if self.bias else {})
            for name, shape in shapes.items():
                if self.init == "torch":
                    parameters[name] = rng.uniform(-(fan_in**-0.5), fan_in**-0.5, shape)
                elif self.init == "normal" and name.startswith("weight"):
                    parameters[name] = rng.normal(0, self.init_std, shape)
                else:
                    parameters[name] = np.zeros(shape)
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Outputs of K models at once.

        Args:
            parameters: from ``initial``, stacked to (K, out, in) and (K, out, 1), configurations of one seed together.
            x: inputs, shape (S, d, batch): one batch a seed, shared by the K/S configurations of that seed.

        Returns:
            Outputs, shape (K, out, batch).
        """
        weight = parameters["weight0"]
        configurations, out, fan_in = weight.shape
        h = torch.bmm(weight.reshape(len(x), -1, fan_in), x).reshape(configurations, out, -1)  # one product a seed
        if self.bias:
            h = h + parameters["bias0"]
        for i in range(1, len(self.widths) - 1):
            weight, h = parameters[f"weight{i}"], h.relu()
            h = torch.baddbmm(parameters[f"bias{i}"], weight, h) if self.bias else torch.bmm(weight, h)
        return h


def half_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the mean squared error of each configuration: outputs (K, 1, batch), targets (K, batch); returns (K,)."""
    return (outputs[:, 0] - targets).square().mean(-1) / 2


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each configuration, as ``torch.nn.MSELoss``; shapes as in ``half_mse``."""
    return (outputs[:, 0] - targets).square().mean(-1)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of each configuration: outputs (K, classes, batch), labels (K, batch); returns (K,)."""
    return functional.cross_entropy(outputs, targets, reduction="none").mean(-1)


LOSSES = {"half_mse": half_mse, "mse": mse, "cross_entropy": cross_entropy}
