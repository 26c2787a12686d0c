# %% [markdown]
# # Problem set 1: Ridge and weight decay
#
# After chapters 1 and 2. You measure decay in epochs and through momentum, give a penalty a shape, choose λ from a
# single fit without holding anything out, see that choice go wrong on data with twins, and find the λ that hides in
# early stopping.
#
# - **Time:** about two hours. **Points:** 25; each question says its own.
# - **Hand in** this notebook, with its name unchanged. Write where a cell says `raise NotImplementedError()` or asks
#   for words. Keep the names of functions and variables, and leave the test cells where they are.
# - **Grading:** below each answer stands a test that you can run. It tells you that you are on the way. When your work
#   is graded, more tests run, on other numbers. Derivations and the last question are read by a person.
# - Each question is graded by itself: a mistake in one costs nothing in another. What a function returns may be a
#   Python number, a list, a NumPy array or a detached torch tensor.
#
# The book's convention holds: half the mean squared error plus $\frac\lambda2\lVert w\rVert^2$, the intercept free.

# %%
import numpy as np

from l2lib.datasets import load

# %% [markdown]
# ## Question 1: decay in epochs (1 point)
#
# Decay is set per step, and people think in epochs. Under plain SGD a weight that the loss ignores is multiplied by
# $1-\eta\lambda$ at every step. After how many epochs is it halved? If the batch size does not divide the number of
# examples, the last batch of an epoch is smaller, and it is a step all the same.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q1-epochs", "locked": false, "schema_version": 3, "solution": true, "task": false}
def half_life_in_epochs(lr, weight_decay, examples, batch_size):
    """Epochs, not rounded, after which decay alone has halved a weight; 0 < lr·weight_decay < 1."""
    ### BEGIN SOLUTION
    steps = np.log(2) / -np.log1p(-lr * weight_decay)
    return steps / np.ceil(examples / batch_size)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q1-epochs-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np

# At ηλ = ½ a single step halves the weight.
answer = [half_life_in_epochs(0.5, 1.0, 100, size) for size in (100, 50)]
assert np.allclose(np.asarray(answer, dtype=float), [1, 0.5], rtol=1e-4), (
    "q1: at lr·weight_decay = ½ one step halves the weight; with two batches an epoch that is half "
    "an epoch")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1101)
for _ in range(20):
    lr, weight_decay = rng.uniform(0.01, 1), rng.uniform(0.001, 0.9)
    size, whole = int(rng.integers(8, 64)), int(rng.integers(3, 40))
    answer = float(half_life_in_epochs(lr, weight_decay, whole * size, size))
    left = np.exp(answer * whole * np.log(1 - lr * weight_decay))
    assert np.isclose(left, 0.5, rtol=1e-3), (
        "q1: let the weight decay for the number of epochs that you return: it is not halved. "
        "Is your formula exact, or for small lr·weight_decay only?")
    answer = float(half_life_in_epochs(lr, weight_decay, whole * size + 3, size))
    left = np.exp(answer * (whole + 1) * np.log(1 - lr * weight_decay))
    assert np.isclose(left, 0.5, rtol=1e-3), (
        "q1: where the batch size does not divide the number of examples, an epoch has one more "
        "step, with the few examples that are left")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 2: momentum that averages (2 points)
#
# The momentum of chapter 2 *sums* gradients, and so it decays $\frac1{1-\mu}$ times as fast. `torch.optim.SGD` has one
# more knob, `dampening`, which we call $\tau$. From the second step on
#
# $$v \leftarrow \mu v + (1-\tau)(g + \lambda w),\qquad w\leftarrow w - \eta v.$$
#
# With $\tau = \mu$ the buffer is a running *average* of gradients, as in Adam's numerator. Take a weight that the loss
# ignores, $g = 0$. Follow the derivation of (2.3), and return the number by which the weight's size is multiplied per
# step in the long run, oscillation aside. (Where the map has complex roots, that is their absolute value.) Then try
# your function at $\eta = 0.1$, $\lambda = 0.01$, $\mu = 0.9$: what has become of the factor ten?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q2-dampening", "locked": false, "schema_version": 3, "solution": true, "task": false}
def long_run_shrinkage(lr, weight_decay, momentum, dampening):
    """Size of a weight that the loss ignores after a step over its size before, in the long run."""
    ### BEGIN SOLUTION
    # With u = ηv the pair (w, u) goes to (w - μu - xw, μu + xw): trace 1 + μ - x, determinant μ.
    # With τ = μ the factor ten is gone: 1 - z ≈ x / (1 - μ) = ηλ.
    x = (1 - dampening) * lr * weight_decay
    return np.abs(np.roots([1, -(1 + momentum - x), momentum])).max()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q2-dampening-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

