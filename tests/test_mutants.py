"""The tool that plants errors tells caught, surviving and broken ones apart, and refuses a list out
of date.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from book.execute import ROOT, execute
from tests.planted import __main__ as mutants
from tests.planted.errors import Mutant, Result, State, default_checks, judge
from tests.planted.outcomes import Failure, Kind, run_pytest

MODULE = '''"""A toy."""


def half(x: float) -> float:
    if x < 0:
        raise ValueError("x must be >= 0")
    unused = 1
    return x / 2
'''
TEST = """import pytest
from l2lib.toy import half

def test_half():
    assert half(3) == 1.5

def test_refuses():
    with pytest.raises(ValueError):
        half(-1)
"""
CHAPTER = """# %%
from l2lib.toy import half

# %%
x = half(8) + 0
print("half of eight is", x)

# %%
assert x < 100, "x is large"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module, its test and a chapter; no test of the tool changes a file in it."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("l2lib", "tests/planted", "notebooks/source"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '--nbval --nbval-current-env'\n"
    )
    (root / "l2lib/__init__.py").touch()
    (root / "l2lib/toy.py").write_text(MODULE)
    (root / "tests/test_toy.py").write_text(TEST)
    (root / "notebooks/source/01_toy.py").write_text(CHAPTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root))
        assert not execute(root / "notebooks/source/01_toy.py", root / "notebooks").error
    return root


def write_list(project: Path, *rows: tuple[str, str, str, str]) -> None:
    """Write a list of mutants: name, file, what is found, what it becomes."""
    text = "".join(
        f"[[mutant]]\nname = '{name}'\nfile = '{file}'\n"
        f"find = '''{find}'''\nreplace = '''{replace}'''\n"
        for name, file, find, replace in rows
    )
    (project / "tests/planted/errors.toml").write_text(text, encoding="utf-8")


TOY, SOURCE = "l2lib/toy.py", "notebooks/source/01_toy.py"
PLANTED = (
    ("same length", TOY, "x / 2", "x / 4"),
    ("unused", TOY, "unused = 1", "unused = 2"),
    ("no such name", TOY, "return x", "return y"),
    ("other output", SOURCE, "half(8) + 0", "half(9) + 0"),
    ("an output, then an assertion", SOURCE, "half(8) + 0", "half(800) + 0"),
    ("assertion", SOURCE, "assert x < 100", "assert x > 100"),
    ("syntax", SOURCE, "half(8)", "half(8"),
    (
        "over two cells",
        SOURCE,
        'x = half(8) + 0\nprint("half of eight is", x)\n\n# %%',
        "x = 101\nprint(x)\n\n# %%",
    ),
    ("no error", SOURCE, '"x is large"', '"x is too large"'),
)


class Fate(NamedTuple):
    """What the tool says of a mutant."""

    state: State
    by: str

    @property
    def sure(self) -> tuple[State, str]:
        """What does not depend on the way: a broken one is told in other words."""
        return (self.state, "" if self.state is State.BROKEN else self.by)


class Tool(NamedTuple):
    """The tool's process, and what it says of each mutant."""

    done: subprocess.CompletedProcess[str]
    fates: dict[str, Fate]


