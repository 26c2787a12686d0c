"""The ledger: what the sources say, the verdicts, and the claims that decide them. No Sphinx in here."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from l2lib.claims import MIME

SOURCES = {
    "S0": "A question and answer on dividing the penalty by a layer's size",
    "S1": "van Laarhoven (2017), on L2 regularisation with batch and weight normalisation",
    "S2": "A forum thread on a textbook's weight-decay chapter",
    "S3": "A beginner's lesson on L2 regularisation",
}
STAND_ALONE = ("opinion", "undecidable")
"""Rulings that need no claim."""


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
        """Whether the id is a line of one of the four sources."""
        return self.id[:2] in SOURCES


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
    """The claims and verdicts that one output stores: identities are many in one."""
    fields = output.get("data", {}).get(MIME)
    return [] if fields is None else fields.get("claims", [fields])


def collect(notebooks: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """All entries of the book, chapter by chapter."""
    return [entry for name in sorted(notebooks) for _, entry in entries(name, notebooks[name])]


def split(book: list[Entry]) -> tuple[dict[str, list[Entry]], dict[str, list[Entry]]]:
    """Claims and verdicts, each by id, ids sorted."""
    by_kind: dict[str, dict[str, list[Entry]]] = {"claim": {}, "verdict": {}}
    for entry in sorted(book, key=lambda entry: entry.id):
        by_kind[entry.fields["kind"]].setdefault(entry.id, []).append(entry)
    return by_kind["claim"], by_kind["verdict"]


def problems(book: list[Entry]) -> list[str]:
    """What is wrong with the ledger, one sentence each; empty if all is well."""
    claims, verdicts = split(book)
    found = []
    for line, given in verdicts.items():
        chapters = ", ".join(entry.chapter for entry in given)
        if len(given) > 1:
            found.append(f"{line} has {len(given)} verdicts ({chapters}): keep one, claims may stand elsewhere")
        if given[0].fields["ruling"] not in STAND_ALONE and line not in claims:
            ruling = given[0].fields["ruling"]
            found.append(f"{line} is ruled “{ruling}” in {chapters} without a claim: add claim({line!r}, …)")
    for line, made in claims.items():
        if made[0].in_ledger and line not in verdicts:
            found.append(f"{line} has a claim in {made[0].chapter} but no verdict: add verdict({line!r}, …) once")
    return found


def page(book: list[Entry]) -> str:
    """The ledger page, in Markdown with HTML tables."""
    claims, verdicts = split(book)
    parts = [
        "# The ledger\n",
        "The book tests what four short texts say about L2 regularisation. Each line gives what a source says, in our"
        " words, our verdict, and the claims that decide it: what was measured when the chapter last ran, and the bound"
        " it has to meet. A claim links to its place in the chapter.\n",
    ]
    for source, title in SOURCES.items():
        lines = [given[0] for line, given in verdicts.items() if line.startswith(source)]
        if lines:
            parts.append(f"## {source}: {title}\n")
            parts.append(_table([_source_row(line, claims.get(line.id, [])) for line in lines], "What the source says"))
    own = [_own_row(made) for made in claims.values() if not made[0].in_ledger]
    if own:
        parts.append("## The chapters' own claims\n")
        parts.append(_table(own, "What we say"))
    return "\n".join(parts)


def _source_row(line: Entry, claims: list[Entry]) -> list[str]:
    ruling = str(line.fields["ruling"])
    evidence = [f"<p>{escape(claim.fields['sentence'])}: {_measured(claim)}</p>" for claim in claims]
    return [
        _link(line, line.id, place=f"line-{line.id}"),
        escape(line.fields["says"]),
        f"<strong>{escape(ruling.capitalize())}.</strong> {escape(line.fields['because'])}",
        "".join(evidence) or "No measurement can decide it.",
    ]


def _own_row(claims: list[Entry]) -> list[str]:
    sentences = "".join(f"<p>{escape(claim.fields['sentence'])}</p>" for claim in claims)
    measured = "".join(f"<p>{_measured(claim)}</p>" for claim in claims)
    return [_link(claims[0], claims[0].id), sentences, "<strong>Holds.</strong>", measured]


def _measured(claim: Entry) -> str:
    value, bound = claim.fields["measured"], str(claim.fields["bound"])
    shown = bound if value is None else f"{value}, must be {bound}"
    return _link(claim, f"{shown} (chapter {claim.chapter[:2]})")


def _link(entry: Entry, text: str, place: str = "") -> str:
    own = f' id="{place}"' if place else ""
    return f'<a{own} href="{entry.chapter}.html#{entry.anchor}">{escape(text)}</a>'


def _table(rows: list[list[str]], second: str) -> str:
    heads = ["Line", second, "Verdict, and why", "Decided by: measured, and bound"]
    head = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in heads)
    body = "".join(
        '<tr role="row">'
        + "".join(f'<td role="cell" data-head="{head}">{cell}</td>' for head, cell in zip(heads, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return (
        '<table class="table l2-ledger" role="table"><thead role="rowgroup"><tr role="row">'
        f'{head}</tr></thead>\n<tbody role="rowgroup">\n{body}</tbody></table>\n'
    )
