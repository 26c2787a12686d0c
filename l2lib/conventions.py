"""One λ in many notations, from one framework's meaning to another's.

Where nothing in the other is the same, that is an error.

There are three kinds. A *penalty* is (λ/2)‖w‖² beside the mean loss, whatever
the optimiser. An *l1* penalty is λ‖w‖₁. A *decay* is the share of a weight that
one step takes away, beside the loss's own step. Only under plain SGD is a
penalty also a decay.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal, NamedTuple, TypeVar

from l2lib.tables import Table

__all__ = [
    "CONVENTIONS",
    "LOSS_SCALES",
    "Convention",
    "convert",
    "describe_conventions",
]

T = TypeVar("T")


@dataclass(frozen=True)
class _Setting:
    """What is known of a training run."""

    loss: str
    lr: float | None = None
    n: float | None = None
    batch_size: float | None = None

    def need(self, name: Literal["lr", "n", "batch_size"]) -> float:
        """A number of the run, or an error that asks for it."""
        value: float | None = getattr(self, name)
        if value is None:
            raise ValueError(f"this conversion depends on {name}; give {name}=")
        return value

    @property
    def scale(self) -> float:
        """The loss, as a multiple of the one beside which λ is counted."""
        return LOSS_SCALES[self.loss](self)

    @property
    def rate(self) -> float:
        """The share of a weight that one step of plain SGD takes away for each unit of λ."""
        return self.need("lr") * self.scale


LOSS_SCALES: dict[str, Callable[[_Setting], float]] = {
    "half_mse": lambda s: 1,
    "mse": lambda s: 2,
    "half_sse": lambda s: s.need("batch_size"),
    "sse": lambda s: 2 * s.need("batch_size"),
    "cross_entropy": lambda s: 1,
    "cross_entropy_sum": lambda s: s.need("batch_size"),
}
"""Your loss, as a multiple of half the mean squared error or of the mean cross-entropy.

The squared error is that of one output.

:meta hide-value:
"""


class Convention(NamedTuple):
    """What a number means that someone calls λ.

    Attributes:
        kind: "penalty", "l1" or "decay".
        read: from the number to λ beside the mean loss, or to the share.
        write: and back.
        about: what the code says.
        loss: the loss that is built in, where there is one.
        optimizer: the optimiser that it belongs to, where there is one.

    Example:
        >>> CONVENTIONS["keras_l2"].about
        'kernel_regularizer=L2(λ)'
        >>> CONVENTIONS["keras_l2"].kind
        'penalty'
    """

    kind: str
    read: Callable[[float, _Setting], float]
    write: Callable[[float, _Setting], float]
    about: str
    loss: str | None = None
    optimizer: str | None = None


def _row(
    kind: str,
    unit: Callable[[_Setting], float],
    about: str,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
) -> Convention:
    """A convention in which ``unit`` is what the number 1 means."""

    def read(value: float, setting: _Setting) -> float:
        return value * unit(setting)

    def write(amount: float, setting: _Setting) -> float:
        return amount / unit(setting)

    return Convention(kind, read, write, about, loss, optimizer)


def _lr(setting: _Setting) -> float:
    return setting.need("lr")


def _from_c(c: float, setting: _Setting) -> float:
    """Scikit-learn's C multiplies the sum of the losses: λ = 1/(nC)."""
    return 1 / (setting.need("n") * c) if c > 0 else math.nan


def _to_c(amount: float, setting: _Setting) -> float:
    return 1 / (setting.need("n") * amount) if amount > 0 else math.inf


def _lost(value: float, setting: _Setting) -> float:
    """The share that goes where the rest stays, and the other way round."""
    return 1 - value


