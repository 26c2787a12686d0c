"""Test error of a CNN on Fashion-MNIST over (η, λ): `make fashion DATA=folder`, for a GPU.

Three convolutions with batch norm and a linear layer are trained by SGD with momentum 0.9, AdamW
and Adam with L2, each over a grid of learning rates and weight decays, on a cosine schedule. Only
the convolutions' weights decay: these are scale-invariant. From one value of a grid to the next η
doubles; λ doubles too, but quadruples for Adam with L2. So ηλ, and there η²λ, is constant along
diagonals. One corner has far too little decay, the opposite one far too much.

By default a table is 576 runs of 10 epochs: 2.7 million config-steps of 1.5 GFLOP each (the
products alone). In float32 a configuration takes 0.05 GB of memory at a step and 0.18 GB when it is
evaluated, so that 48 at once need 9 GB.
"""

import argparse
import contextlib
import math
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from experiments.fashion_mnist.idx import PUBLISHED, Splits, load
from l2lib.sweep import CNN, Engine, sweep
from l2lib.sweep.recipe import Optimizer

TABLE = Path(__file__).with_name("results.csv")
COLUMNS = "optimiser,lr,weight_decay,seed,test_error,train_loss"
MODEL = CNN((64, 10), image=(1, 28, 28), channels=(16, 32, 64), norm="batch", bias=False)
DECAY = {"weight0": 1.0, "weight1": 1.0, "weight2": 1.0}


class Powers(NamedTuple):
    """Learning rates and weight decays, as powers of 2."""

    lr: range
    weight_decay: range


GRIDS: dict[Optimizer, Powers] = {
    "sgd": Powers(range(-7, 1), range(-12, -4)),  # 0.0078 to 1, 0.00024 to 0.031
    "adamw": Powers(range(-13, -5), range(-6, 2)),  # 0.00012 to 0.016, 0.016 to 2
    "adam": Powers(range(-13, -5), range(-16, -1, 2)),  # 0.00012 to 0.016, 0.000015 to 0.25
}


@dataclass(frozen=True)
class Asked:
    """What the command line says; fields are named and ordered as in a table's head."""

    data: Path
    out: Path
    optimisers: list[Optimizer]
    grid: list[int]
    seeds: int
    steps: int
    batch: int
    examples: int | None
    device: str
    dtype: str
    chunk: int
    commit: str | None

    def command(self) -> str:
        """The command with every default, but for what differs from one computer to another."""
        words = ["python -m experiments.fashion_mnist --data FOLDER"]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("data", "out", "commit") and value:
                words.append(f"--{field.name} {' '.join(map(str, np.atleast_1d(value)))}")
        return " ".join(words)


def _train(optimiser: Optimizer, data: Splits, asked: Asked) -> list[str]:
    """Lines of the table for one optimiser; a run that diverged has a loss of nan or inf."""
    n_lr, n_decay = asked.grid
    lr = _spread(GRIDS[optimiser].lr, n_lr)
    weight_decay = _spread(GRIDS[optimiser].weight_decay, n_decay)
    with warnings.catch_warnings():
        if (
            optimiser == "adam"
        ):  # its λw is added to a gradient, which is small too: float32 does not lose it
            warnings.filterwarnings("ignore", "ηλ < 1e-6")
        run = _sweep(optimiser, data, lr, weight_decay, asked)
    found = run.isel(step=-1).transpose("seed", "lr", "weight_decay", ...)
    accuracies = found.test_accuracy.values.flat
    losses = found.train_loss.values.flat
    lines = []
    places = product(range(asked.seeds), lr, weight_decay)
    for (seed, eta, lam), accuracy, loss in zip(places, accuracies, losses, strict=True):
        lines.append(f"{optimiser},{eta!r},{lam!r},{seed},{1 - accuracy:.6g},{loss:.6g}")
    return lines


def _spread(powers: range, n: int) -> list[float]:
    """n of the numbers, the first and the last among them."""
    places = np.linspace(0, len(powers) - 1, n).round().astype(int)
    return [2.0 ** powers[place] for place in places]


def _sweep(
    optimiser: Optimizer,
    data: Splits,
    lr: Sequence[float],
    weight_decay: Sequence[float],
    asked: Asked,
) -> xr.Dataset:
    """The training itself."""
    engine = Engine(
        dtype=asked.dtype,
        device=asked.device,
        chunk_size=asked.chunk,
        workers=1 if asked.device == "cuda" else None,  # one chunk at a time in the GPU's memory
    )
    return sweep(
        MODEL,
        data.train.X,
        data.train.y,
        test=data.test,
        loss="cross_entropy",
        optimizer=optimiser,
        lr=lr,
        weight_decay=weight_decay,
        momentum=0.9,
        seeds=range(asked.seeds),
        steps=asked.steps,
        batch_size=asked.batch,
        decay_factors=DECAY,
        schedule=lambda t: (1 + math.cos(math.pi * t / asked.steps)) / 2,
        record_every=asked.steps,
        evaluate_on=min(500, len(data.train.y)),
        engine=engine,
    )


