# %% [markdown]
# # 0 Start here
#
# In PyTorch nearly every optimiser has an argument called `weight_decay`. What is it for, and what does it do to the layers?
#
# By the end you will be able to
#
# - say what weight decay is for, and write its training step;
# - say how decay in Adam differs from decay in AdamW;
# - say what SGD and AdamW each do to the sizes of the layers, and why.
#
# You should have met neural networks, calculus, matrices, variance and a little PyTorch. *Reading takes about 50 minutes; the code runs in one.*
#
# <details>
# <summary>How to run a chapter, and what is in which</summary>
#
# Open it with `make lab` and choose *Run, Run All Cells*. `L2LIB_SEED=7` in the environment runs a chapter on other random numbers.
#
# Chapters [1](01_what_an_l2_penalty_does.ipynb) to [4](04_other_penalties.ipynb) are about the penalty, [5](05_size_normalisation.ipynb) and [6](06_bias_exclusion.ipynb) about
# which weights decay, chapters [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb) about normalisation, [11](11_choosing_lambda.ipynb) about choosing λ.
#
# </details>
#
# ## 0.1 What is weight decay for?
#
# The classical answer is that it keeps a network from learning noise. Take twenty examples of a smooth curve, each shifted by noise,
# and a small network. Its {{below: hidden_units}} hidden tanh units are random and stay fixed; only their output weights $w$
# are trained. There are more weights than examples, so the network can learn the noise.
#
# The **L2 penalty** makes large weights expensive. We minimise not the loss $L$ alone (here half the mean squared error), but
#
# $$L(w)+\frac\lambda2\lVert w\rVert^2,\qquad\lVert w\rVert^2=\sum_iw_i^2,$$
#
# where $\lambda\ge0$ sets the price. To bend sharply towards one stray example the network needs large weights. If λ is large enough, such weights cost more in the penalty than they save in the loss.
#
# This is the whole training, with learning rate $\eta$ as `lr`; §0.2 derives the marked line:

# %%
import numpy as np
import torch


def train(w, lam, hidden, y, lr=1.0, steps=3000):
    # hidden: examples × units, w: units × 1, y: examples × 1
    for _ in range(steps):  # .mT transposes a matrix
        g = hidden.mT @ (hidden @ w - y) / y.shape[-2]  # gradient of half the mean squared error
        w = (1 - lr * lam) * w - lr * g  # <- the training step
    return w


# %%
from l2lib.claims import seeds  # seeds(n): n fixed numbers that start random draws

torch.set_default_dtype(torch.float64)  # 64 bits, so that your digits match the printed ones
torch.set_num_threads(1)  # one core is fastest for arrays as small as these

x = torch.linspace(-1, 1, 191)[:, None]
curve = torch.sin(3 * x)
sigma, hidden_units = 0.5, 100  # standard deviation of the noise; number of hidden units


# %%
def draw(seed):  # the noisy targets, one at every tenth x; the hidden units' outputs at all x
    rng = np.random.default_rng(seed)
    y = curve[::10] + sigma * torch.tensor(rng.normal(size=(20, 1)))
    slope = torch.tensor(10 * rng.normal(size=hidden_units))
    shift = torch.tensor(10 * rng.uniform(-1, 1, hidden_units))
    return y, torch.tanh(slope * x + shift) / hidden_units**0.5  # so small that lr = 1 is stable

# %%
y, outputs = draw(seeds(1)[0])
for lam in (0, 0.01):  # one network, trained from w = 0 without decay and with it
    w = train(torch.zeros(hidden_units, 1), lam, outputs[::10], y)
    print(f"λ = {lam}: ‖w‖² = {(w**2).sum():.1f}")


# %% [markdown]
# With decay the weights stay much smaller. Is the fit better, too? The same lines train {{below: len(targets)}} such networks at once, with {{below: len(lams)}} values of λ.
# A network's *training error* is the mean squared error on its own examples. Its *test error* is the expected squared error on new examples: the mean squared distance from the true curve plus the noise's variance.

# %%
# now w has a column for each λ, and all arrays a first axis: one entry per network
lams = torch.tensor([0, *np.geomspace(1e-4, 1, 13)])
drawn = [draw(seed) for seed in seeds(20)]
targets = torch.stack([y for y, _ in drawn])
hidden = torch.stack([outputs for _, outputs in drawn])
trained = train(torch.zeros(20, hidden_units, len(lams)), lams, hidden[:, ::10], targets)

fits = hidden @ trained  # 20 networks × 191 x × 14 λ
own_errors = ((fits[:, ::10] - targets) ** 2).mean(1)
errors = ((fits - curve) ** 2).mean(1) + sigma**2

# %% tags=["hide-input"]
assert errors.isfinite().all(), "a network diverged"
assert (own_errors.mean(0).diff() > 0).all(), "the training error does not rise with λ"
at_examples = hidden[:, ::10]
shown = {0: 0, 0.01: 7, 1: 13}  # the columns of three λ
kernel = (at_examples @ at_examples.mT)[:, None] + 20 * lams[:, None, None] * torch.eye(20)
minima = at_examples.mT[:, None] @ torch.linalg.solve(kernel, targets[:, None])  # of loss + penalty
minima = minima[..., 0].mT  # 20 networks × units × λ, as in trained; at λ = 0 the limit
limits = ((hidden @ minima - curve) ** 2).mean(1) + sigma**2  # their errors on new examples
assert np.allclose(lams[[*shown.values()]], [*shown]), "a column has another λ"
none, little = shown[0], shown[0.01]
assert abs(at_examples @ minima[..., :1] - targets).max() < 1e-6, "the limit leaves an error"
assert (limits - errors)[:, :2].mean(0).min() > 0, "stopping does not protect"
assert abs(limits - errors)[:, little:].max() < 1e-6, "too short for larger λ"
clean = at_examples.mT @ torch.linalg.solve(kernel[:, little], curve[::10].expand(20, 20, 1))
clean_fits = (hidden @ clean)[..., 0]  # with λ = 0.01, but without noise
flatter = 1 - (clean_fits.amax(1) - clean_fits.amin(1)).mean() / (curve.max() - curve.min())
gain = errors[:, little] / errors[:, none]
typical = gain.argsort()[10]  # in the middle of the twenty
assert (gain < gain[typical]).sum() == (gain > gain[typical]).sum() + 1, "not in the middle"

# %% tags=["hide-input"]
from l2lib import claims, figures
from l2lib.claims import claim


def draw_fits(left, right):
    left.plot(x, curve, "--", color=figures.GREY, lw=1.4, label="truth")
    left.plot(x[::10], targets[typical], "o", color=figures.GREY, ms=4, label="examples")
    names = {0: "λ = 0", 0.01: "λ = 0.01", 1: "λ = 1"}
    for color, (lam, name) in zip(("C1", "C0", "C2"), names.items(), strict=True):
        left.plot(x, fits[typical, :, shown[lam]], color=color, label=name)
        right.plot(lam or 5e-5, errors[:, shown[lam]].mean(), "o", color=color, ms=7, label=name)
    right.plot(5e-5, own_errors[:, 0].mean(), "o", color="C1", mfc="white", ms=7, label="_own")
    right.plot(5e-5, limits[:, 0].mean(), "^", color="C1", ms=7, label="_limit")
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
    right.text(7.1e-5, 0, "//", ha="center", va="center",
               bbox={"fc": "white", "ec": "none", "pad": 1})
    for words, across, up, color in (("test error", 4e-4, 0.4, "black"),
                                     ("training error", 4.5e-4, 0.045, "black"),
                                     ("noise", 4e-5, 0.205, figures.GREY),
                                     (f"{end[0]:.2f}", 4.2e-5, 0.41, "C1"),
                                     (f"{means['_own'].y[0]:.2f}", 4.2e-5, 0.11, "C1"),
                                     (f"{at_limit:.2f} without stopping", 8e-5, 0.5, "C1"),
                                     (f"{end[0.01]:.2f}", 5e-3, 0.27, "C0"),
                                     (f"{end[1]:.2f}", 0.5, 0.63, "C2")):
        right.text(across, up, words, color=color, size=10)


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.6))
draw_fits(left, right), fig.get_layout_engine().set(wspace=0.08)
means, shown_fits = figures.drawn(right), figures.drawn(left)
end = {lam: means[f"λ = {lam}"].y[0] for lam in shown}
at_limit = means["_limit"].y[0]
label_fits(left, right)
figures.show(fig, f"Left: {shown_fits['examples'].x.size} noisy examples of a sine and three "
             "fits. Without decay the curve runs after single examples, with λ = 0.01 less so, and "
             "with λ = 1 it is nearly flat. Right: mean squared error against λ after 3000 steps, "
             "mean of twenty networks. The training error grows with λ. The test "
             f"error is {end[0]:.2f} without decay, {end[0.01]:.2f} with λ = 0.01 and "
             f"{end[1]:.2f} with λ = 1; its unavoidable part, the noise, is "
             f"{means['_floor'].y[0]:.2f}. Without decay and without stopping it would be "
             f"{at_limit:.2f} (triangle).", number="0.1",
             caption="Left: a typical network, one of the two in the middle when the twenty are "
             "sorted by how much λ = 0.01 helps. Right: the mean of all twenty after 3000 "
             "steps. The triangle is what training without decay would reach if it never "
             "stopped: stopping early protects, too (Exercise 5).")

# %% [markdown]
# Without decay the curve bends towards single examples (Figure 0.1, left). As λ shrinks (right), the training error keeps falling, but below λ ≈ 0.01 the test error rises. This is **overfitting**. A large λ flattens the curve, and both errors rise.
#
# <details>
# <summary>Does a little decay cost anything?</summary>
#
# Yes: on examples without noise, λ = {{lams[little]:g}} makes the curve's hill and valley {{100 * flatter:.0f}} % too flat. Without decay, learning the noise costs more than this.
#
# </details>
#
# <details>
# <summary>Is that all that decay is for?</summary>
#
# Large models that see their data once hardly overfit. For them decay helps training itself ([D'Angelo et al., 2024](https://arxiv.org/abs/2310.04415)), perhaps because it sets the size of a step *relative to the weights* ([Kosson et al., 2024](https://arxiv.org/abs/2305.17212)).
#
# </details>
#
# A line with a tick ✓ is a *claim*, measured each time the chapter runs. Each has a bound (click to see it); if the number falls outside, the notebook stops.

