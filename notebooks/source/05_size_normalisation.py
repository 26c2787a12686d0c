# %% [markdown]
# # 5 Size normalisation
#
# The L2 penalty is a sum over weights, so a layer with many weights contributes more to it. Does that drown the small
# layers? Should each layer's penalty be divided by the layer's size? That was the question with which this book began.
# Afterwards you can say where the balance between layers comes from, what a scaling by size does to training and to
# the function that is learnt, and which rule to use when a network grows.
#
# *Reading time 25 minutes; the code runs in about 12 seconds.*

# %%
from functools import partial

import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.penalty import l2_penalty, ridge, size_factor
from l2lib.splits import split
from l2lib.sweep import MLP, predict, sweep

# %% [markdown]
# ## 5.1 The question, as it was asked
#
# A network has two layers: 400 inputs, 300 hidden units, 10 outputs. Its penalty is $\lambda\big(\sum W_1^2 + \sum
# W_2^2\big)$. The first term, the question says, "is much bigger" and makes the second "useless". So divide each sum
# by its number of weights, $n_{\rm in}n_{\rm out}$. The one who answers doubts that this would do it and proposes
# another factor, $(n_{\rm in}+n_{\rm out})/(n_{\rm in}n_{\rm out})$, so that layers end up with equal values. We call
# the three penalties *sum*, *mean* and *fans* (a layer's fan-in and fan-out are $n_{\rm in}$ and $n_{\rm out}$).
#
# The first observation is right, when training begins:

# %%
rng = claims.rng()
W1, W2 = rng.standard_normal((300, 400)), rng.standard_normal((10, 300))
first_share = (W1**2).sum() / ((W1**2).sum() + (W2**2).sum())
claim("S0-04", "weights drawn from N(0, 1): the first layer pays {} of the penalty, as a share",
      measured=first_share, equals=W1.size / (W1.size + W2.size), within=0.003)
claim("S0-04", "… the same share by `l2_penalty`", equals=1, within=1e-12, measured=first_share
      * l2_penalty([*map(torch.tensor, (W1, W2))], 1) / l2_penalty([torch.tensor(W1)], 1))

# %% [markdown]
# (The question's pseudo-code has two slips. `w1 * x` with a $400\times300$ matrix multiplies in the wrong
# order: a batch of inputs stands left, $XW_1$. And a ReLU after the last layer forbids negative outputs.)

# %%
w1, x = W1.T, rng.standard_normal(400)  # w1 is 400 × 300, as in the question
try:
    hidden = w1 @ x
except ValueError:
    hidden = x @ w1

# %%
claim("S0-08", "w1·x is no product, x·w1 is one: it has {} numbers, one for each hidden unit",
      measured=len(hidden), equals=300)
claim("S0-08", "smallest of ten outputs that end in a ReLU",
      measured=np.maximum(W2 @ np.maximum(hidden, 0), 0).min(), equals=0, within=1e-12)

# %% [markdown]
# Now train. The digits, three layers ($128\times64$, $16\times128$, $10\times16$), five seeds, and three penalties
# $\frac12\sum_l\lambda_l\lVert W_l\rVert^2$ with $\lambda_l$ equal, divided by size, or with the factor of the answer.
# Biases are free. For a fair comparison the three $\lambda_l$ have the same geometric mean in each penalty; section 5.5
# tells why. With minibatches the weights never rest, so the learning rate falls to zero over the second half.

# %%
digits = load("digits")
pixels = digits.scaled(16, centre=True)
widths = (64, 128, 16, 10)
fan_in, fan_out = np.array(widths[:-1]), np.array(widths[1:])
factors = {"sum": np.ones(3), "mean": 1 / (fan_in * fan_out),
           "fans": (fan_in + fan_out) / (fan_in * fan_out)}
factors = {name: f / np.prod(f) ** (1 / 3) for name, f in factors.items()}
claim("05-fair", "three layers' factors on λ: their geometric mean in each penalty", equals=1,
      measured=[np.exp(np.log(f).mean()) for f in factors.values()], within=1e-12)
claim("05-fair", "… and their ratios are those of `size_factor`", equals=0, within=1e-12,
      measured=[np.diff(np.log([f[i] / size_factor((fan_out[i], fan_in[i]), name)
                                for i in range(3)])) for name, f in factors.items()])

# %%
options = {"loss": "cross_entropy", "lr": 0.2, "momentum": 0.9, "batch_size": 32, "steps": 1000,
           "schedule": lambda t: min(1, 2 * (1 - t / 1000)), "record_every": 50}

# %%
norms = {}
for name, f in factors.items():
    run = sweep(MLP(widths), pixels, digits.y, weight_decay=0.01, seeds=seeds(5),
                decay_factors={f"weight{i}": f[i] for i in range(3)}, evaluate_every=1000,
                **options)
    norms[name] = run.norm.values ** 2  # seed, layer, step
at = run.step.values
share = {name: f[:, None] * norms[name] / (f[:, None] * norms[name]).sum(1, keepdims=True)
         for name, f in factors.items()}

# %%
fig, axes = figures.subplots(1, 3, figsize=(8.6, 3.5), sharey=True)
for ax, (name, parts) in zip(axes, share.items(), strict=True):
    for layer, size in enumerate(("128 × 64", "16 × 128", "10 × 16")):
        lines = ax.plot(at, parts[:, layer].T, color=f"C{layer}", lw=1, alpha=0.5,
                        label=f"_{size}")
        if name == "sum":
            ax.text(980, (0.9, 0.75, 0.6)[layer], size, color=lines[0].get_color(), ha="right")
    ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1, label="_one third")
    ax.set(xlabel="training step", xticks=(0, 500, 1000), ylim=(0, 1))
    ax.set(ylabel=f"share of the {name} penalty")
    ax.set_title(name, weight="normal")
figures.title(fig, "Three ways to count, and each ends in equal shares")
axes[0].set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
curves = {ax.get_title(loc="left"): figures.drawn(ax) for ax in axes}
first = {name: ", ".join(f"{layer.at(0).mean():.2f}" for layer in [*curve.values()][:3])
         for name, curve in curves.items()}
ends = [abs(mark.y[..., -1] - 1 / 3).max() for curve in curves.values() for mark in curve.values()]
figures.show(fig, f"Three layers' shares start at {first['sum']} of the sum, {first['mean']} of "
             f"the mean, {first['fans']} of fans. All end within {max(ends):.2f} of 1/3.",
             number="5.1", caption="One line for each of five seeds, one colour for each layer.")

# %%
drawn_at = MLP(widths).initial(seeds(1)[0])
for name, f in factors.items():
    curve = curves[name]
    pays = [f[i] * np.linalg.norm(drawn_at[f"weight{i}"]) ** 2 for i in range(3)]
    starts = [curve[f"_{fan_out[i]} × {fan_in[i]}"].at(0)[0] for i in range(3)]
    claim("05-start", f"{name}: first seed's curves start at the shares of its initial weights",
          measured=np.array(starts) - pays / np.sum(pays), equals=0, within=1e-9)
    claim("05-third", f"{name}: the dashed line lies at 1/3",
          measured=curve["_one third"].y * 3, equals=1, within=1e-12)

