"""The dictionary of λ: trained to the same weights in PyTorch and scikit-learn; refused where nothing is the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch.nn import functional

from l2lib.conventions import CONVENTIONS, LOSSES, convert
from l2lib.penalty import ridge

RNG = np.random.default_rng(0)
N, BATCH = 40, 8
X = RNG.standard_normal((N, 3))
Y = X @ np.array([1.0, -2.0, 0.1]) + 0.5 + RNG.standard_normal(N)
LABELS = (np.median(Y) < Y).astype(float)
LAM = 0.3  # in the book's convention
FIT = ridge(X, Y, LAM)[0]
NUMBERS = {"lr": 0.05, "n": N, "batch_size": BATCH}
FULL = {"n": N, "batch_size": N}


def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


TORCH_LOSSES = {
    "half_mse": half_mse,
    "mse": functional.mse_loss,
    "half_sse": lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum") / 2,
    "sse": lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum"),
    "cross_entropy": functional.binary_cross_entropy_with_logits,
    "cross_entropy_sum": lambda outputs, targets: functional.binary_cross_entropy_with_logits(
        outputs, targets, reduction="sum"
    ),
}
SCALES = {"half_mse": 1, "mse": 2, "half_sse": N, "sse": 2 * N, "cross_entropy": 1, "cross_entropy_sum": N}


def train(loss, lr, *, optimizer="SGD", term=None, targets=Y, steps=800, factor=1.0, **options):
    """Weights of a linear model after full-batch steps; only the weights are decayed, penalised or multiplied."""
    model = torch.nn.Linear(3, 1, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    decay = options.pop("weight_decay", 0.0)
    groups = [{"params": [model.weight], "weight_decay": decay}, {"params": [model.bias], "weight_decay": 0.0}]
    rule = getattr(torch.optim, optimizer)(groups, lr=lr, **options)
    for _ in range(steps):
        rule.zero_grad()
        value = loss(model(torch.tensor(X))[:, 0], torch.tensor(targets))
        (value + term(model.weight) if term else value).backward()
        with torch.no_grad():
            model.weight.mul_(factor)
        rule.step()
    return model.weight.detach().numpy()[0]


def squares(coefficient):
    return lambda w: coefficient * w.square().sum()


# ---- PyTorch -------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", ["half_mse", "mse", "half_sse", "sse"])
@pytest.mark.parametrize("name", ["book", "no_half", "over_2m", "torch_sgd", "keras_l2"])
def test_penalties_beside_any_loss_have_the_same_minimum(name, loss):
    number = convert(LAM, "book", name, target_loss=loss, **FULL)
    lr = 0.3 / SCALES[loss]
    if name == "torch_sgd":
        w = train(TORCH_LOSSES[loss], lr, weight_decay=number)
    else:
        coefficient = {"book": 1 / 2, "no_half": 1, "over_2m": 1 / (2 * N), "keras_l2": 1}[name]
        w = train(TORCH_LOSSES[loss], lr, term=squares(coefficient * number))
    assert np.allclose(w, FIT, atol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy_sum"])
def test_logistic_regression(loss):
    number = convert(LAM, "book", "torch_sgd", loss="cross_entropy", target_loss=loss, **FULL)
    w = train(TORCH_LOSSES[loss], 1.0 / SCALES[loss], weight_decay=number, targets=LABELS)
    inverse = convert(number, "torch_sgd", "sklearn_logistic", loss=loss, **FULL)
    theirs = LogisticRegression(C=inverse, tol=1e-12, max_iter=10_000).fit(X, LABELS)
    assert np.allclose(w, theirs.coef_[0], atol=1e-6)
    assert inverse == pytest.approx(1 / (N * LAM))


@pytest.mark.parametrize("loss", ["half_mse", "mse", "sse"])
def test_a_rescaled_loss_takes_the_same_sgd_steps_with_lr_divided(loss):
    number = convert(LAM, "torch_sgd", "torch_sgd", loss="half_mse", target_loss=loss, **FULL)
    ours = train(half_mse, 0.1, weight_decay=LAM, steps=7, momentum=0.9)
    theirs = train(TORCH_LOSSES[loss], 0.1 / SCALES[loss], weight_decay=number, steps=7, momentum=0.9)
    assert np.allclose(ours, theirs, atol=1e-12)


def test_a_penalty_inside_adam_has_the_same_steps_however_it_is_written():
    number = convert(LAM, "torch_adam", "keras_l2", loss="mse")
    ours = train(functional.mse_loss, 0.01, optimizer="Adam", weight_decay=LAM, steps=50)
    theirs = train(functional.mse_loss, 0.01, optimizer="Adam", term=squares(number), steps=50)
    assert np.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("loss", ["half_mse", "mse"])
def test_penalty_and_decay_are_the_same_under_plain_sgd(loss):
    factor = convert(LAM, "torch_sgd", "factor", lr=0.1, loss=loss, optimizer="sgd")
    ours = train(TORCH_LOSSES[loss], 0.1, weight_decay=LAM, steps=20)
    theirs = train(TORCH_LOSSES[loss], 0.1, factor=factor, steps=20)
    assert np.allclose(ours, theirs, atol=1e-12)
    assert convert(factor, "factor", "torch_sgd", lr=0.1, loss=loss, optimizer="sgd") == pytest.approx(LAM)
    other = convert(factor, "factor", "no_half", lr=0.1, loss=loss, optimizer="sgd")
    assert other == pytest.approx(LAM / 2)


def test_a_closed_form_becomes_the_decay_of_sgd_on_another_loss():
    decay = convert(N * LAM, "sklearn_ridge", "keras_optimizer", n=N, lr=0.1, loss="mse", optimizer="sgd")
    w = train(functional.mse_loss, 0.1, factor=1 - 0.1 * decay)
    assert np.allclose(w, FIT, atol=1e-9)


@pytest.mark.parametrize(
    "name", ["torch_adamw", "adamw_paper", "keras_optimizer", "optax_adamw", "fastai", "optax_after"]
)
def test_decays_are_the_share_that_adamw_takes(name):
    number = convert(LAM, "torch_adamw", name, lr=0.05)
    share = {"adamw_paper": number, "optax_after": -number}.get(name, 0.05 * number)
    factor = convert(number, name, "factor", lr=0.05)
    ours = train(half_mse, 0.05, optimizer="AdamW", weight_decay=LAM, steps=30)
    theirs = train(half_mse, 0.05, optimizer="Adam", factor=1 - share, steps=30)
    assert np.allclose(ours, theirs, atol=1e-12)
    assert factor == pytest.approx(1 - share, abs=1e-15)


def test_adam_s_flag_is_adamw():
    ours = train(half_mse, 0.05, optimizer="AdamW", weight_decay=LAM, steps=30)
    flag = train(half_mse, 0.05, optimizer="Adam", weight_decay=LAM, steps=30, decoupled_weight_decay=True)
    assert np.array_equal(ours, flag)


# ---- scikit-learn --------------------------------------------------------------------------
def test_ridge_has_the_book_s_minimum():
    alpha = convert(LAM, "book", "sklearn_ridge", n=N)
    assert np.allclose(Ridge(alpha=alpha).fit(X, Y).coef_, FIT, atol=1e-10)
    assert convert(2 * LAM, "torch_sgd", "sklearn_ridge", n=N, loss="mse") == pytest.approx(alpha)


def test_perceptrons_have_the_book_s_minimum():
    alpha = convert(LAM, "book", "sklearn_mlp", **FULL)
    options = {
        "hidden_layer_sizes": (),
        "solver": "lbfgs",
        "alpha": alpha,
        "tol": 1e-14,
        "max_iter": 10_000,
        "random_state": 0,
    }
    assert np.allclose(MLPRegressor(**options).fit(X, Y).coefs_[0][:, 0], FIT, atol=1e-6)
    w = train(functional.binary_cross_entropy_with_logits, 1.0, weight_decay=LAM, targets=LABELS)
    assert np.allclose(MLPClassifier(**options).fit(X, LABELS).coefs_[0][:, 0], w, atol=1e-6)


def test_the_perceptron_s_alpha_is_divided_by_the_minibatch():
    """One epoch of its SGD, in order, against the same steps written out."""
    alpha = convert(LAM, "book", "sklearn_mlp", n=N, batch_size=BATCH)
    options = {
        "hidden_layer_sizes": (),
        "solver": "sgd",
        "learning_rate_init": 0.1,
        "momentum": 0.0,
        "batch_size": BATCH,
        "shuffle": False,
    }
    model = MLPRegressor(alpha=alpha, random_state=0, **options)
    w, b = np.zeros(3), 0.0
    model.partial_fit(X, Y)
    model.coefs_[0][:], model.intercepts_[0][:] = 0.0, 0.0
    model.partial_fit(X, Y)
    for rows in np.arange(N).reshape(-1, BATCH):
        error = X[rows] @ w + b - Y[rows]
        w, b = w - 0.1 * (X[rows].T @ error / BATCH + LAM * w), b - 0.1 * error.mean()
    assert np.allclose(model.coefs_[0][:, 0], w, atol=1e-12)


def test_lasso_is_l1_beside_half_the_mean_squared_error():
    alpha = 0.5
    number = convert(alpha, "sklearn_lasso", "keras_l1", target_loss="mse")
    w = Lasso(alpha=alpha, tol=1e-14, max_iter=100_000).fit(X, Y).coef_
    centred = X - X.mean(0)
    slope = 2 * centred.T @ (centred @ w - Y + Y.mean()) / N  # of the mean squared error, without ½
    assert (w == 0).any()
    assert np.allclose(slope[w != 0], -number * np.sign(w[w != 0]), atol=1e-9)
    assert (np.abs(slope[w == 0]) < number).all()


# ---- there and back, and what is refused ---------------------------------------------------
@pytest.mark.parametrize("name", CONVENTIONS)
@given(value=st.floats(1e-4, 0.9))
def test_there_and_back(name, value):
    row = CONVENTIONS[name]
    loss = "cross_entropy" if row.loss == "cross_entropy" else "sse"
    reference = {"penalty": "keras_l2", "l1": "keras_l1", "decay": "fastai"}[row.kind]
    value = -value if name == "optax_after" else value
    there = convert(value, name, reference, loss=loss, **NUMBERS)
    assert convert(there, reference, name, loss=loss, **NUMBERS) == pytest.approx(value, rel=1e-9)
    if row.kind == "penalty":
        theirs = convert(value, name, "fastai", loss=loss, optimizer="sgd", **NUMBERS) if name != "torch_adam" else None
        assert theirs is None or theirs > 0


def test_no_penalty_is_no_penalty_everywhere():
    for name, row in CONVENTIONS.items():
        if row.kind == "penalty":
            nothing = convert(0, "book", name, loss=row.loss or "mse", **NUMBERS)
            assert nothing == (math.inf if name == "sklearn_logistic" else 0)
            assert convert(nothing, name, "keras_l2", loss=row.loss or "mse", **NUMBERS) == 0


def test_every_loss_is_tested():
    assert LOSSES.keys() == SCALES.keys() == TORCH_LOSSES.keys()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.1, "torch_adam", "torch_adamw"), {"lr": 0.1}, "own rate"),
        ((0.1, "torch_adamw", "torch_adam"), {"lr": 0.1, "optimizer": "sgd"}, "own rate"),
        ((0.1, "keras_l2", "keras_optimizer"), {"lr": 0.1, "optimizer": "adam"}, "own rate"),
        ((0.1, "keras_l2", "torch_adamw"), {"lr": 0.1, "optimizer": "sgd"}, "own rate"),
        ((0.1, "keras_l2", "keras_optimizer"), {"lr": 0.1}, "say optimizer='sgd'"),
        ((0.1, "torch_sgd", "keras_optimizer"), {"lr": 0.1, "optimizer": "sgd with momentum"}, "plain SGD only"),
        ((0.1, "sklearn_ridge", "factor"), {"lr": 0.1, "n": 10}, "plain SGD only"),
        ((0.1, "sklearn_lasso", "torch_sgd"), {}, "L1 penalty"),
        ((0.1, "fastai", "keras_l1"), {"lr": 0.1, "optimizer": "sgd"}, "L1 penalty"),
        ((0.1, "book", "sklearn_ridge"), {}, "depends on n; give n="),
        ((0.1, "torch_adamw", "adamw_paper"), {}, "depends on lr"),
        ((0.1, "book", "sklearn_mlp"), {"n": 10}, "depends on batch_size"),
        ((0.1, "book", "keras_l2"), {"loss": "sse"}, "depends on batch_size"),
        ((0.1, "torch_sgd", "factor"), {"optimizer": "sgd"}, "depends on lr"),
        ((0.1, "book", "sklearn_logistic"), {"n": 10}, "cross_entropy built in"),
        ((0.1, "sklearn_ridge", "book"), {"n": 10, "loss": "cross_entropy"}, "half_mse built in"),
        ((-0.1, "book", "keras_l2"), {}, "out of range"),
        ((math.nan, "book", "keras_l2"), {}, "out of range"),
        ((math.inf, "book", "keras_l2"), {}, "out of range"),
        ((0.0, "sklearn_logistic", "book"), {"n": 10, "loss": "cross_entropy"}, "out of range"),
        ((0.1, "optax_after", "fastai"), {"lr": 0.1}, "weights would grow"),
        ((1.01, "factor", "fastai"), {"lr": 0.1}, "weights would grow"),
        ((0.1, "torch", "book"), {}, "no convention is called 'torch'; choose one of book"),
        ((0.1, "book", "keras"), {}, "no convention is called 'keras'"),
        ((0.1, "book", "keras_l2"), {"loss": "mae"}, "no loss is called 'mae'"),
        ((0.1, "book", "sklearn_ridge"), {"n": 0}, "n is 0; it must be"),
        ((0.1, "torch_adamw", "factor"), {"lr": -0.1}, "lr is -0.1"),
        ((0.1, "torch_adamw", "factor"), {"lr": math.inf}, "lr is inf"),
    ],
)
def test_what_has_no_equivalent_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        convert(*arguments, **options)
