"""The engine against PyTorch: every option, after 100 steps, in float64."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from l2lib.datasets import linear_regression
from l2lib.layers import LOSSES, MLP
from l2lib.sweep import _minibatches, sweep

TORCH_LOSSES = {
    "mse": torch.nn.functional.mse_loss,
    "half_mse": lambda outputs, targets: torch.nn.functional.mse_loss(outputs, targets) / 2,
    "cross_entropy": torch.nn.functional.cross_entropy,
}


def torch_run(model, X, y, *, lr, decay, seed, steps, batch_size, loss, momentum, decay_bias):
    """One configuration by nn.Module and torch.optim: norms of the layers, training loss, final parameters."""
    modules = []
    start = model.initial(seed)
    for i, (fan_in, out) in enumerate(itertools.pairwise(model.widths)):
        layer = torch.nn.Linear(fan_in, out, bias=model.bias, dtype=torch.float64)
        layer.weight.data = torch.tensor(start[f"weight{i}"])
        if model.bias:
            layer.bias.data = torch.tensor(start[f"bias{i}"][:, 0])
        modules += [layer, torch.nn.ReLU()]
    network = torch.nn.Sequential(*modules[:-1])
    weights = [layer.weight for layer in modules[::2]]
    biases = [layer.bias for layer in modules[::2] if model.bias]
    groups = [{"params": weights, "weight_decay": decay}]
    groups += [{"params": biases, "weight_decay": decay if decay_bias else 0.0}] if biases else []
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum)
    X, y = torch.tensor(X), torch.tensor(y, dtype=torch.int64 if loss == "cross_entropy" else torch.float64)

    def value(rows):
        outputs = network(X[rows])
        return TORCH_LOSSES[loss](outputs if loss == "cross_entropy" else outputs[:, 0], y[rows])

    for rows in _minibatches(len(X), batch_size, [seed], steps):
        optimizer.zero_grad()
        value(torch.tensor(rows[0])).backward()
        optimizer.step()
    return [w.norm().item() for w in weights], value(slice(None)).item(), weights[-1].detach().numpy()


@st.composite
def experiments(draw):
    """A model, its data, and everything a sweep can vary."""
    loss = draw(st.sampled_from(sorted(LOSSES)))
    hidden = draw(st.sampled_from([(), (5,), (6, 4)]))
    outputs = 3 if loss == "cross_entropy" else 1
    model = MLP(
        (4, *hidden, outputs), bias=draw(st.booleans()), init=draw(st.sampled_from(["torch", "normal"])), init_std=0.5
    )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    X = rng.standard_normal((20, 4))
    y = rng.integers(0, 3, 20) if loss == "cross_entropy" else X @ rng.standard_normal(4)
    options = {
        "loss": loss,
        "momentum": draw(st.sampled_from([0.0, 0.5, 0.9])),
        "decay_bias": draw(st.booleans()),
        "batch_size": draw(st.sampled_from([None, 5, 7])),
    }
    return model, X, y, options


@settings(max_examples=12, deadline=None)
@given(experiment=experiments())
def test_equals_torch_after_100_steps(experiment):
    model, X, y, options = experiment
    lrs, decays, seeds = [0.01, 0.02], [0.0, 0.1], [3, 4]
    run = sweep(model, X, y, lr=lrs, weight_decay=decays, seeds=seeds, steps=100, record_every=100, **options)
    for lr, decay, seed in [(0.01, 0.1, 4), (0.02, 0.0, 3), (0.02, 0.1, 4)]:
        norms, loss, last = torch_run(model, X, y, lr=lr, decay=decay, seed=seed, steps=100, **options)
        ours = run.sel(lr=lr, weight_decay=decay, seed=seed)
        assert np.allclose(ours.norm.values[:, -1], norms, rtol=1e-10, atol=0)
        assert ours.train_loss.values[-1] == pytest.approx(loss, rel=1e-10)
        assert np.allclose(ours[f"weight{len(model.widths) - 2}"].values, last, rtol=1e-9, atol=1e-11)


def test_a_configuration_does_not_depend_on_its_neighbours():
    X, y = linear_regression(0, 20, n_inputs=6)
    common = {"batch_size": 5, "steps": 30, "loss": "mse"}
    together = sweep(MLP((6, 4, 1)), X, y, lr=[0.01, 0.1, 1e3], weight_decay=[0.0, 0.5], seeds=[1, 2], **common)
    alone = sweep(MLP((6, 4, 1)), X, y, lr=[0.1], weight_decay=[0.5], seeds=[2], **common)
    chosen = together.sel(lr=[0.1], weight_decay=[0.5], seed=[2])
    assert np.allclose(chosen.train_loss, alone.train_loss, rtol=1e-12, atol=0)
    assert not np.isfinite(together.train_loss.sel(lr=1e3).values[..., -1]).any()  # divergence is data
    assert np.isfinite(together.train_loss.sel(lr=[0.01, 0.1])).all()


def test_one_data_set_a_seed_and_a_test_set():
    sets = [linear_regression(s, 30, n_inputs=5, weight=1.0) for s in (7, 8)]
    X, y = (np.stack(part) for part in zip(*sets, strict=True))
    run = sweep(
        MLP((5, 1)),
        X[:, :20],
        y[:, :20],
        lr=[0.1],
        seeds=[7, 8],
        steps=50,
        test=(X[:, 20:], y[:, 20:]),
        record_every=25,
    )
    assert run.train_loss.dims == ("seed", "lr", "weight_decay", "step")
    assert run.step.values.tolist() == [0, 25, 50]
    for i in range(2):
        w, b = run.weight0.values[i, 0, 0, 0], run.bias0.values[i, 0, 0].item()
        expected = np.mean((X[i, 20:] @ w + b - y[i, 20:]) ** 2) / 2
        assert run.test_loss.values[i, 0, 0, -1] == pytest.approx(expected, rel=1e-12)


@given(n=st.integers(1, 12), size=st.integers(1, 12), steps=st.integers(1, 30))
def test_every_epoch_uses_each_example_at_most_once(n, size, steps):
    if size > n:
        return
    batches = list(_minibatches(n, size, [0, 1], steps))
    per_epoch = n // size
    assert len(batches) == steps
    for epoch in range(0, steps - per_epoch + 1, per_epoch):
        rows = np.concatenate(batches[epoch : epoch + per_epoch], axis=1)
        assert all(len(set(seed)) == per_epoch * size for seed in rows)


def test_initial_parameters():
    start = MLP((4, 100_000), init="torch").initial(0)
    assert abs(start["weight0"].var() * 3 * 4 - 1) < 0.02  # uniform on ±1/√4
    assert np.abs(start["bias0"]).max() <= 0.5
    assert not MLP((4, 3), init="zeros").initial(0)["weight0"].any()
    normal = MLP((4, 100_000), init="normal", init_std=3.0).initial(0)["weight0"]
    assert abs(normal.std() - 3) < 0.03
    assert abs(normal.mean()) < 0.03
    assert abs(MLP((4, 100_000), init="normal").initial(0)["weight0"].std() - 1) < 0.01
    assert set(MLP((4, 3, 2), bias=False).initial(0)) == {"weight0", "weight1"}


X20, Y20 = np.ones((20, 4)), np.zeros(20)
GOOD = {"lr": [0.1], "weight_decay": [0.0], "seeds": [0], "steps": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": [0.0]}, "learning rate must be a positive"),
        ({"lr": []}, "at least one value"),
        ({"lr": 0.1}, "lr is 0.1; give a list"),
        ({"seeds": []}, "at least one value"),
        ({"weight_decay": [-0.1]}, "λ must be a finite number ≥ 0"),
        ({"steps": 0}, "must be ≥ 1"),
        ({"record_every": 0}, "must be ≥ 1"),
        ({"batch_size": 0}, "must be ≥ 1"),
        ({"batch_size": 21}, "only 20 training examples"),
        ({"momentum": 1.0}, r"must be in \[0, 1\)"),
        ({"loss": "hinge"}, "choose one of"),
        ({"X": np.ones((20, 3))}, r"need \(n, 4\)"),
        ({"X": np.full((20, 4), np.nan)}, "NaN"),
        ({"X": np.ones((2, 20, 4)), "y": np.zeros((2, 20))}, "1 seeds"),
        ({"y": np.zeros(19)}, "same n"),
        ({"model": MLP((4, 2))}, "one output"),
        ({"loss": "cross_entropy", "model": MLP((4, 2)), "y": np.full(20, 2)}, "labels 0 … 1"),
        ({"loss": "cross_entropy", "model": MLP((4, 2)), "y": np.full(20, 0.5)}, "whole labels"),
        ({"test": (np.ones((3, 3)), np.zeros(3))}, r"need \(n, 4\)"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = GOOD | {"model": MLP((4, 1)), "X": X20, "y": Y20} | change
    positional = [arguments.pop(name) for name in ("model", "X", "y")]
    with pytest.raises(ValueError, match=message):
        sweep(*positional, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (4,)}, "give inputs, hidden units and outputs"),
        ({"widths": (4, 0)}, "each ≥ 1"),
        ({"widths": (4, 1), "init": "xavier"}, "choose one of"),
        ({"widths": (4, 1), "init": "normal", "init_std": 0.0}, "must be > 0"),
    ],
)
def test_bad_models_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)
