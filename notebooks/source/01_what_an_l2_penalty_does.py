# %% [markdown]
# # 1 What an L2 penalty does
#
# The *L2 penalty* adds $\frac\lambda2\sum_i w_i^2$ to the loss; with SGD, λ is PyTorch's `weight_decay`. It is supposed to
# cure overfitting. Which weights does it shrink, by how much, and when does that help? A well-known demonstration that it works
# shows something else. We start with linear regression, where every answer can be computed by hand, and end with a network.
#
# **By the end you will be able to**
#
# - say which directions of the weights a given λ shrinks, before you train;
# - recognise a cure that is an artefact of where training starts;
# - count how many parameters a penalty leaves in effect, and split an error into bias and variance;
# - choose λ in three ways that do not touch the test data;
# - translate early stopping into a λ.
#
# *Reading takes about an hour and a half, the exercises as long again. The code runs in about 10 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load, make_regression
from l2lib.penalty import filter_factors, l2_penalty, ridge
from l2lib.splits import split

# %% [markdown]
# ## 1.1 A puzzle: does the penalty cure this model?
#
# A model *overfits* when it fits its training examples much better than new ones. The textbook
# [*Dive into Deep Learning*](https://arxiv.org/abs/2106.11342) demonstrates weight decay on a toy problem: 200
# inputs, 20 training examples, and targets $y = 0.05 + 0.01\sum_i x_i + \varepsilon$, with inputs from $N(0, 1)$ and
# noise ε from $N(0, 0.01^2)$, all independent. As in its 2020 edition, we train a linear model by plain SGD
# (gradient descent on 5 examples at a time), from weights drawn from $N(0, 1)$.
#
# <details>
# <summary>What differs from the textbook's code</summary>
#
# We follow its concise PyTorch version, which has the full mean squared error, λ = 3 and the learning
# rate 0.003. This book has half the error, for which λ = 1.5 and the rate 0.006 give the same run. Our intercept starts
# at 0; §1.3 says what happens if it is drawn, too. The textbook's current edition starts
# from $N(0, 0.01^2)$, with which you would see little of what follows.
#
# </details>

# %%
def train(X, y, w, weight_decay, rng, b=0.0, lr=0.006, batch=5, epochs=100):
    for _ in range(epochs):
        for rows in rng.permutation(len(X)).reshape(-1, batch):
            error = X[rows] @ w + b - y[rows]
            w = w - lr * (X[rows].T @ error / batch + weight_decay * w)
            b = b - lr * error.mean()
    return w, b


def test_error(w, b):
    return np.sum((w - 0.01) ** 2) + (b - 0.05) ** 2 + 0.01**2

# %% [markdown]
# The inputs are independent with mean 0 and variance 1, so `test_error` is the expected squared error on a new example. We
# compare $\lambda = 0$ with $\lambda = 1.5$, from the textbook's start and from zero, on {{below: len(problems)}} data sets.
# The last model always answers zero.

# %%
names = ("N(0,1) start, λ = 0", "N(0,1) start, λ = 1.5", "zero start, λ = 0",
         "zero start, λ = 1.5", "always answer zero")
results, problems = {name: [] for name in names}, []
for seed in seeds(60):
    X_toy, y_toy = make_regression(20, seed=seed)
    rng = np.random.default_rng([seed, 1])
    start = rng.standard_normal(200)
    settings = ((start, 0), (start, 1.5), (0 * start, 0), (0 * start, 1.5))
    fits = [train(X_toy, y_toy, w, weight_decay, rng) for w, weight_decay in settings]
    for name, (w, b) in zip(names, [*fits, (0 * start, 0)], strict=True):
        results[name].append(test_error(w, b))
    problems.append((X_toy, y_toy, start, fits))
n01, decayed, from_zero, both, zero = (np.array(errors) for errors in results.values())

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.2, 3))
for row, (name, errors) in enumerate(results.items()):
    ax.plot(errors, row + np.linspace(-0.26, 0.26, 60), "o", ms=3, label=name)
    digits = 0 if np.mean(errors) > 1 else 3
    ax.text(1.3 * np.max(errors), row, f"mean {np.mean(errors):.{digits}f}", va="center")
ax.axvline(zero.mean(), color=figures.GREY, lw=1, ls=":")
ax.set(xscale="log", yticks=range(5), yticklabels=results, ylim=(4.5, -0.5), xlim=(0.01, 6000))
ax.set(xlabel="test error (expected squared error)", ylabel="model")
dots = {name: mark.x for name, mark in figures.drawn(ax).items()}
means = [errors.mean() for errors in dots.values()]
factor = round(means[0] / means[1], -2)
ax.set_title(f"λ = 1.5 gains a factor of about {factor:.0f} from one start,\n"
             f"and {1 - means[3] / means[2]:.0%} from the other", x=-0.35)
figures.show(fig, f"Dots for {len(dots['always answer zero'])} data sets and five models, test "
             "error on a logarithmic axis. "
             f"Starting from N(0,1) the mean is {means[0]:.3g} without penalty and {means[1]:.3g} "
             f"with λ = 1.5. Starting from zero it is {means[2]:.3g} without penalty and "
             f"{means[3]:.3g} with λ = 1.5. Always answering zero gives {means[4]:.3g}.")

# %% [markdown]
# In the first two rows of figure 1.1 the penalty lowers the mean test error from {{n01.mean():.0f}}
# to {{decayed.mean():.2f}}: a cure, it seems. But the third row, from zero and without penalty, is
# {{decayed.mean() / from_zero.mean():.0f}} times better still. Even the model that has learnt nothing (the dotted
# line) beats the second row. And from zero the same penalty improves the mean error by
# {{1 - both.mean() / from_zero.mean():.0%}} only. What, then, did the penalty repair?
#
# ## 1.2 The penalty and its gradient
#
# Let $L(w, b)$ be the mean loss over $n$ training examples. Unless a chapter says otherwise, we minimise
#
# $$J(w, b) = L(w, b) + \frac{\lambda}{2}\lVert w\rVert^2,\qquad \lVert w\rVert^2 = \sum_i w_i^2, \qquad \lambda\ge 0.$$
#
# The intercept $b$ is not penalised ([chapter 6](06_bias_exclusion.ipynb) says why). The factor ½ makes the gradient of the
# penalty $\lambda w$, without a 2. If you leave it out, the same λ shrinks twice as strongly. A step of gradient descent
# with learning rate η is therefore
#
# $$w \leftarrow w - \eta\,(\nabla L(w) + \lambda w) = (1 - \eta\lambda)\,w - \eta\nabla L(w).$$
#
# The weights shrink a little, then follow the loss, as in `train`. In PyTorch the optimiser does it. Three steps on
# all 20 examples end where three of `train` do:

# %%
model = torch.nn.Linear(200, 1, dtype=torch.float64)
torch.nn.init.ones_(model.weight)
torch.nn.init.zeros_(model.bias)
optimizer = torch.optim.SGD([{"params": [model.weight], "weight_decay": 1.5},
                             {"params": [model.bias]}], lr=0.006)
inputs, answers = torch.tensor(problems[0][0]), torch.tensor(problems[0][1])[:, None]
for _ in range(3):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(inputs), answers) / 2
    loss.backward()
    optimizer.step()
three = train(*problems[0][:2], np.ones(200), 1.5, claims.rng(), batch=20, epochs=3)
print(f"first weight: {model.weight[0, 0].item():.6f} by PyTorch, {three[0][0]:.6f} by train")

# %% [markdown]
# Where many steps lead is best seen on a curve. Take 12 noisy points of a sine, and as inputs
# the powers $t, t^2, \dots, t^{11}$, for simplicity not standardised. With the intercept
# these are 12 parameters, enough to pass through any 12 points. The function `ridge` returns the minimum of $J$ for a
# linear model, which we compute by hand in §1.4.

# %%
t, noise = np.linspace(-1, 1, 12), claims.rng().normal(0, 0.3, 12)
powers, sine = t[:, None] ** np.arange(1, 12), np.sin(np.pi * t) + noise
curve_fits = {lam: ridge(powers, sine, lam) for lam in (0, 0.001, 1)}

# %% tags=["hide-input"]
def draw_curves(ax):
    fine = np.linspace(-1, 1, 401)
    ax.plot(fine, np.sin(np.pi * fine), color=figures.GREY, lw=1, ls=":", label="_truth")
    ax.plot(t, sine, "o", color="black", ms=5, label="_points")
    styles = {0: (figures.ORANGE, "-"), 0.001: (figures.BLUE, "-"), 1: (figures.GREEN, "--")}
    for (lam, (w, b)), (colour, style) in zip(curve_fits.items(), styles.values(), strict=True):
        values = fine[:, None] ** np.arange(1, 12) @ w + b
        ax.plot(fine, values, color=colour, ls=style, label=f"_{lam:g}")
        off = np.mean((values - np.sin(np.pi * fine)) ** 2)
        ax.plot([], [], color=colour, ls=style, label=f"λ = {lam:g}: ‖w‖ = "
                f"{np.linalg.norm(w):.3g}, error {off:.3f}")
    ax.plot([], [], ":", color=figures.GREY, lw=1, label="the sine behind the points")

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 4))
draw_curves(ax)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncol=2, fontsize=9, frameon=False,
          title="error: mean squared distance from the sine", title_fontsize=9)
ax.set(xlabel="input t", ylabel="target, and fitted curve")
ax.set_title("λ = 0 goes through every point, λ = 0.001 smooths\nthe curve, λ = 1 "
             "flattens it", x=-0.1)
bent = figures.drawn(ax)
free_off, smooth_off, flat_off = (np.mean((bent[name].y - bent["_truth"].y) ** 2)
                                  for name in ("_0", "_0.001", "_1"))
figures.show(fig, "Twelve noisy points of a sine and three fitted polynomials. Without penalty the "
             "curve passes through every point and swings between them, with a mean squared "
             f"distance of {free_off:.2g} from the sine; with λ = 0.001 it is smooth, at "
             f"{smooth_off:.2g}; with λ = 1 it is nearly flat, at {flat_off:.2g}.")

# %% [markdown]
# In figure 1.2 the curve through every point also follows the noise, with large weights of opposite sign. A small penalty
# makes the curve smooth and brings it nearer to the sine, while a large one takes away the sine, too.

# %% tags=["hide-input"]
def gradient_of(penalty, point):
    w = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(penalty(w), w)[0]

# %% tags=["hide-input"]
def steps_with(constant):
    w = torch.ones(2, dtype=torch.float64)
    for _ in range(50):
        loss = lambda w: (w[0] * w[1] - 3) ** 2 + l2_penalty([w], 0.1) + constant  # noqa: E731
        w = w - 0.05 * gradient_of(loss, w.tolist())
    return w

# %% tags=["hide-input"]
theirs = [model.weight.detach().numpy()[0] - three[0], model.bias.detach().numpy() - three[1]]
example = torch.tensor([3.0, -4.0], dtype=torch.float64)
half, whole = (gradient_of(lambda w, half=half: l2_penalty([w], 0.1, half=half), example.tolist())
               for half in (True, False))
claim("01-train", "three steps of `train` are those of torch.optim.SGD, weights and intercept",
      measured=np.concatenate(theirs), equals=0, within=1e-12)
claim("01-gradient", "the gradient of (λ/2)‖w‖² is λw",
      measured=(half - 0.1 * example).abs(), below=1e-12)

# %% tags=["hide-input"]
claim("S0-03", "without the ½ the gradient is 2λw",
      measured=(whole - 0.2 * example).abs(), below=1e-12)
claim("S0-09", "adding 1,000,000 to the loss changes no iterate",
      measured=steps_with(0.0) - steps_with(1e6), equals=0, within=1e-15)
