"""A folder of submissions: what is graded already, what is graded now, and the reports."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from course.grading import report, results
from course.grading.confine import Limits
from course.grading.pool import Job, run_all
from course.grading.problems import Problems
from course.grading.results import Result, Row, Status
from course.grading.submissions import Submission, digest


class RefusedError(Exception):
    """The command cannot do what it was asked; the words say why."""


@dataclass(frozen=True)
class Options:
    """What is to be graded, how, and where the results go."""

    submissions: Path
    out: Path
    sources: Path
    limits: Limits
    """What a submission may use."""
    forced: str = ""
    """The set that all of them answer, whatever they say; empty where they say so themselves."""
    jobs: int = 1
    """Notebooks at a time."""
    sandbox: str = "auto"
    """ "auto", "require" or "none": see ``ways.chosen``."""

    def result(self, name: str) -> Path:
        """Where a result of this name is kept."""
        return self.out / "results" / f"{name}.json"


def fingerprint(known: dict[str, Problems], limits: Limits, *more: str) -> str:
    """A hash of all that a result depends on.

    Args:
        known: the problem sets by name.
        limits: what a submission may use.
        more: what else matters.

    Returns:
        32 hexadecimal digits, others for another source, limit, or version of this code.
    """
    files = sorted(Path(__file__).parent.rglob("*.py"))
    code = [path.read_text(encoding="utf-8") for path in files]
    limits = replace(limits, python="")  # a copy has another name each time
    sources = [problems.text for problems in known.values()]
    return _hash([*sources, *code, json.dumps(asdict(limits)), *more])


def _hash(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def check_references(known: dict[str, Problems], options: Options) -> None:
    """Grade the sets' own solutions first: what they lose, the set-up loses them.

    Args:
        known: the problem sets by name.
        options: what is to be graded, and how.

    Raises:
        RefusedError: if one does not score full.
    """
    names = [options.forced] if options.forced else list(known)
    jobs = [_reference_job(name, known, options) for name in names]
    run_all([job for job in jobs if results.load(job.result) is None], options.jobs, 0)
    for job in jobs:
        for row in _result_of(job).rows:
            if row.status not in (Status.RIGHT, Status.BY_HAND):
                job.result.unlink(missing_ok=True)
                what = f"the {job.submission.student} fails {row.question} here ({row.reason})"
                ask = "is the machine too slow, a package missing, or a limit too tight?"
                raise RefusedError(f"{what}, so nobody can be graded: {ask}")


def _reference_job(name: str, known: dict[str, Problems], options: Options) -> Job:
    """The job of grading a set's own solution."""
    nobody = Submission("", f"reference solution of {name}", "")
    path = options.result(f"reference-{fingerprint({name: known[name]}, options.limits)}")
    return Job(nobody, path, known, name, options.limits, reference=True)


def grade_all(found: Sequence[Submission], known: dict[str, Problems], options: Options) -> int:
    """Grade what has no result yet, then write all reports.

    Args:
        found: the submissions.
        known: the problem sets by name.
        options: what is to be graded, and how.

    Returns:
        0, or 1 if something could not be graded.

    Raises:
        ValueError: if there is a grades.csv that cannot be read.
    """
    grades = options.out / "grades.csv"
    memory = options.out / "results/.by-hand"
    by_hand = {f"{name}/{each}" for name, problems in known.items() for each in problems.by_hand}
    # Now, too: a table that cannot be read is found before the work.
    report.filled_in(grades, memory, by_hand)
    jobs = _jobs(found, known, options)
    new = [job for job in jobs if results.load(job.result) is None]
    run_all(new, options.jobs, len(jobs) - len(new))
    graded = tell_apart([_result_of(job) for job in jobs], jobs)
    graded = report.fill_in(graded, report.filled_in(grades, memory, by_hand))
    _write_pages(graded, options.out / "feedback")
    report.write(grades, report.table(graded))
    failed = sum(not result.graded for result in graded)
    print(f"{len(new)} graded now, {len(jobs) - len(new)} before. {grades}")
    if failed:
        print(f"grading: {failed} not graded; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def _jobs(found: Sequence[Submission], known: dict[str, Problems], options: Options) -> list[Job]:
    """A job for each submission; its result has a name that changes with all that it depends on."""
    basis = fingerprint(known, options.limits, options.forced)
    jobs = []
    for one in found:
        path = options.result(_hash([basis, one.student, digest(one.path)]))
        jobs.append(Job(one, path, known, options.forced, options.limits))
    return jobs


def _write_pages(graded: list[Result], folder: Path) -> None:
    """Write each submission's page; remove those of files that are gone, or are read only now."""
    pages = {folder / report.page_name(result): report.feedback(result) for result in graded}
    for page, text in pages.items():
        report.write(page, text)
    for page in set(folder.glob("*.html")) - pages.keys():
        page.unlink()


def tell_apart(graded: list[Result], jobs: list[Job]) -> list[Result]:
    """Call those by their files who have one name and, as their notebooks say, answer one set."""
    names = [(result.student, result.set) for result in graded]
    told = []
    for name, result, job in zip(names, graded, jobs, strict=True):
        if names.count(name) > 1:
            told.append(replace(result, student=job.submission.file))
        else:
            told.append(result)
    return told


def _result_of(job: Job) -> Result:
    """A job's result; where it left none, the grader itself came to an end over the submission."""
    found = results.load(job.result)
    if found is not None:
        return found
    reason = "The grader itself stopped over this file. Run it again, or grade by hand."
    row = Row("", None, 0.0, Status.NOT_GRADED, reason)
    return Result(job.submission.student, job.forced, (row,))
