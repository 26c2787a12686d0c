"""Sphinx extension of the book, so that `sphinx-build book out` needs nothing else.

Chapters are read where they are stored, outside Sphinx's source folder: ``Chapters`` tells Sphinx
of them, so that nothing is copied or linked, and an edited chapter is rebuilt alone. What a page
of this folder marks with ``{{name}}`` is written while it is read. When all is built, the pages
are checked: they need no network, and no link leads nowhere.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from importlib.metadata import files
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from pybtex.database import parse_file
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError
from sphinx.project import Project
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

import l2lib
from book import api, ledger, pages, prepare
from book.check import problems_of

CODE = [str(module.__file__) for module in (api, ledger, pages, prepare)] + [__file__]
"""What every page is made by."""

LEDGER = Path(l2lib.__file__).parent / "data" / "ledger.toml"
MARK = re.compile(r"\{\{(\w+)\}\}")
FOLLOW = ("index", "ledger", "status", "bibliography")
"""Pages that are made from the chapters."""

logger = logging.getLogger(__name__)


# ---- where chapters are ------------------------------------------------------------------------
class Chapters(Project):
    """The pages in the source folder, and the chapters in their own, under the same flat names."""

    folder = Path()

    def discover(
        self,
        exclude_paths: Iterable[str] = (),
        include_paths: Iterable[str] = ("**",),
    ) -> set[str]:
        """Find the pages and the chapters."""
        super().discover(exclude_paths, include_paths)
        self.docnames |= set(chapters_in(self.folder))
        return self.docnames

    def doc2path(self, docname: str, absolute: bool) -> Any:
        """Where a document is; a chapter's relative path is that of a page, as its address is."""
        if not prepare.CHAPTER_NAME.fullmatch(docname):
            return super().doc2path(docname, absolute)
        path = Path(f"{docname}.ipynb")
        return type(self.srcdir)(self.folder / path if absolute else path)


def statuses(folder: Path) -> list[dict[str, Any]]:
    """When each chapter was run, if the folder has a status that says so."""
    listed = folder / "status.json"
    return json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else []


def chapters_in(folder: Path) -> list[str]:
    """The names of a folder's chapters: those of its status, or else all that are there.

    Args:
        folder: executed notebooks.

    Returns:
        The names, in order.

    Raises:
        ConfigError: if there are none, or the status names one that is missing.
    """
    listed = [row["chapter"] for row in statuses(folder)]
    names = listed or sorted(path.stem for path in folder.glob("[0-9][0-9]_*.ipynb"))
    missing = [name for name in names if not (folder / f"{name}.ipynb").exists()]
    if missing or not names:
        what = ", ".join(missing) or "every chapter"
        advice = "run `make book`, which executes the chapters first"
        raise ConfigError(f"{what} is missing from {folder}: {advice}")
    return names


def read_notebooks(folder: Path) -> dict[str, Any]:
    """The executed chapters by name."""
    names = chapters_in(folder)
    return {name: nbformat.read(folder / f"{name}.ipynb", as_version=4) for name in names}


def folder_of(app: Sphinx) -> Path:
    """The folder of executed notebooks."""
    named: str = app.config.l2book_notebooks
    return (Path(app.confdir) / named).resolve()


def bibliography(bib: Path) -> dict[str, str]:
    """Citation keys by normal URL; chapters cite an entry by linking to its URL.

    Args:
        bib: a file in BibTeX's format.

    Returns:
        The keys.

    Raises:
        ConfigError: if an entry has no url.
    """
    entries = parse_file(str(bib)).entries
    if missing := [key for key, entry in entries.items() if "url" not in entry.fields]:
        raise ConfigError(f"{bib.name}: {', '.join(missing)} has no url; chapters link to it")
    return {prepare.normal(entry.fields["url"]): key for key, entry in entries.items()}


# ---- before pages are read ---------------------------------------------------------------------
def take_chapters(app: Sphinx) -> None:
    """Let Sphinx see the chapters, and keep what notebooks leave out of the folder above."""
    project = Chapters(app.srcdir, app.config.source_suffix)
    project.folder = folder_of(app)
    project.restore(app.project)
    app.project = app.env.project = project
    env: Any = app.env  # MyST-NB keeps its settings there
    env.mystnb_config = env.mystnb_config.copy(output_folder=str(app.doctreedir / "outputs"))


def also_outdated(
    app: Sphinx,
    env: BuildEnvironment,
    added: Collection[str],
    changed: Collection[str],
    removed: Collection[str],
) -> list[str]:
    """Pages made from the chapters follow them; chapters follow which others there are."""
    chapters = set(chapters_in(folder_of(app)))
    if {name for name in {*added, *removed} if prepare.CHAPTER_NAME.fullmatch(name)}:
        return [*FOLLOW, *chapters]
    return list(FOLLOW) if chapters & set(changed) else []


