# %% [markdown]
# # 3 One λ, many meanings
#
# `weight_decay=0.1` is one number, and it does different things in different programs. In one library it acts twice
# as strongly as in another, in yet another hundreds of times more weakly, and in `Adam` and `AdamW` it does not even
# do the same *kind* of thing. If you copy a λ without translating it, you run another experiment.
#
# By the end of this chapter you will be able to
#
# - carry a λ from one library to another, and say where only a rough rule is left;
# - look up the default of your library;
# - say how fast a weight decays under Adam and under AdamW, and where it comes to rest;
# - say what a learning-rate schedule does to the decay.
#
# *Reading time: an hour. The code runs in about 10 seconds.*
#
# ## 3.1 A puzzle: the same λ in Adam and in AdamW
#
# Here is Adam in plain NumPy. Its learning rate is η. A decay is *coupled* if $\lambda w$ is added to the gradient, as in
# `torch.optim.Adam`. It is *decoupled* if the weight is multiplied by $1-\eta\lambda$ and the gradient is left as it is, as
# in `torch.optim.AdamW`. The two arguments of these names are λ.

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
# Begin with one weight that the loss ignores. Its gradient is pure noise of standard deviation σ, as from minibatches.
# It starts at 4 and takes 2000 steps with $\eta = 0.002$ and $\lambda = 0.1$. Compute first where AdamW brings it if
# the noise cancels. Will Adam with an L2 penalty bring it there, too?


# %%
def one_weight(sigma, **rule):
    rng = np.random.default_rng(0)
    return train(4.0, lambda w: sigma * rng.standard_normal(), 0.002, 2000, **rule)[-1]


lam = 0.1
for sigma in (0.1, 10):
    ends = one_weight(sigma, coupled=lam), one_weight(sigma, decoupled=lam)
    print(f"σ = {sigma:4}: Adam + L2 ends at {ends[0]:.2f}, AdamW at {ends[1]:.2f}")

# %% [markdown]
# You should have found $4e^{-0.4} = {{4 * np.exp(-0.4):.2f}}$. AdamW comes near it at both levels of noise. (It ends at
# {{ends[1]:.2f}}, because the noise of one weight leaves a random walk, whose standard deviation is
# {{0.002 * np.sqrt((1 - np.exp(-2 * 0.4)) / (2 * 0.002 * lam)):.2f}}.) Adam with an L2 penalty ends elsewhere at each
# level.
#
# We repeat this for nine levels of noise. Weights come in pairs: one gets the noise $+\xi$ and its twin $-\xi$, so that
# the noise cancels in their mean, exactly under AdamW and nearly under Adam + L2. In a second experiment, with the same
# noise, the loss pulls every weight towards 1. Where do the weights come to rest?

# %%
from l2lib import claims, figures
from l2lib.claims import claim, seeds

sigmas = np.logspace(-1, 1, 9)


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
    # The mean weight's rate of exponential decay, from first to last step, in units of ηλ:
    decay = -np.log(path[-1].mean(-1) / 4) / (2000 * 0.002 * lam)
    path = train(np.ones((9, 5, 40)), lambda w: w - 1 + second(), 0.02, 3000, **rule)
    return decay, path[1500:].mean((0, -1))  # mean over late steps and weights: σ, seed


# %%
decay_l2, rest_l2 = two_experiments(coupled=lam)
decay_w, rest_w = two_experiments(decoupled=lam)

# %% tags=["hide-input"]
def two_panels(l2, w):
    """Decay and resting point of both rules against the noise."""
    fig, panels = figures.subplots(1, 2, figsize=(7.4, 3.5), gridspec_kw={"wspace": 0.12})
    for axes, dots_l2, dots_w in zip(panels, l2, w, strict=True):
        axes.axvline(1, color=figures.GREY, lw=1, ls=":")
        axes.semilogx(sigmas, dots_l2.mean(-1), "o-", lw=1, ms=6, color=figures.BLUE, label="_l2")
        axes.semilogx(sigmas, dots_w.mean(-1), "s-", lw=1, ms=6, color=figures.ORANGE, label="_w")
        axes.set(xlabel="noise σ of the gradient", xlim=(0.08, 13))
        axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax, other = panels
    ax.set(yscale="log", ylabel="decay per step, in units of ηλ", ylim=(0.08, 5))
    ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    other.set(ylabel="where the weight rests", ylim=(0, 1.1))
    return fig, ax, other


# %% tags=["hide-input"]
fig, ax, other = two_panels((decay_l2, rest_l2), (decay_w, rest_w))
ax.text(0.1, 0.72, "AdamW", color=figures.ORANGE)
ax.text(1.15, 2, "Adam + L2", color=figures.BLUE)
other.text(3.4, 0.63, "AdamW", color=figures.ORANGE, ha="right")
other.text(1.3, 0.97, "Adam + L2", color=figures.BLUE)
for axes, height in ((ax, 0.09), (other, 0.05)):
    axes.text(0.93, height, "both cross\nnear σ = 1", color=figures.GREY, ha="right")
ax.set_title("Decay: uniform under AdamW"), other.set_title("Rest: uniform under Adam + L2")
fast, settled = figures.drawn(ax), figures.drawn(other)
figures.show(fig, "Two panels, each against the noise of the gradient from 0.1 to 10, with the "
             f"same λ. Left, decay in units of ηλ: AdamW is flat at {fast['_w'].y[0]:.0f}, Adam "
             f"with L2 falls from {fast['_l2'].y[0]:.1f} to {fast['_l2'].y[-1]:.2f}. Right, where "
             f"the weight rests: Adam with L2 is flat at {settled['_l2'].y[0]:.2f}, AdamW falls "
             f"from {settled['_w'].y[0]:.2f} to {settled['_w'].y[-1]:.2f}. In both panels the "
             "lines cross near σ = 1.")

# %% [markdown]
# Figure 3.1 shows a puzzle with two halves. On the left AdamW decays all weights at the same rate, and under Adam + L2
# the noisiest decay {{decay_l2[0].mean() / decay_l2[-1].mean():.0f}} times more slowly than the quietest. On the right
# it is the other way round: Adam + L2 brings all weights to the same place, and AdamW does not. So no single λ turns
# one rule into the other. Yet the lines cross near σ = 1 in *both* panels. That will be the key (§3.5).
#
# First we translate between libraries (§3.2, §3.3).
#
# ## 3.2 Penalties: what each program minimises
#
# This section translates between programs that add a penalty to a loss. We take the {{below: n}} patients of
# [chapter 1](01_what_an_l2_penalty_does.ipynb), with ten standardised measurements each and a standardised target.

# %%
from itertools import pairwise

import torch
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from torch.nn import functional

from l2lib.claims import verdict
from l2lib.conventions import convert, dictionary
from l2lib.datasets import load
from l2lib.penalty import ridge
from l2lib.splits import split
from l2lib.sweep import MLP, predict, sweep

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
# with a summed loss, and with $0.1\,\lVert w\rVert^2$ written into the loss; and to two models of scikit-learn.


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
# Why do they differ? Each program minimises $c\,L + k\lVert w\rVert^2$ with numbers $c$ and $k$ of its own, where $L$ is
# half the mean squared error (for a classifier, the mean cross-entropy). Dividing by $c$ does not move the minimum. It
# gives the book's form $L+\frac{\lambda}{2}\lVert w\rVert^2$ with
#
# $$\lambda_{\text{book}} = \frac{2k}{c}. \tag{3.1}$$
#
# `Ridge(alpha=α)` minimises $\lVert y-Xw\rVert^2 + \alpha\lVert w\rVert^2$: the first term is $2n$ times $L$, so that
# $c = 2n$, and $k = \alpha$. By (3.1) that is $\alpha/n$. `LogisticRegression` multiplies the *sum* of the losses by its
# `C`, and $k$ is ½, so its $C$ means $1/(nC)$. `MSELoss` has $c = 2$: if you copy a λ from a text whose loss has the ½,
# your penalty is half as strong. If you sum the loss over a minibatch, the meaning of λ depends on the batch size.
#
# Figure 3.2 shows what 0.1 means in each program, and how long its weight vector is compared with that of least squares.

# %%
number, target = 0.1, 0.1  # what you type, and the book's λ that you want
k_and_c = {"SGD, ½ MSE": (number / 2, 1), "SGD, MSELoss": (number / 2, 2),
           "SGD, summed loss": (number / 2, 2 * n), "½ MSE + λ‖w‖²": (number, 1),
           "Ridge": (number, 2 * n), "MLPRegressor": (number / (2 * n), 1)}
means = {name: 2 * k / c for name, (k, c) in k_and_c.items()}
least, exact = ridge(X, y, 0)[0], ridge(X, y, target)[0]  # without penalty, and with it

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.2, 3.2), sharey=True, width_ratios=(1.5, 1))
lengths = {name: np.linalg.norm(w) / np.linalg.norm(least) for name, w in same_number.items()}
ordered = sorted(programs, key=means.get)
for row, name in enumerate(ordered):
    ax.plot(means[name], row, "o", ms=8, color=figures.BLUE, label=name)
    side, shift = ("left", 12) if means[name] < 0.01 else ("right", -12)
    ax.annotate(f"{means[name]:.2g}", (means[name], row), xytext=(shift, 0),
                textcoords="offset points", ha=side, va="center")
    other.barh(row, lengths[name], height=0.5, color=figures.SKY)
    other.plot(lengths[name], row, ",", color=figures.SKY, label=name)
    other.text(0.04, row, f"{lengths[name]:.0%}", va="center")
