"""Chapters run in copies of a process, or in kernels: the same outputs; and what has been executed
is not again.
"""

import inspect
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbFile

from book.execute import ROOT, execute
from book.running import forks, records
from book.running.cells import Ran, code_cells, read
from tests import nbval_chapters
from tests.planted import compare
from tests.planted.outcomes import Kind

linux = pytest.mark.skipif(not forks.available(), reason="processes can be copied on Linux only")

EVERYTHING = """# %% [markdown]
# # A bit of everything that a cell can show

# %%
import numpy as np
import torch
import xarray as xr
from IPython.display import HTML, Markdown, display
from l2lib import figures
from l2lib.claims import claim

# %%
for number in range(3):
    print("before", number, end=" ")
    claim("09-number", f"the number is {number}", measured=number, equals=number, within=0.1)
    print("after")

# %%
print("to standard error", file=__import__("sys").stderr)

# %%
np.arange(6).reshape(2, 3)

# %%
xr.Dataset({"a": ("x", [1.0, 2.0])}).sizes

# %%
display(HTML("<b>bold</b>"), {"a": 1}, Markdown("*text*"))
None

# %%
x = 1; x;

# %%
torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)

# %%
HTML("<p>the last value</p>")

# %%
fig, ax = figures.subplots(figsize=(2, 2))
ax.plot([1, 2])
ax.set(title="It rises", xlabel="index", ylabel="value")
figures.show(fig, "A line that rises from a value of 1 at index 0 to 2 at index 1.")
_, __name__, Out[4] is not None, In[1][:6]
"""


DIALS = """# %%
from l2lib import figures

# %%
def draw(lr):
    fig, ax = figures.subplots(figsize=(2, 2))
    ax.plot([1, lr])
    ax.set(title="It rises", xlabel="index", ylabel="value")
    return fig, f"A line that rises from a value of 1 at index 0 to {lr} at index 1."

figures.interactive(draw, lr=[2.0, 3.0])
"""


def execute_in_a_copy(source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "book.execute", "--anew", "--into", str(into), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("way", [[], ["--kernels"]])
def test_dials_that_the_shell_asks_for_are_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: list[str]
) -> None:
    (tmp_path / "09_dials.py").write_text(DIALS, encoding="utf-8")
    monkeypatch.setenv("L2LIB_WIDGETS", "1")
    command = [sys.executable, "-m", "book.execute", *way, "--into", str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "09_dials.py")], check=True, capture_output=True)
    stored = (tmp_path / "09_dials.ipynb").read_text(encoding="utf-8")
    assert "image/png" in stored
    assert "widget" not in stored


def test_a_warm_process_has_no_dials() -> None:
    code = "import os; from book.running import forks; forks.warm(); print(*os.environ)"
    line = [sys.executable, "-c", code]
    asked = os.environ | {"L2LIB_WIDGETS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=asked)
    assert "TQDM_DISABLE" in done.stdout
    assert "L2LIB_WIDGETS" not in done.stdout


def test_seeds_that_are_none_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "09_dials.py").write_text(DIALS, encoding="utf-8")
    line = [sys.executable, "-m", "book.execute", "--into", str(tmp_path)]
    done = subprocess.run(
        [*line, str(tmp_path / "09_dials.py")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"L2LIB_SEED": "4,2"},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("L2LIB_SEED is '4,2'; set it to 0, 1, 2, ")
    assert len(done.stderr.splitlines()) == 1


@linux
@pytest.mark.slow
def test_a_copy_of_a_process_gives_what_a_kernel_gives_to_the_last_byte(tmp_path: Path) -> None:
    source = tmp_path / "09_everything.py"
    source.write_text(EVERYTHING, encoding="utf-8")
    done = execute_in_a_copy(source, tmp_path / "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not execute(source, tmp_path / "kernel").error
    copied = (tmp_path / "copy/09_everything.ipynb").read_text(encoding="utf-8")
    assert copied == (tmp_path / "kernel/09_everything.ipynb").read_text(encoding="utf-8")
    assert "image/png" in copied
    assert len(code_cells(read(tmp_path / "copy/09_everything.ipynb"))) == 10


@linux
@pytest.mark.slow
def test_a_cell_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "09_fails.py").write_text("# %%\nx = 1\n\n# %%\nprint(x / 0)\n", encoding="utf-8")
    done = execute_in_a_copy(tmp_path / "09_fails.py", tmp_path / "into")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert not (tmp_path / "into/09_fails.ipynb").exists()


# ---- what counts as a difference -------------------------------------------------------------
def stream(text: str, name: str = "stdout") -> Any:
    return nbformat.v4.new_output("stream", name=name, text=text)


def shown(**data: str) -> Any:
    return nbformat.v4.new_output(
        "display_data", {mime.replace("__", "/"): text for mime, text in data.items()}
    )


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ([stream("a 1")], [stream("a 2")]),
        ([stream("a")], []),
        ([], [stream("a")]),
        ([stream("a")], [stream("a", "stderr")]),
        ([shown(text__plain="a")], [shown(text__plain="b")]),
        ([shown(text__plain="a")], [shown(text__plain="a"), shown(text__plain="a")]),
        ([shown(text__plain="a")], [shown(text__plain="a", text__html="a")]),
        (
            [shown(text__plain="a"), shown(text__plain="b")],
            [shown(text__plain="b"), shown(text__plain="a")],
        ),
    ],
)
def test_a_difference_is_found(stored: list[Any], found: list[Any]) -> None:
    assert compare.difference(stored, found)
    assert compare.difference(stored, stored) == compare.difference(found, found) == ""


