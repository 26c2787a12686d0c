"""What a sweep promises besides its numbers: records, chunks, workers, errors, interruption, files."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from l2lib.datasets import load, make_regression, minibatches
from l2lib.splits import split
from l2lib.sweep import CNN, MLP, Engine, experiment, predict, sweep
from l2lib.sweep.models import affine_map
from l2lib.sweep.updates import RULES

X20, Y20 = make_regression(20, seed=0, n_inputs=6)
GRID = {
    "lr": [0.01, 0.1, 0.2],
    "weight_decay": [0.0, 0.5],
    "seeds": [1, 2],
    "batch_size": 5,
    "steps": 12,
    "loss": "mse",
}


def equal(one, other):
    """To the last bit, everything."""
    return all(
        np.array_equal(one[name].values, other[name].values, equal_nan=True)
        for name in {*one, *other}
    )


# ---- what is recorded ------------------------------------------------------------------------------


def test_records_are_what_they_say():
    kept = {
        "first": lambda parameters, gradients: parameters["weight0"][:, 0],
        "twice": lambda w, g: 2 * g["bias0"],
    }
    options = {
        "lr": 0.1,
        "weight_decay": 0.3,
        "batch_size": 4,
        "schedule": lambda t: 1 / (1 + t),
        "record": kept,
    }
    run = sweep(
        MLP((6, 1)),
        X20,
        Y20,
        **options,
        seeds=[5],
        steps=6,
        record_every=2,
        evaluate_every=3,
        evaluate_on=7,
    )
    start = MLP((6, 1)).initial(5)
    w, b = start["weight0"][0], start["bias0"][0, 0]
    path, losses = [], []
    for t, rows in zip(range(7), minibatches(20, 4, [5]), strict=False):
        losses.append(np.mean((X20[:7] @ w + b - Y20[:7]) ** 2) / 2)
        error = X20[rows[0]] @ w + b - Y20[rows[0]]
        g, lr, before = X20[rows[0]].T @ error / 4, 0.1 / (1 + t), w
        w, b = w - lr * (g + 0.3 * w), b - lr * error.mean()
        turn = np.arccos(w @ before / np.linalg.norm(w) / np.linalg.norm(before))
        norm, slope = np.linalg.norm(before), np.linalg.norm(g)
        path.append(
            [norm, slope, before @ g / norm / slope, lr / norm**2, turn, before, 2 * error.mean()]
        )
    ours = run.isel(seed=0)
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run.evaluated_step.values.tolist() == [0, 3, 6]
    np.testing.assert_allclose(ours.train_loss, losses[::3], rtol=1e-12)
    for i, name in enumerate(("norm", "gradient_norm", "cosine", "effective_lr")):
        np.testing.assert_allclose(ours[name].values[0], [row[i] for row in path[::2]], rtol=1e-12)
    np.testing.assert_allclose(ours.angle.values[0, :3], [row[4] for row in path[:6:2]], rtol=1e-7)
    assert np.isnan(ours.angle.values[0, 3])  # no step follows the last one
    np.testing.assert_allclose(ours["first"].values.T, [row[5] for row in path[::2]], rtol=1e-12)
    np.testing.assert_allclose(
        ours["twice"].values[0, 0], [row[6] for row in path[::2]], rtol=1e-11
    )
    np.testing.assert_allclose(ours.weight0.values[0], path[6][5], rtol=1e-12)


def test_angles_are_accurate_when_they_are_small():
    run = sweep(MLP((6, 1), bias=False), X20, Y20, lr=1e-9, steps=1)
    w = MLP((6, 1), bias=False).initial(0)["weight0"][0]
    g = X20.T @ (X20 @ w - Y20) / 20
    across = g - w * (w @ g) / (w @ w)
    assert run.angle.values[0, 0, 0] == pytest.approx(
        1e-9 * np.linalg.norm(across) / np.linalg.norm(w), rel=1e-6
    )


@pytest.mark.parametrize(
    "model", [MLP((64, 5, 10), norm="batch"), CNN((3, 10), channels=(3,), norm="batch")]
)
def test_batch_norm_is_evaluated_with_training_statistics(model):
    digits = load("digits")
    X, y, test = digits.X[:50] / 16, digits.y[:50], (digits.X[50:90] / 16, digits.y[50:90])
    options = {"lr": 0.1, "steps": 3, "loss": "cross_entropy", "batch_size": 10, "seeds": [0, 1]}
    run = sweep(model, X, y, test=test, evaluate_on=30, **options)
    parameters = {name: torch.tensor(run[name].values) for name in model.initial(0)}
    both = torch.tensor(np.concatenate([X[:30], test[0]]))[None].expand(2, -1, -1)
    outputs, labels = (
        model(parameters, both, reference=30),
        torch.tensor(np.concatenate([y[:30], test[1]])),
    )
    loss = torch.nn.functional.cross_entropy(outputs, labels.expand(2, -1), reduction="none")
    right = (outputs.argmax(1) == labels).double()
    np.testing.assert_allclose(run.train_loss[:, -1], loss[:, :30].mean(1), rtol=1e-12)
    np.testing.assert_allclose(run.test_loss[:, -1], loss[:, 30:].mean(1), rtol=1e-12)
    np.testing.assert_allclose(run.train_accuracy[:, -1], right[:, :30].mean(1), rtol=1e-12)
    np.testing.assert_allclose(run.test_accuracy[:, -1], right[:, 30:].mean(1), rtol=1e-12)
    changed = model(parameters, torch.cat([both[:, :30], both[:, 30:] + 7], 1), reference=30)
    torch.testing.assert_close(
        changed[..., :30], outputs[..., :30]
    )  # the test examples have no part in the statistics


def test_larger_images():
    rng = np.random.default_rng(0)
    model = CNN((8, 10), image=(1, 28, 28), channels=(4, 8), norm="batch")
    X, y = rng.standard_normal((40, 784)), np.arange(40) % 10
    options = {"lr": [0.5, 1.0], "steps": 60, "batch_size": 20, "loss": "cross_entropy"}
    run = sweep(model, X, y, **options, engine=Engine(dtype="float32"))
    assert (run.train_loss[..., -1] < 0.9 * run.train_loss[..., 0]).all()


def test_every_record_has_dimensions_and_a_unit():
    run = sweep(
        MLP((6, 1)),
        X20,
        Y20,
        test=(X20 + 1, Y20),
        lr=[0.1],
        momentum=[0.0, 0.5],
        init_scale=[1.0, 2.0],
        steps=2,
    )
    assert run.train_loss.dims == ("seed", "lr", "momentum", "init_scale", "step")
    assert run.norm.dims == ("seed", "lr", "momentum", "init_scale", "layer", "step")
    assert run.layer.values.tolist() == ["weight0"]
    assert run.weight_decay.item() == 0  # a number makes a coordinate, not a dimension
    assert all(variable.attrs["units"] and variable.attrs["long_name"] for variable in run.values())
    assert run.angle.attrs["units"] == "rad"
    np.testing.assert_allclose(run.norm.values[..., 1, :, 0], 2 * run.norm.values[..., 0, :, 0])


def test_the_units_of_a_classifier_and_of_a_regression():
    labels, once = torch.arange(20) % 3, {"lr": 0.1, "steps": 1}
    run = sweep(MLP((6, 3)), X20, labels, test=(X20 + 1, labels), loss="cross_entropy", **once)
    units = {name: variable.attrs["units"] for name, variable in run.items()}
    assert units.pop("angle") == "rad"
    assert {units.pop("train_loss"), units.pop("test_loss")} == {"nat"}
    assert {"train_accuracy", "test_accuracy", "norm", "weight0"} <= units.keys()
    assert {*units.values()} == {"1"}
    for loss in ("mse", "half_mse"):
        run = sweep(MLP((6, 1)), X20, Y20, loss=loss, **once)
        assert run.train_loss.attrs["units"] == "target²"


def test_a_result_survives_a_file(tmp_path):
    run = sweep(MLP((6, 3, 1)), X20, Y20, **GRID)
    run.to_netcdf(tmp_path / "run.nc")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "run.nc"), run)


def test_one_data_set_a_seed():
    sets = [make_regression(30, seed=s, n_inputs=5, weight=1.0) for s in (7, 8)]
    X, y = (np.stack(part) for part in zip(*sets, strict=True))
    options = {"lr": [0.1, 0.2], "seeds": [8, 7], "steps": 50, "record_every": 25}
    run = sweep(MLP((5, 1)), X[:, :20], y[:, :20], test=(X[:, 20:], y[:, 20:]), **options)
    for i in range(2):
        w, b = run.weight0.values[i, 0, 0], run.bias0.values[i, 0].item()
        expected = np.mean((X[i, 20:] @ w + b - y[i, 20:]) ** 2) / 2
        assert run.test_loss.values[i, 0, -1] == pytest.approx(expected, rel=1e-12)


@given(n=st.integers(1, 12), size=st.integers(1, 12), steps=st.integers(1, 30))
def test_every_epoch_uses_each_example_at_most_once(n, size, steps):
    if size > n:
        return
    batches = [batch for _, batch in zip(range(steps), minibatches(n, size, [0, 1]), strict=False)]
    per_epoch = n // size
    for epoch in range(0, steps - per_epoch + 1, per_epoch):
        rows = np.concatenate(batches[epoch : epoch + per_epoch], axis=1)
        assert all(len(set(seed)) == per_epoch * size for seed in rows)


def test_initial_parameters():
    def draw(**options):
        return MLP((4, 100_000, 1), **options).initial(0)

    assert abs(draw()["weight0"].var() * 3 * 4 - 1) < 0.02  # uniform on ±1/√4
    assert np.abs(draw()["bias0"]).max() <= 0.5
    assert abs(draw(init="he")["weight0"].var() / (2 / 4) - 1) < 0.02
    assert abs(draw(init="glorot")["weight0"].var() / (2 / 100_004) - 1) < 0.02
    assert abs(draw(init="normal", init_std=3.0)["weight0"].std() - 3) < 0.03
    assert not draw(init="zeros")["weight0"].any()
    assert not draw(init="he")["bias0"].any()
    assert set(draw(bias=False)) == {"weight0", "weight1"}
    # Biases that start at zero are drawn as well: the next weights are the same draws, scaled.
    torchs, glorots = draw()["weight1"], draw(init="glorot")["weight1"]
    np.testing.assert_allclose(torchs * math.sqrt(100_000), glorots * math.sqrt(100_001 / 6))
    np.testing.assert_allclose(
        draw(norm="weight")["g0"], np.linalg.norm(draw()["weight0"], axis=1, keepdims=True)
    )
    kernel = CNN((200, 1), image=(50, 4, 4), channels=(200,), init="glorot").initial(0)["weight0"]
    assert abs(kernel.var() / (2 / (9 * 250)) - 1) < 0.02


# ---- what a run answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "batch", "layer", "weight"])
def test_a_run_predicts_what_it_was_evaluated_on(norm, tmp_path):
    digits = load("digits")
    X, y, test = digits.X[:60] / 16, digits.y[:60], (digits.X[60:90] / 16, digits.y[60:90])
    options = {
        "lr": 0.1,
        "weight_decay": [0.0, 0.1],
        "steps": 20,
        "loss": "cross_entropy",
        "seeds": [0, 1],
    }
    run = sweep(MLP((64, 5, 10), norm=norm), X, y, test=test, **options)
    reference = X if norm == "batch" else None
    found = predict(run, test[0], reference=reference)
    assert found.dims == ("seed", "weight_decay", "example", "output")
    accuracy = (found.argmax("output") == test[1]).mean("example")
    np.testing.assert_allclose(accuracy, run.test_accuracy[..., -1], rtol=1e-12)
    run.to_netcdf(tmp_path / "run.nc")
    stored = xr.load_dataset(tmp_path / "run.nc").isel(seed=1, weight_decay=0)
    again = predict(stored, test[0], reference=reference)
    np.testing.assert_array_equal(again, found[1, 0])


def test_predictions_of_one_data_set_a_seed():
    sets = [make_regression(30, seed=s, n_inputs=5, weight=1.0) for s in (7, 8)]
    X, y = (np.stack(part) for part in zip(*sets, strict=True))
    run = sweep(MLP((5, 3, 1), norm="batch"), X, y, lr=[0.1, 0.2], seeds=[8, 7], steps=10)
    found = predict(run, X, reference=X)[..., 0]
    losses = ((found - y[:, None]) ** 2).mean("example") / 2
    np.testing.assert_allclose(losses, run.train_loss[..., -1], rtol=1e-12)


@dataclass(frozen=True)
class Quadratic:
    """A reader's own model: y = Σ w x²."""

    inputs: int = 6
    outputs: int = 1
    batch_statistics: bool = False

    def size(self, batch):
        return self.inputs * (1 + batch)

    def initial(self, seed):
        return {"weight0": np.random.default_rng(seed).normal(size=(1, self.inputs))}

    def __call__(self, parameters, x, reference=None):
        return parameters["weight0"] @ x.square().transpose(1, 2)