ax.set(xscale="log", xlim=(6e-5, 0.5), ylim=(-0.6, 5.6), ylabel="program, given 0.1")
ax.set(xlabel="the λ that 0.1 means")
ax.set_xticks([1e-4, 1e-3, 0.01, 0.1], ["0.0001", "0.001", "0.01", "0.1"])
ax.set_yticks(range(6), ordered), ax.grid(axis="y", visible=False)
other.set(xlabel="length kept", ylabel=" ", xlim=(0, 1.05))
other.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
other.grid(axis="y", visible=False)

# %% tags=["hide-input"]
drawn, kept_length = figures.drawn(ax), figures.drawn(other)
ax.set_title(f"The number 0.1 means λ from\n{drawn['SGD, summed loss'].x[0]:.1g} to "
             f"{drawn['½ MSE + λ‖w‖²'].x[0]:.1g} …")
other.set_title(f"… and keeps {kept_length['½ MSE + λ‖w‖²'].x[0]:.0%} to\n"
                f"{kept_length['SGD, summed loss'].x[0]:.0%} of the length")
figures.show(fig, "Six rows, sorted by the λ that the number 0.1 means. The summed loss is "
             f"lowest with {drawn['SGD, summed loss'].x[0]:.2g}, then Ridge and MLPRegressor with "
             f"{drawn['Ridge'].x[0]:.2g}, MSELoss with {drawn['SGD, MSELoss'].x[0]:.2g}, half the "
             f"mean squared error with {drawn['SGD, ½ MSE'].x[0]:.1g}, and λ without the half with "
             f"{drawn['½ MSE + λ‖w‖²'].x[0]:.1g}. Bars show which share of the length is kept, "
             f"from {kept_length['SGD, summed loss'].x[0]:.0%} down to "
             f"{kept_length['½ MSE + λ‖w‖²'].x[0]:.0%}.")

# %% [markdown]
# Now we translate. In all six programs the book's λ is proportional to the number that you type, so we scale the number
# until the book's λ is 0.1.


# %%
def apart(w, other):
    return np.linalg.norm(w - other) / np.linalg.norm(other)


translated = {name: program(target / means[name] * number) for name, program in programs.items()}
fits = [same_number[name] for name in ordered if name != "MLPRegressor"]  # by rising λ
off = {name: apart(w, exact) for name, w in translated.items()}

# %%
claim("S2-14", "Given the same 0.1, six programs make five different fits: the shortest vector is "
      "{} times as long as the longest", between=(0.5, 0.6),
      measured=min(lengths.values()) / max(lengths.values()))
claim("S2-14", "Sorted by λ, the fits of five programs differ from their neighbours' by {} of "
      "their length or more (MLPRegressor has Ridge's λ)",
      measured=[apart(*pair) for pair in pairwise(fits)], above=1e-3)
claim("03-translated", "Given translated numbers, all six programs fit the weights of ridge "
      "regression with λ = 0.1, up to {:.0e} of their length (MLPRegressor stops early)",
      measured=list(off.values()), below=1e-3)
off.pop("MLPRegressor")
claim("03-translated", "without MLPRegressor they do so exactly",
      measured=list(off.values()), equals=0, within=1e-6)
claim("S2-14", "the largest λ that 0.1 means is 4n times the smallest",
      measured=max(means.values()) / min(means.values()), equals=4 * n, within=1e-6)
claim("03-dots", "each dot of the picture stands at the λ of (3.1)",
      measured=[drawn[name].x[0] / x for name, x in means.items()], equals=1, within=1e-12)

# %% [markdown]
# The parameters differ, too: `weight_decay` in `torch.optim` acts on biases as well, and `Ridge` and `MLPRegressor` spare
# the intercept ([chapter 6](06_bias_exclusion.ipynb)).
#
# <details>
# <summary>Optional: several targets, and a loss that is multiplied by c</summary>
#
# **Several targets.** With $K$ outputs let $L$ be half the squared error, summed over the outputs and averaged over
# the examples. `Ridge` sums over the outputs, too, and so do the gradients of `MLPRegressor`. `MSELoss` averages over
# them, so that $c = 2/K$. With `MSELoss` the same `weight_decay` is $K$ times as strong for $K$ outputs.
#
# **A scaled loss.** The factor $c$ leaves the minimum alone, but not the steps, because $c$ times the loss has $c$ times
# the gradient. SGD takes the same steps as before with
#
# $$\eta' = \eta/c,\qquad \lambda' = c\,\lambda. \tag{3.2}$$
#
# Adam divides by the size of the gradient, so it needs no new learning rate:
#
# | your loss is multiplied by $c$; for the same run | η becomes | λ becomes |
# |---|---|---|
# | SGD | $\eta/c$ | $c\lambda$ |
# | Adam + L2 (coupled) | η | $c\lambda$ |
# | AdamW (decoupled) | η | λ |
#
# (The last two rows are exact up to Adam's ε.) Gradient clipping multiplies the loss's gradient by some $c<1$, before
# `torch.optim` adds $\lambda w$. So SGD's penalty is $1/c$ times as strong in a clipped step. For Adam this holds only if
# recent steps were clipped by the same $c$, because $m$ and $v$ mix them.
#
# </details>


# %% tags=["hide-input"]
three = fit(functional.mse_loss, 0.1, 1.2, targets=np.stack([y, -y, 2 * y], axis=1))
claim("03-targets", "with 3 targets and MSELoss, 0.1 means λ = 0.1 · 3/2", equals=0, within=1e-6,
      measured=three - ridge(X, y, 0.1 * 3 / 2)[0][:, None] * [1, -1, 2])

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
# We can now carry a penalty between any two programs. But some λ are not penalties.
#
# ## 3.3 Decays, and the dictionary
#
# A *decay* is not part of the objective. At each step the program multiplies the weight by $1-\delta$ and subtracts the
# optimiser's own step, which knows nothing of the decay. So δ is the fraction of the weight that a step removes. This
# is *decoupled* weight decay. PyTorch, Keras, Optax and fastai take $\delta = \eta\lambda$. In AdamW
# [as published](https://arxiv.org/abs/1711.05101) the learning rate does not multiply λ: the decay is
# $\delta = \lambda$ at the peak of the schedule. Under plain SGD a penalty is also a decay
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).
#
# The dictionary has both kinds. In it λ is the number that you type (for `LogisticRegression`, its `C`). A letter c means
# that you choose the loss: $c=1$ for ½ MSE or mean cross-entropy, 2 for `MSELoss`. $B$ counts the examples of a batch,
# and $s$ is the standard deviation of the targets.

# %%
dictionary("penalty")

# %% [markdown]
# The second table is for decays; max η is the peak of the schedule (§3.8). Beware of the row with $\delta=-\lambda$: if
# `add_decayed_weights` stands *after* the optimiser in an Optax chain, it adds $\lambda w$ to the finished step, and the
# weights grow.

# %%
dictionary("decay")

# %% tags=["hide-input"]
by_default = {row[1]: row[4] for row in dictionary("decay").rows}
claim("03-defaults", "by default PyTorch's AdamW decays 100 times as fast as Optax's at the same η",
      measured=float(by_default["AdamW(weight_decay=λ)"])
      / float(by_default["adamw(weight_decay=λ)"]), equals=100, within=1e-6)
claim("03-paper", "AdamW's λ = 0.1 at η = 0.001 is 0.0001 in the published form", equals=1e-4,
      measured=convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3), within=1e-12)
claims.identities()

# %% [markdown]
# <details>
# <summary>Optional: an example through both tables, and notes on some rows</summary>
#
# Keras's `kernel_regularizer=L2(0.01)` beside the mean squared error ($k = \lambda$, $c = 2$) is
# `weight_decay=`{{convert(0.01, "keras_l2", "torch_sgd", loss="mse"):.2f}} in PyTorch's SGD with `MSELoss`
# ($k = \lambda/2$, $c = 2$).
#
# PyTorch's `Adam(decoupled_weight_decay=True)` is AdamW, and `NAdam` and `RAdam` have the same switch. The rows of glmnet
# need `standardize=FALSE`. For `SGDClassifier` $L$ is the loss that you choose, by default the hinge loss.
# [Wortsman et al. (2023)](https://arxiv.org/abs/2309.14322) call the published form of AdamW independent weight decay,
# although it follows the schedule.
#
# </details>
#
# `convert(value, source, target, …)` translates, and where nothing is equivalent, it says why:

# %%
try:
    convert(0.01, "torch_adam", "torch_adamw", lr=0.001)
except ValueError as error:
    print(error)

# %% [markdown]
# Why not? We begin with the decay, the first half of our puzzle.
#
# ## 3.4 The decay that a weight really gets
#
# This section derives how fast a weight decays under Adam. [Adam](https://arxiv.org/abs/1412.6980) divides a running
# mean of the gradient by the root of a running mean of its square, for each weight separately:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g,\quad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2,\quad
# w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}, \tag{3.3}$$
#
# where the hats correct for the start at zero: $\hat m = m/(1-\beta_1^t)$ and $\hat v = v/(1-\beta_2^t)$ at step $t$.
# If the decay is coupled, $g = \nabla L+\lambda w$ enters both means. If it is decoupled, $g = \nabla L$, and $w$ is
# multiplied by $1-\eta\lambda$ separately. Figure 3.3 shows the two places. Under the diagram it shows what becomes of a
# weight that starts at 5, that the loss ignores, and whose gradient has no noise.