# %%
# PyTorch's initial weights have variance 1/(3·n_in), so that a layer pays in proportion to n_out.
claim("05-start", "the sum: the first layer's share at the start is {}",
      measured=curves["sum"]["_128 × 64"].at(0), equals=128 / (128 + 16 + 10), within=0.02)
claim("05-shares", "the three shares add up to 1, at every step", equals=1, within=1e-12,
      measured=[parts.sum(1) for parts in share.values()])

# %%
ratio = {name: parts[..., -1].max(1) / parts[..., -1].min(1) for name, parts in share.items()}
claim("S0-04", "sum, after training: largest term {} times the smallest, worst of five seeds",
      measured=ratio["sum"], below=1.10)
claim("S0-16", "divided by size, the largest term is {} times the smallest, worst of five",
      measured=ratio["mean"], below=1.2)
claim("S0-15", "the same ratio, worst of the three penalties",
      measured=[*ratio.values()], below=1.2)

# %% [markdown]
# At the start the sum is nearly all first layer, the mean mostly last layer. Within a few hundred steps the curves crowd
# around 1/3. There they stay a little apart while the learning rate is constant, and meet as it falls.
#
# Three different penalties, and each ends up shared equally, *in its own count*. Dividing by the size would not do it,
# said the answer, and it does; the factor of the answer does it too; and so does no factor at all. Equal shares cannot
# be what size normalisation is for. Two things need explaining: why nothing is drowned, and why shares become equal.
#
# ## 5.2 Why nothing is drowned
#
# The penalty is a sum, and a sum is differentiated term by term. For the question's $\lambda\sum w^2$,
#
# $$\frac{\partial}{\partial w}\,\lambda\Big(\sum W_1^2+\sum W_2^2\Big) = 2\lambda w
# \quad\text{for every weight, in either layer.} \tag{5.1}$$
#
# How large the *other* terms are does not enter. Each weight shrinks by the same share $2\eta\lambda$ a step
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).


# %%
def share_per_step(penalty):
    layers = [torch.tensor(W, requires_grad=True) for W in (W1, W2)]
    gradients = torch.autograd.grad(penalty(layers), layers)
    return [(g / W).detach() for g, W in zip(gradients, layers, strict=True)]


# %%
one, two = share_per_step(lambda layers: 0.01 * sum(W.square().sum() for W in layers))
for name, rate in (("large", one), ("small", two)):
    claim("S0-05", f"{name} layer: each weight shrinks at the rate 2λ (largest deviation)",
          measured=(rate - 0.02).abs(), below=1e-12)

# %% [markdown]
# Dividing by size changes exactly this. `l2_penalty` of the book's helper has the scalings, with the book's factor ½, so
# that the same rate 0.02 is now `weight_decay=0.02`:

# %%
rates = {name: share_per_step(partial(l2_penalty, weight_decay=0.02, scaling=name))
         for name in ("sum", "mean", "fans")}
faster = {name: (two.mean() / one.mean()).item() for name, (one, two) in rates.items()}
for name, (one, two) in rates.items():
    print(f"{name}: large layer {one.mean():.1e}, small {two.mean():.1e}, ratio {faster[name]:.1f}")

# %%
for name, (one, two) in rates.items():
    both = (one / size_factor((300, 400), name), two / size_factor((10, 300), name))
    claim("05-rate", f"{name}: rate of each weight over 0.02 times its layer's factor",
          measured=[*both[0].ravel() / 0.02, *both[1].ravel() / 0.02], equals=1, within=1e-9)
claim("S0-07", "under the mean, the small layer's shrink rate over the large one's",
      measured=faster["mean"], equals=300 * 400 / (10 * 300), within=1e-9)
claim("05-fans-rate", "under fans, (1/300 + 1/10)/(1/400 + 1/300) times as large",
      measured=faster["fans"], equals=(1 / 300 + 1 / 10) / (1 / 400 + 1 / 300), within=1e-9)

# %% [markdown]
# Under the mean the small layer shrinks {{faster["mean"]:.0f}} times as fast as the large one, by the ratio of their sizes, and under fans
# {{faster["fans"]:.1f}} times. If anything is drowned, it is drowned now. And a mean is no new penalty: it is a sum in which layer
# $l$, of $n_l$ weights, has its own $\lambda_l=\lambda/n_l$. We train a small network both ways, by hand with the mean
# and in a sweep with the sum.

# %%
images, labels = torch.tensor(pixels[:200]), torch.tensor(digits.y[:200])
start = MLP((64, 16, 10)).initial(seeds(1)[0])
V1, b1, V2, b2 = (torch.tensor(array, requires_grad=True) for array in start.values())
for _ in range(50):
    scores = V2 @ (V1 @ images.T + b1).relu() + b2
    loss = torch.nn.functional.cross_entropy(scores.T, labels)
    loss = loss + l2_penalty([V1, V2], 10, scaling="mean")
    for w, g in zip((V1, b1, V2, b2), torch.autograd.grad(loss, (V1, b1, V2, b2)), strict=True):
        w.data -= 0.2 * g

# %%
own = sweep(MLP((64, 16, 10)), pixels[:200], digits.y[:200], loss="cross_entropy", seeds=seeds(1),
            lr=0.2, steps=50, weight_decay=10,
            decay_factors={"weight0": 1 / 1024, "weight1": 1 / 160})
pairs = {"weight0": V1, "bias0": b1, "weight1": V2, "bias1": b2}
claim("S0-01", "the mean, and the sum with λ/n for each layer: largest difference of a parameter",
      measured=np.concatenate([(own[name].values[0] - by_hand.detach().numpy()).ravel()
                               for name, by_hand in pairs.items()]), equals=0, within=1e-12)

