# %% [markdown]
# # 10 Weights of norm one
#
# If the size of a normalised weight means nothing, fix it: bring the weight back to norm one after every step. What
# becomes of weight decay, and what takes its place? And what of γ and β, the scale and shift that batch norm learns?
# Afterwards you can say exactly what a projection leaves of λ, what decay does to which γ and β, and turn a run with
# decay into one without.
#
# *Reading time 25 minutes; the code runs in about 13 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load, minibatches
from l2lib.groups import param_groups
from l2lib.sweep import MLP, cross_entropy, sweep

# %% [markdown]
# ## 10.1 A puzzle: a dial that does nothing
#
# We train a network with batch norm on MNIST-1D: signals of 40 values, 32 hidden units, ten classes. Only the hidden
# matrix gets the learning rate η and the weight decay λ that we vary. All else, γ, β and the output layer, learns at
# 0.3 without decay. Both rates stay constant for the first half of the steps and then fall to zero in a straight line;
# call this factor $s$. We need a learning rate for a single layer, and later for a single unit. So here is a trainer of
# our own. It trains many runs at once, which are the first axis of every array. Each run starts from one of the seeds
# in `starts`. A function `move`, yet to be written, says what a step does to a hidden matrix.

# %%
signals = load("mnist1d")
X, y = torch.tensor(signals.X), torch.tensor(signals.y)
net = MLP((40, 32, 10), norm="batch", eps=1e-30)


def size(w):
    """Norm of each unit's weights: from (runs, units, inputs) to (runs, units, 1)."""
    return w.norm(dim=2, keepdim=True)


def factor(t, steps):
    """The schedule s: 1 for the first half, then down to 0."""
    return min(1, 2 * (1 - t / steps))


# %%
def gradients(net, p, rows):
    """Losses of the runs on a minibatch each, and their gradients by parameter."""
    leaves = {name: w.detach().requires_grad_() for name, w in p.items()}
    losses = cross_entropy(net(leaves, X[rows]), y[rows])
    found = torch.autograd.grad(losses.sum(), [*leaves.values()])
    return losses.detach(), dict(zip(leaves, found, strict=True))


# %%
def train(net, starts, move, steps, unit_norm=False, moved=None):
    """Parameters at the end, losses (runs, steps); `moved`, or hidden matrices, step by `move`."""
    moved = moved or [f"weight{i}" for i in range(len(net.widths) - 2)]
    drawn = [net.initial(seed) for seed in starts]
    p = {name: torch.tensor(np.stack([each[name] for each in drawn])) for name in drawn[0]}
    p |= {name: p[name] / size(p[name]) for name in moved if unit_norm}
    kinds, losses = sorted(set(starts)), []  # runs of one seed share their minibatches
    stream, mine = minibatches(4000, 50, kinds), [kinds.index(seed) for seed in starts]
    for t in range(steps):
        loss, g = gradients(net, p, next(stream)[mine])
        losses.append(loss)
        s = factor(t, steps)
        for name, w in p.items():
            if name in moved:
                w = move(w, g[name], s, t, name)
                p[name] = w / size(w) if unit_norm else w
            else:
                p[name] = w - 0.3 * s * g[name]
    return p, torch.stack(losses, 1)


# %% [markdown]
# Batch norm treats each unit on its own. So we project unit by unit: every row of the matrix has norm one. For
# comparison the same network with free norms, on the same grid, five seeds. The largest $\eta\lambda$ is
# {{below: max(etas) * max(lams):.2g}}.

# %%
etas, lams = [0.1, 0.3, 1.0, 3.0], [0, 0.003, 0.01, 0.03]
grid = [(seed, lr, weight_decay) for seed in seeds(5) for lr in etas for weight_decay in lams]
starts = [seed for seed, _, _ in grid]


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


# %%
def descend(lr, weight_decay, watch=None):
    """SGD with decay as `move`; `watch` gets each unit's turn, and its new norm over the old."""
    def move(w, g, s, t, name):
        after = (1 - s * lr * weight_decay) * w - s * lr * g
        if watch is not None and 75 <= t < 150:
            angle = 2 * (size(after / size(after) - w / size(w)) / 2).arcsin()
            watch.append((angle, size(after) / size(w)))
        return after
    return move


# %%
def tested(net, p):
    """Outputs for the test signals, with batch statistics of 1,000 training signals."""
    with torch.no_grad():
        both = torch.cat([X[:1000], X[4000:]]).expand(len(p["weight0"]), -1, -1)
        return net(p, both, 1000)[..., 1000:]


def accuracy(outputs):
    """Test accuracy of each run in per cent."""
    return 100 * (outputs.argmax(1) == y[4000:]).double().mean(1).numpy()


def test_loss(outputs):
    """Cross-entropy of each run on the test signals in nat."""
    return cross_entropy(outputs, y[4000:].expand(len(outputs), -1)).numpy()


# %% [markdown]
# Before we trust our trainer: the library's `sweep` has one learning rate for all layers. With a hidden rate of 0.3,
# too, ours and `sweep` must train the same networks.

# %%
data = {"X": X[:4000], "y": y[:4000], "test": (X[4000:], y[4000:]), "loss": "cross_entropy",
        "batch_size": 50, "evaluate_on": 1000}
twin = sweep(net, **data, lr=0.3, weight_decay=0.03, decay_factors={"weight0": 1},
             schedule=lambda t: np.interp(t, [0, 150, 300], [1, 1, 0]), seeds=seeds(5),
             steps=300, record_every=300)
ours, _ = train(net, seeds(5), descend(0.3, 0.03), 300)

# %%
for name, values in ours.items():
    claim("10-trainer", f"our trainer and `sweep` after 300 steps, five seeds: {name} apart",
          measured=values.numpy() - twin[name].values, equals=0, within=1e-9)
outputs = tested(net, ours)
ranks = 100 * twin.test_accuracy.values[:, -1] - accuracy(outputs)
claim("10-trainer", "… test accuracies apart, points", measured=ranks, equals=0, within=1e-9)
claim("10-trainer", "… test losses apart, nat", equals=0, within=1e-9,
      measured=twin.test_loss.values[:, -1] - test_loss(outputs))

# %%
lr, weight_decay = (column([row[k] for row in grid]) for k in (1, 2))
angles, growths, turns, scores = {}, {}, {}, {}
for kind in ("free", "norm one"):
    p, _ = train(net, starts, descend(lr, weight_decay, seen := []), 300, kind == "norm one")
    angles[kind], growths[kind] = (torch.stack(each) for each in zip(*seen, strict=True))
    turns[kind] = angles[kind].square().mean((0, 2, 3)).sqrt().reshape(5, 4, 4).numpy()
    scores[kind] = accuracy(tested(net, p)).reshape(5, 4, 4)  # seed, η, λ
means = {kind: values.mean(0) for kind, values in scores.items()}
best = {kind: mean.max() for kind, mean in means.items()}

# %%
claim("10-trainer", "norm one: each unit's norm at the end, all runs",
      measured=p["weight0"].square().sum(2), equals=1, within=1e-12)

# %%
fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.6))
for ax, mean in zip(axes, means.values(), strict=True):
    ax.pcolormesh(mean.T, cmap="cividis", vmin=33, vmax=44, label="accuracy")
    for (i, j), value in np.ndenumerate(mean):
        ax.text(i + 0.5, j + 0.5, f"{value:.0f}", ha="center", va="center",
                color="black" if value > 39 else "white")
    ax.set_xticks(np.arange(4) + 0.5, [f"{v:g}" for v in etas])
    ax.set_yticks(np.arange(4) + 0.5, [f"{v:g}" for v in lams])
    ax.grid(False)
    ax.set(xlabel="learning rate η (hidden layer)", ylabel="weight decay λ (hidden layer)")
axes[0].set_title("Free norms: both dials act")
axes[1].set_title("Norm one: λ does nothing")
left, right = (figures.drawn(ax)["accuracy"].x for ax in axes)  # λ, η
columns = ", ".join(f"{v:.0f}" for v in right.mean(0))
figures.show(fig, "Test accuracy in per cent, mean of five seeds, over four learning rates and "
             f"four values of λ. With free norms and η = {etas[3]:g} it falls from "
             f"{left[0, 3]:.0f} at λ = {lams[0]:g} to {left[3, 3]:.0f} at λ = {lams[3]:g}. With "
             f"norm one each column has one colour: {columns} from left to right.", number="10.1",
             caption="Numbers and colours are test accuracies in per cent, means of five seeds.")


# %%
def spread(kind):
    """Standard deviation of the accuracy over λ, of means of five seeds, and that over seeds."""
    over = means[kind].var(1, ddof=1), scores[kind].var(0, ddof=1)
    return [np.sqrt(each.mean()) for each in over]

