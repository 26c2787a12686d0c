"""Every chapter keeps the rules of notebook_checks; every rule refuses what it is there for; nbval bites."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from book.execute import NOTEBOOKS, ROOT, SOURCE, execute
from book.ledger import collect, problems
from l2lib import ledger
from l2lib._drawn import MIME as DRAWN
from l2lib.claims import MIME
from tests import notebook_checks as checks
from tests.planted.outcomes import run_pytest

# Chapters with one file only are left to test_every_chapter_has_both_files.
CHAPTERS = sorted(
    {path.stem for path in NOTEBOOKS.glob("*.ipynb")} & {path.stem for path in SOURCE.glob("*.py")}
)


# ---- the chapters --------------------------------------------------------------------------
def test_every_chapter_has_both_files() -> None:
    assert checks.check_twins(SOURCE, NOTEBOOKS) == []


def test_every_line_of_the_ledger_has_a_chapter_that_is_there() -> None:
    assert {line.chapter for line in ledger.lines().values()} <= {
        int(name[:2]) for name in CHAPTERS
    }


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter(chapter: str, check: checks.Check) -> None:
    assert check(nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_is_in_sync_with_its_source(chapter: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    assert checks.check_in_sync(notebook, SOURCE / f"{chapter}.py") == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_file_is_small(chapter: str) -> None:
    assert checks.check_size(NOTEBOOKS / f"{chapter}.ipynb") == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_decides_its_lines_of_the_ledger(chapter: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    assert problems(collect({chapter: notebook}), {int(chapter[:2])}) == []


# ---- a sample that keeps every rule, and faults that break one -----------------------------
SAMPLE = """# %% [markdown]
# # A sample
# Half of ‖w‖², which is {{below: w @ w / 2:.1f}}, and Figure 9.1.

# %%
import numpy as np
from l2lib import figures
from l2lib.claims import claim, identities, verdict, verdicts

# %%
w = np.array([3.0, 4.0])
print(f"penalty {w @ w / 2:.1f}")

# %%
claim("S3-01", "the penalty is half the squared norm, or so <they> say",
      measured=w @ w / 2, between=(12, 13))
claim("09-identity", "the norm is 5", measured=abs(np.linalg.norm(w) - 5), below=1e-12)
verdict("S3-01", "convention", "the factor of one half is a choice")
verdict("S0-14", "opinion", "nothing to measure")
verdicts()
identities()

# %%
fig, ax = figures.subplots(figsize=(2, 2))
ax.plot(w, label="weight")
ax.set(title="It is larger", xlabel="index", ylabel="weight")
line = figures.drawn(ax)["weight"]
figures.show(fig, f"A line that rises from a weight of {line.y[0]:g} at index 0 to "
             f"{line.at(1):g} at index 1.", number="9.1")
