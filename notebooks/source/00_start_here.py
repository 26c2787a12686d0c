# %% [markdown]
# # 0 Start here
#
# Nearly every optimiser that trains a neural network has an argument called `weight_decay`. What is it for, and what does it do to the layers of a network?
#
# By the end you will be able to
#
# - say what weight decay is for, and write its training step;
# - predict how layers share the penalty under SGD, and under AdamW;
# - run a chapter, and read its claims.
#
# You need calculus, matrices, mean and variance, and some PyTorch. *Reading time: 25 minutes, and as much again for the exercises. The code runs in about 10 seconds.*
#
# ## 0.1 What is weight decay for?
#
# It keeps a network from learning noise. Take twenty examples on a smooth curve, each shifted up or down by noise,
# and a small network that is to learn the curve. Its {{below: hidden_units}} hidden tanh units are random and fixed; only their output weights $w$
# are trained. These are more than the examples, so the network can learn the noise, too.
#
# The **L2 penalty** makes large weights expensive. We minimise not the loss $L$ alone, but
#
# $$L(w)+\frac\lambda2\lVert w\rVert^2,\qquad\lVert w\rVert^2=\sum_iw_i^2,$$
#
# where $\lambda\ge0$ sets the price. To bend towards one stray example, the curve needs large weights. A bend that many examples
# support needs smaller ones.
#
# This is the whole training. §0.2 derives the line with the arrow.

# %%
import numpy as np
import torch


def train(w, lam, hidden, y, lr=1.0, steps=3000):
    for _ in range(steps):
        w = w.detach().requires_grad_()
        loss = ((hidden @ w - y) ** 2).sum() / (2 * hidden.shape[-2])  # half the mean squared error
        (g,) = torch.autograd.grad(loss, w)
        w = (1 - lr * lam) * w - lr * g  # <- the training step
    return w.detach()


# %%
from l2lib import claims, figures
from l2lib.claims import claim, seeds

torch.set_default_dtype(torch.float64)  # 64 bits, so that your digits match the printed ones
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

x, fine = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 201)[:, None]
sigma, hidden_units = 0.5, 100  # standard deviation of the noise; number of hidden units


# %%
def draw(seed):  # noisy targets, and the outputs of the hidden units at x and at fine
    rng = np.random.default_rng(seed)
    y = torch.sin(3 * x) + sigma * torch.tensor(rng.normal(size=(20, 1)))
    slope = torch.tensor(10 * rng.normal(size=hidden_units))
    shift = torch.tensor(10 * rng.uniform(-1, 1, hidden_units))
    hidden, hidden_fine = (torch.tanh(inputs * slope + shift) for inputs in (x, fine))
    return y, hidden / hidden_units**0.5, hidden_fine / hidden_units**0.5  # sums stay of size 1


# %% [markdown]
# We train {{below: len(targets)}} such networks, each from its own seed, with {{below: len(lams)}} values of λ.
# Their error on new examples is the squared distance from the true curve plus the variance of the noise, which no network can avoid.

# %%
lams = torch.tensor([0, *np.geomspace(1e-4, 1, 17)])
networks = zip(*map(draw, seeds(20)), strict=True)
targets, hidden, hidden_fine = (torch.stack(each) for each in networks)

# one column of weights for each λ; the columns do not affect each other
trained = train(torch.zeros(20, hidden_units, len(lams)), lams, hidden, targets)
own_errors = ((hidden @ trained - targets) ** 2).mean(1)  # 20 networks × 18 values of λ
errors = ((hidden_fine @ trained - torch.sin(3 * fine)) ** 2).mean(1) + sigma**2

# %% tags=["hide-input"]
assert errors.isfinite().all(), "a network diverged"
shown = {0: 0, 0.01: 9, 1: 17}  # the columns of three λ
assert np.allclose(lams[[*shown.values()]], [*shown]), "a column has another λ"
none, little = shown[0], shown[0.01]
typical = (errors[:, little] / errors[:, none]).argsort()[10]  # in the middle of the twenty

# %% tags=["hide-input"]
def draw_fits(left, right):
    left.plot(fine, torch.sin(3 * fine), "--", color=figures.GREY, lw=1.4, label="truth")
    left.plot(x, targets[typical], "o", color=figures.GREY, ms=4, label="examples")
    names = {0: "λ = 0", 0.01: "λ = 0.01", 1: "λ = 1"}
    for color, (lam, name) in zip(("C1", "C0", "C2"), names.items(), strict=True):
        fit = hidden_fine[typical] @ trained[typical, :, shown[lam]]
        left.plot(fine, fit, color=color, label=name)
        right.plot(lam or 5e-5, errors[:, shown[lam]].mean(), "o", color=color, ms=7, label=name)
    right.plot(5e-5, own_errors[:, 0].mean(), "o", color="C1", mfc="white", ms=7, label="_own")
    right.plot(lams[1:], errors[:, 1:].mean(0), color="black", label="new")
    right.plot(lams[1:], own_errors[:, 1:].mean(0), "--", color="black", label="own")
    right.axhline(sigma**2, color=figures.GREY, ls=":", lw=1.4, label="_floor")
    left.set(xlabel="input", ylabel="output", xticks=(-1, 0, 1), ylim=(-2.1, 2.1))


