"""Every public name of l2lib has a description; names in the text lead to it."""

import types

import pytest

from book import api
from book.execute import ROOT

MODULES = api.modules()


def test_the_modules_are_all_there() -> None:
    names = {module.__name__ for module in MODULES}
    assert {"l2lib.claims", "l2lib.sweep", "l2lib.groups", "l2lib.ledger"} <= names
    assert {f"l2lib.{path.stem}" for path in (ROOT / "l2lib").glob("[a-z]*.py")} <= names


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_described(module: types.ModuleType) -> None:
    assert api.public(module)
    assert [name for name in api.public(module) if not hasattr(module, name)] == []
    assert api.undocumented(module) == []
    assert module.__doc__


SAMPLE = '''
"""A module."""
DESCRIBED = 1
"""A number."""
BARE = 2

def described():
    """What it does."""

def bare():
    pass

def _private():
    pass
'''


@pytest.fixture
def sample(tmp_path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    (tmp_path / "api_sample.py").write_text(SAMPLE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("api_sample")
    monkeypatch.delitem(__import__("sys").modules, "api_sample")
    return module


def test_without_a_list_functions_and_classes_are_public(sample: types.ModuleType) -> None:
    assert api.public(sample) == ["bare", "described"]
    assert api.undocumented(sample) == ["bare"]


def test_a_list_says_what_is_public(sample: types.ModuleType) -> None:
    sample.__all__ = ["BARE", "DESCRIBED", "described"]
    assert api.public(sample) == ["BARE", "DESCRIBED", "described"]
    assert api.undocumented(sample) == ["BARE"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("param_groups", "l2lib.groups.param_groups"),
        ("groups.param_groups", "l2lib.groups.param_groups"),
        ("l2lib.sweep.sweep", "l2lib.sweep.sweep"),
        ("l2lib.sweep", "l2lib.sweep"),
        ("sweep", None),
        ("claim", None),
    ],
)
def test_names_in_the_text_are_known(text: str, target: str | None) -> None:
    assert api.targets().get(text) == target
