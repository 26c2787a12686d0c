"""Chapters from their source twins: execute, store, and bring edits back.

python -m book.execute [--into DIR] [--anew] [SOURCE ...]   run sources that changed
python -m book.execute --sync [NOTEBOOK ...]                write the twins of edited notebooks
"""

import argparse
import base64
import json
import os
import re
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from book import folding, sentences
from book.running import cells, forks, records, terminal
from book.running.records import Run
from book.sentences import SentenceError, Sentences

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SOURCE = NOTEBOOKS / "source"
COVER = ROOT / "book/_static/balance.png"
ON_THE_COVER = "Share of the squared norm"  # so begins the description of its picture in chapter 0
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_TIMEOUT = cells.CELL_SECONDS
SECONDS = 1800  # for a chapter
_SOCKETS = tempfile.TemporaryDirectory(prefix="l2-")


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook of a py:percent source: no outputs, stable cell ids, cells folded."""
    notebook: nbformat.NotebookNode = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return folding.fold(notebook)


def comes_from(notebook: nbformat.NotebookNode, source: Path) -> bool:
    """Whether the cells of an executed notebook are a source's, outputs and numbers apart."""
    theirs, ours = read_source(source).cells, sentences.emptied(notebook).cells
    return [cell.source for cell in theirs] == [cell.source for cell in ours]


def kernel_options() -> dict[str, str]:
    """Options of a kernel manager that cannot clash with a kernel started at the same moment.

    Over TCP a manager looks for free ports and the kernel takes them a second later; another may
    have taken them by then, and the first waits in vain. Sockets in a folder of our own have no
    such gap.

    Returns:
        Keyword arguments; none where there are no such sockets.
    """
    if os.name != "posix":
        return {}
    return {
        "transport": "ipc",
        "connection_file": os.path.join(_SOCKETS.name, f"{uuid.uuid4().hex[:8]}.json"),
    }


class Clock:
    """Started when a chapter begins."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self._start = time.perf_counter()

    def run(self, chapter: str) -> Run:
        """The run of a chapter that has just ended."""
        seconds = round(time.perf_counter() - self._start, 1)
        return Run(chapter, self.began.isoformat(timespec="seconds"), seconds)


def execute(source: Path, into: Path) -> Run:
    """Run one source in a fresh kernel; write the notebook only if every cell ran.

    Args:
        source: a py:percent source.
        into: folder for the notebook.

    Returns:
        How it went.
    """
    notebook = read_source(source)
    clock = Clock()
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", **kernel_options()),
        timeout=CELL_TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    try:
        said = run_sync(execute_and_ask)(client)
    except (CellExecutionError, SentenceError) as error:
        return Run(source.stem, error=re.sub(r"\x1b\[[0-9;]*m", "", str(error)))
    sentences.fill(notebook, said)
    return stored(source, into, notebook, clock)


async def execute_and_ask(client: NotebookClient) -> dict[str, str]:
    """Execute a notebook in place, as ``client.execute`` does; what its sentences say, by place."""
    asking, said = Sentences(client.nb), dict[str, str]()
    async with client.async_setup_kernel():
        for number, (index, cell) in enumerate(numbered(client.nb)):
            await client.async_execute_cell(cell, index, execution_count=number + 1)
            questions = asking.asked(number)
            kernel: Any = client.kc
            told = await kernel.execute_interactive("", silent=True, user_expressions=questions)
            said |= asking.heard(number, told["content"]["user_expressions"])
    return said


def numbered(notebook: nbformat.NotebookNode) -> list[tuple[int, nbformat.NotebookNode]]:
    """The code cells, each with its index among all cells."""
    return [(n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def execute_here(source: Path, into: Path) -> Run:
    """As ``execute``, in this process, which must be a copy made for it; with the same outputs."""
    notebook = read_source(source)
    clock = Clock()
    os.chdir(NOTEBOOKS)
    session = cells.Session(notebook)
    ran: list[cells.Ran] = []
    for number, cell in enumerate(cells.code_cells(notebook)):
        ran.append(session.run(cell.source))
        if error := ran[-1].error:
            words = "".join(traceback.format_exception(error)).strip()
            return Run(source.stem, error=f"code cell {number}\n{cell.source}\n{words}")
    return stored(source, into, cells.finished(notebook, ran), clock)


def stored(source: Path, into: Path, notebook: nbformat.NotebookNode, clock: Clock) -> Run:
    """Write an executed notebook and its record."""
    run = clock.run(source.stem)
    into.mkdir(parents=True, exist_ok=True)
    target = into / f"{source.stem}.ipynb"
    write(notebook, target)
    records.note(target, source, run)
    return run


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write an executed notebook, without what differs from run to run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def execute_all(sources: list[Path], into: Path, anew: bool = False, kernels: bool = False) -> int:
    """Bring the notebooks of these sources up to date, two at a time; print a line for each.

    Args:
        sources: py:percent sources.
        into: folder of executed notebooks; those that are still what their source gives are left
            alone.
        anew: execute those, too.
        kernels: in Jupyter's kernels also where copies of a warm process would do.

    Returns:
        The exit status: 1 if a cell failed; nothing is written for its chapter.
    """
    runs = {} if anew else up_to_date(sources, into)
    stale = [source for source in sources if source.stem not in runs]
    for one in run(stale, into, kernels):
        print(f"{one.chapter}: {one.outcome}", flush=True)
        runs[one.chapter] = one
    if any(one.error for one in runs.values()):
        return 1
    if into == NOTEBOOKS:
        write_cover()
    else:
        write_status([runs[source.stem] for source in sources], into / "status.json")
    return 0


def up_to_date(sources: list[Path], into: Path) -> dict[str, Run]:
    """The earlier runs of chapters whose notebooks are still what their source gives."""
    found = {}
    for source in sources:
        if one := records.known(into / f"{source.stem}.ipynb", source):
            print(f"{source.stem}: is up to date", flush=True)
            found[source.stem] = one
    return found


def write_status(runs: list[Run], path: Path) -> None:
    """Write when each chapter was run and how long it took, for the book's page on that."""
    rows = [{"chapter": one.chapter, "began": one.began, "seconds": one.seconds} for one in runs]
    path.write_text(json.dumps(rows), encoding="utf-8")


