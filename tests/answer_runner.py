"""Scores of answers to problem sets: by a fork for each, or by executing the whole set for each.

An answer is a set of which some cells are changed. ``forked`` executes each set once, as its author
wrote it, and forks before the first cell that an answer changes. The child executes the changed
cells and then, of the cells and tests that follow, those that can make a difference to a score; a
test on which the change has no effect keeps the score that it gave before. What depends on what is
read off the names: a cell depends on those that bind a name which it reads, itself or through
functions, and on those that may change an object in place. Whatever reads a name may change its
object, unless it is something imported or a function without a state.

It relies on a process with one thread and no pool at each fork: so it runs in a process of its own,
with one thread for the libraries, no GPU and pictures that go to no screen; a child leaves as soon
as it has sent its scores. Linux only.

It cannot see an effect that names do not show: a file, a number from a library's own generator, a
change to a module made by a function that does not say so. An answer that sets something in a
module, calls its ``set…`` or ``…seed``, or names ``setattr``, ``globals`` and the like, executes
everything that follows it. ``whole`` executes everything for each
answer: it sees all this, takes about four times as long, and is what L2LIB_ANSWERS=whole and
    systems other than Linux
use. Its two processes serve for all answers, so there a change to a module lasts.
"""

import ast
import contextlib
import dis
import functools
import importlib
import io
import multiprocessing
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple
from unittest import mock

import matplotlib.pyplot as plt

from book.execute import ROOT
from book.running import forks
from course.grading.confine import Limits
from course.grading.inside import codec
from course.grading.inside.__main__ import answer
from course.grading.problems import Check, Problems, load
from course.grading.score import check
from course.grading.student import TO_CALL, TO_LOOK, Reply, reply_in


class Known(NamedTuple):
    """An answer of course/answers: one cell, written another way."""

    name: str
    cell: str
    code: str
    question: str = ""
    """The question on which a wrong answer loses points."""

    @property
    def changes(self) -> "Answer":
        """The changed cell."""
        return {self.cell: self.code}


class Answers(NamedTuple):
    """All answers to a set whose worth is known."""

    wrong: list[Known]
    right: list[Known]


def known_answers(name: str) -> Answers:
    """Those to the set of this name."""
    text = (ROOT / f"course/answers/{name}.toml").read_text(encoding="utf-8")
    kinds = tomllib.loads(text)
    return Answers(**{kind: [Known(**row) for row in rows] for kind, rows in kinds.items()})


Answer = dict[str, str]
"""Sources of the changed cells, by cell."""


class Score(NamedTuple):
    """What a test cell gave."""

    points: float
    reason: str


Scores = dict[str, Score]
"""By test cell."""
Jobs = dict[Path, dict[str, Answer]]
"""Answers by name, by the source of their set; one without changes is the set's own."""
Results = Iterator[tuple[tuple[str, str], Scores | str]]
"""Scores by set and answer, or why there are none."""

SECONDS = 300
ALONE = {"MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": ""}
ALONE |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
HIDING = {
    "setattr",
    "delattr",
    "exec",
    "eval",
    "globals",
    "locals",
    "vars",
    "__import__",
    "__builtins__",
}


def run(jobs: Jobs) -> Results:
    """Score answers, one set after the other."""
    asked = os.environ.get("L2LIB_ANSWERS") or "parts"
    if asked not in ("parts", "whole"):
        raise ValueError(f"L2LIB_ANSWERS is {asked!r}; choose one of parts, whole")
    fast = sys.platform == "linux" and asked == "parts"
    return forked(jobs) if fast else whole(jobs)


