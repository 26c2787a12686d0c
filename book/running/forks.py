"""Work in processes that are copies of this one: what it has imported, they need not import again.

A copy is safe only of a process that has started no threads: ``warm`` imports the libraries in a
way that starts none, and ``start`` refuses where some run. Linux only: elsewhere libraries start
threads of their own.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LIBRARIES = (
    *(
        "numpy",
        "torch",
        "torch.optim",
        "torch._dynamo",
        "matplotlib.pyplot",
        "matplotlib_inline.backend_inline",
    ),
    *(
        "xarray",
        "sklearn.linear_model",
        "sklearn.neural_network",
        "scipy.stats",
        "tqdm.auto",
        "IPython",
    ),
)
"""What the chapters import, l2lib apart; torch imports ``torch._dynamo`` with the first optimiser.
"""


class EndedError(RuntimeError):
    """A child gave no result: it raised, was killed, or took too long. Says why in a line."""

    def __init__(self, why: str) -> None:
        super().__init__(why.strip().splitlines()[-1])
        self.traceback = why


class Child(NamedTuple):
    """A running copy: its number, where its result comes from, and when it must have come."""

    pid: int
    pipe: int
    until: float


def available() -> bool:
    """Whether processes can be copied here."""
    return sys.platform == "linux"


def warm(*more: str) -> None:
    """Import what the copies will need: one thread each, unless the environment says otherwise."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.pop("L2LIB_WIDGETS", None)  # what is stored has no dials
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as a kernel sets it
    for name in (*LIBRARIES, *more):
        importlib.import_module(name)
    importlib.import_module(
        "tqdm"
    ).tqdm.monitor_interval = 0  # a bar would start a thread that watches it


def start(function: Callable[[], Any], seconds: float) -> Child:
    """Call a function in a copy of this process.

    Args:
        function: gives something that JSON can hold.
        seconds: that it may take.

    Returns:
        The child; ``collect`` waits for its result.

    Raises:
        RuntimeError: if this process has threads, which a copy would lack.
    """
    if threading.active_count() > 1:
        raise RuntimeError(f"a process with threads cannot be copied: {threading.enumerate()}")
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        end_with_parent()
        os.close(ours)
        _leave(function, theirs)
    os.close(theirs)
    return Child(pid, ours, time.monotonic() + seconds)


def end_with_parent() -> None:
    """Let the system end this process when its parent is gone, however that ended."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _leave(function: Callable[[], Any], pipe: int) -> None:
    """In the copy: hand over the result and end, without whatever Python does at its end."""
    try:
        answer = {"gives": function()}
    except BaseException:
        answer = {"raised": traceback.format_exc()}
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        with os.fdopen(
            pipe, "w", encoding="utf-8"
        ) as file:  # the last that is heard of this process
            json.dump(answer, file)
    finally:
        os._exit(0)


def collect(child: Child) -> Any:
    """Wait for a child's result.

    Args:
        child: from ``start``.

    Returns:
        What its function gave.

    Raises:
        EndedError: if it raised, died or took too long; it is not running any more then.
    """
    data = bytearray()
    late = False
    try:
        while part := _read(child):
            data += part
    except TimeoutError:
        late = True
    finally:
        os.kill(child.pid, signal.SIGKILL)  # it has said all that it had to say
        os.close(child.pipe)
        _, status = os.waitpid(child.pid, 0)
    if late:
        raise EndedError("it took too long")
    try:
        answer = json.loads(data)
    except ValueError:
        raise EndedError(
            f"its process ended (status {os.waitstatus_to_exitcode(status)})"
        ) from None
    if "raised" in answer:
        raise EndedError(answer["raised"])
    return answer["gives"]


def _read(child: Child) -> bytes:
    """The next part of what a child says; nothing if that was all."""
    ready, _, _ = select.select([child.pipe], [], [], max(child.until - time.monotonic(), 0))
    if not ready:
        raise TimeoutError
    return os.read(child.pipe, 2**16)


def call(function: Callable[[], Any], seconds: float) -> Any:
    """``start``, and ``collect``: call a function in a copy of this process, and wait."""
    return collect(start(function, seconds))


def run_all(
    functions: Sequence[Callable[[], Any]], workers: int, seconds: float
) -> Iterator[tuple[int, Any | EndedError]]:
    """Call functions in copies of this process, several at a time.

    Args:
        functions: each gives something that JSON can hold.
        workers: how many at a time.
        seconds: that each may take.

    Yields:
        The number of each function and what it gave, or the error that ended it; as they end.
    """
    waiting = deque(enumerate(functions))
    running: dict[int, _Numbered] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, function = waiting.popleft()
                child = start(function, seconds)
                running[child.pipe] = _Numbered(number, child)
            for pipe in _to_collect([each.child for each in running.values()]):
                number, child = running.pop(pipe)
                yield number, _result(child)
    finally:
        for each in running.values():
            os.kill(each.child.pid, signal.SIGKILL)
            os.waitpid(each.child.pid, 0)


class _Numbered(NamedTuple):
    number: int
    child: Child


def _to_collect(children: list[Child]) -> list[int]:
    """Wait for the first that says something, or whose time is up; their pipes."""
    first = min(child.until for child in children)
    pipes = [child.pipe for child in children]
    ready, _, _ = select.select(pipes, [], [], max(first - time.monotonic(), 0))
    return ready or [child.pipe for child in children if child.until == first]


def _result(child: Child) -> Any | EndedError:
    try:
        return collect(child)
    except EndedError as error:
        return error


class Slots:
    """So many processes may work at a time; one that ends, or gives back its slot, frees it.

    Args:
        file: a file to lock; made if it is not there.
        number: how many slots.
    """

    def __init__(self, file: Path, number: int) -> None:
        self.file = os.open(file, os.O_RDWR | os.O_CREAT)
        self.number = number
        self.mine = -1

    def __enter__(self) -> int:
        import fcntl  # not on Windows

        while True:
            for number in range(self.number):
                try:
                    fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                except OSError:
                    continue
                self.mine = number
                return number
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        import fcntl

        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, self.mine)
