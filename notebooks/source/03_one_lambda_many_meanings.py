# %% [markdown]
# # 3 One λ, many meanings
#
# `weight_decay=0.1` is one number, and it does different things in different programs. In one library it acts twice
# as strongly as in another, in yet another hundreds of times more weakly, and in `Adam` and `AdamW` it does not even
# do the same *kind* of thing. If you copy a λ from a paper or from a colleague without translating it, you run
# another experiment than the one you have in mind.
#
# By the end of this chapter you will be able to
#
# - carry a λ from one library to another, and say when that is impossible;
# - look up what your library takes if you give it nothing;
# - say how fast a weight decays under Adam and under AdamW, and where it comes to rest;
# - say what a learning-rate schedule, momentum and half precision do to the decay.
#
# *Reading time: an hour. The code runs in about 10 seconds.*
#
# ## 3.1 A puzzle: the same λ in Adam and in AdamW
#
# Here is Adam in plain NumPy. The argument
# `coupled` is the λ of `torch.optim.Adam`, which adds $\lambda w$ to the gradient. The argument `decoupled` is the λ
# of `torch.optim.AdamW`, which multiplies the weight by $1-\eta\lambda$ and leaves the gradient as it is.

# %%
import numpy as np


def adam_step(m, v, g, t, beta_1=0.9, beta_2=0.999):
    """The two running means after the gradient g, and the step in units of η."""
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
    return m, v, m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + 1e-8)


# %%
def train(w, gradient, lr, steps, coupled=0.0, decoupled=0.0, **betas):
    m, v, path = 0.0, 0.0, []
    for t in range(1, steps + 1):
        m, v, step = adam_step(m, v, gradient(w) + coupled * w, t, **betas)
        w = (1 - lr * decoupled) * w - lr * step
        path.append(w)
    return np.array(path)


# %% [markdown]
# We run two experiments with $\lambda = {{below: lam}}$. In the first the loss ignores the weights, so that their
# gradients are pure noise of standard deviation σ, as from minibatches. How fast do the weights shrink? In the
# second the loss pulls every weight towards 1, with the same noise. Where do the weights settle? Nine groups of
# weights feel nine levels of noise. Every draw is used with both signs, so that *mean* weights show the decay and not
# the noise.

# %%
import torch
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from torch.nn import functional

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.conventions import convert, dictionary
from l2lib.datasets import load
from l2lib.penalty import ridge
from l2lib.splits import split
from l2lib.sweep import MLP, predict, sweep
from l2lib.tables import Table

lam, sigmas = 0.1, np.logspace(-1, 1, 9)


# %%
def noise(sigma):
    """A function that draws noise; axes: σ, five seeds, forty weights in 20 pairs ±."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]

    def draw():
        half = np.stack([rng.standard_normal(20) for rng in rngs])
        return np.asarray(sigma)[..., None, None] * np.concatenate([half, -half], axis=-1)

    return draw


# %%
def two_experiments(**rule):  # axes of a path: step, σ (9), seed (5), weight (40)
    first, second = noise(sigmas), noise(sigmas)
    path = train(np.full((9, 5, 40), 4.0), lambda w: first(), 0.002, 2000, **rule)
    # The mean weight's logarithm falls by so much a step, in units of ηλ.
    decay = -np.log(path[-1].mean(-1) / 4) / (2000 * 0.002 * lam)
    path = train(np.ones((9, 5, 40)), lambda w: w - 1 + second(), 0.02, 3000, **rule)
    return decay, path[1500:].mean((0, -1))  # mean over late steps and weights: σ, seed


# %%
decay_l2, rest_l2 = two_experiments(coupled=lam)
decay_w, rest_w = two_experiments(decoupled=lam)

# %% tags=["hide-input"]
w, v = np.full(9, 4.0), np.zeros(9)  # (3.4), with the mean of v, which remembers early weights
for t in range(1, 2001):
    v = 0.999 * v + 0.001 * (sigmas**2 + (lam * w) ** 2)
    w = w - 0.002 * lam * w / np.sqrt(v / (1 - 0.999**t))
theory = -np.log(w / 4) / (2000 * 0.002 * lam)

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.5), gridspec_kw={"wspace": 0.12})
for axes, dots_l2, dots_w in ((ax, decay_l2, decay_w), (other, rest_l2, rest_w)):
    axes.semilogx(sigmas, dots_l2.mean(-1), "o", ms=6, color=figures.BLUE, label="_l2")
    axes.semilogx(sigmas, dots_w.mean(-1), "s", ms=6, color=figures.ORANGE, label="_w")
    axes.set(xlabel="noise σ of the gradient", xlim=(0.08, 13))
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
for axes, line_l2, line_w in ((ax, theory, sigmas**0),
                              (other, sigmas**0 / (1 + lam), 1 / (1 + lam * sigmas))):
    axes.plot(sigmas, line_l2, "--", lw=1, color=figures.BLUE)
    axes.plot(sigmas, line_w, "--", lw=1, color=figures.ORANGE)

# %% tags=["hide-input"]
ax.set(yscale="log", ylabel="decay per step, in units of ηλ", ylim=(0.08, 5))
ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
other.set(ylabel="where the weight settles", ylim=(0, 1.1))
ax.text(0.1, 0.72, "AdamW", color=figures.ORANGE)
ax.text(0.45, 2.6, "Adam + L2", color=figures.BLUE)
other.text(3.4, 0.63, "AdamW", color=figures.ORANGE, ha="right")
other.text(1.3, 0.97, "Adam + L2", color=figures.BLUE)
ax.set_title("Decay: uniform under AdamW"), other.set_title("Rest: uniform under Adam + L2")
fast, settled = figures.drawn(ax), figures.drawn(other)
figures.show(fig, "Two panels, each against the noise of the gradient from 0.1 to 10, with the "
             f"same λ. Left, decay in units of ηλ: AdamW is flat at {fast['_w'].y[0]:.0f}, Adam "
             f"with L2 falls from {fast['_l2'].y[0]:.1f} to {fast['_l2'].y[-1]:.2f}. Right, where "
             f"the weight settles: Adam with L2 is flat at {settled['_l2'].y[0]:.2f}, AdamW falls "
             f"from {settled['_w'].y[0]:.2f} to {settled['_w'].y[-1]:.2f}. Dashed lines of the "
             "theory run through all dots.")

# %% [markdown]
# Figure 3.1 shows a puzzle with two halves (the dashed lines are what §3.4 and §3.5 derive). AdamW decays all weights
# at the same rate, and Adam with an L2 penalty does not: its noisiest weights decay
# {{decay_l2[0].mean() / decay_l2[-1].mean():.0f}} times more slowly than its quietest. (That factor depends on the
# start and on the number of steps, as §3.4 shows.) But AdamW
# brings the weights to rest at different places, and Adam with L2 brings all of them to the same one. So neither rule
# treats weights alike in every respect, and no single new λ turns one into the other.
#
# Between libraries, penalties differ by a constant factor (§3.2); decays also differ in whether η multiplies them (§3.3).
# Adam needs a derivation for each half of the puzzle (§3.4 and §3.5). §3.7 shows what this does to a network.
#
# ## 3.2 Penalties: what each program minimises
#
# This section translates between programs that add a penalty to a loss. Take the {{below: n}} patients of
# [chapter 1](01_what_an_l2_penalty_does.ipynb), with ten standardised measurements each and a standardised target.

# %%
data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y, n = (data.y - data.y.mean()) / data.y.std(), len(data.y)


# %%
def fit(loss, weight_decay, lr, targets=y, extra=0.0):
    """A linear model's weights, trained in PyTorch; ``extra`` stands before ‖w‖² in the loss."""
    inputs, targets = torch.tensor(X), torch.tensor(targets).reshape(len(X), -1)
    W = torch.zeros(10, targets.shape[1], dtype=torch.float64, requires_grad=True)
    # Momentum makes the training short; it does not move the minimum.
    optimizer = torch.optim.SGD([W], lr=lr, momentum=0.85, weight_decay=weight_decay)
    for _ in range(200):
        optimizer.zero_grad()
        (loss(inputs @ W, targets) + extra * W.square().sum()).backward()
        optimizer.step()
    return W.detach().numpy().squeeze()


# %% [markdown]
# Now give the same number 0.1 to six programs: to PyTorch with half the mean squared error (MSE), with `MSELoss`,
# with a summed loss, and with $\lambda\lVert w\rVert^2$ written into the loss; and to two models of scikit-learn.


# %%
def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


def sse(outputs, targets):
    return functional.mse_loss(outputs, targets, reduction="sum")


# %%
def perceptron(alpha):
    options = {"solver": "lbfgs", "tol": 1e-14, "max_iter": 1000, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=(), alpha=alpha, **options)
    return model.fit(X, y).coefs_[0][:, 0]


# %%
programs = {
    "SGD, ½ MSE": lambda number: fit(half_mse, number, 0.8),
    "SGD, MSELoss": lambda number: fit(functional.mse_loss, number, 0.4),
    "SGD, summed loss": lambda number: fit(sse, number, 0.4 / n),
    "½ MSE + λ‖w‖²": lambda number: fit(half_mse, 0, 0.8, extra=number),
    "Ridge": lambda number: Ridge(alpha=number).fit(X, y).coef_,
    "MLPRegressor": perceptron,
}
same_number = {name: program(0.1) for name, program in programs.items()}