# ---- a process in which a set is executed --------------------------------------------------------
class Here:
    """Stands for a student's process: cells run in this one, and values cross as they do there."""

    def __init__(self, problems: Problems, limits: Limits) -> None:
        self.problems = problems
        self.limits = limits
        self.asked = ""
        self.trouble: dict[int, str] = {}
        self.names: dict[str, Any] = {"__name__": "__main__"}
        plt.close("all")

    def run(self, source: str) -> None:
        with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
            exec(source, self.names)

    def look(self, name: str) -> Reply:
        return reply_in(self._ask(name, {"name": name}), *TO_LOOK)

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reply:
        question = {"name": name, "args": tuple(args), "kwargs": dict(kwargs)}
        return reply_in(self._ask(name, question), *TO_CALL)

    def _ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:
        self.asked = name
        try:
            crossed = codec.loads(codec.dumps(question))
            return dict(codec.loads(codec.dumps(answer(self.names, crossed))))
        except (TypeError, ValueError):
            return {}  # what came back could not cross

    def score(self, test: Check) -> Score:
        outcome = check(test, self, self.problems.cells)
        return Score(outcome.points, outcome.reason)


def parts(problems: Problems, changed: Answer) -> list[str | Check]:
    """What is executed for an answer: the sources of the cells, then the tests."""
    tests = {test.id for test in problems.tests}
    cells = [cell for cell in problems.cells if cell.kind == "code" and cell.id not in tests]
    return [*(changed.get(cell.id, cell.source) for cell in cells), *problems.tests]


def play(here: Here, these: Iterable[str | Check]) -> Scores:
    """Execute some parts of a set, and say what the tests among them gave."""
    found = {}
    for part in these:
        if isinstance(part, Check):
            found[part.id] = here.score(part)
        else:
            here.run(part)
    return found


# ---- the whole set for each answer ---------------------------------------------------------------
def whole(jobs: Jobs, limits: Limits | None = None, seconds: float = SECONDS) -> Results:
    """Execute everything for each answer, in two processes."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        futures: dict[tuple[str, str], Future[Scores]] = {}
        for path, answers in jobs.items():
            for name, changed in answers.items():
                one = pool.submit(_whole, path, changed, limits or Limits())
                futures[path.stem, name] = one
        try:
            for key, future in futures.items():
                error = future.exception(seconds)
                yield key, f"{type(error).__name__}: {error}" if error else future.result()
        finally:
            for future in futures.values():
                future.cancel()


def _whole(path: Path, changed: Answer, limits: Limits) -> Scores:
    problems = load(path)
    return play(Here(problems, limits), parts(problems, changed))


# ---- a fork for each answer ----------------------------------------------------------------------
def forked(jobs: Jobs, limits: Limits | None = None, seconds: float = SECONDS) -> Results:
    """Execute each set once, and for each answer what depends on it; a child may take that many
    seconds.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    nursery = spawn.Process(target=_nursery, args=(theirs, jobs, limits or Limits(), seconds))
    with mock.patch.dict(os.environ, ALONE):
        nursery.start()
    theirs.close()
    try:
        for path, answers in jobs.items():
            if not ours.poll(SECONDS + seconds * len(answers)):
                raise TimeoutError(f"{path.stem}: no scores, and no end")
            yield from (((path.stem, name), found) for name, found in ours.recv().items())
    finally:
        nursery.kill()
        nursery.join()


def _nursery(pipe: Connection, jobs: Jobs, limits: Limits, seconds: float) -> None:
    forks.end_with_parent()
    sets = [(load(path), answers) for path, answers in jobs.items()]
    for name in {name for problems, answers in sets for name in _modules(problems, answers)}:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for problems, answers in sets:
        pipe.send(_one_set(problems, answers, limits, seconds))


def _modules(problems: Problems, answers: dict[str, Answer]) -> Iterator[str]:
    """What a set and the answers to it import: with it imported here, no child has to."""
    sources = [part.code if isinstance(part, Check) else part for part in parts(problems, {})]
    sources += [source for changed in answers.values() for source in changed.values()]
    for source in sources:
        if "torch.optim" in source:
            yield "torch._dynamo"  # which comes with the first optimizer
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(source)):
                yield from _imported(node)


