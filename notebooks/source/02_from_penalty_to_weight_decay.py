# %% [markdown]
# # 2 From penalty to weight decay
#
# A penalty is a term in a loss. *Weight decay* is what a training step does with it: multiply each weight by a number just
# below one. When are the two the same? How fast does a weight decay? And when does the step itself blow up?
# Afterwards you can convert "multiply by 0.99 every batch" into a λ and back, say what momentum does to the rate, and
# compute beforehand at which learning rate a linear model diverges.
#
# *Reading time 25 minutes; the code runs in about 8 seconds.*

# %%
import numpy as np
import torch

from l2lib import figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import linear_regression
from l2lib.layers import MLP
from l2lib.penalty import half_life, ridge, shrink_factor
from l2lib.sweep import sweep

# %% [markdown]
# ## 2.1 A puzzle: more penalty cures an explosion
#
# A reader of the textbook from [chapter 1](01_what_an_l2_penalty_does.ipynb) trains its toy problem (200 inputs, 20
# examples, minibatches of 5) and raises the learning rate from 0.003 to 0.03. The loss explodes. They try full batches:
# it converges. They try minibatches with $\lambda = 3$: explosion. With $\lambda = 10$: convergence, with a test error
# that looks excellent. On the forum the answer is that learning rates are tricky.


# %%
def train(X, y, lr, weight_decay, batch, rng, epochs=30):
    w, b, losses = rng.standard_normal(X.shape[1]), 0.0, []
    for _ in range(epochs):
        losses.append(np.mean((X @ w + b - y) ** 2))
        for rows in rng.permutation(len(X)).reshape(-1, batch):
            error = X[rows] @ w + b - y[rows]
            w = w - lr * (2 * X[rows].T @ error / batch + weight_decay * w)
            b = b - lr * 2 * error.mean()
    return losses


# %%
X, y = linear_regression(seeds(1)[0], 20)
runs = {"minibatch, λ = 0": (0, 5), "minibatch, λ = 3": (3, 5), "minibatch, λ = 10": (10, 5), "full batch, λ = 0": (0, 20)}
fig, ax = figures.subplots()
for name, (decay, batch) in runs.items():
    ax.semilogy(train(X, y, 0.03, decay, batch, np.random.default_rng(1)), label=name)
ax.set(xlabel="epoch", ylabel="training loss (mean squared error)", xlim=(0, 38), ylim=(1e-11, 1e18))
ax.set_title("At learning rate 0.03, λ = 10 rescues what λ = 3 cannot")
figures.label_lines(ax)
figures.show(fig, "Training loss on a logarithmic axis over 30 epochs at learning rate 0.03. Minibatch runs with λ = 0 and 3 "
             "grow along straight lines beyond 10^7. The minibatch run with λ = 10 and the full-batch run fall.")

# %% [markdown]
# Straight lines on a logarithmic axis: something is multiplied by the same factor every epoch. By the end of this
# chapter you will have computed that factor without training, and you will know what the excellent test error was worth.

# %% [markdown]
# ## 2.2 The shrink factor
#
# One step of gradient descent on $L(w) + \frac\lambda2\lVert w\rVert^2$, with $g = \nabla L(w)$:
#
# $$w - \eta\,(g + \lambda w) \;=\; (1 - \eta\lambda)\,w - \eta\, g. \tag{2.1}$$
#
# That is the whole derivation. The penalty multiplies the weight by $a = 1-\eta\lambda$ and then the
# loss takes its usual step, with the gradient *at the old weight*. Three things follow at once.
#
# 1. The rate is the product $\eta\lambda$. Halve the learning rate, and the decay per step halves too.
# 2. A weight that the loss ignores shrinks geometrically, $w_t = a^t w_0$. Its *half-life* is
#    $\ln 2/(-\ln a) \approx 0.69/(\eta\lambda)$ steps. For $\eta = 0.1$ and $\lambda = 5\cdot10^{-4}$, a common
#    setting, that is about 13,900 steps.
# 3. It is shrinkage only while $|a| < 1$, that is $0 < \eta\lambda < 2$. Beyond, the penalty's own step overshoots
#    zero by more than it started with.

# %%
print("half-life at η = 0.1, λ = 0.0005:", round(half_life(lr=0.1, weight_decay=5e-4)), "steps")
claim("02-half-life", "after one half-life of steps a weight is halved", measured=(1 - 0.1 * 0.02) ** half_life(0.1, 0.02), equals=0.5, within=1e-12)

