"""The grader against all that a submission might do: contained, scored, and nothing let slip.

One folder in which every attack lies beside honest work. `make test` grades a few of them, `make
check` the others.
"""

import contextlib
import csv
import functools
import hashlib
import html
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from book.execute import ROOT
from course.grading import report
from course.grading.interpreter import PACKAGES, copied, unreadable
from course.grading.results import Result
from course.problem_sets import RELEASE, SOURCES, read_source
from tests.tiny_set import (
    BURNING,
    FEW,
    FULL,
    GOOD,
    IDS,
    MARK,
    NAMESPACES_ONLY,
    TINY,
    UNUSUAL,
    WRONG,
    attacks,
    notebook,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the grader's limits are those of Linux"
)
FEW_LIMITS = ("--cell-seconds", "12", "--call-seconds", "6", "--seconds", "120", "--memory", "1")
"""Something endless is among the few, so they wait this long for it."""
LIMITS = ("--cell-seconds", "60", "--call-seconds", "20", "--seconds", "240", "--memory", "1")
SHORT = (
    "--cell-seconds",
    "3",
    "--call-seconds",
    "1.5",
    "--seconds",
    "120",
    "--memory",
    "1",
    "--jobs",
    "1",
)
"""For what computes until it is stopped; one at a time, so that what is honest in it need not wait
for another."""
UNSAFE = (
    "other users may not enter",
    "everybody may replace",
    "root has no right to",
    "this container has no users",
    "libseccomp is missing",
)
"""Why the grader may refuse to grade on a machine; another reason would be an error of its own."""