# %% tags=["hide-input"]
def label_fits(left, right):
    left.set_title("Decay smooths the fit")
    left.legend(loc="lower right", fontsize=9, handlelength=1.4)
    right.set(xscale="log", xlabel="λ", xlim=(3e-5, 2.2), ylim=(0, 0.72))
    right.set(ylabel="mean squared error", title="A little decay is best")
    right.set_xticks([5e-5, 1e-3, 1e-2, 0.1, 1], ["0", "0.001", "0.01", "0.1", "1"])
    right.minorticks_off()
    for words, across, up, color in (("on new examples", 4e-4, 0.42, "black"),
                                     ("on their own examples", 4.5e-4, 0.045, "black"),
                                     ("noise", 4e-5, 0.205, figures.GREY),
                                     ("λ = 0", 4e-5, 0.43, "C1"),
                                     ("λ = 0.01", 1.6e-3, 0.27, "C0"),
                                     ("λ = 1", 0.25, 0.655, "C2")):
        right.text(across, up, words, color=color, size=10)


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_fits(left, right), fig.get_layout_engine().set(wspace=0.08)
label_fits(left, right)
means = figures.drawn(right)
end = {lam: means[f"λ = {lam}"].y[0] for lam in shown}
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.01 less so, and with λ = 1 "
             "it is nearly flat. Right: mean squared error against λ after 3000 steps, mean of "
             "twenty networks. On the networks' own examples it grows with λ. On new examples it "
             f"is {end[0]:.2f} without decay, {end[0.01]:.2f} with λ = 0.01 and {end[1]:.2f} "
             f"with λ = 1; its unavoidable part, the noise, is {means['_floor'].y[0]:.2f}.",
             number="0.1")

# %% [markdown]
# Figure 0.1 shows one typical network (left) and the mean of all (right). The smaller λ is, the better the networks fit their own examples (dashed).
# On new examples (solid) that helps only down to about $\lambda=0.01$. Below, the error grows again: this is **overfitting**. (Without decay, training is far from finished after 3000 steps.) With $\lambda=1$ the network cannot follow even the curve. The error is {{end[1]:.2f}}, against {{end[0]:.2f}} without decay.
#
# A line with a tick ✓ is a *claim*: a sentence with a number that was measured as the chapter ran. The brackets say where it must lie (§0.6).

# %% tags=["hide-input"]
better = int((errors[:, little] < errors[:, none]).sum())
claim("00-overfit", "On new examples, the error beyond the noise is {} times as large with λ = "
      f"0.01 as without decay (mean of twenty networks; it is smaller in {better} of them)",
      measured=(end[0.01] - sigma**2) / (end[0] - sigma**2), below=0.75)

# %% tags=["hide-input"]
kernel = hidden @ hidden.mT + 20 * 0.01 * torch.eye(20)
claim("00-least", "With λ = 0.01 training ends at the minimum of loss and penalty together",
      measured=trained[..., [little]] - hidden.mT @ torch.linalg.solve(kernel, targets),
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# In the network of Figure 0.1, $\lVert w\rVert^2$ is {{(trained[typical, :, none] ** 2).sum():.0f}} without decay, and {{(trained[typical, :, little] ** 2).sum():.1f}} with $\lambda=0.01$. So decay helps against noise if λ is neither too small nor too large.
#
# ## 0.2 Where does λ enter the training step?
#
# Let $g$ be the gradient of the loss with respect to the weights, and $\eta$ the learning rate.
#
# 1. Each weight adds $\frac\lambda2w^2$ to what is minimised. The derivative of this term is $\lambda w$.
# 2. Gradient descent subtracts $\eta$ times the whole derivative: $w\leftarrow w-\eta(g+\lambda w)$.
# 3. Collect the two terms that contain $w$:
#
# $$w\leftarrow(1-\eta\lambda)\,w-\eta\,g\tag{0.1}$$
#
# Each step multiplies all weights by the same factor, a little below 1: hence *weight decay*. Without a gradient a weight shrinks to $1/e$ of its size in about $1/(\eta\lambda)$ steps.
#
# In Adam it matters where λ enters. For each weight, Adam keeps a running mean $v$ of squared gradients, and divides the gradient by $\sqrt v$. (We leave out momentum and smaller corrections.)
#
# - **Coupled** decay, in `torch.optim.Adam`, adds $\lambda w$ to the gradient. So it is divided by $\sqrt v$, too: $w\leftarrow w-\eta\,(g+\lambda w)/\sqrt v$, where $v$ averages $(g+\lambda w)^2$.
# - **Decoupled** decay, in `torch.optim.AdamW`, shrinks the weight directly: $w\leftarrow(1-\eta\lambda)\,w-\eta\,g/\sqrt v$, where $v$ averages $g^2$.
#
# So under coupled decay a weight with large gradients, and thus large $\sqrt v$, should hardly decay. To see it, we give 5,000 weights random gradients of mean zero; their *size* is their standard deviation. In the mean of the weights this noise averages out, and the decay remains.

# %%
from torch import nn


def train_on_noise(optimizer, lr, lam, size, start=1.0, steps=250, momentum=0.0):
    w, history = nn.Parameter(torch.full((5000,), start)), []
    rule = optimizer([w], lr=lr, weight_decay=lam, betas=(momentum, 0.999))
    for _ in range(steps):
        w.grad = size * torch.randn(5000)
        rule.step()
        history.append(w.detach().clone())
    return torch.stack(history)  # a row for each step


# %%
torch.manual_seed(seeds(1)[0])
decayed = {(optimizer, size): train_on_noise(optimizer, 0.02, 0.3, size).mean(1)
           for optimizer in (torch.optim.Adam, torch.optim.AdamW) for size in (0.1, 1, 10)}

# %% tags=["hide-input"]
def draw_decayed(left, right):
    colors, t = {0.1: "C2", 1: "C0", 10: "C1"}, np.arange(251)
    for (optimizer, size), means_of_w in decayed.items():
        ax = left if optimizer is torch.optim.Adam else right
        wide = {} if ax is left else {"lw": {0.1: 3, 1: 6.5, 10: 10}[size], "zorder": 3 - size / 10,
                                      "solid_capstyle": "butt"}
        ax.plot(t[1:], means_of_w, color=colors[size], label=f"{size}", **wide)
    left.plot(t, (1 - 0.02 * 0.3 / 10) ** t, "--", color="black", lw=1.2, label="law")
    right.plot(t, (1 - 0.02 * 0.3) ** t, "--", color="black", lw=1.2, label="law", zorder=4)
    left.set(title="Adam: unequal decay", xlabel="step t", ylim=(0, 1.08))
    left.set(ylabel="mean of the weights")
    right.set(title="AdamW: equal decay", xlabel="step t", ylabel=" ")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.1))
