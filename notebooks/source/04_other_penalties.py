# %% [markdown]
# # 4 Other penalties
#
# Under SGD, weight decay is the L2 penalty: it costs λ times *half* the sum of the squared weights. The *L1 penalty* $\lambda\sum_i|w_i|$ adds up the weights' sizes.
# L1 is known for making weights exactly zero, and L2 for never doing so. Is that so?
#
# By the end you will be able to
#
# - get exact zeros, and choose between ridge, Lasso and elastic net;
# - predict at which λ weight decay removes a direction of a product of two matrices, so that it loses rank;
# - say what decay on a LoRA adapter pulls towards, measure how much it takes, and estimate when.
#
# If you came for adapters, read §4.1, 4.3 and 4.6 (the *Lasso* is the minimum of loss plus L1), and go on at §4.7.
#
# Unlike in chapter 0's table, $u$ and $v$ are factors here, $s_i$, $p_i$ and $q_i$ belong to $W$, and from §4.10 on $a$ and $b$ stand for Adam's $\sqrt{\hat v}$.
#
# *Reading time: one and a half hours without proofs and exercises. The code runs in about 12 seconds.*

# %%
import numpy as np
import torch
from sklearn.linear_model import ElasticNet, Lasso, lars_path

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.penalty import ridge
from l2lib.splits import split

OF_L1, OF_L2, OF_FACTORS = figures.ORANGE, figures.BLUE, figures.GREEN  # colours

# %% [markdown]
# ## 4.1 A puzzle: zeros in the wrong place
#
# Which penalty makes zeros? We train with each on *full batches*: every step uses all examples.

# %%
def train(parameters, objective, lr, steps, weight_decay=0.0):
    optimizer = torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        objective().backward()
        optimizer.step()

# %% [markdown]
# Both runs fit the diabetes patients of
# [chapter 1](01_what_an_l2_penalty_does.ipynb) with 64 inputs: ten measurements, their squares and
# products.

# %%
data = load("diabetes")
ten = (data.X - data.X.mean(0)) / data.X.std(0)
pairs = [(a, b) for a in range(10) for b in range(a, 10)]
pairs.remove((1, 1))  # column 1 is sex, whose square says nothing new
X = np.column_stack([ten, *(ten[:, a] * ten[:, b] for a, b in pairs)])
X = (X - X.mean(0)) / X.std(0)
y, n, lam = data.y - data.y.mean(), len(X), 5.0
assert X.shape[1] == 64

# %% [markdown]
# **The first run has an L1 penalty.** PyTorch's `weight_decay` is L2, so we add $\lambda\sum_i|w_i|$ to the loss, with $\lambda = 5$.

# %%
inputs, targets = torch.tensor(X), torch.tensor(y)
w_l1 = torch.zeros(64, dtype=torch.float64, requires_grad=True)
train([w_l1], lambda: (inputs @ w_l1 - targets).square().mean() / 2 + lam * w_l1.abs().sum(),
      lr=0.02, steps=2000)
by_autograd = w_l1.detach().numpy()

# %% [markdown]
# **The second run has only weight decay,** with the same λ. But each weight is a product $w_i = u_iv_i$ whose factors decay. The $u_i$ begin as ones. If both factors began as zeros, both slopes would vanish, and the pair would never move.

# %%
u = torch.ones(64, dtype=torch.float64, requires_grad=True)
v = torch.zeros(64, dtype=torch.float64, requires_grad=True)
# A step of v moves w = uv by ηu² times the slope of w. As u grows beyond 1, η must be small.
train([u, v], lambda: (inputs @ (u * v) - targets).square().mean() / 2,
      lr=0.004, steps=3000, weight_decay=lam)
w_product = (u * v).detach().numpy()
# %% [markdown]
# *Predict:* how many of the 64 weights end at zero in each run? (Here zero means below a millionth.)

# %% tags=["hide-input"]
theirs = Lasso(alpha=lam, tol=1e-12, max_iter=100_000).fit(X, y).coef_  # the minimum of loss + L1
order = np.argsort(-np.abs(by_autograd))
wrong = np.flatnonzero(theirs[order] == 0)  # zero at the minimum
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 2.7))
for ax, sizes, color, place in ((axes[0], by_autograd, OF_L1, 0.8),
                                (axes[1], w_product, OF_FACTORS, 1e-4)):
    order = np.argsort(-np.abs(sizes))
    sizes, wrong = np.abs(sizes[order]), np.flatnonzero(theirs[order] == 0)  # zero at the minimum
    kept = sizes >= 1e-6
    wrong = wrong[kept[wrong]]
    ax.axhspan(1e-8, 1e-6, color=figures.GREY, alpha=0.15, lw=0)
    ax.semilogy(1 + np.flatnonzero(kept), sizes[kept], "o", ms=2.6, color=color, label="_kept")
    ax.plot(1 + np.flatnonzero(~kept), [1e-7] * (~kept).sum(), "x", ms=4, color=color,
            label="_zero")
    ax.plot(1 + wrong, sizes[wrong], "o", ms=1.2, color="white", label="_unwanted")
    ax.text(22, place, "rings: should be zero", color=color, fontsize=9)
    ax.set(xlabel="weight, from the largest", ylim=(1e-8, 300), xlim=(-1, 66), ylabel="size",
           xticks=[1, 20, 40, 60])

_ = axes[0].text(32, 1e-7, "below 10⁻⁶", color=figures.GREY, ha="center", va="center")

# %% tags=["hide-input"]
drawn = [figures.drawn(ax) for ax in axes]
of_l1, of_l2 = drawn[0]["_kept"].y, drawn[1]["_kept"].y
assert of_l2.size, "no pair of factors has left zero"
axes[0].set_title(f"L1: {64 - of_l1.size} below 10⁻⁶")
axes[1].set_title(f"L2 on u, v: {drawn[1]['_zero'].y.size} below 10⁻⁶")
figures.show(fig, f"Two panels with one logarithmic axis. Left, the {of_l1.size} weights under L1 "
             f"fall from {of_l1[0]:.0f} to {of_l1[-1]:.3f}; none is in the grey band below a "
             f"millionth. The {drawn[0]['_unwanted'].y.size} that should be zero are rings; the "
             f"largest is {drawn[0]['_unwanted'].y.max():.2f}. Right, products under L2: "
             f"{of_l2.size} lie between {of_l2.min():.0e} and {of_l2.max():.0f}, "
             f"{drawn[1]['_unwanted'].y.size} of them rings; the other "
             f"{drawn[1]['_zero'].y.size} are in the grey band.",
             number="4.1", caption="Crosses are below a millionth, though not exactly zero; "
             "their height means nothing. Rings are weights that are zero at the minimum of "
             "loss plus L1 penalty. One run each.")

# %% [markdown]
# **The penalty that should give zeros gives none. Weight decay brings {{drawn[1]["_zero"].y.size}} of the {{len(w_product)}} weights below a millionth.** §4.2 to 4.4 explain the first run, and §4.6 the second.

# %% tags=["hide-input"]
claim("04-none", "an L1 penalty added to the loss brings none of 64 weights below a millionth",
      measured=float((np.abs(by_autograd) < 1e-6).sum()), equals=0, within=1e-9)

# %% [markdown]
# ## 4.2 The diamond and the circle
#
# Why should L1 give zeros at all? Let $w_\lambda$ minimise loss plus penalty, and let $\kappa$ be its penalty. Then $w_\lambda$ also has the lowest loss of all weights whose penalty is at most $\kappa$: otherwise the sum would not be minimal.
#
# For two weights the region *penalty ≤ κ* is a disc under L2, and under L1 a diamond with corners on the axes (Figure 4.2).
# The loss's minimum $\hat w$ lies outside. Let a curve of equal loss grow around $\hat w$. The point where it first meets the region is $w_\lambda$.

# %% tags=["hide-input"]
metric, w_fit = np.array([[1, -0.25], [-0.25, 1]]), np.array([1.6, 0.7])
corner = np.array([w_fit @ metric[0] - 1, 0.0])  # the minimum under L1 at λ = 1
fits = [np.linalg.solve(metric + at * np.eye(2), metric @ w_fit) for at in np.linspace(0, 3, 3001)]
smooth = min(fits, key=lambda w: abs(np.linalg.norm(w) - corner[0]))  # ridge of the same size
turns = np.linspace(0, 2 * np.pi, 73)
regions = {"L1": (np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]), corner, OF_L1),
           "L2": (np.stack([np.cos(turns), np.sin(turns)], 1), smooth, OF_L2)}
grid = np.stack(np.meshgrid(np.linspace(-0.6, 3, 181), np.linspace(-1.2, 2.1, 166)), -1)

# %% tags=["hide-input"]
def draw_region(ax, edge, at, color):
    high, low = ((d @ metric * d).sum(-1) / 2 for d in (grid - w_fit, at - w_fit))
    ax.contour(*grid.transpose(2, 0, 1), high, [low], colors=figures.GREY, linewidths=0.8)
    ax.fill(*(corner[0] * edge).T, color=color, alpha=0.25)
    ax.plot(*w_fit, "o", color=figures.GREY), ax.plot(*at, "o", color=color, label="_touch")
    fall = metric @ (w_fit - at)  # −∇L at the best point; drawn with length 0.7
    tip = at + 0.7 * fall / np.linalg.norm(fall)
    ax.plot(*np.stack([at, tip]).T, lw=0, label="_fall")
    ax.annotate("", tip, at, arrowprops={"arrowstyle": "->"})
    ax.text(*tip, " −∇L", va="center"), ax.text(1.68, 0.76, "ŵ", color=figures.GREY)
    ax.set(aspect="equal", xlabel="weight w₁", xlim=(-0.55, 2.3), ylim=(-1.2, 1.35))
    ax.set_ylabel("weight w₂")

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 2.7))
for ax, region in zip(axes, regions.values(), strict=True):
    draw_region(ax, *region)
axes[0].fill(*(corner + 3 * np.array([(0, 0), (1, 1), (1, -1)])).T, color=figures.GREY,
             alpha=0.2, lw=0, label="_fan")  # to the frame: it has no end
axes[0].text(1.95, -1.05, "fan")
for ax, (_, at, color) in zip(axes, regions.values(), strict=True):
    ax.annotate(f"w₂ = {at[1]:.2g}", at, (-0.45, 1.05), arrowprops={"arrowstyle": "-", "lw": 0.6},
                color=color)
    ax.text(-0.5, -0.65, "penalty ≤ κ", color=color, fontsize=9)
_ = axes[0].set_title("At a corner, w₂ = 0"), axes[1].set_title("On a circle, w₂ > 0")

# %% tags=["hide-input"]
met = [figures.drawn(ax)["_touch"] for ax in axes]
figures.show(fig, "Two planes of the weights w₁ and w₂ with the loss around its minimum ŵ. Left, "
             "a diamond: the smallest ellipse that reaches it touches its "
             f"corner at ({met[0].x[0]:.2f}, {met[0].y[0]:.0f}), and the arrow of −∇L lies inside "
             "the shaded fan, which "
             "spreads from the corner to the frame between the outward "
             "normals of the two edges. Right, a circle "
             f"of the same size: it is touched at ({met[1].x[0]:.2f}, {met[1].y[0]:.2f}), where "
             "the arrow points straight away from 0.", number="4.2",
             caption="Coloured are the weights that the penalty allows. Both regions are drawn "
             "equally wide; κ is a different number in each. On the grey curve the loss is the "
             "same; it is smallest at ŵ. Arrows show where the loss falls fastest. While the "
             "arrow lies in the grey fan, the corner is best.")

# %% [markdown]
# At the best point of a circle the arrow $-\nabla L$ points straight
# outwards, so $w_2$ is zero only if the arrow is horizontal.
#
# On a diamond, a move lowers a convex loss only if it makes an acute angle with the arrow. The *fan* at the corner lies between the outward normals of its two edges. If the arrow lies in the
# fan, its angle with both edges is a right angle or more. Every move into the diamond is a sum of moves along the edges, so none lowers the loss: the corner is best.
# **For a whole range of the arrow's directions, the fan, $w_2$ is exactly zero; on a circle, for only one.**
#
# ## 4.3 One weight: a fixed amount or a fixed share
#
# How much does a penalty take? A single weight has the loss $\frac12(w-z)^2$, smallest at $z$.
# Under L1 we minimise $\frac12(w-z)^2 + \lambda|w|$. *Predict:* where is the minimum if $0<z<\lambda$?
#
# 1. This convex function has the slope $-z+\lambda$ just right of 0, and $-z-\lambda$ just left of it. Zero is the minimum if the curve
#    falls on neither side of it: $-z+\lambda\ge0\ge-z-\lambda$, so $|z|\le\lambda$.
# 2. Otherwise $w$ has the sign of $z$, and $w-z+\lambda\,\mathrm{sign}(z) = 0$ gives $w = z - \lambda\,\mathrm{sign}(z)$.
#
# This is *soft thresholding*. L2 has its minimum where $w-z+\lambda w = 0$:
#
# $$\text{L1: } \operatorname{soft}(z, \lambda) = \mathrm{sign}(z)\,\max(|z|-\lambda, 0), \qquad
#   \text{L2: } \frac{z}{1+\lambda}. \tag{4.1}$$
#
# **L1 subtracts the fixed amount $\lambda$, so every $z$ between $-\lambda$ and $\lambda$ becomes zero. L2 removes the fixed share $\lambda/(1+\lambda)$, so only $z = 0$ becomes zero.**

# %%
def soft(z, threshold):
    return np.sign(z) * np.maximum(np.abs(z) - threshold, 0)

# %% [markdown]
# The *elastic net* ([Zou and Hastie, 2005](https://doi.org/10.1111/j.1467-9868.2005.00503.x)) adds both penalties, L1 with strength $\lambda_1$ and L2 with $\lambda_2$. Its minimum subtracts, then divides:
#
# $$w = \frac{\operatorname{soft}(z,\lambda_1)}{1+\lambda_2}. \tag{4.2}$$

# %% tags=["hide-input"]
def penalties_at(threshold, weight_decay, z):
    """What each penalty adds at w, where its minimum is for a given z, and its colour."""
    w = np.linspace(-1.5, 2.5, 401)
    l1, l2 = threshold * np.abs(w), weight_decay / 2 * w**2
    return w, {
        "L1": (l1, lambda z: soft(z, threshold), OF_L1, "-"),
        "L2": (l2, lambda z: z / (1 + weight_decay), OF_L2, "-"),
        "both": (l1 + l2, lambda z: soft(z, threshold) / (1 + weight_decay), figures.PINK, "--"),
    }

# %% tags=["hide-input"]
def draw_cost(ax, w, cost, dash, color, name):
    ax.plot(w, cost, dash, color=color, label=f"_{name}")
    (left, right), (_, top) = ax.get_xlim(), ax.get_ylim()
    seen = np.flatnonzero((w > left + 0.05) & (w < right - 0.2) & (cost < 0.9 * top))
    where = seen[-1] if seen.size else 0  # the last point with room for a name
    ax.text(w[where], cost[where], f"{name}  ", color=color, ha="right", va="bottom",
            clip_on=True)


def draw_slopes(ax, threshold, z):
    """At w = 0 and to its right: how the loss falls, and how the penalty rises."""
    run = np.array([0, 0.25])
    ax.plot(run, z**2 / 2 - z * run, color=figures.GREY, lw=3.5, label="_falls", zorder=4)
    ax.plot(run, z**2 / 2 + threshold * run, color=figures.AMBER, lw=3.5, label="_rises")
    ax.text(0.02, 0.03, f"loss falls:\nslope {z:g}", color=figures.GREY, fontsize=9,
            ha="right", transform=ax.get_xaxis_transform())
    ax.text(0.17, z**2 / 2 + threshold / 4 + 0.07, f"penalty rises:\nslope {threshold:g}",
            color=figures.AMBER, fontsize=9, ha="center", clip_on=True)

# %% tags=["hide-input"]
def mark_threshold(ax, threshold, weight_decay):
    ax.annotate("", (1.7, 1.7), (1.7, soft(1.7, threshold)), arrowprops={"arrowstyle": "<->"})
    ax.text(1.78, 1.46, "λ₁", va="center", fontsize=9)
    ax.text(0, -1.05, "|z| ≤ λ₁", ha="center", color=figures.GREY)
    ax.text(2.5, -1.5, f"λ₁ = {threshold:g}, λ₂ = {weight_decay:g}", ha="right", fontsize=9)

# %% tags=["hide-input"]
def sketch(threshold, weight_decay, z):
    fig, axes = figures.subplots(1, 2, figsize=(5.6, 2.8))
    w, penalties = penalties_at(threshold, weight_decay, z)
    axes[1].plot(w, w, ":", color=figures.GREY, label="w = z")
    axes[1].axvspan(-threshold, threshold, color=figures.GREY, alpha=0.12, lw=0)
    axes[0].set(xlabel="weight w", ylabel="loss plus penalty", ylim=(0, z**2 / 2 + 0.5),
                xlim=(min(z, 0) - 0.5, max(z, 0) + 0.5))
    draw_cost(axes[0], w, (w - z) ** 2 / 2, ":", figures.GREY, "loss")
    draw_slopes(axes[0], threshold, z)
    for name, (added, minimum, color, dash) in penalties.items():
        cost = (w - z) ** 2 / 2 + added
        axes[1].plot(w, minimum(w), dash, color=color, label=name)
        if name != "both":
            draw_cost(axes[0], w, cost, dash, color, name)
            lowest = minimum(z), np.interp(minimum(z), w, cost)
            axes[0].plot(*lowest, "o", ms=7, color=color, label=f"_{name}*")
    mark_threshold(axes[1], threshold, weight_decay), figures.label_lines(axes[1])
    axes[1].set(xlabel="z, the minimum of the loss", ylabel="minimum with the penalty")
    return fig, axes

