"""Data: what ships is what scikit-learn has; what is drawn follows its formula; bad data are refused."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from l2lib.datasets import check_data, load, make_regression, minibatches, sonnets


@pytest.mark.parametrize(
    ("name", "loader", "options"),
    [("diabetes", "load_diabetes", {"scaled": False}), ("digits", "load_digits", {})],
)
def test_shipped_data_are_scikit_learns(name, loader, options):
    import sklearn.datasets

    theirs = getattr(sklearn.datasets, loader)(**options)
    ours = load(name)
    assert np.array_equal(ours.X, theirs.data)
    assert np.array_equal(ours.y, theirs.target)
    assert ours.X.dtype == np.float64
    assert ours.y.dtype == (np.int64 if name == "digits" else np.float64)
    assert len(ours.feature_names) == ours.X.shape[1]
    assert ours.licence
    assert ours.source


def test_mnist1d_is_what_its_package_draws():
    from mnist1d.data import get_dataset_args, make_dataset

    theirs, ours = make_dataset(get_dataset_args()), load("mnist1d")
    assert np.array_equal(
        ours.X, np.concatenate([theirs["x"], theirs["x_test"]]).astype(np.float32)
    )
    assert np.array_equal(ours.y, np.concatenate([theirs["y"], theirs["y_test"]]))
    assert len(theirs["x"]) == 4000
    assert ours.y.dtype == np.int64


def test_unknown_name_lists_the_known_ones():
    for name in ("iris", "Digits", None, ["digits"]):
        with pytest.raises(ValueError, match=r"no data set .*diabetes, digits, mnist1d"):
            load(name)


def test_sonnets_are_seventy_poems_of_fourteen_lines():
    poems = sonnets().rstrip("\n").split("\n\n")
    assert [len(poem.split("\n")) for poem in poems] == [14] * 70
    assert sonnets().isascii()
    assert 40_000 < len(sonnets()) < 46_000
    assert all(20 < len(line) < 70 for poem in poems for line in poem.split("\n"))
    assert len(set(poems)) == 70


def test_sonnets_are_chosen_by_their_numbers():
    assert sonnets(1, 1).startswith("From fairest creatures we desire increase,")
    assert sonnets(1, 30) + "\n" + sonnets(31) == sonnets()
    assert sonnets(5, 5).count("\n") == 14
    for bad in ({"first": 0}, {"last": 71}, {"first": 1.0}, {"last": True}, {"first": None}):
        with pytest.raises(ValueError, match=r"whole number, 1 to 70"):
            sonnets(**bad)
    with pytest.raises(ValueError, match=r"first is 9 and last is 3.*smaller number first"):
        sonnets(9, 3)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), d=st.integers(1, 30))
def test_make_regression_without_noise_is_its_formula(seed, n, d):
    X, y = make_regression(n, seed=seed, n_inputs=d, weight=0.5, bias=-2.0, noise=0.0)
    assert X.shape == (n, d)
    assert np.allclose(y, -2.0 + X @ np.full(d, 0.5), atol=1e-12)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), d=st.integers(1, 30))
def test_noise_is_drawn_after_the_inputs_from_their_stream(seed, n, d):
    """So that it shares no number with them."""
    X, y = make_regression(n, seed=seed, n_inputs=d, weight=0.5, bias=-2.0, noise=3.0)
    drawn = np.random.default_rng(seed).standard_normal(n * (d + 1))
    assert np.array_equal(X.ravel(), drawn[: n * d])
    assert np.allclose((y + 2.0 - 0.5 * X.sum(1)) / 3, drawn[n * d :], atol=1e-12)


def test_make_regression_has_the_stated_moments():
    X, y = make_regression(20_000, seed=3, n_inputs=4, weight=1.0, bias=0.3, noise=2.0)
    residual = y - 0.3 - X.sum(1)
    assert abs(residual.std() - 2.0) < 0.05  # five standard errors
    assert abs(X.std() - 1.0) < 0.02
    assert abs(residual.mean()) < 0.08


def test_one_seed_gives_one_draw():
    assert np.array_equal(make_regression(10, seed=5)[0], make_regression(10, seed=5)[0])
    assert not np.array_equal(make_regression(10, seed=5)[0], make_regression(10, seed=6)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"n": 0},
        {"n": "20"},
        {"n": 20.0},
        {"n": True},
        {"seed": -1},
        {"seed": None},
        {"seed": 0.5},
        {"n_inputs": 0},
        {"weight": 1j},
        {"weight": [0.1, 0.2]},
        {"bias": float("nan")},
        {"bias": "0"},
        {"noise": -1.0},
        {"noise": float("nan")},
        {"noise": float("inf")},
    ],
)
def test_make_regression_refuses_impossible_sizes(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"^{name} is .*; it must be a (whole|finite) number"):
        make_regression(**{"n": 3, "seed": 0} | options)


def test_scaled_divides_and_centres_if_asked():
    digits = load("digits")
    assert np.array_equal(digits.scaled(16), digits.X / 16)
    assert np.array_equal(digits.scaled(16, centre=True), digits.X / 16 - (digits.X / 16).mean(0))
    assert digits.X.max() == 16  # it is not changed itself


@pytest.mark.parametrize("unit", [0, -1, float("nan"), float("inf"), "16", True, None])
def test_scaled_refuses_what_is_no_unit(unit):
    with pytest.raises(ValueError, match=f"unit is {unit!r}; it must be a finite number > 0"):
        load("digits").scaled(unit)
    with pytest.raises(ValueError, match="centre is 'no'; it must be True or False"):
        load("digits").scaled(16, centre="no")


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), r"got \(3, 2\) and \(4,\)"),
        (np.zeros(3), np.zeros(3), "shape"),
        (np.zeros((0, 2)), np.zeros(0), "at least one example"),
        (np.array([[np.nan, 1.0]]), np.zeros(1), "NaN"),
        (np.array([[-np.inf, 1.0]]), np.zeros(1), "NaN"),
        (np.ones((1, 2)), np.array([np.nan]), "NaN"),
        (np.zeros((3, 0)), np.zeros(3), "one input"),
        (np.zeros((1, 2)), np.array([np.inf]), "NaN or infinite"),
        (np.zeros((3, 2)), np.zeros((3, 1)), r"got .*; write y\[..., 0\]"),
        (np.zeros(3), np.zeros(3), r"write X\[:, None\]"),
        (np.zeros((3, 8, 8)), np.zeros(3), r"write X.reshape\(len\(X\), -1\)"),
        ([["1"], ["2"]], [1, 2], "X holds text, '1'; give numbers"),
        ([[1.0], [2.0]], ["cat", "dog"], r"y holds text, 'cat'; give numbers \(classes are 0, 1"),
        ([[1.0], [2.0, 3.0]], [1, 2], "rows of one length"),
        ([[1j]], [1], "X holds complex numbers"),
        ([[1.0]], [None], r"y is \[None\]; give an array of real numbers"),
        ((v for v in [[1.0]]), [1], "X is a generator; give an array of real numbers"),
        ({"a": [1.0]}, [1], "X is {'a'"),
        (np.ma.array([[1.0]], mask=[[True]]), [1], "X has masked numbers"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), [1], "X is .*; give an array of real"),
    ],
)
def test_check_data_says_what_is_wrong(X, y, message):
    with pytest.raises(ValueError, match=message):
        check_data(X, y)


@given(
    n=st.integers(1, 12),
    size=st.integers(1, 12),
    seeds=st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True),
)
def test_batches_are_the_stream_cut_into_epochs(n, size, seeds):
    """Each seed's permutations, as many full batches of each as fit; no seed hears of another."""
    size = min(n, size)
    batches = minibatches(n, size, seeds)
    streams = [np.random.default_rng([seed, 1]) for seed in seeds]
    for _ in range(3):
        epoch = [stream.permutation(n) for stream in streams]
        for k in range(n // size):
            expected = [order[k * size : (k + 1) * size] for order in epoch]
            assert np.array_equal(next(batches), expected)


@given(n=st.integers(1, 12))
def test_all_examples_are_in_order(n):
    batches = minibatches(n, None, [3, 4])
    for _ in range(3):
        assert np.array_equal(next(batches), [range(n)] * 2)


@pytest.mark.parametrize(
    ("labels", "classes"), [([0, 3], 3), ([-1, 0], 3), ([0.5, 1], 3), ([0, 1], 1), ([2.0, 2.5], 3)]
)
def test_labels_of_no_class_are_refused(labels, classes):
    with pytest.raises(ValueError, match=f"need whole labels 0 … {classes - 1}"):
        check_data(np.ones((2, 1)), labels, classes)
    check_data(np.ones((2, 1)), labels)  # as numbers they are as good as any
    with pytest.raises(ValueError, match=r"classes is 3.0; it must be a whole number ≥ 1"):
        check_data(np.ones((2, 1)), labels, 3.0)


def test_one_hot_labels_are_said_to_be_that():
    with pytest.raises(ValueError, match=r"if y is one-hot, write y.argmax\(-1\)"):
        check_data(np.ones((2, 1)), np.eye(2), 2)


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], dtype=np.uint8),
        np.array([[Fraction(1), 2], [3, 4]], dtype=object),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16),
        [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3, 4])],
        pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0]}),
        xr.DataArray([[1, 2], [3, 4]]),
        np.ma.array([[1, 2], [3, 4]]),
    ],
    ids=lambda X: type(X).__name__,
)
def test_data_are_what_they_say_whatever_holds_them(X):
    found, _ = check_data(X, [0, 1])
    assert found.tolist() == [[1, 2], [3, 4]]
    assert found.dtype == np.float64


