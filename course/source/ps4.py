# %% [markdown]
# # Problem set 4: effective learning rate and adaptive optimisers
#
# Chapters 8 to 10 find out how far a step turns a weight whose size means nothing. Here you use that on questions which
# the chapters leave open: what Adam's ε does to a growing weight, how to read λ off a log, how much a whole run can
# turn, decay that acts only now and then, an optimiser whose λ does nothing, the batch size, and a schedule that ends
# too soon for the norm. Afterwards you can check such claims yourself, by a line of algebra and a small simulation.
#
# *After chapters 8, 9 and 10. About two hours, 25 points. The code runs in a few seconds.*
#
# **What to hand in.** This notebook. Write code in place of `raise NotImplementedError()`, and your derivations in
# place of the note that asks for them. Leave the names of functions and the order of the cells as they are. You may add
# cells.
#
# **How it is graded.** Below each function stand tests that you can run. They tell you that you are on the way, and no
# more: your functions are also called with cases that you do not see. Any right method counts; a result may be a Python
# number, a NumPy array or a torch tensor. Each question is graded for itself, so a question that you leave out costs
# you no other. Derivations and the last question are read by a person.
#
# Symbols as in chapter 8: $r=\lVert w\rVert$, $g$ the gradient, $G=r\lVert g\rVert$, $a=1-\eta\lambda$, θ the angle
# between a weight and the next one. All weights here are scale-invariant: $\langle g,w\rangle=0$, and $g(\alpha
# w)=g(w)/\alpha$. "At rest" means that norms no longer drift.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch

from l2lib import figures
from l2lib.datasets import load

# %% [markdown]
# ## Question 1: between Adam and SGD (2 points)
#
# Chapter 9 finds that a step turns the weights $\alpha w$ by an angle with exponent −2 in α under SGD, and −1 under
# Adam without ε. With ε it is neither. Take one size of entries: at $\alpha=1$ the gradient's entries are as large as
# $\sqrt{\hat v}=\sigma$. The step at $\alpha w$ is then $\eta\,\frac{\hat m}{\sqrt{\hat v}+\varepsilon}$ with $\hat m$
# and $\sqrt{\hat v}$ both $\frac1\alpha$ times what they were.
#
# Find the local exponent, $\frac{d\ln\theta}{d\ln\alpha}$, of the (small) angle as a function of α. Only the exponent
# is tested. But ask yourself: whose exponent has a weight that grows and grows, Adam's or SGD's?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q1-slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slope(alpha, sigma, eps):
    """Local exponent of α in the angle of a step of Adam.

    Args:
        alpha: factor α on the weights, > 0; a number or an array.
        sigma: √v̂ at α = 1, > 0.
        eps: Adam's ε, ≥ 0.

    Returns:
        d ln θ / d ln α, for each α.
    """
    ### BEGIN SOLUTION
    # θ ∝ (1/α) / (σ/α + ε) / α = 1 / (α (σ + εα)): a weight that grows ends up with SGD's exponent
    return -1 - eps * alpha / (sigma + eps * alpha)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q1-slope-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

assert np.allclose(float(slope(3.0, 0.1, 0.0)), -1, atol=1e-4), "q1: without ε it is Adam's −1"
assert np.allclose(float(slope(1.0, 1e-3, 1e6)), -2, atol=1e-4), "q1: a huge ε makes it SGD's −2"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(41)
for _ in range(6):
    sigma, eps = 10 ** rng.uniform(-4, 0), 10 ** rng.uniform(-4, 0)
    alphas = 10 ** rng.uniform(-1.5, 1.5, 5)
    logs = np.log(alphas)
    turned = [np.log(np.exp(-x) / (np.exp(-x) * sigma + eps) / np.exp(x))
              for x in (logs - 1e-4, logs + 1e-4)]
    found = np.asarray(slope(alphas.copy(), sigma, eps), dtype=float)
    assert found.shape == alphas.shape, "q1: for an array of α the result is an array as long"
    assert np.allclose(found, (turned[1] - turned[0]) / 2e-4, atol=1e-3), (
        "q1: between the extremes the exponent is not the slope of ln θ over ln α; m̂ and √v̂ "
        "shrink by α, ε does not, and the weight is α times as long")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 2: λ from a log (2 points)
