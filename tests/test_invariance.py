"""Scale invariances: what is found holds for finite factors, what is not found does not, and bad losses are refused."""

import copy
import io
import warnings
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, gelu
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.checkpoint import checkpoint

from l2lib._exact_loss import ExactLoss
from l2lib._float64 import IN_FLOAT64, wide
from l2lib._joint import _reduced, null_space
from l2lib._model_copy import _missing, private_copy
from l2lib._points import RADIUS, Places, point_at, uniform
from l2lib._trials import Trials
from l2lib.invariance import Invariances, scale_invariance

INPUTS = torch.randn(60, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
LABELS = torch.arange(60) % 4


def loss(model):
    return cross_entropy(model(INPUTS), LABELS)


def factor(model, powers, alpha):
    """Loss after scaling over the loss before, with every ε negligible."""
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-30
    before = loss(model).item()
    for name, k in powers.items():
        model.get_parameter(name).data *= alpha**k
    return loss(model).item() / before


def answer(model, value=loss):
    """What is found. Where nothing is, the reason: then a comparison fails, and no error is raised."""
    try:
        return scale_invariance(model, value)
    except (ValueError, RuntimeError) as refused:
        return Invariances({"refused": str(refused)}, [])


def kinds(model):
    return [*answer(model, loss).alone.values()]


def linear(inputs, outputs, bias=True):
    return nn.Linear(inputs, outputs, bias=bias)


class Attention(nn.Module):
    """Queries and keys of three tokens of two numbers, and a temperature."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.temperature = (
            linear(2, 3, False),
            linear(2, 3, False),
            nn.Parameter(torch.tensor(0.7)),
        )
        self.head = linear(6, 4)

    def forward(self, x):
        x = x.reshape(-1, 3, 2)
        return self.head(((self.temperature * self.q(x) @ self.k(x).mT).softmax(-1) @ x).flatten(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.up, self.down = (
            linear(6, 5, False),
            linear(5, 7, False),
            linear(7, 5, False),
        )
        self.norm, self.head = nn.RMSNorm(5, elementwise_affine=False), linear(5, 4)

    def forward(self, x):
        stream = self.embed(x)
        return self.head(self.norm(stream + self.down(gelu(self.up(self.norm(stream))))))


class Homemade(nn.Module):
    """A norm whose ε has another name."""

    def __init__(self, eps):
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(5)), eps

    def forward(self, x):
        return self.weight * x / (x.square().mean(1, keepdim=True) + self.variance_epsilon).sqrt()


MODELS = {
    "batch norm": lambda: nn.Sequential(linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), linear(5, 4)),
    "layer norm": lambda: nn.Sequential(linear(6, 5), nn.LayerNorm(5), nn.ReLU(), linear(5, 4)),
    "group norm": lambda: nn.Sequential(
        linear(6, 6, False), nn.GroupNorm(2, 6), nn.GELU(), linear(6, 4)
    ),
    "weight norm": lambda: nn.Sequential(weight_norm(linear(6, 5)), nn.Tanh(), linear(5, 4)),
    "nothing": lambda: nn.Sequential(
        linear(6, 5), nn.Tanh(), linear(5, 5), nn.Tanh(), linear(5, 4)
    ),
    "attention": Attention,
    "residual": Residual,
}


@pytest.mark.parametrize(
    ("name", "alone", "together"),
    [
        (
            "batch norm",
            ["each unit", "no effect", *["no"] * 4],
            [{"1.weight": 1, "1.bias": 1, "3.weight": -1}],
        ),
        (
            "layer norm",
            ["no"] * 6,
            [{"0.weight": 1, "0.bias": 1}, {"1.weight": 1, "1.bias": 1, "3.weight": -1}],
        ),
        ("group norm", ["whole tensor", *["no"] * 4], []),
        ("weight norm", ["no", "no", "each unit", "no", "no"], []),
        ("nothing", ["no"] * 6, []),
        (
            "attention",
            ["no"] * 5,
            [{"temperature": 1, "k.weight": -1}, {"q.weight": 1, "k.weight": -1}],
        ),
        ("residual", ["no"] * 5, [{"embed.weight": 1, "down.weight": 1}]),
    ],
)
def test_known_layers(name, alone, together):
    torch.manual_seed(0)
    found = answer(MODELS[name](), loss)
    assert [*found.alone.values()] == alone
    assert found.together == together


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    layers=st.lists(
        st.tuples(st.sampled_from([nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm, None]),
                  st.sampled_from([nn.ReLU, nn.GELU]), st.booleans(), st.integers(3, 6)),
        min_size=1, max_size=3,
    ),
)  # fmt: skip
def test_what_is_found_holds_and_what_is_not_does_not(seed, layers):
    torch.manual_seed(seed)
    parts, width = [], 6
    for norm, activation, bias, out in layers:
        parts += [linear(width, out, bias), *([norm(out)] if norm else []), activation()]
        width = out
    model = nn.Sequential(*parts, linear(width, 4))
    for p in model.parameters():
        p.data += 0.1 * torch.randn(p.shape)
    found = answer(model, loss)
    for name, kind in found.alone.items():
        if kind == "no":
            assert max(abs(factor(model, {name: 1}, alpha) - 1) for alpha in (0.2, 5)) > 1e-7
        else:
            assert abs(factor(model, {name: 1}, 2.7) - 1) < 1e-9
    for powers in found.together:
        assert abs(factor(model, powers, 2.7) - 1) < 1e-9


class Scalars(nn.Module):
    """Numbers of which the loss is a given function."""

    def __init__(self, values):
        super().__init__()
        self.p = nn.ParameterList(torch.tensor([float(value)]) for value in values)


def test_what_is_idle_at_some_points_is_idle_at_no_point():
    """A ReLU hides each number at one point in five; there its slope and its size are zero."""
    model = Scalars([1.0] * 30)
    found = answer(model, lambda m: sum((p - 0.75).relu().square().sum() for p in m.p))
    assert {*found.alone.values()} == {"no"}
    assert found.together == []


def test_every_point_is_near_the_parameters_and_another():
    """By half of a tensor's size at most, in all directions; what is zero has size one."""
    start = torch.tensor([100.0, -0.01, 0.0])
    model = Scalars([*start])
    exact = ExactLoss(model, lambda m: sum((p - k).square().sum() for k, p in enumerate(m.p, 1)))
    places = Places(exact, np.random.default_rng(1))
    points = [places.point().values for _ in range(40)]
    moved = torch.stack([torch.cat([*values.values()]) for values in points]) - start
    sizes = moved / torch.tensor([100.0, 0.01, 1.0])
    assert len({*map(tuple, sizes.tolist())}) == len(points)
    assert abs(sizes).max() <= RADIUS
    assert torch.allclose(sizes.mean(0), torch.zeros(3).double(), atol=0.15)  # three deviations
    assert torch.allclose(sizes.std(0), torch.full((3,), RADIUS / 3**0.5).double(), rtol=0.25)


def test_there_are_as_many_equations_as_unknowns():
    """A gradient at five points, then one more for each parameter that is left."""
    model, backwards = Scalars([1.0, 2.0, 3.0]), []

    def noted(m):
        value = (m.p[0] * m.p[1] + m.p[2].sin()).square().sum()
        value.register_hook(lambda _: backwards.append(1))
        return value

    answer(model, noted)
    assert len(backwards) == 1 + 1 + 5 + 3  # where the model is, a first look, the points


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_units_of_a_parameter_change_nothing(unit):
    """The same model, with its numbers in another unit."""
    model = Scalars([2 * unit, 3 * unit, 0.5 * unit, 7 * unit])

    def value(m):
        a, b, c, d = (p[0] / unit for p in m.p)
        return (a * b - 1).square() + c.sin() + 0 * d

    found = answer(model, value)
    assert [*found.alone.values()] == ["no", "no", "no", "no effect"]
    assert found.together == [{"p.0": 1, "p.1": -1}]


@pytest.mark.parametrize("power", [2, 3, 0.5, -4, 200, 0.005])
def test_exponents_are_not_whole_numbers_only(power):
    model = Scalars([2.0, 3.0])
    found = answer(model, lambda m: (m.p[0] * m.p[1].abs() ** power - 1).square().sum())
    assert found.together == [pytest.approx({"p.0": 1, "p.1": -1 / power}, abs=1e-6)]


def test_the_readers_random_numbers_are_left_alone():
    torch.manual_seed(7)
    model, state = MODELS["batch norm"](), torch.get_rng_state()
    answer(model, loss)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("effect", [1e-6, 1e-9, 1e-11])
def test_a_small_effect_is_one(effect):
    """However much more another parameter does."""
    model = Scalars([1.0, 2.0, 3.0])
    found = answer(model, lambda m: m.p[0].sin() + effect * (m.p[1] * m.p[2]).sin())
    assert found.alone == {"p.0": "no", "p.1": "no", "p.2": "no"}
    assert found.together == [{"p.1": 1, "p.2": -1}]


def test_the_first_parameter_may_have_no_effect():
    """Rounding is told from an effect by the largest of all parameters, not by the first."""
    torch.manual_seed(0)

    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.ones(6))
            self.norm, self.head = nn.BatchNorm1d(6, affine=False), linear(6, 4)

        def forward(self, x):
            return self.head(self.norm(x + self.shift))

    assert kinds(Shifted()) == ["no effect", "no", "no"]


