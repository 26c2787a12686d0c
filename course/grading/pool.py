"""Each submission in a process of its own, several at a time; one that dies dies alone."""

import contextlib
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from course.grading import processes, report, results
from course.grading.confine import Limits
from course.grading.problems import Cell, Problems
from course.grading.results import Result, Row, Status
from course.grading.sandbox import USERS
from course.grading.score import grade, zero
from course.grading.submissions import Submission, UnreadableError, belongs_to, read

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_GRACE = 60  # seconds that a worker may take beyond what the submission and the tests may


@dataclass(frozen=True)
class Job:
    """A submission to grade, or a set's own reference solution, and where its result goes."""

    submission: Submission
    result: Path
    known: dict[str, Problems]
    forced: str
    """The set that it answers, whatever it says; empty where it says so itself."""
    limits: Limits
    reference: bool = False


def work(job: Job, number: int) -> None:
    """Grade one submission and store the result; the body of a worker process."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command itself ends its workers
    processes.adopt()
    import resource  # not on Windows

    most = 2 * max(job.limits.memory, 2**32)  # what came back may make even a test want too much
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    report.write(job.result, results.text_of(_graded(job, number)))


def _graded(job: Job, number: int) -> Result:
    """A submission's result, also of one that cannot be read."""
    student = job.submission.student
    try:
        content = _reference(job) if job.reference else _content(job)
    except UnreadableError as reason:
        words = str(reason)[:1].upper() + str(reason)[1:] + "."
        rows: tuple[Row, ...] = (Row("", 0.0, 0.0, Status.UNREADABLE, words),)
        if job.forced:
            rows = zero(job.known[job.forced], words)
        return Result(student, job.forced, rows)
    rows = grade(content.problems, content.cells, job.limits, number)
    return Result(student, content.problems.name, rows)


class _Content(NamedTuple):
    problems: Problems
    cells: Sequence[Cell]


def _reference(job: Job) -> _Content:
    problems = job.known[job.forced]
    return _Content(problems, problems.cells)


def _content(job: Job) -> _Content:
    path = job.submission.path
    notebook = read(path)
    problems = belongs_to(path, notebook, job.known.values(), job.forced)
    return _Content(problems, notebook.cells)


def _stop(*_: object) -> None:
    raise SystemExit(1)


def _longest(job: Job) -> float:
    """Seconds after which a worker has lost its way."""
    tests = max(len(problems.tests) for problems in job.known.values())
    return job.limits.total + job.limits.test * tests + _GRACE


def run_all(jobs: Sequence[Job], workers: int, done: int) -> None:
    """Work through the jobs, with a progress bar; a job without a result at the end has failed.

    Args:
        jobs: what is to be graded.
        workers: how many at a time.
        done: how many were graded before, for the bar.
    """
    context: Any = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(["course.grading.pool", "torch"])
    living: set[Any] = set()

    def one(number: int, job: Job) -> None:
        worker = context.Process(target=work, args=(job, number % USERS), daemon=True)
        try:
            worker.start()
            living.add(worker)
            worker.join(_longest(job))
            worker.terminate()
            worker.join(_GRACE)
            if worker.is_alive():
                processes.end(worker.pid)
            worker.join()
        finally:
            living.discard(worker)

    pool = ThreadPoolExecutor(workers)
    with tqdm(total=done + len(jobs), initial=done, unit="notebook") as bar:
        try:
            for future in as_completed(
                [pool.submit(one, number, job) for number, job in enumerate(jobs)]
            ):
                future.result()
                bar.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in list(living):
                worker.terminate()
            pool.shutdown()
