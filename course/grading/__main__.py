"""Grade a folder of notebooks: `python -m course.grading SUBMISSIONS`, in the project's folder.

Writes OUT/grades.csv (student, question, points, status, reason) and OUT/feedback/STUDENT-SET.html
for each notebook. Run it again after an interruption, or when more notebooks have come in: what is
graded is not graded again.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from course.grading.confine import ROOT, Limits, warning
from course.grading.folder import Options, RefusedError, check_references, grade_all
from course.grading.problems import Problems, load_all
from course.grading.submissions import Found, find
from course.grading.ways import UnsafeError, chosen
from l2lib import _spelling

GB = 2**30


def options() -> Options:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m course.grading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Limits()
    add = parser.add_argument
    add("submissions", type=Path, help="folder of notebooks: NAME.ipynb, or NAME/ps1/ps1.ipynb")
    add("--out", type=Path, help="folder for the results (default: SUBMISSIONS-grades, beside it)")
    add(
        "--set",
        default="",
        help="which set all of them answer, where they do not say so themselves",
    )
    add("--sources", type=Path, default=ROOT / "course/source", help="the sets' sources")
    add(
        "--jobs", type=int, default=usable_cores(), help="notebooks at a time (default: one a core)"
    )
    add("--seconds", type=float, default=usual.total, help="for one submission (%(default)g)")
    add("--cell-seconds", type=float, default=usual.cell, help="for one of its cells (%(default)g)")
    add(
        "--call-seconds",
        type=float,
        default=usual.call,
        help="for one call by a test (%(default)g)",
    )
    add("--memory", type=float, default=usual.memory / GB, help="GB for a process (%(default)g)")
    add(
        "--sandbox",
        choices=("auto", "require", "none"),
        default="auto",
        help="bubblewrap: where it works, or stop without it, or do without",
    )
    said = parser.parse_args()
    whole = said.submissions.resolve()
    return Options(
        submissions=said.submissions,
        out=(said.out or whole.with_name(f"{whole.name}-grades")).resolve(),
        sources=said.sources,
        forced=said.set,
        jobs=said.jobs,
        limits=Limits(
            total=said.seconds,
            cell=said.cell_seconds,
            call=said.call_seconds,
            memory=int(said.memory * GB),
        ),
        sandbox=said.sandbox,
    )


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> int:
    """Grade; return the exit status."""
    _spelling.speak()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return grade_folder(options())
    except (RefusedError, UnsafeError, ValueError) as error:
        print(f"grading: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one stopped.", file=sys.stderr)
        return 130


def grade_folder(asked: Options) -> int:
    """Check what was asked, grade what is not graded yet, write the reports.

    Args:
        asked: what the command line says.

    Returns:
        The exit status: 0, or 1 if something could not be graded.

    Raises:
        RefusedError: if the command makes no sense.
        UnsafeError: if a stranger's code cannot be run safely here.
    """
    if sys.platform != "linux":
        raise RefusedError("it needs Linux; on Windows, run it in WSL, on macOS in a container")
    found = submitted(asked.submissions)
    known = load_all(asked.sources)
    check(asked, known)
    for path in found.others:
        print(f"grading: not a notebook, left out: {str(path)!r}", file=sys.stderr)
    hidden = tuple(
        str(path.resolve()) for path in (ROOT, asked.submissions, asked.out, asked.sources)
    )
    with chosen(replace(asked.limits, hidden=hidden), asked.sandbox) as way, only_one(asked.out):
        if way.why:
            print(warning(way.why), file=sys.stderr)
        ready = replace(asked, limits=way.limits)
        check_references(known, ready)
        return grade_all(found.notebooks, known, ready)


def submitted(folder: Path) -> Found:
    """What lies in a folder, if there is something to grade.

    Args:
        folder: of submissions.

    Returns:
        The notebooks, and the other files.

    Raises:
        RefusedError: if there is no folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise RefusedError(f"{folder}: there is no such folder")
    found = find(folder)
    if not found.notebooks:
        raise RefusedError(f"{folder}: no notebook (*.ipynb) is in it")
    return found


def check(asked: Options, known: dict[str, Problems]) -> None:
    """Refuse a set that there is not, limits that allow nothing, and results among the submissions.

    Args:
        asked: what the command line says.
        known: the problem sets by name.

    Raises:
        RefusedError: in these words.
    """
    if asked.forced and asked.forced not in known:
        raise RefusedError(f"--set {asked.forced}: unknown; the sources have {', '.join(known)}")
    limits = asked.limits
    if min(asked.jobs, limits.total, limits.cell, limits.call, limits.memory) <= 0:
        raise RefusedError("numbers of jobs, seconds and GB must be greater than 0")
    if asked.out.is_relative_to(asked.submissions.resolve()):
        place = "lies among the submissions, where nothing is written"
        raise RefusedError(f"--out {asked.out}: {place}; choose another folder")


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Hold the results' folder for this command alone.

    It is closed to others, such as the users that submissions are.

    Args:
        out: the folder for the results; made if it is not there.

    Yields:
        Nothing, while it is held.

    Raises:
        RefusedError: if another command has it, or it is somebody else's.
    """
    import fcntl  # not on Windows

    (out / "results").mkdir(parents=True, exist_ok=True)
    try:
        out.chmod(0o700)
    except PermissionError:
        raise RefusedError(
            f"{out}: belongs to another user and cannot be closed; choose another folder"
        ) from None
    with (out / "results/.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedError(f"{out}: another command is grading into it") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