def test_one_row_that_is_not_invariant_is_enough():
    """Of a matrix whose other rows are each normalised."""

    class Rows(nn.Module):
        def __init__(self, other):
            super().__init__()
            self.w, self.other = nn.Parameter(torch.randn(4, 3)), other

    torch.manual_seed(0)
    for other in range(4):
        model = Rows(other)

        def value(m):
            unit = m.w / m.w.norm(dim=1, keepdim=True)
            return unit.sum(1).sin().sum() + m.w[m.other, 0]

        assert kinds_of(model, value) == ["no"]


def kinds_of(model, value):
    return [*answer(model, value).alone.values()]


def test_the_model_is_left_as_it_was():
    model = MODELS["batch norm"]()
    model[3].weight.requires_grad_(False)
    before = copy.deepcopy(model)
    answer(model, loss)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), before.state_dict().values(), strict=True)
    )
    assert [p.requires_grad for p in model.parameters()] == [
        p.requires_grad for p in before.parameters()
    ]
    assert (model[1].eps, model[0].weight.dtype) == (1e-5, torch.float32)


def test_what_is_frozen_counts():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    found = str(answer(model, loss))
    assert str(answer(model.requires_grad_(False), loss)) == found


def test_stored_statistics_hide_no_scale():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    model(INPUTS.float())
    assert kinds(model.eval())[0] == "no"


@pytest.mark.parametrize(
    ("eps", "kind"),
    [
        (1e-5, "whole tensor"),
        (1e-2, "whole tensor"),
        (torch.tensor(1e-5), "whole tensor"),
        (torch.tensor([1e-5]), "whole tensor"),
        (0.011, "no"),  # larger than an ε
        (nn.Parameter(torch.tensor(5e-3)), "no"),
    ],
)
def test_epsilon_under_another_name(eps, kind):
    torch.manual_seed(0)
    found = answer(nn.Sequential(linear(6, 5, False), Homemade(eps), linear(5, 4)), loss)
    assert found.alone.get("0.weight") == kind


def test_zero_parameters_are_moved():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    nn.init.zeros_(model[3].weight)
    assert kinds(model) == ["each unit", "no effect", *["no"] * 4]


def test_what_is_tied_counts_once():
    torch.manual_seed(0)
    one = linear(6, 6, False)
    found = answer(nn.Sequential(one, nn.LayerNorm(6), one, nn.LayerNorm(6), linear(6, 4)), loss)
    assert found.alone.get("0.weight") == "whole tensor"
    assert "2.weight" not in found.alone


def test_everything_invariant_leaves_nothing_together():
    torch.manual_seed(0)
    found = answer(
        nn.Sequential(linear(6, 4, False), nn.LayerNorm(4, elementwise_affine=False)), loss
    )
    assert found.alone == {"0.weight": "whole tensor"}
    assert found.together == []


def test_a_table_to_print():
    torch.manual_seed(0)
    lines = str(answer(MODELS["batch norm"](), loss)).splitlines()
    assert lines[:2] == ["0.weight  each unit", "0.bias    no effect"]
    assert lines[-1] == "together: 1.weight × α^1, 1.bias × α^1, 3.weight × α^-1"


def test_a_table_in_a_notebook():
    torch.manual_seed(0)
    rows = answer(MODELS["batch norm"](), loss)._repr_html_().splitlines()
    assert rows[1] == '<tr><th scope="col">parameter</th><th scope="col">scale-invariant</th></tr>'
    assert rows[3] == '<tr><th scope="row">0.weight</th><td>each unit</td></tr>'
    joint = "1.weight × α^1, 1.bias × α^1, 3.weight × α^-1"
    assert rows[-2] == f'<tr><th scope="row">together</th><td>{joint}</td></tr>'


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda model: functional.conv1d(INPUTS.float(), model[0].weight[None]), "inputs float64"),
        (lambda model: model(INPUTS), r"torch.float64 of shape \(60, 4\)"),
        (lambda model: loss(model).item(), "got float"),
        (lambda model: SimpleNamespace(loss=loss(model)), "got SimpleNamespace; return its .loss"),
        (lambda model: loss(model) * torch.nan, "one finite number"),
        (lambda model: INPUTS.sum(), "does not depend"),
        (lambda model: loss(model).detach(), "has no gradient"),
        (lambda model: loss(model) + torch.rand(()), "switch dropout"),
    ],
)
def test_a_bad_loss_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        scale_invariance(MODELS["batch norm"](), wrong)


def test_another_models_loss_is_refused():
    other = MODELS["batch norm"]().double()
    with pytest.raises(ValueError, match="does not depend"):
        scale_invariance(MODELS["batch norm"](), lambda model: loss(other))