# %% tags=["hide-input"]
assert at_limit > 1.1 * end[0], "stopping does not protect"
excess = end[0] - sigma**2
claim("00-overfit", f"Without decay the mean test error of twenty networks is {excess:.2f} above "
      "the noise's variance; with λ = 0.01 this excess is {} times as large",
      measured=(end[0.01] - sigma**2) / excess, below=0.75)

# %% tags=["hide-input"]
claim("00-least", "With λ = 0.01 training ends at the minimum of loss and penalty together",
      measured=trained[..., little] - minima[..., little], equals=0, within=1e-9)

# %% [markdown]
# **A little decay keeps a network from learning noise; too much also keeps it from learning the curve.**
#
# ## 0.2 Where does λ enter the training step?
#
# Where does the marked line of `train` come from, and does Adam do the same? Let $g$ be the gradient of the loss with respect to the weights.
#
# 1. The penalty has a term $\frac\lambda2w^2$ for each weight. Its derivative is $\lambda w$.
# 2. Gradient descent subtracts $\eta$ times the whole derivative: $w\leftarrow w-\eta(g+\lambda w)$.
# 3. Collect the two terms that contain $w$:
#
# $$w\leftarrow(1-\eta\lambda)\,w-\eta\,g\tag{0.1}$$
#
# Each step multiplies all weights by the same factor, a little below 1: hence *weight decay*. Without a gradient a weight falls to $1/e$ of its value in about $1/(\eta\lambda)$ steps: {{1 / (0.5 * 0.003):.0f}} for the η = 0.5 and λ = 0.003 of §0.3.
#
# **Adam** divides each weight's gradient by $\sqrt v$. Here $v$ is a mean of this weight's squared gradients so far, in which older ones count less:
#
# $$v=\frac{g_t^2+0.999\,g_{t-1}^2+0.999^2g_{t-2}^2+\dots}{1+0.999+0.999^2+\dots}$$
#
# At the first step $v=g^2$. If all gradients of a weight are $c$ times as large, its steps stay the same. (We leave out *momentum*, by which a gradient also acts in later steps, and a small ε, see Exercise 10.) Because Adam divides, it matters where λ enters:
#
# - **Coupled** decay, in `torch.optim.Adam`, adds $\lambda w$ to the gradient, so the decay is divided by $\sqrt v$, too: $w\leftarrow w-\eta\,(g+\lambda w)/\sqrt v$, where $v$ averages $(g+\lambda w)^2$.
# - **Decoupled** decay, in `torch.optim.AdamW`, shrinks the weight directly: $w\leftarrow(1-\eta\lambda)\,w-\eta\,g/\sqrt v$, where $v$ averages $g^2$.
#
# So under coupled decay a weight with large gradients, and thus large $\sqrt v$, should decay more slowly. To see this, we give 5,000 weights random gradients of mean zero, whose standard deviation we call their *scale*. The mean of the 5,000 weights shows the decay alone, because the random parts of their steps cancel in it.

# %%
from torch import nn


def train_on_noise(optimizer, lr, lam, scale, start=1.0, steps=250):
    w, weights_at = nn.Parameter(torch.full((5000,), start)), []
    # betas: no momentum, and a v that remembers about 1000 steps
    rule = optimizer([w], lr=lr, weight_decay=lam, betas=(0.0, 0.999))
    for _ in range(steps):
        w.grad = scale * torch.randn(5000)
        rule.step()
        weights_at.append(w.detach().clone())
    return torch.stack(weights_at)  # a row for each step


# %%
torch.manual_seed(seeds(1)[0])
decayed = {(optimizer, scale): train_on_noise(optimizer, 0.02, 0.3, scale).mean(1)
           for optimizer in (torch.optim.Adam, torch.optim.AdamW) for scale in (0.1, 1, 10)}

# %% tags=["hide-input"]
scale_colors = {0.1: "C3", 1: "C0", 10: "C5"}


def draw_decayed(left, right):
    t = np.arange(251)
    for (optimizer, scale), means_of_w in decayed.items():
        ax = left if optimizer is torch.optim.Adam else right
        turn = {0.1: 0, 1: 4, 10: 8}[scale]  # on the right three lines take turns
        ax.plot(t[1:], means_of_w, lw=2.4, color=scale_colors[scale], label=f"{scale}",
                ls="-" if ax is left else (turn, (4, 8)), dash_capstyle="butt")
    for label, ax, factor in (("law 10", left, 1 - 0.02 * 0.3 / 10),
                              ("law 1", left, 1 - 0.02 * 0.3), ("law", right, 1 - 0.02 * 0.3)):
        at = t[:: 25 if ax is left else 50]  # on the right the colours must show
        ax.plot(at, factor**at, "o", color="black", ms=4, label=label, zorder=4)
    left.set(title="Adam: unequal decay", xlabel="training step t", ylim=(0, 1.08))
    left.set(ylabel="mean of the weights")
    right.set(title="AdamW: equal decay", xlabel="training step t", ylabel=" ")
    right.text(5, 0.06, "η = 0.02, λ = 0.3", color=figures.GREY, size=10)


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.1))
draw_decayed(left, right)
right.text(100, 0.66, "three scales on one line", color=figures.GREY, size=10)
right.text(100, 0.58, "dots: (1 − ηλ)ᵗ", color="black", size=10)
for words, across, up, color in (("gradients of scale 10", 72, 0.8, "C5"),
                                 ("√v ≈ 10, dots: (1 − ηλ/10)ᵗ", 72, 0.72, "black"),
                                 ("scale 1", 142, 0.57, "C0"),
                                 ("dots: (1 − ηλ)ᵗ", 142, 0.49, "black"),
                                 ("scale 0.1", 96, 0.14, "C3")):
    left.text(across, up, words, color=color, size=10)

# %% tags=["hide-input"]
coupled, decoupled = figures.drawn(left), figures.drawn(right)
all_three = np.mean([decoupled[scale].y[-1] for scale in ("0.1", "1", "10")])
figures.show(fig, "Mean of 5000 weights that start at 1 and get random gradients, over 250 steps "
             "with η = 0.02 and λ = 0.3. Left: with coupled Adam it falls to "
             f"{coupled['10'].y[-1]:.2f} where gradients have scale 10, to "
             f"{coupled['1'].y[-1]:.2f} where they have scale 1, and to "
             f"{abs(coupled['0.1'].y[-1]):.2f} where they have scale 0.1; dots mark "
             "(1 − ηλ/10)ᵗ and (1 − ηλ)ᵗ on the first two, and are a little below the line at "
             "scale 1, as λw enters v, too. "
             f"Right: with AdamW all three fall to about {all_three:.2f}, on one line, "
             "on which the dots (1 − ηλ)ᵗ lie.", number="0.2",
             caption="Black dots: the expected decay. On the left this supposes that √v equals "
             "the gradients' scale. At scale 1 the decay is a little slower, because v also "
             "contains λw. At scale 0.1 no dots are drawn: λw exceeds the gradients at first, so "
             "√v is not 0.1. On the right three lines coincide.")

# %% [markdown]
# In Figure 0.2 a step of Adam (left) multiplies the mean weight by about $1-\eta\lambda/\sqrt v$: the smaller the gradients, the faster the decay. Under AdamW (right) all three means fall alike.

# %% tags=["hide-input"]
over_dots = np.array([coupled["10"].y[-1] / coupled["law 10"].y[-1],
                      *(decoupled[scale].y[-1] / decoupled["law"].y[-1]
                        for scale in ("0.1", "1", "10"))])
claim("00-factor", "After 250 steps Adam's line of scale 10 and AdamW's three lines end within "
      "{:.1f} % of their dots", measured=100 * abs(over_dots - 1), below=10)
assert coupled["1"].y[-1] > coupled["law 1"].y[-1], "not above its dots"

# %% [markdown]
# **In plain gradient descent an L2 penalty and weight decay are the same; in Adam they are not.**
#
# ## 0.3 Which layer has the largest share?
#
# A training log shows one layer's squared norm far above the others'. Is λ wrong, or does this layer need its own?
#
# The penalty is a sum over all layers. In a forum somebody
# [asked](https://datascience.stackexchange.com/questions/20405/shouldnt-l2-regularization-be-normalized-for-the-number-of-nodes-in-a-layer): if one layer is much bigger than another,
# does its term make the penalty on the smaller layer useless? No: the penalty's derivative with respect to the second layer's weights $W_2$ is $\lambda W_2$, however large $W_1$ is. Under SGD and AdamW every layer decays by the same factor.
#
# But how large do the layers become? Call $\lVert W_l\rVert^2/\sum_k\lVert W_k\rVert^2$ a layer's **share** of the squared norm, and so of the penalty. Our network learns to tell the digits in {{below: len(pixels):,}} images of handwriting, of 8 × 8 pixels each. It has no biases; $W_1$, $W_2$ and $W_3$ have {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} weights.
#
# With PyTorch's random weights the shares start near {{below: 100 * widths[1] / sum(widths[1:]):.0f}}, {{below: 100 * widths[2] / sum(widths[1:]):.0f}} and {{below: 100 * widths[3] / sum(widths[1:]):.0f}} %.
#
# <details>
# <summary>Why these?</summary>
#
# PyTorch draws weights uniformly between $\pm1/\sqrt{\text{inputs}}$. Their variance is $1/(3\cdot\text{inputs})$, and there are $\text{inputs}\cdot\text{outputs}$ of them. So $\lVert W_l\rVert^2$ starts near $\text{outputs}/3$.
#
# </details>
#
# **Predict before you read on.** Which shares do the layers have after training with SGD?
#
# - As at the start.
# - By their numbers of weights: {{below: 100 * of_weights[0]:.0f}}, {{below: 100 * of_weights[1]:.0f}} and {{below: 100 * of_weights[2]:.0f}} %.
# - Equal ones.

# %%
from l2lib.datasets import load

digits = load("digits")
pixels = digits.scaled(16, centre=True)  # grey levels over 16, minus each pixel's mean
images, labels = torch.tensor(pixels), torch.tensor(digits.y)

# %%
def new_network():
    return nn.Sequential(nn.Linear(64, 256, bias=False), nn.ReLU(),
                         nn.Linear(256, 32, bias=False), nn.ReLU(), nn.Linear(32, 10, bias=False))


torch.manual_seed(seeds(1)[0])
net = new_network()
optimizer = torch.optim.SGD(net.parameters(), lr=0.5, weight_decay=0.003)

