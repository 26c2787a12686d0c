"""Arithmetic as on paper: casts to fewer digits keep all digits, and every ε is negligible.

Works below autograd, on the operations that a loss and its gradient are made of.
Thus it does not matter who wrote them, or what an attribute is called.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from l2lib._float64 import IN_FLOAT64, WIDER, wide
from l2lib._model_copy import RefusalError

GUARD = 1e-2
"""The largest constant that is taken for an ε."""
NEGLIGIBLE = 1e-30
"""What an ε of a norm becomes."""
NOTHING = 1e-25
"""Where a denominator is no larger, an ε in it stays: there it guards against 0/0."""


class _Divisor(NamedTuple):
    """Which argument of an operation comes into a denominator or under a root, and its power."""

    at: int
    power: float


DIVIDES = {
    "sqrt": _Divisor(0, 0.5),
    "rsqrt": _Divisor(0, -0.5),
    "reciprocal": _Divisor(0, -1),
    "div": _Divisor(1, -1),
    "pow": _Divisor(0, 0),  # it says itself
}
CARRY = {"_to_copy", "clone", "mean", "sum", "mul", "div", "add", "sub", "abs", "maximum"}
CARRY |= {"clamp", "clamp_min", "clamp_max"}
"""Operations on x + ε whose result is told apart from that on x, too."""
EMBEDDINGS = {
    "embedding_dense_backward": ("padding_idx", "scale_grad_by_freq"),
    "_embedding_bag_backward": ("scale_grad_by_freq",),
    "_embedding_bag_dense_backward": ("scale_grad_by_freq",),
}
"""Arguments by which an embedding's gradient is not the derivative."""


@dataclass(frozen=True)
class _Plan:
    """What is to be done with an operation.

    Attributes:
        name: without namespace, overload and the mark of writing in place.
        native: whether it is torch's own.
        views: whether it returns a view.
        written: positions of the arguments that it writes into.
        guards: positions of a norm's ε.
        untrue: positions and values of arguments that make gradients untrue.
    """

    name: str
    native: bool
    views: bool
    written: frozenset[int]
    guards: tuple[int, ...]
    untrue: tuple[tuple[int, Any], ...]

    def arguments(self, given: Iterable[Any]) -> list[Any]:
        """Those given, in float64 but for what is written into; gradients are made true."""
        wanted = [a if k in self.written else wide(a) for k, a in enumerate(given)]
        for k, value in self.untrue:
            if k < len(wanted):
                wanted[k] = value
        return wanted


@cache
def _plan(func: Any) -> _Plan:
    schema = func._schema
    namespace, _, name = schema.name.partition("::")
    at = {argument.name: k for k, argument in enumerate(schema.arguments)}
    written = {at[a.name] for a in schema.arguments if a.alias_info and a.alias_info.is_write}
    aliases = [r.alias_info for r in schema.returns if r.alias_info]
    epsilons = [at[key] for key in ("eps", "epsilon") if key in at and "norm" in name]
    off = {"padding_idx": -1, "scale_grad_by_freq": False}
    return _Plan(
        name=name.removesuffix("_"),
        native=namespace == "aten",
        # What lift_fresh returns is a new constant.
        views=any(not a.is_write for a in aliases) and name != "lift_fresh",
        written=frozenset(written),
        guards=tuple(epsilons),
        untrue=tuple((at[key], off[key]) for key in EMBEDDINGS.get(name, ())),
    )


class Guard(NamedTuple):
    """An ε that was found.

    Attributes:
        value: of it.
        module: the name of the module that has it.
        certain: whether it is a norm's, or under a root; and not just a part of a denominator.
    """

    value: float
    module: str
    certain: bool


@dataclass
class _Sum:
    """x + ε, until something divides by it."""

    total: Tensor
    x: Tensor
    epsilon: float

    def seen_as(self, view: Tensor) -> Tensor:
        """The numbers of x that a view of the total has beside it."""
        beside = torch.empty_strided(
            self.total.shape, self.total.stride(), dtype=self.x.dtype, device=self.x.device
        )
        beside.copy_(self.x)
        offset = view.storage_offset() - self.total.storage_offset()
        return beside.as_strided(view.shape, view.stride(), offset)

    def take_out(self) -> None:
        """Take the ε out, where x is not so small that it guards against 0/0."""
        there = self.x.abs() > NOTHING
        # In place: whoever has saved the sum for a gradient shall see it, too.
        self.total.copy_(torch.where(there, self.x, self.total))


