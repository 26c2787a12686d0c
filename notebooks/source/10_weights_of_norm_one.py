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
# 0.3 without decay. Both rates stay constant for the first half of the steps and then fall to zero in a straight line;
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
                p[name] = w - 0.3 * factor(t, steps) * g[name]
                continue
            p[name] = move(w, g[name], factor(t, steps), t, name)
            if project:
                p[name] = p[name] / size(p[name])
    return p, torch.stack(losses, 1)


# %% [markdown]
# Each unit has a norm of its own behind it, so we project unit by unit: every row of the matrix has norm one. For
# comparison the same network with free norms, on the same grid, five seeds. We keep $\eta\lambda\le0.1$.

# %%
etas, lams = [0.1, 0.3, 1.0, 3.0], [0, 0.003, 0.01, 0.03]
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
    p, _ = train(net, starts, descend(lr, decay, seen := []), 400, kind == "norm one")
    turns[kind] = torch.stack(seen).square().mean((0, 2, 3)).sqrt().reshape(5, 4, 4).numpy()
    scores[kind] = accuracy(net, p).reshape(5, 4, 4)  # seed, η, λ
means = {kind: values.mean(0) for kind, values in scores.items()}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.6))
for ax, mean in zip(axes, means.values(), strict=True):
    ax.pcolormesh(mean.T, cmap="cividis", vmin=36, vmax=48)
    for (i, j), value in np.ndenumerate(mean):
        ax.text(i + 0.5, j + 0.5, f"{value:.0f}", ha="center", va="center",
                color="black" if value > 42 else "white")
    ax.set_xticks(np.arange(4) + 0.5, [f"{v:g}" for v in etas])
    ax.set_yticks(np.arange(4) + 0.5, [f"{v:g}" for v in lams])
    ax.grid(False)
    ax.set(xlabel="learning rate η (hidden layer)", ylabel="weight decay λ (hidden layer)")
axes[0].set_title("Free norms: both dials act")
axes[1].set_title("Norm one: λ does nothing")
columns = ", ".join(f"{v:.0f}" for v in means["norm one"].mean(1))
figures.show(fig, "Test accuracy in per cent, mean of five seeds, over four learning rates and four "
             f"values of λ. With free norms and η = 3 it falls from {means['free'][3, 0]:.0f} at "
             f"λ = 0 to {means['free'][3, 3]:.0f} at λ = 0.03. With norm one each column has one "
             f"colour: {columns} from left to right.")


# %%
def spread(kind):
    """Standard deviation of the accuracy over λ, of means of five seeds, and that over seeds."""
    over = means[kind].var(1, ddof=1), scores[kind].var(0, ddof=1)
    return [np.sqrt(each.mean()) for each in over]

# %%
inert, seed_noise = spread("norm one")
claim("S1-08", "norm one: spread of the accuracy over λ, over its spread from seed to seed",
      measured=inert / seed_noise, below=0.5)
claim("S1-08", "free norms: spread over λ, over that of norm one",
      measured=spread("free")[0] / inert, above=3)

# %%
claim("10-map", "free norms, η = 1 and 3: accuracy at λ = 0 minus at λ = 0.03, points, mean",
      measured=(means["free"][2:, 0] - means["free"][2:, 3]).mean(), above=2.5)
claim("10-map", "best cell of norm one minus best cell of free norms, points",
      measured=means["norm one"].max() - means["free"].max(), between=(-5, 5))

# %% [markdown]
# With norm one a single dial is left, and at its best it reaches about what two dials reach. Why?
#
# ## 10.2 One line of algebra
#
# Write $w$ for a weight of norm one, $g$ for the gradient there, and $\mathrm{unit}(w)=w/\lVert w\rVert$. A step with
# decay, then projected, is
#
# $$\mathrm{unit}\big(w-\eta\,(g+\lambda w)\big) = \mathrm{unit}\big((1-\eta\lambda)\,w-\eta g\big)
# = \mathrm{unit}\Big(w-\frac{\eta}{1-\eta\lambda}\,g\Big),\qquad\eta\lambda<1. \tag{10.1}$$
#
# The factor $1-\eta\lambda$ in front is positive, so the projection removes it. The *only* thing that λ does is to turn
# η into $\eta' = \eta/(1-\eta\lambda)$. It holds per unit and per layer, and the loss need not even be scale-invariant.
# With a schedule, read $s\eta$ for η. At $\eta\lambda=0.1$ the learning rate rises by a ninth: on a logarithmic dial
# nothing. We train with $\lambda=2$, $\eta=0.1$, and without decay at $\eta'=0.125$:


