# %% [markdown]
# # 3 One λ, many meanings
#
# Every library has a number for weight decay, and the same number means different things in them. What does yours mean?
# Afterwards you can carry a λ from any framework into any other, say where that is impossible, and explain what decay a
# weight really gets under Adam.
#
# *Reading time 20 minutes; the code runs in about 12 seconds.*

# %%
from statistics import harmonic_mean

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from torch.nn import functional

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.conventions import CONVENTIONS, convert
from l2lib.datasets import load
from l2lib.penalty import ridge

# %% [markdown]
# ## 3.1 A puzzle: λ = 0.1 in six programs
#
# Take the {{below: n}} patients of [chapter 1](01_what_an_l2_penalty_does.ipynb), ten measurements each, everything
# standardised. Fit a linear model with weight decay 0.1. In PyTorch that is a loop; the momentum saves steps and leaves
# the minimum where it is ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).

# %%
data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y, n = (data.y - data.y.mean()) / data.y.std(), len(data.y)
inputs, targets = torch.tensor(X), torch.tensor(y)

# %%
claim("03-standard", "every measurement, and the target, has mean square 1",
      measured=[*np.square(X).mean(0), np.square(y).mean()], equals=1, within=1e-9)


def fit(loss, weight_decay, lr, *, written=0.0, targets=targets, steps=200):
    model = torch.nn.Linear(10, 1, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    groups = [{"params": [model.weight], "weight_decay": weight_decay}, {"params": [model.bias]}]
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.85)
    for _ in range(steps):
        optimizer.zero_grad()
        penalty = written * model.weight.square().sum()  # one written into the loss
        (loss(model(inputs)[:, 0], targets) + penalty).backward()
        optimizer.step()
    return model.weight.detach().numpy()[0]


# %% [markdown]
# Three losses that libraries use for the same regression; a penalty $\lambda\lVert w\rVert^2$ written into the first, as
# textbooks do; and two of scikit-learn's models. All get 0.1. (A multi-layer perceptron without hidden layers is a linear
# model.)


# %%
def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


def sse(outputs, targets):
    return functional.mse_loss(outputs, targets, reduction="sum")


# %%
def perceptron(alpha):
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=alpha, tol=1e-14,
                         max_iter=1000, random_state=0)
    return model.fit(X, y).coefs_[0][:, 0]


def six(half, mse, summed, written, alpha, mlp):
    """The fits of six programs, each with its own number."""
    return {"half the MSE": fit(half_mse, half, 0.8),
            "MSELoss": fit(functional.mse_loss, mse, 0.4),
            "MSELoss, sum": fit(sse, summed, 0.4 / n),
            "λ‖w‖² written out": fit(half_mse, 0, 0.8, written=written),
            "Ridge": Ridge(alpha=alpha).fit(X, y).coef_, "MLPRegressor": perceptron(mlp)}


# %%
same_number = six(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)

# %% [markdown]
# The line in the picture is theory: how much of the least-squares weights ridge regression leaves, if λ stands beside
# half the mean squared error. The dots are the six fits, each at the λ that the next section predicts for it.

# %%
meant = [convert(0.1, name, "book", loss=loss, target_loss="half_mse", n=n, batch_size=n)
         for name, loss in (("torch_sgd", "half_mse"), ("torch_sgd", "mse"), ("torch_sgd", "sse"),
                            ("no_half", "half_mse"), ("sklearn_ridge", "half_mse"),
                            ("sklearn_mlp", "half_mse"))]

# %%
whole = np.linalg.norm(ridge(X, y, 0)[0])
found = [np.linalg.norm(w) / whole for w in same_number.values()]
curve = np.logspace(-4.5, 0.5, 100)


def left_by_theory(lam):
    """The norm of ridge regression's weights over that of the least-squares weights."""
    return np.linalg.norm(ridge(X, y, lam)[0], axis=-1) / whole

# %%
fig, ax = figures.subplots()
ax.semilogx(curve, left_by_theory(curve), color=figures.GREY, label="_theory")
shifts = [(-72, -14), (8, 4), (4, -18), (10, 4), (9, 17), (9, 4)]
for name, x, height, shift in zip(same_number, meant, found, shifts, strict=True):
    style = {"ms": 12, "mfc": "none"} if name == "Ridge" else {}  # a ring: a dot lies inside
    ax.plot(x, height, "o", color=figures.BLUE, label=name, **style)
    ax.annotate(name, (x, height), xytext=shift, textcoords="offset points", color=figures.BLUE)
