# %% [markdown]
# # 2 From penalty to weight decay
#
# A penalty is a term in a loss. *Weight decay* is what a training step makes of it: each weight is multiplied by a
# number a little below one. When does the penalty do exactly what weight decay does? How fast does a weight decay, with
# and without momentum? And when does a step that should shrink the weights blow them up instead? It matters because
# `weight_decay` never acts alone: a value that is harmless with one learning rate, momentum and batch size destroys the
# run with another.
#
# By the end of this chapter you will be able to
#
# - turn "multiply all weights by 0.99 every batch" into a λ, and back;
# - say how many steps it takes a weight to halve, and what momentum does to that number;
# - translate between coupled and decoupled decay under momentum;
# - tell from the inputs alone at which learning rates a linear model diverges;
# - predict how far from its minimum SGD keeps jumping around.
#
# The chapter has three parts: *decay* (§2.2 to §2.5), *stability* (§2.6 to §2.9) and *noise* (§2.10 and §2.11). The fast
# track is §2.1, §2.2, §2.6, §2.7 and §2.12; what §2.12 says of momentum needs §2.4 and §2.5.
#
# *Reading time an hour and a half, the fast track 40 minutes; the code runs in about 10 seconds.*

# %%
import itertools

import numpy as np
import torch

from l2lib import claims, figures, load
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import make_regression
from l2lib.penalty import half_life, ridge
from l2lib.splits import split_of
from l2lib.sweep import MLP, sweep

# %% [markdown]
# ## 2.1 More penalty cures an explosion
#
# A reader of a well-known textbook trains its toy problem: 200 inputs, 20 examples, minibatches of 5, and targets
# $y = 0.05 + 0.01\sum_j x_j$ plus a little noise. The loss, here and in the whole chapter, is the mean squared error
# without a factor ½. The reader raises the learning rate η from 0.003 to 0.03 and keeps the textbook's penalty
# $\frac\lambda2\lVert w\rVert^2$ with $\lambda = 3$. The loss explodes. With $\lambda = 10$ it stays small. We run both
# in plain NumPy, and two more: what will $\lambda = 0$ do, and what the full batch?


# %%
def train(X, y, lr, weight_decay, batch, rng, epochs=30):
    w, b, losses = rng.standard_normal(X.shape[1]), 0.0, []
    for _ in range(epochs):
        losses.append(np.mean((X @ w + b - y) ** 2))
        for rows in rng.permutation(len(X)).reshape(-1, batch):
            error = X[rows] @ w + b - y[rows]
            w = w - lr * (2 * X[rows].T @ error / batch + weight_decay * w)
            b = b - lr * 2 * error.mean()
    return losses


# %%
X, y = make_regression(20, seed=seeds(1)[0])
runs = {(weight_decay, batch): train(X, y, 0.03, weight_decay, batch, np.random.default_rng(1))
        for weight_decay, batch in ((0, 5), (3, 5), (10, 5), (0, 20))}

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for (weight_decay, batch), losses in runs.items():
    name = f"{'full batch' if batch == 20 else 'minibatch'}, λ = {weight_decay}"
    ax.semilogy(losses, label=name)
ax.set(xlabel="epoch", ylabel="training loss (mean squared error)")
ax.set(xlim=(0, 36.5), ylim=(1e-10, 1e18), xticks=range(0, 31, 5))
ax.set_yticks([1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9, 1e12, 1e15])
ax.set_title("At learning rate 0.03, λ = 10 rescues what λ = 3 cannot")
figures.label_lines(ax)
curves = figures.drawn(ax)
ends = [curve.y[-1] for curve in curves.values()]
figures.show(fig, "Training loss on a logarithmic axis over 30 epochs at learning rate 0.03. "
             "Minibatch runs with λ = 0 and 3 grow along straight lines, to "
             f"10^{np.log10(ends[0]):.0f} and 10^{np.log10(ends[1]):.0f}. The "
             "minibatch run with λ = 10 and the full-batch run fall.")

