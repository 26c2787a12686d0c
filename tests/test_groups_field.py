"""Groups, roles and tables on what public questions brought: shared memory, frozen tensors, odd classes, other optimisers."""

import copy
import itertools
import math
import re
import types
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn, optim
from torch.nn.utils import parametrizations, parametrize

from l2lib._roles import short_names
from l2lib._rules import fits_class, fits_name
from l2lib._storages import shared
from l2lib.groups import COMMON_RULES, ROLES, ParamGroups, optional, param_groups, roles, table
from l2lib.tables import Table
from tests.refusals import refusal
from tests.test_groups import OPTIMIZERS, WITHOUT_DECAY, ZOO

LAM, LR = 0.25, 0.5
ON_ONE_MEMORY = "are two Parameters on one memory, which a step would change twice; make them one"


def module(**parameters):
    """A module of a class of its own, with these parameters."""
    made = type("Own", (nn.Module,), {})()
    for name, p in parameters.items():
        setattr(made, name, p if isinstance(p, nn.Parameter) else nn.Parameter(p))
    return made


def named(name, base=nn.Module, **parameters):
    """A class with a name that is given, and a module of it."""
    made = module(**parameters)
    made.__class__ = type(name, (base,), {"__module__": "elsewhere"})
    return made


# ---- A: the table says what a step does ---------------------------------------------------
def loaded():
    """An embedding and a head that were tied, after load_state_dict(assign=True)."""
    tied = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    tied[1].weight = tied[0].weight
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model.load_state_dict(tied.state_dict(), assign=True)
    return model


def by_data():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model[1].weight.data = model[0].weight.data
    return model


def by_view():
    fused = torch.zeros(6, 4)
    return module(q=nn.Parameter(fused[:4]), k=nn.Parameter(fused[3:]))


def by_transpose():
    base = nn.Linear(4, 6, bias=False)
    return nn.ModuleDict({"a": base, "b": module(t=nn.Parameter(base.weight.data.T))})


@pytest.mark.parametrize("make", [loaded, by_data, by_view, by_transpose])
def test_two_parameters_on_one_memory_are_refused(make):
    model = make()
    rules = {"Own": "weight"} if make in (by_view, by_transpose) else None
    with pytest.raises(ValueError, match=ON_ONE_MEMORY):
        param_groups(model, LAM, rules=rules)
    for groups in (
        optim.SGD(model.parameters(), lr=LR),
        [{"params": [*model.parameters()], "weight_decay": 1}],
    ):
        with pytest.raises(ValueError, match=ON_ONE_MEMORY):
            table(model, groups, rules=rules)
    first, *others = model.parameters()
    first.requires_grad_(False)  # a step changes it none the less
    with pytest.raises(ValueError, match=ON_ONE_MEMORY):
        param_groups(model, LAM, rules=rules)
    for other in others:
        other.requires_grad_(False)
    frozen = {name for name, _ in model.named_parameters()}
    assert shared(dict(model.named_parameters()), frozen) is None  # nothing changes these
    assert param_groups(model, LAM, rules=rules) == []


def test_slices_of_one_matrix_that_share_nothing_are_two_tensors():
    fused = torch.zeros(4, 6)
    model = module(
        q=nn.Parameter(fused[:, :3]), k=nn.Parameter(fused[:, 3:]), v=nn.Parameter(torch.zeros(0))
    )
    assert shared(dict(model.named_parameters())) is None
    (group,) = param_groups(model, LAM, rules={"Own": "weight"})
    assert group["names"] == ["q", "k", "v"]
    assert shared({"a": torch.zeros(3), "b": torch.zeros(3)}) is None
    assert shared({"a": torch.zeros(3, device="meta"), "b": torch.zeros(3, device="meta")}) is None


def test_numbers_of_different_formats_may_share_memory_too():
    base = torch.zeros(6, 4)
    pairs = base.view(6, 2, 2)
    views = {
        "complex": torch.view_as_complex(pairs)[:, :1],  # columns 0 and 1
        "halves": base.view(torch.float16)[:, 2:4],  # column 1
        "right": base[:, 2:],
    }
    assert {*(shared(views) or ())} == {"complex", "halves"}
    assert shared({name: views[name] for name in ("complex", "right")}) is None
    assert shared({name: views[name] for name in ("halves", "right")}) is None
    model = module(z=nn.Parameter(views["complex"]), h=nn.Parameter(views["halves"]))
    with pytest.raises(ValueError, match=ON_ONE_MEMORY):
        param_groups(model, LAM, rules={"Own": "weight"})


def test_a_number_that_is_shown_many_times_is_one():
    one = torch.zeros(4)
    views = {"many": one[:1].expand(3, 2), "other": one[1:], "same": one[:2]}
    assert shared({name: views[name] for name in ("many", "other")}) is None
    assert "same" in (shared(views) or ())


@given(st.data())
def test_shared_finds_exactly_the_views_that_have_a_number_in_common(data):
    base = torch.arange(24).reshape(4, 6)
    cut = st.tuples(
        st.integers(0, 3),
        st.integers(1, 4),
        st.integers(0, 5),
        st.integers(1, 6),
        st.integers(1, 2),
    )
    views = {}
    for name in data.draw(st.sampled_from(["ab", "abc"])):
        r, rows, c, columns, step = data.draw(cut)
        views[name] = base[r : r + rows, c : c + columns : step]
    numbers = {name: {*v.flatten().tolist()} for name, v in views.items()}
    pairs = [
        pair for pair in itertools.combinations(views, 2) if numbers[pair[0]] & numbers[pair[1]]
    ]
    found = shared(views)
    assert (found is None) == (not pairs)
    assert found is None or tuple(sorted(found)) in pairs


def test_an_optimiser_that_holds_copies_or_views_is_refused():
    model = nn.Linear(3, 2)
    old = optim.SGD(model.parameters(), lr=LR)
    model.load_state_dict(copy.deepcopy(model).state_dict(), assign=True)
    with pytest.raises(
        ValueError, match=r"none of their tensors is one of the model's .*make the optimiser after"
    ):
        table(model, old)
    with pytest.raises(ValueError, match=r"none of their tensors is one of the model's"):
        table(model, optim.AdamW(copy.deepcopy(model).parameters()))
    flat = optim.SGD([nn.Parameter(model.weight.data.view(-1)), model.bias], lr=LR)
    with pytest.raises(ValueError, match=ON_ONE_MEMORY):
        table(model, flat)


def test_what_the_optimiser_holds_besides_is_told():
    model, other = nn.Linear(3, 2), nn.Linear(2, 2)
    optimizer = optim.SGD([*model.parameters(), *other.parameters()], lr=LR, weight_decay=0.1)
    assert str(table(model, optimizer)).splitlines()[-2:] == [
        "total                         2              8",
        "elsewhere          0.1        2              6  not in this model",
    ]


@given(
    states=st.lists(
        st.sampled_from(["gradient", "none", "frozen", "frozen with gradient"]),
        min_size=3,
        max_size=3,
    ),
    decays=st.lists(st.sampled_from([0.0, 0.25]), min_size=3, max_size=3),
    rate=st.sampled_from([0.0, 0.5]),
    kind=st.sampled_from([optim.SGD, optim.AdamW, optim.Adam, optim.RMSprop]),
)
@settings(max_examples=60)
def test_the_table_agrees_with_a_step_whose_gradients_are_zero(states, decays, rate, kind):
    layers = [nn.Linear(2, 2, bias=False) for _ in states]
    model = nn.Sequential(*layers)
    groups = [
        {"params": [each.weight], "weight_decay": d} for each, d in zip(layers, decays, strict=True)
    ]
    optimizer = kind(groups, lr=rate)
    for layer, state in zip(layers, states, strict=True):
        layer.weight.data.fill_(1)
        layer.requires_grad_("frozen" not in state)
        layer.weight.grad = torch.zeros(2, 2) if "gradient" in state else None
    text = str(table(model, optimizer))
    optimizer.step()
    for i, layer in enumerate(layers):
        alone = str(table(nn.Sequential(layer), optimizer)).splitlines()[1].split()
        said = " ".join(alone[1:-3])
        says_decay = "(" not in said and float(said) > 0
        # Before the first backward pass each is taken to get a gradient.
        if any("gradient" in s for s in states) and layer.weight.grad is not None:
            assert says_decay == bool((layer.weight != 1).any()), (text, i)
        elif any("gradient" in s for s in states) or "frozen" in states[i]:
            assert (layer.weight == 1).all()
    assert text.count("frozen (") >= bool("frozen" in states)


