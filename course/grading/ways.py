"""How a stranger's code can be held here: with bubblewrap, without it, or not at all."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from course.grading.confine import ROOT, Limits, environment
from course.grading.interpreter import (
    LIBRARY,
    PACKAGES,
    closed,
    copied,
    hidden,
    parts,
    unreadable,
)
from course.grading.sandbox import FIRST_UID, USERS, trouble

_RIGHTS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7}
"""What root must be allowed: to change its user, to hand over a folder, to tidy up. The numbers are
Linux's."""


class UnsafeError(Exception):
    """A stranger's code cannot be run safely here; one sentence says why and what to do."""


class Way(NamedTuple):
    """How submissions are held."""

    limits: Limits
    """As they can be had here."""
    why: str
    """Why there are no namespaces; empty where there are."""


@contextlib.contextmanager
def chosen(limits: Limits, sandbox: str = "auto") -> Iterator[Way]:
    """The best way that works here; each is tried.

    Args:
        limits: what a submission may use, with namespaces.
        sandbox: "auto" takes namespaces where they work, "require" nothing else, "none" does
            without.

    Yields:
        The way.

    Raises:
        UnsafeError: if no way that was asked for works.
    """
    why = "--sandbox none" if sandbox == "none" else trouble(limits)
    if why and sandbox == "require":
        raise UnsafeError(
            f"bubblewrap does not work here ({why}): make it work, or leave out --sandbox require"
        )
    if not why:
        yield Way(limits, "")
        return
    with contextlib.ExitStack() as stack:
        try:
            limits = _without(replace(limits, namespaces=False), stack)
        except UnsafeError as error:
            way = "" if str(error) == why else f" without bubblewrap ({why})"
            raise UnsafeError(
                f"a stranger's code cannot be run safely here{way}: {error}"
            ) from None
        yield Way(limits, why)


def _without(limits: Limits, stack: contextlib.ExitStack) -> Limits:
    """The limits without namespaces; the stack removes a copy of Python, if there is one."""
    if os.getuid() == 0 and (problem := obstacle()):
        raise UnsafeError(problem)
    if os.getuid() == 0 and (folder := unreadable()):
        try:
            limits = replace(limits, python=stack.enter_context(copied()))
            _try_copy(limits)
        except (OSError, ValueError) as error:
            why = _first_reason(error)
            verb = "read" if folder.is_relative_to(LIBRARY) else "enter"
            what = f"other users may not {verb} {folder}, where Python is, and no copy serves them"
            place = "install Python where they may, such as in /usr/local"
            way = f"set TMPDIR to another folder, or {place}"
            raise UnsafeError(f"{what} ({why}); {way}") from None
    if problem := trouble(limits):
        raise UnsafeError(_advised(problem))
    return limits


def _advised(problem: str) -> str:
    """What does not work, and what to do where it is a file that others may not read."""
    if os.getuid() != 0 or not re.match(r"\w+Error\b|the libraries cannot be loaded", problem):
        return problem
    found = hidden(*PACKAGES, ROOT / "l2lib", ROOT / "course/grading/inside")
    if found:
        way = f"let them by `chmod -R go+rX {found.parent}`"
        return f"other users may not read {found}, which submissions need ({problem}); {way}"
    place = "install Python where every user can run it, such as in /usr/local, or bubblewrap"
    return f"as user {FIRST_UID} Python of {sys.base_prefix} does not run ({problem}); {place}"


def _first_reason(error: OSError | ValueError) -> object:
    """Why something could not be copied: of several files the first."""
    if not isinstance(error, shutil.Error):
        return error
    (files,) = error.args
    *_, reason = files[0]
    return reason


def _try_copy(limits: Limits) -> None:
    """Load, as a user without rights, what a copy may lack: libraries that are not Python's own."""
    tried = subprocess.run(
        [limits.python, "-c", parts()],
        env=environment(limits, "/"),
        cwd="/",
        user=FIRST_UID,
        group=FIRST_UID,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        raise OSError((tried.stderr.splitlines() or ["it does not start"])[-1])


def obstacle() -> str:
    """Why root cannot run submissions as other users, and what to do; empty if it can."""
    return powerless() or shut()


def powerless() -> str:
    """What root may not do that it must, in a container, and how to let it; empty if it may."""
    system = Path("/proc/self")
    if missing := missing_rights((system / "status").read_text()):
        options = " ".join(f"--cap-add {name}" for name in missing)
        return (
            f"root has no right to {', '.join(missing)} in this container; start it with {options}"
        )
    if not all(mapped((system / name).read_text()) for name in ("uid_map", "gid_map")):
        users = f"{FIRST_UID} to {FIRST_UID + USERS - 1}"
        return f"this container has no users {users}; give it 65536 user numbers"
    return ""


def shut() -> str:
    """Which folder other users cannot use, though they must, and what to do; empty if none."""
    temporary = Path(tempfile.gettempdir())
    if temporary.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        return (
            f"everybody may replace what others put into {temporary}; set TMPDIR to another folder"
        )
    if folder := closed(temporary):
        what = f"other users may not enter {folder}, where temporary files go"
        return f"{what}; set TMPDIR to a folder where they may"
    for path in (ROOT / "l2lib", ROOT / "course/grading/inside", *PACKAGES):
        if folder := closed(path):
            way = "move the project and its environment to where they may, such as in /opt"
            way = f"let them by `chmod -R go+rX {folder}`" if folder.is_relative_to(ROOT) else way
            what = f"other users may not enter {folder}"
            return f"{what}, where the code is that submissions need; {way}"
    return ""


def missing_rights(status: str) -> list[str]:
    """The rights that root needs and does not have, by what /proc/PID/status says."""
    effective = next(
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")
    )
    return [name for name, number in _RIGHTS.items() if not effective >> number & 1]


def mapped(numbers: str) -> bool:
    """Whether the users that submissions are exist, by what /proc/PID/uid_map says."""
    ranges = [tuple(map(int, line.split())) for line in numbers.splitlines()]
    return any(
        first <= FIRST_UID and first + count >= FIRST_UID + USERS for first, _, count in ranges
    )
