"""A small convolutional network with a leading axis of K configurations: they are the groups of one convolution."""

import math
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from l2lib.sweep.models import MLP, Parameters


@dataclass(frozen=True)
class CNN(MLP):
    """3 × 3 convolutions, each with ReLU and 2 × 2 max pooling; the mean over pixels; then an ``MLP``.

    Attributes:
        widths: of the MLP, the last of ``channels`` first.
        image: channels, height and width; an example is one image as a row, in this order.
        channels: of the convolutions, at least one; each pooling halves the image, and a pixel must be left.
    """

    widths: tuple[int, ...] = (32, 10)
    _: KW_ONLY
    image: tuple[int, int, int] = (1, 8, 8)
    channels: tuple[int, ...] = (16, 32)

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.image + self.channels) < 1 or min(self.image[1:]) >> len(self.channels) < 1:
            raise ValueError(f"an image {self.image} does not survive a pooling for each of channels {self.channels}")
        if self.channels[-1:] != self.widths[:1]:
            raise ValueError(f"widths is {self.widths}; it must begin with the last of channels {self.channels}")

    @property
    def inputs(self) -> int:
        """Numbers that make up an example."""
        return math.prod(self.image)

    def layers(self) -> list[tuple[int, int, int, int]]:
        """(out, fan_in, fan_out, pixels of an output) of each layer."""
        sizes = [(self.image[1] >> i) * (self.image[2] >> i) for i in range(len(self.channels))]
        convolutions = zip(pairwise((self.image[0], *self.channels)), sizes, strict=True)
        return [(out, 9 * fan_in, 9 * out, size) for (fan_in, out), size in convolutions] + super().layers()

    def _features(self, parameters: Parameters, x: Tensor, reference: int | None) -> Tensor:
        """What the first fully connected layer is fed with, (K, units, batch)."""
        k, batch, _ = x.shape
        if k % 2:  # an odd number of groups may be convolved by another algorithm, which rounds differently: add a copy
            even = {name: torch.cat([w, w[-1:].detach()]) for name, w in parameters.items()}
            return self._features(even, torch.cat([x, x[-1:]]), reference)[:k]
        h = x.transpose(0, 1).reshape(batch, k * self.image[0], *self.image[1:])
        if not any(out % 16 for out in self.channels):  # then no vector of the processor holds two configurations, and
            h = h.contiguous(memory_format=torch.channels_last)  # this order, twice as fast, rounds each as if alone
        for i, out in enumerate(self.channels):
            bias = parameters[f"bias{i}"].flatten() if self.bias else None
            h = functional.conv2d(h, self._weight(parameters, i).view(k * out, -1, 3, 3), bias, padding=1, groups=k)
            if self.norm == "batch" and reference is None:
                h = self._batch_norm(parameters, i, h)
            elif self.norm in ("batch", "layer"):
                each, axes = h.reshape(batch, k, out, -1), (0, 3) if self.norm == "batch" else (2, 3)
                h = self._standardise(parameters, i, each, each[:reference], axes).view_as(h)
            h = functional.max_pool2d(h.relu(), 2)
        return h.mean((2, 3)).view(batch, k, -1).permute(1, 2, 0).contiguous()