draw_decayed(left, right)
for words, across, up, color in (("gradients of size 10\n(dashed: (1 − ηλ/10)ᵗ)", 62, 0.72, "C1"),
                                 ("size 1", 150, 0.44, "C0"), ("size 0.1", 42, 0.03, "C2")):
    left.text(across, up, words, color=color, size=10)
right.text(5, 0.06, "η = 0.02, λ = 0.3", color=figures.GREY, size=10)
for words, up, color in (("size 10 (wide line)", 0.93, "C1"), ("size 1", 0.84, "C0"),
                         ("size 0.1 (thin line)", 0.75, "C2"),
                         ("dashed: (1 − ηλ)ᵗ", 0.66, "black")):
    right.text(105, up, words, color=color, size=10)
coupled, decoupled = figures.drawn(left), figures.drawn(right)
figures.show(fig, "Mean of 5000 weights that start at 1 and get random gradients, over 250 steps "
             "with η = 0.02 and λ = 0.3. Left: with coupled Adam it falls to "
             f"{coupled['10'].y[-1]:.2f} where gradients have size 10, to {coupled['1'].y[-1]:.2f} "
             f"where they have size 1, and to {abs(coupled['0.1'].y[-1]):.2f} where they have size "
             f"0.1. Right: with AdamW all three fall to {decoupled['1'].y[-1]:.2f}, on one line, "
             "which is the dashed (1 − ηλ)ᵗ.", number="0.2")

# %% tags=["hide-input"]
claim("00-factor", "After 250 steps the means are on the dashed lines, with Adam for gradients of "
      "size 10, with AdamW for all three sizes: {} times their height (worst of the four)",
      measured=[coupled["10"].y[-1] / coupled["law"].y[-1]]
      + [decoupled[size].y[-1] / decoupled["law"].y[-1] for size in ("0.1", "1", "10")],
      equals=1, within=0.1)

# %% [markdown]
# Under Adam, gradients of size 10 make $\sqrt v\approx10$, which divides $\lambda w$ by 10. (With size 0.1, $\lambda w$ itself is at first the larger part of $\sqrt v$.) So penalty and decay are the same in gradient descent, and differ in Adam.
#
# ## 0.3 Which layer has the largest share of the penalty?
#
# A network for handwritten digits ({{below: len(pixels):,}} images of 8 × 8 pixels) has weight matrices $W_1$, $W_2$ and $W_3$, with {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights. Somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) about two layers: is the term of the
# big one "effectively making the second term useless"?
#
# **Predict before you read on.** After training, how is the penalty $\frac\lambda2\sum_l\lVert W_l\rVert^2$ divided among the layers: by their numbers of weights, equally, or as at the start?

# %%
from l2lib.datasets import load

digits = load("digits")
pixels = digits.scaled(16, centre=True)
images, labels = torch.tensor(pixels), torch.tensor(digits.y)

# %%
torch.manual_seed(seeds(1)[0])
net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
weights, biases = [net[i].weight for i in (0, 2, 4)], [net[i].bias for i in (0, 2, 4)]

# %%
optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.003},
                             {"params": biases, "weight_decay": 0}], lr=0.5)
for _ in range(1500):
    batch = torch.randint(len(images), (64,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
    optimizer.step()
squared_norms = np.array([(w.detach() ** 2).sum() for w in weights])
print((squared_norms / squared_norms.sum()).round(2))  # the layers' shares

# %% tags=["hide-input"]
assert squared_norms.max() < 1.1 * squared_norms.min(), "not equal, as the text says"

# %% [markdown]
# Equally. The helper `sweep` runs such a loop from five seeds, also with AdamW, and records $\lVert W_l\rVert$ as `norm`. (For AdamW we take an unusually large λ, so that 500 steps suffice, and the default momentum, 0.9.) `isel(layer=0)` picks the first layer.

# %%
from itertools import pairwise

from l2lib.sweep import MLP, sweep

widths = (64, 256, 32, 10)
model = MLP(widths)

# %%
sizes = np.array([a * b for a, b in pairwise(widths)])  # numbers of weights
of_weights = sizes / sizes.sum()

# %%
options = {"loss": "cross_entropy", "seeds": seeds(5), "batch_size": 64, "record_every": 25}
sgd = sweep(model, pixels, digits.y, lr=0.5, weight_decay=0.003, steps=1500, **options)
# %%
adamw = sweep(model, pixels, digits.y, optimizer="adamw", lr=0.01, weight_decay=0.6, steps=500,
              **options)
free = sweep(model, pixels, digits.y, lr=0.01, weight_decay=0.0, steps=500, **options,
             optimizer="adamw")  # without decay, for §0.5

# %%
squares = sgd.norm**2
share = squares / squares.sum("layer")
share_adamw = adamw.norm**2 / (adamw.norm**2).sum("layer")

# %% tags=["hide-input"]
names = [f"{b} × {a}" for a, b in pairwise(widths)]

# %% tags=["hide-input"]
def draw_shares(left, right):
    for layer, name in enumerate(names):
        look = {"color": f"C{layer}", "lw": 1.3, "alpha": 0.5, "label": name}
        left.plot(share.step, share[:, layer].T, **look)
        right.plot(share_adamw.step, share_adamw[:, layer].T, **look)
        right.axhline(of_weights[layer], color=f"C{layer}", ls="--", lw=1.2, label=f"_size {name}")
    left.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(title="SGD: all layers equal", xlim=(0, 1500), xticks=(0, 500, 1000, 1500))
    right.set(title="AdamW: roughly by size", xlim=(0, 500), xticks=(0, 250, 500))
    for ax in (left, right):
        ax.set(xlabel="training step", ylabel=" ", ylim=(0, 1))
    left.set_ylabel("share of the penalty")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.5))
