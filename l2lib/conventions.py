"""One λ in many notations: from what one framework calls it to what another does, or an error if nothing is the same.

There are three kinds. A *penalty* is (λ/2)‖w‖² beside the mean loss, whatever the optimiser. An *l1* penalty is λ‖w‖₁.
A *decay* is the share of a weight that one step takes away, beside the loss's own step. Only under plain SGD is a
penalty also a decay.
"""

import math
from collections.abc import Callable
from numbers import Real
from types import SimpleNamespace
from typing import NamedTuple, TypeVar

T = TypeVar("T")

LOSS_SCALES: dict[str, Callable[["_Setting"], float]] = {
    "half_mse": lambda s: 1,
    "mse": lambda s: 2,
    "half_sse": lambda s: s.batch_size,
    "sse": lambda s: 2 * s.batch_size,
    "cross_entropy": lambda s: 1,
    "cross_entropy_sum": lambda s: s.batch_size,
}
"""Your loss, as a multiple of half the mean squared error (one output) or of the mean cross-entropy."""


class _Setting(SimpleNamespace):
    """Numbers of a training run; asking for one that was not given says so."""

    def __getattr__(self, name: str) -> float:
        if name == "scale":
            return LOSS_SCALES[self.loss](self)
        raise ValueError(f"this conversion depends on {name}; give {name}=")


class Convention(NamedTuple):
    """What a number means that someone calls λ."""

    kind: str  # "penalty", "l1" or "decay"
    read: Callable[[float, _Setting], float]  # from the number to λ beside the mean loss, or to the share
    write: Callable[[float, _Setting], float]  # and back
    about: str  # what the code says
    loss: str | None  # the loss that is built in, where there is one
    optimizer: str | None  # the optimiser that it belongs to, where there is one


def _row(
    kind: str, unit: Callable[[_Setting], float], about: str, loss: str | None = None, optimizer: str | None = None
) -> Convention:
    """A convention in which ``unit`` is what the number 1 means."""
    return Convention(kind, lambda v, s: v * unit(s), lambda a, s: a / unit(s), about, loss, optimizer)


CONVENTIONS: dict[str, Convention] = {
    "book": _row("penalty", lambda s: 1 / s.scale, "loss + λ/2 ‖w‖²"),
    "no_half": _row("penalty", lambda s: 2 / s.scale, "loss + λ ‖w‖²"),
    "over_2m": _row("penalty", lambda s: 1 / s.n / s.scale, "loss + λ/(2m) ‖w‖², m examples"),
    "torch_sgd": _row("penalty", lambda s: 1 / s.scale, "SGD(weight_decay=λ)", None, "sgd"),
    "torch_adam": _row("penalty", lambda s: 1 / s.scale, "Adam(weight_decay=λ)", None, "adam"),
    "mxnet": _row("penalty", lambda s: 1 / s.scale, "Trainer(…, {'wd': λ})"),
    "keras_l2": _row("penalty", lambda s: 2 / s.scale, "kernel_regularizer=L2(λ)"),
    "optax_before": _row("penalty", lambda s: 1 / s.scale, "chain(add_decayed_weights(λ), optimiser)"),
    "sklearn_ridge": _row("penalty", lambda s: 1 / s.n, "Ridge(alpha=λ)", "half_mse"),
    "sklearn_logistic": Convention(
        "penalty",
        lambda v, s: 1 / (s.n * v) if v > 0 else math.nan,
        lambda a, s: 1 / (s.n * a) if a > 0 else math.inf,
        "LogisticRegression(C=λ)", "cross_entropy", None),
    "sklearn_mlp": _row("penalty", lambda s: 1 / s.batch_size, "MLPRegressor(alpha=λ)"),
    "sklearn_lasso": _row("l1", lambda s: 1, "Lasso(alpha=λ)", "half_mse"),
    "keras_l1": _row("l1", lambda s: 1 / s.scale, "kernel_regularizer=L1(λ)"),
    "factor": Convention("decay", lambda v, s: 1 - v, lambda a, s: 1 - a, "w *= λ at every step", None, None),
    "torch_adamw": _row("decay", lambda s: s.lr, "AdamW(weight_decay=λ)", None, "adam"),
    "adamw_paper": _row("decay", lambda s: 1, "AdamW as published; Composer's", None, "adam"),
    "keras_optimizer": _row("decay", lambda s: s.lr, "optimizers.…(weight_decay=λ)"),
    "optax_adamw": _row("decay", lambda s: s.lr, "adamw(weight_decay=λ)", None, "adam"),
    "optax_after": _row("decay", lambda s: -1, "chain(optimiser, add_decayed_weights(λ))"),
    "fastai": _row("decay", lambda s: s.lr, "Learner(…, wd=λ)"),
}  # fmt: skip
"""Every convention that ``convert`` knows, by name."""