# %% tags=["hide-input"]
def words(threshold, weight_decay, z, lowest, flat, slope):
    l1, l2 = lowest.values()
    return (f"At λ₁ = {threshold:g}, λ₂ = {weight_decay:g}, z = {z:g}. Left, loss plus penalty is "
            f"smallest at {l1:.2f} under L1 and {l2:.2f} under L2; at 0 the loss falls with "
            f"slope {z:g}, and the L1 penalty rises with slope {threshold:g}. Right, the minimum "
            "against z, "
            f"and the diagonal: L1 is zero from {flat.min():.1f} to {flat.max():.1f}, then runs "
            f"at a constant distance below; L2 has slope {slope:.2f}; both together subtract first "
            "and then divide.")

# %% tags=["hide-input"]
def draw_thresholds(threshold, weight_decay, z):
    fig, axes = sketch(threshold, weight_decay, z)
    costs, ends = (figures.drawn(ax) for ax in axes)
    lowest = {name: costs[f"_{name}*"].x[0] for name in ("L1", "L2")}
    flat = ends["L1"].x[np.abs(ends["L1"].y) < 1e-9]
    held = lowest["L1"] == 0
    axes[0].set_title("A kink pins L1 at 0" if held else "L1 has left 0")
    axes[1].set_title("L1 subtracts, L2 divides")
    bottoms = [costs[f"_{name}"].x[costs[f"_{name}"].y.argmin()] for name in lowest]
    missed = np.abs(np.subtract(bottoms, list(lowest.values()))) > 0.01  # the grid's step
    claim("04-drawn", "each dot lies where its curve is lowest, to the curve's grid", equals=0,
          measured=missed.astype(float), within=1e-9)
    claim("04-drawn", "L1 runs λ₁ below the diagonal; L2 and both are 1 + λ₂ times smaller than z "
          "and L1", equals=0, within=1e-9,
          measured=[ends["w = z"].at(2) - ends["L1"].at(2) - min(threshold, 2),
                    *(1 + weight_decay) * ends["L2"].y - ends["L2"].x,
                    *(1 + weight_decay) * ends["both"].y - ends["L1"].y])
    return fig, words(threshold, weight_decay, z, lowest, flat, ends["L2"].at(2) / 2)

# %% tags=["hide-input"]
dial, places = [0.7, 0.0, 0.3, 1.0, 1.5], [0.5, -1.0, 0.8, 1.2, 1.6]
figures.interactive(draw_thresholds, threshold=dial, weight_decay=[1.0, 0.0, 0.5, 2.0], z=places,
                    number="4.3", caption="Left, dots are the minima, and thick strokes show the "
                    "slopes at 0 of loss and penalty. Right, L1 gives 0 in the grey band; without "
                    "a penalty the minimum is z (dotted). λ₁ is the strength of L1, λ₂ that of "
                    "L2.")

# %% tags=["hide-input"]
candidates, asked = np.linspace(-2, 2, 4001), np.linspace(-2, 2, 41)
unpenalised = (candidates - asked[:, None]) ** 2 / 2
added = {"L1": 0.7 * np.abs(candidates), "L2": candidates**2 / 2}
found = {name: candidates[(unpenalised + cost).argmin(1)] for name, cost in added.items()}
found["both"] = candidates[(unpenalised + added["L1"] + added["L2"]).argmin(1)]
claim("04-soft", "of many weights that are tried, the best under L1 is that of (4.1)",
      measured=found["L1"] - soft(asked, 0.7), equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("04-soft", "under L2 with λ₂ = 1, and under both, the best is that of (4.1) and (4.2)",
      measured=[found["L2"] - asked / 2, found["both"] - soft(asked, 0.7) / 2],
      equals=0, within=1e-9)

# %% [markdown]
# ## 4.4 Exact zeros need a threshold
#
# **L1's minimum has exact zeros (§4.3), but gradient steps miss them.** Why, and which steps find them?
#
# At 0, $|w|$ has a kink and no slope. PyTorch uses the slope 0 there. No other choice would help, because a step hardly ever lands exactly on 0.
# Take a weight that should be zero. Let the loss's slope in it be $g$ throughout, with $|g|<\lambda$.
# A step moves the weight by $-\eta(\lambda+g)$ from just right of zero, and by $+\eta(\lambda-g)$ from just
# left. Both point towards zero, but some step jumps across it. From then on the weight hops to and fro.
# Its distance from zero is then at most the longer of the two steps,
#
# $$\eta\,(\lambda+|g|) < 2\eta\lambda. \tag{4.3}$$
#
# A *proximal step* hits zero. It first takes the gradient step for the loss alone, to $z_i = w_i-\eta g_i$. Then it
# moves to the minimum of $\frac12(w-z_i)^2+\eta\lambda|w|$: the first term keeps $w$ near $z_i$, the second pulls it to 0. That is the problem of §4.3, with the threshold ηλ:
#
# $$w_i\;\leftarrow\;\operatorname{soft}(w_i-\eta g_i,\;\eta\lambda). \tag{4.4}$$
#
# If $|g_i|<\lambda$, every $w_i$ with $|w_i|\le\eta(\lambda-|g_i|)$ goes to *exactly* 0. Every other weight moves towards 0 by at least $\eta(\lambda-|g_i|)$.
#
# For the squared loss, the minimum of loss plus $\lambda\sum_i|w_i|$ is called the *Lasso* ([Tibshirani, 1996](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x)). There, by §4.3 for each weight, $g_i = -\lambda\,\mathrm{sign}(w_i)$ where $w_i\ne0$, and $|g_i|\le\lambda$ where $w_i = 0$.
#
# <details>
# <summary>Subgradients, and when proximal steps lead to the minimum</summary>
#
# Any ξ from −1 to 1 may stand for the slope of $|w|$ at 0, a *subgradient*: the slope of a line $\xi w$ that is nowhere above $|w|$. We tried four ξ: none gives zeros. As PyTorch has $\xi = 0$, a weight that does land on 0 leaves at once: its next step is $-\eta g\ne0$.
# Because the other weights hop, too, $g$ is not quite constant, and (4.3) holds only roughly.
#
# If a proximal step changes nothing, the Lasso's two conditions hold. They say that loss plus penalty falls
# along no single weight. As the loss is convex and smooth, and the penalty a sum of convex functions of single weights, the sum then falls in no direction at all. Proximal steps lead there if η is at most one over the largest curvature
# ([Beck and Teboulle, 2009](https://doi.org/10.1137/080716542)).
#
# On small batches, *dual averaging* thresholds the mean of all gradients: [Xiao, 2010](https://jmlr.org/papers/v11/xiao10a.html).
#
# For both penalties (4.2) takes the place of soft thresholding. Zou and Hastie call that minimum the *naive* elastic net: theirs multiplies it by $1+\lambda_2$ again.
#
# </details>

# %%
H, q = X.T @ X / n, X.T @ y / n  # the gradient of the loss is Hw - q


def proximal(H, q, l1, l2=0.0, steps=3000):
    """Minimise ½wᵀHw - qᵀw + l1·Σ|w| + ½·l2·‖w‖². A column of several l1 gives w a row for each."""
    # Both penalties' minimum, as in (4.2), follows each gradient step of the loss.
    lr = 1 / np.linalg.eigvalsh(H)[-1]
    w = np.ones(np.broadcast_shapes(np.shape(l1), q.shape))
    for _ in range(steps):
        w = soft(w - lr * (w @ H - q), lr * l1) / (1 + lr * l2)  # w @ H is Hw, row by row
    return w


w_lasso = proximal(H, q, lam)
zero = w_lasso == 0

# %% tags=["hide-input"]
def subgradient_path(lr, steps, at_zero=0.0):  # lr: one number, or one for each step
    w, path = np.zeros(64), []
    for eta in np.broadcast_to(lr, steps):
        xi = np.where(w == 0, at_zero, np.sign(w))
        w = w - eta * (H @ w - q + lam * xi)
        path.append(w)
    return np.array(path)


falling = 0.01 * (1 + np.cos(np.pi * np.arange(2000) / 2000))  # η from 0.02 to nearly 0
by_falling = subgradient_path(falling, 2000)[-1]

# %% [markdown]
# **Proximal steps end at the Lasso's weights, with all {{zero.sum()}} zeros** (Figure 4.4). With L1 in the loss and a falling η (amber), weights only come near zero: {{(np.abs(by_falling) < 1e-6).sum()}} pass §4.1's test of a millionth, and none is exactly zero. How near depends on how η falls. At the last η a step can move a weight by about $2\eta\lambda$, or {{2 * falling[-1] * lam:.0e}}, but most of these weights are farther away: η fell faster than they could follow.
#
# On a small batch the slope $g_i$ is noisy. A weight at 0 moves away as soon as $|g_i|>\lambda$ in a single batch. A smaller η does not help: it shrinks step and threshold alike. **On batches of 32, most zeros are lost.**

# %% tags=["hide-input"]
lrs = np.array([[0.02], [0.002]])  # two runs from the Lasso, one in each row of w
zeros_left = {}  # of the Lasso's zeros, in the mean of the last 1,000 steps, for each η
for size in (256, 128, 32):
    rng, w_batch, counts = claims.rng(4), np.array([w_lasso, w_lasso]), []
    for step in range(4000):
        rows = rng.choice(n, size, replace=False)
        g = (w_batch @ X[rows].T - y[rows]) @ X[rows] / size
        w_batch = soft(w_batch - lrs * g, lrs * lam)
        if step >= 3000:
            counts.append((w_batch == 0)[:, zero].sum(1))
    zeros_left[size] = np.mean(counts, 0)

# %% tags=["hide-input"]
assert zero.any(), "the Lasso has no zeros"
hopper = np.flatnonzero(zero)[np.abs(by_autograd[zero]).argmax()]
hops = subgradient_path(0.02, 150)[:, hopper]
w_step, lands = np.zeros(64), []
for _ in range(150):
    w_step = soft(w_step - 0.02 * (H @ w_step - q), 0.02 * lam)
    lands.append(w_step[hopper])
assert 0 in lands, "by proximal steps the weight is never zero"
final = {name: np.sort(np.abs(w))[::-1] for name, w in
         (("constant", by_autograd), ("falling", by_falling), ("proximal", w_lasso))}

# %% tags=["hide-input"]
fig, grid = figures.subplots(2, 2, figsize=(6.4, 4.6), height_ratios=[1.75, 1])
axes, whole_row = grid[0], grid[1, 0].get_gridspec()[1, :]
for ax in grid[1]:
    ax.remove()
bottom, shown = fig.add_subplot(whole_row), np.arange(1, 151)
axes[0].axhspan(-2 * 0.02 * lam, 2 * 0.02 * lam, color=OF_L1, alpha=0.12, lw=0)
axes[0].plot(shown, hops, lw=0.9, color=OF_L1, label="_hops")
axes[0].plot(shown, lands, lw=1.8, color=figures.PINK, label="_lands")
axes[0].set(xlabel="step", ylabel="one weight that should be 0", xlim=(0, 150))
axes[1].axhspan(2e-12, 1e-6, color=figures.GREY, alpha=0.15, lw=0)
for (name, sizes), color in zip(final.items(), (OF_L1, figures.AMBER, figures.PINK),
                                strict=True):
    kept = sizes > 0
    big = name == "proximal"  # drawn below the others, as a ring around them
    axes[1].semilogy(1 + np.flatnonzero(kept), sizes[kept], "o", ms=7 if big else 3,
                     mfc="none" if big else color, color=color, label=f"_{name}")
    axes[1].plot(1 + np.flatnonzero(~kept), [1e-13] * (~kept).sum(), "x", ms=3, color=color,
                 label=f"_{name} zero")

# %% tags=["hide-input"]
axes[0].text(60, 0.24, "L1 in the loss", color=OF_L1)
axes[0].text(60, -0.1, "proximal step", color=figures.PINK)
axes[0].text(2, -0.18, "±2ηλ", color=OF_L1)
axes[1].text(40, 0.3, "L1, constant η", color=OF_L1, ha="center")
axes[1].text(31, 1e-4, "L1, falling η", color=figures.AMBER)
axes[1].text(11, 1e-15, "proximal: exactly 0", color=figures.PINK, va="center")
axes[1].text(1, 2e-8, "below 10⁻⁶", color=figures.GREY)
axes[1].set(xlabel="weight, from the largest", ylabel="size at the end", ylim=(1e-17, 300))
powers = range(-10, 3, 4)  # the axis has no place for 0: it has its own strip, with its own tick
axes[1].set_yticks([1e-13, *(10.0**k for k in powers)], ["0", *(f"$10^{{{k}}}$" for k in powers)])
axes[0].set_title("One hops, one lands"), axes[1].set_title("Proximal steps reach 0")
g_hop = (H @ w_lasso - q)[hopper]
assert g_hop < 0, "steps up are not the longer ones"

# %% tags=["hide-input"]
kept_zeros, sizes = zeros_left[32], [256, 128, 32]
bottom.bar(0, zero.sum(), 0.35, color=figures.GREY, label="_full")
for k, (eta, color) in enumerate(((0.02, figures.PINK), (0.002, "white"))):
    heights = [zeros_left[size][k] for size in sizes]
    bottom.bar(np.arange(1, 4) + 0.4 * k - 0.2, heights, 0.33, color=color, label=f"_{eta}",
               edgecolor=figures.PINK)
    bottom.text(3.43, (24, 10)[k], f"{('full', 'open')[k]}: η = {eta:g}", color=figures.PINK)
bottom.set(xlabel="patients in a batch", ylabel="zeros left", ylim=(0, 60), xlim=(-0.5, 4.55))
bottom.set_xticks(range(4), [f"all {n}", *map(str, sizes)]), bottom.grid(axis="x", visible=False)
bottom.set_title("Smaller batches keep fewer zeros")
panels = (*axes, bottom)

# %% tags=["hide-input"]
drawn, right, noisy = (figures.drawn(ax) for ax in panels)
ends = [noisy[f"_{eta}"].y for eta in (0.02, 0.002)]
hop, falls = drawn["_hops"].y[-50:], right["_falling"].y
at_zero = drawn["_lands"].x[drawn["_lands"].y == 0]
figures.show(fig, "Top left, one weight that is zero in the Lasso, over 150 steps at η = 0.02. By "
             f"the subgradient it hops between {hop.min():.2f} and {hop.max():.2f} in the last 50 "
             "steps, inside the shaded band of ±2ηλ. By proximal steps it is exactly zero from "
             f"step {at_zero.min():.0f} on. Top right, all weights at the end, sorted: with a "
             f"constant η the smallest is {right['_constant'].y.min():.3f}; with a falling η "
             f"{(falls < 1e-6).sum()} of {falls.size} lie below a millionth; by proximal steps "
             f"{right['_proximal zero'].y.size} are exactly zero. Below, bars of the zeros that "
             f"are left: {noisy['_full'].y[0]:.0f} on full batches; {ends[0][0]:.0f}, "
             f"{ends[0][1]:.0f} and {ends[0][2]:.0f} on batches of 256, 128 and 32 at η = 0.02, "
             f"and {ends[1][0]:.0f}, {ends[1][1]:.0f} and {ends[1][2]:.0f} at 0.002.", number="4.4",
             caption="Orange weights have L1 in the loss; for amber weights η falls along half a "
             "cosine. Pink rings and crosses are of proximal steps; crosses are exact zeros. "
             f"Top left, g = −{-g_hop:.1f}, so that steps up, η(λ − g), are longer than steps "
             "down. Below, runs begin at the Lasso and take 4,000 proximal steps on batches; a "
             "bar is the mean of the last 1,000.")

# %% tags=["hide-input"]
four = [subgradient_path(0.02, 2000, at_zero)[-1] for at_zero in (-1, 0, 0.5, 1)]
small_steps = subgradient_path(0.002, 20_000)[-1]
apart = [np.abs(a - b).max() for k, a in enumerate(four) for b in four[:k]]
assert min(apart) > 0.01, "two choices of ξ take the same path"
claim("S2-15", "In five runs with L1 in the loss, four with different ξ and one with a smaller η, "
      "{:.0f} weights end at exactly zero",
      measured=sum((w == 0).sum() for w in [*four, small_steps]), equals=0)
# %% tags=["hide-input"]
furthest = [np.abs(w_run[zero]).max() / (lr * lam)
            for w_run, lr in ((by_autograd, 0.02), (small_steps, 0.002))]
claim("S2-12", "With L1 in the loss, the furthest weight that should be zero ends up to {} ηλ away "
      "from it, at η = 0.02 and at 0.002", measured=furthest, between=(1, 2.2))

# %% tags=["hide-input"]
claim("S2-12", "Proximal steps make {} of the 64 weights exactly zero, as many as scikit-learn's "
      "Lasso does", measured=(w_lasso == 0).sum(), equals=(theirs == 0).sum())

# %% tags=["hide-input"]
calm = np.abs(by_falling) < 1e-6
assert by_falling.all(), "a falling η makes an exact zero"
assert calm.sum() > zero.sum() / 2, "with a falling η most zeros of the Lasso are not approached"
claim("04-calm", "with a falling η, each weight below a millionth is a zero of the Lasso",
      measured=w_lasso[calm], equals=0, within=1e-9)

# %% tags=["hide-input"]
assert kept_zeros.max() < zero.sum() / 2, "on minibatches most zeros of the Lasso are kept"
by_size = [*(zeros_left[size][0] for size in (32, 128, 256)), zero.sum()]
assert min(np.diff(by_size)) > 0, "larger batches do not lose fewer zeros"

# %% [markdown]
# **For exact zeros, take proximal steps on full batches.**

# %% tags=["hide-input"]
edge = torch.tensor([-1e-9, 0.0, 1e-9], dtype=torch.float64, requires_grad=True)
(chosen,) = torch.autograd.grad(edge.abs().sum(), edge)
claim("04-torch-zero", "PyTorch's slopes of |w| left of 0, at 0 and right of it are −1, 0 and 1",
      measured=chosen - torch.tensor([-1.0, 0.0, 1.0]), equals=0, within=1e-15)
claim("04-torch-l1", "with ξ = 0 the loop takes the same 2,000 steps as torch.optim.SGD in §4.1",
      measured=four[1] - by_autograd, equals=0, within=1e-8)
slopes = np.linspace(-2, 2, 401)
fits_under = (np.abs(candidates) >= slopes[:, None] * candidates - 1e-12).all(1)

# %% tags=["hide-input"]
claim("04-subgradient", "the slopes of lines through 0 that are nowhere above |w| end at −1 and 1",
      measured=slopes[fits_under][[0, -1]] - [-1, 1], equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("04-lasso", "the proximal steps' weights are scikit-learn's",
      measured=w_lasso - theirs, equals=0, within=1e-6)
net = ElasticNet(alpha=2 * lam, l1_ratio=0.5, tol=1e-12, max_iter=100_000).fit(X, y).coef_
claim("04-net", "so are those of the elastic net, with λ at both terms",
      measured=proximal(H, q, lam, lam) - net, equals=0, within=1e-6)
slope = H @ w_lasso - q
claim("04-rest", "at the end −g is λ times the sign of a weight that is not zero",
      measured=(slope + lam * np.sign(w_lasso))[w_lasso != 0], equals=0, within=1e-8)

# %% tags=["hide-input"]
claim("04-rest", "and |g| is at most λ where a weight is zero",
      measured=np.maximum(np.abs(slope[w_lasso == 0]) - lam, 0), equals=0, within=1e-9)

# %% [markdown]
# ## 4.5 Lasso or ridge: does it help to drop inputs?
#
# Are zeros useful? As λ grows, the Lasso sets one weight after another to zero, while ridge sets none (Figure 4.5).

# %% tags=["hide-input"]
knots, _, at_knots = lars_path(ten, y, method="lasso", alpha_min=0.001)
path_lams = np.sort([*np.geomspace(0.001, 100, 121), *knots[:-1]])
lasso_weights = np.array([np.interp(-path_lams, -knots, line) for line in at_knots]).T
ridge_weights = ridge(ten, y, path_lams)[0]

# %% tags=["hide-input"]
lasso_side = {1: (0.0012, -9.5, "sex"), 2: (1.2, 26.5, "BMI"), 3: (0.4, 16.8, "pressure"),
              4: (0.2, -21, "cholesterol"), 6: (1.2, -15, "HDL"), 8: (0.0012, 29, "triglycerides")}
ridge_side = {2: (0.3, 23.2, "BMI"), 4: (0.013, -22, "cholesterol"), 6: (0.25, -13.2, "HDL"),
              8: (0.005, 31.3, "triglycerides"), 1: (0.0012, -9.5, "sex"),
              3: (0.011, 10.3, "pressure")}
hues = {1: figures.PINK, 2: figures.BLUE, 3: figures.SKY, 4: figures.ORANGE, 6: figures.GREEN,
        8: figures.AMBER}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 3))