# %%
inert, seed_noise = spread("norm one")
far = scores["norm one"] - scores["norm one"].mean(0)  # of each seed from the mean of five
cost = (left[0, 2:] - left[3, 2:]).mean()  # of λ = 0.03, at η = 1 and 3
ticks = [[[float(label.get_text()) for label in axis.get_ticklabels()]
          for axis in (ax.xaxis, ax.yaxis)] for ax in axes]
claim("10-map", "the pictures' ticks: η to the right, λ upwards, apart", equals=0, within=1e-9,
      measured=np.array(ticks) - [etas, lams])
claim("10-map", "the pictures' cells: η to the right, λ upwards, free norms on the left, apart",
      measured=[left - scores["free"].mean(0).T, right - scores["norm one"].mean(0).T],
      equals=0, within=1e-9)
claim("10-map", "norm one, seed to seed: the variance is 1/4 of the five squares, mean over cells",
      measured=seed_noise**2 - (far**2).sum(0).mean() / 4, equals=0, within=1e-9)
claim("10-map", "free norms, cost of λ = 0.03: twice the mean, and the sum over η = 1 and 3, apart",
      measured=2 * cost - (means["free"][2:, 0] - means["free"][2:, 3]).sum(),
      equals=0, within=1e-9)

# %%
claim("S1-08", "norm one: spread of the accuracy over λ, over its spread from seed to seed",
      measured=inert / seed_noise, below=0.5)
claim("S1-08", "free norms: spread over λ, less 3 times that of norm one, points",
      measured=spread("free")[0] - 3 * inert, above=0)

# %%
claim("10-map", "free norms, η = 1 and 3: λ = 0.03 costs {:.1f} points of accuracy, on average",
      measured=cost, above=1.5)
claim("10-map", "best cell of norm one minus best cell of free norms, points",
      measured=right.max() - left.max(), between=(-3, 3))

# %% [markdown]
# With norm one a single dial is left, and at its best it reaches about what two dials reach. Why?
#
# ## 10.2 One line of algebra
#
# Write $w$ for a weight of norm one, $g$ for the gradient there, and $\mathrm{unit}(w)=w/\lVert w\rVert$. A step with
# decay, then projected, is
#
# $$\begin{aligned}
# \mathrm{unit}\big(w-\eta\,(g+\lambda w)\big) &= \mathrm{unit}\big((1-\eta\lambda)\,w-\eta g\big)\\
# &= \mathrm{unit}\Big(w-\frac{\eta}{1-\eta\lambda}\,g\Big),\qquad\eta\lambda<1.
# \end{aligned} \tag{10.1}$$
#
# The factor $1-\eta\lambda$ in front is positive, so the projection removes it. The *only* thing that λ does is to turn
# η into $\eta' = \eta/(1-\eta\lambda)$. It holds per unit and per layer, and the loss need not even be scale-invariant.
# With a schedule, read $s\eta$ for η. At $\eta\lambda=0.1$ the learning rate rises by {{100 / (1 - 0.1) - 100:.0f}} %:
# on a logarithmic dial nothing. We train with $\lambda=2$, $\eta=0.1$, and without decay at
# $\eta'={{0.1 / (1 - 0.1 * 2):.3f}}$:


# %%
def apart(one, other):
    """All differences of two runs, in parameters and losses."""
    (p, losses), (q, others) = one, other
    return torch.cat([(losses - others).ravel(), *((p[name] - q[name]).ravel() for name in p)])


def rescaled(w, g, s, t, name):
    return w - s * 0.1 / (1 - s * 0.1 * 2) * g


# %%
decayed = train(net, seeds(5), descend(lr=0.1, weight_decay=2.0), 100, unit_norm=True)
without = train(net, seeds(5), rescaled, 100, unit_norm=True)
control = train(net, seeds(5), descend(0.1, 0.0), 100, unit_norm=True)

# %%
claim("S1-07", "λ = 2, η = 0.1 against η/(1 − ηλ), 100 steps: parameters and losses apart",
      measured=apart(decayed, without), equals=0, within=1e-12)
claim("S1-07", "λ = 2 against λ = 0, both at η = 0.1: the largest difference is {}",
      measured=apart(decayed, control).abs().max(), above=0.01)

# %% [markdown]
# **Beyond.** At $\eta\lambda=1$ the old weight is gone, and the new one is $-\mathrm{unit}(g)$: a turn by a right
# angle, as $g\perp w$ (chapter 7). Past it the factor is negative, and the result is
# $-\mathrm{unit}\big(w+\frac{\eta}{\eta\lambda-1}g\big)$: a step *up* the gradient, and the weight's sign changed. So λ
# is inert while $\eta\lambda$ is far below one, and ruins the step above it.

# %%
start = {name: torch.tensor(value[None]) for name, value in net.initial(seeds(1)[0]).items()}
start["weight0"] /= size(start["weight0"])
_, slopes = gradients(net, start, np.arange(50)[None])
w, g = start["weight0"], slopes["weight0"]
at = {x: descend(0.1, x / 0.1)(w, g, 1, 0, "weight0") for x in (1.0, 1.5)}  # by ηλ

# %%
flipped = -(w + 0.1 / (1.5 - 1) * g)
claim("10-beyond", "ηλ = 1: cosine of a unit's old and new weights, all 32 units",
      measured=(at[1.0] * w).sum(2, keepdim=True) / size(at[1.0]), equals=0, within=1e-12)
claim("10-beyond", "ηλ = 1.5 against a step uphill with the sign changed, difference of directions",
      measured=at[1.5] / size(at[1.5]) - flipped / size(flipped), equals=0, within=1e-12)

# %% [markdown]
# **Momentum.** Where decay stands *beside* the step, $w\leftarrow(1-\eta\lambda)w-\eta v$, as in SGDW and AdamW, the
# same line works with the buffer $v$ for $g$, whatever is in it: (10.1) is exact. Where λw goes *into* the buffer, as
# in `torch.optim.SGD`, it is not. Along the weight, a buffer $v\leftarrow\mu v+g+\lambda w$ fills up to
# $\lambda w(1+\mu+\mu^2+\dots)=\lambda w/(1-\mu)$. Then, to first order in the turn, a step shrinks the norm from 1 to
#
# $$n = 1-\frac{\eta\lambda}{1-\mu},$$
#
# and the projection divides by $n$. Eliminate the buffer: from $n\,w_t=w_{t-1}-\eta v_t$ and
# $v_{t+1}=\mu v_t+g_t+\lambda w_t$
#
# $$\begin{aligned}
# n\,w_{t+1} &= (1+\mu n-\eta\lambda)\,w_t-\mu\,w_{t-1}-\eta g_t\\
# \Leftrightarrow\; w_{t+1}-w_t &= \frac\mu n\,(w_t-w_{t-1})-\frac\eta n\,g_t,
# \end{aligned} \tag{10.2}$$
#
# since $1+\mu n-\eta\lambda=n+\mu$ by the choice of $n$. So λ acts as $\eta/n$ *and* $\mu/n$, and the long-run rate
# $\eta/(1-\mu)$ becomes $\eta/(n-\mu)$. It is inert only while $\eta\lambda\ll(1-\mu)^2$. We start with a full buffer;
# an empty one fills in about $1/(1-\mu)$ steps.


# %%
def momentum(lr, weight_decay, mu, inside):
    """SGD with momentum as `move`, at s = 1: the penalty inside its buffer, or beside it."""
    buffer = None

    def move(w, g, s, t, name):
        nonlocal buffer
        buffer = weight_decay * w * inside / (1 - mu) if buffer is None else buffer
        buffer = mu * buffer + g + weight_decay * w * inside
        return w - lr * buffer - (0 if inside else lr * weight_decay * w)
    return move


def heavy(*options):
    return train(net, seeds(5), momentum(*options), 50, unit_norm=True)


# %%
beside = heavy(0.03, 10, 0.9, False), heavy(0.03 / 0.7, 0, 0.9, False)  # ηλ = 0.3
inside, n = heavy(0.03, 0.1, 0.9, True), 1 - 0.03 * 0.1 / (1 - 0.9)  # ηλ = 0.003


def off(*options):
    """How far a run's hidden weights are from those of `inside`, mean over units, by seed."""
    return size(inside[0]["weight0"] - heavy(*options)[0]["weight0"]).mean((1, 2))


# %%
claim("S1-07", "decay beside the momentum 0.9, ηλ = 0.3, 50 steps: against η/(1 − ηλ), difference",
      measured=apart(*beside), equals=0, within=1e-12)

# %%
plain = off(0.03, 0, 0.9, True)
claim("10-momentum", "ηλ = 0.003 inside the momentum: distance to λ = 0 after 50 steps, by seed",
      measured=plain, above=0.03)
claim("10-momentum", "… to η/(1 − ηλ), over that", above=0.9,
      measured=off(0.03 / 0.997, 0, 0.9, True) / plain)