# %% tags=["hide-input"]
powers = {name: np.log10(curve.at(29) / curve.at(0)) for name, curve in curves.items()}
claim("02-powers", "The exponents of the growth are those of the runs",
      measured=[power - np.log10(losses[29] / losses[0])
                for power, losses in zip(powers.values(), runs.values(), strict=True)],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
error = X @ np.random.default_rng(1).standard_normal(200) - y  # of the start
shrunk = np.eye(20) - 0.03 * 2 / 20 * (X @ X.T + 1)  # what a full step makes of errors
errors = [np.linalg.matrix_power(shrunk, epoch) @ error for epoch in range(30)]
claim("02-full-batch", "The full-batch run has the losses of its linear recursion",
      measured=np.mean(np.square(errors), axis=1) / runs[0, 20], equals=1, within=1e-6)
claims.identities()

# %% tags=["hide-input"]
grown, fallen = ([powers.get(name, np.nan) for name in names]
                 for names in (("minibatch, λ = 0", "minibatch, λ = 3"),
                               ("minibatch, λ = 10", "full batch, λ = 0")))
claim("S2-05", "In minibatches with λ = 0 and λ = 3 the loss grows at least 10^{}-fold in 29 "
      "epochs",
      measured=grown, above=2)

# %% tags=["hide-input"]
claim("S2-07", "With λ = 10, or in full batches, the loss falls at least 10^{}-fold in 29 epochs",
      measured=np.negative(fallen), above=2)

# %% [markdown]
# Two things in Figure 2.1 need an explanation. More penalty stabilises, although a penalty adds to the gradient and so
# should make steps *larger*. And the exploding curves are straight lines on a logarithmic axis: each epoch multiplies
# the error by about the same factor. §2.7 estimates this factor by hand, and §2.8 simulates it with the inputs alone.
# First, what does a single step do?
#
# ## 2.2 The shrink factor
#
# One step of gradient descent on $L(w) + \frac\lambda2\lVert w\rVert^2$, with $g = \nabla L(w)$, is
#
# $$w - \eta\,(g + \lambda w) \;=\; (1 - \eta\lambda)\,w - \eta\, g. \tag{2.1}$$
#
# The penalty multiplies the weight by the *shrink factor* $a = 1-\eta\lambda$, and then
# the loss takes its usual step, with the gradient at the old weight. A weight that the loss ignores, such as the
# embedding of a word that never occurs, feels the factor alone: after $t$ steps, $a^t$ of it is left (Figure 2.2).

# %%
fig, axes = figures.subplots(1, 2, sharex=True)
t = np.arange(0, 21)
for ax, rates in zip(axes, ((0.02, 0.5, 1.5), (2.1,)), strict=True):
    for rate in rates:
        colour = figures.PINK if rate > 2 else None
        ax.plot(t, (1 - rate) ** t, "o-", ms=3, color=colour, label=f"ηλ = {rate:g}")
    ax.set(xlabel="step", ylabel=" ", xlim=(0, 20.5), xticks=range(0, 21, 5))
axes[0].set(ylabel="weight (started at 1)", ylim=(-0.65, 1.05))
axes[0].text(9, 0.89, "ηλ = 0.02", color="C0")
axes[0].text(4, 0.13, "ηλ = 0.5", color="C1")
axes[0].text(3.5, -0.4, "ηλ = 1.5 changes sign\nat every step", color="C2")
axes[1].text(1, 4.6, "ηλ = 2.1: each step lands\nfurther from zero", color=figures.PINK)
figures.title(fig, "Below ηλ = 2 a weight shrinks; above it, decay makes it grow")
axes[0].set_title("below 2", size=10, weight="normal")
axes[1].set_title("above 2 (other scale)", size=10, weight="normal")
end = {name: curve.y[-1] for ax in axes for name, curve in figures.drawn(ax).items()}
figures.show(fig, "A weight without gradient over 20 steps. At ηλ = 0.02 it falls "
             f"slowly, to {end['ηλ = 0.02']:.2f}. At 0.5 it is gone after a few steps. At 1.5 it "
             "changes sign at every step and shrinks. At 2.1 it changes sign and grows, to "
             f"{end['ηλ = 2.1']:.1f}.")

# %% [markdown]
# Three facts follow from (2.1).
#
# 1. The decay per step is the *product* $\eta\lambda$. If you halve the learning rate, you halve the decay too.
# 2. For $0 < a < 1$ a weight without gradient halves in $\ln 2/(-\ln a)$ steps, its *half-life*. For small
#    $\eta\lambda$ this is about ${{np.log(2):.2f}}/(\eta\lambda)$. The library has it as `half_life(lr, weight_decay)`.
# 3. Decay shrinks only while $|a| < 1$, that is for $0 < \eta\lambda < 2$. Above 2 each step jumps across zero and lands
#    further away than it started.
#
# A large λ drives the *minimiser* to zero. Gradient descent follows it there only while $\eta\lambda < 2$. With a loss,
# the condition is (2.5).
#
# PyTorch's SGD takes λ as `weight_decay`, and parameter groups keep the bias out of it. The cell trains a linear layer
# this way and by hand.

# %%
layer = torch.nn.Linear(200, 1, dtype=torch.float64)
torch.nn.init.zeros_(layer.weight)
torch.nn.init.zeros_(layer.bias)
optimizer = torch.optim.SGD([{"params": [layer.weight], "weight_decay": 3},
                             {"params": [layer.bias], "weight_decay": 0}], lr=0.003)
w, b = np.zeros(200), 0.0
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(layer(torch.tensor(X)).squeeze(1), torch.tensor(y)).backward()
    optimizer.step()
    error = X @ w + b - y
    w = (1 - 0.003 * 3) * w - 0.003 * 2 * X.T @ error / 20
    b = b - 0.003 * 2 * error.mean()
print("Same weights:", np.allclose(layer.weight.detach().numpy()[0], w))


# %% tags=["hide-input"]
def factors_of_torch(lr, weight_decay, momentum=0.0, steps=1000):
    """By what torch.optim.SGD multiplies a weight without gradient, at each step."""
    weight, path = torch.nn.Parameter(torch.ones(1, dtype=torch.float64)), [1.0]
    optimizer = torch.optim.SGD([weight], lr=lr, weight_decay=weight_decay, momentum=momentum)
    for _ in range(steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append(weight.item())
    return np.divide(path[1:], path[:-1])


# %% tags=["hide-input"]
claim("S3-09", "At ηλ = 2.1 PyTorch's SGD makes a weight 1.1 times as large at every step",
      measured=np.abs(factors_of_torch(0.1, 21)), equals=1.1, within=1e-9)

# %% tags=["hide-input"]
weights, _ = ridge(X, y, [1, 1e9])
claim("S3-09", "Yet the minimiser goes to zero: its norm at λ = 10⁹, relative to λ = 1",
      measured=np.linalg.norm(weights[1]) / np.linalg.norm(weights[0]), below=1e-6)
claim("02-half-life", "After one half-life of steps a weight is halved",
      measured=factors_of_torch(0.1, 0.02)[0] ** half_life(0.1, 0.02), equals=0.5, within=1e-9)

# %% tags=["hide-input"]
claim("02-torch", "torch.optim.SGD takes the same 100 steps as (2.1) by hand",
      measured=np.abs(layer.weight.detach().numpy()[0] - w), below=1e-12)
many = sweep(MLP((200, 1), init="zeros"), X, y, loss="mse", steps=100, lr=0.003,
             weight_decay=[0, 3])
claim("02-sweep", "So does `sweep`, with which §2.10 trains many models at once",
      measured=many["weight0"].sel(weight_decay=3).values.ravel() - w, equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# So under plain SGD a penalty *is* decay, step by step.
#
# ## 2.3 To "multiply all weights by 0.99 every batch"
#
# A well-known answer says that L2 is almost the same as this rule. Under plain SGD with a constant learning rate it is
# *exactly* the same. Only the values of η and λ depend on the order of decay and step. Write $a = 0.99$.
#
# - **Decay the old weight, then subtract the step** taken from where you were: $aw - \eta g(w)$. Comparison with (2.1)
#   gives $\lambda = (1-a)/\eta$.
# - **Step first, then decay the result:** $a\,(w - \eta g(w)) = aw - a\eta\, g(w)$. The gradient is scaled as well, so
#   it is (2.1) with the learning rate $\eta' = a\eta$ and $\lambda' = (1-a)/(a\eta)$.
#
# Both hold for any loss. We check them on $L(w) = \sum_j\big(\tfrac14 w_j^4 - w_j w_{j-1} + \tfrac12 w_j\big)$, which is
# not quadratic ($w_0$ means the last weight). Then we halve the learning rate every five steps. Predict first: does
# the literal 0.99 still agree with L2?


# %%
def gradient(w):
    return w**3 - np.roll(w, 1) - np.roll(w, -1) + 0.5


def final(rule, w=(0.3, -1.2, 2.0), steps=20):
    w = np.array(w)
    for t in range(steps):
        w = rule(w, t)
    return w


lr, a = 0.05, 0.99
before = final(lambda w, t: a * w - lr * gradient(w))
after = final(lambda w, t: a * (w - lr * gradient(w)))
schedule = [lr * 0.5 ** (t // 5) for t in range(20)]
literal = final(lambda w, t: a * w - schedule[t] * gradient(w))
penalty = final(lambda w, t: w - schedule[t] * (gradient(w) + (1 - a) / lr * w))

# %% tags=["hide-input"]
l2_before = final(lambda w, t: w - lr * (gradient(w) + (1 - a) / lr * w))
l2_after = final(lambda w, t: w - a * lr * (gradient(w) + (1 - a) / (a * lr) * w))
claim("S0-11", "Decay, then step, is L2 with λ = 0.01/η",
      measured=np.abs(before - l2_before), below=1e-12)

# %% tags=["hide-input"]
claim("S0-11", "Step, then decay, is L2 with η′ = 0.99η and λ′ = 0.01/(0.99η)",
      measured=np.abs(after - l2_after), below=1e-12)
claims.identities()

# %% tags=["hide-input"]
claim("S0-11", "Under the schedule a literal 0.99 and L2 end {} apart, in the largest weight",
      measured=np.abs(literal - penalty).max(), above=0.05)

# %% [markdown]
# No. Figure 2.3 shows why: L2 under a schedule decays by $\eta_t\lambda$ and fades with the learning rate, while a
# literal 0.99 goes on as before.

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 2.8))
left_by = {"literal 0.99": np.full(20, a), "L2": 1 - np.array(schedule) * (1 - a) / lr}
for name, factors in left_by.items():
    ax.plot(range(21), np.cumprod([1, *factors]), "o-", ms=3, label=name)
ax.vlines([5, 10, 15], 0.81, 1.01, color=figures.GREY, linestyles=":", lw=0.8)
ax.text(10, 0.785, "η halves at each dotted line", color=figures.GREY, ha="center")
ax.set(xlabel="step", ylabel="weight without gradient", xlim=(0, 24), ylim=(0.77, 1.01))
ax.set_xticks(range(0, 21, 5))
figures.label_lines(ax)
ax.set_title("Under a schedule L2 fades, and a literal 0.99 does not")
end = {name: each.y[-1] for name, each in figures.drawn(ax).items()}
figures.show(fig, "A weight without gradient, started at 1, over 20 steps; the learning rate "
             f"halves every 5. Under the literal 0.99 it falls to "
             f"{end['literal 0.99']:.2f}, under L2 it levels off at {end['L2']:.2f}.")

# %% [markdown]
# The rule is also very strong: with 0.99 per batch a weight's
# half-life is {{half_life(lr, (1 - a) / lr):.0f}} batches, far less than an epoch of most data sets.
#
# ## 2.4 Momentum multiplies small decay
#
# Nearly all SGD in practice uses momentum, which changes the half-life. PyTorch adds the penalty's gradient *before* the
# momentum buffer $m$ (*coupled* decay):
#
# $$m \leftarrow \mu m + g + \lambda w, \qquad w \leftarrow w - \eta m. \tag{2.2}$$
#
# While $g + \lambda w$ hardly changes, the buffer sums $1+\mu+\mu^2+\dots = \frac1{1-\mu}$ copies of it. So
# momentum gives you an *effective learning rate* $\frac{\eta}{1-\mu}$ and an *effective decay*
# $\frac{\eta\lambda}{1-\mu}$ per step, both {{1 / (1 - 0.9):.0f}} times as large for $\mu = 0.9$.
#
# That holds if decay is slow. For the exact answer, take a weight that the loss ignores,
# $g = 0$, and write $u = \eta m$. Each step multiplies the pair $(w, u)$ by a fixed matrix. The roots $z$ of its
# characteristic polynomial say how fast the pair shrinks:
#
# $$\begin{pmatrix} w\\ u\end{pmatrix} \leftarrow \begin{pmatrix} 1-\eta\lambda & -\mu\\ \eta\lambda & \mu\end{pmatrix}
# \begin{pmatrix} w\\ u\end{pmatrix},\qquad z^2 - (1 + \mu - \eta\lambda)\,z + \mu = 0. \tag{2.3}$$
#
# In the long run the larger root wins, because $z^t$ of the smaller one dies first. Figure 2.4 shows its decay rate
# $-\ln|z|$.


# %%
def root_size(x, mu):
    """Size of the larger root of (2.3) at ηλ = x."""
    middle = (1 + mu - x) / 2
    swing = np.emath.sqrt(middle**2 - mu)  # imaginary where the roots are complex
    return np.maximum(abs(middle + swing), abs(middle - swing))


# %% tags=["hide-input"]
def draw_rates(ax):
    """Decay rate against ηλ for three values of the momentum, up to where the weight grows."""
    places = {0: (5e-3, 4e-4), 0.9: (3e-5, 4.5e-4), 0.99: (6e-6, 1.5e-3)}
    for mu, place in places.items():
        end = 2 * (1 + mu) - np.geomspace(1e-9, 1 + 2 * mu, 500)[::-1]
        x = np.append(np.geomspace(1e-6, 0.999, 3000), end[1:])
        colour = {0: figures.BLUE, 0.9: figures.GREEN, 0.99: figures.AMBER}[mu]
        ax.loglog(x, -np.log(root_size(x, mu)), color=colour, label=f"μ = {mu:g}")
        ax.text(*place, f"μ = {mu:g}", color=colour, ha="right")
    ax.text(4.6, 4e-6, "growth\nfrom\n2(1 + μ)\non", color=figures.GREY)
    ax.text(0.55, 1.6, "ηλ = 1, μ = 0:\ngone in one step", color=figures.BLUE, ha="right")
    ax.set(xlim=(1e-6, 30), ylim=(1e-6, 6), xlabel="ηλ", ylabel="decay rate −ln|z| per step")


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 4.2))
draw_rates(ax)
arrow = {"arrowstyle": "->", "color": figures.GREY}
cross = np.array([1 - 0.9**0.5, 1 + 0.9**0.5])
ax.plot(cross, -np.log(root_size(cross, 0.9)), "ko", mfc="white", ms=7, zorder=5, label="_crossing")
ax.annotate("between the circles, μ = 0.9\nis slower than no momentum", (0.3, 0.047),
            (2.5e-3, 3e-5), color=figures.GREY, arrowprops=arrow, va="top")
ax.annotate("proportional: ηλ/(1 − μ)", (2e-4, 2.1e-3), (1e-5, 0.02), color=figures.GREY,
            arrowprops=arrow)
ax.annotate("plateau: |z| = √μ", (5e-3, 0.053), (2e-5, 0.25), color=figures.GREY, arrowprops=arrow)
ax.set_title("Momentum multiplies small decay and limits large decay")
marks = figures.drawn(ax)
flat = {name: np.median(marks[name].y[marks[name].x > 0.1]) for name in marks if name[0] == "μ"}
figures.show(fig, "Decay rate against ηλ, both logarithmic, for momentum 0, 0.9 and "
             "0.99. Each curve first rises with slope one, higher for more momentum; then it is "
             f"flat, at {flat['μ = 0.9']:.3f} and {flat['μ = 0.99']:.4f}; near 2(1 + μ) it drops "
             "and the weight grows. Without momentum there is no flat part, but a spike at "
             "ηλ = 1, where one step takes the weight to zero: that curve is above "
             f"the one of 0.9 from ηλ = {marks['_crossing'].x[0]:.3f} to "
             f"{marks['_crossing'].x[1]:.2f}.")

# %% [markdown]
# There are three regimes.
#
# 1. **Proportional.** As long as $\eta\lambda \ll (1-\sqrt\mu)^2$, the larger root is $z \approx 1 - \frac{\eta\lambda}{1-\mu}$,
#    the effective decay.
# 2. **Plateau.** The two roots multiply to the determinant of the matrix in (2.3), which is $\mu$. Between
#    $\eta\lambda = (1-\sqrt\mu)^2$ and $(1+\sqrt\mu)^2$ they are complex, so both have size $\sqrt\mu$. The weight
#    swings around zero, and more λ is no longer more decay. With $\mu = 0.9$ this begins at
#    $\eta\lambda = {{(1 - 0.9**0.5) ** 2:.4f}}$. Plain SGD is faster where $|1-\eta\lambda| < \sqrt\mu$, that is from
#    $\eta\lambda = {{1 - 0.9**0.5:.3f}}$ to ${{1 + 0.9**0.5:.2f}}$.
# 3. **Growth** begins at $\eta\lambda = 2(1+\mu)$: that is {{2 * (1 + 0.9):.1f}}, where plain SGD diverges from 2 on.

# %% tags=["hide-input"]
lr, weight_decay, mu = 0.1, 0.01, 0.9
steady = factors_of_torch(lr, weight_decay, mu)[-1]
claim("02-momentum-root", "PyTorch's factor with momentum 0.9 is the larger root of (2.3)",
      measured=steady - root_size(lr * weight_decay, mu), equals=0, within=1e-6)

# %% tags=["hide-input"]
claim("02-momentum-blow-up", "Also beyond 2(1 + μ), where the weight grows: ηλ = 3.81 and 3.9",
      measured=[abs(factors_of_torch(1, x, mu)[-1]) - root_size(x, mu) for x in (3.81, 3.9)],
      equals=0, within=1e-6)
claim("02-momentum-end", "At ηλ = 2(1 + μ) a root of (2.3) is −1",
      measured=min(np.roots([1, 1 + mu, mu])), equals=-1, within=1e-9)

# %% tags=["hide-input"]
ends = [np.roots([1, x - 1 - mu, mu]) for x in ((1 - mu**0.5) ** 2, (1 + mu**0.5) ** 2)]
claim("02-momentum-border", "Where the plateau begins and ends the two roots of (2.3) meet",
      measured=np.abs(np.diff(ends)), below=1e-6)

# %% tags=["hide-input"]
claim("02-momentum-plateau", "On the plateau |z| = √μ: for ηλ = 0.01, 0.03, 0.3 and 3",
      measured=root_size(np.array([0.01, 0.03, 0.3, 3]), mu), equals=mu**0.5, within=1e-9)
claim("02-momentum-crossing", "At the two circles decay is as fast with momentum as without",
      measured=root_size(marks["_crossing"].x, mu) - root_size(marks["_crossing"].x, 0),
      equals=0, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
more = np.log(steady) / np.log(1 - lr * weight_decay)
claim("02-momentum-rate", "At η = 0.1, λ = 0.01, momentum 0.9 makes decay {} times as fast",
      measured=more, between=(1 / (1 - mu), 11.5))

# %% [markdown]
# **Typical settings.** A weight without gradient thus halves in about ${{np.log(2):.2f}}\,(1-\mu)/(\eta\lambda)$ steps.
# Figure 2.5 compares this number with the length of the training. The first row has the numbers of [He et al.
# (2016)](https://arxiv.org/abs/1512.03385), as if their η stayed at 0.1; they divided it by 10 whenever the error stalled.
# The other rows are examples. AdamW decays by exactly $1-\eta\lambda$, whatever its momentum.

# %%
settings = {  # learning rate, momentum (None: it leaves the decay alone), λ, steps of training
    "ResNet, ImageNet, η constant": (0.1, 0.9, 1e-4, 600_000),
    "small ResNet on CIFAR-10": (0.1, 0.9, 5e-4, 78_200),
    "the same without momentum": (0.1, 0.0, 5e-4, 78_200),
    "language model, AdamW": (3e-4, None, 0.1, 250_000),
}
half_lives = {name: np.log(0.5) / np.log(root_size(lr * weight_decay, mu)) if mu is not None
              else half_life(lr, weight_decay)
              for name, (lr, mu, weight_decay, _) in settings.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 3.2))
names = []
for row, (name, (lr, mu, weight_decay, steps)) in enumerate(settings.items()):
    ax.plot([half_lives[name], steps], [row, row], color=figures.GREY, lw=1.2, label=f"_{name}")
    ax.plot(half_lives[name], row, "o", ms=8, color=figures.ORANGE)
    ax.text((half_lives[name] * steps) ** 0.5, row - 0.1, f"{steps / half_lives[name]:.2g} ×",
            color=figures.GREY, ha="center", va="bottom")
    ax.plot(steps, row, "s", ms=8, color=figures.BLUE)
    momentum = "" if mu is None else f", μ = {mu:g}"
    names.append(f"{name}\nη = {lr:g}, λ = {weight_decay:g}{momentum}")
ax.text(half_lives["ResNet, ImageNet, η constant"], -0.5, "half-life", color=figures.ORANGE,
        ha="center")
ax.text(6e5, -0.5, "end of training", color=figures.BLUE, ha="center")
ax.set_xscale("log")
ax.set_yticks(range(4), names)
ax.set(xlim=(800, 3e6), ylim=(3.5, -0.9), xlabel="steps", ylabel=" ")
ax.set_title("At a constant η, training lasts many half-lives")
pairs = {name[1:]: each.x for name, each in figures.drawn(ax).items() if name[0] == "_"}
figures.show(fig, "Half-life and length of training in steps, four settings on a logarithmic axis. "
             + " ".join(f"{name}: {x[0]:,.0f} of {x[1]:,.0f} steps." for name, x in pairs.items()))

# %% [markdown]
# The average of a cosine schedule is $\eta/2$, so the decay adds up to half as much.
#
# ## 2.5 Coupled and decoupled decay
#
# [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) take the decay out of the buffer. This section
# translates their *decoupled* form, $m \leftarrow \mu m + g$ and $w \leftarrow (1-\eta\lambda)\,w - \eta m$, into the
# coupled one. With $a = 1-\eta\lambda_d$, eliminate the buffer from the decoupled form (d) and the coupled form (c).
#
# 1. Decoupled: $\eta m_t = a w_{t-1} - w_t$, so
#    $w_{t+1} = aw_t-\eta(\mu_d m_t+g_t) = (a+\mu_d)\,w_t - a\mu_d\,w_{t-1} - \eta g_t$.
# 2. Coupled: $\eta m_t = w_{t-1}-w_t$, so $w_{t+1} = (1+\mu_c-\eta\lambda_c)\,w_t - \mu_c\, w_{t-1} - \eta g_t$.
# 3. Compare the coefficients of $w_{t-1}$: $\mu_c = a\mu_d$. Then compare those of $w_t$:
#    $\eta\lambda_c = 1 + a\mu_d - a - \mu_d = (1-a)(1-\mu_d)$.
#
# So at a constant η the two recursions are the same, for any loss, if
#
# $$\lambda_c = (1-\mu_d)\,\lambda_d, \qquad \mu_c = (1-\eta\lambda_d)\,\mu_d. \tag{2.4}$$
#
# Figure 2.6 shows where the decay enters, and four runs with the loss $\frac12(w-1)^2$.


# %%
def descend(gradient, w, m, lr, mu, coupled=0.0, decoupled=0.0, steps=300):
    """SGD with momentum; a `coupled` λ goes through the buffer m, a `decoupled` one does not."""
    path = [w]
    for _ in range(steps):
        m = mu * m + gradient(w) + coupled * w
        w = (1 - lr * decoupled) * w - lr * m
        path.append(w)
    return np.array(path)


def pull(w):
    return w - 1


# %%
lr, mu = 0.001, 0.9
forms = {"decoupled, λ = 1": descend(pull, 0, 0, lr, mu, decoupled=1),
         "coupled, λ = 1": descend(pull, 0, 0, lr, mu, coupled=1),
         "decoupled, λ = 10": descend(pull, 0, 0, lr, mu, decoupled=10)}
twin = descend(pull, 0, 0, lr, (1 - lr * 1) * mu, coupled=(1 - mu) * 1)  # by (2.4)


# %% tags=["hide-input"]
def draw_decay(ax, row, place, colour, decay):
    """The way of the decay, from w back to where it is added."""
    ax.plot([3.75, 3.75, place], [row - 0.18, row - 0.48, row - 0.48], lw=1.4, color=colour)
    ax.annotate("", (place, row - 0.13), (place, row - 0.5),
                arrowprops={"arrowstyle": "-|>", "lw": 1.4, "color": colour})
    ax.text((place + 3.75) / 2, row - 0.55, decay, color=colour, ha="center", va="top")


# %% tags=["hide-input"]
def draw_forms(ax):
    """Two rows of boxes: decay enters before the buffer (coupled), or after it (decoupled)."""
    box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": figures.GREY}
    line = {"arrowstyle": "-|>", "lw": 1.4, "color": figures.GREY}
    for row, colour, name, place, decay in ((1.0, figures.BLUE, "coupled", 0.95, "× λ"),
                                            (-0.3, figures.ORANGE, "decoupled", 3.05, "× −ηλ")):
        for x, words in ((0.12, "g"), (place, "+"), (1.8, "buffer m"), (3.75, "w")):
            ax.text(x, row, words, ha="center", va="center", bbox=box)
        draw_decay(ax, row, place, colour, decay)
        ends = sorted([0.25, 1.3, 2.3, 3.6, place - 0.15, place + 0.15])
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            ax.annotate("", (end, row), (start, row), arrowprops=line)
        for x, width, rad in ((1.8, 0.3, -1.3), (3.75, 0.1, -3.9)):
            ax.annotate("", (x + width, row + 0.14), (x - width, row + 0.14),
                        arrowprops={**line, "connectionstyle": f"arc3,rad={rad}"})
        for x, y, words in ((1.62, 0.55, "× μ"), (3.58, 0.55, "× 1"), (2.33, 0.08, "× −η")):
            ax.text(x, row + y, words, color=figures.GREY)
        ax.text(-0.1, row + 0.4, name, color=colour, weight="bold")
    ax.set(xlim=(-0.2, 4.05), ylim=(-1.1, 1.75))
    ax.set_axis_off()


# %% tags=["hide-input"]
def draw_forms_run(ax):
    """The runs of both forms, and of the coupled twin of the first."""
    for (name, each), style in zip(forms.items(), ("C1-", "C0-", "C1--"), strict=True):
        ax.plot(each, style, label=name)
    ax.plot(range(0, 301, 20), twin[::20], "o", ms=5, mfc="white", color="C0", label="_twin")
    for x, height, words, colour in ((184, 1.03, "decoupled, λ = 1", "C1"),
                                     (92, 0.94, "○ coupled, λ = 0.1, μ = 0.8991", "C0"),
                                     (95, 0.36, "coupled, λ = 1", "C0"),
                                     (95, 0.27, "decoupled, λ = 10 (dashed)", "C1")):
        ax.text(x, height, words, color=colour)
    ax.set(xlabel="step", ylabel="weight (loss pulls to 1)", xlim=(0, 300), ylim=(0, 1.2))
    ax.set_title("loss ½(w − 1)², η = 0.001", size=10, weight="normal")


# %% tags=["hide-input"]
fig, (scheme, ax) = figures.subplots(1, 2, figsize=(7.4, 3.4))
draw_forms(scheme)
draw_forms_run(ax)
figures.title(fig, "With momentum 0.9, a coupled λ acts like a decoupled one of 10 λ")
drawn = figures.drawn(ax)
last = {name: each.y[-1] for name, each in drawn.items()}
figures.show(fig, "Left, two diagrams: the gradient g feeds the buffer, which keeps μ of itself, "
             "and −η of the buffer is added to w. Coupled, λw is added before the buffer; "
             "decoupled, −ηλw is added behind it. Right, a weight over 300 steps, with η = 0.001: "
             f"decoupled λ = 1 leads to {last['decoupled, λ = 1']:.2f}, coupled λ = 1 to "
             f"{last['coupled, λ = 1']:.2f} and decoupled λ = 10 to "
             f"{last['decoupled, λ = 10']:.2f}. Circles of a coupled run, set by (2.4), lie on "
             "the first curve.")

# %% tags=["hide-input"]
claim("02-decoupled", "The circles, coupled by (2.4), lie on the decoupled run",
      measured=drawn["_twin"].y - drawn["decoupled, λ = 1"].y[::20], equals=0, within=1e-9)
w = np.array([0.3, -1.2, 2.0])  # the loss of §2.3, 0.99 a step, momentum 0.9; buffers start alike
rule = descend(gradient, w, 0 * w, 0.05, 0.9, decoupled=0.01 / 0.05, steps=20)
l2 = descend(gradient, w, (0.01 / 0.05) * w / 0.99, 0.05, 0.99 * 0.9, coupled=0.1 * 0.01 / 0.05,
             steps=20)
claim("S0-11", f"With momentum 0.9, 0.99 a step is L2 with λ = 0.1 · 0.01/η and momentum "
      f"{0.99 * 0.9:.3f}",
      measured=rule - l2, equals=0, within=1e-12)

# %% tags=["hide-input"]
claim("02-half-lives", "In its half-life PyTorch's SGD with momentum halves a weight",
      measured=factors_of_torch(0.1, 5e-4, 0.9)[-1] ** half_lives["small ResNet on CIFAR-10"],
      equals=0.5, within=1e-6)
claim("02-same-minimum", "Coupled λ = 1 and decoupled λ = 10 have the same minimum",
      measured=[descend(pull, 0, 0, 0.1, 0.9, steps=3000, **{form: lam})[-1]
                for form, lam in (("coupled", 1), ("decoupled", 10))], equals=0.5, within=1e-9)
claims.identities()

# %% [markdown]
# The first half of (2.4) is what you need in practice. With `momentum=0.9`, a coupled λ acts like a decoupled one of
# ${{1 / (1 - 0.9):.0f}}\,\lambda$: code that goes from coupled to decoupled with the same number decays
# {{1 / (1 - 0.9):.0f}} times less, and {{1 / (1 - 0.9):.0f}} times more the other way. The minimum is the same even if
# you keep the momentum as it is (dashed in Figure 2.6): at a standstill $m = g/(1-\mu)$. Then
# $\eta\lambda_d w = -\eta m = -\eta g/(1-\mu)$, that is, $g + (1-\mu)\lambda_d w = 0$: the coupled minimum.
#
# <details>
# <summary>The second half, and why decoupled decay is exact</summary>
#
# By (2.4) the runs are the same if they also start alike: at $w = 0$, as in Figure 2.6, or with a coupled buffer that
# starts at $\frac{1-a}{a\eta}w$ instead of zero.
#
# The η before λ is PyTorch's convention. In the paper's SGDW only the schedule multiplies the decay.
#
# The second half explains why decoupled decay is so clean. With (2.4), the polynomial of (2.3) factors into
# $(z-a)(z-\mu_d)$ with $a = 1-\eta\lambda_d$. A weight decays by exactly $a$, because the decay does not pass through the
# buffer. Coupled decay does, and its roots are not $a$ and μ: with momentum 0.9 and $\eta\lambda = 0.001$ it is
# {{more:.1f}} times as fast as without, not {{1 / (1 - 0.9):.0f}} times.
#
# The rule of §2.3 is L2 with momentum, too: its λ is $1-\mu$ times as large, its momentum $a\mu$.
#
# </details>
#
# So much for decay alone. Now comes the loss, and with it the explosion.
#
# ## 2.6 Full batches: curvature decides
#
# This section finds the largest stable learning rate when each step sees all examples. The mean squared error of a
# linear model is quadratic. Let $H_0$ be its matrix of second derivatives, the *Hessian*, and let an eigenvalue $\rho$
# of $H_0$ be the curvature along one direction. If all parameters decay, the distance to the minimum of loss plus penalty,
# along that direction, is multiplied by $1-\eta\lambda-\eta\rho$ at every step. It shrinks if and only if
#
# $$|1 - \eta\lambda - \eta\rho| < 1, \quad\text{which for every direction means}\quad \eta < \frac{2}{\rho_{\max} + \lambda}.
# \tag{2.5}$$
#
# <details>
# <summary>Flat directions, and momentum</summary>
#
# (2.5) takes $\rho+\lambda > 0$. Where $\rho+\lambda = 0$ the factor is 1, and nothing moves. Without decay that is so in at
# least {{201 - 20}} of the toy problem's 201 directions. They change no error, so the errors die out all the same.
#
# With momentum, instability begins where a root reaches −1. In (2.3), $\lambda+\rho$ takes the place of λ, so that its
# growth from $\eta\lambda = 2(1+\mu)$ on becomes $\eta < 2(1+\mu)/(\rho_{\max}+\lambda)$ for stability. For decoupled
# decay, $z = -1$ in $z^2 - (a+\mu-\eta\rho)\,z + a\mu = 0$ gives $(1+a)(1+\mu) = \eta\rho$, which is the last bound of
# §2.12.
#
# </details>
#
# In Figure 2.7 the lines are the factor of (2.5), for any batch with curvatures ρ of its own. The dashed verticals mark the
# largest ρ of all 20 examples, and of the first five as a batch.

# %% tags=["hide-input"]
def draw_factor(ax):
    """The factor of (2.5) against the curvature for two λ, and two curvatures of the puzzle."""
    ax.axhspan(-1, 1, color=figures.SKY, alpha=0.18, lw=0)
    for decay, colour in ((0, figures.BLUE), (10, figures.ORANGE)):
        ax.plot([0, 115], [1 - 0.03 * (rho + decay) for rho in (0, 115)], color=colour,
                label=f"λ = {decay}")
        ax.plot(2 / 0.03 - decay, -1, "o", color=colour, label=f"_edge {decay}")
    for name, n in (("all 20", 20), ("the first five", 5)):
        rho = 2 / n * np.linalg.eigvalsh(X[:n] @ X[:n].T + 1)[-1]
        ax.axvline(rho, color=figures.GREY, ls="--", lw=1, label=f"_{name}")
        ax.text(rho + 1, 0.93, f"ρ of\n{name}", color=figures.GREY, va="top")


# %% tags=["hide-input"]
fig, ax = figures.subplots()
draw_factor(ax)
drawn_now = {name: each.x[0] for name, each in figures.drawn(ax).items()}
arrow = {"arrowstyle": "->", "color": figures.GREY}
ax.text(52, 0.3, "in the band errors shrink", color=figures.GREY)
ax.annotate("flat directions:\nnearer to zero\nwith decay", (0.6, 0.68), (3, -0.85),
            color=figures.GREY, arrowprops=arrow)
ax.annotate("circles: the\nlimits of (2.5)", (57, -1.05), (3, -2.1), color=figures.GREY,
            arrowprops=arrow)
ax.annotate("λ = 10 leaves the band\nfurther, and yet it trains:\n§2.7", (94, -2.15), (56, -2.85),
            color=figures.ORANGE, arrowprops={**arrow, "color": figures.ORANGE})
ax.set(xlabel="curvature ρ", ylabel="factor of the error per step", xlim=(0, 127))
figures.label_lines(ax)
ax.set_title("At η = 0.03 the full batch is stable, a batch of 5 is not")
figures.show(fig, "Factor 1 − η(ρ + λ) against the curvature ρ at η = 0.03: falling lines for "
             "λ = 0 and 10. The band from −1 to 1, where errors shrink, is left at "
             f"ρ = {drawn_now['_edge 0']:.0f} and {drawn_now['_edge 10']:.0f}. All 20 examples "
             f"have ρ = {drawn_now['_all 20']:.0f}, a batch of 5 has "
             f"{drawn_now['_the first five']:.0f}; "
             "there λ = 10 is further outside the band than λ = 0.")

# %% [markdown]
# The right end of the picture says that decay *narrows* the stable range of full batches. In the toy problem
# $2/\rho_{\max}$ is about {{below: full.mean():.2f}}, so $\eta = 0.03$ is safe.
#
# The left end says what decay is good for in optimisation: **conditioning**. A step multiplies the flattest direction by
# $1-\eta\rho_{\min}$ without decay, which may be very close to 1, and by $1-\eta(\rho_{\min}+\lambda)$ with it. As
# (2.5) limits η, the *condition number* $(\rho_{\max}+\lambda)/(\rho_{\min}+\lambda)$ decides how many steps you need.
# On the ten inputs of the diabetes data λ = 0.2 lowers it from {{below: curvatures[-1] / curvatures[0]:.0f}} to
# {{below: (curvatures[-1] + 0.2) / (curvatures[0] + 0.2):.0f}}. In Figure 2.8 both runs start at the same distance
# vector from their own minimum. The steep directions die at once: hence the first drop.

# %%
patients = load("diabetes")
Z = (patients.X - patients.X.mean(0)) / patients.X.std(0)
curvatures, directions = np.linalg.eigh(2 * Z.T @ Z / len(Z))


def distances(weight_decay, lr=0.1, steps=3000):
    """Distance to the minimum over the steps of gradient descent, relative to the start."""
    start = directions.T @ (2 * Z.T @ patients.y / len(Z)) / curvatures
    powers = np.arange(steps)[:, None]
    left = (1 - lr * (curvatures + weight_decay)) ** powers * start
    return np.linalg.norm(left, axis=1) / np.linalg.norm(start)


far = {weight_decay: distances(weight_decay) for weight_decay in (0, 0.2)}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 3.0))
for weight_decay, each in far.items():
    ax.semilogy(each, label=f"λ = {weight_decay:g}")
