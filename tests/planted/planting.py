"""Errors planted in copies of the project, or in a chapter that runs in copies of its process.

Two ways to the same results: ``run_forked``, where processes can be copied (see ``forks``), and
``run_slowly``, which starts pytest anew for every error and works everywhere.
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
from typing import Any, NamedTuple

import nbformat

from book import sentences
from book.execute import comes_from, read_source
from book.running import cells, forks
from book.running.forks import THREADS
from tests.planted import chapters
from tests.planted.errors import ListError, Mutant, Result, State, is_chapter, judge, notebook_of
from tests.planted.outcomes import (
    Failure,
    Kind,
    PytestError,
    failures_in,
    run_here,
    run_pytest,
)

COPIED = ("l2lib", "notebooks", "book", "course", "tests", "pyproject.toml", "README.md")
ROOMS = ("l2lib", "book", "course", "experiments", "tests")
SECONDS = 180  # an error that needs longer is broken: it probably made a loop endless
JOURNAL = ".planted.json"
FAILS = "the checks fail without any planted error"
BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "L2_KERNELS": "new"}
NBVAL = ("-p", "nbval.plugin", "-p", "tests.nbval_chapters")


# ---- copies --------------------------------------------------------------------------------
def copy_tree(root: Path, into: Path) -> Path:
    """Copy what the checks need, and make sure that its l2lib is the one that is imported."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "browser")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, into / name, ignore=ignore)
        elif (root / name).exists():
            shutil.copy(root / name, into / name)
    (into / "notebooks").mkdir(exist_ok=True)
    command = [sys.executable, "-c", "import l2lib; print(l2lib.__file__)"]
    environment = {**os.environ, **variables(into)}
    shown = subprocess.run(
        command, cwd=into / "notebooks", env=environment, capture_output=True, text=True, check=True
    )
    if not Path(shown.stdout.strip()).resolve().is_relative_to(into.resolve()):
        raise ListError(f"the copy in {into} is not what gets imported, but {shown.stdout.strip()}")
    return into


def variables(tree: Path) -> dict[str, str]:
    """Environment in which a copy is checked: its own l2lib, one thread, the seeds the book was
    written with.
    """
    return dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(tree), "L2LIB_SEED": "0"}


@contextlib.contextmanager
def planted(tree: Path, mutant: Mutant) -> Iterator[None]:
    """The copy with the error in it; afterwards as it was, also if this process is killed: the next
    one tidies up.
    """
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
    """Python takes an edit of equal length within the same second for no edit, and would run the
    old bytecode.
    """
    shutil.rmtree(module.parent / "__pycache__", ignore_errors=True)


def put_source_into_notebook(source: Path, notebook: Path) -> None:
    """Give the stored notebook the cells of the changed source, and leave it the outputs of the
    right one.
    """
    stored = nbformat.read(notebook, as_version=4)
    changed = read_source(source)
    if [cell.cell_type for cell in changed.cells] != [cell.cell_type for cell in stored.cells]:
        raise ListError(
            f"{source.name}: the cells are not the notebook's cells; run `make notebooks`"
        )
    for old, new in zip(stored.cells, changed.cells, strict=True):
        if sentences.template(old) != new.source:
            old.metadata.pop(sentences.KEY, None)
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
    for part in split(list(checks)):
        failures += run_pytest(part.arguments, root=tree, environment=variables(tree) | BARE)
    refuse(failures)


def refuse(failures: list[Failure]) -> None:
    """Refuse to go on where checks fail though nothing is planted.

    Raises:
        ListError: if there is a failure.
    """
    if failures:
        lines = [f"{failure.where}: {failure.message}" for failure in failures]
        raise ListError(f"{FAILS}:\n  " + "\n  ".join(lines))


class Part(NamedTuple):
    """Checks that pytest runs with the same options."""

    options: list[str]
    checks: list[str]

    @property
    def arguments(self) -> list[str]:
        """Of pytest's command line."""
        return [*self.options, *self.checks]


def split(checks: Sequence[str]) -> list[Part]:
    """Tests, then notebooks, which take longer; as far as there are any."""
    nbval = "addopts=--nbval --nbval-current-env --nbval-cell-timeout=60"
    tests = [check for check in checks if ".ipynb" not in check]
    notebooks = [check for check in checks if ".ipynb" in check]
    parts = [
        Part(["-o", "addopts="], tests),
        Part([*NBVAL, "-o", nbval], notebooks),
    ]
    return [part for part in parts if part.checks]