@pytest.mark.parametrize(("kind", "sizes", "options", "_"), ZOO, ids=[row[0] for row in ZOO])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_every_module_of_torch_shrinks_as_its_table_says(kind, sizes, options, _):
    """Each role at a λ of its own: one step with gradients of zero takes from each tensor what the table says, once."""
    if not hasattr(nn, kind):
        pytest.skip(f"this torch has no nn.{kind}")
    model = getattr(nn, kind)(*sizes, **options).double()
    decays = {role: 0.5 / (i + 1) for i, role in enumerate(ROLES)}
    optimizer = optim.SGD(param_groups(model, 1.0, decay_factors=decays), lr=LR)
    for p in model.parameters():
        p.data.fill_(1)
        p.grad = torch.zeros_like(p)
    told = {row[0]: float(row[1]) for row in table(model, optimizer).rows[:-1]}
    optimizer.step()
    for name, role in roles(model).items():
        left = model.get_parameter(name).unique().tolist()
        assert left == [pytest.approx(1 - LR * told[role], abs=1e-6)], name


@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - WITHOUT_DECAY - {"ASGD", "Muon"}))
def test_what_has_no_gradient_is_left_alone_by_every_optimiser(name):
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    optimizer = OPTIMIZERS[name](model.parameters(), lr=0.1, weight_decay=LAM)
    for layer in model:
        layer.weight.data.fill_(1)
    model[0].weight.grad = torch.zeros(2, 2)
    assert [row[1] for row in table(model, optimizer).rows] == ["0.25", "no gradient (0.25)", ""]
    optimizer.step()
    assert (model[0].weight < 1).all()
    assert (model[1].weight == 1).all()


def test_frozen_and_never_reached_tensors_do_not_show_as_decaying():
    model = nn.Sequential(
        nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    )
    optimizer = optim.AdamW(model.parameters(), lr=LR, weight_decay=0.1)
    model[1].requires_grad_(False)
    model[0](torch.ones(1, 2)).sum().backward()  # the last is not reached
    assert str(table(model, optimizer)).splitlines()[1:-1] == [
        "weight                  0.1        1              4  0.weight",
        "weight         frozen (0.1)        1              4  1.weight",
        "weight    no gradient (0.1)        1              4  2.weight",
    ]
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert [bool((p != b).any()) for p, b in zip(model.parameters(), before, strict=True)] == [
        True,
        False,
        False,
    ]


def test_a_gradient_left_on_a_frozen_tensor_still_moves_it():
    model = nn.Linear(2, 2, bias=False)
    model(torch.ones(1, 2)).sum().backward()
    model.requires_grad_(False)
    assert "weight             0.1" in str(
        table(model, optim.SGD(model.parameters(), lr=LR, weight_decay=0.1))
    )


def test_a_group_that_does_not_move_is_told_unless_a_schedule_will_move_it():
    model = nn.Linear(2, 2, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=0.0, weight_decay=0.1)
    assert "0.1 (lr 0)" in str(table(model, optimizer))
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=0.1)
    optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    assert optimizer.param_groups[0]["lr"] == 0
    assert "(lr 0)" not in str(table(model, optimizer))


def test_a_head_without_a_module_needs_a_rule_to_be_a_weight():
    tok = nn.Embedding(5, 3)
    without, tied = (
        nn.ModuleDict({"tok": tok}),
        nn.ModuleDict({"tok": tok, "head": nn.Linear(3, 5, bias=False)}),
    )
    tied["head"].weight = tok.weight
    assert roles(without) == {"tok.weight": "embedding"}
    assert roles(without, rules={"tok.weight": "weight"}) == roles(tied) == {"tok.weight": "weight"}


def test_numbers_of_tensors_that_are_cut_up_or_packed():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    groups = param_groups(model, LAM)
    for layer in model:
        layer.weight.data = torch.empty(0)
    model[0].weight.ds_numel = 16  # ZeRO-3
    model[1].weight.quant_state = types.SimpleNamespace(shape=torch.Size([4, 4]))  # bitsandbytes
    assert str(table(model, groups)).splitlines()[-1].split() == ["total", "2", "32"]


def test_parameters_are_taken_as_torch_takes_them_and_never_used_up():
    model = nn.Linear(3, 2)
    lone = [
        {"params": model.weight, "weight_decay": 0.1},
        {"params": [("bias", model.bias)], "weight_decay": 0},
    ]
    assert "weight             0.1        1              6  weight" in str(table(model, lone))
    generators = [{"params": (p for p in [model.weight]), "weight_decay": 0.1}]
    with pytest.raises(
        ValueError, match="group 0: params is a generator, which reading uses up; give a list"
    ):
        table(model, generators)
    assert len([*generators[0]["params"]]) == 1
    for wrong, words in [
        (model.parameters(), "groups is a generator; give an optimiser, or a list of dictionaries"),
        ([model.weight], 'each group must be a dictionary with "params"'),
        ([{"params": {model.weight}, "weight_decay": 0}], "params is a set; give a list"),
        (None, "groups is a NoneType"),
        (
            [{"params": [model.weight, model.weight], "weight_decay": 0}],
            r"a tensor of shape \(2, 3\) is there twice",
        ),
        (
            [{"params": [model.weight], "weight_decay": "0.1"}],
            "weight_decay is '0.1'; it must be a finite number",
        ),
        (
            [{"params": [model.weight]}],
            "group 0 has no weight_decay; give the optimiser itself, whose default",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            table(model, wrong)


# ---- B: roles are never guessed ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("base", "sizes", "name"),
    [(nn.LSTMCell, (3, 4), "ln_weight"), (nn.LSTMCell, (3, 4), "bias_scale"), (nn.GRU, (3, 4), "weight_scale"),
     (nn.RNN, (3, 4), "weight_gate"), (nn.MultiheadAttention, (4, 2), "gate_weight"),
     (nn.MultiheadAttention, (4, 2), "rel_pos_bias"), (nn.Conv2d, (3, 3, 1), "weight_alpha"),
     (nn.LayerNorm, (4,), "weight_2"), (nn.Embedding, (5, 4), "weight_pos")],
)  # fmt: skip
def test_what_a_subclass_of_torchs_classes_adds_is_refused(base, sizes, name):
    cell = type("Cell", (base,), {})(*sizes)
    known = roles(cell)
    setattr(cell, name, nn.Parameter(torch.ones(4)))
    with pytest.raises(ValueError, match=f'\n    "{name}": ROLE  # for {name}$'):
        roles(cell)
    assert roles(cell, rules={name: "slope"}) == known | {name: "slope"}


def test_a_pattern_that_would_touch_what_has_a_role_is_not_offered():
    model = nn.Sequential(
        named("A", scale=torch.ones(2), shift=torch.ones(2)), named("B", scale=torch.ones(2))
    )
    with pytest.raises(ValueError, match="no rule covers all parameters") as error:
        roles(model, rules={"B": "gamma"})
    assert {*pasted(error)} == {"0.scale", "*.shift"}
    after = roles(model, rules={"B": "gamma"} | pasted(error))
    assert after == {"0.scale": "slope", "0.shift": "slope", "1.scale": "gamma"}


TORCHS = {
    nn.Linear: {"weight": "weight", "bias": "bias"},
    nn.LayerNorm: {"weight": "gamma", "bias": "beta"},
    nn.Embedding: {"weight": "embedding"},
}


def pasted(error, role="slope"):
    """The rules that an error offers, each with a role."""
    lines = [line.split("  #")[0].strip() for line in str(error.value).splitlines()[1:]]
    return {line.split('"')[1]: role for line in lines}


LORA = {"lora_A": torch.ones(2, 9), "lora_B": torch.ones(4, 2)}


def shadowed():
    lora = named("Embedding", nn.Embedding, weight=torch.ones(9, 4), **LORA)
    return nn.Sequential(lora, nn.Embedding(5, 4))


def shadowed_alone():
    return nn.Sequential(
        named("LayerNorm", a=torch.ones(3)),
        nn.LayerNorm(3),
        named("Linear", w=torch.ones(2, 2)),
        nn.Linear(2, 2),
    )


def two_of_one_name():
    return nn.Sequential(named("Norm", scale=torch.ones(2)), named("Norm", shift=torch.ones(2)))


def lists():
    held = nn.ModuleDict(
        {"a": nn.ParameterList([torch.ones(2)] * 2), "b": nn.ParameterList([torch.ones(2)])}
    )
    return nn.ModuleDict({"x": held, "y": nn.ParameterDict({"k": torch.ones(2)})})


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))