# %% [markdown]
# Why do they differ? Each program minimises $c\,L + k\lambda\lVert w\rVert^2$ with factors $c$ and $k$ of its own,
# where $L$ is half the mean squared error. (For a classifier let $L$ be the mean cross-entropy.) Dividing by $c$
# does not move the minimum. It gives the book's form $L+\frac{\lambda}{2}\lVert w\rVert^2$ if
#
# $$\lambda_{\text{book}} = \frac{2k}{c}\,\lambda. \tag{3.1}$$
#
# This translates the size of every penalty. `LogisticRegression` multiplies the *sum* of the losses by its `C` and has
# only ½ as the factor of $\lVert w\rVert^2$, so its $C$ means $1/(nC)$. `Ridge` minimises
# $\lVert y-Xw\rVert^2 + \alpha\lVert w\rVert^2$, so $k = 1$ and $c = 2n$ give $\alpha/n$. `MSELoss` has $c = 2$: if you
# copy a λ from a text whose loss has the ½, your penalty is half as strong. If you sum the loss over a minibatch, then
# the meaning of λ depends on the batch size. Figure 3.2 shows what 0.1 means in each program, and how long its weight
# vector is compared with that of least squares.

# %%
k_and_c = {"SGD, ½ MSE": (0.5, 1), "SGD, MSELoss": (0.5, 2), "SGD, summed loss": (0.5, 2 * n),
           "½ MSE + λ‖w‖²": (1, 1), "Ridge": (1, 2 * n), "MLPRegressor": (0.5 / n, 1)}
means = {name: 2 * k / c * 0.1 for name, (k, c) in k_and_c.items()}
translated = {name: program(0.1 * 0.1 / means[name]) for name, program in programs.items()}
least, exact = ridge(X, y, 0)[0], ridge(X, y, 0.1)[0]  # without penalty, and with λ = 0.1

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.2, 3.2))
lengths = {name: np.linalg.norm(w) / np.linalg.norm(least) for name, w in same_number.items()}
ordered = sorted(programs, key=means.get)
for row, name in enumerate(ordered):
    ax.plot(means[name], row, "o", ms=8, color=figures.BLUE, label=name)
    side, shift = ("left", 12) if means[name] < 0.01 else ("right", -12)
    ax.annotate(f"λ = {means[name]:.2g}, length {lengths[name]:.0%}", (means[name], row),
                xytext=(shift, 0), textcoords="offset points", ha=side, va="center")
ax.set(xscale="log", xlim=(6e-5, 0.5), ylim=(-0.6, 5.6), ylabel="program, given 0.1")
ax.set(xlabel="the λ that 0.1 means, in the book's convention")
ax.set_xticks([1e-4, 1e-3, 0.01, 0.1], ["0.0001", "0.001", "0.01", "0.1"])
ax.set_yticks(range(6), ordered), ax.grid(axis="y", visible=False)
drawn = figures.drawn(ax)
ax.set_title(f"The number 0.1 means λ from {drawn['SGD, summed loss'].x[0]:.1g} to "
             f"{drawn['½ MSE + λ‖w‖²'].x[0]:.1g}")
figures.show(fig, "Six rows, sorted by the λ that the number 0.1 means. The summed loss is "
             f"lowest with {drawn['SGD, summed loss'].x[0]:.2g}, then Ridge and MLPRegressor with "
             f"{drawn['Ridge'].x[0]:.2g}, MSELoss with {drawn['SGD, MSELoss'].x[0]:.2g}, half the "
             f"mean squared error with {drawn['SGD, ½ MSE'].x[0]:.1g}, and λ without the half with "
             f"{drawn['½ MSE + λ‖w‖²'].x[0]:.1g}. A label says which share of the length is kept.")

# %%
claim("S2-14", "Given the same 0.1, six programs fit different weights: the shortest vector is {} "
      "times as long as the longest", between=(0.5, 0.6),
      measured=min(lengths.values()) / max(lengths.values()))
claim("03-translated", "Given translated numbers, all six fit the same weights: the furthest from "
      "ridge regression with λ = 0.1 lies {:.0e} of its length away", below=1e-3,
      measured=[np.linalg.norm(w - exact) / np.linalg.norm(exact) for w in translated.values()])
claim("S2-14", "the largest λ that 0.1 means is 4n times the smallest",
      measured=max(means.values()) / min(means.values()), equals=4 * n, within=1e-6)
claim("03-dots", "each dot of the picture stands at the λ of (3.1)",
      measured=[drawn[name].x[0] / x for name, x in means.items()], equals=1, within=1e-12)

# %% [markdown]
# **On which parameters?** `weight_decay` in `torch.optim` acts on all parameters that you hand over, biases and gains of
# norm layers included. `Ridge`, `MLPRegressor` and Keras's `kernel_regularizer` spare the intercept; fastai, timm's
# scripts and the `Trainer` of transformers spare biases and norms ([chapter 6](06_bias_exclusion.ipynb) has the lists).
# `glmnet` first brings each input to standard deviation 1, unless you say `standardize=FALSE`. Here all data are
# standardised, and no model needs a bias.
#
# **Several targets.** With $K$ outputs let $L$ be half the squared error, summed over the outputs and averaged over
# the examples. `MSELoss` averages over the outputs, too, so $c = 2/K$. `Ridge` sums over
# them. A `weight_decay` that was tuned for one output therefore acts $K$ times as strongly for $K$ outputs.

# %%
three = fit(functional.mse_loss, 0.1, 1.2, targets=np.stack([y, -y, 2 * y], axis=1))

# %%
claim("03-targets", "with 3 targets and MSELoss, 0.1 means λ = 0.1 · 3/2", equals=0, within=1e-6,
      measured=three - ridge(X, y, 0.1 * 3 / 2)[0][:, None] * [1, -1, 2])
claims.identities()

# %% [markdown]
# **A scaled loss.** The factor $c$ leaves the minimum alone, but it does not leave the steps alone, because $c$
# times the loss has $c$ times the gradient. SGD takes the same steps as before with
#
# $$\eta' = \eta/c,\qquad \lambda' = c\,\lambda. \tag{3.2}$$
#
# Adam divides by the size of the gradient, so it needs no new learning rate. AdamW needs no new λ either:
#
# | your loss is multiplied by $c$; for the same run | η becomes | λ becomes |
# |---|---|---|
# | SGD | $\eta/c$ | $c\lambda$ |
# | Adam + L2 (coupled) | η | $c\lambda$ |
# | AdamW (decoupled) | η | λ |
#
# (The last two rows are exact up to Adam's ε.) So gradient accumulation that forgets to divide by the number of
# micro-batches weakens a coupled penalty. Gradient clipping multiplies the gradient of the loss by some $c<1$ before
# `torch.optim` adds $\lambda w$, so that a coupled penalty is $1/c$ times as strong in clipped steps. Loss scaling for
# mixed precision is undone before the step, and λ stays.

# %% tags=["hide-input"]
def fifty_steps(scale, **rule):
    draw = noise(1.0)
    return train(np.ones((5, 40)), lambda w: scale * (w + draw()), 0.01, 50, **rule)


claim("03-scaled", "a loss 8 times as large: Adam + L2 takes the same 50 steps with 8 λ", equals=0,
      measured=fifty_steps(1, coupled=lam) - fifty_steps(8, coupled=8 * lam), within=1e-6)
claim("03-scaled", "… and AdamW takes the same 50 steps with the same λ", equals=0, within=1e-6,
      measured=fifty_steps(1, decoupled=lam) - fifty_steps(8, decoupled=lam))
claims.identities()

# %% [markdown]
# We can now carry a penalty between any two programs. What is missing are λ that are not penalties.
#
# ## 3.3 Decays, and the dictionary
#
# This section adds the second kind of λ, and the dictionary with defaults. A *decay* is not part of the
# objective. At each step the program multiplies the weight by $1-\delta$ and subtracts the optimiser's own step,
# which knows nothing of the decay. The literature calls this *decoupled* weight decay. PyTorch, Keras, Optax and
# fastai take the share $\delta = \eta\lambda$. AdamW [as published](https://arxiv.org/abs/1711.05101) and in
# Composer does not multiply λ by the base learning rate and takes $\delta = \lambda$ at the peak of the schedule.
#
# Under plain SGD a penalty is also a decay ([chapter 2](02_from_penalty_to_weight_decay.ipynb)). In both tables λ stands
# for the number that you type.

# %% tags=["hide-input"]
def excerpt(kind, rows):
    """Some rows of ``dictionary(kind)``."""
    whole = dictionary(kind)
    kept = [whole.rows[row] for row in rows]
    lines = ["  ".join(row) for row in (whole.columns, *kept)]
    return Table(whole.caption, whole.columns, tuple(kept), "\n".join(lines))


excerpt("penalty", (0, 1, 5, 7, 8, 10, 11, 12, 13, 14))

# %% [markdown]
# Read the row of `Ridge`: the first term of what it minimises is $2n$ times $L$, which is $c$; the second has
# $k\lambda=\lambda$; so (3.1) gives $2\lambda/2n = \lambda/n$. Where the loss is yours $c$ is, too: 1 for ½ MSE or a mean
# cross-entropy, 2 for `MSELoss`. $B$ counts the examples of a batch, and $s$ is the standard deviation of the targets.
# `dictionary("penalty")` prints all {{len(dictionary("penalty").rows)}} rows.

# %% tags=["hide-input"]
excerpt("decay", (0, 1, 2, 3, 5, 8, 11, 12, 13, 14))

# %% tags=["hide-input"]
by_default = {row[1]: row[4] for row in dictionary("decay").rows}
claim("03-defaults", "by default PyTorch's AdamW decays 100 times as fast as Optax's at the same η",
      measured=float(by_default["AdamW(weight_decay=λ)"])
      / float(by_default["adamw(weight_decay=λ)"]), equals=100, within=1e-6)
claim("03-paper", "AdamW's λ = 0.1 at η = 0.001 is 0.0001 in the published form", equals=1e-4,
      measured=convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3), within=1e-12)