ax.axhline(0.01, color=figures.GREY, ls="--", lw=1)
ax.text(900, 0.0062, "1 % is left", color=figures.GREY)
ax.text(1500, 0.1, "λ = 0", color=figures.BLUE)
ax.text(320, 0.0025, "λ = 0.2", color=figures.ORANGE)
ax.set(xlabel="step", ylabel="relative distance to the minimum", ylim=(1e-3, 1.2), xlim=(0, 3000))
ax.set_title("λ = 0.2 brings gradient descent to its minimum much faster")
counts = {name: np.argmax(each.y < 0.01) for name, each in figures.drawn(ax).items() if "λ" in name}
figures.show(fig, "Distance to the minimum of loss plus penalty, relative to the start, on a "
             "logarithmic axis. "
             f"Without decay 1 % is left after {counts['λ = 0']} steps, with λ = 0.2 after "
             f"{counts['λ = 0.2']}.")

# %% tags=["hide-input"]
best, _ = ridge(Z, patients.y - patients.y.mean(), 0.2, intercept=False, loss="mse")
moved = directions @ (directions.T @ (2 * Z.T @ patients.y / len(Z)) / curvatures)
w = best + moved
for _ in range(100):
    w = (1 - 0.1 * 0.2) * w - 0.1 * 2 * Z.T @ (Z @ w - patients.y) / len(Z)
