"""The audit: an identity that holds for whatever trains, verdicts on runs whose end is known, and training that it never changes."""

import contextlib
import copy
import itertools
import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn, optim
from torch.nn import functional

from l2lib import figures
from l2lib._laws import Kind, step_of
from l2lib._turns import _sums, budget
from l2lib.audit import Audit, Watch, compare, picture

LR, LAM = 0.05, 0.1
NAN = math.nan
# Every optimiser of torch that has weight_decay, coupled and decoupled.
OPTIMIZERS = {
    "SGD": (optim.SGD, {}, Kind.COUPLED),
    "SGD, momentum": (optim.SGD, {"momentum": 0.9, "dampening": 0.1}, Kind.COUPLED),
    "SGD, Nesterov": (optim.SGD, {"momentum": 0.8, "nesterov": True}, Kind.COUPLED),
    "SGD, upwards": (optim.SGD, {"maximize": True}, Kind.COUPLED),
    "ASGD": (optim.ASGD, {"lambd": 0.01}, Kind.COUPLED),
    "AdamW": (optim.AdamW, {}, Kind.DECOUPLED),
    "AdamW, fused": (optim.AdamW, {"fused": True}, Kind.DECOUPLED),
    "AdamW, amsgrad": (optim.AdamW, {"amsgrad": True}, Kind.DECOUPLED),
    "NAdam, decoupled": (optim.NAdam, {"decoupled_weight_decay": True}, Kind.DECOUPLED),
    "RAdam, decoupled": (optim.RAdam, {"decoupled_weight_decay": True}, Kind.DECOUPLED),
    "Adafactor": (getattr(optim, "Adafactor", None), {}, Kind.RELATIVE),
    "Adam": (optim.Adam, {}, Kind.DIVIDED),
    "Adamax": (optim.Adamax, {}, Kind.DIVIDED),
    "NAdam": (optim.NAdam, {}, Kind.DIVIDED),
    "RAdam": (optim.RAdam, {}, Kind.DIVIDED),
    "Adadelta": (optim.Adadelta, {}, Kind.DIVIDED),
    "Adagrad": (optim.Adagrad, {}, Kind.DIVIDED),
    "RMSprop": (optim.RMSprop, {"momentum": 0.5}, Kind.DIVIDED),
}
OPTIMIZERS = {name: row for name, row in OPTIMIZERS.items() if row[0] is not None}
REFUSED = {"Complex": ("Adafactor", "AdamW, fused"), "Idle": ("Adafactor",)}  # by torch itself


def optimizer_of(name, parameters, lr=LR, weight_decay=LAM):
    cls, options, _ = OPTIMIZERS[name]
    return cls(parameters, lr=lr, weight_decay=weight_decay, **options)


def deep():
    return nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 2, bias=False),
        nn.GroupNorm(2, 4),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).to(memory_format=torch.channels_last)


def tied():
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3))
    model[2].weight = model[0].weight
    return model


def frozen():
    model = deep()
    model[0].weight.requires_grad_(False)
    return model


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 4).to(torch.complex64)
        for p in self.inner.parameters():  # both parts
            nn.init.normal_(p, std=0.3)
        self.outer = nn.Linear(4, 3)

    def forward(self, X):
        return self.outer(self.inner(X.to(self.inner.weight.dtype)).abs().to(X.dtype))


class Idle(nn.Module):
    """With a part that gets no gradient, an empty one, and one that begins at zero."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(6, 3)
        nn.init.zeros_(self.used.bias)
        self.idle = nn.Linear(6, 3)
        self.empty = nn.Parameter(torch.zeros(0, 3))

    def forward(self, X):
        return self.used(X) + self.empty.sum()


MODELS = {f.__name__: f for f in (deep, convolutional, tied, frozen, Complex, Idle)}


def data(name, seed=0, n=12):
    make = torch.Generator().manual_seed(seed)
    shape = (n, 1, 2, 3) if name == "convolutional" else (n, 6)
    X = torch.randn(shape, generator=make, dtype=torch.float64)
    return X, torch.randint(0, 3, (n,), generator=make)


def to_double(model):
    """In 64 bits, complex numbers in 128."""
    for p in model.parameters():
        p.data = p.data.to(torch.complex128 if p.is_complex() else torch.float64)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.data = buffer.data.double()
    return model


def prepared(name, seed=0):
    torch.manual_seed(seed)
    return to_double(MODELS[name]()), *data(name, seed)


def train(model, optimizer, X, y, steps=1, after=lambda i: None):
    for i in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(X), y).backward()
        optimizer.step()
        after(i)


def vector(p):
    numbers = p.detach().clone().reshape(-1)
    return torch.view_as_real(numbers).reshape(-1).numpy() if p.is_complex() else numbers.numpy()


def turn_of(a, b):
    """-ln cos θ, by the angle's tangent."""
    if not a.any() or a @ b <= 0:
        return NAN
    along = a @ b / (a @ a)
    off = b - along * a
    return 0.5 * math.log1p(off @ off / (along**2 * (a @ a)))