# %%
for _ in range(1500):
    batch = torch.randint(len(images), (64,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
    optimizer.step()
squared_norms = np.array([(w.detach() ** 2).sum() for w in net.parameters()])
print((squared_norms / squared_norms.sum()).round(2))  # the layers' shares

# %% tags=["hide-input"]
assert squared_norms.max() < 1.1 * squared_norms.min(), "not equal, as the text says"

# %% [markdown]
# The shares are nearly equal.
#
# **Predict again.** Of these three answers, which does AdamW give?
#
# The helper `sweep` trains with SGD and with AdamW, from five seeds each, and records $\lVert W_l\rVert$ as `norm`. The *root mean square* (RMS) of a layer's weights is the root of the mean of their squares.

# %%
from itertools import pairwise

from l2lib.sweep import MLP, sweep

widths = (64, 256, 32, 10)
model = MLP(widths, bias=False)  # the layers of new_network()
sizes = np.array([a * b for a, b in pairwise(widths)])  # numbers of weights
of_weights = sizes / sizes.sum()

# %%
options = {"loss": "cross_entropy", "seeds": seeds(5), "batch_size": 64,
           "evaluate_every": 100, "evaluate_on": 300}  # on the first 300 training images
sgd = sweep(model, pixels, digits.y, lr=0.5, weight_decay=0.003, steps=1500,
            record_every=25, **options)  # norms at every 25th step
# AdamW has PyTorch's usual momentum here, 0.9; ηλ is larger than SGD's, so fewer steps suffice
adamw = sweep(model, pixels, digits.y, optimizer="adamw", lr=0.01, weight_decay=[0.0, 0.6],
              steps=400, record_every=5, **options)
for kind, run in (("SGD", sgd), ("AdamW", adamw)):
    print(f"training accuracy with {kind}: {run.train_accuracy[..., -1].mean().item():.2f}")
squares = sgd.norm**2  # an array whose axes have names: seed, layer, step
squares_adamw = adamw.norm**2
share = squares / squares.sum("layer")
share_adamw = squares_adamw / squares_adamw.sum("layer")

# %% tags=["hide-input"]
names = [f"{b} × {a}" for a, b in pairwise(widths)]
order = ["first layer", "second layer", "third layer"]

# %% tags=["hide-input"]
with_decay, without_decay = share_adamw.sel(weight_decay=0.6), share_adamw.sel(weight_decay=0)

# %% tags=["hide-input"]
def draw_shares(left, right):
    for layer, name in enumerate(names):
        look = {"color": f"C{layer}", "lw": 1.6, "label": name}
        mark = {"color": f"C{layer}", "ms": 7, "clip_on": False, "label": f"_size {name}"}
        left.plot(share.step, share[:, layer].T, **look)
        right.plot(with_decay.step, with_decay[:, layer].T, **look)
        right.plot(408, of_weights[layer], "<", **mark)
    left.plot(1530, 1 / 3, "<", color="black", ms=7, clip_on=False, label="_third")
    left.set(title="SGD: equal shares", ylabel="share of the squared norm", ylim=(-0.03, 1))
    right.set(title="AdamW: unequal shares", ylabel=" ", ylim=(-0.03, 1))
    keys = "◂ equal shares", "coloured ◂: fraction of all weights"
    for ax, words in zip((left, right), keys, strict=True):
        ax.text(0.98, 0.88, words, ha="right", va="top", transform=ax.transAxes, color="black")
    for ax in (left, right):
        ax.set(xlabel=" "), ax.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
        ax.tick_params(labelbottom=True)


# %% tags=["hide-input"]
def draw_rms(left, right):
    for ax, found in ((left, squares), (right, squares_adamw.sel(weight_decay=0.6))):
        for layer, name in enumerate(names):
            each = (found[:, layer] / sizes[layer]) ** 0.5
            ax.plot(each.step, each.T, color=f"C{layer}", lw=1.6, label=name)
        tracks = [figures.drawn(ax)[name].y.mean(0) for name in names]
        ax.fill_between(found.step, np.min(tracks, 0), np.max(tracks, 0), color="black", alpha=0.08)
        ends = [track[[0, -1]] for track in tracks]
        first, last = np.max(ends, 0) / np.min(ends, 0)
        ax.text(0.98, 0.98, f"largest : smallest\n{first:.1f} → {last:.1f}", ha="right", va="top",
                transform=ax.transAxes, size=10, color="black")
    for ax, title in ((left, "SGD: unequal RMS"), (right, "AdamW: similar RMS")):
        ax.set(title=title, yscale="log", ylim=(0.02, 0.9), ylabel=" ", xlabel="training step")
        ax.set_yticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"]), ax.minorticks_off()
    left.set_ylabel("RMS of the weights")


# %% tags=["hide-input"]
fig, ((left, right), (low, low_right)) = figures.subplots(2, 2, sharex="col", figsize=(6.8, 5.6))
draw_shares(left, right), draw_rms(low, low_right)
left.set(xlim=(0, 1560), xticks=(0, 500, 1000, 1500)), right.set(xlim=(0, 416))
for ax, words in ((left, "η = 0.5, λ = 0.003"), (right, "η = 0.01, λ = 0.6")):
    ax.text(0.98, 0.98, words, color=figures.GREY, ha="right", va="top", transform=ax.transAxes)
for ax, ups in ((left, (0.55, 0.185, 0.11)), (right, (0.53, 0.41, 0.085)),
                (low, (0.17, 0.4, 0.68)), (low_right, (0.37, 0.3, 0.7))):
    for layer, up in enumerate(ups):
        words = order[layer] + (f": {sizes[layer]:,} weights" if ax is left else "")
        at = (0.66, 0.1, 0.26)[layer] if ax is low_right else 0.26
        ax.text(at, up, words, size=9.5, color=f"C{layer}", transform=ax.transAxes)

# %% tags=["hide-input"]
curves, right_curves = figures.drawn(left), figures.drawn(right)
roots, right_roots = figures.drawn(low), figures.drawn(low_right)
first_shares = [curves[name].at(0).mean() for name in names]
far = max(abs(curves[name].y[:, curves[name].x[0] >= 1000] - 1 / 3).max() for name in names)
last_shares = np.array([right_curves[name].y[:, right_curves[name].x[0] >= 200].mean()
                        for name in names])
marked = np.array([right_curves[f"_size {name}"].y[0] for name in names])
ends = [[lines[name].y[:, -1].mean() for name in names] for lines in (roots, right_roots)]
words = [", ".join(f"{one:.2f}" for one in some)
         for some in (first_shares, last_shares, marked, *ends)]
figures.show(fig, "Share of the squared norm that each of three layers has in training (top), and "
             f"RMS of its weights (bottom); 5 seeds. All shares start at {words[0]}. "
             f"Left: under SGD all run to {curves['_third'].y[0]:.2f}, from step 1000 on within "
             f"{far + 0.005:.2f} of it. The layers' RMS end at {words[3]}. Right: under AdamW the "
             f"shares are {words[1]} in the second half, on average; triangles mark the layers' "
             f"fractions of all weights, {words[2]}. RMS end at {words[4]}.", number="0.3",
             caption="Lines of five seeds, which nearly coincide. Triangles mark equal shares "
             "(left) and the layers' fractions of all weights (right). Bottom, on "
             "logarithmic axes: grey bands reach from the smallest RMS of a layer to the largest; "
             "numbers are their ratio at the start and the end.")

# %% [markdown]
# In Figure 0.3 all shares become 1/3 under SGD (top left), although the numbers of weights differ by a factor of {{sizes[0] / sizes[-1]:.0f}}.

# %% tags=["hide-input"]
by_rms = np.square(ends) * sizes  # the squared norms
for each, lines in zip(by_rms, (curves, right_curves), strict=True):
    last = [lines[name].y[:, -1].mean() for name in names]
    assert abs(each / each.sum() - last).max() < 0.01, "not the RMS of these shares"

# %% tags=["hide-input"]
at_start = np.array([curves[name].at(0) for name in names])  # three layers, five runs
at_end = np.array([curves[name].at(1500) for name in names])
claim("00-start", "Before training, the first layer's squared norm is at least {} times the last "
      "one's, in each of five seeds; PyTorch's start gives about 256/10",
      measured=(at_start[0] / at_start[2]).min(), equals=256 / 10, within=256 / 40)
claim("00-balance", "After training with SGD, the largest squared norm of a layer is at most {} "
      "times the smallest, in each of five seeds",
      measured=at_end.max(0) / at_end.min(0), below=1.1)

# %% [markdown]
# Under AdamW (top right) the second answer comes closest, shares by number of weights: in the second half of training they are {{below: 100 * mean_share[0].mean():.0f}}, {{below: 100 * mean_share[1].mean():.0f}} and {{below: 100 * mean_share[2].mean():.0f}} %. Equal RMS would give exactly the fractions of weights. And the RMS do become similar (bottom right): at the start the largest is {{below: start_ratio:.1f}} times the smallest, in the second half of training {{below: ratios.mean():.2f}} times on average. Later the ratio grows to about two (Limits, §0.6).
#
# <details>
# <summary>Is it decay that makes them similar?</summary>
#
# No. Without decay the ratio falls even further, to {{below: bare_ratios.mean():.2f}}. The starting weights are so small that after a few dozen steps most of each layer's squared norm comes from training. To see what decay does, §0.5 starts one layer large.
#
# </details>
#
# So one large layer in a log is no sign that λ is wrong: here the first layer has the largest squared norm for hundreds of steps, under SGD as under AdamW, although λ is the same for all layers and the network learns well.

# %% tags=["hide-input"]
mean_share = np.array([right_curves[name].y[:, right_curves[name].x[0] >= 200].mean(1)
                       for name in names])  # three layers, five runs
rms = (mean_share / marked[:, None]) ** 0.5  # of a layer's weights, up to a factor
ratios = rms.max(0) / rms.min(0)
first_rms = (at_start / marked[:, None]) ** 0.5
start_ratio = np.mean(first_rms.max(0) / first_rms.min(0))
assert start_ratio > 2.4, "at the start the RMS are not less similar"
assert 1.2 < ratios.min() <= ratios.max() < 2.4, "RMS are not similar"

# %% tags=["hide-input"]
bare_runs = without_decay.sel(step=slice(200, None)).mean("step").values.T  # layers, runs
bare, bare_rms = bare_runs.mean(1), (bare_runs / marked[:, None]) ** 0.5
bare_ratios = bare_rms.max(0) / bare_rms.min(0)
assert without_decay.weight_decay == 0 < with_decay.weight_decay, "the control decays, too"
assert 1.2 < bare_ratios.min() <= bare_ratios.max() < 2.4, "without decay RMS are not similar"

# %% tags=["hide-input"]
gained = squares_adamw.sel(weight_decay=0).mean("seed").sel(step=40) / (
    squares_adamw.sel(weight_decay=0).mean("seed").isel(step=0))
assert gained.min() > 2, "the steps add less than the start"
assert min(bare[0] - 0.5, 0.1 - bare[2]) > 0, "without decay the shares are not by size"
assert 0.75 < bare_ratios.mean() / ratios.mean() < 1, "without decay less similar, or far more"
assert min(each.train_accuracy[..., -1].min() for each in (sgd, adamw)) > 0.95, "not trained"

# %% tags=["hide-input"]
thirds = 3 * curves["_third"].y[0]
claim("00-sum", "The layers' shares add up to 1, and so do the marked fractions",
      measured=[*at_start.sum(0), *at_end.sum(0), marked.sum(), thirds], equals=1, within=1e-9)

# %% [markdown]
# The sizes matter because a step of the same length changes a small matrix relatively more (chapters [7](07_scale_invariance.ipynb) to [10](10_weights_of_norm_one.ipynb)).
#
# **In this network SGD with decay makes the layers' shares equal. From PyTorch's start AdamW makes their RMS similar here, with decay or without.** If one layer starts large, AdamW makes the RMS similar only with decay (§0.5).
#
# ## 0.4 Why does SGD make the layers equal?
#
# Make one layer larger and the next smaller by the same factor: what changes (Figure 0.4)?
#
# 1. Multiply a layer's weights by some $c>0$, and divide the next layer's weights by $c$. Since $\operatorname{relu}(cz)=c\operatorname{relu}(z)$, this changes neither
#    the network's function (left) nor the loss.
# 2. But the two squared norms in the penalty become $c^2\lVert W_1\rVert^2$ and $\lVert W_2\rVert^2/c^2$. Their product stays the same.
# 3. Two positive numbers with a given product have the smallest sum when they are equal (right). **So neighbouring layers have equal squared norms at every minimum of loss plus penalty.**
#
# This needs ReLU (or another $f$ with $f(cz)=c\,f(z)$) between them, the same λ for both, no penalty on biases (Exercise 8), and no normalisation or skip connection in between.
#
# Our trained network is nearly balanced, so $c=2$ must raise its penalty:

# %%
from copy import deepcopy

scaled = deepcopy(net)
with torch.no_grad():
    scaled[0].weight *= 2
    scaled[2].weight /= 2
    print("same outputs:", torch.allclose(scaled(images), net(images)))
    penalties = [sum((each[i].weight ** 2).sum() for i in (0, 2, 4)) for each in (net, scaled)]
    print(f"penalty: {penalties[1] / penalties[0]:.2f} times as large")

# %% tags=["hide-input"]
becomes = (4 * squared_norms[0] + squared_norms[1] / 4 + squared_norms[2]) / squared_norms.sum()
assert abs(penalties[1] / penalties[0] - becomes) < 1e-9, "another penalty"
with torch.no_grad():
    claim("00-scaled", "With c = 2 the network's outputs stay the same",
          measured=scaled(images) - net(images), equals=0, within=1e-9)

# %% tags=["hide-input"]
def draw_net(ax, left, first, following):
    places = {"in": [(left, 1), (left, 3)], "hidden": [(left + 1.3, 1), (left + 1.3, 3)]}
    for width, start in zip(first, places["in"], strict=True):
        for tip in places["hidden"]:
            ax.plot(*zip(start, tip, strict=True), color="C0", lw=4 * width, zorder=1)
    for width, start in zip(following, places["hidden"], strict=True):
        ax.plot(*zip(start, (left + 2.6, 2), strict=True), color="C1", lw=4 * width, zorder=1)
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
                                     (5.4, 4.05, "with c = 1/√2", "black"),
                                     (4.6, 3.5, "× c", "C0"), (6.2, 3.5, "÷ c", "C1")):
        ax.text(across, up, words, color=color, size=11, ha="center")
    for across, up, words in ((0.3, 3.6, "inputs"), (1.6, 3.6, "ReLU"), (2.95, 2.5, "output")):
        ax.text(across, up, words, color=figures.GREY, size=9, ha="center")
    ax.text(3.5, 2, "=", size=18, ha="center", va="center")
    ax.set(xlim=(0, 7), ylim=(-0.3, 4.9), xticks=[], yticks=[], title="The same function …")
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
    ax.plot([1, 1, 1], [4, 1, 5], "o", color="white", mec="black", ms=7, label="_now")
    ax.annotate("c = 1: 4 + 1", (1, 5), (0.62, 6.6), size=10, arrowprops={"arrowstyle": "->"})
    ax.annotate("2 + 2", (0.5**0.5, 4), (0.62, 5.2), size=10, arrowprops={"arrowstyle": "->"})
    ax.axvline(0.5**0.5, ymax=4 / 7.5, color=figures.GREY, ls=":", lw=1.2, label="_lowest")
    ax.set(xlabel="factor c", ylabel="squared norm", xlim=(0.42, 1.3), ylim=(0, 7.5))
    ax.set_xticks([0.5, 0.5**0.5, 1, 1.25], ["0.5", "1/√2", "1", "1.25"])
    ax.set_title("… costs least at equal norms")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.2))
