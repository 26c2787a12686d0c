"""Chapter 11's central experiment at four learning rates: `python -m experiments.learning_rates`.

The networks are trained by the chapter's own functions, read from its source: the same five seeds,
runs and N, with peak rates of 0.01, 0.03 (the chapter's), 0.09 and 0.27; then four longer runs. It
takes half a minute.
The table, l2lib/data/learning_rates.txt, is what the chapter reads.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from book.execute import ROOT, SOURCE, read_source

TABLE = ROOT / "l2lib/data/learning_rates.txt"
RATES = (0.01, 0.03, 0.09, 0.27)
RUNS = ((250, 100), (500, 200), (1000, 400), (500, 100), (500, 400))
"""Signals and steps of the five runs, in the chapter's order."""
LONGER = ((0.01, 4000, 100), (0.03, 4000, 100), (0.09, 4000, 100), (0.03, 500, 25))
"""Peak rate, signals and batch of runs of 800 steps, where the choice of λ matters more."""
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
peak rate, signals, steps, seed's number, N, held-out loss, held-out error"""


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
    loss, error = names["train"](grid / total, n, steps, peak=peak, batch=batch)
    return [
        [peak, n, steps, seed, grid[k], loss[seed, k], error[seed, k]]
        for seed in range(len(loss))
        for k in range(len(grid))
    ]


def main(words: list[str] | None = None) -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(prog="experiments.learning_rates", description=__doc__)
    parser.add_argument("--out", type=Path, default=TABLE, help="the table that is written")
    asked = parser.parse_args(words)
    names = chapter()
    table = [row for peak in RATES for run in RUNS for row in rows_of(names, peak, *run)]
    for peak, n, batch in LONGER:
        table += rows_of(names, peak, n, 800, batch)
    np.savetxt(asked.out, table, fmt=["%g"] * 5 + ["%.6f", "%.3f"], header=HEAD)


if __name__ == "__main__":
    main()
