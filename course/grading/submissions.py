"""Submitted notebooks: where they lie, whose they are, and what is in them. Nothing here writes."""

import hashlib
import os
import re
import stat
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def find(folder: Path) -> tuple[list[Submission], list[Path]]:
    """Every notebook below a folder, and the other files that lie there.

    A student's name is the file's, or the folder's where the file is called like the set, as ps1.ipynb: both
    STUDENT/ps1.ipynb and nbgrader's STUDENT/ps1/ps1.ipynb. Two notebooks of one name are told apart by their folders.

    Args:
        folder: read to its depth; links to folders are not followed.

    Returns:
        The notebooks in the order of their paths, and the other files.
    """
    files = []
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        files += [Path(above, name) for name in sorted(names) if not name.startswith(".")]
    notebooks = [path for path in files if path.suffix.lower() == ".ipynb"]
    names = [_student(path.relative_to(folder)) for path in notebooks]
    sets: dict[str, list[str]] = {}
    for path, name in zip(notebooks, names, strict=True):
        sets.setdefault(name, []).append(_set_in(path))
    found = []
    for path, name in zip(notebooks, names, strict=True):
        clear = len(sets[name]) == 1 or (len(set(sets[name])) == len(sets[name]) and "" not in sets[name])
        whole = path.relative_to(folder).with_suffix("").as_posix()
        file = _readable(path.relative_to(folder).as_posix())
        found.append(Submission(str(path), _readable(name if clear else whole), file))
    return found, [path for path in files if path not in set(notebooks)]


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
    raise UnreadableError(f"the file is {size if stat.S_ISREG(facts.st_mode) else 'not a regular file'}")


def read(path: str) -> tuple[list[Cell], str]:
    """The cells of a notebook of any format that nbformat knows, and the name of the set in its metadata.

    Args:
        path: a file.

    Returns:
        The cells in order; the name, or an empty text.

    Raises:
        UnreadableError: if it is not a notebook.
    """
    try:
        with os.fdopen(_open(path), "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(file.read().decode("utf-8-sig"), as_version=4)
        cells = [_cell(cell) for cell in notebook["cells"]]
        name = notebook["metadata"].get("problem_set", "")
        if len(cells) > MAX_CELLS:
            raise UnreadableError(f"the notebook has {len(cells)} cells; at most {MAX_CELLS} are graded")
        return cells, name if isinstance(name, str) else ""
    except UnreadableError:
        raise
    except Exception:  # whatever a crafted file makes the parser raise
        raise UnreadableError("the file is not a notebook that Jupyter can open") from None


def _cell(cell: Any) -> Cell:
    marks = cell.get("metadata", {}).get("nbgrader", {})
    name = marks.get("grade_id", "") if isinstance(marks, dict) else ""
    fields = (cell.get("cell_type", ""), name, cell.get("source", ""))
    return Cell(*(_writable(field) if isinstance(field, str) else "" for field in fields))


def _writable(text: str) -> str:
    """A text without halves of characters, which JSON may hold and no file can."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def belongs_to(path: str, cells: list[Cell], said: str, known: Collection[Problems], forced: str) -> Problems:
    """The set that a notebook answers: as forced, as its metadata says, as its path says, or as its cells show.

    Args:
        path: the notebook's file.
        cells: what is in it.
        said: the set's name in its metadata, or an empty text.
        known: the sets.
        forced: a name that overrules all; empty for none.

    Returns:
        The problem set.

    Raises:
        UnreadableError: if nothing tells.
    """
    for name in (forced, said, _set_in(Path(path))):
        for problems in known:
            if name and problems.name == name:
                return problems
    ids = {cell.id for cell in cells if cell.id}
    shared = {len(ids & {cell.id for cell in problems.cells if cell.id}): problems for problems in known}
    if not shared or max(shared) == 0:
        raise UnreadableError("nothing in it says which problem set it answers")
    return shared[max(shared)]
