"""The penalty's formulas, as identities over random cases."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from l2lib.penalty import (
    SCALINGS,
    filter_factors,
    half_life,
    l2_penalty,
    ridge,
    shrink_factor,
    size_factor,
)

decays = st.floats(1e-4, 10)
vectors = arrays(np.float64, st.integers(1, 6), elements=st.floats(-10, 10))


@st.composite
def regressions(draw, max_n=12, max_d=6):
    """A well-scaled random regression; more inputs than examples is allowed."""
    n, d, seed = (
        draw(st.integers(2, max_n)),
        draw(st.integers(1, max_d)),
        draw(st.integers(0, 10_000)),
    )
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal(n) + 3.0


@given(w=vectors, decay=decays, half=st.booleans())
def test_gradient_of_the_penalty(w, decay, half):
    weight = torch.tensor(w, requires_grad=True)
    value = l2_penalty([weight], decay, half=half)
    (gradient,) = torch.autograd.grad(value, weight)
    scale = 1 if half else 2
    assert value.item() == pytest.approx(scale * decay / 2 * float(w @ w), rel=1e-12)
    assert np.allclose(gradient.numpy(), scale * decay * w, rtol=1e-12)


@pytest.mark.parametrize(
    ("scaling", "matrix", "kernel"),
    [
        ("sum", 1, 1),
        ("mean", 1 / 12, 1 / 216),
        ("fans", 1 / 3 + 1 / 4, (27 + 72) / 216),
        ("fan_in", 4, 27),
    ],
)
def test_size_factors(scaling, matrix, kernel):
    assert size_factor((3, 4), scaling) == pytest.approx(matrix, rel=1e-12)
    assert size_factor((8, 3, 3, 3), scaling) == pytest.approx(kernel, rel=1e-12)


@given(out=st.integers(1, 9), fan_in=st.integers(1, 9), pixels=st.integers(1, 9))
def test_size_factors_of_kernels(out, fan_in, pixels):
    shape = (out, fan_in, pixels)
    assert size_factor(shape, "mean") * out * fan_in * pixels == pytest.approx(1)
    assert size_factor(shape, "fan_in") == pytest.approx(fan_in * pixels)
    assert size_factor(shape, "fans") == pytest.approx(1 / fan_in + 1 / out)  # the kernel cancels


def test_every_scaling_is_tested_and_enters_the_penalty():
    small, large = torch.ones(1, 2), torch.full((3, 4), 2.0)
    factors = {"sum": (1, 1), "mean": (1 / 2, 1 / 12), "fans": (3 / 2, 7 / 12), "fan_in": (2, 4)}
    assert factors.keys() == SCALINGS.keys()
    for scaling, (a, b) in factors.items():
        assert l2_penalty([small, large], 0.5, scaling=scaling).item() == pytest.approx(
            0.25 * (2 * a + 48 * b)
        )


@pytest.mark.parametrize(
    ("shape", "scaling", "message"),
    [
        ((3, 4), "average", "choose one of sum"),
        ((4,), "mean", "no bias"),
        ((0, 4), "sum", "each ≥ 1"),
    ],
)
def test_size_factor_refuses(shape, scaling, message):
    with pytest.raises(ValueError, match=message):
        size_factor(shape, scaling)


def test_penalty_adds_up_over_tensors():
    parts = [torch.ones(2, 3), 2 * torch.ones(4)]
    assert l2_penalty(parts, 0.5).item() == pytest.approx(0.25 * (6 + 16))


@given(
    data=regressions(),
    decay=decays,
    intercept=st.booleans(),
    loss=st.sampled_from(["half_mse", "mse"]),
)
def test_ridge_is_the_minimum(data, decay, intercept, loss):
    X, y = data
    w, b = ridge(X, y, decay, intercept=intercept, loss=loss)
    residual = y - X @ w - b
    scale = {"half_mse": 1, "mse": 2}[loss]
    assert np.allclose(scale * X.T @ residual / len(y), decay * w, atol=1e-9)
    assert abs(residual.mean()) < 1e-9 or not intercept
    assert intercept or b == 0


@given(data=regressions(), decay=decays)
def test_ridge_for_many_decays_is_ridge_for_each(data, decay):
    X, y = data
    w, b = ridge(X, y, [0.0, decay, 3 * decay])
    assert w.shape == (3, X.shape[1])
    assert b.shape == (3,)
    for row, lam in enumerate([0.0, decay, 3 * decay]):
        alone = ridge(X, y, lam)
        assert np.allclose(w[row], alone[0], atol=1e-12)
        assert np.allclose(b[row], alone[1], atol=1e-12)


@given(data=regressions(max_n=5, max_d=12))
def test_ridge_without_penalty_is_the_fit_of_smallest_norm(data):
    X, y = data
    expected = np.linalg.pinv(X - X.mean(0)) @ (y - y.mean())
    assert np.allclose(ridge(X, y, 0.0)[0], expected, atol=1e-7)


@given(data=regressions(), decay=decays, exponent=st.integers(-9, 9))
def test_other_units_of_the_inputs_change_the_units_of_w_only(data, decay, exponent):
    """What counts as rounding is a share of the largest singular value, whatever its unit."""
    (X, y), unit = data, 10.0**exponent
    for lam in (0.0, decay):
        w, b = ridge(X, y, lam)
        scaled, same = ridge(X * unit, y, lam * unit**2)
        assert np.allclose(scaled * unit, w, rtol=1e-6, atol=1e-9)
        assert np.allclose(same, b, rtol=1e-6)


@given(seed=st.integers(0, 1000), digits=st.integers(0, 5))
def test_a_weak_direction_is_fitted_all_the_same(seed, digits):
    """An input that is 10^-digits of the others, without penalty, and b, by the normal equations."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 3)) * [1.0, 1.0, 10.0**-digits]
    truth, offset = [1.0, -2.0, 3.0 * 10.0**digits], 5.0
    w, b = ridge(X, X @ truth + offset, 0.0)
    assert np.allclose(w, truth, rtol=1e-6)
    assert np.allclose(b, offset, rtol=1e-6)


