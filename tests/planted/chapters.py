"""Run chapters in copies of a warm process, and, from any cell on, with an error planted in it.

    python -m tests.planted.chapters [--lax] [--notebooks DIR] [WORDS ...]

    run chapters, and compare what they give with the stored outputs

A chapter's process runs its cells one after another. Before a cell in which errors are to be
planted it leaves a copy of itself; when the chapter has come to its end, and only if all was well,
the copies run on with the wrong cells.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode

from book import sentences
from book.execute import NOTEBOOKS, SOURCE, write
from book.running import forks, terminal
from book.running.cells import Ran, Session, code_cells, finished, read
from tests.again import contradictions
from tests.planted.compare import failure_of
from tests.planted.outcomes import Failure, Kind, failures_in, shorten
from tests.rows import Row, helpers, placed

PLANT_SECONDS = 180  # an error that needs longer has probably made a loop endless
CHAPTER_SECONDS = 1800


class Plant(NamedTuple):
    """An error to plant: in this code cell, what ``find`` says becomes ``replace``."""

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
    """What became of a chapter: what failed, which cells' outputs are new, and what became of its
    errors.
    """

    chapter: str
    seconds: float
    failures: list[Failure]
    changed: list[int]
    planted: list[Planted]


def result_in(row: Sequence[Any]) -> Result:
    """A result that JSON has made lists of."""
    chapter, seconds, failures, changed, planted = row
    return Result(chapter, seconds, failures_in(failures), changed, planted_in(planted))


def planted_in(rows: Iterable[Sequence[Any]]) -> list[Planted]:
    """Tried errors that JSON has made lists of."""
    found = []
    for name, failure, seconds in rows:
        failures = failures_in([failure] if failure else [])
        found.append(Planted(name, next(iter(failures), None), seconds))
    return found


def run_chapters(
    jobs: Sequence[Job],
    workers: int,
    folder: Path,
    tell: Callable[[Planted], None] = lambda planted: None,
) -> Iterator[Result]:
    """Run chapters, in the order of the jobs; ``forks.warm`` must have been called.

    Args:
        jobs: what to run.
        workers: processes that work at a time.
        folder: for a file of locks; must be empty at the start and stay until the end.
        tell: called for each planted error when it is tried, in a process of its own.

    Yields:
        A result for each job, as they end.
    """
    slots = forks.Slots(folder / "slots", workers)
    bodies = [partial(_chapter, job, slots, tell) for job in jobs]
    for number, row in forks.run_all(bodies, workers, CHAPTER_SECONDS):
        if isinstance(row, forks.EndedError):
            name = jobs[number].notebook.stem
            yield Result(name, 0.0, [Failure(name, Kind.ERROR, str(row))], [], [])
        else:
            yield result_in(row)


class _Waiting(NamedTuple):
    """A copy of a chapter's process that waits for a word."""

    child: forks.Child
    word: int
    """The pipe for it."""


def _chapter(job: Job, slots: forks.Slots, tell: Callable[[Planted], None]) -> Result:
    """Run one chapter, then its planted errors; the body of a process."""
    os.chdir(job.notebook.parent)
    began = time.perf_counter()
    chapter = _Chapter(job, slots, tell)
    with slots:
        chapter.run()
        if job.source is not None and not chapter.failures:
            write(finished(job.source, chapter.ran), job.notebook)
    seconds = round(time.perf_counter() - began, 1)
    planted = _release(chapter.waiting, go=not chapter.failures)
    return Result(job.notebook.stem, seconds, chapter.failures, chapter.changed, planted)


class _Chapter:
    """A chapter that runs in this process, and what has come of it so far."""

    def __init__(self, job: Job, slots: forks.Slots, tell: Callable[[Planted], None]) -> None:
        self.job = job
        self.slots = slots
        self.tell = tell
        notebook = job.source or read(job.notebook)
        self.session = Session(notebook)
        self.cells = code_cells(notebook)
        self.stored = Stored.of(job.notebook, notebook)
        self.ran: list[Ran] = []
        self.failures: list[Failure] = []
        self.changed: list[int] = []
        self.waiting: list[_Waiting] = []

    def run(self) -> None:
        """Run all cells; before one in which errors are to be planted, leave a copy."""
        for number, cell in enumerate(self.cells):
            plants = [plant for plant in self.job.plants if plant.cell == number]
            if plants:
                self.waiting.append(_leave_copy(partial(self.try_each, plants)))
            ran = self.session.run(cell.source)
            self.ran.append(ran)
            where = f"{self.job.notebook.stem}::Cell {number}"
            if failure := self.stored.failure(where, ran, number):
                self.note(number, failure)

    def note(self, number: int, failure: Failure) -> None:
        """Keep that a cell is not as stored; it has failed unless outputs may differ."""
        self.changed.append(number)
        compares = self.job.compares and self.job.source is None
        if compares or failure.kind is not Kind.OUTPUT:
            self.failures.append(failure)

    def try_each(self, plants: list[Plant]) -> list[Planted]:
        """Try one error after another, each in a copy of the chapter as it is before the cell."""
        chapter = self.job.notebook.stem
        # By now the notebook may have been written anew.
        stored = Stored.of(self.job.notebook)
        tried = []
        for plant in plants:
            with self.slots:
                began = time.perf_counter()
                body = partial(first_failure, self.session, self.cells, stored, plant, chapter)
                failure = _call(body, chapter)
                seconds = round(time.perf_counter() - began, 2)
            tried.append(Planted(plant.name, failure, seconds))
            self.tell(tried[-1])
        return tried