claim("02-conditioning-steps", "100 steps of gradient descent leave the distance that (2.5) says",
      measured=np.linalg.norm(w - best) / np.linalg.norm(moved) - far[0.2][100],
      equals=0, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
claim("02-conditioning", "From the same distance vector, λ = 0.2 makes gradient descent {:.1f} "
      "times as fast", measured=counts["λ = 0"] / counts["λ = 0.2"], above=10)

# %% [markdown]
# At this η that is the ratio of the rates in the flattest direction, $(\rho_{\min}+\lambda)/\rho_{\min} =
# {{(curvatures[0] + 0.2) / curvatures[0]:.1f}}$. The price is another minimum, that of ridge regression.
#
# ## 2.7 Minibatches: one epoch by hand
#
# This section estimates, with nothing but multiplication, why minibatches of 5 do not tolerate $\eta = 0.03$.
#
# 1. *The targets do not matter.* A step takes all parameters $\theta$ to $M_B\theta + c_B$, a matrix and a vector that
#    depend on the batch. The targets are in $c_B$ only. Two runs with the same batches thus differ by
#    $\theta-\theta' \leftarrow M_B(\theta-\theta')$, as if $y = 0$. So we study $y = 0$: do the errors
#    $\epsilon = Xw + b\mathbf 1$ on the 20 training examples die out?
# 2. *Take the inputs as orthogonal.* An input has 200 random components, so its squared length is about 200, and two
#    inputs are nearly orthogonal. Then the loss's step changes the errors of its *own* batch only (Figure 2.9, left).
#    Leave the bias out, too.
# 3. *One step.* A single example has curvature $2\cdot 200 = {{2 * 200}}$; the average of 5 has {{2 * 200 // 5}}, of 20 has
#    {{2 * 200 // 20}}. That is why minibatches are sharper. Without decay, a step on 5 multiplies their errors by
#    $1 - 80\eta$, at $\eta = 0.03$ by ${{1 - 80 * 0.03:.1f}}$ (Figure 2.9). Decay replaces the 1 by $a = 1-\eta\lambda$, and
#    multiplies all *other* errors by $a$, too.
# 4. *One epoch* has four batches. Each example is in one of them and sits out the other three, so over an epoch its
#    error is multiplied by
#
# $$(a - 80\eta)\; a^3 . \tag{2.6}$$

# %% tags=["hide-input"]
def draw_step(ax, angle):
    """Two inputs at an angle, a step for the first, and the errors on the second."""
    other = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    places = np.array([[0.9, -0.6], [-1.26, -0.6]])  # the step overshoots along the first input
    feet = places - np.outer(places @ other, other)
    ax.plot(*np.outer([-1.9, 1.9], [-other[1], other[0]]).T, "--", lw=1, color=figures.ORANGE)
    for tip, colour, text in (([1, 0], figures.BLUE, "$x_1$"), (other, figures.ORANGE, "$x_2$")):
        ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2, "color": colour})
        ax.text(tip[0] + 0.07, tip[1] - 0.2, text, color=colour)
    for place, foot, name in zip(places, feet, ("_before", "_after"), strict=True):
        ax.plot(*np.transpose([place, foot]), ":", lw=2, color=figures.ORANGE, label=name)
    ax.axvline(0, ls="--", lw=1, color=figures.BLUE)
    ax.annotate("", places[1], places[0], arrowprops={"arrowstyle": "-|>", "lw": 1.6})


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.4), sharex=True, sharey=True)
draw_step(axes[0], 90)
draw_step(axes[1], 35)
for ax, name in zip(axes, ("orthogonal inputs", "similar inputs"), strict=True):
    ax.set(xlabel="$w_1$", ylabel=" ", xlim=(-1.9, 1.95), ylim=(-1.25, 1.35), aspect="equal",
           xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    ax.set_title(name, size=10, weight="normal")
axes[0].text(-1.75, -0.87, "step for $x_1$")
axes[0].text(-0.08, 1.08, "no error on $x_1$", color=figures.BLUE, ha="right")
axes[0].text(-1.8, 0.1, "no error on $x_2$", color="C1")
axes[1].text(-1.75, 0.1, "error on $x_2$\nafter the step", color="C1")
axes[1].text(0.98, -0.75, "error on $x_2$\nbefore", color="C1")
axes[0].set_ylabel("$w_2$")
ends = [figures.drawn(ax)[name] for ax in axes for name in ("_before", "_after")]
sizes = [np.hypot(*np.diff([each.x, each.y]).ravel()) for each in ends]
figures.title(fig, "If inputs are similar, a step that overshoots one overshoots the other")
figures.show(fig, "Weights in a plane, with two inputs as arrows, and a step along the first that "
             "overshoots the dashed line of no error on it. If the inputs are orthogonal, the "
             f"error on the second is {sizes[0]:.2f} before the step and {sizes[1]:.2f} after. If "
             f"they are similar, it rises from {sizes[2]:.2f} to {sizes[3]:.2f}.")

# %% [markdown]
# Without decay (2.6) is below 1 in size up to $\eta = 2/80 = {{2 / 80:.3f}}$. Figure 2.10 follows one example through its
# four steps at $\eta = 0.03$, its own batch first.


# %%
def by_hand(lr, weight_decay):
    a = 1 - lr * weight_decay
    return abs(a - 80 * lr) * abs(a) ** 3


# %% tags=["hide-input"]
fig, ax = figures.subplots()
ax.axhspan(-1, 1, color=figures.SKY, alpha=0.18, lw=0)
for decay, colour in ((0, figures.BLUE), (3, figures.GREEN), (10, figures.ORANGE)):
    a = 1 - 0.03 * decay
    path = np.cumprod([1, a - 80 * 0.03, a, a, a])
    ax.plot(range(5), path, "o-", color=colour, label=f"λ = {decay}")
paths = figures.drawn(ax)
over = paths["λ = 10"].y
for step in (2, 3, 4):
    ax.text(step - 0.35, over[step] + 0.1, f"× {over[step] / over[step - 1]:.1f}", color="C1")
ax.text(0.62, 0.45, "its own batch:\novershoot", color=figures.GREY)
ax.text(2.1, 0.45, "the other three batches:\nonly decay acts", color=figures.GREY)
ax.set(xlim=(-0.1, 4.7), ylim=(-1.95, 1.15), xlabel="batches of the epoch", xticks=range(5))
ax.set_ylabel("error of one example")
figures.label_lines(ax)
ax.set_title("λ = 10 overshoots most, and is rescued by the other three batches")
told = "; ".join(f"{name}: {each.y[1]:.2f}, then {each.y[4]:.2f}" for name, each in paths.items())
figures.show(fig, "The error of one example over the four batches of an epoch, starting from "
             "1: after "
             f"its own batch, and at the end. {told}. Only the last is back between −1 and 1.")

# %% tags=["hide-input"]
claim("02-geometry", "With orthogonal inputs the step leaves the error on the second as it is",
      measured=sizes[1] - sizes[0], equals=0, within=1e-9)
epochs = [paths[f"λ = {decay}"].y[-1] for decay in (0, 3, 10)]
claim("02-four-steps", "The paths end at (2.6), up to the sign",
      measured=np.abs(epochs) - [by_hand(0.03, decay) for decay in (0, 3, 10)],
      equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# Here is the answer to the puzzle, a paradox: **decay narrows the stable range of full batches,
# because it adds to the overshoot, and can widen that of minibatches, because the other three batches, which do not touch
# this error, shrink it.** With $\lambda = 10$ the own batch overshoots further than without decay, but the other three
# multiply by $a^3 = {{1 - 0.03 * 10:.1f}}^3 = {{(1 - 0.03 * 10) ** 3:.2f}}$. There must be at least two batches per epoch
# (exercise 2), and **the other batches must leave most of a batch's steep directions alone**, as nearly orthogonal inputs do (§2.9). If inputs are similar, errors overshoot together
# (Figure 2.9, right).
#
# ## 2.8 Minibatches, simulated without targets
#
# This section takes the inputs as they are, and the bias with them. One step with batch $B$, of $|B|$ examples, is
# $w\leftarrow a\,w - \frac{2\eta}{|B|}X_B^\top\epsilon_B$, and the same for $b$ without decay. Put it into $\epsilon = Xw + b\mathbf 1$:
#
# $$\epsilon \leftarrow a\,\epsilon + (1-a)\,b\,\mathbf 1 - \tfrac{2\eta}{|B|}\, Q_{\cdot B}\, \epsilon_B,\qquad
# b \leftarrow b - \tfrac{2\eta}{|B|}\textstyle\sum_{i\in B} \epsilon_i,\qquad Q = XX^\top + \mathbf 1\mathbf 1^\top.
# \tag{2.7}$$
#
# This is SGD with targets zero. The cell starts from random errors and takes 200 epochs.


# %%
def exact_step(Q, e, b, rows, lr, a):
    """One step by (2.7) with the batch `rows`."""
    pull = 2 * lr / len(rows) * e[rows]
    return a * e + (1 - a) * b - Q[:, rows] @ pull, b - pull.sum(0)


# %%
rng = np.random.default_rng(1)
e, b, norms = rng.standard_normal(20), 0.0, []
for _ in range(200):
    norms.append(np.linalg.norm(e))
    for rows in rng.permutation(20).reshape(-1, 5):
        e, b = exact_step(X @ X.T + 1, e, b, rows, lr=0.03, a=1 - 0.03 * 3)
exponent = np.log(norms[199] / norms[50]) / 149

# %% [markdown]
# In the long run an epoch multiplies the size of $\epsilon$ by $e^\Gamma$, and so the loss by $e^{2\Gamma}$. We call
# $\Gamma$ the *growth exponent* (in dynamical systems, the *Lyapunov exponent*). Here, with $\lambda = 3$, it is
# {{exponent:.2f}}, and the loss grows {{np.exp(2 * exponent):.1f}}-fold per epoch. Where Γ is negative, a typical run dies
# out. `growth` (folded) is this loop for many settings at once. Figure 2.11 shows what it finds for 20 data sets.


# %% tags=["hide-input"]
def growth(Q, lr, weight_decay, batch=5, seed=0, epochs=200, skip=50, mu=0.0):
    """Growth exponent Γ per epoch; for arrays of lr or weight_decay one for each setting."""
    rng, lr = np.random.default_rng(seed), np.asarray(lr)
    a = 1 - lr * np.asarray(weight_decay)
    e, b = np.multiply.outer(rng.standard_normal(len(Q)), np.ones_like(a)), np.zeros(a.shape)
    old_e, old_b = e, b
    for epoch in range(epochs):
        if epoch == skip:
            start = np.linalg.norm(e, axis=0)
        for rows in rng.permutation(len(Q)).reshape(-1, batch):
            next_e, next_b = exact_step(Q, e, b, rows, lr, a)
            next_e, next_b = next_e + mu * (e - old_e), next_b + mu * (b - old_b)
            old_e, old_b, e, b = e, b, next_e, next_b  # momentum repeats μ of the last step
    return np.log(np.linalg.norm(e, axis=0) / start) / (epochs - skip)


def gram(seed, mean=0.0):
    """Q of (2.7) for a data set of the puzzle, with `mean` added to all inputs."""
    inputs = make_regression(20, seed=seed)[0] + mean
    return inputs @ inputs.T + 1


# %% tags=["hide-input"]
w, few = np.linspace(-1, 1, 200), [3, 1, 4, 15, 9]
moved = (1 - 0.03 * 10) * w - 0.03 * 2 / 5 * X[few].T @ (X[few] @ w + 0.5)
e, b = exact_step(gram(seeds(1)[0]), X @ w + 0.5, 0.5, few, 0.03, 1 - 0.03 * 10)
claim("02-step", "A step of (2.7) is a step of SGD with targets zero",
      measured=e - X @ moved - b, equals=0, within=1e-9)
claim("02-step-bias", "For the bias, too",
      measured=b - (0.5 - 0.03 * 2 * np.mean(X[few] @ w + 0.5)), equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("02-orthogonal", "With orthogonal inputs and no decay Γ is the logarithm of (2.6)",
      measured=growth(200 * np.eye(20), 0.03, 0, epochs=60) - np.log(by_hand(0.03, 0)),
      equals=0, within=1e-9)

# %% tags=["hide-input"]
narrow = np.column_stack([X, np.ones(20)]) / 8  # small inputs, which momentum follows slowly
begin = np.linalg.pinv(narrow) @ np.random.default_rng(0).standard_normal(20)
ball = descend(lambda v: 2 / 20 * narrow.T @ (narrow @ v), begin, 0, 0.008, 0.9, steps=80)
far_off = np.linalg.norm(ball @ narrow.T, axis=1)
claim("02-growth-momentum", "In full batches with momentum, Γ is that of the descent of §2.5",
      measured=growth(narrow @ narrow.T, 0.008, 0, 20, epochs=80, mu=0.9)
      - np.log(far_off[80] / far_off[50]) / 30, equals=0, within=1e-9)
claims.identities()

# %%
grams = {seed: gram(seed) for seed in seeds(20)}
rates = [0.003, *np.arange(0.006, 0.0195, 0.002), 0.020, 0.0225, 0.025, 0.030]
decays = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
over_lr = np.array([growth(Q, rates, 0, seed=seed) for seed, Q in grams.items()])
over_decay = np.array([growth(Q, 0.03, decays, seed=seed) for seed, Q in grams.items()])


# %% tags=["hide-input"]
def zero_of(x, y):
    """Where the line through some points first crosses zero; NaN, if nowhere."""
    for i in np.flatnonzero(np.diff(np.sign(y))):
        return x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])
    return np.nan


def hand_border(lr):
    """The λ at which (2.6) falls through 1 in size: (80η − a) a³ = 1."""
    roots = np.roots([1, -80 * lr, 0, 0, 1])
    return (1 - min(a.real for a in roots if abs(a.imag) < 1e-9 and 0 < a.real < 1)) / lr


crossing, stable_from = zero_of(rates, over_lr.mean(0)), zero_of(decays, over_decay.mean(0))
each_crossing = [zero_of(rates[5:], exponents[5:]) for exponents in over_lr]

# %% tags=["hide-input"]
def draw_growth(ax, x, exponents, estimate):
    """Mean and range of the data sets' growth exponents, and the estimate by hand."""
    fine = np.linspace(x[0], x[-1], 200)
    band = exponents.min(0), exponents.max(0)
    ax.fill_between(x, *band, color=figures.SKY, alpha=0.4, lw=0)
    ax.plot(x, exponents.mean(0), "o-", ms=4, color=figures.BLUE, label="_mean")
    ax.plot(fine, np.log(estimate(fine)), "--", color=figures.ORANGE, label="_hand")
    ax.axhline(0, color=figures.GREY, lw=1)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.4, 3.9), sharey=True)