# ---- the identity --------------------------------------------------------------------------
def residual(found):
    return abs(found.turn - (found.decay + found.push + found.growth))


@given(st.floats(1e-12, 1.5), st.floats(0.2, 5), st.floats(0, 0.9), st.integers(2, 40))
def test_small_and_large_angles_are_measured_to_rounding(angle, stretch, rate, size):
    before = torch.zeros(size, dtype=torch.float64)
    before[0] = 3.0
    after = torch.zeros_like(before)
    after[0], after[1] = 3 * stretch * math.cos(angle), 3 * stretch * math.sin(angle)
    found = budget(before, after, math.log1p(-rate))
    assert math.isclose(found.turn, -math.log(math.cos(angle)), rel_tol=1e-6, abs_tol=1e-15)
    assert math.isclose(found.growth, math.log(stretch), abs_tol=1e-12)
    assert math.isclose(found.decay, -math.log1p(-rate), abs_tol=1e-15)
    assert residual(found) < 1e-9


@pytest.mark.parametrize("stretch", [1e-12, 1e-7, 2e-3, 500.0, 1e7, 1e12])
@pytest.mark.parametrize("angle", [1e-3, 0.5, 1.4])
def test_a_tensor_that_grows_or_shrinks_a_lot(stretch, angle):
    before = torch.tensor([3.0, 0.0], dtype=torch.float64)
    after = 3 * stretch * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    found = budget(before, after, 0.0)
    assert math.isclose(found.turn, -math.log(math.cos(angle)), abs_tol=1e-9)
    assert residual(found) < 1e-9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([0.0, 0], [1.0, 0]),
        ([1.0, 0], [0.0, 0]),
        ([1.0, 0], [-1.0, 1]),
        ([1.0, 0], [0.0, 1]),
        ([1.0, 0], [1e-13, 1]),
        ([1.0, 0], [1e-20, 1e-6]),
        ([1.0, 1e-30], [1e-25, 1e9]),
        ([1.0, NAN], [1.0, 0]),
        ([1.0, 0], [math.inf, 0]),
        ([math.inf, 0], [math.inf, 0]),
    ],
)
def test_what_has_no_angle_below_a_right_one_has_no_budget(old, new):
    found = budget(torch.tensor(old), torch.tensor(new), 0.0)
    assert all(math.isnan(part) for part in found[1:])
    assert math.isclose(found.norm, math.hypot(*new), rel_tol=1e-6) or math.isnan(found.norm)


def test_one_step_is_the_formula_itself():
    model = nn.Linear(5, 4, bias=False).double()
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    w = model.weight.detach().clone()
    model(torch.ones(3, 5).double()).square().sum().backward()
    u = LR * model.weight.grad
    optimizer.step()
    watch.step()
    each = watch.result().data.isel(tensor=0)
    ratio = ((w * u).sum() / w.square().sum()).item()
    cosine = functional.cosine_similarity(
        w.flatten(), model.weight.detach().flatten(), dim=0
    ).item()
    growth = (model.weight.norm() / w.norm()).log().item()
    assert math.isclose(each.turn, -math.log(cosine), rel_tol=1e-9)
    assert math.isclose(each.turn, -math.log(1 - LR * LAM - ratio) + growth, rel_tol=1e-9)
    assert math.isclose(each.push, -math.log(1 - LR * LAM - ratio) + math.log(1 - LR * LAM))
    assert math.isclose(each.angle, math.acos(cosine), rel_tol=1e-6)


@pytest.mark.parametrize("shape", [(50,), (25, 2), (5, 2, 5), (1, 50), (50, 1)])
def test_numbers_are_summed_over_all_chunks(monkeypatch, shape):
    monkeypatch.setattr("l2lib._turns._CHUNK", 7)
    old, new = torch.randn(2, *shape)
    found = torch.tensor(_sums(old, new), dtype=torch.float64)
    old, new = old.double().flatten(), new.double().flatten()
    step = new - old
    assert torch.allclose(
        found, torch.stack([old @ old, step @ step, old @ step, old @ new, new @ new]), rtol=1e-12
    )


def test_another_order_in_memory_is_no_turn():
    model = nn.Conv2d(3, 4, 2, bias=False).double()
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    before = vector(model.weight)
    push(model)
    optimizer.step()
    model.to(memory_format=torch.channels_last)
    watch.step()
    assert watch.result().data.turn.item() == pytest.approx(turn_of(before, vector(model.weight)))


# ---- training is not changed ------------------------------------------------------------------
def trained(rule, watches):
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    X, y = data("")
    X = X.float()
    optimizer = optimizer_of(rule, model.parameters())
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    watch = Watch(model, optimizer) if watches else None

    def after(i):
        schedule.step()
        if watch and i % 3 == 2:
            watch.step()
        if watch and i == 14:
            still = copy.deepcopy(model).eval()
            assert still is not model
            str(watch.result())

    train(model, optimizer, X, y, 20, after)
    state = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    state += [
        v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)
    ]
    return [*state, torch.get_rng_state()]


