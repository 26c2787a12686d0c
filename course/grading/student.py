"""A student's notebook, run inside, and asked; started anew where a cell or a call ended it."""

import builtins
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from course.grading.confine import Limits
from course.grading.sandbox import Ended, Sandbox

_START = 60  # seconds


class Kind(StrEnum):
    """What a process can say of a name, or of a call: the key of its message."""

    VALUE = "value"
    FUNCTION = "function"
    MISSING = "missing"
    RAISED = "raised"
    UNSENDABLE = "unsendable"


class Reply(NamedTuple):
    """What a process says, unless it lies: data, or the name of the error's type."""

    kind: Kind
    value: Any = None


def reply_in(message: Mapping[str, Any], *kinds: Kind) -> Reply:
    """What a message says: the first of these kinds that is in it; unsendable if none is."""
    for kind in kinds:
        if kind in message:
            return Reply(kind, message[kind])
    return Reply(Kind.UNSENDABLE)


TO_LOOK = (Kind.VALUE, Kind.FUNCTION, Kind.MISSING)
"""What can be said of a name."""
TO_CALL = (Kind.VALUE, Kind.RAISED)
"""What can be said of a call."""


class Answers(Protocol):
    """What tests ask: the student's process, or what stands for it."""

    limits: Limits
    asked: str
    """The name that was asked for last."""
    trouble: dict[int, str]
    """What happened in a cell, by its number, in words."""

    def look(self, name: str) -> Reply:
        """Ask what a name is."""

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reply:
        """Call what a name is."""


class Student:
    """The answers of one notebook.

    Args:
        cells: code to run, in order; None for a cell that is not to be run.
        limits: what it may use.
        number: of the submission, below ``USERS``; where the grader is root, each runs as a user of
            its own.
    """

    def __init__(self, cells: Sequence[str | None], limits: Limits, number: int = 0) -> None:
        self.cells = list(cells)
        self.limits = limits
        self.number = number
        self.ends = time.monotonic() + limits.total
        self.trouble: dict[int, str] = {}
        self.asked = ""
        self._box: Sandbox | None = None

    def look(self, name: str) -> Reply:
        """Ask what a name is, as the notebook defines it.

        Args:
            name: of a function, or of data.

        Returns:
            What the process says.

        Raises:
            Ended: if the process ends over it; the next question starts another.
        """
        return reply_in(self._ask(name, {"name": name}), *TO_LOOK)

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reply:
        """Call what a name is; errors as those of ``look``."""
        question = {"name": name, "args": tuple(args), "kwargs": dict(kwargs)}
        return reply_in(self._ask(name, question), *TO_CALL)

    def _ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:
        self.asked = name
        box = self._running()
        try:
            box.send(question, self._left(self.limits.call))
            return box.receive()
        except BaseException:  # a test's time may be up in the middle of a message, too
            self._box = None
            box.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self._box is not None:
            self._box.close()

    def _left(self, seconds: float) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise Ended(f"the notebook had used up its {self.limits.total:g} seconds")
        return min(seconds, left)

    def _running(self) -> Sandbox:
        """The process, after all cells have run. A cell that ends it is left out the next time."""
        while self._box is None:
            box = Sandbox(self.limits, self.number)
            begun = -1
            try:
                box.send(asdict(box.bounds) | {"cells": self.cells}, self._left(_START))
                message = box.receive(self._left(_START))
                while "ran" not in message:
                    begun = self._next(message, begun)
                    message = box.receive(self._left(self.limits.cell))
                self._note(message["ran"])
                self._box = box
            except Ended as ended:
                box.close()
                if begun < 0:
                    raise
                self._left(1)
                self.cells[begun] = None
                self.trouble[begun] = f"was stopped: {ended}"
            except BaseException:
                box.close()
                raise
        return self._box

    def _next(self, message: dict[str, Any], begun: int) -> int:
        """The cell that has begun; numbers only rise, whatever the process says."""
        number = message.get("begun")
        if number == -1 == begun:
            return -1
        if (
            type(number) is not int
            or not begun < number < len(self.cells)
            or self.cells[number] is None
        ):
            raise Ended("what came back was not data")
        return number

    def _note(self, errors: Any) -> None:
        """Keep which cells stopped with an error, as far as the process can be believed."""
        for entry in errors if isinstance(errors, list) else []:
            match entry:
                case [int(number), str(kind), int(line)] if 0 <= number < len(self.cells):
                    lines = (self.cells[number] or "").count("\n") + 1
                    where = f" in line {line}" if 1 <= line <= lines else ""
                    self.trouble[number] = f"stopped with {builtin(kind).__name__}{where}"


def builtin(name: Any) -> type[Exception]:
    """The built-in exception of that name; RuntimeError for any other name."""
    found = getattr(builtins, name, None) if isinstance(name, str) else None
    return found if isinstance(found, type) and issubclass(found, Exception) else RuntimeError
