"""One λ in many notations, from one framework's meaning to another's.

Where nothing in the other is the same, that is an error.

There are three kinds. A *penalty* is (λ/2)‖w‖² beside the mean loss, whatever
the optimiser. An *l1* penalty is λ‖w‖₁. A *decay* is the share of a weight that
one step takes away, beside the loss's own step. Only under plain SGD is a
penalty also a decay; under SGD with momentum it is one in the long run.

A decay has one of three meanings under a schedule of the learning rate. Most
libraries multiply λ by the rate of the step, and the publication's form by its
schedule, which is the same. Some take the same share at every step. Corrected
decay follows the square of the rate.
"""

import math
from collections.abc import Callable
from typing import TypeVar

from l2lib._manuals import MANUALS, RARE, Manual
from l2lib._momentum import Momentum
from l2lib._names import nearest, reason
from l2lib._numbers import as_number, in_range, truth, whole
from l2lib._rows import ROWS, Convention
from l2lib._setting import LOSSES, Setting
from l2lib.tables import Table

__all__ = [
    "CONVENTIONS",
    "LOSS_SCALES",
    "Convention",
    "convert",
    "describe_conventions",
    "dictionary",
]

T = TypeVar("T")


LOSS_SCALES = LOSSES
"""Your loss, as a multiple of that of an example, in the mean over examples.

An example's loss is half the sum of its outputs' squared errors, or the sum of
its outputs' cross-entropies. A mean divides by the number of outputs, too, as
``MSELoss`` and Keras do; a sum does not.

:meta hide-value:
"""

CONVENTIONS = ROWS
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


def dictionary(kind: str = "penalty", *, rare: bool | None = None) -> Table:
    """What the programs of one kind minimise, or do, with λ; their defaults, and what is usual.

    A program with a penalty minimises c·L + k‖w‖², where L is the mean loss.
    So it means λ = 2k/c in the book. If you write the loss, you know c: 1 for
    the mean, 2 for ``MSELoss``. A program with a decay multiplies each weight
    by 1 - δ.

    Args:
        kind: "penalty" or "decay".
        rare: True for rare libraries and forms only, False for the others;
            without it the table has all.

    Returns:
        Library, where λ stands, what is minimised, c, k, the book's λ, the
        default and a typical value; of a decay the share δ, and what it scales
        with if the learning rate η has a schedule.

    Raises:
        ValueError: if there is no such kind.

    Source: derived in chapter 3; defaults from the libraries' code and manuals.

    Example:
        >>> dictionary("decay").columns
        ('library', 'where λ stands', 'δ', 'scales with', 'default', 'typical')
        >>> dictionary("decay").rows[0]
        ('PyTorch', 'AdamW(weight_decay=λ)', 'ηλ', 'η', '0.01', '0.01 to 0.1')
    """
    columns, cells = _find(kind, _DICTIONARIES, "kind of λ in the dictionary")
    told = [(name, MANUALS[name]) for name in MANUALS if CONVENTIONS[name].kind == kind]
    if rare is not None:
        told = [each for each in told if (each[0] in RARE) == truth("rare", rare)]
    rows = tuple(cells(CONVENTIONS[name], manual) for name, manual in told)
    widths = [max(map(len, column)) + 2 for column in zip(columns, *rows, strict=True)]
    lines = [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]
    return Table(f"What λ means: {kind}", columns, rows, "\n".join(lines))


def _of_penalty(row: Convention, manual: Manual) -> tuple[str, ...]:
    sizes = (manual.c, manual.k, manual.means)
    return (manual.library, row.about, manual.does, *sizes, manual.default, manual.typical)


def _of_decay(row: Convention, manual: Manual) -> tuple[str, ...]:
    power = ("-", "η", "η²")[row.lr_power]
    return (manual.library, row.about, manual.means, power, manual.default, manual.typical)


