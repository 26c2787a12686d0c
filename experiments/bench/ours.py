"""The book's own engine."""

from collections.abc import Callable
from types import SimpleNamespace

from experiments.bench.works import WORKS
from l2lib.sweep import Engine, sweep

RECORDS = {"record_every": 10, "evaluate_every": 100}


def swept(job: SimpleNamespace) -> tuple[Callable, Callable]:
    """A function that calls ``sweep`` as a chapter does, and one that gives the losses at the end."""
    kept = []

    def run() -> None:
        kept[:] = [
            sweep(
                WORKS[job.work].model, job.X, job.y, lr=job.lrs, weight_decay=job.decays, seeds=job.seeds,
                steps=job.steps, batch_size=job.batch_size, loss="mse" if job.y.dtype.kind == "f" else "cross_entropy",
                optimizer=job.optimizer, evaluate_on=job.evaluate_on,
                engine=Engine(dtype=job.dtype, workers=job.workers, progress=False), **RECORDS | job.options,
            )
        ]  # fmt: skip

    return run, lambda: kept[0].train_loss.to_numpy()[..., -1].ravel()
