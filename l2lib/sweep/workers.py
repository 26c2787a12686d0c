"""Train the chunks of a sweep side by side, in threads or in any executor; one error, or Ctrl-C, stops them all."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

if find_spec("ipywidgets"):
    from tqdm.auto import tqdm
else:  # in a notebook tqdm.auto would warn that it is missing, which nobody needs for a plain bar
    from tqdm.std import tqdm

# Every step makes and frees the same large arrays. On Linux, keep freed memory for the next step: giving it back to the
# system and getting it anew costs a twentieth of the time, and more with several threads.
with contextlib.suppress(OSError, AttributeError):
    _libc = ctypes.CDLL("libc.so.6")
    _libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
    _libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, at its largest

Work = Callable[[SimpleNamespace, Callable[[int], None]], Any]


def run(
    work: Work, jobs: Sequence[SimpleNamespace], *, workers: int | None, executor: Executor | None, progress: bool
) -> list[Any]:
    """Do ``work`` for every job.

    Args:
        work: a function of a job and of a function to call after every step; for other processes it must be importable.
        jobs: each with ``rows``, its configurations, and ``steps``, how many steps it takes.
        workers: threads; None means one a core.
        executor: where to work instead; it is left running.
        progress: show a bar, if it takes longer than two seconds.

    Returns:
        The results, in the order of the jobs.

    Raises:
        RuntimeError: if a configuration raises an error or its worker dies; the message names it.
    """
    stop, lock = threading.Event(), threading.Lock()

    def tick(n: int) -> None:
        if stop.is_set():
            raise CancelledError
        with lock:
            bar.update(n)

    total = sum(job.steps * len(job.rows) for job in jobs)
    hidden = not progress or "TQDM_DISABLE" in os.environ  # tqdm's own variable, which its notebook bar does not read
    with tqdm(total=total, unit="step", unit_scale=True, delay=2, leave=False, disable=hidden) as bar:
        if executor is None and (len(jobs) == 1 or workers == 1):
            return [traced(work, job, tick) for job in jobs]
        pool = executor or ThreadPoolExecutor(workers or os.cpu_count())
        futures = {pool.submit(traced, work, job, *([] if executor else [tick])): job for job in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                bar.update(futures[future].steps * len(futures[future].rows) if executor else 0)
            return [future.result() for future in futures]
        except BrokenExecutor as error:
            lost = [row for future, job in futures.items() if future.exception() for row in job.rows]
            raise RuntimeError(f"a worker died; these configurations are not done: {_names(lost)}") from error
        finally:
            stop.set()
            for future in futures:
                future.cancel()
            if executor is None:
                pool.shutdown()


def traced(work: Work, job: SimpleNamespace, tick: Callable[[int], None] = lambda n: None) -> Any:
    """Do one job; if it raises an error, find the configuration that does so on its own, and name it.

    Args:
        work: see ``run``.
        job: see ``run``.
        tick: called after every step with the number of configurations.

    Returns:
        What ``work`` returns.

    Raises:
        RuntimeError: if ``work`` raises an error.
        CancelledError: if another job has failed, or somebody pressed Ctrl-C.
    """
    try:
        return work(job, tick)
    except CancelledError:
        raise
    except Exception as raised:
        error = raised
    middle = len(job.rows) // 2
    for rows in (job.rows[:middle], job.rows[middle:]) if middle else ():
        traced(work, SimpleNamespace(**vars(job) | {"rows": rows}), tick)
    raise RuntimeError(f"{_names(job.rows)}: {type(error).__name__}: {error}") from error


def _names(rows: Sequence[dict[str, float]]) -> str:
    """The first configurations, in words."""
    words = ["configuration " + ", ".join(f"{name}={value:g}" for name, value in row.items()) for row in rows[:8]]
    return "; ".join(words) + (f"; and {len(rows) - 8} more" if len(rows) > 8 else "")
