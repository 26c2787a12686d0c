"""What manuals say of a λ: the program's objective, its default, what is usual."""

from typing import NamedTuple


class Manual(NamedTuple):
    """What one number does that a library calls λ.

    A program with a penalty minimises c·L + k‖w‖², where L is the mean loss;
    a program with a decay multiplies each weight by 1 - δ at every step.

    Attributes:
        library: whose it is.
        means: λ in the book, 2k/c; of a decay the share δ.
        default: what the library takes if you give nothing, "-" if you must.
        typical: what is often taken, "-" where a search must say.
        does: what is minimised; nothing for a decay.
        c: the loss, as a multiple of the mean loss; "c" where it is yours.
        k: what stands before ‖w‖², λ included.

    Example:
        >>> MANUALS["sklearn_ridge"].means, MANUALS["sklearn_ridge"].default
        ('λ/n', '1.0')
    """

    library: str
    means: str
    default: str = "-"
    typical: str = "-"
    does: str = ""
    c: str = ""
    k: str = ""


def _beside_yours(library: str, default: str = "-", typical: str = "-") -> Manual:
    """A penalty (λ/2)‖w‖² beside the loss that you choose."""
    return Manual(library, "λ/c", default, typical, "your loss + (λ/2)‖w‖²", "c", "λ/2")


def _beside_mean(library: str, default: str = "-") -> Manual:
    """A penalty (λ/2)‖w‖² beside the mean loss."""
    return Manual(library, "λ", default, "-", "L + (λ/2)‖w‖²", "1", "λ/2")


_SGD = "0.0001 to 0.0005"
_ADAMW = "0.01 to 0.1"
_LION = "3 to 10 times AdamW's"

MANUALS: dict[str, Manual] = {
    "torch_sgd": _beside_yours("PyTorch", "0", _SGD),
    "torch_adam": _beside_yours("PyTorch", "0"),
    "torch_rmsprop": _beside_yours("PyTorch", "0"),
    "schedulefree_sgd": _beside_yours("schedulefree", "0"),
    "mxnet": _beside_yours("MXNet", "0", _SGD),
    "optax_before": _beside_yours("Optax", "0.0", _SGD),
    "tf_l2_loss": _beside_yours("TensorFlow", "-", _SGD),
    "keras_l2": Manual(
        "Keras", "2λ/c", "0.01", "0.00005 to 0.00025", "your loss + λ‖w‖²", "c", "λ"),
    "no_half": Manual("by hand", "2λ/c", "-", "-", "your loss + λ‖w‖²", "c", "λ"),
    "over_2m": Manual("by hand", "λ/(nc)", "-", "-", "your loss + (λ/2n)‖w‖²", "c", "λ/(2n)"),
    "sklearn_ridge": Manual(
        "scikit-learn", "λ/n", "1.0", "-", "‖y - Xw‖² + λ‖w‖²", "2n", "λ"),
    "sklearn_logistic": Manual(
        "scikit-learn", "1/(nλ)", "1.0", "-", "λ·(sum of losses) + ½‖w‖²", "nλ", "1/2"),
    "sklearn_mlp": Manual(
        "scikit-learn", "λ/B", "0.0001", "-", "L + (λ/2B)‖w‖²", "1", "λ/(2B)"),
    "sklearn_sgd": _beside_mean("scikit-learn", "0.0001"),
    "glmnet_ridge": Manual(
        "glmnet (R)", "λ/sd(y)", "-", "-", "L + λ/(2 sd(y)) ‖w‖²", "1", "λ/(2 sd(y))"),
    "glmnet_logistic": _beside_mean("glmnet (R)"),
    "statsmodels_ols": _beside_mean("statsmodels", "0.0"),
    "torch_adamw": Manual("PyTorch", "ηλ", "0.01", _ADAMW),
    "torch_muon": Manual("PyTorch", "ηλ", "0.1"),
    "keras_optimizer": Manual("Keras", "ηλ", "none; AdamW 0.004", _ADAMW),
    "optax_adamw": Manual("Optax", "ηλ", "0.0001", _ADAMW),
    "optax_lion": Manual("Optax", "ηλ", "0.001", _LION),
    "lion": Manual("lion-pytorch", "ηλ", "0.0", _LION),
    "muon": Manual("Muon", "ηλ", "0"),
    "fastai": Manual("fastai", "ηλ", "0.01", _ADAMW),
    "hf_trainer": Manual("transformers", "ηλ", "0", _ADAMW),
    "timm": Manual("timm", "ηλ", "train.py 0.00002", _ADAMW),
    "timm_corrected": Manual("timm", "λη²/max η"),
    "adamc": Manual("as published", "λη²/max η"),
    "adamw_paper": Manual("Composer", "λη/max η", "0.00001"),
    "tfa": Manual("TF Addons", "λ"),
    "optax_after": Manual("Optax", "-λ", "0.0"),
    "factor": Manual("by hand", "1 - λ"),
}  # fmt: skip
"""By the name of a convention; what is like one of these is left out.

In ``means``, η is the rate of the step, max η the schedule's largest, n counts
the examples, B those of a step, and sd(y) is the standard deviation of the targets.
"""

RARE = frozenset({
    "torch_rmsprop", "schedulefree_sgd", "mxnet", "glmnet_ridge", "glmnet_logistic",
    "statsmodels_ols", "lion", "muon", "fastai", "timm_corrected", "optax_after", "factor",
})  # fmt: skip
"""Those that few readers look for: a third, which chapter 3 folds."""
