"""The built book, opened from file:// as a reader opens it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.accessible import violations

ROOT = Path(__file__).resolve().parents[2]
BOOK = Path(os.environ.get("L2_BOOK", ROOT / "_build" / "book"))
PAGES = sorted(path.name for path in BOOK.glob("*.html"))
if "L2_BOOK" in os.environ and "index.html" not in PAGES:
    raise ValueError(f"L2_BOOK is {str(BOOK)!r}: no book is there, `make book` writes one")
CHAPTERS = [name for name in PAGES if re.match(r"\d\d_", name)]
VIEWS = {
    "desktop-light": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
LOOK = """() => {
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container").forEach(node => node.remove());
    return {
        wide: document.documentElement.scrollWidth,
        screen: window.innerWidth,
        formulas: document.querySelectorAll(".math").length,
        drawn: document.querySelectorAll("mjx-container").length,
        unread: document.querySelectorAll("[data-mml-node=merror]").length,
        raw: text.textContent.match(/\\$|\\\\[([]|\\\\begin/g) || [],
        nameless: [...document.images].filter(image => !image.alt.trim()).map(image => image.src),
    };
}"""
LAST_CODE = ".cell:nth-last-child(1 of .cell) pre"
FAULTS = {  # axe's rule, and what is put at the end of a chapter
    "a pale class in all code": (
        "color-contrast",
        "<style>.highlight pre .n { color: #ddd !important }</style>",
    ),
    "a pale class in one block": (
        "color-contrast",
        f"<style>{LAST_CODE} .n {{ color: #ddd !important }}</style>",
    ),
    "one block on grey": (
        "color-contrast",
        f"<style>{LAST_CODE} {{ background: #aaa !important }}</style>",
    ),
    "one pale word": (
        "color-contrast",
        "<div class='highlight'><pre>ok <span class='n' style='color: #ddd'>pale</span></pre></div>",
    ),
    "a picture without alt": ("image-alt", "<img src='data:,'>"),
    "a button without a name": ("button-name", "<button></button>"),
}
SOLUTIONS = ".bd-article details:has(> summary:text-matches('^Solution'))"
WIDTHS = """solutions => solutions.map(solution => ({
    open: solution.open,
    formulas: [...solution.querySelectorAll("mjx-container")].map(formula => formula.getBoundingClientRect().width),
}))"""


class Tab:
    """A browser page that notes every request that leaves the book's files."""

    def __init__(self, page):
        self.page, self.asked = page, []
        page.on("request", lambda request: self.note(request.url))

    def note(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.asked.append(url)

    def open(self, name: str, query: str = "") -> None:
        self.page.goto((BOOK / name).as_uri() + query)
        self.page.evaluate("async () => { await window.MathJax?.startup?.promise }")


@pytest.fixture(scope="module", params=VIEWS)
def tab(request, chromium) -> Iterator[Tab]:
    context = chromium.new_context(**VIEWS[request.param])
    yield Tab(context.new_page())
    context.close()


@pytest.fixture
def desktop(chromium) -> Iterator[Tab]:
    if not CHAPTERS:
        pytest.skip(f"there is no book in {BOOK}: run `make book` first")
    context = chromium.new_context()
    yield Tab(context.new_page())
    context.close()


def test_the_book_is_built():
    assert "index.html" in PAGES, f"there is no book in {BOOK}: run `make book` first"
    assert CHAPTERS, f"the book in {BOOK} has no chapter: run `make book`"


def check_looks(name: str, tab: Tab) -> None:
    """No wider than the screen, every formula drawn, every picture described."""
    seen = tab.page.evaluate(LOOK)
    assert seen["wide"] <= seen["screen"], (
        f"{name} scrolls sideways: {seen['wide']} px on {seen['screen']} px"
    )
    assert seen["drawn"] == seen["formulas"], (
        f"{name}: some of its {seen['formulas']} formulas are not drawn"
    )
    assert seen["unread"] == 0, f"{name}: MathJax cannot read a formula"
    assert seen["formulas"] > 0 or name not in CHAPTERS, f"{name} has no formula"
    assert seen["raw"] == [], f"{name} shows raw TeX"
    assert seen["nameless"] == [], f"{name}: pictures without alt text"


def check_solutions(name: str, tab: Tab) -> None:
    """Each solution is folded, the Enter key unfolds it, and its formulas are then drawn."""
    solutions = tab.page.locator(SOLUTIONS)
    for number in range(1, solutions.count() + 1):
        folded = solutions.nth(number - 1).evaluate(
            "node => { node.firstElementChild.focus(); return !node.open }"
        )
        assert folded, f"{name}: solution {number} is not folded"
        tab.page.keyboard.press("Enter")
    for number, solution in enumerate(solutions.evaluate_all(WIDTHS), 1):
        assert solution["open"], f"{name}: Enter does not unfold solution {number}"
        thin = [width for width in solution["formulas"] if width <= 1]
        assert thin == [], f"{name}: {len(thin)} formulas of solution {number} are not drawn"


@pytest.mark.parametrize("name", PAGES)
def test_page(name, tab):
    """Each page is opened once a view, and everything is looked at there: opening and drawing it is what takes long."""
    tab.open(name)
    check_looks(name, tab)
    check_solutions(name, tab)
    report = violations(tab.page)
    assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    assert tab.asked == [], f"{name} asks the network"


@pytest.mark.parametrize("fault", FAULTS)
def test_axe_finds_a_planted_fault(fault, desktop):
    rule, html = FAULTS[fault]
    desktop.open(CHAPTERS[0])
    desktop.page.locator(".bd-article").evaluate(
        "(node, html) => node.insertAdjacentHTML('beforeend', html)", html
    )
    assert [found["id"] for found in violations(desktop.page).response["violations"]] == [rule]


def test_search_finds_a_chapter(desktop):
    chapter = next((name for name in CHAPTERS if name.startswith("02_")), None)
    if chapter is None:
        pytest.skip("chapter 02 is not in the book")
    desktop.open("search.html", "?q=half-life")
    results = desktop.page.locator("#search-results li a")
    results.first.wait_for()
    found = results.evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any(link.startswith(chapter) for link in found), found


def test_the_ledger_leads_to_its_claims(desktop):
    desktop.open("ledger.html")
    desktop.page.locator(".l2-ledger td:last-child a").first.click()
    desktop.page.locator(".l2-claim:target").wait_for(timeout=5000)


def test_the_notebook_is_offered_for_download(desktop):
    desktop.open(CHAPTERS[0])
    links = desktop.page.locator("a[href$='.ipynb']").evaluate_all(
        "links => links.map(link => link.href)"
    )
    assert any(link.endswith(f"_sources/{Path(CHAPTERS[0]).stem}.ipynb") for link in links), links
