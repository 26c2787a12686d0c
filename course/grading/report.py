"""What people read: grades.csv, and a feedback page for each submission. Files appear whole or not at all."""

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
from pathlib import Path
from typing import Any

FIELDS = ("student", "question", "points", "status", "reason")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
       background: #fff; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: 0.4rem 0.8rem; border-bottom: 1px solid #999; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid #999; padding-left: 1rem; }}
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


def load(path: Path) -> dict[str, Any] | None:
    """What a file of results holds; None if there is none, or not a whole one."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None


def page_name(result: dict[str, Any]) -> str:
    """A file name for a student's page: the student's own name if any file system can take it."""
    name = f"{result['student']}-{result['set'] or 'unknown'}"
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", name):
        return f"{name}.html"
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:10]}.html"


def feedback(result: dict[str, Any]) -> str:
    """The page of one submission, with everything in it escaped."""
    rows, answers = [], []
    for row in result["rows"]:
        points = f"{'?' if row['points'] is None else format(row['points'], 'g')} of {row['of']:g}"
        cells = (row["question"], points, row["status"], row["reason"].replace("`", ""))
        rows.append("<tr>" + "".join(f"<td>{html.escape(printable(cell))}</td>" for cell in cells) + "</tr>")
        if row.get("answer"):
            answers.append(f"<h2>Your answer to {html.escape(row['question'])}</h2>")
            answers.append(f"<pre>{html.escape(row['answer'])}</pre>")
    got = sum(row["points"] or 0 for row in result["rows"])
    tested = sum(row["of"] for row in result["rows"] if row["points"] is not None)
    waiting = sum(row["of"] for row in result["rows"] if row["points"] is None)
    total = f"{got:g} of {tested:g} points" + (f"; {waiting:g} more are given by hand." if waiting else ".")
    title = html.escape(printable(f"{result['student']}: {result['set']}" if result["set"] else result["student"]))
    return _PAGE.format(title=title, total=total, rows="\n".join(rows), answers="\n".join(answers))


def filled_in(grades: Path, memory: Path, by_hand: set[str]) -> dict[str, dict[str, str]]:
    """What people have written into grades.csv for answers graded by hand; rows that it lacks now, from earlier runs.

    Args:
        grades: the table, if there is one yet; as a spreadsheet may have saved it, with semicolons, say.
        memory: a file that keeps what was found, for runs in which a submission cannot be read.
        by_hand: questions that people grade, as ps1/q1-name-derive.

    Returns:
        Rows with points, by student and question.

    Raises:
        ValueError: if points are not a number, or the table cannot be read: to write another would lose work.
    """
    known: dict[str, dict[str, str]] = load(memory) or {}
    for row in _rows(grades) if grades.exists() else []:
        if row["question"] in by_hand and row["status"] not in ("unreadable", "not graded"):
            known.pop(_key(row), None)
            if row["points"].strip():
                known[_key(row)] = row | {"points": f"{_number(grades, row):g}"}
    write(memory, json.dumps(known))
    return known


def _rows(grades: Path) -> list[dict[str, str]]:
    with contextlib.suppress(UnicodeDecodeError, csv.Error):
        text = grades.read_text(encoding="utf-8-sig")
        for delimiter in ",;\t":
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
            if set(FIELDS) <= set(reader.fieldnames or []):
                return [{name: row[name] or "" for name in FIELDS} for row in reader]
    words = f"its columns must be {', '.join(FIELDS)}, in UTF-8. Repair it, or move it away: it is not overwritten"
    raise ValueError(f"{grades} cannot be read: {words}")


def _number(grades: Path, row: dict[str, str]) -> float:
    with contextlib.suppress(ValueError):
        points = float(row["points"].replace(",", "."))
        if math.isfinite(points):
            return points
    whose = f"the points of {row['student']} for {row['question']}"
    raise ValueError(f"{grades}: {whose} are {row['points']!r}, not a number")


def _key(row: dict[str, str]) -> str:
    return json.dumps([row["student"], row["question"]])


def fill_in(results: list[dict[str, Any]], given: dict[str, dict[str, str]]) -> None:
    """Put points, status and reason that people have given into the results, for answers graded by hand.

    Args:
        results: of all submissions; changed in place.
        given: rows as ``filled_in`` returns them.
    """
    for result in results:
        for row in result["rows"]:
            kept = given.get(_key(_line(result, row)))
            if kept and row["points"] is None:
                row |= {"points": float(kept["points"]), "status": kept["status"], "reason": kept["reason"]}


def _line(result: dict[str, Any], row: dict[str, Any]) -> dict[str, str]:
    """A row of grades.csv."""
    question = f"{result['set']}/{row['question']}" if result["set"] else row["question"]
    points = "" if row["points"] is None else f"{row['points']:g}"
    line = dict(zip(FIELDS, (result["student"], question, points, row["status"], row["reason"]), strict=True))
    return {name: _harmless(value) for name, value in line.items()}


def table(results: list[dict[str, Any]]) -> str:
    """The text of grades.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for row in result["rows"]:
            writer.writerow(_line(result, row))
    return text.getvalue()


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for more cells, or for a formula: an apostrophe in front makes it text."""
    text = printable(text).replace(";", ",")
    return f"'{text}" if re.match(r"\s*[=+\-@].*[(|!]", unicodedata.normalize("NFKC", text)) else text


def printable(text: str) -> str:
    """A text in one line, without characters that steer a terminal or turn the direction of writing."""
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") else each for each in text)
