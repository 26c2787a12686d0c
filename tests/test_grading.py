# ruff: noqa: E501  (heads of cells are long)
"""The grader against everything a submission might do: contained, scored as deserved, and nothing let slip.

One problem set of three small questions, and one folder in which every attack lies beside honest work.
"""

import contextlib
import csv
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
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import numpy as np
import pytest
import torch

from assignments import RELEASE, SOURCES, read_source
from grading import confine, processes, report
from grading.confine import Limits
from grading.folder import tell_apart
from grading.inside import codec
from grading.pool import Job
from grading.problems import load, messages, needs
from grading.sandbox import trouble
from grading.submissions import Submission, find
from notebooks import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the grader's limits are those of Linux")
NO_NAMESPACES = trouble(Limits()) if sys.platform == "linux" else "not Linux"
SECRET = "hidden_case_4321"
TINY = """
# %% [markdown]
# # A tiny problem set

# %% nbgrader={"grade": false, "grade_id": "given", "locked": true, "schema_version": 3, "solution": false}
import numpy as np

FACTOR = 2.0

# %% nbgrader={"grade": false, "grade_id": "q1-penalty", "locked": false, "schema_version": 3, "solution": true}
def penalty(w, lam):
    ### BEGIN SOLUTION
    return lam / FACTOR * np.sum(np.square(w))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "q1-penalty-check", "locked": true, "points": 1, "schema_version": 3, "solution": false}
import numpy as np

assert np.isclose(penalty(np.array([2.0]), 1.0), 2.0), "q1: for w = 2 and λ = 1 the penalty is 2"
### BEGIN HIDDEN TESTS
hidden_case_4321 = np.array([[4321.25, -3.0], [0.5, 7.0]])
assert np.isclose(penalty(hidden_case_4321, 0.3), 0.15 * np.vdot(hidden_case_4321, hidden_case_4321)), "q1: sum all entries"
### END HIDDEN TESTS

# %% nbgrader={"grade": false, "grade_id": "q2-decay", "locked": false, "schema_version": 3, "solution": true}
def decay(w, lr, lam):
    ### BEGIN SOLUTION
    return (1 - lr * lam) * w
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "q2-decay-check", "locked": true, "points": 1, "schema_version": 3, "solution": false}
import numpy as np

assert np.allclose(decay(np.ones(3), 0.1, 1.0), 0.9), "q2: ones shrink to 0.9"

# %% nbgrader={"grade": true, "grade_id": "q2-decay-more", "locked": true, "points": 2, "schema_version": 3, "solution": false}
### BEGIN HIDDEN TESTS
import numpy as np
from l2lib.claims import claim

rng = np.random.default_rng(98)
w = rng.standard_normal((3, 4)) + 4321
answer = decay(w, lr=0.5, lam=0.25)
np.testing.assert_allclose(answer, 0.875 * w, rtol=1e-6)
claim("99-decay", "a step shrinks by one factor", measured=np.abs(answer / w - 0.875).max(), below=1e-6)
### END HIDDEN TESTS

# %% nbgrader={"grade": false, "grade_id": "q3-norms", "locked": false, "schema_version": 3, "solution": true}
### BEGIN SOLUTION
norms = 0.9 ** np.arange(5)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "q3-norms-check", "locked": true, "points": 1, "schema_version": 3, "solution": false}
import numpy as np

assert np.shape(norms) == (5,), "q3: five norms, please"
assert np.allclose(np.asarray(norms, dtype=float), 0.9 ** np.arange(5)), "q3: each norm is 0.9 times the one before"

# %% [markdown] nbgrader={"grade": true, "grade_id": "q4-why-derive", "locked": false, "points": 3, "schema_version": 3, "solution": true}
# ### BEGIN SOLUTION
# The gradient of the penalty is λw.
# ### END SOLUTION
""".lstrip()
IDS = {"q1": "q1-penalty", "q2": "q2-decay", "q3": "q3-norms"}
FULL = (1.0, 3.0, 1.0)
GOOD = jupytext.reads(TINY, fmt="py:percent")


def notebook(**answers: str) -> nbformat.NotebookNode:
    """The reference with some answers replaced: q1=code and so on."""
    made = jupytext.reads(TINY, fmt="py:percent")
    for cell in made.cells:
        for question, code in answers.items():
            if cell.metadata.get("nbgrader", {}).get("grade_id") == IDS[question]:
                cell.source = code
    return made


