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
# - say what a learning-rate schedule and half precision do to the decay.
#
# *Reading time: an hour. The code runs in about 10 seconds.*
#
# ## 3.1 A puzzle: the same λ in Adam and in AdamW
#
# This section shows the main finding of the chapter before any theory. Here is Adam in plain NumPy. The argument
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
# weights feel nine levels of noise. (We use five seeds, and every draw with both signs, so that averages show the
# decay and not the noise.)

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

lam, sigmas = 0.1, np.logspace(-1, 1, 9)


# %%
def noise(sigma):
    """A function that draws noise for each σ, for five seeds and forty weights."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]

    def draw():
        half = np.stack([rng.standard_normal(20) for rng in rngs])
        return np.asarray(sigma)[..., None, None] * np.concatenate([half, -half], axis=-1)

    return draw


# %%

def two_experiments(**rule):
    first, second = noise(sigmas), noise(sigmas)
    path = train(np.full((9, 5, 40), 4.0), lambda w: first(), 0.002, 2000, **rule)
    decay = -np.log(path[-1].mean(-1) / 4) / (2000 * 0.002 * lam)
    path = train(np.ones((9, 5, 40)), lambda w: w - 1 + second(), 0.02, 3000, **rule)
    return decay, path[1500:].mean((0, -1))  # one number for each σ and seed


# %%
decay_l2, rest_l2 = two_experiments(coupled=lam)
decay_w, rest_w = two_experiments(decoupled=lam)

# %%
fig, (ax, other) = figures.subplots(1, 2)
for axes, dots_l2, dots_w in ((ax, decay_l2, decay_w), (other, rest_l2, rest_w)):
    axes.semilogx(sigmas, dots_l2.mean(-1), "o-", ms=5, lw=1, color=figures.BLUE, label="_l2")
    axes.semilogx(sigmas, dots_w.mean(-1), "s-", ms=5, lw=1, color=figures.ORANGE, label="_w")
    axes.set(xlabel="noise σ of the gradient", xlim=(0.08, 13))
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set(yscale="log", ylabel="decay per step, in units of ηλ", ylim=(0.08, 5))
ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
other.set(ylabel="where the weight settles", ylim=(0, 1.1))
ax.text(0.1, 0.75, "AdamW", color=figures.ORANGE)
ax.text(0.45, 2.6, "Adam + L2", color=figures.BLUE)
other.text(3.4, 0.63, "AdamW", color=figures.ORANGE, ha="right")
other.text(1.3, 0.96, "Adam + L2", color=figures.BLUE)
ax.set_title("Decay: uniform under AdamW"), other.set_title("Rest: uniform under Adam + L2")
fast, settled = figures.drawn(ax), figures.drawn(other)
figures.show(fig, "Two panels, each against the noise of the gradient from 0.1 to 10, with the "
             f"same λ. Left, decay in units of ηλ: AdamW is flat at {fast['_w'].y[0]:.0f}, Adam "
             f"with L2 falls from {fast['_l2'].y[0]:.1f} to {fast['_l2'].y[-1]:.2f}. Right, where "
             f"the weight settles: Adam with L2 is flat at {settled['_l2'].y[0]:.2f}, AdamW falls "
             f"from {settled['_w'].y[0]:.2f} to {settled['_w'].y[-1]:.2f}.")

# %% [markdown]
# Figure 3.1 shows a puzzle with two halves. AdamW decays all weights at the same rate, and Adam with an L2 penalty
# does not: its noisiest weights decay {{decay_l2[0].mean() / decay_l2[-1].mean():.0f}} times more slowly than its
# quietest. But AdamW brings the weights to rest at different places, and Adam with L2 brings all of them to the same
# one. So neither rule treats weights alike in every respect, and no change of λ turns one into the other.
#
# We now go from simple to hard. Penalties in different libraries differ by a factor only (§3.2), decays by the
# learning rate (§3.3). Adam needs a derivation for each half of the puzzle (§3.4 and §3.5).
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
    """A linear model's weights, trained in PyTorch on all patients at once."""
    inputs, targets = torch.tensor(X), torch.tensor(targets).reshape(len(X), -1)
    W = torch.zeros(10, targets.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=lr, momentum=0.85, weight_decay=weight_decay)
    for _ in range(200):
        optimizer.zero_grad()
        (loss(inputs @ W, targets) + extra * W.square().sum()).backward()
        optimizer.step()
    return W.detach().numpy().squeeze()


