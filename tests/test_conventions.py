"""The dictionary of λ: trained to the same weights in PyTorch and scikit-learn; refused where nothing is the same."""

import copy
import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch.nn import functional

from l2lib.conventions import CONVENTIONS, LOSS_SCALES, convert, describe_conventions
from l2lib.penalty import ridge

RNG = np.random.default_rng(0)
N, BATCH = 40, 8
X = RNG.standard_normal((N, 3))
Y = X @ np.array([1.0, -2.0, 0.1]) + 0.5 + RNG.standard_normal(N)
LABELS = (np.median(Y) < Y).astype(float)
LAM = 0.3  # in the book's convention
FIT = ridge(X, Y, LAM)[0]
NUMBERS = {"lr": 0.05, "n": N, "batch_size": BATCH, "y_std": 2.0, "max_lr": 0.2}
PLAIN = {"optimizer": "sgd", "momentum": 0}
FULL = {"n": N, "batch_size": N}


def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


TORCH_LOSS_SCALES = {
    "half_mse": half_mse,
    "mse": functional.mse_loss,
    "half_sse": lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum") / 2,
    "sse": lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum"),
    "cross_entropy": functional.binary_cross_entropy_with_logits,
    "cross_entropy_sum": lambda outputs, targets: functional.binary_cross_entropy_with_logits(
        outputs, targets, reduction="sum"
    ),
    "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
}
SCALES = {
    "half_mse": 1,
    "mse": 2,
    "half_sse": N,
    "sse": 2 * N,
    "cross_entropy": 1,
    "cross_entropy_sum": N,
    "binary_cross_entropy": 1,
}


