# %% [markdown]
# # 0 Start here
#
# Nearly every optimiser that trains a neural network has an argument called `weight_decay`. It changes one line of the
# training step, and keeps a network from learning the noise in its examples. Much of what is said about it is wrong.
# This book works out what is true, by derivation, code and experiment.
#
# By the end you will be able to
#
# - say what an L2 penalty is for, and write the training step that carries it out;
# - predict which share of the penalty each layer has under plain SGD, Adam and AdamW, and after how many steps;
# - run a chapter, and read its claims.
#
# You need derivatives, matrices, mean and variance, and some NumPy and PyTorch. *Reading time: half an hour. The code runs in about 10 seconds.*
#
# > **If you only want to set it.** Typical values of λ are 0.0001 to 0.0005 with SGD, and 0.01 (PyTorch's default) to 0.1 with AdamW. Use one λ for all weight matrices,
# > and none for biases. At learning rate $\eta$, decay takes about $1/(\eta\lambda)$ steps to act, and with SGD and momentum $\mu$ about $(1-\mu)/(\eta\lambda)$. In a much shorter run it does little.
#
# ## 0.1 What weight decay is for
#
# This section shows overfitting, and what a penalty does about it. Twenty examples lie on a smooth curve, but noise has shifted
# each of them up or down. A small network with 100 hidden tanh units is to learn the curve. To keep it simple, the hidden units are random and fixed.
# Only the {{below: start.numel()}} output weights $w$ are trained, more than there are examples. So the network can learn the noise, too.
#
# The **L2 penalty** makes large weights expensive. We minimise not the loss $L$ alone, but
#
# $$L(w) + \frac{\lambda}{2}\lVert w\rVert^2, \qquad \lVert w\rVert^2 = \sum_i w_i^2 ,$$
#
# with a coefficient $\lambda\ge0$. Why should that help? The network's curve can bend sharply only if some weights are large. When these are expensive,
# it bends where many examples support it, but not for a single stray one.
#
# This is the whole training; look at the line with the arrow.

# %%
import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from l2lib import figures
from l2lib.claims import ClaimError, claim, identities, seeds

torch.set_default_dtype(torch.float64)  # 64-bit numbers: you see the digits printed here
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

# %%
x, fine = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 201)[:, None]


# %%
def draw(seed):  # targets, outputs of the hidden units at x and at fine, initial output weights
    rng = np.random.default_rng(seed)
    y = torch.sin(3 * x) + 0.5 * torch.tensor(rng.normal(size=(20, 1)))
    slope, shift = 10 * rng.normal(size=100), 10 * rng.uniform(-1, 1, 100)  # units bend sharply
    slope, shift = torch.tensor(slope), torch.tensor(shift)
    hidden, hidden_fine = (torch.tanh(inputs * slope + shift) / 100**0.5 for inputs in (x, fine))
    return y, hidden, hidden_fine, torch.tensor(rng.normal(size=(100, 1)))


# %%
def train(lam, lr=1.0, steps=3000):
    w = start.clone()
    for _ in range(steps):
        w.requires_grad_()
        loss = ((hidden @ w - y) ** 2).mean() / 2  # half the mean squared error
        (g,) = torch.autograd.grad(loss, w)
        w = ((1 - lr * lam) * w - lr * g).detach()  # <- the training step
    return w


# %% [markdown]
# The next, folded cell trains {{below: len(many[0])}} such networks, each with its own noise. As our example it picks the one in the middle when they are ordered by how much decay helps.

# %% tags=["hide-input"]
many = [torch.stack(each) for each in zip(*map(draw, seeds(20)), strict=True)]
penalties = (0, 0.01, 0.3)


def train_many(lam, lr=1.0, steps=3000):
    y, hidden, hidden_fine, w = many
    marks = set(np.geomspace(3, 3000, 50).round().astype(int).tolist()) | {steps}
    errors = []
    for step in range(1, steps + 1):
        w = (1 - lr * lam) * w - lr * hidden.mT @ (hidden @ w - y) / 20
        if step in marks:
            far = ((hidden_fine @ w - torch.sin(3 * fine)) ** 2).mean((1, 2))
            errors.append((step, far.mean().item(), ((hidden @ w - y) ** 2).mean().item()))
    return np.array(errors).T, hidden_fine @ w, far.numpy()


runs = {lam: train_many(lam) for lam in penalties}
error = {lam: run[0] for lam, run in runs.items()}
typical = np.argsort(runs[0.01][2] / runs[0][2])[10]  # in the middle of the twenty

# %%
y, hidden, hidden_fine, start = draw(seeds(20)[typical])
curve = {lam: hidden_fine @ train(lam) for lam in penalties}