claims.identities()

# %% [markdown]
# (`dictionary("decay")` has {{len(dictionary("decay").rows)}} rows.) Look at the defaults: if you say nothing, AdamW
# decays {{1 / (float(by_default["adamw(weight_decay=λ)"]) / 0.01):.0f}} times as fast in PyTorch as in Optax, at the
# same learning rate. In Optax the position in the chain decides: before the optimiser `add_decayed_weights` is a penalty,
# after it the decay is *added* to a step that is already negative, so that weights grow unless λ is negative.
#
# `convert(value, source, target, …)` of `l2lib.conventions` translates, and where nothing is equivalent, it says why:

# %%
try:
    convert(0.01, "torch_adam", "torch_adamw", lr=0.001)
except ValueError as error:
    print(error)

# %% [markdown]
# Why has no number the same effect? That is the first half of our puzzle.
#
# ## 3.4 The decay that a weight really gets
#
# This section derives how fast a weight decays under Adam. [Adam](https://arxiv.org/abs/1412.6980) divides a running
# mean of the gradient by the root of a running mean of its square, for each weight separately:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g,\quad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2,\quad
# w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}, \tag{3.3}$$
#
# where the hats correct for the start at zero. *Coupled* means that $g = \nabla L+\lambda w$ enters both means.
# *Decoupled* means that $g = \nabla L$, and that $w$ is multiplied by $1-\eta\lambda$ separately. Figure 3.3 shows
# the two places, with the numbers of a quiet and of a noisy weight.

# %% tags=["hide-input"]
def draw_step(ax):
    """Boxes from the gradient to the new weight; λw enters at the left, ηλw at the right."""
    boxes = {0.9: "gradient\n∇L", 2.9: "+", 5.0: "running means\nm, v  (3.3)",
             7.5: "step\nm / √v", 10.3: "new weight\nw − η · step"}
    ends = [(1.62, 2.62), (3.2, 3.92), (6.1, 6.98), (8.05, 9.35)]
    style = {"boxstyle": "round,pad=0.45", "fc": "white", "ec": figures.GREY}
    for place, words in boxes.items():
        ax.text(place, 3, words, ha="center", va="center", bbox=style)
    ax.text(6.3, 0.9, "weight w", ha="center", va="center", bbox=style)
    for start, end in ends:
        ax.annotate("", (end, 3), (start, 3), arrowprops={"arrowstyle": "-|>", "lw": 1.5,
                    "color": figures.GREY, "shrinkA": 0, "shrinkB": 0})
    for side, end, colour in ((5.6, (2.9, 2.55), figures.BLUE),
                              (7.0, (10.3, 2.3), figures.ORANGE)):
        ax.annotate("", end, (side, 0.9), arrowprops={"arrowstyle": "-|>", "lw": 2,
                    "color": colour, "shrinkA": 0, "shrinkB": 2,
                    "connectionstyle": "angle,angleA=0,angleB=90"})
    ax.set(xlim=(0, 11.6), ylim=(-1.1, 4), xticks=(), yticks=(), xlabel=" ", ylabel=" ")
    ax.spines[:].set_visible(False), ax.grid(visible=False)


# %%
fig, ax = figures.subplots(figsize=(7.4, 3.5))
draw_step(ax)
quiet, loud = (lam / np.hypot(noise_of, lam) for noise_of in (0.1, 10))  # λw/√v at w = 1
ax.text(0.3, 0.45, "coupled: add λw to the gradient;\nit is divided by √v, too.\n"
        f"Taken from w = 1 with λ = {lam:g}:\n{quiet:.2f} η if σ = 0.1, {loud:.2f} η if σ = 10",
        color=figures.BLUE, va="top")
ax.text(7.2, 0.45, "decoupled: subtract ηλw from w;\nnothing divides it.\n"
        f"Taken from w = 1 with λ = {lam:g}:\n{lam:.2f} η at every σ",
        color=figures.ORANGE, va="top")
ax.set_title("Adam + L2 sends the decay through the division by √v, AdamW past it")
figures.show(fig, "A diagram of a step: gradient, a plus sign, running means m and v, m over "
             "root v, the new weight. Below is the weight w. A blue arrow brings λw from it "
             "to the plus, "
             "before the means; an orange one brings ηλw straight to the new weight. Words below "
             "say that coupled decay takes far more from a quiet weight than from a noisy one, and "
             "decoupled decay the same from both.")

# %% [markdown]
# On the same noise, our two rules take the same steps as `torch.optim.Adam` and `torch.optim.AdamW`:

# %% tags=["hide-input"]
ours, theirs = {}, {}
for rule, optimizer_class in (("coupled", torch.optim.Adam), ("decoupled", torch.optim.AdamW)):
    w = torch.nn.Parameter(torch.full((5, 40), 5.0, dtype=torch.float64))
    optimizer, draw = optimizer_class([w], lr=0.01, weight_decay=0.5), noise(2.0)
    for _ in range(50):
        w.grad = torch.tensor(draw())
        optimizer.step()
    theirs[rule], draw = w.detach().numpy(), noise(2.0)
    start = np.full((5, 40), 5.0)
    ours[rule] = train(start, lambda w, draw=draw: draw(), 0.01, 50, **{rule: 0.5})[-1]

# %%
for rule, name in (("coupled", "Adam"), ("decoupled", "AdamW")):
    claim("03-adam", f"our {rule} rule takes 50 steps of torch.optim.{name}",
          measured=ours[rule] - theirs[rule], equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# **A weight that the loss ignores, without noise.** The weights of a dead unit have the gradient $\lambda w$ alone,
# and Adam divides it by its own size. So the weight walks towards zero at about η per step, *whatever λ is*, as long as
# $\lambda|w|$ is far above Adam's $\epsilon$. With $\eta = 0.01$ it covers {{below: (5 - strong).item():.3f}} in 100 steps
# for $\lambda = 1$, and {{below: (5 - weak).item():.3f}} for $\lambda = 0.0001$. Under AdamW the same weight shrinks by the
# factor $1-\eta\lambda$ at each step.

# %%
five = np.full(1, 5.0)
strong, weak = (train(five, np.zeros_like, 0.01, 100, coupled=each)[-1] for each in (1, 1e-4))

# %%
claim("S2-13", "Adam + L2 with λ = 1 and η = 0.01 brings an ignored weight from 5 to {} "
      "in 100 steps",
      measured=strong, between=(4, 4.1))
# %% [markdown]
# **With noise.** Let the gradient of the loss be symmetric noise of standard deviation $\sigma_i$.
#
# 1. The gradient that Adam sees is $\lambda w_i$ plus the noise.
# 2. The expectation of $m$ is $\lambda w_i$. The noise in it has mean zero, and averages out over many steps.
# 3. In $v$, a mean of squares, the noise does not average out: $v$ is close to $\sigma_i^2+\lambda^2w_i^2$.
# 4. Since $v$ changes slowly, a step takes away $\eta\,\lambda w_i/\sqrt{v}$ on average. Divided by
#    $w_i$, this is the share that a step takes:
#
# $$\delta_i \approx \frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$
#
# In words: *under Adam + L2, weights with large gradients hardly decay*. Under AdamW every weight loses the share
# $\eta\lambda$. The dashed line in the left panel of Figure 3.1 is (3.4), with a $v$ that remembers earlier, larger
# weights. On its right noise dominates, and the decay falls as $1/\sigma$. On its left $\lambda w$ dominates, and weights
# walk at about η per step.

# %%
claim("S2-13", "Ten times the noise makes Adam + L2 decay {} times more slowly (lower end of the "
      "95 % interval of five seeds)", above=9,
      measured=claims.interval(decay_l2[4] / decay_l2[8]).low)
claim("03-rate", "At each of nine noise levels Adam + L2 decays at {:.2f} times the rate (3.4)",
      measured=decay_l2.mean(-1) / theory, equals=1, within=0.02)
claim("03-rate-w", "AdamW multiplies the mean weight by 1 − ηλ at each step, whatever the noise",
      measured=0.002 * lam * decay_w + np.log(1 - 0.002 * lam), equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# All this is about *mean* weights. Noise also makes each weight wander, with a spread of about $\sqrt{\eta/2\lambda}$
# under AdamW and $\sqrt{\eta\sigma_i/2\lambda}$ under Adam + L2 where the loss ignores it:
# {{np.sqrt(0.001 / (2 * 0.1)):.2f}} for $\eta=0.001$, $\lambda=0.1$ and $\sigma_i = 1$
# ([chapter 8](08_effective_learning_rate.ipynb) studies such balances).
#
# **In a classifier** the noise has no single size. Output $k$ gives the weight of pixel $x_j$ the gradient
# $(p_k-y_k)\,x_j$, where $p_k$ is the predicted probability and $y_k$ is 1 for the true class and 0 otherwise. So pale
# pixels near the margin of an image give small gradients. We train on the digits with PyTorch's Adam, read its $v$, and
# average it over the ten classes. Predict: if the loss let go of all weights, which pixels' weights would decay
# fastest? (We leave out pixels of the margin with ink in few of the {{below: len(labels):,}} digits or in none.)

# %%
digits = load("digits")
pixels, labels = torch.tensor(digits.scaled(16)), torch.tensor(digits.y)
size = pixels.square().mean(0).sqrt().numpy()  # of each pixel: the root mean square of its ink
live = size > 0.015


# %%
def root_v(seed):
    model, rng = torch.nn.Linear(64, 10, dtype=torch.float64), np.random.default_rng(seed)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4)
    for _ in range(100):
        rows = rng.choice(len(pixels), 32, replace=False)
        optimizer.zero_grad()
        functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
        optimizer.step()
    return optimizer.state[model.weight]["exp_avg_sq"].mean(0).sqrt().numpy()


# %%
roots = np.stack([root_v(seed) for seed in seeds(5)])
low, high = np.quantile(size[live], [0.1, 0.9])
dark, pale = size >= high, live & (size <= low)
measured = (1 / roots[:, pale]).mean(1) / (1 / roots[:, dark]).mean(1)
expected = (1 / size[pale]).mean() / (1 / size[dark]).mean()

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.2, 4.1), width_ratios=(1, 1.3))
root = np.where(live, np.sqrt((roots**2).mean(0)), np.nan)
relative = root[dark].mean() / root
image = ax.imshow(np.log10(relative).reshape(8, 8), cmap="cividis")
ax.set(xlabel="column of pixels", ylabel="row of pixels", xticks=(), yticks=())
ax.grid(visible=False)
bar = fig.colorbar(image, ax=ax, ticks=[0, 1], location="bottom",
                   label="1/√v, 1 for dark pixels")
