# %% [markdown]
# # 4 Other penalties
#
# Weight decay squares the weights. Why not add up their sizes? Such an L1 penalty, $\lambda\sum_i|w_i|$, is known
# for making weights exactly zero, and L2 for never doing so. Ordinary code breaks both rules: L1 leaves no exact zero, and L2 drives some directions as near to zero as you like.
#
# By the end you will be able to
#
# - say, from a drawing, why L1 makes zeros and L2 does not;
# - get exact zeros with one extra line, and choose between ridge, Lasso and elastic net;
# - predict at which λ weight decay deletes a direction of a product of two matrices;
# - explain how much AdamW takes, and say what weight decay on a LoRA adapter pulls towards.
#
# *Two sittings of about an hour each: §4.1 to §4.7 are about L1 and sparsity, the rest about products and low
# rank. The code runs in about 12 seconds.*

# %%
from functools import partial

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.penalty import l2_penalty, ridge
from l2lib.splits import split

# %% [markdown]
# ## 4.1 A puzzle: zeros in the wrong place
#
# We begin with two short runs of `torch.optim.SGD` on full batches.

# %%
def train(parameters, objective, lr, steps, weight_decay=0.0):
    optimizer = torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        objective().backward()
        optimizer.step()

# %% [markdown]
# **The first run has an L1 penalty.** It fits the diabetes patients of
# [chapter 1](01_what_an_l2_penalty_does.ipynb) with {{below: X.shape[1]}} inputs: ten measurements, their squares and
# products. PyTorch's `weight_decay` is L2, so we add $\lambda\sum_i|w_i|$ to the loss, with $\lambda = {{below: lam:.0f}}$.

# %%
data = load("diabetes")
ten = (data.X - data.X.mean(0)) / data.X.std(0)
pairs = [(a, b) for a in range(10) for b in range(a, 10)]
pairs.remove((1, 1))  # column 1 is sex, whose square says nothing new
X = np.column_stack([ten, *(ten[:, a] * ten[:, b] for a, b in pairs)])
X = (X - X.mean(0)) / X.std(0)
y, n, lam = data.y - data.y.mean(), len(X), 5.0
assert X.shape[1] == 64

# %%
inputs, targets = torch.tensor(X), torch.tensor(y)
w_l1 = torch.zeros(64, dtype=torch.float64, requires_grad=True)
train([w_l1], lambda: (inputs @ w_l1 - targets).square().mean() / 2 + lam * w_l1.abs().sum(),
      lr=0.02, steps=2000)
by_autograd = w_l1.detach().numpy()

# %% [markdown]
# **The second run has nothing but weight decay.** A linear map $W = UV^\top$ takes the pixels of a handwritten digit to ten
# scores, one for each class. We *whiten* the pixels: we mix them linearly until they are
# uncorrelated and have variance 1, and change them as little as possible (*ZCA*).

# %%
digits = load("digits")
pixels = digits.X[:, digits.X.std(0) > 0]
left, _, right = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
Z = np.sqrt(len(pixels)) * left @ right  # whitened: ZᵀZ/n is the identity
one_hot = np.eye(10)[digits.y]
Y = one_hot - one_hot.mean(0)

# %%
rng, whitened, scores = np.random.default_rng(seeds(1)[0]), torch.tensor(Z), torch.tensor(Y)
U = torch.tensor(rng.uniform(-1, 1, (10, 16)) / 4, requires_grad=True)
V = torch.tensor(rng.uniform(-1, 1, (61, 16)) / 61**0.5, requires_grad=True)
train([U, V], lambda: (whitened @ V @ U.T - scores).square().sum(1).mean() / 2,
      lr=1, steps=1200, weight_decay=0.24)
strengths = torch.linalg.svdvals((U @ V.T).detach()).numpy()

# %% [markdown]
# The singular value decomposition writes $W$ as a sum of *directions*: an input pattern, the output pattern it
# produces, and a strength, the *singular value*. The ten scores always sum to zero, so there are
# only nine directions to learn. In figure 4.1 a number below a millionth counts as zero, and is a cross at one height in the grey band. Where do you expect zeros?

# %%
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.4, 2.7))
for ax, sizes, color, what in ((axes[0], by_autograd, figures.BLUE, "weight"),
                               (axes[1], strengths, figures.ORANGE, "direction")):
    sizes = np.sort(np.abs(sizes))[::-1][:64 if ax is axes[0] else 9]
    ax.axhspan(1e-8, 1e-6, color=figures.GREY, alpha=0.15, lw=0)
    kept = sizes >= 1e-6
    ax.semilogy(1 + np.flatnonzero(kept), sizes[kept], "o", ms=4, color=color, label="_kept")
    ax.plot(1 + np.flatnonzero(~kept), [1e-7] * (~kept).sum(), "x", color=color, label="_zero")
    ax.set(xlabel=f"{what}, from the largest", ylim=(1e-8, 300))
axes[0].text(32, 1e-7, "below 10⁻⁶: counts as zero", color=figures.GREY, ha="center", va="center")
axes[0].set_ylabel("size of the weight"), axes[1].set_ylabel("singular value of UVᵀ")
drawn = [figures.drawn(ax) for ax in axes]
of_l1, of_l2 = drawn[0]["_kept"].y, drawn[1]["_kept"].y
axes[0].set_title(f"L1: {64 - of_l1.size} of 64 are zero")
axes[1].set_title(f"L2: {drawn[1]['_zero'].y.size} of 9 are zero")
figures.show(fig, f"Two panels with one logarithmic axis. Left, the {of_l1.size} weights under L1 "
             f"fall from {of_l1[0]:.0f}, and none is in the grey band below a millionth. "
             f"Right, singular values of UVᵀ under L2: {of_l2.size} lie between {of_l2.min():.3f} "
             f"and {of_l2.max():.3f}, the other {drawn[1]['_zero'].y.size} are in the grey band.")

# %%
claim("04-puzzle", "An L1 penalty added to the loss brings {} of 64 weights below a millionth",
      measured=(np.abs(by_autograd) < 1e-6).sum(), equals=0)
claim("04-puzzle", "Weight decay on two factors keeps six directions of the product: the sixth has "
      "a singular value of {}", measured=strengths[:6], above=0.005)
claim("04-puzzle", "It brings {} of the nine singular values below a millionth",
      measured=(strengths[:9] < 1e-6).sum(), equals=3)
claim("04-tenth", "the tenth singular value of the least-squares map is zero",
      measured=np.linalg.svd(Y.T @ Z / len(Z), compute_uv=False)[9], equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# The penalty that should give zeros gives none. The other has deleted
# {{(strengths[:9] < 1e-6).sum()}} directions out of {{len(strengths[:9])}}. §4.2 to §4.5 explain the left panel, §4.8 and §4.9 the right.
#
# ## 4.2 The diamond and the circle
#
# Why should L1 give zeros at all? By chapter 1 the penalised fit is also the best
# fit among all weights whose penalty is no larger than its own. In the plane of two weights, L2 allows a disc, and L1 a
# diamond, whose corners lie on the axes (figure 4.2). Grow the ellipse of equal loss from $\hat w$, where the loss is smallest, until it first touches the
# region. That point is the penalised fit.

# %% tags=["hide-input"]
metric, w_fit = np.array([[1, -0.25], [-0.25, 1]]), np.array([1.6, 0.7])
corner = np.array([w_fit @ metric[0] - 1, 0.0])  # the minimum under L1 at λ = 1
fits = [np.linalg.solve(metric + at * np.eye(2), metric @ w_fit) for at in np.linspace(0, 3, 3001)]
smooth = min(fits, key=lambda w: abs(np.linalg.norm(w) - corner[0]))  # ridge of the same size
turns = np.linspace(0, 2 * np.pi, 73)
regions = {"L1": (np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]), corner, figures.BLUE),
           "L2": (np.stack([np.cos(turns), np.sin(turns)], 1), smooth, figures.ORANGE)}
grid = np.stack(np.meshgrid(np.linspace(-0.6, 3, 181), np.linspace(-0.8, 2.1, 146)), -1)

# %% tags=["hide-input"]
def draw_region(ax, edge, at, color):
    high, low = ((d @ metric * d).sum(-1) / 2 for d in (grid - w_fit, at - w_fit))
    ax.contour(*grid.transpose(2, 0, 1), high, [low / 16, low], colors=figures.GREY,
               linewidths=[0.3, 0.8])
    ax.fill(*(corner[0] * edge).T, color=color, alpha=0.25)
    ax.plot(*w_fit, "o", color=figures.GREY), ax.plot(*at, "o", color=color, label="_touch")
    fall = metric @ (w_fit - at)  # −∇L at the best point; drawn with length 0.7
    tip = at + 0.7 * fall / np.linalg.norm(fall)
    ax.plot(*np.stack([at, tip]).T, lw=0, label="_fall")
    ax.annotate("", tip, at, arrowprops={"arrowstyle": "->"})
    ax.text(*tip, " −∇L", va="center"), ax.text(1.7, 0.72, "ŵ", color=figures.GREY)
    ax.set(aspect="equal", xlabel="weight w₁", xlim=(-0.6, 3), ylim=(-0.8, 2.1))
    ax.set_ylabel("weight w₂")

# %%
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 2.7))
for ax, region in zip(axes, regions.values(), strict=True):
    draw_region(ax, *region)
axes[0].fill(*(corner + 0.55 * np.array([(0, 0), (1, 1), (1, -1)])).T, color=figures.GREY,
             alpha=0.2, label="_fan")
axes[0].text(1.03, -0.12, "fan")
axes[0].text(-0.5, 1.75, "w₂ = 0", color=figures.BLUE)
axes[1].text(-0.5, 1.75, "w₂ is not 0", color=figures.ORANGE)
axes[0].set_title("L1 is met at a corner"), axes[1].set_title("L2 has no corner")
met = [figures.drawn(ax)["_touch"] for ax in axes]
figures.show(fig, "Two planes of the weights w₁ and w₂ with the loss around its minimum ŵ. Left, "
             "a diamond: the smallest ellipse that reaches it touches its "
             f"corner at ({met[0].x[0]:.2f}, {met[0].y[0]:.0f}), and the arrow of −∇L lies inside "
             "the shaded fan between the outward normals of the two edges. Right, a circle "
             f"through the corner: it is touched at ({met[1].x[0]:.2f}, {met[1].y[0]:.2f}), where "
             "the arrow points straight away from 0.")

# %% [markdown]
# The arrow is $-\nabla L$, the direction in which the loss falls fastest. On a circle it must point straight outwards
# at the best point, so a weight is zero only by coincidence. A corner
# is the best point for a whole fan of arrows (shaded). *Inside the fan the zero survives small changes of the data.*
#
# ## 4.3 One weight: a fixed amount or a fixed factor
#
# How large must λ be? One weight is enough to see it. Let its loss be smallest at $z$. We
# minimise $\frac12(w-z)^2 + \kappa|w|$, where $\kappa$ (kappa) is the coefficient of the L1 penalty.
#
# 1. Just right of 0 the slope is $-z+\kappa$, just left of it $-z-\kappa$. So $w = 0$ is the minimum if and only if
#    the sum falls in neither direction, which means $|z|\le\kappa$.
# 2. Otherwise $w$ has the sign of $z$, and a derivative of zero gives $w = z - \kappa\,\mathrm{sign}(z)$.
#
# *Soft thresholding* is one formula for both cases. Next to it stands the minimum of
# $\frac12(w-z)^2+\frac\lambda2w^2$:
#
# $$\text{L1: } \operatorname{soft}(z, \kappa) = \mathrm{sign}(z)\,\max(|z|-\kappa, 0), \qquad
#   \text{L2: } \frac{z}{1+\lambda}. \tag{4.1}$$
#
# L1 subtracts an *amount*, and can reach zero. L2 multiplies by a *factor*, and never does. If the inputs are uncorrelated with variance 1, this is
# true of every weight. With correlated inputs a single weight may grow or change its sign (figure 4.5).

# %%
def soft(z, threshold):
    return np.sign(z) * np.maximum(np.abs(z) - threshold, 0)

# %% [markdown]
# *Predict:* where is the minimum under L1 if $z = 0.5$ and $\kappa = 0.7$? Figure 4.3 shows what is
# minimised, and where the minimum lies for every $z$. (`make lab` adds sliders for $\kappa$, λ and $z$.)

# %% tags=["hide-input"]
def penalties_at(threshold, weight_decay, z):
    """What each penalty adds at w, where its minimum is for a given z, and its colour."""
    w = np.linspace(-1.5, 2.5, 401)  # w[50] is −1
    l1, l2 = threshold * np.abs(w), weight_decay / 2 * w**2
    return w, {
        "L1": (l1, lambda z: soft(z, threshold), figures.BLUE, "-"),
        "L2": (l2, lambda z: z / (1 + weight_decay), figures.ORANGE, "-"),
        "both": (l1 + l2, lambda z: soft(z, threshold) / (1 + weight_decay), figures.GREEN, "--"),
    }

# %% tags=["hide-input"]
def draw_cost(ax, w, cost, dash, color, name):
    ax.plot(w, cost, dash, color=color, label=f"_{name}")
    ax.text(w[0] - 0.05, cost[0], name, color=color, ha="right", va="center", clip_on=True)

# %% tags=["hide-input"]
def mark_threshold(ax, threshold):
    ax.annotate("", (1.7, 1.7), (1.7, soft(1.7, threshold)), arrowprops={"arrowstyle": "<->"})
    ax.text(1.78, 1.7 - threshold / 2, "κ", va="center")
    ax.text(0, -1.3, "|z| ≤ κ", ha="center", color=figures.GREY)

# %% tags=["hide-input"]
def sketch(threshold, weight_decay, z):
    fig, axes = figures.subplots(1, 2, figsize=(5.6, 2.8))
    w, penalties = penalties_at(threshold, weight_decay, z)
    axes[1].plot(w, w, ":", color=figures.GREY, label="w = z")
    axes[1].axvspan(-threshold, threshold, color=figures.GREY, alpha=0.12, lw=0)
    draw_cost(axes[0], w[50:], (w[50:] - z) ** 2 / 2, ":", figures.GREY, "loss")
    for name, (added, minimum, color, dash) in penalties.items():
        cost = (w - z) ** 2 / 2 + added
        draw_cost(axes[0], w[50:], cost[50:], dash, color, name)
        dot = {"marker": "o", "color": color, "label": f"_{name}*"}
        dot |= {"ms": 12, "mfc": "none", "mew": 1.5} if name == "both" else {"ms": 6}
        axes[0].plot(minimum(z), np.interp(minimum(z), w, cost), **dot)
        axes[1].plot(w, minimum(w), dash, color=color, label=name)
        axes[1].plot(z, minimum(z), **dot)
    mark_threshold(axes[1], threshold), figures.label_lines(axes[1])
    axes[0].set(xlabel="weight w", ylabel="loss plus penalty", xlim=(-1.7, 2), ylim=(0, 2.5))
    axes[1].set(xlabel="z, where the loss alone is smallest", ylabel="weight at the minimum")
    return fig, axes

