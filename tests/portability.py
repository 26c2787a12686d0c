"""The chapters on other instruction sets, other thread counts, and seeds that nobody looked at.

    python -m tests.portability [WORDS ...]    runs whose name holds one of the words, or all

Instruction sets and threads round differently: every output must still be the stored one. Shifted
seeds draw other
data: outputs may differ, but every claim must hold.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from book.running import forks, terminal
from book.running.forks import THREADS
from tests.planted.outcomes import Failure, PytestError, failures_in, run_pytest

ROOT = Path(__file__).resolve().parents[1]
X86 = ("x86_64", "amd64")
SEEDS = (1, 2, 3, 4)

# Hashes of the last bits of what torch, its BLAS, NumPy's BLAS and NumPy itself compute.
PROBE = """
import hashlib, json
import numpy as np, torch
x = np.random.default_rng(0).normal(size=(60, 203))
t = torch.from_numpy(x)
normed = torch.nn.functional.layer_norm(t, (203,)).log_softmax(1).sigmoid()
results = {
    "torch": np.append(normed.numpy(), t.repeat(100, 1).sum()),
    "torch's BLAS": (t @ t.T).numpy(),
    "NumPy's BLAS": np.concatenate([(x @ x.T).ravel(), np.linalg.svd(x)[1], [x[0] @ x[1]]]),
    "NumPy": np.exp(x) + np.log(abs(x)) + np.tanh(x),
}
hashes = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in results.items()}
print(json.dumps(hashes))
"""


class Run(NamedTuple):
    """One way to execute the whole book."""

    name: str
    environment: dict[str, str]
    compares: bool = True
    """Outputs must be the stored ones; else only every claim must hold."""
    x86_only: bool = False
    workers: int = 2
    """Chapters at a time."""


def numpy_features(prefixes: tuple[str, ...]) -> str:
    """The instruction sets among these that this NumPy would choose on this machine, to be told not
    to.
    """
    umath = importlib.import_module("numpy._core._multiarray_umath")
    features = getattr(umath, "__cpu_features__", {})
    dispatched = getattr(umath, "__cpu_dispatch__", [])
    return " ".join(name for name in dispatched if features.get(name) and name.startswith(prefixes))


def runs() -> list[Run]:
    """All runs but that of ``make test``: one thread, own seeds, the processor left to itself.

    NumPy and torch each choose instructions for themselves, and so do the BLAS of each. What is
    independent is changed in one run, as a fault of either shows there. Two threads are tried on
    every processor; one that is not x86 does not heed the rest.
    """
    two = threads(2) | {"OMP_WAIT_POLICY": "PASSIVE"}  # idle threads must not take others' cores
    avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"}
    sse = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"}
    newer, mkl = ("X86_V4", "AVX512"), {"MKL_CBWR": "COMPATIBLE"}
    return [
        Run("two threads, avx2", two | avx2 | numpy_without(*newer)),
        Run("sse, mkl", sse | mkl | numpy_without("X86_V3", "AVX", *newer), x86_only=True),
        *(Run(f"seed {seed}", {"L2LIB_SEED": str(seed)}, compares=False) for seed in SEEDS),
    ]


def threads(number: int) -> dict[str, str]:
    return dict.fromkeys(THREADS, str(number))


def numpy_without(*prefixes: str) -> dict[str, str]:
    features = numpy_features(prefixes)
    return {"NPY_DISABLE_CPU_FEATURES": features} if features else {}


def environment_of(run: Run) -> dict[str, str]:
    """All that a run sets: one thread and the book's own seeds where it says nothing else."""
    return threads(1) | {"L2LIB_SEED": "0"} | run.environment