draw_shares(left, right)
for ax, ups, words in ((left, (0.55, 0.185, 0.11), "η = 0.5, λ = 0.003"),
                       (right, (0.71, 0.39, 0.06), "η = 0.01, λ = 0.6")):
    ax.text(0.98, 0.98, words, color=figures.GREY, ha="right", va="top", transform=ax.transAxes)
    for layer, up in enumerate(ups):
        ax.text(0.3, up, f"{sizes[layer]:,} weights", color=f"C{layer}", transform=ax.transAxes)
curves, right_curves = figures.drawn(left), figures.drawn(right)
first_shares = [curves[name].at(0).mean() for name in names]
far = max(abs(curves[name].y[curves[name].x >= 1000] - 1 / 3).max() for name in names)
last_shares = np.array([right_curves[name].y[:, right_curves[name].x[0] >= 250].mean()
                        for name in names])
dashed = np.array([right_curves[f"_size {name}"].y[0] for name in names])
words = [", ".join(f"{one:.2f}" for one in some) for some in (first_shares, last_shares, dashed)]
figures.show(fig, "Share of the penalty that each of three layers has during training, five seeds. "
             f"All start at {words[0]}. Left: under SGD all run to {curves['_third'].y[0]:.2f}, "
             f"from step 1000 on within {far:.2f} of it. Right: under AdamW they are {words[1]} in "
             "the second half, on average; dashed lines mark the layers' shares of all weights, "
             f"{words[2]}.", number="0.3")

# %% [markdown]
# In Figure 0.3 the first layer starts with {{100 * first_shares[0]:.0f}} % of the penalty. Under SGD all shares become 1/3 (dashed), although the numbers of weights differ by a factor of {{sizes[0] / sizes[-1]:.0f}}. Under AdamW the two large layers come near their shares of all weights (dashed). The small layer has {{last_shares[2] / dashed[2]:.1f}} times its share, and {{first_shares[2] / dashed[2]:.1f}} times at the start.

# %% tags=["hide-input"]
at_start = np.array([curves[name].at(0) for name in names])  # three layers, five runs
at_end = np.array([curves[name].at(1500) for name in names])
claim("00-start", "Before training, the first layer's squared norm is {} times the last one's "
      "(smallest of five seeds; PyTorch's random start gives about 256/10)",
      measured=(at_start[0] / at_start[2]).min(), equals=256 / 10, within=256 / 40)
claim("00-balance", "After training with SGD, the largest squared norm of a layer is {} times the "
      "smallest (worst of five seeds)", measured=at_end.max(0) / at_end.min(0), below=1.1)

# %% tags=["hide-input"]
before = first_shares / dashed
claim("00-share", "Under AdamW each of the two large layers has {} times its share of all weights "
      f"(worse of two; before training they have {before[0]:.2f} and {before[1]:.2f} times)",
      measured=(last_shares / dashed)[:2], equals=1, within=0.2)

