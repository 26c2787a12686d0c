"""The rows of the dictionary against their libraries, and what a run's settings do to λ."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch.nn import functional

from l2lib._momentum import Momentum
from l2lib.conventions import CONVENTIONS, convert, describe_conventions

RNG = np.random.default_rng(1)
N, LAM = 50, 0.3
X = RNG.standard_normal((N, 3))
Y = X @ RNG.standard_normal((3, 2)) + 0.5 * RNG.standard_normal((N, 2))
LABELS = np.median(Y, axis=0) < Y
WEIGHTS = RNG.uniform(0.2, 3, N)


EVEN = np.ones(N)


def minimum(lam, targets=Y, weights=EVEN):
    """Half the weighted mean of an example's squared errors plus (λ/2)‖W‖², no intercept."""
    scaled = weights[:, None] / weights.sum()
    return np.linalg.solve(X.T @ (scaled * X) + lam * np.eye(3), X.T @ (scaled * targets))


def trained(loss, lam, targets=Y, lr=1.0, steps=3000):
    """A linear model's weights, shape (3, outputs), after steps of SGD with momentum on all data."""
    W = torch.zeros(3, targets.shape[1], dtype=torch.float64, requires_grad=True)
    rule = torch.optim.SGD([W], lr=lr, weight_decay=lam, momentum=0.9)
    inputs, targets = torch.tensor(X), torch.tensor(targets)
    for _ in range(steps):
        rule.zero_grad()
        loss(inputs @ W, targets).backward()
        rule.step()
    return W.detach().numpy()


def left(rule, steps=1, lr=0.02, schedule=None, shape=(6, 4), **options):
    """What steps with zero gradients leave of a weight: factors, the same for each number."""
    start = torch.tensor(np.random.default_rng(0).uniform(1, 2, shape))
    parameter = torch.nn.Parameter(start.clone())
    optimizer = rule([parameter], lr=lr, **options)
    for t in range(steps):
        optimizer.param_groups[0]["lr"] = lr * schedule(t) if schedule else lr
        parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    factors = (parameter.detach() / start).numpy()
    assert np.ptp(factors) < 1e-12
    return factors.mean()


# ---- several targets -----------------------------------------------------------------------
def test_several_targets_divide_the_mean_squared_error_and_not_ridge():
    number = convert(20, "sklearn_ridge", "torch_sgd", n=N, outputs=2, target_loss="mse")
    assert number == pytest.approx(20 / N * 2 / 2)
    ours = Ridge(alpha=20, fit_intercept=False).fit(X, Y).coef_.T
    assert np.allclose(trained(functional.mse_loss, number), ours, atol=1e-9)
    alone = convert(20, "sklearn_ridge", "torch_sgd", n=N, target_loss="mse")
    assert np.abs(trained(functional.mse_loss, alone) - ours).max() > 0.01


@given(outputs=st.integers(1, 9), batch=st.integers(1, 64))
def test_a_sum_over_outputs_is_not_divided(outputs, batch):
    options = {"batch_size": batch, "outputs": outputs}
    summed = convert(LAM, "torch_sgd", "torch_sgd", loss="mse", target_loss="sse", **options)
    assert summed == pytest.approx(LAM * batch * outputs)
    half = convert(LAM, "book", "book", loss="half_mse", target_loss="half_sse", **options)
    assert half == pytest.approx(LAM * batch * outputs)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_several_labels_divide_a_binary_cross_entropy():
    """MLPClassifier adds the labels' losses up; PyTorch's mean divides by them."""
    labels = LABELS.astype(float)
    alpha = convert(
        0.02, "torch_sgd", "sklearn_mlp", loss="binary_cross_entropy", outputs=2, batch_size=N
    )
    options = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0.9, "batch_size": N}
    options |= {"max_iter": 4000, "tol": 0, "n_iter_no_change": 4000, "learning_rate_init": 1.0}
    model = MLPClassifier(alpha=alpha, random_state=0, shuffle=False, **options)
    model.fit(X, LABELS)
    W, b = torch.tensor(model.coefs_[0]), torch.tensor(model.intercepts_[0])
    W.requires_grad_()
    mean = functional.binary_cross_entropy_with_logits(
        torch.tensor(X) @ W + b, torch.tensor(labels)
    )
    (slope,) = torch.autograd.grad(mean, W)
    assert torch.allclose(slope, -0.02 * W, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_perceptrons_with_several_targets_add_them_up():
    """Its printed loss divides by the outputs, its gradient does not."""
    options = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0.0, "batch_size": N}
    model = MLPRegressor(
        alpha=convert(LAM, "book", "sklearn_mlp", loss="half_mse", outputs=2, batch_size=N),
        learning_rate_init=0.1, max_iter=3000, tol=0, n_iter_no_change=3000, random_state=0, **options,
    )  # fmt: skip
    Z, T = X - X.mean(0), Y - Y.mean(0)
    model.fit(Z, T)
    expected = np.linalg.solve(Z.T @ Z / N + 2 * LAM * np.eye(3), Z.T @ T / N)
    assert np.allclose(model.coefs_[0], expected, atol=1e-9)