# %% [markdown]
# Now give the same number 0.1 to six programs: to PyTorch with half the mean squared error (MSE), with `MSELoss`,
# with a summed loss, and with $\lambda\lVert w\rVert^2$ written into the loss; and to two models of scikit-learn. (A
# multi-layer perceptron without hidden layers is a linear model.)


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
# For penalties this is the whole dictionary. `Ridge` minimises $\lVert y-Xw\rVert^2 + \alpha\lVert w\rVert^2$, so
# $k = 1$ and $c = 2n$ give $\alpha/n$. `LogisticRegression` multiplies the *sum* of the losses by its `C` and has
# only ½ as the factor of $\lVert w\rVert^2$, so its $C$ means $1/(nC)$. `MSELoss` has $c = 2$: if you copy a λ from
# a text whose loss has the ½, your penalty is half as strong. If you sum the loss over a minibatch, then $c$ grows
# with the batch, and so the meaning of λ depends on the batch size. Figure 3.2 shows what 0.1 means in each program,
# and how long its weight vector is compared with that of least squares.

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
# **Several targets.** With $K$ outputs `MSELoss` averages over the outputs, too, so $c = 2/K$. `Ridge` sums over
# them and fits each output as if it were alone. A `weight_decay` that was tuned for one output therefore acts $K$
# times as strongly for $K$ outputs, although nothing in the code has changed.

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
# micro-batches weakens a coupled penalty, and does nothing to AdamW.

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
# We can now carry a penalty between any two programs. What is missing are the λ that are not penalties.
#
# ## 3.3 Decays, and the dictionary
#
# This section adds the second kind of λ, and gives the whole dictionary with defaults. A *decay* is not part of the
# objective. At each step the program multiplies the weight by $1-\delta$ and subtracts the optimiser's own step,
# which knows nothing of the decay. The literature calls this *decoupled* weight decay. PyTorch, Keras, Optax and
# fastai take the share $\delta = \eta\lambda$. AdamW [as published](https://arxiv.org/abs/1711.05101) and in
# Composer does not multiply λ by the base learning rate and takes $\delta = \lambda$ at the peak of the schedule.
#
# Under plain SGD a penalty is also a decay ([chapter 2](02_from_penalty_to_weight_decay.ipynb)). Here is what the
# libraries minimise, what they take if you give them nothing, and what people often give them. In both tables λ
# stands for the number that you type.

# %%
dictionary("penalty")

# %% [markdown]
# In the column of the book's λ, $n$ counts the training examples, $B$ those of a batch, and $s$ is the standard
# deviation of the targets; $c$ is the factor of your loss, 1 for ½ MSE or a mean cross-entropy, 2 for `MSELoss`. A
# dash under *typical* means that only a search can say. Adagrad, Adadelta, NAdam and RAdam of PyTorch are like its
# RMSprop.

# %%
dictionary("decay")

# %% tags=["hide-input"]
by_default = {row[1]: row[4] for row in dictionary("decay").rows}
claim("03-defaults", "If you say nothing, PyTorch's AdamW decays {:.0f} times as fast as Optax's",
      measured=float(by_default["AdamW(weight_decay=λ)"])
      / float(by_default["adamw(weight_decay=λ)"]), equals=100, within=0.01)
claim("03-paper", "AdamW's λ = 0.1 at η = 0.001 is 0.0001 in the published form", equals=1e-4,
      measured=convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3), within=1e-12)
claims.identities()

# %% [markdown]
# Four lines deserve a comment. Keras's `L2` has no ½, while the `weight_decay` of its optimisers is decoupled even
# for SGD. PyTorch's `Adam(…, decoupled_weight_decay=True)` is its AdamW. In Optax the position in the chain decides:
# before the optimiser `add_decayed_weights` is a penalty, after it the decay is *added* to a step that is already
# negative, so that weights grow unless λ is negative. And AdamW and Muon of PyTorch decay by default, while SGD and
# Adam do not.
#
# `convert(value, source, target, …)` of `l2lib.conventions` does these translations and knows more names than the
# tables. Where nothing is equivalent, it says why; so it does for LAMB and for schedule-free AdamW.

# %%
try:
    convert(0.01, "torch_adam", "torch_adamw", lr=0.001)
except ValueError as error:
    print(error)

# %% [markdown]
# Why is there no equivalent? That is the first half of our puzzle.
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
# the two places.

# %%
fig, ax = figures.subplots(figsize=(6.4, 2.7))
ax.set(xlim=(0, 10), ylim=(0, 4.3), xticks=(), yticks=(), ylabel=" ")
ax.set(xlabel="one step, from left to right"), ax.spines[:].set_visible(False)
boxes = {0.9: "gradient\n∇L", 3.3: "means m, v\n(3.3)", 5.7: "divide\nm / √v",
         8.6: "w ← w − η · step"}
