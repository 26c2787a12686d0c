"""Chapters from their source twins: execute, store, and bring edits back.

python -m book.execute [--into DIR] [--anew] [SOURCE ...]   run py:percent sources that changed
python -m book.execute --sync [NOTEBOOK ...]                write the source twins from edited notebooks
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
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from book import folding
from book.running import cells, forks, records

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SOURCE = NOTEBOOKS / "source"
COVER = ROOT / "book/_static/balance.png"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_TIMEOUT = cells.CELL_SECONDS
SECONDS = 1800  # for a chapter
_SOCKETS = tempfile.TemporaryDirectory(prefix="l2-")


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a py:percent source describes: no outputs, stable cell ids, cells folded."""
    notebook: nbformat.NotebookNode = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return folding.fold(notebook)


def kernel_options() -> dict[str, str]:
    """Options of a kernel manager that cannot clash with a kernel started at the same moment.

    Over TCP a manager looks for free ports and the kernel takes them a second later; another may have taken
    them by then, and the first waits in vain. Sockets in a folder of our own have no such gap.

    Returns:
        Keyword arguments; none where there are no such sockets.
    """
    if os.name != "posix":
        return {}
    return {"transport": "ipc", "connection_file": os.path.join(_SOCKETS.name, f"{uuid.uuid4().hex[:8]}.json")}


def execute(source: Path, into: Path) -> dict[str, Any]:
    """Run one source in a fresh kernel; write the notebook only if every cell ran.

    Args:
        source: a py:percent source.
        into: folder for the notebook.

    Returns:
        "chapter", and either "error" or when the run "began" and how many "seconds" it took.
    """
    notebook = read_source(source)
    began, clock = datetime.now(UTC), time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3", **kernel_options())
    client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, record_timing=False,
                            resources={"metadata": {"path": str(NOTEBOOKS)}})  # fmt: skip
    try:
        client.execute(cleanup_kc=True)
    except CellExecutionError as error:
        return {"chapter": source.stem, "error": re.sub(r"\x1b\[[0-9;]*m", "", str(error))}
    return stored(source, into, notebook, began, clock)


def execute_here(source: Path, into: Path) -> dict[str, Any]:
    """Run one source in this process, which must be a copy made for it; as ``execute``, and with the same outputs."""
    notebook = read_source(source)
    began, clock = datetime.now(UTC), time.perf_counter()
    os.chdir(NOTEBOOKS)
    session, ran = cells.Session(), []
    for number, cell in enumerate(cells.code_cells(notebook)):
        ran.append(session.run(cell.source))
        if error := ran[-1].error:
            words = "".join(traceback.format_exception(error)).strip()
            return {"chapter": source.stem, "error": f"code cell {number}\n{cell.source}\n{words}"}
    return stored(source, into, cells.finished(notebook, ran), began, clock)


def stored(source: Path, into: Path, notebook: nbformat.NotebookNode, began: datetime, clock: float) -> dict[str, Any]:
    """Write an executed notebook and its record; return its status."""
    seconds = round(time.perf_counter() - clock, 1)
    into.mkdir(parents=True, exist_ok=True)
    target = into / f"{source.stem}.ipynb"
    write(notebook, target)
    status = {"began": began.isoformat(timespec="seconds"), "seconds": seconds}
    records.note(target, source, **status)
    return {"chapter": source.stem} | status


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write an executed notebook, without what differs from run to run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def execute_all(sources: list[Path], into: Path, anew: bool = False, kernels: bool = False) -> int:
    """Bring the executed notebooks of these sources up to date, two at a time; print a line for each.

    Args:
        sources: py:percent sources.
        into: folder of executed notebooks; those that are still what their source gives are left alone.
        anew: execute those, too.
        kernels: in Jupyter's kernels also where copies of a warm process would do.

    Returns:
        The exit status: 1 if a cell failed; nothing is written for its chapter.
    """
    rows = {} if anew else {source.stem: row for source in sources
                            if (row := records.known(into / f"{source.stem}.ipynb", source))}  # fmt: skip
    for name in rows:
        print(f"{name}: is up to date", flush=True)
    for row in run([source for source in sources if source.stem not in rows], into, kernels):
        print(f"{row['chapter']}: {row.get('error') or str(row['seconds']) + ' s'}", flush=True)
        rows[row["chapter"]] = row
    if any("error" in row for row in rows.values()):
        return 1
    if into == NOTEBOOKS:
        write_cover()
    else:
        (into / "status.json").write_text(json.dumps([rows[source.stem] for source in sources]), encoding="utf-8")
    return 0


def run(sources: list[Path], into: Path, kernels: bool) -> Iterator[dict[str, Any]]:
    """Execute sources; their statuses, as they end."""
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar would be stored as an output
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two kernels with two threads each would fight for the cores
    workers = min(2, os.cpu_count() or 1)
    if not sources:
        return
    if kernels or not forks.available():
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda source: execute(source, into), sources)
        return
    forks.warm()
    for number, row in forks.run_all([partial(execute_here, source, into) for source in sources], workers, SECONDS):
        failed = {"chapter": sources[number].stem, "error": str(row)}
        yield failed if isinstance(row, forks.EndedError) else row


def write_cover() -> None:
    """Write the first picture of chapter 0 where the README and the landing page show it."""
    notebook = nbformat.read(next(NOTEBOOKS.glob("00_*.ipynb")), as_version=4)
    pictures = [output.data["image/png"] for cell in notebook.cells for output in cell.get("outputs", [])
                if "image/png" in output.get("data", {})]  # fmt: skip
    COVER.write_bytes(base64.b64decode(pictures[0]))


def sync(notebooks: list[Path]) -> int:
    """Write each notebook's source twin from its cells."""
    for path in notebooks:
        notebook = folding.unfold(nbformat.read(path, as_version=4))
        text = jupytext.writes(notebook, fmt="py:percent")
        (SOURCE / f"{path.stem}.py").write_text(text, encoding="utf-8", newline="\n")
        print(f"notebooks/source/{path.stem}.py written")
    return 0


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=NOTEBOOKS, help="folder for the executed notebooks")
    parser.add_argument("--anew", action="store_true", help="also what is up to date")
    parser.add_argument("--kernels", action="store_true", help="in Jupyter's kernels, as where nothing can be forked")
    parser.add_argument("--sync", action="store_true", help="write sources from notebooks; nothing is executed")
    parser.add_argument("files", nargs="*", type=Path, help="sources, or with --sync notebooks; default: all")
    arguments = parser.parse_args()
    if arguments.sync:
        return sync(arguments.files or sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))
    sources = [path.resolve() for path in arguments.files] or sorted(SOURCE.glob("[0-9]*.py"))
    return execute_all(sources, arguments.into.resolve(), arguments.anew, arguments.kernels)


if __name__ == "__main__":
    sys.exit(main())
