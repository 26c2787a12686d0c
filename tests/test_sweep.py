"""The engine against PyTorch: every model, update and option, after 100 steps."""

import inspect
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from l2lib.datasets import minibatches
from l2lib.sweep import CNN, MLP, sweep
from l2lib.sweep.models import LOSSES
from l2lib.sweep.recipe import Optimizer
from l2lib.sweep.updates import RULES

TORCH_LOSSES = {
    "mse": functional.mse_loss,
    "half_mse": lambda outputs, targets: functional.mse_loss(outputs, targets) / 2,
    "cross_entropy": functional.cross_entropy,
}


def torch_model(model, seed, init_scale):
    """The same network as nn.Module, and its parameters by the engine's names."""
    start, modules, named = model.initial(seed), [], {}
    widths, channels = model.widths, getattr(model, "channels", ())
    n_layers = len(channels) + len(widths) - 1
    if channels:
        modules.append(nn.Unflatten(1, model.image))
    for i in range(n_layers):
        conv, j = i < len(channels), i - len(channels)
        if conv:
            inputs = (model.image[0], *channels)[i]
            layer = nn.Conv2d(
                inputs, channels[i], 3, padding=1, bias=model.bias, dtype=torch.float64
            )
        else:
            layer = nn.Linear(widths[j], widths[j + 1], bias=model.bias, dtype=torch.float64)
        layer.weight.data = torch.tensor(start[f"weight{i}"] * init_scale).reshape(
            layer.weight.shape
        )
        if model.bias:
            layer.bias.data = torch.tensor(start[f"bias{i}"][:, 0])
            named[f"bias{i}"] = layer.bias
        modules.append(layer)
        if i < n_layers - 1:
            if model.norm == "weight":
                weight_norm(layer)
                g, v = (
                    layer.parametrizations.weight.original0,
                    layer.parametrizations.weight.original1,
                )
                g.data = torch.tensor(start.get(f"g{i}", np.ones(len(g)))).reshape(g.shape)
                g.requires_grad_(model.affine)
                named |= {f"weight{i}": v} | ({f"g{i}": g} if model.affine else {})
            elif model.norm:
                units, affine = len(layer.weight), model.affine
                if model.norm == "batch":
                    norm = (nn.BatchNorm2d if conv else nn.BatchNorm1d)(
                        units, model.eps, None, affine
                    )
                else:
                    norm = (
                        nn.GroupNorm(1, units, model.eps, affine)
                        if conv
                        else nn.LayerNorm(units, model.eps, affine)
                    )
                modules.append(norm.double())
                named |= {f"gamma{i}": norm.weight, f"beta{i}": norm.bias} if affine else {}
            modules += [nn.ReLU(), nn.MaxPool2d(2)] if conv else [nn.ReLU()]
            if i == len(channels) - 1:
                modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        named.setdefault(f"weight{i}", layer.weight)
    return nn.Sequential(*modules), named


def test_every_rule_is_among_the_words_of_optimizer():
    assert {*get_args(Optimizer)} == {*RULES}
    assert all(f'"{name}"' in inspect.getdoc(sweep) for name in RULES)


def factor(given, name, default=0.0):
    return given.get(name, given.get(name.rstrip("0123456789"), default))


def torch_optimizer(rule, named, lr, decay, momentum, decays, eps):
    """torch.optim's optimizer for a rule, with a group for every parameter."""
    groups = [
        {"params": [w], "weight_decay": decay * factor(decays, name)} for name, w in named.items()
    ]
    if rule in ("adam", "adamw", "adamw_paper"):
        if rule == "adamw_paper":  # s_t λ is PyTorch's lr_t λ' with λ' = λ/lr
            groups = [group | {"weight_decay": group["weight_decay"] / lr} for group in groups]
        optimizer = torch.optim.Adam if rule == "adam" else torch.optim.AdamW
        return optimizer(groups, lr=lr, betas=(momentum, 0.999), eps=eps)
    if rule not in ("sgd", "sgdw", "trust_ratio"):
        raise NotImplementedError(f"{rule}: write its twin here, by torch.optim or by hand")
    if rule != "sgd":  # the decay of sgdw and the ratio of trust_ratio are taken by hand, below
        groups = [
            group | {"own_decay": group["weight_decay"], "weight_decay": 0.0} for group in groups
        ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum)


@torch.no_grad()
def prepare_step(rule, optimizer, named):
    """What torch.optim has no rule for, before optimizer.step()."""
    for (name, w), group in zip(named.items(), optimizer.param_groups, strict=True):
        if rule == "sgdw":
            w.mul_(1 - group["lr"] * group["own_decay"])
        elif rule == "trust_ratio":
            w.grad += group["own_decay"] * w
            ratio = w.norm() / w.grad.norm()
            if name.startswith("weight") and 0 < ratio < torch.inf:
                w.grad *= ratio


