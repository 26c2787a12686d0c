# %% [markdown]
# # 0 Start here
#
# Every optimiser that trains a neural network has an argument called `weight_decay`. It changes one line of the
# training step, and it is one of the oldest ways to keep a network from learning the noise in its examples. Nearly everybody
# sets it, few can say what it does to *their* network, and much of what is commonly said about it is wrong.
# This book works out what is true, by derivation, by code and by experiment.
#
# By the end you will be able to
#
# - say what an L2 penalty is and what it is for, and write the training step that carries it out;
# - predict how much of the penalty each layer of a network will pay, under SGD and under AdamW;
# - read and run a chapter, and find the one that answers your question.
#
# *Reading time: half an hour. The code runs in about 10 seconds.*
#
# ## 0.1 What weight decay is for
#
# This section shows overfitting, and what a penalty does about it. Twenty examples lie on a smooth curve, but noise has shifted
# each of them up or down. We train a small network on them, with one input, {{below: width}} hidden tanh units and one output. It has
# far more weights than there are examples, and its first weights are drawn large, so it can learn the noise as well as the curve.
#
# The **L2 penalty** makes large weights expensive. We no longer minimise the loss $L$ alone, but
#
# $$L(w) + \frac{\lambda}{2}\lVert w\rVert^2, \qquad \lVert w\rVert^2 = \sum_i w_i^2 .$$
#
# The coefficient $\lambda\ge0$ sets the price. Why should that help? The curve of such a network can bend sharply only if some weights are large. When bending is expensive,
# the network still bends where many examples support it, but no longer for the sake of a single stray one.
#
# The following lines make the examples and the initial weights for five seeds. All five networks are trained at once, so the
# arrays have one axis more than you may expect. The function `train` is the whole training. Look at the line with the arrow.

# %%
import numpy as np
import torch
from torch import nn

from l2lib import figures
from l2lib.claims import ClaimError, claim, identities, seeds

torch.set_default_dtype(torch.float64)  # 64-bit numbers: you see the digits printed here
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

# %%
x, fine = torch.linspace(-1, 1, 20)[:, None], torch.linspace(-1, 1, 201)[:, None]
width = 100


def draw(seed):
    rng = np.random.default_rng(seed)
    y = np.sin(3 * x.numpy()) + 0.5 * rng.normal(size=(20, 1))
    w1, b1 = 10 * rng.normal(size=(1, width)), 10 * rng.uniform(-1, 1, (1, width))
    return y, w1, b1, rng.normal(size=(width, 1)) / width**0.5, np.zeros((1, 1))


y, *first = (torch.tensor(np.array(each)) for each in zip(*map(draw, seeds(5)), strict=True))


# %%
def train(lam, lr=0.02, steps=3000):
    w1, b1, w2, b2 = parameters = [p.clone().requires_grad_() for p in first]
    errors = []
    for step in range(steps + 1):
        if step % 20 == 0:  # how far is each curve from the true one?
            curves = (torch.tanh(fine @ w1 + b1) @ w2 + b2).detach()
            errors.append(((curves - torch.sin(3 * fine)) ** 2).mean((1, 2)))
        fit = torch.tanh(x @ w1 + b1) @ w2 + b2
        loss = ((fit - y) ** 2).mean((1, 2)).sum() / 2
        gradients = torch.autograd.grad(loss, parameters)
        for w, g, decay in zip(parameters, gradients, (lam, 0, lam, 0), strict=True):
            w.data = (1 - lr * decay) * w.data - lr * g  # <- the training step
    return torch.stack(errors).numpy(), curves[..., 0].numpy()


error, curve = {}, {}
for lam in (0, 0.02, 0.2):
    error[lam], curve[lam] = train(lam)

