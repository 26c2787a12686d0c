"""A small convolutional network of K configurations: they are the groups of one convolution."""

import math
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from l2lib._checks import as_counts, settle
from l2lib.sweep.models import Layer, Network, Parameters, fully_connected


@dataclass(frozen=True)
class CNN(Network):
    """3 × 3 convolutions with ReLU and 2 × 2 max pooling; the mean over pixels; then an ``MLP``.

    Attributes:
        widths: of the MLP, the last of ``channels`` first. This and what is not named here as for
            ``MLP``.
        image: channels, height and width; an example is one image as a row, in this order.
        channels: of the convolutions, at least one; each pooling halves the image, and a pixel must
            be left.

    Raises:
        ValueError: if an attribute is out of range, or the image too small.

    Example:
        >>> CNN((32, 10), image=(1, 8, 8), channels=(16, 32)).layers()[0]
        Layer(out=16, fan_in=9, fan_out=144, pixels=64)
    """

    widths: tuple[int, ...] = (32, 10)
    _: KW_ONLY
    image: tuple[int, int, int] = (1, 8, 8)
    channels: tuple[int, ...] = (16, 32)

    def __post_init__(self) -> None:
        super().__post_init__()
        image = as_counts("image", self.image, 3, "channels, height and width")
        if len(image) > 3:
            raise ValueError(f"image is {image}; give three numbers: channels, height and width")
        channels = as_counts("channels", self.channels, 1, "those of each convolution")
        settle(self, image=image, channels=channels)
        left = min(self.image[1:]) >> len(self.channels)
        if left < 1:
            poolings = f"a pooling for each of channels {self.channels}"
            raise ValueError(f"an image {self.image} does not survive {poolings}")
        if self.channels[-1:] != self.widths[:1]:
            must = f"it must begin with the last of channels {self.channels}"
            raise ValueError(f"widths is {self.widths}; {must}")

    @property
    def inputs(self) -> int:
        """Numbers that make up an example."""
        return math.prod(self.image)

    def layers(self) -> list[Layer]:
        """The sizes of each layer, in order."""
        layers = []
        for i, (fan_in, out) in enumerate(pairwise((self.image[0], *self.channels))):
            pixels = (self.image[1] >> i) * (self.image[2] >> i)
            layers.append(Layer(out, 9 * fan_in, 9 * out, pixels))
        return layers + fully_connected(self.widths)

    def __call__(self, parameters: Parameters, x: Tensor, reference: int | None = None) -> Tensor:
        """Outputs of K models at once.

        Args:
            parameters: those of ``initial`` with a first axis of K configurations: shape (K, out,
                in).
            x: images as rows, shape (K, batch, inputs).
            reference: batch normalisation takes its statistics from the first so many examples;
                None means all.

        Returns:
            Outputs, shape (K, out, batch).
        """
        h = self._features(parameters, x, reference)
        return self._fully_connected(parameters, h, len(self.channels), reference)

    def _features(self, parameters: Parameters, x: Tensor, reference: int | None) -> Tensor:
        """Means over pixels, (K, channels, batch)."""
        k, batch, _ = x.shape
        if k % 2:
            # An odd number of groups may be convolved by another algorithm, which rounds
            # differently: add a copy.
            even = {name: torch.cat([w, w[-1:].detach()]) for name, w in parameters.items()}
            return self._features(even, torch.cat([x, x[-1:]]), reference)[:k]
        h = self._images(x)
        for i, out in enumerate(self.channels):
            kernel = self._weight(parameters, i).view(k * out, -1, 3, 3)
            bias = parameters[f"bias{i}"].flatten() if self.bias else None
            h = functional.conv2d(h, kernel, bias, padding=1, groups=k)
            h = self._normalised_maps(parameters, i, h, reference)
            h = functional.max_pool2d(h.relu(), 2)
        means = h.mean((2, 3)).view(batch, k, -1)
        return means.permute(1, 2, 0).contiguous()

    def _images(self, x: Tensor) -> Tensor:
        """Rows (K, batch, inputs) as one image an example, all configurations' channels in it."""
        k, batch, _ = x.shape
        h = x.transpose(0, 1).reshape(batch, k * self.image[0], *self.image[1:])
        if any(out % 16 for out in self.channels):
            return h
        # Now no vector of the processor holds two configurations, and this order, twice as
        # fast, rounds each as if alone.
        return h.contiguous(memory_format=torch.channels_last)

    def _normalised_maps(
        self, parameters: Parameters, i: int, h: Tensor, reference: int | None
    ) -> Tensor:
        """What normalisation makes of h, (batch, K·out, height, width)."""
        if self.norm == "batch" and reference is None:
            return self._batch_norm(parameters, i, h)
        if self.norm not in ("batch", "layer"):
            return h
        out = self.channels[i]
        each = h.reshape(len(h), -1, out, h.shape[2] * h.shape[3])
        axes = (0, 3) if self.norm == "batch" else (2, 3)
        return self._standardised(parameters, i, each, each[:reference], axes).view_as(h)
