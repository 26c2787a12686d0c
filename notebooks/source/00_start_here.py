# %% [markdown]
# # 0 Start here
#
# Every optimiser that trains a neural network has an argument called `weight_decay`. It changes one line of the
# training step, and it is one of the oldest ways to keep a network from learning the noise in its examples. Much of what is commonly said about it is wrong.
# This book works out what is true, by derivation, by code and by experiment.
#
# By the end you will be able to
#
# - say what an L2 penalty is and what it is for, and write the training step that carries it out;
# - predict which share of the penalty each layer of a network has, under SGD, under Adam and under AdamW;
# - read and run a chapter, and find the one that answers your question.
#
# *Reading time: half an hour. The code runs in about 10 seconds.*
#
# ## 0.1 What weight decay is for
#
# This section shows overfitting, and what a penalty does about it. Twenty examples lie on a smooth curve, but noise has shifted
# each of them up or down. A small network with 100 hidden tanh units shall learn the curve from them. To keep the first experiment simple, the hidden units are drawn at random and stay as
# they are. Only the {{below: start.numel()}} output weights $w$ are trained. There are more of them than examples, so the network can learn the noise as well as the curve.
#
# The **L2 penalty** makes large weights expensive. We no longer minimise the loss $L$ alone, but
#
# $$L(w) + \frac{\lambda}{2}\lVert w\rVert^2, \qquad \lVert w\rVert^2 = \sum_i w_i^2 .$$
#
# The coefficient $\lambda\ge0$ says how expensive. Why should that help? The curve of such a network can bend sharply only if some weights are large. When large weights are expensive,
# the network still bends where many examples support it, but no longer for the sake of a single stray one.
# (In Bayesian words: the penalty is a Gaussian prior, which says that weights are probably small; [chapter 1](01_what_an_l2_penalty_does.ipynb) makes this exact.)
#
# The function `train` below is the whole training. Look at the line with the arrow.

# %%
import itertools

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
def draw(seed):  # examples, hidden units and initial output weights
    rng = np.random.default_rng(seed)
    y = torch.sin(3 * x) + 0.5 * torch.tensor(rng.normal(size=(20, 1)))
    w1, b1 = torch.tensor(10 * rng.normal(size=100)), torch.tensor(10 * rng.uniform(-1, 1, 100))
    hidden, hidden_fine = (torch.tanh(inputs * w1 + b1) / 10 for inputs in (x, fine))
    return y, hidden, hidden_fine, torch.tensor(rng.normal(size=(100, 1)))


# %%
y, hidden, hidden_fine, start = draw(seeds(1)[0])


# %%
def train(lam, lr=1.0, steps=3000):
    w = start.clone()
    for _ in range(steps):
        w.requires_grad_()
        loss = ((hidden @ w - y) ** 2).mean() / 2  # half the mean squared error
        (g,) = torch.autograd.grad(loss, w)
        w = ((1 - lr * lam) * w - lr * g).detach()  # <- the training step
    return w


# %%
penalties = (0, 0.01, 0.3)
curve = {lam: hidden_fine @ train(lam) for lam in penalties}

# %% [markdown]
# The next, folded cell trains {{below: len(many[0])}} such networks at once, each with its own noise, and
# follows how far they are from the true curve.

# %% tags=["hide-input"]
many = [torch.stack(each) for each in zip(*map(draw, seeds(20)), strict=True)]


def train_many(lam, lr=1.0, steps=3000):
    y, hidden, hidden_fine, w = many
    marks = set(np.geomspace(3, 3000, 50).round().astype(int).tolist()) | {steps}
    errors = []
    for step in range(1, steps + 1):
        w = (1 - lr * lam) * w - lr * hidden.mT @ (hidden @ w - y) / 20
        if step in marks:
            far = ((hidden_fine @ w - torch.sin(3 * fine)) ** 2).mean()
            errors.append((step, far.item(), ((hidden @ w - y) ** 2).mean().item()))
    return np.array(errors).T, hidden_fine @ w


runs = {lam: train_many(lam) for lam in penalties}
error = {lam: run[0] for lam, run in runs.items()}