#
# Somebody sends you the log of a normalised layer: its norm before each of $T$ steps and after the last, and its
# gradient's norm at each step. You know η, and that it was SGD without momentum, with the penalty in the gradient as
# in `torch.optim.SGD`. Nobody remembers λ. Get it from (8.5), which holds at every step, at rest or not. The log has
# four significant digits, so a single step will not do: use them all. And $\eta\lambda$ may be as large as 0.2, so do
# not drop its square.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q2-log", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decay_from_log(norms, gradient_norms, lr):
    """Weight decay of a run, from the log of a normalised layer.

    Args:
        norms: ‖w‖ before each step and after the last, array (T + 1,), four digits.
        gradient_norms: ‖g‖ at each step, without the penalty's part, array (T,), four digits.
        lr: η.

    Returns:
        λ, to about one per cent.
    """
    ### BEGIN SOLUTION
    squares = norms**2
    shrunk = (squares[1:] - (lr * gradient_norms) ** 2) / squares[:-1]  # a², step by step
    return (1 - np.sqrt(shrunk.mean())) / lr
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q2-log-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

norms = 2 * 0.9 ** np.arange(30)
assert np.allclose(float(decay_from_log(norms, np.zeros(29), 0.5)), 0.2, rtol=0.02), (
    "q2: without gradients the norm falls by 1 - ηλ at each step")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(42)
for lr, weight_decay, steps, start in ((0.1, 0.03, 4000, 1.0), (0.5, 0.02, 2000, 6.0),
                                (0.4, 0.5, 400, 0.7), (1.0, 0.05, 40, 0.6),
                                (0.02, 0.4, 3000, 3.0)):
    r, logged = start, [[start], []]
    for _ in range(steps):
        g = rng.lognormal(0, 0.8) / r
        r = np.sqrt(((1 - lr * weight_decay) * r) ** 2 + (lr * g) ** 2)
        logged[0].append(r)
        logged[1].append(g)
    norms, slopes = (np.array([float(f"{x:.3e}") for x in column]) for column in logged)
    assert np.allclose(float(decay_from_log(norms, slopes, lr)), weight_decay, rtol=0.02), (
        "q2: λ is off by more than two per cent; use all steps and the whole of (8.5), with each "
        "gradient at its own step")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 3: how much a run can turn (5 points)
#
# Chapter 8 asks for the angle at rest, with $G$ steady. Here is something that holds always: SGD without momentum, any
# schedule $\eta_t$ with $\eta_t\lambda<1$, any gradients, at rest or not.
#
# **a)** (3 points, by hand)
#
# 1. Show from the triangle behind (8.5) that $\lVert w_{t+1}\rVert\cos\theta_t = (1-\eta_t\lambda)\lVert w_t\rVert$.
# 2. Derive what $\sum_t(-\ln\cos\theta_t)$ is over a whole run, in terms of the schedule, λ and the norms at both
#    ends only. Write it for small angles and small $\eta_t\lambda$ as well.
# 3. Two runs have $\sum_t\theta_t^2=10$ each; take the small-angle form. The first ends with the norm that it began
#    with. What is its $\lambda\sum_t\eta_t$? The second has no decay. By which factor does its norm grow, and its
#    effective learning rate $\eta/\lVert w\rVert^2$ fall, at constant η?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q3-budget-derive", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. The new weight is $(1-\eta_t\lambda)w_t-\eta_tg_t$ with $g_t\perp w_t$: a right triangle whose hypotenuse is
#    $w_{t+1}$, with a leg of length $(1-\eta_t\lambda)\lVert w_t\rVert$ along $w_t$. The angle between them is
#    $\theta_t$, so $\lVert w_{t+1}\rVert\cos\theta_t=(1-\eta_t\lambda)\lVert w_t\rVert$.
# 2. Take logarithms and add up; the norms between cancel:
#
#    $$\sum_{t<T}(-\ln\cos\theta_t)=\sum_{t<T}-\ln(1-\eta_t\lambda)+\ln\frac{\lVert w_T\rVert}{\lVert w_0\rVert}.$$
#
#    For small angles $-\ln\cos\theta\approx\frac12\theta^2$: $\;\frac12\sum\theta_t^2\approx\lambda\sum\eta_t+
#    \ln(\lVert w_T\rVert/\lVert w_0\rVert)$. No gradient is left in it.
# 3. The first: $\lambda\sum\eta_t=5$. The second: the norm must grow by $e^5\approx148$, and $\eta/\lVert w\rVert^2$
#    falls by $e^{10}\approx22{,}000$. Without decay a long way can only be paid for with length.
#
# *Rubric.* 1 point each: 1. the right triangle with its legs named, or an inner product of the new weight with $w_t$
# (half for the formula without $g_t\perp w_t$); 2. the sum with both terms (half), and the approximation (half); 3. 5
# (half), $e^5$ and $e^{10}$ (a quarter each, as powers or as numbers to two digits). Whoever has a wrong sum in 2 and
# draws the right conclusions from it in 3 gets the point for 3.
# ### END SOLUTION