# %% tags=["hide-input"]
def words(threshold, weight_decay, z, lowest, flat, slope):
    l1, l2, both = lowest.values()
    return (f"At κ = {threshold:g}, λ = {weight_decay:g}, z = {z:g}. Left, loss plus penalty is "
            f"smallest at {l1:.2f} under L1, {l2:.2f} under L2, {both:.2f} under both. Right, the "
            f"minimum against z, and the diagonal: L1 is zero from {flat.min():.1f} to "
            f"{flat.max():.1f}, then runs at a constant distance below; L2 has slope {slope:.2f}.")

# %% tags=["hide-input"]
def draw_thresholds(threshold, weight_decay, z):
    fig, axes = sketch(threshold, weight_decay, z)
    costs, ends = (figures.drawn(ax) for ax in axes)
    lowest = {name: costs[f"_{name}*"].x[0] for name in ("L1", "L2", "both")}
    flat = ends["L1"].x[np.abs(ends["L1"].y) < 1e-9]
    held = lowest["L1"] == 0
    axes[0].set_title("A kink pins L1 at 0" if held else "L1 has left 0")
    axes[1].set_title("L1 subtracts, L2 divides")
    bottoms = [costs[f"_{name}"].x[costs[f"_{name}"].y.argmin()] for name in lowest]
    missed = np.abs(np.subtract(bottoms, list(lowest.values()))) > 0.01  # the grid's step
    claim("04-drawn", "each dot lies where its curve is lowest, to the curve's grid", equals=0,
          measured=missed.astype(float), within=1e-9)
    claim("04-drawn", "L1 runs κ below the diagonal; L2 and both are 1 + λ times smaller than z "
          "and L1", equals=0, within=1e-9,
          measured=[ends["w = z"].at(2) - ends["L1"].at(2) - min(threshold, 2),
                    *(1 + weight_decay) * ends["L2"].y - ends["L2"].x,
                    *(1 + weight_decay) * ends["both"].y - ends["L1"].y])
    return fig, words(threshold, weight_decay, z, lowest, flat, ends["L2"].at(2) / 2)

# %%
dial, places = [0.7, 0.0, 0.3, 1.0, 1.5], [0.5, -1.0, 0.8, 1.2, 1.6]
figures.interactive(draw_thresholds, threshold=dial, weight_decay=[1.0, 0.0, 0.5, 2.0], z=places)

# %% [markdown]
# At $w = 0$ the L1 penalty rises with slope 0.7, and the loss falls with slope 0.5 only. So the kink holds the minimum at 0
# until $z$ passes $\kappa$. The price is that L1 shrinks large weights, too.
#
# The dashed *elastic net*
# ([Zou and Hastie, 2005](https://doi.org/10.1111/j.1467-9868.2005.00503.x)) adds both penalties. Its minimum
# first subtracts, then divides:
#
# $$w = \frac{\operatorname{soft}(z,\kappa)}{1+\lambda}. \tag{4.2}$$
#
# We try {{below: len(candidates):,}} weights for each $z$.

# %%
candidates, asked = np.linspace(-2, 2, 4001), np.linspace(-2, 2, 41)
unpenalised = (candidates - asked[:, None]) ** 2 / 2
added = {"L1": 0.7 * np.abs(candidates), "L2": candidates**2 / 2}
found = {name: candidates[(unpenalised + cost).argmin(1)] for name, cost in added.items()}
found["both"] = candidates[(unpenalised + added["L1"] + added["L2"]).argmin(1)]

# %%
claim("04-soft", "under L1 the best candidate is that of (4.1), which is one of them",
      measured=found["L1"] - soft(asked, 0.7), equals=0, within=1e-9)
claim("04-soft", "under L2 with λ = 1, and under both, the best is that of (4.1) and (4.2)",
      measured=[found["L2"] - asked / 2, found["both"] - soft(asked, 0.7) / 2],
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# We know why L1 makes zeros. Why did the run of §4.1 make none?
#
# ## 4.4 Why L1 in the loss gives no zeros
#
# Is the kink the trouble, where $|w|$ has no derivative? No: any slope $\xi$ between −1 and 1 will do there, since
# the line $\xi w$ nowhere lies above $|w|$. It is called a *subgradient*. PyTorch takes $\xi = 0$.
#
# The trouble is that training hardly ever arrives at 0. Take a weight that belongs there, where
# the loss has slope $g$ with $|g|<\lambda$. From the right of zero the step is $-\eta(\lambda+g)$, from the left
# $\eta(\lambda-g)$. Both lead towards zero and, from nearby, *across* it. The weight hops. If $g$ does not change,
# its distance from zero is then at most
#
# $$\eta\,(\lambda+|g|) < 2\eta\lambda. \tag{4.3}$$
#
# In a run the other weights hop, too, so $g$ changes a little, and a hop can be a little longer. A smaller
# η makes smaller hops, but no zeros. If η falls to zero slowly enough, the weights converge to those of §4.5, still without exact zeros.
#
# We test this for several $\xi$. Up to a constant the loss is
# $\frac12w^\top Hw-q^\top w$ with $H = X^\top X/n$ and $q = X^\top y/n$. Its gradient is $Hw-q$.

# %%
H, q = X.T @ X / n, X.T @ y / n

# %%
def subgradient_path(lr, steps, at_zero=0.0):
    w, path = np.zeros(64), []
    for _ in range(steps):
        xi = np.where(w == 0, at_zero, np.sign(w))
        w = w - lr * (H @ w - q + lam * xi)
        path.append(w)
    return np.array(path)


def subgradient(lr, steps, at_zero=0.0):
    return subgradient_path(lr, steps, at_zero)[-1]

# %%
four = [subgradient(0.02, 2000, at_zero) for at_zero in (-1, 0, 0.5, 1)]
small_steps = subgradient(0.002, 20_000)

# %%
claim("S2-15", "None of five runs ends with an exact zero: four choices of ξ at η = 0.02, and one "
      "at η = 0.002", measured=[(w == 0).sum() for w in [*four, small_steps]], equals=0)
edge = torch.tensor([-1e-9, 0.0, 1e-9], dtype=torch.float64, requires_grad=True)
(chosen,) = torch.autograd.grad(edge.abs().sum(), edge)
claim("04-torch-zero", "PyTorch's slopes of |w| left of 0, at 0 and right of it are −1, 0 and 1",
      measured=chosen - torch.tensor([-1.0, 0.0, 1.0]), equals=0, within=1e-15)
claim("04-torch-l1", "with ξ = 0 it takes the same 2,000 steps as torch.optim.SGD in §4.1",
      measured=four[1] - by_autograd, equals=0, within=1e-8)

# %% tags=["hide-input"]
slopes = np.linspace(-2, 2, 401)
fits_under = (np.abs(candidates) >= slopes[:, None] * candidates - 1e-12).all(1)
claim("S2-15", "the slopes of lines through 0 that stay below |w| end at −1 and 1",
      measured=slopes[fits_under][[0, -1]] - [-1, 1], equals=0, within=1e-9)
claim("04-apart", "the four choices end in four different places", equals=1,
      measured=[float(np.abs(a - b).max() > 0.01) for k, a in enumerate(four) for b in four[:k]],
      within=1e-9)
claims.identities()

# %% [markdown]
# No fixed $\xi$ makes a zero, because the steps do not get shorter near zero. What does?
#
# ## 4.5 The proximal step gives exact zeros
#
# Do not differentiate $|w|$. Take the gradient step for the loss alone, to $z = w-\eta g$. Then minimise
# $\frac12\lVert w-z\rVert^2+\eta\lambda\sum_i|w_i|$ exactly. This is (4.1) for each weight, with
# $\kappa = \eta\lambda$, and is called a *proximal step*:
#
# $$w\;\leftarrow\;\operatorname{soft}(w-\eta g,\;\eta\lambda). \tag{4.4}$$
#
# Where does it settle? If a step changes nothing, then $-g_i = \lambda\,\mathrm{sign}(w_i)$ where $w_i\ne0$, and
# $|g_i|\le\lambda$ where $w_i = 0$. For a convex loss these are the conditions of a minimum, whatever η is. The steps get there if
# $\eta\le1/\rho_{\max}$, where $\rho_{\max}$ is the largest curvature of the loss
# ([Beck and Teboulle, 2009](https://doi.org/10.1137/080716542)). The minimum is the *Lasso*
# ([Tibshirani, 1996](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x)). For the elastic net, divide by
# $1+\eta\,l_2$ after each step.

# %%
def proximal(H, q, l1, l2=0.0, steps=3000):
    """Minimise ½wᵀHw - qᵀw + l1·Σ|w| + ½·l2·‖w‖². A column of several l1 gives w a row for each."""
    lr = 1 / np.linalg.eigvalsh(H)[-1]
    w = np.ones(np.broadcast_shapes(np.shape(l1), q.shape))
    for _ in range(steps):
        w = soft(w - lr * (w @ H - q), lr * l1) / (1 + lr * l2)  # w @ H is Hw, row by row
    return w

# %%
w_lasso = proximal(H, q, lam)

# %% tags=["hide-input"]
from sklearn.linear_model import ElasticNet, Lasso

theirs = Lasso(alpha=lam, tol=1e-12, max_iter=100_000).fit(X, y).coef_
claim("S2-12", "Proximal steps end with {} of 64 weights exactly zero, as many as "
      "scikit-learn's Lasso", measured=(w_lasso == 0).sum(), equals=(theirs == 0).sum())
claim("04-lasso", "and all weights are scikit-learn's",
      measured=w_lasso - theirs, equals=0, within=1e-6)
net = ElasticNet(alpha=2 * lam, l1_ratio=0.5, tol=1e-12, max_iter=100_000).fit(X, y).coef_
claim("04-net", "so are those of the elastic net, with λ at both terms",
      measured=proximal(H, q, lam, lam) - net, equals=0, within=1e-6)

# %% tags=["hide-input"]
slope = H @ w_lasso - q
claim("04-rest", "at the end −g is λ times the sign of a weight that is not zero",
      measured=(slope + lam * np.sign(w_lasso))[w_lasso != 0], equals=0, within=1e-8)
claim("04-rest", "and |g| is at most λ where a weight is zero",
      measured=np.maximum(np.abs(slope[w_lasso == 0]) - lam, 0), equals=0, within=1e-9)

# %% tags=["hide-input"]
zero = w_lasso == 0
furthest = [np.abs(w_run[zero]).max() / (lr * lam)
            for w_run, lr in ((by_autograd, 0.02), (small_steps, 0.002))]
claim("S2-12", "At the last step at η = 0.02, the furthest weight that belongs at zero is {} ηλ "
      "away from it",
      measured=furthest[0], between=(1, 2.2))
claim("04-hops", "at η = 0.002 the furthest hop is between 1 and 2.2 ηλ, too", equals=1,
      measured=float(1 < furthest[1] < 2.2), within=1e-9)
cut_off = np.abs(by_autograd) <= 2 * 0.02 * lam
claim("04-cut-off", "a cut-off at 2ηλ afterwards deletes no weight of the Lasso", equals=0,
      measured=float((cut_off & ~zero).sum()), within=1e-9)
claims.identities()

# %% [markdown]
# Figure 4.4 shows one of the {{zero.sum()}} weights that belong at zero, under both rules. Its slope is about
# {{below: slope[hopper] / lam:.1f}} λ, so one large hop is followed by about ten small steps back. These
# weights are the long tail of figure 4.1, below $2\eta\lambda = {{2 * 0.02 * lam:.1f}}$.

# %%
hopper = np.flatnonzero(zero)[np.abs(by_autograd[zero]).argmax()]
hops = subgradient_path(0.02, 400)[:, hopper]
w_step, lands = np.zeros(64), []
for _ in range(400):
    w_step = soft(w_step - 0.02 * (H @ w_step - q), 0.02 * lam)
    lands.append(w_step[hopper])

# %%
fig, ax = figures.subplots(figsize=(5, 2.7))
shown = np.arange(1, 401)
ax.axhspan(-2 * 0.02 * lam, 2 * 0.02 * lam, color=figures.GREY, alpha=0.15, lw=0)
ax.plot(shown, hops, lw=0.7, color=figures.ORANGE, label="_hops")
ax.plot(shown, lands, lw=1.8, color=figures.BLUE, label="_lands")
ax.set(xlabel="step", ylabel="one weight that belongs at 0")
ax.text(300, 0.26, "L1 in the loss", color=figures.ORANGE, ha="center")
ax.text(300, -0.12, "proximal step", color=figures.BLUE, ha="center")
drawn = figures.drawn(ax)
ends = drawn["_hops"].y[-100:], drawn["_lands"].y
ax.set_title("One rule hops around zero, the other lands")
figures.show(fig, "One weight that is zero in the Lasso, over 400 steps at η = 0.02. By the "
             f"subgradient it hops between {ends[0].min():.2f} and {ends[0].max():.2f} in the "
             "last 100 steps, inside the shaded band of ±2ηλ. By proximal steps it is exactly zero "
             "from about step 50 on.")

# %% [markdown]
# From which λ on are all weights zero? Put $w = 0$ into the conditions of a minimum. If the loss is convex and has the gradient $g$ there, this λ is
#
# $$\lambda_{\max} = \max_i |g_i|. \tag{4.5}$$

# %%
largest = np.abs(q).max()  # at w = 0 the gradient is -q
claim("04-first", "just below λ_max the Lasso has one weight that is not zero", equals=1,
      measured=float((proximal(H, q, 0.999 * largest) != 0).sum()), within=1e-9)
claim("04-first", "just above λ_max all weights are zero",
      measured=proximal(H, q, 1.001 * largest), equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# Below it the weights come in one after the other, and may leave again, as HDL does in figure 4.5 near
# λ = 0.1. (λ multiplies $|w|$ on the left and $\frac12w^2$ on the right, so compare
# the shapes, not the places.)

# %%
H_10, q_10 = ten.T @ ten / n, ten.T @ y / n
path_lams = np.geomspace(0.001, 100, 61)[:, None]


def elastic_path(share):
    return proximal(H_10, q_10, share * path_lams, (1 - share) * path_lams, steps=6000)

# %% tags=["hide-input"]
lasso_side = {1: (0.0012, -9.5, "sex"), 2: (1.2, 26.5, "BMI"), 3: (0.4, 16.8, "pressure"),
              4: (0.2, -21, "cholesterol"), 6: (1.2, -15, "HDL"), 8: (0.0012, 30, "triglycerides")}
ridge_side = {2: (0.3, 23.2, "BMI"), 4: (0.013, -22, "cholesterol"), 6: (0.2, -12.5, "HDL"),
              8: (0.005, 31.3, "triglycerides"), 1: (0.0012, -9.5, "sex")}
hues = {1: figures.PINK, 2: figures.BLUE, 3: figures.SKY, 4: figures.ORANGE, 6: figures.GREEN,
        8: figures.AMBER}
exact = np.linalg.solve(H_10, q_10)

# %% tags=["hide-input"]
def sketch_paths(L1_share):
    fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 3))
    paths = elastic_path(L1_share), ridge(ten, y, path_lams[:, 0])[0]
    for ax, weights, named in zip(axes, paths, (lasso_side, ridge_side), strict=True):
        for k, line in enumerate(weights.T):
            color, width = hues.get(k, figures.GREY), 1.6 if k in hues else 0.8
            ax.semilogx(path_lams[:, 0], line, lw=width, color=color, label=f"_{k}")
            ax.plot(0.0006, exact[k], "<", ms=4, color=color, clip_on=False)
        for k, (*place, name) in named.items():
            ax.text(*place, name, color=hues[k], fontsize=8)
        ax.axvline(10, color=figures.GREY, lw=0.8, ls=":")
        ax.set(xlabel="penalty coefficient λ", ylim=(-42, 36), xlim=(0.0006, 100), ylabel="weight")
    axes[0].text(0.05, -39, "grey: four others", color=figures.GREY, fontsize=8)
    return fig, axes