@pytest.mark.parametrize("batch_size", [0, 11, -1])
def test_batches_that_n_examples_cannot_fill_are_refused_at_once(batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; it must be 1 to 10"):
        minibatches(10, batch_size, [0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 10.0}, "n is 10.0"),
        ({"batch_size": 2.0}, "batch_size is 2.0; it must be 1 to 10"),
        ({"batch_size": "2"}, "batch_size is '2'"),
        ({"seeds": 3}, r"seeds is 3; give a list, such as \[0\]"),
        ({"seeds": []}, "at least one value"),
        ({"seeds": [-1]}, "seeds is -1"),
        ({"seeds": (s for s in [1])}, "seeds is a generator; give a list"),
    ],
)
def test_batches_of_what_is_no_number_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        minibatches(**{"n": 10, "batch_size": 2, "seeds": [0]} | options)


@pytest.mark.parametrize(
    ("X", "y", "classes"),
    [
        (np.ones((4, 3)), np.ones((4, 1)), None),
        (np.ones((4, 3)), np.ones((4, 1)), 3),
        (np.ones((2, 4, 3)), np.ones((2, 4, 1)), 3),
        (np.ones((4, 3)), np.eye(4, 3), 3),
        (np.ones((2, 4, 3)), np.stack([np.eye(4, 3)] * 2), 3),
        (np.ones(4), np.ones(4), None),
        (np.ones((4, 5, 6)), np.ones(4), None),
    ],
)
def test_who_follows_the_hint_is_served(X, y, classes):
    """Nothing is lost, and there are as many examples as there were."""
    with pytest.raises(ValueError, match=r"; (if|write)") as refused:
        check_data(X, y, classes)
    given = {"X": X, "y": y}
    hint = str(refused.value).rpartition("write ")[2]
    given[hint[0]] = eval(hint, given.copy())
    inputs, targets = check_data(given["X"], given["y"], classes)
    assert targets.size == (y.size // y.shape[-1] if hint[0] == "y" else y.size)
    assert inputs.size == X.size


def test_labels_are_told_from_the_least_to_the_largest():
    with pytest.raises(ValueError, match=r"^need whole labels 0 … 2; got -1 to 3$"):
        check_data(np.ones((3, 1)), [3, -1, 0], 3)
    _, y = check_data(np.ones((3, 1)), [2, 0, 1], 3)
    assert y.tolist() == [2, 0, 1]


def test_the_defaults_are_the_weight_decay_example():
    """Of 200 inputs: y = 0.05 + 0.01 Σ x + ε, ε of deviation 0.01."""
    X, y = make_regression(5000, seed=3)
    w = np.linalg.lstsq(np.column_stack([X, np.ones(5000)]), y, rcond=None)[0]
    assert X.shape[1] == 200
    assert abs(w[:-1] - 0.01).max() < 1e-3
    assert abs(w[-1] - 0.05) < 1e-3
    assert (y - X @ w[:-1] - w[-1]).std() == pytest.approx(0.01, rel=0.05)


def test_types_and_names_of_what_ships():
    for name, names in (("digits", 64), ("mnist1d", 40), ("diabetes", 10)):
        data = load(name)
        assert (data.name, len(data.feature_names)) == (name, data.X.shape[1])
        assert (data.X.dtype, len(data.feature_names)) == (np.float64, names)
        assert data.y.dtype == (np.float64 if name == "diabetes" else np.int64)
    assert load("mnist1d").feature_names[::39] == ("input 0", "input 39")