def test_what_makes_no_difference() -> None:
    assert compare.difference([stream("a\nb")], [stream("a\n"), stream("b")]) == ""
    assert compare.difference([shown(image__png="x")], [shown(image__png="y")]) == ""
    first, second = stream("a"), shown(text__plain="b")
    assert compare.difference([first, second], [second, first]) == ""


def test_what_differs_in_a_cell() -> None:
    """An output, a number of a sentence, or what a picture draws."""

    def drawing(y: float) -> nbformat.NotebookNode:
        line = f'{{"kind": "Line2D", "label": "a", "at": [2, 0.1, {y}]}}'
        return nbformat.v4.new_output("display_data", {compare.DRAWN: line, "text/plain": "a"})

    ran = Ran([drawing(0.5)], None, {"3.0": "1.0"})
    assert compare.failure_of("here", ran, [drawing(0.501)], {"3.0": "1.0", "4.0": "9"}) is None
    changes = [
        ([drawing(0.6)], {"3.0": "1.0"}, "a picture: Line2D 'a': at 0.6 is now 0.5"),
        ([drawing(0.5)], {"3.0": "1.1"}, "a sentence in cell 3 says 1.1, found 1.0"),
        ([drawing(0.5)], {}, "a sentence in cell 3 says None, found 1.0"),
        ([shown(text__plain="a")], {"3.0": "1.0"}, "0 pictures are stored"),
    ]
    for outputs, numbers, words in changes:
        failure = compare.failure_of("here", ran, outputs, numbers)
        assert failure is not None
        assert (failure.where, failure.kind) == ("here", Kind.OUTPUT)
        assert words in failure.message


def test_what_is_not_compared_is_what_nbval_does_not_compare() -> None:
    text = inspect.getsource(IPyNbFile.__init__)
    ours = [name for name in compare._UNCOMPARED if name != compare.DRAWN]
    assert all(f"'{name}'" in text for name in ours)
    assert text.count("'") // 2 == len(ours) + text.count("#'")


# ---- processes -------------------------------------------------------------------------------


@linux
def test_what_a_copy_gives_and_how_it_ends(tmp_path: Path) -> None:
    """In a process of its own, as this one may have threads."""
    script = f"""
import os, time, threading
from datetime import UTC, datetime
from pathlib import Path
from book.running import forks

def raises():
    raise ValueError("of its own")

def why(function, seconds=20):
    try:
        return forks.call(function, seconds)
    except forks.EndedError as error:
        return str(error)

print(why(lambda: {{"a": [1, None, "λ" * 200_000]}}) == {{"a": [1, None, "λ" * 200_000]}})
print(why(raises))
print(why(lambda: os._exit(3)))
print(why(lambda: time.sleep(60), 0.2))
found = dict(forks.run_all([lambda n=n: n * n if n != 2 else 1 / 0 for n in range(5)], 2, 20))
print({{number: str(value) for number, value in sorted(found.items())}})
slots = forks.Slots(Path({str(tmp_path / "slots")!r}), 2)

def work():
    with slots as number:
        began = time.monotonic()
        time.sleep(0.3)
        return [number, began, time.monotonic()]

def dies():
    slots.__enter__()
    os._exit(1)

list(forks.run_all([dies] * 2, 2, 20))  # gives its slot back by ending
rows = [row for _, row in forks.run_all([work] * 6, 6, 20)]
print(all(sum(a <= t < b for _, a, b in rows) <= 2 for _, t, _ in rows), {{row[0] for row in rows}})
threading.Thread(target=time.sleep, args=(1,)).start()
try:
    forks.call(lambda: 1, 1)
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "True",
        "ValueError: of its own",
        "its process ended (status 3)",
        "it took too long",
    ]
    assert lines[4] == "{0: '0', 1: '1', 2: 'ZeroDivisionError: division by zero', 3: '9', 4: '16'}"
    assert lines[5] == "True {0, 1}"
    assert lines[6].startswith("a process with threads cannot be copied")


RUN = records.Run("01_a", "2026-01-01T00:00:00+00:00", 1.5)


# ---- records ---------------------------------------------------------------------------------
@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A notebook with a record, and its source."""
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    notebook = tmp_path / "01_a.ipynb"
    source = tmp_path / "01_a.py"
    notebook.write_text("{}", encoding="utf-8")
    source.write_text("# %%\nx = 1\n", encoding="utf-8")
    records.note(notebook, source, RUN)
    return notebook, source


