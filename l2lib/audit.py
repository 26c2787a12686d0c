"""What weight decay does to each tensor of your own model, while it trains or afterwards.

``Watch`` looks at a run; ``compare`` at two checkpoints of one, as does the command
``python -m l2lib.audit before.pt after.pt --lr 3e-4 --weight-decay 0.1 --steps 1000``.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn, optim

from l2lib._audit_data import data_of, record_of
from l2lib._audit_picture import picture_of
from l2lib._audit_table import table_of
from l2lib._checkpoints import Between, compared
from l2lib._checks import COUNT, as_number, check_callable, shown
from l2lib._counting import Counter
from l2lib._exact_loss import Loss
from l2lib._rules import Rules
from l2lib._tracked import Tracked, has_numbers, look_at
from l2lib._watched import groups_of, inner_optimizer, labels_of, unwrapped, watched
from l2lib.invariance import scale_invariance
from l2lib.tables import Table

__all__ = ["Audit", "Watch", "compare", "picture"]


@dataclass(frozen=True)
class Audit:
    """What an audit found: a table where it is printed or shown, and all its numbers.

    Verdicts, and where the borders lie:

    * *does not move*, *does not decay*: no step changed it, or none with λ > 0.
    * *decays though its role is bias* (or gamma, beta, g, slope): chapter 6.
    * *λ does nothing in this run*: N by the end is below 0.05. Decay takes less
      than 5 % of the norm. *So far*, if nobody said how long the run is.
    * *not invariant, here λ is a penalty*: as the loss says; a loss that
      ignores the tensor, and an optimiser without a known equilibrium, are told.
    * *in equilibrium*: r^p is within 20 % of its equilibrium R^p, so that the
      turn per step is within 10 %; p is 4 by SGD and 2 by AdamW. R comes from two
      norms, at the begin and the end of the later half of the looks, and the N
      between them, as r^p - R^p falls as e^(-pN). Without a loss the angle must
      also be that predicted, within 20 %.
    * *falling* or *rising, needs n steps*: until it is within these 20 %, if η, λ
      and the gradients stay as they are.

    The predicted angle is that of a scale-invariant tensor in equilibrium whose
    gradients have no preferred direction. Where they have one, as late in a run
    or with whole batches, looks that are many steps apart find another.

    Attributes:
        data: by tensor ``role``, ``decays``, ``scale_invariant``, ``norm``,
            ``rms``, ``rms_ratio``, ``angle``, ``angle_predicted``, ``turn`` and
            its parts ``decay``, ``push`` and ``growth``, ``residual``,
            ``time_scale``, ``time_share``, ``sum_lr_decay``, ``N``, ``N_end``
            and ``verdict``; each has a description. What a look found has
            ``_at`` behind its name, and an axis ``step``.

    Example:
        >>> import torch
        >>> start = {"weight": torch.tensor([[3.0, 4.0]])}
        >>> end = {"weight": 0.9 * start["weight"]}
        >>> found = compare(start, end, lr=0.1, weight_decay=1, steps=1)
        >>> round(found.data.decay.item(), 6), round(found.data.growth.item(), 6)
        (0.105361, -0.105361)
    """

    data: xr.Dataset

    @property
    def table(self) -> Table:
        """The table by itself."""
        return table_of(self.data)

    def __str__(self) -> str:
        """What print writes."""
        return str(self.table)

    def __repr__(self) -> str:
        """The same."""
        return str(self.table)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return self.table._repr_html_()


class Watch:
    """Looks at a model's tensors every so many steps of its optimiser, and never touches them.

    Between two looks it counts: a hook of the optimiser notes η and λ of each
    step that was taken, and for each tensor whether it had a gradient. So
    Σ η_tλ is exact under any schedule, however seldom you look; steps that a
    GradScaler skips do not count. From one look to the next each tensor turned
    by an angle θ, and

        -ln cos θ = -ln Π(1 - η_tλ) + inward push + ln(norm after / norm before)

    holds to rounding for any optimiser, as the push is what u = Π(1 - η_tλ)w - w'
    has along w. Under torch's coupled optimisers, what momentum keeps of λw is in the push.

    The copy of the watched tensors, in their own type and on their own device,
    is all the memory it takes. What is left of a look is nine numbers a tensor.

    Args:
        model: as it is trained, perhaps compiled or in DistributedDataParallel.
        optimizer: that trains it, or what wraps one. Of one that is not torch's
            no λ is read: the push is all it does.
        names: names or globs of the tensors to watch; None for all.
        total_steps: of the run, counted from here; None if it is not known.
        roles: as in ``param_groups``; None finds what torch's classes tell, and
            calls the rest "unknown".
        rules: as in ``param_groups``.

    Raises:
        ValueError: if an argument is not what it must be, nothing fits a name,
            the optimiser has none of the model's tensors, two of them share
            memory, or one is sharded.

    Source: the turn budget; chapters 8 and 9 for what is predicted.

    Example:
        >>> import torch
        >>> model = nn.Linear(3, 2)
        >>> optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
        >>> watch = Watch(model, optimizer, total_steps=1000)
        >>> for step in range(40):
        ...     model(torch.ones(4, 3)).square().mean().backward()
        ...     optimizer.step()
        ...     if step % 20 == 19:
        ...         watch.step()
        >>> audit = watch.result()
        >>> round(audit.data.N.sel(tensor="weight").item(), 12)
        0.004
        >>> audit.data.verdict.sel(tensor="bias").item()
        'decays though its role is bias'
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: optim.Optimizer,
        *,
        names: Sequence[str] | str | None = None,
        total_steps: int | None = None,
        roles: Mapping[str, str] | None = None,
        rules: Rules | str | None = None,
    ) -> None:
        self._model = unwrapped(model)
        self._optimizer = inner_optimizer(optimizer)
        chosen = watched(self._model, self._optimizer, names)
        self._total = None if total_steps is None else as_number("total_steps", total_steps, COUNT)
        self._roles, self._rules = roles, rules
        if roles is not None or rules is not None:
            labels_of(self._model, roles, rules)
        self._tracked = [Tracked(name, p) for name, p in chosen.items()]
        self._steps: list[int] = []  # of the optimiser at each look
        grouped = groups_of(self._optimizer)
        for each in self._tracked:  # the others nothing changes
            if id(each.parameter) in grouped and has_numbers(each.parameter):
                each.keep()
        self._counter = Counter(self._optimizer, self._tracked)

    def step(self) -> None:
        """Look at the tensors; call it after ``optimizer.step()``, every so many steps.

        Where no step was taken since the last look, nothing happens.
        """
        self._counter.settle()
        if self._counter.steps > (self._steps[-1] if self._steps else 0):
            look_at([each for each in self._tracked if each.steps or each.before is not None])
            self._steps.append(self._counter.steps)

    def result(self, loss: Loss | None = None) -> Audit:
        """What the looks so far found.

        Args:
            loss: gives the loss of the model that it is handed, as in
                ``scale_invariance``, which then tells what is scale-invariant
                (on a copy, in about two passes a parameter). None leaves that
                open, and takes for invariant what turns as predicted.

        Returns:
            The audit.

        Raises:
            ValueError: if there was no look after a step yet, or as in
                ``scale_invariance``.

        Example:
            >>> model = nn.Linear(3, 2)
            >>> Watch(model, optim.SGD(model.parameters(), lr=0.1)).result()
            Traceback (most recent call last):
            ValueError: watch: no step was seen yet; call optimizer.step() and then watch.step()
        """
        if not self._steps:
            todo = "call optimizer.step() and then watch.step()"
            raise ValueError(f"watch: no step was seen yet; {todo}")
        if loss is not None:
            check_callable("loss", loss, "a function from the model to its loss, or None")
        labels = labels_of(self._model, self._roles, self._rules)
        grouped = groups_of(self._optimizer)
        records = [
            record_of(each, labels.get(each.name, "unknown"), grouped.get(id(each.parameter)))
            for each in self._tracked
        ]
        found = None if loss is None else scale_invariance(self._model, loss)
        return Audit(data_of(records, self._steps, self._total, found))

    def close(self) -> None:
        """Take the hook off the optimiser, as also happens when nothing refers to this any more."""
        self._counter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def compare(
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    *,
    lr: float,
    weight_decay: float,
    steps: int,
    optimizer: str = "adamw",
    momentum: float | None = None,
    total_steps: int | None = None,
    names: Sequence[str] | str | None = None,
    no_decay: Sequence[str] | str = (),
) -> Audit:
    """What weight decay did between two checkpoints of one run.

    Without the model, a tensor's role is known of biases only, and whether it is
    scale-invariant of none. Running statistics and whole numbers are left out.

    Args:
        before: the earlier state dict.
        after: the later one, with the same names.
        lr: η > 0 between the two, on average if it changed.
        weight_decay: λ ≥ 0.
        steps: of the optimiser between the two.
        optimizer: "adamw" for decay beside updates of one length, as in AdamW,
            Lion and Muon; "sgd" for a λ in the gradient.
        momentum: β₁ or μ; None is 0.9 for "adamw" and 0 for "sgd".
        total_steps: of the run, counted from the first checkpoint; None if it is not known.
        names: names or globs of the tensors to compare; None for all.
        no_decay: names or globs of tensors whose λ is 0.

    Returns:
        The audit, of one look.

    Raises:
        ValueError: if a number is out of range, the two do not have the same
            tensors, or nothing fits a name.

    Source: the turn budget; chapters 8 and 9 for what is predicted.

    Example:
        >>> import torch
        >>> before = {"weight": torch.tensor([3.0, 4.0])}
        >>> after = {"weight": torch.tensor([4.0, 3.0])}
        >>> audit = compare(before, after, lr=0.01, weight_decay=0.1, steps=300)
        >>> import math
        >>> round(math.cos(audit.data.angle.item()), 6), round(audit.data.N.item(), 6)
        (0.96, 0.3)
    """
    numbers = Between(lr, weight_decay, steps, optimizer, momentum, total_steps)
    records = compared(before, after, numbers, names, no_decay)
    return Audit(data_of(records, [numbers.steps], numbers.total_steps, None))


def picture(audit: Audit) -> tuple[Figure, str]:
    """A picture of an audit: the budget of each tensor, and how it turns beside the prediction.

    Args:
        audit: what ``Watch.result`` or ``compare`` gave.

    Returns:
        The figure and its description in words, for ``l2lib.figures.show``.

    Raises:
        ValueError: if it is no audit, or no tensor in it turned.

    Example:
        >>> import torch
        >>> before = {"weight": torch.tensor([3.0, 4.0])}
        >>> after = {"weight": torch.tensor([4.0, 3.0])}
        >>> fig, words = picture(compare(before, after, lr=0.01, weight_decay=0.1, steps=300))
        >>> len(fig.axes), words[:36]
        (2, 'Left, what the turn of 1 tensor is m')
    """
    if not isinstance(audit, Audit):
        raise ValueError(f"audit is {shown(audit)}; give what Watch.result or compare returned")
    return picture_of(audit.data)


if __name__ == "__main__":
    from l2lib._audit_command import main

    sys.exit(main())