@functools.cache
def no_bubblewrap() -> str:
    """Why bubblewrap can contain nothing here; empty if it can."""
    if shutil.which("bwrap") is None:
        return "it is not installed"
    line = [
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--unshare-net",
        "--unshare-pid",
        "--proc",
        "/proc",
        "true",
    ]
    tried = subprocess.run(line, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip() or "it does not start"


def command(*arguments: str | Path, bar: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the grader, with bubblewrap where there is no doubt that it works; skip the test where
    nothing does.
    """
    line = [sys.executable, "-m", "course.grading", *map(str, arguments)]
    line += [] if no_bubblewrap() or "--sandbox" in line else ["--sandbox", "require"]
    environment = os.environ | {"TQDM_DISABLE": "" if bar else "1"}
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    skip_where_nothing_works(done.stderr)
    return done


def skip_where_nothing_works(stderr: str) -> None:
    """Skip the test, with the grader's own sentence, if that says that a stranger's code cannot be
    run safely here.
    """
    if "cannot be run safely here" in stderr and any(reason in stderr for reason in UNSAFE):
        pytest.skip(stderr.strip().splitlines()[-1])


def running() -> list[bytes]:
    """The command lines of all processes; one may end while we look."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return lines


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder with a hash of its content, its mode and its time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        found[str(path)] = (
            f"{hashlib.sha256(content).hexdigest()} {facts.st_mode} {facts.st_mtime_ns}"
        )
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "ps9.py").write_text(TINY, encoding="utf-8")
    return folder


# ---- submissions by name: attacks, notebooks of unusual names and kinds, files that are no noteboo
def old_format(folder: Path) -> None:
    cells = [{"cell_type": cell.cell_type, "metadata": cell.metadata, "source": cell.source}
             | ({"input": cell.source, "language": "python", "outputs": [], "collapsed": False}
                if cell.cell_type == "code" else {}) for cell in GOOD.cells]  # fmt: skip
    sheets = [{"cells": cells, "metadata": {}}]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": sheets}
    (folder / "old-format.ipynb").write_text(json.dumps(old), encoding="utf-8")


def loud(folder: Path) -> None:
    made = json.loads(nbformat.writes(GOOD))
    made["cells"][1]["outputs"] = [
        {"name": "stdout", "output_type": "stream", "text": "x" * (200 * 2**20)}
    ]
    (folder / "200-MB.ipynb").write_text(json.dumps(made), encoding="utf-8")


def nbgrader_style(folder: Path) -> None:
    os.makedirs(folder / "nbgrader style/ps9")
    nbformat.write(GOOD, folder / "nbgrader style/ps9/ps9.ipynb")


def link(folder: Path) -> None:
    secret = folder.with_name("secret.ipynb")
    nbformat.write(GOOD, secret)
    (folder / "broken-link.ipynb").symlink_to(secret)


def many_cells(folder: Path) -> None:
    cells = [nbformat.v4.new_code_cell("1") for _ in range(1001)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "broken-many-cells.ipynb")


Writer = Callable[[Path], object]
BYTES = {
    "empty": b"",
    "noise": os.urandom(999),
    "list": b"[1, 2]",
    "number": b"7",
    "deep-json": b"[" * 10**6,
    "no-cells": b'{"nbformat": 4}',
    "future": b'{"nbformat": 99}',
    "odd-cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7, {}, []]}',
}
BROKEN: dict[str, Writer] = {
    **{
        name: lambda folder, name=name: (folder / f"broken-{name}.ipynb").write_bytes(BYTES[name])
        for name in BYTES
    },
    "many-cells": many_cells,
    "link": link,
    "dangling": lambda folder: (folder / "broken-dangling.ipynb").symlink_to("nowhere"),
    "pipe": lambda folder: os.mkfifo(folder / "broken-pipe.ipynb"),
}
ODD: dict[str, Writer] = {
    **{
        name: lambda folder, name=name: nbformat.write(GOOD, folder / f"{name}.ipynb")
        for name in UNUSUAL
    },
    "old-format": old_format,
    "200-MB": loud,
    "nbgrader style": nbgrader_style,
}
ATTACKS = tuple(attacks(Path("/nowhere"), 1))
NAMES = {*ATTACKS, *BROKEN, *ODD}


def by_speed(rows: Any) -> list[Any]:
    """Cases for a test, by the names with which they begin; all but a few are slow."""
    rows = [row if isinstance(row, tuple) else (row,) for row in rows]
    ids = ["-".join(row[:2]) if len(row) > 1 else None for row in rows]
    pairs = zip(rows, ids, strict=True)
    return [
        pytest.param(*row, id=id, marks=[] if row[0] in FEW else pytest.mark.slow)
        for row, id in pairs
    ]


@pytest.fixture(autouse=True, scope="module")
def left_behind() -> Iterator[None]:
    """Where nothing hides /tmp, what attacks write there stays: it is removed."""
    yield
    for path in Path("/tmp").glob(f"*-{MARK}*"):
        with contextlib.suppress(OSError):
            path.unlink()


class Graded:
    """What one run of the grader over some submissions left behind."""

    def __init__(
        self, base: Path, sources: Path, port: int, names: frozenset[str], limits: tuple[str, ...]
    ) -> None:
        self.folder = base / "in"
        self.out = base / "out"
        self.folder.mkdir()
        made = attacks(self.folder, port)
        self.expected = {name: made[name].deserves for name in names & made.keys()}
        for name in self.expected:
            (self.folder / f"{name}.ipynb").write_text(
                json.dumps(made[name].notebook), encoding="utf-8"
            )
        for name, write in (BROKEN | ODD).items():
            if name in names:
                write(self.folder)
        (self.folder / "a folder.ipynb").mkdir()
        (self.folder / "notes.txt").write_text("not a notebook", encoding="utf-8")
        self.before = snapshot(self.folder)
        self.arguments = (
            self.folder,
            "--sources",
            sources,
            "--set",
            "ps9",
            "--out",
            self.out,
            *limits,
        )
        self.run = command(*self.arguments)
        assert (self.out / "grades.csv").exists(), self.run.stderr[-2000:]
        with (self.out / "grades.csv").open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))

    def points(self, student: str) -> tuple[float, ...]:
        rows = {
            row["question"]: row["points"]
            for row in self.rows
            if row["student"] == report.printable(student)
        }
        return tuple(float(rows[f"ps9/{question}"]) for question in IDS)

    def row(self, student: str, question: str) -> dict[str, str]:
        (row,) = [
            row
            for row in self.rows
            if row["student"] == student and row["question"] == f"ps9/{question}"
        ]
        return row

    def page(self, student: str) -> str:
        name = report.page_name(Result(student, "ps9", ()))
        return (self.out / "feedback" / name).read_text(encoding="utf-8")


