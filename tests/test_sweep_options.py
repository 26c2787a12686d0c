"""What a sweep takes and says: defaults, limits, names in messages, and what its workers do."""

import math
import os
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from types import FunctionType, SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from torch.nn import functional

from l2lib.datasets import make_regression
from l2lib.splits import HeldOutError, split
from l2lib.sweep import CNN, MLP, Engine, predict, standardise, sweep, workers
from l2lib.sweep.job import check_start, chunk_size_for
from l2lib.sweep.models import NORMS, Layer
from l2lib.sweep.prediction import model_of
from l2lib.sweep.recipe import Configuration, by_parameter, factors_of, named
from l2lib.sweep.updates import RULES

X20, Y20 = make_regression(20, seed=0, n_inputs=6)
LABELS = np.arange(20) % 3
ONCE = {"lr": 0.1, "steps": 1}


def line(X=X20, y=Y20, model=lambda: MLP((6, 1)), **options):
    """A short sweep, of a linear model unless told otherwise."""
    made = model() if isinstance(model, FunctionType) else model
    return sweep(made, X, y, **(ONCE | options))


# ---- defaults and limits -------------------------------------------------------------------
@pytest.mark.parametrize("rule", [*RULES])
def test_a_momentum_of_zero_is_one_and_none_is_the_rules(rule):
    usual = 0.9 if rule.startswith("adam") else 0.0
    assert line(optimizer=rule).momentum == usual
    for momentum in (0.0, 0, 0.9):
        found = line(optimizer=rule, momentum=momentum, steps=3)
        assert found.momentum == momentum
        same = np.array_equal(found.weight0, line(optimizer=rule, steps=3).weight0)
        assert same is (momentum == usual)


def test_a_start_is_not_made_of_the_numbers_that_data_of_its_seed_are_made_of():
    X, _ = make_regression(20, seed=3)
    start = MLP((200, 1), init="normal", init_std=1.0).initial(3)["weight0"][0]
    assert abs(np.corrcoef(start, X[0])[0, 1]) < 0.3  # 1 for the same numbers; else 0 ± 0.07


