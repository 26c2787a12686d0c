"""Words say what holds, such as which of two is larger, and numbers in words are those computed a second way."""

import ast
from typing import Any

import pytest

from book.execute import SOURCE, read_source
from tests import rows
from tests.needed import needed, run
from tests.rows import joined, placed
from tests.unbound import words_of


@pytest.mark.parametrize("chapter", rows.chapters())
def test_the_sentence_stands_there_once(chapter: int) -> None:
    texts = [*map(joined, words_of(next(SOURCE.glob(f"{chapter:02d}_*.py"))))]
    said = [joined(row.says) for row in rows.rows(chapter) if not row.shown]
    assert [words for words in said if sum(text.count(words) for text in texts) != 1] == []


@pytest.mark.parametrize("chapter", rows.chapters())
def test_the_number_is_shown(chapter: int) -> None:
    cells = read_source(next(SOURCE.glob(f"{chapter:02d}_*.py"))).cells
    shown = {code for cell in cells for code in rows.shown_in(cell)}
    said = [row.says for row in rows.rows(chapter) if row.shown]
    assert [code for code in said if code not in shown] == []
    assert len({*said}) == len(said)


@pytest.mark.parametrize("chapter", rows.chapters())
def test_the_second_way_does_not_take_the_first(chapter: int) -> None:
    for row in rows.rows(chapter):
        if row.shown:
            value, again = ast.parse(row.check, mode="eval").body.args[:2]  # type: ignore[attr-defined]
            assert ast.unparse(value) not in map(ast.unparse, ast.walk(again)), row.says


@pytest.mark.slow
@pytest.mark.parametrize("chapter", rows.chapters())
def test_what_it_says_holds(chapter: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2LIB_SEED", "0")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    names: dict[str, Any] = {"__name__": "directions"}
    names |= {f"_{name}": value for name, value in rows.helpers(chapter).items()}
    cells = ["_held = {}"]
    for code, there in placed(chapter):
        # A chapter may have names of its own that a check's helpers have.
        given = ", ".join(f"{name}=_{name}" for name in rows.helpers(chapter))
        cells += [
            code,
            *(f"_held[{row.says!r}] = (lambda {given}: {row.check})()" for row in there),
        ]
    run(needed(cells, "_held"), names)
    found = {says: bool(holds) for says, holds in names["_held"].items()}
    assert found == {row.says: True for row in rows.rows(chapter)}


def test_two_ways_must_agree() -> None:
    assert rows.same(0.1 + 0.2, 0.3, 1e-9)
    assert not rows.same(0.3001, 0.3, 1e-9)
    assert rows.same(0.3001, 0.3, 1e-3)
    assert not rows.same(float("nan"), float("nan"), 1e-9)
    assert rows.same(0.0, 0.0, 1e-9)
