"""The book's own engine."""

import xarray as xr

from experiments.bench.job import Job, Task
from experiments.bench.works import WORKS
from l2lib.sweep import Engine, sweep


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
    how = job.engine
    engine = Engine(progress=False, dtype=job.dtype, workers=how.workers, chunk_size=how.chunk_size)
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
        record_every=how.record_every,
        evaluate_every=how.evaluate_every,
        engine=engine,
    )