# %% [markdown]
# ## 5.3 The balance theorem
#
# Take a hidden unit with ReLU, in any layer but the last. Let $w$ be its incoming weights, $b$ its bias and $v$ its
# outgoing weights, $\lambda_1$ and $\lambda_2$ the λ of the layers that $w$ and $v$ belong to.
#
# 1. Multiply $w$ and $b$ by $c>0$ and $v$ by $1/c$. Since $\mathrm{relu}(cz) = c\,\mathrm{relu}(z)$ (ReLU is
#    *positively homogeneous*), the next layer receives what it received before. The outputs and the loss do not change.
# 2. The penalty does: it becomes $\frac{\lambda_1}2c^2\lVert w\rVert^2+\frac{\lambda_2}2c^{-2}\lVert v\rVert^2$ plus the
#    rest, if biases are free.
# 3. At a stationary point of loss plus penalty the derivative along $c$ is zero at $c = 1$, and the loss adds nothing:
#
# $$\lambda_1\lVert w\rVert^2 = \lambda_2\lVert v\rVert^2 \quad\text{for each hidden unit, and summed over units}\quad
# \lambda_l\lVert W_l\rVert^2 = \lambda_{l+1}\lVert W_{l+1}\rVert^2. \tag{5.2}$$
#
# *Whatever the λ of the layers, and whatever their sizes, all layers pay the same.* Sizes are not in the proof. What
# is in it, step by step: a positively homogeneous activation (ReLU, leaky ReLU, none; not tanh or GELU); a
# free bias (one that decays with $\lambda_b$ adds $\lambda_b b^2$ on the left); nothing else that reads the unit or
# its weights, such as a normalisation, which chapter 7 is about. The last bias is not rescaled and may do anything.
#
# Step 1 says that the loss has slope zero along $c$, at *every* point:
# $\langle w, \nabla_wL\rangle + b\,\partial_bL = \langle v, \nabla_vL\rangle$. That can be checked, unit by unit.


# %%
def slope_along_c(activation):
    rng = claims.rng()
    w, b, v = (torch.tensor(rng.standard_normal(s), requires_grad=True)
               for s in ((30, 64), (30, 1), (10, 30)))
    scores = v @ activation(w @ images.T + b)
    loss = torch.nn.functional.cross_entropy(scores.T, labels)
    into_w, into_b, into_v = (p * g for p, g in
                              zip((w, b, v), torch.autograd.grad(loss, (w, b, v)), strict=True))
    return into_w.sum(1) + into_b[:, 0] - into_v.sum(0)  # of each unit


# %%
claim("05-slope", "ReLU: slope of the loss along c, each of 30 units",
      measured=slope_along_c(torch.relu), equals=0, within=1e-12)
claim("05-slope", "tanh: the same, largest of 30 units",
      measured=slope_along_c(torch.tanh).abs().max(), above=0.01)

# %% [markdown]
# The theorem speaks of stationary points. How does training get there? Let $D = \lVert W_1\rVert^2-\lVert
# W_2\rVert^2$ in a network without biases and with one λ. Under gradient flow the loss does not change $D$, by step
# 1, and the penalty shrinks it:
#
# $$\dot D = -2\lambda D, \qquad\text{in steps of size η: } D_t \approx (1-\eta\lambda)^{2t} D_0. \tag{5.3}$$
#
# So balance takes $1/(2\eta\lambda)$ steps per factor e, whatever the data. And without decay $D$ is conserved ([Du,
# Hu and Lee, 2018](https://arxiv.org/abs/1806.00900)): such a network never forgets how large its layers were at the
# start. Does it hold for real gradients? Three λ, two sizes of the initial weights, five seeds, all examples at once:

# %%
lams, scales = [0, 0.01, 0.03], [1, 2]
flow = sweep(MLP((64, 32, 10), bias=False), pixels[:100], digits.y[:100], loss="cross_entropy",
             lr=0.1, weight_decay=lams, init_scale=scales, seeds=seeds(5), steps=600,
             record_every=50, evaluate_every=600)
S = flow.norm.values ** 2  # seed, λ, scale, layer, step
D = S[..., 0, :] - S[..., 1, :]
law = (1 - 0.1 * np.array(lams))[:, None, None] ** (2 * flow.step.values)

# %%
fig, ax = figures.subplots()
for k, lam in enumerate(lams):
    for i, scale in enumerate(scales):
        ax.semilogy(flow.step, D[:, k, i].T, "o", ms=3, color=f"C{k}", label=f"_{lam}, {scale}")
        ax.plot(flow.step, D[:, k, i, 0].mean() * law[k, 0], color=f"C{k}", lw=1,
                label=f"_(5.3): {lam}, {scale}")
dots = figures.drawn(ax)
for k, lam in enumerate(lams):
    ax.text(608, dots[f"_{lam}, 2"].y[0, -1], f"λ = {lam}", color=f"C{k}", va="center")
for scale, words in ((2, "double initial weights"), (1, "initial weights as usual")):
    ax.text(300, dots[f"_0, {scale}"].y[0, 0] * 1.12, words, ha="center", color=figures.GREY)
ax.set(xlabel="training step", ylabel="‖W₁‖² − ‖W₂‖²", xlim=(-10, 690), ylim=(0.15, 50))
ax.set_yticks([0.3, 1, 3, 10, 30], ["0.3", "1", "3", "10", "30"])
ax.set_title("The imbalance of the start decays like (1 − ηλ)²ᵗ, or not at all")
figures.show(fig, "Difference of two layers' squared norms on a logarithmic axis, 600 steps. "
             f"It starts at {dots['_0, 1'].at(0).mean():.0f}, or "
             f"{dots['_0, 2'].at(0).mean():.0f} for double initial weights. Without decay it "
             f"stays there. With λ = {lams[1]} and {lams[2]} it falls along the straight lines of "
             "the formula, the five seeds on top of each other.", number="5.2",
             caption="Dots are five seeds; lines are formula (5.3) from their mean at the start.")

# %%
for lam, scale in ((lam, scale) for lam in lams for scale in scales):
    its_run = flow.sel(weight_decay=lam, init_scale=scale).norm.values ** 2  # seed, layer, step
    claim("05-imbalance", f"dots of λ = {lam}, scale {scale}: ‖W₁‖² − ‖W₂‖² of that run",
          measured=dots[f"_{lam}, {scale}"].y + its_run[:, 1] - its_run[:, 0],
          equals=0, within=1e-9)
    drawn_law = dots[f"_(5.3): {lam}, {scale}"]
    claim("05-imbalance", f"the line of λ = {lam}, scale {scale}: its logarithm has (5.3)'s slope",
          measured=np.diff(np.log(drawn_law.y)) / np.diff(drawn_law.x) - 2 * np.log1p(-0.1 * lam),
          equals=0, within=1e-9)
claim("05-imbalance", "the imbalance at the start, of double weights over that of usual ones",
      measured=D[:, :, 1, 0] / D[:, :, 0, 0], equals=4, within=1e-9)

# %%
claim("05-imbalance", "imbalance over its start, against (5.3): largest deviation of all runs",
      measured=np.abs(D / D[..., :1] - law), below=0.02)

# %% [markdown]
# The dots are measured, the lines are (5.3), and no line was fitted.
#
# The small print of "≈" matters once there are minibatches. A finite step of SGD adds $\eta^2\lVert g_l\rVert^2$ to a
# layer's squared norm, $g_l$ being its gradient. With full batches that is of second order and fades as training
# settles. Minibatch gradients do not fade: they go on lengthening the layers, those with larger gradients more. Decay
# and noise then settle at unequal shares, which is the gap in section 5.1 before the learning rate falls.

# %%
halfway = share["sum"][:, 0, at == options["steps"] / 2]  # where the learning rate begins to fall
claim("05-noise", "sum, before the learning rate falls: first layer's share, least of five seeds",
      measured=halfway, between=(0.35, 0.5))