# %% [markdown]
# "A large λ makes the weights small, because SGD minimises the loss" has this limit. With $\eta = 0.1$ and $\lambda = 21$
# the factor is $-1.1$. The minimiser is zero, yet gradient descent runs away from it, doubling every seven steps.

# %%
w = torch.ones(1, dtype=torch.float64)
for _ in range(50):
    w = w - 0.1 * (0 + 21 * w)  # the loss has gradient 0: only the penalty acts
claim("S3-09", "ηλ = 2.1: after 50 steps the weight has grown by 1.1⁵⁰", measured=w.abs(), equals=1.1**50, within=1e-9)
weights, _ = ridge(X, y, [1e-3, 1, 1e3, 1e6])
claim("S3-09", "the minimiser itself does go to 0 with λ: norm at 10⁶ over norm at 10⁻³", measured=np.linalg.norm(weights[-1]) / np.linalg.norm(weights[0]), below=1e-3)

# %% [markdown]
# Library code often refuses what cannot be meant. `shrink_factor` of this book's helper says so:

# %%
try:
    shrink_factor(lr=0.1, weight_decay=21)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 2.3 From scratch, with torch.optim, and as one sweep
#
# Write (2.1) out for a linear model on the mean squared error (no ½: we follow `torch.nn.MSELoss` throughout this chapter). All
# 20 examples are used at every step, both start at zero, and only the weights decay.

# %%
w, b = np.zeros(200), 0.0
for _ in range(100):
    error = X @ w + b - y
    w, b = (1 - 0.003 * 3) * w - 0.003 * 2 * X.T @ error / 20, b - 0.003 * 2 * error.mean()

# %% [markdown]
# PyTorch's SGD takes λ as `weight_decay`. Parameter groups keep the bias out of it.

# %%
layer = torch.nn.Linear(200, 1, dtype=torch.float64)
torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
groups = [{"params": [layer.weight], "weight_decay": 3}, {"params": [layer.bias], "weight_decay": 0}]
optimizer = torch.optim.SGD(groups, lr=0.003)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(layer(torch.tensor(X)).squeeze(1), torch.tensor(y)).backward()
    optimizer.step()
claim("02-torch", "torch.optim.SGD takes the same 100 steps", measured=np.abs(layer.weight.detach().numpy()[0] - w).max(), below=1e-12)

# %% [markdown]
# One run answers one question. This book asks for dozens: every combination of learning rate, λ and data set.
# `sweep` trains all of them at once, as one product of stacked matrices. It is (2.1) with an extra axis;
# read it in `l2lib/sweep.py`.

# %%
grid = sweep(MLP((200, 1), init="zeros"), X, y, loss="mse", lr=[0.001, 0.003], weight_decay=[0, 1, 3], steps=100)
in_sweep = grid["weight0"].sel(lr=0.003, weight_decay=3).values.ravel()
claim("02-sweep", "the same run inside a sweep of six", measured=np.abs(in_sweep - w).max(), below=1e-12)
claim("02-sweep-norm", "in the sweep, the norm after 100 steps falls from λ = 1 to λ = 3 (ratio)", measured=grid.norm[0, 1, 2, 0, -1] / grid.norm[0, 1, 1, 0, -1], below=0.95)

# %% [markdown]
# ## 2.4 "Multiply all weights by 0.99 every batch"
#
# A well-known answer says that L2 is almost identical to multiplying all weights by 0.99 after each batch. Under plain
# SGD it is not *almost*: it is exact, once you say in which order. Let $c = 0.99$.
#
# - **Decay the old weight, then subtract the step** taken from where you were: $cw - \eta g(w)$. Compare (2.1):
#   $\;\lambda = (1-c)/\eta$.
# - **Step first, then decay the result:** $c\,(w - \eta g(w)) = cw - c\eta\, g(w)$. The gradient is scaled as well, so it is
#   (2.1) with the learning rate $\eta' = c\eta$ and $\lambda' = (1-c)/(c\eta)$.
#
# We test both on a loss that is not quadratic.


# %%
def gradient(w):
    return w**3 - 2 * np.roll(w, 1) + 0.5


def final(step, w=(0.3, -1.2, 2.0), steps=200):
    w = np.array(w)
    for t in range(steps):
        w = step(w, t)
    return w