# ---- weights of examples -------------------------------------------------------------------
def test_ridge_adds_up_the_weights():
    alpha = convert(LAM, "book", "sklearn_ridge", sample_weight_sum=WEIGHTS.sum())
    model = Ridge(alpha=alpha, fit_intercept=False).fit(X, Y, sample_weight=WEIGHTS)
    assert np.allclose(model.coef_.T, minimum(LAM, weights=WEIGHTS), atol=1e-10)
    assert convert(LAM, "book", "sklearn_ridge", n=3, sample_weight_sum=2.5) == pytest.approx(
        LAM * 2.5
    )


def test_logistic_regression_adds_up_the_weights():
    """PyTorch's class weights make a weighted mean, of which they need no sum."""
    labels, by_class = LABELS[:, 0].astype(int), np.array([0.5, 3.0])
    weights = by_class[labels]
    C = convert(
        LAM, "torch_sgd", "sklearn_logistic", loss="cross_entropy", sample_weight_sum=weights.sum()
    )
    model = LogisticRegression(C=C, fit_intercept=False, tol=1e-12, max_iter=10_000)
    w = model.fit(X, labels, sample_weight=weights).coef_[0]

    def loss(outputs, targets):
        logits = torch.cat([torch.zeros_like(outputs), outputs], 1)
        return functional.cross_entropy(logits, targets[:, 0].long(), torch.tensor(by_class))

    ours = trained(loss, LAM, labels[:, None].astype(float), lr=0.5)
    assert np.allclose(ours[:, 0], w, atol=1e-6)


def test_a_summed_loss_of_weighted_examples_needs_all_of_them():
    number = convert(LAM, "book", "torch_sgd", target_loss="sse", sample_weight_sum=7.5)
    assert number == pytest.approx(LAM * 2 * 7.5)
    with pytest.raises(ValueError, match="differs from minibatch to minibatch"):
        convert(LAM, "book", "sklearn_mlp", sample_weight_sum=7.5, batch_size=8)


def test_perceptrons_divide_by_the_weights_of_a_batch():
    alpha = convert(LAM, "book", "sklearn_mlp", sample_weight_sum=WEIGHTS.sum())
    model = MLPRegressor(
        hidden_layer_sizes=(),
        solver="lbfgs",
        alpha=alpha,
        tol=1e-14,
        max_iter=10_000,
        random_state=0,
    )
    model.fit(X, Y[:, 0], sample_weight=WEIGHTS)
    share = WEIGHTS / WEIGHTS.sum()
    Z, T = X - share @ X, Y[:, 0] - share @ Y[:, 0]
    expected = np.linalg.solve(Z.T @ (share[:, None] * Z) + LAM * np.eye(3), Z.T @ (share * T))
    assert np.allclose(model.coefs_[0][:, 0], expected, atol=1e-5)


def test_the_mean_over_tokens_ignores_what_the_loss_ignores():
    """A token is an example: twice as many that are ignored leave λ what it is."""
    logits, labels = (
        torch.randn(6, 3, dtype=torch.float64),
        torch.tensor([0, 1, 2, -100, -100, -100]),
    )
    whole = functional.cross_entropy(logits, labels)
    summed = functional.cross_entropy(logits, labels, reduction="sum")
    factor = convert(1, "book", "book", loss="cross_entropy", target_loss="cross_entropy_sum", batch_size=3)  # fmt: skip
    assert summed.item() == pytest.approx(factor * whole.item())