bar.ax.set_xticklabels(["1", "10"]), ax.set_facecolor("#DDDDDD")

# %% tags=["hide-input"]
ax.text(0, 3.5, "(left out)", fontsize=9, rotation=90, ha="center", va="center")
other.loglog(size[live], relative[live], "o", ms=4, color=figures.BLUE, label="_pixels")
ends = np.array([size[live].min(), size[live].max()])
other.loglog(ends, size[dark].mean() / ends, color=figures.GREY, lw=1, label="_slope")
other.set(xlabel="size of the pixel (root mean square)", ylabel="1/√v, 1 for dark pixels")
other.text(0.13, 9, "1/size", color=figures.GREY)
other.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
other.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
ax.set_title("If the loss let go, the weights\nof pale pixels would decay")
other.set_title("fastest, about in\nproportion to 1/size")
shown = figures.drawn(other)["_pixels"].y
figures.show(fig, "Left, a map of the 8 by 8 pixels, coloured by 1/√v of their weights; it is "
             "bright at the margin and dark in the middle. Right, each pixel's 1/√v against "
             f"its size, from {shown.min():.1f} to {shown.max():.0f}, along a line that falls as "
             "one over the size.")

# %%
claim("03-digits", "By (3.4) weights of the palest tenth of the pixels, if the loss let go, would "
      "decay {} times as fast as those of the darkest tenth (lower end of the 95 % interval "
      "of five seeds)",
      measured=claims.interval(measured).low, above=5)
claim("03-digits", "The ratio of those 1/√v is {} times what the pixels' sizes alone predict",
      measured=measured.mean() / expected, between=(0.8, 1.25))

# %% [markdown]
# By their $1/\sqrt v$ the palest tenth would decay {{measured.mean():.0f}} times as fast as the darkest tenth, and the
# sizes of the pixels predict {{expected:.0f}} times. So a coupled λ is a different decay for each weight. But we measured
# $v$ and no decay: where the loss pulls at a weight, $\sqrt v$ divides that pull as well, and the end point does not
# change. Which end point is it? That is the second half of the puzzle.
#
# ## 3.5 Where the weights come to rest
#
# Where is the average step zero? Write $\bar g_i$ for the gradient of the loss without its noise.
#
# **Coupled.** Let the noise be *symmetric*, so that each draw and its negative are equally likely. If
# $\bar g_i + \lambda w_i = 0$, then Adam sees symmetric noise and nothing else, and its steps average to zero by
# symmetry, however large the noise is. So Adam + L2 rests at the minimum of loss plus penalty, with the same λ for
# all weights.
#
# **Decoupled.** AdamW rests where its average step cancels its decay. The average step is
# $-\eta\,\bar g_i/\sqrt{v_i}$, the decay is $-\eta\lambda w_i$, and their sum is zero if
#
# $$\frac{\bar g_i}{\sqrt{v_i}} = -\lambda w_i, \qquad\text{that is}\qquad
# \bar g_i = -\big(\lambda\sqrt{v_i}\big)\, w_i . \tag{3.5}$$
#
# Compare this with the minimum of a penalised loss, $\bar g_i = -\lambda w_i$. AdamW acts like a penalty with the
# coefficient $\lambda\sqrt{v_i}$, which differs from weight to weight and is largest where gradients are noisy.
# ([Loshchilov and Hutter](https://arxiv.org/abs/1711.05101) prove this for a $v$ that stands still. With such a $v$ a
# λ of its own for each weight would translate one rule into the other; one number for all does not, and $v$ moves.) In
# the second experiment of §3.1 the gradient is $w-1$, so that Adam + L2 should rest at $1/(1+\lambda)$ and AdamW at
# $1/(1+\lambda\sigma)$. The next picture has two weights, a quiet one and a noisy one.

# %%
two = np.array([0.5, 10])  # the noise of the two weights
paths = {}
for rule in ("coupled", "decoupled"):
    draw = noise(two)
    start, gradient = np.zeros((2, 5, 40)), lambda w, draw=draw: w - 1 + draw()
    path = train(start, gradient, 0.02, 6000, **{rule: lam})
    paths[rule] = path.mean((-1, -2))  # steps, weights

# %%
boxed = {rule: train(np.zeros(2), lambda w: w - [3.5, 1.2], 0.01, 8000, **{rule: 0.5})
         for rule in ("coupled", "decoupled")}

# %% tags=["hide-input"]
def draw_plane(axes, runs, best):
    """Circles of equal loss around a star, the paths of both rules, and where they end."""
    angles = np.linspace(0, 2 * np.pi, 100)
    for radius in (0.4, 1, 2, 3):
        circle = best + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes.plot(*circle.T, color=figures.GREY, alpha=0.35, lw=0.8)
    for rule, name, colour, shift in (("coupled", "Adam + L2", figures.BLUE, (8, -14)),
                                      ("decoupled", "AdamW", figures.ORANGE, (-62, 2))):
        end = runs[rule][-3000:].mean(0)
        axes.plot(*runs[rule][::20].T, color=colour, lw=1.2)
        axes.plot(*end, "o", ms=7, color=colour, label=f"_{rule}")
        axes.annotate(name, end, xytext=shift, textcoords="offset points", color=colour)
    axes.plot(*best, "*", ms=11, color="black", label="_best")
    axes.annotate("least loss", best, xytext=(0, 9), textcoords="offset points", ha="center")
    axes.set_aspect("equal"), axes.grid(visible=False)


# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 4.0))
draw_plane(ax, paths, (1, 1)), draw_plane(other, boxed, (3.5, 1.2))
ax.plot(1 / (1 + lam * two[0]), 1 / (1 + lam * two[1]), "o", ms=15, mfc="none", mew=1.5,
        color="black", label="_(3.5)")
ax.text(0.9, 0.38, "ring: (3.5)", ha="center")
ax.set(xlim=(0, 1.25), ylim=(0, 1.25), xlabel="weight with noise 0.5")
ax.set(ylabel="weight with noise 10")
other.fill([0, 2, 2, 0], [0, 0, 2, 2], color=figures.AMBER, alpha=0.2, lw=0)
other.text(0.1, 1.75, "box |w| ≤ 1/λ", color=figures.GREY)
other.set(xlim=(0, 4.4), ylim=(0, 4.4), xlabel="first weight", ylabel="second weight")
ax.set_title("With noise, AdamW shrinks\nthe noisy weight most")
other.set_title("Without, only its box\nkeeps AdamW back")
ends = [(marks[f"_{rule}"].x[0], marks[f"_{rule}"].y[0])
        for marks in (figures.drawn(ax), figures.drawn(other)) for rule in paths]
figures.show(fig, "Two planes of two weights, with circles of equal loss around a star. Left, with "
             f"noise, Adam + L2 ends at ({ends[0][0]:.2f}, {ends[0][1]:.2f}), AdamW at "
             f"({ends[1][0]:.2f}, {ends[1][1]:.2f}), in the ring of (3.5). Right, without "
             f"noise and with λ = 0.5, Adam + L2 ends at ({ends[2][0]:.2f}, {ends[2][1]:.2f}), "
             f"AdamW at the wall of its box, at ({ends[3][0]:.2f}, {ends[3][1]:.2f}).")

# %%
claim("03-rest-l2", "With symmetric noise Adam + L2 rests at {:.3f}, the minimum 1/(1 + λ), at "
      "every noise level (worst of nine levels and five seeds)", measured=rest_l2,
      equals=1 / (1 + lam), within=0.01)
claim("03-rest-w", "AdamW rests where (3.5) says: its largest error at nine noise levels is {:.4f}",
      measured=np.abs(rest_w.mean(-1) - 1 / (1 + lam * sigmas)), below=0.01)
claim("03-plane", "In both planes of weights AdamW ends where (3.5) and its box say, to within {}",
      measured=np.abs([ends[1] - 1 / (1 + lam * two), ends[3] - np.array([1 / 0.5, 1.2])]),
      below=0.05)

