# %% [markdown]
# # 1 What an L2 penalty does
#
# Add $\frac{\lambda}{2}\lVert w\rVert^2$ to the loss of a linear model. What changes, by how much, and in which
# direction? Afterwards you can write the answer down before you train: which directions shrink, how many parameters
# are left in effect, what it does to bias and variance, and which comparisons of losses mean nothing.
#
# *Reading time 30 minutes; the code runs in about 10 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load, make_regression
from l2lib.penalty import l2_penalty, ridge, filter_factors
from l2lib.splits import split

# %% [markdown]
# ## 1.1 A puzzle: a test error of {{below: null_count}}
#
# A model *overfits* when it fits the training examples much better than it answers new ones. A well-known textbook
# ([Zhang et al., *Dive into Deep Learning*](https://arxiv.org/abs/2106.11342)) shows weight decay as a cure. Its toy
# problem has 200 inputs, 20 training examples and targets near zero, $y = 0.05 + 0.01\sum_i x_i + \varepsilon$. In
# the edition of 2020 it trains a linear model from $N(0,1)$ weights, once with $\lambda = 0$, once with
# $\lambda = 3$, on the mean squared error (without ½):


# %%
def train(X, y, w, weight_decay, rng, lr=0.003, batch=5, epochs=100):
    b = 0.0
    for _ in range(epochs):
        for rows in rng.permutation(len(X)).reshape(-1, batch):
            error = X[rows] @ w + b - y[rows]
            w = w - lr * (2 * X[rows].T @ error / batch + weight_decay * w)
            b = b - lr * 2 * error.mean()
    return w, b


def test_error(w, b):
    return np.sum((w - 0.01) ** 2) + (b - 0.05) ** 2 + 0.01**2


# %% [markdown]
# The inputs are independent with variance 1, so no test set is needed: the expected squared error of a new answer is
# the sum in `test_error`. We use ten data sets, each with a start of its own, drawn from $N(0, 1)$ or zero. Beside
# them stands the laziest model there is: it always answers zero.

# %%
null_count, steps, shrink = 200 - 20, 100 * 20 // 5, 1 - 0.003 * 3  # section 1.8 uses them
names = ("N(0,1) start, λ = 0", "N(0,1) start, λ = 3", "zero start, λ = 0", "answer zero")
results, problems = {name: [] for name in names}, []
for seed in seeds(10):
    X, y = make_regression(20, seed=seed)
    rng = np.random.default_rng([seed, 1])
    start = rng.standard_normal(200)
    settings = ((start, 0), (start, 3), (0 * start, 0))
    fits = [train(X, y, w, weight_decay, rng) for w, weight_decay in settings]
    for name, (w, b) in zip(names, [*fits, (0 * start, 0)], strict=True):
        results[name].append(test_error(w, b))
    problems.append((X, y, start, fits))
n01, decayed, from_zero, zero = (np.array(errors) for errors in results.values())

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 2.6))
for row, (name, errors) in enumerate(results.items()):
    ax.plot(errors, [row] * 10, "o", alpha=0.6, label=name)
    ax.text(1.2 * np.max(errors), row, f"mean {np.mean(errors):.3g}", va="center")
ax.set(xscale="log", yticks=range(4), yticklabels=results, ylim=(3.5, -0.5), xlim=(0.01, 3000))
ax.set(xlabel="test error (expected squared error)", ylabel="model")
dots = {name: mark.x for name, mark in figures.drawn(ax).items()}
means = [errors.mean() for errors in dots.values()]
ax.set_title(f"The penalty seems to win by a factor of {means[0] / means[1]:.0f}")
figures.show(fig, "Dots for ten data sets and four models, test error on a logarithmic axis. "
             f"Starting from N(0,1) without penalty the mean is {means[0]:.3g}, with λ = 3 it "
             f"is {means[1]:.2g}. Starting from zero without penalty it is {means[2]:.2g}, "
             f"and answering zero gives {means[3]:.2g}: both are below λ = 3.")

# %% [markdown]
# Read it from the top. Without penalty the test error is about {{null_count}} (here {{n01.mean():.0f}}), with penalty
# about {{decayed.mean():.1f}}: a cure, it seems. But start from zero, drop the penalty, and the error is
# {{decayed.mean() / from_zero.mean():.0f}} times lower still. And the model that answers zero, having learnt nothing,
# beats the penalised one as well. (Today's edition starts from $N(0, 0.01^2)$; section 1.8 runs that too.)
#
# So what did the penalty do here? You will be able to answer in section 1.8.

# %% [markdown]
# ## 1.2 The penalty and its gradient
#
# Let $L(w, b)$ be the mean loss over $n$ training examples. This book's convention, unless a chapter says otherwise:
#
# $$J(w, b) = L(w, b) + \frac{\lambda}{2}\lVert w\rVert^2,\qquad \lVert w\rVert^2 = \sum_i w_i^2, \qquad \lambda\ge 0.$$
#
# Biases are not penalised ([chapter 6](06_bias_exclusion.ipynb) says why). The factor ½ is there for one reason: the
# gradient of the penalty is then $\lambda w$, without a 2.

# %%
w = torch.tensor([3.0, -4.0], dtype=torch.float64, requires_grad=True)
(gradient,) = torch.autograd.grad(l2_penalty([w], weight_decay=0.1), w)
claim("01-gradient", "the gradient of (λ/2)‖w‖² is λw",
      measured=(gradient - 0.1 * w).abs(), below=1e-12)

# %% [markdown]
# So `train` above minimises the mean squared error plus $\frac\lambda2\lVert w\rVert^2$. Three of its steps, on all 20
# examples at once, are those that autograd gives:

