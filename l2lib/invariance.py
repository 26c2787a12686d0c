"""Which parameters of a model are scale-invariant, alone or together (chapter 7)."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from l2lib.datasets import Array
from l2lib.tables import html_table

__all__ = ["Invariances", "scale_invariance"]

Loss = Callable[[nn.Module], Tensor]

# Relative. Rounding is about 1e-15, and what is not zero by identity seldom below 1e-3.
ZERO = 1e-8
# An exponent below this share of the largest is rounding; exponents are told to 6 digits.
NO_EXPONENT = 1e-6
# At so many points a parameter's slope must vanish.
POINTS = 5


@dataclass(frozen=True)
class Invariances:
    """Scalings of a model's parameters by powers of any α > 0 that leave its loss alone.

    Attributes:
        alone: by parameter, whether α times it changes nothing: "each unit" if
            so already for each row (index of the first axis) with an α of its
            own, "whole tensor", "no", or "no effect" if no change of it does
            anything.
        together: of those that are "no" alone: exponents k by parameter, so
            that α^k times each changes nothing. All others follow from these by
            multiplication. Few parameters each; exponents are rounded to 6
            digits.

    Example:
        >>> print(Invariances({"up": "no", "down": "no"}, [{"up": 1.0, "down": -1.0}]))
        up    no
        down  no
        together: up × α^1, down × α^-1
    """

    alone: dict[str, str]
    together: list[dict[str, float]]

    def __str__(self) -> str:
        """A line for each parameter and for each joint invariance, to be printed."""
        width = max(map(len, self.alone)) + 2
        lines = [f"{name:<{width}}{kind}" for name, kind in self.alone.items()]
        return "\n".join(lines + [f"together: {joint}" for joint in self._joint()])

    def _joint(self) -> list[str]:
        """Each joint invariance in words."""
        return [", ".join(_power(*item) for item in powers.items()) for powers in self.together]

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        rows = [*self.alone.items(), *(("together", joint) for joint in self._joint())]
        caption = "Scalings that leave the loss alone"
        return html_table(caption, ("parameter", "scale-invariant"), rows)


def _power(name: str, exponent: float) -> str:
    return f"{name} × α^{exponent:g}"


def scale_invariance(model: nn.Module, loss: Loss) -> Invariances:
    """Find out which parameters of a model are scale-invariant, alone or together.

    Where the loss does not change with α^k·p, Σ k⟨∂L/∂p, p⟩ = 0 (Euler). Such
    sums are looked for at random points near the model's parameters, in float64
    on a copy, where every attribute ``eps``, ``epsilon`` or ``…_eps`` is 1e-30:
    one backward pass a point. An ε inside a ``forward`` stays, and breaks what
    it breaks. Signs are not tried: α > 0.

    Args:
        model: any module, in the mode (train or eval) that is meant: with
            stored statistics batch norm hides no scale. Frozen parameters count
            as well; what is tied counts once.
        loss: gives the loss of the model it is handed, one number: for instance
            ``lambda model: cross_entropy(model(X), y)`` with X in float64.
            Enough examples that no unit is idle.

    Returns:
        What leaves the loss alone. A table where it is printed or shown.

    Raises:
        ValueError: if the loss is not one finite float64, differs between two
            calls or does not depend on the model.

    Source: derived in chapter 7; Kunin et al. (2021) list the symmetries of
    common layers.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2, affine=False))
        >>> X = torch.tensor([[1.0, 2, 4], [2, 1, 3], [4, 4, 1], [3, 0, 2]]).double()
        >>> y = torch.tensor([0, 1, 0, 1])
        >>> found = scale_invariance(model, lambda m: nn.functional.cross_entropy(m(X), y))
        >>> found.alone
        {'0.weight': 'each unit'}
    """
    model = _exact(model)
    _check_repeatable(model, loss)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    rng = torch.Generator().manual_seed(0)

    def slopes_nearby() -> dict[str, Array]:
        _move(model, start, rng)
        return _slopes(model, loss)

    points = [slopes_nearby() for _ in range(POINTS)]
    alone = _alone(points)
    # Each parameter that is left is one more unknown, and asks for one more equation.
    left = [name for name, kind in alone.items() if kind == "no"]
    points += [slopes_nearby() for _ in left]
    return Invariances(alone, _together(points, left))


def _exact(model: nn.Module) -> nn.Module:
    """A copy in float64 with every ε so small that rounding hides it, and nothing frozen."""
    model = copy.deepcopy(model).double().requires_grad_()
    for module in model.modules():
        for name, value in vars(module).items():
            if re.search(r"(^|_)eps(ilon)?$", name) and isinstance(value, float | None):
                setattr(module, name, 1e-30)
    return model


def _check_repeatable(model: nn.Module, loss: Loss) -> None:
    first = _evaluate(model, loss)
    again = _evaluate(model, loss)
    if abs(first - again) > ZERO * abs(first):
        values = f"{first.item():.6g}, then {again.item():.6g}"
        raise ValueError(f"loss: {values}; switch dropout and other noise off")


def _move(model: nn.Module, start: dict[str, Tensor], rng: torch.Generator) -> None:
    """Put the parameters at a random point near where they started."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=rng, dtype=p.dtype).to(p.device)
        # What starts at zero has no size of its own.
        size = start[name].square().mean().sqrt().item() or 1
        p.data = start[name] + 0.3 * noise * size


