"""The project's own order: dependency lists in step, what linters find, files."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from book.execute import ROOT
from tests import lock

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("notebooks", "book", "test", "course")
MAX_BYTES = 1_000_000


def needed(extras: tuple[str, ...] = EXTRAS) -> dict[str, SpecifierSet]:
    """What the library and these extras ask for; an extra's range stands for the library's."""
    lines = [
        *PROJECT["dependencies"],
        *(line for name in extras for line in PROJECT["optional-dependencies"][name]),
    ]
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}


# ---- dependency lists ----------------------------------------------------------------------
def pin_problems(text: str) -> list[str]:
    """What is wrong with a requirements.txt: every line an exact public pin, every dependency within its range."""
    problems, pins = [], {}
    for line in text.splitlines():
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([0-9][\w.]*)( ;.*)?", line)
        if match:
            pins[canonicalize_name(match[1])] = Version(match[2])
        elif line.strip() and not line.startswith("#"):
            problems.append(f"not an exact, public pin: {line}")
        elif "/" in line:
            problems.append(f"names a place: {line}")
        if re.fullmatch(r"(nvidia|cuda|triton|appnope|pywin)[^;]*", line):
            problems.append(f"not for every system: {line}")
    for name, ranges in needed().items():
        if name not in pins:
            problems.append(f"{name} is not pinned")
        elif pins[name] not in ranges:
            problems.append(f"{name}=={pins[name]} is outside {ranges}")
    return problems


PIN_TEXT = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_conda_environment_is_what_make_lock_writes() -> None:
    written = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert written == lock.conda(PROJECT), "run `make lock`, or python -m tests.lock --conda"
    assert "pytorch >=2.13,<2.14\n" in written
    assert "  - -e .\n" in written


def test_requirements_are_exact_public_pins_within_range() -> None:
    assert pin_problems(PIN_TEXT) == []


def test_no_import_of_nbformat_builds_a_parser() -> None:
    assert "rfc3987" not in PIN_TEXT
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    assert options["override-dependencies"] == ["rfc3987-syntax ; python_version < '3'"]


def test_the_library_takes_whichever_torch_it_finds_and_the_book_takes_one() -> None:
    library = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)", PIN_TEXT, re.MULTILINE))
    assert all(pins[name] in ranges for name, ranges in library.items())
    assert {part.operator for ranges in library.values() for part in ranges} == {
        ">="
    }  # no cap: pip would change torch
    assert [version for version in ("2.12.1", "2.13.0", "2.13.1", "2.14.0") if version in needed()["torch"]] == [
        "2.13.0", "2.13.1"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^torch==(.*)$", r"torch==\1+cpu"),
        (r"^torch==.*$", "torch @ https://example.org/torch.whl"),
        (r"^torch==.*$", "torch==2.12.0"),
        (r"^torch==.*$", ""),
        (r"^torch==.*$", "torch>=2.13"),
        (r"\A", "--index-url https://example.org/simple\n"),
        (r"\A", "# from /srv/wheels\n"),
        (r"^nbval==.*$", "./nbval.whl"),
        (r"\A", "nvidia-cublas==13.1.1.3\n"),
        (r"^(pywinpty==\S+) ;.*$", r"\1"),
    ],
)
def test_loose_requirements_are_refused(pattern: str, replacement: str) -> None:
    changed = re.sub(pattern, replacement, PIN_TEXT, count=1, flags=re.MULTILINE)
    assert changed != PIN_TEXT
    assert pin_problems(changed)


# ---- linters -------------------------------------------------------------------------------
LINTERS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each == ["mypy"]), id=" ".join(each))
        for each in LINTERS
    ],
)
def test_linter_finds_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    problems = "" if done.returncode == 0 else (done.stdout + done.stderr)[:1500]
    assert problems == "", "run `make format`, then mend by hand what is left"


# ---- files ---------------------------------------------------------------------------------
LOCAL = re.compile(
    r"(?<![\w.$}-])(/home/\w|/root/|/Users/\w|/workspace/|[A-Za-z]:\\\\?Users|file:///\w)"
)


def tracked() -> list[Path]:
    """Files that git knows or would add, without those that are ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def place_problems(text: str, folders: set[str]) -> list[str]:
    """Names of one machine's folders."""
    found = [match[0] for match in LOCAL.finditer(text)]
    return found + [
        folder for folder in folders if re.search(rf"(?<![\w.-]){re.escape(folder)}(?![\w-])", text)
    ]


def test_no_file_is_large() -> None:
    assert [path.name for path in tracked() if path.stat().st_size > MAX_BYTES] == []


def test_no_file_names_this_machine() -> None:
    folders = {str(path) for path in (ROOT, Path.home()) if len(path.parts) > 2}
    here, problems = Path(__file__).resolve(), []
    for path in tracked():
        if path != here and path.suffix not in {".npz", ".png"}:
            text = path.read_text(encoding="utf-8")
            problems += [
                f"{path.relative_to(ROOT)}: {found}" for found in place_problems(text, folders)
            ]
    assert problems == []


@pytest.mark.parametrize(
    "text", ["see /home/me/book", "'/root/x'", r"C:\Users\me", "cd /srv/checkout && make"]
)
def test_places_are_refused(text: str) -> None:
    assert len(place_problems(text, {"/srv/checkout"})) == 1


def test_harmless_places_are_allowed() -> None:
    assert (
        place_problems("../home/x, $ROOT/root/x, /srv/checkouts, /usr/bin/env", {"/srv/checkout"})
        == []
    )