def test_accumulated_means_are_a_sum():
    """Four micro-batches whose means are added up: λ in the optimiser must be four times as large."""
    number = convert(LAM, "torch_sgd", "torch_sgd", target_loss="half_sse", batch_size=4)
    halves = [slice(i, N, 5) for i in range(5)]
    assert number == 4 * LAM
    W = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    inputs, targets = torch.tensor(X), torch.tensor(Y)
    for rows in halves[:4]:
        (functional.mse_loss(inputs[rows] @ W, targets[rows]) / 2).backward()
    kept = torch.cat([torch.arange(N)[rows] for rows in halves[:4]])
    whole = torch.zeros_like(W, requires_grad=True)
    (functional.mse_loss(inputs[kept] @ whole, targets[kept]) / 2).backward()
    assert torch.allclose(W.grad, 4 * whole.grad)


# ---- momentum ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.9},
        {"momentum": 0.5},
        {"momentum": 0.99},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.6},
        {"momentum": 0.0, "dampening": 0.6},
    ],
)
@pytest.mark.parametrize("target", ["keras_optimizer", "sgdw_paper", "factor"])
def test_a_penalty_in_the_buffer_decays_as_a_share_in_the_long_run(options, target):
    lam, lr, steps = 1e-4, 0.1, 4000
    number = convert(lam, "torch_sgd", target, lr=lr, optimizer="sgd", **options)
    share = {"keras_optimizer": lr * number, "sgdw_paper": number, "factor": 1 - number}[target]
    run = {"lr": lr, "weight_decay": lam, **options}
    ratio = left(torch.optim.SGD, steps + 1, **run) / left(torch.optim.SGD, steps, **run)
    assert 1 - ratio == pytest.approx(share, rel=1e-8)
    back = convert(number, target, "torch_sgd", lr=lr, optimizer="sgd", **options)
    assert back == pytest.approx(lam, rel=1e-9)


def test_the_case_with_which_momentum_was_silent():
    """0.01 is 0.1113 beside the buffer, and not 0.01: what 1000 steps leave of an ignored weight."""
    run = {"lr": 0.1, "loss": "cross_entropy", "optimizer": "sgd"}
    number = convert(0.01, "torch_sgd", "keras_optimizer", momentum=0.9, **run)
    torch_left = left(torch.optim.SGD, 1000, lr=0.1, weight_decay=0.01, momentum=0.9)
    assert (1 - 0.1 * number) ** 1000 == pytest.approx(torch_left, rel=0.2)  # but for the start
    assert 1e4 * torch_left < (1 - 0.1 * 0.01) ** 1000
    with pytest.raises(ValueError, match="give momentum=, 0 for plain SGD"):
        convert(0.01, "torch_sgd", "keras_optimizer", **run)


@given(
    momentum=st.floats(0, 0.999),
    nesterov=st.booleans(),
    dampening=st.floats(0, 0.9),
    part=st.floats(1e-6, 0.999),
)
def test_momentum_there_and_back(momentum, nesterov, dampening, part):
    nesterov = nesterov and momentum > 0
    buffer = Momentum(momentum, 0.0 if nesterov else dampening, nesterov)
    share = part * buffer.fastest
    assert buffer.share(buffer.rate(share)) == pytest.approx(share, rel=1e-6)
    c = 1 + momentum if nesterov else 1
    x = buffer.rate(share) * (1 if momentum == 0 else 1 - buffer.dampening)
    if momentum:
        roots = np.roots([1, -(1 - momentum + c * x), x])
        assert share == pytest.approx(min(abs(roots)), rel=1e-6)


