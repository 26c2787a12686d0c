"""Train many configurations at once; the engine behind one door."""

from l2lib.sweep.cnn import CNN
from l2lib.sweep.models import MLP, cross_entropy, mse
from l2lib.sweep.training import sweep

__all__ = ["CNN", "MLP", "cross_entropy", "mse", "sweep"]
