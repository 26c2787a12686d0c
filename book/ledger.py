"""The ledger: its rules, and its page. No Sphinx in here."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from l2lib import ledger
from l2lib.claims import MIME


@dataclass(frozen=True)
class Entry:
    """A claim or a verdict, as a chapter's outputs store it, and where it stands."""

    chapter: str
    anchor: str
    fields: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The ledger id (S3-06) or the chapter's own (01-some-words)."""
        return str(self.fields["id"])

    @property
    def in_ledger(self) -> bool:
        """Whether the id is one of a line of the sources."""
        return self.id[:1] == "S"

    @property
    def number(self) -> int:
        """The chapter's number."""
        return int(self.chapter[:2])


def entries(chapter: str, notebook: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Entry]]:
    """The outputs of a notebook that hold a claim or verdict, each with its entry, in order.

    Anchors count within the chapter: claim-S3-06-1, claim-S3-06-2, verdict-S3-06-1.

    Yields:
        The output, and what it stores.
    """
    seen: Counter[str] = Counter()
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for fields in rows(output):
                name = f"{fields['kind']}-{fields['id']}"
                seen[name] += 1
                yield output, Entry(chapter, f"{name}-{seen[name]}", fields)


def rows(output: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The claims and verdicts that one output stores; a list of identities or verdicts is many."""
    fields = output.get("data", {}).get(MIME)
    if fields is None:
        return []
    several: list[Mapping[str, Any]] | None = fields.get("claims") or fields.get("verdicts")
    return several or [fields]


def collect(notebooks: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """All entries of the book, chapter by chapter."""
    return [entry for name in sorted(notebooks) for _, entry in entries(name, notebooks[name])]


def split(book: list[Entry]) -> tuple[dict[str, list[Entry]], dict[str, list[Entry]]]:
    """Claims and verdicts, each by id, ids sorted."""
    by_kind: dict[str, dict[str, list[Entry]]] = {"claim": {}, "verdict": {}}
    for entry in sorted(book, key=lambda entry: entry.id):
        by_kind[entry.fields["kind"]].setdefault(entry.id, []).append(entry)
    return by_kind["claim"], by_kind["verdict"]


# ---- the ledger's rules -----------------------------------------------------------------------
def problems(book: list[Entry], chapters: Collection[int]) -> list[str]:
    """What is wrong with the claims and verdicts of some chapters, one sentence each.

    Args:
        book: their claims and verdicts.
        chapters: the chapters' numbers; one may have neither a claim nor a verdict.

    Returns:
        The sentences; none if all is well.
    """
    there = [entry for entry in book if entry.number in chapters]
    return [*_of_lines(there, chapters), *_of_verdicts(there), *_of_claims(there)]


def _of_lines(book: list[Entry], chapters: Collection[int]) -> Iterator[str]:
    """Each line has one verdict, where the ledger says; and claims where the ledger says."""
    verdicts = [entry for entry in book if entry.fields["kind"] == "verdict"]
    given = Counter((entry.id, entry.number) for entry in verdicts)
    claimed = {(entry.id, entry.number) for entry in book if entry.fields["kind"] == "claim"}
    for name, line in ledger.lines().items():
        count = given.pop((name, line.chapter), 0)
        yield from _of_count(line, count, line.chapter in chapters)
        owed = [number for number in line.also if number in chapters]
        for number in owed:
            if (name, number) not in claimed:
                yield f"{name}: no claim in chapter {number}, which must have one"
    for name, number in given:
        yield f"{name}: a verdict that chapter {number} does not owe"


def _of_count(line: ledger.Line, count: int, owed: bool) -> Iterator[str]:
    """A line has one verdict in the chapter that decides it."""
    if owed and not count:
        yield f"{line.id}: no verdict; chapter {line.chapter} must give one"
    if count > 1:
        yield f"{line.id}: {count} verdicts; one is needed, claims may stand elsewhere"


def _of_verdicts(book: list[Entry]) -> Iterator[str]:
    """A verdict is held by a claim of its own chapter, unless its ruling stands alone."""
    claimed = {(entry.id, entry.chapter) for entry in book if entry.fields["kind"] == "claim"}
    for entry in book:
        ruling = entry.fields.get("ruling", ledger.STAND_ALONE[0])
        needs = ruling not in ledger.STAND_ALONE
        if needs and (entry.id, entry.chapter) not in claimed:
            yield f"{entry.id}: ruled “{ruling}”, and no claim of {entry.chapter} holds it"


def _of_claims(book: list[Entry]) -> Iterator[str]:
    """A claim is on a line of the ledger, or begins with its own chapter's number."""
    for entry in book:
        if entry.in_ledger and entry.id not in ledger.lines():
            yield f"{entry.id}: not a line of the ledger, in {entry.chapter}"
        if not entry.in_ledger and not entry.id.startswith(f"{entry.number:02d}-"):
            yield f"{entry.id}: a claim of another chapter, in {entry.chapter}"


# ---- the page ---------------------------------------------------------------------------------
def page(book: list[Entry]) -> str:
    """The tables of the ledger page, in Markdown and HTML."""
    claims, verdicts = split(book)
    parts = []
    for source in ledger.sources().values():
        first = [given[0] for given in verdicts.values()]
        lines = [entry for entry in first if ledger.line(entry.id).source == source.id]
        if lines:
            rows = [_source_row(line, claims.get(line.id, [])) for line in lines]
            parts += [f"## {source.id}: {source.title}\n", _table(rows, "What the source says")]
    own = [_own_row(made) for made in claims.values() if not made[0].in_ledger]
    if own:
        parts += ["## The chapters' own claims\n", _table(own, "What we say")]
    return "\n".join(parts)


def _source_row(entry: Entry, claims: list[Entry]) -> list[str]:
    line, ruling = ledger.line(entry.id), str(entry.fields["ruling"])
    return [
        _link(entry, line.id, place=f"line-{line.id}"),
        f"<p>“{escape(line.quote)}”</p><p>In our words: {escape(line.says)}</p>",
        f"<strong>{escape(ruling.capitalize())}.</strong> {escape(entry.fields['because'])}",
        "".join(map(_evidence, claims)) or "No measurement can decide it.",
    ]


def _evidence(claim: Entry) -> str:
    return f"<p>{escape(claim.fields['sentence'])}: {_measured(claim)}</p>"


def _own_row(claims: list[Entry]) -> list[str]:
    sentences = "".join(f"<p>{escape(claim.fields['sentence'])}</p>" for claim in claims)
    measured = "".join(f"<p>{_measured(claim)}</p>" for claim in claims)
    return [_link(claims[0], claims[0].id), sentences, "<strong>Holds.</strong>", measured]


def _measured(claim: Entry) -> str:
    value, bound = claim.fields["measured"], str(claim.fields["bound"])
    shown = bound if value is None else f"{value}, must be {bound}"
    if value is not None and value in claim.fields["sentence"].split():
        shown = f"must be {bound}"  # the sentence has the number already
    return _link(claim, f"{shown} (chapter {claim.chapter[:2]})")


def _link(entry: Entry, text: str, place: str = "") -> str:
    own = f' id="{place}"' if place else ""
    return f'<a{own} href="{entry.chapter}.html#{entry.anchor}">{escape(text)}</a>'


def _table(rows: list[list[str]], second: str) -> str:
    heads = ["Line", second, "Verdict, and why", "Decided by: measured, and bound"]
    head = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in heads)
    body = "".join(_row(heads, row) for row in rows)
    return (
        '<table class="table l2-ledger" role="table"><thead role="rowgroup"><tr role="row">'
        f'{head}</tr></thead>\n<tbody role="rowgroup">\n{body}</tbody></table>\n'
    )


def _row(heads: list[str], row: list[str]) -> str:
    pairs = zip(heads, row, strict=True)
    cells = (f'<td role="cell" data-head="{head}">{cell}</td>' for head, cell in pairs)
    return f'<tr role="row">{"".join(cells)}</tr>\n'