# %%
def largest(one, other):
    """Largest difference of two runs, in parameters and losses."""
    (p, losses), (q, others) = one, other
    return max((losses - others).abs().max(), *((p[name] - q[name]).abs().max() for name in p))


def rescaled(w, g, s, t, name):
    return w - s * 0.1 / (1 - s * 0.1 * 2) * g  # 0.125 in the first half, where s = 1


# %%
decayed = train(net, seeds(5), descend(0.1, 2.0), 200, project=True)
claim("S1-07", "λ = 2, η = 0.1 against η/(1 − ηλ), 200 steps: parameters and losses, difference",
      measured=largest(decayed, train(net, seeds(5), rescaled, 200, project=True)), below=1e-12)
claim("S1-07", "… against λ = 0, η = 0.1", above=1e-3,
      measured=largest(decayed, train(net, seeds(5), descend(0.1, 0.0), 200, project=True)))

# %% [markdown]
# **Beyond.** At $\eta\lambda=1$ the old weight is gone, and the new one is $-\mathrm{unit}(g)$: a turn by a right angle,
# as $g\perp w$. Past it the factor is negative, $\mathrm{unit}(-(\eta\lambda-1)\,w-\eta g)$: the weight changes its
# sign, and from there the step goes *up* the gradient. So λ is inert far below one, and a bug above it.

# %%
start = {name: torch.tensor(value[None]) for name, value in net.initial(seeds(1)[0]).items()}
start["weight0"] /= size(start["weight0"])
_, slopes = gradients(net, start, np.arange(50)[None])
w, g = start["weight0"], slopes["weight0"]
at = {x: descend(0.1, x / 0.1)(w, g, 1, 0, "weight0") for x in (1.0, 1.5)}  # by ηλ

# %%
flipped = -(w + 0.1 / (1.5 - 1) * g)
claim("10-beyond", "ηλ = 1: cosine of a unit's old and new weights, largest of 32",
      measured=((at[1.0] * w).sum(2, keepdim=True) / size(at[1.0])).abs().max(), below=1e-12)
claim("10-beyond", "ηλ = 1.5 against the mirrored step uphill, difference of the directions",
      measured=(at[1.5] / size(at[1.5]) - flipped / size(flipped)).abs().max(), below=1e-12)

# %% [markdown]
# **Momentum.** Where decay stands *beside* the step, $w\leftarrow(1-\eta\lambda)w-\eta v$, as in SGDW and AdamW, the
# same line works with the buffer $v$ for $g$, whatever is in it: (10.1) is exact. Where λw goes *into* the buffer, as in
# `torch.optim.SGD`, it is not. The buffer carries $\lambda w/(1-\mu)$ along, and a step shrinks the weight by about
#
# $$n = 1-\frac{\eta\lambda}{1-\mu}.$$
#
# Now eliminate the buffer. From $n\,w_t=w_{t-1}-\eta v_t$ and $v_{t+1}=\mu v_t+g_t+\lambda w_t$
#
# $$n\,w_{t+1} = (1+\mu n-\eta\lambda)\,w_t-\mu\,w_{t-1}-\eta g_t
# \;\Leftrightarrow\; w_{t+1}-w_t = \frac\mu n\,(w_t-w_{t-1})-\frac\eta n\,g_t, \tag{10.2}$$
#
# since $\mu n-\eta\lambda=n-1+\mu-\ldots$ cancels by the choice of $n$. To first order λ now acts as $\eta/n$ *and*
# $\mu/n$. The long-run rate $\eta/(1-\mu)$ becomes $\eta/(n-\mu)$. So λ is inert only while
# $\eta\lambda\ll(1-\mu)^2$.


