"""The built book, opened from file:// as a reader opens it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOK = Path(os.environ.get("L2_BOOK", ROOT / "_build" / "book"))
PAGES = sorted(path.name for path in BOOK.glob("*.html"))
CHAPTERS = [name for name in PAGES if re.match(r"\d\d_", name)]
VIEWS = {
    "desktop-light": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
RAW_TEX = """() => {
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container").forEach(node => node.remove());
    return text.textContent.match(/\\$|\\\\[([]|\\\\begin/g) || [];
}"""


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

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()


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


@pytest.mark.parametrize("name", PAGES)
def test_page(name, tab):
    """Accessible, offline, every formula drawn, every picture described, no wider than the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="run `make browser`, which installs axe")
    tab.open(name)
    wide, screen = tab.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= screen, f"{name} scrolls sideways: {wide} px on a screen of {screen} px"

    formulas = tab.count(".math")
    assert tab.count("mjx-container") == formulas, f"{name}: some of its {formulas} formulas are not drawn"
    assert tab.count("[data-mml-node=merror]") == 0, f"{name}: MathJax cannot read a formula"
    assert formulas > 0 or name not in CHAPTERS, f"{name} has no formula"
    assert tab.page.evaluate(RAW_TEX) == [], f"{name} shows raw TeX"
    nameless = tab.page.evaluate("[...document.images].filter(i => !i.alt.trim()).map(i => i.src)")
    assert nameless == [], f"{name}: pictures without alt text"

    tab.page.evaluate("document.querySelectorAll('.bd-article details').forEach(d => { d.open = true })")
    report = axe.Axe().run(tab.page, options={"preload": False, "resultTypes": ["violations"]})
    assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    assert tab.asked == [], f"{name} asks the network"


def test_search_finds_a_chapter(desktop):
    chapter = next((name for name in CHAPTERS if name.startswith("02_")), None)
    if chapter is None:
        pytest.skip("chapter 02 is not in the book")
    desktop.open("search.html", "?q=half-life")
    results = desktop.page.locator("#search-results li a")
    results.first.wait_for()
    found = results.evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any(link.startswith(chapter) for link in found), found


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_unfold_by_keyboard(name, desktop):
    desktop.open(name)
    summaries = desktop.page.locator(".bd-article details:has(> summary:text-matches('^Solution'))")
    for number in range(summaries.count()):
        solution = summaries.nth(number)
        assert solution.get_attribute("open") is None, f"{name}: solution {number + 1} is not folded"
        solution.locator("> summary").focus()
        desktop.page.keyboard.press("Enter")
        assert solution.get_attribute("open") is not None, f"{name}: Enter does not unfold solution {number + 1}"
        for formula in solution.locator("mjx-container").all():
            box = formula.bounding_box()
            assert box, f"{name}: a formula of solution {number + 1} is not drawn"
            assert box["width"] > 1, f"{name}: a formula of solution {number + 1} has no width"


def test_the_ledger_leads_to_its_claims(desktop):
    desktop.open("ledger.html")
    desktop.page.locator(".l2-ledger td:last-child a").first.click()
    desktop.page.locator("p.l2-claim:target").wait_for(timeout=5000)


def test_the_notebook_is_offered_for_download(desktop):
    desktop.open(CHAPTERS[0])
    links = desktop.page.locator("a[href$='.ipynb']").evaluate_all("links => links.map(link => link.href)")
    assert any(link.endswith(f"_sources/{Path(CHAPTERS[0]).stem}.ipynb") for link in links), links