claim("10-momentum", "… to η/n and μ/n, over that, means of the five seeds", below=0.03,
      measured=off(0.03 / n, 0, 0.9 / n, True).mean() / plain.mean())

# %% [markdown]
# ## 10.3 One dial: the turn
#
# The gradient is perpendicular to the weight. So by (10.1) a projected step turns it by the angle θ with
#
# $$\tan\theta=\eta' G,\qquad\eta'=\frac{\eta}{1-\eta\lambda}, \tag{10.3}$$
#
# where $G$ is the gradient's norm at norm one. With free norms λ sets the norm, and thereby the turn: chapter 8 finds
# $\cos\theta_*=1-\eta\lambda$ at equilibrium, where the norm is $r_*$. The two networks turn alike at
#
# $$\eta'=\frac{\eta}{(1-\eta\lambda)\,r_*^2}\approx\frac{\sqrt{2\eta\lambda}}{G}. \tag{10.4}$$
#
# So two dials were one all along: once the norms have settled, only $\eta\lambda$ counts. We recorded the turn per step
# in the second quarter of the runs above. As $g\perp w$, a step from norm $r$ to norm $r'$ (before any projection)
# turns by $\cos\theta=(1-\eta\lambda)\,r/r'$. So the mean of $\theta^2/2\approx-\ln\cos\theta$ is a budget:
# $-\ln(1-\eta\lambda)$ and the mean growth of $\ln r$.

# %%
shrunk = -torch.log(1 - lr * weight_decay)
for kind in angles:
    claim("10-budget", f"{kind}: −ln cos θ is −ln(1 − ηλ) + ln(r′/r), each step, unit and run",
          measured=-angles[kind].cos().log() - shrunk - growths[kind].log(), equals=0, within=1e-9)
budget = (2 * (shrunk[:, 0, 0] + growths["free"].log().mean((0, 2, 3)))).sqrt().reshape(5, 4, 4)
claim("10-budget", "free norms: root mean square turn of a run over its budget's, furthest from 1",
      measured=turns["free"] / budget.numpy(), equals=1, within=0.05)

# %% [markdown]
# Does the turn explain the accuracy better than η does?

# %%
product = np.outer(etas, lams)
settled = product > 0.008
expected = {"free": np.arccos(1 - product),
            "norm one": np.arctan(np.tan(turns["norm one"].mean(0)[:, :1]) / (1 - product))}
turn = {kind: np.sqrt((values**2).mean(0)) for kind, values in turns.items()}


# %% tags=["hide-input"]
def draw(ax_turn, ax_score):
    for kind, mark, color in (("free", "o", figures.BLUE), ("norm one", "s", figures.ORANGE)):
        filled = kind == "free"
        for k in range(4):
            ax_turn.plot(range(4), turn[kind][k], mark, ms=5, color=f"C{k}",
                         mfc=f"C{k}" if filled else "none", label=f"_{kind}")
            ax_turn.plot(range(filled, 4), expected[kind][k, filled:], ":" if filled else "-",
                         color=f"C{k}", lw=1.1, label=f"_{kind}, expected")
        ax_score.errorbar(turn[kind].ravel(), means[kind].ravel(), fmt=mark, ms=5, lw=0.7,
                          yerr=scores[kind].std(0, ddof=1).ravel() / 5**0.5, color=color,
                          mfc=color if filled else "none", label=kind)
    for k, eta in enumerate(etas):
        ax_turn.text(3.12, turn["norm one"][k, 3], f"η = {eta:g}", color=f"C{k}", va="center")
    ax_turn.set_xticks(range(4), [f"{v:g}" for v in lams])


# %%
fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.8))
draw(*axes)
axes[0].set(yscale="log", xlabel="weight decay λ", ylabel="turn per step (rad)", xlim=(-0.3, 4))
axes[0].set_title("λ moves the free turn only")
axes[1].set(xscale="log", xlabel="turn per step (rad)", ylabel="test accuracy (%)")
axes[1].set_title("About one curve for both")
axes[1].legend(loc="lower center")
left, right = map(figures.drawn, axes)
low, high = (f"{v:.2f}" for v in left["_norm one"].y[3, [0, 3]])
worst = max((right[kind].high - right[kind].low).max() / 2 for kind in ("free", "norm one"))
free, one = right["free"].y, right["norm one"].y  # four λ for each η, the smallest first
figures.show(fig, "Left, the turn per step on a logarithmic axis against λ for four learning "
             "rates. Filled circles, free norms, rise with λ to the dotted curves arccos(1 − ηλ); "
             f"open squares, norm one, hardly rise: with η = {etas[3]:g} from {low} to {high}. "
             "Right, test accuracy against the turn, with standard errors of at most "
             f"{worst:.1f} points: {one[:4].mean():.0f} for the smallest turns and {free[-1]:.0f} "
             f"for the largest, between them up to {one.max():.0f} at norm one and "
             f"{free.max():.0f} free.", number="10.2",
             caption="Circles are free, squares have norm one. Dotted and solid lines are "
             "predicted; bars are standard errors of five seeds.")

# %%
claim("10-turn", "the dotted curves have the cosine 1 − ηλ",
      measured=np.cos(left["_free, expected"].y) - (1 - product[:, 1:]), equals=0, within=1e-12)
deviations = np.stack([scores["free"], scores["norm one"]]) - np.stack([*means.values()])[:, None]
bars = np.stack([right[kind].high - right[kind].low for kind in means]).reshape(2, 4, 4) / 2
claim("10-turn", "error bars: twenty squares of them are the sum of five squared deviations",
      measured=20 * bars**2 - (deviations**2).sum(1), equals=0, within=1e-9)

# %%
at_rest = left["_free"].y[settled] / np.arccos(1 - product[settled])
claim("10-turn", f"free norms, the {settled.sum()} cells with ηλ ≥ {product[settled].min():g}: "
      "turn over arccos(1 − ηλ), furthest from 1", measured=at_rest, equals=1, within=0.15)
claim("10-turn", "norm one: turn over that expected from λ = 0 and (10.3), furthest from 1",
      measured=left["_norm one"].y / left["_norm one, expected"].y, equals=1, within=0.05)

# %%
curve = np.polynomial.Polynomial.fit(np.log(turn["norm one"]).ravel(), means["norm one"].ravel(), 2)
within = turn["free"] < turn["norm one"].max()
assert turn["free"][within].max() <= turn["norm one"].max()  # where the curve is known
gap_turn = (means["free"] - curve(np.log(turn["free"])))[within]
gap_rate = (means["free"] - means["norm one"].mean(1, keepdims=True))[within]
misfit = means["norm one"] - curve(np.log(turn["norm one"]))
rms_turn, rms_rate = (np.sqrt((gap**2).mean()) for gap in (gap_turn, gap_rate))
noise = np.sqrt(np.stack([*scores.values()]).var(1, ddof=1).mean() / 5)  # of a mean of five seeds

# %%
claim("10-turn", "the fitted curve leaves no mean deviation from norm one's accuracies",
      measured=misfit.mean(), equals=0, within=1e-9)
claim("10-turn", "six of the 16 cells have a larger ηλ than 0.008: the settled ones",
      measured=float(settled.sum()), equals=6, within=1e-9)
claim("10-turn", f"squares of both rms, and the mean squares of {within.sum()} cells' gaps, apart",
      measured=[gap @ gap / within.sum() - rms**2 for gap, rms in
                ((gap_turn, rms_turn), (gap_rate, rms_rate))], equals=0, within=1e-9)
claim("10-turn", "twenty squares of the noise are the mean cell's sum of five squared deviations",
      measured=20 * noise**2 - (deviations**2).sum(1).mean(), equals=0, within=1e-9)
claim("10-turn", "accuracy, free norms minus norm one, rms: at the same turn, over at the same η",
      measured=rms_turn / rms_rate, below=0.7)
claim("10-turn", "… at the same turn, in points, where a mean of five seeds has a standard error "
      f"of {noise:.1f}", measured=rms_turn, below=2.5)

# %% [markdown]
# It does. They are not the same method, though. As the network learns, $G$ changes. Projection keeps the *rate* η' and
# lets the turn follow $G$; decay keeps the *turn*, and lets the rate follow $1/G$, after a delay. A trust ratio
# (chapter 9) keeps the turn without delay: it divides by the gradient's norm. For a weight with constant $G=1$ you can
# set both dials yourself, in a JupyterLab opened by `make lab`. Where do the two lines on the right cross?


# %%
def settle(lr, weight_decay, steps=400, r=1.0):
    """Turn per step of a free weight from norm r, at G = 1."""
    turns, a = [], 1 - lr * weight_decay
    for _ in range(steps):
        turns.append(np.arctan(lr / (a * r**2)))
        r = np.sqrt((a * r) ** 2 + (lr / r) ** 2)
    return np.array(turns)


