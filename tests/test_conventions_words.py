"""What the dictionary of λ says to the letter, where its limits lie, and what is let through there."""

import inspect
import math
import re

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2lib._momentum import Momentum
from l2lib._names import REASONS, ROWS_OF, nearest, reason
from l2lib._numbers import TEXT, as_number, in_range, truth, whole
from l2lib.conventions import CONVENTIONS, LOSS_SCALES, convert, describe_conventions
from tests.refusals import refusal

PLAIN = {"optimizer": "sgd", "momentum": 0}
SGD = {"lr": 0.1, "optimizer": "sgd"}
LABELS = "say loss='binary_cross_entropy' for several labels, and outputs=1 for one label"
ONE = "leave out schedule=, and the number holds at the rate lr alone"
BEYOND = "what it means is beyond the range or the digits of a 64-bit float"
GROW = "which must lie above -1 and be at most 1, or the weights grow"


# ---- words ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (
            (1, "sklearn_logistic", "book"),
            {"n": 10},
            "LogisticRegression(C=λ) has cross_entropy built in; "
            "give loss='cross_entropy', λ beside half_mse is another",
        ),
        (
            (1, "book", "sklearn_ridge"),
            {"n": 10, "loss": "cross_entropy_sum"},
            "Ridge(alpha=λ) has half_mse built in; "
            "give loss='half_mse', λ beside cross_entropy_sum is another",
        ),
        (
            (1, "book", "no_half"),
            {"loss": "cross_entropy", "outputs": 3},
            f"outputs is 3, and a cross-entropy is that of one label; {LABELS}",
        ),
        (
            (1, "book", "no_half"),
            {"loss": "mse", "target_loss": "cross_entropy"},
            "λ beside mse has no equivalent beside cross_entropy: they have different minima",
        ),
        (
            (1, "book", "no_half"),
            {"loss": "torch_l2"},  # although rows are called nearly so
            f"no loss is called 'torch_l2'; choose one of {', '.join(LOSS_SCALES)}",
        ),
        (
            (1, "book", "sklearn_mlp"),
            {"batch_size": 8, "sample_weight_sum": 7.5},
            "batch_size and sample_weight_sum do not fit together: the weights' sum differs from "
            "minibatch to minibatch, so that no λ is constant; for steps on all examples leave out "
            "batch_size, else take the weighted mean",
        ),
        (
            (1, "torch_adamw", "timm_corrected"),
            {"lr": 1e-3, "max_lr": 1e-4},
            "lr is 0.001 and max_lr 0.0001; max_lr is the schedule's largest rate",
        ),
        (
            (30, "torch_sgd", "sgdw"),
            SGD | PLAIN,
            f"torch_sgd: 30 is out of range: each step would multiply a weight by -2, {GROW}",
        ),
        (
            (1.5, "factor", "sgdw"),
            SGD,
            f"factor: 1.5 is out of range: each step would multiply a weight by 1.5, {GROW}",
        ),
        (
            (-1, "book", "no_half"),
            {},
            "book: -1 is out of range: λ is finite and not negative, and C positive",
        ),
        ((1e-18, "sgdw_paper", "factor"), {}, f"sgdw_paper: 1e-18 is out of range: {BEYOND}"),
        (
            (1, "sklearn_lasso", "sgdw"),
            {},
            "an L1 penalty takes the same from every weight, L2 and decay in proportion: "
            "no equivalent",
        ),
        (
            (1, "keras_l2", "keras_optimizer"),
            {"lr": 1, "optimizer": "lion"},
            "penalty and decay are the same under plain SGD only, not lion",
        ),
        (
            (1, "keras_l2", "lion"),
            SGD,
            "penalty and decay are the same under plain SGD only, not lion; "
            "the decays of SGD are sgdw, sgdw_paper, tfa, keras_optimizer",
        ),
        (
            (1, "torch_adamw", "keras_l2"),
            {"lr": 1, "optimizer": "Lion"},
            "Adam divides the penalty's gradient λw by √v, so that each weight decays at its own "
            "rate: no single number makes a penalty inside Adam and a decay outside it equivalent; "
            "§3.6 of the book gives a first guess",
        ),
        (
            (1, "lion", "schedulefree_sgd"),
            {"lr": 1},
            "penalty and decay are the same under plain SGD only, not lion, schedule-free SGD",
        ),
        (
            (1, "sgdw", "book"),
            SGD,
            "this conversion depends on momentum, as a penalty goes through its buffer and decays "
            "about 1/(1 - momentum) times as fast; give momentum=, 0 for plain SGD",
        ),
        (
            (1, "timm", "book"),
            {"lr": 0.1},
            "penalty and decay are the same under plain SGD only; "
            "say optimizer='sgd' and its momentum= if you use that",
        ),
        (
            (0.1, "torch_adamw", "factor"),
            {"lr": 0.1, "schedule": True},
            "no λ is the same at every step, as under AdamW(weight_decay=λ) it follows the learning"
            f" rate and w *= λ at every step the share stays what it is; {ONE}",
        ),
        (
            (0.5, "factor", "torch_sgd"),
            {"lr": 0.1, "schedule": True, **PLAIN},
            "no λ is the same at every step, as under w *= λ at every step the share stays what it "
            f"is and SGD(weight_decay=λ) it follows the learning rate; {ONE}",
        ),
        (
            (0.01, "torch_sgd", "tfa"),
            {"lr": 0.1, "schedule": True, **PLAIN},
            "no λ is the same at every step, as under SGD(weight_decay=λ) it follows the learning "
            "rate and tfa.optimizers' AdamW, SGDW(weight_decay=λ) the share stays what it is; "
            f"{ONE}",
        ),
        (
            (0.1, "adamc", "sgdw"),
            {"lr": 0.1, "max_lr": 0.1, "schedule": True},
            "no λ is the same at every step, as under AdamC's normalised layers it follows the "
            f"rate's square and SGD with w *= 1 - lr·λ beside its step it follows the learning rate"
            f"; {ONE}",
        ),
        (
            (0.01, "torch_sgd", "sgdw"),
            SGD | {"momentum": 0.9, "schedule": True},
            "with the same momentum no λ is the same at every step, as the share of a penalty in a buffer "
            f"does not fall in proportion to the rate; {ONE}",
        ),
        (
            (1, "torch_sgd", "sgdw"),
            SGD | {"momentum": 0.9},
            "ηλ = 0.1 is too large: with momentum 0.9 a weight oscillates beyond ηλ = 0.00263, a "
            "share of 0.0513 a step, and more λ is then no more decay; lower λ, lr or momentum",
        ),
        (
            (4, "torch_sgd", "sgdw"),
            SGD | {"momentum": 0.9, "dampening": 0.5},
            "ηλ = 0.4 is too large: with momentum 0.9 a weight oscillates beyond ηλ = 0.00527, a "
            "share of 0.0513 a step, and more λ is then no more decay; lower λ, lr or momentum",
        ),
        (
            (0.2, "sgdw_paper", "torch_sgd"),
            SGD | {"momentum": 0.8, "nesterov": True},
            "a share of 0.2 a step is too large: with momentum 0.8 a weight oscillates beyond "
            "ηλ = 0.0123, a share of 0.111 a step, and more λ is then no more decay; lower λ, lr or"
            " momentum",
        ),
        (
            (0.1, "torch_sgd", "sgdw"),
            SGD | {"momentum": 0.5, "nesterov": True, "dampening": 0.5},
            "nesterov=True needs a momentum and no dampening, as PyTorch does",
        ),
    ],
)  # fmt: skip
def test_an_error_has_all_its_words(arguments, options, words):
    assert refusal(lambda: convert(*arguments, **options)) == words