# %%
five = np.full(1, 5.0)
ignored = {(rule, each): train(five, np.zeros_like, 0.01, 600, **{rule: each})[:, 0]
           for rule in ("coupled", "decoupled") for each in (1, 1e-4)}

# %% tags=["hide-input"]
def draw_step(ax):
    """Boxes from the gradient to the new weight; λw enters at the left, ηλw at the right."""
    style = {"ha": "center", "va": "center",
             "bbox": {"boxstyle": "round,pad=0.45", "fc": "white", "ec": figures.GREY}}
    words = {0.9: "gradient\n∇L", 2.75: "+", 4.95: "running means\nm, v  (3.3)",
             7.5: "step\nm / √v", 10.3: "new weight\nw − η · step"}
    boxes = {place: ax.text(place, 3, word, **style) for place, word in words.items()}
    weight, places, bent = ax.text(6.2, 0.9, "weight\nw", **style), list(words), "angle,angleA=0,"
    arrows = [(left, right, (right, 3), (left, 3), figures.GREY, "arc3")
              for left, right in pairwise(places)]
    arrows += [(None, 2.75, (2.75, 3), (6.2, 0.9), figures.BLUE, bent + "angleB=90"),
               (None, 10.3, (9.8, 3), (6.2, 1.1), figures.GREY, bent + "angleB=90"),
               (None, 10.3, (10.7, 3), (6.2, 0.7), figures.ORANGE, bent + "angleB=90")]
    for source, end, to, start, colour, style in arrows:
        here = boxes.get(source, weight).get_bbox_patch()
        ax.annotate("", to, start, arrowprops={
            "arrowstyle": "-|>", "lw": 1.8, "color": colour, "shrinkA": 0, "shrinkB": 0,
            "patchA": here, "patchB": boxes[end].get_bbox_patch(), "connectionstyle": style})


# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(2, 1, figsize=(7.4, 5.2), height_ratios=(1.1, 1))
draw_step(ax), ax.text(2.6, 1.7, "coupled:\nadd λw", color=figures.BLUE, ha="right", va="center")
ax.text(10.85, 1.7, "decoupled:\n− ηλw", color=figures.ORANGE, va="center")
ax.text(9.65, 1.7, "w", color=figures.GREY, ha="right", va="center")
ax.set(xlim=(0, 12), ylim=(0.3, 3.7), xticks=(), yticks=(), xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.grid(visible=False)
ax.set_title("Adam + L2 sends the decay through the division by √v, AdamW past it")
other.text(330, 2.95, "Adam + L2, λ = 1 (solid)", color=figures.BLUE)
other.text(330, 2.45, "and λ = 0.0001 (dashed)", color="black")
other.text(610, 5, "AdamW,\nλ = 0.0001", color=figures.ORANGE, va="center")
other.text(215, 0.8, "AdamW, λ = 1", color=figures.ORANGE)
for (rule, each), path in ignored.items():
    colour = {"coupled": figures.BLUE, "decoupled": figures.ORANGE}[rule]
    width, style = (3.5, "-") if each == 1 else (1.8, "--")
    other.plot([*five, *path], style, lw=width, label=f"_{rule} {each:g}",
               color="black" if (rule, each) == ("coupled", 1e-4) else colour)

# %% tags=["hide-input"]
other.set(xlim=(0, 740), ylim=(0, 5.4), xlabel="step", ylabel="weight (η = 0.01)")
other.set_xticks(range(0, 601, 100))
other.set_title("Without noise, the path under Adam + L2 does not depend on λ")
walks = figures.drawn(other)
figures.show(fig, "Above, a diagram of a step: gradient, a plus sign, running means m and v, "
             "m over root v, the new weight. A blue arrow brings λw from the weight to the plus, "
             "a grey one brings w and an orange one −ηλw straight to the new weight. Below, a "
             "weight from 5 against the step. Under Adam with L2 it is at "
             f"{walks['_coupled 1'].at(100):.1f} after 100 steps and at "
             f"{walks['_coupled 1'].at(600):.1f} after 600, both with λ = 1 and 0.0001. Under "
             f"AdamW λ = 1 brings it to {walks['_decoupled 1'].at(100):.1f} after 100 steps, and "
             f"λ = 0.0001 leaves it at {walks['_decoupled 0.0001'].at(600):.1f}.")

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
# **Without noise.** Under Adam + L2 the gradient of the ignored weight is $\lambda w$ alone, and Adam divides it by its
# own size: λ cancels. So the weight walks towards zero at about η per step, *whatever λ is*, as long as $\lambda|w|$ is
# far above Adam's $\epsilon$. (It slows down, because $\sqrt{\hat v}$ is about the root mean square of past $\lambda w$,
# which is larger than $\lambda w$ now.) Under AdamW the weight falls exponentially, and λ decides how fast.

# %%
claim("S2-13", "Adam + L2 with η = 0.01 brings an ignored weight from 5 to {} in 100 steps, "
      "whether λ is 1 or 0.0001", measured=[ignored["coupled", each][99] for each in (1, 1e-4)],
      between=(4, 4.1))

# %% [markdown]
# **With noise.** Let the gradient of the loss be noise of standard deviation $\sigma_i$, and *symmetric*: each draw and its
# negative are equally likely.
#
# 1. The gradient that Adam sees is $\lambda w_i$ plus the noise.
# 2. The expectation of $m$ is $\lambda w_i$. The noise of the steps has mean zero, and averages out over many of them.
# 3. In $v$, a mean of squares, the noise does not average out: $v$ is close to $\sigma_i^2+\lambda^2w_i^2$.
# 4. Since $v$ changes slowly, a step takes away $\eta\,\lambda w_i/\sqrt{v}$ on average. Divided by
#    $w_i$, this is the fraction that a step removes:
#
# $$\delta_i \approx \frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$
#
# In words: *under Adam + L2, the noisier its gradient, the more slowly a weight decays*. And where $\sqrt v$ is far below
# 1, as in the network of §3.7 ({{below: np.mean(middle) / 0.1:.3f}}), almost all weights decay *faster* than under AdamW
# with the same λ. Where noise does not dominate, $v$ still remembers larger weights while $w$ shrinks. There we follow the
# expectations of $v$ and $w$ step by step:
#
# $$v \leftarrow \beta_2 v + (1-\beta_2)\left(\sigma^2+\lambda^2w^2\right),\qquad
# w \leftarrow w-\eta\,\frac{\lambda w}{\sqrt{\hat v}}. \tag{3.5}$$

# %%
w, v = np.full(9, 4.0), np.zeros(9)  # nine levels of noise
for t in range(1, 2001):
    v = 0.999 * v + 0.001 * (sigmas**2 + (lam * w) ** 2)
    w = w - 0.002 * lam * w / np.sqrt(v / (1 - 0.999**t))
theory = -np.log(w / 4) / (2000 * 0.002 * lam)

# %% tags=["hide-input"]
at_once = np.full(9, 4.0)  # (3.4): v without memory
for _ in range(2000):
    at_once = at_once - 0.002 * lam * at_once / np.hypot(sigmas, lam * at_once)
fig, ax = figures.subplots(figsize=(6.2, 3.1))
simple = -np.log(at_once / 4) / (2000 * 0.002 * lam)
ax.loglog(sigmas, simple, ":", color=figures.GREY, label="_(3.4)")
ax.loglog(sigmas, theory, color="black", lw=1.2, label="_(3.5)")
ax.loglog(sigmas, decay_l2.mean(-1), "o", ms=6, color=figures.BLUE, label="_measured")
ax.text(0.17, 4.3, "(3.4)", color=figures.GREY), ax.text(0.11, 2.05, "(3.5)")
ax.text(2.2, 0.62, "dots: measured", color=figures.BLUE)
ax.set(xlabel="noise σ of the gradient", ylabel="decay, in units of ηλ", ylim=(0.08, 7))
ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
ax.set_title("The decay falls as 1/σ where noise dominates")
lines = figures.drawn(ax)
figures.show(fig, "Decay under Adam + L2 against the noise, on logarithmic axes. Measured dots "
             f"fall from {lines['_measured'].y[0]:.1f} at σ = 0.1 to {lines['_measured'].y[-1]:.2f}"
             f" at σ = 10. The line of (3.5) runs through all; the dotted line of (3.4) "
             f"begins at {lines['_(3.4)'].y[0]:.1f} and meets them from σ = 1 on.")

# %% [markdown]
# On the right of Figure 3.4 noise dominates, and the decay falls as $1/\sigma$. On the left (3.4) alone would predict
# {{simple[0]:.1f}} where {{decay_l2[0].mean():.1f}} is measured.

# %%
claim("S2-13", "Ten times the noise makes Adam + L2 decay at least {} times more slowly (95 %, "
      "five seeds)", above=9,
      measured=claims.interval(decay_l2[4] / decay_l2[8], level=0.95).low)
claim("03-rate", "At nine noise levels the decay under Adam + L2 is that of (3.5), with a relative "
      "error of at most {:.3f}", measured=np.abs(decay_l2.mean(-1) / theory - 1), below=0.02)
claim("03-rate-w", "AdamW multiplies the mean of twins by 1 − ηλ at each step, whatever the noise",
      measured=0.002 * lam * decay_w + np.log(1 - 0.002 * lam), equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# **In a classifier** the gradient of a weight is $(p-y)\,x$, where $x$ is its pixel, $p$ the predicted probability of its
# class, and $y$ is 1 for the true class and 0 otherwise. We train on the {{below: len(labels):,}} digits with PyTorch's
# Adam for 100 steps, and average its $v$ over the ten classes. Predict: which pixels have the largest $1/\sqrt v$?
# (Pixels that have almost no ink in any digit are left out.)


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
inked, rare = size >= high, live & (size <= low)
measured = (1 / roots[:, rare]).mean(1) / (1 / roots[:, inked]).mean(1)
expected = (1 / size[rare]).mean() / (1 / size[inked]).mean()

# %% tags=["hide-input"]
fig, (digit, ax, other) = figures.subplots(1, 3, figsize=(7.6, 3.4), width_ratios=(0.7, 1, 1.15))
root = np.where(live, np.sqrt((roots**2).mean(0)), np.nan)
relative = root[inked].mean() / root
ax.set_facecolor("white"), ax.patch.set(hatch="////", edgecolor=figures.GREY, lw=0)
image = ax.imshow(np.log10(relative).reshape(8, 8), cmap="viridis", zorder=2)
digit.imshow(digits.X[0].reshape(8, 8), cmap="gray_r")
for axes in (digit, ax):
    axes.set(xlabel=" ", ylabel=" ", xticks=(), yticks=()), axes.grid(visible=False)
digit.set_xlabel("one digit"), digit.spines[:].set_visible(False)
ax.set_xlabel("the 64 pixels\n(hatched: left out)")
bar = fig.colorbar(image, cax=ax.inset_axes([0, -0.38, 1, 0.06]), orientation="horizontal",
                   ticks=[0, 1], label="1/√v (most inked tenth: 1)")
bar.ax.set_xticklabels(["1", "10"])
ends = np.array([size[live].min(), size[live].max()])

# %% tags=["hide-input"]
other.loglog(size[live], relative[live], "o", ms=4, color=figures.BLUE, label="_pixels")
other.loglog(ends, size[inked].mean() / ends, color=figures.GREY, lw=1, label="_slope")
other.set(xlabel="size of the pixel (root mean square)", ylabel="1/√v (most inked: 1)")
other.text(0.13, 9, "1/size", color=figures.GREY)
other.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
other.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
digit.set_title(" "), ax.set_title("1/√v is large for\nrarely inked pixels")
other.set_title("It goes about as\n1/size of the pixel")
shown = figures.drawn(other)["_pixels"].y
figures.show(fig, "Left, one digit. Middle, a map of the 8 by 8 pixels, coloured by 1/√v of their "
             "weights; it is bright at the margin and dark in the middle, and pixels without ink "
             "are hatched. Right, each pixel's 1/√v against "
             f"its size, from {shown.min():.1f} to {shown.max():.0f}, along a line that falls as "
             "one over the size; pixels of middle size lie a little under it.")

# %%
claim("03-digits", "After 100 steps of Adam 1/√v is at least {} times as large for the tenth of "
      "the pixels with the least ink as for the tenth with the most (95 %, five seeds)",
      measured=claims.interval(measured).low, above=5)
claim("03-digits", "This ratio of 1/√v is {} times what the pixels' sizes alone predict",
      measured=measured.mean() / expected, between=(0.8, 1.25))

# %% [markdown]
# In Figure 3.5 the rarely inked tenth has {{measured.mean():.0f}} times the $1/\sqrt v$ of the most inked tenth, and the
# sizes of the pixels predict {{expected:.0f}} times. So a coupled λ is a different decay for each weight. (This $v$ also
# holds the large *mean* gradients of early training, which (3.4) leaves out.)
#
# We now know how fast a weight decays that the loss ignores. Where does a weight end at which the loss pulls?
#
# ## 3.5 Where the weights come to rest
#
# Where is the average step zero? Write $\bar g_i$ for the gradient of the loss without its noise.
#
# **Coupled.** Let the noise be symmetric and *steady* (its size does not depend on $w$).
# If $\bar g_i + \lambda w_i = 0$, Adam sees symmetric noise and nothing else, and its steps average to
# zero. So Adam + L2 rests at the minimum of loss plus penalty, with the same λ for all weights, however noisy.
#
# **Decoupled.** AdamW rests where its average step cancels its decay. The average step is
# $-\eta\,\bar g_i/\sqrt{v_i}$, the decay is $-\eta\lambda w_i$, and their sum is zero if
#
# $$\frac{\bar g_i}{\sqrt{v_i}} = -\lambda w_i, \qquad\text{that is}\qquad
# \bar g_i = -\big(\lambda\sqrt{v_i}\big)\, w_i . \tag{3.6}$$
#
# Compare this with the minimum of a penalised loss, $\bar g_i = -\lambda w_i$. AdamW acts like a penalty with the
# coefficient $\lambda\sqrt{v_i}$, which differs from weight to weight and is largest where gradients, with their
# noise, are large.
#
# Only the mean comes to rest. A weight that the loss ignores goes on spreading about it with a standard deviation of
# $\sqrt{\eta/(2\lambda)}$ under AdamW and $\sqrt{\eta\sigma/(2\lambda)}$ under Adam + L2.
#
# In the second experiment of §3.1 the gradient is $w-1$, so that Adam + L2 should rest at $1/(1+\lambda)$ and AdamW at
# $1/(1+\lambda\sigma)$. Figure 3.6 (left) has a quiet and a noisy weight. On the right there is no noise, and
# $\lambda = 0.5$. The rings are predictions. A dot marks each 100 steps, up to 1000.

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
late = {rule: path[-3000:].mean(0) for rule, path in paths.items()}  # noise averages out
last = {rule: path[-1] for rule, path in boxed.items()}

# %% tags=["hide-input"]
def draw_plane(axes, runs, stops, best, radii, places):
    """Circles of equal loss around a star, the paths of both rules, and where they end."""
    angles = np.linspace(0, 2 * np.pi, 100)
    for radius in radii:
        circle = best + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes.plot(*circle.T, color=figures.GREY, alpha=0.35, lw=0.8)
    for rule, name, colour in (("coupled", "Adam + L2", figures.BLUE),
                               ("decoupled", "AdamW", figures.ORANGE)):
        axes.plot(*runs[rule][::20].T, color=colour, lw=1.2)
        axes.plot(*runs[rule][99:1000:100].T, ".", ms=5, color=colour)
        axes.plot(*stops[rule], "o", ms=7, color=colour, label=f"_{rule}")
        axes.text(*places[rule], name, color=colour, ha="right", va="center")
    axes.plot(0, 0, "s", ms=7, mfc="white", mec="black", clip_on=False, zorder=5)
    axes.plot(*best, "*", ms=11, color="black", label="_best")
    axes.annotate("least loss", best, xytext=(0, 9), textcoords="offset points", ha="center",
                  bbox={"fc": "white", "ec": "none", "pad": 0.5})
    axes.set_aspect("equal"), axes.grid(visible=False)


# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 4.0))
draw_plane(ax, paths, late, (1, 1), (0.7, 1.1),
           {"coupled": (0.83, 0.93), "decoupled": (0.86, 0.5)})
draw_plane(other, boxed, last, (3.5, 1.2), (0.7, 1.4),
           {"coupled": (2.6, 0.45), "decoupled": (1.78, 1.5)})
ax.text(1.03, 0.5, "rings:\ntheory", va="center"), ax.text(0.05, 0.04, "start", va="bottom")
ax.set(xlim=(0, 1.25), ylim=(0, 1.25), xlabel="weight with noise 0.5")
ax.set(ylabel="weight with noise 10")
for place in (1 / (1 + lam * two), np.full(2, 1 / (1 + lam))):
    ax.plot(*place, "o", ms=15, mfc="none", mew=1.5, color="black")
for place in ((1 / 0.5, 1.2), (3.5 / 1.5, 1.2 / 1.5)):
    other.plot(*place, "o", ms=15, mfc="none", mew=1.5, color="black")

# %% tags=["hide-input"]
other.set(xlim=(0, 4.7), ylim=(0, 4.7), xlabel="first weight", ylabel="second weight")
other.fill([0, 2, 2, 0], [0, 0, 2, 2], color=figures.AMBER, alpha=0.2, lw=0)
other.text(0.1, 1.78, "box |w| ≤ 1/λ", color=figures.GREY), other.text(0.25, 0.05, "start")
ax.set_title("With noise, AdamW shrinks\nthe noisy weight most")
other.set_title("Without noise, AdamW\nignores λ until the wall")
ends = [(marks[f"_{rule}"].x[0], marks[f"_{rule}"].y[0])
        for marks in (figures.drawn(ax), figures.drawn(other)) for rule in paths]
figures.show(fig, "Two planes of two weights, with circles of equal loss around a star. Left, with "
             f"noise, Adam + L2 ends at ({ends[0][0]:.2f}, {ends[0][1]:.2f}), AdamW at "
             f"({ends[1][0]:.2f}, {ends[1][1]:.2f}), in rings of theory. Right, without "
             f"noise and with λ = 0.5, Adam + L2 ends at ({ends[2][0]:.2f}, {ends[2][1]:.2f}), "
             f"AdamW at the wall of its box, at ({ends[3][0]:.2f}, {ends[3][1]:.2f}).")

# %%
claim("03-plane", "In both planes both rules end within {} of the predicted points", below=0.05,
      measured=np.abs([np.array(ends[0]) - 1 / (1 + lam), ends[1] - 1 / (1 + lam * two),
                       ends[2] - np.array([3.5, 1.2]) / 1.5, ends[3] - np.array([1 / 0.5, 1.2])]))

# %% [markdown]
# **One translation solves both halves.** For fixed $v_i$ the average step of Adam + L2 is
# $-\eta\,(\bar g_i+\lambda_c w_i)/\sqrt{v_i}$, and that of AdamW is $-\eta\,\bar g_i/\sqrt{v_i}-\eta\lambda_W w_i$.
# They are equal for *every* $w_i$, on the way and at the end, if
#
# $$\lambda_c = \lambda_W\sqrt{v_i}. \tag{3.7}$$
#
# This λ gives a weight whose $v_i$ is steady AdamW's decay and AdamW's resting point together. Both panels of Figure 3.1
# cross near $\sigma = 1$ because there $\sqrt{v_i}\approx1$. Figure 3.7 repeats both experiments with
# $\lambda_c = 0.1\,\sigma$ at each noise level.

# %%
decay_c, rest_c = two_experiments(coupled=lam * sigmas[:, None, None])

# %% tags=["hide-input"]
fig, ax, other = two_panels((decay_l2, rest_l2), (decay_w, rest_w))
for axes, dots in ((ax, decay_c), (other, rest_c)):
    axes.plot(sigmas, dots.mean(-1), "o", ms=12, mfc="none", mew=1.5, color="black", label="_c")
    axes.text(0.1, 0.6, "squares: AdamW\nrings: Adam + L2\nwith λ = 0.1 σ", va="top")
ax.text(1.15, 2, "Adam + L2,\nλ = 0.1", color=figures.BLUE)
other.text(1.3, 0.95, "Adam + L2,\nλ = 0.1", color=figures.BLUE)
ax.set_title("With λ = 0.1 σ Adam + L2\ndecays like AdamW …")
other.set_title("… and rests where it does")
rings = figures.drawn(ax)["_c"], figures.drawn(other)["_c"]
figures.show(fig, "The two panels of the puzzle, with black rings for Adam + L2 whose λ is 0.1 "
             "times the noise. They lie on AdamW's squares: left, at a decay of "
             f"{rings[0].y.min():.2f} for all nine levels of noise; right, at resting points that "
             f"fall from {rings[1].y[0]:.2f} to {rings[1].y[-1]:.2f}.")

# %%
claim("03-one", "With λ = 0.1 σ Adam + L2 decays at {} of AdamW's rate, at all nine noise levels",
      measured=decay_c.mean(-1) / decay_w.mean(-1), between=(1 / np.hypot(1, 4 * lam), 1))
claim("03-rest", "At nine noise levels Adam + L2 rests at 1/(1 + λ), AdamW where (3.6) says, and "
      "Adam + L2 with λ = 0.1 σ there, too: the largest error is {:.4f}", below=0.01,
      measured=np.abs([rest_l2.mean(-1) - 1 / (1 + lam), rest_w.mean(-1) - 1 / (1 + lam * sigmas),
                       rest_c.mean(-1) - 1 / (1 + lam * sigmas)]))

# %% [markdown]
# The rings lie on AdamW's squares. (Their decay is a little below 1 because $v$ also contains the penalty's own gradient;
# Exercise 5 computes it.) **Each weight has its own equivalent λ; no single λ serves a whole network.**
#
# **The box.** Return to the right panel of Figure 3.6. AdamW takes the second weight to 1.2 as if there were no λ, but the
# first one stops at $1/\lambda = 2$ (after 8000 steps it is at {{ends[3][0]:.2f}}). The reason is that for a steady
# gradient $|\bar g_i|/\sqrt{v_i}$ is at most 1, so that (3.6) can hold only if $|w_i|\le 1/\lambda$. Without noise,
# AdamW's decay is a bound on the *largest* weight. If AdamW converges, it ends where to first order no move inside the box
# lowers the loss, a *KKT point* ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454)). For a convex loss this is the
# minimum in the box.
#
# ## 3.6 Without noise AdamW's penalty fades
#
# What happens if there is no noise? A full batch has none, and a network that fits all its data has hardly any: there
# every gradient is nearly zero.
#
# **The fading.** As the gradient falls, so does $\sqrt{v}$, and with it the penalty's coefficient in (3.6). So AdamW
# drifts towards the *least-squares fit* $\hat w$ if this lies inside the box. How fast? Late in training $w\approx\hat w$,
# so that $\bar g_i^2 \approx \lambda^2\hat w_i^2\,v_i$ by (3.6). Insert this into the recursion of $v$:
#
# $$v_i \leftarrow \left(1-(1-\beta_2)\left(1-\lambda^2\hat w_i^2\right)\right) v_i . \tag{3.8}$$
#
# So $\sqrt{v_i}$ falls by the fraction $\frac{1-\beta_2}{2}(1-\lambda^2\hat w_i^2)$ at each step: with $\beta_2 = 0.999$ by
# a factor $e$ in 2000 steps, and more slowly near the wall of the box. The slowest rate, that of the largest
# $|\hat w_i|$, governs the distance from least squares: with the matrix $H$ of second derivatives it is the length of
# $w-\hat w = H^{-1}\bar g$, and $H^{-1}$ mixes all components.
#
# **The floor.** The fading ends when $\sqrt v$ becomes so small that Adam's steps overshoot. Let $\rho_{\max}$ be the
# largest curvature of the loss. If all weights have the same $v$, the steps overshoot more and more as soon as $\sqrt v$
# is below
#
# $$\sqrt{v_{\min}} = \frac{1-\beta_1}{2\,(1+\beta_1)}\;\eta\,\rho_{\max}, \tag{3.9}$$
#
# which is $\eta\,\rho_{\max}/38$ for $\beta_1 = 0.9$ ([Cohen et al., 2022](https://arxiv.org/abs/2207.14484)).
# Overshooting makes the gradients larger, and these lift $\sqrt v$ again. (In our data it also brings the $v$ of all
# weights close together.) So $\sqrt v$ hovers near this value, and by
# (3.6) AdamW stays near ridge regression with the coefficient $\lambda\sqrt{v_{\min}}$. Figure 3.8 tries both
# predictions on the diabetes data.

# %%
def full_batch(w):
    return (w @ X.T - y) @ X / n  # the gradient of half the mean squared error


lams = np.array([0, 0.01, 0.1, 1])
full = train(np.zeros((4, 10)), full_batch, 0.003, 20000, decoupled=lams[:, None])
distance = np.linalg.norm(full - least, axis=-1)  # steps, λ
rates = 0.0005 * (1 - (lams * np.abs(least).max()) ** 2)  # the slowest of (3.8)
curvature = np.linalg.eigvalsh(X.T @ X / n).max()


# %%
def of_ridge(coefficients):
    """How far ridge regression is from least squares."""
    return np.linalg.norm([ridge(X, y, each)[0] - least for each in coefficients], axis=1)


floor = of_ridge(lams * 0.003 * curvature / 38)  # (3.9)
hovers = np.linalg.norm(full[15000:].mean(0) - least, axis=-1)
full_l2 = train(np.zeros(10), full_batch, 0.003, 4000, coupled=lam)[-1]

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.9), sharey=True, width_ratios=(5, 1))
early, late = np.arange(100, 9001, 10), np.arange(9000, 20001, 10)
colours = (figures.GREY, figures.BLUE, figures.ORANGE, figures.GREEN)
for column, (each, colour) in enumerate(zip(lams, colours, strict=True)):
    label = f"λ = {each:g}"
    ax.semilogy(early, distance[early - 1, column], color=colour, label=label)
    if each:
        # From about step 9000 on the last bits of the numbers decide where AdamW overshoots.
        ax.semilogy(late, distance[late - 1, column], color=colour, lw=0.8, gid="rounding")
        straight = np.array([4500, 8500])
        law = 1.6 * distance[7999, column] * np.exp(rates[column] * (8000 - straight))
        ax.plot(straight, law, ":", color=colour, label=f"_law {each:g}")
        ax.plot([9000, 20000], 2 * [floor[column]], "--", color="black", lw=1.2,
                label=f"_floor {each:g}", zorder=3)
        place = {0.01: (6900, 0.0003), 0.1: (6100, 0.0064), 1: (6900, 0.045)}[each]
        ax.text(*place, label, color=colour, ha="right", va="center")
        other.plot(0, of_ridge([each])[0], "_", ms=26, mew=3, color=colour, label=label)
        height = {0.01: 0.26, 0.1: 0.455, 1: 0.95}[each]
        other.text(0, height, label, color=colour, ha="center", va="center", size=8)