"""


@pytest.fixture(scope="module")
def sample_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    (folder / "09_sample.py").write_text(SAMPLE, encoding="utf-8")
    run = execute(folder / "09_sample.py", folder)
    assert not run.error, run.error
    return folder / "09_sample.ipynb"


@pytest.fixture
def sample(sample_path: Path) -> NotebookNode:
    return nbformat.read(sample_path, as_version=4)


def code(notebook: NotebookNode, number: int) -> NotebookNode:
    return [cell for cell in notebook.cells if cell.cell_type == "code"][number - 1]


def prints(text: str) -> Callable[[NotebookNode], None]:
    """The fault of showing this text."""
    return lambda notebook: code(notebook, 2).outputs.append(
        nbformat.v4.new_output("stream", text=text)
    )


def shows(**data: object) -> Callable[[NotebookNode], None]:
    """The fault of displaying this data, whose mime types are written with two underscores for the slash."""
    bundle = {mime.replace("__", "/"): value for mime, value in data.items()}
    return lambda notebook: code(notebook, 2).outputs.append(
        nbformat.v4.new_output("display_data", bundle)
    )


def says(line: str, number: int = 2) -> Callable[[NotebookNode], None]:
    """The fault of a code cell with this line on top."""

    def fault(notebook: NotebookNode) -> None:
        code(notebook, number).source = line + "\n" + code(notebook, number).source

    return fault


def sets(path: str, value: object) -> Callable[[NotebookNode], None]:
    """The fault of a code cell with this value at ``number/key/key…``."""

    def fault(notebook: NotebookNode) -> None:
        number, *keys, last = path.split("/")
        node = code(notebook, int(number))
        for key in keys:
            node = node[int(key)] if key.isdigit() else node[key]
        node[last.replace("|", "/")] = value

    return fault


def add_words(notebook: NotebookNode, words: str) -> None:
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"The three minima are:\n{words}"))


def swap_bound(notebook: NotebookNode) -> None:
    code(notebook, 3).outputs[0].data[MIME]["bound"] = "between 1 and 2"


def another_identity(notebook: NotebookNode) -> None:
    code(notebook, 3).outputs[2].data[MIME]["claims"][0]["sentence"] = "the norm is 6"


def shows_value(notebook: NotebookNode) -> None:
    value = nbformat.v4.new_output("execute_result", {"text/plain": "(0, 1)"}, execution_count=1)
    code(notebook, 3).outputs.append(value)


def forget_identities(notebook: NotebookNode) -> None:
    code(notebook, 3).source = code(notebook, 3).source.replace("identities()", "")


def show_identities_twice(notebook: NotebookNode) -> None:
    notebook.cells[3:3] = [nbformat.v4.new_code_cell("identities()", outputs=[])]


def another_verdict(notebook: NotebookNode) -> None:
    more = 'verdict("S0-14", "opinion", "it cannot be known")\nverdicts()'
    notebook.cells.append(nbformat.v4.new_code_cell(more))


def forget_quotation(notebook: NotebookNode) -> None:
    data = code(notebook, 3).outputs[1].data
    data["text/plain"] = data["text/plain"].replace(ledger.line("S3-01").quote, "so it says")


def forget_words(notebook: NotebookNode) -> None:
    del code(notebook, 4).outputs[1]


def forget_digest(notebook: NotebookNode) -> None:
    del code(notebook, 4).outputs[0].data[DRAWN]


def lengthen_all(notebook: NotebookNode) -> None:
    for number in range(1, 5):
        code(notebook, number).source = "\n".join(f"x{i} = {i}" for i in range(9))


def stray_notebook_metadata(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {}


def attachment(notebook: NotebookNode) -> None:
    notebook.cells[0]["attachments"] = {"a.png": {"image/png": "AAAA"}}


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
error = nbformat.v4.new_output("error", ename="ClaimError", evalue="no", traceback=[])
FAULTS: list[tuple[str, checks.Check, Callable[[NotebookNode], None]]] = [
    ("cell not run", checks.check_executed, sets("2/execution_count", None)),
    ("cell run twice", checks.check_executed, sets("2/execution_count", 5)),
    ("stored error", checks.check_errors, lambda n: code(n, 2).outputs.append(error)),
    ("warning", checks.check_stderr, sets("2/outputs/0/name", "stderr")),
    ("words that render as a title", checks.check_titles, lambda n: add_words(n, "# $(2, 0)$")),
    ("unknown magic", checks.check_plain_python, says("%nonsense")),
    ("cell magic", checks.check_plain_python, says("%%time")),
    ("shell", checks.check_plain_python, says("!ls")),
    ("help", checks.check_plain_python, says("np.array?")),
    ("magic by call", checks.check_plain_python, says("get_ipython().run_line_magic('time', '1')")),
    ("output ignored", checks.check_nbval_runs_all, says("# NBVAL_IGNORE_OUTPUT")),
    ("cell skipped by comment", checks.check_nbval_runs_all, says("# NBVAL_SKIP")),
    ("cell skipped by tag", checks.check_nbval_runs_all, sets("2/metadata/tags", ["nbval-skip"])),
    (
        "exception expected",
        checks.check_nbval_runs_all,
        sets("2/metadata/tags", ["raises-exception"]),
    ),
    (
        "output ignored by tag",
        checks.check_nbval_runs_all,
        sets("2/metadata/tags", ["nbval-ignore-output"]),
    ),
    (
        "timings",
        checks.check_metadata,
        sets("2/metadata/execution", {"iopub.execute_input": "2026"}),
    ),
    ("stray cell metadata", checks.check_metadata, sets("2/metadata/collapsed", True)),
    ("stray notebook metadata", checks.check_metadata, stray_notebook_metadata),
    ("stray output metadata", checks.check_metadata, sets("4/outputs/0/metadata/extra", 1)),
    ("attached picture", checks.check_metadata, attachment),
    ("outputs hidden", checks.check_metadata, sets("3/metadata/jupyter/outputs_hidden", True)),
    ("claims not folded", checks.check_folding, sets("3/metadata", {})),
    (
        "claims not folded in JupyterLab",
        checks.check_folding,
        sets("3/metadata/jupyter/source_hidden", False),
    ),
    ("claims not folded in the book", checks.check_folding, sets("3/metadata/tags", [])),
    (
        "code folded in JupyterLab only",
        checks.check_folding,
        sets("2/metadata/jupyter", {"source_hidden": True}),
    ),
    ("path printed", checks.check_machine, prints("read /srv/data/digits.npz")),
    ("path in quotes", checks.check_machine, prints("PosixPath('/srv/data')")),
    ("path on Windows", checks.check_machine, prints(r"read D:\data\digits")),
    (
        "path in HTML",
        checks.check_machine,
        shows(text__html="<td>/srv/data/digits.npz</td>", text__plain=""),
    ),
    ("address", checks.check_machine, shows(text__plain="<object at 0x7f00deadbeef>")),
    ("a title", checks.check_leftovers, shows(text__plain="Text(0.0, 1.0, 'a title')")),
    ("a line", checks.check_leftovers, shows(text__plain="[<matplotlib.lines.Line2D>]")),
    (
        "a description without its f",
        checks.check_unfilled,
        sets("4/outputs/0/data/text|plain", "Figure 9.1: A line that rises from {line.y[0]:g}."),
    ),
    ("a claim without its f", checks.check_unfilled, shows(text__html="<p>{after[0]:.2f}</p>")),
    ("picture without alt", checks.check_figures, sets("4/outputs/0/metadata", {})),
    (
        "picture with short alt",
        checks.check_figures,
        sets("4/outputs/0/metadata/image|png", {"alt": "a line"}),
    ),
    (
        "picture with another alt",
        checks.check_figures,
        sets("4/outputs/0/data/text|plain", "Figure 9.1: of a cat"),
    ),
    (
        "picture with another number",
        checks.check_numbers,
        sets("4/outputs/0/metadata/image|png", {"number": "9.2"}),
    ),
    (
        "picture without a number",
        checks.check_numbers,
        sets("4/outputs/0/metadata/image|png", {}),
    ),
    (
        "a figure that is not there",
        checks.check_numbers,
        lambda n: n.cells[0].update(source="See Figures 9.1 and 9.2."),
    ),
    (
        "a table with an empty heading",
        checks.check_tables,
        lambda n: n.cells[0].update(source="| | λ |\n|---|---|\n| a | b |"),
    ),
    (
        "a table with a lone formula for a heading",
        checks.check_tables,
        lambda n: n.cells[0].update(source="| λ | $\\sqrt{ab}$ |\n|---|---|\n| a | b |"),
    ),
    (
        "a formula in a fold's summary",
        checks.check_summaries,
        lambda n: n.cells[0].update(source="<details><summary>Why $\\frac12$</summary></details>"),
    ),
    ("picture without words", checks.check_figures, forget_words),
    (
        "picture by plt.show",
        checks.check_figures,
        shows(image__png=PNG, text__plain="<Figure size 2x2>"),
    ),
    ("picture without a digest", checks.check_figures, forget_digest),
    (
        "a description of something else",
        checks.check_descriptions,
        lambda n: n.cells[-1].update(source=n.cells[-1].source.replace("line.y[0]", "w[0]")),
    ),
    (
        "a title of something else",
        checks.check_descriptions,
        lambda n: n.cells[-1].update(
            source=n.cells[-1].source.replace('title="It is larger', 'title=f"It is {w[1]}')
        ),
    ),
    ("SVG", checks.check_figures, shows(**{"image__svg+xml": "<svg/>"})),
    (
        "picture in HTML",
        checks.check_figures,
        shows(text__html=f'<img src="data:image/png;base64,{PNG}">'),
    ),
    (
        "figure printed",
        checks.check_figures,
        shows(text__plain="<Figure size 200x200 with 1 Axes>"),
    ),
    ("long cell", checks.check_cell_lengths, says("x = 1\n" * 20)),
    ("long cells", checks.check_cell_lengths, lengthen_all),
    ("bound not shown", checks.check_claims_agree, swap_bound),
    (
        "another id in plain text",
        checks.check_claims_agree,
        sets("3/outputs/0/data/text|plain", "✓ S3-02 the penalty"),
    ),
    (
        "another sentence in HTML",
        checks.check_claims_agree,
        sets("3/outputs/1/data/text|html", "<b>S3-01</b> sum"),
    ),
    ("another identity in the fields", checks.check_claims_agree, another_identity),
    ("verdict without the source's words", checks.check_claims_agree, forget_quotation),
    (
        "identities in HTML",
        checks.check_claims_agree,
        shows(text__html='<details class="l2-identities"></details>'),
    ),
    ("bare value", checks.check_values, shows_value),
    ("identities not shown", checks.check_identities, forget_identities),
    ("identities shown twice", checks.check_identities, show_identities_twice),
    ("two verdicts on a line", checks.check_verdicts, another_verdict),
    ("printed claim", checks.check_claims_agree, prints("✓ S3-01  all is well")),
    ("claim in HTML", checks.check_claims_agree, shows(text__html='<p class="l2-claim">S3-01</p>')),
]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_sample_passes(sample: NotebookNode, check: checks.Check) -> None:
    assert check(sample) == []


@pytest.mark.parametrize(("name", "check", "fault"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_fault_is_refused(
    sample: NotebookNode, name: str, check: checks.Check, fault: Callable[[NotebookNode], None]
) -> None:
    faulty = copy.deepcopy(sample)
    fault(faulty)
    assert faulty != sample, f"{name}: the fault changed nothing"
    assert check(faulty)


def test_every_rule_has_a_fault() -> None:
    assert {check for _, check, _ in FAULTS} == set(checks.CHECKS)


@pytest.mark.parametrize(
    "text", ["loss 1/2 and/or λ/n", "https://example.org/a/b", "half-life ln 2/(ηλ)", "0x1f"]
)
def test_harmless_text_is_allowed(sample: NotebookNode, text: str) -> None:
    prints(text)(sample)
    assert checks.check_machine(sample) == []


# ---- twins, sizes -------------------------------------------------------------------------
def test_sample_is_in_sync(sample: NotebookNode, sample_path: Path) -> None:
    assert checks.check_in_sync(sample, sample_path.with_suffix(".py")) == []


@pytest.mark.parametrize(
    "edit",
    [
        ("{w @ w / 2:.1f}", "{w @ w / 2:.2f}"),
        ("Half of", "Twice"),
        ("# %%\nw =", '# %% tags=["hide-input"]\nw ='),
        ("# %%\nfig,", "# %% [markdown]\n# fig,"),
        ("\nw = ", "\n# %%\nw = "),
        ("# %%\nfig", "# %%\nx = 1\n\n# %%\nfig"),
    ],
    ids=["code", "prose", "tag", "cell type", "empty cell", "more cells"],
)
def test_source_out_of_sync_is_refused(
    sample: NotebookNode, sample_path: Path, edit: tuple[str, str], tmp_path: Path
) -> None:
    text = sample_path.with_suffix(".py").read_text(encoding="utf-8")
    assert edit[0] in text
    (tmp_path / "09_sample.py").write_text(text.replace(*edit), encoding="utf-8")
    assert len(checks.check_in_sync(sample, tmp_path / "09_sample.py")) == 1


def test_missing_twins_are_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "01_a.ipynb").touch()
    (tmp_path / "source/02_b.py").touch()
    problems = checks.check_twins(tmp_path / "source", tmp_path)
    assert [problem[:4] for problem in problems] == ["02_b", "01_a"]


def test_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(b" " * checks.MAX_BYTES)
    assert checks.check_size(path) == []
    path.write_bytes(b" " * (checks.MAX_BYTES + 1))
    assert len(checks.check_size(path)) == 1


# ---- nbval ---------------------------------------------------------------------------------
@pytest.mark.parametrize("kernels", ["copied", pytest.param("new", marks=pytest.mark.slow)])
def test_nbval_refuses_one_changed_digit(
    sample: NotebookNode, tmp_path: Path, kernels: str
) -> None:
    """The same options as `make test`, on the sample as it is and on a copy with four changes: two
    digits, one in a sentence, and a line drawn a hundredth of the picture higher.
    """
    # In place of the picture, which takes a second to import what draws it.
    drawn = '{"axes": "a title"}\n{"kind": "Line2D", "label": "w", "at": [2, 0.1, 0.51]}'
    code(sample, 4).source = f"display({{{DRAWN!r}: {drawn!r}}}, raw=True)"
    code(sample, 4).outputs = [nbformat.v4.new_output("display_data", {DRAWN: drawn})]
    code(sample, 1).source = code(sample, 1).source.replace("from l2lib import figures\n", "")
    text = nbformat.writes(sample)
    (tmp_path / "same.ipynb").write_text(text, encoding="utf-8")
    changes = [
        ("penalty 12.5", "penalty 12.6"),
        ("12.5, must be", "12.4, must be"),
        ('"12.5"\n', '"12.6"\n'),
        ("0.1, 0.51]", "0.1, 0.52]"),
    ]
    for old, new in changes:
        assert old in text
        text = new.join(text.rsplit(old, 1))
    (tmp_path / "changed.ipynb").write_text(text, encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"^NBVAL := (.*)$", makefile, re.MULTILINE)
    assert options is not None
    line = ["-c", str(ROOT / "pyproject.toml"), *options[1].split(), str(tmp_path)]
    failures = run_pytest(line, root=tmp_path, environment={"L2_KERNELS": kernels})
    assert [failure.kind for failure in failures] == ["output", "output", "output"]
    cells = [failure.where.rpartition("/")[2] for failure in failures]
    assert cells == [f"changed.ipynb::Cell {number}" for number in (1, 2, 3)]