def test_the_remedies_of_errors_are_ones():
    told = refusal(lambda: convert(1, "sklearn_logistic", "book", n=10))
    loss = re.search(r"give loss='(\w+)'", told)[1]
    assert refusal(lambda: convert(1, "sklearn_logistic", "book", n=10, loss=loss)) == ""
    told = refusal(lambda: convert(1, "torch_sgd", "torch_adamw", lr=0.1, **PLAIN))
    assert told.startswith("Adam divides")
    rows = told.partition("; the decays of SGD are ")[2].split(", ")
    assert len(rows) == 4
    for row in rows:
        assert CONVENTIONS[row].kind == "decay"
        assert refusal(lambda row=row: convert(1, "torch_sgd", row, lr=0.1, **PLAIN)) == ""
    for optimizer in ("adam", None):
        told = refusal(
            lambda o=optimizer: convert(1, "torch_sgd", "torch_adamw", lr=1, optimizer=o)
        )
        assert told.endswith(" equivalent; §3.6 of the book gives a first guess")


@pytest.mark.parametrize(
    "name", ["Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam"]
)
def test_an_optimiser_is_known_in_small_letters_and_in_its_own(name):
    for optimizer in (name, name.lower(), name.upper()):
        words = refusal(lambda o=optimizer: convert(1, "mxnet", "fastai", lr=0.1, optimizer=o))
        assert words.startswith(f"{name} divides the penalty's gradient λw by √v")
        assert f"a penalty inside {name} and a decay outside it" in words
    for sgd in ("SGD", "Sgd"):
        assert (
            refusal(lambda o=sgd: convert(1, "mxnet", "fastai", lr=1, momentum=0, optimizer=o))
            == ""
        )


