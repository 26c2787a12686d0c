# %% [markdown]
# # 2 From penalty to weight decay
#
# A penalty is a term in a loss. *Weight decay* is what a training step does with it: multiply each weight by a number
# just below one. When are the two the same? How fast does a weight decay? And when does the step itself blow up?
# Afterwards you can convert "multiply all weights by 0.99 every batch" into a λ and back, say what momentum does to the
# rate, and compute beforehand at which learning rate a linear model diverges.
#
# *Reading time 25 minutes; the code runs in about 10 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import make_regression
from l2lib.penalty import half_life, ridge, shrink_factor
from l2lib.splits import split_of
from l2lib.sweep import MLP, sweep

# %% [markdown]
# ## 2.1 A puzzle: more penalty cures an explosion
#
# A reader of the textbook from [chapter 1](01_what_an_l2_penalty_does.ipynb) trains its toy problem (200 inputs, 20
# examples, minibatches of 5) and raises the learning rate from 0.003 to 0.03. The loss explodes. They try full
# batches: it converges. They try minibatches with $\lambda = 3$: explosion. With $\lambda = 10$: the loss stays
# small, with a test error that looks excellent. On the forum the answer is that learning rates are tricky.


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
X, y = make_regression(20, seed=seeds(1)[0])
runs = {(weight_decay, batch): train(X, y, 0.03, weight_decay, batch, np.random.default_rng(1))
        for weight_decay, batch in ((0, 5), (3, 5), (10, 5), (0, 20))}

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for (weight_decay, batch), losses in runs.items():
    name = f"{'full batch' if batch == 20 else 'minibatch'}, λ = {weight_decay}"
    ax.semilogy(losses, label=name)
ax.set(xlabel="epoch", ylabel="training loss (mean squared error)")
ax.set(xlim=(0, 38), ylim=(1e-11, 1e18), xticks=range(0, 31, 5))
ax.set_title("At learning rate 0.03, λ = 10 rescues what λ = 3 cannot")
figures.label_lines(ax)
curves = figures.drawn(ax)
ends = [curve.y[-1] for curve in curves.values()]
figures.show(fig, "Training loss on a logarithmic axis over 30 epochs at learning rate 0.03. "
             "Minibatch runs with λ = 0 and 3 grow along straight lines, to "
             f"10^{np.log10(ends[0]):.0f} and 10^{np.log10(ends[1]):.0f}. The "
             "minibatch run with λ = 10 and the full-batch run fall.")

# %% [markdown]
# By how many powers of ten does the loss rise or fall, from the first epoch to the last?

# %%
powers = {name: np.log10(curve.at(29) / curve.at(0)) for name, curve in curves.items()}
claim("S2-05", "minibatches, λ = 0: the final loss is 10 to the {} times the initial one",
      measured=powers["minibatch, λ = 0"], above=5)
claim("S2-05", "full batches, λ = 0: the final loss is 10 to the {} times the initial one",
      measured=powers["full batch, λ = 0"], below=-5)
claim("S2-07", "minibatches, λ = 3: the final loss is 10 to the {} times the initial one",
      measured=powers["minibatch, λ = 3"], above=2)
claim("S2-07", "minibatches, λ = 10: the final loss is 10 to the {} times the initial one",
      measured=powers["minibatch, λ = 10"], below=-2)

# %% [markdown]
# Straight lines on a logarithmic axis: something is multiplied by about the same factor every epoch. By the end of this
# chapter you can estimate that factor with a pencil, and you know what the excellent test error was worth.

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
#    $\ln 2/(-\ln a) \approx {{np.log(2):.2f}}/(\eta\lambda)$ steps. For $\eta = 0.1$ and $\lambda = 5\cdot10^{-4}$, a
#    common setting, that is {{half_life(lr=0.1, weight_decay=5e-4):,.0f}} steps.
# 3. It is shrinkage only while $|a| < 1$, that is $0 < \eta\lambda < 2$. Beyond, the penalty's own step overshoots
#    zero by more than it started with.

# %%
print("half-life at η = 0.1, λ = 0.0005:", round(half_life(lr=0.1, weight_decay=5e-4)), "steps")
claim("02-half-life", "after one half-life of steps a weight is halved",
      measured=(1 - 0.1 * 0.02) ** half_life(0.1, 0.02), equals=0.5, within=1e-12)

# %% [markdown]
# A large λ, says a lesson, makes the model "set the weights close to zero because the objective of SGD is to minimize
# the loss function". This has a limit. With $\eta = 0.1$ and $\lambda = 21$ the factor is ${{1 - 0.1 * 21:.1f}}$. The
# minimiser is zero, yet gradient descent runs away from it, doubling every {{np.log(2) / np.log(0.1 * 21 - 1):.0f}}
# steps.

# %%
w = torch.ones(1, dtype=torch.float64)
for _ in range(50):
    w = w - 0.1 * (0 + 21 * w)  # the loss has gradient 0: only the penalty acts
claim("S3-09", f"ηλ = {0.1 * 21:g}: after 50 steps the weight has grown by 1.1⁵⁰",
      measured=w.abs(), equals=1.1**50, within=1e-9)
weights, _ = ridge(X, y, [1e-3, 1, 1e3, 1e6])
claim("S3-09", "the minimiser itself does go to 0 with λ: norm at 10⁶ over norm at 10⁻³",
      measured=np.linalg.norm(weights[-1]) / np.linalg.norm(weights[0]), below=1e-3)
claims.identities()

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
# Write (2.1) out for a linear model on the mean squared error, without ½ as in `torch.nn.MSELoss`. All 20 examples
# are used at every step, weights and bias start at zero, and only the weights decay.


# %%
def descend(lr, weight_decay, steps=100):
    w, b = np.zeros(200), 0.0
    for _ in range(steps):
        error = X @ w + b - y
        w = (1 - lr * weight_decay) * w - lr * 2 * X.T @ error / 20
        b = b - lr * 2 * error.mean()
    return w


w = descend(0.003, 3)

# %% [markdown]
# PyTorch's SGD takes λ as `weight_decay`. Parameter groups keep the bias out of it.

