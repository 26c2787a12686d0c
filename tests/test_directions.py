"""Words beside a number say what holds: which of two is larger, and which way something went."""

import builtins
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from book.execute import SOURCE, read_source
from book.names import Names
from tests.needed import needed, run
from tests.unbound import words_in, words_of

ROWS = tomllib.loads((Path(__file__).parent / "directions.toml").read_text(encoding="utf-8"))


class Direction(NamedTuple):
    """A row of directions.toml."""

    chapter: int
    says: str
    check: str


DIRECTIONS = [Direction(**row) for row in ROWS["direction"]]
CHAPTERS = sorted({row.chapter for row in DIRECTIONS})


def joined(text: str) -> str:
    """Words on one line."""
    return " ".join(text.split())


def checked(chapter: int) -> list[str]:
    """The chapter's code, and where a sentence stands, or its names are bound, what must be true."""
    waiting = [row for row in DIRECTIONS if row.chapter == chapter]
    cells, bound = ["_held = {}"], {*dir(builtins)}
    met = set[Direction]()
    for cell in read_source(next(SOURCE.glob(f"{chapter:02d}_*.py"))).cells:
        if cell.cell_type == "code":
            cells.append(cell.source)
            bound |= Names(cell.source).gives
        text = joined(" ".join(words_in(cell)))
        met |= {row for row in waiting if joined(row.says) in text}
        for row in [row for row in waiting if row in met and Names(row.check).takes <= bound]:
            cells.append(f"_held[{row.says!r}] = {row.check}")
            waiting.remove(row)
    return cells


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_sentence_stands_there_once(chapter: int) -> None:
    texts = [*map(joined, words_of(next(SOURCE.glob(f"{chapter:02d}_*.py"))))]
    said = [joined(row.says) for row in DIRECTIONS if row.chapter == chapter]
    assert [words for words in said if sum(text.count(words) for text in texts) != 1] == []


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_it_says_holds(chapter: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2LIB_SEED", "0")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    names: dict[str, Any] = {"__name__": "directions"}
    run(needed(checked(chapter), "_held"), names)
    found = {says: bool(holds) for says, holds in names["_held"].items()}
    assert found == {row.says: True for row in DIRECTIONS if row.chapter == chapter}