# %% tags=["hide-input"]
thirds = 3 * curves["_third"].y[0]
claim("00-sum", "The layers' shares add up to 1, and so do the dashed lines",
      measured=[*at_start.sum(0), *at_end.sum(0), dashed.sum(), thirds], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# So SGD divides the penalty equally, and AdamW roughly by size. Why?
#
# ## 0.4 Why does SGD make the layers equal?
#
# The network can be rescaled without changing what it computes (Figure 0.4).
#
# 1. Multiply a layer's weights and biases by some $c>0$, and divide the next layer's weights by $c$. Since $\operatorname{relu}(cz)=c\operatorname{relu}(z)$, this changes neither
#    the network's function (left) nor the loss.
# 2. But the two squared norms in the penalty, say $A$ and $B$, become $c^2A$ and $B/c^2$. (Biases are not penalised.) Their product stays $AB$.
# 3. Two positive numbers with a given product have the smallest sum when they are equal (right). So at every minimum of loss plus penalty the two squared norms are equal. (Figure 0.3 shows that SGD gets there.)
#
# This holds for each pair of neighbouring layers. We try $c=2$ on the trained network:

# %%
from copy import deepcopy

scaled = deepcopy(net)
with torch.no_grad():
    scaled[0].weight *= 2
    scaled[0].bias *= 2
    scaled[2].weight /= 2
    print("same outputs:", torch.allclose(scaled(images), net(images)))
    penalties = [sum((each[i].weight ** 2).sum() for i in (0, 2, 4)) for each in (net, scaled)]
    print(f"penalty: {penalties[1] / penalties[0]:.2f} times as large")

# %% tags=["hide-input"]
with torch.no_grad():
    claim("00-scaled", "With c = 2 the network's outputs stay the same",
          measured=scaled(images) - net(images), equals=0, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
def draw_net(ax, left, first, following):
    places = {"in": [(left, 1), (left, 3)], "hidden": [(left + 1.3, 1), (left + 1.3, 3)]}
    for size, start in zip(first, places["in"], strict=True):
        for tip in places["hidden"]:
            ax.plot(*zip(start, tip, strict=True), color="C0", lw=4 * size, zorder=1)
    for size, start in zip(following, places["hidden"], strict=True):
        ax.plot(*zip(start, (left + 2.6, 2), strict=True), color="C1", lw=4 * size, zorder=1)
    for place in (*places["in"], *places["hidden"], (left + 2.6, 2)):
        ax.plot(*place, "o", color="white", mec="black", ms=11, zorder=2)


# %% tags=["hide-input"]
def draw_nets(ax):
    c = 0.5**0.5
    first, following = np.array([0.8, 1.36**0.5]), np.array([0.8, 0.6])  # squares: 2 · 2 and 1
    draw_net(ax, 0.3, first, following), draw_net(ax, 4.1, c * first, following / c)
    for across, up, words, color in ((0.95, 0.1, "4", "C0"), (1.6, 0.1, "+", "black"),
                                     (2.25, 0.1, "1", "C1"), (4.75, 0.1, "2", "C0"),
                                     (5.4, 0.1, "+", "black"), (6.05, 0.1, "2", "C1"),
                                     (4.75, 3.6, "× 0.71", "C0"), (6.1, 3.6, "÷ 0.71", "C1")):
        ax.text(across, up, words, color=color, size=11, ha="center")
    ax.text(3.5, 2, "=", size=18, ha="center", va="center")
    ax.set(xlim=(0, 7), ylim=(-0.3, 4.3), xticks=[], yticks=[], title="The same function …")
    ax.set(xlabel="sum of the squared norms", ylabel=" ")
    ax.grid(False), ax.spines[:].set_visible(False)


# %% tags=["hide-input"]
def draw_valley(ax):
    c = np.linspace(0.42, 1.3, 177)
    first_norm, next_norm = 4.0, 1.0
    ax.plot(c, c**2 * first_norm, color="C0", label="first")
    ax.plot(c, next_norm / c**2, color="C1", label="next")
    ax.plot(c, c**2 * first_norm + next_norm / c**2, color="black", lw=2.4, label="sum")
    for words, color, across, up in (("first layer", "C0", 0.99, 2.75), ("sum", "black", 1.07, 6.6),
                                     ("next layer", "C1", 0.72, 0.45)):
        ax.text(across, up, words, color=color, size=10)
    ax.plot([1, 1, 1], [4, 1, 5], "o", color=figures.GREY, ms=5, label="_now")
    ax.annotate("c = 1: 4 + 1", (1, 5), (0.62, 6.6), size=10, arrowprops={"arrowstyle": "->"})
    ax.annotate("2 + 2", (0.5**0.5, 4), (0.62, 5.2), size=10, arrowprops={"arrowstyle": "->"})
    ax.set(xlabel="factor c", ylabel="squared norm", xlim=(0.42, 1.3), ylim=(0, 7.5))
    ax.set_title("… is cheapest when equal")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.2))
draw_nets(left), draw_valley(right), fig.get_layout_engine().set(wspace=0.08)
valley = figures.drawn(right)
lowest = valley["sum"].x[valley["sum"].y.argmin()]
right.plot(lowest, valley["sum"].at(lowest), "o", color="black", label="_dot")
figures.show(fig, "Left: two drawings of one network, with lines as thick as weights are large. In "
             "the second the first layer is multiplied by 0.71 and the next divided by it; their "
             "squared norms 4 and 1 become 2 and 2. Right: the squared norms against c. Their "
             f"sum is least at c = {lowest:.2f}, where they are "
             f"{valley['first'].at(lowest):.1f} and {valley['next'].at(lowest):.1f}.", number="0.4")

# %% [markdown]
# So at a minimum the second term is not useless, but as large as the first.
#
# **How long does it take?** Leave out the biases. The loss does not depend on $c$, so its derivative at $c=1$ is zero: $\sum{W_1g_1}-\sum{W_2g_2}=0$, where $g_l$ is its gradient with respect to $W_l$. A small step on the loss changes $A$ by about $-2\eta\sum{W_1g_1}$ and $B$ by $-2\eta\sum{W_2g_2}$, so $A-B$ stays ([chapter 5](05_size_normalisation.ipynb)). Decay multiplies $A$, $B$ and so $A-B$ by $(1-\eta\lambda)^2$. After $t$ steps $(1-\eta\lambda)^{2t}$ of the difference is left: $1/e$ after about $1/(2\eta\lambda)$ steps, here {{1 / (2 * 0.5 * 0.003):.0f}}.

# %% tags=["hide-input"]
def left_over(runs):  # of the difference between the first and the last layer
    difference = runs.norm[:, 0] ** 2 - runs.norm[:, 2] ** 2
    return (difference / difference.isel(step=0)).sel(step=325)


as_before = {"lr": 0.5, "weight_decay": 0.003, "steps": 325, **options}
no_biases = sweep(MLP(widths, bias=False), pixels, digits.y, **as_before)
law = (1 - 0.5 * 0.003) ** (2 * 325)