draw_growth(axes[0], rates, over_lr, lambda lr: by_hand(lr, 0))
draw_growth(axes[1], decays, over_decay, lambda decay: by_hand(0.03, decay))
border = [zero_of(side["_mean"].x, side["_mean"].y) for side in map(figures.drawn, axes)]
hand = [zero_of(side["_hand"].x, side["_hand"].y) for side in map(figures.drawn, axes)]
axes[0].text(0.0205, -0.85, "by hand (2.6)", color="C1")
axes[0].text(0.0093, -1.22, "to −∞ at\nη = 1/80", color="C1")
axes[0].text(0.003, 0.25, "simulated (2.7): mean and\nrange of 20 data sets", color="C0")
axes[1].annotate("what remains is\nthe slow intercept", (8.7, -0.07), (4.9, 0.5),
                 color="C0", arrowprops={"arrowstyle": "->", "color": figures.BLUE})
axes[0].set(xlabel="learning rate η (λ = 0)", ylim=(-1.3, 0.7), ylabel="growth exponent Γ",
            xticks=[0, 0.01, 0.02, 0.03])
axes[1].set(xlabel="weight decay λ (η = 0.03)", ylabel=" ", xticks=range(0, 11, 2))
axes[0].set_title(f"simulated border: η = {border[0]:.3f}", size=10, weight="normal")
axes[1].set_title(f"simulated border: λ = {border[1]:.1f}", size=10, weight="normal")
figures.title(fig, "Minibatches explode at a smaller η than the estimate, and need more λ")
figures.show(fig, "Growth exponent per epoch for 20 data sets, their mean, and (2.6). Left, the "
             f"mean crosses zero at η = {border[0]:.3f}, (2.6) at {hand[0]:.3f}. Right, at "
             f"η = 0.03, they cross it at λ = {border[1]:.1f} and {hand[1]:.1f}.")

# %% tags=["hide-input"]
claim("S2-08", "Without momentum, SGD in minibatches of 5 explodes above a learning rate of {}, "
      "on average", measured=crossing, between=(0.020, 0.025))

# %% tags=["hide-input"]
claim("S2-07", "At η = 0.03 minibatches are stable from λ = {} on, on average",
      measured=stable_from, between=(5.8, 7.3))

# %% [markdown]
# The estimate has the right shape and is too optimistic. By hand the run explodes above
# $\eta = {{2 / 80:.3f}}$, in the simulation already above {{crossing:.3f}} (among the data sets the standard deviation is
# {{np.std(each_crossing):.4f}}). By hand $\lambda = {{hand_border(0.03):.1f}}$ is enough, in the simulation it takes
# {{stable_from:.1f}}: inputs that are not quite orthogonal help each other to overshoot. From $\lambda = 8$ on the weights
# settle fast; what remains is the slow intercept (exercise 8).
#
# <details>
# <summary>What a negative Γ does not say</summary>
#
# $e^\Gamma$ is a geometric mean: Γ is the growth of a *typical* run. The mean loss over runs may diverge even where
# $\Gamma < 0$, as rare unlucky runs dominate it. The threshold of this mean is what [Ma, Bassily and Belkin (2018)](https://arxiv.org/abs/1712.06559) treat.
#
# </details>
#
# **A safe bound without any run** comes from (2.5). Without decay and momentum, if η is below $2/\rho_{\max}$ of *every*
# minibatch, no step ever moves the weights of two runs further apart. All {{below: len(batches):,}} batches of 5 can be
# tried in a moment. By hand the curvature is 80; in truth it is {{below: np.mean(sharpest):.0f}} on average,
# {{below: sharpest[0][0]:.0f}} for the first five examples (Figure 2.7), and about
# {{below: np.mean(2 / np.array(safe)):.0f}} for the sharpest batch, which makes the bound.

# %%
batches = np.array(list(itertools.combinations(range(20), 5)))
five = [Q[batches[:, :, None], batches[:, None, :]] for Q in list(grams.values())[:5]]
sharpest = [2 / 5 * np.linalg.eigvalsh(Q_B)[:, -1] for Q_B in five]  # of each batch
safe = [2 / each.max() for each in sharpest]
full = np.array([2 / (2 / 20 * np.linalg.eigvalsh(Q)[-1]) for Q in grams.values()])

# %% tags=["hide-input"]
claim("S2-09", "The measured border is at least {} times the safe bound, on each of five data sets",
      measured=np.divide(each_crossing[:5], safe), above=1)

# %% tags=["hide-input"]
claim("S2-05", "Full batches tolerate learning rates up to {}, on average",
      measured=full.mean(), between=(0.055, 0.065))

# %% tags=["hide-input"]
ones = np.column_stack([X, np.ones(20)])
sharp = np.linalg.norm(ones[batches[:400]], ord=2, axis=(1, 2)) ** 2
claim("02-safe", "At the safe bound η times the largest curvature of all batches is 2",
      measured=2 / 5 * np.linalg.eigvalsh(five[0]).max() * safe[0], equals=2, within=1e-9)

# %% tags=["hide-input"]
claim("02-curvature", "The curvature of a batch of 5 follows from its largest singular value",
      measured=np.linalg.eigvalsh(five[0][:400])[:, -1] / sharp, equals=1, within=1e-9)
claim("02-full-curvature", "So does 2/ρ of all 20 examples",
      measured=full[0] * np.linalg.norm(ones, ord=2) ** 2, equals=20, within=1e-6)
claim("02-crossings", "The drawn means cross zero at the borders that the text names",
      measured=np.subtract([crossing, stable_from], border), equals=0, within=1e-12)
claim("02-border", "At the border by hand (2.6) is 1",
      measured=[by_hand(lr, hand_border(lr)) for lr in (0.028, 0.03)], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# **With momentum this argument fails**, because the buffer carries a step into the batches after it. The cell trains on
# the 20 data sets with momentum 0.9, at two learning rates below the safe bound. Then `growth` varies λ at the larger one.

# %%
problems = [make_regression(20, seed=seed) for seed in seeds(20)]
data, targets = (np.stack(part) for part in zip(*problems, strict=True))
# `sweep` trains on data set k with the start and the batches of seed k.
heavy = sweep(MLP((200, 1), init="normal"), data, targets, loss="mse", batch_size=5,
              seeds=seeds(20), lr=[0.004, 0.008], momentum=0.9, weight_decay=[0, 10], steps=400)
strong = [0, 10, 20, 30, 40, 45, 50, 55, 60, 70, 80, 100, 120]
rescue = np.array([growth(Q, 0.008, strong, seed=seed, mu=0.9) for seed, Q in grams.items()])
saved_from = zero_of(strong, rescue.mean(0))  # zero of Γ's mean,
k = np.argmax(rescue.mean(0) < 0)  # between strong[k - 1] and strong[k]

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 3.2))
ax.axhline(0, color=figures.GREY, lw=1)
ax.fill_between(strong, rescue.min(0), rescue.max(0), color=figures.SKY, alpha=0.5, lw=0)
ax.plot(strong, rescue.mean(0), "o-", ms=4, color=figures.BLUE, label="_mean")
ax.text(4, -0.07, "below zero a typical run dies out", color=figures.GREY)
ax.annotate("λ = 10, as in §2.1", (10, 0.185), (24, 0.265), color=figures.ORANGE,
            arrowprops={"arrowstyle": "->", "color": figures.ORANGE})
ax.text(62, 0.09, "mean and range of 20 data sets", color=figures.BLUE)
ax.set(xlabel="weight decay λ (η = 0.008, momentum 0.9)", ylabel="growth exponent Γ",
       xlim=(-2, 122), ylim=(-0.14, 0.3))
with_momentum = figures.drawn(ax)["_mean"]
ax.plot(saved_from, 0, "ko", mfc="white", ms=7, zorder=5, label="_zero")
ax.set_title(f"With momentum 0.9, λ = 10 does not help; it takes "
             f"{with_momentum.x[np.argmax(with_momentum.y < 0) - 1]:.0f} to "
             f"{with_momentum.x[np.argmax(with_momentum.y < 0)]:.0f}")
figures.show(fig, "Growth exponent against λ at η = 0.008 with momentum 0.9, for 20 data sets. The "
             + " ".join(f"mean is {with_momentum.at(lam):.2f} at λ = {lam};" for lam in (0, 10, 40))
             + f" it is {with_momentum.at(80):.3f} at 80 and {with_momentum.at(120):.2f} at 120.")

# %% tags=["hide-input"]
grown = np.log10(heavy.train_loss.sel(step=400) / heavy.train_loss.sel(step=0))
claim("02-heavy", "With momentum 0.9, and λ = 0 and 10 alike, the loss falls at η = 0.004 and "
      "grows at η = 0.008, at least 10^{}-fold in 400 steps",
      measured=[-grown.sel(lr=0.004).values, grown.sel(lr=0.008).values], above=1)

# %% tags=["hide-input"]
claim("02-heavy-rescue", "With momentum 0.9 and η = 0.008, λ = 10 rescues none of 20 data sets, "
      "and λ = 120 rescues all {}",
      measured=[np.sum(rescue[:, 1] > 0), np.sum(rescue[:, -1] < 0)], equals=20)

# %% [markdown]
# So with momentum 0.9 batches of 5 explode at less than half of the safe bound, which is {{np.mean(safe):.3f}} on average.
# **λ = 10 no longer helps; at $\eta = 0.008$ it takes a λ between {{strong[k - 1]}} and {{strong[k]}}** (Figure 2.12). Part
# of this is the smaller η: for the $\eta\lambda$ of §2.1 you need $\lambda = {{0.03 * 10 / 0.008:.0f}}$. That is not enough:
# the buffer carries the overshoot into the batches that should shrink it.
#
# **The whole plane**, without momentum. Figure 2.13 shows where runs explode, for {{below: len(lams)}} values
# of λ and {{below: len(lrs)}} learning rates. The border of minibatches is (2.7), averaged over four data sets. That of
# full batches is (2.5), as if the intercept decayed, too. The right panel has seven runs at the circle of the left one,
# and the growth by (2.7) and (2.6). In `make lab` two dials move the circle.

# %%
lrs, lams = 0.002 * np.arange(1, 41), np.arange(24)
pairs = np.array(list(itertools.product(lrs, lams))).T  # all learning rates with all λ
four = [growth(Q, *pairs, seed=seed, epochs=80, skip=30) for seed, Q in list(grams.items())[:4]]
plane = np.mean(four, axis=0).reshape(len(lrs), len(lams))


# %% tags=["hide-input"]
def draw_plane(ax, lr, weight_decay):
    """Where minibatches explode by (2.7), and where full batches do by (2.5); and a place."""
    edge = 2 / (2 / full.mean() + lams)
    ax.contourf(lrs, lams, plane.T, [0, 9], colors=[figures.ORANGE], alpha=0.25)
    ax.fill_betweenx(lams, edge, 0.08, color=figures.SKY, alpha=0.3, lw=0)
    ax.contour(lrs, lams, plane.T, [0], colors=figures.ORANGE, linestyles="-", linewidths=2)
    ax.plot(edge, lams, ":", lw=2.5, color=figures.BLUE, label="_full")
    for x, y, words in ((0.003, 13, "both\nconverge"), (0.032, 0.4, "minibatch\nexplodes"),
                        (0.0605, 5, "both\nexplode"), (0.0447, 13, "full\nbatch\nexplodes")):
        ax.text(x, y, words, size=9.5)
    minibatch, full_batch = "minibatch\nborder (2.7)", "full-batch\nborder (2.5)"
    for words, tip, place, colour in ((minibatch, (0.027, 5.7), (0.003, 8), "C1"),
                                      (full_batch, (0.0365, 21), (0.003, 19), "C0")):
        ax.annotate(words, tip, place, color=colour, arrowprops={"arrowstyle": "->"})
    ax.plot(lr, weight_decay, "ko", mfc="white", ms=8, label="_run")
    ax.set(xlabel="learning rate η", ylabel="weight decay λ", xlim=(0, 0.08), ylim=(0, 23))
    ax.set_xticks([0, 0.02, 0.04, 0.06, 0.08])
    ax.set_title("which runs explode", size=10, weight="normal")


# %% tags=["hide-input"]
def draw_runs(at, lr, weight_decay):
    """Seven runs and their median, with the growth by (2.7) and by (2.6) from epoch 5 on."""
    t, seven = np.arange(30), range(1, 8)
    losses = [train(X, y, lr, weight_decay, 5, np.random.default_rng(k)) for k in seven]
    middle = np.median(losses, axis=0)
    at.semilogy(t, np.transpose(losses), color=figures.GREY, lw=0.6, label="_each")
    at.semilogy(t, middle, "ko", ms=3, label="training")
    slopes = growth(gram(seeds(1)[0]), lr, weight_decay), np.log(by_hand(lr, weight_decay))
    for name, slope, style in zip(("(2.7)", "(2.6)"), slopes, ("-", "--"), strict=True):
        line = middle[5] * np.exp(2 * slope * (t - 5))
        at.semilogy(t[5:], line[5:], style, color=figures.ORANGE, label=name)
    at.set(xlabel="epoch", ylabel="training loss", xlim=(0, 37), xticks=[0, 10, 20, 30])
    at.set_title("seven runs at ○, and their median", size=10, weight="normal")
    figures.label_lines(at, nudge={"training": 7, "(2.7)": -7})