# %% [markdown]
# **b)** (2 points) The exact sum, in code.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-budget", "locked": false, "schema_version": 3, "solution": true, "task": false}
def turn_budget(lrs, weight_decay, first, last):
    """Sum of -ln cos θ over a run of SGD without momentum on a scale-invariant weight.

    Args:
        lrs: learning rates η of all steps, array (T,).
        weight_decay: λ ≥ 0, every ηλ < 1.
        first: norm before the first step.
        last: norm after the last step.

    Returns:
        Σ -ln cos θ.
    """
    ### BEGIN SOLUTION
    return np.log(last / first) - np.log1p(-weight_decay * np.asarray(lrs)).sum()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q3-budget-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

turned = -np.log(np.cos(np.pi / 4))
assert np.allclose(float(turn_budget(np.array([0.5]), 0.0, 1.0, 2**0.5)), turned, rtol=1e-3), (
    "q3: a single step without decay, from (1, 0) to (1, 1), turns by 45 degrees")
assert float(turn_budget(np.full(10, 0.1), 0.2, 2.0, 2.0)) > 0, (
    "q3: a weight that decays and keeps its norm must turn")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(43)
for steps, weight_decay, top in ((50, 0.3, 0.8), (200, 0.05, 0.6), (30, 0.0, 0.3), (80, 0.6, 1.2)):
    lrs = top * rng.uniform(0.1, 1, steps)
    w, turned = rng.standard_normal(6), 0.0
    first = np.linalg.norm(w)
    for lr in lrs:
        g = rng.standard_normal(6) * rng.uniform(0, 2)
        g -= (g @ w) / (w @ w) * w
        new = w - lr * (g / np.linalg.norm(w) + weight_decay * w)
        turned -= np.log(new @ w / np.linalg.norm(new) / np.linalg.norm(w))
        w = new
    found = turn_budget(lrs.copy(), weight_decay, first, np.linalg.norm(w))
    assert np.allclose(float(found), turned, rtol=3e-3, atol=1e-4), (
        "q3: the sum differs from the one over a run's angles; the logarithm of 1 - ηλ is not -ηλ, "
        "and a norm that has grown means more turning")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 4: decay now and then (2 points)
#
# Decay costs a pass over all weights. Suppose that you decay only every $k$ steps, and then $k$ times as much:
# $w\leftarrow(1-k\eta\lambda)\,w$ *after* every $k$-th step. Let the step be that of normalised SGD: perpendicular to
# $w$ and of length η, always. After a long time the norms repeat themselves every $k$ steps. Find them.
#
# (From the largest over the smallest you see how large a $k$ you can afford: a step turns the weight by an angle of
# tangent $\eta/r$.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q4-cycle", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cycle(lr, weight_decay, k):
    """Norms at rest within a cycle of k steps and one decay.

    Args:
        lr: η, the length of every step.
        weight_decay: λ > 0.
        k: steps a cycle, with kηλ < 1.

    Returns:
        Norms before each of the k steps, array (k,); the first is that right after a decay.
    """
    ### BEGIN SOLUTION
    shrink = (1 - k * lr * weight_decay) ** 2  # r₀² = shrink · (r₀² + k η²)
    start = shrink * k * lr**2 / (1 - shrink)
    return np.sqrt(start + lr**2 * np.arange(k))
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q4-cycle-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

out = np.asarray(cycle(0.1, 0.5, 4), dtype=float)
assert out.shape == (4,), "q4: one norm for each of the k steps"
assert np.allclose(np.diff(out**2), 0.01, rtol=1e-3), "q4: each step adds η² to the square"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(44)
for k in (1, 2, 5, 12):
    lr = rng.uniform(0.05, 0.5)
    weight_decay = rng.uniform(0.1, 0.6) / k / lr
    r2 = 1.0
    for _ in range(400):
        right = []
        for _ in range(k):
            right.append(np.sqrt(r2))
            r2 += lr**2
        r2 *= (1 - k * lr * weight_decay) ** 2
    found = np.asarray(cycle(lr, weight_decay, k), dtype=float)
    assert found.shape == (k,) and np.allclose(found, right, rtol=1e-3), (
        "q4: these norms do not repeat themselves; k steps and then one factor 1 - kηλ must lead "
        "back to the first")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 5: a λ that does nothing (3 points)