def convert(
    value: float, source: str, target: str, *, lr: float | None = None, n: int | None = None,
    batch_size: int | None = None, loss: str = "half_mse", target_loss: str | None = None, optimizer: str | None = None,
) -> float:  # fmt: skip
    """The number that means in one convention what another number means in another.

    Two penalties are the same when loss plus penalty has the same minimum; if the loss's scaling changes by a factor,
    SGD takes the same steps with lr divided by it. Two decays are the same when each step takes away the same share.
    If n, the batch or lr differs between the two, convert twice, by way of "book" or "adamw_paper".

    Args:
        value: the number in the source's convention: λ ≥ 0, C > 0, -1 < factor ≤ 1; for "optax_after" -2 < λ ≤ 0.
        source: its convention, a key of ``CONVENTIONS``.
        target: the convention wanted.
        lr: learning rate η > 0 of the program that decays, where λ is multiplied by it; under a schedule the base rate.
        n: training examples, a whole number ≥ 1, for conventions that count them.
        batch_size: examples a step, a whole number ≥ 1, for summed losses and scikit-learn's MLP (n for its lbfgs).
        loss: what the penalty stands beside, a key of ``LOSS_SCALES``, where the convention leaves that to you.
        target_loss: the same for the target, where it differs.
        optimizer: "sgd" for plain SGD without momentum, under which alone penalty and decay are the same.

    Returns:
        The number in the target's convention. It holds under a schedule too, but for "factor" and "optax_after",
        which do not follow one.

    Raises:
        ValueError: if nothing in the target's convention is the same, an argument is missing or out of range, or the
            weights would grow.

    Source: derived in chapter 3.
    """
    before, after = (_find(name, CONVENTIONS, "convention") for name in (source, target))
    given = {"lr": lr, "n": n, "batch_size": batch_size}
    numbers = {name: _number(name, number) for name, number in given.items() if number is not None}
    settings = []
    for row, name in ((before, loss), (after, loss if target_loss is None else target_loss)):
        _find(name, LOSS_SCALES, "loss")
        if row.loss and ("cross" in row.loss) != ("cross" in name):
            raise ValueError(f"{row.about} has {row.loss} built in; give loss={row.loss!r}, λ beside {name} is another")
        if ("cross" in name) != ("cross" in loss):
            raise ValueError(f"λ beside {loss} has no equivalent beside {name}: they have different minima")
        settings.append(_Setting(loss=name, **numbers))
    value = _number("value", value)
    amount = before.read(value, settings[0])
    _check_amount(amount, before.kind, f"{source}: {value:g}")
    if before.kind != after.kind:
        _check_same_under_sgd(before, after, optimizer)
        decaying = settings[0] if before.kind == "decay" else settings[1]
        rate = decaying.lr * decaying.scale
        amount = amount / rate if before.kind == "decay" else amount * rate
        _check_amount(amount, after.kind, f"{source}: {value:g}")
    return after.write(amount, settings[1])


def _number(name: str, value: float) -> float:
    """The number; n, the batch and lr must be positive, counts whole."""
    counts, limited = name in ("n", "batch_size"), name != "value"
    if not isinstance(value, Real) or (limited and not 0 < value < math.inf) or (counts and value % 1):
        raise ValueError(f"{name} is {value!r}; it must be a {'positive ' * limited}{'whole ' * counts}number")
    return float(value)


def _check_amount(amount: float, kind: str, what: str) -> None:
    """Refuse what is no penalty, or no decay."""
    if kind == "decay" and not 0 <= amount < 2:
        raise ValueError(f"{what} is out of range: each step would multiply a weight by {1 - amount:g}, which must "
                         "lie above -1 and be at most 1, or the weights grow")  # fmt: skip
    if not 0 <= amount < math.inf:
        raise ValueError(f"{what} is out of range: λ is finite and not negative, and C positive")


def _find(name: str, table: dict[str, T], what: str) -> T:
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"no {what} is called {name!r}; choose one of {', '.join(table)}")
    return table[name]


def _check_same_under_sgd(source: Convention, target: Convention, optimizer: str | None) -> None:
    """Refuse what is neither the same objective nor the same step."""
    used = {optimizer} | {row.optimizer for row in (source, target) if row.optimizer}
    if "l1" in (source.kind, target.kind):
        raise ValueError("an L1 penalty takes the same from every weight, L2 and decay in proportion: no equivalent")
    if "adam" in used:
        raise ValueError("Adam divides the penalty's gradient λw by √v, so that each weight decays at its own rate: "
                         "a penalty inside Adam and a decay beside it have no equivalent in each other")  # fmt: skip
    if used != {"sgd"}:
        raise ValueError("penalty and decay are the same under plain SGD only; say optimizer='sgd' if you use that")