# %%
X, y, _, _ = problems[0]
v, b = torch.ones(200, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
for _ in range(3):
    v, b = v.detach().requires_grad_(), b.detach().requires_grad_()
    loss = torch.nn.functional.mse_loss(torch.tensor(X) @ v + b, torch.tensor(y))
    slopes = torch.autograd.grad(loss + l2_penalty([v], weight_decay=3), (v, b))
    v, b = v - 0.003 * slopes[0], b - 0.003 * slopes[1]
ours = train(X, y, np.ones(200), 3, claims.rng(), batch=20, epochs=3)
claim("01-train", "three steps of `train` are those of autograd, for the weights and the intercept",
      measured=np.append(ours[0] - v.detach().numpy(), ours[1] - b.item()), equals=0, within=1e-12)

# %% [markdown]
# Some write $\lambda\lVert w\rVert^2$ without the half. Nothing is wrong with that; but the gradient doubles, and so
# does the shrinkage for the same λ.

# %%
(doubled,) = torch.autograd.grad(l2_penalty([w], weight_decay=0.1, half=False), w)
claim("S0-03", "without the ½ the gradient is 2λ times the weight, here {}",
      measured=doubled / w, equals=0.2, within=1e-12)

# %% [markdown]
# Only the gradient acts. Add a million to the loss and every step stays the same, to the last bit: the height of a
# loss means nothing by itself, only its slope and comparisons do.


# %%
def descend(constant, steps=50):
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        loss = (w[0] * w[1] - 3).square() + l2_penalty([w], 0.1) + constant
        w = (w - 0.05 * torch.autograd.grad(loss, w)[0]).detach().requires_grad_()
    return w


claim("S0-09", "adding 1,000,000 to the loss changes no iterate",
      measured=descend(0.0) - descend(1e6), equals=0, within=1e-15)

# %% [markdown]
# Two remarks on the norm itself. A norm is never negative, and it *is* zero for the zero vector or matrix. And
# mind what "small" means. A small norm does not say that there are few entries: a million entries of $10^{-4}$
# have norm {{below: million.norm():.1f}}. It does say that each entry is small, since $|w_i|\le\lVert w\rVert$; but small entries do not
# make a small norm: 10,000 entries of 0.5 have norm {{below: many.norm():.0f}}.

# %%
million = torch.full((1_000_000,), 1e-4, dtype=torch.float64)
many = torch.full((10_000,), 0.5, dtype=torch.float64)
claim("S3-06", "the norm of the zero vector is 0",
      measured=torch.zeros(3).norm(), equals=0, within=1e-15)
claim("S3-07", "the norm of the zero matrix is 0: non-negative, not positive",
      measured=torch.zeros(3, 2).norm(), equals=0, within=1e-15)

# %%
claim("S2-22", "a million entries of 10⁻⁴ have norm {}, and one entry of 2 has norm 2",
      measured=million.norm(), equals=0.1, within=1e-9)
claim("S2-23", "10,000 entries in [−1, 1] have norm {}",
      measured=many.norm(), equals=50, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.3 Ridge regression: the minimum in closed form
#
# Take a linear model and half the mean squared error,
#
# $$J(w, b) = \frac{1}{2n}\lVert y - Xw - b\mathbf 1\rVert^2 + \frac{\lambda}{2}\lVert w\rVert^2 .$$
#
# 1. Set the derivative with respect to $b$ to zero: $b = \bar y - \bar x^\top w$. Put it back: it centres $X$ and $y$.
#    From here on both are centred, and $b$ is gone.
# 2. Set the gradient with respect to $w$ to zero: $-\frac1n X^\top(y - Xw) + \lambda w = 0$.
# 3. Collect $w$:
#
# $$(X^\top X + n\lambda I)\,w_\lambda = X^\top y. \tag{1.1}$$
#
# For $\lambda > 0$ the matrix is positive definite. So there is exactly one minimum, even with more inputs than
# examples. This is *ridge regression* ([Hoerl and Kennard, 1970](https://doi.org/10.1080/00401706.1970.10488634)).
#
# We try it on real data: {{below: len(data.y)}} patients, {{below: data.X.shape[1]}} measurements each, and how far their diabetes had progressed a year later.

# %%
data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y, n = data.y, len(data.y)
w_ridge = np.linalg.solve(X.T @ X + n * 0.1 * np.eye(10), X.T @ (y - y.mean()))
w_0, bmi = ridge(X, y, 0)[0], data.feature_names.index("bmi")
print(f"weight of body mass index: least squares {w_0[bmi]:.1f}, λ = 0.1 {w_ridge[bmi]:.1f}")

# %%
claim("01-standardised", "each input has mean 0 and mean square 1",
      measured=[X.mean(0), (X**2).mean(0) - 1], equals=0, within=1e-12)
claim("01-least-squares", "at λ = 0 no input can explain the residuals better",
      measured=X.T @ (y - y.mean() - X @ w_0) / n, equals=0, within=1e-9)

# %% [markdown]
# Is it the minimum? Ask autograd for the gradient of the whole objective there. And does scikit-learn agree? Its
# `alpha` stands beside the *sum* of squares without ½ or $1/n$, so $\alpha = n\lambda$.

# %%
from sklearn.linear_model import Ridge

point = torch.tensor(w_ridge, requires_grad=True)
error = torch.tensor(y) - torch.tensor(X) @ point - y.mean()
(gradient,) = torch.autograd.grad(error.square().mean() / 2 + l2_penalty([point], 0.1), point)

# %%
theirs = Ridge(alpha=n * 0.1).fit(X, y)
claim("01-minimum", "the gradient of the objective is zero at the solution of (1.1)",
      measured=gradient.abs(), below=1e-10)
claim("01-sklearn", "scikit-learn's Ridge with α = nλ finds the same weights",
      measured=np.abs(theirs.coef_ - w_ridge), below=1e-9)
claim("01-ridge", "… and so does `ridge`, which the rest of the chapter uses",
      measured=np.abs(theirs.coef_ - ridge(X, y, 0.1)[0]), below=1e-9)
claim("01-sklearn-intercept", "… and the same intercept",
      measured=abs(theirs.intercept_ - ridge(X, y, 0.1)[1]), below=1e-9)
claims.identities()

# %% [markdown]
# `torch.nn.MSELoss` has no ½. Beside it the same λ acts half as strongly: (1.1) holds with $n\lambda/2$.
#
# ## 1.4 Shrinkage, one direction at a time
#
# Why does (1.1) help? Take the singular value decomposition $X = USV^\top$: $U$ and $V$ have orthonormal columns
# $u_i$ and $v_i$, $S$ is diagonal with $s_1\ge s_2\ge\dots\ge 0$. Along $v_i$ the data vary with strength $s_i$. Put
# $X^\top X = VS^2V^\top$ into (1.1): in these coordinates it is diagonal. Write $w_0$ for the least-squares fit (the
# one of smallest norm, if there are many), for which $X^\top y = X^\top X w_0$. Then
#
# $$v_i^\top w_\lambda = \frac{s_i^2}{s_i^2 + n\lambda}\; v_i^\top w_0 . \tag{1.2}$$
#
# Each direction is multiplied by a number between 0 and 1. Where the data vary
# much ($s_i^2\gg n\lambda$), almost nothing happens. Where they vary little, the fit is nearly erased. The penalty
# does not shrink *weights* evenly; it shrinks the directions that the data determine least.

# %%
U, s, Vt = np.linalg.svd(X, full_matrices=False)
filtered = (s**2 / (s**2 + n * 0.1)) * (Vt @ w_0)
claim("01-filter", "(1.2) gives the ridge solution direction by direction",
      measured=np.abs(filtered - Vt @ w_ridge), below=1e-9)

# %%
fig, ax = figures.subplots()
for lam in (0.01, 0.1, 1.0):
    factors = filter_factors(s, n, lam)
    label = f"λ = {lam:g}: {factors.sum():.1f} degrees of freedom"
    ax.plot(range(1, 11), factors, "o-", label=label)
ax.set(xlabel="singular direction, strongest first", ylabel="factor s²/(s² + nλ)")
ax.set(ylim=(-0.08, 1.05), xlim=(0.7, 14.5), xticks=range(1, 11))
ax.set_title("The same λ spares strong directions and erases weak ones")
figures.label_lines(ax)
curves = figures.drawn(ax)
(middle,) = [curve for name, curve in curves.items() if name.startswith("λ = 0.1:")]
figures.show(fig, "Three falling curves over the ten singular directions of the diabetes data, "
             f"one for each λ. At λ = 0.1 the factor falls from {middle.y[0]:.2f} in the strongest "
             f"direction to {middle.y[-1]:.2f} in the weakest.")

# %%
eigenvalues = np.linalg.eigvalsh(X.T @ X)[::-1]
for name, curve in curves.items():  # such as "λ = 0.1: 7.0 degrees of freedom"
    lam, df = float(name.split()[2].rstrip(":")), float(name.split()[3])
    trace = np.trace(X @ np.linalg.solve(X.T @ X + n * lam * np.eye(10), X.T))
    claim("01-curve", f"the curve of λ = {lam:g} is made of eigenvalues of X'X: e/(e + nλ)",
          measured=curve.y - eigenvalues / (eigenvalues + n * lam), equals=0, within=1e-9)
    claim("01-label", f"… and its label the trace of the hat matrix, {df} when rounded",
          measured=round(trace, 1) - df, equals=0, within=1e-9)

# %% [markdown]
# Fitted values are linear in the targets, $\hat y = H_\lambda y$ (the *hat matrix* puts the hat on $y$). Its trace,
# the sum of its diagonal, counts how many parameters the fit uses in effect, its *degrees of freedom*:
#
# $$\mathrm{df}(\lambda) = \operatorname{tr} H_\lambda = \sum_i \frac{s_i^2}{s_i^2 + n\lambda}. \tag{1.3}$$
#
# It runs smoothly from the rank of $X$ (here {{np.linalg.matrix_rank(X)}}; in section 1.1, at most
# {{len(problems[0][1]) - 1}}) down to zero; add one for the intercept. This is
# the precise sense in which a penalised model is "less complex". The number of its layers, or of its parameters,
# stays what it was.

# %%
grid = np.logspace(-4, 3, 50)
inverses = np.linalg.inv(X.T @ X + n * grid[:, None, None] * np.eye(10))
freedom = filter_factors(s, n, grid).sum(1)

# %%
claim("01-trace", "the trace of the hat matrix is the sum of the factors, for 50 values of λ",
      measured=np.trace(inverses @ X.T @ X, axis1=1, axis2=2) - freedom, equals=0, within=1e-9)
claim("S3-12", "degrees of freedom fall at every step of λ (largest step)",
      measured=np.diff(freedom), below=0)
claim("S3-12", f"of {X.shape[1]} parameters, {{}} are left in effect at λ = 1",
      measured=filter_factors(s, n, 1.0).sum(), between=(3, 5))
claims.identities()

# %% [markdown]
# ## 1.5 What λ is, and what it is not
#
# **λ is not a bound on the norm.** It goes with one. Ask for the best fit among all $w$ with $\lVert w\rVert\le R$,
# for some $R < \lVert w_0\rVert$. The answer lies on the sphere, where the loss can fall no further along the
# surface: it falls straight outwards. Write $-\nabla L(w) = \lambda w$ with $\lambda > 0$, and it is the condition
# for $w_\lambda$. So λ is the *multiplier* of $\frac12\lVert w\rVert^2\le\frac12R^2$, a price: allow $\frac12R^2$ to
# grow by a little, and the best loss falls by λ times as much. The radius $R(\lambda) = \lVert w_\lambda\rVert$
# depends on the data and falls to zero as λ grows. With two of the blood measurements as inputs you can see it. They
# are total and LDL cholesterol, and their correlation is {{below: np.corrcoef(pair.T)[0, 1]:.2f}}:

# %%
pair = X[:, [data.feature_names.index(name) for name in ("s1", "s2")]]
path, w_best = ridge(pair, y, np.logspace(-4, 2, 60))[0], ridge(pair, y, 0.1)[0]


def half_mse(w):
    return np.mean((y - y.mean() - w @ pair.T) ** 2, axis=-1) / 2


# %%
turn = np.linspace(0, 2 * np.pi, 3600)
circle = np.linalg.norm(w_best) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
axis = np.linspace(-25, 30, 221)
loss = half_mse(np.stack(np.meshgrid(axis, axis), -1))
levels = half_mse(w_best) + np.array([-25, 0, 50, 150, 300, 600, 1000])

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 4.8))
widths = [0.6, 1.8, *[0.6] * 5]
contours = ax.contour(axis, axis, loss, levels=levels, colors=figures.GREY, linewidths=widths)
ax.plot(*path.T, color=figures.BLUE, label="_path")
ax.plot(*w_best, "o", color=figures.ORANGE, label="_best")
ax.plot(*circle.T, "--", lw=1, color=figures.ORANGE, label="_circle")
ax.text(path[0, 0] + 1, path[0, 1] + 3, "λ = 0", color=figures.BLUE)
ax.text(w_best[0] + 1.5, w_best[1] + 1, "λ = 0.1", color=figures.ORANGE)
ax.set(xlabel="weight of total cholesterol", ylabel="weight of LDL cholesterol", aspect="equal")
ax.set_title("The ball touches the lowest contour it can reach")
curves = figures.drawn(ax)
begin, best = ((mark.x[0], mark.y[0]) for mark in (curves["_path"], curves["_best"]))
figures.show(fig, "Elliptic contours of the loss over two weights, stretched along a falling "
             f"diagonal. A path of solutions runs from ({begin[0]:.0f}, {begin[1]:.0f}) "
             f"at λ = 0 to the origin. At λ = 0.1 the solution ({best[0]:.0f}, {best[1]:.0f}) lies "
             "on a circle around the origin, where the circle touches a contour.")

