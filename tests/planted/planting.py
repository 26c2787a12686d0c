"""Copies of the project, and errors planted in them; or in a chapter that runs in copies of its process.

Two ways to the same results: ``run_forked``, where processes can be copied (see ``forks``), and ``run_slowly``, which
starts pytest anew for every error and works everywhere.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import nbformat

from book.execute import read_source
from book.running import cells, forks
from book.running.forks import THREADS
from tests.planted import chapters
from tests.planted.errors import ListError, Mutant, Result, is_chapter, judge, notebook_of
from tests.planted.outcomes import Failure, PytestError, run_here, run_pytest

COPIED = ("l2lib", "notebooks", "book", "course", "tests", "pyproject.toml", "README.md")
ROOMS = ("l2lib", "book", "course", "experiments", "tests")
SECONDS = 180  # an error that needs longer is broken: it probably made a loop endless
JOURNAL = ".planted.json"
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


# ---- copies --------------------------------------------------------------------------------
def copy_tree(root: Path, into: Path) -> Path:
    """Copy what the checks need, and make sure that the copy's l2lib is the one that is imported."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "browser")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, into / name, ignore=ignore)
        elif (root / name).exists():
            shutil.copy(root / name, into / name)
    (into / "notebooks").mkdir(exist_ok=True)
    command = [sys.executable, "-c", "import l2lib; print(l2lib.__file__)"]
    environment = {**os.environ, **variables(into)}
    shown = subprocess.run(command, cwd=into / "notebooks", env=environment, capture_output=True, text=True, check=True)
    if not Path(shown.stdout.strip()).resolve().is_relative_to(into.resolve()):
        raise ListError(f"the copy in {into} is not what gets imported, but {shown.stdout.strip()}")
    return into


def variables(tree: Path) -> dict[str, str]:
    """Environment in which a copy is checked: its own l2lib, one thread, the seeds the book was written with."""
    return dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(tree), "L2LIB_SEED": "0"}


@contextlib.contextmanager
def planted(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The copy with the error in it; afterwards as it was, also if this process is killed: the next one tidies up."""
    tidy(tree)
    names = [mutant.file] + ([notebook_of(mutant)] if is_chapter(mutant) else [])
    before = {name: (tree / name).read_text(encoding="utf-8") for name in names}
    (tree / JOURNAL).write_text(json.dumps(before), encoding="utf-8")
    try:
        put(tree / mutant.file, before[mutant.file].replace(mutant.find, mutant.replace))
        if is_chapter(mutant):
            put_source_into_notebook(tree / mutant.file, tree / notebook_of(mutant))
        yield
    finally:
        tidy(tree)


def tidy(tree: Path) -> None:
    """Write back what an error was planted in."""
    if (tree / JOURNAL).exists():
        for name, text in json.loads((tree / JOURNAL).read_text(encoding="utf-8")).items():
            put(tree / name, text)
        (tree / JOURNAL).unlink()


def put(path: Path, text: str) -> None:
    """Write a file, byte for byte, and forget what was compiled from it."""
    path.write_bytes(text.encode("utf-8"))
    forget_compiled(path)


def forget_compiled(module: Path) -> None:
    """Python takes an edit of equal length within the same second for no edit, and would run the old bytecode."""
    shutil.rmtree(module.parent / "__pycache__", ignore_errors=True)


def put_source_into_notebook(source: Path, notebook: Path) -> None:
    """Give the stored notebook the cells of the changed source, and leave it the outputs of the right one."""
    stored = nbformat.read(notebook, as_version=4)
    changed = read_source(source)
    if [cell.cell_type for cell in changed.cells] != [cell.cell_type for cell in stored.cells]:
        raise ListError(f"{source.name}: the cells are not the notebook's cells; run `make notebooks`")
    for old, new in zip(stored.cells, changed.cells, strict=True):
        old.source = new.source
    nbformat.write(stored, notebook)


# ---- slowly, everywhere ----------------------------------------------------------------------
def check_unchanged(tree: Path, mutants: list[Mutant]) -> None:
    """Every check passes where nothing is planted, else a failure would prove nothing.

    Raises:
        ListError: if one does not.
    """
    checks = dict.fromkeys(check for mutant in mutants for check in mutant.checks)
    failures: list[Failure] = []
    for options, which in split(list(checks)):
        failures += run_pytest([*options, *which], root=tree, environment=variables(tree) | BARE)
    if failures:
        lines = [f"{failure.where}: {failure.message}" for failure in failures]
        raise ListError("the checks fail without any planted error:\n  " + "\n  ".join(lines))


def split(checks: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """Tests, then notebooks, which take longer: pytest's options for each, as far as there are any."""
    nbval = "addopts=--nbval --nbval-current-env --nbval-cell-timeout=60"
    parts = [
        (["-o", "addopts="], [check for check in checks if ".ipynb" not in check]),
        (["-p", "nbval.plugin", "-o", nbval], [check for check in checks if ".ipynb" in check]),
    ]
    return [part for part in parts if part[1]]


def try_mutant(tree: Path, mutant: Mutant) -> Result:
    """Plant one error in a copy, and run its checks up to the first failure: tests first, they are faster."""
    began = time.perf_counter()
    failures: list[Failure] = []
    try:
        with planted(tree, mutant):
            for options, which in split(mutant.checks):
                failures = failures or first_failure(tree, [*options, *which])
    except PytestError as error:
        failures = [Failure("pytest", "error", str(error))]
    return judge(mutant, failures, time.perf_counter() - began)


def first_failure(tree: Path, arguments: list[str]) -> list[Failure]:
    """Run pytest up to the first failure, in one process and without plugins, which would double its start."""
    return run_pytest(["-x", *arguments], root=tree, environment=variables(tree) | BARE, seconds=SECONDS)


def run_slowly(root: Path, mutants: list[Mutant], workers: int, tell: Callable[[Result], None]) -> list[Result]:
    """Try the mutants, each worker in a copy of its own, with pytest anew for each; arguments as for ``run_forked``."""
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            trees.put(copy_tree(root, Path(folder) / str(number)))
        tree = trees.get()
        check_unchanged(tree, mutants)
        trees.put(tree)

        def work(mutant: Mutant) -> Result:
            tree = trees.get()
            try:
                result = try_mutant(tree, mutant)
            finally:
                trees.put(tree)
            tell(result)
            return result

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, mutants))


