"""Signs in words, for streams that cannot write them: λ is printed as lambda, ✓ as ok.

A file or a pipe on Windows takes what its code page has (cp1252 has ² and ×, and no λ), a bare C
locale takes ASCII. There Python would raise UnicodeEncodeError in the middle of a run. ``speak``,
which ``import l2lib`` calls, tells standard output and standard error to write words instead. A
stream that can write λ is left as it is, and so is one whose errors somebody has chosen.
"""

import codecs
import sys
import unicodedata
from typing import Any

NAME = "l2lib"
"""Of the way to treat what cannot be written, as ``errors=`` of ``open`` takes it."""

PROBE = "λ✓‖−"
"""A stream that has all of these has all that the book writes."""

_TABLE = """
    – -   — --  − -   ‐ -   ‑ -   ‒ -   ― --  “ "   ” "   „ "   ‟ "   « "   » "   ‘ '   ’ '   ‚ '
    ′ '   ″ "   … ... • *   · *   × x   ÷ /   ± +-  ∓ -+  ≤ <=  ≥ >=  ≪ <<  ≫ >>  ≈ ~=  ≃ ~=  ≠ !=
    ≡ ==  ∝ ~   ∼ ~   ← <-  → ->  ↔ <-> ⇒ =>  ⇐ <=  ⇔ <=> ↦ ->  ‖ ||  ∥ ||  ⟨ <   ⟩ >   ⌊ [   ⌋ ]
    ⌈ [   ⌉ ]   ✓ ok  ✔ ok  ✗ no  ✘ no  ∎ QED █ #   ░ .   │ |   ─ -   √ sqrt    ∂ d     ∇ grad
    ∑ sum ∏ prod      ∞ inf ∈ in  ⊤ T   ∘ o   © (c) € EUR ¼ 1/4 ½ 1/2 ¾ 3/4 ⁄ /   ŷ yhat    ȳ ybar
    ß ss  æ ae  œ oe  ø o   ł l   đ d   ı i   Æ AE  Œ OE  Ø O   Ł L   Đ D
"""
WORDS = dict(zip(_TABLE.split()[::2], _TABLE.split()[1::2], strict=True))
"""What stands for a sign; Greek letters, powers, indices and letters with accents follow rules."""

WORDS |= {"§": "section ", "°": " degrees", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar"}
FRACTIONS = "¼½¾"
TOLD = ("strict", "surrogateescape", "backslashreplace")
"""What Python sets by itself; standard error shows \\u03bb so, which nobody reads."""


def speak(*streams: Any) -> None:
    """Let streams write words for what they cannot write.

    Args:
        *streams: text streams; none means standard output and standard error, as they are now.

    Example:
        >>> import io
        >>> page = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        >>> speak(page)
        >>> print("✓ ηλ‖w‖² ≥ 2½", end="", file=page, flush=True)
        >>> page.buffer.getvalue().decode("cp1252")
        'ok eta lambda||w||² >= 2½'
    """
    for stream in streams or (sys.stdout, sys.stderr):
        own = getattr(stream, "errors", None) in TOLD and hasattr(stream, "reconfigure")
        if own and not _can_write(PROBE, stream.encoding):
            stream.reconfigure(errors=NAME)


def in_words(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written for signs that an encoding has not: an error handler of ``codecs``.

    Args:
        error: where they stand.

    Returns:
        ASCII in their place, and where the text goes on. Bytes that were no text when they were
        read, such as of a file's name, are written as they were.

    Raises:
        UnicodeError: the same, if it is about reading.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, start, end = error.object, error.start, error.end
    if "\udc80" <= text[start] <= "\udcff":
        return bytes([ord(text[start]) - 0xDC00]), start + 1
    said = ""
    for place in range(start, end):
        if "\udc80" <= text[place] <= "\udcff":
            return said, place
        said += _spaced(text, place, error.encoding)
    return said, end


def _spaced(text: str, place: int, encoding: str) -> str:
    """The word for a sign, apart from a letter or number before and after it."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    sign = text[place]
    word = _word(sign, before)
    symbol = _is_greek(sign) or unicodedata.category(sign) == "Sm"  # no letter with an accent
    whole = symbol and len(word) > 1 and word.isalpha()
    follows = (before.isalnum() or before in WORDS) and _word(before, "")[-1:].isalnum()
    if follows and (whole or sign in FRACTIONS):
        word = f" {word}"
    # A sign that follows sees to it itself.
    if whole and after.isalnum() and not _raised(after) and _can_write(after, encoding):
        word = f"{word} "
    return word


def _word(sign: str, before: str) -> str:
    """The word for a sign, which may go on a power or an index that was begun before it."""
    if sign.isascii():
        return sign
    if sign in WORDS:
        return WORDS[sign]
    if mark := _raised(sign):
        base = "".join(_word(each, "") for each in unicodedata.normalize("NFKD", sign))
        return base if before and _raised(before) == mark else f"{mark}{base}"
    if _is_greek(sign):
        letter = unicodedata.name(sign).partition("LETTER ")[2].split()[0].lower()
        letter = letter.replace("lamda", "lambda")
        return letter.capitalize() if sign.isupper() else letter
    plain = unicodedata.normalize("NFKD", sign)
    if plain != sign:
        return "".join(_word(each, "") for each in plain if not unicodedata.combining(each))
    if unicodedata.combining(sign):
        return ""
    return sign.encode("ascii", "backslashreplace").decode("ascii")


def _is_greek(sign: str) -> bool:
    name = unicodedata.name(sign, "")
    return name.startswith("GREEK") and "LETTER " in name


def _raised(sign: str) -> str:
    """^ for a power, _ for an index, and nothing for anything else."""
    kind = unicodedata.decomposition(sign).partition(" ")[0] if sign else ""
    return {"<super>": "^", "<sub>": "_"}.get(kind, "")


def _can_write(text: str, encoding: str) -> bool:
    """Whether an encoding has these signs."""
    try:
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


codecs.register_error(NAME, in_words)
