"""The ledger page adds up, and the book's preparation of notebooks does what it says."""

import base64
import json
import re
import tomllib

import nbformat
import pytest
from sphinx.cmd.build import main as sphinx_build
from sphinx.errors import ConfigError

from book import api, execute, l2book, ledger, pages, prepare
from book.check import problems_of
from book.execute import NOTEBOOKS, ROOT
from l2lib.claims import MIME
from l2lib.ledger import lines, sources


def notebook(*bundles):
    """A notebook whose outputs hold these claims and verdicts."""
    outputs = [
        nbformat.v4.new_output(
            "display_data", {MIME: fields, "text/html": f'<p class="l2-{fields["kind"]}">…</p>'}
        )
        for fields in bundles
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass", outputs=outputs)])


def claim(name, measured="0.3"):
    return {
        "kind": "claim",
        "id": name,
        "sentence": "a < b",
        "measured": measured,
        "bound": "below 1",
    }


def identities(*names):
    return {"kind": "identities", "claims": [claim(name, None) for name in names]}


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
        (
            10,
            lambda rows: [*rows, claim("S3-01"), verdict("S3-01")],
            "S3-01: a verdict that chapter 10 does not owe",
        ),
        (10, lambda rows: [*rows, claim("09-own")], "09-own: a claim of another chapter"),
        (10, lambda rows: [*rows, claim("S1-16")], "S1-16: not a line of the ledger"),
        (6, without("claim", "S2-18"), "S2-18: no claim in chapter 6"),
        (
            10,
            lambda rows: [*without("verdict", "S1-12")(rows), verdict("S1-12", "true")],
            "S1-12: ruled “true”",
        ),
    ],
)
def test_a_ledger_that_does_not_add_up_is_refused(number, fault, problem):
    found = problems(fault(adds_up(number)), number)
    assert [each[: len(problem)] for each in found] == [problem]


def test_a_claim_in_another_chapter_holds_no_verdict():
    rows = {8: [*adds_up(8), claim("S1-07")], 10: without("claim", "S1-07")(adds_up(10))}
    found = ledger.problems(
        ledger.collect({f"{n:02d}_x": notebook(*r) for n, r in rows.items()}), set(rows)
    )
    assert [each[:12] for each in found] == ["S1-07: ruled"]


def test_the_page_shows_the_words_the_verdict_the_measurement_and_the_place():
    chapters = {
        "05_x": notebook(
            claim("S1-01"), verdict("S1-01"), claim("05-own", None), verdict("S0-02", "opinion")
        )
    }
    page = ledger.page(ledger.collect(chapters))
    assert (
        "“we show that L2 regularization has no regularizing effect when combined with normalization”"
        in page
    )
    assert f"In our words: {lines()['S1-01'].says}" in page
    assert 'href="05_x.html#claim-S1-01-1">0.3, must be below 1 (chapter 05)' in page
    assert "a &lt; b" in page
    assert "<strong>False.</strong> of that" in page
    assert "No measurement can decide it." in page
    assert 'href="05_x.html#claim-05-own-1">below 1 (chapter 05)' in page
    assert "## S0: A question and answer" in page
    assert "## S2" not in page


def test_identities_are_claims_each_with_a_place_of_its_own():
    chapters = {"05_x": notebook(claim("S1-01"), identities("S1-01", "05-own"), verdict("S1-01"))}
    page = ledger.page(ledger.collect(chapters))
    for anchor in ("claim-S1-01-1", "claim-S1-01-2", "claim-05-own-1"):
        assert f'href="05_x.html#{anchor}"' in page
    assert '<a id="line-S1-01" href="05_x.html#verdict-S1-01-1">S1-01</a>' in page


def test_an_id_becomes_a_link_to_the_ledger_or_to_itself():
    book = nbformat.read(next(NOTEBOOKS.glob("01_*.ipynb")), as_version=4)
    before = [
        str(output.get("data", {}).get("text/html"))
        for cell in book.cells
        for output in cell.get("outputs", [])
    ]
    names = re.findall(r'<small class="l2-id"[^>]*>([^<]+)</small>', "".join(before))
    prepare.prepare("01_x", book, str)
    outputs = [output.get("data", {}) for cell in book.cells for output in cell.get("outputs", [])]
    html = "".join(str(data.get("text/html")) for data in outputs)
    links = re.findall(r'<a class="l2-id" href="([^"]+)">([^<]+)</a>', html)
    assert [text for _, text in links] == names
    assert "<small" not in html
    assert not any("vnd.l2lib" in mime for data in outputs for mime in data)
    anchors = re.findall(r'<(?:p|details|tr) class="l2-(?:claim|verdict)" id="([^"]+)"', html)
    assert len(anchors) == len(set(anchors)) == len(names)
    for (target, name), anchor in zip(links, anchors, strict=True):
        assert anchor.split("-", 1)[1].rpartition("-")[0] == name
        assert target == (f"ledger.html#line-{name}" if name.startswith("S") else f"#{anchor}")