w, v = 1.0, 0.0
for _ in range(400):
    before = w
    v = 0.8 * v + (1 - 0.5) * (0 + 0.02 * w)
    w = w - 0.1 * v
answer = float(long_run_shrinkage(0.1, 0.02, 0.8, 0.5))
assert np.isclose(1 - answer, 1 - w / before, rtol=1e-3), (
    "q2: it is not the shrinkage of a simulated run with lr 0.1, λ 0.02, momentum 0.8, dampening "
    "0.5")
assert np.isclose(float(long_run_shrinkage(0.1, 0.5, 0.0, 0.0)), 0.95, rtol=1e-5), (
    "q2: without momentum and dampening a weight is multiplied by 1 - lr·weight_decay")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1102)
for kind in ("slow", "oscillating", "growing") * 6:
    momentum, dampening, lr = rng.uniform(0.3, 0.95), rng.uniform(0, 0.9), rng.uniform(0.05, 0.5)
    low, high = (1 - momentum**0.5) ** 2, (1 + momentum**0.5) ** 2
    x = {"slow": rng.uniform(0.1, 0.8) * low, "oscillating": rng.uniform(low * 1.2, high * 0.9),
         "growing": rng.uniform(1.05, 1.5) * 2 * (1 + momentum)}[kind]
    answer = float(long_run_shrinkage(lr, x / lr / (1 - dampening), momentum, dampening))
    middle = (1 + momentum - x) / 2
    if kind == "slow":
        expected = middle + (middle**2 - momentum) ** 0.5
        assert np.isclose(1 - answer, 1 - expected, rtol=1e-3), (
            "q2: it is not the larger root. Follow (2.3) with the gradient multiplied by 1 - "
            "dampening")
    elif kind == "oscillating":
        assert np.isclose(answer, momentum**0.5, rtol=1e-4), (
            "q2: where the roots are complex, their absolute value counts; a real part is not a "
            "size")
    else:
        assert np.isclose(answer, -middle + (middle**2 - momentum) ** 0.5, rtol=1e-4), (
            "q2: at a very large lr·weight_decay the weight grows, and changes its sign each step; "
            "the larger absolute value of the two roots is asked for")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 3: a penalty with a shape (3 points)
#
# A prior belief is seldom "every weight is near zero, and all equally so". Say instead that $w$ is near $w_*$, and say
# with a symmetric positive semi-definite matrix $P$ how much each deviation costs:
#
# $$J(w) = \frac1{2n}\lVert y - Xw\rVert^2 + \frac12 (w-w_*)^\top P\,(w-w_*).$$
#
# $P = \lambda I$ and $w_* = 0$ is ridge regression. With $P = \lambda D^\top D$, where $D$ takes differences of
# neighbours, the penalty does not ask for small weights but for *smooth* ones, say where each hour of the day has a
# weight. There is no intercept here. Find the minimum; you may assume that it is unique.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-shape", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tikhonov(X, y, P, w_star):
    """The w, shape (d,), with the smallest J; X (n, d), y (n,), P (d, d), w_star (d,)."""
    ### BEGIN SOLUTION
    n = len(y)
    return np.linalg.solve(X.T @ X / n + P, X.T @ y / n + P @ w_star)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q3-shape-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(3)
X, y, w_star = rng.standard_normal((40, 6)), rng.standard_normal(40), rng.standard_normal(6)
answer = np.asarray(tikhonov(X, y, 1e9 * np.eye(6), w_star), dtype=float)
assert answer.shape == (6,), "q3: return one number for each input, shape (d,)"
assert np.allclose(answer, w_star, atol=1e-4), (
    "q3: under a huge penalty in all directions the weights must be w_star")
D = np.diff(np.eye(6), axis=0)
answer = np.asarray(tikhonov(X, y, 1e5 * D.T @ D, np.zeros(6)), dtype=float)
assert np.ptp(answer) < 1e-3, (
    "q3: if only differences of neighbours are penalised, and hard, all weights must be equal")
assert np.abs(answer).min() > 1e-3, (
    "q3: a penalty on differences of neighbours leaves a constant free: the weights are not zero")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1103)