# ---- faults from the field -----------------------------------------------------------------
class Calls(nn.Module):
    """A function of a model's parts, and the parts."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def matrix(*shape, dtype=torch.float32):
    return nn.Parameter(torch.randn(shape, dtype=dtype))


def between(normalised, **parts):
    """A linear layer (a), what is to be tried, a head (h)."""
    parts = {"a": linear(6, 8, False), "h": linear(8, 4, False)} | parts
    return Calls(lambda m, x: m.h(normalised(m, m.a(x))), **parts)


def layer_norm(z, **options):
    return functional.layer_norm(z, z.shape[-1:], **options)


def centred(z):
    return z - z.mean(0)


class Upcast(nn.Module):
    """Root mean square as Llama, T5 and Qwen have it: in float32, whatever comes in."""

    def __init__(self, to):
        super().__init__()
        self.weight, self.variance_epsilon, self.to_dtype = nn.Parameter(torch.ones(8)), 1e-6, to

    def forward(self, x):
        z = x.to(self.to_dtype)
        z = z * torch.rsqrt(z.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * z.type_as(x)


def autocast(m, z):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return layer_norm(m.b(z)).float()


def masked(m, z):
    return layer_norm(z).maximum(torch.full((8,), torch.finfo(z.dtype).min))


def into_new(m, z):
    out = torch.zeros(len(z), 8)  # torch's default dtype
    out[:, :] = layer_norm(z)
    return out


@pytest.mark.parametrize(
    "model",
    [
        lambda: between(lambda m, z: m.n(z), n=Upcast(torch.float32)),
        lambda: between(lambda m, z: m.n(z), n=Upcast(torch.bfloat16)),
        lambda: between(lambda m, z: m.n(z), n=Upcast(torch.float32)).bfloat16(),
        lambda: between(lambda m, z: layer_norm(z.half())).half(),
        lambda: between(autocast, b=linear(8, 8, False)),
        lambda: between(into_new),
        lambda: between(masked),
        lambda: between(lambda m, z: layer_norm(z.type(torch.FloatTensor)).to(z.dtype)),
        lambda: between(lambda m, z: z / z.square().sum(-1, True, dtype=torch.float32).sqrt()),
        lambda: between(lambda m, z: z / torch.linalg.vector_norm(z, dtype=torch.float32)),
        lambda: between(lambda m, z: layer_norm(z).to(torch.float8_e4m3fn).to(z.dtype)),
    ],
)
def test_what_is_computed_with_fewer_digits_counts_as_exact(model):
    torch.manual_seed(0)
    assert answer(model(), loss).alone.get("a.weight") == "whole tensor"


def test_models_and_inputs_may_have_fewer_digits():
    torch.manual_seed(0)
    layers = nn.Conv1d(1, 2, 3), nn.Flatten(), nn.LayerNorm(8), linear(8, 4, False)
    signals = INPUTS.half()[:, None]
    model = nn.Sequential(*layers).half()
    found = answer(model, lambda m: cross_entropy(m(signals).float(), LABELS))
    assert found.together == [
        {"0.weight": 1, "0.bias": 1},
        {"2.weight": 1, "2.bias": 1, "3.weight": -1},
    ]


def test_data_may_have_fewer_digits():
    torch.manual_seed(0)
    data = INPUTS.float()
    model = nn.Sequential(linear(6, 4, False))
    found = answer(model, lambda m: layer_norm(data @ m[0].weight.T).sin().sum())
    assert found.alone == {"0.weight": "whole tensor"}


def test_a_loss_may_have_a_gradient_of_its_own():
    """What it leaves behind does not count."""
    torch.manual_seed(0)
    model = MODELS["group norm"]()

    def value(m):
        loss(m).mul(3).backward()
        return loss(m)

    assert str(answer(model, value)) == str(answer(model, loss))


def test_digits_are_not_lost_in_a_tensor_from_outside():
    outside = torch.zeros(60, 4)

    def kept(m):
        outside.copy_(m(INPUTS))
        return cross_entropy(outside, LABELS)

    with pytest.raises(ValueError, match=r"writes into a torch.float32 tensor; make it float64"):
        scale_invariance(nn.Sequential(linear(6, 4)), kept)


NORMS = {
    "named": lambda z, e: layer_norm(z, eps=e),
    "group": lambda z, e: functional.group_norm(z, 1, eps=e),
    "batch": lambda z, e: functional.batch_norm(z, None, None, training=True, eps=e),
    "instance": lambda z, e: functional.instance_norm(z[None], eps=e)[0],
    "rms": lambda z, e: functional.rms_norm(z, (8,), eps=e),
    "root": lambda z, e: z / (z.square().mean(-1, keepdim=True) + e).sqrt(),
    "inverse root": lambda z, e: z * (e + z.square().mean(-1, keepdim=True)).rsqrt(),
    "power": lambda z, e: z * (z.square().mean(-1, keepdim=True) + e) ** -0.5,
    "inside the mean": lambda z, e: z / (z.square() + e).mean(-1, keepdim=True).sqrt(),
    "in place": lambda z, e: z / z.square().mean(-1, keepdim=True).add_(e).sqrt_(),
    "deviation": lambda z, e: (z - z.mean(0)) / (z.std(0) + e),
    "reciprocal": lambda z, e: centred(z) * (1 / (z.std(0) + e)),
    "viewed": lambda z, e: z / (z.norm(dim=-1) + e).unsqueeze(-1).clone(),
    "tensor": lambda z, e: z / (z.norm(dim=-1, keepdim=True) + torch.tensor(e)),
    "turned": lambda z, e: z / (z.square() + e).T.mean(0)[:, None].sqrt(),
    "times a constant": lambda z, e: z / (3 * (z.square().mean(-1, keepdim=True) + e)).sqrt(),
    "clamped": lambda z, e: z / (z.norm(dim=-1, keepdim=True) + e).clamp(min=1e-20),
    "less": lambda z, e: z / ((z.norm(dim=-1, keepdim=True) + e) - z[:, :1].abs() / 2),
    "absolute": lambda z, e: z / (z.norm(dim=-1, keepdim=True) + e).abs(),
    "larger": lambda z, e: z / torch.maximum(z.norm(dim=-1, keepdim=True) + e, z[:, :1] / 2),
    "three quarters": lambda z, e: z / (z.norm(dim=-1, keepdim=True) ** (4 / 3) + e) ** 0.75,
    "of two": lambda z, e: z / ((z.norm(dim=-1) + e) + (z.abs().sum(-1) + e))[:, None],
}


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from([*NORMS]),
    eps=st.floats(1e-12, 1e-3),
    attribute=st.sampled_from(["eps", "variance_epsilon", "e", "layer_norm_eps"]),
    seed=st.integers(0, 1000),
)
def test_an_epsilon_is_negligible_wherever_it_is_written(name, eps, attribute, seed):
    torch.manual_seed(seed)
    config = SimpleNamespace(**{attribute: eps})
    model = between(lambda m, z: NORMS[name](z, getattr(m.config, attribute)).tanh(), config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = answer(model, loss).alone
    by_unit = {"batch", "deviation", "reciprocal"}
    assert found == {
        "a.weight": "each unit" if name in by_unit else "whole tensor",
        "h.weight": "no",
    }


def test_an_epsilon_goes_from_the_gradient_too():
    """Slopes are those of the loss without ε, whatever autograd has saved for them."""
    torch.manual_seed(0)
    for name, norm in NORMS.items():
        model = between(lambda m, z, norm=norm: norm(z, 1e-3))
        exact = ExactLoss(model, loss)
        bare = between(lambda m, z, norm=norm: norm(z, 1e-30))
        bare.load_state_dict(model.state_dict())
        bare.double()
        loss(bare).backward()
        value, gradient = exact.gradient(exact.start)
        assert value == pytest.approx(loss(bare).item(), rel=1e-12), name
        assert torch.allclose(gradient["h.weight"], bare.h.weight.grad, rtol=1e-9, atol=1e-12)
        assert torch.allclose(gradient["a.weight"], bare.a.weight.grad, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("eps", [0.5, 0.01])
@pytest.mark.parametrize(
    "function",
    [
        lambda m, z: z / m.eps,
        lambda m, z: z * m.eps,
        lambda m, z: torch.tanh(z + m.eps),
        lambda m, z: torch.exp(-z.square() / m.eps),
        lambda m, z: z.clamp(-m.eps, m.eps),
        lambda m, z: (1 + m.eps) * z.tanh(),
    ],
)
def test_what_is_called_eps_but_is_none_stays(function, eps):
    torch.manual_seed(0)
    model = between(function)
    model.eps = eps
    exact = ExactLoss(model, loss)
    assert exact.value(exact.start) == pytest.approx(loss(model.double()).item(), rel=1e-12)
    assert answer(model, loss).alone.get("a.weight") == "no"


def test_a_part_of_a_denominator_that_matters_is_refused():
    torch.manual_seed(0)
    model = between(lambda m, z: z / (z.abs() + 0.01))
    model.a.weight.data *= 0.01
    with pytest.raises(
        ValueError, match=r"0.01 of the model or the loss is not negligible .* no ε"
    ):
        scale_invariance(Calls(lambda m, x: m.inner.function(m.inner, x), inner=model), loss)


def test_an_epsilon_that_matters_is_told():
    torch.manual_seed(0)
    model = nn.Sequential(linear(6, 8, False), nn.BatchNorm1d(8, eps=1e-2), nn.Tanh(), linear(8, 4))
    model[0].weight.data *= 1e-3
    model[3].weight.data *= 10
    with pytest.warns(UserWarning, match="ε = 0.01 of module '1' is not negligible"):
        assert kinds(model)[0] == "each unit"
    with pytest.warns(UserWarning, match="ε = 0.01") as told:
        scale_invariance(model, loss)
    assert told[0].filename == __file__


@pytest.mark.parametrize("small", [0, 3])
def test_of_several_epsilons_the_one_that_matters_is_told(small):
    """Not the largest: an ε of 0.01 hardly matters where its layer is large."""
    torch.manual_seed(0)
    norms = [nn.BatchNorm1d(8, eps=eps) for eps in ((0.005, 0.01) if small == 0 else (0.01, 0.005))]
    layers = (linear(6, 8, False), norms[0], nn.Tanh(), linear(8, 8, False), norms[1])
    model = nn.Sequential(*layers, nn.Tanh(), linear(8, 4))
    model[3 - small].weight.data *= 10
    model[small].weight.data *= 1e-3
    model[6].weight.data *= 10
    with pytest.warns(UserWarning, match=f"ε = 0.005 of module '{small + 1}' is not negligible"):
        scale_invariance(model, loss)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda z: centred(z) / z.std(0), "each unit"),
        (lambda z: layer_norm(z), "whole tensor"),
        (lambda z: z, "no"),
    ],
)
def test_complex_weights(function, kind, dtype):
    torch.manual_seed(0)
    model = Calls(
        lambda m, x: m.h(function((x.to(m.w.dtype) @ m.w.T).abs())),
        w=matrix(8, 6, dtype=dtype),
        h=linear(8, 4, False),
    )
    found = answer(model, loss)
    assert found.alone.get("w") == kind
    assert found.together == ([{"w": 1, "h.weight": -1}] if kind == "no" else [])


class Block(nn.Module):
    """A block of a vision transformer, with LayerScale."""

    def __init__(self, scale, width=8):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (linear(width, width, False) for _ in range(4))
        self.up, self.down = linear(width, 16, False), linear(16, width, False)
        self.scale1, self.scale2 = (nn.Parameter(scale * torch.ones(width)) for _ in range(2))
        for module in (self.q, self.k, self.v, self.o, self.up, self.down):
            nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, x):
        z = self.norm1(x)
        mixed = (self.q(z) @ self.k(z).mT).softmax(-1) @ self.v(z)
        x = x + self.scale1 * self.o(mixed)
        return x + self.scale2 * self.down(gelu(self.up(self.norm2(x))))


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-6, 1e-9, 0.0])
def test_tiny_layer_scale_hides_nothing(scale):
    torch.manual_seed(0)
    parts = {"e": linear(2, 8, False), "b": nn.Sequential(Block(scale), Block(scale))}
    model = Calls(
        lambda m, x: m.h(m.n(m.b(m.e(x.reshape(-1, 3, 2)))).mean(1)),
        **parts, n=nn.LayerNorm(8), h=linear(8, 4),
    )  # fmt: skip
    found = answer(model, loss)
    assert {*found.alone.values()} == {"no"}
    for k in range(2):
        assert {f"b.{k}.q.weight": 1, f"b.{k}.k.weight": -1} in found.together
        assert {f"b.{k}.v.weight": 1, f"b.{k}.o.weight": -1} in found.together
        assert {f"b.{k}.scale1": 1, f"b.{k}.o.weight": -1} in found.together
        assert {f"b.{k}.scale2": 1, f"b.{k}.down.weight": -1} in found.together


IDS = torch.randint(0, 9, (20, 5), generator=torch.Generator().manual_seed(0))
IDS[:, 3:] = 0


def tokens_loss(model):
    return cross_entropy(model(IDS), LABELS[:20])


@pytest.mark.parametrize(
    "look_up",
    [
        nn.Embedding(9, 6, padding_idx=0),
        nn.Embedding(9, 6, padding_idx=0, sparse=True),
        nn.Embedding(9, 6, scale_grad_by_freq=True),
        nn.Embedding(9, 6, max_norm=1e3),
        Calls(
            lambda m, ids: functional.embedding(ids, m.weight, padding_idx=0), weight=matrix(9, 6)
        ),
    ],
)
def test_gradients_of_embeddings_are_made_true(look_up):
    """What writes to the stream scales together, and padding reads it."""
    torch.manual_seed(0)
    model = Calls(
        lambda m, ids: m.h(layer_norm(m.tok(ids) + m.pos)).mean(1),
        tok=look_up, pos=matrix(5, 6), h=linear(6, 4),
    )  # fmt: skip
    assert answer(model, tokens_loss).together == [{"pos": 1, "tok.weight": 1}]


def test_an_embedding_that_is_clipped_is_refused():
    model = Calls(lambda m, ids: m.tok(ids).mean(1), tok=nn.Embedding(9, 4, max_norm=0.1))
    with pytest.raises(ValueError, match="module 'tok' clips rows of its weight"):
        scale_invariance(model, tokens_loss)


def test_hooks_on_gradients_are_off():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    plain = str(answer(model, loss))
    model[3].weight.register_hook(lambda g: 0 * g)
    model[2].register_full_backward_hook(lambda _, before, after: (0 * before[0],))
    assert str(answer(model, loss)) == plain


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        return w.sign()

    @staticmethod
    def backward(ctx, g):
        return g


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        return z.clone()

    @staticmethod
    def backward(ctx, g):
        return -g


def rounded(w):
    return w + ((4 * w).round() / 4 - w).detach()


def teacher(m, z):
    with torch.no_grad():
        target = m.b(z)
    return z + target


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda w: Straight.apply(w), "each unit of axes 0 and 1"),  # latent binary weights
        (lambda w: w.sign(), "each unit of axes 0 and 1"),
        (lambda w: w.detach() / w.norm(dim=1, keepdim=True), "each unit"),
        (lambda w: functional.normalize(w.detach(), dim=None), "whole tensor"),
    ],
)
def test_an_invariance_needs_no_gradient(function, kind):
    """Finite factors show it."""
    torch.manual_seed(0)
    model = Calls(lambda m, x: m.h((x @ function(m.w).T).tanh()), w=matrix(8, 6), h=linear(8, 4))
    assert answer(model, loss).alone.get("w") == kind


def reentrant(m, z):
    return checkpoint(lambda z: layer_norm(m.b(z)), z, use_reentrant=True)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: between(lambda m, z: Reverse.apply(z.tanh())), "a.weight"),
        (lambda: between(lambda m, z: (z + z.detach()).tanh()), "a.weight"),
        (lambda: between(teacher, b=linear(8, 8, False)), "b.weight"),
        (lambda: between(lambda m, z: torch.from_numpy(z.detach().numpy()).tanh()), "a.weight"),
        (lambda: between(lambda m, z: z @ rounded(m.w), w=matrix(8, 8)), "w"),
        (lambda: between(lambda m, z: z @ Straight.apply(m.w) * m.w.norm(), w=matrix(8, 8)), "w"),
        (lambda: between(lambda m, z: z * m.w.detach(), w=matrix(8)), "w"),
        (
            lambda: between(
                lambda m, z: z @ (Straight.apply(m.w) + 1e-6 * m.w.detach()), w=matrix(8, 8)
            ),
            "w",
        ),
        (
            lambda: Calls(
                lambda m, x: checkpoint(m.b, x, use_reentrant=True) + m.a(x),
                a=linear(6, 4, False), b=linear(6, 4, False),
            ),
            "b.weight",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:None of the inputs")
def test_a_gradient_that_is_not_the_derivative_is_refused(model, name):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=f"gradient of .*'{name}'.* is not the derivative"):
        scale_invariance(model(), loss)


def test_reentrant_checkpoints():
    """They work with ``backward`` only."""
    torch.manual_seed(0)
    found = answer(between(reentrant, b=linear(8, 8, False)), loss)
    assert found.alone == {"a.weight": "whole tensor", "b.weight": "whole tensor", "h.weight": "no"}


IMAGES = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def standard(z):
    return ((z - z.mean(0)) / z.std(0)).tanh()


@pytest.mark.parametrize(
    ("shape", "layer", "kind"),
    [
        ((6, 8), lambda x, w: x @ w, "each unit of axis 1"),
        ((8, 6), lambda x, w: x @ w.T, "each unit"),
        ((2, 6, 8), lambda x, w: torch.einsum("bi,eio->beo", x, w), "each unit of axes 0 and 2"),
        ((6, 2, 4), lambda x, w: torch.einsum("bi,iho->bho", x, w), "each unit of axes 1 and 2"),
        ((1, 8), lambda x, w: x[:, :1] * w, "each unit of axes 0 and 1"),
        ((6,), lambda x, w: x * w, "each unit"),
        ((8, 1, 3), lambda x, w: functional.conv1d(x[:, None], w).mean(2), "each unit"),
        ((), lambda x, w: x * w, "whole tensor"),
    ],
)
def test_layouts(shape, layer, kind):
    torch.manual_seed(0)
    model = Calls(
        lambda m, x: m.h(standard(layer(x, m.w)).flatten(1)), w=matrix(*shape), h=nn.LazyLinear(4)
    )
    model(INPUTS.float())
    assert answer(model, loss).alone.get("w") == kind


def test_transposed_convolutions():
    torch.manual_seed(0)
    layers = nn.ConvTranspose2d(3, 5, 2, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten()
    model = nn.Sequential(*layers, linear(125, 4))
    found = answer(model, lambda m: cross_entropy(m(IMAGES), LABELS[:12]))
    assert found.alone.get("0.weight") == "each unit of axis 1"


def pruned():
    layer = linear(6, 8, False)
    prune.l1_unstructured(layer, "weight", 0.3)
    return layer


@pytest.mark.parametrize(
    ("layer", "name", "kind"),
    [
        (lambda: nn.utils.weight_norm(linear(6, 8)), "0.weight_v", "each unit"),
        (lambda: nn.utils.spectral_norm(linear(6, 8, False)), "0.weight_orig", "whole tensor"),
        (lambda: spectral_norm(linear(6, 8, False)), None, "whole tensor"),
        (pruned, "0.weight_orig", "no"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_that_are_computed(layer, name, kind):
    """Also those that torch does not copy, after a pass; power iteration starts anew each time."""
    torch.manual_seed(0)
    model = nn.Sequential(layer(), nn.Tanh(), linear(8, 4))
    model(INPUTS.float())
    name = name or "0.parametrizations.weight.original"
    assert answer(model, loss).alone.get(name) == kind


def test_parameters_without_real_numbers():
    torch.manual_seed(0)
    model = nn.Sequential(linear(6, 8, False), nn.BatchNorm1d(8), linear(8, 4, False))
    plain = answer(model, loss)
    model.codes = nn.Parameter(torch.zeros(3, dtype=torch.int8), requires_grad=False)
    model.mask = nn.Parameter(torch.ones(3, dtype=torch.bool), requires_grad=False)
    model.none, model.flat = matrix(0), matrix(0, 4)
    found = answer(model, loss)
    assert found.alone == {"none": "no effect", "flat": "no effect"} | plain.alone
    assert found.together == plain.together


def test_a_number_without_axes():
    torch.manual_seed(0)
    model = between(lambda m, z: (m.t * z).softmax(1), t=nn.Parameter(torch.tensor(0.5)))
    assert answer(model, loss).together == [{"t": 1, "a.weight": -1}]


class Remembers(nn.Module):
    """Counts, appends, averages: each forward pass changes what the next one finds."""

    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.zeros(8))
        self.calls, self.seen, self.last = 0, [], torch.zeros(8)
        self.average_of = {"z": torch.zeros(8)}

    def forward(self, z):
        self.average.data.mul_(0.9).add_(torch.ones(8))
        self.calls += 1
        self.seen.append(1.0)
        self.average_of["z"] += 1
        self.last = self.last + 1
        self.new = getattr(self, "new", 0) + 1
        known = self.average + self.average_of["z"] + self.last
        return z + known.to(z.dtype) * self.calls * len(self.seen) * self.new


def test_each_pass_starts_from_the_same_state():
    torch.manual_seed(0)
    model = between(lambda m, z: m.r(layer_norm(z)), r=Remembers())
    assert answer(model, loss).alone.get("a.weight") == "whole tensor"
    assert (model.r.calls, model.r.seen, model.r.average.sum().item()) == (0, [], 0)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda model: nn.DataParallel(model),
        lambda model: torch.compile(model, backend="eager"),
        lambda model: nn.Sequential(torch.compile(model, backend="eager")),
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    ],
)
def test_wrappers_count_as_what_they_wrap(wrapped):
    torch.manual_seed(0)
    model = MODELS["group norm"]()
    found, bare = answer(wrapped(model), loss), answer(model, loss)
    assert [*found.alone.values()] == [*bare.alone.values()]
    assert [*found.alone] == [name for name, _ in wrapped(model).named_parameters()]


def test_wrappers_are_taken_off():
    inside = MODELS["group norm"]()
    inside.note = "inside answers"
    for wrapper in (nn.DataParallel(inside), torch.compile(inside, backend="eager")):
        copied = private_copy(nn.Sequential(wrapper))
        assert type(wrapper) not in {*map(type, copied.modules())}
        assert copied[0].note == "inside answers"


def test_autograd_may_be_off_outside():
    torch.manual_seed(0)
    model = MODELS["group norm"]()
    plain = str(answer(model, loss))
    with torch.no_grad():
        assert str(answer(model, loss)) == plain
    with torch.inference_mode():
        assert str(answer(copy.deepcopy(model), loss)) == plain


def test_settings_of_torch_are_left_alone():
    model = MODELS["group norm"]()
    before = torch.get_default_dtype(), dict(nn.modules.module._global_forward_pre_hooks)
    with pytest.raises(ValueError, match="division by zero"):
        scale_invariance(model, lambda m: 1 / 0)
    answer(model, loss)
    after = torch.get_default_dtype(), dict(nn.modules.module._global_forward_pre_hooks)
    assert before == after


def shared():
    model = nn.Sequential(linear(6, 6), nn.Tanh(), linear(6, 6))
    model[2].weight = nn.Parameter(model[0].weight.data)
    return model


def overlapping():
    model, flat = nn.Sequential(linear(6, 4, False), linear(4, 4, False)), torch.randn(39)
    model[0].weight = nn.Parameter(flat[:24].view(4, 6))
    model[1].weight = nn.Parameter(flat[23:].view(4, 4))  # one number is both's
    return model


def remembered():
    model = nn.Sequential(linear(6, 4))
    model.alias = model[0].weight.data
    return model


def holding(parameter):
    model = nn.Sequential(linear(6, 4))
    model.held = parameter
    return model


def sharded():
    """As DeepSpeed leaves a parameter: its numbers elsewhere, and their count noted."""
    empty = nn.Parameter(torch.zeros(0))
    empty.ds_numel = 24
    return holding(empty)


class Shallow(nn.Linear):
    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: nn.Sequential(nn.ReLU()), "has no parameters that a factor could scale"),
        (lambda: holding(nn.Parameter(torch.eye(3).to_sparse())), "'held' is sparse"),
        (
            lambda: holding(nn.Parameter(TwoTensor(torch.ones(3), torch.ones(3)))),
            "'held' is a TwoTensor; ask of the model before it is sharded or quantised",
        ),
        (sharded, "'held' is sharded \\(DeepSpeed\\); gather it"),
        (lambda: nn.Sequential(Shallow(6, 4)), "own __deepcopy__ shares its parameters"),
        (lambda: [linear(6, 4)], "must be a torch.nn.Module, got list"),
        (lambda: nn.Sequential(nn.LazyLinear(4)), "has no shape yet; run the model once"),
        (lambda: nn.Sequential(linear(6, 4)).to("meta"), "has no numbers"),
        (shared, "'0.weight' and '2.weight' share memory"),
        (overlapping, "'0.weight' and '1.weight' share memory"),
        (remembered, "'0.weight' and 'alias' share memory"),
        (lambda: nn.Sequential(linear(6, 4), nn.Dropout()), "switch dropout"),
        (lambda: between(lambda m, z: z, lock=(k for k in range(3))), "cannot be copied"),
    ],
)
def test_a_model_of_which_nothing_can_be_said_is_refused(model, says):
    with pytest.raises(ValueError, match=says):
        scale_invariance(model(), loss)


@pytest.mark.parametrize(
    "halves",
    [
        lambda numbers: (numbers[:24].view(4, 6), numbers[24:].view(4, 4)),
        lambda numbers: numbers.view(4, 10).split([6, 4], dim=1),  # they lie between each other
    ],
)
def test_views_of_one_memory_that_do_not_overlap_are_two(halves):
    model = nn.Sequential(linear(6, 4, False), linear(4, 4, False))
    model[0].weight, model[1].weight = map(nn.Parameter, halves(torch.randn(40)))
    assert answer(model, loss).together == [{"0.weight": 1, "1.weight": -1}]


@pytest.mark.parametrize(
    "closing",
    [
        lambda model: lambda _: loss(model),
        lambda model: lambda m: loss(m) + sum(p.square().sum() for p in model.parameters()),
        lambda model: (
            lambda m: loss(m) + torch.cat([p.flatten() for p in model.parameters()]).norm()
        ),
        lambda model: lambda m: loss(m) + (m[0].weight - model[0].weight.detach()).norm(),
    ],
)
def test_a_loss_that_reads_the_model_itself_is_refused(closing):
    model = MODELS["batch norm"]().double()
    with pytest.raises(ValueError, match=r"reads '0.weight' of the model itself"):
        scale_invariance(model, closing(model))


def test_a_penalty_in_the_loss_counts():
    torch.manual_seed(0)
    model = MODELS["group norm"]()
    penalised = answer(
        model, lambda m: loss(m) + 5e-5 * sum(p.square().sum() for p in m.parameters())
    )
    assert {*penalised.alone.values()} == {"no"}
    assert penalised.together == []


@pytest.mark.parametrize("power", [1e-3, 1e-5, 1e-7])
def test_what_is_almost_an_invariance_is_none(power):
    """One row of the matrix is scale-invariant but for a small part of it."""
    torch.manual_seed(0)
    model = Calls(
        lambda m, x: m.h(functional.normalize(m.w, dim=1) @ x.T), w=matrix(8, 6), h=linear(60, 4)
    )

    def value(m):
        return m(INPUTS).sin().mean() + power * m.w[3, 0]

    assert answer(model, value).alone.get("w") == "no"


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 4), more=st.integers(1, 5), seed=st.integers(0, 10_000),
    spread=st.floats(0, 12), rows=st.floats(0, 12),
)  # fmt: skip
def test_a_null_space_is_told_whole(size, more, seed, spread, rows):
    """Two blocks of slopes with integer exponents, of very different size, at points that differ."""
    rng = np.random.default_rng(seed)
    exponents = np.zeros((2 * size, 2 * (size + more)))
    for k in range(2):
        block = rng.integers(-2, 3, (size, size + more))
        block[:, :size] += 5 * np.eye(size, dtype=int)  # so that they are independent
        exponents[k * size : (k + 1) * size, k * (size + more) : (k + 1) * (size + more)] = block
    slopes = rng.normal(size=(40, 2 * more)) @ np.linalg.svd(exponents)[2][2 * size :]
    scale = 10.0 ** (-spread * (np.arange(exponents.shape[1]) >= size + more))
    slopes = slopes * scale * 10.0 ** -rng.uniform(0, rows, (40, 1))
    space = null_space(slopes)
    assert len(space.basis) == 2 * size
    assert not len(space.nearly)
    together = np.vstack([space.basis, exponents])
    assert np.linalg.matrix_rank(together, tol=1e-5) == 2 * size
    assert np.linalg.matrix_rank(space.basis, tol=1e-5) == 2 * size
    assert all(row[np.flatnonzero(row)[0]] == 1 for row in space.basis)


def test_rounding_is_no_pivot():
    found = _reduced(np.array([[1e-17, 1, 2], [0, 1, 0]]))
    assert np.allclose(found, [[0, 1, 0], [0, 0, 1]])


def test_a_null_space_is_told_by_pairs_where_there_are_pairs():
    """As of queries and keys, where elimination in the columns' order leaves three and three."""
    whole = np.array([[2.0, 0, 1, -1], [0, 2, 1, -1]])
    slopes = np.random.default_rng(0).normal(size=(9, 2)) @ np.linalg.svd(whole)[2][2:]
    found = null_space(slopes).basis
    assert np.allclose(found, [[1, -1, 0, 0], [1, 0, 0.5, -0.5]])