def tool(project: Path, *words: str) -> Tool:
    """Run the tool on the project, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [
            sys.executable,
            "-m",
            "tests.planted",
            "--root",
            str(project),
            "--json",
            str(found),
            *words,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows = json.loads(found.read_text(encoding="utf-8")) if found.exists() else []
    return Tool(done, {row["name"]: Fate(State(row["state"]), row["by"]) for row in rows})


def snapshot(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file()}


@pytest.mark.slow
def test_states_by_copies_of_a_process_and_by_pytest_anew(project: Path) -> None:
    write_list(project, *PLANTED)
    before = snapshot(project)
    done, fast = tool(project)
    assert done.returncode == 1, done.stderr
    broken = {name for name, fate in fast.items() if fate.state is State.BROKEN}
    assert {name: fate for name, fate in fast.items() if name not in broken} == {
        "same length": (State.CAUGHT, "test_toy.py::test_half"),
        "unused": (State.SURVIVED, "passed tests/test_toy.py"),
        "other output": (State.CHANGED, "01_toy::Cell 1 output differs"),
        "an output, then an assertion": (State.CAUGHT, "01_toy::Cell 2"),
        "assertion": (State.CAUGHT, "01_toy::Cell 2"),
        "over two cells": (State.CAUGHT, "01_toy::Cell 2"),
        "no error": (State.SURVIVED, "passed notebooks/01_toy.ipynb"),
    }
    assert broken == {"no such name", "syntax"}
    assert "NameError" in fast["no such name"].by
    assert "SyntaxError" in fast["syntax"].by
    done, slow = tool(project, "--slow")
    assert done.returncode == 1, done.stderr
    assert {name: fate.sure for name, fate in slow.items()} == {
        name: fate.sure for name, fate in fast.items()
    }
    assert before == snapshot(project)


@pytest.mark.slow
def test_both_ways_agree_on_errors_of_the_book() -> None:
    words = [
        "a kink's place is free of charge",
        "half-life of the square",
        "all 200 directions taken for null",
    ]
    assert tool(ROOT, *words).fates == tool(ROOT, "--slow", *words).fates != {}


@pytest.mark.parametrize(
    ("states", "words", "status"),
    [
        ([State.CAUGHT, State.CAUGHT], "2 caught, 0 changed, 0 survived, 0 broken", 0),
        ([State.CAUGHT, State.SURVIVED], "1 caught, 0 changed, 1 survived, 0 broken", 1),
        ([State.BROKEN, State.CAUGHT], "1 caught, 0 changed, 0 survived, 1 broken", 1),
        ([State.CAUGHT, State.CHANGED], "1 caught, 1 changed, 0 survived, 0 broken", 1),
        ([State.CAUGHT] * 4 + [State.CHANGED], "4 caught, 1 changed, 0 survived, 0 broken", 0),
    ],
)
def test_the_last_line_counts_and_only_all_caught_is_success(
    states: list[State], words: str, status: int
) -> None:
    mutant = Mutant("a", SOURCE, "c", "d", ("e",))
    results = [Result(mutant, state, "why", 1.0) for state in states]
    *told, last = mutants.verdict(results, 9.0).words.splitlines()
    assert last == f"{len(states)} mutants: {words} (9 s)"
    assert mutants.verdict(results, 9.0).status == status
    faults = [each for each in results if each.state in (State.SURVIVED, State.BROKEN)]
    assert told == [mutants.line(each) for each in faults]


@pytest.mark.parametrize("second", [State.CAUGHT, State.BROKEN])
def test_a_broken_one_is_tried_once_more_by_itself(second: State) -> None:
    """Fails if what took too long on a busy machine counts, or if what is broken twice does not."""
    names = [Mutant(name, SOURCE, "c", "d", ("e",)) for name in "abc"]
    first = {"a": State.CAUGHT, "b": State.BROKEN, "c": State.SURVIVED}
    asked: list[tuple[list[str], int]] = []

    def run(root: Path, wanted: list[Mutant], workers: int, tell: object) -> list[Result]:
        asked.append(([each.name for each in wanted], workers))
        states = first if len(asked) == 1 else {"b": second}
        return [Result(each, states[each.name], "", 1.0) for each in wanted]

    results = mutants.try_all(run, Path(), names, 2)
    assert [each.state for each in results] == [State.CAUGHT, second, State.SURVIVED]
    assert asked == [(["a", "b", "c"], 2), (["b"], 1)]


@pytest.mark.slow
def test_a_check_that_is_skipped_has_tried_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_a.py").write_text(
        "import pytest\n\n@pytest.mark.skip('no')\ndef test_a():\n    pass\n"
    )
    (failure,) = run_pytest([], root=tmp_path, environment={})
    assert (failure.kind, failure.message) == (
        Kind.ERROR,
        "all tests were skipped: nothing was tried",
    )


def test_words_choose(project: Path) -> None:
    rows = [("wrong factor", "x / 3"), ("wrong sum", "x + 2"), ("not asked for", "x")]
    write_list(project, *[(name, TOY, "x / 2", replace) for name, replace in rows])
    assert [mutant.name for mutant in mutants.choose(project, ["factor", "sum"])] == [
        "wrong factor",
        "wrong sum",
    ]
    assert len(mutants.choose(project, [])) == 3


def test_a_module_is_checked_by_all_tests_of_its_name_its_own_first(tmp_path: Path) -> None:
    """Fails if a family of tests is cut, or if the name's own test is not asked first."""
    (tmp_path / "tests").mkdir()
    for name in ("audit", "audit_runs", "audit_command", "auditor", "sweep", "sweep_runs"):
        (tmp_path / f"tests/test_{name}.py").touch()
    audit = ("tests/test_audit.py", "tests/test_audit_command.py", "tests/test_audit_runs.py")
    sweep = ("tests/test_sweep.py", "tests/test_sweep_runs.py")
    assert default_checks(tmp_path, "l2lib/audit.py", "x") == audit
    assert default_checks(tmp_path, "l2lib/sweep/job.py", "x") == sweep
    assert default_checks(tmp_path, "l2lib/penalty.py", "x") == ()