# %% tags=["hide-input"]
def draw_fits(left, right):
    left.plot(fine, torch.sin(3 * fine), "--", color=figures.GREY, lw=1.4, label="truth")
    left.plot(x, y, "o", color=figures.GREY, ms=4, label="examples")
    names = {0: "λ = 0", 0.01: "λ = 0.01", 0.3: "λ = 0.3"}
    for color, (lam, name) in zip(("C1", "C0", "C2"), names.items(), strict=True):
        left.plot(fine, curve[lam], color=color, label=name)
        right.plot(error[lam][0], error[lam][1], color=color, label=name)
    right.plot(error[0][0], error[0][2], ":", color="C1", lw=1.4, label="training")
    left.set(xlabel="input", ylabel="output", ylim=(-2.9, 1.8), xticks=(-1, 0, 1))
    left.set_title("Decay smooths the fit")
    left.legend(loc="lower right", fontsize=9, handlelength=1.4)
    right.set(xscale="log", xlabel="training step", xlim=(3, 3000), ylim=(0, 0.4))
    right.set(ylabel="mean squared error", title="No decay: the error turns")
    right.set_xticks([10, 100, 1000], ["10", "100", "1000"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_fits(left, right)
means = figures.drawn(right)
end = {lam: means[f"λ = {lam}"].at(3000) for lam in (0, 0.01, 0.3)}
best, stop = means["λ = 0"].y.min(), means["λ = 0"].x[means["λ = 0"].y.argmin()]
right.plot(stop, best, "o", color="C1", ms=5, label="_stop")
for words, color, across, up in (("λ = 0", "C1", 700, 0.155), ("λ = 0.01", "C0", 500, 0.045),
                                 ("λ = 0.3", "C2", 500, 0.235), ("or stop here", "C1", 18, 0.05),
                                 ("training error, λ = 0", "C1", 12, 0.365)):
    right.text(across, up, words, color=color, size=10)
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.01 it lies near the truth, and with λ = 0.3 "
             "it is too flat. Right: mean squared distance from the truth over 3000 steps, mean of "
             f"twenty networks. Without decay it falls to {best:.3f} at step {stop:.0f} and rises "
             f"to {end[0]:.3f}, while the training error falls. With λ = 0.01 it ends at "
             f"{end[0.01]:.3f}, and with λ = 0.3 at {end[0.3]:.3f}.")

# %% [markdown]
# Figure 0.1 shows the outcome. On the left is the network of the code, on the right the mean of all {{len(many[0])}}. Without decay ($\lambda=0$) the network first learns the curve. Then it goes on to learn
# the noise: its error on the examples (dotted) keeps falling, and its error on the true curve, which only a simulation knows, grows again.
# This is **overfitting**. With $\lambda=0.01$, the best of a handful of values that we tried, the error stays low for good. With $\lambda=0.3$
# the network can no longer follow the curve, which is called underfitting.

# %% tags=["hide-input"]
claim("00-overfit", "With λ = 0.01 training ends at {} of the error that it ends with "
      "without decay (means of twenty networks)", measured=end[0.01] / end[0], below=0.7)
claim("00-much", "Training without decay ends at {} of the error that λ = 0.3 gives, so too much "
      "decay is worse than none", measured=end[0] / end[0.3], below=1)
claim("00-rival", "With λ = 0.01 training ends at {} times the error that networks without decay "
      "have at their best step", measured=end[0.01] / best, between=(0.5, 1))

# %% tags=["hide-input"]
claim("00-many", "The first of the twenty networks is the one that the visible code trains",
      measured=[runs[lam][1][0] - curve[lam] for lam in penalties], equals=0, within=1e-9)
identities()

# %% [markdown]
# The last of these sentences names a rival. *Early stopping* trains without decay and stops in time. Here it is nearly as good as
# decay. For both, a validation set chooses the number that we do not know beforehand, the step or $\lambda$.
# Weight decay is one tool of several against overfitting, and [chapter 1](01_what_an_l2_penalty_does.ipynb) compares them. In large networks it also keeps
# the size of the weights, and with it the effective learning rate, under control ([chapter 8](08_effective_learning_rate.ipynb)).
#
# Typical values are $\lambda=0.0001$ to $0.0005$ with SGD, and 0.01 (PyTorch's default) to 0.1 with AdamW.
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
# For plain gradient descent, steps 2 and 3 are the same step. But Adam rescales each weight's gradient before it takes a step, and then it matters where the decay comes in (Figure 0.2). It can be added to the gradient before
# the optimiser sees it, and then Adam rescales it, too. This is called **coupled** decay. Or it can shrink the old weights directly, which is called **decoupled** decay.

# %% tags=["hide-input"]
def draw_boxes(ax):
    ax.set(xlim=(0, 10), ylim=(0.2, 5.6), xticks=[], yticks=[])
    ax.set_xlabel(" "), ax.set_ylabel(" ")
    ax.set_title("Decay can join the gradient or shrink the old weights")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    frame = {"boxstyle": "round,pad=0.4", "fc": "white", "ec": figures.GREY}
    boxes = {"old\nweights": (0.9, 4.2), "gradient\n$g$": (0.9, 1.4), "+": (6.8, 4.2),
             "optimiser": (4.6, 1.4), "new\nweights": (9, 4.2)}
    for words, place in boxes.items():
        ax.text(*place, words, ha="center", va="center", size=11, bbox=frame, color="black")
    arrow = {"arrowstyle": "->", "lw": 1.4, "color": figures.GREY}
    for tail, tip in (((1.65, 4.2), (6.5, 4.2)), ((7.1, 4.2), (8.25, 4.2)),
                      ((1.75, 1.4), (3.65, 1.4)), ((6.8, 1.4), (6.8, 3.75))):
        ax.annotate("", tip, tail, arrowprops=arrow)
    ax.plot((5.55, 6.8), (1.4, 1.4), color=figures.GREY, lw=1.4)


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.4, 3.3))
draw_boxes(ax)
frame = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none"}
for color, across, up, term, words, height in (
        ("C1", 3.9, 4.2, "× (1 − ηλ)", "decoupled: SGD, AdamW", 5.1),
        ("C0", 2.7, 1.4, "+ λw", "coupled: SGD, Adam", 0.5)):
    ax.text(across, up, term, ha="center", va="center", color=color, weight="bold", size=12,
            bbox=frame)
    ax.text(across, height, words, color=color, size=11, ha="center", va="center")