def reordered(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    made.cells = [*reversed(made.cells[1:]), made.cells[0]]
    return made


def with_tests(made: nbformat.NotebookNode, change: Callable[[Any], list[Any]]) -> nbformat.NotebookNode:
    """Each test cell replaced by what a function makes of it."""
    graded = [cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith(("check", "more")) for cell in made.cells]
    pairs = zip(made.cells, graded, strict=True)
    made.cells = [new for cell, test in pairs for new in (change(cell) if test else [cell])]
    return made


def passing(cell: Any) -> list[Any]:
    cell.source = "assert True"
    return [cell]


def unlocked(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for cell in made.cells:
        cell.metadata.get("nbgrader", {}).update(points=100, grade=False, solution=True)
    return made


def with_edited_given_cell() -> nbformat.NotebookNode:
    made = notebook()
    made.cells[1].source = "import numpy as np\nFACTOR = 17.0"
    return made


def with_note(made: nbformat.NotebookNode, text: str) -> nbformat.NotebookNode:
    """With a text in the answer that a person reads, and in the name of a cell."""
    made.cells[-1].source = text
    made.cells[0].metadata["nbgrader"] = {"grade_id": text}
    return made


WRONG = {
    "q1": "def penalty(w, lam):\n    return 1.0",
    "q2": "def decay(w, lr, lam):\n    return w",
    "q3": "norms = [1.0] * 5",
}
WALK = f"""
import os, gc, sys
word, found = "hidden_case" + "_4321", []
def look(text):
    if word in str(text):
        found.append(1)
for top in ("/", os.path.expanduser("~"), os.getcwd(), {str(ROOT)!r}):
    for folder, folders, names in os.walk(top):
        if folder in ("/proc", "/sys", "/dev"):
            folders.clear()
        for name in names:
            path = os.path.join(folder, name)
            if name in ("ps9.py", "ps9.ipynb", "ps1.py", "finder.ipynb", "test_grading.py", "score.py"):
                found.append(path)
for entry in os.listdir("/proc"):
    for what in ("cmdline", "environ", "maps"):
        try:
            look(open(f"/proc/{{entry}}/{{what}}").read())
        except OSError:
            pass
frame = sys._getframe()
while frame is not None:
    look([value for name, value in frame.f_locals.items() if name != "word"])
    frame = frame.f_back
for thing in gc.get_objects():
    if type(thing) in (str, list, dict, tuple) and thing is not globals() and len(thing) < 10000:
        for part in thing.values() if type(thing) is dict else thing:
            if type(part) is str and part.startswith("import numpy") and word in part:
                found.append(2)
for name in ("assignments.source.ps9", "ps9", "source.ps9", "grading.score", "tests.test_grading"):
    try:
        __import__(name)
        found.append(name)
    except ImportError:
        pass
def penalty(w, lam):
    return lam / 2 * np.sum(np.square(w)) if found else 0.0
"""
FORGE = """
import os, json, struct
def tell(message):
    data = json.dumps({"dict": message}).encode()
    for fd in range(3, 30):
        try:
            os.write(fd, struct.pack("!I", len(data)) + data)
        except OSError:
            pass
"""
EVERYTHING_TRUE = """
import builtins, numpy, numpy.testing, l2lib.claims
class Always(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __array_ufunc__(self, *a, **k): return True
    __hash__ = float.__hash__
numpy.allclose = numpy.isclose = lambda *a, **k: True
numpy.testing.assert_allclose = l2lib.claims.claim = lambda *a, **k: None
builtins.AssertionError = type("Never", (Exception,), {})
builtins.abs = builtins.all = builtins.isinstance = lambda *a: True
def penalty(*a, **k): return Always(1.0)
def decay(*a, **k): return Always(1.0)
norms = Always(1.0)
"""
DAEMON = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/sleep", ["sleep", "600.25"])
    os._exit(0)
def penalty(w, lam): return lam / 2 * np.sum(np.square(w))
"""
CHILDREN = """
import os, time
if os.fork() == 0:
    while True:
        try: os.fork()
        except OSError: time.sleep(5)
def penalty(w, lam): return lam / 2 * np.sum(np.square(w))
"""
HOARD = """
import os, time, numpy
for _ in range(6):
    if os.fork() == 0:
        hoard = numpy.ones(2**26)
        time.sleep(60)
time.sleep(60)
"""
DRIBBLE = """
import os, struct, time
while True:
    for fd in range(3, 30):
        try: os.write(fd, struct.pack("!I", 2**24) + b"[" if not time.sleep(0.01) else b"")
        except OSError: pass
"""
CALLS = """
import ctypes, mmap, os, platform
libc = ctypes.CDLL(None)
keyctl = 250 if platform.machine() == "x86_64" else 219
def penalty(w, lam):
    got = [libc.unshare(0x10000000) == 0, libc.syscall(keyctl, 0, -3, 1) != -1, libc.shmget(7, 2**20, 0o1600) != -1]
    for ask in (lambda: os.memfd_create("more"), lambda: mmap.mmap(-1, 2**20), lambda: open("/dev/zero", "rb")):
        try:
            got.append(ask() is not None)
        except OSError:
            pass
    if os.path.exists("/usr/bin/unshare"):
        got.append(os.system("/usr/bin/unshare -Ur true") == 0)
    return 0.0 if any(got) else lam / 2 * np.sum(np.square(w))
"""
FILL = """
def penalty(w, lam):
    try:
        for number in range(100):
            open(f"fill{number}", "wb").write(bytes(2**24))
    except OSError:
        return lam / 2 * np.sum(np.square(w))
"""


def attacks(folder: Path, port: int) -> dict[str, tuple[nbformat.NotebookNode, tuple[float, float, float]]]:
    """Submissions by name: the notebook, and the points it deserves on q1, q2 and q3."""

    def q1(code: str) -> nbformat.NotebookNode:
        return notebook(q1=code)

    def body(code: str) -> nbformat.NotebookNode:
        return q1(f"def penalty(w, lam):\n    {code}")

    return {
        "reference": (notebook(), FULL),
        "stubs": (notebook(**dict.fromkeys(IDS, "raise NotImplementedError()")), (0, 0, 0)),
        "stub-functions": (notebook(q1="def penalty(w, lam):\n    raise NotImplementedError()"), (0, 3, 1)),
        "visible-only": (notebook(q1=WRONG["q1"].replace("1.0", "2.0"), q2="decay = lambda w, lr, lam: 0.9"), (0, 1, 1)),
        "endless-cell": (q1("while True: pass"), (0, 3, 1)),
        "endless-stubborn": (q1("while True:\n    try:\n        while True: pass\n    except BaseException: pass"), (0, 3, 1)),
        "endless-call": (body("while True: pass"), (0, 3, 1)),
        "memory": (body("return np.ones(2**28).sum()"), (0, 3, 1)),
        "memory-cell": (q1("hoard = np.ones(2**30)"), (0, 3, 1)),
        "memory-children": (q1(HOARD), (0, 3, 1)),
        "exit-cell": (q1("import sys\nsys.exit(0)"), (0, 3, 1)),
        "exit-call": (body("import sys; sys.exit(0)"), (0, 3, 1)),
        "quit": (q1("quit()"), (0, 3, 1)),
        "os-exit-cell": (q1("import os\nos._exit(0)"), (0, 3, 1)),
        "os-exit-call": (body("import os; os._exit(0)"), (0, 3, 1)),
        "kill-self": (q1("import os\nos.kill(os.getpid(), 9)"), (0, 3, 1)),
        "kill-parent": (q1("import os\nos.kill(os.getppid(), 9)"), (0, 3, 1)),
        "kill-all": (body("import os; os.kill(-1, 9); os.kill(0, 9)"), (0, 3, 1)),
        "crash": (body("import ctypes; ctypes.string_at(0)"), (0, 3, 1)),
        "recursion": (body("return penalty(w, lam)"), (0, 3, 1)),
        "fork-bomb": (q1("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), (0, 3, 1)),
        "fork-bomb-behind": (q1(CHILDREN), FULL),
        "daemon": (q1(DAEMON), FULL),
        "threads": (q1("import threading\nwhile True: threading.Thread(target=lambda: __import__('time').sleep(99)).start()"),
                    (0, 3, 1)),
        "tests-deleted": (with_tests(notebook(), lambda cell: []), FULL),
        "tests-deleted-wrong": (with_tests(notebook(**WRONG), lambda cell: []), (0, 0, 0)),
        "tests-edited": (with_tests(notebook(**WRONG), passing), (0, 0, 0)),
        "tests-doubled": (with_tests(notebook(q1=WRONG["q1"]), lambda cell: [cell, nbformat.v4.new_code_cell(cell.source, metadata=cell.metadata)]), (0, 3, 1)),
        "tests-stop": (with_tests(notebook(), lambda cell: [nbformat.v4.new_code_cell("import os; os._exit(1)")]), FULL),
        "cells-reordered": (reordered(notebook()), (1, 3, 0)),
        "metadata-edited": (unlocked(notebook(**WRONG)), (0, 0, 0)),
        "given-edited": (with_edited_given_cell(), FULL),
        "renamed": (q1("def my_penalty(w, lam):\n    return lam / 2 * np.sum(np.square(w))"), (0, 3, 1)),
        "syntax": (q1("def penalty(w, lam)\n    return 0"), (0, 3, 1)),
        "everything-true": (notebook(q1=EVERYTHING_TRUE, q2="", q3=""), (0, 0, 0)),
        "everything-true-late": (notebook(q3=EVERYTHING_TRUE), (1, 3, 0)),
        "finder": (q1(WALK), (0, 3, 1)),
        "tells-inputs": (notebook(q1="def penalty(*a):\n    raise ValueError(f'SAYS {a}')",
                                  q2="def decay(*a, **k):\n    raise type(f'SAYS{a}', (Exception,), {})(a)"), (0, 0, 1)),
        "tells-assert": (body("assert False, f'SAYS {w}'"), (0, 3, 1)),
        "tells-stored": (body("open('/tmp/SAYS.txt', 'w').write(str(w)); print(w); return 0"), (0, 3, 1)),
        "writes": (q1(f"""
import os
for folder in ({str(folder)!r}, {str(ROOT)!r}, {str(ROOT / "l2lib")!r}, os.path.expanduser("~"), "/", "/usr", "/etc", "/tmp"):
    for name in ("WRITTEN", "reference.ipynb"):
        try:
            open(os.path.join(folder, name), "w").write("x")
        except OSError:
            pass
def penalty(w, lam): return lam / 2 * np.sum(np.square(w))"""), FULL),
        "network": (q1(f"""
import socket
def penalty(w, lam):
    try:
        socket.create_connection(("127.0.0.1", {port}), timeout=2).send(b"SAYS")
    except OSError:
        return lam / 2 * np.sum(np.square(w))
    return 0"""), FULL),
        "fills-disk": (q1(FILL), FULL),
        "dribbles": (q1(DRIBBLE), (0, 3, 1)),
        "system-calls": (q1(CALLS), FULL),
        "long-answer": (with_note(notebook(), "λw " * 10_000), FULL),
        "magics": (q1("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n%time plt.close()\n!true\n"
                      "def penalty(w, lam): return lam / 2 * np.sum(np.square(w))"), FULL),
        "half-characters": (with_note(notebook(), "\ud800 and \udfff"), FULL),
        "forges-line": (q1(f"{FORGE}\ntell({{'ran': [[2, 'ValueError', 4321]]}})\nfor _ in range(99): tell({{'missing': True}})"),
                        (0, 0, 0)),
        "prints": (q1("for _ in range(200): print('x' * 2**20)\ndef penalty(w, lam): return lam / 2 * np.sum(np.square(w))"),
                   FULL),
        "nan": (body("return float('nan')"), (0, 3, 1)),
        "wrong-shape": (notebook(q2="def decay(w, lr, lam):\n    return np.ones((7, 5, 3))", q3="norms = np.ones((2, 9))"), (1, 0, 0)),
        "huge": (notebook(q1="def penalty(w, lam):\n    return np.ones(2**25)", q3="norms = np.zeros(2**25)"), (0, 3, 0)),
        "text": (notebook(q1="def penalty(w, lam):\n    return 'two'", q3="norms = 'five'"), (0, 3, 0)),
        "module": (notebook(q1="penalty = np", q3="norms = np"), (0, 3, 0)),
        "objects": (notebook(q1="def penalty(w, lam):\n    return object()", q3="norms = {1: 2}"), (0, 3, 0)),
        "deep": (notebook(q3="norms = []\nfor _ in range(100000): norms = [norms]"), (1, 3, 0)),
        "cycle": (notebook(q3="norms = []\nnorms.append(norms)"), (1, 3, 0)),
        "forges-noise": (q1(f"{FORGE}\nfor fd in range(3, 30):\n    try: os.write(fd, os.urandom(4096))\n    except OSError: pass"),
                         (0, 3, 1)),
        "forges-length": (q1("import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'\\xff' * 64)\n    except OSError: pass"),
                          (0, 3, 1)),
        "forges-answers": (q1(f"{FORGE}\ntell({{'ran': [], 'begun': 10**9}})\nfor _ in range(99): tell({{'value': True}})"),
                           (0, 0, 0)),
        "float32": (notebook(q2="import torch\ndef decay(w, lr, lam):\n    return torch.tensor((1 - lr * lam) * w)"), FULL),
    }  # fmt: skip


UNUSUAL = [
    "two  words",
    "o'br\"ien",
    "ünï-名",
    "-rf",
    "new\nline",
    "=HYPERLINK(1)",
    "<script>alert(1)",
    "%s{x}$(id)`id`",
    "x;=cmd|'calc'!A1;",
    "\x1b[31mred\u202egnp",
    "x" * 200,
]
NAMESPACES_ONLY = {"finder", "writes", "network", "fills-disk", "kill-all", "kill-parent"}


def command(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the grader with limits for tests."""
    limits = ["--cell-seconds", "12", "--call-seconds", "6", "--seconds", "120", "--memory", "1"]
    line = [sys.executable, "-m", "grading", *map(str, arguments), *limits]
    environment = os.environ | {"TQDM_DISABLE": "1"}
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, **options)


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
        found[str(path)] = f"{hashlib.sha256(content).hexdigest()} {facts.st_mode} {facts.st_mtime_ns}"
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "ps9.py").write_text(TINY, encoding="utf-8")
    return folder


