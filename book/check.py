"""The built pages: what on them needs the network, or leads nowhere."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING_RELS = {"stylesheet", "preload", "modulepreload", "prefetch", "preconnect"}
_LOADING_RELS |= {"icon", "shortcut", "manifest"}
_LOADING = ("src", "href", "data", "action", "poster", "srcset")
_CSS_REMOTE = re.compile(r"""(?:@import\s+|url\()\s*["']?(?:https?:)?//[^)"'\s]+""")


class _Page(HTMLParser):
    """Ids of a page, what it loads, and where it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag says."""
        given = {name: value or "" for name, value in attrs}
        self.ids.add(given.get("id", ""))
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif _loads(tag, given):
            self.loads += [given[name] for name in _LOADING if name in given]

    def urls(self) -> set[str]:
        """All that the page loads or links to."""
        return {*self.loads, *self.links}


def _loads(tag: str, given: Mapping[str, str]) -> bool:
    """Whether a browser fetches at once what a tag names."""
    if tag == "link":
        return bool(_LOADING_RELS & set(given.get("rel", "").split()))
    return tag not in ("meta", "use")


def problems_of(output: Path) -> list[str]:
    """What on the pages would ask the network, or lead nowhere; empty if all is well."""
    pages = {path.name: _Page(path) for path in sorted(output.glob("*.html"))}
    found = []
    for name, page in pages.items():
        remote = [url for url in page.loads if urlsplit(url).netloc]
        found += [f"{name} loads {url} from the network" for url in remote]
        problems = {url: _leads_nowhere(output, pages, name, url) for url in page.urls()}
        found += [f"{name} links to {url}, {why}" for url, why in problems.items() if why]
    for path in sorted(output.rglob("*.css")):
        remote = _CSS_REMOTE.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(output)} loads {url} from the network" for url in remote]
    return found


def _leads_nowhere(output: Path, pages: dict[str, _Page], name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return ""
    target, place = unquote(parts.path) or name, unquote(parts.fragment)
    if not (output / target).exists():
        return "which is not in the book"
    if place and target in pages and place not in pages[target].ids:
        return "but that page has no such place"
    return ""