NEEDS = {
    "lr": [("torch_adamw", "factor"), ("sgdw_paper", "hf_trainer"), ("adamc", "factor")],
    "n": [("book", "sklearn_ridge"), ("over_2m", "book")],
    "batch_size": [("sklearn_mlp", "book")],
    "y_std": [("book", "glmnet_ridge")],
    "max_lr": [("timm_corrected", "factor")],
}
KINDS = {"n": "whole ", "batch_size": "whole ", "outputs": "whole "}
ALL = {"lr": 0.5, "n": 4, "batch_size": 2, "y_std": 1, "max_lr": 1}


@pytest.mark.parametrize("name", [*NEEDS])
def test_a_number_that_is_needed_is_asked_for_by_its_name(name):
    known = {other: value for other, value in ALL.items() if other != name}
    for source, target in NEEDS[name]:
        asked = f"this conversion depends on {name}; give {name}="
        words = refusal(lambda s=source, t=target: convert(0.5, s, t, **known))
        assert words == asked
        assert refusal(lambda s=source, t=target: convert(0.5, s, t, **ALL)) == ""


@pytest.mark.parametrize("name", [*NEEDS, "outputs", "sample_weight_sum"])
def test_zero_is_no_setting_and_one_is(name):
    """Nor is what is negative; a part of one only where nothing is counted."""
    kind = KINDS.get(name, "")
    for wrong in [0, -1, 0.0, math.nan, math.inf, *([0.5, 1.5] if kind else [])]:
        words = refusal(lambda value=wrong: convert(0.5, "book", "no_half", **{name: value}))
        assert words == f"{name} is {wrong!r}; it must be a positive {kind}number"
    for right in [1, 1.0, np.int64(1), 3.0, *([] if kind else [0.5, 1e-300])]:
        assert refusal(lambda value=right: convert(0.5, "book", "no_half", **{name: value})) == ""


# ---- limits --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((0.5, "torch_adamw", "adamc"), {"lr": 1e-3, "max_lr": 1e-3}, 0.5),
        ((0.5, "timm_corrected", "timm"), {"lr": 0.25, "max_lr": 1.0}, 0.125),
        ((0.5, "book", "no_half"), {"loss": "cross_entropy", "outputs": 1}, 0.25),
        ((0, "book", "no_half"), {}, 0),
        ((0, "sgdw", "factor"), {"lr": 1}, 1),
        ((1, "sgdw_paper", "factor"), {}, 0),
        ((1.75, "sgdw_paper", "optax_after"), {}, -1.75),
        ((-0.75, "factor", "sgdw_paper"), {}, 1.75),
        ((0, "optax_after", "factor"), {}, 1),
        ((5e-14, "sgdw_paper", "factor"), {}, 1 - 5e-14),
        ((1 - 2**-46, "factor", "sgdw_paper"), {}, 2**-46),
        ((0.25, "torch_sgd", "sgdw_paper"), {"lr": 1, "optimizer": "sgd", "momentum": 0.25}, 0.5),
        ((0.5, "sgdw_paper", "torch_sgd"), {"lr": 1, "optimizer": "sgd", "momentum": 0.25}, 0.25),
        ((0.5, "torch_sgd", "sgdw"), {"lr": 1, "schedule": True, **PLAIN}, 0.5),
        ((0.5, "sgdw", "timm"), {"lr": 1, "schedule": True, "momentum": 0.9}, 0.5),
        ((0.5, "book", "sklearn_ridge"), {"n": 3.0}, 1.5),
        ((0.5, "book", "sklearn_ridge"), {"sample_weight_sum": 2.5}, 1.25),
    ],
)
def test_what_lies_on_a_limit_is_let_through(arguments, options, expected):
    found = []
    assert refusal(lambda: found.append(convert(*arguments, **options))) == ""
    assert found == [pytest.approx(expected, rel=1e-12)]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((0.5, "torch_adamw", "adamc"), {"lr": 1e-3, "max_lr": 0.999e-3}),
        ((2, "sgdw_paper", "factor"), {}),
        ((-2, "optax_after", "factor"), {}),
        ((-1, "factor", "sgdw_paper"), {}),
        ((1.5e-16, "sgdw_paper", "factor"), {}),
        ((20, "torch_sgd", "sgdw"), {"lr": 0.1, **PLAIN}),
        ((0.2501, "torch_sgd", "sgdw"), {"lr": 1, "optimizer": "sgd", "momentum": 0.25}),
        ((0.5001, "sgdw", "torch_sgd"), {"lr": 1, "optimizer": "sgd", "momentum": 0.25}),
        ((0, "sklearn_logistic", "book"), {"n": 3, "loss": "cross_entropy"}),
        ((-1e-9, "adamw_paper", "optax_after"), {}),
        ((1e-9, "optax_after", "adamw_paper"), {}),
        ((1e308, "book", "sklearn_ridge"), {"n": 1000}),
        ((1e-320, "book", "no_half"), {"outputs": 10**9, "target_loss": "mse", "loss": "half_sse",
                                       "batch_size": 10**9}),
    ],
)  # fmt: skip
def test_what_lies_beyond_a_limit_is_refused(arguments, options):
    assert refusal(lambda: convert(*arguments, **options)) != ""