ax.text(7, 2.6, "the move\nof this step", color=figures.GREY, size=10.5, va="center")
figures.show(fig, "A diagram of one training step. The old weights and the optimiser's move add up "
             "to the new weights. Coupled decay adds λw to the gradient before the optimiser (SGD, "
             "Adam). Decoupled decay multiplies the old weights by 1 − ηλ (SGD, AdamW).")

# %% [markdown]
# Does PyTorch agree? We take one step with each optimiser, from the same random weights and gradient. SGD should take the step (0.1).
# AdamW should multiply by the same factor, and then add the move that Adam makes without decay.

# %%
def library_step(optimizer, w, g, **options):
    p = nn.Parameter(w.clone())
    p.grad = g.clone()
    optimizer([p], **options).step()
    return p.detach()


# %%
rng = np.random.default_rng(seeds(1)[0])
w, g = torch.tensor(rng.normal(size=(2, 1000)))
lr, lam = 0.1, 0.3
by_hand = (1 - lr * lam) * w - lr * g

# %%
sgd_step = library_step(torch.optim.SGD, w, g, lr=lr, weight_decay=lam)
adam_move = library_step(torch.optim.Adam, w, g, lr=lr) - w
adamw_step = library_step(torch.optim.AdamW, w, g, lr=lr, weight_decay=lam)
adam_step = library_step(torch.optim.Adam, w, g, lr=lr, weight_decay=lam)

# %% tags=["hide-input"]
claim("00-sgd", "PyTorch's SGD with weight_decay=λ takes the step (0.1)",
      measured=sgd_step - by_hand, equals=0, within=1e-12)
claim("00-adamw", "PyTorch's AdamW multiplies by 1 − ηλ and adds Adam's move",
      measured=adamw_step - (1 - lr * lam) * w - adam_move, equals=0, within=1e-12)
identities()
claim("00-doors", "In a first step from the same weights, Adam (coupled) and AdamW (decoupled) "
      "move some weight by amounts that differ by {} times the learning rate",
      measured=abs(adam_step - adamw_step).max() / lr, above=1)

# %% [markdown]
# ## 0.3 A surprise: which layer has the largest share?
#
# So far we know what the penalty is and how a step applies it. What is missing is what it does to a network with several layers, and this leads to the
# question from which the book grew. A network for handwritten digits ({{below: len(pixels):,}} images of 8 × 8 pixels) has three weight matrices, $256\times64$, $32\times256$ and
# $10\times32$. They have {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights, and one $\lambda$ for all. Somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) whether the
# big first layer is then "effectively making the second term useless", and proposed to divide each layer's term by the layer's size.
#
# **Predict before you read on.** After training, which share of $\sum_l\lVert W_l\rVert^2$ does each layer have? We train one such network with nothing
# but PyTorch. The weight matrices decay and the biases do not, as is usual; this is what the two groups are for.

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
# The three shares are nearly equal. Was that luck? The helper `sweep` repeats such a loop for five seeds
# at once, and records the norms of the weights on the way. We use it with SGD, and with Adam, whose decay is coupled.

# %%
from l2lib.sweep import MLP, sweep

widths = (64, 256, 32, 10)
model = MLP(widths)

# %%
options = {"loss": "cross_entropy", "seeds": seeds(5), "batch_size": 64, "record_every": 25}
sgd = sweep(model, pixels, digits.y, lr=0.5, weight_decay=0.003, steps=1500, **options)
adam = sweep(model, pixels, digits.y, optimizer="adam", lr=0.01, weight_decay=0.03, steps=500,
             **options)
squares = sgd.norm**2
share = squares / squares.sum("layer")
share_adam = adam.norm**2 / (adam.norm**2).sum("layer")

# %% [markdown]
# For AdamW we write the loop ourselves, because §0.4 must look into the optimiser. It trains five networks at once (the first axis of each array). Every fifth step it keeps three means over each layer's
# weights: of $w^2$, of $q^2$, and of $-qw$, where $q$ is the gradient after Adam's rescaling.

# %% tags=["hide-input"]
def start_of(generators, inputs, outputs, rows):  # PyTorch's usual initial weights
    drawn = [each.uniform(-1, 1, (rows, outputs)) / inputs**0.5 for each in generators]
    return torch.tensor(np.array(drawn), requires_grad=True)


def means_of(w, old, optimizer, step):
    v = optimizer.state[w]["exp_avg_sq"] / (1 - 0.999**step)  # Adam's running mean of g²
    q = w.grad / v.sqrt().clamp(min=1e-12)
    return torch.stack([(old**2).mean((1, 2)), (q**2).mean((1, 2)), -(q * old).mean((1, 2))])


