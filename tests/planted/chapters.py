"""Run chapters in copies of a warm process, and, from any cell on, with an error planted in it.

    python -m tests.planted.chapters [--lax] [--notebooks DIR] [WORDS ...]    run, compare with the stored outputs

A chapter's process runs its cells one after another. Before a cell in which errors are to be planted it leaves a copy
of itself; when the chapter has come to its end, and only if all was well, the copies run on with the wrong cells.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode

from book.execute import NOTEBOOKS, write
from book.running import forks
from book.running.cells import Ran, Session, code_cells, finished, read
from tests.planted.compare import failure_of
from tests.planted.outcomes import Failure

PLANT_SECONDS = 180  # an error that needs longer has probably made a loop endless
CHAPTER_SECONDS = 1800


class Plant(NamedTuple):
    """An error to plant: in the code cell of this number, what ``find`` says becomes ``replace``."""

    name: str
    cell: int
    find: str
    replace: str


class Job(NamedTuple):
    """A chapter to run."""

    notebook: Path
    """What is stored: the cells to run, and the outputs to compare with."""
    source: NotebookNode | None = None
    """Other cells to run than the stored ones; what they give is stored if none fails."""
    compares: bool = True
    """Outputs must be the stored ones; else only every cell must run."""
    plants: tuple[Plant, ...] = ()


class Planted(NamedTuple):
    """The first thing that an error made fail, if any, in so many seconds."""

    name: str
    failure: Failure | None
    seconds: float


class Result(NamedTuple):
    """What became of a chapter: what failed, which cells' outputs are new, and what became of its errors."""

    chapter: str
    seconds: float
    failures: list[Failure]
    changed: list[int]
    planted: list[Planted]


def run_chapters(
    jobs: Sequence[Job], workers: int, folder: Path, tell: Callable[[Planted], None] = lambda planted: None
) -> Iterator[Result]:
    """Run chapters, the longest first as far as their files tell; ``forks.warm`` must have been called.

    Args:
        jobs: what to run.
        workers: processes that work at a time.
        folder: for a file of locks; must be empty at the start and stay until the end.
        tell: called for each planted error when it is tried, in a process of its own.

    Yields:
        A result for each job, as they end.
    """
    slots = forks.Slots(folder / "slots", workers)
    for number, result in forks.run_all(
        [partial(_chapter, job, slots, tell) for job in jobs], workers, CHAPTER_SECONDS
    ):
        name = jobs[number].notebook.stem
        if isinstance(result, forks.EndedError):
            yield Result(name, 0.0, [Failure(name, "error", str(result))], [], [])
        else:
            failures, planted = ([Failure(*row) for row in result[2]], [_planted(row) for row in result[4]])
            yield Result(result[0], result[1], failures, result[3], planted)


def _planted(row: Any) -> Planted:
    return Planted(row[0], Failure(*row[1]) if row[1] else None, row[2])


def _chapter(job: Job, slots: forks.Slots, tell: Callable[[Planted], None]) -> Result:
    """Run one chapter, then its planted errors; the body of a process."""
    os.chdir(job.notebook.parent)
    began = time.perf_counter()
    stored = read(job.notebook) if job.notebook.exists() else None
    notebook = job.source or stored
    assert notebook is not None
    cells = code_cells(notebook)
    before = [cell.outputs for cell in code_cells(stored)] if stored else []
    if len(before) != len(cells):
        before = [[] for _ in cells]
    waiting: list[tuple[forks.Child, int]] = []
    with slots:
        session, ran, failures, changed = Session(), list[Ran](), list[Failure](), list[int]()
        for number, cell in enumerate(cells):
            if plants := [plant for plant in job.plants if plant.cell == number]:
                waiting.append(_leave_copy(partial(_try, session, cells, plants, job, slots, tell)))
            ran.append(session.run(cell.source))
            where = f"{job.notebook.stem}::Cell {number}"
            compares = job.compares and job.source is None
            if failure := failure_of(where, ran[-1], before[number]):
                changed.append(number)
                failures += [failure] if compares or failure.kind != "output" else []
        if job.source is not None and not failures:
            write(finished(notebook, ran), job.notebook)
    seconds = time.perf_counter() - began
    return Result(job.notebook.stem, round(seconds, 1), failures, changed, _release(waiting, go=not failures))