@pytest.mark.parametrize("module", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(module):
    """What a layer keeps as lists of its parameters is that of the copy."""
    torch.manual_seed(0)
    model = Calls(
        lambda m, x: m.h(m.r(layer_norm(m.e(x.reshape(-1, 3, 2))))[0][:, -1]),
        e=linear(2, 4, False), r=module(4, 5, batch_first=True), h=linear(5, 4),
    )  # fmt: skip
    assert answer(model, loss).alone.get("e.weight") == "whole tensor"


@pytest.mark.parametrize("layer", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
def test_transformer_layers_in_evaluation(layer):
    """Their fast path has no gradient."""
    torch.manual_seed(0)
    body = layer(4, 2, 8, dropout=0.0, batch_first=True).eval()
    two = layer is nn.TransformerDecoderLayer
    model = Calls(
        lambda m, x: m.h(m.body(*[m.e(x.reshape(-1, 3, 2))] * (1 + two)).mean(1)),
        e=linear(2, 4, False), body=body, h=linear(4, 4),
    )  # fmt: skip
    found = answer(model, loss)
    assert found.alone.get("body.self_attn.in_proj_weight") == "no"
    scaled = [joint.keys() for joint in found.together if "body.norm1.weight" in joint]
    assert scaled
    assert all("body.norm1.bias" in names for names in scaled)


def test_a_frozen_constant_behind_no_grad_is_held():
    """As a table of positions is, or a teacher: it is no buffer, and counts as one."""
    torch.manual_seed(0)

    def positioned(m, z):
        with torch.no_grad():
            table = m.table * 1
        return m.b(z + table).tanh()

    model = between(positioned, b=linear(8, 8, False), table=matrix(8))
    model.table.requires_grad_(False)
    found = answer(model)
    assert found.alone == dict.fromkeys(["table", "a.weight", "h.weight", "b.weight"], "no")
    assert found.together == []


def test_what_a_frozen_constant_multiplies_scales_together_without_it():
    torch.manual_seed(0)
    model = Calls(
        lambda m, x: m.b(m.a(x).relu()) * (1 + m.t(x).detach().square().mean()),
        a=linear(6, 8, False), b=linear(8, 4, False), t=linear(6, 3, False),
    )  # fmt: skip
    model.t.weight.requires_grad_(False)
    found = answer(model)
    assert found.alone == dict.fromkeys(["a.weight", "b.weight", "t.weight"], "no")
    assert found.together == [{"a.weight": 1, "b.weight": -1}]


@pytest.mark.parametrize("root", [torch.sqrt, lambda v: (v + v.abs()).sqrt()])
def test_a_place_where_the_loss_or_its_gradient_is_no_number_is_left_out(root):
    """Here a half of those near would be: a root of a number that may be negative."""
    torch.manual_seed(0)
    model = between(lambda m, z: z * root(m.v), v=nn.Parameter(torch.rand(8) ** 4 + 1e-3))
    assert answer(model).together == [{"v": 1, "h.weight": -0.5}, {"a.weight": 1, "h.weight": -1}]


def test_experts_in_float64():
    rng = torch.Generator().manual_seed(0)
    x, w = torch.randn(7, 3, generator=rng).double(), torch.randn(3, 3, 2, generator=rng).double()
    ends, grouped = torch.tensor([2, 2, 5]), IN_FLOAT64["_grouped_mm"]
    by_hand = torch.stack(
        [x[k] @ w[0 if k < 2 else 2] if k < 5 else torch.zeros(2) for k in range(7)]
    )
    assert torch.equal(grouped(x, w, ends), by_hand)
    assert torch.equal(grouped(w.mT, x.T, ends), by_hand.T)
    inner = grouped(x.T, by_hand, ends)
    assert torch.equal(
        inner, torch.stack([x[i:j].T @ by_hand[i:j] for i, j in [(0, 2), (2, 2), (2, 5)]])
    )
    assert torch.equal(grouped(x[None], w[:1]), x[None] @ w[:1])
    bias = torch.randn(2, generator=rng).double()
    assert torch.equal(grouped(x, w, ends, bias), by_hand + bias)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [("utf-8", "up × α^1, down × α^-1"), ("cp1252", "up * a^1, down * a^-1"), (None, "up × α^1")],
)
def test_a_table_can_be_written_in_any_encoding(encoding, says, monkeypatch):
    found = Invariances({"up": "no", "down": "no"}, [{"up": 1.0, "down": -1.0}])
    monkeypatch.setattr(
        "sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding) if encoding else io.StringIO()
    )
    assert f"together: {says}" in str(found)
    print(found)


def test_what_holds_near_the_parameters_only_is_no_invariance():
    """Slopes see a product; far away, another term. Points there are added."""
    model = Scalars([1.0, 2.0])
    found = answer(model, lambda m: (m.p[0] * m.p[1] + (m.p[0] - 9).relu()).square().sum())
    assert found.alone == {"p.0": "no", "p.1": "no"}
    assert found.together == []


@pytest.mark.parametrize(
    ("activation", "together"),
    [
        (nn.ReLU(), [{"0.weight": 1, "2.weight": -1}]),
        (nn.ReLU6(), []),
        (nn.Hardtanh(), []),
        (nn.Hardswish(), []),
    ],
)
@pytest.mark.filterwarnings("ignore:ε = 1e-05 of module '3' is not negligible")
def test_what_saturates_far_away_is_not_scaled(activation, together):
    torch.manual_seed(0)
    model = nn.Sequential(linear(6, 8, False), activation, linear(8, 4, False))
    model[0].weight.data *= 0.1  # where it is linear
    assert answer(model).together == together
    normed = nn.Sequential(*model, nn.LayerNorm(4, elementwise_affine=False))
    assert answer(normed).alone == {
        "0.weight": "whole tensor" if together else "no",
        "2.weight": "whole tensor",
    }


def test_far_factors_are_no_matter_where_numbers_are_small_or_large():
    torch.manual_seed(0)
    for size in (1e-6, 1e6):
        model = nn.Sequential(linear(6, 8, False), nn.LayerNorm(8, eps=1e-30), linear(8, 4, False))
        model[0].weight.data *= size
        assert answer(model).alone["0.weight"] == "whole tensor"


def test_what_rounding_hides_is_refused():
    """Twenty narrow layers of tanh are almost linear: each may almost be scaled against the next."""
    torch.manual_seed(0)
    layers = [layer for _ in range(20) for layer in (linear(6, 6, False), nn.Tanh())]
    with pytest.raises(ValueError, match="rounding hides which is right"):
        scale_invariance(nn.Sequential(*layers, linear(6, 4, False)), loss)


class Standardised(nn.Conv2d):
    """Weight standardisation, with the two ε's of its first implementation."""

    def forward(self, x):
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        deviation = torch.sqrt(w.flatten(1).var(1) + 1e-12)[:, None, None, None] + 1e-5
        return functional.conv2d(x, w / deviation.expand_as(w), self.bias)


class Remembering(nn.Module):
    """Keeps what it has computed, graph and all, so that torch does not copy it."""

    def forward(self, z):
        self.seen, self.lists = z, {"z": [2 * z]}
        return layer_norm(z)


def test_layers_of_public_models():
    torch.manual_seed(0)
    model = nn.Sequential(Standardised(3, 5, 2), nn.ReLU(), nn.Flatten(), linear(45, 4))
    found = answer(model, lambda m: cross_entropy(m(IMAGES), LABELS[:12]))
    assert found.alone.get("0.weight") == "each unit"
    model = between(lambda m, z: m.r(z), r=Remembering())
    model(INPUTS.float())
    assert answer(model).alone.get("a.weight") == "whole tensor"


class Vanishing(nn.Module):
    """Many layers of small weights, as a network for images has them in evaluation, with default ε."""

    def __init__(self, depth, std=0.02):
        super().__init__()
        layers = [(nn.Conv1d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm1d(8), nn.ReLU())
                  for _ in range(depth)]  # fmt: skip
        self.first = nn.Conv1d(1, 8, 3, padding=1, bias=False)
        self.layers = nn.Sequential(*[layer for three in layers for layer in three])
        self.head = linear(8, 4, False)
        for layer in (self.first, *self.layers):
            if isinstance(layer, nn.Conv1d):
                nn.init.normal_(layer.weight, std=std)

    def forward(self, x):
        return self.head(self.layers(self.first(x[:, None])).mean(2))


def test_small_weights_in_many_layers_hide_nothing():
    """At the start the first layers do 1e-20 of what the last does; no rounding, though no loss sees it."""
    torch.manual_seed(0)
    found = answer(Vanishing(12).eval())
    assert {*found.alone.values()} == {"no"}
    assert {"first.weight": 1, "layers.0.weight": -1} in found.together
    assert len(found.together) == 2 * 12 + 1


def test_what_the_loss_cannot_see_is_refused():
    """It would be called idle."""
    torch.manual_seed(0)
    model = Calls(lambda m, x: m.a(x) + m.b * 1e-25, a=linear(6, 4, False), b=matrix(4))
    with pytest.raises(ValueError, match="rounding hides what 'b' does"):
        scale_invariance(model, loss)


# ---- how it finds out ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "dtype",
    sorted({d for d in vars(torch).values() if isinstance(d, torch.dtype)}, key=str),
    ids=str,
)
def test_every_number_format_has_its_like_of_64_bits(dtype):
    """Those that hold two numbers in a byte are no arithmetic's."""
    wanted = torch.complex128 if dtype.is_complex else dtype
    if dtype.is_floating_point and not str(dtype).endswith("_x2"):
        wanted = torch.float64
    assert wide(dtype) is wanted
    assert wide(["text", (dtype, 3)]) == ["text", (wanted, 3)]
    if not dtype.is_floating_point:
        return
    model = between(lambda m, z: layer_norm(z).to(dtype).to(z.dtype))
    exact, plain = ExactLoss(model, loss), ExactLoss(between(lambda m, z: layer_norm(z)), loss)
    if wanted is torch.float64:
        assert exact.value(plain.start) == plain.value(plain.start)