# %%
def last_turns(ax, lr):
    """The turn at step 400 against λ, with free norm and at norm one."""
    lams = np.geomspace(0.01, 1, 15)
    ax.plot(lams, [settle(lr, each)[-1] for each in lams], "o", ms=4, label="_free norm")
    ax.plot(lams, np.arccos(1 - lr * lams), "k:", lw=1.2, label="_equilibrium")
    ax.plot(lams, np.arctan(lr / (1 - lr * lams)), color=figures.ORANGE, label="_norm one")
    ax.set(xlabel="weight decay λ", ylabel="turn at step 400 (rad)", xscale="log")
    ax.set_title("λ moves the free turn far more")
    dotted, line = (figures.drawn(ax)[label].y for label in ("_equilibrium", "_norm one"))
    claim("10-dials", "right: the dotted equilibrium has the cosine 1 − ηλ",
          measured=np.cos(dotted) + lr * lams, equals=1, within=1e-12)
    claim("10-dials", "right: norm one has the tangent η/(1 − ηλ), times (1 − ηλ)/η",
          measured=np.tan(line) * (1 - lr * lams) / lr, equals=1, within=1e-12)


# %%
def turn_of_time(ax, lr, weight_decay):
    """The turn at each step, with free norm and at norm one."""
    a = 1 - lr * weight_decay
    ax.plot(settle(lr, weight_decay), label="free norm")
    ax.plot([0, 400], [np.arctan(lr / a)] * 2, label="norm one")
    ax.axhline(np.arccos(a), color="black", ls=":", lw=1.2, label="_equilibrium")
    ax.set(xlabel="step", ylabel="turn per step (rad)", yscale="log", ylim=(0.004, 1.5))
    ax.legend(loc="lower right")
    cosine = np.cos(figures.drawn(ax)["_equilibrium"].y)
    claim("10-dials", "left: the dotted equilibrium has the cosine 1 − ηλ",
          measured=cosine + lr * weight_decay, equals=1, within=1e-12)


# %%
def dials(lr, weight_decay):
    fig, axes = figures.subplots(1, 2, figsize=(8.4, 3.5), sharey=True)
    turn_of_time(axes[0], lr, weight_decay), last_turns(axes[1], lr)
    left, right = map(figures.drawn, axes)
    free, fixed, goal = (left[k].y for k in ("free norm", "norm one", "_equilibrium"))
    axes[0].set_title(f"η = {lr:g}, λ = {weight_decay:g}: free turn × {free[-1] / free[0]:.2g}")
    axes[1].plot([weight_decay] * 2, [free[-1], fixed[-1]], "D", color="black", ms=5)
    said = [f"{angle:.3f}" for angle in (free[0], free[-1], goal[0], fixed[0])]
    most = [f"{right[k].y[-1]:.3f}" for k in ("_equilibrium", "_norm one")]
    return fig, (f"η = {lr:g}, λ = {weight_decay:g}. "
                 f"Left, turn per step over {len(free)} steps, logarithmic: a "
                 f"free weight starts at {said[0]} and ends at {said[1]}; its equilibrium, dotted, "
                 f"is {said[2]}; norm one stays at {said[3]}. Right, the last turn against λ from "
                 f"{right['_norm one'].x[0]:g} to {right['_norm one'].x[-1]:g}: dots of the free "
                 f"weight beside their rising dotted equilibrium, up to {most[0]}; a line for norm "
                 f"one, up to {most[1]}.")


# %% tags=["show-input"]
figures.interactive(dials, lr=[0.1, 0.03, 0.3], weight_decay=[0.3, 0.01, 0.03, 0.1, 1],
                    number="10.3", caption="Dotted is the equilibrium of the free weight, whose "
                    "turns are dots on the right. Diamonds mark the λ of the left.")

# %%
claim("10-dials", "η = 0.1, λ = 0.3: turn of the free weight after 400 steps over its equilibrium",
      measured=settle(0.1, 0.3)[-1] / np.arccos(1 - 0.1 * 0.3), equals=1, within=1e-9)

# %% [markdown]
# ## 10.4 γ and β: when their size means nothing
#
# From a normalised $z$ batch norm makes $\gamma z+\beta$, with a scale γ and a shift β for each unit, or channel. If
# only directions count, does their size mean nothing either? ReLU lets a positive factor $c$ pass:
# $\mathrm{relu}(c\,\gamma z+c\,\beta) = c\,\mathrm{relu}(\gamma z+\beta)$. If a linear layer with another normalisation
# follows, that one removes $c$. This needs all of: γ *and* β, *one* factor for the whole layer, a ReLU, a normalisation
# that follows, and no way around it. Two layers, where each condition can be broken, with {{below: len(A)}} draws of
# the weights:

# %%
rng = claims.rng()
shapes = (20, 40, 16), (20, 16, 16), (20, 16, 10)
A, B, V = (torch.tensor(rng.standard_normal(shape)) for shape in shapes)
gammas = torch.tensor(rng.uniform(0.5, 1.5, (2, 20, 1, 16)))
betas = torch.tensor(rng.normal(0, 0.3, (2, 20, 1, 16)))


# %%
def normalise(z):
    return (z - z.mean(1, keepdim=True)) / z.std(1, correction=0, keepdim=True)


def scores_of(c=1.0, d=1.0, last=(1.0, 1.0), skip=0.0, relu=torch.relu, head=1.0):
    """Scores of 100 signals with γ₀ times c, β₀ times d, and γ₁, β₁ and the head times theirs."""
    h = relu(c * gammas[0] * normalise(X[:100] @ A) + d * betas[0])
    z = normalise(h @ B) * gammas[1] * last[0] + betas[1] * last[1]
    return relu(z + skip * h) @ V * head


def change(before, after):
    """Largest change of a score over the largest score, for each network."""
    return (after - before).abs().amax((1, 2)) / before.abs().amax((1, 2))


# %%
h = X[:100].clone()  # the first network, with PyTorch's batch norm
for weights, gamma, beta in ((A[0], gammas[0], betas[0]), (B[0], gammas[1], betas[1])):
    pair = gamma[0, 0], beta[0, 0]
    h = torch.nn.functional.batch_norm(h @ weights, None, None, *pair, training=True, eps=1e-30)
    h = h.relu()
claim("10-scores", "scores of the first network, and by `torch.nn.functional.batch_norm`, apart",
      measured=scores_of()[0] - h @ V[0], equals=0, within=1e-9)

# %%
each = torch.tensor(rng.uniform(1, 5, 16))
gelu = torch.nn.functional.gelu
claim("S1-13", "γ and β of a layer times 3, a normalised layer follows: change of the scores",
      measured=change(scores_of(), scores_of(3, 3)), equals=0, within=1e-12)

# %%
claim("S1-13", "γ alone times 3: change of the scores, mean of the networks",
      measured=change(scores_of(), scores_of(3, 1)).mean(), above=0.05)
claim("S1-13", "… γ and β, each channel by a factor of its own, 1 to 5",
      measured=change(scores_of(), scores_of(each, each)).mean(), above=0.1)
claim("S1-13", "… γ and β times 3, where a skip leads around the layer",
      measured=change(scores_of(skip=1.0), scores_of(3, 3, skip=1.0)).mean(), above=0.3)
claim("S1-13", "… γ and β times 3, with GELU in place of ReLU",
      measured=change(scores_of(relu=gelu), scores_of(3, 3, relu=gelu)).mean(), above=0.03)

# %% [markdown]
# **The last pair.** No normalisation follows the last γ and β, but the output matrix does: γ and β times $c$, and the
# matrix over $c$, make the same function, whatever the output's bias. Either alone does not.

# %%
claim("S1-14", "last γ and β times 3, output matrix over 3: change of the scores",
      measured=change(scores_of(), scores_of(last=(3, 3), head=1 / 3)), equals=0, within=1e-12)
claim("S1-14", "… last γ and β times 3 alone",
      measured=change(scores_of(), scores_of(last=(3, 3))), equals=2, within=1e-9)

# %% [markdown]
# **Residual connections.** In $h+\gamma\,\mathrm{norm}(\ldots)+\beta$ the size of γ and β is the weight of the branch
# beside the stream $h$. It has a meaning. Only if *everything* that writes to the stream is scaled together does the
# normalisation at the end remove it (the residual block of [chapter 7](07_scale_invariance.ipynb)). In the block below
# that is the branch's pair $(\gamma_1,\beta_1)$ and the pair $(\gamma_0,\beta_0)$ that makes $h$. Decay of both
# penalises nothing but a common size. Decay of the branch's pair alone shrinks the branch beside the stream, and pulls
# the block towards the identity. (Its penalty could vanish without that, if both pairs shrank together. But nothing
# pushes the stream to shrink.) We train with batch norms for 300 steps, and compare the two pairs.


