# %% [markdown]
# # 0 Start here
#
# Nearly every optimiser that trains a neural network has an argument called `weight_decay`. It changes one line of the
# training step, and it can keep a network from learning the noise in its examples.
# This book works out what it does, by derivation, code and experiment.
#
# By the end you will be able to
#
# - say what an L2 penalty is for, and write the training step that carries it out;
# - predict which share of the penalty each layer has after SGD or Adam, and how many steps of SGD that takes;
# - say why AdamW differs, and what sets the size of its weights;
# - run a chapter, and read its claims.
#
# You need derivatives, matrices, mean and variance, and some NumPy and PyTorch. *Reading time: half an hour, and as much again for the exercises. The code runs in about 10 seconds.*
#
# > **If you only want to set it.** Typical values of λ are 0.0001 to 0.0005 with SGD, and 0.01 (PyTorch's default) to 0.1 with AdamW. Leave Adam's own `weight_decay` at 0, and take AdamW.
# > Use one λ for all weight matrices, and none for biases. At learning rate $\eta$, decay takes about $1/(\eta\lambda)$ steps to shrink a weight to $1/e$, and with SGD and momentum $\mu$ about $(1-\mu)/(\eta\lambda)$. In a much shorter run it does little.
#
# ## 0.1 What weight decay is for
#
# This section shows overfitting, and what a penalty does about it. Twenty examples lie on a smooth curve, but noise has shifted
# each of them up or down. A small network is to learn the curve. Its {{below: hidden.shape[-1]}} hidden tanh units are random and fixed, and only their output weights $w$
# are trained. These are more than the examples, so the network can learn the noise, too.
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
import numpy as np
import torch

from l2lib import figures
from l2lib.claims import claim, identities, seeds

torch.set_default_dtype(torch.float64)  # 64-bit numbers: you see the digits printed here
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

# %%
x, fine = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 201)[:, None]
penalties = (0, 0.01, 0.3)  # the values of λ that we compare


# %%
def draw(seed):  # noisy targets; outputs of the hidden units at x and at fine
    rng = np.random.default_rng(seed)
    y = torch.sin(3 * x) + 0.5 * torch.tensor(rng.normal(size=(20, 1)))
    slope, shift = 10 * rng.normal(size=100), 10 * rng.uniform(-1, 1, 100)  # units bend sharply
    slope, shift = torch.tensor(slope), torch.tensor(shift)
    hidden, hidden_fine = (torch.tanh(inputs * slope + shift) / 100**0.5 for inputs in (x, fine))
    return y, hidden, hidden_fine


# %%
def train(w, lam, hidden, y, lr=1.0, steps=3000):
    for _ in range(steps):
        w.requires_grad_()
        loss = ((hidden @ w - y) ** 2).sum() / (2 * len(x))  # half the mean squared error
        (g,) = torch.autograd.grad(loss, w)
        w = ((1 - lr * lam) * w - lr * g).detach()  # <- the training step
    return w


# %% [markdown]
# The next, folded cell trains {{below: len(many[0])}} such networks, each with its own noise; `seeds(20)` are the numbers that start their random generators.
# As our example it picks the one in the middle when they are ordered by how much decay helps.

# %% tags=["hide-input"]
many = [torch.stack(each) for each in zip(*map(draw, seeds(20)), strict=True)]


def train_many(lam, steps=3000):
    y, hidden, hidden_fine = many
    marks = np.unique(np.geomspace(3, steps, 50).round().astype(int))
    w, errors = torch.zeros(20, 100, 1), []
    for mark, more in zip(marks, np.diff(marks, prepend=0), strict=True):
        w = train(w, lam, hidden, y, steps=more)
        far = ((hidden_fine @ w - torch.sin(3 * fine)) ** 2).mean((1, 2))
        errors.append((mark, far.mean().item(), ((hidden @ w - y) ** 2).mean().item()))
    return np.array(errors).T, w, far.numpy()


runs = {lam: train_many(lam) for lam in penalties}
error = {lam: run[0] for lam, run in runs.items()}
typical = np.argsort(runs[0.01][2] / runs[0][2])[10]  # in the middle of the twenty