# %% tags=["hide-input"]
def draw_fits(left, right):
    left.plot(fine, torch.sin(3 * fine), "--", color=figures.GREY, lw=1.2, label="truth")
    left.plot(x, y[4], "o", color=figures.GREY, ms=4, label="examples")
    left.text(0.98, -1.95, "dashed: the truth", color=figures.GREY, ha="right")
    where = {0: (-0.47, -1.75, 0.145), 0.02: (-0.66, 0.5, 0.08), 0.2: (0.2, -0.42, 0.32)}
    for color, (lam, (across, up, height)) in zip(("C1", "C0", "C2"), where.items(), strict=True):
        left.plot(fine, curve[lam][4], color=color, label=f"λ = {lam}")
        right.plot(20 * np.arange(151), error[lam].mean(1), color=color, label=f"λ = {lam}")
        left.text(across, up, f"λ = {lam}", color=color, size=11)
        right.text(1500, height, f"λ = {lam}", color=color, size=11, va="center")
    left.set(xlabel="input", ylabel="output", ylim=(-2.1, 2.4), xticks=(-1, 0, 1))
    right.set(xlabel="training step", xlim=(0, 3000), xticks=(0, 1000, 2000, 3000))
    right.set(ylabel="error on the true curve", ylim=(0, 0.4), title="A little lowers the error")
    left.set_title("Decay smooths the fit")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.2, 3.5))
draw_fits(left, right)
means = figures.drawn(right)
end = {lam: means[f"λ = {lam}"].at(3000) for lam in error}
best, stop = means["λ = 0"].y.min(), means["λ = 0"].x[means["λ = 0"].y.argmin()]
right.plot(stop, best, "o", color="C1", ms=5, label="_stop")
right.text(330, 0.022, "or stop here", color="C1", size=11)
figures.show(fig, "Left: twenty noisy examples of a sine and three fits. Without decay the curve "
             "runs after single examples, with λ = 0.02 it lies near the truth, and with λ = 0.2 "
             "it is too flat. Right: mean squared distance from the truth over 3000 steps, mean of "
             f"five seeds. Without decay it falls to {best:.2f} at step {stop:.0f} and rises to "
             f"{end[0]:.2f}. With λ = 0.02 it ends at {end[0.02]:.2f}, and with λ = 0.2 at "
             f"{end[0.2]:.2f}.")

# %% [markdown]
# Figure 0.1 shows the outcome. Without decay ($\lambda=0$) the network first learns the curve. Then it goes on to learn the noise, and its
# error on the true curve, which only a simulation knows, grows again. This is **overfitting**. With $\lambda=0.02$, the best of a handful of values that we tried, the error stays low. With $\lambda=0.2$
# the network can no longer follow the curve, which is called underfitting.

# %% tags=["hide-input"]
claim("00-overfit", "With λ = 0.02 training ends at {} of the error that it ends with "
      "without decay (means of five seeds)", measured=end[0.02] / end[0], below=0.7)
claim("00-much", "Without decay it ends at {} of the error that λ = 0.2 gives, so too much decay "
      "is worse than none", measured=end[0] / end[0.2], below=1)
claim("00-rival", "Decay ends at {} times the error that the same networks have without decay "
      "at their best step", measured=end[0.02] / best, between=(0.4, 1.6))

# %% [markdown]
# The last of these lines deserves attention, because it names a rival. *Early stopping* trains without decay and stops in time. Here it does about as well as
# decay, and it costs nothing. Both need somebody who knows the right step or the right $\lambda$; in practice that is a validation set.
# So weight decay is one tool of several against overfitting, and [chapter 1](01_what_an_l2_penalty_does.ipynb) compares them. In large networks it has
# a second purpose, which has little to do with overfitting: it keeps
# the size of the weights, and with it the effective learning rate, under control ([chapter 8](08_effective_learning_rate.ipynb)).
#
# ## 0.2 Where λ enters the training step
#
# This section derives the marked line, because all later chapters start from it. Let $g$ be the gradient of the loss and $\eta$ the learning rate.
#
# 1. Each weight adds $\frac\lambda2w^2$ to what is minimised. The derivative of this term is $\lambda w$.
# 2. Gradient descent subtracts $\eta$ times the whole derivative: $w\leftarrow w-\eta(g+\lambda w)$.
# 3. Collect the two terms that contain $w$:
#
# $$w \;\leftarrow\; (1-\eta\lambda)\,w - \eta\,g \tag{0.1}$$
#
# Each step first shrinks all weights by the same factor, and then moves them downhill. Hence the name *weight decay*.
# For plain gradient descent, penalty and decay are two names of one thing. Other optimisers rescale the gradient
# before they take a step, and then it matters at which of the two doors in Figure 0.2 the decay comes in.