# %%
def momentum(lr, decay, mu, inside):
    buffer = torch.zeros(())

    def move(w, g, s, t, name):
        nonlocal buffer
        buffer = mu * buffer + g + (decay * w if inside else 0)
        return w - lr * buffer - (0 if inside else lr * decay * w)
    return move


def heavy(*options):
    return train(net, seeds(5), momentum(*options), 50, project=True)


# %%
claim("S1-07", "decay beside the momentum 0.9, ηλ = 0.3, 50 steps: against η/(1 − ηλ), difference",
      measured=largest(heavy(0.03, 10, 0.9, False), heavy(0.03 / 0.7, 0, 0.9, False)), below=1e-12)
inside, n = heavy(0.03, 0.1, 0.9, True), 1 - 0.03 * 0.1 / (1 - 0.9)  # ηλ = 0.003


def off(*options):
    return size(inside[0]["weight0"] - heavy(*options)[0]["weight0"]).mean()


# %%
plain = off(0.03, 0, 0.9, True)
claim("10-momentum", "ηλ = 0.003 inside the momentum: distance to λ = 0 after 50 steps",
      measured=plain, above=0.03)
claim("10-momentum", "… to η/(1 − ηλ), over that", above=0.9,
      measured=off(0.03 / 0.997, 0, 0.9, True) / plain)
claim("10-momentum", "… to η/n and μ/n, over that", below=0.5,
      measured=off(0.03 / n, 0, 0.9 / n, True) / plain)

# %% [markdown]
# ## 10.3 One dial: the turn
#
# The gradient is perpendicular to the weight. So by (10.1) a projected step turns it by the angle θ with
#
# $$\tan\theta=\eta' G,\qquad\eta'=\frac{\eta}{1-\eta\lambda}, \tag{10.3}$$
#
# where $G$ is the gradient's norm at norm one. With free norms λ sets the norm, and thereby the turn: chapter 8 finds
# $\cos\theta_*=1-\eta\lambda$ at equilibrium. The two networks do the same if they turn alike, that is at
#
# $$\eta'=\frac{\eta}{(1-\eta\lambda)\,r_*^2}\approx\frac{\sqrt{2\eta\lambda}}{G}. \tag{10.4}$$
#
# So two dials were one all along: the plane of η and λ folds along $\eta\lambda$, once the norms have settled. We
# recorded the turn per step in the second quarter of the runs above.

# %%
product = np.outer(etas, lams)
settled = product > 0.008
expected = {"free": np.arccos(1 - product),
            "norm one": np.arctan(np.tan(turns["norm one"].mean(0)[:, :1]) / (1 - product))}
turn = {kind: np.sqrt((values**2).mean(0)) for kind, values in turns.items()}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.8))
for k, eta in enumerate(etas):
    for kind, mark in (("free", "o"), ("norm one", "s")):
        axes[0].plot(range(4), turn[kind][k], mark, ms=5, color=f"C{k}",
                     mfc=f"C{k}" if kind == "free" else "none")
    axes[0].plot(range(1, 4), expected["free"][k, 1:], ":", color=f"C{k}", lw=1.2)
    axes[0].plot(range(4), expected["norm one"][k], color=f"C{k}", lw=1)
    axes[0].text(3.12, turn["norm one"][k, 3], f"η = {eta:g}", color=f"C{k}", va="center")
for kind, mark in (("free", "o"), ("norm one", "s")):
    axes[1].errorbar(turn[kind].ravel(), means[kind].ravel(), fmt=mark, ms=5, lw=0.7,
                     yerr=scores[kind].std(0, ddof=1).ravel() / 5**0.5,
                     color=figures.BLUE if kind == "free" else figures.ORANGE, label=kind,
                     mfc="none" if kind == "norm one" else figures.BLUE)