def test_the_two_minima_differ_by_little():
    """As the description says: the decay's minimum is that of the penalty δ(1 - μ)/η."""
    lr, mu, slope = 0.1, 0.9, 2.0
    number = convert(0.02, "torch_sgd", "keras_optimizer", lr=lr, optimizer="sgd", momentum=mu)
    w = v = 0.0
    for _ in range(5000):
        v = mu * v + (w - slope)
        w = (1 - lr * number) * w - lr * v
    other = lr * number * (1 - mu) / lr
    assert w * (1 + other) == pytest.approx(slope, rel=1e-9)
    assert other / 0.02 == pytest.approx(1 / (1 - 0.9 * lr * number / (0.1 * (1 - lr * number))))
    assert 1.2 < other / 0.02 < 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, "momentum is 1; it must be a number, at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum is -0.1"),
        ({"momentum": "0.9"}, "momentum is '0.9'.*text"),
        ({"momentum": True}, "momentum is True.*no numbers"),
        ({"momentum": 0.9, "dampening": 1}, "dampening is 1"),
        ({"momentum": 0.9, "dampening": None}, "dampening is None"),
        ({"momentum": 0.9, "nesterov": 1}, "nesterov is 1; it must be True or False"),
        ({"momentum": 0, "nesterov": True}, "needs a momentum and no dampening"),
        (
            {"momentum": 0.9, "nesterov": True, "dampening": 0.1},
            "needs a momentum and no dampening",
        ),
        ({"momentum": 0.9, "lr": 10.0}, "oscillates beyond ηλ = 0.00263"),
        ({"momentum": 0.9, "nesterov": True, "lr": 10.0}, "oscillates beyond ηλ = 0.00277"),
        ({"momentum": 0.9, "schedule": True}, "does not fall in proportion"),
    ],
)
def test_momentum_that_nothing_matches_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        convert(0.01, "torch_sgd", "sgdw", **{"lr": 0.1, "optimizer": "sgd", **options})


def test_a_share_that_no_penalty_reaches_is_refused():
    sgd = {"lr": 0.1, "optimizer": "sgd", "momentum": 0.9}
    assert convert(0.0513, "sgdw_paper", "torch_sgd", **sgd) > 0
    with pytest.raises(ValueError, match=r"a share of 0.06 a step is too large.*0.0513 a step"):
        convert(0.06, "sgdw_paper", "torch_sgd", **sgd)


# ---- schedules -----------------------------------------------------------------------------
def cosine(t):
    return 0.5 * (1 + math.cos(math.pi * t / 40))


FOLLOW = {
    "torch_nadamw": (torch.optim.NAdam, {"decoupled_weight_decay": True}),
    "torch_radamw": (torch.optim.RAdam, {"decoupled_weight_decay": True}),
    "torch_adamw": (torch.optim.AdamW, {}),
}
FOLLOW |= {  # which came with torch 2.5 and 2.9
    f"torch_{name.lower()}": (getattr(torch.optim, name), {})
    for name in ("Adafactor", "Muon")
    if hasattr(torch.optim, name)
}


@pytest.mark.parametrize("name", FOLLOW)
def test_torch_s_decays_are_shares_that_follow_the_rate(name):
    rule, options = FOLLOW[name]
    number = convert(0.006, "sgdw_paper", name, lr=0.02, schedule=True)
    assert left(rule, weight_decay=number, **options) == pytest.approx(1 - 0.006, rel=1e-12)
    scheduled = left(rule, 40, weight_decay=number, schedule=cosine, **options)
    assert scheduled == pytest.approx(np.prod([1 - 0.006 * cosine(t) for t in range(40)]))


DECAYS = [name for name, row in CONVENTIONS.items() if row.kind == "decay"]
POWERS = {name: CONVENTIONS[name].lr_power for name in DECAYS}


@pytest.mark.parametrize("source", DECAYS)
def test_under_a_schedule_only_what_follows_it_alike_is_the_same(source):
    """λ as the library takes it at each step: by the rate, by the schedule, by nothing, or its square."""
    rates = [0.02 * cosine(t) for t in range(0, 40, 5)]
    for target in DECAYS:
        value = convert(0.006, "sgdw_paper", source, lr=0.02, max_lr=0.02)
        options = {"lr": 0.02, "max_lr": 0.02}
        if POWERS[source] == POWERS[target]:
            number = convert(value, source, target, schedule=True, **options)
            for lr in rates:
                ours, theirs = (
                    share_at(row, each, lr) for row, each in ((source, value), (target, number))
                )
                assert ours == pytest.approx(theirs, rel=1e-9)
        else:
            with pytest.raises(ValueError, match="no λ is the same at every step"):
                convert(value, source, target, schedule=True, **options)


def share_at(name, value, lr):
    """The share of a step at a rate, written out by hand; the base rate is 0.02."""
    if name == "factor":
        return 1 - value
    if name == "optax_after":
        return -value
    if name in ("tfa", "optax_adafactor"):
        return value
    if name in ("adamw_paper", "sgdw_paper", "lion_decoupled"):
        return value * lr / 0.02
    if name in ("timm_corrected", "adamc"):
        return lr * value * lr / 0.02
    return lr * value