draw_nets(left), draw_valley(right), fig.get_layout_engine().set(wspace=0.08)
valley = figures.drawn(right)
lowest = valley["sum"].x[valley["sum"].y.argmin()]
right.plot(lowest, valley["sum"].at(lowest), "o", color="black", ms=7, label="_dot")
figures.show(fig, "Left: two drawings of one network, with lines as thick as weights are large. In "
             f"the second the first layer is multiplied by {lowest:.2f} and the next divided by "
             "it; their "
             "squared norms 4 and 1 become 2 and 2. Right: the squared norms against c. Their "
             f"sum is least at c = {lowest:.2f}, where they are "
             f"{valley['first'].at(lowest):.1f} and {valley['next'].at(lowest):.1f}.", number="0.4",
             caption="Left: lines are weights, the thicker the larger; numbers are the layers' "
             "squared norms. Right: what becomes of them when the first layer is multiplied by c; "
             "open dots are the network before, the black one is the lowest sum.")

# %% [markdown]
# **How long does training take to get there?** We follow the difference of two squared norms. Let $g_l$ be the gradient of a batch's loss with respect to $W_l$. Write $\langle W,g\rangle$ for the sum of weight times gradient over all weights of a layer.
#
# 4. Let the weights be $cW_1$ and $W_2/c$. The loss does not depend on $c$, so its derivative with respect to $c$ is zero at $c=1$. By the chain rule this says $\langle W_1,g_1\rangle=\langle W_2,g_2\rangle$.
# 5. The step (0.1) turns $\lVert W_l\rVert^2$ into $a^2\lVert W_l\rVert^2-2a\eta\langle W_l,g_l\rangle+\eta^2\lVert g_l\rVert^2$, with $a=1-\eta\lambda$.
# 6. In the difference $D=\lVert W_1\rVert^2-\lVert W_2\rVert^2$ the middle terms cancel. Two things still change $D$: decay shrinks it, and the gradients' squared norms add to it or take from it. Without biases this is exact:
#
# $$D\leftarrow(1-\eta\lambda)^2D+\eta^2\left(\lVert g_1\rVert^2-\lVert g_2\rVert^2\right)\tag{0.2}$$
#
# By point 4, (0.2) also holds for the first and the third layer. Decay alone would leave $(1-\eta\lambda)^{2t}$ of the difference after $t$ steps: $1/e$ after about $1/(2\eta\lambda)$ steps, here {{1 / (2 * 0.5 * 0.003):.0f}}.

# %% tags=["hide-input"]
first = sweep(model, pixels, digits.y, steps=50, lr=0.5, weight_decay=0.003, **options)
inner = first.norm * first.gradient_norm * first.cosine  # ⟨W, g⟩ at each step
added = (-2 * (1 - 0.5 * 0.003) * 0.5 * inner[..., :50]).sum("step")  # five seeds, three layers
assert (added[:, 2] > 3 * first.norm[:, 2, 0] ** 2).all(), "the loss adds little to the third layer"

# %% tags=["hide-input"]
claim("00-same", "⟨W, g⟩, added up over 50 steps, is the same for all layers (§0.4, point 4): "
      "the difference is 0",
      measured=added - added[:, :1], equals=0, within=1e-9)

# %% tags=["hide-input"]
early = first.norm**2  # the same runs, each of their first 50 steps
assert abs(early - squares).max() < 1e-9, "other runs"
dense_steps = [*range(51), *range(75, 1501, 25)]
dense = np.concatenate([early, squares.sel(step=slice(75, None))], -1)


# %% tags=["hide-input"]
def draw_time(left, right):
    for layer, name in enumerate(names):
        left.plot(dense_steps, dense[:, layer].T, color=f"C{layer}", lw=1.3, label=name)
    for other in (1, 2):
        gap = (squares[:, 0] - squares[:, other]).values  # five runs, recorded steps
        right.plot(squares.step, (gap / gap[:, :1]).T, color=f"C{other}", lw=5 - 1.8 * other,
                   alpha=1 if other == 2 else 0.5, label=f"minus {other}")
    right.plot(squares.step, (1 - 0.5 * 0.003) ** (2 * squares.step), "--", color="black",
               label="law")
    t = round(1 / (2 * 0.5 * 0.003))
    right.plot(t, (1 - 0.5 * 0.003) ** (2 * t), "o", color="black", ms=5, label="_e")
    left.set(title="Layers approach each other …", ylabel="squared norm", ylim=(0, 105))
    right.set(title="… differences fade slowly", yscale="log", ylim=(0.008, 1.3))
    right.set_ylabel("fraction of the difference left")
    right.set_yticks([0.01, 0.1, 1], ["1 %", "10 %", "100 %"]), right.minorticks_off()
    for ax in (left, right):
        ax.set(xlabel="training step", xlim=(0, 1500), xticks=(0, 500, 1000, 1500))


