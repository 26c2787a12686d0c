"""Compare l2lib's sweep with what a reader would use instead: `make bench`, or python -m experiments.bench --help.

Contenders take turns in every round, each in processes of its own that wait while it is not their turn, so that a noisy
moment hits all alike; medians over the rounds are reported. Each must reach l2lib's losses before it is timed.
"""

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

from experiments.bench import report
from experiments.bench.contest import CORES, ROOT, Entry, Group, measure
from experiments.bench.works import WORKS

FEW = 8  # configurations that show the rate of who trains one after the other; JAX likes few, too


def entries(work: str, dtype: str, optimizer: str, quick: bool) -> list[Entry]:
    """Who trains a work: every K in float32 with SGD, else the largest (for an MLP in float64, to save time, 64)."""
    ks = WORKS[work].ks
    most = 64 if dtype == "float64" and work not in ("linear", report.CNN) else ks[-1]
    mine = ks if (dtype, optimizer) == ("float32", "sgd") and not quick else (most,)
    chosen = [Entry("plain loop", FEW), Entry("plain loop, joblib", FEW, 2), Entry("skorch", FEW)]
    chosen += [Entry("torch.func.vmap", k) for k in mine]
    for name in ("JAX", "JAX, patches") if work == report.CNN else ("JAX",):
        chosen += [Entry(name, k) for k in sorted({FEW, *mine})] + [Entry(name, k, 2) for k in (FEW, most)]
    chosen += [Entry("JAX, two processes", k, 2) for k in (FEW, most)]
    chosen += [Entry("l2lib", k, workers) for k in mine for workers in (1, 2) if k >= workers]
    if optimizer == "sgd" and work not in ("linear", report.CNN):
        chosen += [Entry("products alone", most)]
    if (work, dtype, optimizer) == (report.DIGITS, "float32", "sgd"):
        chosen += [Entry("l2lib, no records", most), *(Entry("l2lib, chunks", k) for k in (most // 2, most))]
    return [entry for entry in chosen if entry.workers <= len(CORES)]


def groups(mode: str) -> list[Group]:
    """What to measure: "full", "quick" or "smoke"."""
    if mode == "smoke":
        few = [Entry("plain loop", 4), Entry("l2lib", 4)]
        settings = [("linear", "adamw"), (report.DIGITS, "adamw"), (report.CNN, "sgd")]
        return [Group(work, "float64", optimizer, few, steps=4) for work, optimizer in settings]
    works = ["linear", report.DIGITS] if mode == "quick" else list(WORKS)
    settings = report.OPTIONS[:1] if mode == "quick" else report.OPTIONS
    return [Group(work, *how, entries(work, *how, mode == "quick")) for work, how in product(works, settings)]


def machine() -> dict[str, str]:
    """What the numbers depend on besides the code."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    words = {"processor": models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine()}
    words |= {"cores": str(len(CORES)), "system": platform.system(), "Python": platform.python_version()}
    if hasattr(os, "getloadavg"):
        words["load of other programs"] = f"{os.getloadavg()[0]:.1f}"
    for package in ("torch", "jax", "skorch", "numpy"):
        try:
            words[package] = version(package)
        except PackageNotFoundError:
            continue
    return words


def main() -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__.splitlines()[0])
    parser.set_defaults(mode="full")
    parser.add_argument(
        "--quick", dest="mode", action="store_const", const="quick", help="two works, in float32 with SGD"
    )
    parser.add_argument("--smoke", dest="mode", action="store_const", const="smoke", help="does it run? without peers")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender, of which the median counts")
    parser.add_argument("--output", type=Path, default=ROOT / "_build", help="folder for bench.json and the rest")
    arguments = parser.parse_args()
    rounds, seconds = (1, 0.0) if arguments.mode == "smoke" else (arguments.rounds, 0.2)
    about, rows, compiling = machine(), [], []
    for group in groups(arguments.mode):
        print(f"{group.work}, {group.dtype}, {group.optimizer}", file=sys.stderr, flush=True)
        more = measure(group, rounds, seconds)
        rows, compiling = rows + more[0], compiling + more[1]
    print(report.write(rows, compiling, about, arguments.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