# %% tags=["hide-input"]
def train_adamw(lr, lam, steps=500):
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]
    weights = [start_of(rngs, a, b, a) for a, b in itertools.pairwise(widths)]
    biases = [start_of(rngs, a, b, 1) for a, b in itertools.pairwise(widths)]
    groups = [{"params": weights, "weight_decay": lam}, {"params": biases, "weight_decay": 0}]
    optimizer, kept = torch.optim.AdamW(groups, lr=lr), []
    for step in range(1, steps + 1):
        batch = torch.tensor(np.array([each.integers(len(images), size=64) for each in rngs]))
        out = images[batch]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            out = torch.relu(out @ w + b)
        out = (out @ weights[-1] + biases[-1]).flatten(0, 1)
        loss = 5 * nn.functional.cross_entropy(out, labels[batch].flatten())
        optimizer.zero_grad()
        loss.backward()
        old = [w.detach().clone() for w in weights]
        optimizer.step()
        if step % 5 == 0:
            kept.append(torch.stack([*map(means_of, weights, old, [optimizer] * 3, [step] * 3)]))
    return torch.stack(kept).numpy()  # axes: time, layer, which mean, seed


# %%
pairs = {0.03: 0.2, 0.01: 0.6, 0.003: 2}  # η and λ; Figure 0.3 shows the second
adamw = {lr: train_adamw(lr, lam) for lr, lam in pairs.items()}
sizes = np.array([a * b for a, b in itertools.pairwise(widths)])
of_weights = sizes / sizes.sum()
squares_adamw = {lr: mean[:, :, 0] * sizes[:, None] for lr, mean in adamw.items()}
share_adamw = {lr: square / square.sum(1, keepdims=True) for lr, square in squares_adamw.items()}

# %% tags=["hide-input"]
names = [f"{b} × {a}" for a, b in itertools.pairwise(widths)]


def draw_shares(left, middle, right):
    times = 5 * np.arange(1, 101)
    for layer, name in enumerate(names):
        look = {"color": f"C{layer}", "lw": 1.3, "alpha": 0.5, "label": name}
        left.plot(share.step, share[:, layer].T, **look)
        middle.plot(share_adam.step, share_adam[:, layer].T, **look)
        right.plot(times, share_adamw[0.01][:, layer], **look)
        right.axhline(of_weights[layer], color=f"C{layer}", ls="--", lw=1.2, label=f"_size {name}")
    found = {"SGD: equal": left, "Adam: equal": middle, "AdamW: by size": right}
    for words, ax in found.items():
        ax.set(xlabel="training step", ylabel=" ", ylim=(0, 1), title=words)
    for ax in (left, middle):
        ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(xlim=(0, 1500), xticks=(0, 500, 1000), ylabel="share of the penalty")
    middle.set(xlim=(0, 500), xticks=(0, 200, 400))
    right.set(xlim=(0, 500), xticks=(0, 200, 400))
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


# %% tags=["hide-input"]
fig, (left, middle, right) = figures.subplots(1, 3, sharey=True, figsize=(7.2, 3.5))
draw_shares(left, middle, right)
curves, right_curves = figures.drawn(left), figures.drawn(right)
layers = {name: curves[name] for name in names}
for layer, height in enumerate((0.85, 0.17, 0.03)):
    left.text(1480, height, f"{sizes[layer]:,} weights", color=f"C{layer}", size=10, ha="right")
right.text(490, 0.76, "dashed: share\nof all weights", color=figures.GREY, size=10, ha="right")
middle.text(490, 0.42, "dashed: 1/3", color=figures.GREY, size=10, ha="right")
first_shares = [each.at(0).mean() for each in layers.values()]
far = max(abs(each.y[each.x >= 1000] - 1 / 3).max() for each in layers.values())
last_shares = [right_curves[name].y[:, right_curves[name].x[0] >= 250].mean() for name in layers]
dashed = np.array([right_curves[f"_size {name}"].y[0] for name in layers])
words = [", ".join(f"{one:.2f}" for one in some) for some in (first_shares, last_shares, dashed)]
figures.show(fig, "Share of the penalty that each of three layers has during training, five seeds. "
             f"All start at {words[0]}. Left and middle: under SGD and coupled Adam all run to "
             f"{curves['_third'].y[0]:.2f}, with SGD from step 1000 on within {far:.2f} of it. "
             f"Right: under AdamW they are {words[1]} in the second half, on average; dashed lines "
             f"mark the shares of the weights, {words[2]}.")

# %% [markdown]
# Figure 0.3 shows the three optimisers, each line one of five runs. At the start the first layer has
# {{100 * float(share[:, 0, 0].mean()):.0f}} % of the penalty, because usual initial weights give a layer a share in proportion to its number of outputs. Under SGD and under coupled Adam the layers end with
# nearly equal shares, although their sizes differ by a factor of {{sizes[0] / sizes[-1]:.0f}}. Under AdamW the largest layer keeps most of it.

# %% tags=["hide-input"]
at_start, at_end = share[..., 0], share[..., -1]
claim("00-start", "Before training, the layer with the largest squared norm has {} times the "
      "squared norm of the layer with the smallest (least of five seeds)",
      measured=at_start.max("layer") / at_start.min("layer"), between=(15, 40))
