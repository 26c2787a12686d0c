"""Run a set's tests on a student's answers. They come from the source, never from a submission."""

import contextlib
import io
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from course.grading import places
from course.grading.confine import Limits
from course.grading.problems import Cell, Check, Problems, question_number
from course.grading.results import Row, Status
from course.grading.sandbox import Ended
from course.grading.student import Answers, Kind, Reply, Student, builtin

LONGEST = 20_000  # characters of an answer that a person reads
DATA = "numbers, arrays, text, or lists, tuples and dicts of them"


class Outcome(NamedTuple):
    """What one test cell gives; the reason is empty where it holds."""

    points: float
    status: Status
    reason: str


class _Tried(NamedTuple):
    test: Check
    outcome: Outcome


class _Notebook(NamedTuple):
    student: Answers
    cells: Sequence[Cell]
    problems: Problems | None


class _Theirs:
    """Marks an exception as raised by the student's code, not by the test."""


class _Slow(BaseException):
    """The test itself takes too long with what came back."""


def grade(
    problems: Problems, cells: Sequence[Cell], limits: Limits, number: int = 0
) -> tuple[Row, ...]:
    """Score a notebook.

    Args:
        problems: the set it answers.
        cells: the notebook's cells.
        limits: what it may use.
        number: of the submission, below ``USERS``; where the grader is root, each runs as a user of
            its own.

    Returns:
        In the order of the questions, a row for each that has tests and for each answer graded by
        hand.
    """
    student = Student(_runnable(problems, cells), limits, number)
    try:
        tried = [_Tried(test, check(test, student, cells, problems)) for test in problems.tests]
    finally:
        student.close()
    rows = []
    for question in dict.fromkeys(test.question for test in problems.tests):
        rows.append(_row(question, [each for each in tried if each.test.question == question]))
    rows += [_by_hand(name, points, problems, cells) for name, points in problems.by_hand.items()]
    return _in_order(rows)


def _runnable(problems: Problems, cells: Sequence[Cell]) -> list[str | None]:
    """What is run of a notebook: given cells as the source has them, and no test that came back."""
    tests = {test.id for test in problems.tests}
    runnable: list[str | None] = []
    for cell in cells:
        if cell.kind != "code" or cell.id in tests:
            runnable.append(None)
        else:
            runnable.append(problems.locked.get(cell.id, cell.source))
    return runnable


def _in_order(rows: list[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: question_number(row.question)))


def zero(problems: Problems, reason: str) -> tuple[Row, ...]:
    """The rows of a file that cannot be read."""
    of: dict[str, float] = {}
    for test in problems.tests:
        of[test.question] = of.get(test.question, 0) + test.points
    of |= problems.by_hand
    rows = [Row(name, 0.0, points, Status.UNREADABLE, reason) for name, points in of.items()]
    return _in_order(rows)


def check(
    test: Check, student: Answers, cells: Sequence[Cell], problems: Problems | None = None
) -> Outcome:
    """Run one test cell.

    Args:
        test: the cell.
        student: whose answers it asks for.
        cells: the notebook's cells, to name one that went wrong.
        problems: the set, to name one that was not run; None where the cells are the source's.

    Returns:
        What it gives.
    """
    try:
        names: dict[str, Any] = {"__name__": "__main__"}
        for name in test.needs:
            reply = student.look(name)
            if reply.kind is Kind.VALUE:
                names[name] = reply.value
            elif reply.kind is Kind.FUNCTION:
                names[name] = _proxy(student, name)
            else:
                return _absent(test, name, reply, _Notebook(student, cells, problems))
        with _quiet(student.limits.test):
            exec(compile(test.code, test.id, "exec", optimize=0, dont_inherit=True), names)
    except Ended as ended:
        return Outcome(0.0, Status.STOPPED, f"`{student.asked}` could not be tested: {ended}.")
    except _Slow:
        return Outcome(0.0, Status.ERROR, f"The tests of `{student.asked}` took too long.")
    except Exception as error:
        return _blame(test, error, _Notebook(student, cells, problems))
    return Outcome(test.points, Status.RIGHT, "")


def _proxy(student: Answers, name: str) -> Callable[..., Any]:
    """A function that calls the student's, with data, in the student's process."""

    def call(*args: Any, **kwargs: Any) -> Any:
        reply = student.call(name, args, kwargs)
        if reply.kind is Kind.VALUE:
            return reply.value
        raise _raised(reply)

    return call