for _ in range(10):
    n, d = int(rng.integers(5, 60)), int(rng.integers(2, 9))
    X, y, w_star = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    root = rng.standard_normal((d + 1, d))  # the minimum as a least-squares problem with more rows
    rows, right = np.vstack([X / n**0.5, root]), np.append(y / n**0.5, root @ w_star)
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    answer = np.asarray(tikhonov(X.copy(), y.copy(), root.T @ root, w_star.copy()), dtype=float)
    assert answer.shape == (d,), "q3: return one number for each input, shape (d,)"
    slope = X.T @ (X @ answer - y) / n + root.T @ root @ (answer - w_star)
    assert np.abs(slope).max() < 1e-3, (
        "q3: the gradient of J is not zero at your w. Derive both parts, mind the 1/n, and that P "
        "multiplies w - w_star")
    assert np.allclose(answer, expected, rtol=1e-3, atol=1e-3), (
        "q3: this is not the minimum for a P that is not a multiple of the identity")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 4: change of units (3 points, by hand)
#
# Someone records lengths in millimetres in place of metres, and temperatures in degrees Fahrenheit. The inputs are
# centred again, so all that is left of it is $X' = XS$, where $S$ is a diagonal matrix of positive scales.
#
# 1. Show that the penalty $P$ of question 3 (with $w_* = 0$) on $X$ and the penalty $P' = SPS$ on $X'$ give the same
#    predictions.
# 2. Whoever uses $P' = \lambda I$ for $X'$ has, in the old units, another penalty. Which one? Let the scale of one
#    input go to infinity, then to zero: which model is fitted in each limit?
# 3. Let $P = \lambda\,\mathrm{diag}(\operatorname{var} x_1,\dots,\operatorname{var} x_d)$, the variances taken from
#    the data. Show that the predictions do not depend on the units. What does that have to do with standardised
#    inputs?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q4-units-derive", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# **1.** Put $w' = S^{-1}w$. Then $X'w' = XSS^{-1}w = Xw$: same predictions, same loss. The penalty is
# $w'^\top P'w' = w^\top S^{-1}\,SPS\,S^{-1}w = w^\top Pw$. As $w\mapsto S^{-1}w$ is one to one, both objectives have
# the same values over the same set of functions, hence the same minimum.
#
# **2.** $P' = \lambda I = SPS$ says $P = \lambda S^{-2}$: input $i$ has the penalty $\lambda/s_i^2$. For $s_i\to\infty$
# that goes to zero, and the input is free, as the intercept is. For $s_i\to0$ it grows without bound, its weight goes
# to zero, and the model is fitted without this input. (With metres in millimetres, $s_i = 1000$, it is a million times
# smaller: the weight became 1000 times smaller, its square a million times.)
#
# **3.** Variances of $X'$ are $s_i^2\operatorname{var}x_i$, so $\mathrm{diag}$ of them is
# $S\,\mathrm{diag}(\operatorname{var}x)\,S$: $P' = SPS$, and part 1 applies. Choose
# $s_i = 1/\sqrt{\operatorname{var}x_i}$: then $P' = \lambda I$ on standardised inputs. So ridge on standardised inputs
# *is* this penalty.
#
# **Rubric, 3 points.** 1 for part 1 (the change of variable and both terms; ½ if the penalty's term is asserted and
# not computed). 1 for part 2 (½ for $\lambda S^{-2}$ or the same in words, ½ for both limits: an input that is free,
# and one that is gone; "penalised less" and "penalised more" get nothing for this half). 1 for part 3 (½ for
# $P' = SPS$, ½ for standardising as the case $P' = \lambda I$).
# ### END SOLUTION

# %% [markdown]
# ## Question 5: leave one out, from one fit (3 points)
#
# To choose λ you need errors on examples that were not fitted. The thriftiest way leaves out one example at a time, and
# asks the model fitted on the others for it. That seems to take $n$ fits. For ridge regression one is enough.
#
# Let $e_i = y_i - \hat y_i^{(-i)}$, where $\hat y_i^{(-i)}$ is the prediction for example $i$ of the model fitted
# without it, intercept included. There is a choice to make, as the mean is now over $n-1$ examples. We keep the
# penalty beside the *sum*, $n\lambda$ with the full $n$: one square is left out of
# $\frac12\sum_i(y_i - w^\top x_i - b)^2 + \frac{n\lambda}2\lVert w\rVert^2$, and nothing else changes.
#
# A hint. Replace $y_i$ by $\hat y_i^{(-i)}$ and fit all $n$ examples: which model comes out? Now use that predictions
# are linear in the targets, $\hat y = Hy$. Mind that with a free intercept $H$ is not the hat matrix of section 1.5
# alone.
#
# Write a function that makes one fit (one matrix inverse or decomposition). If you do not find it, $n$ fits count in
# full, too, if they are right.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q5-loo", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leave_one_out(X, y, weight_decay):
    """The n errors, y_i minus the prediction of the model fitted without example i; λ > 0."""
    ### BEGIN SOLUTION
    # With the prediction ŷ_i(-i) as its target, example i pulls at nothing: the fit of all n is the
    # fit without i. So ŷ_i(-i) = ŷ_i - H_ii (y_i - ŷ_i(-i)), and e_i = (y_i - ŷ_i) / (1 - H_ii).
    n, centred = len(y), X - X.mean(0)
    inner = centred.T @ centred + n * weight_decay * np.eye(X.shape[1])
    hat = 1 / n + centred @ np.linalg.solve(inner, centred.T)
    return (y - hat @ y) / (1 - np.diag(hat))
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q5-loo-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(5)
X, y = rng.standard_normal((12, 3)), 5 + rng.standard_normal(12)
answer = np.asarray(leave_one_out(X, y, 1e9), dtype=float)
assert answer.shape == (12,), "q5: return one error for each example, not their mean"
others = (y.sum() - y) / 11
assert np.allclose(answer, y - others, rtol=1e-4, atol=1e-4), (
    "q5: at a huge λ the model predicts the mean of the targets it was fitted to, and that is the "
    "mean of the *other* examples")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1105)