# ---- by copies of processes ------------------------------------------------------------------
def run_forked(root: Path, mutants: list[Mutant], workers: int, tell: Callable[[Result], None]) -> list[Result]:
    """Try the mutants: those in a chapter's cell from that cell on, the others in copies of the project.

    Args:
        root: the project.
        mutants: what to try.
        workers: processes at a time.
        tell: called with each result, in one process or another.

    Returns:
        A result for each mutant, in their order.

    Raises:
        ListError: if a check fails where nothing is planted, or a chapter's stored notebook is not its source's.
        PytestError: if pytest could not run.
    """
    os.environ.update(variables(root))
    forks.warm("pytest", "hypothesis", "nbval.plugin", "jupytext", "numpy.testing")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = in_chapters(root, mutants, workers, folder, tell)
        rest = [mutant for mutant in mutants if mutant.name not in results]
        results |= in_modules(root, rest, workers, folder, tell)
    return [results[mutant.name] for mutant in mutants]


def plants(mutants: list[Mutant], notebook: nbformat.NotebookNode) -> tuple[chapters.Plant, ...]:
    """Where in a chapter's code cells its errors go.

    Args:
        mutants: of this chapter.
        notebook: the chapter.

    Returns:
        A plant for each mutant whose text is in one code cell; none for one that reaches over cells, or is prose.
    """
    sources = [cell.source for cell in cells.code_cells(notebook)]
    found = []
    for mutant in mutants:
        numbers = [number for number, source in enumerate(sources) if source.count(mutant.find) == 1]
        if len(numbers) == 1:
            found.append(chapters.Plant(mutant.name, numbers[0], mutant.find, mutant.replace))
    return tuple(found)


def in_chapters(root: Path, mutants: list[Mutant], workers: int, folder: Path,
                tell: Callable[[Result], None]) -> dict[str, Result]:  # fmt: skip
    """Run the chapters that are checks, and plant the errors that are theirs; results by name."""
    named = {mutant.name: mutant for mutant in mutants}
    names = sorted({check for mutant in mutants for check in mutant.checks if check.endswith(".ipynb")})
    jobs = [
        chapter_job(root / name, [m for m in mutants if is_chapter(m) and notebook_of(m) == name]) for name in names
    ]
    jobs.sort(key=lambda job: -len(job.plants))  # the longest first
    sys.path.insert(0, str(root))
    results, broken = dict[str, Result](), list[str]()
    try:
        judged = partial(of_plant, named)
        for chapter in chapters.run_chapters(jobs, workers, folder, lambda planted: tell(judged(planted))):
            broken += [f"{failure.where}: {failure.message}" for failure in chapter.failures]
            results |= {planted.name: judged(planted) for planted in chapter.planted}
    finally:
        sys.path.remove(str(root))
    if broken:
        raise ListError("the checks fail without any planted error:\n  " + "\n  ".join(broken))
    return results


