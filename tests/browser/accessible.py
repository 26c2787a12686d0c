"""What axe finds wrong on a page, without looking at the same thing a thousand times."""

from typing import Any

import pytest

# Two thirds of axe's time would go to the contrast of highlighted code. So of the pieces of code that look alike, on
# the same ground, only the first keeps its element; of the others the text stays. A piece with an attribute besides its
# class stays as it is. The strokes of formulas go too: their drawings are hidden from assistive technology, which reads
# the MathML beside them.
THIN = """() => {
    const ground = node => {
        const style = getComputedStyle(node);
        return [node.className, style.color, style.background, style.font, style.opacity, style.textShadow].join();
    };
    const block = pre => {
        const grounds = [];
        for (let node = pre; node !== document.documentElement; node = node.parentElement) grounds.push(ground(node));
        return grounds.join(">");
    };
    const seen = new Set(), repeats = [];
    for (const pre of document.querySelectorAll("pre")) {
        const looks = new Map([[pre, block(pre)]]);
        for (const piece of pre.querySelectorAll("*")) {
            const look = `${ground(piece)}<${looks.get(piece.parentElement)}`;
            looks.set(piece, look);
            const plain = piece.localName === "span" && piece.getAttributeNames().every(name => name === "class");
            if (plain && seen.has(look)) repeats.push(piece);
            seen.add(look);
        }
    }
    repeats.forEach(piece => piece.replaceWith(...piece.childNodes));
    const drawings = document.querySelectorAll("mjx-container > svg[aria-hidden=true]:not(:has(text, a))");
    drawings.forEach(drawing => drawing.replaceChildren());
}"""


def violations(page: Any) -> Any:
    """Axe's report on a page; the page is of no other use afterwards."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="run `make browser`, which installs axe"
    )
    page.evaluate(
        "document.querySelectorAll('.bd-article details').forEach(d => { d.open = true })"
    )
    page.evaluate(THIN)
    return axe.Axe().run(page, options={"preload": False, "resultTypes": ["violations"]})