for _ in range(8):
    n, d, weight_decay = int(rng.integers(6, 30)), int(rng.integers(1, 20)), 10 ** rng.uniform(-0.5, 1)
    X, y = 2 + rng.standard_normal((n, d)), rng.uniform(-5, 5) + rng.standard_normal(n)
    answer = np.asarray(leave_one_out(X.copy(), y.copy(), weight_decay), dtype=float)
    expected = np.empty(n)
    for i in range(n):
        Z = np.column_stack([np.delete(X, i, 0), np.ones(n - 1)])
        penalty = np.diag([n * weight_decay] * d + [0.0])
        fitted = np.linalg.solve(Z.T @ Z + penalty, Z.T @ np.delete(y, i))
        expected[i] = y[i] - X[i] @ fitted[:-1] - fitted[-1]
    assert answer.shape == (n,), "q5: return one error for each example"
    assert np.allclose(answer, expected, rtol=1e-3, atol=1e-3), (
        "q5: these are not the errors of n separate fits. Look at three things: nλ with the full "
        "n; the free intercept, which has its share in H; and the sign, target minus prediction")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 6: twins (5 points)
#
# Leave-one-out needs examples that are independent of each other. A study sees each patient twice, a month apart. The
# measurements hardly differ, nor does the outcome: patients have a lot in common with themselves. If the model is to
# serve *new* patients, one visit cannot test a model that was fitted to the other.
#
# **6a (2 points).** Leave out whole groups. `groups` has one whole number for each example, and examples with the same
# number form a group. Return for each example the error of the model that was fitted without its group. Everything else
# is as in question 5, the penalty $n\lambda$ with the full $n$ included. A fit for each group will do. (One is still
# enough: replace the targets of a group by their predictions, and solve a small system.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-groups", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leave_group_out(X, y, weight_decay, groups):
    """The n errors y_i minus the prediction of the model fitted without the group of example i."""
    ### BEGIN SOLUTION
    n, centred, groups = len(y), X - X.mean(0), np.asarray(groups)
    inner = centred.T @ centred + n * weight_decay * np.eye(X.shape[1])
    hat = 1 / n + centred @ np.linalg.solve(inner, centred.T)
    residuals, errors = y - hat @ y, np.empty(n)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        within = hat[np.ix_(rows, rows)]
        errors[rows] = np.linalg.solve(np.eye(len(rows)) - within, residuals[rows])
    return errors
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-groups-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(6)
X, y, groups = rng.standard_normal((9, 2)), rng.standard_normal(9), np.array([0, 1, 2] * 3)
answer = np.asarray(leave_group_out(X, y, 1e9, groups), dtype=float)
assert answer.shape == (9,), "q6: return one error for each example"
others = np.array([y[groups != group].mean() for group in groups])
assert np.allclose(answer, y - others, rtol=1e-4, atol=1e-4), (
    "q6: at a huge λ the prediction is the mean target of all examples outside the group")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1106)
for _ in range(8):
    n, d, weight_decay = int(rng.integers(10, 30)), int(rng.integers(1, 12)), 10 ** rng.uniform(-1, 0.5)
    groups = rng.permutation(np.append(np.arange(5), rng.integers(0, 5, n - 5))) * 7 - 3
    X, y = 1 + rng.standard_normal((n, d)), 3 + rng.standard_normal(n)
    answer = leave_group_out(X.copy(), y.copy(), weight_decay, groups.copy())
    answer = np.asarray(answer, dtype=float)
    expected = np.empty(n)
    for group in set(groups.tolist()):
        out = groups == group
        Z = np.column_stack([X[~out], np.ones((~out).sum())])
        fitted = np.linalg.solve(Z.T @ Z + np.diag([n * weight_decay] * d + [0.0]), Z.T @ y[~out])
        expected[out] = y[out] - X[out] @ fitted[:-1] - fitted[-1]
    assert np.allclose(answer, expected, rtol=1e-3, atol=1e-3), (
        "q6: these are not the errors of one fit for each group left out. The order of the "
        "examples must be kept, groups may have any size and any number as name, and the penalty "
        "keeps the full n")
