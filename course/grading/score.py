"""Run a set's tests against a student's answers. The tests come from the source, never from the submission."""

import contextlib
import io
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from course.grading.confine import Limits
from course.grading.problems import Cell, Check, Problems, question_number
from course.grading.sandbox import Ended
from course.grading.student import Student, builtin

RIGHT, WRONG, ERROR, STOPPED, MISSING, BY_HAND = "right", "wrong", "error", "stopped", "missing", "by hand"
UNREADABLE, PARTLY = "unreadable", "partly right"
LONGEST = 20_000  # characters of an answer that a person reads
DATA = "numbers, arrays, text, or lists, tuples and dicts of them"


class _Theirs:
    """Marks an exception as raised by the student's code, not by the test."""


class _Slow(BaseException):
    """The test itself takes too long with what came back."""


def grade(problems: Problems, cells: list[Cell], limits: Limits, number: int = 0) -> list[dict[str, Any]]:
    """Score a notebook.

    Args:
        problems: the set it answers.
        cells: the notebook's cells.
        limits: what it may use.
        number: of the submission, below ``USERS``; where the grader is root, each runs as a user of its own.

    Returns:
        In the order of the questions, a row for each that has tests and for each answer graded by hand: question,
        points, of, status, reason, and the answer where a person must read it.
    """
    tests = {test.id for test in problems.tests}
    runnable = [
        problems.locked.get(cell.id, cell.source) if cell.kind == "code" and cell.id not in tests else None
        for cell in cells
    ]
    student = Student(runnable, limits, number)
    try:
        outcomes = [(test, *check(test, student, cells)) for test in problems.tests]
    finally:
        student.close()
    rows = [
        _row(question, [outcome for outcome in outcomes if outcome[0].question == question])
        for question in dict.fromkeys(test.question for test in problems.tests)
    ]
    rows += [_by_hand(name, points, cells) for name, points in problems.by_hand.items()]
    return sorted(rows, key=lambda row: question_number(row["question"]))


def zero(problems: Problems, reason: str) -> list[dict[str, Any]]:
    """The rows of a file that cannot be read."""
    of: dict[str, float] = {}
    for test in problems.tests:
        of[test.question] = of.get(test.question, 0) + test.points
    nothing = {"points": 0.0, "status": UNREADABLE, "reason": reason}
    rows = [{"question": name, "of": points} | nothing for name, points in (of | problems.by_hand).items()]
    return sorted(rows, key=lambda row: question_number(row["question"]))


def check(test: Check, student: Student, cells: list[Cell]) -> tuple[float, str, str]:
    """Run one test cell.

    Args:
        test: the cell.
        student: whose answers it asks for.
        cells: the notebook's cells, to name one that went wrong.

    Returns:
        Points, status and reason; the reason is empty where the test holds.
    """
    try:
        names: dict[str, Any] = {"__name__": "__main__"}
        for name in test.needs:
            reply = student.ask(name)
            if "value" not in reply and "function" not in reply:
                return 0.0, *_absent(test, name, reply, student, cells)
            names[name] = reply["value"] if "value" in reply else _proxy(student, name)
        with _quiet(student.limits.test):
            exec(compile(test.code, test.id, "exec", optimize=0, dont_inherit=True), names)
    except Ended as ended:
        return 0.0, STOPPED, f"`{student.asked}` could not be tested: {ended}."
    except _Slow:
        return 0.0, ERROR, f"The tests of `{student.asked}` took too long."
    except Exception as error:
        return 0.0, *_blame(test, error, student.asked)
    return test.points, RIGHT, ""


def _proxy(student: Student, name: str) -> Callable[..., Any]:
    """A function that calls the student's, with data, in the student's process."""

    def call(*args: Any, **kwargs: Any) -> Any:
        reply = student.ask(name, args=args, kwargs=kwargs)
        if "value" in reply:
            return reply["value"]
        kind = builtin(reply["raised"]) if "raised" in reply else TypeError
        try:
            raised: Exception = type(kind.__name__, (_Theirs, kind), {"unsendable": "raised" not in reply})()
        except TypeError:  # a few built-in exceptions want arguments
            raised = type("RuntimeError", (_Theirs, RuntimeError), {})()
        raise raised

    return call


def _blame(test: Check, error: Exception, asked: str) -> tuple[str, str]:
    """Status and reason of a test that raised: words of ours, or of the test's author; never an error's own."""
    if isinstance(error, _Theirs):
        if isinstance(error, NotImplementedError):
            return MISSING, f"`{asked}` is not written yet: it raises NotImplementedError."
        if getattr(error, "unsendable", False):
            return ERROR, f"`{asked}` returned something other than {DATA}."
        return ERROR, f"`{asked}` stopped with {type(error).__name__} when a test called it."
    if isinstance(error, AssertionError):
        said = error.args[0] if len(error.args) == 1 else None
        return WRONG, said if said in test.messages else f"A test of `{asked}` does not hold."
    return ERROR, f"A test cannot use what `{asked}` gave: look at its type and shape."


def _absent(test: Check, name: str, reply: dict[str, Any], student: Student, cells: list[Cell]) -> tuple[str, str]:
    """Status and reason where a name that a test needs is not there."""
    if "missing" not in reply:
        return ERROR, f"`{name}` is neither a function nor {DATA}."
    reason = f"`{name}` is not defined after the notebook has run"
    mine = [n for n in sorted(student.trouble) if n < len(cells) and cells[n].id.split("-")[0] == test.question]
    for number in mine or sorted(student.trouble):
        first = cells[number].source.strip().partition("\n")[0][:60] if number < len(cells) else ""
        return MISSING, f"{reason}: the cell that begins with “{first}” {student.trouble[number]}."
    return MISSING, f"{reason}: keep the name that the question gives."


@contextlib.contextmanager
def _quiet(seconds: float) -> Iterator[None]:
    """Run a test without output, and no longer than that; the signal needs the main thread."""

    def stop(*_: object) -> None:
        raise _Slow

    if not hasattr(signal, "SIGALRM"):  # Windows: only for the tests of the problem sets, whose answers are ours
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), \
                warnings.catch_warnings():  # fmt: skip
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _row(question: str, outcomes: list[tuple[Check, float, str, str]]) -> dict[str, Any]:
    points, of = sum(outcome[1] for outcome in outcomes), sum(outcome[0].points for outcome in outcomes)
    bad = [outcome for outcome in outcomes if outcome[2] != RIGHT]
    status = RIGHT if not bad else PARTLY if points else bad[0][2]
    reason = " ".join(dict.fromkeys(outcome[3] for outcome in bad))
    return {"question": question, "points": points, "of": of, "status": status, "reason": reason}


def _by_hand(name: str, points: float, cells: list[Cell]) -> dict[str, Any]:
    answers = [cell.source for cell in cells if cell.id == name]
    empty = all(not answer.strip() or "YOUR ANSWER HERE" in answer for answer in answers)
    gone = "The cell for this answer is gone: look in the notebook."
    reason = "" if answers and not empty else "Left empty." if answers else gone
    row = {"question": name, "points": None, "of": points, "status": BY_HAND, "reason": reason}
    text = "\n\n".join(answers)
    rest = "\n\n(The rest is left out here: look in the notebook.)" if len(text) > LONGEST else ""
    return row | {"answer": text[:LONGEST] + rest}