_ENDS = ("default", "typical")
_Cells = Callable[[Convention, Manual], tuple[str, ...]]
_DICTIONARIES: dict[str, tuple[tuple[str, ...], _Cells]] = {
    "penalty": (
        ("library", "where λ stands", "it minimises", "c", "k", "book's λ", *_ENDS),
        _of_penalty,
    ),
    "decay": (("library", "where λ stands", "δ", "scales with", *_ENDS), _of_decay),
}


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
    momentum: float | None = None,
    dampening: float = 0.0,
    nesterov: bool = False,
    outputs: int = 1,
    sample_weight_sum: float | None = None,
    y_std: float | None = None,
    max_lr: float | None = None,
    schedule: bool = False,
) -> float:
    """The number that means in one convention what another number means in another.

    Two penalties are the same when loss plus penalty has the same minimum; if
    the loss's scaling changes by a factor, SGD takes the same steps with lr
    divided by it. Two decays are the same when each step takes away the same
    share, whatever their optimisers. If n, the batch or lr differs between the
    two, convert twice, by way of "book" or "adamw_paper".

    A penalty and a decay are the same under plain SGD. Under SGD with momentum
    PyTorch's penalty goes through the buffer, and a decay does not. Then what
    is matched is the share that a step takes, in the long run, of a weight
    that the loss ignores. The runs are not the same: the penalty acts later,
    and with the share δ and momentum μ the decay's minimum is that of a penalty
    δ(1 - μ)/lr, which is stronger than λ: by little where lr·λ is small, twice
    near the largest λ that is converted. If the momentum may change as well,
    the runs are the same but for how they start: a decay with the share δ and
    momentum μ is the penalty δ(1 - μ)/lr with momentum (1 - δ)μ (chapter 2).

    An example is what the mean is taken over: under a mean over tokens or
    pixels it is a token that is not ignored, or a pixel. A mean weighted by
    class or example divides by the weights' sum, as ``CrossEntropyLoss``, and λ
    is beside it; where it divides by their number, as in Keras, bring the
    weights to mean 1 first. Which tensors are penalised is not said by λ:
    torch's optimisers decay biases, statsmodels and liblinear penalise the
    intercept, glmnet brings inputs to variance 1 unless told not to.

    Args:
        value: the number in the source's convention: λ ≥ 0, C > 0,
            -1 < factor ≤ 1; for "optax_after" -2 < λ ≤ 0.
        source: its convention, a key of ``CONVENTIONS``.
        target: the convention wanted.
        lr: learning rate η > 0 of the program that decays, where λ is
            multiplied by it; under a schedule the base rate, for corrected
            decay the rate of the step that is to be the same.
        n: training examples, a whole number ≥ 1, for conventions that count
            them.
        batch_size: examples whose losses a step of the optimiser adds up, a
            whole number ≥ 1, for summed losses and scikit-learn's MLP (n for
            its lbfgs). With accumulation it is the micro-batch times their
            number; of means that are added up and not divided, their number.
        loss: what the penalty stands beside, a key of ``LOSS_SCALES``, where
            the convention leaves that to you.
        target_loss: the same for the target, where it differs.
        optimizer: "sgd", under which alone penalty and decay can be the same.
        momentum: μ of that SGD, at least 0 and below 1; 0 says that it is
            plain.
        dampening: that of its buffer, as in PyTorch.
        nesterov: whether it is Nesterov's, as in PyTorch.
        outputs: numbers that the squared error of an example averages, a whole
            number ≥ 1: with several targets ``MSELoss`` and Keras's mse divide
            by them, and Ridge does not. The same for several labels under a
            binary cross-entropy.
        sample_weight_sum: the sum of the examples' weights, in place of n, for
            ``sample_weight`` of Ridge or LogisticRegression; λ is then beside
            the weighted mean. In place of batch_size where a step sees all
            examples.
        y_std: standard deviation of the targets, by 1/n, in whose units
            glmnet's "gaussian" counts its λ; the root of their mean square
            where it fits no intercept. Its inputs must have standard deviation
            1 as well, or ``standardize=FALSE``.
        max_lr: the schedule's largest rate, for corrected decay; in timm the
            rate that its optimiser is built with.
        schedule: whether the learning rate changes. Then a number is returned
            only if it is the same at every step.

    Returns:
        The number in the target's convention.

    Raises:
        ValueError: if nothing in the target's convention is the same, an
            argument is missing or out of range, or the weights would grow.

    Source: derived in chapter 3; momentum in chapter 2.

    Example:
        >>> convert(0.5, "book", "sklearn_ridge", n=200)
        100.0
        >>> convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3)
        0.0001
        >>> sgd = {"optimizer": "sgd", "momentum": 0.9}
        >>> round(convert(0.01, "torch_sgd", "keras_optimizer", lr=0.1, **sgd), 4)
        0.1113
        >>> convert(0.1, "torch_adam", "torch_adamw", lr=1e-3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: Adam divides the penalty's gradient λw by √v, so that each weight decays ...
    """
    before = _find(source, CONVENTIONS, "convention")
    after = _find(target, CONVENTIONS, "convention")
    given = {"lr": lr, "n": n, "batch_size": batch_size, "y_std": y_std, "max_lr": max_lr}
    given |= {"sample_weight_sum": sample_weight_sum}
    numbers = {k: _number(k, number) for k, number in given.items() if number is not None}
    several = whole("outputs", outputs, f"it must be {_WANTED['outputs']}")
    target_loss = loss if target_loss is None else target_loss
    here = Setting(_fitting_loss(before, loss, several), several, **numbers)
    there = Setting(_fitting_loss(after, target_loss, several), several, **numbers)
    _check_same_minimum(loss, target_loss)

    value = as_number("value", value, "it must be a number")
    what = f"{source}: {value:g}"
    amount = before.read(value, here)
    _check_amount(amount, before.kind, what)
    _check_kept(value, before.write(amount, here), what)
    crossing = before.kind != after.kind
    buffer = Momentum(0.0 if momentum is None else momentum, dampening, nesterov)
    if crossing:
        _check_same_under_sgd(before, after, optimizer, momentum)
        # η and the loss are those of the program that decays.
        if before.kind == "decay":
            amount = buffer.rate(amount) / here.rate
        else:
            amount = buffer.share(amount * there.rate)
        _check_amount(amount, after.kind, what)
    if truth("schedule", schedule):
        _check_same_at_every_step(before, after, momentum if crossing else None)
    number = after.write(amount, there)
    _check_kept(amount, after.read(number, there), what)
    return number