# %% [markdown]
# **The box.** In the right panel there is no noise, $\lambda = 0.5$, and the loss is least at $(3.5, 1.2)$. AdamW
# brings the second weight to 1.2 as if there were no λ, but the first one stops at $1/\lambda = 2$ (after the 8000
# steps it is still on its way there, at {{ends[3][0]:.2f}}). The reason is that for a steady gradient
# $|\bar g_i|/\sqrt{v_i}$ is at most 1, so that (3.5) can hold only if $|w_i|\le 1/\lambda$. So AdamW's decay is a
# constraint on the *largest* weight: if full-batch AdamW converges, it does so to a stationary point of the loss in
# this box ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454)). With $\lambda = 0.1$ it reaches to 10.
#
# So the second half of the puzzle is solved for steady and symmetric noise.
#
# ## 3.6 Two limits: full batches and skewed noise
#
# This section shows where each of the two resting points fails.
#
# **Full batches move AdamW's.** A full batch has no noise. As the gradient falls, so does $\sqrt{v}$, and with it the
# penalty's coefficient in (3.5). So AdamW must end at the *least-squares fit* $\hat w$, for every
# $\lambda < 1/\max_i|\hat w_i|$. How long does this take? Near the end $\bar g_i^2 = \lambda^2\hat w_i^2\,v_i$ by (3.5).
# Insert this into the recursion of $v$:
#
# $$v_i \leftarrow \left(1-(1-\beta_2)\left(1-\lambda^2\hat w_i^2\right)\right) v_i . \tag{3.6}$$
#
# So $\sqrt{v_i}$, and with it the distance from least squares, falls by the share
# $\frac{1-\beta_2}{2}(1-\lambda^2\hat w_i^2)$ at each step, most slowly for the largest weight. With
# $\beta_2 = 0.999$ it takes 2000 steps to fall by a factor $e$, and longer near the wall. (In the end Adam's own
# oscillation at a constant η stops the fall.) Let us look at the diabetes data, for three λ and a control with
# $\lambda = 0$.

# %%
H, q = X.T @ X / n, X.T @ y / n
lams = np.array([0, 0.01, 0.1, 1])
full = train(np.zeros((4, 10)), lambda w: w @ H - q, 0.003, 8000, decoupled=lams[:, None])
of_ridge = np.linalg.norm([ridge(X, y, each)[0] - least for each in lams], axis=1)
distance = np.linalg.norm(full - least, axis=-1)  # steps, λ
rates = 0.0005 * (1 - (lams * np.abs(least).max()) ** 2)  # of (3.6)
full_l2 = train(np.zeros(10), lambda w: w @ H - q, 0.003, 4000, coupled=lam)[-1]

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.0, 3.6))
steps = np.arange(100, 8001, 100)
colours = (figures.GREY, figures.BLUE, figures.ORANGE, figures.GREEN)
for column, (each, colour) in enumerate(zip(lams, colours, strict=True)):
    ax.semilogy(steps, distance[steps - 1, column], color=colour, label=f"λ = {each:g}")
    if each:
        late = np.array([4000, 8000])
        law = 1.5 * distance[7999, column] * np.exp(rates[column] * (8000 - late))
        ax.plot(late, law, ":", color=colour, label=f"_law {each:g}")
        ax.text(8080, distance[7999, column], f"λ = {each:g}", color=colour, va="center")

# %% tags=["hide-input"]
ax.text(2950, 0.0012, "λ = 0", color=figures.GREY, ha="right")
ax.text(5400, 0.5, "dotted: slopes of (3.6)", color=figures.GREY)
ax.set(xlabel="step", ylabel="distance from least squares", xlim=(0, 9100), ylim=(2e-4, 1.2))
ax.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
ax.set_xticks([0, 2000, 4000, 6000, 8000])
ax.set_title("After the training comes the forgetting: it takes thousands of steps")
drawn = figures.drawn(ax)
figures.show(fig, "Four falling lines on a logarithmic axis: AdamW's distance from least squares "
             "against the step. Without λ it falls steeply and leaves the picture near step 3200, "
             f"at 2000 it is {drawn['λ = 0'].at(2000):.3f}. With λ = 0.01 it is "
             f"{drawn['λ = 0.01'].at(2000):.3f} there, then bends into a straight line. After 8000 "
             f"steps λ = 0.01, 0.1 and 1 are at {drawn['λ = 0.01'].at(8000):.4f}, "
             f"{drawn['λ = 0.1'].at(8000):.3f} and {drawn['λ = 1'].at(8000):.2f}, parallel to the "
             "dotted slopes of (3.6).")

# %% [markdown]
# In the first 2000 steps the lines of $\lambda=0$ and 0.01 nearly coincide: this steep part is plain training. Only the
# straight parts, later, are the forgetting that (3.6) describes.

# %%
claim("03-full-beside", "After 4000 full batches with λ = 0.1 AdamW is {} times as far "
      "from least squares as ridge regression is", between=(0.01, 0.1),
      measured=distance[3999, 2] / of_ridge[2])
claim("03-full-rate", "From step 7000 to 8000 AdamW's distance from least squares falls at "
      "{:.3f} times the rate of (3.6), the worst of three λ", equals=1, within=0.05,
      measured=np.log(distance[6999] / distance[7999])[1:] / 1000 / rates[1:])
claim("03-full-l2", "Adam + L2 ends at ridge regression", measured=full_l2 - exact, equals=0,
      within=1e-9)
claims.identities()

# %% [markdown]
# **Skewed noise moves Adam's.** The argument for Adam + L2 needed symmetric noise. Suppose that large positive
# gradients are rare and small negative ones are common. Whenever $m$ is large $v$ is large as well, so Adam divides
# large positive steps by more than small negative ones, and the steps no longer average to zero. Let $\chi_i$ be the
# skewness, the mean of $(\text{noise}/\sigma_i)^3$. To first order Adam + L2 rests where
#
# $$\bar g_i + \lambda w_i \approx \frac{\sigma_i\,\chi_i}{2}\cdot\frac{(1-\beta_1)(1-\beta_2)}{1-\beta_1\beta_2}.
# \tag{3.7}$$
#
# <details>
# <summary>Why (3.7)</summary>
#
# First, expand $1/\sqrt v$ around $1/\sigma_i$: the mean of $m/\sqrt v$ changes by
# $-\mathbb E[m\,(v-\sigma_i^2)]/(2\sigma_i^3)$. Second, after $k$ steps a gradient is in $m$ with the weight
# $(1-\beta_1)\beta_1^k$, and its square in $v$ with $(1-\beta_2)\beta_2^k$. The series over $k$ gives
# $\mathbb E[m\,(v-\sigma_i^2)] = \frac{(1-\beta_1)(1-\beta_2)}{1-\beta_1\beta_2}\,\chi_i\sigma_i^3$. Third, the
# average step is zero where the mean gradient makes up for this.
#
# </details>
#
# This is a fault of Adam, not of L2: without any λ it misses the minimum as well. The usual $\beta_2 = 0.999$ makes the
# right side small, but language models often use 0.95. Our example, $\sigma = 10$ with $\chi=2$, is extreme, and a
# batch of $B$ examples divides χ by $\sqrt B$. Predict: where does a weight rest that should be at
# {{1 / (1 + lam):.3f}}?

# %%
def skewed(rng, count):
    return rng.standard_exponential(count) - 1  # skewness 2


