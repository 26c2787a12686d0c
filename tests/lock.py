"""Pin every environment again: the book's, and those of experiments/bench/ and experiments/peers/.

    python -m tests.lock            all of them, and environment.yml
    python -m tests.lock --conda    environment.yml alone, which asks nobody

The pins hold on every system. CUDA's libraries are left out: where torch needs them it asks for
the versions itself, and where it is a CPU build nobody should have to download them.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("notebooks", "test", "course", "book")
CUDA = re.compile(r"^(nvidia-|cuda-|triton==).*\n", re.MULTILINE)
TORCH = re.compile(r"^(torch==\S+) ;.*\n", re.MULTILINE)


CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
ON_PYPI_ONLY = ("sphinx-mathjax-offline",)
GROUPS = {"the helper package": None, "the chapters": "notebooks", "the HTML book": "book"}
CONDA = """\
# For conda, mamba and Binder: conda env create -f environment.yml && conda activate l2-book
# Written by `make lock` from pyproject.toml: the same packages and ranges, under conda-forge's
# names. It has what a reader needs; the tests need `pip install -e ".[test,course]"` besides. That
# conda finds a solution is not exercised by the tests: they run on what `make` installs from PyPI.
name: l2-book
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python {python}
  - pip
{packages}
  - pip:
{pip}
      - -e .
"""


def conda(project: dict[str, Any]) -> str:
    """What environment.yml has to hold: what a reader needs, by pyproject.toml's [project]."""
    extras, seen = project["optional-dependencies"], set()
    later = {r.name: r for name in ("notebooks", "book") for r in map(Requirement, extras[name])}
    packages, pip = [], []
    for what, extra in GROUPS.items():
        packages.append(f"  # {what} needs" if extra != "notebooks" else f"  # {what} need")
        for line in map(Requirement, extras[extra] if extra else project["dependencies"]):
            wanted = later.get(line.name, line)  # an extra's range is the narrower
            if line.name in ON_PYPI_ONLY:
                pip.append(f"      - {conda_line(wanted)}  # on PyPI only")
            elif line.name not in seen:
                packages.append(f"  - {conda_line(wanted)}")
            seen.add(line.name)
    parts = {"packages": "\n".join(packages), "pip": "\n".join(pip)}
    return CONDA.format(python=project["requires-python"], **parts)


def conda_line(wanted: Requirement) -> str:
    """A requirement as conda writes it, the lower bound first."""
    ranges = sorted(map(str, wanted.specifier), key=lambda part: part[0] != ">")
    return f"{CONDA_NAMES.get(wanted.name, wanted.name)} {','.join(ranges)}"


def lock(folder: str) -> None:
    """Write a folder's requirements.txt; the others take the book's own pins from there."""
    pins = Path(folder) / "requirements.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    inputs = extras if folder == "." else ["-c", "requirements.txt", f"{folder}/requirements.in"]
    (ROOT / pins).unlink(missing_ok=True)
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--fork-strategy", "fewest"]
    options = ["--no-header", "--no-annotate", "--python-version", "3.11"]
    options += ["pyproject.toml", *inputs, "-o", str(pins)]
    subprocess.run([sys.executable, "-m", *command, *options], cwd=ROOT, check=True)
    text = CUDA.sub("", (ROOT / pins).read_text(encoding="utf-8").replace("+cpu", ""))
    lines = dict.fromkeys(
        TORCH.sub(r"\1\n", text).splitlines(keepends=True)
    )  # one for the CPU build, one for the other
    (ROOT / pins).write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conda", action="store_true", help="write environment.yml alone")
    asked = parser.parse_args()
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (ROOT / "environment.yml").write_text(conda(table), encoding="utf-8")
    for each in () if asked.conda else (".", "experiments/bench", "experiments/peers"):
        lock(each)


if __name__ == "__main__":
    main()
