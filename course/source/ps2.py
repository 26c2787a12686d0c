# %% [markdown]
# # Problem set 2: λ's meanings, groups and sizes
#
# After chapters 3, 5 and 6. You carry a recipe from one program into another, find out what summed tokens and many
# workers do to λ, read AdamW as an average over the past and run into its walls, sort a model's tensors, and see what
# a layer pays that is used several times.
#
# - **Time:** about two hours. **Points:** 25; each question says its own.
# - **Hand in** this notebook, with its name unchanged. Write where a cell says `raise NotImplementedError()` or asks
#   for words. Keep the names of functions and variables, and leave the test cells where they are.
# - **Grading:** below each answer stands a test that you can run. It tells you that you are on the way. When your work
#   is graded, more tests run, on other numbers. Derivations and the last question are read by a person.
# - Each question is graded by itself: a mistake in one costs nothing in another. Tests call your functions with numbers
#   and NumPy arrays; what you return may be Python numbers, NumPy arrays or torch tensors.

# %%
import numpy as np

# %% [markdown]
# ## Question 1: someone else's recipe (2 points)
#
# A program written with Keras trains a linear regression on batches of $B$ examples. It minimises the *sum* of the
# squared errors of a batch plus `L2(λ)` on the weights, that is $\lambda\lVert w\rVert^2$ without ½, by SGD with
# momentum. You use `torch.nn.MSELoss()`, the mean over the batch, and `torch.optim.SGD` with the same momentum, and a
# group of its own for the bias, which does not decay. Which `lr` and which `weight_decay` make your program take the
# same steps?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q1-recipe", "locked": false, "schema_version": 3, "solution": true, "task": false}
def translate(lr, l2, batch_size):
    """Your (lr, weight_decay), from the lr, the number in L2(…) and the batch size of theirs."""
    ### BEGIN SOLUTION
    # Theirs is B times (mean squared error + (λ/B)‖w‖²), and (λ/B)‖w‖² = ½(2λ/B)‖w‖².
    return lr * batch_size, 2 * l2 / batch_size
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q1-recipe-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

answer = [float(part) for part in translate(0.01, 0.3, 1)]
assert len(answer) == 2, "q1: return two numbers, lr and weight_decay"
assert np.isclose(answer[0], 0.01, rtol=1e-4), (
    "q1: with batches of one example sum and mean are the same, and so is lr")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2101)
for _ in range(10):
    size, d = int(rng.integers(2, 12)), int(rng.integers(1, 6))
    lr, l2, momentum = rng.uniform(0.001, 0.01), rng.uniform(0.05, 1.0), rng.uniform(0, 0.9)
    lr_new, weight_decay = (float(part) for part in translate(lr, l2, size))
    theirs, ours = (np.append(np.ones(d), 0.5) for _ in range(2))
    v_theirs, v_ours, is_weight = np.zeros(d + 1), np.zeros(d + 1), np.append(np.ones(d), 0)
    for _ in range(5):
        X = np.column_stack([rng.standard_normal((size, d)), np.ones(size)])
        y = rng.standard_normal(size)
        v_theirs = momentum * v_theirs + 2 * X.T @ (X @ theirs - y) + 2 * l2 * is_weight * theirs
        v_ours = momentum * v_ours + 2 * X.T @ (X @ ours - y) / size + weight_decay * is_weight * ours
        theirs, ours = theirs - lr * v_theirs, ours - lr_new * v_ours
    assert np.isclose(lr_new, lr * size, rtol=1e-3), (
        "q1: with your lr the loss's own steps are not theirs; sum and mean differ by a factor in "
        "the gradient")
    assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-4), (
        "q1: the loss's steps are right, the penalty's are not: divide their whole objective until "
        "the loss is yours, and mind the ½")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 2: tokens, micro-batches, workers (2 points)
#
# A language model is trained like this. Each of `workers` workers takes `micro_batches` micro-batches of `tokens`
# tokens each. The loss of a micro-batch is the *sum* of the cross-entropies of its tokens. `backward()` is called for
# each micro-batch, and gradients add up. Then gradients are *averaged* over the workers, and plain SGD takes one step.
#
# The number λ stands in one of two places: it is SGD's `weight_decay`, or (`in_loss=True`) the author has written
# $+\frac\lambda2\lVert w\rVert^2$ into the loss of every micro-batch. Which λ of the book is that, beside the *mean*
# loss over all tokens of a step?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q2-tokens", "locked": false, "schema_version": 3, "solution": true, "task": false}
def book_lambda(lam, tokens, micro_batches, workers, in_loss):
    """λ beside the mean loss of a token, from the number λ in the program."""
    ### BEGIN SOLUTION
    # Averaging over workers leaves tokens · micro_batches times the mean gradient of a token.
    times_added = micro_batches if in_loss else 1
    return lam * times_added / (tokens * micro_batches)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q2-tokens-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

