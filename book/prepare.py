"""Notebooks and pages as the book shows them: alt text, anchors on claims, links, few folds."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from book import ledger
from book.folding import HIDE

CHAPTER_NAME = re.compile(r"\d\d_\w+")
_LINK = re.compile(
    r"```.*?```|`[^`\n]*`|(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<url>[^()\s]+)\)",
    re.DOTALL,
)
_ARXIV = re.compile(r"^arxiv\.org/(?:abs|pdf)/(\d+\.\d+)(?:v\d+)?(?:\.pdf)?$")
_CHAPTER = re.compile(r"(?:\./)?(?P<number>\d\d)_\w+\.ipynb(?P<fragment>#.*)?")


def normal(url: str) -> str:
    """A URL without what does not matter: scheme, www, arXiv's pdf or version, a closing slash."""
    url = re.sub(r"^https?://(www\.|dx\.)?", "", url).rstrip("/")
    return _ARXIV.sub(r"arxiv.org/abs/\1", url)


def prepare(chapter: str, notebook: Any, lead: Callable[[str], str]) -> None:
    """Change a notebook, in place, into what Sphinx reads.

    Args:
        chapter: the file's stem, such as "01_what_an_l2_penalty_does".
        notebook: an executed notebook.
        lead: leads the links of a text, as ``relink`` does.
    """
    notebook["metadata"].setdefault("language_info", {})["pygments_lexer"] = "ipython3"
    for output, entry in [*ledger.entries(chapter, notebook)]:
        output["data"]["text/html"] = _anchored(output["data"]["text/html"], entry)
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            cell["source"] = lead(cell["source"])
        elif cell["cell_type"] == "code":
            _alt_text(cell, f"{chapter}, cell {number}")
            _forget_own_data(cell)
    notebook["cells"] = [*_one_fold_a_run(notebook["cells"])]


def relink(text: str, chapters: Collection[str], keys: Mapping[str, str]) -> str:
    """Lead the links of a text.

    One to a cited paper goes to the bibliography; one to a chapter goes there, wherever its
    notebook lies; one to a chapter that is not yet written becomes text.

    Args:
        text: Markdown.
        chapters: names of the chapters that are written.
        keys: citation keys by normal URL.

    Returns:
        The text with other links.
    """
    return _LINK.sub(lambda link: _relink(link, chapters, keys), text)


def _anchored(html: str, entry: ledger.Entry) -> str:
    """Give this anchor to the first claim or verdict without one; its id becomes a link."""
    tag = f'class="l2-{entry.fields["kind"]}"'
    html = re.sub(f"{tag}(?! id=)", f'{tag} id="{entry.anchor}"', html, count=1)
    target = f"ledger.html#line-{entry.id}" if entry.in_ledger else f"#{entry.anchor}"
    link = f'<a class="l2-id" href="{target}">{entry.id}</a>'
    return re.sub(rf'<small class="l2-id"[^>]*>{entry.id}</small>', link, html, count=1)


def _relink(link: re.Match[str], chapters: Collection[str], keys: Mapping[str, str]) -> str:
    text, url = link["text"], link["url"]
    if not url:  # a piece of code
        return link[0]
    key = keys.get(normal(url))
    if key:
        place = f"bibliography.html#cite-{key.lower()}"
        return f'{{cite:empty}}`{key}`<a href="{place}">{text}</a>'
    target = _CHAPTER.fullmatch(url)
    if not target:
        return link[0]
    if not any(name.startswith(target["number"] + "_") for name in chapters):
        return f"{text} (in preparation)"
    # JupyterLab's anchors keep capitals, the book's do not.
    file = url.removeprefix("./").partition("#")[0]
    return f"[{text}](project:{file}{(target['fragment'] or '').lower()})"


def _alt_text(cell: Any, place: str) -> None:
    """Hand a picture's alt text on to Sphinx, and drop the folded copy of it below the picture."""
    cell["outputs"] = [output for output in cell["outputs"] if not _folded_words(output)]
    pictures = [output for output in cell["outputs"] if _is_picture(output)]
    alts = [p.get("metadata", {}).get("image/png", {}).get("alt", "").strip() for p in pictures]
    if len(pictures) > 1 or not all(alts):
        advice = "show one picture a cell, through l2lib.figures.show, which gives it alt text"
        raise ValueError(f"{place}: {advice}")
    if pictures:
        about = pictures[0]["metadata"]["image/png"]
        shown = cell["metadata"].setdefault("mystnb", {})
        shown["image"] = {"alt": alts[0], "width": f"{about.get('width', 720)}px"}
        if number := about.get("number"):
            name = f"figure-{number.replace('.', '-')}"
            caption = ". ".join(filter(None, [f"Figure {number}", about.get("caption")]))
            shown["figure"] = {"caption": caption, "name": name}


def _forget_own_data(cell: Any) -> None:
    """Drop what claims and pictures store for tests: no page shows it."""
    for data in (output.get("data", {}) for output in cell["outputs"]):
        for mime in [mime for mime in data if "vnd.l2lib" in mime]:
            del data[mime]


def _one_fold_a_run(cells: Iterable[Any]) -> Iterator[Any]:
    """Fold the code of folded cells that follow each other in the first; the others only show."""
    first: Any = None
    for cell in cells:
        folded = cell["cell_type"] == "code" and HIDE in cell["metadata"].get("tags", [])
        if first and folded:
            first["source"] += f"\n\n\n{cell['source']}"
            cell["metadata"]["tags"] = ["remove-input"]
        first = (first or cell) if folded else None
        if cell is first or not folded or cell["outputs"]:
            yield cell


def _is_picture(output: Any) -> bool:
    return any(mime.startswith("image/") for mime in output.get("data", {}))


def _folded_words(output: Any) -> bool:
    return 'class="l2-alt"' in str(output.get("data", {}).get("text/html"))
