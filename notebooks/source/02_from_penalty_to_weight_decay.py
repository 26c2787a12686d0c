# %% [markdown]
# # 2 From penalty to weight decay
#
# A penalty is a term in a loss. *Weight decay* is what a training step makes of it: each weight is multiplied by a
# number a little below one. When are the two the same thing? How fast does a weight decay, with and without momentum?
# And when does a step that should shrink the weights blow them up instead? These questions matter because
# `weight_decay` never acts alone. It acts together with the learning rate, the momentum and the batch size, and a
# value that is harmless in one combination destroys the run in another.
#
# By the end of this chapter you will be able to
#
# - turn "multiply all weights by 0.99 every batch" into a λ, and back;
# - say after how many steps a weight has forgotten its start, and what momentum does to that number;
# - translate between coupled and decoupled decay under momentum;
# - compute, before any training, at which learning rate a linear model diverges;
# - predict how far from its minimum SGD keeps jumping around.
#
# *Reading time one hour; the code runs in about 10 seconds.*

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
# $y = 0.05 + 0.01\sum_j x_j$ plus a little noise. The loss is the mean squared error, without a factor ½. They raise
# the learning rate from 0.003 to 0.03. The loss explodes. Then they raise the penalty to $\lambda = 10$, and the loss
# stays small. The answer on the forum is that learning rates are tricky. We run four variants of this experiment, in
# plain NumPy. Which of them will explode?


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
claim("02-powers", "the exponents of the growth are those of the runs",
      measured=[power - np.log10(losses[29] / losses[0])
                for power, losses in zip(powers.values(), runs.values(), strict=True)],
      equals=0, within=1e-9)
error = X @ np.random.default_rng(1).standard_normal(200) - y  # of the start
shrunk = np.eye(20) - 0.03 * 2 / 20 * (X @ X.T + 1)  # what a full step makes of errors
errors = [np.linalg.matrix_power(shrunk, epoch) @ error for epoch in range(30)]
claim("02-full-batch", "the full-batch run has the losses of its linear recursion",
      measured=np.mean(np.square(errors), axis=1) / runs[0, 20], equals=1, within=1e-6)
claims.identities()

# %% tags=["hide-input"]
grown, fallen = ([powers.get(name, np.nan) for name in names]
                 for names in (("minibatch, λ = 0", "minibatch, λ = 3"),
                               ("minibatch, λ = 10", "full batch, λ = 0")))
claim("S2-05", "in minibatches with λ = 0 or 3 the loss grows by a factor of 10 to the {} or more",
      measured=grown, above=2)
claim("S2-07", "with λ = 10, or in full batches, it falls by a factor of 10 to the {} or more",
      measured=np.negative(fallen), above=2)

# %% [markdown]
# Two things in Figure 2.1 ask for an explanation. More penalty stabilises, although a penalty adds something to the
# gradient and so should make steps *larger*. And the exploding curves are straight lines on a logarithmic axis, so
# that each epoch multiplies the error by about the same factor. In §2.6 you will estimate this factor by hand, and
# see how much the estimate misses. In §2.7 you will compute it exactly, from the inputs alone. First, what does a
# single step do?
#
# ## 2.2 The shrink factor
#
# One step of gradient descent on $L(w) + \frac\lambda2\lVert w\rVert^2$, with $g = \nabla L(w)$, is
#
# $$w - \eta\,(g + \lambda w) \;=\; (1 - \eta\lambda)\,w - \eta\, g. \tag{2.1}$$
#
# The penalty multiplies the weight by the *shrink factor* $a = 1-\eta\lambda$, and then
# the loss takes its usual step, with the gradient at the old weight. A weight that the loss ignores, such as the
# embedding of a word that never occurs, feels the factor alone: after $t$ steps, $a^t$ of it is left. Figure 2.2
# shows what this means for different values of the product $\eta\lambda$.

# %%
fig, axes = figures.subplots(1, 2, sharex=True)
t = np.arange(0, 21)
for ax, rates in zip(axes, ((0.02, 0.5, 1.5), (2.1,)), strict=True):
    for rate in rates:
        colour = figures.PINK if rate > 2 else None
        ax.plot(t, (1 - rate) ** t, "o-", ms=3, color=colour, label=f"ηλ = {rate:g}")
    ax.set(xlabel="step", ylabel=" ", xlim=(0, 20.5), xticks=range(0, 21, 5))
axes[0].set(ylabel="weight (started at 1)", ylim=(-0.65, 1.05))
axes[0].text(9, 0.89, "ηλ = 0.02", color="C0"), axes[0].text(4, 0.13, "ηλ = 0.5", color="C1")
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
# 2. A weight without gradient halves in $\ln 2/(-\ln a) \approx {{np.log(2):.2f}}/(\eta\lambda)$ steps. Call that its
#    *half-life*. The library's `half_life(lr, weight_decay)` is this one line.
# 3. Decay shrinks only while $|a| < 1$, that is for $0 < \eta\lambda < 2$. Between 1 and 2 the weight changes sign at
#    every step, but still shrinks. Above 2 each step jumps across zero and lands further away than it started.
#
# The third fact limits a sentence that one often reads: a large λ makes the model set its weights close to zero. The
# *minimiser* does go to zero. Gradient descent follows it only while $\eta\lambda < 2$. Let us ask PyTorch itself by
# what factor it multiplies a weight without gradient; momentum will come in §2.4.


# %%
def factor(lr, weight_decay, momentum=0.0):
    """By what torch.optim.SGD multiplies a weight without gradient, per step, in the long run."""
    weight, path = torch.nn.Parameter(torch.ones(1, dtype=torch.float64)), []
    optimizer = torch.optim.SGD([weight], lr=lr, weight_decay=weight_decay, momentum=momentum)
    for _ in range(1000):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        path.append(abs(weight.item()))
    # Compare peaks, as the weight may swing: those of two windows that lie 400 steps apart.
    return (max(path[-100:]) / max(path[-500:-400])) ** (1 / 400)


# %% tags=["hide-input"]
claim("S3-09", "at ηλ = 2.1 PyTorch's SGD makes a weight 1.1 times as large at every step",
      measured=factor(0.1, 21), equals=1.1, within=1e-9)
weights, _ = ridge(X, y, [1, 1e9])
claim("S3-09", "yet the minimiser goes to zero: its norm at λ = 10⁹, relative to λ = 1",
      measured=np.linalg.norm(weights[1]) / np.linalg.norm(weights[0]), below=1e-6)
claim("02-half-life", "after one half-life of steps a weight is halved",
      measured=factor(0.1, 0.02) ** half_life(0.1, 0.02), equals=0.5, within=1e-9)
claims.identities()

# %% [markdown]
# For a whole model, PyTorch's SGD takes λ as `weight_decay`, and parameter groups keep the bias out of it. The cell
# below trains a linear layer this way, and next to it takes the same steps by hand, as (2.1) has them.

# %%
layer = torch.nn.Linear(200, 1, dtype=torch.float64)
torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
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

# %% tags=["hide-input"]
claim("02-torch", "torch.optim.SGD takes the same 100 steps as (2.1) by hand",
      measured=np.abs(layer.weight.detach().numpy()[0] - w), below=1e-12)
many = sweep(MLP((200, 1), init="zeros"), X, y, loss="mse", steps=100, lr=0.003,
             weight_decay=[0, 3])
claim("02-sweep", "and so does `sweep`, with which this chapter trains many models at once",
      measured=many["weight0"].sel(weight_decay=3).values.ravel() - w, equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# So under plain SGD a penalty *is* decay, step by step. The next two sections change one thing at a time.
#
# ## 2.3 To "multiply all weights by 0.99 every batch"
#
# A well-known answer says that L2 is almost the same as this rule. Under plain SGD with a constant learning rate it is
# *exactly* the same, with an η and a λ that depend on the order. Write $a = 0.99$.
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


def final(step, w=(0.3, -1.2, 2.0), steps=20):
    w = np.array(w)
    for t in range(steps):
        w = step(w, t)
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
claim("S0-11", "decay, then step, is L2 with λ = 0.01/η",
      measured=np.abs(before - l2_before), below=1e-12)
claim("S0-11", "step, then decay, is L2 with η′ = 0.99η and λ′ = 0.01/(0.99η)",
      measured=np.abs(after - l2_after), below=1e-12)
rates = np.reshape(schedule, (4, 5))  # a row for every 5 steps

# %% tags=["hide-input"]
slopes = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
(slopes**4 / 4 - slopes * slopes.roll(1) + slopes / 2).sum().backward()
claim("02-gradient", "`gradient` is that of the loss L",
      measured=slopes.grad.numpy() - gradient(slopes.detach().numpy()), equals=0, within=1e-12)
claim("02-schedule", "every 5 steps the learning rate is half of what it was, from η on",
      measured=rates.T / lr - [1, 1 / 2, 1 / 4, 1 / 8], equals=0, within=1e-12)
claims.identities()
claim("S0-11", "under the schedule a literal 0.99 and L2 end {} apart, in the largest weight",
      measured=np.abs(literal - penalty).max(), above=0.05)

# %% [markdown]
# No. Figure 2.3 shows why: L2 under a schedule decays by $\eta_t\lambda$ and fades with the learning rate, while a
# literal 0.99 goes on as before.

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 2.8))
left_by = {"literal 0.99": np.full(20, a), "L2": 1 - np.array(schedule) * (1 - a) / lr}
for name, factors in left_by.items():
    ax.plot(range(21), np.cumprod([1, *factors]), "o-", ms=3, label=name)