# %%
thick = contours.levels[np.argmax(contours.get_linewidths())]
around = half_mse(np.stack([curves["_circle"].x, curves["_circle"].y], axis=1))
both = np.linalg.solve(pair.T @ pair + n * 0.1 * np.eye(2), pair.T @ y)
fit, (squares,), *_ = np.linalg.lstsq(np.column_stack([pair, np.ones(n)]), y)

# %%
claim("01-half-mse", "least squares by NumPy leave the loss that `half_mse` says (relative error)",
      measured=half_mse(fit[:2]) * 2 * n / squares - 1, equals=0, within=1e-9)
claim("S2-17", "lowest loss on the circle through w_λ over the loss at w_λ",
      measured=around.min() / half_mse(w_best), equals=1, within=1e-6)

# %%
claim("01-dot", "the dot solves (1.1) for the two inputs",
      measured=np.array(best) - both, equals=0, within=1e-9)
claim("01-contour", "the thick contour is the one through that solution",
      measured=thick / half_mse(both), equals=1, within=1e-9)
claim("01-path", "the path begins at the least-squares fit: largest distance of a weight",
      measured=np.abs(np.array(begin) - fit[:2]), below=0.05)

# %% [markdown]
# We check it with all ten inputs by solving the constrained problem another way: step down the loss, then
# pull back to the ball.

# %%
target = ridge(X, y, 0.1)[0]
radius, w = np.linalg.norm(target), np.zeros(10)
for _ in range(1500):
    w = w + 0.2 * X.T @ (y - y.mean() - X @ w) / n
    w = w * min(1, radius / np.linalg.norm(w))
radii = np.linalg.norm(ridge(X, y, grid)[0], axis=1)

# %%
claim("S2-17", "the constrained fit with radius ‖w_λ‖ is the penalised fit (relative error)",
      measured=np.linalg.norm(w - target) / radius, below=1e-9)
claim("S3-09", "at the minimum a large λ makes the weights small: ‖w‖ at λ = 10⁶ over ‖w‖ at λ = 0",
      measured=np.linalg.norm(ridge(X, y, 1e6)[0]) / np.linalg.norm(w_0), below=1e-5)

# %%
claim("01-radius", "R(λ) is the norm of the least-squares fit, filtered as (1.2) says",
      measured=np.linalg.norm(filter_factors(s, n, grid) * (Vt @ w_0), axis=1) / radii,
      equals=1, within=1e-9)
claim("S2-17", "the radius falls at every step of λ (largest step)",
      measured=np.diff(radii), below=0)