for ax, weights, named in ((axes[0], lasso_weights, lasso_side),
                           (axes[1], ridge_weights, ridge_side)):
    for k, line in enumerate(weights.T):
        color, width = hues.get(k, figures.GREY), 1.6 if k in hues else 0.8
        ax.semilogx(path_lams, line, lw=width, color=color, label=f"_{k}")
    for k, (*place, name) in named.items():
        ax.text(*place, name, color=hues[k], fontsize=9)
    ax.axvline(10, color=figures.GREY, lw=0.8, ls=":")
    ax.set(ylim=(-42, 36), xlim=(0.001, 100), ylabel="weight")
_ = axes[0].set_xlabel("λ (penalty λΣ|wᵢ|)"), axes[1].set_xlabel("λ (penalty ½λΣwᵢ²)")

# %% tags=["hide-input"]
left, right = (figures.drawn(ax) for ax in axes)
zeros = [sum(abs(side[f"_{k}"].at(10)) < 1e-9 for k in range(10)) for side in (left, right)]
axes[0].set_title(f"Lasso at λ = 10: {zeros[0]} zeros")
axes[1].set_title(f"Ridge at λ = 10: {zeros[1]} zeros")
figures.show(fig, f"Ten weights against λ from 0.001 to 100. Left, Lasso: {zeros[0]} are exactly "
             "zero at λ = 10 (dotted). Right, ridge: all are small in the end, and "
             f"{zeros[1]} are zero at λ = 10.", number="4.5",
             caption="Each line is one weight, trained on all patients; four are grey. In the "
             "Lasso one weight, that of HDL, leaves zero again as λ grows, with the other sign. "
             "The dotted line is at λ = 10, which is not equally strong in both (exercise 2).")

# %% tags=["hide-input"]
claim("04-path", "the Lasso's path at λ = 1 and 10 is that of proximal steps", equals=0,
      within=1e-6, measured=lasso_weights[np.searchsorted(path_lams, [0.99, 9.99])]
      - proximal(ten.T @ ten / n, ten.T @ y / n, np.array([[1.0], [10.0]])))

# %% [markdown]
# <details>
# <summary>Which λ are worth trying?</summary>
#
# Let a convex loss have the slopes $g_i$ at $w = 0$. By §4.3, applied to each weight, *all* weights stay at 0 if every $|g_i|\le\lambda$. The smallest such λ is
#
# $$\lambda_{\max} = \max_i |g_i|. \tag{4.5}$$
#
# We try λ from there down to a thousandth of it.
#
# </details>

# %% tags=["hide-input"]
largest = np.abs(q).max()  # at w = 0 the gradient is -q
claim("04-first", "just below λ_max the Lasso has one weight that is not zero", equals=1,
      measured=float((proximal(H, q, 0.999 * largest) != 0).sum()), within=1e-9)
claim("04-first", "just above λ_max all weights are zero",
      measured=proximal(H, q, 1.001 * largest), equals=0, within=1e-12)

# %% [markdown]
# In [chapter 1](01_what_an_l2_penalty_does.ipynb) ridge could not undo the harm that {{X.shape[1] - 10}} extra inputs did. Can the Lasso undo it? In each of 20 splits we train on 100 patients,
# choose λ on 50, train again on all 150 and test on {{n - 150}}.

# %% tags=["hide-input"]
l1, l2 = np.geomspace(50, 0.05, 31), np.logspace(-2, 3, 60)  # l1: from about λ_max to λ_max/1000


def fit_lasso(X, y):
    """The Lasso at each λ: its weights are linear in λ between the knots of lars_path."""
    # np.interp wants rising numbers, and the knots' λ fall: hence the minus signs.
    knots, _, path = lars_path(X - X.mean(0), y - y.mean(), method="lasso", alpha_min=l1[-1])
    w = np.array([np.interp(-l1, -knots, line) for line in path]).T
    return w, y.mean() - w @ X.mean(0)

# %% tags=["hide-input"]
def linear(w, b):
    """The predictions of each row of w, as a function of the inputs."""
    return lambda inputs: w @ inputs.T + b[:, None]


def half_square(answers, targets):
    return (answers - targets) ** 2 / 2

# %%
def fits(X, y):
    return {"plain": ridge(X, y, [0.0]), "ridge": ridge(X, y, l2), "Lasso": fit_lasso(X, y)}


def choose_and_test(parts):
    """For each penalty: the test loss at the chosen λ, at the best, and the chosen weights."""
    on_train, results = fits(*parts.train), {}
    for name, fit in fits(*parts.refit).items():
        at_every_lam = parts.test_loss(linear(*fit), half_square, each=True)
        pick = parts.choose(linear(*on_train[name]), half_square)
        results[name] = at_every_lam[pick], at_every_lam.min(), fit[0][pick]
    return results

# %% tags=["hide-input"]
chosen, best, weights = {}, {}, {}
for count, columns in (("64", X), ("ten", ten)):
    for seed in seeds(20):
        parts = split(columns, data.y, train=100, validation=50, test=n - 150, seed=seed)
        for name, three in choose_and_test(parts).items():
            for into, result in zip((chosen, best, weights), three, strict=True):
                into.setdefault(f"{name}, {count}", []).append(result)

# %% tags=["hide-input"]
chosen, best = ({name: np.array(each[name]) for name in each} for each in (chosen, best))
level = 0.95
harm = claims.interval(chosen["Lasso, 64"] - chosen["Lasso, ten"], level)
wins = (chosen["Lasso, 64"] < chosen["ridge, 64"]).sum()
assert wins > 14, "the Lasso hardly beats ridge"
for losses in (chosen, best):
    assert losses["Lasso, 64"].mean() > losses["Lasso, ten"].mean(), "54 more inputs do no harm"

# %% tags=["hide-input"]
freed = []  # what the Lasso keeps, trained again without a penalty: test losses
for w, seed in zip(weights["Lasso, 64"], seeds(20), strict=True):
    parts = split(X, data.y, train=100, validation=50, test=n - 150, seed=seed)
    (x_seen, y_seen), keeps, w_free = parts.refit, w != 0, np.zeros((1, 64))
    w_free[:, keeps], b_free = ridge(x_seen[:, keeps], y_seen, [0.0])
    freed.append(parts.test_loss(linear(w_free, b_free), half_square, each=True)[0])
refit = np.mean(freed) / chosen["Lasso, 64"].mean() - 1
assert refit > 0, "a refit without a penalty predicts better"
assert np.mean(freed) < chosen["plain, 64"].mean(), "a refit is as bad as no selection"

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(5.6, 2.8))
for ax, x, other, color, words in (
        (axes[0], chosen["ridge, 64"], chosen["Lasso, 64"], OF_L1,
         ("loss of ridge, 64 inputs", "loss of Lasso, 64 inputs")),
        (axes[1], chosen["Lasso, ten"], chosen["Lasso, 64"], OF_L1,
         ("loss of Lasso, ten inputs", "loss of Lasso, 64 inputs"))):
    ends = np.array([min(x.min(), other.min()) - 30, max(x.max(), other.max()) + 30])
    ax.plot(ends, ends, color=figures.GREY, lw=0.8, label="_equal")
    ax.plot(x, other, "o", ms=4, alpha=0.7, mew=0, color=color, label="_split")
    middle = x.mean(), other.mean()
    ax.plot([middle[0], middle[0]], middle, color=figures.PINK, lw=2, label="_gap",
            zorder=1)
    ax.plot(*middle, "D", ms=8, mfc="none", mew=1.5, color=figures.PINK, label="_mean")
    ax.text(0.97, 0.05, f"means: {abs(middle[1] - middle[0]):.0f}\napart", ha="right",
            color=figures.PINK, transform=ax.transAxes, fontsize=9)
    ticks = np.arange(200 * np.ceil(ends[0] / 200), ends[1], 200)
    ax.set(xlabel=words[0], ylabel=words[1], xlim=ends, ylim=ends, aspect="equal", xticks=ticks,
           yticks=ticks)
_ = axes[0].set_title("Lasso beats ridge …"), axes[1].set_title("… ten a bit better")

# %% tags=["hide-input"]
dots = [figures.drawn(ax)["_split"] for ax in axes]
apart = [np.ptp(figures.drawn(ax)["_gap"].y) * sign for ax, sign in zip(axes, (-1, 1), strict=True)]
assert abs(apart[1] - harm.mean) < 1e-9, "the bar is not the harm"
assert (dots[0].y < dots[0].x).sum() == wins, "the axes are exchanged"
assert abs((dots[1].y - dots[1].x).mean() - harm.mean) < 1e-9, "the harm is not that of the dots"
figures.show(fig, "Two panels of 20 dots, one for each split, and a diagonal where both test "
             "losses are equal. Left, the Lasso's loss against ridge's: "
             f"{(dots[0].y < dots[0].x).sum()} dots lie below the diagonal. Right, the "
             "Lasso's loss with 64 inputs against its loss "
             f"with ten: {(dots[1].y - dots[1].x > 0.01).sum()} lie above it. Diamonds at the "
             f"means lie {-apart[0]:.0f} below the diagonal, and {apart[1]:.0f} above it.",
             number="4.6",
             caption="A dot is a split, and both axes show the loss on its test patients, at the "
             "chosen λ. A diamond is the mean of the dots, and its bar the vertical "
             "distance to the diagonal.")

# %% tags=["hide-input"]
claim("04-best", "the λ that is best in the test is nowhere worse than the chosen one",
      measured=[np.minimum(chosen[name] - best[name], 0) for name in best], equals=0, within=1e-9)
w_100, b_100 = fit_lasso(X[:100], data.y[:100])
claim("04-intercept", "the Lasso's residuals have the mean 0 where it is fitted", equals=0,
      measured=(data.y[:100] - linear(w_100, b_100)(X[:100])).mean(1), within=1e-9)
without, *shrunk = (chosen[f"{name}, ten"].mean() for name in ("plain", "ridge", "Lasso"))
assert without < 1.03 * min(shrunk), "with ten inputs a chosen penalty beats none"

# %% [markdown]
# **With {{X.shape[1]}} inputs, the Lasso beats ridge on {{wins}} of the {{len(chosen["Lasso, 64"])}} splits. But the {{X.shape[1] - 10}} extra inputs seem to do a little harm** (Figure 4.6): the Lasso's mean test loss is {{harm.mean:.0f}} higher than with ten ({{100 * harm.mean / chosen["Lasso, ten"].mean():.0f}} %).

# %% tags=["hide-input"]
lead = claims.interval(chosen["ridge, 64"] - chosen["Lasso, 64"])
assert abs(lead.mean + apart[0]) < 1e-9, "the lead is not that of the dots in the figure"
clear = 15  # of 20 splits, in a sign test at 5 %
claim("04-lasso-chosen", "With 64 inputs and a chosen λ, the Lasso has a lower test loss than "
      "ridge on {:.0f} of the 20 splits", measured=wins, above=clear - 1)

# %% [markdown]
# <details>
# <summary>All means</summary>
#
# |mean test loss (half the squared error)|{{X.shape[1]}} inputs: chosen λ|best in the test|ten inputs: chosen|best|
# |---|---|---|---|---|
# |no penalty|{{chosen["plain, 64"].mean():.1f}}|{{best["plain, 64"].mean():.1f}}|{{chosen["plain, ten"].mean():.1f}}|{{best["plain, ten"].mean():.1f}}|
# |ridge|{{chosen["ridge, 64"].mean():.1f}}|{{best["ridge, 64"].mean():.1f}}|{{chosen["ridge, ten"].mean():.1f}}|{{best["ridge, ten"].mean():.1f}}|
# |Lasso|{{chosen["Lasso, 64"].mean():.1f}}|{{best["Lasso, 64"].mean():.1f}}|{{chosen["Lasso, ten"].mean():.1f}}|{{best["Lasso, ten"].mean():.1f}}|
# |what the Lasso keeps, again without a penalty|{{np.mean(freed):.1f}}||||
#
# Even at the λ that is best in the test the Lasso's loss is {{best["Lasso, 64"].mean():.0f}}: below ridge's {{best["ridge, 64"].mean():.0f}}, but above the {{chosen["plain, ten"].mean():.0f}} of ten inputs without a penalty.
#
# In a sign test, 15 of 20 splits would be significant (if the splits, which overlap, counted as independent). The {{100 * level:.0f}} % interval of the {{harm.mean:.0f}} is {{harm.low:.0f}} to {{harm.high:.0f}}, which is too narrow, as the splits share patients. (Columns were standardised on all patients, so a little of the test inputs was seen.)
#
# The Lasso also shrinks what it keeps. Training the kept weights again without a penalty predicts worse here, by {{100 * refit:.0f}} %: compare both on the validation part.
#
# </details>
#
# If two inputs are near-copies, which is kept? In each of {{below: len(by_lasso)}} samples we replace BMI by two new noisy copies of it (Figure 4.7).
# **Which copy the Lasso keeps depends on a little noise. The elastic net still makes zeros, but keeps both, because a squared penalty makes two halves cheaper than one whole: $2\cdot(\frac12)^2<1^2$.**

# %% tags=["hide-input"]
def near_copies(seed):
    """200 patients, with two noisy copies of BMI before the other nine measurements."""
    rng = np.random.default_rng(seed)
    copies = ten[:, [2, 2]] + 0.1 * rng.standard_normal((n, 2))
    rows = rng.choice(n, 200, replace=False)
    sample = np.column_stack([copies, np.delete(ten, 2, 1)])[rows]
    return (sample - sample.mean(0)) / sample.std(0), y[rows] - y[rows].mean()


exact = {"tol": 1e-9, "max_iter": 100_000}
both = ElasticNet(alpha=5.5, l1_ratio=5 / 5.5, **exact)  # λ = 5 for |w|, and 0.5 for w²/2
of_copies = {name: np.array([fit(*near_copies(seed)) for seed in seeds(20)]) for name, fit in {
    "Lasso": lambda X, y: Lasso(alpha=5, **exact).fit(X, y).coef_,
    "elastic net": lambda X, y: both.fit(X, y).coef_}.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 1.7))
for k, (name, w) in enumerate(of_copies.items()):
    color = (OF_L1, figures.PINK)[k]
    ax.plot(w[:, 0] / w[:, :2].sum(1), k + np.linspace(-0.28, 0.28, 20), "o", ms=4, alpha=0.7,
            mew=0, color=color, label=f"_{name}")
    zeros_of = f"{(w == 0).sum(1).mean():.1f} of {w.shape[1]} zero"
    ax.text(1.07, k, zeros_of, va="center", color=color, fontsize=9)
ax.set(xlim=(-0.05, 1.36), ylim=(1.5, -0.5), xticks=[0, 0.25, 0.5, 0.75, 1],
       xlabel="first copy's share of the two weights", ylabel="penalty")
ax.set_yticks(range(2), list(of_copies)), ax.grid(axis="y", visible=False)
_ = ax.set_title("The Lasso picks, the elastic net shares")

# %% tags=["hide-input"]
drawn = figures.drawn(ax)
by_lasso, by_net = (drawn[f"_{name}"].x for name in ("Lasso", "elastic net"))
ends = by_lasso[(by_lasso == 0) | (by_lasso == 1)]
figures.show(fig, "Two rows of 20 dots, one for each sample, along the share that the first of "
             f"two copies has of their weight. The Lasso's dots run from "
             f"{by_lasso.min():.2f} to {by_lasso.max():.2f}, {ends.size} of them at "
             f"either end; those of the elastic net from {by_net.min():.2f} to "
             f"{by_net.max():.2f}. The Lasso has more zeros.", number="4.7",
             caption="A dot is one of 20 samples of 200 patients, each with copies of its own: at "
             "1 only the first copy is used, at 0 only the second. Right: how many of the eleven "
             "weights are exactly zero, on average. The λ of the L1 term is 5, and that of the "
             "square 0.5.")

