"""Compute the headline numbers again, and compare them with the book's.

    python -m tests.again [--write] [WORDS ...]    those whose id or chapter holds a word, or all

Fails if one contradicts the stored chapters, or is not what results.toml keeps; ``--write`` writes
what was computed there.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from book.execute import NOTEBOOKS
from book.running import terminal
from book.running.cells import code_cells, read
from book.running.forks import THREADS
from tests.again import RESULTS, Computed, Sheet, compute, results, sheets

SAME = 1e-6
"""Relative difference between two machines that compute the same."""
OTHER_ROUNDING = 0.1
"""Of a statistical tolerance: what a processor that rounds otherwise may change, as an accuracy."""


def chosen(words: Sequence[str]) -> list[Sheet]:
    """The sheets whose id or chapter (chapter_08) holds one of the words; all if there are none."""
    names = {sheet: f"{sheet.id} chapter_{sheet.chapter:02d}" for sheet in sheets()}
    return [
        sheet for sheet, name in names.items() if not words or any(word in name for word in words)
    ]


def of_book(sheet: Sheet) -> float:
    """What the stored chapter says; not a number, if it says nothing of it."""
    notebook = read(next(NOTEBOOKS.glob(f"{sheet.chapter:02d}_*.ipynb")))
    found = sheet.of_book(output for cell in code_cells(notebook) for output in cell.outputs)
    return math.nan if found is None else found


def verdict(sheet: Sheet, value: float, kept: float | None) -> str:
    """What is wrong with a number; empty if nothing is."""
    if not abs(of_book(sheet) - value) <= sheet.tolerance:
        return "contradicts the book"
    allowed = OTHER_ROUNDING * sheet.tolerance if sheet.statistical else SAME * abs(value)
    if kept is None or abs(value - kept) > allowed:
        return f"results.toml has {kept}: run python -m tests.again --write"
    return ""


def run(wanted: Sequence[Sheet], workers: int) -> Iterable[Computed]:
    """Compute the numbers of these sheets, chapters side by side."""
    for name in THREADS:
        os.environ[name] = "1"
    chapters = dict.fromkeys(sheet.chapter for sheet in wanted)
    ids = [sheet.id for sheet in wanted]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(compute, chapter, ids) for chapter in chapters]
        for future in futures:
            yield from future.result()


def main() -> int:
    terminal.speak()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only sheets whose id or chapter holds a word")
    parser.add_argument("--write", action="store_true", help="write results.toml")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    wanted = {sheet.id: sheet for sheet in chosen(asked.words)}
    if not wanted:
        parser.error(f"no sheet's id or chapter holds {' or '.join(asked.words)}")
    kept, found, wrong = results(), dict[str, float](), 0
    for name, value, seconds in run([*wanted.values()], asked.workers):
        sheet, found[name] = wanted[name], value
        words = verdict(sheet, value, value if asked.write else kept.get(name))
        wrong += bool(words)
        numbers = f"again {value:10.4g}  book {of_book(sheet):10.4g}  ± {sheet.tolerance:<8.2g}"
        print(f"{name:18} {numbers} {seconds:6.1f} s  {words}", flush=True)
    if asked.write:
        lines = [f'"{name}" = {value!r}\n' for name, value in sorted((kept | found).items())]
        head = (
            "# What the numbers of sheets.toml came to; python -m tests.again --write writes it.\n"
        )
        RESULTS.write_text(head + "".join(lines), encoding="utf-8")
    missing = sorted(wanted.keys() - found.keys())
    print(f"{len(found)} numbers computed again, {wrong} wrong; not computed: {missing or 'none'}")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
