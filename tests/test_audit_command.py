"""Two checkpoints, from Python and from the command line."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn, optim

from book.execute import ROOT
from l2lib._checkpoints import command, loaded
from l2lib._momentum import Momentum
from l2lib.audit import Watch, compare
from tests.test_audit import LAM, LR, prepared, train


# ---- two checkpoints -----------------------------------------------------------------------------
def test_two_checkpoints_are_one_look():
    torch.manual_seed(0)
    model, X, y = prepared("deep")
    optimizer = optim.AdamW(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer, total_steps=50)
    before = copy.deepcopy(model.state_dict())
    train(model, optimizer, X, y, 20)
    watch.step()
    seen = watch.result().data
    told = compare(
        before, model.state_dict(), lr=LR, weight_decay=LAM, steps=20, total_steps=50
    ).data
    assert told.tensor.values.tolist() == seen.tensor.values.tolist()
    for name in (
        "turn",
        "decay",
        "push",
        "growth",
        "N",
        "N_end",
        "norm",
        "angle_predicted",
        "rms_ratio",
    ):
        assert np.allclose(told[name], seen[name], equal_nan=True), name
    assert told.role.sel(tensor=["3.weight", "3.bias"]).values.tolist() == ["unknown", "bias"]
    assert told.residual.max() < 1e-9


def test_names_and_what_does_not_decay():
    before = {
        n: torch.ones(4) for n in ("a.weight", "a.bias", "a.running_mean", "a.num_batches_tracked")
    }
    after = {n: t * torch.tensor([1.0, 1, 1, 0.9]) for n, t in before.items()}
    options = {"lr": 0.1, "weight_decay": 0.1, "steps": 5}
    found = compare(before, after, **options, no_decay=["*.bias"]).data
    assert found.tensor.values.tolist() == ["a.weight", "a.bias"]
    assert found.decays.values.tolist() == ["0.1", "no"]
    assert found.decay.values.tolist()[1] == 0
    assert found.verdict.sel(tensor="a.bias") == "does not decay"


def test_sgd_and_its_momentum_are_told_by_name():
    before, after = {"w": torch.tensor([3.0, 4])}, {"w": torch.tensor([3.1, 4])}
    options = {"lr": 0.01, "weight_decay": 0.1, "steps": 100}
    plain = compare(before, after, **options, optimizer="sgd").data
    heavy = compare(before, after, **options, optimizer="sgd", momentum=0.9).data
    assert plain.N.item() == pytest.approx(0.1)
    assert heavy.N.item() == pytest.approx(0.1 * Momentum(0.9).share(0.001) / 0.001)
    assert plain.sum_lr_decay.item() == heavy.sum_lr_decay.item() == pytest.approx(0.1)
    assert compare(before, after, **options).data.rms_ratio > 0


def test_the_rms_ratio_is_by_the_square_root_of_lr_over_twice_lambda():
    before, after = {"w": torch.tensor([3.0, 4])}, {"w": torch.tensor([3.1, 4])}
    found = compare(before, after, lr=0.5, weight_decay=0.4, steps=3).data.isel(tensor=0)
    rms = math.sqrt((3.1**2 + 4**2) / 2)
    assert found.rms_ratio.item() == pytest.approx(rms / math.sqrt(0.5 / (2 * 0.4)), rel=1e-6)


def test_prefixes_of_wrappers_do_not_count():
    before = {"up.weight": torch.ones(3), "up.bias": torch.ones(3)}
    after = {f"module._orig_mod.{n}": t + 0.1 for n, t in before.items()}
    found = compare(before, after, lr=0.1, weight_decay=0.1, steps=5).data
    assert found.tensor.values.tolist() == ["up.weight", "up.bias"]
    assert found.role.values.tolist() == ["unknown", "bias"]


# ---- the command ---------------------------------------------------------------------------------
def main(arguments):
    return command(compare, arguments)


NUMBERS = ["--lr", "0.01", "--weight-decay", "0.5", "--steps", "40"]


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(5, 4)
    paths = [str(tmp_path / name) for name in ("before.pt", "after.pt")]
    torch.save(model.state_dict(), paths[0])
    with torch.no_grad():
        model.weight.mul_(0.9).add_(0.01)
        model.bias.add_(0.1)
    torch.save({"epoch": 3, "model_state_dict": model.state_dict()}, paths[1])
    return paths


def test_the_command_prints_the_table(files, capsys):
    assert main([*files, *NUMBERS, "--total-steps", "400"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Audit: 40 of 400 steps, 1 look;")
    expected = compare(
        loaded(files[0]), loaded(files[1]), lr=0.01, weight_decay=0.5, steps=40, total_steps=400
    )
    assert out == f"{expected}\n"
    assert main([*files, *NUMBERS, "--optimizer", "sgd", "--momentum", "0.5"]) == 0
    assert capsys.readouterr().out != out
    assert main([*files, *NUMBERS, "--no-decay", "b*"]) == 0
    assert "does not decay" in capsys.readouterr().out


def test_the_command_as_it_is_typed(files):
    command = [sys.executable, "-m", "l2lib.audit"]
    done = subprocess.run([*command, *files, *NUMBERS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Audit: 40 steps, 1 look;")
    assert done.stderr == ""


def test_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert "python -m l2lib.audit" in told
    assert "--total-steps" in told


@pytest.mark.parametrize("missing", range(3))
def test_a_number_that_is_missing_is_asked_for(files, missing, capsys):
    numbers = NUMBERS[: 2 * missing] + NUMBERS[2 * missing + 2 :]
    with pytest.raises(SystemExit) as stopped:
        main([*files, *numbers])
    assert stopped.value.code == 2
    assert f"required: {NUMBERS[2 * missing]}" in capsys.readouterr().err


class Evil:
    ran = False

    def __reduce__(self):
        return exec, ("from tests.test_audit_command import Evil; Evil.ran = True",)


def write(path, what):
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        torch.save(what, path)
    return str(path)


BAD_FILES = [
    (
        Evil(),
        "is no file that can be loaded safely, as tensors alone can; save torch.save",
    ),
    (pickle.dumps(Evil(), protocol=4), "is no file that can be loaded safely"),
    (b"", "is no file that can be loaded safely"),
    (nn.Linear(2, 2), "is no file that can be loaded safely"),
    (b"not a checkpoint", "is no file that can be loaded safely"),
    ([torch.ones(2)], r"is \[tensor.*; give tensors by name: save torch.save\(model.state_dict"),
    ({"epoch": 3}, "after is {'epoch': 3}, without real or complex numbers; give what model"),
    (
        {"n": torch.tensor(3)},
        "after is .*, without real or complex numbers; give what model.state_dict",
    ),
    (
        {"weight": torch.ones(4, 5)},
        r"checkpoints: bias has shape \(4,\) before, none after; give two checkpoints of one model",
    ),
    (
        {"weight": torch.ones(4, 5), "bias": torch.ones(4), "more": torch.ones(1)},
        r"checkpoints: more has shape none before, \(1,\) after",
    ),
    (
        {"weight": torch.ones(4, 6), "bias": torch.ones(4)},
        r"checkpoints: weight has shape \(4, 5\) before, \(4, 6\) after",
    ),
]


@pytest.mark.parametrize(("what", "message"), BAD_FILES)
def test_a_bad_file_is_an_error_with_a_remedy(files, what, message, tmp_path, capsys):
    other = write(tmp_path / "other.pt", what)
    assert main([files[0], other, *NUMBERS]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("l2lib.audit: ")
    assert captured.err.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        compare(loaded(files[0]), loaded(other), lr=0.1, weight_decay=0.1, steps=3)
    assert not Evil.ran


def test_a_script_is_refused_without_a_word_of_torchs(files, tmp_path, capfd):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    assert main([files[0], str(path), *NUMBERS]) == 2
    assert "script.pt is no file that can be loaded safely" in capfd.readouterr().err


def test_a_file_that_is_not_there(files, capsys):
    assert main([files[0] + "x", files[1], *NUMBERS]) == 2
    assert (
        "there is no such file; give two checkpoints, the earlier first" in capsys.readouterr().err
    )


def test_safetensors_where_they_are_installed(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(
        ValueError, match="safetensors is not installed; pip install safetensors, or save"
    ):
        loaded(str(path))
    fake = type(sys)("safetensors.torch")

    def load_file(file):
        if file.read_bytes() == b"nothing":
            raise RuntimeError("header")
        return {"w": torch.ones(2)}

    fake.load_file = load_file
    monkeypatch.setitem(sys.modules, "safetensors", type(sys)("safetensors"))
    monkeypatch.setitem(sys.modules, "safetensors.torch", fake)
    with pytest.raises(ValueError, match="is no file that can be loaded safely"):
        loaded(str(path))
    path.write_bytes(b"something")
    assert loaded(str(path))["w"].tolist() == [1, 1]