# %% tags=["hide-input"]
claim("04-copies", "Over 20 samples, the largest and the smallest share that the Lasso gives to "
      "the first of two near-copies are {:.2f} apart", above=0.5, measured=np.ptp(by_lasso))
X_one, y_one = near_copies(seeds(20)[0])
for name, l1_one, l2_one in (("Lasso", 5, 0), ("elastic net", 5, 0.5)):
    w = of_copies[name][0]
    slope_one = X_one.T @ (X_one @ w - y_one) / 200 + l2_one * w + l1_one * np.sign(w)
    assert np.abs(slope_one[w != 0]).max() < 1e-3, f"{name}: not the minimum at the λ told"
assert np.abs(by_net - 0.5).max() < 0.25, "the elastic net does not share"
assert (of_copies["elastic net"] == 0).sum(1).mean() > 1, "the elastic net makes no zeros"

# %% [markdown]
# ## 4.6 L2 on two factors is L1 on their product
#
# How did decay of $u$ and $v$ make zeros in §4.1, where $w = uv$?
# All pairs with the same product form a hyperbola (Figure 4.8) and give the same loss. Their penalty grows with the
# distance from the origin, so the cheapest pair is where the smallest
# circle around the origin that reaches the hyperbola meets it: $|u| = |v| = \sqrt{|w|}$.

# %% tags=["hide-input"]
factor, turn = np.linspace(0.05, 3, 296), np.linspace(0, 2 * np.pi, 121)
fig, axes = figures.subplots(1, 2, figsize=(5.6, 2.8))
for weight, color in ((-1.0, figures.SKY), (1.0, figures.PINK), (2.25, figures.AMBER)):
    radius = (2 * abs(weight)) ** 0.5
    axes[0].plot(radius * np.cos(turn), radius * np.sin(turn), "--", lw=1, color=OF_FACTORS)
    for side in (-1, 1):
        axes[0].plot(side * factor, side * weight / factor, color=color)
        axes[0].plot(side * abs(weight) ** 0.5, side * weight / abs(weight) ** 0.5, "o",
                     color=color)
    axes[0].text(2.66, weight / 2.6, f"uv = {weight:g}".replace("-", "−"), color=color,
                 va="center", fontsize=9)
    cost = ((factor**2 + (weight / factor) ** 2) / 2).min()
    axes[1].plot(weight, cost, "o", color=color, label=f"_{weight}")

# %% tags=["hide-input"]
slide, rate, weak_decay = [(0.0, 2.4)], 0.01, 0.02
for _ in range(20_000):  # gradient descent on ½(1 − uv)², with weak decay
    at_u, at_v = slide[-1]
    short = 1 - at_u * at_v
    slide.append((at_u + rate * (short * at_v - weak_decay * at_u),
                  at_v + rate * (short * at_u - weak_decay * at_v)))
slide = np.array(slide)

# %% tags=["hide-input"]
plane, cheapest = axes
plane.plot(*slide.T, color="black", lw=2.2, label="_slide")
plane.plot(*slide[0], "o", ms=4, color="black"), plane.plot(*slide[-1], "kv", ms=6)
plane.text(0, 1.76, "start", ha="center", va="center", fontsize=9)
cheapest.plot([-2.6, 0, 2.6], [2.6, 0, 2.6], color=OF_FACTORS, label="_V", zorder=1)
single = np.linspace(-2.6, 2.6, 105)
cheapest.plot(single, single**2 / 2, ":", color=OF_L2, label="_square", zorder=1)
cheapest.text(0, 2.5, "one weight: ½w²", color=OF_L2, ha="center", fontsize=9)
plane.set(xlabel="factor u", ylabel="factor v", aspect="equal", xlim=(-2.6, 2.6),
          ylim=(-2.6, 2.6))
cheapest.set(xlabel="weight w = uv", ylabel="least cost", ylim=(0, 2.8), box_aspect=1)
cheapest.text(0, 1.15, "two factors:\n|w|", color=OF_FACTORS, ha="center", fontsize=9)
_ = plane.set_title("Cheapest: |u| = |v|"), cheapest.set_title("… and costs |w|")

# %% tags=["hide-input"]
fig.get_layout_engine().set(wspace=0.1)
costs = [figures.drawn(cheapest)[f"_{at}"].y[0] for at in (-1.0, 1.0, 2.25)]
claim("04-cheapest", "the least cost on each hyperbola is |w|", equals=0,
      measured=np.subtract(costs, [1, 1, 2.25]), within=1e-9)
figures.show(fig, "Left, hyperbolas uv = −1, 1 and 2.25 in the plane of two factors, with two "
             "branches each. Circles around the origin touch them on the diagonals. A black path "
             "leads from a start with u = 0 to the curve uv = 1, and along it to the diagonal. "
             "Right, the "
             f"least cost against w: dots at {costs[0]:.2f}, {costs[1]:.2f} and {costs[2]:.2f} "
             "on a V, which is |w|; beside it the parabola ½w² of a single weight, flat at 0.",
             number="4.8", caption="Left: a curve joins all pairs with one product, and its dots "
             "are the cheapest; on a dashed circle the cost is the same. Black: a pair in training "
             "with weak decay first reaches the curve, and then slides along it to the cheapest "
             "pair (§4.11). Right: their cost.")

# %% tags=["hide-input"]
third = np.outer(factor, factor)
costs_of_three = [((factor**2 + factor[:, None] ** 2 + (w / third) ** 2) / 2).min()
                  for w in (0.125, 1.0)]
claim("04-cheapest", "the least cost of three factors is 3/2 |w|^(2/3)",
      measured=costs_of_three - 1.5 * np.array([0.125, 1.0]) ** (2 / 3), equals=0, within=1e-9)

# %% [markdown]
# Since $(|u|-|v|)^2\ge0$,
#
# $$\tfrac12(u^2+v^2)\;\ge\;|uv| = |w|, \tag{4.6}$$
#
# with equality when $|u| = |v|$. **At the minimum, decay λ of both factors costs exactly $\lambda|w|$: it is L1 on the product.** If every weight is such a product, this gives the Lasso ([Hoff, 2017](https://doi.org/10.1016/j.csda.2017.06.007); for networks [Ziyin and Wang, 2023](https://arxiv.org/abs/2210.01212)).

# %% tags=["hide-input"]
pairs_below = (np.abs(w_product[zero]) < 1e-6).sum()
assert pairs_below > zero.sum() / 2, "most zeros of the Lasso are not reached by pairs"
claim("04-balanced", "the two factors of every weight have the same size",
      measured=u.detach().abs() - v.detach().abs(), equals=0, within=1e-6)

# %% [markdown]
# So §4.1's second run finds the Lasso: {{pairs_below}} of its {{zero.sum()}} zeros end below a millionth. None is exactly zero: pairs only approach it.

# %% tags=["hide-input"]
claim("S2-12", "Weight decay on u and v leads to the Lasso: no product uv ends further from the "
      "Lasso's weight than {} times its largest weight",
      measured=np.abs(w_product - w_lasso) / np.abs(w_lasso).max(), below=0.001)

# %% [markdown]
# <details>
# <summary>Why zeros are only approached</summary>
#
# With $g$ fixed, a step multiplies $u+v$ by $1-\eta(\lambda+g)$ and $u-v$
# by $1-\eta(\lambda-g)$. If $|g|<\lambda$, both lose a share with each step, and never all.
#
# </details>
#
# <details>
# <summary>Why there are no bad valleys, though the objective is not convex</summary>
#
# Let the loss be convex in $w$, with slopes $g_i$. Where the gradient is zero, $g_iv_i+\lambda u_i = 0$ and $g_iu_i+\lambda v_i = 0$.
#
# 1. If both factors are nonzero, multiplying these equations by $u_i$ and $v_i$ shows $u_i^2 = v_i^2$. Then $g_i = -\lambda\,\mathrm{sign}(w_i)$, as in the Lasso.
# 2. If one factor is zero, so is the other. The second derivatives then form the matrix with λ
#    on its diagonal and $g_i$ off it, with a negative eigenvalue unless $|g_i|\le\lambda$, as in the Lasso.
#
# So every such point that is not a saddle satisfies the conditions of §4.4, and is a minimum of the Lasso.
# (More than two factors differ: $L$ of them cost at least $\frac L2|w|^{2/L}$, which is not convex then.)
#
# (A ReLU unit, too, has a pair of factors: its ingoing and its outgoing weights. At rest, decay λ costs λ times the product of their lengths: [Neyshabur, Tomioka and Srebro, 2015](https://arxiv.org/abs/1412.6614).)
#
# </details>
#
# ## 4.7 Matrices: at which λ does a direction vanish?
#
# Networks multiply *matrices*: those of queries and keys in attention ([Kobayashi, Akram and von Oswald, 2024](https://arxiv.org/abs/2410.23819)), or the two of an adapter (§4.9). What vanishes if both factors of $W = UV^\top$ decay?
#
# Write $W$ as a sum of *directions* (its singular value decomposition, as in chapter 1):
# $W = \sum_i s_i\,p_iq_i^\top$. Direction $i$ looks for the input pattern $q_i$ and answers with the output pattern $p_i$: it adds $s_i(q_i\cdot x)\,p_i$ to the outputs of an input $x$.
# Patterns have length 1, and all $p_i$ are orthogonal, as are all $q_i$.
# The *singular value* $s_i\ge0$ says how strong the direction is; at $s_i = 0$ it has vanished.
#
# Our $W$ maps a handwritten digit's pixels to ten scores, one for each class. The pixels are
# *whitened*: mixed linearly until they are uncorrelated and have variance 1. A class's target is 1 on its own images and 0 on others, minus its mean over all. The loss is the mean of half the squared distance between scores and targets. An image's ten targets add up to zero, so nine directions are enough.
# The strongest direction of a fit without decay separates {{below: tall[0]}} and {{below: tall[1]}} from {{below: deep[0]}} and {{below: deep[1]}} (Figure 4.9).

# %%
digits = load("digits")
pixels = digits.X[:, digits.X.std(0) > 0]
left, _, right = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
Z = np.sqrt(len(pixels)) * left @ right  # whitened: ZᵀZ/n is the identity
one_hot = np.eye(10)[digits.y]
Y = one_hot - one_hot.mean(0)  # targets

# %% tags=["hide-input"]
def draw_images(ax, along, two, sign):
    """Of each of two digits the two images with the most of q₁ (sign 1) or of −q₁ (sign −1)."""
    kinds = [np.flatnonzero(digits.y == digit) for digit in two]
    picks = np.concatenate([kind[np.argsort(-sign * along[kind])[:2]] for kind in kinds])
    images = [np.pad(digits.X[pick].reshape(8, 8), 1) for pick in picks]
    block = np.block([images[:2], images[2:]])  # a row for each of the two digits
    ax.imshow(block, cmap="gray_r"), ax.set_axis_off(), ax.set_anchor("N")
    ax.set_title("Large q₁·x" if sign > 0 else "Very negative q₁·x", loc="left", fontsize=9)
    return along[picks]

# %% tags=["hide-input"]
left, fit_sizes, right = np.linalg.svd(Y.T @ Z / len(Z))  # of least squares, without decay
sign = np.sign(left[np.abs(left[:, 0]).argmax(), 0])  # the largest bar points up
along, heights = sign * Z @ right[0], sign * left[:, 0]  # an image's part of q₁; the answer
ranked = np.argsort(heights)  # digits, from the lowest bar
deep, tall = np.sort(ranked[:2]), np.sort(ranked[-2:])
fig, axes = figures.subplots(1, 3, figsize=(6.2, 2.1), width_ratios=[1, 1, 1.4])
most, least = (draw_images(ax, along, *each) for ax, each in
               zip(axes, ((tall, 1), (deep, -1)), strict=False))
axes[2].bar(range(10), heights, color=figures.GREY, label="_answer")
axes[2].axhline(0, color=figures.GREY, lw=0.8), axes[2].grid(axis="x", visible=False)
axes[2].set(xlabel="a digit's score", ylabel="entry", xticks=range(10))
_ = axes[2].set_title("Answer p₁", loc="left", fontsize=9)

# %% tags=["hide-input"]
bars = figures.drawn(axes[2])["_answer"].y
by_height = bars.argsort()
high, low = np.sort(by_height[-2:]), np.sort(by_height[:2])
figures.title(fig, f"Direction 1 separates {high[0]}, {high[1]} from {low[0]}, {low[1]}")
figures.show(fig, f"Left, two images each of the digits {high[0]} and {high[1]}, with most of the "
             f"input pattern, and of {low[0]} and {low[1]}, with least. Right, ten bars of the "
             f"output pattern: those of {high[0]} and {high[1]} are the highest, up to "
             f"{bars.max():.2f}, those of {low[0]} and {low[1]} the lowest, down to "
             f"{bars.min():.2f}.", number="4.9",
             caption="The strongest direction of a fit without decay. Left, of two digits the "
             "images with the largest q₁·x, and of two others those with the least "
             "(below 0). Right, the output pattern p₁, one bar for each digit's score.")

# %% [markdown]
# What does decay of both factors cost? The *Frobenius norm* has
# $\lVert W\rVert_F^2 = \sum_{jk}W_{jk}^2 = \sum_is_i^2$. The *nuclear norm* $\lVert W\rVert_* = \sum_is_i$ is the L1 penalty of the singular values.
# The cheapest factors cost the nuclear norm, as in (4.6), if $U$ and $V$ have at least as many columns as the rank of $W$:
#
# $$\min_{UV^\top = W}\;\tfrac12\big(\lVert U\rVert_F^2+\lVert V\rVert_F^2\big)\;=\;\lVert W\rVert_*. \tag{4.7}$$
#
# Training is *at rest* where gradient and decay cancel. There the factors are the cheapest for their product, so their decay costs $\lambda\lVert W\rVert_*$
# ([Srebro, Rennie and Jaakkola, 2004](https://proceedings.neurips.cc/paper/2004/hash/e0688d13958a19e087e123148555e4b4-Abstract.html); proofs below).
#
# <details>
# <summary>Proof of (4.7)</summary>
#
# 1. Take $W = P\operatorname{diag}(s)\,Q^\top$ with the nonzero singular values only. Then
#    $\lVert W\rVert_* = \operatorname{tr}(P^\top WQ) = \operatorname{tr}\big((P^\top U)(Q^\top V)^\top\big)$.
# 2. That trace is the inner product of $P^\top U$ and $Q^\top V$. By Cauchy and Schwarz it is at most
#    $\lVert P^\top U\rVert_F\lVert Q^\top V\rVert_F$.
# 3. Multiplying by $P^\top$ or $Q^\top$ cannot increase a Frobenius norm. So the trace is at most
#    $\lVert U\rVert_F\lVert V\rVert_F$, and by (4.6) at most $\frac12(\lVert U\rVert_F^2+\lVert V\rVert_F^2)$.
# 4. The factors $U = P\operatorname{diag}(\sqrt s)$ and $V = Q\operatorname{diag}(\sqrt s)$ reach equality. ∎
#
# </details>
#
# <details>
# <summary>Proof: there are no bad valleys here either, and factors at rest are the cheapest</summary>
#
# Let the loss be convex in $W$, with the matrix of slopes $E$, and let the factors have more columns than the rank of $W = UV^\top$. Training rests where
# $EV = -\lambda U$ and $E^\top U = -\lambda V$.
#
# 1. Multiply by $U^\top$ and by $V^\top$: $\lambda U^\top U = -U^\top EV$ and $\lambda V^\top V = -V^\top E^\top U$. The right sides are transposes of each other, and
#    the left sides are symmetric, so $U^\top U = V^\top V$. Write this matrix as $RDR^\top$ with the nonzero eigenvalues $D$. Then
#    $U = P\sqrt D\,R^\top$, $V = Q\sqrt D\,R^\top$ and $W = PDQ^\top$, where $P$ and $Q$ have orthonormal columns. So $D$ holds the singular values of $W$, and the
#    cost in (4.7) is their sum: the factors are the cheapest.
# 2. More columns than the rank leave a unit vector $r$ with $Ur = Vr = 0$. Take unit vectors $p$ and $q$, and add $\epsilon pr^\top$ to $U$ and $\epsilon qr^\top$ to $V$. The
#    product grows by $\epsilon^2pq^\top$, and the objective by $\epsilon^2(p^\top Eq+\lambda)$ and terms of higher order. Unless the point is a saddle,
#    $p^\top Eq\ge-\lambda$ for all $p$ and $q$.
# 3. Take any other matrix $W' = \sum_is_i'p_iq_i^\top$. By step 2 the inner product $\langle E, W'\rangle = \sum_is_i'\,p_i^\top Eq_i$ is at least $-\lambda\lVert W'\rVert_*$. And
#    $\langle E, W\rangle = \operatorname{tr}(V^\top E^\top U) = -\lambda\lVert V\rVert_F^2 = -\lambda\lVert W\rVert_*$. A convex loss rises from $W$ to $W'$ by at least
#    $\langle E, W'-W\rangle\ge\lambda\lVert W\rVert_*-\lambda\lVert W'\rVert_*$. So no $W'$ has a lower loss plus penalty.
#
# So every point of rest that is no saddle is a minimum. Step 2 leads down from the saddles, and if training converges, small enough steps of gradient descent avoid such saddles from almost every
# start ([Panageas and Piliouras, 2017](https://arxiv.org/abs/1605.00405)). ∎
#
# (The theorem does not cover special starts, such as $v = 0$ in §4.1 and $U = 0$ in §4.10. Nor does it prove that our η = 1 is small enough. For these, our runs are the evidence.)
#
# </details>
#
# It remains to find this product. Let $\hat W = \frac1nY^\top Z$ be the
# least-squares fit, with singular values $\hat s_i$. For whitened inputs and half the squared error, the loss is $\frac12\lVert W-\hat W\rVert_F^2$ plus a constant. So each singular value solves the L1 problem of §4.3 for one weight, with $z = \hat s_i$, if $U$ and $V$ have more columns than there are surviving directions (the proof needs a spare column):
#
# $$s_i = \max(\hat s_i-\lambda, 0). \tag{4.8}$$
#
# <details>
# <summary>Proof of (4.8)</summary>
#
# Von Neumann's inequality $\langle\hat W, W\rangle\le\sum_i\hat s_is_i$ gives
#
# $$\tfrac12\lVert W-\hat W\rVert_F^2+\lambda\lVert W\rVert_*\;\ge\;\sum_i\Big[\tfrac12(s_i-\hat s_i)^2+\lambda s_i\Big],$$
#
# with equality when $W$ has the singular vectors of $\hat W$. Each bracket is the problem of §4.3. ∎
#
# </details>
#
# **For whitened inputs direction $i$ vanishes at $\lambda = \hat s_i$, known before training** (Figure 4.10). A single matrix under
# weight decay keeps every direction: $s_i = \hat s_i/(1+\lambda)$.
#
# <details>
# <summary>Exact zeros: singular value thresholding</summary>
#
# As in §4.6, factors only approach zero: in the end
# each step multiplies both by $1-\eta(\lambda-\hat s_i)$. For exact zeros train $W$ itself, and after each step apply (4.8) to its singular values, with ηλ for λ, as in (4.4). This *singular value thresholding* ([Cai, Candès and Shen, 2010](https://doi.org/10.1137/080738970)) is soft thresholding for the nuclear norm.
#
# </details>

