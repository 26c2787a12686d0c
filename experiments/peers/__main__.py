"""Keras and Optax against l2lib.conventions: trained beside PyTorch with the converted number.

    python -m experiments.peers    in the environment of requirements.txt beside it

It prints one line a comparison; the exit code is 1 if one fails.

It ends with what ``experiments.peers.trainer_groups`` and ``watched`` compare.

Optax computes in 64-bit floats here. Keras is told to, and still rounds parts of a step to 32 bits:
it agrees to 1e-7.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

os.environ["KERAS_BACKEND"] = "torch"

import jax
import keras
import numpy as np
import optax
import torch
from numpy.typing import NDArray

from experiments.peers import trainer_groups, watched
from l2lib.conventions import convert

Array = NDArray[np.float64]
jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
keras.utils.set_random_seed(0)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 4))
START = RNG.standard_normal(4)
Y = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * RNG.standard_normal(24)
LR = 2.0**-6
LAM = 0.25
STEPS = 200
SCHEDULE = [0.5 * (1 + np.cos(np.pi * t / STEPS)) for t in range(STEPS)]
ADAM = {"epsilon": 1e-8}  # PyTorch's and Optax's; Keras has another
BY_SHARE = [
    "keras_optimizer",
    "optax_adafactor",
    "optax_adamw",
    "optax_between",
    "optax_lion",
    "optax_muon",
]


def in_torch(
    optimizer: str, decay: float, schedule: bool = False, momentum: float = 0.0, l1: float = 0.0
) -> Array:
    """PyTorch's weights after full-batch steps on ``MSELoss``, plus ``l1`` times Σ|w|."""
    w = torch.nn.Parameter(torch.tensor(START))
    more = {"momentum": momentum} if optimizer == "SGD" else {}
    rule = getattr(torch.optim, optimizer)([w], lr=LR, weight_decay=decay, **more)
    (group,) = rule.param_groups
    for factor in SCHEDULE if schedule else [1.0] * STEPS:
        group["lr"] = LR * factor
        rule.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.tensor(X) @ w, torch.tensor(Y))
        (loss + l1 * w.abs().sum()).backward()
        rule.step()
    return w.detach().numpy()


def beside(decay: float, momentum: float) -> Array:
    """SGD with momentum and the decay beside it, written out."""
    w = START.copy()
    v = np.zeros(4)
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
    (weights,) = layer.get_weights()
    return np.asarray(weights)[:, 0]


def in_optax(rule: optax.GradientTransformation) -> Array:
    """Weights after the same steps with Optax."""
    w = jax.numpy.asarray(START)
    state = rule.init(w)
    gradient = jax.jit(jax.grad(lambda w: jax.numpy.mean((X @ w - Y) ** 2)))
    for _ in range(STEPS):
        updates, state = rule.update(gradient(w), state, w)
        w = optax.apply_updates(w, updates)
    return np.asarray(w)


def schedule(t: Any) -> Any:
    """The learning rate of step t, falling along a cosine."""
    return LR * 0.5 * (1 + jax.numpy.cos(jax.numpy.pi * t / STEPS))


def to(source: str, target: str, optimizer: str | None = None, momentum: float = 0.0) -> float:
    """LAM, from one convention to another, beside the mean squared error."""
    return convert(LAM, source, target, lr=LR, loss="mse", optimizer=optimizer, momentum=momentum)


@dataclass(frozen=True)
class Comparison:
    """What must agree: weights from PyTorch or written out, and from the peer."""

    words: str
    ours: Callable[[], Array]
    theirs: Callable[[], Array]

    @property
    def tolerance(self) -> float:
        """Keras rounds parts of a step to 32 bits."""
        return 1e-6 if self.words.startswith("Keras") else 1e-12


def keras_comparisons() -> list[Comparison]:
    """With Keras, its regularisers and its optimisers' own decay."""
    sgd = keras.optimizers.SGD
    adam = keras.optimizers.Adam
    adamw = keras.optimizers.AdamW
    l2 = keras.regularizers.L2(to("torch_sgd", "keras_l2"))
    l1 = keras.regularizers.L1(LAM)
    by_sgd = to("torch_sgd", "keras_optimizer", optimizer="sgd")
    by_adamw = to("torch_adamw", "keras_optimizer")
    by_momentum = to("keras_optimizer", "fastai")
    return [
        Comparison("Keras L2, SGD", lambda: in_torch("SGD", LAM), lambda: in_keras(sgd(LR), l2)),
        Comparison(
            "Keras L2, Adam",
            lambda: in_torch("Adam", LAM),
            lambda: in_keras(adam(LR, **ADAM), l2),
        ),
        Comparison(
            "Keras L1, SGD", lambda: in_torch("SGD", 0, l1=LAM), lambda: in_keras(sgd(LR), l1)
        ),
        Comparison(
            "Keras optimiser, SGD",
            lambda: in_torch("SGD", LAM),
            lambda: in_keras(sgd(LR, weight_decay=by_sgd)),
        ),
        Comparison(
            "Keras optimiser, SGD, momentum 0.9",
            lambda: beside(LAM, 0.9),
            lambda: in_keras(sgd(LR, momentum=0.9, weight_decay=by_momentum)),
        ),
        Comparison(
            "Keras AdamW",
            lambda: in_torch("AdamW", LAM),
            lambda: in_keras(adamw(LR, weight_decay=by_adamw, **ADAM)),
        ),
    ]


