"""How much room the claims have: every chapter on many seeds, and where each measured number lies.

    python -m tests.room [--seeds 1-20] [WORDS ...]    chapters whose name holds a word, or all

For each claim that depends on the seeds: on how many of them it holds, and how many standard
deviations lie between the mean of what it measured and its bound. The first seed of each run is
1000 times the number given, as everywhere (``l2lib.claims.seeds``).
"""

import argparse
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from book.execute import NOTEBOOKS
from book.running import forks
from book.running.cells import Session, code_cells, read
from tests.planted.chapters import named

ENOUGH = 3.0
"""Standard deviations of room that a claim should have."""
SECONDS = 1800


class Claimed(NamedTuple):
    """A number that a claim met on one seed, the one nearest to the bound, and the bound."""

    name: str
    """The claim's id; with #1, #2, … for the second, third claim of that id."""
    value: float
    low: float
    high: float
    holds: bool


class Room(NamedTuple):
    """What many seeds say of a claim."""

    chapter: str
    name: str
    held: int
    seeds: int
    room: float
    """Standard deviations between the mean and the nearer bound; inf if nothing varies."""

    @property
    def enough(self) -> bool:
        return self.held == self.seeds and self.room >= ENOUGH


# ---- one chapter on one seed ------------------------------------------------------------------
def met(notebook: Path, seed: int) -> list[Claimed]:
    """What the claims of a chapter meet on a seed; the body of a process. None of them raises."""
    os.environ["L2LIB_SEED"] = str(seed)
    os.chdir(notebook.parent)
    found: list[Claimed] = []
    listen(found)
    chapter = read(notebook)
    session = Session(chapter)
    for number, cell in enumerate(code_cells(chapter)):
        if error := session.run(cell.source).error:
            raise RuntimeError(f"seed {seed}, cell {number}: {error!r}")
    return found


def listen(found: list[Claimed]) -> None:
    """From now on claims in this process are noted, and raise nothing where they do not hold."""
    from l2lib import claims

    real, counts = claims.claim, defaultdict[str, int](int)

    def claim(claim_id: str, sentence: str, *, measured: Any, **bounds: Any) -> None:
        whole = {"below": None, "above": None, "between": None, "equals": None, "within": None}
        values = claims.numbers_of(measured)
        bound = claims.bound_of(**(whole | bounds), whole=values.dtype.kind == "i")
        value = values[bound.worst(values)].item()
        if not bound.identity:
            name = f"{claim_id}#{counts[claim_id]}" if counts[claim_id] else claim_id
            counts[claim_id] += 1
            found.append(Claimed(name, value, bound.low, bound.high, bound.holds(value)))
        try:
            real(claim_id, sentence, measured=measured, **bounds)
        except claims.ClaimError:
            if bound.identity:
                raise

    claims.claim = claim


# ---- many seeds ---------------------------------------------------------------------------------
def rooms(chapter: str, runs: Sequence[Sequence[Claimed]]) -> list[Room]:
    """What a chapter's runs on several seeds say of each claim; those that never vary left out."""
    by_name: dict[str, list[Claimed]] = defaultdict(list)
    for run in runs:
        for each in run:
            by_name[each.name].append(each)
    found = []
    for name, each in by_name.items():
        values = np.array([one.value for one in each])
        if np.ptp(values) > 1e-9 * np.abs(values).max():
            held = sum(one.holds for one in each)
            found.append(Room(chapter, name, held, len(each), room(values, each[0])))
    return found


def room(values: np.ndarray, claimed: Claimed) -> float:
    """Standard deviations from the mean to the nearer bound.

    Positive numbers of which one is more than twice another are compared by their logarithms:
    their spread is a factor.
    """
    ends = np.array([end for end in (claimed.low, claimed.high) if math.isfinite(end)])
    if (values > 0).all() and (ends > 0).all() and values.max() > 2 * values.min():
        values, ends = np.log(values), np.log(ends)
    if not np.isfinite(values).all():
        return 0.0
    return float(np.abs(ends - values.mean()).min() / values.std(ddof=1))


def run(paths: Sequence[Path], seeds: Sequence[int], workers: int) -> Iterator[Room]:
    """Run chapters on seeds; what each seed says, when all are through."""
    forks.warm()
    bodies = [partial(met, path.resolve(), seed) for path in paths for seed in seeds]
    runs: dict[str, list[list[Claimed]]] = defaultdict(list)
    for number, rows in forks.run_all(bodies, workers, SECONDS):
        path = paths[number // len(seeds)]
        if isinstance(rows, forks.EndedError):
            print(f"{path.stem}: {rows}", file=sys.stderr, flush=True)
        else:
            runs[path.stem].append([Claimed(*row) for row in rows])
        if len(runs[path.stem]) == len(seeds):
            yield from rooms(path.stem, runs[path.stem])


def line(each: Room) -> str:
    """A claim's room, for people."""
    mark = " " if each.enough else "!"
    held = f"{each.held} of {each.seeds}"
    return f"{mark} {each.chapter[:2]}  {each.name:26} held on {held:>10}  room {each.room:6.1f}"


def numbers(text: str) -> list[int]:
    """The numbers of a range such as 1-20; of a single number, itself."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("words", nargs="*", help="only chapters whose file's name holds one of these")
    add("--seeds", type=numbers, default=numbers("1-20"), help="such as 1-20")
    add("--workers", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time")
    add("--json", type=Path, help="file for the results")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    paths = named(NOTEBOOKS, asked.words)
    if not paths or len(asked.seeds) < 2:
        parser.error("no chapter has such a name, or there are fewer than two seeds")
    found = []
    for each in run(paths, asked.seeds, asked.workers):
        found.append(each)
        print(line(each), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps([each._asdict() for each in found]), encoding="utf-8")
    short = [each for each in found if not each.enough]
    print(f"{len(found)} claims vary with the seeds; {len(short)} have less than {ENOUGH:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