def run(sources: list[Path], into: Path, kernels: bool) -> Iterator[Run]:
    """Execute sources; how each went, as they end."""
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar would be stored as an output
    os.environ.pop("L2LIB_WIDGETS", None)  # and so would dials
    # Two kernels with two threads each would fight for the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    workers = min(2, os.cpu_count() or 1)
    if not sources:
        return
    if kernels or not forks.available():
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda source: execute(source, into), sources)
        return
    forks.warm()
    bodies = [partial(execute_here, source, into) for source in sources]
    for number, fields in forks.run_all(bodies, workers, SECONDS):
        if isinstance(fields, forks.EndedError):
            yield Run(sources[number].stem, error=str(fields))
        else:
            yield Run(*fields)  # JSON has made a list of it


def write_cover() -> None:
    """Write the picture of shares in chapter 0 where the README and the landing page show it."""
    notebook = cells.read(next(NOTEBOOKS.glob("00_*.ipynb")))
    outputs = [output for cell in cells.code_cells(notebook) for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    cover = next(
        each for each in pictures if each.metadata["image/png"]["alt"].startswith(ON_THE_COVER)
    )
    COVER.write_bytes(base64.b64decode(cover.data["image/png"]))


def sync(notebooks: list[Path]) -> int:
    """Write each notebook's source twin from its cells."""
    for path in notebooks:
        notebook = sentences.emptied(folding.unfold(nbformat.read(path, as_version=4)))
        text = jupytext.writes(notebook, fmt="py:percent")
        (SOURCE / f"{path.stem}.py").write_text(text, encoding="utf-8", newline="\n")
        print(f"notebooks/source/{path.stem}.py written")
    return 0


def main() -> int:
    """Read the command line, and do what it says."""
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--into", type=Path, default=NOTEBOOKS, help="folder for the executed notebooks"
    )
    parser.add_argument("--anew", action="store_true", help="also what is up to date")
    parser.add_argument(
        "--kernels",
        action="store_true",
        help="in Jupyter's kernels, as where nothing can be forked",
    )
    parser.add_argument(
        "--sync", action="store_true", help="write sources from notebooks; nothing is executed"
    )
    parser.add_argument(
        "files", nargs="*", type=Path, help="sources, or with --sync notebooks; default: all"
    )
    arguments = parser.parse_args()
    if arguments.sync:
        return sync(arguments.files or sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))
    sources = [path.resolve() for path in arguments.files] or sorted(SOURCE.glob("[0-9]*.py"))
    from l2lib.claims import seeds  # not before: who imports this copies itself with another l2lib

    try:
        seeds(1)
    except ValueError as error:  # L2LIB_SEED: said once, and not by every chapter
        print(error, file=sys.stderr)
        return 2
    return execute_all(sources, arguments.into.resolve(), arguments.anew, arguments.kernels)


if __name__ == "__main__":
    sys.exit(main())
