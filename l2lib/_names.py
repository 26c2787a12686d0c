"""Names that a reader may try, and the rows of a table that are nearest to them."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

REASONS = {
    "lamb": "LAMB multiplies step and decay by each tensor's trust ratio: no share is constant",
    "lars": "LARS multiplies step and penalty by each layer's trust ratio: no share is constant",
    "schedulefree": "schedule-free AdamW subtracts lr·λ·y from z and averages: the share that"
    " an ignored weight loses is not constant (its SGD is 'schedulefree_sgd')",
    "prodigy": "Prodigy estimates the learning rate that multiplies λ: no share is constant",
    "dadaptation": "it estimates the learning rate that multiplies λ: no share is constant",
    "adan": "Adan divides by 1 + lr·λ: the share is lr·λ/(1 + lr·λ); with no_prox=True it is lr·λ,"
    " which is 'timm'",
    "asgd": "torch's ASGD has a decay of its own, lambd, beside its weight_decay",
    "lightning": "Lightning has no λ of its own: name the optimiser in configure_optimizers",
    "accelerate": "Accelerate has no λ of its own: name the optimiser that it prepares",
    "flax": "Flax has no λ of its own: name the Optax chain",
    "jax": "JAX has no λ of its own: name the Optax chain, or the penalty in the loss",
    "elastic": "an elastic net has two λ: convert its L2 part and its L1 part, each by its own row",
    "svm": "a hinge loss has no equivalent beside the squared error or the cross-entropy",
    "svc": "a hinge loss has no equivalent beside the squared error or the cross-entropy",
}
"""Why a name has no row, by a word of it."""

ROWS_OF = {
    "lightning": ("torch_sgd", "torch_adamw"),
    "accelerate": ("torch_sgd", "torch_adamw"),
    "flax": ("optax_adamw", "optax_before", "optax_l2_loss"),
    "jax": ("optax_adamw", "optax_before", "optax_l2_loss"),
    "haiku": ("optax_adamw", "optax_before", "optax_l2_loss"),
    "huggingface": ("hf_trainer",),
    "transformers": ("hf_trainer",),
    "tensorflow": ("keras_l2", "keras_optimizer", "tf_l2_loss"),
    "pytorch": ("torch_sgd", "torch_adam", "torch_adamw"),
    "caffe": ("torch_sgd",),
    "darknet": ("torch_sgd",),
    "megatron": ("apex",),
    "composer": ("adamw_paper", "sgdw_paper"),
    "mosaicml": ("adamw_paper", "sgdw_paper"),
    "liblinear": ("sklearn_logistic",),
    "tikhonov": ("book", "sklearn_ridge"),
    "elastic": ("sklearn_enet_l2", "sklearn_lasso"),
    "schedulefree": ("schedulefree_sgd",),
    "adan": ("timm",),
}
"""The rows to look at first, by a word of what was asked for."""


def words(name: str) -> list[str]:
    """The words of a name, in small letters: LogisticRegression has two."""
    parts = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+", name)
    return [word.lower() for word in parts] + re.findall(r"[a-z]+\d*", name.lower())


def reason(name: str) -> str:
    """Why a name has no row, or nothing.

    Args:
        name: what was asked for.

    Returns:
        A sentence, or an empty text.
    """
    joined = re.sub(r"[^a-z]", "", name.lower())
    known = [why for word, why in REASONS.items() if word in words(name) or word == joined]
    if "schedulefree" in joined:
        known = [REASONS["schedulefree"]]
    return known[0] if known else ""


def nearest(name: str, rows: Mapping[str, str], most: int = 3) -> list[str]:
    """The rows whose name or description has most in common with a name.

    Args:
        name: what was asked for.
        rows: descriptions, by the rows' names.
        most: how many at most.

    Returns:
        Names of rows, the nearest first; none if nothing is alike.

    Example:
        >>> nearest("torch.optim.AdamW", {"torch_adamw": "AdamW(λ)", "lion": "Lion(λ)"})
        ['torch_adamw']
    """
    asked = set(words(name))
    first = [row for word, known in ROWS_OF.items() if word in asked for row in known]
    if first or reason(name):  # then a word that is spelled nearly so says nothing
        return [row for row in first if row in rows][:most]
    scores = {row: _likeness(asked, row, about) for row, about in rows.items()}
    alike = SequenceMatcher(None, name.lower())

    def rank(row: str) -> tuple[float, float]:
        alike.set_seq2(row)
        return -scores[row], -alike.ratio()

    return [row for row in sorted(rows, key=rank) if scores[row] > 0][:most]


def _likeness(asked: set[str], row: str, about: str) -> float:
    """How many of the words are in a row, its name counting more than its description."""
    named, told = set(words(row)), set(words(about))
    return sum(_best(word, named) + 0.5 * _best(word, told) for word in asked)


def _best(word: str, among: set[str]) -> float:
    """1 for the word itself, less for one that is spelled nearly so."""
    ratios = [SequenceMatcher(None, word, other).ratio() for other in among]
    best = max(ratios, default=0.0)
    return best if best > 0.75 else 0.0