# %% tags=["hide-input"]
def draw(lr, weight_decay):
    fig, (ax, at) = figures.subplots(1, 2, figsize=(7.6, 4.2))
    draw_plane(ax, lr, weight_decay)
    draw_runs(at, lr, weight_decay)
    figures.title(fig, "A moderate λ helps minibatches, and never widens the range of full batches")
    end = {name: np.log10(each.at(29) / each.at(5)) for name, each in figures.drawn(at).items()}
    return fig, ("The plane of learning rate and weight decay: minibatches explode on the right; "
                 "their border leans right up to λ = 12, then turns back. That of full batches "
                 f"leans left. From epoch 5 to 29 the median loss at η = {lr:g}, "
                 f"λ = {weight_decay:g} changes by 10^{end['training']:.0f}; "
                 f"(2.7) says 10^{end['(2.7)']:.0f}, (2.6) 10^{end['(2.6)']:.0f}.")


# %%
figures.interactive(draw, lr=[0.03, 0.003, 0.01, 0.02, 0.025, 0.04, 0.055],
                    weight_decay=[3, 0, 1, 5, 7, 10, 12, 15])

# %% tags=["hide-input"]
corner = {batch: np.array([growth(Q, 0.055, 15, batch, seed) for seed, Q in grams.items()])
          for batch in (5, 20)}  # the exponents at η = 0.055, λ = 15

# %% tags=["hide-input"]
claim("02-turned", "At η = 0.055, λ = 15 minibatches converge and full batches explode on {} of 20 "
      "data sets", measured=np.sum((corner[5] < 0) & (corner[20] > 0)), equals=20)

# %% tags=["hide-input"]
claim("02-plane", "The plane has the mean exponent of η = 0.03, λ = 3 at its place",
      measured=plane[14, 3] - np.mean([growth(Q, 0.03, 3, seed=seed, epochs=80, skip=30)
                                       for seed, Q in list(grams.items())[:4]]),
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# The border of minibatches leans to the right and that of full batches to the left, until they cross.
# Above the crossing, between the borders, only *minibatches* converge: the other three batches erase nearly all of an
# error. At λ ≈ 12 the border turns back, though (2.6) is only {{by_hand(0.07, 12):.2f}} there: with $a\approx0$ a step leaves
# mainly the couplings $-\frac{2\eta}{|B|}Q_{\cdot B}\,\epsilon_B$ of inputs that are not quite orthogonal, which more λ does
# not shrink. With orthogonal inputs Γ at $\eta = 0.07$, $\lambda = 18$ would be
# ${{growth(200 * np.eye(20) + 1, 0.07, 18):.1f}}$ and not {{plane[34, 18]:.1f}}.
#
# ## 2.9 Inputs with a common mean
#
# When does decay not rescue minibatches? Inputs with a common mean, such as images that were not standardised, share a
# direction that *every* batch pushes. In that direction a minibatch is about as sharp as the full batch, and no batch
# sits out. Figure 2.14 compares minibatches with full batches without decay, for inputs to which a mean was added.

# %%
means = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1]
shares = np.linspace(1.2, 0.2, 36)  # of the largest stable η of full batches
edges = np.zeros((len(means), 3))  # of full batches; of minibatches with λ = 0 and with 10
for i, mean in enumerate(means):
    five_grams = [gram(seed, mean) for seed in seeds(5)]
    tops = [20 / np.linalg.eigvalsh(Q)[-1] for Q in five_grams]
    edges[i] = np.mean(tops)
    for j, weight_decay in ((1, 0), (2, 10)):
        exponents = [growth(Q, shares * top, weight_decay, epochs=120)
                     for Q, top in zip(five_grams, tops, strict=True)]
        edges[i, j] *= zero_of(shares, np.mean(exponents, axis=0))  # from above: the last


# %% tags=["hide-input"]
def draw_borders(ax, names):
    """Three borders against the common mean, and the gap between those of minibatches."""
    full_edge, free, decayed = edges.T
    ax.semilogy(means, full_edge, ":", lw=2.5, color=figures.BLUE, label=f"_{names[0]}")
    ax.semilogy(means, free, "o-", ms=5, color=figures.ORANGE, label=f"_{names[1]}")
    ax.semilogy(means, decayed, "s--", ms=5, color=figures.GREEN, label=f"_{names[2]}")
    ax.fill_between(means, free, decayed, color=figures.GREEN, alpha=0.15, lw=0)
    for place, name, colour in zip(((0.13, 0.067), (0.03, 0.0165), (0.36, 0.034)), names,
                                   (figures.BLUE, figures.ORANGE, figures.GREEN), strict=True):
        ax.text(*place, name, color=colour)
    ax.text(0.03, 0.031, "λ = 10 rescues here", color=figures.GREY)
    ax.text(0.62, 0.018, "all borders meet:\nno rescue", color=figures.GREY)


# %% tags=["hide-input"]
fig, ax = figures.subplots()
names = ("full batch, λ = 0", "minibatch, λ = 0", "minibatch, λ = 10")
draw_borders(ax, names)
ax.set(xlabel="common mean of all inputs", ylabel="largest stable learning rate")
ax.set(xlim=(-0.02, 1.05), ylim=(0.003, 0.09))
ax.set_yticks([0.005, 0.01, 0.02, 0.05], ["0.005", "0.01", "0.02", "0.05"])
ax.minorticks_off()
ax.set_title("A common mean of the inputs leaves λ = 10 nothing to rescue")
lines = {name[1:]: each.y for name, each in figures.drawn(ax).items() if name[0] == "_"}
figures.show(fig, "Largest stable learning rate, logarithmic, against the common mean of the "
             f"inputs. At mean 0 it is {lines['full batch, λ = 0'][0]:.3f} for full batches, "
             f"{lines['minibatch, λ = 0'][0]:.3f} for minibatches without decay and "
             f"{lines['minibatch, λ = 10'][0]:.3f} with λ = 10. At mean 1 all three are about "
             f"{lines['full batch, λ = 0'][-1]:.4f}.")

# %% tags=["hide-input"]
ratio = edges[:, 1:] / edges[:, :1]
claim("02-mean-window", "Up to a common mean of 0.3, λ = 10 raises the border of minibatches at "
      "least {} times", measured=ratio[:4, 1] / ratio[:4, 0], above=1)

# %% tags=["hide-input"]
claim("02-mean", "With a common mean of 0.75 or 1, the border of minibatches without decay is at "
      "least {} times that of full batches: nothing is left to rescue",
      measured=ratio[6:, 0], above=1)

# %% [markdown]
# With a common mean of 0.75 or more, an η at which minibatches explode is too large for full batches as well. And the
# stable η of full batches falls from {{edges[0, 0]:.3f}} at mean 0 to {{edges[-1, 0]:.4f}} at mean 1: standardise your inputs.
#
# ## 2.10 What λ = 10 gained
#
# The reader of §2.1 also reports a low test error, with a training loss that "seems to be somewhat erratic" (Figure 2.15,
# left; §2.11 says why). What do the penalty and the hovering do to the test error? We compare SGD with two exact minima: for $\lambda = 10$, and for $\lambda\to0$. The baseline uses no inputs: it
# answers the mean of the 20 training targets.

# %%
decayed = sweep(MLP((200, 1), init="normal"), data, targets, loss="mse", batch_size=5,
                seeds=seeds(20), lr=0.03, weight_decay=10, steps=800)
late = decayed.train_loss.values[:, 400:]
w, b = decayed.weight0[:, 0].values, decayed.bias0[:, 0].values  # data set, output (one), input
fresh = [make_regression(100, seed=seed + 500) for seed in seeds(20)]
# `split_of` marks the fresh examples as a test set: no sweep would train on them.
test = split_of((data, targets), [np.stack(part) for part in zip(*fresh, strict=True)]).test


# %% tags=["hide-input"]
def test_error(w, b):
    answers = np.einsum("snd,sd->sn", test.X, w) + np.reshape(b, (20, 1))
    return np.mean((answers - test.y) ** 2, axis=1)  # of each data set


exact = [ridge(*problem, 10, loss="mse") for problem in problems]
barely = [ridge(*problem, 1e-6) for problem in problems]  # λ → 0
left = [np.mean((A @ v + c - z) ** 2) for (A, z), (v, c) in zip(problems, exact, strict=True)]
errors = {"SGD, λ = 10": test_error(w, b),
          "exact, λ = 10": test_error(*map(np.array, zip(*exact, strict=True))),
          "exact, λ → 0": test_error(*map(np.array, zip(*barely, strict=True))),
          "answer the mean": test_error(0 * w, targets.mean(1)[:, None])}
gains = {name: 100 - 100 * each / errors["answer the mean"] for name, each in errors.items()}

# %% tags=["hide-input"]
fig, (loss, ax) = figures.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=(2, 3))
loss.plot(range(400, 601), late[0, :201], color=figures.ORANGE, lw=1)
loss.set(xlabel="step", ylabel="training loss", xlim=(400, 600), ylim=(0, None))
loss.set_title("SGD, λ = 10, one data set", size=10, weight="normal")
rows = tuple(errors)[:3]
for row, name in enumerate(rows):
    colour = (figures.ORANGE, figures.BLUE, figures.GREEN)[row]
    ax.plot(gains[name], np.full(20, row), "o", ms=4, color=colour, label=f"_{name}")
    ax.plot(gains[name].mean(), row, "|", ms=26, mew=3, color=colour, label=f"_mean of {name}")
ax.axvline(0, color=figures.GREY, lw=1)
ax.set_yticks(range(3), rows)
ax.set(xlabel="gain in test error against the mean, %", ylabel=" ", ylim=(2.5, -0.5))
ax.set_title("20 data sets, and means", size=10, weight="normal")
level = {name[9:]: each.x[0] for name, each in figures.drawn(ax).items() if "_mean" in name}
figures.title(fig, f"The fit gains {level['exact, λ = 10']:.0f} %, and hovering costs all of it")
figures.show(fig, "Left, the training loss of one run with λ = 10, which jumps up and down. Right, "
             "by how many percent the test error is below that of answering the mean target: "
             + " ".join(f"{name}: {value:.1f} on average." for name, value in level.items()))

# %% tags=["hide-input"]
norm = np.linalg.norm(w, axis=1) / np.linalg.norm(np.full(200, 0.01))
claim("S2-07", "With λ = 10 the late training loss fluctuates by {} times its mean",
      measured=(late.std(1) / late.mean(1)).mean(), above=0.4)

# %% tags=["hide-input"]
claim("S2-07", "SGD's test error at λ = 10 is {} times that of answering the mean, on average",
      measured=(errors["SGD, λ = 10"] / errors["answer the mean"]).mean(), between=(0.85, 1.15))
claim("S2-07", "With λ = 10 the weights have {} times the norm of the true weights, on average",
      measured=norm.mean(), between=(0.2, 0.7))

# %% tags=["hide-input"]
claim("02-fit", "The exact minima for λ = 10 and λ → 0 have test errors at least {} % below "
      "that of answering the mean, on average",
      measured=[gains[name].mean() for name in ("exact, λ = 10", "exact, λ → 0")], above=0)

# %% tags=["hide-input"]
again = [[np.mean((fresh[i][0] @ v + c - fresh[i][1]) ** 2)
          for v, c in ((w[i], b[i]), exact[i], barely[i], (0 * w[i], targets[i].mean()))]
         for i in range(20)]

# %% tags=["hide-input"]
claim("02-test-errors", "The four test errors, model by model and data set by data set",
      measured=np.stack([*errors.values()], axis=1) - again, equals=0, within=1e-12)
slope = [2 / 20 * A.T @ (A @ v + c - z) + 10 * v
         for (A, z), (v, c) in zip(problems, exact, strict=True)]
claim("02-exact", "At the exact minimum loss and penalty have no slope",
      measured=slope, equals=0, within=1e-9)
claim("02-interpolates", "For λ → 0 the errors on the training examples are zero",
      measured=[A @ v + c - z for (A, z), (v, c) in zip(problems, barely, strict=True)],
      equals=0, within=1e-6)
claims.identities()

# %% [markdown]
# Using the inputs lowers the test error by {{level["exact, λ = 10"]:.0f}} %, and the hovering at $\eta = 0.03$ costs all of
# that. At the exact minimum λ = 10 is no better than $\lambda\to0$, which lowers it by {{level["exact, λ → 0"]:.0f}} %.
#
# Then what did λ = 10 gain? Stability, first. And it erases the random start. Without decay SGD never changes the
# {{200 - 20}} directions of the weights alone that no input has. From the start with N(0, 1) weights it keeps about
# {{200 - 20}} of test error in them, at *any* stable η ([chapter 1](01_what_an_l2_penalty_does.ipynb)).
#
# ## 2.11 Does SGD minimise the loss?
#
# A lesson says that "the objective of SGD is to minimize the loss function". Its steps follow the gradient only *on
# average*. Where the batches disagree about the minimum, the weights never settle at a constant learning rate. This
# section says how far they stay away. Let $w_\lambda$ be the minimum of loss plus penalty, $H = H_0 + \lambda I$ their
# Hessian, and $C$ the covariance of the single examples' gradients at $w_\lambda$. Batches $B$ are drawn independently.
#
# 1. Pretend every batch has the Hessian $H$ of the full loss (exercise 9 says what that costs). Then a step multiplies the
#    deviation $w-w_\lambda$ by $I-\eta H$, and adds noise of covariance $\eta^2 C/|B|$.
# 2. In the long run the deviations have a covariance $S$ that one more step leaves as it is:
#    $S = (I-\eta H)\,S\,(I-\eta H) + \eta^2 C/|B|$, that is, $HS + SH - \eta HSH = \eta C/|B|$.
# 3. For small η drop the third term, and take the trace: $2\operatorname{tr}(HS) \approx \eta\operatorname{tr}(C)/|B|$.
# 4. The mean excess over the minimum is $E = \frac12\operatorname{tr}(HS)$, so
#
# $$E \approx \frac{\eta}{4}\, \frac{\operatorname{tr} C}{|B|}. \tag{2.8}$$
#
# Twice the batch with twice the learning rate leaves the excess as it is: one reason for the *linear scaling rule*. With
# momentum, put $\frac{\eta}{1-\mu}$ for η, as long as it is small. In regression with noise of variance $\sigma^2$ in the
# targets, $C \approx 2\sigma^2 H_0$: the noise is largest where the curvature is.
#
# **Shuffled epochs.** Data loaders do not draw independently. They shuffle, so that an epoch of $k$ batches takes the
# gradient of each example once. At $w_\lambda$ these gradients, with the penalty's, sum to zero. So the noise gathers and
# cancels again: after $t$ steps of an epoch its covariance is about $\eta^2\, t\,(1-\frac tk)\, C/|B|$, on average over
# $t$ this is $\eta^2 k\, C/(6|B|)$, and half the trace of $H$ times that is
#
# $$E_{\text{shuffled}} \approx \frac{\eta^2 k}{12}\, \frac{\operatorname{tr}(HC)}{|B|}. \tag{2.9}$$
#
# It holds for many batches, while $\eta k$ times the curvature is small. Figure 2.16 shows weights of a model with
# two inputs, without penalty. Will the clouds be long where the valley is long?


