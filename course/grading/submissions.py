"""Submitted notebooks: where they lie, whose they are, and what is in them. Nothing here writes."""

import hashlib
import os
import re
import stat
import warnings
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from course.grading.problems import Cell, Problems

MAX_BYTES = 2**29
MAX_CELLS = 1000


class UnreadableError(Exception):
    """A file that cannot be graded; the words are for the student."""


@dataclass(frozen=True)
class Submission:
    """A file, and whose it is."""

    path: str
    student: str
    file: str
    """Its path below the folder."""


class Found(NamedTuple):
    """What lies in a folder."""

    notebooks: list[Submission]
    others: list[Path]


class Notebook(NamedTuple):
    """A submission that can be read."""

    cells: list[Cell]
    said: str
    """The name of the set in its metadata, or an empty text."""


def find(folder: Path) -> Found:
    """Every notebook below a folder, and the other files that lie there.

    A student's name is the file's, or the folder's where the file is called like the set, as
    ps1.ipynb: both STUDENT/ps1.ipynb and nbgrader's STUDENT/ps1/ps1.ipynb. Two notebooks of one
    name are told apart by their folders.

    Args:
        folder: read to its depth; links to folders are not followed.

    Returns:
        The notebooks in the order of their paths, and the other files.
    """
    notebooks: list[Path] = []
    others: list[Path] = []
    for path in _files(folder):
        (notebooks if path.suffix.lower() == ".ipynb" else others).append(path)
    sets: dict[str, list[str]] = defaultdict(list)
    for path in notebooks:
        sets[_student(path.relative_to(folder))].append(_set_in(path))
    return Found([_submission(path, folder, sets) for path in notebooks], others)


def _files(folder: Path) -> list[Path]:
    """What lies below a folder, but what systems and editors hide."""
    files = []
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        files += [Path(above, name) for name in sorted(names) if not name.startswith(".")]
    return files


def _submission(path: Path, folder: Path, sets: dict[str, list[str]]) -> Submission:
    """A notebook, and whose it is; ``sets`` are what the notebooks of each name answer."""
    below = path.relative_to(folder)
    name = _student(below)
    if not _of_one(sets[name]):
        name = below.with_suffix("").as_posix()
    return Submission(str(path), _readable(name), _readable(below.as_posix()))


def _of_one(sets: list[str]) -> bool:
    """Whether notebooks of one name can be one student's: each answers a set of its own."""
    return len(sets) == 1 or ("" not in sets and len(set(sets)) == len(sets))


def _student(path: Path) -> str:
    parts = [*path.parts[:-1], path.stem]
    while len(parts) > 1 and re.fullmatch(r"ps\d+", parts[-1], re.IGNORECASE):
        parts.pop()
    return parts[-1]


def _set_in(path: Path) -> str:
    """The problem set that a path names: its last `psN`."""
    found = re.findall(r"(?<![a-z0-9])ps\d+(?!\d)", "/".join(path.parts[-3:]).lower())
    return found[-1] if found else ""


def _readable(name: str) -> str:
    """A name that can be written as UTF-8, whatever bytes the file system has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def digest(path: str) -> str:
    """A hash of the file's content; of why there is none, where it cannot be read."""
    try:
        with os.fdopen(_open(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UnreadableError as reason:
        return str(reason)


def _open(path: str) -> int:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        kind = "a symbolic link" if os.path.islink(path) else "a file that cannot be opened"
        raise UnreadableError(f"what was handed in is {kind}, not a notebook") from None
    facts = os.fstat(number)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= MAX_BYTES:
        return number
    os.close(number)
    size = f"larger than {MAX_BYTES >> 20} MB: clear its outputs and hand it in again"
    raise UnreadableError(
        f"the file is {size if stat.S_ISREG(facts.st_mode) else 'not a regular file'}"
    )


def read(path: str) -> Notebook:
    """A notebook of any format that nbformat knows.

    Args:
        path: a file.

    Returns:
        Its cells in order, and what it says that it answers.

    Raises:
        UnreadableError: if it is not a notebook.
    """
    try:
        with os.fdopen(_open(path), "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(file.read().decode("utf-8-sig"), as_version=4)
        cells = [_cell(cell) for cell in notebook["cells"]]
        said = notebook["metadata"].get("problem_set", "")
    except UnreadableError:
        raise
    except Exception:  # whatever a crafted file makes the parser raise
        raise UnreadableError("the file is not a notebook that Jupyter can open") from None
    if len(cells) > MAX_CELLS:
        words = f"the notebook has {len(cells)} cells; at most {MAX_CELLS} are graded"
        raise UnreadableError(words)
    return Notebook(cells, said if isinstance(said, str) else "")


def _cell(cell: Any) -> Cell:
    marks = cell.get("metadata", {}).get("nbgrader", {})
    name = marks.get("grade_id", "") if isinstance(marks, dict) else ""
    fields = (cell.get("cell_type", ""), name, cell.get("source", ""))
    return Cell(*(_writable(field) if isinstance(field, str) else "" for field in fields))


def _writable(text: str) -> str:
    """A text without halves of characters, which JSON may hold and no file can."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def belongs_to(path: str, notebook: Notebook, known: Collection[Problems], forced: str) -> Problems:
    """The set that a notebook answers: as forced, by its metadata, by its path, or by its cells.

    Args:
        path: the notebook's file.
        notebook: what is in it.
        known: the sets.
        forced: a name that overrules all; empty for none.

    Returns:
        The problem set.

    Raises:
        UnreadableError: if nothing tells.
    """
    by_name = {problems.name: problems for problems in known}
    for name in (forced, notebook.said, _set_in(Path(path))):
        if name in by_name:
            return by_name[name]
    ids = _ids(notebook.cells)
    shared = {problems.name: len(ids & _ids(problems.cells)) for problems in known}
    most = max(shared.values(), default=0)
    if most == 0:
        raise UnreadableError("nothing in it says which problem set it answers")
    # Of sets that share as many cells with it the last.
    return [problems for problems in known if shared[problems.name] == most][-1]


def _ids(cells: Sequence[Cell]) -> set[str]:
    return {cell.id for cell in cells if cell.id}