claim("00-balance", "After training with SGD, the largest squared norm of a layer is {} times the "
      "smallest (worst of five seeds)",
      measured=at_end.max("layer") / at_end.min("layer"), below=1.1)

# %% tags=["hide-input"]
claim("00-plain", "In the one network trained with PyTorch alone, the largest squared norm of a "
      "layer is {} times the smallest after training", measured=paid.max() / paid.min(), below=1.1)
ends = share_adam[..., -1]
claim("00-adam", "After training with coupled Adam, the largest squared norm of a layer is {} "
      "times the smallest (worst of five seeds)",
      measured=ends.max("layer") / ends.min("layer"), below=1.5)

# %% tags=["hide-input"]
claim("00-line", "The left panel shows each layer's share",
      measured=[each.y - share[:, k] for k, each in enumerate(layers.values())], equals=0,
      within=1e-12)
claim("00-third-line", "Its dashed line marks equal shares",
      measured=curves["_third"].y, equals=1 / 3, within=1e-12)

# %% tags=["hide-input"]
outputs, inputs = np.array([name.split(" × ") for name in layers], dtype=int).T
claim("00-dashed", "The dashed lines of the right panel are the layers' shares of the weights",
      measured=dashed - outputs * inputs / (outputs * inputs).sum(), equals=0, within=1e-12)
identities()
claim("00-outputs", "Each layer's share at the start is its share of all outputs, to within {}",
      measured=abs(np.array(first_shares) - outputs / outputs.sum()), below=0.02)

# %% [markdown]
# Why do the shares become equal? The idea takes three steps.
#
# 1. Multiply a layer's weights and biases by some $c>0$, and divide the next layer's weights by $c$. Since $\operatorname{relu}(cz)=c\operatorname{relu}(z)$, the network computes
#    the same function as before.
# 2. The loss depends on the function only, so it does not change. But the penalty does: the two layers' squared norms $A$ and $B$ become $c^2A$ and $B/c^2$.
# 3. The product of these two numbers is $AB$ for every $c$, and two numbers with a given product have the smallest sum when they are equal (Figure 0.4). So at a minimum of loss and penalty they are equal.

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.4, 3.1))
c = np.linspace(0.42, 1.3, 177)
first_norm, next_norm = 4.0, 1.0
ax.plot(c, c**2 * first_norm, color="C0", label="c²A")
ax.plot(c, next_norm / c**2, color="C1", label="B/c²")
ax.plot(c, c**2 * first_norm + next_norm / c**2, color="black", lw=2.4, label="sum")
scaled = figures.drawn(ax)
lowest = scaled["sum"].x[scaled["sum"].y.argmin()]
ax.plot([lowest, lowest], [0, scaled["sum"].at(lowest)], ":", color=figures.GREY, label="_low")
ax.plot(lowest, scaled["sum"].at(lowest), "o", color="black", label="_dot")
for words, color, across, up in (("first layer, c²A", "C0", 1.0, 3.2),
                                 ("next layer, B/c²", "C1", 0.95, 1.45),
                                 ("what the two add to the penalty", "black", 0.52, 6.5)):
    ax.text(across, up, words, color=color, size=10.5)
ax.set(xlabel="factor c on the first layer (the function stays)", ylabel="squared norm",
       xlim=(0.42, 1.3), ylim=(0, 7.5), title="The sum is least where both layers are equal")
figures.show(fig, "Squared norms of two layers against the factor c by which one is scaled and the "
             "other divided, for A = 4 and B = 1. One rises, one falls; their sum is least at "
             f"c = {lowest:.2f}, where they are {scaled['c²A'].at(lowest):.1f} and "
             f"{scaled['B/c²'].at(lowest):.1f}.")

# %% [markdown]
# [Chapter 5](05_size_normalisation.ipynb) turns this into a theorem. Its conditions are ReLU between the layers, biases without penalty, and a training that has come near a minimum
# with little minibatch noise left. One $\lambda$ for all layers is not a condition: for any positive $\lambda_l$ the terms
# $\lambda_l\lVert W_l\rVert^2$ become equal. So if you want equal terms, you need not divide by the sizes.
#
# The argument does not ask how the minimum is reached. SGD and coupled Adam both come to rest only where $g+\lambda w=0$, which is where loss and penalty have no slope. So Adam's rescaling alone does not explain the right panel.
#
# ## 0.4 AdamW: shares by size
#
# Under AdamW each layer's share is near its share of the *weights*. Why? Its rescaling divides the gradient $g$ by its usual size, but leaves $\lambda w$ as it is. So AdamW does not come to rest where $g+\lambda w=0$, and the argument above does not apply.
# What then decides the size of the weights?
#
# 1. Let $q=g/\sqrt{v}$ be the gradient divided by Adam's running estimate of its size. Without momentum AdamW takes the step $w\leftarrow(1-\eta\lambda)w-\eta q$.
# 2. Square this and take the mean over a layer's weights. To leading order, one step changes $\overline{w^2}$ by
#
# $$-2\eta\lambda\,\overline{w^2} \;-\; 2\eta\,\overline{q\,w} \;+\; \eta^2\,\overline{q^2} .$$
#
# Decay takes the first term away, and two effects put it back. The second term is *drift*: gradients that push weights outwards step after step. The third is *jitter*: even pushes with random
# signs make squares grow. (Momentum spreads each push over several steps. That blurs the line between the two, so we shall read them as orders of magnitude.)
#
# 3. Suppose that gradients are pure noise, so there is no drift, and that $\overline{q^2}=1$. Without approximations, $\overline{w^2}=(1-\eta\lambda)^2\,\overline{w^2}+\eta^2$ in equilibrium, and the root mean square (RMS) is
#
# $$w_{\mathrm{rms}} = \sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}} \approx \sqrt{\frac{\eta}{2\lambda}} \tag{0.2}$$
#
# Does this hold for real networks? We trained with three pairs $(\eta,\lambda)$ with the same product, so that squares settle equally fast, in about $1/(2\eta\lambda)={{1 / (2 * 0.03 * 0.2):.0f}}$ steps. Between them (0.2)
# grows tenfold. As a control, the next cell replaces all gradients by random numbers.