# %% tags=["hide-input"]
def draw_paths(L1_share):
    fig, axes = sketch_paths(L1_share)
    left, right = (figures.drawn(ax) for ax in axes)
    zeros = [sum(abs(side[f"_{k}"].at(10)) < 1e-9 for k in range(10)) for side in (left, right)]
    kind = "Lasso" if L1_share == 1 else f"L1 share {L1_share:g}"
    axes[0].set_title(f"{kind}, λ = 10: {zeros[0]} zeros")
    axes[1].set_title(f"Ridge, λ = 10: {zeros[1]} zeros")
    return fig, (f"Ten weights against λ from 0.001 to 100; triangles mark least squares. Left, "
                 f"{kind}: {zeros[0]} are exactly zero at λ = 10 (dotted). Right, ridge: all are "
                 f"small in the end, and {zeros[1]} are zero at λ = 10.")

# %%
figures.interactive(draw_paths, L1_share=[1.0, 0.0, 0.2, 0.5, 0.8])

# %% [markdown]
# Least squares (triangles) gives cholesterol {{np.linalg.solve(H_10, q_10)[4]:.0f}}, which other
# blood values cancel. Both penalties undo this.
# Then ridge turns all weights down together, and the Lasso selects. Of two nearly equal inputs the
# Lasso often keeps one; ridge and the elastic net keep both (exercise 5).
#
# ## 4.6 Does it help? An open question from chapter 1
#
# In chapter 1, with 64 inputs and 150 patients, the best ridge
# regression predicts worse than least squares with the ten measurements. Can the Lasso find the useful ones among {{X.shape[1] - 10}} extra
# inputs? We take the same 20 splits. Once λ is chosen on 50 of the
# 150 patients; once it is the λ that is best on the test patients, which nobody can know. (Inputs are
# standardised on all patients, those of the test included.)

# %%
from sklearn.linear_model import lasso_path

l1, l2 = np.geomspace(40, 1, 25), np.logspace(-2, 3, 60)


def half_square(answers, targets):
    return (answers - targets) ** 2 / 2


def fit_lasso(X, y):
    w = lasso_path(X - X.mean(0), y - y.mean(), alphas=l1)[1].T
    return w, y.mean() - w @ X.mean(0)


def linear(w, b):
    return lambda inputs: w @ inputs.T + b[:, None]

# %%
losses, chosen, sizes, plain = {"Lasso": [], "ridge": []}, {"Lasso": [], "ridge": []}, [], []
fitters = {"Lasso": fit_lasso, "ridge": lambda X, y: ridge(X, y, l2)}
for seed in seeds(20):
    parts = split(X, data.y, train=100, validation=50, test=n - 150, seed=seed)
    for name, fit in fitters.items():
        at_every_lam = parts.test_loss(linear(*fit(*parts.refit)), half_square, each=True)
        picks = parts.choose(linear(*fit(*parts.train)), half_square)
        losses[name].append(at_every_lam)
        chosen[name].append(at_every_lam[picks])
    sizes.append((fit_lasso(*parts.refit)[0] != 0).sum(1))
    few = split(ten, data.y, train=150, test=n - 150, seed=seed)
    plain.append(few.test_loss(linear(*ridge(*few.train, [0.0])), half_square, each=True)[0])

# %% tags=["hide-input"]
losses, chosen = ({name: np.array(each[name]) for name in each} for each in (losses, chosen))
best = {name: losses[name].min(1) for name in losses}
plain = np.array(plain)
order = np.argsort(chosen["ridge"])
picked = np.mean([size[loss.argmin()] for size, loss in zip(sizes, losses["Lasso"], strict=True)])

# %% tags=["hide-input"]
def draw_splits(ax, loss, rows=range(1, 21)):
    ax.hlines(rows, loss["Lasso"][order], loss["ridge"][order], color=figures.GREY, lw=0.8)
    ax.plot(loss["ridge"][order], rows, "o", ms=6, mfc="none", color=figures.ORANGE, label="ridge")
    ax.plot(loss["Lasso"][order], rows, "o", ms=4, color=figures.BLUE, label="Lasso")
    ax.plot(plain[order], rows, "|", ms=8, mew=1.8, color="black", label="ten inputs")
    ax.set(xlabel="test loss", ylabel="split", ylim=(0, 21), yticks=[1, 5, 10, 15, 20])

# %%
fig, axes = figures.subplots(1, 2, sharex=True, sharey=True, figsize=(5.6, 3.4))
draw_splits(axes[0], chosen), draw_splits(axes[1], best)
axes[0].set_xlim(right=axes[0].get_xlim()[1] + 100)
axes[0].legend(loc="lower right", fontsize=8)
dots = [figures.drawn(ax) for ax in axes]
wins = [(each["Lasso"].x < each["ridge"].x).sum() for each in dots]
beats = [(each["Lasso"].x < each["ten inputs"].x).sum() for each in dots]
means = [[each[name].x.mean() for name in ("Lasso", "ridge", "ten inputs")] for each in dots]
axes[0].set_title(f"Chosen λ: Lasso wins {wins[0]}/20")
axes[1].set_title(f"Best λ: Lasso wins {wins[1]}/20")
figures.show(fig, "Test loss with 64 inputs, a row for each of 20 splits. Left, with λ chosen on "
             f"held-out patients: Lasso, mean {means[0][0]:.0f}, lower than ridge, mean "
             f"{means[0][1]:.0f}, on {wins[0]}. Right, with the λ that is best in the test: means "
             f"{means[1][0]:.0f} and {means[1][1]:.0f}, lower on {wins[1]}. Bars: ten inputs "
             f"without a penalty, mean {means[0][2]:.0f}; the Lasso beats them on {beats[0]} and "
             f"{beats[1]} splits.")

# %% tags=["hide-input"]
claim("04-best", "the λ that is best in the test is nowhere worse than the chosen one", equals=0,
      measured=[np.minimum(chosen[name] - best[name], 0) for name in best], within=1e-9)
claim("04-lasso-wins", "With 64 inputs the best Lasso's mean test loss is lower than the best "
      "ridge's by at least {:.0f} (lower end of the interval over 20 splits)",
      measured=claims.interval(best["ridge"] - best["Lasso"]).low, above=0)
claim("04-lasso-chosen", "with λ chosen on 50 of the patients the Lasso wins on 15 splits or more",
      measured=float((chosen["Lasso"] < chosen["ridge"]).sum() > 14), equals=1, within=1e-9)
claim("04-ten-inputs", "With the chosen λ the Lasso's mean test loss is {:.3f} times that of ten "
      "inputs without a penalty", above=0.97, measured=chosen["Lasso"].mean() / plain.mean())
nearer = claims.interval(chosen["ridge"] - chosen["Lasso"])
excess = [claims.interval(each["Lasso"] - plain) for each in (chosen, best)]
claims.identities()

# %% [markdown]
# | mean test loss | λ chosen | best λ |
# |---|---|---|
# | 64 inputs, ridge | {{chosen["ridge"].mean():.0f}} | {{best["ridge"].mean():.0f}} |
# | 64 inputs, Lasso | {{chosen["Lasso"].mean():.0f}} | {{best["Lasso"].mean():.0f}} |
# | ten inputs, no penalty | {{plain.mean():.0f}} | {{plain.mean():.0f}} |
#
# The Lasso helps: with the chosen λ its mean loss is {{nearer.low:.0f}} to {{nearer.high:.0f}} below ridge's (interval of the mean, as if the splits were
# independent). But it is {{excess[0].low:.0f}} to {{excess[0].high:.0f}} *above* that of the ten inputs. Even with the best λ, and {{picked:.0f}} inputs on average, the
# difference is {{excess[1].low:.0f}} to {{excess[1].high:.0f}}, which includes 0. *Here the Lasso gains nothing over leaving the products out.*
#
# <details>
# <summary>Which belief does each penalty express?</summary>
#
# Chapter 1 derives ridge from a Gaussian prior with standard deviation τ and noise of variance
# $\sigma^2$. A *Laplace* prior, with a density like $e^{-\sqrt2|w|/\tau}$, adds
# $\sqrt2\sum_j|w_j|/\tau$ to minus the logarithm of the posterior instead of $\sum_j w_j^2/(2\tau^2)$. Multiply by
# $\sigma^2/n$. The most probable weights are those of
#
# $$\text{ridge with } \lambda = \frac{\sigma^2}{n\tau^2}, \qquad
#   \text{the Lasso with } \lambda = \frac{\sqrt2\,\sigma^2}{n\tau}. \tag{4.6}$$
#
# The Laplace density has a sharp peak at zero and heavier tails than a Gaussian: most weights are tiny and a few are large.
# But $w_j = 0$ has the probability zero, before and after the data. Only the most probable point has zeros.
#
# </details>
#
# ## 4.7 A norm of a whole group, and what `.norm()` penalises
#
# To remove weights in groups, penalise the length $\lVert w\rVert$ of each group, not its square. (Some do so by mistake. A forum question, one of the book's
# sources, computes an L1 penalty as `param.norm()`, which is the L2 norm.) Its gradient, $w/\lVert w\rVert$, has length 1 however small $w$ is,
# so it acts like L1 on the *length*. By symmetry the minimum of $\frac12\lVert w-z\rVert^2+\lambda\lVert w\rVert$ points along
# $z$, and (4.1) holds for its length:
#
# $$w = \max\Big(1-\frac\lambda{\lVert z\rVert}, 0\Big)\,z. \tag{4.7}$$
#
# All weights survive, or all vanish (figure 4.7). One such norm for each group is the *group Lasso*
# ([Yuan and Lin, 2006](https://doi.org/10.1111/j.1467-9868.2005.00532.x)). It removes whole channels, heads
# or neurons. If groups differ in size, multiply λ by $\sqrt{\text{size}}$ for each.
#
# In the figure an arrow leads from each $z$ (dot) to its $w$ (cross), at λ = 1. Shaded zones are those of $z$ for which a weight becomes zero:
# none for green pairs, one for orange, both for blue.

# %% tags=["hide-input"]
spots = np.array([(-1.8, 1.6), (-1.2, 0.5), (-0.6, 1.9), (-0.45, 0.6), (0.5, 0.4), (0.6, 1.5),
                  (1.7, 0.5), (1.8, 1.8), (-1.7, -0.6), (-0.5, -1.7), (-0.6, -0.5), (1.5, -1.4)])
lengths = np.linalg.norm(spots, axis=1)[:, None]
pulled = {"L1: zeros one by one": soft(spots, 1),
          "Norm: zeros together": spots * np.maximum(1 - 1 / lengths, 0)}
blues = {"color": figures.BLUE, "alpha": 0.1, "lw": 0}
zero_colors = (figures.GREEN, figures.ORANGE, figures.BLUE)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.8, 3.2))
for ax, (title, ends) in zip(axes, pulled.items(), strict=True):
    for spot, end, zeros in zip(spots, ends, (ends == 0).sum(1), strict=True):
        ax.annotate("", end, spot, arrowprops={"arrowstyle": "->", "color": figures.GREY})
        ax.plot(*spot, "o", ms=5, color=zero_colors[zeros], zorder=4)
    for zeros, color in enumerate(zero_colors):
        here = ends[(ends == 0).sum(1) == zeros]
        ax.plot(*here.T, "x", ms=5, color=color, label=f"_{zeros}", zorder=4)
    ax.set(xlabel="first weight", ylabel="second weight", title=title)
    ax.set(aspect="equal", xlim=(-2.1, 2.1), ylim=(-2.1, 2.1))
    ax.text(1.6, -1.6, "z", ha="center"), ax.text(ends[-1][0] - 0.13, ends[-1][1] - 0.25, "w")
axes[0].axvspan(-1, 1, **blues), axes[0].axhspan(-1, 1, **blues)
axes[1].fill(np.cos(turns), np.sin(turns), **blues)
axes[0].text(-0.9, -1.98, "w₁ = 0", color=figures.BLUE, fontsize=8)
axes[0].text(2.05, -0.9, "w₂ = 0", color=figures.BLUE, fontsize=8, ha="right")
axes[1].text(0.05, -0.85, "w = 0", color=figures.BLUE, fontsize=8)
counts = [[figures.drawn(ax)[f"_{zeros}"].x.size for zeros in range(3)] for ax in axes]
figures.show(fig, f"Where {sum(counts[0])} points z go (arrows), with λ = 1. Left, L1: "
             f"{counts[0][1]} lose one weight (orange) and {counts[0][2]} both (blue). Right, the "
             f"norm of the pair: {counts[1][2]} inside the circle lose both, {counts[1][1]} one.")

# %%
def by_norm(lam, lr=0.2, steps=3000):  # lr is below 1/ρ_max of the ten inputs
    w = np.ones(10)
    for _ in range(steps):
        z = w - lr * (H_10 @ w - q_10)
        w = max(1 - lr * lam / np.linalg.norm(z), 0) * z
    return w

# %% tags=["hide-input"]
w_norm, limit = by_norm(10), np.linalg.norm(q_10)
same = ridge(ten, y, 10 / np.linalg.norm(w_norm))[0]
claim("04-norm-ridge", "the penalty 10‖w‖ gives ridge's weights at λ = 10/‖w‖",
      measured=w_norm - same, equals=0, within=1e-8)
z = np.array([3, -0.5, 1])
length = np.linalg.norm(z)
w_one = max(1 - 1 / length, 0) * z
claim("04-group", "(4.7) at z = (3, −0.5, 1), λ = 1: the slope w − z + λw/‖w‖ is zero",
      measured=w_one - z + w_one / np.linalg.norm(w_one), equals=0, within=1e-12)
claim("04-norm-limit", "1 % above λ_max all ten weights are zero",
      measured=np.linalg.norm(by_norm(1.01 * limit)), equals=0, within=1e-15)
claim("04-norm-limit", "1 % below λ_max all ten weights are nonzero",
      measured=float((by_norm(0.99 * limit) != 0).sum()), equals=10, within=1e-9)

