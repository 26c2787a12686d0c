"""Each update rule against its formula, one configuration at a time in NumPy; where a norm is zero, too."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2lib.sweep.updates import RULES, Step, rule_of, unit

BETA2, EPS = 0.9, 1e-3


def by_hand(rule, w, g, state, t, lr, s, mu, lam):
    """One step of one configuration; lr is the base rate, s the schedule's factor."""
    eta = s * lr
    if rule in ("sgd", "adam", "trust_ratio"):
        g = g + lam * w
    elif rule in ("sgdw", "adamw"):
        w = w - eta * lam * w
    else:
        w = w - s * lam * w
    if rule == "trust_ratio":
        sizes = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
        g = g * sizes[0] / sizes[1] if min(sizes) > 0 else g
    if rule in ("sgd", "sgdw", "trust_ratio"):
        state["v"] = mu * state.get("v", 0.0) + g
        return w - eta * state["v"]
    state["m"] = mu * state.get("m", 0.0) + (1 - mu) * g
    state["v"] = BETA2 * state.get("v", 0.0) + (1 - BETA2) * g**2
    m, v = state["m"] / (1 - mu**t), state["v"] / (1 - BETA2**t)
    return w - eta * m / (np.sqrt(v) + EPS)


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 1000), decayed=st.booleans(), heavy=st.booleans(), zero=st.booleans())
def test_a_rule_is_its_formula_for_each_configuration_alone(name, seed, decayed, heavy, zero):
    """Four configurations, four steps; None stands for a λ or μ that is 0 in all."""
    rng = np.random.default_rng(seed)
    lr, lam, mu = (
        rng.uniform(0.1, 0.5, 4),
        rng.uniform(0, 1, 4) * decayed,
        rng.uniform(0, 0.9, 4) * heavy,
    )
    start = rng.standard_normal((4, 3, 2))
    start[0] *= not zero
    w, states = torch.tensor(start), [{} for _ in range(4)]
    buffers = [torch.zeros_like(w) for _ in range(RULES[name].buffers)]
    expected = start.copy()
    for t in range(1, 5):
        s, g = rng.uniform(0.1, 1), rng.standard_normal((4, 3, 2))
        if zero:
            g[:2] = 0
        step = Step(
            t,
            s,
            column(s * lr),
            column(mu) if heavy else None,
            column(lam) if decayed else None,
            BETA2,
            EPS,
        )
        RULES[name].update(w, torch.tensor(g), *buffers, step)
        for k in range(4):
            expected[k] = by_hand(name, expected[k], g[k], states[k], t, lr[k], s, mu[k], lam[k])
        np.testing.assert_allclose(w, expected, rtol=1e-11, atol=1e-13)


def test_a_weight_of_zero_takes_a_plain_step_and_one_without_gradient_stays():
    """A norm of zero would make the trust ratio 0 or infinite: no step for ever, or nan."""
    w, g = torch.zeros(2, 1, 2).double(), torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]]).double()
    w[1] = 1
    step = Step(1, 1.0, column([0.1, 0.1]), None, None, BETA2, EPS)
    RULES["trust_ratio"].update(w, g, torch.zeros_like(w), step)
    np.testing.assert_allclose(w, [[[-0.3, -0.4]], [[1.0, 1.0]]])


def test_what_a_rule_needs_is_said():
    momenta = {name: rule.momentum for name, rule in RULES.items()}
    assert momenta == dict.fromkeys(("sgd", "sgdw", "trust_ratio"), 0.0) | dict.fromkeys(
        ("adam", "adamw", "adamw_paper"), 0.9
    )
    for name, rule in RULES.items():
        assert rule is rule_of(name)
        assert rule.for_role("weight") is rule.update
        other = RULES["sgd"].update if name == "trust_ratio" else rule.update
        assert all(rule.for_role(role) is other for role in ("bias", "gamma", "beta", "g"))
    with pytest.raises(ValueError, match="optimizer is 'lion'; choose one of sgd, sgdw"):
        rule_of("lion")


@given(seed=st.integers(0, 100), exponent=st.integers(-100, 100))
def test_a_unit_has_its_direction_and_norm_one(seed, exponent):
    w = torch.tensor(np.random.default_rng(seed).standard_normal((3, 4, 2))) * 10.0**exponent
    for k, found in enumerate(unit(w)):
        np.testing.assert_allclose(found, w[k] / np.linalg.norm(w[k].ravel()), rtol=1e-12)