@pytest.mark.parametrize("norm", NORMS)
def test_the_initial_scale_is_that_of_weight_matrices_alone(norm):
    model = MLP((6, 4, 1), norm=norm)
    run = line(model=model, lr=1e-12, init_scale=[1.0, 3.0])
    for name, start in model.initial(0).items():
        factor = [1.0, 3.0] if name.startswith("weight") else [1.0, 1.0]
        assert np.allclose(run[name][0], np.multiply.outer(factor, start), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"beta2": 0.0, "optimizer": "adam"},
        {"adam_eps": 0, "optimizer": "adamw"},
        {"batch_size": 20, "evaluate_on": 20},
        {"batch_size": 1, "evaluate_on": 1},
        {"schedule": lambda step: 1 - step},
        {"seeds": (3, 1)},
        {"seeds": [2**31 - 1]},
        {"decay_factors": {}},
        {"decay_factors": {"weight": 0, "bias0": 2}},
        {"unit_norm": {"weight"}},
        {"unit_norm": ("weight0",)},
        {"model": lambda: MLP((6, 2, 1), norm="layer", eps=0)},
        {"model": lambda: MLP((6, 2, 1), norm="batch"), "batch_size": 2},
        {"test": (X20[:1] + 1, Y20[:1])},
        {"seeds": [0, 1], "test": (np.stack([X20 + 1] * 2), np.stack([Y20] * 2))},
    ],
)
def test_limits_belong_to_what_may_be(options):
    assert line(**options).train_loss.shape[-1] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 21}, "^batch_size is 21, evaluate_on None; there are only 20 training"),
        ({"evaluate_on": 21}, "^batch_size is None, evaluate_on 21; there are only 20 training"),
        ({"evaluate_on": 0}, "^evaluate_on is 0; it must be a whole number ≥ 1"),
        ({"evaluate_every": 0}, "^evaluate_every is 0"),
        ({"record_every": 0}, "^record_every is 0"),
        ({"seeds": [1, 2, 1]}, r"^seeds holds a seed twice: \[1, 2, 1\]"),
        ({"model": lambda: MLP((6, 2, 1), norm="batch"), "batch_size": 1}, "at least two examples in a"),
        ({"model": lambda: MLP((6, 3))}, "^half_mse needs a model with one output, not 3"),
        ({"model": lambda: MLP((6, 3)), "loss": "mse"}, "^mse needs a model with one output, not 3"),
        ({"y": LABELS, "loss": "cross_entropy"}, "^need whole labels 0 … 0; got 0 to 2"),
        (
            {"y": LABELS, "loss": "cross_entropy", "model": lambda: MLP((6, 3)), "test": (X20 + 1, LABELS + 1)},
            "^test: need whole labels 0 … 2; got 1 to 3",
        ),
        ({"test": (X20[:, :5], Y20)}, r"^test's X has shape \(20, 5\); need \(n, 6\), or \(1, n, 6\)"),
        ({"X": X20[:, :5]}, r"^X has shape \(20, 5\); need \(n, 6\)"),
        ({"test": (X20, Y20[1:])}, r"^test: X must have shape"),
        ({"test": X20}, "^test must be a pair, inputs and targets; got a ndarray$"),
        (
            {"test": split(X20, Y20, train=[0], test=[1])},
            "^test must be a pair, inputs and targets; got a Split; give its .test part",
        ),
        ({"schedule": lambda step: 1 / (1 - step)}, r"^schedule\(1\) raises ZeroDivisionError: .*zero"),
        ({"schedule": lambda step: -step}, r"^schedule\(1\) is -1; it must be a finite number ≥ 0"),
        ({"unit_norm": "bias"}, r"^unit_norm is 'bias'; give a list, such as \['bias'\]"),
        ({"unit_norm": 3}, r'^unit_norm is 3; give a list, such as \["weight"\]'),
        (
            {"unit_norm": ["gamma"]},
            "^unit_norm: nothing is called 'gamma'; choose among weight, bias, weight0, bias0$",
        ),
        (
            {"decay_factors": {"weight1": 1}},
            "^decay_factors: nothing is called 'weight1'; choose among weight, bias, weight0, bias0$",
        ),
        ({"decay_factors": {"bias": -1}}, "^decay_factors: 'bias' is -1; it must be a finite"),
        ({"record": {"norm": abs, "lr": abs, "step": abs}}, "^record 'lr' is taken"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_by_name(options, message):
    with pytest.raises((ValueError, RuntimeError), match=message) as refused:
        line(**options)
    assert isinstance(refused.value, ValueError)  # before anything is trained


@pytest.mark.parametrize(
    "name",
    [
        "seed",
        "lr",
        "weight_decay",
        "momentum",
        "init_scale",
        "step",
        "layer",
        "evaluated_step",
        "train_loss",
        "test_accuracy",
        "norm",
        "angle",
        "weight0",
        "bias0",
        "weight0_in",
        "bias0_out",
    ],
)
def test_a_record_has_no_name_that_the_result_uses(name):
    with pytest.raises(ValueError, match=f"record '{name}' is taken; choose another name"):
        line(record={name: lambda w, g: w["bias0"]})


def test_an_error_in_a_schedule_is_its_cause():
    with pytest.raises(ValueError, match=r"schedule\(2\) raises KeyError: 2") as refused:
        factors_of({0: 1.0, 1: 0.5}.__getitem__, 2)
    assert isinstance(refused.value.__cause__, KeyError)
    assert factors_of(lambda step: 2 - step, 2) == (2.0, 1.0, 0.0)


def test_a_parameter_wins_over_its_role_and_names_keep_the_models_order():
    names = ("weight0", "bias0", "weight1", "bias1")
    given = {"weight0": 0.5, "weight": 2, "bias1": 3}
    wanted = {"weight0": 0.5, "bias0": 0, "weight1": 2, "bias1": 3}
    assert by_parameter(given, names) == wanted
    assert named(["bias", "weight1", "bias0"], names) == ("bias0", "weight1", "bias1")


def test_a_configuration_in_words():
    one = Configuration(seed=3, lr=0.1 + 0.2, weight_decay=0.0, momentum=0.9, init_scale=1.0)
    words = "configuration seed=3, lr=0.3, weight_decay=0, momentum=0.9, init_scale=1"
    assert str(one) == words


@pytest.mark.parametrize("name", ["weight0_q", "weight", "0", "weight-0", "w 0", "weight0.1", ""])
def test_a_parameters_name_is_a_role_and_its_number(name):
    good = {"weight0": np.eye(2), "a_B12": np.eye(2)}
    check_start(good)
    with pytest.raises(ValueError, match="a model calls its parameters by role and number"):
        check_start(good | {name: np.eye(2)})


def test_norm_one_needs_one_number_that_is_not_zero():
    start = {"weight0": np.eye(2), "bias0": np.zeros((2, 1))}
    check_start(start, ["weight0"])
    with pytest.raises(ValueError, match="unit_norm: bias0 begins at zero"):
        check_start(start, ["weight0", "bias0"])
    with pytest.raises(
        ValueError, match=r"the initial bias0 is .*, shape \(2, 1\); a parameter is"
    ):
        check_start(start | {"bias0": np.full((2, 1), np.inf)})


@pytest.mark.parametrize(
    ("lr", "weight_decay", "warned"),
    [(1e-3, 1e-3, False), (1e-3, 0.9e-3, True), ([1e-3, 1.0], 0.5e-3, True), (1e-9, 0.0, False)],
)
def test_the_warning_of_a_lost_decay_begins_below_a_millionth(lr, weight_decay, warned, recwarn):
    line(lr=lr, weight_decay=weight_decay, engine=Engine(dtype="float32"))
    told = [each for each in recwarn if "ηλ < 1e-6: float32" in str(each.message)]
    assert len(told) == warned
    for each in told:
        assert each.filename == __file__


def test_devices_go_by_their_torch_names(monkeypatch):
    assert Engine(device="cpu:0").device == Engine(device=torch.device("cpu")).device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cuda", "cuda:0", "cuda:1"):
        assert Engine(device=name).device == name
    with pytest.raises(ValueError, match=r"device is 'cuda:2'; PyTorch finds 'cuda:0', 'cuda:1'$"):
        Engine(device="cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device is 'cuda', but PyTorch finds no GPU here"):
        Engine(device="cuda")


def test_a_gpu_trains_all_at_once_and_a_core_what_its_cache_holds():
    model = SimpleNamespace(size=lambda batch: 1000 * batch)
    recipe = SimpleNamespace(batch_size=None)
    job = SimpleNamespace(configurations=range(900), recipe=recipe, model=model)
    job.train = SimpleNamespace(y=np.zeros((1, 8)))
    assert chunk_size_for(job, SimpleNamespace(chunk_size=None, device="cuda")) == 900
    # 3 · 2¹⁹ numbers are 196 configurations of 8000: five chunks, and six for two workers.
    assert chunk_size_for(job, Engine()) == 150
    recipe.batch_size = 2
    assert chunk_size_for(job, Engine()) == 450
    assert chunk_size_for(job, Engine(chunk_size=449)) == 225


@pytest.mark.parametrize("listed", [[], ["lr"], ["momentum", "weight_decay"], ["init_scale"]])
def test_every_hyper_parameter_is_a_coordinate(listed):
    """A list is a dimension, even of one; a number is not."""
    numbers = {"lr": 0.2, "weight_decay": 0.5, "momentum": 0.25, "init_scale": 2.0}
    given = {name: [number] if name in listed else number for name, number in numbers.items()}
    run = line(**given, seeds=[7])
    assert {*run.coords} == {*numbers, "seed", "step", "layer"}
    for name, number in numbers.items():
        assert run.coords[name].values.tolist() == ([number] if name in listed else number)
    dims = [name for name in numbers if name in listed]
    assert run.train_loss.dims == ("seed", *dims, "step")
    assert run.seed.values.tolist() == [7]


def test_what_is_not_named_does_not_decay():
    """By default weights do, and nothing else."""
    model = MLP((6, 3, 1), norm="layer")
    free = line(model=model, lr=1e-3)
    for factors in (None, {}, {"gamma": 1}, {"weight1": 1}, {"bias": 0.5}):
        found = line(model=model, lr=1e-3, weight_decay=900.0, decay_factors=factors)
        own = {"weight": 1} if factors is None else factors
        for name, w in model.initial(0).items():
            factor = own.get(name, own.get(name.rstrip("01"), 0))
            np.testing.assert_allclose(found[name][0], free[name][0] - 0.9 * factor * w, atol=1e-12)


# ---- models --------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_image_is_as_small_as_its_shorter_side(n):
    channels = (2,) * n
    for height, width in product(range(1, 18, 3), repeat=2):
        made = True
        try:
            CNN((2, 1), image=(1, height, width), channels=channels)
        except ValueError:
            made = False
        assert made is (min(height, width) >= 2**n)


@pytest.mark.parametrize("widths", [(3, 1), (5, 1), (2, 4, 1)])
def test_an_mlp_begins_with_the_last_channels(widths):
    with pytest.raises(ValueError, match=r"must begin with the last of channels \(2, 4\)"):
        CNN(widths, image=(1, 8, 8), channels=(2, 4))


def narrow():
    return CNN((4, 5, 2), image=(3, 9, 8), channels=(6, 4))


def test_the_layers_of_an_image_that_is_no_square():
    wanted = [Layer(6, 27, 54, 72), Layer(4, 54, 36, 16), Layer(5, 4, 5, 1), Layer(2, 5, 2, 1)]
    assert narrow().layers() == wanted
    activations = 6 * 72 + 4 * 16 + 5 + 2
    assert narrow().size(7) == 6 * 27 + 4 * 54 + 5 * 4 + 2 * 5 + 7 * activations
    assert MLP((3, 5, 2)).size(7) == 5 * 3 + 2 * 5 + 7 * (5 + 2)
    assert (narrow().inputs, narrow().outputs) == (216, 2)


def test_an_image_is_channels_by_height_by_width():
    parameters = {name: torch.tensor(w)[None] for name, w in narrow().initial(3).items()}
    x = torch.randn(1, 7, 216, generator=torch.Generator().manual_seed(0)).double()
    h = x[0].reshape(7, 3, 9, 8)
    for i in range(2):
        kernel = parameters[f"weight{i}"][0].reshape(-1, h.shape[1], 3, 3)
        h = functional.conv2d(h, kernel, parameters[f"bias{i}"][0, :, 0], padding=1)
        h = functional.max_pool2d(h.relu(), 2)
    h = h.mean((2, 3)).T
    h = (parameters["weight2"][0] @ h + parameters["bias2"][0]).relu()
    wanted = parameters["weight3"][0] @ h + parameters["bias3"][0]
    np.testing.assert_allclose(narrow()(parameters, x)[0], wanted, rtol=1e-10)


@pytest.mark.parametrize("init", ["torch", "he", "glorot", "normal"])
@pytest.mark.parametrize("model", [MLP, CNN])
def test_the_size_of_initial_parameters(init, model):
    """Uniform between bounds that are nearly reached, or normal; biases only by torch's."""
    options = {"init": init, "init_std": 0.3}
    if model is MLP:
        made, fans = MLP((40, 90, 50), **options), [(40, 90), (90, 50)]
    else:
        made = CNN((30, 70), image=(8, 4, 4), channels=(20, 30), **options)
        fans = [(72, 180), (180, 270), (30, 70)]
    start = made.initial(1)
    for i, (fan_in, fan_out) in enumerate(fans):
        w, b = start[f"weight{i}"], start[f"bias{i}"]
        if bound := {"torch": fan_in**-0.5, "glorot": (6 / (fan_in + fan_out)) ** 0.5}.get(init):
            assert 0.99 * bound < np.abs(w).max() <= bound
        else:
            assert w.std() == pytest.approx(
                {"he": (2 / fan_in) ** 0.5, "normal": 0.3}[init], rel=0.06
            )
        assert abs(w.mean()) < 5 * w.std() / w.size**0.5
        assert np.abs(b).max() <= fan_in**-0.5
        assert np.abs(b).max() > 0.7 * fan_in**-0.5 if init == "torch" else not b.any()


def test_to_standardise_is_by_a_reference():
    h = torch.tensor([[1.0, 2.0, 6.0, 8.0]])
    found = standardise(h, h[:, :3], axes=(1,), eps=0.5)
    mean, variance = 3.0, (4 + 1 + 9) / 3
    np.testing.assert_allclose(found, (h - mean) / math.sqrt(variance + 0.5), rtol=1e-6)


# ---- what is recorded ----------------------------------------------------------------------
def test_words_of_records_tell_training_from_test():
    run = line(y=LABELS, model=MLP((6, 3)), loss="cross_entropy", test=(X20 + 1, LABELS),
               record={"own": lambda w, g: w["weight0"][:, :, :3]}, steps=2)  # fmt: skip
    for name, variable in run.items():
        words = variable.attrs["long_name"]
        assert ("training" in words) is name.startswith("train_")
        assert ("test" in words) is name.startswith("test_")
        assert ("without penalty" in words) is name.endswith("_loss")
        assert ("classified" in words) is name.endswith("_accuracy")
        assert variable.dims[:1] == ("seed",)
    assert run.weight0.dims == ("seed", "weight0_out", "weight0_in")
    assert run.own.dims == ("seed", "own_0", "own_1", "step")  # three of each
    np.testing.assert_array_equal(run.own[..., -1], run.weight0[..., :3])
    assert run.attrs["optimizer"] == "sgd"
    assert run.attrs["loss"] == "cross_entropy"


def test_layers_are_the_weight_matrices_in_order():
    run = line(model=MLP((6, 4, 3, 1), norm="layer"), record_every=1, evaluate_every=2, steps=4)
    assert run.layer.values.tolist() == ["weight0", "weight1", "weight2"]
    assert run.step.values.tolist() == [0, 1, 2, 3, 4]
    assert run.evaluated_step.values.tolist() == [0, 2, 4]
    assert line(record_every=3, steps=6).sizes["step"] == 3
    last = np.stack([np.linalg.norm(run[f"weight{k}"][0]) for k in range(3)])
    np.testing.assert_allclose(run.norm[0, :, -1], last)
    assert "evaluated_step" not in line(record_every=2, steps=4).dims


def test_a_schedule_enters_the_recorded_rate_up_to_the_last_step():
    run = line(schedule=lambda step: 3 - step, steps=2, lr=0.1)
    rates = run.effective_lr[0, 0] * run.norm[0, 0] ** 2
    np.testing.assert_allclose(rates, [0.3, 0.2, 0.1])


def test_more_test_examples_than_training_examples():
    """They are evaluated in pieces, each with its own targets."""
    X, y = make_regression(50, seed=5, n_inputs=6)
    for model in (MLP((6, 3, 1)), MLP((6, 3, 1), norm="batch")):
        run = line(model=model, test=(X, y), steps=3, evaluate_on=8)
        reference = X20[:8] if model.norm else None
        found = predict(run, X, reference=reference)[0, :, 0]
        np.testing.assert_allclose(run.test_loss[0, -1], ((found - y) ** 2).mean() / 2)


def test_zero_weights_and_zero_gradients_take_a_step_of_sgd():
    """As the trust ratio has no length to bring the gradient to, or from."""
    zeros = MLP((6, 1), init="zeros")
    found = [line(model=zeros, optimizer=rule).weight0 for rule in ("sgd", "trust_ratio")]
    np.testing.assert_array_equal(*found)
    still = line(y=np.zeros(20), model=MLP((6, 1), init="zeros"), optimizer="trust_ratio", steps=2)
    assert not still.weight0.any()
    fitted = line(
        y=X20[:, 0] * 0, model=MLP((6, 1), bias=False), X=X20 * 0, optimizer="trust_ratio"
    )
    np.testing.assert_array_equal(fitted.weight0[0], MLP((6, 1), bias=False).initial(0)["weight0"])


# ---- what a run answers --------------------------------------------------------------------
@pytest.mark.parametrize(
    "made",
    [
        lambda: MLP(
            (6, 5, 1), bias=False, norm="layer", affine=False, init="normal", init_std=0.5, eps=0.1
        ),
        lambda: CNN((3, 1), image=(1, 2, 3), channels=(3,), norm="batch", init="he", eps=0.2),
        lambda: MLP((6, 1)),
    ],
)
def test_a_run_tells_every_option_of_its_model(made):
    model = made()
    run = line(model=model, lr=[0.1, 0.2], momentum=0.5, engine=Engine(dtype="float32"))
    assert model_of(run) == model
    found = predict(run, X20, reference=X20 if model.norm == "batch" else None)
    assert found.dims == ("seed", "lr", "example", "output")
    assert (found.lr.values.tolist(), found.seed.values.tolist()) == ([0.1, 0.2], [0])
    assert found.dtype == np.float32
    losses = ((found[..., 0] - Y20) ** 2).mean("example") / 2
    np.testing.assert_allclose(losses, run.train_loss[..., -1], rtol=1e-5)


def test_what_a_reference_may_not_hold():
    parts = split(X20, Y20, train=range(12), validation=range(12, 16), test=range(16, 20))
    run = sweep(MLP((6, 2, 1), norm="batch"), *parts.train, **ONCE)
    predict(run, parts.validation, reference=parts.train)
    predict(run, parts.train, reference=X20)
    for part in (parts.validation, parts.test):
        for reference in (part, X20):
            with pytest.raises(HeldOutError):
                predict(run, part, reference=reference)
    with pytest.raises(ValueError, match=r"^reference has shape \(20, 5\); need \(n, 6\)"):
        predict(run, X20, reference=X20[:, :5])
    with pytest.raises(ValueError, match=r"^run has no bias0; give what sweep returned"):
        predict(run.drop_vars("bias0"), X20, reference=X20)
    with pytest.raises(ValueError, match=r"^this model has no batch normalisation: leave"):
        predict(line(), X20, reference=X20)
    with pytest.raises(ValueError, match=r"model is '', no MLP or CNN: give model="):
        predict(xr.Dataset(), X20)


# ---- workers -------------------------------------------------------------------------------
class Piece:
    """A job of some configurations, for workers."""

    def __init__(self, *configurations):
        self.configurations = configurations
        self.steps = 10 * len(configurations)

    def halves(self):
        middle = len(self.configurations) // 2
        if middle:
            yield Piece(*self.configurations[:middle])
            yield Piece(*self.configurations[middle:])


class Bar:
    """What tqdm is called with."""

    def __init__(self, **options):
        self.options, self.done = options, 0
        Bar.last = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, n):
        self.done += n


