"""Chapter 11's central experiment at four learning rates: `python -m experiments.learning_rates`.

The networks are trained by the chapter's own functions, read from its source: the same five seeds,
runs and N, with peak rates of 0.01, 0.03 (the chapter's), 0.09 and 0.27; then seven longer runs,
the chapter's digits in 20 and in 40 passes, at three rates, and the first five runs at a rate that
is too large. It takes minutes.
The table, l2lib/data/learning_rates.txt, is what the chapter reads.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from book.execute import ROOT, SOURCE, read_source
from l2lib.claims import seeds
from l2lib.datasets import load
from l2lib.sweep import CNN, sweep

TABLE = ROOT / "l2lib/data/learning_rates.txt"
RATES = (0.01, 0.03, 0.09, 0.27)
RUNS = ((250, 100), (500, 200), (1000, 400), (500, 100), (500, 400))
"""Signals and steps of the five runs, in the chapter's order."""
LONGER = (
    *((peak, 4000, 100) for peak in (0.01, 0.03, 0.09)),
    *((peak, 500, 25) for peak in (0.03, 0.09, 0.27, 0.81)),
)
"""Peak rate, signals and batch of runs of 800 steps: 20 passes, then 40."""
DIGITS = tuple((peak, steps) for steps in (200, 400) for peak in (0.025, 0.05, 0.1))
"""Peak rate and steps of the runs on 200 digits in batches of 20: 20 passes, then 40."""
TOO_LARGE = tuple((0.81, *run) for run in RUNS)
"""Peak rate, signals and steps of the five runs at three times the largest of RATES."""
CELLS = (
    "from importlib import",
    "def factors_of(",
    "shapes = {",
    "signals, grid = load(",
    "def networks(",
    "def log_shares(",
    "def train(",
    "def held_out(",
)
HEAD = """Chapter 11's experiment at other learning rates, by python -m experiments.learning_rates.
peak rate, examples (200: digits), steps, seed's number, N, held-out loss, held-out error"""


def chapter() -> dict[str, Any]:
    """What the cells define that begin with CELLS."""
    code = [
        cell.source
        for cell in read_source(SOURCE / "11_choosing_lambda.py").cells
        if cell.cell_type == "code" and cell.source.startswith(CELLS)
    ]
    if len(code) != len(CELLS):
        raise ValueError(f"{len(code)} cells of chapter 11 begin with CELLS, not {len(CELLS)}")
    names: dict[str, Any] = {}
    exec("\n\n".join(code), names)
    return names


def rows_of(
    names: dict[str, Any], peak: float, n: int, steps: int, batch: int = 25
) -> list[list[float]]:
    """A row for each seed and N."""
    grid = names["grid"]
    total = names["forgettings"](peak, 1, names["factors_of"](steps, names["linear"]))
    found = names["train"](grid / total, n, steps, peak=peak, batch=batch)
    return listed([peak, n, steps], grid, *found)


def listed(run: list[float], grid: Any, loss: Any, error: Any) -> list[list[float]]:
    """What a run found, by seed and N, as rows."""
    return [
        [*run, seed, grid[k], loss[seed, k], error[seed, k]]
        for seed in range(len(loss))
        for k in range(len(grid))
    ]


def rows_of_digits(names: dict[str, Any], peak: float, steps: int) -> list[list[float]]:
    """The same of the digits of §11.7: 200 to train on, 200 others to measure."""
    data, grid = load("digits"), names["grid"]
    shuffled = np.stack([np.random.default_rng(seed).permutation(1797) for seed in seeds(5)])
    fitted, others = shuffled[:, :200], shuffled[:, 200:400]
    pixels = data.scaled(16)
    total = names["forgettings"](peak, 1, names["factors_of"](steps, names["linear"]))
    found = sweep(
        CNN((12, 10), channels=(6, 12), norm="batch"),
        pixels[fitted],
        data.y[fitted],
        test=(pixels[others], data.y[others]),
        loss="cross_entropy",
        lr=peak,
        optimizer="adamw",
        beta2=0.98,
        schedule=lambda step: 1 - step / steps,
        weight_decay=[*(grid / total)],
        steps=steps,
        batch_size=20,
        seeds=seeds(5),
        record_every=steps,
    )
    loss, right = (each.values[..., -1] for each in (found.test_loss, found.test_accuracy))
    return listed([peak, 200, steps], grid, loss, 1 - right)


def main(words: list[str] | None = None) -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(prog="experiments.learning_rates", description=__doc__)
    parser.add_argument("--out", type=Path, default=TABLE, help="the table that is written")
    asked = parser.parse_args(words)
    names = chapter()
    table = [row for peak in RATES for run in RUNS for row in rows_of(names, peak, *run)]
    for peak, n, batch in LONGER:
        table += rows_of(names, peak, n, 800, batch)
    for peak, steps in DIGITS:
        table += rows_of_digits(names, peak, steps)
    for peak, n, steps in TOO_LARGE:
        table += rows_of(names, peak, n, steps)
    np.savetxt(asked.out, table, fmt=["%g"] * 5 + ["%.6f", "%.3f"], header=HEAD)


if __name__ == "__main__":
    main()