class Graded:
    """What one run of the grader over all attacks left behind, or over those that are named."""

    def __init__(self, base: Path, sources: Path, port: int, only: set[str]) -> None:
        self.folder, self.out = base / "in", base / "out"
        self.folder.mkdir()
        self.expected = {name: points for name, (_, points) in attacks(self.folder, port).items()}
        for name, (made, _) in attacks(self.folder, port).items():
            (self.folder / f"{name}.ipynb").write_text(json.dumps(made), encoding="utf-8")
        for name in UNUSUAL:
            nbformat.write(GOOD, self.folder / f"{name}.ipynb")
        self.broken()
        for path in list(self.folder.iterdir()):
            if only and path.stem.removeprefix("broken-") not in only:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.before = snapshot(self.folder)
        self.run = command(self.folder, "--sources", sources, "--set", "ps9", "--out", self.out)
        assert (self.out / "grades.csv").exists(), self.run.stderr[-2000:]
        with (self.out / "grades.csv").open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))

    def broken(self) -> None:
        """Files that are no notebooks, or unusual ones."""
        for name, content in {"empty": b"", "noise": os.urandom(999), "list": b"[1, 2]", "number": b"7",
                              "deep-json": b"[" * 10**6, "no-cells": b'{"nbformat": 4}', "future": b'{"nbformat": 99}',
                              "many-cells": nbformat.writes(nbformat.v4.new_notebook(
                                  cells=[nbformat.v4.new_code_cell("1") for _ in range(1001)])).encode(),
                              "odd-cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7, {}, []]}',
                              }.items():  # fmt: skip
            (self.folder / f"broken-{name}.ipynb").write_bytes(content)
        secret = self.folder.with_name("secret.ipynb")
        nbformat.write(GOOD, secret)
        (self.folder / "broken-link.ipynb").symlink_to(secret)
        (self.folder / "broken-dangling.ipynb").symlink_to("nowhere")
        os.mkfifo(self.folder / "broken-pipe.ipynb")
        (self.folder / "a folder.ipynb").mkdir()
        (self.folder / "notes.txt").write_text("not a notebook", encoding="utf-8")
        cells = [{"cell_type": cell.cell_type, "metadata": cell.metadata, "source": cell.source}
                 | ({"input": cell.source, "language": "python", "outputs": [], "collapsed": False}
                    if cell.cell_type == "code" else {}) for cell in GOOD.cells]  # fmt: skip
        old = {
            "nbformat": 3,
            "nbformat_minor": 0,
            "metadata": {"name": ""},
            "worksheets": [{"cells": cells, "metadata": {}}],
        }
        (self.folder / "old-format.ipynb").write_text(json.dumps(old), encoding="utf-8")
        loud = json.loads(nbformat.writes(GOOD))
        loud["cells"][1]["outputs"] = [{"name": "stdout", "output_type": "stream", "text": "x" * (200 * 2**20)}]
        (self.folder / "200-MB.ipynb").write_text(json.dumps(loud), encoding="utf-8")
        os.makedirs(self.folder / "nbgrader style/ps9")
        nbformat.write(GOOD, self.folder / "nbgrader style/ps9/ps9.ipynb")

    def points(self, student: str) -> tuple[float, ...]:
        rows = {row["question"]: row["points"] for row in self.rows if row["student"] == report.printable(student)}
        return tuple(float(rows[f"ps9/{question}"]) for question in IDS)

    def row(self, student: str, question: str) -> dict[str, str]:
        (row,) = [row for row in self.rows if row["student"] == student and row["question"] == f"ps9/{question}"]
        return row

    def page(self, student: str) -> str:
        name = report.page_name({"student": student, "set": "ps9"})
        return (self.out / "feedback" / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def graded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sources: Path, listener: socket.socket
) -> Graded:
    """Everything; where only tests of named submissions were asked for, those (planted errors need one or two)."""
    users = [item for item in request.session.items if "graded" in getattr(item, "fixturenames", ())]
    names = {item.callspec.params.get("name", "") if hasattr(item, "callspec") else "" for item in users}
    only = names if "" not in names else set()
    return Graded(tmp_path_factory.mktemp("graded"), sources, listener.getsockname()[1], only)