# %% tags=["hide-input"]
def draw_fits(left, right):
    left.plot(fine, torch.sin(3 * fine), "--", color=figures.GREY, lw=1.4, label="truth")
    left.plot(x, y, "o", color=figures.GREY, ms=4, label="examples")
    names = {0: "λ = 0", 0.01: "λ = 0.01", 0.3: "λ = 0.3"}
    for color, (lam, name) in zip(("C1", "C0", "C2"), names.items(), strict=True):
        left.plot(fine, curve[lam], color=color, label=name)
        right.plot(error[lam][0], error[lam][1], color=color, label=name)
    right.plot(error[0][0], error[0][2], ":", color="C1", lw=1.4, label="training")
    left.set(xlabel="input", ylabel="output", xticks=(-1, 0, 1))
    left.set_title("Decay smooths the fit")
    left.legend(loc="lower right", fontsize=9, handlelength=1.4)
    right.set(xscale="log", xlabel="training step", xlim=(3, 3000), ylim=(0, 0.45))
    right.set(ylabel="mean squared error", title="No decay: the error turns")
    right.set_xticks([10, 100, 1000], ["10", "100", "1000"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_fits(left, right)
means, fits = figures.drawn(right), figures.drawn(left)
end = {lam: means[f"λ = {lam}"].at(3000) for lam in (0, 0.01, 0.3)}
best, stop = means["λ = 0"].y.min(), means["λ = 0"].x[means["λ = 0"].y.argmin()]
right.plot(stop, best, "o", color="C1", ms=5, label="_stop")
for words, color, across, up in (("λ = 0", "C1", 700, 0.155), ("λ = 0.01", "C0", 500, 0.045),
                                 ("λ = 0.3", "C2", 500, 0.235), ("best step", "C1", 28, 0.05),
                                 ("dotted: error on the\nnoisy examples, λ = 0", "C1", 14, 0.37)):
    right.text(across, up, words, color=color, size=10)
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.01 less so, and with λ = 0.3 "
             "it is too flat. Right: mean squared distance from the truth over 3000 steps, mean of "
             f"twenty networks. Without decay it falls to {best:.3f} at step {stop:.0f} and rises "
             f"to {end[0]:.3f}, while the training error falls. With λ = 0.01 it ends at "
             f"{end[0.01]:.3f}, and with λ = 0.3 at {end[0.3]:.3f}.")

# %% [markdown]
# Figure 0.1 shows this network, and the mean of all {{len(many[0])}}. Without decay ($\lambda=0$) the network first learns the curve, and then the noise:
# its error on the examples (dotted) keeps falling, but its error on the true curve, which only a simulation knows, grows again.
# This is **overfitting**. (The dotted line begins above the others because the examples contain noise.) With $\lambda=0.01$ the error stays low. With $\lambda=0.3$
# the network cannot follow the curve.
#
# Lines with a tick ✓ are *claims*: sentences whose number was measured when the chapter ran. The brackets say where it must lie; otherwise the
# chapter stops with an error (§0.5).

# %% tags=["hide-input"]
claim("00-overfit", "With λ = 0.01 training ends at {} of the error that it ends with "
      "without decay (means of twenty networks)", measured=end[0.01] / end[0], below=0.7)
claim("00-much", "Training without decay ends at {} of the error that λ = 0.3 gives, so too much "
      "decay is worse than none", measured=end[0] / end[0.3], below=1)
claim("00-rival", "With λ = 0.01 training ends at {} times the error that networks without decay "
      "have at their best step", measured=end[0.01] / best, between=(0.5, 1))

# %% tags=["hide-input"]
claim("00-many", "The picture shows what the visible code trains",
      measured=[fits[f"λ = {lam}"].y - runs[lam][1][typical].flatten().numpy()
                for lam in penalties], equals=0, within=1e-9)
identities()

# %% [markdown]
# The third claim compares decay with a rival, *early stopping*: train without decay, and stop in time. Its error is {{best / end[0.01]:.2f}} times as large here.
# We chose both the step and $\lambda$ by looking at the true curve; in practice a validation set chooses them ([chapter 1](01_what_an_l2_penalty_does.ipynb)).
#
# ## 0.2 Where λ enters the training step
#
# Let $g$ be the gradient of the loss and $\eta$ the learning rate.
#
# 1. Each weight adds $\frac\lambda2w^2$ to what is minimised. The derivative of this term is $\lambda w$.
# 2. Gradient descent subtracts $\eta$ times the whole derivative: $w\leftarrow w-\eta(g+\lambda w)$.
# 3. Collect the two terms that contain $w$:
#
# $$w \;\leftarrow\; (1-\eta\lambda)\,w - \eta\,g \tag{0.1}$$
#
# Each step shrinks all weights by the same factor: hence *weight decay*.
# For plain gradient descent, steps 2 and 3 are the same. Other optimisers differ (Figure 0.2). **Coupled** decay adds $\lambda w$ to the gradient before
# the optimiser sees it. **Decoupled** decay shrinks the old weights directly.

# %% tags=["hide-input"]
def draw_boxes(ax, title, boxes, arrows):
    ax.set(xlim=(0, 11), ylim=(0, 7.4), xticks=[], yticks=[], title=title)
    ax.set_xlabel(" "), ax.set_ylabel(" ")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    frame = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": figures.GREY}
    for words, (place, color) in boxes.items():
        ax.text(*place, words, ha="center", va="center", size=10, bbox=frame, color=color)
    for tail, tip in arrows:
        ax.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "color": figures.GREY})


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3))
boxes = {"old\nweights": ((1.4, 5.6), "black"), "gradient": ((1.4, 1.2), "black"),
         "optimiser": ((8.3, 1.2), "black"), "+": ((8.3, 5.6), "black")}
arrows = [((8.3, 1.9), (8.3, 4.9)), ((8.9, 5.6), (10.4, 5.6))]
draw_boxes(left, "Coupled: SGD, Adam", boxes | {"+ λ$w$": ((4.9, 1.2), "C0")}, [
    *arrows, ((2.7, 5.6), (7.7, 5.6)), ((1.9, 4.6), (4.4, 2)), ((2.8, 1.2), (3.9, 1.2)),
    ((5.9, 1.2), (6.8, 1.2))])
draw_boxes(right, "Decoupled: AdamW", boxes | {"× (1 − ηλ)": ((5.1, 5.6), "C1")}, [
    *arrows, ((2.7, 5.6), (3.4, 5.6)), ((6.8, 5.6), (7.7, 5.6)), ((2.8, 1.2), (6.8, 1.2))])
for ax in (left, right):
    ax.text(10.9, 6.5, "new weights", ha="right", size=10)
