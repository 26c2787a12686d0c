"""The workflow for forks on GitHub: what can be known of it where it cannot run.

schemas/github-workflow.json is SchemaStore's, unchanged, under the licence beside it.
"""

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from book.execute import ROOT

TEXT = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "tests/schemas/github-workflow.json").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


class Loader(yaml.SafeLoader):
    """YAML as GitHub reads it: `on` is a word, and no truth value."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in the class above)
        letter: [
            (tag, shape) for tag, shape in pairs if letter in "tTfF" or not tag.endswith(":bool")
        ]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(text: str) -> Any:
    return yaml.load(text, Loader)


def commands(text: str) -> list[str]:
    """The lines that the jobs run in a shell."""
    steps = [step for job in read(text)["jobs"].values() for step in job["steps"]]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines()]


def problems(text: str) -> list[str]:
    """What GitHub would refuse, targets that the Makefile lacks, and actions that are not pinned."""
    workflow = read(text)
    found = [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(workflow)]
    if found:
        return found
    targets = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE))
    called = [line.split()[-1] for line in commands(text) if line.startswith("make ")]
    used = re.findall(r"uses: (.*)", text)
    found += [f"the Makefile has no target {target}" for target in called if target not in targets]
    return found + [
        f"{action} is not a major version"
        for action in used
        if not re.fullmatch(r"[\w/-]+@v\d+", action)
    ]


def test_the_workflow_is_sound() -> None:
    assert problems(TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("runs-on:", "run-on:"),
        ("fail-fast:", "failfast:"),
        ("  contents: read", "  contents: reed"),
        ("timeout-minutes: 60", "timeout-minutes: an hour"),
        ("cancel-in-progress: true", "cancel-in-progress: 'on'"),
        ("  workflow_dispatch:", "  workflow_dispach:"),
        ("- run: make test", "- ran: make test"),
        ("os: [ubuntu-latest, macos-latest, windows-latest]", "os: ubuntu-latest"),
        ("make book", "make bok"),
        ("checkout@v6", "checkout@main"),
    ],
)
def test_a_fault_is_refused(right: str, wrong: str) -> None:
    assert right in TEXT
    assert problems(TEXT.replace(right, wrong))


def test_the_readmes_two_commands_are_called() -> None:
    block = README.split("## Two commands")[1].split("```")[1]
    promised = re.findall(r"^make \w+", block, re.MULTILINE)
    assert len(promised) == 2
    assert set(promised) <= set(commands(TEXT))


def test_every_system_and_the_oldest_python_are_there() -> None:
    matrix = read(TEXT)["jobs"]["test"]["strategy"]["matrix"]
    oldest = re.search(r'^requires-python = ">=(.*)"', PYPROJECT, re.MULTILINE)
    assert {os.split("-")[0] for os in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert oldest
    assert oldest[1] in matrix["python"]