# %%
y, hidden, hidden_fine = draw(seeds(20)[typical])
curve = {lam: hidden_fine @ train(torch.zeros(100, 1), lam, hidden, y) for lam in penalties}

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
draw_fits(left, right), fig.get_layout_engine().set(wspace=0.08)
means, fits = figures.drawn(right), figures.drawn(left)
end = {lam: means[f"λ = {lam}"].y[-1] for lam in (0, 0.01, 0.3)}
best, stop = means["λ = 0"].y.min(), means["λ = 0"].x[means["λ = 0"].y.argmin()]
right.plot(stop, best, "o", color="C1", ms=5, label="_stop")
for words, color, across, up in (("λ = 0", "C1", 700, 0.145), ("λ = 0.01", "C0", 500, 0.045),
                                 ("λ = 0.3", "C2", 500, 0.225), ("best step", "C1", 40, 0.095),
                                 ("dotted: on the noisy\nexamples, λ = 0", "C1", 14, 0.37),
                                 ("solid: from the true curve", "black", 3.6, 0.012)):
    right.text(across, up, words, color=color, size=10)
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.01 less so, and with λ = 0.3 "
             "it is too flat. Right: mean squared distance from the truth over 3000 steps, mean of "
             f"twenty networks. Without decay it falls to {best:.3f} at step {stop:.0f} and rises "
             f"to {end[0]:.3f}, while the training error falls. With λ = 0.01 it ends at "
             f"{end[0.01]:.3f}, and with λ = 0.3 at {end[0.3]:.3f}.")

# %% [markdown]
# Figure 0.1 shows this network, and the mean of all {{len(many[0])}}. Without decay ($\lambda=0$) the network first learns the curve, and then the noise:
# its error on the examples (dotted) keeps falling, but its distance from the true curve, which only a simulation knows, grows again.
# This is **overfitting**. With $\lambda=0.01$ the error stays low. With $\lambda=0.3$ the network cannot follow the curve.
#
# Lines with a tick ✓ are *claims*: sentences whose number was measured when the chapter ran. The brackets say where it must lie; otherwise the
# chapter stops with an error (§0.5).

# %% tags=["hide-input"]
claim("00-overfit", "With λ = 0.01 the final error is {} times that without decay (means of "
      "twenty networks)", measured=end[0.01] / end[0], below=0.7)
claim("00-much", "Without decay the final error is {} times that with λ = 0.3, so too much decay "
      "is worse than none", measured=end[0] / end[0.3], below=1)
claim("00-rival", "With λ = 0.01 the final error is {} times the lowest that training without "
      "decay passes through", measured=end[0.01] / best, between=(0.8, 1.25))

# %% tags=["hide-input"]
claim("00-many", "The left picture shows one of the twenty networks of the right one",
      measured=[fits[f"λ = {lam}"].y - (hidden_fine @ runs[lam][1][typical]).flatten().numpy()
                for lam in penalties], equals=0, within=1e-9)
(targets, units, _), kernel = many, many[1] @ many[1].mT + 20 * 0.01 * torch.eye(20)
claim("00-least", "With λ = 0.01 training ends at the minimum of loss and penalty together",
      measured=runs[0.01][1] - units.mT @ torch.linalg.solve(kernel, targets),
      equals=0, within=1e-9)
identities()

# %% [markdown]
# The third claim compares decay with a rival, *early stopping*: train without decay, and stop in time. It is a tie, because from a start at zero stopping early
# keeps weights small, too ([chapter 1](01_what_an_l2_penalty_does.ipynb)).
# We chose both the step and $\lambda$ by looking at the true curve; in practice a validation set chooses them.
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
#
# Penalty and decay are the same only here, in plain gradient descent. Adam divides what it gets by its usual size $\sqrt v$, where $v$ is a running mean of its squares.
# So it matters where decay enters (Figure 0.2). **Coupled** decay adds $\lambda w$ to the gradient, before the division. **Decoupled** decay, AdamW's, shrinks the old weights directly.

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
add, shrink = r"$+\ \lambda w$", r"$\times\,(1-\eta\lambda)$"
boxes = {old: (1, 6), new: (9, 6), minus: (6.6, 6), "$g$": (1, 3), divide: (6.6, 3)}
arrows = [(divide, minus), (minus, new)]
draw_boxes(left, "Coupled: Adam", boxes | {add: (3.6, 3)}, [
    *arrows, (old, minus), (old, add), ("$g$", add), (add, divide)],
    r"$w\ \leftarrow\ w-\eta\,(g+\lambda w)/\sqrt{v}$")