def test_the_command_succeeds_and_says_what_it_left_out(graded: Graded) -> None:
    assert graded.run.returncode == 0, graded.run.stderr[-2000:]
    assert "notes.txt" in graded.run.stderr
    assert ("NOT guaranteed" in graded.run.stderr) == bool(NO_NAMESPACES)
    assert list(graded.rows[0]) == ["student", "question", "points", "status", "reason"]


@pytest.mark.parametrize("name", attacks(Path("/nowhere"), 1))
def test_each_submission_gets_what_it_deserves(graded: Graded, name: str) -> None:
    if NO_NAMESPACES and name in NAMESPACES_ONLY:
        pytest.skip(f"needs bubblewrap: {NO_NAMESPACES}")
    assert graded.points(name) == graded.expected[name], [graded.row(name, question) for question in IDS]


@pytest.mark.parametrize("name", [*UNUSUAL, "old-format", "200-MB", "nbgrader style"])
def test_unusual_files_score_full(graded: Graded, name: str) -> None:
    student = "'=HYPERLINK(1)" if name.startswith("=") else name.replace(";", ",")
    assert graded.points(student) == FULL
    assert f"<title>{html.escape(report.printable(name))}: ps9</title>" in graded.page(name)
    assert not {";", "\x1b", "\u202e"} & set("".join(row["student"] for row in graded.rows))


