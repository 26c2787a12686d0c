"""Quotations, held to the letters of the sources.

    python -m tests.quotations    compare all with the sources, and note where each was found

The sources are other people's texts and no part of the book. Whoever has them, as S0.txt to S3.txt
in the folder that L2_SOURCES names, in ``sources/`` here or beside the project, or in
``../shared/sources``, can compare each letter; only white space may differ. What was found is
noted in quotations.json: the source, the position in it, and a hash of the words. So a quotation
with another letter is noticed everywhere, and whoever has a source can look it up.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jupytext

from l2lib.ledger import lines, sources

ROOT = Path(__file__).resolve().parents[1]
NOTES = ROOT / "tests" / "quotations.json"
FOLDERS = (ROOT / "sources", ROOT.parent / "sources", ROOT.parent / "shared" / "sources")
MAX_WORDS = 25

NOT_QUOTED = {
    "last part",  # a rule's own words, explained
    "At rest",  # likewise
    "As AdamW",  # an answer to an exercise
    "below 1",
    "penalised less",
    "penalised more",
    "every weight is near zero, and all equally so",  # a prior belief in words
}
"""What stands in quotation marks and is nobody's words."""

_CODE = re.compile(r"\{\{.*?\}\}|```.*?```|`[^`\n]*`|<[^>]+>", re.DOTALL)
_MARKED = re.compile(r'"([^"]*)"|“([^”]*)”')


class Quotation(NamedTuple):
    """Words that are presented as a source's, and the source if it is named."""

    where: str
    words: str
    source: str = ""


class Found(NamedTuple):
    """Where a quotation stands: its source, and the characters before it, by ``plain``."""

    source: str
    at: int


# ---- what is quoted ------------------------------------------------------------------------
def quotations(root: Path = ROOT) -> list[Quotation]:
    """All quotations: of the ledger, then of chapters, pages and problem sets."""
    found = [Quotation(f"line {each.id}", each.quote, each.source) for each in lines().values()]
    for path in [*root.glob("notebooks/source/*.py"), *root.glob("course/source/*.py")]:
        for cell in jupytext.read(path, fmt="py:percent").cells:
            words = in_prose(cell.source) if cell.cell_type == "markdown" else in_code(cell.source)
            found += [Quotation(path.name, each) for each in words]
    for path in [root / "README.md", *sorted(root.glob("book/*.md"))]:
        words = in_prose(path.read_text(encoding="utf-8"))
        found += [Quotation(path.name, each) for each in words]
    return found


def in_prose(text: str) -> Iterator[str]:
    """Two words or more in quotation marks, outside code and tags, within a paragraph.

    Yields:
        The words.
    """
    for paragraph in re.split(r"\n\s*\n", _CODE.sub(" ", text)):
        for match in _MARKED.finditer(paragraph):
            words = plain(match[1] or match[2] or "")
            if len(words.split()) > 1 and words not in NOT_QUOTED:
                yield words


def in_code(text: str) -> Iterator[str]:
    """What a claim or a verdict quotes; straight marks are Python's own."""
    curly = re.findall(r"“[^”]*”", text)
    return in_prose("\n\n".join(curly))


def plain(text: str) -> str:
    """The same words with one blank for each white space."""
    return " ".join(text.split())


def key(words: str) -> str:
    """A hash of a quotation's words."""
    return hashlib.sha256(plain(words).encode()).hexdigest()


# ---- where it stands -----------------------------------------------------------------------
def texts() -> dict[str, str]:
    """The sources' texts, plain and without what copying spoilt; none if they are not at hand."""
    named = os.environ.get("L2_SOURCES")
    there = [folder for folder in FOLDERS if (folder / "S0.txt").exists()]
    if not (folders := [Path(named)] if named else there):
        return {}
    if missing := [name for name in sources() if not (folders[0] / f"{name}.txt").is_file()]:
        raise SystemExit(f"L2_SOURCES is {named!r}: {missing[0]}.txt is not there")
    read = {}
    for name, source in sources().items():
        text = plain((folders[0] / f"{name}.txt").read_text(encoding="utf-8"))
        for spoilt, words in source.spoilt.items():
            text = text.replace(spoilt, words)
        read[name] = text
    return read


def find(quotation: Quotation, read: dict[str, str]) -> Found | None:
    """Where a quotation stands to the letter; the pieces between cuts (…) follow in this order."""
    first, *rest = (plain(piece) for piece in quotation.words.split("…"))
    for name in [quotation.source] if quotation.source else read:
        at = read[name].find(first) if first else -1
        end = at + len(first)
        for piece in rest:
            next_one = read[name].find(piece, end) if at >= 0 else -1
            at, end = (at, next_one + len(piece)) if next_one >= 0 else (-1, 0)
        if at >= 0:
            return Found(name, at)
    return None


def notes(read: dict[str, str], quoted: list[Quotation]) -> tuple[dict[str, object], list[str]]:
    """What quotations.json should hold, and which quotations stand in no source."""
    rows, wrong = {}, []
    for quotation in quoted:
        if found := find(quotation, read):
            rows[key(quotation.words)] = {"source": found.source, "at": found.at}
        else:
            wrong.append(f"{quotation.where}: “{quotation.words}” stands in no source")
    held = {name: {"characters": len(text), "sha256": key(text)} for name, text in read.items()}
    in_order = sorted(rows.items(), key=lambda row: tuple(row[1].values()))
    return {"sources": held, "quotations": dict(in_order)}, wrong


def main() -> int:
    read = texts()
    if not read:
        print("Set L2_SOURCES to the folder with S0.txt to S3.txt.", file=sys.stderr)
        return 2
    found, wrong = notes(read, quotations())
    print("\n".join(wrong), end="\n" * bool(wrong), file=sys.stderr)
    if not wrong:
        NOTES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{len(quotations())} quotations stand in the sources to the letter.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
