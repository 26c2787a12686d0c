"""What the penalty's errors say to the letter, where its limits lie, and what is let through there."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from l2lib.penalty import (
    SCALINGS,
    filter_factors,
    half_life,
    l2_penalty,
    ridge,
    shrink_factor,
    size_factor,
)
from tests.refusals import refusal

COPY = "copy them before training: [w.detach().clone() for w in weights]"
W, V = torch.ones(2, 3), torch.ones(4)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a prototype, says torch
    NESTED = torch.nested.nested_tensor([V, V[:2]])
LIST = "give a list of tensors, such as [layer.weight]"
RUN = "run a batch through the model first"
OTHER = "for another give the weight's shape, with groups= and transposed= where they apply"


def gathered():
    parameter = nn.Parameter(torch.empty(0))
    parameter.ds_numel = 12
    return parameter


# ---- words ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([V, W, W], "weights[2] is weights[1] again: a tied tensor is penalised once; leave one out"),
        ([V, W, W.T], "weights[2] is weights[1] again: a tied tensor is penalised once; leave one out"),
        ([W[:1], V, W], "weights[2] is weights[0] again: a tied tensor is penalised once; leave one out"),
        (
            [W, V.to("meta")],
            "weights[1] lies on meta, weights[0] on cpu; add up the penalties of each device",
        ),
        ([V, 0.5], "weights[1] is a float; give tensors, such as [layer.weight]"),
        ([V, nn.LazyLinear(2)], f"LazyLinear has no shape yet; {RUN}"),
        ([V, nn.LazyLinear(2).weight], f"weights[1] has no shape yet; {RUN}"),
        (
            [V, W.to_sparse()],
            "weights[1] is not dense (torch.sparse_coo); give w.to_dense(), or "
            "w.coalesce().values(), as what is absent is zero",
        ),
        (
            [NESTED],
            "weights[0] is not dense (torch.strided); give w.to_dense(), or "
            "w.coalesce().values(), as what is absent is zero",
        ),
        (
            [V, W.int()],
            "weights[1] is torch.int32: a penalty has no gradient there; leave it out, or give its "
            "numbers as a floating-point tensor",
        ),
        (
            [V, gathered()],
            "weights[1] is empty here, as DeepSpeed keeps its numbers elsewhere; penalise it where "
            "it is gathered, or use the optimiser's weight_decay",
        ),
        (
            [V, nn.Embedding(2, 2)],
            "Embedding is no layer whose fans are known: a linear or convolutional layer is wanted;"
            f" {OTHER}",
        ),
        ([], "l2_penalty: no weights were given; pass the tensors to penalise, such as [layer.weight]"),
        ({"w": W}, f"weights is a dict; {LIST}"),
        (nn.Linear(2, 2), f"weights is a Linear; {LIST}"),
        (7, f"weights is a int; {LIST}"),
    ],
)  # fmt: skip
def test_an_error_on_weights_has_all_its_words(weights, words):
    assert refusal(lambda: l2_penalty(weights, 0.1)) == words


@pytest.mark.parametrize(
    ("centre", "words"),
    [
        (
            torch.ones(3, 2),
            "towards[1] has shape (3, 2), weights[1] (2, 3); give one for each, in their order",
        ),
        (W.double(), "towards[1] is torch.float64, weights[1] is torch.float32; call .to(weight) on it"),
        (W.to("meta"), "towards[1] is meta, weights[1] is cpu; call .to(weight) on it"),
        (
            torch.ones(2, 3, requires_grad=True),
            f"towards[1] requires a gradient, and would be trained; {COPY}",
        ),
        (W.detach(), f"towards[1] is a weight's own memory, and moves with it; {COPY}"),
        (None, "towards[1] is a NoneType; give tensors, such as [layer.weight]"),
    ],
)  # fmt: skip
def test_an_error_on_centres_has_all_its_words_and_its_own_place(centre, words):
    assert refusal(lambda: l2_penalty([V, W], 0.1, towards=[torch.zeros(4), centre])) == words


def test_centres_are_as_many_as_weights():
    words = refusal(lambda: l2_penalty([V, W], 0.1, towards=[torch.zeros(4)] * 3))
    assert words == f"towards has 3 tensors for 2 weights; {COPY}"
    assert refusal(lambda: l2_penalty([V], 0.1, towards={"v": V})) == f"towards is a dict; {LIST}"


SHAPE = "give (out, in, …), each ≥ 1, no bias"


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((6, 2, 3), {"groups": 4}, "4 groups cannot share the 6 outputs of shape (6, 2, 3)"),
        (
            (6, 4, 3),
            {"groups": 4, "transposed": True},
            "4 groups cannot share the 6 inputs of shape (6, 4, 3)",
        ),
        ((6, 2), {"groups": 2}, "groups is 2; a matrix of shape (6, 2) has none, only kernels do"),
        ((6, 2, 3), {"groups": 0}, "groups is 0; it must be a whole number ≥ 1"),
        ((6,), {}, f"a weight of shape (6,) has no fans; {SHAPE}"),
        ((6, 0), {}, f"a weight of shape (6, 0) has no fans; {SHAPE}"),
        ((), {}, f"a weight of shape () has no fans; {SHAPE}"),
        ((6, 2.0), {}, f"shape is (6, 2.0); {SHAPE}, in whole numbers"),
        (b"62", {}, f"shape is b'62'; {SHAPE}"),
        (W, {}, "shape is a tensor; give its shape, weight.shape, or its layer"),
        *(
            (nn.Conv2d(4, 4, 3), o, "a layer knows its groups; leave out groups= and transposed=")
            for o in ({"groups": 4}, {"transposed": True}, {"groups": 4, "transposed": True})
        ),
        (nn.Conv2d(4, 4, 3), {"groups": 1, "transposed": False}, ""),
        ((4, 4), {"groups": 1, "transposed": True}, ""),
        ((4, 1, 1), {"groups": 4}, ""),
        ((1, 1), {}, ""),
    ],
)  # fmt: skip
def test_an_error_on_a_shape_has_all_its_words(shape, options, words):
    assert refusal(lambda: size_factor(shape, "fans", **options)) == words


@pytest.mark.parametrize("scaling", ["Mean", "", None])
def test_an_unknown_scaling_is_told_the_known_ones(scaling):
    words = f"no scaling is called {scaling!r}; choose one of sum, mean, fans, fan_in"
    assert [*SCALINGS] == ["sum", "mean", "fans", "fan_in"]
    assert refusal(lambda: size_factor((2, 2), scaling)) == words
    assert refusal(lambda: l2_penalty([W], 0.1, scaling=scaling)) == words


X, Y = np.array([[0.0], [1.0], [2.0], [5.0]]), np.array([1.0, 3.0, 5.0, 6.0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shrink_factor(1.5, 2), "lr·weight_decay is 3; "
         "it must be below 2, or the penalty's own step diverges"),
        (lambda: half_life(1, 2), "lr·weight_decay is 2; "
         "it must be below 2, or the penalty's own step diverges"),
        (lambda: shrink_factor(0, 1), "lr is 0; the learning rate must be a positive number"),
        (lambda: shrink_factor(1, 1.999), ""),
        (lambda: half_life(1, 1.999), ""),
        (lambda: filter_factors([1.0], 0.5, 0),
         "n is 0.5; it must be the number of training examples, n ≥ 1"),
        (lambda: filter_factors([0.0], 1, 0), ""),
        (lambda: filter_factors([-1.0, 1.0], 1, 0), "need finite singular values ≥ 0; got [-1.  1.]"),
        (lambda: ridge(X, np.ones((4, 3)), 0.1),
         "y has shape (4, 3); ridge fits one target: write [ridge(X, column, λ) for column in "
         "np.transpose(y)]; for the λ of an MSELoss over all 3 give 3λ and loss='mse'"),
        (lambda: ridge(X, np.ones((4, 1)), 0.1),
         "y has shape (4, 1); ridge fits one target of shape (n,): give y[:, 0]"),
        (lambda: ridge(X[:1], np.ones((1, 3)), 0.1),
         "y has shape (1, 3); ridge fits one target: write [ridge(X, column, λ) for column in "
         "np.transpose(y)]; for the λ of an MSELoss over all 3 give 3λ and loss='mse'"),
        (lambda: ridge(X, Y, [[0.1]]), "weight_decay is [[0.1]]; give one number or a list of them"),
        (lambda: ridge(X, Y, 0.1, loss="sse"), "loss is 'sse'; ridge minimises 'half_mse' or 'mse'"),
        (lambda: ridge(X[None], Y[None], 0.1),
         "ridge fits one data set: X must have shape (n, d); got (1, 4, 1)"),
        (lambda: ridge(X, Y, 0.1, intercept=1), "intercept is 1; it must be True or False"),
        (lambda: ridge(X, Y, -1), "weight_decay is -1; λ must be a finite number ≥ 0 (0 means no penalty)"),
    ],
)  # fmt: skip
def test_an_error_of_the_rest_has_all_its_words(call, words):
    assert refusal(call) == words


# ---- shapes, types and limits ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("decays", "shape"),
    [
        (0.5, ()), (np.array(0.5), ()), (np.float32(0.5), ()), (torch.tensor(0.5), ()),
        ([0.5], (1,)), ((0.5,), (1,)), (np.array([0.5]), (1,)), (torch.tensor([0.5]), (1,)),
        (torch.tensor([0.5], requires_grad=True), (1,)), ([], (0,)), (np.array([0.5, 0, 2]), (3,)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("intercept", [True, False])
def test_a_list_of_decays_has_an_axis_however_short_and_one_decay_has_none(
    decays, shape, intercept
):
    made = []
    assert refusal(lambda: made.append(ridge(X, Y, decays, intercept=intercept))) == ""
    ((w, b),) = made
    assert (w.shape, b.shape) == ((*shape, 1), shape)
    assert [type(w), w.dtype, type(b), b.dtype] == [np.ndarray, np.float64] * 2
    filters = filter_factors([1.0, 0.5, 0], 2.5, decays)
    assert (filters.shape, filters.dtype) == ((*shape, 3), np.float64)
    if shape and shape[0]:
        assert filters[0].tolist() == [1 / (1 + 2.5 * 0.5), 0.25 / (0.25 + 2.5 * 0.5), 0]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [([[3.0, 4.0]], [2.0]), ([[3.0], [3.0], [3.0]], [1.0, 2.0, 6.0])],
)
@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_one_example_and_inputs_that_never_change_have_no_weight_and_a_mean(inputs, targets, lam):
    made = []
    assert refusal(lambda: made.append(ridge(inputs, targets, lam))) == ""
    ((w, b),) = made
    assert (w.tolist(), float(b)) == ([0.0] * len(inputs[0]), pytest.approx(np.mean(targets)))


@pytest.mark.parametrize("digits", [7, 8, 9])
def test_what_is_weak_is_no_rounding(digits):
    """A direction with a share of 10^-9 of the largest singular value is fitted all the same."""
    inputs = np.diag([1.0, 10.0**-digits])
    w, _ = ridge(inputs, [1.0, 2.0], 0.0, intercept=False)
    assert w == pytest.approx([1.0, 2.0 * 10.0**digits])


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    cut=st.integers(0, 6),
    axis=st.integers(0, 1),
    complex_=st.booleans(),
)
def test_parts_of_one_packed_tensor_are_tensors_of_their_own(shape, cut, axis, complex_):
    """As the queries, keys and values of attention are; of rows or columns, of one shape or two."""
    dtype = torch.complex64 if complex_ else torch.float32
    packed = torch.arange(1, 1 + math.prod(shape)).reshape(shape).to(dtype)
    parts = [part for part in packed.tensor_split((cut,), axis) if part.numel()]
    made = []
    assert refusal(lambda: made.append(l2_penalty(parts, 2.0))) == ""
    assert made[0].item() == pytest.approx(packed.abs().square().sum().item())
    equal = packed.tensor_split(shape[axis], axis)
    assert refusal(lambda: made.append(l2_penalty(equal, 2.0))) == ""
    assert made[1].item() == pytest.approx(made[0].item())
    again = refusal(lambda: l2_penalty([packed.flatten(), *parts], 2.0))
    assert again.startswith("weights[1] is weights[0] again")


class Distributed(torch.Tensor):
    """Holds a part in each process, as torch's distributed tensors do."""

    @staticmethod
    def __torch_function__(function, types, args=(), kwargs=None):
        return torch._C._disabled_torch_function_impl(function, types, args, kwargs or {})

    def to_local(self):
        return self.held


