"""Models of K configurations: parameters (K, out, in), activations (K, units, batch).

Names of parameters are a role and a layer's number: "weight0", "bias0", "gamma0", "beta0", "g0",
"weight1", …
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from l2lib._checks import (
    NOT_NEGATIVE,
    POSITIVE,
    as_counts,
    as_flag,
    as_number,
    check_choice,
    settle,
)
from l2lib.datasets import Array

Parameters = dict[str, Tensor]
Norm = Literal["batch", "layer", "weight"]
Init = Literal["torch", "he", "glorot", "normal", "zeros"]
NORMS: tuple[Norm | None, ...] = (None, "batch", "layer", "weight")
INITS: tuple[Init, ...] = ("torch", "he", "glorot", "normal", "zeros")


class Model(Protocol):
    """What ``sweep`` asks of a model; bring your own, for instance as a frozen dataclass.

    Calls must treat each configuration as if it were alone, and parameters must be called by role
    and number ("weight0"), as decay goes by role.

    Example:
        >>> import numpy as np
        >>> from l2lib.sweep import sweep
        >>> class Line:  # y = w x
        ...     inputs = 1
        ...     outputs = 1
        ...     batch_statistics = False
        ...
        ...     def size(self, batch):
        ...         return 1 + batch
        ...
        ...     def initial(self, seed):
        ...         return {"weight0": np.zeros((1, 1))}
        ...
        ...     def __call__(self, parameters, x, reference=None):
        ...         return parameters["weight0"] @ x.transpose(1, 2)
        >>> found = sweep(Line(), [[1.0], [2.0]], [3.0, 6.0], lr=0.1, steps=200)
        >>> found.weight0.values.round(3).tolist()
        [[[3.0]]]
    """

    @property
    def inputs(self) -> int:
        """Numbers that make up an example, ≥ 1."""

    @property
    def outputs(self) -> int:
        """Outputs of an example, ≥ 1; one for a squared error, else the number of classes."""

    @property
    def batch_statistics(self) -> bool:
        """Whether an example's outputs depend on the others of its batch."""

    def size(self, batch: int) -> int:
        """About how many numbers a configuration holds, parameters and activations of a batch."""

    def initial(self, seed: int) -> dict[str, Array]:
        """Initial parameters of one configuration, by name, each of shape (out, in)."""

    def __call__(self, parameters: Parameters, x: Tensor, reference: int | None = None) -> Tensor:
        """Outputs (K, outputs, batch) for parameters (K, out, in) and inputs x (K, batch, inputs).

        Statistics over the batch, if any, come from its first ``reference`` examples; None means
        all.
        """


class Layer(NamedTuple):
    """Sizes of a layer."""

    out: int
    fan_in: int
    fan_out: int
    pixels: int  # of an output; 1 in a fully connected layer


def role_of(name: str) -> str:
    """The role in a parameter's name: "weight" of "weight0".

    Args:
        name: of the parameter.

    Returns:
        The name without its number.

    Example:
        >>> role_of("gamma12")
        'gamma'
    """
    return name.rstrip("0123456789")


# ---- what layers are made of ---------------------------------------------------------------
def affine_map(w: Tensor, h: Tensor, bias: Tensor | None) -> Tensor:
    """The product w h, and a bias.

    Args:
        w: shape (K, out, in).
        h: shape (K, in, batch).
        bias: shape (K, out, 1), or None.

    Returns:
        Shape (K, out, batch).
    """
    if len(w) == 1 and 1 in (*w.shape[1:], h.shape[2]):
        # A single product with a side of 1 goes another way through BLAS than one among many,
        # and is rounded differently there: add a copy.
        copied = None if bias is None else bias.expand(2, -1, -1)
        return affine_map(w.expand(2, -1, -1), h.expand(2, -1, -1), copied)[:1]
    return torch.bmm(w, h) if bias is None else torch.baddbmm(bias, w, h)


