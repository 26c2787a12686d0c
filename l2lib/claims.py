"""Sentences that can fail: every number in the book passes through here."""

import html
import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display
from numpy.typing import ArrayLike, NDArray

from l2lib import _spelling, ledger
from l2lib._bounds import Bound, Numbers, Sentence, bound_of, digits_of, numbers_of, spoken
from l2lib._checks import COUNT, INDEX, Range, as_number, as_text, check_choice, shown

__all__ = [
    "ClaimError",
    "Interval",
    "claim",
    "identities",
    "interval",
    "rng",
    "seeds",
    "verdict",
    "verdicts",
]

MIME = "application/vnd.l2lib+json"
"""Mime type under which claims and verdicts store their fields; the ledger page reads it."""

_ID = re.compile(r"S[0-3]-\d{2}|\d{2}-[a-z0-9-]+")
_SEEDS = Range(
    "a whole number, 1 to 1000, or shifted seeds overlap", lambda v: COUNT.holds(v) and v <= 1000
)
_STREAM = Range("a whole number 0, 1, 2, …, or left out", INDEX.holds)
_LEVEL = Range("between 0 and 1, such as 0.95", lambda v: 0 < v < 1)
_MARK = '<span aria-hidden="true">✓</span>'


class ClaimError(AssertionError):
    """A claim does not hold; the message says what was measured.

    Example:
        >>> try:
        ...     claim("01-two", "two is small", measured=2, below=1)
        ... except ClaimError as error:
        ...     print(error)
        01-two does not hold: two is small. Measured 2, must be below 1.
    """


class Interval(NamedTuple):
    """A mean and its confidence interval; arrays, if there is more than one mean.

    Attributes:
        mean: of the values.
        low: lower end of the interval.
        high: upper end.
        half: half the width, high - mean.

    Example:
        >>> interval([1.0, 2.0, 3.0])._fields
        ('mean', 'low', 'high', 'half')
    """

    mean: np.float64 | NDArray[np.float64]
    low: np.float64 | NDArray[np.float64]
    high: np.float64 | NDArray[np.float64]
    half: np.float64 | NDArray[np.float64]


# ---- claims ----------------------------------------------------------------------------------
def claim(
    claim_id: str,
    sentence: str,
    *,
    measured: ArrayLike,
    below: float | None = None,
    above: float | None = None,
    between: tuple[float, float] | None = None,
    equals: float | None = None,
    within: float | None = None,
) -> None:
    """Raise unless all measured numbers lie where a sentence says; show the sentence if they do.

    Exactly one of ``below``, ``above``, ``between`` and ``equals`` is given. All elements of
    ``measured`` must satisfy it; the worst is shown, the one nearest to the bound. It is
    written where the sentence has a place for it: ``{:.2f}`` shows two decimals, ``{}`` three
    significant digits, or as many more as it needs not to contradict the bound. A sentence
    without a place is followed by the number. (A brace that is none is written twice.)

    A tolerance of at most 1e-6 tests an identity. What is measured then is rounding error,
    which differs from one machine to the next: nothing is shown until ``identities`` shows the
    identities of a chapter in one line.

    Args:
        claim_id: a ledger id such as "S3-01", or "01-some-words" for a chapter's own claim.
        sentence: what holds, in words a reader understands without the code.
        measured: real numbers: one, or a list, NumPy array or tensor of any shape.
        below: all must be smaller than this.
        above: all must be greater than this.
        between: two bounds; all must lie strictly between them.
        equals: all must differ from this by at most ``within``; whole numbers need no
            ``within``, and are then equal exactly.
        within: absolute tolerance for ``equals``, > 0.

    Raises:
        ClaimError: if a number is not where the sentence says, or is not a number.
        ValueError: if the id is malformed, the sentence empty, nothing measured or what is measured
            no real numbers, the bounds are not exactly one or make no interval, or the sentence's
            format contradicts the bound.

    Example:
        >>> norms = np.array([4.98, 5.0, 5.03])
        >>> claim("01-norm", "the three norms stay near 5", measured=norms, equals=5, within=0.1)
        ✓ the three norms stay near 5  [at worst 5.03, must be 5 to within 0.1]  (01-norm)
        >>> claim("01-norm", "the largest norm is {:.2f}", measured=norms, below=5.2)
        ✓ the largest norm is 5.03  [must be below 5.2]  (01-norm)
        >>> claim("01-norm", "the largest norm is {:.2f}", measured=norms, below=5.01)
        Traceback (most recent call last):
        l2lib.claims.ClaimError: 01-norm does not hold: the largest norm is 5.03. Measured ...
    """
    _check_id(claim_id)
    try:
        said = Sentence.parsed(sentence)
        values = numbers_of(measured)
        bound = bound_of(below, above, between, equals, within, whole=values.dtype.kind == "i")
        worst = bound.worst(values)
        if not bound.holds(values[worst].item()):
            raise ClaimError(f"{claim_id} does not hold: {_failure(said, bound, values, worst)}")
        if bound.identity:
            _pending[claim_id, _identity(said, bound)] = bound
        else:
            number, limit = spoken(bound, values[worst].item(), said.spec or "")
            _show_claim(claim_id, said, number, limit, several=values.size > 1)
    except ValueError as error:
        raise ValueError(f"claim {claim_id}: {error}") from None


