"""What people read: grades.csv, and a feedback page for each submission. Files appear whole or not at all."""

import contextlib
import csv
import hashlib
import html
import io
import json
import os
import re
import tempfile
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
    """A stored result; None if there is none, or not a whole one."""
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return result if isinstance(result, dict) and "rows" in result else None
    except (OSError, ValueError):
        return None


def page_name(result: dict[str, Any]) -> str:
    """A file name for a student's page: the student's own name if any file system can take it."""
    name = result["student"] + (f"-{result['set']}" if result["set"] else "")
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
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        if row.get("answer"):
            answers.append(f"<h2>Your answer to {html.escape(row['question'])}</h2>")
            answers.append(f"<pre>{html.escape(row['answer'])}</pre>")
    got = sum(row["points"] or 0 for row in result["rows"])
    tested = sum(row["of"] for row in result["rows"] if row["points"] is not None)
    waiting = sum(row["of"] for row in result["rows"] if row["points"] is None)
    total = f"{got:g} of {tested:g} points" + (f"; {waiting:g} more are given by hand." if waiting else ".")
    title = html.escape(f"{result['student']}: {result['set']}" if result["set"] else result["student"])
    return _PAGE.format(title=title, total=total, rows="\n".join(rows), answers="\n".join(answers))


def table(results: list[dict[str, Any]], old: str = "") -> str:
    """grades.csv. Points that a person has filled in for an answer graded by hand are kept from the old one."""
    given = {}
    for row in csv.DictReader(io.StringIO(old, newline="")):
        if row.get("status") == "by hand" and row.get("points"):
            given[row["student"], row["question"]] = row
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        for row in result["rows"]:
            question = f"{result['set']}/{row['question']}" if result["set"] else row["question"]
            points = "" if row["points"] is None else f"{row['points']:g}"
            line = dict(zip(FIELDS, (result["student"], question, points, row["status"], row["reason"]), strict=True))
            line = {name: _harmless(value) for name, value in line.items()}
            kept = given.get((line["student"], line["question"]), line) if row["points"] is None else line
            writer.writerow({name: kept.get(name) or "" for name in FIELDS})
    return text.getvalue()


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula that calls something: an apostrophe in front makes it text."""
    return f"'{text}" if re.match(r"[=+\-@\t\r].*[(|!]", text, re.DOTALL) else text