def _imported(node: ast.AST) -> list[str]:
    """The modules that a node imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(name)):
            return [name]
    return []


def _one_set(
    problems: Problems, answers: dict[str, Answer], limits: Limits, seconds: float
) -> dict[str, Scores | str]:
    here = Here(problems, limits)
    reference = parts(problems, {})
    given = {
        name: _changes(reference, parts(problems, changed)) for name, changed in answers.items()
    }
    found: dict[str, Scores | str] = {}
    scores: Scores = {}
    for number, part in enumerate(reference):
        starting = [name for name, changes in given.items() if changes and min(changes) == number]
        found |= _in_children(
            {name: partial(play, here, again(reference, given[name])) for name in starting}, seconds
        )
        scores |= play(here, [part])
    return {
        name: scores | new if isinstance(new := found.get(name, {}), dict) else new
        for name in answers
    }


def _changes(reference: list[str | Check], answered: list[str | Check]) -> dict[int, str]:
    """The changed cells, by their place."""
    pairs = enumerate(zip(reference, answered, strict=True))
    return {number: new for number, (old, new) in pairs if isinstance(new, str) and new != old}


def _in_children(
    jobs: Mapping[str, Callable[[], Scores]], seconds: float
) -> dict[str, Scores | str]:
    """Results by name, worked out by children of this process, two at a time."""
    names = list(jobs)
    found: dict[str, Scores | str] = {}
    if names:
        _only_one_thread()
    for number, scores in forks.run_all(list(jobs.values()), 2, seconds):
        if isinstance(scores, forks.EndedError):
            found[names[number]] = str(scores)
        else:
            found[names[number]] = {test: Score(*each) for test, each in scores.items()}
    return found


def _only_one_thread() -> None:
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(
            f"{threads} threads: a process is forked safely if it has one; use L2LIB_ANSWERS=whole"
        )


# ---- what depends on what ------------------------------------------------------------------------
class Unit(NamedTuple):
    """What a cell or a test does to names."""

    reads: frozenset[str]
    binds: dict[str, str]
    """Name to what it is bound to: "import …", "function" (one without a state) or "data"."""
    sets: frozenset[str]
    """Names of which an attribute or an item is set, or a method ``set…`` or ``…seed`` used."""
    imports: frozenset[str]
    hides: bool
    """Whether it can change what its names do not show."""


NOTHING = Unit(frozenset(), {}, frozenset(), frozenset(), False)


def again(reference: list[str | Check], changes: dict[int, str]) -> list[str | Check]:
    """What is to be executed for an answer, from its first change on, in order."""
    units = [unit(part) for part in reference]
    new = {number: unit(source) for number, source in changes.items()}
    if _reach_anything([*units, *new.values()]):
        chosen = set(range(min(changes), len(units)))
    else:
        chosen = _affected(reference, units, new)
    return [changes.get(number, reference[number]) for number in sorted(chosen)]


def _reach_anything(every: list[Unit]) -> bool:
    """Whether one of them can change what names do not show, such as something in a module."""
    imported = {name for each in every for name in each.imports}
    return any(each.hides or each.sets & imported for each in every)


def _affected(reference: list[str | Check], units: list[Unit], new: dict[int, Unit]) -> set[int]:
    """The changed cells, the tests to which they may make a difference, and what lies between."""
    joined = list(units)
    for number, each in new.items():
        others = joined[:number] + joined[number + 1 :]
        joined[number] = _either(joined[number], each, others)
    chosen: set[int] = set()
    for number, part in enumerate(reference):
        if isinstance(part, Check):
            before = _behind(joined, number)
            if before & new.keys():
                chosen |= {number, *before}
    return {number for number in chosen if number > min(new)} | new.keys()


def _behind(units: list[Unit], last: int) -> set[int]:
    """The units before one that may make a difference to it."""
    data = {name for each in units for name, how in each.binds.items() if how == "data"}
    data |= {name for each in units for name in each.sets}
    wanted = _reach(units, units[last].reads)
    found: set[int] = set()
    for number in reversed(range(last)):
        reads = _reach(units, units[number].reads)
        if wanted & (units[number].binds.keys() | (reads & data)):
            found.add(number)
            wanted |= reads
    return found


def _reach(units: list[Unit], names: Iterable[str]) -> set[str]:
    """Names, and those that the units that bind them read, and so on."""
    found: set[str] = set()
    new = set(names)
    while new:
        found |= new
        new = {name for each in units if each.binds.keys() & new for name in each.reads} - found
    return found


def _either(old: Unit, new: Unit, others: list[Unit]) -> Unit:
    """A changed cell, as it was and as it is, without imports that make no difference."""

    def idle(name: str) -> bool:
        how = new.binds.get(name, "")
        elsewhere = {each.binds[name] for each in [old, *others] if name in each.binds}
        return how.startswith("import") and elsewhere == {how}

    binds = {name: how for name, how in (old.binds | new.binds).items() if not idle(name)}
    return Unit(
        reads=old.reads | new.reads,
        binds=binds,
        sets=old.sets | new.sets,
        imports=old.imports | new.imports,
        hides=False,
    )


@functools.cache
def unit(part: str | Check) -> Unit:
    """What a cell or a test does to names; a cell that does not compile does nothing."""
    if isinstance(part, Check):
        return NOTHING._replace(reads=frozenset(part.needs))
    try:
        tree = ast.parse(part)
        names = _names(compile(tree, "cell", "exec"))
    except (SyntaxError, ValueError):
        return NOTHING
    nodes = list(ast.walk(tree))
    bindings = [each for node in nodes for each in _bindings(node)]
    imports = _imports(bindings)
    return Unit(
        reads=frozenset(names.read),
        binds=_binds(bindings, names.bound),
        sets=frozenset(_root(node) for node in nodes if _sets(node)),
        imports=imports,
        hides=bool(names.read & HIDING or "*" in imports),
    )


class Names(NamedTuple):
    """The global names that code reads, and those that it binds or deletes."""

    read: set[str]
    bound: set[str]


def _names(code: CodeType) -> Names:
    """Of code, and of the code in it."""
    names = Names(set(), set())
    for step in dis.get_instructions(code):
        verb, _, what = step.opname.partition("_")
        if what in ("NAME", "GLOBAL", "FROM_DICT_OR_GLOBALS"):
            if verb == "LOAD":
                names.read.add(step.argval)
            elif verb in ("STORE", "DELETE"):
                names.bound.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more = _names(inner)
            names.read.update(more.read)
            names.bound.update(more.bound)
    return names


class Binding(NamedTuple):
    """A name, and what it is bound to, in the words of ``Unit.binds``."""

    name: str
    how: str


def _imports(bindings: list[Binding]) -> frozenset[str]:
    return frozenset(each.name for each in bindings if each.how.startswith("import"))


def _binds(bindings: list[Binding], bound: set[str]) -> dict[str, str]:
    """What each name is bound to; data where that is not always the same."""
    hows: dict[str, set[str]] = {name: set() for name in bound}
    for each in bindings:
        if each.name in bound:
            hows[each.name].add(each.how)
    return {name: next(iter(each)) if len(each) == 1 else "data" for name, each in hows.items()}


def _bindings(node: ast.AST) -> list[Binding]:
    """Names that a node binds, and to what."""
    match node:
        case ast.Import(names=aliases):
            return [_import(alias) for alias in aliases]
        case ast.ImportFrom(module=module, level=level, names=aliases):
            source = f"{'.' * level}{module} "
            return [
                Binding(each.asname or each.name, f"import {source}{each.name}") for each in aliases
            ]
        case ast.FunctionDef(name=name):
            return [Binding(name, "function" if _is_plain(node) else "data")]
        case ast.Name(id=name, ctx=ast.Store()):
            return [Binding(name, "data")]
    return []


def _import(alias: ast.alias) -> Binding:
    """`import a.b` binds a, and `import a.b as c` binds c to a.b."""
    name = alias.name if alias.asname else alias.name.partition(".")[0]
    return Binding(alias.asname or name, f"import {name}")


def _is_plain(node: ast.FunctionDef) -> bool:
    """Whether a function has no state: no decorator, and only constants as defaults."""
    defaults = [*node.args.defaults, *node.args.kw_defaults]
    return not node.decorator_list and all(
        isinstance(each, ast.Constant | None) for each in defaults
    )


def _sets(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute | ast.Subscript):
        return False
    named = isinstance(node, ast.Attribute) and (
        node.attr.startswith("set") or node.attr.endswith("seed")
    )
    return named or not isinstance(node.ctx, ast.Load)


def _root(node: ast.AST) -> str:
    """The name at which an expression such as a.b[0].c begins."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
