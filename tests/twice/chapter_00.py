"""Chapter 0's network a second time, for longer than the chapter trains it: on scikit-learn's digits, in plain torch."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Array = NDArray[Any]

WIDTHS = (64, 256, 32, 10)
STEPS = 3000


@cache
def later(momentum: float, first: float) -> Array:
    """RMS of the three layers' weights under AdamW (η = 0.01, λ = 0.6), at each of the last 1500 of 3000 steps.

    Args:
        momentum: Adam's β₁; without it v remembers about 100 steps, as in §0.5, and else 1000, as in §0.3.
        first: by what the first layer's starting weights are multiplied.
    """
    data = load_digits()
    pixels = torch.tensor((data.data - data.data.mean(0)) / 16)
    labels = torch.tensor(data.target)
    rng = np.random.default_rng(5)
    weights = [
        torch.tensor(rng.uniform(-1, 1, (outputs, inputs)) / inputs**0.5)
        for inputs, outputs in pairwise(WIDTHS)
    ]
    weights[0] *= first
    for w in weights:
        w.requires_grad_(True)
    memory = (momentum, 0.999 if momentum else 0.99)
    rule = torch.optim.AdamW(weights, lr=0.01, weight_decay=0.6, betas=memory)
    found = []
    for _ in range(STEPS):
        batch = torch.tensor(rng.integers(len(labels), size=64))
        hidden = ((pixels[batch] @ weights[0].T).relu() @ weights[1].T).relu()
        rule.zero_grad()
        torch.nn.functional.cross_entropy(hidden @ weights[2].T, labels[batch]).backward()
        rule.step()
        found.append([(w.detach() ** 2).mean().item() ** 0.5 for w in weights])
    return np.array(found[STEPS // 2 :])