@pytest.mark.parametrize("rule", sorted(OPTIMIZERS))
def test_training_is_the_same_to_the_last_bit(rule):
    for plain, watched in zip(trained(rule, False), trained(rule, True), strict=True):
        assert torch.equal(plain, watched)


def test_a_loss_is_asked_on_a_copy():
    torch.manual_seed(0)
    model, X, y = prepared("deep")
    optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    watch = Watch(model, optimizer)
    train(model, optimizer, X, y, 4, lambda i: watch.step())
    before = [
        t.clone() for t in [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    ]
    noise = torch.get_rng_state()
    found = watch.result(lambda m: functional.cross_entropy(m(X), y)).data
    after = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(noise, torch.get_rng_state())
    kinds = dict(
        zip(found.tensor.values.tolist(), found.scale_invariant.values.tolist(), strict=True)
    )
    assert kinds["0.weight"] == "each unit"
    assert kinds["3.bias"] == "no"
    assert kinds["1.weight"] == "together"


# ---- what is counted ----------------------------------------------------------------------------
def one(lr=LR, weight_decay=LAM, rule=optim.SGD, **options):
    """A weight whose gradient the test sets."""
    torch.manual_seed(0)
    model = nn.Linear(8, 8, bias=False).double()
    return model, rule(model.parameters(), lr=lr, weight_decay=weight_decay, **options)


def push(model, scale=0.01):
    for p in model.parameters():
        p.grad = scale * torch.randn_like(p)


def look(model, optimizer, watch, times=1):
    """Take a step with drawn gradients, and look; so many times."""
    for _ in range(times):
        push(model)
        optimizer.step()
        watch.step()


def test_asgd_has_a_second_decay_and_a_rate_of_its_own():
    model, optimizer = one(rule=optim.ASGD, lambd=0.3, alpha=0.5)
    watch = Watch(model, optimizer)
    rates = 0.0
    w = model.weight.detach().clone()
    for _ in range(5):
        model.weight.grad = torch.zeros_like(w)  # only decay is left
        optimizer.step()
        watch.step()
        rates += optimizer.state[model.weight]["eta"].item() * (LAM + 0.3)
    each = watch.result().data.isel(tensor=0)
    assert each.sum_lr_decay.item() == pytest.approx(rates)
    assert each.sum_lr_decay.item() == pytest.approx(
        (w.norm() / model.weight.norm()).log().item(), rel=0.03
    )
    assert each.decays == "0.4"


def test_a_schedule_between_two_looks_is_summed_exactly():
    model, optimizer = one()
    watch = Watch(model, optimizer, total_steps=100)
    total, kept = 0.0, 1.0
    for i in range(50):
        optimizer.param_groups[0]["lr"] = LR * (i + 1) / 50
        optimizer.param_groups[0]["weight_decay"] = LAM * (1 + math.sin(i))
        rate = optimizer.param_groups[0]["lr"] * optimizer.param_groups[0]["weight_decay"]
        total, kept = total + rate, kept * (1 - rate)
        push(model)
        optimizer.step()
        if i in (6, 49):
            watch.step()
    each = watch.result().data.isel(tensor=0)
    assert math.isclose(each.N, total, rel_tol=1e-12)
    assert math.isclose(each.decay, -math.log(kept), rel_tol=1e-12)
    assert each.step.values.tolist() == [7, 50]
    recent = each.share_at.values[-1] / 43
    assert math.isclose(each.sum_lr_decay, total, rel_tol=1e-12)
    assert math.isclose(each.time_scale, 1 / recent)
    assert math.isclose(each.time_share, 1 / recent / 100)
    assert math.isclose(each.N_end, total + 50 * recent)


def test_lr_may_be_a_tensor():
    model, optimizer = one(lr=torch.tensor(0.05), rule=optim.AdamW)
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    assert math.isclose(watch.result().data.N.item(), 0.05 * LAM, rel_tol=1e-6)


def test_groups_have_their_own_rates_and_may_come_later():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "c": nn.Linear(3, 3)})
    a, b = [*model["a"].parameters()], [*model["b"].parameters()]
    optimizer = optim.AdamW(
        [{"params": a, "weight_decay": 0.0}, {"params": b, "lr": 0.2}], lr=0.1, weight_decay=0.3
    )
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    optimizer.add_param_group({"params": [*model["c"].parameters()], "weight_decay": 0.5})
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # makes new groups
    look(model, optimizer, watch)
    look(model, optimizer, watch)
    found = watch.result().data
    rates = found.sum_lr_decay.sel(tensor=["a.weight", "b.weight", "c.weight"]).values
    assert np.allclose(rates, [0, 3 * 0.06, 2 * 0.05])
    assert found.decays.sel(tensor=["a.weight", "b.weight", "c.weight"]).values.tolist() == [
        "no",
        "0.3",
        "0.5",
    ]
    assert found.verdict.sel(tensor="a.weight") == "does not decay"
    assert np.isfinite(found.turn_at.sel(tensor="c.weight").values).tolist() == [False, False, True]
    assert found.residual.max() < 1e-6