CONVENTIONS: dict[str, Convention] = {
    "book": _row("penalty", lambda s: 1 / s.scale, "loss + λ/2 ‖w‖²"),
    "no_half": _row("penalty", lambda s: 2 / s.scale, "loss + λ ‖w‖²"),
    "over_2m": _row(
        "penalty", lambda s: 1 / s.need("n") / s.scale, "loss + λ/(2m) ‖w‖², m examples"),
    "torch_sgd": _row("penalty", lambda s: 1 / s.scale, "SGD(weight_decay=λ)", optimizer="sgd"),
    "torch_adam": _row("penalty", lambda s: 1 / s.scale, "Adam(weight_decay=λ)", optimizer="adam"),
    "mxnet": _row("penalty", lambda s: 1 / s.scale, "Trainer(…, {'wd': λ})"),
    "keras_l2": _row("penalty", lambda s: 2 / s.scale, "kernel_regularizer=L2(λ)"),
    "optax_before": _row(
        "penalty", lambda s: 1 / s.scale, "chain(add_decayed_weights(λ), optimiser)"),
    "sklearn_ridge": _row("penalty", lambda s: 1 / s.need("n"), "Ridge(alpha=λ)", loss="half_mse"),
    "sklearn_logistic": Convention(
        "penalty", _from_c, _to_c, "LogisticRegression(C=λ)", loss="cross_entropy"),
    "sklearn_mlp": _row("penalty", lambda s: 1 / s.need("batch_size"), "MLPRegressor(alpha=λ)"),
    "sklearn_lasso": _row("l1", lambda s: 1, "Lasso(alpha=λ)", loss="half_mse"),
    "keras_l1": _row("l1", lambda s: 1 / s.scale, "kernel_regularizer=L1(λ)"),
    "factor": Convention("decay", _lost, _lost, "w *= λ at every step"),
    "torch_adamw": _row("decay", _lr, "AdamW(weight_decay=λ)", optimizer="adam"),
    "adamw_paper": _row("decay", lambda s: 1, "AdamW as published; Composer's", optimizer="adam"),
    "keras_optimizer": _row("decay", _lr, "optimizers.…(weight_decay=λ)"),
    "optax_adamw": _row("decay", _lr, "adamw(weight_decay=λ)", optimizer="adam"),
    "optax_after": _row("decay", lambda s: -1, "chain(optimiser, add_decayed_weights(λ))"),
    "fastai": _row("decay", _lr, "Learner(…, wd=λ)"),
}  # fmt: skip
"""Every convention that ``convert`` knows, by name.

:meta hide-value:
"""


def describe_conventions() -> Table:
    """The conventions that ``convert`` knows, as a table.

    Returns:
        Name, kind, what the code says, and the loss that is built in.

    Source: chapter 3.

    Example:
        >>> print(describe_conventions())  # doctest: +ELLIPSIS
        name              kind     built-in loss  what the code says
        book              penalty  -              loss + λ/2 ‖w‖²
        no_half           penalty  -              loss + λ ‖w‖²
        ...
    """
    columns = ("name", "kind", "built-in loss", "what the code says")
    rows = tuple((name, c.kind, c.loss or "-", c.about) for name, c in CONVENTIONS.items())
    lines = [f"{a:<18}{b:<9}{c:<15}{d}" for a, b, c, d in (columns, *rows)]
    return Table("Meanings of λ that can be converted", columns, rows, "\n".join(lines))


def convert(
    value: float,
    source: str,
    target: str,
    *,
    lr: float | None = None,
    n: int | None = None,
    batch_size: int | None = None,
    loss: str = "half_mse",
    target_loss: str | None = None,
    optimizer: str | None = None,
) -> float:
    """The number that means in one convention what another number means in another.

    Two penalties are the same when loss plus penalty has the same minimum; if
    the loss's scaling changes by a factor, SGD takes the same steps with lr
    divided by it. Two decays are the same when each step takes away the same
    share. If n, the batch or lr differs between the two, convert twice, by way
    of "book" or "adamw_paper".

    Args:
        value: the number in the source's convention: λ ≥ 0, C > 0,
            -1 < factor ≤ 1; for "optax_after" -2 < λ ≤ 0.
        source: its convention, a key of ``CONVENTIONS``.
        target: the convention wanted.
        lr: learning rate η > 0 of the program that decays, where λ is
            multiplied by it; under a schedule the base rate.
        n: training examples, a whole number ≥ 1, for conventions that count
            them.
        batch_size: examples a step, a whole number ≥ 1, for summed losses and
            scikit-learn's MLP (n for its lbfgs).
        loss: what the penalty stands beside, a key of ``LOSS_SCALES``, where
            the convention leaves that to you.
        target_loss: the same for the target, where it differs.
        optimizer: "sgd" for plain SGD without momentum, under which alone
            penalty and decay are the same.

    Returns:
        The number in the target's convention. It holds under a schedule too,
        but for "factor" and "optax_after", which do not follow one.

    Raises:
        ValueError: if nothing in the target's convention is the same, an
            argument is missing or out of range, or the weights would grow.

    Source: derived in chapter 3.

    Example:
        >>> convert(0.5, "book", "sklearn_ridge", n=200)
        100.0
        >>> convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3)
        0.0001
        >>> convert(0.1, "torch_adam", "torch_adamw", lr=1e-3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Adam divides the penalty's gradient λw by √v, so that each weight decays ...
    """
    before = _find(source, CONVENTIONS, "convention")
    after = _find(target, CONVENTIONS, "convention")
    given = {"lr": lr, "n": n, "batch_size": batch_size}
    numbers = {k: _number(k, number) for k, number in given.items() if number is not None}
    target_loss = loss if target_loss is None else target_loss
    here = _Setting(_fitting_loss(before, loss), **numbers)
    there = _Setting(_fitting_loss(after, target_loss), **numbers)
    _check_same_minimum(loss, target_loss)

    value = _number("value", value)
    what = f"{source}: {value:g}"
    amount = before.read(value, here)
    _check_amount(amount, before.kind, what)
    if before.kind != after.kind:
        _check_same_under_sgd(before, after, optimizer)
        # η and the loss are those of the program that decays.
        amount = amount / here.rate if before.kind == "decay" else amount * there.rate
        _check_amount(amount, after.kind, what)
    return after.write(amount, there)


