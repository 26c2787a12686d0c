"""What the book's own pages hold besides their text: map, tables of contents, citation, times."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

STORED = (
    "These pages were made from the outputs stored in the project's notebooks; nothing was run for"
    " them. `make book` runs every chapter, and says here when."
)
UNMEASURED = "Nothing was measured where this book was built: run `make bench`, then `make book`."
CITE = """## How to cite it

> {people}. {text}.

The file `CITATION.cff` in the project's folder says the same for reference managers."""
REFERENCE = ["api", "ledger", "bibliography", "benchmark", "status"]
TREE = "```{{toctree}}\n:hidden:\n{caption}\n{pages}\n```\n"


def parts_of(outline: Path) -> list[dict[str, Any]]:
    """The parts of the book, each with the chapters that are meant to be."""
    parts: list[dict[str, Any]] = tomllib.loads(outline.read_text(encoding="utf-8"))["parts"]
    return parts


def chapter_map(outline: Path, chapters: Sequence[str]) -> str:
    """The chapters by part, each with what it settles; ``chapters`` are those that are written."""
    stems, lines = {name[:2]: name for name in chapters}, []
    for part in parts_of(outline):
        lines += [f"**{part['title']}**", ""] if part["title"] else []
        for chapter in part["chapters"]:
            title, stem = f"{chapter['number']} {chapter['title']}", stems.get(chapter["number"])
            shown = f"[{title}]({stem}.ipynb)" if stem else f"{title} (in preparation)"
            lines.append(f"- {shown}: {chapter['settles']}")
        lines.append("")
    return "\n".join(lines)


def toctrees(outline: Path, chapters: Sequence[str]) -> str:
    """A hidden table of contents for each part with a chapter, and those for the last pages."""
    stems = {name[:2]: name for name in chapters}
    groups = []
    for part in parts_of(outline):
        there = [each for each in part["chapters"] if each["number"] in stems]
        lines = [f"{c['number']} {c['title']} <{stems[c['number']]}>" for c in there]
        groups.append((part["title"], lines))
    groups += [("Teaching", ["instructors"]), ("Reference", REFERENCE)]
    return "\n".join(
        TREE.format(caption=f":caption: {title}\n" if title else "", pages="\n".join(lines))
        for title, lines in groups
        if lines
    )


def measured(folder: Path) -> str:
    """What `make bench` wrote last, with its picture; or how to get it."""
    report = folder / "bench.md"
    if not report.exists():
        return UNMEASURED
    text = report.read_text(encoding="utf-8")
    return text.replace("](bench.svg)", f"](../{folder.name}/bench.svg)")


def citation(path: Path) -> str:
    """How to cite the book, in words from CITATION.cff."""
    if not path.exists():
        return ""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    people = [_name(author) for author in data["authors"]]
    details = [
        f"version {data['version']}" if "version" in data else "",
        str(data.get("date-released", ""))[:4],
        data.get("url") or data.get("repository-code", ""),
    ]
    text = ", ".join(filter(None, [f"*{data['title']}*", *details]))
    return CITE.format(people=", ".join(people), text=text)


def _name(author: dict[str, str]) -> str:
    named = f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
    return author.get("name") or named


def status(rows: Sequence[dict[str, Any]]) -> str:
    """When each chapter was run, and how long it took."""
    if not rows:
        return STORED
    lines = ["| chapter | run began (UTC) | seconds |", "|---|---|---:|"]
    for row in rows:
        began = row["began"].replace("T", " ").replace("+00:00", "")
        lines.append(f"| [](./{row['chapter']}.ipynb) | {began} | {row['seconds']:.1f} |")
    total = sum(row["seconds"] for row in rows)
    lines += [
        "",
        f"All chapters together: {total:.0f} seconds, less by the clock: they run side by side.",
    ]
    return "\n".join(lines)