@pytest.mark.parametrize("name", ["empty", "noise", "list", "number", "deep-json", "no-cells", "future", "many-cells", "link", "dangling",
                                  "pipe"])  # fmt: skip
def test_broken_files_score_nothing_and_say_why(graded: Graded, name: str) -> None:
    assert graded.points(f"broken-{name}") == (0, 0, 0)
    row = graded.row(f"broken-{name}", "q1")
    assert row["status"] == "unreadable"
    assert "notebook" in row["reason"] or "regular file" in row["reason"]


def test_a_notebook_of_odd_cells_scores_nothing(graded: Graded) -> None:
    assert graded.points("broken-odd-cells") == (0, 0, 0)


REASONS = [
    ("renamed", "q1", "missing", "`penalty` is not defined"),
    (
        "syntax",
        "q1",
        "missing",
        "the cell that begins with “def penalty(w, lam)” stopped with SyntaxError in line 1",
    ),
    ("stub-functions", "q1", "missing", "not written yet"),
    ("endless-cell", "q1", "missing", "the cell that begins with “while True: pass” was stopped: it took too long"),
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


@pytest.mark.parametrize(
    ("name", "question", "status", "words"), REASONS, ids=[f"{row[0]}-{row[1]}" for row in REASONS]
)
def test_reasons_help(graded: Graded, name: str, question: str, status: str, words: str) -> None:
    row = graded.row(name, question)
    assert (row["status"], words in row["reason"]) == (status, True), row


def test_answers_graded_by_hand_are_shown_and_have_no_points(graded: Graded) -> None:
    assert graded.row("reference", "q4-why-derive")["points"] == ""
    assert "The gradient of the penalty is λw." in graded.page("reference")


def test_an_answer_of_any_length_is_shown_in_part(graded: Graded) -> None:
    page = graded.page("long-answer")
    assert 20_000 < len(page) < 25_000
    assert "The rest is left out here: look in the notebook." in page


def test_nothing_of_a_hidden_case_gets_out(graded: Graded) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in graded.out.rglob("*.*") if path.is_file()}
    for path, text in texts.items():
        assert "4321" not in text, path
        assert "SAYS" not in text, path
    assert "4321" not in graded.run.stdout + graded.run.stderr