def test_what_needs_no_widening_is_the_same_object():
    for value in ([torch.ones(2).double(), 3], (torch.ones(2, dtype=torch.int64),), "text", 0.5):
        assert wide(value) is value
    widened = wide([torch.ones(2), (torch.ones(2, dtype=torch.complex64), 1)])
    assert [type(widened), type(widened[1]), widened[1][1]] == [list, tuple, 1]
    assert [widened[0].dtype, widened[1][0].dtype] == [torch.float64, torch.complex128]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("share", [0.999, 1.0, 1.001])
def test_clipping_is_that_of_the_rows_that_are_looked_up(norm_type, share):
    """By the embedding's own norm; rows at the limit to rounding are not clipped."""
    torch.manual_seed(0)
    look_up = nn.Embedding(9, 6, norm_type=norm_type)
    look_up.weight.data /= look_up.weight.data.norm(norm_type, 1, keepdim=True)
    look_up.weight.data[8] *= 100
    look_up.max_norm = share
    exact = ExactLoss(
        Calls(lambda m, ids: m.tok(ids).mean(1), tok=look_up),
        lambda m: m(IDS.clamp(max=7)).sin().sum(),
    )
    exact.mode.refuse_clipping = True
    try:
        exact.value(exact.start)
        clipped = False
    except ValueError as error:
        clipped = f"max_norm = {share:g}" in str(error)
    assert clipped is (share < 1)