figures.show(fig, "Two diagrams of one training step, in which old weights and the optimiser's "
             "move add up to new weights. Left, coupled decay: λw is made from the old weights and "
             "joins the gradient before the optimiser. Right, decoupled decay: the old weights are "
             "multiplied by 1 − ηλ and the optimiser sees the gradient alone.")

# %% [markdown]
# For plain SGD both are the step (0.1). With momentum PyTorch's SGD is coupled only
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)). Adam divides what it gets by its usual size $\sqrt v$, where $v$ is a running mean of its squares. Coupled decay is divided, too,
# so a weight with large gradients hardly decays. Figure 0.3 shows it with random gradients.

# %%
def train_on_noise(optimizer, lr, lam, scale=1.0, start=0.0, steps=1000):
    torch.manual_seed(seeds(1)[0])
    w = nn.Parameter(torch.full((10000,), start))
    step, means = optimizer([w], lr=lr, weight_decay=lam).step, []
    for _ in range(steps):
        w.grad = scale * torch.randn(10000)
        step()
        means.append(w.mean().item())
    return means, (w.detach() ** 2).mean().item() ** 0.5


# %%
decayed = {(optimizer, scale): train_on_noise(optimizer, 0.02, 0.3, scale, 1.0, 250)[0]
           for optimizer in (torch.optim.Adam, torch.optim.AdamW) for scale in (1, 10)}

# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.1))
for (optimizer, scale), means_of_w in decayed.items():
    ax = left if optimizer is torch.optim.Adam else right
    ax.plot(range(1, 251), means_of_w, color="C1" if scale == 10 else "C0", label=f"{scale}",
            ls="--" if scale == 10 and ax is right else "-")
left.set(title="Adam: coupled", xlabel="step", ylabel="mean of the weights", ylim=(0, 1.08))
right.set(title="AdamW: decoupled", xlabel="step", ylabel=" ")
left.text(70, 0.985, "gradients 10 times as large", color="C1", size=10)
left.text(10, 0.3, "gradients\nof size 1", color="C0", size=10)
right.text(80, 0.72, "both", color="black", size=10)
coupled, decoupled = figures.drawn(left), figures.drawn(right)
figures.show(fig, "Mean of 10000 weights that start at 1 and get random gradients, over 250 steps "
             "with η = 0.02 and λ = 0.3. Left: with coupled Adam it falls to "
             f"{coupled['1'].y[-1]:.2f} where gradients have size 1, and only to "
             f"{coupled['10'].y[-1]:.2f} where they have size 10. Right: with AdamW it "
             f"falls to {decoupled['1'].y[-1]:.2f} for both.")

# %% tags=["hide-input"]
slow = np.log(coupled["1"].y[-1]) / np.log(coupled["10"].y[-1])
claim("00-hardly", "Under coupled Adam, weights whose gradients have size 10 decay {} times as "
      "slowly as those whose gradients have size 1", measured=slow, equals=10, within=1.5)
claim("00-factor", "Under AdamW both kinds decay alike: after 250 steps their mean is {} times "
      "(1 − ηλ)²⁵⁰", measured=[each.y[-1] / (1 - 0.02 * 0.3) ** 250 for each in decoupled.values()],
      equals=1, within=0.1)

# %% [markdown]
# ## 0.3 A surprise: which layer has the largest share?
#
# What does the penalty do to a network with several layers? This is the
# question from which the book grew. A network for handwritten digits ({{below: len(pixels):,}} images of 8 × 8 pixels) has three weight matrices, $256\times64$, $32\times256$ and
# $10\times32$, that is {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights. Somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) whether the
# big first layer is then "effectively making the second term useless" (the other layer's), and proposed to divide each layer's term by its size.
#
# **Predict before you read on.** After training, which share of $\sum_l\lVert W_l\rVert^2$ does each layer have? We train one such network with PyTorch alone.
# The two groups are there so that biases do not decay.

# %%
from l2lib.datasets import load

digits = load("digits")
pixels = digits.scaled(16, centre=True)

# %%
images, labels = torch.tensor(pixels), torch.tensor(digits.y)
torch.manual_seed(seeds(1)[0])
net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
weights, biases = [net[i].weight for i in (0, 2, 4)], [net[i].bias for i in (0, 2, 4)]
groups = [{"params": weights, "weight_decay": 0.003}, {"params": biases}]
optimizer = torch.optim.SGD(groups, lr=0.5)

# %%
for _ in range(1500):
    batch = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
paid = np.array([(w.detach() ** 2).sum() for w in weights])
print((paid / paid.sum()).round(2))

# %% [markdown]
# The three shares are nearly equal. Was that luck? The helper `sweep` repeats such a loop for five seeds, here also with coupled Adam and with AdamW.
# `sgd.norm` has $\lVert W_l\rVert$ for each seed, layer and recorded step.

# %%
from l2lib.sweep import MLP, sweep

widths = (64, 256, 32, 10)
model = MLP(widths)

# %%
options = {"loss": "cross_entropy", "seeds": seeds(5), "batch_size": 64, "record_every": 25}
sgd = sweep(model, pixels, digits.y, lr=0.5, weight_decay=0.003, steps=1500, **options)

# %%
adam = sweep(model, pixels, digits.y, optimizer="adam", lr=0.02, weight_decay=0.01, steps=500,
             **options)

# %%
adamw = sweep(model, pixels, digits.y, optimizer="adamw", lr=0.01, weight_decay=0.6, steps=500,
              **options)

# %%
squares = sgd.norm**2
share = squares / squares.sum("layer")
share_adam = adam.norm**2 / (adam.norm**2).sum("layer")
share_adamw = adamw.norm**2 / (adamw.norm**2).sum("layer")
sizes = np.array([a * b for a, b in itertools.pairwise(widths)])
of_weights = sizes / sizes.sum()