claim("01-curve", "the curve without penalty goes through all points",
      measured=powers @ curve_fits[0][0] + curve_fits[0][1] - sine, equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.3 Null directions: what the data cannot see
#
# **The penalty deleted noise that the experimenter had put into the start.** This section shows how: a penalty acts most
# where the data are silent. Take two weights and one example. We train from three starts without penalty, and then
# go on with $\lambda = 0.5$.

# %%
x, target = np.array([1.0, 2.0]), 2.5


def descend(w, weight_decay, steps, lr=0.1):
    path = [w]
    for _ in range(steps):
        error = x @ path[-1] - target
        path.append(path[-1] - lr * (error * x + weight_decay * path[-1]))
    return np.array(path)


free = [descend(np.array(w), 0, steps=60) for w in ((-2.0, 0.7), (0.3, 2.9), (3.1, 1.6))]
decaying = [descend(path[-1], 0.5, steps=600) for path in free]

# %% tags=["hide-input"]
def draw_runs(ax):
    line = np.array([-2.6, 2.9])
    ax.plot(line, (target - line) / 2, color=figures.GREY, lw=1, label="_perfect fits")
    for path, slide in zip(free, decaying, strict=True):
        ax.plot(*path.T, color=figures.BLUE, label="_training")
        ax.plot(*path[0], "o", color=figures.BLUE)
        ax.plot(*slide.T, color=figures.ORANGE, lw=1.8, label="_decay")
        ax.plot(*path[-1], "s", ms=6, color=figures.BLUE, label="_interpolators")
    ax.plot(*nearest, "o", ms=7, mfc="white", color=figures.GREY, label="_nearest", zorder=6)
    ax.plot(*decaying[0][-1], "*", ms=11, color=figures.ORANGE, label="_minimum", zorder=5)
    ax.plot(0, 0, "+", ms=10, color="black")

# %% tags=["hide-input"]
def note(ax, words, at, beside, colour, gap=6):
    """Words with an arrow that ends near a point."""
    arrow = {"arrowstyle": "->", "color": colour, "shrinkB": gap}
    ax.annotate(words, at, xytext=beside, color=colour, arrowprops=arrow)

# %% tags=["hide-input"]
def label_runs(ax):
    for path, where in zip(free, ((6, -4), (8, 0), (-2, 9)), strict=True):
        ax.annotate("start", path[0], xytext=where, textcoords="offset points", color=figures.BLUE)
    note(ax, "λ = 0 ends at the perfect\nfit nearest to its start", free[2][-1], (0.75, -1.1),
         figures.BLUE)
    note(ax, "λ = 0.5 slides on to its\nminimum, the star", decaying[0][-1], (-2.6, -0.75),
         figures.ORANGE, gap=11)
    note(ax, "the perfect fit\nnearest to zero", nearest, (1.0, 2.2), figures.GREY)
    ax.text(-2.5, 2.62, "all points of this\nline fit perfectly", color=figures.GREY, va="bottom")
    ax.text(-0.28, -0.06, "0", va="center")

# %% tags=["hide-input"]
nearest = target * x / (x @ x)
fig, ax = figures.subplots(figsize=(5.2, 4.2))
draw_runs(ax)
label_runs(ax)
ax.set(xlabel="first weight", ylabel="second weight", aspect="equal", ylim=(-1.3, 3.6),
       xlim=(-2.8, 3.6))
ax.set_title("The loss moves weights across the line of perfect\n"
             "fits; only the penalty moves them along it")
plane = figures.drawn(ax)
end, ideal = ([plane[name].x[0], plane[name].y[0]] for name in ("_minimum", "_nearest"))
figures.show(fig, "The plane of two weights with a falling line of perfect fits. From three "
             "starts "
             "gradient descent without penalty runs straight to the line, at a right angle. "
             "With a "
             "penalty it then slides, close beside the line, to one point from all three: "
             f"({end[0]:.2f}, {end[1]:.2f}), a little nearer to zero than the perfect fit of "
             f"smallest norm, ({ideal[0]:.1f}, {ideal[1]:.1f}).")

# %% tags=["hide-input"]
corners = np.stack([plane["_interpolators"].x[:, 0], plane["_interpolators"].y[:, 0]], axis=1)
begun = np.array([path[0] for path in free])
claim("01-nearest", "without penalty each run ends at the perfect fit nearest to its start",
      measured=corners - (begun + ((target - begun @ x) / (x @ x))[:, None] * x),
      equals=0, within=1e-9)
claim("01-slide", "with a penalty all three runs end at one point, ridge's (1.1) without intercept",
      measured=[path[-1] - target * x / (x @ x + 0.5) for path in decaying], equals=0, within=1e-9)

# %% [markdown]
# Figure 1.3 shows three facts, and each has a short proof.
#
# 1. **The loss moves the weights only in directions that the data see.** Its gradient is a combination of the
#    training inputs, since each example contributes a multiple of its own $x$. A direction at a right angle to all
#    inputs is a *null direction*: moving along it changes no training answer.
# 2. **Without penalty gradient descent, if it converges, ends at the perfect fit nearest to its start.** Two
#    perfect fits differ by a null direction, and the way from the start to the end has no null part (fact 1). So it meets the
#    set of perfect fits at a right angle, and by Pythagoras every other perfect fit is further away. This is an
#    *implicit bias* of the algorithm ([Gunasekar et al., 2018](https://arxiv.org/abs/1802.08246), after
#    [Neyshabur, Tomioka and Srebro, 2015](https://arxiv.org/abs/1412.6614)).
# 3. **A penalty erases the null part.** There the gradient of $L$ is zero, so each step only multiplies by
#    $1 - \eta\lambda$. The end is not quite a perfect fit: it answers {{x @ decaying[0][-1]:.2f}} in place of {{target}}.
#
# In the puzzle 20 examples span 20 of 200 directions, so {{below: null_count}} are null. A start from $N(0, 1)$ puts an
# expected error of 1 into each, and without penalty it stays for ever: that makes {{below: null_count}}. With
# $\lambda = 1.5$ each of the {{below: steps}} steps multiplies it by {{below: shrink:.3f}}, and of the start
# ${{below: null_count}}\cdot {{below: shrink:.3f}}^{2\cdot{{below: steps}}} \approx {{below: null_count * shrink ** (2 * steps):.2f}}$
# is left. The truth adds ${{below: null_count}}\cdot 0.01^2 = {{below: null_count * 0.01**2:.3f}}$, which no fit from
# these data alone can know. We split the measured test errors, and add the exact minimum.

# %%
null_count, steps, shrink = 200 - 20, 100 * 20 // 5, 1 - 0.006 * 1.5
parts = np.empty((60, 5, 3))  # data set, run, part of the error
for k, (X_toy, y_toy, start, fits) in enumerate(problems):
    null = np.eye(200) - np.linalg.pinv(X_toy) @ X_toy  # projects on the null directions
    for run, (w, b) in enumerate([*fits, ridge(X_toy, y_toy, 1.5)]):
        missing = w - 0.01
        unseen = null @ missing
        seen = missing - unseen
        parts[k, run] = unseen @ unseen, seen @ seen, (b - 0.05) ** 2
table = parts.mean(0)

# %% [markdown]
# | mean over {{len(parts)}} data sets | null directions | other directions | intercept |
# |---|---|---|---|
# | $N(0,1)$ start, λ = 0 | {{table[0, 0]:.0f}} | {{table[0, 1]:.2g}} | {{table[0, 2]:.2g}} |
# | $N(0,1)$ start, λ = 1.5 | {{table[1, 0]:.2f}} | {{table[1, 1]:.2g}} | {{table[1, 2]:.2g}} |
# | zero start, λ = 0 | {{table[2, 0]:.4f}} | {{table[2, 1]:.5f}} | {{table[2, 2]:.4f}} |
# | zero start, λ = 1.5 | {{table[3, 0]:.4f}} | {{table[3, 1]:.5f}} | {{table[3, 2]:.4f}} |
# | exact minimum, λ = 1.5 (§1.4) | {{table[4, 0]:.4f}} | {{table[4, 1]:.5f}} | {{table[4, 2]:.4f}} |
#
# From $N(0,1)$ the error is almost all in the null directions, until the penalty has erased most of it. From zero
# only the truth's part is there. But why is the intercept so wrong in the second row, at {{table[1, 2]:.3f}}?
#
# **The second row is unfinished training.** One more null direction, written $(u, 1)$, runs through weights and intercept
# together. The penalty does not see the intercept, so here it needs about {{below: slower:.0f}} times as long to erase the
# start.

# %% tags=["hide-input"]
lifting = [-np.linalg.pinv(X_toy) @ np.ones(20) for X_toy, *_ in problems]  # u of each data set
u_share = np.mean([u @ u / (1 + u @ u) for u in lifting])

# %% tags=["hide-input"]
epochs = np.unique(np.logspace(0, 3, 61).round().astype(int))
fading = np.empty((10, len(epochs), 3))  # data set, epoch, part of the error
for k, (X_toy, y_toy, w, _) in enumerate(problems[:10]):
    u, b, rng = lifting[k], 0.0, claims.rng()
    null = np.eye(200) - np.linalg.pinv(X_toy) @ X_toy
    for row, more in enumerate(np.diff(epochs, prepend=0)):
        w, b = train(X_toy, y_toy, w, 1.5, rng, b, epochs=more)
        unseen = null @ (w - 0.01)
        along_u = (u @ (w - 0.01) + b - 0.05) / np.sqrt(1 + u @ u)
        fading[k, row, :2] = unseen @ unseen, along_u**2
        fading[k, row, 2] = test_error(w, b) - 0.01**2 - fading[k, row, :2].sum()

# %% tags=["hide-input"]
def slowest(X_toy):
    """How fast gradient descent forgets its slowest direction, per step and η."""
    Z = np.column_stack([X_toy, np.ones(20)])
    return np.linalg.eigvalsh(Z.T @ Z / 20 + np.diag([1.5] * 200 + [0]))[0]


slower = 1.5 / np.mean([slowest(X_toy) for X_toy, *_ in problems[:10]])

# %% tags=["hide-input"]
def draw_fading(ax):
    colours = {"null": figures.BLUE, "(u, 1)": figures.ORANGE, "seen": figures.GREY}
    for part, (name, colour) in enumerate(colours.items()):
        ax.plot(epochs, fading[:, :, part].mean(0), color=colour, label=f"_{name}")
    ax.axvline(100, color="black", lw=0.8, ls=":")
    ax.text(108, 100, "where row 2 of\nfigure 1.1 stops", va="top")
    ax.text(1000, 0.1, f"{null_count * 0.01**2:.3f}: the truth,\nnot the start", ha="right",
            color=figures.BLUE)

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 3.7))
draw_fading(ax)
ax.text(1.1, 55, f"{null_count} null directions of w", color=figures.BLUE, va="top")
ax.text(1.1, 0.1, "the direction (u, 1)", color=figures.ORANGE, va="top")
ax.text(1.1, 7e-4, "20 directions that\nthe data see", color=figures.GREY, va="top")
ax.set(xscale="log", yscale="log", xlabel="epochs of training with λ = 1.5, from N(0,1)",
       ylabel="error (mean of ten data sets)", ylim=(2e-5, 400))
ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
ax.minorticks_off()
fades = figures.drawn(ax)
ax.set_title("Of the start, the direction (u, 1) is erased last", x=-0.1)
end_null, end_u = (fades[name].at(100) for name in ("_null", "_(u, 1)"))
figures.show(fig, "Error against epochs, both on logarithmic axes, in three parts. The null "
             f"directions fall from {fades['_null'].y[0]:.0f} to {end_null:.2f} after 100 epochs "
             f"and {fades['_null'].y[-1]:.3f} after 1000. The direction (u, 1) falls later, from "
             f"{end_u:.2f} at 100 epochs to {fades['_(u, 1)'].y[-1]:.4f}. The directions that "
             "the data see fall fastest.")

# %% [markdown]
# In figure 1.4 the {{null_count}} null directions need some 150 epochs to come down to what the truth has there. The
# direction $(u, 1)$ takes nearly 1000; then the test error is {{below: met:.3f}} times that of the exact minimum. If the
# intercept is drawn from $N(0, 1)$ as well, as in the textbook, this slow direction starts with more error, and the
# second row becomes {{below: np.mean(drawn):.1f}}.
#
# <details>
# <summary>The direction (u, 1), and its rate</summary>
#
# Raise the intercept by 1, and add to the weights the shortest vector $u$ with $Xu = -\mathbf 1$, so that each training
# answer returns to its old value. So $(u, 1)$ is a null direction. At $c\,(u, 1)$ the penalty has the gradient
# $\lambda c\,(u, 0)$. The part of this along $(u, 1)$ is
# $\frac{\lVert u\rVert^2}{1+\lVert u\rVert^2}\,\lambda c\,(u, 1)$, a share of {{u_share:.0%}} on average. The rest would
# change training answers, and the loss resists it. So $\lambda$ times this share bounds the rate from above. The exact
# rate is the smallest eigenvalue of the objective's second derivatives, {{1.5 / slower:.2f}} on average in place of λ = 1.5.
#
# </details>

# %% tags=["hide-input"]
rng = claims.rng()
drawn = [test_error(*train(X_toy, y_toy, start, 1.5, rng, b=rng.standard_normal()))
         for X_toy, y_toy, start, _ in problems]
small_gain = claims.interval(1 - both / from_zero)
met = (fading[:, -1].sum(1).mean() + 0.01**2) / (parts[:10, 4].sum(1).mean() + 0.01**2)

# %% [markdown]
# The same direction explains the gain from zero. Without penalty that run cannot move along $(u, 1)$, and stays at
# zero there, although the true weights and intercept do not: on average $b$ ends at {{u_share:.0%}} of its true 0.05. The
# penalty moves it along $(u, 1)$, from the weights to $b$. This lowers the error on {{np.sum(both < from_zero)}} of the {{len(both)}} data sets, by {{small_gain.mean:.1%}} on
# average.

# %%
claim("01-null-part", f"From N(0,1) without penalty, {null_count} null directions carry an error "
      "of {:.0f} on average.", measured=parts[:, 0, 0].mean(), equals=null_count, within=15)
claim("01-meet", "After 1000 epochs with λ = 1.5 the N(0,1) start has {} times the test error of "
      "the exact minimum.", measured=met, equals=1, within=0.1)
claim("S2-25", "Started from zero without a penalty, the model's error is {} times that of the "
      "N(0,1) start with λ = 1.5.", measured=dots["zero start, λ = 0"].mean() / decayed.mean(),
      below=0.3)
claim("S2-25", "From zero, λ = 1.5 lowers the test error by "
      f"{small_gain.mean:.1%} on average over {len(both)} data sets; Student's 95 % interval of "
      "this mean begins at {:.1%}.", measured=small_gain.low, above=0)

# %% tags=["hide-input"]
moved, left = [], []  # what theory says of the null part, from scratch
for X_toy, _, start, fits in problems[:10]:
    kernel = np.linalg.svd(X_toy)[2][20:]  # an orthonormal basis
    for kept, (w, _) in zip((1, shrink**steps, 0, 0), fits, strict=True):
        moved.append(kernel @ (w - kept * start))
        left.append(np.sum((kernel @ (kept * start - 0.01)) ** 2))
claim("01-null-sizes", "the null part of the error is that of the start that is left, and truth",
      measured=np.reshape(left, (10, 4)) - parts[:10, :4, 0], equals=0, within=1e-9)
claim("01-null-weights", "null directions: the start as it was, or (1 − ηλ)ᵗ times, or 0",
      measured=moved, equals=0, within=1e-9)
claim("01-parts", "null part, other part, intercept and noise add up to the test error that is "
      "drawn",
      measured=[parts[:, i].sum(1) + 0.01**2 - dots[f"{start}, λ = {lam}"] for i, (start, lam) in
                enumerate((s, lam) for s in ("N(0,1) start", "zero start") for lam in (0, 1.5))],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-interpolates", "both runs without penalty end with all 20 examples fitted",
      measured=[np.mean((X_toy @ w + b - y_toy) ** 2) for X_toy, y_toy, _, fits in problems
                for w, b in (fits[0], fits[2])], equals=0, within=1e-8)
claim("01-zero-dots", "answering zero costs the targets' mean square, 200·0.01² + 0.05² + 0.01²",
      measured=dots["always answer zero"] - (200 * 0.01**2 + 0.05**2 + 0.01**2),
      equals=0, within=1e-12)
claim("01-last-null", "X u = −1, and without penalty no run moves along (u, 1)",
      measured=[[*(X_toy @ u + 1), *(u @ (fits[i][0] - begin) + fits[i][1]
                for i, begin in ((0, start), (2, 0 * start)))]
                for u, (X_toy, _, start, fits) in zip(lifting, problems, strict=True)],
      equals=0, within=1e-9)
claim("01-starts", "each data set has a start of its own",
      measured=len({start[0] for _, _, start, _ in problems}), equals=60, within=1e-9)

# %% tags=["hide-input"]
kernel = np.linalg.svd(problems[0][0])[2][20:]
claim("01-fading", "the null part that is drawn fades as fact 3 says, on the first data set",
      measured=[np.sum((kernel @ (shrink ** (4 * epoch) * problems[0][2] - 0.01)) ** 2)
                - fading[0, row, 0] for row, epoch in enumerate(epochs)], equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.4 Ridge regression: the minimum in closed form
#
# In null directions the penalty has no opponent. In all others the loss pulls back, and the two find a balance. For a
# linear model and half the mean squared error,
#
# $$J(w, b) = \frac{1}{2n}\lVert y - Xw - b\mathbf 1\rVert^2 + \frac{\lambda}{2}\lVert w\rVert^2 ,$$
#
# it can be computed.
#
# 1. Set the derivative with respect to $b$ to zero: $b = \bar y - \bar x^\top w$. Substitute this $b$: each column of
#    $X$, and $y$, loses its mean, and $b$ is gone. From here on both are centred.
# 2. Set the gradient with respect to $w$ to zero: $-\frac1n X^\top(y - Xw) + \lambda w = 0$.
# 3. Collect $w$:
#
# $$(X^\top X + n\lambda I)\,w_\lambda = X^\top y. \tag{1.1}$$
#
# For $\lambda > 0$ the matrix is positive definite, so there is exactly one minimum, even with more inputs than
# examples. This is *ridge regression* ([Hoerl and Kennard, 1970](https://doi.org/10.1080/00401706.1970.10488634)).
# In scikit-learn's `Ridge`, which has the sum of squares and no halves, α is our $n\lambda$.
#
# We fit it to {{below: n}} patients: {{below: X.shape[1]}} measurements each, and how far their diabetes had
# progressed a year later ([Efron et al., 2004](https://doi.org/10.1214/009053604000000067)). We standardise them, as otherwise
# the units would decide which weight the penalty sees as large. Predict: do all ten weights shrink as λ grows?

# %%
def ridge_by_hand(X, y, lam):
    X_c, y_c = X - X.mean(0), y - y.mean()
    w = np.linalg.solve(X_c.T @ X_c + len(y) * lam * np.eye(X.shape[1]), X_c.T @ y_c)
    return w, y.mean() - X.mean(0) @ w


data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y, n = data.y, len(data.y)
(w_hat, _), (w_ridge, b_ridge) = ridge_by_hand(X, y, 0), ridge_by_hand(X, y, 0.1)

# %% tags=["hide-input"]
path_lams = np.append(0, np.logspace(-3.5, 1.3, 193))
weights = ridge(X, y, path_lams)[0]
at_0 = 10**-4.1  # λ = 0 is drawn apart
shown = {"s5": ("triglycerides", figures.GREEN, 38), "bmi": ("BMI", figures.PINK, 27),
         "s2": ("LDL", figures.ORANGE, 18), "s3": ("HDL", figures.BLUE, 6),
         "s1": ("total cholesterol", figures.AMBER, -36), "sex": ("sex", figures.GREY, -14),
         "age": ("age", figures.GREY, -3.2)}
crossings = [(i, k) for i in range(10)  # between λ number k and the next
             for k in np.flatnonzero(weights[:-1, i] * weights[1:, i] < 0)]
numerals = {4: "four", 5: "five", 6: "six"}

# %% tags=["hide-input"]
def draw_paths(ax):
    for i, feature in enumerate(data.feature_names):
        name, colour, height = shown.get(feature, ("", figures.GREY, 0))
        strong = colour != figures.GREY
        ax.plot(path_lams[1:], weights[1:, i], color=colour, lw=2.2 if strong else 0.8,
                alpha=1 if strong else 0.6, label=f"_{feature}")
        ax.plot(at_0, weights[0, i], "D", ms=5 if strong else 3, color=colour,
                label=f"_{feature} at 0")
        ax.text(0.004 if feature == "s1" else 0.0004, height, name, color=colour, va="center")
    ax.axhline(0, color="black", lw=0.8)
    ax.text(18, 41, "thin, unnamed: blood pressure, s4, s6", color=figures.GREY, ha="right",
            va="top", fontsize=9)

# %% tags=["hide-input"]
def draw_crossings(ax):
    for i, k in crossings:
        colour = shown.get(data.feature_names[i], ("", figures.GREY))[1]
        ax.plot(path_lams[k : k + 2].mean(), 0, "o", ms=7, mfc="white", mec=colour, zorder=5,
                label=f"_zero of {data.feature_names[i]}")
        if colour == figures.GREY:
            height, side = (8, "bottom") if data.feature_names[i] == "age" else (-5, "top")
            leader = {"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkB": 4}
            ax.annotate(data.feature_names[i], (path_lams[k], 0), (path_lams[k], height),
                        color=colour, ha="center", va=side, fontsize=9, arrowprops=leader)

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 4))
draw_paths(ax), draw_crossings(ax)
ax.set(xscale="log", xlim=(4e-5, 20), xlabel="weight decay λ", ylim=(-42, 42),
       ylabel="weight (progression per standard deviation)")