@pytest.mark.parametrize(
    "table",
    [
        lambda: nn.EmbeddingBag(9, 6, mode="sum", scale_grad_by_freq=True),
        lambda: nn.EmbeddingBag(9, 6, mode="sum", sparse=True),
        lambda: nn.EmbeddingBag(9, 6, mode="mean", padding_idx=0),
        lambda: nn.Embedding(9, 6, scale_grad_by_freq=True),
        lambda: nn.Embedding(9, 6, sparse=True, padding_idx=0),
    ],
)
def test_the_gradient_of_a_table_is_the_derivative(table):
    torch.manual_seed(0)
    exact = ExactLoss(table(), lambda m: m(IDS).sin().sum())
    _, gradient = exact.gradient(exact.start)
    (w,) = exact.start.values()
    h = 1e-6 * torch.randn_like(w)
    ends = [exact.value({"weight": w + sign * h}) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 2 == pytest.approx((gradient["weight"] * h).sum().item(), rel=1e-6)


@pytest.mark.parametrize("n", [1, 5, 6])
def test_five_names_are_told_at_most(n):
    model = Scalars([1.0] * n)
    with pytest.raises(ValueError, match="is not the derivative") as refused:
        scale_invariance(model, lambda m: sum((p * p.detach()).sin().sum() for p in m.p))
    names = ", ".join(f"'p.{k}'" for k in range(min(n, 5)))
    assert f"the gradient of {names}{' and others' * (n > 5)} is not" in str(refused.value)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_a_loss_that_differs_is_told_as_it_came(size):
    calls = []

    def counted(m):
        calls.append(m)
        return (size * len(calls) + 0 * m.p[0]).sum()

    with pytest.raises(ValueError, match="switch dropout") as refused:
        scale_invariance(Scalars([1.0]), counted)
    assert f"loss: {size:.6g}, then {2 * size:.6g}; " in str(refused.value)


def test_a_loss_in_steps_depends_on_the_model_and_has_no_gradient():
    """Though some of the points lie on the step where the model is."""
    with pytest.raises(ValueError, match="loss has no gradient"):
        scale_invariance(Scalars([1.2]), lambda m: (m.p[0] > 1).double().sum())


@pytest.mark.parametrize("kind", [list, set, dict, OrderedDict])
def test_a_container_in_an_attribute_starts_each_pass_as_it_was(kind):
    def kept(m, x):
        size = len(m.kept)
        m.kept |= {size: 1} if isinstance(m.kept, dict) else {size}
        return m.a(x) * len(m.kept)

    def appended(m, x):
        m.kept.append(1.0)
        return m.a(x) * len(m.kept)

    model = Calls(appended if kind is list else kept, a=linear(6, 4))
    model.kept = kind()
    exact = ExactLoss(model, loss)
    assert len({exact.value(exact.start) for _ in range(3)}) == 1
    assert not len(model.kept)


def test_buffers_may_be_expanded_or_views_of_one_memory():
    """Nothing changes them: they need not be told apart."""
    torch.manual_seed(0)
    model = between(lambda m, z: layer_norm(z) * m.ones + m.left * m.right)
    plain = str(answer(between(lambda m, z: layer_norm(z), a=model.a, h=model.h)))
    both = torch.zeros(12).double()
    model.register_buffer("ones", torch.ones(1).double().expand(8))
    model.register_buffer("left", both[:8])
    model.register_buffer("right", both[4:])
    assert str(answer(model)) == plain


class Writes(nn.Module):
    def __init__(self, outside):
        super().__init__()
        self.inside = nn.Tanh()
        self.function = outside.copy_  # no tensor of the model

    def forward(self, x):
        return self.function(self.inside(x))


def test_the_innermost_module_that_runs_is_told():
    model = nn.Sequential(linear(6, 4), nn.Sequential(nn.Tanh(), Writes(torch.zeros(60, 4))))
    with pytest.raises(ValueError, match=r"^module '1\.1' writes into a torch\.float32"):
        scale_invariance(model, loss)
    outside = torch.zeros(60, 4)
    plain = nn.Sequential(linear(6, 4), nn.Sequential(nn.Tanh(), nn.Tanh()))
    with pytest.raises(ValueError, match=r"^the model or the loss writes into a torch\.float32"):
        scale_invariance(plain, lambda m: outside.copy_(m(INPUTS)).sum())


@pytest.mark.parametrize(
    "denominator",
    [
        lambda n: torch.add(n, 0.01, alpha=100),
        lambda n: torch.add(n, 0.01, alpha=-1),
        lambda n: n + -0.001,
        lambda n: n + 0.0,
        lambda n: n + 0.0101,
        lambda n: n - 0.001,
    ],
)
def test_what_is_no_small_number_that_is_added_stays(denominator):
    torch.manual_seed(0)
    model = between(lambda m, z: z / denominator(z.norm(dim=-1, keepdim=True)))
    exact = ExactLoss(model, loss)
    assert exact.value(exact.start) == pytest.approx(loss(model.double()).item(), rel=1e-12)
    assert exact.mode.guards == set()


def test_each_epsilon_is_noted_with_its_module():
    """Of several in one denominator the largest; one under a root, and a norm's, are certain."""
    torch.manual_seed(0)
    n = nn.Sequential(nn.LayerNorm(8, eps=1e-4), Calls(lambda m, z: z / (z.norm() ** 0.5 + 2e-3)))
    model = between(
        lambda m, z: (
            m.n(z) / ((z.norm() + 1e-3) + (z.abs().sum() + 1e-6)) / (z.norm() + 3e-3) ** 0.75
        ),
        n=n,
    )
    exact = ExactLoss(model, loss)
    exact.value(exact.start)
    assert exact.mode.guards == {
        (1e-4, "n.0", True), (2e-3, "n.1", False), (1e-3, "", False), (3e-3, "", True)
    }  # fmt: skip


def test_an_epsilon_guards_where_there_is_nothing():
    """A row of zeros is no row of nan."""
    torch.manual_seed(0)
    inputs = INPUTS.clone()
    inputs[3] = 0
    for norm in ("root", "viewed", "of two", "power"):
        model = between(lambda m, z, norm=norm: NORMS[norm](z, 1e-6))
        found = answer(model, lambda m: cross_entropy(m(inputs), LABELS))
        assert found.alone == {"a.weight": "whole tensor", "h.weight": "no"}


def test_what_is_complex_moves_in_both_parts():
    drawn = uniform(np.random.default_rng(0), torch.zeros(4000, dtype=torch.complex64))
    for part in (drawn.real, drawn.imag):
        assert part.abs().max() <= 1
        assert (part.mean().item(), part.std().item()) == pytest.approx((0, 3**-0.5), abs=0.05)
    assert abs((drawn.real * drawn.imag).mean()) < 0.02


def test_points_far_away_lie_on_both_sides():
    """By e⁴ to e⁷ along the largest power, by its share along the others."""
    model = Scalars([1.0, 1.0, 1.0])
    exact = ExactLoss(model, lambda m: sum(p.square().sum() for p in m.p))
    places = Places(exact, np.random.default_rng(0))
    far = [places.point(False, {"p.0": -2.0, "p.1": 1.0}).values for _ in range(30)]
    logs = np.array([[values[f"p.{k}"].log().item() for k in range(3)] for values in far])
    assert (abs(abs(logs[:, 0]) - 5.5) < 1.5 + 0.7).all()
    assert 5 < (logs[:, 0] > 0).sum() < 25
    assert (abs(logs[:, 1] + logs[:, 0] / 2) < 1.1).all()
    assert (abs(logs[:, 2]) < 0.7).all()


def tried(function, values):
    """Trials on a function of one number, at these values."""
    exact = ExactLoss(Scalars([values[0]]), lambda m: function(m.p[0]).sum())
    points = [point_at(exact, {"p.0": torch.tensor([v]).double()}) for v in values]
    return Trials(exact, points, np.random.default_rng(0))


@pytest.mark.parametrize("k", range(1, 6))
def test_a_parameter_is_tried_where_it_does_most(k):
    values = [1.0] * 6
    values[k] = 10.0
    trials = tried(lambda p: (p - 5).relu().square(), values)
    assert not trials.idle(["p.0"])
    assert not trials.free({"p.0": []})
    assert trials.slope_holds("p.0", 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda p: (p - 50).relu(),
        lambda p: (0.02 - p.abs()).relu(),
        lambda p: (p - 2).relu(),
        lambda p: (0.5 - p.abs()).relu(),
        lambda p: (-p).relu(),
        lambda p: torch.where(p.abs() > 90, torch.nan, 0 * p),
    ],
)
def test_what_holds_for_some_factors_only_is_not_free(function):
    """Large ones, small ones, from values of the other sign, or where the loss is no number."""
    assert not tried(function, [1.0] * 6).free({"p.0": []})


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda p: (p - 1).relu(), [0.8] * 3),
        (lambda p: (1 - p).relu(), [1.2] * 3),
        (lambda p: (p - 5).relu(), [1.0, 10, 1]),
        (lambda p: (p - 5).relu(), [1.0, 1, 10]),
    ],
)
def test_what_scales_together_is_tried_both_ways_at_three_points(function, values):
    assert not tried(function, values).jointly_free({"p.0": 1.0})
    assert tried(lambda p: p / p.abs(), values).jointly_free({"p.0": 1.0})