# %% tags=["hide-input"]
ax.text(2950, 0.0005, "λ = 0", color=figures.GREY, ha="right")
ax.text(6200, 0.4, "dotted: slopes of (3.8)", color=figures.GREY)
ax.text(12000, 0.0105, "dashed: floors of (3.9)")
ax.set(xlabel="step", ylabel="distance from least squares", xlim=(0, 20000), ylim=(1.5e-4, 1.2))
ax.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
ax.set_xticks(range(0, 20001, 5000)), other.set_xticks([]), other.grid(visible=False)
other.set(xlabel="ridge\nregression,\nsame λ", ylabel=" ", xlim=(-1, 1))
ax.set_title("With full batches AdamW's penalty fades, down to a floor")
drawn, beside = figures.drawn(ax), figures.drawn(other)
leaves = drawn["λ = 0"].x[np.argmax(drawn["λ = 0"].y < 1.5e-4)]
figures.show(fig, "Falling lines on a logarithmic axis: AdamW's distance from least squares "
             "against the step. Without λ it leaves the picture near step "
             f"{round(leaves, -2):.0f}. The lines of λ = 0.01, 0.1 and 1 bend, run parallel to "
             "the dotted slopes of (3.8), "
             f"reach {drawn['λ = 0.01'].at(8000):.4f}, {drawn['λ = 0.1'].at(8000):.3f} and "
             f"{drawn['λ = 1'].at(8000):.2f} after 8000 steps, and then hover a little above the "
             f"dashed floors of (3.9), {drawn['_floor 0.01'].y[0]:.5f}, "
             f"{drawn['_floor 0.1'].y[0]:.4f} and {drawn['_floor 1'].y[0]:.3f}. At the right, "
             f"ridge regression: {beside['λ = 0.01'].y[0]:.2f}, {beside['λ = 0.1'].y[0]:.2f} and "
             f"{beside['λ = 1'].y[0]:.2f}.")