draw_boxes(right, "Decoupled: AdamW", boxes | {shrink: (3.9, 6)}, [
    *arrows, (old, shrink), (shrink, minus), ("$g$", divide)],
    r"$w\ \leftarrow\ (1-\eta\lambda)\,w-\eta\,g/\sqrt{v}$")
figures.show(fig, "Two diagrams of one training step. Left, Adam: λw is made from the old weights "
             "and joins the gradient before both are multiplied by η/√v and subtracted from the "
             "old weights. Right, AdamW: the old weights are multiplied by 1 − ηλ, and η/√v "
             "multiplies the gradient alone. Below each stands its step as a formula.")

# %% [markdown]
# (Momentum is left out; PyTorch's SGD with momentum is coupled, too, see [chapter 2](02_from_penalty_to_weight_decay.ipynb).)
# Coupled decay is divided by $\sqrt v$, so a weight with large gradients hardly decays. Figure 0.3 shows it with random gradients.

# %%
from torch import nn


def train_on_noise(optimizer, lr, lam, scale=1.0, start=1.0, steps=250):
    torch.manual_seed(seeds(1)[0])
    w = nn.Parameter(torch.full((10000,), start))
    step, history = optimizer([w], lr=lr, weight_decay=lam).step, []
    for _ in range(steps):
        w.grad = scale * torch.randn(10000)
        step()
        history.append(w.detach().clone())
    return torch.stack(history)  # a row for each step


# %%
decayed = {(optimizer, scale): train_on_noise(optimizer, 0.02, 0.3, scale).mean(1)
           for optimizer in (torch.optim.Adam, torch.optim.AdamW) for scale in (1, 10)}

# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.1))
for (optimizer, scale), means_of_w in decayed.items():
    ax = left if optimizer is torch.optim.Adam else right
    ax.plot(range(1, 251), means_of_w, color="C1" if scale == 10 else "C0", label=f"{scale}",
            lw=4 if scale == 1 and ax is right else 1.8)
right.plot(range(251), (1 - 0.02 * 0.3) ** np.arange(251), "--", color="black", label="law")
left.set(title="Adam: coupled", xlabel="step t", ylabel="mean of the weights", ylim=(0, 1.08))
right.set(title="AdamW: decoupled", xlabel="step t", ylabel=" ")
left.text(70, 0.985, "gradients 10 times as large", color="C1", size=10)
left.text(10, 0.3, "gradients\nof size 1", color="C0", size=10)
right.text(75, 0.72, "both,\nand (1 − ηλ)ᵗ (dashed)", color="black", size=10)
coupled, decoupled = figures.drawn(left), figures.drawn(right)
figures.show(fig, "Mean of 10000 weights that start at 1 and get random gradients, over 250 steps "
             "with η = 0.02 and λ = 0.3. Left: with coupled Adam it falls to "
             f"{coupled['1'].y[-1]:.2f} where gradients have size 1, and only to "
             f"{coupled['10'].y[-1]:.2f} where they have size 10. Right: with AdamW it "
             f"falls to {decoupled['1'].y[-1]:.2f} for both, along the dashed line (1 − ηλ)ᵗ.")

# %% tags=["hide-input"]
slow = np.log(coupled["1"].y[-1]) / np.log(coupled["10"].y[-1])
claim("00-hardly", "Under coupled Adam, weights whose gradients have size 10 decay {} times as "
      "slowly as those whose gradients have size 1", measured=slow, equals=10, within=1.5)
claim("00-factor", "Under AdamW both kinds of weights decay alike: after 250 steps their mean is "
      "{} times (1 − ηλ)²⁵⁰", measured=[decoupled[size].y[-1] / decoupled["law"].y[-1]
                                for size in ("1", "10")], equals=1, within=0.1)

# %% [markdown]
# ## 0.3 A surprise: which layer has the largest share?
#
# What does the penalty do to several layers? From this question the book grew. A network for handwritten digits ({{below: len(pixels):,}} images of 8 × 8 pixels) has three weight matrices, $256\times64$, $32\times256$ and
# $10\times32$, that is {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights. Somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) whether the
# big first layer is then "effectively making the second term useless" (the other layer's), and proposed to divide each layer's term by its size.
#
# **Predict before you read on.** After training, which share of $\sum_l\lVert W_l\rVert^2$ does each layer have? We train one such network with PyTorch alone.

# %%
from l2lib.datasets import load

digits = load("digits")
pixels = digits.scaled(16, centre=True)

