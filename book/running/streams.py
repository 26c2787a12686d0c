"""Signs that standard output has not, in words; without l2lib, of which one may want a copy."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SPELLING = Path(__file__).parents[2] / "l2lib" / "_spelling.py"


def speak() -> None:
    """As ``import l2lib`` does: where a stream has no λ, write lambda."""
    spec = spec_from_file_location("_spelling", SPELLING)
    if spec is None or spec.loader is None:
        raise ImportError(f"{SPELLING} cannot be read")
    spelling = module_from_spec(spec)
    spec.loader.exec_module(spelling)
    spelling.speak()