def test_where_the_loss_is_no_number_far_away_nothing_is_invariant():
    torch.manual_seed(0)
    model = Calls(None, w=matrix(3))

    def value(m):
        huge = (100 * (m.w.norm() - 50).relu()).exp()  # inf from 57 on
        return functional.normalize(m.w, dim=0).sin().sum() + (huge - huge)

    assert answer(model, value).alone == {"w": "no"}


def test_a_small_tensor_that_may_not_be_larger_stays_as_it_is():
    """It is tried at a larger size, unless there the loss is no number."""
    model = Scalars([1.0, 1e-6])
    exact = ExactLoss(model, lambda m: (m.p[0].sin() + (1 - (100 * m.p[1]).square()).sqrt()).sum())
    near = Places(exact, np.random.default_rng(0))
    for _ in range(20):
        values = near.point().values
        assert 0.5e-6 <= values["p.1"].item() <= 1.5e-6
        assert 0.5 <= values["p.0"].item() <= 1.5


@pytest.mark.parametrize("training", [True, False])
def test_a_copy_is_in_the_models_mode(training):
    inside = nn.Sequential(linear(6, 4), nn.BatchNorm1d(4)).train(training)
    for model in (inside, nn.DataParallel(inside), torch.compile(inside, backend="eager")):
        model.train(training)
        assert {module.training for module in private_copy(model).modules()} == {training}