# %% tags=["hide-input"]
claim("00-time", "After 325 steps of SGD without biases, {} of the difference between the first "
      f"and last layer's squared norms is left; (1 − ηλ)²ᵗ is {law:.3f} (worst of five seeds)",
      measured=left_over(no_biases), equals=law, within=0.02)

# %% [markdown]
# With biases, {{float(left_over(sgd).mean()):.2f}} is left. All this supposes ReLU, small steps, and little minibatch noise.
#
# ## 0.5 What does AdamW make equal instead?
#
# AdamW divides each gradient by its typical size $\sqrt v$. So all weights take steps of about the same size, $\eta$, and decay shrinks all by the same factor. How large do they become? Suppose that gradients are noise only, of mean zero and independent from step to step, and let $\overline{w^2}$ be the mean square of many weights.
#
# 1. A gradient divided by $\sqrt v$ has mean square 1. It is independent of $w$, so on average each step adds $\eta^2$ to $\overline{w^2}$.
# 2. Decay multiplies $\overline{w^2}$ by $(1-\eta\lambda)^2\approx1-2\eta\lambda$. So each step takes away about $2\eta\lambda\,\overline{w^2}$.
# 3. The two are equal where $\overline{w^2}=\eta/(2\lambda)$. The root of this mean square (RMS) is
#
# $$w_{\mathrm{rms}}\approx\sqrt{\frac{\eta}{2\lambda}}\tag{0.2}$$
#
# The size of the gradients does not enter. Figure 0.5 tests (0.2) on noise, and on the layers of §0.3.

# %%
torch.manual_seed(seeds(1)[0])
noise = {(size, start): train_on_noise(torch.optim.AdamW, 0.01, 0.6, size, start, steps=500)
         for size, start in ((0.1, 0.2), (10, 0.0))}
noise_rms = {size: (each**2).mean(1) ** 0.5 for (size, _), each in noise.items()}
heavy = train_on_noise(torch.optim.AdamW, 0.01, 0.6, 1, 0.0, steps=500, momentum=0.9)

# %%
layer_rms = (adamw.norm**2 / sizes[:, None]) ** 0.5  # runs, layers, recorded steps
expected = (0.01 / (2 * 0.6)) ** 0.5
free_squares = (free.norm**2).isel(step=-1).mean("seed").values  # without decay, three layers
free_share = free_squares / free_squares.sum()
adamw_first = float((adamw.norm**2).isel(step=-1, layer=0).mean())

# %% tags=["hide-input"]
def draw_rms(left, right):
    for size, color in ((0.1, "C3"), (10, "C4")):
        left.plot(range(1, 501), noise_rms[size], color=color, label=f"{size}")
    for layer, name in enumerate(names):
        right.plot(layer_rms.step, layer_rms[:, layer].T, color=f"C{layer}", lw=1.2, alpha=0.6,
                   label=name)
    for ax in (left, right):
        ax.axhline(expected, color="black", ls="--", lw=1.2, label="law")
        ax.set(xlabel="training step", ylabel=" ", xlim=(0, 500), ylim=(0, 0.21))
    left.set(title="Noise alone: √(η/2λ)", ylabel="RMS of the weights")
    right.set(title="Layers of a network: above it", yticks=(0, 0.05, 0.1, 0.15, 0.2))


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.3))
draw_rms(left, right)
left.text(70, 0.165, "gradients of size 0.1", color="C3")
left.text(85, 0.035, "gradients of size 10", color="C4")
left.text(330, 0.1, "√(η/2λ)", color="black"), right.text(330, 0.078, "√(η/2λ)", color="black")
for words, across, up, color in (("320 weights", 150, 0.178, "C2"), ("16,384", 90, 0.131, "C0"),
                                 ("8,192 weights", 200, 0.131, "C1")):
    right.text(across, up, words, color=color)
alone, real = figures.drawn(left), figures.drawn(right)
late = np.array([real[name].y[:, 10:].mean(1) for name in names])  # three layers, five runs
early = np.array([real[name].y[:, 0].mean() for name in names])
figures.show(fig, "Root mean square of weights under AdamW with η = 0.01 and λ = 0.6. Left: with "
             f"noise for gradients it ends at {alone['0.1'].y[-1]:.3f} and "
             f"{alone['10'].y[-1]:.3f}, from above and from below; the dashed line is √(η/2λ) = "
             f"{alone['law'].y[0]:.3f}. Right: three layers of a network start at "
             f"{early[0]:.2f}, {early[1]:.2f} and {early[2]:.2f}, and are at {late[0].mean():.2f}, "
             f"{late[1].mean():.2f} and {late[2].mean():.2f} in the second half.", number="0.5")

# %% tags=["hide-input"]
ends = [*(alone[size].y[400:] for size in ("0.1", "10")), (heavy[400:] ** 2).mean(1) ** 0.5]
claim("00-noise", "With noise for gradients, the weights end at an RMS of {} times √(η/2λ) (worst "
      "of two: small gradients and large ones)",
      measured=[each.mean() / expected for each in ends[:2]], equals=1, within=0.05)
claim("00-heavy", "With momentum 0.9, and gradients of size 1, it is {} times",
      measured=ends[2].mean() / expected, equals=1, within=0.1)

# %% tags=["hide-input"]
ratios, before = late.mean(1) / expected, early / expected
claim("00-rms", "In the second half of training, the RMS of the two large layers is {} times "
      f"√(η/2λ) (worst of five runs; before training {before[0]:.2f} and {before[1]:.2f} times)",
      measured=late[:2] / expected, between=(1, 1.5))
