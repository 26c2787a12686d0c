"""The portability tool sets what it says, reports what fails, and skips what a machine cannot do."""

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from book.running import forks
from tests import portability
from tests.planted.outcomes import Failure

PLAIN = {"torch": "a", "NumPy": "b"}
FAILURE = Failure("01_a.ipynb::Cell 3", "claim", "ClaimError: S3-01 does not hold")
WATCHED = ("L2LIB_SEED", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "MKL_CBWR")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The runs that were asked for; one with seed 2 fails, and no arithmetic changes but with Haswell."""
    made: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        made.append((command, {name: env[name] for name in (*WATCHED, *forks.THREADS) if name in env}))
        failures = [FAILURE] if env["L2LIB_SEED"] == "2" else []
        Path(command[command.index("--json") + 1]).write_text(json.dumps(failures), encoding="utf-8")
        return subprocess.CompletedProcess(command, bool(failures))

    monkeypatch.setattr(portability.subprocess, "run", run)
    monkeypatch.setattr(portability.forks, "available", lambda: True)
    changed = PLAIN | {"NumPy": "c"}
    monkeypatch.setattr(portability, "probe", lambda env: changed if "OPENBLAS_CORETYPE" in env else PLAIN)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return made


def test_all_runs(calls: list[tuple[list[str], dict[str, str]]], capsys: pytest.CaptureFixture[str]) -> None:
    assert portability.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines].count("FAILED") == 1
    failed = next(i for i, line in enumerate(lines) if line.startswith("FAILED"))
    assert "seed 2" in lines[failed]
    assert lines[failed + 1].strip() == "01_a.ipynb::Cell 3: ClaimError: S3-01 does not hold"
    assert next(line for line in lines if "avx2" in line).endswith("differs: NumPy")
    assert next(line for line in lines if "two threads" in line).endswith("differs: nothing")
    assert lines[-1].startswith("7 runs, 1 failed")


def test_what_is_set(calls: list[tuple[list[str], dict[str, str]]]) -> None:
    portability.main([])
    environments = {tuple(sorted(environment.items())) for _, environment in calls}
    assert len(environments) == len(calls) == 7
    assert [environment["L2LIB_SEED"] for _, environment in calls] == ["0"] * 4 + ["1", "2", "3"]
    assert [environment["OMP_NUM_THREADS"] for _, environment in calls] == ["2", *["1"] * 6]
    compared = ["--lax" not in command for command, _ in calls]
    assert compared == [environment["L2LIB_SEED"] == "0" for _, environment in calls]


def test_one_thread_and_the_books_seeds_are_what_make_test_runs() -> None:
    """That run is left out, as nbval's run of every chapter is the same."""
    assert {os.environ[name] for name in forks.THREADS} == {"1"}
    assert os.environ.get("L2LIB_SEED", "0") == "0"
    assert not {"ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES"} & set(os.environ)
    assert portability.environment_of(portability.Run("plain", {})) == dict.fromkeys(forks.THREADS, "1") | {
        "L2LIB_SEED": "0"
    }


def test_passing_runs_pass(calls: list[tuple[list[str], dict[str, str]]]) -> None:
    assert portability.main(["thread", "seed 1"]) == 0
    assert len(calls) == 2


def test_other_processors_skip_x86_runs(
    calls: list[tuple[list[str], dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert portability.main(["avx2", "sse", "mkl", "two"]) == 0
    assert len(calls) == 1
    assert capsys.readouterr().out.count("skipped") == 3


def test_unknown_run_is_refused() -> None:
    with pytest.raises(SystemExit):
        portability.main(["no such run"])


def test_numpy_features_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Umath:
        __cpu_features__ = {"X86_V3": True, "X86_V4": True, "AVX512_SPR": False}  # noqa: RUF012
        __cpu_dispatch__ = ["X86_V3", "X86_V4", "AVX512_SPR"]  # noqa: RUF012

    monkeypatch.setattr(portability.importlib, "import_module", lambda name: Umath)
    assert portability.numpy_without("X86_V4", "AVX512") == {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}
    assert portability.numpy_without("NEON") == {}