# %%
def wander(X, y, start, lrs, batches, weight_decay):
    """How far SGD on the mean squared error is from its start, at every step and rate."""
    w, y = np.stack([start] * len(lrs), axis=1), y[:, None]  # a column for each learning rate
    path = []
    for rows in batches:
        error = X[rows] @ w - y[rows]
        w = w - lrs * (2 * X[rows].T @ error / len(rows) + weight_decay * w)
        path.append(w - start[:, None])
    return np.array(path)


# %%
def excess_at(deviations, H):  # a column for each
    return (deviations * (H @ deviations)).sum(-2) / 2


def independent(rng, steps, size):
    return rng.integers(200, size=(steps, size))


def shuffled(rng, steps, size):
    epochs = steps * size // 200
    return np.concatenate([rng.permutation(200) for _ in range(epochs)]).reshape(-1, size)


def moments(X, y, weight_decay):
    """Minimum, Hessian and covariance of the examples' gradients there."""
    lowest, _ = ridge(X, y, weight_decay, intercept=False, loss="mse")
    gradients = 2 * X * (X @ lowest - y)[:, None]
    H = 2 * X.T @ X / len(X) + weight_decay * np.eye(X.shape[1])
    return lowest, H, np.cov(gradients.T, bias=True)


# %%
pair, outcome = make_regression(200, seed=seeds(1)[0], n_inputs=2, weight=1.0, noise=1.0)
pair = pair @ [[1, 0.9], [0, 0.5]]  # two inputs that go together: a narrow valley
lowest, H, C = moments(pair, outcome, 0)
free = wander(pair, outcome, lowest, [0.02, 0.005], independent(claims.rng(), 80_000, 5), 0)
tied = wander(pair, outcome, lowest, [0.005], shuffled(claims.rng(), 20_000, 5), 0)


# %% tags=["hide-input"]
def settled(H, C, lr, size):
    """The covariance S of step 2."""
    once = np.kron(np.eye(len(H)) - lr * H, np.eye(len(H)) - lr * H)
    return np.linalg.solve(np.eye(len(once)) - once, lr**2 * C.ravel() / size).reshape(C.shape)


def draw_cloud(ax, cloud, colour, name, lr):
    some = cloud[:: len(cloud) // 250 + 1]  # at all phases of an epoch
    ax.plot(*some.T, ".", ms=3, alpha=0.5, color=colour, label=f"_{name}")
    if name[0] == "i":  # two standard deviations by step 2
        circle = np.stack([np.cos(np.linspace(0, 7, 99)), np.sin(np.linspace(0, 7, 99))])
        ax.plot(*(2 * np.linalg.cholesky(settled(H, C, lr, 5)) @ circle), color="black", lw=1.5)


# %% tags=["hide-input"]
def draw_valley(ax, room, name):
    """Contours of the excess in a square around the minimum."""
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-room, room, 80)]), axis=-1)
    levels = np.array([0.1, 0.4]) * room**2
    height = excess_at(grid[..., None], H)[..., 0]
    ax.contour(*grid.T.swapaxes(1, 2), height, levels, colors="grey", linewidths=0.7)
    ticks = [-room / 2, 0, room / 2]
    ax.set(xlabel="$w_1$ − minimum", ylabel=" ", xlim=(-room, room), ylim=(-room, room),
           aspect="equal", xticks=ticks, yticks=ticks)
    ax.set_title(name, size=10, weight="normal")


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 3, figsize=(7.6, 3.3), sharex=True, sharey=True)
clouds = (("independent, 0.02", free[..., 0], figures.SKY, 0.02),
          ("independent, 0.005", free[..., 1], figures.BLUE, 0.005),
          ("shuffled, 0.005", tied[..., 0], figures.ORANGE, 0.005))
for ax, (name, cloud, colour, lr) in zip(axes, clouds, strict=True):
    draw_valley(ax, 0.2, name.replace(", ", ", η = "))
    draw_cloud(ax, cloud, colour, name, lr)
axes[1].text(-0.19, -0.185, "ellipse:\n2 s.d.", color="black")
axes[2].annotate("equal\nloss", (0.115, -0.115), (-0.17, -0.18), color=figures.GREY,
                 arrowprops={"arrowstyle": "->", "color": figures.GREY})
axes[0].set_ylabel("$w_2$ − minimum")
width = {name[1:]: np.std(each.x) for ax in axes for name, each in figures.drawn(ax).items()}
figures.title(fig, "In a narrow valley SGD's clouds are nearly round, and shuffling shrinks them")
told = "; ".join(f"{name}: {width[name]:.3f}" for name in width if name[:1] in "is")
figures.show(fig, "Clouds of weights around the minimum of a narrow valley, with ellipses of two "
             f"standard deviations by step 2. Standard deviations along the first weight: {told}.")

# %% [markdown]
# No: those of independent batches are almost *round*, since with $C$ in proportion to $H$ step 2 gives a round $S$ for small
# η. A quarter of η halves their width. The shuffled cloud has the shape of $C$, and lies *across* the valley.
#
# Now we measure. We start at the minimum of ten data sets (200 examples, 20 inputs, $\lambda = 0.2$), run SGD, and
# average the excess $\frac12(w-w_\lambda)^\top H\,(w-w_\lambda)$ over {{below: len(path):,}} steps. Figure 2.17
# compares it with the two laws.

# %%
etas, size = np.array([0.0025, 0.005, 0.01, 0.02]), 5
excess = {"independent": [], "shuffled": [], "law (2.8)": [], "law (2.9)": []}
for seed in seeds(10):
    inputs, outputs = make_regression(200, seed=seed, n_inputs=20, weight=1.0, noise=1.0)
    lowest, H, C = moments(inputs, outputs, 0.2)
    excess["law (2.8)"].append(etas / 4 * C.trace() / size)
    excess["law (2.9)"].append(etas**2 * (200 / size) / 12 * np.trace(H @ C) / size)
    draws = {"independent": independent(np.random.default_rng(seed), 4000, size),
             "shuffled": shuffled(np.random.default_rng(seed), 4000, size)}
    for name, rows in draws.items():
        path = wander(inputs, outputs, lowest, etas, rows, 0.2)
        excess[name].append(excess_at(path, H).mean(0))
excess = {name: np.mean(each, axis=0) for name, each in excess.items()}

# %% tags=["hide-input"]
def draw_excess(ax):
    """Measured excesses and the two laws."""
    looks = ("oC0", "sC1", "--C0", "--C1")
    for (name, each), style in zip(excess.items(), looks, strict=True):
        ax.loglog(etas, each, style, ms=6, label=name)
    ax.set(xlabel="learning rate η", ylabel="mean excess over the minimum", xlim=(0.0022, 0.029))
    ax.set_ylim(4e-4, 0.2)
    ax.set_xticks(etas, [f"{eta:g}" for eta in etas])
    ax.set_yticks([0.001, 0.003, 0.01, 0.03, 0.1], ["0.001", "0.003", "0.01", "0.03", "0.1"])
    ax.minorticks_off()


# %% tags=["hide-input"]
fig, ax = figures.subplots()
draw_excess(ax)
for x, y, words, colour in ((0.0027, 0.026, "independent: ∝ η", figures.BLUE),
                            (0.0062, 0.0031, "shuffled: ∝ η²", figures.ORANGE),
                            (0.0205, 0.075, "law (2.8)", figures.BLUE),
                            (0.0205, 0.051, "law (2.9)", figures.ORANGE)):
    ax.text(x, y, words, color=colour)
ax.set_title("The excess grows like η, and with shuffled epochs like η²")
marks = figures.drawn(ax)
figures.show(fig, "Mean excess over the minimum against the learning rate, both "
             "logarithmic, with the laws as dashed lines. Batches "
             f"drawn independently rise from {marks['independent'].y[0]:.4f} to "
             f"{marks['independent'].y[-1]:.3f}, next to the dashed line of (2.8), which ends "
             f"at {marks['law (2.8)'].y[-1]:.3f}. Shuffled batches rise more steeply, from "
             f"{marks['shuffled'].y[0]:.5f} to {marks['shuffled'].y[-1]:.3f}, where (2.9) says "
             f"{marks['law (2.9)'].y[-1]:.3f}.")

# %% tags=["hide-input"]
off = np.abs(np.log(excess["independent"] / excess["law (2.8)"]))[:3]
claim("02-noise", "For η up to 0.01 the excess of independent batches and (2.8) differ by at most "
      "a factor of {}", measured=np.exp(off), below=1.2)

# %% tags=["hide-input"]
claim("S3-13", "In shuffled epochs twice the learning rate (0.01 for 0.005) gives {} times the "
      "excess", measured=excess["shuffled"][2] / excess["shuffled"][1], between=(3, 4.2))

# %% tags=["hide-input"]
claim("02-shuffled", "In shuffled epochs, at η = 0.0025 and 0.005, the excess and (2.9) differ by "
      "at most a factor of {}",
      measured=np.exp(np.abs(np.log(excess["shuffled"] / excess["law (2.9)"]))[:2]), below=1.2)

# %% tags=["hide-input"]
still = wander(inputs, outputs, lowest, [0.01], np.tile(np.arange(200), (5, 1)), 0.2)
claim("02-still", "Full batches stay at the minimum",
      measured=still, equals=0, within=1e-12)


# %% tags=["hide-input"]
def objective(w):
    return np.mean((inputs @ w - outputs) ** 2) + 0.2 / 2 * w @ w


rise = objective(path[-1, :, 0] + lowest) - objective(lowest)
claim("02-excess", "The excess is what loss plus penalty have risen by",
      measured=excess_at(path[-1], H)[0] - rise, equals=0, within=1e-9)

# %% tags=["hide-input"]
order = shuffled(claims.rng(), 80, 5).reshape(2, 200)
claim("02-epochs", "Shuffled epochs have each example once",
      measured=np.sort(order) - np.arange(200), equals=0, within=1e-9)
S = settled(H, C, 0.01, 5)
claim("02-settled", "The ellipses are those of step 2",
      measured=H @ S + S @ H - 0.01 * H @ S @ H - 0.01 * C / 5, equals=0, within=1e-9)

# %% tags=["hide-input"]
slow_lr, rho, mu = 1e-6, 2.0, 0.9
step = np.array([[1 - slow_lr * rho, -mu], [slow_lr * rho, mu]])  # of w and u, as in (2.3)
noise = slow_lr**2 * np.outer([-1, 1], [-1, 1])  # of variance 1 in the gradient
variance = np.linalg.solve(np.eye(4) - np.kron(step, step), noise.ravel())[0]
claim("02-heavy-excess", "With momentum 0.9 and a small η, (2.8) holds with η/(1 − μ) for η",
      measured=rho * variance / 2 / (slow_lr / (1 - mu) / 4), equals=1, within=1e-6)
claims.identities()