claim("05-noise", "at the end: the same share, largest of five seeds",
      measured=share["sum"][:, 0, -1], below=0.35)

# %% [markdown]
# ## 5.4 How large are trained weights?
#
# A trained layer's mean squared weight, says the answer, is proportional to $1/(n_{\rm in}+n_{\rm out})$, which was
# "verified experimentally". By (5.2) the product $\lambda_l\lVert W_l\rVert^2$ is the same for all layers of a network,
# so that a layer's mean square is
#
# $$\frac{\lVert W_l\rVert^2}{n_{\rm in}n_{\rm out}} \propto \frac1{\lambda_l\, n_{\rm in}n_{\rm out}}: \tag{5.4}$$
#
# $1/(n_{\rm in}n_{\rm out})$ under the sum, no dependence on size at all under the mean, and exactly the answer's law
# under fans. What one verifies is the penalty that one chose. In the networks of section 5.1:

# %%
def spread(values):
    """Largest layer over smallest, one number a seed."""
    return values.max(1) / values.min(1)


sizes, fans = fan_in * fan_out, fan_in + fan_out
square = {name: norms[name][..., -1] / sizes for name in norms}
told = (square["sum"].mean(0) * fans).round(2)
print("mean square under the sum, × (n_in + n_out):", told)

# %%
predicted = (fans / sizes).max() / (fans / sizes).min()  # by (5.4)
claim("S0-17", "sum: mean square × (n_in + n_out), largest layer over smallest, worst of five",
      measured=spread(square["sum"] * fans), between=(predicted / 1.1, predicted * 1.1))

# %%
claim("S0-17", "sum: mean square × n_in·n_out, the same, worst of five",
      measured=spread(square["sum"] * sizes), below=1.1)
claim("S0-18", "with the answer's factor: mean square × (n_in + n_out), worst of five",
      measured=spread(square["fans"] * fans), below=1.2)
claim("05-mean-square", "under the mean: mean square, worst of five",
      measured=spread(square["mean"]), below=1.2)

# %% [markdown]
# If the answer's law held under the sum, the three printed numbers would be equal. And without decay there is no such
# law: the initialisation is remembered. In the runs of section 5.3 half of the networks began with weights twice as large.

# %%
twice = (S[:, :, 1, 0, -1] / S[:, :, 0, 0, -1])  # first layer's square, scale 2 over scale 1
claim("05-memory", "λ = 0: double start, squared norm after training (ratio), least of five",
      measured=twice[:, 0], between=(1.4, 4))
claim("05-memory", "λ = 0.03, the same, worst of five",
      measured=twice[:, 2], equals=1, within=0.15)

# %% [markdown]
# ## 5.5 A λ for each layer: one number remains
#
# Let layers have their own λ, as parameter groups allow. How many numbers are there to tune? In a two-layer network
# take steps 1 and 2 again, and let $c$ go to the cheapest value:
#
# $$\min_c\;\frac{\lambda_1}2c^2\lVert w\rVert^2 + \frac{\lambda_2}2c^{-2}\lVert v\rVert^2
# = \sqrt{\lambda_1\lambda_2}\,\lVert w\rVert\lVert v\rVert. \tag{5.5}$$
#
# The function at the minimum depends on $\sqrt{\lambda_1\lambda_2}$ alone. With more layers it is the geometric mean of
# all λ. Multiply whole layers by $c_1, c_2, \dots$ with $c_1c_2\cdots = 1$, each bias by the product of the $c$ up to
# its layer, and divide each $\lambda_l$ by $c_l^2$. The outputs are the same, the penalty is the same, and each layer's
# gradient of loss plus penalty is divided by $c_l$: where it was zero, it is zero. So every stationary point has a twin,
# with the same function, under any other λ with the same product. Here are three layers:


# %%
def slopes(c, lams):
    """Gradients of loss plus penalty in three layers that are multiplied by c."""
    start, h, so_far, penalty = MLP((64, 32, 16, 10)).initial(seeds(1)[0]), images.T, 1.0, 0.0
    weights = [torch.tensor(c[i] * start[f"weight{i}"], requires_grad=True) for i in range(3)]
    for i, w in enumerate(weights):
        so_far = so_far * c[i]
        h = w @ h + so_far * torch.tensor(start[f"bias{i}"])
        h = h.relu() if i < 2 else h
        penalty = penalty + lams[i] / 2 * w.square().sum()
    loss = torch.nn.functional.cross_entropy(h.T, labels)
    return torch.autograd.grad(loss + penalty, weights)


# %%
c = (4.0, 0.5, 0.5)
usual, scaled_up = slopes((1, 1, 1), (0.01,) * 3), slopes(c, [0.01 / factor**2 for factor in c])
claim("05-geometric", "layers times c, λ over c²: gradients times c against the old ones",
      measured=torch.cat([(scaled_up[i] * c[i] - usual[i]).ravel() for i in range(3)]),
      equals=0, within=1e-12)

# %% [markdown]
# So dividing by size is one common λ in disguise, of another value. Does training find the twins? We learn regressions
# in two dimensions from 25 examples, with another input of 1 instead of biases. Adam finds the minimum fast. It needs
# its learning rate to fall, and the penalty inside its gradient: AdamW would not minimise it ([chapter
# 3](03_one_lambda_many_meanings.ipynb)).

# %%
problems = []
for seed in seeds(5):
    rng = np.random.default_rng([seed, 5])
    points = np.column_stack([rng.standard_normal((25, 2)), np.ones(25)])
    target = np.abs(points[:, 0]) + np.maximum(points[:, :2].sum(1), 0) - 1
    problems.append((points, target + rng.normal(0, 0.1, 25)))
points, target = (np.stack(part) for part in zip(*problems, strict=True))
line = np.column_stack([np.linspace(-2.5, 2.5, 101), np.zeros(101), np.ones(101)])  # to draw on
everywhere = np.concatenate([points, np.stack([line] * 5)], axis=1)


# %%
def learn(width, lam1, lam2, steps=400):
    decay_factors = {"weight0": lam1, "weight1": lam2}
    run = sweep(MLP((3, width, 1), bias=False, init="glorot"), points, target, lr=0.05,
                seeds=seeds(5), optimizer="adam", weight_decay=1,
                decay_factors=decay_factors, steps=steps,
                schedule=lambda t: min(1, 2 * (1 - t / steps)), record_every=steps)
    w, v = run["weight0"].values, run["weight1"].values[:, 0]  # of each seed and unit
    outputs = predict(run, everywhere).values[..., 0]
    pays = np.stack([lam1 * (w**2).sum(2), lam2 * v**2])  # for w, and for v
    return outputs[:, :25], outputs[:, 25:], pays  # at the examples of each seed; along the line