# %% tags=["hide-input"]
tiny = torch.tensor([3e-6, -4e-6], dtype=torch.float64, requires_grad=True)
origin = torch.zeros(2, dtype=torch.float64, requires_grad=True)
(at_tiny,), (at_origin,) = (torch.autograd.grad(w.norm(), w) for w in (tiny, origin))
claim("S2-06", "the gradient of `.norm()` has length 1 near zero, and length 0 at zero",
      measured=[at_tiny.norm() - 1, at_origin.norm()], equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# ## 4.8 Two factors under L2 are one weight under L1
#
# This is the idea behind the right panel of figure 4.1. Let $w = uv$, and let weight
# decay act on $u$ and $v$. The pairs with the same $w$ form a hyperbola. The penalty
# $\frac\lambda2(u^2+v^2)$ grows with the distance from the origin, so the cheapest pair is where the smallest
# circle touches the hyperbola. In figure 4.8 that is on the diagonal, where $|u| = |v| = \sqrt{|w|}$.

# %% tags=["hide-input"]
factor, quarter = np.linspace(0.05, 3, 296), np.linspace(0, np.pi / 2, 60)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(5.6, 2.7))
for weight, color in ((0.25, figures.SKY), (1.0, figures.BLUE), (2.25, figures.GREEN)):
    radius = (2 * weight) ** 0.5
    axes[0].plot(factor, weight / factor, color=color)
    circle = radius * np.cos(quarter), radius * np.sin(quarter)
    axes[0].plot(*circle, "--", lw=1, color=figures.ORANGE)
    axes[0].plot(weight**0.5, weight**0.5, "o", color=color)
    axes[0].text(2.86, weight / 2.8, f"uv = {weight:g}", color=color, va="center")
    cost = ((factor**2 + (weight / factor) ** 2) / 2).min()
    axes[1].plot([-weight, weight], [cost, cost], "o", color=color, label=f"_{weight}")
axes[1].plot([-2.5, 0, 2.5], [2.5, 0, 2.5], color=figures.GREY, label="_V")
axes[0].set(xlabel="factor u", ylabel="factor v", aspect="equal", xlim=(0, 2.8), ylim=(0, 2.8))
axes[1].set(xlabel="weight w = uv", ylabel="least ½(u² + v²)", ylim=(0, 2.8), box_aspect=1)
axes[0].set_title("Cheapest: |u| = |v|"), axes[1].set_title("… and costs |w|")
costs = [figures.drawn(axes[1])[f"_{at}"].y[0] for at in (0.25, 1.0, 2.25)]
claim("04-cheapest", "the least cost on each hyperbola is |w|, to the grid's width", equals=0,
      measured=np.round(costs, 2) - [0.25, 1, 2.25], within=1e-9)
figures.show(fig, "Left, hyperbolas uv = 0.25, 1 and 2.25 in the plane of two factors. Circles "
             "around the origin touch them on the diagonal. Right, the least cost against w: "
             f"dots at {costs[0]:.2f}, {costs[1]:.2f} and {costs[2]:.2f} lie on the V of |w|.")

# %% [markdown]
# In a formula: since $(|u|-|v|)^2\ge0$,
#
# $$\tfrac12(u^2+v^2)\;\ge\;|uv| = |w|, \tag{4.8}$$
#
# with equality when $|u| = |v|$. So with decayed factors the minimum over $u$ and $v$ is that of the loss plus $\lambda\sum_i|w_i|$:
# a Lasso ([Hoff, 2017](https://doi.org/10.1016/j.csda.2017.06.007)).
#
# Does gradient descent find it? The objective is not convex. Figure 4.9 shows the paths of gradient descent for one weight, whose loss
# $\frac12(w-z)^2$ wants $z = 1$. If $\lambda<z$, the origin is a saddle: paths come near it, and leave along the
# diagonal for $uv = z-\lambda$. If $\lambda>z$, all end at the origin.

# %% tags=["hide-input"]
def follow(decay, pair, steps=400, lr=0.05):
    """The path of gradient descent on ½(uv − 1)² + ½·decay·(u² + v²)."""
    u, v = pair
    path = [(u, v)]
    for _ in range(steps):
        miss = u * v - 1
        u, v = u - lr * (miss * v + decay * u), v - lr * (miss * u + decay * v)
        path.append((u, v))
    return np.array(path)


starts = [(-1.7, 1.66), (-1.66, 1.7), (-1.7, 1.1), (-0.6, 1.7), (0.3, 1.7), (1.7, 0.1), (1.7, -0.9),
          (0.9, -1.7), (1.5, -1.7), (-1.7, -0.3), (-0.4, -1.7), (1.7, 1.4), (-1.2, -1.7)]

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.6, 3))
for ax, decay in zip(axes, (0.4, 1.5), strict=True):
    for k, start in enumerate(starts):
        path = follow(decay, start)
        ax.plot(*path.T, lw=1, color=figures.BLUE, label=f"_{k}")
        ax.annotate("", path[8], path[6], arrowprops={"arrowstyle": "->", "color": figures.BLUE})
        ax.plot(*path[-1], "o", ms=6, color=figures.ORANGE, zorder=4)
    ax.set(xlabel="factor u", ylabel="factor v", aspect="equal")
    ax.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8))
axes[0].plot(0, 0, "x", ms=7, mew=2, color="black"), axes[0].text(0.12, -0.08, "saddle", va="top")
axes[0].set_title("λ = 0.4: 0 is a saddle"), axes[1].set_title("λ = 1.5: all end at 0")
last = [[path.x[-1] * path.y[-1] for path in figures.drawn(ax).values()] for ax in axes]
claim("04-flow", "paths with λ = 0.4 end at the product 0.6, those with λ = 1.5 at 0",
      measured=[*np.subtract(last[0], 0.6), *last[1]], equals=0, within=1e-6)
figures.show(fig, "Paths of gradient descent in the plane of the factors u and v, from 13 "
             f"starts. Left, λ = 0.4: they approach the saddle at 0 and end at one of two points "
             f"on the diagonal, both with the product {last[0][0]:.1f}. Right, λ = 1.5: all end at "
             "0, and the product is zero.")

# %% [markdown]
# So never start with both factors at zero. One of them may be zero: if $g$ is the slope of the loss in $w$, its slope in $v$ is $gu$, so
# $v$ moves from $u = 1$, $v = 0$. This start is used below, and by the adapters of §4.11.
#
# <details>
# <summary>Why there are no bad valleys</summary>
#
# Let the loss be convex. Where the gradient is zero, $g_iv_i+\lambda u_i = 0$ and $g_iu_i+\lambda v_i = 0$.
#
# 1. If both factors are nonzero, $|g_i| = \lambda$ with the sign of the Lasso's conditions.
# 2. If one factor is zero, these equations make the other zero, too. Their second derivatives then form the matrix with λ
#    on its diagonal and $g_i$ off it. It has a negative eigenvalue unless $|g_i|\le\lambda$.
#
# So every such point that is not a saddle satisfies the conditions of §4.5, and is a minimum of the Lasso. That gradient
# descent leaves the saddles we do not prove.
#
# </details>

# %%
u = torch.ones(64, dtype=torch.float64, requires_grad=True)
v = torch.zeros(64, dtype=torch.float64, requires_grad=True)
gram, moment = torch.tensor(H), torch.tensor(q)
train([u, v], lambda: (u * v) @ gram @ (u * v) / 2 - moment @ (u * v),
      lr=0.002, steps=6000, weight_decay=lam)
w_product = (u * v).detach().numpy()

# %%
claim("S2-12", "Plain weight decay on u and v brings every product within {} of the Lasso, in "
      "units of its largest weight", measured=np.abs(w_product - w_lasso) / np.abs(w_lasso).max(),
      below=0.001)
claim("04-balanced", "the two factors of every weight have the same size",
      measured=u.detach().abs() - v.detach().abs(), equals=0, within=1e-6)

# %% tags=["hide-input"]
second = torch.autograd.functional.hessian(
    lambda f: (f[0] * f[1] - 1) ** 2 / 2 + 0.3 * (f**2).sum() / 2, torch.zeros(2))
claim("04-saddle", "at u = v = 0 the second derivatives are λ and g, here 0.3 and −1",
      measured=second - torch.tensor([[0.3, -1.0], [-1.0, 0.3]]), equals=0, within=1e-6)
claims.identities()

# %% [markdown]
# The zeros are limits here: no finite run reaches them. That is why figure 4.1 counts everything below $10^{-6}$ as zero.

# %% [markdown]
# ## 4.9 Matrices: a direction vanishes at a λ that you can predict
#
# For matrices, directions take the place of single weights. Write $W = P\operatorname{diag}(s)\,Q^\top$, where $P$ and $Q$ have
# orthonormal columns. Three norms measure the singular values $s_1\ge s_2\ge\dots\ge0$.
#
# | norm | in singular values | as a penalty |
# |---|---|---|
# | Frobenius $\lVert W\rVert_F$ | $\sqrt{\sum_i s_i^2}$, which is $\sqrt{\sum_{jk}W_{jk}^2}$ | its square is weight decay: a common factor |
# | spectral $\lVert W\rVert_2$ | $s_1$ | added to $\frac12\lVert W-\hat W\rVert_F^2$, it clips all large values to one ceiling |
# | nuclear $\lVert W\rVert_*$ | $\sum_is_i$ | subtracts an amount from each: L1 for directions |

# %% tags=["hide-input"]
W = torch.tensor(claims.rng().standard_normal((300, 100)), requires_grad=True)
s = torch.linalg.svdvals(W).detach()
flat, top = W.norm(2).item(), torch.linalg.norm(W, 2).item()
claim("S3-05", "`W.norm(2)` is Frobenius, `torch.linalg.norm(W, 2)` the largest singular value",
      measured=[flat**2 / s.square().sum().item() - 1, flat**2 / W.square().sum().item() - 1,
                top / s[0] - 1], equals=0, within=1e-12)
(nuclear_slope,) = torch.autograd.grad(torch.linalg.matrix_norm(W, "nuc"), W)
claim("04-norms", "the gradient of the nuclear norm subtracts 1 from every singular value",
      measured=torch.linalg.svdvals(nuclear_slope), equals=1, within=1e-9)

# %% [markdown]
# Now let $W = UV^\top$, with an inner width of at least the rank of $W$. Then (4.8) has a matrix version:
#
# $$\min_{UV^\top = W}\;\tfrac12\big(\lVert U\rVert_F^2+\lVert V\rVert_F^2\big)\;=\;\lVert W\rVert_*. \tag{4.9}$$
#
# <details>
# <summary>Proof</summary>
#
# 1. Take $W = P\operatorname{diag}(s)\,Q^\top$ with the nonzero singular values only. Then
#    $\lVert W\rVert_* = \operatorname{tr}(P^\top WQ) = \operatorname{tr}\big((P^\top U)(Q^\top V)^\top\big)$.
# 2. That trace is the inner product of $P^\top U$ and $Q^\top V$. By Cauchy and Schwarz it is at most
#    $\lVert P^\top U\rVert_F\lVert Q^\top V\rVert_F$.
# 3. Multiplying by $P^\top$ or $Q^\top$ cannot increase a Frobenius norm. So the trace is at most
#    $\lVert U\rVert_F\lVert V\rVert_F$, and by (4.8) at most $\frac12(\lVert U\rVert_F^2+\lVert V\rVert_F^2)$.
# 4. The factors $U = P\operatorname{diag}(\sqrt s)$ and $V = Q\operatorname{diag}(\sqrt s)$ reach equality. ∎
#
# </details>
#
# So weight decay on the factors has the same global minima as the penalty
# $\lambda\lVert W\rVert_*$ on the product
# ([Srebro, Rennie and Jaakkola, 2004](https://proceedings.neurips.cc/paper/2004/hash/e0688d13958a19e087e123148555e4b4-Abstract.html)).
# Does gradient descent reach it?

# %% tags=["hide-input"]
any_map = claims.rng().standard_normal((10, 61))
left_any, s_any, right_any = np.linalg.svd(any_map, full_matrices=False)
U_best, V_best = left_any * np.sqrt(s_any), right_any.T * np.sqrt(s_any)
nuclear = np.linalg.norm(any_map, "nuc")
claim("04-nuclear", "U = P√s and V = Q√s have the product W and cost its nuclear norm",
      measured=[(np.sum(U_best**2) + np.sum(V_best**2)) / 2 / nuclear - 1,
                *(U_best @ V_best.T - any_map).ravel()], equals=0, within=1e-12)
mixed = [np.eye(10) + 0.1 * np.random.default_rng(seed).standard_normal((10, 10))
         for seed in seeds(5)]
factorings = [(U_best @ mix, np.linalg.solve(mix, V_best.T).T) for mix in mixed]  # the same W
costs = np.array([(np.sum(a**2) + np.sum(b**2)) / 2 for a, b in factorings])
claim("04-nuclear", "other factors of the same matrix have its product, and cost more",
      measured=[float(np.abs(a @ b.T - any_map).max() < 1e-9 and nuclear < cost < 1.5 * nuclear)
                for (a, b), cost in zip(factorings, costs, strict=True)], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# For the whitened digits the loss is $\frac12\lVert W-\hat W\rVert_F^2$ plus a constant,
# where $\hat W = \frac1nY^\top Z$ is the least-squares fit, with singular values $\hat s_i$. The minimum is a
# soft threshold:
#
# $$s_i = \max(\hat s_i-\lambda, 0). \tag{4.10}$$
#
# <details>
# <summary>Proof</summary>
#
# Von Neumann's inequality $\langle\hat W, W\rangle\le\sum_i\hat s_is_i$ gives
#
# $$\tfrac12\lVert W-\hat W\rVert_F^2+\lambda\lVert W\rVert_*\;\ge\;\sum_i\Big[\tfrac12(s_i-\hat s_i)^2+\lambda s_i\Big],$$
#
# with equality when $W$ has the singular vectors of $\hat W$. Each bracket is the problem of §4.3. ∎
#
# </details>
#
# Direction $i$ vanishes at $\lambda = \hat s_i$, which you know before training. A single matrix under
# weight decay keeps every direction: $s_i = \hat s_i/(1+\lambda)$. Figure 4.10 shows one of the digits'
# directions: an empty middle raises the score of 0 and lowers that of 1.
# (Under ZCA an input still resembles its pixel: their mean correlation is {{below: alike:.2f}}.)

# %%
W_hat = Y.T @ Z / len(Z)
P, s_hat, Qt = np.linalg.svd(W_hat, full_matrices=False)
alike = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(Z.T, pixels.T, strict=True)])

# %% tags=["hide-input"]
sign = np.sign(P[0, 1])  # a direction is the same if both of its patterns change their signs
pattern, output, varies = np.zeros(64), sign * P[:, 1], digits.X.std(0) > 0
pattern[varies] = sign * Qt[1]
claim("04-direction", "Ŵ turns the input pattern into ŝ times the output pattern",
      measured=W_hat @ pattern[varies] - s_hat[1] * output, equals=0, within=1e-9)

# %%
fig, axes = figures.subplots(1, 2, figsize=(5.4, 2.6))
axes[0].imshow(pattern.reshape(8, 8), cmap="RdBu_r", vmin=-0.4, vmax=0.4)
axes[0].set(xticks=[], yticks=[], title="Input: an empty middle?")
axes[0].set(xlabel="red: for, blue: against", ylabel="8 × 8 pixels")
axes[0].grid(visible=False)
axes[1].bar(range(10), output, color=figures.BLUE)
axes[1].plot(range(10), output, lw=0, label="_output")
axes[1].set(xticks=range(10), xlabel="digit", ylabel="change of the score")
axes[1].set_title("Output: 0, and not 1")
heights = figures.drawn(axes[1])["_output"].y
figures.show(fig, "The second strongest direction. Left, its input pattern on the 8 by 8 pixels: "
             "negative in the middle column, positive in a ring around it, like the digit 0. "
             f"Right, its output pattern: the score of 0 changes by {heights[0]:.2f}, that of "
             f"1 by {heights[1]:.2f}.")

