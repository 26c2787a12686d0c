"""The engine's front door: what a chapter says, handed by name to the pieces that check it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from l2lib._checks import shown
from l2lib.splits import Part
from l2lib.sweep.job import (
    Job,
    check_held_out,
    check_model,
    check_start,
    check_together,
    chunk_size_for,
    examples,
)
from l2lib.sweep.models import Model
from l2lib.sweep.recipe import (
    Engine,
    Grid,
    Loss,
    Optimizer,
    Recipe,
    Record,
    RecordFunction,
    Values,
    by_parameter,
    factors_of,
    named,
)
from l2lib.sweep.records import taken_names, to_xarray
from l2lib.sweep.training import train_chunk
from l2lib.sweep.updates import rule_of
from l2lib.sweep.workers import run

DECAY_FACTORS = {"weight": 1.0}
"""Biases, and the scales and shifts of norms, do not decay unless they are named."""


def sweep(
    model: Model,
    X: ArrayLike,
    y: ArrayLike,
    *,
    test: Part | tuple[ArrayLike, ArrayLike] | None = None,
    duplicates: int = 0,
    lr: Values,
    weight_decay: Values = 0.0,
    momentum: Values | None = None,
    init_scale: Values = 1.0,
    seeds: Sequence[int] = (0,),
    steps: int,
    batch_size: int | None = None,
    loss: Loss = "half_mse",
    optimizer: Optimizer = "sgd",
    decay_factors: Mapping[str, float] | None = None,
    unit_norm: Sequence[str] = (),
    schedule: Callable[[int], float] | None = None,
    beta2: float = 0.999,
    adam_eps: float = 1e-8,
    record: Mapping[str, RecordFunction] | None = None,
    record_every: int = 1,
    evaluate_every: int | None = None,
    evaluate_on: int | None = None,
    engine: Engine | None = None,
) -> xr.Dataset:
    """Train a model for every seed, learning rate, weight decay, momentum and initial scale.

    A seed draws the initial parameters and the order of the minibatches, so that configurations of
    one seed differ in nothing but their hyper-parameters. A configuration that diverges is data:
    its records become inf or nan, and no other is touched. Results do not depend on the engine's
    chunks, workers or executor, to the last bit.

    Args:
        model: what to train: an ``MLP``, a ``CNN``, or any ``Model``.
        X: training inputs, shape (n, d), or (S, n, d) for one data set a seed.
        y: targets, shape (n,) or (S, n): numbers for "half_mse" and "mse", class labels for
            "cross_entropy".
        test: test inputs and targets, shaped as X and y, with any number of examples; or the test
            part of a ``Split``. Training inputs among them are refused.
        duplicates: so many test inputs of a seed may be training inputs too, as where data hold
            true duplicates; ≥ 0.
        lr: learning rate η > 0. Here and in the next three, a list makes a dimension of the result.
        weight_decay: λ ≥ 0, of the penalty (λ/2)‖w‖² that is added to the mean loss.
        momentum: μ in [0, 1), or Adam's β₁; None means 0, and 0.9 for Adam.
        init_scale: factor > 0 on the initial weight matrices.
        seeds: S seeds ≥ 0 and below 2³¹, each once.
        steps: updates of every configuration, 1 to a billion.
        batch_size: examples a step, drawn without replacement epoch by epoch; None means all n.
        loss: "half_mse", "mse" or "cross_entropy".
        optimizer: a rule of ``l2lib.sweep.updates``: "sgd", "sgdw", "adam", "adamw", "adamw_paper"
            or "trust_ratio".
        decay_factors: factor ≥ 0 on λ by role ("weight", "bias", "gamma", "beta", "g") or parameter
            ("weight0", which wins); 0 for what is not named. None means {"weight": 1}.
        unit_norm: roles or parameters that are brought to norm one, at the start and after every
            step.
        schedule: factor on lr as a function of the step, 0 for the first.
        beta2: Adam's β₂ in [0, 1).
        adam_eps: Adam's ε ≥ 0.
        record: functions of (parameters, gradients), both by name with K configurations, whose
            results (K, …) are kept.
        record_every: record before the first step and after every so many steps, ≥ 1.
        evaluate_every: the same for losses and accuracies, which then have a dimension
            ``evaluated_step`` of their own.
        evaluate_on: so many first examples (None: all n) give the training loss, and batch norm's
            statistics for tests.
        engine: where and how it is computed, an ``Engine``: precision, device, threads, size of a
            chunk.

    Returns:
        Dataset over seed and whatever is a list. By step: ``train_loss``, ``test_loss``,
        ``train_accuracy``, ``test_accuracy``. By layer ("weight0", …) and step, with the weight
        matrix w and its gradient g, of a minibatch and without penalty: ``norm`` ‖w‖,
        ``gradient_norm`` ‖g‖, ``cosine`` of w and g, ``effective_lr`` η/‖w‖², ``angle`` of the turn
        w takes next. What ``record`` says. The final parameters: ``weight0`` by weight0_out and
        weight0_in, … ``predict`` applies them.

    Raises:
        HeldOutError: if the test set shares inputs with the training set, or is no test part.
        ValueError: if an argument is out of range or the arrays do not fit together.
        RuntimeError: if a configuration raises an error or its worker dies; it is named.

    Example:
        >>> from l2lib.sweep import MLP
        >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
        >>> found = sweep(MLP((1, 1)), X, y, lr=0.3, weight_decay=[0.0, 1.0], steps=100)
        >>> found.weight0.values.ravel().round(2).tolist()  # ridge: 2/3 over 2/3 + λ
        [1.0, 0.4]
    """
    engine = Engine() if engine is None else engine
    if not isinstance(engine, Engine):
        raise ValueError(
            f'engine is {shown(engine)}; give an Engine, such as Engine(device="cuda")'
        )
    check_model(model)
    start = model.initial(0)
    check_start(start)
    parameters = tuple(start)
    factors = DECAY_FACTORS if decay_factors is None else decay_factors
    recipe = Recipe(
        steps=steps,
        batch_size=batch_size,
        loss=loss,
        optimizer=optimizer,
        decay_factors=by_parameter(factors, parameters),
        unit_norm=named(unit_norm, parameters),
        schedule=factors_of(schedule, steps),
        beta2=beta2,
        adam_eps=adam_eps,
    )
    check_start(start, recipe.unit_norm)
    grid = Grid(
        seed=seeds,
        lr=lr,
        weight_decay=weight_decay,
        momentum=rule_of(optimizer).momentum if momentum is None else momentum,
        init_scale=init_scale,
    )
    n_seeds = len(grid.axes()["seed"])
    job = Job(
        model=model,
        parameters=parameters,
        grid=grid,
        recipe=recipe,
        record=Record(
            functions={} if record is None else record,
            every=record_every,
            evaluate_every=record_every if evaluate_every is None else evaluate_every,
            evaluate_on=evaluate_on,
        ),
        train=examples("train", (X, y), model, loss, n_seeds),
        test=None if test is None else examples("test", test, model, loss, n_seeds),
        dtype=engine.dtype,
        device=engine.device,
        configurations=grid.configurations(),
    )
    check_together(job, reserved=taken_names(job))
    check_held_out(job, duplicates)
    chunks = list(job.chunks(chunk_size_for(job, engine)))
    tables = run(train_chunk, chunks, engine)
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return to_xarray(job, whole)
