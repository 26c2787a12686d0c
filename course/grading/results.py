"""What grading gives: a row for each question, and a submission's rows as a result that is kept."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Status(StrEnum):
    """What became of an answer, in the words of grades.csv."""

    RIGHT = "right"
    PARTLY = "partly right"
    WRONG = "wrong"
    ERROR = "error"
    STOPPED = "stopped"
    MISSING = "missing"
    BY_HAND = "by hand"
    UNREADABLE = "unreadable"
    NOT_GRADED = "not graded"


@dataclass(frozen=True)
class Row:
    """What an answer got, of how many points, and why."""

    question: str
    points: float | None
    """None until a person has given them."""
    of: float
    status: Status | str
    """The grader's; a person who gives points may write another."""
    reason: str
    answer: str = ""
    """Where a person must read it."""


@dataclass(frozen=True)
class Result:
    """All rows of a submission."""

    student: str
    set: str
    """The problem set that it answers; empty where nothing tells."""
    rows: tuple[Row, ...]

    @property
    def graded(self) -> bool:
        """Whether the grader came to its end over it."""
        return all(row.status is not Status.NOT_GRADED for row in self.rows)


def text_of(result: Result) -> str:
    """A result as the text of its file."""
    return json.dumps(asdict(result))


def load(path: Path) -> Result | None:
    """What a file of results holds; None if there is none, or not a whole one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(**row | {"status": Status(row["status"])}) for row in found["rows"])
        return Result(found["student"], found["set"], rows)
    except (OSError, ValueError, TypeError, KeyError):
        return None
