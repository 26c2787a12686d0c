"""Grade a folder of notebooks: `python -m course.grading SUBMISSIONS`. Run it in the project's own folder.

Writes OUT/grades.csv (student, question, points, status, reason) and OUT/feedback/STUDENT-SET.html for each notebook.
Run it again after an interruption, or when more notebooks have come in: what is graded is not graded again.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course.grading.confine import ROOT, Limits, warning
from course.grading.folder import RefusedError, check_references, grade_all
from course.grading.problems import load_all
from course.grading.submissions import find
from course.grading.ways import UnsafeError, chosen


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m course.grading", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Limits()
    parser.add_argument("submissions", type=Path, help="folder of notebooks: NAME.ipynb, or NAME/ps1/ps1.ipynb")
    parser.add_argument("--out", type=Path, help="folder for the results (default: SUBMISSIONS-grades, beside it)")
    parser.add_argument("--set", default="", help="which set all of them answer, where they do not say so themselves")
    parser.add_argument("--sources", type=Path, default=ROOT / "course/source", help="the sets' sources")
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
    except (RefusedError, UnsafeError, ValueError) as error:
        print(f"grading: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one stopped.", file=sys.stderr)
        return 130


def grade_folder(asked: argparse.Namespace) -> int:
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
    hidden = tuple(str(path.resolve()) for path in (ROOT, folder, out, asked.sources))
    with chosen(limits_of(asked, hidden), asked.sandbox) as (limits, why), only_one(out):
        if why:
            print(warning(why), file=sys.stderr)
        check_references(known, asked, limits, out)
        return grade_all(found, known, asked, limits, out)


def limits_of(asked: argparse.Namespace, hidden: tuple[str, ...]) -> Limits:
    """The limits as asked for.

    Args:
        asked: what the command line says.
        hidden: folders that no submission may see.

    Returns:
        The limits.
    """
    return Limits(total=asked.seconds, cell=asked.cell_seconds, call=asked.call_seconds,
                  memory=int(asked.memory * 2**30), hidden=hidden)  # fmt: skip


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Hold the results' folder for this command alone, and close it to others, such as the users that submissions are.

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
        raise RefusedError(f"{out}: belongs to another user and cannot be closed; choose another folder") from None
    with (out / "results/.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RefusedError(f"{out}: another command is grading into it") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