# %% tags=["hide-input"]
def draw_boxes(ax):
    ax.set(xlim=(0, 10), ylim=(0, 4.6), xticks=[], yticks=[], ylabel=" ")
    ax.set(xlabel="one training step, from left to right; then the next batch")
    ax.set_title("Decay can enter a training step at two doors")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    frame = {"boxstyle": "round,pad=0.45", "fc": "white", "ec": figures.GREY}
    boxes = {"batch": 0.9, "gradient\n$g$": 3, "optimiser\nSGD, Adam, …": 6, "new\nweights": 9.1}
    for words, place in boxes.items():
        ax.text(place, 2.3, words, ha="center", va="center", size=11, bbox=frame, color="black")
    for tail, tip in ((1.55, 2.15), (3.85, 4.65), (7.4, 8.4)):
        ax.annotate("", (tip, 2.3), (tail, 2.3), arrowprops={"arrowstyle": "->", "lw": 1.5})


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.2, 2.8))
draw_boxes(ax)
doors = (("C0", 4.25, 4.0, "+ λ w", 2.4, 3.65), ("C1", 7.9, 0.6, "× (1 − η λ)", 2.2, 1.1))
for color, place, height, term, tip, tail in doors:
    arrow = {"arrowstyle": "->", "color": color, "lw": 2}
    ax.annotate("", (place, tip), (place, tail), arrowprops=arrow)
    ax.text(place, height, term, ha="center", va="center", color=color, size=13, weight="bold")
words = "coupled: part of the gradient\nSGD, Adam", "decoupled: on the weights themselves\nAdamW"
ax.text(5.3, 4.0, words[0], color="C0", size=10.5, va="center")
ax.text(6.7, 0.6, words[1], color="C1", size=10.5, va="center", ha="right")
figures.show(fig, "Boxes from left to right: batch, gradient g, optimiser, new weights. Decay "
             "enters between gradient and optimiser, as + λ w, and is called coupled (SGD, Adam); "
             "or after the optimiser, as a factor 1 − ηλ on the weights, called decoupled (AdamW).")

# %% [markdown]
# Does PyTorch agree? We take one step with each optimiser, from the same random weights and gradient. SGD should take the step (0.1).
# AdamW should multiply by the same factor, and then add the move that Adam makes without decay.

# %%
def library_step(optimizer, w, g, **options):
    p = nn.Parameter(w.clone())
    p.grad = g.clone()
    optimizer([p], **options).step()
    return p.detach()


rng = np.random.default_rng(seeds(1)[0])
w, g = torch.tensor(rng.normal(size=(2, 1000)))
lr, lam = 0.1, 0.3
by_hand = (1 - lr * lam) * w - lr * g
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
claim("00-doors", "One step of Adam with the penalty in its gradient and one step of AdamW differ "
      "by up to {} times the learning rate",
      measured=abs(adam_step - adamw_step).max() / lr, above=1)

# %% [markdown]
# ## 0.3 A surprise: who pays the penalty?
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
for _ in range(1500):
    batch = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
paid = np.array([(w.detach() ** 2).sum() for w in weights])
print((paid / paid.sum()).round(2))

# %% [markdown]
# The three shares are nearly equal. Was that luck? One run cannot tell. So the helper `sweep` repeats such a loop for five seeds
# at once, and records the norms of the weights on the way. We use it with SGD and then with AdamW.

# %%
from l2lib.sweep import MLP, sweep

model = MLP((64, 256, 32, 10))
options = {"loss": "cross_entropy", "seeds": seeds(5), "batch_size": 64, "record_every": 50}
sgd = sweep(model, pixels, digits.y, lr=0.5, weight_decay=0.003, steps=1500, **options)
squares = sgd.norm**2
share = squares / squares.sum("layer")

# %%
adamw = sweep(model, pixels, digits.y, optimizer="adamw", lr=0.01, weight_decay=0.3,
              steps=1000, **options)
