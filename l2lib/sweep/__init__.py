"""Train many configurations at once: ``from l2lib.sweep import MLP, sweep``.

The engine is behind this one door.

A call goes ``experiment`` (what a chapter says) → ``recipe`` and ``job`` (frozen pieces that check
themselves) → ``workers`` (chunks, side by side) → ``training`` (one chunk) → ``models`` and
``updates`` (the arithmetic), and comes back by ``records``.
"""

from l2lib.sweep.cnn import CNN
from l2lib.sweep.experiment import sweep
from l2lib.sweep.models import MLP, Model, cross_entropy, half_mse, mse, standardise
from l2lib.sweep.prediction import predict
from l2lib.sweep.recipe import Engine

__all__ = [
    "CNN",
    "MLP",
    "Engine",
    "Model",
    "cross_entropy",
    "half_mse",
    "mse",
    "predict",
    "standardise",
    "sweep",
]