def limits_for(name: str) -> tuple[str, ...]:
    """The limits under which a submission is graded; those with the same are graded in one run."""
    return SHORT if name in BURNING else FEW_LIMITS if name in FEW else LIMITS


class Runs:
    """The grader's runs, one for each kind of limits, when a test first asks for it; what went
    wrong is told again.
    """

    def __init__(
        self, wanted: set[str], start: Callable[[frozenset[str], tuple[str, ...]], Graded]
    ) -> None:
        self.wanted = wanted - (NAMESPACES_ONLY if no_bubblewrap() else set())
        self.start = start
        self.ended: dict[tuple[str, ...], Graded | BaseException] = {}

    def names(self, limits: tuple[str, ...]) -> frozenset[str]:
        """What is wanted and graded under these limits."""
        return frozenset(name for name in self.wanted if limits_for(name) == limits)

    def under(self, limits: tuple[str, ...]) -> Graded:
        """The run under these limits."""
        if limits not in self.ended:
            try:
                self.ended[limits] = self.start(self.names(limits), limits)
            except BaseException as error:  # pytest's own for a test that is skipped, too
                self.ended[limits] = error
        found = self.ended[limits]
        if isinstance(found, BaseException):
            raise found
        return found

    def of(self, name: str) -> Graded:
        """The run in which a submission is."""
        if name not in self.wanted:
            pytest.skip(f"needs bubblewrap: {no_bubblewrap()}")
        return self.under(limits_for(name))


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    sources: Path,
    listener: socket.socket,
) -> Runs:
    """Runs over what the tests that were asked for need: for a planted error one or two
    submissions.
    """
    wanted: set[str] = set()
    for item in request.session.items:
        asked = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if "part" in asked and "runs" in item.fixturenames:
            wanted |= {name for name in NAMES if (name in FEW) == (asked["part"] == "few")}
        elif "graded" in getattr(item, "fixturenames", ()):
            wanted.add(asked["name"])
    port = listener.getsockname()[1]
    return Runs(
        wanted,
        lambda names, limits: Graded(
            tmp_path_factory.mktemp("graded"), sources, port, names, limits
        ),
    )


@pytest.fixture(params=["few", pytest.param("rest", marks=pytest.mark.slow)])
def part(request: pytest.FixtureRequest, runs: Runs) -> list[Graded]:
    """The runs over the few, or over the rest."""
    kinds = [FEW_LIMITS] if request.param == "few" else [LIMITS, SHORT]
    return [runs.under(limits) for limits in kinds if runs.names(limits)]


@pytest.fixture
def graded(name: str, runs: Runs) -> Graded:
    """The run in which the submission is after which a test is named."""
    return runs.of(name)


# ---- what each gets ------------------------------------------------------------------------------
@pytest.mark.parametrize("name", by_speed(ATTACKS))
def test_each_submission_gets_what_it_deserves(graded: Graded, name: str) -> None:
    assert graded.points(name) == graded.expected[name], [
        graded.row(name, question) for question in IDS
    ]


@pytest.mark.parametrize("name", by_speed(ODD))
def test_unusual_files_score_full(graded: Graded, name: str) -> None:
    student = "'=HYPERLINK(1)" if name.startswith("=") else name.replace(";", ",")
    assert graded.points(student) == FULL
    assert f"<title>{html.escape(report.printable(name))}: ps9</title>" in graded.page(name)
    assert not {";", "\x1b", "\u202e"} & set("".join(row["student"] for row in graded.rows))


@pytest.mark.parametrize("name", by_speed(name for name in BROKEN if name != "odd-cells"))
def test_broken_files_score_nothing_and_say_why(graded: Graded, name: str) -> None:
    assert graded.points(f"broken-{name}") == (0, 0, 0)
    row = graded.row(f"broken-{name}", "q1")
    assert row["status"] == "unreadable"
    assert "notebook" in row["reason"] or "regular file" in row["reason"]


