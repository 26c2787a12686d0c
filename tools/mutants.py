"""Plant errors, one at a time, in a copy of the project; each must be caught by a claim, a test or a compared output.

    python tools/mutants.py [WORDS ...]    the mutants whose name or file holds one of the words; default: all

The list is tests/mutants.toml. A mutant that no check notices survived; one that ends in a mere error (a name that does
not exist, a wrong type) is broken: it says nothing about the checks. Both make this tool fail.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import nbformat
from outcomes import THREADS, Failure, PytestError, run_pytest

from notebooks import read_source

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("l2lib", "notebooks", "assignments", "grading", "tests", "tools", "conftest.py", "pyproject.toml")
SECONDS = 180  # a mutant that needs longer is broken: it probably made a loop endless


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
    """What became of a mutant: "caught", "SURVIVED" or "BROKEN"; by what; in how many seconds."""

    mutant: Mutant
    state: str
    by: str
    seconds: float


# ---- the list ------------------------------------------------------------------------------
def load(root: Path) -> list[Mutant]:
    """Read the list, and refuse it whole if any entry does not fit the files as they are now.

    Raises:
        ListError: if the text to find is not there exactly once, changes nothing, or a check is missing.
    """
    rows = tomllib.loads((root / "tests/mutants.toml").read_text(encoding="utf-8")).get("mutant", [])
    mutants, problems = [], []
    for row in rows:
        try:
            mutant = Mutant(**{"checks": ()} | row)
        except TypeError as error:
            problems.append(f"{row.get('name', row)}: needs name, file, find, replace and perhaps checks ({error})")
            continue
        mutants.append(mutant._replace(checks=tuple(mutant.checks) or default_checks(root, mutant.file)))
        problems += [f"{mutant.name}: {problem}" for problem in problems_of(root, mutants[-1])]
    names = [mutant.name for mutant in mutants]
    problems += [f"{name}: the name is given twice" for name in {name for name in names if names.count(name) > 1}]
    if problems or not mutants:
        raise ListError("tests/mutants.toml is out of date:\n  " + "\n  ".join(problems or ["it is empty"]))
    return mutants


def default_checks(root: Path, file: str) -> tuple[str, ...]:
    """A module's unit test; a chapter's notebook."""
    path = Path(file)
    if path.parent.name == "source":
        return (f"notebooks/{path.stem}.ipynb",)
    test = f"tests/test_{path.stem}.py"
    return (test,) if (root / test).exists() else ()


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


# ---- copies --------------------------------------------------------------------------------
def copy_tree(root: Path, into: Path) -> Path:
    """Copy what the checks need, and make sure that the copy's l2lib is the one that is imported."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "browser")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, into / name, ignore=ignore)
        elif (root / name).exists():
            shutil.copy(root / name, into / name)
    (into / "notebooks").mkdir(exist_ok=True)
    command = [sys.executable, "-c", "import l2lib; print(l2lib.__file__)"]
    environment = {**os.environ, **variables(into)}
    shown = subprocess.run(command, cwd=into / "notebooks", env=environment, capture_output=True, text=True, check=True)
    if not Path(shown.stdout.strip()).resolve().is_relative_to(into.resolve()):
        raise ListError(f"the copy in {into} is not what gets imported, but {shown.stdout.strip()}")
    return into


def variables(tree: Path) -> dict[str, str]:
    """Environment in which a copy is checked: its own l2lib, one thread, the seeds the book was written with."""
    return dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(tree), "L2LIB_SEED": "0"}


