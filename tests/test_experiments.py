"""The experiment on Fashion-MNIST at a tiny size, on digits in files of its format: what it writes,
what it refuses.
"""

import gzip
import math
import re
import struct
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import experiments.learning_rates.__main__ as learning_rates
from book.execute import ROOT
from experiments.fashion_mnist.__main__ import COLUMNS, GRIDS, main, read
from experiments.fashion_mnist.idx import PUBLISHED, load
from l2lib import datasets
from l2lib.sweep import CNN, Engine, sweep

DIGITS = datasets.load("digits")
GREYS = np.pad(
    DIGITS.X.reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2) * 15, ((0, 0), (2, 2), (2, 2))
)  # 28 x 28
TINY = "--grid 2 3 --seeds 2 --steps 2 --batch 12 --examples 24 --device cpu"
OTHER = bytes([0, 0, 9, 1, 0, 0, 0, 50, *range(50)])  # of signed bytes
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def idx(values: NDArray[np.float64] | NDArray[np.int64]) -> bytes:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}i", *values.shape)
    return gzip.compress(head + values.astype(np.uint8).tobytes(), 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty examples for training, fifty for tests."""
    (tmp_path / "data").mkdir()
    for name, rows in (("train", slice(0, 60)), ("t10k", slice(60, 110))):
        (tmp_path / f"data/{name}-images-idx3-ubyte.gz").write_bytes(idx(GREYS[rows]))
        (tmp_path / f"data/{name}-labels-idx1-ubyte.gz").write_bytes(idx(DIGITS.y[rows]))
    return tmp_path / "data"


def run(folder: Path, words: str = "", out: str = "table.csv") -> Path:
    """Run the command; return the path of its table, beside the folder."""
    table = folder.parent / out
    main(["--data", str(folder), "--out", str(table), *f"{TINY} {words}".split()])
    return table


def refused(
    capsys: pytest.CaptureFixture[str], folder: Path, words: str = "", out: str = "table.csv"
) -> str:
    """What the command says when it refuses; it leaves nothing behind, and an older table as it
    was.
    """
    before = {path: path.is_file() and path.read_bytes() for path in folder.parent.rglob("*")}
    with pytest.raises(SystemExit) as stopped:
        run(folder, words, out)
    assert stopped.value.code == 2
    assert {
        path: path.is_file() and path.read_bytes() for path in folder.parent.rglob("*")
    } == before
    return capsys.readouterr().err


# ---- files ---------------------------------------------------------------------------------
def test_images_and_labels_are_read_as_they_were_written(folder: Path) -> None:
    for (X, y), rows in zip(load(folder), (slice(0, 60), slice(60, 110)), strict=True):
        assert np.abs(X - GREYS[rows].reshape(-1, 784) / 255).max() < 1e-15
        assert (y == DIGITS.y[rows]).all()
    assert [len(y) for _, y in load(folder, 55)] == [55, 50]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (IMAGES, None, "is missing"),
        (LABELS, b"labels", "cannot be unpacked"),
        (LABELS, gzip.compress(bytes(2000))[:-20], "cannot be unpacked"),
        (LABELS, gzip.compress(b""), "0 bytes"),
        (LABELS, gzip.compress(bytes([0, 0, 8, 1, 0, 0])), "need 00000801"),
        (LABELS, gzip.compress(OTHER), "begin with 00000901.*need 00000801"),
        (IMAGES, idx(DIGITS.y[:60]), "begin with 00000801.*need 00000803"),
        (IMAGES, gzip.compress(gzip.decompress(idx(GREYS[:60]))[:-1]), r"\[60, 28, 28\]"),
        (IMAGES, gzip.compress(gzip.decompress(idx(GREYS[:60])) + b"0"), r"\[60, 28, 28\]"),
        (IMAGES, idx(GREYS[:59]), r"train images have shape \(59, 28, 28\), and 60 labels"),
        (IMAGES, idx(GREYS[:60, 1:]), r"train images have shape \(60, 27, 28\)"),
        (LABELS, idx(DIGITS.y[60:110] + 1), "50 labels run to 10"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_files_that_do_not_fit_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, words: str
) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    (folder.parent / "table.csv").write_text("older", encoding="utf-8")
    said = refused(capsys, folder)
    assert re.search(words, said)
    assert PUBLISHED in said
    assert str(folder if "images have" in words or "run to" in words else folder / name) in said


# ---- the command ---------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:ηλ < 1e-6")
@pytest.mark.slow
def test_table_says_what_made_it_and_holds_what_a_sweep_finds(folder: Path) -> None:
    table = folder.parent / "table.csv"
    asked = ["--data", str(folder), "--out", str(table), *TINY.split()]
    command = [sys.executable, "-m", "experiments.fashion_mnist", *asked]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert "Warning" not in done.stderr
    lines = table.read_text(encoding="utf-8").splitlines()
    said = dict(line[2:].split(": ", 1) for line in lines if line[0] == "#")
    assert said["command"] == (
        "python -m experiments.fashion_mnist --data FOLDER --optimisers sgd adamw adam --grid 2 3 "
        "--seeds 2 --steps 2 --batch 12 --examples 24 --device cpu --dtype float32 --chunk 2"
    )
    assert re.fullmatch(
        "[0-9a-f]{40}, (with uncommitted changes|nothing uncommitted)|unknown, .*", said["commit"]
    )
    assert said["machine"].startswith("CPU")
    assert said["torch"] == torch.__version__
    assert float(said["seconds"]) >= 0
    assert str(folder) not in "".join(lines)
    assert lines[6] == COLUMNS == "optimiser,lr,weight_decay,seed,test_error,train_loss"
    found = read(table)
    assert len(found["lr"]) == 3 * 2 * 3 * 2
    for optimiser in GRIDS:
        agree(
            optimiser,
            folder,
            {name: column[found["optimiser"] == optimiser] for name, column in found.items()},
        )


def agree(optimiser: str, folder: Path, found: dict[str, NDArray[np.float64]]) -> None:
    """The rows of an optimiser are those of a sweep that is written out here."""
    (X, y), (X_test, y_test) = load(folder, 24)
    lr = np.unique(found["lr"]).tolist()
    decay = np.unique(found["weight_decay"]).tolist()
    here = sweep(
        CNN((64, 10), image=(1, 28, 28), channels=(16, 32, 64), norm="batch", bias=False),
        X,
        y,
        test=(X_test, y_test),
        loss="cross_entropy",
        optimizer=optimiser,
        momentum=0.9,
        lr=lr,
        weight_decay=decay,
        seeds=[0, 1],
        steps=2,
        decay_factors={"weight0": 1, "weight1": 1, "weight2": 1},
        schedule=lambda t: math.cos(math.pi * t / 4) ** 2,
        batch_size=12,
        engine=Engine(dtype="float32", progress=False),
    ).isel(step=-1)
    assert (len(lr), len(decay)) == (2, 3)
    for i, (seed, eta, lam) in enumerate(product([0, 1], lr, decay)):
        one = here.sel(seed=seed, lr=eta, weight_decay=lam)
        assert (found["seed"][i], found["lr"][i], found["weight_decay"][i]) == (seed, eta, lam)
        assert abs(found["test_error"][i] - (1 - float(one.test_accuracy))) < 1e-6
        assert math.isclose(found["train_loss"][i], float(one.train_loss), rel_tol=1e-5)


def test_tables_of_one_optimiser_each_are_read_together(folder: Path) -> None:
    both = read(
        *(
            run(folder, f"--steps 1 --grid 2 2 --commit v1 --optimisers {name}", f"{name}.csv")
            for name in ("adam", "sgd")
        )
    )
    assert both["optimiser"].tolist() == ["adam"] * 8 + ["sgd"] * 8
    assert both["seed"].dtype.kind == "i"
    assert both["test_error"].min() >= 0
    assert both["test_error"].max() <= 1
    head = (folder.parent / "sgd.csv").read_text(encoding="utf-8")
    assert "--optimisers sgd --grid 2 2 --seeds 2 --steps 1 " in head
    assert "\n# commit: v1\n" in head


def test_diverged_runs_are_read_back(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(
        f"# machine: none\n{COLUMNS}\nadamw,0.5,2.0,1,0.9,nan\n", encoding="utf-8"
    )
    row = {name: column[0] for name, column in read(tmp_path / "table.csv").items()}
    assert np.isnan(row.pop("train_loss"))
    assert row == {
        "optimiser": "adamw",
        "lr": 0.5,
        "weight_decay": 2.0,
        "seed": 1,
        "test_error": 0.9,
    }


@pytest.mark.parametrize(
    ("words", "out", "said"),
    [
        ("--steps 0", "table.csv", "steps is 0"),
        ("--batch 25", "table.csv", "batch_size is 25.*only 24 training examples"),
        ("--seeds 0", "table.csv", "seeds"),
        ("--grid 2 9", "table.csv", "--grid"),
        ("--optimisers lion", "table.csv", "lion"),
        ("", "data", "is a folder"),
        ("", "nowhere/table.csv", "No such file"),
        ("", f"data/{IMAGES}/table.csv", "Not a directory|No such file"),
    ],
)
def test_what_cannot_be_done_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, out: str, said: str
) -> None:
    assert re.search(said, refused(capsys, folder, words, out))


def test_place_is_tried_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "experiments.fashion_mnist.__main__._train", lambda *arguments: pytest.fail("trained")
    )
    assert "nowhere" in refused(capsys, folder, out="nowhere/table.csv")


def test_error_and_interrupt_leave_an_older_table(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = folder.parent / "table.csv"
    table.write_text("older", encoding="utf-8")
    for error in (RuntimeError("out of memory"), KeyboardInterrupt()):

        def fail(*arguments: object, error: BaseException = error) -> list[str]:
            raise error

        monkeypatch.setattr("experiments.fashion_mnist.__main__._train", fail)
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            run(folder)
        assert [path.name for path in folder.parent.iterdir() if path != folder] == ["table.csv"]
        assert table.read_text(encoding="utf-8") == "older"
    assert "out of memory" in capsys.readouterr().err


def test_grids_keep_products_on_their_diagonals() -> None:
    for optimiser, (rates, decays) in GRIDS.items():
        assert len(rates) == len(decays) == 8
        power = 2 if optimiser == "adam" else 1
        assert len({power * i + j for i, j in zip(rates, reversed(decays), strict=True)}) == 1
        if optimiser != "adam":
            assert 2.0 ** (min(rates) + min(decays)) >= 1e-6  # a smaller decay is lost in float32


# ---- chapter 11 at other learning rates ------------------------------------------------------
def test_the_table_that_chapter_11_reads_is_what_its_functions_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_rates, "RATES", (0.27,))
    monkeypatch.setattr(learning_rates, "RUNS", ((250, 100),))
    monkeypatch.setattr(learning_rates, "LONGER", ())
    monkeypatch.setattr(learning_rates, "DIGITS", ((0.05, 200),))
    monkeypatch.setattr(learning_rates, "TOO_LARGE", ())
    learning_rates.main(["--out", str(tmp_path / "table.txt")])
    found, kept = np.loadtxt(tmp_path / "table.txt"), np.loadtxt(learning_rates.TABLE)
    assert kept.shape == ((4 * 5 + 7 + 6 + 5) * 5 * 7, 7)  # longer, digits, 0.81
    signals = (kept[:, 0] == 0.27) & (kept[:, 1] == 250)
    digits = (kept[:, 0] == 0.05) & (kept[:, 1] == 200) & (kept[:, 2] == 200)
    same = kept[signals | digits]
    assert (found[:, :5] == same[:, :5]).all()
    assert np.abs(found[:, 5:] - same[:, 5:]).max() < 0.03  # a processor may round otherwise
