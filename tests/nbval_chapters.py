"""A pytest plugin (``-p tests.nbval_chapters``): how nbval starts kernels, what is kept of a run.

On Linux each kernel is a copy of one process that has imported the libraries; with L2_KERNELS=new,
and elsewhere, each is started anew. A chapter whose every cell gave what is stored need not be
executed again for the HTML book: its record is kept, and, with this run's pictures, the notebook
itself.
"""

import os
import tempfile
import uuid
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import nbval.kernel
import pytest
from nbval.plugin import IPyNbCell

from book import sentences
from book.execute import NOTEBOOKS, ROOT, SOURCE, comes_from, kernel_options
from book.running import forks, kernels, records
from book.running.cells import code_cells
from book.running.records import Run
from book.sentences import SentenceError, Sentences
from tests.planted.compare import DRAWN, other_numbers, other_pictures

SERVER = "L2_KERNEL_SERVER"
INTO = ROOT / "_build" / "notebooks"
_Manager = nbval.kernel.KernelManager
_began: dict[Path, datetime] = {}
_equal: dict[Path, list[list[Any]]] = {}
_asking: dict[Path, Sentences] = {}


def copies() -> bool:
    """Whether kernels are to be copies of a process."""
    asked = os.environ.get("L2_KERNELS") or "copied"
    if asked not in ("copied", "new"):
        raise pytest.UsageError(f"L2_KERNELS is {asked!r}; choose one of copied, new")
    return forks.available() and asked == "copied"


def _manager(**options: Any) -> Any:
    manager = _Manager(**kernel_options(), **options)
    if copies() and (server := os.environ.get(SERVER)):
        own = {
            "kernel_id": str(uuid.uuid4()),
            "kernel_spec": manager.kernel_spec,
            "parent": manager,
        }
        manager.provisioner = kernels.Copied(server, **own)
    return manager


def pytest_configure(config: pytest.Config) -> None:
    """Kernels without progress bars, with sockets that nobody else can take, copied from a warm
    process.
    """
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar is no output to compare
    os.environ.pop("L2LIB_WIDGETS", None)  # nor are dials
    nbval.kernel.KernelManager = _manager
    if copies() and SERVER not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="l2-")
        server = kernels.start_server(Path(folder.name))
        os.environ[SERVER] = server.socket

        def stop() -> None:
            os.environ.pop(SERVER, None)
            server.process.communicate()
            folder.cleanup()

        config.add_cleanup(stop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what a cell gave, if it gave what is stored; keep the chapter after its last cell."""
    report = yield
    if isinstance(item, IPyNbCell) and item.path.parent == NOTEBOOKS and item.config.option.nbval:
        _began.setdefault(item.path, datetime.now(UTC))
        if report.when == "call" and report.passed:
            _equal.setdefault(item.path, []).append(item.test_outputs)
        notebook = item.parent.nb
        if report.when == "teardown" and len(_equal.get(item.path, [])) == len(
            code_cells(notebook)
        ):
            keep(item.path, notebook, _equal.pop(item.path))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """After a cell has given what is stored, its pictures and the sentences near it must, too."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    chapter: Any = item.parent
    if DRAWN not in chapter.skip_compare:  # to the letter, as nbval would
        chapter.skip_compare += (DRAWN,)
    yield
    if item.options["check"]:
        found = other_pictures(item.cell.outputs, item.test_outputs)
        found += other_numbers(sentences.stored(chapter.nb), ask(item))
        if found:
            todo = "run `make notebooks` if that is right"
            item.raise_cell_error("Cell outputs differ", "\n".join([*found, todo]))


def ask(item: IPyNbCell) -> dict[str, str]:
    """What the chapter's sentences say that can be said after this cell."""
    chapter: Any = item.parent
    asking = _asking.setdefault(item.path, Sentences(chapter.nb))
    questions = asking.asked(item.cell_num)
    if not questions:
        return {}
    client = chapter.kernel.kc
    told = client.execute_interactive("", silent=True, user_expressions=questions, timeout=60)
    try:
        return asking.heard(item.cell_num, told["content"]["user_expressions"])
    except SentenceError as error:
        item.raise_cell_error(str(error))
        raise


def keep(path: Path, notebook: nbformat.NotebookNode, found: list[list[Any]]) -> None:
    """Write a chapter as it has just been run: the text is the stored one, the pictures are new;
    and records.
    """
    source = SOURCE / f"{path.stem}.py"
    if not comes_from(notebook, source):
        return  # another test says so
    same = True
    for cell, outputs in zip(code_cells(notebook), found, strict=True):
        for stored, new in zip(pictured(cell.outputs), pictured(outputs), strict=True):
            same &= stored["image/png"].strip() == new["image/png"].strip()
            stored["image/png"] = new["image/png"]
    INTO.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, INTO / path.name)
    seconds = (datetime.now(UTC) - _began[path]).total_seconds()
    run = Run(path.stem, _began[path].isoformat(timespec="seconds"), round(seconds, 1))
    records.note(INTO / path.name, source, run)
    if same:  # else its pictures are of an older run: nbval compares none
        records.note(path, source, run)


def pictured(outputs: list[Any]) -> list[Any]:
    """The data of those outputs that have a picture."""
    return [output["data"] for output in outputs if "image/png" in output.get("data", {})]