# %% [markdown]
# The straight parts of Figure 3.8 are the fading of the penalty. Then the lines hover a little above their floors; each
# spike is an overshoot. (They are thin where rounding decides when AdamW overshoots.)
# The floor is proportional to η, so only an η that decays to zero takes AdamW to least squares.

# %%
claim("03-full-beside", "After 4000 full batches with λ = 0.1 AdamW is {} times as far "
      "from least squares as ridge regression is", between=(0.01, 0.1),
      measured=distance[3999, 2] / of_ridge(lams)[2])
claim("03-full-rate", "From step 7000 to 8000 AdamW's distance from least squares falls at the "
      "rate of (3.8) for three λ, with a relative error of at most {:.3f}", below=0.05,
      measured=np.abs(np.log(distance[6999] / distance[7999])[1:] / 1000 / rates[1:] - 1))
claim("03-floor", "The average of AdamW's weights from step 15000 to 20000 is at most {:.1f} "
      "times as far from least squares as (3.9) predicts, for three λ", between=(0.5, 1.5),
      measured=hovers[1:] / floor[1:])
claim("03-full-l2", "Adam + L2 ends at ridge regression", measured=full_l2 - exact, equals=0,
      within=1e-9)
claims.identities()

# %% [markdown]
# We now know where both rules rest, with noise and without. What is missing is a network.
#
# ## 3.7 What a copied λ does to a network
#
# Is there at least a rough rule from Adam to AdamW? We train a small network (32 hidden units) on 200 digits, for 600
# steps in minibatches of 20 with $\eta = 0.01$. By (3.7) AdamW's λ acts as the coupled $\lambda\sqrt v$. So we read
# $\sqrt{\hat v}$ after the last step. (With $\beta_2 = 0.999$ this $\hat v$ is nearly the plain mean of $g^2$ over the
# whole run.) We leave out the {{below: left_out:.0%}} of the weights that hardly ever get a gradient. In your own training
# you need this function, with a `cut` that suits the scale of your loss, and the median of what it returns:

# %%
def roots_of(optimizer, weights, cut=1e-10):
    """√v̂ of each layer's weights that get gradients, those whose v̂ is above the cut."""
    states, beta_2 = [optimizer.state[w] for w in weights], optimizer.param_groups[0]["betas"][1]
    hats = [state["exp_avg_sq"] / (1 - beta_2 ** state["step"]) for state in states]
    return [hat[hat > cut].sqrt().numpy() for hat in hats]