_WANTED = {
    "lr": "a positive number",
    "n": "a positive whole number",
    "batch_size": "a positive whole number",
    "outputs": "a positive whole number",
    "sample_weight_sum": "a positive number",
    "y_std": "a positive number",
    "max_lr": "a positive number",
}


def _number(name: str, value: float) -> float:
    """The number; all of them must be positive, and what counts examples whole."""
    wanted = f"it must be {_WANTED[name]}"
    if "whole" in wanted:
        return whole(name, value, wanted)
    return in_range(name, value, wanted, 0, closed=False)


def _fitting_loss(row: Convention, loss: str, outputs: int) -> str:
    """The loss, if it is one, and not another than the convention has built in."""
    _find(loss, LOSS_SCALES, "loss")
    if row.loss and _classifies(row.loss) != _classifies(loss):
        todo = f"give loss={row.loss!r}, λ beside {loss} is another"
        raise ValueError(f"{row.about} has {row.loss} built in; {todo}")
    if loss == "cross_entropy" and outputs > 1:
        todo = "say loss='binary_cross_entropy' for several labels, and outputs=1 for one label"
        raise ValueError(f"outputs is {outputs}, and a cross-entropy is that of one label; {todo}")
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


def _check_kept(number: float, back: float, what: str) -> None:
    """Refuse what a 64-bit float loses on the way: overflow, underflow, 1 - share rounded to 1."""
    if not math.isclose(number, back, rel_tol=0.01):
        why = "what it means is beyond the range or the digits of a 64-bit float"
        raise ValueError(f"{what} is out of range: {why}")


def _find(name: str, table: dict[str, T], what: str) -> T:
    if isinstance(name, str) and name in table:
        return table[name]
    alike = _alike(name) if isinstance(name, str) and what == "convention" else ""
    known = ", ".join(table)
    raise ValueError(f"no {what} is called {name!r:.60}{alike}; choose one of {known}")


def _alike(name: str) -> str:
    """Why there is no such row, where that is known, and which rows are nearest."""
    why = reason(name)
    rows = nearest(name, {row: each.about for row, each in CONVENTIONS.items()})
    found = ", ".join(f"{row} ({CONVENTIONS[row].about})" for row in rows)
    return (f": {why}" if why else "") + (f"; nearest: {found}" if found else "")


_DIVIDE = {
    "adam": "Adam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
}
"""Optimisers that divide each weight's gradient by the root of a mean of its square, or so."""


def _check_same_under_sgd(
    source: Convention,
    target: Convention,
    optimizer: str | None,
    momentum: float | None,
) -> None:
    """Refuse what is neither the same objective nor the same step, or may not be."""
    if "l1" in (source.kind, target.kind):
        why = "takes the same from every weight, L2 and decay in proportion: no equivalent"
        raise ValueError(f"an L1 penalty {why}")
    said = optimizer.lower() if isinstance(optimizer, str) else optimizer
    used = {said} | {row.optimizer for row in (source, target) if row.optimizer}
    own = "; the decays of SGD are sgdw, sgdw_paper, tfa, keras_optimizer" if said == "sgd" else ""
    if dividing := [name for each, name in _DIVIDE.items() if each in used]:
        why = "so that each weight decays at its own rate"
        pair = f"a penalty inside {dividing[0]} and a decay outside it"
        guess = "; §3.6 of the book gives a first guess" if dividing[0] == "Adam" else ""
        none = f"no single number makes {pair} equivalent{guess}"
        raise ValueError(
            f"{dividing[0]} divides the penalty's gradient λw by √v, {why}: {none}{own}"
        )
    if others := used - {None, "sgd"}:
        named = ", ".join(sorted(str(each) for each in others))
        raise ValueError(f"penalty and decay are the same under plain SGD only, not {named}{own}")
    if used != {"sgd"}:
        todo = "say optimizer='sgd' and its momentum= if you use that"
        raise ValueError(f"penalty and decay are the same under plain SGD only; {todo}")
    if momentum is None:
        why = "a penalty goes through its buffer and decays about 1/(1 - momentum) times as fast"
        todo = "give momentum=, 0 for plain SGD"
        raise ValueError(f"this conversion depends on momentum, as {why}; {todo}")


def _check_same_at_every_step(
    source: Convention,
    target: Convention,
    momentum: float | None,
) -> None:
    """Refuse what a schedule of the learning rate parts."""
    one = "leave out schedule=, and the number holds at the rate lr alone"
    if momentum:
        why = "the share of a penalty in a buffer does not fall in proportion to the rate"
        raise ValueError(f"with the same momentum no λ is the same at every step, as {why}; {one}")
    if source.lr_power != target.lr_power:
        pair = " and ".join(f"{row.about} {_FOLLOWS[row.lr_power]}" for row in (source, target))
        raise ValueError(f"no λ is the same at every step, as under {pair}; {one}")


_FOLLOWS = {
    0: "the share stays what it is",
    1: "it follows the learning rate",
    2: "it follows the rate's square",
}
