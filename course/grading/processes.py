"""What the operating system says of processes, and how to end a family of them for certain. Linux; elsewhere no-ops."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_STATE, _PARENT, _THREADS = 0, 1, 17
_OWN = ("Pss_Anon", "Pss_Shmem", "SwapPss", "RssAnon", "RssShmem")
_adopting: set[int] = set()


def adopt() -> None:
    """From now on, processes below this one that lose their parent become children of this one: none gets away."""
    with contextlib.suppress(OSError, AttributeError):
        if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
            _adopting.add(os.getpid())


def _table(dead: bool = False) -> dict[int, list[str]]:
    """What /proc/PID/stat says, after its name, of every process that lives, or of all that are dead and not gone."""
    found = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError):
            if entry.isdigit():
                found[int(entry)] = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
    return {pid: fields for pid, fields in found.items() if fields and (fields[_STATE] in "ZX") == dead}


def family(pid: int) -> set[int]:
    """A process's living descendants, and those that this process has adopted."""
    table = _table()
    known = {pid}
    if os.getpid() in _adopting:
        known |= {child for child, fields in table.items() if int(fields[_PARENT]) == os.getpid()}
    while more := {child for child, fields in table.items() if int(fields[_PARENT]) in known} - known:
        known |= more
    return known & table.keys()


def _counts(pid: int) -> list[str]:
    """How a process uses memory; where the shares may not be read, what it shares counts in full."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()


def memory(pids: set[int]) -> int:
    """Bytes that processes hold in memory besides files; what several share is shared out among them."""
    kilobytes = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            kilobytes += sum(int(line.split()[1]) for line in _counts(pid) if line.startswith(_OWN))
    return 1024 * kilobytes


def threads() -> int:
    """Threads of this user; the system counts them all against the limit on processes."""
    mine = 0
    for pid, fields in _table().items():
        with contextlib.suppress(OSError):
            mine += int(fields[_THREADS]) * (os.stat(f"/proc/{pid}").st_uid == os.getuid())
    return mine


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep signals that end a test or a worker waiting, so that what is tidied up is tidied up; in the main thread."""
    # A mask would not do: the system gives a signal to any thread, and Python's handler runs in the main one.
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
    """Kill a process that leads its own group, and its family, and again while some are left; bury all but itself."""
    until = time.monotonic() + seconds
    pids = family(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    while pids and time.monotonic() < until:
        for each in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        pids = family(pid)
    for each, fields in _table(dead=True).items():  # those adopted: until then they count against their user's limit
        if int(fields[_PARENT]) == os.getpid() in _adopting and each != pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each, os.WNOHANG)
