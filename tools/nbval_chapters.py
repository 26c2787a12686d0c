"""A pytest plugin for chapters (``-p nbval_chapters``): how nbval starts their kernels, and what is kept of a run.

A chapter whose every cell gave what is stored need not be executed again for the HTML book: its record is kept, and,
with this run's pictures, the notebook itself.
"""

import os
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import nbval.kernel
import pytest
import records
from cells import code_cells
from nbval.plugin import IPyNbCell

from notebooks import NOTEBOOKS, ROOT, SOURCE, kernel_options, read_source

INTO = ROOT / "_build" / "notebooks"
_Manager = nbval.kernel.KernelManager
_began: dict[Path, datetime] = {}
_equal: dict[Path, list[list[Any]]] = {}


def _manager(**options: Any) -> Any:
    return _Manager(**kernel_options(), **options)


def pytest_configure(config: pytest.Config) -> None:
    """Kernels without progress bars, and with sockets that nobody else can take."""
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar is no output to compare
    nbval.kernel.KernelManager = _manager


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
        if report.when == "teardown" and len(_equal.get(item.path, [])) == len(code_cells(notebook)):
            keep(item.path, notebook, _equal.pop(item.path))
    return report


def keep(path: Path, notebook: nbformat.NotebookNode, found: list[list[Any]]) -> None:
    """Write a chapter as it has just been run: the text is the stored one, the pictures are new; and both records."""
    source = SOURCE / f"{path.stem}.py"
    if [cell.source for cell in read_source(source).cells] != [cell.source for cell in notebook.cells]:
        return  # another test says so
    for cell, outputs in zip(code_cells(notebook), found, strict=True):
        new = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        old = [output["data"] for output in cell.outputs if "image/png" in output.get("data", {})]
        for data, picture in zip(old, new, strict=True):
            data["image/png"] = picture
    INTO.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, INTO / path.name)
    seconds = (datetime.now(UTC) - _began[path]).total_seconds()
    more = {"began": _began[path].isoformat(timespec="seconds"), "seconds": round(seconds, 1)}
    for notebook_path in (path, INTO / path.name):
        records.note(notebook_path, source, **more)