def _leave_copy(function: Callable[[], Any]) -> tuple[forks.Child, int]:
    """A copy of this process that waits for a word; the word's pipe."""
    theirs, ours = os.pipe()

    def wait() -> Any:
        os.close(ours)
        return function() if os.read(theirs, 1) else []

    child = forks.start(wait, CHAPTER_SECONDS)
    os.close(theirs)
    return child, ours


def _release(waiting: list[tuple[forks.Child, int]], go: bool) -> list[Planted]:
    for _, word in waiting:
        if go:
            os.write(word, b"g")
        os.close(word)
    return [_planted(row) for child, _ in waiting for row in forks.collect(child)]


def _try(session: Session, cells: list[NotebookNode], plants: list[Plant], job: Job, slots: forks.Slots,
         tell: Callable[[Planted], None]) -> list[Planted]:  # fmt: skip
    """Try one error after another, each in a copy of the chapter as it is before the cell."""
    stored = [cell.outputs for cell in code_cells(read(job.notebook))]
    tried = []
    for plant in plants:
        with slots:
            began = time.perf_counter()
            body = partial(first_failure, session, cells, stored, plant, job.notebook.stem)
            try:
                row = forks.call(body, PLANT_SECONDS)
                failure = Failure(*row) if row else None
            except forks.EndedError as error:
                failure = Failure(job.notebook.stem, "error", str(error))
            tried.append(Planted(plant.name, failure, round(time.perf_counter() - began, 2)))
        tell(tried[-1])
    return tried


def first_failure(session: Session, cells: list[NotebookNode], stored: list[list[NotebookNode]], plant: Plant,
                  chapter: str) -> Failure | None:  # fmt: skip
    """Run a chapter from a planted error on, and stop where something is no longer as stored."""
    for number in range(plant.cell, len(cells)):
        code = cells[number].source
        if number == plant.cell:
            code = code.replace(plant.find, plant.replace)
        if failure := failure_of(f"{chapter}::Cell {number}", session.run(code), stored[number]):
            return failure
    return None


# ---- from the command line: one setting of the environment, such as an instruction set ------------
def check(paths: Sequence[Path], workers: int, folder: Path, compares: bool = True) -> list[Result]:
    """Run stored chapters and compare them, or, if not asked to compare, see that every claim holds."""
    forks.warm()
    jobs = [Job(path.resolve(), compares=compares) for path in sorted(paths, key=lambda path: -path.stat().st_size)]
    return list(run_chapters(jobs, workers, folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only chapters whose file's name holds one of these")
    parser.add_argument("--lax", action="store_true", help="outputs may differ, but every claim must hold")
    parser.add_argument("--notebooks", type=Path, default=NOTEBOOKS, help="folder of executed notebooks")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="chapters at a time")
    parser.add_argument("--json", type=Path, help="file for the failures")
    options = parser.parse_args()
    paths = [path for path in sorted(options.notebooks.glob("*.ipynb"))
             if not options.words or any(word in path.stem for word in options.words)]  # fmt: skip
    if not paths:
        parser.error(f"no notebook in {options.notebooks} has such a name")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        results = check(paths, options.workers, Path(folder), not options.lax)
    for result in results:
        print(f"{result.chapter}: {result.seconds} s")
        for failure in result.failures:
            print(f"    {failure.where}: {failure.message}")
    failures = [failure for result in results for failure in result.failures]
    if options.json:
        options.json.write_text(json.dumps(failures), encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