claim("00-free", "Without decay the first layer's squared norm is {} times as large after 500 "
      "steps (mean of five seeds)", measured=free_squares[0] / adamw_first, above=1.5)

# %% [markdown]
# A network's gradients are not noise alone: its layers' RMS is {{ratios[0]:.2f}}, {{ratios[1]:.2f}} and {{ratios[2]:.2f}} times $\sqrt{\eta/2\lambda}$. At the start the largest is {{early.max() / early.min():.1f}} times the smallest, later {{(late.max(0) / late.min(0)).mean():.1f}} times.
#
# Equal steps already give shares by size: without decay the shares after 500 steps are {{free_share[0]:.2f}}, {{free_share[1]:.2f}} and {{free_share[2]:.2f}}. Decay decides how large the weights become (last claim). The factors above hold for this η and λ; at others they may differ. In short:
#
# | What | SGD | AdamW |
# |---|---|---|
# | decay multiplies $w$ by | $1-\eta\lambda$ | $1-\eta\lambda$ |
# | a step on the loss is | $\eta g$ | about $\eta$ for every weight |
# | layers become equal in | $\lVert W_l\rVert^2$ | $w_{\mathrm{rms}}$, roughly |
# | shares of the penalty | equal | roughly by size |
# | the weights' size follows from | $\lambda$ and the loss | on noise $\eta/\lambda$; in a network $\eta$, $\lambda$ and the loss |
#
# ## 0.6 What does a claim do?
#
# A claim raises an error if its number lies outside the brackets. Try a belief about SGD:

# %%
from l2lib.claims import ClaimError

biggest = share.isel(layer=0, step=-1)  # in each of five runs
try:
    claim("00-belief", "The largest layer has {} of the squared norm, more than half of it",
          measured=biggest, above=0.5)
except ClaimError as message:
    print(message)

# %% tags=["hide-input"]
assert abs(biggest - 1 / 3).max() < 0.05, "the belief was tested on something else"

