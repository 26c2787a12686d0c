"""Run pytest in a process of its own, and learn what failed and why.

The module is two things: ``run_pytest``, which other tools call, and the pytest plugin through which the child process
answers (``-p tests.planted.outcomes``): what failed, and whether a claim, an assertion, a compared output or an error.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ERROR_LINE = re.compile(r"^([A-Za-z_][\w.]*)(?::\s*(.*))?$")
_REPORT = "OUTCOMES_FILE"
_LENGTH = 300  # characters of a message that are kept


class Failure(NamedTuple):
    """One failing test or notebook cell."""

    where: str
    """The test, or the notebook and its cell."""
    kind: str
    """"claim", "assertion" or "output" if what holds was found not to hold; "error" if something broke."""
    message: str


class PytestError(RuntimeError):
    """Pytest itself did not run: its arguments, its settings or a plugin are at fault."""


def run_pytest(arguments: list[str], *, root: Path, environment: dict[str, str], seconds: float = 600) -> list[Failure]:
    """Run pytest in a folder with its own pyproject.toml.

    Args:
        arguments: pytest's command line; the folder's own settings hold besides.
        root: folder to run in.
        environment: variables set on top of this process's own; PYTHONPATH comes before what is installed.
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
                command, cwd=root, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return [Failure(" ".join(arguments), "error", f"not finished after {seconds:.0f} s")]
        failures = [Failure(*row) for row in json.loads(report.read_text("utf-8"))] if report.exists() else []
        if done.returncode == 0 or (failures and done.returncode in (1, 2)):
            return failures
        raise PytestError(f"{' '.join(command)}\nexited with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


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
        return _describe_cell(where, str(error), _ANSI.sub("", str(getattr(error, "inner_traceback", "") or "")))
    message = shorten(f"{type(error).__name__}: {error}")
    if isinstance(error, BaseExceptionGroup):
        kinds = {describe(where, inner).kind for inner in error.exceptions}
        return Failure(where, kinds.pop() if len(kinds) == 1 else "error", message)
    if any(kind.__name__ == "ClaimError" for kind in type(error).__mro__):
        return Failure(where, "claim", message)
    found = isinstance(error, AssertionError | pytest.fail.Exception)
    return Failure(where, "assertion" if found else "error", message)


def _describe_cell(where: str, problem: str, traceback: str) -> Failure:
    if problem == "Cell outputs differ":
        return Failure(where, "output", shorten(re.sub(r"\s+", " ", traceback)))
    lines = [match for line in traceback.splitlines() if (match := _ERROR_LINE.match(line))]
    if not lines:
        return Failure(where, "error", shorten(problem))
    name = lines[-1][1].rpartition(".")[2]
    kind = {"ClaimError": "claim", "AssertionError": "assertion"}.get(name, "error")
    return Failure(where, kind, shorten(lines[-1][0]))


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
        # Plain lists, because workers send their reports to the main process as JSON.
        report.user_properties.append(("failure", list(describe(item.nodeid, call.excinfo.value))))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _tried.append("skipped" if report.skipped else report.when)
    if report.failed:
        known: Any = dict(report.user_properties).get("failure")
        _failures.append(Failure(*(known or [report.nodeid, "error", shorten(report.longreprtext)])))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        lines = [line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
        _failures.append(Failure(report.nodeid, "error", shorten((lines or [report.longreprtext])[-1])))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if "skipped" in _tried and "call" not in _tried and not _failures:
        _failures.append(Failure(" ".join(session.config.args), "error", "all tests were skipped: nothing was tried"))
    path: Any = os.environ.get(_REPORT)
    if path and not hasattr(session.config, "workerinput"):
        Path(path).write_text(json.dumps(_failures), encoding="utf-8")
