"""The doorway: the package as pip installs it, with this clone and whatever it does not ask for out of reach."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import l2lib
from book.execute import ROOT
from l2lib.datasets import load

SNIPPETS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
)
DATA = sorted(path.stem for path in (ROOT / "l2lib/data").glob("*.npz"))
KINDS = {"wheel": "*.whl", "sdist": "*.tar.gz"}
BUILD = "import sys; from setuptools import build_meta as b; into = sys.argv[1]; b.build_sdist(into); b.build_wheel(into)"

# What README's snippet needs of dask, in threads; `make cluster` runs the snippet with dask itself.
DISTRIBUTED = """
from concurrent.futures import ThreadPoolExecutor

class Client:
    def get_executor(self):
        return ThreadPoolExecutor(2)
"""

# Everything that is installed, imported and loaded; warnings are errors.
LOOK = """
import hashlib, importlib, importlib.metadata, json, pkgutil, sys
import l2lib
from l2lib import figures
from l2lib.datasets import load
from l2lib.ledger import lines

names = [module.name for module in pkgutil.walk_packages(l2lib.__path__, "l2lib.")]
files = [importlib.import_module(name).__file__ for name in names]
hashes = {name: hashlib.sha256(load(name).X.tobytes() + load(name).y.tobytes()).hexdigest() for name in sys.argv[1:]}
versions = [l2lib.__version__, importlib.metadata.version("l2lib")]
size = figures.subplots()[0].get_size_inches().tolist()
found = {"names": names, "files": [l2lib.__file__, *files], "hashes": hashes, "versions": versions, "size": size}
print(json.dumps(found | {"ledger": len(lines())}))
"""

# What tqdm looks at to learn that it is in Jupyter, in older and newer versions.
IN_JUPYTER = """
import sys, types
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

InteractiveShell.instance(config=Config(HistoryManager=Config(enabled=False), IPKernelApp=Config()))
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
import l2lib.sweep
"""


# ---- the place -----------------------------------------------------------------------------
def package_files() -> set[str]:
    """What an installed package must hold, as paths from the project's folder."""
    kinds = ("*.py", "data/*.npz", "data/*.toml", "data/*.txt", "*.mplstyle", "py.typed")
    return {
        path.relative_to(ROOT).as_posix() for kind in kinds for path in (ROOT / "l2lib").rglob(kind)
    }


