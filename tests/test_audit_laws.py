"""What an audit knows of optimisers, and its verdicts, by themselves."""

import math

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim

from l2lib._laws import Kind, Law, step_of
from l2lib._verdicts import NEAR, NOTHING, excess, verdict
from l2lib.audit import Watch
from tests.test_audit import LAM, LR, NAN, OPTIMIZERS, look, one, optimizer_of


# ---- what is predicted -----------------------------------------------------------------------------
def test_every_optimiser_of_torch_has_a_law():
    with_decay = {
        name
        for name, cls in vars(optim).items()
        if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer
    }
    known = {cls.__name__ for cls, _, _ in OPTIMIZERS.values()} | {
        "LBFGS",
        "Rprop",
        "SparseAdam",
        "Muon",
    }
    assert with_decay <= known


@pytest.mark.parametrize("rule", sorted(OPTIMIZERS))
def test_the_kind_of_each(rule):
    _, optimizer = one()
    optimizer = optimizer_of(rule, [nn.Parameter(torch.ones(2, 2))])
    law = step_of(optimizer, optimizer.param_groups[0]).law
    assert law.kind is OPTIMIZERS[rule][2]
    assert law.unit == (law.kind is Kind.DECOUPLED)
    assert law.power == {Kind.COUPLED: 4, Kind.DECOUPLED: 2}.get(law.kind, 0)


@pytest.mark.skipif(not hasattr(optim, "Muon"), reason="this torch has no Muon")
def test_muon():
    model, optimizer = one(rule=getattr(optim, "Muon", None))
    watch = Watch(model, optimizer)
    look(model, optimizer, watch, times=3)
    each = watch.result().data.isel(tensor=0)
    assert each.N.item() == pytest.approx(3 * LR * LAM)
    assert each.residual < 1e-9
    assert math.isnan(each.rms_ratio)
    assert step_of(optimizer, optimizer.param_groups[0]).law == Law(
        Kind.DECOUPLED, 0.95, nesterov=True
    )


SETTINGS = [
    ({}, "SGD"),
    ({"momentum": 0.9}, "SGD"),
    ({"momentum": 0.8, "dampening": 0.5}, "SGD"),
    ({"momentum": 0.7, "nesterov": True}, "SGD"),
]


def impulse(law, rate, n):
    """What one gradient leaves in the weights after each step, by the optimiser's own rule."""
    mu, w, m, found = law.momentum, 0.0, 0.0, []
    for t in range(n):
        g = 1.0 if t == 0 else 0.0
        if law.kind is Kind.COUPLED:
            g += rate * w
            m = mu * m + (1 - law.dampening) * g
            w -= g + mu * m if law.nesterov else m
        else:
            m = mu * m + (1 - mu) * g
            w = (1 - rate) * w - (mu * m + (1 - mu) * g if law.nesterov else m)
        found.append(w)
    return np.array(found)