ax.set_xticks([at_0, 1e-3, 1e-2, 0.1, 1, 10], ["0", "0.001", "0.01", "0.1", "1", "10"])
ax.text(10**-3.77, -42, "//", ha="center", va="center", weight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
ax.minorticks_off()
curves = figures.drawn(ax)
ldl, hdl, total = (curves[f"_zero of {name}"].x.ravel() for name in ("s2", "s3", "s1"))
free_ldl, free_total = (curves[f"_{name} at 0"].y[0] for name in ("s2", "s1"))
turned = sum(name.startswith("_zero of") for name in curves)
ax.set_title(f"Under a growing λ, {numerals.get(turned, turned)} of ten weights change sign\n"
             "(white dots), and LDL does so twice", x=-0.1)
figures.show(fig, "Ten weights of ridge regression on the diabetes data against λ, with a white "
             f"dot at each change of sign. LDL falls from {free_ldl:.0f} through zero "
             f"near {ldl[0]:.2g} and comes back near {ldl[-1]:.2g}. HDL changes sign near "
             f"{hdl[0]:.1g}, and then grows in size. Total cholesterol rises from "
             f"{free_total:.0f} through zero near {total[0]:.1g}. Age and sex change sign, "
             "too. All weights go to zero at large λ.")

# %% [markdown]
# They do not. In figure 1.5, at $\lambda = 0.1$, the weight of HDL cholesterol (s3 in the data) has gone from
# {{w_hat[6]:.1f}} to {{w_ridge[6]:.1f}}: it changed sign and grew. The reason is *collinearity*. LDL (s2), HDL and
# triglycerides (s5, as its logarithm) together predict total cholesterol (s1) with $R^2 = {{below: explained:.2f}}$. So large weights of
# opposite sign nearly cancel, and least squares can afford them. What
# must fall is the norm of the whole vector, here from {{np.linalg.norm(w_hat):.0f}} to {{np.linalg.norm(w_ridge):.0f}}, and
# the size along certain directions, which come next.

# %%
claim("01-hdl", "Between λ = 0 and λ = 0.1 the weight of HDL changes sign and becomes {} times as "
      "large.", measured=-w_ridge[6] / w_hat[6], above=1)

# %% tags=["hide-input"]
from sklearn.linear_model import Ridge

point = torch.tensor(w_ridge, requires_grad=True)
error = torch.tensor(y) - torch.tensor(X) @ point - y.mean()
(gradient,) = torch.autograd.grad(error.square().mean() / 2 + l2_penalty([point], 0.1), point)
theirs = Ridge(alpha=n * 0.1).fit(X, y)
others = X[:, [5, 6, 8]]  # LDL, HDL, triglycerides
explained = 1 - np.mean((X[:, 4] - others @ ridge(others, X[:, 4], 0)[0]) ** 2)

# %% tags=["hide-input"]
claim("01-standardised", "each input has mean 0 and mean square 1",
      measured=[X.mean(0), (X**2).mean(0) - 1], equals=0, within=1e-12)
claim("01-minimum", "the gradient of the objective is zero at the solution of (1.1)",
      measured=gradient.abs(), below=1e-10)
claim("01-sklearn", "scikit-learn's Ridge with α = nλ finds the same weights and intercept",
      measured=np.append(theirs.coef_ - w_ridge, theirs.intercept_ - b_ridge), equals=0,
      within=1e-9)

# %% tags=["hide-input"]
claim("01-ridge", "… and so does `ridge`, which the rest of the chapter uses",
      measured=np.append(theirs.coef_ - ridge(X, y, 0.1)[0],
                         np.subtract(ridge_by_hand(powers, sine, 0.1)[1],
                                     ridge(powers, sine, 0.1)[1])), equals=0, within=1e-9)
claim("01-least-squares", "at λ = 0 no input can explain the residuals better",
      measured=X.T @ (y - y.mean() - X @ w_hat) / n, equals=0, within=1e-9)
claim("01-sign", "weights change sign where the picture says: between that λ and the next",
      measured=[ridge(X, y, path_lams[k : k + 2])[0][:, i].prod() > 0 for i, k in crossings],
      equals=0, within=1e-9)
far = np.array([name in ("age", "sex", "s1", "s2", "s3") for name in data.feature_names])
claim("01-turned", "at λ = 10⁶ age, sex, s1 and s3 have another sign than at λ = 0, the others not",
      measured=np.sign(ridge(X, y, 1e6)[0] * w_hat) + 2 * far - 1 - 2 * (np.arange(10) == 5),
      equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.5 One direction at a time
#
# Which directions shrink? Take the singular value decomposition
# $X = USV^\top$ with all $s_i > 0$. The columns $v_i$ of $V$ are orthogonal directions in the space of weights, and
# $s_i^2/n$ is the variance of the data along $v_i$. (All directions at right angles to these are null, and
# there (1.1) makes $w_\lambda$ zero.) Write $\hat w$ for the least-squares fit (the one of smallest norm, if there are
# many), so that $X^\top y = X^\top X\hat w$. Put $X^\top X = VS^2V^\top$ into (1.1), and multiply by $v_i^\top$:
#
# $$v_i^\top w_\lambda = \frac{s_i^2}{s_i^2 + n\lambda}\; v_i^\top \hat w . \tag{1.2}$$
#
# So the penalty is a *filter*: it multiplies each direction by a factor between 0 and 1, near 1 where the data vary much,
# near 0 where they vary little. **Half-way is exactly at $s_i^2/n = \lambda$.**

# %%
U, s, Vt = np.linalg.svd(X, full_matrices=False)
factors = s**2 / (s**2 + n * 0.1)  # `filter_factors(s, n, 0.1)` of l2lib
filtered = factors * (Vt @ w_hat)
tenth = -np.sign(Vt[9, 4]) * Vt[9]  # a direction has no sign of its own
for k in np.argsort(-np.abs(tenth))[:5]:
    print(f"{data.feature_names[k]}: {tenth[k]:+.2f}")

# %% [markdown]
# These are the entries of the tenth direction, the weakest. It is the combination of §1.4: total cholesterol falls while
# LDL, HDL and triglycerides rise, and hardly any patient differs from another in this way.
#
# **How many parameters are in effect?** By (1.1) the fitted values are linear in the targets: $\hat y = A_\lambda y$ with
# $A_\lambda = X(X^\top X + n\lambda I)^{-1}X^\top = U\,\mathrm{diag}\big(\frac{s_i^2}{s_i^2+n\lambda}\big)\,U^\top$. The $i$-th
# diagonal entry of $A_\lambda$ says how far the fit moves at example $i$ when its own target moves by one. Without
# penalty these entries sum to the rank of $X$, so their sum, the trace, is called the *degrees of freedom*:
#
# $$\mathrm{df}(\lambda) = \operatorname{tr} A_\lambda = \sum_i \frac{s_i^2}{s_i^2 + n\lambda}. \tag{1.3}$$
#
# It falls from the rank of $X$ to zero: here it is {{below: freedom[0]:.1f}} at λ = 0.01, {{below: freedom[1]:.1f}} at λ = 0.1 and
# {{below: freedom[2]:.1f}} at λ = 1. Add one for the intercept.

# %%
freedom_lams = np.array([0.01, 0.1, 1])
freedom = filter_factors(s, n, freedom_lams).sum(-1)

# %% tags=["hide-input"]
def draw_variances(ax):
    places = np.arange(1, 11)
    ax.plot(places, s**2 / n, "o", ms=8, color=figures.BLUE, label="_variances")
    below = factors < 0.5
    ax.plot(places[below], (s**2 / n)[below], "o", ms=8, color=figures.ORANGE)
    for place, height, factor in zip(places, s**2 / n, factors, strict=True):
        above = factor > 0.5
        ax.text(place, height * (1.3 if above else 0.77), f"{factor:.2f}", ha="center",
                va="bottom" if above else "top", fontsize=9)
    ax.axhline(0.1, color="black", lw=1.2, label="_0.1")
    ax.text(0.4, 0.09, "λ = 0.1", va="top")
    ax.set(yscale="log", ylim=(0.0025, 12), xlim=(0.3, 10.7), xticks=range(1, 11))
    ax.set(xlabel="singular direction, strongest first", ylabel="variance of the data, s²/n")

# %% tags=["hide-input"]
cholesterol = X[:, [4, 5]]  # total and LDL


def label_directions(axes):
    axes[0].set_title("The penalty takes most where the data vary least\n"
                      "(arrows: two standard deviations)", x=-0.1)
    axes[1].set_title("A direction keeps more than half if its dot is above λ\n"
                      "(numbers: the factor kept at λ = 0.1)", x=-0.1)


# %% tags=["hide-input"]
def draw_cloud(ax):
    ax.plot(*cholesterol[::3].T, "o", ms=3, mec="none", color="0.75",
            label="_a third of all patients")
    _, s_two, V_two = np.linalg.svd(cholesterol, full_matrices=False)
    for k, (v, strength) in enumerate(zip(V_two, s_two**2 / n, strict=True)):
        colour, tip = (figures.BLUE, figures.ORANGE)[k], 2 * np.sqrt(strength) * v * np.sign(v[1])
        kept = strength / (strength + 0.1)
        ax.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2.5, "color": colour})
        ax.plot(k, strength / (strength + 0.1), alpha=0, label=f"_kept {k + 1}")
        words = f"v{'₁₂'[k]}: variance {strength:.2f},\n{kept:.0%} kept at λ = 0.1"
        note(ax, words, tip, ((0.5, -1.9), (-3.5, 2.1))[k], colour, gap=1)
    ax.set(aspect="equal", xlim=(-3.6, 4.2), ylim=(-2.6, 3.2), xticks=[-2, 0, 2],
           yticks=[-2, 0, 2], xlabel="total cholesterol, standardised", ylabel="LDL, standardised")
    ax.grid(False)

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.6, 7))
draw_cloud(axes[0])
draw_variances(axes[1])
cloud, bars = map(figures.drawn, axes)
label_directions(axes)
variances = bars["_variances"].y
keeps = variances / (variances + bars["_0.1"].y[0])
figures.show(fig, "Above, a narrow rising cloud of every third patient, LDL and total "
             "cholesterol, with arrows of two standard deviations along it "
             f"({cloud['_kept 1'].y[0]:.0%} kept), and "
             f"across it ({cloud['_kept 2'].y[0]:.0%}). Below, dots for the "
             "variance of the diabetes data along ten directions, falling "
             f"from {variances[0]:.1f} to {variances[-1]:.4f}, and a line at λ = 0.1, where the "
             f"factors fall from {keeps[0]:.2f} to {keeps[-1]:.2f}; the last two dots are below "
             "the line.")

# %% [markdown]
# The upper panel of figure 1.6 has two inputs only, total and LDL cholesterol. They rise and fall together, so the data say
# little along $v_2$, and there the penalty takes most. With all ten inputs, eight directions keep most of their fit at
# $\lambda = 0.1$, and the tenth keeps {{factors[9]:.0%}}. So the penalty shrinks $|v_i^\top w|$ in every direction, and
# takes the largest share where the data determine it least.

# %%
claim("S3-12", "At λ = 1, {} degrees of freedom of 10 are left.", measured=freedom[2],
      between=(3, 5))

# %% tags=["hide-input"]
eigenvalues = np.linalg.eigvalsh(X.T @ X / n)[::-1]
traces = [np.trace(X @ np.linalg.solve(X.T @ X + n * lam * np.eye(10), X.T))
          for lam in freedom_lams]
claim("01-filter", "(1.2) gives the ridge solution direction by direction",
      measured=filtered - Vt @ w_ridge, equals=0, within=1e-9)
along_two = np.linalg.svd(cholesterol)[2] @ np.transpose(ridge(cholesterol, y, [0, 0.1])[0])
claim("01-cloud", "of two inputs' fit each direction keeps the share that the picture says",
      measured=along_two[:, 1] / along_two[:, 0] - [cloud[f"_kept {k}"].y[0] for k in (1, 2)],
      equals=0, within=1e-9)
claim("01-bars", "the dots are the eigenvalues of X'X/n",
      measured=bars["_variances"].y - eigenvalues, equals=0, within=1e-9)
claim("01-label", "the degrees of freedom are the trace of the hat matrix",
      measured=freedom - traces, equals=0, within=1e-9)
