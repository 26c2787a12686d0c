"""Update rules, written out: one step for K configurations at once, in place."""

import torch
from torch import Tensor

from l2lib.layers import Parameters


@torch.no_grad()
def sgd(
    parameters: Parameters,
    gradients: Parameters,
    buffers: Parameters,
    *,
    lr: Tensor,
    weight_decay: dict[str, Tensor],
    momentum: float = 0.0,
) -> None:
    """Stochastic gradient descent with L2 penalty and momentum, as ``torch.optim.SGD``.

    v ← μv + (g + λw);  w ← w - ηv. The penalty's gradient λw goes through the momentum buffer v with the loss's.

    Args:
        parameters: w by name, shape (K, …); changed in place.
        gradients: g = ∇L by name, shapes as ``parameters``.
        buffers: v by name, zeros before the first step; changed in place. Not used when momentum is 0.
        lr: η of each configuration, shape (K, 1, 1).
        weight_decay: λ by parameter name, shape (K, 1, 1); a name that is missing is not decayed.
        momentum: μ in [0, 1).

    Source: chapter 2; the update of ``torch.optim.SGD`` without dampening.
    """
    for name, w in parameters.items():
        step = gradients[name]
        if name in weight_decay:
            step = step + weight_decay[name] * w
        if momentum:
            step = buffers[name].mul_(momentum).add_(step)
        w.sub_(lr * step)