# %%
layer = torch.nn.Linear(200, 1, dtype=torch.float64)
torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
groups = [{"params": [layer.weight], "weight_decay": 3},
          {"params": [layer.bias], "weight_decay": 0}]
optimizer = torch.optim.SGD(groups, lr=0.003)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(layer(torch.tensor(X)).squeeze(1), torch.tensor(y)).backward()
    optimizer.step()
claim("02-torch", "torch.optim.SGD takes the same 100 steps",
      measured=np.abs(layer.weight.detach().numpy()[0] - w), below=1e-12)

# %% [markdown]
# One run answers one question. This book asks dozens: every combination of learning rate, λ and data set. `sweep`
# trains all of them at once, as one product of stacked matrices. Its step is (2.1) with an extra axis: the function
# `sgd` in `l2lib/sweep/updates.py`.

# %%
grid = sweep(MLP((200, 1), init="zeros"), X, y, loss="mse", steps=100,
             lr=[0.001, 0.003], weight_decay=[0, 1, 3])
for lr in (0.001, 0.003):
    for weight_decay in (0, 1, 3):
        one = grid["weight0"].sel(lr=lr, weight_decay=weight_decay).values.ravel()
        claim("02-sweep", f"in a sweep of six, η = {lr}, λ = {weight_decay} is the run by hand",
              measured=one - descend(lr, weight_decay), equals=0, within=1e-12)

# %%
norms = grid.norm.isel(step=-1).sel(lr=0.003)
falls = norms.sel(weight_decay=3) / norms.sel(weight_decay=1)
by_hand = [np.linalg.norm(descend(0.003, weight_decay)) for weight_decay in (3, 1)]
claim("02-sweep-norm",
      "in the sweep, the norm after 100 steps falls from λ = 1 to λ = 3 (ratio)",
      measured=falls, below=0.95)
