"""Grade a folder of notebooks: `python -m grading SUBMISSIONS`. Run it in the project's own folder.

Writes OUT/grades.csv (student, question, points, status, reason) and OUT/feedback/STUDENT-SET.html for each notebook.
Run it again after an interruption, or when more notebooks have come in: what is graded is not graded again.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from grading import report
from grading.confine import ROOT, Limits, warning
from grading.pool import Job, run_all
from grading.problems import Problems, load_all
from grading.sandbox import trouble
from grading.submissions import Submission, digest, find


class RefusedError(Exception):
    """The command cannot do what it was asked; the words say why."""


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m grading", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Limits()
    parser.add_argument("submissions", type=Path, help="folder of notebooks: NAME.ipynb, or NAME/ps1/ps1.ipynb")
    parser.add_argument("--out", type=Path, help="folder for the results (default: SUBMISSIONS-grades, beside it)")
    parser.add_argument("--set", default="", help="which set all of them answer, where they do not say so themselves")
    parser.add_argument("--sources", type=Path, default=ROOT / "assignments/source", help="the sets' sources")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="notebooks at a time (default: one a core)")
    parser.add_argument("--seconds", type=float, default=usual.total, help="for one submission (%(default)g)")
    parser.add_argument("--cell-seconds", type=float, default=usual.cell, help="for one of its cells (%(default)g)")
    parser.add_argument("--call-seconds", type=float, default=usual.call, help="for one call by a test (%(default)g)")
    parser.add_argument("--memory", type=float, default=usual.memory / 2**30, help="GB for a process (%(default)g)")
    parser.add_argument("--sandbox", choices=("auto", "require", "none"), default="auto",
                        help="bubblewrap: where it works, or stop without it, or do without")  # fmt: skip
    return parser.parse_args()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> int:
    """Grade; return the exit status."""
    asked = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return grade_folder(asked)
    except (RefusedError, ValueError) as error:
        print(f"grading: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one stopped.", file=sys.stderr)
        return 130


def grade_folder(asked: argparse.Namespace) -> int:
    """Check what was asked, grade what is not graded yet, write the reports.

    Raises:
        RefusedError: if the command makes no sense, or the sandbox does not work here.
    """
    if os.name != "posix":
        raise RefusedError("it needs Linux; on Windows, run it in WSL or in a container")
    folder = asked.submissions
    if not folder.is_dir():
        raise RefusedError(f"{folder}: there is no such folder")
    found, others = find(folder)
    if not found:
        raise RefusedError(f"{folder}: no notebook (*.ipynb) is in it")
    known = load_all(asked.sources)
    if asked.set and asked.set not in known:
        raise RefusedError(f"--set {asked.set}: unknown; the sources have {', '.join(known)}")
    if min(asked.jobs, asked.seconds, asked.cell_seconds, asked.call_seconds, asked.memory) <= 0:
        raise RefusedError("numbers of jobs, seconds and GB must be greater than 0")
    out = (asked.out or folder.resolve().with_name(f"{folder.resolve().name}-grades")).resolve()
    if out.is_relative_to(folder.resolve()):
        raise RefusedError(f"--out {out}: lies among the submissions, where nothing is written; choose another folder")
    for path in others:
        print(f"grading: not a notebook, left out: {str(path)!r}", file=sys.stderr)
    limits = choose_limits(asked, tuple(str(path.resolve()) for path in (ROOT, folder, out, asked.sources)))
    with only_one(out):
        check_references(known, asked, limits, out)
        return grade_all(found, known, asked, limits, out)


def choose_limits(asked: argparse.Namespace, hidden: tuple[str, ...]) -> Limits:
    """The limits, with namespaces if they work here; says so where they do not.

    Raises:
        RefusedError: if they are required and do not work, or if nothing works.
    """
    limits = Limits(total=asked.seconds, cell=asked.cell_seconds, call=asked.call_seconds,
                    memory=int(asked.memory * 2**30), hidden=hidden)  # fmt: skip
    why = "--sandbox none" if asked.sandbox == "none" else trouble(limits)
    if not why:
        return limits
    if asked.sandbox == "require":
        raise RefusedError(f"bubblewrap does not work here: {why}")
    limits = replace(limits, namespaces=False)
    if problem := trouble(limits):
        raise RefusedError(f"neither bubblewrap ({why}) nor a plain process ({problem}) can run a notebook here")
    print(warning(why), file=sys.stderr)
    return limits


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Hold the results' folder for this command alone.

    Raises:
        RefusedError: if another command has it.
    """
    import fcntl  # not on Windows

    (out / "results").mkdir(parents=True, exist_ok=True)
    with (out / "results/.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedError(f"{out}: another command is grading into it") from None
        yield


def fingerprint(known: dict[str, Problems], limits: Limits, *more: str) -> str:
    """A hash of all that a result depends on: the sets, this code, the limits, and what else is given."""
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("*.py"))]
    parts = [*(problems.text for problems in known.values()), *code, json.dumps(asdict(limits)), *more]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def check_references(known: dict[str, Problems], asked: argparse.Namespace, limits: Limits, out: Path) -> None:
    """Grade the sets' own solutions first: what they lose, the set-up loses them.

    Raises:
        RefusedError: if one does not score full.
    """
    names = [asked.set] if asked.set else list(known)
    jobs = []
    for name in names:
        result = out / "results" / f"reference-{fingerprint({name: known[name]}, limits)}.json"
        jobs.append(Job(Submission("", f"reference solution of {name}"), str(result), known, name, limits, True))
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
    """Grade what has no result yet, then write all reports; 1 if something could not be graded."""
    basis = fingerprint(known, limits, asked.set)
    jobs = []
    for one in found:
        key = hashlib.sha256(json.dumps([basis, one.student, digest(one.path)]).encode()).hexdigest()[:32]
        jobs.append(Job(one, str(out / "results" / f"{key}.json"), known, asked.set, limits))
    new = [job for job in jobs if report.load(Path(job.result)) is None]
    run_all(new, asked.jobs, len(jobs) - len(new))
    results = [report.load(Path(job.result)) or not_graded(job) for job in jobs]
    grades = out / "grades.csv"
    for result in results:
        report.write(out / "feedback" / report.page_name(result), report.feedback(result))
    report.write(grades, report.table(results, grades.read_text(encoding="utf-8") if grades.exists() else ""))
    failed = sum(result["rows"][0]["status"] == "not graded" for result in results)
    print(f"{len(new)} graded now, {len(jobs) - len(new)} before. {grades}")
    if failed:
        print(f"grading: {failed} not graded; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def not_graded(job: Job) -> dict[str, Any]:
    """What to say of a submission over which the grader itself came to an end."""
    reason = "The grader itself stopped over this file. Run it again, or grade by hand."
    row = {"question": "", "points": None, "of": 0.0, "status": "not graded", "reason": reason}
    return {"student": job.submission.student, "set": job.forced, "rows": [row]}


if __name__ == "__main__":
    sys.exit(main())