def test_a_tensor_without_a_gradient_is_not_decayed():
    model, X, y = prepared("Idle")
    optimizer = optim.AdamW(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    train(model, optimizer, X, y, 3)
    watch.step()
    found = watch.result().data
    assert found.decays.sel(tensor=["used.weight", "idle.weight"]).values.tolist() == [
        "0.1",
        "no step",
    ]
    assert found.sum_lr_decay.sel(tensor="idle.weight") == 0
    assert found.norm.sel(tensor="idle.weight") == model.idle.weight.norm().item()
    assert "empty" not in found.tensor


def test_frozen_and_what_is_in_no_group():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "c": nn.Linear(3, 3)})
    model["b"].requires_grad_(False)
    optimizer = optim.SGD([*model["a"].parameters()], lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    found = watch.result().data
    assert found.decays.values.tolist() == [
        "0.1",
        "0.1",
        "frozen",
        "frozen",
        "no step",
        "no step",
    ]
    assert found.verdict.values.tolist()[2:] == ["does not move"] * 4


def test_what_thaws_is_watched_from_then_on():
    model, X, y = prepared("deep")
    model[0].requires_grad_(False)
    optimizer = optim.AdamW(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    train(model, optimizer, X, y, 2, lambda i: watch.step())
    model[0].requires_grad_(True)
    train(model, optimizer, X, y, 3, lambda i: watch.step())
    each = watch.result().data.sel(tensor="0.weight")
    assert each.steps_at.values.tolist() == [0, 0, 1, 1, 1]
    assert np.isfinite(each.turn_at.values).tolist() == [False] * 3 + [True] * 2
    assert each.N.item() == pytest.approx(3 * LR * LAM)
    assert each.decays == "0.1"


def test_a_closure_is_one_step_and_sparse_gradients_are_gradients():
    model, X, y = prepared("deep")
    optimizer = optim.LBFGS(model.parameters(), lr=0.1)
    watch = Watch(model, optimizer)

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    watch.step()
    found = watch.result().data
    assert found.steps == 1
    assert {*found.verdict.values.tolist()} == {"does not decay"}
    assert found.residual.max() < 1e-9
    table = nn.Embedding(9, 4, sparse=True)
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    watch = Watch(table, optimizer)
    table(torch.tensor([1, 2])).square().sum().backward()
    optimizer.step()
    watch.step()
    assert watch.result().data.turn.item() > 0


def scaled(fused):
    model = nn.Linear(4, 4, bias=False)
    optimizer = optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    watch = Watch(model, optimizer)
    for i in range(6):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).square().sum()
        scaler.scale(loss * (math.inf if i in (2, 3) else 1)).backward()
        scaler.step(optimizer)
        scaler.update()
        watch.step()
    return watch


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_scaler_skips_do_not_count(fused):
    found = scaled(fused).result().data
    assert found.step.values.tolist() == [1, 2, 3, 4]
    assert math.isclose(found.N.item(), 4 * 0.05)


def test_looks_count_steps_not_calls_of_backward():
    model, X, y = prepared("deep")
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    watch.step()  # before any step: nothing happens
    for i in range(12):
        functional.cross_entropy(model(X), y).backward()
        if i % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
        watch.step()
    assert watch.result().data.step.values.tolist() == [1, 2, 3]


# ---- wrappers and odd tensors ------------------------------------------------------------------
def test_a_compiled_model_has_its_own_names():
    model, X, y = prepared("deep")
    model[3] = torch.compile(model[3], backend="eager")
    whole = torch.compile(model, backend="eager")
    optimizer = optim.SGD(whole.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(whole, optimizer, names="3.*")
    train(whole, optimizer, X, y, 2)
    watch.step()
    found = watch.result().data
    assert found.tensor.values.tolist() == ["3.weight", "3.bias"]
    assert found.role.values.tolist() == ["weight", "bias"]


def test_a_loss_is_asked_of_what_wrappers_hold():
    model, X, y = prepared("deep")
    model[0] = torch.compile(model[0], backend="eager")
    whole = nn.DataParallel(model)
    optimizer = optim.SGD(whole.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(whole, optimizer)
    train(model, optimizer, X, y, 2)
    watch.step()
    found = watch.result(lambda m: functional.cross_entropy(m(X), y)).data
    assert "0.weight" in found.tensor
    assert found.scale_invariant.sel(tensor="0.weight") == "each unit"
    assert "?" not in found.scale_invariant


def test_a_compiled_step_is_counted():
    model, optimizer = one(rule=optim.AdamW)
    watch = Watch(model, optimizer)
    step = torch.compile(optimizer.step, backend="eager")
    for i in range(6):
        push(model)
        step()
        if i % 3 == 2:
            watch.step()
    each = watch.result().data.isel(tensor=0)
    assert each.steps_at.values.tolist() == [3, 3]
    assert each.N.item() == pytest.approx(6 * LR * LAM)


def test_what_has_no_dense_real_numbers_is_left_out():
    model = nn.Linear(3, 3)
    model.table = nn.Parameter(torch.eye(3).to_sparse(), requires_grad=False)
    model.codes = nn.Parameter(torch.arange(4), requires_grad=False)
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    for p in (model.weight, model.bias):
        p.grad = torch.ones_like(p)
    optimizer.step()
    watch.step()
    assert watch.result().data.tensor.values.tolist() == ["weight", "bias"]
    with pytest.raises(ValueError, match="names: nothing fits 'codes'; names are weight, bias"):
        Watch(model, optimizer, names="codes")


@pytest.fixture
def process_group(tmp_path):
    if not torch.distributed.is_gloo_available():
        pytest.skip("torch has no gloo")
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_ddp_on_one_process(process_group):
    model, X, y = prepared("deep")
    wrapped = nn.parallel.DistributedDataParallel(model)
    optimizer = optim.AdamW(wrapped.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(wrapped, optimizer)
    train(wrapped, optimizer, X, y, 3, lambda i: watch.step())
    found = watch.result().data
    assert found.tensor.values.tolist() == [n for n, _ in model.named_parameters()]
    assert found.residual.max() < 1e-9


def test_what_wraps_an_optimiser_is_looked_into():
    model, optimizer = one()
    wrapper = type(
        "Wrapper", (), {"optimizer": optimizer, "param_groups": optimizer.param_groups}
    )()
    watch = Watch(nn.DataParallel(model), wrapper)
    look(model, optimizer, watch)
    assert watch.result().data.N.item() == pytest.approx(LR * LAM)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_weights_of_few_digits_are_measured_in_many(dtype):
    torch.manual_seed(0)
    model = nn.Linear(300, 40, bias=False).to(dtype)
    optimizer = optim.SGD(model.parameters(), lr=0.5, weight_decay=LAM)
    watch = Watch(model, optimizer)
    before = vector(model.weight.double())
    push(model, 0.1)
    optimizer.step()
    watch.step()
    each = watch.result().data.isel(tensor=0)
    assert math.isclose(each.turn, turn_of(before, vector(model.weight.double())), rel_tol=1e-9)
    assert each.residual < 1e-9


def test_a_model_that_is_converted_or_resized_is_followed():
    model, optimizer = one()
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    model.float()
    model.weight.grad = None
    look(model, optimizer, watch)
    assert watch.result().data.residual < 1e-6
    model.weight.data = torch.randn(3, 8)  # another size: the turn is not known
    model.weight.grad = torch.zeros(3, 8)
    optimizer.step()
    watch.step()
    assert np.isfinite(watch.result().data.turn_at.values[0]).tolist() == [True, True, False]


def test_one_copy_of_what_is_watched_is_kept_and_no_more():
    model, X, y = prepared("deep")
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer, names=["0.weight", "*.bias"])
    train(model, optimizer, X, y, 2, lambda i: watch.step())
    copies = {each.name: each.before for each in watch._tracked.values()}
    assert copies.keys() == {"0.weight", "1.bias", "3.bias"}
    parameters = dict(model.named_parameters())
    assert all(t.dtype == parameters[n].dtype for n, t in copies.items())
    assert all(t.numel() == parameters[n].numel() for n, t in copies.items())


def test_frozen_tensors_are_not_copied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    watch = Watch(model, optim.SGD(model.parameters(), lr=LR))
    copied = {each.name for each in watch._tracked.values() if each.before is not None}
    assert copied == {"1.weight", "1.bias"}


# ---- the hook ------------------------------------------------------------------------------------
def test_close_takes_the_hooks_off():
    model, optimizer = one()
    hooks = [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
    watches = Watch(model, optimizer), Watch(model, optimizer)
    assert [*map(len, hooks)] == [2, 2]
    push(model)
    optimizer.step()
    for watch in watches:
        watch.step()
        watch.close()
        watch.close()
    assert [*map(len, hooks)] == [0, 0]
    assert [watch.result().data.steps for watch in watches] == [1, 1]


# ---- an optimiser that is not torch's --------------------------------------------------------------
class Lion(optim.Optimizer):
    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * p.grad.sign())


def test_of_another_optimiser_only_the_weights_are_read():
    model, optimizer = one(rule=Lion)
    watch = Watch(model, optimizer)
    look(model, optimizer, watch, times=3)
    each = watch.result().data.isel(tensor=0)
    assert each.verdict == "λ is unknown: only w was read"
    assert each.decays == "unknown"
    assert math.isnan(each.N)
    assert math.isnan(each.angle_predicted)
    assert each.decay == 0
    assert each.residual < 1e-9
    assert each.turn > 0


def test_a_class_of_ones_own_with_torchs_step_is_torchs():
    class Mine(optim.AdamW):
        pass

    class Changed(optim.AdamW):
        def step(self, closure=None):
            return super().step(closure)

    for cls, kind in ((Mine, Kind.DECOUPLED), (Changed, Kind.UNKNOWN), (Mine, Kind.DECOUPLED)):
        model, optimizer = one(rule=cls)
        assert step_of(optimizer, optimizer.param_groups[0]).law.kind is kind
        watch = Watch(model, optimizer)
        for _ in range(3):
            push(model)
            optimizer.step()
        watch.step()
        assert watch.result().data.step.values.tolist() == [3]  # though torch's step is in ours
        assert watch.result().data.steps_at.values.tolist() == [[3]]


def test_a_step_that_failed_is_not_counted_and_the_next_are():
    model, optimizer = one()
    watch = Watch(model, optimizer)

    def fails():
        raise RuntimeError

    look(model, optimizer, watch)
    with pytest.raises(RuntimeError):
        optimizer.step(fails)
    watch.step()
    for _ in range(2):
        push(model)
        optimizer.step()
    watch.step()
    assert watch.result().data.step.values.tolist() == [1, 3]


def test_complex_numbers_count_with_both_parts():
    model = nn.Linear(4, 3, bias=False).to(torch.complex128)
    optimizer = optim.SGD(model.parameters(), lr=LR, weight_decay=LAM)
    watch = Watch(model, optimizer)
    before = vector(model.weight)
    push(model, 1.0)
    optimizer.step()
    watch.step()
    each = watch.result().data.isel(tensor=0)
    assert each.turn.item() == pytest.approx(turn_of(before, vector(model.weight)))
    assert each.norm.item() == pytest.approx(np.linalg.norm(vector(model.weight)))


def test_optimisers_without_decay():
    model, optimizer = nn.Linear(3, 2), None
    optimizer = optim.Rprop(model.parameters(), lr=0.01)
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    found = watch.result().data
    assert found.decays.values.tolist() == ["no", "no"]
    assert found.verdict.values.tolist() == ["does not decay"] * 2
    assert found.residual.max() < 1e-9


# ---- for runs whose end is known ---------------------------------------------------------------------
def walk(optimizer, w, steps, watch, invariant=True, every=10):
    """Gradients of an invariant loss: of length 1/‖w‖, at right angles to w, otherwise random."""
    for i in range(steps):
        g = torch.randn_like(w)
        if invariant:
            g -= (g * w).sum() / w.square().sum() * w.detach()
            w.grad = g / (g.norm() * w.detach().norm())
        else:
            w.grad = g
        optimizer.step()
        if i % every == every - 1:
            watch.step()


def walking(rule, start, lr, weight_decay, total=None, **options):
    torch.manual_seed(0)
    model = nn.Linear(40, 50, bias=False).double()
    with torch.no_grad():
        model.weight.mul_(start / model.weight.norm())
    optimizer = rule(model.parameters(), lr=lr, weight_decay=weight_decay, **options)
    return model.weight, optimizer, Watch(model, optimizer, total_steps=total)


# ---- table and picture ----------------------------------------------------------------------------
@pytest.fixture
def audit():
    w, optimizer, watch = walking(optim.SGD, 2.0, 0.1, 0.05)
    walk(optimizer, w, 100, watch)
    return watch.result()


def test_every_variable_is_described(audit):
    assert all(
        len(v.attrs["description"].split()) >= 3 for n, v in audit.data.items() if n[-3:] != "_at"
    )
    assert {"turn_at", "decay_at", "push_at", "growth_at", "norm_at", "predicted_at"} <= {
        *audit.data
    }


def test_a_dash_stands_where_there_is_no_number_and_no_column_of_them(audit):
    assert "RMS/√(η/2λ)" not in str(audit)  # by SGD there is none
    assert "by the end" not in str(audit)  # nobody said how long the run is
    assert len({len(row) for row in audit.table.rows}) == 1
    assert audit.table.columns[0] == "tensor"
    assert audit.table.columns[-1] == "verdict"


def test_the_picture_shows_the_numbers(audit, monkeypatch):
    shown = []
    monkeypatch.setattr("l2lib.figures.display", lambda *a, **k: shown.append(a))
    with mpl.rc_context({"backend": "agg"}):
        fig, words = picture(audit)
        left, right = fig.axes
        each = audit.data.isel(tensor=0)
        assert figures.drawn(left)["turn, their sum"].x.tolist() == [each.turn.item()]
        assert figures.drawn(right)["measured"].x.tolist() == [each.angle.item()]
        assert figures.drawn(right)["equilibrium, if invariant"].x.tolist() == [
            each.angle_predicted.item()
        ]
        bars = {c.get_label(): c.patches[0].get_width() for c in left.containers}
        parts = {part: each[part].item() for part in ("decay", "push", "growth")}
        assert bars == pytest.approx(parts)
        spans = [sorted((b.get_x(), b.get_x() + b.get_width())) for b in left.patches]
        apart = sorted(span for span in spans if span[1] - span[0] > 1e-5)
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(apart))  # end to end
        assert [t.get_text() for t in left.get_yticklabels()] == ["weight"]
        figures.show(fig, words)
        assert shown
        plt.close("all")
    assert f"{each.turn.item():.2g}" in words


def test_many_tensors_leave_the_picture_those_that_turn_most():
    torch.manual_seed(0)
    before = {f"w{i}": torch.randn(20) for i in range(40)}
    after = {n: t + 0.01 * (i + 1) * torch.randn(20) for i, (n, t) in enumerate(before.items())}
    found = compare(before, after, lr=0.1, weight_decay=0.1, steps=10)
    with mpl.rc_context({"backend": "agg"}):
        fig, words = picture(found)
        names = [t.get_text() for t in fig.axes[0].get_yticklabels()]
        title = fig.axes[1].get_title("left")
        plt.close("all")
    assert len(names) == 30
    most = found.data.tensor.values[np.argsort(found.data.turn.values)[-30:]]
    assert {*names} == {*most.tolist()}
    assert "30 tensors of 40" in words
    ratios = (found.data.angle / found.data.angle_predicted).sel(tensor=most).values
    assert f"{np.median(ratios):.2g}" != f"{np.mean(ratios):.2g}"
    assert f"in the median {np.median(ratios):.2g} times" in words
    assert title == f"Turns {np.median(ratios):.2g} × equilibrium's (median)"


# ---- errors ----------------------------------------------------------------------------------------
def two_on_one_memory():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight.data = model[0].weight.data
    return Watch(model, optim.SGD(model.parameters(), lr=0.1))


def sharded():
    model, optimizer = one()
    model.weight.ds_id = 1
    return Watch(model, optimizer)


def lazy():
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 3))
    return Watch(model, optim.SGD(model.parameters(), lr=0.1))