def _evaluate(model: nn.Module, loss: Loss) -> Tensor:
    """The loss, checked."""
    try:
        value = loss(model)
    except RuntimeError as error:
        asks = "are its inputs float64?"
        raise ValueError(f"loss fails on a float64 copy of the model; {asks} {error}") from error
    wanted = "loss must be one finite number in float64 (a tensor of shape ())"
    if not isinstance(value, Tensor):
        raise ValueError(f"{wanted}, got {type(value).__name__}")
    if value.numel() != 1 or value.dtype != torch.float64 or not value.isfinite():
        raise ValueError(f"{wanted}, got {value.dtype} of shape {tuple(value.shape)}")
    return value


def _slopes(model: nn.Module, loss: Loss) -> dict[str, Array]:
    """⟨∂L/∂p, p⟩ of each row of each parameter p, then ‖∂L/∂p‖·‖p‖."""
    named = dict(model.named_parameters())
    slopes: dict[str, Array] = {}
    gradients = _gradients(model, loss, list(named.values()))
    for (name, p), g in zip(named.items(), gradients, strict=True):
        w = p.detach()
        rows = (g * w).reshape(w.shape[0] if w.ndim else 1, -1).sum(1)
        size = g.norm() * w.norm()
        slopes[name] = torch.cat([rows, size[None]]).cpu().numpy()
    return slopes


def _gradients(model: nn.Module, loss: Loss, parameters: list[nn.Parameter]) -> list[Tensor]:
    value = _evaluate(model, loss)
    gradients: list[Tensor] = []
    if value.requires_grad:
        gradients += torch.autograd.grad(value, parameters, materialize_grads=True)
    if not any(g.any() for g in gradients):
        raise ValueError("loss does not depend on the parameters of the model that it is handed")
    return gradients


def _alone(points: list[dict[str, Array]]) -> dict[str, str]:
    """What ``Invariances.alone`` says."""
    largest = max(float(slopes[-1]) for point in points for slopes in point.values())
    return {name: _kind(np.array([point[name] for point in points]), largest) for name in points[0]}


def _kind(slopes: Array, largest: float) -> str:
    """How a parameter is invariant, from its slopes, a row for each point."""
    units = slopes[:, :-1]
    size = slopes[:, -1:]
    if size.max() <= ZERO * largest:
        return "no effect"
    if (np.abs(units) <= ZERO * size).all():
        return "each unit"
    whole = units.sum(1, keepdims=True)
    return "whole tensor" if (np.abs(whole) <= ZERO * size).all() else "no"


def _together(points: list[dict[str, Array]], names: list[str]) -> list[dict[str, float]]:
    """What ``Invariances.together`` says: exponents with Σ k·slope = 0 at each point."""
    if not names:
        return []
    slopes = np.array([[point[name][:-1].sum() for name in names] for point in points])
    return [_exponents(names, row) for row in _reduced(_null_space(slopes))]


def _exponents(names: list[str], row: Array) -> dict[str, float]:
    named = zip(names, row, strict=True)
    return {name: round(float(k), 6) for name, k in named if abs(k) > NO_EXPONENT}


def _null_space(matrix: Array) -> Array:
    """A basis of the vectors that a matrix sends to zero, in rows."""
    # Slopes differ by orders of magnitude; what is zero must not depend on that.
    scale = np.abs(matrix).max(0)
    even = matrix / scale
    even /= np.abs(even).max(1, keepdims=True)
    _, strength, directions = np.linalg.svd(even)
    rank = int((strength > ZERO * strength[0]).sum())
    basis: Array = directions[rank:] / scale
    return basis


def _reduced(basis: Array) -> Array:
    """The same space with as many zeros as there can be pivots (Gauss and Jordan)."""
    done = 0
    for column in range(basis.shape[1]):
        if done == len(basis):
            break
        pivot = done + int(np.abs(basis[done:, column]).argmax())
        if abs(basis[pivot, column]) <= NO_EXPONENT * np.abs(basis[pivot]).max():
            continue
        basis[[done, pivot]] = basis[[pivot, done]]
        basis[done] /= basis[done, column]
        others = np.arange(len(basis)) != done
        basis[others] -= np.outer(basis[others, column], basis[done])
        done += 1
    return basis
