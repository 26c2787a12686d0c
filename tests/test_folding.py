"""Cells of claims and pictures are folded, mathematics is not; sources keep their own tags."""

from pathlib import Path

import jupytext
import nbformat
import pytest

from book import execute, folding

CLAIM = 'claim("01-a", "it holds", measured=x, below=1)'
SHOW = 'figures.show(fig, "a picture")'


@pytest.mark.parametrize(
    "source",
    [
        CLAIM,
        f"{CLAIM}\nclaims.identities()",
        'verdict("S0-01", "so", "true", "why")',
        f"for x in values:\n    {CLAIM}",
        f"for x, y in zip(xs, ys):\n    end = x[-1]\n    {CLAIM}",
        f"last = share['sum'][:, 0, -1]\n{CLAIM}",
        f"fig, ax = figures.subplots()\nax.plot(x**2)\n{SHOW}",
        "figures.interactive(draw, lr=[1, 2])",
        f"# a picture\nfor x in xs:\n    ax.plot(x)\n{SHOW}  # of it",
    ],
)
def test_claims_and_pictures_are_folded(source: str) -> None:
    assert folding.folded([source]) == [True]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# a remark",
        "x = 1",
        "x = values[0]",
        f"x = y - 1\n{CLAIM}",
        f"x = f(y)\n{CLAIM}",
        f"x = y > 1\n{CLAIM}",
        f"x = [y for y in z]\n{CLAIM}",
        f"for x in values:\n    y = x + 1\n    {CLAIM}",
        f"{CLAIM}\nprint(x)",
        f"x += 1\n{CLAIM}",
        f"def f():\n    {CLAIM}",
        f"{SHOW}\nx = 1",
        "result = figures.interactive(draw, lr=[1, 2])",
        "plt.show()",
        "other.claim(1)",
        "%matplotlib inline\n" + CLAIM,
    ],
)
def test_other_cells_are_not_folded(source: str) -> None:
    assert folding.folded([source]) == [False]


@pytest.mark.parametrize(
    ("later", "folds"),
    [
        (["print(total)"], False),
        (["def f():\n    return total"], False),
        (["x = 1", "total += 1"], False),
        (["print(other)"], True),
        (["total = 2\nprint(total)", "print(total)"], True),
        (["for total in range(3):\n    print(total)"], True),
        ([f"fig, ax = figures.subplots()\nax.plot(y)\n{SHOW}"], True),
        (["%magic", "print(total)"], False),
    ],
)
def test_a_picture_is_folded_unless_a_later_cell_needs_it(later: list[str], folds: bool) -> None:
    drawing = f"fig, ax = figures.subplots()\ntotal = 1\nax.plot(total)\n{SHOW}"
    assert folding.folded([drawing, *later])[0] is folds


def test_a_picture_that_changes_what_a_later_cell_needs_is_not_folded() -> None:
    assert folding.folded([f"values[0] = 1\n{SHOW}", "print(values)"]) == [False, False]


# ---- tags ----------------------------------------------------------------------------------
SOURCE = f"""# %% [markdown]
# # A sample

# %%
x = 1

# %% tags=["hide-input"]
y = 2

# %%
{CLAIM}

# %% tags=["show-input"]
{CLAIM}

# %% tags=["other"]
{CLAIM}
"""


@pytest.fixture
def sample(tmp_path: Path) -> nbformat.NotebookNode:
    (tmp_path / "01_sample.py").write_text(SOURCE, encoding="utf-8")
    return execute.read_source(tmp_path / "01_sample.py")


def test_a_writer_may_fold_and_unfold_by_tag(sample: nbformat.NotebookNode) -> None:
    cells = [cell for cell in sample.cells if cell.cell_type == "code"]
    hidden = {"source_hidden": True}
    assert [dict(cell.metadata) for cell in cells] == [
        {},
        {"tags": ["hide-input"], "jupyter": hidden},
        {"tags": ["hide-input"], "jupyter": hidden},
        {"tags": ["show-input"]},
        {"tags": ["other", "hide-input"], "jupyter": hidden},
    ]


def test_folding_again_changes_nothing(sample: nbformat.NotebookNode) -> None:
    once = nbformat.from_dict(sample)
    assert folding.fold(folding.fold(sample)) == once


def test_a_cell_opened_in_jupyterlab_is_folded_again(sample: nbformat.NotebookNode) -> None:
    before = nbformat.from_dict(sample)
    for cell in sample.cells:
        cell.metadata.pop("jupyter", None)
    assert folding.fold(sample) == before


def test_a_notebook_gives_back_its_source(sample: nbformat.NotebookNode) -> None:
    written = jupytext.reads(SOURCE, fmt="py:percent")
    again = folding.unfold(sample)
    assert [cell.metadata for cell in again.cells] == [cell.metadata for cell in written.cells]


def test_sync_writes_no_tag_that_the_rule_gives(
    sample: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat.write(sample, tmp_path / "01_sample.ipynb")
    (tmp_path / "01_sample.py").unlink()
    monkeypatch.setattr(execute, "SOURCE", tmp_path)
    execute.sync([tmp_path / "01_sample.ipynb"])
    assert (tmp_path / "01_sample.py").read_text(encoding="utf-8").endswith(SOURCE)
    assert execute.read_source(tmp_path / "01_sample.py") == sample
