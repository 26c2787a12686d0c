"""What Linux says of processes, and how to end a family of them for certain; elsewhere no-ops."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PR_SET_CHILD_SUBREAPER = 36
_OWN = ("Pss_Anon", "Pss_Shmem", "SwapPss", "RssAnon", "RssShmem")
_adopting: set[int] = set()


def adopt() -> None:
    """From now on, descendants that lose their parent become children of this process."""
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
            _adopting.add(os.getpid())


class _Process(NamedTuple):
    """What /proc/PID/stat says of a process, as far as it is needed."""

    state: str
    parent: int
    threads: int

    @property
    def dead(self) -> bool:
        """Dead, and not gone."""
        return self.state in ("Z", "X")


def _table() -> dict[int, _Process]:
    """All processes."""
    found = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if entry.isdigit():
            with contextlib.suppress(OSError):
                # Its name may hold anything; what follows are fields without spaces.
                text = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2]
                if fields := text.split():
                    found[int(entry)] = _Process(fields[0], int(fields[1]), int(fields[17]))
    return found


def _living() -> dict[int, _Process]:
    return {pid: process for pid, process in _table().items() if not process.dead}


def family(pid: int) -> set[int]:
    """A process's living descendants, and those that this process has adopted."""
    table = _living()
    known = {pid}
    if os.getpid() in _adopting:
        known |= _children({os.getpid()}, table)
    while more := _children(known, table) - known:
        known |= more
    return known & table.keys()


def _children(parents: set[int], table: dict[int, _Process]) -> set[int]:
    return {pid for pid, process in table.items() if process.parent in parents}


def _counts(pid: int) -> list[str]:
    """How a process uses memory; where its shares may not be read, they count in full."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()


def memory(pids: set[int]) -> int:
    """Bytes that processes hold in memory besides files; what they share counts once."""
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            kilobytes += sum(int(line.split()[1]) for line in _counts(pid) if line.startswith(_OWN))
    return 1024 * kilobytes


def threads() -> int:
    """Threads of this user; the system counts them all against the limit on processes."""
    mine = 0
    for pid, process in _living().items():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                mine += process.threads
    return mine


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """In the main thread: signals that end a test or a worker wait while something is tidied up."""
    # A mask would not do: the system gives a signal to any thread, and Python's handler runs in the
    # main one.
    waiting: list[int] = []
    kinds = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda number, _: waiting.append(number)) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        for number in waiting:
            signal.raise_signal(number)


def end(pid: int, seconds: float = 10) -> None:
    """Kill a process that leads its own group, and its family, for certain; bury the family."""
    until = time.monotonic() + seconds
    pids = family(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    while pids and time.monotonic() < until:
        for each in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        pids = family(pid)
    if os.getpid() in _adopting:
        _bury_all_but(pid)


def _bury_all_but(pid: int) -> None:
    """Take note that those adopted are dead: until then they count against their user's limit."""
    for each, process in _table().items():
        if process.dead and process.parent == os.getpid() and each != pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each, os.WNOHANG)