def standardise(h: Tensor, reference: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """(h - m)/√(v + ε), with the mean m and the variance v of a reference.

    Args:
        h: activations, of any shape.
        reference: of a shape that fits h when ``axes`` are shrunk to length 1; often h itself.
        axes: over which mean and variance are taken.
        eps: ε ≥ 0.

    Returns:
        Standardised activations, of h's shape.

    Example:
        >>> import torch
        >>> h = torch.tensor([[[1.0, 3.0]]])
        >>> standardise(h, h, axes=(2,), eps=0.0).tolist()
        [[[-1.0, 1.0]]]
    """
    mean = reference.mean(axes, keepdim=True)
    variance = (reference - mean).square().mean(axes, keepdim=True)
    return (h - mean) / (variance + eps).sqrt()


def batch_norm(h: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float) -> Tensor:
    """As ``standardise`` over all axes but the second, then γh + β, by PyTorch's fast functions.

    Args:
        h: activations, shape (N, channels, …).
        gamma: shape (channels,), or None for 1.
        beta: shape (channels,), or None for 0.
        eps: ε ≥ 0.

    Returns:
        Shape of h.
    """
    if len(h) == 1:  # one channel a group: twice as fast again
        return functional.group_norm(h, h.shape[1], gamma, beta, eps)
    return functional.batch_norm(h, None, None, gamma, beta, training=True, eps=eps)


@dataclass(frozen=True)
class Network(ABC):
    """What an ``MLP`` and a ``CNN`` share; see there."""

    widths: tuple[int, ...]
    _: KW_ONLY
    bias: bool = True
    norm: Norm | None = None
    affine: bool = True
    init: Init = "torch"
    init_std: float = 1.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        check_choice("init", self.init, INITS)
        settle(
            self,
            widths=as_counts("widths", self.widths, 2, "inputs, hidden units and outputs"),
            bias=as_flag("bias", self.bias),
            affine=as_flag("affine", self.affine),
            init_std=as_number("init_std", self.init_std, POSITIVE),
            eps=as_number("eps", self.eps, NOT_NEGATIVE),
        )
        if self.norm == "weight" and self.init == "zeros":
            why = "divides by ‖v‖, which init='zeros' makes 0; choose another init"
            raise ValueError(f"norm='weight' {why}")

    @property
    def outputs(self) -> int:
        """Outputs of an example."""
        return self.widths[-1]

    @property
    def batch_statistics(self) -> bool:
        """Whether an example's outputs depend on the others of its batch."""
        return self.norm == "batch"

    @abstractmethod
    def layers(self) -> list[Layer]:
        """The sizes of each layer, in order."""

    def size(self, batch: int) -> int:
        """Numbers that a configuration holds: weights, and the activations of a batch."""
        return sum(each.out * (each.fan_in + each.pixels * batch) for each in self.layers())

    def initial(self, seed: int) -> dict[str, Array]:
        """Initial parameters of one model, from NumPy's generator and so the same on every machine.

        Args:
            seed: of the generator, ≥ 0.

        Returns:
            Arrays by role and layer: "weight0" of shape (out, fan_in), a convolution's being
            channels × 3 × 3 in this order; "bias0", "gamma0", "beta0" and "g0" of shape (out, 1);
            "weight1", …
        """
        # A stream of its own, a child of the seed's: data often come from default_rng(seed), and
        # a start made of the numbers that the data are made of is not independent of them.
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        layers = self.layers()
        parameters: dict[str, Array] = {}
        for i, layer in enumerate(layers):
            weight = self._initial_weight(layer, rng)
            parameters[f"weight{i}"] = weight
            if self.bias:
                parameters[f"bias{i}"] = self._initial_bias(layer, rng)
            if self.norm and self.affine and i < len(layers) - 1:
                parameters |= self._initial_scales(i, weight)
        return parameters

    def _initial_weight(self, layer: Layer, rng: np.random.Generator) -> Array:
        shape = (layer.out, layer.fan_in)
        if self.init == "torch":
            bound = math.sqrt(1 / layer.fan_in)
            return rng.uniform(-bound, bound, shape)
        if self.init == "glorot":
            bound = math.sqrt(6 / (layer.fan_in + layer.fan_out))
            return rng.uniform(-bound, bound, shape)
        he = math.sqrt(2 / layer.fan_in)
        std = {"he": he, "normal": self.init_std, "zeros": 0.0}[self.init]
        return rng.normal(0, std, shape)

    def _initial_bias(self, layer: Layer, rng: np.random.Generator) -> Array:
        bound = math.sqrt(1 / layer.fan_in)
        drawn = rng.uniform(-bound, bound, (layer.out, 1))
        # Drawn even where it is not used, so that all inits draw the next weights alike.
        return drawn if self.init == "torch" else np.zeros_like(drawn)

    def _initial_scales(self, i: int, weight: Array) -> dict[str, Array]:
        """At the start γ is 1 and β is 0; weight norm's g is ‖v‖, so that it changes nothing."""
        if self.norm == "weight":
            return {f"g{i}": np.linalg.norm(weight, axis=1, keepdims=True)}
        ones = np.ones((len(weight), 1))
        return {f"gamma{i}": ones, f"beta{i}": np.zeros_like(ones)}

    def _weight(self, parameters: Parameters, i: int) -> Tensor:
        """The matrix (K, out, fan_in) of hidden layer i: the parameter itself, or g·v/‖v‖."""
        v = parameters[f"weight{i}"]
        if self.norm != "weight":
            return v
        unit: Tensor = v / v.norm(dim=2, keepdim=True)
        return parameters[f"g{i}"] * unit if self.affine else unit

    def _batch_norm(self, parameters: Parameters, i: int, h: Tensor) -> Tensor:
        """Batch norm of layer i, for h of shape (N, K·out, …)."""
        if not self.affine:
            return batch_norm(h, None, None, self.eps)
        gamma = parameters[f"gamma{i}"].flatten()
        return batch_norm(h, gamma, parameters[f"beta{i}"].flatten(), self.eps)

    def _standardised(
        self, parameters: Parameters, i: int, h: Tensor, reference: Tensor, axes: tuple[int, ...]
    ) -> Tensor:
        """γ (h - m)/√(v + ε) + β of layer i."""
        h = standardise(h, reference, axes, self.eps)
        return parameters[f"gamma{i}"] * h + parameters[f"beta{i}"] if self.affine else h

    def _fully_connected(
        self, parameters: Parameters, h: Tensor, first: int, reference: int | None
    ) -> Tensor:
        """Layers ``first`` to the last, for h of shape (K, units, batch)."""
        last = first + len(self.widths) - 2
        for i in range(first, last):
            bias = parameters[f"bias{i}"] if self.bias else None
            h = affine_map(self._weight(parameters, i), h, bias)
            h = self._normalised(parameters, i, h, reference).relu()
        bias = parameters[f"bias{last}"] if self.bias else None
        return affine_map(parameters[f"weight{last}"], h, bias)

    def _normalised(
        self, parameters: Parameters, i: int, h: Tensor, reference: int | None
    ) -> Tensor:
        """What normalisation makes of h, (K, units, batch)."""
        if self.norm == "batch" and reference is None:
            return self._batch_norm(parameters, i, h.reshape(1, -1, h.shape[2])).view_as(h)
        if self.norm not in ("batch", "layer"):
            return h
        axis = 2 if self.norm == "batch" else 1
        return self._standardised(parameters, i, h, h[..., :reference], (axis,))


@dataclass(frozen=True)
class MLP(Network):
    """Fully connected layers with ReLU between them; two widths make a linear model.

    Attributes:
        widths: inputs, hidden units, outputs: at least two numbers ≥ 1.
        bias: give every layer a bias.
        norm: of hidden layers, before the ReLU: None; "batch", per unit over the batch; "layer",
            per example over the units; "weight", where a unit's weights are g·v/‖v‖, and the
            parameter called weight is v.
        affine: give normalised layers γ and β, or g.
        init: of weights: "torch" (uniform on ±1/√fan_in), "he" (N(0, 2/fan_in)), "glorot" (uniform
            on ±√(6/(fan_in + fan_out))), "normal" (N(0, init_std²)), "zeros". Biases are 0, with
            "torch" as the weights.
        init_std: standard deviation of "normal", > 0.
        eps: ε ≥ 0, which batch and layer normalisation add to the variance.

    Raises:
        ValueError: if an attribute is out of range.

    Example:
        >>> model = MLP((64, 32, 10), norm="batch")
        >>> [name for name in model.initial(seed=0)]
        ['weight0', 'bias0', 'gamma0', 'beta0', 'weight1', 'bias1']
    """

    @property
    def inputs(self) -> int:
        """Numbers that make up an example."""
        return self.widths[0]

    def layers(self) -> list[Layer]:
        """The sizes of each layer, in order."""
        return fully_connected(self.widths)

    def __call__(self, parameters: Parameters, x: Tensor, reference: int | None = None) -> Tensor:
        """Outputs of K models at once.

        Args:
            parameters: those of ``initial`` with a first axis of K configurations: shape (K, out,
                in).
            x: inputs, shape (K, batch, inputs).
            reference: batch normalisation takes its statistics from the first so many examples;
                None means all.

        Returns:
            Outputs, shape (K, out, batch).
        """
        return self._fully_connected(parameters, x.transpose(1, 2), 0, reference)


def fully_connected(widths: Sequence[int]) -> list[Layer]:
    """Sizes of the layers between these widths.

    Args:
        widths: of the inputs, the hidden layers and the outputs.

    Returns:
        One layer less than widths.
    """
    return [Layer(out, fan_in, out, pixels=1) for fan_in, out in pairwise(widths)]


# ---- losses --------------------------------------------------------------------------------
def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each configuration.

    Args:
        outputs: shape (K, 1, batch).
        targets: shape (K, batch).

    Returns:
        Shape (K,), in units of the targets squared.

    Example:
        >>> import torch
        >>> mse(torch.tensor([[[1.0, 3.0]]]), torch.zeros(1, 2)).tolist()
        [5.0]
    """
    return (outputs[:, 0] - targets).square().mean(-1)


def half_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the mean squared error of each configuration: the book's loss; shapes as for ``mse``.

    Args:
        outputs: shape (K, 1, batch).
        targets: shape (K, batch).

    Returns:
        Shape (K,), in units of the targets squared.

    Example:
        >>> import torch
        >>> half_mse(torch.tensor([[[1.0, 3.0]]]), torch.zeros(1, 2)).tolist()
        [2.5]
    """
    return mse(outputs, targets) / 2


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of each configuration.

    Args:
        outputs: shape (K, classes, batch).
        targets: labels, shape (K, batch).

    Returns:
        Shape (K,), in nats.

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(1, 2, 1), torch.tensor([[1]])).tolist()
        [0.6931471824645996]
    """
    return functional.cross_entropy(outputs, targets, reduction="none").mean(-1)


LOSSES = {"mse": mse, "half_mse": half_mse, "cross_entropy": cross_entropy}
