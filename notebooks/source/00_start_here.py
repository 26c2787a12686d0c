# %% [markdown]
# # 0 Start here
#
# Nearly every optimiser that trains a neural network has an argument called `weight_decay`. It changes one line of the
# training step, and it can keep a network from learning the noise in its examples.
#
# By the end you will be able to
#
# - say what an L2 penalty is for, and write the training step that carries it out;
# - predict which layer ends with which share of the squared norm, and after how many steps of SGD;
# - say what AdamW makes equal instead;
# - run a chapter, and read its claims.
#
# You need derivatives, matrices, mean and variance, and some NumPy and PyTorch. *Reading time: half an hour, and as much again for the exercises. The code runs in about 10 seconds.*
#
# > **If you only want to set it.** Typical values of λ are 0.0001 to 0.0005 with SGD, and 0.01 (PyTorch's default) to 0.1 with AdamW. Leave Adam's own `weight_decay` at 0, and take AdamW.
# > Use one λ for all weight matrices, and none for biases and for the gains of normalisation layers. Choose it on a validation set. At learning rate $\eta$, decay takes about $1/(\eta\lambda)$ steps to shrink a weight to $1/e$; with SGD and momentum $\mu$ it takes $(1-\mu)/(\eta\lambda)$. In a much shorter run it does little.
#
# ## 0.1 What weight decay is for
#
# This section shows overfitting, and what a penalty does about it. Twenty examples lie on a smooth curve, but noise has shifted
# each of them up or down. A small network is to learn the curve. Its {{below: hidden.shape[-1]}} hidden tanh units are random and fixed, and only their output weights $w$
# are trained. With more weights than examples, it can learn the noise, too.
#
# The **L2 penalty** makes large weights expensive. We minimise not the loss $L$ alone, but
#
# $$L(w) + \frac{\lambda}{2}\lVert w\rVert^2, \qquad \lVert w\rVert^2 = \sum_i w_i^2 ,$$
#
# with a coefficient $\lambda\ge0$. Why should that help? To bend towards a single stray example, the network's curve needs large weights. A bend that many examples
# support needs smaller ones.
#
# This is the whole training; look at the line with the arrow.

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
from l2lib import figures
from l2lib.claims import claim, identities, interval, seeds

torch.set_default_dtype(torch.float64)  # 64 bits, so that your digits match the printed ones
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

x, fine = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 201)[:, None]


# %%
sigma = 0.5  # standard deviation of the noise


def draw(seed):  # noisy targets; outputs of the hidden units at x and at fine
    rng = np.random.default_rng(seed)
    y = torch.sin(3 * x) + sigma * torch.tensor(rng.normal(size=(20, 1)))
    slope, shift = 10 * rng.normal(size=100), 10 * rng.uniform(-1, 1, 100)
    slope, shift = torch.tensor(slope), torch.tensor(shift)
    hidden, hidden_fine = (torch.tanh(inputs * slope + shift) / 100**0.5 for inputs in (x, fine))
    return y, hidden, hidden_fine  # divided by √100, so that their sum stays of size 1


# %% [markdown]
# The next cells train {{below: len(many[0])}} such networks, each with its own noise (`seeds(20)` start their random generators) and with many values of λ.
# The error on new examples is what a large validation set would show: the squared distance from the true curve plus the variance of the noise, 0.25.

# %%
lams = torch.tensor([0, *np.geomspace(1e-4, 1, 17)])
many = [torch.stack(each) for each in zip(*map(draw, seeds(20)), strict=True)]
targets, units, units_fine = many

# a column of weights for each λ; columns do not interact, so one gradient serves all
trained = train(torch.zeros(20, 100, len(lams)), lams, units, targets)
size_of = torch.linalg.vector_norm(trained, dim=1).mean(0)

# %% tags=["hide-input"]
def new_error(w):  # a row for each network, a column for each λ
    return ((units_fine @ w - torch.sin(3 * fine)) ** 2).mean(1).numpy() + sigma**2


errors = new_error(trained)
own_errors = ((units @ trained - targets) ** 2).mean(1).numpy()
shown = {0: 0, 0.01: 9, 1: 17}  # the columns of three λ
typical = np.argsort(errors[:, 9] / errors[:, 0])[10]  # in the middle of the twenty

# %% tags=["hide-input"]
stops, w, early = np.arange(0, 200, 5), torch.zeros(20, 100, 1), []
for _ in stops:
    early.append(new_error(w).mean())
    w = train(w, 0, units, targets, steps=5)

# %%
y, hidden, hidden_fine = draw(seeds(20)[typical])
three = train(torch.zeros(100, 3), torch.tensor([*shown]), hidden, y)
curve = dict(zip(shown, (hidden_fine @ three).T, strict=True))

# %% tags=["hide-input"]
def draw_fits(left, right):
    left.plot(fine, torch.sin(3 * fine), "--", color=figures.GREY, lw=1.4, label="truth")
    left.plot(x, y, "o", color=figures.GREY, ms=4, label="examples")
    names = {0: "λ = 0", 0.01: "λ = 0.01", 1: "λ = 1"}
    for color, (lam, name) in zip(("C1", "C0", "C2"), names.items(), strict=True):
        left.plot(fine, curve[lam], color=color, label=name)
        at = lam or 5e-5
        right.plot(at, errors[:, shown[lam]].mean(), "o", color=color, ms=7, label=name)
    right.plot(lams[1:], errors[:, 1:].mean(0), color="black", label="new")
    right.plot(lams[1:], own_errors[:, 1:].mean(0), "--", color="black", label="own")
    right.plot(5e-5, own_errors[:, 0].mean(), "o", mfc="white", color="black", ms=5, label="_own0")
    right.axhline(sigma**2, color=figures.GREY, ls=":", lw=1.4, label="_floor")
    left.set(xlabel="input", ylabel="output", xticks=(-1, 0, 1), ylim=(-2.1, 2.1))
    left.set_title("Decay smooths the fit")
    left.legend(loc="lower right", fontsize=9, handlelength=1.4)
    right.set(xscale="log", xlabel="λ", xlim=(3e-5, 2.2), ylim=(0, 0.72))
    right.set(ylabel="mean squared error", title="A little decay is best")
    right.set_xticks([5e-5, 1e-3, 1e-2, 0.1, 1], ["0", "0.001", "0.01", "0.1", "1"])
    right.minorticks_off()


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_fits(left, right), fig.get_layout_engine().set(wspace=0.08)
means, fits = figures.drawn(right), figures.drawn(left)
end = {lam: means[f"λ = {lam}"].y[0] for lam in (0, 0.01, 1)}
for words, across, up, color in (("on new examples", 4e-4, 0.42, "black"),
                                 ("on their own examples", 4.5e-4, 0.045, "black"),
                                 ("noise: 0.25", 4e-5, 0.205, figures.GREY),
                                 ("λ = 0", 4e-5, 0.43, "C1"), ("λ = 0.01", 1.6e-3, 0.27, "C0"),
                                 ("λ = 1", 0.25, 0.655, "C2")):
    right.text(across, up, words, color=color, size=10)
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.01 less so, and with λ = 1 "
             "it is nearly flat. Right: mean squared error against λ after 3000 steps, mean of "
             "twenty networks. On the networks' own examples it grows with λ. On new examples it "
             f"is {end[0]:.2f} without decay, {end[0.01]:.2f} with λ = 0.01 and {end[1]:.2f} "
             "with λ = 1; its unavoidable part, the noise, is 0.25.")