def identities() -> None:
    """Show the identities claimed since the last call: one line, which unfolds.

    A chapter shows its identities once, after the last of them.

    Raises:
        ValueError: if there is none to show.

    Example:
        >>> claim("01-root", "√2 squared is 2", measured=2**0.5 * 2**0.5, equals=2, within=1e-12)
        >>> claim("01-root", "√3 squared is 3", measured=3**0.5 * 3**0.5, equals=3, within=1e-9)
        >>> identities()
        ✓ 2 identities hold to 1e-9
          √2 squared is 2  [2 to within 1e-12]  (01-root)
          √3 squared is 3  [3 to within 1e-9]  (01-root)
    """
    if not _pending:
        raise ValueError("identities: none was claimed since the last call; run their cells first")
    loosest = max(bound.tolerance for bound in _pending.values())
    rows = [_fields(*key, None, bound.text(6)) for key, bound in _pending.items()]
    _pending.clear()
    verb = "identity holds" if len(rows) == 1 else "identities hold"
    line = f"{len(rows)} {verb} to {digits_of(loosest, 6)}"
    plain = [f"{row['sentence']}  [{row['bound']}]  ({row['id']})" for row in rows]
    rich = [_paragraph(_escaped(row["sentence"], row["bound"]), row["id"]) for row in rows]
    summary = f"<summary>{_MARK} {line}</summary>"
    _show(
        {"kind": "identities", "claims": rows},
        plain="\n  ".join([f"✓ {line}", *plain]),
        rich=f'<details class="l2-identities">{summary}{"".join(rich)}</details>',
    )


def verdict(ledger_id: str, ruling: str, because: str) -> None:
    """Give the book's verdict on one line of the ledger; ``verdicts`` shows it with the others.

    Args:
        ledger_id: the line's id, such as "S3-06". What the source says, in its words and in ours,
            is read from ``l2lib.ledger``.
        ruling: one of "true", "false", "under conditions", "convention", "answered", "opinion",
            "undecidable". The last two stand alone; every other ruling needs a ``claim`` with
            the same id in the same chapter.
        because: why, in one or two sentences.

    Raises:
        ValueError: if the id is not a line of the ledger, the ruling is unknown, or the reason is
            empty.

    Example:
        >>> verdict("S3-06", "false", "That of the zero vector is 0.")
        >>> verdicts()  # doctest: +ELLIPSIS
        1 line of the sources, with its verdict
          “...” In our words: ... FALSE: That of the zero vector is 0.  (S3-06)
    """
    ledger.line(ledger_id)
    check_choice(f"verdict {ledger_id}: ruling", ruling, ledger.RULINGS)
    as_text(f"verdict {ledger_id}: because", because, "say why the ruling holds")
    fields = {"kind": "verdict", "id": ledger_id, "ruling": ruling, "because": because}
    _given[ledger_id] = fields


