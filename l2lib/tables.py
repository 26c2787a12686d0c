"""A table that is text where it is printed, and a table in a notebook."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Table", "html_table"]


@dataclass(frozen=True, repr=False)
class Table:
    """Rows under headings; the first cell of a row is the row's own heading.

    Attributes:
        caption: what the table shows, for who cannot see it at a glance.
        columns: a heading for each column.
        rows: the cells, as text, one for each column.
        text: how the table looks where it is printed.

    Example:
        >>> table = Table("Parameters", ("role", "tensors"), (("bias", "2"),), "bias: 2")
        >>> print(table)
        bias: 2
        >>> table._repr_html_()[:43]
        '<table><caption>Parameters</caption><thead>'
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return html_table(self.caption, self.columns, self.rows)


def html_table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> str:
    """A table in HTML that a screen reader can walk.

    Args:
        caption: what the table shows.
        columns: a heading for each column.
        rows: the cells, as text; the first of each is the row's heading.

    Returns:
        A ``<table>`` with its caption, whose headings say what they head.

    Example:
        >>> print(html_table("Sizes", ["name", "n"], [["a < b", "3"]]))
        <table><caption>Sizes</caption><thead>
        <tr><th scope="col">name</th><th scope="col">n</th></tr>
        </thead><tbody>
        <tr><th scope="row">a &lt; b</th><td>3</td></tr>
        </tbody></table>
    """
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in columns)
    lines = [
        f"<table><caption>{html.escape(caption)}</caption><thead>",
        f"<tr>{heads}</tr>",
        "</thead><tbody>",
        *(_html_row(row) for row in rows),
        "</tbody></table>",
    ]
    return "\n".join(lines)


def _html_row(cells: Sequence[str]) -> str:
    head, *others = map(html.escape, cells)
    rest = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{head}</th>{rest}</tr>'