#
# LARS and LAMB scale each layer's step to the length of its weights. Let decay be part of what is scaled:
#
# $$w\leftarrow w-\eta\,\lVert w\rVert\,\frac{g+\lambda w}{\lVert g+\lambda w\rVert},\qquad
# \lVert g\rVert=\frac{G}{\lVert w\rVert},\quad g\perp w.$$
#
# So every step is $\eta\lVert w\rVert$ long. Where does the norm rest, and by which angle does a step turn the weight
# there? (The angle is 1 point, the norm 2.) Draw the triangle of $w$, the step and the new weight, which at rest is as
# long as the old one. Then ask what is left of λ.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q5-trust", "locked": false, "schema_version": 3, "solution": true, "task": false}
def trust_rest(lr, weight_decay, G):
    """Norm and angle per step at rest under a trust ratio with decay inside.

    Args:
        lr: η, 0 < η < 1.
        weight_decay: λ > 0.
        G: norm of the gradient at norm 1.

    Returns:
        The norm and the angle in rad, two numbers.
    """
    ### BEGIN SOLUTION
    # Isosceles: sides r, base ηr. The step's part along -w, λr / ‖g + λw‖, is η/2 of its length.
    norm = np.sqrt(lr * G / (weight_decay * np.sqrt(4 - lr**2)))
    return norm, 2 * np.arcsin(lr / 2)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q5-trust-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np

angle = float(trust_rest(0.1, 0.01, 2.0)[1])
assert 0 < angle < 0.2, "q5: for small η the angle is about η"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(46)
for lr in (0.15, *rng.uniform(0.3, 1, 3)):
    weight_decay, G = rng.uniform(0.05, 1), rng.uniform(0.5, 4)
    angle = float(trust_rest(lr, weight_decay, G)[1])
    assert np.allclose(abs(np.exp(1j * angle) - 1), lr, rtol=1e-3), (
        "q5: wrong angle; two sides of the triangle have the length of the weight, the third is "
        "the step")
### END HIDDEN TESTS

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q5-trust-more", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

norms = [float(trust_rest(0.1, weight_decay, 2.0)[0]) for weight_decay in (0.01, 0.02)]
assert norms[0] > norms[1] > 0, "q5: a larger λ means a smaller norm"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(49)
for lr in (0.15, *rng.uniform(0.3, 1, 3)):
    weight_decay, G = rng.uniform(0.05, 1), rng.uniform(0.5, 4)
    w = rng.standard_normal(8)
    for _ in range(int(60 / lr**2)):
        r = np.linalg.norm(w)
        g = rng.standard_normal(8)
        g -= (g @ w) / r**2 * w
        u = G / r * g / np.linalg.norm(g) + weight_decay * w
        w = w - lr * r * u / np.linalg.norm(u)
    assert np.allclose(float(trust_rest(lr, weight_decay, G)[0]), np.linalg.norm(w), rtol=2e-3), (
        "q5: the norm differs from that of a long run; which part of the step points inwards, and "
        "which part must?")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 6: another batch size (4 points)
#
# You have tuned η and λ, and now the batch is to be larger by a factor $f$. Two things shall stay as they are, at rest:
#
# - the *memory* of the weight, in examples: after how many examples its direction has lost, say, half of its cosine
#   with the direction of now;
# - the norm $r_*$.
#
# Gradients are mostly noise that differs from batch to batch: $G$, and with it every $\sigma_i$ and $S$, is
# proportional to $1/\sqrt{\text{batch size}}$. Let $\eta\lambda$ be small, so that the approximate forms of (8.6),
# (9.3) and (9.4) do, and leave momentum alone.
#
# **a)** (2 points, by hand) Show that under SGD, at rest, the cosine between the direction of now and that $k$ steps
# later is $(1-\eta\lambda)^k$ on average. (Write $w_{t+k}$ as a sum. What do the gradients to come add along $w_t$?)
# Then find how η and λ must change with $f$ under SGD and under AdamW, whose memory fades by $1-\eta\lambda$ a step
# as well. Both rules have names in the literature on batch sizes; if you know them, say which they are.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q6-batch-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Unroll $k$ steps: $w_{t+k}=a^kw_t-\eta\sum_{j<k}a^{k-1-j}g_{t+j}$. The gradients to come are noise, and each is
# perpendicular to its own weight; none has a preferred direction along $w_t$, so on average $\langle
# w_{t+k},w_t\rangle=a^k\lVert w_t\rVert^2$. At rest both norms are $r_*$: the cosine is $a^k=(1-\eta\lambda)^k\approx
# e^{-\eta\lambda k}$. Memory is about $1/(\eta\lambda)$ steps, for AdamW as well.
#
# In examples it stays if $\eta\lambda$ is multiplied by $f$, as there are $f$ times fewer steps. SGD: $r_*^4\approx\eta
# G^2/(2\lambda)$ stays with $G^2/f$ if $\eta/\lambda$ is multiplied by $f$. Together: $f\eta$ and λ, the *linear*
# scaling rule. AdamW: $r_*^2\approx\eta d/(2\lambda)$ does not know $G$, so $\eta/\lambda$ stays: $\sqrt f\,\eta$ and
# $\sqrt f\,\lambda$, the *square-root* rule, here with its λ.
#
# *Rubric.* 1 point: $a^k$, with the reason why the gradients' part averages out (half without a reason). 1 point: both
# rules from the two conditions, half each. Whoever keeps the memory in steps instead of examples, and goes on correctly
# from there, gets half of the second point. The names are not needed.
# ### END SOLUTION