# %% [markdown]
# Figure 0.1 shows the network with the median gain (left), and the mean of all {{len(many[0])}} (right). The smaller λ is, the better the networks fit their own examples (dashed; the open circle is λ = 0).
# On new examples (solid) it gets better, and then worse again: this is **overfitting**. With $\lambda=1$ the network cannot follow the curve.
#
# Lines with a tick ✓ are *claims*: sentences whose number was measured when the chapter ran. The brackets say where it must lie; otherwise the
# chapter stops with an error (§0.6).

# %% tags=["hide-input"]
better = (errors[:, 9] < errors[:, 0]).sum()
claim("00-overfit", "With λ = 0.01 the avoidable error on new examples, all but the noise, is {} "
      f"times that without decay (means of twenty networks; it is lower in {better} of them)",
      measured=(end[0.01] - sigma**2) / (end[0] - sigma**2), below=0.75)
claim("00-much", "With λ = 1 the whole error is {} times that without decay, so too much decay "
      "is worse than none", measured=end[1] / end[0], above=1)
claim("00-rival", "With λ = 0.01 the whole error is {} times the lowest that training without "
      "decay passes through", measured=end[0.01] / min(early), between=(0.9, 1.1))

# %% tags=["hide-input"]
claim("00-many", "The left picture shows one of the twenty networks of the right one",
      measured=[fits[f"λ = {lam}"].y - (hidden_fine @ trained[typical])[:, at].numpy()
                for lam, at in shown.items()], equals=0, within=1e-9)
kernel = units @ units.mT + 20 * 0.01 * torch.eye(20)
claim("00-least", "With λ = 0.01 training ends at the minimum of loss and penalty together",
      measured=trained[..., 9:10] - units.mT @ torch.linalg.solve(kernel, targets),
      equals=0, within=1e-9)
identities()

# %% [markdown]
# Decay keeps the weights small: on average $\lVert w\rVert$ ends at {{size_of[0]:.1f}} with λ = 0, {{size_of[9]:.1f}} with 0.01 and {{size_of[17]:.2f}} with 1. The third claim compares decay with *early stopping*: train without decay, and stop in time. Stopping early also keeps the weights small, since they start at zero ([chapter 1](01_what_an_l2_penalty_does.ipynb)).
#
# ## 0.2 Where λ enters the training step
#
# This section derives the line with the arrow, and shows why Adam and AdamW differ. Let $g$ be the gradient of the loss and $\eta$ the learning rate.
#
# 1. Each weight adds $\frac\lambda2w^2$ to what is minimised. The derivative of this term is $\lambda w$.
# 2. Gradient descent subtracts $\eta$ times the whole derivative: $w\leftarrow w-\eta(g+\lambda w)$.
# 3. Collect the two terms that contain $w$:
#
# $$w \;\leftarrow\; (1-\eta\lambda)\,w - \eta\,g \tag{0.1}$$
#
# Each step shrinks all weights by the same factor: hence *weight decay*.
#
# Penalty and decay are the same only here, in plain gradient descent. Adam keeps a running mean $v$ of the squared gradient, for each weight, and divides the gradient by $\sqrt v$.
# So it matters where decay enters (Figure 0.2). **Coupled** decay adds $\lambda w$ to the gradient, before the division. **Decoupled** decay, AdamW's, shrinks the old weights directly. So coupled decay enters $v$, too: there $v$ averages $(g+\lambda w)^2$. Momentum ([chapter 2](02_from_penalty_to_weight_decay.ipynb) has it), $\varepsilon$ and the bias correction are left out here.

# %% tags=["hide-input"]
def draw_boxes(ax, title, boxes, arrows, formula):
    ax.set(xlim=(0, 10), ylim=(2, 7), xticks=[], yticks=[], title=title, ylabel=" ")
    ax.set_xlabel(formula, size=12)
    ax.grid(False), ax.spines[:].set_visible(False)
    frame = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": figures.GREY}
    drawn = {words: ax.text(*place, words, ha="center", va="center", bbox=frame, size=10.5,
                            color="C1" if "lambda" in words else "black")
             for words, place in boxes.items()}
    for tail, tip in arrows:
        ends = [drawn[each].get_bbox_patch() for each in (tail, tip)]
        ax.annotate("", boxes[tip], boxes[tail], arrowprops={
            "arrowstyle": "->", "color": figures.GREY, "patchA": ends[0], "patchB": ends[1],
            "shrinkA": 0, "shrinkB": 0})


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 2.5))
old, new, minus, divide = "old $w$", "new $w$", "−", r"$\times\,\eta/\sqrt{v}$"
add, shrink, v = r"$+\ \lambda w$", r"$\times\,(1-\eta\lambda)$", "$v$"
boxes = {old: (1, 6), new: (9, 6), minus: (6.6, 6), "$g$": (1, 3), divide: (6.6, 3),
         v: (4.9, 4.5)}
arrows = [(divide, minus), (minus, new), (v, divide)]
draw_boxes(left, "Coupled: Adam", boxes | {add: (3.6, 3)}, [
    *arrows, (old, minus), (old, add), ("$g$", add), (add, divide), (add, v)],
    r"$w\ \leftarrow\ w-\eta\,(g+\lambda w)/\sqrt{v}$")
draw_boxes(right, "Decoupled: AdamW", boxes | {shrink: (3.9, 6)}, [
    *arrows, (old, shrink), (shrink, minus), ("$g$", divide), ("$g$", v)],
    r"$w\ \leftarrow\ (1-\eta\lambda)\,w-\eta\,g/\sqrt{v}$")