ax.vlines([5, 10, 15], 0.78, 1.01, color=figures.GREY, linestyles=":", lw=0.8)
ax.text(5.2, 0.8, "η halves here, and at the other dotted lines", color=figures.GREY)
ax.set(xlabel="step", ylabel="weight without gradient", xlim=(0, 24), ylim=(0.78, 1.01))
ax.set_xticks(range(0, 21, 5))
figures.label_lines(ax)
ax.set_title("Under a schedule L2 fades, and a literal 0.99 does not")
end = {name: each.y[-1] for name, each in figures.drawn(ax).items()}
figures.show(fig, "A weight without gradient, started at 1, over 20 steps; the learning rate "
             f"halves every 5. Under the literal 0.99 it falls to "
             f"{end['literal 0.99']:.2f}, under L2 it levels off at {end['L2']:.2f}.")

# %% [markdown]
# So the rule is L2 as long as nothing else changes. It is also very strong. With 0.99 per batch a weight's
# half-life is {{half_life(lr, (1 - a) / lr):.0f}} batches, which is far less than an epoch of most data sets.
#
# ## 2.4 Momentum multiplies small decay
#
# Nearly all SGD in practice uses momentum, so the half-life of §2.2 needs a correction before you can use it. PyTorch
# adds the penalty's gradient *before* the momentum buffer $m$ (*coupled* decay):
#
# $$m \leftarrow \mu m + g + \lambda w, \qquad w \leftarrow w - \eta m. \tag{2.2}$$
#
# Take a weight that the loss ignores, $g = 0$, and write $u = \eta m$. Then each step multiplies the pair $(w, u)$ by
# a fixed matrix, and the roots $z$ of its characteristic polynomial say how fast:
#
# $$\begin{pmatrix} w\\ u\end{pmatrix} \leftarrow \begin{pmatrix} 1-\eta\lambda & -\mu\\ \eta\lambda & \mu\end{pmatrix}
# \begin{pmatrix} w\\ u\end{pmatrix},\qquad z^2 - (1 + \mu - \eta\lambda)\,z + \mu = 0. \tag{2.3}$$
#
# In the long run the larger root wins. Figure 2.4 shows the decay rate $-\ln|z|$ that it gives, against
# $\eta\lambda$, and Figure 2.5 the weight itself.


# %%
def root(x, mu):
    """Size of the larger root of (2.3) at ηλ = x."""
    middle = (1 + mu - x) / 2
    swing = np.emath.sqrt(middle**2 - mu)  # imaginary on the plateau
    return np.maximum(abs(middle + swing), abs(middle - swing))


# %% tags=["hide-input"]
def draw_rates(ax):
    """Decay rate against ηλ for four values of the momentum, up to where the weight grows."""
    places = {0: (2e-3, 7e-4), 0.5: (0.011, 0.42), 0.9: (0.13, 0.062), 0.99: (0.12, 0.006)}
    for mu, place in places.items():
        end = 2 * (1 + mu) - np.geomspace(1e-9, 1 + 2 * mu, 500)[::-1]
        x = np.append(np.geomspace(1e-6, 0.999, 3000), end[1:])
        ax.loglog(x, -np.log(root(x, mu)), label=f"μ = {mu:g}")
        ax.text(*place, f"μ = {mu:g}", color=ax.get_lines()[-1].get_color())
    ax.text(1.4e-6, 1.2e-3, "slope: rate ηλ/(1 − μ)", color=figures.GREY, rotation=33)
    ax.text(2.5e-4, 7.5e-2, "plateau: |z| = √μ", color=figures.GREY)
    ax.text(4.5, 4e-6, "growth\nfrom\n2(1 + μ)\non", color=figures.GREY)
    ax.set(xlim=(1e-6, 40), ylim=(1e-6, 6), xlabel="ηλ", ylabel="decay rate −ln|z| per step")


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 4.0))
draw_rates(ax)
cross = 1 - 0.9**0.5
arrow = {"arrowstyle": "->", "color": figures.GREY}
ax.plot(cross, -np.log(root(cross, 0.9)), "ko", mfc="white", ms=7, zorder=5, label="_crossing")
ax.annotate("from here on μ = 0.9\ndecays more slowly", (cross, 0.048), (0.03, 3e-4),
            color=figures.GREY, arrowprops=arrow, va="top")
ax.annotate("μ = 0, ηλ = 1:\ngone in one step", (0.93, 2.3), (3e-3, 1.6), color=figures.GREY,
            arrowprops=arrow, va="center")
ax.set_title("Momentum multiplies small decay and limits large decay")
marks = figures.drawn(ax)
flat = {name: np.median(marks[name].y[marks[name].x > 0.1]) for name in marks if name[0] == "μ"}
figures.show(fig, "Decay rate against ηλ, both logarithmic, for momentum 0, 0.5, 0.9 and "
             "0.99. Each curve first rises with slope one, higher for more momentum; then it is "
             f"flat, at {flat['μ = 0.5']:.2f}, {flat['μ = 0.9']:.3f} and {flat['μ = 0.99']:.4f}; "
             "near 2(1 + μ) it drops and the weight grows. Without momentum there is no flat part: "
             f"that curve crosses the one of 0.9 at ηλ = {marks['_crossing'].x[0]:.3f}.")

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 2.9), sharey=True)
for ax, x, n in ((axes[0], 0.002, 400), (axes[1], 0.1, 60)):
    for mu, colour in ((0.9, figures.GREEN), (0, figures.BLUE)):
        path = np.tile([1.0, 0.0], (n + 1, 1))  # w and u of (2.3)
        for t in range(n):
            path[t + 1] = np.array([[1 - x, -mu], [x, mu]]) @ path[t]
        ax.plot(path[:, 0], color=colour, label=f"μ = {mu:g}")
    ax.axhline(0, color=figures.GREY, lw=0.8)
    ax.set(xlabel="step", ylabel=" ", ylim=(-0.8, 1.05), xlim=(0, n))
    ax.set_title(f"ηλ = {x:g}", size=10, weight="normal")
axes[0].text(200, 0.72, "μ = 0", color=figures.BLUE)
axes[0].text(75, 0.25, "μ = 0.9", color=figures.GREEN)
axes[1].text(9, 0.45, "μ = 0", color=figures.BLUE), axes[1].text(33, 0.3, "μ = 0.9", color="C2")
axes[0].set_ylabel("weight (started at 1)")
figures.title(fig, "Momentum speeds small decay up, and makes large decay ring")
slow, ring = (figures.drawn(ax) for ax in axes)
figures.show(fig, "A weight without gradient over time. Left, ηλ = 0.002: after 400 steps "
             f"{slow['μ = 0'].y[-1]:.2f} is left without momentum and "
             f"{slow['μ = 0.9'].y[-1]:.4f} with 0.9. Right, ηλ = 0.1: without momentum the weight "
             f"falls smoothly, with 0.9 it swings, first down to {min(ring['μ = 0.9'].y):.2f}.")

# %% [markdown]
# There are three regimes.
#
# 1. **Slope.** As long as $\eta\lambda \ll (1-\sqrt\mu)^2$, the larger root is $z \approx 1 - \frac{\eta\lambda}{1-\mu}$.
#    With $\mu = 0.9$ that is *{{1 / (1 - 0.9):.0f}} times* the decay that the same numbers give without momentum.
# 2. **Plateau.** The two roots multiply to the determinant of the matrix in (2.3), which is $\mu$. Between
#    $\eta\lambda = (1-\sqrt\mu)^2$ and $(1+\sqrt\mu)^2$ they are complex, so both have size $\sqrt\mu$. The weight
#    swings around zero, and more λ is no longer more decay. With $\mu = 0.9$ the plateau begins at
#    $\eta\lambda = {{(1 - 0.9**0.5) ** 2:.4f}}$. From $\eta\lambda = 1-\sqrt\mu = {{1 - 0.9**0.5:.3f}}$ on, where
#    $a = \sqrt\mu$, momentum even slows decay down: at $\eta\lambda = 0.1$ the rate is
#    {{-np.log(root(0.1, 0.9)):.3f}} with it, and {{-np.log(1 - 0.1):.3f}} without.
# 3. **Blow-up.** Beyond $\eta\lambda = 2(1+\mu)$ a root lies below −1, and the weight grows without bound.

# %%
lr, weight_decay, mu = 0.1, 0.01, 0.9
more = np.log(factor(lr, weight_decay, mu)) / np.log(factor(lr, weight_decay))

# %% tags=["hide-input"]
claim("02-momentum-root", "PyTorch's factor with momentum 0.9 is the larger root of (2.3)",
      measured=factor(lr, weight_decay, mu) - root(lr * weight_decay, mu), equals=0, within=1e-6)
claim("02-momentum-blow-up", "also beyond 2(1 + μ), where the weight grows: ηλ = 3.81 and 3.9",
      measured=[factor(1, x, mu) - root(x, mu) for x in (3.81, 3.9)], equals=0, within=1e-6)
claim("02-momentum-end", "at ηλ = 2(1 + μ) a root of (2.3) is −1",
      measured=min(np.roots([1, 1 + mu, mu])), equals=-1, within=1e-9)

# %% tags=["hide-input"]
ends = [np.roots([1, x - 1 - mu, mu]) for x in ((1 - mu**0.5) ** 2, (1 + mu**0.5) ** 2)]
claim("02-momentum-border", "where the plateau begins and ends the two roots of (2.3) meet",
      measured=np.abs(np.diff(ends)), below=1e-6)
claim("S0-11", "on the plateau |z| = √μ: for ηλ = 0.01, 0.03, 0.3 and 3",
      measured=root(np.array([0.01, 0.03, 0.3, 3]), mu), equals=mu**0.5, within=1e-9)
claim("02-momentum-crossing", "at ηλ = 1 − √μ decay is as fast with momentum as without",
      measured=root(marks["_crossing"].x[0], mu) - root(marks["_crossing"].x[0], 0),
      equals=0, within=1e-9)
claim("02-momentum-time", "what is left in the picture is the factor of PyTorch, in the long run",
      measured=(slow["μ = 0.9"].y[-1] / slow["μ = 0.9"].y[-2]) - factor(0.1, 0.02, mu),
      equals=0, within=1e-6)