sizes = [adamw[f"weight{layer}"][0].size for layer in range(3)]
squares_adamw = adamw.norm**2
share_adamw = squares_adamw / squares_adamw.sum("layer")
of_weights = np.array(sizes) / sum(sizes)

# %% tags=["hide-input"]
def draw_shares(left, right):
    places = ((250, 0.76), (280, 0.14), (70, 0.015)), ((990, 0.8), (990, 0.45), (990, 0.08))
    for layer, size in enumerate(("256 × 64", "32 × 256", "10 × 32")):
        look = {"color": f"C{layer}", "lw": 1.4, "alpha": 0.5, "label": size}
        left.plot(share.step, share[:, layer].T, **look)
        right.plot(share_adamw.step, share_adamw[:, layer].T, **look)
        right.axhline(of_weights[layer], color=f"C{layer}", ls="--", lw=1.2, label=f"_size {size}")
        words = {"s": f"{sizes[layer]:,} weights", "color": f"C{layer}", "size": 10.5}
        left.text(*places[0][layer], **words)
        right.text(*places[1][layer], ha="right", **words)
    left.axhline(1 / 3, color=figures.GREY, ls="--", lw=1.2, label="_third")
    left.set(xlabel="training step", xlim=(0, 1500), xticks=(0, 500, 1000, 1500), ylim=(0, 1))
    left.set(ylabel="share of the penalty", title="SGD: equal shares")
    left.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
    right.set(xlabel="training step", xlim=(0, 1000), xticks=(0, 500, 1000))
    right.set(ylabel="share of the penalty", title="AdamW: shares by size")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.2, 3.5))
draw_shares(left, right)
curves, right_curves = figures.drawn(left), figures.drawn(right)
layers = {size: curves[size] for size in ("256 × 64", "32 × 256", "10 × 32")}
first_shares = [each.at(0).mean() for each in layers.values()]
far = max(abs(each.y[each.x >= 1000] - 1 / 3).max() for each in layers.values())
last_shares = [right_curves[size].y[:, right_curves[size].x[0] >= 500].mean() for size in layers]
dashed = np.array([right_curves[f"_size {size}"].y[0] for size in layers])
words = [", ".join(f"{one:.2f}" for one in some) for some in (first_shares, last_shares, dashed)]
figures.show(fig, "Share of the penalty that each of three layers pays during training, for five "
             f"seeds. All start at {words[0]}. Left: under SGD all run to "
             f"{curves['_third'].y[0]:.2f}, and from step 1000 on lie within {far:.2f} of it. "
             f"Right: under AdamW they are {words[1]} in the second half, on average; dashed lines "
             f"mark the shares of the weights, {words[2]}.")

# %% [markdown]
# Figure 0.3 shows both runs. Under SGD the layers start far apart, and although their sizes differ by a
# factor of {{sizes[0] / sizes[-1]:.0f}}, each ends up paying one of three equal parts. (Each panel shows five runs. Under SGD they coincide.) At the start the first layer has
# {{100 * float(share[:, 0, 0].mean()):.0f}} % of the penalty, because usual initial weights give a layer a share in proportion to its number of outputs.

# %% tags=["hide-input"]
at_start, at_end = share[..., 0], share[..., -1]
claim("00-balance", "After training with SGD the layer that pays most pays {} times as much as the "
      "one that pays least (worst of five seeds)",
      measured=at_end.max("layer") / at_end.min("layer"), below=1.1)
claim("00-start", "Before training it pays {} times as much (least of five seeds)",
      measured=at_start.max("layer") / at_start.min("layer"), between=(15, 40))
claim("00-plain", "In the one network trained with PyTorch alone this ratio is {} after training",
      measured=paid.max() / paid.min(), below=1.1)

# %% tags=["hide-input"]
late_curves = np.array([each.y[:, each.x[0] >= 1000] for each in layers.values()])
claim("00-line", "From step 1000 on each layer lies within {} of the dashed line in all five runs",
      measured=abs(late_curves - curves["_third"].y[0]), below=0.03)
claim("00-seeds", "At no step do two of the five runs differ by more than {} in a layer's share",
      measured=[np.ptp(each.y, axis=0).max() for each in layers.values()], below=0.05)

