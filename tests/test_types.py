"""Types that a checker can follow: a misspelt attribute is found before anything runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from book.execute import ROOT

RIGHT = """
from l2lib.sweep import MLP, Engine, Model, sweep
from l2lib.sweep.job import Job
from l2lib.sweep.models import Layer
from l2lib.sweep.records import Variable
from l2lib.sweep.updates import Rule, Step


def look(
    job: Job, step: Step, rule: Rule, layer: Layer, variable: Variable, engine: Engine
) -> Model:
    print(job.recipe.steps, job.grid.weight_decay, job.record.every, job.configurations[0].lr)
    print(step.weight_decay, rule.momentum, layer.fan_in, variable.unit, engine.chunk_size)
    return MLP((2, 1), norm="batch")


sweep(MLP((2, 1)), [[0.0, 1.0]], [1.0], lr=0.1, weight_decay=[0.0, 0.1], steps=1, optimizer="sgd")
"""
WRONG = {
    "job.recipe.stepz": ("job.recipe.steps", '"Recipe" has no attribute "stepz"'),
    "job.grid.wieght_decay": ("job.grid.weight_decay", '"Grid" has no attribute "wieght_decay"'),
    "job.record_every": ("job.record.every", '"Job" has no attribute "record_every"'),
    "job.configurations[0].eta": (
        "job.configurations[0].lr",
        '"Configuration" has no attribute "eta"',
    ),
    "step.decay": ("step.weight_decay", '"Step" has no attribute "decay"'),
    "rule.momentun": ("rule.momentum", '"Rule" has no attribute "momentun"'),
    "layer.fanin": ("layer.fan_in", '"Layer" has no attribute "fanin"'),
    "engine.chunk": ("engine.chunk_size", '"Engine" has no attribute "chunk"'),
    'norm="bach"': ('norm="batch"', 'Argument "norm" to "MLP" has incompatible type'),
    'optimizer="sdg"': ('optimizer="sgd"', 'Argument "optimizer" to "sweep" has incompatible type'),
    "wd=[0.0": ("weight_decay=[0.0", 'Unexpected keyword argument "wd" for "sweep"'),
}


@pytest.mark.slow
def test_a_misspelt_attribute_of_a_job_is_found(tmp_path: Path) -> None:
    names = [f"wrong{number}.py" for number in range(len(WRONG))]
    for name, (wrong, (right, _)) in zip(names, WRONG.items(), strict=True):
        assert RIGHT.count(right) == 1
        (tmp_path / name).write_text(RIGHT.replace(right, wrong), encoding="utf-8")
    (tmp_path / "right.py").write_text(RIGHT, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("right.py", *names)]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.findall(r"^.*?(\w+\.py):\d+: error: (.*)$", done.stdout, re.MULTILINE)
    assert sorted(name for name, _ in found) == sorted(names), done.stdout
    for name, (_, message) in zip(names, WRONG.values(), strict=True):
        assert message in dict(found)[name]
