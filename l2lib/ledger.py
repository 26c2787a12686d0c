"""The ledger as data: what the book's four sources say, line by line, in their words and in ours.

One file, ``data/ledger.toml``, is read by ``l2lib.claims.verdict``, by the HTML book and by the
tests. It ships with the package, so that a chapter shows the sources' words wherever it is opened.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

__all__ = ["RULINGS", "STAND_ALONE", "Line", "Source", "line", "lines", "sources"]

RULINGS = ("true", "false", "under conditions", "convention", "answered", "opinion", "undecidable")
"""What a verdict may rule. A question or a request has no truth value, it is answered."""

STAND_ALONE = ("opinion", "undecidable")
"""The rulings that need no claim as evidence."""


@dataclass(frozen=True)
class Source:
    """One of the four texts that the book answers.

    Attributes:
        id: "S0" to "S3".
        title: what it is, in a few words.
        spoilt: what the copy at hand spoilt, and how it is to be read.

    Example:
        >>> sources()["S3"].title
        "A beginner's lesson on L2 regularisation"
    """

    id: str
    title: str
    spoilt: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One line of the ledger: something that a source says or asks.

    Attributes:
        id: such as "S3-06".
        source: the source's id.
        quote: its own words, to the letter; … marks a cut.
        says: what they say, in our words.
        chapter: the number of the chapter that gives the verdict.
        also: numbers of other chapters that hold a claim on it.

    Example:
        >>> line("S3-06").chapter
        1
    """

    id: str
    source: str
    quote: str
    says: str
    chapter: int
    also: tuple[int, ...] = ()


@cache
def sources() -> Mapping[str, Source]:
    """The sources by id, in order.

    Returns:
        Each source by its id.

    Example:
        >>> list(sources())
        ['S0', 'S1', 'S2', 'S3']
    """
    return MappingProxyType({row["id"]: Source(**row) for row in _data()["source"]})


@cache
def lines() -> Mapping[str, Line]:
    """The lines of the ledger by id, in order.

    Returns:
        Each line by its id.

    Example:
        >>> len(lines())
        74
    """
    found = {}
    for row in _data()["line"]:
        found[row["id"]] = Line(**row | {"also": tuple(row.get("also", ()))})
    return MappingProxyType(found)


def line(ledger_id: str) -> Line:
    """One line of the ledger.

    Args:
        ledger_id: such as "S3-06".

    Returns:
        The line.

    Raises:
        ValueError: if the ledger has no such line.

    Example:
        >>> line("S3-06").says
        'a norm is strictly positive'
    """
    if not isinstance(ledger_id, str) or ledger_id not in lines():
        raise ValueError(f"{ledger_id!r} is not a line of the ledger; its ids look like S3-06")
    return lines()[ledger_id]


def _data() -> dict[str, Any]:
    return tomllib.loads((files("l2lib") / "data" / "ledger.toml").read_text(encoding="utf-8"))