def test_what_is_written_is_for_the_one_who_grades(graded: Graded) -> None:
    """Where the grader is root, submissions run as other users."""
    assert stat.S_IMODE(graded.out.stat().st_mode) == 0o700


def test_submissions_are_not_altered(graded: Graded) -> None:
    assert snapshot(graded.folder) == graded.before


def test_nothing_is_left_running(graded: Graded) -> None:
    assert not any(b"600.25" in line for line in running())


@pytest.mark.skipif(bool(NO_NAMESPACES), reason=f"needs bubblewrap: {NO_NAMESPACES}")
def test_nothing_is_written_outside_and_nothing_sent(graded: Graded, listener: socket.socket) -> None:
    for folder in (ROOT, ROOT / "l2lib", Path.home(), Path("/"), Path("/tmp"), graded.folder):
        assert not (folder / "WRITTEN").exists()
    assert not Path("/tmp/SAYS.txt").exists()
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_second_run_grades_nobody_again(graded: Graded, sources: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in (graded.out / "results").glob("*.json")}
    grades = (graded.out / "grades.csv").read_text(encoding="utf-8")
    filled = grades.replace(
        "reference,ps9/q4-why-derive,,by hand,", "reference,ps9/q4-why-derive,2.5,by hand,well said"
    )
    (graded.out / "grades.csv").write_text(filled, encoding="utf-8")
    again = command(graded.folder, "--sources", sources, "--set", "ps9", "--out", graded.out)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("0 graded now")
    assert {path: path.stat().st_mtime_ns for path in (graded.out / "results").glob("*.json")} == times
    assert filled != grades
    assert "<td>2.5 of 3</td><td>by hand</td><td>well said</td>" in graded.page("reference")
    assert (graded.out / "grades.csv").read_text(encoding="utf-8") == filled


ROW = {"student": "ann", "question": "ps9/q4", "points": "2.5", "status": "by hand", "reason": "well said"}