# %%
class Residual(MLP):
    def __call__(self, p, x, reference=None):
        def norm(h):
            return (h - h.mean(2, keepdim=True)) / h.std(2, correction=0, keepdim=True)
        h = torch.relu(p["gamma0"] * norm(p["weight0"] @ x.mT) + p["beta0"])
        h = h + p["gamma1"] * norm(p["weight1"] @ h) + p["beta1"]
        return p["weight2"] @ norm(h)


def pairs(p):
    """Norms of (γ₀, β₀), of the stream, and (γ₁, β₁), of the branch, for each run."""
    return [torch.cat([p[f"gamma{i}"], p[f"beta{i}"]], 1).norm(dim=(1, 2)) for i in (0, 1)]


# %%
branch, stream = ("gamma1", "beta1"), ("gamma0", "beta0")
block = Residual((40, 32, 32, 10), norm="batch", bias=False)
by_name = {name: column([lam] * 5 + [0.03] * 5 + [0] * 5)  # branch decays, both do, neither does
           for names, lam in ((branch, 0.03), (stream, 0)) for name in names}


def selective(w, g, s, t, name):
    return descend(0.3, by_name[name])(w, g, s, t, name)


# %%
p, _ = train(block, 3 * seeds(5), selective, 300, moved=branch + stream)
of_stream, of_branch = pairs(p)
share = (of_branch / of_stream).reshape(3, 5)
scaled = [block(p | {name: 3 * p[name] for name in names}, X[:100].expand(15, -1, -1))
          for names in ((), branch, branch + stream)]

# %%
claim("10-residual", "γ and β of the branch times 3: change of the scores, mean of 15 runs",
      measured=change(*scaled[:2]).mean(), above=0.1)
claim("10-residual", "all that writes to the stream times 3: change of the scores",
      measured=change(*scaled[::2]), equals=0, within=1e-12)
claim("10-residual", "branch over stream, norms of the pairs: branch decayed over none, by seed",
      measured=share[0] / share[2], below=0.5)
claim("10-residual", "… both decayed over none", measured=share[1] / share[2], above=0.5)

# %% [markdown]
# ## 10.5 What decaying them does
#
# Libraries do not agree about γ and β (the table in [chapter 6](06_bias_exclusion.ipynb)). PyTorch's optimisers decay
# every parameter that they are given, and its batch norm lists both. `param_groups` of that chapter spares both.

# %%
layer = torch.nn.BatchNorm1d(32)
spared = [each for group in param_groups(layer, 0.1) if group["weight_decay"] == 0
          for each in group["params"]]
claim("S1-12", "batch norm of 32 units: {} numbers among its `parameters()`, 32 γ and 32 β",
      measured=sum(each.numel() for each in layer.parameters()), equals=64)
claim("S1-12", "… {} of these in groups of `param_groups` without decay",
      measured=sum(each.numel() for each in spared), equals=64)

# %% [markdown]
# The section before settles what their decay *can* do, in a network without skips.
#
# 1. **An inner pair** $p=(\gamma,\beta)$ is a scale-invariant weight like any other. Decay has no objective to act on.
#    It sets the turn of $p$: $\cos\theta_*=1-\eta\lambda$, and a norm $r_*^4=\eta G^2/(\lambda(2-\eta\lambda))$, by
#    (8.6) and (8.7) of [chapter 8](08_effective_learning_rate.ipynb).
# 2. **The last pair, with a decayed output matrix $V$**, is regularised. $\lVert p\rVert^2+\lVert V\rVert^2$ is at
#    least $2\lVert p\rVert\lVert V\rVert$, which no scaling lowers. Along the scaling the loss has no slope, so
#    $D=\lVert p\rVert^2-\lVert V\rVert^2$ decays as if there were no loss: by $(1-\eta\lambda)^2$ a step, to first
#    order in η (the balance of [chapter 5](05_size_normalisation.ipynb)). A smaller product means smaller
#    outputs.
# 3. **The last pair alone**: $V$ may grow as $p$ shrinks. The penalty's infimum is zero, but $V$ has to grow for it. In
#    a run of finite length the penalty acts all the same.
#
# First the inner pair: two hidden layers, $\eta=\lambda=0.1$, λ on $(\gamma_0,\beta_0)$ and the hidden matrices.

# %%
deep = MLP((40, 32, 32, 10), norm="batch", eps=1e-30)
data["lr"] = 0.1
hidden, head = {"weight0": 1, "weight1": 1}, {"weight2": 1}
inner, last = {"gamma0": 1, "beta0": 1}, {"gamma1": 1, "beta1": 1}


def pair(p, g):
    """Of (γ₀, β₀) and its gradient: norms, and their product's size along each other."""
    p, g = (torch.cat([each["gamma0"], each["beta0"]], 1)[..., 0] for each in (p, g))
    return torch.stack([p.norm(dim=1), g.norm(dim=1), (p * g).sum(1)], 1)


# %%
watched = sweep(deep, **data, weight_decay=[0, 0.1], decay_factors=hidden | inner,
                seeds=seeds(10), steps=500, record={"pair": pair}, evaluate_every=500).pair.values
norm, slope, product = np.moveaxis(watched, 2, 0)  # seed, λ, step
late = np.s_[:, 1, -200:]
G2 = ((norm * slope)[late] ** 2).mean()
r_star = (0.1 * G2 / (0.1 * (2 - 0.01))) ** 0.25
r_late = (norm[late] ** 4).mean() ** 0.25
kept = np.array([[1.0], [0.99]])  # 1 - ηλ, by λ
angle = np.arctan(0.1 * slope / (kept * norm))
turned = np.sqrt((angle[late] ** 2).mean())

# %%
now, after = norm[..., :-1], norm[..., 1:]
claim("10-pair", "cosine of (γ₀, β₀) and its gradient, all steps and runs",
      measured=product / norm / slope, equals=0, within=1e-9)
claim("10-pair", "norm squared after a step: decayed norm squared plus (η × gradient) squared",
      measured=(kept * now) ** 2 + (0.1 * slope[..., :-1]) ** 2 - after**2, equals=0, within=1e-9)
claim("10-pair", "G², and the mean of the product of both squares, apart",
      measured=G2 - np.mean(norm[late] ** 2 * slope[late] ** 2), equals=0, within=1e-9)
claim("10-pair", "cosine of the turn: the decayed norm over the new one",
      measured=np.cos(angle[..., :-1]) - kept * now / after, equals=0, within=1e-9)

# %%
budget = np.log(after / now)[late].mean() - np.log(0.99)  # of θ²/2, from the norms
claim("10-pair", "norm of (γ₀, β₀) at the end over (8.6)",
      measured=r_late / r_star, equals=1, within=0.05)
claim("10-pair", "… fourth root of the mean fourth power over the mean, minus 1: {:.2%}",
      measured=r_late / norm[late].mean() - 1, between=(1e-4, 0.01))
claim("10-pair", "turn of (γ₀, β₀) per step over arccos(1 − ηλ)",
      measured=turned / np.arccos(0.99), equals=1, within=0.05)
claim("10-pair", "… over that of the budget of section 10.3",
      measured=turned / np.sqrt(2 * budget), equals=1, within=0.01)

# %% [markdown]
# Now all three, on {{below: len(base.seed)}} seeds, and the output matrix decays too unless we say that it is free. Two
# runs from the same seed, one with the decay of γ and β and one without, give a difference; we show the
# {{below: 100 * level:.0f}} % interval of its mean. The hidden matrices decay throughout.


# %%
def ends(decay_factors, lams=(0.005, 0.05)):
    """Runs at the end, on ten seeds: test accuracy in points, test loss, final parameters."""
    run = sweep(deep, **data, weight_decay=lams, seeds=seeds(10), steps=300,
                decay_factors=decay_factors, schedule=lambda t: factor(t, 300), record_every=300)
    return run.assign(test_accuracy=100 * run.test_accuracy).isel(step=-1)


level = 0.95


def difference(one, other, what):
    """Mean of the paired differences at each λ, with its interval."""
    return claims.interval(one[what].values - other[what].values, level)  # seed, λ


# %%
base = ends(hidden | head)
cases = {"inner pair": (ends(hidden | head | inner), base),
         "last pair and head": (ends(hidden | head | last), base),
         "last pair, head free": (ends(hidden | last, [0.05]), ends(hidden, [0.05]))}
heads = [(run.weight2.values[:, -1] ** 2).sum() for run in (cases["last pair, head free"][1], base)]
assert heads[0] > heads[1]  # the rival's head is free, too
found = {name: {what: difference(*runs, what) for what in ("test_accuracy", "test_loss")}
         for name, runs in cases.items()}

