"""What each library calls λ: one row a name."""

import math
from collections.abc import Callable
from typing import NamedTuple

from l2lib._setting import Setting


class Convention(NamedTuple):
    """What a number means that someone calls λ.

    Attributes:
        kind: "penalty", "l1" or "decay".
        read: from the number to λ beside the mean loss, or to the share.
        write: and back.
        about: what the code says.
        loss: the loss that is built in, where there is one.
        optimizer: the optimiser that it belongs to, where there is one.
        lr_power: by which power of the learning rate a decay follows a
            schedule: 1, 0 (not at all) or 2 (corrected decay).

    Example:
        >>> ROWS["keras_l2"].about
        'kernel_regularizer=L2(λ)'
        >>> ROWS["keras_l2"].kind
        'penalty'
    """

    kind: str
    read: Callable[[float, Setting], float]
    write: Callable[[float, Setting], float]
    about: str
    loss: str | None = None
    optimizer: str | None = None
    lr_power: int = 1


def _row(
    kind: str,
    unit: Callable[[Setting], float],
    about: str,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    lr_power: int = 1,
) -> Convention:
    """A convention in which ``unit`` is what the number 1 means."""

    def read(value: float, setting: Setting) -> float:
        return value * unit(setting)

    def write(amount: float, setting: Setting) -> float:
        return amount / unit(setting)

    return Convention(kind, read, write, about, loss, optimizer, lr_power)


def _lr(setting: Setting) -> float:
    return setting.need("lr")


def _term(setting: Setting) -> float:
    """A penalty (λ/2)‖w‖² in the loss, or its gradient λw beside the loss's gradient."""
    return 1 / setting.scale


def _beside_mean(setting: Setting) -> float:
    """A penalty (λ/2)‖w‖² beside the mean over examples that is built in."""
    return 1


def _corrected(setting: Setting) -> float:
    """Decay whose λ falls with the schedule, and is multiplied by the rate as well."""
    lr, top = setting.need("lr"), setting.need("max_lr")
    if lr > top:
        raise ValueError(f"lr is {lr:g} and max_lr {top:g}; max_lr is the schedule's largest rate")
    return lr * lr / top


def _from_c(c: float, setting: Setting) -> float:
    """Scikit-learn's C multiplies the sum of the losses: λ = 1/(nC)."""
    return 1 / (setting.examples * c) if c > 0 else math.nan


def _to_c(amount: float, setting: Setting) -> float:
    return 1 / (setting.examples * amount) if amount > 0 else math.inf


def _lost(value: float, setting: Setting) -> float:
    """The share that goes where the rest stays, and the other way round."""
    return 1 - value