figures.show(fig, "Two diagrams of one training step. Left, Adam: λw is made from the old weights "
             "and joins the gradient before both enter v, are multiplied by η/√v and subtracted "
             "from the old weights. Right, AdamW: the old weights are multiplied by 1 − ηλ, and "
             "the gradient alone enters v and is multiplied by η/√v. Below each stands its step.")

# %% [markdown]
# Coupled decay is divided by $\sqrt v$. So a weight with large gradients hardly decays, and one with small gradients decays fast. Figure 0.3 shows it with random gradients of mean zero; their *size* is their standard deviation. We plot the mean of many weights, in which the noise averages out.

# %%
from torch import nn


def train_on_noise(optimizer, lr, lam, scale=1.0, start=1.0, steps=250):
    w, history = nn.Parameter(torch.full((5000,), start)), []
    rule = optimizer([w], lr=lr, weight_decay=lam, betas=(0.0, 0.999))  # 0.0: no momentum
    for _ in range(steps):
        w.grad = scale * torch.randn(5000)
        rule.step()
        history.append(w.detach().clone())
    return torch.stack(history)  # a row for each step


# %%
torch.manual_seed(seeds(1)[0])
decayed = {(optimizer, scale): train_on_noise(optimizer, 0.02, 0.3, scale).mean(1)
           for optimizer in (torch.optim.Adam, torch.optim.AdamW) for scale in (0.1, 1, 10)}

# %% tags=["hide-input"]
def draw_decayed(left, right):
    colors, t = {0.1: "C2", 1: "C0", 10: "C1"}, np.arange(251)
    for (optimizer, scale), means_of_w in decayed.items():
        ax = left if optimizer is torch.optim.Adam else right
        dots = {} if ax is left else {"ls": "", "marker": "o", "ms": 5,
                                      "markevery": ({0.1: 5, 1: 15, 10: 25}[scale], 30)}
        ax.plot(t[1:], means_of_w, color=colors[scale], label=f"{scale}", **dots)
    left.plot(t, (1 - 0.02 * 0.3 / 10) ** t, "--", color="black", lw=1.2, label="law")
    right.plot(t, (1 - 0.02 * 0.3) ** t, "--", color="black", lw=1.2, label="law")
    left.set(title="Adam: coupled", xlabel="step t", ylabel="mean of the weights", ylim=(0, 1.08))
    right.set(title="AdamW: decoupled", xlabel="step t", ylabel=" ")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.1))
draw_decayed(left, right)
for words, across, up, color in (("gradients of size 10,\nand (1 − ηλ/10)ᵗ (dashed)",
                                  62, 0.72, "C1"), ("size 1", 150, 0.44, "C0"),
                                 ("size 0.1", 42, 0.03, "C2")):
    left.text(across, up, words, color=color, size=10)
right.text(5, 0.06, "η = 0.02, λ = 0.3", color=figures.GREY, size=10)
right.text(85, 0.7, "all three sizes,\nand (1 − ηλ)ᵗ (dashed)", color="black", size=10)
coupled, decoupled = figures.drawn(left), figures.drawn(right)
figures.show(fig, "Mean of 5000 weights that start at 1 and get random gradients, over 250 steps "
             "with η = 0.02 and λ = 0.3. Left: with coupled Adam it falls to "
             f"{coupled['10'].y[-1]:.2f} where gradients have size 10, to {coupled['1'].y[-1]:.2f} "
             f"where they have size 1, and to {abs(coupled['0.1'].y[-1]):.2f} where they have size "
             "0.1. "
             f"Right: with AdamW all three fall to {decoupled['1'].y[-1]:.2f}, along the dashed "
             "line (1 − ηλ)ᵗ.")

# %% tags=["hide-input"]
claim("00-hardly", "Under coupled Adam, after 250 steps the mean of weights whose gradients have "
      f"size 10 is {{}} of its start, near (1 − ηλ/10)²⁵⁰, which is {coupled['law'].y[-1]:.3f}",
      measured=coupled["10"].y[-1], equals=coupled["law"].y[-1], within=0.02)
claim("00-factor", "Under AdamW weights of all three kinds decay alike: after 250 steps their "
      "mean is {} times (1 − ηλ)²⁵⁰", measured=[decoupled[size].y[-1] / decoupled["law"].y[-1]
                                             for size in ("0.1", "1", "10")], equals=1, within=0.1)

# %% [markdown]
# Where $\sqrt v$ is large compared with $\lambda|w|$, coupled decay takes $\sqrt v/(\eta\lambda)$ steps to shrink a weight to $1/e$; AdamW takes $1/(\eta\lambda)$ for every weight. The curve of size 0.1 begins where $\lambda|w|$ is the larger part of $\sqrt v$, so there each step is about $\eta$.
#
# ## 0.3 A surprise: which layer has the largest share?
#
# What does the penalty do to several layers? This question started the book. A network for handwritten digits ({{below: len(pixels):,}} images of 8 × 8 pixels) has three weight matrices, $256\times64$, $32\times256$ and
# $10\times32$, that is {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights. Somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) about a penalty with two terms, one for each layer: is the
# big first layer "effectively making the second term useless"? The proposal was to divide each layer's term by its size.
#
# **Predict before you read on.** How is $\sum_l\lVert W_l\rVert^2$ divided among the layers after training: (a) by size, (b) equally, or (c) as at the start?

# %%
from l2lib.datasets import load

digits = load("digits")
pixels = digits.scaled(16, centre=True)

# %%
images, labels = torch.tensor(pixels), torch.tensor(digits.y)


def build(seed, lam):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(),
                        nn.Linear(32, 10))
    weights, biases = [net[i].weight for i in (0, 2, 4)], [net[i].bias for i in (0, 2, 4)]
    groups = [{"params": weights, "weight_decay": lam}, {"params": biases, "weight_decay": 0}]
    return net, weights, groups


def loss_of(net, size=64):  # on a random minibatch
    batch = torch.randint(len(images), (size,))
    return nn.functional.cross_entropy(net(images[batch]), labels[batch])


# %%
net, weights, groups = build(seeds(1)[0], lam=0.003)
optimizer = torch.optim.SGD(groups, lr=0.5)
for _ in range(1500):
    optimizer.zero_grad()
    loss_of(net).backward()
    optimizer.step()