# %% [markdown]
# We train factors at eight values of λ from five starts, on full batches. (`.mT` transposes the last two axes, so the same lines
# train a whole stack of factors.)

# %%
def descend(U, V, target, decay, steps):
    """Gradient descent with η = 1 on ½‖UVᵀ − target‖² with decay; returns the product."""
    for _ in range(steps):
        E = U @ V.mT - target
        U, V = U - (E @ V + decay * U), V - (E.mT @ U + decay * V)
    return U @ V.mT


lams = np.linspace(0.04, 0.32, 8)
start = np.array([np.random.default_rng(seed).uniform(-0.25, 0.25, (71, 16)) for seed in seeds(5)])
products = descend(start[:, :10], start[:, 10:] / 2, W_hat, lams[:, None, None, None], 4000)
s = np.linalg.svd(products, compute_uv=False)  # (8 λ, 5 starts, 10 values)

# %% [markdown]
# Figure 4.11 also shows the cost: the share of the {{len(Z):,}} training digits that are classified
# correctly. A map that is *only cut* drops the directions below λ and leaves the others unshrunk.

# %% tags=["hide-input"]
def accuracy(values):
    """Share of the digits that get their own class from a map with these singular values."""
    answers = Z @ (Qt.T * values) @ P.T + one_hot.mean(0)  # Z Wᵀ with W = P diag(values) Qᵀ
    return (answers.argmax(1) == digits.y).mean()


def describe(tops, dots, two, one, cut):
    left = {at: (dots.at(at) > 1e-3).sum() for at in (0.24, 0.32)}
    return (f"Left, {tops.size} singular values of the trained product against λ. Lines of (4.10) "
            f"fall with slope -1 from {tops.min():.2f} to {tops.max():.2f} to zero, with dots "
            f"of trained factors: {left[0.24]} are left at λ = 0.24, {left[0.32]} at 0.32. "
            f"Right, training accuracy of two factors: {two.at(0):.3f} without penalty, "
            f"{two.at(0.24):.3f} at 0.24, {two.at(0.32):.2f} at 0.32; cut and not shrunk "
            f"{cut.at(0.24):.3f} at 0.24; one matrix stays at {one.at(0.32):.3f}.")


# %% tags=["hide-input"]
fine = np.linspace(0, 0.32, 65)
kept_right = np.array([accuracy(np.maximum(s_hat - at, 0)) for at in fine])
one_right = np.array([accuracy(s_hat / (1 + at)) for at in fine])
cut_right = np.array([accuracy(np.where(s_hat > at, s_hat, 0)) for at in fine])

# %% tags=["hide-input"]
def mark(ax, up, what):
    ax.axvline(0.24, color=figures.GREY, lw=0.8, ls=":")
    ax.plot(s_hat[:9], [up] * 9, "|", ms=9, mew=0.6, color="black", clip_on=False)
    ax.set(xlabel="weight decay λ; bars mark ŝᵢ", ylabel=what, xlim=(-0.01, 0.35))

# %% tags=["hide-input"]
def name_accuracies(ax):
    ax.text(0.085, 0.5, "two factors", color=figures.BLUE)
    ax.text(0.02, 0.965, "one matrix", color=figures.ORANGE)
    ax.text(0.293, 0.55, "only\ncut", color=figures.GREEN)
    ax.text(0.12, 0.12, "λ of §4.1", color=figures.GREY)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(5.6, 3))
axes[0].plot(fine, s_hat[0] / (1 + fine), ":", color=figures.ORANGE, label="_single")
axes[0].text(0.1, 0.283, "one matrix,\nstrongest", color=figures.ORANGE)
axes[0].text(0, 0.012, "lines: (4.10)\ndots: trained", color=figures.BLUE, fontsize=8)
axes[0].set_ylim(-0.01, 0.33)
kept = np.maximum(s_hat[:9] - fine[:, None], 0)
axes[0].plot(fine, kept, color=figures.SKY, lw=0.9, label="_formula")
axes[0].plot(lams, s[..., :9].mean(1), ".", ms=4, color=figures.BLUE, label="_trained")
axes[1].plot(fine, one_right, ":", color=figures.ORANGE, label="_one")
axes[1].plot(fine, kept_right, color=figures.BLUE, label="_two")
axes[1].plot(fine, cut_right, "--", color=figures.GREEN, label="_cut")
name_accuracies(axes[1])
mark(axes[0], 0, "singular value of UVᵀ"), mark(axes[1], 0, "training accuracy")
axes[1].set_ylim(0, 1.03)
axes[0].set_title("Directions vanish …"), axes[1].set_title("… at a price")
drawn, right = (figures.drawn(ax) for ax in axes)
lines = (drawn["_formula"].at(0), drawn["_trained"],
         *(right[f"_{name}"] for name in ("two", "one", "cut")))
figures.show(fig, describe(*lines))

# %% tags=["hide-input"]
tops, dots = drawn["_formula"].at(0), drawn["_trained"]
expected = np.maximum(s_hat - lams[:, None, None], 0)
claim("04-directions", "All {} trained singular values are those of (4.10) to a millionth (8 λ, "
      "5 starts, 10 directions)", measured=(np.abs(s - expected) < 1e-6).sum(), equals=400)
right_now = (Z @ products[5, 0].T + one_hot.mean(0)).argmax(1) == digits.y
claim("04-price", "the drawn accuracy at λ = 0.24 is that of the trained factors",
      measured=np.mean(right_now) - right["_two"].at(0.24), equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("04-puzzle-s", "the puzzle's product has the singular values of (4.10)",
      measured=strengths - np.maximum(s_hat - 0.24, 0), equals=0, within=1e-6)
any_map = claims.rng().standard_normal((10, 61))
gaps = [np.square(Z @ w.T - Y).sum(1).mean() - np.square(w - W_hat).sum()
        for w in (any_map, -2 * any_map)]
claim("04-whitened-loss", "the loss less ½‖W − Ŵ‖² is the same for two random W",
      measured=gaps[0] / 2 - gaps[1] / 2, equals=0, within=1e-9)
claim("04-lines", "the lines begin at the singular values of Ŵ, by its eigenvalues",
      measured=tops**2 - np.linalg.eigvalsh(W_hat @ W_hat.T)[::-1][:9], equals=0, within=1e-9)
claim("04-lines", "the trained dots lie on them, line by line",
      measured=[dots.at(at) - drawn["_formula"].at(at) for at in lams], equals=0, within=1e-6)

# %% tags=["hide-input"]
one_matrix = np.linalg.solve(Z.T @ Z + 0.32 * len(Z) * np.eye(61), Z.T @ Y)  # ridge
single = np.linalg.svd(one_matrix, compute_uv=False)
claim("S3-11", "one matrix at λ = 0.32 keeps every direction, times 1/1.32",
      measured=[*(single[:9] / s_hat[:9] - 1 / 1.32), drawn["_single"].at(0.32) - single[0]],
      equals=0, within=1e-9)
direct = [(Z @ (one_matrix * 1.32) + one_hot.mean(0)).argmax(1) == digits.y]
claim("04-accuracy", "the accuracy without penalty is that of the least-squares map",
      measured=np.mean(direct) - right["_two"].at(0), equals=0, within=1e-9)
zero_map = torch.zeros(10, 61, dtype=torch.float64, requires_grad=True)
at_zero = (whitened @ zero_map.T - scores).square().sum(1).mean() / 2
(pull,) = torch.autograd.grad(at_zero, zero_map)
claim("04-spectral", "the spectral norm of the loss's gradient at W = 0 is the largest ŝ",
      measured=torch.linalg.norm(pull, 2) - s_hat[0], equals=0, within=1e-9)

# %% tags=["hide-input"]
def learn(parts):
    """From a training part: what whitens inputs, the least-squares map, the classes' shares."""
    x, labels = parts.train
    centre, rates = x.mean(0), np.eye(10)[labels].mean(0)
    size, right = np.linalg.svd(x - centre, full_matrices=False)[1:]
    used = size > 1e-9 * size[0]
    whiten = np.sqrt(len(x)) * right[used].T / size[used]
    fit = (np.eye(10)[labels] - rates).T @ (x - centre) @ whiten / len(x)
    return (lambda inputs: (inputs - centre) @ whiten), fit, rates

# %% tags=["hide-input"]
def share_of_names(parts, prepare, maps, rates, names=range(10)):
    """Share of the test digits that each map gives the name names[digit]."""
    def guess(inputs):
        return (prepare(inputs) @ maps.swapaxes(1, 2) + rates).argmax(-1)

    wrong = parts.test_loss(guess, lambda a, y: a != np.array(names)[y.astype(int)], each=True)
    return 1 - wrong

# %% tags=["hide-input"]
tests, digit_splits = [], [split(digits.X, digits.y, train=300, test=len(Z) - 300, seed=seed)
                           for seed in seeds(10)]
for parts in digit_splits:
    prepare, fit, rates = learn(parts)
    left_fit, s_fit, right_fit = np.linalg.svd(fit, full_matrices=False)
    kept = np.array([values for at in (0.1, 0.24) for values in
                     (np.maximum(s_fit - at, 0), np.where(s_fit > at, s_fit, 0), s_fit / (1 + at))])
    maps = (left_fit * kept[:, None]) @ right_fit
    tests.append(share_of_names(parts, prepare, maps, rates).reshape(2, 3))
tests = np.array(tests)  # (split, λ, map: two factors, only cut, one matrix)

# %% tags=["hide-input"]
tested = tests.mean(0)
claim("04-price-unseen", "On unseen digits at λ = 0.24, one matrix classifies {:.2f} more of them "
      "correctly than two factors do (lower end of the interval over 10 splits)",
      measured=claims.interval(tests[:, 1, 2] - tests[:, 1, 0]).low, above=0)
claims.identities()

# %% [markdown]
# This solves the puzzle: {{(s_hat > 0.24).sum()}} of the $\hat s_i$ are
# above 0.24. The cost at λ = 0.24 has two parts. The training accuracy falls from {{accuracy(s_hat):.3f}} to
# {{accuracy(np.where(s_hat > 0.24, s_hat, 0)):.3f}} by the cut, and to {{accuracy(np.maximum(s_hat - 0.24, 0)):.3f}} by shrinking unevenly what is kept.
# On unseen digits (10 splits, 300 for training) two factors reach {{tested[1, 0]:.3f}}, one matrix {{tested[1, 2]:.3f}}. A small λ costs
# little: at λ = 0.1 all three maps classify {{tested[0].min():.3f}} to {{tested[0].max():.3f}} of the unseen digits correctly.
#
# ## 4.10 AdamW takes an amount, too, but a much smaller one
#
# In practice you train products by AdamW on minibatches. AdamW is Adam
# with one line before its step, which multiplies the weights by $1-\eta\lambda$
# ([chapter 3](03_one_lambda_many_meanings.ipynb)). What becomes of (4.10)?
#
# 1. Adam divides gradients by $\sqrt{\hat v}$, where $\hat v$ is a running mean of each entry's squared gradients. Suppose that this root is $a$
#    for all entries of $U$ and $b$ for those of $V$.
# 2. The steps cancel the decay if $(W-\hat W)V/a+\lambda U = 0$ and $(W-\hat W)^\top U/b+\lambda V = 0$.
# 3. Let $p_i, q_i$ be singular vectors of $\hat W$, and of $W$. For the vectors $u = U^\top p_i$ and $v = V^\top q_i$ this says
#    $(\hat s_i-s_i)\,v = \lambda au$ and $(\hat s_i-s_i)\,u = \lambda bv$, so $(\hat s_i-s_i)^2\,v = \lambda^2ab\,v$. If the direction is alive, $v\ne0$, and
#
# $$\hat s_i-s_i = \lambda\sqrt{ab}. \tag{4.11}$$
#
# *Under SGD $a = b = 1$. Under AdamW the amount is λ times a typical gradient.* That is mostly
# noise of the minibatches, so it depends on the data and the batch size. (4.11) does not contain η. It is for inputs of curvature 1, as here; divide by the curvature where it is another.
#
# In truth each entry has its own root. Multiply the first equation, entry by entry, by it and by $U$, and add up:
# $\lambda\sum\sqrt{\hat v}\,U^2 = \sum_i(\hat s_i-s_i)\,s_i$. So $a$ is a mean weighted by squared entries, and $b$ likewise. We read both
# after a run: this checks (4.11), and predicts nothing before training.
#
# We test this with five seeds and six λ at once: the first two axes of each tensor are seed and λ. η falls linearly to zero.

# %%
def minibatches(make, lr, lams, size=100, steps=1000):
    """Singular values of the puzzle's product for each seed and λ, and the optimizer."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]
    starts = np.array([[rng.uniform(-0.25, 0.25, (71, 16))] * len(lams) for rng in rngs])
    lams = torch.tensor(lams)[:, None, None]
    U = torch.tensor(starts[:, :, :10], requires_grad=True)
    V = torch.tensor(starts[:, :, 10:] / 2, requires_grad=True)
    optimizer = make([U, V], lr=lr)
    for step in range(steps):
        eta = optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        rows = np.array([rng.integers(len(Z), size=size) for rng in rngs])
        x, targets = whitened[rows][:, None], scores[rows][:, None]
        optimizer.zero_grad()
        ((x @ V @ U.mT - targets).square().sum() / 2 / size).backward()
        with torch.no_grad():
            U *= 1 - eta * lams
            V *= 1 - eta * lams
        optimizer.step()
    return torch.linalg.svdvals((U @ V.mT).detach()).numpy(), optimizer

# %%
sgd_lams, adam_lams = [0.06, 0.12, 0.24], [0.24, 4.0, 8.0, 15.0, 22.0, 30.0]
by_sgd = minibatches(torch.optim.SGD, 0.1, sgd_lams)[0]
by_adamw, adam = minibatches(torch.optim.Adam, 0.003, adam_lams)
small_batch = minibatches(torch.optim.Adam, 0.003, [4.0], size=25)[0]
lost = s_hat[:9] - by_adamw[..., :9]  # what was taken: (seed, λ, direction)

# %% [markdown]
# *Predict* how many of the nine directions are gone at λ = 0.24 under SGD, and how many under AdamW. Figure 4.12 also has the
# tenth direction, whose $\hat s$ is zero. The lines are (4.10), and (4.11) with the $a$ and $b$ of each λ.

# %% tags=["hide-input"]
def typical_gradients(optimizer):
    """a and b for each seed and λ: the mean of √v̂, weighted by a factor's squared entries."""
    for w, state in optimizer.state.items():
        root = (state["exp_avg_sq"] / (1 - 0.999 ** state["step"])).sqrt()
        squares = w.detach().square()
        yield ((root * squares).sum((2, 3)) / squares.sum((2, 3))).numpy()


def draw_left(ax, name, xs, values, color):
    ax.plot(xs, values[..., :9].mean(0), "o", ms=3, color=color, label="_nine")
    ax.plot(xs, values[..., 9].mean(0), "s", ms=4, color="black", label="_tenth")
    ax.text(xs[-1] / 4, 0.012, "tenth", ha="center")
    ax.set(xlabel=f"weight decay λ of {name}", ylabel="singular value of UVᵀ", ylim=(-0.01, 0.32))

# %% tags=["hide-input"]
a, b = typical_gradients(adam)
by_rule = np.array(adam_lams) * np.sqrt(a * b).mean(0)  # λ√(ab) for each λ
by_line = np.maximum(s_hat[8] - by_rule, 0)  # where the weakest direction's line is
predicted = np.minimum(s_hat[:9], by_rule[:, None]).mean(1)
amount = lost.mean((0, 2))
uneven = lost[..., 0].mean(0) / lost[..., 8].mean(0)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.8, 3.1))
wide, steep = np.linspace(0, 0.3, 61), np.array([0, *adam_lams])
amounts = np.interp(wide * 100, steep, [0, *by_rule])
axes[0].plot(wide, np.maximum(s_hat[:9] - wide[:, None], 0), lw=0.9, color=figures.SKY,
             label="_law")
