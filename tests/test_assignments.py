"""The problem sets: the contract they keep, what students are given, and answers whose worth is known."""

import ast
import base64
import copy
import functools
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from book.execute import ROOT
from course import problem_sets as assignments
from course.grading.problems import Check, Problems, load, question_number
from course.problem_sets import RELEASE, SOURCES, leaks, read_source
from tests import answer_runner
from tests.tiny_set import HIDDEN, SAMPLE

SETS = {path.stem: path for path in sorted(SOURCES.glob("ps*.py"))}
ANSWERS = {name: tomllib.loads((ROOT / f"course/answers/{name}.toml").read_text(encoding="utf-8")) for name in SETS}
QUESTIONS = range(6, 9)


@functools.cache
def problem_set(name: str) -> Problems:
    return load(SETS[name])


# ---- scores, without a sandbox: these answers are ours ----------------------------------------------
def entries(kind: str) -> list[tuple[str, dict[str, str]]]:
    return [(name, entry) for name, answers in ANSWERS.items() for entry in answers.get(kind, [])]


@pytest.fixture(scope="module")
def scored(request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], answer_runner.Scores]]:
    """The scores of the references, the stubs and the answers that the chosen tests ask for."""
    jobs: answer_runner.Jobs = {}
    for item in request.session.items:
        if item.path == request.path and "scored" in item.fixturenames:
            name, entry = item.callspec.params["name"], item.callspec.params.get("entry")
            answers = jobs.setdefault(SETS[name], {"the reference": {}, "the stubs": stubs(name)})
            answers |= {entry["name"]: {entry["cell"]: entry["code"]}} if entry else {}
    results, found = answer_runner.run(jobs), {}

    def scores(name: str, answer: str) -> answer_runner.Scores:
        while (name, answer) not in found:
            found.update([next(results)])
        if isinstance(found[name, answer], str):
            pytest.fail(f"{answer}: {found[name, answer]}")
        return found[name, answer]

    yield scores
    results.close()


def stubs(name: str) -> dict[str, str]:
    return {cell.id: stub(cell.source) for cell in problem_set(name).cells if "### BEGIN SOLUTION" in cell.source}


def stub(source: str) -> str:
    """A cell as nbgrader's ClearSolutions leaves it."""
    match = assignments.BLOCK.search(source)
    assert match is not None
    indent = " " * (len(source[: match.start()]) - len(source[: match.start()].rstrip(" ")))
    return source[: match.start()] + f"# YOUR CODE HERE\n{indent}raise NotImplementedError()" + source[match.end() :]


def by_question(problems: Problems, found: answer_runner.Scores) -> dict[str, tuple[float, float]]:
    """Points got and points to get, by question."""
    sums: dict[str, tuple[float, float]] = {}
    for test in problems.tests:
        got, of = sums.get(test.question, (0.0, 0.0))
        sums[test.question] = got + found[test.id][0], of + test.points
    return sums


@pytest.mark.parametrize("name", SETS)
def test_the_reference_scores_full(scored: Any, name: str) -> None:
    found = scored(name, "the reference")
    assert {key: reason for key, (_, reason) in found.items() if reason} == {}


@pytest.mark.parametrize("name", SETS)
def test_the_stubs_score_nothing(scored: Any, name: str) -> None:
    found = scored(name, "the stubs")
    assert {key: points for key, (points, _) in found.items() if points} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "entry"), entries("wrong"), ids=lambda value: value if isinstance(value, str) else value["name"]
)
def test_a_wrong_answer_loses_points_on_its_own_question_only(scored: Any, name: str, entry: dict[str, str]) -> None:
    problems = problem_set(name)
    found = scored(name, entry["name"])
    sums = by_question(problems, found)
    assert {question for question, (got, of) in sums.items() if got < of} == {entry["question"]}, found
    reason = next(reason for _, reason in found.values() if reason)
    assert len(reason) > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "entry"), entries("right"), ids=lambda value: value if isinstance(value, str) else value["name"]
)
def test_a_right_answer_written_another_way_scores_full(scored: Any, name: str, entry: dict[str, str]) -> None:
    found = scored(name, entry["name"])
    assert {key: reason for key, (_, reason) in found.items() if reason} == {}


