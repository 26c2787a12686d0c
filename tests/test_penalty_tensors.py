"""What tensors and layers a penalty takes, what it is drawn towards, and what stands where a number is meant."""

import copy
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from l2lib.penalty import (
    SCALINGS,
    check_weight_decay,
    filter_factors,
    half_life,
    l2_penalty,
    ridge,
    shrink_factor,
    size_factor,
)

HALF = (torch.float16, torch.bfloat16)


# ---- complex, short and other numbers ------------------------------------------------------
@given(
    parts=st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=6),
    towards=st.booleans(),
)
def test_a_complex_number_counts_by_its_modulus(parts, towards):
    w = torch.tensor([complex(*part) for part in parts], dtype=torch.complex128, requires_grad=True)
    centre = torch.full_like(w, 1 - 2j).detach()
    value = l2_penalty([w], 0.5, towards=[centre] if towards else None)
    moved = w.detach() - centre if towards else w.detach()
    assert value.item() == pytest.approx(0.25 * sum(abs(z) ** 2 for z in moved.tolist()))
    assert value.dtype == torch.float64
    value.backward()
    assert torch.allclose(w.grad, 0.5 * moved)  # what torch's optimisers add to a gradient


def test_the_case_of_a_complex_penalty():
    assert l2_penalty([torch.tensor([1 + 1j, 2j])], 1.0).item() == 3.0
    conjugate = torch.tensor([1 + 1j, 2j]).conj()
    assert l2_penalty([conjugate], 1.0).item() == 3.0


def test_the_complex_penalty_is_that_of_torch_s_sgd():
    start = torch.tensor([1 + 1j, 2j, -0.5], dtype=torch.complex128)
    runs = []
    for inside, term in ((0.3, 0.0), (0.0, 0.3)):
        w = start.clone().requires_grad_()
        rule = torch.optim.SGD([w], lr=0.1, weight_decay=inside)
        loss = (w * torch.tensor([1j, 2.0, 3.0], dtype=torch.complex128)).real.square().sum()
        (loss + l2_penalty([w], term)).backward()
        rule.step()
        runs.append(w.detach())
    assert torch.allclose(*runs)


@pytest.mark.parametrize("dtype", HALF)
def test_short_numbers_are_summed_in_float32(dtype):
    """In float16 the sum of these squares is infinite; in bfloat16 it stops at 256 of them."""
    w = torch.full((1000, 1000), 0.5, dtype=dtype, requires_grad=True)
    value = l2_penalty([w], 1e-4)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(12.5, rel=1e-5)
    value.backward()
    assert w.grad.dtype == dtype
    assert w.grad[0, 0].item() == pytest.approx(0.5e-4, rel=0.01)
    ones = torch.ones(100_000, dtype=dtype)
    assert l2_penalty([ones], 2.0).item() == 100_000
    large = torch.full((3,), 300.0, dtype=dtype)  # whose square float16 does not have
    assert l2_penalty([large], 2.0).item() == pytest.approx(270_000, rel=1e-2)
    fine = torch.tensor([0.1, 40_000.0], dtype=dtype)  # differences that neither type has
    far = torch.tensor([300.0, -40_000.0], dtype=dtype)
    assert l2_penalty([fine], 2.0, towards=[far]).item() == pytest.approx(
        (fine.double() - far.double()).square().sum().item(), rel=1e-6
    )
    assert l2_penalty([fine[:1]], 2.0, towards=[far[:1]]).item() == pytest.approx(
        (fine[0].double() - far[0].double()).square().item(), rel=1e-6
    )


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        ([torch.float32], torch.float32),
        ([torch.float64], torch.float64),
        ([torch.float16, torch.bfloat16], torch.float32),
        ([torch.float16, torch.float64], torch.float64),
        ([torch.float32, torch.complex64], torch.float32),
        ([torch.float16, torch.complex128], torch.float64),
        ([torch.float8_e4m3fn], torch.float32),
    ],
)
def test_the_type_that_is_returned(dtypes, result):
    weights = [torch.ones(2).to(dtype) for dtype in dtypes]
    value = l2_penalty(weights, 0.5)
    assert (value.dtype, value.item()) == (result, 0.5 * len(dtypes))


