"""Test error of a convolutional network on Fashion-MNIST over (η, λ): `make fashion DATA=folder`, meant for a GPU.

Three convolutions with batch norm and a linear layer are trained by SGD with momentum 0.9, AdamW and Adam with L2, each
over a grid of learning rates and weight decays, on a cosine schedule. Only the convolutions' weights decay: these are
scale-invariant. From one value of a grid to the next η doubles; λ doubles too, but quadruples for Adam with L2. So ηλ,
and there η²λ, is constant along diagonals. One corner has far too little decay, the opposite one far too much.

By default a table is 576 runs of 10 epochs: 2.7 million config-steps of 1.5 GFLOP each (the products alone). In float32
a configuration takes 0.05 GB of memory at a step and 0.18 GB when it is evaluated, so that 48 at once need 9 GB.
"""

import argparse
import contextlib
import math
import platform
import subprocess
import sys
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.fashion_mnist.idx import PUBLISHED, Split, load
from l2lib.sweep import CNN, Engine, sweep
from l2lib.sweep.recipe import Optimizer

TABLE = Path(__file__).with_name("results.csv")
COLUMNS = "optimiser,lr,weight_decay,seed,test_error,train_loss"
MODEL = CNN((64, 10), image=(1, 28, 28), channels=(16, 32, 64), norm="batch", bias=False)
DECAY = {"weight0": 1.0, "weight1": 1.0, "weight2": 1.0}
GRIDS = {  # learning rates and weight decays, as powers of 2
    "sgd": (range(-7, 1), range(-12, -4)),  # 0.0078 to 1, 0.00024 to 0.031
    "adamw": (range(-13, -5), range(-6, 2)),  # 0.00012 to 0.016, 0.016 to 2
    "adam": (range(-13, -5), range(-16, -1, 2)),  # 0.00012 to 0.016, 0.000015 to 0.25
}


def _train(optimiser: Optimizer, train: Split, test: Split, asked: argparse.Namespace) -> list[str]:
    """Lines of the table for one optimiser; a run that diverged has a loss of nan or inf, and the error of a guess."""
    spread = [np.linspace(0, 7, size).round().astype(int) for size in asked.grid]
    lr, weight_decay = ([2.0 ** powers[i] for i in at] for powers, at in zip(GRIDS[optimiser], spread, strict=True))
    seeds = range(asked.seeds)
    with warnings.catch_warnings():
        if optimiser == "adam":  # its λw is added to a gradient, which is small too: float32 does not lose it
            warnings.filterwarnings("ignore", "ηλ < 1e-6")
        engine = Engine(
            dtype=asked.dtype, device=asked.device, chunk_size=asked.chunk,
            workers=1 if asked.device == "cuda" else None,  # one chunk at a time in the GPU's memory
        )  # fmt: skip
        run = sweep(
            MODEL, *train, test=test, loss="cross_entropy", optimizer=optimiser, lr=lr, weight_decay=weight_decay,
            momentum=0.9, seeds=seeds, steps=asked.steps, batch_size=asked.batch, decay_factors=DECAY,
            record_every=asked.steps,
            schedule=lambda t: (1 + math.cos(math.pi * t / asked.steps)) / 2, evaluate_on=min(500, len(train[1])),
            engine=engine,
        )  # fmt: skip
    found = run.isel(step=-1).transpose("seed", "lr", "weight_decay", ...)
    rows = zip(
        product(seeds, lr, weight_decay), found.test_accuracy.values.flat, found.train_loss.values.flat, strict=True
    )
    return [f"{optimiser},{eta!r},{lam!r},{seed},{1 - a:.6g},{loss:.6g}" for (seed, eta, lam), a, loss in rows]