def test_a_distributed_tensor_is_known_by_what_it_holds_here():
    held = torch.ones(2)
    first, second, third = (torch.ones(2).as_subclass(Distributed) for _ in range(3))
    first.held = second.held = held
    third.held = torch.ones(2)
    assert refusal(lambda: l2_penalty([first, third], 0.1)) == ""
    assert "again" in refusal(lambda: l2_penalty([first, third, second], 0.1))
    centre = torch.ones(2)
    assert "own memory" in refusal(lambda: l2_penalty([first], 0.1, towards=[held]))
    assert refusal(lambda: l2_penalty([first], 0.1, towards=[centre])) == ""


def test_empty_tensors_and_what_shares_no_number_are_let_through():
    base = torch.arange(6.0)
    for weights in (
        [torch.ones(0, 3), torch.ones(0, 3), W],
        [base[0:0], base[0:0], base],
        [base[::2], base[1::2]],
        nn.ModuleList([nn.Linear(2, 2), nn.Conv1d(2, 2, 1)]),
        nn.ParameterList([W, V]),
    ):
        assert refusal(lambda weights=weights: l2_penalty(weights, 0.1)) == ""


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        (torch.float64, torch.float64), (torch.float32, torch.float32),
        (torch.float16, torch.float32), (torch.complex32, torch.float32),
        (torch.complex64, torch.float32), (torch.complex128, torch.float64),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_digits_that_a_type_has_are_kept(dtype, result):
    """Of a sum of many numbers, and of one with many digits."""
    fine = torch.tensor([1 + 2**-9, 200.0], dtype=torch.float64).to(dtype)
    expected = (1 + 2**-9) ** 2 + 40_000
    value = l2_penalty([fine], 2.0)
    assert value.dtype == result
    assert value.item() == pytest.approx(expected, rel=1e-13 if result == torch.float64 else 1e-6)
    precise = torch.tensor([1 + 2**-40], dtype=torch.float64)
    if result == torch.float64:
        assert l2_penalty([precise.to(dtype)], 2.0).item() == (1 + 2**-40) ** 2