### END HIDDEN TESTS

# %% [markdown]
# **6b (2 points).** A choice of λ comes with a promise. Write a function that makes the choice, and then checks whether
# the promise is kept on examples that had no part in it. It returns three numbers:
#
# - the λ in `weight_decays` with the smallest mean squared error of 6a, the mean taken over all $n$ examples;
# - the promise: *half* this mean squared error;
# - what comes true: half the mean squared error on `new_X`, `new_y` of the model fitted to all of `X`, `y` with this λ,
#   intercept free.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-choose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_and_test(X, y, weight_decays, groups, new_X, new_y):
    """The λ chosen by leaving groups out, the loss that it promises, its loss on new examples."""
    ### BEGIN SOLUTION
    losses = [np.mean(leave_group_out(X, y, lam, groups) ** 2) / 2 for lam in weight_decays]
    lam, (n, d), centred = weight_decays[np.argmin(losses)], X.shape, X - X.mean(0)
    w = np.linalg.solve(centred.T @ centred + n * lam * np.eye(d), centred.T @ y)
    errors = new_y - y.mean() - (new_X - X.mean(0)) @ w
    return lam, min(losses), np.mean(errors**2) / 2
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-choose-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(66)
X, new_X = rng.standard_normal((9, 2)), rng.standard_normal((7, 2))
y, new_y, groups = 1 + X[:, 0], 1 + new_X[:, 0], np.array([0, 1, 2] * 3)
answer = choose_and_test(X, y, np.array([1.0, 1e-6, 1e9]), groups, new_X, new_y)
answer = np.asarray(answer, dtype=float)
assert answer.shape == (3,), (
    "q6: return three numbers: λ, the loss promised, the loss on new examples")
assert np.isclose(answer[0], 1e-6, rtol=1e-4) and (np.abs(answer[1:]) < 1e-3).all(), (
    "q6: with targets that are exactly linear the smallest λ wins, and both losses are about zero")
answer = choose_and_test(X, y, np.array([1e9]), groups, new_X, new_y)
answer = np.asarray(answer, dtype=float)
assert np.isclose(answer[2], np.mean((new_y - y.mean()) ** 2) / 2, rtol=1e-3), (
    "q6: at a huge λ the third number is half the mean squared error of answering the mean of y")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1116)
for _ in range(5):
    people, d, noise = int(rng.integers(12, 25)), int(rng.integers(4, 10)), rng.uniform(1, 3)
    person = rng.permutation(np.append(np.arange(people), rng.integers(0, people, people)))
    traits, n = 1 + rng.standard_normal((people + 40, d)), len(person)
    outcome = traits @ rng.standard_normal(d) / 2 + noise * rng.standard_normal(people + 40)
    X = traits[person] + 0.1 * rng.standard_normal((n, d))
    y = outcome[person] + 0.1 * rng.standard_normal(n)
    new_X, new_y = traits[people:], outcome[people:]
    grid = rng.permutation(rng.uniform(0.5, 2) * np.logspace(-3, 1, 9))
    for groups in (rng.permutation(n), 3 * person - 4):
        promised, kept = np.empty(9), np.empty(9)
        for k, lam in enumerate(grid):
            penalty, squares = np.diag([n * lam] * d + [0.0]), 0.0
            for out in [groups == group for group in np.unique(groups)] + [np.zeros(n, dtype=bool)]:
                A = np.column_stack([X, np.ones(n)])[~out]
                fitted = np.linalg.solve(A.T @ A + penalty, A.T @ y[~out])
                squares += np.sum((y[out] - X[out] @ fitted[:-1] - fitted[-1]) ** 2)
            promised[k] = squares / n / 2
            kept[k] = np.mean((new_y - new_X @ fitted[:-1] - fitted[-1]) ** 2) / 2
        answer = choose_and_test(X.copy(), y.copy(), grid.copy(), groups.copy(), new_X, new_y)
        answer = np.asarray(answer, dtype=float)
        assert answer.shape == (3,) and np.isclose(grid, answer[0], rtol=1e-4).any(), (
            "q6: return three numbers; the first is one of weight_decays")
        chosen = np.isclose(grid, answer[0], rtol=1e-4).argmax()
        assert promised[chosen] < 1.001 * promised.min(), (  # rounding may decide between equals
            "q6: this is not the λ with the smallest mean squared error over all examples, each "
            "predicted without its group. weight_decays may come in any order")
        assert np.isclose(answer[1], promised[chosen], rtol=1e-3), (
            "q6: the λ is right, the loss that it promises is not: half the mean squared error of "
            "6a, over all examples")
        assert np.isclose(answer[2], kept[chosen], rtol=1e-3), (
            "q6: the λ is right, the loss on new examples is not: fit all of X with a free "
            "intercept, and take half the mean squared error")