def test_under_a_schedule_momentum_stands_between_a_penalty_and_a_decay_only():
    refused = []
    for source, target in (("sgdw", "timm"), ("torch_sgd", "mxnet"), ("torch_sgd", "sgdw")):
        try:
            options = {"lr": 0.1, "momentum": 0.9, "optimizer": "sgd", "schedule": True}
            assert convert(0.003, source, target, **options) == pytest.approx(0.003)
        except ValueError as error:
            refused.append(f"{source}, {target}: {str(error)[:53]}")
    assert refused == ["torch_sgd, sgdw: with the same momentum no λ is the same at every step"]


def test_a_decay_beside_momentum_is_a_penalty_with_another_momentum():
    lr, share, mu = 0.1, 0.02, 0.9
    gradient = torch.cos  # any loss's
    w = torch.tensor([2.0, -1.0], dtype=torch.float64)
    twin = torch.nn.Parameter(w.clone())
    options = {"momentum": (1 - share) * mu, "weight_decay": share * (1 - mu) / lr}
    optimizer = torch.optim.SGD([twin], lr=lr, **options)
    # The buffer of the penalty starts with what the decay takes from the first weights.
    optimizer.state[twin]["momentum_buffer"] = w * share / ((1 - share) * lr)
    buffer = torch.zeros_like(w)
    for _ in range(50):
        twin.grad = gradient(twin.detach())
        buffer = mu * buffer + gradient(w)
        w = (1 - share) * w - lr * buffer
        optimizer.step()
    torch.testing.assert_close(twin.detach(), w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dampening", [0.0, 0.5])
def test_the_limit_that_the_error_names_is_where_errors_begin(dampening):
    buffer = Momentum(0.9, dampening)
    with pytest.raises(ValueError, match="oscillates beyond") as refused:
        buffer.share(1)
    limit = float(re.search(r"beyond ηλ = ([\d.]+)", str(refused.value))[1])
    assert buffer.share(0.99 * limit) > 0
    with pytest.raises(ValueError, match="oscillates beyond"):
        buffer.share(1.01 * limit)


def test_tfa_s_decay_stays_where_the_rate_falls():
    """The advice in its manual, to schedule the decay by hand, is for this."""
    plain = {"optimizer": "sgd", "momentum": 0, "loss": "cross_entropy"}
    assert convert(5e-4, "mxnet", "tfa", lr=0.1, **plain) == pytest.approx(5e-5)
    with pytest.raises(ValueError, match=r"tfa.*the share stays what it is"):
        convert(5e-4, "mxnet", "tfa", lr=0.1, schedule=True, **plain)
    with pytest.raises(ValueError, match=r"own rate.*the decays of SGD are sgdw, sgdw_paper, tfa"):
        convert(5e-4, "mxnet", "adamw_paper", lr=0.1, **plain)


def test_corrected_decay_is_the_square_of_the_rate():
    for name in ("timm_corrected", "adamc"):
        number = convert(0.05, "torch_adamw", name, lr=1e-4, max_lr=1e-3)
        assert number == pytest.approx(0.5)
        assert convert(0.05, "torch_adamw", name, lr=1e-3, max_lr=1e-3) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="depends on max_lr"):
        convert(0.05, "torch_adamw", "adamc", lr=1e-3)
    with pytest.raises(ValueError, match="max_lr is the schedule's largest rate"):
        convert(0.05, "torch_adamw", "adamc", lr=1e-3, max_lr=1e-4)


# ---- rows of PyTorch -----------------------------------------------------------------------
@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam"])
def test_penalties_inside_torch_s_optimisers(name):
    """weight_decay is the penalty (λ/2)‖w‖² in the loss, step by step."""
    number = convert(LAM, "book", f"torch_{name.lower()}", loss="mse", outputs=2)
    runs = []
    for inside, term in ((number, 0.0), (0.0, LAM / 2)):
        W = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
        rule = getattr(torch.optim, name)([W], lr=0.05, weight_decay=inside)
        for _ in range(30):
            rule.zero_grad()
            loss = functional.mse_loss(torch.tensor(X) @ W, torch.tensor(Y))
            (loss + term * W.square().sum()).backward()
            rule.step()
        runs.append(W.detach().numpy())
    assert np.allclose(*runs, atol=1e-12)
    with pytest.raises(ValueError, match=f"{name} divides the penalty's gradient"):
        convert(LAM, f"torch_{name.lower()}", "sgdw", lr=0.1)


