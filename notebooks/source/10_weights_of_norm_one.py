# %% [markdown]
# # 10 Weights of norm one
#
# If the size of a normalised weight means nothing, fix it: bring the weight back to norm one after every step. What
# becomes of weight decay, and what takes its place? And what of γ and β, which no norm follows? Afterwards you can say
# exactly what a projection leaves of λ, which γ and β it makes sense to decay, and turn a run with decay into one
# without.
#
# *Reading time 25 minutes; the code runs in about 15 seconds.*

# %%
import numpy as np
import torch

from l2lib import figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load, minibatches
from l2lib.layers import MLP, cross_entropy
from l2lib.sweep import sweep

# %% [markdown]
# ## 10.1 A puzzle: a dial that does nothing
#
# We train a network with batch norm on MNIST-1D: signals of 40 values, 32 hidden units, ten classes. Only the hidden
# matrix gets the learning rate η and the weight decay λ that we vary. All else, γ, β and the output layer, learns at
# 0.1 without decay. Both rates stay constant for the first half of the steps and then fall to zero in a straight line;
# call this factor $s$. We need a learning rate for a single layer, and later a single unit, so here is a trainer of our
# own. It handles many runs at once, one for each entry of `starts`, and leaves the step of a normalised weight to
# `move`.

# %%
signals = load("mnist1d")
X, y = torch.tensor(signals.X), torch.tensor(signals.y)
net = MLP((40, 32, 10), norm="batch", eps=1e-30)


def size(w):
    """Norm of each unit's weights, (K, units, 1)."""
    return w.norm(dim=2, keepdim=True)


def factor(t, steps):
    return min(1, 2 * (1 - t / steps))


# %%
def gradients(net, p, rows):
    """Losses (K,) on a minibatch for each run, and their gradients by parameter."""
    leaves = {name: w.detach().requires_grad_() for name, w in p.items()}
    losses = cross_entropy(net(leaves, X[rows]), y[rows])
    found = torch.autograd.grad(losses.sum(), [*leaves.values()])
    return losses.detach(), dict(zip(leaves, found, strict=True))


# %%
def train(net, starts, move, steps, project=False):
    """Parameters and losses of runs that start from these seeds."""
    drawn = [net.initial(seed) for seed in starts]
    p = {name: torch.tensor(np.stack([each[name] for each in drawn])) for name in drawn[0]}
    normalised = [f"weight{i}" for i in range(len(net.widths) - 2)]
    p |= {name: p[name] / size(p[name]) for name in normalised if project}
    kinds, losses = sorted(set(starts)), []
    stream, mine = minibatches(4000, 50, kinds), [kinds.index(seed) for seed in starts]
    for t in range(steps):
        loss, g = gradients(net, p, next(stream)[mine])
        losses.append(loss)
        for name, w in p.items():
            if name not in normalised:
                p[name] = w - 0.1 * factor(t, steps) * g[name]
                continue
            p[name] = move(w, g[name], factor(t, steps), t, name)
            if project:
                p[name] = p[name] / size(p[name])
    return p, torch.stack(losses, 1)


# %% [markdown]
# Each unit has a norm of its own behind it, so we project unit by unit: every row of the matrix has norm one. For
# comparison the same network with free norms, on the same grid, five seeds. We keep $\eta\lambda\le0.1$.

# %%
etas, lams = [0.03, 0.1, 0.3, 1.0], [0, 0.003, 0.01, 0.03, 0.1]
grid = [(seed, lr, decay) for seed in seeds(5) for lr in etas for decay in lams]
starts = [seed for seed, _, _ in grid]


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


# %%
def descend(lr, decay, watch=None):
    """SGD with decay as `move`; puts turns per step in `watch`, root mean square over units."""
    def move(w, g, s, t, name):
        after = (1 - s * lr * decay) * w - s * lr * g
        if watch is not None and 100 <= t < 200:
            watch.append(2 * (size(after / size(after) - w / size(w)) / 2).arcsin())
        return after
    return move


# %%
def accuracy(net, p):
    """Test accuracy of each run in per cent, with batch statistics of 1,000 training signals."""
    with torch.no_grad():
        both = torch.cat([X[:1000], X[4000:]]).expand(len(p["weight0"]), -1, -1)
        found = net(p, both, 1000)[..., 1000:].argmax(1)
    return 100 * (found == y[4000:]).double().mean(1).numpy()


# %%
lr, decay = (column([row[k] for row in grid]) for k in (1, 2))
turns, scores = {}, {}
for kind in ("free", "norm one"):
    turns[kind] = []
    p, _ = train(net, starts, descend(lr, decay, turns[kind]), 400, kind == "norm one")
    scores[kind] = accuracy(net, p).reshape(5, 4, 5)  # seed, η, λ
means = {kind: values.mean(0) for kind, values in scores.items()}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.9))
for ax, (kind, mean) in zip(axes, means.items(), strict=True):
    ax.pcolormesh(mean.T, cmap="cividis", vmin=20, vmax=60)
    for (i, j), value in np.ndenumerate(mean):
        ax.text(i + 0.5, j + 0.5, f"{value:.0f}", ha="center", va="center",
                color="black" if value > 42 else "white")
    ax.set_xticks(np.arange(4) + 0.5, [f"{v:g}" for v in etas])
    ax.set_yticks(np.arange(5) + 0.5, [f"{v:g}" for v in lams])
    ax.grid(False)
    ax.set(xlabel="learning rate η of the hidden layer", ylabel="weight decay λ of the hidden layer")
axes[0].set_title("Free norms: both dials act")
axes[1].set_title("Norm one: λ does nothing")
figures.show(fig, "Test accuracy in per cent, mean of five seeds, over four learning rates and five "
             f"values of λ. With free norms and η = 1 it falls from {means['free'][3, 0]:.0f} at "
             f"λ = 0 to {means['free'][3, 4]:.0f} at λ = 0.1, and cells on a diagonal of equal "
             "product are alike where it is 0.01 or more. With norm one each column has one "
             f"colour: {', '.join(f'{v:.0f}' for v in means['norm one'].mean(1))} from left to "
             "right.")
