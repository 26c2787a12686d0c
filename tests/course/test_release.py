"""Problem sets as nbgrader releases and grades them: `make course`, in an environment that has
nbgrader.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course import problem_sets
from course.grading.problems import load
from course.problem_sets import RELEASE, SOURCES, read_source, release_text
from tests.tiny_set import SAMPLE

SETS = {path.stem: path for path in sorted(SOURCES.glob("ps*.py"))}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    path = tmp_path / "source/ps8.py"
    path.write_text(SAMPLE, encoding="utf-8")
    return path


def test_the_released_notebooks_are_current() -> None:
    assert problem_sets.problems(SOURCES, RELEASE) == []


@pytest.mark.parametrize("name", SETS)
def test_a_release_has_stubs_and_is_the_same_every_time(name: str) -> None:
    text = release_text(SETS[name])
    assert text == release_text(SETS[name])
    made = nbformat.reads(text, as_version=4)
    source = read_source(SETS[name])
    assert [cell["id"] for cell in made.cells] == [
        f"cell-{number:03d}" for number in range(len(source.cells))
    ]
    assert made.metadata["kernelspec"]["name"] == "python3"
    for cell, original in zip(made.cells, source.cells, strict=True):
        if "### BEGIN SOLUTION" in original.source:
            assert (
                "raise NotImplementedError()" if cell.cell_type == "code" else "YOUR ANSWER HERE"
            ) in cell.source
        assert not cell.get("outputs")


def test_stale_missing_and_left_over_releases_are_refused(sample: Path, tmp_path: Path) -> None:
    into = tmp_path / "release"
    assert len(problem_sets.problems(sample.parent, into)) == 1
    problem_sets.write(sample.parent, into)
    assert problem_sets.problems(sample.parent, into) == []
    sample.write_text(SAMPLE.replace("one stays", "1 stays"), encoding="utf-8")
    assert len(problem_sets.problems(sample.parent, into)) == 1
    (into / "ps7.ipynb").touch()
    assert len(problem_sets.problems(sample.parent, into)) == 2
    problem_sets.write(sample.parent, into)
    assert [path.name for path in into.iterdir()] == ["ps8.ipynb"]


def test_a_source_that_shows_its_solution_is_not_released(sample: Path, tmp_path: Path) -> None:
    metadata = '"task": false} cheat="return x ** 17"'
    sample.write_text(SAMPLE.replace('"task": false}', metadata, 1), encoding="utf-8")
    with pytest.raises(ValueError, match="would hold a line of a solution"):
        problem_sets.write(sample.parent, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_nbgraders_own_commands_grade_a_set(tmp_path: Path) -> None:
    """From generate_assignment to feedback, in a course of its own: the reference gets all points
    of tests.
    """
    problem_sets.write_course(SOURCES, tmp_path)
    (tmp_path / "nbgrader_config.py").write_text(
        "get_config().CourseDirectory.course_id = 'l2'\n", encoding="utf-8"
    )
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs, "HOME": str(tmp_path)}

    def nbgrader(*words: str) -> None:
        command = [sys.executable, "-m", "nbgrader", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    nbgrader("generate_assignment", "ps1")
    released = (tmp_path / "release/ps1/ps1.ipynb").read_text(encoding="utf-8")
    assert json.loads(released) == json.loads((RELEASE / "ps1.ipynb").read_text(encoding="utf-8"))
    for student, stage in {"blank": "release", "reference": "source"}.items():
        shutil.copytree(tmp_path / stage / "ps1", tmp_path / "submitted" / student / "ps1")
    nbgrader("autograde", "ps1")
    nbgrader("generate_feedback", "ps1")
    nbgrader("export")
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"blank": 0, "reference": sum(test.points for test in load(SETS["ps1"]).tests)}
    assert (tmp_path / "feedback/reference/ps1/ps1.html").exists()