claim("01-half-way", "a dot on the line λ = 0.1 would keep a half",
      measured=filter_factors(np.sqrt(n * bars["_0.1"].y), n, 0.1) - 0.5, equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.6 λ is a price, not a bound
#
# λ is not a constraint on the norm, but each λ corresponds to one: $w_\lambda$ is the best fit with
# $\lVert w\rVert\le R$, where $R = \lVert w_\lambda\rVert$. At the best point $-\nabla L(w) = \lambda w$: the loss pulls
# outwards as strongly as the penalty pulls in. In optimisation λ is called the *Lagrange multiplier* of
# the constraint $\frac12\lVert w\rVert^2\le\frac12R^2$. It is a price: if $\frac12R^2$ may grow
# by a little, the best loss falls by λ times as much. Figure 1.7 shows it for total and LDL cholesterol, whose correlation is
# {{below: np.corrcoef(pair.T)[0, 1]:.2f}}.
#
# <details>
# <summary>Proof, and the converse</summary>
#
# If $\lVert w\rVert\le\lVert w_\lambda\rVert$, then
# $L(w) = J(w) - \frac\lambda2\lVert w\rVert^2 \ge J(w_\lambda) - \frac\lambda2\lVert w_\lambda\rVert^2 = L(w_\lambda)$.
# Conversely, the best fit with $\lVert w\rVert\le R < \lVert\hat w\rVert$ lies on the sphere, as inside it the gradient is
# nowhere zero. No step along the sphere lowers the loss, and none inwards, so $-\nabla L(w) = \lambda w$ for some
# $\lambda > 0$: it is $w_\lambda$.
#
# </details>

# %%
pair = X[:, [data.feature_names.index(name) for name in ("s1", "s2")]]


def half_mse(w):
    return np.mean((y - y.mean() - w @ pair.T) ** 2, axis=-1) / 2


axis = np.linspace(-33, 47, 321)
loss_map = half_mse(np.stack(np.meshgrid(axis, axis), -1))
trail = ridge(pair, y, np.append(0, np.logspace(-4, 2, 60)))[0]

# %% tags=["hide-input"]
WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # behind words


def pulls(ax, w, lam):
    """The two gradients at w, both in the same units."""
    by_loss = pair.T @ (y - y.mean() - pair @ w) / n
    for pull, words, name, shift in ((by_loss, "loss pulls\nout", "_loss", (0, 6)),
                                     (-lam * w, "penalty\npulls in", "_penalty", (0, -9))):
        tip = w + 6.5 * pull / np.linalg.norm(lam * w)
        ax.annotate("", tip, w, arrowprops={"arrowstyle": "-|>", "lw": 1.8})
        ax.plot(*tip, alpha=0, label=name)
        ax.annotate(words, tip, xytext=shift, textcoords="offset points", ha="center",
                    va="bottom" if name == "_loss" else "top", fontsize=9, bbox=WHITE)

# %% tags=["hide-input"]
ellipse, turns = {}, np.linspace(0, 2 * np.pi, 3600)

# %% tags=["hide-input"]
def draw(lam):
    fig, ax = figures.subplots(figsize=(5, 4.6))
    w = ridge(pair, y, lam)[0]
    levels = half_mse(trail[0]) + np.array([10, 50, 300])
    ax.contour(axis, axis, loss_map, levels=levels, colors=figures.GREY, linewidths=0.6)
    thick = ax.contour(axis, axis, loss_map, levels=[half_mse(w)], colors=figures.GREY,
                       linewidths=2)
    ax.plot(*trail.T, color=figures.BLUE, label="_path")
    ax.plot(*trail[0], "o", color=figures.BLUE)
    circle = np.linalg.norm(w) * np.stack([np.cos(turns), np.sin(turns)])
    ax.plot(*circle, "--", lw=1.2, color=figures.ORANGE, label="_circle")
    ax.plot(*w, "o", color=figures.ORANGE, label="_best")
    pulls(ax, w, lam)
    ellipse[lam] = figures.drawn(ax), thick.levels[0]
    return finish(fig, ax, lam)

# %% tags=["hide-input"]
def label_ellipse(ax, begin, radius, lam):
    ax.plot(0, 0, "+", ms=10, color="black")
    ax.annotate("λ = 0", begin, xytext=(5, 3), textcoords="offset points", color=figures.BLUE,
                bbox=WHITE)
    ax.annotate("solutions\nfor all λ", (15.5, 0.3), xytext=(0, -24), color=figures.BLUE,
                bbox=WHITE, arrowprops={"arrowstyle": "->", "color": figures.BLUE})
    ax.text(-24, -31.5, f"λ = {lam:g}: circle\nof radius {radius:.1f}", color=figures.ORANGE,
            va="bottom", bbox=WHITE)
    ax.text(-24, 28.8, "grey: contours\nof the loss", color=figures.GREY, va="top", bbox=WHITE)
    ax.set(xlabel="weight of total cholesterol", ylabel="weight of LDL cholesterol")
    ax.set(aspect="equal", xlim=(-25, 47), ylim=(-33, 30))
    ax.grid(False)
    ax.set_title("Where the circle touches a contour,\nthe two pulls cancel")

# %% tags=["hide-input"]
def finish(fig, ax, lam):
    curves = figures.drawn(ax)
    begin = curves["_path"].x[0], curves["_path"].y[0]
    best = curves["_best"].x[0], curves["_best"].y[0]
    radius = np.hypot(*best)
    label_ellipse(ax, begin, radius, lam)
    return fig, (
        "Elliptic contours of the loss over two weights, stretched along a falling diagonal. A "
        f"path of solutions runs from ({begin[0]:.0f}, {begin[1]:.0f}) at λ = 0 to the origin. At "
        f"λ = {lam:g} the solution ({best[0]:.0f}, {best[1]:.0f}) lies on a circle of radius "
        f"{radius:.1f} that touches a contour; two arrows of equal length, the pulls of loss and "
        "penalty, point out and in.")

# %%
figures.interactive(draw, lam=[0.5, 0.0001, 0.003, 0.01, 0.03, 0.1, 2, 5])

# %% [markdown]
# The radius $R(\lambda) = \lVert w_\lambda\rVert$ falls as λ grows; how fast depends on the data. (If you start
# JupyterLab by `make lab`, as chapter 0 says, the figure has a dial for λ.)
#
# ---
#
# **So far.** In null directions the penalty erases whatever the start has put there. In all others it keeps the share
# $s_i^2/(s_i^2+n\lambda)$ of least squares. What is left is to ask when this helps, and how to choose λ.

# %% tags=["hide-input"]
radius_lams = np.logspace(-4, 3, 50)
radius, inside = np.linalg.norm(w_ridge), np.zeros(10)
for _ in range(1500):  # step down the loss, then back to the ball
    inside = inside + 0.2 * X.T @ (y - y.mean() - X @ inside) / n
    inside = inside * min(1, radius / np.linalg.norm(inside))
radii = np.linalg.norm(ridge(X, y, radius_lams)[0], axis=1)

# %% tags=["hide-input"]
curves, thick = ellipse[0.5]
around = half_mse(np.stack([curves["_circle"].x, curves["_circle"].y], axis=1))
two = np.linalg.solve(pair.T @ pair + n * 0.5 * np.eye(2), pair.T @ y)
solved, (squares,), *_ = np.linalg.lstsq(np.column_stack([pair, np.ones(n)]), y)
claim("S2-17", "no point on the circle fits better than w_λ", measured=around.min() / half_mse(two),
      equals=1, within=1e-6)
claim("S2-17", "the best fit in the ball of radius ‖w_λ‖ is the penalised fit (relative error)",
      measured=np.linalg.norm(inside - w_ridge) / radius, below=1e-9)

# %% tags=["hide-input"]
claim("01-half-mse", "`half_mse` is the loss of NumPy's least squares (relative error)",
      measured=half_mse(solved[:2]) * 2 * n / squares - 1, equals=0, within=1e-9)
claim("01-dot", "the dot solves (1.1) for the two inputs, and the thick contour goes through it",
      measured=[curves["_best"].x - two[0], curves["_best"].y - two[1],
                [thick / half_mse(two) - 1]],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-pulls", "the two arrows cancel",
      measured=[curves["_loss"].x + curves["_penalty"].x - 2 * two[0],
                curves["_loss"].y + curves["_penalty"].y - 2 * two[1]], equals=0, within=1e-9)
claim("01-path", "the path begins at the least-squares fit",
      measured=[curves["_path"].x[0] - solved[0], curves["_path"].y[0] - solved[1]],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-radius", "R(λ) is the norm of the least-squares fit, filtered as (1.2) says",
      measured=np.linalg.norm(filter_factors(s, n, radius_lams) * (Vt @ w_hat), axis=1) / radii,
      equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.7 Bias and variance
#
# Shrinking makes the answer wrong on purpose, and can pay. Hold $X$ fixed, with all $s_i > 0$ and no null direction. Let
# the targets be $y = Xw^* + \varepsilon$ with independent noise of variance $\sigma^2$, and draw the noise again and
# again.
#
# 1. Least squares has $v_i^\top \hat w = v_i^\top w^* + u_i^\top\varepsilon/s_i$: the true weight, plus noise that is large
#    where $s_i$ is small.
# 2. Ridge multiplies this by the factor of (1.2). The noise shrinks (less *variance*), and so does the true weight
#    (*bias*).
# 3. The bias is fixed and the noise has mean zero, so the cross term averages to zero, and the squares add up:
#
# $$\mathbb E\,\lVert w_\lambda - w^*\rVert^2 =
#   \underbrace{\sum_i \Big(\frac{n\lambda}{s_i^2+n\lambda}\Big)^2 (v_i^\top w^*)^2}_{\text{bias}^2}
#   + \underbrace{\sigma^2\sum_i \frac{s_i^2}{(s_i^2+n\lambda)^2}}_{\text{variance}} . \tag{1.4}$$
#
# For predictions at the same inputs, each direction counts by its variance $s_i^2/n$:
#
# $$\mathbb E\,\tfrac1n\lVert X(w_\lambda - w^*)\rVert^2 =
#   \sum_i \frac{s_i^2}{n}\Big(\frac{n\lambda}{s_i^2+n\lambda}\Big)^2 (v_i^\top w^*)^2
#   + \frac{\sigma^2}{n}\sum_i \Big(\frac{s_i^2}{s_i^2+n\lambda}\Big)^2 . \tag{1.5}$$
#
# At $\lambda = 0$ the bias starts with slope zero, while the variance falls at once. So *some* $\lambda > 0$ beats
# least squares: this is Hoerl and Kennard's theorem. But the good λ depends on $w^*$ and σ, which only an *oracle* knows, and
# the gain may be tiny. How large is it here? We keep 100 patients, take their least-squares fit as the truth, and add noise
# of standard deviation {{below: sigma:.0f}}, about that of the residuals of all {{n}} patients
# ({{np.sqrt(np.mean((y - y.mean() - X @ w_hat) ** 2)):.1f}}). First the formulas.

# %%
few = X[:100] - X[:100].mean(0)
U_few, s_few, Vt_few = np.linalg.svd(few, full_matrices=False)
truth, sigma = ridge(few, y[:100], 0)[0], 54.0
along, lams_25 = Vt_few @ truth, np.append(0, np.logspace(-3, 1, 25))
factor = filter_factors(s_few, 100, lams_25)
bias2 = ((1 - factor) ** 2 * along**2).sum(1)
variance = sigma**2 * ((factor / s_few) ** 2).sum(1)
bias2_answers = ((1 - factor) ** 2 * along**2 * s_few**2 / 100).sum(1)
variance_answers = sigma**2 / 100 * (factor**2).sum(1)

# %% [markdown]
# Then the experiment. One draw of the noise, fitted with and without penalty:

# %%
one_draw = few @ truth + claims.rng().normal(0, sigma, 100)
for lam in (0, 0.1):
    w, _ = ridge(few, one_draw, lam)
    print(f"λ = {lam}: squared error of the weights {np.sum((w - truth) ** 2):.0f}")

# %% [markdown]
# And 4000 draws for each λ, all fitted at once by (1.2):

# %%
rng, measured, spread = claims.rng(), np.empty((2, 26)), []
for k, row in enumerate(factor):
    noisy = few @ truth + rng.normal(0, sigma, (4000, 100))
    free_fits = noisy @ U_few / s_few  # least squares in each direction, one row per draw
    fitted_weights = (free_fits * row) @ Vt_few  # times ridge's factors, back to weights
    missing = fitted_weights - truth
    measured[:, k] = (missing**2).sum(1).mean(), ((missing @ few.T) ** 2).mean()
    spread.append(fitted_weights.var(0).sum())

# %% tags=["hide-input"]
fine_lams = np.logspace(-3, 1, 193)  # every eighth is one of the 25
fine = filter_factors(s_few, 100, fine_lams)


def terms_of(part):
    """Bias² and variance on the fine grid, for a truth with these parts along the directions."""
    bias, var = ((1 - fine) * part) ** 2, (sigma * fine / s_few) ** 2
    return {"weights": (bias.sum(1), var.sum(1)),
            "predictions": ((bias * s_few**2 / 100).sum(1), (var * s_few**2 / 100).sum(1))}


other = Vt_few @ w_hat  # the fit to all patients as the truth
fine_terms, other_terms = terms_of(along), terms_of(other)

# %% tags=["hide-input"]
terms = {"weights": (bias2, variance), "predictions": (bias2_answers, variance_answers)}
other_best = {what: fine_lams[sum(two).argmin()] for what, two in other_terms.items()}
other_saved = {what: sum(two).min() / sum(terms[what])[0] for what, two in other_terms.items()}

# %% tags=["hide-input"]
def draw_terms(ax, what, points):
    bias, var = (values[1:] for values in terms[what])
    free_error, shown_lams = sum(terms[what])[0], lams_25[1:]
    fine_bias, fine_var = fine_terms[what]
    ax.semilogx(fine_lams, fine_bias, "--", label="bias²")
    ax.semilogx(fine_lams, fine_var, ":", label="variance")
    ax.semilogx(fine_lams, fine_bias + fine_var, color=figures.GREEN, label="sum")
    ax.semilogx(shown_lams, points[1:], "o", ms=4, color=figures.GREY, label="measured", zorder=5)
    ax.axhline(free_error, color="black", lw=0.8, ls=(0, (1, 3)), label="_least squares")
    k = (bias + var).argmin()
    ax.plot(shown_lams[k], (bias + var)[k], "*", ms=17, mfc="white", mec=figures.GREEN,
            label="_oracle", zorder=4)
    ax.text(1.05e-3, free_error * 1.01, "least squares (λ = 0)", va="bottom", fontsize=9)

# %% tags=["hide-input"]
def label_terms(ax, what):
    weights = what == "weights"
    ax.set(ylim=(0, 5900) if weights else (0, 400), xlabel="weight decay λ")
    ax.set_ylabel(f"expected squared error of {what}")
    ax.text(*((2.2, 1400) if weights else (0.04, 60)), "bias²", color=figures.BLUE)
    ax.text(*((0.0011, 1300) if weights else (1.3, 75)), "variance", color=figures.ORANGE)
    ax.text(*((0.013, 1900) if weights else (0.0012, 150)), "sum, and measured dots",
            color=figures.GREEN)

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.2, 5.6))
marks, best, saved = {}, {}, {}
for ax, what, points in zip(axes, terms, measured, strict=True):
    draw_terms(ax, what, points)
    label_terms(ax, what)
    marks[what] = figures.drawn(ax)
    best[what], lowest = marks[what]["_oracle"].x[0], marks[what]["_oracle"].y[0]
    saved[what] = lowest / marks[what]["_least squares"].y[0]
axes[0].set_title(f"Weights: the oracle's λ saves {1 - saved['weights']:.0%} of the error")
axes[1].set_title(f"Predictions: it saves {1 - saved['predictions']:.0%} of the excess error")
new_target = sigma**2 * (1 + 1 / 100) + np.array([marks["predictions"]["_least squares"].y[0],
                                                  marks["predictions"]["_oracle"].y[0]])
figures.show(fig, "Two panels of expected error against λ: bias squared rises, variance "
             "falls, and their sum has a minimum, near "
             f"λ = {best['weights']:.2g} for weights, where {saved['weights']:.2f} times the "
             "error "
             f"of least squares is left, and near λ = {best['predictions']:.2g} for predictions, "
             f"where {saved['predictions']:.2f} times is left. Dots from 4000 draws lie on the "
             f"sum.")

# %% [markdown]
# Both panels have nearly the same best λ (the stars), and very different gains. Figure 1.9 shows why the gains differ. The
# common λ is an accident of this truth, a fit to 100 noisy targets whose part along the tenth direction
# ({{abs(along[9]):.0f}}) is far below its own standard deviation ({{sigma / s_few[9]:.0f}}). With the fit to all {{n}}
# patients as the truth, that part is {{abs(other[9]):.0f}}, and the best λ is {{other_best["weights"]:.2g}} for weights
# (a gain of {{1 - other_saved["weights"]:.0%}}) and {{other_best["predictions"]:.2g}} for predictions
# ({{1 - other_saved["predictions"]:.0%}}).
#
# <details>
# <summary>What the lower panel leaves out</summary>
#
# It shows the *excess* error. With noise and intercept a new target at the same inputs costs
# $\sigma^2(1 + 1/n)$ more, in all {{new_target[0]:.0f}} for least squares and {{new_target[1]:.0f}} for the oracle's λ,
# {{1 - new_target[1] / new_target[0]:.1%}} less. The test losses of §1.10 contain the noise (and are halved), so do not
# compare them with this panel.
#
# </details>

# %% tags=["hide-input"]
k_best = 1 + (bias2 + variance)[1:].argmin()
lam_best, at_best = lams_25[k_best], factor[k_best]
size = {"weights": np.ones(10), "predictions": s_few**2 / 100}  # what a direction counts
split_up = {what: {"least squares": size[what] * sigma**2 / s_few**2,
                   "bias²": size[what] * ((1 - at_best) * along) ** 2,
                   "variance": size[what] * (sigma * at_best / s_few) ** 2} for what in size}

# %% tags=["hide-input"]
def draw_split(ax, what):
    free_bars, bias, var = split_up[what].values()
    places = np.arange(1, 11)
    ax.set(xticks=places, xlabel="singular direction, strongest first")
    ax.set_ylabel(f"squared error of {what}")
    if what == "weights":  # from 7 to 4400: on a logarithmic axis
        ax.vlines(places, free_bars, bias + var, color=figures.GREY, lw=1)
        ax.plot(places, free_bars, "o", ms=10, mfc="white", mec="black", label="least squares")
        ax.plot(places, bias + var, "o", ms=6, color=figures.GREEN,
                label=f"ridge, λ = {lam_best:.1g}", zorder=3)
        ax.set(yscale="log", ylim=(3, 9000))
        ax.legend(loc="upper left", fontsize=9)
        return
    ax.bar(places, free_bars, width=0.84, fill=False, edgecolor="black", label="least squares")
    ax.bar(places, bias, width=0.6, color=figures.BLUE, label=f"bias² at λ = {lam_best:.1g}")
    ax.bar(places, var, bottom=bias, width=0.6, color=figures.ORANGE,
           label=f"variance at λ = {lam_best:.1g}")
    ax.legend(loc="upper center", fontsize=8.5, ncol=3, columnspacing=1)

# %% tags=["hide-input"]
filled = sum(split_up["predictions"][name] for name in ("bias²", "variance"))
limit = sigma * np.sqrt(2 / (100 * lam_best) + 1 / s_few**2)  # of |c| in each direction

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.8))
for ax, what in zip(axes, split_up, strict=True):
    draw_split(ax, what)
heights = {what: figures.drawn(ax)["least squares"].y
           for what, ax in zip(size, axes, strict=True)}
shares = {what: values[-1] / values.sum() for what, values in heights.items()}
axes[0].set_title(f"Weights: {shares['weights']:.0%} of least squares' error is in one direction",
                  x=-0.1)
axes[1].set(ylim=(0, 41))
axes[1].set_title(f"Predictions: each direction has {shares['predictions']:.0%} of least "
                  "squares' error", x=-0.1)
figures.show(fig, "Ten directions, the error of least squares and that of ridge at "
             "the oracle's λ. Above, for weights, on a logarithmic axis: least squares rises to "
             f"{heights['weights'][-1]:.0f} in the tenth direction, {shares['weights']:.0%} of the "
             "total, and ridge is far below it there. Below, bars for predictions: all outlines "
             f"of least squares have the height {heights['predictions'][0]:.0f}; ridge's bars, "
             "bias squared and variance, are far lower in the last directions, and higher than "
             "the outline in the fifth only.")

# %% [markdown]
# In weights {{shares["weights"]:.0%}} of the error of least squares is in the tenth direction. The penalty exchanges its
# variance of {{split_up["weights"]["least squares"][-1]:.0f}} for a bias² of {{split_up["weights"]["bias²"][-1]:.0f}} and a
# variance of {{split_up["weights"]["variance"][-1]:.0f}}. In predictions every direction costs the same $\sigma^2/n$ by
# (1.5). So giving up the tenth can save at most {{shares["predictions"]:.0%}} of the error.
#
# In some directions the penalty does harm. With $c_i = v_i^\top w^*$, compare the terms of (1.4) with those at
# $\lambda = 0$: direction $i$ gains if and only if $c_i^2 < \sigma^2\big(\frac{2}{n\lambda} + \frac{1}{s_i^2}\big)$. The
# fifth has $|c_5| = {{abs(along[4]):.0f}}$, above its limit of {{limit[4]:.0f}}, and loses. In the tenth, $|c_{10}| = {{abs(along[9]):.0f}}$
# is far below the limit of {{limit[9]:.0f}}.

# %%
claim("S3-01", f"At λ = {lams_25[13]:g} the variance of the weights is {{}} times that of least "
      "squares.", measured=spread[13] / spread[0], below=0.3)
claim("S3-01", "The oracle's λ cuts the expected squared error of the weights to {} times that of "
      "least squares.", measured=saved["weights"], below=0.5)
claim("01-predictions", "The oracle's λ cuts the expected squared error of the predictions to {} "
      "times that of least squares.", measured=saved["predictions"], between=(0.5, 1))

# %%
claim("01-bias-variance", "At every λ of both panels the measured error agrees with (1.4) or "
      "(1.5) to within 10 %.", between=(0.9, 1.1),
      measured=[marks[what]["measured"].y / marks[what]["sum"].y[::8] for what in marks])