paid = np.array([(w.detach() ** 2).sum() for w in weights])
print((paid / paid.sum()).round(2))

# %% [markdown]
# (b), for SGD. The helper `sweep` repeats such a loop for five seeds, here also with Adam and AdamW.
# `sgd.norm` has $\lVert W_l\rVert$ for each seed, layer and recorded step.

# %%
from itertools import pairwise

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
sizes = np.array([a * b for a, b in pairwise(widths)])
of_weights = sizes / sizes.sum()

# %% tags=["hide-input"]
names = [f"{b} × {a}" for a, b in pairwise(widths)]


def draw_shares(left, middle, right):
    for layer, name in enumerate(names):
        look = {"color": f"C{layer}", "lw": 1.3, "alpha": 0.5, "label": name}
        left.plot(share.step, share[:, layer].T, **look)
        middle.plot(share_adam.step, share_adam[:, layer].T, **look)
        right.plot(share_adamw.step, share_adamw[:, layer].T, **look)
        right.axhline(of_weights[layer], color=f"C{layer}", ls="--", lw=1.2, label=f"_size {name}")
    found = {"SGD: equal": left, "Adam: nearly equal": middle, "AdamW: unequal": right}
    for words, ax in found.items():
        ax.set(xlabel="training step", ylabel=" ", ylim=(0, 1), title=words)
        ax.set(xlim=(0, 500), xticks=(0, 250, 500))
    for ax in (left, middle):
        ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(xlim=(0, 1500), xticks=(0, 500, 1000, 1500), ylabel="share of the squared norm")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


# %% tags=["hide-input"]
def label_shares(*panels):
    places = (((0.27, 0.57), (0.27, 0.19), (0.27, 0.11)), ((0.35, 0.46), None, (0.35, 0.19)),
              ((0.3, 0.71), (0.3, 0.39), (0.3, 0.06)))
    for ax, spots in zip(panels, places, strict=True):
        for layer, spot in enumerate(spots):
            words = f"{sizes[layer]:,}" + (" weights" if ax is panels[2] else "")
            if spot:
                ax.text(*spot, words, color=f"C{layer}", size=10, transform=ax.transAxes)
    panels[1].annotate(f"{sizes[1]:,}", (95, 0.335), (50, 0.57), color="C1", size=10,
                       arrowprops={"arrowstyle": "-", "color": "C1", "lw": 0.8})
    for ax, words in zip(panels, ("η = 0.5, λ = 0.003\ndashed: 1/3",
                                  "η = 0.02, λ = 0.01\ndashed: 1/3",
                                  "η = 0.01, λ = 0.6\ndashed: share\nof all weights"), strict=True):
        ax.text(0.98, 0.98, words, color=figures.GREY, size=9.5, ha="right", va="top",
                transform=ax.transAxes)


# %% tags=["hide-input"]
fig, (left, middle, right) = figures.subplots(1, 3, sharey=True, figsize=(7.2, 3.5))
draw_shares(left, middle, right)
label_shares(left, middle, right)
curves, middle_curves, right_curves = map(figures.drawn, (left, middle, right))
layers = {name: curves[name] for name in names}
first_shares = [each.at(0).mean() for each in layers.values()]
far = max(abs(each.y[each.x >= 1000] - 1 / 3).max() for each in layers.values())
middle_shares = [middle_curves[name].at(500).mean() for name in layers]
last_shares = np.array([right_curves[name].y[:, right_curves[name].x[0] >= 250].mean()
                        for name in layers])
dashed = np.array([right_curves[f"_size {name}"].y[0] for name in layers])
words = [", ".join(f"{one:.2f}" for one in some)
         for some in (first_shares, middle_shares, last_shares, dashed)]
figures.show(fig, "Share of the penalty that each of three layers has during training, five seeds. "
             f"All start at {words[0]}. Left: under SGD all run to {curves['_third'].y[0]:.2f}, "
             f"from step 1000 on within {far:.2f} of it. Middle: coupled Adam ends at {words[1]}. "
             f"Right: under AdamW they are {words[2]} in the second half, on average; dashed lines "
             f"mark the shares of the weights, {words[3]}.")

# %% [markdown]
# In Figure 0.4 each line is labelled with its layer's number of weights. PyTorch draws the initial weights with variance 1/(3 · inputs), so a layer's squared norm starts near outputs/3, and the first layer
# has {{100 * float(share[:, 0, 0].mean()):.0f}} % of the sum. Under SGD the layers end
# equal, although their sizes differ by a factor of {{sizes[0] / sizes[-1]:.0f}}. Coupled Adam comes near. Under AdamW the largest layer keeps most: shares go roughly by size, but the smallest layer has {{last_shares[2] / dashed[2]:.1f}} times its share.
# (The settings make runs short; compare shares here, not accuracies.)

# %% tags=["hide-input"]
at_start = np.array([each.at(0) for each in layers.values()])
at_end = np.array([each.at(1500) for each in layers.values()])
claim("00-start", "Before training, the largest squared norm of a layer is at least {} times the "
      "smallest in all five runs", measured=at_start.max(0) / at_start.min(0), between=(15, 40))
claim("00-balance", "After training with SGD, the largest squared norm of a layer is {} times the "
      "smallest (worst of five seeds)", measured=at_end.max(0) / at_end.min(0), below=1.1)

# %% tags=["hide-input"]
claim("00-plain", "In the one network trained with PyTorch alone, the largest squared norm of a "
      "layer is {} times the smallest after training", measured=paid.max() / paid.min(), below=1.1)
ends = np.array([middle_curves[name].at(500) for name in names])
claim("00-adam", "After training with coupled Adam, the largest squared norm of a layer is {} "
      "times the smallest (worst of five seeds)", measured=ends.max(0) / ends.min(0), below=1.5)

# %% tags=["hide-input"]
claim("00-share", "Under AdamW each layer's share is between 0.4 and 2.5 times its share of all "
      "weights; farthest off is the smallest layer's, {} times (means of five seeds)",
      measured=last_shares / dashed, between=(0.4, 2.5))
outputs, inputs = np.array([name.split(" × ") for name in layers], dtype=int).T
claim("00-line", "The left panel shows each layer's share, and thirds",
      measured=[each.y - share[:, k] + curves["_third"].y[0] - 1 / 3
                for k, each in enumerate(layers.values())], equals=0, within=1e-12)
claim("00-dashed", "The dashed lines of the right panel are the layers' shares of the weights",
      measured=dashed - outputs * inputs / (outputs * inputs).sum(), equals=0, within=1e-12)
