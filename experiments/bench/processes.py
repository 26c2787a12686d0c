"""Contenders' processes: each has its cores, starts when first asked, and waits for its turn."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from experiments.bench import worker
from experiments.bench.job import Entry

CORES = (
    sorted(os.sched_getaffinity(0))
    if hasattr(os, "sched_getaffinity")
    else list(range(os.cpu_count() or 1))
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ENVIRONMENT = dict.fromkeys(THREADS, "1") | {"JAX_PLATFORMS": "cpu"}
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}


@dataclass(frozen=True)
class Contender:
    """Where a contender's code is, and what is special about it."""

    module: str
    function: str
    process_a_core: bool = False
    """On several cores it has a process on each, with its share of the configurations."""
    trains: bool = True
    """Its losses are compared; else there are none."""

    @property
    def path(self) -> str:
        """The module's full name."""
        return f"experiments.bench.{self.module}"


CONTENDERS = {
    "plain loop": Contender("torch_peers", "plain_loop"),
    "plain loop, joblib": Contender("torch_peers", "joblib_loop"),
    "skorch": Contender("torch_peers", "skorch_loop"),
    "torch.func.vmap": Contender("torch_peers", "stacked"),
    "JAX": Contender("jax_peer", "compiled"),
    "JAX, two processes": Contender("jax_peer", "compiled", process_a_core=True),
    "JAX, patches": Contender("jax_peer", "compiled_patches"),
    "l2lib": Contender("ours", "swept"),
    "l2lib, no records": Contender("ours", "swept"),
    "l2lib, chunks": Contender("ours", "swept"),
    "products alone": Contender("torch_peers", "products", trains=False),
}


class Processes:
    """All that run, one for each contender and choice of cores; a context that ends them."""

    def __init__(self) -> None:
        self._running: dict[tuple[Contender, tuple[int, ...]], Executor] = {}
        os.environ.update(
            ENVIRONMENT
        )  # they inherit it, and libraries read it when they are imported

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for executor in self._running.values():
            executor.shutdown(wait=False, cancel_futures=True)

    def of(self, entry: Entry) -> list[Executor]:
        """What an entry runs in: one process on all its cores, or one on each, in order."""
        contender = CONTENDERS[entry.contender]
        cores = CORES[-entry.workers :]
        if contender.process_a_core:
            return [self._on(contender, (core,)) for core in cores]
        return [self._on(contender, tuple(cores))]

    def _on(self, contender: Contender, cores: tuple[int, ...]) -> Executor:
        if (contender, cores) not in self._running:
            variables = ONE_THREAD if len(cores) == 1 else {}
            executor = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=worker.begin,
                initargs=(cores, variables),
            )
            executor.submit(worker.load, contender.path)  # several import side by side
            self._running[contender, cores] = executor
        return self._running[contender, cores]

    def ask(self, entry: Entry, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call a function of ``worker`` in each of an entry's processes; see ``ask_each``."""
        return self.ask_each(entry, function, [arguments for _ in self.of(entry)])

    def ask_each(
        self, entry: Entry, function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Call a function in each of an entry's processes, with arguments of its own; wait for all.

        Args:
            entry: whose turn it is.
            function: of ``worker``; it is given the entry, and the arguments.
            arguments: a sequence for each process.

        Returns:
            What each gave.

        Raises:
            SystemExit: if one of them died.
        """
        pairs = zip(self.of(entry), arguments, strict=True)
        try:
            futures = [executor.submit(function, entry, *own) for executor, own in pairs]
            return [future.result() for future in futures]
        except BrokenProcessPool:
            words = f"the process of {entry.contender} died; above is what it had to say"
            raise SystemExit(words) from None