def torch_run(model, X, y, *, lr, weight_decay, momentum, init_scale, seed, steps, options):
    """One configuration by nn.Module and torch.optim: training loss, test loss and parameters."""
    network, named = torch_model(model, seed, init_scale)
    loss, rule = options["loss"], options["optimizer"]
    project = [
        w for name, w in named.items() if factor(dict.fromkeys(options["unit_norm"], 1.0), name)
    ]
    optimizer = torch_optimizer(
        rule, named, lr, weight_decay, momentum, options["decay_factors"], options["adam_eps"]
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, options["schedule"] or (lambda t: 1.0))
    X, y = (
        torch.tensor(X),
        torch.tensor(y, dtype=torch.int64 if loss == "cross_entropy" else torch.float64),
    )

    def value(rows):
        outputs = network(X[rows])
        return TORCH_LOSSES[loss](outputs if loss == "cross_entropy" else outputs[:, 0], y[rows])

    @torch.no_grad()
    def normalise():
        for w in project:
            w /= w.norm()

    normalise()
    for _, rows in zip(
        range(steps), minibatches(len(X), options["batch_size"], [seed]), strict=False
    ):
        optimizer.zero_grad()
        value(torch.tensor(rows[0])).backward()
        prepare_step(rule, optimizer, named)
        optimizer.step()
        normalise()
        scheduler.step()
    return named, value


def assert_equal_to_torch(model, X, y, options, rtol=1e-10):
    """Train 16 configurations at once, and one of them with PyTorch, for 100 steps; compare everything."""
    decay = (
        0.002 if options["optimizer"] == "adamw_paper" else 0.1
    )  # the paper's is a share of w in every step
    grid = {
        "lr": [0.01, 0.02],
        "weight_decay": [0.0, decay],
        "momentum": [options.pop("momentum"), 0.5],
    }
    grid["init_scale"] = options.pop("init_scale", 1.0)
    n, steps = options.pop("evaluate_on", len(X)), 100
    run = sweep(
        model, X, y, **grid, seeds=[3, 4], steps=steps, record_every=steps, evaluate_on=n, **options
    )
    chosen = {"lr": 0.01, "weight_decay": decay, "momentum": grid["momentum"][0], "seed": 4}
    named, value = torch_run(
        model, X, y, **chosen, init_scale=grid["init_scale"], steps=steps, options=options
    )
    ours = run.sel(**chosen)
    assert ours.train_loss.values[-1] == pytest.approx(value(slice(n)).item(), rel=rtol)
    weights = [w for name, w in named.items() if name.startswith("weight")]
    norms = [named[f"weight{i}"].norm().item() for i in range(len(weights))]
    np.testing.assert_allclose(ours.norm.values[:, -1], norms, rtol=rtol)
    for name, w in named.items():
        theirs = w.detach().numpy().reshape(ours[name].shape)
        # The gradient of a bias that batch norm takes away is nothing but rounding, and Adam divides by its size.
        noise = (
            model.norm == "batch"
            and name.startswith("bias")
            and options["optimizer"].startswith("adam")
        )
        atol = (1e3 if noise else 1) * rtol * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours[name].values, theirs, rtol=0, atol=atol)


def data(model, loss, seed=0, n=20):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, model.inputs))
    return X, rng.integers(
        0, model.widths[-1], n
    ) if loss == "cross_entropy" else X @ rng.standard_normal(X.shape[1])


MODELS = {
    "linear": MLP((4, 1)),
    "plain": MLP((4, 6, 5, 3)),
    "batch": MLP((4, 6, 5, 3), norm="batch"),
    "layer": MLP((4, 6, 5, 3), norm="layer"),
    "weight": MLP((4, 6, 5, 3), norm="weight"),
    "cnn": CNN((3, 3), image=(2, 4, 5), channels=(2, 3)),
    "cnn batch": CNN((3, 3), image=(2, 4, 5), channels=(2, 3), norm="batch"),
    "cnn layer": CNN((3, 4, 3), image=(1, 6, 6), channels=(3,), norm="layer"),
    "cnn weight": CNN((3, 3), image=(1, 4, 4), channels=(2, 3), norm="weight"),
}
PLAIN = {
    "decay_factors": {"weight": 1.0},
    "unit_norm": (),
    "schedule": None,
    "batch_size": 5,
    "adam_eps": 1e-8,
}


