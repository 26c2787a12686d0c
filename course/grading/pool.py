"""Each submission in a process of its own, several at a time; one that dies takes nothing else with it."""

import contextlib
import json
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from course.grading import processes, report
from course.grading.confine import Limits
from course.grading.problems import Cell, Problems
from course.grading.sandbox import USERS
from course.grading.score import grade, zero
from course.grading.submissions import Submission, UnreadableError, belongs_to, read

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_GRACE = 60  # seconds that a worker may take beyond what the submission and the tests may


@dataclass(frozen=True)
class Job:
    """A submission to grade, or a set's own reference solution, and where its result goes."""

    submission: Submission
    result: str
    known: dict[str, Problems]
    forced: str
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
    name = job.forced
    try:
        if job.reference:
            problems, cells = job.known[name], list(job.known[name].cells)
        else:
            problems, cells = _content(job)
        name, rows = problems.name, grade(problems, cells, job.limits, number)
    except UnreadableError as reason:
        words = str(reason)[:1].upper() + str(reason)[1:] + "."
        blank = {"question": "", "points": 0.0, "of": 0.0, "status": "unreadable", "reason": words}
        rows = zero(job.known[name], words) if name else [blank]
    result = {"student": job.submission.student, "set": name, "rows": rows}
    report.write(Path(job.result), json.dumps(result))


def _content(job: Job) -> tuple[Problems, list[Cell]]:
    cells, said = read(job.submission.path)
    return belongs_to(job.submission.path, cells, said, job.known.values(), job.forced), cells


def _stop(*_: object) -> None:
    raise SystemExit(1)


def run_all(jobs: Sequence[Job], workers: int, done: int) -> None:
    """Work through the jobs with a progress bar on standard error; a job without a result at the end has failed.

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
            worker.join(job.limits.total + job.limits.test * max(len(p.tests) for p in job.known.values()) + _GRACE)
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
            for future in as_completed([pool.submit(one, number, job) for number, job in enumerate(jobs)]):
                future.result()
                bar.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in list(living):
                worker.terminate()
            pool.shutdown()