# %%
W_hat = Y.T @ Z / len(Z)
s_hat = np.linalg.svd(W_hat, compute_uv=False)


def descend(U, V, slopes, decay, steps):
    """Gradient descent with η = 1 and decay, from the loss's slopes in UVᵀ; returns UVᵀ."""
    for _ in range(steps):
        E = slopes(U @ V.mT)  # .mT transposes each matrix of a stack
        U, V = U - (E @ V + decay * U), V - (E.mT @ U + decay * V)
    return U @ V.mT


lams = np.linspace(0.04, 0.32, 8)
# Steps for a stack of products at once, one for each λ and start:
start = np.array([np.random.default_rng(seed).uniform(-0.25, 0.25, (71, 16)) for seed in seeds(5)])
U_start, V_start = start[:, :10], start[:, 10:] / 2  # V has more rows, and so smaller entries
products = descend(U_start, V_start, lambda W: W - W_hat,
                   lams[:, None, None, None], steps=2000)
s = np.linalg.svd(products, compute_uv=False)  # (8 λ, 5 starts, 10 values)

# %% tags=["hide-input"]
def learn(parts):
    """From a training part: what whitens inputs, the least-squares map, the class means."""
    x, labels = parts.train
    centre, rates = x.mean(0), np.eye(10)[labels].mean(0)
    size, right = np.linalg.svd(x - centre, full_matrices=False)[1:]
    used = size > 1e-9 * size[0]
    whiten = np.sqrt(len(x)) * right[used].T / size[used]
    fit = (np.eye(10)[labels] - rates).T @ (x - centre) @ whiten / len(x)
    return (lambda inputs: (inputs - centre) @ whiten), fit, rates

# %% tags=["hide-input"]
def on_unseen(parts, kept):
    """Accuracy on the unseen images of maps with the singular values of kept(ŝ)."""
    prepare, fit, _ = learn(parts)
    left_fit, s_fit, right_fit = np.linalg.svd(fit, full_matrices=False)
    maps = (left_fit * kept(s_fit)[:, None]) @ right_fit
    # Scores of centred targets: no class is favoured, however small the scores are.
    said, labels = prepare(parts.test.X) @ maps.swapaxes(1, 2), parts.test.y
    return (said.argmax(-1) == labels).mean(-1)

# %% tags=["hide-input"]
fine = np.linspace(0, 0.32, 33)
column = fine[:, None]
rules = {"two": lambda s: np.maximum(s - column, 0), "one": lambda s: s / (1 + column),
         "cut": lambda s: s * (s > column)}  # as many directions as "two", not shrunk
digit_splits = [split(digits.X, digits.y, train=300, test=len(Z) - 300, seed=seed)
                for seed in seeds(10)]
unseen = {name: np.array([on_unseen(parts, kept) for parts in digit_splits])
          for name, kept in rules.items()}  # (split, λ) for each rule


# %% tags=["hide-input"]
at_puzzle = np.abs(fine - 0.24).argmin()
at_cost = claims.interval(unseen["two"][:, at_puzzle])
by_deleting = claims.interval(unseen["two"][:, 0] - unseen["cut"][:, at_puzzle])
by_shrinking = claims.interval((unseen["cut"] - unseen["two"])[:, at_puzzle])
own = np.array([np.linalg.svd(learn(parts)[1])[1] for parts in digit_splits])
lost = unseen["two"][:, 0].mean() - at_cost.mean
assert abs(by_deleting.mean + by_shrinking.mean - lost) < 1e-9, "two parts are not the whole loss"

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(6.2, 3.3))
bends = np.sort([*fine, *s_hat[:9]])  # a line of (4.8) has its kink at ŝ
lines = np.maximum(s_hat[:9] - bends[:, None], 0)
axes[0].plot(bends, lines, color=OF_FACTORS, alpha=0.6, lw=0.9, label="_formula")
axes[0].plot(lams, s[..., :9].mean(1), ".", ms=4, color=OF_FACTORS, label="_trained")
axes[0].plot(fine, s_hat[0] / (1 + fine), ":", color=OF_L2, label="_single")
axes[0].text(0.09, 0.29, "one matrix", color=OF_L2, fontsize=9)
axes[0].text(0, 0.01, "two\nfactors", color=OF_FACTORS, fontsize=9)
for name, color, dash in (("one", OF_L2, ":"), ("cut", figures.PINK, "--"),
                          ("two", OF_FACTORS, "-")):
    spread = unseen[name].min(0), unseen[name].max(0)
    axes[1].fill_between(fine, *spread, color=color, alpha=0.13, lw=0, label=f"_{name} splits")
    axes[1].plot(fine, unseen[name].mean(0), dash, color=color, label=f"_{name}")
for name, place, color in (("one matrix", (0.01, 0.95), OF_L2),
                           ("cut, not\nshrunk", (0.275, 0.72), figures.PINK),
                           ("two factors", (0.085, 0.71), OF_FACTORS),
                           ("maps fitted to\n300 images", (0, 0.2), figures.GREY)):
    axes[1].text(*place, name, color=color, fontsize=9)

# %% tags=["hide-input"]
axes[0].text(s_hat[0] + 0.005, 0.006, "ŝ₁", color=OF_FACTORS, fontsize=9)
axes[0].text(s_hat[8] - 0.018, 0, "ŝ₉", color=OF_FACTORS, fontsize=9, ha="right")
for ax, at, side in zip(axes, ((0.247, 0.305), (0.233, 0.06)), ("left", "right"), strict=True):
    ax.text(*at, "λ = 0.24", color=figures.GREY, ha=side, fontsize=9)

# %% tags=["hide-input"]
axes[0].set(ylabel="singular value of UVᵀ", ylim=(-0.01, 0.33))
axes[1].set(ylabel="accuracy on unseen images", ylim=(0, 1.03))
for ax in axes:
    ax.set(xlabel="weight decay λ", xlim=(-0.01, 0.33 if ax is axes[0] else 0.37))
    ax.axvline(0.24, color=figures.GREY, lw=0.8, ls="--")
_ = axes[0].set_title("Directions vanish …"), axes[1].set_title("… at a price")

# %% tags=["hide-input"]
drawn, right = (figures.drawn(ax) for ax in axes)
tops, dots = drawn["_formula"].at(0), drawn["_trained"]
axes[0].text(0.247, 0.072, f"{(dots.at(0.24) > 1e-3).sum()} left", color=OF_FACTORS, fontsize=9)
figures.show(fig, f"Left, {tops.size} singular values of the trained product against λ. Lines of "
             f"(4.8) fall with slope -1 from {tops.min():.2f} to {tops.max():.2f} to zero, with "
             f"dots of trained factors: {(dots.at(0.24) > 1e-3).sum()} are left at λ = 0.24, "
             f"{(dots.at(0.32) > 1e-3).sum()} at 0.32. Right, accuracy on unseen images: two "
             f"factors have {right['_two'].at(0):.2f} without a penalty, "
             f"{right['_two'].at(0.24):.2f} at λ = 0.24 and {right['_two'].at(0.32):.2f} at 0.32; "
             f"the same rank, not shrunk, has {right['_cut'].at(0.24):.2f} at 0.24; one matrix "
             f"stays at {right['_one'].at(0.32):.2f}.", number="4.10",
             caption="Left: lines are (4.8), and end at the ŝ from ŝ₉ to ŝ₁. Dots are trained "
             "factors, averaged over five starts, and the dotted line is the strongest direction "
             "of one matrix. Right: maps are fitted to 300 images, so their ŝ differ from those "
             "on the left. Green: shrunk by (4.8). Pink: the same directions, at full strength. "
             "Blue: all directions, divided by 1 + λ. Lines are means of ten splits, bands their "
             "ranges.")

# %% [markdown]
# At λ = 0.24, for example, {{(s_hat > 0.24).sum()}} of the nine directions stay. The price is accuracy. Maps fitted to 300 images keep {{(own > 0.24).sum(1).min()}} to {{(own > 0.24).sum(1).max()}} directions, and their accuracy falls from {{unseen["two"][:, 0].mean():.2f}} to {{at_cost.mean:.2f}}. Of the {{lost:.2f}} lost, cutting directions costs {{by_deleting.mean:.2f}}, and shrinking the others {{by_shrinking.mean:.2f}}.
#
# Why does shrinking cost anything? A single matrix loses nothing, as dividing all scores by 1 + λ leaves the largest the largest. Subtracting λ changes the proportions of directions: here {{s_hat[0]:.2f}} and {{s_hat[5]:.2f}} become {{s_hat[0] - 0.24:.2f}} and {{s_hat[5] - 0.24:.2f}}.

# %% tags=["hide-input"]
expected = np.maximum(s_hat - lams[:, None, None], 0)
claim("04-directions", "All {} singular values, of ten directions at 8 λ from 5 starts, agree with "
      "(4.8) to a millionth", measured=(np.abs(s - expected) < 1e-6).sum(), equals=400)
claim("04-price-unseen", "At λ = 0.24, cutting directions lowers the accuracy on unseen images, "
      "and shrinking the others lowers it again: both 95 % intervals begin at {:.2f} or above "
      "(if the splits, which overlap, counted as independent)",
      measured=[by_deleting.low, by_shrinking.low], above=0)

# %% tags=["hide-input"]
assert np.ptp(unseen["one"].mean(0)) < 0.005, "dividing all scores changes the accuracy"
at_024 = s[5]  # at λ = 0.24, from five starts
claim("04-puzzle", "With weight decay on two factors six of the nine directions survive: the "
      "weakest of the six has a singular value of {}", measured=at_024[:, :6], above=0.005)
claim("04-tenth", "weight decay on two factors brings three of the nine singular values below a "
      "millionth", equals=3, measured=(at_024[:, :9] < 1e-6).sum(1).astype(float), within=1e-9)
claim("04-tenth", "the tenth singular value of the least-squares map is zero",
      measured=s_hat[9], equals=0, within=1e-12)
assert np.isclose(lams[5], 0.24), "not the λ told"

# %% tags=["hide-input"]
any_map = claims.rng().standard_normal((10, 61))
gaps = [np.square(Z @ w.T - Y).sum(1).mean() - np.square(w - W_hat).sum()
        for w in (any_map, -2 * any_map)]
claim("04-whitened-loss", "the loss less ½‖W − Ŵ‖² is the same for two random W",
      measured=gaps[0] / 2 - gaps[1] / 2, equals=0, within=1e-9)
claim("04-lines", "the lines begin at the singular values of Ŵ, by its eigenvalues",
      measured=tops**2 - np.linalg.eigvalsh(W_hat @ W_hat.T)[::-1][:9], equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("04-lines", "the trained dots lie on them, line by line",
      measured=[dots.at(at) - drawn["_formula"].at(at) for at in lams], equals=0, within=1e-6)

# %% tags=["hide-input"]
one_matrix = np.linalg.solve(Z.T @ Z + 0.32 * len(Z) * np.eye(61), Z.T @ Y)  # ridge
single = np.linalg.svd(one_matrix, compute_uv=False)
claim("S3-11", "one matrix at λ = 0.32 keeps every direction, times 1/1.32",
      measured=[*(single[:9] / s_hat[:9] - 1 / 1.32), drawn["_single"].at(0.32) - single[0]],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
prepare, fit, rates = learn(digit_splits[0])
held, seen_X, seen_y = digit_splits[0].test, *digit_splits[0].train  # 300 images are seen
targets_seen = np.eye(10)[seen_y] - np.eye(10)[seen_y].mean(0)
by_lstsq = np.linalg.lstsq(seen_X - seen_X.mean(0), targets_seen, rcond=1e-9)[0]
guessed = np.eye(10)[seen_y].mean(0) + (held.X - seen_X.mean(0)) @ by_lstsq
claim("04-accuracy", "without penalty, scores and accuracy are least squares' on 300 images",
      measured=[*(rates + prepare(held.X) @ fit.T - guessed).ravel(), len(seen_X) - 300,
                np.mean((guessed - rates).argmax(1) == held.y) - unseen["two"][0, 0]],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
W = torch.tensor(claims.rng().standard_normal((300, 100)), requires_grad=True)
s_W = torch.linalg.svdvals(W).detach()
flat, top = W.norm(2).item(), torch.linalg.norm(W, 2).item()
claim("S3-05", "`W.norm(2)` is Frobenius, `torch.linalg.norm(W, 2)` the largest singular value",
      measured=[flat**2 / s_W.square().sum().item() - 1, flat**2 / W.square().sum().item() - 1,
                top / s_W[0] - 1], equals=0, within=1e-12)

# %% tags=["hide-input"]
left_any, s_any, right_any = np.linalg.svd(any_map, full_matrices=False)
U_best, V_best = left_any * np.sqrt(s_any), right_any.T * np.sqrt(s_any)
nuclear = np.linalg.norm(any_map, "nuc")
claim("04-nuclear", "U = P√s and V = Q√s have the product W and cost its nuclear norm",
      measured=[(np.sum(U_best**2) + np.sum(V_best**2)) / 2 / nuclear - 1,
                *(U_best @ V_best.T - any_map).ravel()], equals=0, within=1e-12)
mixed = [np.eye(10) + 0.1 * np.random.default_rng(seed).standard_normal((10, 10))
         for seed in seeds(5)]

# %% tags=["hide-input"]
factorings = [(U_best @ mix, np.linalg.solve(mix, V_best.T).T) for mix in mixed]  # the same W
costs = np.array([(np.sum(a**2) + np.sum(b**2)) / 2 for a, b in factorings])
claim("04-nuclear", "other factors U and V of the same matrix have its product",
      measured=[a @ b.T - any_map for a, b in factorings], equals=0, within=1e-9)
more = [np.sum((left_any.T @ a - right_any @ b) ** 2) / 2 for a, b in factorings]
claim("04-nuclear", "and cost more, by ½‖PᵀU − QᵀV‖² (steps 1 to 3 of the proof, exactly)",
      measured=costs / nuclear - np.array(more) / nuclear, equals=1, within=1e-9)

# %% [markdown]
# ## 4.8 Which λ removes everything, if inputs are not whitened?
#
# A search for λ needs an upper end. If inputs are correlated, the patterns of the directions change with λ. Then we can predict only where the last direction vanishes. Let $E$ be the loss's slopes at $W = 0$. **For a convex loss, decay of two factors removes all directions above $\lambda = \lVert E\rVert_2$, the largest singular value of $E$.** One backward pass at $W = 0$ gives it, before any training.
#
# <details>
# <summary>Proof</summary>
#
# For every $W$ the loss rises by at least
# $\langle E, W\rangle\ge-\lVert E\rVert_2\lVert W\rVert_*$, and the penalty by $\lambda\lVert W\rVert_*$. So $W = 0$ is a minimum if $\lambda\ge\lVert E\rVert_2$, and the only one if $\lambda>\lVert E\rVert_2$.
# For a smaller λ a small step along $-p_1q_1^\top$, the first singular vectors of $E$, lowers the sum. ∎
#
# Whitened inputs have $E = -\hat W$. So there $\lVert E\rVert_2 = \hat s_1$, as in (4.8).
#
# </details>
#
# On raw pixels, too, directions vanish one by one, the last at $\lVert E\rVert_2 = {{below: threshold:.3f}}$ (Figure 4.11).

# %% tags=["hide-input"]
raw = (pixels - pixels.mean(0)) / 16  # grey levels from 0 to 1, correlated
E_at_zero, covariance = -Y.T @ raw / len(raw), raw.T @ raw / len(raw)
threshold = np.linalg.norm(E_at_zero, 2)
shares = np.arange(2, 23) / 20  # λ as a share of ‖E‖₂, from 0.1 to 1.1
raw_lams = (shares * threshold)[:, None, None]
on_raw = descend(U_start[0], V_start[0], lambda W: W @ covariance + E_at_zero, raw_lams, 2000)
s_raw = np.linalg.svd(on_raw, compute_uv=False)  # (21 λ, 10 values)

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 2.5))
for k in range(9):
    ax.plot(shares, s_raw[:, k], "o-", ms=3, lw=0.9, label=f"_{k}",
            color=OF_FACTORS, alpha=1 if k == 0 else 0.5)
ax.axvline(1, color=figures.GREY, lw=0.8, ls="--")
ax.text(1.01, 0.4, "λ = ‖E‖₂", color=figures.GREY)
ax.text(0.32, 0.29, "strongest direction", color=OF_FACTORS)
ax.set(xlabel="weight decay, λ/‖E‖₂", ylabel="singular value of UVᵀ", xlim=(0.07, 1.2),
       ylim=(-0.015, 0.56))
_ = ax.set_title("At λ = ‖E‖₂ the last direction goes")

# %% tags=["hide-input"]
drawn = figures.drawn(ax)
lasting = [sum(line.at(at) > 1e-3 for line in drawn.values()) for at in (0.3, 0.6, 0.9)]
figures.show(fig, "Nine singular values against λ as a share of ‖E‖₂. All fall along bent "
             f"lines: the strongest from {drawn['_0'].at(0.1):.2f} at 0.1 to "
             f"{drawn['_0'].at(0.9):.3f} at 0.9 and zero beyond 1. At 0.3, 0.6 and 0.9 "
             f"of ‖E‖₂ {lasting[0]}, {lasting[1]} and {lasting[2]} are left.", number="4.11",
             caption="Dots at one λ are a training run, on raw pixels. A line joins the first, the "
             "second … singular values of all runs, whichever directions these are.")

# %% tags=["hide-input"]
at_rest = [np.linalg.norm((raw @ W.T - Y).T @ raw / len(raw), 2) for W in on_raw]
assert np.allclose(at_rest, np.minimum(raw_lams[:, 0, 0], threshold), rtol=0.01), "not at rest"
assert 9 > lasting[0] > lasting[1] > lasting[2] > 0, "directions do not go one by one"

# %% tags=["hide-input"]
claim("04-raw", "On raw pixels the strongest direction has a singular value of {} at λ = 0.9 ‖E‖₂, "
      "and of less than a millionth at λ = 1.1 ‖E‖₂",
      measured=s_raw[shares == 0.9, 0], above=0.001)
beyond = shares == 1.1
assert s_raw[beyond].max() < 1e-6, "a direction survives above the threshold"

# %% [markdown]
# ## 4.9 What decay on an adapter pulls towards
#
# Does decay pull a pretrained network away from what it learned? Not if only an adapter decays. In LoRA ([Hu et al., 2022](https://arxiv.org/abs/2106.09685)) the pretrained matrix $W_0$ is frozen. Only a
# change of low rank, the *adapter* $UV^\top$, is trained and decayed: $W = W_0+UV^\top$. By (4.7), for every $W$ that the adapter can reach,
#
# $$\min_{W_0+UV^\top = W}\;\tfrac\lambda2\big(\lVert U\rVert_F^2+\lVert V\rVert_F^2\big)\;=\;\lambda\,\lVert W-W_0\rVert_*. \tag{4.9}$$
#
# **Decay pulls towards the pretrained weights,** not to zero (Figure 4.12).

# %% tags=["hide-input"]
pretrained, wanted = np.diag([1.0, 0.0]), np.diag([1.0, 0.6])
pulls = np.linspace(0, 0.6, 4)[:, None, None]
by_adapter = pretrained + descend(0.5 * np.eye(2), 0.5 * np.eye(2),
                                  lambda change: pretrained + change - wanted, pulls, 1000)
whole = wanted / (1 + pulls)  # decay of the single matrix W

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.2, 3.2))
ax.plot([1, 0], [0.6, 0], lw=0.9, color=OF_L2)
ax.plot([1, 1], [0.6, 0], lw=0.9, color=OF_FACTORS)
for name, path, color in (("whole", whole, OF_L2), ("adapter", by_adapter, OF_FACTORS)):
    ax.plot(path[1:, 0, 0], path[1:, 1, 1], "o", ms=5, color=color, label=f"_{name}")