def test_what_is_noted_is_known(noted: tuple[Path, Path]) -> None:
    assert records.known(*noted) == RUN


@pytest.mark.parametrize("number", [0, 1])
def test_a_changed_file_is_stale(noted: tuple[Path, Path], number: int) -> None:
    noted[number].write_text("{ }", encoding="utf-8")
    assert records.known(*noted) is None


def test_a_missing_or_broken_record_is_no_record(noted: tuple[Path, Path]) -> None:
    records.record_of(noted[0]).write_text("{", encoding="utf-8")
    assert records.known(*noted) is None
    records.record_of(noted[0]).unlink()
    assert records.known(*noted) is None


@pytest.mark.parametrize(
    ("picture", "code", "stored", "executed"),
    [
        ("same", "x = 1", True, True),
        ("newer", "x = 1", False, True),
        ("same", "x = 2", False, False),
    ],
)
def test_what_nbval_found_equal_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    picture: str,
    code: str,
    stored: bool,
    executed: bool,
) -> None:
    """The run, for the book; the stored notebook only if its pictures are equal, which nbval does
    not compare.
    """
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(nbval_chapters, "INTO", tmp_path / "into")
    monkeypatch.setattr(nbval_chapters, "SOURCE", tmp_path)
    source = tmp_path / "01_a.py"
    path = tmp_path / "01_a.ipynb"
    source.write_text(f"# %%\n{code}\n", encoding="utf-8")
    cell = nbformat.v4.new_code_cell(
        "x = 1", outputs=[shown(image__png="same", text__plain="a")], execution_count=1
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    monkeypatch.setitem(nbval_chapters._began, path, datetime.now(UTC))
    nbval_chapters.keep(path, read(path), [[shown(image__png=picture, text__plain="a")]])
    assert (records.known(path, source) is not None) == stored
    assert (records.known(tmp_path / "into/01_a.ipynb", source) is not None) == executed
    if executed:
        assert (
            code_cells(read(tmp_path / "into/01_a.ipynb"))[0].outputs[0].data["image/png"].strip()
            == picture
        )


def test_tools_and_tests_see_the_same_surroundings() -> None:
    """Whatever is on their paths: what a test has found equal, ``make book`` need not execute
    again.
    """
    line = [sys.executable, "-c", "from book.running import records; print(records.surroundings())"]
    done = subprocess.run(line, cwd=ROOT / "book", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == records.surroundings()


def test_another_l2lib_other_packages_and_other_seeds_make_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "l2lib/data").mkdir(parents=True)
    (tmp_path / "l2lib/a.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "l2lib/data/a.npz").write_bytes(b"1")
    surroundings = records.surroundings.__wrapped__
    found = set()
    found.add(surroundings(tmp_path))
    assert surroundings(tmp_path) in found
    (tmp_path / "l2lib/a.py").write_text("x = 2\n", encoding="utf-8")
    found.add(surroundings(tmp_path))
    (tmp_path / "l2lib/data/a.npz").write_bytes(b"2")
    found.add(surroundings(tmp_path))
    monkeypatch.setenv("L2LIB_SEED", "7")
    found.add(surroundings(tmp_path))
    monkeypatch.setattr(records, "distributions", lambda: [])
    found.add(surroundings(tmp_path))
    assert len(found) == 5