def test_a_readers_own_model_is_trained_and_predicts():
    model = Quadratic()
    run = sweep(
        model,
        X20,
        X20**2 @ np.arange(6),
        lr=0.05,
        weight_decay=[0.0, 10.0],
        steps=2000,
        record_every=2000,
    )
    np.testing.assert_allclose(run.weight0.values[0, 0, 0], np.arange(6), atol=1e-4)
    ridge = np.linalg.solve(
        (X20**2).T @ X20**2 / 20 + 10 * np.eye(6), (X20**2).T @ X20**2 / 20 @ np.arange(6)
    )
    np.testing.assert_allclose(run.weight0.values[0, 1, 0], ridge, rtol=1e-6)
    np.testing.assert_allclose(
        predict(run, X20, model=model)[0, 1, :, 0], X20**2 @ ridge, rtol=1e-6
    )
    with pytest.raises(ValueError, match="no MLP or CNN: give model="):
        predict(run, X20)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (X20[:, :5], {}, r"X has shape \(20, 5\); need \(n, 6\), or \(2, n, 6\) for one data set"),
        (X20[0], {}, "X has shape"),
        (np.stack([X20] * 3), {}, r"or \(2, n, 6\) for one data set a seed"),
        ([["1"] * 6], {}, "X holds text"),
        (torch.tensor(X20) * 1j, {}, "X holds complex numbers"),
        (None, {}, "X is None; give an array of real numbers"),
        (X20, {"reference": X20}, "no batch normalisation: leave reference out"),
        (X20, {"model": MLP((6, 2, 1), norm="batch")}, "run has no gamma0, beta0, weight1, bias1"),
        (X20, {"model": MLP}, "model is the class MLP; give an instance"),
        (X20, {"model": 3}, "model is a int; give an MLP"),
    ],
)
def test_what_cannot_be_predicted_is_refused(X, options, message):
    run = sweep(MLP((6, 1)), X20, Y20, lr=0.1, seeds=[0, 1], steps=1)
    with pytest.raises(ValueError, match=message):
        predict(run, X, **options)


