"""Settings that every test and every notebook kernel shares."""

import os
import sys
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Two workers with two threads each would fight for two cores. Set before torch is first imported.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

# The same examples on every run and every machine: a test that fails once fails again.
settings.register_profile("book", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("book")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers at most, one where this process may use one core only."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(2, usable)


# What takes longest is begun first, so that two workers end together; a file's tests stay together.
LONGEST = (
    "notebooks",
    "test_grading.py",
    "test_mutants.py",
    "test_assignments.py",
    "test_exercises.py",
    "test_formulas.py",
    "test_project.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within a file nothing changes."""

    def rank(item: pytest.Item) -> int:
        names = {item.path.name, item.path.parent.name}
        return next((number for number, name in enumerate(LONGEST) if name in names), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(autouse=True, scope="session")
def _products_as_in_a_sweep() -> None:
    """A sweep is equal to the last bit if MKL was not used before the process's first one."""
    from l2lib.sweep.workers import prepare_process  # with torch, so not before it is needed

    prepare_process()


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """A chapter's code that a test runs may set torch's default type; the next test has its own."""
    before = sys.modules["torch"].get_default_dtype() if "torch" in sys.modules else None
    yield
    if torch := sys.modules.get("torch"):
        torch.set_default_dtype(before or torch.float32)


def refuses(error: BaseException) -> bool:
    """Whether an error is one that l2lib raises on purpose, as it refuses what it was given."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(refuses, error.exceptions))
    if not isinstance(error, ValueError) or error.__cause__ is not None:
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "l2lib" in Path(last.filename).parts[:-1] and str(last.line).startswith("raise ")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """What a test hands to l2lib is right, unless it says that it must be refused."""
    try:
        return (yield)
    except (ValueError, ExceptionGroup) as error:
        if refuses(error):
            pytest.fail(f"l2lib refuses what it should take: {error}")
        raise