### END HIDDEN TESTS

# %% [markdown]
# Here is such a study, made from the diabetes data with their squares and products: 100 patients with two visits each,
# and 342 new patients. λ is chosen twice: once as if all 200 visits were independent, once with both visits of a
# patient left out together.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-data", "locked": true, "schema_version": 3, "solution": false, "task": false}
def diabetes_with_products():
    data = load("diabetes")
    inputs = (data.X - data.X.mean(0)) / data.X.std(0)
    pairs = [(i, j) for i in range(10) for j in range(i, 10) if (i, j) != (1, 1)]
    products = np.column_stack([inputs[:, i] * inputs[:, j] for i, j in pairs])
    inputs = np.hstack([inputs, products])
    return (inputs - inputs.mean(0)) / inputs.std(0), data.y


inputs, outcome = diabetes_with_products()
study = np.random.default_rng(0)
order = study.permutation(442)
seen, new = order[:100], order[100:]
visits = np.vstack([inputs[seen], inputs[seen] + 0.1 * study.standard_normal((100, 64))])
visit_outcome = np.append(outcome[seen], outcome[seen] + 5 * study.standard_normal(100))
visit, patient = np.arange(200), np.tile(np.arange(100), 2)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-twins", "locked": true, "schema_version": 3, "solution": false, "task": false}
for name, left_out in {"leave one visit out": visit, "leave one patient out": patient}.items():
    lam, promise, truth = choose_and_test(
        visits, visit_outcome, np.logspace(-3, 1, 9), left_out, inputs[new], outcome[new])
    print(f"{name:22} λ = {lam:.2g}: promises {promise:.0f}, on new patients {truth:.0f}")

# %% [markdown]
# **6c (1 point, by hand).** Read the two lines, in three or four sentences with their numbers. Which promise is kept?
# Why does leaving one visit out choose so small a λ? And is it wrong if the model is to serve the *same* 100 patients
# at their next visit?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q6-read", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# At $\lambda = 0.01$ leaving one visit out promises a loss of about 1390; on new patients it is 2600. Leaving one
# patient out chooses $\lambda = 1$, promises 1990, and 1745 comes true: nearer, and on the safe side. (A hundred
# patients leave a promise uncertain by a few hundred.) A visit that is left out has its twin among the fitted ones,
# so a model with little penalty, which remembers persons, predicts it well; no error is left that more penalty could
# lower. For the next visit of the same patients this is what the model is for, and leaving one visit out asks the
# right question. Leave out what will be new when the model is used.
#
# **Rubric, 1 point.** ½ for promise against outcome with numbers from the student's own run, and the twin as the
# reason. ½ for seeing that it depends on whom the model is to serve. Where 6b failed, the two lines of numbers may be
# missing: then ½ for the twin as the reason.
# ### END SOLUTION