def optax_comparisons() -> list[Comparison]:
    """With Optax, which decays before a rule, after it, or in its AdamW."""
    by_adamw = to("torch_adamw", "optax_adamw")
    after = optax.add_decayed_weights(to("torch_adamw", "optax_after"))
    before = optax.add_decayed_weights(to("torch_sgd", "optax_before"))
    inside = optax.add_decayed_weights(to("torch_adam", "optax_before"))
    return [
        Comparison(
            "Optax adamw",
            lambda: in_torch("AdamW", LAM),
            lambda: in_optax(optax.adamw(LR, weight_decay=by_adamw)),
        ),
        Comparison(
            "Optax adamw, cosine schedule",
            lambda: in_torch("AdamW", LAM, schedule=True),
            lambda: in_optax(optax.adamw(schedule, weight_decay=by_adamw)),
        ),
        Comparison(
            "Optax, decayed weights before sgd",
            lambda: in_torch("SGD", LAM),
            lambda: in_optax(optax.chain(before, optax.sgd(LR))),
        ),
        Comparison(
            "Optax, before sgd with momentum",
            lambda: in_torch("SGD", LAM, momentum=0.9),
            lambda: in_optax(optax.chain(before, optax.sgd(LR, momentum=0.9))),
        ),
        Comparison(
            "Optax, before adam",
            lambda: in_torch("Adam", LAM),
            lambda: in_optax(optax.chain(inside, optax.adam(LR))),
        ),
        Comparison(
            "Optax, after adam",
            lambda: in_torch("AdamW", LAM),
            lambda: in_optax(optax.chain(optax.adam(LR), after)),
        ),
    ]


class Finding(NamedTuple):
    """What was found of one thing, and whether it is as it should be."""

    words: str
    passed: bool
    found: str


def compared(comparison: Comparison) -> Finding:
    """Train both ways."""
    distance = np.abs(comparison.ours() - comparison.theirs()).max()
    passed = bool(distance < comparison.tolerance)
    return Finding(comparison.words, passed, f"largest difference {distance:.0e}")


def share_in_optax(rule: optax.GradientTransformation) -> float:
    """What the second step takes from a weight that the loss ignores."""
    w = jax.numpy.ones((4, 3))
    state = rule.init(w)
    for _ in range(2):
        before = w
        updates, state = rule.update(jax.numpy.zeros((4, 3)), state, w)
        w = optax.apply_updates(w, updates)
    return float(1 - (w / before).mean())


def share_in_keras(optimizer: keras.Optimizer) -> float:
    """The same with Keras."""
    w = keras.Variable(np.ones((4, 3)))
    optimizer.build([w])
    optimizer.apply([keras.ops.zeros((4, 3))], [w])
    return float(1 - keras.ops.convert_to_numpy(w).mean())


def shares() -> list[Finding]:
    """The share of a step, in every way of saying it that is not trained above."""
    share = 2.0**-10
    number = {name: convert(share, "adamw_paper", name, lr=LR) for name in BY_SHARE}
    adamw, rate = number["optax_adamw"], optax.scale(-LR)
    between = optax.chain(
        optax.trace(0.9), optax.add_decayed_weights(number["optax_between"]), rate
    )
    adafactor = optax.adafactor(LR, weight_decay_rate=number["optax_adafactor"])
    slower = optax.adafactor(LR / 4, weight_decay_rate=number["optax_adafactor"])
    by_keras = number["keras_optimizer"]
    found = {
        "Optax lion": share_in_optax(optax.lion(LR, weight_decay=number["optax_lion"])),
        "Optax muon": share_in_optax(optax.contrib.muon(LR, weight_decay=number["optax_muon"])),
        "Optax nadamw": share_in_optax(optax.nadamw(LR, weight_decay=adamw)),
        "Optax, between trace and scale": share_in_optax(between),
        "Optax adafactor": share_in_optax(adafactor),
        "Optax adafactor, a quarter of the rate": share_in_optax(slower),
        "Keras Lion": share_in_keras(keras.optimizers.Lion(LR, weight_decay=by_keras)),
        "Keras Muon": share_in_keras(keras.optimizers.Muon(LR, weight_decay=by_keras)),
    }
    return [
        Finding(
            words, abs(each / share - 1) < 1e-6, f"share over that asked for {each / share:.6f}"
        )
        for words, each in found.items()
    ]


def half() -> Finding:
    """optax.l2_loss has the ½."""
    penalty = float(optax.l2_loss(jax.numpy.asarray(START)).sum())
    ratio = penalty / float(np.square(START).sum())
    return Finding("optax.l2_loss", abs(ratio - 0.5) < 1e-12, f"over ‖w‖²: {ratio:.6f}")


def growth() -> Finding:
    """A decay after Adam that is given a positive λ is added to the weights."""
    undecayed = in_torch("Adam", 0.0)
    after = optax.add_decayed_weights(LR * LAM)
    grown = in_optax(optax.chain(optax.adam(LR), after))
    grows = bool(np.linalg.norm(grown) > np.linalg.norm(undecayed))
    return Finding("Optax, after adam, λ > 0", grows, "the weights grow")


def glorot() -> Finding:
    """Keras's initial weights have the variance 2/(n_in + n_out)."""
    layer = keras.layers.Dense(800)
    layer.build((None, 50))
    weights, _ = layer.get_weights()
    spread = float(np.var(weights)) * (50 + 800) / 2
    found = f"variance × (n_in + n_out)/2 = {spread:.2f}"
    return Finding("Keras, default initialisation", abs(spread - 1) < 0.05, found)


def main() -> int:
    """Print what agrees; 1 if something does not."""
    findings = [compared(each) for each in keras_comparisons() + optax_comparisons()]
    findings += [*shares(), half(), growth(), glorot()]
    for finding in findings:
        state = "passed" if finding.passed else "FAILED"
        print(f"{state}  {finding.words:36} {finding.found}")
    failed = not all(finding.passed for finding in findings)
    return int(failed) | trainer_groups.main() | watched.main()


if __name__ == "__main__":
    sys.exit(main())
