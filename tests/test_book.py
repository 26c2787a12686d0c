"""The ledger page adds up, and the book's preparation of notebooks does what it says."""

import base64
import json
import re

import nbformat
import pytest

from book import build, ledger, prepare
from book.execute import COVER, NOTEBOOKS, ROOT
from l2lib.claims import MIME


def notebook(*bundles):
    """A notebook whose outputs hold these claims and verdicts."""
    outputs = [
        nbformat.v4.new_output("display_data", {MIME: fields, "text/html": f'<p class="l2-{fields["kind"]}">…</p>'})
        for fields in bundles
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass", outputs=outputs)])


def claim(name, measured="0.3"):
    return {"kind": "claim", "id": name, "sentence": "a < b", "measured": measured, "bound": "below 1"}


def identities(*names):
    return {"kind": "identities", "claims": [claim(name, None) for name in names]}


def verdict(name, ruling="false"):
    return {"kind": "verdict", "id": name, "says": "so", "ruling": ruling, "because": "of that"}


@pytest.mark.parametrize(
    ("bundles", "message"),
    [
        ([verdict("S1-01")], "without a claim"),
        ([claim("S1-01")], "no verdict"),
        ([claim("S1-01"), verdict("S1-01"), verdict("S1-01")], "2 verdicts"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_refused(bundles, message):
    (problem,) = ledger.problems(ledger.collect({"05_x": notebook(*bundles)}))
    assert "S1-01" in problem
    assert message in problem


def test_a_ledger_that_adds_up_passes_across_chapters():
    chapters = {
        "05_x": notebook(claim("S1-01"), claim("05-own")),
        "06_y": notebook(verdict("S1-01"), verdict("S0-02", "opinion")),
    }
    assert ledger.problems(ledger.collect(chapters)) == []


def test_the_page_shows_verdict_measurement_and_place():
    chapters = {"05_x": notebook(claim("S1-01"), verdict("S1-01"), claim("05-own", None), verdict("S0-02", "opinion"))}
    page = ledger.page(ledger.collect(chapters))
    assert 'href="05_x.html#claim-S1-01-1">0.3, must be below 1 (chapter 05)' in page
    assert "a &lt; b" in page
    assert "<strong>False.</strong> of that" in page
    assert "No measurement can decide it." in page
    assert 'href="05_x.html#claim-05-own-1">below 1 (chapter 05)' in page


def test_identities_are_claims_each_with_a_place_of_its_own():
    chapters = {"05_x": notebook(claim("S1-01"), identities("S1-01", "05-own"), verdict("S1-01"))}
    page = ledger.page(ledger.collect(chapters))
    assert ledger.problems(ledger.collect(chapters)) == []
    for anchor in ("claim-S1-01-1", "claim-S1-01-2", "claim-05-own-1"):
        assert f'href="05_x.html#{anchor}"' in page
    assert '<a id="line-S1-01" href="05_x.html#verdict-S1-01-1">S1-01</a>' in page


def test_an_id_becomes_a_link_to_the_ledger_or_to_itself():
    book = nbformat.read(next(NOTEBOOKS.glob("01_*.ipynb")), as_version=4)
    before = [str(output.get("data", {}).get("text/html")) for cell in book.cells for output in cell.get("outputs", [])]
    names = re.findall(r'<small class="l2-id"[^>]*>([^<]+)</small>', "".join(before))
    prepare.prepare("01_x", book, {"01_x"}, prepare.bibliography(ROOT / "book/references.bib"))
    outputs = [output.get("data", {}) for cell in book.cells for output in cell.get("outputs", [])]
    html = "".join(str(data.get("text/html")) for data in outputs)
    links = re.findall(r'<a class="l2-id" href="([^"]+)">([^<]+)</a>', html)
    assert [text for _, text in links] == names
    assert "<small" not in html
    assert not any(MIME in data for data in outputs)
    anchors = re.findall(r'<p class="l2-(?:claim|verdict)" id="([^"]+)">', html)
    assert len(anchors) == len(set(anchors)) == len(names)
    for (target, name), anchor in zip(links, anchors, strict=True):
        assert anchor.split("-", 1)[1].rpartition("-")[0] == name
        assert target == (f"ledger.html#line-{name}" if name.startswith("S") else f"#{anchor}")


def test_links_lead_to_the_bibliography_or_become_text():
    book = notebook(claim("S1-01"))
    text = "[paper](https://arxiv.org/pdf/1706.05350v2) [next](07_z.ipynb) [here](05_x.ipynb#Part-A) `[code](x)`"
    book.cells.append(nbformat.v4.new_markdown_cell(text))
    prepare.prepare("05_x", book, {"05_x"}, prepare.bibliography(ROOT / "book/references.bib"))
    paper, rest = book.cells[1].source.split("</a> ")
    assert paper.endswith('href="bibliography.html#cite-vanlaarhoven2017">paper')
    assert rest == "next (in preparation) [here](05_x.ipynb#part-a) `[code](x)`"
    assert 'id="claim-S1-01-1"' in book.cells[0].outputs[0].data["text/html"]


def test_stored_chapters_make_a_book_without_a_status(tmp_path):
    nbformat.write(notebook(), tmp_path / "05_x.ipynb")
    rows, chapters = build.read_notebooks(tmp_path)
    assert list(chapters) == ["05_x"]
    assert "nothing was run" in build.status(rows)


def test_a_status_says_which_chapters_there_are(tmp_path):
    for name in ("05_x", "06_renamed_since"):
        nbformat.write(notebook(), tmp_path / f"{name}.ipynb")
    row = {"chapter": "05_x", "began": "2026-01-01T00:00:00+00:00", "seconds": 3}
    (tmp_path / "status.json").write_text(json.dumps([row]))
    rows, chapters = build.read_notebooks(tmp_path)
    assert list(chapters) == ["05_x"]
    assert "| 2026-01-01 00:00:00 | 3.0 |" in build.status(rows)


@pytest.mark.parametrize(("listed", "missing"), [([], "every chapter"), ([{"chapter": "05_x"}], "05_x")])
def test_a_folder_without_the_chapters_is_refused(listed, missing, tmp_path):
    (tmp_path / "status.json").write_text(json.dumps(listed))
    with pytest.raises(SystemExit, match=f"{missing} is missing from .*: run `make book`"):
        build.read_notebooks(tmp_path)


def test_the_cover_is_the_first_picture_of_chapter_0():
    stored = nbformat.read(next(NOTEBOOKS.glob("00_*.ipynb")), as_version=4)
    pictures = [
        o.data["image/png"] for c in stored.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert COVER.read_bytes() == base64.b64decode(pictures[0])
