"""Which executed notebooks are still what their chapter gives, so that nothing is executed twice.

Beside an executed notebook's name a record keeps what it was made from: the chapter's source, l2lib
and its data, all installed packages, Python, the seeds. One changed byte in any of them, or in the
notebook itself, and it is stale.
"""

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "_build" / "records"
KINDS = (".py", ".npz", ".toml", ".mplstyle")  # of l2lib's files


class Run(NamedTuple):
    """An execution of a chapter."""

    chapter: str
    began: str = ""
    """When, in UTC, as ISO 8601 writes it."""
    seconds: float = 0.0
    """How long it took."""
    error: str = ""
    """What stopped it; empty if all cells ran."""

    @property
    def outcome(self) -> str:
        """For people."""
        return self.error or f"{self.seconds} s"


def digest(*parts: bytes) -> str:
    """A hash of some bytes, part by part."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@cache
def surroundings(root: Path = ROOT) -> str:
    """A hash of what all chapters are made from besides their sources, and how they fold."""
    files = sorted(path for path in (root / "l2lib").rglob("*") if path.suffix in KINDS)
    for name in ("folding.py", "sentences.py"):
        files += sorted((root / "book").glob(name))
    # One package may be found twice.
    packages = sorted({f"{package.name}=={package.version}" for package in distributions()})
    seed = os.environ.get("L2LIB_SEED", "").strip() or "0"
    words = [platform.python_version(), platform.machine(), seed, *packages]
    return digest(*(path.read_bytes() for path in files), "\n".join(words).encode())


def key(source: Path) -> str:
    """What a chapter's outputs follow from, as a hash."""
    return digest(source.read_bytes(), surroundings().encode())


def record_of(notebook: Path) -> Path:
    """Where the record of an executed notebook is kept."""
    return RECORDS / f"{digest(str(notebook.resolve()).encode())[:8]}-{notebook.stem}.json"


def note(notebook: Path, source: Path, run: Run) -> None:
    """Keep that this notebook has just been executed, or been found equal to what was executed.

    Args:
        notebook: the executed notebook.
        source: its chapter's source.
        run: when it was, and how long it took.
    """
    RECORDS.mkdir(parents=True, exist_ok=True)
    kept = {"key": key(source), "notebook": digest(notebook.read_bytes()), "run": run._asdict()}
    record_of(notebook).write_text(json.dumps(kept), encoding="utf-8")


def known(notebook: Path, source: Path) -> Run | None:
    """What was kept of an executed notebook, if it is still what its chapter gives.

    Args:
        notebook: the executed notebook.
        source: its chapter's source.

    Returns:
        What ``note`` kept; None if there is nothing, or something has changed since.
    """
    try:
        kept = json.loads(record_of(notebook).read_text(encoding="utf-8"))
        same = kept["key"] == key(source) and kept["notebook"] == digest(notebook.read_bytes())
        return Run(**kept["run"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