ax.plot([0, 1, 1], [0, 0, 0.6], "s", ms=7, mfc="none", color=figures.GREY)
for x, y_text, name in ((0.03, -0.1, "0"), (0.93, -0.1, "W₀, pretrained"),
                        (0.78, 0.67, "best for the new task")):
    ax.text(x, y_text, name, color=figures.GREY, fontsize=9)
ax.text(1.18, 0.19, "adapter\ndecays", color=OF_FACTORS, va="center")
ax.text(0.42, 0.12, "W decays", color=OF_L2)
for at in (1, 2, 3):
    value = f"{'λ = ' * (at == 1)}{pulls[at, 0, 0]:.1f}"
    ax.text(whole[at, 0, 0] - 0.05, whole[at, 1, 1] + 0.01, value, color=OF_L2, fontsize=9,
            ha="right")
    ax.text(1.08, by_adapter[at, 1, 1] - 0.02, value, color=OF_FACTORS, fontsize=9)
ax.set(xlabel="weight that was learned before", ylabel="new weight",
       xlim=(-0.1, 1.5), ylim=(-0.15, 0.8), xticks=[0, 0.5, 1], yticks=[0, 0.2, 0.4, 0.6],
       aspect="equal")
_ = ax.set_title("Decay pulls an adapter to W₀")

# %% tags=["hide-input"]
ends = figures.drawn(ax)
assert np.abs(ends["_adapter"].y - np.maximum(0.6 - pulls[1:, 0, 0], 0)).max() < 0.01, "not (4.8)"
assert np.abs(ends["_adapter"].x - 1).max() < 0.01, "the old weight moves under an adapter"
figures.show(fig, "A plane of two weights, with squares at 0, at the pretrained weights W₀ "
             "and at the best weights for a new task. From there two lines lead away: one straight "
             f"towards 0, with dots as far as ({ends['_whole'].x[-1]:.2f}, "
             f"{ends['_whole'].y[-1]:.2f}), and one down to W₀, with its last dot at height "
             f"{ends['_adapter'].y[-1]:.2f}.",
             number="4.12",
             caption="Inputs are whitened, W is diagonal, and dots are the minima at λ = 0.2, 0.4 "
             "and 0.6. If the whole matrix decays (blue), the weight that was learned before "
             "shrinks, too. If an adapter decays (green, trained factors), only the new weight "
             "does.")

# %% [markdown]
# For whitened inputs (4.8) holds for the change $UV^\top$. The $\hat s_i$ are then singular values of the change that the data want: the new task's $\hat W$ minus $W_0$. SGD's decay takes λ from each.
#
# <details>
# <summary>If its rank is too small, or a library scales it</summary>
#
# If the adapter has only $r$ columns, and more directions would survive, it learns the $r$ strongest. Each of these loses λ, and the others are not learned.
#
# Many libraries call $U$ $B$ and $V^\top$ $A$, and use $W = W_0+c\,UV^\top$, with $c = \alpha/r$ for rank $r$. Then $UV^\top = (W-W_0)/c$, so the right side of (4.9) has $\lambda/c$ for λ. The loss's slopes in $UV^\top$ are $c$ times those in $W$. The gradients of $U$ and $V$ contain $c$, so for AdamW the measured $a$ and $b$ of (4.10) do, too, and decay takes $\lambda\sqrt{ab}/c$ from $W-W_0$. To take a given amount, multiply the λ of (4.10) by $c$.
#
# </details>
#
# ## 4.10 How little AdamW takes
#
# AdamW divides each entry's gradient by $\sqrt{\hat v}$, the root mean square of its recent values ([chapter 3](03_one_lambda_many_meanings.ipynb)), but not the decay. *For example,* let $\sqrt{\hat v}$ be 0.02 everywhere. *Predict:* how much larger must AdamW's λ be, to take as much as SGD?
#
# AdamW makes the loss's slope {{1 / 0.02:.0f}} times as large. So a slope of {{0.02:g}} λ already balances the decay. For whitened inputs the slope is the distance to $\hat s$: the direction comes to rest {{0.02:g}} λ below $\hat s$, under SGD λ below it (Figure 4.13).

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 2.8))
sizes = np.linspace(0, 0.6, 301)
ax.plot([0, 0.66], [0.3, 0.3], color=figures.AMBER, label="_decay")
for root, color in ((1, OF_FACTORS), (0.02, figures.PINK)):
    rest = 0.6 - 0.3 * root  # λ = 0.3
    ax.plot(sizes, (0.6 - sizes) / root, color=color, label=f"_pull {root}")
    ax.plot(rest, 0.3, "o", ms=8, color=color, label=f"_at {root}")
ax.axvline(0.6, color=figures.GREY, ls=":", lw=0.9, label="_wanted")
ax.text(0.606, 0.02, "ŝ", color=figures.GREY)
ax.text(0.01, 0.315, "decay: λ", color=figures.AMBER, fontsize=9)
ax.text(0.12, 0.52, "SGD: ŝ − s", color=OF_FACTORS, fontsize=9)
ax.text(0.575, 0.62, "AdamW:\n(ŝ − s)/0.02", color=figures.PINK, fontsize=9, ha="right", va="top")
ax.text(0.285, 0.24, "rests λ below ŝ", color=OF_FACTORS, fontsize=9, ha="right")
ax.text(0.58, 0.24, "rests 0.02 λ below ŝ", color=figures.PINK, fontsize=9, ha="right")
ax.set(xlabel="singular value s", ylabel="pull", xlim=(0, 0.66), ylim=(0, 0.65))
_ = ax.set_xticks([0, 0.3, 0.6]), ax.set_yticks([0, 0.3, 0.6])

# %% tags=["hide-input"]
drawn = figures.drawn(ax)
below = [drawn["_wanted"].x[0] - drawn[f"_at {root}"].x[0] for root in (1, 0.02)]
ax.set_title(f"AdamW balances decay {below[0] / below[1]:.0f} times closer to ŝ")
figures.show(fig, "Pulls against a singular value s. Decay is a flat line at λ. The loss's pull "
             f"falls to zero at the dotted line, ŝ = {drawn['_wanted'].x[0]:.1f}: under SGD with "
             f"slope −1, so that it meets decay at {drawn['_at 1'].x[0]:.1f}, and under AdamW "
             f"steeply, so that it meets decay at {drawn['_at 0.02'].x[0]:.3f}.", number="4.13",
             caption="A singular value rests where the loss's pull up equals the decay (dots). "
             "SGD's pull is the distance to ŝ; AdamW divides it by √v̂, here 0.02. λ is 0.3.")

# %% [markdown]
# In general, let $\sqrt{\hat v}$ be $a$ everywhere in $U$ and $b$ everywhere in $V$, and let both be nearly constant, as where batch noise outweighs the mean gradient. Take one product $uv$ that is still $e = \hat s-uv$ short of what the data want. Its loss is $\frac12e^2$, with slopes $-ev$ in $u$ and $-eu$ in $v$. So steps and decay cancel where $ev/a = \lambda u$ and $eu/b = \lambda v$. Multiplied, these give $e^2/(ab) = \lambda^2$ for factors that are not zero. So the product ends $\lambda\sqrt{ab}$ short of $\hat s$. For matrices the same holds for each direction, under the conditions of (4.8):
#
# $$s_i = \max(\hat s_i-\lambda\sqrt{ab}, 0). \tag{4.10}$$
#
# SGD does not divide, so for it $a = b = 1$. AdamW's $\sqrt{ab}$ is the size of a typical entry of the gradient. It is known only after training.
#
# <details>
# <summary>Proof for matrices, and why √(ab) depends on λ</summary>
#
# 1. Let $E$ be the slopes of the loss in $UV^\top$. Training rests where Adam's step and the decay cancel: $EV/a = -\lambda U$ and $E^\top U/b = -\lambda V$.
# 2. So $EV+\lambda aU$ and $E^\top U+\lambda bV$ vanish: the loss plus
#    $\frac\lambda2(a\lVert U\rVert_F^2+b\lVert V\rVert_F^2)$ has no slope.
# 3. By (4.7) for $\sqrt a\,U$ and $\sqrt b\,V$, the least value of this penalty is $\lambda\sqrt{ab}\,\lVert UV^\top\rVert_*$. By the proofs
#    in §4.7, which hold for any inputs, a point of rest that is no saddle then minimises loss plus penalty. For whitened inputs it solves (4.8) with $\lambda\sqrt{ab}$ for λ. ∎
#
# For any inputs AdamW's decay costs about $\lambda\sqrt{ab}\,\lVert W-W_0\rVert_*$, so it pulls towards $W_0$.
#
# The gradients are $EV$ and $E^\top U$, as the optimizer gets them: clipping changes $a$ and $b$. Decay holds the weights away from the loss's minimum, so $E$ grows with λ: from λ = {{below: adam_lams[1]:.0f}} to {{below: adam_lams[3]:.0f}} $\sqrt{ab}$ grows by a factor of {{below: typical[3] / typical[1]:.1f}}. It falls again when little is left of the factors.
#
# If $\sqrt{\hat v}$ differs between entries, we let $a$ be its mean over those of $U$, weighted by the squared entries of $U$, and $b$ the same for $V$. Then the equations of step 2 need not hold entry by entry, only after multiplying by the factor and adding up:
# $\langle E, UV^\top\rangle = -\lambda a\lVert U\rVert_F^2 = -\lambda b\lVert V\rVert_F^2$. What single directions lose may differ.
#
# </details>
#
# After training, this function measures $a$ from $U$, and $b$ from $V$:

# %%
@torch.no_grad()
def typical_gradient(w, optimizer):
    """The mean of √v̂ over a factor's entries, weighted by the squared entries of the factor."""
    state, beta = optimizer.state[w], optimizer.param_groups[0]["betas"][1]
    v_hat = state["exp_avg_sq"] / (1 - beta ** state["step"])  # from the running mean of squares
    return ((v_hat.sqrt() * w**2).sum((-2, -1)) / (w**2).sum((-2, -1))).numpy()

# %% [markdown]
# Does AdamW on minibatches follow (4.10)? In a new task each of the digits 1 to 4 takes the name of the one before it, and 0 is called 4. We train an adapter of rank 8, with §4.7's $\hat W$ as $W_0$.

# %% tags=["hide-input"]
order = [1, 2, 3, 4, 0, 5, 6, 7, 8, 9]
change = np.linalg.svd(W_hat[order] - W_hat, compute_uv=False)  # what the new task asks for
whitened = torch.tensor(Z)
missing = torch.tensor(Y[:, order] - Z @ W_hat.T)  # what W₀ does not explain of the new scores

# %%
def adapter(weight_decay, seed, lr=0.003, steps=1000, size=100):
    """Train one adapter with AdamW."""
    V = np.random.default_rng(seed).uniform(-0.25, 0.25, (61, 8))
    U, V = torch.zeros(10, 8, dtype=torch.float64, requires_grad=True), torch.tensor(V)
    optimizer = torch.optim.AdamW([U, V.requires_grad_()], lr=lr, weight_decay=weight_decay)
    draw = np.random.default_rng([seed, 1])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)  # η falls linearly to 0
        batch = draw.integers(len(Z), size=size)
        errors = whitened[batch] @ (U @ V.T).T - missing[batch]
        optimizer.zero_grad()
        (errors.square().sum(1).mean() / 2).backward()
        optimizer.step()
    return U, V, optimizer


U, V, optimizer = adapter(10.0, seeds(5)[0])

# %% tags=["hide-input"]
a, b = typical_gradient(U, optimizer), typical_gradient(V, optimizer)
one_amount = 10.0 * np.sqrt(a * b)  # λ√(ab)
taken = change[:4] - torch.linalg.svdvals((U @ V.T).detach()).numpy()[:4]
few = 25  # examples in a batch
*of_small, by_small = adapter(0.01, seeds(5)[0], size=few)
root_25 = np.prod([typical_gradient(w, by_small) for w in of_small]) ** 0.5

# %% [markdown]
# At λ = 10 we measure $\sqrt{ab} = {{one_amount / 10:.3f}}$, so each direction should lose {{one_amount:.2f}}. Over five starts, they lose {{below: amounts[:, 3, :4].min():.2f}} to {{below: amounts[:, 3, :4].max():.2f}} (Figure 4.14).

# %% tags=["hide-input"]
class Adapters:
    """The loop above for five starts and many λ at once."""

    def __init__(self, make, lr, lams):
        draws = [rng.uniform(-0.25, 0.25, (61, 8)) for rng in map(np.random.default_rng, seeds(5))]
        self.V = torch.tensor(np.array([[draw] * len(lams) for draw in draws]))
        self.U = torch.zeros(5, len(lams), 10, 8, dtype=self.V.dtype)
        self.lr, self.decay = lr, torch.tensor(lams)[:, None, None]
        self.optimizer = make([self.U, self.V], lr=lr)

    def step(self, slopes, progress):
        """One step from the slopes of the loss in UVᵀ; η falls linearly to 0."""
        eta = self.optimizer.param_groups[0]["lr"] = self.lr * (1 - progress)
        self.U.grad, self.V.grad = slopes @ self.V, slopes.mT @ self.U
        for w in (self.U, self.V):  # decoupled decay: torch's AdamW has one λ for a tensor
            w *= 1 - eta * self.decay
        self.optimizer.step()

# %% tags=["hide-input"]
def adapt(*runs, steps=1000):
    """Train all on the same batches of 100, other ones for each start; singular values of each."""
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds(5)]
    counts = [len(run.decay) for run in runs]
    for step in range(steps):
        W = torch.cat([run.U @ run.V.mT for run in runs], 1)
        rows = np.array([rng.integers(len(Z), size=100) for rng in rngs])
        x = whitened[rows]  # (5 starts, 100 images, 61 pixels)
        covariance, asked_for = x.mT @ x / 100, missing[rows].mT @ x / 100
        slopes = (W.flatten(1, 2) @ covariance).unflatten(1, W.shape[1:3]) - asked_for[:, None]
        for run, part in zip(runs, slopes.split(counts, 1), strict=True):
            run.step(part, step / steps)
    return [torch.linalg.svdvals(run.U @ run.V.mT).numpy() for run in runs]

# %% tags=["hide-input"]
class OneRoot(torch.optim.Adam):
    """Adam with one v̂ for all entries of a factor: the mean over them."""

    @torch.no_grad()
    def step(self):
        for w in self.param_groups[0]["params"]:
            mean_square = w.grad.square().mean((-2, -1), keepdim=True)
            state = self.state[w] or {"step": 0, "exp_avg": 0 * w, "exp_avg_sq": 0 * mean_square}
            (beta1, beta2), state["step"] = self.defaults["betas"], state["step"] + 1
            state["exp_avg"].lerp_(w.grad, 1 - beta1)
            state["exp_avg_sq"].lerp_(mean_square, 1 - beta2)
            m, v_hat = (state[name] / (1 - beta ** state["step"]) for name, beta in
                        (("exp_avg", beta1), ("exp_avg_sq", beta2)))
            w -= self.param_groups[0]["lr"] * m / (v_hat.sqrt() + self.defaults["eps"])
            self.state[w] = state