axes[1].plot(wide * 100, np.maximum(s_hat[:9] - amounts[:, None], 0), lw=0.9, color=figures.AMBER,
             label="_rule")
draw_left(axes[0], "SGD", sgd_lams, by_sgd, figures.BLUE)
draw_left(axes[1], "AdamW", adam_lams, by_adamw, figures.ORANGE)
axes[0].set_title("SGD subtracts λ"), axes[1].set_title("AdamW subtracts λ√(ab)")
plain_dots, adam_dots = (figures.drawn(ax) for ax in axes)
ends = adam_dots["_nine"].at(0.24), adam_dots["_nine"].at(30)
figures.show(fig, "Singular values that are left against λ, in two panels of parallel lines. "
             "Left, SGD: they are straight, with slope −1; at λ = 0.24 six of nine are left. "
             "Right, AdamW, with λ up to 30: they bend. At 0.24 all nine are between "
             f"{ends[0].min():.2f} and {ends[0].max():.2f}, at 30 between {ends[1].min():.3f} and "
             f"{ends[1].max():.2f}. Squares: the tenth direction, near zero everywhere.")

# %% tags=["hide-input"]
class OneRoot(torch.optim.Adam):
    """Adam with one v̂ for each matrix."""

    def step(self):
        for w in self.param_groups[0]["params"]:
            state = self.state.setdefault(w, {"m": 0, "v": 0, "t": 0})
            state["t"] += 1
            state["m"] = 0.9 * state["m"] + 0.1 * w.grad
            state["v"] = 0.999 * state["v"] + 0.001 * w.grad.square().mean((2, 3), keepdim=True)
            m, v = state["m"] / (1 - 0.9 ** state["t"]), state["v"] / (1 - 0.999 ** state["t"])
            w.data -= self.param_groups[0]["lr"] * m / v.sqrt()


one_root = minibatches(OneRoot, 0.003, [8.0])[0]

# %% tags=["hide-input"]
claim("04-adamw-amount", "For λ from 4 to 30 the mean amount that AdamW takes is {} times what "
      "(4.11) gives with the run's own a and b",
      measured=amount[1:] / predicted[1:], between=(0.9, 1.1))
claim("04-adamw-even", "At λ = 4 and 8 the strongest of nine directions loses {} times as much as "
      "the weakest; if all lost the same share, it would be 1.6 times", measured=uneven[1:3],
      between=(0.8, 1.25))
claim("04-adamw-noise", "At λ = 4 AdamW takes {} times as much with minibatches of 25 as with 100",
      measured=(s_hat[:9] - small_batch[..., :9]).mean() / amount[1], between=(1, 2.2))

# %% tags=["hide-input"]
claim("04-adamw-residue", "For λ from 4 to 15 AdamW leaves a singular value of at least {:.4f} to "
      "the direction that nothing in the data wants (mean of five seeds)",
      measured=by_adamw[:, 1:4, 9].mean(0), above=1e-6)
claim("04-one-root", "SGD at λ = 0.24, and Adam with one v̂ for each matrix at λ = 8, bring it "
      "below a millionth", measured=[by_sgd[:, 2, 9], one_root[:, 0, 9]], below=1e-6)

# %% tags=["hide-input"]
claim("04-sgd-noise", "SGD on minibatches ends near (4.10): six directions at λ = 0.24", equals=1,
      measured=float(np.abs(by_sgd[:, 2] - np.maximum(s_hat - 0.24, 0)).max() < s_hat[5] - 0.24),
      within=1e-9)
claim("04-share", "the strongest ŝ is 1.6 times the weakest", equals=1.6,
      measured=np.round(s_hat[0] / s_hat[8], 1), within=1e-9)
claim("04-adam-drawn", "the drawn lines are (4.10) and (4.11)", equals=0, within=1e-9,
      measured=[*(plain_dots["_law"].at(0.06) - s_hat[:9] + 0.06),
                *(adam_dots["_rule"].at(0) - s_hat[:9])])
claims.identities()

# %% [markdown]
# | λ of AdamW | λ√(ab) | taken: mean of nine | weakest left | tenth left |
# |---|---|---|---|---|
# | {{adam_lams[0]:.2f}} | {{by_rule[0]:.3f}} | {{amount[0]:.3f}} | {{by_adamw[:, 0, 8].mean():.3f}} | {{by_adamw[:, 0, 9].mean():.4f}} |
# | {{adam_lams[1]:.0f}} | {{by_rule[1]:.3f}} | {{amount[1]:.3f}} | {{by_adamw[:, 1, 8].mean():.3f}} | {{by_adamw[:, 1, 9].mean():.4f}} |
# | {{adam_lams[2]:.0f}} | {{by_rule[2]:.3f}} | {{amount[2]:.3f}} | {{by_adamw[:, 2, 8].mean():.3f}} | {{by_adamw[:, 2, 9].mean():.4f}} |
# | {{adam_lams[3]:.0f}} | {{by_rule[3]:.3f}} | {{amount[3]:.3f}} | {{by_adamw[:, 3, 8].mean():.3f}} | {{by_adamw[:, 3, 9].mean():.4f}} |
# | {{adam_lams[4]:.0f}} | {{by_rule[4]:.3f}} | {{amount[4]:.3f}} | {{by_adamw[:, 4, 8].mean():.3f}} | {{by_adamw[:, 4, 9].mean():.4f}} |
# | {{adam_lams[5]:.0f}} | {{by_rule[5]:.3f}} | {{amount[5]:.3f}} | {{by_adamw[:, 5, 8].mean():.4f}} | {{by_adamw[:, 5, 9].mean():.4f}} |
#
# At λ = 0.24 AdamW takes almost nothing. $\sqrt{ab}$ is {{min(by_rule / adam_lams):.4f}} to {{max(by_rule / adam_lams):.3f}}, and not the same for all λ: a factor's gradient
# contains the error and the other factor. The amounts are not quite even: at λ = 15 the weakest direction keeps {{by_adamw[:, 3, 8].mean():.3f}}, where
# its line is at {{by_line[3]:.3f}}. (From λ = 22 on it has less than λ√(ab) to lose.)
#
# *Where SGD leaves nothing, AdamW leaves a residue of roughly 0.001*, whose size changes with λ and η. Even the
# tenth direction has it, which nothing in the data wants. The reason is that $\sqrt{\hat v}$ differs from entry to entry. Dividing by it
# mixes the directions, and brings noise into each. With one $\hat v$ for each matrix the residue is gone at λ = 8. So to count directions
# after AdamW, cut above the residue.
#
# <details>
# <summary>Does this agree with what others see in language models?</summary>
#
# [Kobayashi, Akram and von Oswald (2024)](https://arxiv.org/abs/2410.23819) observe that weight decay, as usually done in language models,
# lowers the rank of the products in attention. By (4.11) directions with $\hat s_i < \lambda\sqrt{ab}$ shrink to a residue, which a rank with
# a cut-off does not count. Whether this explains what they see, our small runs cannot say.
#
# </details>
#
# ## 4.11 LoRA: what does decay on an adapter pull towards?
#
# In LoRA
# ([Hu et al., 2022](https://arxiv.org/abs/2106.09685)) the pretrained $W_0$ is frozen, and only a
# change of low rank is trained: $W = W_0+UV^\top$, with one factor starting at zero. `weight_decay` acts on $U$ and $V$ alone. By (4.9)
# its penalty, for the cheapest factors of a change whose rank is at most the adapter's $r$, is
#
# $$\min_{W_0+UV^\top = W}\;\tfrac\lambda2\big(\lVert U\rVert_F^2+\lVert V\rVert_F^2\big)\;=\;\lambda\,\lVert W-W_0\rVert_*. \tag{4.12}$$
#
# *It pulls towards the pretrained weights. With whitened inputs it subtracts the same amount, λ, from each singular value of the change.*
# Weight decay on $W$, if you tune all weights, pulls towards zero. The penalty
# $\frac\lambda2\lVert W-W_0\rVert_F^2$, called L2-SP ([Li, Grandvalet and Davoine, 2018](https://arxiv.org/abs/1802.01483)),
# pulls towards $W_0$ and divides each singular value of the change by $1+\lambda$.
#
# We compare the three on full batches. $W_0$ is the digits' $\hat W$. In the new task the digits 0 to 4
# exchange names in a circle, a change of rank four.

# %%
order = [1, 2, 3, 4, 0, 5, 6, 7, 8, 9]
new_scores = Y[:, order]
W_new = new_scores.T @ Z / len(Z)  # least squares on the new task
left_change, change, right_change = np.linalg.svd(W_new - W_hat, full_matrices=False)
lora_lams = np.linspace(0, 0.6, 13)
V = claims.rng().uniform(-0.25, 0.25, (61, 8))  # the adapter's rank is 8; U starts at zero
adapters = descend(np.zeros((10, 8)), V, W_new - W_hat, lora_lams[:, None, None], 2000)

# %% tags=["hide-input"]
plain_decay, sp = (np.array([centre + (W_new - centre) / (1 + at) for at in lora_lams])
                   for centre in (0 * W_hat, W_hat))
tuned = torch.tensor(sp[6], requires_grad=True)
before = [torch.tensor(W_hat)]
fit = (whitened @ tuned.T - torch.tensor(new_scores)).square().sum(1).mean() / 2
(slope,) = torch.autograd.grad(fit + l2_penalty([tuned], lora_lams[6], towards=before), tuned)
claim("04-sp", "W₀ + (Ŵ_new − W₀)/(1 + λ) minimises the loss with l2_penalty(..., towards=W₀)",
      measured=slope, equals=0, within=1e-9)
s_lora = np.linalg.svd(adapters, compute_uv=False)
claim("04-lora", "at λ = 0.3 the adapter has kept three directions",
      measured=float((s_lora[6] > 1e-6).sum()), equals=3, within=1e-9)
claim("04-lora", "the adapter's singular values are those of the change less λ, or zero",
      measured=s_lora[1:, :5] - np.maximum(change[:5] - lora_lams[1:, None], 0), equals=0,
      within=1e-6)

# %% tags=["hide-input"]
plane_x = W_hat.ravel() / np.linalg.norm(W_hat)
rest = W_new.ravel() - (plane_x @ W_new.ravel()) * plane_x
plane = np.stack([plane_x, rest / np.linalg.norm(rest)], 1)  # the plane of W₀ and the new fit
ends = {"W₀": W_hat, "0": 0 * W_hat, "new task": W_new}
routes = {"decay on W": (plain_decay, "ORANGE", 7), "L2-SP": (sp, "GREEN", 7),
          "adapter": (W_hat + adapters, "BLUE", 4)}

# %% tags=["hide-input"]
def draw_changes(ax):
    fine_lams = np.linspace(0, 0.6, 121)[:, None]
    ax.plot(fine_lams, change[:4] / (1 + fine_lams), color=figures.GREEN, label="_sp")
    ax.plot(fine_lams, np.maximum(change[:4] - fine_lams, 0), color=figures.BLUE, label="_law")
    ax.plot(lora_lams, s_lora[:, :4], "o", ms=3, color=figures.BLUE, label="_lora")
    ax.text(0.61, 0.41, "L2-SP", color=figures.GREEN, ha="right")
    ax.text(0.02, 0.03, "adapter", color=figures.BLUE)
    ax.set(xlabel="weight decay λ", ylabel="singular value of the change", ylim=(-0.02, 0.6))

# %% tags=["hide-input"]
def draw_routes(ax):
    for name, (route, color, width) in routes.items():
        points = route.reshape(13, -1) @ plane
        style = {"color": getattr(figures, color), "lw": width / 2}
        ax.plot(*points.T, "-", label=f"_{name}", **style)
        ax.plot(*points[[6, 12]].T, "o", ms=width, **style)
    dying = left_change * np.maximum(change - change[:4, None], 0)[:, None] @ right_change
    at_death = (W_hat + dying).reshape(4, -1) @ plane
    ax.plot(*at_death.T, "x", ms=7, mew=1.5, color="black", label="_dies", zorder=4)
    for name, at in ends.items():
        ax.plot(*(at.ravel() @ plane), "s", color="black", mfc="none", ms=9)
        ax.text(*(at.ravel() @ plane + [0.03, 0.03]), name)

# %% tags=["hide-input"]
def name_routes(ax):
    ax.text(-0.05, 0.62, "decay\non W", color=figures.ORANGE)
    ax.text(0.4, 0.61, "L2-SP", color=figures.GREEN)
    ax.text(0.3, 0.22, "adapter", color=figures.BLUE)
    ax.text(0.12, -0.08, "×: a direction dies", fontsize=8)
    for name, *place in (("0.3", 0.03, 0.53), ("0.6", -0.02, 0.42), ("0.3", 0.66, 0.2),
                         ("0.3", 0.46, 0.53), ("0.6", 0.53, 0.42)):
        ax.text(*place, f"λ = {name}", fontsize=8, color=figures.GREY)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(5.8, 3.1))
draw_routes(axes[0]), draw_changes(axes[1])
name_routes(axes[0])
axes[0].set(xlabel="along W₀ (projected)", ylabel="orthogonal to W₀")
axes[0].set(xlim=(-0.1, 0.9), ylim=(-0.1, 0.85))
axes[0].set_title("Where decay leads"), axes[1].set_title("An adapter deletes")
drawn, values = (figures.drawn(ax) for ax in axes)
figures.show(fig, "Left, in the plane of the pretrained map W₀ and the fit to the new task, routes "
             "from that fit as λ grows to 0.6, dots at 0.3 and 0.6: decay on W goes towards 0, to "
             f"a height of {drawn['_decay on W'].y[-1]:.2f}; L2-SP towards W₀, to "
             f"{drawn['_L2-SP'].y[-1]:.2f}; the adapter arrives there; "
             "crosses mark where its four directions die. "
             "Right, singular values of the change: under L2-SP the largest is still "
             f"{values['_sp'].at(0.6)[0]:.2f} at 0.6; of the adapter "
             f"{(values['_lora'].at(0.3) > 1e-6).sum()} are left at 0.3, "
             f"{(values['_lora'].at(0.6) > 1e-6).sum()} at 0.6.")

# %% tags=["hide-input"]
claim("04-lora-drawn", "the drawn route of the adapter ends at W₀, where its last direction dies",
      equals=0, within=1e-9, measured=[drawn["_adapter"].y[-1], drawn["_dies"].y[0]])
claim("04-lora-drawn", "L2-SP divides the singular values of the change, as drawn", equals=0,
      measured=values["_sp"].at(0.3) - np.linalg.svd(sp[6] - W_hat, compute_uv=False)[:4],
      within=1e-9)