def train(loss, lr, *, optimizer="SGD", term=None, targets=Y, steps=800, factor=1.0, **options):
    """Weights of a linear model after full-batch steps; only the weights are decayed, penalised or multiplied."""
    model = torch.nn.Linear(3, 1, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    decay = options.pop("weight_decay", 0.0)
    groups = [
        {"params": [model.weight], "weight_decay": decay},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
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
        w = train(TORCH_LOSS_SCALES[loss], lr, weight_decay=number)
    else:
        coefficient = {"book": 1 / 2, "no_half": 1, "over_2m": 1 / (2 * N), "keras_l2": 1}[name]
        w = train(TORCH_LOSS_SCALES[loss], lr, term=squares(coefficient * number))
    assert np.allclose(w, FIT, atol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy_sum"])
def test_logistic_regression(loss):
    number = convert(LAM, "book", "torch_sgd", loss="cross_entropy", target_loss=loss, **FULL)
    w = train(TORCH_LOSS_SCALES[loss], 1.0 / SCALES[loss], weight_decay=number, targets=LABELS)
    inverse = convert(number, "torch_sgd", "sklearn_logistic", loss=loss, **FULL)
    theirs = LogisticRegression(C=inverse, tol=1e-12, max_iter=10_000).fit(X, LABELS)
    assert np.allclose(w, theirs.coef_[0], atol=1e-6)
    assert inverse == pytest.approx(1 / (N * LAM))


@pytest.mark.parametrize("loss", ["half_mse", "mse", "sse"])
def test_a_rescaled_loss_takes_the_same_sgd_steps_with_lr_divided(loss):
    number = convert(LAM, "torch_sgd", "torch_sgd", loss="half_mse", target_loss=loss, **FULL)
    ours = train(half_mse, 0.1, weight_decay=LAM, steps=7, momentum=0.9)
    theirs = train(
        TORCH_LOSS_SCALES[loss], 0.1 / SCALES[loss], weight_decay=number, steps=7, momentum=0.9
    )
    assert np.allclose(ours, theirs, atol=1e-12)


def test_a_penalty_inside_adam_has_the_same_steps_however_it_is_written():
    number = convert(LAM, "torch_adam", "keras_l2", loss="mse")
    ours = train(functional.mse_loss, 0.01, optimizer="Adam", weight_decay=LAM, steps=50)
    theirs = train(functional.mse_loss, 0.01, optimizer="Adam", term=squares(number), steps=50)
    assert np.allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("loss", ["half_mse", "mse"])
def test_penalty_and_decay_are_the_same_under_plain_sgd(loss):
    factor = convert(LAM, "torch_sgd", "factor", lr=0.1, loss=loss, **PLAIN)
    ours = train(TORCH_LOSS_SCALES[loss], 0.1, weight_decay=LAM, steps=20)
    theirs = train(TORCH_LOSS_SCALES[loss], 0.1, factor=factor, steps=20)
    assert np.allclose(ours, theirs, atol=1e-12)
    assert convert(factor, "factor", "torch_sgd", lr=0.1, loss=loss, **PLAIN) == pytest.approx(LAM)
    other = convert(factor, "factor", "no_half", lr=0.1, loss=loss, **PLAIN)
    assert other == pytest.approx(LAM / 2)


def test_lr_belongs_to_the_side_that_decays():
    """SGD beside MSELoss at half the learning rate takes the steps of SGD with decay beside half of it."""
    decay = convert(
        LAM,
        "torch_sgd",
        "keras_optimizer",
        lr=0.1,
        loss="mse",
        target_loss="half_mse",
        **PLAIN,
    )
    ours = train(functional.mse_loss, 0.05, weight_decay=LAM, steps=20)
    assert np.allclose(ours, train(half_mse, 0.1, factor=1 - 0.1 * decay, steps=20), atol=1e-12)
    back = convert(decay, "keras_optimizer", "torch_sgd", lr=0.1, target_loss="mse", **PLAIN)
    assert back == pytest.approx(LAM)


def test_a_closed_form_becomes_the_decay_of_sgd_on_another_loss():
    decay = convert(N * LAM, "sklearn_ridge", "keras_optimizer", n=N, lr=0.1, loss="mse", **PLAIN)
    w = train(functional.mse_loss, 0.1, factor=1 - 0.1 * decay)
    assert np.allclose(w, FIT, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    ["torch_adamw", "adamw_paper", "keras_optimizer", "optax_adamw", "fastai", "optax_after"],
)
def test_decays_are_the_share_that_adamw_takes(name):
    number = convert(LAM, "torch_adamw", name, lr=0.05)
    share = {"adamw_paper": number, "optax_after": -number}.get(name, 0.05 * number)
    factor = convert(number, name, "factor", lr=0.05)
    ours = train(half_mse, 0.05, optimizer="AdamW", weight_decay=LAM, steps=30)
    theirs = train(half_mse, 0.05, optimizer="Adam", factor=1 - share, steps=30)
    assert np.allclose(ours, theirs, atol=1e-12)
    assert factor == pytest.approx(1 - share, abs=1e-15)


@pytest.mark.skipif(
    "decoupled_weight_decay" not in inspect.signature(torch.optim.Adam).parameters,
    reason="this torch has no such flag",
)
def test_adam_s_flag_is_adamw():
    ours = train(half_mse, 0.05, optimizer="AdamW", weight_decay=LAM, steps=30)
    flag = train(
        half_mse, 0.05, optimizer="Adam", weight_decay=LAM, steps=30, decoupled_weight_decay=True
    )
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
L1 = {"sklearn_lasso", "keras_l1", "glmnet_lasso", "statsmodels_lasso"}
DECAYS = {
    "factor",
    "torch_adamw",
    "adamw_paper",
    "keras_optimizer",
    "optax_adamw",
    "optax_after",
    "fastai",
}
BY_RATE = {
    "torch_nadamw", "torch_radamw", "torch_adafactor", "torch_muon", "muon", "lion", "sgdw", "timm",
    "hf_trainer", "deepspeed", "apex", "fairseq", "optax_between", "optax_lion", "optax_muon",
}  # fmt: skip
BY_ITSELF = {"sgdw_paper", "lion_decoupled", "tfa", "optax_adafactor"}
CORRECTED = {"timm_corrected", "adamc"}
DECAYS |= BY_RATE | BY_ITSELF | CORRECTED
OWN_OPTIMISER = {"torch_adam", "torch_adamw", "adamw_paper", "optax_adamw"}
OWN_OPTIMISER |= {
    f"torch_{name}" for name in ("rmsprop", "adagrad", "adadelta", "adamax", "nadam", "radam")
}
OWN_OPTIMISER |= BY_RATE - {"sgdw", "timm", "optax_between"}
OWN_OPTIMISER |= {"lion_decoupled", "optax_adafactor", "adamc", "schedulefree_sgd"}
REGRESSIONS = {"sklearn_ridge", "sklearn_lasso", "sklearn_enet_l2", "glmnet_ridge", "glmnet_lasso"}
REGRESSIONS |= {"statsmodels_ols", "statsmodels_lasso"}
CLASSIFIERS = {"sklearn_logistic", "glmnet_logistic", "statsmodels_glm"}


def have_an_equivalent(source, target, loss, optimizer):
    """Whether the chapter says that the one can be converted into the other."""
    pair = {source, target}
    if pair & (REGRESSIONS if ("cross" in loss) else CLASSIFIERS):
        return False
    if (source in L1) != (target in L1):
        return False
    if (source in DECAYS) != (target in DECAYS):
        return optimizer == "sgd" and not pair & OWN_OPTIMISER
    return True


@settings(max_examples=1000)
@given(
    names=st.tuples(*[st.sampled_from(list(CONVENTIONS))] * 2),
    loss=st.sampled_from(list(LOSS_SCALES)),
    optimizer=st.sampled_from(["sgd", None]),
    share=st.floats(1e-6, 0.5),
    lr=st.floats(1e-4, 2),
    sizes=st.tuples(*[st.integers(1, 512)] * 2),
)
def test_there_and_back_between_every_two(names, loss, optimizer, share, lr, sizes):
    """And by way of a third, whose number is the same whichever way it was reached."""
    source, target = names
    options = {
        "lr": lr,
        "n": max(sizes),
        "batch_size": min(sizes),
        "loss": loss,
        "optimizer": optimizer,
        "momentum": 0,
        "y_std": share * 7,
        "max_lr": 2.5,
    }
    if not have_an_equivalent(source, target, loss, optimizer):
        with pytest.raises(ValueError, match=r"built in|own rate|plain SGD only|L1 penalty"):
            convert(-0.1 if source == "optax_after" else 0.1, source, target, **options)
        return
    known = "keras_l1" if source in L1 else "adamw_paper" if source in DECAYS else "book"
    amount = share if source in DECAYS else share / lr / (2 * min(sizes))
    value = convert(amount, known, source, **options)
    there = convert(value, source, target, **options)
    assert convert(there, target, source, **options) == pytest.approx(value, rel=1e-8)
    if (source in DECAYS) == (target in DECAYS):
        assert convert(amount, known, target, **options) == pytest.approx(there, rel=1e-8)


def test_no_penalty_is_no_penalty_everywhere():
    for name, row in CONVENTIONS.items():
        if row.kind == "penalty":
            nothing = convert(0, "book", name, loss=row.loss or "mse", **NUMBERS)
            assert nothing == (math.inf if name == "sklearn_logistic" else 0)
            assert convert(nothing, name, "keras_l2", loss=row.loss or "mse", **NUMBERS) == 0


PENALTIES = {
    "book": 0.6, "no_half": 0.3, "over_2m": 24, "torch_sgd": 0.6, "torch_adam": 0.6, "mxnet": 0.6, "keras_l2": 0.3,
    "optax_before": 0.6, "sklearn_ridge": 12, "sklearn_mlp": 2.4, "sklearn_logistic": 1 / 12,
    "torch_rmsprop": 0.6, "torch_adagrad": 0.6, "torch_adadelta": 0.6, "torch_adamax": 0.6, "torch_nadam": 0.6,
    "torch_radam": 0.6, "tf_l2_loss": 0.6, "tf_contrib_l2": 0.6, "optax_l2_loss": 0.6, "fastai_l2": 0.6,
    "schedulefree_sgd": 0.6, "sklearn_sgd": 0.3, "sklearn_enet_l2": 0.3, "glmnet_ridge": 0.6, "glmnet_logistic": 0.3,
    "statsmodels_ols": 0.3, "statsmodels_glm": 0.3,
}  # fmt: skip
SHARES = {
    "factor": 0.985, "torch_adamw": 0.3, "adamw_paper": 0.015, "keras_optimizer": 0.3, "optax_adamw": 0.3,
    "optax_after": -0.015, "fastai": 0.3,
}  # fmt: skip
SHARES |= dict.fromkeys(BY_RATE, 0.3) | dict.fromkeys(BY_ITSELF, 0.015)
SHARES |= dict.fromkeys(CORRECTED, 1.2)  # the rate is a quarter of the largest
AMOUNTS = {"sklearn_lasso": 0.3, "keras_l1": 0.6, "glmnet_lasso": 0.3, "statsmodels_lasso": 0.3}


def test_the_whole_table_by_hand():
    """λ = 0.3 beside half the mean squared error, written for MSELoss, 40 examples, batches of 8, η = 0.05, sd(y) = 2."""
    assert PENALTIES.keys() | SHARES.keys() | AMOUNTS.keys() == CONVENTIONS.keys()
    for name, number in (PENALTIES | SHARES | AMOUNTS).items():
        source = (
            "torch_sgd"
            if name in PENALTIES
            else "adamw_paper"
            if name in SHARES
            else "sklearn_lasso"
        )
        losses = {"loss": "cross_entropy"} if name in CLASSIFIERS else {"target_loss": "mse"}
        value = 0.015 if name in SHARES else 0.3
        assert convert(value, source, name, **losses, **NUMBERS) == pytest.approx(
            number, rel=1e-12
        ), name


# How often a program takes the mean loss of one example: the mean, twice it, or the sum over a batch of 8.
HOW_OFTEN = {
    "half_mse": 1, "mse": 2, "half_sse": 8, "sse": 16, "cross_entropy": 1, "cross_entropy_sum": 8,
    "binary_cross_entropy": 1,
}  # fmt: skip
# The number that means λ = 1 beside the mean loss (1 for L1 and for a decay), so often taken; 40 examples, η = 0.05.
ONE_IS = {
    "book": lambda often: often, "no_half": lambda often: often / 2, "over_2m": lambda often: 40 * often,
    "torch_sgd": lambda often: often, "torch_adam": lambda often: often, "mxnet": lambda often: often,
    "keras_l2": lambda often: often / 2, "optax_before": lambda often: often, "sklearn_ridge": lambda often: 40,
    "sklearn_mlp": lambda often: 8, "sklearn_logistic": lambda often: 1 / 40, "sklearn_lasso": lambda often: 1,
    "keras_l1": lambda often: often, "torch_adamw": lambda often: 20, "adamw_paper": lambda often: 1,
    "keras_optimizer": lambda often: 20, "optax_adamw": lambda often: 20, "optax_after": lambda often: -1,
    "fastai": lambda often: 20, "factor": lambda often: 0,
    "glmnet_ridge": lambda often: 2,
}  # fmt: skip
ONE_IS |= dict.fromkeys(BY_RATE, lambda often: 20) | dict.fromkeys(BY_ITSELF, lambda often: 1)
ONE_IS |= dict.fromkeys(CORRECTED, lambda often: 80)
ONE_IS |= dict.fromkeys(CONVENTIONS.keys() - ONE_IS.keys(), lambda often: often)
ONE_IS |= dict.fromkeys(
    [
        "sklearn_sgd", "sklearn_enet_l2", "glmnet_logistic", "statsmodels_ols", "statsmodels_glm", "glmnet_lasso",
        "statsmodels_lasso",
    ],
    lambda often: 1,
)  # fmt: skip


def means_one(name, loss):
    """The number in a convention; a built-in loss is taken once, whatever the program's is."""
    return ONE_IS[name](HOW_OFTEN[loss])


@pytest.mark.parametrize("loss", LOSS_SCALES)
@pytest.mark.parametrize("target_loss", LOSS_SCALES)
def test_every_two_conventions_beside_every_two_losses(loss, target_loss):
    """Where both are of a kind; the number 1 stands for the same in each."""
    if ("cross" in loss) != ("cross" in target_loss):
        with pytest.raises(ValueError, match="different minima"):
            convert(1.0, "book", "keras_l2", loss=loss, target_loss=target_loss, **NUMBERS)
        return
    for source, one in CONVENTIONS.items():
        for target, other in CONVENTIONS.items():
            if one.kind == other.kind and have_an_equivalent(source, target, loss, None):
                found = convert(
                    means_one(source, loss),
                    source,
                    target,
                    loss=loss,
                    target_loss=target_loss,
                    **NUMBERS,
                )
                assert found == pytest.approx(means_one(target, target_loss), abs=1e-12), (
                    source,
                    target,
                )


@pytest.mark.parametrize("loss", LOSS_SCALES)
@pytest.mark.parametrize("target_loss", LOSS_SCALES)
def test_a_penalty_is_the_decay_of_sgd_on_the_loss_of_the_side_that_decays(loss, target_loss):
    """λ takes the share ηλ of a weight for each time that the mean loss is taken."""
    if ("cross" in loss) != ("cross" in target_loss):
        return
    losses = {"loss": loss, "target_loss": target_loss, **PLAIN}
    share = 0.05 * 0.1 * HOW_OFTEN[target_loss]
    found = convert(0.1 * means_one("no_half", loss), "no_half", "factor", **losses, **NUMBERS)
    assert found == pytest.approx(1 - share, rel=1e-12)
    share = 0.05 * 0.1 * HOW_OFTEN[loss]
    back = convert(1 - share, "factor", "no_half", **losses, **NUMBERS)
    assert back == pytest.approx(0.1 * means_one("no_half", target_loss), rel=1e-9)


def test_the_ends_of_a_range():
    assert convert(1, "factor", "torch_adamw", lr=0.1) == 0  # nothing decays
    assert convert(0, "factor", "torch_adamw", lr=0.1) == 10  # everything goes in one step
    assert convert(math.inf, "sklearn_logistic", "book", n=3, loss="cross_entropy") == 0
    assert convert(np.float64(0.25), "torch_sgd", "no_half", n=np.int64(3)) == 0.125


def test_the_conventions_are_a_table():
    shown = describe_conventions()
    assert [row[0] for row in shown.rows] == list(CONVENTIONS)
    assert ("sklearn_lasso", "l1", "half_mse", "Lasso(alpha=λ)") in shown.rows
    assert str(shown).splitlines()[1] == "book              penalty  -              loss + λ/2 ‖w‖²"
    assert len(str(shown).splitlines()) == len(CONVENTIONS) + 1


def test_conventions_can_be_copied():
    """A row is plain data but for its two functions; nothing in it answers names that it has not."""
    assert copy.copy(CONVENTIONS["torch_sgd"]) == CONVENTIONS["torch_sgd"]
    assert not hasattr(CONVENTIONS["torch_sgd"], "scale")


def test_every_loss_is_tested():
    assert LOSS_SCALES.keys() == SCALES.keys() == TORCH_LOSS_SCALES.keys()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0.1, "torch_adam", "torch_adamw"), {"lr": 0.1}, "own rate"),
        (
            (0.1, "torch_adamw", "torch_adam"),
            {"lr": 0.1, "optimizer": "sgd"},
            "own rate.*sgdw_paper",
        ),
        ((0.1, "keras_l2", "keras_optimizer"), {"lr": 0.1, "optimizer": "adam"}, "own rate"),
        ((0.1, "keras_l2", "torch_adamw"), {"lr": 0.1, "optimizer": "sgd"}, "own rate"),
        ((0.1, "keras_l2", "keras_optimizer"), {"lr": 0.1}, "say optimizer='sgd'"),
        ((0.1, "torch_sgd", "keras_optimizer"), {"lr": 0.1}, "say optimizer='sgd'"),
        (
            (0.1, "torch_sgd", "keras_optimizer"),
            {"lr": 0.1, "optimizer": "sgd with momentum"},
            "plain SGD only",
        ),
        ((0.1, "sklearn_ridge", "factor"), {"lr": 0.1, "n": 10}, "plain SGD only"),
        ((0.1, "sklearn_lasso", "torch_sgd"), {}, "L1 penalty"),
        ((0.1, "fastai", "keras_l1"), {"lr": 0.1, "optimizer": "sgd"}, "L1 penalty"),
        ((0.1, "book", "sklearn_ridge"), {}, "depends on n; give n="),
        ((0.1, "torch_adamw", "adamw_paper"), {}, "depends on lr"),
        ((0.1, "book", "sklearn_mlp"), {"n": 10}, "depends on batch_size"),
        ((0.1, "book", "keras_l2"), {"loss": "sse"}, "depends on batch_size"),
        ((0.1, "torch_sgd", "factor"), PLAIN, "depends on lr"),
        (
            (0.1, "torch_sgd", "factor"),
            {"optimizer": "sgd", "lr": 1},
            "depends on momentum.*0 for plain",
        ),
        ((0.1, "book", "sklearn_logistic"), {"n": 10}, "cross_entropy built in"),
        ((0.1, "sklearn_ridge", "book"), {"n": 10, "loss": "cross_entropy"}, "half_mse built in"),
        ((-0.1, "book", "keras_l2"), {}, "out of range"),
        ((math.nan, "book", "keras_l2"), {}, "out of range"),
        ((math.inf, "book", "keras_l2"), {}, "out of range"),
        ((0.0, "sklearn_logistic", "book"), {"n": 10, "loss": "cross_entropy"}, "out of range"),
        ((0.1, "optax_after", "fastai"), {"lr": 0.1}, "or the weights grow"),
        ((1.01, "factor", "fastai"), {"lr": 0.1}, "or the weights grow"),
        ((0.1, "torch", "book"), {}, "no convention is called 'torch'; nearest: torch_"),
        (
            (0.1, "book", "keras"),
            {},
            "no convention is called 'keras'; nearest: keras_.*; choose one of book, no_half",
        ),
        ((0.1, "book", "keras_l2"), {"loss": "mae"}, "no loss is called 'mae'"),
        ((0.1, "book", "sklearn_ridge"), {"n": 0}, "n is 0; it must be"),
        ((0.1, "torch_adamw", "factor"), {"lr": -0.1}, "lr is -0.1"),
        ((0.1, "torch_adamw", "factor"), {"lr": math.inf}, "lr is inf"),
        ((0.1, "torch_adamw", "factor"), {"lr": math.nan}, "lr is nan"),
        (
            (0.1, "torch_adamw", "factor"),
            {"lr": "0.1"},
            "lr is '0.1'; it must be a positive number",
        ),
        (("0.1", "book", "keras_l2"), {}, "value is '0.1'; it must be a number"),
        ((None, "book", "keras_l2"), {}, "value is None; it must be a number"),
        ((np.ones(2), "book", "keras_l2"), {}, "it must be a number"),
        (
            (0.1, "book", "sklearn_ridge"),
            {"n": 2.5},
            "n is 2.5; it must be a positive whole number",
        ),
        (
            (0.1, "book", "keras_l2"),
            {"loss": "sse", "batch_size": 0.5},
            "batch_size is 0.5; it must be",
        ),
        ((0.1, "book", "sklearn_ridge"), {"n": math.nan}, "n is nan"),
        ((0.1, ["book"], "keras_l2"), {}, "no convention is called"),
        ((0.1, "book", "keras_l2"), {"target_loss": ""}, "no loss is called ''"),
        (
            (0.1, "book", "keras_l2"),
            {"target_loss": "cross_entropy"},
            "no equivalent beside cross_entropy",
        ),
        (
            (0.1, "sklearn_ridge", "sklearn_logistic"),
            {"n": 9, "target_loss": "cross_entropy"},
            "no equivalent beside",
        ),
        ((-1.0, "sklearn_logistic", "book"), {"n": 10, "loss": "cross_entropy"}, "out of range"),
        (
            (math.nan, "sklearn_logistic", "book"),
            {"n": 10, "loss": "cross_entropy"},
            "out of range",
        ),
        ((-1.0, "factor", "fastai"), {"lr": 0.1}, "or the weights grow"),
        ((-3.0, "optax_after", "fastai"), {"lr": 0.1}, "multiply a weight by -2"),
        (
            (21.0, "torch_sgd", "factor"),
            {"lr": 0.1, **PLAIN},
            "multiply a weight by -1.1",
        ),
        ((math.nan, "factor", "fastai"), {"lr": 0.1}, "out of range"),
    ],
)
def test_what_has_no_equivalent_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        convert(*arguments, **options)