# %% tags=["hide-input"]
sgd_lams, adam_lams = [0.1, 0.2, 0.3, 0.4, 0.6], [0.01, 1.0, 3.0, 10.0, 20.0, 30.0]
sgd, adam = Adapters(torch.optim.SGD, 0.2, sgd_lams), Adapters(torch.optim.Adam, 0.003, adam_lams)
one_root = Adapters(OneRoot, 0.003, adam_lams)
strong_lams = [60.0, 100.0]
strong = Adapters(torch.optim.Adam, 0.003, strong_lams)
by_sgd, by_adamw, by_one_root, by_strong = adapt(sgd, adam, one_root, strong)

# %% tags=["hide-input"]
a, b = (typical_gradient(w, adam.optimizer) for w in (adam.U, adam.V))
reach = np.array(adam_lams) * np.sqrt(a * b)  # λ√(ab) for each start and λ
typical = np.sqrt(a * b).mean(0)  # for each λ
a, b = (typical_gradient(w, one_root.optimizer) for w in (one_root.U, one_root.V))
reach_one = np.array(adam_lams) * np.sqrt(a * b)
a, b = (typical_gradient(w, strong.optimizer) for w in (strong.U, strong.V))
strong_reach = np.array(strong_lams) * np.sqrt(a * b)
assert strong_reach.max() < change[0], "under AdamW λ√(ab) passes the largest ŝ"
assert by_strong[..., 0].min() > 1e-4, "AdamW removes the adapter"
root_100 = reach[0, 0] / adam_lams[0]
assert 1.5 < root_25 / root_100 < 2.5, "√(ab) does not grow as batches shrink"
by_rule = np.array(adam_lams) * typical
amounts = change - by_adamw  # what AdamW takes from each ŝ, of which six are zero
amount = amounts[..., :4].mean((0, 2))

# %% tags=["hide-input"]
weighted = (amounts * by_adamw).sum(2) / by_adamw.sum(2)  # the mean of (4.10)
off = weighted.mean(0) / by_rule - 1
each = amounts[..., :4].mean(0)
residue = by_adamw[..., 4].mean(0)  # the task asks for rank four

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(6.2, 3.3), width_ratios=[1.15, 1])
levels, ax = np.linspace(0, 0.68, 69), axes[1]
ax.plot(levels, np.maximum(change[:4] - levels[:, None], 0), lw=0.8, color=figures.GREY,
        label="_law", zorder=1)


def draw_runs(ax, xs, values, color, line, name):
    """A direction's mean over five runs at each mean x, with the runs' range as a bar."""
    for k, runs in enumerate(values[..., :4].transpose(2, 1, 0)):
        ends = np.abs([runs.min(1), runs.max(1)] - runs.mean(1))
        ax.errorbar(xs, runs.mean(1), ends, fmt="osD^"[k] + line, ms=5, lw=0.6, elinewidth=1,
                    color=color, label=f"_{name} {k}")


draw_runs(axes[0], sgd_lams, by_sgd, OF_FACTORS, "-", "sgd")
draw_runs(axes[0], adam_lams, by_adamw, figures.PINK, "", "adamw")
axes[0].plot(adam_lams, by_adamw.mean(0)[:, :4], lw=0.6, color=figures.PINK, label="_joined")
draw_runs(ax, reach.mean(0), by_adamw, figures.PINK, "", "adamw")

# %% tags=["hide-input"]
for k in (3, 4, 5):  # a thin line from each first mark to its number
    words = f"{'λ = ' * (k == 3)}{adam_lams[k]:.0f}"
    ax.annotate(words, (by_rule[k], by_adamw[:, k, 0].mean()),
                (by_rule[k] + 0.04, change[0] - by_rule[k] + 0.05), color=figures.PINK,
                fontsize=9, arrowprops={"arrowstyle": "-", "lw": 0.6, "color": figures.PINK})
axes[0].axvline(0.01, color=figures.GREY, lw=0.8, ls="--")
axes[0].text(0.012, 0.61, "← PyTorch's default", color=figures.GREY, fontsize=9)
axes[0].text(0.08, 0.15, "SGD", color=OF_FACTORS, ha="right")
axes[0].text(1.1, 0.555, "AdamW", color=figures.PINK)
_ = ax.text(0, 0.04, "lines:\n(4.10)", color=figures.GREY, fontsize=9)

# %% tags=["hide-input"]
level = by_adamw[:, 3, 1].mean()  # the second direction at λ = 10
starts = change[1] - level  # by (4.8), the λ of SGD that leaves as much
axes[0].set(xscale="log", xlabel="weight decay λ", ylim=(-0.01, 0.65))
axes[0].set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"]), axes[0].minorticks_off()
ax.set(xlim=(-0.03, 0.68), xlabel="λ√(ab), measured in each run", xticks=[0, 0.2, 0.4, 0.6])
axes[0].set_ylabel("singular values of the adapter"), ax.set_ylabel("singular values")
_ = ax.set_title("Each loses about λ√(ab)")

# %% tags=["hide-input"]
times = adam_lams[3] / starts
assert abs(times * typical[3] - 1) < 0.2, "AdamW's λ is not 1/√(ab) times that of SGD"
axes[0].annotate("", (adam_lams[3], level), (starts, level), arrowprops={"arrowstyle": "->"})
axes[0].text(1.5, level - 0.015, f"≈ 1/√(ab)\n= {1 / typical[3]:.0f}", fontsize=9, ha="center",
             va="top")
_ = axes[0].set_title("AdamW needs more λ")

# %% tags=["hide-input"]
left, right = (figures.drawn(ax) for ax in axes)
at_one = np.array([left[f"_adamw {k}"].at(1) for k in range(4)])
sgd_end = max(left[f"_sgd {k}"].at(0.6) for k in range(4))
figures.show(fig, "Two panels with the four singular values of an adapter; bars are the ranges "
             "of five runs. Left, against λ on a logarithmic axis. Under SGD they fall to zero "
             f"between λ = 0.2 and 0.6, where the largest is {sgd_end:.2f}. Under AdamW they "
             f"are still {at_one.min():.2f} to {at_one.max():.2f} at λ = 1, and fall to nearly "
             "zero between 10 and 30. Right, against λ√(ab): AdamW's marks lie near the four "
             "lines of (4.10), which fall with slope −1 to zero, but at 20 and 30 the first is "
             "below its line.",
             number="4.14",
             caption="Each shape of mark is one of four directions; marks are means of five runs, "
             "bars their ranges. The arrow joins the λ of SGD and the λ of AdamW that leave the "
             "second direction equally strong. Right, marks stand at λ√(ab) of their runs. "
             "At λ = 20 and 30 the strongest direction loses more than (4.10) says, as √v̂ "
             "differs between entries. At λ = 0.01 decay has not come to rest.")

# %% tags=["hide-input"]
on_lines = np.maximum(change[:4] - reach_one[..., None], 0)
off_lines = np.abs((by_one_root[..., :4] - on_lines).mean(0)).max()
assert off_lines < 0.01, "with one √v̂ for each factor singular values are off (4.10)"
assert (each[4:, 0] > by_rule[4:]).all(), "at large λ the strongest loses no more"

# %% [markdown]
# At λ = {{adam_lams[1]:.0f}} SGD takes everything. AdamW takes only {{amount[1]:.3f}} from each singular value; at PyTorch's default of {{adam_lams[0]}} it would take {{by_rule[0]:.4f}}, at rest.
#
# As the factors shrink, so do their gradients, and with them $\sqrt{ab}$. Even at λ = {{strong_lams[0]:.0f}} and {{strong_lams[1]:.0f}}, $\lambda\sqrt{ab}$ is only {{strong_reach.min():.2f}} to {{strong_reach.max():.2f}}, below $\hat s_1 = {{change[0]:.2f}}$. **AdamW fades the adapter, and never quite removes it.**
#
# <details>
# <summary>Details of the test, and what AdamW takes at λ = 1 and at larger λ</summary>
#
# AdamW takes {{amount[1]:.3f}} at λ = 1 if measured from $\hat s$. But batch noise, it seems, leaves the singular values of its runs at λ = {{adam_lams[0]}} slightly above $\hat s$. Measured from these runs, it takes {{amount[1] - amount[0]:.4f}} on average, and $\lambda\sqrt{ab}$ is {{by_rule[1]:.4f}}.
#
# Why do λ = {{adam_lams[4]:.0f}} and {{adam_lams[5]:.0f}} miss the lines? If we give each factor one $\hat v$, the mean over its entries, all points lie within {{off_lines:.3f}} of the lines.
#
# Batches have 100 images, and $a$ and $b$ come from the optimizer's state (`typical_gradient`). Only five rows of $\hat W$ change, and their changes add up to zero, so the task asks for four directions. A fifth singular value of the adapter, which should be zero, ends on average at {{residue[1:4].min():.3f}} to {{residue[1:4].max():.3f}} under AdamW at λ = {{adam_lams[1]:.0f}} to {{adam_lams[3]:.0f}}, and at zero under SGD.
#
# What makes up $\sqrt{ab}$? At $\lambda = {{adam_lams[0]}}$ we find {{root_100:.3f}} with batches of {{4 * few}}, as in all other runs, and {{root_25:.3f}} with {{few}}: the same λ then takes about twice as much. Strong decay holds the weights away from the loss's minimum, and then the mean gradient counts, too.
#
# </details>
#
# **To take as much as SGD, AdamW needs about $1/\sqrt{ab}$ times the λ of SGD:** here {{1 / typical[0]:.0f}} times at λ = {{adam_lams[0]}}, and {{1 / typical[3]:.0f}} times at λ = {{adam_lams[3]:.0f}}.
#
# **When decay is weak, $\sqrt{ab}$ is mostly batch noise,** so with smaller batches the same λ takes more.

# %% tags=["hide-input"]
claim("04-adamw-small", "At λ = 1 AdamW takes only {:.4f} from each singular value of the adapter, "
      "on average; SGD would take them whole", measured=amount[1], below=0.05)
misses = np.abs(each[2:4] / by_rule[2:4, None] - 1)
assert misses.shape == (2, 4), "not each direction at each λ"
claim("04-adamw-amount", "At λ = 3 and 10 the amount that AdamW takes from each of the four "
      "directions differs from λ√(ab) by {:.1%} or less, averaged over five runs",
      measured=misses, below=0.2)

# %% tags=["hide-input"]
by_law = np.maximum(change - np.array(sgd_lams)[:, None], 0)
assert np.abs(by_sgd.mean(0) - by_law).max() < 0.03, "under SGD singular values are off (4.8)"
assert np.abs(off[2:]).max() < 0.1, "the mean weighted by the singular values is far from λ√(ab)"
assert abs(off[1]) < 0.2, "at λ = 1 the mean of five runs is far from λ√(ab), noise or not"
assert by_sgd[:, -1].max() < 0.001, "SGD at λ = 0.6 does not lead back to W₀"
assert residue[1:4].min() > 1e-4, "AdamW makes clean zeros"

# %% tags=["hide-input"]
claim("04-rank", "the change that the new task asks for has rank four",
      measured=change[4:], equals=0, within=1e-12)
claim("04-residue", "the fifth singular value is zero under SGD from λ = 0.1 on",
      measured=by_sgd[..., 4], equals=0, within=1e-6)

# %% tags=["hide-input"]
law, level = right["_law"], right["_law"].x[0]
claim("04-adam-drawn", "the lines are ŝ less the level, and runs stand at λ and at λ√(ab)",
      measured=[*(law.y + level - change[:4, None])[law.y > 0],
                *(left["_sgd 0"].x - sgd_lams), *(right["_adamw 3"].x - by_rule),
                *(left["_sgd 1"].y - by_sgd[..., 1].mean(0)),
                *(change[1] - each[:, 1] - right["_adamw 1"].y),
                *(left["_adamw 2"].high - by_adamw[..., 2].max(0))], equals=0, within=1e-9)

# %% tags=["hide-input"]
one_adapter = torch.linalg.svdvals((U @ V.T).detach()).numpy()
claim("04-one-adapter", "the loop of torch.optim.AdamW ends where its copy in the stack does",
      measured=[*(one_adapter - by_adamw[0, 3]), one_amount - reach[0, 3]], equals=0, within=1e-6)

# %% [markdown]
# ## 4.11 When decay takes it
#
# (4.8) and (4.10) hold at rest, but fine-tuning is often short. When is the amount taken? That depends on how the factors begin, and on their gradients.
#
# **Idle.** A factor is *idle* if its gradient is exactly 0 in every step. For example, an input that is 0 in all examples gives its row of $V$ no gradient. An idle factor only decays: after $t$ steps of AdamW, or of SGD without momentum, $(1-\eta\lambda)^t$ is left. A product of two idle factors shrinks to $1/e$ in about $1/(2\eta\lambda)$ steps. If only one factor is idle, it takes twice as many.
# At $\eta = {{below: eta}}$ and $\lambda = {{below: weak}}$, $1/(2\eta\lambda)$ is {{below: 1 / (2 * eta * weak):,.0f}} steps: a fine-tuning of {{below: taken_steps:,}} removes only {{below: 100 * (1 - left_over(weak, taken_steps)):.0f}} % (one idle: {{below: 100 * (1 - left_over(weak, taken_steps, 1)):.0f}} %).

# %% tags=["hide-input"]
eta, weak, taken_steps = 0.0002, 0.01, 10_000


def left_over(weight_decay, steps, idle=2):
    """What is left of a product of two factors if `idle` of them are idle."""
    return (1 - eta * weight_decay) ** (idle * steps)


U_two, V_two = (torch.tensor(rows, dtype=torch.float64, requires_grad=True)
                for rows in ([[1.0, 0], [0, 1]], [[1.0, 0], [1, 1]]))
seen = torch.tensor([1.0, 0], dtype=torch.float64)  # the second input never occurs
train([U_two, V_two], lambda: (seen @ (U_two @ V_two.T)[0] - 2).square() / 2,
      lr=0.0002, steps=500, weight_decay=1.0)  # no loss has the second output

# %% tags=["hide-input"]
claim("04-fade", "at rest uv stays; where an input never occurs, one factor decays; where no "
      "output has a loss, either, both do", equals=0, within=1e-9,
      measured=(U_two @ V_two.T).detach().numpy()
      - [[1, left_over(1.0, 500, idle=1)], [0, left_over(1.0, 500)]])
assert np.allclose([left_over(at, 1 / (k * eta * at), k) for at in (0.01, 0.1, 1) for k in (1, 2)],
                   np.exp(-1), 1e-3)
unused = torch.ones(3, requires_grad=True)
adamw = torch.optim.AdamW([unused], lr=0.01, weight_decay=0.1)
for _ in range(100):
    unused.grad = torch.zeros(3)
    adamw.step()
assert np.allclose(unused.detach(), 0.999**100), "AdamW moves an idle factor"

# %% [markdown]
# **In use.** A direction is *in use* if the data ask for it. A step of SGD changes $u$ by $\eta\,(ev-\lambda u)$ and $v$ by $\eta\,(eu-\lambda v)$, where $e = \hat s-uv$, as in §4.10. So it changes $uv$ by about $\eta\,[e\,(u^2+v^2)-2\lambda uv]$. Learning soon brings this to zero: then $e = 2\lambda uv/(u^2+v^2)$, which is λ if $|u| = |v|$. **So it loses λ about as soon as it is learned, if its factors $u$ and $v$ are about equally large.**
#
# **Unequal start.** A LoRA adapter begins with $U = 0$ and a $V$ that is not small. If a small change is enough, $u$ stays much smaller than $v$. Then $2uv/(u^2+v^2)$ is small, and decay takes little at first. Each step multiplies $D = v^2-u^2$ by about $1-2\eta\lambda$. **So half of the amount is taken only after about $1/(2\eta\lambda)$ steps, or later.**
#
# As $u^2+v^2 = \sqrt{D^2+4(uv)^2}$, and $uv$ is nearly $\hat s$, the share of λ taken is $1/\sqrt{1+(D/2\hat s)^2}$. In Figure 4.15 decay has taken {{below: 100 * late[0]:.0f}} % of λ when the change is learned, {{below: 100 * late[1]:.0f}} % after $1/(2\eta\lambda)$ or {{below: slow:,}} steps, and {{below: 100 * late[2]:.0f}} % after {{below: grown[1.0].size:,}}.

# %% tags=["hide-input"]
def growing(steps, u, v, lr=0.1, weight_decay=0.001, a=1.0, b=1.0):
    """A product of two factors that the data want to be 0.1, after each step."""
    path = []  # a and b divide the slopes in u and in v
    for _ in range(steps):
        e = 0.1 - u * v
        u, v = u + lr * (e * v / a - weight_decay * u), v + lr * (e * u / b - weight_decay * v)
        path.append(u * v)
    return np.array(path)