def test_words_of_a_chapter_are_checked_by_all_that_holds_them(tmp_path: Path) -> None:
    """Fails if rows, whose words or numbers an error takes away, are not asked."""
    source = tmp_path / "notebooks/source/07_toy.py"
    source.parent.mkdir(parents=True)
    source.write_text("# %% [markdown]\n# Half of eight is {{half(8)}}.\n\n# %%\nx = half(8)\n")
    file = "notebooks/source/07_toy.py"
    words = default_checks(tmp_path, file, "is {{half(8)}}")
    assert [check.partition("::")[2] for check in words] == [
        "test_every_number_in_words_is_bound[07_toy]",
        "test_the_sentence_stands_there_once[7]",
        "test_the_number_is_shown[7]",
        "test_the_exercises_still_say_what_is_tried_here[7]",
    ]
    assert default_checks(tmp_path, file, "x = half") == ("notebooks/07_toy.ipynb",)
    for check in words:
        file, _, name = check.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_parts_are_the_whole(project: Path) -> None:
    every = mutants.choose(project, [])
    parts = [mutants.part(f"{number}/2").taken(every) for number in (1, 2)]
    assert [len(each) for each in parts] == [2, 1]
    assert sorted([*parts[0], *parts[1]]) == sorted(every)


def test_an_empty_part_is_no_success(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(project, ("wrong factor", TOY, "x / 2", "x / 3"))
    assert mutants.main(["--root", str(project), "--part", "2/2"]) == 2
    assert "empty" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["3/2", "0/2", "2", "1/", "1.5/2", "a/b"])
def test_what_is_no_part_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mutants.main(["--part", words])
    assert "write 2/4 for the second of four" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("stale", TOY, "x / 5", "x"), "stale: the text to find stands 0 times"),
        (("often", TOY, "x", "y"), "often: the text to find stands"),
        (("idle", TOY, "x / 2", "x / 2"), "idle: find and replace are the same"),
        (("no file", "l2lib/none.py", "x", "y"), "no file: the text to find stands 0 times"),
        (("no check", "l2lib/__init__.py", "x", "y"), "name its checks"),
        (("empty", TOY, "", "y"), "empty: the text to find stands 0 times"),
    ],
)
def test_stale_list_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], row: tuple[str, str, str, str], problem: str
) -> None:
    write_list(project, row)
    assert mutants.main(["--root", str(project)]) == 2
    assert problem in capsys.readouterr().err


def test_names_twice_missing_fields_and_no_match_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(project, *[("same name", TOY, "x / 2", "x / 3")] * 2)
    assert mutants.main(["--root", str(project)]) == 2
    assert "same name: the name is given twice" in capsys.readouterr().err
    (project / "tests/planted/errors.toml").write_text("[[mutant]]\nname = 'short'\n")
    assert mutants.main(["--root", str(project)]) == 2
    assert "short: needs name, file, find" in capsys.readouterr().err
    write_list(project, ("factor", TOY, "x / 2", "x / 3"))
    assert mutants.main(["--root", str(project), "nothing like it"]) == 2
    assert "no mutant's name or file holds" in capsys.readouterr().err