def change(f, g):
    """Root mean square of the difference, relative to the targets': one number a seed."""
    return np.sqrt(((f - g) ** 2).mean(1) / (target**2).mean(1))


# %%
claim("05-change", "from the targets to their triple, `change` is",
      measured=change(3 * target, target), equals=2, within=1e-12)
common, _, _ = learn(50, 0.03, 0.03)
for lam1, lam2 in ((0.15, 0.006), (0.006, 0.15)):
    twin, _, pays = learn(50, lam1, lam2)
    claim("S0-13", f"λ = {lam1} and {lam2} for 0.03 twice: change of the function, mean of five",
          measured=change(twin, common).mean(), below=0.02)
    claim("05-units", "… and (5.2), unit by unit: largest difference over largest unit, mean",
          measured=(np.abs(pays[0] - pays[1]).max(1) / pays[0].max(1)).mean(), below=0.05)
claim("S0-13", "a control, 0.06 twice: change of the function, mean of five",
      measured=change(learn(50, 0.06, 0.06)[0], common).mean(), between=(0.05, 0.5))

# %% [markdown]
# ## 5.6 Width
#
# Dividing by size is to make λ independent of the number of nodes: one tuned λ should serve a network of another width.
# Which scaling grants this wish? By (5.5) a two-layer network with units $j = 1,2,\dots$ pays a price $\sum_jp_j$, with
# $p_j = \lVert w_j\rVert\lVert v_j\rVert$, at the rate $\sqrt{\lambda_1\lambda_2}$. Let there be one output and $n$
# examples.
#
# 1. *A wider network can do what a narrow one does, at the same price.* Replace a unit by two, each with weights
#    divided by $\sqrt2$: same function, same penalty.
# 2. *More than $n$ units can do nothing cheaper.* What unit $j$ adds to the outputs on the $n$ examples is a vector
#    $u_j$ of $n$ numbers. Of $n+1$ such vectors a combination $\sum_ja_ju_j$ vanishes; choose its sign such that
#    $\sum_ja_jp_j\ge0$. Take a share $ta_j$ from each of these units. The outputs stay, the price does not rise, and at
#    some $t$ a unit is used up. Repeat until $n$ are left.
# 3. *The outputs at the minimum are unique.* Two minimisers side by side, each with its output halved, pay the mean of
#    their prices. But the squared error of a mean is below the mean of the errors, unless both agree on all examples.
#
# Under the *sum* the rate does not depend on the width. So all networks of $n$ units or more have the same outputs on
# the examples at their minimum. Step 2 as a program, for 100 random units and 25 examples:

# %%
rng = claims.rng()
w, v = rng.standard_normal((100, 3)), rng.standard_normal(100)
parts, price = v[:, None] * np.maximum(w @ points[0].T, 0), np.linalg.norm(w, axis=1) * np.abs(v)
left = np.ones(100)  # what is left of each unit

# %%
while (left > 0).sum() > 25:
    some = np.flatnonzero(left > 0)[:26]
    a = np.linalg.svd(parts[some].T)[2][-1]  # the parts of these 26 units, times a, add up to 0
    a = a if a @ price[some] >= 0 else -a
    t = np.where(a > 1e-9, left[some] / np.maximum(a, 1e-9), np.inf)
    left[some] -= t.min() * a
    left[some[t.argmin()]] = 0

# %%
claim("05-enough", "{} units of 100 are left", measured=(left > 0).sum(), equals=25)
claim("05-enough", "… and none is taken more than whole",
      measured=np.minimum(left, 0), equals=0, within=1e-12)
claim("05-enough", "25 units left of 100: largest change of an output, over the largest output",
      measured=np.abs(left @ parts - parts.sum(0)) / np.abs(parts.sum(0)).max(), below=1e-9)
claim("05-enough", "by how much the price has risen, as a share",
      measured=left @ price / price.sum() - 1, below=1e-9)

# %% [markdown]
# Under another scaling one and the same function is charged at a rate that moves with the width:

# %%
for m in (50, 200, 800):
    rate = [(size_factor((m, 3), name) * size_factor((1, m), name)) ** 0.5 for name in factors]
    print(f"width {m}: rate {rate[0]:.0f} under the sum, {rate[1]:.4f} under the mean, "
          f"{rate[2]:.2f} under fans")

# %%
for m in (50, 200, 800):
    rate = [(size_factor((m, 3), name) * size_factor((1, m), name)) ** 0.5 for name in factors]
    claim("05-width-rate", f"width {m}: the rates are 1, 1/(√3·m) and √((m + 3)(m + 1)/3)/m",
          measured=np.array(rate) - [1, 1 / 3**0.5 / m, ((m + 3) * (m + 1) / 3) ** 0.5 / m],
          equals=0, within=1e-12)
    claim("05-width-rate", f"width {m}, between two hidden layers: fans has the factor 2/m",
          measured=size_factor((m, m), "fans") * m, equals=2, within=1e-12)

# %% [markdown]
# Under the mean it falls like $1/m$: a wide network is hardly penalised. Under fans it hardly moves, but that is owed to
# the fixed sizes of input and output. A matrix between two hidden layers of $m$ units gets the factor $2m/m^2 = 2/m$,
# and the rate falls again. We set the λ of each scaling so that all agree at width 200, and learn.

# %%
fits = {}
for name in factors:
    at_200 = np.sqrt(size_factor((200, 3), name) * size_factor((1, 200), name))
    for m in (50, 200, 800):
        lam1, lam2 = (0.03 * size_factor(s, name) / at_200 for s in ((m, 3), (1, m)))
        fits[name, m] = learn(m, lam1, lam2)
# By (5.5) the mean's rate at other widths is that of the sum at another λ, whatever the width.
twins = {m: learn(50, 0.03 * 200 / m, 0.03 * 200 / m) for m in (50, 800)}

# %%
fig, axes = figures.subplots(1, 3, figsize=(8.6, 3.5), sharey=True)
for ax, name in zip(axes, factors, strict=True):
    for m, style in ((50, "-"), (200, "--"), (800, ":")):
        ax.plot(line[:, 0], fits[name, m][1][0], style, label=str(m))
    ax.set(xlabel="first input", ylabel="output of the network")
    ax.set_title(name, weight="normal")
figures.label_lines(axes[1])
functions = {ax.get_title(loc="left"): figures.drawn(ax) for ax in axes}
middle = functions["mean"]
axes[1].set_xlim(-2.7, 3.6)
axes[1].text(2.6, middle["800"].y.max() * 1.15, "units", ha="left", color=figures.GREY)
figures.title(fig, "Under the mean, the function depends on the width")
low, high = ([f"{end(middle[m].y):.1f}" for m in middle] for end in (np.min, np.max))
figures.show(fig, "Learnt functions along the first input, for 50, 200 and 800 hidden units at the "
             "same λ. Under the sum and under fans the three curves coincide. Under the mean "
             f"the curve for 50 units lies between {low[0]} and {high[0]}, the one for 200 "
             f"between {low[1]} and {high[1]}, the one for 800 between {low[2]} and {high[2]}.",
             number="5.3", caption="First of five seeds. Colour and dashes tell the number of "
             "hidden units, named in the middle panel.")