def about(asked: argparse.Namespace) -> list[str]:
    """What made a table: the command, with every default, the commit, the kind of machine and PyTorch's version."""
    options = {name: value for name, value in vars(asked).items() if name not in ("data", "out", "commit") and value}
    words = [f"--{name} {' '.join(map(str, np.atleast_1d(value)))}" for name, value in options.items()]
    machine = torch.cuda.get_device_name() if asked.device == "cuda" else f"CPU, {platform.machine()}"
    return [
        "Fashion-MNIST: test error over learning rate and weight decay",
        f"command: python -m experiments.fashion_mnist --data FOLDER {' '.join(words)}",
        f"commit: {asked.commit or commit()}",
        f"machine: {machine}",
        f"torch: {torch.__version__}",
    ]


def commit() -> str:
    """The commit of the checkout that this file is in, and whether anything but tables differs from it."""
    git = ["git", "-C", str(TABLE.parents[1])]
    asked = ["rev-parse", "HEAD"], ["status", "--porcelain", "--", ".", ":(exclude)experiments/*.csv"]
    try:
        done = (subprocess.run(git + words, capture_output=True, text=True, check=True) for words in asked)
        name, changes = (run.stdout for run in done)
    except (OSError, subprocess.CalledProcessError):
        return "unknown, this is no git checkout"
    return f"{name.strip()}, {'with uncommitted changes' if changes else 'nothing uncommitted'}"


def read(*paths: Path) -> dict[str, NDArray[Any]]:
    """The columns of one table, or of several that hold an optimiser each.

    Args:
        paths: of the tables.

    Returns:
        Arrays of equal length, by name: optimiser (words), lr, weight_decay, seed (integers), test_error, train_loss.
    """
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    rows = [line for line in lines if line != COLUMNS]
    table = np.genfromtxt([COLUMNS, *rows], delimiter=",", names=True, dtype="U9,f8,f8,i8,f8,f8", ndmin=1)
    return {name: table[name] for name in COLUMNS.split(",")}


def arguments() -> argparse.ArgumentParser:
    """What the command can be asked."""
    parser = argparse.ArgumentParser(prog="python -m experiments.fashion_mnist", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help=f"folder with the four files of {PUBLISHED}")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table to write")
    parser.add_argument("--optimisers", nargs="+", choices=GRIDS, default=[*GRIDS])
    parser.add_argument("--grid", nargs=2, type=int, choices=range(2, 9), default=[8, 8], metavar=("LRS", "DECAYS"))
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, …")
    parser.add_argument("--steps", type=int, default=4680, help="468 are an epoch with batches of 128")
    parser.add_argument("--batch", type=int, default=128, help="examples a step")
    parser.add_argument("--examples", type=int, help="so many of the first only, of both splits")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--chunk", type=int, help="configurations trained together: 48 on a GPU, else 2")
    parser.add_argument("--commit", help="what to write of the code's version where there is no git checkout")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Train, and write the table whole or not at all."""
    parser = arguments()
    asked = parser.parse_args(argv)
    if asked.out.is_dir():
        parser.error(f"{asked.out} is a folder; --out needs the name of a file")
    asked.chunk = asked.chunk or (48 if asked.device == "cuda" else 2)
    torch.backends.cudnn.allow_tf32 = False  # by default a GPU rounds a convolution's factors to 10 bits
    began, lines, part = time.perf_counter(), [], asked.out.parent / f"{asked.out.name}.part"
    try:
        head, data = about(asked), load(asked.data, asked.examples)
        with part.open("w", encoding="utf-8", newline="\n") as file:  # now, so that no hour is spent on what cannot be
            for optimiser in dict.fromkeys(asked.optimisers):
                print(optimiser, file=sys.stderr, flush=True)
                lines += _train(optimiser, *data, asked)
            head.append(f"seconds: {time.perf_counter() - began:.0f}")
            file.writelines(f"{line}\n" for line in [*(f"# {words}" for words in head), COLUMNS, *lines])
        part.replace(asked.out)
    except (OSError, ValueError, RuntimeError) as error:
        parser.error(str(error))
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


if __name__ == "__main__":
    main()