# %% tags=["hide-input"]
matrix_form = []  # the four terms again, without singular values
for lam in lams_25:
    M = np.linalg.inv(few.T @ few + 100 * lam * np.eye(10))
    bias_vector, noise_map = 100 * lam * M @ truth, sigma * M @ few.T
    matrix_form.append([np.sum(bias_vector**2), np.sum(noise_map**2),
                        np.mean((few @ bias_vector) ** 2), np.sum((few @ noise_map) ** 2) / 100])
exact = dict(zip(("bias² w", "variance w", "bias² f", "variance f"), np.transpose(matrix_form),
                 strict=True))

# %% tags=["hide-input"]
M = np.linalg.inv(few.T @ few + 100 * other_best["weights"] * np.eye(10))
claim("01-other-truth", "with all patients' fit as the truth the least error is that of the matrix "
      "form", measured=(np.sum((100 * other_best["weights"] * M @ w_hat) ** 2)
                        + np.sum((sigma * M @ few.T) ** 2)) / sum(other_terms["weights"]).min(),
      equals=1, within=1e-9)

# %% tags=["hide-input"]
for what, letter in (("weights", "w"), ("predictions", "f")):
    both_terms = exact[f"bias² {letter}"] + exact[f"variance {letter}"]
    for name in ("bias²", "variance"):
        claim("01-curves", f"the {name} of {what} that is drawn is that of the matrix form",
              measured=marks[what][name].y[::8] / exact[f"{name} {letter}"][1:],
              equals=1, within=1e-9)
    claim("01-sums", f"the green curve is the sum of both, {what}",
          measured=marks[what]["sum"].y[::8] / both_terms[1:], equals=1, within=1e-9)
    claim("01-split", f"the bars of the {what} add up to the sum of (1.4) or (1.5)",
          measured=(split_up[what]["bias²"] + split_up[what]["variance"]).sum()
          / both_terms[k_best], equals=1, within=1e-9)
    claim("01-outlines", f"the outlines add up to the error of least squares, {what}",
          measured=heights[what].sum() / both_terms[0], equals=1, within=1e-9)
claim("01-gains", "a direction gains if and only if |c| is below its limit",
      measured=(abs(along) < limit) ^ (filled < heights["predictions"]), equals=0, within=1e-9)
claim("01-draw", "the last of the 4000 fits is that of `ridge`",
      measured=ridge(few, noisy[-1], lams_25[-1])[0] - fitted_weights[-1], equals=0, within=1e-9)
claim("01-truth", "the truth is the least-squares fit to these 100 patients",
      measured=few.T @ (y[:100] - few @ truth), equals=0, within=1e-8)
claims.identities()

# %% [markdown]
# ## 1.8 The penalty as a prior, and the λ that it suggests
#
# Can one guess a good λ? Read the penalty as a belief about the weights before the data are seen.
#
# 1. With Gaussian noise of variance $\sigma^2$, minus the log-likelihood is $\frac{1}{2\sigma^2}\lVert y - Xw\rVert^2$, up to a
#    constant. ($X$ and $y$ are centred: a flat prior on $b$ allows it.)
# 2. With the prior belief that each weight is drawn from $N(0, \tau^2)$, minus the log-prior is
#    $\frac{1}{2\tau^2}\lVert w\rVert^2$.
# 3. The most probable $w$ minimises the sum. (The posterior is Gaussian, so it is the posterior mean as well.) Multiply
#    the sum by $\sigma^2/n$, which moves no minimum: the first term becomes half the mean squared error, the second our
#    penalty with
#
# $$\lambda = \frac{\sigma^2}{n\tau^2}. \tag{1.6}$$
#
# If noise and prior are as assumed, no estimator at all has a smaller squared error, averaged over both, as ridge is
# then the posterior mean. (A Laplace prior gives the lasso of [chapter 4](04_other_penalties.ipynb).) In §1.7 σ is {{sigma:.0f}}
# and the true weights have a mean square of {{below: tau**2:.0f}}, so (1.6) suggests λ = {{below: guess:.3f}}. The
# oracle's λ in figure 1.8 is {{best["predictions"]:.1g}}. (We took τ from the true weights, so this is an oracle's λ, too.)
# With the other truth of §1.7 it suggests
# {{sigma**2 / (100 * np.mean(other**2)):.3f}}, which neither weights nor predictions want.

# %%
tau = np.sqrt(np.mean(truth**2))
guess = sigma**2 / (100 * tau**2)
kept = filter_factors(s_few, 100, guess)
guessed = np.mean((s_few * (1 - kept) * along) ** 2 + (sigma * kept) ** 2) / 10

# %%
claim("01-prior", "With the λ of (1.6) the predictions' expected squared error is {:.3f} times the "
      "oracle's.", measured=guessed / marks["predictions"]["_oracle"].y[0], below=1.1)

# %% [markdown]
# Courses often write $\frac{\lambda}{2m}\lVert w\rVert^2$, where $m$ is the number of training examples, our $n$. Their
# λ equals $n$ times ours, $\sigma^2/\tau^2$, so with more data the same λ shrinks less, as a fixed prior should. Under
# our convention, copying every example changes nothing.

# %% tags=["hide-input"]
twice_X, twice_y = np.vstack([X, X]), np.hstack([y, y])
same = ridge(twice_X, twice_y, 0.1)[0] - ridge(X, y, 0.1)[0]
summed = np.linalg.solve(twice_X.T @ twice_X + n * 0.1 * np.eye(10), twice_X.T @ twice_y)
halved = np.linalg.solve(X.T @ X + n * 0.05 * np.eye(10), X.T @ y)
many_X, many_y = np.tile(X, (1000, 1)), np.tile(y, 1000)
hundred = np.linalg.solve(1000 * X.T @ X + 442 * np.eye(10), many_X.T @ many_y)
claim("S3-08", "λ/2 added to the mean loss: copying every example changes nothing",
      measured=same, equals=0, within=1e-9)
claim("S3-08", "λ/(2m), that is λ/2 added to the sum: copying is the same as halving λ",
      measured=summed - halved, equals=0, within=1e-9)
claim("S3-10", "λ/(2m): 1000 copies of each example shrink as a thousandth of λ does",
      measured=hundred - ridge(X, y, 1 / 1000)[0], equals=0, within=1e-8)
claims.identities()

# %% [markdown]
# Without σ and τ you have to choose λ from data. First, how not to.
#
# ## 1.9 The objective always prefers λ = 0
#
# It is tempting to take the λ with the smallest objective. The smallest objective is always at $\lambda = 0$. Let
# $F(\lambda) = \min_w J$. For one fixed $w$, the objective $L(w) + \frac\lambda2\lVert w\rVert^2$ is a *straight line* in λ
# that starts at $L(w)$ and has the slope $\frac12\lVert w\rVert^2\ge 0$. And $F$ is the lowest of all these lines.

# %% tags=["hide-input"]
span, touch = np.linspace(0, 0.6, 121), (0, 0.1, 0.25, 0.45)
solutions = ridge(X, y, span)[0]
residuals = y - y.mean() - solutions @ X.T
lowest = (residuals**2).mean(1) / 2 + span / 2 * (solutions**2).sum(1)

# %% tags=["hide-input"]
def draw_lines(ax):
    colours = (figures.ORANGE, figures.AMBER, figures.GREEN, figures.PINK)
    places = ((0.24, 1900), (0.61, 1910), (0.61, 1845), (0.61, 1790))
    for lam, colour, at in zip(touch, colours, places, strict=True):
        w = ridge(X, y, lam)[0]
        straight = np.mean((y - y.mean() - X @ w) ** 2) / 2 + span / 2 * (w @ w)
        ax.plot(span, straight, color=colour, lw=1.3, label=f"_{lam:g}")
        words = f"λ = {lam:g}" + ("" if lam else " (least squares)")
        ax.text(*at, words, color=colour, va="center")
        ax.plot(lam, lowest[np.abs(span - lam).argmin()], "o", ms=7, color=colour, zorder=4)

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 3.7))
draw_lines(ax)
ax.plot(span, lowest, color=figures.BLUE, lw=6, alpha=0.45, label="_F", zorder=1)
note(ax, "F(λ), the lowest of all lines", (span[90], lowest[90]), (0.34, 1550), figures.BLUE)
ax.text(0.165, 1740, "slope ½‖w‖²", color=figures.ORANGE)
ax.text(0.12, 1410, "thin lines: one fixed w each,\nthe best for the λ at its dot",
        color=figures.GREY)
ax.set(ylim=(1380, 1980), xlim=(-0.01, 0.72), xlabel="λ", ylabel="objective")
ax.set_title("The best objective is the lower envelope of rising lines", x=-0.1)
envelope = figures.drawn(ax)
F = envelope["_F"]
figures.show(fig, "Four rising straight lines in λ, each the objective of one fixed weight vector "
             "of the diabetes fit, the steepest for the least-squares weights. Below all of them "
             f"runs a concave curve, the best objective, from {F.y[0]:.0f} at λ = 0 to "
             f"{F.y[-1]:.0f} at λ = {F.x[-1]:g}, which touches each line at its own λ.")

# %% [markdown]
# Figure 1.10 illustrates it, and the following steps prove it, for any loss whose global minimum is reached:
#
# 1. No line falls, so the lowest of them does not fall.
# 2. A minimum of straight lines is concave. The line of $w_\lambda$ lies above $F$ and touches it at λ. Where $F$ is smooth,
#    the two therefore have one tangent:
#
# $$F'(\lambda) = \tfrac12 \lVert w_\lambda\rVert^2 \ge 0. \tag{1.7}$$
#
# 3. Slopes never rise along a concave curve, so $\lVert w_\lambda\rVert$ never rises with λ.
#
# The training loss never falls with λ either.
#
# <details>
# <summary>Proof</summary>
#
# Take $\lambda_1 < \lambda_2$, with training losses $L_1, L_2$ and half squared norms $N_2\le N_1$. The second fit
# cannot beat the first at $\lambda_1$, so $L_2 + \lambda_1 N_2 \ge L_1 + \lambda_1 N_1 \ge L_1 + \lambda_1 N_2$.
# Hence $L_2\ge L_1$.
#
# </details>
#
# **Never choose λ by the objective.** You need other data, or a criterion that charges for degrees of freedom.

# %% tags=["hide-input"]
touching = [envelope["_F"].at(lam) / envelope[f"_{lam:g}"].at(lam) for lam in touch]
above = [(envelope[f"_{lam:g}"].y - envelope["_F"].y).min() for lam in touch]


def minimum(lam):
    w, b = ridge(X, y, lam)
    return np.mean((y - X @ w - b) ** 2) / 2 + lam / 2 * w @ w

# %% tags=["hide-input"]
difference = (minimum(0.1001) - minimum(0.0999)) / 0.0002
slope = np.sum(ridge(X, y, 0.1)[0] ** 2) / 2
claim("S0-12", "F′ by finite differences agrees with ‖w_λ‖²/2 (relative error)",
      measured=abs(difference / slope - 1), below=1e-6)
claim("01-envelope", "F touches the line of each w_λ at its own λ", measured=touching, equals=1,
      within=1e-9)
claim("01-below", "F lies nowhere above a line", measured=np.minimum(above, 0), equals=0,
      within=1e-9)

# %% tags=["hide-input"]
claims.identities()

# %% [markdown]
# ## 1.10 Choosing λ without the test data
#
# There are three common ways. We make the fit harder, and add squares and products of
# the ten measurements (but not the square of sex). That makes {{below: wide.shape[1]}} inputs. We fit on 150 patients, in
# {{below: len(splits)}} random splits.
#
# <details>
# <summary>Inputs are standardised on all patients: does this leak?</summary>
#
# Hardly. Standardising with the training patients only would change the best mean test loss by
# {{below: abs(apart - star.y[0]):.1f}}.
#
# </details>

# %%
sex, (i, j) = data.feature_names.index("sex"), np.triu_indices(10)
i, j = np.stack([i, j])[:, (i != sex) | (j != sex)]
wide = np.hstack([X, X[:, i] * X[:, j]])
wide = (wide - wide.mean(0)) / wide.std(0)
splits = [np.split(np.random.default_rng(seed).permutation(n), [150]) for seed in seeds(20)]
assert not any(np.intersect1d(fit, held).size for fit, held in splits)
lams, constant = np.append(0, np.logspace(-6, 3, 73)), y.var() / 2
train_loss, objective, test_loss = np.empty((3, 20, 74))
for row, (fit, held) in enumerate(splits):
    w, b = ridge(wide[fit], y[fit], lams)
    train_loss[row] = ((wide[fit] @ w.T + b - y[fit, None]) ** 2).mean(0) / 2
    objective[row] = train_loss[row] + lams / 2 * (w**2).sum(1)
    test_loss[row] = ((wide[held] @ w.T + b - y[held, None]) ** 2).mean(0) / 2

# %% [markdown]
# **A validation part.** Fit on 100 of the 150, take the λ with the smallest loss on the other 50, and fit again on
# all 150. (If several parts take turns, this is $k$-fold cross-validation.) Here is the first split. A folded cell
# does the same in all {{len(splits)}}, with functions that refuse to fit or choose on a test patient.

# %%
learn, check, held = splits[0][0][:100], splits[0][0][100:], splits[0][1]
w, b = ridge(wide[learn], y[learn], lams)  # a row of weights for each λ
on_the_50 = ((wide[check] @ w.T + b - y[check, None]) ** 2).mean(0) / 2
lam_chosen = lams[on_the_50.argmin()]
w, b = ridge(wide[splits[0][0]], y[splits[0][0]], lam_chosen)  # again, on all 150
lost = np.mean((wide[held] @ w + b - y[held]) ** 2) / 2
print(f"λ = {lam_chosen:.2f} has a test loss of {lost:.0f}")

# %% [markdown]
# <details>
# <summary>Should λ stay as it was when 100 patients become 150?</summary>
#
# By §1.8 a fixed prior keeps $n\lambda$. Then
# the mean test loss below is {{below: rescaled.mean():.0f}} in place of {{below: chosen.mean():.0f}}: here it hardly matters.
#
# </details>
#
# **Leave-one-out.** Fit on all examples but one, test on that one, and let every example take its turn. (With $n-1$
# examples we use $\lambda n/(n-1)$, so that the matrix of (1.1) gets the same $n\lambda I$.) For ridge no refit is
# needed. Let $h_i$ be the $i$-th diagonal entry of $A_\lambda$ plus $1/n$ for the intercept. Then the error on an example
# that was left out is $(y_i - \hat y_i)/(1 - h_i)$.
#
# <details>
# <summary>Why no refit is needed</summary>
#
# 1. The answers are linear in the targets. So a change of the target $y_i$ by $c$ moves the answer $\hat y_i$ by $h_i c$.
# 2. Let $\tilde y_i$ be the answer of the fit without example $i$. Add this example back with the target $\tilde y_i$. Its
#    error is zero, so the fit does not move.
# 3. Hence a change of the target from $y_i$ to $\tilde y_i$ moves $\hat y_i$ to $\tilde y_i$. By step 1,
#    $\hat y_i - h_i(y_i - \tilde y_i) = \tilde y_i$.
# 4. Solve for the error: $y_i-\tilde y_i = (y_i - \hat y_i)/(1 - h_i)$.
#
# </details>
#
# **Generalised cross-validation** ([Golub, Heath and Wahba, 1979](https://doi.org/10.1080/00401706.1979.10489751))
# replaces $h_i$ by its mean, so that it needs the degrees of freedom only:
#
# $$\mathrm{LOO}(\lambda) = \frac{1}{2n}\sum_i \Big(\frac{y_i - \hat y_i}{1 - h_i}\Big)^2, \qquad
#   \mathrm{GCV}(\lambda) = \frac{1}{2n}\sum_i \Big(\frac{y_i - \hat y_i}{1 - (\mathrm{df}(\lambda) + 1)/n}\Big)^2. \tag{1.8}$$

# %%
def without_refit(fit):
    """LOO and GCV of (1.8) on some patients, for every λ > 0."""
    U, s, _ = np.linalg.svd(wide[fit] - wide[fit].mean(0), full_matrices=False)
    factors, targets = filter_factors(s, len(fit), lams[1:]), y[fit] - y[fit].mean()
    residuals = targets - (factors * (U.T @ targets)) @ U.T
    h = factors @ (U**2).T + 1 / len(fit)
    loo = np.mean((residuals / (1 - h)) ** 2, axis=1) / 2
    gcv = np.mean(residuals**2, axis=1) / 2 / (1 - h.mean(1)) ** 2
    return loo, gcv

# %% tags=["hide-input"]
def linear(w, b):
    """Linear models, one or several, as a function of the inputs."""
    return lambda inputs: w @ inputs.T + np.expand_dims(b, -1)

# %% tags=["hide-input"]
def half_square(answer, target):
    return (answer - target) ** 2 / 2

# %% tags=["hide-input"]
rows, choices, by_prior = [], [], []  # l2lib.splits refuses to fit or choose on test examples
for fit, held in splits:
    patients = {"train": fit[:100], "validation": fit[100:], "test": held}
    broad, ten = split(wide, y, **patients), split(X, y, **patients)
    candidates = linear(*ridge(*broad.train, lams[1:]))  # fitted on 100, one for each λ
    choices.append(1 + broad.choose(candidates, half_square))  # the best on the 50
    models = ((broad, 0), (broad, lams[choices[-1]]), (ten, 0))
    refits = [(parts, linear(*ridge(*parts.refit, lam))) for parts, lam in models]  # on 150
    rows.append([parts.test_loss(model, half_square) for parts, model in refits])
    as_prior = linear(*ridge(*broad.refit, lams[choices[-1]] * 100 / 150))
    by_prior.append(broad.test_loss(as_prior, half_square))