claims.identities()

# %%
claim("02-momentum-rate", "at η = 0.1, λ = 0.01, momentum 0.9 makes decay {} times as fast",
      measured=more, between=(1 / (1 - mu), 11.5))

# %% [markdown]
# **Typical settings.** With momentum, a weight without gradient halves in about
# ${{np.log(2):.2f}}\,(1-\mu)/(\eta\lambda)$ steps. Figure 2.6 compares this number with the length of the whole
# training, for the setting of [He et al. (2016)](https://arxiv.org/abs/1512.03385) and for three others of common
# size. Under AdamW the decay is exactly $1-\eta\lambda$, whatever its momentum; [chapter
# 3](03_one_lambda_many_meanings.ipynb) shows why.

# %%
settings = {  # learning rate, momentum that multiplies the decay, weight decay, steps of training
    "ResNet on ImageNet": (0.1, 0.9, 1e-4, 600_000),
    "small ResNet on CIFAR-10": (0.1, 0.9, 5e-4, 78_200),
    "the same without momentum": (0.1, 0.0, 5e-4, 78_200),
    "language model, AdamW": (3e-4, 0.0, 0.1, 250_000),
}
half_lives = {name: np.log(0.5) / np.log(root(lr * weight_decay, mu))
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
    momentum = "" if "AdamW" in name else f", μ = {mu:g}"
    names.append(f"{name}\nη = {lr:g}, λ = {weight_decay:g}{momentum}")
ax.text(half_lives["ResNet on ImageNet"], -0.5, "half-life", color=figures.ORANGE, ha="center")
ax.text(6e5, -0.5, "end of training", color=figures.BLUE, ha="center")
ax.set_xscale("log"), ax.set_yticks(range(4), names)
ax.set(xlim=(800, 3e6), ylim=(3.5, -0.9), xlabel="steps", ylabel=" ")
ax.set_title("Training lasts many half-lives, with momentum most")
pairs = {name[1:]: each.x for name, each in figures.drawn(ax).items() if name[0] == "_"}
figures.show(fig, "Half-life and length of training in steps, four settings on a logarithmic axis. "
             + " ".join(f"{name}: {x[0]:,.0f} of {x[1]:,.0f} steps." for name, x in pairs.items()))

# %% [markdown]
# The half-lives count the first, largest learning rate. A cosine schedule to zero halves the sum of the learning rates,
# and so the number of half-lives. Even then a weight that the loss ignores is gone long before the end in the first two
# rows. In the last two, {{100 * 0.5 ** (78_200 / half_lives["the same without momentum"] / 2):.0f}} % and
# {{100 * 0.5 ** (250_000 / half_lives["language model, AdamW"] / 2):.1f}} % of it are left. Momentum matters: without
# it, the common setting
# $\eta = 0.1$, $\lambda = 5\cdot10^{-4}$ has a half-life of
# {{half_lives["the same without momentum"]:,.0f}} steps, with it
# {{half_lives["small ResNet on CIFAR-10"]:,.0f}}.
#
# **Coupled and decoupled decay.** [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) take the decay out
# of the buffer. This *decoupled* form is $m \leftarrow \mu m + g$, then
# $w \leftarrow (1-\eta\lambda')\,w - \eta m$. (The η before $\lambda'$ is the convention of PyTorch's `AdamW`. In the
# paper's SGDW only the schedule multiplies the decay, not the learning rate.) Which $\lambda'$ matches a coupled λ?
# There are two things to match.
#
# - *The same minimum.* When nothing moves any more, $m = g/(1-\mu)$, so decoupled decay comes to a standstill at
#   $g + (1-\mu)\lambda' w = 0$, and coupled decay at $g + \lambda w = 0$. They agree for
#   $\lambda' = \frac{\lambda}{1-\mu}$.
# - *The same rate* for weights without gradient: $1-\eta\lambda' = z$, so $\lambda' = \frac{1-z}{\eta}$.
#
# On the slope of Figure 2.4 the two answers are the same to first order in $\eta\lambda$. Further right they part: at
# $\eta\lambda = 0.001$ they are {{1 / (1 - 0.9):.0f}} and {{(1 - root(0.001, 0.9)) / 0.001:.1f}} times λ. So with
# PyTorch's `momentum=0.9`, a coupled λ acts like a decoupled one of ${{1 / (1 - 0.9):.0f}}\,\lambda$, and code that
# switches from coupled to decoupled with the same number decays {{1 / (1 - 0.9):.0f}} times less; the other way it
# decays {{1 / (1 - 0.9):.0f}} times more. The cell below
# shows it for one weight with the loss $\frac12(w-1)^2$.


# %%
def limit(weight_decay, coupled, lr=0.1, mu=0.9):
    w, m = 0.0, 0.0
    for _ in range(1000):
        m = mu * m + (w - 1) + coupled * weight_decay * w
        w = w - lr * m - (1 - coupled) * lr * weight_decay * w
    return w


# %% tags=["hide-input"]
claim("02-half-lives", "in its half-life PyTorch's SGD with momentum halves a weight",
      measured=factor(0.1, 5e-4, 0.9) ** half_lives["small ResNet on CIFAR-10"],
      equals=0.5, within=1e-6)
claim("02-decoupled", "decoupled λ′ = 1 ends where coupled λ = 0.1 does, with momentum 0.9",
      measured=limit(1.0, coupled=False) - limit(0.1, coupled=True), equals=0, within=1e-9)
pull = [(1 - limit(0.1, coupled)) / limit(0.1, coupled) for coupled in (False, True)]
claim("02-decoupled", "with the same λ = 0.1, decoupled decay pulls 0.1 times as hard as coupled",
      measured=pull[0] / pull[1], equals=0.1, within=1e-9)
claims.identities()

# %% [markdown]
# So far nothing but decay acted. What is missing is the loss, and with it the explosion.
#
# ## 2.5 Full batches: curvature decides
#
# This section finds the largest stable learning rate when each step sees all examples. The mean squared error of a
# linear model is quadratic. Let $H$ be its matrix of second derivatives, the *Hessian*, and let an eigenvalue $\rho$ of
# $H$ be the curvature along one direction. If all parameters decay, the distance to the minimum of loss plus penalty,
# along that direction, is multiplied by $1-\eta\lambda-\eta\rho$ at every step. It shrinks if and only if
#
# $$|1 - \eta\lambda - \eta\rho| < 1, \quad\text{which for every direction means}\quad \eta < \frac{2}{\rho_{\max} + \lambda}.
# \tag{2.4}$$
#
# (At $\lambda = 0$, directions without curvature stay where they are.) With momentum, $\lambda+\rho$ takes the place of
# λ in (2.3), so that its blow-up at $\eta\lambda = 2(1+\mu)$ becomes $\eta < 2(1+\mu)/(\rho_{\max}+\lambda)$. Figure 2.7
# draws the factor of (2.4), and two curvatures of the puzzle: that of all 20 examples, and that of a batch of 5.

# %% tags=["hide-input"]
fig, ax = figures.subplots()
ax.axhspan(-1, 1, color=figures.SKY, alpha=0.18, lw=0)
for decay, colour in ((0, figures.BLUE), (10, figures.ORANGE)):
    ax.plot([0, 115], [1 - 0.03 * (rho + decay) for rho in (0, 115)], color=colour,
            label=f"λ = {decay}")
    ax.plot(2 / 0.03 - decay, -1, "o", color=colour, label=f"_edge {decay}")
for name, n in (("all 20", 20), ("5 of them", 5)):
    rho = 2 / n * np.linalg.eigvalsh(X[:n] @ X[:n].T + 1)[-1]
    ax.axvline(rho, color=figures.GREY, ls="--", lw=1, label=f"_{name}")
    ax.text(rho + 1, 0.93, f"ρ of\n{name}", color=figures.GREY, va="top")
drawn_now = {name: each.x[0] for name, each in figures.drawn(ax).items()}
ax.text(52, 0.3, "in the band errors shrink", color=figures.GREY)
ax.text(2, -0.75, "flat directions:\nfaster with decay", color=figures.GREY)
ax.text(36, -1.9, "sharp directions:\nunstable earlier", color=figures.GREY)
ax.set(xlabel="curvature ρ", ylabel="factor of the error per step", xlim=(0, 127))
figures.label_lines(ax), ax.set_title("At η = 0.03 all 20 examples are stable, a batch of 5 is not")
figures.show(fig, "Factor 1 − η(ρ + λ) against the curvature ρ at η = 0.03: falling lines for "
             "λ = 0 and 10. The band from −1 to 1, where errors shrink, is left at "
             f"ρ = {drawn_now['_edge 0']:.0f} and {drawn_now['_edge 10']:.0f}. All 20 examples "
             f"have ρ = {drawn_now['_all 20']:.0f}, a batch of 5 {drawn_now['_5 of them']:.0f}.")

# %% [markdown]
# The right end of the picture says that decay *narrows* the stable range of full batches. In the toy problem
# $2/\rho_{\max}$ is about {{below: full.mean():.2f}}, so $\eta = 0.03$ is safe with full batches, as we saw. The left
# end says what decay is good for in optimisation: **conditioning**. Without decay, the flattest direction converges at
# $1-\eta\rho_{\min}$, which may be very close to 1. With decay it converges at $1-\eta(\rho_{\min}+\lambda)$. We
# count steps on the ten inputs of the diabetes data, whose curvatures go from
# {{below: curvatures[0]:.4f}} to {{below: curvatures[-1]:.1f}}. (This section and §2.9 take *half* the mean squared
# error, whose curvatures are half as large. There a pair (η, λ) acts like (η/2, 2λ) does in the puzzle; if you copy a
# learning rate, copy the scaling of the loss as well.) Both runs start at the same distance, along the same
# directions.

# %%
patients = load("diabetes")
Z = (patients.X - patients.X.mean(0)) / patients.X.std(0)
curvatures, directions = np.linalg.eigh(Z.T @ Z / len(Z))  # of half the mean squared error


def distances(weight_decay, lr=0.2, steps=3000):
    """Distance to the minimum over the steps of gradient descent, relative to the start."""
    start = directions.T @ Z.T @ patients.y / len(Z) / curvatures
    powers = np.arange(steps)[:, None]
    left = (1 - lr * (curvatures + weight_decay)) ** powers * start
    return np.linalg.norm(left, axis=1) / np.linalg.norm(start)


far = {weight_decay: distances(weight_decay) for weight_decay in (0, 0.1)}
steps = {weight_decay: np.argmax(each < 0.01) for weight_decay, each in far.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 3.0))
for weight_decay, each in far.items():
    ax.semilogy(each, label=f"λ = {weight_decay:g}")
