"""The two ways to score answers agree, on answers chosen to be hard for the faster one."""

import sys
from pathlib import Path

import pytest

from book.execute import ROOT
from course.grading.confine import Limits
from course.grading.problems import load
from tests.answer_runner import Jobs, again, forked, known_answers, parts, whole

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks")
HEAD = (
    '# %% nbgrader={{"grade": {0}, "grade_id": "{1}", "locked": {0}, "points": 1, "solution": {2}}}'
)
CELL = HEAD + "\n{3}\n\n"
CELLS = {
    "given": "import numpy as np\n\nstore, seen, limit = [2.0], [], 1",
    "q1-f": "def f(x):\n    return 2 * x",
    "given-later": "start = np.array(store)\n\n\ndef factor():\n    return float(start[0])",
    "given-table": "print(f(1), f(2))",
    "q2-g": "seen.append(0)\n\n\ndef g(x):\n    return x * factor()",
    "q3-h": "def h(x):\n    return float(np.linalg.norm(x))",
    "q4-k": "from math import pi\n\n\ndef k(x=limit):\n    return x + pi + seen[0]",
}
TESTS = {
    "q1-f": "f(3) == 6",
    "q2-g": "g(3) == 6",
    "q3-h": "h([3, 4]) == 5",
    "q4-k": "4.1 < k() < 4.2",
}
ANSWERS = {  # to the first question, and the questions on which each loses
    "another way": ("f = lambda x: x + x", ""),
    "wrong": ("def f(x):\n    return x", "1"),
    "raises when it is called": ("def f(x):\n    raise KeyError(x)", "1"),
    "raises before it is defined": ("f = np.nothing", "1"),
    "does not compile": ("def f(x) return 2 * x", "1"),
    "sleeps in a test": ("import time\n\n\ndef f(x):\n    time.sleep(60 * (x == 3))", "1"),
    "changes a list in place": ("store[0] = 9.0\n\n\ndef f(x):\n    return 2 * x", "2"),
    "changes it under another name": (
        "mine = [store]\nmine[0].insert(0, 9.0)\nf = lambda x: 2 * x",
        "2",
    ),
    "changes an array when it is called": ("def f(x):\n    start[:] = 9\n    return 2 * x", "2"),
    "lets another cell's name go": (
        "def f(x):\n    global factor\n    factor = None\n    return 2 * x",
        "2",
    ),
    "binds another cell's import": ("from numpy import pi\nnp = None\nf = lambda x: 2 * x", "23"),
    "binds another cell's number": ("limit = 9\n\n\ndef f(x):\n    return 2 * x", "4"),
    "changes a module": ("np.linalg.norm = np.sum\n\n\ndef f(x):\n    return 2 * x", "3"),
    "changes it by its parts": (
        "from numpy import linalg as l\n\nl.norm = np.sum\nf = lambda x: 2 * x",
        "3",
    ),
    "changes it by setattr": ("setattr(np.linalg, 'norm', np.sum)\nf = lambda x: 2 * x", "3"),
    "binds by globals": ("globals().update(limit=9)\n\n\ndef f(x):\n    return 2 * x", "4"),
    "imports everything": ("from math import *\n\n\ndef f(x):\n    return 2 * x", ""),
    "imports what is there": ("import numpy as np\n\n\ndef f(x):\n    return np.add(x, x)", ""),
}
LASTING = ["changes a module", "changes it by its parts", "changes it by setattr"]
SAMPLE = [
    "complex roots: the real part",
    "errors in the order of the groups",
    "a fit for each group, in a loop",
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A set of four questions, whose parts touch one another."""
    text = "".join(
        CELL.format("false", name, str(name in TESTS).lower(), code) for name, code in CELLS.items()
    )
    checks = [
        (f"{name}-check", f'assert {holds}, "{name[:2]}: it is not"')
        for name, holds in TESTS.items()
    ]
    path = tmp_path / "ps8.py"
    path.write_text(
        text + "".join(CELL.format("true", name, "false", code) for name, code in checks),
        encoding="utf-8",
    )
    return path


def lost(found: object) -> str:
    assert isinstance(found, dict), found
    return "".join(sorted({test[1] for test, (points, _) in found.items() if not points}))


@linux
@pytest.mark.slow
def test_both_ways_agree_on_answers_that_reach_beyond_their_cell(small: Path) -> None:
    jobs: Jobs = {
        small: {"the reference": {}} | {name: {"q1-f": code} for name, (code, _) in ANSWERS.items()}
    }
    jobs[small] |= {"leaves": {"q1-f": "raise SystemExit(3)"}, "nothing": dict.fromkeys(TESTS, "")}
    jobs[small] |= {"leaves out a change": {"q2-g": "def g(x):\n    return x * factor()"}}
    fast = dict(forked(jobs, Limits(test=10)))
    last, *_ = [jobs[small].pop(name) for name in LASTING]  # what they change would last
    slow = dict(whole(jobs, Limits(test=10))) | dict(whole({small: {LASTING[0]: last}}))
    assert {key: fast[key] for key in slow} == slow
    assert {name: lost(fast["ps8", name]) for name in ANSWERS} == {
        name: lose for name, (_, lose) in ANSWERS.items()
    }
    assert lost(fast["ps8", "the reference"]) == ""
    assert (lost(fast["ps8", "nothing"]), lost(fast["ps8", "leaves out a change"])) == ("1234", "4")
    assert fast["ps8", "leaves"] == "SystemExit: 3"


@linux
@pytest.mark.slow
def test_both_ways_agree_on_a_sample_of_the_books_answers() -> None:
    known = known_answers("ps1")
    answers = {each.name: each.changes for each in known.wrong + known.right}
    jobs: Jobs = {ROOT / "course/source/ps1.py": {name: answers[name] for name in SAMPLE}}
    assert dict(forked(jobs)) == dict(whole(jobs))


@linux
@pytest.mark.slow
def test_an_answer_that_hangs_or_dies_is_ended_and_named(small: Path) -> None:
    answers = {"hangs": "import time\n\ntime.sleep(600)", "dies": "import os\n\nos._exit(3)"}
    jobs: Jobs = {
        small: {"the reference": {}} | {name: {"q1-f": code} for name, code in answers.items()}
    }
    found = dict(forked(jobs, seconds=10))
    assert lost(found.pop(("ps8", "the reference"))) == ""
    assert found == {
        ("ps8", "hangs"): "it took too long",
        ("ps8", "dies"): "its process ended (status 3)",
    }


@pytest.mark.parametrize(
    ("cell", "code", "executed"),
    [
        ("q1-f", "def f(x):\n    return x", "q1"),
        ("q1-f", "def f(x, known=[]):\n    return x", "given-table q1"),
        ("q1-f", "def f(x):\n    return x\n\n\nf = np.vectorize(f)", "given-table q1"),
        ("q1-f", "def f(x):\n    start[0] = x", "given-later given-table q2-g q4-k q1 q2 q4"),
        ("q1-f", "def f(x):\n    h.calls = x", "given-table q3-h q1 q3"),
        ("q1-f", "import math\nimport numpy as np\n\n\ndef f(x):\n    return x", "q1"),
        (
            "q1-f",
            "from numpy import pi\n\n\ndef f(x):\n    return x",
            "given-later q2-g q4-k q1 q2 q4",
        ),
        ("given-later", "def factor():\n    return 2.0", "q2-g q4-k q2 q4"),
        ("q2-g", "def g(x):\n    return start[0] * x", "q4-k q2 q4"),
        ("q2-g", "np.random.seed(1)\n\n\ndef g(x):\n    return x", "q3-h q4-k q1 q2 q3 q4"),
    ],
)
def test_what_is_executed_for_an_answer(small: Path, cell: str, code: str, executed: str) -> None:
    problems = load(small)
    reference = parts(problems, {})
    number = list(CELLS).index(cell)
    names = {CELLS[name]: name for name in CELLS} | {test: test.question for test in problems.tests}
    first, *rest = again(reference, {number: code})
    assert first == code
    assert " ".join(names[part] for part in rest) == executed
