"""Scale invariances: what is found holds for finite factors, what is not found does not, and bad losses are refused."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, gelu
from torch.nn.utils.parametrizations import weight_norm

from l2lib.invariance import _exact, scale_invariance

INPUTS = torch.randn(60, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
LABELS = torch.arange(60) % 4


def loss(model):
    return cross_entropy(model(INPUTS), LABELS)


def factor(model, powers, alpha):
    """Loss after scaling over the loss before, with every ε negligible."""
    model = _exact(model)
    before = loss(model).item()
    for name, k in powers.items():
        model.get_parameter(name).data *= alpha**k
    return loss(model).item() / before


def kinds(model):
    return [*scale_invariance(model, loss).alone.values()]


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
    found = scale_invariance(MODELS[name](), loss)
    assert [*found.alone.values()] == alone
    assert found.together == together


@settings(max_examples=40, deadline=None)
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
    found = scale_invariance(model, loss)
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
    found = scale_invariance(model, lambda m: sum((p - 0.75).relu().square().sum() for p in m.p))
    assert {*found.alone.values()} == {"no"}
    assert found.together == []


def test_every_point_is_near_the_parameters_and_another():
    """A third of their size away; as many points as a parameter needs, and one for each that is left."""
    model, seen = Scalars([100.0, -0.01, 0.0]), []

    def noted(m):
        seen.append([p.item() for p in m.p])
        return sum((p - k).square().sum() for k, p in enumerate(m.p, start=1))

    scale_invariance(model, noted)
    moved = torch.tensor(seen[2:])  # the first two calls ask for the loss as it is
    sizes = (moved - torch.tensor([100.0, -0.01, 0.0])) / torch.tensor([100.0, 0.01, 1.0])
    assert len({*map(tuple, seen[2:])}) == len(seen[2:]) == 5 + 3
    assert 0.2 < sizes.square().mean().sqrt() < 0.4
    assert abs(sizes).max() < 0.3 * 4


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_units_of_a_parameter_change_nothing(unit):
    """The same model, with its numbers in another unit."""
    model = Scalars([2 * unit, 3 * unit, 0.5 * unit, 7 * unit])

    def value(m):
        a, b, c, d = (p[0] / unit for p in m.p)
        return (a * b - 1).square() + c.sin() + 0 * d

    found = scale_invariance(model, value)
    assert [*found.alone.values()] == ["no", "no", "no", "no effect"]
    assert found.together == [{"p.0": 1, "p.1": -1}]


@pytest.mark.parametrize("power", [2, 3, 0.5, -4, 200, 0.005])
def test_exponents_are_not_whole_numbers_only(power):
    model = Scalars([2.0, 3.0])
    found = scale_invariance(model, lambda m: (m.p[0] * m.p[1].abs() ** power - 1).square().sum())
    (joint,) = found.together
    assert joint == pytest.approx({"p.0": 1, "p.1": -1 / power}, abs=1e-6)


def test_the_readers_random_numbers_are_left_alone():
    torch.manual_seed(7)
    model, state = MODELS["batch norm"](), torch.get_rng_state()
    scale_invariance(model, loss)
    assert torch.equal(torch.get_rng_state(), state)


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
    return [*scale_invariance(model, value).alone.values()]


def test_the_model_is_left_as_it_was():
    model = MODELS["batch norm"]()
    model[3].weight.requires_grad_(False)
    before = copy.deepcopy(model)
    scale_invariance(model, loss)
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
    found = str(scale_invariance(model, loss))
    assert str(scale_invariance(model.requires_grad_(False), loss)) == found


def test_stored_statistics_hide_no_scale():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    model(INPUTS.float())
    assert kinds(model.eval())[0] == "no"


@pytest.mark.parametrize(("eps", "kind"), [(1e-5, "whole tensor"), (torch.tensor(1e-5), "no")])
def test_epsilon_under_another_name(eps, kind):
    torch.manual_seed(0)
    assert kinds(nn.Sequential(linear(6, 5, False), Homemade(eps), linear(5, 4)))[0] == kind


def test_zero_parameters_are_moved():
    torch.manual_seed(0)
    model = MODELS["batch norm"]()
    nn.init.zeros_(model[3].weight)
    assert kinds(model) == ["each unit", "no effect", *["no"] * 4]


def test_what_is_tied_counts_once():
    torch.manual_seed(0)
    one = linear(6, 6, False)
    found = scale_invariance(
        nn.Sequential(one, nn.LayerNorm(6), one, nn.LayerNorm(6), linear(6, 4)), loss
    )
    assert found.alone["0.weight"] == "whole tensor"
    assert "2.weight" not in found.alone


def test_everything_invariant_leaves_nothing_together():
    torch.manual_seed(0)
    found = scale_invariance(
        nn.Sequential(linear(6, 4, False), nn.LayerNorm(4, elementwise_affine=False)), loss
    )
    assert found.alone == {"0.weight": "whole tensor"}
    assert found.together == []


def test_a_table_to_print():
    torch.manual_seed(0)
    lines = str(scale_invariance(MODELS["batch norm"](), loss)).splitlines()
    assert lines[:2] == ["0.weight  each unit", "0.bias    no effect"]
    assert lines[-1] == "together: 1.weight × α^1, 1.bias × α^1, 3.weight × α^-1"


def test_a_table_in_a_notebook():
    torch.manual_seed(0)
    rows = scale_invariance(MODELS["batch norm"](), loss)._repr_html_().splitlines()
    assert rows[1] == '<tr><th scope="col">parameter</th><th scope="col">scale-invariant</th></tr>'
    assert rows[3] == '<tr><th scope="row">0.weight</th><td>each unit</td></tr>'
    joint = "1.weight × α^1, 1.bias × α^1, 3.weight × α^-1"
    assert rows[-2] == f'<tr><th scope="row">together</th><td>{joint}</td></tr>'


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda model: cross_entropy(model(INPUTS.float()), LABELS), "inputs float64"),
        (lambda model: model(INPUTS), r"torch.float64 of shape \(60, 4\)"),
        (lambda model: loss(model).float(), "torch.float32"),
        (lambda model: loss(model).item(), "got float"),
        (lambda model: loss(model) * torch.nan, "one finite number"),
        (lambda model: INPUTS.sum(), "does not depend"),
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