@pytest.mark.parametrize(("weak", "fitted"), [(1e-9, 1e9), (1e-14, 0.0)])
def test_a_direction_counts_as_none_only_below_rounding(weak, fitted):
    w, _ = ridge([[1.0, 0.0], [0.0, weak]], [1.0, 1.0], 0.0, intercept=False)
    np.testing.assert_allclose(w, [1.0, fitted], rtol=1e-9)


@given(data=regressions(), decay=decays)
def test_filter_factors_sums_to_the_trace_of_the_hat_matrix(data, decay):
    X, _ = data
    n, d = X.shape
    hat = X @ np.linalg.solve(X.T @ X + n * decay * np.eye(d), X.T)
    factors = filter_factors(np.linalg.svd(X, compute_uv=False), n, decay)
    assert factors.sum() == pytest.approx(np.trace(hat), abs=1e-9)
    assert ((factors >= 0) & (factors <= 1)).all()


def test_filter_factors_at_the_edges():
    assert filter_factors([2.0, 0.0], 4, 0.0).tolist() == [1.0, 0.0]
    assert filter_factors([2.0, 0.0], 4, 1.0).tolist() == [0.5, 0.0]
    assert filter_factors([2.0, 0.0], 4, [0.0, 1.0]).shape == (2, 2)


@given(lr=st.floats(1e-4, 1), decay=st.floats(1e-4, 0.99))
def test_half_life_halves(lr, decay):
    assert math.exp(half_life(lr, decay) * math.log1p(-lr * decay)) == pytest.approx(0.5, rel=1e-12)
    assert shrink_factor(lr, decay) == 1 - lr * decay


@given(lr=st.floats(1e-3, 10), rate=st.floats(0.01, 1.99).filter(lambda rate: abs(rate - 1) > 0.01))
def test_half_life_halves_what_changes_sign_too(lr, rate):
    factor = shrink_factor(lr, rate / lr)
    assert abs(factor) ** half_life(lr, rate / lr) == pytest.approx(0.5, rel=1e-9)


def test_half_life_at_the_edges():
    assert half_life(0.1, 0.0) == math.inf
    assert half_life(0.5, 2.0) == 0.0
    assert half_life(1.0, 1.5) == pytest.approx(1.0)  # the factor is -1/2
    assert half_life(1.0, 1e-18) == pytest.approx(math.log(2) * 1e18)  # where 1 - ηλ rounds to 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: l2_penalty([torch.ones(2)], -0.1), "λ must be a finite number ≥ 0"),
        (lambda: l2_penalty([torch.ones(2)], math.nan), "weight_decay is nan"),
        (lambda: l2_penalty([torch.ones(2)], math.inf), "weight_decay is inf"),
        (lambda: l2_penalty([torch.ones(2)], "0.1"), "weight_decay is '0.1'"),
        (lambda: filter_factors([math.inf], 3, 0.1), "finite singular values"),
        (lambda: l2_penalty([], 0.1), "no weights were given"),
        (lambda: l2_penalty([torch.ones(2)], 0.1, scaling="mean"), "no bias"),
        (lambda: l2_penalty([torch.ones(2, 2)], 0.1, scaling="average"), "choose one of sum"),
        (lambda: shrink_factor(0.0, 0.1), "learning rate must be a positive"),
        (lambda: shrink_factor(math.nan, 0.1), "lr is nan"),
        (lambda: shrink_factor(0.1, 20.0), "must be below 2"),
        (lambda: shrink_factor(1.0, 2.0), "must be below 2"),
        (lambda: shrink_factor(math.inf, 0.0), "lr is inf"),
        (lambda: half_life(0.1, -1.0), "weight_decay is -1"),
        (lambda: ridge(np.ones((3, 2)), np.ones(3), -1.0), "weight_decay is -1"),
        (lambda: ridge(np.ones((3, 2)), np.ones(3), [0.1, math.inf]), "weight_decay is inf"),
        (
            lambda: ridge(np.ones((3, 2)), np.ones(3), 0.1, loss="cross_entropy"),
            "loss is 'cross_entropy'; ridge minimises 'half_mse' or 'mse'",
        ),
        (lambda: ridge(np.ones((3, 2)), np.ones(4), 0.1), "same n"),
        (lambda: ridge(np.ones((2, 3, 2)), np.ones((2, 3)), 0.1), "one data set"),
        (lambda: filter_factors([1.0], 0, 0.1), "n ≥ 1"),
        (lambda: filter_factors([-1.0], 3, 0.1), "singular values ≥ 0"),
        (lambda: filter_factors([1.0], 3, -0.1), "λ must be"),
        (lambda: filter_factors([math.nan], 3, 0.1), "finite singular values"),
        (lambda: ridge(np.ones((3, 2)), np.ones(3), [[0.1]]), "one number or a list"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