def test_what_is_no_run_cannot_predict():
    run = sweep(MLP((6, 2, 1), norm="batch"), X20, Y20, lr=0.1, steps=1)
    with pytest.raises(ValueError, match="give reference="):
        predict(run, X20)
    with pytest.raises(ValueError, match=r"reference is None|reference holds text"):
        predict(run, X20, reference=[["a"] * 6])
    with pytest.raises(ValueError, match=r"run is .*; give the data set that sweep returned"):
        predict(run.train_loss, X20)
    with pytest.raises(ValueError, match=r"run has no weight0, .*; give what sweep returned"):
        predict(run[["train_loss"]], X20, reference=X20)


def test_seeds_predict_from_their_own_data_in_any_order_of_dimensions():
    X = np.stack([X20, X20 + 1])
    run = sweep(MLP((6, 1)), X20, Y20, lr=[0.1, 0.2, 0.3], seeds=[0, 1], steps=3)
    found = predict(run, X)
    turned = predict(run.transpose("lr", "seed", ...), X)
    assert equal(found.to_dataset(name="y"), turned.transpose(*found.dims).to_dataset(name="y"))


# ---- chunks and workers ----------------------------------------------------------------------------


@st.composite
def sweeps(draw):
    """Models with awkward sizes, and options that change the arithmetic."""
    norm, outputs = (
        draw(st.sampled_from([None, "batch", "layer", "weight"])),
        draw(st.integers(1, 5)),
    )
    if draw(st.integers(0, 2)):
        model = MLP(
            (draw(st.integers(1, 19)), *draw(st.lists(st.integers(1, 13), max_size=2)), outputs),
            norm=norm,
        )
    else:
        model = CNN(
            (5, outputs),
            image=(draw(st.integers(1, 2)), 5, draw(st.integers(4, 7))),
            channels=(3, 5),
            norm=norm,
        )
    n = draw(st.integers(8, 25))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    options = {
        "loss": "mse" if outputs == 1 else "cross_entropy",
        "optimizer": draw(st.sampled_from(sorted(RULES))),
        "batch_size": draw(st.one_of(st.none(), st.integers(2, 8))),
        "test": (rng.standard_normal((7, model.inputs)), rng.integers(0, outputs, 7)),
    }
    dtype = draw(st.sampled_from(["float64", "float32"]))
    return (
        model,
        rng.standard_normal((n, model.inputs)),
        rng.integers(0, outputs, n),
        options,
        dtype,
    )