# %%
factors = dict.fromkeys(hidden | head, 0.05) | inner  # of λ = 1
eager, calm = ends(factors, [1.0]), base.sel(weight_decay=[0.05])
assert {name: factors[name] for name in hidden | head} == dict.fromkeys(hidden | head, 0.05)
found["inner pair, λ = 1"] = {"test_accuracy": difference(eager, calm, "test_accuracy")}
rows = [(name if "=" in name else f"{name}, λ = {lam}", mean, half)
        for name, value in found.items() for points in [value["test_accuracy"]]
        for lam, mean, half in zip((0.005, 0.05)[-len(points.mean):], points.mean, points.half,
                                   strict=True)]


# %% tags=["hide-input"]
def draw_norms(ax):
    t = np.arange(501)
    smooth = (r_star**4 + (norm[0, 1, 0] ** 4 - r_star**4) * np.exp(-4 * 0.01 * t)) ** 0.25
    ax.plot(t, norm[:5, 0].T, color=figures.GREY, lw=0.8, label="_no decay")
    ax.plot(t, norm[:5, 1].T, color=figures.BLUE, lw=0.8, label="_λ = 0.1")
    ax.plot(t, smooth, "k:", lw=1.5, label="_formula")
    ax.text(500, 5.3, "no decay", color=figures.GREY, ha="right")
    ax.text(500, 1.1, "λ = 0.1", color=figures.BLUE, ha="right")
    ax.set(xlabel="step", ylabel="norm of (γ₀, β₀)", ylim=(0, 6.2),
           title="As a weight: down to (8.6)")


def draw_changes(ax):
    for i, (name, mean, half) in enumerate(rows):
        ax.errorbar(mean, -i, xerr=half, fmt="o", color=figures.BLUE, ms=5, label=name)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(-np.arange(len(rows)), [name for name, _, _ in rows])
    ax.set(xlabel=f"change of test accuracy (points, {100 * level:.0f} %)",
           ylabel="γ and β that decay", title="It depends on the pair")


# %%
fig, axes = figures.subplots(1, 2, figsize=(8.6, 3.5))
draw_norms(axes[0]), draw_changes(axes[1])
left, right = map(figures.drawn, axes)
free, held, dotted = (left[label].y for label in ("_no decay", "_λ = 0.1", "_formula"))
said = "; ".join(f"{name}: {bar.x[0]:z.1f} ± {(bar.high[0] - bar.low[0]) / 2:.1f}"
                 for name, bar in right.items())
named = [right[label.get_text()].y[0] for label in axes[1].get_yticklabels()]
figures.show(fig, f"Left, the norm of the inner pair over {free.shape[1] - 1} steps, of five "
             f"seeds, from {free[0, 0]:.2f}. It ends at {free[:, -1].mean():.2f} without decay, "
             f"and at {held[:, -200:].mean():.2f} with it, on average over the last "
             f"{held[:, -200:].shape[-1]}, beside a "
             f"dotted prediction that ends at {dotted[-1]:.2f}. Right, change of test accuracy in "
             f"points when a pair decays: {said}.", number="10.4",
             caption="Left, a line for each of five seeds, and dotted formula (8.8). Right, means "
             "of ten paired differences with their 95 % intervals.")

# %%
recursion = [norm[0, 1, 0] ** 2]
for _ in range(500):  # (8.5) with a constant G
    recursion.append(0.99**2 * recursion[-1] + 0.1**2 * G2 / recursion[-1])

# %%
claim("10-pair", "the dotted line over the recursion (8.5), step by step, furthest from 1",
      measured=dotted / np.sqrt(recursion), equals=1, within=0.02)
claim("10-pair", "the picture's rows stand at the names of their ticks", equals=0,
      within=1e-9,
      measured=np.array(named) + np.arange(len(rows)))

# %%
gaps = {what: cases["inner pair"][0][what].values - base[what].values
        for what in ("test_accuracy", "test_loss")}
effects, nats = (np.abs(effect.mean) + effect.half for effect in found["inner pair"].values())
students = [np.abs(gap.mean(0)) + 2.26215716 * gap.std(0, ddof=1) / 10**0.5  # t of 9 degrees
            for gap in gaps.values()]
claim("S1-15", "an interval's farther end: the mean's size plus Student's t times s/√10",
      measured=np.stack([effects, nats]) - students, equals=0, within=1e-6)

# %%
accuracy_change, loss_change = found["inner pair"].values()
claim("S1-15", f"inner pair, ηλ = {0.1 * 0.005:g} and {0.1 * 0.05:g}: mean change further from 0, "
      "points", measured=accuracy_change.mean, equals=0, within=1)
claim("S1-15", "… of the test loss, nat: the interval's end further from 0", equals=0, within=0.02,
      measured=[loss_change.low, loss_change.high])

# %%
both, alone = right["last pair and head, λ = 0.05"], right["last pair, head free, λ = 0.05"]
all_of_it = right["inner pair, λ = 1"]
claim("S1-15", "last pair, decayed head, λ = 0.05: upper end of the interval, points",
      measured=both.high, below=-1)
claim("S1-15", "… head not decayed: mean change, points", measured=alone.x, below=-1)
claim("S1-15", "… change with the head decayed minus change with the head free, points, mean",
      measured=both.x - alone.x, below=0)
claim("S1-15", "inner pair, ηλ = 0.1: mean change, points",
      measured=all_of_it.x, below=-8 * 1)  # eight times what a small λ may do at most
claim("S1-15", "the last pair's two intervals, and this one, lie below 0: nearest upper end",
      measured=[row.high for row in (both, alone, all_of_it)], below=0)

# %%
def imbalance(run):
    """‖(γ₁, β₁)‖² - ‖V‖² of each seed, at the largest λ."""
    p, q, V = (run[name].values[:, -1] for name in ("gamma1", "beta1", "weight2"))
    return (p**2 + q**2).sum((1, 2)) - (V**2).sum((1, 2))


begun = np.array([32 - (deep.initial(seed)["weight2"] ** 2).sum() for seed in seeds(10)])
decays = np.prod([1 - 0.1 * 0.05 * factor(t, 300) for t in range(300)]) ** 2
first = [np.stack([deep.initial(seed)[name] for seed in seeds(10)])
         for name in ("gamma1", "beta1", "weight2")]
squared = [(values**2).sum((1, 2)) for values in first]

# %%
claim("S1-14", "D at the start, from γ = 1 and β = 0, and from all three tensors, apart",
      measured=begun - (squared[0] + squared[1] - squared[2]), equals=0, within=1e-9)
claim("S1-14", "last pair and head, λ = 0.05: what is left of D, over the product of (1 − ηλ)²",
      measured=imbalance(cases["last pair and head"][0]) / begun / decays, equals=1, within=0.05)
claim("S1-14", "… last pair alone: D at the end over D at the start (V outgrows p)",
      measured=(imbalance(cases["last pair, head free"][0]) / begun).mean(), below=-0.1)

# %% [markdown]
# Inner pair: a change of at most {{effects.max():.1f}} points, until ηλ is so large that it turns by
# {{np.arccos(1 - 0.1 * 1.0):.2f}} rad a step. Last pair: {{-both.x[0]:.1f}} points of accuracy lost at $\lambda=0.05$,
# and {{-alone.x[0]:.1f}} if the output matrix is free to grow. So
# whether γ and β should decay has no single answer. It depends on which pair, on what decays beside it, and on ηλ.
# Whether a stronger penalty on the last pair is wanted is a matter of the data: here it hurts.
#
# ## 10.6 Normalised training on a schedule
#
# Suppose that you want to drop decay, and keep what it did. What it did was a schedule. By (10.1), with a norm $r_t$
# now, the *direction* $u_t$ of a weight obeys
#
# $$u_{t+1}=\mathrm{unit}\big(u_t-\rho_t\,\tilde g(u_t)\big),\qquad
# \rho_t=\frac{\eta_t}{(1-\eta_t\lambda)\,r_t^2}, \tag{10.5}$$
#
# where $\tilde g(u)$ is the gradient at norm one. Nothing else enters: two runs from the same start, on the same
# minibatches, with the same $\rho_t$ in every unit are the same run. So write down ρ of a run with decay, and
#
# - train at norm one with the learning rate $\rho_t$, or
# - train free weights $v$ *without decay* at $\eta_t=\rho_t\lVert v_t\rVert^2$.
#
# Both give its functions step by step, exactly. But this takes the very run that it replaces. What is left if we
# transplant less?
#
# - (a) One number per layer and step: the mean of ρ over the units and the *other* seeds.
# - (b) One number per layer: $\rho_t=s_t\sqrt{2\eta\lambda}/G$, the equilibrium (10.4) on the schedule $s$, with the
#   root mean square of $G$ over the other seeds' runs.
# - (c) No run at all: the constant turn $s_t\sqrt{2\eta\lambda}$, which divides by each step's own $G$ (a trust ratio).
#
# And a control: no decay, with {{below: boost}} times the η.
#
# Two hidden layers, $\eta={{below: eta}}$ and $\lambda={{below: lam}}$ in both; everything else learns as in section 10.1, without
# decay. {{below: len(dozen)}} seeds. What a replacement recovers is given as a part of the gap in test *loss* between
# the runs with decay and those without. The picture shows accuracies, but {{len(X) - 4000:,}} right or wrong
# answers are a coarser measure.

