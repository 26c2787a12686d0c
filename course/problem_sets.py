"""Problem sets for students, from their sources with solutions and hidden tests.

python -m course.problem_sets [--sources DIR] [--into DIR]          write course/release/psN.ipynb
python -m course.problem_sets --check [--sources DIR] [--into DIR]  say what is stale, or not for
students' eyes python -m course.problem_sets --course DIR [--sources DIR]          the sources as
notebooks, where nbgrader wants them
"""

import argparse
import base64
import binascii
import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from l2lib import _spelling

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "course/source"
RELEASE = ROOT / "course/release"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
BLOCK = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)\n[ \t]*### END \1", re.DOTALL)
MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARKING SCHEME)")
BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
SHORT = 8  # a line of fewer characters says nothing


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a source describes, with solutions and hidden tests."""
    notebook: nbformat.NotebookNode = jupytext.read(path, fmt="py:percent")
    names = {
        "kernelspec": KERNELSPEC,
        "language_info": {"name": "python"},
        "problem_set": path.stem,
    }
    notebook.metadata = nbformat.from_dict(names)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def release_text(path: Path) -> str:
    """The student's notebook, as its file's text: nbgrader's own steps, in nbgrader's order."""
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearHiddenTests,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    notebook = read_source(path)
    resources = {"nbgrader": {"notebook": path.stem}}
    for step in (
        CheckCellMetadata,
        ClearSolutions,
        LockCells,
        ClearOutput,
        ClearHiddenTests,
        ComputeChecksums,
    ):
        notebook, resources = step().preprocess(notebook, resources)
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text + "\n"


def secrets(notebook: nbformat.NotebookNode) -> set[str]:
    """Lines of solutions and hidden tests that stand nowhere in what students may see."""
    visible = "\n".join(BLOCK.sub("", cell.source) for cell in notebook.cells)
    hidden = (line.strip() for cell in notebook.cells for block in BLOCK.finditer(cell.source)
              for line in block[2].splitlines())  # fmt: skip
    return {line for line in hidden if len(line) >= SHORT and line not in visible}


def texts(value: Any) -> Iterator[str]:
    """Every text in a notebook's file, keys included; lists of lines joined; base64 decoded."""
    if isinstance(value, str):
        yield value
        for packed in {"".join(value.split()), *BASE64.findall(value)}:
            with contextlib.suppress(binascii.Error, ValueError):
                yield base64.b64decode(packed, validate=True).decode("utf-8", "ignore")
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield from texts("".join(value))
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)


def leaks(source: nbformat.NotebookNode, released: Any) -> list[str]:
    """What a released file holds that students must not see: lines, markers, outputs.

    Args:
        source: the notebook with solutions.
        released: the released file, as JSON.

    Returns:
        A line for each find; empty if there is none.
    """
    whole = "\n".join(texts(released))
    found = [
        f"a line of a solution or hidden test: {line}"
        for line in sorted(secrets(source))
        if line in whole
    ]
    found += [f"a marker: {match[0]}" for match in MARKER.finditer(whole)]
    found += [
        "an output"
        for cell in released["cells"]
        if cell.get("outputs") or cell.get("execution_count")
    ]
    return found


def problems(sources: Path, into: Path) -> list[str]:
    """What is wrong with the released notebooks: stale, missing, left over, or leaking."""
    found = []
    names = {path.stem for path in sources.glob("*.py")}
    found += [
        f"{path.name} has no source"
        for path in sorted(into.glob("*.ipynb"))
        if path.stem not in names
    ]
    for path in sorted(sources.glob("*.py")):
        target = into / f"{path.stem}.ipynb"
        text = target.read_text(encoding="utf-8") if target.exists() else ""
        if text != release_text(path):
            found.append(f"{target.name} is not what its source gives: run make assignments")
        if text:
            found += [
                f"{target.name} holds {leak}"
                for leak in leaks(read_source(path), nbformat.reads(text, 4))
            ]
    return found


def write(sources: Path, into: Path) -> None:
    """Write every student's notebook, unless one of them leaks; remove those without a source.

    Args:
        sources: folder of the sources.
        into: folder of the students' notebooks; made if it is not there.

    Raises:
        ValueError: if a notebook would show what students must not see; nothing is written then.
    """
    ready = {path.stem: release_text(path) for path in sorted(sources.glob("*.py"))}
    for path in sorted(sources.glob("*.py")):
        found = leaks(read_source(path), nbformat.reads(ready[path.stem], 4))
        if found:
            raise ValueError(f"{path.name}: the student's notebook would hold {found[0]}")
    into.mkdir(parents=True, exist_ok=True)
    for name, text in ready.items():
        (into / f"{name}.ipynb").write_text(text, encoding="utf-8", newline="\n")
        print(f"{into.name}/{name}.ipynb written")
    for path in into.glob("*.ipynb"):
        if path.stem not in ready:
            path.unlink()
            print(f"{into.name}/{path.name} removed: it has no source")


def write_course(sources: Path, course: Path) -> None:
    """Write every source, solutions and all, to source/psN/psN.ipynb in an nbgrader course."""
    for path in sorted(sources.glob("*.py")):
        target = course / "source" / path.stem / f"{path.stem}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(read_source(path), target)
        print(f"{target} written")


def main() -> int:
    """Read the command line, and do what it says."""
    _spelling.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 if something is wrong"
    )
    parser.add_argument("--course", type=Path, help="folder of an nbgrader course")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the sources")
    parser.add_argument(
        "--into", type=Path, default=RELEASE, help="folder of the students' notebooks"
    )
    arguments = parser.parse_args()
    if not any(arguments.sources.glob("*.py")):
        print(f"{arguments.sources}: no source of a problem set (*.py) is there", file=sys.stderr)
        return 2
    if arguments.course:
        write_course(arguments.sources, arguments.course)
        return 0
    if arguments.check:
        found = problems(arguments.sources, arguments.into)
        print("\n".join(found) or "current, and free of solutions and hidden tests")
        return 1 if found else 0
    try:
        write(arguments.sources, arguments.into)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
