"""The benchmark runs, its contenders agree, and what it writes has the promised shape. Nothing is
timed here.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from book.execute import ROOT
from experiments.bench import comparison, contest, report, worker
from experiments.bench.contest import Group, Row
from experiments.bench.job import CHUNK, Engine, Entry
from experiments.bench.processes import CONTENDERS, Processes
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
    written = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert all(list(each) == KEYS for each in written)
    rows = [Row(**each) for each in written]
    works = ("linear", "MLP, batch norm", "CNN, batch norm")
    assert [(row.work, row.contender, row.workers, row.k) for row in rows] == [
        (work, contender, 1, 4) for work in works for contender in ("plain loop", "l2lib")
    ]
    for row in rows:
        assert row.config_steps_per_second > 0
        assert (row.ratio_to_plain_loop == 1) == (row.contender == "plain loop")
    lines = (tmp_path / "bench.md").read_text(encoding="utf-8").splitlines()
    for work in works:
        assert set(report.work_table([row for row in rows if row.work == work])) <= set(lines)
    assert (tmp_path / "bench.svg").exists()


def test_rows_are_what_the_books_page_says() -> None:
    assert [field.name for field in fields(Row)] == KEYS
    page = (ROOT / "book/benchmark.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in KEYS)


def test_l2lib_is_timed_with_records_without_and_in_chunks() -> None:
    def timed(contender: str) -> Engine:
        return contest.timed_engine(Entry(contender, 24, 2), 100)

    assert timed("l2lib") == Engine(workers=2, record_every=10, evaluate_every=100)
    assert timed("l2lib, no records") == Engine(workers=2, record_every=101, evaluate_every=101)
    assert timed("l2lib, chunks") == Engine(workers=2, chunk_size=CHUNK)


def test_processes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked before the one before has answered; every round has a turn for each."""
    turns: list[Entry] = []

    class Waiting(Processes):
        def __init__(self) -> None:
            """None is started."""

        def of(self, entry: Entry) -> list[Any]:
            return [None]

        def ask(self, entry: Entry, function: Callable[..., Any], *arguments: Any) -> list[Any]:
            if function is worker.rate:
                turns.append(entry)
            return [float(len(turns))]

    monkeypatch.setattr(contest, "check", lambda *arguments: 0.5)
    entries = (Entry("plain loop", 8), Entry("JAX", 8), Entry("l2lib", 8))
    found = contest.measure(Group("linear", "float32", "sgd", entries), 3, 0.0, Waiting())
    assert turns == [*entries] * 3
    assert [row.config_steps_per_second for row in found.rows] == [4, 5, 6]  # the medians
    assert [(each.contender, each.seconds) for each in found.compiling] == [("JAX", 0.5)]


def test_every_entry_has_a_contender_and_a_grid() -> None:
    for mode in ("full", "quick", "smoke"):
        for group in comparison.groups(mode):
            assert {entry.contender for entry in group.entries} <= CONTENDERS.keys()
            assert {entry.k for entry in group.entries} <= GRIDS.keys()
            assert len(set(group.entries)) == len(group.entries)


@pytest.mark.parametrize("work", [work for work in WORKS if work != report.SIGNAL])
def test_grids_have_k_configurations(work: str) -> None:
    ks = {*WORKS[work].ks, 4, 8, 96}
    assert ks <= GRIDS.keys()
    for k in ks:
        task = job(work, k, 2, "float32", "sgd")
        sizes = GRIDS[k]
        assert sizes.seeds * sizes.lrs * sizes.decays == k == task.k
        assert len(task.each.seed) == len(task.each.weight_decay) == k
        assert task.rows.shape == (sizes.seeds, 2, WORKS[work].batch_size)


def test_shares_of_a_job_are_its_configurations() -> None:
    whole = job("linear", 8, 2, "float32", "sgd")
    shares = whole.split(3)
    assert [share.k for share in shares] == [3, 3, 2]
    assert np.concatenate([share.each.lr for share in shares]).tolist() == whole.each.lr.tolist()
    assert all(share.rows is whole.rows for share in shares)


@pytest.mark.parametrize(
    ("found", "agrees"),
    [([1.0, 2.0], True), ([1.0, 2.00001], False), ([1.0], False), ([1.0, np.nan], False)],
)
def test_disagreeing_losses_are_refused(
    monkeypatch: pytest.MonkeyPatch, found: list[float], agrees: bool
) -> None:
    entry = Entry("plain loop", 4)
    group = Group("linear", "float64", "sgd", (entry,), steps=2)
    monkeypatch.setattr(contest, "prepare", lambda *arguments: 0.25)
    monkeypatch.setattr(contest, "losses", lambda *arguments: found)

    def check() -> float:
        return contest.check(entry, group, {4: [1.0, 2.0]}, Processes())

    if agrees:
        assert check() == 0.25
    else:
        with pytest.raises(
            SystemExit, match="plain loop, linear, K = 4, float64, sgd: losses after 2 steps"
        ):
            check()


def row(work: str, contender: str, k: int, ratio: float, workers: int = 1) -> Row:
    return Row(work, contender, k, "float32", "sgd", workers, 100 * ratio, ratio, 3)


def test_targets_are_judged() -> None:
    mlp = "MLP, batch norm"
    rows = [
        row(mlp, "plain loop", 8, 1.0),
        row(mlp, "l2lib", 192, 4.0),
        row(mlp, "l2lib", 192, 6.0, workers=2),
        row(mlp, "JAX", 8, 4.0, workers=2),
        row(mlp, "JAX", 192, 3.0, workers=2),
        row(mlp, "products alone", 192, 10.0),
        row(mlp, "l2lib, no records", 192, 5.0),
        row(mlp, "l2lib, chunks", 96, 4.0),
        row(mlp, "l2lib, chunks", 192, 4.0),
    ]
    found = [target for target in report.targets(rows) if target.reached == target.reached]
    assert [(target.reached, target.sense, target.bound, target.missed) for target in found] == [
        (4, "≥", 2.5, False),
        (6, "≥", 4.3, False),
        (1.5, "≥", 1.1, False),
        (40, "≥", 52, True),
        (2, "≤", 2.1, False),
        (25, "≤", 12, True),
    ]
    assert report.target_table(rows)[2].endswith("| 4 | ≥ 2.5 |")
    assert sum(line.count("(missed)") for line in report.target_table(rows)) == 2
    assert not any(target.missed for target in report.targets([]))


def test_requirements_are_the_book_s_where_both_have_them() -> None:
    ours, theirs = (
        dict(
            re.findall(
                r"^(\S+)==(\S+)", (ROOT / folder / "requirements.txt").read_text(), re.MULTILINE
            )
        )
        for folder in ("", "experiments/bench")
    )
    assert {"torch", "jax", "skorch", "joblib", "mnist1d"} <= theirs.keys()
    assert {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]} == set()
    assert all(re.fullmatch(r"[\d.]+(post\d+)?", pin) for pin in theirs.values())


def test_the_audits_cost_is_printed() -> None:
    small = ["--width", "16", "--batch", "8", "--rounds", "1"]
    command = [sys.executable, "-m", "experiments.bench.audit", *small]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # at this size a look is dear
    lines = done.stdout.splitlines()
    assert lines[0] == "890 numbers, batches of 8, 1 threads, AdamW"
    assert re.fullmatch(r"a look +[\d.]+ ms, every 20 steps", lines[2])
    assert lines[4].startswith("memory               1.000 copies")