@pytest.mark.parametrize("loss", ["half_sse", "sse", "cross_entropy_sum"])
def test_weights_of_examples_stand_for_the_batch_under_every_sum(loss):
    mean = {"half_sse": "half_mse", "sse": "mse"}.get(loss, "cross_entropy")
    found = []
    losses = {"loss": mean, "target_loss": loss, "sample_weight_sum": 7.5}
    assert refusal(lambda: found.append(convert(2.0, "book", "keras_l2", **losses))) == ""
    assert found == [pytest.approx(2.0 / 2 * 7.5)]


# ---- momentum ------------------------------------------------------------------------------
@given(
    momentum=st.floats(0.01, 0.999),
    form=st.sampled_from(["plain", "nesterov", "dampened"]),
    part=st.floats(-30, 0),
)
def test_the_share_is_the_smaller_root_to_the_last_digits(momentum, form, part):
    """However small: a difference of two numbers that are nearly equal would lose them."""
    buffer = Momentum(momentum, 0.5 if form == "dampened" else 0.0, form == "nesterov")
    c = 1 + momentum if form == "nesterov" else 1
    highest = buffer.fastest**2 / (0.5 if form == "dampened" else 1)
    rate = highest * 0.999 * 10.0**part
    share = buffer.share(rate)
    x = rate * (0.5 if form == "dampened" else 1)
    terms = [share**2, -(1 - momentum + c * x) * share, x]
    assert abs(sum(terms)) <= 1e-12 * x
    assert 0 < share <= buffer.fastest
    assert buffer.rate(share) == pytest.approx(rate, rel=1e-9)


# ---- rows ----------------------------------------------------------------------------------
def test_the_table_holds_what_the_rows_hold():
    shown = describe_conventions()
    assert shown.caption == "Meanings of λ that can be converted"
    assert shown.columns == ("name", "kind", "built-in loss", "what the code says")
    heads, *lines = str(shown).splitlines()
    starts = [heads.index(head) for head in shown.columns]
    ends = [*starts[1:], None]
    for line, row, (name, each) in zip(lines, shown.rows, CONVENTIONS.items(), strict=True):
        assert row == (name, each.kind, each.loss or "-", each.about)
        assert [line[a:b].rstrip() for a, b in zip(starts, ends, strict=True)] == [*row]


@pytest.mark.parametrize("row", [row for row in CONVENTIONS if row.startswith("sklearn_")])
def test_what_scikit_learn_s_rows_say_can_be_written(row):
    """With a number for λ each is an estimator; and its name is that of the row."""
    about = CONVENTIONS[row].about
    makers = {**vars(sklearn.linear_model), **vars(sklearn.neural_network)}
    kinds, keywords = re.fullmatch(r"(.+)\((.+)\)", about).groups()
    for kind in kinds.split(", "):
        assert {*re.findall(r"(\w+)=", keywords)} <= {*inspect.signature(makers[kind]).parameters}
        made = eval(f"kind({keywords.replace('λ', '0.5')})", {"kind": makers[kind]})
        assert 0.5 in (getattr(made, "alpha", None), getattr(made, "C", None))
        stem = row.removeprefix("sklearn_").removesuffix("_l2").replace("enet", "elasticnet")
        assert stem in kind.lower().replace("multilayerperceptron", "mlp")
    if "net" in row:
        assert made.l1_ratio == 0