# %% tags=["hide-input"]
(none, chosen, plain), oracle = np.array(rows).T, test_loss.min(1)
rescaled = np.array(by_prior)
criteria = np.array([without_refit(fit) for fit, _ in splits])
by_loo, by_gcv = (test_loss[np.arange(20), 1 + criteria[:, k].argmin(1)] for k in (0, 1))

# %% tags=["hide-input"]
losses = {"objective": objective, "test loss": test_loss, "training loss": train_loss}
colours = {"objective": figures.GREEN, "test loss": figures.ORANGE, "training loss": figures.BLUE}
at_left = 10**-7.8  # where λ = 0 is drawn

# %% tags=["hide-input"]
def draw_losses(ax):
    for name, values in losses.items():
        ax.plot(lams[1:], values.mean(0)[1:], color=colours[name], label=name)
        quartiles = np.percentile(values[:, 1:], [25, 75], axis=0)
        ax.fill_between(lams[1:], *quartiles, color=colours[name], alpha=0.15, lw=0,
                        label=f"_{name}, middle half")
        ax.plot(at_left, values.mean(0)[0], "D", color=colours[name], label=f"_{name} at 0")
    curve_styles = (":", figures.AMBER, "_LOO"), ("--", figures.PINK, "_GCV")
    for k, (style, colour, name) in enumerate(curve_styles):
        ax.plot(lams[1:], criteria[:, k].mean(0), style, lw=1.8, color=colour, label=name)
    ax.axhline(constant, color=figures.GREY, ls=":", label="_mean target")
    ax.axhline(plain.mean(), color="black", ls="-.", lw=1, label="_ten inputs")
    k = test_loss.mean(0).argmin()
    ax.plot(lams[k], test_loss.mean(0)[k], "*", ms=14, color=figures.ORANGE, label="_best")

# %% tags=["hide-input"]
def label_losses(ax):
    ax.plot(at_left, objective.mean(0)[0], "D", ms=10, mfc="none", color=figures.GREEN)
    ax.text(2e-6, 3690, "test loss", color=figures.ORANGE, va="bottom")
    ax.text(1e-6, 620, "objective and training loss", color=figures.BLUE, va="top")
    ax.text(2.6, 1150, "training\nloss", color=figures.BLUE, va="top")
    note(ax, "objective", (0.3, np.interp(0.3, lams, objective.mean(0))), (2e-5, 1130),
         figures.GREEN, gap=2)
    ax.text(20, 380, "bands: middle\nhalf of 20 splits", color=figures.GREY, ha="center",
            va="center", fontsize=9)
    ax.text(2e-6, 2350, "GCV", color=figures.PINK, va="top")
    ax.text(1.2e-6, 3220, "LOO", color=figures.AMBER, va="top")
    ax.text(0.4, constant + 60, "answering the\nmean target", color=figures.GREY, ha="center",
            va="bottom")
    ax.text(1e-6, plain.mean() + 40, "ten inputs, λ = 0", va="bottom")
    ax.set(xscale="log", xlabel="weight decay λ", ylabel="loss, or objective", ylim=(0, 4400))
    ax.set_xticks([at_left, 1e-6, 1e-4, 1e-2, 1, 100], ["0", "10⁻⁶", "10⁻⁴", "0.01", "1", "100"])
    gap = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    ax.text(10**-6.9, 0, "//", ha="center", va="center", weight="bold", bbox=gap)
    ax.minorticks_off()

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 4.4))
draw_losses(ax)
label_losses(ax)
curves = figures.drawn(ax)
at_zero, star = curves["_test loss at 0"].y[0], curves["_best"]
ax.set_title(f"Test loss: {at_zero:.0f} at λ = 0, {star.y[0]:.0f} at λ = {star.x[0]:.1g};\n"
             "objective and training loss only rise", x=-0.1)
figures.show(fig, "Loss against λ on the diabetes data, mean of 20 splits with the middle "
             "half shaded. Objective and training loss rise. The test loss is "
             f"{at_zero:.0f} at λ = 0, lowest with {star.y[0]:.0f} near λ = {star.x[0]:.1g}, and "
             "then rises to that of the mean target. Leave-one-out follows it; GCV is at "
             f"{curves['_GCV'].y[0]:.0f} in place of {curves['test loss'].y[0]:.0f} at the left, "
             "and meets it at the minimum.")

# %% tags=["hide-input"]
losses_apart = []  # inputs standardised inside each split, on the training patients
for fit, held in splits:
    own = (data.X - data.X[fit].mean(0)) / data.X[fit].std(0)
    own = np.hstack([own, own[:, i] * own[:, j]])
    own = (own - own[fit].mean(0)) / own[fit].std(0)
    w, b = ridge(own[fit], y[fit], lams)
    losses_apart.append(((own[held] @ w.T + b - y[held, None]) ** 2).mean(0) / 2)
apart = np.mean(losses_apart, 0).min()
freedom_at_left = np.mean([filter_factors(np.linalg.svd(wide[fit] - wide[fit].mean(0))[1], 150,
                                          lams[1]).sum() for fit, _ in splits])

# %% [markdown]
# In figure 1.11 the test loss is U-shaped. At λ = 0 it is {{test_loss.mean(0)[0]:.0f}} on average,
# worse than answering the mean target ({{constant:.0f}}). An *oracle* that picks for each split the best λ
# *on its test patients* reaches
# {{oracle.mean():.0f}}. The validation part reaches {{chosen.mean():.0f}}, leave-one-out {{by_loo.mean():.0f}} and GCV
# {{by_gcv.mean():.0f}}. All three are good, although the λ that validation chooses runs from
# {{lams[min(choices)]:.2g}} to {{lams[max(choices)]:.2g}}: near its minimum the curve is flat.
#
# And yet the plain model with ten inputs
# reaches {{plain.mean():.0f}}. With 150 patients and one λ for all inputs, the penalty limits the damage of
# {{wide.shape[1] - 10}} extra ones, and no more. (Ten inputs with a λ of their own, a fairer rival, are not tried. The splits
# share patients, so the interval of the first claim below covers the choice of split only.)
#
# <details>
# <summary>Why GCV is too low at small λ</summary>
#
# At the left end GCV is only {{criteria[:, 1, 0].mean():.0f}}, where the
# test loss is {{test_loss[:, 1].mean():.0f}}: with {{freedom_at_left:.0f}} degrees of freedom for 150 patients the $h_i$
# are uneven, and their mean hides the largest. Near the minimum the two agree.
#
# </details>

# %% tags=["hide-input"]
gain = claims.interval(np.log(none / chosen), level=0.95)  # logs: a rare ratio is above ten

# %%
claim("01-gain", "λ by validation divides the test loss by "
      f"{np.exp(gain.mean):.2f} (geometric mean of 20 splits); Student's 95 % interval of this "
      "mean begins at {:.2f}.", measured=np.exp(gain.low), above=1.3)
claim("01-validation", "The λ chosen by validation has a test loss of {} times the oracle's.",
      measured=(chosen / oracle).mean(), below=1.12)
claim("01-gcv", "The λ chosen by leave-one-out or GCV has a test loss of at most {} times the "
      "oracle's.", measured=[(by_loo / oracle).mean(), (by_gcv / oracle).mean()], below=1.12)

# %%
claim("01-plain", f"Ten inputs without penalty have {{}} times the test loss of {wide.shape[1]} "
      "inputs with the oracle's λ.", measured=(plain / oracle).mean(), below=1)

# %% tags=["hide-input"]
def fitted(fit, held, lam):
    """Training loss, test loss and objective of scikit-learn's fit."""
    model = Ridge(alpha=len(fit) * lam).fit(wide[fit], y[fit])
    inside, outside = (
        np.mean((y[rows] - model.predict(wide[rows])) ** 2) / 2 for rows in (fit, held)
    )
    return inside, outside, inside + lam / 2 * model.coef_ @ model.coef_

# %% tags=["hide-input"]
def left_out(fit, lam):
    """Half the mean squared error on examples that are left out one by one."""
    keep = [np.delete(fit, k) for k in range(len(fit))]
    models = [Ridge(alpha=len(fit) * lam).fit(wide[rows], y[rows]) for rows in keep]
    answers = [model.predict(wide[[row]])[0] for model, row in zip(models, fit, strict=True)]
    return np.mean((y[fit] - answers) ** 2) / 2

# %% tags=["hide-input"]
def least_squares(Z):
    """Test losses of NumPy's least squares with an intercept."""
    A = np.column_stack([Z, np.ones(n)])
    solved = [(held, np.linalg.lstsq(A[fit], y[fit])[0]) for fit, held in splits]
    return np.array([np.mean((y[held] - A[held] @ w) ** 2) / 2 for held, w in solved])

# %% tags=["hide-input"]
def validation_loss(fit, choice):
    learn, check = fit[:100], fit[100:]
    model = Ridge(alpha=100 * lams[choice]).fit(wide[learn], y[learn])
    return np.mean((y[check] - model.predict(wide[check])) ** 2)

# %% tags=["hide-input"]
lead = [validation_loss(fit, i + step) - validation_loss(fit, i)
        for (fit, _), i in zip(splits, choices, strict=True) for step in (-1, 1) if 1 < i < 73]
middle, first = 49, splits[0][0]
theirs = np.mean([fitted(*pair_of, lams[middle]) for pair_of in splits], axis=0)
traces = [np.trace(np.linalg.solve(Z.T @ Z + 150 * lams[middle] * np.eye(64), Z.T @ Z))
          for Z in (wide[fit] - wide[fit].mean(0) for fit, _ in splits)]

# %% tags=["hide-input"]
for name, value in zip(("training loss", "test loss", "objective"), theirs, strict=True):
    claim("01-losses", f"scikit-learn's fits at λ = {lams[middle]:g} have the {name} that is drawn",
          measured=curves[name].at(lams[middle]) / value, equals=1, within=1e-6)
    low, high = curves[f"_{name}, middle half"].low, curves[f"_{name}, middle half"].high
    inside = [((low <= losses[name][:, 1:]) & (losses[name][:, 1:] <= high)).sum(0) - 10]
    claim("01-bands", f"half of the 20 splits are in the shaded band, at each λ: {name}",
          measured=inside, equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-constant", "the dotted line is the mean loss of answering the mean target",
      measured=curves["_mean target"].y / half_square(y.mean(), y).mean(), equals=1, within=1e-9)
claim("01-apart", "at λ = 0 the scale of the inputs does not matter (with 64 inputs)",
      measured=[at_0[0] / alone for at_0, alone in zip(losses_apart, none, strict=True)],
      equals=1, within=1e-6)
claim("01-at-zero", "the diamonds are the fits without penalty",
      measured=[at_zero / none.mean() - 1, curves["_objective at 0"].y[0]
                / curves["_training loss at 0"].y[0] - 1], equals=0, within=1e-6)

# %% tags=["hide-input"]
claim("01-loo", f"(1.8) is the loss on patients left out one by one, by scikit-learn, at λ = "
      f"{lams[middle]:g}",
      measured=criteria[0, 0, middle - 1] / left_out(first, lams[middle]), equals=1, within=1e-9)
claim("01-gcv-curve", "GCV is half the mean squared error over the squared share of freedom "
      "that is left",
      measured=criteria[:, 1, middle - 1] * (1 - (np.array(traces) + 1) / 150) ** 2
      / train_loss[:, middle], equals=1, within=1e-9)

# %% tags=["hide-input"]
claim("01-first-split", "the plain code chooses what `choose` chooses, with its test loss",
      measured=[lam_chosen - lams[choices[0]], lost / chosen[0] - 1], equals=0, within=1e-9)
claim("01-choice", "on the 50 patients the neighbours of each chosen λ on the grid do no better",
      measured=np.minimum(lead, 0), equals=0, within=1e-9)
claim("01-refit", "fitted again to all 150, a chosen λ has the test loss of its place on the curve",
      measured=chosen / test_loss[np.arange(20), choices], equals=1, within=1e-9)
claim("01-plain-fits", "the two models without penalty are least squares, with an intercept",
      measured=[none / least_squares(wide), plain / least_squares(X)], equals=1, within=1e-6)

# %% tags=["hide-input"]
claim("S3-02", "in every split each larger λ raises the training loss: exceptions",
      measured=np.sum(train_loss[:, 1:] <= train_loss[:, :-1]), equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-no-better", "in no split does a choice beat the oracle",
      measured=np.minimum([chosen - oracle, by_loo - oracle, by_gcv - oracle], 0), equals=0,
      within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.11 Early stopping is nearly the same filter
#
# Run gradient descent on the bare loss from zero. Along $v_i$ each step multiplies the distance to
# $\hat w$ by $1 - \eta s_i^2/n$. So after $t$ steps the fit has reached the fraction
#
# $$1 - \Big(1 - \frac{\eta s_i^2}{n}\Big)^t \tag{1.9}$$
#
# of least squares. It converges if $\eta s_i^2/n < 2$ in every direction. Like (1.2)
# the fraction is near 1 for strong directions and small for weak ones. There it is about $\eta t s_i^2/n$, and ridge's
# factor is about $s_i^2/(n\lambda)$. The two agree if
#
# $$\lambda = \frac{1}{\eta t}. \tag{1.10}$$
#
# So a run of $t$ steps is worth that λ: twice the steps, half the penalty.

# %%
w_20 = np.zeros(10)
for _ in range(20):
    w_20 = w_20 + 0.2 * X.T @ (y - y.mean() - X @ w_20) / n
stopped = 1 - (1 - 0.2 * s**2 / n) ** 20
equivalent = 1 / (0.2 * 20)

# %% tags=["hide-input"]
nearby = np.logspace(-4, 2, 601)
distances = np.linalg.norm(stopped - filter_factors(s, n, nearby), ord=np.inf, axis=1)
farthest = [max(abs(stopped - s**2 / (s**2 + n * lam))) for lam in nearby]
counts, filtered_loss = np.arange(1, 301)[:, None], []
for fit, held in splits:
    U_150, s_150, Vt_150 = np.linalg.svd(wide[fit] - wide[fit].mean(0), full_matrices=False)
    in_each = (U_150.T @ (y[fit] - y[fit].mean())) / s_150  # least squares in each direction
    reached = (1 - (1 - 0.1 * s_150**2 / 150) ** counts) * in_each
    stopped_answers = reached @ ((wide[held] - wide[fit].mean(0)) @ Vt_150.T).T + y[fit].mean()
    filtered_loss.append(np.mean((stopped_answers - y[held]) ** 2, axis=1) / 2)
after = np.mean(filtered_loss, 0)  # by number of steps
fastest = max(0.1 * np.linalg.norm(wide[fit] - wide[fit].mean(0), 2) ** 2 / 150
              for fit, _ in splits)

# %% tags=["hide-input"]
def draw_steps(ax):
    ax.plot(counts[:, 0], after, color=figures.ORANGE, label="_stopped")
    shown_at = (lams > 1 / 30) & (lams < 8)
    ax.plot(1 / (0.1 * lams[shown_at]), test_loss.mean(0)[shown_at], "o-", ms=3.5,
            color=figures.BLUE, label="_ridge")
    best_stop = after.argmin()
    ax.plot(counts[best_stop], after[best_stop], "*", ms=14, color=figures.ORANGE)
    ax.text(90, 2060, "early stopping", color=figures.ORANGE, ha="right")
    ax.text(60, 1700, "ridge, at t = 1/(ηλ)", color=figures.BLUE)
    ax.set(xscale="log", xlabel="number of steps t, with η = 0.1", ylabel="mean test loss")
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])

# %% tags=["hide-input"]
def draw_filters(ax):
    strength = np.logspace(-2.3, 0.7, 200)
    ax.semilogx(strength, strength / (strength + equivalent), color=figures.BLUE, label="_ridge")
    ax.semilogx(strength, 1 - (1 - 0.2 * strength) ** 20, color=figures.ORANGE, label="_stopped")
    ax.semilogx(s**2 / n, (Vt @ w_20) / (Vt @ w_hat), "o", color=figures.ORANGE, label="_measured")
    ax.text(0.42, 0.5, f"ridge, λ = 1/(ηt) = {equivalent:g}", color=figures.BLUE)
    ax.text(0.3, 0.9, "20 steps of\nη = 0.2", color=figures.ORANGE, ha="right", va="center")
    ax.set(xlabel="variance of the data along the direction, s²/n", xlim=(0.005, 5.2))
    ax.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    ax.set(ylabel="share of least squares kept")

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.6))
draw_filters(axes[0])
draw_steps(axes[1])
filters, runs = map(figures.drawn, axes)
furthest = (filters["_stopped"].y - filters["_ridge"].y).max()
axes[0].set_title("20 steps filter like λ = 1/(20 η) in weak directions,\n"
                  f"and keep up to {furthest:.2f} more of middling ones", x=-0.1)