def tied_to_a_stranger():
    model = nn.Sequential(nn.Embedding(4, 4), named("Head", w=torch.ones(4, 4)), nn.Linear(4, 4))
    model[1].w = model[0].weight
    return model


@pytest.mark.parametrize(
    "make", [shadowed, shadowed_alone, two_of_one_name, lists, tied_to_a_stranger]
)
def test_the_lines_that_an_error_offers_give_the_role_to_what_had_none_and_to_nothing_else(make):
    model = make()
    with pytest.raises(ValueError, match="no rule covers all parameters") as error:
        roles(model)
    found = roles(
        model, rules=pasted(error, "weight")
    )  # which comes first of a tied tensor's roles
    for name in found:
        path, _, own = name.rpartition(".")
        owner = model.get_submodule(path)
        base = next((cls for cls in TORCHS if isinstance(owner, cls)), None)
        tied = make is tied_to_a_stranger and name == "0.weight"
        covered = base is not None and own in ("weight", "bias") and not tied
        assert found[name] == (TORCHS[base][own] if covered else "weight"), name


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_scripted_model_is_known_by_the_classes_that_it_had():
    with pytest.raises(ValueError, match="no rule covers") as error:
        roles(scripted())
    assert {*pasted(error)} == {"Linear", "LayerNorm"}
    assert {*roles(scripted(), rules={"Linear": "weight", "LayerNorm": "gamma"}).values()} == {
        "weight", "bias", "gamma", "beta"}  # fmt: skip


def test_a_class_name_that_is_torchs_and_anothers_must_be_written_in_full():
    model = nn.Sequential(named("Linear", w=torch.ones(2, 2)), nn.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"'Linear' fits elsewhere\.Linear and torch\.nn\..*Linear; write the one"
    ):
        roles(model, rules={"Linear": "other"})
    assert roles(model, rules={"elsewhere.Linear": "other"}) == {
        "0.w": "other", "1.weight": "weight", "1.bias": "bias"}  # fmt: skip
    assert roles(model, rules={"Linear": "weight"})["0.w"] == "weight"  # what torch's has anyway


@pytest.mark.parametrize("name", ["rel_pos_bias", "bias_scale", "bias_table", "b_table", "bias"])
@pytest.mark.parametrize("role", ["embedding", "slope", "other", "g"])
def test_a_rule_for_another_role_than_weight_or_gamma_is_not_overridden_by_a_name(name, role):
    model = named("RelPosBias", **{name: torch.ones(3, 3)})
    assert roles(model, rules={"RelPosBias": role}) == {name: role}


@pytest.mark.parametrize(
    "name", ["b_down", "wi_0_bias", "dt_bias", "bias_scale", "b", "qkv_b", "beta_"]
)
@pytest.mark.parametrize("role", ["weight", "gamma"])
def test_a_name_that_may_be_a_bias_in_a_class_of_weights_needs_a_rule_of_its_own(name, role):
    model = nn.Sequential(named("Experts", w=torch.ones(2, 3, 3), **{name: torch.ones(2, 3)}))
    with pytest.raises(ValueError, match=rf'"\*\.{name}": ROLE  # for 0\.{name}$'):
        roles(model, rules={"Experts": role})
    assert roles(model, rules={"Experts": role, f"*.{name}": "bias"}) == {
        "0.w": role,
        f"0.{name}": "bias",
    }


def test_bias_and_beta_by_these_names_are_known_beside_gamma():
    for name in ("bias", "beta"):
        model = named("Norm", gamma=torch.ones(2), **{name: torch.zeros(2)})
        assert roles(model, rules={"Norm": "gamma"}) == {"gamma": "gamma", name: "beta"}


def test_a_table_called_bias_that_is_all_a_class_has_is_refused():
    with pytest.raises(ValueError, match=r'"RelPos": ROLE  # for bias$'):
        roles(named("RelPos", bias=torch.ones(3, 3)))
    assert roles(named("Shift", bias=torch.ones(3))) == {"bias": "bias"}
    assert roles(named("Shift", bias=torch.ones(1, 3, 1, 1))) == {"bias": "bias"}


@pytest.mark.parametrize(
    ("key", "attribute", "cls"),
    [
        ("*LayerNorm*", "LayerNorm", "BertLayerNorm"),
        ("*Norm*", "FinalNorm", "MyNorm"),
        ("*scale*", "scale", "scale_layer"),
    ],
)
def test_a_pattern_that_fits_a_class_and_names_is_refused_where_it_matters(key, attribute, cls):
    model = nn.ModuleDict({attribute: named(cls, weight=torch.ones(2), bias=torch.zeros(2))})
    with pytest.raises(
        ValueError,
        match=r"fits names and classes, as a name it makes .*bias 'gamma', as a class 'beta'",
    ):
        roles(model, rules={key: "gamma"})
    assert roles(model, rules={cls: "gamma"}) == {
        f"{attribute}.weight": "gamma",
        f"{attribute}.bias": "beta",
    }


# ---- common and optional rules ---------------------------------------------------------------------
def vit():
    return nn.ModuleDict({
        "patch": module(cls_token=torch.ones(1, 1, 4), pos_embed=torch.ones(1, 5, 4)),
        "norm": named("LlamaRMSNorm", weight=torch.ones(4)),
        "old": named("BertLayerNorm", gamma=torch.ones(4), beta=torch.zeros(4)),
        "attn": named("Conv1D", weight=torch.ones(4, 4), bias=torch.zeros(4)),
        "scale": named("LayerScale", lambda1=torch.ones(4)),
        "pos_embed": nn.Sequential(nn.Linear(4, 4)),  # a matrix, whatever it is called
    })  # fmt: skip


def test_common_rules_cover_what_most_models_bring_and_say_what_they_assumed():
    with pytest.warns(
        UserWarning, match=r"common rules assumed\n(.*\n)*  gamma: norm\.weight, old\.gamma"
    ) as told:
        found = roles(vit(), rules="common")
    assert len(told) == 1
    assert found == {
        "patch.cls_token": "embedding", "patch.pos_embed": "embedding", "norm.weight": "gamma",
        "old.gamma": "gamma", "old.beta": "beta", "attn.weight": "weight", "attn.bias": "bias",
        "scale.lambda1": "gamma", "pos_embed.0.weight": "weight", "pos_embed.0.bias": "bias",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:common rules assumed")
def test_a_readers_rule_wins_over_a_common_one_and_torchs_classes_too():
    mine = roles(vit(), rules={**COMMON_RULES, "Own": "other", "LayerScale": "slope"})
    assert {mine["patch.cls_token"], mine["scale.lambda1"]} == {"other", "slope"}
    assert mine["norm.weight"] == "gamma"


def test_common_rules_say_nothing_where_none_was_needed(recwarn):
    roles(nn.Linear(2, 2), rules="common")
    assert not recwarn.list


@pytest.mark.parametrize("key", ["*.cls_token", "RMSNorm", nn.Conv2d])
def test_an_optional_rule_may_fit_nothing(key):
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="nothing fits"):
        roles(model, rules={key: "other"})
    assert roles(model, rules={optional(key): "other"}) == roles(model)
    assert roles(nn.Conv2d(1, 1, 1), rules={optional(nn.Conv2d): "other"})["weight"] == "other"


