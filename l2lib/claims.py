"""Sentences that can fail: every number in the book passes through here."""

import html
import math
import os
import re
from typing import Any, SupportsFloat

from IPython.display import display

from l2lib import ledger

MIME = "application/vnd.l2lib+json"
"""Mime type under which a claim or verdict stores its fields; the ledger page is built from it."""

_ID = re.compile(r"S[0-3]-\d{2}|\d{2}-[a-z0-9-]+")
_ROUNDING = 1e-6  # a bound this small tests an identity: what is measured is rounding error


class ClaimError(AssertionError):
    """A claim does not hold."""


def claim(
    claim_id: str,
    sentence: str,
    *,
    measured: SupportsFloat,
    below: float | None = None,
    above: float | None = None,
    between: tuple[float, float] | None = None,
    equals: float | None = None,
    within: float | None = None,
) -> None:
    """Raise unless a measured number lies where a sentence says; show one line if it does.

    Exactly one of ``below``, ``above``, ``between`` and ``equals`` is given. A bound of at most
    1e-6 tests an identity: then the bound is shown and not the measured rounding error, which
    differs from one machine to the next. Other numbers are shown with three significant digits.

    Args:
        claim_id: a ledger id such as "S3-01", or "01-some-words" for a chapter's own claim.
        sentence: what holds, in words a reader understands without the code.
        measured: one real number: a float, a NumPy scalar or a tensor with one element.
        below: the measured number must be smaller than this.
        above: the measured number must be greater than this.
        between: two bounds; the measured number must lie strictly between them.
        equals: the measured number must differ from this by at most ``within``.
        within: absolute tolerance for ``equals``, > 0.

    Raises:
        ClaimError: if the number is not where the sentence says, or is not a number.
        ValueError: if the id is malformed, the sentence empty, or the bounds are not exactly one or make no interval.
    """
    _check_id(claim_id)
    if not sentence.strip():
        raise ValueError(f"claim {claim_id}: the sentence is empty; say what holds")
    bounds = {"below": below, "above": above, "between": between, "equals": equals}
    given = [name for name, bound in bounds.items() if bound is not None]
    if len(given) != 1:
        raise ValueError(f"claim {claim_id}: give exactly one of below, above, between, equals; got {given or 'none'}")
    if (equals is None) != (within is None) or (within is not None and not within > 0):
        raise ValueError(f"claim {claim_id}: equals needs within=, a tolerance > 0, and nothing else takes it")

    if between is not None and not between[0] < between[1]:
        raise ValueError(f"claim {claim_id}: between is {between}; give the lower bound first, then the upper")
    value = float(measured.detach() if hasattr(measured, "detach") else measured)  # a tensor in a graph warns
    low, high, bound = _interval(below, above, between, equals, within)
    inside = low <= value <= high if equals is not None else low < value < high
    if not inside or math.isnan(value):
        raise ClaimError(f"{claim_id} does not hold: {sentence}. Measured {value:.6g}, must be {bound}.")
    identity = high - low < 2.1 * _ROUNDING or (low == -math.inf and 0 < high <= _ROUNDING)
    shown = bound if identity else f"{value:.3g}, must be {bound}"
    _show(
        {"kind": "claim", "id": claim_id, "sentence": sentence, "measured": None if identity else f"{value:.3g}",
         "bound": bound},
        plain=f"✓ {claim_id}  {sentence}  [{shown}]",
        rich=f"<strong>✓ {claim_id}</strong> {html.escape(sentence)} <em>[{html.escape(shown)}]</em>",
    )  # fmt: skip


def verdict(ledger_id: str, ruling: str, because: str) -> None:
    """Show the book's verdict on one line of the ledger, beside the source's words; claims are shown separately.

    Args:
        ledger_id: the line's id, such as "S3-06". What the source says, in its words and in ours, is read from
            ``l2lib.ledger``.
        ruling: one of "true", "false", "under conditions", "convention", "answered", "opinion", "undecidable".
            The last two stand alone; every other ruling needs a ``claim`` with the same id in the same chapter.
        because: why, in one or two sentences.

    Raises:
        ValueError: if the id is not a line of the ledger, the ruling is unknown, or the reason is empty.
    """
    line = ledger.line(ledger_id)
    if ruling not in ledger.RULINGS:
        raise ValueError(f"verdict {ledger_id}: ruling is {ruling!r}; use one of {', '.join(ledger.RULINGS)}")
    if not because.strip():
        raise ValueError(f"verdict {ledger_id}: say why the ruling holds")
    says = line.says if line.says.endswith("?") else f"{line.says}."
    _show(
        {"kind": "verdict", "id": ledger_id, "ruling": ruling, "because": because},
        plain=f"{ledger_id}  The source: “{line.quote}”  In our words: {says}  {ruling.upper()}: {because}",
        rich=f"<strong>{ledger_id}</strong> The source: “{html.escape(line.quote)}” In our words: {html.escape(says)} "
        f"<strong>{ruling.capitalize()}.</strong> {html.escape(because)}",
    )


def seeds(n: int) -> list[int]:
    """Seeds of a statistical claim: n integers, shifted by the environment variable L2LIB_SEED.

    With L2LIB_SEED=k the seeds are 1000k, 1000k + 1, …, so that the whole book can be run on seeds
    that nobody looked at while writing it. Unset means k = 0.

    Args:
        n: how many, 1 to 1000 (a statistical claim uses at least five).

    Returns:
        n distinct non-negative integers.

    Raises:
        ValueError: if n is out of range, or L2LIB_SEED is not a non-negative integer.
    """
    if not 1 <= n <= 1000:
        raise ValueError(f"seeds: n is {n}; it must be 1 to 1000, so that shifted seeds do not overlap")
    shift = os.environ.get("L2LIB_SEED", "0")
    if not shift.isdecimal():
        raise ValueError(f"L2LIB_SEED is {shift!r}; set it to a whole number 0, 1, 2, … or unset it")
    return [1000 * int(shift) + i for i in range(n)]


def _check_id(claim_id: str) -> None:
    if not _ID.fullmatch(claim_id):
        raise ValueError(f"{claim_id!r} is not an id; write a ledger id (S3-01) or chapter-words (01-variance)")


def _interval(
    below: float | None, above: float | None, between: tuple[float, float] | None, equals: float | None,
    within: float | None,
) -> tuple[float, float, str]:  # fmt: skip
    """The interval a claim allows, and its bound in words."""
    if below is not None:
        return -math.inf, below, f"below {below:.6g}"
    if above is not None:
        return above, math.inf, f"above {above:.6g}"
    if between is not None:
        return between[0], between[1], f"between {between[0]:.6g} and {between[1]:.6g}"
    centre, margin = float(equals or 0), float(within or 0)
    return centre - margin, centre + margin, f"{centre:.6g} to within {margin:.6g}"


def _show(fields: dict[str, Any], *, plain: str, rich: str) -> None:
    rich = f'<p class="l2-{fields["kind"]}">{rich}</p>'
    display({"text/plain": plain, "text/html": rich, MIME: fields}, raw=True)