LAWS = [
    Law(Kind.COUPLED, o.get("momentum", 0), o.get("dampening", 0), o.get("nesterov", False))
    for o, _ in SETTINGS
]
LAWS += [Law(Kind.DECOUPLED, 0.9), Law(Kind.DECOUPLED, 0.95, nesterov=True), Law(Kind.DECOUPLED)]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_the_predicted_turn_is_the_autocorrelation_of_the_rule(law, steps):
    rate = 0.002
    response = impulse(law, rate, 20_000)
    cosine = response[steps:] @ response[:-steps] / (response @ response)
    assert math.isclose(law.turn(rate, steps), -math.log(cosine), rel_tol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_the_share_is_what_an_ignored_weight_loses(law):
    response = impulse(law, 0.001, 3000)
    assert math.isclose(law.share(0.001), 1 - response[-1] / response[-2], rel_tol=1e-6)


@pytest.mark.parametrize("rate", [1e-9, 1e-6])
def test_small_rates_lose_no_digits(rate):
    assert math.isclose(Law(Kind.COUPLED).turn(rate, 1), rate, rel_tol=1e-5)
    assert math.isclose(Law(Kind.DECOUPLED, 0.9).turn(rate, 1), rate * 0.1 / 1.9, rel_tol=1e-5)
    assert math.isclose(Law(Kind.COUPLED, 0.9).turn(rate, 1), rate / 1.9, rel_tol=1e-5)


def test_what_is_not_known_is_not_predicted():
    for kind in (Kind.DIVIDED, Kind.RELATIVE, Kind.UNKNOWN):
        assert math.isnan(Law(kind).turn(0.01, 1))
    assert math.isnan(Law(Kind.DIVIDED).share(0.01))
    assert Law(Kind.RELATIVE).share(0.01) == 0.01
    assert math.isnan(Law(Kind.COUPLED, 0.9).share(0.5))  # it oscillates
    assert math.isnan(Law(Kind.COUPLED).turn(0.0, 1))


# ---- verdicts -------------------------------------------------------------------------------------
BASE = {
    "role": "weight",
    "scale_invariant": "each unit",
    "steps_at": ("step", [100.0]),
    "sum_lr_decay": 1.0,
    "N": 1.0,
    "N_end": 3.0,
    "excess": 0.1,
    "time_scale": 1000.0,
    "angle": 0.1,
    "angle_predicted": 0.1,
}
ADAMW = Law(Kind.DECOUPLED, 0.9, unit=True)
BORDER = 0.2 * math.e  # a norm's power falls from here to 0.2 while N grows by 1/p


def case(total=3000, **what):
    return xr.Dataset({**BASE, **what}, attrs={"steps": 1000, "total_steps": total})


def after_n(start, n, power):
    """The norm whose equilibrium is 1, after N = n."""
    return (1 + (start**power - 1) * math.exp(-power * n)) ** (1 / power)


VERDICTS = [
    ({}, "in equilibrium"),
    ({"steps_at": ("step", [0.0])}, "does not move"),
    ({"sum_lr_decay": 0.0}, "does not decay"),
    ({"role": "bias"}, "decays though its role is bias"),
    ({"role": "gamma", "scale_invariant": "no"}, "decays though its role is gamma"),
    ({"role": "slope", "N_end": 0.001}, "decays though its role is slope"),
    ({"role": "embedding"}, "in equilibrium"),
    ({"role": "unknown"}, "in equilibrium"),
    ({"N_end": 0.049}, "λ does nothing in this run"),
    ({"N_end": 0.051}, "in equilibrium"),
    ({"N": 0.049}, "in equilibrium"),
    ({"N": 0.049, "total": NAN}, "λ does nothing so far"),
    ({"scale_invariant": "no"}, "not invariant, here λ is a penalty"),
    ({"scale_invariant": "together"}, "not invariant, here λ is a penalty"),
    ({"scale_invariant": "no effect"}, "the loss ignores it: it only decays"),
    ({"scale_invariant": "whole tensor", "angle": 0.3}, "in equilibrium"),
    ({"scale_invariant": "?"}, "in equilibrium"),
    ({"scale_invariant": "?", "angle": 0.119}, "in equilibrium"),
    (
        {"scale_invariant": "?", "angle": 0.121},
        "steady, but turns otherwise than predicted: ask with a loss",
    ),
    (
        {"scale_invariant": "?", "angle": 0.082},
        "steady, but turns otherwise than predicted: ask with a loss",
    ),
    (
        {"excess": NAN},
        "cannot be told: the tensor is zero, not finite, or turns by a right angle",
    ),
    ({"excess": math.inf}, "falling, as if nothing held it"),
    ({"excess": BORDER}, "falling, needs 500 steps"),
    ({"excess": -BORDER}, "rising, needs 500 steps"),
    ({"excess": BORDER, "total": 1300}, "falling, needs 500 steps and has 300"),
    ({"excess": BORDER, "total": 900}, "falling, needs 500 steps and has 0"),
    ({"excess": BORDER, "total": NAN}, "falling, needs 500 steps"),
    ({"excess": BORDER, "time_scale": NAN}, "falling, but ηλ is 0 now"),
]


@pytest.mark.parametrize(("what", "expected"), VERDICTS)
def test_the_verdict_of_each_case(what, expected):
    assert verdict(case(**what), ADAMW) == expected


def test_the_verdict_of_each_kind():
    assert verdict(case(excess=BORDER), Law(Kind.COUPLED)) == "falling, needs 250 steps"
    assert verdict(case(), Law(Kind.UNKNOWN)) == "λ is unknown: only w was read"
    for kind in (Kind.DIVIDED, Kind.RELATIVE):
        told = verdict(case(N_end=NAN, excess=NAN), Law(kind))
        assert told == f"no equilibrium is known: {kind.value}"


@given(st.floats(0.3, 20), st.floats(0.01, 2), st.sampled_from([2, 4]))
def test_two_norms_tell_the_equilibrium_and_the_steps_to_it(start, n, power):
    end = after_n(start, n, power)
    off = excess(math.log(end / start), n, power)
    assert math.isclose(off, end**power - 1, rel_tol=1e-5, abs_tol=1e-6)
    if abs(off) > 1.01 * NEAR:
        law = Law({4: Kind.COUPLED, 2: Kind.DECOUPLED}[power])
        told = verdict(case(excess=off, time_scale=1e4), law)
        reached = after_n(end, float(told.split()[2].replace(",", "")) / 1e4, power)
        assert math.isclose(abs(reached**power - 1), NEAR, rel_tol=1e-2)


@pytest.mark.parametrize("what", [(0.1, 0.0, 2), (0.1, 0.5, 0), (NAN, 0.5, 2)])
def test_nothing_is_told_of_a_norm_without_decay_or_law(what):
    assert not abs(excess(*what)) <= math.inf or what[0] != what[0]


def test_what_falls_as_fast_as_decay_alone_is_held_by_nothing():
    assert excess(-0.5, 0.5, 2) == math.inf
    assert excess(-0.6, 0.5, 4) == math.inf
    assert excess(-0.4, 0.5, 2) > 0


def test_the_border_of_nothing_is_five_per_cent_of_a_norm():
    assert 1 - math.exp(-NOTHING) < 0.05 < 1 - math.exp(-1.1 * NOTHING)