# %% [markdown]
# **λ = 0 is no regularisation; λ → ∞ is the constant model.** With a free intercept that constant is the mean of the
# targets. The forum's answer, "f = 0 means no regularization", has it the wrong way round.

# %%
(unpenalised, crushed), (_, b_crushed) = ridge(X, y, [0, 1e9])
claim("S2-20", "λ = 0 is ordinary least squares",
      measured=[unpenalised, w_0] - np.linalg.lstsq(X, y - y.mean())[0], equals=0, within=1e-8)
claim("S2-20", "at λ = 10⁹ every prediction is the mean target",
      measured=np.abs(X @ crushed + b_crushed - y.mean()), below=1e-5)

# %% [markdown]
# **Penalise the intercept into the ground, and the model can no longer be affine.** Put a column of ones beside $X$
# and a penalty $\lambda_b$ on its weight. As $\lambda_b\to\infty$, $b$ goes to zero and $f$ becomes linear:
# $f(0) = 0$, whatever the targets. The average patient has $x = 0$ here and a target of {{y.mean():.0f}}.

# %%
Z, penalties = np.column_stack([X, np.ones(n)]), np.diag([0.1] * 10 + [1e9])
*_, b_penalised = np.linalg.solve(Z.T @ Z + n * penalties, Z.T @ y)
claim("S2-18", "penalty 10⁹ on b: the answer for the average patient",
      measured=b_penalised, equals=0, within=1e-5)
claim("S2-18", "free b: the answer for the average patient is the mean target",
      measured=ridge(X, y, 0.1)[1], equals=y.mean(), within=1e-9)

# %% [markdown]
# **Zero is a choice.** Nothing in the mathematics prefers it. Penalise $\frac\lambda2\lVert w - w_*\rVert^2$, and the
# same algebra shrinks towards $w_*$. Fit the residual $y - Xw_*$ by ridge, then add $w_*$ back. Read as a prior, the
# penalty says where you expect the weights before you see data; shrinking towards the fit of an older study is as
# legitimate as shrinking towards zero.

# %%
older, newer = np.split(np.arange(n), [221])
assert not np.intersect1d(older, newer).size
w_star = ridge(X[older], y[older], 0)[0]
towards = [w_star + ridge(X[newer], y[newer] - X[newer] @ w_star, lam)[0] for lam in (0, 1e9)]
claim("S2-19", "for λ → ∞ the weights go to the w* you chose, not to 0",
      measured=np.abs(towards[1] - w_star), below=1e-5)
claim("S2-19", "for λ = 0 the choice is forgotten",
      measured=np.abs(towards[0] - ridge(X[newer], y[newer], 0)[0]), below=1e-8)

# %% [markdown]
# **Is $\lVert w\rVert$ the size of the function?** The mean square of $f(x) = w^\top x$ over the inputs is
# $w^\top \Sigma w$ with $\Sigma = \mathbb E[xx^\top]$. It is $\lVert w\rVert^2$ when the inputs are centred,
# uncorrelated and of unit variance. Correlated inputs, and the patients' are, break the equality.

# %%
whitened = np.sqrt(n) * U
strong, weak = np.mean((X @ Vt[0]) ** 2), np.mean((X @ Vt[-1]) ** 2)
claim("S2-21", "a w of norm 1 along vᵢ makes a function of mean square sᵢ²/n",
      measured=np.array([strong, weak]) * n / s[[0, -1]] ** 2, equals=1, within=1e-9)

# %%
claim("S2-21", "whitened inputs: a w of norm 1 makes a function of mean square 1",
      measured=np.mean((whitened @ Vt[0]) ** 2), equals=1, within=1e-12)
claim("S2-21",
      "the diabetes inputs: mean squares of the functions of two w of norm 1, ratio",
      measured=strong / weak, above=100)
claims.identities()

# %% [markdown]
# ## 1.6 Bias and variance
#
# Suppose the truth is linear: $y = Xw_* + \varepsilon$, with independent noise of variance $\sigma^2$. Hold $X$ fixed
# and draw the noise again and again. Least squares has $v_i^\top w_0 = v_i^\top w_* + u_i^\top\varepsilon/s_i$: the
# true weight, plus noise that is large where $s_i$ is small (all $s_i > 0$ here). Multiply by the factor of (1.2),
# and split the mean squared error of the weights:
#
# $$\mathbb E\,\lVert w_\lambda - w_*\rVert^2 =
#   \underbrace{\sum_i \Big(\frac{n\lambda}{s_i^2+n\lambda}\Big)^2 (v_i^\top w_*)^2}_{\text{bias}^2}
#   + \underbrace{\sigma^2\sum_i \frac{s_i^2}{(s_i^2+n\lambda)^2}}_{\text{variance}} . \tag{1.4}$$
#
# The bias term starts at zero with slope zero; the variance falls at once. So *some* $\lambda > 0$ beats
# $\lambda = 0$. That is Hoerl and Kennard's theorem, and mind its premise: the linear model is the true one. It says
# nothing about networks in general.
#
# The experiment keeps 100 patients as $X$ and takes their least-squares fit as the truth, with noise of standard
# deviation {{below: sigma:.0f}}, about that of all patients' residuals, which is
# {{np.std(y - X @ w_0, ddof=1 + X.shape[1]):.1f}}. First the prediction (1.4); then, for each λ, 4000 new draws of the
# noise.

# %%
few = X[:100] - X[:100].mean(0)
U, s, Vt = np.linalg.svd(few, full_matrices=False)
truth, sigma, lams = ridge(few, y[:100], 0)[0], 54.0, np.logspace(-3, 1, 25)
factor = filter_factors(s, 100, lams)
bias2 = ((1 - factor) ** 2 * (Vt @ truth) ** 2).sum(1)
variance = sigma**2 * ((factor / s) ** 2).sum(1)
claim("01-truth", "the truth is the least-squares fit to these patients: what is left to explain",
      measured=few.T @ (y[:100] - few @ truth), equals=0, within=1e-8)

# %%
rng, measured, spread = claims.rng(), [], []
for row in factor:
    targets = few @ truth + rng.normal(0, sigma, (4000, 100))
    fits = targets @ U * (row / s) @ Vt
    measured.append(((fits - truth) ** 2).sum(1).mean())
    spread.append(fits.var(0).sum())

# %%
fig, ax = figures.subplots()
ax.loglog(lams, bias2, "--", label="bias²")
ax.loglog(lams, variance, ":", label="variance")
ax.loglog(lams, bias2 + variance, label="sum (1.4)")
ax.loglog(lams, measured, "o", ms=4, color=figures.GREY, label="measured")
ax.set(xlabel="weight decay λ", ylabel="squared error of the weights", ylim=(20, 8e3))
ax.set_title("Between too much variance and too much bias lies a minimum")
ax.legend(loc="lower center")
curves = figures.drawn(ax)
best = curves["sum (1.4)"].x[curves["sum (1.4)"].y.argmin()]
figures.show(fig, "Squared error of the weights against λ on logarithmic axes. Variance falls "
             "steadily, bias squared rises from almost nothing, and their sum is smallest "
             f"near λ = {best:.2g}. Dots measured over 4000 draws each lie on the sum.")

# %% [markdown]
# The same two terms without singular values: with $M = (X^\top X + n\lambda I)^{-1}$ the bias is $n\lambda M w_*$, and
# the variance $\sigma^2$ times the sum of the squares of $M X^\top$.


