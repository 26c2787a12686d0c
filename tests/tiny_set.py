"""A problem set of three small questions, and everything a submission might do: the grader's tests
run them.
"""

import copy
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat

from book.execute import ROOT

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
MARK = uuid.uuid4().hex[:12]
"""In the names of files that attacks write: without bubblewrap they stay, and must not be taken for
a later run's."""
IDS = {"q1": "q1-penalty", "q2": "q2-decay", "q3": "q3-norms"}
FULL = (1.0, 3.0, 1.0)
GOOD: nbformat.NotebookNode = jupytext.reads(TINY, fmt="py:percent")


def notebook(**answers: str) -> nbformat.NotebookNode:
    """The reference with some answers replaced: q1=code and so on."""
    made = copy.deepcopy(GOOD)
    for cell in made.cells:
        for question, code in answers.items():
            if cell.metadata.get("nbgrader", {}).get("grade_id") == IDS[question]:
                cell.source = code
    return made


def reordered(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    made.cells = [*reversed(made.cells[1:]), made.cells[0]]
    return made


def with_tests(
    made: nbformat.NotebookNode, change: Callable[[Any], list[Any]]
) -> nbformat.NotebookNode:
    """Each test cell replaced by what a function makes of it."""
    graded = [
        cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith(("check", "more"))
        for cell in made.cells
    ]
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
for name in ("assignments.source.ps9", "ps9", "source.ps9", "course.grading.score", "tests.test_grading"):
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
    for ask in (lambda: os.memfd_create("more"), lambda: mmap.mmap(-1, 2**20)):
        try:
            got.append(ask() is not None)
        except OSError:
            pass
    if os.path.exists("/usr/bin/unshare"):
        got.append(os.system("/usr/bin/unshare -Ur true") == 0)
    return 0.0 if any(got) else lam / 2 * np.sum(np.square(w))
"""
ZERO = """
import mmap
def penalty(w, lam):
    try:
        with open("/dev/zero", "r+b") as file:
            return float(mmap.mmap(file.fileno(), 2**20)[0])
    except (OSError, ValueError):
        return lam / 2 * np.sum(np.square(w))
"""
FILL = """
def penalty(w, lam):
    try:
        for number in range(100):
            open(f"fill{number}", "wb").write(bytes(2**24))
    except OSError:
        return lam / 2 * np.sum(np.square(w))
"""


class Submitted(NamedTuple):
    """A notebook, and the points that it deserves on q1, q2 and q3."""

    notebook: nbformat.NotebookNode
    deserves: tuple[float, float, float]


def attacks(folder: Path, port: int) -> dict[str, Submitted]:
    """Submissions by name."""

    def q1(code: str) -> nbformat.NotebookNode:
        return notebook(q1=code)

    def body(code: str) -> nbformat.NotebookNode:
        return q1(f"def penalty(w, lam):\n    {code}")

    made: dict[str, tuple[nbformat.NotebookNode, tuple[float, float, float]]] = {
        "reference": (notebook(), FULL),
        "stubs": (notebook(**dict.fromkeys(IDS, "raise NotImplementedError()")), (0, 0, 0)),
        "stub-functions": (notebook(q1="def penalty(w, lam):\n    raise NotImplementedError()"), (0, 3, 1)),
        "visible-only": (notebook(q1=WRONG["q1"].replace("1.0", "2.0"), q2="decay = lambda w, lr, lam: 0.9"), (0, 1, 1)),
        "endless-sleep": (q1("import time\nwhile True: time.sleep(1)"), (0, 3, 1)),
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
        "tells-stored": (body(f"import os; open(os.path.expanduser('~/SAYS-{MARK}.txt'), 'w').write(str(w)); print(w); return 0"), (0, 3, 1)),
        "writes": (q1(f"""
import os
for folder in ({str(folder)!r}, {str(ROOT)!r}, {str(ROOT / "l2lib")!r}, os.path.expanduser("~"), "/", "/usr", "/etc", "/tmp"):
    for name in ("WRITTEN-{MARK}", "reference.ipynb"):
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
        "memory-of-a-device": (q1(ZERO), FULL),
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
    return {name: Submitted(*pair) for name, pair in made.items()}


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
FEW = {
    "reference",
    "stubs",
    "endless-sleep",
    "memory",
    "exit-cell",
    "finder",
    "tells-inputs",
    "tests-edited",
}
"""What `make test` runs, one of each kind; the rest is slow."""
BURNING = {"endless-cell", "endless-stubborn", "endless-call", "fork-bomb"}
"""They compute until they are stopped."""
NAMESPACES_ONLY = {
    "finder",
    "writes",
    "network",
    "fills-disk",
    "memory-of-a-device",
    "kill-all",
    "kill-parent",
}
"""Not contained without bubblewrap, and not run then: one would end all that its user runs, others
fill the disk."""


# ---- the smallest source that keeps the contract ---------------------------------------------
SAMPLE = """# %% [markdown]
# # Sample

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q1-a", "locked": false, "schema_version": 3, "solution": true, "task": false}
def f(x):
    ### BEGIN SOLUTION
    return x ** 17
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q1-a-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert f(1) == 1, "q1: one stays one"
### BEGIN HIDDEN TESTS
assert f(2) == 131072, "q1: other numbers do not"
### END HIDDEN TESTS
"""
HIDDEN = 'assert f(2) == 131072, "q1: other numbers do not"'
