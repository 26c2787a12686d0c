"""What has fewer digits than float64, and its like in float64."""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WIDER = {torch.complex64: torch.complex128, torch.complex32: torch.complex128}
"""What each dtype of lower precision becomes."""
WIDER |= dict.fromkeys((torch.float16, torch.bfloat16, torch.float32), torch.float64)
_FLOAT8 = [getattr(torch, name) for name in dir(torch) if name.startswith("float8_")]
WIDER |= dict.fromkeys(_FLOAT8, torch.float64)


def wide(value: Any) -> Any:
    """Make a tensor or a dtype of lower precision float64, also in lists and tuples.

    Args:
        value: anything.

    Returns:
        The same in float64 or complex128; what is neither, as it is.
    """
    if isinstance(value, Tensor):
        return value.to(WIDER[value.dtype]) if value.dtype in WIDER else value
    if isinstance(value, torch.dtype):
        return WIDER.get(value, value)
    if type(value) in {list, tuple}:
        widened = type(value)(map(wide, value))
        return widened if any(map(operator.is_not, widened, value)) else value
    return value


def _grouped_mm(
    a: Tensor,
    b: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Tensor:
    """A product for each group, as of experts: torch's kernel has no float64."""
    if offs is None:
        product = a @ b
    else:
        ends = offs.tolist()
        groups = list(itertools.pairwise([0, *ends]))
        if a.ndim == b.ndim:  # the groups cut the inner axis
            product = torch.stack([a[:, i:j] @ b[i:j] for i, j in groups])
        elif a.ndim == 2:
            parts = [a[i:j] @ matrix for (i, j), matrix in zip(groups, b, strict=True)]
            product = torch.cat([*parts, a.new_zeros(len(a) - ends[-1], b.shape[-1])])
        else:
            parts = [matrix @ b[:, i:j] for (i, j), matrix in zip(groups, a, strict=True)]
            product = torch.cat([*parts, b.new_zeros(a.shape[1], b.shape[1] - ends[-1])], 1)
    return product if bias is None else product + bias


IN_FLOAT64: dict[str, Callable[..., Any]] = {"_grouped_mm": _grouped_mm}
"""What stands in for operations that torch has in lower precision only."""