def test_scalars_empty_tensors_generators_and_one_tensor():
    assert l2_penalty([torch.tensor(3.0)], 2.0).item() == 9.0
    assert l2_penalty([torch.ones(0, 4), torch.ones(2)], 1.0).item() == 1.0
    assert l2_penalty((w for w in [torch.ones(2)]), 1.0).item() == 1.0
    assert l2_penalty(torch.ones(3, 4), 1.0, scaling="mean").item() == 0.5
    assert l2_penalty([torch.ones(2, device="meta")], 1.0).device.type == "meta"
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    assert l2_penalty(model.parameters(), 1.0).requires_grad
    assert l2_penalty(nn.ParameterList(model.parameters()), 1.0).requires_grad
    assert l2_penalty(nn.ModuleList(model), 1.0).requires_grad


def test_transformed_and_compiled_code_may_call_it():
    """There tensors have no memory that can be looked at."""
    w, centre = torch.randn(3, 4), torch.zeros(3, 4)
    gradient = torch.func.grad(lambda w: l2_penalty([w, w + 0], 0.5, towards=[centre, centre]))(w)
    assert torch.allclose(gradient, w)
    each = torch.vmap(lambda w: l2_penalty([w], 2.0, towards=[centre]))(torch.stack([w, 2 * w]))
    assert torch.allclose(each, w.square().sum() * torch.tensor([1.0, 4.0]))

    def penalty(w):
        return l2_penalty([w], 2.0, towards=[centre])

    compiled = torch.compile(penalty, backend="eager", fullgraph=True)
    assert compiled(w).item() == pytest.approx(w.square().sum().item())


def sparse():
    return torch.ones(3, 3).to_sparse()


def gathered():
    parameter = nn.Parameter(torch.empty(0))
    parameter.ds_numel = 12
    return parameter


SHARED = torch.ones(3, 4)
NO_MEMORY = torch.ones(2, device="meta")
TIED = nn.Linear(4, 3, bias=False)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [torch.ones(2, dtype=torch.int64)],
            r"weights\[0\] is torch.int64: a penalty has no gradient",
        ),
        ([torch.ones(2), torch.tensor([True])], r"weights\[1\] is torch.bool"),
        ([torch.ones(2).to(torch.int8)], "leave it out"),
        ([sparse()], r"not dense \(torch.sparse_coo\); give w.to_dense"),
        ([torch.ones(2), gathered()], "DeepSpeed keeps its numbers elsewhere"),
        ([nn.LazyLinear(3)], "no shape yet"),
        ([nn.LazyLinear(3).weight], "no shape yet"),
        (
            [torch.ones(2), torch.ones(2, device="meta")],
            r"weights\[1\] lies on meta, weights\[0\] on cpu",
        ),
        ([SHARED, SHARED], r"weights\[1\] is weights\[0\] again: a tied tensor"),
        ([SHARED, nn.Parameter(SHARED.data)], "a tied tensor"),
        ([TIED.weight, TIED], "a tied tensor"),
        ([NO_MEMORY, NO_MEMORY], "a tied tensor"),
        ([nn.ReLU()], "ReLU is no layer whose fans are known"),
        ([nn.Embedding(3, 4)], "Embedding is no layer whose fans are known"),
        ([np.ones(3)], r"weights\[0\] is a ndarray; give tensors"),
        ([0.5], r"weights\[0\] is a float"),
        (list(nn.Linear(2, 3).named_parameters()), r"weights\[0\] is a tuple"),
        (nn.Sequential(nn.Linear(2, 3)), "weights is a Sequential; give a list of tensors"),
        (nn.Linear(2, 3).state_dict(), "weights is a OrderedDict"),
        ("weight", "weights is a str"),
        (None, "weights is a NoneType"),
        (0.5, "weights is a float"),
        ([], "no weights were given"),
    ],
)
def test_what_cannot_be_penalised_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        l2_penalty(weights, 0.1)


# ---- towards given tensors -----------------------------------------------------------------
@given(
    shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=3),
    half=st.booleans(),
    scaling=st.sampled_from(list(SCALINGS)),
    seed=st.integers(0, 999),
)
def test_towards_given_tensors(shapes, half, scaling, seed):
    """It is the penalty of the differences, and draws each weight back by λ times its own."""
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    centres = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    for w in weights:
        w.requires_grad_()
    options = {"half": half, "scaling": scaling}
    value = l2_penalty(weights, 0.3, towards=centres, **options)
    moved = [(w - c).detach() for w, c in zip(weights, centres, strict=True)]
    assert value.item() == pytest.approx(l2_penalty(moved, 0.3, **options).item())
    value.backward()
    for w, d in zip(weights, moved, strict=True):
        factor = size_factor(tuple(w.shape), scaling) * (1 if half else 2)
        assert torch.allclose(w.grad, 0.3 * factor * d)
    zeros = [torch.zeros_like(w).detach() for w in weights]
    plain = l2_penalty(weights, 0.3, **options)
    assert l2_penalty(weights, 0.3, towards=zeros, **options).item() == pytest.approx(plain.item())


