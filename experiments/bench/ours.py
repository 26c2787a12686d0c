"""The book's own engine."""

import xarray as xr

from experiments.bench.job import Job, Task
from experiments.bench.works import WORKS
from l2lib.sweep import sweep


def swept(job: Job) -> Task:
    """Calls ``sweep`` as a chapter does."""
    kept: list[xr.Dataset] = []

    def run() -> None:
        kept[:] = [call(job)]

    def losses() -> list[float]:
        (found,) = kept
        at_the_end: list[float] = found.train_loss.isel(step=-1).to_numpy().ravel().tolist()
        return at_the_end

    return Task(run, losses)


def call(job: Job) -> xr.Dataset:
    """One call of ``sweep``."""
    grid = job.grid
    engine = job.engine
    return sweep(
        WORKS[job.work].model,
        job.X,
        job.y,
        lr=grid.lr,
        weight_decay=grid.weight_decay,
        seeds=grid.seeds,
        steps=job.steps,
        batch_size=job.batch_size,
        loss="mse" if job.y.dtype.kind == "f" else "cross_entropy",
        optimizer=job.optimizer,
        evaluate_on=job.evaluate_on,
        record_every=engine.record_every,
        evaluate_every=engine.evaluate_every,
        progress=False,
        dtype=job.dtype,
        workers=engine.workers,
        chunk_size=engine.chunk_size,
    )