# %% tags=["hide-input"]
names = [f"{b} × {a}" for a, b in itertools.pairwise(widths)]


def draw_shares(left, middle, right):
    for layer, name in enumerate(names):
        look = {"color": f"C{layer}", "lw": 1.3, "alpha": 0.5, "label": name}
        left.plot(share.step, share[:, layer].T, **look)
        middle.plot(share_adam.step, share_adam[:, layer].T, **look)
        right.plot(share_adamw.step, share_adamw[:, layer].T, **look)
        right.axhline(of_weights[layer], color=f"C{layer}", ls="--", lw=1.2, label=f"_size {name}")
    found = {"SGD: equal": left, "Adam: equal": middle, "AdamW: by size": right}
    for words, ax in found.items():
        ax.set(xlabel="training step", ylabel=" ", ylim=(0, 1), title=words)
        ax.set(xlim=(0, 500), xticks=(0, 200, 400))
    for ax in (left, middle):
        ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(xlim=(0, 1500), xticks=(0, 500, 1000), ylabel="share of the penalty")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


# %% tags=["hide-input"]
def label_shares(*panels):
    places = (0.8, 0.17, 0.05), (0.6, 0.22, 0.08), (0.76, 0.44, 0.07)
    for ax, heights in zip(panels, places, strict=True):
        for layer, height in enumerate(heights):
            words = f"{sizes[layer]:,}" + " weights" * (ax is panels[0])
            ax.text(0.98, height, words, color=f"C{layer}", size=10, ha="right",
                    transform=ax.transAxes)
    for ax, words in zip(panels[1:], ("dashed: 1/3", "dashed: share\nof all weights"), strict=True):
        ax.text(0.98, 0.91, words, color=figures.GREY, size=10, ha="right", va="center",
                transform=ax.transAxes)


# %% tags=["hide-input"]
fig, (left, middle, right) = figures.subplots(1, 3, sharey=True, figsize=(7.2, 3.5))
draw_shares(left, middle, right)
label_shares(left, middle, right)
curves, middle_curves, right_curves = map(figures.drawn, (left, middle, right))
layers = {name: curves[name] for name in names}
first_shares = [each.at(0).mean() for each in layers.values()]
far = max(abs(each.y[each.x >= 1000] - 1 / 3).max() for each in layers.values())
last_shares = np.array([right_curves[name].y[:, right_curves[name].x[0] >= 250].mean()
                        for name in layers])
dashed = np.array([right_curves[f"_size {name}"].y[0] for name in layers])
words = [", ".join(f"{one:.2f}" for one in some) for some in (first_shares, last_shares, dashed)]
figures.show(fig, "Share of the penalty that each of three layers has during training, five seeds. "
             f"All start at {words[0]}. Left and middle: under SGD and coupled Adam all run to "
             f"{curves['_third'].y[0]:.2f}, with SGD from step 1000 on within {far:.2f} of it. "
             f"Right: under AdamW they are {words[1]} in the second half, on average; dashed lines "
             f"mark the shares of the weights, {words[2]}.")

# %% [markdown]
# Figure 0.4 shows five runs each (SGD runs for 1500 steps, the others for 500). At the start the first layer has
# {{100 * float(share[:, 0, 0].mean()):.0f}} %, because usual initial weights give a layer a share in proportion to its outputs. Under SGD and coupled Adam the layers end
# nearly equal, although their sizes differ by a factor of {{sizes[0] / sizes[-1]:.0f}}. Under AdamW the largest layer keeps most. All three learned the digits:
# {{100 * float(sgd.train_accuracy[..., -1].mean()):.1f}} %, {{100 * float(adam.train_accuracy[..., -1].mean()):.1f}} % and {{100 * float(adamw.train_accuracy[..., -1].mean()):.1f}} % of the training images are right.
# Their $\lambda$ are larger than typical because the runs are short.

# %% tags=["hide-input"]
at_start = np.array([each.at(0) for each in layers.values()])
at_end = np.array([each.at(1500) for each in layers.values()])
claim("00-start", "Before training, the largest squared norm of a layer is {} times the "
      "smallest (least of five seeds)", measured=at_start.max(0) / at_start.min(0),
      between=(15, 40))
claim("00-balance", "After training with SGD, the largest squared norm of a layer is {} times the "
      "smallest (worst of five seeds)", measured=at_end.max(0) / at_end.min(0), below=1.1)

# %% tags=["hide-input"]
claim("00-plain", "In the one network trained with PyTorch alone, the largest squared norm of a "
      "layer is {} times the smallest after training", measured=paid.max() / paid.min(), below=1.1)
ends = np.array([middle_curves[name].at(500) for name in names])
claim("00-adam", "After training with coupled Adam, the largest squared norm of a layer is {} "
      "times the smallest (worst of five seeds)", measured=ends.max(0) / ends.min(0), below=1.5)

# %% tags=["hide-input"]
claim("00-share", "Under AdamW the shares of the two large layers differ from their shares of all "
      "weights by at most {} (means of five seeds)", measured=abs(last_shares - dashed)[:2],
      below=0.15)
claim("00-small", "The smallest layer keeps more: {} times its share of all weights",
      measured=last_shares[2] / dashed[2], above=1)
outputs, inputs = np.array([name.split(" × ") for name in layers], dtype=int).T
claim("00-line", "The left panel shows each layer's share, and thirds",
      measured=[each.y - share[:, k] + curves["_third"].y[0] - 1 / 3
                for k, each in enumerate(layers.values())], equals=0, within=1e-12)
claim("00-dashed", "The dashed lines of the right panel are the layers' shares of the weights",
      measured=dashed - outputs * inputs / (outputs * inputs).sum(), equals=0, within=1e-12)