slow = round(1 / (2 * 0.1 * 0.001))  # 1/(2ηλ) steps
grown = {at: growing(3 * slow, 0.0, at) for at in (0.1, 1.0)}
late = (0.1 - grown[1.0][[slow // 20, slow - 1, 3 * slow - 1]]) / 0.001
claim("04-in-use", f"After {slow // 4:,} steps a product in use has lost {{:.3f}} of its amount λ "
      "or more, from two starts with small factors", above=0.95,
      measured=[(0.1 - growing(slow // 4, u, 0.1)[-1]) / 0.001 for u in (0.0, 0.1)])
claim("04-late", "From u = 0 and v = 1 it has lost only {:.2f} of λ by then",
      measured=(0.1 - grown[1.0][slow // 4]) / 0.001, below=0.5)

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 2.5))
for at, color, words, place in ((0.1, figures.GREY, "v begins at 0.1", (900, 0.91)),
                                (1.0, OF_FACTORS, "v begins at 1", (1500, 0.18))):
    ax.plot(1 + np.arange(3 * slow), (0.1 - grown[at]) / 0.001, color=color, label=f"_{at:g}")
    ax.text(*place, words, color=color, fontsize=9)
ax.axvline(slow, color=figures.GREY, lw=0.8, ls="--")
faded = (1 - 2 * 0.1 * 0.001) ** np.arange(1, 1 + 3 * slow)  # D = v² − u², from 1
ax.plot(1 + np.arange(3 * slow), 1 / np.sqrt(1 + (faded / 0.2) ** 2), ":", lw=2.5,
        color=figures.PINK, label="_law")
ax.text(7600, 0.55, "1/√(1 + (D/2ŝ)²)", color=figures.PINK, fontsize=9)
ax.text(slow + 150, 0.03, "1/(2ηλ) steps", color=figures.GREY, fontsize=9)
ax.set(xlabel="step", ylabel="share of λ taken", xlim=(-100, 3 * slow), ylim=(0, 1.08))
_ = ax.set_xticks([0, slow, 2 * slow, 3 * slow]), ax.set_yticks([0, 0.5, 1])
_ = ax.set_title("From a large v, decay takes λ late")

# %% tags=["hide-input"]
drawn = figures.drawn(ax)
figures.show(fig, "The share of λ that decay has taken from a product uv, against steps. If v "
             f"begins at 0.1, it is {drawn['_0.1'].at(1500):.2f} once the product is learned, and "
             f"stays. If v begins at 1, it falls to {drawn['_1'].y.min():.2f} at once, and grows "
             f"slowly, to {drawn['_1'].at(5000):.2f} at the dashed line and "
             f"{drawn['_1'].y[-1]:.2f} in the end. The dotted formula lies on it.", number="4.15",
             caption="The share is (ŝ − uv)/λ, for gradient descent on one product from u = 0, "
             "with ŝ = 0.1, η = 0.1 and λ = 0.001, 1 % of ŝ. While a product is learned its line "
             "comes from far above. At rest all of λ is taken.")

# %% tags=["hide-input"]
claim("04-share", "once the change is learned, the share taken is 1/√(1 + (D/2ŝ)²) to {:.3f} or "
      "better", measured=np.abs(drawn["_1"].y - drawn["_law"].y)[slow // 20:], below=0.02)

# %% tags=["hide-input"]
equal, balanced = ((0.1 - growing(slow // 10, u, 0.1 / u, a=0.2, b=3.2)[-1]) / 0.0008
                   for u in (0.1**0.5, 0.4**0.5))  # |u| = |v|, or √a|u| = √b|v|; λ√(ab) = 0.0008
assert equal < 0.7 < 0.95 < balanced < 1.05, "under AdamW balance is not √a|u| = √b|v|"

# %% tags=["hide-input"]
smooth_labels = 0.5 * one_hot + 0.05  # their minimum is finite


def entropy_slopes(W):
    """The slopes of softmax cross-entropy in W, on whitened digits."""
    scores = Z @ W.mT
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    return (odds / odds.sum(-1, keepdims=True) - smooth_labels).mT @ Z / len(Z)


by_labels = descend(U_start[0], V_start[0], entropy_slopes, np.array([[[0]], [[0.005]]]), 1000)
s_labels = np.linalg.svd(by_labels - by_labels.mean(1, keepdims=True), compute_uv=False)
by_entropy = (s_labels[0] - s_labels[1])[:9] / 0.005
claim("04-entropy", "Under cross-entropy, whose curvature is ½ or less, decay takes {:.1f} λ or "
      "more from each singular value", measured=by_entropy, above=2)

# %% [markdown]
# <details>
# <summary>The same under AdamW, and where batch noise hides the decay</summary>
#
# Under AdamW balance means $\sqrt a\,|u| = \sqrt b\,|v|$, and each step multiplies $bv^2-au^2$ by about $1-2\eta\lambda$.
#
# For if slopes are divided by $a$ in $u$ and by $b$ in $v$, a step changes $au^2$ by about $2\eta\,(euv-\lambda au^2)$, and $bv^2$ by about $2\eta\,(euv-\lambda bv^2)$. What learning adds is the same in both, so the difference only decays.
#
# If η changes during training, use its mean. Under AdamW a gradient that is 0 only on average does not make a factor idle: batch noise keeps its entries near $\sqrt{\eta/(2\lambda)}$ ([chapter 0](00_start_here.ipynb)). At the η and λ above that is {{(eta / (2 * weak)) ** 0.5:.1f}}.
#
# </details>
#
# ## 4.12 In practice
#
# |penalty|amount taken|exact zeros?|
# |---|---|---|
# |ridge|a share|no|
# |$\lambda\sum\lvert w\rvert$ in the loss|about λ|no|
# |Lasso; proximal steps, full batches|λ|yes|
# |decay of two factors, SGD|λ from each singular value|approached, never reached|
# |decay of an adapter, AdamW|about $\lambda\sqrt{ab}$|no|
#
# **Limits.** The amounts hold for half the squared error, at rest and on whitened inputs. There the loss has curvature 1. If it has curvature $h$, put $\lambda/h$ for λ: uncorrelated inputs of variance $h$ have it. Cross-entropy has a smaller one, so decay takes more: on these digits, with smoothed labels, {{by_entropy.min():.1f}} to {{by_entropy.max():.1f}} times λ. If inputs are correlated, directions lose different amounts.
#
# - **To keep few inputs, use the Lasso** (exercise 5). Among near-copies, use the elastic net. If all inputs may matter, use ridge (exercise 6).
# - **To choose λ for AdamW on an adapter** $W = W_0+c\,UV^\top$ (in LoRA $c = \alpha/r$, in this chapter 1):
#   1. Train without decay, and take the singular values of the change $c\,UV^\top$. Decide what decay is to take from them, say a tenth of the largest.
#   2. Measure $\sqrt{ab}$ by `typical_gradient`. Decay takes $\lambda\sqrt{ab}/(ch)$, so the first guess is $ch/\sqrt{ab}$ times the amount. If $h$ is unknown, take 1.
#   3. Train with half of this λ, as decay may double $\sqrt{ab}$. Compare with step 1. Multiply λ by wanted ÷ taken, and repeat. With cross-entropy, rely on this step.
# - **Keep ηλ well below 1.** If it comes near 1, lower η and train longer: the amount at rest does not depend on η.
# - **If $1/(2\eta\lambda)$ is much larger than the number of steps, decay does little** to factors without a gradient, and to a change that is small beside $V$.
# - On minibatches, *prune* for exact zeros: set the smallest weights to zero, and check the loss.
#
# **The recipe at work,** on the adapter of §4.10:

# %%
def strengths(run):
    U, V, _ = run
    return torch.linalg.svdvals((U @ V.T).detach()).numpy()[:4]


trial = adapter(0.0, seeds(5)[0])  # step 1
goal = strengths(trial)[0] / 10
root = float(np.sqrt(np.prod([typical_gradient(w, trial[2]) for w in trial[:2]])))  # step 2
guess, tried = goal / root, []
next_lam = guess / 2  # step 3
for _ in range(4):
    took = (strengths(trial) - strengths(adapter(next_lam, seeds(5)[0]))).mean()
    tried.append((next_lam, took))
    next_lam *= goal / took

# %% [markdown]
# A tenth of the largest is {{goal:.3f}}, and $\sqrt{ab} = {{root:.3f}}$, so the guess is λ = {{guess:.1f}}. Half of it takes only {{tried[0][1]:.3f}}, on average. Multiplied by wanted ÷ taken, λ becomes {{tried[1][0]:.1f}}, which takes {{tried[1][1]:.3f}}: too much. The next two, {{tried[2][0]:.1f}} and {{tried[3][0]:.1f}}, take {{tried[2][1]:.3f}} and {{tried[3][1]:.3f}}.

# %% tags=["hide-input"]
claim("04-recipe", "The fourth λ of the recipe takes {:.2f} times the amount that was wanted",
      measured=tried[3][1] / goal, between=(0.8, 1.25))

# %% [markdown]
# **So the opening is half true.** L1's minimum has exact zeros, but gradient steps miss them. L2 makes none, but on two factors it acts as L1: whole directions fade.

# %% tags=["hide-input"]
z = np.array([3, -0.5, 1])
length = np.linalg.norm(z)
w_one = max(1 - 1 / length, 0) * z
claim("04-group", "(4.11) at z = (3, −0.5, 1), λ = 1: the slope w − z + λw/‖w‖ is zero",
      measured=w_one - z + w_one / np.linalg.norm(w_one), equals=0, within=1e-12)
tiny = torch.tensor([3e-6, -4e-6], dtype=torch.float64, requires_grad=True)
origin = torch.zeros(2, dtype=torch.float64, requires_grad=True)
(at_tiny,), (at_origin,) = (torch.autograd.grad(w.norm(), w) for w in (tiny, origin))

# %% tags=["hide-input"]
claim("S2-06", "the gradient of `.norm()` has length 1 near zero, and length 0 at zero",
      measured=[at_tiny.norm() - 1, at_origin.norm()], equals=0, within=1e-12)

# %% tags=["hide-input"]
mlp = torch.nn.Sequential(torch.nn.Linear(61, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10))
differ = mlp.double()(whitened).std(0)
torch.nn.init.zeros_(mlp[2].weight)
claim("04-dead", "with one dead layer in a row the outputs of all digits are the same",
      measured=mlp(whitened).std(0), equals=0, within=1e-12)
assert differ.min() > 0.01, "before, every output differs from digit to digit"

# %% [markdown]
# ## 4.13 Exercises
#
# **1.** (Proof: the *group Lasso*, [Yuan and Lin, 2006](https://doi.org/10.1111/j.1467-9868.2005.00532.x).) Minimise $\frac12\lVert w-z\rVert^2+\lambda\lVert w\rVert$ over vectors $w$, and compute it for $z = (3, -0.5, 1)$ and $\lambda = 1$.
#
# <details>
# <summary>Solution</summary>
#
# For a given length $r$ of $w$ the distance to $z$ is smallest if $w$ points along $z$. That leaves
# $\frac12(r-\lVert z\rVert)^2+\lambda r$ with $r\ge0$, whose minimum is $\operatorname{soft}(\lVert z\rVert, \lambda)$. So
#
# $$w = \max\Big(1-\frac\lambda{\lVert z\rVert}, 0\Big)\,z, \tag{4.11}$$
#
# and all entries vanish together when $\lVert z\rVert\le\lambda$. Here
# $\lVert z\rVert = {{length:.2f}}$ and $w = {{1 - 1 / length:.3f}}\,z = ({{w_one[0]:.2f}}, {{w_one[1]:.2f}}, {{w_one[2]:.2f}})$.
#
# </details>
#
# **2.** (Proof.) Chapter 1 derives ridge from a Gaussian prior with standard deviation τ and noise of variance
# $\sigma^2$. Which λ of the Lasso belongs to a *Laplace* prior with the same τ, a density proportional to $e^{-\sqrt2|w_i|/\tau}$? Does it give exact zeros a positive probability?
#
# <details>
# <summary>Solution</summary>
#
# Minus the logarithm of the posterior is $\frac1{2\sigma^2}\lVert y-Xw\rVert^2$ plus $\sqrt2\sum_i|w_i|/\tau$ (Laplace) or plus $\sum_i w_i^2/(2\tau^2)$ (Gaussian). Multiply by
# $\sigma^2/n$. The most probable weights are those of
#
# $$\text{ridge with } \lambda = \frac{\sigma^2}{n\tau^2}, \qquad
#   \text{the Lasso with } \lambda = \frac{\sqrt2\,\sigma^2}{n\tau}. \tag{4.12}$$
#
# The Lasso's λ is $\sqrt2\,\tau$ times ridge's: it falls like $1/\tau$, and ridge's like $1/\tau^2$. The two even have different units, as
# one multiplies $|w_i|$ and the other $w_i^2$, so equal numbers do not mean penalties of equal strength.
#
# The Laplace density has a sharp peak at zero and heavier tails: more weights near zero, and more very large ones.
# But $w_i = 0$ has the probability zero, before and after the data. Only the most probable point has zeros.
#
# </details>
#
# **3.** (Read a log.) An adapter of rank 5 was trained to rest by SGD with `weight_decay=0.1` on whitened inputs. $UV^\top$ has the singular values 0.812, 0.344, 0.051, 0.000 and 0.000. Which singular values did the data want in $W-W_0$? Which λ would leave none? Answer both again for a library that uses $W = W_0+\frac12UV^\top$.
#
# <details>
# <summary>Solution</summary>
#
# By (4.8) add λ to each that is not zero: {{0.812 + 0.1:.3f}}, {{0.344 + 0.1:.3f}} and {{0.051 + 0.1:.3f}}. Of every other direction the log says only that the data wanted at most 0.1, perhaps nothing. From λ = {{0.812 + 0.1:.3f}} on, none is left.
#
# With $c = \frac12$ the change is half of $UV^\top$, and decay takes $\lambda/c = {{0.1 / 0.5:.1f}}$ of it: {{0.812 / 2 + 0.2:.3f}}, {{0.344 / 2 + 0.2:.3f}} and {{0.051 / 2 + 0.2:.3f}}, and at most 0.2 elsewhere. None is left once $\lambda/c$ reaches {{0.812 / 2 + 0.2:.3f}}, that is, from λ = {{0.5 * (0.812 / 2 + 0.2):.3f}} on.
#
# </details>
#
# **4.** (Estimate.) After 10,000 steps of AdamW on whitened inputs, with constant $\eta = 0.0002$ and $\lambda = 0.1$, an adapter has $a = 0.002$ and $b = 0.008$. What would decay take at
# rest from a direction in use? Have the steps taken it? What is left of an idle factor? Which λ takes 0.02?
#
# <details>
# <summary>Solution</summary>
#
# $\sqrt{ab} = 0.004$, so by (4.10) $\lambda = 0.1$ takes 0.0004 from each direction in use, at rest. That is next to nothing if singular values are near 0.1, say.
#
# As $1/(2\eta\lambda)$ is 25,000 steps, 10,000 of them multiply $bv^2-au^2$ by $e^{-0.4} = 0.67$. Where $\sqrt a\,|u|$ and $\sqrt b\,|v|$ were nearly equal from the start, this is gone all the same. Where $U$ began at 0 and $V$ was large, only part of them is.
#
# An idle factor keeps $e^{-0.2} = 0.82$ of its strength, and a product of two idle factors 0.67.
#
# To take 0.02, λ must be 5, if $a$ and $b$ stay the same; then $1/(2\eta\lambda)$ is 500 steps, and 10,000 are enough in every case.
# But decay raises $\sqrt{ab}$, in §4.10 up to {{typical.max() / typical[0]:.1f}} times, so 5 may take too much: start with half, and measure again.
#
# </details>
#
# **5.** (Code.) Complete this optimizer, which takes proximal steps (4.4). Train the weights of §4.1 with it, from zero, on full batches at λ = 20. How many are exactly zero? From which λ on are all?

# %%
class ProxSGD(torch.optim.Optimizer):
    def __init__(self, params, lr, l1):
        super().__init__(params, {"lr": lr, "l1": l1})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    ...  # the step, from w.grad, group["lr"] and group["l1"]

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# ```python
# z = w - group["lr"] * w.grad
# w.copy_(z.sign() * (z.abs() - group["lr"] * group["l1"]).clamp(min=0))
# ```
#
# With `lr=0.02` and `l1=20`, 1,000 steps on the loss without its penalty make 61 of the 64 exactly zero, as in the Lasso. On minibatches it would keep only some of them (§4.4). Weights that are to stay free, such as
# biases, go into a group with `l1` 0.
#
# All are zero from $\lambda_{\max}$ of (4.5) on: centre the targets, set all weights to zero, call `backward()`, and take `w.grad.abs().max()`. It is 45.2.
#
# Under Adam an entry's η is in effect $\eta/\sqrt{\hat v}$, so its threshold is $\eta\lambda/\sqrt{\hat v}$.
#
# </details>
#
# **6.** (Predict, then run: §4.5.) Does ridge or the Lasso win if 5 of the 64 inputs matter? And if all do?
# Use `choose_and_test` (§4.5; its first number is the test loss at the chosen λ) on the splits `made_up(5, k)` and `made_up(64, k)` for `k` in `range(20)`.

# %%
def made_up(count, k):
    """Split k of patients with new targets, for which `count` of the 64 inputs matter."""
    rng, truth = np.random.default_rng(k), np.zeros(64)
    places = rng.permutation(64)[:count]
    truth[places] = 50 / count**0.5 * rng.choice([-1, 1], count)  # squares add up to 2,500
    new = X @ truth + 50 * rng.standard_normal(n)
    return split(X, new, train=100, validation=50, test=n - 150, seed=k)

# %% [markdown]
# <details>
# <summary>Solution</summary>
#
# With 5 inputs the Lasso has the lower test loss on 18 of 20 splits, on average by 9 %: it removes what only adds noise. With all 64 it does on 3, and its loss is on average 7 % higher: there is nothing to remove, and each zero is an error.
# So neither penalty is better in itself.
#
# </details>
#
# ## 4.14 The sources, line by line
#
# Verdicts on four sentences ([chapter 0](00_start_here.ipynb)).

# %%
verdict("S2-12", "answered",
        "Its weight_decay is L2. L1 can be added to the loss, or be had from weight_decay on the "
        "factors of each weight; neither gives exact zeros. Soft thresholding after each step "
        "does, on full batches.")
verdict("S2-15", "under conditions",
        "Any slope in [−1, 1] is right at 0, and PyTorch's 0 is one. But steps jump across zero "
        "and do not land on it: for zeros use full batches, and after each step soft "
        "thresholding, sign(z)·max(|z| − ηλ, 0).")

# %%
verdict("S3-05", "convention",
        "With Frobenius norms it is the flat sum of squares, biases left out. With spectral norms "
        "(largest singular values) it would be another penalty.")
verdict("S3-11", "under conditions",
        "Not a single matrix, which keeps every direction. Two linear layers lose directions, and "
        "finally everything, at λ that can be predicted (under SGD; AdamW leaves a residue). "
        "After one dead layer of a network without skip connections the outputs no longer depend "
        "on the inputs.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## Where next, and sources
#
# [Chapter 5](05_size_normalisation.ipynb) uses (4.6) again, to balance layers of any size.
#
# Read [Hastie, Tibshirani and Wainwright (2015)](https://doi.org/10.1201/b18401) on the Lasso, [Parikh and Boyd (2014)](https://doi.org/10.1561/2400000003)
# on proximal steps.