# %% tags=["hide-input"]
def label_time(left, right):
    for words, up, color in (("first layer", 74, "C0"), ("second layer", 34, "C1"),
                             ("third layer", 26, "C2")):
        left.text(420, up, words, color=color, size=10)
    right.text(1450, 0.75, "first minus second layer", color="C1", size=10, ha="right")
    right.text(1450, 0.5, "first minus third layer", color="C2", size=10, ha="right")
    right.text(150, 0.03, "dashed: (1 − ηλ)²ᵗ", color="black", size=10)
    left.text(560, 87, "η = 0.5, λ = 0.003", color=figures.GREY, size=10)
    mark = figures.drawn(right)["_e"]
    right.text(480, 0.3, f"law: {100 * mark.y[0]:.0f} % at step {mark.x[0]:.0f}", size=10)


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.3))
draw_time(left, right), label_time(left, right)
lifted, fading = figures.drawn(left), figures.drawn(right)
rises = np.array([(lifted[name].at(50) - lifted[name].at(0)).mean() for name in names])
parts = np.array([fading[f"minus {layer}"].y for layer in (1, 2)])
figures.show(fig, "SGD, five seeds. Left: squared norms of three layers; in the first 50 steps "
             f"they grow by {rises[0]:.0f}, {rises[1]:.0f} and {rises[2]:.0f} (the first one dips "
             "before, as decay takes most from the largest), later they approach each other. "
             "Right: differences from the first layer's, as parts of those at the "
             f"start, on a logarithmic axis: {parts[..., 20].mean():.3f} is left after "
             f"{fading['law'].x[20]:.0f} steps and {parts[..., -1].mean():.3f} at the end; the "
             "dashed law has "
             f"{fading['law'].y[20]:.3f} and {fading['law'].y[-1]:.3f}.", number="0.5",
             caption="Lines of five seeds. Right: the first layer's squared norm minus each of the "
             "other two, as a fraction of this difference at the start, on a logarithmic axis. "
             "The orange and the green lines coincide.")

# %% tags=["hide-input"]
way = np.array([curves[name].at(0) - curves[name].at(100) for name in names])
way /= at_start - 1 / 3  # the part of the way to 1/3, three layers, five runs
assert way.min() > 0.5, "not half of the way in 100 steps"
assert squares.step[4] == 100, "another step's differences"
assert (lifted[names[0]].at(25) < lifted[names[0]].at(0)).all(), "the first layer does not dip"

# %% [markdown]
# In Figure 0.5 (right) the differences fade slowly, by decay. At the end {{100 * parts[..., -1].mean():.1f}} % is left, although decay alone would leave {{100 * fading["law"].y[-1]:.1f}} %. The rest comes from the last term of (0.2). Our network fits its examples, so its gradients shrink and the last term fades. Then decay can bring $D$ towards zero.
#
# <details>
# <summary>Where does the difference end?</summary>
#
# Of what is left at the end, {{100 * (parts[..., -1].mean() - fading["law"].y[-1]):.1f}} percentage points come from the last term of (0.2): the first layer's gradient is on average the larger one. In the long run the two balance: each step this term adds what decay takes, about $2\eta\lambda D$. So $D$ ends near $\eta/(2\lambda)$ times the mean of $\lVert g_1\rVert^2-\lVert g_2\rVert^2$. If the gradients are as large as before, a smaller η leaves a smaller $D$, but needs more steps. With wrong labels or small batches the gradients remain large, and so does $D$ (Exercise 6).
#
# </details>
#
# <details>
# <summary>Why do the small layers catch up at once (left)?</summary>
#
# The shares went {{100 * way.mean():.0f}} % of the way to 1/3 in the first {{squares.step[4].item()}} steps. The middle term of point 5, $-2a\eta\langle W,g\rangle$, does most of this. It adds the same amount to every layer (point 4), about {{added.mean():.0f}} in {{inner[..., :50].step.size}} steps. That is much for the third layer, which starts at {{squares[:, 2, 0].mean():.0f}}, and little for the first, which starts at {{squares[:, 0, 0].mean():.0f}}. The first layer even dips before it rises, because decay takes most from the largest layer.
#
# </details>

# %% tags=["hide-input"]
law = (1 - 0.5 * 0.003) ** (2 * 325)
nearest = round(1 / (2 * 0.5 * 0.003) / 25) * 25  # to this step, among those recorded
assert nearest == 13 * 25, "another step is nearer"
claim("00-time", f"After {nearest} steps decay alone would leave {law:.3f} of each difference "
      "from the first layer's squared norm; the farthest of the five runs has {} left",
      measured=parts[..., 13], equals=law, within=0.02)

# %% [markdown]
# **If the gradients become small, a long run of SGD with decay makes neighbouring layers' norms nearly equal.**
#
# ## 0.5 What does AdamW make equal?
#
# §0.4 does not apply: AdamW does not minimise loss plus penalty, so point 3 fails. And $\langle W,g/\sqrt v\rangle$ differs from layer to layer (the pale bars of Figure 0.8), so nothing cancels in point 6.
#
# AdamW divides each gradient by $\sqrt v$, the RMS of that weight's recent gradients. We call the part of the update without decay, $-\eta g/\sqrt v$, the *step* Δ. Take its root mean square over a layer's weights and over many steps: without momentum it is near $\eta$ in every layer, unless the gradients shrink much faster than $v$ forgets. (With momentum single steps are shorter, but successive ones add up.) Do steps of equal RMS make the weights' RMS equal?
#
# **First, noise.** Let gradients be only noise: independent at every step, always of the same distribution, and symmetric about zero. Let $\overline{w^2}$ be the mean square of many weights.
#
# 1. *Decay takes.* It turns $w$ into $aw$ with $a=1-\eta\lambda$, and so takes about $2\eta\lambda\,\overline{w^2}$ from the mean square.
# 2. *The gradients add.* The mean square of $aw+\Delta$ is $a^2\overline{w^2}+2a\,\overline{w\Delta}+\overline{\Delta^2}$. The sign of Δ is random, whatever $w$ and $|\Delta|$ are, so $\overline{w\Delta}=0$ on average. What is added is $\overline{\Delta^2}\approx\eta^2$, the same in every layer.
# 3. *The two balance* where $2\eta\lambda\,\overline{w^2}=\eta^2$. There the RMS of the weights depends on η and λ alone:
#
# $$w_{\mathrm{rms}}\approx\sqrt{\frac{\eta}{2\lambda}}\tag{0.3}$$
#
# Neither the scale of the gradients nor the start enters, so all layers would get the same RMS.

# %%
lr, lam = 0.01, 0.6
expected = (lr / (2 * lam)) ** 0.5  # by (0.3)
torch.manual_seed(seeds(1)[0])
noise = {}  # the mean square of the weights, after each step
for scale, start in ((0.1, 0.2), (10, 0.0)):
    weights = train_on_noise(torch.optim.AdamW, lr, lam, scale, start, steps=700)
    noise[scale] = (weights**2).mean(1)
free = train_on_noise(torch.optim.AdamW, lr, 0.0, 1, 0.2, steps=700)  # no decay

# %% tags=["hide-input"]
shrink = 1 - lr * lam


def draw_noise(ax):
    for scale, square in noise.items():
        ax.plot(range(1, 701), square**0.5, color=scale_colors[scale], label=f"{scale}")
    ax.plot(range(1, 701), (free**2).mean(1) ** 0.5, ":", color=figures.GREY, label="_free")
    ax.axhline(expected, color="black", ls="--", lw=1.2, label="law")
    ax.set(title="Noise: the start is forgotten", ylabel="RMS of the weights", ylim=(0, 0.4))
    ax.set(xlabel="training step", xlim=(0, 700))


# %% tags=["hide-input"]
def draw_balance(ax):
    for scale, square in noise.items():
        blocks = square.reshape(14, 50)
        taken = (1 - shrink**2) * blocks[:, :-1].mean(1)  # by decay, in a step
        gained = (blocks[:, -1] - blocks[:, 0]) / 49 + taken  # from the gradients
        ax.plot(blocks.mean(1) ** 0.5, gained / lr**2, "o", ms=4, color=scale_colors[scale],
                label=f"{scale}")
    r = np.linspace(0, 0.21, 43)
    ax.plot(r, 2 * lr * lam * r**2 / lr**2, color="black", label="decay")
    ax.axhline(1, color=figures.GREY, label="gradients")
    ax.axvline(expected, color="black", ls="--", lw=1.2, label="_law")
    ax.set(title="Decay balances the gradients", xlabel="RMS of the weights", xlim=(0, 0.21))
    ax.set(ylabel="change in mean square per step", ylim=(0, 4))
    ax.set_yticks(range(5), ["0", "η²", "2η²", "3η²", "4η²"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.3))
draw_noise(left), draw_balance(right), fig.get_layout_engine().set(wspace=0.08)
for ax, words, at, up, color in ((left, "without decay", 330, 0.225, figures.GREY),
                                 (left, "gradients of scale 0.1", 90, 0.155, "C3"),
                                 (left, "gradients of scale 10", 120, 0.03, "C5"),
                                 (left, "√(η/2λ), by (0.3)", 350, 0.105, "black"),
                                 (left, "η = 0.01, λ = 0.6", 20, 0.37, figures.GREY),
                                 (right, "decay takes\n2ηλ times\nmean square", 0.141, 1.35, "k"),
                                 (right, "gradients add η²", 0.115, 0.6, figures.GREY),
                                 (right, "weights grow →", 0.004, 3.65, "k"),
                                 (right, "← weights\n    shrink", 0.099, 3.3, "k")):
    ax.text(at, up, words, color=color, size=10)

# %% tags=["hide-input"]
alone, balance = figures.drawn(left), figures.drawn(right)
level = np.concatenate([balance[scale].y for scale in ("0.1", "10")])
figures.show(fig, "Weights with noise for gradients, under AdamW without momentum, η = 0.01 and "
             "λ = 0.6. Left: root mean square (RMS) over the steps; it ends at "
             f"{alone['0.1'].y[-1]:.3f} and {alone['10'].y[-1]:.3f}, from above and below, and "
             f"√(η/2λ) is {alone['law'].y[0]:.3f}; without decay it grows to "
             f"{alone['_free'].y[-1]:.2f}. Right: what a step changes in the mean square, against "
             "the RMS. What decay takes rises from 0 to "
             f"{balance['decay'].at(0.18):.1f} η² at an RMS of 0.18; what gradients add stays near "
             f"η², measured from {level.min():.1f} to {level.max():.1f} η². The lines cross at "
             f"{balance['_law'].x[0]:.3f}.", number="0.6",
             caption="Right: dots are what the gradients added to the mean square, measured over "
             "50 steps each, in the colours of the left. Dashed on both sides is the law (0.3).")