# %%
def matrix_form(lam):
    M = np.linalg.inv(few.T @ few + 100 * lam * np.eye(10))
    return np.sum((100 * lam * M @ truth) ** 2), sigma**2 * np.sum((M @ few.T) ** 2)


# %%
squared_bias, scatter = np.array([matrix_form(lam) for lam in lams]).T
claim("01-bias-curve", "the curve of the bias is that of the matrix form, for every λ",
      measured=curves["bias²"].y / squared_bias, equals=1, within=1e-9)
claim("01-variance-curve", "… and the curve of the variance, too",
      measured=curves["variance"].y / scatter, equals=1, within=1e-9)
claim("01-sum-curve", "… and that of their sum",
      measured=curves["sum (1.4)"].y / (squared_bias + scatter), equals=1, within=1e-9)

# %%
claim("01-bias-variance", "measured error over the sum of bias² and variance, for every λ",
      measured=curves["measured"].y / (squared_bias + scatter), between=(0.9, 1.1))
claim("01-draws", "measured variance over the formula's, for every λ",
      measured=spread / scatter, between=(0.9, 1.1))

# %%
claim("S3-01", f"the measured variance at λ = {lams[12]:g} is {{}} times that at λ = {lams[0]:g}",
      measured=spread[12] / spread[0], below=0.3)
claim("S3-01", "the best λ cuts the weights' error to {} times that of least squares",
      measured=curves["sum (1.4)"].y.min() / matrix_form(0)[1], below=0.5)
claims.identities()

# %% [markdown]
# ## 1.7 The objective always prefers λ = 0
#
# A tempting way to choose λ: take the one with the smallest objective. It cannot work. Let $F(\lambda) = \min_w J$.
# At the minimum the change of $w_\lambda$ contributes nothing, since the gradient is zero there. Only the explicit λ
# counts:
#
# $$F'(\lambda) = \tfrac12 \lVert w_\lambda\rVert^2 \ge 0. \tag{1.5}$$
#
# The training loss at the minimum rises as well. Take $\lambda_1 < \lambda_2$, with solutions $w_1$, $w_2$, losses
# $L_1$, $L_2$ and $P_i = \frac12\lVert w_i\rVert^2$. Each solution is best for its own objective:
# $L_1 + \lambda_1 P_1\le L_2 + \lambda_1 P_2$ and $L_2 + \lambda_2 P_2\le L_1 + \lambda_2 P_1$. Add the two:
# $P_2\le P_1$. Then the first says $L_1\le L_2$. Nothing here needed a linear model, only that the *global* minimum
# is reached.
#
# So on the data that were fitted, $\lambda = 0$ always wins. To prefer $\lambda > 0$ you need other data, or a
# criterion that charges for degrees of freedom. To see a clear preference we make the fit harder: squares and
# products of the ten measurements beside themselves (without the square of sex, which has two values and says nothing
# new). That makes {{below: wide.shape[1]}} inputs, trained on 150 patients of {{n}}. We draw {{below: len(splits)}} such
# splits.

# %%
sex, (i, j) = data.feature_names.index("sex"), np.triu_indices(10)
i, j = np.stack([i, j])[:, (i != sex) | (j != sex)]
wide = np.hstack([X, X[:, i] * X[:, j]])
wide = (wide - wide.mean(0)) / wide.std(0)
splits = [np.split(np.random.default_rng(seed).permutation(n), [150]) for seed in seeds(20)]
assert not any(np.intersect1d(fit, held).size for fit, held in splits)
lams, constant = np.logspace(-3, 3, 49), y.var() / 2
train_loss, objective, test_loss = np.empty((3, 20, 49))
for row, (fit, held) in enumerate(splits):
    w, b = ridge(wide[fit], y[fit], lams)
    train_loss[row] = ((wide[fit] @ w.T + b - y[fit, None]) ** 2).mean(0) / 2
    objective[row] = train_loss[row] + lams / 2 * (w**2).sum(1)
    test_loss[row] = ((wide[held] @ w.T + b - y[held, None]) ** 2).mean(0) / 2

# %% tags=["hide-input"]
fig, ax = figures.subplots()
losses = {"objective": objective, "test loss": test_loss, "training loss": train_loss}
for name, values in losses.items():
    ax.plot(lams, values.mean(0), label=name)
    quartiles = np.percentile(values, [25, 75], axis=0)
    ax.fill_between(lams, *quartiles, alpha=0.15, lw=0, label=f"_{name}, middle half")
ax.axhline(constant, color=figures.GREY, ls=":", label="test loss of the mean target")
ax.set(xscale="log", xlabel="weight decay λ", ylabel="loss, or objective", ylim=(0, 3600))
ax.set_title("Only the test loss prefers a λ above zero")
ax.legend(loc="lower right")
curves = figures.drawn(ax)
tested = curves["test loss"]
figures.show(fig, "Loss against λ on the diabetes data, mean of 20 splits with the middle half "
             "shaded. The objective and the training loss rise from left to right. The test "
             f"loss is U-shaped: {tested.y[0]:.0f} at λ = {tested.x[0]:g}, lowest near λ = "
             f"{tested.x[tested.y.argmin()]:.1g}, and at λ = {tested.x[-1]:g} that of answering "
             "the mean.")


# %%
def fitted(fit, held, lam):
    """Training loss, test loss and objective of scikit-learn's fit."""
    model = Ridge(alpha=len(fit) * lam).fit(wide[fit], y[fit])
    inside, outside = (
        np.mean((y[rows] - model.predict(wide[rows])) ** 2) / 2 for rows in (fit, held)
    )
    return inside, outside, inside + lam / 2 * model.coef_ @ model.coef_


# %%
middle = len(lams) // 2
theirs = np.mean([fitted(*split, lams[middle]) for split in splits], axis=0)
for name, value in zip(("training loss", "test loss", "objective"), theirs, strict=True):
    claim("01-losses", f"scikit-learn's fits at λ = {lams[middle]:g} have the {name} that is drawn",
          measured=curves[name].y[middle] / value, equals=1, within=1e-6)
    low, high = curves[f"_{name}, middle half"].low, curves[f"_{name}, middle half"].high
    claim("01-bands", f"so many of the 20 splits are in the shaded band, at each λ: {name}",
          measured=((low <= losses[name]) & (losses[name] <= high)).sum(0), equals=10)

# %%
claim("01-constant", f"at λ = {lams[-1]:g} the test loss is {{:.3f}} times that of the mean target",
      measured=curves["test loss"].y[-1] / curves["test loss of the mean target"].y,
      equals=1, within=0.04)


# %%
def minimum(lam):
    w, b = ridge(wide, y, lam)
    return np.mean((y - wide @ w - b) ** 2) / 2 + lam / 2 * w @ w


difference = (minimum(0.1001) - minimum(0.0999)) / 0.0002
slope = np.sum(ridge(wide, y, 0.1)[0] ** 2) / 2
claim("S0-12", "F′ by finite differences agrees with ‖w_λ‖²/2 (relative error)",
      measured=abs(difference / slope - 1), below=1e-6)
claim("S0-12", "the objective rises at every step of λ, on every split (smallest step)",
      measured=np.diff(objective), above=0)
