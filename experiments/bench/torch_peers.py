"""What a PyTorch user would write instead.

Each contender takes a job and returns a function that trains all configurations, and one that then gives their losses.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy, mse_loss

Task = tuple[Callable[[], None], Callable[[], Any]]
OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


def network(job: SimpleNamespace, seed: int, running: bool = True) -> nn.Sequential:
    """The model with a seed's initial parameters; ``running`` lets batch norm keep running statistics."""
    start = {name: torch.tensor(value) for name, value in job.initial[seed].items()}
    n_layers = sum(name.startswith("weight") for name in start)
    modules: list[nn.Module] = [nn.Unflatten(1, job.image)] if job.image else []
    for i in range(n_layers):
        out, fan_in = start[f"weight{i}"].shape
        hidden = i + 1 < n_layers
        convolution = bool(job.image) and hidden
        layers = [nn.Conv2d(fan_in // 9, out, 3, padding=1) if convolution else nn.Linear(fan_in, out)]
        if hidden and job.norm:
            layers.append((nn.BatchNorm2d if convolution else nn.BatchNorm1d)(out, track_running_stats=running))
        for layer, (weight, bias) in zip(layers, [("weight", "bias"), ("gamma", "beta")], strict=False):
            layer.weight.data = start[f"{weight}{i}"].reshape(layer.weight.shape)
            layer.bias.data = start[f"{bias}{i}"].flatten()
        modules += layers + [nn.ReLU()] * hidden + [nn.MaxPool2d(2)] * convolution
    if job.image:
        modules[-1:-1] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*modules).to(getattr(torch, job.dtype))


def loss_of(outputs: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy with labels; mean squared error with numbers."""
    return mse_loss(outputs[:, 0], y) if y.is_floating_point() else cross_entropy(outputs, y)


def train_one(job: SimpleNamespace, c: int) -> nn.Module:
    """The plain loop: configuration c from its first step to its last. Only weight matrices decay."""
    X, y, batches = (torch.from_numpy(a) for a in (job.X, job.y, job.rows[job.seed_of[c]]))
    net = network(job, job.seed_of[c])
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": job.weight_decay[c]}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = OPTIMIZERS[job.optimizer](groups, lr=job.lr[c])
    for rows in batches:
        optimizer.zero_grad()
        loss_of(net(X[rows]), y[rows]).backward()
        optimizer.step()
    return net


def plain_loop(job: SimpleNamespace, train: Callable[[SimpleNamespace, int], nn.Module] = train_one) -> Task:
    """One configuration after another, by ``nn.Module`` and ``torch.optim``."""
    return _networks(job, lambda: [train(job, c) for c in range(job.k)])


def joblib_loop(job: SimpleNamespace) -> Task:
    """The plain loop over two processes, which joblib keeps alive."""
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=2, max_nbytes=None)  # small arrays travel faster than they are mapped
    return _networks(job, lambda: parallel(delayed(train_one)(job, c) for c in range(job.k)))


def skorch_one(job: SimpleNamespace, c: int) -> nn.Module:
    """A ``skorch.NeuralNet`` for one epoch of all minibatches, each fetched as a whole, without callbacks."""
    from skorch import NeuralNet

    module = network(job, job.seed_of[c])
    vectors = [(name, {"weight_decay": 0.0}) for name, p in module.named_parameters() if p.ndim == 1]
    net = NeuralNet(
        module, criterion=lambda: loss_of, optimizer=OPTIMIZERS[job.optimizer], lr=job.lr[c],
        optimizer__weight_decay=job.weight_decay[c], optimizer__param_groups=vectors,
        batch_size=None, iterator_train__sampler=list(job.rows[job.seed_of[c]]),
        max_epochs=1, train_split=None, callbacks=None, verbose=0,
    )  # fmt: skip
    return net.fit(job.X, job.y).module_


skorch_loop = partial(plain_loop, train=skorch_one)


def _networks(job: SimpleNamespace, train: Callable[[], list[nn.Module]]) -> Task:
    """A task that keeps trained networks until it is asked for their losses."""
    kept: list[nn.Module] = []

    def run() -> None:
        kept[:] = train()

    def losses() -> list[float]:
        X, y = (torch.from_numpy(a[: job.evaluate_on]) for a in (job.X, job.y))
        with torch.no_grad():
            return [loss_of(net(X), y).item() for net in kept]

    return run, losses


def stacked(job: SimpleNamespace) -> Task:
    """``vmap(grad(...))`` of a ``functional_call`` over stacked parameters; the update is written out."""
    X, y, batches = (torch.from_numpy(a) for a in (job.X, job.y, job.rows))
    lr, decay = (torch.tensor(a, dtype=X.dtype) for a in (job.lr, job.weight_decay))
    nets = [network(job, seed, running=False) for seed in job.seed_of]
    start = {name: w.detach() for name, w in stack_module_state(nets)[0].items()}
    trained: dict[str, Tensor] = {}

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss_of(functional_call(nets[0], parameters, (x,)), y)

    def run() -> None:
        trained.update({name: w.clone() for name, w in start.items()})
        averages = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in start.items()}
        shared = len(batches) == 1
        gradient = vmap(grad(loss), in_dims=(0, None, None) if shared else 0)
        for t in range(job.steps):
            rows = batches[0, t] if shared else batches[job.seed_of, t]
            gradients = gradient(trained, X[rows], y[rows])
            for name, w in trained.items():
                shape = (-1, *[1] * (w.ndim - 1))
                own_decay = decay.view(shape) if w.ndim > 2 else None
                update(job.optimizer, w, gradients[name], *averages[name], t + 1, lr.view(shape), own_decay)

    m = job.evaluate_on
    return run, lambda: vmap(loss, in_dims=(0, None, None))(trained, X[:m], y[:m])


def update(
    optimizer: str, w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, lr: Tensor, decay: Tensor | None
) -> None:
    """Step t of SGD or AdamW, in place."""
    if decay is not None:
        w -= lr * decay * w
    if optimizer == "sgd":
        w -= lr * g
        return
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    w -= lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt_() + 1e-8)


def products(job: SimpleNamespace) -> Task:
    """Nothing but the matrix products of an MLP's steps, forward and backward, in chunks as l2lib takes them."""
    tasks = []
    for chunk in np.array_split(np.arange(job.k), -(-job.k // job.chunk)):
        for i in range(sum(name.startswith("weight") for name in job.initial[0])):
            out, fan_in = job.initial[0][f"weight{i}"].shape
            shapes = (out, fan_in), (fan_in, job.batch_size), (out, job.batch_size)
            w, h, g = (torch.randn(len(chunk), *shape, dtype=getattr(torch, job.dtype)) for shape in shapes)
            pairs = [(w, h), (g, h.mT), (w.mT, g)][: 3 if i else 2]  # nobody asks for the inputs' gradient
            tasks += [(a, b, a @ b) for a, b in pairs]

    def run() -> None:
        for _ in range(job.steps):
            for a, b, out in tasks:
                torch.bmm(a, b, out=out)

    return run, list