ax.axhline(0.01, color=figures.GREY, ls="--", lw=1)
ax.text(900, 0.0062, "1 % is left", color=figures.GREY)
ax.text(1500, 0.062, "λ = 0", color=figures.BLUE), ax.text(320, 0.0025, "λ = 0.1", color="C1")
ax.set(xlabel="step", ylabel="distance to the minimum", ylim=(1e-3, 1.2), xlim=(0, 3000))
ax.set_title("λ = 0.1 makes the flattest direction converge much faster")
counts = {name: np.argmax(each.y < 0.01) for name, each in figures.drawn(ax).items() if "λ" in name}
figures.show(fig, "Distance to the minimum of loss plus penalty, relative to the start, on a "
             "logarithmic axis. "
             f"Without decay 1 % is left after {counts['λ = 0']} steps, with λ = 0.1 after "
             f"{counts['λ = 0.1']}.")

# %% tags=["hide-input"]
claim("02-conditioning", "from the same start, λ = 0.1 makes gradient descent {:.1f} times as fast",
      measured=steps[0] / steps[0.1], above=10)

# %% tags=["hide-input"]
best, _ = ridge(Z, patients.y - patients.y.mean(), 0.1, intercept=False)
moved = directions @ (directions.T @ Z.T @ patients.y / len(Z) / curvatures)
w = best + moved
for _ in range(100):
    w = (1 - 0.2 * 0.1) * w - 0.2 * Z.T @ (Z @ w - patients.y) / len(Z)
claim("02-conditioning-steps", "100 steps of gradient descent leave the distance that (2.4) says",
      measured=np.linalg.norm(w - best) / np.linalg.norm(moved) - far[0.1][100],
      equals=0, within=1e-9)