claim("S3-02", "at the minimum the training loss rises with λ, on every split (smallest factor)",
      measured=train_loss[:, 1:] / train_loss[:, :-1], above=1)
claims.identities()

# %% [markdown]
# How to choose λ, then? Split the *training* data: fit on 100 of the 150, take the λ with the smallest loss on the
# other 50, and fit again on all 150. The test patients have no part in it (but for the inputs' common scaling). We
# compare the test loss with that of $\lambda = 0$; with that of the λ which is best *on the test patients*, which
# nobody can know; and with a model that the first section has taught us not to forget, least squares on the ten
# original measurements.

# %%
def linear(w, b):
    """Linear models, one or several, as a function of the inputs."""
    return lambda inputs: w @ inputs.T + np.expand_dims(b, -1)


def half_square(answer, target):
    return (answer - target) ** 2 / 2


rows, choices = [], []
for fit, held in splits:
    patients = {"train": fit[:100], "validation": fit[100:], "test": held}
    broad, ten = split(wide, y, **patients), split(X, y, **patients)
    choices.append(broad.choose(linear(*ridge(*broad.train, lams)), half_square))
    models = ((broad, 0), (broad, lams[choices[-1]]), (ten, 0))
    fits = [(parts, linear(*ridge(*parts.refit, lam))) for parts, lam in models]
    rows.append([parts.test_loss(model, half_square) for parts, model in fits])
(none, chosen, plain), best = np.array(rows).T, test_loss.min(1)

# %%
print(f"test loss, {wide.shape[1]} inputs: λ = 0 {none.mean():.0f}")
print(f"the same, λ by validation: {chosen.mean():.0f}")
print(f"{X.shape[1]} inputs, λ = 0: {plain.mean():.0f};  answering the mean: {constant:.0f}")

# %%
gain = claims.interval(np.log(none / chosen))  # a rare split has a factor of ten and more
claim("01-gain", "test loss at λ = 0 over λ by validation, geometric mean: the 95 % interval "
      "begins at {}", measured=np.exp(gain.low), above=1.3)
claim("01-validation", "test loss with λ by validation over the lowest, which no choice can beat",
      measured=(chosen / best).mean(), below=1.12)
claim("01-validation", "… in no split does a choice beat it",
      measured=np.minimum(chosen - best, 0), equals=0, within=1e-9)
claim("01-plain", f"{X.shape[1]} inputs without penalty over {wide.shape[1]} with the best λ: "
      "mean ratio of test losses", measured=(plain / best).mean(), below=1)


# %%
def least_squares(Z):
    """Test losses of NumPy's least squares with an intercept."""
    A = np.column_stack([Z, np.ones(n)])
    solved = [(held, np.linalg.lstsq(A[fit], y[fit])[0]) for fit, held in splits]
    return np.array([np.mean((y[held] - A[held] @ w) ** 2) / 2 for held, w in solved])


# %%
def validation_loss(fit, choice):
    learn, check = fit[:100], fit[100:]
    model = Ridge(alpha=100 * lams[choice]).fit(wide[learn], y[learn])
    return np.mean((y[check] - model.predict(wide[check])) ** 2)


lead = [validation_loss(fit, i + step) - validation_loss(fit, i)
        for (fit, _), i in zip(splits, choices, strict=True) for step in (-1, 1) if 0 < i < 48]

# %%
claim("01-choice", "on the 50 patients all {} neighbours of the 20 chosen λ on the grid do worse",
      measured=np.sum(np.array(lead) > 0), equals=len(lead))
claim("01-refit", "fitted again to all 150, a chosen λ has the test loss of its place on the curve",
      measured=chosen / test_loss[np.arange(20), choices], equals=1, within=1e-9)
claim("01-plain-fits", "the two models without penalty are least squares, with an intercept",
      measured=[none / least_squares(wide), plain / least_squares(X)], equals=1, within=1e-6)
claims.identities()

# %% [markdown]
# With the penalty the {{wide.shape[1]}} inputs have {{np.exp(-gain.mean):.2f}} times the test loss that they
# have without (geometric mean of the splits). And yet the plain model with {{X.shape[1]}} inputs is better still: a penalty repairs a model with too
# many directions, it does not make the directions worth having. (The splits share patients, so the interval covers the
# choice of split and not that of the {{n}} patients.)

# %% [markdown]
# ## 1.8 The puzzle resolved: null directions and the zero model
#
# Back to the 200 inputs and 20 examples. The examples span 20 directions. Along the other {{null_count}} the training
# loss is flat: its gradient is *exactly* zero there, so gradient descent never moves, and what was drawn from $N(0,1)$
# at the start is still there at the end. Each such direction adds 1 to the test error on average. That is the
# {{null_count}}.
#
# Ridge's own view: $s_i = 0$, so any $\lambda > 0$ makes the factor (1.2) zero. Under gradient descent the erasing
# takes time: each step multiplies null directions by $1-\eta\lambda$. After {{steps}} steps with
# $\eta\lambda = {{0.003 * 3:.3f}}$, they still add
# ${{null_count}}\cdot {{shrink:.3f}}^{2\cdot{{steps}}} = {{null_count * shrink ** (2 * steps):.2f}}$. The rest of the
# {{decayed.mean():.1f}} is the true weights in the null directions,
# ${{null_count}}\cdot 0.01^2 = {{null_count * 0.01**2:.3f}}$, which no fit can know, and the intercept: the wild start
# pushes it away from 0.05, and being free, it comes back slowly. (How far it has come is taken from the run itself
# below.)

# %%
parts, moved, learnt = [], [], []  # null: projects on the directions that no example spans
scales = (1, shrink**steps, 0)
assert len({start[0] for _, _, start, _ in problems}) == len(problems)  # each has its own start
for X_20, y_20, start, fits in problems:
    null = np.eye(200) - np.linalg.pinv(X_20) @ X_20
    parts.append([np.sum((null @ (scale * start - 0.01)) ** 2) for scale in (*scales, 0.01)])
    moved += [null @ (w - scale * start) for (w, _), scale in zip(fits, scales, strict=True)]
    w, b = fits[2]
    learnt.append(np.mean((X_20 @ w + b - y_20) ** 2) / np.mean(y_20**2))
keep, shrunk, _, faint = np.array(parts).T
intercept = np.array([fits[1][1] for *_, fits in problems])  # where λ = 3 has brought it

# %%
claim("S2-25", "from N(0,1) every error is its null part and little more: ratio, of ten data sets",
      measured=dots["N(0,1) start, λ = 0"] / keep, equals=1, within=0.02)
claim("01-null-part", f"that part is {{}} on average, near {null_count}",
      measured=keep.mean(), equals=null_count, within=36)

# %%
claim("S2-25", "with λ = 3: error over shrunken null part plus intercept, mean of ten",
      measured=(dots["N(0,1) start, λ = 3"] / (shrunk + (intercept - 0.05) ** 2)).mean(),
      between=(0.99, 1.06))
claim("S2-25", "starting from zero needs no penalty: the error is {} times that of λ = 3",
      measured=dots["zero start, λ = 0"].mean() / decayed.mean(), below=0.3)
claim("01-learnt", "though it has learnt its 20 examples: training error over the targets' square",
      measured=learnt, below=0.001)