identities()

# %% [markdown]
# Why do the shares become equal under SGD?
#
# 1. Multiply a layer's weights and biases by some $c>0$, and divide the next layer's weights by $c$. Since $\operatorname{relu}(cz)=c\operatorname{relu}(z)$, the network computes
#    the same function (Figure 0.5, left).
# 2. So the loss does not change. But the two squared norms, say $A$ and $B$, become $c^2A$ and $B/c^2$.
# 3. Their product is the same for every $c$, and two numbers with a given product have the smallest sum when they are equal (right). So at any minimum of loss and penalty, be it local or global, they are equal. Apply this to each pair of neighbouring layers.
#
# So the second term is not useless: at a minimum it is as large as the first.
#
# **Should we divide by the sizes?** Give the two layers coefficients of their own. By step 3 the sum of their terms is least where the terms are equal, and then
#
# $$\min_{c>0}\; \Big(\lambda_1c^2A+\frac{\lambda_2B}{c^2}\Big) = 2\sqrt{\lambda_1\lambda_2AB} \tag{0.2}$$
#
# Only the product $\lambda_1\lambda_2$ counts; for more layers, the geometric mean of the $\lambda_l$. So dividing each term by its layer's size leads to the same best functions as one other $\lambda'=\sqrt{\lambda_1\lambda_2}$ for both layers; only the split of the norm between the layers differs.
# Nor is balance reached sooner: near it, a difference fades like $e^{-4\eta t\lambda_1\lambda_2/(\lambda_1+\lambda_2)}$, against $e^{-2\eta t\lambda'}$ with one $\lambda'$. With sizes $n_1$ and $n_2$ that takes $(n_1+n_2)/(2\sqrt{n_1n_2})$ times as long.

# %% tags=["hide-input"]
def draw_net(ax, left, first, following):
    places = {"in": [(left, 1), (left, 3)], "hidden": [(left + 1.3, 1), (left + 1.3, 3)]}
    for size, tail in zip(first, places["in"], strict=True):
        for tip in places["hidden"]:
            ax.plot(*zip(tail, tip, strict=True), color="C0", lw=4 * size, zorder=1)
    for size, tail in zip(following, places["hidden"], strict=True):
        ax.plot(*zip(tail, (left + 2.6, 2), strict=True), color="C1", lw=4 * size, zorder=1)
    for place in (*places["in"], *places["hidden"], (left + 2.6, 2)):
        ax.plot(*place, "o", color="white", mec="black", ms=11, zorder=2)


# %% tags=["hide-input"]
def draw_nets(ax):
    c = 0.5**0.5
    first, following = np.array([0.8, 1.36**0.5]), np.array([0.8, 0.6])  # squares: 2 · 2 and 1
    draw_net(ax, 0.3, first, following), draw_net(ax, 4.1, c * first, following / c)
    for across, up, words, color in ((0.9, 0.2, "4", "C0"), (2.2, 0.2, "1", "C1"),
                                     (4.7, 0.2, "2", "C0"), (6.0, 0.2, "2", "C1")):
        ax.text(across, up, words, color=color, size=11, ha="center")
    ax.text(3.5, 2, "=", size=18, ha="center", va="center")
    ax.text(4.75, 3.75, "× 0.71", size=10, ha="center", color="C0")
    ax.text(6.1, 3.75, "÷ 0.71", size=10, ha="center", color="C1")
    ax.set(xlim=(0, 7), ylim=(-0.3, 4.3), xticks=[], yticks=[], title="The same function")
    ax.set(xlabel="squared norms", ylabel=" ")
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
    ax.annotate("c = 1: 4 + 1 = 5", (1, 5), (0.62, 6.6), size=10, arrowprops={"arrowstyle": "->"})
    ax.annotate("2 + 2 = 4", (0.5**0.5, 4), (0.62, 5.1), size=10,
                arrowprops={"arrowstyle": "->"})
    ax.set(xlabel="factor c", ylabel="squared norm", xlim=(0.42, 1.3), ylim=(0, 7.5))
    ax.set_title("Equal is cheapest")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.2))
draw_nets(left), draw_valley(right), fig.get_layout_engine().set(wspace=0.08)
scaled = figures.drawn(right)
lowest = scaled["sum"].x[scaled["sum"].y.argmin()]
right.plot(lowest, scaled["sum"].at(lowest), "o", color="black", label="_dot")
figures.show(fig, "Left: two drawings of one network, with lines as thick as weights are large. In "
             "the second the first layer is multiplied by 0.71 and the next divided by it; their "
             "squared norms 4 and 1 become 2 and 2. Right: the squared norms against c. Their "
             f"sum is least at c = {lowest:.2f}, where they are "
             f"{scaled['first'].at(lowest):.1f} and {scaled['next'].at(lowest):.1f}.")

# %% [markdown]
# **How long does it take?** Since the loss does not depend on $c$, small steps of plain gradient descent on it nearly conserve the difference
# $\lVert W_1\rVert^2-\lVert W_2\rVert^2$ where there are no biases ([chapter 5](05_size_normalisation.ipynb) proves it). Decay multiplies each weight by $1-\eta\lambda$. So each squared norm, and therefore also their difference, is multiplied by $(1-\eta\lambda)^2$, even far from a minimum. (With biases $\lVert W_1\rVert^2+\lVert b_1\rVert^2-\lVert W_2\rVert^2$ is conserved. Ours grow, so the difference fades a little sooner.)
# The difference fades to $1/e$ in $1/(2\eta\lambda)$ steps: here in {{1 / (2 * 0.5 * 0.003):.0f}} (Figure 0.6). After {{np.log(20):.0f}} times as many, {{100 * np.exp(-3):.0f}} % of it is left. With $\eta=0.1$ and $\lambda=0.0001$ that takes {{3 / (2 * 0.1 * 0.0001):,.0f}} steps, or {{(1 - 0.9) * 3 / (2 * 0.1 * 0.0001):,.0f}} with momentum $\mu=0.9$, which shortens times by the factor $1-\mu$ ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 3.0))
difference = abs(squares[:, 0] - squares[:, 2]).values
ax.plot(squares.step, (difference / difference[:, :1]).T, color="C0", lw=1.2, label="measured")
ax.plot(squares.step, (1 - 0.5 * 0.003) ** (2 * squares.step), "--", color="black", label="law")
ax.text(560, 0.3, "(1 − ηλ)²ᵗ", color="black", size=10)
ax.text(250, 0.13, "five runs", color="C0", size=10)
ax.set(xlabel="training step t", ylabel="difference, from 1 at the start", yscale="log")
ax.set(title="Decay evens the layers out", xlim=(0, 1000), ylim=(0.03, 1.1))
ax.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"]), ax.minorticks_off()
fades = figures.drawn(ax)
figures.show(fig, "Difference of the first and last layer's squared norms under SGD, as a part of "
             f"that at the start: {fades['measured'].at(500).mean():.2f} at step 500, where the "
             f"law (1 − ηλ)²ᵗ says {fades['law'].at(500):.2f}. The runs fall a little faster, as "
             "the biases grow.")

