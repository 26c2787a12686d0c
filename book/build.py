"""Write the HTML book from executed notebooks.

Usage: python book/build.py [--notebooks DIR] [--output DIR]
"""

import argparse
import json
import shutil
import sys
import tomllib
from importlib.metadata import files
from pathlib import Path
from typing import Any

import nbformat
import yaml
from sphinx.cmd.build import main as sphinx_build

from book import ledger, prepare
from book.check import mend, problems_of

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
SOURCE = ROOT / "_build" / "book-source"
STORED = (
    "These pages were made from the outputs stored in the project's notebooks; nothing was run for them."
    " `make book` runs every chapter, and says here when."
)


def read_notebooks(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """When each chapter was run, if the folder has a status that says so, and the executed chapters by name."""
    listed = folder / "status.json"
    rows = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else []
    names = [row["chapter"] for row in rows] or sorted(path.stem for path in folder.glob("[0-9]*.ipynb"))
    missing = [name for name in names if not (folder / f"{name}.ipynb").exists()]
    if missing or not names:
        what = ", ".join(missing) or "every chapter"
        raise SystemExit(f"{what} is missing from {folder}: run `make book`, which executes the chapters first")
    return rows, {name: nbformat.read(folder / f"{name}.ipynb", as_version=4) for name in names}


def chapter_map(parts: list[dict[str, Any]], written: dict[str, str]) -> str:
    """The table of chapters by part; ``written`` maps a chapter's number to its file's stem."""
    lines = []
    for part in parts:
        lines += [f"**{part['title']}**", ""] if part["title"] else []
        for chapter in part["chapters"]:
            title, stem = f"{chapter['number']} {chapter['title']}", written.get(chapter["number"])
            shown = f"[{title}]({stem}.ipynb)" if stem else f"{title} (in preparation)"
            lines.append(f"- {shown}: {chapter['settles']}")
        lines.append("")
    return "\n".join(lines)


def toctrees(parts: list[dict[str, Any]], written: dict[str, str]) -> str:
    """A hidden table of contents for each part that has a chapter, and those for the pages at the end."""
    groups = []
    for part in parts:
        there = [chapter for chapter in part["chapters"] if chapter["number"] in written]
        groups.append((part["title"], [f"{c['number']} {c['title']} <{written[c['number']]}>" for c in there]))
    groups.append(("Teaching", ["instructors"]))
    groups.append(("Reference", ["ledger", "bibliography", "benchmark", "status"]))
    tree = "```{{toctree}}\n:hidden:\n{caption}\n{pages}\n```\n"
    return "\n".join(
        tree.format(caption=f":caption: {title}\n" if title else "", pages="\n".join(pages))
        for title, pages in groups
        if pages
    )


def benchmark(folder: Path) -> str:
    """What `make bench` wrote last, with its picture copied beside the pages; or how to get it."""
    if not (folder / "bench.md").exists():
        return "Nothing was measured where this book was built: run `make bench`, then `make book`."
    shutil.copy(folder / "bench.svg", SOURCE)
    return (folder / "bench.md").read_text(encoding="utf-8")


def citation(path: Path) -> str:
    """How to cite the book, in words from CITATION.cff."""
    if not path.exists():
        return ""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    people = [a.get("name") or f"{a.get('given-names', '')} {a['family-names']}".strip() for a in data["authors"]]
    version = f"version {data['version']}" if "version" in data else ""
    details = [version, str(data.get("date-released", ""))[:4], data.get("url") or data.get("repository-code", "")]
    text = ", ".join(filter(None, [f"*{data['title']}*", *details]))
    return (
        f"## How to cite it\n\n> {', '.join(people)}. {text}.\n\n"
        "The file `CITATION.cff` in the project's folder says the same for reference managers."
    )


def status(rows: list[dict[str, Any]]) -> str:
    """The page that says when each chapter was run, and how long it took."""
    lines = ["# When each chapter was run, and how long it took", ""]
    if not rows:
        return "\n".join([*lines, STORED])
    lines += ["| chapter | run began (UTC) | seconds |", "|---|---|---:|"]
    for row in rows:
        began = row["began"].replace("T", " ").replace("+00:00", "")
        lines.append(f"| [](./{row['chapter']}.ipynb) | {began} | {row['seconds']:.1f} |")
    total = sum(row["seconds"] for row in rows)
    lines += ["", f"All chapters together: {total:.0f} seconds. Chapters run side by side, so less by the clock."]
    return "\n".join(lines)


def assemble(folder: Path) -> list[str]:
    """Write the tree that Sphinx reads; return the names of the chapters."""
    rows, notebooks = read_notebooks(folder)
    book = ledger.collect(notebooks)
    if wrong := ledger.problems(book, {int(name[:2]) for name in notebooks}):
        raise SystemExit("the ledger does not add up:\n  " + "\n  ".join(wrong))

    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(BOOK / "_static", SOURCE / "_static")
    for name in ("conf.py", "instructors.md", "bibliography.md", "references.bib"):
        shutil.copy(BOOK / name, SOURCE)
    script = next(f for f in files("sphinx-mathjax-offline") or [] if f.name == "tex-svg.js")
    (SOURCE / "_static" / "mathjax").mkdir()
    shutil.copy(script.locate(), SOURCE / "_static" / "mathjax")

    keys = prepare.bibliography(BOOK / "references.bib")
    for name, notebook in notebooks.items():
        prepare.prepare(name, notebook, notebooks, keys)
        nbformat.write(notebook, SOURCE / f"{name}.ipynb")
    parts = tomllib.loads((BOOK / "outline.toml").read_text(encoding="utf-8"))["parts"]
    written = {name[:2]: name for name in notebooks}
    index = (BOOK / "index.md").read_text(encoding="utf-8")
    index = index.replace("{{map}}", chapter_map(parts, written)).replace("{{toctrees}}", toctrees(parts, written))
    bench = (BOOK / "benchmark.md").read_text(encoding="utf-8")
    pages = {
        "benchmark": bench.replace("{{measured}}", benchmark(ROOT / "_build")),
        "index": index.replace("{{citation}}", citation(ROOT / "CITATION.cff")),
        "ledger": (BOOK / "ledger.md").read_text(encoding="utf-8").replace("{{ledger}}", ledger.page(book)),
        "status": status(rows),
    }
    for name, text in pages.items():
        (SOURCE / f"{name}.md").write_text(text, encoding="utf-8")
    return list(notebooks)


def main() -> int:
    """Assemble, build, mend, check; say where to open the book."""
    parser = argparse.ArgumentParser(description="Write the HTML book from executed notebooks.")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "_build" / "notebooks", help="executed notebooks")
    parser.add_argument("--output", type=Path, default=ROOT / "_build" / "book", help="folder for the HTML pages")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    if output.exists() and any(output.iterdir()) and not (output / ".buildinfo").exists():
        raise SystemExit(f"{output} is not empty and holds no book: name another folder, or empty it")

    chapters = assemble(arguments.notebooks.resolve())
    shutil.rmtree(output, ignore_errors=True)
    doctrees = SOURCE.with_name("book-doctrees")
    options = ["-b", "html", "-E", "-q", "-W", "--keep-going", "-d", str(doctrees)]
    if sphinx_build([*options, str(SOURCE), str(output)]):
        raise SystemExit(f"the book was not built: mend what Sphinx says above; its sources are in {SOURCE}")
    for name in chapters:  # offer the notebook as it is for download, not as the book prepared it
        shutil.copy(arguments.notebooks / f"{name}.ipynb", output / "_sources")
    mend(output)
    if wrong := problems_of(output):
        raise SystemExit("the book does not stand on its own:\n  " + "\n  ".join(wrong))
    print(f"The book is built. Open {(output / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