@pytest.mark.skipif(
    not torch.backends.mkl.is_available(),
    reason="only MKL promises to round alike wherever numbers lie",
)
@settings(max_examples=25, deadline=None)
@given(sweeps(), st.sampled_from([1, 2, 3, 7, 11]))
def test_chunks_workers_and_threads_change_nothing_to_the_last_bit(experiment, chunk_size):
    model, X, y, options, dtype = experiment
    options |= {
        "lr": [0.01, 0.1, 1e3],
        "weight_decay": [0.0, 0.1],
        "momentum": [0.0, 0.9],
        "seeds": [3, 5],
        "steps": 10,
    }
    whole = sweep(model, X, y, **options, engine=Engine(dtype=dtype, chunk_size=24))
    engine = Engine(dtype=dtype, chunk_size=chunk_size, workers=2)
    torch.set_num_threads(2)  # the workers take one, whatever is set outside
    try:
        assert equal(sweep(model, X, y, **options, engine=engine), whole)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("widths", [(19, 1), (19, 1, 3), (1, 4, 1), (6, 4, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_at_a_time_changes_nothing_to_the_last_bit(widths, dtype):
    """A single product with a side of one takes another way through BLAS than one among many."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((25, widths[0])), rng.integers(0, widths[-1], 25)
    loss = "mse" if widths[-1] == 1 else "cross_entropy"
    options = {
        "lr": [0.01, 0.1],
        "seeds": [3, 5],
        "steps": 6,
        "loss": loss,
        "test": (X[:7] + 3, y[:7]),
    }
    for batch_size in (None, 1, 8):
        one, all_ = (
            sweep(
                MLP(widths),
                X,
                y,
                batch_size=batch_size,
                **options,
                engine=Engine(dtype=dtype, chunk_size=size),
            )
            for size in (1, 4)
        )
        assert equal(one, all_)


@pytest.mark.parametrize("sides", [(1, 5, 4), (3, 1, 4), (3, 5, 1)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_product_with_a_side_of_one_is_made_among_others(sides, with_bias, monkeypatch):
    """Whether the way of a single one is rounded differently depends on the BLAS, and on its mode."""
    rows, inner, columns = sides
    together = []
    for name in ("bmm", "baddbmm"):
        product = getattr(torch, name)
        monkeypatch.setattr(
            torch,
            name,
            lambda *args, product=product: together.append(len(args[-1])) or product(*args),
        )
    w, h = torch.randn(1, rows, inner), torch.randn(1, inner, columns)
    bias = torch.randn(1, rows, 1) if with_bias else None
    found = affine_map(w, h, bias)
    assert together == [2]
    torch.testing.assert_close(found, w @ h + (bias if with_bias else 0))


@given(configurations=st.integers(1, 200), chunk_size=st.integers(1, 100))
def test_chunks_have_at_most_the_size_asked_for(configurations, chunk_size):
    sizes = []
    sweep_of(configurations, chunk_size, sizes)
    assert max(sizes) <= chunk_size
    assert sum(sizes) == configurations


def sweep_of(configurations, chunk_size, sizes):
    """Note the sizes of the chunks that a sweep of so many configurations is cut into."""
    engine = Engine(chunk_size=chunk_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            experiment,
            "run",
            lambda work, jobs, engine: sizes.extend(len(j.configurations) for j in jobs),
        )
        with pytest.raises(TypeError):  # nothing was trained
            sweep(MLP((6, 1)), X20, Y20, lr=[0.1] * configurations, steps=1, engine=engine)


def numbers_of_threads():
    """Of torch in this thread, and in a new one, which takes over what was set last anywhere."""
    with ThreadPoolExecutor(1) as pool:
        return torch.get_num_threads(), pool.submit(torch.get_num_threads).result()


def test_a_sweep_leaves_torchs_threads_as_they_were():
    torch.set_num_threads(2)
    before = numbers_of_threads()
    try:
        for workers in (1, 2):
            sweep(MLP((6, 1)), X20, Y20, **GRID, engine=Engine(workers=workers, chunk_size=2))
            assert numbers_of_threads() == before
    finally:
        torch.set_num_threads(1)


def test_a_sweep_leaves_the_readers_random_numbers_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    sweep(MLP((6, 3, 1)), X20, Y20, **GRID)
    make_regression(5, seed=0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])


def test_a_sweep_leaves_the_environment_alone():
    """In a new process, where MKL has not been used yet; its variable is set for that moment only."""
    process = script("""
        import os
        os.environ.pop("MKL_CBWR", None)
        before = dict(os.environ)
        long(4, 5)
        print(dict(os.environ) == before)
    """)
    assert process.communicate(timeout=120)[0] == "True\n"


def test_a_configuration_equals_itself_alone_and_divergence_is_data():
    together = sweep(MLP((6, 4, 1)), X20, Y20, **GRID | {"lr": [0.01, 0.1, 1e3]})
    alone = sweep(MLP((6, 4, 1)), X20, Y20, **GRID | {"lr": 0.1, "weight_decay": 0.5, "seeds": [2]})
    chosen = together.sel(lr=0.1, weight_decay=0.5, seed=[2])
    np.testing.assert_allclose(chosen.train_loss, alone.train_loss, rtol=1e-12)
    assert not np.isfinite(together.train_loss.sel(lr=1e3).values[..., -1]).any()
    assert np.isfinite(together.sel(lr=[0.01, 0.1]).train_loss).all()


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("sgd", 0.0), ("trust_ratio", 0.0), ("adam", 0.9), ("adamw", 0.9)]
)
def test_adam_has_momentum_unless_told_otherwise(optimizer, momentum):
    untold, told = (
        sweep(MLP((6, 1)), X20, Y20, lr=0.1, steps=5, optimizer=optimizer, momentum=each)
        for each in (None, momentum)
    )
    assert equal(untold, told)


def test_float32_follows_float64():
    digits = load("digits")
    options = {
        "lr": [0.05, 0.1],
        "weight_decay": 0.01,
        "steps": 100,
        "batch_size": 32,
        "loss": "cross_entropy",
    }
    model = MLP((64, 32, 10), norm="batch")
    runs = [
        sweep(
            model, digits.X / 16, digits.y, record_every=100, **options, engine=Engine(dtype=dtype)
        )
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(runs[0].norm, runs[1].norm, rtol=1e-3)
    assert runs[0].norm.dtype == np.float32


@pytest.mark.slow
def test_a_process_pool_gives_the_same_numbers():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        engine = Engine(executor=pool, chunk_size=5)
        there = sweep(MLP((6, 4, 1)), X20, Y20, **GRID, engine=engine, schedule=lambda t: 0.5**t)
    assert equal(there, sweep(MLP((6, 4, 1)), X20, Y20, **GRID, schedule=lambda t: 0.5**t))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
def test_a_gpu_gives_the_same_numbers():
    here = sweep(MLP((6, 4, 1)), X20, Y20, **GRID)
    there = sweep(MLP((6, 4, 1)), X20, Y20, **GRID, engine=Engine(device="cuda"))
    for name in here:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-9, atol=1e-12)


# ---- what goes wrong -------------------------------------------------------------------------------


def refuse_the_third(parameters, gradients):
    """Raise an error if the configuration with the largest first weight, which init_scale 3 makes, is among these."""
    if parameters["weight0"].abs().amax() > 2:
        raise ArithmeticError("too large for me")
    return parameters["weight0"].sum((1, 2))


def die(parameters, gradients):
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_configuration_that_raises_is_named(workers):
    options = {"lr": 0.01, "init_scale": [1.0, 2.0, 9.0, 1.5], "seeds": [0], "steps": 3}
    message = "seed=0, lr=0.01, weight_decay=0, momentum=0, init_scale=9: ArithmeticError: too large for me"
    engine = Engine(workers=workers, chunk_size=4 // workers)
    with pytest.raises(RuntimeError, match=message) as caught:
        sweep(MLP((6, 1)), X20, Y20, **options, record={"r": refuse_the_third}, engine=engine)
    assert isinstance(caught.value.__cause__, ArithmeticError)
    assert threading.active_count() == 1 or not any(
        "ThreadPool" in t.name for t in threading.enumerate()
    )


@pytest.mark.slow
def test_a_configuration_that_raises_in_another_process_is_named():
    options = {"lr": 0.01, "init_scale": [1.0, 9.0], "steps": 3, "record": {"r": refuse_the_third}}
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(RuntimeError, match="init_scale=9: ArithmeticError"),
    ):
        sweep(MLP((6, 1)), X20, Y20, **options, engine=Engine(executor=pool, chunk_size=1))


def test_a_worker_that_dies_fails_the_sweep():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(RuntimeError, match=r"a worker died.*configuration seed=0, lr=0.25"),
    ):
        sweep(
            MLP((6, 1)), X20, Y20, lr=0.25, steps=3, record={"r": die}, engine=Engine(executor=pool)
        )


LONG = """
    import threading, time, numpy as np, resource
    from l2lib.sweep import MLP, Engine, sweep

    def long(k, steps, **options):
        X, y = np.ones((64, 50)), np.ones(64)
        engine = Engine(chunk_size=8, **options)
        return sweep(MLP((50, 50, 1)), X, y, lr=[0.01] * k, steps=steps, record_every=steps, engine=engine)
"""


def script(text):
    environment = {k: v for k, v in os.environ.items() if k != "TQDM_DISABLE"}
    code = [sys.executable, "-c", textwrap.dedent(LONG) + textwrap.dedent(text)]
    return subprocess.Popen(
        code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.skipif(
    sys.platform == "win32", reason="a console signal cannot be sent to one process on Windows"
)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.slow
def test_control_c_stops_within_a_step_and_leaves_no_thread(workers):
    process = script(f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
        try:
            long(64, 10**6, workers={workers})
        except KeyboardInterrupt:
            print("stopped", threading.active_count(), len([t for t in threading.enumerate() if "Pool" in t.name]))
    """)
    seen = ""
    while "step" not in seen:  # the bar, which waits two seconds
        seen += process.stderr.read(1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out.startswith("stopped")
    assert out.split()[2] == "0"
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_short_work_shows_no_bar():
    out, err = script("long(4, 5); print('done')").communicate(timeout=120)
    assert out == "done\n"
    assert err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.slow
def test_memory_is_a_chunk_and_the_records():
    out, err = script("""
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
        def wide(k):
            X, y = np.ones((4000, 200)), np.ones(4000)
            engine = Engine(chunk_size=4, workers=1)
            sweep(MLP((200, 50, 1)), X, y, lr=[0.01] * k, steps=2, record_every=2, engine=engine)
        wide(4)
        small = peak()
        wide(64)
        print(peak() / small)
    """).communicate(timeout=120)
    # 60 configurations more are 5 MB of final parameters, and what malloc does not give back, as it has heaps of 64 MiB
    # for a thread; their activations would be 800 MB, and the ratio above 3.
    assert float(out) < 1.5, err


GOOD = {"lr": [0.1], "weight_decay": [0.0], "seeds": [0], "steps": 1}
LABELS = {"loss": "cross_entropy", "model": MLP((6, 2))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": [0.0]}, "lr is 0.0; it must be a finite number > 0"),
        ({"lr": [np.nan]}, "lr is nan"),
        ({"lr": []}, "at least one value"),
        ({"lr": [[0.1]]}, "give a number or a list"),
        ({"lr": [0.1, "0.2"]}, "lr is '0.2'; it must be"),  # not the first, which is right
        ({"lr": [True, 0.5]}, "lr is True"),
        ({"lr": np.array([True])}, "lr is True"),
        (
            {"lr": "5e-5"},
            r"without quotation marks \(in YAML with a point, 5.0e-5, or it is text\)",
        ),
        ({"lr": (0.1 for _ in range(2))}, r"lr is a generator; give .* a list, as list\(\) makes"),
        ({"lr": {0.1, 0.2}}, "give a number or a list"),
        ({"lr": {0.1: "a"}.keys()}, "give a number or a list"),
        ({"lr": 1j}, "lr is 1j; it must be a finite number > 0"),
        ({"lr": 10**400}, "lr is 10000.*…; it must be a finite number"),
        ({"lr": torch.empty(2, device="meta")}, "give a number or a list"),
        ({"lr": torch.tensor([0.1, 0.2]).to_sparse()}, "give a number or a list"),
        ({"lr": np.ma.array([0.1, 0.2], mask=[0, 1])}, "lr is None"),
        ({"weight_decay": torch.tensor([0.1, -0.2])}, "weight_decay is -0.2"),
        ({"weight_decay": torch.tensor([0.1j])}, "weight_decay is "),
        ({"weight_decay": torch.tensor(True)}, r"weight_decay is tensor\(True\)"),
        ({"seeds": (s for s in [1])}, "seeds is a generator; give a list, such as"),
        ({"seeds": {1, 2}}, r"seeds is \{1, 2\}; give a list"),
        ({"seeds": "12"}, "seeds is '12'; give a list"),
        ({"seeds": [1.0]}, "seeds is 1.0; it must be a whole number"),
        ({"seeds": [True]}, "seeds is True"),
        ({"seeds": ["1"]}, "seeds is '1'; .* without quotation marks"),
        ({"seeds": [2**31]}, "it must be a whole number ≥ 0, below 2"),
        ({"seeds": torch.tensor(3)}, r"seeds is tensor\(3\); give a list"),
        ({"seeds": []}, "at least one value"),
        ({"seeds": [-1]}, "seeds is -1; it must be a whole number ≥ 0"),
        ({"seeds": [1, 1]}, "a seed twice"),
        ({"weight_decay": [-0.1]}, "weight_decay is -0.1; it must be a finite number ≥ 0"),
        ({"weight_decay": np.inf}, "weight_decay is inf"),
        ({"lr": None}, "lr is None; it must be a finite number > 0"),
        ({"lr": [0.1, None]}, "lr is None"),
        ({"lr": "0.1"}, "lr is '0.1'; it must be a finite number > 0 without quotation marks"),
        ({"weight_decay": None}, "weight_decay is None"),
        ({"init_scale": None}, "init_scale is None"),
        ({"steps": None}, "steps is None; it must be a whole number, 1 to a billion"),
        ({"record_every": None}, "record_every is None"),
        ({"beta2": None}, "beta2 is None"),
        ({"adam_eps": None}, "adam_eps is None"),
        ({"seeds": None}, "seeds is None; give a list"),
        ({"seeds": 3}, r"seeds is 3; give a list, such as \[3\] for one"),
        ({"steps": 3.0}, "steps is 3.0; it must be a whole number, 1 to a billion"),
        ({"lr": True}, "lr is True"),
        ({"test": X20}, "test must be a pair, inputs and targets; got a ndarray"),
        ({"engine": "cuda"}, "engine is 'cuda'; give an Engine, such as Engine"),
        ({"engine": {"dtype": "float32"}}, "give an Engine"),
        ({"model": MLP}, r"model is the class MLP; give an instance, such as MLP\(\(64, 10\)\)"),
        ({"model": None}, "model is a NoneType; give an MLP, a CNN, or a Model of your own"),
        ({"model": torch.nn.Linear(6, 1)}, "model is a Linear; .* it lacks inputs, outputs"),
        ({"decay_factors": ["weight"]}, "give a factor by name, such as"),
        ({"decay_factors": {"weight": "1.0"}}, "decay_factors: 'weight' is '1.0'; .* quotation"),
        ({"decay_factors": {"weight": True}}, "decay_factors: 'weight' is True"),
        ({"decay_factors": {0: 1}}, "nothing is called 0; choose among weight"),
        ({"unit_norm": None}, r'unit_norm is None; give a list, such as \["weight"\]'),
        ({"unit_norm": {"weight": 1}}, r"unit_norm is \{'weight': 1\}; give a list"),
        ({"unit_norm": [None]}, "unit_norm: nothing is called None"),
        (
            {"unit_norm": ["weight"], "model": MLP((6, 1), init="zeros")},
            "unit_norm: weight0 begins at zero",
        ),
        ({"unit_norm": ["bias"], "model": MLP((6, 1), init="he")}, "bias0 begins at zero"),
        ({"unit_norm": "weight"}, r"unit_norm is 'weight'; give a list, such as \['weight'\]"),
        ({"schedule": 0.5}, "schedule is 0.5; give a function of the step"),
        ({"schedule": [0.5]}, "give a function of the step"),
        (
            {"schedule": torch.nn.Linear(1, 1)},
            r"schedule\(0\) raises TypeError: .*; give a function",
        ),
        ({"schedule": lambda t: "0.5"}, r"schedule\(0\) is '0.5'; it must be a finite number ≥ 0"),
        ({"schedule": lambda t: None if t else 1.0}, r"schedule\(1\) is None"),
        ({"schedule": lambda t: t > 0}, r"schedule\(0\) is False"),
        ({"record": len}, "record is .*; give functions by name"),
        ({"record": ""}, "record is ''; give functions by name"),
        ({"record": {"r": 3}}, "record 'r' is 3; give a function, as in"),
        ({"record": {3: len}}, "record has the name 3; names are text"),
        ({"steps": 0}, "steps is 0; it must be a whole number, 1 to a billion"),
        ({"record_every": 0}, "record_every is 0"),
        ({"evaluate_every": 1.5}, "evaluate_every is 1.5"),
        ({"evaluate_on": 21}, "only 20 training examples"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 21}, "only 20 training examples"),
        ({"momentum": 1.0}, r"momentum is 1.0; it must be in \[0, 1\)"),
        ({"init_scale": 0.0}, "init_scale is 0.0"),
        ({"beta2": 1.0}, "beta2 is 1.0"),
        ({"adam_eps": -1.0}, "adam_eps is -1.0"),
        ({"loss": "hinge"}, "loss is 'hinge'; choose one of mse"),
        ({"optimizer": "no such rule"}, "optimizer is 'no such rule'; choose one of sgd"),
        (
            {"decay_factors": {"weights": 1}},
            "nothing is called 'weights'; choose among weight, bias, weight0, bias0",
        ),
        (
            {"decay_factors": {"weight": -1}},
            "decay_factors: 'weight' is -1; it must be a finite number ≥ 0",
        ),
        ({"unit_norm": ["gamma"]}, "'gamma'"),
        ({"schedule": lambda t: -1.0}, r"schedule\(0\) is -1.0; it must be a finite number ≥ 0"),
        *(
            ({"record": {name: lambda w, g: w["bias0"]}}, f"record '{name}' is taken")
            for name in ("norm", "weight0", "weight0_out", "lr", "seed", "step", "layer")
        ),
        ({"steps": 10**12}, "steps is 1000000000000; it must be a whole number, 1 to a billion"),
        ({"X": np.ones((20, 3))}, r"need \(n, 6\)"),
        ({"X": np.full((20, 6), np.nan)}, "NaN"),
        ({"X": np.ones((2, 20, 6)), "y": np.zeros((2, 20))}, r"or \(1, n, 6\) for one data set"),
        ({"X": X20.astype(str)}, "X holds text"),
        ({"X": X20 * 1j}, "X holds complex numbers"),
        ({"X": torch.empty(20, 6, device="meta")}, "X is .*; give an array of real numbers"),
        ({"X": X20.reshape(20, 2, 3)}, r"write X.reshape\(len\(X\), -1\)"),
        ({"y": Y20[:, None]}, r"write y\[..., 0\]"),
        (LABELS | {"y": np.eye(2)[np.arange(20) % 2]}, r"one-hot, write y.argmax\(-1\)"),
        (LABELS | {"y": ["a"] * 20}, "y holds text, 'a'; give numbers"),
        ({"test": (X20 + 1, Y20[:, None])}, r"test: X must have shape .*; write y\[..., 0\]"),
        ({"test": split(X20, Y20, train=[0], test=[1])}, "got a Split; give its .test part"),
        ({"y": np.zeros(19)}, "same n"),
        ({"model": MLP((6, 2))}, "one output"),
        (LABELS | {"y": np.full(20, 2)}, "labels 0 … 1"),
        (LABELS | {"y": np.full(20, 0.5)}, "whole labels"),
        ({"test": (np.ones((3, 3)), np.zeros(3))}, r"need \(n, 6\)"),
        ({"batch_size": 1, "model": MLP((6, 3, 1), norm="batch")}, "at least two examples"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = GOOD | {"model": MLP((6, 1)), "X": X20, "y": Y20} | change
    positional = [arguments.pop(name) for name in ("model", "X", "y")]
    with pytest.raises(ValueError, match=message):
        sweep(*positional, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype is 'float16'; choose one of float64"),
        ({"chunk_size": 0}, "chunk_size is 0; it must be a whole number ≥ 1"),
        ({"workers": 0.5}, "workers is 0.5"),
        ({"chunk_size": "8"}, "chunk_size is '8'; .* without quotation marks"),
        ({"workers": True}, "workers is True; it must be a whole number ≥ 1"),
        ({"progress": "no"}, "progress is 'no'; it must be True or False"),
        ({"executor": 3}, "executor is 3; give a concurrent.futures.Executor"),
        ({"executor": ThreadPoolExecutor}, "executor is the class ThreadPoolExecutor; give"),
        *(
            ({"device": device}, f"device is '{device}'; choose 'cpu' or 'cuda'")
            for device in ("mps", "gpu", "GPU", "cuda:x", "cuda9", "cuda:", "cpux", "cpu:1", "", 0)
        ),
        ({"device": torch.device("mps")}, "device is 'mps'; .* other devices have no float64"),
        ({"device": None}, "device is 'None'; choose"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Engine(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said():
    for device in ("cuda", "cuda:9", torch.device("cuda")):
        with pytest.raises(ValueError, match="finds no GPU here; use 'cpu'"):
            sweep(MLP((6, 1)), X20, Y20, lr=0.1, steps=1, engine=Engine(device=device))


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Engine(device=name).device for name in ("cuda", "cuda:1")] == ["cuda", "cuda:1"]
    with pytest.raises(ValueError, match="device is 'cuda:9'; PyTorch finds 'cuda:0', 'cuda:1'"):
        Engine(device="cuda:9")


def test_numbers_are_taken_whatever_holds_them():
    """One grid, in every form in which people have it."""
    plain = sweep(MLP((6, 2, 1)), X20, Y20, lr=[0.25, 0.5], weight_decay=0.5, seeds=[1, 2], steps=2)
    forms = {
        "tensors": (torch.tensor([0.25, 0.5]), torch.tensor(0.5), torch.tensor([1, 2]), 2),
        "parameters": (torch.tensor([0.25, 0.5], requires_grad=True), 0.5, range(1, 3), 2),
        "bfloat16": (torch.tensor([0.25, 0.5], dtype=torch.bfloat16), 0.5, (1, 2), torch.tensor(2)),
        "numpy": (np.array([0.25, 0.5]), np.float32(0.5), np.array([1, 2]), np.int64(2)),
        "scalars": ([torch.tensor(0.25), np.float64(0.5)], np.array(0.5), [np.uint8(1), 2], 2),
        "table": (pd.Series([0.25, 0.5]), Fraction(1, 2), pd.Index([1, 2]), 2),
        "decimals": (deque([Decimal("0.25"), 0.5]), Decimal("0.5"), xr.DataArray([1, 2]), 2),
    }
    for words, (lr, weight_decay, seeds, steps) in forms.items():
        options = {"lr": lr, "weight_decay": weight_decay, "seeds": seeds, "steps": steps}
        widths = np.array([6, 2, 1])
        found = sweep(MLP(widths), torch.tensor(X20), Y20.tolist(), **options)
        assert found.identical(plain), words
    assert plain.attrs["model"].startswith("MLP(widths=(6, 2, 1)")


class Idle(Quadratic):
    def initial(self, seed):
        return super().initial(seed) | {"weight1": np.ones((2, 2))}


class Detached(Quadratic):
    def __call__(self, parameters, x, reference=None):
        return super().__call__(parameters, x).detach()


class Nothing(Quadratic):
    def __call__(self, parameters, x, reference=None):
        return None


class Ragged(Quadratic):
    def initial(self, seed):
        return {"weight0": np.ones((1, self.inputs)), "bias0": np.ones((1 + seed, 1))}

    def __call__(self, parameters, x, reference=None):
        return super().__call__(parameters, x) + parameters["bias0"].sum((1, 2), keepdim=True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Idle, "the model's outputs do not depend on weight1; leave them out of initial"),
        (Detached, "the model's outputs do not depend on its parameters; compute them"),
        (Nothing, r"the model returns None; it must be \(configurations, outputs, examples\)"),
        (Ragged, r"model.initial gives bias0 of shapes \[\(1, 1\), \(2, 1\)\]; every seed"),
    ],
)
def test_a_model_that_cannot_be_trained_says_why(model, message):
    with pytest.raises(RuntimeError, match=message):
        sweep(model(), X20, Y20, lr=0.1, steps=1, seeds=[0, 1])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"inputs": "6"}, "model.inputs is '6'; it must be a whole number ≥ 1"),
        ({"outputs": 0}, "model.outputs is 0"),
        ({"batch_statistics": None}, "model.batch_statistics is None; it must be True or False"),
        ({"size": lambda batch: 0}, r"model.size\(1\) is 0; it must be a finite number > 0"),
        ({"initial": lambda seed: [1.0]}, r"model.initial\(0\) is \[1.0\]; give arrays"),
        ({"initial": lambda seed: {}}, r"parameters are \[\]"),
        (
            {"initial": lambda seed: {"weight0": np.ones(6)}},
            r"shape \(6,\); a parameter is a finite",
        ),
        ({"initial": lambda seed: {"weight0": [[np.nan]]}}, "a parameter is a finite matrix"),
        ({"initial": lambda seed: {"weight0": "w"}}, "the initial weight0 holds text"),
    ],
)
def test_a_model_that_says_what_cannot_be_is_refused(attributes, message):
    own = Quadratic()
    for name, value in attributes.items():
        object.__setattr__(own, name, value)
    with pytest.raises(ValueError, match=message):
        sweep(own, X20, Y20, lr=0.1, steps=1)