def resting_point(law, beta_2, **rule):
    """Where the gradient w − 1, under noise of standard deviation 10, brings w; five seeds."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]

    def gradient(w):
        return w - 1 + 10 * np.stack([law(rng, 400) for rng in rngs])

    path = train(np.ones((5, 400)), gradient, 0.02, 2000, beta_2=beta_2, **rule)
    return path[1000:].mean((0, -1))


# %%
rules = {"Adam": {}, "Adam + L2": {"coupled": lam}, "AdamW": {"decoupled": lam}}
rest_skewed = {name: resting_point(skewed, 0.95, **rule) for name, rule in rules.items()}
wanted = {"Adam": 1, "Adam + L2": 1 / (1 + lam), "AdamW": 1 / (1 + 10 * lam)}
memories = np.array([0.95, 0.99, 0.999])  # of Adam + L2
shift = 10 * 2 / 2 * (1 - 0.9) * (1 - memories) / (1 - 0.9 * memories)
rest_longer = np.array([resting_point(skewed, beta_2, coupled=lam) for beta_2 in memories[1:]])

# %%
rng, m, v = claims.rng(), np.zeros(20000), np.ones(20000)
for _ in range(100):
    g = skewed(rng, 20000)
    m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
tenths = np.argsort(m).reshape(10, -1)  # weights in order of m, in ten groups

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=(1, 1.25))
ax.plot(m[tenths].mean(1), np.sqrt(v)[tenths].mean(1), "o-", color=figures.BLUE, label="_root v")
ax.set(xlabel="m, in units of σ", ylabel="mean of √v, in units of σ")
for row, (name, end) in enumerate(rest_skewed.items()):
    other.annotate("", (end.mean(), row), (wanted[name], row), arrowprops={"arrowstyle": "-|>",
                   "lw": 1.5, "color": figures.GREY, "shrinkA": 0, "shrinkB": 3})
    other.plot(wanted[name], row, "|", ms=14, mew=2, color=figures.GREEN, label=f"_wanted {name}")
    other.plot(end.mean(), row, "o", ms=7, color=figures.BLUE, label=f"_{name}")
other.set_yticks(range(3), list(rules)), other.set(ylim=(2.6, -0.8), xlim=(0.4, 1.4))
other.text(1, -0.35, "symmetric ", color=figures.GREEN, ha="right")
other.text(1.1, -0.35, "skewed noise", color=figures.BLUE), other.grid(axis="y", visible=False)
other.set(xlabel="resting point, β₂ = 0.95", ylabel=" "), ax.set_title("Large m meet large √v …")
other.set_title("… so each rule rests too high")
root, marks = figures.drawn(ax)["_root v"].y, figures.drawn(other)
figures.show(fig, "Left, skewed noise: the mean of root v rises with m, from "
             f"{root[0]:.2f} to {root[-1]:.2f}. Right, resting points for three rules: "
             f"{marks['_Adam'].x[0]:.2f} instead of {marks['_wanted Adam'].x[0]:.2f} for Adam, "
             f"{marks['_Adam + L2'].x[0]:.2f} instead of {marks['_wanted Adam + L2'].x[0]:.2f} "
             f"with L2, {marks['_AdamW'].x[0]:.2f} instead of {marks['_wanted AdamW'].x[0]:.2f} "
             "for AdamW.")

# %%
claim("03-skewed", "With β₂ = 0.95 and skewed noise Adam rests {:.2f} above the minimum or more, "
      "without λ and with L2", between=(shift[0] / 2 / (1 + lam), shift[0]),
      measured=[rest_skewed[name].mean() - wanted[name] for name in ("Adam", "Adam + L2")])
claim("03-skewed-long", "For β₂ of 0.99 and 0.999 (3.7) misses the resting point by at most {:.2f}",
      below=0.04, measured=np.abs(rest_longer.mean(1) - (1 + shift[1:]) / (1 + lam)))

# %% [markdown]
# Adam rests at {{rest_skewed["Adam"].mean():.2f}} instead of 1 without any λ, Adam + L2 at
# {{rest_skewed["Adam + L2"].mean():.2f}} instead of {{1 / (1 + lam):.2f}}, and AdamW at
# {{rest_skewed["AdamW"].mean():.2f}} instead of {{1 / (1 + 10 * lam):.2f}}.
# So Adam + L2 finds the minimum of loss plus penalty if the noise is symmetric or β₂ is close to 1, and AdamW's penalty
# lasts as long as the noise does. What is missing is a network.
#
# ## 3.7 What a copied λ does to a network
#
# Does any of this matter? We train a small network (32 hidden units) on 200 digits, in minibatches of 20 with
# $\eta = 0.01$, by Adam + L2 and by AdamW, for the same list of λ. We choose λ by the cross-entropy on 200 further digits,
# and test on the rest. Predict: is the best λ the same, and does one rule win?

# %%
grid = [0, 0.0001, 0.001, 0.01, 0.1, 1]
orders = np.array([np.random.default_rng(seed).permutation(len(labels)) for seed in seeds(5)])
parts = split(digits.X / 16, digits.y, train=orders[:, :200], validation=orders[:, 200:400],
              test=orders[:, 400:])


# %%
def trained(optimizer):
    """The runs (seeds, λ), and for each seed the column of the λ with the best validation loss."""
    run = sweep(MLP((64, 32, 10)), *parts.train, test=parts.test, loss="cross_entropy",
                optimizer=optimizer, lr=0.01, weight_decay=grid, batch_size=20, seeds=seeds(5),
                steps=600, record_every=600, evaluate_every=600)
    logs = torch.tensor(predict(run, parts.validation.X).values).log_softmax(-1).numpy()
    right = np.take_along_axis(logs, parts.validation.y[:, None, :, None].astype(int), -1)
    return run, right.mean((-1, -2)).argmax(1)


# %%
runs = {"Adam + L2": trained("adam"), "AdamW": trained("adamw")}
nats = {name: run.test_loss.values[..., -1] for name, (run, _) in runs.items()}
right = {name: 100 * run.test_accuracy.values[..., -1] for name, (run, _) in runs.items()}
own = {name: right[name][np.arange(5), chosen] for name, (_, chosen) in runs.items()}
gap = claims.interval(own["AdamW"] - own["Adam + L2"])
copied = claims.interval(right["AdamW"][:, 4] - right["Adam + L2"][:, 4])
chosen = {name: np.array(grid)[each] for name, (_, each) in runs.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.0, 3.6))
for (name, losses), colour, nudge in zip(nats.items(), (figures.BLUE, figures.ORANGE),
                                         (-0.05, 0.05), strict=True):
    bars = claims.interval(losses)
    ax.errorbar(np.arange(6) + nudge, bars.mean, bars.half, fmt="o-", capsize=3, color=colour,
                label=f"_{name}")
ax.set_xticks(range(6), [f"{each:g}" for each in grid])
ax.set(xlabel="weight decay λ", ylabel="test loss (cross-entropy)", yscale="log", ylim=(0.15, 3))
ax.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"]), ax.minorticks_off()
ax.text(3.6, 0.9, "Adam + L2", color=figures.BLUE, ha="right")
ax.text(4.75, 0.27, "AdamW", color=figures.ORANGE)
lines = figures.drawn(ax)
ax.set_title("Adam + L2 and AdamW have about the same best loss, at very different λ")
figures.show(fig, "Test loss against λ, means of five seeds with 95 % intervals. Without λ it is "
             f"{lines['_AdamW'].y[0]:.2f}. AdamW is lowest on the right, with "
             f"{lines['_AdamW'].y.min():.2f}, Adam + L2 further left, with "
             f"{lines['_Adam + L2'].y.min():.2f}. At 0.1 Adam + L2 has "
             f"{lines['_Adam + L2'].y[4]:.1f}, at 1 {lines['_Adam + L2'].y[5]:.1f}.")

# %%
claim("03-network", "AdamW's λ = 0.1, copied into Adam + L2, costs {:.0f} points of test accuracy "
      "(mean of five seeds)", measured=copied.mean, above=5)
claim("03-network", "With a λ of its own for each rule, AdamW's test accuracy is {:+.1f} points "
      "from Adam + L2's (mean of five seeds)", measured=gap.mean, between=(-2, 2))

# %% [markdown]
# A λ that is copied from AdamW into Adam breaks the network. This agrees with §3.5: at its resting point the coupled
# penalty acts with the whole 0.1, and AdamW's with $0.1\sqrt v$, and here $\sqrt v$ is far below 1. The validation digits choose λ around
# {{np.median(chosen["Adam + L2"]):g}} for Adam + L2 and {{np.median(chosen["AdamW"]):g}} for AdamW. With a λ of its own
# for each rule the test accuracies differ by {{gap.mean:+.1f}} points, with a 95 % interval from {{gap.low:+.1f}} to
# {{gap.high:+.1f}}. So in this small experiment the translation matters, and the choice of the rule does not; elsewhere
# a rule may win.
#
# ## 3.8 One λ, three meanings under a schedule
#
# Does AdamW decouple the decay from the learning rate, as its name suggests? The published form does for the base rate,
# the libraries' form does not. With a rate $\eta_t$ that peaks
# at $\eta_{\max}$ there are three meanings of a decay, and each has users:
#
# $$\delta_t = \eta_t\,\lambda,\qquad \delta_t = \lambda',\qquad
# \delta_t = \frac{\eta_t}{\eta_{\max}}\,\eta_t\,\lambda. \tag{3.8}$$
#
# The first *follows the rate*, as in PyTorch, Keras and Optax; the published form is the same with
# $\lambda' = \eta_{\max}\lambda$ and $\delta_t = \lambda'\eta_t/\eta_{\max}$. The second is *independent* of the
# rate, as in TensorFlow Addons. The third is *corrected*: it multiplies λ by $\eta_t/\eta_{\max}$ as well, as in
# [AdamC](https://arxiv.org/abs/2506.02285). A weight that the loss ignores ends as $\prod_t(1-\delta_t)$. On a
# cosine from $\eta_{\max}$ to 0 the mean of $\eta_t/\eta_{\max}$ is ½ and that of its square is ⅜. (During a warm-up
# the first form decays in proportion to the small rate, too.) Our example takes $\eta_{\max} = 0.1$ and $\lambda=0.1$,
# far more than usual, so that 200 steps show the difference.

# %%
def in_torch(weight_decay, lr, steps=200):
    """What torch.optim.AdamW and a cosine leave of a weight of 1 that the loss ignores."""
    w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(steps):
        w.grad = torch.zeros_like(w)
        optimizer.step(), schedule.step()
    return w.item()


# %%
cosine = (1 + np.cos(np.pi * np.arange(200) / 200)) / 2  # η_t/η_max
share = 0.1 * 0.1  # η_max λ
left = {name: np.cumprod(1 - share * factor) for name, factor in
        (("corrected", cosine**2), ("follows the rate", cosine), ("independent", cosine**0))}

# %%
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.3), width_ratios=(1, 1.3))
for name, curve in left.items():
    each = 1 - np.append(curve[0], curve[1:] / curve[:-1])
    ax.plot(each / share, label=f"_{name}"), other.plot(curve, label=name)
ax.set(xlabel="step", ylabel="decay per step, in units of $η_{max}$λ", ylim=(0, 1.1))
other.set(xlabel="step", ylabel="what is left of the weight", ylim=(0, 1.05))
for axes in (ax, other):
    axes.set_xticks([0, 100, 200])
ax.text(100, 1.02, "independent", color=figures.GREEN)
ax.text(118, 0.5, "follows the rate", color=figures.ORANGE)
ax.text(12, 0.35, "corrected", color=figures.BLUE)
other.set_xlim(0, 310), other.spines["bottom"].set_bounds(0, 200), figures.label_lines(other)
ax.set_title("Three meanings of one λ …"), other.set_title("… and what they leave")
drawn = figures.drawn(other)
figures.show(fig, "Left, the decay per step along a cosine of 200 steps: flat at 1, the cosine, "
             "and its square below. Right, what is left of a weight that the loss ignores: "
             f"{drawn['independent'].y[-1]:.2f} if the decay is independent, "
             f"{drawn['follows the rate'].y[-1]:.2f} if it follows the rate, "
             f"{drawn['corrected'].y[-1]:.2f} if it is corrected.")

# %%
claim("03-schedule", "PyTorch's AdamW leaves the product of 1 − η_t λ: the difference is zero",
      measured=in_torch(0.1, 0.1) - left["follows the rate"][-1], equals=0, within=1e-12)
claim("03-coupled", "Ten times the learning rate at the same λ makes PyTorch's AdamW decay {} "
      "times as much", measured=np.log(in_torch(0.1, 0.01)) / np.log(in_torch(0.1, 0.001)),
      equals=10, within=0.01)
claim("03-cosine", "the 200 factors of the cosine sum to 100.5",
      measured=cosine.sum(), equals=100.5, within=1e-9)
claim("03-cosine", "the squares of the 200 factors sum to 75.5",
      measured=(cosine**2).sum(), equals=75.5, within=1e-9)
claims.identities()

# %% [markdown]
# So if you tune the learning rate of a library's AdamW, you tune the decay with it; keep the product $\eta\lambda$
# if you want to keep the decay. The corrected form was proposed for layers with normalisation, where λ and $\eta_t$
# together set an effective learning rate ([chapter 8](08_effective_learning_rate.ipynb)).
#
# ## 3.9 Is weight decay any norm's penalty?
#
# Weight decay, a reader proposes, "is a generic term for any regularization that involves adding some kind of norm of
# W (regardless of which norm) to the loss". If the word means that a step takes an equal share of every weight, then
# the question has an exact answer. Take a penalty $R$, and suppose that a step of plain gradient descent on $R$ multiplies every $w$ by the same
# number: $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 . \tag{3.9}$$
#
# So $R$ is the squared L2 norm, up to a constant, and nothing else. Not even the L2 norm without the square can do it:
# its gradient is the same at $w$ and at $10w$, so a larger weight loses a smaller share. For the penalty $\frac1p\sum|w_i|^p$ the share is proportional to
# $|w_i|^{p-2}$.

# %%
def share_lost(penalty, w):
    """The share of each weight that a step of size one takes away."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return (gradient / point).detach().numpy()


