"""What the final models of a sweep answer."""

import ast

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor

from l2lib._arrays import as_array
from l2lib._checks import shown
from l2lib.splits import HeldOutError, Part, check_apart
from l2lib.sweep.cnn import CNN
from l2lib.sweep.job import check_model
from l2lib.sweep.models import MLP, Model
from l2lib.sweep.training import beside

KNOWN: dict[str, type[MLP] | type[CNN]] = {"MLP": MLP, "CNN": CNN}
"""Models that a data set's words describe whole."""


def predict(
    run: xr.Dataset,
    X: ArrayLike | Part,
    *,
    reference: ArrayLike | Part | None = None,
    model: Model | None = None,
) -> xr.DataArray:
    """Outputs of the trained models of a sweep, on any inputs.

    Args:
        run: what ``sweep`` returned, or a selection of its configurations.
        X: inputs, shape (n, d), or (S, n, d) for one data set a seed; or a part of a ``Split``.
        reference: training inputs, shaped as X, from which batch normalisation takes its
            statistics; needed where the model has it, and only there. ``sweep`` takes the first
            ``evaluate_on``. A part must be a training part, and none of X's examples may be in it
            where X is a test or validation part.
        model: the model that was trained; needed only if it is your own.

    Returns:
        Outputs over the run's configurations, ``example`` and ``output``.

    Raises:
        HeldOutError: if the reference is made of examples that are held out.
        ValueError: if inputs do not fit the model or the seeds, a reference is missing or idle, or
            the run does not say what its model is.

    Example:
        >>> from l2lib.sweep import MLP, sweep
        >>> found = sweep(MLP((1, 1)), [[0.0], [1.0]], [1.0, 3.0], lr=0.5, steps=500)
        >>> predict(found, [[2.0]]).values.round(3).tolist()
        [[[5.0]]]
    """
    if not isinstance(run, xr.Dataset):
        raise ValueError(f"run is {shown(run)}; give the data set that sweep returned")
    if model is None:
        model = model_of(run)
    check_model(model)
    names = list(model.initial(0))
    if missing := [name for name in names if name not in run]:
        wanted = "give what sweep returned, with its final parameters"
        raise ValueError(f"run has no {', '.join(missing)}; {wanted}")
    run = run.transpose("seed", ..., missing_dims="ignore")
    grid = run[names[0]].dims[:-2]
    both, known = _examples(model, run, X, reference)
    parameters = {name: run[name].values.reshape(-1, *run[name].shape[-2:]) for name in names}
    count = len(parameters[names[0]])
    answers = []
    for k in range(count):
        own = both[k * len(both) // count]  # seeds run slowest
        tensors = {name: torch.from_numpy(w[k][None]) for name, w in parameters.items()}
        with torch.no_grad():
            found = model(tensors, own.to(tensors[names[0]].dtype)[None], known or None)
        answers.append(found[0, :, known:].T.numpy())
    shape = (*(run.sizes[dim] for dim in grid), *answers[0].shape)
    coords = {dim: run[dim] for dim in grid}
    return xr.DataArray(np.reshape(answers, shape), coords, (*grid, "example", "output"))


def model_of(run: xr.Dataset) -> Model:
    """The model that a sweep trained, from the words that its result keeps; a file keeps them too.

    Args:
        run: what ``sweep`` returned.

    Returns:
        An equal model.

    Raises:
        ValueError: if the words are missing, or of a model that is not l2lib's.

    Example:
        >>> from l2lib.sweep import MLP, sweep
        >>> model_of(sweep(MLP((1, 2, 1)), [[0.0]], [0.0], lr=0.1, steps=1)).widths
        (1, 2, 1)
    """
    words = str(run.attrs.get("model", ""))
    name = words.partition("(")[0]
    if name not in KNOWN:
        known = " or ".join(KNOWN)
        raise ValueError(f"the run's model is {words!r}, no {known}: give model=, what was trained")
    call = ast.parse(words, mode="eval").body
    assert isinstance(call, ast.Call)
    options = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
    return KNOWN[name](**options)


def _examples(
    model: Model, run: xr.Dataset, X: ArrayLike | Part, reference: ArrayLike | Part | None
) -> tuple[Tensor, int]:
    """Reference and inputs as one, (1 or S, n, d), and how many of them are the reference."""
    if reference is None and model.batch_statistics:
        need = "give reference=, training inputs that its statistics come from"
        raise ValueError(f"this model has batch normalisation: {need}")
    if reference is not None and not model.batch_statistics:
        raise ValueError("this model has no batch normalisation: leave reference out")
    inputs = _inputs("X", X.X if isinstance(X, Part) else X, model, run)
    if reference is None:
        return inputs, 0
    known = _inputs("reference", _training_inputs(X, reference), model, run)
    return beside(known, inputs), known.shape[1]


def _training_inputs(X: ArrayLike | Part, reference: ArrayLike | Part) -> ArrayLike:
    """The reference's inputs, if none of them is held out."""
    if isinstance(reference, Part) and reference.role != "train":
        need = "batch norm's statistics come from training inputs; give the training part"
        raise HeldOutError(f"reference is a {reference.role} part; {need}")
    if isinstance(reference, Part):
        known = reference.X
    else:
        known = as_array("reference", reference).astype(np.float64)
    if isinstance(X, Part) and X.role != "train":
        check_apart(Part(known, np.zeros(known.shape[:-1]), "train"), X)
    return known


def _inputs(name: str, X: ArrayLike, model: Model, run: xr.Dataset) -> Tensor:
    """Inputs as (1 or S, n, d), if they fit."""
    inputs = as_array(name, X).astype(np.float64, copy=False)
    seeds = run.sizes.get("seed", 1)
    shaped = inputs[None] if inputs.ndim == 2 else inputs
    if shaped.ndim != 3 or shaped.shape[2] != model.inputs or len(shaped) not in (1, seeds):
        need = f"(n, {model.inputs}), or ({seeds}, n, {model.inputs}) for one data set a seed"
        raise ValueError(f"{name} has shape {inputs.shape}; need {need}")
    return torch.from_numpy(shaped)
