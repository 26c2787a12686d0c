"""Contenders are checked against l2lib's losses, then all are timed in turns."""

import statistics
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from experiments.bench import worker
from experiments.bench.job import CHUNK, Engine, Entry, Optimizer
from experiments.bench.processes import CONTENDERS, Processes
from experiments.bench.works import WORKS, job

TOLERANCE = {"float64": 1e-6, "float32": 2e-3}


@dataclass(frozen=True)
class Group:
    """Entries that are timed in turns, and what they train; ``steps`` overrides the work's own."""

    work: str
    dtype: str
    optimizer: Optimizer
    entries: tuple[Entry, ...]
    steps: int | None = None

    def steps_of(self, entry: Entry) -> int:
        """Steps that are checked."""
        return self.steps or WORKS[self.work].peer_steps(entry.k)


@dataclass(frozen=True)
class Row:
    """A row of bench.json."""

    work: str
    contender: str
    k: int
    dtype: str
    optimizer: Optimizer
    workers: int
    config_steps_per_second: float
    ratio_to_plain_loop: float
    rounds: int


@dataclass(frozen=True)
class Compiling:
    """How long JAX took to compile, which counts in no rate."""

    work: str
    contender: str
    k: int
    dtype: str
    optimizer: Optimizer
    workers: int
    seconds: float


class Measured(NamedTuple):
    """What was found of a group."""

    rows: list[Row]
    compiling: list[Compiling]


def prepare(entry: Entry, group: Group, steps: int, engine: Engine, processes: Processes) -> float:
    """Load an entry's job, a share into each of its processes; return the seconds that took."""
    contender = CONTENDERS[entry.contender]
    whole = job(group.work, entry.k, steps, group.dtype, group.optimizer)
    shares = replace(whole, engine=engine).split(len(processes.of(entry)))
    own = [(contender.path, contender.function, share) for share in shares]
    seconds: list[float] = processes.ask_each(entry, worker.prepare, own)
    return max(seconds)


def losses(entry: Entry, processes: Processes) -> list[float]:
    """Train what is prepared; the losses of all configurations."""
    return [loss for share in processes.ask(entry, worker.losses) for loss in share]


def check(
    entry: Entry, group: Group, reference: dict[int, list[float]], processes: Processes
) -> float:
    """Compare an entry's losses with l2lib's of one worker.

    Args:
        entry: what to check; it is left ready to be timed.
        group: what it trains.
        reference: l2lib's losses by K, as far as they are known; this one's are added.
        processes: of all contenders.

    Returns:
        Seconds that compiling, or other preparation, took.

    Raises:
        SystemExit: if the losses disagree.
    """
    steps = group.steps_of(entry)
    only_the_end = Engine(record_every=steps, evaluate_every=steps)
    if entry.k not in reference:
        ours = Entry("l2lib", entry.k)
        prepare(ours, group, steps, only_the_end, processes)
        reference[entry.k] = losses(ours, processes)
    engine = replace(only_the_end, workers=entry.workers)
    seconds = prepare(entry, group, steps, engine, processes)
    found = losses(entry, processes)
    expected = reference[entry.k] if CONTENDERS[entry.contender].trains else []
    if not agree(found, expected, TOLERANCE[group.dtype]):
        what = f"{entry.contender}, {group.work}, K = {entry.k}, {group.dtype}, {group.optimizer}"
        words = f"losses after {steps} steps are\n{found}\nbut l2lib's are\n{expected}"
        raise SystemExit(f"{what}: {words}")
    if entry.contender.startswith("l2lib"):  # it is timed over its own steps, with its own records
        steps = group.steps or WORKS[group.work].steps
        prepare(entry, group, steps, timed_engine(entry, steps), processes)
    return seconds


def agree(found: list[float], expected: list[float], tolerance: float) -> bool:
    """Whether there are as many losses, each within that share of what it should be."""
    return len(found) == len(expected) and np.allclose(found, expected, rtol=tolerance, atol=0)


def timed_engine(entry: Entry, steps: int) -> Engine:
    """How one of l2lib's entries is timed."""
    usual = Engine(entry.workers)
    if entry.contender == "l2lib, no records":
        return replace(usual, record_every=steps + 1, evaluate_every=steps + 1)
    if entry.contender == "l2lib, chunks":
        return replace(usual, chunk_size=CHUNK)
    return usual


def measure(group: Group, rounds: int, seconds: float, processes: Processes) -> Measured:
    """Check a group's entries against l2lib, then time them in turns.

    Args:
        group: what to measure.
        rounds: how often every entry has its turn.
        seconds: that a turn lasts at least.
        processes: of all contenders.

    Returns:
        What was found.
    """
    for entry in group.entries:
        processes.of(entry)  # import what they need side by side
    reference: dict[int, list[float]] = {}
    prepared = {entry: check(entry, group, reference, processes) for entry in group.entries}
    rates = rates_of(group, rounds, seconds, processes)
    plain = next(rate for entry, rate in rates.items() if entry.contender == "plain loop")
    found = Measured([], [])
    for entry, rate in rates.items():
        what = (group.work, entry.contender, entry.k, group.dtype, group.optimizer, entry.workers)
        found.rows.append(Row(*what, rate, rate / plain, rounds))
        if entry.contender.startswith("JAX"):
            found.compiling.append(Compiling(*what, prepared[entry]))
    return found


def rates_of(group: Group, rounds: int, seconds: float, processes: Processes) -> dict[Entry, float]:
    """Config-steps per second of each entry, the median over its turns; then all is let go."""
    turns: dict[Entry, list[float]] = {entry: [] for entry in group.entries}
    for _ in range(rounds):
        for entry in group.entries:
            turns[entry].append(sum(processes.ask(entry, worker.rate, seconds)))
    for entry in group.entries:
        processes.ask(entry, worker.forget)
    return {entry: statistics.median(turn) for entry, turn in turns.items()}