# %% [markdown]
# So the gap is a gap between *starting points*. The penalty's part is to delete noise that the experimenter put in.
# Beside every test error should stand the error of a model that has learnt nothing. Here that is the zero model; even
# the fit from zero beats it by little, since 20 examples reveal 20 of the 200 directions.
#
# Today's edition of the textbook starts from $N(0, 0.01^2)$ and takes fewer, larger steps. With less noise in the
# start, the gap shrinks from a factor of {{n01.mean() / decayed.mean():.0f}} to one of {{below: gap:.1f}}:

# %%
small = {weight_decay: [] for weight_decay in (0, 3)}
for X_20, y_20, start, _ in problems:
    for weight_decay, errors in small.items():
        rng = np.random.default_rng(0)
        w, b = train(X_20, y_20, 0.01 * start, weight_decay, rng, lr=0.01, epochs=10)
        errors.append(test_error(w, b))
gap = np.mean(small[0]) / np.mean(small[3])
print(f"zero model {zero.mean():.3f}, fit from zero {from_zero.mean():.3f}")
print(f"noise alone {0.01**2:.4f}")

# %%
claim("01-today", "start N(0, 0.01²): error without penalty over error with λ = 3",
      measured=gap, between=(1, 2))
claim("01-today", "… and over its own part in the null directions, mean of ten",
      measured=(small[0] / faint).mean(), between=(1, 1.15))

# %%
claim("01-zero-model", "start N(0, 1): the penalised model's error is {} times the zero model's",
      measured=decayed.mean() / zero.mean(), above=2)
claim("01-zero-model", "the fit from zero over the zero model: better, though not by much",
      measured=from_zero.mean() / zero.mean(), between=(0.6, 1))

# %% [markdown]
# All these errors are sums that `test_error` computes, and not counts on test examples. Do they say the same? We ask
# the true model, the zero model and the fits to the first data set for the targets of 20,000 fresh examples.

# %%
X_new, y_new = make_regression(20_000, seed=seeds(11)[-1])  # a seed that no data set has
asked = [(np.full(200, 0.01), 0.05), (np.zeros(200), 0), *problems[0][-1]]
counted = [np.mean((X_new @ w + b - y_new) ** 2) for w, b in asked]
claim("01-test-error", "error on 20,000 fresh examples over `test_error`, for five models",
      measured=np.divide(counted, [test_error(w, b) for w, b in asked]), between=(0.95, 1.05))

# %%
claim("01-null-weights", "null directions: the start as it was, or (1 − ηλ)ᵗ times, or 0",
      measured=moved, equals=0, within=1e-9)
claim("01-zero-dots", "answering zero costs the targets' mean square, 200·0.01² + 0.05² + 0.01²",
      measured=dots["answer zero"], equals=200 * 0.01**2 + 0.05**2 + 0.01**2, within=1e-12)
claims.identities()

# %% [markdown]
# ## 1.9 λ/2 or λ/(2m)?
#
# Courses often write $\frac{\lambda}{2m}\lVert w\rVert^2$, with $m$ the number of training examples. It comes from
# Bayes' rule. With Gaussian noise and prior, the negative log posterior is a *sum* over the examples plus
# $\frac{\lambda}{2}\lVert w\rVert^2$; divide everything by $m$. The two conventions differ when data are added. Copy
# every example: the mean loss is the same function, so $\lambda/2$ gives the same fit. Under $\lambda/(2m)$ the
# penalty halves, because twice the evidence should count more against the same prior.

# %%
twice_X, twice_y = np.vstack([X, X]), np.hstack([y, y])
same = np.abs(ridge(twice_X, twice_y, 0.1)[0] - ridge(X, y, 0.1)[0]).max()
summed = np.linalg.solve(twice_X.T @ twice_X + n * 0.1 * np.eye(10), twice_X.T @ twice_y)
halved = np.linalg.solve(X.T @ X + n * 0.05 * np.eye(10), X.T @ y)

# %%
claim("S3-08", "λ/2 beside the mean loss: copying every example changes nothing",
      measured=same, below=1e-9)
claim("S3-08", "λ/(2m), that is λ/2 beside the sum: copying is the same as halving λ",
      measured=np.abs(summed - halved), below=1e-9)
claims.identities()

# %% [markdown]
# With λ fixed under the second convention, the effect vanishes as $m$ grows: where the shrinkage is small, {{below: more}} times
# the data make it {{below: gaps[0] / gaps[1]:.0f}} times smaller. Whether $\frac\lambda{2m}$ "will continue to stay relatively large", as
# the lesson says of a large λ, depends on $m$. PyTorch's `weight_decay` follows the first convention if your loss is a mean;
# [chapter 3](03_one_lambda_many_meanings.ipynb) has the table for other frameworks.

# %%
more = 100
gaps = [1 - np.linalg.norm(ridge(X, y, 0.01 / m)[0]) / np.linalg.norm(w_0) for m in (n, more * n)]
claim("S3-10", f"a small shrinkage with {more} times the data over that with the data at hand",
      measured=gaps[1] / gaps[0], between=(0.008, 0.012))

# %% [markdown]
# ## 1.10 Not every regulariser is a term in the loss
#
# "To implement regularization is to simply add a term to our loss function", says the lesson. Some regularisation is
# that. *Early stopping* adds nothing: run gradient descent on the bare loss from zero and stop after $t$ steps. Along
# each singular direction it has then reached the fraction
#
# $$1 - \Big(1 - \frac{\eta s_i^2}{n}\Big)^t \tag{1.6}$$
#
# of the least-squares fit. Compare (1.2): small for weak directions, near 1 for strong ones. It regularises in the
# same spirit, and no term was added. (Dropout and noisy inputs add none either; for linear regression they act as an L2
# term *on average*, in networks as something else.)

# %%
U, s, Vt = np.linalg.svd(X, full_matrices=False)
w = np.zeros(10)
for _ in range(20):
    w = w - 0.2 * X.T @ (X @ w + y.mean() - y) / n
stopped = 1 - (1 - 0.2 * s**2 / n) ** 20
claim("S0-10", "stopping after 20 steps filters each direction as (1.6) says",
      measured=np.abs(Vt @ w - stopped * (Vt @ w_0)), below=1e-9)
lams = np.logspace(-4, 2, 601)
distances = np.linalg.norm(stopped - filter_factors(s, n, lams), ord=np.inf, axis=1)
farthest = [max(abs(stopped - s**2 / (s**2 + n * lam))) for lam in lams]

# %%
claim("01-distance", "each λ's distance is that of the direction in which the filters differ most",
      measured=distances - farthest, equals=0, within=1e-12)
claim("S0-10", "no λ gives the same filter: distance to the nearest one",
      measured=distances.min(), above=0.02)
claims.identities()

# %% [markdown]
# It works, too. On the 20 splits of section 1.7, the test loss after 30 steps is far below that of the fit at
# $\lambda = 0$.

# %%
stopped_loss, filtered_loss = [], []
for fit, held in splits:
    centred, w = wide - wide[fit].mean(0), np.zeros(wide.shape[1])
    for _ in range(30):
        w = w + 0.1 * centred[fit].T @ (y[fit] - y[fit].mean() - centred[fit] @ w) / 150
    stopped_loss.append(np.mean((y[held] - y[fit].mean() - centred[held] @ w) ** 2) / 2)
    U, s, Vt = np.linalg.svd(wide[fit] - wide[fit].mean(0), full_matrices=False)
    answers = (wide[held] - wide[fit].mean(0)) @ Vt.T / s * (1 - (1 - 0.1 * s**2 / 150) ** 30) @ U.T
    errors = answers @ (y[fit] - y[fit].mean()) + y[fit].mean() - y[held]
    filtered_loss.append(np.mean(errors**2) / 2)