def test_tensors_in_attributes_are_copied_in_float64():
    model = linear(6, 4)
    model.one = model.weight.sum(0)  # computed: torch does not copy it
    model.mean = torch.ones(3)
    copied = private_copy(model)
    assert not copied.one.requires_grad
    assert [copied.mean.dtype, copied.one.dtype, model.mean.dtype] == [
        torch.float64, torch.float64, torch.float32
    ]  # fmt: skip


def test_every_hook_on_gradients_stays_behind():
    model = nn.Sequential(linear(6, 4), nn.Tanh(), linear(4, 4))
    plain = ExactLoss(model, loss)
    model[1].register_full_backward_pre_hook(lambda _, after: (0 * after[0],))
    model[1].register_full_backward_hook(lambda _, before, after: (0 * before[0],))
    model[0].weight.register_hook(lambda g: 0 * g)
    hooked = ExactLoss(model, loss)
    for one, other in zip(
        *(each.gradient(each.start)[1].values() for each in (plain, hooked)), strict=True
    ):
        assert torch.equal(one, other)
        assert one.any()


@pytest.mark.parametrize(
    "held", [lambda t: t, lambda t: [t], lambda t: (1, t), lambda t: {"key": t}]
)
@pytest.mark.parametrize("at", ["", "0"])
def test_memory_that_an_attribute_shares_is_refused_by_its_name(held, at):
    model = nn.Sequential(nn.Sequential(linear(6, 4)))
    model.get_submodule(at).alias = held(model[0][0].weight.data)
    with pytest.raises(ValueError, match="share memory") as refused:
        private_copy(model)
    assert f"'0.0.weight' and '{at and at + '.'}alias' share memory" in str(refused.value)


class FullyShardedDataParallel(nn.Module):
    """Of the name by which torch's is known."""

    def __init__(self, inside):
        super().__init__()
        self.module = inside


def test_a_model_that_is_elsewhere_is_refused():
    with pytest.raises(
        ValueError, match=r"sharded \(FSDP\); ask of the model before it is wrapped"
    ):
        private_copy(FullyShardedDataParallel(linear(6, 4)))
    there = SimpleNamespace(is_meta=False, device=torch.device("mps"), layout=torch.strided)
    assert _missing(there) == (
        "is on mps, which has no float64; move the model and the loss's data to the CPU"
    )


def test_a_point_has_a_finite_gradient():
    """That of a root of zero is none, though the loss is a number."""
    model = Calls(None, v=nn.Parameter(torch.tensor([1.0, 0.2])))
    exact = ExactLoss(model, lambda m: (m.v + m.v.abs()).sqrt().sum())
    places = Places(exact, np.random.default_rng(0))
    slopes = [places.point(parts).slopes["v"] for parts in (True, False) for _ in range(20)]
    assert np.isfinite([(each.whole, each.size) for each in slopes]).all()
