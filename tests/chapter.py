"""A writer's loop: execute a chapter, store what it gives, try its rules and planted errors.

    python -m tests.chapter 08    (or `make chapter N=08`)

The chapter runs once. Where a cell fails, nothing is written. Where all cells run, the notebook is
written, the cells whose outputs are new are named, and the errors of tests/planted/errors.toml are
planted in copies of this very run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import nbval.plugin  # noqa: F401  (before the libraries: so that copies have it)

from book.execute import NOTEBOOKS, ROOT, SOURCE, read_source, write_cover
from book.running import forks, records, terminal
from book.running.records import Run
from tests.planted import chapters
from tests.planted.__main__ import line
from tests.planted.errors import ListError, Result, State, load
from tests.planted.planting import of_plant, plants


def rules(stem: str) -> int:
    """Try the rules for one chapter; the exit status."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_notebooks.py",
        "-k",
        stem,
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def tell(result: Result) -> None:
    """Print one planted error's fate."""
    print(line(result), flush=True)


def run(source: Path, workers: int) -> int:
    """Do all of it for one chapter.

    Args:
        source: its py:percent source.
        workers: processes at a time.

    Returns:
        The exit status.

    Raises:
        ListError: if an error of the list does not fit the chapter.
    """
    began = datetime.now(UTC).isoformat(timespec="seconds")
    notebook = read_source(source)
    target = NOTEBOOKS / f"{source.stem}.ipynb"
    mutants = load(ROOT, source.relative_to(ROOT).as_posix())
    named = {mutant.name: mutant for mutant in mutants}
    job = chapters.Job(target, source=notebook, plants=plants(mutants, notebook))
    forks.warm()
    with tempfile.TemporaryDirectory() as folder:
        (result,) = chapters.run_chapters(
            [job], workers, Path(folder), lambda planted: tell(of_plant(named, planted))
        )
    for failure in result.failures:
        print(f"{failure.where}: {failure.message}")
    if result.failures:
        print("Nothing was written.")
        return 1
    records.note(target, source, Run(source.stem, began, result.seconds))
    if source.stem.startswith("00_"):
        write_cover()
    new = (
        f"new outputs in code cells {', '.join(map(str, result.changed))}"
        if result.changed
        else "outputs as before"
    )
    print(f"{target.relative_to(ROOT)}: {result.seconds} s; {new}")
    if missing := named.keys() - {planted.name for planted in result.planted}:
        why = "as they are not in one code cell (`make mutants` tries them)"
        print(f"not tried, {why}: {', '.join(sorted(missing))}")
    states = [of_plant(named, planted).state for planted in result.planted]
    caught = states.count(State.CAUGHT)
    print(f"{len(states)} planted errors, {caught} caught")
    return max(rules(source.stem), caught < len(states))


def main() -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("number", help="the chapter's number, such as 08")
    parser.add_argument(
        "--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes at a time"
    )
    options = parser.parse_args()
    found = sorted(SOURCE.glob(f"{options.number.zfill(2)}_*.py"))
    if len(found) != 1:
        parser.error(
            f"no chapter has the number {options.number}: N=08 means notebooks/source/08_….py"
        )
    if not forks.available():
        way = "run `make notebooks`, `make test` and `make mutants`"
        parser.error(f"processes cannot be copied on this system: {way}")
    began = time.perf_counter()
    try:
        (source,) = found
        status = run(source, options.workers)
    except ListError as error:
        print(error, file=sys.stderr)
        status = 2
    print(f"{time.perf_counter() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