# %% [markdown]
# **b)** (2 points) In code: 1 point for both rules, and 1 for Adam with L2. There the penalty shrinks an entry by
# $\eta\lambda/\sigma_i$ a step (section 9.5), and this is what its memory goes by.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-batch", "locked": false, "schema_version": 3, "solution": true, "task": false}
def for_batch(optimizer, lr, weight_decay, factor):
    """Learning rate and weight decay for a batch that is larger by a factor.

    Args:
        optimizer: "sgd", "adamw" or "adam" (Adam with L2).
        lr: η of the old batch size.
        weight_decay: λ of the old batch size.
        factor: new batch size over the old one, > 0.

    Returns:
        The new η and λ, two numbers.
    """
    ### BEGIN SOLUTION
    # Adam with L2: ηλ/σ times f with σ/√f, so ηλ times √f; and r³ ∝ η S/λ with S/√f, so η/λ too.
    powers = {"sgd": (1, 0), "adamw": (0.5, 0.5), "adam": (0.5, 0)}[optimizer]
    return lr * factor ** powers[0], weight_decay * factor ** powers[1]
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-batch-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np

for optimizer in ("sgd", "adamw"):
    same = [float(x) for x in for_batch(optimizer, 0.1, 0.02, 1.0)]
    assert np.allclose(same, [0.1, 0.02], rtol=1e-3), (
        "q6: the same batch size needs the same η and λ")
    assert float(for_batch(optimizer, 0.1, 0.02, 4.0)[0]) > 0.1, (
        "q6: a larger batch allows a larger learning rate")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(47)
for factor in (0.25, *rng.uniform(2, 16, 3)):
    lr, weight_decay = rng.uniform(0.001, 0.003, 2)  # so small that exact forms of (8.6) fit as well
    new = [float(x) for x in for_batch("sgd", lr, weight_decay, factor)]
    product, quotient = new[0] * new[1] / (lr * weight_decay), new[0] / new[1] / (lr / weight_decay)
    assert np.allclose([product, quotient], [factor, factor], rtol=2e-3), (
        "q6: wrong for SGD; memory or norm changes, in (8.6) G² falls with the batch size")
    new = [float(x) for x in for_batch("adamw", lr, weight_decay, factor)]
    product, quotient = new[0] * new[1] / (lr * weight_decay), new[0] / new[1] / (lr / weight_decay)
    assert np.allclose([product, quotient], [factor, 1], rtol=2e-3), (
        "q6: wrong for AdamW; memory or norm changes, in (9.3) the norm does not know G")
### END HIDDEN TESTS

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-batch-more", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np

same = [float(x) for x in for_batch("adam", 0.1, 0.02, 1.0)]
assert np.allclose(same, [0.1, 0.02], rtol=1e-3), (
    "q6: the same batch size needs the same η and λ")
assert float(for_batch("adam", 0.1, 0.02, 4.0)[0]) > 0.1, (
    "q6: a larger batch allows a larger learning rate")
### BEGIN HIDDEN TESTS
def rest(lr, weight_decay, G, d=100):
    """Norm under Adam with L2, and loss of memory per step, of even entries."""
    r = (lr * G * d**0.5 / 2 / weight_decay) ** (1 / 3)
    return r, lr * weight_decay / (G / r / d**0.5)


rng = np.random.default_rng(50)
for factor in (0.25, *rng.uniform(2, 16, 3)):
    lr, weight_decay = rng.uniform(0.001, 0.003, 2)
    G = rng.uniform(0.5, 3)
    r, loss = rest(lr, weight_decay, G)
    new = [float(x) for x in for_batch("adam", lr, weight_decay, factor)]
    assert np.allclose(rest(*new, G / factor**0.5), [r, factor * loss], rtol=2e-3), (
        "q6: wrong for Adam with L2; memory or norm changes, σ and S fall too")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 7: a schedule that ends too soon (5 points)
#
# Nearly everybody lowers η along half a cosine. By (8.7) the turn at rest is $\arccos(1-\eta_t\lambda)$. Does the
# weight keep up? You train one batch-normalised layer on digits, under an output matrix that stays fixed. The gradient
# is given.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-gradient", "locked": true, "schema_version": 3, "solution": false, "task": false}
def gradient(W, x, labels, head):
    """Gradient of the cross-entropy of relu(batchnorm(x W)) head, with respect to W (NumPy)."""
    W = torch.tensor(W, requires_grad=True)
    z = torch.as_tensor(x) @ W
    z = (z - z.mean(0)) / z.std(0, correction=0)
    scores = z.relu() @ torch.as_tensor(head)
    loss = torch.nn.functional.cross_entropy(scores, torch.as_tensor(labels))
    return torch.autograd.grad(loss, W)[0].numpy()