def try_mutant(tree: Path, mutant: Mutant) -> Result:
    """Plant one error in a copy, and run its checks up to the first failure: tests first, they are
    faster.
    """
    began = time.perf_counter()
    failures: list[Failure] = []
    try:
        with planted(tree, mutant):
            for part in split(mutant.checks):
                failures = failures or first_failure(tree, part.arguments)
    except PytestError as error:
        failures = [Failure("pytest", Kind.ERROR, str(error))]
    return judge(mutant, failures, time.perf_counter() - began)


def first_failure(tree: Path, arguments: list[str]) -> list[Failure]:
    """Run pytest in one process and without plugins, which would double its start: tests up to the
    first failure, a chapter to its end, as a claim may fail after an output has changed.
    """
    stop = [] if "nbval.plugin" in arguments else ["-x"]
    return run_pytest(
        [*stop, *arguments], root=tree, environment=variables(tree) | BARE, seconds=SECONDS
    )


def run_slowly(
    root: Path, mutants: list[Mutant], workers: int, tell: Callable[[Result], None]
) -> list[Result]:
    """Try the mutants, each worker in a copy of its own, with pytest anew for each; arguments as
    for ``run_forked``.
    """
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
def run_forked(
    root: Path, mutants: list[Mutant], workers: int, tell: Callable[[Result], None]
) -> list[Result]:
    """Try the mutants: in a chapter from the cell on, the others in copies of the project.

    Args:
        root: the project.
        mutants: what to try.
        workers: processes at a time.
        tell: called with each result, in one process or another.

    Returns:
        A result for each mutant, in their order.

    Raises:
        ListError: if a check fails where nothing is planted, or a chapter's stored notebook is not
            its source's.
        PytestError: if pytest could not run.
    """
    os.environ.update(variables(root))
    forks.warm("pytest", "hypothesis", "nbval.plugin", "jupytext", "numpy.testing")
    with tempfile.TemporaryDirectory() as name:
        crew = Crew(workers, Path(name), tell)
        results = in_chapters(root, mutants, crew)
        rest = [mutant for mutant in mutants if mutant.name not in results]
        results |= in_modules(root, rest, crew)
    return [results[mutant.name] for mutant in mutants]


def plants(mutants: list[Mutant], notebook: nbformat.NotebookNode) -> tuple[chapters.Plant, ...]:
    """Where in a chapter's code cells its errors go.

    Args:
        mutants: of this chapter.
        notebook: the chapter.

    Returns:
        A plant for each mutant whose text is in one code cell; none for one that reaches over
        cells, or is prose.
    """
    sources = [cell.source for cell in cells.code_cells(notebook)]
    found = []
    for mutant in mutants:
        numbers = [
            number for number, source in enumerate(sources) if source.count(mutant.find) == 1
        ]
        if len(numbers) == 1:
            (number,) = numbers
            found.append(chapters.Plant(mutant.name, number, mutant.find, mutant.replace))
    return tuple(found)


class Crew(NamedTuple):
    """How many work at a time, a folder for them, and whom they tell of each result."""

    workers: int
    folder: Path
    tell: Callable[[Result], None]


def in_chapters(root: Path, mutants: list[Mutant], crew: Crew) -> dict[str, Result]:
    """Run the chapters that are checks, and plant the errors that are theirs; results by name."""
    named = {mutant.name: mutant for mutant in mutants}
    jobs = chapter_jobs(root, mutants)
    results: dict[str, Result] = {}
    failures: list[Failure] = []

    def tell(each: chapters.Planted) -> None:
        crew.tell(of_plant(named, each))

    with imported_from(root):
        for chapter in chapters.run_chapters(jobs, crew.workers, crew.folder, tell):
            failures += chapter.failures
            results |= {each.name: of_plant(named, each) for each in chapter.planted}
    refuse(failures)
    return results


@contextlib.contextmanager
def imported_from(root: Path) -> Iterator[None]:
    """Modules are imported from a project's folder first."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def chapter_jobs(root: Path, mutants: list[Mutant]) -> list[chapters.Job]:
    """A job for each chapter that is a check, with its errors; the longest first."""
    checks = {check for mutant in mutants for check in mutant.checks}
    jobs = []
    for name in sorted(check for check in checks if check.endswith(".ipynb")):
        own = [each for each in mutants if is_chapter(each) and name in each.checks]
        jobs.append(chapter_job(root / name, own))
    return sorted(jobs, key=lambda job: -len(job.plants))


def of_plant(named: dict[str, Mutant], planted: chapters.Planted) -> Result:
    """What a chapter's run says of a mutant."""
    return judge(named[planted.name], [planted.failure] if planted.failure else [], planted.seconds)