# %% [markdown]
# Both laws hold without a free constant. By the ratio of (2.8) to (2.9), $3\operatorname{tr}C/(\eta k\operatorname{tr}(HC))$,
# shuffling wins most where η is small: at $\eta = 0.0025$ independent batches have
# {{excess["independent"][0] / excess["shuffled"][0]:.0f}} times the excess of shuffled ones, at 0.02 only
# {{excess["independent"][3] / excess["shuffled"][3]:.1f}} times.
#
# **In the puzzle λ itself makes the run hover.** Without λ the fit interpolates: at the minimum *every* example's gradient
# vanishes, so $C = 0$, and minibatch SGD settles where it is stable. With $\lambda = 10$ the errors at the minimum are not
# zero (their mean square is {{np.mean(left):.4f}}), so $C > 0$.
#
# ## 2.12 In practice
#
# | SGD | decay per step | half-life in steps | full batches are stable while |
# |---|---|---|---|
# | plain | $\eta\lambda$ | ${{np.log(2):.2f}}/(\eta\lambda)$ | $\eta \lt 2/(\rho_{\max}+\lambda)$ |
# | momentum, coupled | $\eta\lambda/(1-\mu)$, if small | ${{np.log(2):.2f}}\,(1-\mu)/(\eta\lambda)$ | $\eta \lt 2(1+\mu)/(\rho_{\max}+\lambda)$ |
# | momentum, decoupled | $\eta\lambda$ | ${{np.log(2):.2f}}/(\eta\lambda)$ | $\eta \lt 2(1+\mu)/(\rho_{\max}+(1+\mu)\lambda)$ |
#
# - *Choose λ by a half-life.* Say weights shall halve in 10 epochs of 400 batches, at $\eta = 0.1$ and $\mu = 0.9$. Then
#   $\lambda = {{np.log(2):.2f}}\,(1-\mu)/(10\cdot400\,\eta) = {{np.log(2) * (1 - 0.9) / (10 * 400 * 0.1):.5f}}$. A batch twice as
#   large has half the steps in an epoch, and at the same η doubles the half-life in epochs. If a half-life is
#   {{1 / 0.1:.0f}} times the training, a weight loses only ${{100 * (1 - 0.5**0.1):.0f}}\,\%$. For AdamW [Wang and Aitchison
#   (2025)](https://arxiv.org/abs/2405.13698) advise to keep $1/(\eta\lambda)$ between one epoch and the whole training.
# - *What to type.* Most image models start at `torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-4)` up to
#   `5e-4`; `AdamW` usually takes 0.01 to 0.1 (chapter 3 says why). Search λ by factors of 3.
# - *From coupled to decoupled SGD*, multiply λ by $1/(1-\mu)$; back by $1-\mu$.
# - *If a run blows up* at once, compute $2/\rho_{\max}$ for some minibatches (exercise 7) and lower η. With momentum, as a
#   rule of thumb, keep $\frac{\eta}{1-\mu}$ below it. In §2.8 that is too strict: it asks for
#   $\eta < {{(1 - 0.9) * np.mean(safe):.4f}}$, and 0.004 converges. Do not cure it with λ.
# - *If the loss hovers*, lower η, best at the end of the training, or enlarge the batch.
#
# ## 2.13 Myths
#
# **Weight decay can only make training more stable.** For full batches it narrows the stable range, by (2.5). For
# minibatches it may widen it, if their inputs are nearly orthogonal.
#
# **Momentum needs a smaller λ, since it multiplies the decay.** It multiplies coupled decay and the loss's pull alike:
# the minimum is the same, only the clock runs faster. With decoupled decay it multiplies the loss's pull alone, and to
# keep the minimum you need a *larger* λ.
#
# ## 2.14 Limits
#
# Stability was settled for a linear model; in a network the Hessian changes as you train. Adam breaks (2.1): see [chapter
# 3](03_one_lambda_many_meanings.ipynb). Under batch norm, decay changes the *learning rate* and not the function: see
# [chapter 8](08_effective_learning_rate.ipynb).
#
# ## 2.15 Exercises
#
# **1.** (One line.) Your run has $\eta = 0.01$, momentum 0.9, `weight_decay=1e-4` in `torch.optim.SGD`, and 50,000
# steps. What share of a weight that the loss ignores is left at the end?
#
# <details>
# <summary>Solution</summary>
#
# The rate is $\eta\lambda/(1-\mu) = {{0.01 * 1e-4 / (1 - 0.9):.0e}}$ per step. After 50,000 steps
# $e^{-{{50_000 * 0.01 * 1e-4 / (1 - 0.9):.1f}}} = {{100 * np.exp(-50_000 * 0.01 * 1e-4 / (1 - 0.9)):.0f}}\,\%$ is left.
# Without momentum it would be ${{100 * (1 - 0.01 * 1e-4) ** 50_000:.0f}}\,\%$.
#
# </details>
#
# **2.** (Proof.) An epoch has $k$ batches of curvature ρ, and the inputs are orthogonal: (2.6) becomes
# $(a-\eta\rho)\,a^{k-1}$. At the border without decay, $\eta\rho = 2$, for which $k$ does a little decay make it smaller
# in size?
#
# <details>
# <summary>Solution</summary>
#
# The logarithm of the size is $\ln(2-a) + (k-1)\ln a$. Its derivative at $a = 1$ is $-1 + (k-1) = k-2$. Decay lowers $a$,
# so it helps for $k > 2$. For $k = 2$ the derivative vanishes, but $(2-a)\,a = 1-(1-a)^2$ is below 1 for all
# $a$ between 0 and 1: decay helps, too. For $k = 1$, the full batch, $2-a$ grows: decay harms. So it takes *at least two* batches.
#
# Above the border, put $c > 2$ for the 2. With $k = 2$ the derivative is $1-\frac1{c-1} > 0$: decay helps at first
# order. On the puzzle's inputs, in batches of 10 ($k = 2$),
# `[np.mean([growth(Q, 0.045, decay, 10) for Q in grams.values()]) for decay in (0, 9)]` is $0.19$ and $-0.06$.
#
# </details>
#
# **3.** (Proof.) Derive the larger root of (2.3) to second order in $\eta\lambda$. Is the true decay slower or faster
# than $\eta\lambda/(1-\mu)$?
#
# <details>
# <summary>Solution</summary>
#
# Put $z = 1 - \delta$ in (2.3): $\delta^2 - \delta(1-\mu+\eta\lambda) + \eta\lambda = 0$. To first order
# $\delta_1 = \eta\lambda/(1-\mu)$. To second, $\delta \approx \delta_1 + \frac{\mu}{1-\mu}\delta_1^2$: faster. In
# §2.4 the ratio of the rates $-\ln|z|$ was {{more:.1f}} and not {{1 / (1 - 0.9):.0f}}. With the second-order δ,
# $-\ln(1-\delta)$ explains {{np.log(1 - 0.01 - 9 * 0.01**2) / np.log(1 - 0.001) - 10:.2f}} of the {{more - 10:.1f}}.
#
# </details>
#
# **4.** (Read this log.) A model has an embedding row whose token never occurs. Its norm is logged every 1000 steps of
# `SGD(lr=0.05, momentum=?, weight_decay=1e-4)`: 1.000, {{np.exp(-0.05):.3f}}, {{np.exp(-0.1):.3f}},
# {{np.exp(-0.15):.3f}}. Which momentum was used? And what would the log look like if the optimiser were decoupled?
#
# <details>
# <summary>Solution</summary>
#
# Each 1000 steps multiply by $e^{-0.05}$, so the rate is $5\cdot10^{-5}$ per step, which is
# {{5e-5 / (0.05 * 1e-4):.0f}} times $\eta\lambda = {{0.05 * 1e-4:.0e}}$. So $1/(1-\mu) = 10$ and $\mu = 0.9$.
# Decoupled, each 1000 steps would multiply by $e^{-0.005} = {{np.exp(-0.005):.3f}}$, whatever the momentum.
#
# </details>
#
# **5.** (A forum.) A user's loss explodes. With much more weight decay it does not. Is weight decay the cure? Answer
# in three sentences.
#
# <details>
# <summary>A possible answer</summary>
#
# It can be, if you train in minibatches without momentum and your inputs are nearly orthogonal: then the decay in the other
# batches outweighs the overshoot of one. In full batches, or if the inputs have a common mean, decay adds to the
# overshoot; with momentum 0.9 it takes a far larger λ. A smaller η works in all these cases, and leaves the minimum as it
# is.
#
# </details>
#
# **6.** (Predict, then run.) Use (2.6) to find the smallest λ that stabilises $\eta = 0.028$, and compare with `growth`
# on the real inputs. Then to momentum 0.9: is the λ that rescues $\eta = 0.01$ larger or smaller than the one of §2.8 for
# $\eta = 0.008$? Find it with `growth(…, mu=0.9)`.
#
# <details>
# <summary>Solution</summary>
#
# Solve $|a - {{80 * 0.028:.2f}}|\,a^3 = 1$: $a \approx {{1 - 0.028 * hand_border(0.028):.3f}}$, so
# $\lambda \approx {{hand_border(0.028):.1f}}$. The measured crossing lies higher, near 5.7: try
# `[np.mean([growth(Q, 0.028, decay) for Q in grams.values()]) for decay in (3, 4, 5, 6)]`.
#
# With momentum it is larger, as a larger η overshoots further, and between 80 and 100:
# `[np.mean([growth(Q, 0.01, decay, mu=0.9) for Q in grams.values()]) for decay in (60, 80, 100, 120)]` is
# $0.06$, $0.01$, $-0.01$ and $-0.03$.
#
# </details>
#
# **7.** (Your own network.) Compute $2/\rho_{\max}$ of one minibatch of a network of yours, before training and after an
# epoch. Is your learning rate below it?
#
# <details>
# <summary>A start</summary>
#
# Power iteration needs only Hessian-vector products. With `loss` of one batch and `params` a list of its parameters,
# and `v` a list of random tensors of their shapes: `g = torch.autograd.grad(loss, params, create_graph=True)` once,
# then repeatedly `Hv = torch.autograd.grad(g, params, v, retain_graph=True)`, and `v` is `Hv` divided by its norm. The
# norm tends to the largest curvature in size. With momentum 0.9 an η below $2/\rho_{\max}$ may still explode (§2.8).
# Add λ for parameters that decay. Do not be alarmed by an η somewhat above $2/\rho_{\max}$: training with full batches
# often drives the curvature up to $2/\eta$ and goes on there ([Cohen et al. 2021](https://arxiv.org/abs/2103.00065)).
#
# </details>
#
# **8.** (Derive, then check.) How fast is the slow process of §2.8, the intercept's? Take the inputs as orthogonal, let the weights
# follow the intercept, and find the exponent. Compare with `growth`.
#
# <details>
# <summary>Solution</summary>
#
# For a given $b$ the weights come to a standstill at $\frac{2\cdot 200}{20}\epsilon + \lambda(\epsilon - b) = 0$, so
# $\epsilon = \frac{\lambda}{20+\lambda}b$. The intercept then shrinks by $1-\frac{2\eta\lambda}{20+\lambda}$ a step:
# $\Gamma\approx -\frac{8\eta\lambda}{20+\lambda}$, that is ${{-8 * 0.03 * 10 / (20 + 10):.2f}}$ at $\lambda = 10$ and
# ${{-8 * 0.03 * 20 / (20 + 20):.2f}}$ at 20. Measured: $-0.10$ and $-0.16$. So
# $\Gamma$ does fall with λ, slowly. The estimate lets the weights come to their standstill before the intercept moves. That holds
# for small steps only, and here $\eta(20+\lambda)$ is about 1.
#
# </details>
#
# **9.** (Break a claim.) (2.8) says how the excess depends on $|B|$. Which smaller batch size, in the cell that computes
# `excess`, makes the claim `02-noise` fail? Predict in which direction, and say which assumption breaks.
#
# <details>
# <summary>Solution</summary>
#
# Set `size = 1`. At $\eta = 0.01$ the excess is then 1.25 times (2.8), while the claim allows 1.2. (`02-shuffled` fails
# too: with $k = 200$, $\eta k$ times the curvature is not small.) Step 1 of the derivation took the noise at the minimum. Away from it an example's gradient differs by $(2xx^\top - H_0)(w-w_\lambda)$.
# For normal inputs the trace of this extra noise is about $\operatorname{tr}H_0\operatorname{tr}(HS)$. Put it into step 3:
#
# $$E \approx \frac{\eta}{4}\,\frac{\operatorname{tr} C}{|B|} \Big/ \Big(1-\frac{\eta\operatorname{tr}H_0}{2|B|}\Big).$$
#
# With 20 inputs of variance 1, $\operatorname{tr}H_0\approx 40$: the correction is
# {{1 / (1 - 0.01 * 40 / 2):.2f}} at $\eta = 0.01$ and $|B| = 1$, and {{1 / (1 - 0.01 * 40 / 10):.2f}} at $|B| = 5$.
#
# </details>
#
# ## 2.16 Where next, and sources
#
# [Chapter 3](03_one_lambda_many_meanings.ipynb) translates λ between frameworks and shows where Adam parts from weight
# decay.
#
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: the toy problem.
# - [Hanson and Pratt
#   (1988)](https://papers.nips.cc/paper_files/paper/1988/hash/1c9ac0159c94d8d0cbedc973445af2da-Abstract.html) and
#   [Krogh and Hertz
#   (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html): early weight
#   decay.
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): coupled and decoupled decay.
# - [Goh (2017)](https://doi.org/10.23915/distill.00006), *Why Momentum Really Works*: (2.3) with pictures that move.
# - [Mandt, Hoffman and Blei (2017)](https://arxiv.org/abs/1704.04289) (step 2 of §2.11 without its third term) and
#   [Bottou, Curtis and Nocedal (2018)](https://arxiv.org/abs/1606.04838): SGD at a constant learning rate.
# - [Mishchenko, Khaled and Richtárik (2020)](https://arxiv.org/abs/2006.05988): a bound for shuffled epochs, in proportion
#   to $\eta^2$.
# - [Ma, Bassily and Belkin (2018)](https://arxiv.org/abs/1712.06559) and
#   [Wu, Ma and E (2018)](https://nips.cc/virtual/2018/poster/11792): which learning rates SGD tolerates.
#
# ## 2.17 The sources, line by line
#
# The book began with four short texts ([chapter 0](00_start_here.ipynb) names them: a question and answer, a paper, a
# forum thread and a beginner's lesson). This table says what became of their 8 sentences that this chapter decides.

# %% tags=["hide-input"]
claim("S2-06", "PyTorch's `.norm()` of (3, −4) is 5, the L2 norm; the L1 norm would be 7",
      measured=torch.tensor([3.0, -4.0]).norm(), equals=5, within=1e-6)
claims.identities()

# %%
verdict("S0-11", "under conditions",
        "Exactly L2 for SGD at a constant η: λ = 0.01/η (decay, then step), or λ′ = 0.01/η′ with "
        "η′ = 0.99η (step, then decay). With momentum μ, too: then λ is (1 − μ) times as large, "
        "the momentum 0.99μ. Not under a schedule.")
# %%
verdict("S2-05", "true",
        f"Minibatches of 5 explode above η ≈ {crossing:.3f}. Full batches tolerate "
        f"{full.mean():.2f}.")

# %% tags=["hide-input"]
verdict("S2-06", "false", "It is the L2 norm.")

# %%
verdict("S2-07", "under conditions",
        "It hovers, as said, and stays bounded because the other batches' decay outweighs the "
        "overshoot of nearly orthogonal inputs. The test error is low only beside an explosion: "
        "about that of answering the mean target.")

# %%
verdict("S2-08", "true",
        "0.03 in place of 0.003 crosses the threshold, which at the reader's λ = 3 is about "
        f"{zero_of(lrs, plane[:, 3]):.3f}, whatever the targets.")

# %%
verdict("S2-09", "under conditions",
        "For a linear model and SGD without momentum, 2/ρ of the minibatches is a safe bound "
        "before training, and (2.7) simulates the threshold without targets. In a network both "
        "change as it trains.")

# %%
verdict("S3-09", "under conditions",
        f"True of the minimiser. SGD follows only if it is stable, for which 0 < ηλ < 2 is "
        f"necessary: at ηλ = {0.1 * 21:g} it grows as 1.1ᵗ.")

# %% tags=["hide-input"]
verdict("S3-13", "under conditions",
        "On average over batches. At constant η it hovers unless all batches share the minimum; "
        "the excess grows with η for independent batches, with η² for short shuffled epochs.")
claims.verdicts()
