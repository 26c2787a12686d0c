"""The grader's parts, one at a time and without a stranger's code: each rule that its runs rely on."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from book.execute import ROOT
from course.grading import __main__ as main
from course.grading import confine, interpreter, processes, report, sandbox, score, ways
from course.grading import folder as folder_of
from course.grading.confine import Limits
from course.grading.folder import Options, RefusedError, tell_apart
from course.grading.inside import codec
from course.grading.inside.__main__ import answer, forbid, give_up_root
from course.grading.pool import Job
from course.grading.problems import Problems, load, messages, needs
from course.grading.results import Result, Row, Status, text_of
from course.grading.sandbox import Ended, Sandbox
from course.grading.student import TO_CALL, TO_LOOK, Reply, Student, reply_in
from course.grading.submissions import Submission, UnreadableError, find, read
from tests.tiny_set import GOOD, IDS, TINY, attacks
from tests.tiny_set import notebook as tiny

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the grader's limits are those of Linux"
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "ps9.py").write_text(TINY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def problems(sources: Path) -> Problems:
    return load(sources / "ps9.py")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        if outside := interpreter.closed(Path(name)):
            pytest.skip(f"other users may not enter {outside}")
        yield Path(name)


def skip_as_root_if(obstacle: Callable[[], str]) -> None:
    if os.getuid() == 0 and (problem := obstacle()):
        pytest.skip(problem)


# ---- a command that is refused, before anything is graded ----------------------------------------
def refused(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it ends with status 2, in this process."""
    patch.setattr(sys, "argv", ["grading", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main.main() == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    return capsys.readouterr().err


@pytest.fixture
def submitted(tmp_path: Path) -> Iterator[Path]:
    """A folder with one notebook; nothing beside it may be there afterwards."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    nbformat.write(GOOD, tmp_path / "full/one.ipynb")
    before = sorted(tmp_path.rglob("*"))
    yield tmp_path
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there is no such folder"),
        (["empty"], "no notebook"),
        (["full", "--set", "ps77"], "--set ps77: unknown; the sources have ps9"),
        (["full", "--out", "full/out"], "lies among the submissions"),
        (["full", "--sources", "empty"], "no source of a problem set"),
        (["full", "--jobs", "0"], "must be greater than 0"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    submitted: Path, sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    places = [
        str(submitted / word) if word in ("nowhere", "empty", "full", "full/out") else word
        for word in arguments
    ]
    given = () if "--sources" in arguments else ("--sources", str(sources))
    assert words in refused(monkeypatch, capsys, *given, *places)


NEEDED = "where the code is that submissions need"


def closed_temporary_folder(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(tempfile, "tempdir", str(closed))
    return f"other users may not enter {closed}, where temporary files go; set TMPDIR to a folder where they may"


def temporary_folder_that_is_no_ones_own(patch: pytest.MonkeyPatch, closed: Path) -> str:
    closed.chmod(0o777)
    patch.setattr(tempfile, "tempdir", str(closed))
    return f"everybody may replace what others put into {closed}; set TMPDIR to another folder"


def closed_project(patch: pytest.MonkeyPatch, closed: Path) -> str:
    (closed / "l2lib").mkdir()
    patch.setattr(ways, "ROOT", closed)
    return f"other users may not enter {closed}, {NEEDED}; let them by `chmod -R go+rX {closed}`"


def closed_packages(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(ways, "PACKAGES", (closed / "site-packages",))
    (closed / "site-packages").mkdir()
    (closed.parent / "project").mkdir()
    patch.setattr(ways, "ROOT", closed.parent / "project")
    for name in ("l2lib", "course/grading/inside"):
        (closed.parent / "project" / name).mkdir(parents=True)
    way = "move the project and its environment to where they may, such as in /opt"
    return f"other users may not enter {closed}, {NEEDED}; {way}"


def closed_python_that_cannot_be_copied(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(ways, "unreadable", lambda: closed)
    patch.setattr(interpreter, "LIBRARY", closed / "nowhere")
    patch.setattr(sys, "base_prefix", str(closed))
    reason = f"[Errno 2] No such file or directory: '{closed}/nowhere'"
    way = "set TMPDIR to another folder, or install Python where they may, such as in /usr/local"
    return f"other users may not enter {closed}, where Python is, and no copy serves them ({reason}); {way}"


def no_such_users(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(ways, "mapped", lambda numbers: False)
    return "this container has no users 64000 to 65499; give it 65536 user numbers"


def missing_rights(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(ways, "missing_rights", lambda status: ["CHOWN", "KILL"])
    return "root has no right to CHOWN, KILL in this container; start it with --cap-add CHOWN --cap-add KILL"


def no_library(patch: pytest.MonkeyPatch, closed: Path) -> str:
    sentence = "the system's library libseccomp is missing; install it"
    patch.setattr(ways, "trouble", lambda limits: sentence)
    return sentence


MISSING = "ModuleNotFoundError: No module named 'numpy'"


def packages_that_only_root_reads(patch: pytest.MonkeyPatch, closed: Path) -> str:
    packages = closed.parent / "site-packages"
    (packages / "numpy").mkdir(parents=True)
    (packages / "numpy").chmod(0o700)
    patch.setattr(ways, "PACKAGES", (packages,))
    patch.setattr(ways, "trouble", lambda limits: MISSING)
    way = f"let them by `chmod -R go+rX {packages}`"
    return f"other users may not read {packages}/numpy, which submissions need ({MISSING}); {way}"


def python_that_other_users_cannot_run(patch: pytest.MonkeyPatch, closed: Path) -> str:
    patch.setattr(ways, "trouble", lambda limits: MISSING)
    what = f"as user 64000 Python of {sys.base_prefix} does not run ({MISSING})"
    way = "install Python where every user can run it, such as in /usr/local, or bubblewrap"
    return f"{what}; {way}"


SITUATIONS = (packages_that_only_root_reads, python_that_other_users_cannot_run, closed_temporary_folder, temporary_folder_that_is_no_ones_own, closed_project, closed_packages,
              closed_python_that_cannot_be_copied, no_such_users, missing_rights, no_library)  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_where_nothing_is_safe_one_sentence_says_why_and_what_to_do(
    submitted: Path, sources: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], situation: Callable[[pytest.MonkeyPatch, Path], str],
) -> None:  # fmt: skip
    """As root; nothing is graded, nothing written."""
    for name in ("l2lib", "course/grading/inside", "closed"):
        (open_folder / name).mkdir(parents=True)
    (open_folder / "closed").chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    for name, value in {"ROOT": open_folder, "PACKAGES": (), "unreadable": lambda: None}.items():
        monkeypatch.setattr(ways, name, value)
    monkeypatch.setattr(ways, "missing_rights", lambda status: [])
    monkeypatch.setattr(ways, "mapped", lambda numbers: True)
    monkeypatch.setenv("PATH", "")
    sentence = situation(monkeypatch, open_folder / "closed")
    said = refused(monkeypatch, capsys, "--sources", str(sources), str(submitted / "full"))
    without = " without bubblewrap (it is not installed)"
    if ways.trouble(Limits()) == sentence:
        without = ""
    elif ways.trouble(Limits()) == MISSING:
        without = f" without bubblewrap ({MISSING})"
    assert said == f"grading: a stranger's code cannot be run safely here{without}: {sentence}\n"


def test_bubblewrap_that_is_required_and_missing_is_refused(
    submitted: Path,
    sources: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "")
    said = refused(
        monkeypatch,
        capsys,
        "--sources",
        str(sources),
        str(submitted / "full"),
        "--sandbox",
        "require",
    )
    words = "bubblewrap does not work here (it is not installed): make it work, or leave out --sandbox require"
    assert said == f"grading: {words}\n"


def test_other_systems_than_linux_are_refused(
    submitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "it needs Linux" in refused(monkeypatch, capsys, str(submitted / "full"))


def test_rights_and_users_are_read_as_linux_writes_them() -> None:
    assert ways.missing_rights("Name:\tx\nCapEff:\t00000000000000eb\n") == []
    assert ways.missing_rights("CapEff:\t00000000000000e9\n") == ["DAC_OVERRIDE"]
    assert ways.missing_rights("CapEff:\t0000000000000000\n") == [
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"
    ]  # fmt: skip
    assert ways.mapped("         0          0 4294967295\n")
    assert ways.mapped("0 1000 1\n1 100000 65535\n")
    assert not ways.mapped("0 1000 1\n")
    assert not ways.mapped("0 1000 1\n1 100000 65000\n")


# ---- an interpreter that submissions can read ----------------------------------------------------
def test_a_closed_folder_is_found_on_any_way_to_another(open_folder: Path) -> None:
    for name in ("open/inner", "shut/inner"):
        (open_folder / name).mkdir(parents=True)
    (open_folder / "shut").chmod(0o700)
    (open_folder / "open/link").symlink_to(open_folder / "shut/inner")
    (open_folder / "shut/link").symlink_to(open_folder / "open/inner")
    assert interpreter.closed(open_folder / "open/inner") is None
    for name in ("shut", "shut/inner", "open/link", "shut/link"):
        assert interpreter.closed(open_folder / name) == open_folder / "shut"


def test_what_others_may_not_read_is_found(open_folder: Path) -> None:
    library = open_folder / "lib"
    for name in ("ctypes", "site-packages/closed", "test", "ctypes/__pycache__"):
        (library / name).mkdir(parents=True)
    (library / "ctypes/util.py").write_text("", encoding="utf-8")
    (library / "ctypes/gone.so").symlink_to("nowhere")
    for path in (library, *library.rglob("*")):
        if path.exists():
            path.chmod(0o755)
    for name in ("site-packages/closed", "test", "ctypes/__pycache__"):
        (library / name).chmod(0o700)  # of no use to submissions
    assert interpreter.hidden(library) is None
    for name, mode in {"": 0o711, "ctypes": 0o711, "ctypes/util.py": 0o600}.items():
        before = (library / name).stat().st_mode
        (library / name).chmod(mode)
        assert interpreter.hidden(open_folder, library) == library / name
        (library / name).chmod(before)
    assert interpreter.hidden(library) is None


def test_a_python_that_others_may_not_read_is_found(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "lib").mkdir(mode=0o755)
    (open_folder / "lib/os.py").touch(0o600)
    for name, path in {"LIBRARY": "lib", "PROGRAM": "lib/os.py"}.items():
        monkeypatch.setattr(interpreter, name, open_folder / path)
    assert interpreter.unreadable() == open_folder / "lib/os.py"
    (open_folder / "lib/os.py").chmod(0o644)
    assert interpreter.unreadable() is None


@pytest.fixture
def python_copied() -> Iterator[Path]:
    """A copy of the interpreter, made by somebody whose new files nobody else may read."""
    before = os.umask(0o077)
    try:
        with interpreter.copied() as python:
            os.umask(before)
            yield Path(python)
    finally:
        os.umask(before)
    assert not Path(python).parents[2].exists()


def test_a_copy_of_python_runs_by_itself_for_users_who_cannot_change_it(
    python_copied: Path,
) -> None:
    skip_as_root_if(ways.obstacle)
    code = f"""
{interpreter.parts()}
import json, os, sys, numpy, subprocess
child = subprocess.run([sys.executable, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True)
print(json.dumps([sys.base_prefix, child.stdout.strip(), numpy.__file__, os.access(os.__file__, os.W_OK)]))
"""
    other = {"user": 64_000, "group": 64_000, "extra_groups": []} if os.getuid() == 0 else {}
    environment = confine.environment(Limits(python=str(python_copied)), "/")
    line = [python_copied, "-B", "-s", "-P", "-c", code]
    done = subprocess.run(
        line, env=environment, cwd="/", capture_output=True, text=True, check=False, **other
    )
    assert done.returncode == 0, done.stderr
    folder = python_copied.parents[2]
    base, child, numpy, writable = json.loads(done.stdout)
    assert (base, child, writable) == (str(folder), str(folder), os.getuid() != 0)
    assert Path(numpy).is_relative_to(folder)
    assert Path(numpy).resolve() == Path(np.__file__).resolve()


def test_a_copy_of_python_is_small_and_open_to_all(python_copied: Path) -> None:
    kept = [path for path in python_copied.parents[2].rglob("*") if not path.is_symlink()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (python_copied.parents[2], *kept)} == {
        0o755
    }
    assert sum(path.stat().st_size for path in kept) < 200 * 2**20


def test_a_place_that_allows_no_programs_holds_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = os.statvfs_result((0,) * 8 + (os.ST_NOEXEC, 0))
    monkeypatch.setattr(os, "statvfs", lambda path: facts)
    with (
        pytest.raises(OSError, match="allows no programs: it is mounted noexec"),
        interpreter.copied(),
    ):
        pass


def test_a_copy_has_a_new_name_each_time_and_results_stay_valid(problems: Problems) -> None:
    prints = {folder_of.fingerprint({"ps9": problems}, Limits(python=name)) for name in ("a", "b")}
    assert len(prints) == 1
    assert folder_of.fingerprint({"ps9": problems}, Limits(memory=7)) not in prints


# ---- what a process inside gives up --------------------------------------------------------------
CONFINED = """
import ctypes, mmap, numpy, os, pyseccomp, tempfile
from course.grading.inside.__main__ import Bounds, confine
file = tempfile.TemporaryFile()
confine(Bounds(memory=2**30, disk=2**20, seconds=60, uid=64000, processes=64))
libc = ctypes.CDLL(None, use_errno=True)
"""


def confined(code: str) -> str:
    """What code prints in a process that is confined as submissions are."""
    skip_as_root_if(ways.powerless)
    line = [sys.executable, "-c", f"{CONFINED}\n{code}"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_limits_and_forbidden_calls_hold_from_the_start() -> None:
    code = """
def refused(ask):
    try:
        ask()
    except (OSError, MemoryError) as error:
        return type(error).__name__
asked = [lambda: os.memfd_create("more"), lambda: mmap.mmap(-1, 2**20), lambda: numpy.empty(2**28),
         lambda: (file.write(bytes(2**21)), file.flush())]
print(*map(refused, asked), libc.unshare(0x10000000), ctypes.get_errno(), libc.shmget(7, 2**20, 0o1600), os.getuid())
"""
    uid = os.getuid() or 64_000
    words = "PermissionError PermissionError MemoryError OSError -1 1 -1"
    assert confined(code).split() == [*words.split(), str(uid)]


def test_without_its_filter_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyseccomp.py").write_text(
        "raise RuntimeError('Unable to find libseccomp')", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyseccomp", raising=False)
    with pytest.raises(SystemExit, match="libseccomp is missing; install it"):
        forbid()


def test_root_that_cannot_become_another_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "setgroups", denied)
    with pytest.raises(
        SystemExit, match=r"root cannot become user 64000 \(Operation not permitted\)"
    ):
        give_up_root(64_000)


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A process that never answers."""
    monkeypatch.setattr(sandbox, "command", lambda limits: ["sleep", "60"])
    box = Sandbox(Limits())
    yield box
    box.close()
    assert not Path(box.scratch).exists()


@pytest.mark.parametrize(
    ("share", "words"), [(1.6, "used too much memory"), (1.4, "it took too long")]
)
def test_memory_of_all_processes_is_watched(
    sleeper: Sandbox, monkeypatch: pytest.MonkeyPatch, share: float, words: str
) -> None:
    monkeypatch.setattr(processes, "memory", lambda pids: int(share * Limits().memory))
    with pytest.raises(Ended, match=words):
        sleeper.receive(0.5)


# ---- scores, with the answers in this process: they are ours -------------------------------------
class Here:
    """Stands for a student's process."""

    def __init__(self, cells: list[str | None], limits: Limits, number: int = 0) -> None:
        self.limits = limits
        self.trouble: dict[int, str] = {}
        self.asked = ""
        self.names: dict[str, Any] = {}
        for code in filter(None, cells):
            with contextlib.suppress(Exception):
                exec(code, self.names)

    def look(self, name: str) -> Reply:
        return reply_in(self._ask(name), *TO_LOOK)

    def call(self, name: str, args: Any, kwargs: Any) -> Reply:
        return reply_in(self._ask(name, args=args, kwargs=kwargs), *TO_CALL)

    def _ask(self, name: str, **call: Any) -> dict[str, Any]:
        self.asked = name
        return dict(codec.loads(codec.dumps(answer(self.names, {"name": name, **call}))))

    def close(self) -> None:
        """There is no process to end."""


Grade = Callable[[str], dict[str, Row]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, problems: Problems, tmp_path: Path) -> Grade:
    """Grade one of the attacks, one that attacks nothing."""
    monkeypatch.setattr(score, "Student", Here)

    def grade(name: str) -> dict[str, Row]:
        nbformat.write(attacks(tmp_path, 1)[name].notebook, tmp_path / "one.ipynb")
        cells = read(str(tmp_path / "one.ipynb")).cells
        return {row.question: row for row in score.grade(problems, cells, Limits())}

    return grade


HARMLESS = ("reference", "stubs", "stub-functions", "visible-only", "tests-edited", "given-edited", "renamed", "syntax",
            "metadata-edited", "tests-doubled", "nan", "text", "wrong-shape")  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_points_are_what_the_tests_of_the_source_give(here: Grade, name: str) -> None:
    rows = here(name)
    assert (
        tuple(rows[question].points for question in IDS)
        == attacks(Path("/nowhere"), 1)[name].deserves
    )


@pytest.mark.parametrize(
    ("name", "question", "reason"),
    [
        ("visible-only", "q1", "q1: sum all entries"),
        ("visible-only", "q2", "A test of `decay` does not hold."),
        ("stub-functions", "q1", "`penalty` is not written yet: it raises NotImplementedError."),
        ("text", "q1", "A test cannot use what `penalty` gave: look at its type and shape."),
    ],
)
def test_reasons_are_words_of_ours(here: Grade, name: str, question: str, reason: str) -> None:
    assert here(name)[question].reason == reason


ANSWER = "def penalty(w, lam):\n    return lam / FACTOR * np.sum(np.square(w))"
STUB = "def penalty(w, lam):\n    raise NotImplementedError()"


def stub_below(cells: list[Any], at: int) -> None:
    cells[at].source = STUB
    cells.insert(at, nbformat.v4.new_code_cell(ANSWER))


def stub_above(cells: list[Any], at: int) -> None:
    cells[at].source = STUB
    cells.insert(at + 1, nbformat.v4.new_code_cell(ANSWER))


def in_markdown(cells: list[Any], at: int) -> None:
    cells[at] = nbformat.v4.new_markdown_cell(ANSWER, metadata=cells[at].metadata)


def in_markdown_beside_the_stub(cells: list[Any], at: int) -> None:
    cells[at].source = STUB
    cells.insert(at + 1, nbformat.v4.new_markdown_cell(ANSWER))


def in_a_new_cell(cells: list[Any], at: int) -> None:
    cells[at] = nbformat.v4.new_code_cell(ANSWER)


def merged_into_the_test(cells: list[Any], at: int) -> None:
    cells[at + 1].source = ANSWER + "\n\n" + cells[at + 1].source
    del cells[at]


def merged_into_the_given_cell(cells: list[Any], at: int) -> None:
    cells[at - 1].source += f"\n\n{ANSWER}"
    del cells[at]


def merged_with_the_test(cells: list[Any], at: int) -> None:
    cells[at].source = ANSWER + "\n\n" + cells.pop(at + 1).source


def gone(cells: list[Any], at: int) -> None:
    del cells[at]


UNDEFINED = "`penalty` is not defined after the notebook has run: "
BEGINS = "the cell that begins with “def penalty(w, lam):” defines it, but is "
OF_ITS_OWN = "write it in a code cell of its own."


@pytest.mark.parametrize(
    ("change", "points", "reason"),
    [
        (stub_above, 1, ""),
        (in_a_new_cell, 1, ""),
        (merged_with_the_test, 1, ""),
        (
            stub_below,
            0,
            "`penalty` raises NotImplementedError: 2 cells define it, and the last of them counts: "
            "write the answer there, or delete that cell.",
        ),
        (in_markdown, 0, f"{UNDEFINED}{BEGINS}a Markdown cell: {OF_ITS_OWN}"),
        (
            in_markdown_beside_the_stub,
            0,
            f"`penalty` raises NotImplementedError; {BEGINS}a Markdown cell: {OF_ITS_OWN}",
        ),
        (
            merged_into_the_test,
            0,
            f"{UNDEFINED}{BEGINS}the cell of a test, which is not run: {OF_ITS_OWN}",
        ),
        (
            merged_into_the_given_cell,
            0,
            f"{UNDEFINED}the cell that begins with “import numpy as np” defines it, but is a given "
            f"cell, which is run as it was given: {OF_ITS_OWN}",
        ),
        (gone, 0, f"{UNDEFINED}keep the name that the question gives."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_answer_in_another_cell_counts_or_hears_why_not(
    monkeypatch: pytest.MonkeyPatch,
    problems: Problems,
    tmp_path: Path,
    change: Callable[[list[Any], int], None],
    points: int,
    reason: str,
) -> None:
    monkeypatch.setattr(score, "Student", Here)
    notebook = tiny()
    change(notebook.cells, 2)
    nbformat.write(notebook, tmp_path / "one.ipynb")
    rows = score.grade(problems, read(str(tmp_path / "one.ipynb")).cells, Limits())
    assert (rows[0].points, rows[0].reason) == (points, reason)


def test_a_line_that_a_process_claims_must_be_in_its_cell() -> None:
    student = Student(["x\ny", None], Limits())
    student._note([[0, "ValueError", 4321], [1, "KeyError", 0], [7, "OSError", 1], "noise"])
    assert student.trouble == {0: "stopped with ValueError", 1: "stopped with KeyError"}
    student._note([[0, "SecretError", 2]])
    assert student.trouble[0] == "stopped with RuntimeError in line 2"


# ---- files ---------------------------------------------------------------------------------------
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    nbformat.write(GOOD, tmp_path / "secret.ipynb")
    (tmp_path / "link.ipynb").symlink_to("secret.ipynb")
    assert len(read(str(tmp_path / "secret.ipynb")).cells) == len(GOOD.cells)
    with pytest.raises(UnreadableError, match="a symbolic link, not a notebook"):
        read(str(tmp_path / "link.ipynb"))


def test_halves_of_characters_become_text_that_can_be_written(tmp_path: Path) -> None:
    made = attacks(tmp_path, 1)["half-characters"].notebook
    (tmp_path / "half.ipynb").write_text(json.dumps(made), encoding="utf-8")
    cells = read(str(tmp_path / "half.ipynb")).cells
    assert cells[-1].source == r"\ud800 and \udfff"


def test_a_page_shows_a_name_and_does_not_run_it() -> None:
    page = report.feedback(Result("<script>", "ps9", ()))
    assert "<script>" not in page
    assert "<title>&lt;script&gt;: ps9</title>" in page


# ---- a folder of submissions, with a grader that gives what it is told ---------------------------
@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The students graded, in order; each gets one right answer."""
    graded: list[str] = []

    def run_all(jobs: list[Job], workers: int, done: int) -> None:
        for job in jobs:
            graded.append(job.submission.student)
            row = Row("q1", 1.0, 1.0, Status.RIGHT, "")
            report.write(job.result, text_of(Result(job.submission.student, "ps9", (row,))))

    monkeypatch.setattr(folder_of, "run_all", run_all)
    return graded


def options_for(folder: Path, forced: str = "") -> Options:
    return Options(folder / "in", folder / "out", folder / "sources", Limits(), forced)


def test_what_is_handed_in_anew_is_graded_anew_and_nothing_else(
    tmp_path: Path, problems: Problems, told: list[str]
) -> None:
    options = options_for(tmp_path)
    for name in ("ann", "bob"):
        (tmp_path / f"in/{name}.ipynb").parent.mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.ipynb").write_text("first", encoding="utf-8")
    for _ in range(2):
        assert folder_of.grade_all(find(tmp_path / "in").notebooks, {"ps9": problems}, options) == 0
    assert told == ["ann", "bob"]
    (tmp_path / "in/ann.ipynb").write_text("second", encoding="utf-8")
    folder_of.grade_all(find(tmp_path / "in").notebooks, {"ps9": problems}, options)
    assert told == ["ann", "bob", "ann"]


@pytest.mark.parametrize(
    "status", ["wrong", "partly right", "missing", "error", "stopped", "not graded"]
)
def test_a_reference_must_score_full(
    tmp_path: Path,
    problems: Problems,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
    status: str,
) -> None:
    options = options_for(tmp_path, forced="ps9")
    folder_of.check_references({"ps9": problems}, options)
    assert told == ["reference solution of ps9"]
    (path,) = (tmp_path / "out/results").iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    result["rows"][0]["status"] = status
    path.write_text(json.dumps(result), encoding="utf-8")
    with pytest.raises(RefusedError, match="the reference solution of ps9 fails q1 here"):
        folder_of.check_references({"ps9": problems}, options)
    assert not path.exists()


# ---- points given by hand ------------------------------------------------------------------------
ROW = {
    "student": "ann",
    "question": "ps9/q4",
    "points": "2.5",
    "status": "by hand",
    "reason": "well said",
}


def saved(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    return "\n".join(
        delimiter.join(line) for line in [report.FIELDS, *(list(row.values()) for row in rows)]
    )


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (saved([ROW]), "2.5"),
        (saved([ROW], ";"), "2.5"),
        (saved([ROW | {"points": " 2,5"}], ";"), "2.5"),
        ("\ufeff" + saved([ROW], "\t"), "2.5"),
        (saved([ROW | {"status": "done"}]), "2.5"),
        (saved([ROW | {"student": "bob"}]), "1"),
        (saved([ROW | {"points": "0", "status": "unreadable"}]), "1"),
        (saved([ROW | {"points": ""}]), None),
        (None, "1"),
    ],
)
def test_points_given_by_hand_are_kept(tmp_path: Path, text: str | None, kept: str | None) -> None:
    grades = tmp_path / "grades.csv"
    memory = tmp_path / "by-hand"
    for content in (saved([ROW | {"points": "1"}]), text):
        if content is not None:
            grades.write_text(content, encoding="utf-8")
        given = report.filled_in(grades, memory, {"ps9/q4"})
        grades.unlink(missing_ok=True)
    rows = {(line.student, line.question): line.points for line in given.values()}
    assert rows.get(("ann", "ps9/q4")) == kept


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"student,points\n", b"\0" * 99])
def test_a_table_that_cannot_be_read_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="not overwritten"):
        report.filled_in(written(tmp_path / "grades.csv", content), tmp_path / "by-hand", set())
    assert (tmp_path / "grades.csv").read_bytes() == content


def test_points_that_are_no_number_are_refused(tmp_path: Path) -> None:
    grades = written(tmp_path / "grades.csv", saved([ROW | {"points": "two"}]).encode())
    with pytest.raises(ValueError, match="the points of ann for ps9/q4 are 'two', not a number"):
        report.filled_in(grades, tmp_path / "by-hand", {"ps9/q4"})


# ---- parts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [None, True, 7, 10**40, -0.0, float("inf"), 1 + 2j, "λ\ud800", b"\xff", [1, [2]], (1, (2,)), {"a": (None, [])},
     np.float32(0.1), np.int64(3), np.bool_(True), np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.ones(3, ">f4"),
     np.array([1 + 1j]), np.array([[True], [False]]), np.asfortranarray(np.eye(3))[::2]],
)  # fmt: skip
def test_what_crosses_arrives_as_it_was(value: Any) -> None:
    back = codec.loads(codec.dumps(value))
    assert type(back) is type(value)
    assert back == value if isinstance(value, list | tuple | dict) else np.array_equal(back, value)
    if isinstance(value, np.ndarray):
        assert (back.shape, back.dtype.kind, back.flags.writeable) == (
            value.shape,
            value.dtype.kind,
            True,
        )


def test_tensors_cross_and_layers_do_not() -> None:
    import torch  # the only test here that needs it

    for tensor in (torch.arange(4.0), torch.tensor(2)):
        back = codec.loads(codec.dumps(tensor))
        assert type(back) is torch.Tensor
        assert back.dtype == tensor.dtype
        assert torch.equal(back, tensor)
    with pytest.raises(TypeError):
        codec.dumps(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    "value", [object(), np, len, {1: 2}, {1, 2}, np.array([None]), np.array(["a"]), range(3)]
)
def test_what_may_not_cross_does_not(value: Any) -> None:
    with pytest.raises(TypeError):
        codec.dumps(value)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b'{"array": 7}', b'{"array": ["object", [1], "AAAA"]}', b'{"array": ["float64", [9], "AAAA"]}',
     b'{"array": ["float64", [-1], ""]}', b'{"array": ["float64", [99999999999999], ""]}', b'{"evil": 1}', b'{"a": 1, "b": 2}',
     b"[" * 10**5, b'{"array": ["uint8", [0, 1e9], ""]}', b'{"complex": "ab"}', b'{"dict": 7}', b'{"tuple": 7}'],
)  # fmt: skip
def test_bytes_that_are_no_data_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        codec.loads(data)


def test_large_data_are_refused() -> None:
    with pytest.raises(ValueError, match="may cross"):
        codec.dumps(np.zeros(codec.LIMIT))
    with pytest.raises(ValueError, match="may cross"):
        codec.loads(bytes(codec.LIMIT + 1))


def test_the_names_and_words_of_a_test_cell(problems: Problems) -> None:
    assert [test.needs for test in problems.tests] == [
        ("penalty",),
        ("decay",),
        ("decay",),
        ("norms",),
    ]
    code = "import a.b as c\nfor i in f(c):\n    def g(x): return x + h\n    assert g(i), ('yes ' 'no')\n    assert print(j := i), k"
    assert set(needs(code)) == {"f", "h", "k"}
    assert messages(code) == {"yes no"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"q3-norms-check"',
            '"norms-check"',
            "'norms-check' needs points, and an id like q1-name-check",
        ),
        ('"q4-why-derive"', '"why"', "'why' needs points, and an id like q1-name-check"),
        ('"points": 2', '"points": 0', "'q2-decay-more' needs points"),
        ('"grade": true', '"grade": false', "no cell is marked as graded"),
    ],
)
def test_a_source_that_cannot_be_graded_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in TINY
    (tmp_path / "ps9.py").write_text(TINY.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "ps9.py")


def test_bubblewrap_is_asked_for_what_the_page_promises() -> None:
    line = confine.command(Limits())
    assert {"--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"} <= set(line)
    shown = {Path(line[number + 1]) for number, word in enumerate(line) if word.endswith("bind")}
    assert ROOT / "l2lib" in shown
    names = (
        "course/source",
        "course/answers",
        "course/release",
        "course/grading/score.py",
        "tests",
    )
    for closed in (ROOT / name for name in names):
        assert closed.exists()
        assert not any(closed.is_relative_to(path) or path.is_relative_to(closed) for path in shown)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, ""),
        ("", ""),
        (":", ""),
        ("lib:./lib", ""),
        ("/some/lib:", "/some/lib"),
        (":/some/lib::/other/lib", "/some/lib:/other/lib"),
    ],
)
def test_no_empty_part_of_a_path_lets_a_student_give_libraries(
    monkeypatch: pytest.MonkeyPatch, given: str | None, kept: str
) -> None:
    """To the linker an empty part is the folder it is in, here the student's."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    if given is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH", given)
    assert confine.environment(Limits(), "/").get("LD_LIBRARY_PATH", "") == kept


def test_a_grader_in_ascii_says_what_it_says(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "course.grading", str(tmp_path / "Müller, λ, 名")]
    ascii = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(line, cwd=ROOT, capture_output=True, check=False, env=ascii)
    assert done.returncode == 2
    assert b"Muller, lambda, \\u540d: there is no such folder" in done.stderr


def test_students_are_told_apart(tmp_path: Path) -> None:
    names = ["ann.ipynb", "bob/ps1.ipynb", "cy/ps1/ps1.ipynb", "cy/ps2/ps2.ipynb", "a/dee.ipynb", "b/dee.ipynb",
             "eve_ps1.ipynb", ".ipynb_checkpoints/x.ipynb", "__MACOSX/._ann.ipynb", "._ann.ipynb"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {
        Path(one.path).relative_to(tmp_path).as_posix(): one.student
        for one in find(tmp_path).notebooks
    }
    assert found == {"ann.ipynb": "ann", "bob/ps1.ipynb": "bob", "cy/ps1/ps1.ipynb": "cy", "cy/ps2/ps2.ipynb": "cy",
                     "a/dee.ipynb": "a/dee", "b/dee.ipynb": "b/dee", "eve_ps1.ipynb": "eve_ps1"}  # fmt: skip


def test_notebooks_of_one_student_and_one_set_are_told_apart() -> None:
    files = [
        Submission("", "ann", "ann/ps1.ipynb"),
        Submission("", "ann", "ann/ps2.ipynb"),
        Submission("", "bob", "b"),
    ]
    jobs = [Job(each, Path(), {}, "", Limits()) for each in files]
    results = tell_apart([Result(each.student, "ps1", ()) for each in files], jobs)
    assert [result.student for result in results] == ["ann/ps1.ipynb", "ann/ps2.ipynb", "bob"]


def test_memory_is_counted_also_where_its_shares_may_not_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hoard = np.ones(2**23)
    assert processes.memory({os.getpid()}) > hoard.nbytes
    read = Path.read_text

    def closed(path: Path, **options: Any) -> str:
        if path.name == "smaps_rollup":
            raise PermissionError
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", closed)
    assert processes.memory({os.getpid()}) > hoard.nbytes


ORPHANS = """
import os, sys, time
from course.grading import processes

processes.adopt()
leader = os.fork()
if leader == 0:
    os.setsid()
    for _ in range(20):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
    time.sleep(60)
while len(processes.family(leader)) < 21:
    time.sleep(0.01)
processes.end(leader)
assert os.waitpid(leader, 0)[1] == 9
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("none is left")
"""


def test_the_dead_are_buried_as_the_system_counts_them_until_then() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("none is left\n", "")


def test_what_ends_a_test_waits_while_a_process_is_tidied_up() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    go = threading.Event()
    other = threading.Thread(target=lambda: go.wait() and signal.raise_signal(signal.SIGALRM))
    other.start()
    try:
        with processes.undisturbed():
            signal.raise_signal(signal.SIGALRM)
            go.set()
            other.join()
            assert rung == []
        assert rung == [1, 1]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_draft_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    report.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        report.write(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["grades.csv"]
