"""Counts the steps that an optimiser takes, and what each takes away, without a trace in them."""

import weakref
from collections.abc import Iterable

from torch import optim
from torch.utils.hooks import RemovableHandle

from l2lib._laws import step_of
from l2lib._tracked import Tracked


class Counter:
    """The steps of an optimiser so far, noted in each tensor that is tracked.

    Hooks of the optimiser do it, which go when nothing refers to this any more.

    Attributes:
        steps: that were taken.
        close: takes the hooks off.

    Example:
        >>> from torch import nn
        >>> layer = nn.Linear(2, 1)
        >>> optimizer = optim.SGD(layer.parameters(), lr=0.1)
        >>> counter = Counter(optimizer, [])
        >>> optimizer.step()
        >>> counter.steps
        1
    """

    def __init__(self, optimizer: optim.Optimizer, tracked: Iterable[Tracked]) -> None:
        self._optimizer = optimizer
        self._by_id = {id(each.parameter): each for each in tracked}
        self.steps = 0
        self._open = 0  # begun: a step of one's own may call torch's, which has hooks too
        self.close = weakref.finalize(self, _take_off, _hook(optimizer, weakref.ref(self)))

    def settle(self) -> None:
        """Between two steps: none is open, though an error may have ended one early."""
        self._open = 0

    def begin(self) -> None:
        """Note that a step begins."""
        self._open += 1

    def end(self) -> None:
        """Count a step that ends, unless it is part of another."""
        self._open -= 1
        if self._open <= 0:
            self.count()

    def count(self) -> None:
        """Note a step of the optimiser, after it was taken."""
        if float(getattr(self._optimizer, "found_inf", None) or 0):  # a fused step skipped itself
            return
        self.steps += 1
        for group in self._optimizer.param_groups:
            step = step_of(self._optimizer, group)
            for parameter in group["params"]:
                each = self._by_id.get(id(parameter))
                if each is not None and parameter.grad is not None:
                    each.count(step)


def _hook(
    optimizer: optim.Optimizer, counter: "weakref.ref[Counter]"
) -> tuple[RemovableHandle, RemovableHandle]:
    """Hooks around a step of the optimiser, which keep nothing alive."""

    def begin(*_: object) -> None:
        if (alive := counter()) is not None:
            alive.begin()

    def end(*_: object) -> None:
        if (alive := counter()) is not None:
            alive.end()

    return optimizer.register_step_pre_hook(begin), optimizer.register_step_post_hook(end)


def _take_off(hooks: Iterable[RemovableHandle]) -> None:
    for hook in hooks:
        hook.remove()