# %%
images, labels = torch.tensor(pixels), torch.tensor(digits.y)
torch.manual_seed(seeds(1)[0])
net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
weights, biases = [net[i].weight for i in (0, 2, 4)], [net[i].bias for i in (0, 2, 4)]
groups = [{"params": weights, "weight_decay": 0.003}, {"params": biases}]  # no decay of biases
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
    found = {"SGD: equal": left, "Adam: nearly equal": middle, "AdamW: near sizes": right}
    for words, ax in found.items():
        ax.set(xlabel="training step", ylabel=" ", ylim=(0, 1), title=words)
        ax.set(xlim=(0, 700), xticks=(0, 250, 500))
    for ax in (left, middle):
        ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(xlim=(0, 2100), xticks=(0, 500, 1000, 1500), ylabel="share of the penalty")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


# %% tags=["hide-input"]
def label_shares(*panels):
    places = (0.4, 0.333, 0.266), (0.4, 0.333, 0.266), (0.62, 0.37, 0.055)
    for ax, heights in zip(panels, places, strict=True):
        for layer, height in enumerate(heights):
            ax.text(0.98, height, f"{sizes[layer]:,}", color=f"C{layer}", size=10, ha="right",
                    va="center", transform=ax.transAxes,
                    bbox={"fc": "white", "ec": "none", "pad": 1})
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
# Figure 0.4 shows five runs each; the numbers at the lines are those of weights. At the start the first layer has
# {{100 * float(share[:, 0, 0].mean()):.0f}} %, because usual initial weights give a layer a share in proportion to its outputs. Under SGD and coupled Adam the layers end
# nearly equal, although their sizes differ by a factor of {{sizes[0] / sizes[-1]:.0f}}. Under AdamW the largest layer keeps most. All three learned the digits:
# {{100 * float(sgd.train_accuracy[..., -1].mean()):.1f}} %, {{100 * float(adam.train_accuracy[..., -1].mean()):.1f}} % and {{100 * float(adamw.train_accuracy[..., -1].mean()):.1f}} % of the training images are right. (Errors on new examples are a matter of [chapter 1](01_what_an_l2_penalty_does.ipynb).)
# The $\lambda$ are larger than typical because the runs are short.

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
claim("00-small", "Under AdamW the smallest layer has more than its share of all weights, {} times "
      "as much", measured=last_shares[2] / dashed[2], above=1)
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
# 2. So the loss does not change. But the two squared norms, say $A$ and $B$, become $c^2A$ and $B/c^2$.
# 3. Their product is the same for every $c$, and two numbers with a given product have the smallest sum when they are equal (Figure 0.5, left). So at a minimum of loss and penalty they are equal.
#
# **This also answers the question.** Give the two layers coefficients of their own. By step 3 the terms are least where they are equal, and then
#
# $$\min_{c>0}\; \Big(\lambda_1c^2A+\frac{\lambda_2B}{c^2}\Big) = 2\sqrt{\lambda_1\lambda_2AB} \tag{0.2}$$
#
# Only the product $\lambda_1\lambda_2$ counts. So dividing each term by its layer's size does the same as one other $\lambda$ for all layers: the best functions are the same, and norm has moved from one layer to the other.
#
# **How long does it take?** Since the loss does not depend on $c$, small steps of plain gradient descent on it nearly conserve the difference
# $\lVert W_1\rVert^2-\lVert W_2\rVert^2$ ([chapter 5](05_size_normalisation.ipynb) proves it). Decay multiplies each weight by $1-\eta\lambda$, so each square, and with them the difference, by $(1-\eta\lambda)^2$, even far from a minimum.
# Weights fade to $1/e$ in $1/(\eta\lambda)$ steps, and the difference in half as many, $1/(2\eta\lambda)$: here in {{1 / (2 * 0.5 * 0.003):.0f}} (Figure 0.5, right; the biases make it a little faster). With $\eta=0.1$ and $\lambda=0.0001$ this takes {{1 / (2 * 0.1 * 0.0001):,.0f}} steps, and
# a shorter run never comes to balance.