identities()

# %% [markdown]
# Why do the shares become equal?
#
# 1. Multiply a layer's weights and biases by some $c>0$, and divide the next layer's weights by $c$. Since $\operatorname{relu}(cz)=c\operatorname{relu}(z)$, the network computes
#    the same function.
# 2. So the loss does not change. But the two squared norms become $c^2\lVert W_1\rVert^2$ and $\lVert W_2\rVert^2/c^2$.
# 3. Their product is the same for every $c$, and two numbers with a given product have the smallest sum when they are equal (Figure 0.5, left). So at a minimum of loss and penalty they are equal.
#
# How long does it take? Since the loss does not depend on $c$, small steps of plain gradient descent on it nearly conserve the difference
# $\lVert W_1\rVert^2-\lVert W_2\rVert^2$ ([chapter 5](05_size_normalisation.ipynb) proves it). Decay multiplies this by $(1-\eta\lambda)^2$ in each step, even far from a minimum.
# After $1/(2\eta\lambda)$ steps a part of $1/e$ is left: here after {{1 / (2 * 0.5 * 0.003):.0f}} (Figure 0.5, right; the biases make it a little faster). With $\eta=0.1$ and $\lambda=0.0001$ this takes {{1 / (2 * 0.1 * 0.0001):,.0f}} steps, and
# a shorter run never comes to balance.

# %% tags=["hide-input"]
def draw_valley(ax):
    c = np.linspace(0.42, 1.3, 177)
    first_norm, next_norm = 4.0, 1.0
    ax.plot(c, c**2 * first_norm, color="C0", label="first")
    ax.plot(c, next_norm / c**2, color="C1", label="next")
    ax.plot(c, c**2 * first_norm + next_norm / c**2, color="black", lw=2.4, label="sum")
    for words, color, across, up in (("first layer", "C0", 0.99, 2.75), ("sum", "black", 0.46, 6.6),
                                     ("next layer", "C1", 0.74, 0.45)):
        ax.text(across, up, words, color=color, size=10)
    ax.plot([1, 1], [4, 1], "o", color=figures.GREY, ms=5, label="_now")
    ax.annotate("c = 1, as it\nis now: 4, 1", (1, 4), (0.64, 6.6), color=figures.GREY, size=10,
                va="center", arrowprops={"arrowstyle": "->", "color": figures.GREY})
    ax.set(xlabel="factor c", ylabel="squared norm", xlim=(0.42, 1.3), ylim=(0, 7.5))
    ax.set_title("Equal is cheapest")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.4))
draw_valley(left)
scaled = figures.drawn(left)
lowest = scaled["sum"].x[scaled["sum"].y.argmin()]
left.plot(lowest, scaled["sum"].at(lowest), "o", color="black", label="_dot")
difference = abs(squares[:, 0] - squares[:, 2]).values
right.plot(squares.step, (difference / difference[:, :1]).T, color="C0", lw=1.2, label="measured")
right.plot(squares.step, (1 - 0.5 * 0.003) ** (2 * squares.step), "--", color="black", label="law")
right.text(560, 0.3, "(1 − ηλ)²ᵗ", color="black", size=10)
right.text(150, 0.13, "five runs", color="C0", size=10)
right.set(xlabel="training step t", ylabel="difference that is left", yscale="log", xlim=(0, 1000))
right.set(title="Decay evens the layers out", ylim=(0.03, 1.1))
right.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"]), right.minorticks_off()
fades = figures.drawn(right)
figures.show(fig, "Left: squared norms of two layers, 4 and 1, when the first is multiplied by c "
             f"and the second divided. Their sum is least at c = {lowest:.2f}, where they are "
             f"{scaled['first'].at(lowest):.1f} and {scaled['next'].at(lowest):.1f}. Right: "
             "difference of the first and last layer's squared norms under SGD, as a part of "
             f"that at the start: {fades['measured'].at(500).mean():.2f} at step 500, where the "
             f"law says {fades['law'].at(500):.2f}.")

# %% tags=["hide-input"]
claim("00-time", "After 1/(2ηλ) steps of SGD, {} of the difference between the first and last "
      f"layer's squared norms is left, where (1 − ηλ)²ᵗ is {fades['law'].at(325):.2f} (worst of "
      "five seeds)", measured=fades["measured"].at(325), equals=fades["law"].at(325), within=0.1)

# %% [markdown]
# The conditions are ReLU between the layers, biases without penalty, enough steps, and little minibatch noise. One $\lambda$ for all layers is no condition: for any positive $\lambda_l$ the terms
# $\lambda_l\lVert W_l\rVert^2$ become equal. So equal terms need no division by sizes.
#
# Coupled Adam takes another time, but it, too, rests only where $g+\lambda w=0$, where loss and penalty together have no slope. AdamW does not, because it divides only $g$ by $\sqrt v$.
#
# ## 0.4 AdamW: shares by size
#
# What then decides how large weights are under AdamW? Without momentum its step is $w\leftarrow(1-\eta\lambda)w-\eta q$ with the divided gradient $q=g/\sqrt v$, which has about the size 1 in every layer.
# Square this step, and take the mean over a layer's weights (the bar). To leading order, $\overline{w^2}$ changes by
#
# $$-2\eta\lambda\,\overline{w^2} \;-\; 2\eta\,\overline{q\,w} \;+\; \eta^2\,\overline{q^2} .$$
#
# The first term is decay; the other two balance it. The second is *drift*: gradients that push outwards step after step. The third is *jitter*: even pushes with random
# signs make squares grow.
#
# **If jitter decides**, the size follows. Pure noise has no drift, and $\overline{q^2}=1$. In equilibrium $\overline{w^2}=(1-\eta\lambda)^2\,\overline{w^2}+\eta^2$, and the root mean square (RMS) is
#
# $$w_{\mathrm{rms}} = \sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}} \approx \sqrt{\frac{\eta}{2\lambda}} \tag{0.2}$$
#
# It is the same in all layers, so shares go by size. We check this with PyTorch's AdamW on random gradients.