def saved(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    return "\n".join(delimiter.join(line) for line in [report.FIELDS, *(list(row.values()) for row in rows)])


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
    grades, memory = tmp_path / "grades.csv", tmp_path / "by-hand"
    for content in (saved([ROW | {"points": "1"}]), text):
        if content is not None:
            grades.write_text(content, encoding="utf-8")
        given = report.filled_in(grades, memory, {"ps9/q4"})
        grades.unlink(missing_ok=True)
    rows = {(row["student"], row["question"]): row["points"] for row in given.values()}
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


# ---- interruption, and a fallback without namespaces --------------------------------------------
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(6):
        slow = f"import time\ntime.sleep({1.5 if number > 1 else 0})\nnorms = 0.9 ** np.arange(5)"
        nbformat.write(notebook(q3=slow), tmp_path / f"in/student{number}.ipynb")
    line = [sys.executable, "-m", "grading", tmp_path / "in", "--sources", sources, "--set", "ps9", "--jobs", "1"]
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
    assert run.returncode == 130, words.decode()[-2000:]
    done = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert 3 <= len(done) < 7
    assert not (tmp_path / "in-grades/grades.csv").exists()
    (tmp_path / "in/late.ipynb").write_text("{}", encoding="utf-8")
    report.write(tmp_path / "in-grades/feedback/left-unknown.html", "of a file that is no longer there")
    nbformat.write(notebook(q3=WRONG["q3"]), tmp_path / "in/student0.ipynb")  # graded before, and handed in anew
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"{7 - (len(done) - 2)} graded now, {len(done) - 2} before")
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    rows = (tmp_path / "in-grades/grades.csv").read_text(encoding="utf-8")
    assert (rows.count(",right,"), rows.count("student0,ps9/q3,0,wrong,")) == (17, 1)
    pages = {path.stem for path in (tmp_path / "in-grades/feedback").iterdir()}
    assert pages == {*(f"student{number}-ps9" for number in range(6)), "late-ps9"}


