"""Pin every environment again: the book's, and those of experiments/bench and experiments/peers.

The pins hold on every system. CUDA's libraries are left out: where torch needs them it asks for the
versions itself, and where it is a CPU build nobody should have to download them.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("notebooks", "test", "course", "book")
CUDA = re.compile(r"^(nvidia-|cuda-|triton==).*\n", re.MULTILINE)
TORCH = re.compile(r"^(torch==\S+) ;.*\n", re.MULTILINE)


def lock(folder: str) -> None:
    """Write the requirements.txt of a folder; what the book's own pins hold, the others take from
    there.
    """
    pins = Path(folder) / "requirements.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    inputs = extras if folder == "." else ["-c", "requirements.txt", f"{folder}/requirements.in"]
    (ROOT / pins).unlink(missing_ok=True)
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--fork-strategy", "fewest"]
    options = [
        "--no-header",
        "--no-annotate",
        "--python-version",
        "3.11",
        "pyproject.toml",
        *inputs,
        "-o",
        str(pins),
    ]
    subprocess.run([sys.executable, "-m", *command, *options], cwd=ROOT, check=True)
    text = CUDA.sub("", (ROOT / pins).read_text(encoding="utf-8").replace("+cpu", ""))
    lines = dict.fromkeys(
        TORCH.sub(r"\1\n", text).splitlines(keepends=True)
    )  # one for the CPU build, one for the other
    (ROOT / pins).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    for name in (".", "experiments/bench", "experiments/peers"):
        lock(name)