def test_decay_towards_zero_is_not_decay_towards_the_start():
    """A weight without gradient goes back to where it began, and not to zero."""
    model = nn.Linear(3, 2, bias=False)
    before = [w.detach().clone() for w in model.parameters()]
    rule = torch.optim.SGD(model.parameters(), lr=0.5)
    with torch.no_grad():
        model.weight.add_(1.0)
    for _ in range(60):
        rule.zero_grad()
        l2_penalty(model.parameters(), 1.0, towards=before).backward()
        rule.step()
    assert torch.allclose(model.weight, before[0], atol=1e-6)
    assert l2_penalty([model], 1.0, towards=before).item() == pytest.approx(0, abs=1e-9)


W = torch.ones(2, 3, requires_grad=True)


@pytest.mark.parametrize(
    ("towards", "message"),
    [
        ([], "towards has 0 tensors for 1 weights"),
        ([torch.ones(2, 3)] * 2, "towards has 2 tensors for 1 weights; copy them before training"),
        ([torch.ones(1, 3)], r"towards\[0\] has shape \(1, 3\)"),  # which would be broadcast
        ([torch.ones(3, 2)], r"towards\[0\] has shape \(3, 2\), weights\[0\] \(2, 3\)"),
        (
            [torch.ones(2, 3, dtype=torch.float64)],
            r"is torch.float64, weights\[0\] is torch.float32; call .to",
        ),
        ([torch.ones(2, 3, dtype=torch.float16)], "is torch.float16"),
        ([torch.ones(2, 3, device="meta")], r"towards\[0\] is meta, weights\[0\] is cpu"),
        ([torch.ones(2, 3, requires_grad=True)], "requires a gradient, and would be trained"),
        ([W], "requires a gradient"),
        ([W.detach()], r"is a weight's own memory, and moves with it; copy them.*clone"),
        ([W.data], "own memory"),
        ([W.detach().flip(0).flip(0)], None),
        ([torch.ones(2, 3).to_sparse()], "not dense"),
        ([np.ones((2, 3))], r"towards\[0\] is a ndarray"),
        ({"weight": torch.ones(2, 3)}, "towards is a dict; give a list of tensors"),
        (nn.Linear(3, 2), "towards is a Linear"),
        (0.0, "towards is a float"),
        (torch.ones(2, 3), None),  # one tensor is a list of one
        ((c for c in [torch.ones(2, 3)]), None),
    ],
)
def test_centres_that_do_not_fit_are_refused(towards, message):
    if message is None:
        assert l2_penalty([W], 1.0, towards=towards).item() == 0.0
        return
    with pytest.raises(ValueError, match=message):
        l2_penalty([W], 1.0, towards=towards)


def test_memory_is_compared_with_all_weights():
    other = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"towards\[0\] is a weight's own memory"):
        l2_penalty([W, other], 1.0, towards=[other.detach(), torch.ones(2, 3)])
    meta = torch.ones(2, 3, device="meta")  # which has none
    assert l2_penalty([meta], 1.0, towards=[meta.clone()]).shape == ()
    empty = torch.ones(0, 3)
    assert l2_penalty([empty, other], 1.0, towards=[torch.ones(0, 3), other.clone()]).item() == 0