def probe(environment: dict[str, str]) -> dict[str, str]:
    """Hashes of a few results under these variables, by the part that computes them."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    hashes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return hashes


def effect(run: Run, plain: dict[str, str]) -> str:
    """Which parts of the arithmetic come out with other last bits than on this machine left to
    itself.
    """
    changed = [name for name, value in probe(environment_of(run)).items() if plain[name] != value]
    return ", ".join(changed) or "nothing"


def execute(run: Run, notebooks: Path) -> list[Failure]:
    """Run every chapter; what failed. The environment is read when libraries start, so each run is
    a new process.
    """
    if not forks.available():
        return execute_slowly(run, notebooks)
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "failures.json"
        command = [
            sys.executable,
            "-m",
            "tests.planted.chapters",
            "--notebooks",
            str(notebooks),
            "--json",
            str(found),
        ]
        command += ["--workers", str(run.workers), *([] if run.compares else ["--lax"])]
        environment = os.environ | environment_of(run)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not found.exists():
            raise PytestError(
                f"{' '.join(command)}\nexited with {done.returncode}:\n{done.stderr[-2000:]}"
            )
        return failures_in(json.loads(found.read_text(encoding="utf-8")))


def execute_slowly(run: Run, notebooks: Path) -> list[Failure]:
    """As ``execute``, with nbval and a kernel for each chapter."""
    check = "--nbval" if run.compares else "--nbval-lax"
    workers = ["--numprocesses=auto", f"--maxprocesses={run.workers}", "--dist=loadfile"]
    # No other plugins: they double the time to start.
    plugins = ["-p", "nbval.plugin", "-p", "xdist.plugin"]
    settings = f"addopts={check} --nbval-current-env --nbval-cell-timeout=300"
    options = [*plugins, "-o", settings, *workers, str(notebooks)]
    environment = environment_of(run) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run_pytest(options, root=ROOT, environment=environment, seconds=1200)


class Outcome(NamedTuple):
    """What came of a run."""

    run: Run
    seconds: float = 0.0
    differs: str = ""
    """What comes out otherwise than on this machine left to itself."""
    failures: tuple[Failure, ...] = ()
    skipped: str = ""
    """Why it was not done; empty if it was."""


def tried(run: Run, notebooks: Path, plain: dict[str, str]) -> Outcome:
    """Do one run, if this machine can."""
    if run.x86_only and platform.machine().lower() not in X86:
        return Outcome(run, skipped=f"only for x86 processors, this is {platform.machine()}")
    began = time.perf_counter()
    differs = effect(run, plain) if run.compares else "the seeds"
    failures = tuple(execute(run, notebooks))
    return Outcome(run, time.perf_counter() - began, differs, failures)


def lines(outcome: Outcome) -> list[str]:
    """An outcome for people: its line, and one for each failure."""
    name = outcome.run.name.ljust(14)
    if outcome.skipped:
        return [f"skipped  {name}  {outcome.skipped}"]
    state = "FAILED" if outcome.failures else "passed"
    demand = "outputs equal" if outcome.run.compares else "claims hold"
    head = f"{state.ljust(7)}  {name}  {outcome.seconds:5.1f} s  {demand}"
    whole = f"{head}; differs: {outcome.differs}"
    return [whole, *(f"         {each.where}: {each.message}" for each in outcome.failures)]


def chosen(words: list[str]) -> list[Run]:
    """The runs whose name holds one of the words; all if there are none."""
    return [run for run in runs() if not words or any(word in run.name for word in words)]


def main(arguments: list[str] | None = None) -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("words", nargs="*", help="only runs whose name holds one of these")
    folder = ROOT / "notebooks"
    add("--notebooks", type=Path, default=folder, help="executed notebooks; default: all")
    asked = parser.parse_args(arguments)
    wanted = chosen(asked.words)
    if not wanted:
        there = ", ".join(run.name for run in runs())
        parser.error(f"no run's name holds {' or '.join(asked.words)}; there are {there}")
    began = time.perf_counter()
    plain = probe(threads(1))
    outcomes: list[Outcome] = []
    try:
        for run in wanted:
            outcomes.append(tried(run, asked.notebooks.resolve(), plain))
            print("\n".join(lines(outcomes[-1])), flush=True)
    except PytestError as error:
        print(error, file=sys.stderr)
        return 2
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    print(f"{len(outcomes)} runs, {failed} failed ({time.perf_counter() - began:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