# %%
far_left, far_right = line[:, 0] < -1, line[:, 0] > 1
slope = {m: [np.polyfit(middle[m].x[part], middle[m].y[part], 1)[0]
             for part in (far_left, far_right)] for m in middle}

# %%
flat = np.concatenate([[functions[name][m].y - functions[name]["200"].y for m in ("50", "800")]
                       for name in ("sum", "fans")])
claim("05-width-curves", "sum and fans: the curves of 50 and 800 units from that of 200, at most",
      measured=np.abs(flat), below=0.2)

# %%
for m in (50, 200, 800):
    claim("05-width-curves", f"the curves labelled {m}: the first data set's networks of {m} units",
          measured=[functions[name][str(m)].y - fits[name, m][1][0] for name in factors],
          equals=0, within=1e-9)

# %%
curves = fits["mean", 800][1]  # of the five data sets
ends = [np.polyfit(line[part, 0], curves[:, part].T, 1)[0] for part in (far_left, far_right)]
claim("05-width-curves", "mean, 800 units: slopes left and right, over −1 and 2, mean of five",
      measured=np.mean(ends, 1) / [-1, 2], between=(0.7, 1.1))
for m, (_, twin, _) in twins.items():
    apart = np.abs(fits["mean", m][1] - twin).max(1)  # where it is largest along the line
    claim("05-width-curves", f"mean, {m} units: curve from the sum's at λ = {6 / m}, mean of five",
          measured=apart.mean(), below=0.2)

# %%
apart = [change(fits[name, 200][0], fits["sum", 200][0]) for name in ("mean", "fans")]
claim("05-agree", "at 200 units, where all rates agree: mean or fans against sum, largest change",
      measured=apart, below=0.02)
moved = {name: change(fits[name, 800][0], fits[name, 50][0]) for name in factors}
claim("S0-06", "sum: change of the function from 50 to 800 units, largest of five",
      measured=moved["sum"], below=0.02)
claim("S0-06", "mean: the same, least of five", measured=moved["mean"], above=0.1)
claim("S0-06", "… and 50 or 800 units act as the sum does at 200/50 or 200/800 times the λ",
      measured=[change(fits["mean", m][0], twin[0]) for m, twin in twins.items()], below=0.05)
claim("05-width-fans", "fans, two layers: the same, largest of five",
      measured=moved["fans"], below=0.05)

# %% [markdown]
# Left and right there are three curves each, one on top of the other. In the middle, 50 units are penalised so hard that
# the left branch is nearly flat, with a slope of −{{-slope["50"][0]:.2f}}; 800 units come close to the slopes −1 and 2 that the data were
# made with: −{{-slope["800"][0]:.2f}} and {{slope["800"][1]:.2f}}. The λ that
# suits one width is wrong for another.
#
# The same in a case that needs no training: ridge regression with each input given $k$ times. The weight
# of an input is spread over $k$ copies and costs $k$ times less in squares.

# %%
X, y, k = points[0], target[0], 7
plain = [X @ ridge(X, y, 0.1 / q, intercept=False)[0] for q in (1, k, k * k)]
copies = np.repeat(X, k, axis=1)
cases = {"sum is λ/k": (copies, 0.1, plain[1]), "mean is λ/k²": (copies, 0.1 / k, plain[2]),
         "sum with inputs over √k is λ": (copies / k**0.5, 0.1, plain[0])}
for name, (Z, lam, same) in cases.items():
    f = Z @ ridge(Z, y, lam, intercept=False)[0]
    claim("S0-06", f"k copies of each input: {name} (largest difference)",
          measured=f - same, equals=0, within=1e-10)

# %% [markdown]
# Here the effective λ falls even under the sum, as copies of inputs are free: only inputs divided by $\sqrt k$ mend it.
# Copies of hidden units are not free. Each has incoming weights, which are penalised, too.
#
# ## 5.7 What initialisation knows about size
#
# Keras and PyTorch, says the answer, initialise close to its law. Keras's default, Glorot's uniform, does: its variance
# is $2/(n_{\rm in}+n_{\rm out})$. PyTorch's default for `Linear` is uniform between $\pm1/\sqrt{n_{\rm in}}$, so its
# variance is $1/(3n_{\rm in})$; for convolutions the fan-in counts the kernel, too. Both know the size; only one is of
# the claimed form. In the other, variance times $n_{\rm in}+n_{\rm out}$ is no constant:

# %%
torch.manual_seed(seeds(1)[0])
for n_in, n_out in ((200, 50), (50, 800)):
    default = torch.nn.Linear(n_in, n_out).weight.var().item()
    print(f"{n_in} → {n_out}: variance × (n_in + n_out) = {default * (n_in + n_out):.1f}")
    claim("S0-19", f"PyTorch's default, {n_in} → {n_out}: variance × 3n_in",
          measured=default * 3 * n_in, equals=1, within=0.05)
    glorot = MLP((n_in, n_out), init="glorot").initial(seeds(1)[0])["weight0"].var()
    claim("S0-19", f"Glorot's uniform (Keras), {n_in} → {n_out}: variance × (n_in + n_out)/2",
          measured=glorot * (n_in + n_out) / 2, equals=1, within=0.05)
claim("S0-19", "PyTorch's default, 3 × 3 kernels on 16 channels: variance × 3·144",
      measured=torch.nn.Conv2d(16, 64, 3).weight.var().item() * 3 * 144, equals=1, within=0.05)

# %% [markdown]
# ## 5.8 A principled rule goes the other way
#
# A penalty is a prior belief ([chapter 1](01_what_an_l2_penalty_does.ipynb)): with noise σ in the targets and true
# weights drawn from $N(0,\sigma_w^2)$ the best λ is $\sigma^2/(n\sigma_w^2)$. If outputs are to have the same size
# however many inputs feed them, $\sigma_w^2$ is $1/n_{\rm in}$, as initialisations have it up to a constant. Then
#
# $$\lambda = \frac{\sigma^2}{n}\,n_{\rm in}: \tag{5.6}$$
#
# *more* penalty per weight for the layer with more inputs ([MacKay, 1992](https://doi.org/10.1162/neco.1992.4.3.448),
# gives each layer a prior of its own). The question divides where Bayes multiplies. We look for the λ with the least
# test error, on a grid, for linear models with 25 to 400 inputs, 50 examples and $\sigma = 0.5$:

# %%
dims, grid, best = np.array([25, 50, 100, 200, 400]), np.geomspace(0.01, 10, 61), []
least, posterior = [], []  # test errors: the least on the grid, and that of Bayes' posterior
for d in dims:
    errors, posterior = np.zeros(61), [*posterior, 0.0]
    for seed in seeds(20):
        rng = np.random.default_rng([seed, d])
        X, truth = rng.standard_normal((50, d)), rng.standard_normal(d) / np.sqrt(d)
        w, _ = ridge(X, X @ truth + 0.5 * rng.standard_normal(50), grid, intercept=False)
        errors += ((w - truth) ** 2).sum(1)  # the test error beyond the noise
        squares = np.linalg.svd(X, compute_uv=False) ** 2  # in other directions 1/d remains
        posterior[-1] += np.sum(0.5**2 / (squares + 0.5**2 * d)) + max(d - 50, 0) / d
    best.append(grid[errors.argmin()])
    least.append(errors.min())

# %%
slope = np.polyfit(np.log(dims), np.log(best), 1)[0]
claim("05-bayes", "the best λ grows with the number of inputs to the power {}",
      measured=slope, between=(0.8, 1.2))
off = np.array(best) / (0.5**2 / 50 * dims)
claim("05-bayes", "best λ over (5.6): factor by which it is off, geometric mean of five sizes",
      measured=np.exp(np.abs(np.log(off)).mean()), below=1.3)
# With 25 inputs an error is a sum of 25 squares, here the mean of 20: five standard deviations.
claim("05-bayes", "test error at the best λ, over the variance that Bayes' posterior has",
      measured=np.array(least) / posterior, equals=1, within=5 * (2 / 25 / 20) ** 0.5)

# %% [markdown]
# ## 5.9 Does any of them generalise better?
#
# The answer does not expect it. We give no verdict on an expectation, but we can look. From 200 digits we learn with
# four values of λ for each scaling, choose the λ by accuracy on half of the other digits, and test on the rest. Ten
# seeds draw the digits, the start and the order; λ is chosen and scalings are compared seed by seed.

# %%
tall = (64, 32, 16, 10)
fan_in, fan_out = np.array(tall[:-1]), np.array(tall[1:])
scaled = {"sum": np.ones(3), "mean": 1 / (fan_in * fan_out), "fans": 1 / fan_in + 1 / fan_out}
scaled = {name: f / np.prod(f) ** (1 / 3) for name, f in scaled.items()}
lam_grid = [0, 0.001, 0.005, 0.02]
orders = np.stack([np.random.default_rng([seed, 7]).permutation(len(pixels)) for seed in seeds(10)])
parts = split(pixels, digits.y, train=orders[:, :200], validation=orders[:, 200::2],
              test=orders[:, 201::2])

# %%
claim("05-fair", "the three layers' factors on λ: their geometric mean in each scaling", equals=1,
      measured=[np.exp(np.log(f).mean()) for f in scaled.values()], within=1e-12)
claim("05-fair", "… and their ratios are those of `size_factor`", equals=0, within=1e-12,
      measured=[np.diff(np.log([f[i] / size_factor((fan_out[i], fan_in[i]), name)
                                for i in range(3)])) for name, f in scaled.items()])


# %%
def learn(f):
    """Networks of ten seeds and four λ, and their classes as a function of the images."""
    run = sweep(MLP(tall), *parts.train, loss="cross_entropy", lr=0.1,
                momentum=0.9, weight_decay=lam_grid, batch_size=25, steps=300,
                seeds=seeds(10), decay_factors={f"weight{i}": f[i] for i in range(3)},
                schedule=lambda t: 1 - t / 300, record_every=300)
    return run, lambda images: predict(run, images).values.argmax(-1)  # seed, λ, example


def by_hand(run, part, s):
    """Share of a part's digits that the networks of seed number s miss, by plain NumPy."""
    own, h = run.isel(seed=s), [part.X[s].T] * 4
    for i in range(3):
        h = [np.maximum(x, 0) if i else x for x in h]
        h = [own[f"weight{i}"].values[k] @ h[k] + own[f"bias{i}"].values[k] for k in range(4)]
    return np.array([np.mean(x.argmax(0) != part.y[s]) for x in h])


# %%
chosen = {}
for name, f in scaled.items():
    run, classes = learn(f)
    which = parts.choose(classes, np.not_equal)  # of the four λ, for each seed
    bare = 1 - parts.test_loss(classes, np.not_equal, each=True)[:, 0]  # λ = 0
    chosen[name] = 1 - parts.test_loss(classes, np.not_equal)
    print(f"{name:4}: test accuracy {100 * chosen[name].mean():.1f} %, without decay "
          f"{100 * bare.mean():.1f} %; seeds for each of the four λ: "
          f"{np.bincount(which, minlength=4)}")
    of_all = np.array([by_hand(run, parts.test, s) for s in range(10)])  # seed, λ
    missed = [of_all[s, by_hand(run, parts.validation, s).argmin()] for s in range(10)]
    claim("05-chosen", f"{name}: each seed's test accuracy at its best λ, by hand",
          measured=chosen[name] - 1 + missed, equals=0, within=1e-12)
    claim("05-chosen", f"{name}: each seed's test accuracy without decay, by hand",
          measured=bare - 1 + of_all[:, lam_grid.index(0)], equals=0, within=1e-12)

# %%
claim("05-generalise", "test accuracy at the chosen λ, mean of ten seeds, each scaling",
      measured=[accuracies.mean() for accuracies in chosen.values()], between=(0.87, 0.94))

# %%
for name in ("mean", "fans"):
    gain = claims.interval(100 * (chosen[name] - chosen["sum"]))
    print(f"{name} − sum: {gain.mean:+.2f} points, "
          f"95 % interval {gain.low:+.2f} to {gain.high:+.2f}")
    claim("05-generalise", f"{name} against sum: farther end of the interval, in points",
          measured=max(-gain.low, gain.high), below=2)
    claim("05-generalise", "… its middle, and the difference of the two means",
          measured=gain.mean / 100 - chosen[name].mean() + chosen["sum"].mean(),
          equals=0, within=1e-12)

# %% [markdown]
# At its own best λ each scaling does about as well as the others. What we claim is that they differ by less than two
# percentage points. Which of them is ahead depends on the ten seeds, so we claim no sign.
#
# ## 5.10 The sources, line by line

# %%
verdict("S0-01", "convention",
        "It is the sum with λ/n for each layer. Both can be converted exactly.")
verdict("S0-02", "undecidable",
        "Nothing here can be measured. What is done, such as per-layer λ or widths tuned by "
        "formula, is not this.")
verdict("S0-04", "under conditions",
        "At initialisation, yes. At a stationary point (ReLU, free biases) all terms are equal.")
verdict("S0-05", "false",
        "Terms do not compete: every weight in every layer shrinks by the same share per step.")
verdict("S0-06", "false",
        "It is the reverse, in two layers: under the sum the outputs at the minimum do not depend "
        "on width, from as many units as examples on; under the mean the effective λ falls like "
        "1/width.")
verdict("S0-07", "convention",
        "A well-defined penalty, under which small layers shrink fastest: here "
        f"{faster['mean']:.0f} times as fast.")

