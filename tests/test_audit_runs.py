"""Audits of runs whose end is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from l2lib._momentum import Momentum
from l2lib._verdicts import NEAR, NOTHING
from l2lib.audit import Watch
from l2lib.groups import roles
from tests.test_audit import LAM, LR, data, push, train, walk, walking


def test_sgd_from_its_equilibrium_is_in_equilibrium():
    lr, lam = 0.1, 0.05
    rest = (lr / (lam * (2 - lr * lam))) ** 0.25
    w, optimizer, watch = walking(optim.SGD, rest, lr, lam)
    walk(optimizer, w, 400, watch)
    each = watch.result().data.isel(tensor=0)
    assert each.verdict == "in equilibrium"
    assert abs(each.norm / rest - 1) < 0.001
    assert abs(each.angle / each.angle_predicted - 1) < 0.05
    assert abs(each.turn / each.decay - 1) < 0.1
    assert math.isclose(each.time_scale, 1 / (lr * lam))


@pytest.mark.parametrize(("factor", "way"), [(3.0, "falling"), (0.4, "rising")])
def test_sgd_away_from_it_needs_the_steps_that_it_then_takes(factor, way):
    lr, lam = 0.1, 0.05
    rest = (lr / (lam * (2 - lr * lam))) ** 0.25
    w, optimizer, watch = walking(optim.SGD, factor * rest, lr, lam, total=120)
    walk(optimizer, w, 100 if way == "falling" else 20, watch)
    told = watch.result().data.verdict.item()
    assert told.startswith(f"{way}, needs ")
    needed = int(told.split()[2].replace(",", ""))
    off = (w.norm().item() / rest) ** 4 - 1
    assert abs(needed - math.log(abs(off) / NEAR) / (4 * lr * lam)) < 0.1 * needed + 2
    assert told.endswith("and has 20") == (way == "falling")
    walk(optimizer, w, needed, watch, every=1)
    assert abs((w.norm().item() / rest) ** 4 - 1) < 1.1 * NEAR
    walk(optimizer, w, 2 * needed, watch)
    assert watch.result().data.verdict.item() == "in equilibrium"


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_torchs_momentum_forgets_faster(momentum):
    lr, lam = 0.02, 0.05
    w, optimizer, watch = walking(optim.SGD, 1.0, lr, lam, momentum=momentum)
    walk(optimizer, w, 3000, watch, every=1)
    each = watch.result().data.isel(tensor=0)
    assert each.verdict == "in equilibrium"
    assert abs(each.angle / each.angle_predicted - 1) < 0.03
    assert abs(each.time_scale / ((1 - momentum) / (lr * lam)) - 1) < 0.12  # to first order
    assert math.isclose(each.time_scale, 1 / Momentum(momentum).share(lr * lam))
    assert each.N.item() == pytest.approx(3000 / each.time_scale)
    assert each.sum_lr_decay == pytest.approx(3000 * lr * lam)


@pytest.mark.parametrize("every", [1, 10])
def test_adamw_ends_at_its_root_mean_square(every):
    w, optimizer, watch = walking(optim.AdamW, 3.0, 0.01, 0.5, total=2000)
    walk(optimizer, w, 1500, watch, invariant=False, every=every)
    each = watch.result().data.isel(tensor=0)
    assert each.verdict == "in equilibrium"
    assert abs(each.rms_ratio - 1) < 0.05
    assert abs(each.rms / math.sqrt(0.01 / (2 * 0.5)) - 1) < 0.05
    assert abs(each.angle / each.angle_predicted - 1) < 0.05
    assert each.time_share == pytest.approx(0.1)
    assert each.N_end == pytest.approx(10)


def test_a_schedule_that_ends_at_zero_has_a_verdict():
    w, optimizer, watch = walking(optim.AdamW, 3.0, 0.1, 0.5, total=40)
    for i in range(40):
        optimizer.param_groups[0]["lr"] = 0.1 * max(0.0, 1 - i / 30)
        walk(optimizer, w, 1, watch, invariant=False, every=1)
    each = watch.result().data.isel(tensor=0)
    assert each.verdict == "falling, but ηλ is 0 now"
    assert math.isnan(each.time_scale)
    assert each.N_end == each.N == pytest.approx(0.05 * sum(1 - i / 30 for i in range(30)))
    assert isinstance(str(watch.result()), str)


def test_a_small_decay_does_nothing():
    w, optimizer, watch = walking(optim.AdamW, 3.0, 1e-4, 0.1, total=1000)
    walk(optimizer, w, 100, watch)
    each = watch.result().data.isel(tensor=0)
    assert each.N_end == pytest.approx(0.01)
    assert each.verdict == "λ does nothing in this run"


def test_a_run_that_has_barely_begun_may_still_be_long_enough():
    w, optimizer, watch = walking(optim.SGD, 2.0, 0.1, 1e-3, total=100_000)
    walk(optimizer, w, 50, watch)
    each = watch.result().data.isel(tensor=0)
    assert each.N < NOTHING
    assert each.verdict.item().startswith("rising, needs")


def test_without_normalisation_lambda_is_a_penalty():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    X, y = data("")
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=1.0)
    watch = Watch(model, optimizer, total_steps=100)
    train(model, optimizer, X, y, 40, lambda i: watch.step())
    audit = watch.result(lambda m: functional.cross_entropy(m(X), y))
    found = audit.data
    weights = found.sel(tensor=["0.weight", "2.weight"])
    assert weights.verdict.values.tolist() == ["not invariant, here λ is a penalty"] * 2
    assert found.verdict.sel(tensor="0.bias") == "decays though its role is bias"
    text = str(audit)
    assert text.startswith("Audit: 40 of 100 steps, 40 looks; ")
    assert "0.weight  weight  1       no " in text
    assert "<table><caption>Audit: 40 of 100" in audit._repr_html_()
    assert repr(audit) == text


def test_roles_are_taken():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    model = nn.Sequential(nn.Linear(3, 3), Mine())
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    for given, role in ((None, "unknown"), (roles(model, rules={"Mine": "gamma"}), "gamma")):
        watch = Watch(model, optimizer, roles=given)
        push(model)
        optimizer.step()
        watch.step()
        assert watch.result().data.role.sel(tensor="1.scale") == role
    watch = Watch(
        model, optimizer, roles={"0.weight": "weight", "0.bias": "bias", "1.scale": "other"}
    )
    push(model)
    optimizer.step()
    watch.step()
    assert watch.result().data.role.values.tolist() == ["weight", "bias", "other"]


def test_the_angle_is_that_of_the_later_half_of_the_looks():
    w, optimizer, watch = walking(optim.SGD, 5.0, 0.1, 0.05)
    walk(optimizer, w, 50, watch)  # five looks; the norm falls, so that each turns more
    each = watch.result().data.isel(tensor=0)
    for at, told in ((each.turn_at, each.angle), (each.predicted_at, each.angle_predicted)):
        turns = at.values[-5:]
        assert np.isfinite(turns).all()
        assert told.item() == pytest.approx(math.acos(math.exp(-turns[2:].mean())), rel=1e-9)
    one_more = math.acos(math.exp(-each.turn_at.values[-4:].mean()))
    assert each.angle.item() != pytest.approx(one_more, rel=1e-3)
