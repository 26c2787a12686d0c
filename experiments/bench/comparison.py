"""Compare l2lib's sweep with what a reader would use instead.

Contenders take turns in every round, each in processes of its own that wait while it is not their
turn, so that a noisy moment hits all alike; medians over the rounds are reported. Each must reach
l2lib's losses before it is timed.
"""

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import NamedTuple

from experiments.bench import report
from experiments.bench.contest import Compiling, Group, Row, measure
from experiments.bench.job import Entry
from experiments.bench.processes import CORES, Processes
from experiments.bench.report import Numbers
from experiments.bench.works import WORKS
from l2lib import _spelling

ROOT = Path(__file__).resolve().parents[2]
FEW = 8  # configurations that show the rate of who trains one after the other; JAX likes few, too


class Ks(NamedTuple):
    """Numbers of configurations."""

    tried: tuple[int, ...]
    most: int


def ks_of(work: str, numbers: Numbers, quick: bool) -> Ks:
    """Every K in float32 with SGD, else the largest; for an MLP in float64, to save time, 64."""
    every = WORKS[work].ks
    if numbers.dtype == "float64" and is_mlp(work):
        return Ks((64,), 64)
    if numbers == report.PLAIN and not quick:
        return Ks(every, every[-1])
    return Ks(every[-1:], every[-1])


def is_mlp(work: str) -> bool:
    """Neither linear nor convolutional."""
    return work not in ("linear", report.CNN)


def entries(work: str, numbers: Numbers, quick: bool) -> tuple[Entry, ...]:
    """Who trains a work."""
    tried, most = ks_of(work, numbers, quick)
    chosen = [Entry("plain loop", FEW), Entry("plain loop, joblib", FEW, 2), Entry("skorch", FEW)]
    chosen += [Entry("torch.func.vmap", k) for k in tried]
    chosen += jax_entries(work, tried, most)
    chosen += our_entries(work, numbers, tried, most)
    if is_mlp(work) and numbers.optimizer == "sgd":
        chosen.append(Entry("products alone", most))
    return tuple(entry for entry in chosen if entry.workers <= len(CORES))


def our_entries(work: str, numbers: Numbers, tried: tuple[int, ...], most: int) -> list[Entry]:
    """l2lib on one core and on two; once without records, and in chunks of one size, too."""
    chosen = [Entry("l2lib", k, workers) for k in tried for workers in (1, 2) if k >= workers]
    if work == report.DIGITS and numbers == report.PLAIN:
        chosen.append(Entry("l2lib, no records", most))
        chosen += [Entry("l2lib, chunks", most // 2), Entry("l2lib, chunks", most)]
    return chosen


def jax_entries(work: str, tried: tuple[int, ...], most: int) -> list[Entry]:
    """JAX in its variants, on one core and on two; it likes few configurations."""
    chosen = []
    for name in ("JAX", "JAX, patches") if work == report.CNN else ("JAX",):
        chosen += [Entry(name, k) for k in sorted({FEW, *tried})]
        chosen += [Entry(name, k, 2) for k in (FEW, most)]
    return [*chosen, *(Entry("JAX, two processes", k, 2) for k in (FEW, most))]


def groups(mode: str) -> list[Group]:
    """What to measure: "full", "quick" or "smoke"."""
    if mode == "smoke":
        few = (Entry("plain loop", 4), Entry("l2lib", 4))
        return [
            Group("linear", "float64", "adamw", few, 4),
            Group(report.DIGITS, "float64", "adamw", few, 4),
            Group(report.CNN, "float64", "sgd", few, 4),
        ]
    works = ["linear", report.DIGITS] if mode == "quick" else list(WORKS)
    numbers = report.NUMBERS[:1] if mode == "quick" else report.NUMBERS
    return [
        Group(work, *how, entries(work, how, mode == "quick"))
        for work, how in product(works, numbers)
    ]


def machine() -> dict[str, str]:
    """What the numbers depend on besides the code."""
    words = {"processor": processor(), "cores": str(len(CORES))}
    words |= {"system": platform.system(), "Python": platform.python_version()}
    if hasattr(os, "getloadavg"):
        last_minute, _, _ = os.getloadavg()
        words["load of other programs"] = f"{last_minute:.1f}"
    for package in ("torch", "jax", "skorch", "numpy"):
        try:
            words[package] = version(package)
        except PackageNotFoundError:
            continue
    return words


def processor() -> str:
    """Its name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if "model name" in line:
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> int:
    """Measure, and write what was found."""
    _spelling.speak()
    parser = argparse.ArgumentParser(
        prog="python -m experiments.bench",
        description="l2lib's sweep beside what a reader would use instead.",
    )
    parser.set_defaults(mode="full")
    add = parser.add_argument
    add(
        "--quick",
        dest="mode",
        action="store_const",
        const="quick",
        help="two works, in float32 with SGD",
    )
    add(
        "--smoke",
        dest="mode",
        action="store_const",
        const="smoke",
        help="does it run? without peers",
    )
    add("--rounds", type=int, default=3, help="turns of each contender, of which the median counts")
    add("--output", type=Path, default=ROOT / "_build", help="folder for bench.json and the rest")
    asked = parser.parse_args()
    rounds, seconds = (1, 0.0) if asked.mode == "smoke" else (asked.rounds, 0.2)
    about = machine()
    rows: list[Row] = []
    compiling: list[Compiling] = []
    with Processes() as processes:
        for group in groups(asked.mode):
            print(f"{group.work}, {group.dtype}, {group.optimizer}", file=sys.stderr, flush=True)
            found = measure(group, rounds, seconds, processes)
            rows += found.rows
            compiling += found.compiling
    print(report.write(rows, compiling, about, asked.output))
    return 0