def test_other_chapters_hold_claims_too():
    assert {line.id: line.also for line in lines().values() if line.also} == {
        "S2-06": (4,), "S2-18": (6,), "S3-09": (1,)
    }  # fmt: skip


def test_the_ledger_has_the_lines_of_four_sources():
    counts = {
        source: sum(line.source == source for line in lines().values()) for source in sources()
    }
    assert counts == {"S0": 21, "S1": 15, "S2": 25, "S3": 13}
    assert all(line.id.startswith(line.source) and line.says for line in lines().values())


# ---- notebooks as the book shows them ----------------------------------------------------------
KEYS = l2book.bibliography(ROOT / "book/references.bib")


@pytest.mark.parametrize(
    ("text", "led"),
    [
        ("[next](07_z.ipynb) one", "next (in preparation) one"),
        ("[here](05_x.ipynb#Part-A)", "[here](project:05_x.ipynb#part-a)"),
        ("[](./05_x.ipynb)", "[](project:05_x.ipynb)"),
        ("`[code](05_x.ipynb)`", "`[code](05_x.ipynb)`"),
        ("![picture](05_x.ipynb)", "![picture](05_x.ipynb)"),
        ("[away](https://example.org/a)", "[away](https://example.org/a)"),
        (
            "[van *L.* [2017]](https://arxiv.org/pdf/1706.05350v2)",
            '{cite:empty}`vanlaarhoven2017`<a href="bibliography.html#cite-vanlaarhoven2017">van *L.* [2017]</a>',
        ),
    ],
)
def test_links_lead_to_chapters_or_the_bibliography_or_become_text(text, led):
    assert prepare.relink(text, {"05_x"}, KEYS) == led


def test_a_chapter_is_prepared():
    book = notebook(claim("S1-01"))
    book.cells.append(nbformat.v4.new_markdown_cell("a *link*"))
    prepare.prepare("05_x", book, str.upper)
    assert book.cells[1].source == "A *LINK*"
    assert 'id="claim-S1-01-1"' in book.cells[0].outputs[0].data["text/html"]
    assert MIME not in book.cells[0].outputs[0].data


def picture(alt, **about):
    metadata = {"image/png": {"alt": alt, "width": 500} | about}
    return nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata=metadata)


def test_a_picture_hands_on_its_words_and_one_without_is_refused():
    book = notebook()
    words = nbformat.v4.new_output(
        "display_data", {"text/html": '<details class="l2-alt">a</details>'}
    )
    book.cells[0].outputs = [picture("a line"), words]
    prepare.prepare("05_x", book, str)
    assert book.cells[0].metadata["mystnb"]["image"] == {"alt": "a line", "width": "500px"}
    assert "figure" not in book.cells[0].metadata["mystnb"]
    assert len(book.cells[0].outputs) == 1
    book.cells[0].outputs = [picture("a line", number="5.1")]
    prepare.prepare("05_x", book, str)
    named = {"caption": "Figure 5.1", "name": "figure-5-1"}
    assert book.cells[0].metadata["mystnb"]["figure"] == named
    book.cells[0].outputs = [picture("a line", number="5.1", caption="Bands: five seeds.")]
    prepare.prepare("05_x", book, str)
    shown = book.cells[0].metadata["mystnb"]["figure"]["caption"]
    assert shown == "Figure 5.1. Bands: five seeds."
    book.cells[0].outputs = [picture(" ")]
    with pytest.raises(ValueError, match="05_x, cell 0: show one picture a cell"):
        prepare.prepare("05_x", book, str)


def test_folded_cells_in_a_row_have_one_fold_and_all_their_outputs():
    def cell(source, *outputs, folded=True):
        tags = {"tags": ["hide-input"]} if folded else {}
        return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=tags)

    drawn = picture("a line", number="5.1")
    said = nbformat.v4.new_output("stream", text="said")
    book = notebook()
    book.cells = [
        cell("a", said, folded=False),
        cell("b"),
        cell("c"),
        cell("d", drawn),
        cell("e", said),
        nbformat.v4.new_markdown_cell("words"),
        cell("f", said),
    ]
    prepare.prepare("05_x", book, str)
    shown = [(each.source, each.get("outputs", [])) for each in book.cells]
    joined = "\n\n\n".join("bcde")
    assert shown == [
        ("a", [said]),
        (joined, []),
        ("d", [drawn]),
        ("e", [said]),
        ("words", []),
        ("f", [said]),
    ]
    tags = [each.metadata.get("tags", []) for each in book.cells]
    assert tags == [[], ["hide-input"], ["remove-input"], ["remove-input"], [], ["hide-input"]]
    assert book.cells[2].metadata["mystnb"]["figure"]["caption"] == "Figure 5.1"


