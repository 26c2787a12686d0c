"""What a contender's process does when it is its turn; between turns it waits.

The process belongs to an executor of one worker (see ``processes``), which calls these functions.
"""

import importlib
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from experiments.bench.job import Entry, Job, Task


class Prepared(NamedTuple):
    """A task, and how much it trains."""

    config_steps: int
    task: Task


_prepared: dict[Entry, Prepared] = {}


def begin(cores: Sequence[int], variables: dict[str, str]) -> None:
    """Bind this process to its cores, before it imports anything; prints go to stderr."""
    os.environ.update(variables)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    os.dup2(2, 1)


def load(module: str) -> None:
    """Import what a contender needs."""
    importlib.import_module(module)


def prepare(entry: Entry, module: str, function: str, job: Job) -> float:
    """Make an entry's task; return the seconds that took."""
    make = getattr(importlib.import_module(module), function)
    began = time.perf_counter()
    _prepared[entry] = Prepared(job.k * job.steps, make(job))
    return time.perf_counter() - began


def losses(entry: Entry) -> list[float]:
    """Train; return the losses at the end."""
    task = _prepared[entry].task
    task.run()
    return [float(loss) for loss in task.losses()]


def rate(entry: Entry, seconds: float) -> float:
    """Train again and again for at least so long; return config-steps per second."""
    config_steps, task = _prepared[entry]
    runs = 0
    began = time.perf_counter()
    while not runs or time.perf_counter() - began < seconds:
        task.run()
        runs += 1
    return runs * config_steps / (time.perf_counter() - began)


def forget(entry: Entry) -> None:
    """Let an entry's task go."""
    del _prepared[entry]