def _raised(reply: Reply) -> Exception:
    """The exception that a call ended with, marked as the student's."""
    unsendable = reply.kind is not Kind.RAISED
    kind = TypeError if unsendable else builtin(reply.value)
    try:
        marked: Exception = type(kind.__name__, (_Theirs, kind), {"unsendable": unsendable})()
    except TypeError:  # a few built-in exceptions want arguments
        marked = type("RuntimeError", (_Theirs, RuntimeError), {})()
    return marked


def _blame(test: Check, error: Exception, notebook: _Notebook) -> Outcome:
    """What a test gives that raised: our words, or the test's author's; never an error's."""
    asked = notebook.student.asked
    if isinstance(error, _Theirs):
        if isinstance(error, NotImplementedError):
            return Outcome(0.0, Status.MISSING, _not_written(asked, notebook))
        words = f"`{asked}` stopped with {type(error).__name__} when a test called it."
        if getattr(error, "unsendable", False):
            words = f"`{asked}` returned something other than {DATA}."
        return Outcome(0.0, Status.ERROR, words)
    if isinstance(error, AssertionError):
        said = error.args[0] if len(error.args) == 1 else None
        words = said if said in test.messages else f"A test of `{asked}` does not hold."
        return Outcome(0.0, Status.WRONG, words)
    words = f"A test cannot use what `{asked}` gave: look at its type and shape."
    return Outcome(0.0, Status.ERROR, words)


def _not_written(asked: str, notebook: _Notebook) -> str:
    """What to say of a function that raises NotImplementedError, as those do that were given."""
    raises = f"`{asked}` raises NotImplementedError"
    if where := places.not_run(asked, notebook.problems, notebook.cells):
        return f"{raises}; {where}."
    if (count := places.definitions(asked, notebook.problems, notebook.cells)) > 1:
        last = "the last of them counts: write the answer there, or delete that cell"
        return f"{raises}: {count} cells define it, and {last}."
    return f"`{asked}` is not written yet: it raises NotImplementedError."


def _absent(test: Check, name: str, reply: Reply, notebook: _Notebook) -> Outcome:
    """What a test gives that needs a name which is not there."""
    if reply.kind is not Kind.MISSING:
        return Outcome(0.0, Status.ERROR, f"`{name}` is neither a function nor {DATA}.")
    student, cells, problems = notebook
    why = "keep the name that the question gives"
    number = _first_trouble(test, student, cells)
    if where := places.not_run(name, problems, cells):
        why = where
    elif number is not None:
        first = places.first_line(cells[number]) if number < len(cells) else ""
        why = f"the cell that begins with “{first}” {student.trouble[number]}"
    reason = f"`{name}` is not defined after the notebook has run: {why}."
    return Outcome(0.0, Status.MISSING, reason)


def _first_trouble(test: Check, student: Answers, cells: Sequence[Cell]) -> int | None:
    """The first cell that went wrong, if possible one that answers the test's question."""
    numbers = sorted(student.trouble)
    for number in numbers:
        if number < len(cells) and cells[number].id.split("-")[0] == test.question:
            return number
    return next(iter(numbers), None)


@contextlib.contextmanager
def _quiet(seconds: float) -> Iterator[None]:
    """Run a test without output, and no longer than that; the signal needs the main thread."""

    def stop(*_: object) -> None:
        raise _Slow

    if not hasattr(
        signal, "SIGALRM"
    ):  # Windows: only for the tests of the problem sets, whose answers are ours
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


def _row(question: str, tried: list[_Tried]) -> Row:
    """All tests of a question together."""
    points = sum(each.outcome.points for each in tried)
    of = sum(each.test.points for each in tried)
    bad = [each.outcome for each in tried if each.outcome.status is not Status.RIGHT]
    if not bad:
        status = Status.RIGHT
    elif points:
        status = Status.PARTLY
    else:
        status = bad[0].status
    reason = " ".join(dict.fromkeys(outcome.reason for outcome in bad))
    return Row(question, points, of, status, reason)


def _by_hand(name: str, points: float, problems: Problems, cells: Sequence[Cell]) -> Row:
    """An answer that a person reads."""
    text, reason = places.in_words(name, problems, cells)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n(The rest is left out here: look in the notebook.)"
    return Row(name, None, points, Status.BY_HAND, reason, text)