def chapter_job(notebook: Path, mutants: list[Mutant]) -> chapters.Job:
    """A stored chapter, whose cells must be its source's, and its errors."""
    stored = cells.read(notebook)
    source = notebook.parent / "source" / f"{notebook.stem}.py"
    if not comes_from(stored, source):
        raise ListError(
            f"{source.name}: the cells are not the notebook's cells; run `make notebooks`"
        )
    return chapters.Job(notebook, plants=plants(mutants, stored))


def in_modules(root: Path, mutants: list[Mutant], crew: Crew) -> dict[str, Result]:
    """Try errors in modules, each in a copy of the project; results by name."""
    if not mutants:
        return {}
    trees = [copy_tree(root, crew.folder / str(number)) for number in range(crew.workers)]
    slots = forks.Slots(crew.folder / "trees", crew.workers)
    bodies = [partial(in_tree, trees, slots, mutant) for mutant in mutants]
    results: dict[str, Result] = {}
    for number, row in forks.run_all(bodies, crew.workers, SECONDS):
        result = judge(mutants[number], *tried_in(row))
        results[result.mutant.name] = result
        crew.tell(result)
    check_catchers(trees, list(results.values()))
    return results


class Tried(NamedTuple):
    """What failed in a copy of the project, in so many seconds."""

    failures: list[Failure]
    seconds: float


def tried_in(row: list[Any] | forks.EndedError) -> Tried:
    """What a process gave, of which JSON has made lists; or that it gave nothing."""
    if isinstance(row, forks.EndedError):
        return Tried([Failure("pytest", Kind.ERROR, str(row))], SECONDS)
    failures, seconds = row
    return Tried(failures_in(failures), seconds)


def in_tree(trees: list[Path], slots: forks.Slots, mutant: Mutant) -> Tried:
    """Plant an error in a free copy and run its checks up to the first failure; the body of a
    process.
    """
    began = time.perf_counter()
    with slots as number:
        move_to(trees[number])
        with planted(trees[number], mutant):
            failures = checked(mutant.checks)
    return Tried(failures, round(time.perf_counter() - began, 2))


def checked(checks: tuple[str, ...]) -> list[Failure]:
    """Tests first, they are faster; then chapters."""
    notebooks = [check for check in checks if check.endswith(".ipynb")]
    tests = [check for check in checks if check not in notebooks]
    if tests and (failures := run_here(["-x", "-o", "addopts=", *tests])):
        return failures
    for name in notebooks:
        if failure := in_chapter(Path(name).resolve()):
            return [failure]
    return []


def in_chapter(notebook: Path) -> Failure | None:
    """Run a stored chapter, in which nothing is planted, up to the first failure."""
    os.chdir(notebook.parent)
    stored, whole = chapters.Stored.of(notebook), cells.read(notebook)
    nothing = chapters.Plant("", 0, "", "")
    every = cells.code_cells(whole)
    return chapters.first_failure(cells.Session(whole), every, stored, nothing, notebook.stem)


def move_to(tree: Path) -> None:
    """Work in a copy of the project: what was imported from the project is forgotten, and imported
    from there.
    """
    sys.dont_write_bytecode = True
    os.environ.update(variables(tree) | BARE | {"PYTHONDONTWRITEBYTECODE": "1"})
    os.chdir(tree)
    project = Path(__file__).resolve().parents[2]
    sys.path[:] = [str(tree)] + [
        path for path in sys.path if Path(path or ".").resolve() != project
    ]
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOMS]:
        del sys.modules[name]
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def check_catchers(trees: list[Path], results: list[Result]) -> None:
    """Tests that caught an error pass where nothing is planted, else they would prove nothing.

    Args:
        trees: copies of the project.
        results: of all errors.

    Raises:
        ListError: if one does not.
    """
    caught = [result for result in results if result.state in (State.CAUGHT, State.CHANGED)]
    tests = {result.where for result in caught if result.where.startswith("tests/")}
    nodes = sorted(tests)
    tree, *_ = trees

    def run() -> list[Failure]:
        tidy(tree)
        move_to(tree)
        return run_here(["-o", "addopts=", *nodes])

    if nodes:
        refuse(failures_in(forks.call(run, 10 * SECONDS)))
