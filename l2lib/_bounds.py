"""Where a claim's numbers must lie, which of them is the worst, and how both are printed."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from l2lib._arrays import as_array
from l2lib._checks import REAL, as_number, as_text, items_of, shown

ROUNDING = 1e-6
"""A tolerance this small tests an identity: what is measured is rounding error."""

Numbers = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True)
class Bound:
    """Where measured numbers must lie, and how that is said.

    Attributes:
        low: the lower end, perhaps -inf.
        high: the upper end, perhaps inf.
        closed: whether the ends belong to it.
        words: the bound in words, with places for two numbers.
        numbers: those two as they were given: the ends, or if closed the centre and the margin.
    """

    low: float
    high: float
    closed: bool
    words: str
    numbers: tuple[float, float]

    def __post_init__(self) -> None:
        said = f"the bound is {self.text(6)}"
        if any(map(math.isnan, self.numbers)) or not any(map(math.isfinite, (self.low, self.high))):
            raise ValueError(f"{said}; bounds are finite numbers")
        if self.low > self.high or (self.low == self.high and not self.closed):
            raise ValueError(f"{said}; give the lower bound first, then the upper")

    @property
    def tolerance(self) -> float:
        """How far from its centre, or from zero, a number may be."""
        if self.closed:
            return self.numbers[1]
        return self.high if self.low == -math.inf else (self.high - self.low) / 2

    @property
    def identity(self) -> bool:
        """Whether it leaves room for rounding error only."""
        return 0 < self.tolerance <= ROUNDING

    def holds(self, value: float) -> bool:
        """Whether a number lies inside; NaN does not."""
        return self.low <= value <= self.high if self.closed else self.low < value < self.high

    def worst(self, values: Numbers) -> tuple[int, ...]:
        """Index of the number nearest to an end or farthest beyond; of the first not finite."""
        finite = np.isfinite(values)
        if not finite.all():
            place = int(finite.argmin())
        else:
            room = np.minimum(values - self.low, self.high - values)
            # Of numbers equal but for rounding the first: all machines show the same one.
            place = int(np.isclose(room, room.min(), rtol=1e-9, atol=0).argmax())
        return tuple(int(i) for i in np.unravel_index(place, values.shape))

    def text(self, digits: int) -> str:
        """The bound in words, its numbers to so many significant digits and at least six."""
        return self.words.format(*(digits_of(number, max(digits, 6)) for number in self.numbers))

    def agrees(self, number: str, value: float, digits: int) -> bool:
        """Whether a number and the bound, as printed, say of each other what is true."""
        first, second = (Decimal(digits_of(each, max(digits, 6))) for each in self.numbers)
        shown = _read(number)
        if self.closed:
            return (first - second <= shown <= first + second) is self.holds(value)
        return (first < shown < second) is self.holds(value)


def bound_of(
    below: float | None,
    above: float | None,
    between: tuple[float, float] | None,
    equals: float | None,
    within: float | None,
    whole: bool,
) -> Bound:
    """The bound that a claim gives, of which there must be exactly one."""
    bounds = {"below": below, "above": above, "between": between, "equals": equals}
    given = [name for name, bound in bounds.items() if bound is not None]
    if len(given) != 1:
        names = ", ".join(given) or "none"
        raise ValueError(f"give exactly one of below, above, between, equals; got {names}")
    if equals is not None:
        return _equality(equals, within, whole)
    if within is not None:
        raise ValueError("within is the tolerance of equals; nothing else takes it")
    if below is not None:
        low, high, words = -math.inf, _end("below", below), "below {1}"
    elif above is not None:
        low, high, words = _end("above", above), math.inf, "above {0}"
    else:
        ends = items_of(between) or []
        if len(ends) != 2:
            raise ValueError(f"between is {shown(between)}; give two numbers, the lower first")
        low, high = (_end("between", end) for end in ends)
        words = "between {} and {}"
    return Bound(low, high, False, words, (low, high))


def _end(name: str, value: object) -> float:
    """An end of an interval; ``Bound`` says which may be infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        return value
    return float(as_number(name, value, REAL))