def ticking(job, tick=lambda n: None):
    for _ in range(10):
        tick(len(job.configurations))
    return {"names": job.configurations}


@pytest.mark.parametrize("progress", [True, False])
@pytest.mark.parametrize(
    "asked", [None, "", " ", "0", "No", "OFF", "false", "1", "true", "yes", "x"]
)
def test_the_bar_is_hidden_by_either_switch(progress, asked, monkeypatch):
    monkeypatch.setattr(workers, "tqdm", Bar)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if asked is not None:
        monkeypatch.setenv("TQDM_DISABLE", asked)
    workers.run(ticking, [Piece(1, 2)], Engine(progress=progress, workers=1))
    off = (asked or "").strip().lower() in ("", "0", "no", "off", "false")
    assert Bar.last.options["disable"] is not (progress and off)
    assert (Bar.last.options["delay"], Bar.last.options["leave"]) == (2, False)


@pytest.mark.parametrize("own", [True, False])
def test_the_bar_counts_steps_of_configurations(own, monkeypatch):
    monkeypatch.setattr(workers, "tqdm", Bar)
    jobs = [Piece(1, 2, 3), Piece(4, 5), Piece(6)]
    with ThreadPoolExecutor(2) as pool:
        found = workers.run(ticking, jobs, Engine(executor=pool if own else None, workers=2))
    assert Bar.last.options["total"] == Bar.last.done == 60
    assert [each["names"] for each in found] == [(1, 2, 3), (4, 5), (6,)]