# %%
sizes = np.logspace(-1.5, 1.5, 13)
powers = {p: share_lost(lambda w, p=p: w.abs().pow(p).sum() / p, sizes) for p in (1, 1.5, 2, 3)}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.4, 3.2))
for p, shares in powers.items():
    ax.loglog(sizes, shares, label=f"p = {p}")
ax.set(xlabel="size of the weight |w|", ylabel="share lost in a step, in units of ηλ")
ax.set_xlim(0.03, 60)
for axis in (ax.xaxis, ax.yaxis):
    axis.set_ticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.text(0.15, 13, "p < 2 presses\nsmall weights"), ax.text(1.6, 13, "p > 2 presses\nlarge weights")
ax.set_title("Only the squared L2 norm takes the same share from every weight")
figures.label_lines(ax)
drawn = figures.drawn(ax)
first, middle, third = (drawn[f"p = {p}"].y for p in (1, 1.5, 3))
figures.show(fig, "Share that one step takes from a weight, against the weight's size, on "
             f"logarithmic axes. The line for p = 2 is flat at {drawn['p = 2'].y[0]:.0f}. For p = 1"
             f" it falls from {first[0]:.0f} to {first[-1]:.2f}, for p = 1.5 from {middle[0]:.1f}"
             f" to {middle[-1]:.2f}; for p = 3 it rises from {third[0]:.2f} to {third[-1]:.0f}.")

# %%
claim("S2-11", "the penalty |w|^p/p takes the share |w|^(p − 2), the same for all weights if p = 2",
      measured=[drawn[f"p = {p}"].y / sizes ** (p - 2) for p in powers], equals=1, within=1e-12)
claim("S2-11", "‖w‖ without the square takes 0.1 of the share from a vector 10 times as long",
      measured=share_lost(torch.linalg.norm, np.array([30.0, -10.0]))
      / share_lost(torch.linalg.norm, np.array([3.0, -1.0])), equals=0.1, within=1e-12)
claims.identities()

# %% [markdown]
# Even the squared L2 norm gives weight decay under plain SGD only; Adam separates the two as Figure 3.1 shows.
#
# ## 3.10 In practice
#
# **With every λ write down five things:** the loss (½? mean or sum? how many outputs?), whether λ is a penalty or a
# decay, whether the learning rate multiplies it, the optimiser (with its momentum), and the parameters on which λ
# acts. Figure 3.11 shows what follows.

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.4, 4.2))
nodes = {"What does the program do with λ?": (5.2, 5.5, figures.GREY),
         "penalty: λw joins\nthe gradient": (2.4, 4, figures.BLUE),
         "decay: w shrinks\nby the share δ": (8.2, 4, figures.ORANGE),
         "exact solver or SGD\n(3.1), (3.2)": (1.2, 2.2, figures.BLUE),
         "Adam\n(3.1) for the end,\n(3.4) for the way": (4.1, 2.2, figures.BLUE),
         "η multiplies\nδ = ηλ": (7.0, 2.2, figures.ORANGE),
         "η does not\nδ = λ": (9.5, 2.2, figures.ORANGE)}
places = list(nodes.values())
for parent, child in ((0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)):
    ax.plot(*zip(places[parent][:2], places[child][:2], strict=True), color=figures.GREY, lw=1.2)
