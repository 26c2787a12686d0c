"""What weight decay does to each tensor of your own model, while it trains or afterwards.

``Watch`` looks at a run; ``compare`` at two checkpoints of one, as does the command
``python -m l2lib.audit before.pt after.pt --lr 3e-4 --weight-decay 0.1 --steps 1000``.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor, nn, optim
from torch.nn.parameter import is_lazy

from l2lib._audit_data import data_of, table_of
from l2lib._audit_picture import picture_of
from l2lib._checkpoints import command, pairs_of
from l2lib._checks import (
    BELOW_ONE,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    as_number,
    check_callable,
    check_choice,
    shown,
)
from l2lib._decays import _inner
from l2lib._exact_loss import Loss
from l2lib._laws import Kind, Law, Step, step_of
from l2lib._roles import fitting, known_roles, parameters_of, plain, roles_of, short_names
from l2lib._storages import shared, two_on_one_memory
from l2lib._turns import Tracked, has_numbers
from l2lib._verdicts import NOT_ASKED
from l2lib.invariance import Invariances, scale_invariance
from l2lib.tables import Table

__all__ = ["Audit", "Watch", "compare", "picture"]


@dataclass(frozen=True, repr=False)
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
      and the gradients stay as they are; or *as if nothing held it*; or *but ηλ
      is 0 now*.
    * *steady, but turns otherwise than predicted*, *cannot be told*, *λ is
      unknown*: what else may be.

    The predicted angle is that of a scale-invariant tensor in equilibrium whose
    gradients have no preferred direction. Where they have one, as late in a run
    or with whole batches, looks that are many steps apart find another.

    Attributes:
        data: by tensor ``role``, ``decays``, ``scale_invariant``, ``norm``,
            ``rms``, ``rms_ratio``, ``angle``, ``angle_predicted``, ``turn`` and
            its parts ``decay``, ``push`` and ``growth``, ``residual``,
            ``excess`` (r^p/R^p - 1), ``time_scale``, ``time_share``,
            ``sum_lr_decay``, ``N``, ``N_end`` and ``verdict``; each has a
            description. What a look found has
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

    def __repr__(self) -> str:
        """What print writes."""
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
        roles: of all parameters, from ``l2lib.groups.roles``; None takes what
            torch's classes tell, and calls the rest "unknown".

    Raises:
        ValueError: if an argument is not what it must be, nothing fits a name,
            the optimiser has none of the model's tensors, two of them share
            memory, or one has no numbers yet or is sharded over many ranks.

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
    ) -> None:
        self._model, self._optimizer = model, _inner(optimizer)
        if not isinstance(self._optimizer, optim.Optimizer):
            todo = "give a torch.optim.Optimizer, or what wraps one, such as Accelerate's"
            raise ValueError(f"optimizer is {shown(optimizer)}; {todo}")
        chosen = _chosen(model, self._optimizer, names)
        self._total = None if total_steps is None else as_number("total_steps", total_steps, COUNT)
        labels = known_roles(model) if roles is None else roles_of(model, roles)
        self._roles = {name: role or "unknown" for name, role in plain(labels).items()}
        self._tracked = {id(p): Tracked(name, p) for name, p in chosen.items()}
        for p in (p for group in self._optimizer.param_groups for p in group["params"]):
            if id(p) in self._tracked and p.requires_grad:  # the others nothing changes
                self._tracked[id(p)].keep()
        self._looks: list[int] = []  # steps of the optimiser at each
        self._steps = 0
        self._begun = False
        self._hooks = [
            self._optimizer.register_step_pre_hook(self._begin),
            self._optimizer.register_step_post_hook(self._end),
        ]

    def _begin(self, *_: object) -> None:
        self._begun = True

    def _end(self, *_: object) -> None:
        """Note a step that was taken; once, where a step of one's own calls torch's."""
        # A fused optimiser skips a step by itself where gradients are not finite.
        if not self._begun or (getattr(self._optimizer, "found_inf", None) or 0):
            return
        self._begun = False
        self._steps += 1
        for group in self._optimizer.param_groups:
            step = step_of(self._optimizer, group)
            for p in group["params"]:
                if id(p) in self._tracked and p.grad is not None:
                    self._tracked[id(p)].count(step)

    def step(self) -> None:
        """Look at the tensors; call it after ``optimizer.step()``, every so many steps.

        Where no step was taken since the last look, nothing happens.
        """
        if self._steps > (self._looks or [0])[-1]:
            for each in self._tracked.values():
                each.look()
            self._looks.append(self._steps)

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
        if not self._looks:
            todo = "call optimizer.step() and then watch.step()"
            raise ValueError(f"watch: no step was seen yet; {todo}")
        if loss is not None:
            check_callable("loss", loss, "a function from the model to its loss, or None")
        invariant = {} if loss is None else _invariant(scale_invariance(self._model, loss))
        labels = {n: (role, invariant.get(n, NOT_ASKED)) for n, role in self._roles.items()}
        return Audit(data_of([*self._tracked.values()], labels, self._looks, self._total))

    def close(self) -> None:
        """Take the hooks off the optimiser, which keeps this until then, and its copies."""
        for hook in self._hooks:
            hook.remove()


def _chosen(
    model: nn.Module, optimizer: optim.Optimizer, names: object
) -> Mapping[str, nn.Parameter]:
    """The parameters to watch by name, tied ones once; whole numbers and the like left out."""
    named = plain(parameters_of(model))
    everything = {n: p for n, p in named.items() if _elsewhere(p) or has_numbers(p)}
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if grouped.isdisjoint(map(id, everything.values())):
        why = "none of its tensors is one of the model's"
        todo = "make the optimiser after the model is loaded, moved and wrapped"
        raise ValueError(f"optimizer: {why} (another model, or copies); {todo}")
    chosen = {n: everything[n] for n in fitting("names", everything, names)}
    if bare := [n for n, p in chosen.items() if _elsewhere(p)]:
        todo = "run or gather the model first, give names= of others, or compare full checkpoints"
        raise ValueError(f"{short_names(bare, 3)} has no numbers here, or some of them; {todo}")
    if pair := shared(chosen, frozen={n for n, p in chosen.items() if id(p) not in grouped}):
        raise ValueError(two_on_one_memory(*pair))
    return chosen


def _elsewhere(p: nn.Parameter) -> bool:
    """Whether a parameter has no numbers yet, or is sharded over many ranks."""
    return is_lazy(p) or p.is_meta or hasattr(p, "to_local") or hasattr(p, "ds_id")


def _invariant(found: Invariances) -> dict[str, str]:
    """Whether each parameter is scale-invariant, in a word or two."""
    together = {name: "together" for powers in found.together for name in powers}
    return plain(found.alone | together)


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
    no_decay: Sequence[str] | str | None = None,
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
        no_decay: names or globs of tensors whose λ is 0; None if all decay.

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
    check_choice("optimizer", optimizer, ["adamw", "sgd"])
    adam = optimizer == "adamw"
    usual = 0.9 if adam else 0.0
    mu = as_number("momentum", usual if momentum is None else momentum, BELOW_ONE)
    law = Law(Kind.DECOUPLED, mu, unit=True) if adam else Law(Kind.COUPLED, mu)
    decay = as_number("weight_decay", weight_decay, NOT_NEGATIVE)
    step = Step(law, as_number("lr", lr, POSITIVE), decay)
    steps = as_number("steps", steps, COUNT)
    total = None if total_steps is None else as_number("total_steps", total_steps, COUNT)
    if total is not None and total < steps:
        todo = "count it from the first checkpoint, to the end of the run"
        raise ValueError(f"total_steps is {total}, below steps, {steps}; {todo}")
    pairs = pairs_of(before, after)
    spared = [] if no_decay is None else fitting("no_decay", pairs, no_decay)
    tracked, labels = [], {}
    for name, (first, second) in pairs.items():
        each = Tracked(name, second, before=first)
        each.count(step._replace(weight_decay=0.0) if name in spared else step, steps)
        each.look()
        tracked.append(each)
        labels[name] = "bias" if name.rpartition(".")[2] == "bias" else "unknown", NOT_ASKED
    return Audit(data_of(tracked, labels, [steps], total))


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
    sys.exit(command(compare))
