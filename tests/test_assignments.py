"""The problem sets: the contract they keep, what students are given, and answers whose worth is
known.
"""

import ast
import base64
import copy
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from book.execute import ROOT
from course import problem_sets as assignments
from course.grading.problems import Check, Problems, load, question_number
from course.problem_sets import RELEASE, SOURCES, leaks, read_source
from tests import answer_runner
from tests.answer_runner import Known
from tests.tiny_set import HIDDEN, SAMPLE

SETS = {path.stem: path for path in sorted(SOURCES.glob("ps*.py"))}
ANSWERS = {name: answer_runner.known_answers(name) for name in SETS}
QUESTIONS = range(6, 9)


@functools.cache
def problem_set(name: str) -> Problems:
    return load(SETS[name])


# ---- scores, without a sandbox: these answers are ours -------------------------------------------
class Case(NamedTuple):
    """An answer to a set."""

    set: str
    answer: Known


def cases(kind: str) -> list[Case]:
    """All "wrong" answers, or all "right" ones."""
    return [Case(name, answer) for name in SETS for answer in getattr(ANSWERS[name], kind)]


def id_of(value: str | Known) -> str:
    """What a test is called."""
    return value if isinstance(value, str) else value.name


def jobs_for(request: pytest.FixtureRequest) -> answer_runner.Jobs:
    """The references, the stubs and the answers that the chosen tests ask for."""
    jobs: answer_runner.Jobs = {}
    for item in request.session.items:
        if item.path == request.path and "scored" in item.fixturenames:
            name = item.callspec.params["name"]
            answer = item.callspec.params.get("answer")
            answers = jobs.setdefault(SETS[name], {"the reference": {}, "the stubs": stubs(name)})
            if answer is not None:
                answers[answer.name] = answer.changes
    return jobs


Scored = Callable[[str, str], answer_runner.Scores]


@pytest.fixture(scope="module")
def scored(request: pytest.FixtureRequest) -> Iterator[Scored]:
    """The scores of an answer to a set."""
    results = answer_runner.run(jobs_for(request))
    found: dict[tuple[str, str], answer_runner.Scores | str] = {}

    def scores(name: str, answer: str) -> answer_runner.Scores:
        while (name, answer) not in found:
            found.update([next(results)])
        said = found[name, answer]
        if isinstance(said, str):
            pytest.fail(f"{answer}: {said}")
        return said

    yield scores
    results.close()


def stubs(name: str) -> dict[str, str]:
    return {
        cell.id: stub(cell.source)
        for cell in problem_set(name).cells
        if "### BEGIN SOLUTION" in cell.source
    }


def stub(source: str) -> str:
    """A cell as nbgrader's ClearSolutions leaves it."""
    match = assignments.BLOCK.search(source)
    assert match is not None
    indent = " " * (len(source[: match.start()]) - len(source[: match.start()].rstrip(" ")))
    return (
        source[: match.start()]
        + f"# YOUR CODE HERE\n{indent}raise NotImplementedError()"
        + source[match.end() :]
    )


class Sum(NamedTuple):
    """Points got, and points to get."""

    got: float
    of: float


def by_question(problems: Problems, found: answer_runner.Scores) -> dict[str, Sum]:
    """The sum of each question's tests."""
    sums: dict[str, Sum] = {}
    for test in problems.tests:
        before = sums.get(test.question, Sum(0.0, 0.0))
        sums[test.question] = Sum(before.got + found[test.id].points, before.of + test.points)
    return sums


def reasons(found: answer_runner.Scores) -> dict[str, str]:
    """Why points are lost, by test."""
    return {test: score.reason for test, score in found.items() if score.reason}


@pytest.mark.parametrize("name", SETS)
def test_the_reference_scores_full(scored: Scored, name: str) -> None:
    assert reasons(scored(name, "the reference")) == {}


@pytest.mark.parametrize("name", SETS)
def test_the_stubs_score_nothing(scored: Scored, name: str) -> None:
    found = scored(name, "the stubs")
    assert {test: score.points for test, score in found.items() if score.points} == {}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer"), cases("wrong"), ids=id_of)
def test_a_wrong_answer_loses_points_on_its_own_question_only(
    scored: Scored, name: str, answer: Known
) -> None:
    found = scored(name, answer.name)
    sums = by_question(problem_set(name), found)
    assert [question for question, points in sums.items() if points.got < points.of] == [
        answer.question
    ], found
    first, *_ = reasons(found).values()
    assert len(first) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer"), cases("right"), ids=id_of)
def test_a_right_answer_written_another_way_scores_full(
    scored: Scored, name: str, answer: Known
) -> None:
    assert reasons(scored(name, answer.name)) == {}


def test_the_answers_are_many_and_their_names_are_told_apart() -> None:
    assert len(cases("wrong")) >= 30
    assert len(cases("right")) >= 12
    for name, answers in ANSWERS.items():
        every = answers.wrong + answers.right
        assert len({answer.name for answer in every}) == len(every), name
        assert len(answers.wrong) >= 8, name
        assert {answer.cell for answer in every} <= {cell.id for cell in problem_set(name).cells}, (
            name
        )


# ---- the contract --------------------------------------------------------------------------------
def contract_problems(notebook: nbformat.NotebookNode, problems: Problems) -> list[str]:
    """How a source breaks the contract that the grader, nbgrader and a student rely on."""
    marks = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    found = mark_problems(marks)
    found += question_problems([mark for mark in marks if mark["grade"]])
    if not any(name.endswith("-derive") for name in problems.by_hand):
        found.append("no derivation")
    for cell in notebook.cells:
        found += cell_problems(cell, problems)
    for test in problems.tests:
        found += check_problems(test, problems)
    return found


