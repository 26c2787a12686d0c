"""The benchmark runs, its contenders agree, and what it writes has the promised shape. Nothing is timed here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from book.execute import ROOT
from experiments.bench import contest, report
from experiments.bench.works import GRIDS, WORKS, job

KEYS = [
    "work",
    "contender",
    "k",
    "dtype",
    "optimizer",
    "workers",
    "config_steps_per_second",
    "ratio_to_plain_loop",
    "rounds",
]


@pytest.mark.slow
def test_plain_loop_agrees_and_rows_have_their_keys(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.bench", "--smoke", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    rows = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert {(row["work"], row["contender"]) for row in rows} == {
        (work, contender)
        for work in ("linear", "MLP, batch norm", "CNN, batch norm")
        for contender in ("plain loop", "l2lib")
    }
    for row in rows:
        assert list(row) == KEYS
        assert row["config_steps_per_second"] > 0
        assert (row["ratio_to_plain_loop"] == 1) == (row["contender"] == "plain loop")
    assert "| plain loop | 1 | 4 |" in (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert (tmp_path / "bench.svg").exists()


@pytest.mark.parametrize("work", [work for work in WORKS if work != report.SIGNAL])
def test_grids_have_k_configurations(work: str) -> None:
    ks = {*WORKS[work].ks, 4, 8, 96}
    assert ks <= GRIDS.keys()
    for k in ks:
        task = job(work, k, 2, "float32", "sgd")
        seeds, rates, decays = GRIDS[k]
        assert seeds * rates * decays == k == len(task.lr) == len(task.seed_of) == len(task.weight_decay)
        assert task.rows.shape == (seeds, 2, WORKS[work].batch_size)


def test_disagreeing_losses_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    group = contest.Group("linear", "float64", "sgd", [contest.Entry("plain loop", 4)], steps=2)
    monkeypatch.setattr(contest, "prepare", lambda *arguments, **options: 0.0)
    for found, message in (
        ([1.0, 2.0], None),
        ([1.0, 2.00001], "plain loop"),
        ([1.0], "plain loop"),
        ([1.0, np.nan], "plain"),
    ):
        monkeypatch.setattr(contest, "ask", lambda *arguments, found=found: [found])
        reference = {4: [1.0, 2.0]}
        if message is None:
            contest.check(group.entries[0], group, reference)
            continue
        with pytest.raises(SystemExit, match=message):
            contest.check(group.entries[0], group, reference)


def row(work: str, contender: str, k: int, ratio: float, **other: object) -> dict[str, object]:
    names = {"work": work, "contender": contender, "k": k, "dtype": "float32", "optimizer": "sgd", "workers": 1}
    return names | {"config_steps_per_second": 100 * ratio, "ratio_to_plain_loop": ratio, "rounds": 3} | other


def test_targets_are_judged() -> None:
    rows = [
        row("MLP, batch norm", "plain loop", 8, 1.0),
        row("MLP, batch norm", "l2lib", 192, 4.0),
        row("MLP, batch norm", "l2lib", 192, 6.0, workers=2),
        row("MLP, batch norm", "JAX", 8, 4.0, workers=2),
        row("MLP, batch norm", "JAX", 192, 3.0, workers=2),
        row("MLP, batch norm", "products alone", 192, 10.0),
        row("MLP, batch norm", "l2lib, no records", 192, 5.0),
        row("MLP, batch norm", "l2lib, chunks", 96, 4.0),
        row("MLP, batch norm", "l2lib, chunks", 192, 4.0),
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in report.target_table(rows)[2:]]
    shown = {words: cells for words, *cells in lines if cells[0] != "–"}
    assert list(shown.values()) == [
        *(["4", "≥ 2.5"], ["6", "≥ 4.3"], ["1.5", "≥ 1.1"]),
        *(["40 (missed)", "≥ 52"], ["2", "≤ 2.1"], ["25 (missed)", "≤ 12"]),
    ]


def test_requirements_are_the_book_s_where_both_have_them() -> None:
    ours, theirs = (
        dict(re.findall(r"^(\S+)==(\S+)", (ROOT / folder / "requirements.txt").read_text(), re.MULTILINE))
        for folder in ("", "experiments/bench")
    )
    assert {"torch", "jax", "skorch", "joblib", "mnist1d"} <= theirs.keys()
    assert {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]} == set()
    assert all(re.fullmatch(r"[\d.]+(post\d+)?", pin) for pin in theirs.values())