@pytest.mark.parametrize("wanted", [None, 1, 3])
def test_workers_are_one_a_core_unless_told(wanted, monkeypatch):
    asked = []

    def pool(n):
        asked.append(n)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(workers, "ThreadPoolExecutor", pool)
    workers.run(ticking, [Piece(1)], Engine(workers=wanted))
    assert asked == [wanted or os.cpu_count()]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 20])
def test_an_error_names_eight_configurations(n):
    words = workers.names_of([f"c{k}" for k in range(n)])
    first = "; ".join(f"c{k}" for k in range(min(n, 8)))
    assert words == first + (f"; and {n - 8} more" if n > 8 else "")


def test_an_error_tells_whose_it_is_and_why():
    def work(job, tick):
        if "bad" in job.configurations:
            raise KeyError("reason")
        return ticking(job, tick)

    jobs = [Piece("a", "b", "c"), Piece("d", "e", "bad", "f", "g")]
    with pytest.raises(RuntimeError, match=r"^bad: KeyError: 'reason'$") as raised:
        workers.run(work, jobs, Engine(workers=1, progress=False))
    assert isinstance(raised.value.__cause__, KeyError)


def test_one_error_stops_all():
    """What runs stops at its next step, what has not begun does not begin."""
    begun, steps = [], []

    def work(job, tick):
        begun.append(job)
        if job is jobs[0]:
            time.sleep(0.05)
            raise ValueError("stop")
        for _ in range(300):
            time.sleep(0.005)
            steps.append(1)
            tick(1)
        return {}

    jobs = [Piece(k) for k in range(12)]
    with pytest.raises(RuntimeError, match=r"^0: ValueError: stop"):
        workers.run(work, jobs, Engine(workers=2, progress=False))
    assert len(begun) < 6
    assert len(steps) < 250


