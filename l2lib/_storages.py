"""Whether two tensors share memory, so that one step would change a number twice."""

import math
from collections.abc import Container, Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class _Span(NamedTuple):
    """A tensor, and the bytes between which its numbers lie."""

    device: str
    start: int
    end: int
    name: str


def shared(tensors: Mapping[str, Tensor], frozen: Container[str] = ()) -> tuple[str, str] | None:
    """Two of these tensors that have a number in common.

    Args:
        tensors: different ones, by name. Those without memory of their own (on
            the meta device, empty, or of a class that hides it) share none.
        frozen: names of those that nothing changes: two of them may share.

    Returns:
        Their names; None if there are no such two. Columns of one matrix may
        lie between each other, and share none.

    Example:
        >>> both = torch.zeros(2, 4)
        >>> shared({"left": both[:, :2], "right": both[:, 2:]})
        >>> shared({"left": both[:, :3], "right": both[:, 2:]})
        ('left', 'right')
    """
    open_spans: list[_Span] = []
    for span in sorted(filter(None, (_span(name, t) for name, t in tensors.items()))):
        open_spans = [o for o in open_spans if o.device == span.device and o.end > span.start]
        for other in open_spans:
            still = span.name in frozen and other.name in frozen
            if not still and _overlap(tensors[other.name], tensors[span.name]):
                return other.name, span.name
        open_spans.append(span)
    return None


def _span(name: str, tensor: Tensor) -> _Span | None:
    try:
        start = tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # a class that hides its memory
        return None
    if start == 0 or tensor.numel() == 0 or tensor.layout != torch.strided:
        return None
    return _Span(str(tensor.device), start, start + _extent(tensor) * tensor.element_size(), name)


def _extent(tensor: Tensor) -> int:
    """From the first number to the last, in numbers."""
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return 1 + sum((size - 1) * stride for size, stride in steps)


def _overlap(first: Tensor, second: Tensor) -> bool:
    """Whether a byte of one is one of the other, of two that lie between each other."""
    offset = second.data_ptr() - first.data_ptr()
    # Bytes in pieces as large as both tensors' numbers and the offset are made of.
    piece = math.gcd(first.element_size(), second.element_size(), offset)
    ends = (_extent(first) * first.element_size(), offset + _extent(second) * second.element_size())
    taken = torch.zeros(max(ends) // piece, dtype=torch.bool)
    taken.as_strided(*_in_pieces(first, piece)).fill_(True)
    return bool(taken.as_strided(*_in_pieces(second, piece), offset // piece).any())


def _in_pieces(tensor: Tensor, piece: int) -> tuple[list[int], list[int]]:
    """Shape and strides of the pieces of memory that a tensor's numbers take."""
    each = tensor.element_size() // piece
    shape = [
        size if stride else 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    ]
    return [*shape, each], [*(stride * each for stride in tensor.stride()), 1]


def two_on_one_memory(first: str, second: str) -> str:
    """An error for two Parameters that share memory, and its remedy."""
    why = "are two Parameters on one memory, which a step would change twice"
    todo = "make them one after loading: module.weight = other.weight"
    return f"{first} and {second} {why}; {todo}"