# %% [markdown]
# **a)** (2 points) Write the run: SGD with the penalty in the gradient, no momentum, step $t$ with the rate `lrs[t]`
# and the examples `rows[t]`. Return the norm of $W$ before each step and after the last, and the angle between $W$
# before and after each step.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-follow", "locked": false, "schema_version": 3, "solution": true, "task": false}
def follow(W, X, y, head, rows, lrs, weight_decay):
    """Norms and angles of a normalised layer in training.

    Args:
        W: weights at the start (inputs, units); they are not changed.
        X, y: all examples (n, inputs) and their labels (n,).
        head: output matrix (units, classes), fixed.
        rows: numbers of the examples of each step (T, batch).
        lrs: η of each step (T,).
        weight_decay: λ.

    Returns:
        Norms (T + 1,), Frobenius, and angles in rad (T,): two arrays.
    """
    ### BEGIN SOLUTION
    norms, angles = [np.linalg.norm(W)], []
    for batch, lr in zip(rows, lrs, strict=True):
        old = W
        W = old - lr * (gradient(old, X[batch], y[batch], head) + weight_decay * old)
        norms.append(np.linalg.norm(W))
        angles.append(np.arccos((W * old).sum() / norms[-1] / norms[-2]))
    return np.array(norms), np.array(angles)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-follow-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch

rng = np.random.default_rng(3)
X, y, head = rng.standard_normal((40, 5)), rng.integers(0, 3, 40), rng.standard_normal((4, 3))
W, rows = rng.standard_normal((5, 4)), rng.integers(0, 40, (8, 16))
norms, angles = follow(W.copy(), X, y, head, rows, np.full(8, 0.5), 0.0)
norms, angles = np.asarray(norms, dtype=float), np.asarray(angles, dtype=float)
assert norms.shape == (9,) and angles.shape == (8,), "q7: T + 1 norms and T angles"
assert np.allclose(norms[0], np.linalg.norm(W), rtol=1e-4), "q7: norms begin at the start"
assert (np.diff(norms) > 0).all(), "q7: without decay the norm must grow at each step"
### BEGIN HIDDEN TESTS
def loss_at(W, x, labels, head):
    z = x @ W
    z = (z - z.mean(0)) / torch.sqrt(((z - z.mean(0)) ** 2).mean(0))
    return torch.nn.functional.cross_entropy(torch.relu(z) @ head, labels)


rng = np.random.default_rng(48)
for inputs, units, classes, weight_decay in ((6, 5, 3, 0.3), (4, 7, 5, 0.05)):
    X, y = rng.standard_normal((60, inputs)), rng.integers(0, classes, 60)
    head, W = rng.standard_normal((units, classes)), rng.standard_normal((inputs, units))
    rows, lrs = rng.integers(0, 60, (15, 20)), rng.uniform(0.1, 0.8, 15)
    kept = [torch.tensor(W)]
    for batch, lr in zip(rows, lrs, strict=True):
        w = kept[-1].clone().requires_grad_()
        loss = loss_at(w, torch.tensor(X[batch]), torch.tensor(y[batch]), torch.tensor(head))
        (loss + weight_decay / 2 * w.square().sum()).backward()
        kept.append(w.detach() - lr * w.grad)
    lengths = np.array([w.norm().item() for w in kept])
    turned = [2 * np.arcsin((a / a.norm() - b / b.norm()).norm().item() / 2)
              for a, b in zip(kept, kept[1:], strict=False)]
    norms, angles = follow(*(a.copy() for a in (W, X, y, head, rows, lrs)), weight_decay)
    assert np.allclose(np.asarray(norms, dtype=float), lengths, rtol=1e-3), (
        "q7: norms differ from those of SGD with the penalty in the gradient; each step has its "
        "own rate, and the decay acts on the weight before the step")
    assert np.allclose(np.asarray(angles, dtype=float), turned, rtol=5e-3, atol=1e-3), (
        "q7: angles differ; take the weights right before and right after each step")
### END HIDDEN TESTS

# %% [markdown]
# **b)** (1 point) Now the run itself, with what the next cell provides. Fill the dictionary `run`: `"lrs"`, the
# learning rates $\eta_t=\frac{0.4}2\big(1+\cos\frac{\pi t}{600}\big)$ for $t=0,\dots,599$; and `"norms"` and
# `"angles"`, what `follow` returns with them and $\lambda=0.05$.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-setting", "locked": true, "schema_version": 3, "solution": false, "task": false}
digits = load("digits")
rng = np.random.default_rng(8)
W0, head = rng.standard_normal((64, 32)) / 8, rng.standard_normal((32, 10)) / 4
rows = np.stack([rng.choice(len(digits.y), 32, replace=False) for _ in range(600)])
setting = {"W": W0, "X": digits.X / 16, "y": digits.y, "head": head, "rows": rows, "weight_decay": 0.05}

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-run", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
rates = 0.2 * (1 + np.cos(np.pi * np.arange(600) / 600))
lengths, turns = follow(**setting, lrs=rates)
run = {"lrs": rates, "norms": lengths, "angles": turns}
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-run-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch

