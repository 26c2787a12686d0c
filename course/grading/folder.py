"""A folder of submissions: what is graded already, what is to be graded now, and the reports over all of them."""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from course.grading import report
from course.grading.confine import Limits
from course.grading.pool import Job, run_all
from course.grading.problems import Problems
from course.grading.submissions import Submission, digest


class RefusedError(Exception):
    """The command cannot do what it was asked; the words say why."""


def fingerprint(known: dict[str, Problems], limits: Limits, *more: str) -> str:
    """A hash of all that a result depends on.

    Args:
        known: the problem sets by name.
        limits: what a submission may use.
        more: what else matters.

    Returns:
        32 hexadecimal digits, others for another source, limit, or version of this code.
    """
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("*.py"))]
    limits = replace(limits, python="")  # a copy has another name each time
    parts = [*(problems.text for problems in known.values()), *code, json.dumps(asdict(limits)), *more]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def check_references(known: dict[str, Problems], asked: argparse.Namespace, limits: Limits, out: Path) -> None:
    """Grade the sets' own solutions first: what they lose, the set-up loses them.

    Args:
        known: the problem sets by name.
        asked: what the command line says.
        limits: what a submission may use.
        out: the folder for the results.

    Raises:
        RefusedError: if one does not score full.
    """
    names = [asked.set] if asked.set else list(known)
    jobs = []
    for name in names:
        result = out / "results" / f"reference-{fingerprint({name: known[name]}, limits)}.json"
        jobs.append(Job(Submission("", f"reference solution of {name}", ""), str(result), known, name, limits, True))
    run_all([job for job in jobs if report.load(Path(job.result)) is None], asked.jobs, 0)
    for job in jobs:
        for row in (report.load(Path(job.result)) or not_graded(job))["rows"]:
            if row["status"] not in ("right", "by hand"):
                Path(job.result).unlink(missing_ok=True)
                raise RefusedError(
                    f"the {job.submission.student} fails {row['question']} here ({row['reason']}), so nobody can be "
                    "graded: is the machine too slow, a package missing, or a limit too tight?"
                )


def grade_all(found: list[Submission], known: dict[str, Problems], asked: argparse.Namespace, limits: Limits,
              out: Path) -> int:  # fmt: skip
    """Grade what has no result yet, then write all reports.

    Args:
        found: the submissions.
        known: the problem sets by name.
        asked: what the command line says.
        limits: what a submission may use.
        out: the folder for the results.

    Returns:
        0, or 1 if something could not be graded.

    Raises:
        ValueError: if there is a grades.csv that cannot be read.
    """
    grades, memory = out / "grades.csv", out / "results/.by-hand"
    by_hand = {f"{name}/{each}" for name, problems in known.items() for each in problems.by_hand}
    report.filled_in(grades, memory, by_hand)  # now, too: a table that cannot be read is found before the work
    basis = fingerprint(known, limits, asked.set)
    jobs = []
    for one in found:
        key = hashlib.sha256(json.dumps([basis, one.student, digest(one.path)]).encode()).hexdigest()[:32]
        jobs.append(Job(one, str(out / "results" / f"{key}.json"), known, asked.set, limits))
    new = [job for job in jobs if report.load(Path(job.result)) is None]
    run_all(new, asked.jobs, len(jobs) - len(new))
    results = [report.load(Path(job.result)) or not_graded(job) for job in jobs]
    tell_apart(results, jobs)
    report.fill_in(results, report.filled_in(grades, memory, by_hand))
    pages = {out / "feedback" / report.page_name(result): report.feedback(result) for result in results}
    for page, text in pages.items():
        report.write(page, text)
    for page in set((out / "feedback").glob("*.html")) - pages.keys():
        page.unlink()  # of a file that is gone, or could not be read before
    report.write(grades, report.table(results))
    failed = sum(result["rows"][0]["status"] == "not graded" for result in results)
    print(f"{len(new)} graded now, {len(jobs) - len(new)} before. {grades}")
    if failed:
        print(f"grading: {failed} not graded; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def tell_apart(results: list[dict[str, Any]], jobs: list[Job]) -> None:
    """Call those by their files who have one name and, as their notebooks say, answer one set."""
    names = [(result["student"], result["set"]) for result in results]
    for name, result, job in zip(names, results, jobs, strict=True):
        if names.count(name) > 1:
            result["student"] = job.submission.file


def not_graded(job: Job) -> dict[str, Any]:
    """What to say of a submission over which the grader itself came to an end."""
    reason = "The grader itself stopped over this file. Run it again, or grade by hand."
    row = {"question": "", "points": None, "of": 0.0, "status": "not graded", "reason": reason}
    return {"student": job.submission.student, "set": job.forced, "rows": [row]}