@pytest.mark.parametrize("name", by_speed(["odd-cells"]))
def test_a_notebook_of_odd_cells_scores_nothing(graded: Graded, name: str) -> None:
    assert graded.points(f"broken-{name}") == (0, 0, 0)


REASONS = [
    ("renamed", "q1", "missing", "`penalty` is not defined"),
    (
        "syntax",
        "q1",
        "missing",
        "the cell that begins with “def penalty(w, lam)” stopped with SyntaxError in line 1",
    ),
    ("stub-functions", "q1", "missing", "not written yet"),
    (
        "endless-cell",
        "q1",
        "missing",
        "the cell that begins with “while True: pass” was stopped: it took too long",
    ),
    ("endless-call", "q1", "stopped", "`penalty` could not be tested: it took too long"),
    ("memory", "q1", "error", "`penalty` stopped with MemoryError"),
    ("memory-children", "q1", "missing", "used too much memory"),
    ("forges-line", "q1", "missing", "stopped with ValueError."),
    ("os-exit-call", "q1", "stopped", "its process ended"),
    ("visible-only", "q1", "wrong", "q1: sum all entries"),
    ("visible-only", "q2", "partly right", "A test of `decay` does not hold."),
    ("nan", "q1", "wrong", "q1: for w = 2 and λ = 1 the penalty is 2"),
    ("module", "q1", "error", "neither a function nor numbers"),
    ("objects", "q1", "error", "returned something other than numbers"),
    ("text", "q1", "error", "look at its type and shape"),
    ("wrong-shape", "q3", "wrong", "q3: five norms, please"),
    ("reference", "q4-why-derive", "by hand", ""),
]


@pytest.mark.parametrize(("name", "question", "status", "words"), by_speed(REASONS))
def test_reasons_help(graded: Graded, name: str, question: str, status: str, words: str) -> None:
    row = graded.row(name, question)
    assert (row["status"], words in row["reason"]) == (status, True), row


@pytest.mark.parametrize("name", by_speed(["reference"]))
def test_answers_graded_by_hand_are_shown_and_have_no_points(graded: Graded, name: str) -> None:
    assert graded.row(name, "q4-why-derive")["points"] == ""
    assert "The gradient of the penalty is λw." in graded.page(name)


@pytest.mark.parametrize("name", by_speed(["long-answer"]))
def test_an_answer_of_any_length_is_shown_in_part(graded: Graded, name: str) -> None:
    page = graded.page(name)
    assert 20_000 < len(page) < 25_000
    assert "The rest is left out here: look in the notebook." in page


# ---- what a run leaves behind --------------------------------------------------------------------
def test_the_command_succeeds_and_says_what_it_left_out(part: list[Graded]) -> None:
    for graded in part:
        assert graded.run.returncode == 0, graded.run.stderr[-2000:]
        assert "notes.txt" in graded.run.stderr
        assert ("NOT guaranteed" in graded.run.stderr) == bool(no_bubblewrap())
        assert list(graded.rows[0]) == ["student", "question", "points", "status", "reason"]


def test_nothing_of_a_hidden_case_gets_out(part: list[Graded]) -> None:
    for graded in part:
        texts = {
            path: path.read_text(encoding="utf-8")
            for path in graded.out.rglob("*.*")
            if path.is_file()
        }
        for path, text in texts.items():
            assert "4321" not in text, path
            assert "SAYS" not in text, path
        assert "4321" not in graded.run.stdout + graded.run.stderr


def test_what_is_written_is_for_the_one_who_grades(part: list[Graded]) -> None:
    """Where the grader is root, submissions run as other users."""
    assert [stat.S_IMODE(graded.out.stat().st_mode) for graded in part] == [0o700] * len(part)


def test_submissions_are_not_altered(part: list[Graded]) -> None:
    for graded in part:
        assert snapshot(graded.folder) == graded.before


def test_nothing_is_left_running(part: list[Graded]) -> None:
    assert not any(b"600.25" in line for line in running())


