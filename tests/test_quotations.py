"""Every quotation stands in a source to the letter: compared where the sources are at hand."""

import json

import pytest

from l2lib.ledger import lines, sources
from tests import quotations
from tests.quotations import NOTES, Found, Quotation, find, in_code, in_prose, key

QUOTED = quotations.quotations()
NOTED = json.loads(NOTES.read_text(encoding="utf-8"))
TEXT = {"S0": "The first term is much bigger. So it is.", "S1": "We know of no method."}


def test_every_quotation_was_found_in_a_source() -> None:
    noted = NOTED["quotations"]
    unknown = [f"{q.where}: “{q.words}”" for q in QUOTED if key(q.words) not in noted]
    assert unknown == [], "compare these with the sources: python -m tests.quotations"
    assert [q.where for q in QUOTED if q.source and noted[key(q.words)]["source"] != q.source] == []


def test_nothing_is_noted_that_is_not_quoted() -> None:
    assert set(NOTED["quotations"]) == {key(q.words) for q in QUOTED}
    assert set(NOTED["sources"]) == set(sources())
    for row in NOTED["quotations"].values():
        assert 0 <= row["at"] < NOTED["sources"][row["source"]]["characters"]


def test_where_the_sources_are_at_hand_every_letter_is_theirs() -> None:
    """Elsewhere the two tests above hold the words to what was noted."""
    read = quotations.texts()
    if read:
        found, wrong = quotations.notes(read, QUOTED)
        assert wrong == []
        assert found == NOTED


def test_the_ledger_quotes_each_line_in_at_most_25_words() -> None:
    lengths = {line.id: len(line.quote.split()) for line in lines().values()}
    assert [
        name for name, length in lengths.items() if not 1 < length <= quotations.MAX_WORDS
    ] == []


@pytest.mark.parametrize(
    ("words", "source", "expected"),
    [
        ("term is much bigger", "", Found("S0", 10)),
        ("term  is\nmuch bigger", "S0", Found("S0", 10)),
        ("The first … bigger.", "", Found("S0", 0)),
        ("We know of no method.", "", Found("S1", 0)),
        ("We know of no method.", "S0", None),
        ("Term is much bigger", "", None),
        ("term is very much bigger", "", None),
        ("is much bigger … first term", "", None),
        ("first term … smaller", "", None),
    ],
)
def test_a_quotation_is_found_to_the_letter_or_not_at_all(
    words: str, source: str, expected: Found | None
) -> None:
    assert find(Quotation("here", words, source), TEXT) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('The term "is much\nbigger", it says.', ["is much bigger"]),
        ("The term “is much bigger”.", ["is much bigger"]),
        ('A "word", `"two words"`, <a href="two words">x</a>', []),
        ('```\nx = "two words"\n```\n\nand "three words here"', ["three words here"]),
        ('An inch is 1" long.\n\nAnd "two words".', ["two words"]),
        ('"At rest" means this.', []),
    ],
)
def test_quotations_are_found_in_prose(text: str, expected: list[str]) -> None:
    assert list(in_prose(text)) == expected


def test_in_code_only_curly_marks_quote() -> None:
    assert list(in_code('claim("S3-06", "it says “so it is”, or so", measured=1)')) == ["so it is"]


@pytest.mark.parametrize("edit", [("bigger", "larger"), ("bigger", "bigger,"), ("much ", "")])
def test_an_edited_quotation_is_noticed(edit: tuple[str, str]) -> None:
    quoted = next(q for q in QUOTED if "is much bigger" in q.words)
    assert key(quoted.words) in NOTED["quotations"]
    assert key(quoted.words.replace(*edit)) not in NOTED["quotations"]