# ---- fans ----------------------------------------------------------------------------------
def wires(layer, size):
    """A layer's fans counted: ones far from any border, through it and back."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
    spatial = layer.weight.dim() - 2
    channels = layer.in_channels if spatial else layer.in_features
    x = torch.ones(1, channels, *[size] * spatial, requires_grad=True)
    y = layer(x)
    middle = (0, 0, *[y.shape[-1] // 2] * spatial)
    y.sum().backward()
    return y[middle].item(), x.grad[(0, 0, *[size // 2] * spatial)].item()


LAYERS = [
    nn.Linear(6, 4, bias=False),
    nn.Conv1d(6, 4, 5, bias=False),
    nn.Conv2d(6, 4, 3, bias=False),
    nn.Conv2d(6, 4, (3, 5), bias=False),
    nn.Conv2d(6, 4, 3, groups=2, bias=False),
    nn.Conv2d(6, 6, 3, groups=6, bias=False),
    nn.Conv2d(6, 12, 3, groups=6, bias=False),
    nn.Conv3d(4, 8, 3, groups=4, bias=False),
    nn.ConvTranspose1d(6, 4, 3, bias=False),
    nn.ConvTranspose2d(6, 4, 3, bias=False),
    nn.ConvTranspose2d(6, 4, 3, groups=2, bias=False),
    nn.ConvTranspose2d(6, 6, 3, groups=6, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_fans_are_the_wires_of_a_layer(layer):
    fan_in, fan_out = wires(copy.deepcopy(layer), 17)
    size = layer.weight.numel()
    known = {
        "groups": getattr(layer, "groups", 1),
        "transposed": getattr(layer, "transposed", False),
    }
    expected = {"sum": 1, "mean": 1 / size, "fans": (fan_in + fan_out) / size, "fan_in": fan_in}
    for scaling, factor in expected.items():
        assert size_factor(layer, scaling) == pytest.approx(factor, rel=1e-12)
        assert size_factor(tuple(layer.weight.shape), scaling, **known) == size_factor(
            layer, scaling
        )
        value = l2_penalty([layer], 0.5, scaling=scaling).item()
        assert value == pytest.approx(0.25 * factor * layer.weight.square().sum().item(), rel=1e-5)


def test_the_case_of_a_depthwise_convolution():
    assert size_factor((64, 1, 3, 3), "fans", groups=64) == 18 / 576
    assert size_factor((64, 1, 3, 3), "fan_in", groups=64) == 9
    assert size_factor((4, 6), "fan_in", transposed=True) == 4  # GPT-2's Conv1D


@given(
    groups=st.integers(1, 4),
    ins=st.integers(1, 4),
    outs=st.integers(1, 4),
    kernel=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_transposing_a_layer_exchanges_its_fans(groups, ins, outs, kernel):
    plain = (groups * outs, ins, *kernel)
    turned = (groups * ins, outs, *kernel)
    size = math.prod(plain)
    there = size_factor(plain, "fans", groups=groups) * size - size_factor(plain, "fan_in", groups=groups)  # fmt: skip
    back = size_factor(turned, "fan_in", groups=groups)  # of the layer that goes the other way
    assert there == pytest.approx(back)
    assert size_factor(turned, "fan_in", groups=groups, transposed=True) == pytest.approx(
        size_factor(plain, "fan_in", groups=groups)
    )


def test_a_layer_made_from_torch_s_is_known():
    class Own(nn.Conv2d):
        pass

    assert size_factor(Own(4, 4, 3, groups=4), "fan_in") == 9
    reparametrised = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, groups=4))
    assert size_factor(reparametrised, "fan_in") == 9
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    expected = 0.25 * layer.weight.square().sum().item()
    assert l2_penalty([layer], 0.5).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((6, 2, 3), "fans"), {"groups": 4}, "4 groups cannot share the 6 outputs"),
        (((6, 2, 3), "fans"), {"groups": 4, "transposed": True}, "cannot share the 6 inputs"),
        (((6, 2), "fans"), {"groups": 2}, "a matrix of shape"),
        (((6, 2, 3), "fans"), {"groups": 0}, "groups is 0; it must be a whole number"),
        (((6, 2, 3), "fans"), {"groups": 1.5}, "groups is 1.5"),
        (((6, 2, 3), "fans"), {"groups": "2"}, "groups is '2'.*text"),
        (((6, 2, 3), "fans"), {"groups": None}, "groups is None"),
        (((6, 2, 3), "fans"), {"groups": True}, "groups is True"),
        (
            ((6, 2, 3), "fans"),
            {"transposed": "yes"},
            "transposed is 'yes'; it must be True or False",
        ),
        ((nn.Linear(2, 3), "fans"), {"groups": 2}, "a layer knows its groups"),
        ((nn.Linear(2, 3), "fans"), {"transposed": True}, "a layer knows its groups"),
        ((nn.Embedding(2, 3), "fans"), {}, "Embedding is no layer whose fans are known"),
        ((nn.Bilinear(2, 3, 4), "fans"), {}, "Bilinear is no layer"),
        ((nn.LSTM(2, 3), "fans"), {}, "LSTM is no layer"),
        ((nn.LazyConv2d(3, 3), "fan_in"), {}, "no shape yet"),
        ((torch.ones(3, 4), "fans"), {}, "shape is a tensor; give its shape"),
        ((nn.Parameter(torch.ones(3, 4)), "fans"), {}, "shape is a tensor"),
        (("34", "fans"), {}, "shape is '34'; give"),
        ((7, "fans"), {}, "shape is 7; give"),
        ((None, "fans"), {}, "shape is None"),
        (((3.0, 4), "fans"), {}, "in whole numbers"),
        ((("3", 4), "fans"), {}, "in whole numbers"),
        (((True, 4), "fans"), {}, "in whole numbers"),
        (((3, -4), "fans"), {}, "each ≥ 1"),
        (((3, 4), None), {}, "no scaling is called None; choose one of sum"),
        (((3, 4), ["fans"]), {}, "no scaling is called"),
    ],
)
def test_a_size_factor_that_nobody_knows_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        size_factor(*arguments, **options)


def test_numpy_s_and_torch_s_shapes_are_shapes():
    assert size_factor(torch.ones(3, 4).shape, "mean") == 1 / 12
    assert size_factor([np.int64(3), 4], "mean") == 1 / 12
    assert size_factor(np.ones((3, 4)).shape, "fan_in") == 4


# ---- where a number is meant ---------------------------------------------------------------
WRONG = ["5e-5", None, True, np.True_, torch.tensor(0.1), 1j, math.nan, math.inf, -1.0, 10**400]
X, Y = np.ones((3, 2)), np.ones(3)
CALLS = {
    "l2_penalty": ("weight_decay", lambda v: l2_penalty([torch.ones(2)], v)),
    "check_weight_decay": ("weight_decay", check_weight_decay),
    "shrink_factor": ("weight_decay", lambda v: shrink_factor(0.1, v)),
    "shrink_factor, lr": ("lr", lambda v: shrink_factor(v, 0.1)),
    "half_life": ("weight_decay", lambda v: half_life(0.1, v)),
    "half_life, lr": ("lr", lambda v: half_life(v, 0.1)),
    "ridge": ("weight_decay", lambda v: ridge(X, Y, v)),
    "ridge, a list": ("weight_decay", lambda v: ridge(X, Y, [0.1, v])),
    "filter_factors": ("weight_decay", lambda v: filter_factors([1.0], 3, v)),
    "filter_factors, n": ("n", lambda v: filter_factors([1.0], v, 0.1)),
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong!r:.20}")
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_number_is_refused_by_name(call, wrong):
    name, function = CALLS[call]
    if call in ("ridge", "filter_factors") and isinstance(wrong, torch.Tensor):
        return  # an array of λ may be a tensor
    with pytest.raises(ValueError, match=f"^{name} is ") as error:
        function(wrong)
    if isinstance(wrong, str):
        assert "YAML reads 5e-5 as text" in str(error.value)


@pytest.mark.parametrize(
    "number", [1, 0.5, np.float32(0.5), np.float16(0.5), np.int64(1), Fraction(1, 2)]
)
def test_all_kinds_of_numbers_are_numbers(number):
    for call, (_, function) in CALLS.items():
        if call != "filter_factors, n" or number == 1:
            function(number)
    assert l2_penalty([torch.ones(2)], number).item() == float(number)


def test_many_decays_may_be_any_array():
    for many in (
        [0.1, 0.2],
        (0.1, 0.2),
        np.array([0.1, 0.2]),
        torch.tensor([0.1, 0.2], requires_grad=True),
    ):
        assert ridge(X, Y, many)[0].shape == (2, 2)
        assert filter_factors([1.0], 3, many).shape == (2, 1)
    assert ridge(X, Y, np.array(0.1))[0].shape == (2,)
    for wrong in (
        np.array(["0.1"]),
        np.array([True]),
        ["0.1"],
        [[0.1]],
        [[0.1], [0.1, 0.2]],
        np.ones((1, 1)),
    ):
        with pytest.raises(ValueError, match=r"^weight_decay"):
            ridge(X, Y, wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: l2_penalty([torch.ones(2)], 0.1, half="no"), "half is 'no'; it must be True"),
        (lambda: l2_penalty([torch.ones(2)], 0.1, half=1), "half is 1"),
        (lambda: l2_penalty([torch.ones(2)], 0.1, scaling=None), "no scaling is called None"),
        (lambda: ridge(X, Y, 0.1, intercept="False"), "intercept is 'False'"),
        (lambda: ridge(X, X, 0.1), "write .ridge.X, column, λ. for column.*give 2λ and loss='mse'"),
        (lambda: ridge(X, Y[:, None], 0.1), r"give y\[:, 0\]"),
    ],
)
def test_more_that_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_several_targets_as_the_error_says():
    """Each column by itself is the joint fit; beside MSELoss over k of them, at kλ."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    W = np.stack([ridge(inputs, c, 2 * 0.3, loss="mse", intercept=False)[0] for c in targets.T], 1)
    w = torch.tensor(W, requires_grad=True)
    loss = nn.functional.mse_loss(torch.tensor(inputs) @ w, torch.tensor(targets))
    (slope,) = torch.autograd.grad(loss + l2_penalty([w], 0.3), w)
    assert slope.abs().max() < 1e-12
