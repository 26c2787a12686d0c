"""Examples for fitting, for choosing and for testing, which know what they are for.

A test score is worth something only if its examples had no part in the fit, in the choice of λ, or
in the inputs' scale. Here a score names no examples: ``Split.test_loss`` takes a function from
inputs to answers and applies it to the test part, and ``Split.choose`` to the validation part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2lib._arrays import as_array
from l2lib._checks import (
    COUNT,
    INDEX,
    SEED,
    as_flag,
    as_number,
    check_callable,
    check_choice,
    settle,
    shown,
)
from l2lib.datasets import Array, check_data

__all__ = [
    "Answer",
    "HeldOutError",
    "Loss",
    "Part",
    "Role",
    "Split",
    "check_apart",
    "split",
    "split_of",
]

Role = Literal["train", "validation", "test"]
"""What a part is for."""

Answer = Callable[[Array], ArrayLike]
"""From inputs (…, n, d) to answers: (…, n) of one model, or (…, m, n) of m candidates."""

Loss = Callable[[Array, Array], ArrayLike]
"""From answers and targets to losses, element by element, such as ``np.not_equal``."""


class HeldOutError(ValueError):
    """A test would be none: its examples had a part in the fit, the choice or the scale.

    Example:
        >>> issubclass(HeldOutError, ValueError)
        True
    """


@dataclass(frozen=True, eq=False)
class Part:
    """Examples, and what they are for. ``X, y = part`` unpacks a training part, and no other.

    Attributes:
        X: inputs, shape (n, d), or (S, n, d) for one data set a seed.
        y: targets, shape (n,) or (S, n).
        role: "train", "validation" or "test".

    Raises:
        ValueError: if the role is none of these, or the arrays do not fit.

    Example:
        >>> X, y = Part(np.ones((3, 2)), np.zeros(3), "train")
        >>> X.shape, y.shape
        ((3, 2), (3,))
    """

    X: Array
    y: NDArray[Any]
    role: Role

    def __post_init__(self) -> None:
        check_choice("role", self.role, ("train", "validation", "test"))
        y = as_array("y", self.y)
        X, _ = check_data(self.X, y)
        settle(self, X=X, y=y)

    def __iter__(self) -> Iterator[Array | NDArray[Any]]:
        """Inputs and targets, to be fitted: ``ridge(*parts.train, lam)``."""
        if self.role != "train":
            todo = f"no model is fitted on it; read .X and .y of a {self.role} part by name"
            raise HeldOutError(f"only a training part unpacks, this is a {self.role} part: {todo}")
        return iter((self.X, self.y))


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """A training part, a test part, and perhaps one for choosing; no two share an example.

    Attributes:
        train: what models are fitted on.
        test: what the chosen model is tested on, once.
        validation: what λ is chosen on, or None.
        duplicates: so many inputs of a part may stand in another too, as where data hold true
            duplicates; ≥ 0.

    Raises:
        HeldOutError: if a part has another role than its name, or parts share inputs.
        ValueError: if a part is none, or duplicates no whole number ≥ 0.

    Example:
        >>> X, y = np.arange(8.0).reshape(4, 2), np.arange(4.0)
        >>> parts = Split(train=Part(X[:3], y[:3], "train"), test=Part(X[3:], y[3:], "test"))
        >>> Split(train=parts.train, test=Part(X[2:], y[2:], "test"))
        Traceback (most recent call last):
        ...
        l2lib.splits.HeldOutError: 1 of 2 test inputs are training inputs ...
    """

    train: Part
    test: Part
    validation: Part | None = None
    duplicates: int = 0

    def __post_init__(self) -> None:
        parts: dict[Role, Part | None]
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        needed = ("train", "test")
        given = [(role, part) for role, part in parts.items() if part is not None or role in needed]
        duplicates = as_number("duplicates", self.duplicates, INDEX)
        settle(self, duplicates=duplicates)
        for k, (role, part) in enumerate(given):
            if not isinstance(part, Part):
                wanted = f'give a Part(X, y, "{role}"), or let split or split_of make the parts'
                raise ValueError(f"{role} is {shown(part)}; {wanted}")
            if part.role != role:
                raise HeldOutError(f"a {part.role} part is given as {role}; give one made for it")
            for _, earlier in given[:k]:
                check_apart(earlier, part, duplicates)  # type: ignore[arg-type]

    @property
    def refit(self) -> Part:
        """Training and validation part as one, to fit again on once λ is chosen.

        Raises:
            HeldOutError: if there is no validation part.
        """
        parts = [self.train, self._validation()]
        X = np.concatenate([part.X for part in parts], axis=-2)
        return Part(X, np.concatenate([part.y for part in parts], axis=-1), "train")

    def standardised(self, *, spread: bool = True) -> "Split":
        """All parts in the training part's units, whose statistics no other example enters.

        Args:
            spread: divide each input by the training part's standard deviation, too; an input that
                is constant there is only centred.

        Returns:
            A split whose training inputs have mean zero, and deviation one if asked.

        Raises:
            ValueError: if spread is neither True nor False.

        Example:
            >>> X = np.array([[1.0], [3.0], [7.0]])
            >>> parts = split(X, np.zeros(3), train=[0, 1], test=[2]).standardised()
            >>> parts.train.X.ravel().tolist(), parts.test.X.ravel().tolist()
            ([-1.0, 1.0], [5.0])
        """
        mean = self.train.X.mean(-2, keepdims=True)
        spread = as_flag("spread", spread)
        deviation = self.train.X.std(-2, keepdims=True) if spread else np.ones_like(mean)
        deviation = np.where(deviation > 0, deviation, 1.0)

        def moved(part: Part) -> Part:
            return replace(part, X=(part.X - mean) / deviation)

        validation = None if self.validation is None else moved(self.validation)
        return replace(self, train=moved(self.train), test=moved(self.test), validation=validation)

    def choose(self, answer: Answer, loss: Loss) -> NDArray[np.intp]:
        """Number of the candidate with the lowest mean loss on the validation part.

        Args:
            answer: of m candidates at once, each fitted on the training part.
            loss: see ``Loss``; of equal means the first candidate wins, and nan never does.

        Returns:
            Numbers from 0 to m - 1: one, or shape (S,).

        Raises:
            HeldOutError: if there is no validation part.
            ValueError: if the shape of answers or losses does not fit, there is but one model, or
                every candidate's loss is nan.

        Example:
            >>> parts = split(np.eye(4), np.ones(4), train=[0], validation=[1], test=[2, 3])
            >>> int(parts.choose(lambda X: [X.sum(1) * c for c in (0.0, 1.0)], np.not_equal))
            1
        """
        losses = _losses(self._validation(), answer, loss)
        if losses.ndim == self.train.y.ndim - 1:
            raise ValueError("one model leaves no choice; let answer return several, (…, m, n)")
        if np.isnan(losses).all(-1).any():
            raise ValueError("every candidate's loss is nan; find out why before you choose")
        return np.asarray(np.where(np.isnan(losses), np.inf, losses).argmin(-1))

    def test_loss(self, answer: Answer, loss: Loss, *, each: bool = False) -> Array:
        """Mean loss on the test part: of one model, or of the candidate that ``choose`` takes.

        Args:
            answer: of one model, or of m candidates at once.
            loss: see ``Loss``.
            each: of every candidate instead, which is for a picture and never for choosing.

        Returns:
            One number, or shape (S,); with ``each`` and m candidates, a last axis for them.

        Raises:
            HeldOutError: if there are candidates and no validation part.
            ValueError: if the shape of answers or losses does not fit, or ``each`` is not True or
                False.

        Example:
            >>> parts = split(np.eye(4), np.ones(4), train=[0, 1], test=[2, 3])
            >>> float(parts.test_loss(lambda X: X.sum(1), np.not_equal))
            0.0
        """
        losses = _losses(self.test, answer, loss)
        if as_flag("each", each) or losses.ndim == self.test.y.ndim - 1:
            return losses
        chosen = np.asarray(self.choose(answer, loss))
        return np.take_along_axis(losses, chosen[..., None], -1)[..., 0]

    def _validation(self) -> Part:
        if self.validation is None:
            raise HeldOutError(
                "there is no validation part, and nothing is chosen on the test part; "
                "make a split with validation="
            )
        return self.validation


def _losses(part: Part, answer: Answer, loss: Loss) -> Array:
    """Mean losses on a part: shape (…) of one model, (…, m) of m candidates."""
    check_callable("answer", answer, "a function from inputs (n, d) to answers (n,)")
    check_callable("loss", loss, "a function of answers and targets, such as np.not_equal")
    answers = as_array("what answer returns", answer(part.X))
    several = answers.ndim == part.y.ndim + 1
    kept = (*answers.shape[:-2], *answers.shape[-1:]) if several else answers.shape
    if kept != part.y.shape:
        need = f"{part.y.shape}, or with an axis for candidates before the last"
        raise ValueError(f"answer gives shape {answers.shape} on the {part.role} part; need {need}")
    targets = part.y[..., None, :] if several else part.y
    losses = as_array("what loss returns", loss(answers, targets))
    if losses.shape != answers.shape:
        need = f"one number for each answer, {answers.shape}; leave the mean to this call"
        raise ValueError(f"loss gives shape {losses.shape}; need {need}")
    return np.asarray(losses.mean(-1))


def split(
    X: ArrayLike,
    y: ArrayLike,
    *,
    train: int | ArrayLike,
    test: int | ArrayLike,
    validation: int | ArrayLike | None = None,
    seed: int | None = None,
    duplicates: int = 0,
) -> Split:
    """Divide examples into parts that share none.

    Args:
        X: inputs, shape (n, d).
        y: targets, shape (n,).
        train: with a seed the number of examples, which are drawn; without, their row numbers,
            shape (k,), or (S, k) for one data set a seed.
        test: the same.
        validation: the same; None for no such part.
        seed: of NumPy's generator, ≥ 0: rows are permuted, and first go to training, then to
            validation, then to the test.
        duplicates: see ``Split``.

    Returns:
        The parts.

    Raises:
        HeldOutError: if a row is in two parts, or twice in one, as where more are wanted than there
            are; or if two parts share inputs.
        ValueError: if an argument is no such number or list, or they do not fit together.
        IndexError: if a row does not exist.

    Example:
        >>> from l2lib.datasets import load
        >>> digits = load("digits")
        >>> parts = split(digits.X, digits.y, train=1000, validation=400, test=397, seed=0)
        >>> parts.train.X.shape, parts.test.role
        ((1000, 64), 'test')
    """
    targets = as_array("y", y)
    X, _ = check_data(X, targets)
    wanted = {"train": train, "validation": validation, "test": test}
    given = {role: value for role, value in wanted.items() if value is not None}
    if absent := {"train", "test"} - {*given}:
        todo = "give row numbers, or a number of examples and a seed"
        raise ValueError(f"{min(absent)} is None; {todo}")
    rows = _rows(given, len(targets)) if seed is None else _drawn(given, len(targets), seed)
    parts = {role: Part(X[some], targets[some], role) for role, some in rows.items()}  # type: ignore[arg-type]
    return Split(**parts, duplicates=duplicates)


def _rows(given: dict[str, int | ArrayLike], n: int) -> dict[str, NDArray[np.intp]]:
    """Row numbers as they are given, if each exists and is used once in a data set."""
    if counts := [role for role, value in given.items() if np.ndim(value) == 0]:
        raise ValueError(f"{counts[0]} is a number of examples; give a seed to draw them, or rows")
    rows = {role: _existing(role, as_array(role, value), n) for role, value in given.items()}
    first, *others = (each.shape[:-1] for each in rows.values())
    if any(other != first for other in others):
        shapes = ", ".join(f"{role} {each.shape}" for role, each in rows.items())
        raise ValueError(f"rows have shapes {shapes}; every part needs as many data sets")
    used = np.concatenate(list(rows.values()), axis=-1)
    ordered = np.sort(used, axis=-1)
    if (ordered[..., 1:] == ordered[..., :-1]).any():
        twice = ordered[..., 1:][ordered[..., 1:] == ordered[..., :-1]]
        raise HeldOutError(f"row {twice[0]} is used twice; each row goes to one part, once")
    return rows


def _existing(role: str, rows: NDArray[Any], n: int) -> NDArray[np.intp]:
    """Row numbers, from numbers or a mask, that exist."""
    if rows.dtype.kind == "b" and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.dtype.kind not in "iu" or rows.ndim not in (1, 2) or not rows.size:
        wanted = f"row numbers, (k,) or (S, k), or a mask of {n} rows"
        raise ValueError(f"{role} is {shown(rows.tolist())}; give {wanted}")
    if (wrong := rows[(rows < -n) | (rows >= n)]).size:
        raise IndexError(f"{role} asks for row {wrong[0]} of {n}; rows are numbered 0 to {n - 1}")
    return np.asarray(np.arange(n)[rows])


def _drawn(given: dict[str, int | ArrayLike], n: int, seed: int) -> dict[str, NDArray[np.intp]]:
    """Row numbers of so many examples each, drawn."""
    if lists := [role for role, value in given.items() if np.ndim(value) != 0]:
        raise ValueError(f"{lists[0]} lists rows; leave seed out, or give numbers of examples")
    sizes = [as_number(role, value, COUNT) for role, value in given.items()]
    if sum(sizes) > n:
        raise HeldOutError(f"parts of {sizes} examples cannot be apart: there are only {n}")
    order = np.random.default_rng(as_number("seed", seed, SEED)).permutation(n)
    ends = np.cumsum(sizes)
    return {
        role: order[end - size : end] for role, size, end in zip(given, sizes, ends, strict=True)
    }


def split_of(
    train: tuple[ArrayLike, ArrayLike],
    test: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike] | None = None,
) -> Split:
    """Data that were drawn apart, as one split.

    Args:
        train: inputs, shape (n, d) or (S, n, d), and targets, shape (n,) or (S, n).
        test: the same, of any number of examples.
        validation: the same, or None.

    Returns:
        The parts.

    Raises:
        HeldOutError: if two parts share inputs, as draws from one seed do.
        ValueError: if one is no pair of arrays that fit.

    Example:
        >>> from l2lib.datasets import make_regression
        >>> split_of(make_regression(20, seed=0), make_regression(100, seed=0))
        Traceback (most recent call last):
        ...
        l2lib.splits.HeldOutError: 20 of 100 test inputs are training inputs ...
    """

    def part(pair: tuple[ArrayLike, ArrayLike], role: Role) -> Part:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            got = f"got {shown(pair)}"
            raise ValueError(f"{role} must be a pair, inputs and targets; {got}")
        return Part(as_array("X", pair[0]), as_array("y", pair[1]), role)

    return Split(
        train=part(train, "train"),
        test=part(test, "test"),
        validation=None if validation is None else part(validation, "validation"),
    )


def check_apart(fitted: Part, held: Part, duplicates: int = 0) -> None:
    """Refuse parts that share inputs: what was fitted or chosen on says nothing in a test.

    Inputs are compared, whatever their targets, number by number as they are given.

    Args:
        fitted: what was trained or chosen on.
        held: what a model is held against; S data sets are compared each with its own.
        duplicates: so many shared inputs are allowed in a data set, ≥ 0.

    Raises:
        HeldOutError: if there are more.
        ValueError: if one is no part, or duplicates no whole number ≥ 0.

    Example:
        >>> X, y = np.eye(3), np.zeros(3)
        >>> check_apart(Part(X[:2], y[:2], "train"), Part(X[2:], y[2:], "test"))
    """
    if wrong := [part for part in (fitted, held) if not isinstance(part, Part)]:
        raise ValueError(f"check_apart compares parts; got {shown(wrong[0])}")
    duplicates = as_number("duplicates", duplicates, INDEX)
    first = fitted.X[None] if fitted.X.ndim == 2 else fitted.X
    second = held.X[None] if held.X.ndim == 2 else held.X
    for k in range(max(len(first), len(second))):
        known = set(_fingerprints(first[k % len(first)]))
        shared = sum(row in known for row in _fingerprints(second[k % len(second)]))
        if shared > duplicates:
            words = {"train": "training"}
            old, new = (words.get(part.role, part.role) for part in (fitted, held))
            found = f"{shared} of {second.shape[1]} {new} inputs are {old} inputs too"
            wanted = f"a {held.role} needs examples that had no part in the fit or the choice"
            todo = f"leave them out, or allow true duplicates with duplicates={shared}"
            raise HeldOutError(f"{found}; {wanted}: {todo}")


def _fingerprints(X: Array) -> list[int]:
    """A number for each row, equal for equal rows; adding 0 makes -0 and 0 the same."""
    return [hash((row + 0.0).tobytes()) for row in X]