# %% tags=["hide-input"]
outputs, inputs = np.array([size.split(" × ") for size in layers], dtype=int).T
claim("00-outputs", "A layer's share at the start is its number of outputs divided by all outputs, "
      "to within {}", measured=abs(np.array(first_shares) - outputs / outputs.sum()), below=0.02)
claim("00-dashed", "The dashed lines of the right panel are the layers' shares of the weights",
      measured=dashed - outputs * inputs / (outputs * inputs).sum(), equals=0, within=1e-12)
identities()

# %% [markdown]
# Why does SGD do this? The idea takes three steps.
#
# 1. Multiply a layer's weights and biases by some $c>0$, and divide the next layer's weights by $c$. ReLU passes the factor $c$ on, so the network computes
#    the same function as before.
# 2. The loss depends on the function only, so it does not change. But the penalty does: the two layers' squared norms $A$ and $B$ become $c^2A$ and $B/c^2$.
# 3. The product of these two numbers is $AB$ for every $c$, and two numbers with a given product have the smallest sum when they are equal. So at a minimum they are equal.
#
# [Chapter 5](05_size_normalisation.ipynb) turns this into a theorem. Its conditions are ReLU between the layers, biases without penalty, and a training that has come near its end
# with little minibatch noise left. One $\lambda$ for all layers is not a condition: for any positive $\lambda_l$ the terms
# $\lambda_l\lVert W_l\rVert^2$ become equal. So if you want equal terms, you need not divide by the sizes.
#
# ## 0.4 AdamW shares by size
#
# Under AdamW the right panel shows another outcome: each layer's share is about its share of the *weights*. AdamW trains most large networks today, so this section
# explains why. AdamW does not descend the penalised loss, since its decay comes in at the other door, and so the argument above does not apply. What counts instead is how far noise can push a weight.
#
# 1. Adam divides each weight's gradient by the gradient's usual size. So a step moves the weight by $\eta q$, where $q$ is about 1 in size. Suppose that $q$ is mostly minibatch noise, with a random
#    sign: $w\leftarrow(1-\eta\lambda)w-\eta q$. (Momentum spreads each push over several steps and leaves its sum as it was.)
# 2. Square this and take the mean. The mixed term drops out because signs are random, and $\overline{w^2}\leftarrow(1-\eta\lambda)^2\,\overline{w^2}+\eta^2$. In each step noise adds $\eta^2$, and
#    decay takes away about $2\eta\lambda\,\overline{w^2}$.
# 3. The two cancel when the root mean square (RMS) of the weights is
#
# $$w_{\mathrm{rms}} = \sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}} \approx \sqrt{\frac{\eta}{2\lambda}} \tag{0.2}$$
#
# Neither the layer nor its size occurs in (0.2). Each *weight* becomes about as large as any other, and so a layer's share of the sum of squares is its share of the
# weights. Figure 0.4 compares this estimate with the three layers.

# %%
rms = np.sqrt(squares_adamw / np.array(sizes)[:, None])
estimate = (0.01 / (2 * 0.3)) ** 0.5
settled = rms.sel(step=slice(500, None)).mean("step")
push = -(adamw.cosine * adamw.gradient_norm * adamw.norm).sel(step=slice(500, None))
push = push.mean(("step", "seed"))

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.2, 3.1))
for layer, height in enumerate((0.098, 0.138, 0.185)):
    look = {"color": f"C{layer}", "lw": 1.4, "alpha": 0.5, "label": f"layer {layer + 1}"}
    ax.plot(rms.step, rms[:, layer].T, **look)
    words = f"{sizes[layer]:,}\nweights"
    ax.text(1012, height, words, color=f"C{layer}", size=10.5, va="center")
ax.axhline(estimate, color=figures.GREY, ls="--", lw=1.4, label="_estimate")
ax.text(270, 0.147, "√(η/2λ)", color=figures.GREY, size=12)
ax.set(xlabel="training step", ylabel="RMS of a layer's weights", xlim=(0, 1000), ylim=(0, 0.22))
ax.set_title("AdamW gives all weights about the same size")
lines = figures.drawn(ax)
at_last = [lines[f"layer {layer + 1}"].at(1000).mean() for layer in range(3)]
figures.show(fig, "Root mean square of each layer's weights over 1000 steps of AdamW, for five "
             f"seeds. The two large layers end at {at_last[0]:.3f} and {at_last[1]:.3f}, near the "
             f"estimate {lines['_estimate'].y[0]:.3f}; the last one ends at {at_last[2]:.3f}.")