from l2lib.datasets import load

lrs, norms, angles = (np.asarray(run[name], dtype=float) for name in ("lrs", "norms", "angles"))
assert lrs.shape == (600,) and norms.shape == (601,) and angles.shape == (600,), (
    "q7: 600 rates, 601 norms and 600 angles")
### BEGIN HIDDEN TESTS
assert np.allclose(lrs, 0.4 * np.cos(np.pi * np.arange(600) / 1200) ** 2, atol=1e-5), (
    "q7: the rates are not half a cosine from 0.4 at t = 0")
rng, digits = np.random.default_rng(8), load("digits")
w = torch.tensor(rng.standard_normal((64, 32)) / 8, requires_grad=True)
V, first = torch.tensor(rng.standard_normal((32, 10)) / 4), []
optimizer = torch.optim.SGD([w], lr=0.4, weight_decay=0.05)
for t in range(40):  # the beginning, from scratch; the rest must fit together
    optimizer.param_groups[0]["lr"] = 0.4 * np.cos(np.pi * t / 1200) ** 2
    batch = rng.choice(len(digits.y), 32, replace=False)
    z = torch.tensor(digits.X[batch] / 16) @ w
    z = (z - z.mean(0)) / ((z - z.mean(0)) ** 2).mean(0).sqrt()
    first.append(w.norm().item())
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(torch.relu(z) @ V, torch.tensor(digits.y[batch])).backward()
    optimizer.step()
assert np.allclose(norms[0], first[0], rtol=1e-4), "q7: the run does not start from W0"
assert np.allclose(norms[:40], first, rtol=2e-3), (
    "q7: the first steps are not those of the setting, with its matrices, its minibatches, the "
    "rates of the cosine and λ = 0.05")
shrunk = (1 - 0.05 * lrs) * norms[:-1] / norms[1:]
assert np.allclose(np.cos(angles)[:540], shrunk[:540], atol=1e-5), (
    "q7: norms and angles do not belong to one run of SGD with these rates and λ = 0.05")
late = np.sqrt((angles[240:480] ** 2).mean() / (np.arccos(1 - 0.05 * lrs[240:480]) ** 2).mean())
assert 0.6 < late < 1.2 and norms.std() > 0.01, "q7: this is not the run of the setting"
### END HIDDEN TESTS

# %% [markdown]
# **c)** (2 points, by hand) The next cell compares the angles of your run with those at rest, in each fifth of the run.
# Read it, and look at `run["norms"]`. Four questions, two or three sentences each:
#
# 1. Why is the first number below one?
# 2. Why is the last so far below one, although η is smallest there?
# 3. By (8.8) the norm needs time; as η changes, $\eta t$ there becomes a sum of $\eta_t$. Estimate from it at which
#    step the norm stops keeping up, and compare with the picture.
# 4. What do you expect of the run's last fifth if all is four times as long?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
rest = np.arccos(1 - 0.05 * np.asarray(run["lrs"]))
squares = [(np.asarray(a).reshape(5, 120) ** 2).mean(1) for a in (run["angles"], rest)]
fifths = np.sqrt(squares[0] / squares[1])
print("angle over that at rest, fifths of the run:", *(f"{x:.2f}" for x in fifths))
fig, ax = figures.subplots()
smooth = np.sqrt((np.asarray(run["angles"]).reshape(-1, 10) ** 2).mean(1))
ax.semilogy(np.arange(5, 600, 10), smooth, label="measured, of 10 steps each")
ax.semilogy(rest, ":", color="black", label="at rest, arccos(1 − ηλ)")
ax.set(xlabel="step", ylabel="angle per step (rad)", title="The schedule outruns the norm")
ax.legend()
figures.show(fig, "Angle per step on a logarithmic axis over 600 steps of a cosine schedule. "
             "Measured over the dotted angle at rest it is, by fifths of the run: "
             + ", ".join(f"{x:.2f}" for x in fifths) + ".")

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q7-lag-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. The initial norm, 5.8, is more than twice what it is later, so steps turn too little until decay has shortened
#    the weights: a warm-up that nobody asked for.
# 2. At rest the angle falls as $\sqrt\eta$ and the norm as $\eta^{1/4}$. But the norm can only fall by decay, at the
#    rate $\eta_t\lambda$, and that fades too. Once it stands still the angle is $\eta_tG/r^2$ with a fixed $r$: it
#    falls as η itself, and over the angle at rest as $\sqrt{\eta_t}$.
# 3. Near the end $\eta_t\approx0.4\,\frac{\pi^2}4(s/600)^2$ with $s$ steps to go. What is left of (8.8)'s exponent,
#    $4\lambda\sum\eta$, is about $4\cdot0.05\cdot0.4\cdot\frac{\pi^2}{12}s^3/600^2$, and it is one at $s\approx176$:
#    from about step 420 on. In the picture the curves part at 350 to 400, and at 420 to 450 the angle is about three
#    quarters of that at rest.
# 4. By the same formula $s$ grows only as $T^{2/3}$. In a run four times as long the share of the last phase is
#    smaller by $4^{-1/3}=0.63$, and the last fifth comes nearer to one (about 0.7 instead of 0.5 if you try it).
#
# *Rubric.* Half a point each: 1. a start that is too long; 2. the norm cannot fall as fast as its rest does, since
# decay acts at $\eta_t\lambda$ (that η is small at the end is not enough); 3. an estimate of the step by comparing
# the time that is needed with what is left; 4. a longer run keeps up better, with a reason. In 3 the answer depends
# on what is compared, as the norm falls behind by and by: $4\lambda\sum\eta=1$ over what is left gives step 422,
# $1/(4\eta\lambda)$ equal to the steps left 477, $1/(\eta\lambda)$ equal to them 400, $\lambda\sum\eta=1$ over what
# is left 310. Anything from 300 to 500 counts if such a reason stands beside it; a step that is only read off the
# picture does not.
# ### END SOLUTION