cases = [(workers, in_loss) for workers in (1, 8) for in_loss in (False, True)]
answer = [float(book_lambda(0.1, 1, 1, *case)) for case in cases]
assert np.allclose(answer, 0.1, rtol=1e-4), (
    "q2: with one token and one micro-batch for each worker, sum and mean are the same on each "
    "worker, and the average over workers is the mean over all tokens")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2102)
for trial in range(12):
    tokens, micro, workers = (int(rng.integers(2, 9)) for _ in range(3))
    number, in_loss, w = rng.uniform(0.1, 2), trial % 2 == 1, rng.standard_normal(3)
    per_token = rng.standard_normal((workers, micro, tokens, 3))
    total = np.zeros(3)
    for worker in range(workers):
        for part in range(micro):
            total += per_token[worker, part].sum(0) / workers
            total += number * w / workers if in_loss else 0
    total += 0 if in_loss else number * w
    answer = float(book_lambda(number, tokens, micro, workers, in_loss))
    wanted = per_token.mean((0, 1, 2)) + answer * w  # the book's gradient has total's direction
    same = np.allclose(np.cross(wanted, total) / np.linalg.norm(total), 0, atol=1e-4)
    assert same or in_loss, (
        "q2: λ as weight_decay: it is added once for each step. How many times the mean gradient "
        "is the loss's gradient that it stands beside?")
    assert same, (
        "q2: λ in the loss: backward() is called for each micro-batch. How often does each worker "
        "add λw, and what does averaging make of it?")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 3: AdamW is an average over the past (5 points)
#
# AdamW's step is $w_t = (1-\eta_t\lambda)\,w_{t-1} - \eta_t u_t$, where $u_t$ is Adam's ratio (3.3) and $\eta_t$ the
# learning rate, which follows a schedule. Unroll it:
#
# $$w_T = p_0\,w_0 + \sum_{t=1}^{T} p_t\,\Big(-\frac{u_t}\lambda\Big).$$
#
# So the weight at the end mixes the start with what each step wanted. The number $p_t$ says how much of step $t$ is
# left.
#
# **3a (2 points).** Compute all shares $p_0,\dots,p_T$. (A training run has many steps: mind a loop within a loop.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-shares", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shares(rates, weight_decay):
    """p_0 … p_T, T + 1 numbers, from the learning rates η_1 … η_T and λ > 0; all η_t·λ < 1."""
    ### BEGIN SOLUTION
    taken = np.asarray(rates, dtype=float) * weight_decay
    kept_after = np.append(np.cumprod((1 - taken)[::-1])[::-1], 1.0)  # what steps t … T leave
    return np.append(kept_after[0], taken * kept_after[1:])
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q3-shares-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

answer = np.asarray(shares(np.array([0.5, 0.5]), 1.0), dtype=float)
assert answer.shape == (3,), "q3: two steps have three shares: that of the start comes first"
assert np.allclose(answer, [0.25, 0.25, 0.5], rtol=1e-4), (
    "q3: two steps that each take half of what is there leave ¼ of the start, ¼ of step 1, ½ of "
    "step 2")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2103)
for _ in range(10):
    steps, weight_decay = int(rng.integers(3, 60)), rng.uniform(0.1, 3)
    rates = rng.uniform(0, 0.6, steps) / weight_decay
    start, u = rng.standard_normal(), rng.standard_normal(steps)
    w = start
    for rate, ratio in zip(rates, u, strict=True):
        w = (1 - rate * weight_decay) * w - rate * ratio
    answer = np.asarray(shares(rates.copy(), weight_decay), dtype=float)
    assert answer.shape == (steps + 1,), "q3: return one share for the start and one for each step"
    assert np.isclose(answer[0], np.prod(1 - rates * weight_decay), rtol=1e-3, atol=1e-12), (
        "q3: the start's share is wrong when learning rates differ from step to step")
    mixed = answer[0] * start + np.sum(answer[1:] * -u / weight_decay)
    assert np.isclose(mixed, w, rtol=1e-3, atol=1e-4), (
        "q3: start and steps, mixed by your shares, are not the weight of a simulated run. Which "
        "decays come after step t? Its own is not among them")
### END HIDDEN TESTS