@dataclass(eq=False)
class ExactMode(TorchDispatchMode):
    """While it is on, lower precisions are float64 and ε's are neglected.

    Attributes:
        foreign: storages that a loss must not read, and why not.
        keeps: says whether an ε stays.
        refuse_clipping: whether a ``max_norm`` that clips is refused; otherwise it is off.
        inside: the names of the modules that are running, outermost first.
        guards: each ε that was neglected.
    """

    foreign: dict[int, str] = field(default_factory=dict)
    keeps: Callable[[Guard], bool] = lambda guard: False
    refuse_clipping: bool = False
    inside: list[str] = field(default_factory=list)
    guards: set[Guard] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sums: dict[int, _Sum] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch's compiler would be imported, for nothing

    def forget(self) -> None:
        """Begin another evaluation."""
        self._sums.clear()
        self.guards.clear()
        self.inside.clear()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        plan, kwargs = _plan(func), kwargs or {}
        self._refuse_foreign(args)
        if plan.views:
            return func(*args, **kwargs)
        if plan.name == "embedding_renorm":
            return self._renormed(*args)
        arguments = plan.arguments(args)
        self._refuse_narrow(plan, arguments)
        self._neglect(plan, arguments)
        added = _small_addend(plan, arguments, kwargs)
        kwargs = {key: wide(value) for key, value in kwargs.items()}
        result = IN_FLOAT64.get(plan.name, func)(*arguments, **kwargs)
        result = self._widened(plan, arguments, result)
        if added:
            self._sums[_storage(result)] = _Sum(result, *added)
        elif plan.name in CARRY and self._sums and not plan.written:
            self._carry(func, arguments, kwargs, result)
        return result

    # ---- precision -------------------------------------------------------------------------
    def _module(self) -> str:
        return self.inside[-1] if self.inside else ""

    def _where(self) -> str:
        return place(self._module())

    def _refuse_foreign(self, args: Iterable[Any]) -> None:
        for a in args:
            if isinstance(a, Tensor):
                if a.layout == torch.strided and _storage(a) in self.foreign:
                    raise RefusalError(self.foreign[_storage(a)])
            elif isinstance(a, list | tuple):
                self._refuse_foreign(a)

    def _refuse_narrow(self, plan: _Plan, arguments: list[Any]) -> None:
        """Digits would be lost in a tensor of fewer that is written into."""
        if not any(map(_matters, arguments)):
            return
        into = [arguments[k] for k in plan.written if k < len(arguments)]
        narrow = [t.dtype for t in into if isinstance(t, Tensor) and t.dtype in WIDER]
        if narrow:
            raise RefusalError(f"{self._where()} writes into a {narrow[0]} tensor; make it float64")

    def _widened(self, plan: _Plan, arguments: list[Any], result: Any) -> Any:
        if plan.written:
            return result
        widened = wide(result)
        if not plan.native and widened is not result and any(map(_matters, arguments)):
            raise RefusalError(
                f"{self._where()} calls {plan.name}, which computes with fewer digits than "
                "float64; use a version in plain torch"
            )
        return widened

    def _renormed(
        self, weight: Tensor, indices: Tensor, max_norm: float, norm_type: float
    ) -> Tensor:
        """An embedding with max_norm, as it is: no row is longer where the model is."""
        if self.refuse_clipping:
            norms = weight.index_select(0, indices.flatten()).norm(norm_type, 1)
            if (norms > max_norm * (1 + 1e-7)).any():
                raise RefusalError(
                    f"{self._where()} clips rows of its weight in the forward pass (max_norm = "
                    f"{max_norm:g}); renorm them before, and ask of a model without max_norm"
                )
        return weight

    # ---- ε ---------------------------------------------------------------------------------
    def _neglect(self, plan: _Plan, arguments: list[Any]) -> None:
        """Make a norm's ε negligible, or take out the one of a denominator."""
        for k in plan.guards:
            if k < len(arguments) and _is_small(arguments[k]) and self._found(arguments[k], True):
                arguments[k] = NEGLIGIBLE
        if not self._sums or plan.name not in DIVIDES:
            return
        divisor = arguments[DIVIDES[plan.name].at]
        if not isinstance(divisor, Tensor):
            return
        power = arguments[1] if plan.name == "pow" else DIVIDES[plan.name].power
        if isinstance(power, int | float) and (power < 0 or 0 < power < 1):
            found = self._sums.pop(_storage(divisor), None)
            if found and self._found(found.epsilon, power % 1 != 0):
                found.take_out()

    def _found(self, epsilon: float, certain: bool) -> bool:
        """Note an ε, and whether it shall go."""
        guard = Guard(epsilon, self._module(), certain)
        self.guards.add(guard)
        return not self.keeps(guard)

    def _carry(self, func: Any, arguments: list[Any], kwargs: dict[str, Any], result: Any) -> None:
        """What is made of x + ε, with the same made of x beside it."""
        tensors = [a if isinstance(a, Tensor) else None for a in arguments[:2]]
        found = [None if t is None else self._sums.get(_storage(t)) for t in tensors]
        sums = [each for each in found if each]
        if sums:
            pairs = zip(found, arguments, strict=False)
            bare = [each.seen_as(a) if each else a for each, a in pairs]
            x = func(*bare, *arguments[2:], **kwargs)
            self._sums[_storage(result)] = _Sum(result, x, max(each.epsilon for each in sums))


def place(module: str) -> str:
    """Say where something is computed.

    Args:
        module: its name, empty if there is none.

    Returns:
        Words.
    """
    return f"module {module!r}" if module else "the model or the loss"


def _storage(t: Tensor) -> int:
    return int(t.untyped_storage()._cdata)


def _matters(value: Any) -> bool:
    """Whether parameters may be in a tensor, or in one of a list."""
    if isinstance(value, list | tuple):
        return any(map(_matters, value))
    return isinstance(value, Tensor) and value.dtype not in WIDER and value.requires_grad


def _is_small(value: Any) -> bool:
    return isinstance(value, float) and 0 < value <= GUARD


def _small_addend(
    plan: _Plan, arguments: list[Any], kwargs: dict[str, Any]
) -> tuple[Tensor, float] | None:
    """x and ε, if that is what is added."""
    if plan.name != "add" or kwargs.get("alpha", 1) != 1 or len(arguments) < 2:
        return None
    for x, small in (arguments[:2], arguments[1::-1]):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            continue
        if isinstance(small, Tensor) and small.numel() == 1 and not small.requires_grad:
            small = small.item() if small.ndim <= x.ndim else None
        if _is_small(small):
            return x.clone(), small
    return None