# %% [markdown]
# In Figure 0.6 the RMS reaches the value in (0.3), from above and from below (left). What gradients add does not depend on how large the weights are, but decay takes more from larger ones (right).

# %% tags=["hide-input"]
growth = lr**2 * torch.arange(100, 701, 100)
assert abs((free**2).mean(1)[99::100] / (0.2**2 + growth) - 1).max() < 0.05, "not start plus η²t"
assert abs(level.mean() - 1) < 0.05, "the gradients add another amount"
taken = np.interp(expected, balance["decay"].x, balance["decay"].y)  # at (0.3)
assert abs(taken - 1) < 0.01, "the lines cross elsewhere"

# %% tags=["hide-input"]
over_law = np.array([alone[scale].y[600:].mean() / expected for scale in ("0.1", "10")])
claim("00-noise", "With noise for gradients, small ones or large, the weights' RMS ends within "
      "{:.1f} % of √(η/2λ)", measured=100 * abs(over_law - 1), below=5)

# %% [markdown]
# <details>
# <summary>How long does it take, and what happens without decay or with momentum?</summary>
#
# A step multiplies the distance of $\overline{w^2}$ from its limit by $(1-\eta\lambda)^2$, so the distance falls to $1/e$ in $1/(2\eta\lambda)$ steps, here {{1 / (2 * lr * lam):.0f}}, as in §0.4. Without decay nothing of the start is lost, and $t$ steps add $\eta^2t$ to the mean square (dotted in Figure 0.6). With momentum (0.3) nearly holds (Exercise 9).
#
# </details>
#
# **Now the network** of §0.3. PyTorch starts the weights so small that training soon outgrows them, whether they decay or not. To see decay remove a start, we multiply the first layer's starting weights by 4. As above we leave out momentum. Here $v$ averages over only about 100 steps, so that it follows the gradients as they shrink:

# %%
def train_network(lr, decay, betas=(0.0, 0.99)):  # no momentum; v remembers about 100 steps
    torch.manual_seed(seeds(1)[0])
    fresh = new_network()
    fresh[0].weight.data *= 4  # the large start
    optimizer = torch.optim.AdamW(fresh.parameters(), lr=lr, weight_decay=decay, betas=betas)
    weights_at = [[w.detach().clone() for w in fresh.parameters()]]
    for _ in range(700):
        batch = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(fresh(images[batch]), labels[batch]).backward()
        optimizer.step()
        weights_at.append([w.detach().clone() for w in fresh.parameters()])
    return weights_at  # the layers' weights at the start and after each step


# %%
def rms_of(run):  # steps × layers
    return np.array([[(w**2).mean().item() ** 0.5 for w in layers] for layers in run])


decayed_at, undecayed_at = train_network(lr, lam), train_network(lr, 0.0)
net_rms = {lam: rms_of(decayed_at), 0.0: rms_of(undecayed_at)}
for decay, rms in net_rms.items():
    print(f"λ = {decay}: first layer's RMS {rms[0, 0]:.2f} → {rms[-1, 0]:.2f}")

# %% tags=["hide-input"]
second_half = pairwise(decayed_at[350:])
steps = [[(old, new - shrink * old) for old, new in zip(*pair, strict=True)]
         for pair in second_half]  # w and Δ of the layers
means = torch.tensor([[(delta**2).mean(), (old * delta).mean()]
                      for pair in steps for old, delta in pair]).reshape(-1, 3, 2).numpy()
step_square, product = means.mean(0).T

# %% tags=["hide-input"]
typical_step = np.median(means[..., 0], 0) ** 0.5 / lr  # in units of η
grown = np.diff(net_rms[lam][350:] ** 2, axis=0).mean(0)  # what the mean square gains in a step
growth = grown + (1 - shrink**2) * (net_rms[lam][350:-1] ** 2).mean(0)  # and what decay took
larger = means[..., 0] ** 0.5 > typical_step * lr
assert abs(larger.mean(0) - 0.5).max() < 0.01, "not half of the steps are larger"

# %% tags=["hide-input"]
usual = [rms_of(train_network(lr, decay, (0.9, 0.999))[-1:])[0] for decay in (lam, 0.0)]
usual_ratio = [each.max() / each.min() for each in usual]  # with decay and without
still = torch.tensor([[((new - old) ** 2).mean() for old, new in zip(*pair, strict=True)]
                      for pair in pairwise(undecayed_at)]).numpy()  # 700 steps × layers
still_rms = np.median(still[350:], axis=0) ** 0.5 / lr  # half of the steps have less
assert still_rms.max() < 0.2, "without decay the steps do not vanish"
assert usual_ratio[0] < 0.85 * usual_ratio[1], "with the usual betas the start is not forgotten"

# %% tags=["hide-input"]
def draw_starts(left, right):
    for ax, (decay, each) in zip((left, right), net_rms.items(), strict=True):
        for layer, name in enumerate(order):
            ax.plot(range(701), each[:, layer], color=f"C{layer}",
                    label=name if decay else f"_without {name}")
        ax.set(xlabel="training step", xlim=(0, 700), ylim=(0, 0.4), xticks=(0, 200, 400, 600))
    left.axhline(expected, color="black", ls="--", lw=1.2, label="law")
    left.set(title="Decay forgets the start", ylabel="RMS of the weights")
    right.set(title="Without decay the start stays", ylabel=" ")


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, sharey=True, figsize=(6.8, 3.3))
draw_starts(left, right)
for ax, words, at, up, color in ((left, "first layer", 90, 0.235, "C0"),
                                 (left, "third layer", 400, 0.218, "C2"),
                                 (left, "second layer", 72, 0.052, "C1"),
                                 (left, "√(η/2λ), by (0.3)", 330, 0.065, "black"),
                                 (left, "η = 0.01, λ = 0.6", 330, 0.02, figures.GREY),
                                 (right, "first layer", 350, 0.358, "C0"),
                                 (right, "third layer", 350, 0.253, "C2"),
                                 (right, "second layer", 350, 0.155, "C1"),
                                 (right, "η = 0.01, λ = 0", 330, 0.02, figures.GREY)):
    ax.text(at, up, words, color=color, size=10)

# %% tags=["hide-input"]
starts, free_starts = figures.drawn(left), figures.drawn(right)
kept = [starts["first layer"].y, free_starts["_without first layer"].y]
solid = [starts[name].y[-1] for name in order]
loose = [free_starts[f"_without {name}"].y[-1] for name in order]
figures.show(fig, "RMS of the weights of the network's three layers over 700 steps of AdamW "
             f"without momentum, η = 0.01. The first layer starts at {kept[0][0]:.2f}. Left: with "
             f"λ = 0.6 it falls to {kept[0][-1]:.2f}, and the other two end at {solid[1]:.2f} and "
             f"{solid[2]:.2f}; the law (0.3) is {starts['law'].y[0]:.2f}. Right: without decay the "
             f"first layer grows to {kept[1][-1]:.2f}, the other two end at {loose[1]:.2f} and "
             f"{loose[2]:.2f}.", number="0.7",
             caption="The same start and the same batches on both sides, one seed. The dashed line "
             "is the law (0.3). Right: jumps are long steps, made for a badly fitted batch "
             "after many that were fitted well; in the second half, the RMS of half of the steps "
             f"is at most {still_rms.max():.2f} η, in each layer.")

# %% [markdown]
# With decay the large first layer shrinks to the size of the second (Figure 0.7, left). Without decay it stays large (right). There the network soon fits all its examples: its gradients vanish faster than $v$ forgets the old ones. So most steps vanish, too, and the lines become nearly flat. The usual `betas` give the same picture: the largest RMS ends at {{usual_ratio[0]:.1f}} times the smallest, without decay at {{usual_ratio[1]:.1f}} times.
#
# But even with decay all layers end above (0.3), the third one highest. The steps' RMS is near $\eta$ in all layers ({{below: step_rms.min():.2f}} to {{below: step_rms.max():.2f}} $\eta$), so it is not the cause. Is it the steps' direction?

# %% tags=["hide-input"]
def draw_step(ax, up, along, across):  # w from 0 to 3, then a step; the arc is the length of w
    turn = np.linspace(-0.08, 0.34, 26)
    ax.plot(3 * np.cos(turn), up + 3 * np.sin(turn), ":", color=figures.GREY, lw=1.2)
    arrows = ((3, up), (0, up), "black"), ((3 + along, up + across), (3, up), figures.GREY)
    for tip, tail, color in arrows:
        ax.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "lw": 2.4, "color": color,
                                               "shrinkA": 0, "shrinkB": 0})
    ax.plot([0, 3 + along], [up, up + across], "--", color="black", lw=1)
    for words, at, height, color in (("weights w", 1, -0.33, "black"),
                                     ("w + Δ", 0.8, 0.62, "black"),
                                     ("step Δ", 3.12 + 0.6 * along, 0.3, figures.GREY)):
        ax.text(at, up + height, words, size=10, color=color)


# %% tags=["hide-input"]
def draw_push(ax):
    squared, push = step_square / lr**2, 2 * shrink * product / lr**2
    ax.bar(range(3), squared, 0.8, color=["C0", "C1", "C2"])
    ax.bar(range(3), push, 0.8, squared, color=["C0", "C1", "C2"], alpha=0.4)
    ax.plot(range(3), squared, ls="none", label="squared steps")
    ax.plot(range(3), squared + push, ls="none", label="all")
    for layer, height in enumerate(figures.drawn(ax)["all"].y):
        ax.text(layer, height + 0.08, f"{height:.1f}", size=10, ha="center")
    ax.axhline(1, color="black", ls="--", lw=1.2, label="noise")
    ax.set(title="A push along w adds more", xlabel="layer", xlim=(-0.5, 3.3), ylim=(0, 6.2))
    ax.set(ylabel="added to mean square per step")
    ax.set_xticks(range(3), [name.split()[0] for name in order]), ax.grid(False)
    ax.set_yticks(range(0, 7, 2), ["0", "2η²", "4η²", "6η²"])