# %% tags=["hide-input"]
claim("00-time", "After 325 steps of SGD (each 25th is recorded), {} of the difference between "
      "the first and last layer's squared norms is left, where (1 − ηλ)²ᵗ is "
      f"{fades['law'].at(325):.2f} (worst of five seeds)",
      measured=fades["measured"].at(325), equals=fades["law"].at(325), within=0.1)

# %% [markdown]
# All this needs ReLU between the layers, biases without penalty, enough steps, and little minibatch noise. With unequal $\lambda_l$ the terms $\lambda_l\lVert W_l\rVert^2$ still become equal; the norms then do not.
# Coupled Adam has the same minimum; our run is short, and its steps of the size of η add noise.
#
# ## 0.4 What AdamW makes equal
#
# The argument of §0.3 holds for AdamW, too, but makes another sum equal. Write $\langle g_l,W_l\rangle$ for the sum of gradient times weight, over all weights of layer $l$.
#
# 1. The loss does not change with $c$, so its derivative with respect to $c$ is zero. Without biases this says, at all weights,
#
# $$\langle g_1,W_1\rangle = \langle g_2,W_2\rangle \tag{0.3}$$
#
#    (An unpenalised bias adds nothing where training has come to rest, since its gradient is zero there.)
# 2. SGD comes to rest where $g=-\lambda w$. Put this in: $\lVert W_l\rVert^2$ is the same for both layers.
# 3. AdamW divides only $g$ by $\sqrt v$, so it comes to rest where $g=-\lambda\sqrt v\,w$. Put this in: the sum of $\sqrt v\,w^2$ is the same for both layers.
#
# So AdamW equalises a weighted sum: each $w^2$ is multiplied by $\sqrt v$, the typical size of its gradient. (Here $v$ is taken as fixed and positive, and $g$ as the mean over minibatches.) We test it with the same network, written so that the sums start far apart: the first layer times {{below: factor}}, the second divided by {{below: factor}}.

# %%
factor = 3


def sums_of(optimizer, weights, step):  # of √v w² and of w², for each layer
    squares = [w.detach() ** 2 for w in weights]
    v = [optimizer.state[w]["exp_avg_sq"] / (1 - 0.999**step)  # v starts at 0: this corrects it
         for w in weights]
    weighted = [(each.sqrt() * square).sum() for each, square in zip(v, squares, strict=True)]
    return weighted, [square.sum() for square in squares]


# %%
def weighted_sums(seed, steps=300):
    net, weights, groups = build(seed, lam=0.6)
    for each, c in ((weights[0], factor), (net[0].bias, factor), (weights[1], 1 / factor)):
        each.data *= c  # the same function
    optimizer, rows = torch.optim.AdamW(groups, lr=0.01), []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss_of(net).backward()
        optimizer.step()
        if step % 10 == 1:
            rows.append(sums_of(optimizer, weights, step))
    return np.array(rows)


# %%
sums = np.array([weighted_sums(seed) for seed in seeds(5)])  # runs, records, two sums, layers
weighted_share, plain_share = (sums / sums.sum(3, keepdims=True)).transpose(2, 0, 1, 3)

# %% [markdown]
# The layers' weighted sums (Figure 0.7, left) start far apart and come near one another; the squared norms do not. The small last layer has large gradients, so its squares count more.
# The rest is minibatch noise, under which AdamW never comes to rest (exercise 4 lessens it).
#
# What does noise alone do? Let all gradients be random, with mean zero and independent of one another.
#
# 1. Gradient divided by $\sqrt v$ has size 1, however large the gradients are. So each step adds $\eta^2$ to the mean square of the weights.
# 2. Decay multiplies the mean square by $(1-\eta\lambda)^2$, so it removes about $2\eta\lambda$ of it.
# 3. Where the two are equal, the root mean square (RMS) is
#
# $$w_{\mathrm{rms}} \approx \sqrt{\frac{\eta}{2\lambda}} \tag{0.4}$$
#
# With noise alone, then, all layers have the same RMS, and shares go by size (Figure 0.7, right). But gradients of a network are not noise alone: the layers of Figure 0.4 end with RMS {{below: rms[0]:.2f}}, {{below: rms[1]:.2f}} and {{below: rms[2]:.2f}} under AdamW, which is {{below: min(rms) / expected:.1f}} to {{below: max(rms) / expected:.1f}} times (0.4). What holds there is the weighted sum.

# %%
torch.manual_seed(seeds(1)[0])
noise = {scale: train_on_noise(torch.optim.AdamW, 0.01, 0.6, scale, start=0.4, steps=1000)
         for scale in (0.1, 10)}
expected = (0.01 / (2 * 0.6)) ** 0.5
noise_rms = {scale: (each**2).mean(1) ** 0.5 for scale, each in noise.items()}
rms = ((adamw.norm**2).isel(step=-1).mean("seed").values / sizes) ** 0.5

# %% tags=["hide-input"]
def draw_balance(left, right):
    for layer, (name, color) in enumerate(zip(names, ("C0", "C1", "C2"), strict=True)):
        look = {"color": color, "lw": 1.2, "alpha": 0.6}
        left.plot(range(1, 301, 10), weighted_share[:, :, layer].T, label=name, **look)
        left.plot(range(1, 301, 10), plain_share[:, :, layer].mean(0), ":", color=color, lw=1.6,
                  label=f"_norm {name}")
    left.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    for scale, color in ((0.1, "C2"), (10, "C1")):
        right.plot(range(1, 1001), noise_rms[scale], color=color, lw=3 if scale == 0.1 else 1.2,
                   label=f"{scale}")
    right.axhline(expected, color="black", ls="--", lw=1.2, label="law")
    left.set(xlabel="training step", ylabel="share", xlim=(0, 300), ylim=(0, 1.02))
    left.set_title("AdamW: Σ √v w² evens out")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
    right.set(xlabel="step", ylabel="RMS of 5,000 weights", xlim=(0, 1000), ylim=(0, 0.45))
    right.set_title("Noise alone: √(η/2λ)")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.4))