def test_an_entry_without_an_address_is_refused(tmp_path):
    (tmp_path / "a.bib").write_text(
        "@misc{one, title = {A {T}itle}, url = {https://www.example.org/a/}}\n@misc{two}"
    )
    with pytest.raises(ConfigError, match="two has no url"):
        l2book.bibliography(tmp_path / "a.bib")
    (tmp_path / "a.bib").write_text(
        "@misc{one, title = {A {T}itle}, url = {https://www.example.org/a/}}"
    )
    assert l2book.bibliography(tmp_path / "a.bib") == {"example.org/a": "one"}


# ---- which chapters there are ------------------------------------------------------------------
def test_stored_chapters_make_a_book_without_a_status(tmp_path):
    nbformat.write(notebook(), tmp_path / "05_x.ipynb")
    assert l2book.chapters_in(tmp_path) == ["05_x"]
    assert "nothing was run" in pages.status(l2book.statuses(tmp_path))


def test_a_status_says_which_chapters_there_are(tmp_path):
    for name in ("05_x", "06_renamed_since"):
        nbformat.write(notebook(), tmp_path / f"{name}.ipynb")
    row = {"chapter": "05_x", "began": "2026-01-01T00:00:00+00:00", "seconds": 3}
    (tmp_path / "status.json").write_text(json.dumps([row]))
    assert list(l2book.read_notebooks(tmp_path)) == ["05_x"]
    assert "| 2026-01-01 00:00:00 | 3.0 |" in pages.status(l2book.statuses(tmp_path))


@pytest.mark.parametrize(
    ("listed", "missing"), [([], "every chapter"), ([{"chapter": "05_x"}], "05_x")]
)
def test_a_folder_without_the_chapters_is_refused(listed, missing, tmp_path):
    (tmp_path / "status.json").write_text(json.dumps(listed))
    with pytest.raises(ConfigError, match=f"{missing} is missing from .*: run `make book`"):
        l2book.chapters_in(tmp_path)


def test_a_benchmark_is_shown_with_its_picture(tmp_path):
    assert "run `make bench`" in pages.measured(tmp_path)
    (tmp_path / "bench.md").write_text("![bars](bench.svg)\n")
    assert pages.measured(tmp_path) == f"![bars](../{tmp_path.name}/bench.svg)\n"


def cover_in_chapter_0() -> tuple[bytes, str]:
    """The picture that the first pages show, and its description."""
    stored = nbformat.read(next(NOTEBOOKS.glob("00_*.ipynb")), as_version=4)
    (found,) = [
        (output.data["image/png"], alt)
        for cell in stored.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
        and (alt := output.metadata["image/png"]["alt"]).startswith(execute.ON_THE_COVER)
    ]
    return base64.b64decode(found[0]), found[1]