def verdicts() -> None:
    """Show the verdicts given since the last call: one table, which unfolds.

    Put it at a chapter's end, after its verdicts.

    Raises:
        ValueError: if there is none to show.

    Example:
        >>> verdict("S3-06", "false", "That of the zero vector is 0.")
        >>> verdict("S3-07", "false", "That of the zero matrix is 0.")
        >>> verdicts()  # doctest: +ELLIPSIS
        2 lines of the sources, each with its verdict
          “...” In our words: ... FALSE: That of the zero vector is 0.  (S3-06)
          “...” In our words: ... FALSE: That of the zero matrix is 0.  (S3-07)
    """
    if not _given:
        raise ValueError("verdicts: none was given since the last call; run their cells first")
    given = [*_given.values()]
    _given.clear()
    one = "1 line of the sources, with its verdict"
    title = one if len(given) == 1 else f"{len(given)} lines of the sources, each with its verdict"
    _show(
        {"kind": "verdicts", "verdicts": given},
        plain="\n  ".join([title, *map(_verdict_in_words, given)]),
        rich=f'<details class="l2-verdicts"><summary>{title}</summary>{_table(given)}</details>',
    )


# ---- seeds and statistics --------------------------------------------------------------------
def seeds(n: int) -> list[int]:
    """Seeds of a statistical claim: n integers, shifted by the environment variable L2LIB_SEED.

    With L2LIB_SEED=k the seeds are 1000k, 1000k + 1, …, so that the whole book can be run on seeds
    that nobody looked at while writing it. Unset or empty means k = 0.

    Args:
        n: how many, 1 to 1000 (a statistical claim uses at least five).

    Returns:
        n distinct non-negative integers.

    Raises:
        ValueError: if n is out of range, or L2LIB_SEED is not a whole number from 0 to a million.

    Example:
        >>> len(seeds(5))
        5
    """
    n = as_number("seeds: n", n, _SEEDS)
    shift = os.environ.get("L2LIB_SEED", "").strip() or "0"
    if not re.fullmatch("[0-9]{1,7}", shift) or int(shift) > 10**6:
        wanted = "set it to 0, 1, 2, …, a million at most, or unset it"
        raise ValueError(f"L2LIB_SEED is {shift!r}; {wanted}")
    return [1000 * int(shift) + i for i in range(n)]


def rng(stream: int | None = None) -> np.random.Generator:
    """A random generator from the first seed, ``seeds(1)[0]``; L2LIB_SEED shifts it, too.

    Args:
        stream: a whole number ≥ 0 for a second, third, … generator whose numbers have nothing
            to do with those of the first; left out, the first.

    Returns:
        A fresh NumPy generator: called twice, it gives the same numbers twice.

    Raises:
        ValueError: if the stream is no whole number ≥ 0.

    Example:
        >>> rng().random() == rng().random(), rng().random() == rng(1).random()
        (True, False)
    """
    if stream is not None:
        stream = as_number("rng: stream", stream, _STREAM)
    (first,) = seeds(1)
    return np.random.default_rng(first if stream is None else [first, stream])


def interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's interval of a mean, from values that are independent and nearly normal.

    The mean ± t · s/√n, where s² is the variance with n - 1 in the denominator and t the
    quantile (1 + level)/2 of Student's distribution with n - 1 degrees of freedom.

    Args:
        values: n ≥ 2 values, such as one a seed; further axes are kept, each with a mean.
        level: the interval's probability to hold the true mean, between 0 and 1.

    Returns:
        The mean, the interval's two ends, and half its width: numbers, or arrays without the
        first axis.

    Raises:
        ValueError: if there are fewer than two values, one of them is no finite real number, or
            the level is not between 0 and 1.

    Example:
        >>> mean, low, high, half = interval([1.0, 2.0, 3.0])
        >>> print(f"{mean:.2f} ± {half:.2f}")
        2.00 ± 2.48
    """
    numbers = numbers_of(values, "interval: values").astype(np.float64)
    n = len(numbers) if numbers.ndim else 1
    if n < 2:
        raise ValueError("interval: one value says nothing about its spread; give two or more")
    if not np.isfinite(numbers).all():
        raise ValueError("interval: a value is NaN or infinite; find out why before you average")
    level = as_number("interval: level", level, _LEVEL)
    from scipy.special import stdtrit  # a fifth of a second, which most chapters need not wait

    mean = numbers.mean(0)
    half = stdtrit(n - 1, (1 + level) / 2) * numbers.std(0, ddof=1) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, half)


# ---- what is said -----------------------------------------------------------------------------
def _identity(said: Sentence, bound: Bound) -> str:
    """The sentence of an identity: in its place stands what ``equals`` says, never rounding."""
    if said.spec is not None and not bound.closed:
        raise ValueError("an identity shows its bound and no number; leave the place out")
    return said.filled(digits_of(bound.numbers[0], 6))


def _failure(said: Sentence, bound: Bound, values: Numbers, index: tuple[int, ...]) -> str:
    """What does not hold: the sentence with the worst number, its index, and where it must lie."""
    number, limit = spoken(bound, values[index].item(), least=6)
    place = index[0] if len(index) == 1 else index
    where = f" at index {place} of {values.size} numbers" if values.size > 1 else ""
    return f"{said.filled(number)}. Measured {number}{where}, must be {limit}."


def _check_id(claim_id: str) -> None:
    if not isinstance(claim_id, str) or not _ID.fullmatch(claim_id):
        known = "a ledger id (S3-01) or chapter-words (01-variance)"
        raise ValueError(f"{shown(claim_id)} is not an id; write {known}")


# ---- display ---------------------------------------------------------------------------------
_pending: dict[tuple[str, str], Bound] = {}
"""Identities not yet shown. A cell that is run again replaces its own."""

_given: dict[str, dict[str, str]] = {}
"""Verdicts not yet shown, by the line's id."""


