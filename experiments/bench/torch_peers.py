"""What a PyTorch user would write instead.

Each contender takes a job and makes a task of it.
"""

from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy, mse_loss

from experiments.bench.job import CHUNK, Job, Task

OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


def network(job: Job, seed: int, running: bool = True) -> nn.Sequential:
    """The model with a seed's initial parameters; ``running`` keeps batch norm's statistics."""
    start = {name: torch.tensor(value) for name, value in job.initial[seed].items()}
    last = job.n_layers - 1
    modules: list[nn.Module] = []
    if job.image:
        modules.append(nn.Unflatten(1, job.image))
    for i in range(last):
        modules += hidden_layer(job, start, i, running)
    if job.image:
        modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    out, fan_in = start[f"weight{last}"].shape
    modules.append(filled(nn.Linear(fan_in, out), start[f"weight{last}"], start[f"bias{last}"]))
    return nn.Sequential(*modules).to(getattr(torch, job.dtype))


def hidden_layer(job: Job, start: dict[str, Tensor], i: int, running: bool) -> list[nn.Module]:
    """Layer i: weights, perhaps batch norm, ReLU, and pooling after a convolution."""
    out, fan_in = start[f"weight{i}"].shape
    layer: nn.Module = nn.Linear(fan_in, out)
    norm: nn.Module = nn.BatchNorm1d(out, track_running_stats=running)
    if job.image:
        layer = nn.Conv2d(fan_in // 9, out, 3, padding=1)
        norm = nn.BatchNorm2d(out, track_running_stats=running)
    modules = [filled(layer, start[f"weight{i}"], start[f"bias{i}"])]
    if job.norm:
        modules.append(filled(norm, start[f"gamma{i}"], start[f"beta{i}"]))
    modules.append(nn.ReLU())
    if job.image:
        modules.append(nn.MaxPool2d(2))
    return modules


def filled(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    """The layer, with these parameters."""
    own = dict(layer.named_parameters())
    own["weight"].data = weight.reshape(own["weight"].shape)
    own["bias"].data = bias.flatten()
    return layer


def loss_of(outputs: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy with labels; mean squared error with numbers."""
    return mse_loss(outputs[:, 0], y) if y.is_floating_point() else cross_entropy(outputs, y)


def train_one(job: Job, c: int) -> nn.Module:
    """The plain loop: configuration c from first step to last. Only weight matrices decay."""
    seed = job.each.seed[c]
    X, y, batches = (torch.from_numpy(a) for a in (job.X, job.y, job.rows[seed]))
    net = network(job, seed)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": job.each.weight_decay[c]},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = OPTIMIZERS[job.optimizer](groups, lr=job.each.lr[c])
    for rows in batches:
        optimizer.zero_grad()
        loss_of(net(X[rows]), y[rows]).backward()
        optimizer.step()
    return net


def plain_loop(job: Job, train: Callable[[Job, int], nn.Module] = train_one) -> Task:
    """One configuration after another, by ``nn.Module`` and ``torch.optim``."""
    return _networks(job, lambda: [train(job, c) for c in range(job.k)])


def joblib_loop(job: Job) -> Task:
    """The plain loop over two processes, which joblib keeps alive."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    def end() -> None:
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)

    Finalize(None, end, exitpriority=1)  # else this process would wait five minutes for them
    # Small arrays travel faster than they are mapped.
    parallel = Parallel(n_jobs=2, max_nbytes=None)
    return _networks(job, lambda: parallel(delayed(train_one)(job, c) for c in range(job.k)))


def skorch_one(job: Job, c: int) -> nn.Module:
    """A ``skorch.NeuralNet`` for one epoch of all minibatches, each a whole, without callbacks."""
    from skorch import NeuralNet

    seed = job.each.seed[c]
    module = network(job, seed)
    vectors = [name for name, p in module.named_parameters() if p.ndim == 1]
    net = NeuralNet(
        module,
        criterion=lambda: loss_of,
        optimizer=OPTIMIZERS[job.optimizer],
        lr=job.each.lr[c],
        optimizer__weight_decay=job.each.weight_decay[c],
        optimizer__param_groups=[(name, {"weight_decay": 0.0}) for name in vectors],
        batch_size=None,
        iterator_train__sampler=list(job.rows[seed]),
        max_epochs=1,
        train_split=None,
        callbacks=None,
        verbose=0,
    )
    trained: nn.Module = net.fit(job.X, job.y).module_
    return trained


skorch_loop = partial(plain_loop, train=skorch_one)


def _networks(job: Job, train: Callable[[], list[nn.Module]]) -> Task:
    """A task that keeps trained networks until it is asked for their losses."""
    kept: list[nn.Module] = []

    def run() -> None:
        kept[:] = train()

    def losses() -> list[float]:
        X, y = (torch.from_numpy(a[: job.evaluate_on]) for a in (job.X, job.y))
        with torch.no_grad():
            return [loss_of(net(X), y).item() for net in kept]

    return Task(run, losses)


def stacked(job: Job) -> Task:
    """``vmap(grad(...))`` of a ``functional_call`` over stacked parameters; own updates."""
    X, y, batches = (torch.from_numpy(a) for a in (job.X, job.y, job.rows))
    lr, decay = (torch.tensor(a, dtype=X.dtype) for a in (job.each.lr, job.each.weight_decay))
    nets = [network(job, seed, running=False) for seed in job.each.seed]
    stack, _ = stack_module_state(nets)
    start = {name: w.detach() for name, w in stack.items()}
    trained: dict[str, Tensor] = {}
    shared = len(batches) == 1  # one seed: all see the same minibatches

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss_of(functional_call(nets[0], parameters, (x,)), y)

    def run() -> None:
        trained.update({name: w.clone() for name, w in start.items()})
        rules = {name: rule_of(job.optimizer, w) for name, w in start.items()}
        gradient = vmap(grad(loss), in_dims=(0, None, None) if shared else 0)
        for t in range(job.steps):
            rows = batches[0, t] if shared else batches[job.each.seed, t]
            gradients = gradient(trained, X[rows], y[rows])
            for name, w in trained.items():
                shape = (-1, *[1] * (w.ndim - 1))
                rate = lr.view(shape)
                if w.ndim > 2:  # with the axis of configurations, a weight matrix
                    w -= rate * decay.view(shape) * w
                rules[name](w, gradients[name], rate)

    m = job.evaluate_on
    return Task(run, lambda: vmap(loss, in_dims=(0, None, None))(trained, X[:m], y[:m]))


def rule_of(optimizer: str, w: Tensor) -> Callable[[Tensor, Tensor, Tensor], None]:
    """What takes a parameter's steps, in place, from its gradient and learning rate."""
    return Adam(w) if optimizer == "adamw" else sgd


def sgd(w: Tensor, g: Tensor, lr: Tensor) -> None:
    """A step of SGD."""
    w -= lr * g


class Adam:
    """Adam for one parameter, without its decay."""

    def __init__(self, w: Tensor) -> None:
        self.m = torch.zeros_like(w)
        self.v = torch.zeros_like(w)
        self.t = 0

    def __call__(self, w: Tensor, g: Tensor, lr: Tensor) -> None:
        """Take the next step."""
        self.t += 1
        self.m.lerp_(g, 0.1)
        self.v.mul_(0.999).addcmul_(g, g, value=0.001)
        root = (self.v / (1 - 0.999**self.t)).sqrt_() + 1e-8
        w -= lr * (self.m / (1 - 0.9**self.t)) / root


class Product(NamedTuple):
    """One matrix product for each configuration of a chunk, and where its result goes."""

    a: Tensor
    b: Tensor
    out: Tensor


def products(job: Job) -> Task:
    """Nothing but the matrix products of an MLP's steps, forth and back, in l2lib's chunks."""
    n_chunks = -(-job.k // CHUNK)
    todo: list[Product] = []
    for chunk in np.array_split(np.arange(job.k), n_chunks):
        for i in range(job.n_layers):
            todo += products_of(job, i, len(chunk))

    def run() -> None:
        for _ in range(job.steps):
            for product in todo:
                torch.bmm(product.a, product.b, out=product.out)

    return Task(run, list)


def products_of(job: Job, i: int, k: int) -> list[Product]:
    """The products of layer i for k configurations."""
    out, fan_in = job.initial[0][f"weight{i}"].shape
    dtype = getattr(torch, job.dtype)
    w = torch.randn(k, out, fan_in, dtype=dtype)
    h = torch.randn(k, fan_in, job.batch_size, dtype=dtype)
    g = torch.randn(k, out, job.batch_size, dtype=dtype)
    pairs = [(w, h), (g, h.mT)]
    if i > 0:  # nobody asks for the inputs' gradient
        pairs.append((w.mT, g))
    return [Product(a, b, a @ b) for a, b in pairs]
