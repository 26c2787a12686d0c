"""What people read: grades.csv, and a page for each submission; files appear whole, or not."""

import contextlib
import csv
import hashlib
import html
import io
import json
import math
import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from course.grading.results import Result, Row, Status


class Line(NamedTuple):
    """A line of grades.csv, as text."""

    student: str
    question: str
    points: str
    status: str
    reason: str


FIELDS = Line._fields
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: 0.4rem 0.8rem;
          border-bottom: 1px solid #999; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid #999;
       padding-left: 1rem; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{total}</p>
<table>
<thead><tr><th scope="col">Question</th><th scope="col">Points</th><th scope="col">Result</th>
<th scope="col">What to look at</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{answers}
</main>
</body>
</html>
"""


def write(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def page_name(result: Result) -> str:
    """A file name for a student's page: the student's own name if any file system can take it."""
    name = f"{result.student}-{result.set or 'unknown'}"
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", name):
        return f"{name}.html"
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:10]}.html"


def feedback(result: Result) -> str:
    """The page of one submission, with everything in it escaped."""
    name = f"{result.student}: {result.set}" if result.set else result.student
    return _PAGE.format(
        title=html.escape(printable(name)),
        total=_total(result.rows),
        rows="\n".join(_table_row(row) for row in result.rows),
        answers="\n".join(_answer(row) for row in result.rows if row.answer),
    )


def _total(rows: Sequence[Row]) -> str:
    """How many points there are, and how many are still to be given."""
    got = sum(row.points or 0 for row in rows)
    tested = sum(row.of for row in rows if row.points is not None)
    waiting = sum(row.of for row in rows if row.points is None)
    more = f"; {waiting:g} more are given by hand." if waiting else "."
    return f"{got:g} of {tested:g} points{more}"


def _table_row(row: Row) -> str:
    got = "?" if row.points is None else format(row.points, "g")
    texts = (row.question, f"{got} of {row.of:g}", row.status, row.reason.replace("`", ""))
    cells = [f"<td>{html.escape(printable(text))}</td>" for text in texts]
    return f"<tr>{''.join(cells)}</tr>"


def _answer(row: Row) -> str:
    head = f"<h2>Your answer to {html.escape(row.question)}</h2>"
    return f"{head}\n<pre>{html.escape(row.answer)}</pre>"


def filled_in(grades: Path, memory: Path, by_hand: set[str]) -> dict[str, Line]:
    """What people have written into grades.csv for answers graded by hand.

    Lines that the table lacks now come from earlier runs.

    Args:
        grades: the table, if there is one yet; as a spreadsheet may have saved it, with semicolons,
            say.
        memory: a file that keeps what was found, for runs in which a submission cannot be read.
        by_hand: questions that people grade, as ps1/q1-name-derive.

    Returns:
        Lines with points, by student and question.

    Raises:
        ValueError: if points are not a number, or the table cannot be read: to write another would
            lose work.
    """
    known = _remembered(memory)
    for line in _lines(grades) if grades.exists() else []:
        if line.question in by_hand and line.status not in (Status.UNREADABLE, Status.NOT_GRADED):
            known.pop(_key(line), None)
            if line.points.strip():
                known[_key(line)] = line._replace(points=f"{_number(grades, line):g}")
    write(memory, json.dumps({key: line._asdict() for key, line in known.items()}))
    return known


def _remembered(memory: Path) -> dict[str, Line]:
    """What earlier runs found; nothing if there were none, or the file is not a whole one."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return {key: Line(**fields) for key, fields in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _lines(grades: Path) -> list[Line]:
    with contextlib.suppress(UnicodeDecodeError, csv.Error):
        text = grades.read_text(encoding="utf-8-sig")
        for delimiter in ",;\t":
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
            if set(FIELDS) <= set(reader.fieldnames or []):
                return [Line(*(row[name] or "" for name in FIELDS)) for row in reader]
    need = f"its columns must be {', '.join(FIELDS)}, in UTF-8"
    raise ValueError(
        f"{grades} cannot be read: {need}. Repair it, or move it away: it is not overwritten"
    )


def _number(grades: Path, line: Line) -> float:
    with contextlib.suppress(ValueError):
        points = float(line.points.replace(",", "."))
        if math.isfinite(points):
            return points
    whose = f"the points of {line.student} for {line.question}"
    raise ValueError(f"{grades}: {whose} are {line.points!r}, not a number")


def _key(line: Line) -> str:
    return json.dumps([line.student, line.question])


def fill_in(results: list[Result], given: dict[str, Line]) -> list[Result]:
    """The results with the points, status and reason that people have given for answers.

    Args:
        results: of all submissions.
        given: lines as ``filled_in`` returns them.

    Returns:
        The results in their order.
    """
    filled = []
    for result in results:
        rows = tuple(_filled(row, given.get(_key(_line(result, row)))) for row in result.rows)
        filled.append(replace(result, rows=rows))
    return filled


def _filled(row: Row, line: Line | None) -> Row:
    if line is None or row.points is not None:
        return row
    # The words of people: also a status that is none of ours.
    return replace(row, points=float(line.points), status=line.status, reason=line.reason)


def _line(result: Result, row: Row) -> Line:
    """A line of grades.csv."""
    question = f"{result.set}/{row.question}" if result.set else row.question
    points = "" if row.points is None else f"{row.points:g}"
    fields = (result.student, question, points, row.status, row.reason)
    return Line(*(_harmless(field) for field in fields))


def table(results: list[Result]) -> str:
    """The text of grades.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for result in results:
        writer.writerows(_line(result, row) for row in result.rows)
    return text.getvalue()


def _harmless(text: str) -> str:
    """A cell that no spreadsheet splits, or takes for a formula: an apostrophe makes it text."""
    text = printable(text).replace(";", ",")
    return (
        f"'{text}" if re.match(r"\s*[=+\-@].*[(|!]", unicodedata.normalize("NFKC", text)) else text
    )


def printable(text: str) -> str:
    """A text in one line, without characters that steer a terminal or the direction of writing."""
    return "".join(
        " " if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") else each for each in text
    )
