"""Plant errors, one at a time; each must be caught by a claim, a test or a compared output.

    python -m tests.planted [WORDS ...]    those whose name or file holds one of the words, or all
    python -m tests.planted --part 2/4     the second quarter, as CI plants them in turn

The list is errors.toml beside this file. A mutant that no check notices survived; one that ends in
a mere error (a name that does not exist, a wrong type) is broken: it says nothing about the checks.
Both make this tool fail, and are told again at the end. A broken one is first tried once more by
itself: a busy machine may have taken too long. One that only changes an output is noticed, but
nothing says that the new output is wrong; of the errors in chapters at most one in five may be such.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from book.running import forks, terminal
from tests.planted.errors import ListError, Mutant, Result, State, is_chapter, load
from tests.planted.outcomes import PytestError
from tests.planted.planting import run_forked, run_slowly

ROOT = Path(__file__).resolve().parents[2]
CHANGED = 0.2  # share of the errors in chapters that may do no more than change an output


def line(result: Result) -> str:
    """A result, for people."""
    mutant = result.mutant
    where = f"{mutant.name:44}  {mutant.file:44}"
    return f"{result.state:8}  {where}  {result.seconds:5.1f} s  {result.by}"


def choose(root: Path, words: list[str]) -> list[Mutant]:
    """The mutants whose name or file holds one of the words.

    Args:
        root: the project.
        words: none means all mutants.

    Returns:
        The mutants, in the order of the list.

    Raises:
        ListError: if there is none, or the list is out of date.
    """
    mutants = load(root)
    wanted = [
        mutant
        for mutant in mutants
        if not words or any(word in mutant.name + mutant.file for word in words)
    ]
    if not wanted:
        raise ListError(f"no mutant's name or file holds {' or '.join(words)}")
    return wanted


class Part(NamedTuple):
    """Every ``of``-th mutant, from the ``number``-th on: 1/4, 2/4, 3/4 and 4/4 are all."""

    number: int
    of: int

    def taken(self, mutants: list[Mutant]) -> list[Mutant]:
        """The mutants of this part; neighbours in the list, which are alike, go to all parts."""
        return mutants[self.number - 1 :: self.of]


def part(text: str) -> Part:
    """A part as the command line has it, such as 2/4."""
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write 2/4 for the second of four")
    return Part(int(number), int(of))


Run = Callable[[Path, list[Mutant], int, Callable[[Result], None]], list[Result]]


def try_all(run: Run, root: Path, wanted: list[Mutant], workers: int) -> list[Result]:
    """Try the mutants and tell of each, then those that ended in an error once more, one by one.

    Args:
        run: ``run_forked`` or ``run_slowly``.
        root: the project.
        wanted: what to try.
        workers: mutants at a time.

    Returns:
        A result for each mutant, in their order: of two, the second.
    """

    def tell(result: Result) -> None:
        print(line(result), flush=True)

    results = run(root, wanted, workers, tell)
    broken = [result.mutant for result in results if result.state is State.BROKEN]
    if not broken:
        return results
    print(f"once more, by themselves: {len(broken)}", flush=True)
    second = {result.mutant.name: result for result in run(root, broken, 1, tell)}
    return [second.get(result.mutant.name, result) for result in results]


class Verdict(NamedTuple):
    """The last lines, and the exit status."""

    words: str
    status: int


def verdict(results: list[Result], seconds: float) -> Verdict:
    """What was not noticed, the last line, and the exit status."""
    counts = Counter(result.state for result in results)
    summary = ", ".join(f"{counts[state]} {state.lower()}" for state in State)
    chapters = sum(is_chapter(result.mutant) for result in results)
    noticed = counts[State.CAUGHT] + counts[State.CHANGED] == len(results)
    status = 0 if noticed and counts[State.CHANGED] <= CHANGED * chapters else 1
    last = f"{len(results)} mutants: {summary} ({seconds:.0f} s)"
    faults = [result for result in results if result.state in (State.SURVIVED, State.BROKEN)]
    return Verdict("\n".join([*map(line, faults), last]), status)


def main(arguments: list[str] | None = None) -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words", nargs="*", help="only mutants whose name or file holds one of these"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project; default: this one")
    parser.add_argument(
        "--workers", type=int, default=min(2, os.cpu_count() or 1), help="mutants at a time"
    )
    parser.add_argument(
        "--slow",
        action="store_true",
        help="pytest anew for every error, as where nothing can be forked",
    )
    parser.add_argument("--part", type=part, default=Part(1, 1), help="such as 2/4; default: all")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    run = run_slowly if options.slow or not forks.available() else run_forked
    try:
        wanted = options.part.taken(choose(options.root, options.words))
        if not wanted:
            raise ListError("this part of what was chosen is empty: nothing would be tried")
        results = try_all(run, options.root.resolve(), wanted, options.workers)
    except (ListError, PytestError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        rows = [{"name": r.mutant.name, "state": r.state, "by": r.by} for r in results]
        options.json.write_text(json.dumps(rows), encoding="utf-8")
    last = verdict(results, time.perf_counter() - began)
    print(last.words)
    return last.status


if __name__ == "__main__":
    sys.exit(main())