class Dying(Executor):
    """Does one job; the worker of the others dies."""

    def submit(self, function, work, job):
        future = Future()
        if "well" in job.configurations:
            future.set_result(function(work, job))
        else:
            future.set_exception(BrokenProcessPool("gone"))
        return future


def test_what_a_dead_worker_leaves_is_told():
    jobs = [Piece("well"), Piece("lost", "gone"), Piece("also")]
    words = "^a worker died; these configurations are not done: lost; gone; also$"
    with pytest.raises(RuntimeError, match=words) as raised:
        workers.run(ticking, jobs, Engine(executor=Dying(), progress=False))
    assert isinstance(raised.value.__cause__, BrokenProcessPool)


@pytest.mark.parametrize("before", [None, "COMPATIBLE"])
def test_the_readers_choice_of_products_stays(before, monkeypatch):
    monkeypatch.delenv("MKL_CBWR", raising=False)
    if before:
        monkeypatch.setenv("MKL_CBWR", before)
    seen = []
    product_of_two = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda a, b: seen.append(os.environ.get("MKL_CBWR")) or product_of_two(a, b)
    )
    workers.prepare_process.__wrapped__()
    assert os.environ.get("MKL_CBWR") == before
    assert seen == ([] if before else ["AUTO,STRICT"])


def test_threads_are_as_before_where_work_fails():
    before = torch.get_num_threads()

    def work(job, tick):
        torch.set_num_threads(before + 1)
        raise ValueError

    try:
        with pytest.raises(RuntimeError):
            workers.run(work, [Piece(1)], Engine(workers=1, progress=False))
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)