_WANTED = {
    "value": "a number",
    "lr": "a positive number",
    "n": "a positive whole number",
    "batch_size": "a positive whole number",
}


def _number(name: str, value: float) -> float:
    """The number; η, n and the batch must be positive, the last two whole."""
    if not isinstance(value, Real) or not _is(value, _WANTED[name]):
        raise ValueError(f"{name} is {value!r}; it must be {_WANTED[name]}")
    return float(value)


def _is(value: float, wanted: str) -> bool:
    if "positive" in wanted and not 0 < value < math.inf:
        return False
    return "whole" not in wanted or value % 1 == 0


def _fitting_loss(row: Convention, loss: str) -> str:
    """The loss, if it is one, and not another than the convention has built in."""
    _find(loss, LOSS_SCALES, "loss")
    if row.loss and _classifies(row.loss) != _classifies(loss):
        todo = f"give loss={row.loss!r}, λ beside {loss} is another"
        raise ValueError(f"{row.about} has {row.loss} built in; {todo}")
    return loss


def _classifies(loss: str) -> bool:
    return "cross" in loss


def _check_same_minimum(loss: str, other: str) -> None:
    if _classifies(loss) != _classifies(other):
        why = "they have different minima"
        raise ValueError(f"λ beside {loss} has no equivalent beside {other}: {why}")


def _check_amount(amount: float, kind: str, what: str) -> None:
    """Refuse what is no penalty, or no decay."""
    if kind == "decay" and not 0 <= amount < 2:
        does = f"each step would multiply a weight by {1 - amount:g}"
        wanted = "which must lie above -1 and be at most 1, or the weights grow"
        raise ValueError(f"{what} is out of range: {does}, {wanted}")
    if not 0 <= amount < math.inf:
        raise ValueError(f"{what} is out of range: λ is finite and not negative, and C positive")


def _find(name: str, table: dict[str, T], what: str) -> T:
    if not isinstance(name, str) or name not in table:
        known = ", ".join(table)
        raise ValueError(f"no {what} is called {name!r}; choose one of {known}")
    return table[name]


def _check_same_under_sgd(
    source: Convention,
    target: Convention,
    optimizer: str | None,
) -> None:
    """Refuse what is neither the same objective nor the same step."""
    if "l1" in (source.kind, target.kind):
        why = "takes the same from every weight, L2 and decay in proportion: no equivalent"
        raise ValueError(f"an L1 penalty {why}")
    used = {optimizer} | {row.optimizer for row in (source, target) if row.optimizer}
    if "adam" in used:
        why = "so that each weight decays at its own rate"
        pair = "a penalty inside Adam and a decay beside it have no equivalent in each other"
        raise ValueError(f"Adam divides the penalty's gradient λw by √v, {why}: {pair}")
    if others := used - {None, "sgd"}:
        named = ", ".join(sorted(str(each) for each in others))
        raise ValueError(f"penalty and decay are the same under plain SGD only, not {named}")
    if used != {"sgd"}:
        todo = "say optimizer='sgd' if you use that"
        raise ValueError(f"penalty and decay are the same under plain SGD only; {todo}")