claim("02-sweep-norm", "… and by the runs by hand it falls by as much",
      measured=falls / by_hand[0] * by_hand[1], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 2.4 To "multiply all weights by 0.99 every batch"
#
# A well-known answer says that L2 is almost identical to multiplying all weights by 0.99 after each batch. Under plain
# SGD it is not *almost*: it is exact, with an η and a λ that depend on the order. Let $c = 0.99$.
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


def final(step, w=(0.3, -1.2, 2.0), steps=20):
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
claim("S0-11", "decay, then step: L2 with λ = 0.01/η",
      measured=np.abs(before - l2_before), below=1e-12)
claim("S0-11", "step, then decay: L2 with η′ = 0.99η and λ′ = 0.01/(0.99η)",
      measured=np.abs(after - l2_after), below=1e-12)

# %%
claim("S0-11", "the two orders are not the same: largest difference after 20 steps",
      measured=np.abs(before - after).max(), above=1e-3)
claim("02-half-life-99", "0.99 per batch is strong: its half-life is {:.2f} batches",
      measured=half_life(lr, (1 - c) / lr), equals=np.log(0.5) / np.log(0.99), within=0.01)
claims.identities()

# %% [markdown]
# (In the convention without ½ the first is $\lambda = {{(1 - c) / 2:.3f}}/\eta$.) The equality ends where the learning rate
# changes or the optimiser does. L2 under a schedule decays by $\eta_t\lambda$, so it fades with the learning rate; a
# literal 0.99 goes on. Halve η every 5 steps and compare:

# %%
schedule = [lr * 0.5 ** (t // 5) for t in range(20)]
literal = final(lambda w, t: c * w - schedule[t] * gradient(w))
penalty = final(lambda w, t: w - schedule[t] * (gradient(w) + (1 - c) / lr * w))
rates = np.reshape(schedule, (4, 5))  # a row for every 5 steps
claim("02-schedule", "every 5 steps the learning rate is half of what it was, from η on",
      measured=rates.T / lr - [1, 1 / 2, 1 / 4, 1 / 8], equals=0, within=1e-12)
claim("S0-11", "under a schedule a literal 0.99 and L2 part: largest difference",
      measured=np.abs(literal - penalty).max(), above=0.05)
claims.identities()

# %% [markdown]
# With momentum the two part as well, as the next section shows; for Adam see [chapter
# 3](03_one_lambda_many_meanings.ipynb).
#
# ## 2.5 Momentum: everything 1/(1 − μ) times, decay included
#
# PyTorch adds the penalty's gradient before the momentum buffer:
#
# $$v \leftarrow \mu v + g + \lambda w, \qquad w \leftarrow w - \eta v. \tag{2.2}$$
#
# What happens to a weight that the loss ignores, $g = 0$? Put $u = \eta v$. Then $(w, u)$ is multiplied by a fixed
# matrix,
#
# $$\begin{pmatrix} w\\ u\end{pmatrix} \leftarrow \begin{pmatrix} 1-\eta\lambda & -\mu\\ \eta\lambda & \mu\end{pmatrix}
# \begin{pmatrix} w\\ u\end{pmatrix},\qquad z^2 - (1 + \mu - \eta\lambda)\,z + \mu = 0, \tag{2.3}$$
#
# and in the long run $w$ is multiplied by $z$, the larger root, at every step. While $\eta\lambda$ is much smaller
# than $(1-\sqrt\mu)^2$, that is $z \approx 1 - \frac{\eta\lambda}{1-\mu}$: with $\mu = 0.9$,
# *{{1 / (1 - 0.9):.0f}} times* the decay that the same numbers give without momentum. No reason to divide λ by that: the
# loss's gradient goes through the same buffer and acts as many times as much, too. Momentum multiplies the learning rate, and leaves the minimum of loss plus
# penalty where it was. The other form, *decoupled* weight decay, takes $(1-\eta\lambda)\,w$ outside the buffer; it
# shrinks by exactly $1-\eta\lambda$, whatever μ.

# %%
lr, weight_decay, mu = 0.1, 0.01, 0.9
parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer, path = torch.optim.SGD([parameter], lr=lr, momentum=mu, weight_decay=weight_decay), []
for _ in range(300):
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    path.append(parameter.item())
root = max(np.roots([1, -(1 + mu - lr * weight_decay), mu]))


# %%
def envelope(x, steps=400, window=80):
    """Shrinkage per step under (2.2) with ηλ = x and zero gradient, oscillation aside."""
    w, u, path = 1.0, 0.0, []
    for _ in range(steps):
        u = mu * u + x * w
        w = w - u
        path.append(abs(w))
    return (max(path[-window:]) / max(path[-200 - window : -200])) ** (1 / 200)


# %%
claim("02-momentum",
      "PyTorch's SGD with momentum shrinks by the larger root of (2.3), per step",
      measured=path[-1] / path[-2], equals=root, within=1e-9)
more = np.log(root) / np.log(1 - lr * weight_decay)
claim("02-momentum-rate", "its decay rate is {} times that without momentum",
      measured=more, between=(1 / (1 - mu), 11.5))
claim("S0-11", "with momentum 0.9 the λ = 0.01/η of the rule shrinks by √0.9 a step, not by 0.99",
      measured=envelope(0.01), equals=mu**0.5, within=0.003)
claims.identities()

# %% [markdown]
# The map has determinant μ. Between $\eta\lambda = (1-\sqrt\mu)^2$ and $(1+\sqrt\mu)^2$ its roots are complex, so
# both have size $\sqrt\mu$: the weight oscillates around zero and shrinks by $\sqrt\mu$ a step. More λ is then no
# longer more decay. With $\mu = 0.9$ that begins at $\eta\lambda = {{(1 - mu**0.5) ** 2:.4f}}$. Beyond
# $2(1+\mu) = {{2 * (1 + mu):.1f}}$ the weight grows without bound.

# %%
borders = [np.roots([1, x - 1 - mu, mu]) for x in ((1 - mu**0.5) ** 2, (1 + mu**0.5) ** 2)]
claim("02-momentum-border", "at these two ηλ the two roots of (2.3) meet: their distance",
      measured=np.abs(np.diff(borders)), below=1e-6)
claim("02-momentum-end", "at ηλ = 2(1 + μ) a root of (2.3) is −1",
      measured=min(np.roots([1, 1 + mu, mu])), equals=-1, within=1e-9)
claims.identities()
claim("02-momentum-limit", "ηλ = 0.03, 0.3, 3: shrinkage per step, largest distance from √μ",
      measured=[abs(envelope(x) - mu**0.5) for x in (0.03, 0.3, 3)], below=0.002)
claim("02-momentum-blow-up", "ηλ = 3.9: growth per step", measured=envelope(3.9), above=1.1)

# %% [markdown]
# ## 2.6 When does SGD diverge?
#
# **Full batch.** The mean squared error of a linear model is quadratic. Let $H$ be its matrix of second derivatives,
# the *Hessian*, and $\rho$ an eigenvalue of $H$, the curvature along one direction. If all parameters decay, the
# error along that direction is multiplied by $1-\eta\lambda-\eta\rho$ at every step. It shrinks if and only if
#
# $$|1 - \eta\lambda - \eta\rho| < 1; \qquad \lambda = 0:\; \eta < 2/\rho_{\max} \tag{2.4}$$
#
# (directions with $\rho = 0$ stay put at $\lambda = 0$). Here $H = \frac2n\tilde X^\top\tilde X$, where $\tilde X$ is
# $X$ with a column of ones for the bias, and $2/\rho_{\max}$ is about {{below: (2 / full).mean():.2f}}. So $\eta = 0.03$
# is safe with full batches.

# %%
H = 2 / 20 * (X @ X.T + 1)  # what it does to the errors of the 20 examples, bias included
error = X @ np.random.default_rng(1).standard_normal(200) - y  # of the start in section 2.1
errors = [np.linalg.matrix_power(np.eye(20) - 0.03 * H, epoch) @ error for epoch in range(30)]
claim("02-full-batch", "the full-batch run of section 2.1 is multiplied by 1 − ηH at every step",
      measured=np.mean(np.square(errors), axis=1) / curves["full batch, λ = 0"].y,
      equals=1, within=1e-6)
claim("02-full-batch", "… so that its loss falls by as many powers of ten as measured there",
      measured=np.log10(np.sum(errors[-1] ** 2) / np.sum(error**2)) - powers["full batch, λ = 0"],
      equals=0, within=1e-6)
claims.identities()

# %% [markdown]
#
# **Minibatches, with a pencil.** Two runs with the same batches and different starts differ by a run whose targets
# are zero: so take $y = 0$, and ask whether the errors $\epsilon = Xw + b\mathbf 1$ on the 20 training examples die
# out. An input has 200 random components, so its squared length is about 200, and two inputs are nearly orthogonal.
# Take them as orthogonal, and leave the bias out. A step on a batch of 5 then changes the errors of *its own*
# examples only, each by the factor $1-\frac{2\eta}{5}200 = 1 - 80\eta$, and decay multiplies all errors by
# $a = 1-\eta\lambda$. An epoch has four batches, so over one epoch each error is multiplied by
#
# $$(a - 80\eta)\; a^3 . \tag{2.5}$$
#
# Without decay this is below 1 in size up to $\eta = 2/80 = {{2 / 80:.3f}}$, which is
# {{below: 2 / 80 / (2 / full).mean():.2f}} times what a full batch tolerates: a minibatch has a sharper curvature, as it
# has no other examples to average with.
#
# **Minibatches, exactly.** The inputs are not quite orthogonal, and there is a bias. One step with batch $B$ is
# $w\leftarrow a\,w - \frac{2\eta}{|B|}X_B^\top\epsilon_B$, and the same for $b$ without decay. Put it into
# $\epsilon = Xw + b\mathbf 1$:
#
# $$\epsilon \leftarrow a\,\epsilon + (1-a)\,b\,\mathbf 1 - \tfrac{2\eta}{|B|}\, Q_{\cdot B}\, \epsilon_B,\qquad
# b \leftarrow b - \tfrac{2\eta}{|B|}\textstyle\sum_{i\in B} \epsilon_i,\qquad Q = XX^\top + \mathbf 1\mathbf 1^\top.
# \tag{2.6}$$
#
# An epoch is a product of four such matrices, in random groups. In the long run the size of $\epsilon$ changes by a
# factor $\exp\Lambda$ per epoch on average. $\Lambda$ is called the *Lyapunov exponent*. If it is negative, runs with
# the same batches meet, and stay bounded; if it is positive, they explode. We compute it for 20 data sets at once, by
# multiplying it out: no targets are needed.

# %%
data = np.stack([make_regression(20, seed=seed)[0] for seed in seeds(20)])
gram = data @ data.transpose(0, 2, 1) + 1  # Q, one for each data set


def growth(lr, weight_decay, batch, epochs=200, skip=50):
    rng, a, n = claims.rng(), 1 - lr * weight_decay, gram.shape[1]
    e, b, start = rng.standard_normal(gram.shape[:2]), np.zeros((len(gram), 1)), 0
    for epoch in range(epochs):
        start = np.linalg.norm(e, axis=1) if epoch == skip else start
        for rows in np.split(np.argsort(rng.random(e.shape), axis=1), n // batch, axis=1):
            e_B = np.take_along_axis(e, rows, 1)
            Q_B = np.take_along_axis(gram, rows[:, None, :], 2)
            e = a * e + (1 - a) * b - 2 * lr / batch * np.einsum("snb,sb->sn", Q_B, e_B)
            b = b - 2 * lr / batch * e_B.sum(1, keepdims=True)
    return np.log(np.linalg.norm(e, axis=1) / start) / (epochs - skip)


# %%
rates = [0.003, 0.010, 0.015, 0.020, 0.0225, 0.025, 0.030]
decays = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
by_lr = {lr: growth(lr, 0, batch=5) for lr in rates}
by_decay = {weight_decay: growth(0.03, weight_decay, batch=5) for weight_decay in decays}
over_lr, over_decay = np.array([*by_lr.values()]), np.array([*by_decay.values()])


# %%
def zero_of(x, y):
    """Where the line through some points first crosses zero; NaN, if nowhere."""
    for i in np.flatnonzero(np.diff(np.sign(y))):
        return x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])
    return np.nan


crossing, stable_from = zero_of(rates, over_lr.mean(1)), zero_of(decays, over_decay.mean(1))

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True)
for ax, x, exponents in ((axes[0], rates, over_lr), (axes[1], decays, over_decay)):
    ax.plot(x, exponents, color=figures.SKY, lw=0.6, label="_each")
    ax.plot(x, exponents.mean(1), "o-", color=figures.BLUE, label="_mean")
    ax.axhline(0, color=figures.GREY, lw=1, label="_zero")
    ax.set_ylabel("Lyapunov exponent Λ per epoch")
left, right = (figures.drawn(ax) for ax in axes)
border = [zero_of(side["_mean"].x, side["_mean"].y) for side in map(figures.drawn, axes)]
axes[0].set(xlabel="learning rate η (λ = 0)", title=f"Explodes above η ≈ {border[0]:.3f} …")
axes[1].set(xlabel="weight decay λ (η = 0.03)", title=f"… unless λ is above {border[1]:.1f}")
axes[1].text(7.6, -0.34, "the free\nintercept", color=figures.GREY)
figures.show(fig, "Two panels with the Lyapunov exponent per epoch for 20 data sets and their "
             f"mean. Left, against the learning rate: it falls to {left['_mean'].y.min():.2f} and "
             f"then rises through zero at {border[0]:.3f}. Right, against λ at learning rate 0.03: "
             f"from {right['_mean'].y[0]:.2f} it falls through zero at {border[1]:.1f}, and "
             f"then stays near {right['_mean'].y[-1]:.1f}.")

# %%
claim("02-same-point", "both panels have the exponents of η = 0.03, λ = 0",
      measured=left["_each"].at(0.03) - right["_each"].at(0), equals=0, within=1e-12)
claim("02-mean-line", "the thick lines are the means of the thin ones",
      measured=[(side["_each"].y.mean(0) - side["_mean"].y).max() for side in (left, right)],
      equals=0, within=1e-12)
claim("02-crossings", "the mean exponents change sign where the thick lines meet the grey ones",
      measured=np.subtract([crossing, stable_from], border), equals=0, within=1e-12)
claim("02-zero-line", "the grey lines are at zero",
      measured=[left["_zero"].y, right["_zero"].y], equals=0, within=1e-12)

# %% [markdown]
# The left panel answers the reader's first question. We look at the sign, with a 95 % interval for the mean over data
# sets.

# %%
for lr, how in ((0.003, "converges"), (0.015, "converges"), (0.020, "converges still")):
    claim("S2-05", f"η = {lr:.3f} {how}: upper end of Λ",
          measured=claims.interval(by_lr[lr]).high, below=0)
claim("S2-05", "η = 0.025 explodes: lower end of Λ",
      measured=claims.interval(by_lr[0.025]).low, above=0)
claim("S2-05", "η = 0.03 explodes on every data set: smallest Λ",
      measured=by_lr[0.03], above=0.2)
claim("S2-05", "η = 0.03 with full batches converges on every data set: largest Λ",
      measured=growth(0.03, 0, batch=20), below=-0.1)

# %% [markdown]
# Could one have known? The pencil says {{2 / 80:.3f}}, the exact map {{crossing:.3f}}, and neither has seen a target. A
# safe bound comes from (2.4) applied to minibatches alone: below $2/\rho_{\max}$ of *every* batch nothing ever expands.
# We draw 500 batches of each data set.

# %%
rows = np.argsort(claims.rng().random((500, 20)), axis=1)[:, :5]
small = 2 / 5 * np.linalg.eigvalsh(gram[:, rows[:, :, None], rows[:, None, :]])[..., -1]
full = 2 / 20 * np.linalg.eigvalsh(gram)[:, -1]
safe = 2 / small.max()
print(f"2/ρ: full batch {2 / full.mean():.3f}")
print(f"2/ρ: minibatches {safe:.4f} to {2 / small.min():.4f}")

# %%
ones = np.concatenate([data, np.ones((20, 20, 1))], axis=2)  # a column for the bias
batches = ones[:, rows[:50]]
claim("02-curvature", "ρ of a batch of 5 is 2/5 of the square of its largest singular value",
      measured=small[:, :50] / np.linalg.norm(batches, ord=2, axis=(2, 3)) ** 2,
      equals=2 / 5, within=1e-9)
claim("02-full-curvature", "… and ρ of all 20 examples is 2/20 of theirs",
      measured=full / np.linalg.norm(ones, ord=2, axis=(1, 2)) ** 2, equals=2 / 20, within=1e-9)
claim("02-safe", "at the safe bound the sharpest batch drawn is at its limit: η times ρ",
      measured=(safe * small).max(), equals=2, within=1e-9)
claims.identities()

# %%
claim("S2-08", "the threshold of minibatch SGD: the mean Λ crosses zero at {}",
      measured=crossing, between=(0.020, 0.025))
claim("S2-05", "the threshold of full batches, 2/ρ, is {}, mean over data sets",
      measured=(2 / full).mean(), between=(0.055, 0.065))
claim("S2-09", "it lies above the safe bound: threshold over the smallest 2/ρ of the batches drawn",
      measured=crossing / safe, above=1)
claim("S2-09", "and below the full batch's: mean 2/ρ over the threshold",
      measured=(2 / full).mean() / crossing, above=2)

# %% [markdown]
# `sweep` knows nothing of (2.6). Train it with targets zero: the slope of the logarithm of the errors' size (half
# that of the loss) must agree, with and without decay. And with *half* the mean squared error all curvatures halve:
# $\eta = 0.03$ then acts like 0.015. Whoever copies a learning rate must copy the loss's scaling with it.


# %%
def slope(steps, skip, lr=0.03, **options):
    run = sweep(MLP((200, 1), init="normal"), data, np.zeros((20, 20)), seeds=seeds(20), lr=lr,
                batch_size=5, steps=steps, record_every=4, **options)
    log_size = np.log(run.train_loss.values) / 2  # one record an epoch
    return (log_size[..., -1] - log_size[..., skip]) / (steps / 4 - skip)


trained = slope(800, 50, loss="mse", weight_decay=[0, 10])
for column, weight_decay in enumerate((0, 10)):
    claim("02-lyapunov", f"λ = {weight_decay}: exponent in training minus exponent of (2.6), mean",
          measured=trained[:, column].mean() - right["_mean"].at(weight_decay),
          equals=0, within=0.015)

# %%
claim("02-half-loss", "η = 0.03 beside half the squared error converges: largest exponent",
      measured=slope(80, 5, loss="half_mse"), below=-0.3)
claim("02-half-loss", "it takes the steps of η = 0.015 beside all of it: difference of exponents",
      measured=slope(140, 5, loss="half_mse") - slope(140, 5, 0.015, loss="mse"),
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 2.7 Why λ = 10 is stable, and what it bought
#
# The right panel answers the second question, and (2.5) says why. At $\eta = 0.03$ its first factor is
# $a - {{80 * 0.03:.1f}}$: *more* decay makes the overshoot worse. A batch throws its own errors from 1 to
# ${{1 - 80 * 0.03:.1f}}$ without decay, and to ${{1 - 0.03 * 10 - 80 * 0.03:.1f}}$ with $\lambda = 10$. The rescue comes
# from the other three batches of the epoch: $a^3 = {{1 - 0.03 * 10:.1f}}^3 = {{(1 - 0.03 * 10) ** 3:.2f}}$. The pencil has
# the border at $\lambda = {{below: pencil_border(0.03):.1f}}$. The exact map has it at {{stable_from:.1f}}, since inputs
# that are not orthogonal help each other to overshoot.
#
# From $\lambda = 8$ on the exponent hardly falls. The overshoot now dies faster than a second, slow process: the
# intercept is free. The weights cancel a wrong intercept; decay pulls them back, and only then does the intercept
# move. Decay the bias too, and the slow process is gone:


# %%
def pencil(lr, weight_decay):
    a = 1 - lr * weight_decay
    return abs(a - 80 * lr) * abs(a) ** 3


def pencil_border(lr):
    """The λ at which (2.5) falls through 1 in size: (80η − a) a³ = 1."""
    roots = np.roots([1, -80 * lr, 0, 0, 1])
    return (1 - min(a.real for a in roots if abs(a.imag) < 1e-9 and 0 < a.real < 1)) / lr


# %%
worse, better = 3, 10
claim("S2-07", "η = 0.03 turns stable at λ = {}, mean over data sets",
      measured=stable_from, between=(5.8, 7.3))
claim("S2-07", f"λ = {worse} explodes on every data set: smallest Λ",
      measured=by_decay[worse], above=0)
claim("S2-07", f"λ = {better} is stable on every data set: largest Λ",
      measured=by_decay[better], below=0)

# %%
claim("02-intercept", "λ = 10 with the bias decayed as well: mean exponent, "
      f"against {by_decay[better].mean():.1f}",
      measured=slope(400, 20, loss="mse", weight_decay=better,
                     decay_factors={"weight": 1, "bias": 1}).mean(), below=-0.25)
claim("02-border", "the pencil's border: (2.5) there",
      measured=[pencil(lr, pencil_border(lr)) for lr in (0.028, 0.03)], equals=1, within=1e-9)

# %% [markdown]
# The whole plane at once: {{below: len(lrs)}} learning rates, {{below: len(lams)}} values of λ and four data sets are
# {{below: plane.train_loss[..., -1].size:,}} models, trained for 30 epochs in one call. Colour says by how many powers of
# ten the training loss rose or fell.

# %%
targets = np.stack([make_regression(20, seed=seed)[1] for seed in seeds(20)])
lrs, lams = np.linspace(0.002, 0.048, 24), np.linspace(0, 23, 24)
plane = sweep(MLP((200, 1), init="normal"), data[:4], targets[:4], loss="mse", seeds=seeds(4),
              lr=lrs, weight_decay=lams, batch_size=5, steps=120, record_every=120)
change = np.log10(plane.train_loss[..., -1] / plane.train_loss[..., 0]).median("seed")
factor = pencil(lrs[:, None], lams)
agree = (factor < 1) == (change.values < 0)
claim("02-map", f"(2.5) tells whether the loss falls: right in a share {{}} of the {agree.size} "
      "settings", measured=agree.mean(), above=0.85)

# %% tags=["hide-input"]
fig, ax = figures.subplots()
image = ax.pcolormesh(lrs, lams, change.T, cmap="PuOr_r", vmin=-8, vmax=8, shading="nearest",
                      label="_change")
line = ax.contour(lrs, lams, factor.T, levels=[1], colors="black", linestyles="--")
ax.text(0.041, 4.9, "(2.5)")
ax.plot([0.03, 0.03, 0.03, 0.003], [0, 3, 10, 0], "ko", mfc="white")
for lr, lam, name in ((0.003, 0, "textbook"), (0.03, 10, "λ = 10"), (0.03, 3, "λ = 3")):
    ax.text(lr + 0.0007, lam + 0.3, name, color="white")
fig.colorbar(image, label="log₁₀ of final over initial loss", extend="both")
ax.set(xlabel="learning rate η", ylabel="weight decay λ")
ax.set_title("More decay moves the border of divergence to the right")
colours = figures.drawn(ax)["_change"].x
share = np.mean(colours > 0)
figures.show(fig, "Map of the change of the training loss over learning rate and weight decay. It "
             f"explodes in the lower right, in {100 * share:.0f} % of the map; elsewhere it falls. "
             "The dashed line of formula (2.5) has the border's shape and runs below it. At "
             "η = 0.03 the points λ = 0 and 3 explode, λ = 10 does not.")

# %%
ends = plane.train_loss.values[..., [0, -1]]  # of each data set, η and λ
medians = np.median(np.log10(ends[..., 1] / ends[..., 0]), axis=0)
claim("02-map-colours", "the map shows the medians over four data sets, in columns η and rows λ",
      measured=colours - medians.T, equals=0, within=1e-9)
claim("02-map-line", "the factor of (2.5) along the dashed line",
      measured=pencil(*line.get_paths()[0].vertices.T), equals=1, within=0.05)

# %%
fast = [i for i, lr in enumerate(lrs) if lr > 0.029]
above = [lams[change[i] > 0].max() + 0.5 - pencil_border(lrs[i]) for i in fast]
claim("02-map-gap", "the line runs {} units of λ below the measured border, mean from η = 0.03 on",
      measured=np.mean(above), between=(1, 3.5))
claims.identities()

# %% [markdown]
# Now to the run with $\lambda = 10$ itself. The training "seems to be somewhat erratic", says the reader: the
# batches go on throwing each other's errors about, so the training loss hovers and does not settle. Full batches at
# the same η and λ come to rest.

# %%
common = {"loss": "mse", "seeds": seeds(20), "lr": 0.03, "weight_decay": better}
runs = sweep(MLP((200, 1), init="normal"), data, targets, batch_size=5, steps=800, **common)
rest = sweep(MLP((200, 1), init="normal"), data, targets, steps=800, **common)
late, rest_late = (run.train_loss.values[:, 400:] for run in (runs, rest))
claim("S2-07", "minibatches, λ = 10: spread of the late training loss over its mean",
      measured=(late.std(1) / late.mean(1)).mean(), above=0.4)
claim("S2-07", "full batches, λ = 10: the same",
      measured=(rest_late.std(1) / rest_late.mean(1)).mean(), below=0.01)

# %% [markdown]
# And the "excellent" test error? Put the models that learnt nothing beside it: the one that answers zero, and the one
# that answers the mean of the 20 targets.

# %%
w, b = runs.weight0[:, 0].values, runs.bias0[:, 0].values
fresh = [make_regression(100, seed=seed + 500) for seed in seeds(20)]
test = split_of((data, targets), [np.stack(part) for part in zip(*fresh, strict=True)]).test
X_test, y_test = test.X, test.y  # `split_of` refuses test inputs that were trained on
bought = np.mean((np.einsum("snd,sd->sn", X_test, w) + b - y_test) ** 2, axis=1)
zero = np.mean(y_test**2, axis=1)
mean = np.mean((targets.mean(1, keepdims=True) - y_test) ** 2, axis=1)
norm = runs.norm[:, 0, -1].values / (0.01 * np.sqrt(200))
print(f"test error with λ = 10: {bought.mean():.3f}")
print(f"answer zero: {zero.mean():.3f}, answer the mean: {mean.mean():.3f}")

# %%
claim("S2-07", "test error with λ = 10 over that of answering zero, mean of 20 data sets",
      measured=(bought / zero).mean(), between=(0.6, 1.1))
claim("S2-07", "… and over that of answering the mean of 20 targets",
      measured=(bought / mean).mean(), between=(0.85, 1.15))
claim("S2-07", "‖w‖ with λ = 10 is {} times the true ‖w‖",
      measured=norm.mean(), between=(0.2, 0.7))


# %%
def error_of(i, weights, constant):
    """Test error of one model on one data set."""
    X_new, y_new = fresh[i]
    return np.mean((X_new @ weights + constant - y_new) ** 2)


models = [((w[i], b[i]), (0, 0), (0, targets[i].mean())) for i in range(20)]
again = [[error_of(i, v * np.ones(200), c) for v, c in models[i]] for i in range(20)]
claim("02-test-errors", "the three test errors, model by model and data set by data set",
      measured=np.stack([bought, zero, mean], axis=1) - again, equals=0, within=1e-12)

# %%
true = np.linalg.norm(np.full(200, 0.01))
claim("02-true-norm", "the norms over the norm of 200 weights of 0.01",
      measured=np.linalg.norm(w, axis=1) / true - norm, equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# So what did $\lambda = 10$ really buy? Stability at a learning rate that was too large, and a model that is as good
# as the mean of 20 numbers. The low test error belongs to the problem, whose targets are tiny. It is not evidence of
# generalisation.
#
# ## 2.8 Does SGD minimise the loss?
#
# A lesson says that "the objective of SGD is to minimize the loss function". Its steps follow the gradient *on
# average*. If the batches disagree about the minimum, then at a constant learning rate the iterates never settle: each batch pulls its own
# way, and they hover. (They do settle where *every* batch's gradient vanishes, as in section 2.6 at $\eta = 0.015$ without
# decay.) Theory for batches drawn independently says that the mean excess over the minimum is proportional to η. We
# start ten data sets (200 examples, 20 inputs, half the mean squared error, $\lambda = 0.1$) at the minimum, and let
# go.

# %%
examples = [make_regression(200, seed=s, n_inputs=20, weight=1.0, noise=1.0) for s in seeds(10)]
inputs, outputs = (np.stack(part) for part in zip(*examples, strict=True))
best = np.stack([ridge(X, y, 0.1, intercept=False)[0] for X, y in examples])
curvature = inputs.transpose(0, 2, 1) @ inputs / 200 + 0.1 * np.eye(20)
etas = np.array([0.005, 0.01, 0.02])


def hover(batches):
    w, total = np.tile(best, (3, 1, 1)), np.zeros(3)
    for rows in batches:  # one batch for each of the ten data sets
        X_B, y_B = inputs[np.arange(10)[:, None], rows], outputs[np.arange(10)[:, None], rows]
        error = np.einsum("kbd,lkd->lkb", X_B, w) - y_B
        g = np.einsum("kbd,lkb->lkd", X_B, error) / rows.shape[1] + 0.1 * w
        w = w - etas[:, None, None] * g
        total += np.einsum("lkd,kde,lke->l", w - best, curvature, w - best) / 20
    return total / len(batches)


# %% [markdown]
# Is `best` the minimum, and does `hover` measure the excess? With all 200 examples in each batch nothing moves. And
# after one step, with a batch of five, the objective has risen by what `hover` says.

# %%
still = hover(np.tile(np.arange(200), (5, 10, 1)))
claim("02-still", "full batches stay at the minimum: excess for each η",
      measured=still, equals=0, within=1e-12)

# %%
def objective(k, w):
    X, y = examples[k]
    return np.mean((X @ w - y) ** 2) / 2 + 0.1 / 2 * w @ w


def rise(k, eta, rows):
    X_B, y_B = (part[rows] for part in examples[k])
    step = eta * (X_B.T @ (X_B @ best[k] - y_B) / len(rows) + 0.1 * best[k])
    return objective(k, best[k] - step) - objective(k, best[k])


first = claims.rng(1).integers(200, size=(1, 10, 5))
rises = [np.mean([rise(k, eta, first[0, k]) for k in range(10)]) for eta in etas]
claim("02-excess", "after one step `hover` gives the rise of the objective, for each η: ratio",
      measured=hover(first) / rises, equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# Two ways to draw batches of five: independently, as the theory has it, and as data loaders do it, by shuffling the
# examples and going through them epoch by epoch.


# %%
def shuffle(rng, epochs, size):
    order = rng.permuted(np.tile(np.arange(200), (epochs, 10, 1)), axis=2)
    return order.reshape(epochs, 10, -1, size).swapaxes(1, 2).reshape(-1, 10, size)


epoch = shuffle(claims.rng(1), 1, 5).swapaxes(0, 1).reshape(10, 200)
assert (np.sort(epoch) == np.arange(200)).all()  # each example once, in ten orders
assert len(np.unique(epoch[:, :5], axis=0)) == 10

# %%
rng = claims.rng()
independent, shuffled = hover(rng.integers(200, size=(4000, 10, 5))), hover(shuffle(rng, 100, 5))
print("η:                      ", etas)
print("excess, independent:    ", independent.round(4))
print("excess, shuffled epochs:", shuffled.round(4))

# %% [markdown]
# For a small η the theory even has the factor: the mean excess is $\eta\operatorname{tr}(C)/4$, where $C$ is the
# covariance of a batch's gradient at the minimum.

# %%
scatter = [np.cov((X * (X @ w - y)[:, None]).T, bias=True).trace() / 5
           for (X, y), w in zip(examples, best, strict=True)]
claim("02-noise", "independent batches, η = 0.005: excess over η·tr(C)/4",
      measured=independent[0] / (etas[0] * np.mean(scatter) / 4), between=(0.85, 1.25))

# %%
claim("S3-13", "independent batches: double η, double the excess (at worst, of two doublings)",
      measured=independent[1:] / independent[:-1], between=(1.7, 2.4))
claim("S3-13", "shuffled epochs: double η, {} times the excess",
      measured=shuffled[2] / shuffled[1], between=(3, 4.2))
claim("S3-13", "… and far less of it: independent over shuffled at η = 0.005",
      measured=independent[0] / shuffled[0], above=5)

# %% [markdown]
# Shuffling removes most of the noise here: over an epoch every example pulls exactly once, and to first order in η
# the pulls cancel. The condition is that not much happens in an epoch: η times steps per epoch times curvature up to
# about 1. With batches of one, an epoch has 200 steps, and at $\eta = 0.02$ the advantage is nearly gone:

# %%
singles, singles_shuffled = hover(rng.integers(200, size=(4000, 10, 1))), hover(shuffle(rng, 20, 1))
claim("02-shuffle-limit", "batches of one, η = 0.02: independent over shuffled",
      measured=singles[2] / singles_shuffled[2], between=(1, 1.6))

# %% [markdown]
# ## 2.9 Small print: which norm?
#
# The forum's code prints the size of the weights under the label "L1 norm", computed by `.norm()`. In PyTorch and
# NumPy that is the L2 norm, the root of the sum of squares. And the penalty $\lVert w\rVert^2/2$ is no norm at all.

# %%
vector = torch.tensor([3.0, -4.0], dtype=torch.float64)
claim("S2-06", "`.norm()` of (3, −4) is the L2 norm",
      measured=vector.norm(), equals=5, within=1e-6)
claim("S2-06", "its L1 norm would be 7", measured=vector.norm(p=1), equals=7, within=1e-6)
claims.identities()

# %% [markdown]
# ## 2.10 The sources, line by line

# %%
verdict("S0-11", "under conditions",
        "Exactly L2 for plain SGD at a constant η, with η′ = 0.99η and λ′ = 0.01/η′ (after the "
        "step) or λ = 0.01/η (before it). Not under a schedule, nor with momentum.")
verdict("S2-05", "true",
        f"Minibatches of 5: the epoch map expands above η ≈ {crossing:.3f}. Full batches tolerate "
        f"{(2 / full).mean():.2f}.")
verdict("S2-06", "false", "It is the L2 norm.")

# %%
verdict("S2-07", "true",
        "It stays bounded because the other batches' decay outweighs the "
        "overshoot, and it hovers. But the test error is no better than answering the mean target.")

# %%
verdict("S2-08", "true",
        f"0.03 in place of 0.003 crosses the threshold {crossing:.3f}, which can be computed "
        "beforehand.")
verdict("S2-09", "under conditions",
        "For a linear model a safe bound (2/ρ of the minibatches) and the exact threshold (the "
        "epoch map) are there before training. In a network both change as it trains.")

# %%
verdict("S3-09", "under conditions",
        f"True of the minimiser. SGD follows only if 0 < ηλ < 2: at ηλ = {0.1 * 21:g} it grows as "
        "1.1ᵗ.")
verdict("S3-13", "under conditions",
        "On average over batches. At constant η it hovers unless all batches share the minimum; "
        "the excess grows with η for independent batches, with η² for short shuffled epochs.")
claims.verdicts()

# %% [markdown]
# ## 2.11 In practice
#
# **Take home.** Think in $\eta\lambda$, and in half-lives: is ${{np.log(2):.2f}}/(\eta\lambda)$ steps (with momentum, times
# $1-\mu$) a sensible share of your training run? If training blows up, compute $2/\rho$ for some *minibatches* before
# you turn knobs, and stay below the smallest.
#
# **Limits.** Stability was settled for a linear model. In a network the Hessian changes as you train; (2.4) then
# speaks about one place at a time. Adam rescales the penalty's gradient, which breaks (2.1): [chapter
# 3](03_one_lambda_many_meanings.ipynb). Under batch norm the shrinkage changes the *learning rate* and not the
# function: chapter 8.
#
# ## 2.12 Exercises
#
# **1.** Your run has $\eta = 0.01$, momentum 0.9, `weight_decay=1e-4`, and 50,000 steps. What share of a weight that
# the loss ignores is left?
#
# <details>
# <summary>Solution</summary>
#
# With PyTorch's coupled momentum the rate is $\eta\lambda/(1-\mu) = {{0.01 * 1e-4 / (1 - 0.9):.0e}}$ per step. After
# 50,000 steps $e^{-{{50_000 * 0.01 * 1e-4 / (1 - 0.9):.1f}}} = {{100 * np.exp(-50_000 * 0.01 * 1e-4 / (1 - 0.9)):.0f}}\,\%$
# is left. Without momentum it would be ${{100 * (1 - 0.01 * 1e-4) ** 50_000:.0f}}\,\%$.
#
# </details>
#
# **2.** Somebody writes `for p in params: p.mul_(0.999)` *after* `optimizer.step()` of plain SGD with $\eta = 0.1$.
# Which λ and which η does the equivalent L2 run have?
#
# <details>
# <summary>Solution</summary>
#
# Step first, then decay: $\eta' = 0.999\cdot 0.1 = {{0.999 * 0.1:.4f}}$ and
# $\lambda' = 0.001/{{0.999 * 0.1:.4f}} \approx {{(1 - 0.999) / (0.999 * 0.1):.5f}}$.
#
# </details>
#
# **3.** Derive the larger root of (2.3) to second order in $\eta\lambda$. Is the true decay slower or faster than
# $\eta\lambda/(1-\mu)$?
#
# <details>
# <summary>Solution</summary>
#
# Put $z = 1 - \epsilon$ in (2.3): $\epsilon^2 - \epsilon(1-\mu+\eta\lambda) + \eta\lambda = 0$. To first order
# $\epsilon_1 = \eta\lambda/(1-\mu)$. To second,
# $\epsilon \approx \epsilon_1 + \frac{\mu}{1-\mu}\epsilon_1^2$: faster. In section 2.5 the ratio was {{more:.1f}}, above
# {{1 / (1 - mu):.0f}}, for this reason.
#
# </details>
#
# **4.** Use (2.5) to find the smallest λ that stabilises $\eta = 0.028$ with minibatches of 5. Then measure it with
# `growth`.
#
# <details>
# <summary>Solution</summary>
#
# Solve $|a - {{80 * 0.028:.2f}}|\,a^3 = 1$: $a \approx {{1 - 0.028 * pencil_border(0.028):.3f}}$, so
# $\lambda \approx {{pencil_border(0.028):.1f}}$. The measured crossing lies higher, near 5.6: try `[growth(0.028, decay, 5).mean() for decay in (3, 4, 5, 6)]`. The formula takes the inputs as
# orthogonal; where they are not, they overshoot together.
#
# </details>
#
# **5.** (Open.) How fast is the slow process of section 2.7? Take the inputs as orthogonal, let the weights follow the
# intercept, and find the exponent. Compare with `growth`.
#
# <details>
# <summary>A start</summary>
#
# At rest for a given $b$, $\frac{2\cdot 200}{20}\epsilon + \lambda(\epsilon - b) = 0$, so
# $\epsilon = \frac{\lambda}{20+\lambda}b$. The intercept then shrinks by $1-\frac{2\eta\lambda}{20+\lambda}$ a step:
# $\Lambda\approx -\frac{8\eta\lambda}{20+\lambda}$, that is ${{-8 * 0.03 * 10 / (20 + 10):.2f}}$ at $\lambda = 10$ and
# ${{-8 * 0.03 * 20 / (20 + 20):.2f}}$ at 20. Measured: $-0.10$ and $-0.16$. So it does fall with λ, slowly.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 3 translates λ between frameworks and shows where Adam parts from weight decay.
#
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: the toy problem.
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): coupled and decoupled decay.
# - [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html), *A Simple Weight Decay Can Improve Generalization*, NIPS 4.