class Stored(NamedTuple):
    """What a stored chapter shows: outputs cell by cell, and the numbers in its sentences."""

    outputs: list[list[NotebookNode]]
    numbers: dict[str, str]

    @classmethod
    def of(cls, notebook: Path, cells: NotebookNode | None = None) -> "Stored":
        """What a notebook shows; nothing, where it is not there or has not these cells."""
        there = read(notebook) if notebook.exists() else None
        wanted = cells or there
        n = len(code_cells(wanted)) if wanted else 0
        if there is None or len(code_cells(there)) != n:
            return cls([[] for _ in range(n)], {})
        return cls([cell.outputs for cell in code_cells(there)], sentences.stored(there))

    def failure(self, where: str, ran: Ran, number: int) -> Failure | None:
        """What is wrong with a cell that has run."""
        return failure_of(where, ran, self.outputs[number], self.numbers)


def _call(body: Callable[[], Failure | None], chapter: str) -> Failure | None:
    """What fails in a copy of this process, if anything."""
    try:
        row = forks.call(body, PLANT_SECONDS)
    except forks.EndedError as error:
        return Failure(chapter, Kind.ERROR, str(error))
    return next(iter(failures_in([row] if row else [])), None)


def _leave_copy(function: Callable[[], Any]) -> _Waiting:
    """A copy of this process that waits for a word."""
    theirs, ours = os.pipe()

    def wait() -> Any:
        os.close(ours)
        return function() if os.read(theirs, 1) else []

    child = forks.start(wait, CHAPTER_SECONDS)
    os.close(theirs)
    return _Waiting(child, ours)


def _release(waiting: list[_Waiting], go: bool) -> list[Planted]:
    """Let the copies run, or end; what became of their errors."""
    for each in waiting:
        if go:
            os.write(each.word, b"g")
        os.close(each.word)
    return [planted for each in waiting for planted in planted_in(forks.collect(each.child))]


def first_failure(
    session: Session,
    cells: list[NotebookNode],
    stored: Stored,
    plant: Plant,
    chapter: str,
) -> Failure | None:
    """Run a chapter from a planted error on, to the first claim, assertion or error that it meets.

    A changed output alone does not stop it: had the error been there when outputs were stored, it
    would have been stored as the truth. What says so is, in this order, a claim or an assertion, a
    row of the chapter's words, or what was computed again; that something changed is said where
    nothing else comes.
    """
    changed, broken, outputs = None, None, stored.outputs[: plant.cell]
    words = placed(int(chapter[:2])) if (SOURCE / f"{chapter}.py").exists() else ()
    for number in range(plant.cell, len(cells)):
        code = cells[number].source
        if number == plant.cell:
            code = code.replace(plant.find, plant.replace)
        ran = session.run(code)
        outputs.append(ran.outputs)
        failure = stored.failure(f"{chapter}::Cell {number}", ran, number)
        if failure and failure.kind is not Kind.OUTPUT:
            return failure
        changed = changed or failure
        broken = broken or (_untrue(words[number].rows, session, chapter) if words else None)
    if broken:
        return broken
    if changed and chapter[:2].isdigit():
        every = [output for cell in outputs for output in cell]
        for said in contradictions(int(chapter[:2]), every):
            return Failure(f"{chapter}::again", Kind.ASSERTION, said)
    return changed


def _untrue(rows: Iterable[Row], session: Session, chapter: str) -> Failure | None:
    """The first of some rows that does not hold in a chapter that has run so far, if any."""
    for row in rows:
        if not holds(row, session):
            return Failure(f"{chapter}::words", Kind.ASSERTION, shorten(row.says))
    return None


def holds(row: Row, session: Session) -> bool:
    """Whether a row holds in a chapter that has run so far; one that cannot be evaluated says nothing."""
    with redirect_stdout(None), redirect_stderr(None):
        try:
            return bool(eval(row.check, {**session.shell.user_ns, **helpers(row.chapter)}))
        except Exception:
            return True


# ---- from the command line: one setting of the environment, such as an instruction set -----------
def check(paths: Sequence[Path], workers: int, compares: bool = True) -> list[Result]:
    """Run stored chapters and compare them, or, if not asked to compare, see that every claim
    holds.
    """
    forks.warm()
    longest_first = sorted(paths, key=lambda path: -path.stat().st_size)
    jobs = [Job(path.resolve(), compares=compares) for path in longest_first]
    with tempfile.TemporaryDirectory() as folder:
        return list(run_chapters(jobs, workers, Path(folder)))


def named(folder: Path, words: list[str]) -> list[Path]:
    """The notebooks in a folder whose name holds one of the words; all if there are no words."""
    paths = sorted(folder.glob("*.ipynb"))
    return [path for path in paths if not words or any(word in path.stem for word in words)]


def main() -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    two = min(2, os.cpu_count() or 1)
    add("words", nargs="*", help="only chapters whose file's name holds one of these")
    add("--lax", action="store_true", help="outputs may differ, but every claim must hold")
    add("--notebooks", type=Path, default=NOTEBOOKS, help="folder of executed notebooks")
    add("--workers", type=int, default=two, help="chapters at a time")
    add("--json", type=Path, help="file for the failures")
    asked = parser.parse_args()
    paths = named(asked.notebooks, asked.words)
    if not paths:
        parser.error(f"no notebook in {asked.notebooks} has such a name")
    failures: list[Failure] = []
    for result in check(paths, asked.workers, not asked.lax):
        print(f"{result.chapter}: {result.seconds} s")
        for failure in result.failures:
            print(f"    {failure.where}: {failure.message}")
        failures += result.failures
    if asked.json:
        asked.json.write_text(json.dumps(failures), encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