def test_the_cover_is_the_picture_of_shares_in_chapter_0():
    assert execute.COVER.read_bytes() == cover_in_chapter_0()[0]


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_what_a_page_says_of_the_cover_is_what_it_shows(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    (alt,) = re.findall(r"!\[([^\]]*)\]\([^)]*balance\.png\)", text)
    numbers = re.findall(r"\d+\.\d+", alt)
    assert len(numbers) == 9
    described = re.findall(r"\d+\.\d+", cover_in_chapter_0()[1])
    assert set(numbers) <= set(described)


# ---- the pages -----------------------------------------------------------------------------------
ONE = """# One

## Part A

`groups.param_groups`, [paper](https://arxiv.org/abs/1706.05350)

$$x \\tag{1}$$
"""


class Site:
    """A book of two small chapters, and what Sphinx says when it is built."""

    def __init__(self, folder):
        self.notebooks, self.output, self.doctrees = (
            folder / name for name in ("in", "out", "doctrees")
        )
        self.notebooks.mkdir()
        self.write("11_one", ONE, claim("11-own"))
        self.write("12_two", "# Two\n\n[one](11_one.ipynb#Part-A), [zero](00_start_here.ipynb)")

    def write(self, name, text, *bundles):
        book = notebook(*bundles)
        book.metadata.language_info = {"name": "python"}
        book.cells.insert(0, nbformat.v4.new_markdown_cell(text))
        nbformat.write(book, self.notebooks / f"{name}.ipynb")

    def build(self, capsys):
        """The exit status, which pages were read, and the warnings."""
        options = [
            "-W",
            "--keep-going",
            "-d",
            str(self.doctrees),
            "-D",
            f"l2book_notebooks={self.notebooks}",
        ]
        status = sphinx_build(["--no-color", *options, str(ROOT / "book"), str(self.output)])
        said, warned = capsys.readouterr()
        return status, re.findall(r"reading sources\.\.\. \[ *\d+%\] ([\w]+)", said), warned

    def page(self, name):
        return (self.output / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


def missing_names(page):
    """Public names of l2lib that have no place on the API page."""
    names = [f"{module.__name__}.{name}" for module in api.modules() for name in api.public(module)]
    return [name for name in names if f'id="{name}"' not in page]


@pytest.mark.filterwarnings("ignore")  # of what the theme and the parser use
def test_the_book_is_built_and_an_edited_chapter_is_built_alone(site, capsys):
    """One test, as each step builds on the one before."""
    status, read, warned = site.build(capsys)
    assert (status, warned) == (0, "")
    assert {"11_one", "12_two", "index", "ledger", "api", "status", "instructors"} <= set(read)
    assert 'href="11_one.html#part-a"' in site.page("12_two")
    assert "zero (in preparation)" in site.page("12_two")
    assert 'id="claim-11-own-1"' in site.page("11_one")
    assert r"\[x \tag{1}\]" in site.page("11_one")
    assert site.page("11_one").count(r"\[") == 1
    assert 'href="api.html#l2lib.groups.param_groups"' in site.page("11_one")
    assert 'href="11_one.html#claim-11-own-1"' in site.page("ledger")
    assert 'href="12_two.html">12 Questions readers ask' in site.page("index")
    assert 'class="citation"' in site.page("bibliography")
    assert "doc-biblioentry" not in site.page("bibliography")
    assert '<nav class="book-head" aria-label="Book">' in site.page("index")
    assert missing_names(site.page("api")) == []
    raw, offered = site.notebooks / "11_one.ipynb", site.output / "_sources/11_one.ipynb"
    assert offered.read_bytes() == raw.read_bytes()

    assert site.build(capsys)[1] == []
    site.write("11_one", "# One\n\n## Part A\n\nedited")
    status, read, warned = site.build(capsys)
    assert (status, warned) == (0, "")
    assert set(read) == {"11_one", *l2book.FOLLOW}
    assert "edited" in site.page("11_one")
    assert "claim-11-own-1" not in site.page("ledger")

    site.write("11_one", "# One\n\n![picture](https://example.org/a.png)", claim("S1-99"))
    (site.notebooks / "12_two.ipynb").unlink()
    status, read, warned = site.build(capsys)
    assert status == 1
    assert "11_one.html loads https://example.org/a.png from the network" in warned
    assert "the ledger does not add up: S1-99: not a line" in warned
    assert not (site.output / "12_two.html").exists()
    assert not (site.output / "_sources/12_two.ipynb").exists()
    assert "12_two.html" not in site.page("index")


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="b.html">', "a.html links to b.html, which is not in the book"),
        ('<a href="a.html#y">', "a.html links to a.html#y, but that page has no such place"),
        ('<a href="#x">', ""),
        ('<a href="https://example.org">', ""),
        ('<script src="//example.org/a.js">', "a.html loads //example.org/a.js from the network"),
        (
            '<link rel="stylesheet" href="https://example.org/a.css">',
            "a.html loads https://example.org/a.css",
        ),
        ('<link rel="canonical" href="https://example.org/a">', ""),
    ],
)
def test_pages_that_need_the_network_or_lead_nowhere_are_found(html, problem, tmp_path):
    (tmp_path / "a.html").write_text(f'<p id="x">{html}')
    assert [found[: len(problem)] for found in problems_of(tmp_path)] == (
        [problem] if problem else []
    )


def test_a_style_sheet_that_needs_the_network_is_found(tmp_path):
    (tmp_path / "a.css").write_text('@import url("https://example.org/b.css");')
    assert len(problems_of(tmp_path)) == 1


def test_a_chapter_has_the_title_that_the_outline_gives_it():
    outline = tomllib.loads((ROOT / "book/outline.toml").read_text(encoding="utf-8"))
    titles = {
        chapter["number"]: chapter["title"]
        for part in outline["parts"]
        for chapter in part["chapters"]
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
        number = path.name[:2]
        assert first == f"# {int(number)} {titles[number]}", "book/outline.toml has another title"
        assert f"(notebooks/{path.name})" in readme, "README's map has no line for it"
