"""Train the jobs of a sweep side by side; one error, or Ctrl-C, stops them all."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from functools import cache
from importlib.util import find_spec

import torch

from l2lib._checks import OFF
from l2lib.datasets import Array
from l2lib.sweep.job import Job
from l2lib.sweep.recipe import Configuration, Engine

if find_spec("ipywidgets"):
    from tqdm.auto import tqdm
else:  # in a notebook tqdm.auto would warn that it is missing, which nobody needs for a plain bar
    from tqdm.std import tqdm

Tables = dict[str, Array]
Tick = Callable[[int], None]
Work = Callable[[Job, Tick], Tables]
SHOWN = 8  # configurations that an error names


def run(work: Work, jobs: Sequence[Job], engine: Engine) -> list[Tables]:
    """Do ``work`` for every job.

    The caller's own thread does none of it, so that what is set in a worker stays there.

    Args:
        work: a function of a job, and of one to call after every step with the number of its
            configurations; for other processes it must be importable.
        jobs: each at least one configuration.
        engine: where they are done.

    Returns:
        The results, in the order of the jobs.

    Raises:
        RuntimeError: if a configuration raises an error or its worker dies; the message names it.
    """
    prepare_process()
    total = sum(job.steps for job in jobs)
    # TQDM_DISABLE is tqdm's own variable, which its notebook bar does not read; it may be anything.
    asked = os.environ.get("TQDM_DISABLE", "").strip().lower()
    hidden = not engine.progress or asked not in OFF
    shown = {"unit": "step", "unit_scale": True, "delay": 2, "leave": False}
    with tqdm(total=total, disable=hidden, **shown) as bar, threads_as_before():
        return _all_done(work, jobs, engine, bar)


def _all_done(work: Work, jobs: Sequence[Job], engine: Engine, bar: tqdm) -> list[Tables]:
    """The results of all jobs; on an error those not begun are cancelled, others stop at a step."""
    stop = threading.Event()
    lock = threading.Lock()

    def tick(configurations: int) -> None:
        if stop.is_set():
            raise CancelledError
        with lock:
            bar.update(configurations)

    with contextlib.ExitStack() as stack:
        futures = _submitted(work, jobs, engine, tick, stack)
        stack.callback(_cancel, futures)
        stack.callback(stop.set)
        try:
            for future in as_completed(futures):
                future.result()
                if engine.executor is not None:  # another process cannot tick here
                    bar.update(futures[future].steps)
        except BrokenExecutor as error:
            lost = [job for future, job in futures.items() if future.exception()]
            raise RuntimeError(_died(lost)) from error
        return [future.result() for future in futures]


def _submitted(
    work: Work, jobs: Sequence[Job], engine: Engine, tick: Tick, stack: contextlib.ExitStack
) -> dict[Future[Tables], Job]:
    """Begin all jobs, in threads that the stack ends, or in the engine's executor."""
    if engine.executor is not None:
        return {engine.executor.submit(traced, work, job): job for job in jobs}
    pool = stack.enter_context(ThreadPoolExecutor(engine.workers or os.cpu_count()))
    return {pool.submit(traced, work, job, tick): job for job in jobs}


def _cancel(futures: Iterable[Future[Tables]]) -> None:
    """Let what has not begun never begin."""
    for future in futures:
        future.cancel()


def _died(jobs: Sequence[Job]) -> str:
    """What is lost with a worker, in words."""
    undone = [each for job in jobs for each in job.configurations]
    return f"a worker died; these configurations are not done: {names_of(undone)}"


def traced(work: Work, job: Job, tick: Tick = lambda configurations: None) -> Tables:
    """Do one job; if it raises an error, find the configuration that does so alone, and name it.

    To find it the job is done again in halves, and their halves: up to log₂ K times as long for K
    configurations.

    Args:
        work: see ``run``.
        job: at least one configuration.
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
    for half in job.halves():
        traced(work, half, tick)
    said = f"{type(error).__name__}: {error}"
    raise RuntimeError(f"{names_of(job.configurations)}: {said}") from error


def names_of(configurations: Sequence[Configuration]) -> str:
    """The first configurations, in words.

    Args:
        configurations: at least one.

    Returns:
        At most eight of them, and how many more there are.
    """
    words = [str(each) for each in configurations[:SHOWN]]
    more = len(configurations) - SHOWN
    if more > 0:
        words.append(f"and {more} more")
    return "; ".join(words)


@contextlib.contextmanager
def threads_as_before() -> Iterator[None]:
    """Leave torch with its number of threads; workers set one, in part for the whole process."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def prepare_process() -> None:
    """What the first sweep of a process sets, as nothing must be set by an import.

    MKL, which multiplies matrices for PyTorch, reads MKL_CBWR at its first use: equal numbers then
    give equal products to the last bit, wherever they lie in memory. Where MKL was used before the
    first sweep, set the variable before you start Python; most processors give equal bits without
    it.

    Every step makes and frees the same large arrays. On Linux, keep freed memory for the next step:
    giving it back to the system and getting it anew costs a twentieth of the time, and more with
    several threads.
    """
    if "MKL_CBWR" not in os.environ:
        os.environ["MKL_CBWR"] = "AUTO,STRICT"
        torch.mm(torch.ones(2, 2), torch.ones(2, 2))
        del os.environ["MKL_CBWR"]
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, at its largest
