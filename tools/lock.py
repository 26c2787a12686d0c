"""Pin every environment again from pyproject.toml: the book's, and those of benchmarks/ and peers/.

The pins hold on every system. CUDA's libraries are left out: where torch needs them it asks for the versions itself,
and where it is a CPU build nobody should have to download them.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("notebooks", "test", "book")
CUDA = re.compile(r"^(nvidia-|cuda-|triton==).*\n", re.MULTILINE)


def lock(folder: str) -> None:
    """Write the requirements.txt of a folder; what the book's own pins hold, the others take from there."""
    pins = Path(folder) / "requirements.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    inputs = extras if folder == "." else ["-c", "requirements.txt", f"{folder}/requirements.in"]
    (ROOT / pins).unlink(missing_ok=True)
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--fork-strategy", "fewest"]
    options = ["--no-header", "--no-annotate", "--python-version", "3.11", "pyproject.toml", *inputs, "-o", str(pins)]
    subprocess.run([sys.executable, "-m", *command, *options], cwd=ROOT, check=True)
    text = (ROOT / pins).read_text(encoding="utf-8").replace("+cpu", "")
    (ROOT / pins).write_text(CUDA.sub("", text), encoding="utf-8")


if __name__ == "__main__":
    for name in (".", "benchmarks", "peers"):
        lock(name)