def test_an_optional_class_is_that_class_and_no_other_of_its_name():
    ours, theirs = (
        type("Gate", (nn.Module,), {"__module__": module}) for module in ("ours", "theirs")
    )
    model = nn.Sequential(ours(), theirs())
    for gate in model:
        gate.factor = nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match="no rule covers") as refused:
        roles(model, rules={optional(ours): "gamma"})
    assert "1.factor" in str(refused.value)
    assert "0.factor" not in str(refused.value)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("comon", "rules is 'comon'; give a dictionary"),
        (["Norm"], "rules is"),
        ({3: "bias"}, r"rules: \[3\] must be classes"),
    ],
)
def test_rules_that_are_none_are_refused(rules, words):
    with pytest.raises(ValueError, match=words):
        roles(nn.Linear(2, 2), rules=rules)


# ---- learning rates by pattern ----------------------------------------------------------------------
def test_layers_have_learning_rates_of_their_own():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    groups = param_groups(model, LAM, lr=1.0, lr_factors={"0.*": 0.1, "*.bias": 0.5, "gamma": 3})
    assert {name: g["lr"] for g in groups for name in g["names"]} == {
        "0.weight": 0.1, "0.bias": pytest.approx(0.05), "1.weight": 3, "1.bias": 0.5, "2.weight": 1, "2.bias": 0.5}  # fmt: skip
    assert {name: g["weight_decay"] for g in groups for name in g["names"] if g["weight_decay"]} == {
        "0.weight": LAM, "2.weight": LAM}  # fmt: skip
    assert str(groups).splitlines()[0] == "6 groups: role, weight_decay, lr, tensors, names"
    model.double()
    for p in model.parameters():
        p.data.fill_(1)
        p.grad = torch.zeros_like(p)
    optim.AdamW(groups).step()
    assert model[0].weight.unique().tolist() == [1 - 0.1 * LAM]
    assert model[2].weight.unique().tolist() == [1 - LAM]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"lr_factors": {"0.*": 1}}, "lr_factors multiply a learning rate; give lr= as well"),
     ({"lr": 1, "lr_factors": {"9.*": 1}}, r"lr_factors: nothing fits \['9\.\*'\]"),
     ({"lr": 1, "lr_factors": {"0.*": -1}}, "must be finite numbers ≥ 0"),
     ({"lr": "1e-3"}, "lr is '1e-3'; the learning rate must be a finite number ≥ 0 .YAML reads 1e-4 as text"),
     ({"lr": torch.inf}, "lr is inf"),
     ({"lr": True}, "lr is True"),
     ({"decay_factors": {"weight": "1.0"}}, r"decay_factors: {'weight': '1.0'} must be finite .* .YAML reads"),
     ({"decay_factors": {"weight": None}}, r"decay_factors: {'weight': None} must be finite"),
     ({"decay_factors": {"weight": 1, "bias": 0, "*.bias": 0.5}}, r"nothing whose role decays fits \['\*\.bias'\]"),
     ({"decay_factors": ["weight"]}, r"decay_factors is \['weight'\]; give a dictionary"),
     ({"weight_decay": None}, "weight_decay is None; λ must be a finite number"),
     ({"weight_decay": "1e-4"}, "weight_decay is '1e-4'; λ must be a finite number")],
)  # fmt: skip
def test_odd_numbers_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        param_groups(nn.Sequential(nn.Linear(2, 2)), **{"weight_decay": LAM} | arguments)


# ---- E: optimisers of all kinds ------------------------------------------------------------------------
def test_a_group_can_be_added_later_without_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = optim.AdamW(param_groups(model[0], LAM))
    optimizer.add_param_group({"params": [*model[1].parameters()], "weight_decay": 0.5})
    assert "weight             0.5" in str(table(model, optimizer))


class PerGroup(optim.Optimizer):
    """Reads λ from its groups only, and decays what has no gradient."""

    def __init__(self, groups):
        super().__init__(groups, {})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.mul_(1 - LR * group["weight_decay"])


class Plain(optim.Optimizer):
    """Has no decay."""

    def __init__(self, params):
        super().__init__(params, {"lr": 1.0})


class Renamed(Plain):
    def __init__(self, params):
        optim.Optimizer.__init__(self, params, {"weight_decay_rate": 0.1})