def of_plant(named: dict[str, Mutant], planted: chapters.Planted) -> Result:
    """What a chapter's run says of a mutant."""
    return judge(named[planted.name], [planted.failure] if planted.failure else [], planted.seconds)


def chapter_job(notebook: Path, mutants: list[Mutant]) -> chapters.Job:
    """A stored chapter, whose cells must be its source's, and its errors."""
    stored = cells.read(notebook)
    source = notebook.parent / "source" / f"{notebook.stem}.py"
    if [cell.source for cell in read_source(source).cells] != [cell.source for cell in stored.cells]:
        raise ListError(f"{source.name}: the cells are not the notebook's cells; run `make notebooks`")
    return chapters.Job(notebook, plants=plants(mutants, stored))


def in_modules(root: Path, mutants: list[Mutant], workers: int, folder: Path,
               tell: Callable[[Result], None]) -> dict[str, Result]:  # fmt: skip
    """Try errors in modules, each in a copy of the project; results by name."""
    if not mutants:
        return {}
    trees = [copy_tree(root, folder / str(number)) for number in range(workers)]
    slots = forks.Slots(folder / "trees", workers)
    results: dict[str, Result] = {}
    for number, found in forks.run_all([partial(in_tree, trees, slots, m) for m in mutants], workers, SECONDS):
        rows = [("pytest", "error", str(found))] if isinstance(found, forks.EndedError) else found["failures"]
        seconds = SECONDS if isinstance(found, forks.EndedError) else found["seconds"]
        results[mutants[number].name] = judge(mutants[number], [Failure(*row) for row in rows], seconds)
        tell(results[mutants[number].name])
    check_catchers(trees[0], [result for result in results.values() if result.state == "caught"])
    return results


def in_tree(trees: list[Path], slots: forks.Slots, mutant: Mutant) -> dict[str, object]:
    """Plant an error in a free copy and run its checks up to the first failure; the body of a process."""
    began = time.perf_counter()
    with slots as number:
        move_to(trees[number])
        with planted(trees[number], mutant):
            failures = checked(mutant.checks)
    return {"failures": failures, "seconds": round(time.perf_counter() - began, 2)}


def checked(checks: tuple[str, ...]) -> list[Failure]:
    """Tests first, they are faster; then chapters."""
    tests = [check for check in checks if not check.endswith(".ipynb")]
    if tests and (failures := run_here(["-x", "-o", "addopts=", *tests])):
        return failures
    for check in checks:
        if check.endswith(".ipynb"):
            notebook = Path(check).resolve()
            os.chdir(notebook.parent)
            every = cells.code_cells(cells.read(notebook))
            nothing = chapters.Plant("", 0, "", "")
            stored = [cell.outputs for cell in every]
            if failure := chapters.first_failure(cells.Session(), every, stored, nothing, notebook.stem):
                return [failure]
    return []


def move_to(tree: Path) -> None:
    """Work in a copy of the project: what was imported from the project is forgotten, and imported from there."""
    sys.dont_write_bytecode = True
    os.environ.update(variables(tree) | BARE | {"PYTHONDONTWRITEBYTECODE": "1"})
    os.chdir(tree)
    project = Path(__file__).resolve().parents[2]
    sys.path[:] = [str(tree)] + [path for path in sys.path if Path(path or ".").resolve() != project]
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOMS]:
        del sys.modules[name]
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def check_catchers(tree: Path, caught: list[Result]) -> None:
    """The tests that caught an error pass where nothing is planted, else their failures would prove nothing.

    Raises:
        ListError: if one does not.
    """
    nodes = sorted({result.where for result in caught if "::Cell " not in result.where})

    def run() -> list[Failure]:
        tidy(tree)
        move_to(tree)
        return run_here(["-o", "addopts=", *nodes])

    if nodes and (failures := forks.call(run, 10 * SECONDS)):
        lines = [f"{where}: {message}" for where, _, message in failures]
        raise ListError("the checks fail without any planted error:\n  " + "\n  ".join(lines))