best_stop, best_lam = (line.x[line.y.argmin()] for line in (runs["_stopped"], runs["_ridge"]))
axes[1].set_title(f"The best stop is after {best_stop:.0f} steps; the best λ suggests "
                  f"{best_lam:.0f}", x=-0.1)
figures.show(fig, "Above, two rising curves of the share of the least-squares fit that is kept, "
             "against the variance of a direction. Early stopping and ridge agree for weak "
             f"directions; for middling ones early stopping keeps up to {furthest:.2f} more. "
             "Below, the test loss of 64 inputs against the number of steps: it falls to "
             f"{runs['_stopped'].y.min():.0f} after {best_stop:.0f} steps and rises again. That of "
             f"ridge, drawn at 1/(ηλ), has its minimum {runs['_ridge'].y.min():.0f} at "
             f"{best_lam:.0f}.")

# %% [markdown]
# In figure 1.12 the two curves agree at the left, and early stopping rises more sharply. No λ gives exactly its filter:
# the nearest one is {{distances.min():.2f}} off in some direction. For very small steps
# [Ali, Kolter and Tibshirani (2019)](https://arxiv.org/abs/1810.10082) prove that the expected squared error of early
# stopping is at most 1.69 times that of ridge with the λ of (1.10).
#
# The lower panel tries it on the 64 inputs of §1.10. The best λ, {{star.x[0]:.2f}}, suggests stopping
# after {{1 / (0.1 * star.x[0]):.0f}} steps, at a test loss of {{after[round(1 / (0.1 * star.x[0])) - 1]:.0f}}. The best stop
# is earlier, after {{1 + after.argmin()}} steps ({{after.min():.0f}}), because with (1.10) early stopping keeps a larger
# share of most directions. So choose $t$ on validation data, like λ.
#
# <details>
# <summary>Why it keeps a larger share</summary>
#
# For $x = \eta s_i^2/n\le 1$ it follows from $(1-x)^t\le e^{-tx}\le 1/(1+tx)$. Where
# $x > 1$ it can fail in the first steps. But $x$ is at most {{fastest:.1f}} here, and after {{1 + after.argmin()}} steps
# $|1-x|^t$ is then {{abs(1 - fastest) ** (1 + after.argmin()):.3f}}, well below
# $1/(1+tx) = {{1 / (1 + (1 + after.argmin()) * fastest):.3f}}$.
#
# </details>

# %%
stopped_loss = []  # 30 steps as code, not by (1.9)
for fit, held in splits:
    centred, w_30 = wide - wide[fit].mean(0), np.zeros(wide.shape[1])
    for _ in range(30):
        w_30 = w_30 + 0.1 * centred[fit].T @ (y[fit] - y[fit].mean() - centred[fit] @ w_30) / 150
    stopped_loss.append(np.mean((y[held] - y[fit].mean() - centred[held] @ w_30) ** 2) / 2)
print(f"mean test loss after 30 steps: {np.mean(stopped_loss):.0f}")

# %%
claim("S3-03", "Early stopping after 30 steps, without any penalty, has {} times the test loss "
      "of least "
      "squares.", measured=np.mean(stopped_loss) / none.mean(), below=0.7)

# %% tags=["hide-input"]
claim("S0-10", "stopping after 20 steps filters each direction as (1.9) says",
      measured=np.abs(Vt @ w_20 - stopped * (Vt @ w_hat)), below=1e-9)
claim("S0-10", "the measured dots lie on the curve of early stopping",
      measured=filters["_measured"].y - stopped, equals=0, within=1e-9)
claim("01-distance", "each λ's distance is that of the direction in which the filters differ most",
      measured=distances - farthest, equals=0, within=1e-12)

# %% tags=["hide-input"]
claim("01-steps", "the blue dots are the mean test losses of ridge, at 1/(ηλ) steps",
      measured=[runs["_ridge"].at(1 / (0.1 * lam)) / np.mean([fitted(*pair_of, lam)[1]
                for pair_of in splits]) for lam in lams[[46, 54]]], equals=1, within=1e-6)
claim("01-worth", "for weak directions both filters are s²/n times 1/λ = ηt: quotient of their "
      "slopes",
      measured=(1 - (1 - 0.2 * 1e-9) ** 20) / (1e-9 / (1e-9 + equivalent)), equals=1, within=1e-6)
claim("S3-03", "30 steps answer as a fit filtered by (1.9) does: ratio of the test losses",
      measured=stopped_loss / np.array(filtered_loss)[:, 29], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 1.12 And a network?
#
# Does the penalty help a small network, too? We train one hidden layer on 100 images of handwritten digits, for 300
# steps of gradient descent with momentum. One seed and one λ take a dozen lines of PyTorch:

# %%
digits = load("digits")
order = np.random.default_rng(seeds(5)[0]).permutation(len(digits.y))
pixels, labels = torch.tensor(digits.X[order] / 16).float(), torch.tensor(digits.y[order]).long()
torch.manual_seed(seeds(5)[0])
net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
weights, biases = [net[0].weight, net[2].weight], [net[0].bias, net[2].bias]
optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.003}, {"params": biases}],
                            lr=0.2, momentum=0.9)
for _ in range(300):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(pixels[:100]), labels[:100]).backward()
    optimizer.step()
by_torch = 100 * (net(pixels[200:]).argmax(1) == labels[200:]).double().mean().item()

# %% [markdown]
# It gets {{by_torch:.0f}} % of the test images right. `sweep` does the same for seven
# values of λ and five seeds at once. On 100 more images we choose for each seed the λ of the smallest loss, and we test on
# the others. Without penalty
# {{below: accuracy[:, 0, -1].mean():.1f}} % of the test images are right. Predict: how many points will the chosen λ gain?

# %%
from l2lib.sweep import MLP, predict, sweep

lambdas = [0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
orders = np.array([np.random.default_rng(seed).permutation(len(digits.y)) for seed in seeds(5)])
images = split(digits.X / 16, digits.y, train=orders[:, :100], validation=orders[:, 100:200],
               test=orders[:, 200:])
run = sweep(MLP((64, 64, 10)), *images.train, test=images.test, loss="cross_entropy", lr=0.2,
            momentum=0.9, weight_decay=lambdas, seeds=seeds(5), steps=300, record_every=300,
            evaluate_every=5)
accuracy, nats = 100 * run.test_accuracy.values, run.test_loss.values  # seed, λ, step

# %%
scores = torch.tensor(predict(run, images.validation.X).values).double()  # seed, λ, image, class
labels, cross_entropy = torch.tensor(images.validation.y).long(), torch.nn.functional.cross_entropy
validation_loss = np.array([[cross_entropy(scores[seed, k], labels[seed]) for k in range(7)]
                            for seed in range(5)])
picked = validation_loss.argmin(1)  # a λ for each seed
chosen_accuracy, chosen_loss = (values[np.arange(5), picked, -1] for values in (accuracy, nats))

# %% [markdown]
# First look at the weights of the first layer of one network.

# %% tags=["hide-input"]
dark = (images.train.X[0] == 0).all(0)  # pixels that are 0 in all 100 images of the first seed
layers = {lam: run.weight0.sel(weight_decay=lam).values[0] for lam in (0, 0.003)}
first_layer = np.asarray(MLP((64, 64, 10)).initial(seeds(5)[0])["weight0"])
dark_left = np.linalg.norm(layers[0.003][:, dark]) / np.linalg.norm(layers[0][:, dark])

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 4.8), sharey=True)
edges = np.linspace(-0.8, 0.8, 41)
for ax, layer in zip(axes, layers.values(), strict=True):
    ax.hist([layer[:, dark].ravel(), layer[:, ~dark].ravel()], bins=edges,
            histtype="stepfilled", color=[figures.ORANGE, figures.SKY])
    ax.hist(first_layer[:, dark].ravel(), bins=edges, histtype="step", color="black", ls=":")
    ax.set(xlabel="weight of the first layer", ylabel="number of weights", yscale="log",
           ylim=(0.8, 3000))
axes[0].set_title("λ = 0: the weights of dark pixels stay at their start", x=-0.1)
axes[1].set_title("λ = 0.003 narrows all weights, those of dark pixels most", x=-0.1)
axes[0].text(-0.78, 2000, "orange: pixels that are always 0", color=figures.ORANGE, va="top")
axes[0].text(-0.78, 900, "blue: all others", color=figures.BLUE, va="top")
axes[1].text(0.78, 2000, "dotted: dark pixels, at the start", ha="right", va="top")
figures.show(fig, "Two histograms of the weights of a first layer after training, counts on one "
             "logarithmic axis, with the start of dark pixels dotted. Without decay "
             "they fill a broad band; the weights of pixels that are always 0, in orange, are "
             "where they started. With λ = 0.003 all are narrower, and the orange ones are in a "
             "narrow peak at zero.")

# %% [markdown]
# In figure 1.13 the weights of always dark pixels are null directions. Without decay they stay where they started. With
# $\lambda = 0.003$ they shrink to about $e^{-10\,\eta\lambda t} = {{np.exp(-10 * 0.2 * 0.003 * 300):.2f}}$ of their start. (The
# 10 is due to the momentum of 0.9, see [chapter 2](02_from_penalty_to_weight_decay.ipynb).)

# %% tags=["hide-input"]
gains = claims.interval(accuracy[:, 1:, -1] - accuracy[:, [0], -1])
loss_gains = claims.interval(nats[:, 1:, -1] - nats[:, [0], -1])
chosen_gain = claims.interval(chosen_accuracy - accuracy[:, 0, -1])
chosen_drop = claims.interval(chosen_loss - nats[:, 0, -1])
stop = nats[:, 0].argmin(1)  # of every 5th step the best, by the loss on the test images
early_gain, early_drop = (claims.interval(series[np.arange(5), 0, stop] - series[:, 0, -1])
                          for series in (accuracy, nats))

# %% tags=["hide-input"]
def draw_network(ax, decayed_runs, by_choice, by_stopping):
    ax.axhline(0, color=figures.GREY, lw=1)
    ax.axvline(5.6, color=figures.GREY, lw=0.6)
    ax.errorbar(range(6), decayed_runs.mean, yerr=decayed_runs.half, fmt="o", capsize=3,
                label="_decay")
    for place, value, colour, name in ((6.2, by_choice, figures.PINK, "_chosen"),
                                       (7.2, by_stopping, figures.GREEN, "_stopped")):
        ax.errorbar([place], [value.mean], yerr=[value.half], fmt="D", capsize=3, color=colour,
                    label=name)

# %% tags=["hide-input"]
def label_network(axes, curves):
    for ax in axes:
        ax.set_xticks([*range(6), 6.2, 7.2],
                      [*(f"{lam:g}" for lam in lambdas[1:]), "chosen\nλ", "λ = 0,\nstopped"])
        ax.tick_params(axis="x", labelsize=8)
        ax.set(xlim=(-0.5, 7.8), xlabel="weight decay λ (chosen λ: by validation loss)")
    axes[0].set(ylim=(-4, 3.5), ylabel="change of accuracy (points)")
    axes[1].set(ylim=(-0.25, 0.4), ylabel="change of test loss (nat)")
    far = [panel["_decay"].y[-1] for panel in curves]
    for ax, words, side in ((axes[0], f"{far[0]:+.0f}\n↓", "bottom"),
                            (axes[1], f"↑\n{far[1]:+.2f}", "top")):
        ax.text(5, ax.get_ylim()[side == "top"], words.replace("-", "−"), color=figures.BLUE,
                ha="center", va=side)

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.6))
draw_network(axes[0], gains, chosen_gain, early_gain)
draw_network(axes[1], loss_gains, chosen_drop, early_drop)
upper, lower = map(figures.drawn, axes)
label_network(axes, (upper, lower))
sure = upper["_chosen"].low[0] > 0
may = "is clear" if sure else "may be chance"
axes[0].set_title(f"Accuracy: the gain of the chosen λ {may}", x=-0.1)
lowers = lower["_chosen"].high[0] < 0
axes[1].set_title(f"Test loss: the chosen λ {'lowers it' if lowers else 'may lower it'}", x=-0.1)
figures.show(fig, "A network on 100 digits: changes from λ = 0, paired by seed, means of five "
             "with 95 % intervals. Above, accuracy: the largest mean gain is "
             f"{upper['_decay'].y.max():.1f} points, λ = 0.1 loses {-upper['_decay'].y[-1]:.0f}, "
             f"the chosen λ gains {upper['_chosen'].y[0]:.1f}. Below, test loss: "
             f"{lower['_decay'].y.min():.3f} at best, {lower['_chosen'].y[0]:.3f} with the chosen "
             f"λ, {lower['_stopped'].y[0]:.3f} by early stopping.")

# %% [markdown]
# | mean of five seeds, with its interval | change of test loss | change of accuracy, points |
# |---|---|---|
# | λ chosen on other images | {{chosen_drop.mean:+.3f}} ± {{chosen_drop.half:.3f}} | {{chosen_gain.mean:+.1f}} ± {{chosen_gain.half:.1f}} |
# | λ = 0.003, the most accurate of six *on the test images* | {{loss_gains.mean[2]:+.3f}} ± {{loss_gains.half[2]:.3f}} | {{gains.mean[2]:+.1f}} ± {{gains.half[2]:.1f}} |
# | λ = 0, stopped where the loss *on the test images* is lowest | {{early_drop.mean:+.3f}} ± {{early_drop.half:.3f}} | {{early_gain.mean:+.1f}} ± {{early_gain.half:.1f}} |
#
# The penalty lowers the test **loss**, which is {{nats[:, 0, -1].mean():.3f}} without it. For the
# **accuracy** the interval of the chosen λ
# {{"contains zero: five seeds are too few to show a gain of this size" if chosen_gain.low < 0 else "excludes zero"}}. The
# other two rows choose on the test images, which flatters them. (The five test sets share most of their images.)
#
# Too large a λ is far worse than none. And the answer depends on the network: in exercise 9, at this learning rate, one more
# layer makes the gain clearly positive.
#
# In larger networks weight decay seems to act through the training dynamics more than by limiting complexity
# ([Zhang et al., 2019](https://arxiv.org/abs/1810.12281); [D'Angelo et al., 2024](https://arxiv.org/abs/2310.04415)):
# see chapters 2, 8 and 9.

# %% tags=["hide-input"]
claim("01-paired", "dots and bars of the test loss: mean and Student's 95 % of five differences",
      measured=[[lower["_decay"].y[k] - each.mean(), (lower["_decay"].high[k] - each.mean())
                 / (each.std(ddof=1) / np.sqrt(5)) - 2.7764451052] for k, each in
                enumerate((nats[:, 1:, -1] - nats[:, [0], -1]).T)], equals=0, within=1e-6)
claim("01-dark-start", "without decay the weights of dark pixels are those of the start",
      measured=layers[0][:, dark] - first_layer[:, dark], equals=0, within=1e-6)
claims.identities()

# %%
loss_ratio = claims.interval(chosen_loss / nats[:, 0, -1])
claim("01-network-loss", "With λ chosen on other images the network's test loss is "
      f"{loss_ratio.mean:.3f} times that of λ = 0, on the mean of five seeds; the 95 % interval "
      "ends at {}.", measured=loss_ratio.high, below=1)
claim("01-network", f"λ = 0.1 costs the network {-gains.mean[-1]:.0f} points of accuracy on the "
      "mean of five seeds, and at least {:.0f} by the 95 % interval.", measured=-gains.high[-1],
      above=1)
claim("01-dark", "300 steps with λ = 0.003 leave {} of the weights of always dark pixels.",
      measured=dark_left, equals=np.exp(-10 * 0.2 * 0.003 * 300), within=0.02)

