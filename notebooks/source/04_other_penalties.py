# %% [markdown]
# # 4 Other penalties
#
# Why square the weights? An L1 penalty $\lambda\sum_i|w_i|$ is said to make weights exactly zero, an L2 penalty is
# said never to. Both sayings fail in ordinary code. This chapter finds out what decides: the penalty, the step that
# minimises it, and the number of factors a weight is made of. Afterwards you can get exact zeros when you want them,
# say which norm a line of code computes, and predict at which λ a direction, or a whole layer, disappears.
#
# *Reading time 25 minutes; the code runs in about 10 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.penalty import ridge
from l2lib.sweep import MLP

# %% [markdown]
# ## 4.1 A puzzle: zeros in the wrong place
#
# First, L1. The diabetes patients of [chapter 1](01_what_an_l2_penalty_does.ipynb) with {{below: X.shape[1]}} inputs: ten measurements,
# their squares and products. `torch.optim.SGD` has no L1 penalty; its `weight_decay` is L2. So we do what forums
# advise and add $\lambda\sum_i|w_i|$ to the loss, with $\lambda = {{below: lam:.0f}}$. The step of SGD is short enough to write out;
# [chapter 2](02_from_penalty_to_weight_decay.ipynb) checked it against PyTorch's.

# %%
data = load("diabetes")
ten = (data.X - data.X.mean(0)) / data.X.std(0)

# %%
i, j = np.triu_indices(10)
i, j = np.stack([i, j])[:, (i != 1) | (j != 1)]  # column 1 is sex, whose square says nothing new
X = np.hstack([ten, ten[:, i] * ten[:, j]])
X = (X - X.mean(0)) / X.std(0)
y, n, lam = data.y - data.y.mean(), len(X), 5.0

# %%
assert X.shape[1] == 10 + 9 + 10 * 9 // 2  # ten, their squares but for one's, their products
claim("04-standard", "each input has mean 0 and mean square 1",
      measured=[X.mean(0), np.square(X).mean(0) - 1], equals=0, within=1e-9)


# %%
def sgd(parameters, loss, lr, weight_decay=0.0):
    """The step of torch.optim.SGD."""
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for w, g in zip(parameters, gradients, strict=True):
            w -= lr * (g + weight_decay * w)


# %%
inputs, targets = torch.tensor(X), torch.tensor(y)
w = torch.zeros(64, dtype=torch.float64, requires_grad=True)
for _ in range(2000):
    loss = (inputs @ w - targets).square().mean() / 2
    sgd([w], loss + lam * w.abs().sum(), lr=0.02)
by_autograd = w.detach().numpy()

# %% [markdown]
# Then, L2. A linear map from the pixels of a handwritten digit to ten scores, one for each class, written as a product
# of two matrices: $W = AB$. To keep the mathematics clean the pixels are *whitened*: mixed linearly until they are
# uncorrelated with variance 1. (Left out are {{below: digits.X.shape[1] - pixels.shape[1]}} of
# the {{below: digits.X.shape[1]}} pixels, which are always blank.) Nothing but plain weight decay:

# %%
digits = load("digits")
pixels = digits.X[:, digits.X.std(0) > 0]
U, _, Vt = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
Z = np.sqrt(len(U)) * U @ Vt  # whitened: ZᵀZ/n is the identity
Y = np.eye(10)[digits.y] - np.eye(10)[digits.y].mean(0)
claim("04-white", "the whitened pixels: mean 0, and ZᵀZ/n is the identity",
      measured=np.vstack([Z.mean(0), Z.T @ Z / len(Z) - np.eye(61)]), equals=0, within=1e-9)

# %%
start = MLP((61, 16, 10), bias=False).initial(seeds(1)[0])
A, B = (torch.tensor(start[name], requires_grad=True) for name in ("weight1", "weight0"))
for _ in range(1200):
    error = torch.tensor(Z) @ (A @ B).T - torch.tensor(Y)
    sgd([A, B], error.square().sum(1).mean() / 2, lr=1, weight_decay=0.24)
strengths = torch.linalg.svdvals((A @ B).detach()).numpy()

# %%
fig, (left, right) = figures.subplots(1, 2)
sizes = np.sort(np.abs(by_autograd))[::-1]
left.semilogy(sizes, "o", ms=4, label="_L1")
left.set(xlabel="weight, by size", ylabel="size of the weight", ylim=(1e-14, 100))
right.semilogy(range(1, 11), np.maximum(strengths, 1e-13), "o", color=figures.ORANGE, label="_L2")
right.set(xlabel="direction, by strength", ylabel="singular value of AB", ylim=(1e-14, 100))
of_l1, of_l2 = figures.drawn(left)["_L1"].y, figures.drawn(right)["_L2"].y
there, tail = of_l2[of_l2 > 1e-6], of_l1[20:].max()
left.set_title(f"L1: {(of_l1 == 0).sum()} zeros in {of_l1.size}")
right.set_title(f"L2: {of_l2.size - there.size} directions are gone")
figures.show(fig, f"Two panels with logarithmic axes. Left, the {of_l1.size} weights under L1 in "
             f"order of size: they fall from {of_l1[0]:.0f}, most are below {tail:.2f}, and none "
             f"is 0. Right, the {of_l2.size} singular values of AB under L2: {there.size} between "
             f"{there.min():.3f} and {there.max():.3f}, the others are practically zero.")

# %%
claim("04-puzzle", "L1 added to the loss: {} exact zeros among 64 weights",
      measured=(by_autograd == 0).sum(), equals=0)
claim("04-puzzle", "L2 on two factors: the first six singular values of the product, smallest",
      measured=strengths[:6], above=0.005)