# ---- scikit-learn, glmnet ------------------------------------------------------------------
def test_more_of_scikit_learn():
    alpha = convert(LAM, "book", "sklearn_enet_l2")
    model = ElasticNet(alpha=alpha, l1_ratio=0, fit_intercept=False, tol=1e-12, max_iter=100_000)
    w = model.fit(X, Y[:, 0]).coef_
    assert np.allclose(w, minimum(LAM)[:, 0], atol=1e-6)
    for model, targets in ((SGDRegressor, Y[:, 0]), (SGDClassifier, LABELS[:, 0])):
        more = {"loss": "log_loss"} if model is SGDClassifier else {}
        alpha = convert(LAM, "book", "sklearn_sgd", loss="mse")
        rule = model(
            alpha=alpha, learning_rate="constant", eta0=0.05, shuffle=False, max_iter=1, tol=None,
            fit_intercept=False, **more,
        )  # fmt: skip
        found = rule.fit(X, targets).coef_.ravel()
        w = np.zeros(3)
        for x, y in zip(X, targets.astype(float), strict=True):
            p = 1 / (1 + np.exp(-x @ w)) if more else x @ w
            w = (1 - 0.05 * LAM / 2) * w - 0.05 * (p - y) * x
        assert np.allclose(found, w, atol=1e-9)


def glmnet(lam, X, y):
    """What its manual says: y is brought to variance 1 (by 1/n), fitted, and brought back."""
    unit = y.std()
    Z, T = X - X.mean(0), (y - y.mean()) / unit
    return unit * np.linalg.solve(Z.T @ Z / len(y) + lam / unit * np.eye(3), Z.T @ T / len(y))


def test_glmnet_counts_in_units_of_the_targets():
    """λ = sd(y) α/n: Cross Validated 129179."""
    y = 7 * Y[:, 0]
    number = convert(10, "sklearn_ridge", "glmnet_ridge", n=N, y_std=y.std())
    assert number == pytest.approx(y.std() * 10 / N)
    assert np.allclose(glmnet(number, X, y), Ridge(alpha=10).fit(X, y).coef_, atol=1e-10)
    with pytest.raises(ValueError, match="depends on y_std"):
        convert(10, "sklearn_ridge", "glmnet_ridge", n=N)
    assert convert(0.1, "glmnet_logistic", "sklearn_logistic", n=20, loss="cross_entropy") == 0.5


def test_statsmodels_puts_alpha_beside_the_mean():
    """As OLS._fit_ridge: s/(s² + n·alpha) in the singular value decomposition."""
    alpha = convert(20, "sklearn_ridge", "statsmodels_ols", n=N)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    w = Vt.T @ (s / (s**2 + N * alpha) * (U.T @ Y[:, 0]))
    assert np.allclose(w, Ridge(alpha=20, fit_intercept=False).fit(X, Y[:, 0]).coef_, atol=1e-10)


# ---- names ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torch.optim.AdamW", "nearest: torch_adamw"),
        ("AdamW", "nearest: .*torch_adamw"),
        ("SGDW", "nearest: sgdw"),
        ("tf.nn.l2_loss", "nearest: tf_l2_loss"),
        ("glmnet", "nearest: glmnet_ridge"),
        ("statsmodels", "nearest: statsmodels_ols"),
        ("LogisticRegression", "nearest: sklearn_logistic"),
        ("Lion", "nearest: .*lion"),
        ("Trainer", "nearest: hf_trainer"),
        ("RMSProp", "nearest: torch_rmsprop"),
        ("pytorch_lightning", "no λ of its own.*nearest: torch_sgd"),
        ("flax", "no λ of its own.*nearest: optax_adamw"),
        ("AdamWScheduleFree", "is not constant"),
        ("schedulefree_adamw", "is not constant.*nearest: schedulefree_sgd"),
        ("LAMB", "trust ratio"),
        ("LARS", "trust ratio"),
        ("Prodigy", "estimates the learning rate"),
        ("ElasticNet", "two λ"),
        ("LinearSVC", "hinge loss"),
        ("xyzzy", "'xyzzy'; choose one of book"),
        ("", "''; choose one of book"),
        (None, "None; choose one of book"),
    ],
)
def test_an_unknown_name_is_told_which_is_nearest(name, said):
    with pytest.raises(ValueError, match=f"no convention is called.*{said}"):
        convert(0.1, name, "book")
    with pytest.raises(ValueError, match=f"no convention is called.*{said}"):
        convert(0.1, "book", name)


