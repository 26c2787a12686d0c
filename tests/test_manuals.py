"""What the dictionary says of libraries, against those that are installed and against convert."""

import inspect
import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from l2lib._manuals import MANUALS
from l2lib.conventions import CONVENTIONS, convert, dictionary

# Defaults that are not installed here were read in the libraries' code and manuals.
INSTALLED = [
    ("torch_sgd", torch.optim.SGD, "weight_decay"),
    ("torch_adam", torch.optim.Adam, "weight_decay"),
    ("torch_rmsprop", torch.optim.RMSprop, "weight_decay"),
    ("torch_adamw", torch.optim.AdamW, "weight_decay"),
    ("sklearn_ridge", Ridge, "alpha"),
    ("sklearn_logistic", LogisticRegression, "C"),
    ("sklearn_mlp", MLPRegressor, "alpha"),
    ("sklearn_mlp", MLPClassifier, "alpha"),
    ("sklearn_sgd", SGDRegressor, "alpha"),
    ("sklearn_sgd", SGDClassifier, "alpha"),
]
if hasattr(torch.optim, "Muon"):  # from torch 2.9 on
    INSTALLED.append(("torch_muon", torch.optim.Muon, "weight_decay"))
NUMBERS = {"lr": 0.02, "n": 40, "batch_size": 8, "y_std": 1.7, "max_lr": 0.07}
CLASSIFIERS = ("sklearn_logistic", "glmnet_logistic")
# What the table says, as Python says it; the rest is the same.
PYTHON = {
    "2λ/c": "2 * λ / c", "λ/(nc)": "λ / (n * c)", "1/(nλ)": "1 / (n * λ)", "nλ": "n * λ",
    "2n": "2 * n", "λ/(2n)": "λ / (2 * n)", "λ/(2B)": "λ / (2 * B)", "λ/sd(y)": "λ / s", "λ/(2 sd(y))": "λ / (2 * s)",
    "ηλ": "η * λ", "λη²/max η": "λ * η**2 / top", "λη/max η": "λ * η / top",
}  # fmt: skip


def value(formula, lam=0.3):
    """A formula of the table at these numbers, for MSELoss."""
    letters = {"λ": lam, "η": 0.02, "top": 0.07, "n": 40, "B": 8, "s": 1.7, "c": 2}
    return eval(PYTHON.get(formula, formula), letters)


@pytest.mark.parametrize(("name", "program", "argument"), INSTALLED)
def test_the_default_is_that_of_the_installed_library(name, program, argument):
    default = inspect.signature(program.__init__).parameters[argument].default
    assert float(MANUALS[name].default) == default


@pytest.mark.parametrize("name", MANUALS)
def test_the_meaning_is_that_of_convert(name):
    row, manual = CONVENTIONS[name], MANUALS[name]
    loss = "cross_entropy" if name in CLASSIFIERS else "mse"
    to = "book" if row.kind == "penalty" else "adamw_paper"
    target = {} if name in CLASSIFIERS else {"target_loss": "half_mse"}
    lam = -0.3 if name == "optax_after" else 0.3
    meant = convert(lam, name, to, loss=loss, **target, **NUMBERS)
    if name == "adamw_paper":  # convert takes its λ at the largest rate
        meant *= NUMBERS["lr"] / NUMBERS["max_lr"]
    assert math.isclose(value(manual.means, lam), meant)


@pytest.mark.parametrize("name", [name for name in MANUALS if CONVENTIONS[name].kind == "penalty"])
def test_the_meaning_of_a_penalty_is_twice_what_is_before_the_norm_over_c(name):
    manual = MANUALS[name]
    assert math.isclose(value(manual.means), 2 * value(manual.k) / value(manual.c))


def test_the_dictionary_has_every_row_of_a_kind():
    rows = {kind: dictionary(kind).rows for kind in ("penalty", "decay")}
    assert len(rows["penalty"]) + len(rows["decay"]) == len(MANUALS)
    assert rows["penalty"][10][:6] == (
        "scikit-learn", "Ridge(alpha=λ)", "‖y - Xw‖² + λ‖w‖²", "2n", "λ", "λ/n",
    )  # fmt: skip
    assert rows["penalty"][10][6:] == ("1.0", "-")


@pytest.mark.parametrize("kind", ["penalty", "decay"])
def test_the_rare_rows_and_the_others_are_all(kind):
    usual, rare = (dictionary(kind, rare=each).rows for each in (False, True))
    assert len(rare) == 6
    assert rare[0][1] in ("RMSprop(weight_decay=λ)", "lion_pytorch.Lion(weight_decay=λ)")
    assert set(usual) | set(rare) == set(dictionary(kind).rows)
    assert len(usual) + len(rare) == len(dictionary(kind).rows)


def test_rare_is_yes_or_no():
    with pytest.raises(ValueError, match="rare"):
        dictionary("decay", rare="yes")


def test_what_a_decay_scales_with():
    scales = {row[1]: row[3] for row in dictionary("decay").rows}
    for name, manual in MANUALS.items():
        if CONVENTIONS[name].kind == "decay":
            powers = manual.means.count("η²") * 2 or ("η" in manual.means)
            word = {0: "-", 1: "η", 2: "η²"}[powers]
            assert scales[CONVENTIONS[name].about] == word


def test_the_dictionary_as_text_has_columns_that_stand_in_line():
    lines = str(dictionary("decay")).splitlines()
    assert len(lines) == len(dictionary("decay").rows) + 1
    assert {line.index(cell) for line, cell in zip(lines, ("δ", "ηλ"), strict=False)} == {
        lines[0].index("δ")
    }


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="no kind of λ in the dictionary is called 'l1'"):
        dictionary("l1")
