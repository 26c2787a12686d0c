"""Numbers in sentences come from the kernel, and go back to the source as they came."""

import copy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from book import execute, sentences
from book.running import forks
from book.sentences import SentenceError, filled, places

SOURCE = r"""# %% [markdown]
# # A sample
# Ahead: {{below: x.mean():.2f}}. By pencil: {{1 - 0.9**7:.3f}}.

# %%
import numpy as np

x = np.arange(5.0)

# %% [markdown]
# The mean is {{x.mean():.1f}}, and $\lambda = {{2.5e-5:.1e}}$ is {{2.5e-5:.1e}}. It is {{"odd" if x[1] else "even"}}.

# %%
x = x + 1

# %% [markdown]
# Now it is {{x.mean():.1f}}; a matrix $\begin{pmatrix} 1 \end{pmatrix}$ { {has braces} }.
"""
SHOWN = [
    "# A sample\nAhead: 2.00. By pencil: 0.522.",
    r"The mean is 2.0, and $\lambda = 2.5\cdot10^{-5}$ is 2.5·10⁻⁵. It is odd.",
    r"Now it is 3.0; a matrix $\begin{pmatrix} 1 \end{pmatrix}$ { {has braces} }.",
]


def executed(source: Path, kernels: bool) -> NotebookNode:
    (run,) = execute.run([source], source.parent, kernels)
    assert not run.error, run.error
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chapter") / "09_sample.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def notebook(source: Path) -> NotebookNode:
    return executed(source, kernels=True)


def markdown(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


# ---- there ---------------------------------------------------------------------------------------
def test_numbers_stand_in_their_places(notebook: NotebookNode) -> None:
    assert markdown(notebook) == SHOWN


def test_a_process_says_what_a_kernel_says(source: Path, notebook: NotebookNode) -> None:
    if not forks.available():
        pytest.skip("processes cannot be copied here: there is one way only")
    script = (
        "import sys; from pathlib import Path; from book import execute\n"
        "for run in execute.run([Path(sys.argv[1])], Path(sys.argv[2]), False): assert not run.error"
    )
    into = source.parent / "copied"
    subprocess.run([sys.executable, "-c", script, source, into], check=True, cwd=execute.ROOT)
    assert nbformat.read(into / "09_sample.ipynb", as_version=4) == notebook


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("{{y.mean()}}", "name 'y' is not defined; write {{below: …}}"),
        ("{{below: y.mean()}}", "no cell below binds any of its names"),
        ("{{1 / 0}}", "ZeroDivisionError"),
        ("{{x:.2q}}", "ValueError"),
        ("{{x * float('nan'):.2f}}", "gives no number: it is nan"),
    ],
)
def test_a_place_that_gives_no_number_stops_the_chapter(
    words: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "09_sample.py"
    path.write_text(f"# %%\nx = 1.0\n\n# %% [markdown]\n# It is {words}.\n", encoding="utf-8")
    (run,) = execute.run([path], tmp_path, kernels=True)
    assert says in run.error
    assert not path.with_suffix(".ipynb").exists()


def answer(ename: str = "", text: str = "'1.0'") -> dict[str, object]:
    """What Jupyter says of an expression."""
    if ename:
        return {"status": "error", "ename": ename, "evalue": "why"}
    return {"status": "ok", "data": {"text/plain": text}}


def test_what_is_asked_and_heard(source: Path) -> None:
    """Places wait for their cell; one that looks below may wait for another after a name error."""
    said = sentences.Sentences(execute.read_source(source))
    ahead, pencil, mean, *_ = said.asked(0)
    assert said.asked(0)[ahead] == 'f"""{x.mean():.2f}"""'
    with pytest.raises(SentenceError, match=r"\{\{1 - 0.9\*\*7:.3f\}\} gives no number: NameError"):
        said.heard(0, {pencil: answer("NameError")})
    with pytest.raises(SentenceError, match=r"ZeroDivisionError: why$"):
        said.heard(0, {ahead: answer("ZeroDivisionError")})
    assert said.heard(0, {ahead: answer("NameError"), pencil: answer(), mean: answer()}) == {
        pencil: "1.0",
        mean: "1.0",
    }
    assert ahead in said.asked(1)
    with pytest.raises(SentenceError, match="NameError"):  # no cell comes after the last
        said.heard(1, {ahead: answer("NameError")})
    assert said.heard(1, {ahead: answer()}) == {ahead: "1.0"}
    assert ahead not in said.asked(1)


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SentenceError, match=r"\{\{a b\}\} is no Python.*\{ \{ in TeX"):
        places("TeX: {{a b}}")


def test_powers_of_ten_are_written_as_the_words_around_them() -> None:
    assert filled("${{x}}$ and {{y}}", ["1e-07", "-3.2e+10"]) == r"$1\cdot10^{-7}$ and -3.2·10¹⁰"


# ---- and back ------------------------------------------------------------------------------------
def test_the_source_comes_back(source: Path, notebook: NotebookNode) -> None:
    back = sentences.emptied(notebook)
    assert markdown(back) == markdown(execute.read_source(source))
    assert not any(sentences.KEY in cell.metadata for cell in back.cells)
    assert execute.comes_from(notebook, source)


def changed(notebook: NotebookNode, old: str, new: str) -> NotebookNode:
    notebook = copy.deepcopy(notebook)
    (cell,) = [cell for cell in notebook.cells if old in cell.source]
    cell.source = cell.source.replace(old, new)
    return notebook


@pytest.mark.parametrize(
    ("old", "new", "in_source"),
    [
        ("The mean is", "Its mean, 2.0 or so, is", None),
        ("is odd.", "is odd, 2.0!", ('"even"}}.', '"even"}}, 2.0!')),
        ("The mean is 2.0, and", "And the mean is 2.0 (", ("The mean is {{x.mean():.1f}}, and",
         "And the mean is {{x.mean():.1f}} (")),
    ],
)  # fmt: skip
def test_changed_words_go_back_with_their_places(
    notebook: NotebookNode, old: str, new: str, in_source: tuple[str, str] | None
) -> None:
    before = markdown(sentences.emptied(notebook))[1]
    after = markdown(sentences.emptied(changed(notebook, old, new)))[1]
    assert after == before.replace(*(in_source or (old, new)))


def test_a_changed_number_is_refused(notebook: NotebookNode) -> None:
    other = changed(notebook, "mean is 2.0", "mean is 2.1")
    with pytest.raises(SentenceError, match=r"the number 2\.0 was changed or removed"):
        sentences.emptied(other)
    assert len(sentences.problems(other)) == 1
    assert sentences.problems(notebook) == []