claim("04-lora-drawn", "the adapter's dots lie on their lines", equals=0, within=1e-6,
      measured=[values["_lora"].at(at) - values["_law"].at(at) for at in lora_lams[1:]])

# %% [markdown]
# In figure 4.13 decay on $W$ heads for zero, the others for $W_0$. (In the left panel, a projection, L2-SP and the adapter
# lie on one line.) Under L2-SP the change keeps rank four. The adapter loses a direction at
# {{change[3]:.2f}}, {{change[2]:.2f}}, {{change[1]:.2f}} and {{change[0]:.2f}}. Beyond the
# last it *is* the pretrained model.
#
# What does the model answer? We learn both tasks from 300 digits, and count the unseen
# digits that get their old name, or their new one.

# %% tags=["hide-input"]
named, as_far = [], []
for parts in digit_splits:
    prepare, fit, rates = learn(parts)
    left_fit, s_fit, right_fit = np.linalg.svd(fit[order] - fit, full_matrices=False)
    less = np.maximum(s_fit - 0.3, 0)
    as_far.append(np.linalg.norm(s_fit) / np.linalg.norm(less) - 1)  # L2-SP's λ for this distance
    maps = np.array([fit[order] / 1.3, fit + (fit[order] - fit) / 1.3,
                     fit + left_fit * less @ right_fit, fit, fit[order],
                     fit + (fit[order] - fit) / (1 + as_far[-1])])
    named.append([share_of_names(parts, prepare, maps, rates[order], names)
                  for names in (range(10), np.argsort(order))])
named = np.array(named)  # (split, old or new name, map)
names_mean = named.mean(0)

# %% tags=["hide-input"]
same_lam, same_distance = (named[:, 0, 2] - named[:, 0, k] for k in (1, 5))
claim("04-lora-names", "At λ = 0.3 the adapter gives {:.2f} more of the unseen digits their old "
      "names than L2-SP does (lower end of the interval over 10 splits)",
      measured=claims.interval(same_lam).low, above=0)
claim("04-lora-distance", "At the same distance from W₀ the shares of old names under the two "
      "differ by {:.3f} (means over 10 splits)",
      measured=np.abs(same_distance.mean()), below=0.1)
claim("04-lora-distance", "in the last split L2-SP is indeed as far from W₀ as the adapter",
      measured=np.linalg.norm(maps[5] - fit) - np.linalg.norm(less), equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# At the same λ the adapter is nearly back at the old task and L2-SP is not, but that compares subtracting with
# dividing. At the same distance from $W_0$ they give nearly the same names, and differ in rank.
#
# <details>
# <summary>The shares of old and new names, and the factor α/r</summary>
#
# | trained on the new task with | λ | old names | new names |
# |---|---|---|---|
# | no penalty | 0 | {{names_mean[0, 4]:.2f}} | {{names_mean[1, 4]:.2f}} |
# | decay on $W$ | 0.3 | {{names_mean[0, 0]:.2f}} | {{names_mean[1, 0]:.2f}} |
# | L2-SP | 0.3 | {{names_mean[0, 1]:.2f}} | {{names_mean[1, 1]:.2f}} |
# | decay on the adapter | 0.3 | {{names_mean[0, 2]:.2f}} | {{names_mean[1, 2]:.2f}} |
# | L2-SP, as far from $W_0$ as the adapter | {{np.mean(as_far):.1f}} | {{names_mean[0, 5]:.2f}} | {{names_mean[1, 5]:.2f}} |
# | not tuned: $W_0$ | | {{names_mean[0, 3]:.2f}} | {{names_mean[1, 3]:.2f}} |
#
# Digits 5 to 9 keep their names, so {{names_mean[0, 4]:.2f}} means that nothing is left of the old task. Decay on $W$
# changes hardly a name, and hardly could: it divides all scores by the same number, but for their offsets. Many libraries write the change as $\frac\alpha rUV^\top$. Then λ acts like $\lambda r/\alpha$ in (4.12).
#
# </details>
#
# **Under AdamW, with which most adapters are trained, decay does much less.** Take λ = 0.01, PyTorch's default. By (4.11) a live
# direction loses λ times a typical gradient. A direction without a gradient decays by $1-\eta\lambda$ a step in
# each factor: at η = 0.0001 that is {{100 * (1 - (1 - 0.01 * 0.0001) ** 10_000):.0f}} % in 10,000 steps.
#
# ## 4.12 In practice
#
# **A network.** One extra line after `step()` makes exact zeros. Momentum μ lengthens steps
# by the factor $1/(1-\mu)$ in the long run, so the threshold is $\kappa = \eta\lambda/(1-\mu)$ (exercise 9). If a schedule changes η, $\kappa$ must
# follow it. We train several networks at once: the first axis of each tensor is the network.

# %%
def train_networks(layers, x, labels, kappa=0.0, l1=0.0, optimizer=None):
    W1, b1, W2, b2 = layers
    optimizer = optimizer or torch.optim.SGD(layers, lr=0.05, momentum=0.9)
    for _ in range(30):
        for rows in torch.randperm(x.shape[1]).split(50):
            optimizer.zero_grad()
            answers = (x[:, rows] @ W1.mT + b1).relu() @ W2.mT + b2
            loss = cross_entropy(answers.flatten(0, 1), labels[:, rows].flatten(), reduction="sum")
            (loss / 50 + sum((l1 * w.abs()).sum() for w in (W1, W2))).backward()
            optimizer.step()
            with torch.no_grad():
                for w in (W1, W2):
                    w.copy_(w.sign() * (w.abs() - kappa).clamp(min=0))  # the extra line
    return layers

# %% [markdown]
# They learn from 300 digits, at three values of λ. Rivals are trained with L1 in the loss or without a penalty, and then *cut*: as many weights,
# the smallest, are set to zero. Some are trained again without a penalty, with the zeros held.

# %% tags=["hide-input"]
def new_networks(count):
    """Layers as torch starts them, count copies for each seed along the first axis."""
    stacks = [[], [], [], []]
    for seed in seeds(5):
        torch.manual_seed(seed)
        layers = torch.nn.Linear(64, 50).double(), torch.nn.Linear(50, 10).double()
        starts = [w.detach() for layer in layers for w in (layer.weight, layer.bias)]
        for stack, w in zip(stacks, starts, strict=True):
            stack += [w.reshape(-1, w.shape[-1])] * count
    return [torch.stack(stack).requires_grad_() for stack in stacks]

# %% tags=["hide-input"]
def sizes_of(layers):
    return torch.cat([layers[k].detach().abs().flatten(1) for k in (0, 2)], 1)


def pick(layers, which):
    """Networks number `which` of each seed, as new layers."""
    return [w.detach().unflatten(0, (5, -1))[:, which].flatten(0, 1) for w in layers]

# %% tags=["hide-input"]
def cut_smallest(layers, counts):
    limits = sizes_of(layers).sort(1).values.gather(1, counts[:, None])[..., None]
    W1, b1, W2, b2 = layers
    return [W1 * (W1.abs() >= limits), b1, W2 * (W2.abs() >= limits), b2]


def train_again(layers, x, labels):
    layers = [w.clone().requires_grad_() for w in layers]
    for w in (layers[0], layers[2]):
        w.register_hook(partial(torch.mul, w.detach() != 0))
    return train_networks(layers, x, labels)

# %% tags=["hide-input"]
def share_right(layers):
    """Share of unseen digits that each network gets right: (seed, network)."""
    def guess(W1, b1, W2, b2, x):
        return (np.maximum(x @ W1.mT + b1, 0) @ W2.mT + b2).argmax(-1)

    by_seed = zip(*(w.detach().unflatten(0, (5, -1)).numpy() for w in layers), strict=True)
    return 1 - np.array([parts.test_loss(partial(guess, *each), np.not_equal, each=True)
                         for parts, each in zip(network_splits, by_seed, strict=True)])

# %% tags=["hide-input"]
def many(count):
    return [each.repeat_interleave(count, 0) for each in (x_train, digit_train)]


network_splits = [split(digits.X / 6, digits.y, train=300, test=len(Z) - 300, seed=seed)
                  for seed in seeds(5)]
x_train = torch.tensor(np.array([parts.train.X for parts in network_splits]))
digit_train = torch.tensor(np.array([parts.train.y for parts in network_splits])).long()
net_lams, column = torch.tensor([0.002, 0.004, 0.008]), (slice(None), None, None)
none = torch.zeros(4)
kappas = torch.cat([0.05 * net_lams / (1 - 0.9), none]).repeat(5)[column]
in_loss = torch.cat([none, net_lams]).repeat(5)[column]
trained = train_networks(new_networks(7), *many(7), kappas, in_loss)

# %% tags=["hide-input"]
sparse, free, by_l1 = (pick(trained, which) for which in ([0, 1, 2], [3, 3, 3], [4, 5, 6]))
counts = (sizes_of(sparse) == 0).sum(1)
cut, cut_l1 = cut_smallest(free, counts), cut_smallest(by_l1, counts)
second = train_again([torch.cat(pair) for pair in zip(sparse, cut, strict=True)],
                     *(torch.cat([each, each]) for each in many(3)))
refit, pruned = ([w[part] for w in second] for part in (slice(15), slice(15, 30)))
start = new_networks(1)
adam_sparse = train_networks(start, *many(1), 0.003 * 0.2, 0, torch.optim.Adam(start, lr=0.003))
results = {"proximal, trained again": refit, "proximal": sparse, "L1 in the loss, cut": cut_l1,
           "cut, trained again": pruned, "cut": cut}
right_of = {name: share_right(each) for name, each in results.items()}
free_right, adam_right = share_right(pick(trained, [3])), share_right(adam_sparse)
percent = counts.reshape(5, 3).double().mean(0).numpy() / 37
adam_percent = (sizes_of(adam_sparse) == 0).sum().item() / 5 / 37

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 3.2))
looks = ((figures.SKY, "o-"), (figures.BLUE, "s-"), (figures.ORANGE, "^--"),
         (figures.GREEN, "v:"), (figures.GREY, "o-"))
for (name, each), (color, look) in zip(right_of.items(), looks, strict=True):
    ax.plot([0, *percent], [free_right.mean(), *each.mean(0)], look, color=color, ms=5, label=name)
ax.plot(adam_percent, adam_right.mean(), "*", ms=10, color="black", label="Adam, soft-thresholded")
ax.set(xlabel="weights that are zero, %", ylabel="accuracy on unseen digits", ylim=(0.86, 0.945))
ax.legend(loc="lower left", fontsize=8)
ax.set_title("Weights can go, if the others may adapt")
drawn = figures.drawn(ax)
figures.show(fig, "Accuracy on unseen digits against the share of zeros, means of five splits. All "
             f"curves begin at {drawn['cut'].y[0]:.3f}. At {drawn['cut'].x[-1]:.0f} % zeros "
             f"proximal steps have {drawn['proximal'].y[-1]:.3f}, L1 in the loss with a cut "
             f"{drawn['L1 in the loss, cut'].y[-1]:.3f}, a cut with a second training "
             f"{drawn['cut, trained again'].y[-1]:.3f}. Proximal steps with a second "
             f"training have {drawn['proximal, trained again'].y[-1]:.3f}. The curve of a cut "
             f"alone leaves the frame and ends at {drawn['cut'].y[-1]:.2f}.")

# %% tags=["hide-input"]
gain = {name: (right_of["proximal"] - right_of[name])[:, 2].mean() for name in right_of}
claim("04-network", "With as many zeros, at λ = 0.008, proximal steps classify {:.2f} more of the "
      "unseen digits correctly than weights that are cut once (mean of five splits)",
      measured=gain["cut"], above=0)
near = [gain[name] for name in ("proximal", "L1 in the loss, cut", "cut, trained again")]
claim("04-network", "proximal steps, L1 in the loss with a cut, and a cut with a second training "
      "differ by less than 0.05", measured=float(np.ptp(near) < 0.05), equals=1, within=1e-9)
claim("04-debias", "A second training without the penalty, with the zeros held, adds {:.3f} to the "
      "accuracy of proximal steps at λ = 0.008 (mean of five splits)",
      measured=-gain["proximal, trained again"], above=0)
claim("04-adam-zeros", "Adam with a soft threshold makes more than 5 % of the weights exactly zero",
      measured=float(adam_percent > 5), equals=1, within=1e-9)
claim("04-network-zeros", "the rivals have as many zeros, and a second training keeps them",
      equals=0, within=1e-9, measured=[((sizes_of(each) == 0).sum(1) - counts).double().numpy()
                                       for each in results.values()])
moved = [((sizes_of(late) == 0) != (sizes_of(early) == 0)).sum().item()
         for early, late in ((sparse, refit), (cut, pruned))]
claim("04-network-zeros", "it keeps each zero in its place", measured=moved, equals=0, within=1e-9)

# %% tags=["hide-input"]
w_momentum = torch.zeros(64, dtype=torch.float64, requires_grad=True)
heavy = torch.optim.SGD([w_momentum], lr=0.02, momentum=0.9)
for _ in range(1000):
    heavy.zero_grad()
    (w_momentum @ gram @ w_momentum / 2 - moment @ w_momentum).backward()
    heavy.step()
    with torch.no_grad():
        stepped = w_momentum.numpy(force=True)
        w_momentum.copy_(torch.tensor(soft(stepped, 0.02 * lam / (1 - 0.9))))

# %% tags=["hide-input"]
claim("04-momentum", "with momentum the threshold ηλ/(1 − μ) leads to the Lasso",
      measured=w_momentum.detach().numpy() - w_lasso, equals=0, within=1e-6)
claims.identities()

# %% [markdown]
# In figure 4.14 a cut alone is much worse. Proximal steps, L1 in the loss with a
# cut at the end, and a cut with a second training lie within {{np.ptp(near):.3f}} of each other; proximal steps need one training and no cut-off.
# A second training (*debiasing*) adds {{-gain["proximal, trained again"]:.3f}} to proximal steps: L1 shrinks the weights
# that it keeps, and the second training undoes that. (L1 in the loss with a second training we did not run.)
#
# **Adam and AdamW.** Set `weight_decay=0` and soft-threshold by $\eta\lambda$ after `step()`, a decoupled L1. You get exact zeros, but not the
# Lasso's. By the argument of §4.10 a weight settles where $|g_i| = \lambda\sqrt{\hat v_i}$. So λ is in units of each weight's
# typical gradient. (The star in the figure has λ = 0.2 and η = 0.003, the only values tried.)
#
# | you want | take | exact zeros |
# |---|---|---|
# | all inputs, less noise | ridge | none |
# | few inputs | Lasso: a soft threshold after `step()` | single weights |
# | few inputs, near copies together | elastic net | single weights |
# | fewer neurons or heads | one norm for each group (exercise 9) | whole groups |
# | a low rank | decay on two factors, by SGD | directions, in the limit |
#
# **scikit-learn** minimises, for an elastic net, the loss plus `alpha * l1_ratio` times $\sum|w_i|$ plus `alpha * (1 - l1_ratio) / 2` times
# $\sum w_i^2$. Standardise the inputs, and search `alpha` on held-out data from $\lambda_{\max}$ of (4.5), divided by `l1_ratio`, down to a thousandth of it.
#
# ## 4.13 Myths and limits
#
# - *Add `lam * w.abs().sum()` to the loss and the weights become sparse.* They stay within about $2\eta\lambda$ of zero. A cut
#   there finds {{(cut_off & zero).sum()}} of the Lasso's {{(w_lasso == 0).sum()}} zeros in §4.1, but it may delete true weights below $2\eta\lambda$.
# - *L2 never makes anything zero.* It does if a weight is a product. At $u = v = 0$ the loss has no slope, and the slope of
#   decay brings a nearby pair back if $|g| < \lambda$.
# - *Weight decay on LoRA makes the model forget.* Under SGD it makes the *adapter* forget and restores the pretrained model. Under
#   AdamW, at usual values, it did next to nothing here (inputs of curvature 1).
# - *A large λ zeroes out some layers.* After one dead layer the others in a row are useless, so decay takes them, too.
#   Only a branch beside a skip connection can vanish alone (exercise 11).
#
# *Limits.* (4.10) is exact for whitened inputs only. §4.6 is one data set with overlapping splits, and the networks are small.