# %%
eta, lam, steps, boost, dozen = 0.02, 0.15, 500, 10, seeds(12)
rho, G = {"weight0": [], "weight1": []}, {"weight0": [], "weight1": []}


def recorded(w, g, s, t, name):
    """Free weights; of the first twelve runs, those with decay, keep ρ and G."""
    rho[name].append(s * eta / ((1 - s * eta * lam) * size(w[:12]) ** 2))
    G[name].append(size(w[:12]) * size(g[:12]))
    lr, weight_decay = column([eta] * 24 + [boost * eta] * 12), column([lam] * 12 + [0] * 24)
    return descend(lr, weight_decay)(w, g, s, t, name)


# %%
p_free, loss_free = train(deep, 3 * dozen, recorded, steps)
rho, G = ({name: torch.stack(values) for name, values in of.items()} for of in (rho, G))


def others(values):
    """Mean over each seed's eleven fellows, and over units: (…, 12, 1, 1)."""
    values = values.mean(-2, keepdim=True)
    return (values.sum(-3, keepdim=True) - values) / 11


# %%
typical = {name: others(rho[name]) for name in rho}
single = {name: (2 * eta * lam / others((values**2).mean(0))) ** 0.5 for name, values in G.items()}


def replaced(w, g, s, t, name):
    """Norm one: twelve runs with the exact ρ, and twelve each with (a), (b) and (c)."""
    turned = s * (2 * eta * lam) ** 0.5 / size(g[36:])
    rates = rho[name][t], *(each.expand(12, 32, 1) for each in (typical[name][t], s * single[name]))
    return w - torch.cat([*rates, turned]) * g


def undecayed(w, g, s, t, name):
    return w - rho[name][t][:5] * size(w) ** 2 * g


# %%
p_one, loss_one = train(deep, 4 * dozen, replaced, steps, unit_norm=True)
_, loss_grown = train(deep, dozen[:5], undecayed, steps)
outputs = torch.cat([tested(deep, p_free), tested(deep, p_one)])
order = [0, 1, 3, 4, 5, 6, 2]  # the runs at ten times the rate come last
results, losses = (measure(outputs).reshape(7, 12)[order] for measure in (accuracy, test_loss))
names = ["decay", "no decay", "norm one, ρ itself", "(a) mean ρ of others", "(b) s √(2ηλ)/G",
         "(c) constant turn × s", f"no decay, η × {boost}"]

# %%
def fellows(values):
    """Mean over units of all seeds but one, left out by name: (seeds,)."""
    return np.array([np.delete(values[..., 0], k, 0).mean() for k in range(12)])[:, None]


w, name = p_one["weight1"], "weight1"
g = gradients(deep, p_one, np.arange(50)[None].repeat(48, 0))[1][name]
used = (size(w - replaced(w, g, 0.5, 100, name)) / size(g)).reshape(4, 12, 32)  # at s = 0.5
wanted = fellows(rho[name][100]), 0.5 * np.sqrt(2 * eta * lam / fellows((G[name] ** 2).mean(0)))

# %%
claim("10-transplant", "rates of (a) and (b), and those from the other eleven seeds, apart",
      measured=used[1:3].numpy() - np.stack(wanted), equals=0, within=1e-12)
claim("10-transplant", "(c) turns by √(2ηλ)/2 where s = 1/2",
      measured=used[3] * size(g)[36:, :, 0] - 0.5 * (2 * eta * lam) ** 0.5, equals=0, within=1e-12)


# %%
def foresee(G2, r2=1 / 3):
    """ρ of every step from (8.5), at constant G² and from the initial r² of a unit."""
    rates = []
    for t in range(steps):
        lr = factor(t, steps) * eta
        rates.append(lr / ((1 - lr * lam) * r2))
        r2 = (1 - lr * lam) ** 2 * r2 + lr**2 * G2 / r2
    return rates


foreseen = {name: foresee((values**2).mean().item()) for name, values in G.items()}


# %% tags=["hide-input"]
def draw_rates(ax):
    for k, name in enumerate(rho):
        ax.plot(rho[name].mean(2)[..., 0], color=f"C{k}", lw=0.7, label=f"_layer {k + 1}")
        ax.plot(foreseen[name], "k:", lw=1.3, label=f"_predicted {k + 1}")
        ax.text((290, 370)[k], (0.15, 0.245)[k], ("layer 1", "layer 2")[k], color=f"C{k}")
    ax.set(xlabel="step", ylabel="rate ρ at norm one", title="What decay did: a schedule …")


def draw_results(ax):
    shades = [figures.BLUE, figures.GREY, *[figures.ORANGE] * 4, figures.GREY]
    for i, (name, row) in enumerate(zip(names, results, strict=True)):
        ax.plot(row, [-i] * len(row), "o", ms=4, color=shades[i], alpha=0.5, label=name)
        ax.plot([row.mean()] * 2, [-i - 0.3, -i + 0.3], color=shades[i], lw=2.5,
                label=f"_bar of {name}")
    for name, mean in zip(names, results[:2].mean(1), strict=False):
        ax.axvline(mean, color="black", lw=0.7, ls=":", label=f"_mean of {name}")
    ax.set_yticks(-np.arange(7), names)
    ax.set(xlabel="test accuracy (%)", ylabel="run", title="… which can be transplanted")


# %%
fig, axes = figures.subplots(1, 2, figsize=(8.8, 3.7))
draw_rates(axes[0]), draw_results(axes[1])
left, right = map(figures.drawn, axes)
seen, guessed = ([left[f"_{word} {k}"].y for k in (1, 2)] for word in ("layer", "predicted"))
named = [right[label.get_text()].y[0] for label in axes[1].get_yticklabels()]
at = [f"{value:.2f}" for t in (0, 250) for rate in seen for value in [rate[:, t].mean()]]
at += [f"{rate[250]:.2f}" for rate in guessed]
said = "; ".join(f"{name}: {row.x.mean():.0f}" for name, row in right.items() if name[0] != "_")
figures.show(fig, f"Left, the rates ρ of {len(seen[0])} runs with decay in two layers, over "
             f"{seen[0].shape[1]} steps: they start at {at[0]} and {at[1]}, reach {at[2]} and "
             f"{at[3]} at step 250 (dotted, by prediction: {at[4]} and {at[5]}), and fall to zero "
             f"by the schedule. Right, test accuracies of {right['decay'].x.size} seeds by kind "
             f"of run, means in per cent: {said}.", number="10.5",
             caption="Thin lines and dots are twelve seeds, upright bars their means. Dotted are "
             "predictions on the left, the first two means on the right.")

# %%
points = np.stack([right[name].x for name in names])  # test accuracy by kind of run and seed
recovered = (losses - losses[1]).mean(1) / (losses[0] - losses[1]).mean()
means = [right["_mean of decay"].x[0], right["_mean of no decay"].x[0]]

# %%
for k in rho:
    claim("10-transplant", f"norm one with ρ of the decayed run: directions of {k} apart",
          measured=p_one[k][:12] - p_free[k][:12] / size(p_free[k][:12]), equals=0, within=1e-10)
claim("10-transplant", "norm one with ρ of the decayed run: losses apart, 500 steps",
      measured=loss_one[:12] - loss_free[:12], equals=0, within=1e-10)
claim("10-transplant", "free norms without decay at ρ‖v‖²: losses apart, 500 steps",
      measured=loss_grown - loss_free[:5], equals=0, within=1e-10)

# %%
words = {word.get_text(): word.get_position() for word in axes[0].texts}
misses = [[abs(rate.mean(0)[t] - y) for rate in seen]
          for t, y in (words["layer 1"], words["layer 2"])]
claim("10-gap-names", "left, each layer's name: how far from its own rates, less from the other's",
      measured=[misses[0][0] - misses[0][1], misses[1][1] - misses[1][0]], below=0)
claim("10-gap", "the picture's rows stand at the names of their ticks", equals=0, within=1e-9,
      measured=np.array(named) + np.arange(7))
claim("10-gap", "the picture's dotted rates, and the prediction of their own layer, apart",
      measured=[rate - foresee((G[f"weight{k}"] ** 2).mean().item())
                for k, rate in enumerate(guessed)], equals=0, within=1e-9)
claim("10-gap", "the picture's vertical lines: means of its first two rows, apart", equals=0,
      within=1e-9, measured=points[:2].mean(1) - means)
claim("10-gap", "parts of the gap recovered by decay, and by itself: 1, and so by ρ itself",
      measured=recovered[[0, 2]] + recovered[1], equals=1, within=1e-9)