# %% [markdown]
# ## Question 7: the λ in early stopping (5 points)
#
# Section 1.8 found that stopping after $t$ steps filters each direction like no λ does. How far from a λ is it, and
# from which?
#
# **7a (3 points, by hand).** Let $z = \eta t s^2/n$ for a singular direction $s$, and $\eta s^2/n < 1$.
#
# 1. Compare (1.8) and (1.2) in weak directions, $z\ll1$: to first order, which λ makes them the same?
# 2. Take this λ. Show that in *every* direction stopping then shrinks less than ridge:
#    $1-(1-\frac zt)^t \ge \frac z{1+z}$. (It takes no more than $1 + x\le e^x$, twice.)
# 3. You now choose the best λ and the best $t$ on the same data. Do you expect $\eta t\lambda$ above or below 1, and
#    why? (After 7b, add whether your numbers agree, and which of the two wins.) Lastly: a run with weight decay λ is
#    stopped after $t$ steps, which brings along a λ of its own. When may you ignore the decay?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q7-early-derive", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# **1.** $1-(1-\eta s^2/n)^t = \eta ts^2/n + O(z^2) = z + O(z^2)$, and
# $\frac{s^2}{s^2+n\lambda} = \frac{s^2}{n\lambda} + \dots$ They agree for $\lambda = \frac1{\eta t}$.
#
# **2.** With it, ridge's factor is $\frac{s^2}{s^2+n/(\eta t)} = \frac z{1+z}$. Since $1-x\le e^{-x}$,
# $(1-\frac zt)^t\le e^{-z}$ (here $0\le z/t<1$). And $e^z\ge1+z$, so $e^{-z}\le\frac1{1+z}$. Hence
# $1-(1-\frac zt)^t\ge1-\frac1{1+z} = \frac z{1+z}$.
#
# **3.** At $\lambda = 1/(\eta t)$ ridge shrinks more in every direction, most visibly in those with $z$ near 2.5. To
# shrink the directions that matter about as much as stopping does, it needs a *smaller* λ: $\eta t\lambda$ is below 1.
# In 7b it lies between 0.4 and 0.75 on all ten splits. The ratios lie within 3 % of 1 on either side, and neither
# family wins. A weight decay λ during the run competes with the $\frac1{\eta t}$ that stopping brings along: if
# $\lambda\ll\frac1{\eta t}$, that is $\eta\lambda t\ll1$, decay has no time to act, and you may ignore it.
#
# **Rubric, 3 points.** 1 for part 1 (½ if only one of the two expansions is right). 1 for part 2: ½ for
# $\frac z{1+z}$, ½ for a proof of the inequality (any; a plot gets nothing). 1 for part 3: ¼ for "below 1" with the
# reason from part 2, ¼ for reading the student's own numbers of 7b (or, where 7b failed, for saying what they would
# have to show), ½ for comparing $\eta\lambda t$ with 1.
# ### END SOLUTION

# %% [markdown]
# **7b (2 points).** Now measure. Write a function that finds the best of both families on new examples (so both are at
# their best, and nobody could choose like this; we compare the families):
#
# - gradient descent on half the mean squared error, with all examples at each step, from $w = 0$. First centre inputs
#   and targets by the means of `X` and `y`, those of the new examples too. After which step $t = 1,\dots,$ `steps` is
#   the mean squared error on the new examples smallest?
# - ridge regression, intercept free, for each λ in `weight_decays`. For which one is it smallest?
#
# Return two numbers: $\eta t\lambda$ for these $t$ and λ, and the smallest mean squared error of stopping over that of
# ridge.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-stopped", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stopping_against_ridge(X, y, new_X, new_y, lr, steps, weight_decays):
    """lr·t·λ at the best t and the best λ, and the error of stopping over the error of ridge."""
    ### BEGIN SOLUTION
    (n, d), new_X, new_y = X.shape, new_X - X.mean(0), new_y - y.mean()
    X, y = X - X.mean(0), y - y.mean()
    w, by_step, by_lam = np.zeros(d), [], []
    for _ in range(steps):
        w = w - lr * X.T @ (X @ w - y) / n
        by_step.append(np.mean((new_y - new_X @ w) ** 2))
    for lam in weight_decays:
        w = np.linalg.solve(X.T @ X + n * lam * np.eye(d), X.T @ y)
        by_lam.append(np.mean((new_y - new_X @ w) ** 2))
    t, lam = 1 + np.argmin(by_step), weight_decays[np.argmin(by_lam)]
    return lr * t * lam, min(by_step) / min(by_lam)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-stopped-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(7)
X, new_X = rng.standard_normal((30, 1)), rng.standard_normal((50, 1))
y, new_y = 4 + 2 * X[:, 0] + rng.standard_normal(30), 4 + new_X[:, 0]
answer = stopping_against_ridge(X, y, new_X, new_y, 0.01, 1, np.array([0.5]))
answer = np.asarray(answer, dtype=float)
assert answer.shape == (2,), "q7: return two numbers: lr·t·λ, and the ratio of the errors"
assert np.isclose(answer[0], 0.005, rtol=1e-4), (
    "q7: with one step and one λ to choose from, lr·t·λ is lr·1·λ: after the first step t is 1")
answer = stopping_against_ridge(X, y, new_X, new_y, 0.01, 500, np.logspace(-2, 2, 500))
assert np.isclose(np.asarray(answer, dtype=float)[1], 1, rtol=1e-3), (
    "q7: with a single input both families shrink the same weight, and both reach the best one")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(1107)