def test_every_row_is_nearest_to_itself():
    rows = {name: row.about for name, row in CONVENTIONS.items()}
    for name in rows:
        with pytest.raises(ValueError, match=f"; nearest: .*{name} ") as error:
            convert(0.1, name.replace("_", "."), "book") if "_" in name else convert(
                0.1, name.upper(), "book"
            )
        assert str(error.value)


def test_the_table_stays_a_table():
    """Names fit their column, and no two rows say the same."""
    assert max(map(len, CONVENTIONS)) < 18
    assert len({row.about for row in CONVENTIONS.values()}) == len(CONVENTIONS)
    assert str(describe_conventions()).splitlines()[-1].startswith("adamc             decay")


# ---- where a number is meant ---------------------------------------------------------------
WRONG = ["5e-5", None, True, torch.tensor(0.1), np.array([0.1]), [0.1], "abc", 1j, math.nan]
ARGUMENTS = ["lr", "n", "batch_size", "momentum", "dampening", "outputs", "sample_weight_sum"]
ARGUMENTS += ["y_std", "max_lr"]
OPTIONAL = {"lr", "n", "batch_size", "momentum", "sample_weight_sum", "y_std", "max_lr"}


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("name", ["value", *ARGUMENTS])
def test_what_is_no_number_is_refused_by_name(name, wrong):
    if wrong is None and name in OPTIONAL:
        return
    options = {"lr": 0.1, "optimizer": "sgd", "momentum": 0.5} | {name: wrong}
    value = options.pop("value", 0.1)
    message = f"{name} is " if name != "value" or wrong is not math.nan else "out of range"
    with pytest.raises(ValueError, match=message):
        convert(value, "torch_sgd", "keras_l2", **options)  # for which most are not needed
    with pytest.raises(ValueError, match=message) as error:
        convert(value, "torch_sgd", "sgdw", **options)
    if isinstance(wrong, str):
        assert "YAML reads 5e-5 as text" in str(error.value)
    if isinstance(wrong, torch.Tensor):
        assert f"give {name}.item()" in str(error.value)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.float16(0.5)])
def test_numpy_s_numbers_are_numbers(number):
    assert convert(number, "torch_adamw", "sgdw_paper", lr=number) == 0.25
    assert convert(np.int64(2), "book", "sklearn_ridge", n=np.uint8(3)) == 6


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1e300, "book", "sklearn_ridge"), {"n": 10**12}, "beyond the range"),
        ((1e-300, "sklearn_ridge", "book"), {"n": 10**30}, "beyond the range"),
        ((10**400, "book", "no_half"), {}, "out of range"),
        ((1e-18, "sgdw_paper", "factor"), {}, "digits of a 64-bit float"),
        ((0.1, "torch_adamw", "factor"), {"lr": 10**400}, "lr is 1000"),
        ((0.1, "book", "keras_l2"), {"outputs": 2, "target_loss": "x"}, "no loss is called"),
        (
            (0.1, "sklearn_logistic", "book"),
            {"outputs": 2, "n": 5, "loss": "cross_entropy"},
            "say loss='binary_cross_entropy'",
        ),
        ((0.1, "book", "keras_l2"), {"outputs": 1.5}, "outputs is 1.5"),
        (
            (0.1, "book", "keras_l2"),
            {"schedule": "cosine"},
            "schedule is 'cosine'; it must be True",
        ),
        ((0.1, "torch_sgd", "sgdw"), {"lr": 0.1, "momentum": 0.9}, "say optimizer='sgd'"),
        (
            (0.1, "torch_sgd", "sgdw"),
            {"lr": 0.1, "optimizer": torch.optim.SGD},
            "plain SGD only, not",
        ),
        ((0.1, "keras_l2", "lion"), {"lr": 0.1, "optimizer": "sgd"}, "not lion"),
        ((0.1, "schedulefree_sgd", "sgdw"), {"lr": 0.1}, "not schedule-free SGD"),
    ],
)
def test_more_that_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        convert(*arguments, **options)