# %% tags=["hide-input"]
middle = share_adamw.sel(step=slice(500, None)).mean(("step", "seed"))
claim("00-share", "Under AdamW the largest layer has a share of {} of the penalty (mean of five "
      f"seeds, second half of the run), and {of_weights[0]:.3f} of the weights",
      measured=middle[0], equals=of_weights[0], within=0.05)

# %% tags=["hide-input"]
claim("00-rms", "The RMS of the two large layers is {} times √(η/2λ) at the furthest (mean of "
      "five seeds)", measured=settled[:, :2].mean("seed") / estimate, equals=1, within=0.25)
claim("00-small", "The RMS of the small last layer is {} times √(η/2λ) (mean of five seeds)",
      measured=settled[:, 2].mean("seed") / estimate, above=1.25)
claim("00-outwards", "The loss pushes each layer outwards: −⟨∇L, W⟩ is {} or more",
      measured=push, above=0)
claim("00-push", "The loss pushes no layer outwards more than {} times as hard as another",
      measured=push.max() / push.min(), below=3)

# %% [markdown]
# The estimate is good to {{100 * abs(float((settled[:, :2].mean("seed") / estimate).max()) - 1):.0f}} % for the two large layers, in spite of a bump after step 550, where the training loss has a spike. But the small last layer lies above it. Its gradient is
# not only noise. Larger outputs would lower the loss, so the loss also pushes the weights steadily outwards. By the scaling argument of §0.3
# the total push $-\langle\nabla L, W_l\rangle$ is about the same for each layer. In the last layer only {{sizes[-1]}} weights share it, so it is no longer small compared with
# the noise. Exercise 3 tests this explanation.
#
# ### In practice
#
# Give all weight matrices one $\lambda$, and do not divide by their size. Under SGD the layers of a plain ReLU network come out equal,
# and under AdamW the weights do. In neither case does a large layer weaken the decay of a small one: by (0.1) each weight
# shrinks by the factor $1-\eta\lambda$, whatever else is in the network. For AdamW, compute two numbers before you train: the size $\sqrt{\eta/2\lambda}$ towards which your weights go, and the
# $1/(\eta\lambda)$ steps that this takes.
#
# ### Myths
#
# - *A large layer drowns the small ones.* Its term is larger, but what acts on a weight is the term's gradient, $\lambda w$, and that is the same rule for every weight.
# - *`weight_decay` means the same in every optimiser.* Figure 0.3 shows two optimisers with two outcomes.
#   [Chapter 3](03_one_lambda_many_meanings.ipynb) converts one into the other where that is possible.
# - *More regularisation is safer.* In Figure 0.1 too much decay is worse than none.
#
# ### Limits
#
# All of this was measured on two small networks. The estimate (0.2) needs noisy gradients and more than $1/(\eta\lambda)$ steps, which here are
# {{1 / (0.01 * 0.3):.0f}}; many runs in practice are shorter (exercise 5).
#
# ## 0.5 A sentence that can fail
#
# The lines with a tick ✓ are *claims*. Each is a sentence with a measured number in it, and the brackets say where the number must lie. If it lies elsewhere, the cell
# raises an error, and so do the tests of the book. Try it with the popular belief:

# %%
biggest = share.isel(layer=0, step=-1)
try:
    claim("00-belief", "The largest layer pays {} of the penalty, more than half of it",
          measured=biggest, above=0.5)
except ClaimError as message:
    print(message)

# %% [markdown]
# And here is what holds:

# %%
claim("00-third", "After training with SGD the largest layer pays {} of the penalty, near 1/3, "
      "in all five runs", measured=biggest, equals=1 / 3, within=0.03)