# %%
pairs = {0.03: 0.2, 0.003: 2}  # η and λ, with the same product
estimate = np.array([(lr / (2 * lam)) ** 0.5 for lr, lam in pairs.items()])
noise = np.array([train_on_noise(torch.optim.AdamW, lr, lam)[1] for lr, lam in pairs.items()])

# %% tags=["hide-input"]
claim("00-noise", "With pure noise for gradients, AdamW keeps 10,000 weights at an RMS of {} times "
      "√(η/2λ) (worst of two pairs)", measured=noise / estimate, equals=1, within=0.05)
a, beta = 1 - 0.03 * 0.2, 0.9
momentum = (0.03 * 0.2 * 2 / (1 - a**2) * (1 - beta) / (1 + beta) * (1 + a * beta)
            / (1 - a * beta)) ** 0.5

# %% [markdown]
# (Momentum, $\beta_1=0.9$, lowers the RMS by a factor of {{momentum:.3f}}.)
#
# **Does jitter decide in a network?** We write AdamW by hand and keep the three terms of each step. Without momentum they are exact. We also let $v$ average over about 100 steps, not
# 1000, so that it settles within the run.

# %% tags=["hide-input"]
class Budget(NamedTuple):  # means over the second half of a run; axes: layer, seed
    decay: np.ndarray
    drift: np.ndarray
    jitter: np.ndarray
    change: np.ndarray
    rms: np.ndarray
    q_rms: np.ndarray


def first_parameters(rngs):  # PyTorch's usual initial weights, then biases
    shapes = [(a, a, b) for a, b in itertools.pairwise(widths)]
    shapes += [(a, 1, b) for a, b in itertools.pairwise(widths)]
    return [torch.tensor(np.array([each.uniform(-1, 1, (rows, outputs)) for each in rngs]))
            / inputs**0.5 for inputs, rows, outputs in shapes]


# %% tags=["hide-input"]
def gradients_of(parameters, batch):  # of five networks, each with its own 64 examples
    parameters, out = [each.requires_grad_() for each in parameters], images[batch]
    for w, b in zip(parameters[:2], parameters[3:5], strict=True):
        out = torch.relu(out @ w + b)
    out = out @ parameters[2] + parameters[5]
    losses = nn.functional.cross_entropy(out.flatten(0, 1), labels[batch].flatten(),
                                         reduction="sum") / 64
    return torch.autograd.grad(losses, parameters)

# %%
def adamw_step(w, g, v, step, lr, lam):
    v = 0.99 * v + 0.01 * g**2
    q = g / ((v / (1 - 0.99**step)).sqrt() + 1e-8)
    return (1 - lr * lam) * w - lr * q, q, v


# %% tags=["hide-input"]
def squares_of(w, q):
    w, q = w.detach(), q.detach()
    return torch.stack([(w**2).mean((1, 2)), (q * w).mean((1, 2)), (q**2).mean((1, 2))])


# %% tags=["hide-input"]
def budget_of(lr, lam, steps=600):
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]
    parameters, kept = first_parameters(rngs), []
    vs = [torch.zeros_like(each) for each in parameters]
    for step in range(1, steps + 1):
        batch = torch.tensor(np.array([each.integers(len(images), size=64) for each in rngs]))
        gs = gradients_of(parameters, batch)
        moved = [adamw_step(w.detach(), g, v, step, lr, decay) for w, g, v, decay
                 in zip(parameters, gs, vs, 3 * [lam] + 3 * [0], strict=True)]
        if step > steps // 2:
            kept.append(torch.stack([squares_of(parameters[k], moved[k][1]) for k in range(3)]))
        parameters, vs = [each[0] for each in moved], [each[2] for each in moved]
    w_squared, q_times_w, q_squared = torch.stack(kept).mean(0).numpy().transpose(1, 0, 2)
    last = np.array([(w**2).mean((1, 2)) for w in parameters[:3]])
    keep = 1 - lr * lam
    return Budget((1 - keep**2) * w_squared, -2 * lr * keep * q_times_w, lr**2 * q_squared,
                  (last - kept[0][:, 0].numpy()) / len(kept), w_squared**0.5, q_squared**0.5)

# %%
budgets = {lr: budget_of(lr, lam) for lr, lam in pairs.items()}

# %%
jitter = np.array([budget.jitter / budget.decay for budget in budgets.values()])
drift = np.array([budget.drift / budget.decay for budget in budgets.values()])
change = np.array([budget.change / budget.decay for budget in budgets.values()])
rms = np.array([budget.rms.mean(-1) for budget in budgets.values()])  # axes: pair, layer

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.4, 3.8))
for pair, places in enumerate((np.arange(3.0), np.arange(4.0, 7.0))):
    up = jitter[pair].mean(-1)
    ax.bar(places, up, color="C1", width=0.7, alpha=0.75)
    ax.bar(places, drift[pair].mean(-1), bottom=up, color="C0", width=0.7, alpha=0.75)
    for seed in range(5):
        across = places + 0.12 * (seed - 2)
        ax.plot(across, jitter[pair, :, seed], "o", color="black", ms=3.5,
                label=f"_jitter {pair} {seed}")
        ax.plot(across, (jitter + drift)[pair, :, seed], "o", mfc="white", mec="black", ms=3.5,
                label=f"_sum {pair} {seed}")


