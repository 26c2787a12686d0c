"""The portability tool sets what it says, tells what fails, skips what a machine cannot do."""

import importlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from book.running import forks
from tests import portability
from tests.planted.outcomes import Failure, Kind

PLAIN = {"torch": "a", "NumPy": "b"}
FAILURE = Failure("01_a.ipynb::Cell 3", Kind.CLAIM, "ClaimError: S3-01 does not hold")
WATCHED = (
    "L2LIB_SEED",
    "ATEN_CPU_CAPABILITY",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "MKL_CBWR",
)


class Call(NamedTuple):
    """A run that was asked for."""

    command: list[str]
    environment: dict[str, str]

    @property
    def compares(self) -> bool:
        return "--lax" not in self.command


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The runs that were asked for; one with seed 2 fails, and no arithmetic changes but with
    Haswell.
    """
    made: list[Call] = []

    def run(
        command: list[str], *, env: dict[str, str], **_: object
    ) -> subprocess.CompletedProcess[str]:
        watched = {name: env[name] for name in (*WATCHED, *forks.THREADS) if name in env}
        made.append(Call(command, watched))
        failures = [FAILURE] if env["L2LIB_SEED"] == "2" else []
        Path(command[command.index("--json") + 1]).write_text(
            json.dumps(failures), encoding="utf-8"
        )
        return subprocess.CompletedProcess(command, bool(failures))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(forks, "available", lambda: True)
    changed = PLAIN | {"NumPy": "c"}
    monkeypatch.setattr(
        portability, "probe", lambda env: changed if "OPENBLAS_CORETYPE" in env else PLAIN
    )
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return made


def test_all_runs(calls: list[Call]) -> None:
    found = {run.name: portability.tried(run, Path(), PLAIN) for run in portability.runs()}
    assert len(found) == 6
    assert {name: each.failures for name, each in found.items() if each.failures} == {
        "seed 2": (FAILURE,)
    }
    assert found["sse, mkl"].differs == "NumPy"
    assert found["two threads, avx2"].differs == "NumPy"
    assert found["seed 1"].differs == "the seeds"
    assert (
        portability.lines(found["seed 2"])[1].split()
        == f"{FAILURE.where}: {FAILURE.message}".split()
    )


def test_a_failure_is_shown_and_makes_the_tool_fail(
    calls: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    assert portability.main([]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown].count("FAILED") == 1
    assert shown[-1].startswith("6 runs, 1 failed")


def test_what_is_set(calls: list[Call]) -> None:
    portability.main([])
    environments = {tuple(sorted(call.environment.items())) for call in calls}
    assert len(environments) == len(calls) == 6
    assert [call.environment["L2LIB_SEED"] for call in calls] == [*"001234"]
    assert [call.environment["OMP_NUM_THREADS"] for call in calls] == [*"211111"]
    assert [call.compares for call in calls] == [True] * 2 + [False] * 4


def test_one_thread_and_the_books_seeds_are_what_make_test_runs() -> None:
    """That run is left out, as nbval's run of every chapter is the same."""
    assert {os.environ[name] for name in forks.THREADS} == {"1"}
    assert os.environ.get("L2LIB_SEED", "0") == "0"
    assert not {"ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"} & set(os.environ)
    assert portability.environment_of(portability.Run("plain", {})) == dict.fromkeys(
        forks.THREADS, "1"
    ) | {"L2LIB_SEED": "0"}


def test_passing_runs_pass(calls: list[Call]) -> None:
    assert portability.main(["thread", "seed 1"]) == 0
    assert len(calls) == 2


def test_other_processors_skip_x86_runs(calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    found = [portability.tried(run, Path(), PLAIN) for run in portability.runs()]
    skipped = [outcome for outcome in found if outcome.skipped]
    assert [outcome.run.name for outcome in skipped] == ["sse, mkl"]
    assert len(calls) == len(found) - 1
    for outcome in skipped:
        assert outcome.run.x86_only
        assert not outcome.failures
        assert len(portability.lines(outcome)) == 1


def test_unknown_run_is_refused() -> None:
    with pytest.raises(SystemExit):
        portability.main(["no such run"])


def test_numpy_features_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Umath:
        __cpu_features__ = {"X86_V3": True, "X86_V4": True, "AVX512_SPR": False}  # noqa: RUF012
        __cpu_dispatch__ = ["X86_V3", "X86_V4", "AVX512_SPR"]  # noqa: RUF012

    monkeypatch.setattr(importlib, "import_module", lambda name: Umath)
    assert portability.numpy_without("X86_V4", "AVX512") == {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}
    assert portability.numpy_without("NEON") == {}