@pytest.mark.slow
def test_failing_checks_are_refused(project: Path) -> None:
    failing = project / "tests/test_failing.py"
    failing.write_text("def test_fails():\n    assert 1 == 2\n")
    (project / "tests/planted/errors.toml").write_text(
        f"[[mutant]]\nname='a'\nfile='{TOY}'\nfind='x / 2'\nreplace='x / 3'\n"
        "checks=['tests/test_failing.py']\n"
    )
    try:
        done = [tool(project, *words).done for words in ((), ("--slow",))]
    finally:
        failing.unlink()
    assert [each.returncode for each in done] == [2, 2]
    assert all("fail without any planted error" in each.stderr for each in done)


@pytest.mark.slow
def test_a_chapter_that_fails_is_refused(project: Path) -> None:
    notebook = project / "notebooks/01_toy.ipynb"
    before = notebook.read_text(encoding="utf-8")
    assert "half of eight is 4.0" in before
    write_list(project, ("a", SOURCE, "half(8) + 0", "half(9) + 0"))
    notebook.write_text(
        before.replace("half of eight is 4.0", "half of eight is 4.1"), encoding="utf-8"
    )
    try:
        done, found = tool(project)
    finally:
        notebook.write_text(before, encoding="utf-8")
    assert (done.returncode, found) == (2, {})
    assert "fail without any planted error" in done.stderr


@pytest.mark.slow
def test_only_findings_count_as_caught(tmp_path: Path) -> None:
    """Every kind of failure, told apart by the plugin."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_kinds.py").write_text(
        """
import math

import pytest
from hypothesis import given, strategies as st
from l2lib.claims import claim

def test_claim():
    claim("S3-01", "it holds", measured=1, below=0)

def test_assertion():
    assert 1 == 2

def test_not_raised():
    with pytest.raises(ValueError):
        pass

def test_group():
    raise ExceptionGroup("two", [AssertionError("a"), AssertionError("b")])

def test_mixed_group():
    raise ExceptionGroup("two", [TypeError("b"), AssertionError("a")])

def test_group_of_errors():
    raise ExceptionGroup("two", [TypeError("a"), ExceptionGroup("one", [KeyError("b")])])

@given(st.floats(-1, 1))
def test_two_distinct_failures(x):
    assert math.sqrt(x) < 0.5

def test_type():
    len(1)

@pytest.fixture
def fixture():
    raise KeyError("b")

def test_setup(fixture):
    pass

def test_passes():
    pass
"""
    )
    (tmp_path / "test_import.py").write_text("import l2lib.no_such_module\n")
    arguments = ["--continue-on-collection-errors"]
    failures = run_pytest(arguments, root=tmp_path, environment={})
    assert {failure.where.rpartition("::")[2]: failure.kind for failure in failures} == {
        "test_import.py": Kind.ERROR,
        "test_claim": Kind.CLAIM,
        "test_assertion": Kind.ASSERTION,
        "test_not_raised": Kind.ASSERTION,
        "test_group": Kind.ASSERTION,
        "test_mixed_group": Kind.ASSERTION,
        "test_group_of_errors": Kind.ERROR,
        "test_two_distinct_failures": Kind.ASSERTION,
        "test_type": Kind.ERROR,
        "test_setup": Kind.ERROR,
    }
    first = Mutant("a", "b", "c", "d", ("e",))
    claimed = next(failure for failure in failures if failure.kind is Kind.CLAIM)
    both = next(failure for failure in failures if "distinct" in failure.where)
    assert "2 distinct failures" in both.message
    assert judge(first, [both], 1.0).state is State.CAUGHT
    assert judge(first, [claimed], 1.0).by == "test_kinds.py::test_claim claim S3-01"
    assert judge(first, [Failure("t", Kind.ERROR, "TypeError: no")], 1.0).state is State.BROKEN