for _ in range(12):
    n, d, steps = int(rng.integers(15, 40)), int(rng.integers(3, 25)), int(rng.integers(40, 120))
    spread, truth = rng.uniform(0.2, 1.5, d), rng.standard_normal(d)
    X, new_X = 2 + spread * rng.standard_normal((n, d)), 2 + spread * rng.standard_normal((50, d))
    y, new_y = (5 + A @ truth + 3 * rng.standard_normal(len(A)) for A in (X, new_X))
    grid = rng.permutation(rng.uniform(0.5, 2) * np.logspace(-3, 1.5, 40))
    U, s, Vt = np.linalg.svd(X - X.mean(0), full_matrices=False)
    U, s, Vt = U[:, s > 1e-9], s[s > 1e-9, None], Vt[s > 1e-9]
    lr = rng.uniform(0.1, 0.6) * n / s.max() ** 2
    parts = (new_X - X.mean(0)) @ Vt.T * (U.T @ y / s[:, 0])
    kept = 1 - (1 - lr * s**2 / n) ** np.arange(1, steps + 1), s**2 / (s**2 + n * grid)
    target = new_y[:, None] - y.mean()
    by_step, by_lam = (np.mean((target - parts @ part) ** 2, axis=0) for part in kept)
    answer = stopping_against_ridge(
        X.copy(), y.copy(), new_X.copy(), new_y.copy(), float(lr), steps, grid.copy())
    answer = np.asarray(answer, dtype=float)
    assert answer.shape == (2,), "q7: return two numbers: lr·t·λ, and the ratio of the errors"
    assert np.isclose(answer[1], by_step.min() / by_lam.min(), rtol=1e-3), (
        "q7: the ratio of the errors is not right. Are the new examples centred by the means of X "
        "and y? Do both families use half the mean squared error, ridge the penalty nλ beside the "
        "sum? Is it stopping over ridge?")
    best_t = 1 + np.flatnonzero(by_step < by_step.min() * (1 + 1e-5))  # rounding may decide
    best_lam = grid[by_lam < by_lam.min() * (1 + 1e-5)]
    assert np.isclose(answer[0], lr * np.outer(best_t, best_lam), rtol=1e-3).any(), (
        "q7: the ratio is right, the product is not: lr times t times λ at the best t and the best "
        "λ. After the first step t is 1, and weight_decays may come in any order")
### END HIDDEN TESTS

# %% [markdown]
# On ten splits of the diabetes patients with products, 150 to fit and 292 to test:

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-data", "locked": true, "schema_version": 3, "solution": false, "task": false}
splits = [np.split(np.random.default_rng(seed).permutation(442), [150]) for seed in range(10)]
stopped = np.array([
    stopping_against_ridge(inputs[fit], outcome[fit], inputs[held], outcome[held],
                           lr=0.05, steps=200, weight_decays=np.logspace(-2, 1, 61))
    for fit, held in splits])
print("ηtλ:  ", stopped[:, 0].round(2))
print("ratio:", stopped[:, 1].round(3))

# %% [markdown]
# ## Question 8: next week's data (3 points, open)
#
# You chose λ by leave-one-out on 100 patients. Next week you have 1000, and the same program. With which λ do you
# start, in the book's convention (beside the mean) and in Ridge's (beside the sum)? Under which assumptions is that
# the best guess, and what could make it wrong? Say how you would find out, with which experiment and which comparison,
# and what would change your mind. Ten lines are enough; you need not run it.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q8-open", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Read the penalty as a prior: noise of variance $\sigma^2$, true weights of variance $\sigma_w^2$. The best penalty
# beside the sum is $n\lambda = \sigma^2/\sigma_w^2$, which has no $n$ in it. So keep Ridge's `alpha`, and divide the
# book's λ by ten.
#
# It needs: a linear model that is true, or nearly so; the same noise, inputs and kind of patient; a λ that was well
# determined by 100 patients, where the curve is flat over a factor of a few. It can be wrong: if the linear model is
# wrong, its error acts like noise that depends on the inputs; if new data bring new inputs or twins (question 6); if
# products of inputs are added because there are more data, since then $\sigma_w$ changes.
#
# An experiment: on the diabetes data draw 30 patients and then 300, many times; choose λ by leave-one-out in both;
# compare $n\lambda$ pairwise, with an interval over draws; and compare the loss on the other patients for three
# choices: λ carried over beside the mean, carried over beside the sum, and chosen anew. What changes your mind: the
# interval for the ratio of the two $n\lambda$ excludes 1, or choosing anew gains more than the draws scatter. (Choosing
# anew by leave-one-out costs one fit for each λ. Whoever says that it should simply be done is right as well.) We ran
# it: over 40 draws of the ten measurements the ratio of the two $n\lambda$ has the geometric mean 1.1, with a 95 %
# interval from 0.5 to 2.4. Keeping λ beside the mean would make it 10.
#
# **Rubric, 3 points.** 1 for both numbers ($\lambda/10$ beside the mean, the same `alpha` beside the sum) with a
# reason, from Bayes or from bias and variance. 1 for two assumptions and a way in which each fails. 1 for an experiment
# with a comparison, a repeated draw and a result that would change the answer.
# ### END SOLUTION