ROWS: dict[str, Convention] = {
    "book": _row("penalty", _term, "loss + λ/2 ‖w‖²"),
    "no_half": _row("penalty", lambda s: 2 / s.scale, "loss + λ ‖w‖²"),
    "over_2m": _row(
        "penalty", lambda s: 1 / s.need("n") / s.scale, "loss + λ/(2n) ‖w‖², n examples"),
    "torch_sgd": _row("penalty", _term, "SGD(weight_decay=λ)", optimizer="sgd"),
    "torch_adam": _row("penalty", _term, "Adam(weight_decay=λ)", optimizer="adam"),
    "mxnet": _row("penalty", _term, "Trainer(…, {'wd': λ})"),
    "keras_l2": _row("penalty", lambda s: 2 / s.scale, "kernel_regularizer=L2(λ)"),
    "optax_before": _row("penalty", _term, "chain(add_decayed_weights(λ), optimiser)"),
    "sklearn_ridge": _row("penalty", lambda s: 1 / s.examples, "Ridge(alpha=λ)", loss="half_mse"),
    "sklearn_logistic": Convention(
        "penalty", _from_c, _to_c, "LogisticRegression(C=λ)", loss="cross_entropy"),
    "sklearn_mlp": _row("penalty", lambda s: 1 / s.batch, "MLPRegressor(alpha=λ)"),
    "sklearn_lasso": _row("l1", _beside_mean, "Lasso(alpha=λ)", loss="half_mse"),
    "keras_l1": _row("l1", _term, "kernel_regularizer=L1(λ)"),
    "factor": Convention("decay", _lost, _lost, "w *= λ at every step", lr_power=0),
    "torch_adamw": _row("decay", _lr, "AdamW(weight_decay=λ)", optimizer="adam"),
    "adamw_paper": _row("decay", lambda s: 1, "AdamW as published; Composer's", optimizer="adam"),
    "keras_optimizer": _row("decay", _lr, "optimizers.…(weight_decay=λ)"),
    "optax_adamw": _row("decay", _lr, "adamw(weight_decay=λ)", optimizer="adam"),
    "optax_after": _row(
        "decay", lambda s: -1, "chain(optimiser, add_decayed_weights(λ))", lr_power=0),
    "fastai": _row("decay", _lr, "Learner(…, wd=λ)"),
    # Penalties inside other optimisers of torch:
    "torch_rmsprop": _row("penalty", _term, "RMSprop(weight_decay=λ)", optimizer="rmsprop"),
    "torch_adagrad": _row("penalty", _term, "Adagrad(weight_decay=λ)", optimizer="adagrad"),
    "torch_adadelta": _row("penalty", _term, "Adadelta(weight_decay=λ)", optimizer="adadelta"),
    "torch_adamax": _row("penalty", _term, "Adamax(weight_decay=λ)", optimizer="adamax"),
    "torch_nadam": _row("penalty", _term, "NAdam(weight_decay=λ)", optimizer="nadam"),
    "torch_radam": _row("penalty", _term, "RAdam(weight_decay=λ)", optimizer="radam"),
    # Penalties of other libraries:
    "tf_l2_loss": _row("penalty", _term, "loss + λ tf.nn.l2_loss(w)"),
    "tf_contrib_l2": _row("penalty", _term, "tf.contrib's and slim's l2_regularizer(λ)"),
    "optax_l2_loss": _row("penalty", _term, "loss + λ optax.l2_loss(w).sum()"),
    "fastai_l2": _row("penalty", _term, "Learner(…, wd=λ), its optimiser's decouple_wd=False"),
    "schedulefree_sgd": _row(
        "penalty", _term, "SGDScheduleFree(weight_decay=λ)", optimizer="schedule-free SGD"),
    "sklearn_sgd": _row("penalty", _beside_mean, "SGDRegressor, SGDClassifier(alpha=λ)"),
    "sklearn_enet_l2": _row(
        "penalty", _beside_mean, "ElasticNet(alpha=λ, l1_ratio=0)", loss="half_mse"),
    "glmnet_ridge": _row(
        "penalty", lambda s: 1 / s.need("y_std"), "glmnet(alpha=0, lambda=λ), gaussian",
        loss="half_mse"),
    "glmnet_logistic": _row(
        "penalty", _beside_mean, "glmnet(alpha=0, lambda=λ), binomial", loss="cross_entropy"),
    "statsmodels_ols": _row(
        "penalty", _beside_mean, "OLS(…).fit_regularized(alpha=λ, L1_wt=0)", loss="half_mse"),
    "statsmodels_glm": _row(
        "penalty", _beside_mean, "GLM(…, Binomial()).fit_regularized(alpha=λ, L1_wt=0)",
        loss="cross_entropy"),
    "glmnet_lasso": _row(
        "l1", _beside_mean, "glmnet(alpha=1, lambda=λ), gaussian", loss="half_mse"),
    "statsmodels_lasso": _row(
        "l1", _beside_mean, "OLS(…).fit_regularized(alpha=λ)", loss="half_mse"),
    # Decays that λ times the rate of the step gives:
    "torch_nadamw": _row("decay", _lr, "NAdam, decoupled_weight_decay=True", optimizer="nadam"),
    "torch_radamw": _row("decay", _lr, "RAdam, decoupled_weight_decay=True", optimizer="radam"),
    "torch_adafactor": _row("decay", _lr, "Adafactor(weight_decay=λ)", optimizer="adafactor"),
    "torch_muon": _row("decay", _lr, "torch.optim.Muon(weight_decay=λ)", optimizer="muon"),
    "muon": _row("decay", _lr, "Keller Jordan's Muon(weight_decay=λ)", optimizer="muon"),
    "lion": _row("decay", _lr, "lion_pytorch.Lion(weight_decay=λ)", optimizer="lion"),
    "sgdw": _row("decay", _lr, "SGD with w *= 1 - lr·λ beside its step", optimizer="sgd"),
    "timm": _row("decay", _lr, "timm's AdamW, SGDW, Lion, Muon(weight_decay=λ)"),
    "hf_trainer": _row("decay", _lr, "TrainingArguments(weight_decay=λ)", optimizer="adam"),
    "deepspeed": _row(
        "decay", _lr, "DeepSpeed's Adam and AdamW, adam_w_mode=True", optimizer="adam"),
    "apex": _row("decay", _lr, "Apex's FusedAdam, adam_w_mode=True", optimizer="adam"),
    "fairseq": _row("decay", _lr, "fairseq's --optimizer adam --weight-decay λ", optimizer="adam"),
    "optax_between": _row("decay", _lr, "chain(scale_by_…, add_decayed_weights(λ), scale(-lr))"),
    "optax_lion": _row("decay", _lr, "lion(weight_decay=λ)", optimizer="lion"),
    "optax_muon": _row("decay", _lr, "contrib.muon(weight_decay=λ)", optimizer="muon"),
    # Decays whose λ is multiplied by the schedule alone, by nothing, or by its square:
    "sgdw_paper": _row("decay", lambda s: 1, "SGDW as published; Composer's", optimizer="sgd"),
    "lion_decoupled": _row(
        "decay", lambda s: 1, "lion_pytorch.Lion, decoupled_weight_decay=True", optimizer="lion"),
    "tfa": _row("decay", lambda s: 1, "tfa.optimizers' AdamW, SGDW(weight_decay=λ)", lr_power=0),
    "optax_adafactor": _row(
        "decay", lambda s: 1, "adafactor(weight_decay_rate=λ)", optimizer="adafactor",
        lr_power=0),
    "timm_corrected": _row(
        "decay", _corrected, "timm's corrected_weight_decay=True", lr_power=2),
    "adamc": _row(
        "decay", _corrected, "AdamC's normalised layers", optimizer="adam", lr_power=2),
}  # fmt: skip