# %%
def train_on_noise(lr, lam, steps=1000):
    torch.manual_seed(seeds(1)[0])
    w = nn.Parameter(torch.zeros(10000))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=lam)
    for _ in range(steps):
        w.grad = torch.randn(10000)
        optimizer.step()
    return (w.detach() ** 2).mean().item() ** 0.5


# %%
estimate = np.array([(lr / (2 * lam)) ** 0.5 for lr, lam in pairs.items()])
noise = np.array([train_on_noise(lr, lam) for lr, lam in pairs.items()])

# %%
half = {lr: mean[50:].mean(0) for lr, mean in adamw.items()}  # second half of the run
rms = np.array([half[lr][:, 0].mean(-1) ** 0.5 for lr in pairs])  # axes: pair, layer
jitter = np.array([(lr * half[lr][:, 1] / (2 * lam * half[lr][:, 0])).mean(-1)
                   for lr, lam in pairs.items()])
drift = np.array([(half[lr][:, 2] / (lam * half[lr][:, 0])).mean(-1) for lr, lam in pairs.items()])
q_rms = np.array([half[lr][:, 1].mean(-1) ** 0.5 for lr in pairs])

# %% tags=["hide-input"]
def draw_sizes(left, right):
    left.plot(estimate, estimate, "--", color=figures.GREY, lw=1.4, label="(0.2)")
    left.plot(estimate, noise, "s", color="black", ms=6, label="noise")
    for layer, (marker, height) in enumerate(zip("o^D", (0.066, 0.1, 0.15), strict=True)):
        look = {"color": f"C{layer}", "marker": marker, "lw": 1.2, "label": f"layer {layer + 1}"}
        left.plot(estimate, rms[:, layer], **look)
        right.plot(list(pairs), jitter[:, layer], **look)
        left.text(0.026, height, f"layer {layer + 1}", color=f"C{layer}", size=10)
    left.text(0.05, 0.032, "pure noise", color="black", size=10)
    for ax in (left, right):
        ax.set_xscale("log"), ax.minorticks_off()
    left.set(yscale="log", xlabel="√(η/2λ)", ylabel="RMS of the weights")
    left.minorticks_off()
    left.set_xticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
    left.set_yticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
    right.set(xlabel="learning rate η", ylabel="jitter / decay", ylim=(0, 1.7))
    right.set_xticks([0.003, 0.01, 0.03], ["0.003", "0.01", "0.03"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_sizes(left, right)
left.set_title("(0.2) holds for noise only")
right.set_title("Jitter fades as η falls")
lines, parts = figures.drawn(left), figures.drawn(right)
figures.show(fig, "Left: RMS of the weights of each layer against √(η/2λ), for three pairs of η "
             "and λ. With pure noise it follows the dashed line (0.2), "
             f"{lines['(0.2)'].y[2]:.3f} to {lines['(0.2)'].y[0]:.2f}. The layers of the "
             "network rise less, layer 1 from "
             f"{lines['layer 1'].y[2]:.3f} to {lines['layer 1'].y[0]:.2f}. Right: jitter as a part "
             "of what decay takes away; in layer 1 it is "
             f"{parts['layer 1'].at(0.003):.2f} for η = 0.003, {parts['layer 1'].at(0.01):.2f} for "
             f"0.01 and {parts['layer 1'].at(0.03):.2f} for 0.03.")

# %% tags=["hide-input"]
claim("00-noise", "With pure noise for gradients, the RMS of the weights is {} times √(η/2λ) "
      "(worst of three pairs)", measured=noise / estimate, equals=1, within=0.05)
claim("00-rms", "In the network, while √(η/2λ) grows tenfold, the RMS of a layer's weights grows "
      "at most {} times (means of five seeds)", measured=rms[0] / rms[2], below=5)
claim("00-drift", "At η = 0.003 jitter puts back at most {} of what decay takes from a layer, "
      "so drift decides", measured=jitter[2], below=0.25)
claim("00-jitter", "At η = 0.03 jitter puts back {} or more of what decay takes from a layer",
      measured=jitter[0], above=0.4)
claim("00-larger", "There jitter is the larger part: it exceeds drift by {} of what decay takes "
      "away (mean of three layers)", measured=(jitter[0] - drift[0]).mean(), above=0)
claim("00-share", "With each of the three pairs, the largest layer's share of the penalty differs "
      f"by at most {{}} from its share of the weights, {of_weights[0]:.2f} (means of five seeds)",
      measured=[abs(share_adamw[lr][50:, 0].mean() - of_weights[0]) for lr in pairs], below=0.15)

# %% [markdown]
# Figure 0.5 answers. The control follows (0.2), but the network does not: its weights grow far less than tenfold, and depending on the pair and the layer they have
# {{(rms / estimate[:, None]).min():.1f}} to {{(rms / estimate[:, None]).max():.1f}} times the size of the formula. The right panel says why. With $\eta=0.03$ jitter is the larger part, and the formula is right to within {{100 - 100 * (rms / estimate[:, None])[0].min():.0f}} %. With smaller $\eta$ drift takes over, because jitter has the factor $\eta^2$ and drift only $\eta$. (The measured parts
# add up to {{(jitter + drift).min():.1f}} to {{(jitter + drift).max():.1f}} times the decay, instead of 1, because of momentum.) So (0.2) is the value for pure noise. Where a real network agrees with it, as layer 1 nearly does at $\eta=0.01$, this may be a coincidence: there drift is already larger than jitter.
#
# The *shares* are less delicate than the sizes. Adam's rescaling brings the pushes on all weights to a similar size (here $q$ has an RMS between {{q_rms.min():.1f}} and {{q_rms.max():.1f}} in every layer and run), and decay acts on
# every weight alike. Neither knows how large the layer is. So weights become roughly as large in one layer as in another, and a layer's share is roughly its share of the weights. But only roughly: the last layer's
# weights are up to {{(rms[:, 2] / rms[:, 0]).max():.1f}} times as large as the first's.
# Its drift is larger. We have not found out why; exercise 3 tests one idea.
#
# ### In practice
#
# Give all weight matrices one $\lambda$, and do not divide by their size. Under SGD all layers of a plain ReLU network end with the same squared norm; under AdamW the weights of all layers end with
# roughly the same size. For AdamW, compute $1/(\eta\lambda)$ before you train: a run much shorter than so many steps hardly feels its decay. Do not compute the size of your weights from (0.2); measure it.
#
# ### Myths
#
# - *A large layer drowns the small ones.* Its term is larger, but what acts on a weight is the term's gradient, $\lambda w$, and that is the same rule for every weight.
# - *`weight_decay` means the same in every optimiser.* In Figure 0.3 the same argument of Adam makes the layers' terms equal, and that of AdamW does not.
#   [Chapter 3](03_one_lambda_many_meanings.ipynb) converts one into the other where that is possible.
# - *More regularisation is safer.* In Figure 0.1 too much decay is worse than none.
#
# ### Limits
#
# All of this was measured on small networks, and at a constant learning rate. Adam's average $v$ reaches back $1/(1-\beta_2)=1000$ steps, longer than our runs of AdamW, so it was still moving. And equal shares are no aim in themselves: nothing here says that they make predictions better.
#
# ## 0.5 A sentence that can fail
#
# The lines with a tick ✓ are *claims*. Each is a sentence with a measured number in it, and the brackets say where the number must lie. If it lies elsewhere, the cell
# raises an error, and so do the tests of the book. Try it with the popular belief:

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
# Claims that depend on random numbers use at least five seeds, and hold for seeds that nobody looked at while writing: set the environment variable
# `L2LIB_SEED=7` to run a chapter on a fresh set.
#
# ## 0.6 How to read, how to run
#
# To run a chapter, open it with `make lab` and choose *Run, Run All Cells*. Everything works offline, on two cores, and
# most chapters take about ten seconds. Then change a number and run again: a claim that fails tells you which sentence your change has made
# false. Cells that only draw or claim are folded, and a click opens them.
#
# You need derivatives, matrices and their eigenvalues, mean and variance, and some Python with NumPy and PyTorch. Everything else is introduced where it is first used.
# Begin with chapters 1 and 2. Chapter 5 uses some of 3, and chapter 6 some of 4 and 5. Chapters 7 to 10 belong together.
#
# The book began with four short texts, and checks {{len(__import__("l2lib").ledger.lines())}} statements from them:
# a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) on dividing the penalty by a layer's size (S0),
# [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) on L2 under normalisation (S1), a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) on a textbook's weight-decay chapter (S2),
# and a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) on L2 regularisation (S3). A claim with a small label such as S2-05 decides one of these statements. At the end of a chapter, a folded table gives the verdicts.
# A statement is true, false, true under conditions, or a convention, and a question is answered. Where nothing can be measured, the verdict is opinion or undecidable.
#
# ## 0.7 Notation
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
# | $m_t$, $v_t$ | Adam's running means of $g$ and of $g^2$ (the index $t$ tells $v_t$ from $v_i$) | |
# | $\gamma$, $\beta$ | scale and shift of a normalisation layer | `gamma0`, `beta0` |
# | $\varepsilon$ | small constant under a root or in a denominator | `eps` |
# | $c$ | a positive factor by which a layer, an input or a loss is scaled | |
# | $r$, $\theta$ | norm of a weight matrix, angle by which a step turns it | `norm`, `angle` |
# | $G$ | norm of the gradient where the weights have norm 1 (from chapter 8 on) | |
#
# Losses are means, not sums. The book's squared error is half the mean, with a factor ½ which `torch.nn.MSELoss` does not have. Biases are not penalised unless a chapter says so.
# Sections are cited as §0.3 and equations as (0.1). Random numbers have fixed seeds and nearly everything is computed with 64-bit numbers, so you will see the printed digits.
#
# ## 0.8 The map
#
# | part | chapter | what it settles |
# |---|---|---|
# | I Penalty | [1 What an L2 penalty does](01_what_an_l2_penalty_does.ipynb) | which directions shrink; bias and variance; how to choose λ, and what to compare a test error with |
# | | [2 From penalty to weight decay](02_from_penalty_to_weight_decay.ipynb) | the factor $1-\eta\lambda$, momentum, and when a step blows up |
# | | [3 One λ, many meanings](03_one_lambda_many_meanings.ipynb) | λ from one library into another; where Adam parts from weight decay |
# | | [4 Other penalties](04_other_penalties.ipynb) | L1 and sparsity; penalties on the factors of a product |
# | II Which weights | [5 Size normalisation](05_size_normalisation.ipynb) | does a big layer drown a small one, and does λ depend on the width? |
# | | [6 Bias exclusion](06_bias_exclusion.ipynb) | what penalising a bias does; which parameters of a real model decay |
# | III Normalisation | [7 Batch norm's scale invariance](07_scale_invariance.ipynb) | what the penalty can no longer do |
# | | [8 The effective learning rate](08_effective_learning_rate.ipynb) | what it does instead |
# | | [9 Adaptive optimisers](09_adaptive_optimisers.ipynb) | how much of that Adam removes |
# | | [10 Weights of norm one](10_weights_of_norm_one.ipynb) | doing without λ |
# | IV Practice | 11 Choosing λ | in preparation |
# | | 12 Questions readers ask | in preparation |
#
# ## 0.9 Exercises
#
# **1.** Set `weight_decay=0.0` in the run of SGD with `sweep`. What do you expect of the shares, and what do you see?
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, and have slowed down near 0.50, 0.26 and 0.24 at
# step 1500. Without decay, gradient descent with small steps nearly conserves the *differences*
# of the layers' squared norms (chapter 5). So these become less important as the norms grow, but they do not fade. The claim `00-balance`
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
# **3.** Predict, then run. An idea: the last layer's weights in §0.4 are the largest because it has the fewest. Set `widths = (64, 32, 512, 10)`. Now the first layer has the fewest weights. What does the idea predict
# for the three entries of `rms[1]`, and what do you find?
#
# <details>
# <summary>Solution</summary>
#
# The idea predicts that the first entry is the largest. But the three are 0.11, 0.11 and 0.12: the last layer has the largest weights again, so the idea is not the explanation.
# Its lead has become smaller, so the numbers of weights may play some part.
#
# </details>
#
# **4.** Read this log: three layers of a network print $\lVert W_l\rVert^2$ after every epoch, and the first layer's is by far the largest to the end. A colleague wants to give that layer a smaller $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# Which optimiser it is, and how many weights each layer has. With AdamW such a log says no more than that the first layer has the most weights. With SGD and a plain ReLU network it says that
# training is not near its end yet, or that there is much minibatch noise.
#
# </details>
#
# **5.** With pencil: PyTorch's AdamW has the defaults $\eta=0.001$ and $\lambda=0.01$. What RMS does (0.2) give for pure noise, and how many steps does it take to come near? Compare with the length of a run of yours.
#
# <details>
# <summary>Solution</summary>
#
# The RMS is {{(0.001 / (2 * 0.01)) ** 0.5:.2f}}, and $1/(\eta\lambda)$ is {{1 / (0.001 * 0.01):,.0f}} steps. That is the value for pure noise, so your weights may well be larger or smaller. But in a much shorter run the decay does little, whatever the noise.
#
# </details>
#
# **6.** On your own network: add up the squares of each weight matrix before and after training, divide by their sum, and compare with each matrix's share of the weights. Before you look, predict from the optimiser what you will see.
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
# **7.** Break a claim: change one number of the experiment in §0.1 so that `00-overfit` fails. Say first which number you change, and why it should work. Then put it back, and predict what `steps=15000` in `train_many` does to the two errors.
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
# **Sources.** [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html) show that a simple weight decay can improve
# generalisation. [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) decouple the decay and propose AdamW. Balance between layers without decay is due to
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900), and an equilibrium of AdamW to [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