def about(asked: Asked) -> list[str]:
    """What made a table: the command, the commit, the kind of machine and PyTorch's version."""
    cpu = f"CPU, {platform.machine()}"
    return [
        "Fashion-MNIST: test error over learning rate and weight decay",
        f"command: {asked.command()}",
        f"commit: {asked.commit or commit()}",
        f"machine: {torch.cuda.get_device_name() if asked.device == 'cuda' else cpu}",
        f"torch: {torch.__version__}",
    ]


def commit() -> str:
    """The checkout's commit, and whether anything but tables differs from it."""
    try:
        name = git("rev-parse", "HEAD").strip()
        changes = git("status", "--porcelain", "--", ".", ":(exclude)experiments/*.csv")
    except (OSError, subprocess.CalledProcessError):
        return "unknown, this is no git checkout"
    return f"{name}, {'with uncommitted changes' if changes else 'nothing uncommitted'}"


def git(*words: str) -> str:
    """What git says in the project's folder."""
    command = ["git", "-C", str(TABLE.parent.parent), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def read(*paths: Path) -> dict[str, NDArray[Any]]:
    """The columns of one table, or of several that hold an optimiser each.

    Args:
        paths: of the tables.

    Returns:
        Arrays of equal length, by name: optimiser (words), lr, weight_decay, seed (integers),
        test_error, train_loss.
    """
    lines = [
        line
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if line[:1] != "#"
    ]
    rows = [line for line in lines if line != COLUMNS]
    table = np.genfromtxt(
        [COLUMNS, *rows], delimiter=",", names=True, dtype="U9,f8,f8,i8,f8,f8", ndmin=1
    )
    return {name: table[name] for name in COLUMNS.split(",")}


def options() -> argparse.ArgumentParser:
    """What the command can be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.fashion_mnist",
        description="Test error of a CNN on Fashion-MNIST over (η, λ), for a GPU.",
    )
    add = parser.add_argument
    cuda = torch.cuda.is_available()
    files = f"folder with the four files of {PUBLISHED}"
    add("--data", type=Path, required=True, help=files)
    add("--out", type=Path, default=TABLE, help="the table to write")
    add("--optimisers", nargs="+", choices=GRIDS, default=[*GRIDS])
    sizes = ("LRS", "DECAYS")
    add("--grid", nargs=2, type=int, choices=range(2, 9), default=[8, 8], metavar=sizes)
    add("--seeds", type=int, default=3, help="how many: 0, 1, …")
    add("--steps", type=int, default=4680, help="468 are an epoch with batches of 128")
    add("--batch", type=int, default=128, help="examples a step")
    add("--examples", type=int, help="so many of the first only, of both splits")
    add("--device", choices=["cuda", "cpu"], default="cuda" if cuda else "cpu")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--chunk", type=int, help="configurations trained together: 48 on a GPU, else 2")
    add("--commit", help="what to write of the code's version where there is no git checkout")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Train, and write the table whole or not at all."""
    parser = options()
    said = vars(parser.parse_args(argv))
    said["chunk"] = said["chunk"] or (48 if said["device"] == "cuda" else 2)
    asked = Asked(**said)
    if asked.out.is_dir():
        parser.error(f"{asked.out} is a folder; --out needs the name of a file")
    torch.backends.cudnn.allow_tf32 = (
        False  # by default a GPU rounds a convolution's factors to 10 bits
    )
    part = asked.out.parent / f"{asked.out.name}.part"
    try:
        write(asked, part)
        part.replace(asked.out)
    except (OSError, ValueError, RuntimeError) as error:
        parser.error(str(error))
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write(asked: Asked, path: Path) -> None:
    """Train, and write the table."""
    began = time.perf_counter()
    head = about(asked)
    data = load(asked.data, asked.examples)
    lines: list[str] = []
    # It is opened now, so that no hour is spent on what cannot be written.
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for optimiser in dict.fromkeys(asked.optimisers):
            print(optimiser, file=sys.stderr, flush=True)
            lines += _train(optimiser, data, asked)
        head.append(f"seconds: {time.perf_counter() - began:.0f}")
        for line in [*(f"# {words}" for words in head), COLUMNS, *lines]:
            file.write(f"{line}\n")


if __name__ == "__main__":
    main()