def halve(t):
    return 0.5 ** (t // 40)


def cosine(t):
    return 0.5 * (1 + np.cos(np.pi * t / 100))


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("sgd", {"decay_factors": {"weight": 0.5, "bias": 1.0, "weight1": 2.0}}),
        ("sgd", {"decay_factors": {"beta": 1.0, "gamma": 0.5}, "init_scale": 0.5}),
        ("sgd", {"unit_norm": ("weight0", "weight1"), "schedule": halve}),
        ("sgdw", {"schedule": cosine, "batch_size": None}),
        ("adam", {"schedule": halve, "adam_eps": 1e-3}),
        ("adamw", {"schedule": cosine, "decay_factors": {"bias": 1.0}}),
        ("adamw_paper", {"schedule": halve}),
        ("trust_ratio", {"schedule": halve, "decay_factors": {"weight": 1.0, "bias": 1.0}}),
    ],
)
def test_every_option_equals_torch(rule, change):
    model = MLP((4, 6, 5, 3), norm="batch", init="he")
    options = (
        PLAIN
        | {"loss": "cross_entropy", "optimizer": rule, "momentum": 0.9, "evaluate_on": 12}
        | change
    )
    assert_equal_to_torch(model, *data(model, "cross_entropy"), options)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_under_every_update_equals_torch(name, rule):
    model = MODELS[name]
    loss = "half_mse" if model.widths[-1] == 1 else "cross_entropy"
    assert_equal_to_torch(
        model, *data(model, loss), PLAIN | {"loss": loss, "optimizer": rule, "momentum": 0.9}
    )


@st.composite
def experiments(draw):
    """A model, its data, and everything a sweep can vary."""
    loss = draw(st.sampled_from(sorted(LOSSES)))
    outputs = 3 if loss == "cross_entropy" else 1
    shared = {
        "norm": draw(st.sampled_from([None, "batch", "layer", "weight"])),
        "bias": draw(st.booleans()),
        "affine": draw(st.booleans()),
        "init": draw(st.sampled_from(["torch", "he", "glorot", "normal"])),
        "init_std": 0.5,
        "eps": draw(st.sampled_from([1e-5, 1e-2])),
    }
    if draw(st.integers(0, 3)):
        model = MLP((4, *draw(st.lists(st.integers(2, 7), max_size=3)), outputs), **shared)
    else:
        model = CNN(
            (3, outputs),
            image=draw(st.sampled_from([(1, 4, 4), (2, 5, 6)])),
            channels=(2, 3),
            **shared,
        )
    decay = st.dictionaries(
        st.sampled_from(sorted(model.initial(0))), st.sampled_from([0.0, 0.5, 1.0]), max_size=3
    )
    options = {
        "loss": loss,
        "optimizer": draw(st.sampled_from(sorted(RULES))),
        "momentum": draw(st.sampled_from([0.0, 0.9])),
        "init_scale": draw(st.sampled_from([1.0, 0.5])),
        "decay_factors": {"weight": 1.0, "bias": draw(st.sampled_from([0.0, 1.0]))}
        if model.bias
        else {"weight": 1.0},
        "unit_norm": draw(st.sampled_from([(), ("weight",), ("weight0",)])),
        "schedule": draw(st.sampled_from([None, halve, cosine])),
        "batch_size": draw(st.sampled_from([None, 5, 7])),
        "adam_eps": draw(st.sampled_from([1e-8, 1e-4])),
        "evaluate_on": draw(st.sampled_from([20, 8])),
    }
    return (
        model,
        data(model, loss, draw(st.integers(0, 1000))),
        options | {"decay_factors": options["decay_factors"] | draw(decay)},
    )


def is_chaotic(model, X, y, options):
    """A hidden layer whose variance comes close to 0 makes a last bit of the inputs a tenth digit of the outcome."""
    options = {
        name: value for name, value in options.items() if name not in ("momentum", "evaluate_on")
    }
    decay = 0.002 if options["optimizer"] == "adamw_paper" else 0.1
    options |= {
        "lr": 0.01,
        "weight_decay": decay,
        "momentum": 0.9,
        "seeds": [4],
        "steps": 100,
        "record_every": 100,
    }
    losses = [
        sweep(model, inputs, y, **options).train_loss.values[0, -1]
        for inputs in (X, X * (1 + 1e-15))
    ]
    return not abs(losses[0] - losses[1]) < 1e-12 * abs(losses[0])


@settings(max_examples=30, deadline=None)
@given(experiment=experiments())
def test_random_combinations_equal_torch(experiment):
    model, (X, y), options = experiment
    assume(not is_chaotic(model, X, y, options))
    assert_equal_to_torch(model, X, y, options)