def _fields(name: str, sentence: str, measured: str | None, bound: str) -> dict[str, Any]:
    said = {"kind": "claim", "id": name, "sentence": sentence}
    return said | {"measured": measured, "bound": bound}


def _show_claim(claim_id: str, said: Sentence, number: str, limit: str, several: bool) -> None:
    sentence = said.filled(number)
    measured = "" if said.spec is not None else f"{'at worst ' if several else ''}{number}"
    shown = ", ".join(filter(None, [measured, f"must be {limit}"]))
    line = f"{_MARK} {html.escape(sentence)}{f' ({measured})' if measured else ''}"
    must = f"<p>Must be {html.escape(limit)}. {_aside(claim_id)}</p>"
    _show(
        _fields(claim_id, sentence, number, limit),
        plain=f"✓ {sentence}  [{shown}]  ({claim_id})",
        rich=f'<details class="l2-claim"><summary>{line}</summary>{must}</details>',
    )


def _escaped(sentence: str, shown: str) -> str:
    return f"{html.escape(sentence)} <em>[{html.escape(shown)}]</em>"


def _paragraph(rich: str, name: str) -> str:
    """An identity in HTML; its id is small and aside. The HTML book makes that a link."""
    return f'<p class="l2-claim">{rich} {_aside(name)}</p>'


def _aside(name: str) -> str:
    return f'<small class="l2-id" style="opacity: 0.7">{name}</small>'


def _verdict_in_words(fields: Mapping[str, str]) -> str:
    quote, says = _said(fields["id"])
    ruling = f"{fields['ruling'].upper()}: {fields['because']}"
    return f"{quote} In our words: {says} {ruling}  ({fields['id']})"


def _said(ledger_id: str) -> tuple[str, str]:
    """A line of the ledger: the source's words, in quotation marks, and ours, as a sentence."""
    line = ledger.line(ledger_id)
    return f"“{line.quote}”", line.says if line.says.endswith("?") else f"{line.says}."


def _table(given: list[dict[str, str]]) -> str:
    """The verdicts in HTML. On a narrow page of the book each cell names its column itself."""
    heads = ("The source says", "In our words", "Verdict, and why")
    head = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in heads)
    rows = (
        f'<tr class="l2-verdict" role="row">{"".join(map(_cell, heads, _cells(fields)))}</tr>'
        for fields in given
    )
    body = "".join(rows)
    return (
        f'<table class="table l2-ledger" role="table"><thead role="rowgroup"><tr role="row">{head}'
        f'</tr></thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def _cells(fields: Mapping[str, str]) -> tuple[str, str, str]:
    quote, says = map(html.escape, _said(fields["id"]))
    why = f"<strong>{fields['ruling'].capitalize()}.</strong> {html.escape(fields['because'])}"
    return quote, says, f"{why} {_aside(fields['id'])}"


def _cell(head: str, rich: str) -> str:
    return f'<td role="cell" data-head="{head}" style="text-align: left">{rich}</td>'


def _show(fields: Mapping[str, Any], *, plain: str, rich: str) -> None:
    if get_ipython() is None:  # plain Python
        _spelling.speak()  # standard output may be another than at import
        print(plain)
        return
    display({"text/plain": plain, "text/html": rich, MIME: fields}, raw=True)