# %% tags=["hide-input"]
ax.axhline(1, color=figures.GREY, ls="--", lw=1.2, label="_one")
for words, across, up, color in (("decay", 7, 1.03, figures.GREY), ("jitter", 0, 0.5, "black"),
                                 ("drift", 4, 0.5, "black"), ("η = 0.03, λ = 0.2", 1, 1.33, "k"),
                                 ("η = 0.003, λ = 2", 5, 1.33, "k")):
    ax.text(across, up, words, color=color, size=10.5, ha="center")
ax.set_xticks([0, 1, 2, 4, 5, 6], ["layer 1", "2", "3", "layer 1", "2", "3"])
ax.set(ylim=(0, 1.45), xlim=(-0.6, 7.5), xlabel=" ", ylabel="put back / taken by decay")
ax.set_title("Jitter rules at large η, drift at small η")
bars = figures.drawn(ax)
parts = {(pair, kind): np.mean([bars[f"_{kind} {pair} {seed}"].y for seed in range(5)], axis=0)
         for pair in range(2) for kind in ("jitter", "sum")}
said = {key: ", ".join(f"{one:.2f}" for one in values) for key, values in parts.items()}
figures.show(fig, "Stacked bars for three layers and two learning rates: what jitter and drift put "
             "back, divided by what decay takes away. With η = 0.03 jitter alone has "
             f"{said[0, 'jitter']} in layers 1 to 3, and both together {said[0, 'sum']}. With "
             f"η = 0.003 jitter has {said[1, 'jitter']}, and both together {said[1, 'sum']}. "
             "Dots show the five runs.")

# %% [markdown]
# Figure 0.6 shows what jitter and drift put back, as a part of what decay takes. Each dot is one of five runs (full: jitter, open: the sum). At 1 the squares are at rest; above it they still grow.
# With $\eta=0.03$ jitter balances decay almost alone in the two large layers. With $\eta=0.003$ and the same $\eta\lambda$ drift does nearly everything, because jitter has the factor $\eta^2$ and drift only $\eta$.
#
# The height of jitter is (0.2) in other words: it is $\overline{q^2}$ times the square of $\sqrt{\eta/2\lambda}/w_{\mathrm{rms}}$. With $\eta=0.03$ the layers' RMS is {{(rms / estimate[:, None])[0].min():.1f}} to {{(rms / estimate[:, None])[0].max():.1f}} times
# the value (0.2), with $\eta=0.003$ it is {{(rms / estimate[:, None])[1].min():.1f}} to {{(rms / estimate[:, None])[1].max():.1f}} times.
#
# **If drift decides**, nothing forces the layers to be alike. In equilibrium the mean of $q$ is $-\lambda w$: a weight is as large as its pushes are one-sided, and equal sizes of $q$ do not settle that. We only *observe* that the layers' RMS stay within a factor of {{(rms.max(1) / rms.min(1)).max():.1f}} ([chapter 9](09_adaptive_optimisers.ipynb) goes on).

# %% tags=["hide-input"]
claim("00-jitter", "In the network with η = 0.03, jitter puts back {} of what decay takes from "
      "each of the two large layers, or more (means of five seeds)",
      measured=jitter[0, :2].mean(-1), above=0.5)
claim("00-drift", "With η = 0.003, drift puts back {} or more of what decay takes from each layer",
      measured=drift[1], above=0.5)
claim("00-settled", "In both cases the squares have nearly settled: jitter and drift together "
      "differ from decay by at most {} of it (means of five seeds)",
      measured=abs((jitter + drift).mean(-1) - 1), below=0.3)
claim("00-rms", "The layers' RMS differ by a factor of at most {}, although their sizes differ by "
      f"{sizes[0] / sizes[-1]:.0f}",
      measured=rms.max(1) / rms.min(1), below=2)

# %% tags=["hide-input"]
claim("00-budget", "Jitter and drift minus decay are the measured change of the mean square",
      measured=jitter + drift - 1 - change, equals=0, within=1e-9)
claim("00-bars", "The open dots show the sum",
      measured=[bars[f"_sum {pair} {seed}"].y - (jitter + drift)[pair, :, seed]
                for pair in range(2) for seed in range(5)],
      equals=0, within=1e-9)
identities()

# %% [markdown]
# ### In practice
#
# Do not divide the penalty by the layers' sizes. Before you judge whether layers are balanced, compare your number of steps with $1/(2\eta\lambda)$. Do not compute the size of weights from (0.2); measure it.
#
# ### Myths
#
# - *A large layer drowns the small ones.* On a weight acts only the term's gradient $\lambda w$, by the same rule in every layer.
# - *`weight_decay` means the same in every optimiser.* Figure 0.4 shows the contrary
#   ([chapter 3](03_one_lambda_many_meanings.ipynb) converts).
# - *More regularisation is safer.* In Figure 0.1 too much is worse than none.
#
# ### Limits
#
# These are small networks at a constant learning rate. With momentum each push is spread over several steps, and what counts as jitter depends on the definition. Nothing here says that equal shares predict better.
#
# ## 0.5 A sentence that can fail
#
# If a claim's number lies outside its brackets, the cell raises an error, and so do the book's tests. Try it with the popular belief:

# %%
biggest = share.isel(layer=0, step=-1)
try:
    claim("00-belief", "The largest layer has {} of the penalty, more than half of it",
          measured=biggest, above=0.5)
except ClaimError as message:
    print(message)

# %% [markdown]
# And here is what holds:

# %%
claim("00-third", "After training with SGD the largest layer has {} of the penalty, near 1/3, "
      "in all five runs", measured=biggest, equals=1 / 3, within=0.03)

