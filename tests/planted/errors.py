"""The list of errors to plant, and what it means that one is caught."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from tests.planted.outcomes import Failure, Kind

LIST = "tests/planted/errors.toml"
WORDS = (
    "tests/test_words.py::test_every_number_in_words_is_bound[{}]",
    "tests/test_directions.py::test_the_sentence_stands_there_once[{}]",
    "tests/test_directions.py::test_the_number_is_shown[{}]",
    "tests/test_exercises.py::test_the_exercises_still_say_what_is_tried_here[{}]",
)


class ListError(Exception):
    """The list of mutants does not fit the project."""


class Mutant(NamedTuple):
    """One planted error: in ``file``, ``find`` becomes ``replace``; ``checks`` must notice."""

    name: str
    file: str
    find: str
    replace: str
    checks: tuple[str, ...]


class State(StrEnum):
    """What became of a mutant.

    An error that only changes an output is noticed today; had its author made it before the
    outputs were stored, it would have been stored as the truth.
    """

    CAUGHT = "caught"
    CHANGED = "changed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


class Result(NamedTuple):
    """What became of a mutant; by what; in how many seconds; at which check."""

    mutant: Mutant
    state: State
    by: str
    seconds: float
    where: str = ""


def load(root: Path, file: str = "") -> list[Mutant]:
    """Read the list, and refuse it whole if any entry does not fit the files as they are now.

    Args:
        root: the project.
        file: only errors in this file, of which there may be none; empty for all.

    Returns:
        The mutants, in the order of the list.

    Raises:
        ListError: if the text to find is not there exactly once, changes nothing, or a check is
            missing.
    """
    rows = tomllib.loads((root / LIST).read_text(encoding="utf-8")).get("mutant", [])
    mutants: list[Mutant] = []
    problems: list[str] = []
    for row in rows:
        try:
            mutants.append(read(root, row))
        except TypeError as error:
            need = "needs name, file, find, replace and perhaps checks"
            problems.append(f"{row.get('name', row)}: {need} ({error})")
    wanted = [mutant for mutant in mutants if file in ("", mutant.file)]
    for mutant in wanted:
        problems += problems_of(root, mutant)
    problems += [f"{name}: the name is given twice" for name in twice(mutants)]
    if not rows:
        problems.append("it is empty")
    if problems:
        raise ListError(f"{LIST} is out of date:\n  " + "\n  ".join(problems))
    return wanted


def read(root: Path, row: dict[str, Any]) -> Mutant:
    """A mutant as the list has it, with the checks that it need not name."""
    mutant = Mutant(**{"checks": ()} | row)
    return mutant._replace(
        checks=tuple(mutant.checks) or default_checks(root, mutant.file, mutant.find)
    )


def twice(mutants: list[Mutant]) -> list[str]:
    """Names that several have."""
    names = Counter(mutant.name for mutant in mutants)
    return [name for name, count in names.items() if count > 1]


def is_in_words(source: Path, text: str) -> bool:
    """Whether a text stands in a chapter's Markdown: all its lines are comments there."""
    if not source.is_file() or text not in (whole := source.read_text(encoding="utf-8")):
        return False
    start, end = whole.index(text), whole.index(text) + len(text)
    lines = whole[whole.rfind("\n", 0, start) + 1 : end].splitlines()
    return all(line.startswith("#") and not line.startswith("# %%") for line in lines)


def default_checks(root: Path, file: str, find: str) -> tuple[str, ...]:
    """A module's unit tests, or those of its folder; of a chapter's words and code what holds them."""
    path = Path(file)
    if path.parent.name == "source":
        in_words = is_in_words(root / file, find)
        if in_words:
            number = int(path.stem[:2])
            return (WORDS[0].format(path.stem), *(check.format(number) for check in WORDS[1:]))
        return (f"notebooks/{path.stem}.ipynb",)
    return tuple(unit_tests(root, path.stem) or unit_tests(root, path.parent.name))


def unit_tests(root: Path, name: str) -> list[str]:
    """The tests that a module's name stands for, its own first: the first that fails ends a trial."""
    found = sorted((root / "tests").glob(f"test_{name}_*.py"))
    own = [path for path in [root / f"tests/test_{name}.py"] if path.is_file()]
    return [f"tests/{path.name}" for path in own + found]


def problems_of(root: Path, mutant: Mutant) -> list[str]:
    """Why a mutant cannot be planted in these files, after its name."""
    return [f"{mutant.name}: {problem}" for problem in _problems_of(root, mutant)]


def _problems_of(root: Path, mutant: Mutant) -> Iterator[str]:
    """Why a mutant cannot be planted in these files."""
    found = times_found(root, mutant)
    if found != 1:
        words = f"the text to find stands {found} times in {mutant.file}, must be once"
        yield f"{words}: {mutant.find!r}"
    if mutant.find == mutant.replace:
        yield "find and replace are the same"
    if not mutant.checks:
        yield f"name its checks: {mutant.file} has no unit test of its own name"
    for check in mutant.checks:
        if not (root / check.partition("::")[0]).is_file():
            yield f"its check {check} does not exist"


def times_found(root: Path, mutant: Mutant) -> int:
    """How often the text to find stands in the file."""
    path = root / mutant.file
    if not mutant.find or not path.is_file():
        return 0
    return path.read_text(encoding="utf-8").count(mutant.find)


def is_chapter(mutant: Mutant) -> bool:
    return mutant.file.startswith("notebooks/source/")


def notebook_of(mutant: Mutant) -> str:
    return f"notebooks/{Path(mutant.file).stem}.ipynb"


def judge(mutant: Mutant, failures: list[Failure], seconds: float) -> Result:
    """The first failure decides, outputs that differ apart: caught if something does not hold."""
    if not failures:
        return Result(mutant, State.SURVIVED, f"passed {' '.join(mutant.checks)}", seconds)
    others = [failure for failure in failures if failure.kind is not Kind.OUTPUT]
    first, *_ = others or failures
    if first.kind is Kind.ERROR:
        return Result(mutant, State.BROKEN, f"{first.where}: {first.message}", seconds)
    where = first.where.removeprefix("tests/").removeprefix("notebooks/").replace(".ipynb", "")
    by = f"{where} {what_noticed(first)}".strip()
    return Result(mutant, State.CAUGHT if others else State.CHANGED, by, seconds, first.where)


def what_noticed(failure: Failure) -> str:
    """A claim by its id, or that an output differs; nothing for an assertion."""
    if failure.kind is Kind.CLAIM:
        claim_id, *_ = failure.message.removeprefix("ClaimError: ").split()
        return f"claim {claim_id}"
    return "output differs" if failure.kind is Kind.OUTPUT else ""
