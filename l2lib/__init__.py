"""Helper package of The L2 Book: what an L2 penalty does to a neural network.

Chapters import from its modules, so that a reader sees where each name comes
from; the names are here as well, each imported on its first use:

* ``claims``: sentences that can fail, verdicts on the sources, seeds.
* ``figures``: one style, and pictures with a description in words.
* ``datasets``: offline data as arrays, with source and licence.
* ``splits``: examples for fitting, choosing and testing, which share none.
* ``penalty``: the L2 penalty and its size scalings, the shrink factor, ridge
  regression in closed form.
* ``conventions``: λ from any framework into any other.
* ``groups``: which parameters of a model decay.
* ``invariance``: which parameters of a model are scale-invariant.
* ``audit``: what weight decay does to each tensor of a run of your own.
* ``sweep``: train many configurations at once, ``from l2lib.sweep import sweep``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from l2lib import _spelling

if TYPE_CHECKING:
    from l2lib.audit import Audit, Watch
    from l2lib.claims import claim, identities, interval, rng, seeds, verdict, verdicts
    from l2lib.conventions import CONVENTIONS, convert, describe_conventions, dictionary
    from l2lib.datasets import Dataset, load, make_regression
    from l2lib.groups import param_groups, roles, table
    from l2lib.invariance import Invariances, scale_invariance
    from l2lib.penalty import (
        filter_factors,
        half_life,
        l2_penalty,
        ridge,
        shrink_factor,
        size_factor,
    )
    from l2lib.splits import Split, split, split_of
    from l2lib.sweep import (
        CNN,
        MLP,
        Engine,
        Model,
        cross_entropy,
        half_mse,
        mse,
        predict,
        standardise,
    )

__version__ = "0.1.0"

__all__ = [
    "CNN",
    "CONVENTIONS",
    "MLP",
    "Audit",
    "Dataset",
    "Engine",
    "Invariances",
    "Model",
    "Split",
    "Watch",
    "claim",
    "convert",
    "cross_entropy",
    "describe_conventions",
    "dictionary",
    "filter_factors",
    "half_life",
    "half_mse",
    "identities",
    "interval",
    "l2_penalty",
    "load",
    "make_regression",
    "mse",
    "param_groups",
    "predict",
    "ridge",
    "rng",
    "roles",
    "scale_invariance",
    "seeds",
    "shrink_factor",
    "size_factor",
    "split",
    "split_of",
    "standardise",
    "table",
    "verdict",
    "verdicts",
]

# Where each name is at home. The function sweep is not among them: its package has that name.
_HOMES = {
    "audit": ("Audit", "Watch"),
    "claims": ("claim", "identities", "interval", "rng", "seeds", "verdict", "verdicts"),
    "conventions": ("CONVENTIONS", "convert", "describe_conventions", "dictionary"),
    "datasets": ("Dataset", "load", "make_regression"),
    "figures": (),
    "groups": ("param_groups", "roles", "table"),
    "invariance": ("Invariances", "scale_invariance"),
    "penalty": (
        "filter_factors",
        "half_life",
        "l2_penalty",
        "ridge",
        "shrink_factor",
        "size_factor",
    ),
    "splits": ("Split", "split", "split_of"),
    "sweep": (
        "CNN",
        "MLP",
        "Engine",
        "Model",
        "cross_entropy",
        "half_mse",
        "mse",
        "predict",
        "standardise",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


_spelling.speak()  # all that an import does: where standard output has no λ, it writes lambda


def __getattr__(name: str) -> Any:
    """Import a module or a public name when it is first asked for (PEP 562)."""
    if name in _HOMES:
        return importlib.import_module(f"l2lib.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'l2lib' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"l2lib.{_HOME_OF[name]}"), name)
    globals()[name] = value  # so that this function is not asked again
    return value


def __dir__() -> list[str]:
    """What a notebook offers after ``l2lib.`` and Tab."""
    return sorted([*__all__, *_HOMES, "__version__"])