# %% [markdown]
# Claims must also hold for random numbers that nobody looked at while writing: set the environment variable
# `L2LIB_SEED=7` to run a chapter on fresh ones.
#
# ## 0.6 How to read, how to run
#
# Open a chapter with `make lab` and choose *Run, Run All Cells*; it works offline. Then change a number and run again: a claim that fails tells you which sentence is now
# false. Cells that only draw or claim are folded; click to open.
#
# The book checks {{len(__import__("l2lib").ledger.lines())}} statements from four short texts:
# a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) on dividing by a layer's size (S0),
# [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) on L2 under normalisation (S1), a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) on a textbook's weight-decay chapter (S2),
# and a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) (S3). A claim labelled S2-05 decides one of them; a folded table at a chapter's end has the verdicts.
#
# Chapters [1](01_what_an_l2_penalty_does.ipynb) to [4](04_other_penalties.ipynb) are about the penalty, [5](05_size_normalisation.ipynb) and [6](06_bias_exclusion.ipynb) about
# the weights that it should reach, and [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb) about networks with normalisation. Begin with 1 and [2](02_from_penalty_to_weight_decay.ipynb).
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
# | $A_\lambda$, $\operatorname{df}(\lambda)$ | matrix from targets to fitted values, and its trace: degrees of freedom | |
# | $\sigma$, $\tau$ | standard deviation of noise, of a prior on weights | `noise` |
# | $m_t$, $v_t$; $\beta_1$, $\beta_2$ | Adam's running means of $g$ and of $g^2$ (the index $t$ tells $v_t$ from $v_i$); their memories | `betas` |
# | $q=g/\sqrt v$ | gradient after Adam's rescaling | `q` |
# | $\overline{w^2}$, $w_{\mathrm{rms}}$ | mean over the weights of a layer; root of the mean square | |
# | $\gamma$, $\beta$ | scale and shift of a normalisation layer | `gamma0`, `beta0` |
# | $\varepsilon$ | small constant under a root or in a denominator | `eps` |
# | $c$ | a positive factor by which a layer, an input or a loss is scaled | |
# | $r$, $\theta$ | norm of a weight matrix, angle by which a step turns it | `norm`, `angle` |
# | $G$ | norm of the gradient where the weights have norm 1 (from chapter 8 on) | |
#
# </details>
#
# ## 0.7 Exercises
#
# **1.** Set `weight_decay=0.0` in the run of SGD with `sweep`. What do you expect of the shares, and what do you see?
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, and have slowed down near 0.50, 0.26 and 0.24 at
# step 1500. Without decay, gradient descent with small steps nearly conserves the *differences*
# of the layers' squared norms (§0.3). So these become less important as the norms grow, but they do not fade. The claim `00-balance`
# fails, as it should.
#
# </details>
#
# **2.** Double λ and halve the learning rate of SGD. Does balance arrive earlier, later, or at the same step?
#
# <details>
# <summary>Solution</summary>
#
# About the same: differences between layers fade like $(1-\eta\lambda)^{2t}$, and $\eta\lambda$ is unchanged. Chapter
# 2 is about this product.
#
# </details>
#
# **3.** Read this log: three layers print $\lVert W_l\rVert^2$ after every epoch, and the first layer's is by far the largest to the end. A colleague wants to give it a smaller $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# First, how many steps there were, and whether they reach $1/(2\eta\lambda)$ (with momentum, $(1-\mu)/(2\eta\lambda)$). If not, the log shows the start of training and says nothing about $\lambda$. Then which optimiser it is, and how many weights each layer has. With AdamW such a log may say no more than that the first layer has the most weights. With SGD, a plain ReLU network and enough steps it says that
# there is much minibatch noise.
#
# </details>
#
# **4.** With pencil: PyTorch's AdamW has the defaults $\eta=0.001$ and $\lambda=0.01$. What RMS does (0.2) give, and how many steps does it take to come near? Compare with a run of yours.
#
# <details>
# <summary>Solution</summary>
#
# The RMS is {{(0.001 / (2 * 0.01)) ** 0.5:.2f}}, and $1/(\eta\lambda)$ is {{1 / (0.001 * 0.01):,.0f}} steps. That is the value for pure noise, so your weights may well be larger or smaller. But in a much shorter run the decay does little, whatever the noise.
#
# </details>
#
# **5.** On your own network: add up the squares of each weight matrix before and after training, and compare the shares with those of the weights. First predict, from the optimiser and the number of steps.
#
# <details>
# <summary>A start</summary>
#
# ```python
# squares = {name: (p.detach() ** 2).sum().item() for name, p in model.named_parameters() if p.ndim > 1}
# ```
#
# Under AdamW with a long run, shares should lie nearer to the shares of the weights than at the start. Under SGD with a long run they should be nearly equal where ReLU connects two layers, and need not be around normalisation layers:
# chapters 5 and 7 say why.
#
# </details>
#
# **6.** Break a claim: change one number of the experiment in §0.1 so that `00-overfit` fails. Say first which, and why. Then put it back, and predict what `steps=15000` in `train_many` does to the two errors.
#
# <details>
# <summary>Solution</summary>
#
# Take the noise away: put `0.0` in the place of `0.5` in `draw`. Where there is no noise to learn, decay can only do harm: its error is then 25 times that without.
#
# With `15000` steps in the place of `3000` in `train_many`, the error without decay grows on to 0.17, and that with $\lambda=0.01$ stays at 0.07: it came to rest after a few times $1/(\eta\lambda)$ steps.
#
# </details>
#
# **Next:** [Chapter 1](01_what_an_l2_penalty_does.ipynb) starts with the simplest model that has a penalty.
#
# **Sources.** Decay and generalisation: [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html).
# AdamW: [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101). Balance without decay:
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900). Equilibrium of AdamW: [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