claim("02-conditioning-picture", "the picture has the same numbers of steps",
      measured=np.subtract([*counts.values()], [*steps.values()]), equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# That is the ratio of the rates in the flattest direction, $(\rho_{\min}+\lambda)/\rho_{\min} =
# {{(curvatures[0] + 0.1) / curvatures[0]:.1f}}$. The speed has a price: it leads to another minimum, that of ridge
# regression.
#
# ## 2.6 Minibatches: one epoch by hand
#
# Full batches tolerate $\eta = 0.03$, and minibatches of 5 do not. This section estimates why, with nothing but
# multiplication.
#
# 1. *The targets do not matter.* Take two runs that see the same batches from different starts. In their difference
#    the targets cancel. So whether runs come together or fly apart is decided by the case $y = 0$: do the errors
#    $\epsilon = Xw + b\mathbf 1$ on the 20 training examples die out?
# 2. *Take the inputs as orthogonal.* An input has 200 random components, so its squared length is about 200, and two
#    inputs are nearly orthogonal. Leave the bias out, too. Then a step changes the errors of its *own* batch only.
# 3. *One step.* Without decay it multiplies these errors by $1-\frac{2\eta}{5}200 = 1 - 80\eta$. Averaging over 5
#    nearly orthogonal examples divides the curvature by 5, averaging over 20 by 20; that is why minibatches are
#    sharper. Decay replaces the 1 by $a = 1-\eta\lambda$, and multiplies all *other* errors by $a$, too.
# 4. *One epoch* has four batches. Each example is in one of them and sits out the other three, so over an epoch its
#    error is multiplied by
#
# $$(a - 80\eta)\; a^3 . \tag{2.5}$$
#
# Without decay this is below 1 in size up to $\eta = 2/80 = {{2 / 80:.3f}}$. Figure 2.9 follows one example through its
# four steps at $\eta = 0.03$, for the three λ of the puzzle. Its own batch comes first there; the order does not matter
# to the product.


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
epochs = [paths[f"λ = {decay}"].y[-1] for decay in (0, 3, 10)]
claim("02-four-steps", "the paths end at (2.5), up to the sign",
      measured=np.abs(epochs) - [by_hand(0.03, decay) for decay in (0, 3, 10)],
      equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# Here is the answer to the puzzle, and a paradox in one sentence: **decay narrows the stable range of full batches,
# because it adds to the overshoot, and can widen that of minibatches, because it also shrinks what the overshooting
# batch does not touch.** With $\lambda = 10$ the own batch overshoots further than without decay, but the other three
# batches multiply by $a^3 = {{1 - 0.03 * 10:.1f}}^3 = {{(1 - 0.03 * 10) ** 3:.2f}}$.
#
# The second half of the sentence needs two conditions. There must be more than two batches per epoch (exercise 2), and
# **the inputs must be nearly orthogonal**, so that there is an error that the other batches do not touch. Inputs with a
# common mean, such as images that were not standardised, share a direction that *every* batch pushes. In that
# direction minibatches are as sharp as the full batch, and decay only adds to the overshoot; §2.7 measures it. Also
# missing is how good the estimate is, as inputs are not quite orthogonal, and there is a bias.
#
# ## 2.7 Minibatches, exactly, and before training
#
# One step with batch $B$, of $|B|$ examples, is $w\leftarrow a\,w - \frac{2\eta}{|B|}X_B^\top\epsilon_B$, and the same
# for $b$ without decay. Put it into $\epsilon = Xw + b\mathbf 1$:
#
# $$\epsilon \leftarrow a\,\epsilon + (1-a)\,b\,\mathbf 1 - \tfrac{2\eta}{|B|}\, Q_{\cdot B}\, \epsilon_B,\qquad
# b \leftarrow b - \tfrac{2\eta}{|B|}\textstyle\sum_{i\in B} \epsilon_i,\qquad Q = XX^\top + \mathbf 1\mathbf 1^\top.
# \tag{2.6}$$
#
# An epoch applies this to {{20 // 5}} random batches in turn. In the long run it multiplies the size of $\epsilon$ by
# a factor $\exp\Gamma$ on average. We call $\Gamma$ the *growth exponent*; the literature on dynamical systems calls
# it the Lyapunov exponent. If it is negative, a typical run dies out; if it is positive, it explodes. To find it, start
# with random errors, apply (2.6) for 200 epochs, and measure the average growth of their logarithm after the first 50.
# Only the inputs are needed. Figure 2.10 shows the result for 20 data sets.


# %%
def step(Q, e, b, rows, lr, a):
    """One step by (2.6) with the batch `rows`; e has a row for each setting."""
    pull = 2 * lr / len(rows) * e[:, rows]
    return a * e + (1 - a) * b - pull @ Q[rows], b - pull.sum(1, keepdims=True)


def growth(Q, lr, weight_decay, batch=5, seed=0, epochs=200, skip=50):
    """Growth exponent Γ per epoch; lr and weight_decay may be arrays."""
    rng, (lr, weight_decay) = np.random.default_rng(seed), np.broadcast_arrays(lr, weight_decay)
    lr, a = lr.reshape(-1, 1), (1 - lr * weight_decay).reshape(-1, 1)
    e, b = np.tile(rng.standard_normal(len(Q)), (len(lr), 1)), np.zeros((len(lr), 1))
    for epoch in range(epochs):
        if epoch == skip:
            start = np.linalg.norm(e, axis=1)
        for rows in rng.permutation(len(Q)).reshape(-1, batch):
            e, b = step(Q, e, b, rows, lr, a)
    return np.log(np.linalg.norm(e, axis=1) / start) / (epochs - skip)


# %% tags=["hide-input"]
w, few = np.linspace(-1, 1, 200), [3, 1, 4, 15, 9]
moved = (1 - 0.03 * 10) * w - 0.03 * 2 / 5 * X[few].T @ (X[few] @ w + 0.5)
e, b = step(X @ X.T + 1, (X @ w + 0.5)[None], np.full((1, 1), 0.5), few, 0.03, 1 - 0.03 * 10)
claim("02-step", "a step of (2.6) is a step of SGD with targets zero",
      measured=e[0] - X @ moved - b[0], equals=0, within=1e-9)
claim("02-step-bias", "for the bias, too",
      measured=b[0] - (0.5 - 0.03 * 2 * np.mean(X[few] @ w + 0.5)), equals=0, within=1e-9)
claims.identities()

# %%
grams = {seed: (lambda X: X @ X.T + 1)(make_regression(20, seed=seed)[0]) for seed in seeds(20)}
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
    """The λ at which (2.5) falls through 1 in size: (80η − a) a³ = 1."""
    roots = np.roots([1, -80 * lr, 0, 0, 1])
    return (1 - min(a.real for a in roots if abs(a.imag) < 1e-9 and 0 < a.real < 1)) / lr


crossing, stable_from = zero_of(rates, over_lr.mean(0)), zero_of(decays, over_decay.mean(0))

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True)
for ax, x, exponents in ((axes[0], rates, over_lr), (axes[1], decays, over_decay)):
    ax.plot(x, exponents.T, color=figures.SKY, lw=0.6, label="_each")
    ax.plot(x, exponents.mean(0), "o-", ms=4, color=figures.BLUE, label="_mean")
    ax.axhline(0, color=figures.GREY, lw=1, label="_zero")
axes[0].plot(x := np.linspace(0.003, 0.03, 200), np.log(by_hand(x, 0)), "C1--", label="_hand")
axes[1].plot(x := np.linspace(0, 10, 200), np.log(by_hand(0.03, x)), "C1--", label="_hand")
left, right = (figures.drawn(ax) for ax in axes)
border = [zero_of(side["_mean"].x, side["_mean"].y) for side in map(figures.drawn, axes)]
hand = [zero_of(side["_hand"].x, side["_hand"].y) for side in map(figures.drawn, axes)]
axes[0].text(0.0205, -0.85, "by hand (2.5)", color="C1")
axes[0].text(0.004, 0.25, "exact (2.6):\nmean, and\n20 data sets", color="C0")
axes[0].set(xlabel="learning rate η (λ = 0)", ylim=(-1.3, 0.75), ylabel="growth exponent Γ")
axes[1].set(xlabel="weight decay λ (η = 0.03)", ylabel=" ")
axes[0].set_title(f"exact border: η = {border[0]:.3f}", size=10, weight="normal")
axes[1].set_title(f"exact border: λ = {border[1]:.1f}", size=10, weight="normal")
figures.title(fig, "Minibatches explode at smaller η, and need more λ, than by hand")
figures.show(fig, "Growth exponent per epoch for 20 data sets, their mean, and (2.5). Left, the "
             f"mean crosses zero at η = {border[0]:.3f}, (2.5) at {hand[0]:.3f}. Right, at "
             f"η = 0.03, they cross it at λ = {border[1]:.1f} and {hand[1]:.1f}.")

# %%
claim("S2-08", "SGD in minibatches of 5 explodes above a learning rate of {}, on average",
      measured=crossing, between=(0.020, 0.025))
claim("S2-07", "at η = 0.03 minibatches are stable from λ = {} on, on average",
      measured=stable_from, between=(5.8, 7.3))

# %% [markdown]
# The estimate has the right shape and is too optimistic. By hand the run explodes above
# $\eta = {{2 / 80:.3f}}$, in fact already above {{crossing:.3f}}. By hand $\lambda = {{hand_border(0.03):.1f}}$ is
# enough, in fact one needs {{stable_from:.1f}}: inputs that are not orthogonal help each other to overshoot. From
# $\lambda = 8$ on, the exponent hardly falls any more. What is left is the intercept, which does not decay (exercise 8).
# Γ sees this slowest process alone: at $\lambda = 10$ the loss of Figure 2.1 first fell faster. And Γ is the growth of a
# *typical* run. The mean of the loss over runs may diverge even where $\Gamma < 0$, as rare unlucky runs dominate it.
#
# A bound that needs no exponent comes from (2.4). Without decay, if η is below $2/\rho_{\max}$ of *every* minibatch, no
# step ever moves the weights of two runs further apart, although errors on the examples outside the batch may grow.
# There are {{below: len(batches):,}} batches of 5 among 20 examples, and all can be tried in a moment. A second
# cell keeps the promise of §2.6: it adds 1 to every input.

# %%
batches = np.array(list(itertools.combinations(range(20), 5)))
five = [Q[batches[:, :, None], batches[:, None, :]] for Q in list(grams.values())[:5]]
safe = [2 / (2 / 5 * np.linalg.eigvalsh(Q_B)[:, -1].max()) for Q_B in five]
full = np.array([2 / (2 / 20 * np.linalg.eigvalsh(Q)[-1]) for Q in grams.values()])

# %%
shifted = [make_regression(20, seed=seed)[0] + 1 for seed in seeds(5)]
common = np.array([growth(inputs @ inputs.T + 1, 0.006, [0, 10], epochs=90) for inputs in shifted])

# %%
claim("S2-09", f"the measured threshold {crossing:.4f} is at least {{}} times the safe bound, on "
      "each of five data sets", measured=np.divide(crossing, safe), above=1)
claim("02-mean", "with 1 added to every input even η = 0.006 explodes, and λ = 10 is no rescue: "
      "Γ is {} or more with λ = 0 and 10, on each of five data sets", measured=common, above=0)
claim("S2-05", "full batches tolerate learning rates up to {}, on average",
      measured=full.mean(), between=(0.055, 0.065))

# %% tags=["hide-input"]
claim("02-zero-line", "the grey lines are at zero",
      measured=[left["_zero"].y, right["_zero"].y], equals=0, within=1e-12)

# %% tags=["hide-input"]
ones = np.column_stack([X, np.ones(20)])
sharp = np.linalg.norm(ones[batches[:400]], ord=2, axis=(1, 2)) ** 2
claim("02-safe", "at the safe bound the sharpest batch is at its limit: η times ρ is 2",
      measured=2 / 5 * np.linalg.eigvalsh(five[0]).max() * safe[0], equals=2, within=1e-9)

# %% tags=["hide-input"]
claim("02-curvature", "ρ of a batch of 5 is 2/5 of the square of its largest singular value",
      measured=np.linalg.eigvalsh(five[0][:400])[:, -1] / sharp, equals=1, within=1e-9)
claim("02-full-curvature", "and 2/ρ of all 20 examples follows from theirs",
      measured=full[0] * np.linalg.norm(ones, ord=2) ** 2, equals=20, within=1e-6)
claim("02-crossings", "the mean exponents change sign where the thick lines meet the grey ones",
      measured=np.subtract([crossing, stable_from], border), equals=0, within=1e-12)
claim("02-same-point", "both panels have the exponents of η = 0.03, λ = 0",
      measured=left["_each"].at(0.03) - right["_each"].at(0), equals=0, within=1e-9)
claim("02-border", "the border by hand: (2.5) is 1 there",
      measured=[by_hand(lr, hand_border(lr)) for lr in (0.028, 0.03)], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# **The whole plane.** Figure 2.11 shows where minibatches explode, for {{below: len(lams)}} values of λ and
# {{below: len(lrs)}} learning rates. Solid is the exact border by (2.6), dashed the border by hand. The dotted line of
# (2.4) is where full batches begin to explode. The right panel is one run, the circle in the left one, with the
# growth that (2.6) and (2.5) predict for it. In `make lab` two dials move the circle.

# %%
lrs, lams = 0.002 * np.arange(1, 41), np.arange(24)
pairs = np.array(list(itertools.product(lrs, lams))).T  # all learning rates with all λ
four = [growth(Q, *pairs, seed=seed, epochs=80, skip=30) for seed, Q in list(grams.items())[:4]]
plane = np.mean(four, axis=0).reshape(len(lrs), len(lams))


# %% tags=["hide-input"]
def draw_plane(ax, lr, weight_decay):
    """Where minibatches explode, by (2.6), by (2.5), and where full batches do; and one run."""
    ax.contourf(lrs, lams, plane.T, [0, 9], colors=[figures.ORANGE], alpha=0.25)
    ax.contour(lrs, lams, plane.T, [0], colors=figures.ORANGE, linestyles="-", linewidths=2)
    hand = by_hand(lrs[:, None], lams)
    ax.contour(lrs, lams, hand.T, [1], colors=figures.ORANGE, linestyles="--", linewidths=1.2)
    ax.plot(2 / (2 / full.mean() + lams), lams, ":", lw=2, color=figures.BLUE, label="_full")
    ax.text(0.035, 0.6, "only mini-\nbatches\nexplode", color=figures.ORANGE, size=8.5)
    ax.text(0.0615, 0.6, "both\nexplode", color=figures.ORANGE, size=8.5)
    ax.text(0.004, 17, "both converge", color=figures.GREY)
    ax.text(0.0455, 14.5, "only full\nbatches\nexplode", color=figures.BLUE, size=8.5)
    for place in ((0.055, 4.5), (0.0655, 17.0)):
        ax.text(*place, "by hand", color=figures.ORANGE, size=8.5)
    ax.text(0.0255, 6.4, "exact", color=figures.ORANGE, size=8.5, ha="right")
    ax.plot(lr, weight_decay, "ko", mfc="white", ms=8, label="_run")
    ax.set(xlabel="learning rate η", ylabel="weight decay λ", xlim=(0, 0.08), ylim=(0, 23))
    ax.set_xticks([0, 0.02, 0.04, 0.06, 0.08])
    ax.set_title("which runs explode; ○ is the run", size=10, weight="normal")


# %% tags=["hide-input"]
def draw(lr, weight_decay):
    fig, (ax, at) = figures.subplots(1, 2, figsize=(7.2, 3.9))
    draw_plane(ax, lr, weight_decay)
    t, losses = np.arange(30), train(X, y, lr, weight_decay, 5, np.random.default_rng(1))
    slopes = growth(X @ X.T + 1, lr, weight_decay)[0], np.log(by_hand(lr, weight_decay))
    for name, slope, style in zip(("exact", "by hand"), slopes, ("-", "--"), strict=True):
        at.semilogy(t, losses[0] * np.exp(2 * slope * t), style, color=figures.ORANGE, label=name)
    at.semilogy(t, losses, "ko", ms=3, label="training")
    at.set(xlabel="epoch", ylabel="training loss", xlim=(0, 41), xticks=[0, 10, 20, 30])
    figures.label_lines(at, nudge={"training": -9, "exact": 7})
    figures.title(fig, "A moderate λ helps minibatches, and never full batches")
    end = {name: np.log10(each.y[-1] / each.y[0]) for name, each in figures.drawn(at).items()}
    at.set_title(f"the run grows by $10^{{{end['training']:.0f}}}$; (2.6): "
                 f"$10^{{{end['exact']:.0f}}}$,\nby hand $10^{{{end['by hand']:.0f}}}$", size=10)
    return fig, ("The plane of learning rate and weight decay: minibatches explode on the right; "
                 "their border leans right up to λ = 12, then turns back. The border by hand lies "
                 "far behind it for η above 0.05. That of full batches leans left. The loss at "
                 f"η = {lr:g}, λ = {weight_decay:g}, grows by 10^{end['training']:.0f}; "
                 f"(2.6) says 10^{end['exact']:.0f}, (2.5) 10^{end['by hand']:.0f}.")


# %%
figures.interactive(draw, lr=[0.03, 0.003, 0.01, 0.02, 0.025, 0.04, 0.055],
                    weight_decay=[3, 0, 1, 5, 7, 10, 12, 15])

# %% [markdown]
# Two tests follow. First, do real training runs, with their targets, grow as (2.6) predicts? Second, how good is the
# estimate by hand as a *classifier*? We train the {{below: agree.size}} settings with η up to {{lrs[23]:.3f}}
# in one call of `sweep`, the book's tool for many models at once (`MLP((200, 1))` is a linear model), and ask whether
# the loss fell.

# %%
problems = [make_regression(20, seed=seed) for seed in seeds(20)]
data, targets = (np.stack(part) for part in zip(*problems, strict=True))
model, toy = MLP((200, 1), init="normal"), {"loss": "mse", "batch_size": 5}
long = sweep(model, data, targets, **toy, seeds=seeds(20), lr=0.03, weight_decay=[0, 3], steps=800,
             record_every=4)
log_size = np.log(long.train_loss.values) / 2  # of the errors; one record an epoch
trained = (log_size[..., -1] - log_size[..., 50]) / 150

# %%
short = sweep(model, data[:4], targets[:4], **toy, seeds=seeds(4), lr=lrs[:24], weight_decay=lams,
              steps=120, record_every=120)
change = np.log10(short.train_loss[..., -1] / short.train_loss[..., 0]).median("seed").values
falls, factors = change < 0, by_hand(lrs[:24, None], lams)
agree = (factors < 1) == falls
corner = {batch: np.array([growth(Q, 0.055, 15, batch, seed)[0] for seed, Q in grams.items()])
          for batch in (5, 20)}  # the exponents at η = 0.055, λ = 15

# %%
claim("02-lyapunov", "Γ of training and Γ of (2.6) differ by {} or less (η = 0.03, λ = 0 and 3)",
      measured=np.abs(trained.mean(0) - over_decay[:, [0, 3]].mean(0)), below=0.03)

# %%
claim("02-map", f"for η up to {lrs[23]:.3f}, (2.5) is right in a share {{}} of {agree.size} "
      f"settings; always answering 'it falls' is right in {falls.mean():.2f}",
      measured=agree.mean(), above=0.85)
bad, warned = plane > 0, by_hand(lrs[:, None], lams) > 1
claim("02-plane", f"for η up to {lrs[-1]:.2f}, (2.5) finds only a share {{}} of the explosions, "
      f"and is right in {(bad == warned).mean():.2f} of all ('it falls': {1 - bad.mean():.2f})",
      measured=warned[bad].mean(), between=(0.35, 0.65))
claim("02-map-exact", "the sign of the exact Γ is right in a share {} of the settings",
      measured=((plane[:24] < 0) == falls).mean(), above=0.95)

# %%
claim("02-turned", "at η = 0.055, λ = 15 the puzzle is reversed on all 20 data sets: minibatches "
      "converge and full batches explode, with |Γ| = {} or more",
      measured=[-corner[5], corner[20]], above=0)

# %% [markdown]
# When the estimate predicts an explosion, there is one ({{(bad & warned).sum()}} of {{warned.sum()}} settings). But it
# misses {{(bad & ~warned).sum()}} of the {{bad.sum()}} settings that explode, and not only those just behind its border:
# at $\eta = 0.06$ it asks for $\lambda > {{zero_of(lams, np.log(by_hand(0.06, lams))):.1f}}$, and in fact
# $\lambda > {{zero_of(lams, plane[29]):.1f}}$ is needed. For a decision use (2.6) or the safe bound.
#
# The border of minibatches leans to the right and that of full batches to the left, until they cross.
# Between them, above the crossing, only *minibatches* converge: the other three batches erase nearly all of an error.
# At λ ≈ 12 the border turns back, as $a$ nears zero and there is nothing left to gain.
#
# ## 2.8 What λ = 10 gained
#
# The reader of §2.1 also reports a low test error, with a training loss
# that "seems to be somewhat erratic". This section checks both. The loss hovers because each batch disturbs the fit of
# the others. For the test error we need baselines that use no inputs: one answers zero, and one the mean of its 20
# training targets. We also need the best trained rival: ridge regression, solved exactly (chapter 1), at the λ that is
# best on these very test sets. Figure 2.12 has all four.

# %%
decayed = sweep(model, data, targets, **toy, seeds=seeds(20), lr=0.03, weight_decay=10, steps=800)
late = decayed.train_loss.values[:, 400:]
w, b = decayed.weight0[:, 0].values, decayed.bias0[:, 0].values  # data set, output (one), input
fresh = [make_regression(100, seed=seed + 500) for seed in seeds(20)]
# `split_of` marks the fresh examples as a test set: no sweep would train on them.
test = split_of((data, targets), [np.stack(part) for part in zip(*fresh, strict=True)]).test


def test_error(answers):
    return np.mean((answers - test.y) ** 2, axis=1)  # of each data set


errors = {"SGD, λ = 10": test_error(np.einsum("snd,sd->sn", test.X, w) + b),
          "answer zero": test_error(0), "answer the mean": test_error(targets.mean(1)[:, None])}
tried = [ridge(*problem, np.geomspace(0.01, 100, 13)) for problem in problems]
ridges = np.array([test_error(np.einsum("snd,sd->sn", test.X, [fit[0][k] for fit in tried])
                              + [[fit[1][k]] for fit in tried]) for k in range(13)])
errors["best ridge"] = ridges[ridges.mean(1).argmin()]

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 2.8))
for row, (name, each) in enumerate(errors.items()):
    colour = figures.ORANGE if row == 0 else figures.GREY
    spread = row + np.linspace(-0.18, 0.18, 20)
    ax.plot(each, spread, "o", ms=4, alpha=0.5, color=colour, label=f"_{name}")
    ax.plot(each.mean(), row, "|", ms=26, mew=3, color=colour, label=f"_mean of {name}")