# %% tags=["hide-input"]
def draw_valley(ax):
    c = np.linspace(0.42, 1.3, 177)
    first_norm, next_norm = 4.0, 1.0
    ax.plot(c, c**2 * first_norm, color="C0", label="first")
    ax.plot(c, next_norm / c**2, color="C1", label="next")
    ax.plot(c, c**2 * first_norm + next_norm / c**2, color="black", lw=2.4, label="sum")
    for words, color, across, up in (("first layer", "C0", 0.99, 2.75), ("sum", "black", 0.46, 6.6),
                                     ("next layer", "C1", 0.72, 0.45)):
        ax.text(across, up, words, color=color, size=10)
    ax.plot([1, 1, 1], [4, 1, 5], "o", color=figures.GREY, ms=5, label="_now")
    ax.annotate("now, c = 1:\n4 + 1 = 5", (1, 5), (0.62, 6.5), color=figures.GREY, size=10,
                va="center", arrowprops={"arrowstyle": "->", "color": figures.GREY})
    ax.set(xlabel="factor c", ylabel="squared norm", xlim=(0.42, 1.3), ylim=(0, 7.5))
    ax.set_title("Equal is cheapest")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.4))
draw_valley(left), fig.get_layout_engine().set(wspace=0.08)
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
claim("00-time", "After 325 steps of SGD, {} of the difference between the first and last layer's "
      f"squared norms is left, where (1 − ηλ)²ᵗ is {fades['law'].at(325):.2f} (worst of five "
      "seeds)", measured=fades["measured"].at(325), equals=fades["law"].at(325), within=0.1)

# %% [markdown]
# The conditions are ReLU between the layers, biases without penalty, enough steps, and little minibatch noise. Equal $\lambda$ are no condition for equal terms $\lambda_l\lVert W_l\rVert^2$.
# Coupled Adam comes to rest where SGD does, at $g+\lambda w=0$, but each weight decays at its own speed, $\eta\lambda/\sqrt v$.
#
# ## 0.4 AdamW: what sets the size of weights
#
# Why does this argument fail for AdamW, and what can we say instead? AdamW divides only $g$ by $\sqrt v$. So it comes to rest where
#
# $$\frac g{\sqrt v}+\lambda w=0 ,$$
#
# and that is not a minimum of loss and penalty. Each weight feels only its own pull, $\lambda w$, whatever the size of its layer.
# What holds against this pull? Let $q=g/\sqrt v$. Without momentum a step is $w\leftarrow(1-\eta\lambda)w-\eta q$.
#
# **Steady pushes.** At rest, the average of $q$ is $-\lambda w$, so $|w|$ is the average push divided by $\lambda$.
#
# **Random pushes.** If the signs of $q$ are random, weights never come to rest, but the mean of their squares $\overline{w^2}$ does:
#
# 1. Random pushes cancel in the mean, but each adds $\eta^2\overline{q^2}$ to the mean square.
# 2. Decay multiplies the mean square by $(1-\eta\lambda)^2$, so it removes about $2\eta\lambda$ of it.
# 3. Where the two are equal, the root mean square (RMS) is
#
# $$w_{\mathrm{rms}} = q_{\mathrm{rms}}\sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}} \approx q_{\mathrm{rms}}\sqrt{\frac{\eta}{2\lambda}} \tag{0.3}$$
#
# In pure noise $q_{\mathrm{rms}}$ is 1, however large the gradients, because $\sqrt v$ is their RMS. Then all layers have the same RMS, and shares go by size. A control with random gradients and with the $\eta$ and $\lambda$ of Figure 0.4:

# %%
noise = {scale: train_on_noise(torch.optim.AdamW, 0.01, 0.6, scale, start=0.4, steps=1000)
         for scale in (1, 10)}
expected = (0.01 / (2 * 0.6)) ** 0.5
noise_rms = [(each[500:] ** 2).mean().item() ** 0.5 / expected for each in noise.values()]
network_rms = adamw.norm / sizes[:, None] ** 0.5 / expected

# %% tags=["hide-input"]
def draw_noise(ax):
    ax.axhspan(-expected, expected, color="C4", alpha=0.3, lw=0)
    ax.axhline(expected, color="C4", lw=1, label="_edge")
    ax.axhline(-expected, color="C4", lw=1)
    ax.plot(noise[1][:, :4], color="C0", lw=0.9, alpha=0.8, label="_weights")
    ax.plot(0.4 * (1 - 0.01 * 0.6) ** np.arange(1000), "--", color="black", lw=1.4, label="_pull")
    ax.text(170, 0.3, "decay alone", size=10)
    ax.text(480, 0.2, "four weights", color="C0", size=10)
    ax.text(20, -0.27, "band: ± √(η/2λ)", color=figures.GREY, size=10)
    ax.set(xlim=(0, 1000), ylim=(-0.3, 0.45), xlabel="step", ylabel="weight")
    ax.set_title("Noise alone: in the band")