def test_the_answers_are_many_and_their_names_are_told_apart() -> None:
    assert len(entries("wrong")) >= 30
    assert len(entries("right")) >= 12
    for name, answers in ANSWERS.items():
        names = [entry["name"] for kind in ("wrong", "right") for entry in answers.get(kind, [])]
        assert len(set(names)) == len(names), name
        assert len(answers["wrong"]) >= 8, name
        ids = {cell.id for cell in problem_set(name).cells}
        assert {entry["cell"] for kind in answers.values() for entry in kind} <= ids, name


# ---- the contract ---------------------------------------------------------------------------------
def contract_problems(notebook: nbformat.NotebookNode, problems: Problems) -> list[str]:
    """How a source breaks the contract that the grader, nbgrader and a student rely on."""
    marks = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    ids = [mark["grade_id"] for mark in marks]
    found = [f"{name}: used twice" for name in sorted(set(ids)) if ids.count(name) > 1]
    found += [f"{mark['grade_id']}: schema_version is not 3" for mark in marks if mark["schema_version"] != 3]
    graded = [mark for mark in marks if mark["grade"]]
    questions = {mark["grade_id"].split("-")[0] for mark in graded}
    if questions != {f"q{number}" for number in range(1, len(questions) + 1)} or len(questions) not in QUESTIONS:
        found.append(f"questions are {sorted(questions)}")
    if not any(name.endswith("-derive") for name in problems.by_hand):
        found.append("no derivation")
    if not graded[-1]["solution"] or graded[-1]["cell_type"] != "markdown":
        found.append("the last question is not an open one")
    for cell in notebook.cells:
        found += cell_problems(cell, problems)
    for test in problems.tests:
        found += check_problems(test, problems)
    return found


def cell_problems(cell: Any, problems: Problems) -> list[str]:
    mark = cell.metadata.get("nbgrader", {})
    name, blocks = (
        mark.get("grade_id", "a cell of the text"),
        [kind for kind, _ in assignments.BLOCK.findall(cell.source)],
    )
    found = []
    if mark.get("solution") != ("SOLUTION" in blocks) and (mark or blocks):
        found.append(f"{name}: marked as an answer, or holds one, and not both")
    if "HIDDEN TESTS" in blocks and not (mark.get("grade") and mark.get("locked")):
        found.append(f"{name}: hidden tests in a cell that is no test")
    if mark.get("cell_type") not in (None, cell.cell_type):
        found.append(f"{name}: is {cell.cell_type}, says {mark['cell_type']}")
    if name in problems.by_hand and "rubric" not in cell.source.lower():
        found.append(f"{name}: no rubric")
    if len(assignments.MARKER.findall(cell.source)) != 2 * len(blocks):
        found.append(f"{name}: a marker without its partner")
    return found


def check_problems(test: Check, problems: Problems) -> list[str]:
    found = []
    asserts = [node for node in ast.walk(ast.parse(test.code)) if isinstance(node, ast.Assert)]
    said = [
        node.msg.value for node in asserts if isinstance(node.msg, ast.Constant) and isinstance(node.msg.value, str)
    ]
    if not asserts or len(said) < len(asserts):
        found.append(f"{test.id}: an assert has no constant message")
    found += [
        f"{test.id}: a message does not begin with {test.question}:"
        for text in said
        if not text.startswith(f"{test.question}:")
    ]
    answers = [
        cell for cell in problems.cells if cell.id.split("-")[0] == test.question and "BEGIN SOLUTION" in cell.source
    ]
    defined = {name for cell in answers if cell.kind == "code" for name in top_names(cell.source)}
    found += [
        f"{test.id}: {name} is not imported, nor part of the answer" for name in test.needs if name not in defined
    ]
    if not test.needs:
        found.append(f"{test.id}: asks for nothing of the student's")
    hidden = any("HIDDEN TESTS" in other.code for other in problems.tests if other.question == test.question)
    return found if hidden else [*found, f"{test.question}: no hidden test"]


