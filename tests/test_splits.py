"""Test data that had a part in the fit, the choice or the scale are refused, or cannot be written."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2lib.datasets import load, make_regression
from l2lib.penalty import ridge
from l2lib.splits import HeldOutError, Part, Split, check_apart, split, split_of
from l2lib.sweep import MLP, predict, sweep

X = np.random.default_rng(0).standard_normal((12, 3))
Y = X @ [1.0, 2.0, 3.0] + 0.5
ROWS = {"train": np.arange(5), "validation": np.arange(5, 8), "test": np.arange(8, 12)}
SWEEP = {"lr": 0.1, "steps": 2}


def squared(answers, y):
    return (answers - y) ** 2


def candidates(inputs):
    """Three models; the second is right but for its offset, the third knows nothing."""
    right = inputs @ [1.0, 2.0, 3.0]
    return np.stack([right - 1, right, 0 * right], -2)


# ---- parts share nothing -------------------------------------------------------------------
@given(st.data())
def test_parts_drawn_by_a_seed_are_apart_and_as_large_as_asked(data):
    n = data.draw(st.integers(3, 40))
    sizes = [data.draw(st.integers(1, max(1, n - 2)))]
    sizes.append(data.draw(st.integers(1, max(1, n - sizes[0] - 1))))
    sizes.append(n - sum(sizes))
    if sizes[-1] < 1:
        return
    inputs = np.arange(2.0 * n).reshape(n, 2)
    seed = data.draw(st.integers(0, 1000))
    parts = split(
        inputs, inputs[:, 0], train=sizes[0], validation=sizes[1], test=sizes[2], seed=seed
    )
    order = np.random.default_rng(seed).permutation(n)
    firsts = np.split(order, np.cumsum(sizes)[:2])
    for part, rows in zip((parts.train, parts.validation, parts.test), firsts, strict=True):
        assert np.array_equal(part.X, inputs[rows])
        assert np.array_equal(part.y, inputs[rows, 0])
    assert np.array_equal(parts.refit.X, inputs[order[: sum(sizes[:2])]])
    assert np.array_equal(parts.refit.y, inputs[order[: sum(sizes[:2])], 0])
    assert parts.refit.role == "train"


def test_a_refit_has_each_data_sets_own_examples():
    parts = split(X, Y, train=[[0, 1], [2, 3]], validation=[[4], [5]], test=[[6], [7]])
    assert np.array_equal(parts.refit.X, X[[[0, 1, 4], [2, 3, 5]]])
    assert np.array_equal(parts.refit.y, Y[[[0, 1, 4], [2, 3, 5]]])


def test_rows_are_taken_as_they_are_given():
    rows = {"train": [[3, 1], [0, 2]], "test": [[0, 2, 5], [1, 3, 4]]}
    parts = split(X, Y, **rows)
    for role in ("train", "test"):
        inputs, targets = getattr(parts, role).X, getattr(parts, role).y
        assert np.array_equal(inputs, X[np.array(rows[role])])
        assert np.array_equal(targets, Y[np.array(rows[role])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": [4, 9]}, "row 4 is used twice; each row goes to one part"),
        ({"validation": [7, 8]}, "row 8 is used twice"),
        ({"train": [1, 1]}, "row 1 is used twice"),
        ({"train": [-1]}, "row 11 is used twice"),  # NumPy's -1 is the last one
        ({"train": 5}, "train is a number of examples; give a seed"),
        ({"seed": 0}, "train lists rows; leave seed out"),
        ({"train": [0.0, 1.0]}, r"train is \[0.0, 1.0\]; give row numbers"),
        ({"train": []}, r"train is \[\]; give row numbers"),
        ({"train": [True, False]}, "or a mask of 12 rows"),
        ({"train": "01"}, "train is a number of examples|train holds text"),
        ({"train": [[0, 1]]}, r"rows have shapes train \(1, 2\), validation \(3,\), test \(4,\)"),
        ({"train": None}, "train is None; give row numbers"),
        ({"test": None}, "test is None; give row numbers"),
    ],
)
def test_rows_go_to_one_part(change, message):
    with pytest.raises(ValueError, match=message):
        split(X, Y, **ROWS | change)


@pytest.mark.parametrize("row", [12, -13])
def test_rows_that_do_not_exist_are_said(row):
    with pytest.raises(IndexError, match="rows are numbered 0 to 11"):
        split(X, Y, **ROWS | {"test": [row]})


def test_a_mask_is_the_rows_where_it_is_true():
    masks = {role: np.isin(np.arange(12), rows) for role, rows in ROWS.items()}
    parts, same = split(X, Y, **masks), split(X, Y, **ROWS)
    for role in ROWS:
        assert np.array_equal(getattr(parts, role).X, getattr(same, role).X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 0.8}, "train is 0.8; it must be a whole number ≥ 1"),
        ({"train": 5.7}, "train is 5.7"),  # not five without a word
        ({"train": True}, "train is True"),
        ({"test": "5"}, "test is '5'"),
        ({"seed": -1}, "seed is -1; it must be a whole number ≥ 0"),
        ({"seed": "0"}, "seed is '0'"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"duplicates": True}, "duplicates is True"),
        ({"duplicates": None}, "duplicates is None; it must be a whole number ≥ 0"),
        ({"y": Y[:, None]}, r"write y\[..., 0\]"),
    ],
)
def test_numbers_of_examples_are_whole(change, message):
    with pytest.raises(ValueError, match=message):
        split(**{"X": X, "y": Y, "train": 5, "test": 5, "seed": 0} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": None}, r'train is None; give a Part\(X, y, "train"\)'),
        ({"test": (X[8:], Y[8:])}, "test is .*; give a Part"),
        ({"validation": X}, "validation is .*; give a Part"),
        ({"duplicates": 0.5}, "duplicates is 0.5"),
    ],
)
def test_a_split_is_made_of_parts(change, message):
    parts = {role: Part(X[rows], Y[rows], role) for role, rows in ROWS.items()}
    with pytest.raises(ValueError, match=message):
        Split(**parts | change)
    with pytest.raises(ValueError, match="check_apart compares parts; got a"):
        check_apart(parts["train"], X)


def test_lists_and_tensors_are_examples_too():
    part = Part([[1, 2], [3, 4]], torch.tensor([0, 1]), "train")
    assert part.X.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert part.y.dtype == np.int64
    parts = split_of((X[:5].tolist(), Y[:5].tolist()), (torch.tensor(X[5:]), torch.tensor(Y[5:])))
    assert np.array_equal(parts.test.X, X[5:])
    for wrong in (X[:5], (X[:5],), None, "train"):
        with pytest.raises(ValueError, match="train must be a pair, inputs and targets; got"):
            split_of(wrong, (X[5:], Y[5:]))


def test_stacked_rows_are_compared_in_their_own_data_set():
    split(X, Y, train=[[0, 1], [2, 3]], test=[[2, 3], [0, 1]])
    with pytest.raises(ValueError, match="row 3 is used twice"):
        split(X, Y, train=[[0, 1], [2, 3]], test=[[2, 3], [0, 3]])


@pytest.mark.parametrize(("train", "test"), [(12, 1), (0, 3), (3, 0), (10, 3)])
def test_sizes_that_do_not_fit_are_refused(train, test):
    with pytest.raises(ValueError, match=r"there are only 12|is 0; it must be a whole number ≥ 1"):
        split(X, Y, train=train, test=test, seed=0)
    assert len(split(X, Y, train=11, test=1, seed=0).train.X) == 11


def test_equal_inputs_are_refused_whatever_their_targets():
    doubled, targets = np.concatenate([X, X[3:5]]), np.arange(14.0)
    rows = {"train": np.arange(12), "test": [12, 13]}
    with pytest.raises(
        ValueError, match=r"2 of 2 test inputs are training inputs too.*duplicates=2"
    ):
        split(doubled, targets, **rows)
    with pytest.raises(ValueError, match="2 of 2"):
        split(doubled, targets, **rows, duplicates=1)
    assert split(doubled, targets, **rows, duplicates=2).duplicates == 2


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (("train", "validation"), "validation inputs are training inputs"),
        (("validation", "test"), "test inputs are validation inputs"),
        (("train", "test"), "test inputs are training inputs"),
    ],
)
def test_every_pair_of_parts_is_compared(roles, message):
    parts = {role: Part(X[rows], Y[rows], role) for role, rows in ROWS.items()}
    first, second = (parts[role] for role in roles)
    both = np.concatenate([second.X, first.X[-1:]]), np.append(second.y, 0.0)
    with pytest.raises(ValueError, match=f"1 of {len(both[0])} {message}"):
        Split(**parts | {roles[1]: Part(*both, roles[1])})


@pytest.mark.parametrize(
    "wrong", [("train", "test"), ("validation", "train"), ("test", "validation")]
)
def test_a_part_serves_its_own_role_only(wrong):
    parts = {role: Part(X[rows], Y[rows], role) for role, rows in ROWS.items()}
    with pytest.raises(ValueError, match=f"a {wrong[1]} part is given as {wrong[0]}"):
        Split(**parts | {wrong[0]: parts[wrong[1]]})


def test_zero_has_one_sign():
    with pytest.raises(ValueError, match="1 of 1 test"):
        check_apart(
            Part(np.array([[0.0]]), np.ones(1), "train"),
            Part(np.array([[-0.0]]), np.ones(1), "test"),
        )


@pytest.mark.parametrize("seeds", [[(0, 0)], [(3, 4), (4, 4)], [(1, 500), (500, 501), (7, 7)]])
def test_draws_from_one_seed_are_one_set(seeds):
    train, test = (
        [np.stack(arrays) for arrays in zip(*draws, strict=True)]
        for draws in (
            [make_regression(20, seed=seed) for seed, _ in seeds],
            [make_regression(100, seed=seed) for _, seed in seeds],
        )
    )
    if any(one == other for one, other in seeds):
        with pytest.raises(ValueError, match="20 of 100 test inputs are training inputs"):
            split_of(train, test)


def test_draws_from_other_seeds_are_apart():
    parts = split_of(
        make_regression(20, seed=0), make_regression(30, seed=1), make_regression(5, seed=2)
    )
    assert [len(part.y) for part in (parts.train, parts.test, parts.validation)] == [20, 30, 5]


def test_the_books_data_hold_no_duplicates():
    for name, n in (("diabetes", 442), ("digits", 1797), ("mnist1d", 5000)):
        data = load(name)
        split(data.X, data.y, train=n // 2, test=n - n // 2, seed=0)


def test_only_what_is_fitted_unpacks():
    parts = split(X, Y, **ROWS)
    for part in (parts.validation, parts.test):
        with pytest.raises(HeldOutError, match=f"this is a {part.role} part"):
            ridge(*part, 0.1)
    for part in (parts.train, parts.refit):
        w, b = ridge(*part, 0.0)
        np.testing.assert_allclose([*w, b], [1, 2, 3, 0.5])


def test_a_part_has_a_role_and_targets():
    with pytest.raises(ValueError, match="role is 'valid'"):
        Part(X, Y, "valid")
    with pytest.raises(ValueError, match="same n"):
        Part(X, Y[1:], "test")


# ---- scores --------------------------------------------------------------------------------
def test_choosing_looks_at_validation_and_the_score_at_test():
    parts = split(X, Y, **ROWS)
    seen = []

    def answer(inputs):
        seen.append(inputs)
        return candidates(inputs)

    assert parts.choose(answer, squared) == 1
    assert [each is parts.validation.X for each in seen] == [True]
    assert parts.test_loss(answer, squared) == pytest.approx(0.25)
    assert any(each is parts.test.X for each in seen[1:])
    expected = [np.mean((a - Y[8:]) ** 2) for a in candidates(X[8:])]
    np.testing.assert_allclose(parts.test_loss(candidates, squared, each=True), expected)


def test_the_choice_may_be_bad_on_the_test_part():
    """What is best on the test part is not what is taken."""
    parts = split(X, np.where(np.arange(12) < 8, Y, 0.0), **ROWS)
    assert parts.choose(candidates, squared) == 1
    each = parts.test_loss(candidates, squared, each=True)
    assert each.argmin() == 2
    assert parts.test_loss(candidates, squared) == each[1]


def test_each_data_set_chooses_for_itself():
    rows = {"train": [[0], [1]], "validation": [[2, 3], [4, 5]], "test": [[6, 7, 8], [9, 10, 11]]}
    right = np.where(np.arange(12) < 4, 0.0, 1.0)
    parts = split(X, right, **rows)
    answer = lambda inputs: np.stack([np.zeros(inputs.shape[:2]), np.ones(inputs.shape[:2])], -2)  # noqa: E731
    assert parts.choose(answer, np.not_equal).tolist() == [0, 1]
    assert parts.test_loss(answer, np.not_equal).tolist() == [1.0, 0.0]
    assert parts.test_loss(answer, np.not_equal, each=True).tolist() == [[1.0, 0.0]] * 2
    assert parts.test_loss(lambda inputs: np.ones(inputs.shape[:2]), np.not_equal).shape == (2,)


def test_a_diverged_candidate_is_never_chosen():
    parts = split(X, Y, **ROWS)
    answer = lambda inputs: np.stack([np.full(len(inputs), np.nan), inputs[:, 0]])  # noqa: E731
    assert parts.choose(answer, squared) == 1
    nothing = lambda inputs: np.full((2, len(inputs)), np.nan)  # noqa: E731
    with pytest.raises(ValueError, match="every candidate's loss is nan; find out why"):
        parts.choose(nothing, squared)
    some = np.array([[0, 1, 2], [3, 4, 5]])
    two = split(X, Y, train=some, validation=some + 6, test=[[9, 10], [0, 1]])
    of_one = lambda inputs: inputs[..., None, :, 0] * [[[1.0], [2.0]], [[np.nan]] * 2]  # noqa: E731
    with pytest.raises(ValueError, match="every candidate's loss is nan; find out why"):
        two.choose(of_one, squared)


@pytest.mark.parametrize(
    ("answer", "loss", "message"),
    [
        (3, squared, "answer is 3; give a function from inputs"),
        (candidates, "mse", "loss is 'mse'; give a function of answers and targets"),
        (lambda inputs: "no", squared, "what answer returns holds text"),
        (lambda inputs: None, squared, "what answer returns is None"),
        (
            candidates,
            lambda answers, y: squared(answers, y).mean(),
            r"shape \(\); .*leave the mean",
        ),
        (candidates, lambda answers, y: None, "what loss returns is None"),
    ],
)
def test_what_gives_no_score_is_refused(answer, loss, message):
    with pytest.raises(ValueError, match=message):
        split(X, Y, **ROWS).choose(answer, loss)


def test_a_choice_of_words_is_no_flag():
    parts = split(X, Y, **ROWS)
    with pytest.raises(ValueError, match="each is 'no'; it must be True or False"):
        parts.test_loss(candidates, squared, each="no")
    with pytest.raises(ValueError, match="spread is None; it must be True or False"):
        parts.standardised(spread=None)


def test_without_a_validation_part_nothing_is_chosen():
    parts = split(X, Y, train=ROWS["train"], test=ROWS["test"])
    for call in (parts.choose, parts.test_loss):
        with pytest.raises(
            ValueError, match="no validation part, and nothing is chosen on the test"
        ):
            call(candidates, squared)
    with pytest.raises(ValueError, match="no validation part"):
        parts.refit  # noqa: B018
    assert parts.test_loss(candidates, squared, each=True).shape == (3,)
    assert parts.test_loss(lambda inputs: inputs[:, 0], squared).shape == ()


def test_one_model_leaves_no_choice():
    with pytest.raises(ValueError, match="one model leaves no choice"):
        split(X, Y, **ROWS).choose(lambda inputs: inputs[:, 0], squared)


@pytest.mark.parametrize(
    "answer", [lambda inputs: X[:5, 0], lambda inputs: X[:5] @ np.ones((3, 3))]
)
def test_answers_to_other_inputs_do_not_fit(answer):
    parts = split(X, Y, **ROWS)
    with pytest.raises(ValueError, match=r"on the test part; need \(4,\)"):
        parts.test_loss(answer, squared, each=True)


# ---- the scale -----------------------------------------------------------------------------
@pytest.mark.parametrize("rows", [ROWS, {"train": [[0, 1, 2], [3, 4, 5]], "test": [[6], [7]]}])
def test_only_training_inputs_set_the_scale(rows):
    plain = split(X, Y, **rows)
    for spread in (False, True):
        moved = plain.standardised(spread=spread)
        mean, deviation = plain.train.X.mean(-2), plain.train.X.std(-2) ** spread
        for role in rows:
            old, new = getattr(plain, role), getattr(moved, role)
            expected = (old.X - mean[..., None, :]) / deviation[..., None, :]
            np.testing.assert_allclose(new.X, expected, rtol=1e-12)
            assert new.y is old.y
            assert new.role == role
    assert abs(moved.train.X.mean(-2)).max() < 1e-15
    assert np.allclose(moved.train.X.std(-2), 1)


def test_a_constant_input_is_only_centred():
    inputs = np.array([[2.0, 1.0], [2.0, 3.0], [5.0, 4.0]])
    moved = split(inputs, np.zeros(3), train=[0, 1], test=[2]).standardised()
    assert moved.test.X.tolist() == [[3.0, 2.0]]


# ---- sweeps --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "train", [X[:8], np.stack([X[:8], X[:8] + 9]), np.stack([X[:8] + 20, X[:8]])]
)
@pytest.mark.parametrize(
    "test", [X[7:], np.stack([X[7:] + 5, X[7:] + 9]), np.stack([X[7:], X[7:] + 5])]
)
def test_a_sweep_refuses_training_inputs_in_its_test(train, test):
    pairs = zip(
        [train] * 2 if train.ndim == 2 else train,
        [test] * 2 if test.ndim == 2 else test,
        strict=True,
    )
    shared = any((old[:, None] == new).all(2).any() for old, new in pairs)
    data = MLP((3, 1)), train, np.zeros(train.shape[:-1])
    options = SWEEP | {"seeds": [0, 1], "test": (test, np.ones(test.shape[:-1]))}
    if shared:
        with pytest.raises(ValueError, match="1 of 5 test inputs are training inputs too"):
            sweep(*data, **options)
        sweep(*data, **options, duplicates=1)
    else:
        sweep(*data, **options)


def test_a_sweep_takes_parts():
    parts = split(X, Y, **ROWS)
    run = sweep(MLP((3, 1)), *parts.train, test=parts.test, **SWEEP)
    same = sweep(MLP((3, 1)), X[:5], Y[:5], test=(X[8:], Y[8:]), **SWEEP)
    assert run.identical(same)
    for part in (parts.train, parts.validation):
        with pytest.raises(ValueError, match=f"test is a {part.role} part; give the test part"):
            sweep(MLP((3, 1)), *parts.train, test=part, **SWEEP)


def test_a_number_of_duplicates_is_a_number():
    with pytest.raises(ValueError, match="duplicates is -1"):
        sweep(MLP((3, 1)), X, Y, **SWEEP, duplicates=-1)


def test_batch_norm_takes_no_statistics_from_what_is_held_out():
    parts = split(X, Y, **ROWS)
    run = sweep(MLP((3, 4, 1), norm="batch"), *parts.train, **SWEEP)
    found = predict(run, parts.test, reference=parts.train)
    assert found.identical(predict(run, X[8:], reference=X[:5]))
    for part in (parts.test, parts.validation):
        with pytest.raises(ValueError, match=f"reference is a {part.role} part; batch norm's"):
            predict(run, parts.test, reference=part)
        with pytest.raises(ValueError, match=f"{part.role} inputs are training inputs too"):
            predict(run, part, reference=np.array(part.X))
    assert predict(run, parts.train, reference=parts.train).sizes["example"] == 5


# ---- what errors tell ----------------------------------------------------------------------
@pytest.mark.parametrize("allowed", range(5))
def test_the_number_of_duplicates_that_is_told_is_enough(allowed):
    """Counted in the part that is held against, each row as often as it stands there."""
    rows = np.concatenate([X[:4], X[:1], X[8:]])
    fitted = Part(X[:7], Y[:7], "train")
    for role in ("validation", "test"):
        held = Part(rows, np.zeros(len(rows)), role)
        told = f"^5 of 9 {role} inputs are training inputs too; a {role} needs .* duplicates=5$"
        with pytest.raises(HeldOutError, match=told):
            check_apart(fitted, held, allowed)
        check_apart(fitted, held, 5)


@pytest.mark.parametrize("bad", [-13, 12, 40, -99])
@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_the_row_that_does_not_exist_is_told(bad, role):
    rows = {"train": [0, -11], "validation": [2, -2], "test": [4, 11]}
    assert split(X, Y, **rows).train.X[1, 0] == X[1, 0]
    rows[role] = [rows[role][0], bad]
    with pytest.raises(
        IndexError, match=f"^{role} asks for row {bad} of 12; rows are numbered 0 to"
    ):
        split(X, Y, **rows)


def test_the_first_row_that_is_used_twice_is_told():
    with pytest.raises(HeldOutError, match=r"^row 3 is used twice"):
        split(X, Y, train=[7, 3, 5], test=[3, 7])
    with pytest.raises(ValueError, match=r"^test is None; give row numbers"):
        split(X, Y, train=[0], test=None)
    with pytest.raises(ValueError, match=r"^test is None; give row numbers"):
        split(X, Y, train=None, test=None)
    parts = split(X, Y, train=3, validation=4, test=5, seed=0)
    with pytest.raises(HeldOutError, match=r"^a test part is given as train; give one made for it"):
        Split(train=parts.test, test=parts.test)


def test_standardised_parts_are_in_the_training_parts_own_units():
    """With the deviation of all n, each data set by its own; what was allowed stays allowed."""
    inputs = np.stack([X, 5 * X + 2])
    inputs[:, 11] = inputs[:, 0]
    parts = Split(
        train=Part(inputs[:, :5], np.zeros((2, 5)), "train"),
        test=Part(inputs[:, 8:], np.zeros((2, 4)), "test"),
        duplicates=1,
    )
    moved = parts.standardised()
    for k in range(2):
        mean, deviation = inputs[k, :5].mean(0), inputs[k, :5].var(0) ** 0.5
        assert np.allclose(moved.train.X[k], (inputs[k, :5] - mean) / deviation)
        assert np.allclose(moved.test.X[k], (inputs[k, 8:] - mean) / deviation)
    assert moved.duplicates == 1