claim("04-puzzle", "… and the others are zero", measured=strengths[6:], equals=0, within=1e-6)
drawn = [of_l1[0] - np.abs(by_autograd).max(), *np.maximum(strengths, 1e-13) - of_l2]
claim("04-puzzle-drawn", "the picture shows the largest weight first, and each singular value",
      measured=drawn, equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# The penalty that should give zeros gives none. The one that cannot give zeros has deleted
# {{(strengths < 1e-6).sum()}} directions out of {{len(strengths)}}. (One of them nobody asked for: the centred scores of a
# digit sum to zero. The data do ask for the other {{(strengths < 1e-6).sum() - 1}}.) Both results can be predicted, the
# second with its numbers.
#
# ## 4.2 One weight
#
# Let $z$ be the value that the data ask for, and minimise $\frac12(w-z)^2 + \lambda|w|$.
#
# 1. Just right of 0 the slope is $-z+\lambda$, just left of it $-z-\lambda$. So $w = 0$ is the minimum if and only if
#    $-z-\lambda\le 0\le -z+\lambda$, that is $|z|\le\lambda$.
# 2. Otherwise $w$ has the sign of $z$, and a zero derivative says $w = z - \lambda\,\mathrm{sign}(z)$.
#
# Both cases in one formula, called *soft thresholding*, beside the minimum of $\frac12(w-z)^2+\frac\lambda2w^2$:
#
# $$\text{L1: } S_\lambda(z) = \mathrm{sign}(z)\,\max(|z|-\lambda, 0), \qquad \text{L2: } \frac{z}{1+\lambda}. \tag{4.1}$$
#
# L1 takes the same *amount* from every weight, L2 the same *share*. An amount can be all there is; a share of
# something is never all of it. We let a computer try {{below: len(candidates):,}} candidates for each $z$:


# %%
def soft(z, amount):
    return np.sign(z) * np.maximum(np.abs(z) - amount, 0)


candidates, asked = np.linspace(-2, 2, 4001), np.linspace(-2, 2, 41)
fit = (candidates - asked[:, None]) ** 2 / 2
best_l1 = candidates[(fit + 0.7 * np.abs(candidates)).argmin(1)]
best_l2 = candidates[(fit + 0.7 / 2 * candidates**2).argmin(1)]

# %%
fig, ax = figures.subplots(figsize=(6, 3.3))
for name, formula, found, color in (("L1", soft(asked, 0.7), best_l1, figures.BLUE),
                                    ("L2", asked / 1.7, best_l2, figures.ORANGE)):
    ax.plot(asked, formula, color=color, label=f"_{name}")
    ax.text(1.4, formula[34] + (0.2 if name == "L2" else -0.25), name, color=color)
    ax.plot(asked[::2], found[::2], "o", ms=4, color=color, label=f"_{name} found")
span = ax.axvspan(-0.7, 0.7, color=figures.GREY, alpha=0.1, lw=0)
ax.set(xlabel="z, what the data ask for", ylabel="weight at the minimum", xlim=(-2, 2))
ax.text(0, -1.2, "|z| ≤ λ", ha="center", color=figures.GREY)
ax.set_title("L1 takes an amount, L2 a share")
drawn = figures.drawn(ax)
line, flat = drawn["_L2"], drawn["_L1"].x[np.abs(drawn["_L1"].y) < 1e-9]
figures.show(fig, "Weight against what the data ask for, at λ = 0.7. The L2 line is straight with "
             f"slope {line.at(2) / 2:.2f} and is zero at zero only. The L1 line is zero from "
             f"{flat.min():.1f} to {flat.max():.1f} and has slope 1 outside. Dots found by brute "
             "force lie on both.")

# %%
claim("04-soft", "L1: brute force finds (4.1), which is always one of the candidates",
      measured=best_l1 - soft(asked, 0.7), equals=0, within=1e-9)
claim("04-share", "L2: brute force against (4.1), largest difference (candidates are 0.001 apart)",
      measured=best_l2 - asked / 1.7, equals=0, within=0.0005001)
claim("04-one-weight", "the line of L1 is what brute force finds; outside it lies λ from z",
      measured=[*drawn["_L1"].y - best_l1, *np.abs(asked - drawn["_L1"].y)[[0, -1]] - 0.7],
      equals=0, within=1e-9)

# %%
claim("04-one-weight", "the line of L2 solves w − z + λw = 0",
      measured=1.7 * drawn["_L2"].y - drawn["_L2"].x, equals=0, within=1e-9)
claim("04-one-weight", "the dots of L1, and those of L2, are every second one that was found",
      measured=[drawn["_L1 found"].y - best_l1[::2], drawn["_L2 found"].y - best_l2[::2]],
      equals=0, within=1e-12)
claim("04-span", "the grey band ends at λ, where the line of L1 leaves zero",
      measured=[span.get_x() - flat.min(), span.get_x() + span.get_width() - flat.max()],
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 4.3 Which slope at zero?
#
# $|w|$ has no derivative at 0. L1, says a forum, "is applicable if you specify how to handle the in-differentiable case
# (x=0)". What may one put there? A number $s$ serves as a slope at 0 if the line $sw$ nowhere lies above $|w|$; it is then called a *subgradient*. The line fits
# under the V exactly when $-1\le s\le 1$. PyTorch takes 0.

# %%
slopes = np.linspace(-2, 2, 401)
fits = (np.abs(candidates) >= slopes[:, None] * candidates - 1e-12).all(1)
claim("S2-15", "the largest slope of a line through 0 that stays below |w|",
      measured=slopes[fits].max(), equals=1, within=1e-9)
claim("S2-15", "… and the smallest", measured=slopes[fits].min(), equals=-1, within=1e-9)

# %%
edge = torch.tensor([-1e-9, 0.0, 1e-9], dtype=torch.float64, requires_grad=True)
(chosen,) = torch.autograd.grad(edge.abs().sum(), edge)
claim("04-torch-zero", "PyTorch's slopes of |w| left of 0, at 0, and right of it are −1, 0 and 1",
      measured=chosen - torch.tensor([-1.0, 0.0, 1.0]), equals=0, within=1e-15)

# %% [markdown]
# So handling zero is easy, and it does not help: training hardly ever visits it. Take a weight that belongs at 0, where
# the loss has slope $g$ with $|g| < \lambda$. The step is $-\eta(g+\lambda)$ right of zero and $\eta(\lambda - g)$ left
# of it. Both lead towards zero and, from near it, *across*: only by accident does one land *on* it. The weight hops to
# and fro, at most
#
# $$\eta\,(\lambda + |g|) < 2\eta\lambda \tag{4.2}$$
#
# away (a little more when other weights hop and shake $g$). A smaller η makes smaller hops, and no zeros. Four choices
# of $s$:


# %%
H, q = X.T @ X / n, X.T @ y / n  # the gradient of the loss is Hw - q


def subgradient(lr, steps, at_zero=0.0):
    w = np.zeros(64)
    for _ in range(steps):
        s = np.where(w == 0, at_zero, np.sign(w))
        w = w - lr * (H @ w - q + lam * s)
    return w


# %%
four = [subgradient(0.02, 2000, at_zero) for at_zero in (-1, 0, 0.5, 1)]
small_steps = subgradient(0.002, 20_000)
claim("04-torch-l1", "s = 0 takes the same 2,000 steps as autograd",
      measured=four[1] - by_autograd, equals=0, within=1e-8)
claim("S2-15", "four values of s at 0: exact zeros at the end, most of the four",
      measured=[(w == 0).sum() for w in four], equals=0)
apart = np.abs(np.array(four)[:, None] - np.array(four)).max(2)  # of each two
claim("S2-15", "… and they end in four different places: smallest distance of two",
      measured=apart + np.eye(4), above=0.01)
claims.identities()

# %% [markdown]
# ## 4.4 The proximal step
#
# For zeros, do not differentiate $|w|$. Step down the loss alone to $z = w - \eta g$, then solve the penalty's own
# problem *exactly*: minimise $\frac12\lVert w - z\rVert^2 + \eta\lambda\sum_i|w_i|$. That is (4.1), weight by weight:
#
# $$w \;\leftarrow\; S_{\eta\lambda}(w - \eta g). \tag{4.3}$$
#
# Where does it rest? $w = S_{\eta\lambda}(w-\eta g)$ says that $-g_i = \lambda\,\mathrm{sign}(w_i)$ where $w_i\ne 0$, and
# $|g_i|\le\lambda$ where $w_i = 0$: the conditions of a minimum, whatever η. It gets there if $\eta\le 1/\rho_{\max}$, with
# $\rho_{\max}$ the largest curvature of the loss, as in (2.4)
# ([Beck and Teboulle, 2009](https://doi.org/10.1137/080716542)). The minimum is the *Lasso*
# ([Tibshirani, 1996](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x)). Scikit-learn finds it by another method,
# with the same λ beside the same half mean square.

# %%
def proximal(lam, steps=3000):
    w, lr = np.ones(64), 1 / np.linalg.eigvalsh(H)[-1]
    for _ in range(steps):
        w = soft(w - lr * (H @ w - q), lr * lam)
    return w


# %%
from sklearn.linear_model import Lasso

w_lasso, theirs = proximal(lam), Lasso(alpha=lam, tol=1e-12, max_iter=100_000).fit(X, y)
claim("S2-12", "proximal steps and scikit-learn's Lasso: largest difference of a weight",
      measured=w_lasso - theirs.coef_, equals=0, within=1e-6)
claim("S2-12", "{} exact zeros of 64, as many as scikit-learn's",
      measured=(w_lasso == 0).sum(), equals=(theirs.coef_ == 0).sum())

# %%
slope = H @ w_lasso - q
claim("04-rest", "where w is not zero −g is λ times its sign",
      measured=(slope + lam * np.sign(w_lasso))[w_lasso != 0], equals=0, within=1e-8)
claim("04-rest", "… and where it is zero |g| is at most {:.3f} λ",
      measured=np.abs(slope[w_lasso == 0]) / lam, below=1)
claims.identities()

# %% [markdown]
# Put the three runs side by side. By (4.2) the weights that belong at zero stay below about $2\eta\lambda$:
# {{2 * 0.02 * lam:.1f}} and {{2 * 0.002 * lam:.2f}}.

# %% tags=["hide-input"]
order, zero = np.argsort(-np.abs(w_lasso), kind="stable"), w_lasso == 0
fig, ax = figures.subplots()
for w_run, lr, color in ((by_autograd, 0.02, figures.SKY), (small_steps, 0.002, figures.GREEN)):
    ax.semilogy(np.abs(w_run[order]), "o", ms=4, color=color, label=f"_η = {lr}")
    ax.plot([0, 63.5], [2 * lr * lam] * 2, "--", lw=1, color=color, label=f"_2ηλ, η = {lr}")
    ax.text(64.5, 2 * lr * lam, f"2ηλ, η = {lr}", color=color, va="center")
ax.semilogy(np.maximum(np.abs(w_lasso[order]), 2e-6), "x", color=figures.ORANGE, label="_lasso")
ax.text(30, 4e-6, "proximal: exactly 0", color=figures.ORANGE)
ax.set(xlabel="weight, by size in the Lasso", ylabel="size of the weight", xlim=(-1, 78))
ax.set_title("Subgradient steps hop around zero, a proximal step lands on it")
drawn = figures.drawn(ax)
high, low, gone = *(drawn[f"_2ηλ, η = {lr}"].y[0] for lr in (0.02, 0.002)), drawn["_lasso"].y < 1e-5
figures.show(fig, f"Sizes of {gone.size} weights on a logarithmic axis, in the order of the Lasso. "
             f"The three methods agree on the largest {(~gone).sum()}. For the other {gone.sum()} "
             "the proximal weights are exactly zero, drawn on the bottom edge; subgradient weights "
             f"lie below the dashed lines at {high:.1f} for η = 0.02 and {low:.2f} for η = 0.002.")

# %%
for lr in (0.02, 0.002):
    hops = drawn[f"_η = {lr}"].y[gone] / (lr * lam)
    claim("S2-12", f"subgradient, η = {lr}: largest weight that belongs at 0, in units of ηλ",
          measured=hops.max(), between=(1, 2.2))
claim("S2-12", "… and {} exact zeros with small steps",
      measured=(small_steps == 0).sum(), equals=0)

# %%
claim("04-hops-drawn", "the dashed lines lie at twice η times 5",
      measured=[high / (10 * 0.02), low / (10 * 0.002)], equals=1, within=1e-9)
claim("04-hops-drawn", "what is drawn as gone is exactly zero, and comes last",
      measured=(gone & zero[order])[-zero.sum():].mean(), equals=1, within=1e-9)
others = [drawn[f"_η = {lr}"].y[~gone] / drawn["_lasso"].y[~gone] for lr in (0.02, 0.002)]
claim("04-agree", "the others, subgradient over proximal (a hop is half the least): furthest",
      measured=others, equals=1, within=0.5)
claims.identities()

# %% [markdown]
# One threshold comes free. By the same conditions $w = 0$ is the minimum if and only if
# $\lambda\ge\max_i|g_i(0)|$, the largest entry of the gradient at zero.

# %%
largest = np.abs(q).max()  # at w = 0 the gradient is -q
claim("04-first", "λ just above max |gradient at 0|: {} weights that are not zero",
      measured=(proximal(1.001 * largest) != 0).sum(), equals=0)
claim("04-first", "λ just below it: the first one appears",
      measured=(proximal(0.999 * largest) != 0).sum(), equals=1)

# %% [markdown]
# More such thresholds follow, and each asks for the same thing: the size of the gradient at zero.
#
# ## 4.5 What `.norm()` penalises
#
# The forum's code calls `.norm()` the L1 norm. It is the L2 norm, as chapter 2 noted. Nor is it the L2 *penalty*: it
# is not squared. Its gradient is $w/\lVert w\rVert$, of length 1 however small the weights. Squared L2 loses its grip
# near zero; this one does not. It is an L1 penalty on the *length*: by symmetry the minimum of
# $\frac12\lVert w-z\rVert^2+\lambda\lVert w\rVert$ points along $z$, and (4.1) holds for its length:
#
# $$w = \max\Big(1-\frac{\lambda}{\lVert z\rVert}, 0\Big)\,z. \tag{4.4}$$
#
# All weights stay, or all go at once. With one such norm for each group of weights this is the *group Lasso*
# ([Yuan and Lin, 2006](https://doi.org/10.1111/j.1467-9868.2005.00532.x)), which removes whole groups. With a single
# one for all, a zero gradient says $g + \frac{\lambda}{\lVert w\rVert}w = 0$. That is ridge regression with
# $\lambda/\lVert w\rVert$ for λ, until λ reaches $\lVert g(0)\rVert$ and everything is zero.

# %%
H_10, q_10 = ten.T @ ten / n, ten.T @ y / n


def by_norm(lam, lr=0.2, steps=3000):
    w = np.ones(10)
    for _ in range(steps):
        z = w - lr * (H_10 @ w - q_10)
        w = max(1 - lr * lam / np.linalg.norm(z), 0) * z
    return w


# %%
w_norm, limit = by_norm(10), np.linalg.norm(q_10)
same = ridge(ten, y, 10 / np.linalg.norm(w_norm))[0]
claim("04-norm-ridge", "the penalty 10‖w‖ gives ridge's weights at λ = 10/‖w‖",
      measured=w_norm - same, equals=0, within=1e-8)
z = np.array([3, -0.5, 1])
length = np.linalg.norm(z)
w_one = max(1 - 1 / length, 0) * z
claim("04-group", "(4.4) at z = (3, −0.5, 1), λ = 1: the slope w − z + λw/‖w‖ is zero",
      measured=w_one - z + w_one / np.linalg.norm(w_one), equals=0, within=1e-12)

# %%
claim("04-norm-limit", "1 % above ‖gradient at 0‖: the length of w",
      measured=np.linalg.norm(by_norm(1.01 * limit)), equals=0, within=1e-15)
claim("04-norm-limit", "1 % below: {} weights of ten are not zero",
      measured=(by_norm(0.99 * limit) != 0).sum(), equals=10)

# %% [markdown]
# At zero any vector no longer than 1 is a subgradient. `.norm()` returns 0 there. Write the root out and the first
# weight vector that reaches zero turns the whole model into NaN.

# %%
point = torch.tensor([3.0, -4.0], dtype=torch.float64)
tiny = (1e-6 * point).requires_grad_()
claim("S2-06", "`.norm()` of (3, −4): the L2 norm, and not squared",
      measured=point.norm(), equals=5, within=1e-12)
claim("S2-06", "length of its gradient at a millionth of (3, −4)",
      measured=torch.autograd.grad(tiny.norm(), tiny)[0].norm(), equals=1, within=1e-12)

# %%
origin = torch.zeros(2, dtype=torch.float64, requires_grad=True)
claim("04-origin", "length of its gradient at 0",
      measured=torch.autograd.grad(origin.norm(), origin)[0].norm(), equals=0, within=1e-12)
written_out = torch.autograd.grad(origin.square().sum().sqrt(), origin)[0]
claim("04-nan", "the root written out: {} numbers of two in the gradient at 0 are NaN",
      measured=written_out.isnan().sum(), equals=2)
claims.identities()

# %% [markdown]
# ## 4.6 The norm of a matrix
#
# The penalty is "the sum of the squared norms of the weight matrices", says the lesson about L2. But which norm? Write
# $W = USV^\top$ with singular values $s_1\ge s_2\ge\dots\ge 0$. Three norms measure their list:
#
# | norm | of the singular values | what its penalty does |
# |---|---|---|
# | Frobenius $\lVert W\rVert_F$ | $\sqrt{\sum_i s_i^2}$, which is $\sqrt{\sum_{jk} W_{jk}^2}$ | squared: each $s_i$ loses a share |
# | spectral $\lVert W\rVert_2$ | $s_1$ | presses on the strongest direction only |
# | nuclear $\lVert W\rVert_*$ | $\sum_i s_i$ | each $s_i$ loses an amount: L1 for directions |
#
# The lesson means Frobenius; the flat sum of squares is equal to $\lVert W\rVert_F^2$ since $U$ and $V$ only rotate.
# The spectral norm is the most by which $W$ can stretch a vector. They differ: a random Gaussian matrix, say of shape
# $300\times100$, has $\lVert W\rVert_F\approx\sqrt{300\cdot100} = {{(300 * 100) ** 0.5:.0f}}$ and
# $\lVert W\rVert_2\approx\sqrt{300}+\sqrt{100} = {{300**0.5 + 100**0.5:.0f}}$,
# a ratio of {{(300 * 100) ** 0.5 / (300**0.5 + 100**0.5):.1f}}. Mind the code: `torch.linalg.norm(W)` and `W.norm(2)` are Frobenius, `torch.linalg.norm(W, 2)` is
# spectral.

# %%
flats, tops, spectra, squares = [], [], [], []
for seed in seeds(5):
    W = torch.tensor(np.random.default_rng(seed).standard_normal((300, 100)), requires_grad=True)
    flats.append(W.norm(2).item()), tops.append(torch.linalg.norm(W, 2).item())
    spectra.append(torch.linalg.svdvals(W).detach().numpy())
    squares.append(W.square().sum().item())
flats, tops, spectra, squares = map(np.array, (flats, tops, spectra, squares))
claim("S3-05", "sum of the squared singular values over the flat sum of squared weights",
      measured=(spectra**2).sum(1) / squares, equals=1, within=1e-12)
claim("S3-05", "`W.norm(2)` squared over the same sum: Frobenius, for all its 2",
      measured=flats**2 / squares, equals=1, within=1e-12)
claim("S3-05", "`torch.linalg.norm(W, 2)` over the largest singular value: spectral",
      measured=tops / spectra.max(1), equals=1, within=1e-12)

# %%
(pressed,) = torch.autograd.grad(torch.linalg.norm(W, 2), W)
(shared,) = torch.autograd.grad(W.square().sum() / 2, W)
(taken,) = torch.autograd.grad(torch.linalg.matrix_norm(W, "nuc"), W)
claim("04-norms", "half the squared Frobenius norm takes a share: its gradient is W",
      measured=(shared - W).detach(), equals=0, within=1e-12)
claim("04-norms", "the nuclear norm takes the amount 1 from every singular value",
      measured=torch.linalg.svdvals(taken), equals=1, within=1e-9)
claims.identities()

# %%
claim("S3-05", "the Frobenius norm is {} times the spectral norm, random 300 × 100, mean of five",
      measured=(flats / tops).mean(), between=(6, 6.7))
claim("04-pressed", "the gradient of the spectral norm presses on {} direction",
      measured=torch.linalg.matrix_rank(pressed), equals=1)

# %% [markdown]
# ## 4.7 Two factors under L2 are one under L1
#
# **Numbers.** Write a weight as a product, $w = uv$, and penalise $\frac\lambda2(u^2+v^2)$. Since $(|u|-|v|)^2\ge 0$,
#
# $$\tfrac12(u^2+v^2) \;\ge\; |uv| = |w|, \tag{4.5}$$
#
# with equality when $|u| = |v|$. For a given $w$ the optimiser is free to choose the cheapest pair. So at the minimum
# the penalty *is* $\lambda|w|$. Plain weight decay on $u$ and $v$ must find the Lasso. (Its zeros are limits here: $uv$
# shrinks towards them step by step.)

# %%
u, v = torch.ones(64, dtype=torch.float64), torch.zeros(64, dtype=torch.float64)
u.requires_grad_(), v.requires_grad_()
gram, moment = torch.tensor(H), torch.tensor(q)
for _ in range(6000):
    w = u * v
    sgd([u, v], w @ (gram @ w) / 2 - moment @ w, lr=0.002, weight_decay=lam)

# %%
w_product = (u * v).detach().numpy()
claim("S2-12", "SGD with weight_decay on u and v: distance from the Lasso, relative",
      measured=np.abs(w_product - w_lasso) / np.abs(w_lasso).max(), below=0.001)
claim("S2-12", "… {} exact zeros among the products", measured=(w_product == 0).sum(),
      equals=0)
claim("04-balanced", "… and the factors are as large as each other: |u| − |v|",
      measured=u.detach().abs() - v.detach().abs(), equals=0, within=1e-6)

# %% [markdown]
# **Matrices.** Now let $W = AB$, with an inner width of at least the rank of $W$. Then
#
# $$\min_{AB = W}\; \tfrac12\big(\lVert A\rVert_F^2 + \lVert B\rVert_F^2\big) \;=\; \lVert W\rVert_*. \tag{4.6}$$
#
# 1. Take $W = USV^\top$ with the nonzero singular values only. Then $\lVert W\rVert_* = \operatorname{tr}(U^\top W V) =
#    \operatorname{tr}\big((U^\top A)(BV)\big)$.
# 2. A trace of a product is an inner product, so by Cauchy and Schwarz it is at most
#    $\lVert U^\top A\rVert_F\,\lVert BV\rVert_F$. Orthonormal columns do not lengthen anything: at most
#    $\lVert A\rVert_F\lVert B\rVert_F$, which by (4.5) is at most $\frac12(\lVert A\rVert_F^2+\lVert B\rVert_F^2)$.
# 3. Equality is reached by $A = U\sqrt S$, $B = \sqrt S\,V^\top$. ∎
#
# So minimising $L(AB)+\frac\lambda2(\lVert A\rVert_F^2+\lVert B\rVert_F^2)$ over $A$ and $B$ is minimising
# $L(W)+\lambda\lVert W\rVert_*$ over all $W$ of a rank that the inner width allows. Without the ½ it would be $2\lambda$.
# [Srebro, Rennie and Jaakkola (2004)](https://proceedings.neurips.cc/paper/2004/hash/e0688d13958a19e087e123148555e4b4-Abstract.html)
# learn matrices with this penalty.

# %%
W = claims.rng().standard_normal((10, 61))
U, s, Vt = np.linalg.svd(W, full_matrices=False)
A_best, B_best = U * np.sqrt(s), np.sqrt(s)[:, None] * Vt
nuclear = np.linalg.norm(W, "nuc")
claim("04-nuclear", "half the squared norms of A = U√S and B = √SVᵀ, over the nuclear norm",
      measured=(np.sum(A_best**2) + np.sum(B_best**2)) / 2 / nuclear, equals=1, within=1e-12)
claim("04-nuclear-factors", "… whose product is W", measured=A_best @ B_best - W,
      equals=0, within=1e-12)

# %%
mixed = [np.eye(10) + 0.1 * np.random.default_rng(seed).standard_normal((10, 10))
         for seed in seeds(5)]
pairs = [(A_best @ Q, np.linalg.solve(Q, B_best)) for Q in mixed]  # the same W from other factors
claim("04-nuclear-factors", "other factors of the same matrix: their products are W",
      measured=[left @ right - W for left, right in pairs], equals=0, within=1e-9)
costs = np.array([(np.sum(left**2) + np.sum(right**2)) / 2 for left, right in pairs])
claim("04-nuclear", "… which cost a little more: over the nuclear norm, five of them",
      measured=costs / nuclear, between=(1, 1.5))
claims.identities()

# %% [markdown]
# ## 4.8 A direction vanishes, at a λ you can predict
#
# With whitened inputs the loss of the digits is $\frac12\lVert W - M\rVert_F^2$ plus a constant, where
# $M = \frac1nY^\top Z$. Penalise the two factors, so that $\lambda\lVert W\rVert_*$ is added. Let $m_i$ be the singular
# values of $M$ and $t_i$ those of $W$. Von Neumann's inequality $\langle M, W\rangle\le\sum_i m_it_i$ gives
#
# $$\tfrac12\lVert W-M\rVert_F^2+\lambda\lVert W\rVert_* \;\ge\; \sum_i\Big[\tfrac12(t_i-m_i)^2+\lambda t_i\Big],$$
#
# with equality when $W$ has the singular vectors of $M$. Each bracket is the problem of section 4.2. So
#
# $$t_i = \max(m_i - \lambda, 0): \tag{4.7}$$
#
# direction $i$ vanishes at $\lambda = m_i$, a number you know before training. A single matrix under L2 keeps every
# direction: $t_i = m_i/(1+\lambda)$. The objective of $A$ and $B$ is not convex; does gradient descent find its
# minimum? Eight values of λ, five starts each, all at once:

# %%
M = Y.T @ Z / len(Z)
m = np.linalg.svd(M, compute_uv=False)
print("m:", m.round(3))

# %%
rng, least = claims.rng(), []
for _ in range(3):
    W = rng.standard_normal((10, 61))
    least.append(np.square(Z @ W.T - Y).sum(1).mean() / 2 - np.square(W - M).sum() / 2)
claim("04-whitened-loss", "the loss less ½‖W − M‖² is the same for three random W: spread",
      measured=np.ptp(least), equals=0, within=1e-9)
claim("04-puzzle-m", "the puzzle's product, at λ = 0.24, has the singular values of (4.7)",
      measured=strengths - np.maximum(m - 0.24, 0), equals=0, within=1e-6)

# %%
lams = np.linspace(0.04, 0.32, 8)
starts = [MLP((61, 16, 10), bias=False).initial(seed) for seed in seeds(5)]
assert len({start["weight1"].tobytes() for start in starts}) == 5  # no two are the same
A = np.stack([start["weight1"] for start in starts] * 8)
B = np.stack([start["weight0"] for start in starts] * 8)
weight_decay = np.repeat(lams, 5)[:, None, None]
for _ in range(4000):
    E = A @ B - M
    A, B = (A - (E @ B.swapaxes(1, 2) + weight_decay * A),
            B - (A.swapaxes(1, 2) @ E + weight_decay * B))
t = np.linalg.svd(A @ B, compute_uv=False).reshape(8, 5, 10)

# %%
fig, ax = figures.subplots(figsize=(7.2, 3.9))
fine = np.linspace(0, 0.32, 321)
ax.plot(fine, m[0] / (1 + fine), ":", color=figures.ORANGE, label="_single")
ax.text(0.322, m[0] / 1.32, "one matrix,\nstrongest", color=figures.ORANGE, va="center")
ax.plot(fine, np.maximum(m[:9] - fine[:, None], 0), color=figures.SKY, lw=1.2, label="_formula")
ax.plot(lams, t[..., :9].mean(1), "o", ms=4, color=figures.BLUE, label="_trained")
ax.set(xlabel="weight decay λ on both factors", ylabel="singular value of AB", xlim=(0, 0.37))
ax.set_title("Directions disappear one by one, where (4.7) says")
drawn = figures.drawn(ax)
tops, dots, dotted = drawn["_formula"].at(0), drawn["_trained"], drawn["_single"].y
kept, last = ((dots.at(at) > 1e-3).sum() for at in (0.24, 0.32))
figures.show(fig, f"{tops.size} singular values of the trained product against λ. Lines of the "
             f"formula fall with slope -1 from values between {tops.min():.2f} and {tops.max():.2f}"
             " to zero and stay there; dots of the trained factors lie on them. At λ = 0.24, "
             f"{kept} are left, at λ = 0.32 {last}. A dotted line for a single matrix falls by "
             f"{100 * (1 - dotted[-1] / dotted[0]):.0f} % only.")

# %%
nearest = np.abs(m[:, None] - lams).min()

# %% [markdown]
# It does. How exactly? A direction approaches its end like $e^{-2|\lambda-m_i|t}$ (exercise 3), and the nearest that any
# $m_i$ comes to one of our λ is {{nearest:.4f}}. At $\eta = 1$ that is a factor of ${{np.exp(-2 * nearest * 1000):.0e}}$ in
# 1,000 steps: 4,000 are enough, even for a direction that happens to start near zero and has to grow first.

# %%
claim("04-directions", "{} trained singular values are those of (4.7), to 1e-6: all λ and starts",
      measured=(np.abs(t - np.maximum(m - lams[:, None, None], 0)) < 1e-6).sum(), equals=8 * 5 * 10)
claim("04-directions", "the least distance of a singular value from a λ, one by one",
      measured=nearest - min(abs(one - lam) for one in m.flat for lam in lams),
      equals=0, within=1e-15)
squared = np.linalg.eigvalsh(M @ M.T)[::-1][:9]  # of M times itself: the squares of m
claim("04-lines", "the lines begin at the singular values of M, by its eigenvalues",
      measured=drawn["_formula"].at(0) ** 2 - squared, equals=0, within=1e-9)
claim("04-lines", "… the trained dots lie on them, line by line",
      measured=[drawn["_trained"].at(at) - drawn["_formula"].at(at) for at in lams],
      equals=0, within=1e-6)

# %%
one_matrix = np.linalg.solve(Z.T @ Z + 0.32 * len(Z) * np.eye(61), Z.T @ Y)  # (1.1)
single = np.linalg.svd(one_matrix, compute_uv=False)
claim("04-sixth", "two factors, λ = 0.24: six directions are left; the sixth, worst of five",
      measured=t[lams.searchsorted(0.239), :, 5], above=0.01)
claim("S3-11", "… and the others are gone, in all five starts",
      measured=t[lams.searchsorted(0.239), :, 6:], equals=0, within=1e-6)
claim("S3-11", "one matrix, λ = 0.32: each direction keeps the share 1/1.32",
      measured=single[:9] / m[:9], equals=1 / 1.32, within=1e-9)
claim("S3-11", "two factors, λ = 0.32, above the largest m: the whole product, worst of five",
      measured=t[7], equals=0, within=1e-6)

# %%
claim("04-single", "the dotted line ends at the strongest direction of that one matrix",
      measured=drawn["_single"].at(0.32) - single[0], equals=0, within=1e-9)
zero_map = torch.zeros(10, 61, dtype=torch.float64, requires_grad=True)
loss = (torch.tensor(Z) @ zero_map.T - torch.tensor(Y)).square().sum(1).mean() / 2
(pull,) = torch.autograd.grad(loss, zero_map)
claim("04-spectral", "the spectral norm of the loss's gradient at zero is the largest m",
      measured=torch.linalg.norm(pull, 2) - m[0], equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# So (4.7) solves the puzzle: {{(m > 0.24).sum()}} of the $m_i$ are above 0.24. And for any convex loss there is a threshold for the
# whole product. $W = 0$ minimises $L(W)+\lambda\lVert W\rVert_*$ if and only if $\lVert\nabla L(0)\rVert_2\le\lambda$:
# for the nuclear norm the gradient at zero is measured by its spectral norm, here $m_1$.
#
# ## 4.9 When can a whole layer vanish?
#
# A large λ, says the lesson, "could basically zero-out or reduce the impact of some of our layers". Three cases.
#
# **A single layer** never goes, as (1.2) and the last section show, unless the data ask for nothing.
#
# **Layers in a row** go together. One dead layer makes the network's output constant. A constant needs only the last
# bias; the weights of the other layers cost and buy nothing, so at a minimum they are zero as well.

# %%
mlp = torch.nn.Sequential(torch.nn.Linear(61, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10))
alive = mlp.double()(torch.tensor(Z)).std(0)
torch.nn.init.zeros_(mlp[2].weight)
claim("S3-11", f"a dead layer in a row: how far outputs differ between {len(Z):,} digits",
      measured=mlp(torch.tensor(Z)).std(0), below=1e-12)
assert alive.min() > 0.01, "before, every output differs from digit to digit"

# %% [markdown]
# For two linear layers we have just seen the λ. With three factors the pull of the loss is of third order in the
# weights (with more of a higher one), the penalty of second: zero is a local minimum for *every* $\lambda > 0$, and whether you end there
# depends on the start (exercise 5).


# %%
def factors(depth, start, lr=0.1, weight_decay=0.1):
    w = np.full(depth, start)
    for _ in range(3000):
        others = np.prod(w) / w
        w = w - lr * ((np.prod(w) - 1) * others + weight_decay * w)
    return np.prod(w)


# %%
roots = np.roots([-1, 0, 0, 1, -0.1])  # of w − w⁴ = λ: where three equal factors can rest
border, rest = sorted(root.real for root in roots if root.real > 0 and abs(root.imag) < 1e-9)
claim("04-depth", "target 1, λ = 0.1, start 0.05: product of two factors is 1 − λ",
      measured=factors(2, 0.05), equals=0.9, within=1e-9)
claim("04-depth", "… of three factors, from 0.05 and from just below the border: zero",
      measured=[factors(3, 0.05), factors(3, 0.99 * border)], equals=0, within=1e-6)
claim("04-depth", "… from just above the border: the cube of the other root",
      measured=factors(3, 1.01 * border), equals=rest**3, within=1e-6)
claim("04-depth", "three factors from 0.5 settle at {}, that cube",
      measured=factors(3, 0.5), equals=rest**3, within=1e-4)

# %% [markdown]
# **A branch beside a skip connection** can go alone, since the skip carries on. Take
# $f(x) = u^\top x + c + \sum_j b_j\,\mathrm{relu}(a_j^\top x)$ with $u$ and $c$ free and λ on the branch. By (4.5) a unit
# with direction $\phi = a/\lVert a\rVert$ costs $\lambda\lVert a\rVert|b|$. Starting it gains
# $\lVert a\rVert|b|$ times its correlation with $r$, what the skip alone leaves over. And since the loss is convex in $f$,
# what does not pay at the start never pays. So the branch is zero at the minimum if and only if
#
# $$\lambda \;\ge\; \tau = \max_{\lVert\phi\rVert = 1}\Big|\frac1n\sum_i r_i\,\mathrm{relu}(\phi^\top x_i)\Big|. \tag{4.8}$$
#
# In two dimensions τ can be found by trying all angles (half a turn is enough: relu$(z)$ and relu$(-z)$ differ by $z$, and
# $r$ is uncorrelated with what is linear). Five data sets, $y = x_1 \pm 2|x_1+x_2|/\sqrt2$ plus noise, with
# plus and minus in turn:

# %%
turn = np.linspace(0, 2 * np.pi, 3600, endpoint=False)
circle, problems, pulls, alone = np.stack([np.cos(turn), np.sin(turn)]), [], [], []
for seed in seeds(5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 2))
    bent = (-1) ** seed * 2 * np.abs(x @ [0.5**0.5, 0.5**0.5])
    y_v = x[:, 0] + bent + rng.normal(0, 0.5, 200)
    skip = np.column_stack([x, np.ones(200)])
    alone.append(np.linalg.lstsq(skip, y_v)[0])
    r = y_v - skip @ alone[-1]
    pulls.append(r @ np.maximum(x @ circle, 0) / 200)
    tau = np.abs(pulls[-1]).max()
    problems.append((x, y_v, tau, 0.3 * rng.standard_normal((8, 3))))

# %%
assert len({x.tobytes() for x, *_ in problems}) == 5  # no two data sets are the same
noise = [y_v - x[:, 0] - (-1) ** seed * 2 * np.abs(x.sum(1)) / 2**0.5
         for (x, y_v, *_), seed in zip(problems, seeds(5), strict=True)]
claim("04-noise", "y less x₁ ± 2|x₁ + x₂|/√2 is noise: its root mean square",
      measured=np.sqrt(np.mean(np.square(noise))), equals=0.5, within=0.05)

# %%
claim("04-half-turn", "opposite directions are pulled alike",
      measured=np.roll(pulls, 1800, axis=1) - pulls, equals=0, within=1e-12)
signed = [pull[np.abs(pull).argmax()] * (-1) ** seed
          for pull, seed in zip(pulls, seeds(5), strict=True)]
claim("04-signs", "the strongest pull, whose size is τ, has the sign of the bend",
      measured=np.array(signed) / [problem[2] for problem in problems], equals=1, within=1e-9)

# %%
x, y_v, tau, first = (torch.tensor(np.stack(part)) for part in zip(*problems, strict=True))
times = torch.tensor([0.5, 0.9, 1.1, 1.5], dtype=torch.float64)  # λ in units of τ
branch = first.expand(4, 5, 8, 3).clone().requires_grad_()  # a (two numbers) and b of each unit
linear = torch.zeros(4, 5, 3, 1, dtype=torch.float64, requires_grad=True)  # u and c
ones = torch.cat([x, torch.ones(5, 200, 1, dtype=torch.float64)], 2)

# %%
for _ in range(1500):
    hidden = (x @ branch[..., :2].swapaxes(2, 3)).relu()
    f = (hidden @ branch[..., 2:] + ones @ linear).squeeze(3)
    penalty = times[:, None] * tau * branch.square().sum((2, 3)) / 2
    objective = (f - y_v).square().mean(2) / 2 + penalty
    gradients = torch.autograd.grad(objective.sum(), (branch, linear))
    with torch.no_grad():
        branch -= 0.6 * gradients[0]
        linear -= 0.6 * gradients[1]

# %%
size = branch.detach().square().sum((2, 3)).sqrt().numpy()
skip_size = linear.detach()[:, :, :2].norm(dim=(2, 3)).numpy()

# %%
fig, ax = figures.subplots()
for sizes, color, name, shift in ((size, figures.BLUE, "branch", -0.01),
                                  (skip_size, figures.ORANGE, "skip", 0.01)):
    ax.plot(times + shift, sizes, "o", ms=5, alpha=0.5, color=color, label=f"_{name}")
    ax.text(1.53, sizes[-1].mean(), name, color=color, va="center")
ax.axvline(1, color=figures.GREY, ls="--", lw=1, label="_τ")
ax.text(1.01, 1.6, "λ = τ of (4.8)", color=figures.GREY)
ax.set(xlabel="weight decay of the branch, λ/τ", ylabel="norm of the weights", xlim=(0.45, 1.62))
ax.set_title("Beyond τ the branch is gone, and the skip remains")
drawn = figures.drawn(ax)
falls, stays = drawn["_branch"].y.mean(0), drawn["_skip"].y
figures.show(fig, "Dots for the norms of branch and skip at four λ in units of τ, for five data "
             f"sets. The branch falls from {falls[0]:.1f} at 0.5 τ to {falls[1]:.1f} "
             "at 0.9 τ, and is zero from 1.1 τ on. The skip lies between "
             f"{stays.min():.1f} and {stays.max():.1f} throughout.")

# %%
beyond = drawn["_branch"].x[0] > drawn["_τ"].x[0]
expected = np.linalg.norm(np.array(alone)[:, :2], axis=1)  # u of least squares
claim("S3-11", "λ = 0.9 τ: norm of the branch, smallest of five", measured=size[1], above=0.1)
claim("S3-11", "λ beyond τ, at 1.1 and 1.5: norm of the branch, largest",
      measured=drawn["_branch"].y[:, beyond], equals=0, within=1e-6)
claim("S3-11", "… and of the skip, smallest of five", measured=skip_size[2], above=0.5)
claim("04-skip", "… which is the least-squares fit without a branch, as drawn",
      measured=drawn["_skip"].y[:, beyond] - expected[:, None], equals=0, within=1e-6)

# %%
norms = np.linalg.norm(branch.detach().numpy().reshape(4, 5, -1), axis=2)
claim("04-tau", "the dashed line is at 1, the dots of the branch at 0.5, 0.9, 1.1 and 1.5",
      measured=[*drawn["_τ"].x - 1, *drawn["_branch"].x[0] + 0.01 - [0.5, 0.9, 1.1, 1.5]],
      equals=0, within=1e-12)
claim("04-tau", "… and as high as all weights of a branch are long",
      measured=drawn["_branch"].y - norms.T, equals=0, within=1e-12)
claims.identities()

# %% [markdown]
# ## 4.10 The sources, line by line
#
# (S2-06 has its verdict in chapter 2.)

# %%
verdict("S2-12", "answered",
        "Its weight_decay is L2. L1 can be added to the loss, or be had from weight_decay on the "
        "factors of each weight; neither gives exact zeros. A proximal step after each step does.")
verdict("S2-15", "under conditions",
        "Any slope in [−1, 1] is right at 0, and PyTorch's 0 is one. But steps jump across zero "
        "and do not land on it: for zeros use sign(z)·max(|z| − ηλ, 0).")

# %%
verdict("S3-05", "convention",
        "With Frobenius norms it is the flat sum of squares, biases left out. With spectral norms "
        "it would be another penalty.")
verdict("S3-11", "under conditions",
        "Not a single layer. Two linear layers lose directions, and finally everything, at λ that "
        "can be predicted; layers in a row go together; a branch beside a skip can go alone.")
claims.verdicts()

# %% [markdown]
# ## 4.11 In practice
#
# **Take home.** If you want zeros, take a proximal step, or accept a cut-off of a few $\eta\lambda$. If you do *not*
# want to lose directions, remember that weight decay on a product, be it two linear layers, a low-rank adapter, or the
# query and key matrices of attention, is an L1 penalty on the product's singular values.
# (Of L2 penalties this is exact; decoupled decay under Adam is not one, see chapter 3.)
#
# **Limits.** (4.7) is exact for whitened inputs; otherwise only the first threshold is as simple. With minibatches a
# direction on the border comes and goes. Between two layers with a ReLU (4.5) holds unit by unit: the
# penalty is a group Lasso that removes units. We asked which weights are zero and not whether the model is better for
# it. Under momentum or Adam the proximal step (4.3) needs another scale.
#
# ## 4.12 Exercises
#
# **1.** The data ask for $z = (3, -0.5, 1)$, and $\lambda = 1$. Give the minimum under $\lambda\sum|w_i|$, under
# $\frac\lambda2\lVert w\rVert^2$ and under $\lambda\lVert w\rVert$.
#
# <details>
# <summary>Solution</summary>
#
# $({{soft(z, 1)[0]:.0f}}, {{abs(soft(z, 1)[1]):.0f}}, {{soft(z, 1)[2]:.0f}})$; half of $z$; and with
# $\lVert z\rVert = {{length:.2f}}$ by (4.4) ${{1 - 1 / length:.3f}}\,z = ({{w_one[0]:.2f}}, {{w_one[1]:.2f}}, {{w_one[2]:.2f}})$.
#
# </details>
#
# **2.** A colleague penalises $\lambda(\lVert A\rVert_F^2+\lVert B\rVert_F^2)$ with $\lambda = 0.1$ on the digits of section
# 4.8. How many directions survive? And under `weight_decay=0.1`?
#
# <details>
# <summary>Solution</summary>
#
# Without the ½ the nuclear norm has the coefficient $2\lambda = 0.2$, and {{(m > 0.2).sum()}} of the $m_i$ are above it:
# `(m > 0.2).sum()`. `weight_decay` has the ½ built in; all {{(m > 0.1).sum()}} that are not zero are above 0.1.
#
# </details>
#
# **3.** Let $p = uv$ with $u = v$ follow gradient flow on $\frac12(uv-m)^2+\frac\lambda2(u^2+v^2)$. Find $\dot p$, where $p$
# ends, and how fast it gets there.
#
# <details>
# <summary>Solution</summary>
#
# $\dot u = -(p-m)v-\lambda u$, so $\dot p = 2p\,(m-\lambda-p)$. For $m > \lambda$ it ends at $m-\lambda$, near which the distance
# falls at the rate $2(m-\lambda)$. For $m<\lambda$ it ends at 0, at the rate $2(\lambda-m)$. At $m = \lambda$ it creeps like
# $1/(2t)$.
#
# </details>
#
# **4.** At $w_i = 0$ choose the subgradient that makes the step smallest, $s = -g_i/\lambda$ clipped to $[-1, 1]$. Start
# from zero. Which weights stay at zero? Can this choice ever *make* a zero?
#
# <details>
# <summary>Solution</summary>
#
# A weight stays at zero as long as $|g_i|\le\lambda$, since its step is then zero. But a weight that has left comes
# back only by hopping across. So it keeps zeros and makes none. Weights that leave early and should return are lost:
# of the Lasso's 53 zeros it keeps 5. Try it in `subgradient`: `np.where(w == 0, np.clip(-(H @ w - q) / lam, -1, 1), np.sign(w))`.
#
# </details>
#
# **5.** Minimise $\frac12(1-w_1w_2w_3)^2+\frac\lambda2\sum w_k^2$. Show that zero is a local minimum for every $\lambda>0$.
# From which equal start $w$ does gradient flow leave zero behind, for $\lambda = 0.1$?
#
# <details>
# <summary>Solution</summary>
#
# Near zero the loss is $\frac12 - w_1w_2w_3+\dots$: its change is of third order, the penalty of second. With equal
# factors the slope is $-(1-w^3)w^2+\lambda w$, negative when $w - w^4 > \lambda$: from $w\approx {{border:.4f}}$ on, up to {{rest:.2f}}.
#
# </details>
#
# **6.** (Open.) $w = 0$ minimises $L(w)+\lambda\lVert w\rVert$, for convex $L$, if and only if the gradient at zero is at most
# λ in the *dual norm*, $\max_{\lVert w\rVert\le1}\langle g, w\rangle$. Find the thresholds of this chapter as cases.
#
# <details>
# <summary>A start</summary>
#
# $L(w)\ge L(0)+\langle g,w\rangle\ge L(0)-\lVert g\rVert_{\text{dual}}\lVert w\rVert$ is one direction. The dual of L1 is
# the largest entry (section 4.4), of L2 it is L2 (section 4.5), of nuclear it is spectral (section 4.8). What about squared L2?
#
# </details>
#
# ## Where next, and sources
#
# [Chapter 1](01_what_an_l2_penalty_does.ipynb) has the shrinkage that all this is measured against. Chapter 5 uses
# (4.5) again: it balances layers of any size.
#
# - [Tibshirani (1996)](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x): the Lasso.
# - [Beck and Teboulle (2009)](https://doi.org/10.1137/080716542): proximal gradient descent, and a faster version.
# - [Yuan and Lin (2006)](https://doi.org/10.1111/j.1467-9868.2005.00532.x): the group Lasso.
# - [Srebro, Rennie and Jaakkola (2004)](https://proceedings.neurips.cc/paper/2004/hash/e0688d13958a19e087e123148555e4b4-Abstract.html):
#   two penalised factors and the nuclear norm.
