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
from numpy.typing import NDArray

from book.execute import NOTEBOOKS
from book.running import forks, terminal
from book.running.cells import Session, code_cells, read
from tests.planted.chapters import named

ENOUGH = 3.0
"""Standard deviations of room that a claim should have."""
SECONDS = 1800


class Claimed(NamedTuple):
    """What a claim met on one seed: its smallest and largest number, and the bound."""

    name: str
    """The claim's id; with #1, #2, … for the second, third claim of that id."""
    least: float
    most: float
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
    """Standard deviations between the mean and the bound, on the side that has fewer."""

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
    from l2lib import _bounds, claims

    real, counts = claims.claim, defaultdict[str, int](int)

    def claim(claim_id: str, sentence: str, *, measured: Any, **bounds: Any) -> None:
        whole = {"below": None, "above": None, "between": None, "equals": None, "within": None}
        values = _bounds.numbers_of(measured)
        bound = _bounds.bound_of(**(whole | bounds), whole=values.dtype.kind == "i")
        if not bound.identity:
            name = f"{claim_id}#{counts[claim_id]}" if counts[claim_id] else claim_id
            counts[claim_id] += 1
            least, most = float(values.min()), float(values.max())
            holds = bound.holds(values[bound.worst(values)].item())
            found.append(Claimed(name, least, most, bound.low, bound.high, holds))
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
    for met_once in runs:
        for claimed in met_once:
            by_name[claimed.name].append(claimed)
    found = []
    for name, several in by_name.items():
        numbers = np.array([[one.least, one.most] for one in several])
        if np.ptp(numbers, 0).max() > 1e-9 * np.abs(numbers).max():
            held = sum(one.holds for one in several)
            found.append(Room(chapter, name, held, len(several), room(numbers, several[0])))
    return found


def room(numbers: NDArray[np.float64], claimed: Claimed) -> float:
    """Standard deviations from the mean to the bound, on the side that has fewer.

    Positive numbers of which one is more than twice another are compared by their logarithms:
    their spread is a factor.

    Args:
        numbers: the smallest and the largest that a claim met on each seed, shape (seeds, 2).
        claimed: one of them, for the bound.

    Returns:
        The room; inf on a side that is open or on which nothing varies.
    """
    found = [math.inf]
    for values, end in zip(numbers.T, (claimed.low, claimed.high), strict=True):
        if not math.isfinite(end) or np.ptp(values) == 0:
            continue
        if end > 0 and (values > 0).all() and values.max() > 2 * values.min():
            values, end = np.log(values), math.log(end)
        found.append(float(abs(end - values.mean()) / values.std(ddof=1)))
    return min(found)


def run(paths: Sequence[Path], seeds: Sequence[int], workers: int) -> Iterator[Room]:
    """Run chapters on seeds; what each seed says, when all are through."""
    forks.warm()
    bodies = [partial(met, path.resolve(), seed) for path in paths for seed in seeds]
    runs: dict[str, list[list[Claimed]]] = defaultdict(list)
    left = dict.fromkeys((path.stem for path in paths), len(seeds))
    for number, rows in forks.run_all(bodies, workers, SECONDS):
        name = paths[number // len(seeds)].stem
        if isinstance(rows, forks.EndedError):
            print(f"{name}, seed {seeds[number % len(seeds)]}: {rows}", file=sys.stderr, flush=True)
        else:
            runs[name].append([Claimed(*row) for row in rows])
        left[name] -= 1
        if not left[name] and len(runs[name]) > 1:
            yield from rooms(name, runs[name])


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
    terminal.speak()
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
