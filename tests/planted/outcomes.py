"""Run pytest in a process of its own, and learn what failed and why.

The module is two things: ``run_pytest``, which other tools call, and the pytest plugin through
which the child process answers (``-p tests.planted.outcomes``): what failed, and whether a claim,
an assertion, a compared output or an error.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ERROR_LINE = re.compile(r"^([A-Za-z_][\w.]*)(?::\s*(.*))?$")
_REPORT = "OUTCOMES_FILE"
_LENGTH = 300  # characters of a message that are kept


class Kind(StrEnum):
    """What failed: if none is an error, what holds was found not to hold; an error says that
    something broke.
    """

    CLAIM = "claim"
    ASSERTION = "assertion"
    OUTPUT = "output"
    ERROR = "error"


class Failure(NamedTuple):
    """One failing test or notebook cell."""

    where: str
    """The test, or the notebook and its cell."""
    kind: Kind
    message: str


def failures_in(rows: Iterable[Sequence[str]]) -> list[Failure]:
    """The failures that JSON has made lists of."""
    return [Failure(where, Kind(kind), message) for where, kind, message in rows]


class PytestError(RuntimeError):
    """Pytest itself did not run: its arguments, its settings or a plugin are at fault."""


def run_pytest(
    arguments: list[str], *, root: Path, environment: dict[str, str], seconds: float = 600
) -> list[Failure]:
    """Run pytest in a folder with its own pyproject.toml.

    Args:
        arguments: pytest's command line; the folder's own settings hold besides.
        root: folder to run in.
        environment: variables set on top of this process's own; PYTHONPATH comes before what is
            installed.
        seconds: the run is ended after this time and counts as one failure of kind "error".

    Returns:
        What failed, in order; nothing if all is well.

    Raises:
        PytestError: if no test was run.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "failures.json"
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        own |= environment | {_REPORT: str(report)}
        options = ["-q", "-p", "no:cacheprovider", "-p", "tests.planted.outcomes"]
        command = [sys.executable, "-m", "pytest", *options, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=root,
                env=own,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            words = f"not finished after {seconds:.0f} s"
            return [Failure(" ".join(arguments), Kind.ERROR, words)]
        failures = []
        if report.exists():
            failures = failures_in(json.loads(report.read_text(encoding="utf-8")))
        if done.returncode == 0 or (failures and done.returncode in (1, 2)):
            return failures
        said = (done.stdout + done.stderr)[-2000:]
        raise PytestError(f"{' '.join(command)}\nexited with {done.returncode}:\n{said}")


def run_here(arguments: list[str]) -> list[Failure]:
    """Run pytest in this process, which should be a copy made for it; what failed, in order.

    Args:
        arguments: pytest's command line.

    Returns:
        What failed; nothing if all is well.

    Raises:
        PytestError: if no test was run.
    """
    _failures.clear()
    _tried.clear()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments], plugins=[_PLUGIN])
    if code == 0 or (_failures and code in (1, 2)):
        return list(_failures)
    raise PytestError(f"pytest {' '.join(arguments)} exited with {int(code)}")


def describe(where: str, error: BaseException) -> Failure:
    """What an exception that ended a test says about the code under test."""
    if type(error).__name__ == "NbCellError":
        traceback = str(getattr(error, "inner_traceback", "") or "")
        return _describe_cell(where, str(error), _ANSI.sub("", traceback))
    return Failure(where, _kind(error), shorten(f"{type(error).__name__}: {error}"))


def _kind(error: BaseException) -> Kind:
    """What an exception is a sign of (HeldOutError: a test that would be none).

    Hypothesis raises a group where several examples fail, each in its own way: one of them for which
    something does not hold is enough, whatever breaks for the others.
    """
    if isinstance(error, BaseExceptionGroup):
        kinds = {_kind(inner) for inner in error.exceptions}
        return next((kind for kind in (Kind.CLAIM, Kind.ASSERTION) if kind in kinds), Kind.ERROR)
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClaimError" in names:
        return Kind.CLAIM
    if "HeldOutError" in names or isinstance(error, AssertionError | pytest.fail.Exception):
        return Kind.ASSERTION
    return Kind.ERROR


def _describe_cell(where: str, problem: str, traceback: str) -> Failure:
    """As ``describe``, of what nbval says: it knows an error by its traceback's text alone."""
    if problem == "Cell outputs differ":
        return Failure(where, Kind.OUTPUT, shorten(re.sub(r"\s+", " ", traceback)))
    lines = [match for line in traceback.splitlines() if (match := _ERROR_LINE.match(line))]
    if not lines:
        return Failure(where, Kind.ERROR, shorten(problem))
    last = lines[-1]
    name = last[1].rpartition(".")[2]
    kinds = {"ClaimError": Kind.CLAIM, "AssertionError": Kind.ASSERTION}
    kinds["HeldOutError"] = Kind.ASSERTION
    return Failure(where, kinds.get(name, Kind.ERROR), shorten(last[0]))


def shorten(message: str) -> str:
    message = message.strip().split("\n\n")[0]
    return message if len(message) <= _LENGTH else message[: _LENGTH - 1] + "…"


# ---- the plugin, in the child process ------------------------------------------------------
_PLUGIN = sys.modules[__name__]
_failures: list[Failure] = []
_tried: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None:
        # A list of plain text, because workers send their reports to the main process.
        failure = describe(item.nodeid, call.excinfo.value)
        report.user_properties.append(("failure", [str(field) for field in failure]))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _tried.append("skipped" if report.skipped else report.when)
    if report.failed:
        known: Any = dict(report.user_properties).get("failure")
        other = [report.nodeid, Kind.ERROR, shorten(report.longreprtext)]
        _failures.extend(failures_in([known or other]))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        lines = [
            line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")
        ]
        _failures.append(
            Failure(report.nodeid, Kind.ERROR, shorten((lines or [report.longreprtext])[-1]))
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    if "skipped" in _tried and "call" not in _tried and not _failures:
        words = "all tests were skipped: nothing was tried"
        _failures.append(Failure(" ".join(session.config.args), Kind.ERROR, words))
    path: Any = os.environ.get(_REPORT)
    if path and not hasattr(session.config, "workerinput"):
        Path(path).write_text(json.dumps(_failures), encoding="utf-8")