@contextlib.contextmanager
def planted(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The copy with the error in it; afterwards as it was."""
    paths = [tree / mutant.file] + ([tree / notebook_of(mutant)] if is_chapter(mutant) else [])
    before = [path.read_bytes() for path in paths]
    try:
        text = before[0].decode("utf-8")
        paths[0].write_bytes(text.replace(mutant.find, mutant.replace).encode("utf-8"))
        forget_compiled(paths[0])
        if is_chapter(mutant):
            put_source_into_notebook(paths[0], paths[1])
        yield
    finally:
        for path, content in zip(paths, before, strict=True):
            path.write_bytes(content)
        forget_compiled(paths[0])


def forget_compiled(module: Path) -> None:
    """Python takes an edit of equal length within the same second for no edit, and would run the old bytecode."""
    shutil.rmtree(module.parent / "__pycache__", ignore_errors=True)


def put_source_into_notebook(source: Path, notebook: Path) -> None:
    """Give the stored notebook the cells of the changed source, and leave it the outputs of the right one."""
    stored = nbformat.read(notebook, as_version=4)
    changed = read_source(source)
    if [cell.cell_type for cell in changed.cells] != [cell.cell_type for cell in stored.cells]:
        raise ListError(f"{source.name}: the cells are not the notebook's cells; run `make notebooks`")
    for old, new in zip(stored.cells, changed.cells, strict=True):
        old.source = new.source
    nbformat.write(stored, notebook)


# ---- runs ----------------------------------------------------------------------------------
def check_unchanged(tree: Path, mutants: list[Mutant]) -> None:
    """Every check passes where nothing is planted, else a failure would prove nothing.

    Raises:
        ListError: if one does not.
    """
    checks = dict.fromkeys(check for mutant in mutants for check in mutant.checks)
    failures = run_pytest(list(checks), root=tree, environment=variables(tree))
    if failures:
        lines = [f"{failure.where}: {failure.message}" for failure in failures]
        raise ListError("the checks fail without any planted error:\n  " + "\n  ".join(lines))


def try_mutant(tree: Path, mutant: Mutant) -> Result:
    """Plant one error in a copy, and run its checks up to the first failure: tests first, they are faster."""
    began = time.perf_counter()
    notebooks = [check for check in mutant.checks if ".ipynb" in check]
    tests = [check for check in mutant.checks if ".ipynb" not in check]
    failures: list[Failure] = []
    try:
        with planted(tree, mutant):
            if tests:
                failures = first_failure(tree, ["-o", "addopts=", *tests])
            if notebooks and not failures:
                nbval = "addopts=--nbval --nbval-current-env --nbval-cell-timeout=60"
                failures = first_failure(tree, ["-p", "nbval.plugin", "-o", nbval, *notebooks])
    except PytestError as error:
        failures = [Failure("pytest", "error", str(error))]
    return judge(mutant, failures, time.perf_counter() - began)


def first_failure(tree: Path, arguments: list[str]) -> list[Failure]:
    """Run pytest up to the first failure, in one process and without plugins, which would double its start."""
    environment = variables(tree) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run_pytest(["-x", *arguments], root=tree, environment=environment, seconds=SECONDS)


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
    return Result(mutant, "caught", f"{where} {what}".strip(), seconds)


def run(root: Path, mutants: list[Mutant], workers: int) -> list[Result]:
    """Try the mutants, each worker in a copy of its own; print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            trees.put(copy_tree(root, Path(folder) / str(number)))
        tree = trees.get()
        check_unchanged(tree, mutants)
        trees.put(tree)
        widths = [max(len(mutant[i]) for mutant in mutants) for i in (0, 1)]

        def work(mutant: Mutant) -> Result:
            tree = trees.get()
            try:
                result = try_mutant(tree, mutant)
            finally:
                trees.put(tree)
            columns = [mutant.name.ljust(widths[0]), mutant.file.ljust(widths[1]), f"{result.seconds:5.1f} s"]
            print("  ".join([result.state.ljust(8), *columns, result.by]), flush=True)
            return result

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, mutants))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants whose name or file holds one of these")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project; default: this one")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="mutants at a time")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    try:
        mutants = load(options.root)
        wanted = [m for m in mutants if not options.words or any(word in m.name + m.file for word in options.words)]
        if not wanted:
            raise ListError(f"no mutant's name or file holds {' or '.join(options.words)}")
        results = run(options.root, wanted, options.workers)
    except (ListError, PytestError) as error:
        print(error, file=sys.stderr)
        return 2
    counts = {state: sum(result.state == state for result in results) for state in ("caught", "SURVIVED", "BROKEN")}
    summary = ", ".join(f"{count} {state.lower()}" for state, count in counts.items())
    print(f"{len(results)} mutants: {summary} ({time.perf_counter() - began:.0f} s)")
    return 0 if counts["caught"] == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