# %% [markdown]
# ## Question 8: signs (open, 2 points, by hand)
#
# Sign descent with momentum, a close relative of Lion: $m\leftarrow\beta m+(1-\beta)g$ and
# $w\leftarrow(1-\eta\lambda)\,w-\eta\operatorname{sign}(m)$, $d$ weights in a normalised layer.
#
# What do you predict for its norm and its angle per step at rest? With $\beta=0$ give formulas, and say what you assume
# of the gradients. With $\beta=0.9$ it is enough to say whether each is larger or smaller than that, and why. How would
# you find out whether you are right, in a simulation and in a network, and what would prove you wrong? Half a page will
# do. You may add code, and report what came out.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q8-open-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# $\beta=0$: every step has the length $\eta\sqrt d$, whatever the gradient. Suppose that gradients of successive
# batches are uncorrelated, and that the signs are perpendicular to $w$ on average, as in section 9.5. The triangle of
# chapter 8 then has legs $ar$ and $\eta\sqrt d$: $r_*^2=\eta^2d/(1-a^2)$ and $\cos\theta_*=a$, so $r_*^2\approx\eta
# d/(2\lambda)$ and $\theta_*\approx\sqrt{2\eta\lambda}$. Layers of all gradient sizes turn alike, as under AdamW.
#
# $\beta=0.9$: the step is as long as before, but successive signs agree. $m$ has the correlation $\beta^k$ over $k$
# steps; for Gaussian entries the signs have $\rho_k=\frac2\pi\arcsin\beta^k$. Steps that agree carry further, so the
# norm is larger, and each step of the same length turns it less:
#
# $$r_*^2=\frac{\eta^2d}{1-a^2}\Big(1+2\sum_{k\ge1}\rho_ka^k\Big),\qquad\cos\theta_*=a+\frac{\eta^2d}{r_*^2}
# \sum_{k\ge1}\rho_ka^{k-1}.$$
#
# With $\rho_k=\beta^k$ in place of the arcsine the angle is that of (9.3); AdamW's norm is smaller, as momentum
# shortens its steps. At $\eta=0.001$, $\lambda=10$, $d=500$ the formulas say norm 0.159 and 0.142 rad without
# momentum, 0.554 and 0.039 rad with it. A simulation with random perpendicular gradients (8,000 steps, root mean
# squares of the second half) agrees within one per cent.
#
# In a network: record norm and angle of layers of different size at rest, five seeds, and compare. Proved wrong if the
# angle depends on the layer's gradient, or on β in another way. The likely reason is then that gradients of successive
# batches are correlated, which can be measured.
#
# *Rubric.* 1 point: the length $\eta\sqrt d$ (half), and from it norm and angle for $\beta=0$ with the assumption
# named (half; small $\eta\lambda$ will do). Half: with momentum a larger norm and a smaller angle, with the reason, a
# quarter each. (No formula is needed. "As AdamW" gets the quarter for the angle: AdamW's norm hardly depends on
# $\beta_1$.) Half: a test that could fail, with what is measured and against what.
# ### END SOLUTION