# %% [markdown]
# So in a chapter that ran to its end, every claim held. `L2LIB_SEED=7` in the environment runs a chapter on other random numbers.
#
# ## 0.7 In practice
#
# - Take `AdamW`, and leave the `weight_decay` of `Adam` at 0.
# - Use one λ for all weight matrices, and none for biases and for the gains of normalisation layers ([chapter 6](06_bias_exclusion.ipynb)).
# - Typical values of λ are 0.0001 to 0.0005 with SGD, and 0.01 (PyTorch's default) to 0.1 with AdamW; our 0.6 is {{0.6 / 0.1:.0f}} to {{0.6 / 0.01:.0f}} times these.
# - Choose λ on a validation set ([chapter 11](11_choosing_lambda.ipynb)).
# - Compare your number of steps with $1/(\eta\lambda)$. In a much shorter run decay does little. (SGD with momentum $\mu$ acts like SGD with learning rate $\eta/(1-\mu)$.)
#
# **Myth.** *A large layer drowns the small ones.* No: the pull $\lambda w$ on a weight does not depend on other layers.
#
# **Limits.** Nothing here says which shares predict better.
#
# ## 0.8 How to read and run the book
#
# Chapters [1](01_what_an_l2_penalty_does.ipynb) to [4](04_other_penalties.ipynb) are about the penalty, chapters [5](05_size_normalisation.ipynb) and [6](06_bias_exclusion.ipynb) about
# which weights decay, chapters [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb) about normalisation, chapter [11](11_choosing_lambda.ipynb) about choosing λ.
#
# Open a chapter with `make lab` and choose *Run, Run All Cells*. Change a number and run again: a claim that fails is a sentence that is now
# false. Cells that only draw or claim are folded.
#
# <details>
# <summary>The four texts that the book began with</summary>
#
# The book checks {{len(__import__("l2lib").ledger.lines())}} statements from four short texts:
# a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) (S0),
# [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) (S1), a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) (S2)
# and a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) (S3). The verdicts stand at the chapters' ends.
#
# </details>
#
# <details>
# <summary>Notation: the symbols of all chapters, to look up when you need one</summary>
#
# Losses are means, and the squared error has a factor ½ which `torch.nn.MSELoss` lacks. Biases are not penalised unless a chapter says so.
# Sections are cited as §0.3 and equations as (0.1).
#
# | symbol | meaning | in code |
# |---|---|---|
# | $n$, $d$, $B$ | numbers of training examples, of inputs, of examples in a batch | `batch_size` for $B$ |
# | $X$, $y$ | inputs ($n\times d$), targets | `X`, `y` |
# | $w$, $W_l$, $b$ | weights, weight matrix of layer $l$, intercept or biases | `w`, `weight0`, `bias0` |
# | $\hat w$, $w_\lambda$ | least-squares fit, ridge fit with penalty $\lambda$ | |
# | $w^{(0)}$, $w^*$ | weights at the start of training, true weights of a simulation | |
# | $L$, $g$ | mean loss of the examples or of a batch; its gradient with respect to $w$ | `loss` |
# | $H$, $\rho$ | Hessian of $L$; one of its eigenvalues, a curvature | |
# | $\lambda$ | coefficient of the penalty $\frac\lambda2\lVert w\rVert^2$ | `weight_decay` |
# | $\eta$, $\mu$ | learning rate, momentum | `lr`, `momentum` |
# | $\delta=\eta\lambda$, $a=1-\eta\lambda$ | decay of one step, shrink factor of one step | |
# | $\eta_t$, $\eta_{\max}$ | learning rate at step $t$ under a schedule, its peak | `schedule` |
# | $t$, $T$ | a step, the last step | `step`, `steps` |
# | $s_i$, $v_i$, $u_i$ | singular values of $X$, their directions among inputs and among examples | `s`, `Vt` |
# | $\sigma$, $\tau$ | standard deviation of noise, of a prior on weights | `noise` |
# | $m_t$, $v_t$; $\beta_1$, $\beta_2$ | Adam's running means of $g$ and of $g^2$ (the index $t$ tells $v_t$ from $v_i$); their memories | `betas` |
# | $q=g/\sqrt v$ | gradient after Adam's rescaling | |
# | $\overline{w^2}$, $w_{\mathrm{rms}}$ | mean over the weights of a layer; root of the mean square | |
# | $\gamma$, $\beta$ | scale and shift of a normalisation layer | `gamma0`, `beta0` |
# | $\varepsilon$ | small constant under a root or in a denominator | `eps` |
# | $c$ | a positive factor by which a layer, an input or a loss is scaled | |
# | $r$, $\theta$ | norm of a weight matrix, angle by which a step turns it | `norm`, `angle` |
# | $G$ | norm of the gradient where the weights have norm 1 (from chapter 8 on) | |
#
# </details>
#
# ## 0.9 Exercises
#
# **1.** Set `weight_decay=0.0` in the run of SGD with `sweep`. Which shares do you expect, and which do you see? And in the run of AdamW?
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, and have slowed down near 0.50, 0.26 and 0.24 at
# step 1500. Without decay, small steps nearly conserve the *differences*
# of the layers' squared norms (§0.4). So these become less important as the norms grow, but they do not fade. The claim `00-balance`
# fails, as it should.
#
# Under AdamW without decay the shares end near 0.70, 0.28 and 0.02. §0.5 says why.
#
# </details>
#
# **2.** Double λ and halve the learning rate of SGD. Do the layers become equal earlier, later, or at the same step?
#
# <details>
# <summary>Solution</summary>
#
# At about the same step: differences between layers fade like $(1-\eta\lambda)^{2t}$, and $\eta\lambda$ is unchanged. But they become equal
# at smaller weights, because $\lambda$ alone decides where loss plus penalty is least. Chapter 2 is about this product.
#
# </details>
#
# **3.** Break a claim: change one number in §0.1 so that `00-overfit` fails.
#
# <details>
# <summary>Solution</summary>
#
# Take the noise away: put `sigma, hidden_units = 0.0, 100`. Where there is no noise to learn, decay can only do harm.
#
# </details>
#
# **4.** The weights of §0.1 start at zero, so they also stay small if training stops early. Find the lowest error on new examples after 5, 10, …, 200 steps with $\lambda=0$. Is $\lambda=0.01$ better than this *early stopping*?
#
# <details>
# <summary>Solution</summary>
#
# ```python
# w, early = torch.zeros(20, hidden_units, 1), []
# for _ in range(40):
#     w = train(w, 0, hidden, targets, steps=5)
#     early.append(((hidden_fine @ w - torch.sin(3 * fine)) ** 2).mean() + sigma**2)
# early = min(early)
# ```
#
# No: the two are about equally good. Early stopping reaches 0.32, and decay ends at 0.32. [Chapter 1](01_what_an_l2_penalty_does.ipynb) says why.
#
# </details>
#
# **5.** Divide each layer's term by its number of weights: $\lambda_1=\lambda/16384$ for a layer with squared norm $A$, and $\lambda_2=\lambda/256$ for the next, with $B$. What is the least penalty $\frac12(\lambda_1c^2A+\lambda_2B/c^2)$ over all $c>0$? Which common $\lambda'$ gives the same?
#
# <details>
# <summary>Solution</summary>
#
# The product of the two terms is the same for every $c$, so their sum is least where they are equal: it is $\sqrt{\lambda_1\lambda_2AB}$. With one $\lambda'$ for both it is $\lambda'\sqrt{AB}$. So $\lambda'=\sqrt{\lambda_1\lambda_2}$, which is $\lambda$ divided by {{(16384 * 256) ** 0.5:.0f}}: dividing by the sizes leads to the same best functions as this one $\lambda'$. Only the layers' norms differ: where the terms are equal, the first layer's squared norm is {{16384 / 256:.0f}} times the other's.
#
# </details>
#
# **6.** In a log of $\lVert W_l\rVert^2$ one layer's is by far the largest to the end. A colleague wants to give it another $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# First, which optimiser it was. With AdamW the largest layer normally has the largest squared norm, as in Figure 0.3. Then, with SGD, how many steps there were. After $3/(2\eta\lambda)$ steps (with momentum $3(1-\mu)/(2\eta\lambda)$), {{100 * np.exp(-3):.0f}} % of a difference is left. In a much shorter run the log shows the start of training, and says nothing about $\lambda$.
#
# </details>
#
# **7.** On your own network: predict the shares, then compute them before and after training.
#
# <details>
# <summary>A start</summary>
#
# ```python
# squares = {name: (p.detach() ** 2).sum().item() for name, p in model.named_parameters() if p.ndim > 1}
# ```
#
# After a long run of SGD they should be nearly equal where ReLU connects two layers. They need not be around normalisation layers:
# chapter 7 says why. Under AdamW compare the layers' RMS with (0.2).
#
# </details>
#
# **Next:** [chapter 1](01_what_an_l2_penalty_does.ipynb), the simplest model with a penalty.
#
# **Sources.** [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html) on decay against noise,
# [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) on AdamW,
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900) on balance,
# [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212) on (0.2).