@pytest.mark.parametrize("row", [row for row in CONVENTIONS if row.startswith("torch_")])
def test_what_torch_s_rows_say_can_be_written_and_decays_as_the_row_says(row):
    """One step with gradients of zero: a decay takes the share, a penalty passes the optimiser."""
    known = CONVENTIONS[row]
    kind, more = re.search(r"(\w+)(?:\(|, )(.+?)\)?$", known.about).groups()
    if not hasattr(torch.optim, kind):
        pytest.skip(f"this torch has no {kind}")
    flags = {"weight_decay": 0.5} | ({} if "λ" in more else {more.partition("=")[0]: True})
    assert row.removeprefix("torch_").removesuffix("w") == kind.lower().removesuffix("w")
    assert {*flags} <= {*inspect.signature(getattr(torch.optim, kind)).parameters}
    w = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    optimizer = getattr(torch.optim, kind)([w], lr=0.125, **flags)
    for _ in range(2):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    decays = w.detach().numpy() == pytest.approx((1 - 0.125 * 0.5) ** 2, rel=1e-9)
    assert decays == (known.kind == "decay" or row == "torch_sgd")
    family = {"adamw": "adam", "nadamw": "nadam", "radamw": "radam"}
    name = row.removeprefix("torch_")
    assert known.optimizer == family.get(name, name)


UNNAMED = {"hf_trainer": "adam"}  # whose optimiser is another argument


@pytest.mark.parametrize("row", [*CONVENTIONS])
def test_a_row_says_whose_it_is_and_of_what_kind(row):
    known = CONVENTIONS[row]
    if known.optimizer:
        assert known.optimizer.split()[-1].lower() in f"{UNNAMED.get(row)} {known.about}".lower()
    l1 = re.search(r"Lasso|L1\(|alpha=1,|regularized\(alpha=λ\)$", known.about)
    assert bool(l1) == (known.kind == "l1")
    l2 = re.search(r"‖w‖²|L2\(|l2_|alpha=0,|L1_wt=0\)|l1_ratio=0\)", known.about)
    assert not l2 or known.kind == "penalty"
    if known.kind == "penalty" and (re.search("glmnet|statsmodels|_l2", row)):
        assert l2 or row == "fastai_l2"
    assert known.kind == "decay" or known.lr_power == 1
    assert not known.loss or known.kind != "decay"
    if "glmnet" in row or "statsmodels_glm" in row:
        assert ("binomial" in known.about.lower()) == (known.loss == "cross_entropy")


# ---- names ---------------------------------------------------------------------------------
@pytest.mark.parametrize("word", [*REASONS])
def test_every_reason_is_told_by_its_word_alone_and_among_others(word):
    known = {"svc": "svm"}
    for name in (word, word.upper(), f"{word}_x", f"x.{word}"):
        assert reason(name) == REASONS[word]
    assert word not in known or REASONS[word] == REASONS[known[word]]
    for row in re.findall(r"'(\w+)'", REASONS[word]):
        assert row in CONVENTIONS
    assert refusal(lambda: convert(1, word, "book")).startswith(
        f"no convention is called {word!r}: {REASONS[word]}; "
    )


def test_the_reason_for_adan_is_right():
    """Its decay is implicit: w/(1 + lr·λ)."""
    formula = re.search(r"the share is (\S+); ", REASONS["adan"].replace(" + ", "+"))[1]
    share = eval(formula.replace("lr·λ", "rate"), {"rate": 0.25})
    assert 1 - share == 1 / 1.25
    assert convert(0.5, "timm", "factor", lr=0.5) == 1 - 0.25  # with no_prox=True


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("lightning accelerate", "torch_sgd torch_adamw"),
        ("flax jax haiku", "optax_adamw optax_before optax_l2_loss"),
        ("huggingface transformers", "hf_trainer"),
        ("tensorflow", "keras_l2 keras_optimizer tf_l2_loss"),
        ("pytorch", "torch_sgd torch_adam torch_adamw"),
        ("caffe darknet", "torch_sgd"),  # whose penalty goes through the buffer
        ("megatron", "apex"),  # whose FusedAdam it takes
        ("liblinear", "sklearn_logistic"),
        ("tikhonov", "book sklearn_ridge"),
        ("elastic", "sklearn_enet_l2 sklearn_lasso"),
        ("schedulefree", "schedulefree_sgd"),
        ("adan", "timm"),
    ],
)
def test_words_of_other_libraries_lead_to_rows(words, rows):
    about = {row: each.about for row, each in CONVENTIONS.items()}
    for word in words.split():
        assert nearest(word, about) == rows.split()
        assert nearest(f"my.{word.upper()}_x", about) == rows.split()


