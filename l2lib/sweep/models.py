"""Models with a leading axis of K configurations: parameters (K, out, in), activations (K, units, batch)."""

import math
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from l2lib.datasets import Array

Parameters = dict[str, Tensor]
CHOICES = {"init": ("torch", "he", "glorot", "normal", "zeros"), "norm": (None, "batch", "layer", "weight")}


@dataclass(frozen=True)
class MLP:
    """Fully connected layers with ReLU between them; two widths make a linear model.

    Attributes:
        widths: inputs, hidden units, outputs: at least two numbers ≥ 1.
        bias: give every layer a bias.
        norm: of hidden layers, before the ReLU: None; "batch", per unit over the batch; "layer", per example over the
            units; "weight", where a unit's weights are g·v/‖v‖, and the parameter called weight is v.
        affine: give normalised layers γ and β, or g.
        init: of weights: "torch" (uniform on ±1/√fan_in), "he" (N(0, 2/fan_in)), "glorot" (uniform on
            ±√(6/(fan_in + fan_out))), "normal" (N(0, init_std²)), "zeros". Biases are 0, with "torch" as the weights.
        init_std: standard deviation of "normal", > 0.
        eps: ε ≥ 0, which batch and layer normalisation add to the variance.

    Raises:
        ValueError: if an attribute is out of range.
    """

    widths: tuple[int, ...]
    _: KW_ONLY
    bias: bool = True
    norm: str | None = None
    affine: bool = True
    init: str = "torch"
    init_std: float = 1.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(map(str, choices))}")
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths is {self.widths}; give inputs, hidden units and outputs, each ≥ 1")
        if not (self.init_std > 0 and self.eps >= 0):
            raise ValueError(f"init_std {self.init_std} must be > 0 (or use init='zeros'), eps {self.eps} ≥ 0")
        if self.norm == "weight" and self.init == "zeros":
            raise ValueError("norm='weight' divides by ‖v‖, which init='zeros' makes 0; choose another init")

    @property
    def inputs(self) -> int:
        """Numbers that make up an example."""
        return self.widths[0]

    def layers(self) -> list[tuple[int, int, int, int]]:
        """(out, fan_in, fan_out, pixels of an output) of each layer."""
        return [(out, fan_in, out, 1) for fan_in, out in pairwise(self.widths)]

    def initial(self, seed: int) -> dict[str, Array]:
        """Initial parameters of one model, from NumPy's generator and so the same on every machine.

        Args:
            seed: of the generator, ≥ 0.

        Returns:
            Arrays by role and layer: "weight0" of shape (out, fan_in), a convolution's being channels × 3 × 3 in this
            order; "bias0", "gamma0", "beta0" and "g0" of shape (out, 1); "weight1", …
        """
        rng, layers, parameters = np.random.default_rng(seed), self.layers(), dict[str, Array]()
        for i, (out, fan_in, fan_out, _) in enumerate(layers):
            bound = math.sqrt(1 / fan_in if self.init == "torch" else 6 / (fan_in + fan_out))
            std = {"he": math.sqrt(2 / fan_in), "normal": self.init_std, "zeros": 0.0}.get(self.init)
            shape = (out, fan_in)
            weight = rng.uniform(-bound, bound, shape) if std is None else rng.normal(0, std, shape)
            parameters[f"weight{i}"] = weight
            if self.bias:
                parameters[f"bias{i}"] = rng.uniform(-bound, bound, (out, 1)) * (self.init == "torch")
            if self.norm and self.affine and i < len(layers) - 1:
                length = np.linalg.norm(weight, axis=1, keepdims=True)
                scales = {f"gamma{i}": np.ones((out, 1)), f"beta{i}": np.zeros((out, 1))}
                parameters |= {f"g{i}": length} if self.norm == "weight" else scales
        return parameters

    def __call__(self, parameters: Parameters, x: Tensor, reference: int | None = None) -> Tensor:
        """Outputs of K models at once.

        Args:
            parameters: those of ``initial`` with a first axis of K configurations: shape (K, out, in).
            x: inputs, shape (K, batch, inputs).
            reference: batch normalisation takes its statistics from the first so many examples; None means all.

        Returns:
            Outputs, shape (K, out, batch).
        """
        h, last = self._features(parameters, x, reference), len(self.layers()) - 1
        for i in range(last + 2 - len(self.widths), last + 1):
            w = self._weight(parameters, i) if i < last else parameters[f"weight{i}"]
            h = torch.baddbmm(parameters[f"bias{i}"], w, h) if self.bias else torch.bmm(w, h)
            if i == last:
                break
            if self.norm == "batch" and reference is None:
                h = self._batch_norm(parameters, i, h.reshape(1, -1, h.shape[2])).view_as(h)
            elif self.norm in ("batch", "layer"):
                h = self._standardise(parameters, i, h, h[..., :reference], axes=(2,) if self.norm == "batch" else (1,))
            h = h.relu()
        return h

    def _features(self, parameters: Parameters, x: Tensor, reference: int | None) -> Tensor:
        """What the first fully connected layer is fed with, (K, units, batch)."""
        return x.transpose(1, 2)

    def _weight(self, parameters: Parameters, i: int) -> Tensor:
        """The matrix (K, out, fan_in) by which hidden layer i multiplies: the parameter itself, or g·v/‖v‖."""
        v = parameters[f"weight{i}"]
        if self.norm != "weight":
            return v
        unit: Tensor = v / v.norm(dim=2, keepdim=True)
        return parameters[f"g{i}"] * unit if self.affine else unit

    def _standardise(
        self, parameters: Parameters, i: int, h: Tensor, reference: Tensor, axes: tuple[int, ...]
    ) -> Tensor:
        """γ (h - m)/√(v + ε) + β, with the mean m and the variance v of ``reference`` over ``axes``."""
        mean = reference.mean(axes, keepdim=True)
        variance = (reference - mean).square().mean(axes, keepdim=True)
        h = (h - mean) / (variance + self.eps).sqrt()
        return parameters[f"gamma{i}"] * h + parameters[f"beta{i}"] if self.affine else h

    def _batch_norm(self, parameters: Parameters, i: int, h: Tensor) -> Tensor:
        """The same over all axes of h but the second, which is K·out long, by faster functions of PyTorch's."""
        gamma, beta = (parameters[f"{role}{i}"].flatten() if self.affine else None for role in ("gamma", "beta"))
        if len(h) == 1:  # one channel a group: twice as fast again
            return functional.group_norm(h, h.shape[1], gamma, beta, self.eps)
        return functional.batch_norm(h, None, None, gamma, beta, training=True, eps=self.eps)


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each configuration, (K,): outputs (K, 1, batch), targets (K, batch)."""
    return (outputs[:, 0] - targets).square().mean(-1)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of each configuration, (K,): outputs (K, classes, batch), labels (K, batch)."""
    return functional.cross_entropy(outputs, targets, reduction="none").mean(-1)


LOSSES = {"mse": mse, "half_mse": lambda outputs, targets: mse(outputs, targets) / 2, "cross_entropy": cross_entropy}