@pytest.mark.skipif(bool(no_bubblewrap()), reason=f"needs bubblewrap: {no_bubblewrap()}")
def test_nothing_is_written_outside_and_nothing_sent(
    part: list[Graded], listener: socket.socket
) -> None:
    for folder in (
        ROOT,
        ROOT / "l2lib",
        Path.home(),
        Path("/"),
        Path("/tmp"),
        *(graded.folder for graded in part),
    ):
        assert not (folder / f"WRITTEN-{MARK}").exists()
    assert not Path(f"/tmp/SAYS-{MARK}.txt").exists()
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("name", by_speed(["given-edited"]))
def test_a_second_run_grades_nobody_again(graded: Graded, name: str) -> None:
    times = {path: path.stat().st_mtime_ns for path in (graded.out / "results").glob("*.json")}
    grades = (graded.out / "grades.csv").read_text(encoding="utf-8")
    filled = grades.replace(
        f"{name},ps9/q4-why-derive,,by hand,", f"{name},ps9/q4-why-derive,2.5,by hand,well said"
    )
    (graded.out / "grades.csv").write_text(filled, encoding="utf-8")
    again = command(*graded.arguments)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("0 graded now")
    assert {
        path: path.stat().st_mtime_ns for path in (graded.out / "results").glob("*.json")
    } == times
    assert filled != grades
    assert "<td>2.5 of 3</td><td>by hand</td><td>well said</td>" in graded.page(name)
    assert (graded.out / "grades.csv").read_text(encoding="utf-8") == filled