# %%
claim("S3-03", "early stopping, without any term: the test loss is {} times that of λ = 0",
      measured=np.mean(stopped_loss) / none.mean(), below=0.7)
claim("S3-03", "the 30 steps answer as a fit filtered by (1.6) does: ratio of the test losses",
      measured=np.divide(stopped_loss, filtered_loss), equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.11 The sources, line by line
#
# The verdicts on the claims that this chapter decides. The whole ledger has a page of its own in the HTML book.

# %%
verdict("S0-03", "convention",
        "Without the ½ the same λ shrinks twice as fast; biases are left out here too.")
verdict("S0-09", "true", "Only the gradient acts: a constant changes no iterate.")
verdict("S0-10", "true", "Early stopping is one: it adds no term, and no λ gives its filter.")

# %%
verdict("S0-12", "true",
        "The objective at its minimum rises with λ whatever the data: F′ = ‖w‖²/2.")

# %%
verdict("S2-17", "false",
        "λ is its multiplier; the radius R(λ) depends on the data and falls with λ.")
verdict("S2-18", "true", "The model f(x) = wᵀx is then linear: f(0) = 0 whatever the targets.")
verdict("S2-19", "convention",
        "It is what this penalty shrinks to. Shrinking towards another w* is the same algebra.")

# %%
verdict("S2-20", "false", "λ = 0 is no regularisation. A constant model is the limit λ → ∞.")
verdict("S2-21", "under conditions",
        "‖w‖ is the root mean square of wᵀx if inputs are centred, uncorrelated, of variance 1.")

# %%
verdict("S2-22", "false",
        f"A million entries of 10⁻⁴ have norm {million.norm():.1f}: the norm adds squares, it does "
        "not count.")
verdict("S2-23", "false",
        f"10,000 entries of 0.5 have norm {many.norm():.0f}. The other way round it holds: "
        "|w_i| ≤ ‖w‖.")
verdict("S2-25", "under conditions",
        f"With N(0,1) starts the gap is noise of the start in {null_count} directions that "
        "training cannot see. From zero there is no gap to cure.")

# %%
verdict("S3-01", "under conditions",
        "Variance falls. If a linear model is true, some λ > 0 beats least squares.")
verdict("S3-02", "under conditions",
        "Training loss rises with λ at global minima; that test loss falls is not guaranteed.")
verdict("S3-03", "false", "Early stopping adds none, and lowers the test loss.")

# %%
verdict("S3-04", "undecidable", "No survey is named, and none can be run here.")
verdict("S3-06", "false", "‖0‖ = 0; all other vectors have a positive norm.")

# %%
verdict("S3-07", "false",
        "It is a non-negative number; which one depends on the norm that is meant.")
verdict("S3-08", "convention", "m counts training examples. More data then mean less shrinkage.")
verdict("S3-10", "under conditions",
        "Under λ/(2m) it depends on m: for m → ∞ the shrinkage vanishes for every λ.")

# %%
verdict("S3-12", "under conditions",
        "Degrees of freedom of a linear model fall. No layer and no parameter goes.")
claims.verdicts()

# %% [markdown]
# ## 1.12 In practice
#
# **Take home.** Choose λ by the loss on held-out data, without the penalty and never by the objective, and put the best
# constant beside it. Before you tune λ, ask which directions your data hardly determine: those are what it changes.
#
# **Limits.** Everything exact here is about linear models at their minimum. Networks with ReLU have no such closed
# form; [chapter 5](05_size_normalisation.ipynb) proves what survives. A penalty on $|w|$ in place of $w^2$ gives
# zeros: [chapter 4](04_other_penalties.ipynb). Networks with batch norm break even the monotonic training loss;
# chapter 7 shows how (their objective has no minimum). Nothing was said about training dynamics: that is chapter 2.
#
# ## 1.13 Exercises
#
# **1.** A model has $s = (10, 1)$, $n = 100$, $\lambda = 0.01$. What are its factors and its degrees of freedom?
#
# <details>
# <summary>Solution</summary>
#
# $n\lambda = {{100 * 0.01:g}}$, so the factors are $100/101 \approx {{filter_factors([10, 1], 100, 0.01)[0]:.2f}}$ and
# $1/2$. The degrees of freedom are ${{filter_factors([10, 1], 100, 0.01).sum():.2f}}$.
#
# </details>
#
# **2.** You switch from half the mean squared error to `torch.nn.MSELoss` and keep λ. Is the new fit more or less
# penalised? Which λ restores the old one?
#
# <details>
# <summary>Solution</summary>
#
# The loss doubles and the penalty does not, so the fit is *less* penalised. $2\lambda$ restores it; then the whole
# objective has doubled, and its minimum is where it was.
#
# </details>
#
# **3.** Show that the variance term of (1.4) falls in λ for every $s_i > 0$, and that the bias term has slope zero at
# $\lambda = 0$. Conclude Hoerl and Kennard's theorem.
#
# <details>
# <summary>Solution</summary>
#
# $\frac{d}{d\lambda}\frac{s^2}{(s^2+n\lambda)^2} = -\frac{2ns^2}{(s^2+n\lambda)^3} < 0$. The bias term is
# $\big(\frac{n\lambda}{s^2+n\lambda}\big)^2 (v^\top w_*)^2 = O(\lambda^2)$. At $\lambda = 0$ the sum has slope
# $-2n\sigma^2\sum_i s_i^{-4} < 0$. So a small enough λ improves on least squares. How small depends on $w_*$, which
# you do not know.
#
# </details>
#
# **4.** Scale one input by 1000 (metres to millimetres). What does this do to least squares, and what to ridge?
#
# <details>
# <summary>Solution</summary>
#
# Least squares does not care: the weight becomes 1000 times smaller and all predictions stay. Ridge does: the small
# weight costs almost nothing now, so this input is hardly penalised. This is why inputs are standardised before a
# penalty.
#
# </details>
#
# **5.** (Open.) Early stopping and ridge filter differently, (1.6) and (1.2). For which data could one be better than
# the other? Start from (1.4) with a general filter $\phi_i$, and find the best $\phi_i$ for each direction.
#
# <details>
# <summary>A start</summary>
#
# The error is $\sum_i (1-\phi_i)^2 c_i^2 + \sigma^2\phi_i^2/s_i^2$ with $c_i = v_i^\top w_*$. Each term is smallest
# at $\phi_i = \frac{s_i^2}{s_i^2 + \sigma^2/c_i^2}$. That is ridge's filter if all $c_i^2$ are equal, with
# $n\lambda = \sigma^2/c^2$. If strong directions carry more of the truth than weak ones, a steeper filter wins.
#
# </details>
#
# ## Where next, and sources
#
# [Chapter 2](02_from_penalty_to_weight_decay.ipynb) lets gradient descent run: what $1-\eta\lambda$ does at every
# step, and when it blows up.
#
# - [Hoerl and Kennard (1970)](https://doi.org/10.1080/00401706.1970.10488634): ridge regression, and the theorem of section 1.6.
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: the toy problem of section 1.1.
# - [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html), *A Simple Weight Decay Can Improve Generalization*, NIPS 4: null directions and noise,
#   in a linear network.
