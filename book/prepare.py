"""Notebooks as the book shows them: alt text on pictures, anchors on claims, links to the bibliography."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from book import ledger
from l2lib.claims import MIME

_ENTRY = re.compile(r"@\w+\{(?P<key>[^,\s]+),(?P<body>.*?)\n\}", re.DOTALL)
_URL = re.compile(r"\burl\s*=\s*\{([^}]+)\}")
_LINK = re.compile(r"```.*?```|`[^`\n]*`|(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])+)\]\((?P<url>[^()\s]+)\)", re.DOTALL)
_CHAPTER = re.compile(r"(?P<number>\d\d)_\w+\.ipynb(?P<fragment>#.*)?")


def normal(url: str) -> str:
    """A URL without what does not matter: scheme, www, arXiv's pdf or version, a closing slash."""
    url = re.sub(r"^https?://(www\.|dx\.)?", "", url).rstrip("/")
    return re.sub(r"^arxiv\.org/(?:abs|pdf)/(\d+\.\d+)(?:v\d+)?(?:\.pdf)?$", r"arxiv.org/abs/\1", url)


def bibliography(bib: Path) -> dict[str, str]:
    """Citation keys by normal URL."""
    found = {}
    for entry in _ENTRY.finditer(bib.read_text(encoding="utf-8")):
        url = _URL.search(entry["body"])
        if not url:
            raise SystemExit(f"{bib.name}: {entry['key']} has no url; chapters cite an entry by linking to its url")
        found[normal(url[1])] = entry["key"]
    return found


def prepare(chapter: str, notebook: Any, chapters: Collection[str], keys: Mapping[str, str]) -> None:
    """Change a notebook, in place, into what Sphinx reads.

    Args:
        chapter: the file's stem, such as "01_what_an_l2_penalty_does".
        notebook: an executed notebook.
        chapters: stems of the chapters that are written.
        keys: citation keys by normal URL, from ``bibliography``.
    """
    notebook["metadata"].setdefault("language_info", {})["pygments_lexer"] = "ipython3"
    for output, entry in [*ledger.entries(chapter, notebook)]:
        output["data"]["text/html"] = _anchored(output["data"]["text/html"], entry)
        output["data"].pop(MIME, None)
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            cell["source"] = _LINK.sub(lambda link: _relink(link, chapters, keys), cell["source"])
        elif cell["cell_type"] == "code":
            _alt_text(cell, f"{chapter}, cell {number}")


def _anchored(html: str, entry: ledger.Entry) -> str:
    """The first claim or verdict without an anchor gets this one; its id becomes a link to the ledger or to itself."""
    tag = f'<p class="l2-{entry.fields["kind"]}"'
    html = html.replace(f"{tag}>", f'{tag} id="{entry.anchor}">', 1)
    target = f"ledger.html#line-{entry.id}" if entry.in_ledger else f"#{entry.anchor}"
    link = f'<a class="l2-id" href="{target}">{entry.id}</a>'
    return re.sub(rf'<small class="l2-id"[^>]*>{entry.id}</small>', link, html, count=1)


def _relink(link: re.Match[str], chapters: Collection[str], keys: Mapping[str, str]) -> str:
    """A link to a cited paper goes to the bibliography; one to a chapter not yet written becomes text."""
    text, url = link["text"], link["url"]
    if not url:  # a piece of code
        return link[0]
    key = keys.get(normal(url))
    if key:
        return f'{{cite:empty}}`{key}`<a href="bibliography.html#cite-{key.lower()}">{text}</a>'
    target = _CHAPTER.fullmatch(url)
    if target and not any(name.startswith(target["number"] + "_") for name in chapters):
        return f"{text} (in preparation)"
    if target and target["fragment"]:  # JupyterLab's anchors keep capitals, the book's do not
        return f"[{text}]({url.lower()})"
    return link[0]


def _alt_text(cell: Any, place: str) -> None:
    """Hand a picture's alt text on to Sphinx, and drop the folded copy of it below the picture."""
    cell["outputs"] = [o for o in cell["outputs"] if 'class="l2-alt"' not in str(o.get("data", {}).get("text/html"))]
    pictures = [o for o in cell["outputs"] if any(mime.startswith("image/") for mime in o.get("data", {}))]
    alts = [o.get("metadata", {}).get("image/png", {}).get("alt", "").strip() for o in pictures]
    if len(pictures) > 1 or not all(alts):
        raise SystemExit(f"{place}: show one picture a cell, through l2lib.figures.show, which gives it alt text")
    if pictures:
        width = pictures[0]["metadata"]["image/png"].get("width", 720)
        cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": alts[0], "width": f"{width}px"}