axes[0].set(yscale="log", xlabel="weight decay λ", ylabel="turn per step (rad)", xlim=(-0.3, 4))
axes[0].set_xticks(range(4), ["0", "0.003", "0.01", "0.03"])
axes[0].set_title("λ moves the free turn only")
axes[1].set(xscale="log", xlabel="turn per step (rad)", ylabel="test accuracy (%)")
axes[1].set_title("One curve for both")
axes[1].legend(loc="lower center")
figures.show(fig, "Left, the turn per step on a logarithmic axis against λ for four learning rates. "
             "Filled circles, free norms, rise with λ to the dotted curves arccos(1 − ηλ); open "
             "squares, norm one, lie on level lines. Right, test accuracy against the turn: "
             "circles and squares lie along one arch, highest near 0.05, with standard errors of "
             "about one point.")

# %%
claim("10-turn", "free norms, ηλ ≥ 0.009: turn over arccos(1 − ηλ), furthest from 1",
      measured=np.abs(turn["free"] / expected["free"] - 1)[settled].max(), below=0.15)
claim("10-turn", "norm one: largest rise of the turn from λ = 0 to 0.03, factor (1.10 by (10.3))",
      measured=(turn["norm one"][:, 3] / turn["norm one"][:, 0]).max(), between=(1, 1.15))

# %%
curve = np.polynomial.Polynomial.fit(np.log(turn["norm one"]).ravel(), means["norm one"].ravel(), 2)
inside = turn["free"] < turn["norm one"].max()
claim("10-turn", "free norms: accuracy minus norm one's at the same turn, points, largest",
      measured=np.abs(means["free"] - curve(np.log(turn["free"])))[inside].max(), below=6)

# %% [markdown]
# They are not the same method, though. As the network learns, $G$ changes. Projection keeps the *rate* η' and lets the
# turn follow $G$; decay keeps the *turn*, and lets the rate follow $1/G$, after a delay. A trust ratio (chapter 9) keeps
# the turn without delay: it divides by the gradient's norm. In the plane, with $G=1$, you can set both dials yourself:


# %%
def settle(lr, decay, steps=400, r=1.0):
    """Turn per step of a free weight from norm r, at G = 1."""
    turns, a = [], 1 - lr * decay
    for _ in range(steps):
        turns.append(np.arctan(lr / (a * r**2)))
        r = np.sqrt((a * r) ** 2 + (lr / r) ** 2)
    return np.array(turns)


# %%
def dials(lr, decay):
    fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.5), sharey=True)
    free, fixed = settle(lr, decay), np.arctan(lr / (1 - lr * decay))
    lams = np.geomspace(0.01, 1, 15)
    axes[0].plot(free, label="free norm")
    axes[0].plot([0, 400], [fixed] * 2, label="norm one")
    axes[0].axhline(np.arccos(1 - lr * decay), color="black", ls=":", lw=1.2)
    axes[1].plot(lams, [settle(lr, each)[-1] for each in lams], "o", ms=4)
    axes[1].plot(lams, np.arccos(1 - lr * lams), "k:", lw=1.2)
    axes[1].plot(lams, np.arctan(lr / (1 - lr * lams)), color=figures.ORANGE)
    axes[1].plot([decay] * 2, [free[-1], fixed], "D", color="black", ms=5)
    axes[0].set(xlabel="step", ylabel="turn per step (rad)", yscale="log", ylim=(0.008, 1.5),
                title=f"η = {lr:g}, λ = {decay:g}: free turns settle")
    axes[1].set(xlabel="weight decay λ", ylabel="turn at step 400 (rad)", xscale="log",
                title="… where λ says; norm one does not care")
    axes[0].legend(loc="upper right")
    return fig, ("Left, turn per step over 400 steps, logarithmic. A free weight starts at "
                 f"{free[0]:.2f} and ends at {free[-1]:.3f}; its equilibrium is dotted, at "
                 f"{np.arccos(1 - lr * decay):.3f}. Norm one stays at {fixed:.2f}. Right, the last "
                 "turn against λ: dots on a rising dotted curve, and a nearly level line.")


figures.interactive(dials, lr=[0.03, 0.1, 0.3], decay=[0.01, 0.03, 0.1, 0.3, 1])