# %% tags=["hide-input"]
def draw_rms(ax):
    for layer, name in enumerate(layers):
        line = network_rms[:, layer].T
        ax.plot(network_rms.step, line, color=f"C{layer}", lw=1.2, alpha=0.6, label=name)
        up = (1.2, 1.4, 1.85)[layer]
        ax.text(510, up, f"{sizes[layer]:,}", color=f"C{layer}", size=10, va="center")
    ax.axhline(1, color=figures.GREY, ls="--", lw=1.2, label="_noise")
    ax.text(20, 0.93, "dashed: noise alone", color=figures.GREY, size=10, va="top")
    ax.set(xlim=(0, 660), xticks=(0, 250, 500), ylim=(0, 2.2), yticks=(0, 0.5, 1, 1.5, 2))
    ax.set(xlabel="training step", ylabel="RMS / √(η/2λ)", title="In the network: larger")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.3))
draw_noise(left), draw_rms(right), fig.get_layout_engine().set(wspace=0.08)
edge, found = figures.drawn(left)["_edge"].y[0], figures.drawn(right)
late = np.array([found[name].y[:, found[name].x[0] >= 250].mean()
                 for name in found if "×" in name])
words = ", ".join(f"{one:.1f}" for one in late)
figures.show(fig, "Left: four weights that start at 0.4 and get random gradients under AdamW. "
             "Decay pulls them to zero, and noise keeps them moving in and about a band of plus "
             f"and minus {edge:.2f}. Right: root mean square of each layer's weights in the "
             f"network, divided by {edge:.2f}: in the second half {words}, above the dashed line "
             "at 1.")

# %% tags=["hide-input"]
claim("00-noise", "With pure noise for gradients, AdamW keeps 10,000 weights at an RMS of {} times "
      "√(η/2λ), for gradients of size 1 and of size 10 (the worse of the two)",
      measured=noise_rms, equals=1, within=0.05)
claim("00-more", "In the network under AdamW, each layer's RMS is at least {} times √(η/2λ) (means "
      "of five seeds)", measured=late, above=1)
claim("00-rms", "Under AdamW the RMS of the network's layers differ by a factor of {}, although "
      f"their sizes differ by {sizes[0] / sizes[-1]:.0f}",
      measured=late.max() / late.min(), below=2)

# %% [markdown]
# In the network of Figure 0.4 the layers' RMS is {{late[0]:.1f}}, {{late[1]:.1f}} and {{late[2]:.1f}} times this value (Figure 0.6, right), because its gradients push steadily, too, and nothing forces steady pushes to be alike in all layers.
# So that shares come near the sizes is what we observe here, not what we can prove (and exercise 1 observes it without decay); [chapter 9](09_adaptive_optimisers.ipynb) goes on. This is now known:
#
# | optimiser | decay | shares after a long run | time constant of squares, in steps |
# |---|---|---|---|
# | SGD | both are the same | equal | $1/(2\eta\lambda)$ |
# | Adam | coupled | nearly equal | $\sqrt v/(2\eta\lambda)$, each weight its own |
# | AdamW | decoupled | near the layers' sizes (observed) | $1/(2\eta\lambda)$ |
#
# ### In practice
#
# Do not divide the penalty by the layers' sizes. Before you judge whether layers are balanced, compare your number of steps with $1/(2\eta\lambda)$. Do not compute the size of weights from (0.3); measure it.
#
# ### Myths
#
# - *A large layer drowns the small ones.* On a weight acts only the term's gradient $\lambda w$, by the same rule in every layer.
# - *`weight_decay` means the same in every optimiser.* Figure 0.3 shows the contrary, with the same η and λ
#   ([chapter 3](03_one_lambda_many_meanings.ipynb) converts).
# - *More regularisation is safer.* In Figure 0.1 too much is worse than none.
#
# ### Limits
#
# These are small networks at a constant learning rate. Momentum $\mu$ shortens the times of SGD by the factor $1-\mu$ ([chapter 2](02_from_penalty_to_weight_decay.ipynb)). Nothing here says that equal shares predict better.
#
# ## 0.5 A sentence that can fail
#
# If a claim's number lies outside its brackets, the cell raises an error, and so do the book's tests. Try it with the popular belief:

# %%
from l2lib.claims import ClaimError

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
# Begin with chapters [1](01_what_an_l2_penalty_does.ipynb) and [2](02_from_penalty_to_weight_decay.ipynb). Chapters [1](01_what_an_l2_penalty_does.ipynb) to [4](04_other_penalties.ipynb) are about the penalty, [5](05_size_normalisation.ipynb) and [6](06_bias_exclusion.ipynb) about
# the weights that it should reach, and chapters [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb) about networks with normalisation.
#
# Open a chapter with `make lab` and choose *Run, Run All Cells*; it works offline. Then change a number and run again: a claim that fails tells you which sentence is now
# false. Cells that only draw or claim are folded; click to open.
#
# The book checks {{len(__import__("l2lib").ledger.lines())}} statements from four short texts:
# a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) on dividing by a layer's size (S0),
# [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) on L2 under normalisation (S1), a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) on a textbook's weight-decay chapter (S2),
# and a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) (S3). From chapter 1 on, a claim's label such as S2-05 says which of them it decides, and a folded table at a chapter's end has the verdicts.
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
# ## 0.7 Exercises
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
# Under AdamW without decay the shares end near 0.70, 0.28 and 0.02, not far from the sizes either: its steps have about the same size for every weight, and this alone brings them near.
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
# **3.** In a log of $\lVert W_l\rVert^2$ the first layer's is by far the largest to the end. A colleague wants to give it a smaller $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# First, how many steps there were, and whether they reach $1/(2\eta\lambda)$ (with momentum, $(1-\mu)/(2\eta\lambda)$). If not, the log shows the start of training and says nothing about $\lambda$. Then which optimiser it is, and how many weights each layer has. With AdamW such a log may say no more than that the first layer has the most weights. With SGD, a plain ReLU network and enough steps, suspect
# minibatch noise, or biases that decay.
#
# </details>
#
# **4.** With pencil: PyTorch's AdamW has the defaults $\eta=0.001$ and $\lambda=0.01$. What RMS does (0.3) give for pure noise, and how many steps does it take to come near?
#
# <details>
# <summary>Solution</summary>
#
# The RMS is {{(0.001 / (2 * 0.01)) ** 0.5:.2f}}. Squares come nearer by a factor of $e$ in $1/(2\eta\lambda)$ steps, that is {{1 / (2 * 0.001 * 0.01):,.0f}}. Your weights may well be larger or smaller, as gradients are no pure noise. But in a much shorter run the decay does little, whatever the noise.
#
# </details>
#
# **5.** On your own network: predict the shares from the optimiser and the number of steps, then compute them before and after training.
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
# Take the noise away: put `0.0` in the place of `0.5` in `draw`. Where there is no noise to learn, decay can only do harm: its error is then 55 times that without. (`steps=100` in `train_many` also does it: the noise is not yet learned.)
#
# With `15000` steps in the place of `3000` in `train_many`, the error without decay grows on to 0.17, and that with $\lambda=0.01$ stays at 0.07: it came to rest after a few times $1/(\eta\lambda)$ steps.
#
# </details>
#
# **7.** With pencil: derive (0.2), and say at which $c$ the minimum lies. Two layers have 16,384 and 256 weights. Somebody divides each layer's term by its size. Which common $\lambda'$ gives the same functions, and how do the layers' squared norms then compare?
#
# <details>
# <summary>Solution</summary>
#
# The derivative $2\lambda_1cA-2\lambda_2B/c^3$ is zero where $\lambda_1c^2A=\lambda_2B/c^2$, so the two terms are equal there. Their product is $\lambda_1\lambda_2AB$ for every $c$, so each is its root, and $c^4=\lambda_2B/(\lambda_1A)$.
# Here $\lambda_1\lambda_2=\lambda^2/(16384\cdot256)$, so $\lambda'$ is $\lambda$ divided by {{(16384 * 256) ** 0.5:.0f}}. The terms $\lambda_l\lVert W_l\rVert^2$ are equal, so the first layer's squared norm is {{16384 / 256:.0f}} times the other's.
#
# </details>
#
# **Next:** [Chapter 1](01_what_an_l2_penalty_does.ipynb) starts with the simplest model that has a penalty.
#
# **Sources.** Decay and generalisation: [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html).
# AdamW: [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101). Balance without decay:
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900). Equilibrium of AdamW: [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