for place, words in boxes.items():
    ax.text(place, 2, words, ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.5", "fc": "white", "ec": figures.GREY})
arrow = {"arrowstyle": "-|>", "lw": 1.6}
for start, end in ((1.4, 2.6), (4.0, 5.25), (6.15, 7.6)):
    ax.annotate("", (end, 2), (start, 2), arrowprops={**arrow, "color": figures.GREY})
ax.annotate("coupled: add λw here;\nit is divided by √v as well", (2, 2.1), (2, 3.6), ha="center",
            color=figures.BLUE, va="center", arrowprops={**arrow, "color": figures.BLUE})
ax.annotate("decoupled: multiply w by 1 − ηλ here;\nnothing divides it", (8, 1.6), (8, 0.4),
            ha="center", color=figures.ORANGE, va="center",
            arrowprops={**arrow, "color": figures.ORANGE})
ax.set_title("Adam + L2 sends the decay through the division by √v, AdamW past it")
figures.show(fig, "A diagram with four boxes from left to right: gradient, running means m and v, "
             "division of m by the root of v, and the step. A blue arrow marks where coupled decay "
             "adds λw, before the means; an orange one where decoupled decay multiplies w.")

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
# and Adam divides it by its own size. So the weight walks towards zero at about η per step, *whatever λ is*. Under
# AdamW the same weight shrinks by the factor $1-\eta\lambda$ at each step.

# %%
five = np.full(1, 5.0)
strong, weak = (train(five, np.zeros_like, 0.01, 100, coupled=each)[-1] for each in (1, 1e-4))

# %%
claim("S2-13", "Adam + L2 with λ = 1 and η = 0.01 brings an ignored weight from 5 to {} "
      "in 100 steps",
      measured=strong, between=(4, 4.1))
claim("S2-13", "With λ = 0.0001 in place of 1 Adam + L2 moves an ignored weight {:.3f} "
      "times as far",
      measured=(5 - weak) / (5 - strong), equals=1, within=1e-3)

# %% [markdown]
# **With noise.** Let the gradient of the loss be symmetric noise of standard deviation $\sigma_i$.
#
# 1. The gradient that Adam sees is $\lambda w_i$ plus the noise.
# 2. In $m$, a mean over about ten steps, the noise averages out. The mean of $m$ is $\lambda w_i$.
# 3. In $v$, a mean of squares, it does not: $v$ is close to $\sigma_i^2+\lambda^2w_i^2$.
# 4. Since $v$ changes slowly, a step takes away $\eta\,\lambda w_i/\sqrt{v}$ on average. Its share of the weight is
#
# $$\delta_i \approx \frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$
#
# In words: *under Adam + L2, weights with large gradients hardly decay*. Under AdamW every weight loses the share
# $\eta\lambda$. Let us compare (3.4) with the left panel of Figure 3.1. For that we follow one weight for each noise
# with the mean of $v$, which remembers earlier, larger weights.

# %%
w, v = np.full(9, 4.0), np.zeros(9)
for t in range(1, 2001):
    v = 0.999 * v + 0.001 * (sigmas**2 + (lam * w) ** 2)
    w = w - 0.002 * lam * w / np.sqrt(v / (1 - 0.999**t))
theory = -np.log(w / 4) / (2000 * 0.002 * lam)

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
# **In a network** the noise has no single size. In a linear classifier of the digits the gradient of a weight is
# proportional to its pixel, so pale pixels near the margin give small gradients. By (3.4) the decay of a weight is
# then proportional to $1/\sqrt v$. We train with PyTorch's Adam, read its $v$, and average it over the ten classes.
# Predict: which pixels' weights does a coupled penalty shrink most? (We leave out pixels of the margin that have ink
# in a few of the {{below: len(labels):,}} digits or in none.)

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

# %%
fig, (ax, other) = figures.subplots(1, 2, width_ratios=(1, 1.25))
root = np.where(live, np.sqrt((roots**2).mean(0)), np.nan)
relative = root[dark].mean() / root
image = ax.imshow(np.log10(relative).reshape(8, 8), cmap="cividis")
ax.set(xlabel="column of pixels", ylabel="row of pixels", xticks=(), yticks=())
ax.grid(visible=False)
bar = fig.colorbar(image, ax=ax, ticks=[0, 1])
bar.ax.set_yticklabels(["1", "10"]), ax.text(-0.3, 3.6, "left\nout", fontsize=8)
other.loglog(size[live], relative[live], "o", ms=4, color=figures.BLUE, label="_pixels")
ends = np.array([size[live].min(), size[live].max()])
other.loglog(ends, size[dark].mean() / ends, color=figures.GREY, lw=1, label="_slope")
other.set(xlabel="size of the pixel (root mean square)", ylabel="decay, 1 for dark pixels")
other.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
other.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
ax.set_title("Adam + L2 presses\nthe pale pixels"), other.set_title("… like\n1/size (line)")
shown = figures.drawn(other)["_pixels"].y
figures.show(fig, "Left, a map of the 8 by 8 pixels, coloured by the decay of their weights; it "
             "is bright at the margin and dark in the middle. Right, each pixel's decay against "
             f"its size, from {shown.min():.1f} to {shown.max():.0f}, along a line that falls as "
             "one over the size.")

# %%
claim("03-digits", "By (3.4) the palest tenth of the pixels decays {} times as fast as the darkest "
      "tenth (lower end of the 95 % interval of five seeds)",
      measured=claims.interval(measured).low, above=5)
claim("03-digits", "The ratio of those decays is {} times what the pixels' sizes alone predict",
      measured=measured.mean() / expected, between=(0.8, 1.25))

# %% [markdown]
# The palest tenth of the pixels decays {{measured.mean():.0f}} times as fast as the darkest tenth, and the sizes of
# the pixels predict {{expected:.0f}} times. A coupled λ was never one number here: each weight has its own decay. So
# the first half of the puzzle is solved. What is missing is the second half, the resting points.
#
# ## 3.5 Where the weights come to rest
#
# This section asks where the average step is zero. Write $\bar g_i$ for the gradient of the loss without its noise.
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
# coefficient $\lambda\sqrt{v_i}$, which differs from weight to weight and is largest where gradients are noisy. In
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
                                      ("decoupled", "AdamW", figures.ORANGE, (-58, 7))):
        end = runs[rule][-3000:].mean(0)
        axes.plot(*runs[rule][::20].T, color=colour, lw=1.2)
        axes.plot(*end, "o", ms=7, color=colour, label=f"_{rule}")
        axes.annotate(name, end, xytext=shift, textcoords="offset points", color=colour)
    axes.plot(*best, "*", ms=11, color="black", label="_best")
    axes.annotate("least loss", best, xytext=(0, 9), textcoords="offset points", ha="center")
    axes.set_aspect("equal"), axes.grid(visible=False)


# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(1, 2, figsize=(6.8, 3.7))
draw_plane(ax, paths, (1, 1)), draw_plane(other, boxed, (3.5, 1.2))
ax.plot(1 / (1 + lam * two[0]), 1 / (1 + lam * two[1]), "x", ms=12, color="black", label="_(3.5)")
ax.set(xlim=(0, 1.25), ylim=(0, 1.25), xlabel="weight with noise 0.5")
ax.set(ylabel="weight with noise 10")
other.fill([0, 2, 2, 0], [0, 0, 2, 2], color=figures.AMBER, alpha=0.2, lw=0)
other.text(0.1, 1.75, "box |w| ≤ 1/λ", color=figures.GREY)
other.set(xlim=(0, 4.1), ylim=(0, 3.4), xlabel="first weight", ylabel="second weight")
ax.set_title("With noise, AdamW shrinks\nthe noisy weight most")
other.set_title("Without, only its box\nkeeps AdamW back")
ends = [(marks[f"_{rule}"].x[0], marks[f"_{rule}"].y[0])
        for marks in (figures.drawn(ax), figures.drawn(other)) for rule in paths]
figures.show(fig, "Two planes of two weights, with circles of equal loss around a star. Left, with "
             f"noise, Adam + L2 ends at ({ends[0][0]:.2f}, {ends[0][1]:.2f}), AdamW at "
             f"({ends[1][0]:.2f}, {ends[1][1]:.2f}), on the cross of (3.5). Right, without "
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
# brings the second weight to 1.2 as if there were no λ, but the first one stops at $1/\lambda = 2$. The reason is
# that for a steady gradient $|\bar g_i|/\sqrt{v_i}$ is at most 1, so that (3.5) can hold only if
# $|w_i|\le 1/\lambda$. AdamW's decay is a constraint on the *largest* weight
# ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454), prove it). With a usual $\lambda = 0.1$ the box reaches to
# 10, and few weights ever touch it.
#
# **Full batches, and how long they take.** A full batch has no noise. As the gradient falls, so does $\sqrt{v}$, and
# with it the penalty's coefficient in (3.5). So AdamW must end at *least squares*, whatever λ is, if least squares
# lies inside the box. How long does this take? Near the end $\bar g_i^2 = \lambda^2\hat w_i^2\,v_i$ by (3.5), where
# $\hat w$ is the least-squares fit. Insert this into the recursion of $v$:
#
# $$v_i \leftarrow \left(1-(1-\beta_2)\left(1-\lambda^2\hat w_i^2\right)\right) v_i . \tag{3.6}$$
#
# So $\sqrt{v_i}$, and with it the distance from least squares, falls by the share
# $\frac{1-\beta_2}{2}(1-\lambda^2\hat w_i^2)$ at each step, most slowly for the largest weight. With
# $\beta_2 = 0.999$ it takes 2000 steps to fall by a factor $e$, and longer near the wall. (In the end Adam's own
# oscillation at a constant η stops the fall.) Let us look at the diabetes data, for three λ.

# %%
H, q = X.T @ X / n, X.T @ y / n
lams = np.array([0.01, 0.1, 1])
full = train(np.zeros((3, 10)), lambda w: w @ H - q, 0.003, 8000, decoupled=lams[:, None])
of_ridge = np.linalg.norm([ridge(X, y, each)[0] - least for each in lams], axis=1)
distance = np.linalg.norm(full - least, axis=-1) / of_ridge  # steps, λ
full_l2 = train(np.zeros(10), lambda w: w @ H - q, 0.003, 4000, coupled=lam)[-1]

# %%
fig, ax = figures.subplots(figsize=(6.6, 3.2))
steps = np.arange(100, 8001, 100)
for column, each in enumerate(lams):
    ax.semilogy(steps, distance[steps - 1, column], label=f"λ = {each:g}")
ax.axhline(1, color=figures.GREY, lw=1, ls="--", label="_ridge")
ax.text(8000, 1.15, "ridge regression with the same λ", color=figures.GREY, ha="right")
ax.set(xlabel="step", ylabel="distance from least squares, ridge's is 1", xlim=(0, 9100))
ax.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
ax.set_xticks([0, 2000, 4000, 6000, 8000])
ax.set_title("With full batches AdamW forgets its penalty, in thousands of steps")
figures.label_lines(ax)
drawn = figures.drawn(ax)
figures.show(fig, "Three falling lines on a logarithmic axis: AdamW's distance from least squares, "
             "relative to that of ridge regression, against the step. They are straight in the "
             f"second half. After 4000 steps they are at {drawn['λ = 0.01'].at(4000):.2f}, "
             f"{drawn['λ = 0.1'].at(4000):.2f} and {drawn['λ = 1'].at(4000):.1f} for λ = 0.01, 0.1 "
             f"and 1, after 8000 at {drawn['λ = 0.01'].at(8000):.3f}, "
             f"{drawn['λ = 0.1'].at(8000):.3f} and {drawn['λ = 1'].at(8000):.1f}.")

# %%
claim("03-full-beside", "After 4000 full batches with λ = 0.1 AdamW is {} times as far "
      "from least squares as ridge regression is", measured=distance[3999, 1], between=(0.01, 0.1))
claim("03-full-rate", "From step 4000 on AdamW's distance from least squares falls at {:.2f} "
      "times the rate of (3.6)", measured=np.log(distance[3999] / distance[7999])[1:] / 4000
      / (0.0005 * (1 - (lams[1:] * np.abs(least).max()) ** 2)), equals=1, within=0.1)
claim("03-full-l2", "Adam + L2 ends at ridge regression", measured=full_l2 - exact, equals=0,
      within=1e-9)
claims.identities()

# %% [markdown]
# **Skewed noise.** The argument for Adam + L2 needed symmetric noise. Suppose instead that large positive gradients
# are rare and small negative ones are common. A large gradient raises $m$, but it raises $v$ too, so Adam divides it
# by more. The steps no longer average to zero. Expand $1/\sqrt v$ around $1/\sigma_i$ to first order. The mean of
# $m$ times the deviation of $v$ is a geometric series with the factor $\beta_1\beta_2$, and the resting point moves
# to
#
# $$\bar g_i + \lambda w_i \approx \frac{\sigma_i\,\chi_i}{2}\cdot\frac{(1-\beta_1)(1-\beta_2)}{1-\beta_1\beta_2},
# \tag{3.7}$$
#
# where $\chi_i$ is the skewness, the mean of $(\text{noise}/\sigma_i)^3$. A weight that the loss ignores no longer
# decays to zero, either. The usual $\beta_2 = 0.999$ makes the right side small. Language models often use 0.95.
# Predict: where does a weight with $\sigma = 10$ rest, if it should be at {{1 / (1 + lam):.3f}}?

# %%
def resting_point(law, beta_2):
    """Adam + L2 under noise of standard deviation 10; for five seeds."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]

    def gradient(w):
        return w - 1 + 10 * np.stack([law(rng, 400) for rng in rngs])

    path = train(np.ones((5, 400)), gradient, 0.02, 2000, coupled=lam, beta_2=beta_2)
    return path[1000:].mean((0, -1))


# %%
def symmetric(rng, count):
    return rng.standard_normal(count)


def skewed(rng, count):
    return rng.standard_exponential(count) - 1  # skewness 2


# %%
memories = np.array([0.9, 0.95, 0.98, 0.99, 0.999])
rest_symmetric, rest_skewed = (np.array([resting_point(law, beta_2) for beta_2 in memories])
                               for law in (symmetric, skewed))
shift = 10 * 2 / 2 * (1 - 0.9) * (1 - memories) / (1 - 0.9 * memories)

# %%
fig, ax = figures.subplots(figsize=(7.2, 3.1))
places = np.arange(len(memories))
ax.plot(places, rest_skewed.mean(1), "o", color=figures.BLUE, label="skewed noise")
ax.plot(places, rest_symmetric.mean(1), "s", color=figures.GREEN, label="symmetric noise")
ax.plot(places, (1 + shift) / (1 + lam), "_", ms=22, mew=2, color=figures.GREY,
        label="formula (3.7)")
ax.set_xticks(places, [f"{each:g}" for each in memories])
ax.set(xlabel="β₂", ylabel="resting point of Adam + L2", ylim=(0.8, 1.45)), ax.legend()
drawn = figures.drawn(ax)
skew, even = drawn["skewed noise"].y, drawn["symmetric noise"].y
ax.set_title("Skewed noise moves the minimum that Adam + L2 finds")
figures.show(fig, "Resting points for five values of β₂ from 0.9 to 0.999. Under symmetric noise "
             f"all lie near {even[-1]:.2f}. Under skewed noise they fall from {skew[0]:.2f} by "
             f"{skew[1]:.2f} at 0.95 to {skew[-1]:.2f}. Grey dashes of the first-order formula lie "
             "a little above at small β₂ and on the dots at 0.999.")

# %%
claim("03-skewed", "With β₂ = 0.95 and skewed noise Adam + L2 rests at {:.2f}, not at "
      f"{1 / (1 + lam):.3f}", measured=rest_skewed[1].mean(),
      between=(1 / (1 + lam), (1 + shift[1]) / (1 + lam)))
claim("03-symmetric", "Under symmetric noise Adam + L2 rests at {:.2f} for each of five β₂",
      measured=rest_symmetric.mean(1), equals=1 / (1 + lam), within=0.03)
claim("03-skewed-long", "For β₂ of 0.99 and more (3.7) misses the resting point by at most {:.2f}",
      below=0.04, measured=np.abs(rest_skewed.mean(1) - (1 + shift) / (1 + lam))[memories > 0.98])

# %% [markdown]
# So the second half of the puzzle is solved, with a condition: Adam + L2 finds the minimum of loss plus penalty if
# the noise is symmetric or β₂ is close to 1.
#
# ## 3.6 One λ, three meanings under a schedule
#
# This section lets the learning rate change. Does AdamW decouple the decay from the learning rate, as its name
# suggests? The published form does for the base rate. The libraries' form does not. With a rate $\eta_t$ that peaks
# at $\eta_{\max}$ there are three meanings of a decay, and each has users:
#
# $$\delta_t = \eta_t\,\lambda,\qquad \delta_t = \lambda',\qquad
# \delta_t = \frac{\eta_t}{\eta_{\max}}\,\eta_t\,\lambda. \tag{3.8}$$
#
# The first *follows the rate*, as in PyTorch, Keras and Optax; the published form is the same with
# $\lambda' = \eta_{\max}\lambda$ and $\delta_t = \lambda'\eta_t/\eta_{\max}$. The second is *independent* of the
# rate, as in TensorFlow Addons. The third is *corrected*: it multiplies λ by $\eta_t/\eta_{\max}$ as well, as in
# [AdamC](https://arxiv.org/abs/2506.02285). A weight that the loss ignores ends as $\prod_t(1-\delta_t)$. On a
# cosine from $\eta_{\max}$ to 0 the mean of $\eta_t/\eta_{\max}$ is ½ and that of its square is ⅜.

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
fig, (ax, other) = figures.subplots(1, 2, figsize=(6.8, 3.3))
for name, curve in left.items():
    each = 1 - np.append(curve[0], curve[1:] / curve[:-1])
    ax.plot(each / share, label=f"_{name}"), other.plot(curve, label=name)
ax.set(xlabel="step", ylabel="decay per step, at the peak 1", ylim=(0, 1.1))
other.set(xlabel="step", ylabel="what is left of the weight", ylim=(0, 1.05), xlim=(0, 330))
for axes in (ax, other):
    axes.set_xticks([0, 100, 200])
ax.text(100, 1.02, "independent", color=figures.GREEN)
ax.text(118, 0.5, "follows the rate", color=figures.ORANGE)
ax.text(12, 0.35, "corrected", color=figures.BLUE)
figures.label_lines(other)
ax.set_title("Three meanings of one λ …"), other.set_title("… and what they leave")
drawn = figures.drawn(other)
figures.show(fig, "Left, the decay per step along a cosine of 200 steps: flat at 1, the cosine, "
             "and its square below. Right, what is left of a weight that the loss ignores: "
             f"{drawn['independent'].y[-1]:.2f} if the decay is independent, "
             f"{drawn['follows the rate'].y[-1]:.2f} if it follows the rate, "
             f"{drawn['corrected'].y[-1]:.2f} if it is corrected.")

# %%
claim("03-schedule", "PyTorch's AdamW follows the rate: it leaves the product of 1 − η_t λ",
      measured=in_torch(0.1, 0.1) - left["follows the rate"][-1], equals=0, within=1e-12)
claim("03-coupled", "Ten times the learning rate at the same λ makes PyTorch's AdamW decay {} "
      "times as much", measured=np.log(in_torch(0.1, 0.01)) / np.log(in_torch(0.1, 0.001)),
      equals=10, within=0.01)
claim("03-cosine", "the 200 factors of the cosine sum to half of 200, and ½",
      measured=cosine.sum(), equals=100.5, within=1e-9)
claim("03-cosine", f"… and their squares to {3 / 8} of 200, and ½",
      measured=(cosine**2).sum(), equals=75.5, within=1e-9)
claims.identities()

# %% [markdown]
# So if you tune the learning rate of a library's AdamW, you tune the decay with it; keep the product $\eta\lambda$
# if you want to keep the decay. Which meaning is best is another question. Under normalisation layers λ and $\eta_t$
# together set an effective learning rate ([chapter 8](08_effective_learning_rate.ipynb)), and the corrected form was
# proposed for those layers.
#
# ## 3.7 Is weight decay any norm's penalty?
#
# This section settles a question of words that has an exact answer. Weight decay, a reader proposes, "is a generic
# term for any regularization that involves adding some kind of norm of W (regardless of which norm) to the loss".
# Take a penalty $R$, and suppose that a step of plain gradient descent on $R$ multiplies every $w$ by the same
# number: $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 . \tag{3.9}$$
#
# So $R$ is the squared L2 norm, up to a constant, and nothing else. A norm itself cannot do it, not even the L2 norm
# without the square: since $\lVert 10w\rVert = 10\lVert w\rVert$, its gradient is the same at $w$ and at $10w$, and
# a larger weight loses a smaller share. For the penalty $\frac1p\sum|w_i|^p$ the share is proportional to
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
    ax.loglog(sizes, shares, "o-", ms=4, label=f"p = {p}")
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
# Even the squared L2 norm gives weight decay under plain SGD only. Momentum separates the two a little
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)), and Adam separates them as Figure 3.1 shows.
#
# ## 3.8 In practice
#
# **With every λ write down four things:** the loss (½? mean or sum? how many outputs?), whether it is a penalty or a
# decay, whether the learning rate multiplies it, and the optimiser. Then ask your optimiser. One step with a zero
# gradient shows what it takes away:

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
# **What to type.** With SGD and momentum start at $\lambda = 10^{-4}$ (the
# [residual networks](https://arxiv.org/abs/1512.03385) of 2015) and go up to $5\cdot10^{-4}$. With AdamW start at
# 0.1 (as [LLaMA](https://arxiv.org/abs/2302.13971) does) and search down to 0.01 in factors of 3. With Lion take 3
# to 10 times AdamW's λ at a learning rate that is as many times smaller, so that the product stays. Then compute
# $1/(\eta\lambda)$, the number of steps that the weights remember: with $\eta = 3\cdot10^{-4}$ and $\lambda = 0.1$
# it is {{1 / (3e-4 * 0.1):,.0f}} steps. If that is much more than your training run, the decay does almost nothing.
#
# **Half precision.** A bfloat16 number has {{1 - int(np.log2(torch.finfo(torch.bfloat16).eps))}} binary digits. If
# the weights themselves are stored in it, without master weights in float32, PyTorch's multiplication by
# $1-\eta\lambda$ changes nothing as long as $\eta\lambda < 2^{-9} \approx {{2**-9:.1g}}$, and a usual decay is
# {{2**-9 / (3e-4 * 0.1):.0f}} times smaller. In float32 there is no such problem: the decay that rounding loses is
# below $10^{-7}$ a step.

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
# ## 3.9 Myths
#
# - *Weight decay and L2 regularisation are the same.* They are under plain SGD. Under Adam they share neither the
#   decay nor the resting point.
# - *L2 does nothing inside Adam.* It acts at full strength on the resting point, if noise is symmetric; what hardly
#   acts is the decay of weights with large gradients, so the way there is long.
# - *AdamW decouples the decay from the learning rate.* The published form does for the base rate. In the libraries
#   the decay is $\eta_t\lambda$.
# - *Without the argument there is no decay.* PyTorch's AdamW takes 0.01 and its Muon 0.1.
# - *AdamW minimises the loss plus a penalty.* With full batches it minimises the loss inside a box. With noise its
#   penalty depends on the noise.
#
# **Limits.** (3.4) and (3.5) hold for symmetric noise, and with (3.7) for independent noise of constant size and
# small η. In a network $v$ and $w$ change together, and batch norm adds effects of its own
# ([chapter 9](09_adaptive_optimisers.ipynb)). Nothing in this chapter says which rule generalises better.
#
# ## 3.10 Exercises
#
# **1.** (One line.) A paper uses `Ridge(alpha=20)` on 1000 examples. Which `weight_decay` gives the same model with
# `torch.nn.MSELoss`?
#
# <details>
# <summary>Solution</summary>
#
# By (3.1) the book's λ is $20/1000 = {{20 / 1000}}$. For `MSELoss` $c = 2$, so type
# {{convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse"):.2f}}:
# `convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse")`.
#
# </details>
#
# **2.** (Read this log.) An embedding row of a word that never occurs has, after 0, 1000, 2000 and 3000 steps, in
# run A the norms 5.00{{"".join(f", {5 * (1 - 1e-4) ** t:.2f}" for t in (1000, 2000, 3000))}} and in run B
# 5.00{{"".join(f", {w:.2f}" for w in train(five, np.zeros_like, 1e-3, 3000, coupled=1e-4)[999::1000, 0])}}. Both
# have $\eta = 10^{-3}$, and the row has one entry. Which optimisers are these, and which λ?
#
# <details>
# <summary>Solution</summary>
#
# In A every thousand steps multiply by {{(1 - 1e-4) ** 1000:.3f}}, which is a decay:
# $1000\,\eta\lambda = -\ln {{(1 - 1e-4) ** 1000:.3f}}$ gives AdamW with
# $\lambda = {{-np.log((1 - 1e-4) ** 1000):.1f}}$. In B they subtract a little less than $1000\,\eta = 1$, since
# $\sqrt v$ remembers larger weights: Adam + L2. Its λ cannot be read off, as it cancels.
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
# **4.** (A proof.) Which penalties shrink $w$ *along its own direction*, if the share may depend on $w$?
#
# <details>
# <summary>Solution</summary>
#
# $\nabla R(w) = h(w)\,w$ is normal to spheres, so $R$ is constant on them: $R = \phi(\lVert w\rVert_2)$, any
# function of the L2 norm. If the share is the same for all $w$, then $\phi(r) = \frac\lambda2 r^2$ up to a constant.
#
# </details>
#
# **5.** (Predict, then run.) Turn the skewed noise of §3.5 round: where does Adam + L2 rest with β₂ = 0.95? Run
# `resting_point(lambda rng, count: -skewed(rng, count), 0.95).mean()`.
#
# <details>
# <summary>Solution</summary>
#
# By symmetry the shift changes its sign. By (3.7) the resting point is (1 − {{shift[1]:.2f}})/{{1 + lam:.1f}} =
# {{(1 - shift[1]) / (1 + lam):.2f}}. The run ends at 0.66, as far below {{1 / (1 + lam):.2f}} as the other was above
# it.
#
# </details>
#
# **6.** (Break a claim.) Which claim of §3.5 fails if you look at the full batch after 400 steps in place of 4000?
# Change `distance[3999, 1]` to `distance[399, 1]` in the claim on λ = 0.1.
#
# <details>
# <summary>Solution</summary>
#
# The claim 03-full-beside: after 400 steps the distance is 1.1 times ridge's, as AdamW is still on its way from
# zero.
#
# </details>
#
# **7.** (Your own network.) For each parameter group of your optimiser print `lr * weight_decay * steps`, summed
# over your schedule. What does it mean if the sum is 0.01, or 5?
#
# <details>
# <summary>A start</summary>
#
# A weight that the loss ignores ends at $e^{-\text{sum}}$ of its start. At 0.01 you could as well switch the decay
# off. At 5 no such weight survives, and every other weight is where the loss holds it.
#
# </details>
#
# ## 3.11 Where next, and sources
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
# ## 3.12 The sources, line by line
#
# Three lines of the four texts that started the book are decided in this chapter.

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
