"""Keras and Optax against the rows of l2lib.conventions: each trained beside PyTorch with the converted number.

    python -m experiments.peers    in the environment of requirements.txt beside it; one line a comparison, exit code 1
                                   if one fails

It ends with what ``experiments.peers.trainer_groups`` compares.

Optax computes in 64-bit floats here. Keras is told to, and still rounds parts of a step to 32 bits: it agrees to 1e-7.
"""

import os
import sys
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "torch"

import jax
import keras
import numpy as np
import optax
import torch
from numpy.typing import NDArray

from experiments.peers import trainer_groups
from l2lib.conventions import convert

Array = NDArray[np.float64]
jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
keras.utils.set_random_seed(0)

RNG = np.random.default_rng(0)
X, START = RNG.standard_normal((24, 4)), RNG.standard_normal(4)
Y = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.standard_normal(24)
LR, LAM, STEPS = 2.0**-6, 0.25, 200
SCHEDULE = [0.5 * (1 + np.cos(np.pi * t / STEPS)) for t in range(STEPS)]


def in_torch(
    optimizer: str, decay: float, schedule: bool = False, momentum: float = 0.0, penalty: float = 0.0
) -> Array:
    """PyTorch's weights after full-batch steps on ``MSELoss``, plus ``penalty`` times Σ|w|."""
    w = torch.nn.Parameter(torch.tensor(START))
    more = {"momentum": momentum} if optimizer == "SGD" else {}
    rule = getattr(torch.optim, optimizer)([w], lr=LR, weight_decay=decay, **more)
    for t in range(STEPS):
        rule.param_groups[0]["lr"] = LR * (SCHEDULE[t] if schedule else 1)
        rule.zero_grad()
        (torch.nn.functional.mse_loss(torch.tensor(X) @ w, torch.tensor(Y)) + penalty * w.abs().sum()).backward()
        rule.step()
    return w.detach().numpy()


def beside(decay: float, momentum: float) -> Array:
    """SGD with momentum and the decay beside it, written out."""
    w, v = START.copy(), np.zeros(4)
    for _ in range(STEPS):
        v = momentum * v + 2 * X.T @ (X @ w - Y) / len(Y)
        w = (1 - LR * decay) * w - LR * v
    return w


def in_keras(optimizer: keras.Optimizer, regularizer: keras.Regularizer | None = None) -> Array:
    """Keras's weights after the same steps."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.set_weights([START[:, None]])
    model.compile(optimizer=optimizer, loss="mse")
    model.fit(X, Y[:, None], batch_size=len(Y), epochs=STEPS, shuffle=False, verbose=0)
    return np.asarray(layer.get_weights()[0])[:, 0]


def in_optax(rule: optax.GradientTransformation) -> Array:
    """Weights after the same steps with Optax."""
    w = jax.numpy.asarray(START)
    state = rule.init(w)
    gradient = jax.jit(jax.grad(lambda w: jax.numpy.mean((X @ w - Y) ** 2)))
    for _ in range(STEPS):
        updates, state = rule.update(gradient(w), state, w)
        w = optax.apply_updates(w, updates)
    return np.asarray(w)


def schedule(t: int) -> float:
    """The learning rate of step t, falling along a cosine."""
    return LR * 0.5 * (1 + jax.numpy.cos(jax.numpy.pi * t / STEPS))


def to(source: str, target: str, **options: str) -> float:
    """LAM, from one convention to another, beside the mean squared error."""
    return convert(LAM, source, target, lr=LR, loss="mse", **options)


def comparisons() -> list[tuple[str, Callable[[], Array], Callable[[], Array]]]:
    """What is compared: in words, in PyTorch or written out, and in the peer."""
    sgd, adamw = keras.optimizers.SGD, keras.optimizers.AdamW
    eps = {"epsilon": 1e-8}
    l2, l1 = keras.regularizers.L2(to("torch_sgd", "keras_l2")), keras.regularizers.L1(LAM)
    by_sgd = to("torch_sgd", "keras_optimizer", optimizer="sgd")
    after = to("torch_adamw", "optax_after")
    before = optax.add_decayed_weights(to("torch_sgd", "optax_before"))
    inside = optax.add_decayed_weights(to("torch_adam", "optax_before"))
    return [
        ("Keras L2, SGD", lambda: in_torch("SGD", LAM), lambda: in_keras(sgd(LR), l2)),
        ("Keras L2, Adam", lambda: in_torch("Adam", LAM), lambda: in_keras(keras.optimizers.Adam(LR, **eps), l2)),
        ("Keras L1, SGD", lambda: in_torch("SGD", 0, penalty=LAM), lambda: in_keras(sgd(LR), l1)),
        ("Keras optimiser, SGD", lambda: in_torch("SGD", LAM), lambda: in_keras(sgd(LR, weight_decay=by_sgd))),
        ("Keras optimiser, SGD, momentum 0.9", lambda: beside(LAM, 0.9),
         lambda: in_keras(sgd(LR, momentum=0.9, weight_decay=to("keras_optimizer", "fastai")))),
        ("Keras AdamW", lambda: in_torch("AdamW", LAM),
         lambda: in_keras(adamw(LR, weight_decay=to("torch_adamw", "keras_optimizer"), **eps))),
        ("Optax adamw", lambda: in_torch("AdamW", LAM),
         lambda: in_optax(optax.adamw(LR, weight_decay=to("torch_adamw", "optax_adamw")))),
        ("Optax adamw, cosine schedule", lambda: in_torch("AdamW", LAM, schedule=True),
         lambda: in_optax(optax.adamw(schedule, weight_decay=to("torch_adamw", "optax_adamw")))),
        ("Optax, decayed weights before sgd", lambda: in_torch("SGD", LAM),
         lambda: in_optax(optax.chain(before, optax.sgd(LR)))),
        ("Optax, before sgd with momentum", lambda: in_torch("SGD", LAM, momentum=0.9),
         lambda: in_optax(optax.chain(before, optax.sgd(LR, momentum=0.9)))),
        ("Optax, before adam", lambda: in_torch("Adam", LAM),
         lambda: in_optax(optax.chain(inside, optax.adam(LR)))),
        ("Optax, after adam", lambda: in_torch("AdamW", LAM),
         lambda: in_optax(optax.chain(optax.adam(LR), optax.add_decayed_weights(after)))),
    ]  # fmt: skip


def main() -> int:
    """Print what agrees; 1 if something does not."""
    failed = 0
    for words, ours, theirs in comparisons():
        distance = np.abs(ours() - theirs()).max()
        agrees = bool(distance < (1e-6 if words.startswith("Keras") else 1e-12))
        failed += not agrees
        print(f"{'passed' if agrees else 'FAILED'}  {words:36} largest difference {distance:.0e}")
    undecayed = in_torch("Adam", 0.0)
    grown = in_optax(optax.chain(optax.adam(LR), optax.add_decayed_weights(LR * LAM)))
    grows = bool(np.linalg.norm(grown) > np.linalg.norm(undecayed))
    print(f"{'passed' if grows else 'FAILED'}  {'Optax, after adam, λ > 0':36} the weights grow")
    layer = keras.layers.Dense(800)
    layer.build((None, 50))
    spread = float(np.var(layer.get_weights()[0])) * (50 + 800) / 2
    glorot = abs(spread - 1) < 0.05
    found = f"variance × (n_in + n_out)/2 = {spread:.2f}"
    print(f"{'passed' if glorot else 'FAILED'}  {'Keras, default initialisation':36} {found}")
    return int(failed > 0 or not grows or not glorot) | trainer_groups.main()


if __name__ == "__main__":
    sys.exit(main())