def mark_problems(marks: list[Any]) -> list[str]:
    """Names that several cells have, and metadata of another version."""
    names = Counter(mark["grade_id"] for mark in marks)
    found = [f"{name}: used twice" for name, count in names.items() if count > 1]
    old = [mark["grade_id"] for mark in marks if mark["schema_version"] != 3]
    return found + [f"{name}: schema_version is not 3" for name in old]


def question_problems(graded: list[Any]) -> list[str]:
    """Questions that are not q1, q2, … or too few or many; a last one that is not open."""
    found = []
    questions = {mark["grade_id"].split("-")[0] for mark in graded}
    counted = {f"q{number}" for number in range(1, len(questions) + 1)}
    if questions != counted or len(questions) not in QUESTIONS:
        found.append(f"questions are {sorted(questions)}")
    last = graded[-1]
    if not last["solution"] or last["cell_type"] != "markdown":
        found.append("the last question is not an open one")
    return found


def cell_problems(cell: Any, problems: Problems) -> list[str]:
    """A cell's marks and blocks that do not fit."""
    mark = cell.metadata.get("nbgrader", {})
    name = mark.get("grade_id", "a cell of the text")
    blocks = [kind for kind, _ in assignments.BLOCK.findall(cell.source)]
    solution = mark.get("solution") if mark else False
    tests = bool(mark.get("grade") and mark.get("locked"))
    wrong = {
        "marked as an answer, or holds one, and not both": solution != ("SOLUTION" in blocks),
        "hidden tests in a cell that is no test": "HIDDEN TESTS" in blocks and not tests,
        f"is {cell.cell_type}": mark.get("cell_type") not in (None, cell.cell_type),
        "no rubric": name in problems.by_hand and "rubric" not in cell.source.lower(),
        "a marker without its partner": (
            len(assignments.MARKER.findall(cell.source)) != 2 * len(blocks)
        ),
    }
    return [f"{name}: {words}" for words, holds in wrong.items() if holds]


def check_problems(test: Check, problems: Problems) -> list[str]:
    """A test's messages, and the names that it asks for."""
    found = [f"{test.id}: {words}" for words in message_problems(test)]
    for name in sorted(set(test.needs) - defined_by_answers(test.question, problems)):
        found.append(f"{test.id}: {name} is not imported, nor part of the answer")
    if not test.needs:
        found.append(f"{test.id}: asks for nothing of the student's")
    tests = [each for each in problems.tests if each.question == test.question]
    if not any("HIDDEN TESTS" in each.code for each in tests):
        found.append(f"{test.question}: no hidden test")
    return found


def message_problems(test: Check) -> list[str]:
    """Asserts whose message is not constant, or does not name the question."""
    asserts = [node for node in ast.walk(ast.parse(test.code)) if isinstance(node, ast.Assert)]
    found = [] if asserts else ["no assert"]
    for node in asserts:
        match node.msg:
            case ast.Constant(value=str(text)):
                if not text.startswith(f"{test.question}:"):
                    found.append(f"a message does not begin with {test.question}:")
            case _:
                found.append("an assert has no constant message")
    return found


def defined_by_answers(question: str, problems: Problems) -> set[str]:
    """The names that a question's model answers define."""
    names: set[str] = set()
    for cell in problems.cells:
        answers = cell.kind == "code" and "BEGIN SOLUTION" in cell.source
        if answers and cell.id.split("-")[0] == question:
            names |= top_names(cell.source)
    return names


def top_names(source: str) -> set[str]:
    """Names that a cell defines for the others."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        names |= {
            part.id
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
    return names


@pytest.mark.parametrize("name", SETS)
def test_a_set_keeps_the_contract(name: str) -> None:
    assert contract_problems(read_source(SETS[name]), problem_set(name)) == []


@pytest.mark.parametrize("name", SETS)
def test_text_and_page_give_the_points_that_are_given(name: str) -> None:
    problems = problem_set(name)
    cells = [(test.question, test.points) for test in problems.tests] + list(
        problems.by_hand.items()
    )
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


# ---- what students are given ---------------------------------------------------------------------
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
    new["cells"][0]["attachments"] = {
        "a.txt": {"text/plain": base64.b64encode(HIDDEN.encode()).decode()}
    }
    yield new
    new = changed()
    new["cells"][0]["source"] = (
        f"![](data:text/plain;base64,{base64.b64encode(b'return x ** 17').decode()})"
    )
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
    sample = tmp_path / "ps8.py"
    student = tmp_path / "student.py"
    sample.write_text(SAMPLE, encoding="utf-8")
    student.write_text(assignments.BLOCK.sub("", SAMPLE), encoding="utf-8")
    source = read_source(sample)
    released = json.loads(nbformat.writes(read_source(student)))
    assert leaks(source, released) == []
    for new in planted(released):
        assert leaks(source, new), new


def test_nothing_is_written_if_a_notebook_would_show_its_solution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever nbgrader leaves: here a release that clears nothing."""
    (tmp_path / "ps8.py").write_text(SAMPLE, encoding="utf-8")
    monkeypatch.setattr(
        assignments, "release_text", lambda path: nbformat.writes(read_source(path))
    )
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