# %% tags=["hide-input"]
def factors(depth, start, lr=0.1, weight_decay=0.1):
    """Gradient descent on ½(1 − w₁w₂…)² with decay; returns the product."""
    w = np.full(depth, start)
    for _ in range(3000):
        others = np.prod(w) / w
        w = w - lr * ((np.prod(w) - 1) * others + weight_decay * w)
    return np.prod(w)


roots = np.roots([-1, 0, 0, 1, -0.1])  # of w − w⁴ = λ: where three equal factors can settle
border, settled = sorted(root.real for root in roots if root.real > 0 and abs(root.imag) < 1e-9)

# %% tags=["hide-input"]
claim("04-depth", "Three factors of 0.5 with target 1 and λ = 0.1 settle at a product of {}",
      measured=factors(3, 0.5), equals=settled**3, within=1e-4)
claim("04-depth", "two factors, even from 0.05, at 1 − λ",
      measured=factors(2, 0.05), equals=0.9, within=1e-9)
claim("04-depth", "three factors from 0.05 and from just below the border: zero",
      measured=[factors(3, 0.05), factors(3, 0.99 * border)], equals=0, within=1e-6)
claim("04-depth", "three factors from just above the border: the cube of the other root",
      measured=factors(3, 1.01 * border) - settled**3, equals=0, within=1e-6)

# %% tags=["hide-input"]
mlp = torch.nn.Sequential(torch.nn.Linear(61, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10))
alive = mlp.double()(whitened).std(0)
torch.nn.init.zeros_(mlp[2].weight)
claim("04-dead", "with one dead layer in a row the outputs of all digits are the same",
      measured=mlp(whitened).std(0), equals=0, within=1e-12)
assert alive.min() > 0.01, "before, every output differs from digit to digit"
claims.identities()

# %% [markdown]
# ## 4.14 Exercises
#
# **1.** (One line each.) Minimise $\frac12\lVert w-z\rVert^2$ for $z = (3, -0.5, 1)$ plus, at λ = 1, $\lambda\sum|w_i|$, $\frac\lambda2\lVert w\rVert^2$ or
# $\lambda\lVert w\rVert$. For the last one, derive (4.7).
#
# <details>
# <summary>Solution</summary>
#
# For a given length $r$ of $w$ the distance to $z$ is smallest if $w$ points along $z$. That leaves
# $\frac12(r-\lVert z\rVert)^2+\lambda r$ with $r\ge0$, whose minimum is $\operatorname{soft}(\lVert z\rVert, \lambda)$. So the three
# minima are $({{soft(z, 1)[0]:.0f}}, {{abs(soft(z, 1)[1]):.0f}}, {{soft(z, 1)[2]:.0f}})$; half of $z$; and, with
# $\lVert z\rVert = {{length:.2f}}$ by (4.7), ${{1 - 1 / length:.3f}}\,z = ({{w_one[0]:.2f}}, {{w_one[1]:.2f}}, {{w_one[2]:.2f}})$.
#
# </details>
#
# **2.** A colleague penalises $\lambda(\lVert U\rVert_F^2+\lVert V\rVert_F^2)$ with $\lambda = 0.1$ on the digits of
# §4.9. How many directions survive? And under `weight_decay=0.1`?
#
# <details>
# <summary>Solution</summary>
#
# Without the ½ the nuclear norm has the coefficient $2\lambda = 0.2$, and {{(s_hat > 0.2).sum()}} of the
# $\hat s_i$ are above it: `(s_hat > 0.2).sum()`. `weight_decay` has the ½ built in; all {{(s_hat > 0.1).sum()}} that are not zero are above 0.1.
#
# </details>
#
# **3.** (Proof.) Let $p = uv$ with $u = v$ and $p(0) > 0$ follow gradient flow on $\frac12(uv-\hat s)^2+\frac\lambda2(u^2+v^2)$. Where does $p$
# end, and how fast?
#
# <details>
# <summary>Solution</summary>
#
# $\dot u = -(p-\hat s)v-\lambda u$, so $\dot p = 2p\,(\hat s-\lambda-p)$. For $\hat s > \lambda$ it ends at $\hat s-\lambda$, near which the distance
# falls at the rate $2(\hat s-\lambda)$. For $\hat s<\lambda$ it ends at 0, at the rate $2(\lambda-\hat s)$. At $\hat s = \lambda$ it creeps like
# $1/(2t)$. All this needs $p(0)>0$: from $u = v = 0$ nothing moves. An adapter starts with one factor zero and the other not. Then $p = 0$ but
# $\dot p = \hat s\,(u^2+v^2) > 0$, and the difference $u^2-v^2$ dies like $e^{-2\lambda t}$.
#
# </details>
#
# **4.** (Proof.) Minimise $\frac12(1-w_1w_2w_3)^2+\frac\lambda2\sum w_k^2$. Show that zero is a local minimum for every $\lambda>0$.
# From which equal start does gradient flow leave it behind, for λ = 0.1 and 0.5?
#
# <details>
# <summary>Solution</summary>
#
# Near zero the loss is $\frac12 - w_1w_2w_3+\dots$: its change is of third order, the penalty of second. With equal
# factors the slope is $-(1-w^3)w^2+\lambda w$, negative when $w - w^4 > \lambda$. For λ = 0.1 that is from $w\approx {{border:.4f}}$ on, up to the second
# valley at {{settled:.2f}}. (Starts above {{settled:.2f}} come down to it.) But $w-w^4$ is at most {{4 ** (-1 / 3) * 3 / 4:.4f}}, at $w = 4^{-1/3}$. So for
# λ = 0.5 there is no second valley.
#
# </details>
#
# **5.** (Predict, then run.) Replace BMI by two noisy copies of it, `ten[:, 2] + 0.1 * noise` with two draws
# `noise = rng.standard_normal(n)` from `rng = np.random.default_rng(k)`, standardise them, and use `proximal` with `l1=5`, and `l2=0` or `l2=5`. How will the two
# share the weight? Repeat 20 times.
#
# <details>
# <summary>Solution</summary>
#
# For `k` in `range(20)` the Lasso gives one of the two exactly nothing in 10 of 20 repetitions. The first copy has the larger weight in 8: the noise
# decides, and with other draws the counts vary.
# The elastic net gives both nearly the same weight, within 3.5 % every time: under a squared penalty two halves cost less than one whole.
#
# </details>
#
# **6.** At $w_i = 0$ choose $\xi = -g_i/\lambda$, clipped to $[-1, 1]$, and start
# from zero. Which weights stay there? Can this choice *make* a zero?
#
# <details>
# <summary>Solution</summary>
#
# A weight stays at zero as long as $|g_i|\le\lambda$, since its step is then zero. But a weight that has left comes
# back only by hopping across. So the choice keeps zeros and makes none. Weights that leave early and should return are lost:
# of the Lasso's 53 zeros it keeps 5. Try it in `subgradient`: `np.where(w == 0, np.clip(-(H @ w - q) / lam, -1, 1), np.sign(w))`.
#
# </details>
#
# **7.** (Hard: read this log. Hint for the fourth entry: by exercise 3, how does $1/p$ change?) An adapter $UV^\top$ is trained by SGD on whitened inputs with `weight_decay=0.1`. Which change did the data want, and which entry is
# still on its way?
#
# ```text
# step 1000   singular values 0.812  0.344  0.051  0.0040  0.0000
# step 2000   singular values 0.812  0.344  0.051  0.0005  0.0000
# ```
#
# <details>
# <summary>Solution</summary>
#
# Add λ: {{0.812 + 0.1:.3f}}, {{0.344 + 0.1:.3f}} and {{0.051 + 0.1:.3f}} have settled. The fourth falls by a factor of 8 in 1,000 steps. Does it die, or does it creep to a tiny
# positive end? By exercise 3, $q = 1/p$ obeys $\dot q = 2-2(\hat s-\lambda)q$. If $\hat s\ge\lambda$, a rising $q$ rises ever more slowly: it is concave. This
# holds once the factors are balanced. If that is so from step 500 on, where $q>0$, then $q$ at most triples from step 1,000 to step 2,000.
# It grew by a factor of 8. So $\hat s<\lambda$: the fourth dies, and the data wanted less than 0.1 of it. The fifth was below 0.1 as well and may have been zero.
#
# </details>
#
# **8.** (Your own network.) For each attention head or adapter compute the singular values of the
# product of its two matrices. How many are above a hundredth of the largest, with and without weight decay?
#
# <details>
# <summary>What to look for</summary>
#
# Under AdamW do not expect zeros (§4.10). Compare λ times a typical $\sqrt{\hat v}$ with the singular values. If it is much smaller, decay did nothing to the rank.
#
# </details>
#
# **9.** (Proof and code.) SGD with momentum keeps $m\leftarrow\mu m+g$ and takes $\operatorname{soft}(w-\eta m, \kappa)$. Show
# that it can only settle at the Lasso if $\kappa = \eta\lambda/(1-\mu)$. Then change the extra line of §4.12 so that it clears all weights into a hidden unit at once.
#
# <details>
# <summary>Solution</summary>
#
# If nothing changes, $m = g/(1-\mu)$. A weight that is not zero stays if $\eta m_i = -\kappa\,\mathrm{sign}(w_i)$, so
# $|g_i| = \kappa(1-\mu)/\eta$, which must be λ. Zeros stay if $\eta|m_i|\le\kappa$, which is then $|g_i|\le\lambda$. The weights into a hidden
# unit are a row of `W1`, of 64 entries, and (4.7) with $\kappa\sqrt{64}$ is the step
# `W1.mul_((1 - 8 * kappa / W1.norm(dim=-1, keepdim=True)).clamp(min=0))`. (A row of zeros stays zero, as $\kappa/0 = \infty$ is clamped; only $\kappa = 0$
# gives NaN there.) The unit keeps its bias $b$, and so a constant output $\mathrm{relu}(b)$, which you can add to the next layer's biases.
#
# </details>
#
# **10.** (Predict.) Near the end of a training the gradients are mostly noise of the minibatches. Which λ does AdamW need with batches of 400
# to take as much from the singular values as λ = 4 does with batches of 100? Check the rule on the claim of §4.10 about batches of 25.
#
# <details>
# <summary>Solution</summary>
#
# Noise of a mean over $B$ examples has the size $1/\sqrt B$, and so have $a$ and $b$. If all is noise, $\sqrt{ab}$ is halved, so λ must be 8, and batches of 25 take twice as much as those
# of 100. Measured was a little less than twice: $\sqrt{\hat v}$ is not all noise, and λ about 7 to 8.
#
# </details>
#
# **11.** (Proof. Hint: a convex function lies above its tangents.) Let $f(x) = w^\top x+b+\sum_jv_j\,\mathrm{relu}(u_j^\top x)$, with the penalty $\frac\lambda2\sum_j(\lVert u_j\rVert^2+v_j^2)$ on the branch alone, and half the
# mean squared error. Let $r_i$ be the residuals of the best skip. Show that the branch is zero at the minimum if and only if
#
# $$\lambda\;\ge\;\lambda_{\max} = \max_{\lVert\phi\rVert = 1}\Big|\frac1n\sum_ir_i\,\mathrm{relu}(\phi^\top x_i)\Big|. \tag{4.13}$$
#
# <details>
# <summary>Solution</summary>
#
# 1. By (4.8) a unit in the direction $\phi = u/\lVert u\rVert$ costs at least $\lambda\lVert u\rVert|v|$.
# 2. Adding a branch $h$ to the best skip $f_0$, and moving the skip, changes the convex loss by at least its slope. The skip adds nothing to the slope, because $f_0$ is optimal there.
# 3. The slope of one unit is $-\lVert u\rVert v$ times the mean of $r_i\,\mathrm{relu}(\phi^\top x_i)$. If $\lambda\ge\lambda_{\max}$, the cost is never less than what this gains.
# 4. If $\lambda<\lambda_{\max}$, take the best $\phi$ and a tiny unit. It gains in proportion to $\lVert u\rVert|v|$, and the remainder is of second order in that. So it pays.
#
# </details>
#
# ## 4.15 The sources, line by line
#
# This table says what became of four sentences of the book's sources.

# %%
verdict("S2-12", "answered",
        "Its weight_decay is L2. L1 can be added to the loss, or be had from weight_decay on the "
        "factors of each weight; neither gives exact zeros. A proximal step after each step does.")
verdict("S2-15", "under conditions",
        "Any slope in [−1, 1] is right at 0, and PyTorch's 0 is one. But steps jump across zero "
        "and do not land on it: for zeros use a proximal step, sign(z)·max(|z| − ηλ, 0).")

# %%
verdict("S3-05", "convention",
        "With Frobenius norms it is the flat sum of squares, biases left out. With spectral norms "
        "it would be another penalty.")
verdict("S3-11", "under conditions",
        "Not a single layer. Two linear layers lose directions, and finally everything, at λ that "
        "can be predicted (under SGD; AdamW leaves a residue); layers in a row go together; a "
        "branch with a skip can go alone.")
claims.verdicts()

# %% [markdown]
# ## Where next, and sources
#
# [Chapter 5](05_size_normalisation.ipynb) uses (4.8) again, to balance layers of any size.
#
# [Tibshirani (1996)](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x),
# [Zou and Hastie (2005)](https://doi.org/10.1111/j.1467-9868.2005.00503.x),
# [Yuan and Lin (2006)](https://doi.org/10.1111/j.1467-9868.2005.00532.x): Lasso, elastic net, group Lasso.
# [Beck and Teboulle (2009)](https://doi.org/10.1137/080716542): proximal steps.
# [Hoff (2017)](https://doi.org/10.1016/j.csda.2017.06.007),
# [Srebro, Rennie and Jaakkola (2004)](https://proceedings.neurips.cc/paper/2004/hash/e0688d13958a19e087e123148555e4b4-Abstract.html): two
# factors.
# [Hu et al. (2022)](https://arxiv.org/abs/2106.09685), [Li, Grandvalet and Davoine (2018)](https://arxiv.org/abs/1802.01483),
# [Kobayashi, Akram and von Oswald (2024)](https://arxiv.org/abs/2410.23819): LoRA, L2-SP, attention.