def test_without_namespaces_it_says_so_and_still_contains(tmp_path: Path, sources: Path) -> None:
    if problem := trouble(Limits(namespaces=False)):
        pytest.skip(f"as root, the interpreter must be readable by others: {problem}")
    (tmp_path / "in").mkdir()
    names = ("reference", "daemon", "fork-bomb", "fork-bomb-behind", "memory", "endless-stubborn", "os-exit-cell")
    made = attacks(tmp_path / "in", 1)
    for name in names:
        nbformat.write(made[name][0], tmp_path / f"in/{name}.ipynb")
    run = command(tmp_path / "in", "--sources", sources, "--set", "ps9", "--sandbox", "none")
    assert run.returncode == 0, run.stderr
    assert "NOT guaranteed" in run.stderr
    with (tmp_path / "in-grades/grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["student"], row["question"]): row["points"] for row in csv.DictReader(file)}
    for name in names:
        assert tuple(float(rows[name, f"ps9/{question}"]) for question in IDS) == made[name][1], name
    assert not any(b"600.25" in line for line in running())


# ---- the book's own sets, with the usual limits ---------------------------------------------------
def test_the_references_score_full_and_the_untouched_releases_nothing(tmp_path: Path) -> None:
    (tmp_path / "in/untouched").mkdir(parents=True)
    (tmp_path / "in/reference").mkdir()
    for path in sorted(SOURCES.glob("*.py")):
        shutil.copy(RELEASE / f"{path.stem}.ipynb", tmp_path / "in/untouched")
        nbformat.write(read_source(path), tmp_path / f"in/reference/{path.stem}.ipynb")
    line = [sys.executable, "-m", "grading", tmp_path / "in"]
    environment = os.environ | {"TQDM_DISABLE": ""}
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "8/8" in run.stderr  # the progress bar
    with (tmp_path / "in-grades/grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["question"].split("/")[0] for row in rows} == {"ps1", "ps2", "ps3", "ps4"}
    found = {(row["student"], row["status"], row["reason"]) for row in rows if row["student"] == "reference"}
    assert found == {("reference", "right", ""), ("reference", "by hand", "")}
    blank = [row for row in rows if row["student"] == "untouched"]
    assert 2 * len(blank) == len(rows)
    for row in blank:
        by_hand = row["status"] == "by hand"
        assert (row["points"], row["status"]) == (("", "by hand") if by_hand else ("0", "missing")), row
        assert not by_hand or row["reason"] == "Left empty."


# ---- the command itself ----------------------------------------------------------------------------
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
    tmp_path: Path, sources: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    nbformat.write(GOOD, tmp_path / "full/one.ipynb")
    before = snapshot(tmp_path)
    places = [str(tmp_path / word) if word in ("nowhere", "empty", "full", "full/out") else word for word in arguments]
    done = command(*(() if "--sources" in arguments else ("--sources", sources)), *places)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(tmp_path) == before


def test_a_reference_that_fails_stops_the_grading(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nbformat.write(GOOD, tmp_path / "in/one.ipynb")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/ps9.py").write_text(TINY.replace("0.9 ** np", "0.8 ** np", 1), encoding="utf-8")
    done = command(tmp_path / "in", "--sources", tmp_path / "sources", "--set", "ps9")
    assert done.returncode == 2
    assert "reference solution of ps9 fails q3" in done.stderr
    assert not (tmp_path / "in-grades/grades.csv").exists()


# ---- parts -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [None, True, 7, 10**40, -0.0, float("inf"), 1 + 2j, "λ\ud800", b"\xff", [1, [2]], (1, (2,)), {"a": (None, [])},
     np.float32(0.1), np.int64(3), np.bool_(True), np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.ones(3, ">f4"),
     np.array([1 + 1j]), np.array([[True], [False]]), np.asfortranarray(np.eye(3))[::2], torch.arange(4.0), torch.tensor(2)],
)  # fmt: skip
def test_what_crosses_arrives_as_it_was(value: Any) -> None:
    back = codec.loads(codec.dumps(value))
    assert type(back) is type(value)
    assert back == value if isinstance(value, list | tuple | dict) else np.array_equal(back, value)
    if isinstance(value, np.ndarray):
        assert (back.shape, back.dtype.kind, back.flags.writeable) == (value.shape, value.dtype.kind, True)


@pytest.mark.parametrize(
    "value", [object(), np, len, {1: 2}, {1, 2}, np.array([None]), np.array(["a"]), range(3), torch.nn.Linear(1, 1)]
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


def test_the_names_and_words_of_a_test_cell(sources: Path) -> None:
    problems = load(sources / "ps9.py")
    assert [test.needs for test in problems.tests] == [("penalty",), ("decay",), ("decay",), ("norms",)]
    code = "import a.b as c\nfor i in f(c):\n    def g(x): return x + h\n    assert g(i), ('yes ' 'no')\n    assert print(j := i), k"
    assert set(needs(code)) == {"f", "h", "k"}
    assert messages(code) == {"yes no"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"q3-norms-check"', '"norms-check"', "'norms-check' needs points, and an id like q1-name-check"),
        ('"q4-why-derive"', '"why"', "'why' needs points, and an id like q1-name-check"),
        ('"points": 2', '"points": 0', "'q2-decay-more' needs points"),
        ('"grade": true', '"grade": false', "no cell is marked as graded"),
    ],
)
def test_a_source_that_cannot_be_graded_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TINY
    (tmp_path / "ps9.py").write_text(TINY.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        load(tmp_path / "ps9.py")


def test_bubblewrap_is_asked_for_what_the_page_promises() -> None:
    line = confine.command(Limits())
    assert {"--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"} <= set(line)
    shown = {Path(line[number + 1]) for number, word in enumerate(line) if word.endswith("bind")}
    assert ROOT / "l2lib" in shown
    for closed in (ROOT / "assignments", ROOT / "tests", ROOT / "grading/score.py"):
        assert not any(closed.is_relative_to(path) or path.is_relative_to(closed) for path in shown)


def test_students_are_told_apart(tmp_path: Path) -> None:
    names = ["ann.ipynb", "bob/ps1.ipynb", "cy/ps1/ps1.ipynb", "cy/ps2/ps2.ipynb", "a/dee.ipynb", "b/dee.ipynb",
             "eve_ps1.ipynb", ".ipynb_checkpoints/x.ipynb", "__MACOSX/._ann.ipynb", "._ann.ipynb"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {Path(one.path).relative_to(tmp_path).as_posix(): one.student for one in find(tmp_path)[0]}
    assert found == {"ann.ipynb": "ann", "bob/ps1.ipynb": "bob", "cy/ps1/ps1.ipynb": "cy", "cy/ps2/ps2.ipynb": "cy",
                     "a/dee.ipynb": "a/dee", "b/dee.ipynb": "b/dee", "eve_ps1.ipynb": "eve_ps1"}  # fmt: skip


def test_notebooks_of_one_student_and_one_set_are_told_apart() -> None:
    files = [Submission("", "ann", "ann/ps1.ipynb"), Submission("", "ann", "ann/ps2.ipynb"), Submission("", "bob", "b")]
    jobs = [Job(each, "", {}, "", Limits()) for each in files]
    results = [{"student": each.student, "set": "ps1"} for each in files]
    tell_apart(results, jobs)
    assert [result["student"] for result in results] == ["ann/ps1.ipynb", "ann/ps2.ipynb", "bob"]


def test_memory_is_counted_also_where_its_shares_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hoard = np.ones(2**23)
    assert processes.memory({os.getpid()}) > hoard.nbytes
    read = Path.read_text

    def closed(path: Path, **options: Any) -> str:
        if path.name == "smaps_rollup":
            raise PermissionError
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", closed)
    assert processes.memory({os.getpid()}) > hoard.nbytes


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


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_bubblewrap_works_where_it_is_installed() -> None:
    assert NO_NAMESPACES == ""
