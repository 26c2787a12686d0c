"""The package's face: public names, what importing it does, docstrings whose examples run."""

import doctest
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from types import ModuleType

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

import l2lib
from book.execute import ROOT
from l2lib import claims

MODULES = sorted(module.name for module in pkgutil.walk_packages(l2lib.__path__, "l2lib."))
# Modules whose public names all have an example.
TOLD = ("audit", "claims", "conventions", "datasets", "figures", "groups", "invariance", "ledger")
TOLD += ("penalty", "splits", "sweep", "tables")

IMPORT = """
import json, os, sys
before = dict(os.environ)
import l2lib
told = dir(l2lib)
there = {name.partition(".")[0] for name in sys.modules}
heavy = sorted(there & {"numpy", "torch", "matplotlib", "xarray", "IPython"})
changed = sorted(before.items() ^ os.environ.items())
l2lib.convert
then = "torch" in sys.modules
found = {"heavy": heavy, "changed": changed, "told": told, "then": then}
print(json.dumps(found | {"sweep": l2lib.sweep.__name__}))
"""


# ---- the face ------------------------------------------------------------------------------
def test_importing_the_package_imports_nothing_heavy() -> None:
    # What this process has set, perhaps on importing l2lib, would hide that it is set.
    ours = ("MKL_", "OMP_", "KMP_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert found["changed"] == []  # in the environment
    assert not found["then"]  # λ converts without torch
    assert found["sweep"] == "l2lib.sweep"  # the package, and not the function in it
    assert {*l2lib.__all__, "figures", "sweep", "__version__"} <= {*found["told"]}


@pytest.mark.parametrize("name", l2lib.__all__)
def test_a_name_at_the_top_is_that_of_its_module(name: str) -> None:
    home = importlib.import_module(f"l2lib.{l2lib._HOME_OF[name]}")
    assert getattr(l2lib, name) is getattr(home, name)
    assert name in getattr(home, "__all__", [name])


def test_modules_are_there_too() -> None:
    assert l2lib._HOME_OF.keys() == {*l2lib.__all__}
    assert l2lib.__all__ == sorted(l2lib.__all__, key=lambda name: (not name.isupper(), name))
    for name in l2lib._HOMES:
        assert isinstance(getattr(l2lib, name), ModuleType)
    with pytest.raises(AttributeError, match="module 'l2lib' has no attribute 'swep'"):
        l2lib.swep  # noqa: B018


# ---- docstrings ----------------------------------------------------------------------------
def public(module: str) -> list[tuple[str, object]]:
    """The functions and classes that a module lists, and those functions that the classes show."""
    home = importlib.import_module(f"l2lib.{module}")
    found = [(name, getattr(home, name)) for name in home.__all__]
    named = [(name, each) for name, each in found if is_code(each)]
    classes = [(name, each) for name, each in named if inspect.isclass(each)]
    methods = []
    for name, cls in classes:
        # A tuple's methods are Python's; a protocol's own example has them.
        if not issubclass(cls, tuple) and not getattr(cls, "_is_protocol", False):
            own = [(f"{name}.{key}", each) for key, each in vars(cls).items() if key[0] != "_"]
            methods += [(key, each) for key, each in own if inspect.isfunction(each)]
    return named + methods


def is_code(value: object) -> bool:
    return inspect.isfunction(value) or inspect.isclass(value)


NAMES = [
    pytest.param(each, id=f"{module}.{name}") for module in TOLD for name, each in public(module)
]


@pytest.mark.parametrize("each", NAMES)
def test_a_public_name_has_a_description_and_an_example(each: object) -> None:
    text = inspect.getdoc(each) or ""
    assert len(text.splitlines()[0].split()) >= 4
    property_like = inspect.isfunction(each) and [*inspect.signature(each).parameters] == ["self"]
    if not property_like:
        assert "\nExample:\n    >>> " in text
    if inspect.isfunction(each) and "\n" in text:
        signature = inspect.signature(each)
        assert not signature.parameters.keys() - {"self"} or "\nArgs:\n" in text
        told = "\nReturns:\n" in text or "\nYields:\n" in text
        assert told == (signature.return_annotation not in (None, "None"))


@pytest.mark.parametrize("module", TOLD)
def test_a_module_lists_what_it_defines(module: str) -> None:
    home = importlib.import_module(f"l2lib.{module}")
    code = [(name, each) for name, each in vars(home).items() if is_code(each)]
    defined = {name for name, each in code if each.__module__ == home.__name__}
    assert {name for name in defined if not name.startswith("_")} <= {*home.__all__}
    assert all(hasattr(home, name) for name in home.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_pending", {})  # identities that another test has claimed
    with mpl.rc_context({"backend": "agg"}):
        module = importlib.import_module(name)
        failed, _ = doctest.testmod(module, verbose=False, optionflags=doctest.ELLIPSIS)
        plt.close("all")
    assert failed == 0


def test_there_are_examples_to_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    found = [test for test in tests if test.examples]
    assert len(found) >= len([each for each in NAMES if "." not in each.values[0].__qualname__])