# %%
def network_roots(seed, rows, steps=600):
    """√v̂ of both layers' weights after AdamW with λ = 0.1."""
    torch.manual_seed(seed)
    layers, rng = (torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)), np.random.default_rng(seed)
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1]).double()
    weights = [layer.weight for layer in layers]
    groups = [{"params": weights},
              {"params": [layer.bias for layer in layers], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        batch = rng.choice(rows, 20, replace=False)
        optimizer.zero_grad()
        functional.cross_entropy(model(pixels[batch]), labels[batch]).backward()
        optimizer.step()
    return roots_of(optimizer, weights)


# %%
orders = np.array([np.random.default_rng(seed).permutation(len(labels)) for seed in seeds(5)])
roots = [network_roots(*each) for each in zip(seeds(5), orders[:, :200], strict=True)]
hidden, output = (0.1 * np.mean([np.median(run[layer]) for run in roots]) for layer in (0, 1))
middle = [0.1 * np.median(np.concatenate(run)) for run in roots]  # of each seed
earlier, later = (0.1 * np.median(np.concatenate(network_roots(seeds(5)[0], orders[0, :200], end)))
                  for end in (100, 2400))
kept = sum(len(layer) for run in roots for layer in run)
left_out = 1 - kept / (5 * (64 * 32 + 32 * 10))

# %% [markdown]
# Next, `sweep` trains this network by both rules, for a list of λ and five seeds at once. We choose λ by the
# cross-entropy on 200 further digits, and test on the rest. Predict: is the best λ the same, and does one rule win?

# %%
grid = [0, 0.0001, 0.001, 0.01, 0.1, 1]
parts = split(digits.X / 16, digits.y, train=orders[:, :200], validation=orders[:, 200:400],
              test=orders[:, 400:])


# %%
def trained(optimizer):
    """The runs (seeds, λ; biases do not decay), and for each seed its best column in validation."""
    run = sweep(MLP((64, 32, 10)), *parts.train, test=parts.test, loss="cross_entropy",
                optimizer=optimizer, lr=0.01, weight_decay=grid, batch_size=20, seeds=seeds(5),
                steps=600, record_every=600, evaluate_every=600)
    logs = torch.tensor(predict(run, parts.validation.X).values).log_softmax(-1).numpy()
    of_label = np.take_along_axis(logs, parts.validation.y[:, None, :, None].astype(int), -1)
    return run, of_label.mean((-1, -2)).argmax(1)


# %%
runs = {"Adam + L2": trained("adam"), "AdamW": trained("adamw")}
losses = {name: run.test_loss.values[..., -1] for name, (run, _) in runs.items()}  # at the end
points = {name: 100 * run.test_accuracy.values[..., -1] for name, (run, _) in runs.items()}
own = {name: points[name][np.arange(5), best] for name, (_, best) in runs.items()}
gap = claims.interval(own["AdamW"] - own["Adam + L2"])
copied = claims.interval(points["AdamW"][:, 4] - points["Adam + L2"][:, 4])
chosen = {name: np.array(grid)[best] for name, (_, best) in runs.items()}
change = {name: claims.interval((each - each[:, :1])[:, 1:]) for name, each in losses.items()}

# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.6))
colours = {"Adam + L2": figures.BLUE, "AdamW": figures.ORANGE}
for (name, bars), nudge in zip(change.items(), (-0.06, 0.06), strict=True):
    ax.errorbar(np.arange(5) + nudge, bars.mean, bars.half, fmt="o-", capsize=3,
                color=colours[name], label=f"_{name}")
ax.axhline(0, color=figures.GREY, lw=1), ax.set_xticks(range(5), [f"{each:g}" for each in grid[1:]])
ax.set(xlabel="weight decay λ", ylabel="test loss minus that of λ = 0", ylim=(-0.07, 0.27))
ax.text(1.95, 0.2, f"to +{change['Adam + L2'].mean[3]:.1f}\nat 0.1", color=figures.BLUE, ha="right")
ax.text(0.1, 0.06, "Adam + L2", color=figures.BLUE)
ax.text(3.35, -0.05, "AdamW", color=figures.ORANGE)
ax.set_title("Each rule gains a little\nat a λ of its own")
bins = np.logspace(-6, -2, 33)  # for the right panel

# %% tags=["hide-input"]
other.set(xscale="log", xlim=(2e-6, 0.2), ylim=(0, 23))
other.text(2.5e-5, 6, "hidden layer", color=figures.GREEN, ha="center")
other.text(0.0045, 12, "output\nlayer", color=figures.PINK)
for layer, name, colour in ((0, "_hidden", figures.GREEN), (1, "_output", figures.PINK)):
    values = 0.1 * np.concatenate([run[layer] for run in roots])
    share_of_each = np.full(len(values), 100 / len(values))
    other.hist(values, bins, weights=share_of_each, color=colour, alpha=0.6)
    other.plot((hidden, output)[layer], 0.5, "^", ms=7, color="black", label=name)
for name, words in (("Adam + L2", "Adam + L2's\nbest λ"), ("AdamW", "AdamW's\nbest λ")):
    best, colour = np.median(chosen[name]), colours[name]
    other.axvline(best, color=colour)
    other.text(0.8 * best, 22.5, words, color=colour, ha="right", va="top")

# %% tags=["hide-input"]
other.set(xlabel="0.1 · √v̂ of a weight (▲ medians)", ylabel="% of the layer's kept weights")
other.set_xticks(10.0 ** np.arange(-5, 0), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"])
other.set_title("The medians of 0.1 · √v̂ are\nnear Adam + L2's best λ")
lines, medians = figures.drawn(ax), figures.drawn(other)
figures.show(fig, "Left, test loss minus that of the same seed without λ, against λ; means of "
             "five seeds with 95 % intervals. AdamW is lowest at 0.1, with "
             f"{lines['_AdamW'].y[3]:.3f}; Adam + L2 at 0.001, with "
             f"{lines['_Adam + L2'].y[1]:.3f}, and far above zero from 0.01 on. Right, histograms "
             f"of 0.1 times root v. Medians are {medians['_hidden'].x[0]:.4f} in the hidden layer "
             f"and {medians['_output'].x[0]:.4f} in the output layer, near Adam + L2's best λ of "
             "0.001.")

# %%
claim("03-network", "AdamW's λ = 0.1, copied into Adam + L2, costs {:.0f} points of test accuracy "
      "(mean of five seeds)", measured=copied.mean, above=5)
claim("03-network", "With a λ of its own for each rule, AdamW's test accuracy is {:+.1f} points "
      "from Adam + L2's (mean of five seeds)", measured=gap.mean, between=(-2, 2))
claim("03-bridge", "On five seeds 0.1 times the median √v̂ is "
      f"{', '.join(f'{each:.5f}' for each in middle)}: all within a factor of 10 of 0.001",
      measured=middle, between=(1e-4, 0.01))

# %% [markdown]
# On the five seeds the validation digits choose
# {{", ".join(f"{each:g}" for each in chosen["Adam + L2"])}} for Adam + L2, and
# {{", ".join(f"{each:g}" for each in chosen["AdamW"])}} for AdamW. Figure 3.9 (left) compares each seed with its own
# run without λ. The gains are small: {{-change["Adam + L2"].mean[1]:.3f}} ± {{change["Adam + L2"].half[1]:.3f}} of test
# loss for Adam + L2 at 0.001 (± half a 95 % interval), {{-change["AdamW"].mean[3]:.3f}} ±
# {{change["AdamW"].half[3]:.3f}} for AdamW at 0.1. In test accuracy the rules, each with its own λ, differ by
# {{gap.mean:+.1f}} points ({{gap.low:+.1f}} to {{gap.high:+.1f}}): we could not see a difference.
#
# **A rough rule from Adam to AdamW.** In Figure 3.9 (right) the median of $0.1\sqrt{\hat v}$ is {{hidden:.4f}} in the
# hidden layer and {{output:.4f}} in the output layer. Both are near the best coupled λ, which is compatible with (3.7).
# (The test is weak: one network, and a grid in factors of 10.) This is no translation, but a place to begin the search:
#
# $$\lambda_{\text{Adam + L2}} \;\text{is about}\; \lambda_{\text{AdamW}}\cdot\text{the median of}\,\sqrt{\hat v}.$$
#
# This is good for an order of magnitude only, because the median depends on the time and on the cut.
# A network that fits its data has ever smaller gradients: on the first seed the median of
# $0.1\sqrt{\hat v}$ is {{earlier:.1g}} after 100 steps, {{middle[0]:.1g}} after 600 and {{later:.1g}} after 2400. And after Adam + L2
# also leave out the weights whose $\sqrt{\hat v}$ is near $\lambda|w|$: they get no other gradient.
#
# ## 3.8 One λ, three meanings under a schedule
#
# Does AdamW decouple the decay from the learning rate, as its name suggests? In most libraries it does not. With a rate
# $\eta_t$ that peaks at $\eta_{\max}$ there are three meanings of a decay, and each has users:
#
# $$\delta_t = \eta_t\,\lambda,\qquad \delta_t = \lambda,\qquad
# \delta_t = \frac{\eta_t}{\eta_{\max}}\,\eta_t\,\lambda. \tag{3.10}$$
#
# The first *follows the rate*, as in PyTorch, Keras and Optax. The published form follows it, too: it has
# $\delta_t = \lambda\,\eta_t/\eta_{\max}$, and its λ is $\eta_{\max}$ times PyTorch's. The second is *independent* of
# the rate, as in TensorFlow Addons. The third is *corrected*: it multiplies λ by $\eta_t/\eta_{\max}$ as well, as in
# [AdamC](https://arxiv.org/abs/2506.02285) for layers with normalisation
# ([chapter 8](08_effective_learning_rate.ipynb)).
#
# A weight that the loss ignores is multiplied by $\prod_t(1-\delta_t)$. On a cosine from $\eta_{\max}$ to 0 the mean of
# $\eta_t/\eta_{\max}$ is ½ and that of its square is ⅜. In Figure 3.10 all three begin with $\delta = 0.01$.

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
share = 0.1 * 0.1  # δ at the peak
left = {name: np.cumprod(1 - share * factor) for name, factor in
        (("corrected", cosine**2), ("follows the rate", cosine), ("independent", cosine**0))}

# %%
fig, (ax, other) = figures.subplots(1, 2, figsize=(7.4, 3.3), width_ratios=(1, 1.3))
for (name, curve), colour in zip(left.items(), ("C3", "C1", "C2"), strict=True):
    each = 1 - np.append(curve[0], curve[1:] / curve[:-1])
    ax.plot(each / share, color=colour, label=f"_{name}")
    other.plot(curve, color=colour, label=name)
ax.set(xlabel="step", ylabel="decay per step, relative to the first", ylim=(0, 1.1))
other.set(xlabel="step", ylabel="what is left of the weight", ylim=(0, 1.05))
for axes in (ax, other):
    axes.set_xticks([0, 100, 200])
ax.text(100, 1.02, "independent", color=figures.GREEN)
ax.text(110, 0.55, "follows\nthe rate", color=figures.ORANGE)
ax.text(12, 0.35, "corrected", color=figures.PINK)
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
# So if you tune the learning rate of a library's AdamW, you tune the decay with it. Keep $\eta\lambda$ to keep the decay
# per step; keep λ to keep the resting point of (3.6). You cannot have both.
#
# ## 3.9 In practice
#
# **With every λ write down five things:** the loss (½? mean or sum? how many outputs?), whether λ is a penalty or a
# decay, whether the learning rate multiplies it, the optimiser (with its momentum), and the parameters on which λ
# acts. Then find your case:
#
# | you have | you want | do this |
# |---|---|---|
# | a penalty | a penalty | compute $2k/c$ for the old program by (3.1), then choose the new number so that its $2k/c$ is the same |
# | a penalty in plain SGD | a decay | $\delta = \eta\,\cdot$ `weight_decay`; for $k\lVert w\rVert^2$ in the loss, $\delta = 2k\eta$ |
# | a penalty in SGD with momentum μ | a decay | the same, divided by $1-\mu$, in the long run |
# | a library's AdamW | another library's AdamW | the same λ, if both have $\delta = \eta\lambda$ (§3.3) |
# | a library's AdamW | the published form | multiply λ by $\eta_{\max}$ |
# | the published form | a library's AdamW | divide λ by $\eta_{\max}$ |
# | Adam + L2 | AdamW | divide λ by the median $\sqrt{\hat v}$ of §3.7, and search from there |
# | AdamW | Adam + L2 | multiply λ by it, and search from there |
# | SGD | AdamW, or back | the rule of the two lines above, as Adam + L2 rests where SGD does (§3.5); it aims at the resting point, not at the decay |
#
# **Then ask your optimiser.** One step with a zero gradient shows what it takes away, at first:

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
# One step does not show momentum. PyTorch's SGD keeps $\lambda w$ in its buffer, so that in the long run each step takes
# $\eta\lambda/(1-\mu)$, {{1 / (1 - 0.9):.0f}} times as much for $\mu = 0.9$:

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
# **What to type.** With SGD and momentum start at $\lambda = 10^{-4}$ with $\eta = 0.1$
# ([He et al., 2016](https://arxiv.org/abs/1512.03385)) and go up to $5\cdot10^{-4}$. With AdamW start at
# 0.1 ([LLaMA](https://arxiv.org/abs/2302.13971)) and search down to 0.01 in factors of 3.
#
# **How long the weights remember.** AdamW's weights are a running average of its updates over the last
# $1/(\eta\lambda)$ steps ([Wang and Aitchison, 2025](https://arxiv.org/abs/2405.13698)). With $\eta = 3\cdot10^{-4}$ and
# $\lambda = 0.1$ these are about {{round(1 / (3e-4 * 0.1), -3):,.0f}} steps, and
# {{round(2 / (3e-4 * 0.1), -3):,.0f}} with the mean rate of a cosine. If that is much more than your training run, the
# decay does almost nothing.
#
# **Half precision.** In weights that are stored in bfloat16, without a *master copy* in float32, a usual decay does nothing.
#
# <details>
# <summary>Optional: why, and what helps</summary>
#
# A bfloat16 number has {{1 - int(np.log2(torch.finfo(torch.bfloat16).eps))}} significant binary digits. Multiplying it by
# $1-\eta\lambda$ changes nothing as long as $\eta\lambda < 2^{-9} \approx {{2**-9:.1g}}$, and a usual decay is
# {{2**-9 / (3e-4 * 0.1):.0f}} times smaller. A master copy takes every step, and so
# cures this. Stochastic rounding does, too.
#
# </details>

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
# ## 3.10 Myths and limits
#
# - *Weight decay and L2 regularisation are the same.* They are under plain SGD. Under Adam they share neither the decay
#   nor the resting point.
# - *L2 does nothing inside Adam.* If noise is symmetric, it acts at full strength on the resting point; but the
#   noisier its gradient, the more steps a weight takes to get there.
# - *AdamW minimises the loss plus a penalty.* With noise the penalty depends on the noise. Without noise, and with an η
#   that decays to zero, AdamW seeks a minimum of the loss inside a box.
#
# **Limits.** (3.4), (3.6) and (3.7) hold for symmetric noise of constant size and small η. Skewed noise shifts where Adam
# rests. One small network does not say which rule generalises better.
#
# ## 3.11 Exercises
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
# have $\eta = 10^{-3}$. Assume no momentum for SGD. Which optimisers can these be, and with which λ?
#
# <details>
# <summary>Solution</summary>
#
# In A every thousand steps multiply by {{(1 - 1e-4) ** 1000:.3f}}, so that each step takes the share
# $\delta = -\ln({{(1 - 1e-4) ** 1000:.3f}})/1000 = 10^{-4}$. This is an optimiser with decoupled decay, such as AdamW
# or Lion, or plain SGD, for which a penalty is the same decay. Where η multiplies λ, as in PyTorch,
# $\lambda = \delta/\eta = {{1e-4 / 1e-3:.1f}}$; in the forms where it does not, $\lambda = 10^{-4}$. In B the first
# thousand steps subtract nearly $1000\,\eta = 1$, and later ones less, since $\sqrt v$ remembers larger weights: Adam +
# L2, or a relative that also divides by $\sqrt v$. Its λ cannot be read off, as it cancels.
#
# </details>
#
# **3.** (A question from a forum.) I moved from `Adam(weight_decay=1e-4)` to `AdamW(weight_decay=1e-4)` with
# $\eta = 10^{-3}$, and now I overfit more. Should they not be the same? Answer with a number.
#
# <details>
# <summary>Solution</summary>
#
# They should not. AdamW takes $\eta\lambda = 10^{-7}$ of each weight a step, so that a weight halves in about
# {{np.log(2) / 1e-7 / 1e6:.0f}} million steps: the decay is off. No single number is equivalent to the old
# one, but the rule of §3.7 gives a place to begin. Exercise 4 does so.
#
# </details>
#
# **4.** (Carry a λ across.) At the end of training the same reader prints the median of $\sqrt{\hat v}$ over the weights
# that get gradients, and finds 0.002. Which λ should they try first in AdamW, and over which range should they search?
#
# <details>
# <summary>Solution</summary>
#
# By the rough rule of §3.7 begin at $10^{-4}/0.002 = {{1e-4 / 0.002:.2f}}$. The rule is good for an order of magnitude, so
# search from {{1e-4 / 0.002 / 10:.3f}} to {{1e-4 / 0.002 * 10:.1f}} in factors of 3, and choose on
# validation data. The rule supposes that $\sqrt v$ is alike under both rules: here it
# was measured under Adam + L2, and in §3.7 under AdamW.
#
# </details>
#
# **5.** (A proof.) Derive (3.7) from the decay alone: which coupled $\lambda_c$ gives by (3.4), for strong noise, AdamW's
# decay $\eta\lambda_W$? Then keep the second term under the root. Between which numbers must the rings at the left of
# Figure 3.7 lie, and why are all nine equal?
#
# <details>
# <summary>Solution</summary>
#
# $\eta\lambda_c/\sigma_i = \eta\lambda_W$ gives $\lambda_c = \lambda_W\sigma_i$, and $\sigma_i\approx\sqrt{v_i}$. With
# this $\lambda_c$ the whole of (3.4) is $\delta_i \approx \eta\lambda_W/\sqrt{1+\lambda_W^2w_i^2}$, in which σ has
# cancelled. For $\lambda_W = 0.1$ and $w_i$ between 4 and 0 it lies between {{1 / np.hypot(1, 0.4):.2f}} and 1 of
# AdamW's decay. Figure 3.7 has {{decay_c.mean():.2f}}. All nine are equal since noise and penalty are both multiplied
# by σ, which Adam divides out.
#
# </details>
#
# **6.** (Batch size.) With AdamW you go from batches of $B=32$ to $B=512$, with η and λ as before. Noise dominates every
# gradient. What becomes of the penalty's coefficient in (3.6)? Which λ restores it? What does that λ do to the decay in a
# step, and in an epoch?
#
# <details>
# <summary>Solution</summary>
#
# The noise of a batch falls as $1/\sqrt B$, and so do $\sqrt{v_i}$ and the coefficient $\lambda\sqrt{v_i}$: it is
# multiplied by $\sqrt{32/512} = {{np.sqrt(32 / 512):.2f}}$. With {{np.sqrt(512 / 32):.0f}} times the λ the coefficient and
# the resting point are what they were. Then the decay $\eta\lambda$ of a step is {{np.sqrt(512 / 32):.0f}} times as large.
# But an epoch has only {{32 / 512:.4f}} of the steps, so that its decay is {{np.sqrt(512 / 32) * 32 / 512:.2f}} of what it
# was. If you multiply η by {{np.sqrt(512 / 32):.0f}} as well, the decay of an epoch is restored, too.
#
# </details>
#
# **7.** (Predict, then run.) In Figure 3.8 the floor of $\lambda = 0.1$ is {{floor[2]:.4f}} from least squares. Where
# is it with $\eta = 0.001$ in place of 0.003? Run `slow = train(np.zeros(10), full_batch, 0.001, 20000, decoupled=0.1)`
# and look at `np.linalg.norm(slow[15000:].mean(0) - least)`.
#
# <details>
# <summary>Solution</summary>
#
# The floor of (3.9) is proportional to η, so that it is at {{floor[2]:.4f}}/3 = {{floor[2] / 3:.4f}}. The run gives
# 0.0009, a little above it, as in the figure.
#
# </details>
#
# **8.** (Your own network.) For each parameter group of your AdamW sum `lr * weight_decay` over all steps. What does it
# mean if the sum is 0.01, or 5? What changes for SGD with momentum, and for Adam + L2?
#
# <details>
# <summary>A start</summary>
#
# The mean of weights that the loss ignores ends at $e^{-\text{sum}}$ of its start. At 0.01 you could as well switch the
# decay off. At 5 the start no longer matters. For SGD with momentum
# divide the sum by $1-\mu$. Under Adam + L2 divide it by $\sqrt{v_i}$: each weight has its own sum.
#
# </details>
#
# ## 3.12 Where next, and sources
#
# [Chapter 4](04_other_penalties.ipynb) takes penalties that are not weight decay.
# [Chapter 9](09_adaptive_optimisers.ipynb) returns to (3.4) and (3.6) in networks.
#
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): AdamW, and (3.6) for a fixed $v$.
# - [Wang and Aitchison (2025)](https://arxiv.org/abs/2405.13698): the time scale $1/(\eta\lambda)$.
#
# ## 3.13 The sources, line by line
#
# The book began with four short texts ([chapter 0](00_start_here.ipynb) names them). This chapter decides three of their
# sentences.
#
# <details>
# <summary>Optional: the only penalty that takes the same fraction of every vector</summary>
#
# Weight decay, says one of the four texts, "is a generic term for any regularization that involves adding some kind of
# norm of W (regardless of which norm) to the loss". If a step must take the same fraction of every weight, and the same
# fraction however long the vector is, then only the squared L2 norm is a weight decay. Suppose that a step on a penalty
# $R$ multiplies every $w$ by the same number: $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 . \tag{3.11}$$
#
# So $R$ is the squared L2 norm, up to a constant. The L2 norm without the square has the gradient
# $w/\lVert w\rVert_2$. It takes the same fraction of every weight in a step, too, but the longer the vector, the smaller
# this fraction. [Chapter 4](04_other_penalties.ipynb) shows what other penalties do.
#
# </details>

# %%
def share_lost(penalty, w):
    """The share of each weight that a step of size one takes away."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return (gradient / point).detach().numpy()


# %%
sizes = np.logspace(-1.5, 1.5, 13)
powers = {p: share_lost(lambda w, p=p: w.abs().pow(p).sum() / p, sizes) for p in (1, 1.5, 2, 3)}

# %%
claim("S2-11", "the penalty |w|^p/p takes the share |w|^(p − 2), the same for all weights if p = 2",
      measured=[powers[p] / sizes ** (p - 2) for p in powers], equals=1, within=1e-12)
claim("S2-11", "‖w‖ without the square takes 0.1 of the share from a vector 10 times as long",
      measured=share_lost(torch.linalg.norm, np.array([30.0, -10.0]))
      / share_lost(torch.linalg.norm, np.array([3.0, -1.0])), equals=0.1, within=1e-12)
claims.identities()

# %%
verdict("S2-11", "false",
        "If a decay must take the same fraction of every weight, however long the vector is: under "
        "plain SGD only the squared L2 norm does so. L1 takes the same amount from each.")
verdict("S2-13", "under conditions",
        "Under plain SGD. Coupled to Adam a weight decays at about ηλ divided by the size of its "
        "gradient, decoupled (AdamW) at ηλ.")
verdict("S2-14", "true",
        f"In six programs 0.1 means λ from {min(means.values()):.1g} to {max(means.values()):.1g}; "
        "and some multiply by the learning rate.")
claims.verdicts()