def top_names(source: str) -> set[str]:
    """Names that a cell defines for the others."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names


@pytest.mark.parametrize("name", SETS)
def test_a_set_keeps_the_contract(name: str) -> None:
    assert contract_problems(read_source(SETS[name]), problem_set(name)) == []


@pytest.mark.parametrize("name", SETS)
def test_text_and_page_give_the_points_that_are_given(name: str) -> None:
    problems = problem_set(name)
    cells = [(test.question, test.points) for test in problems.tests] + list(problems.by_hand.items())
    points: dict[int, float] = {}
    for cell, each in cells:
        points[question_number(cell)] = points.get(question_number(cell), 0) + each
    total = sum(points.values())
    text = "\n".join(cell.source for cell in problems.cells if cell.kind == "markdown")
    said = re.findall(r"^## Question (\d+):.*\(.*?(\d+) point", text, re.MULTILINE)
    assert {int(number): float(each) for number, each in said} == points
    assert re.search(rf"Points:\*\* {total:g};|, {total:g} points\.", problems.cells[0].source)
    page = (ROOT / "book/instructors.md").read_text(encoding="utf-8")
    row = next(line.split(" | ") for line in page.splitlines() if line.startswith(f"| {name[2:]} "))
    assert row[3:5] == [f"{total:g}", f"{sum(problems.by_hand.values()):g}"]


def test_there_are_four_sets() -> None:
    assert list(SETS) == ["ps1", "ps2", "ps3", "ps4"]


# ---- what students are given -------------------------------------------------------------------------
@pytest.mark.parametrize("name", SETS)
def test_a_released_notebook_shows_nothing_hidden(name: str) -> None:
    released = json.loads((RELEASE / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert leaks(read_source(SETS[name]), released) == []


def planted(released: Any) -> Iterator[Any]:
    """A released notebook with a hidden line in one place or another."""

    def changed() -> Any:
        return copy.deepcopy(released)

    new = changed()
    new["metadata"]["note"] = HIDDEN
    yield new
    new = changed()
    new["metadata"][HIDDEN] = 1
    yield new
    new = changed()
    new["cells"][1]["metadata"]["nbgrader"]["deep"] = {"list": [1, ["x", HIDDEN]]}
    yield new
    new = changed()
    new["cells"][0]["attachments"] = {"a.txt": {"text/plain": base64.b64encode(HIDDEN.encode()).decode()}}
    yield new
    new = changed()
    new["cells"][0]["source"] = f"![](data:text/plain;base64,{base64.b64encode(b'return x ** 17').decode()})"
    yield new
    new = changed()
    new["cells"][1]["source"] += "\n    return x ** 17"
    yield new
    new = changed()
    new["cells"][0]["source"] = "### BEGIN SOLUTION"
    yield new
    new = changed()
    new["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    yield new


def test_what_a_release_must_not_hold_is_found_wherever_it_is(tmp_path: Path) -> None:
    sample, student = tmp_path / "ps8.py", tmp_path / "student.py"
    sample.write_text(SAMPLE, encoding="utf-8")
    student.write_text(assignments.BLOCK.sub("", SAMPLE), encoding="utf-8")
    source, released = read_source(sample), json.loads(nbformat.writes(read_source(student)))
    assert leaks(source, released) == []
    for new in planted(released):
        assert leaks(source, new), new


def test_nothing_is_written_if_a_notebook_would_show_its_solution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nbgrader leaves: here a release that clears nothing."""
    (tmp_path / "ps8.py").write_text(SAMPLE, encoding="utf-8")
    monkeypatch.setattr(assignments, "release_text", lambda path: nbformat.writes(read_source(path)))
    with pytest.raises(ValueError, match="would hold a line of a solution"):
        assignments.write(tmp_path, tmp_path / "release")
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('assert f(1) == 1, "q1: one stays one"', "assert f(1) == 1", "no constant message"),
        ('"q1: one stays one"', 'f"q1: {f(1)}"', "no constant message"),
        ('"q1: one stays one"', '"one stays one"', "does not begin with q1:"),
        ("assert f(1)", "assert np.abs(f(1))", "np is not imported"),
        ('"q1-a-check"', '"q1-a"', "used twice"),
        ("    ### END SOLUTION", "", "marker without its partner"),
        ("### BEGIN HIDDEN TESTS\n", "", "marker without its partner"),
        ('"solution": true', '"solution": false', "and not both"),
        ("", "", "questions are ['q1']"),
        ("", "", "no derivation"),
        ("", "", "the last question is not an open one"),
    ],
)
def test_a_broken_contract_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SAMPLE
    sample = tmp_path / "ps8.py"
    sample.write_text(SAMPLE.replace(old, new, 1), encoding="utf-8")
    found = contract_problems(read_source(sample), load(sample))
    assert any(words in line for line in found), found