# %% tags=["hide-input"]
fig, (left, right) = figures.subplots(1, 2, figsize=(6.8, 3.4))
along = 0.35  # a sketch
draw_step(left, 2.9, 0, 1), draw_step(left, 0, along, (1 - along**2) ** 0.5), draw_push(right)
left.set(xlim=(-0.1, 4.5), ylim=(-0.45, 4.6), xticks=[], yticks=[], ylabel=" ")
left.set(title="A step's direction counts")
left.set_xlabel("adds Δ² + 2wΔ on average", loc="left")
left.set_aspect("equal"), left.grid(False), left.spines[:].set_visible(False)
left.text(-0.1, 4.15, "Noise: at a right angle", size=10)
left.text(-0.1, 1.15, "Network: partly along w", size=10)
for ax, words, at, up in ((left, "adds Δ² on average", -0.1, 2.15),
                          (right, "pale:\npush\nalong w", 2.45, 2.5),
                          (right, "dark: Δ²", 2.45, 0.4),
                          (right, "noise\nadds η²", 2.45, 1.12)):
    ax.text(at, up, words, size=10)

# %% tags=["hide-input"]
bars = figures.drawn(right)
parts = [", ".join(f"{one:.1f}" for one in bars[name].y) for name in ("squared steps", "all")]
figures.show(fig, "Left: arrows for the weights w and a step Δ, at a right angle and at a smaller "
             "one: the second sum is longer than the first. "
             "Right: what a step adds to a layer's mean square in the second half of the run "
             f"with decay, {parts[1]} η² in the three layers, of which squared steps are "
             f"{parts[0]} η²; noise would add {bars['noise'].y[0]:.0f} η².", number="0.8",
             caption="Left: a sketch; neither angles nor lengths are to scale. A dotted arc "
             "marks the length of w. Right: the second half of "
             "the run with decay, in which the third layer still grows. The dark part of a bar is "
             "the mean of Δ², the pale part 2a times the mean of wΔ, where a is nearly 1.")

# %% tags=["hide-input"]
assert product[2] > 2 * product[:2].max() > 0, "the third layer is not pushed most"
assert product.min() > 0, "the steps do not point along the weights"
step_rms = step_square**0.5 / lr  # in units of η
ahead = {decay: each[:, 0] / each[:, 1] for decay, each in net_rms.items()}  # of the second layer

# %% [markdown]
# A step of noise is on average at a right angle to the weights (Figure 0.8, left), so it adds only its own square. The network's steps point partly along the weights. So $\overline{w\Delta}>0$: this *push* along the weights makes the mean square grow faster. In the third layer a step adds {{bars["all"].y[2]:.0f}} $\eta^2$ instead of $\eta^2$, and {{100 * (1 - bars["squared steps"].y[2] / bars["all"].y[2]):.0f}} % of this is push (right).

# %% tags=["hide-input"]
claim("00-growth", "The mean square grows by the mean of Δ² and 2a times that of wΔ",
      measured=step_square + 2 * shrink * product - growth, equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("00-steps", "With decay, in the second half of training, the RMS of Δ is in one layer at "
      "most {} times that in another", measured=step_rms.max() / step_rms.min(), below=1.4)
assert 0.5 < step_rms.min() <= step_rms.max() < 2, "the steps are not of the size of η"
assert abs(bars["all"].y * lr**2 - growth).max() < 1e-9, "the bars are not what is added"

# %% tags=["hide-input"]
claim("00-large-start", f"With decay, the RMS of the first layer is {ahead[lam][0]:.1f} times "
      "that of the second at the start, and {} times at the end",
      measured=ahead[lam][-1], equals=1, within=0.4)

# %% tags=["hide-input"]
assert ahead[0.0][-1] > 1.5, "without decay a large start fades, too"
assert net_rms[0.0][-1, 0] > net_rms[0.0][0, 0], "without decay the first layer shrinks"
assert net_rms[lam][-1].min() > (lr / (2 * lam)) ** 0.5, "a layer ends below (0.3)"

# %% [markdown]
# <details>
# <summary>How much does the push add, and how long is a single step?</summary>
#
# Replace $\eta^2$ by {{bars["all"].y[2]:.0f}} $\eta^2$ in point 3 of this section: the balance is then at √{{bars["all"].y[2]:.0f}} ≈ {{bars["all"].y[2] ** 0.5:.1f}} times (0.3). We do not show why the third layer is pushed most.
#
# Single steps differ from their RMS: a few are long, and a typical one is only about half as long as the RMS.
#
# </details>
#
# **With noise alone AdamW and decay make all layers' RMS equal. In this network the push differs between layers, and the largest RMS is up to about twice the smallest.**
#
# ## 0.6 In practice
#
# - Rather than `Adam` use `AdamW`, where λ means the same for every weight. In `Adam`, leave `weight_decay` at 0: it would decay weights with small gradients much more than others.
# - By convention, use one λ for all weight matrices, and none for biases and the scales of normalisation layers ([chapter 6](06_bias_exclusion.ipynb)).
# - Typical values of λ are 0.0001 to 0.0005 with SGD, and {{below: optimizer.defaults["weight_decay"]}} (PyTorch's default) to 0.1 with AdamW. Ours are larger, to keep runs short, and so the RMS of (0.3) is another.
# - Choose λ on a validation set ([chapter 11](11_choosing_lambda.ipynb)).
# - Compare your number of steps with $1/(\eta\lambda)$: a run much shorter than this hardly notices decay. With AdamW's defaults this is {{below: 1 / (optimizer.defaults["lr"] * optimizer.defaults["weight_decay"]):,.0f}} steps.
#
# PyTorch decays all parameters, unless you make two groups:

# %%
your_network = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 10))
matrices = [p for p in your_network.parameters() if p.ndim > 1]  # and embeddings
others = [p for p in your_network.parameters() if p.ndim < 2]  # biases and scales
optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                               {"params": others, "weight_decay": 0.0}], lr=0.001)

# %% tags=["hide-input"]
untouched = [p.detach().clone() for p in your_network.parameters()]
for p in your_network.parameters():
    p.grad = torch.zeros_like(p)  # so that the step is decay alone
optimizer.step()
claim("00-groups", "Without a gradient, a step multiplies matrices by 1 − ηλ and nothing else",
      measured=[(p.detach() - (1 - 0.001 * 0.1 * (p.ndim > 1)) * old).abs().max()
                for p, old in zip(your_network.parameters(), untouched, strict=True)],
      equals=0, within=1e-12)