draw_balance(left, right), fig.get_layout_engine().set(wspace=0.08)
left.text(70, 0.53, "solid: of Σ √v w²", size=10)
left.text(110, 0.93, "dotted: of Σ w²", size=10)
for words, up, color in (("16,384", 0.7, "C0"), ("8,192", 0.13, "C1"), ("320", 0.035, "C2")):
    left.text(230, up, words, color=color, size=10)
right.text(230, 0.2, "gradients of size\n0.1 and 10", size=10)
right.text(30, 0.045, "dashed: √(η/2λ)", size=10)
balanced, alone = figures.drawn(left), figures.drawn(right)
late = np.array([balanced[name].y[:, 15:].mean(1) for name in names])  # three layers, five runs
early_share = np.array([balanced[name].y[:, 0] for name in names])
words = ", ".join(f"{one:.2f}" for one in late.mean(1))
figures.show(fig, "Left: shares of the sum of √v w² of three layers under AdamW, five runs: at "
             f"step 1 the largest layer has {early_share[0].mean():.2f}; in the second half they "
             f"are {words} on average, while the dotted shares of squared norms stay apart. Right: "
             "root mean square of 5,000 weights with random gradients under AdamW: "
             f"from 0.4 it falls to {alone['10'].y[-1]:.3f}, whether gradients have size 0.1 or "
             f"10; the dashed line is √(η/2λ) = {alone['law'].y[0]:.3f}.")

# %% tags=["hide-input"]
apart_at_first = (early_share.max(0) / early_share.min(0)).min()
claim("00-weighted", "Under AdamW the largest of the layers' sums of √v w², at first at least "
      f"{apart_at_first:.0f} times the smallest, is {{}} times the smallest in the second half of "
      "training (worst of five seeds)", measured=late.max(0) / late.min(0), below=2)
ratio = [alone[name].y[500:].mean() / alone["law"].y[0] for name in ("0.1", "10")]
claim("00-noise", "With noise alone for gradients, AdamW keeps 5,000 weights at an RMS of {} times "
      "√(η/2λ), for gradients of size 0.1 and of size 10 (the worse of the two)",
      measured=ratio, equals=1, within=0.05)

# %% [markdown]
# In summary:
#
# | optimiser | decay | equal in all layers after a long run | steps in which decay alone shrinks squares to $1/e$ |
# |---|---|---|---|
# | SGD | both are the same | $\lVert W_l\rVert^2$ | $1/(2\eta\lambda)$ |
# | Adam | coupled | $\lVert W_l\rVert^2$, nearly | $\sqrt v/(2\eta\lambda)$ where $\sqrt v$ is large |
# | AdamW | decoupled | the sum of $\sqrt v\,w^2$, nearly | $1/(2\eta\lambda)$ |
#
# ## 0.5 Does decay help on new digits?
#
# We train the network of §0.3 on 500 images and test it on the other {{below: apart.test.X.shape[1]:,}}, in five random splits. We do this twice: once with 100 of the 500 labels wrong, once with all right.

# %%
from l2lib.splits import split

rows = np.array([np.random.default_rng(seed).permutation(len(pixels)) for seed in seeds(5)])
apart = split(pixels, digits.y, train=rows[:, :500], test=rows[:, 500:])
wrong = apart.train.y.copy()  # a row for each run
wrong[:, :100] = (wrong[:, :100] + 1 + np.arange(100) % 9) % 10

# %%
held_out = {kind: sweep(model, apart.train.X, given, test=apart.test, lr=0.5,
                        weight_decay=[0, 0.01], steps=400, **options | {"record_every": 400})
            for kind, given in (("wrong", wrong), ("right", apart.train.y))}
accuracy = {kind: 100 * run.test_accuracy[..., -1].values for kind, run in held_out.items()}

# %% tags=["hide-input"]
gain = {kind: interval(each[:, 1] - each[:, 0]) for kind, each in accuracy.items()}
spread = {kind: f"(mean of five runs; 95 % interval: {each.low:.1f} to {each.high:.1f})"
          for kind, each in gain.items()}
claim("00-wrong", "Where 100 of 500 labels are wrong, decay (λ = 0.01) raises the accuracy on "
      f"new digits from {accuracy['wrong'][:, 0].mean():.0f} % by {{:.1f}} points "
      f"{spread['wrong']}", measured=gain["wrong"].mean, above=0)
claim("00-right", "Where all are right, the same decay changes it from "
      f"{accuracy['right'][:, 0].mean():.0f} % by {{:.1f}} points {spread['right']}",
      measured=gain["right"].mean, below=0)

# %% [markdown]
# This λ helped where there was noise to be learned, and gained nothing where there was none. One λ on one data set proves no rule, so choose λ on a validation set.
#
# ### In practice
#
# Use one λ for all layers, and do not divide it by their sizes. Before you judge whether layers are balanced, compare your number of steps with $3/(2\eta\lambda)$.
#
# ### Myths
#
# - *A large layer drowns the small ones.* A weight feels only its own gradient $\lambda w$; the size of the layer does not enter.
# - *`weight_decay` means the same in every optimiser.* Figure 0.3 shows the contrary, with the same η and λ
#   ([chapter 3](03_one_lambda_many_meanings.ipynb) converts).
#
# ### Limits
#
# These are small networks at a constant learning rate. Nothing here says that equal sums predict better.
# §0.4 takes $v$ as mostly minibatch noise. Without it $\sqrt v$ shrinks with $|g|$, and where AdamW converges, it does so at a point that meets the first-order (KKT) conditions of another problem: the least loss with all weights between $-1/\lambda$ and $1/\lambda$ ([Xie and Li 2024](https://arxiv.org/abs/2404.04454)).
#
# ## 0.6 A sentence that can fail
#
# If a claim's number lies outside its brackets, the cell raises an error. Try it with the popular belief:

# %%
from l2lib.claims import ClaimError

biggest = share.isel(layer=0, step=-1)
try:
    claim("00-belief", "The largest layer has {} of the squared norm, more than half of it",
          measured=biggest, above=0.5)
except ClaimError as message:
    print(message)

# %% [markdown]
# Of five runs a claim prints the worst: here the smallest share. What follows prints the one farthest from 1/3, and holds:

