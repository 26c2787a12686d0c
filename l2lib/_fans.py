"""How many inputs a unit sees, and how many units an input feeds: a layer's fans."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from l2lib._numbers import truth, whole


class Fans(NamedTuple):
    """A layer's number of weights and its fans; strides and borders of an image do not count."""

    size: int
    fan_in: float
    fan_out: float


def fans_of_shape(shape: Sequence[int], groups: int, transposed: bool) -> Fans:
    """The fans of a weight, by its shape and what its shape does not tell.

    Args:
        shape: as PyTorch stores it: (out, in/groups, kernel, …), or
            (in, out/groups, kernel, …) where it is transposed.
        groups: of a convolution, ≥ 1; its channels in equal parts.
        transposed: whether the first axis is the inputs'.

    Returns:
        Number of weights and fans.

    Raises:
        ValueError: if the shape has no fans, or does not fit the groups.
    """
    sizes = _sizes(shape)
    groups = whole("groups", groups, "it must be a whole number ≥ 1")
    if groups > 1 and len(sizes) < 3:
        raise ValueError(f"groups is {groups}; a matrix of shape {sizes} has none, only kernels do")
    if sizes[0] % groups:
        axis = "inputs" if truth("transposed", transposed) else "outputs"
        raise ValueError(f"{groups} groups cannot share the {sizes[0]} {axis} of shape {sizes}")
    size = math.prod(sizes)
    # A unit of the second axis is wired to the units of the first axis in its own group.
    own, others = size / sizes[0], size / sizes[1] / groups
    return Fans(size, others, own) if truth("transposed", transposed) else Fans(size, own, others)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as whole numbers, if it is one that has fans."""
    wanted = "give (out, in, …), each ≥ 1, no bias"
    if isinstance(shape, torch.Tensor):
        raise ValueError("shape is a tensor; give its shape, weight.shape, or its layer")
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise ValueError(f"shape is {shape!r:.60}; {wanted}")
    sizes = tuple(shape)
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise ValueError(f"shape is {sizes!r:.60}; {wanted}, in whole numbers")
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"a weight of shape {sizes} has no fans; {wanted}")
    return tuple(int(size) for size in sizes)


def fans_of_layer(layer: nn.Module) -> Fans:
    """The fans of a linear or convolutional layer, which knows its groups.

    Args:
        layer: an ``nn.Linear`` or a convolution, transposed or not, or one of a
            class made from them.

    Returns:
        Number of weights and fans.

    Raises:
        ValueError: if it is another, whose fans nothing here knows.
    """
    shape = tuple(weight_of(layer).shape)
    if isinstance(layer, _ConvNd):
        return fans_of_shape(shape, layer.groups, layer.transposed)
    return fans_of_shape(shape, 1, False)


def weight_of(layer: nn.Module) -> torch.Tensor:
    """The weight of a linear or convolutional layer.

    Args:
        layer: see ``fans_of_layer``.

    Returns:
        The tensor, as the layer uses it.

    Raises:
        ValueError: if it is no such layer, or has no weight yet.
    """
    name = type(layer).__name__
    if not isinstance(layer, nn.Linear | _ConvNd):
        wanted = "a linear or convolutional layer is wanted"
        todo = "for another give the weight's shape, with groups= and transposed= where they apply"
        raise ValueError(f"{name} is no layer whose fans are known: {wanted}; {todo}")
    weight = layer.weight
    if isinstance(weight, UninitializedParameter | UninitializedBuffer):
        raise ValueError(f"{name} has no shape yet; run a batch through the model first")
    return weight