ax.set_yticks(range(4), list(errors))
ax.set(xlabel="test error (mean squared error), 20 data sets and their mean", ylabel=" ")
ax.set(ylim=(3.5, -0.5), xlim=(0, 0.032))
ax.set_title("λ = 10 does about as well as the mean of 20 numbers")
level = {name[9:]: each.x[0] for name, each in figures.drawn(ax).items() if "_mean" in name}
figures.show(fig, "Test errors on 20 data sets as dots, with their means. "
             + " ".join(f"Mean for {name}: {value:.3f}." for name, value in level.items()))

# %% tags=["hide-input"]
norm = np.linalg.norm(w, axis=1) / np.linalg.norm(np.full(200, 0.01))
claim("S2-07", "with λ = 10 the late training loss fluctuates by {} times its mean",
      measured=(late.std(1) / late.mean(1)).mean(), above=0.4)
claim("S2-07", "its test error is {} times that of answering the mean of 20 targets, on average",
      measured=(errors["SGD, λ = 10"] / errors["answer the mean"]).mean(), between=(0.85, 1.15))
claim("S2-07", "its weights have {} times the norm of the true weights, on average",
      measured=norm.mean(), between=(0.2, 0.7))

# %% tags=["hide-input"]
again = [[np.mean((fresh[i][0] @ v + c - fresh[i][1]) ** 2)
          for v, c in ((w[i], b[i]), (0 * w[i], 0), (0 * w[i], targets[i].mean()))]
         for i in range(20)]

# %% tags=["hide-input"]
best_fit = [np.array(part) for part in
            zip(*(ridge(*problem, np.geomspace(0.01, 100, 13)[ridges.mean(1).argmin()])
                  for problem in problems), strict=True)]
claim("02-ridge-errors", "the test errors of ridge regression, by hand",
      measured=[np.mean((fresh[i][0] @ best_fit[0][i] + best_fit[1][i] - fresh[i][1]) ** 2)
                - errors["best ridge"][i] for i in range(20)], equals=0, within=1e-12)
claim("S2-06", "PyTorch's `.norm()` of (3, −4) is 5, the L2 norm; the L1 norm would be 7",
      measured=torch.tensor([3.0, -4.0]).norm(), equals=5, within=1e-6)