class Wrapper:
    """No torch optimiser, but holds one."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    @property
    def param_groups(self):
        return self.optimizer.param_groups


def test_an_optimiser_that_reads_its_groups_only():
    model = nn.Linear(2, 2)
    optimizer = PerGroup(param_groups(model, LAM))
    assert "weight            0.25" in str(table(model, optimizer))
    with pytest.raises(ValueError, match="group 0 has no weight_decay; set it"):
        table(model, PerGroup([{"params": [*model.parameters()]}]))


@pytest.mark.parametrize("wrap", [lambda o: o, Wrapper, lambda o: Wrapper(Wrapper(o))])
def test_optimisers_without_a_weight_decay_or_with_another_are_refused(wrap):
    model = nn.Linear(2, 2)
    with pytest.raises(
        ValueError,
        match="Plain has no weight_decay among its defaults, and its code does not name it",
    ):
        table(model, wrap(Plain(param_groups(model, LAM))))
    with pytest.raises(ValueError, match="Renamed decays by 'weight_decay_rate', which a table"):
        table(model, wrap(Renamed(param_groups(model, LAM))))
    with pytest.raises(ValueError, match="Rprop ignores weight_decay"):
        table(model, wrap(optim.Rprop(param_groups(model, LAM))))
    with pytest.raises(ValueError, match="ASGD shrinks everything by a lambd"):
        table(model, wrap(optim.ASGD([{"params": [*model.parameters()], "lambd": 0.1}], lambd=0)))
    assert "weight            0.25" in str(
        table(model, wrap(optim.AdamW(param_groups(model, LAM))))
    )


class Filtered(nn.Sequential):
    """Names the parameters of its head only, as some do to freeze the rest."""

    def named_parameters(self, *arguments, **options):
        return (
            (name, p)
            for name, p in super().named_parameters(*arguments, **options)
            if name.startswith("1")
        )


class Prefixed(nn.Sequential):
    def named_parameters(self, *arguments, **options):
        return ((f"net.{name}", p) for name, p in super().named_parameters(*arguments, **options))


class OwnNames(nn.Linear):
    """A layer whose method takes no options."""

    def named_parameters(self):
        return iter([("weight", self.weight)])


def test_a_model_that_names_its_parameters_itself():
    model = Filtered(nn.Linear(2, 2), nn.Linear(2, 2))
    groups = param_groups(model, LAM)
    assert sorted(name for g in groups for name in g["names"]) == ["1.bias", "1.weight"]
    assert "weight        no group        1              4  0.weight" in str(table(model, groups))
    model = Prefixed(nn.Linear(2, 2))
    assert roles(model) == {"net.0.weight": "weight", "net.0.bias": "bias"}
    assert roles(nn.Sequential(OwnNames(2, 2))) == {"0.weight": "weight", "0.bias": "bias"}


def test_weight_norm_of_a_filtered_model_still_has_its_roles():
    model = Filtered(nn.Linear(2, 2), parametrizations.weight_norm(nn.Linear(2, 2)))
    assert roles(model)["1.parametrizations.weight.original0"] == "g"


# ---- promises about every factor, limit and word ---------------------------------------------
BY_ROLE = st.dictionaries(st.sampled_from(ROLES), st.sampled_from([0, 0.5, 2.0]))
BY_NAME = st.dictionaries(st.sampled_from(["*", "*s", "w*t", "*eight"]), st.sampled_from([0, 3.0]))
WITH_NAMES_OF_ROLES = {
    "linear": (lambda: nn.Linear(2, 2), None),
    "norm": (lambda: nn.LayerNorm(2), None),  # whose "weight" is a gamma
    "own": (lambda: module(weight=torch.ones(2), slope=torch.ones(2)), {"Own": "embedding"}),
}


@given(
    which=st.sampled_from([*WITH_NAMES_OF_ROLES]),
    lr=st.sampled_from([None, 0, 0.0, 0.5]),
    of_decay=st.tuples(BY_ROLE, BY_NAME),
    of_rate=st.tuples(BY_ROLE, BY_NAME),
    frozen=st.booleans(),
)
@example(
    which="linear",
    lr=0,
    of_decay=({"weight": 0.5}, {}),
    of_rate=({"bias": 0.5}, {}),
    frozen=False,
)
@example(
    which="linear",
    lr=0.5,
    of_decay=({"bias": 2.0}, {"*s": 3.0}),
    of_rate=({"bias": 0.5}, {"*": 3.0}),
    frozen=False,
)
@example(
    which="norm",
    lr=0.5,
    of_decay=({"weight": 1.0, "gamma": 0.5}, {}),
    of_rate=({"weight": 2.0}, {}),
    frozen=False,
)
@example(
    which="own",
    lr=0.5,
    of_decay=({"embedding": 1.0}, {"*eight": 3.0}),
    of_rate=({}, {"w*t": 3.0}),
    frozen=True,
)
def test_each_parameter_has_the_rate_and_the_decay_that_its_factors_give(
    which, lr, of_decay, of_rate, frozen
):
    """Also where it is called like a role, is frozen, and where a number is zero."""
    make, rules = WITH_NAMES_OF_ROLES[which]
    model = make()
    next(iter(model.parameters())).requires_grad_(not frozen)
    role = roles(model, rules=rules)

    def factor(name, unnamed, by_role, by_name):
        fits = {
            "*": True,
            "*s": name[-1] == "s",
            "w*t": name == "weight",
            "*eight": name == "weight",
        }
        return by_role.get(role[name], unnamed) * math.prod(
            f for g, f in by_name.items() if fits[g]
        )

    def fitting(names, globs):
        some = names and any(n == "weight" for n in names)
        held = {"*": names, "*s": any(n[-1] == "s" for n in names), "w*t": some, "*eight": some}
        return {g: f for g, f in globs.items() if held[g]}

    decaying = [name for name in role if of_decay[0].get(role[name])]
    of_decay = of_decay[0], fitting(decaying, of_decay[1])
    of_rate = ({}, {}) if lr is None else (of_rate[0], fitting([*role], of_rate[1]))
    options = {"decay_factors": of_decay[0] | of_decay[1], "lr_factors": of_rate[0] | of_rate[1]}
    made = []
    refused = refusal(lambda: made.append(param_groups(model, LAM, lr=lr, rules=rules, **options)))
    assert refused == ""
    (groups,) = made
    assert groups.roles == role
    found = {name: group for group in groups for name in group["names"]}
    assert {*found} == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, group in found.items():
        assert group["weight_decay"] == pytest.approx(LAM * factor(name, 0, *of_decay))
        assert ("lr" in group) == (lr is not None)
        assert lr is None or group["lr"] == pytest.approx(lr * factor(name, 1, *of_rate))
    distinct = {(g["role"], g["weight_decay"], g.get("lr")) for g in groups}
    assert len(distinct) == len(groups)


ROLE_NAMES = "weight, embedding, bias, gamma, beta, g, slope, other"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"decay_factors": {"weight": 1, "b*": 1, "a*": 1}},
            "decay_factors: nothing whose role decays fits ['a*', 'b*']; "
            f"roles are {ROLE_NAMES} (0 if not named), names N.weight (2)",  # what decays
        ),
        (
            {"lr": 1, "lr_factors": {"b*": 1, "a*": 1}},
            "lr_factors: nothing fits ['a*', 'b*']; "
            f"roles are {ROLE_NAMES}, names N.weight (2), N.bias (2)",
        ),
        (
            {"decay_factors": {"bias": -1}},
            "decay_factors: {'bias': -1} must be finite numbers ≥ 0",
        ),
        (
            {"lr": 1, "lr_factors": {"bias": -1, "gamma": "1e-4", "g": 1}},
            "lr_factors: {'bias': -1, 'gamma': '1e-4'} must be finite numbers ≥ 0"
            " (YAML reads 1e-4 as text, and 1.0e-4 as a number)",
        ),
        ({"lr": -1}, "lr is -1; the learning rate must be a finite number ≥ 0"),
        (
            {"lr_factors": ["bias"]},
            "lr_factors is ['bias']; give a dictionary such as {\"weight\": 1}",
        ),
        (
            {"roles": {}, "rules": {}},
            "give roles= or rules=, not both: what roles(model, rules=…) found has the rules in it",
        ),
        ({"weight_decay": 0, "lr": 0, "lr_factors": {}, "decay_factors": {}}, ""),
    ],
)
def test_an_error_has_all_its_words(arguments, words):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert refusal(lambda: param_groups(model, **{"weight_decay": LAM} | arguments)) == words


LINEAR = "torch.nn.modules.linear.Linear"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda model: roles(model, rules="comon"),
            'rules is \'comon\'; give a dictionary such as {"*RMSNorm": "gamma"}, or "common"',
        ),
        (
            lambda model: roles(model, rules={3: "bias", "*": "bias"}),
            "rules: [3] must be classes, or text that fits classes or names",
        ),
        (
            lambda model: roles(model, rules={"*": "bias", "x": "wieght"}),
            f"rules: 'wieght' is not a role; choose among {ROLE_NAMES}",
        ),
        (
            lambda model: roles(model, rules={"*": "bias", "x": "g", optional("y"): "g", "z": "g"}),
            "rules: nothing fits ['x', 'z']; names are N.weight (2), N.bias (2)",
        ),
        (
            lambda model: roles(nn.Sequential(*model, named("Linear", nn.Module, w=torch.ones(2))),
                                rules={"Linear": "g"}),
            f"rules: 'Linear' fits elsewhere.Linear and {LINEAR}; write the one you mean in full",
        ),
        (
            lambda model: roles(nn.ReLU()),
            "the model has no parameters; give an nn.Module that has some, not a ReLU",
        ),
        (
            lambda model: roles(nn.Sequential(nn.ReLU(), nn.LazyLinear(2))),
            "1.weight is lazy and has no shape; run one batch through the model first",
        ),
        (
            lambda model: param_groups(model, LAM, roles={}),
            "roles: a role must stand for each parameter, and no more; give what "
            "l2lib.groups.roles finds for this model",
        ),
        (
            lambda model: table(model, model.parameters()),
            "groups is a generator; give an optimiser, or a list of dictionaries as param_groups "
            "makes it",
        ),
        (
            lambda model: table(model, [{"weight_decay": 1}]),
            'groups: each group must be a dictionary with "params" and "weight_decay"',
        ),
        (
            lambda model: table(model, [{"params": [torch.ones(2)], "weight_decay": 1}]),
            "groups: none of their tensors is one of the model's (another model, or copies); make "
            "the optimiser after the model is loaded, moved and wrapped",
        ),
        (
            lambda model: table(model, optim.ASGD(model.parameters(), weight_decay=1)),
            "ASGD shrinks everything by a lambd of its own; give it lambd=0",
        ),
        (lambda model: table(model, optim.ASGD(model.parameters(), lambd=0, weight_decay=1)), ""),
        (lambda model: roles(model, rules={"*": "bias", optional("y"): "g"}), ""),
    ],
)  # fmt: skip
def test_an_error_on_roles_or_a_table_has_all_its_words(call, words):
    assert refusal(lambda: call(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))) == words


@pytest.mark.parametrize("what", ["lr", "decay_factors", "lr_factors"])
def test_the_advice_on_yaml_is_true(what):
    yaml = pytest.importorskip("yaml")
    wrong = {"lr": "x"} if what == "lr" else {"lr": 1, what: {"weight": "x"}}
    words = refusal(lambda: param_groups(nn.Linear(2, 2), LAM, **wrong))
    text, number = re.search(r"YAML reads (\S+) as text, and (\S+) as a number", words).groups()
    assert (yaml.safe_load(text), yaml.safe_load(number)) == (text, float(text))


def test_groups_show_every_rate_and_every_name():
    model = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in "abc"})
    groups = param_groups(model, LAM, lr=0.5, lr_factors={"c.*": 0.5})
    names = ["a.weight, b.weight", "c.weight"]
    assert str(groups).splitlines() == [
        "2 groups: role, weight_decay, lr, tensors, names",
        f"weight  0.25  0.5  2  {names[0]}",
        f"weight  0.25  0.25  1  {names[1]}",
    ]
    (page,) = Pages.read(groups._repr_html_())
    assert page == (
        "Groups of parameters, with their weight decay",
        ["role", "weight_decay", "lr", "tensors", "names"],
        [["weight", "0.25", "0.5", "2", names[0]], ["weight", "0.25", "0.25", "1", names[1]]],
    )
    (alone,) = param_groups(model, LAM)
    assert (
        str(ParamGroups([alone])).splitlines()[1] == "weight  0.25  3  a.weight, b.weight, c.weight"
    )


class Pages(HTMLParser):
    """Tables as a browser reads them: caption, headings of columns, rows."""

    @classmethod
    def read(cls, text):
        page = cls()
        page.tables, page.open = [], []
        page.feed(text)
        page.close()
        assert page.open == []
        return page.tables

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "table":
            self.tables.append(("", [], []))
        if tag == "tr" and "tbody" in self.open:
            self.tables[-1][2].append([])
        if tag in ("th", "td"):
            row = self.tables[-1][2][-1] if "tbody" in self.open else self.tables[-1][1]
            scope = "row" if "tbody" in self.open and not row else "col"
            heads = [("scope", scope)] if scope == "row" or "thead" in self.open else []
            assert attributes == heads, "a cell is a heading, or is none"
            row.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        caption, columns, rows = self.tables[-1]
        if "caption" in self.open:
            self.tables[-1] = (caption + data, columns, rows)
        elif {"th", "td"} & {*self.open}:
            row = rows[-1] if "tbody" in self.open else columns
            row[-1] += data
        else:
            assert data.strip() == ""


CELLS = st.lists(st.text("ab&<>\"';/ 0ηλ", max_size=5), min_size=1, max_size=4)


@given(caption=st.text("a<&\"' "), columns=CELLS, rows=st.lists(CELLS, max_size=3))
def test_a_browser_reads_a_table_as_it_was_written(caption, columns, rows):
    """Whatever a cell holds, nothing too; and so does a screen reader, which reads headings."""
    held = Table(caption, tuple(columns), tuple(map(tuple, rows)), "text")
    assert Pages.read(held._repr_html_()) == [(caption, columns, rows)]
    assert (str(held), repr(held)) == ("text", "text")


# ---- promises about roles ----------------------------------------------------------------------
@pytest.mark.parametrize("name", ["b1", "b_2", "B", "w_B", "Bias1", "outBias", "beta2", "BETA"])
@pytest.mark.parametrize("role", ["weight", "gamma"])
def test_a_bias_with_a_number_or_in_capitals_may_be_one_as_well(name, role):
    model = named("FFN", w1=torch.ones(2, 2), **{name: torch.ones(2)})
    words = refusal(lambda: roles(model, rules={"FFN": role}))
    assert words.endswith(f'"{name}": ROLE  # for {name}')


@pytest.mark.parametrize("name", ["blend", "verb", "tab_", "alphabeta", "wb"])
def test_a_b_inside_a_word_is_none(name):
    model = named("FFN", w1=torch.ones(2, 2), **{name: torch.ones(2)})
    assert refusal(lambda: roles(model, rules={"FFN": "weight"})) == ""


@pytest.mark.parametrize(
    ("model", "key", "role", "expected"),
    [
        (nn.LSTM(2, 2), "LSTM", "weight", "weight weight bias bias"),
        (nn.LSTM(2, 2), nn.LSTM, "other", "other other bias bias"),
        (nn.MultiheadAttention(2, 1), "Multi*", "embedding", "embedding bias weight bias"),
        (nn.LayerNorm(2), "LayerNorm", "slope", "slope bias"),
        (nn.Linear(2, 2), nn.Linear, "gamma", "gamma beta"),
        (named("Shift", bias=torch.ones(3)), "Shift", "weight", "bias"),
        (named("Shift", bias=torch.ones(3)), "Shift", "gamma", "beta"),
        (named("Shift", bias=torch.ones(3)), "Shift", "slope", "slope"),
        (named("Two", bias=torch.ones(3), w=torch.ones(3)), "Two", "slope", "bias slope"),
        (named("Linear", nn.Linear, weight=torch.ones(2, 2)), "Linear", "other", "other"),
        (named("Linear", nn.Linear, bias=torch.ones(2)), "Linear", "other", "bias"),
    ],
)
def test_what_a_rule_for_a_class_does_to_what_is_called_bias(model, key, role, expected):
    found = {}
    whole = nn.Sequential(model)
    assert refusal(lambda: found.update(roles(whole, rules={key: role}))) == ""
    assert [*found.values()] == expected.split()


def test_a_class_that_inherits_from_torchs_and_has_its_name_is_meant_as_well():
    theirs = named("Linear", nn.Linear, weight=torch.ones(2, 2))
    model = nn.Sequential(theirs, nn.Linear(2, 2))
    found = {}
    assert refusal(lambda: found.update(roles(model, rules={"Linear": "other"}))) == ""
    assert found == {"0.weight": "other", "1.weight": "other", "1.bias": "bias"}


def test_a_pattern_for_names_and_classes_is_told_both_readings():
    model = nn.ModuleDict({"norm": named("mynorm", weight=torch.ones(2), bias=torch.zeros(2))})
    assert refusal(lambda: roles(model, rules={"*norm*": "gamma"})) == (
        "rules: '*norm*' fits names and classes, as a name it makes norm.bias 'gamma', as a class "
        "'beta'; write the class itself, or '*norm*.*' for the names"
    )
    assert {*roles(model, rules={"*norm*.*": "gamma"}).values()} == {"gamma"}


class Outer:
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(2))


def test_a_class_inside_another_has_a_full_name_that_says_so():
    model = nn.Sequential(Outer.Scaled(), named("Scaled", shift=torch.ones(2)))
    keys = {*pasted_of(refusal(lambda: roles(model)))}
    assert keys == {f"{__name__}.Outer.Scaled", "elsewhere.Scaled"}
    found = {}
    rules = {f"{__name__}.Outer.Scaled": "slope", "elsewhere.Scaled": "other"}
    assert refusal(lambda: found.update(roles(model, rules=rules))) == ""
    assert found == {"0.factor": "slope", "1.shift": "other"}
    for glob in ("Outer.*", "*Outer*"):  # a glob is for the name alone
        assert "nothing fits" in refusal(lambda glob=glob: roles(model, rules=rules | {glob: "g"}))


def pasted_of(words):
    return [line.split('"')[1] for line in words.splitlines()[1:]]


def test_a_parametrisation_inside_a_parametrisation_belongs_to_its_own_module():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.turn = nn.Linear(2, 2, bias=False)
            parametrizations.weight_norm(self.turn)

        def forward(self, weight):
            return weight @ self.turn.weight

    model = nn.Sequential(nn.Embedding(3, 2))
    parametrize.register_parametrization(model[0], "weight", Turned())
    found = {}
    assert refusal(lambda: found.update(roles(model))) == ""
    inner = "0.parametrizations.weight.0.turn.parametrizations.weight"
    assert found == {
        "0.parametrizations.weight.original": "embedding",
        f"{inner}.original0": "g",
        f"{inner}.original1": "weight",
    }


def test_roles_stand_in_the_order_of_the_model():
    model = Filtered(nn.Linear(2, 2), nn.Linear(2, 2))
    assert [*roles(model)] == ["1.weight", "1.bias", "0.weight", "0.bias"]  # what is hidden is last
    given = {"0.bias": "bias", "1.bias": "bias", "0.weight": "g", "1.weight": "weight"}
    groups = param_groups(nn.Sequential(*model), LAM, roles=given)
    assert [*groups.roles.items()] == [
        *sorted(given.items(), key=lambda i: (i[0][0], i[1] == "bias"))
    ]
    shown = str(table(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), [], roles=given))
    assert [line.split()[-1] for line in shown.splitlines()[1:-1]] == [
        "1.weight",
        "(2)",
        "0.weight",
    ]


@pytest.mark.parametrize(
    ("names", "most", "line"),
    [
        (["a", "b"], 2, "a, b"),
        (["a", "b", "c"], 2, "a, b, …"),
        (["a", "b", "c"], None, "a, b, c"),
        (["h.0.w", "h.11.w", "c1.w", "c2.w", "h.2.0"], None, "h.N.w (2), c1.w, c2.w, h.2.0"),
        (["1.w", "b", "2.w"], 2, "N.w (2), b"),
    ],
)
def test_names_that_differ_in_whole_numbers_are_one(names, most, line):
    assert short_names(names, most) == line


# The names and classes that public models have, and what these tensors are for.
COMMON = {
    "gamma": """bert.LayerNorm.gamma blocks.0.gamma_1 blocks.0.gamma_2 layer.0.lambda_1
        layer.0.lambda_2 stages.0.layer_scale_parameter k_proj.ia3_l.default
        q_proj.vera_lambda_b.default q_proj.vera_lambda_d.default""",
    "beta": "bert.LayerNorm.beta",
    "weight": """clip.text_projection clip.visual.proj mlp.experts.gate_up_proj attn.lora_A
        attn.lora_B wte.lora_embedding_A.default wte.lora_embedding_B.default""",
    "bias": "mlp.experts.down_proj_bias mixer.dt_bias logit_bias model.logit_bias",
    "g": "v_proj.lora_magnitude_vector.default",
    "embedding": """cls_token vit.cls_token class_token vit.class_embedding dist_token
        embeddings.distillation_token mask_token reg_token vit.register_tokens qformer.query_tokens
        xlm.memory_tokens yolos.detection_tokens wav2vec.masked_spec_embed perceiver.latents
        head.probe pos_embed vit.pos_embedding position_embeddings positional_encoding
        clip.positional_embedding levit.attention_biases swin.relative_position_bias_table
        sam.rel_pos_h sam.rel_pos_w sam.prompt_embeddings embed.trainable_tokens_delta""",
    "other": "logit_scale clip.logit_scale mixer.A_log mixer.D self_attn.sinks",
}
COMMON_CLASSES = {
    "gamma": """LlamaRMSNorm RMSNormGated T5LayerNorm LayerNorm2d GroupNorm32 FrozenBatchNorm2d
        ScaleNorm LayerScale ConvNextV2GRN""",
    "weight": "Conv1D MixtralRouter",
}


@pytest.mark.filterwarnings("ignore:common rules assumed")
def test_common_rules_say_of_public_models_what_their_tensors_are_for():
    model, expected = nn.Module(), {}
    for role, names in COMMON.items():
        for name in names.split():
            *path, own = name.split(".")
            place = model
            for part in path:
                if not hasattr(place, part):
                    place.add_module(part, module())
                place = getattr(place, part)
            place.register_parameter(own, nn.Parameter(torch.ones(2)))
            expected[name] = role
    for role, kinds in COMMON_CLASSES.items():
        for i, kind in enumerate(kinds.split()):
            model.add_module(f"{role}{i}", named(kind, w=torch.ones(2), bias=torch.ones(2)))
            expected |= {f"{role}{i}.w": role, f"{role}{i}.bias": "bias"}
    found = {}
    assert refusal(lambda: found.update(roles(model, rules="common"))) == ""
    assert found == expected
    # No pattern is there without an example, so that none can be lost or misspelt.
    kinds = [type(place) for place in model.modules()]
    for key in COMMON_RULES:
        assert any(fits_name(key, name) for name in expected) or any(
            fits_class(key, kind) for kind in kinds
        ), key


@pytest.mark.parametrize("key", ["*LayerScale*", "*.gamma", "*Router"])
def test_a_common_rule_is_for_classes_or_for_names(key):
    """The first fits no parameter called so, the second no class."""
    common = next(rule for rule in COMMON_RULES if rule == key)
    name = key.replace("*", "x")
    kind = type(name, (nn.Module,), {})
    assert fits_name(common, name) == (key == "*.gamma")
    assert fits_class(common, kind) == (key != "*.gamma")


def test_the_warning_tells_what_was_assumed_and_where():
    model = nn.ModuleDict({
        "a": named("MyRMSNorm", weight=torch.ones(2)), "b": named("MyRMSNorm", weight=torch.ones(2)),
        "c": module(cls_token=torch.ones(2)), "d": nn.Linear(2, 2), "e": named("E", w=torch.ones(2)),
    })  # fmt: skip
    with pytest.warns(UserWarning, match="common rules") as told:
        roles(model, rules={**COMMON_RULES, "E": "slope", optional("nothing"): "g"})
    assert str(told[0].message).splitlines() == [
        "common rules assumed", "  gamma: a.weight, b.weight", "  embedding: c.cls_token"]  # fmt: skip
    assert told[0].filename == __file__


# ---- promises about the table --------------------------------------------------------------------
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, None, "0.1", [0.1]])
def test_a_decay_that_is_no_number_is_told_with_its_group(wrong):
    model = nn.Linear(2, 2)
    groups = [{"params": [p], "weight_decay": 0.5} for p in model.parameters()]
    groups[1]["weight_decay"] = wrong
    words = f"group 1: weight_decay is {wrong!r}; it must be a finite number"
    assert refusal(lambda: table(model, groups)) == words
    del groups[1]["weight_decay"]
    assert refusal(lambda: table(model, groups)) == (
        "group 1 has no weight_decay; give the optimiser itself, whose default it takes"
    )
    groups[1] |= {"weight_decay": 0, "params": [model.bias, model.weight]}
    assert refusal(lambda: table(model, groups)) == (
        "group 1: a tensor of shape (2, 2) is there twice; keep one"
    )
    groups[1]["params"] = {model.bias}
    assert refusal(lambda: table(model, groups)) == "group 1: params is a set; give a list"


def test_groups_may_be_a_tuple_none_or_hold_tensors_for_numbers():
    model = nn.Linear(40, 50)
    kept = optim.SGD(model.parameters(), lr=torch.tensor(0.0), weight_decay=0.125)
    tensors = [{"params": [p], "weight_decay": torch.tensor(0.125)} for p in model.parameters()]
    for groups, shown in [
        (tuple(tensors), "0.125"), ((), "no group"), ([], "no group"), (kept, "0.125 (lr 0)")
    ]:  # fmt: skip
        assert refusal(lambda groups=groups: table(model, groups)) == ""
        assert table(model, groups).rows == (
            ("weight", shown, "1", "2,000", "weight"),
            ("bias", shown, "1", "50", "bias"),
            ("total", "", "2", "2,050", ""),
        )
    assert table(model, []).columns == ("role", "weight_decay", "tensors", "numbers", "names")
    assert table(model, []).caption == "What decays: the parameters by their role and weight decay"


class Held:
    """Wraps an optimiser, under the name that is given."""

    def __init__(self, optimizer, name):
        setattr(self, name, optimizer)
        self.param_groups = optimizer.param_groups


@pytest.mark.parametrize(
    "name", ["optimizer", "base_optimizer", "optim", "inner_optimizer", "_optimizer"]
)
@pytest.mark.parametrize("depth", [1, 3, 5])
def test_what_wraps_an_optimiser_is_opened(name, depth):
    model = nn.Linear(2, 2)

    def wrapped(optimizer):
        for _ in range(depth):
            optimizer = Held(optimizer, name)
        return optimizer

    assert refusal(lambda: table(model, wrapped(optim.AdamW(param_groups(model, LAM))))) == ""
    assert refusal(lambda: table(model, wrapped(optim.Rprop(param_groups(model, LAM))))) == (
        "Rprop ignores weight_decay; choose an optimiser that has it"
    )


@pytest.mark.parametrize("other", ["weight_decay_rate", "wd", "l2", "l2_reg"])
@pytest.mark.parametrize("where", ["defaults", "group"])
def test_a_decay_by_another_name_is_told_unless_it_is_zero(other, where):
    model = nn.Linear(2, 2)
    for value in (0.1, 0):
        optimizer = optim.SGD(model.parameters(), lr=LR)
        (optimizer.defaults if where == "defaults" else optimizer.param_groups[0])[other] = value
        words = f"SGD decays by {other!r}, which a table of weight_decay does not tell"
        assert refusal(lambda held=optimizer: table(model, held)) == (words if value else "")


class Inherits(PerGroup):
    """Reads λ where its base does."""


class WithoutGradients(Plain):
    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            self.shrink(group["weight_decay"])


class Inside(Plain):
    def step(self):
        def decays():
            return [(lambda g=g: g["weight_decay"])() for g in self.param_groups]

        return decays()


class Described(Plain):
    """Has no weight_decay."""

    def step(self):
        """Ignores weight_decay."""


@pytest.mark.parametrize("kind", [PerGroup, Inherits, WithoutGradients, Inside, Described, Plain])
def test_an_optimiser_that_reads_a_decay_anywhere_in_its_code_has_one(kind):
    model = nn.Linear(2, 2)
    words = refusal(lambda: table(model, kind(param_groups(model, LAM))))
    without = (
        f"{kind.__name__} has no weight_decay among its defaults, and its code does not name it; "
        "give the optimiser that it wraps, or choose one that has it"
    )
    assert words == (without if kind in (Described, Plain) else "")


def test_memory_is_shared_by_what_no_step_changes_only():
    tied = torch.zeros(2, 2)
    model = module(p=nn.Parameter(tied), q=nn.Parameter(tied), r=torch.zeros(2))
    model.p.requires_grad_(False), model.q.requires_grad_(False)
    held = {name: [{"params": [model.r, *more], "weight_decay": 0.5}] for name, more in (
        ("neither", []), ("one", [model.p]), ("both", [model.p, model.q]))}  # fmt: skip
    for name, groups in held.items():
        words = refusal(lambda groups=groups: table(model, groups, rules={"Own": "weight"}))
        assert bool(words) == (name != "neither")
    assert words == (
        "p and q are two Parameters on one memory, which a step would change twice; "
        "make them one after loading: module.weight = other.weight"
    )


def test_what_is_beside_the_model_is_counted_by_its_decay_and_told_by_its_place():
    model = nn.Linear(3, 2, bias=False)
    loose = [torch.zeros(2000), torch.zeros(3), torch.zeros(2)]
    groups = [
        {"params": [t], "weight_decay": d} for t, d in zip(loose, (0.1, 0.2, 0.1), strict=True)
    ]
    groups.append({"params": [model.weight], "weight_decay": 1e-10, "lr": 0})
    assert str(table(model, groups)).splitlines()[1:] == [
        "weight    1e-10 (lr 0)        1              6  weight",
        "total                         1              6",
        "elsewhere          0.1        2          2,002  not in this model",
        "elsewhere          0.2        1              3  not in this model",
    ]
    groups[1]["params"] = [model.weight.data[:1]]
    words = refusal(lambda: table(model, groups))
    assert "stranger 1 in the groups, of shape (1, 3), " in words
    assert "weight " in words


def test_where_a_model_is_cut_up_the_total_says_so():
    cut = named("FullyShardedDataParallel", inner=torch.ones(2))
    shown = table(cut, [], rules={"*": "weight"})
    assert shown.rows[-1] == ("total", "", "1", "2", "numbers: the part of this rank")
    assert table(named("Other", inner=torch.ones(2)), [], rules={"*": "weight"}).rows[-1][-1] == ""


def test_rules_win_over_the_roles_that_groups_carry():
    model = named("Own", scale=torch.ones(2), shift=torch.ones(2))
    groups = param_groups(model, LAM, rules={"Own": "slope"})
    assert [row[0] for row in table(model, groups).rows] == ["slope", "total"]
    other = table(model, groups, rules={"Own": "other", "shift": "weight"})
    assert [row[0] for row in other.rows] == ["weight", "other", "total"]


# ---- promises about memory -----------------------------------------------------------------------
@given(st.data())
def test_shared_finds_the_bytes_of_views_of_any_format_and_leaves_out_what_is_frozen(data):
    base = torch.zeros(4, 6, dtype=torch.float64)
    formats = {8: torch.float64, 4: torch.int32, 2: torch.bfloat16, 1: torch.uint8}
    views, held = {}, {}
    for name in "abc"[: data.draw(st.integers(2, 3))]:
        size = data.draw(st.sampled_from([*formats]))
        seen = base.view(formats[size])
        rows = slice(data.draw(st.integers(0, 3)), 4, data.draw(st.integers(1, 2)))
        first = data.draw(st.integers(0, seen.shape[1] - 1))
        columns = slice(first, first + data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3)))
        views[name] = seen[rows, columns]
        numbers = torch.arange(seen.numel()).reshape(seen.shape)[rows, columns].flatten().tolist()
        held[name] = {n * size + k for n in numbers for k in range(size)}
    frozen = data.draw(st.sets(st.sampled_from([*views])))
    pairs = {
        frozenset(pair)
        for pair in itertools.combinations(views, 2)
        if held[pair[0]] & held[pair[1]] and not {*pair} <= frozen
    }
    found = shared(views, frozen)
    assert (found is None) == (not pairs)
    assert found is None or frozenset(found) in pairs


@pytest.mark.parametrize("offset", range(11))
def test_a_number_that_begins_inside_another_shares_its_bytes(offset):
    """As it may in a file that was read into memory: bytes 0 to 3 and 8 to 11 are taken."""
    memory = bytearray(32)
    taken = torch.frombuffer(memory, dtype=torch.float32)[:4:2]
    one = torch.frombuffer(memory, dtype=torch.float32, count=1, offset=offset)
    held = {*range(offset, offset + 4)} & {0, 1, 2, 3, 8, 9, 10, 11}
    assert bool(shared({"taken": taken, "one": one})) == bool(held)


class Hidden(torch.Tensor):
    """A class whose memory nobody sees."""

    error = RuntimeError

    def data_ptr(self):
        raise self.error("no memory here")


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_what_hides_its_memory_shares_none(error, monkeypatch):
    monkeypatch.setattr(Hidden, "error", error)
    hidden = torch.zeros(3).as_subclass(Hidden)
    found = []
    try:
        found.append(shared({"a": hidden, "b": hidden, "c": torch.zeros(3).to_sparse()}))
    except Exception as other:
        pytest.fail(f"it looked for memory: {other}")
    assert found == [None]