def watch_with(**options):
    model, optimizer = one()
    return Watch(model, optimizer, **options)


def stepped():
    model, optimizer = one()
    watch = Watch(model, optimizer)
    look(model, optimizer, watch)
    return watch


def both(**changed):
    state = {"w": torch.ones(3)}
    options = {
        "before": state,
        "after": state,
        "lr": 0.1,
        "weight_decay": 0.1,
        "steps": 5,
        **changed,
    }
    return compare(options.pop("before"), options.pop("after"), **options)


ERRORS = [
    (
        lambda: Watch("model", one()[1]),
        "the model has no parameters; give an nn.Module that has some, not a str",
    ),
    (
        lambda: Watch(nn.ReLU(), one()[1]),
        "the model has no parameters; give an nn.Module that has some",
    ),
    (
        lambda: Watch(one()[0], "adamw"),
        "optimizer is 'adamw'; give a torch.optim.Optimizer, or what wraps",
    ),
    (
        lambda: Watch(one()[0], one()[1]),
        "optimizer: none of its tensors is one of the model's .*make the opt",
    ),
    (two_on_one_memory, "two Parameters on one memory, .*make them one"),
    (
        sharded,
        "weight has no numbers here, or some of them; run or gather the model first, give names=",
    ),
    (lazy, "0.weight, 0.bias has no numbers here, or some of them; run or gather the model"),
    (lambda: watch_with(names=["*.bias"]), r"names: nothing fits '\*.bias'; names are weight"),
    (lambda: watch_with(names=[]), r"names is \[\]; give names or globs"),
    (lambda: watch_with(names=3), "names is 3; give names or globs"),
    (lambda: watch_with(names=[3]), r"names is \[3\]; give names or globs"),
    (lambda: watch_with(total_steps=0), "total_steps is 0; it must be a whole number ≥ 1"),
    (
        lambda: watch_with(total_steps="100"),
        "total_steps is '100'; it must be a whole number ≥ 1 without",
    ),
    (lambda: watch_with(roles={"w": "weight"}), "roles: a role must stand for each parameter"),
    (lambda: watch_with(roles=3), "roles: a role must stand for each parameter"),
    (
        lambda: watch_with().result(),
        r"watch: no step was seen yet; call optimizer.step\(\) and then",
    ),
    (lambda: stepped().result(3), "loss is 3; give a function from the model to its loss, or None"),
    (
        lambda: stepped().result(lambda m: torch.tensor(1.0)),
        "loss does not depend on the parameters",
    ),
    (lambda: both(lr=0), "lr is 0; it must be a finite number > 0"),
    (
        lambda: both(lr="1e-3"),
        "lr is '1e-3'; it must be a finite number > 0 without quotation marks",
    ),
    (lambda: both(weight_decay=-1), "weight_decay is -1; it must be a finite number ≥ 0"),
    (lambda: both(steps=0.5), "steps is 0.5; it must be a whole number ≥ 1"),
    (lambda: both(total_steps=0), "total_steps is 0; it must be a whole number ≥ 1"),
    (
        lambda: both(steps=5, total_steps=4),
        "total_steps is 4, below steps, 5; count it from the first",
    ),
    (lambda: both(momentum=1), r"momentum is 1; it must be in \[0, 1\)"),
    (lambda: both(optimizer="adam"), "optimizer is 'adam'; choose one of adamw, sgd"),
    (lambda: both(before=[1]), r"before is \[1\]; give what model.state_dict\(\) returns"),
    (lambda: both(after={"w": 3}), "after is {'w': 3}, without real or complex numbers; give what"),
    (lambda: both(after={}), "after is {}, without real or complex numbers; give what model"),
    (lambda: both(no_decay="v"), "no_decay: nothing fits 'v'; names are w"),
    (lambda: both(no_decay=[]), r"no_decay is \[\]; give names or globs"),
    (
        lambda: both(no_decay=torch.ones(2)),
        r"no_decay is tensor\(\[1., 1.\]\); give names or globs",
    ),
    (lambda: both(no_decay=3), r"no_decay is 3; give names or globs, such as \["),
    (lambda: picture("audit"), "audit is 'audit'; give what Watch.result or compare returned"),
    (lambda: picture(both()), "picture: no tensor turned between two looks; look at tensors that"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_weight_that_is_not_finite_is_told():
    model, optimizer = one()
    watch = Watch(model, optimizer)
    model.weight.grad = torch.full_like(model.weight, NAN)
    optimizer.step()
    for _ in range(20):
        optimizer.step()
    watch.step()
    told = watch.result().data
    assert told.verdict.item().startswith("cannot be told")
    with contextlib.suppress(ValueError):
        picture(watch.result())
    assert isinstance(watch.result(), Audit)


# ---- the identity, whatever trains -------------------------------------------------------------
@settings(max_examples=50, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.sampled_from(sorted(OPTIMIZERS)),
    st.sampled_from(sorted(MODELS)),
    st.integers(1, 4),
    st.integers(0, 99),
    st.sampled_from([1e-4, 1e-2, 0.05]),
)
def test_the_budget_closes_and_is_what_the_weights_did(rule, name, every, seed, lr):
    model, X, y = prepared(name, seed)
    if rule in REFUSED.get(name, ()):
        return
    optimizer = optimizer_of(rule, model.parameters(), lr=lr)
    watch = Watch(model, optimizer)
    seen = {n: [vector(p)] for n, p in model.named_parameters()}

    def after(i):
        if i % every == every - 1:
            watch.step()
            for n, p in model.named_parameters():
                seen[n].append(vector(p))

    train(model, optimizer, X, y, 3 * every, after)
    found = watch.result().data
    assert found.step.values.tolist() == [every, 2 * every, 3 * every]
    for n in found.tensor.values:
        p = model.get_parameter(n)
        if p.requires_grad and p.grad is not None:
            check_budget(found.sel(tensor=n), seen[n], p.numel())
            if rule != "ASGD":
                check_decay(found.sel(tensor=n), lr * LAM, every)
        else:
            assert found.verdict.sel(tensor=n) == "does not move"
            assert math.isnan(found.turn.sel(tensor=n))


def check_budget(each, seen, size):
    """Against the weights themselves."""
    pairs = list(itertools.pairwise(seen))
    turns = np.array([turn_of(*pair) for pair in pairs])
    told = np.isfinite(each.turn_at.values)
    assert np.isfinite(turns).tolist() == told.tolist()
    assert np.allclose(each.turn_at.values[told], turns[told], atol=1e-9, rtol=1e-7)
    growths = [
        math.log(np.linalg.norm(b) / np.linalg.norm(a)) if a.any() else NAN for a, b in pairs
    ]
    assert np.allclose(each.growth_at.values[told], np.array(growths)[told], atol=1e-9)
    assert abs(each.norm - np.linalg.norm(seen[-1])) < 1e-9
    assert abs(each.rms - math.sqrt(np.square(seen[-1]).sum() / size)) < 1e-9
    if told.any():
        assert each.residual < 1e-9
        assert abs(each.turn - (each.decay + each.push + each.growth)) < 1e-9
        assert math.isclose(each.turn, turns[told].sum(), rel_tol=1e-7, abs_tol=1e-9)


def check_decay(each, rate, every):
    """Against η and λ."""
    assert abs(each.sum_lr_decay - 3 * every * rate) < 1e-12
    decays = each.decay_at.values[np.isfinite(each.turn_at.values)]
    assert np.allclose(decays, -every * math.log1p(-rate), atol=1e-12)
