"""The list of errors to plant, and what it means that one is caught."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.planted.outcomes import Failure


class ListError(Exception):
    """The list of mutants does not fit the project."""


class Mutant(NamedTuple):
    """One planted error: in ``file``, ``find`` becomes ``replace``; ``checks`` must notice."""

    name: str
    file: str
    find: str
    replace: str
    checks: tuple[str, ...]


class Result(NamedTuple):
    """What became of a mutant: "caught", "SURVIVED" or "BROKEN"; by what; in how many seconds; at which check."""

    mutant: Mutant
    state: str
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
        ListError: if the text to find is not there exactly once, changes nothing, or a check is missing.
    """
    rows = tomllib.loads((root / "tests/planted/errors.toml").read_text(encoding="utf-8")).get("mutant", [])
    mutants, problems = [], []
    for row in rows if not file else [row for row in rows if row.get("file") == file]:
        try:
            mutant = Mutant(**{"checks": ()} | row)
        except TypeError as error:
            problems.append(f"{row.get('name', row)}: needs name, file, find, replace and perhaps checks ({error})")
            continue
        mutants.append(mutant._replace(checks=tuple(mutant.checks) or default_checks(root, mutant.file)))
        problems += [f"{mutant.name}: {problem}" for problem in problems_of(root, mutants[-1])]
    names = [mutant.name for mutant in mutants]
    problems += [f"{name}: the name is given twice" for name in {name for name in names if names.count(name) > 1}]
    if problems or not (mutants or file):
        raise ListError("tests/planted/errors.toml is out of date:\n  " + "\n  ".join(problems or ["it is empty"]))
    return mutants


def default_checks(root: Path, file: str) -> tuple[str, ...]:
    """A module's unit test, or that of its folder; a chapter's notebook."""
    path = Path(file)
    if path.parent.name == "source":
        return (f"notebooks/{path.stem}.ipynb",)
    tests = [f"tests/test_{name}.py" for name in (path.stem, path.parent.name)]
    return tuple(test for test in tests if (root / test).exists())[:1]


def problems_of(root: Path, mutant: Mutant) -> Iterator[str]:
    """Why a mutant cannot be planted in these files."""
    path = root / mutant.file
    found = path.read_text(encoding="utf-8").count(mutant.find) if path.is_file() and mutant.find else 0
    if found != 1:
        yield f"the text to find stands {found} times in {mutant.file}, must be once: {mutant.find!r}"
    if mutant.find == mutant.replace:
        yield "find and replace are the same"
    if not mutant.checks:
        yield f"name its checks: {mutant.file} has no unit test of its own name"
    for check in mutant.checks:
        if not (root / check.partition("::")[0]).is_file():
            yield f"its check {check} does not exist"
    if is_chapter(mutant) and notebook_of(mutant) not in mutant.checks:
        yield f"its checks must hold {notebook_of(mutant)}"


def is_chapter(mutant: Mutant) -> bool:
    return mutant.file.startswith("notebooks/source/")


def notebook_of(mutant: Mutant) -> str:
    return f"notebooks/{Path(mutant.file).stem}.ipynb"


def judge(mutant: Mutant, failures: list[Failure], seconds: float) -> Result:
    """The first failure decides: caught if something was found not to hold."""
    if not failures:
        return Result(mutant, "SURVIVED", f"passed {' '.join(mutant.checks)}", seconds)
    first = failures[0]
    if first.kind == "error":
        return Result(mutant, "BROKEN", f"{first.where}: {first.message}", seconds)
    claim_id = first.message.removeprefix("ClaimError: ").split()[0] if first.kind == "claim" else ""
    what = {"claim": f"claim {claim_id}", "output": "output differs"}.get(first.kind, "")
    where = first.where.removeprefix("tests/").removeprefix("notebooks/").replace(".ipynb", "")
    return Result(mutant, "caught", f"{where} {what}".strip(), seconds, first.where)
