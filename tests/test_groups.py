"""Which parameters decay: every class of torch.nn, every optimiser, every option, and errors that say what to do."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim
from torch.nn.utils import parametrizations, parametrize, prune

from l2lib.groups import DECAY_FACTORS, ROLES, param_groups, roles, table
from l2lib.sweep import MLP

LAM, LR = 0.25, 0.5
NORM, MATRIX, RECURRENT = "gamma beta", "weight bias", "weight weight bias bias"
ENCODER = " ".join([MATRIX] * 4 + [NORM] * 2)  # attention in and out, two layers; two norms
DECODER = " ".join([MATRIX] * 6 + [NORM] * 3)
# Classes of torch.nn: sizes, options, and the roles of their parameters in torch's order.
ZOO = [
    ("Linear", (3, 2), {}, MATRIX),
    ("Linear", (3, 2), {"bias": False}, "weight"),
    ("Bilinear", (3, 2, 2), {}, MATRIX),
    *((f"Conv{d}d", (2, 3, 2), {}, MATRIX) for d in (1, 2, 3)),
    *((f"ConvTranspose{d}d", (2, 3, 2), {}, MATRIX) for d in (1, 2, 3)),
    ("Conv2d", (4, 4, 3), {"groups": 4, "bias": False}, "weight"),
    ("Embedding", (5, 2), {}, "embedding"),
    ("EmbeddingBag", (5, 2), {}, "embedding"),
    *((f"BatchNorm{d}d", (2,), {}, NORM) for d in (1, 2, 3)),
    *((f"InstanceNorm{d}d", (2,), {"affine": True}, NORM) for d in (1, 2, 3)),
    ("SyncBatchNorm", (2,), {}, NORM),
    ("GroupNorm", (2, 4), {}, NORM),
    ("LayerNorm", (2,), {}, NORM),
    ("LayerNorm", ((2, 3),), {"bias": False}, "gamma"),
    ("RMSNorm", (2,), {}, "gamma"),
    *(
        (kind, (3, 2), {}, RECURRENT)
        for kind in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
    ),
    *(
        (k, (3, 2), {"num_layers": 2, "bidirectional": True}, f"{RECURRENT} " * 4)
        for k in ("RNN", "LSTM", "GRU")
    ),
    ("LSTM", (3, 2), {"proj_size": 1}, f"{RECURRENT} weight"),
    ("LSTM", (3, 2), {"bias": False}, "weight weight"),
    ("RNNBase", ("GRU", 3, 2), {}, RECURRENT),
    ("RNNCellBase", (3, 2, True, 4), {}, RECURRENT),
    ("MultiheadAttention", (4, 2), {}, f"{MATRIX} {MATRIX}"),
    ("MultiheadAttention", (4, 2), {"add_bias_kv": True}, "weight bias bias bias weight bias"),
    ("MultiheadAttention", (4, 2), {"kdim": 3, "vdim": 5}, "weight weight weight bias weight bias"),
    ("TransformerEncoderLayer", (4, 2, 3), {}, ENCODER),
    ("TransformerDecoderLayer", (4, 2, 3), {}, DECODER),
    (
        "TransformerEncoder",
        (nn.TransformerEncoderLayer(4, 2, 3), 2, None, False),
        {},
        f"{ENCODER} {ENCODER}",
    ),
    ("TransformerDecoder", (nn.TransformerDecoderLayer(4, 2, 3), 1), {}, DECODER),
    ("Transformer", (4, 2, 1, 1, 3), {}, f"{ENCODER} {NORM} {DECODER} {NORM}"),
    ("PReLU", (2,), {}, "slope"),
    ("AdaptiveLogSoftmaxWithLoss", (8, 10, [4]), {"head_bias": True}, "weight bias weight weight"),
    ("LinearCrossEntropyLoss", (4, 3), {"bias": True}, MATRIX),
    ("DataParallel", (nn.Linear(3, 2),), {}, MATRIX),
]
LAZY = {
    "Linear": "weight bias",
    "Conv": MATRIX,
    "ConvTranspose": MATRIX,
    "BatchNorm": NORM,
    "InstanceNorm": NORM,
}
HOLDERS = {
    "Module",
    "Container",
    "Sequential",
    "ModuleList",
    "ModuleDict",
    "ParameterList",
    "ParameterDict",
}
WITHOUT_DECAY = {"LBFGS", "Rprop", "SparseAdam"}


def classes(module, base):
    return {
        k: c
        for k, c in vars(module).items()
        if inspect.isclass(c) and issubclass(c, base) and c is not base
    }


OPTIMIZERS = classes(optim, optim.Optimizer)


class Scale(nn.Module):
    """A class that no rule covers, as readers write them."""

    def __init__(self, size=2):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))


class Norm(Scale):
    pass


def network():
    """Every role but other, with a frozen embedding."""
    model = nn.Sequential(
        nn.Embedding(5, 2),
        parametrizations.weight_norm(nn.Linear(2, 2)),
        nn.LayerNorm(2),
        nn.Linear(2, 3),
        nn.PReLU(),
    )
    model[0].requires_grad_(False)
    return model


# ---- roles ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "sizes", "options", "expected"), ZOO, ids=[row[0] for row in ZOO])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_the_zoo(kind, sizes, options, expected):
    if not hasattr(nn, kind):
        pytest.skip(f"this torch has no nn.{kind}")
    model = getattr(nn, kind)(*sizes, **options)
    assert list(roles(model)) == [name for name, _ in model.named_parameters()]
    assert list(roles(model).values()) == expected.split()


@pytest.mark.filterwarnings("ignore:`NLLLoss2d`:FutureWarning")
def test_no_class_of_torch_is_forgotten():
    """A class that is not in the zoo must have no parameter, so that a new class without a rule is noticed."""
    fed = {
        "Fold": (2, 2),
        "TripletMarginWithDistanceLoss": (),
        "CrossMapLRN2d": (2,),
        "Unflatten": (1, (1, 2)),
    }
    for kind, cls in classes(nn, nn.Module).items():
        if kind in {row[0] for row in ZOO} | HOLDERS or kind.removeprefix("Lazy") in {
            row[0] for row in ZOO
        }:
            continue
        for sizes in [fed[kind]] if kind in fed else [(), (2,), (2, 2), (2, 2, 2)]:
            try:
                model = cls(*sizes)
                break
            except (TypeError, ValueError):
                continue
        else:
            raise AssertionError(f"nn.{kind} is new here; add it to the zoo")
        assert list(model.parameters()) == [], f"nn.{kind} has parameters; add it to the zoo"


@pytest.mark.parametrize("kind", sorted(k for k in vars(nn) if k.startswith("Lazy")))
def test_lazy_modules_are_refused_until_they_have_run(kind):
    d = int(kind[-2]) if kind[-1] == "d" else 0
    options = (
        {"affine": True}
        if "Norm" in kind
        else {"out_features": 2}
        if not d
        else {"out_channels": 2, "kernel_size": 2}
    )
    model = nn.Sequential(nn.Identity(), getattr(nn, kind)(**options))
    with pytest.raises(
        ValueError, match=r"1\.\w+ is lazy and has no shape; run one batch through the model first"
    ):
        param_groups(model, LAM)
    model(torch.ones(5, 3, *[4] * d))
    assert (
        list(roles(model).values())
        == LAZY[kind.removeprefix("Lazy").rstrip("123d") if d else "Linear"].split()
    )


def v_and_g(module, name="weight"):
    return parametrizations.weight_norm(module, name)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: v_and_g(nn.Linear(3, 2)), {"bias": "bias", "weight.original0": "g", "weight.original1": "weight"}),
        (lambda: v_and_g(nn.Embedding(3, 2)), {"weight.original0": "g", "weight.original1": "embedding"}),
        (lambda: v_and_g(nn.LSTM(3, 2, bias=False), "weight_hh_l0"),
         {"weight_ih_l0": "weight", "weight_hh_l0.original0": "g", "weight_hh_l0.original1": "weight"}),
        (lambda: parametrizations.spectral_norm(nn.Conv2d(3, 2, 2)), {"bias": "bias", "weight.original": "weight"}),
        (lambda: parametrizations.spectral_norm(nn.Embedding(3, 2)), {"weight.original": "embedding"}),
        (lambda: parametrizations.orthogonal(nn.Linear(3, 3)), {"bias": "bias", "weight.original": "weight"}),
        (lambda: parametrizations.spectral_norm(v_and_g(nn.Linear(3, 2, bias=False))),
         {"weight.original0": "g", "weight.original1": "weight"}),
        (lambda: nn.utils.weight_norm(nn.Linear(3, 2)), {"bias": "bias", "weight_g": "g", "weight_v": "weight"}),
        (lambda: nn.utils.weight_norm(nn.GRU(3, 2, bias=False), "weight_hh_l0"),
         {"weight_ih_l0": "weight", "weight_hh_l0_g": "g", "weight_hh_l0_v": "weight"}),
        (lambda: nn.utils.spectral_norm(nn.Conv1d(3, 2, 2)), {"bias": "bias", "weight_orig": "weight"}),
        (lambda: nn.utils.spectral_norm(nn.Embedding(3, 2)), {"weight_orig": "embedding"}),
        (lambda: prune.l1_unstructured(nn.Linear(3, 2), "weight", 0.5), {"bias": "bias", "weight_orig": "weight"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["alone", "inside"])
def test_a_parametrised_tensor_keeps_its_role(make, expected, place):
    model, path = (
        (make(), "")
        if place == "alone"
        else (nn.ModuleDict({"block": nn.Sequential(make())}), "block.0.")
    )
    assert {
        k.removeprefix(path).removeprefix("parametrizations."): v for k, v in roles(model).items()
    } == expected


def test_a_parametrisation_of_ones_own_needs_a_rule_for_its_own_parameters_only():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.ones(2, 1))

        def forward(self, weight):
            return self.gate * weight

    model = nn.Linear(3, 2)
    parametrize.register_parametrization(model, "weight", Gated())
    with pytest.raises(
        ValueError, match=r'"Gated": ROLE  # for parametrizations\.weight\.0\.gate$'
    ):
        roles(model)
    found = roles(model, rules={"Gated": "g"})
    assert found["parametrizations.weight.original"] == "weight"
    assert found["parametrizations.weight.0.gate"] == "g"


def test_names_that_end_like_weight_norm_are_not_weight_norm():
    model = Scale()
    model.in_g, model.in_v = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    assert set(roles(model, rules={Scale: "slope"}).values()) == {"slope", "bias"}


@pytest.mark.parametrize("norm", [None, "batch", "layer", "weight"])
def test_the_engine_has_the_same_roles(norm):
    assert {name.rstrip("0123456789") for name in MLP((3, 2, 1), norm=norm).initial(0)} <= {*ROLES}


# ---- tied, shared, frozen ------------------------------------------------------------------
@pytest.mark.parametrize("output_first", [False, True])
def test_an_embedding_tied_to_the_output_is_a_weight_and_is_there_once(output_first):
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "out": nn.Linear(3, 5, bias=False)})
    model = nn.ModuleDict(reversed(list(model.items()))) if output_first else model
    model["out"].weight = model["embed"].weight
    assert roles(model) == {"out.weight" if output_first else "embed.weight": "weight"}
    (group,) = param_groups(model, LAM)
    assert [id(p) for p in group["params"]] == [id(model["embed"].weight)]
    assert group["weight_decay"] == LAM


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(nn.PReLU(2), nn.LayerNorm(2), "gamma"), (nn.LayerNorm(2), nn.PReLU(2), "gamma"),
     (nn.Embedding(2, 2), nn.LayerNorm((2, 2)), "embedding"), (nn.LayerNorm((2, 2)), nn.Linear(2, 2), "weight")],
)  # fmt: skip
def test_a_parameter_of_two_modules_takes_the_first_of_its_roles(first, second, expected):
    second.weight = first.weight
    model = nn.Sequential(first, second)
    assert roles(model)["0.weight"] == expected
    assert "1.weight" not in roles(model)


def test_every_use_of_a_tied_parameter_must_be_covered():
    """A head of one's own that reuses the embedding's rows may be an output layer: only the reader knows."""
    model = nn.Sequential(nn.Embedding(2, 2), Scale((2, 2)))
    model[1].scale = model[0].weight
    with pytest.raises(ValueError, match=r'"Scale": ROLE  # for 0\.weight$'):
        roles(model)
    assert roles(model, rules={"Scale": "weight"})["0.weight"] == "weight"
    assert roles(model, rules={"0.weight": "embedding"})["0.weight"] == "embedding"


def test_modules_that_stand_in_two_places_count_once():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared, shared))
    assert roles(model) == {"0.weight": "weight", "0.bias": "bias"}
    assert [len(group["params"]) for group in param_groups(model, LAM)] == [1, 1]


def test_two_names_in_one_module_are_one_parameter():
    model = nn.RNN(2, 2, bias=False)
    model.weight_hh_l0 = model.weight_ih_l0
    assert roles(model) == {"weight_ih_l0": "weight"}
    model = nn.Linear(2, 2, bias=False)
    model.down = model.weight  # and each of them must be covered
    with pytest.raises(ValueError, match=r'"Linear": ROLE  # for weight$'):
        roles(model)


def test_frozen_parameters_are_in_no_group_but_in_the_table():
    model = network()
    groups = param_groups(model, LAM)
    assert "0.weight" not in {name for group in groups for name in group["names"]}
    assert (
        "embedding       frozen        1             10  0.weight"
        in str(table(model, groups)).splitlines()
    )
    model.requires_grad_(False)
    assert param_groups(model, LAM) == []


# ---- groups --------------------------------------------------------------------------------
BLOCKS = {
    "Linear": (2, 2),
    "Embedding": (3, 2),
    "LayerNorm": (2,),
    "PReLU": (),
    "LSTM": (2, 2),
    "Conv1d": (2, 2, 1),
}


@given(
    kinds=st.lists(st.sampled_from([*BLOCKS]), min_size=1, max_size=6),
    frozen=st.integers(0, 2**12),
    factors=st.dictionaries(st.sampled_from(ROLES), st.sampled_from([0.0, 0.5, 2.0])),
    layers=st.dictionaries(st.sampled_from(["0.*", "1.*", "*"]), st.sampled_from([0.0, 0.1, 3.0])),
    tie=st.booleans(),
)
def test_groups_are_complete_and_disjoint_and_hold_the_right_decay(
    kinds, frozen, factors, layers, tie
):
    model = nn.Sequential(*(getattr(nn, kind)(*BLOCKS[kind]) for kind in kinds))
    if tie:
        model.append(model[0])
    for i, p in enumerate(model.parameters()):
        p.requires_grad_(not frozen >> i & 1)
    role = roles(model)
    layers = {
        k: f
        for k, f in layers.items()
        if any(factors.get(role[n]) for n in role if k == "*" or n[0] == k[0])
    }
    groups = param_groups(model, LAM, decay_factors=factors | layers)
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len({(group["role"], group["weight_decay"]) for group in groups}) == len(groups)
    named = dict(model.named_parameters())
    for group in groups:
        for name, p in zip(group["names"], group["params"], strict=True):
            assert named[name] is p
            assert group["role"] == role[name]
            factor = factors.get(role[name], 0) * layers.get("*", 1) * layers.get(f"{name[0]}.*", 1)
            assert group["weight_decay"] == pytest.approx(LAM * factor, rel=1e-15)


def test_only_weights_decay_by_default():
    decays = {group["role"]: group["weight_decay"] for group in param_groups(network(), LAM)}
    assert decays == {"weight": LAM, "bias": 0, "gamma": 0, "beta": 0, "g": 0, "slope": 0}
    assert DECAY_FACTORS == {"weight": 1.0}
    assert {group["weight_decay"] for group in param_groups(nn.Embedding(3, 2), LAM)} == {0}


def test_what_decay_names_replaces_the_default():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    decays = {
        g["role"]: g["weight_decay"]
        for g in param_groups(model, LAM, decay_factors={"embedding": 0.5, "bias": 2})
    }
    assert decays == {"embedding": LAM / 2, "weight": 0, "bias": 2 * LAM}
    assert {g["weight_decay"] for g in param_groups(model, LAM, decay_factors={})} == {0}
    assert {g["weight_decay"] for g in param_groups(model, 0)} == {0}


def test_decay_by_layer_leaves_the_biases_of_the_layer_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    groups = param_groups(model, LAM, decay_factors={"weight": 1, "0.*": 0.1})
    assert {name: g["weight_decay"] for g in groups for name in g["names"]} == {
        "0.weight": pytest.approx(0.1 * LAM), "1.weight": LAM, "0.bias": 0, "1.bias": 0
    }  # fmt: skip


# ---- rules ---------------------------------------------------------------------------------
@pytest.mark.parametrize("key", [Norm, Scale, "Norm", "*orm", "Scale"])
def test_rules_by_class_its_name_or_what_it_inherits_from(key):
    assert roles(nn.Sequential(Norm()), rules={key: "gamma"}) == {
        "0.scale": "gamma",
        "0.bias": "beta",
    }
    assert roles(nn.Sequential(Norm()), rules={key: "slope"}) == {
        "0.scale": "slope",
        "0.bias": "bias",
    }


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"0.scale": "slope", Norm: "gamma"}, "slope"),  # a name wins over a class
        ({"*.scale": "slope", "0.scale": "other"}, "other"),  # of two names the later
        ({"0.scale": "other", "*.scale": "slope"}, "slope"),
        ({Norm: "gamma", Scale: "slope"}, "gamma"),  # the more specific class
        ({Scale: "slope", Norm: "gamma"}, "gamma"),
        ({Norm: "gamma", "Norm": "slope"}, "slope"),  # of two for one class the later
        ({"Norm": "slope", Norm: "gamma"}, "gamma"),
    ],
)
def test_which_rule_wins(rules, expected):
    assert roles(nn.Sequential(Norm()), rules=rules)["0.scale"] == expected


@pytest.mark.parametrize("key", [nn.Linear, "Linear", "Lin*", "0.weight"])
def test_rules_win_over_what_is_built_in(key):
    assert roles(nn.Sequential(nn.Linear(2, 2)), rules={key: "other"}) == {
        "0.weight": "other",
        "0.bias": "bias",
    }


def test_what_a_subclass_adds_is_not_taken_for_a_matrix():
    class Adapter(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.down = nn.Parameter(torch.ones(2, 1))

    with pytest.raises(ValueError, match=r'\n    "down": ROLE  # for down$'):
        roles(Adapter())
    assert roles(Adapter(), rules={"down": "weight"}) == {
        "weight": "weight",
        "bias": "bias",
        "down": "weight",
    }


@pytest.mark.parametrize("name", ["weight_scale", "input_weight", "bias_scale", "weight2"])
def test_what_a_subclass_adds_under_a_similar_name_is_not_taken_for_a_matrix_either(name):
    class Quantised(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            setattr(self, name, nn.Parameter(torch.ones(2)))

    with pytest.raises(ValueError, match=f'\n    "{name}": ROLE  # for {name}$'):
        roles(Quantised())
    assert roles(Quantised(), rules={name: "slope"})[name] == "slope"


def test_brackets_in_a_name_stand_for_themselves():
    model = nn.ModuleDict({"a[0]": nn.Linear(2, 2), "a0": nn.Linear(2, 2)})
    assert [*roles(model, rules={"a[0].weight": "other"}).values()] == [
        "other",
        "bias",
        "weight",
        "bias",
    ]
    groups = param_groups(model, LAM, decay_factors={"weight": 1, "a[0].*": 0.5})
    assert {g["weight_decay"]: g["names"] for g in groups if g["role"] == "weight"} == {
        LAM / 2: ["a[0].weight"], LAM: ["a0.weight"]
    }  # fmt: skip


def test_a_name_with_bias_inside_is_not_a_bias():
    model = Scale()
    model.relative_bias_table = nn.Parameter(torch.ones(3, 3))
    assert roles(model, rules={Scale: "embedding"})["relative_bias_table"] == "embedding"


# ---- errors --------------------------------------------------------------------------------
def test_the_error_names_every_parameter_without_a_rule_and_its_line_is_one():
    model = nn.Sequential(Scale(), nn.Linear(2, 2), Scale(), nn.ParameterList([torch.ones(2)]))
    with pytest.raises(
        ValueError, match=f"add to `rules`, ROLE among {', '.join(ROLES)}:"
    ) as error:
        param_groups(model, LAM)
    lines = str(error.value).splitlines()[1:]
    assert lines == ['    "Scale": ROLE  # for N.scale (2)', '    "ParameterList": ROLE  # for 3.0']
    rules = eval(
        "{"
        + ",\n".join(line.replace("ROLE", "'slope'") for line in lines).replace(" #", ", #")
        + "\n}"
    )
    assert set(roles(model, rules=rules).values()) == {"slope", "weight", "bias"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"rules": {"0.wieght": "bias"}},
            r"rules: nothing fits \['0\.wieght'\]; names are N\.weight \(4\), ",
        ),
        ({"rules": {nn.Conv2d: "bias"}}, r"rules: nothing fits \[<class '.*Conv2d'>\]"),
        (
            {"rules": {nn.Sequential: "bias"}},
            r"rules: nothing fits",
        ),  # it has no parameter of its own
        ({"rules": {nn.Module: "bias"}}, r"rules: nothing fits"),  # nor has the base of all modules
        ({"rules": {"*Module": "bias"}}, r"rules: nothing fits \['\*Module'\]"),
        (
            {"rules": {nn.Linear: "wieght"}},
            "rules: 'wieght' is not a role; choose among weight, embedding",
        ),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; λ must be a finite number ≥ 0"),
        ({"weight_decay": math.nan}, "weight_decay is nan"),
        (
            {"decay_factors": {"weight": -1}},
            r"decay_factors: {'weight': -1} must be finite numbers ≥ 0",
        ),
        (
            {"decay_factors": {"weight": math.inf, "bias": 1}},
            r"decay_factors: {'weight': inf} must be",
        ),
        (
            {"decay_factors": {"weight": 1, "other": math.nan}},
            r"decay_factors: {'other': nan} must be",
        ),
        (
            {"decay_factors": {"weight": 1, "blocks.*": 1}},
            r"nothing whose role decays fits \['blocks\.\*'\]; roles are weight, ",
        ),
        (
            {"decay_factors": {"weight": 1, "0.*": 1}},
            r"nothing whose role decays fits \['0\.\*'\]",
        ),  # an embedding
        (
            {"decay_factors": {"3.*": 1}},
            r"nothing whose role decays fits \['3\.\*'\]",
        ),  # the default is replaced
        (
            {"decay_factors": {"weight": 1, nn.Linear: 1}},
            r"nothing whose role decays fits \[<class '.*Linear'>\]",
        ),  # no class
    ],
)
def test_errors_say_what_to_do(arguments, words):
    with pytest.raises(ValueError, match=words):
        param_groups(network(), **{"weight_decay": LAM} | arguments)


@pytest.mark.parametrize(
    "model",
    [
        nn.ReLU(),
        nn.Sequential(),
        nn.LayerNorm(3, elementwise_affine=False),
        nn.Linear(2, 2).parameters(),
        None,
    ],
)
def test_what_has_no_parameters_and_what_is_no_model_is_refused(model):
    with pytest.raises(
        ValueError, match=f"the model has no parameters; .* not a {type(model).__name__}"
    ):
        param_groups(model, LAM)


# ---- optimisers ----------------------------------------------------------------------------
def test_the_optimisers_that_ignore_a_decay_are_known():
    has = {
        name: "weight_decay" in inspect.signature(cls).parameters
        for name, cls in OPTIMIZERS.items()
    }
    assert {name for name, decays in has.items() if not decays} == WITHOUT_DECAY


@pytest.mark.parametrize("name", sorted({*OPTIMIZERS} - WITHOUT_DECAY))
def test_every_optimiser_decays_what_it_is_told_and_nothing_else(name):
    """With gradients of zero, one step moves a parameter towards 0 if its group decays, and leaves it alone if not."""
    model = (
        nn.Linear(2, 2)
        if name != "Muon"
        else nn.Sequential(nn.Linear(2, 2, bias=False), nn.Embedding(2, 2))
    )
    groups = param_groups(model, LAM)
    assert [group["weight_decay"] for group in groups] == [LAM, 0]
    optimizer = OPTIMIZERS[name](groups, lr=0.01, **({"lambd": 0} if name == "ASGD" else {}))
    for p in model.parameters():
        p.data.fill_(1), setattr(p, "grad", torch.zeros_like(p))
    optimizer.step()
    decayed, free = (group["params"][0] for group in optimizer.param_groups)
    assert (decayed < 1).all()
    assert (decayed > 0.9).all()
    assert (free == 1).all()
    assert f"{LAM:g}" in str(table(model, optimizer)).splitlines()[1]


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_step_shrinks_by_exactly_1_minus_lr_times_decay(name):
    model = network().double()
    optimizer = getattr(optim, name)(
        param_groups(model, LAM, decay_factors={"weight": 1, "3.*": 0.5, "beta": 2.0}), lr=LR
    )
    for p in model.parameters():
        p.data.fill_(1), setattr(p, "grad", torch.zeros_like(p))
    optimizer.step()
    expected = {
        "1.parametrizations.weight.original1": 1 - LR * LAM,
        "3.weight": 1 - LR * LAM / 2,
        "2.bias": 1 - LR * LAM * 2,
    }
    for key, p in model.named_parameters():
        assert p.detach().flatten().tolist() == [expected.get(key, 1.0)] * p.numel(), key


def test_the_groups_survive_a_checkpoint(tmp_path):
    model = network()
    torch.save(optim.AdamW(param_groups(model, LAM), lr=LR).state_dict(), tmp_path / "state.pt")
    optimizer = optim.AdamW(param_groups(model, 2 * LAM), lr=LR)
    optimizer.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [g["weight_decay"] for g in optimizer.param_groups] == [
        g["weight_decay"] for g in param_groups(model, LAM)
    ]
    assert [g["role"] for g in optimizer.param_groups] == [
        g["role"] for g in param_groups(model, LAM)
    ]


@pytest.mark.parametrize("name", sorted(WITHOUT_DECAY))
def test_the_table_refuses_an_optimiser_that_ignores_the_decay(name):
    model = nn.Linear(2, 2, bias=False)
    with pytest.raises(
        ValueError, match=f"{name} ignores weight_decay; choose an optimiser that has it"
    ):
        table(model, OPTIMIZERS[name](param_groups(model, LAM)))


def test_the_table_refuses_an_optimiser_that_shrinks_everything():
    model = nn.Linear(2, 2)
    with pytest.raises(
        ValueError, match="ASGD shrinks everything by a lambd of its own; give it lambd=0"
    ):
        table(model, optim.ASGD(param_groups(model, LAM)))


@pytest.mark.skipif("Muon" not in OPTIMIZERS, reason="this torch has no Muon")
def test_muon_takes_matrices_and_says_so_otherwise():
    with pytest.raises(ValueError, match="Muon only supports 2D parameters"):
        optim.Muon(param_groups(nn.Linear(2, 2), LAM))


def test_lbfgs_takes_no_groups():
    with pytest.raises(ValueError, match="LBFGS doesn't support per-parameter options"):
        optim.LBFGS(param_groups(nn.Linear(2, 2), LAM))


# ---- the table -----------------------------------------------------------------------------
def test_the_table_to_the_letter():
    model = network()
    assert str(
        table(model, param_groups(model, 0.1, decay_factors={"weight": 1, "3.*": 0.5}))
    ).splitlines() == [
        "role      weight_decay  tensors        numbers  names",
        "weight            0.05        1              6  3.weight",
        "weight             0.1        1              4  1.parametrizations.weight.original1",
        "embedding       frozen        1             10  0.weight",
        "bias                 0        2              5  N.bias (2)",
        "gamma                0        1              2  2.weight",
        "beta                 0        1              2  2.bias",
        "g                    0        1              2  1.parametrizations.weight.original0",
        "slope                0        1              1  4.weight",
        "total                         9             32",
    ]


def test_the_table_shows_what_any_optimiser_does():
    model = nn.ModuleDict(
        {f"layer{i}": nn.Linear(2, 2) for i in range(3)}
        | {"0": nn.Linear(2, 2), "1": nn.Linear(2, 2)}
    )
    weights = [layer.weight for layer in model.values()]
    assert str(table(model, optim.SGD(weights, weight_decay=1e-4))).splitlines()[1:] == [
        "weight          0.0001        5             20  layer0.weight, layer1.weight, …",
        "bias          no group        5             10  layer0.bias, layer1.bias, …",
        "total                        10             30",
    ]
    assert "bias              0.01" in str(table(model, optim.AdamW(model.parameters())))


# ---- roles as data -------------------------------------------------------------------------
def test_roles_by_hand_decide():
    model = nn.Linear(2, 2)
    labels = {"bias": "bias", "weight": "embedding"}
    groups = param_groups(model, LAM, decay_factors={"embedding": 1}, roles=labels)
    assert {g["role"]: g["weight_decay"] for g in groups} == {"embedding": LAM, "bias": 0}
    assert (
        str(table(model, param_groups(model, LAM), roles=labels))
        .splitlines()[1]
        .startswith("embedding ")
    )


CUSTOM = {"Scale": "other"}


def custom():
    """A model that needs a rule, and whose embedding is frozen."""
    model = nn.Sequential(nn.Embedding(3, 2), Scale(), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    return model


ROWS = [
    "weight            0.25        1              4  2.weight",
    "embedding       frozen        1              6  0.weight",
    "bias                 0        2              4  N.bias (2)",
    "other             0.25        1              2  1.scale",
]


@pytest.mark.parametrize("how", ["groups", "optimizer", "roles", "roles of a stranger's optimiser"])
def test_roles_are_computed_once_and_handed_on(how):
    model = custom()
    labels = roles(model, rules=CUSTOM)
    groups = param_groups(model, LAM, decay_factors={"weight": 1, "other": 1}, roles=labels)
    assert groups == param_groups(model, LAM, decay_factors={"weight": 1, "other": 1}, rules=CUSTOM)
    if how == "groups":
        shown = table(model, groups)
    elif how == "optimizer":  # it knows nothing of what is frozen, which a rule need not cover then
        shown = table(model, optim.AdamW(groups, lr=LR))
    elif how == "roles":
        shown = table(model, list(groups), roles=labels)
    else:
        params = [
            {"params": g["params"], "weight_decay": g["weight_decay"], "role": "backbone"}
            for g in groups
        ]
        with pytest.raises(ValueError, match="no rule covers all parameters"):
            table(model, optim.AdamW(params, lr=LR))
        shown = table(model, optim.AdamW(params, lr=LR), roles=labels)
    assert str(shown).splitlines()[1:-1] == ROWS


def test_groups_carry_the_roles_of_what_is_frozen():
    model = custom()
    model[1].requires_grad_(False)
    groups = param_groups(model, LAM, rules=CUSTOM)
    assert groups.roles == roles(model, rules=CUSTOM)
    assert "other           frozen" in str(table(model, groups))
    # An optimiser keeps no role of what is in no group; torch's classes say those that they know.
    shown = str(table(model, optim.AdamW(groups, lr=LR))).splitlines()
    assert shown[-2] == "unknown         frozen        1              2  1.scale"
    assert "embedding       frozen        1              6  0.weight" in shown


@pytest.mark.parametrize(
    "labels", [{}, {"weight": "weight"}, {"weight": "weight", "bias": "bias", "more": "bias"},
               {"weight": "wieght", "bias": "bias"}],
)  # fmt: skip
def test_roles_of_another_model_are_refused(labels):
    model = nn.Linear(2, 2)
    message = (
        "a role must stand for each parameter, and no more; give what l2lib.groups.roles finds"
    )
    with pytest.raises(ValueError, match=message):
        param_groups(model, LAM, roles=labels)
    with pytest.raises(ValueError, match=message):
        table(model, param_groups(model, LAM), roles=labels)


def test_roles_and_rules_together_are_refused():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="give roles= or rules=, not both"):
        param_groups(model, LAM, roles=roles(model), rules={})


# ---- in a notebook -------------------------------------------------------------------------
def test_the_table_is_a_table_in_a_notebook():
    model = nn.ModuleDict({"a<b": nn.Linear(2, 2)})
    shown = table(model, param_groups(model, LAM))
    assert repr(shown) == str(shown)
    assert shown._repr_html_().splitlines() == [
        "<table><caption>What decays: the parameters by their role and weight decay</caption><thead>",
        '<tr><th scope="col">role</th><th scope="col">weight_decay</th><th scope="col">tensors</th>'
        '<th scope="col">numbers</th><th scope="col">names</th></tr>',
        "</thead><tbody>",
        '<tr><th scope="row">weight</th><td>0.25</td><td>1</td><td>4</td><td>a&lt;b.weight</td></tr>',
        '<tr><th scope="row">bias</th><td>0</td><td>1</td><td>2</td><td>a&lt;b.bias</td></tr>',
        '<tr><th scope="row">total</th><td></td><td>2</td><td>6</td><td></td></tr>',
        "</tbody></table>",
    ]


def test_groups_are_a_list_for_torch_and_a_table_in_a_notebook():
    groups = param_groups(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), LAM)
    assert isinstance(groups, list)
    rows = groups._repr_html_().splitlines()
    assert (
        rows[3]
        == '<tr><th scope="row">weight</th><td>0.25</td><td>2</td><td>N.weight (2)</td></tr>'
    )
    assert '<th scope="col">weight_decay</th>' in rows[1]