def names_in(artefact: Path) -> set[str]:
    """Names of the files in a wheel, or in a source distribution below its own folder."""
    if artefact.suffix == ".whl":
        return set(zipfile.ZipFile(artefact).namelist())
    with tarfile.open(artefact) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def needs(name: str, found: set[str]) -> set[str]:
    """The distributions that one asks for, with those that they ask for, and so on; extras are not asked for."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:  # for another system
        return found
    found.add(canonicalize_name(name))
    for requirement in map(Requirement, lines):
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and canonicalize_name(requirement.name) not in found:
            needs(requirement.name, found)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel, from a copy without what older builds have left."""
    source, into = tmp_path_factory.mktemp("source") / "book", tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns(
        ".*", "_build", "build", "dist", "*.egg-info", "__pycache__", "*.ipynb"
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    subprocess.run(
        [sys.executable, "-c", BUILD, str(into)], cwd=source, capture_output=True, check=True
    )
    return into


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to what the package asks for, and to nothing else that is installed here."""
    folder = tmp_path_factory.mktemp("dependencies")
    for name in needs("l2lib", set()) - {"l2lib"}:
        parts = {file.parts[0] for file in distribution(name).files or []} - {"..", "__pycache__"}
        for part in parts:
            if not (folder / part).exists():
                (folder / part).symlink_to(Path(str(distribution(name).locate_file(part))))
    return folder


def install(artefact: Path, folder: Path) -> Path:
    """Let pip install an artefact into a folder; it builds a source distribution with the setuptools that is here."""
    options = [
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--no-compile",
        "--target",
        str(folder),
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(artefact)],
        capture_output=True,
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def places(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each artefact, with what pip installs from it."""
    return {
        kind: install(next(built.glob(glob)), tmp_path_factory.mktemp(kind))
        for kind, glob in KINDS.items()
    }


def python(*arguments: str, path: list[Path], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python on a path and nothing else: without ``site`` (-S), no hook of an editable installation is read."""
    dropped = ("PYTHON", "PYTEST", "L2LIB", "OMP_", "VIRTUAL_ENV")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(dropped)
    }
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "TQDM_DISABLE": "1", **variables}
    command = [sys.executable, "-S", "-P", *arguments]
    return subprocess.run(
        command, cwd=path[0], env=environment, capture_output=True, text=True, check=False
    )


# ---- wheel and source distribution ---------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_artefacts_hold_the_package_and_no_more(built: Path, kind: str) -> None:
    names = names_in(next(built.glob(KINDS[kind])))
    assert {
        name for name in names if Path(name).suffix and name.startswith("l2lib/")
    } == package_files()
    assert {name.rpartition("/")[2] for name in names} >= {
        "LICENSE",
        "Apache-2.0.txt",
        "BSD-3-Clause.txt",
    }
    assert not [
        name
        for name in names
        if name.startswith(("tests", "course", "notebooks", "book", "experiments"))
    ]


def test_a_package_without_its_data_is_noticed() -> None:
    expected = {f"l2lib/data/{name}.npz" for name in DATA} | {
        "l2lib/data/learning_rates.txt",
        "l2lib/data/ledger.toml",
        "l2lib/data/sonnets.txt",
    }
    expected |= {"l2lib/py.typed", "l2lib/l2.mplstyle", "l2lib/sweep/training.py"}
    assert expected <= package_files()
    assert len(DATA) >= 3


def test_the_clone_is_out_of_reach(dependencies: Path) -> None:
    done = python("-c", "import numpy, l2lib", path=[dependencies])
    assert "No module named 'l2lib'" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_imports_and_every_data_set_loads(
    places: dict[str, Path], dependencies: Path, kind: str
) -> None:
    done = python(
        "-W", "error", "-c", LOOK, *DATA, path=[places[kind], dependencies], MPLBACKEND="agg"
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(places[kind]) for file in found["files"])
    imported = {Path(file).relative_to(places[kind]).as_posix() for file in found["files"]}
    assert imported == {name for name in package_files() if name.endswith(".py")}
    for name in DATA:
        ours = load(name)
        assert (
            found["hashes"][name] == hashlib.sha256(ours.X.tobytes() + ours.y.tobytes()).hexdigest()
        ), name
    assert found["ledger"] == 74
    assert found["versions"] == [l2lib.__version__] * 2
    assert found["size"] == [7.2, 3.5]  # the style has come along


def test_who_cites_the_book_cites_this_version() -> None:
    assert (
        yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
        == l2lib.__version__
    )


# ---- what README says ----------------------------------------------------------------------
def test_readme_has_its_snippets() -> None:
    assert [re.findall(r"sweep\(|param_groups\(|Client\(|Watch\(", text)[0] for text in SNIPPETS] == [
        "sweep(", "Client(", "param_groups(", "Watch("
    ]  # fmt: skip


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: re.search(r"\w+\(", text)[0])
def test_snippets_of_readme_run_to_the_letter(
    places: dict[str, Path], dependencies: Path, tmp_path: Path, snippet: str
) -> None:
    (tmp_path / "snippet.py").write_text(snippet, encoding="utf-8")
    (tmp_path / "distributed.py").write_text(DISTRIBUTED, encoding="utf-8")
    done = python(str(tmp_path / "snippet.py"), path=[tmp_path, places["wheel"], dependencies])
    assert done.stderr == ""
    assert done.stdout
    for line in snippet.splitlines():  # what a comment says that a line prints
        if printed := re.fullmatch(r"print\(.*\)  # ([\d.]+)", line):
            assert printed[1] in done.stdout.splitlines()


# ---- what is already set -------------------------------------------------------------------
def test_a_notebook_without_ipywidgets_gets_no_warning(
    places: dict[str, Path], dependencies: Path
) -> None:
    path = [places["wheel"], dependencies]
    done = python("-c", IN_JUPYTER, path=path, IPYTHONDIR=str(dependencies / "ipython"))
    assert done.stderr == ""
    assert done.returncode == 0


# What could be changed for the whole process, before and after every module is imported. Python reaches malloc's settings
# by ctypes only; what they are cannot be asked for, as malloc moves its thresholds itself.
UNTOUCHED = """
import ctypes, importlib, json, os, pkgutil, sys
import matplotlib, torch

class Watched(ctypes.CDLL):
    asked = []
    def __getattr__(self, name):
        self.asked += [name] if name == "mallopt" else []
        return super().__getattr__(name)

ctypes.CDLL = Watched

def state():
    dtype = str(torch.get_default_dtype())
    threads = [torch.get_num_threads(), torch.get_num_interop_threads()]
    return [dict(os.environ), dict(matplotlib.rcParams), dtype, threads, torch.is_grad_enabled(), [*Watched.asked]]

torch.set_num_threads(3)
before = state()
import l2lib
for module in pkgutil.walk_packages(l2lib.__path__, "l2lib."):
    importlib.import_module(module.name)
names = "environ rcParams dtype threads grad malloc".split()
print([name for name, one, two in zip(names, before, state()) if one != two])
"""


def test_importing_every_module_changes_nothing(
    places: dict[str, Path], dependencies: Path
) -> None:
    done = python("-c", UNTOUCHED, path=[places["wheel"], dependencies])
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("os.environ['MKL_CBWR'] = 'AUTO'", "environ"),
        ("matplotlib.rcParams['font.size'] = 11", "rcParams"),
        ("torch.set_num_threads(1)", "threads"),
        pytest.param(
            "ctypes.CDLL('libc.so.6').mallopt(-3, 2**25)",
            "malloc",
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="only for Linux: malloc of glibc"
            ),
        ),
    ],
)
def test_a_change_by_an_import_is_noticed(
    places: dict[str, Path], dependencies: Path, change: str, found: str
) -> None:
    code = UNTOUCHED.replace("import l2lib\n", f"import l2lib\n{change}\n")
    assert python("-c", code, path=[places["wheel"], dependencies]).stdout == f"['{found}']\n"


@pytest.mark.parametrize("value", ["", "0", "4,2", " 2 ", "2,x", "1.0", "x"])
def test_any_omp_num_threads_can_be_set(
    places: dict[str, Path], dependencies: Path, value: str
) -> None:
    trained = "sweep(MLP((1, 1)), [[1.0]], [1.0], lr=0.1, steps=1)"
    code = f"from l2lib.sweep import MLP, sweep; print({trained}.sizes['step'])"
    done = python("-c", code, path=[places["wheel"], dependencies], OMP_NUM_THREADS=value)
    assert (done.stdout.strip(), done.returncode) == ("2", 0), done.stderr