# ---- interruption, and a fallback without namespaces --------------------------------------------
@pytest.mark.slow
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(6):
        slow = f"import time\ntime.sleep({1.5 if number > 1 else 0})\nnorms = 0.9 ** np.arange(5)"
        nbformat.write(notebook(q3=slow), tmp_path / f"in/student{number}.ipynb")
    line = [
        sys.executable,
        "-m",
        "course.grading",
        tmp_path / "in",
        "--sources",
        sources,
        "--set",
        "ps9",
    ]
    line += ["--jobs", "1"]
    options: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options |= {
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    }  # a job in the background ignores it
    with subprocess.Popen(line, start_new_session=True, **options) as run:
        until = time.monotonic() + 120
        results = tmp_path / "in-grades/results"
        while time.monotonic() < until and len(list(results.glob("[!r]*.json"))) < 2:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        _, words = run.communicate(timeout=60)
    skip_where_nothing_works(words.decode())
    assert run.returncode == 130, words.decode()[-2000:]
    done = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert 3 <= len(done) < 7
    assert not (tmp_path / "in-grades/grades.csv").exists()
    (tmp_path / "in/late.ipynb").write_text("{}", encoding="utf-8")
    report.write(
        tmp_path / "in-grades/feedback/left-unknown.html", "of a file that is no longer there"
    )
    nbformat.write(
        notebook(q3=WRONG["q3"]), tmp_path / "in/student0.ipynb"
    )  # graded before, and handed in anew
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"{7 - (len(done) - 2)} graded now, {len(done) - 2} before")
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    rows = (tmp_path / "in-grades/grades.csv").read_text(encoding="utf-8")
    assert (rows.count(",right,"), rows.count("student0,ps9/q3,0,wrong,")) == (17, 1)
    pages = {path.stem for path in (tmp_path / "in-grades/feedback").iterdir()}
    assert pages == {*(f"student{number}-ps9" for number in range(6)), "late-ps9"}


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="without bubblewrap all tests here run so"
)
def test_without_namespaces_it_says_so_and_still_contains(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "in").mkdir()
    names = (
        "reference",
        "daemon",
        "fork-bomb",
        "fork-bomb-behind",
        "memory",
        "endless-stubborn",
        "os-exit-cell",
    )
    made = attacks(tmp_path / "in", 1)
    for name in names:
        nbformat.write(made[name].notebook, tmp_path / f"in/{name}.ipynb")
    run = command(
        tmp_path / "in", "--sources", sources, "--set", "ps9", "--sandbox", "none", *SHORT
    )
    assert run.returncode == 0, run.stderr
    assert "NOT guaranteed" in run.stderr
    with (tmp_path / "in-grades/grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["student"], row["question"]): row["points"] for row in csv.DictReader(file)}
    for name in names:
        assert (
            tuple(float(rows[name, f"ps9/{question}"]) for question in IDS) == made[name].deserves
        ), name
    assert not any(b"600.25" in line for line in running())


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0,
    reason="only root changes its user, and copies Python",
)
@pytest.mark.skipif(
    unreadable() is not None, reason="Python is in a closed folder: all tests here run so"
)
def test_python_in_a_closed_folder_is_copied(tmp_path: Path, sources: Path) -> None:
    """A Python below pytest's folder, which is root's alone, and an environment of it that
    everybody can read.
    """
    (tmp_path / "in").mkdir()
    nbformat.write(GOOD, tmp_path / "in/one.ipynb")
    with copied() as python, tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        shutil.copytree(Path(python).parents[2], tmp_path / "python", symlinks=True)
        subprocess.run(
            [tmp_path / "python/bin/python3", "-m", "venv", "--without-pip", name], check=True
        )
        link = Path(name) / PACKAGES[0].relative_to(sys.prefix)
        link.rmdir()
        link.symlink_to(PACKAGES[0])
        line = [
            f"{name}/bin/python",
            "-m",
            "course.grading",
            tmp_path / "in",
            "--sources",
            sources,
            "--set",
            "ps9",
        ]
        run = subprocess.run(
            [*line, "--sandbox", "none"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    skip_where_nothing_works(run.stderr)
    assert run.returncode == 0, run.stderr
    grades = (tmp_path / "in-grades/grades.csv").read_text(encoding="utf-8")
    assert grades.count(",right,") == len(IDS)


# ---- the book's own sets, with the usual limits --------------------------------------------------
@pytest.mark.slow
def test_the_references_score_full_and_the_untouched_releases_nothing(tmp_path: Path) -> None:
    (tmp_path / "in/untouched").mkdir(parents=True)
    (tmp_path / "in/reference").mkdir()
    for path in sorted(SOURCES.glob("*.py")):
        shutil.copy(RELEASE / f"{path.stem}.ipynb", tmp_path / "in/untouched")
        nbformat.write(read_source(path), tmp_path / f"in/reference/{path.stem}.ipynb")
    run = command(tmp_path / "in", bar=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "8/8" in run.stderr  # the progress bar
    with (tmp_path / "in-grades/grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["question"].split("/")[0] for row in rows} == {"ps1", "ps2", "ps3", "ps4"}
    found = {
        (row["student"], row["status"], row["reason"])
        for row in rows
        if row["student"] == "reference"
    }
    assert found == {("reference", "right", ""), ("reference", "by hand", "")}
    blank = [row for row in rows if row["student"] == "untouched"]
    assert 2 * len(blank) == len(rows)
    empty = {(row["points"], row["status"], row["reason"] == "Left empty.") for row in blank}
    assert empty == {("", "by hand", True), ("0", "missing", False)}


@pytest.mark.slow
def test_a_reference_that_fails_stops_the_grading(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nbformat.write(GOOD, tmp_path / "in/one.ipynb")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/ps9.py").write_text(
        TINY.replace("0.9 ** np", "0.8 ** np", 1), encoding="utf-8"
    )
    done = command(tmp_path / "in", "--sources", tmp_path / "sources", "--set", "ps9", *LIMITS)
    assert done.returncode == 2
    assert "reference solution of ps9 fails q3" in done.stderr
    assert not (tmp_path / "in-grades/grades.csv").exists()


@pytest.mark.skipif(bool(no_bubblewrap()), reason=f"needs bubblewrap: {no_bubblewrap()}")
@pytest.mark.parametrize("name", by_speed(["reference"]))
def test_bubblewrap_is_used_where_it_works(graded: Graded, name: str) -> None:
    assert "bubblewrap" not in graded.run.stderr