# %% [markdown]
# **3b (2 points).** What does a schedule do to the shares? It is an array of $T$ factors; the learning rates are the
# base rate times these. Write a function that returns three numbers: the share of the start, $p_0$; the share of the
# last tenth of the steps ($T$ is a multiple of ten); and the λ with which *this* schedule would leave as much of the
# start as the constant one, all factors 1, leaves with `weight_decay`. Base rate times λ is below 0.001, and three
# digits are enough.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-memory", "locked": false, "schema_version": 3, "solution": true, "task": false}
def memory(schedule, base_rate, weight_decay):
    """Share of the start, share of the last tenth, and the λ that matches the constant schedule."""
    ### BEGIN SOLUTION
    kept = 1 - base_rate * weight_decay * np.asarray(schedule, dtype=float)
    late = kept[-(len(kept) // 10):]
    # log(1 - ηλ) is nearly -ηλ, so that only the sum of the schedule counts.
    return np.prod(kept), 1 - np.prod(late), weight_decay / np.mean(schedule)
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q3-memory-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

answer = [float(part) for part in memory(np.ones(10), 0.001, 0.5)]
assert len(answer) == 3, "q3: return three numbers"
assert np.isclose(answer[0], 0.9995**10, rtol=1e-5), (
    "q3: ten steps that each leave 0.9995 of what is there leave 0.9995 to the tenth of the start")
assert np.isclose(answer[2], 0.5, rtol=1e-3), (
    "q3: for the constant schedule the λ asked for is its own")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2107)
for trial in range(9):
    steps = 10 * int(rng.integers(100, 400))
    rate, weight_decay = rng.uniform(5e-4, 2e-3), rng.uniform(0.1, 0.25)
    form = [np.linspace(rng.uniform(0.5, 1), rng.uniform(0.1, 0.4), steps),
            np.minimum(1, np.arange(steps) / rng.uniform(0.2, 0.5) / steps),
            np.repeat(rng.uniform(0.1, 1, 10), steps // 10)][trial % 3]
    answer = [float(part) for part in memory(form.copy(), rate, weight_decay)]
    log_kept = np.log1p(-rate * weight_decay * form)
    assert np.isclose(answer[0], np.exp(log_kept.sum()), rtol=1e-3), (
        "q3: the share of the start is not the product of what all steps leave, under base_rate "
        "times the schedule")
    assert np.isclose(answer[1], -np.expm1(log_kept[-steps // 10:].sum()), rtol=2e-3), (
        "q3: the share of the last tenth is not the sum of the shares of the last steps, a tenth "
        "of their number")
    reached = np.log1p(-rate * answer[2] * form).sum() / (steps * np.log1p(-rate * weight_decay))
    assert np.isclose(reached, 1, rtol=2e-3), (
        "q3: with the λ that you return the schedule does not leave as much of the start as the "
        "constant one leaves with weight_decay")
### END HIDDEN TESTS

# %% [markdown]
# Now a run of 10,000 steps, a base rate of $10^{-3}$, $\lambda = 0.1$ and three schedules:

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-run", "locked": true, "schema_version": 3, "solution": false, "task": false}
T = 10_000
step = np.arange(T)
schedules = {"constant": np.ones(T),
             "cosine": (1 + np.cos(np.pi * step / T)) / 2,
             "constant, then linear": np.minimum(1, (T - step) / (0.2 * T))}
for name, schedule in schedules.items():
    print(f"{name:22}", *(f"{float(part):.4f}" for part in memory(schedule, 1e-3, 0.1)))

# %% [markdown]
# **3c (1 point, by hand).** Read the table, in three or four sentences. A recipe's λ = 0.1 was tuned under the cosine,
# and you train at the constant rate, from the same base rate and for as many steps. Which λ keeps the start's share as
# it was? What differs all the same, and would another λ repair it?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q3-read", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The cosine's mean is ½, so it needs twice the constant schedule's λ; the other way round the recipe's 0.1 becomes
# 0.05. (At 0.1 the start's share would fall from 0.61 to 0.37.) But the last tenth of the steps makes up a tenth of
# the weights under the constant rate, at $\lambda = 0.1$, and less than a thousandth under the cosine. A smaller λ
# lowers that share only in proportion (at 0.05 it is a twentieth), and p₀ rises. So no λ repairs it: at a constant rate
# the last minibatches stay in the weights, with their noise.
#
# **Rubric, 1 point.** ½ for 0.05, from the table or from the sum of the schedule. ½ for the share of the last steps,
# and that no λ gives both (a smaller λ lowers it only in proportion). A wrong table that is read correctly costs
# nothing here.
# ### END SOLUTION

# %% [markdown]
# ## Question 4: AdamW's walls, and a bias that meets them (4 points)
#
# **4a (2 points, by hand).** Let all $\eta_t\lambda<1$.
#
# 1. Show that the shares of question 3 sum to one, under every schedule.
# 2. Suppose $|u_t|\le1$ at every step. Conclude that $|w_T|\le\max(|w_0|, 1/\lambda)$. Where does a weight go, at a
#    constant learning rate, whose gradient never changes, so that $u_t$ is 1 or $-1$ throughout? And where does plain
#    SGD with the same λ send a lone bias $b$ with loss $\frac12(b-c)^2$?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q4-walls-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# **1.** Run AdamW with $u_t = -\lambda$ in all steps, from $w_0 = 1$: each step is
# $(1-\eta_t\lambda)\cdot1+\eta_t\lambda = 1$, so $w_T = 1$. The unrolled sum says $w_T = p_0+\sum_tp_t$. (Or by
# induction: a step multiplies the old shares by $1-\eta\lambda$ and adds a share $\eta\lambda$; if they summed to one,
# they do so again. Or telescope $\prod_{k>t}(1-\eta_k\lambda)-\prod_{k\ge t}(1-\eta_k\lambda)$.)
#
# **2.** All shares are non-negative and sum to one, so $w_T$ is a weighted mean of $w_0$ and numbers $-u_t/\lambda$ of
# size at most $1/\lambda$. A mean is no larger than the largest. With $u_t = \pm1$ throughout, $w$ goes to
# $\mp1/\lambda$, whatever the gradient's size: all numbers but the start are there, and the start's share goes to zero.
# SGD rests where $b-c+\lambda b = 0$, at $c/(1+\lambda)$, however large $c$ is.
#
# **Rubric, 2 points.** 1 for part 1, any proof for rates that differ (½ if only for a constant rate). 1 for part 2: ½
# for the bound, by a mean with non-negative shares or step by step (triangle inequality and induction); ½ for both
# resting places, $\mp1/\lambda$ with the sign and $c/(1+\lambda)$ (¼ each).
# ### END SOLUTION

# %% [markdown]
# **4b (2 points).** A model is all bias, with the loss $\frac12(b-c)^2$, and starts from $b = 0$. Return the bias after
# `steps` steps of AdamW (its usual $\beta = 0.9, 0.999$ and $\epsilon = 10^{-8}$) and the bias after as many of plain
# SGD, each with `weight_decay` λ. Use `torch.optim`, or write the steps out.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q4-bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_bias(lam, c, lr, steps):
    """Two numbers: the bias that AdamW reaches, and the one that SGD reaches."""
    ### BEGIN SOLUTION
    by_adamw = by_sgd = m = v = 0.0
    for t in range(1, steps + 1):
        g = by_adamw - c
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        ratio = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
        by_adamw = (1 - lr * lam) * by_adamw - lr * ratio
        by_sgd = by_sgd - lr * (by_sgd - c + lam * by_sgd)
    return by_adamw, by_sgd
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q4-bias-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

answer = [float(part) for part in train_bias(0.1, 5.0, 0.01, 1)]
assert len(answer) == 2, "q4: return two numbers, AdamW's bias first"
assert np.allclose(answer, [0.01, 0.05], rtol=1e-4), (
    "q4: the first step from b = 0 is the learning rate for AdamW, times the gradient for SGD")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2104)
for _ in range(8):
    lam, lr = 10 ** rng.uniform(-2.5, -0.5), rng.uniform(0.05, 0.5)
    c, steps = rng.choice([-1, 1]) * rng.uniform(30, 400), int(rng.integers(5, 250))
    answer = [float(part) for part in train_bias(lam, c, lr, steps)]
    assert np.isclose(answer[1], c / (1 + lam) * (1 - (1 - lr * (1 + lam)) ** steps), rtol=1e-3), (
        "q4: the bias of SGD is not where its steps lead. The gradient of loss plus penalty is "
        "b - c + λb")
    state = np.zeros(3)  # b, m, v
    for t in range(steps):
        g = state[0] - c
        state[1:] += (0.1 * (g - state[1]), 0.001 * (g * g - state[2]))
        hat = state[1:] / (1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1))
        state[0] -= lr * (lam * state[0] + hat[0] / (hat[1] ** 0.5 + 1e-8))
    assert np.isclose(answer[0], state[0], rtol=1e-3), (
        "q4: the bias of AdamW is not where its steps lead. Its decay stands beside Adam's step, "
        "not in its gradient, is multiplied by lr, and takes its share of b before the step")
### END HIDDEN TESTS

# %% [markdown]
# The temperatures of chapter 6 have a mean of 283.15 kelvin. PyTorch's default for AdamW is $\lambda = 0.01$, on biases
# too. What would the weather be? (500 steps do not bring AdamW quite to where 4a sends it: here the gradient shrinks on
# the way, and $v$ remembers how large it was.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q4-run", "locked": true, "schema_version": 3, "solution": false, "task": false}
for lam in (0.1, 0.03, 0.01, 0.001):
    by_adamw, by_sgd = train_bias(lam, 283.15, 1.0, 500)
    print(f"λ = {lam}: {float(by_adamw):.2f} K by AdamW, {float(by_sgd):.2f} K by SGD")

# %% [markdown]
# ## Question 5: which tensors decay? (3 points)
#
# You get a model's parameters as records `(name, module, shape, storage)`: the full name, the class of the layer that
# the tensor belongs to, its shape, and a number for the memory that it lives in. Return a dictionary from each name to
# `True` (decays), `False` (does not) or `None` (no rule: ask a person). Of these rules the first that fits decides;
# "last part" means that of the name, after its last dot:
#
# 1. A bias does not decay, whatever its class: the last part has the word `bias`, where underscores separate words
#    (`in_proj_bias`, `bias_k`, `bias_hh_l0`).
# 2. Nothing decays that belongs to an `Embedding`, a `PReLU`, or a class that has `Norm` in its name (`LayerNorm`,
#    `BatchNorm2d`, `LlamaRMSNorm`).
# 3. Weight norm makes two tensors of a layer's weight. The lengths, last part `original0`, do not decay. (The
#    direction, `original1`, is treated like the weight that it stands for.)
# 4. What else belongs to `Linear`, `Conv1d`, `Conv2d`, `LSTM`, `GRU` or `MultiheadAttention` decays.
# 5. Any other class: `None`.
#
# So other parts of the name, which people choose, mean nothing, and neither does the rank. Finally, names with the same
# storage are one, *tied*, tensor. It decays if *any* of its uses does; else the answer is `None` if any use has `None`,
# else `False`. All its names get the same answer.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q5-groups", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decays(records):
    """True, False or None for each name, from a list of (name, module, shape, storage)."""
    ### BEGIN SOLUTION
    with_matrices = {"Linear", "Conv1d", "Conv2d", "LSTM", "GRU", "MultiheadAttention"}

    def rule(name, module):
        last = name.split(".")[-1]
        if "bias" in last.split("_") or last == "original0":
            return False
        if module in ("Embedding", "PReLU") or "Norm" in module:
            return False
        return True if module in with_matrices else None

    uses = {}
    for name, module, _, storage in records:
        uses.setdefault(storage, []).append(rule(name, module))
    verdict = {storage: True if True in found else None if None in found else False
               for storage, found in uses.items()}
    return {name: verdict[storage] for name, _, _, storage in records}
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q5-groups-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
records = [("body.0.weight", "Linear", (8, 8), 1), ("body.0.bias", "Linear", (8,), 2),
           ("norm.weight", "LayerNorm", (4, 8), 3), ("pool.query", "Pool", (8,), 4)]
answer = decays(list(records))
assert set(answer) == {record[0] for record in records}, (
    "q5: there must be an answer for every name")
assert answer["body.0.weight"], "q5: a Linear's weight decays"
assert not answer["body.0.bias"], "q5: a Linear's bias does not decay"
assert not answer["norm.weight"], "q5: a norm's weight has two axes here, and does not decay"
assert answer["pool.query"] is None, "q5: no rule speaks of a Pool, so a person must be asked"
### BEGIN HIDDEN TESTS
import numpy as np

rng = np.random.default_rng(2105)
kinds = {
    "matrices": (True, [("weight", "Linear", (8, 4)), ("weight", "Conv1d", (8, 4, 3)),
                        ("weight", "Conv2d", (8, 4, 3, 3)), ("weight_hh_l0", "LSTM", (16, 4)),
                        ("weight_ih_l1", "GRU", (12, 4)),
                        ("in_proj_weight", "MultiheadAttention", (24, 8)),
                        ("parametrizations.weight.original1", "Linear", (8, 4)),
                        ("unbiased_weight", "Linear", (8, 4))]),
    "biases": (False, [("bias", "Linear", (8,)), ("bias", "Conv2d", (8,)),
                       ("bias_hh_l0", "LSTM", (16,)), ("bias_ih_l1", "GRU", (12,)),
                       ("in_proj_bias", "MultiheadAttention", (24,)),
                       ("bias_k", "MultiheadAttention", (1, 1, 8)), ("bias", "Router", (8,))]),
    "norms": (False, [("weight", "LayerNorm", (4, 8)), ("bias", "LayerNorm", (4, 8)),
                      ("weight", "GroupNorm", (8,)), ("weight", "BatchNorm2d", (8,)),
                      ("bias", "BatchNorm1d", (8,)), ("weight", "LlamaRMSNorm", (8,)),
                      ("scale", "T5LayerNorm", (8,))]),
    "others": (False, [("weight", "Embedding", (50, 8)), ("weight", "PReLU", (1,))]),
    "lengths": (False, [("parametrizations.weight.original0", "Linear", (8, 1)),
                        ("parametrizations.weight.original0", "Conv2d", (8, 1, 1, 1))]),
    "unknown": (None, [("query", "Pool", (8,)), ("weight", "Router", (8, 4)),
                       ("parametrizations.weight.original1", "Router", (8, 4)),
                       ("cls_token", "VisionModel", (1, 1, 8))]),
}
words = ["body", "prelayernorm", "rel_pos_bias", "embedding", "head", "bias", "norm", "0",
         "attention", "bias_net"]
for _ in range(20):
    truth, records = {}, []
    for group, (value, templates) in kinds.items():
        for k in rng.choice(len(templates), min(3, len(templates)), replace=False):
            last, module, shape = templates[k]
            name = ".".join([f"b{len(records)}", *rng.choice(words, 2).tolist(), last])
            records.append((name, module, shape, 100 + len(records)))
            truth[name] = (value, group)
    records = [records[k] for k in rng.permutation(len(records))]
    answer = dict(decays(list(records)))
    assert set(answer) == set(truth), "q5: there must be an answer for every name, and for no other"
    wrong = {group for name, (value, group) in truth.items()
             if (answer[name] is None) != (value is None) or bool(answer[name]) != bool(value)}
    assert "matrices" not in wrong, (
        "q5: some kernel or matrix does not decay, or is called unknown. A word elsewhere in its "
        "name means nothing")
    assert "biases" not in wrong, (
        "q5: some bias decays. It may have three axes, or bias as one of several words")
    assert "norms" not in wrong, (
        "q5: some norm's tensor decays, or is called unknown. Its class says that it is a norm")
    assert "others" not in wrong, "q5: an Embedding or a PReLU decays, or is called unknown"
    assert "lengths" not in wrong, (
        "q5: weight norm's lengths decay; they have two axes or more, and are no direction")
    assert "unknown" not in wrong, (
        "q5: a class that no rule mentions must give None, whatever its tensors' names")
templates = [(*template, value) for value, group in kinds.values() for template in group]
for trial in range(30):  # two or three uses of one tensor
    some = [templates[k] for k in rng.choice(len(templates), 2 + trial % 2, replace=False)]
    tied = [(f"b{k}.{last}", module, shape, 7)
            for k, (last, module, shape, _) in enumerate(some)]
    uses = [value for *_, value in some]
    answer = dict(decays(tied[::-1] if trial % 4 > 1 else list(tied)))
    found = [None if answer[name] is None else bool(answer[name]) for name, *_ in tied]
    assert True not in uses or found == [True] * len(tied), (
        "q5: a tied tensor of which one use decays, such as an embedding tied to a Linear, decays "
        "under all its names, in any order")
    assert True in uses or None not in uses or found == [None] * len(tied), (
        "q5: a tied tensor that does not decay by one use, and has no rule in another, needs a "
        "person, under all its names")
    assert True in uses or None in uses or found == [False] * len(tied), (
        "q5: a tied tensor of which no use decays does not decay")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 6: the same function, at the lowest price (2 points)
#
# A network $f(x) = \sum_j v_j\,\mathrm{relu}(w_j^\top x+b_j)$ has free biases and the penalty
# $\frac{\lambda_1}2\lVert W\rVert^2+\frac{\lambda_2}2\lVert v\rVert^2$. Section 5.3 says what training makes of it, in
# a few times $1/(2\eta\lambda)$ steps. You need not wait: return weights with the *same function* and the lowest
# penalty that rescaling its units can reach, or come as near to as one likes. All $w_j\ne0$, but some $v_j$ may be
# zero.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-rebalance", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rebalance(W, b, v, lam1, lam2):
    """The (W, b, v) of lowest penalty with the same function; W (m, d), b (m,), v (m,), λ > 0."""
    ### BEGIN SOLUTION
    lengths, sizes = np.linalg.norm(W, axis=1), np.abs(v)
    c = (lam2 * sizes**2 / (lam1 * lengths**2)) ** 0.25  # makes λ₁‖cw‖² equal to λ₂(v/c)²
    divisor = np.where(c > 0, c, 1)  # a unit without output costs nothing once its inputs are zero
    return W * c[:, None], b * c, v / divisor
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-rebalance-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

W, b, v = np.array([[3.0, 4.0]]), np.array([1.0]), np.array([-0.2])
answer = rebalance(W.copy(), b.copy(), v.copy(), 0.1, 0.1)
new_W, new_b, new_v = (np.asarray(part, dtype=float) for part in answer)
assert (new_W.shape, new_b.shape, new_v.shape) == ((1, 2), (1,), (1,)), (
    "q6: keep the shapes of W, b and v")
assert np.isclose(new_v[0] * max(new_W[0] @ [1, 1] + new_b[0], 0), -0.2 * 8, rtol=1e-4), (
    "q6: at x = (1, 1) the output has changed; what happens to b if w is multiplied?")
assert np.isclose(np.linalg.norm(new_W), np.abs(new_v[0]), rtol=1e-4), (
    "q6: with equal λ a unit of lowest penalty has incoming and outgoing weights of equal norm")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2106)
for trial in range(12):
    m, d = int(rng.integers(2, 9)), int(rng.integers(1, 6))
    W, b, v = rng.standard_normal((m, d)) * 3, rng.standard_normal(m), rng.standard_normal(m)
    v[0] = 0 if trial % 3 == 2 else v[0]
    lam1, lam2 = 10 ** rng.uniform(-3, 0, 2)
    answer = rebalance(W.copy(), b.copy(), v.copy(), lam1, lam2)
    new = [np.asarray(part, dtype=float) for part in answer]
    assert [part.shape for part in new] == [(m, d), (m,), (m,)], "q6: keep the shapes of W, b and v"
    assert all(np.isfinite(part).all() for part in new), (
        "q6: there are NaNs or infinities: a unit with v = 0 needs no incoming weights")
    x = rng.standard_normal((50, d)) * 2
    before, after = (np.maximum(x @ p.T + q, 0) @ r for p, q, r in ((W, b, v), new))
    assert np.allclose(after, before, rtol=1e-3, atol=1e-4), (
        "q6: the function has changed. Factors are positive, one for each unit, and b takes part")
    price = lam1 / 2 * np.sum(new[0] ** 2) + lam2 / 2 * np.sum(new[2] ** 2)
    lowest = np.sum(np.sqrt(lam1 * lam2) * np.linalg.norm(W, axis=1) * np.abs(v))
    assert price < lowest * (1 + 1e-3), (
        "q6: the penalty could be lower. Balance each unit by itself, and weigh its two sides by "
        "their λ")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 7: a layer that is used $k$ times (4 points)
#
# A recurrent network applies the same matrix again and again: $h_0 = x$, $h_i = \mathrm{relu}(W h_{i-1})$ for
# $i = 1,\dots,k$, and $f(x) = v^\top h_k$, without biases. The optimiser knows $W$ once, and the penalty is
# $\frac{\lambda_1}2\lVert W\rVert^2+\frac{\lambda_2}2\lVert v\rVert^2$.
#
# **7a (2 points, by hand).** Which equation takes the place of (5.2) at a stationary point of loss plus penalty? What
# becomes of it if the author writes the penalty as a sum over all *uses* of a layer, as a loop over the network's steps
# would? And does your argument hold for $h_i = h_{i-1} + \mathrm{relu}(Wh_{i-1})$?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q7-shared-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Multiply $W$ by $c>0$: each $h_i$ is multiplied by $c^i$, as ReLU is positively homogeneous. Multiply $v$ by
# $c^{-k}$: $f$ and the loss do not change. The penalty is
# $\frac{\lambda_1}2c^2\lVert W\rVert^2+\frac{\lambda_2}2c^{-2k}\lVert v\rVert^2$, and its derivative at $c = 1$ must
# be zero:
#
# $$\lambda_1\lVert W\rVert^2 = k\,\lambda_2\lVert v\rVert^2.$$
#
# A layer that is used $k$ times pays $k$ shares, one for each use. (Untie the $k$ uses, and by (5.2) each pays one.)
# If the penalty counts every use, $\lambda_1$ becomes $k\lambda_1$, and the two are equal again:
# $\lambda_1\lVert W\rVert^2 = \lambda_2\lVert v\rVert^2$. With the skip connection $h_{i-1}$ is added unscaled, no
# power of $c$ comes out of $h_i$, and the argument fails.
#
# **Rubric, 2 points.** 1 for the equation with its derivation (½ for the right factor $c^{-k}$, ½ for the derivative; a
# factor $k$ on the wrong side costs ½; the sum of (5.2) over $k$ untied copies, if it says why their gradients add up,
# is as good). ½ for counting every use. ½ for the skip connection, with the reason.
# ### END SOLUTION

# %% [markdown]
# **7b (2 points).** Check it, without ReLU (nothing in the argument needs it): $f(x) = v^\top W^k x$, and the same λ
# for $W$ and $v$. Here is the objective.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-objective", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch


def objective(W, v, X, y, k, lam):
    """Half the mean squared error plus the penalty; tensors W (d, d), v (d,), X (n, d), y (n,)."""
    outputs = X @ torch.linalg.matrix_power(W, k).T @ v
    penalty = lam / 2 * (W.square().sum() + v.square().sum())
    return (y - outputs).square().mean() / 2 + penalty


# %% [markdown]
# Minimise it by full-batch gradient descent from $W = I$ and $v = 0$, until the norm of the whole gradient is below
# 0.001. (η = 0.1 and a thousand steps will do. Use autograd, or write the gradients out.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-train", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(X, y, k, lam):
    """W (d, d) and v (d,) at rest, for NumPy arrays X (n, d) and y (n,)."""
    ### BEGIN SOLUTION
    X, y = torch.tensor(X), torch.tensor(y)
    W = torch.eye(X.shape[1], dtype=X.dtype, requires_grad=True)
    v = torch.zeros(X.shape[1], dtype=X.dtype, requires_grad=True)
    for _ in range(5000):
        gradients = torch.autograd.grad(objective(W, v, X, y, k, lam), (W, v))
        if sum(g.square().sum() for g in gradients) < 0.001**2:
            break
        with torch.no_grad():
            W -= 0.1 * gradients[0]
            v -= 0.1 * gradients[1]
    return W.detach(), v.detach()
    ### END SOLUTION


# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-train-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np


def trained(X, y, k, lam):
    parts = train(X.copy(), y.copy(), k, lam)
    return [np.asarray(part.detach() if hasattr(part, "detach") else part, dtype=float)
            for part in parts]


rng = np.random.default_rng(7)
X = rng.standard_normal((30, 3))
y = X @ np.array([0.7, -0.4, 0.6]) + 0.2 * rng.standard_normal(30)
W, v = trained(X, y, 1, 0.1)
assert (W.shape, v.shape) == ((3, 3), (3,)), "q7: return W of shape (d, d) and v of shape (d,)"
assert np.isclose(np.sum(W**2), np.sum(v**2), rtol=0.1), (
    "q7: with k = 1 this is a usual network, and (5.2) holds at rest")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(2108)
for k in (1, 2, 3):
    X, w, lam = rng.standard_normal((30, 3)), rng.standard_normal(3), rng.uniform(0.08, 0.16)
    y = X @ w / np.linalg.norm(w) + 0.2 * rng.standard_normal(30)
    W, v = trained(X, y, k, lam)
    powers = [np.linalg.matrix_power(W, i) for i in range(k + 1)]
    residual = X @ powers[k].T @ v - y
    assert np.mean(residual**2) < 0.5 * np.mean(y**2), (
        "q7: a network explains less than half of the targets. Is it f(x) = vᵀWᵏx, and did it "
        "start at W = I and v = 0?")
    slope = X.T @ residual / len(y)  # derivative of the loss with respect to the row vector vᵀWᵏ
    into_v = powers[k] @ slope + lam * v
    into_W = sum(np.outer(powers[i].T @ v, powers[k - 1 - i] @ slope) for i in range(k)) + lam * W
    assert np.sqrt(np.sum(into_W**2) + np.sum(into_v**2)) < 2e-3, (
        "q7: a network is not at rest: the gradient of loss plus penalty is not near zero. Train "
        "longer, or check ½, λ on both W and v, and the mean over examples")
### END HIDDEN TESTS

# %% [markdown]
# Does $\lVert W\rVert^2/\lVert v\rVert^2$ come out as you said?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-run", "locked": true, "schema_version": 3, "solution": false, "task": false}
draw = np.random.default_rng(0)
examples = draw.standard_normal((30, 3))
values = examples @ np.array([0.5, -0.5, 0.7]) + 0.2 * draw.standard_normal(30)
for k in (1, 2, 3):
    W, v = train(examples, values, k, 0.1)
    print(f"k = {k}: {float((W**2).sum() / (v**2).sum()):.2f}")

# %% [markdown]
# ## Question 8: when is dividing by the size right? (3 points, open)
#
# Chapter 5 found that under the plain sum one λ serves networks of every width, and that under the mean it does not.
# That was a network written in one way. Many programs put a factor on the output, so that outputs do not grow with the
# width when training begins:
#
# $$f(x) = m^{-p}\sum_{j=1}^m v_j\,\mathrm{relu}(w_j^\top x),\qquad p = \tfrac12 \text{ or } p = 1.$$
#
# How must λ change with the width $m$ so that the function at the minimum does not depend on it, for each $p$? Is there
# one under which the question of section 5.1 was right to divide by the number of weights? Then say what you would look
# for in a program, before you copy its λ to a wider network, and how you would test your answer. You may run it; half a
# page is enough.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q8-open", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Write $V_j = m^{-p}v_j$: the network is that of 5.6 with outgoing weights $V$, and its penalty is
# $\frac{\lambda_1}2\lVert W\rVert^2+\frac{\lambda_2}2m^{2p}\lVert V\rVert^2$. By (5.5) a unit costs
# $m^p\sqrt{\lambda_1\lambda_2}\,\lVert w_j\rVert|V_j|$. The function at the minimum is independent of the width (from
# as many units as examples on) if this rate is: $\sqrt{\lambda_1\lambda_2}\propto m^{-p}$. So one λ for all must fall
# like $1/\sqrt m$ at $p = \frac12$ and like $1/m$ at $p = 1$.
#
# The mean divides $\lambda_1$ by $md$ and $\lambda_2$ by $m$: $\sqrt{\lambda_1\lambda_2}\propto1/m$. That is right for
# $p = 1$ (the mean-field form), too weak with growing width for $p = 0$ and $p = \frac12$. So whoever divides the sum
# of the units by $m$ may divide the penalty by the size as well. The factor "fans" tends to a constant here, and is
# right for $p = 0$ only.
#
# To look for: factors on outputs or weights in the forward pass (also hidden in initialisation: it does *not* count,
# as it changes the start and not the function's price); sum or mean in the penalty; whether λ is a penalty at all or
# AdamW's decay, for which (5.5) does not hold; norms after the layer. Test: two widths, say 200 and 800, from five
# seeds, full-batch, to the minimum; compare predictions on the examples for λ carried over by the rule and for λ
# unchanged. The rule is refuted if they differ by more than two runs of one width do.
#
# **Rubric, 3 points.** 1 for the rate $m^p\sqrt{\lambda_1\lambda_2}$ or an equal argument, and both laws (½ for one
# of them, or for both found by experiment only). 1 for finding $p = 1$ for the mean, with the reason (½ without). 1 for
# two things to look for (½) and a test with a control and a result that would refute the rule (½). Other good things to
# look for count as well, such as a summed loss.
# ### END SOLUTION