# %% [markdown]
# | optimiser | SGD | AdamW |
# |---|---|---|
# | brings together | squared norms of neighbouring layers (ReLU between, gradients become small) | RMS of all layers, even if one starts large (our network: within a factor of about two) |
# | because | decay shrinks the difference | all layers' steps have a similar RMS, and decay forgets the start |
# | how long | after $3/(2\eta\lambda)$ steps decay leaves {{100 * np.exp(-3):.0f}} % | for noise, as many steps leave {{100 * np.exp(-3):.0f}} % of the excess in $\overline{w^2}$ |
#
# **Limits.** (0.3) is a law for noise: the RMS of our network end at {{net_rms[lam][-1, 0] / expected:.1f}}, {{net_rms[lam][-1, 1] / expected:.1f}} and {{net_rms[lam][-1, 2] / expected:.1f}} times it. We also ran both networks for eight thousand steps. In §0.5's they stay above it. In §0.3's, AdamW's largest RMS fluctuates around twice the smallest, and the second layer's squared norm about equals the first's, at times exceeding it. We have not asked which optimiser's network predicts better.
#
# ## 0.7 Exercises
#
# **1.** A weight is 2, its gradient 0.5, η = 0.1 and λ = 0.3. Where does one step of (0.1) take it, and the first step of AdamW and of Adam?
#
# <details>
# <summary>Solution</summary>
#
# (0.1) takes it to $0.97\cdot2-0.1\cdot0.5=1.89$. Under AdamW the gradient divided by $\sqrt v$ is $0.5/0.5=1$, so the weight goes to $0.97\cdot2-0.1=1.84$. Adam divides $0.5+0.3\cdot2=1.1$ by $\sqrt{1.1^2}$, so it goes to $2-0.1=1.90$: at its first step λ has no effect here. Check:
#
# ```python
# for rule in (torch.optim.SGD, torch.optim.AdamW, torch.optim.Adam):
#     w = nn.Parameter(torch.tensor(2.0))
#     w.grad = torch.tensor(0.5)
#     rule([w], lr=0.1, weight_decay=0.3).step()
#     print(rule.__name__, round(w.item(), 2))
# ```
#
# </details>
#
# **2.** Set `weight_decay=0.0` in the run of SGD with `sweep`. Which shares do you expect, and which do you see? (The claim `00-balance` will stop the notebook.)
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, but ever more slowly: at step 1500 they are 0.50, 0.26 and 0.24. Without decay, small steps nearly conserve the *differences*
# of the layers' squared norms (§0.4): that of the first two goes from 74.6 to 75.1 (mean of five seeds). So the differences become less important as the norms grow, but they do not fade.
#
# </details>
#
# **3.** Give SGD `lr=0.05, momentum=0.9` in the run with `sweep`. Do the layers become equal earlier, later, or at about the same step?
#
# <details>
# <summary>Solution</summary>
#
# At about the same step. With momentum $\mu$ a gradient acts again in later steps, by $\mu$, $\mu^2$, …, in all $1+\mu+\mu^2+\dots=1/(1-\mu)$ times, here {{1 / (1 - 0.9):.0f}} times. In PyTorch's SGD this includes $\lambda w$. So a fraction $2\eta\lambda/(1-\mu)$ of a difference fades in a step, as much as before (chapter 2).
#
# </details>
#
# **4.** Replace both `nn.ReLU()` in §0.3 by `nn.Tanh()`. Which point of §0.4 fails, and why? Which shares do you see? (The notebook will stop.)
#
# <details>
# <summary>Solution</summary>
#
# Point 1: $\tanh(cz)$ is not $c\tanh(z)$, so rescaling changes the function. The shares are 0.29, 0.28 and 0.43 after 1500 steps: the *smallest* layer has the largest. The cause is probably this, though we do not show it: tanh flattens, so enlarging the weights before it gains little, and enlarging the last layer's gains most: the loss pushes that layer most. More steps do not make them equal.
#
# </details>
#
# **5.** Weights that start at zero also stay small if training stops early. Is $\lambda=0.01$ in §0.1 better than the best of 5, 10, …, 200 steps with $\lambda=0$ (*early stopping*)?
#
# <details>
# <summary>Solution</summary>
#
# ```python
# weights, early = torch.zeros(20, hidden_units, 1), []
# for _ in range(40):
#     weights = train(weights, 0, hidden[:, ::10], targets, steps=5)
#     early.append(((hidden @ weights - curve) ** 2).mean() + sigma**2)
# weights = train(torch.zeros(20, hidden_units, 1), 0.01, hidden[:, ::10], targets)
# decay = ((hidden @ weights - curve) ** 2).mean() + sigma**2
# print(f"early stopping: {min(early):.2f}, decay: {decay:.2f}")
# ```
#
# No: the two are about equally good. Early stopping reaches 0.32, and decay ends at 0.32. Both are chosen with hindsight, as we know the true curve. [Chapter 1](01_what_an_l2_penalty_does.ipynb) says why they are about equal.
#
# </details>
#
# **6.** (Hard.) Give 30 % of the images random labels, and train with SGD for 3000 steps. Which shares do you see, and does (0.2) predict them? (If $D$ no longer changes, it is $\eta/(2\lambda)$ times the mean of $\lVert g_1\rVert^2-\lVert g_2\rVert^2$. Take means over the last $1/(\eta\lambda)$ steps.)
#
# <details>
# <summary>Solution</summary>
#
# ```python
# rng = np.random.default_rng(0)
# mixed = np.where(rng.random(len(labels)) < 0.3, rng.integers(10, size=len(labels)), digits.y)
# runs = []
# for classes, batch_size in ((mixed, 64), (digits.y, 8)):
#     changed = {**options, "seeds": seeds(1), "batch_size": batch_size}
#     run = sweep(model, pixels, classes, steps=3000, lr=0.5, weight_decay=0.003, **changed)
#     last = run.isel(seed=0).sel(step=slice(2333, None))  # the last 1/(ηλ) steps
#     runs.append(last)
#     squared, gradients = [(x**2).mean("step").values for x in (last.norm, last.gradient_norm)]
#     # the D that (0.2) leaves unchanged
#     predicted = 0.5 / (2 * 0.003) * (gradients[0] - gradients[1:])
#     print(squared / squared.sum(), squared[0] - squared[1:], predicted)
# ```
#
# The shares stay unequal, 0.42, 0.32 and 0.26 on average: the network does not fit the random labels, so its gradients stay large, those of the first layer most. The differences from the first layer are 30 and 49. (0.2) predicts 33 and 54.
#
# Small batches do the same: with the true labels and batches of 8 the shares are 0.39, 0.31 and 0.30, and the differences 10.4 and 12.4, where (0.2) predicts 10.2 and 12.2.
#
# The prediction supposes that $D$ no longer changes. If $D$ grows by some amount in these $1/(\eta\lambda)$ steps, the prediction is too high by half of it (add (0.2) up over the steps). $D$ still grew in the first run, and fell a little in the second.
#
# </details>
#
# **7.** A training log shows one layer's $\lVert W_l\rVert^2$ far above the others from start to end. A colleague wants to give it another $\lambda$. What do you ask?
#
# <details>
# <summary>Solution</summary>
#
# Three questions:
#
# 1. *Which optimiser?* Under AdamW this is normal: usually the layer with the most weights has the largest squared norm (Figure 0.3). But in a very long run another may equal or exceed it (Limits), or the gradients may vanish (Exercise 10).
# 2. *How many steps?* After $3/(2\eta\lambda)$ steps of SGD decay leaves about {{100 * np.exp(-3):.0f}} % of the starting difference in squares (§0.4). For AdamW the same holds for noise (§0.5). With momentum $\mu$, SGD needs fewer: multiply by $1-\mu$ (Exercise 3). If η changes, these are the steps until $\lambda\sum_t\eta_t$ reaches 3/2 (without momentum). A much shorter log shows how training started, and says nothing about λ.
# 3. *Do the conditions of §0.4 hold, and are the gradients small?* If the network does not fit its examples, a difference stays, however long one trains (Exercise 6).
#
# Only if the answers explain nothing is another λ worth a try.
#
# </details>
#
# **8.** (Hard.) Multiply the weights into *one* hidden unit by $c>0$, and divide those out of it by $c$. Which squared norms must be equal at a minimum? And with biases?
#
# <details>
# <summary>Solution</summary>
#
# The function stays, so at a minimum of loss plus penalty the derivative of $c^2I_j+O_j/c^2$ at $c=1$ is zero, where $I_j$ and $O_j$ are the squared norms of the weights into unit $j$ and out of it. Thus $I_j=O_j$ for *each* unit. The sum over the units is $\lVert W_1\rVert^2=\lVert W_2\rVert^2$. Equation (0.2) holds for $I_j-O_j$, too. After training, $I_j$ and $O_j$ of the network of §0.3 (undo Exercise 4),
#
# ```python
# into, out = (net[0].weight**2).sum(1), (net[2].weight**2).sum(0)
# print(into.max().item(), abs(into - out).max().item())
# ```
#
# go up to 0.75, and differ by at most 0.020.
#
# The bias $b_j$ of the unit has to be multiplied by $c$, too. If biases are not penalised, $I_j=O_j$ stays true at a minimum. But (0.2) gains a term $2a\eta\,b_j\,\partial L/\partial b_j$. Its mean over all batches is zero at a minimum, but in general not on the way there. If they are penalised, $I_j+b_j^2=O_j$.
#
# </details>
#
# **9.** If η and λ are doubled, what happens to (0.3), and to the time to reach it? Does (0.3) hold for noise with momentum 0.9? From PyTorch's start, do weights of 64 inputs grow or shrink with AdamW's defaults?
#
# <details>
# <summary>Solution</summary>
#
# The RMS stays the same, as only η/λ enters. The time falls from about $1/(2\eta\lambda)$ steps to $1/(8\eta\lambda)$, in the old η and λ.
#
# With `betas=(0.9, 0.999)` in `train_on_noise` it nearly holds: the RMS ends at 0.088, and (0.3) says 0.091. A gradient is spread over several steps, but the parts add up to the same total. The RMS is a little lower because parts of the latest gradients are still to come.
#
# With noise they grow, although they decay: they start at an RMS of {{(squares[:, 0, 0].mean().item() / sizes[0]) ** 0.5:.2f}} (§0.3), and for the defaults η = {{optimizer.defaults["lr"]}} and λ = {{optimizer.defaults["weight_decay"]}} (0.3) says {{(optimizer.defaults["lr"] / (2 * optimizer.defaults["weight_decay"])) ** 0.5:.2f}}.
#
# </details>
#
# **10.** (Hard.) Does (0.3) hold for the network of §0.3 with the usual values η = 0.001 and λ = 0.1, after 10,000 steps, and after 40,000? What has the ε = 10⁻⁸ that AdamW adds to $\sqrt v$ to do with it?
#
# <details>
# <summary>Solution</summary>
#
# ```python
# for eps in (1e-8, 1e-20):
#     torch.manual_seed(seeds(1)[0])
#     fresh = new_network()
#     rule = torch.optim.AdamW(fresh.parameters(), lr=0.001, weight_decay=0.1, eps=eps)
#     for t in range(1, 40001):
#         batch = torch.randint(len(images), (64,))
#         rule.zero_grad()
#         nn.functional.cross_entropy(fresh(images[batch]), labels[batch]).backward()
#         rule.step()
#         if t in (10000, 40000):
#             S = np.array([(w.detach() ** 2).sum() for w in fresh.parameters()])
#             v = [rule.state[w]["exp_avg_sq"].median().item() for w in fresh.parameters()]
#             print(eps, t, "RMS", (S / sizes) ** 0.5, "shares", S / S.sum(), "√v", np.sqrt(v))
# ```
#
# (This takes two minutes or more.) After 10,000 steps the RMS are 0.15, 0.16 and 0.27, and (0.3) says 0.071. It is a law for noise, and this network fits its examples. But the RMS are still similar: the largest is 1.8 times the smallest.
#
# After 40,000 steps the largest RMS is 6 times the smallest, and now the *shares* approach each other: 0.37, 0.37 and 0.26. The cause is ε. The gradients have become so small that $\sqrt v$ is below $10^{-8}$: its median is at most $2.9\cdot10^{-9}$ in a layer. So AdamW divides all gradients by about the same number: the median of $\sqrt v+\varepsilon$ is at most 1.3 ε in a layer. Momentum aside, its step becomes $w\leftarrow(1-\eta\lambda)w-(\eta/\varepsilon)\,g$. This is SGD (here with momentum), and by §0.4 it makes the layers equal.
#
# The control has a far smaller ε, $10^{-20}$: with it the largest RMS is only 2.1 times the smallest after 40,000 steps.
#
# </details>
#
# **11.** On your own network: predict the shares after training, then compute them.
#
# <details>
# <summary>A start</summary>
#
# ```python
# squares = {name: (p.detach() ** 2).sum().item() for name, p in your_network.named_parameters() if p.ndim > 1}
# ```
#
# After a long run of SGD with decay that fits its examples they should be nearly equal where ReLU connects two layers and no bias decays. Where biases decay, too, add their squares to those of the layer before the ReLU (Exercise 8). The squares need not be equal around normalisation layers (chapter 7) or skip connections. Under AdamW compare the layers' RMS with (0.3), after a run
# as long as in Exercise 7 says. Expect larger ones: the third layer of Figure 0.7 has {{net_rms[lam][-1, 2] / expected:.1f}} times. Test your code on `net` of §0.3 first: its shares are printed there.
#
# </details>
#
# **Next:** [chapter 1](01_what_an_l2_penalty_does.ipynb), the simplest model with a penalty.

# %% tags=["hide-input"]
claims.identities()

# %% [markdown]
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
# | $D$, $\Delta$ | difference of two squared norms; step of AdamW without its decay (chapter 0) | |
# | $\varepsilon$ | small constant under a root or in a denominator | `eps` |
# | $c$ | a positive factor by which a layer, an input or a loss is scaled | |
# | $r$, $\theta$ | norm of a weight matrix, angle by which a step turns it | `norm`, `angle` |
# | $G$ | norm of the gradient where the weights have norm 1 (from chapter 8 on) | |
#
# </details>
#
# <details>
# <summary>Sources</summary>
#
# [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html) on decay against noise,
# [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101) on AdamW,
# [Neyshabur, Tomioka and Srebro (2015)](https://arxiv.org/abs/1412.6614) on balance at a minimum,
# [Du, Hu and Lee (2018)](https://arxiv.org/abs/1806.00900) on balance without a penalty,
# [Kunin et al. (2021)](https://arxiv.org/abs/2012.04728) on symmetries of a network in training with decay,
# [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212) on (0.3).
#
# </details>