# %% [markdown]
# ## 1.13 In practice
#
# **To remember.** Each direction keeps the share $s_i^2/(s_i^2+n\lambda)$ of its least-squares fit, and the shares add up
# to $\mathrm{df}(\lambda)$.
#
# - **Linear models.** Standardise the inputs, leave the intercept free, and try about 30 values of λ, evenly spaced in
#   $\log\lambda$ around the variances $s_i^2/n$. `sklearn.linear_model.RidgeCV(alphas=...)` does leave-one-out; its `alpha` is
#   $n\lambda$.
# - **Networks.** Begin with `weight_decay=1e-4` to `5e-4` for SGD and `0.01` to `0.1` for AdamW (its default in PyTorch
#   is 0.01; its λ means something else, see [chapter 3](03_one_lambda_many_meanings.ipynb)). Search in factors of 3, and include 0.
# - **Reports.** Leave the penalty out of the *reported* loss, and show three rivals: λ = 0, early stopping, the best constant.
#
# **Myths**
#
# - *L2 shrinks every weight.* It shrinks the norm, and every singular direction. Single weights may grow and change sign
#   (§1.4).
# - *With weight decay the training loss is higher, so something is wrong.* At the minimum it cannot be lower (§1.9). Compare
#   test losses.
#
# **Limits.** The formulas are for linear models at their minimum. Networks have null directions too. Some never change
# (a pixel that is always 0); others depend on $w$ (the incoming weights of a unit that is off for all examples). With
# exact batch norm (no ε in it) and λ > 0 the objective of a network has no minimum at all ([chapter 7](07_scale_invariance.ipynb)).
#
# ## 1.14 Exercises
#
# **1.** *(One line.)* A model has $s = (10, 1)$, $n = 100$ and $\lambda = 0.01$. What are its factors and its degrees of
# freedom? Its training loss is 0.4. What is GCV?
#
# <details>
# <summary>Solution</summary>
#
# $n\lambda = {{100 * 0.01:g}}$, so the factors are $100/101 \approx {{filter_factors([10, 1], 100, 0.01)[0]:.2f}}$ and
# $1/2$. The degrees of freedom are {{filter_factors([10, 1], 100, 0.01).sum():.2f}}.
# By (1.8) GCV is
# $0.4/(1 - {{filter_factors([10, 1], 100, 0.01).sum() + 1:.2f}}/100)^2 \approx {{0.4 / (1 - (filter_factors([10, 1], 100, 0.01).sum() + 1) / 100) ** 2:.3f}}$.
#
# </details>
#
# **2.** *(A proof.)* Let all $s_i > 0$. Show that the variance term of (1.4) falls in λ, and that the bias term has slope
# zero at $\lambda = 0$. Conclude Hoerl and Kennard's theorem.
#
# <details>
# <summary>Solution</summary>
#
# $\frac{d}{d\lambda}\frac{s^2}{(s^2+n\lambda)^2} = -\frac{2ns^2}{(s^2+n\lambda)^3} < 0$. The bias term is
# $\big(\frac{n\lambda}{s^2+n\lambda}\big)^2 (v^\top w^*)^2 = O(\lambda^2)$. At $\lambda = 0$ the sum has slope
# $-2n\sigma^2\sum_i s_i^{-4} < 0$. So a small enough λ improves on least squares. How small depends on $w^*$, which
# you do not know.
#
# </details>
#
# **3.** *(A proof, and a number.)* (a) Multiply direction $i$ of least squares by any factor $\phi_i$. Which $\phi_i$ gives the
# smallest expected squared error, and when is it ridge's? (b) Which λ is best for one direction with $s^2 = 50$, $n = 100$,
# $\sigma = 10$ and a true weight of 3, and what error is left?
#
# <details>
# <summary>Solution</summary>
#
# (a) With $c_i = v_i^\top w^*$ the error is $\sum_i (1-\phi_i)^2 c_i^2 + \sigma^2\phi_i^2/s_i^2$. Each term is smallest at
# $\phi_i = \frac{s_i^2}{s_i^2 + \sigma^2/c_i^2}$ (at 0 if $c_i = 0$). That is ridge's factor with $n\lambda = \sigma^2/c_i^2$, if all $c_i^2$
# are equal. Under the prior of §1.8 we do not know them, and $\tau^2$, the mean of $c_i^2$, takes their place. If strong
# directions carry more of the truth than weak ones, a steeper filter such as (1.9) can win. (b) Here
# $n\lambda = 100/9$, so $\lambda \approx {{100 / 9 / 100:.2f}}$. The factor is {{50 / (50 + 100 / 9):.2f}}, and the error
# falls from $100/50 = 2$ to {{(1 - 50 / (50 + 100 / 9)) ** 2 * 9 + 2 * (50 / (50 + 100 / 9)) ** 2:.2f}}.
#
# </details>
#
# **4.** *(Predict, then run.)* Penalise the intercept, too: in `train`, replace `error.mean()` in the step of `b` by
# `(error.mean() + weight_decay * b)`. What becomes of the intercept's error in the second row of §1.3's table (a mean of
# 60 data sets), and why?
#
# <details>
# <summary>Solution</summary>
#
# It falls from 0.047 to 0.0023. Now the penalty sees the whole of $(u, 1)$, so fact 3 holds in all
# 181 null directions, and the start fades in this one as fast as in the others. But the fit slides close to the perfect
# fit nearest to zero in $(w, b)$, that of the third row, which leaves most of the offset 0.05 to the weights.
#
# </details>
#
# **5.** *(Read this log.)* A colleague keeps λ = 0, because its objective is the smallest. Which λ would you take, and
# what is $\lVert w\rVert^2$ in the second row?
#
# ```text
# weight_decay   objective   training loss   validation loss
#         0          0.412           0.412             0.655
#         0.01       0.498           0.447             0.601
#         0.1        0.731           0.583             0.612
# ```
#
# <details>
# <summary>Solution</summary>
#
# The objective and the training loss rise with λ by necessity (§1.9) and say nothing. The validation loss prefers 0.01;
# 0.1 is close, so look at the spread over seeds. Objective minus training loss is $\frac\lambda2\lVert w\rVert^2$, so
# $\lVert w\rVert^2 = {{2 / 0.01 * (0.498 - 0.447):.1f}}$.
#
# </details>
#
# **6.** *(A question from a forum, in our words.)* Somebody switches from half the mean squared error to
# `torch.nn.MSELoss`, keeps λ, and finds larger weights. Is this a bug? What should they type?
#
# <details>
# <summary>Solution</summary>
#
# No. The data term has doubled and the penalty has not, so the fit is less penalised. $2\lambda$ restores the old
# minimum; then the whole objective has doubled. (With SGD, also halve the learning rate.)
#
# </details>
#
# **7.** *(Your own network.)* Some inputs are 0 in all your training examples. Find the weights of the first layer that
# read them, and draw them as in figure 1.13. What do you expect, with and without decay?
#
# <details>
# <summary>Solution</summary>
#
# Their gradient is zero at each step: they are null directions (§1.3). Without decay they stay exactly as they were
# drawn, and add noise to every test example in which the input is not 0. With SGD without momentum and coupled decay
# they are $(1-\eta\lambda)^t$ times their start; momentum makes them die out faster
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).
#
# </details>
#
# **8.** *(Break a claim.)* In §1.1, draw the start with a smaller standard deviation: replace
# `rng.standard_normal(200)` by `0.1 * rng.standard_normal(200)`. Which claim about null directions fails, and what is
# the number now? Below which standard deviation of the start is the gain from λ = 1.5 less than a factor of two?
#
# <details>
# <summary>Solution</summary>
#
# The claim `01-null-part` fails: 180 null directions now carry an error of about 1.8, since squares are 100 times smaller.
# (A later claim, `S2-25`, would fail as well: with less noise to delete, little is left between the two starts.) Let $\sigma_0$ be the
# start's deviation. If it is small, the first row is the third plus $180\,\sigma_0^2$, and the second about the fourth. The ratio is
# two near $\sigma_0 = \sqrt{(2\cdot {{both.mean():.4f}} - {{from_zero.mean():.4f}})/180} \approx {{np.sqrt((2 * both.mean() - from_zero.mean()) / 180):.4f}}$,
# about the start of the textbook's current edition.
#
# </details>
#
# **9.** *(Predict, then run; half a minute.)* Give the network of §1.12 a second hidden layer, `MLP((64, 64, 32, 10))`. Does
# the interval of the gain in accuracy still contain zero? Then try `lr=0.05` in `sweep`. (To compare learning rates in
# earnest, choose them by validation, too.)
#
# <details>
# <summary>Solution</summary>
#
# At `lr=0.2` the gain becomes 2.6 ± 0.3 points, which five seeds do tell from zero, and at `lr=0.05` it is
# 0.3 ± 1.0. So a single network says little about weight decay in general.
#
# </details>
#
# **10.** *(One line.)* You stopped gradient descent from zero after 500 steps with $\eta = 0.01$. Which λ is this worth? You
# want half that λ in half the time. What do you change, and what must you check first?
#
# <details>
# <summary>Solution</summary>
#
# By (1.10) it is worth $\lambda = 1/(0.01\cdot 500) = {{1 / (0.01 * 500):.1f}}$. Half of it needs
# $\eta t = {{2 * 0.01 * 500:.0f}}$, in 250 steps $\eta = {{2 * 0.01 * 500 / 250:.2f}}$. Check that $\eta s_1^2/n < 2$
# still holds, with the largest variance $s_1^2/n$ of the data along a direction; otherwise training diverges.
#
# </details>
#
# **11.** *(By hand.)* Fit ridge with a free intercept and $n\lambda = 2$ to the three points $(-1, 1)$, $(0, 0)$ and $(1, 2)$.
# Compute leave-one-out by (1.8), and check the middle point by leaving it out.
#
# <details>
# <summary>Solution</summary>
#
# The mean of $y$ is 1, $X^\top X = 2$ and $X^\top y = 1$, so $w = 1/4$ by (1.1). The errors $y_i - \hat y_i$ are
# $1/4$, $-1$ and $3/4$. The intercept contributes $1/3$ to each $h_i$, the slope $x_i^2/4$. So
# $h = (7/12, 1/3, 7/12)$, the errors of leave-one-out are $0.6$, $-1.5$ and $1.8$, and
# $\mathrm{LOO} = (0.6^2 + 1.5^2 + 1.8^2)/6 = {{(0.6**2 + 1.5**2 + 1.8**2) / 6:.3f}}$. Without the middle point
# the mean of $y$ is 1.5, which any slope answers at $x = 0$: the error is $0 - 1.5$.
#
# </details>
#
# **12.** *(A proof.)* Let the noise be independent with variance $\sigma^2$, and draw new targets $y'$ at the same inputs. How
# much larger is their expected mean squared error than that of the targets that were fitted?
#
# <details>
# <summary>Solution</summary>
#
# λ is fixed, so $\hat y$ is linear in $y$. Its bias is the same against $y$ and $y'$, and cancels. Target $i$ pulls its
# own answer $\hat y_i$ with weight $(A_\lambda)_{ii} + 1/n$, so its covariance with it is
# $\sigma^2((A_\lambda)_{ii} + 1/n)$, and $y'_i$ has none. Expand the squares, and sum over $i$:
#
# $$\mathbb E\,\Big(\tfrac1n\lVert y'-\hat y\rVert^2 - \tfrac1n\lVert y-\hat y\rVert^2\Big)
#   = \frac{2\sigma^2(\mathrm{df}(\lambda)+1)}{n}.$$
#
# </details>
#
# **13.** *(Your own data.)* Take a table of yours with a number to predict, or `load("diabetes")`. Standardise the inputs, and
# choose λ with `RidgeCV(alphas=...)` of scikit-learn among 30 values. Is it at an end of your grid? How much better than
# λ = 0 is it on examples that you kept apart, and than the mean target?
#
# <details>
# <summary>Solution</summary>
#
# `model = RidgeCV(alphas=len(X_train) * np.logspace(-4, 2, 30)).fit(X_train, y_train)`, then `model.alpha_ / len(X_train)`
# is λ. If it is at an end of the grid, widen the grid. Compare test losses with `LinearRegression` and with
# `np.mean(y_train)`. With many examples for each input expect little from λ, as the variance term of (1.5) is small.
#
# </details>
#
# ## 1.15 The sources, line by line
#
# The book began with four short texts ([chapter 0](00_start_here.ipynb) names them). This table says what became of those
# of their sentences that this chapter decides.

# %% tags=["hide-input"]
crushed, b_crushed = ridge(X, y, 1e12)
Z, penalties = np.column_stack([X, np.ones(n)]), np.diag([0.1] * 10 + [1e12])
b_penalised = np.linalg.solve(Z.T @ Z + n * penalties, Z.T @ y)[-1]
older, newer = np.split(np.arange(n), [221])
assert not np.intersect1d(older, newer).size
centre = ridge(X[older], y[older], 0)[0]
towards = [centre + ridge(X[newer], y[newer] - X[newer] @ centre, lam)[0] for lam in (0, 1e12)]
strong, weak = np.mean((X @ Vt[0]) ** 2), np.mean((X @ Vt[-1]) ** 2)

# %%
claim("S2-21", "Between two weight vectors w of norm 1 the mean square of wᵀx over the patients "
      "differs by a factor of {}.", measured=strong / weak, above=100)

# %% tags=["hide-input"]
claim("S3-09", "at the minimum a huge λ makes the weights vanish", measured=np.abs(crushed),
      below=1e-6)
claim("S2-20", "λ = 0 is ordinary least squares",
      measured=w_hat - np.linalg.lstsq(X, y - y.mean())[0], equals=0, within=1e-8)

# %% tags=["hide-input"]
claim("S2-20", "λ = 10¹²: every prediction is the mean target",
      measured=X @ crushed + b_crushed - y.mean(), equals=0, within=1e-6)
claim("S2-18", "penalty 10¹² on b: the answer for the average patient is 0", measured=b_penalised,
      equals=0, within=1e-6)
claim("S2-18", "free b: the answer for the average patient is the mean target",
      measured=ridge(X, y, 0.1)[1] - y.mean(), equals=0, within=1e-9)
claim("S2-19", "for λ → ∞ the weights go to the centre you chose",
      measured=towards[1] - centre, equals=0, within=1e-6)

# %% tags=["hide-input"]
claim("S2-19", "for λ = 0 the choice is forgotten",
      measured=towards[0] - ridge(X[newer], y[newer], 0)[0], equals=0, within=1e-8)

# %% tags=["hide-input"]
claim("S2-21", "a w of norm 1 along vᵢ makes a function of mean square sᵢ²/n",
      measured=np.array([strong, weak]) * n / s[[0, -1]] ** 2, equals=1, within=1e-9)
claim("S2-21", "with whitened inputs a w of norm 1 makes a function of mean square 1",
      measured=np.mean((np.sqrt(n) * U @ Vt[0]) ** 2), equals=1, within=1e-12)

# %% tags=["hide-input"]
million, many = torch.full((1_000_000,), 1e-4), torch.full((10_000,), 0.5)
claim("S2-22", "a million entries of 10⁻⁴ have norm {}",
      measured=million.double().norm(), equals=0.1, within=1e-6)
claim("S2-23", "10,000 entries of 0.5 have norm {}", measured=many.norm(), equals=50, within=1e-6)
claim("S3-06", "the norm of a zero vector is 0", measured=torch.zeros(3).norm(),
      equals=0, within=1e-15)
claim("S3-07", "the norm of a zero matrix is 0", measured=torch.zeros(3, 2).norm(),
      equals=0, within=1e-15)
claims.identities()

# %%
verdict("S0-03", "convention",
        "Without the ½ the same λ shrinks twice as fast; intercepts are left out here too.")
verdict("S0-09", "true", "Gradient descent sees the gradient only: a constant changes no iterate.")
verdict("S0-10", "true", "Early stopping is one: it adds no term, and no λ gives its filter.")
verdict("S0-12", "true",
        "The objective at its minimum rises with λ whatever the data: F′ = ‖w‖²/2.")
verdict("S2-17", "false",
        "λ is its multiplier; the radius R(λ) depends on the data and falls with λ.")
verdict("S2-18", "under conditions",
        "A linear model is then linear: f(0) = 0 whatever the targets. A ReLU network without "
        "biases has f(0) = 0 as well, but is not linear.")
verdict("S2-19", "convention",
        "It is what this penalty shrinks to. Shrinking towards another centre is the same "
        "algebra.")
verdict("S2-20", "false",
        "λ = 0 is no penalty (training may still prefer one fit, §1.3). A constant model is the "
        "limit λ → ∞.")

# %%
verdict("S2-21", "under conditions",
        "‖w‖ is the root mean square of wᵀx for every w if XᵀX/n = I, and not otherwise.")
verdict("S2-22", "answered",
        f"No: a million entries of 10⁻⁴ have norm "
        f"{million.norm():.1f}. The norm adds squares and does not count.")
verdict("S2-23", "false",
        f"10,000 entries of 0.5 have norm {many.norm():.0f}. The other way round it holds: "
        "|w_i| ≤ ‖w‖.")
verdict("S2-25", "under conditions",
        f"With N(0,1) starts most of the gap is noise of the start in {null_count} directions "
        "that "
        "training cannot see. From zero the penalty lowers the test error by a few per cent only.")
verdict("S3-01", "under conditions",
        "Variance falls, for any λ > 0. Whether the error falls depends on λ; some λ > 0 beats "
        "least "
        "squares in expectation.")

# %%
verdict("S3-02", "under conditions",
        "Training loss rises with λ at global minima; that test loss falls is not guaranteed.")
verdict("S3-03", "false", "Early stopping adds none, and lowers the test loss.")
verdict("S3-04", "undecidable", "No survey is named, and none can be run here.")
verdict("S3-06", "false", "‖0‖ = 0; all other vectors have a positive norm.")
verdict("S3-07", "false",
        "It is a non-negative number; which one depends on the norm that is meant.")

# %%
verdict("S3-08", "convention", "m counts training examples. More data then mean less shrinkage.")
verdict("S3-10", "under conditions",
        "Under λ/(2m) it depends on m: for m → ∞ the shrinkage vanishes for every λ.")
verdict("S3-12", "under conditions",
        "Degrees of freedom of a linear model fall. No layer and no parameter goes.")
claims.verdicts()

# %% [markdown]
# ## Where next, and sources
#
# [Chapter 2](02_from_penalty_to_weight_decay.ipynb) lets gradient descent run: what the factor $1-\eta\lambda$ does at
# every step, and when training blows up. The sources are cited where they are used. One more is worth your time:
# [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html),
# on null directions and noise in a linear network.