# %%
claim("00-third", "After training with SGD the largest layer has {} of the squared norm, near "
      "1/3, in all five runs", measured=biggest, equals=1 / 3, within=0.03)

# %% [markdown]
# The environment variable `L2LIB_SEED=7` runs a chapter on other random numbers.
#
# ## 0.7 How to read, how to run
#
# Chapters [1](01_what_an_l2_penalty_does.ipynb) to [4](04_other_penalties.ipynb) are about the penalty, [5](05_size_normalisation.ipynb) and [6](06_bias_exclusion.ipynb) about
# the weights that it should reach, and chapters [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb) about networks with normalisation.
#
# Open a chapter with `make lab` and choose *Run, Run All Cells*. Then change a number and run again: a claim that fails tells you which sentence is now
# false. Cells that only draw or claim are folded.
#
# The book checks {{len(__import__("l2lib").ledger.lines())}} statements from four short texts:
# a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) (S0),
# [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) (S1), a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) (S2),
# and a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) (S3). A folded table at a chapter's end has the verdicts.
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
# ## 0.8 Exercises
#
# **1.** Set `weight_decay=0.0` in the run of SGD with `sweep`. What do you expect of the shares, and what do you see? And in the run of AdamW?
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, and have slowed down near 0.50, 0.26 and 0.24 at
# step 1500. Without decay, gradient descent with small steps nearly conserves the *differences*
# of the layers' squared norms (§0.3). So these become less important as the norms grow, but they do not fade. The claim `00-balance`
# fails, as it should.
#
# Under AdamW without decay the shares end near 0.70, 0.28 and 0.02. So even without decay they come near the sizes: AdamW's steps have about the same size for every weight.
#
# </details>
#
# **2.** Double λ and halve the learning rate of SGD. Does balance arrive earlier, later, or at the same step?
#
# <details>
# <summary>Solution</summary>
#
# At about the same step: differences between layers fade like $(1-\eta\lambda)^{2t}$, and $\eta\lambda$ is unchanged. But the layers are equal
# at another end point, with smaller weights, because $\lambda$ alone decides where loss and penalty together are least. Chapter 2 is about this product.
#
# </details>
#
# **3.** In a log of $\lVert W_l\rVert^2$ the first layer's is by far the largest to the end. A colleague wants to give it a smaller $\lambda$. What do you ask? And why can the reason not be that biases decay, too?
#
# <details>
# <summary>Solution</summary>
#
# First, how many steps there were, and whether they reach $3/(2\eta\lambda)$ (with momentum, $3(1-\mu)/(2\eta\lambda)$). If not, the log shows the start of training and says nothing about $\lambda$. Then, which optimiser it is. With AdamW the largest layer normally has the largest squared norm, as in Figure 0.4.
#
# If biases decay, a layer's bias counts with its weights: at a minimum $\lVert W_1\rVert^2+\lVert b_1\rVert^2=\lVert W_2\rVert^2$. This makes the first layer's weights smaller than the next layer's, not larger.
#
# </details>
#
# **4.** In `weighted_sums` use larger minibatches: put `loss_of(net, 512)` in the place of `loss_of(net)`. What do you expect of the ratio in the claim `00-weighted`? Try it on one seed. And with pencil: which RMS does (0.4) give for PyTorch's defaults, $\eta=0.001$ and $\lambda=0.01$, and after how many steps?
#
# <details>
# <summary>Solution</summary>
#
# There is less noise, so AdamW comes nearer to rest: the ratio falls to 1.11.
#
# The RMS is {{(0.001 / (2 * 0.01)) ** 0.5:.2f}}. The distance of the mean square from its end falls to $1/e$ in $1/(2\eta\lambda)$ steps, that is {{1 / (2 * 0.001 * 0.01):,.0f}}. Your weights may well be larger or smaller, as gradients are not noise alone.
#
# </details>
#
# **5.** On your own network: predict the shares, then compute them before and after training.
#
# <details>
# <summary>A start</summary>
#
# ```python
# squares = {name: (p.detach() ** 2).sum().item() for name, p in model.named_parameters() if p.ndim > 1}
# ```
#
# Under SGD with a long run they should be nearly equal where ReLU connects two layers, and need not be around normalisation layers:
# chapters 5 and 7 say why. Under AdamW compute the sums of $\sqrt v\,w^2$ as well, with the code of `weighted_sums`.
#
# </details>
#
# **6.** Break a claim: change one number of the experiment in §0.1 so that `00-overfit` fails. Say first which, and why. Then put it back, and predict what `steps=15000` in `train` does to the errors with λ = 0 and λ = 0.01.
#
# <details>
# <summary>Solution</summary>
#
# Take the noise away: set `sigma = 0.0`. Where there is no noise to learn, decay can only do harm.
#
# With `15000` steps in the place of `3000` in `train`, the error without decay grows on to 0.42, and that with $\lambda=0.01$ stays at 0.32: it stopped changing after a few times $1/(\eta\lambda)$ steps.
#
# </details>
#
# **7.** With pencil: derive (0.2), and say at which $c$ the minimum lies. Two layers have 16,384 and 256 weights. Somebody divides each layer's term by its size. Which common $\lambda'$ gives the same functions, how do the layers' squared norms compare under the divided penalty, and how many times as long does balance take?
#
# <details>
# <summary>Solution</summary>
#
# The derivative $2\lambda_1cA-2\lambda_2B/c^3$ is zero where $\lambda_1c^2A=\lambda_2B/c^2$, so the two terms are equal there. Their product is $\lambda_1\lambda_2AB$ for every $c$, so each equals the square root of the product, and $c^4=\lambda_2B/(\lambda_1A)$.
# Here $\lambda_1\lambda_2=\lambda^2/(16384\cdot256)$, so $\lambda'$ is $\lambda$ divided by {{(16384 * 256) ** 0.5:.0f}}. The terms $\lambda_l\lVert W_l\rVert^2$ are equal, so the first layer's squared norm is {{16384 / 256:.0f}} times the other's. Balance takes {{(16384 + 256) / (2 * (16384 * 256) ** 0.5):.1f}} times as long (§0.3).
#
# </details>
#
# **Next:** [Chapter 1](01_what_an_l2_penalty_does.ipynb) starts with the simplest model that has a penalty.
#
# **Sources.** Decay and generalisation: [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html).
# AdamW: [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101). Balance without decay:
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900). Equilibrium of AdamW: [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
