"""Chapters from their source twins: execute, store, and bring edits back.

python tools/notebooks.py execute [--into DIR] [SOURCE ...]   run py:percent sources, write notebooks with outputs
python tools/notebooks.py sync [NOTEBOOK ...]                 write the source twins from edited notebooks
"""

import argparse
import base64
import json
import os
import re
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SOURCE = NOTEBOOKS / "source"
COVER = ROOT / "book/_static/balance.png"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_TIMEOUT = 120  # seconds
_SOCKETS = tempfile.TemporaryDirectory(prefix="l2-")


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a py:percent source describes, without outputs, with stable cell ids."""
    notebook: nbformat.NotebookNode = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def kernel_options() -> dict[str, str]:
    """Options of a kernel manager that cannot clash with a kernel started at the same moment.

    Over TCP a manager looks for free ports and the kernel takes them a second later; another may have taken
    them by then, and the first waits in vain. Sockets in a folder of our own have no such gap.
    """
    if os.name != "posix":
        return {}
    return {"transport": "ipc", "connection_file": os.path.join(_SOCKETS.name, f"{uuid.uuid4().hex[:8]}.json")}


def execute(source: Path, into: Path) -> dict[str, object]:
    """Run one source in a fresh kernel; write the notebook only if every cell ran. Returns its status."""
    notebook = read_source(source)
    began, clock = datetime.now(UTC), time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3", **kernel_options())
    client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, record_timing=False,
                            resources={"metadata": {"path": str(NOTEBOOKS)}})  # fmt: skip
    try:
        client.execute(cleanup_kc=True)
    except CellExecutionError as error:
        return {"chapter": source.stem, "error": re.sub(r"\x1b\[[0-9;]*m", "", str(error))}
    seconds = time.perf_counter() - clock
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    into.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, into / f"{source.stem}.ipynb")
    return {"chapter": source.stem, "began": began.isoformat(timespec="seconds"), "seconds": round(seconds, 1)}


def execute_all(sources: list[Path], into: Path) -> int:
    """Run the sources, two at a time; print a line for each and write status.json beside them."""
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar would be stored as an output
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two kernels with two threads each would fight for the cores
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        rows = list(pool.map(lambda path: execute(path, into), sources))
    for row in rows:
        print(f"{row['chapter']}: {row.get('error') or str(row['seconds']) + ' s'}", flush=True)
    if any("error" in row for row in rows):
        return 1
    if into == NOTEBOOKS:
        write_cover()
    else:
        (into / "status.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def write_cover() -> None:
    """Write the first picture of chapter 0 where the README and the landing page show it."""
    notebook = nbformat.read(next(NOTEBOOKS.glob("00_*.ipynb")), as_version=4)
    pictures = [output.data["image/png"] for cell in notebook.cells for output in cell.get("outputs", [])
                if "image/png" in output.get("data", {})]  # fmt: skip
    COVER.write_bytes(base64.b64decode(pictures[0]))


def sync(notebooks: list[Path]) -> int:
    """Write each notebook's source twin from its cells."""
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        text = jupytext.writes(notebook, fmt="py:percent")
        (SOURCE / f"{path.stem}.py").write_text(text, encoding="utf-8", newline="\n")
        print(f"notebooks/source/{path.stem}.py written")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("execute")
    run.add_argument("--into", type=Path, default=NOTEBOOKS, help="folder for the executed notebooks")
    run.add_argument("sources", nargs="*", type=Path, help="py:percent sources; default: all")
    back = commands.add_parser("sync")
    back.add_argument("notebooks", nargs="*", type=Path, help="edited notebooks; default: all")
    arguments = parser.parse_args()
    if arguments.command == "execute":
        return execute_all(arguments.sources or sorted(SOURCE.glob("[0-9]*.py")), arguments.into.resolve())
    return sync(arguments.notebooks or sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))


if __name__ == "__main__":
    sys.exit(main())