class Turned(Quadratic):
    """Outputs in another order: under half_mse it would train something else."""

    def __call__(self, parameters, x, reference=None):
        return super().__call__(parameters, x).transpose(1, 2)


class Unnumbered(Quadratic):
    def initial(self, seed):
        return {"W": np.ones((1, self.inputs))}


def test_a_model_of_the_readers_that_breaks_the_protocol_is_refused():
    wanted = r"the model returns shape \(1, 20, 1\); it must be .* \(1, 1, 20\)"
    with pytest.raises(RuntimeError, match=wanted):
        sweep(Turned(), X20, Y20, lr=0.1, steps=1)
    with pytest.raises(
        ValueError, match=r"\['W'\]: a model calls its parameters by role and number"
    ):
        sweep(Unnumbered(), X20, Y20, lr=0.1, steps=1)


def test_a_record_of_the_wrong_shape_is_refused():
    with pytest.raises(
        RuntimeError,
        match=r"record 'r' returns shape \(\); its first axis must be the 1 configurations",
    ):
        sweep(MLP((6, 1)), X20, Y20, lr=0.1, steps=1, record={"r": lambda w, g: w["bias0"].sum()})


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda w: 3.0, "record 'r' returns 3.0; its first axis must be the 1 config"),
        (lambda w: None, "record 'r' returns None"),
        (lambda w: w["bias0"].numpy(), "record 'r' returns array"),
        (lambda w: w["bias0"] * 1j, "record 'r' returns tensor.*and it a tensor of real numbers"),
        (
            lambda w: torch.ones(1, 1 + (w["bias0"] != 0).sum()),
            r"record 'r' returns shape \(1, 2\) at step 1; it was \(1, 1\) before",
        ),
    ],
)
def test_a_record_that_is_no_tensor_of_one_shape_is_refused(returned, message):
    options = {"record": {"r": lambda w, g: returned(w)}, "lr": 0.1, "steps": 1}
    with pytest.raises(RuntimeError, match=message):
        sweep(MLP((6, 1), init="he"), X20, Y20, **options)