ax.set(xlabel="λ beside half the mean squared error", ylabel="‖w‖ over least squares' ‖w‖")
ax.set(ylim=(0, 1.2), xlim=(3e-5, 5))
ax.set_xticks([1e-4, 1e-3, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
drawn = figures.drawn(ax)
summed, doubled = drawn["MSELoss, sum"], drawn["λ‖w‖² written out"]
ax.set_title(f"The number 0.1 means λ from {summed.x[0]:.1g} to {doubled.x[0]:.1g}")
figures.show(fig, "A falling curve of the weights' norm against λ, with six dots on it. Summed "
             f"squared error is furthest left at λ = {summed.x[0]:.2g} with {summed.y[0]:.2f} of "
             f"the least-squares norm; λ without the half is furthest right at {doubled.x[0]:.1f} "
             f"with {doubled.y[0]:.2f}. Ridge, a ring, and the perceptron, a dot in it, coincide.")

# %% [markdown]
# By hand, from the normal equations and each program's manual: with $c$ in front of the mean loss and $k$ in front of
# the squared norm (the next section says why it is $2k/c$ that counts), the dots lie where they should.

# %%
k_and_c = {"half the MSE": (0.5, 1), "MSELoss": (0.5, 2), "MSELoss, sum": (0.5, 2 * n),
           "λ‖w‖² written out": (1, 1), "Ridge": (1, 2 * n), "MLPRegressor": (0.5 / n, 1)}
by_hand = {name: 0.1 * 2 * k / c for name, (k, c) in k_and_c.items()}


def solved(lam):
    """The norm again, by the normal equations."""
    gram = X.T @ X / n
    weights = [np.linalg.solve(gram + at * np.eye(10), X.T @ y / n) for at in (0, lam)]
    return np.linalg.norm(weights[1]) / np.linalg.norm(weights[0])


# %%
claim("03-by-hand", "each program's dot stands at λ = 2k/c · 0.1",
      measured=[drawn[name].x[0] / x for name, x in by_hand.items()], equals=1, within=1e-9)
claim("03-curve", "the curve is ridge regression, solved anew at every λ",
      measured=[drawn["_theory"].at(x) - solved(x) for x in curve], equals=0, within=1e-9)
claim("03-predicted", "norm of each fit over that at its own λ: furthest from 1",
      measured=[drawn[name].y[0] / solved(x) for name, x in by_hand.items()],
      equals=1, within=1e-4)
claim("S2-14", "the same number 0.1 in six programs: largest λ over smallest is 4n = {}",
      measured=max(meant) / min(meant), equals=4 * n, within=1e-6)
claim("S2-14", "… and the fits differ: the shortest is {} times as long as the longest",
      measured=min(found) / max(found), between=(0.5, 0.6))
claims.identities()

# %% [markdown]
# ## 3.2 What stands beside what
#
# A program minimises $c\,L + k\lambda\lVert w\rVert^2$, where $L$ is the mean loss, $c$ its scaling and $k$ that of the
# penalty. (For regressions let $L$ be half the mean squared error, with one output.) Divide by $c$: the minimum stays.
# So the program's λ means
#
# $$\lambda_{\text{book}} = \frac{2k}{c}\,\lambda. \tag{3.1}$$
#
# That is the whole dictionary, for penalties. Ridge minimises $\lVert y-Xw\rVert^2 + \alpha\lVert w\rVert^2$: $k = 1$
# and $c = 2n$ give $\alpha/n$. `LogisticRegression` puts its `C` beside the *sum* of losses and nothing but ½ beside
# the norm: $1/(nC)$. If you sum losses over a minibatch, $c$ is the batch size, and the meaning of λ changes with it.
# scikit-learn's perceptron takes the mean loss but divides its penalty by the batch (by $n$ under L-BFGS), which comes
# to the same. `torch.nn.MSELoss` has $c = 2$: who copies a λ from a text whose loss has the ½ gets half the strength.
#
# The minimum stays, but the steps do not: $c$ times the objective has $c$ times the gradient. SGD takes the same steps
# with
#
# $$\eta' = \eta/c,\qquad \lambda' = c\,\lambda; \tag{3.2}$$
#
# that is why the learning rates above differ. Adam, which divides by the gradient's size, keeps its η (but for its ε).
#
# The second kind of λ is no term of the objective. It is a *decay*: each step multiplies the weight by $1-\delta$ and
# subtracts the optimiser's own step. What libraries call λ gives the share $\delta = \eta\lambda$ (PyTorch's and
# Optax's AdamW, Keras's optimisers, fastai), or $\delta = \lambda$ (AdamW
# [as published](https://arxiv.org/abs/1711.05101), and Composer's). `convert` knows all of these. To mean $\lambda =
# {{below: known["penalty"][0]}}$, or the share $\delta = {{below: known["decay"][0]:.0e}}$, with
# $\eta = {{below: setting["lr"]}}$, the {{n}} examples and batches of {{below: setting["batch_size"]}}, write:

# %%
known = {"penalty": (0.01, "book"), "decay": (1e-5, "adamw_paper"),
         "l1": (0.01, "sklearn_lasso")}
setting, written = {"lr": 0.001, "n": n, "batch_size": 32}, {}
for name, row in list(CONVENTIONS.items())[:20]:
    value, source = known[row.kind]
    written[name] = convert(value, source, name, loss=row.loss or "half_mse", **setting)
    print(f"{row.kind:8} {name:17} {row.about:43} {written[name]:.6g}")

# %%
by_rule = {"no_half": 0.01 / 2, "keras_l2": 0.01 / 2,
           "over_2m": 0.01 * n, "sklearn_ridge": 0.01 * n,
           "sklearn_logistic": 1 / (0.01 * n), "sklearn_mlp": 0.01 * 32, "factor": 1 - 1e-5,
           "torch_adamw": 1e-5 / 0.001, "adamw_paper": 1e-5, "optax_after": -1e-5}
claim("03-table", "ten lines of the table by (3.1), and by δ = ηλ, λ, −λ or 1 − λ",
      measured=[written[name] / number for name, number in by_rule.items()],
      equals=1, within=1e-9)

# %% [markdown]
# Read some lines. Keras's `L2` has no ½; its optimisers decay *beside* the step even for SGD with momentum. PyTorch's
# `Adam(…, decoupled_weight_decay=True)` is its AdamW. In Optax the place in the chain decides: before the optimiser,
# `add_decayed_weights` is a penalty; after it, it *adds* λw to a step that is already negative, and the weights grow,
# unless λ is negative. (`adamw` has it in between: after Adam's division, before the learning rate.) The two L1
# penalties have no partner among the others.
#
# The rows of PyTorch and scikit-learn are trained in the project's tests, those of Keras and Optax by `make peers`.
# Those of MXNet, fastai and Composer come from their documentation.
#
# Now the six programs again, each with the number that means $\lambda = {{below: goal}}$:


# %%
goal = 0.1


def write(name, loss="half_mse"):
    return convert(goal, "book", name, target_loss=loss, n=n, batch_size=n)


converted = six(write("torch_sgd"), write("torch_sgd", "mse"), write("torch_sgd", "sse"),
                write("no_half"), write("sklearn_ridge"), write("sklearn_mlp"))

# %%
exact = ridge(X, y, goal)[0]
*others, by_perceptron = converted.values()
claim("S2-14", "converted, {} of the first 5 programs have the weights (1.1), to 1e-6",
      measured=sum(np.abs(w - exact).max() < 1e-6 for w in others), equals=5)
claim("S2-14", "… and the perceptron's, whose L-BFGS stops a little early: relative distance",
      measured=np.linalg.norm(by_perceptron - exact) / np.linalg.norm(exact), below=1e-3)

# %% [markdown]
# And a classification: is a patient above the median?

# %%
above = (y > np.median(y)).astype(float)
C = convert(goal, "torch_sgd", "sklearn_logistic", n=n, loss="cross_entropy")
theirs = LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(X, above).coef_[0]
ours = fit(functional.binary_cross_entropy_with_logits, goal, 1.0,
           targets=torch.tensor(above))

# %%
claim("03-median", "half of the patients are above the median",
      measured=above.mean(), equals=0.5, within=1e-9)
claim("03-logistic", f"SGD with λ = {goal} and LogisticRegression with C = {C:.4f}: distance",
      measured=theirs - ours, equals=0, within=1e-6)
claims.identities()

# %% [markdown]
# Where no equivalent exists, `convert` says so:

# %%
for source, target in (("torch_adam", "torch_adamw"), ("sklearn_lasso", "torch_sgd")):
    try:
        convert(0.01, source, target, lr=0.001)
    except ValueError as error:
        print(f"{source} to {target}: {error}.")

# %% [markdown]
# Under plain SGD, penalty and decay *are* the same, by (2.1). Why not under Adam?
#
# ## 3.3 Adam, with the penalty inside or the decay beside
#
# [Adam](https://arxiv.org/abs/1412.6980) divides a running mean of the gradient by the root of a running mean of its
# square, each weight for itself:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g,\quad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2,\quad
# w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}, \tag{3.3}$$
#
# where the hats correct for the start. With a penalty *inside*, $g$ is $\nabla L+\lambda w$. In AdamW $g$ is $\nabla L$
# and $w$ is multiplied by $1-\eta\lambda$ *beside*. We write both at once. The loss is a toy: a given slope, plus noise
# of standard deviation σ, which stands for minibatches. The last axis holds weights, the one before it five seeds. Each
# draw is used with both signs, so that the noise cancels in averages and the decay is left.


# %%
def draw(rngs, size):
    noise = np.stack([rng.standard_normal(size // 2) for rng in rngs])
    return np.concatenate([noise, -noise], axis=-1)


def adam(w, sigma, lr, steps, inside=0.0, beside=0.0, slope=np.zeros_like):
    rngs, m, v, mean = [np.random.default_rng(s) for s in seeds(5)], 0.0, 0.0, 0.0
    for t in range(1, steps + 1):
        g = slope(w) + sigma * draw(rngs, w.shape[-1]) + inside * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = (1 - lr * beside) * w - lr * step
        mean = mean + (t > steps // 2) * w / (steps - steps // 2)
    return w, mean  # at the end, and over the second half of the steps


# %% [markdown]
# Is that PyTorch's Adam and AdamW? Give its optimisers the same gradients.

# %%
def theirs_after(optimizer_class, weight_decay, steps=50, sigma=2.0, **options):
    parameter = torch.nn.Parameter(torch.full((5, 4), 5.0, dtype=torch.float64))
    optimizer = optimizer_class([parameter], lr=0.01, weight_decay=weight_decay, **options)
    rngs = [np.random.default_rng(s) for s in seeds(5)]
    for _ in range(steps):
        parameter.grad = torch.tensor(sigma * draw(rngs, 4))
        optimizer.step()
    return parameter.detach().numpy()


# %%
start = np.full((5, 4), 5.0)
inside = adam(start, 2.0, 0.01, 50, inside=0.5)[0] - theirs_after(torch.optim.Adam, 0.5)
beside = adam(start, 2.0, 0.01, 50, beside=0.5)[0] - theirs_after(torch.optim.AdamW, 0.5)
claim("03-adam", "torch.optim.Adam takes the same 50 steps",
      measured=inside, equals=0, within=1e-9)
claim("03-adamw", "… and so does AdamW", measured=beside, equals=0, within=1e-9)
flag, plain = (theirs_after(torch.optim.Adam, 0.5, decoupled_weight_decay=on)
               for on in (True, False))
claim("03-flag", "… and Adam with decoupled_weight_decay=True is AdamW",
      measured=flag - theirs_after(torch.optim.AdamW, 0.5), equals=0, within=1e-12)
claim("03-flag", "… which is no Adam: after 50 steps {:.2f} apart, at least",
      measured=np.abs(flag - plain), above=0.1)

# %% [markdown]
# **A weight that the loss ignores.** Let $\sigma = 0$: a dead unit. The gradient is $\lambda w$ alone, and Adam divides
# it by its own size. The weight sets out for zero at about η per step, *whatever λ is*. (The root remembers larger
# weights, so the walk slows down as it goes.) Under AdamW the same weight shrinks by $1-\eta\lambda$ a step.

# %%
five = np.full((1, 5, 2), 5.0)
strong, weak = (adam(five, 0.0, 0.01, 100, inside=lam)[0] for lam in (1, 1e-4))
firsts = [adam(five, 0.0, 0.01, 1, inside=lam)[0] for lam in (1, 1e-4)]
by_torch = theirs_after(torch.optim.Adam, 1, steps=100, sigma=0.0)[:1, :2]
claim("03-dead", "λ = 1: PyTorch's Adam brings 5 to the same place in 100 steps",
      measured=strong[0] - by_torch, equals=0, within=1e-9)
claim("03-first-step", "the first step is η long under λ = 1, and under λ = 0.0001",
      measured=firsts, equals=5 - 0.01, within=1e-6)
claim("S2-13", "Adam with λ = 1 inside, loss ignored: 5 after 100 steps of η = 0.01",
      measured=strong, between=(4, 4.1))
claim("S2-13", "… with λ = 0.0001 the same, but for ε: difference",
      measured=weak - strong, between=(0, 1e-4))

# %%
claim("03-beside", "AdamW, λ = 1: each of 100 steps multiplies it by 0.99",
      measured=adam(five, 0.0, 0.01, 100, beside=1)[0], equals=5 * 0.99**100, within=1e-9)
claims.identities()

# %% [markdown]
# ## 3.4 The decay that a weight really gets
#
# Now the general case. Noise averages out of $m$, which becomes $\lambda w$, and stays in $v$, which becomes
# $\sigma^2+\lambda^2w^2$. So with the penalty inside, a step takes away the share
#
# $$\delta_i \approx \frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$
#
# *Weights with large gradients hardly decay.* Under AdamW every weight loses $\eta\lambda$. We take
# {{below: steps}} steps from 5, at $\eta\lambda = {{below: lr * lam:.1g}}$. The prediction iterates (3.4), with the memory of $v$.

# %%
lr, lam, steps = 0.0025, 0.08, 2000
sigmas = np.logspace(-1, 1.5, 11)
sigma = sigmas[:, None, None]
start = np.full((11, 5, 40), 5.0)  # noise levels, seeds, weights
left = [adam(start, sigma, lr, steps, **{where: lam})[0].mean(-1) / 5
        for where in ("inside", "beside")]
decay_in, decay_by = (-np.log(share) / (lr * lam * steps) for share in left)

# %%
w, v = np.full(11, 5.0), np.zeros(11)
for t in range(1, steps + 1):
    v = 0.999 * v + 0.001 * (sigmas**2 + (lam * w) ** 2)
    w = w - lr * lam * w / np.sqrt(v / (1 - 0.999**t))
theory = -np.log(w / 5) / (lr * lam * steps)

# %% [markdown]
# **Turn the question round.** The two rules trade places when we ask where a weight comes to *rest*. Penalty inside:
# Adam rests where its gradient is zero on average, $\bar g_i = -\lambda w_i$ with $\bar g = \nabla L$, and that is the
# minimum of loss plus penalty, however large the noise. AdamW rests where its mean step cancels the decay:
#
# $$\frac{\bar g_i}{\sqrt{v_i}} = -\lambda w_i, \qquad\text{that is}\qquad
# \bar g_i = -\big(\lambda\sqrt{v_i}\big)\, w_i . \tag{3.5}$$
#
# So AdamW acts like a penalty whose coefficient is $\lambda\sqrt{v_i}$: *uneven*, and strongest where gradients are
# noisy. With slope $w-1$ and $\lambda = 0.1$, Adam should rest at $1/1.1$ and AdamW at $1/(1+0.1\,\sigma)$.

# %%
quiet = sigmas[:9]  # 0.1 to 10
options = {"sigma": quiet[:, None, None], "lr": 0.02, "steps": 3000, "slope": lambda w: w - 1}
rest_in, rest_by = (adam(np.ones((9, 5, 40)), **options, **{where: 0.1})[1].mean(-1)
                    for where in ("inside", "beside"))

# %%
fig, (ax, other) = figures.subplots(1, 2)
lines = ((ax, sigmas, (theory, np.ones(11)), (decay_in, decay_by)),
         (other, quiet, (np.full(9, 1 / 1.1), 1 / (1 + 0.1 * quiet)), (rest_in, rest_by)))
for axes, x, formulas, values in lines:
    for name, formula, dots in zip(("Adam + L2", "AdamW"), formulas, values, strict=True):
        (line,) = axes.plot(x, formula, label=name)
        axes.plot(x, dots.mean(-1), "o", ms=5, color=line.get_color(), label=f"_{name}")
    axes.set(xlabel="noise σ of the gradient", xscale="log")
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set(ylabel="decay, in units of ηλ", yscale="log")
other.set(ylabel="weight at rest", ylim=(0, 1.05))
ax.set_yticks([0.1, 1], ["0.1", "1"]), ax.legend()
ax.set_title("Decay: even under AdamW …"), other.set_title("… rest: even under Adam + L2")
decays, rests = figures.drawn(ax), figures.drawn(other)
falls, rest_falls = decays["Adam + L2"], rests["_AdamW"].y
figures.show(fig, f"Two panels over the gradient's noise, {falls.x[0]:.1f} to {falls.x[-1]:.0f}; "
             "lines are theory, dots are measured and lie on them. Left, decay in units of ηλ: "
             f"AdamW is flat at 1, Adam with L2 falls from {falls.y[0]:.2g} to {falls.y[-1]:.2g}. "
             f"Right, the weight at rest: Adam with L2 is flat at {rests['Adam + L2'].y[0]:.2f}, "
             f"AdamW falls from {rest_falls[0]:.2f} to {rest_falls[-1]:.2f}.")

# %% [markdown]
# One coordinate with noise {{quiet[4]:.0f}}, one with {{quiet[8]:.0f}}, the same λ: with the penalty inside Adam the
# first decays {{below: ratio.mean:.1f}} times as fast. (Not quite {{quiet[8] / quiet[4]:.0f}} times, as $\lambda w$ is
# not negligible beside a noise of {{quiet[4]:.0f}}.)

# %%
ratio = claims.interval(decay_in[4] / decay_in[8])  # noise 1 over noise 10, five seeds
claim("S2-13", "log-decay at noise 1 over noise 10, lower end", measured=ratio.low, above=9)
claim("S2-13", "… upper end", measured=ratio.high, below=10)
claim("S2-13", f"AdamW, every noise: of 5 there is left 5·(1 − {lr * lam:.1g})^{steps} = "
      f"{5 * (1 - lr * lam) ** steps:.2f}",
      measured=5 * left[1], equals=5 * (1 - lr * lam) ** steps, within=1e-9)

# %%
claim("03-rate", "measured decay over (3.4), eleven noise levels: furthest from 1",
      measured=decay_in.mean(1) / decays["Adam + L2"].y, equals=1, within=0.02)
claim("03-rest-inside", "Adam + L2 rests at 1/1.1, every noise level and seed: furthest",
      measured=rest_in, equals=1 / 1.1, within=0.01)
claim("03-rest-beside", "AdamW rests where (3.5) says: furthest over noise levels",
      measured=rest_by.mean(1) - rests["AdamW"].y, equals=0, within=0.01)

# %% [markdown]
# Do the lines lie where (3.4) and (3.5) say? For noise that drowns $\lambda w$ the decay is $1/\sigma$, and the rests
# solve the equations that they come from.

# %%
claim("03-loud", "noise of 5 and more: σ times the drawn decay of Adam + L2, furthest from 1",
      measured=(sigmas * decays["Adam + L2"].y)[sigmas > 4.9], equals=1, within=0.01)
claim("03-lines", "AdamW's decay is drawn at 1, its dots on it; Adam's slope w − 1 = −λw holds",
      measured=[*decays["AdamW"].y - 1, *rests["Adam + L2"].y * 1.1 - 1], equals=0, within=1e-9)
claim("03-lines", "AdamW's line solves (3.5), where √v is σ and λ = 0.1",
      measured=(rests["AdamW"].y - 1) / quiet + 0.1 * rests["AdamW"].y, equals=0, within=1e-9)
claim("03-dots", "the dots of AdamW's decay stand at −log(1 − ηλ)/ηλ, just above 1",
      measured=decays["_AdamW"].y, equals=-np.log(1 - lr * lam) / (lr * lam), within=1e-6)
dots = [decays["_Adam + L2"].y - decay_in.mean(1), rests["_AdamW"].y - rest_by.mean(1),
        rests["_Adam + L2"].y - rest_in.mean(1)]
claim("03-dots", "… and the other dots are means over the five seeds",
      measured=np.concatenate(dots), equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# With full batches there is no noise. As the gradient falls, so does $\sqrt v$, and by (3.5) the penalty goes with it:
# AdamW should end near the *least-squares* fit, whatever λ is, as long as it is not huge (exercise 5). Adam with the
# penalty inside should end at ridge regression. The diabetes data, $\lambda = 0.1$:

# %%
H, c = X.T @ X / n, X.T @ y / n
options = {"sigma": 0, "lr": 0.003, "steps": 4000, "slope": lambda w: w @ H - c}
w_in, w_by = (adam(np.zeros((5, 10)), **options, **{where: 0.1})[0][0]
              for where in ("inside", "beside"))
least = ridge(X, y, 0)[0]

# %%
claim("03-full-inside", "Adam + L2 ends at ridge regression (1.1): distance",
      measured=w_in - exact, equals=0, within=1e-9)
claim("03-full-least", "the full batch's slope is zero at least squares",
      measured=H @ least - c, equals=0, within=1e-9)
claim("03-full-beside", "AdamW: distance from least squares over ridge's distance from it",
      measured=np.linalg.norm(w_by - least) / np.linalg.norm(exact - least), between=(0.01, 0.1))
claims.identities()

# %% [markdown]
# In a network the noise has no single size. On the digits, a first-layer gradient is proportional to its pixel: the
# pale pixels near the margin give small gradients. By (3.4) the penalty inside Adam shrinks *their* weights most, as
# $1/\sqrt v$. We train a linear classifier, read $v$ from the optimiser, and compare with what the pixels' sizes predict.
# Pixels of the margin that have ink in a few of the {{below: len(labels):,}} digits or in none are left out: some runs
# never see them.

# %%
digits = load("digits")
pixels, labels = torch.tensor(digits.scaled(16)), torch.tensor(digits.y)
size = pixels.square().mean(0).sqrt().numpy()
live = size > 0.015
assert (pixels[:, live] > 0).sum(0).min() > 20
assert (pixels[:, ~live] > 0).sum(0).max() < 10

# %%
low, high = np.quantile(size[live], [0.1, 0.9])
dark, pale = size >= high, live & (size <= low)


# %%
def uneven(seed, steps=100, lam=1e-4):
    model, rng = torch.nn.Linear(64, 10, dtype=torch.float64), np.random.default_rng(seed)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=lam)
    by_hand = 0.0
    for _ in range(steps):
        rows = rng.choice(len(pixels), 32, replace=False)
        optimizer.zero_grad()
        functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
        g = model.weight.grad + lam * model.weight.detach()
        by_hand = 0.999 * by_hand + 0.001 * g.square().sum(0) / 10
        optimizer.step()
    return optimizer.state[model.weight]["exp_avg_sq"].mean(0).numpy(), by_hand.numpy()


# %%
v, by_hand = np.stack([uneven(seed) for seed in seeds(5)], axis=1)[..., live]  # seeds, pixels
is_pale, is_dark, sizes = pale[live], dark[live], size[live]
assert is_pale.sum() == is_dark.sum() == np.ceil(live.sum() / 10)  # a tenth each
assert sizes[is_dark].min() > 10 * sizes[is_pale].max()


def pale_over_dark(divisor):
    """By (3.4): the mean of one over the divisor, palest over darkest tenth of the pixels."""
    inverse = 1 / divisor
    return inverse[..., is_pale].mean(-1) / inverse[..., is_dark].mean(-1)


measured, expected = pale_over_dark(np.sqrt(v)), pale_over_dark(sizes)

# %%
root = np.sqrt(v.mean(0))  # a single run has seen too few of the palest pixels
slope, _ = np.polyfit(np.log(sizes), np.log(root), 1)

# %% [markdown]
# The palest tenth of the pixels decays {{measured.mean():.0f}} times as fast as the darkest; their sizes predict
# {{expected:.0f}} times.

# %%
claim("03-digits-v", "Adam's v is the running mean square of the gradients, mean over classes",
      measured=v / by_hand, equals=1, within=1e-9)
claim("03-digits-harmonic", "the sizes' prediction is a ratio of harmonic means",
      measured=expected * harmonic_mean(sizes[is_pale]) / harmonic_mean(sizes[is_dark]),
      equals=1, within=1e-9)

# %%
claim("03-digits", "decay (3.4) of the palest tenth of pixels over the darkest, lower end",
      measured=claims.interval(measured).low, above=5)
claim("03-digits", "… mean of five seeds over what the pixels' sizes predict",
      measured=measured.mean() / expected, between=(0.8, 1.25))
claim("03-digits", "… with v averaged over five seeds, over what the pixels' sizes predict",
      measured=pale_over_dark(root) / expected, between=(0.8, 1.25))
claim("03-digits-power", "√v goes as the pixel's size to the power {:.2f}",
      measured=slope, equals=1, within=0.1)
claims.identities()

# %% [markdown]
# ## 3.5 λ and the learning rate: PyTorch against the paper
#
# Does AdamW decouple λ from the learning rate? The paper's does, the libraries' does not. Let $s_t$ be a schedule's
# factor and η the base rate. Of a weight that the loss ignores there is left
#
# $$\prod_t (1 - s_t\,\eta\,\lambda)\ \text{ in PyTorch, Keras and Optax},\qquad
# \prod_t (1 - s_t\,\lambda)\ \text{ in the paper.} \tag{3.6}$$
#
# With $\lambda_{\text{torch}} = \lambda_{\text{paper}}/\eta$ the two are one, under every schedule. They part when you
# tune η: in PyTorch that changes the decay as well. We add an eleventh input that is always zero, start all weights at
# 1, and let PyTorch's own scheduler turn the learning rate down along a cosine. Beside it the paper's rule, written out.

# %%
H_11, c_11 = np.pad(H, (0, 1)), np.append(c, 0)  # the eleventh input never speaks


def cosine(t, steps=200):
    return 0.5 * (1 + np.cos(np.pi * t / steps))


def in_torch(lam, lr):
    w = torch.nn.Parameter(torch.ones(11, dtype=torch.float64))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=lam)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
    for _ in range(200):
        w.grad = torch.tensor(H_11) @ w.detach() - torch.tensor(c_11)
        optimizer.step(), schedule.step()
    return w.detach().numpy()


# %%
def in_paper(lam, lr):
    w, m, v = np.ones(11), 0.0, 0.0
    for t in range(200):
        g = H_11 @ w - c_11
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9 ** (t + 1)) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        w = w - cosine(t) * (lr * step + lam * w)  # the schedule scales both, η only the step
    return w


# %%
factor = 10
same = convert(1e-3, "adamw_paper", "torch_adamw", lr=0.003)
paper, coupled = in_paper(1e-3, 0.003), in_torch(same, 0.003)
torch_left, paper_left = (np.log([run(lam, lr)[10] for lr in (0.001, factor * 0.001)])
                          for run, lam in ((in_torch, 0.1), (in_paper, 1e-3)))

# %%
claim("03-schedule", "cosine schedule, λ converted: {} of 11 weights are the same to 1e-12",
      measured=(np.abs(paper - coupled) < 1e-12).sum(), equals=11)
claim("03-schedule-product", "… and of the ignored one there is left the product (3.6): difference",
      measured=coupled[10] - np.prod([1 - 1e-3 * cosine(t) for t in range(200)]),
      equals=0, within=1e-12)
claim("03-schedule-sum", "… and the cosine's factors sum to half the steps, and ½",
      measured=sum(map(cosine, range(200))), equals=100.5, within=1e-9)

# %%
claim("03-coupled", f"{factor} times η, the same λ: its log-decay in PyTorch is {{}} times that",
      measured=torch_left[1] / torch_left[0], equals=factor, within=0.01)
claim("03-uncoupled", "… and the same in the paper's form",
      measured=paper_left[1] / paper_left[0], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 3.6 Decay that a float32 cannot see
#
# A 32-bit float has {{np.finfo(np.float32).nmant + 1}} binary digits. Below 1 the next one is at $1-2^{-24}$, so $1-\eta\lambda$ *is* 1 when
# $\eta\lambda < 2^{-25} \approx {{2**-25:.0e}}$. Above that, rounding the factor errs by up to $2^{-25}$ and rounding the
# product by up to $2^{-24}$ of the weight. The decay of a step is
#
# $$\delta = \eta\lambda \pm 1.5\cdot 2^{-24} \approx \eta\lambda \pm 9\cdot 10^{-8}. \tag{3.7}$$
#
# The cosine's last steps get there: $\eta = 10^{-6}$ with $\lambda = 0.01$ does nothing at all.

# %%
rng, rates = claims.rng(), np.logspace(-8.4, -5, 40)
weights = torch.tensor(rng.uniform(1, 2, 2000), dtype=torch.float32)


def realised(rate, steps=300):
    w = weights.clone()
    for _ in range(steps):
        w.mul_(1 - rate)  # the line of torch.optim.AdamW
    return -np.log((w.double() / weights.double()).numpy()) / steps


# %%
kept = np.array([realised(rate) for rate in rates])

# %%
parameter = torch.nn.Parameter(weights.clone())
optimizer = torch.optim.AdamW([parameter], lr=2**-10, weight_decay=3e-7 * 2**10)
for _ in range(300):
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
by_adamw = -np.log((parameter.detach().double() / weights.double()).numpy()) / 300

# %%
def moved_in_bfloat(rate, steps=1000):
    """How many of the weights, in bfloat16, are others after these steps of decay."""
    half = weights.bfloat16()
    for _ in range(steps):
        half.mul_(1 - rate)
    return (half != weights.bfloat16()).sum().item()


# %%
fig, ax = figures.subplots()
ax.fill_between(rates, np.maximum(0, 1 - 1.5 * 2**-24 / rates), 1 + 1.5 * 2**-24 / rates,
                color=figures.SKY, alpha=0.3, lw=0, label="_bounds")
ax.plot(rates, kept.mean(1) / rates, ".-", lw=0.8, color=figures.BLUE, label="_mean")
ax.axvline(2**-25, color=figures.GREY, ls="--", lw=1, label="_lost")
ax.text(2.8e-8, 2.2, "2⁻²⁵", ha="right", color=figures.GREY)
ax.text(1.5e-7, 1.75, "bounds (3.7)", color=figures.BLUE)
ax.set(xscale="log", xlabel="decay asked for, ηλ", ylabel="decay got over decay asked for")
ax.set_ylim(-0.1, 2.5)
ax.set_xticks([1e-8, 1e-7, 1e-6, 1e-5], ["10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵"])
drawn = figures.drawn(ax)
got, edge = drawn["_mean"], drawn["_lost"].x[0]
late = np.abs(got.y[got.x > 1e-6] - 1).max()
ax.set_title(f"Below ηλ = {edge * 1e8:.0f}·10⁻⁸ float32 does not decay at all")
figures.show(fig, f"Decay that float32 weights get, over the decay asked for, against ηλ. It is "
             f"exactly zero below {edge * 1e8:.0f}·10⁻⁸, then jumps to {got.y.max():.1f} and saws "
             f"around 1 with shrinking teeth; from 10⁻⁶ on it is 1 to within {late:.2f}. A funnel "
             "of the theoretical bounds holds all points.")

# %%
band, asked = drawn["_bounds"], rates[:, None]
inside = (kept >= asked * band.low[:, None]) & (kept <= asked * band.high[:, None])
one = np.float32(1)
nearest = (one - np.nextafter(one, np.float32(0))) / 2  # half the way to the float below 1

# %%
claim("03-lost", "below 2⁻²⁵, half the distance from 1 to the next float32, nothing decays",
      measured=kept[rates < edge], equals=0, within=1e-15)
claim("03-lost", "… above it every weight does: smallest decay over its bound (3.7)",
      measured=kept[rates > edge] / (1.5 * 2**-24), above=0.1)
claim("03-lost", "… and the dashed line stands there",
      measured=edge / nearest, equals=1, within=1e-9)
claim("03-rounding", "the largest error of a decay is {} of the bound 1.5·2⁻²⁴ of (3.7)",
      measured=np.abs(kept - asked).max() / (1.5 * 2**-24), between=(0.9, 1))
claim("03-funnel", "the band holds every decay: its share of the weights and rates",
      measured=inside.mean(), equals=1, within=1e-9)

# %%
claim("03-band", "the band is drawn 1.5·2⁻²⁴ to both sides, and not below zero",
      measured=[*(band.high - 1) * rates - 1.5 * 2**-24,
                *band.low - np.maximum(2 - band.high, 0)], equals=0, within=1e-15)
claim("03-dots", "each dot is the mean over the weights",
      measured=got.y * rates - kept.mean(1), equals=0, within=1e-15)
claim("03-float-adamw", "torch.optim.AdamW in float32 gets the same decay",
      measured=by_adamw - realised(3e-7), equals=0, within=1e-12)

# %%
claim("03-bfloat", "bfloat16, ηλ = 0.99·2⁻⁹, a thousand steps: {} of 2000 weights move",
      measured=moved_in_bfloat(0.99 * 2**-9), equals=0)
claim("03-bfloat", "… and at 1.01·2⁻⁸ {} of them do", measured=moved_in_bfloat(1.01 * 2**-8),
      equals=2000)
claims.identities()

# %% [markdown]
# With {{1 - int(np.log2(torch.finfo(torch.bfloat16).eps))}} digits, as in bfloat16, hardly a usual decay survives:
# everything below $2^{-9}\approx {{2**-9:.1g}}$ is lost. Keep the
# master weights in float32, and let the schedule end above $\eta\lambda = 10^{-6}$, or know that what it decays there is
# rounding.
#
# ## 3.7 Is weight decay any norm's penalty?
#
# Weight decay, a reader proposes, "is a generic term for any regularization that involves adding some kind of norm of
# W (regardless of which norm) to the loss". Take a penalty $R$, and let a step of plain gradient descent on $R$ be
# *weight decay*: every $w$ is multiplied by the same number, $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 . \tag{3.8}$$
#
# So it is the squared L2 norm, and nothing else. No norm at all satisfies it: a norm grows in proportion,
# $N(10w) = 10\,N(w)$, hence its gradient (where it has one) is the same at $w$ and at $10w$, and a larger weight shrinks
# by a smaller share. That holds for the L2 norm itself, without the square. Squaring another norm repairs that, and
# bends the direction. For $\frac1p\sum|w_i|^p$ the share is proportional to $|w_i|^{p-2}$:


# %%
def share(penalty, w):
    """The share of each weight that a step of size one takes away."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return (gradient / point).detach().numpy()


# %%
sizes = np.logspace(-1.5, 1.5, 13)
powers = {p: share(lambda w, p=p: w.abs().pow(p).sum() / p, sizes) for p in (1, 1.5, 2, 3)}

# %%
fig, ax = figures.subplots()
for p, shares in powers.items():
    ax.loglog(sizes, sizes ** (p - 2), label=f"p = {p}")
    ax.loglog(sizes, shares, "o", ms=4, color=ax.lines[-1].get_color(), label=f"_p = {p}")
ax.set(xlabel="size of the weight |w|", ylabel="share taken away, over ηλ", xlim=(0.03, 60))
for axis in (ax.xaxis, ax.yaxis):
    axis.set_ticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set_title("Only the squared L2 norm takes the same share from every weight")
figures.label_lines(ax)
drawn = figures.drawn(ax)
first, middle, third = (drawn[f"p = {p}"].y for p in (1, 1.5, 3))
figures.show(fig, "Share that one step takes from a weight, against the weight's size, on "
             f"logarithmic axes. The line for p = 2 is flat at {drawn['p = 2'].y[0]:.0f}. For p = 1"
             f" it falls from {first[0]:.0f} to {first[-1]:.2f}, for p = 1.5 from {middle[0]:.1f}"
             f" to {middle[-1]:.2f}; for p = 3 it rises from {third[0]:.2f} to {third[-1]:.0f}. "
             "Dots from autograd lie on the lines.")

# %%
claim("S2-11", "squared L2: the same share 1 of every weight",
      measured=drawn["_p = 2"].y, equals=1, within=1e-12)
claim("S2-11", "|w|: every weight loses the same amount 1",
      measured=drawn["_p = 1"].y * sizes, equals=1, within=1e-12)
claim("S2-11", "the share goes as |w|^(p − 2): dots over that, for the four p",
      measured=[drawn[f"_p = {p}"].y * sizes**2 / sizes**p for p in powers], equals=1, within=1e-12)
rises = [np.diff(np.log(drawn[f"p = {p}"].y)) / np.diff(np.log(sizes)) - p for p in powers]
claim("S2-11", "… and each line rises by its own p − 2", measured=rises, equals=-2, within=1e-9)

# %%
point = np.array([3.0, -1.0])
claim("S2-11", "‖w‖₂ without the square: share at 10w over share at w",
      measured=share(torch.linalg.norm, 10 * point) / share(torch.linalg.norm, point),
      equals=1 / 10, within=1e-12)

# %%
bent = share(lambda w: w.abs().sum() ** 2 / 2, point)
claim("S2-11", "‖w‖₁²/2 at (3, −1): share of the second weight over that of the first",
      measured=bent[1] / bent[0], equals=3, within=1e-12)
claim("S2-11", "… and each weight loses the amount ‖w‖₁ = 4: share times |w|",
      measured=bent * np.abs(point), equals=4, within=1e-12)
claims.identities()

# %% [markdown]
# And even the squared L2 norm gives weight decay only under plain SGD: momentum parts the two (chapter 2), and so does
# Adam (3.4).
#
# ## 3.8 The sources, line by line

# %%
verdict("S2-11", "false",
        "The same share of every weight is the squared L2 norm's alone, under plain SGD. "
        "L1 takes the same amount from each.")

# %%
verdict("S2-13", "under conditions",
        "Under plain SGD. Inside Adam a weight decays at about ηλ over its gradient's size, "
        "beside it (AdamW) at ηλ.")
verdict("S2-14", "true",
        f"In six programs 0.1 means λ from {min(meant):.1g} to {max(meant):.1g}; and some multiply "
        "by the learning rate.")
claims.verdicts()

# %% [markdown]
# ## 3.9 In practice
#
# **Take home.** With a λ write down four things: what the loss is (½? mean or sum?), penalty or decay, whether the
# learning rate multiplies it, and the optimiser. Convert, then check on one step: set the loss's gradient to zero and
# see what the weight is multiplied by.
#
# **Limits.** (3.4) and (3.5) are about independent, symmetric noise of constant size, and small η. In a network $v$ and $w$ move
# together. Nothing here says which rule generalises better. What rotation and norm make of them under batch norm is
# the subject of chapter 9.
#
# ## 3.10 Exercises
#
# **1.** A paper uses `Ridge(alpha=20)` on 1000 examples. Which `weight_decay` gives the same model with
# `torch.nn.MSELoss`?
#
# <details>
# <summary>Solution</summary>
#
# $k = 1$ and $c = 2n$ beside half the mean squared error: $\lambda = 20/1000 = {{20 / 1000}}$. Beside `MSELoss`, $c = 2$,
# so {{convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse"):.2f}}:
# `convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse")`.
#
# </details>
#
# **2.** You sum the loss over the batch and halve the batch size, at the same `weight_decay`. What happens to the
# penalty's strength?
#
# <details>
# <summary>Solution</summary>
#
# $c$ is the batch size, so by (3.1) λ gets twice as large in the book's units: from batches of 32 to batches of 16 it
# goes from λ/32 to λ/16.
#
# </details>
#
# **3.** AdamW with $\eta = 3\cdot 10^{-4}$, $\lambda = 0.1$. You go to $\eta = 10^{-3}$ and want the same decay per
# step. Which λ? And what would you write in Composer's?
#
# <details>
# <summary>Solution</summary>
#
# $\delta = {{convert(0.1, "torch_adamw", "adamw_paper", lr=3e-4):.0e}}$, so
# $\lambda = {{convert(convert(0.1, "torch_adamw", "adamw_paper", lr=3e-4), "adamw_paper", "torch_adamw", lr=1e-3):.2f}}$.
# In Composer's, $\delta$ itself, at both rates.
#
# </details>
#
# **4.** Which penalties shrink $w$ *along its own direction*, if the share may depend on $w$?
#
# <details>
# <summary>Solution</summary>
#
# $\nabla R(w) = h(w)\,w$ is normal to spheres, so $R$ is constant on them: $R = \phi(\lVert w\rVert_2)$, any
# function of the L2 norm. The same share for all $w$ leaves $\phi(r) = \frac\lambda2 r^2$.
#
# </details>
#
# **5.** (Open.) On full batches AdamW ended near the unpenalised minimum. When can it not?
#
# <details>
# <summary>A start</summary>
#
# At rest the mean of $\hat m/\sqrt{\hat v}$ is $-\lambda w_i$, and of a steady gradient that ratio is at most 1 in size.
# So $|w_i|\le 1/\lambda$: a box around zero, a constraint on the *largest* weight
# ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454), prove it). Write `**{where: 5}` for `**{where: 0.1}` in the run
# on the diabetes data. Its claims, which are about $\lambda = 0.1$, fail. Print the largest weights of `least` and
# `w_by`: the wall is at {{1 / 5}}, the largest of the least-squares weights is 0.49, and AdamW's rest inside, at 0.19
# at most.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 4 takes the penalties that are no weight decay: L1, and L2 on factors. Chapter 9 returns to Adam.
#
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101), *Decoupled Weight Decay Regularization*: AdamW.
# - [Kingma and Ba (2015)](https://arxiv.org/abs/1412.6980), *Adam*.
# - [Xie and Li (2024)](https://arxiv.org/abs/2404.04454), *Implicit Bias of AdamW*: the box of exercise 5.
# - [Zhang, Wang, Xu and Grosse (2019)](https://arxiv.org/abs/1810.12281), *Three Mechanisms of Weight Decay
#   Regularization*.
# - [Bjorck, Weinberger and Gomes (2021)](https://arxiv.org/abs/2012.13841), *Understanding Decoupled and Early Weight
#   Decay*: what L2 does in Adam's averages.
