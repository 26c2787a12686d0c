"""What the exercises ask a reader to change or to type gives what they promise, and no traceback of something else."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from book.execute import SOURCE, read_source
from book.sentences import filled, places
from l2lib.claims import ClaimError
from tests.needed import needed, run
from tests.unbound import in_one_place, pattern, words_of

ROWS = tomllib.loads((Path(__file__).parent / "exercises.toml").read_text(encoding="utf-8"))


# ---- which cells define what ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("cells", "last", "kept"),
    [
        (["a = 1", "b = 2", "c = a"], "c", [0, 2]),
        (["a = 1", "a = 2"], "a", [1]),
        (["a = []", "a[0] = 2"], "a", [0, 1]),
        (["a = 1", "a += 2"], "a", [0, 1]),
        (["a = 1", "a = a + 2"], "a", [0, 1]),
        (["n = 1", "for n in range(3):\n    b = n"], "b", [1]),
        (["n = 1", "b = [n for n in range(3)]"], "b", [1]),
        (["n = 1", "b = [n for _ in range(3)]"], "b", [0, 1]),
        (["n = 1", "def f(x):\n    return n * x", "n = 2"], "f(3)", [0, 1, 2]),
        (["import numpy as np", "from torch import nn", "a = np.ones(3)"], "a", [0, 2]),
    ],
)
def test_the_cells_that_are_needed(cells: list[str], last: str, kept: list[int]) -> None:
    assert needed(cells, last) == [*(cells[i] for i in kept), last]


# ---- the exercises -------------------------------------------------------------------------
class Exercise(NamedTuple):
    """A row of exercises.toml."""

    chapter: int
    number: int
    says: list[str]
    edits: tuple[tuple[str, str], ...] = ()
    types: str = ""
    fails: str = ""
    measure: str = ""
    check: str = "True"
    slow: bool = False

    def source(self) -> Path:
        """The chapter's source twin."""
        return next(SOURCE.glob(f"{self.chapter:02d}_*.py"))


EXERCISES = [Exercise(**row) for row in ROWS["exercise"]]


def texts(source: Path) -> dict[int, str]:
    """The exercises of a chapter by number, with their solutions, each on one line."""
    _, _, end = source.read_text(encoding="utf-8").partition("Exercises\n")
    lines = end.partition("\n# ## ")[0].partition("\n# **Next:**")[0]
    words = " ".join(re.sub(r"^# ?", "", lines, flags=re.MULTILINE).split())
    parts = re.split(r"\*\*(\d+)\.\*\*", words)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def code_cells(exercise: Exercise, *, edited: bool) -> list[str]:
    """The code of the chapter, with the exercise's edits and what it types, or without."""
    cells = [
        cell.source for cell in read_source(exercise.source()).cells if cell.cell_type == "code"
    ]
    for old, new in exercise.edits if edited else []:
        assert sum(cell.count(old) for cell in cells) == 1, (
            f"{old!r} must stand once in the chapter's code"
        )
        cells = [cell.replace(old, new) for cell in cells]
    return [*cells, exercise.types] if edited else cells


def attempt(exercise: Exercise, *, edited: bool) -> Any:
    """Run what the exercise needs of its chapter; the claim that must fail fails. Returns what is measured."""
    names: dict[str, Any] = {"__name__": "exercise"}
    cells = code_cells(exercise, edited=edited)
    claims = [
        cell for cell in cells if edited and exercise.fails and f'claim("{exercise.fails}"' in cell
    ]
    assert claims or not (edited and exercise.fails), f"no cell makes the claim {exercise.fails}"
    others = [cell for cell in cells if cell not in claims]
    run(needed(others, "\n".join([*claims, exercise.measure]))[:-1], names)
    if claims:
        with pytest.raises(ClaimError, match=f"^{exercise.fails} does not hold"):
            run(claims, names)
    return eval(exercise.measure, names)


@pytest.mark.parametrize(
    "exercise",
    [
        pytest.param(row, id=f"{row.chapter}.{row.number}", marks=[pytest.mark.slow] * row.slow)
        for row in EXERCISES
    ],
)
def test_an_exercise_gives_what_it_promises(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2LIB_SEED", "0")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    values = {"after": attempt(exercise, edited=True), "np": np}
    if re.search(r"\bbefore\b", exercise.check):
        values["before"] = attempt(exercise, edited=False)
    assert eval(exercise.check, values), values
    assert missing(exercise, values) == []


def missing(exercise: Exercise, values: dict[str, Any]) -> list[str]:
    """What the exercise should say, with what was measured in its places, and does not."""
    text = texts(exercise.source())[exercise.number]
    said = [
        filled(words, [eval(place.code, values) for place in places(words)])
        for words in exercise.says
    ]
    return [words for words in said if words not in text]


@pytest.mark.parametrize("chapter", sorted({row.chapter for row in EXERCISES}))
def test_the_exercises_still_say_what_is_tried_here(chapter: int) -> None:
    rows = [row for row in EXERCISES if row.chapter == chapter]
    said = texts(rows[0].source())
    gone = [
        f"{row.number}: {words}"
        for row in rows
        for words in row.says
        if not pattern(words).search(said[row.number])
    ]
    assert gone == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda row: f"{row.chapter}.{row.number}")
def test_what_an_exercise_says_stands_in_one_place(exercise: Exercise) -> None:
    """Or its places would cover the numbers of other sentences, which nobody measures."""
    with_places = [pattern(words) for words in exercise.says if "{{" in words]
    assert in_one_place(with_places, [*words_of(exercise.source())]) == with_places


def test_no_exercise_is_overlooked() -> None:
    """Each is in the list, or among those that ask for nothing to be run."""
    there = {
        (int(path.stem[:2]), number) for path in SOURCE.glob("[0-9]*.py") for number in texts(path)
    }
    tried = {(row.chapter, row.number) for row in EXERCISES}
    pencil = {
        (int(chapter), number) for chapter, numbers in ROWS["pencil"].items() for number in numbers
    }
    assert tried | pencil == there
    assert tried & pencil == set()
