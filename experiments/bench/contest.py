"""Contenders in processes of their own: each is checked against l2lib's losses, then all are timed in turns."""

import os
import pickle
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from experiments.bench.works import WORKS, job

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 24
CONTENDERS = {
    "plain loop": ("torch_peers", "plain_loop"),
    "plain loop, joblib": ("torch_peers", "joblib_loop"),
    "skorch": ("torch_peers", "skorch_loop"),
    "torch.func.vmap": ("torch_peers", "stacked"),
    "JAX": ("jax_peer", "compiled"),
    "JAX, two processes": ("jax_peer", "compiled"),
    "JAX, patches": ("jax_peer", "compiled_patches"),
    "l2lib": ("ours", "swept"),
    "l2lib, no records": ("ours", "swept"),
    "l2lib, chunks": ("ours", "swept"),
    "products alone": ("torch_peers", "products"),
}
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
ENVIRONMENT["JAX_PLATFORMS"] = "cpu"
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
TOLERANCE = {"float64": 1e-6, "float32": 2e-3}
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


class Entry(NamedTuple):
    """A contender that trains K configurations with one worker or two."""

    contender: str
    k: int
    workers: int = 1


class Group(NamedTuple):
    """Entries that are timed in turns, and what they train; ``steps`` overrides the work's own number."""

    work: str
    dtype: str
    optimizer: str
    entries: list[Entry]
    steps: int | None = None


class Process:
    """A contender's process, which waits for commands (see worker.py)."""

    def __init__(self, contender: tuple[str, str], cores: tuple[int, ...]) -> None:
        command = [sys.executable, "-m", "experiments.bench.worker", *contender, *map(str, cores)]
        environment = os.environ | ENVIRONMENT | (ONE_THREAD if len(cores) == 1 else {})
        self.popen = subprocess.Popen(command, stdin=-1, stdout=-1, cwd=ROOT, env=environment)

    def send(self, *command: Any) -> None:
        """Give a command."""
        pickle.dump(command, self.popen.stdin)
        self.popen.stdin.flush()

    def receive(self) -> Any:
        """Wait for the answer, and raise it if it is an error."""
        answer = pickle.load(self.popen.stdout)
        if isinstance(answer, Exception):
            raise answer
        return answer


running = cache(Process)  # one for each contender and choice of cores


def processes(entry: Entry) -> list[Process]:
    """What an entry runs in: one process on all its cores, or one a core."""
    cores = CORES[-entry.workers :]
    shares = [(core,) for core in cores] if "processes" in entry.contender else [tuple(cores)]
    return [running(CONTENDERS[entry.contender], share) for share in shares]


def ask(entry: Entry, command: str, *lists: list[Any]) -> list[Any]:
    """Give an entry's processes a command, the i-th with the i-th item of each list.

    Returns:
        Their answers.

    Raises:
        SystemExit: if one of them died.
    """
    asked = processes(entry)
    try:
        for i, one in enumerate(asked):
            one.send(command, entry, *(items[i] for items in lists))
        return [one.receive() for one in asked]
    except (EOFError, BrokenPipeError):
        raise SystemExit(f"the process of {entry.contender} died; above is what it had to say") from None


def prepare(entry: Entry, group: Group, steps: int, **options: Any) -> float:
    """Load an entry's job, a share into each of its processes; return the seconds that took."""
    whole = job(group.work, entry.k, steps, group.dtype, group.optimizer)
    whole.chunk, whole.workers, whole.options = CHUNK, entry.workers, options
    parts = [np.array_split(a, len(processes(entry))) for a in (whole.seed_of, whole.lr, whole.weight_decay)]
    shares = [
        SimpleNamespace(**vars(whole) | {"k": len(lr), "seed_of": seed_of, "lr": lr, "weight_decay": decay})
        for seed_of, lr, decay in zip(*parts, strict=True)
    ]
    return max(ask(entry, "prepare", shares))


def check(entry: Entry, group: Group, reference: dict[int, list[float]]) -> float:
    """Compare an entry's losses with l2lib's of one worker.

    Args:
        entry: what to check; it is left ready to be timed.
        group: what it trains.
        reference: l2lib's losses by K, as far as they are known; this one's are added.

    Returns:
        Seconds that compiling, or other preparation, took.

    Raises:
        SystemExit: if the losses disagree.
    """
    work, k = WORKS[group.work], entry.k
    steps = group.steps or work.peer_steps(k)
    every = {"record_every": steps, "evaluate_every": steps}
    if k not in reference:
        prepare(Entry("l2lib", k), group, steps, **every)
        reference[k] = ask(Entry("l2lib", k), "losses")[0]
    seconds = prepare(entry, group, steps, **every)
    found = [loss for share in ask(entry, "losses") for loss in share]
    expected = [] if entry.contender.startswith("products") else reference[k]
    if len(found) != len(expected) or not np.allclose(found, expected, rtol=TOLERANCE[group.dtype], atol=0):
        what = f"{entry.contender}, {group.work}, K = {k}, {group.dtype}, {group.optimizer}"
        raise SystemExit(f"{what}: losses after {steps} steps are\n{found}\nbut l2lib's are\n{expected}")
    if entry.contender.startswith("l2lib"):
        steps = group.steps or work.steps
        never = {"record_every": steps + 1, "evaluate_every": steps + 1}
        variant = (
            never if "no records" in entry.contender else {"chunk_size": CHUNK} if "chunks" in entry.contender else {}
        )
        prepare(entry, group, steps, **variant)
    return seconds


def measure(group: Group, rounds: int, seconds: float) -> tuple[list[dict], list[dict]]:
    """Check a group's entries against l2lib, then time them in turns.

    Args:
        group: what to measure.
        rounds: how often every entry has its turn.
        seconds: that a turn lasts at least.

    Returns:
        Rows of bench.json; and rows with the seconds that JAX compiled, which count in no rate.
    """
    reference: dict[int, list[float]] = {}
    for entry in group.entries:
        processes(entry)  # import what they need side by side
    preparing = {entry: check(entry, group, reference) for entry in group.entries}
    turns = [
        {entry: sum(ask(entry, "rate", [seconds] * entry.workers)) for entry in group.entries} for _ in range(rounds)
    ]
    rates = {entry: statistics.median(turn[entry] for turn in turns) for entry in group.entries}
    plain = next(rate for entry, rate in rates.items() if entry.contender == "plain loop")
    rows, compiling = [], []
    for entry, rate in rates.items():
        names = {"work": group.work, "contender": entry.contender, "k": entry.k, "dtype": group.dtype}
        names |= {"optimizer": group.optimizer, "workers": entry.workers}
        rows.append(names | {"config_steps_per_second": rate, "ratio_to_plain_loop": rate / plain, "rounds": rounds})
        compiling += [names | {"seconds": preparing[entry]}] * entry.contender.startswith("JAX")
        ask(entry, "forget")
    return rows, compiling