# %%
verdict("S0-08", "false",
        "The product has the wrong order for its shapes, and a last ReLU forbids negative outputs.")
verdict("S0-13", "true",
        "As parameter groups. But in a plain ReLU network with free biases only the product of the "
        "layers' λ matters for the function at the minimum.")
verdict("S0-14", "opinion",
        "A matter of practice. By S0-13 only one of them changes the function at the minimum.")
verdict("S0-15", "true",
        "And no need: at a stationary point they are equal, under any positive λ of the layers.")
verdict("S0-16", "false",
        "At a stationary point it does, as does every other factor.")

# %%
verdict("S0-17", "false",
        "It follows the penalty: 1/(N_in·N_out) under the sum, constant under the mean. Without "
        "decay it remembers the initialisation.")
verdict("S0-18", "under conditions",
        "The algebra is right if S0-17 holds, and S0-17 holds if this factor is used.")
verdict("S0-19", "under conditions",
        "Keras's default is: variance 2/(N_in + N_out). PyTorch's is 1/(3·N_in).")
verdict("S0-20", "undecidable",
        "No source is given. The experiments of section 5.4 say otherwise.")
verdict("S0-21", "opinion",
        "Over ten seeds the scalings differ by less than two points. We claim no sign.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## 5.11 In practice
#
# **Take home.** Give all weight matrices one λ and do not divide by their size: training balances the layers, and a
# sum lets the same λ serve a wider network. If a code divides by size, its λ must be tuned again for every width.
#
# Three rules follow.
#
# - Do not search over a λ for each layer of a plain ReLU network: at the minimum only their geometric mean counts.
# - Balance takes its time: $1/(2\eta\lambda)$ steps per factor e, which is {{1 / (2 * 0.1 * 5e-4):,.0f}} at $\eta = 0.1$ and $\lambda =
#   5\cdot10^{-4}$. Before that, layers have what initialisation and gradients gave them.
# - Do not read a layer's share of the penalty as the strength of its regularisation. Under the sum each weight decays at
#   the same rate, whatever the shares, and at a stationary point all shares are equal.
#
# **Limits.** (5.2) and (5.5) are about stationary points of loss plus penalty. AdamW's decay is no such penalty.
# Minibatch noise at a constant learning rate keeps layers away from balance (5.3). A residual branch is balanced within
# itself, but not against the skip. Section 5.6 is about two layers and a minimum; in deeper networks under the sum,
# width can only lower the minimum, by the same splitting of units, but we have not measured by how much. Normalisation
# changes everything (chapter 7).
#
# ## 5.12 Exercises
#
# **1.** Layers of $1000\times1000$ and $10\times1000$ weights have a mean-squared penalty. Which shrinks faster, and
# by how much?
#
# <details>
# <summary>Solution</summary>
#
# The second, by the ratio of the sizes: $10^6/10^4$, which is {{size_factor((10, 1000), "mean") / size_factor((1000, 1000), "mean"):.0f}}.
#
# </details>
#
# **2.** A framework also decays the biases, with the same λ. What becomes of (5.2) for two layers? Which layer is now
# smaller?
#
# <details>
# <summary>Solution</summary>
#
# Step 2 gets the term $\frac\lambda2c^2b^2$: $\lVert W_1\rVert^2+\lVert b_1\rVert^2=\lVert W_2\rVert^2$. The first
# layer's weights are smaller by what its biases take. The last bias stands in no such equation.
#
# </details>
#
# **3.** For which pairs of matrices does (5.2) hold: two convolutions with ReLU and max-pooling between them; query
# and key matrices of an attention head; two layers with GELU between them?
#
# <details>
# <summary>Solution</summary>
#
# Convolutions: yes, channel by channel, as max-pooling is positively homogeneous. Query and key, with one λ: yes, even
# without an activation, since only $W_Q^\top W_K$ enters: $\lVert W_Q\rVert = \lVert W_K\rVert$ at a stationary point
# (unless queries and keys are normalised). GELU: no; it is not positively homogeneous.
#
# </details>
#
# **4.** With $\eta=0.1$, $\lambda=5\cdot10^{-4}$ and no momentum, how many steps until the imbalance is
# $0.01$ of its start? And with momentum 0.9?
#
# <details>
# <summary>Solution</summary>
#
# $\ln 100/(2\eta\lambda)$ is about {{round(np.log(100) / (2 * 0.1 * 5e-4), -3):,.0f}}. Momentum multiplies the effective learning rate by
# {{1 / (1 - 0.9):.0f}}: about {{round(np.log(100) / (2 * 0.1 * 5e-4) * (1 - 0.9), -2):,.0f}}. Only about, as the steps are longer and (5.3) is rougher: add
# `momentum=0.9` to the run of section 5.3, and even without decay the imbalance grows by 28 % before it settles.
#
# </details>
#
# **5.** Repeat section 5.1 with a constant learning rate. Which layer ends up with more than its third, and why?
#
# <details>
# <summary>Solution</summary>
#
# Under the sum the first, under the mean and fans the last. Take SGD without momentum and a network without biases, and
# let $h_l = g_l+\lambda_lW_l$. A step changes $\lVert W_l\rVert^2$ by $-2\eta\langle W_l,h_l\rangle +
# \eta^2\lVert h_l\rVert^2$, which is zero on average in a steady state. By step 1 of section 5.3 $\langle W_l,g_l\rangle$ is the
# same for all layers. So is then the average of $\lambda_l\lVert W_l\rVert^2-\frac\eta2\lVert h_l\rVert^2$: layers with
# larger gradients keep more. Drop `schedule` from `options`, and compare `run.gradient_norm` of the layers.
#
# </details>
#
# **6.** (Open.) Print the rate of section 5.6 for `size_factor(…, "fan_in")`. It grows with the width. So do Bayes
# and section 5.6 contradict each other?
#
# <details>
# <summary>A start</summary>
#
# They answer different questions. In section 5.6 more units bring nothing new: at the minimum $n$ of them would do. The
# prior of section 5.8 takes every weight as a draw of its own, and every input as news. Ask which of the two your wider layer
# is.
#
# </details>
#
# ## Where next, and sources
#
# [Chapter 4](04_other_penalties.ipynb) derives what the right side of (5.5) does to units: it removes them.
# [Chapter 6](06_bias_exclusion.ipynb) asks which parameters should be in the sum at all.
#
# - [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900): gradient flow conserves the imbalance.
# - [Glorot and Bengio (2010)](https://proceedings.mlr.press/v9/glorot10a.html): the initialisation of section 5.7.
# - [MacKay (1992)](https://doi.org/10.1162/neco.1992.4.3.448): penalties as priors, one for each layer.
# - [Neyshabur, Tomioka and Srebro (2015)](https://arxiv.org/abs/1412.6614): L2 on two layers as a norm on functions, for
#   any width.