# %%
level = losses.mean(1)
claim("10-gap", "the parts, times the mean gap, are what the means gain on no decay", equals=0,
      measured=recovered * (level[0] - level[1]) - level + level[1], within=1e-9)

# %%
claim("10-schedule", "ρ at step 250 over that at the start, mean of twelve seeds, first layer",
      measured=seen[0][:, 250].mean() / seen[0][:, 0].mean(), above=2.5)
claim("10-schedule", "ρ at the start and at step 250 over its prediction from (8.5), both layers",
      measured=[seen[k][:, t].mean() / guessed[k][t] for k in (0, 1) for t in (0, 250)],
      equals=1, within=0.1)
claim("10-schedule", "ρ at step 250 over the equilibrium's √(2ηλ)/G, the larger of two layers",
      measured=[seen[k][:, 250].mean() / single[f"weight{k}"].mean() for k in (0, 1)], below=0.75)

# %%
claim("10-gap", "decay minus no decay, η = 0.02: test accuracy, points, mean of twelve seeds",
      measured=(points[0] - points[1]).mean(), above=2)
claim("10-gap", "(a) the other seeds' mean schedule: part of the gap in test loss recovered",
      measured=recovered[3], equals=1, within=0.2)

# %%
claim("10-gap", "(b) one number per layer: part of it", measured=recovered[4], above=0.6)
claim("10-gap", "(c) constant turn: part of it", measured=recovered[5], above=0.5)
claim("10-gap", f"no decay, η = {boost * eta:g} instead of {eta:g}: part of it",
      measured=recovered[6], above=0.6)

# %% [markdown]
# A seed's own schedule is the run itself, and that of other seeds gives about the same accuracy. (b) and (c) leave out
# the slow start: with decay the rate grows for 250 steps, while the norms shrink, and does not get where (10.4) would
# have it. {{len(dozen)}} seeds show no clear loss without this accidental warm-up. So an honest replacement of weight
# decay is one rate for each layer at norm one, or one turn for all, on a schedule that you can see. Gone are a dial, a
# warm-up that nobody asked for, and the lag after a drop (chapter 8).
#
# And the control says what decay was for here. The learning rate was too small for the initial norms, and decay shrank
# the norms. With {{boost}} times the η the runs without decay recover {{100 * recovered[6]:.0f}} % of the gap. So a
# comparison of runs with and without decay at a single η is first of all a comparison of learning rates.
#
# ## 10.7 The sources, line by line

# %%
verdict("S1-07", "under conditions",
        "Exact for SGD and any decay beside the step: all that is left of λ is η/(1 − ηλ), for "
        "ηλ < 1. With the penalty inside a momentum μ, only while ηλ is small beside (1 − μ)².")
verdict("S1-08", "true",
        f"At norm one the accuracy moves with η and, up to ηλ = {max(etas) * max(lams):.2g}, not "
        "with λ; with free norms it moves with both. That was one dial too many: once norms "
        "settle, only ηλ counts.")

# %%
verdict("S1-12", "opinion",
        "Libraries choose differently: PyTorch decays γ and β, if nothing is said, and this book's "
        "groups do not. What it does is no opinion: S1-13 to S1-15.")
verdict("S1-13", "under conditions",
        "γ and β together, one factor for the layer, ReLU, a normalised layer behind, and no skip "
        "around it. Break one of these, and the function changes.")

# %%
verdict("S1-14", "under conditions",
        "An inner γ is not, together with its β and if nothing skips them. The last pair is, but "
        "jointly with the output matrix, which no norm follows: one can grow as the other shrinks.")
verdict("S1-15", "under conditions",
        f"{len(base.seed)} seeds: for an inner pair at ηλ up to {0.1 * 0.05:g} at most "
        f"{effects.max():.1f} points of accuracy, by the interval's farther end; for the last pair "
        f"at ηλ = {0.1 * 0.05:g} on average {-both.x[0]:.1f} points, and for an inner pair at "
        f"ηλ = {0.1 * 1.0:g} even {-all_of_it.x[0]:.1f}.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## 10.8 In practice
#
# **Take home.** Weights at norm one need no decay: tune one rate per kind of layer, and schedule it in the open. Decay
# the last γ and β only if you mean to shrink the outputs, and then with the output matrix; leave inner pairs alone, or
# read their decay as a learning rate.
#
# **Limits.** Small networks, a few hundred steps, one data set; (10.4) needs norms that have settled. That the best
# cells of both maps agree to {{abs(best["free"] - best["norm one"]):.1f}} points is no proof that they always do. Of
# residual networks we looked at one block, and not at its accuracy; Kim and others report that it can help or hurt to
# decay γ there, depending on which.
#
# ## 10.9 Exercises
#
# **1.** $\eta=0.1$, $\lambda=5\cdot10^{-4}$. By how much does λ change the rate of a projected weight, under SGD, and
# with the penalty inside a momentum of 0.9?
#
# <details>
# <summary>Solution</summary>
#
# By a factor $1/(1-{{0.1 * 5e-4:.0e}})$. With momentum $n={{1 - 0.1 * 5e-4 / (1 - 0.9):.4f}}$, and
# $(1-\mu)/(n-\mu)={{(1 - 0.9) / (1 - 0.1 * 5e-4 / (1 - 0.9) - 0.9):.3f}}$:
# {{100 * (1 - 0.9) / (1 - 0.1 * 5e-4 / (1 - 0.9) - 0.9) - 100:.1f}} %. At $\mu=0.99$ it is
# $n={{1 - 0.1 * 5e-4 / (1 - 0.99):.3f}}$ and a factor of
# {{(1 - 0.99) / (1 - 0.1 * 5e-4 / (1 - 0.99) - 0.99):.0f}}.
#
# </details>
#
# **2.** Project to norm $R$ instead of one. Which η gives the same run? Why is that a reason to project each *unit* to
# norm one, and not the matrix, if the learning rate is shared with other layers?
#
# <details>
# <summary>Solution</summary>
#
# $R^2$ times as large: a step moves the weight by $\eta G/R$, which is $\eta G/R^2$ of its length. A matrix of $m$
# units at norm one has units of norm about $m^{-1/2}$. With the same η they turn about $m$ times as fast.
#
# </details>
#
# **3.** Project a whole matrix under batch norm, each unit $k$ having its own $r_k$ and constant $G_k$. Where do the
# $r_k$ settle? What have the units' turns in common?
#
# <details>
# <summary>Solution</summary>
#
# All $r_k^2+\eta^2G_k^2/r_k^2$ are divided by the same number $q$, so $r_k^4=\eta^2G_k^2/(q-1)$: $r_k^2\propto G_k$.
# The turn $\tan\theta=\eta G_k/r_k^2=\sqrt{q-1}$ is the same for all. The projection of the layer is a weight decay for
# each unit. Unit by unit, each turns by its own $\arctan\eta G_k$.
#
# </details>
#
# **4.** Multiply channel $k$ of the last pair by $c_k$ and column $k$ of $V$ by $1/c_k$. Which penalty on the function
# is left after minimising $\frac\lambda2(\lVert p\rVert^2+\lVert V\rVert^2)$ over all $c_k$? What does it do to a
# channel that helps little?
#
# <details>
# <summary>Solution</summary>
#
# $\lambda\sum_k\lVert p_k\rVert\lVert V_k\rVert$, by the inequality of the means. It is not squared: like the group
# penalties of chapter 4 it can switch a channel off exactly.
#
# </details>
#
# **5.** (Open.) Give `train` a learning rate of its own for each layer at norm one. How far apart may the layers' rates
# be before it costs a point of accuracy? Compare with (b), whose two rates differ.
#
# <details>
# <summary>A start</summary>
#
# Replace `single` by a common rate, `{name: torch.full((12, 1, 1), 0.5) for name in G}`, and multiply it for one layer
# by $\frac14$, $\frac12$, 2, 4. Row (b) of `results` has the accuracies.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 11 asks which λ to take.
#
# - [van Laarhoven (2017)](https://arxiv.org/abs/1706.05350): the claims of section 10.7.
# - [Hoffer, Banner, Golan and Soudry (2018)](https://arxiv.org/abs/1803.01814): bounded weight norms, and learning
#   rates that replace weight decay.
# - [Zhang, Wang, Xu and Grosse (2019)](https://arxiv.org/abs/1810.12281): the effective learning rate as a mechanism.
# - [Wan, Zhu, Zhang and Sun (2021)](https://arxiv.org/abs/2006.08419) and
#   [Kosson, Messmer and Jaggi (2024)](https://arxiv.org/abs/2305.17212): the turn per step.
# - [Kim and others (2022)](https://arxiv.org/abs/2205.07260): decaying γ in residual networks.
# - [Ioffe and Szegedy (2015)](https://arxiv.org/abs/1502.03167): batch norm, with its γ and β.