lr, c = 0.05, 0.99
before = final(lambda w, t: c * w - lr * gradient(w))
after = final(lambda w, t: c * (w - lr * gradient(w)))
l2_before = final(lambda w, t: w - lr * (gradient(w) + (1 - c) / lr * w))
l2_after = final(lambda w, t: w - c * lr * (gradient(w) + (1 - c) / (c * lr) * w))

# %%
claim("S0-11", "decay, then step: L2 with λ = 0.01/η", measured=np.abs(before - l2_before).max(), below=1e-12)
claim("S0-11", "step, then decay: L2 with η′ = 0.99η and λ′ = 0.01/(0.99η)", measured=np.abs(after - l2_after).max(), below=1e-12)
claim("S0-11", "the two orders are close, not equal: largest difference of the final weights", measured=np.abs(before - after).max(), between=(1e-4, 1e-2))
claim("02-half-life-99", "0.99 per batch is strong: half-life in batches", measured=half_life(lr, 0.01 / lr), equals=68.97, within=0.01)

# %% [markdown]
# In the convention without ½ it is $\lambda = 0.005/\eta$. And the equality ends where the learning rate changes or
# the optimiser does. L2 under a schedule decays by $\eta_t\lambda$, so it fades with the learning rate; a literal 0.99 goes
# on. Halve η every 50 steps and compare:

# %%
schedule = [lr * 0.5 ** (t // 50) for t in range(200)]
literal = final(lambda w, t: c * w - schedule[t] * gradient(w))
penalty = final(lambda w, t: w - schedule[t] * (gradient(w) + (1 - c) / lr * w))
claim("S0-11", "under a schedule a literal 0.99 and L2 part: largest difference", measured=np.abs(literal - penalty).max(), above=0.05)

# %% [markdown]
# With momentum the next section applies, with Adam chapter 3: there the two are different methods.
#
# ## 2.5 Momentum: the same λ, ten times the decay
#
# PyTorch adds the penalty's gradient before the momentum buffer:
#
# $$v \leftarrow \mu v + g + \lambda w, \qquad w \leftarrow w - \eta v. \tag{2.2}$$
#
# What happens to a weight that the loss ignores, $g = 0$? Put $u = \eta v$. Then $(w, u)$ is multiplied by a fixed matrix,
#
# $$\begin{pmatrix} w\\ u\end{pmatrix} \leftarrow \begin{pmatrix} 1-\eta\lambda & -\mu\\ \eta\lambda & \mu\end{pmatrix}
# \begin{pmatrix} w\\ u\end{pmatrix},\qquad z^2 - (1 + \mu - \eta\lambda)\,z + \mu = 0, \tag{2.3}$$
#
# and in the long run $w$ shrinks by the larger root $z$ at every step. For small $\eta\lambda$ that is
# $z \approx 1 - \frac{\eta\lambda}{1-\mu}$: with $\mu = 0.9$, *ten times* the decay that the same numbers give without
# momentum. The other form, *decoupled* weight decay, takes $(1-\eta\lambda)\,w$ outside the buffer; it shrinks by exactly
# $1-\eta\lambda$, whatever μ.

# %%
lr, decay, mu = 0.1, 0.01, 0.9
parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer, path = torch.optim.SGD([parameter], lr=lr, momentum=mu, weight_decay=decay), []
for _ in range(300):
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    path.append(parameter.item())
root = max(np.roots([1, -(1 + mu - lr * decay), mu]))

# %%
claim("02-momentum", "PyTorch's SGD with momentum shrinks by the larger root of (2.3), per step", measured=path[-1] / path[-2], equals=root, within=1e-9)
claim("02-momentum-rate", "its decay rate over that without momentum", measured=np.log(root) / np.log(1 - lr * decay), between=(9, 11.5))

# %% [markdown]
# If $\eta\lambda > (1-\sqrt\mu)^2$ the roots are complex, and the weight oscillates around zero while it shrinks by $\sqrt\mu$
# a step. More λ then no longer means more decay. With $\mu = 0.9$ that starts at $\eta\lambda = 0.0026$.

# %%
shrink = [max(abs(np.roots([1, -(1 + mu - x), mu]))) for x in (0.003, 0.03, 0.3)]
claim("02-momentum-limit", "beyond (1 − √μ)² the shrinkage per step stays √μ, whatever ηλ (spread)", measured=np.ptp([*shrink, mu**0.5]), below=1e-12)

# %% [markdown]
# ## 2.6 When does SGD diverge?
#
# **Full batch.** Near a minimum the loss is quadratic with Hessian $H$, and the error $e = w - w_\lambda$ obeys
# $e \leftarrow (I - \eta H - \eta\lambda I)\,e$. It shrinks in every direction if and only if
#
# $$|1 - \eta\lambda - \eta\rho| < 1 \quad\text{for all eigenvalues } \rho \text{ of } H; \qquad \lambda = 0:\; \eta < 2/\rho_{\max}. \tag{2.4}$$
#
# For the mean squared error, $H = \frac{2}{n}\tilde X^\top\tilde X$, with a column of ones in $\tilde X$ for the bias.
# **Minibatch.** Each batch $B$ has a Hessian of its own, $H_B = \frac{2}{|B|}\tilde X_B^\top\tilde X_B$, and it is *larger*: five
# random vectors of length $\sqrt{200}$ are nearly orthogonal, and none averages the others away. Random matrix theory
# puts its largest eigenvalue near $\frac{2}{5}(\sqrt{200}+\sqrt5)^2 = 107$, against 35 for all 20.

# %%
data = np.stack([linear_regression(seed, 20)[0] for seed in seeds(20)])
gram = data @ data.transpose(0, 2, 1) + 1  # X̃X̃ᵀ for 20 data sets, bias column included
full = 2 / 20 * np.linalg.eigvalsh(gram)[:, -1]
small = np.array([2 / 5 * np.linalg.eigvalsh(g[i : i + 5, i : i + 5])[-1] for g in gram for i in range(0, 20, 5)])
print(f"2/ρ: full batch {2 / full.mean():.3f}; minibatches of 5 from {2 / small.max():.4f} to {2 / small.min():.4f}")
claim("02-batch-hessian", "mean largest eigenvalue of a minibatch over (2/5)(√200 + √5)²", measured=small.mean() / (0.4 * (200**0.5 + 5**0.5) ** 2), between=(0.85, 1.05))

# %% [markdown]
# So $\eta = 0.03$ is half of what a full batch tolerates, and above $2/\rho$ of *every* minibatch. Being below $2/\rho$ for
# every minibatch is enough for safety: no batch then expands anything. But it is not necessary: a direction that one batch
# expands, the others leave alone or shrink. What decides is the product of all steps of an epoch.
#
# **The epoch map.** Follow the residuals $r = Xw + b\mathbf 1 - y$ of the training examples, with $y = 0$ (two runs with
# different starts differ by just this). One step with batch $B$ and $a = 1-\eta\lambda$ gives
#
# $$r \leftarrow a\,r + (1-a)\,b\,\mathbf 1 - \tfrac{2\eta}{|B|}\, G_{\cdot B}\, r_B,\qquad
# b \leftarrow b - \tfrac{2\eta}{|B|}\textstyle\sum_{i\in B} r_i,\qquad G = XX^\top + \mathbf 1\mathbf 1^\top. \tag{2.5}$$
#
# It is linear, so in the long run $\lVert r\rVert$ grows by a constant factor $e^\Lambda$ per epoch. $\Lambda$ is
# the map's *Lyapunov exponent*: negative means convergence, positive means explosion. (2.5) is five lines of code.


# %%
def growth(lr, decay, batch, epochs=200, skip=50):
    rng, a, n = np.random.default_rng(seeds(1)[0]), 1 - lr * decay, gram.shape[1]
    r, b, start = rng.standard_normal(gram.shape[:2]), np.zeros((len(gram), 1)), 0
    for epoch in range(epochs):
        start = np.linalg.norm(r, axis=1) if epoch == skip else start
        for rows in np.split(np.argsort(rng.random(r.shape), axis=1), n // batch, axis=1):
            r_B = np.take_along_axis(r, rows, 1)
            G_B = np.take_along_axis(gram, rows[:, None, :], 2)
            r = a * r + (1 - a) * b - 2 * lr / batch * np.einsum("snb,sb->sn", G_B, r_B)
            b = b - 2 * lr / batch * r_B.sum(1, keepdims=True)
    return np.log(np.linalg.norm(r, axis=1) / start) / (epochs - skip)


# %%
rates, decays = [0.003, 0.010, 0.015, 0.020, 0.0225, 0.025, 0.030], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
over_lr = np.array([growth(lr, 0, batch=5) for lr in rates])
over_decay = np.array([growth(0.03, decay, batch=5) for decay in decays])
fig, axes = figures.subplots(1, 2, sharey=True)
for ax, x, exponents in ((axes[0], rates, over_lr), (axes[1], decays, over_decay)):
    ax.plot(x, exponents, color=figures.SKY, lw=0.6)
    ax.plot(x, exponents.mean(1), "o-", color=figures.BLUE)
    ax.axhline(0, color=figures.GREY, lw=1)
axes[0].set(xlabel="learning rate η (λ = 0)", ylabel="Lyapunov exponent per epoch", title="Explodes above η ≈ 0.022 …")
axes[1].set(xlabel="weight decay λ (η = 0.03)", ylabel="Lyapunov exponent per epoch", title="… unless λ is above 6.5")
figures.show(fig, "Two panels with the Lyapunov exponent per epoch for 20 data sets and their mean. Left, against the "
             f"learning rate: it falls to {over_lr.mean(1).min():.2f} and then rises through zero between 0.020 and 0.025. "
             f"Right, against λ at learning rate 0.03: from {over_decay[0].mean():.2f} it falls through zero between 6 and 7.")


# %% [markdown]
# We look at the sign, with a 95 % interval for the mean over the data sets.


# %%
def end(exponents, sign):
    """Upper (sign 1) or lower (sign -1) end of the 95 % interval of the mean."""
    return exponents.mean() + sign * 2.09 * exponents.std(ddof=1) / np.sqrt(len(exponents))


claim("S2-05", "η = 0.003 converges: upper end of Λ", measured=end(over_lr[0], 1), below=0)
claim("S2-05", "η = 0.015 converges: upper end of Λ", measured=end(over_lr[2], 1), below=0)
claim("S2-05", "η = 0.020 still converges: upper end of Λ", measured=end(over_lr[3], 1), below=0)
claim("S2-05", "η = 0.025 explodes: lower end of Λ", measured=end(over_lr[5], -1), above=0)
claim("S2-05", "η = 0.03 explodes on every data set: smallest Λ", measured=over_lr[6].min(), above=0.2)
claim("S2-05", "η = 0.03 with full batches converges on every data set: largest Λ", measured=growth(0.03, 0, batch=20).max(), below=-0.1)

# %% [markdown]
# Could one have known? Yes, with a pencil. Take the 20 rows as orthogonal, each of squared length 200. Then a minibatch
# multiplies the residuals of *its own* five examples by $1 - \frac{2\eta\cdot 200}{5} = 1 - 80\eta$ and leaves the others alone.
# That is stable up to $\eta = 0.025$. The rows are not quite orthogonal, so the truth lies a little lower, above the
# $2/107 = 0.019$ at which the first batches begin to expand. The number was there all the time.

# %%
crossing = np.interp(0, over_lr.mean(1)[3:], rates[3:])
claim("S2-08", "the threshold (mean over data sets) lies between 2/107 and 2/80", measured=crossing, between=(2 / 107, 2 / 80))
claim("S2-09", "a full batch tolerates more: its 2/ρ over that threshold", measured=(2 / full).mean() / crossing, above=2)

# %% [markdown]
# Is the exponent what training really does? The sweep trains all 20 data sets with the true targets; the slope
# of the logarithm of the residuals' norm (half that of the loss) must agree.

# %%
targets = np.stack([linear_regression(seed, 20)[1] for seed in seeds(20)])
settings = {"loss": "mse", "lr": [0.03], "batch_size": 5, "seeds": seeds(20)}
runs = sweep(MLP((200, 1), init="normal"), data, targets, steps=800, record_every=4, weight_decay=[0, 10], **settings)
log_loss = np.log(runs.train_loss.values[:, 0, 0])
slope = (log_loss[:, -1] - log_loss[:, 50]) / 2 / 150
claim("02-lyapunov", "exponent in training minus exponent of (2.5), mean over data sets", measured=slope.mean() - over_lr[6].mean(), equals=0, within=0.05)

# %% [markdown]
# One warning. With half the mean squared error all Hessians halve and all thresholds double: $\eta = 0.03$ is then
# stable. Whoever copies a learning rate must copy the loss's scaling with it.

# %%
claim("02-half-loss", "with ½ in the loss, η = 0.03 is η = 0.015 without: largest Λ", measured=over_lr[2].max(), below=0)

# %% [markdown]
# ## 2.7 Why λ = 10 converges, and what it bought
#
# The same pencil: with decay, an example's own batch multiplies its residual by $a - 80\eta$ and each of the other three
# batches of the epoch by $a$. So
#
# $$e^{\Lambda} \approx \lvert a - 80\eta\rvert\, a^3, \qquad a = 1 - \eta\lambda. \tag{2.6}$$
#
# At $\eta = 0.03$ the first factor is $|a - 2.4|$: *more* decay makes the overshoot worse. The batch flips its residuals from 1
# to $-1.4$ without decay, to $-1.7$ with $\lambda = 10$. The rescue comes from the other three factors: $0.7^3 = 0.34$.
# Formula (2.6) crosses 1 near $\lambda = 4.5$; the true crossing, rows not being orthogonal, is near 6.5.

# %%
stable_from = np.interp(0, -over_decay.mean(1), decays)
claim("S2-07", "the λ at which η = 0.03 turns stable, mean over data sets", measured=stable_from, between=(4, 8))
claim("S2-07", "λ = 3 explodes on every data set: smallest Λ", measured=over_decay[3].min(), above=0)
claim("S2-07", "λ = 10 converges on every data set: largest Λ", measured=over_decay[-1].max(), below=0)

# %% [markdown]
# The whole plane at once: 24 learning rates, 24 values of λ and four data sets are 2,304 models, trained for 30
# epochs in one call. Colour says how many powers of ten the training loss rose or fell.

# %%
lrs, lams = np.linspace(0.002, 0.048, 24), np.linspace(0, 23, 24)
plane = sweep(MLP((200, 1), init="normal"), data[:4], targets[:4], loss="mse", lr=lrs, weight_decay=lams, seeds=seeds(4),
              batch_size=5, steps=120, record_every=120)
change = np.log10(plane.train_loss[..., -1] / plane.train_loss[..., 0]).median("seed")
factor = abs(1 - lrs[:, None] * lams - 80 * lrs[:, None]) * abs(1 - lrs[:, None] * lams) ** 3

# %%
fig, ax = figures.subplots()
image = ax.pcolormesh(lrs, lams, change.T, cmap="PuOr_r", vmin=-8, vmax=8, shading="nearest")
ax.contour(lrs, lams, factor.T, levels=[1], colors="black", linestyles="--")
ax.plot([0.03, 0.03, 0.03, 0.003], [0, 3, 10, 0], "ko", mfc="white")
for lr, lam, name in ((0.0037, 0.4, "textbook"), (0.0305, 10.4, "λ = 10"), (0.0308, 2.4, "λ = 3"), (0.0308, 0.3, "λ = 0")):
    ax.text(lr, lam, name, color="white")
fig.colorbar(image, label="log₁₀ of final over initial loss", extend="both")
ax.set(xlabel="learning rate η", ylabel="weight decay λ", title="Left of the border training converges, and above it too")
figures.show(fig, "Map of the change of the training loss over learning rate and weight decay. It explodes in the lower right, "
             "from η = 0.022 on at λ = 0, and falls everywhere else. The dashed line of formula (2.6) has the border's shape and "
             "runs a little below and to the right of it. At η = 0.03 the points λ = 0 and 3 explode, λ = 10 converges.")

# %% [markdown]
# Now the "excellent" test error of the run with $\lambda = 10$. Put the models that learnt nothing beside it: the one
# that answers zero, and the one that answers the mean target.

# %%
rows = []
for seed, w, b in zip(seeds(20), runs.weight0[:, 0, 1].values, runs.bias0[:, 0, 1].values, strict=True):
    X_test, y_test = (part[20:] for part in linear_regression(seed, 120))
    guess = linear_regression(seed, 120)[1][:20].mean()
    rows.append([np.mean((X_test @ w.ravel() + b.item() - y_test) ** 2), np.mean(y_test**2), np.mean((guess - y_test) ** 2)])
bought, zero, mean = np.array(rows).T
norm = runs.norm[:, 0, 1, 0, -1].values / (0.01 * np.sqrt(200))
print(f"test error: λ = 10 {bought.mean():.3f}, answer zero {zero.mean():.3f}, answer the mean {mean.mean():.3f}")

# %%
claim("S2-07", "test error with λ = 10 over that of answering zero, mean of 20 data sets", measured=(bought / zero).mean(), between=(0.6, 1.1))
claim("S2-07", "… and over that of answering the mean of 20 targets", measured=(bought / mean).mean(), between=(0.85, 1.15))
claim("S2-07", "‖w‖ with λ = 10 over the true ‖w‖", measured=norm.mean(), below=0.7)

# %% [markdown]
# So what did $\lambda = 10$ really buy? Convergence at a learning rate that was too large, and a model that is as good as the
# mean of 20 numbers. The low test error belongs to the problem, whose targets are tiny. It is not evidence of
# generalisation.
#
# ## 2.8 Does SGD minimise the loss?
#
# "SGD's objective is to minimise the loss", says a lesson. Its steps follow the gradient *on average*. At a constant
# learning rate they never settle: near the minimum each minibatch still pulls its own way, and the iterates hover around
# it in a cloud. Theory for batches drawn independently says that the mean excess over the minimum is proportional to η.
# We start ten data sets (200 examples, 20 inputs, $\lambda = 0.1$) at the minimum, and let go.

# %%
examples = [linear_regression(seed, 200, n_inputs=20, weight=1.0, noise=1.0) for seed in seeds(10)]
inputs, outputs = (np.stack(part) for part in zip(*examples, strict=True))
best = np.stack([ridge(X, y, 0.1, intercept=False)[0] for X, y in examples])
curvature = inputs.transpose(0, 2, 1) @ inputs / 200 + 0.1 * np.eye(20)
etas = np.array([0.005, 0.01, 0.02])


def hover(batches):
    w, total = np.tile(best, (3, 1, 1)), np.zeros(3)
    for rows in batches:  # one batch of five for each of the ten data sets
        X_B, y_B = inputs[np.arange(10)[:, None], rows], outputs[np.arange(10)[:, None], rows]
        error = np.einsum("kbd,lkd->lkb", X_B, w) - y_B
        w = w - etas[:, None, None] * (np.einsum("kbd,lkb->lkd", X_B, error) / 5 + 0.1 * w)
        total += np.einsum("lkd,kde,lke->l", w - best, curvature, w - best) / 20
    return total / len(batches)


# %% [markdown]
# Two ways to draw batches: independently, as the theory has it, and as every data loader does it, by shuffling
# the examples and going through them epoch by epoch.

# %%
rng = np.random.default_rng(seeds(1)[0])
independent = hover(rng.integers(200, size=(4000, 10, 5)))
shuffled = hover(rng.permuted(np.tile(np.arange(200), (100, 10, 1)), axis=2).reshape(100, 10, 40, 5).swapaxes(1, 2).reshape(4000, 10, 5))
print("excess, independent batches:", independent.round(4), " shuffled epochs:", shuffled.round(5))
claim("S3-13", "independent batches: double η, double the excess (0.02 over 0.01)", measured=independent[2] / independent[1], between=(1.7, 2.4))
claim("S3-13", "shuffled epochs: double η, about four times the excess", measured=shuffled[2] / shuffled[1], between=(3, 5))
claim("S3-13", "… and far less of it: independent over shuffled at η = 0.005", measured=independent[0] / shuffled[0], above=5)

# %% [markdown]
# So the sentence is true on average and false at a constant learning rate. And shuffling, done for convenience,
# is worth more than it seems: over an epoch every example pulls exactly once, and to first order in η the pulls cancel.

# %% [markdown]
# ## 2.9 A small print: which norm?
#
# The forum's code prints the size of the weights under the label "L1 norm", computed by `.norm()`. In PyTorch and NumPy that is the
# L2 norm, the root of the sum of squares. And the penalty $\lVert w\rVert^2/2$ is no norm at all.

# %%
vector = torch.tensor([3.0, -4.0])
claim("S2-06", "`.norm()` of (3, −4) is the L2 norm", measured=vector.norm(), equals=5, within=1e-6)
claim("S2-06", "its L1 norm would be 7", measured=vector.norm(p=1), equals=7, within=1e-6)

# %% [markdown]
# ## 2.10 The sources, line by line

# %%
verdict("S0-11", "L2 is almost identical to multiplying all weights by 0.99 every batch", "under conditions", "Exactly so for plain SGD at a constant η, with λ = 0.01/η. Not under a schedule, momentum inside the buffer, or Adam.")
verdict("S2-05", "at lr = 0.03 the loss explodes", "true", "Minibatches of 5: the epoch map expands above η ≈ 0.022. Full batches tolerate 0.06.")
verdict("S2-06", "`.norm()` prints the L1 norm", "false", "It is the L2 norm.")
verdict("S2-07", "with λ = 10 it trains erratically and generalises well", "under conditions", "It converges since other batches' decay outweighs the overshoot; its test error is nearly that of answering zero.")
verdict("S2-08", "the learning rate is simply different here", "false", "The threshold follows from the data: between 2/107 and 2/80 for this loss.")
verdict("S2-09", "choosing a learning rate is tricky", "under conditions", "For a linear model it is an eigenvalue problem, if you use the minibatch's Hessian and not the full one.")

# %%
verdict("S3-09", "a large λ drives the weights towards 0, because SGD minimises the loss", "under conditions", "True of the minimiser. SGD follows only if 0 < ηλ < 2; at ηλ = 2.1 the weight grows as 1.1ᵗ.")
verdict("S3-13", "SGD's objective is to minimise the loss", "under conditions", "On average over batches. At constant η it hovers above the minimum, by O(η) for independent batches and O(η²) for shuffled epochs.")

# %% [markdown]
# ## 2.11 In practice
#
# **Take home.** Think in $\eta\lambda$, and in half-lives: is $0.69/(\eta\lambda)$ steps (with momentum, times $1-\mu$) a sensible share of your training
# run? If training blows up, compute $2/\rho$ for a *minibatch* before you turn knobs.
#
# **Limits.** Stability was settled for a linear model. In a network the Hessian changes as you train, and large steps
# push it towards flatter places; (2.4) then holds only near a minimum. Adam rescales the penalty's gradient,
# which breaks (2.1): chapter 3. Under batch norm the shrinkage changes the *learning rate* and not the function: chapter 8.
#
# ## 2.12 Exercises
#
# **1.** Your run has $\eta = 0.01$, momentum 0.9, `weight_decay=1e-4`, and 50,000 steps. What share of a weight that the loss
# ignores is left?
#
# <details>
# <summary>Solution</summary>
#
# With PyTorch's coupled momentum the rate is $\eta\lambda/(1-\mu) = 10^{-5}$ per step. After 50,000 steps $e^{-0.5} = 61\,\%$
# is left. Without momentum it would be $95\,\%$.
#
# </details>
#
# **2.** Somebody writes `for p in params: p.mul_(0.999)` *after* `optimizer.step()` of plain SGD with $\eta = 0.1$. Which λ and
# which η does the equivalent L2 run have?
#
# <details>
# <summary>Solution</summary>
#
# Step first, then decay: $\eta' = 0.999\cdot 0.1 = 0.0999$ and $\lambda' = 0.001/0.0999 \approx 0.01001$.
#
# </details>
#
# **3.** Derive the larger root of (2.3) to second order in $\eta\lambda$. Is the true decay slower or faster than $\eta\lambda/(1-\mu)$?
#
# <details>
# <summary>Solution</summary>
#
# Put $z = 1 - \epsilon$ in (2.3): $\epsilon^2 - \epsilon(1-\mu+\eta\lambda) + \eta\lambda = 0$. To first order
# $\epsilon_1 = \eta\lambda/(1-\mu)$. To second,
# $\epsilon \approx \epsilon_1 + \frac{\mu}{1-\mu}\epsilon_1^2$: faster. In 2.5 the ratio was above 10 for this reason.
#
# </details>
#
# **4.** Use (2.6) to find the smallest λ that stabilises $\eta = 0.028$ with minibatches of 5. Then measure it with `growth`.
#
# <details>
# <summary>Solution</summary>
#
# Solve $|a - 2.24|\,a^3 = 1$: $a \approx 0.915$, so $\lambda \approx 3.0$. Measured crossings lie higher, near 4.5: try
# `[growth(0.028, decay, 5).mean() for decay in (3, 4, 5, 6)]`. The formula takes the rows as orthogonal, and correlated rows
# overshoot more.
#
# </details>
#
# **5.** (Open.) In 2.6 the exponent at $\lambda \ge 8$ hardly depends on λ. Which mode is left? Hint: penalise the bias too.
#
# <details>
# <summary>A start</summary>
#
# The intercept is free: once the weights are damped, $b$ and the residuals' mean relax together, slowly, at a rate that the
# overshoot has nothing to do with. Put $b \leftarrow a\,b - \ldots$ in (2.5), drop the $(1-a)b$ term from $r$, and watch the
# exponent.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 3 translates λ between frameworks and shows where Adam parts from weight decay.
#
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: the toy problem.
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): coupled and decoupled decay.
# - Krogh and Hertz (1991), *A Simple Weight Decay Can Improve Generalization*, NIPS 4.