def _equality(equals: float, within: float | None, whole: bool) -> Bound:
    """The bound of ``equals``: a margin around it, or for whole numbers nothing but itself."""
    if within is not None:
        margin, centre = _end("within", within), _end("equals", equals)
        if not margin > 0:
            raise ValueError(f"equals needs within=, a tolerance > 0; got {within}")
        return Bound(centre - margin, centre + margin, True, "{} to within {}", (centre, margin))
    count = as_number("equals", equals, REAL)
    if not (whole and isinstance(count, int)):
        exception = "only integers that are measured equal an integer exactly"
        raise ValueError(f"equals needs within=, a tolerance > 0; {exception}")
    return Bound(count, count, True, "exactly {}", (count, 0))


# ---- numbers in print ------------------------------------------------------------------------
def numbers_of(measured: Any, name: str = "measured") -> Numbers:
    """What was measured as an array of 64-bit numbers; integers stay integers."""
    values = as_array(name, measured)
    if values.size == 0:
        raise ValueError(f"{name} is empty: where nothing was measured nothing holds")
    if values.dtype.kind == "f" or (values.dtype.kind == "u" and values.max() >= 2**63):
        return values.astype(np.float64)
    return values.astype(np.int64)


def digits_of(number: float, digits: int) -> str:
    """A number to so many significant digits, if it has them; an integer with all it has."""
    if isinstance(number, int):
        return str(number)
    own = len(Decimal(repr(number)).as_tuple().digits)  # 0.1 has one, not seventeen
    return f"{number + 0.0:.{min(digits, own)}g}".replace("e-0", "e-").replace("e+0", "e+")


def _read(number: str) -> Decimal:
    """The number that a reader sees in a text: 1,234 or 5.0 % or 1e-3."""
    plain = re.sub(r"[,_\s]", "", number)
    try:
        return Decimal(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except InvalidOperation:
        raise ValueError(f"the format shows {number!r}, which is not a number") from None


def spoken(bound: Bound, value: float, spec: str = "", least: int = 3) -> tuple[str, str]:
    """A number and its bound in as few digits as do not contradict what is true of them."""
    # Without that care 0.0996 reads "0.1, must be below 0.1".
    if not math.isfinite(value):
        return str(value), bound.text(6)
    for digits in range(least, 18):
        number = format(value, spec) if spec else digits_of(value, digits)
        if bound.agrees(number, value, digits):
            return number, bound.text(digits)
    if spec:
        exact, limit = spoken(bound, value)
        truth = f"{exact} and must be {limit}"
        raise ValueError(f"the format {{:{spec}}} shows {number}, but it is {truth}; use {{}}")
    # Centre and margin are rounded, too: only the ends themselves say it without error.
    return repr(value), f"between {bound.low!r} and {bound.high!r}, or at an end"


# ---- sentences -------------------------------------------------------------------------------
class Sentence(NamedTuple):
    """A sentence before and after the place for its number, and the format asked for there."""

    before: str
    after: str = ""
    spec: str | None = None  # None: it has no place

    @classmethod
    def parsed(cls, sentence: str) -> "Sentence":
        """Find the place in a sentence: {} or {:.2f}, or none."""
        as_text("the sentence", sentence, "say what holds")
        pieces, specs = [""], list[str]()
        for text, name, spec, conversion in Formatter().parse(sentence):
            pieces[-1] += text
            if name is not None:
                if name not in ("", "0") or conversion:
                    raise ValueError("write {} or {:.2f} for the number, and {{ for a brace")
                specs.append(spec or "")
                pieces.append("")
        if len(specs) > 1:
            raise ValueError("a sentence has one place for a number; make two claims of it")
        return cls(*pieces, *specs)

    def filled(self, number: str) -> str:
        """The sentence with a number in its place, if it has one."""
        return self.before if self.spec is None else f"{self.before}{number}{self.after}"