def test_a_record_of_whole_or_short_numbers_is_kept_as_float64():
    record = {
        "count": lambda w, g: (w["weight0"] > 0).sum((1, 2)),
        "short": lambda w, g: w["weight0"].bfloat16(),
    }
    run = sweep(MLP((6, 1)), X20, Y20, lr=0.1, steps=1, record=record)
    assert run["count"].dtype == run["short"].dtype == np.float64


@pytest.mark.parametrize(
    ("weight_decay", "dtype", "warned"),
    [
        (1e-6, "float32", True),
        ([0.0, 1e-6, 0.1], "float32", True),  # one of them is enough
        ([0.0, 0.1], "float32", False),
        ([0.0, 1e-6], "float64", False),
    ],
)
def test_a_decay_that_float32_loses_is_warned_of(weight_decay, dtype, warned):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        options = {"lr": 0.1, "weight_decay": weight_decay, "steps": 1}
        sweep(MLP((6, 1)), X20, Y20, **options, engine=Engine(dtype=dtype))
    assert any("float32" in str(each.message) for each in said) == warned


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (4,)}, "give inputs, hidden units and outputs"),
        ({"widths": (4, 0)}, "each a whole number ≥ 1"),
        ({"widths": 4}, "widths is 4; give inputs, hidden units and outputs"),
        ({"widths": (4.0, 1)}, r"widths is \(4.0, 1\)"),
        ({"widths": ("4", 1)}, r"widths is \('4', 1\)"),
        ({"widths": (4, True)}, r"widths is \(4, True\)"),
        ({"widths": (v for v in (4, 1))}, "widths is a generator"),
        ({"widths": (4, 1), "bias": "False"}, "bias is 'False'; it must be True or False"),
        ({"widths": (4, 1), "bias": None}, "bias is None"),
        ({"widths": (4, 1), "affine": 0}, "affine is 0; it must be True or False"),
        ({"widths": (4, 1), "norm": True}, "norm is True; choose one of None, batch"),
        ({"widths": (4, 1), "norm": "None"}, "norm is 'None'; choose one of None, batch"),
        ({"widths": (4, 1), "norm": torch.nn.BatchNorm1d}, "norm is the class BatchNorm1d"),
        ({"widths": (4, 1), "norm": np.array(["batch"])}, "norm is array"),
        ({"widths": (4, 1), "init_std": "1"}, "init_std is '1'; it must be"),
        ({"widths": (4, 1), "eps": "1e-5"}, r"eps is '1e-5'.*\(in YAML with a point, 1.0e-5"),
        ({"widths": (4, 1), "eps": float("nan")}, "eps is nan"),
        ({"widths": (4, 1), "init": "xavier"}, "choose one of"),
        ({"widths": (4, 1), "norm": "group"}, "choose one of None, batch"),
        ({"widths": (4, 1), "init": "normal", "init_std": 0.0}, "init_std is 0.0; it must be"),
        ({"widths": (4, 1), "eps": -1.0}, "eps is -1.0; it must be a finite number ≥ 0"),
        ({"widths": (4, 2, 1), "norm": "weight", "init": "zeros"}, "divides by ‖v‖"),
    ],
)
def test_bad_models_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": (4, 4, 4, 4), "widths": (4, 10)}, "does not survive"),
        ({"channels": ()}, r"channels is \(\); give those of each convolution"),
        ({"channels": 16}, "channels is 16; give those of each convolution"),
        ({"channels": (16.0, 32)}, "each a whole number ≥ 1"),
        ({"image": (8, 8)}, r"image is \(8, 8\); give channels, height and width"),
        ({"image": 8}, "image is 8; give channels, height and width"),
        ({"image": (1, 8, 8, 8)}, "give three numbers: channels, height and width"),
        ({"channels": (8,)}, "must begin with the last of channels"),
        ({"image": (0, 8, 8)}, "image"),
    ],
)
def test_bad_convolutional_models_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CNN(**arguments)
