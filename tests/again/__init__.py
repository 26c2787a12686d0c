"""The headline numbers, computed again by code that shares nothing with the chapters or l2lib.

``sheets.toml`` says in words what each number is; ``chapter_NN.py`` computes them from these words
alone; ``results.toml`` keeps what came out. ``tests/test_again.py`` compares that with what the
stored chapters say, and ``python -m tests.again`` computes all of it once more.
"""

import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
RESULTS = HERE / "results.toml"
CLAIM = "application/vnd.l2lib+json"

NUMBERS: dict[str, Callable[[], float]] = {}
"""What computes the number of each sheet, by the sheet's id."""


def number(sheet: str) -> Callable[[Callable[[], float]], Callable[[], float]]:
    """Register a function without arguments as what computes a sheet's number.

    Args:
        sheet: the sheet's id.

    Returns:
        A decorator.

    Raises:
        ValueError: if another function computes it.
    """

    def register(function: Callable[[], float]) -> Callable[[], float]:
        if sheet in NUMBERS:
            raise ValueError(f"two functions compute {sheet}")
        NUMBERS[sheet] = function
        return function

    return register


def functions(chapter: int) -> dict[str, Callable[[], float]]:
    """What computes a chapter's numbers, by the sheets' ids."""
    import_module(f"tests.again.chapter_{chapter:02d}")
    own = {sheet.id for sheet in sheets() if sheet.chapter == chapter}
    return {name: function for name, function in NUMBERS.items() if name in own}


# ---- sheets --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Sheet:
    """What a number is, in words, and where the book has it."""

    id: str
    chapter: int
    sentence: str
    setting: str
    tolerance: float
    """How far the book's value may be from the one computed again."""
    claim: str
    """Id of the claim that shows the book's value, and which one of that id, from 0."""
    which: int
    statistical: bool
    """Whether the number is a mean over some seeds, and not determined."""

    def of_book(self, outputs: Iterable[Any]) -> float | None:
        """The book's value, among a chapter's outputs in order; None if they have no such claim."""
        fields = (output.get("data", {}).get(CLAIM, {}) for output in outputs)
        found = [each for each in fields if each.get("kind") == "claim"]
        own = [each["measured"] for each in found if each["id"] == self.claim]
        if len(own) <= self.which:
            return None
        text = own[self.which].replace(",", "").replace("−", "-").strip()
        return float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)


@cache
def sheets() -> tuple[Sheet, ...]:
    """All sheets, in order."""
    rows = tomllib.loads((HERE / "sheets.toml").read_text(encoding="utf-8"))
    shared = rows["shared"]
    return tuple(
        Sheet(
            id=row["id"],
            chapter=int(row["chapter"]),
            sentence=row["sentence"],
            setting="\n".join([*(shared[name] for name in row["uses"]), row["setting"]]),
            tolerance=row["tolerance"]["absolute"],
            claim=row.get("claim", row["id"]),
            which=row["which"],
            statistical=row["tolerance"]["why"].startswith("statistical"),
        )
        for row in rows["sheet"]
    )


def results() -> dict[str, float]:
    """What came out when the numbers were last computed again, by the sheets' ids."""
    return {**tomllib.loads(RESULTS.read_text(encoding="utf-8"))}


def contradictions(chapter: int, outputs: Iterable[Any]) -> list[str]:
    """Where a chapter's outputs contradict what was computed again, in words."""
    outputs, again, found = list(outputs), results(), []
    for sheet in sheets():
        if sheet.chapter == chapter and sheet.id in again:
            ours, theirs = sheet.of_book(outputs), again[sheet.id]
            if ours is not None and not abs(ours - theirs) <= sheet.tolerance:
                where = f"{sheet.id}: the book has {ours:g}"
                found.append(f"{where}, computed again {theirs:.4g} ± {sheet.tolerance:g}")
    return found


# ---- computing -----------------------------------------------------------------------------------
class Computed(NamedTuple):
    """A number that was computed again, and in how many seconds."""

    sheet: str
    value: float
    seconds: float


def compute(chapter: int, ids: Sequence[str]) -> list[Computed]:
    """The numbers of these sheets of a chapter; the body of a process."""
    found = []
    for name, function in functions(chapter).items():
        if name in ids:
            began = time.perf_counter()
            value = float(function())
            found.append(Computed(name, value, time.perf_counter() - began))
    return found
