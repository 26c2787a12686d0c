"""What the tools print where standard output has no λ; see ``l2lib/_spelling``."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SPELLING = Path(__file__).resolve().parents[2] / "l2lib/_spelling.py"


def speak() -> None:
    """Do what ``import l2lib`` does, without importing it.

    Tools copy this process, and each copy must import the l2lib of its own folder.
    """
    spec = spec_from_file_location("_spelling", SPELLING)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.speak()
