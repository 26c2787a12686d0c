"""What a JAX user would write instead: jit(vmap(scan)), the whole run in one call."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from experiments.bench.job import Job, Task

jax.config.update("jax_enable_x64", True)
Parameters = dict[str, Array]


def patches(h: Array, w: Array) -> Array:
    """A 3 × 3 convolution as one matrix product: on a CPU, under vmap, faster than ``lax.conv``."""
    n, channels, height, width = h.shape
    padded = jnp.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifted = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    columns = jnp.stack(shifted, axis=2).reshape(n, channels * 9, height * width)
    return jnp.einsum("of,nfp->nop", w, columns).reshape(n, len(w), height, width)


def convolution(h: Array, w: Array) -> Array:
    """A 3 × 3 convolution."""
    return lax.conv(h, w.reshape(len(w), -1, 3, 3), (1, 1), "SAME")


def forward(
    p: Parameters,
    x: Array,
    image: tuple[int, ...] | None,
    convolve: Callable[[Array, Array], Array],
) -> Array:
    """Outputs (batch, classes) of one model."""
    last = sum(name.startswith("weight") for name in p) - 1
    h = x.reshape(-1, *image) if image else x
    for i in range(last):
        h = convolve(h, p[f"weight{i}"]) if image else h @ p[f"weight{i}"].T
        h += beside(p[f"bias{i}"], h)
        if f"gamma{i}" in p:
            h = beside(p[f"gamma{i}"], h) * normalised(h) + beside(p[f"beta{i}"], h)
        h = jax.nn.relu(h)
        if image:
            h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    if image:
        h = h.mean((2, 3))
    return h @ p[f"weight{last}"].T + p[f"bias{last}"][:, 0]


def beside(vector: Array, h: Array) -> Array:
    """A number for each unit, (units, 1), beside activations (batch, units, …)."""
    return vector[:, 0].reshape(-1, *[1] * (h.ndim - 2))


def normalised(h: Array) -> Array:
    """Batch norm without γ and β."""
    axes = (0, *range(2, h.ndim))
    return (h - h.mean(axes, keepdims=True)) / jnp.sqrt(h.var(axes, keepdims=True) + 1e-5)


def loss_of(outputs: Array, y: Array) -> Array:
    """Cross-entropy with labels; mean squared error with numbers."""
    if jnp.issubdtype(y.dtype, jnp.floating):
        return ((outputs[:, 0] - y) ** 2).mean()
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1).mean()


class Trained(NamedTuple):
    """Parameters, and Adam's two averages of their gradients."""

    p: Parameters
    m: Parameters
    v: Parameters


def sgd(state: Trained, gradients: Parameters, lr: Array) -> Trained:
    """A step of SGD."""
    return state._replace(p={name: w - lr * gradients[name] for name, w in state.p.items()})


def adam(state: Trained, gradients: Parameters, t: Array, lr: Array) -> Trained:
    """Step t of Adam."""
    m = {name: 0.9 * m + 0.1 * gradients[name] for name, m in state.m.items()}
    v = {name: 0.999 * v + 0.001 * gradients[name] ** 2 for name, v in state.v.items()}
    p = {}
    for name, w in state.p.items():
        root = jnp.sqrt(v[name] / (1 - 0.999**t)) + 1e-8
        p[name] = w - lr * m[name] / (1 - 0.9**t) / root
    return Trained(p, m, v)


def decayed(p: Parameters, factor: Array) -> Parameters:
    """Weight matrices times a factor, the rest as it is."""
    return {name: factor * w if name.startswith("weight") else w for name, w in p.items()}


def compiled(job: Job, convolve: Callable[[Array, Array], Array] = convolution) -> Task:
    """Compiles the training of all configurations."""
    X = jnp.asarray(job.X)
    y = jnp.asarray(job.y)
    shared = len(set(job.each.seed.tolist())) == 1  # one seed: all see the same minibatches

    def loss(p: Parameters, x: Array, y: Array) -> Array:
        return loss_of(forward(p, x, job.image, convolve), y)

    def train(p: Parameters, lr: Array, decay: Array, rows: Array) -> Parameters:
        def step(state: Trained, batch: tuple[Array, Array]) -> tuple[Trained, None]:
            t, index = batch
            gradients = jax.grad(loss)(state.p, X[index], y[index])
            state = state._replace(p=decayed(state.p, 1 - lr * decay))
            if job.optimizer == "sgd":
                return sgd(state, gradients, lr), None
            return adam(state, gradients, t, lr), None

        zeros = jax.tree.map(jnp.zeros_like, p)
        times = jnp.arange(1, len(rows) + 1, dtype=lr.dtype)
        end: Trained
        end, _ = lax.scan(step, Trained(p, zeros, zeros), (times, rows))
        return end.p

    first, *_ = job.each.seed
    rows = jnp.asarray(job.rows[first if shared else job.each.seed])
    numbers = (started(job), job.each.lr, job.each.weight_decay)
    arguments = (*jax.tree.map(lambda a: jnp.asarray(a, job.dtype), numbers), rows)
    over = (0, 0, 0, None if shared else 0)
    call = jax.jit(jax.vmap(train, in_axes=over)).lower(*arguments).compile()
    evaluate = jax.jit(jax.vmap(loss, in_axes=(0, None, None)))
    trained: Parameters = {}
    return Task(
        run=lambda: trained.update(jax.block_until_ready(call(*arguments))),
        losses=lambda: evaluate(trained, X[: job.evaluate_on], y[: job.evaluate_on]),
    )


def started(job: Job) -> dict[str, np.ndarray]:
    """Initial parameters of all configurations, with a first axis of K."""
    names = job.initial[0]
    return {name: np.stack([job.initial[seed][name] for seed in job.each.seed]) for name in names}


compiled_patches = partial(compiled, convolve=patches)