def check_ledger(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Warn where claims and verdicts do not add up."""
    notebooks = read_notebooks(folder_of(app))
    book = ledger.collect(notebooks)
    for problem in ledger.problems(book, {int(name[:2]) for name in notebooks}):
        logger.warning("the ledger does not add up: %s", problem)


# ---- while pages are read ----------------------------------------------------------------------
def complete(app: Sphinx, docname: str, content: list[str]) -> None:
    """Prepare a chapter; write what a page marks; lead links between them."""
    chapters = chapters_in(folder_of(app))
    bib = Path(app.srcdir) / "references.bib"
    lead = partial(prepare.relink, chapters=chapters, keys=bibliography(bib))
    for path in [*CODE, str(bib)]:
        app.env.note_dependency(path)
    if docname in chapters:
        notebook = nbformat.reads(content[0], as_version=4)
        prepare.prepare(docname, notebook, lead)
        content[0] = nbformat.writes(notebook)
    else:
        content[0] = lead(MARK.sub(lambda mark: written(app, mark[1]), content[0]))


def written(app: Sphinx, name: str) -> str:
    """What a page marks with this name, and note what it is made from."""
    root, folder = Path(app.srcdir).parent, folder_of(app)
    outline = Path(app.srcdir) / "outline.toml"
    made: dict[str, tuple[Any, list[Path]]] = {
        "map": (lambda: pages.chapter_map(outline, chapters_in(folder)), [outline]),
        "toctrees": (lambda: pages.toctrees(outline, chapters_in(folder)), [outline]),
        "citation": (lambda: pages.citation(root / "CITATION.cff"), [root / "CITATION.cff"]),
        "ledger": (lambda: ledger.page(ledger.collect(read_notebooks(folder))), [LEDGER]),
        "status": (lambda: pages.status(statuses(folder)), [folder / "status.json"]),
        "measured": (lambda: pages.measured(root / "_build"), [root / "_build/bench.md"]),
        "api": (api.page, [Path(l2lib.__file__)]),
    }
    if name not in made:
        raise ConfigError(f"{{{{{name}}}}}: nothing has this name; there are {', '.join(made)}")
    write, sources = made[name]
    for source in filter(Path.exists, sources):
        app.env.note_dependency(str(source))
    return str(write())


def leave_display_math_alone(app: Sphinx, doctree: nodes.document) -> None:
    r"""Hand unlabelled $$…$$ to MathJax as it stands; Sphinx's wrapping breaks \tag."""
    for node in doctree.findall(nodes.math_block):
        if not node.get("label") and not node.get("no-wrap", node.get("nowrap", False)):
            text = rf"\[{node.astext()}\]"
            node.children = []
            node += nodes.Text(text)
            node["no-wrap"] = True


# ---- while and after pages are written ---------------------------------------------------------
class Translator(HTML5Translator):
    """HTML as Sphinx writes it, but for what ARIA does not allow."""

    def visit_citation(self, node: nodes.citation) -> None:
        """Begin a citation; docutils' roles ask for list items, which it does not write."""
        before: Any = node.previous_sibling()  # type: ignore[no-untyped-call]
        if not isinstance(before, nodes.citation):
            self.body.append('<div class="citation-list">\n')
        tag: str = self.starttag(node, "div", CLASS="citation")  # type: ignore[no-untyped-call]
        self.body.append(tag)


def mathjax() -> Path:
    """MathJax in one file, which draws formulas from file:// with no network."""
    found = next(f for f in files("sphinx-mathjax-offline") or [] if f.name == "tex-svg.js")
    return Path(str(found.locate()))


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Remove pages that are gone; warn of what is wrong; say where to open the book."""
    if exception or app.builder.name != "html":
        return
    output = Path(app.outdir)
    for page in gone(output, app.env.found_docs):
        page.unlink()
    problems = problems_of(output)
    for problem in problems:
        logger.warning("the book does not stand on its own: %s", problem)
    if not problems:
        print(f"The book is built. Open {(output / 'index.html').as_uri()}")


def gone(output: Path, documents: Collection[str]) -> Iterator[Path]:
    """Pages that the book no longer has, which an earlier build left behind."""
    for path in [*output.glob("*.html"), *output.glob("_sources/*.ipynb")]:
        if path.stem not in {*documents, "search"}:
            yield path


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the above to Sphinx's events."""
    app.add_config_value("l2book_notebooks", "../notebooks", "env", str)
    app.set_translator("html", Translator)
    app.connect("builder-inited", take_chapters, priority=900)  # after the parsers' own set-up
    app.connect("env-get-outdated", also_outdated)
    app.connect("env-before-read-docs", check_ledger)
    app.connect("source-read", complete)
    app.connect("doctree-read", leave_display_math_alone)
    app.connect("doctree-read", api.link_names)
    app.connect("autodoc-process-signature", api.shorten)
    app.connect("autodoc-skip-member", api.leave_out)
    app.connect("autodoc-process-docstring", api.mark_code, priority=400)  # before napoleon
    app.connect("build-finished", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