# %% [markdown]
# Claims about chance use at least five seeds, and hold for seeds that nobody looked at while writing: set the environment variable
# `L2LIB_SEED=7` to run a chapter on a fresh set. To make sure that claims notice mistakes, the project plants more than a thousand errors, such as a forgotten ½,
# one at a time, and checks that a claim or a test fails.
#
# ## 0.6 How to read, how to run
#
# To run a chapter, open it with `make lab` and choose *Run, Run All Cells*. Everything works offline, on two cores, and
# most chapters take about ten seconds. Then change a number and run again: a claim that fails tells you which sentence your change has made
# false. Claims and pictures follow your change; the numbers in other sentences are those of the book's own run. Cells that only draw or claim are
# folded, and a click opens them.
#
# You need derivatives, matrices and their eigenvalues, mean and variance, and some Python with NumPy and PyTorch. Everything else is introduced where it is first used.
# Begin with chapters 1 and 2. Chapters 3 and 4 can follow in either order. Chapter 5 uses some of chapter 3, and chapter 6 some of 4 and 5.
# Chapters 7 to 10 belong together.
#
# The book began with four short texts. It checks {{len(__import__("l2lib").ledger.lines())}} statements from them, some of which are wrong:
#
# - S0: a [question and its answer](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer) on dividing the penalty by a layer's size.
# - S1: [van Laarhoven's paper (2017)](https://arxiv.org/abs/1706.05350) on L2 under normalisation.
# - S2: a [forum thread](https://discuss.d2l.ai/t/weight-decay/99) on a textbook's weight-decay chapter.
# - S3: a beginner's [lesson](https://deeplizard.com/learn/video/iuJgyiS7BKM) on L2 regularisation.
#
# A claim with a small label such as S2-05 decides one of these statements. At the end of a chapter, a folded table gives the verdicts.
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
# Losses are means, not sums. Half the mean squared error has the factor ½, which `torch.nn.MSELoss` has not. Biases are not penalised unless a chapter says so.
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
# **3.** Predict, then run. §0.4 says that the last layer lies above $\sqrt{\eta/2\lambda}$ because it has few weights. Change the widths to `(64, 32, 512, 10)`, where it has {{512 * 10:,}}.
# What do you expect of the last entry of `settled.mean("seed") / estimate`?
#
# <details>
# <summary>Solution</summary>
#
# If the explanation is right, the last layer must come down to the others, and it does: the three entries are 0.97, 0.98 and 1.07.
#
# </details>
#
# **4.** Read this log: three layers of a network print $\lVert W_l\rVert^2$ after every epoch, and the first layer's is by far the largest to the end. A colleague wants to give that layer a smaller $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# Which optimiser it is, and how many weights each layer has. With AdamW such a log says no more than that the first layer has the most weights. With SGD and a plain ReLU network it says that
# training is not near its end yet, or that there is much minibatch noise. In neither case do the other layers decay less because of the first.
#
# </details>
#
# **5.** With pencil: PyTorch's AdamW has the defaults $\eta=0.001$ and $\lambda=0.01$. What RMS does (0.2) give, and how many steps does it take to come near? Compare with the length of a run of yours.
#
# <details>
# <summary>Solution</summary>
#
# The RMS is {{(0.001 / (2 * 0.01)) ** 0.5:.2f}}, and $1/(\eta\lambda)$ is {{1 / (0.001 * 0.01):,.0f}} steps. In a shorter run the weights never get there, and the decay does little.
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
# Under AdamW with a long run you will see shares by size. Under SGD you see equal shares where ReLU connects two layers, and nothing of the kind around normalisation layers:
# chapters 5 and 7 say why.
#
# </details>
#
# **7.** Break a claim: change one number of the experiment in section 0.1 so that `00-overfit` fails. Say first which number you change, and why it should work.
#
# <details>
# <summary>Solution</summary>
#
# Take the noise away: put `0.0` in the place of `0.5` in `draw`. Where there is no noise to learn, decay can only do harm: its error is then 17 times that without.
#
# </details>
#
# **Next:** [Chapter 1](01_what_an_l2_penalty_does.ipynb) starts with the simplest model that has a penalty.
#
# **Sources.** [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html) show that a simple weight decay can improve
# generalisation. [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) separate the two doors and propose AdamW. Balance between layers without decay is due to
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900), and an equilibrium of AdamW to [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