claim("02-test-errors", "the three test errors, model by model and data set by data set",
      measured=np.stack([*errors.values()][:3], axis=1) - again, equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# So $\lambda = 10$ gained stability at a learning rate that was too large, and a model about as good as the mean of 20
# numbers. The low test error belongs to the problem, whose targets are tiny. It is not evidence of generalisation. With
# 20 examples little more was possible: the best ridge fit has {{level["best ridge"]:.4f}}, SGD
# {{level["SGD, λ = 10"]:.4f}}.
#
# ## 2.9 Does SGD minimise the loss?
#
# A lesson says that "the objective of SGD is to minimize the loss function". Its steps follow the gradient only *on
# average*. Where the batches disagree about the minimum, each pulls its own way, and at a constant learning rate the
# weights never settle. This section says how far they stay from the minimum. Let $J$ be loss plus penalty,
# $w_\lambda$ its minimum, $H$ its Hessian (penalty included), and $C$ the covariance of the single examples'
# gradients at $w_\lambda$. Batches $B$ are drawn independently.
#
# 1. Near the minimum, a step multiplies the deviation $w-w_\lambda$ by $I-\eta H$, and adds noise of covariance
#    $\eta^2 C/|B|$.
# 2. In the long run the deviations have a covariance $S$ that one more step leaves as it is:
#    $S = (I-\eta H)\,S\,(I-\eta H) + \eta^2 C/|B|$, that is, $HS + SH - \eta HSH = \eta C/|B|$.
# 3. For small η drop the third term, and take the trace: $2\operatorname{tr}(HS) \approx \eta\operatorname{tr}(C)/|B|$.
# 4. The mean excess over the minimum is $E = \frac12\operatorname{tr}(HS)$, so
#
# $$E \approx \frac{\eta}{4}\, \frac{\operatorname{tr} C}{|B|}. \tag{2.7}$$
#
# The curvature has dropped out; only the size of the noise counts. (The loss here is *half* the mean squared error, as
# in §2.5.) Step 2 without its third term is in [Mandt,
# Hoffman and Blei (2017)](https://arxiv.org/abs/1704.04289). Data loaders do not draw independently, though. They
# shuffle, so that over an epoch each example pulls exactly once, and to first order in η the pulls cancel. For such
# batches [Mishchenko, Khaled and Richtárik (2020)](https://arxiv.org/abs/2006.05988) prove a bound in proportion to
# $\eta^2$. Figure 2.13 shows the cloud of weights for a model with two inputs.


# %%
def wander(X, y, w, lr, batches, weight_decay=0.1):
    """The weights at every step of SGD on half the mean squared error; w may have several rows."""
    path = []
    for rows in batches:
        error = w @ X[rows].T - y[rows]
        w = w - lr * (error @ X[rows] / len(rows) + weight_decay * w)
        path.append(w)
    return np.array(path)


# %%
def excess_at(deviation, H):
    return (deviation @ H * deviation).sum(-1) / 2


def independent(rng, steps, size):
    return rng.integers(200, size=(steps, size))


def shuffled(rng, steps, size):
    epochs = steps * size // 200
    return np.concatenate([rng.permutation(200) for _ in range(epochs)]).reshape(-1, size)


# %%
pair, outcome = make_regression(200, seed=seeds(1)[0], n_inputs=2, weight=1.0, noise=1.0)
pair = pair @ [[1, 0.9], [0, 0.5]]  # two inputs that go together: a narrow valley
lowest, _ = ridge(pair, outcome, 0.1, intercept=False)
H = pair.T @ pair / 200 + 0.1 * np.eye(2)
clouds = [wander(pair, outcome, lowest, lr, draw_batches(claims.rng(), 2400, 5))
          for lr, draw_batches in ((0.1, independent), (0.02, independent), (0.02, shuffled))]

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 3, figsize=(7.2, 2.9), sharex=True, sharey=True)
names = ("η = 0.1, independent", "η = 0.02, independent", "η = 0.02, shuffled")
grid = np.stack(np.meshgrid(np.linspace(-0.6, 0.6, 60), np.linspace(-0.6, 0.6, 60)), axis=-1)
for ax, name, path in zip(axes, names, clouds, strict=True):
    valley = np.einsum("ijk,kl,ijl->ij", grid, H, grid) / 2
    ax.contour(*grid.T.swapaxes(1, 2), valley, [0.005, 0.025, 0.08], colors="grey", linewidths=0.7)
    ax.plot(*(path[::4] - lowest).T, ".", ms=2, alpha=0.4, color=figures.BLUE, label="_cloud")
    ax.plot(0, 0, "+", color=figures.ORANGE, ms=10, mew=2)
    ax.set(xlabel="$w_1$ − minimum", ylabel=" ", xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), aspect="equal",
           xticks=[-0.4, 0, 0.4], yticks=[-0.4, 0, 0.4])
    ax.set_title(name, size=10, weight="normal")
axes[0].set_ylabel("$w_2$ − minimum")
width = [np.sqrt(np.mean([*figures.drawn(ax)["_cloud"].x ** 2])) for ax in axes]
figures.title(fig, "SGD hovers around its minimum; less so with small steps, or shuffled")
figures.show(fig, "Three clouds of weights around the minimum of a narrow valley. Their "
             "widths along "
             f"the first weight are {width[0]:.3f} for independent batches at learning rate 0.1, "
             f"{width[1]:.3f} at 0.02, and {width[2]:.3f} for shuffled batches at 0.02.")

# %% [markdown]
# One might expect a cloud stretched along the valley, where little holds the weights back. But in regression the noise is
# largest where the curvature is: without penalty $C$ is in proportion to $H$, and then step 2 gives a *round* cloud for
# small η. The penalty holds the flat direction more tightly, and a finite η widens the steep one, so that the
# clouds are stretched a little *across* the valley. A shuffled epoch cancels its own noise before much of it can gather;
# what is left looks like $C$ itself, which is narrow along the valley.
#
# We start ten data sets (200 examples, 20 inputs, $\lambda = 0.1$) at their minimum, run SGD
# from there, and average the excess $\frac12(w-w_\lambda)^\top H\,(w-w_\lambda)$ over {{below: len(path):,}} steps.
# Figure 2.14 compares it with (2.7).

# %%
etas, size = np.array([0.005, 0.01, 0.02, 0.04]), 5
excess = {"independent": [], "shuffled": [], "law (2.7)": []}
for seed in seeds(10):
    inputs, outputs = make_regression(200, seed=seed, n_inputs=20, weight=1.0, noise=1.0)
    lowest, _ = ridge(inputs, outputs, 0.1, intercept=False)
    H = inputs.T @ inputs / 200 + 0.1 * np.eye(20)
    C = np.cov((inputs * (inputs @ lowest - outputs)[:, None]).T, bias=True)
    excess["law (2.7)"].append(etas / 4 * C.trace() / size)
    for name, draw_batches in (("independent", independent), ("shuffled", shuffled)):
        batches = draw_batches(np.random.default_rng(seed), 4000, size)
        path = wander(inputs, outputs, np.tile(lowest, (4, 1)), etas[:, None], batches) - lowest
        excess[name].append(excess_at(path, H).mean(0))