def test_composers_rows_are_those_that_say_so():
    about = {row: each.about for row, each in CONVENTIONS.items()}
    rows = [row for row in about if "Composer's" in about[row]]
    assert nearest("composer", about) == nearest("mosaicml", about) == rows
    assert {row for rows in ROWS_OF.values() for row in rows} <= {*CONVENTIONS}


def test_the_nearest_rows_in_their_order():
    rows = {"one_optimizer": "", "one_l2": "", "one_lbfgs": "", "other": "", "one_x": ""}
    assert nearest("one_l3", rows)[0] == "one_l2"  # of those with one word the most alike
    assert len(nearest("one_l3", rows)) == 3
    assert nearest("one_l3", rows, most=9)[-1] != "other"  # nothing in common, so not there
    assert "other" not in nearest("one_l3", rows, most=9)
    assert nearest("lbgfs", rows) == ["one_lbfgs"]  # spelled nearly so
    assert nearest("lxyfs", rows) == []  # or not
    assert nearest("ONE.L2", rows)[0] == "one_l2"
    assert nearest("two", {"a": "b two", "two": "c", "d": "e"}) == ["two", "a"]


def test_an_unknown_name_is_told_each_rows_own_words():
    words = refusal(lambda: convert(1, "keras", "book"))
    rows = re.findall(r"(keras_\w+) \((.+?λ\))\)", words)
    assert {row for row, _ in rows} == {"keras_l2", "keras_l1", "keras_optimizer"}
    for row, about in rows:
        assert about == CONVENTIONS[row].about


# ---- numbers -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("5e-5", f"; {TEXT}"),
        (b"5", f"; {TEXT}"),
        (True, "; True and False are no numbers"),
        (torch.tensor(0.5), "; give eta.item(), a plain number"),
        (np.array(0.5), "; give eta.item(), a plain number"),
        ([1], "; give one number"),
        (np.ones(1), "; give one number"),
        ({}, "; give one number"),
        (None, ""),
        (1j, ""),
    ],
    ids=repr,
)
def test_what_is_no_number_is_told_why(value, advice):
    words = refusal(lambda: as_number("eta", value, "it must be so"))
    assert words == f"eta is {value!r:.60}; it must be so{advice}"


def test_the_advice_on_yaml_is_true():
    yaml = pytest.importorskip("yaml")
    text, number = re.search(r"YAML reads (\S+) as text, and (\S+) as a number", TEXT).groups()
    assert (yaml.safe_load(text), yaml.safe_load(number)) == (text, float(text))


@pytest.mark.parametrize(
    ("low", "closed", "value", "right"),
    [
        (0, True, 0, True), (0, False, 0, False), (0, False, 5e-324, True),
        (0, True, -5e-324, False), (1, True, 1, True), (1, False, 1, False),
        (0, True, math.inf, False), (0, True, math.nan, False), (0, True, 10**400, False),
        (0, True, 1e308, True),
    ],
)  # fmt: skip
def test_the_low_end_of_a_range(low, closed, value, right):
    words = refusal(lambda: in_range("a", value, "wanted", low, closed=closed))
    assert words == ("" if right else f"a is {value!r:.60}; wanted")


@pytest.mark.parametrize(
    ("check", "value", "found"),
    [
        (lambda v: as_number("a", v, "w"), 10**400, math.inf),
        (lambda v: as_number("a", v, "w"), -(10**400), -math.inf),
        *((lambda v: whole("a", v, "w"), v, int(v)) for v in (1, 1.0, np.float32(1), 3.0)),
        *((lambda v: truth("a", v), v, bool(v)) for v in (True, False, np.True_, np.False_)),
    ],
)
def test_what_is_returned_is_pythons_own(check, value, found):
    made = []
    assert refusal(lambda: made.append(check(value))) == ""
    assert made == [found]
    assert type(made[0]) is type(found)


def test_counts_and_truth_values_that_are_none():
    for value in (0, 0.5, 1.5, -1, math.inf):
        assert refusal(lambda value=value: whole("a", value, "w")) == f"a is {value}; w"
    for value in (0, 1, "True", None, torch.tensor(True)):
        words = f"a is {value!r:.60}; it must be True or False"
        assert refusal(lambda value=value: truth("a", value)) == words
