"""Which parameters of a model are scale-invariant, alone or together (chapter 7)."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from l2lib.datasets import Array

Loss = Callable[[nn.Module], Tensor]
ZERO = 1e-8  # relative; rounding is about 1e-15, and what is not zero by identity seldom below 1e-3
POINTS = 5  # at which a parameter's slope must vanish


@dataclass(frozen=True)
class Invariances:
    """Scalings of a model's parameters by powers of any α > 0 that leave its loss alone.

    Attributes:
        alone: by parameter, whether α times it changes nothing: "each unit" if so already for each row (index of the
            first axis) with an α of its own, "whole tensor", "no", or "no effect" if no change of it does anything.
        together: of those that are "no" alone: exponents k by parameter, so that α^k times each changes nothing. All
            others follow from these by multiplication. Few parameters each; exponents are rounded to 6 digits.
    """

    alone: dict[str, str]
    together: list[dict[str, float]]

    def __str__(self) -> str:
        """A line for each parameter and for each joint invariance, to be printed."""
        width = max(map(len, self.alone)) + 2
        joint = (", ".join(f"{name} × α^{k:g}" for name, k in powers.items()) for powers in self.together)
        return "\n".join([f"{name:<{width}}{kind}" for name, kind in self.alone.items()]
                         + [f"together: {line}" for line in joint])  # fmt: skip


def scale_invariance(model: nn.Module, loss: Loss) -> Invariances:
    """Find out which parameters of a model are scale-invariant, alone or together.

    Where the loss does not change with α^k·p, Σ k⟨∂L/∂p, p⟩ = 0 (Euler). Such sums are looked for at random points near
    the model's parameters, in float64 on a copy, where every attribute ``eps``, ``epsilon`` or ``…_eps`` is 1e-30: one
    backward pass a point. An ε inside a ``forward`` stays, and breaks what it breaks. Signs are not tried: α > 0.

    Args:
        model: any module, in the mode (train or eval) that is meant: with stored statistics batch norm hides no scale.
            Frozen parameters count as well; what is tied counts once.
        loss: gives the loss of the model it is handed, one number: for instance
            ``lambda model: cross_entropy(model(X), y)`` with X in float64. Enough examples that no unit is idle.

    Returns:
        What leaves the loss alone. ``print`` shows it as a table.

    Raises:
        ValueError: if the loss is not one finite float64, differs between two calls or does not depend on the model.

    Source: derived in chapter 7; Kunin et al. (2021) list the symmetries of common layers.
    """
    model, points = _exact(model), list[dict[str, Array]]()
    first, again = _evaluate(model, loss), _evaluate(model, loss)
    if abs(first - again) > ZERO * abs(first):
        raise ValueError(f"loss: {first.item():.6g}, then {again.item():.6g}; switch dropout and other noise off")
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    rng, kinds = torch.Generator().manual_seed(0), dict[str, str]()
    while len(points) < POINTS + sum(kind == "no" for kind in kinds.values()):
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=rng, dtype=p.dtype).to(p.device)
            p.data = start[name] + 0.3 * noise * (start[name].square().mean().sqrt().item() or 1)
        points.append(_slopes(model, loss))
        kinds = kinds if kinds or len(points) < POINTS else _alone(points)
    return Invariances(kinds, _together(points, [name for name, kind in kinds.items() if kind == "no"]))


def _exact(model: nn.Module) -> nn.Module:
    """A copy in float64 with every ε so small that rounding hides it, and nothing frozen."""
    model = copy.deepcopy(model).double().requires_grad_()
    for module in model.modules():
        for name, value in vars(module).items():
            if re.search(r"(^|_)eps(ilon)?$", name) and isinstance(value, float | None):
                setattr(module, name, 1e-30)
    return model


def _evaluate(model: nn.Module, loss: Loss) -> Tensor:
    """The loss, checked."""
    try:
        value = loss(model)
    except RuntimeError as error:
        raise ValueError(f"loss fails on a float64 copy of the model; are its inputs float64? {error}") from error
    if not isinstance(value, Tensor) or value.numel() != 1 or value.dtype != torch.float64 or not value.isfinite():
        got = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"loss must be one finite number in float64 (a tensor of shape ()), got {got}")
    return value


def _slopes(model: nn.Module, loss: Loss) -> dict[str, Array]:
    """⟨∂L/∂p, p⟩ of each row of each parameter p, then ‖∂L/∂p‖·‖p‖."""
    named = dict(model.named_parameters())
    value, slopes = _evaluate(model, loss), dict[str, Array]()
    gradients = torch.autograd.grad(value, [*named.values()], materialize_grads=True) if value.requires_grad else []
    if not any(g.any() for g in gradients):
        raise ValueError("loss does not depend on the parameters of the model that it is handed")
    for (name, p), g in zip(named.items(), gradients, strict=True):
        rows = (g * p.detach()).reshape(p.shape[0] if p.ndim else 1, -1).sum(1)
        slopes[name] = torch.cat([rows, (g.norm() * p.detach().norm())[None]]).cpu().numpy()
    return slopes


def _alone(points: list[dict[str, Array]]) -> dict[str, str]:
    """What ``Invariances.alone`` says."""
    kinds, largest = dict[str, str](), max(row[-1] for point in points for row in point.values())
    for name in points[0]:
        rows, size = np.split(np.array([point[name] for point in points]), [-1], axis=1)
        each, whole = ((np.abs(slope) <= ZERO * size).all() for slope in (rows, rows.sum(1, keepdims=True)))
        kinds[name] = ("no effect" if size.max() <= ZERO * largest else "each unit" if each
                       else "whole tensor" if whole else "no")  # fmt: skip
    return kinds


def _together(points: list[dict[str, Array]], names: list[str]) -> list[dict[str, float]]:
    """Null space of the matrix of slopes, a row for each point, as exponents by name."""
    if not names:
        return []
    table = np.array([[point[name][:-1].sum() for name in names] for point in points])
    table /= (scale := np.abs(table).max(0))
    _, strength, basis = np.linalg.svd(table / np.abs(table).max(1, keepdims=True))
    basis, done = basis[(strength > ZERO * strength[0]).sum() :] / scale, 0
    for column in range(len(names)):  # Gauss and Jordan: as many zeros as there can be pivots
        pivot = done + np.abs(basis[done:, column]).argmax() if done < len(basis) else 0
        if done < len(basis) and abs(basis[pivot, column]) > 1e-6 * np.abs(basis[pivot]).max():
            basis[[done, pivot]] = basis[[pivot, done]]
            basis[done] /= basis[done, column]
            others = np.arange(len(basis)) != done
            basis[others] -= np.outer(basis[others, column], basis[done])
            done += 1
    return [{name: round(float(k), 6) for name, k in zip(names, row, strict=True) if abs(k) > 1e-6} for row in basis]