excess = {name: np.mean(each, axis=0) for name, each in excess.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for (name, each), style in zip(excess.items(), ("o", "s-", "--"), strict=True):
    ax.loglog(etas, each, style, ms=6, label=name)
ax.set(xlabel="learning rate η", ylabel="mean excess over the minimum", xlim=(0.0045, 0.075))
ax.set_ylim(3e-4, 0.09)
ax.set_xticks(etas, [f"{eta:g}" for eta in etas])
ax.minorticks_off()
figures.label_lines(ax, nudge={"independent": 8, "law (2.7)": -7})
ax.set_title("The excess grows like η, and with shuffled epochs like η²")
marks = figures.drawn(ax)
figures.show(fig, "Mean excess over the minimum against the learning rate, both "
             "logarithmic. Batches "
             f"drawn independently rise from {marks['independent'].y[0]:.4f} to "
             f"{marks['independent'].y[-1]:.3f}, next to the dashed line of (2.7), which ends "
             f"at {marks['law (2.7)'].y[-1]:.3f}. Shuffled batches rise more steeply, from "
             f"{marks['shuffled'].y[0]:.5f} to {marks['shuffled'].y[-1]:.3f}.")

# %%
claim("02-noise", "at η = 0.005, 0.01 and 0.02 independent batches have {} times the excess (2.7)",
      measured=(excess["independent"] / excess["law (2.7)"])[:3], between=(0.8, 1.2))

# %%
claim("S3-13", "shuffled epochs: twice the learning rate (0.02 for 0.01) gives {} times the excess",
      measured=excess["shuffled"][2] / excess["shuffled"][1], between=(3, 4.2))

# %% tags=["hide-input"]
still = wander(inputs, outputs, lowest, 0.02, np.tile(np.arange(200), (5, 1)))
claim("02-still", "full batches stay at the minimum",
      measured=still - lowest, equals=0, within=1e-12)


# %% tags=["hide-input"]
def objective(w):
    return np.mean((inputs @ w - outputs) ** 2) / 2 + 0.1 / 2 * w @ w


risen = objective(path[-1, 0] + lowest) - objective(lowest)
claim("02-excess", "the excess is what loss plus penalty have risen by",
      measured=excess_at(path[-1, 0], H) - risen, equals=0, within=1e-9)
order = shuffled(claims.rng(), 80, 5).reshape(2, 200)
claim("02-epochs", "shuffled epochs have each example once",
      measured=np.sort(order) - np.arange(200), equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# The law holds without a free constant, and independent batches at $\eta = 0.005$ have
# {{excess["independent"][0] / excess["shuffled"][0]:.0f}} times the excess of shuffled ones. The advantage of
# shuffling needs that not much happens within an epoch: it is gone when η times the steps per epoch times the
# curvature is well above 1. There is one important exception. If *every* batch's gradient vanishes at the same point,
# as in §2.7 without decay, then $C = 0$ and SGD does settle.
#
# ## 2.10 In practice
#
# - *Think in half-lives.* Compute ${{np.log(2):.2f}}\,(1-\mu)/(\eta\lambda)$ steps for coupled SGD, and
#   ${{np.log(2):.2f}}/(\eta\lambda)$ for decoupled decay. In Figure 2.6 that is between
#   {{100 * min(half_lives[k] / settings[k][3] for k in settings):.0f}} % and
#   {{100 * max(half_lives[k] / settings[k][3] for k in settings):.0f}} % of the training. If it is much less,
#   decay outweighs all but strong gradients; if it is more than the whole training, `weight_decay` does next to nothing.
# - *What to type.* `torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-4)` up to `5e-4` is where most
#   image models start; `AdamW` usually takes 0.01 to 0.1, for reasons that chapter 3 gives. Search λ by factors of 3.
#   If you change η, keep $\eta\lambda$ in mind: the product decays.
# - *If you change the form* of SGD, multiply λ by $1/(1-\mu)$ from coupled to decoupled, and by $1-\mu$ back. For Adam
#   no number does it (chapter 3).
# - *If a run blows up* at once, compute $2/\rho_{\max}$ for some minibatches (exercise 7). In a linear model
#   a smaller η is safe. In a network take it as an order of magnitude: training with full batches often drives the
#   curvature up to $2/\eta$ and stays there ([Cohen et al. 2021](https://arxiv.org/abs/2103.00065)). Do not cure it
#   with λ.
# - *If the loss hovers*, lower η or enlarge the batch. For independent batches half of η, or a batch twice as large,
#   halves the excess, by (2.7). For shuffled ones it leaves {{excess["shuffled"][1] / excess["shuffled"][2]:.2f}} of it.
#   Decay the learning rate at the end.
#
# ## 2.11 Myths
#
# **Weight decay can only make training more stable.** For full batches it narrows the stable range, by (2.4). For
# minibatches it may widen it, if their inputs are nearly orthogonal, for a reason that has nothing to do with a simpler
# model.
#
# **Momentum needs a smaller λ, since it multiplies the decay.** It multiplies the loss's pull as much. The minimum
# is the same; only the clock runs faster.
#
# ## 2.12 Limits
#
# Stability was settled for a linear model, and the rescue by λ for nearly orthogonal inputs with mean zero: with a
# common mean it is gone (§2.7). In a network the Hessian changes as you train, and (2.4) speaks about one
# place at a time. Adam rescales the penalty's gradient, which breaks (2.1): see [chapter
# 3](03_one_lambda_many_meanings.ipynb). Under batch norm, decay changes the *learning rate* and not the function: see
# [chapter 8](08_effective_learning_rate.ipynb). And (2.7) is for small η, near a minimum with noise that does not
# depend on the place.
#
# ## 2.13 Exercises
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
# **2.** (Proof.) An epoch has $k$ batches, the inputs are orthogonal, and η is at the border without decay, so that (2.5)
# becomes $(a-2)\,a^{k-1}$. For which $k$ does a little decay make it smaller in size?
#
# <details>
# <summary>Solution</summary>
#
# The logarithm of the size is $\ln(2-a) + (k-1)\ln a$. Its derivative at $a = 1$ is $-1 + (k-1) = k-2$. Decay lowers $a$,
# so it helps for $k > 2$ only. With two batches the overshoot grows as much as the other batch shrinks; with one, the
# full batch, decay harms.
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
# §2.4 the ratio was {{more:.1f}}, above {{1 / (1 - 0.9):.0f}}, for this reason.
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
# **5.** (A forum.) "I didn’t know that the learning rate could cause this much disparity in results", writes the reader
# of §2.1. Explain it to them in three sentences, with two numbers.
#
# <details>
# <summary>A possible answer</summary>
#
# A learning rate does not scale the result, it decides between two behaviours: errors that shrink, or errors that grow. A
# minibatch of 5 of your inputs overshoots by more than it corrects once the learning rate exceeds about
# {{crossing:.3f}}, and you went from far below, 0.003, to above, 0.03. You could have computed this border from the
# inputs before the first step.
#
# </details>
#
# **6.** (Predict, then run.) (2.5) assumes orthogonal inputs and no bias. If both are true, $Q = 200\,I$ with the unit
# matrix $I$. What must `growth(200 * np.eye(20), 0.03, 0)` return? Run it. Then use (2.5) to find the smallest λ that
# stabilises $\eta = 0.028$, and compare with `growth` on the real inputs. Last, add 1 to all inputs: does $\lambda = 10$
# still rescue a learning rate that is too large, such as 0.006?
#
# <details>
# <summary>Solution</summary>
#
# $|1 - 80\cdot0.03| = 1.4$, so $\Gamma = \ln 1.4 = {{np.log(1.4):.4f}}$, to all digits: the estimate becomes exact.
# On the real inputs it is {{over_decay[:, 0].mean():.2f}}. For $\eta = 0.028$ solve
# $|a - {{80 * 0.028:.2f}}|\,a^3 = 1$: $a \approx {{1 - 0.028 * hand_border(0.028):.3f}}$, so
# $\lambda \approx {{hand_border(0.028):.1f}}$. The measured crossing lies higher, near 5.7: try
# `[np.mean([growth(Q, 0.028, decay) for Q in grams.values()]) for decay in (3, 4, 5, 6)]`.
#
# With 1 added, `growth((X + 1) @ (X + 1).T + 1, 0.006, [0, 10])` is 1.05 and 1.29: no rescue, since all batches share
# the direction of the mean.
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
# and `v` a list of random tensors of their shapes:
# `g = torch.autograd.grad(loss, params, create_graph=True)` once, then repeatedly
# `Hv = torch.autograd.grad(g, params, v, retain_graph=True)`, and `v` is `Hv` divided by its norm. The norm tends to
# the largest curvature in size. Add λ for parameters that decay. Do not be alarmed by an η somewhat above
# $2/\rho_{\max}$ of some batches: the curvature of a network falls when steps overshoot.
#
# </details>
#
# **8.** (Open.) How fast is the slow process of §2.7, the intercept's? Take the inputs as orthogonal, let the weights
# follow the intercept, and find the exponent. Compare with `growth`.
#
# <details>
# <summary>A start</summary>
#
# For a given $b$ the weights come to a standstill at $\frac{2\cdot 200}{20}\epsilon + \lambda(\epsilon - b) = 0$, so
# $\epsilon = \frac{\lambda}{20+\lambda}b$. The intercept then shrinks by $1-\frac{2\eta\lambda}{20+\lambda}$ a step:
# $\Gamma\approx -\frac{8\eta\lambda}{20+\lambda}$, that is ${{-8 * 0.03 * 10 / (20 + 10):.2f}}$ at $\lambda = 10$ and
# ${{-8 * 0.03 * 20 / (20 + 20):.2f}}$ at 20. Measured: $-0.10$ and $-0.16$. So it
# does fall with λ, slowly. The estimate is too small, since it lets the weights follow at once, as for small steps
# and full batches, and here $\eta(20+\lambda)$ is about 1.
#
# </details>
#
# **9.** (Break a claim.) (2.7) says how the excess depends on $|B|$. Which smaller batch size, in the cell that computes
# `excess`, makes the claim `02-noise` fail? Predict in which direction, and say which assumption breaks.
#
# <details>
# <summary>Solution</summary>
#
# Set `size = 1`. At $\eta = 0.02$ the excess is then 1.25 times (2.7), while the claim allows 1.2. Step 1 of the
# derivation took the noise at the minimum. Away from it an example's gradient differs by $(xx^\top - H_0)(w-w_\lambda)$,
# with $H_0$ the loss's Hessian. For normal inputs the trace of this extra noise is about
# $\operatorname{tr}H_0\operatorname{tr}(HS)$. Put it into step 3:
#
# $$E \approx \frac{\eta}{4}\,\frac{\operatorname{tr} C}{|B|} \Big/ \Big(1-\frac{\eta\operatorname{tr}H_0}{2|B|}\Big).$$
#
# With 20 inputs of variance 1, $\operatorname{tr}H_0\approx 20$: the correction is
# {{1 / (1 - 0.02 * 20 / 2):.2f}} at $\eta = 0.02$ and $|B| = 1$, and {{1 / (1 - 0.02 * 20 / 10):.2f}} at $|B| = 5$.
#
# </details>
#
# ## 2.14 Where next, and sources
#
# [Chapter 3](03_one_lambda_many_meanings.ipynb) translates λ between frameworks and shows where Adam parts from weight
# decay.
#
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: the toy problem.
# - [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html): an early analysis of weight decay.
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): coupled and decoupled decay.
# - [Goh (2017)](https://doi.org/10.23915/distill.00006), *Why Momentum Really Works*: (2.3) with pictures that move.
# - [Mandt, Hoffman and Blei (2017)](https://arxiv.org/abs/1704.04289) and
#   [Bottou, Curtis and Nocedal (2018)](https://arxiv.org/abs/1606.04838): SGD at a constant learning rate.
# - [Mishchenko, Khaled and Richtárik (2020)](https://arxiv.org/abs/2006.05988): shuffled epochs.
# - [Ma, Bassily and Belkin (2018)](https://arxiv.org/abs/1712.06559): which learning rates SGD tolerates where all
#   batches share a minimum, and how they depend on the batch size;
#   [Wu, Ma and E (2018)](https://nips.cc/virtual/2018/poster/11792): the same question as stability of a minimum in a
#   network.
# - [Cohen et al. (2021)](https://arxiv.org/abs/2103.00065): networks train where (2.4) just fails.
#
# ## 2.15 The sources, line by line
#
# The book began with four short texts (chapter 0 names them: a question and answer, a paper, a forum thread and a
# beginner's lesson). This table says what became of their 8 sentences that this chapter decides.

# %%
verdict("S0-11", "under conditions",
        "Exactly L2 for plain SGD at a constant η, with η′ = 0.99η and λ′ = 0.01/η′ (after the "
        "step) or λ = 0.01/η (before it). Not under a schedule, nor with momentum.")
# %%
verdict("S2-05", "true",
        f"Minibatches of 5 explode above η ≈ {crossing:.3f}. Full batches tolerate "
        f"{full.mean():.2f}.")
verdict("S2-06", "false", "It is the L2 norm.")

# %%
verdict("S2-07", "true",
        "It stays bounded because the other batches' decay outweighs the "
        "overshoot, as the inputs are nearly orthogonal, and it hovers. But the test error is "
        "about that of answering the mean target.")

# %%
verdict("S2-08", "true",
        f"0.03 in place of 0.003 crosses the threshold {crossing:.3f}, which can be computed "
        "beforehand.")

# %%
verdict("S2-09", "under conditions",
        "For a linear model a safe bound (2/ρ of the minibatches) and the exact threshold (by "
        "(2.6)) are there before training. In a network both change as it trains.")

# %%
verdict("S3-09", "under conditions",
        f"True of the minimiser. SGD follows only if 0 < ηλ < 2: at ηλ = {0.1 * 21:g} it grows as "
        "1.1ᵗ.")
verdict("S3-13", "under conditions",
        "On average over batches. At constant η it hovers unless all batches share the minimum; "
        "the excess grows with η for independent batches, with η² for short shuffled epochs.")
claims.verdicts()
