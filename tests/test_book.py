"""The ledger page adds up, and the book's preparation of notebooks does what it says."""

import base64
import json

import nbformat
import pytest

from book import build, ledger, prepare
from book.execute import COVER, NOTEBOOKS, ROOT
from l2lib.claims import MIME
from l2lib.ledger import lines, sources


def notebook(*bundles):
    """A notebook whose outputs hold these claims and verdicts."""
    outputs = [
        nbformat.v4.new_output("display_data", {MIME: fields, "text/html": f'<p class="l2-{fields["kind"]}">…</p>'})
        for fields in bundles
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass", outputs=outputs)])


def claim(name, measured="0.3"):
    return {"kind": "claim", "id": name, "sentence": "a < b", "measured": measured, "bound": "below 1"}


def verdict(name, ruling="false"):
    return {"kind": "verdict", "id": name, "ruling": ruling, "because": "of that"}


# ---- the ledger ------------------------------------------------------------------------------
def adds_up(number):
    """A chapter that keeps the ledger's rules: a verdict and a claim for each line, and one of its own."""
    rows = [claim(f"{number:02d}-own")]
    for line in lines().values():
        if number == line.chapter:
            rows.append(verdict(line.id, "opinion" if line.id == "S1-12" else "false"))
        if number in (line.chapter, *line.also) and line.id != "S1-12":
            rows.append(claim(line.id))
    return rows


def problems(rows, number):
    return ledger.problems(ledger.collect({f"{number:02d}_x": notebook(*rows)}), {number})


@pytest.mark.parametrize("number", range(12))
def test_chapters_that_keep_the_rules_pass(number):
    assert problems(adds_up(number), number) == []
    book = ledger.collect({f"{n:02d}_x": notebook(*adds_up(n)) for n in range(12)})
    assert ledger.problems(book, set(range(12))) == []


def without(kind, name):
    return lambda rows: [row for row in rows if (row["kind"], row["id"]) != (kind, name)]


@pytest.mark.parametrize(
    ("number", "fault", "problem"),
    [
        (10, without("verdict", "S1-07"), "S1-07: no verdict; chapter 10 must give one"),
        (10, without("claim", "S1-07"), "S1-07: ruled “false”, and no claim of 10_x holds it"),
        (10, lambda rows: [*rows, verdict("S1-07")], "S1-07: 2 verdicts"),
        (10, lambda rows: [*rows, claim("S3-01"), verdict("S3-01")], "S3-01: a verdict that chapter 10 does not owe"),
        (10, lambda rows: [*rows, claim("09-own")], "09-own: a claim of another chapter"),
        (10, lambda rows: [*rows, claim("S1-16")], "S1-16: not a line of the ledger"),
        (6, without("claim", "S2-18"), "S2-18: no claim in chapter 6"),
        (10, lambda rows: [*without("verdict", "S1-12")(rows), verdict("S1-12", "true")], "S1-12: ruled “true”"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_refused(number, fault, problem):
    found = problems(fault(adds_up(number)), number)
    assert [each[: len(problem)] for each in found] == [problem]


def test_a_claim_in_another_chapter_holds_no_verdict():
    rows = {8: [*adds_up(8), claim("S1-07")], 10: without("claim", "S1-07")(adds_up(10))}
    found = ledger.problems(ledger.collect({f"{n:02d}_x": notebook(*r) for n, r in rows.items()}), set(rows))
    assert [each[:12] for each in found] == ["S1-07: ruled"]


def test_the_page_shows_the_words_the_verdict_the_measurement_and_the_place():
    chapters = {"05_x": notebook(claim("S1-01"), verdict("S1-01"), claim("05-own", None), verdict("S0-02", "opinion"))}
    page = ledger.page(ledger.collect(chapters))
    assert "“we show that L2 regularization has no regularizing effect when combined with normalization”" in page
    assert f"In our words: {lines()['S1-01'].says}" in page
    assert 'href="05_x.html#claim-S1-01-1">0.3, must be below 1 (chapter 05)' in page
    assert "a &lt; b" in page
    assert "<strong>False.</strong> of that" in page
    assert "No measurement can decide it." in page
    assert 'href="05_x.html#claim-05-own-1">below 1 (chapter 05)' in page
    assert "## S0: A question and answer" in page
    assert "## S2" not in page


def test_other_chapters_hold_claims_too():
    assert {line.id: line.also for line in lines().values() if line.also} == {
        "S2-06": (4,), "S2-18": (6,), "S3-09": (1,)
    }  # fmt: skip


def test_the_ledger_has_the_lines_of_four_sources():
    counts = {source: sum(line.source == source for line in lines().values()) for source in sources()}
    assert counts == {"S0": 21, "S1": 15, "S2": 25, "S3": 13}
    assert all(line.id.startswith(line.source) and line.says for line in lines().values())


# ---- notebooks as the book shows them ----------------------------------------------------------
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