for words, (x, height, colour) in nodes.items():
    ax.text(x, height, words, ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.45", "fc": "white", "ec": colour, "lw": 1.5})

# %% tags=["hide-input"]
for far, near, height in ((1.2, 7.0, 0.5), (4.1, 9.5, -0.4)):
    ax.plot([far, far, near, near], [1.5, height, height, 1.6], "--", color="black", lw=1)
ax.text(1.3, 0.6, "plain SGD: δ = ηλ", fontsize=9)
ax.text(4.2, 0.6, "momentum: ηλ/(1 − μ)", fontsize=9)
ax.text(4.2, -0.3, "Adam: no equivalent, search anew", fontsize=9)
ax.set(xlim=(-0.3, 10.8), ylim=(-0.7, 6), xticks=(), yticks=(), xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.grid(visible=False)
ax.set_title("Two questions say which λ you have; few bridges lead across")
figures.show(fig, "A tree. The first question is what the program does with λ. A penalty, whose λw "
             "joins the gradient, stands beside an exact solver or SGD, or beside Adam. A decay "
             "takes ηλ or λ. A dashed bridge leads from SGD's penalty to a decay of ηλ, another, "
             "from Adam, is marked as without equivalent.")

# %% [markdown]
# Then ask your optimiser. One step with a zero gradient shows what it takes away, at first:

# %%
def taken(make, **options):
    """What one step with a zero gradient takes from a weight of 1."""
    w = torch.nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    make([w], lr=0.01, weight_decay=0.1, **options).step()
    return 1 - w.item()


# %%
one_step = {name: taken(getattr(torch.optim, name)) for name in ("SGD", "AdamW", "Adam")}
print(*(f"{name}: {amount:.4f}" for name, amount in one_step.items()), sep="\n")

# %%
claim("03-asked", "one step without gradient takes ηλ under SGD and AdamW",
      measured=[one_step["SGD"], one_step["AdamW"]], equals=0.01 * 0.1, within=1e-12)
claim("03-asked", "… and η under Adam, whatever λ is", measured=one_step["Adam"], equals=0.01,
      within=1e-8)
claims.identities()

# %% [markdown]
# One step does not show momentum. PyTorch's SGD keeps $\lambda w$ in its buffer, so that with momentum μ each step in
# the long run takes $\eta\lambda/(1-\mu)$, {{1 / (1 - 0.9):.0f}} times as much for $\mu = 0.9$:

# %%
w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer = torch.optim.SGD([w], lr=0.1, weight_decay=0.001, momentum=0.9)
for _ in range(2000):
    w.grad = torch.zeros_like(w)
    optimizer.step()

# %%
claim("03-momentum", "2000 steps of SGD with momentum 0.9 and ηλ = 0.0001 keep {} of a weight that "
      f"the loss ignores, exp(−2) and not exp(−0.2) = {np.exp(-0.2):.3f}", measured=w.item(),
      equals=np.exp(-2), within=0.002)

# %% [markdown]
# **What to type.** With SGD and momentum start at $\lambda = 10^{-4}$ (the
# [residual networks](https://arxiv.org/abs/1512.03385) of 2015) and go up to $5\cdot10^{-4}$. With AdamW start at
# 0.1 (as [LLaMA](https://arxiv.org/abs/2302.13971) does) and search down to 0.01 in factors of 3. With Lion take 3
# to 10 times AdamW's λ at a learning rate that is as many times smaller, so that the product stays. Then compute the
# number of steps that the weights remember. For AdamW, Lion and plain SGD it is $1/(\eta\lambda)$, for SGD with
# momentum $(1-\mu)/(\eta\lambda)$; under Adam + L2 there is no such number. With AdamW, $\eta = 3\cdot10^{-4}$ and
# $\lambda = 0.1$ it is {{1 / (3e-4 * 0.1):,.0f}} steps. If that is much more than your training run, the decay does
# almost nothing.
#
# **Half precision.** A bfloat16 number has {{1 - int(np.log2(torch.finfo(torch.bfloat16).eps))}} binary digits. If
# the weights themselves are stored in it, without master weights in float32, PyTorch's multiplication by
# $1-\eta\lambda$ changes nothing as long as $\eta\lambda < 2^{-9} \approx {{2**-9:.1g}}$, and a usual decay is
# {{2**-9 / (3e-4 * 0.1):.0f}} times smaller. In float32 that border is $2^{-25}$, so that this decay is safe; but at
# $\eta\lambda = 10^{-7}$ rounding distorts it there, too.

# %%
fig, ax = figures.subplots(figsize=(7.0, 1.9))
borders = {"float32": 2.0**-25, "bfloat16": 2.0**-9}
for row, (name, border) in enumerate(borders.items()):
    ax.barh(row, border - 1e-9, left=1e-9, height=0.5, color=figures.GREY, alpha=0.4)
    ax.plot(border, row, "|", ms=18, mew=2, color="black", label=f"_{name}")
ax.axvline(3e-4 * 0.1, color=figures.ORANGE), ax.set(xscale="log", xlim=(1e-9, 0.1))
ax.text(4e-5, -0.62, "η = 0.0003, λ = 0.1", color=figures.ORANGE)
ax.text(2e-9, 1, "lost to rounding", va="center"), ax.text(2e-9, 0, "lost", va="center")
ax.set_yticks(range(2), list(borders)), ax.set(ylim=(-0.7, 1.5), ylabel=" ")
ax.set_xticks([1e-8, 1e-6, 1e-4, 0.01], ["$10^{-8}$", "$10^{-6}$", "0.0001", "0.01"])
ax.set(xlabel="decay per step, ηλ"), ax.grid(axis="y", visible=False)
ax.set_title("bfloat16 loses a usual decay, float32 keeps it")
lost = figures.drawn(ax)
figures.show(fig, "Two bars on a logarithmic axis of the decay per step: what rounding loses. "
             f"In float32 it ends at {lost['_float32'].x[0]:.0e}, in bfloat16 at "
             f"{lost['_bfloat16'].x[0]:.3f}. A line between them marks a usual decay.")

# %%
def moved(dtype, rate=3e-4 * 0.1):
    """How many of 2000 weights torch.optim.AdamW has moved after a thousand steps of decay."""
    start = torch.tensor(claims.rng().uniform(1, 2, 2000), dtype=dtype)
    w = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([w], lr=3e-4, weight_decay=rate / 3e-4)
    for _ in range(1000):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    return (w != start).sum().item()


# %%
claim("03-bfloat", "In bfloat16, with η = 0.0003 and λ = 0.1, AdamW's decay moves {} of 2000 "
      "weights in 1000 steps", measured=moved(torch.bfloat16), equals=0)

# %% [markdown]
# ## 3.11 Myths
#
# - *Weight decay and L2 regularisation are the same.* They are under plain SGD. Under Adam they share neither the
#   decay nor the resting point.
# - *L2 does nothing inside Adam.* It acts at full strength on the resting point, if noise is symmetric; but weights
#   with large gradients decay slowly, so it takes many steps to get there.
# - *Without the argument there is no decay.* PyTorch's AdamW takes 0.01 and its Muon 0.1.
# - *AdamW minimises the loss plus a penalty.* With full batches it minimises the loss inside a box. With noise its
#   penalty depends on the noise.
#
# **Limits.** (3.4) and (3.5) hold for symmetric noise, and with (3.7) for independent noise of constant size and
# small η. In a network $v$ and $w$ change together, and batch norm adds effects of its own
# ([chapter 9](09_adaptive_optimisers.ipynb)). One small network (§3.7) does not say which rule generalises better.
#
# ## 3.12 Exercises
#
# **1.** (One line.) A paper uses `Ridge(alpha=20)` on 1000 examples. Which `weight_decay` gives the same model with
# `torch.nn.MSELoss`, and which parameters must it spare?
#
# <details>
# <summary>Solution</summary>
#
# By (3.1) the book's λ is $20/1000 = {{20 / 1000}}$. For `MSELoss` $c = 2$, so type
# {{convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse"):.2f}}:
# `convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse")`. Ridge does not
# penalise its intercept, so give the bias a parameter group with `weight_decay=0`.
#
# </details>
#
# **2.** (Read this log.) An entry of an embedding, whose word never occurs, is after 0, 1000, 2000 and 3000 steps in
# run A 5.00{{"".join(f", {5 * (1 - 1e-4) ** t:.2f}" for t in (1000, 2000, 3000))}} and in run B
# 5.00{{"".join(f", {w:.2f}" for w in train(five, np.zeros_like, 1e-3, 3000, coupled=1e-4)[999::1000, 0])}}. Both
# have $\eta = 10^{-3}$ and no momentum of SGD. Which optimisers can these be, and with which λ?
#
# <details>
# <summary>Solution</summary>
#
# In A every thousand steps multiply by {{(1 - 1e-4) ** 1000:.3f}}, which is a share:
# $1000\,\eta\lambda = -\ln {{(1 - 1e-4) ** 1000:.3f}}$ gives $\lambda = {{-np.log((1 - 1e-4) ** 1000):.1f}}$, under
# AdamW or plain SGD, for which a penalty is the same decay. In B the first thousand steps subtract nearly
# $1000\,\eta = 1$, and later ones less, since $\sqrt v$ remembers larger weights: Adam + L2. Its λ cannot be read off,
# as it cancels.
#
# </details>
#
# **3.** (A question from a forum.) I moved from `Adam(weight_decay=1e-4)` to `AdamW(weight_decay=1e-4)` with
# $\eta = 10^{-3}$, and now I overfit more. Should they not be the same? Answer with a number.
#
# <details>
# <summary>Solution</summary>
#
# They should not. AdamW takes $\eta\lambda = 10^{-7}$ of each weight a step, so that a weight halves in
# {{np.log(2) / 1e-7 / 1e6:.0f}} million steps: the decay is off. No number is equivalent to the old one. Search from
# 0.01 to 0.1.
#
# </details>
#
# **4.** (A proof.) Which differentiable penalties of two or more weights shrink $w$ *along its own direction*, if the
# positive share may depend on $w$?
#
# <details>
# <summary>Solution</summary>
#
# $\nabla R(w) = h(w)\,w$ is normal to spheres, so $R$ is constant on them: $R = \phi(\lVert w\rVert_2)$, any
# increasing function φ of the L2 norm. If the share is the same for all $w$, then $\phi(r) = \frac\lambda2 r^2$ up to a constant.
#
# </details>
#
# **5.** (Predict, then run.) Turn the skewed noise of §3.6 round: where does Adam + L2 rest with β₂ = 0.95? Run
# `resting_point(lambda rng, count: -skewed(rng, count), 0.95, coupled=lam).mean()`.
#
# <details>
# <summary>Solution</summary>
#
# By symmetry the shift changes its sign. By (3.7) the resting point is (1 − {{shift[0]:.2f}})/{{1 + lam:.1f}} =
# {{(1 - shift[0]) / (1 + lam):.2f}}. The run ends at 0.66, as far below {{1 / (1 + lam):.2f}} as the other was above
# it.
#
# </details>
#
# **6.** (Break a claim.) Which claim of §3.6 fails if you look at the full batch after 400 steps in place of 4000?
# Change `distance[3999, 2]` to `distance[399, 2]` in it. And a derivation: obtain (3.2) from one step of SGD.
#
# <details>
# <summary>Solution</summary>
#
# The claim 03-full-beside: after 400 steps the distance is 1.1 times ridge's, as AdamW is still on its way from
# zero. For (3.2), the step $w-\eta'(c\,\nabla L+\lambda' w)$ is the old one if $\eta' c=\eta$ and
# $\eta'\lambda'=\eta\lambda$; divide the second by the first.
#
# </details>
#
# **7.** (Your own network.) For each parameter group of your AdamW print `lr * weight_decay * steps`, summed over your
# schedule. What does it mean if the sum is 0.01, or 5? What changes for SGD with momentum, and for Adam + L2?
#
# <details>
# <summary>A start</summary>
#
# The mean of weights that the loss ignores ends at $e^{-\text{sum}}$ of its start. At 0.01 you could as well switch the
# decay off. At 5 nothing is left of the start; such weights still wander with the spread of §3.4, and every other weight
# is where the loss holds it. For SGD with momentum divide the sum by $1-\mu$. Under Adam + L2 the sum means nothing.
#
# </details>
#
# ## 3.13 Where next, and sources
#
# [Chapter 4](04_other_penalties.ipynb) takes penalties that are not weight decay, L1 and L2 on factors.
# [Chapter 9](09_adaptive_optimisers.ipynb) returns to Adam and asks what rotation and norm make of (3.4) and (3.5)
# in networks.
#
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101), *Decoupled Weight Decay Regularization*: AdamW.
# - [Kingma and Ba (2015)](https://arxiv.org/abs/1412.6980), *Adam*.
# - [Xie and Li (2024)](https://arxiv.org/abs/2404.04454), *Implicit Bias of AdamW*: the box of §3.5.
# - [Defazio (2025)](https://arxiv.org/abs/2506.02285), *Why Gradients Rapidly Increase Near the End of Training*:
#   AdamC.
# - [Zhang, Wang, Xu and Grosse (2019)](https://arxiv.org/abs/1810.12281), *Three Mechanisms of Weight Decay
#   Regularization*.
# - [Bjorck, Weinberger and Gomes (2021)](https://arxiv.org/abs/2012.13841), *Understanding Decoupled and Early
#   Weight Decay*: what L2 does in Adam's averages.
# - [He, Zhang, Ren and Sun (2016)](https://arxiv.org/abs/1512.03385), *Deep Residual Learning for Image
#   Recognition*, and [Touvron and others (2023)](https://arxiv.org/abs/2302.13971), *LLaMA*: two values of λ.
#
# ## 3.14 The sources, line by line
#
# The book began with four short texts ([chapter 0](00_start_here.ipynb) names them: a question and answer, a paper, a
# forum thread and a beginner's lesson). This table says what became of the three sentences that this chapter decides.

# %%
verdict("S2-11", "false",
        "The same share of every weight is the squared L2 norm's alone, under plain SGD. "
        "L1 takes the same amount from each.")
verdict("S2-13", "under conditions",
        "Under plain SGD. Coupled to Adam a weight decays at about ηλ divided by the size of its "
        "gradient, decoupled (AdamW) at ηλ.")
verdict("S2-14", "true",
        f"In six programs 0.1 means λ from {min(means.values()):.1g} to {max(means.values()):.1g}; "
        "and some multiply by the learning rate.")
claims.verdicts()
