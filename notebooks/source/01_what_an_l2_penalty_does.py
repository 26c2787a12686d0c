# %% [markdown]
# # 1 What an L2 penalty does
#
# The *L2 penalty* adds $\frac\lambda2\sum_i w_i^2$ to the loss; with SGD, λ is PyTorch's `weight_decay`. Which weights does
# it shrink, by how much, and when does that help? For linear models we prove the answer: split the least-squares weights into
# components, one along each direction of the inputs; **the penalty takes away the largest share of the components along directions
# in which the training inputs hardly vary**.
#
# **By the end you will be able to**
#
# - say which directions of the weights a given λ shrinks, and when that helps;
# - recognise a cure that is an artefact of where training starts;
# - choose λ without touching the test data, and translate early stopping into a λ.
#
# *Reading takes two hours, exercises another; the code fifteen seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds
from l2lib.datasets import load, make_regression
from l2lib.penalty import filter_factors, ridge
from l2lib.splits import split

# %% [markdown]
# ## 1.1 A puzzle: does the penalty cure this model?
#
# A model with more weights than examples can *overfit*: it fits training examples much better than new ones. Does the
# penalty cure that? The textbook [*Dive into Deep Learning*](https://arxiv.org/abs/2106.11342) shows the cure on a
# toy problem with {{below: X_toy.shape[1]}} inputs, but only {{below: len(X_toy)}} examples. The targets are $y = 0.05 + 0.01\sum_i x_i + \varepsilon$, with inputs
# from $N(0, 1)$ and noise ε from $N(0, 0.01^2)$, all independent.
#
# Let $L(w, b)$ be the mean loss (here half the squared error) over $n$ training examples, with weights $w$ and an intercept $b$. Unless a chapter says
# otherwise, we minimise
#
# $$J(w,b)=L(w,b)+\frac{\lambda}{2}\lVert w\rVert^2,\qquad\lVert w\rVert^2=\sum_i w_i^2,\qquad\lambda\ge0.$$
#
# The intercept is not penalised ([chapter 6](06_bias_exclusion.ipynb) says why). The penalty has the gradient
# $\lambda w$. So a step of gradient descent with learning rate η is
#
# $$w\leftarrow w-\eta\,(\nabla L(w)+\lambda w)=(1-\eta\lambda)\,w-\eta\nabla L(w).$$
#
# Apart from following the loss, each step multiplies the weights by $1-\eta\lambda$. Like the textbook, we train by SGD, on
# {{below: train.__defaults__[2]}} examples at a time, from $N(0, 1)$ weights.
#
# <details>
# <summary>What differs from the textbook's code</summary>
#
# We follow the concise PyTorch version of its 2020 edition. Its loss is the full mean squared error, ours is half of it. So
# half its λ and twice its learning rate give the same run. Our intercept starts at zero, theirs is drawn. The textbook's
# current edition starts from $N(0, 0.01^2)$. With our training, the penalty still halves the test error of that start, from
# {{below: small[:, 0].mean():.3f}} to {{below: small[:, 1].mean():.3f}}, for the reason that §1.2 finds.
#
# </details>

# %%
def train(X, y, w, weight_decay, rng, b=0.0, lr=0.006, batch=5, epochs=100):
    # w may have one column for each run, and weight_decay one λ.
    for _ in range(epochs):
        for rows in rng.permutation(len(X)).reshape(-1, batch):
            error = X[rows] @ w + b - y[rows]
            w = w - lr * (X[rows].T @ error / batch + weight_decay * w)
            b = b - lr * error.mean(0)
    return w, b


def test_error(w, b):
    # The expected squared error, not halved, on new inputs from N(0, 1); the last term is noise.
    return np.sum((w - 0.01) ** 2) + (b - 0.05) ** 2 + 0.01**2

# %% [markdown]
# On each of {{below: len(problems)}} data sets we make four runs: from the textbook's start and from zero, each with
# $\lambda = 0$ and $\lambda = 1.5$. A fifth model always answers zero.

# %%
names = ("N(0,1) start, λ = 0", "N(0,1) start, λ = 1.5", "zero start, λ = 0",
         "zero start, λ = 1.5", "always answer zero")
results, problems = {name: [] for name in names}, []
for seed in seeds(60):
    X_toy, y_toy = make_regression(20, seed=seed)
    start = np.random.default_rng([seed, 1]).standard_normal(200)
    starts = np.stack([start, start, 0 * start, 0 * start], axis=1)  # a column for each run
    w, b = train(X_toy, y_toy[:, None], starts, np.array([0, 1.5, 0, 1.5]),
                 np.random.default_rng([seed, 2]))
    fits = list(zip(w.T, b, strict=True))
    for name, fit in zip(names[:4], fits, strict=True):
        results[name].append(test_error(*fit))
    results["always answer zero"].append(test_error(0 * start, 0))
    problems.append((X_toy, y_toy, start, fits))
n01, decayed, from_zero, both, zero = (np.array(errors) for errors in results.values())

# %% tags=["hide-input"]
# A run from N(0, 0.01²): each step is linear in the start, so it ends at a mixture of two runs.
small = np.array([[test_error(0.01 * w + 0.99 * w_0, 0.01 * b + 0.99 * b_0)
                   for (w, b), (w_0, b_0) in zip(fits[:2], fits[2:], strict=True)]
                  for *_, fits in problems])

# %% tags=["hide-input"]
def draw_errors(ax):
    colours = [figures.BLUE, figures.ORANGE, figures.BLUE, figures.ORANGE, figures.GREY]
    for row, (name, errors) in enumerate(results.items()):
        ax.plot(errors, row + (row < 4) * np.linspace(-0.26, 0.26, 60), "o",
                ms=3 if row < 4 else 6, color=colours[row], label=name)
        digits = 0 if np.mean(errors) > 1 else 3
        ax.text(1e4, row, f"{np.mean(errors):.{digits}f}", color=colours[row], va="center",
                ha="right")
    ax.axvline(zero.mean(), color=figures.GREY, lw=1, ls=":")
    ax.text(1e4, -0.75, "mean", va="center", ha="right")
    ax.set(xscale="log", ylim=(4.5, -1), xlim=(0.01, 1.2e4))
    ax.set_ylabel("start, and penalty").set_visible(False)  # the rows say it
    ax.set_yticks(range(5), [name.replace("start, ", "start,\n") for name in results])
    ax.set_xticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    ax.set_xlabel("test error (expected squared error)")
    ax.minorticks_off()

# %% tags=["hide-input"]
def draw_changes(ax):
    """What λ = 1.5 changes from zero, in each data set, smallest first; and the mean."""
    change = np.sort(100 * (both - from_zero) / from_zero.mean())
    ax.plot(change, np.arange(60), "o", ms=3, color=figures.ORANGE, label="_changes")
    middle = claims.interval(change)
    ax.plot([middle.low, middle.high], [-7, -7], lw=3, color="black", label="_interval",
            solid_capstyle="butt")
    ax.plot(middle.mean, -7, "D", ms=6, color="black", label="_mean")
    ax.axvline(0, color=figures.GREY, lw=1)
    ax.set(xlabel="change by λ = 1.5 (% of the mean error at λ = 0)", ylim=(-14, 62))
    ax.set_ylabel("60 data sets,\nsorted")
    ax.set_yticks([])

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.4), height_ratios=[1.9, 1])
draw_errors(axes[0]), draw_changes(axes[1])
assert len(from_zero) == 60, "an axis label says 60 data sets"

# %% tags=["hide-input"]
dots, changes = map(figures.drawn, axes)
dots = {name: mark.x for name, mark in dots.items()}
means = [errors.mean() for errors in dots.values()]
factor, change = round(means[0] / means[1], -2), changes["_mean"].x[0]
axes[0].set_title(f"λ = 1.5 divides the error by about {factor:.0f} from an\n"
                  "N(0,1) start …", x=-0.35)
axes[1].set_title(f"… and lowers it by {-change:.1f} % on average from a zero start", x=-0.35)
figures.show(fig, f"Dots for {len(dots['always answer zero'])} data sets and five models, test "
             "error on a logarithmic axis. "
             f"Starting from N(0,1) the mean is {means[0]:.3g} without penalty and {means[1]:.3g} "
             f"with λ = 1.5. Starting from zero it is {means[2]:.3g} without penalty and "
             f"{means[3]:.3g} with λ = 1.5. Always answering zero gives {means[4]:.3g}. Below, the "
             f"change from zero in each data set, {change:.1f} % on average.", number="1.1",
             caption="Dots are 60 data sets. In all pictures that compare them, blue is λ = 0 and "
             "orange λ > 0. The dotted line is the error of always answering zero. Below, black "
             "marks the mean and its 95 % interval.")

# %% [markdown]
# In the first two rows of Figure 1.1 the penalty lowers the mean test error from {{n01.mean():.0f}}
# to {{decayed.mean():.2f}}. But the third row, from zero and without penalty, is
# about {{decayed.mean() / from_zero.mean():.0f}} times better still. Even always answering zero beats the second row. **From zero
# there is little to cure. What, then, did the penalty repair?**

# %% tags=["hide-input"]
from l2lib.penalty import l2_penalty

# %% tags=["hide-input"]
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
off_torch = [model.weight.detach().numpy()[0] - three[0], model.bias.detach().numpy() - three[1]]

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
example = torch.tensor([3.0, -4.0], dtype=torch.float64)
half, whole = (gradient_of(lambda w, half=half: l2_penalty([w], 0.1, half=half), example.tolist())
               for half in (True, False))
claim("01-train", "three steps of `train` are those of torch.optim.SGD, weights and intercept",
      measured=np.concatenate(off_torch), equals=0, within=1e-12)
claim("01-gradient", "the gradient of (λ/2)‖w‖² is λw",
      measured=(half - 0.1 * example).abs(), below=1e-12)
claim("S0-03", "without the ½ the gradient is 2λw",
      measured=(whole - 0.2 * example).abs(), below=1e-12)
claim("S0-09", "adding 1,000,000 to the loss changes no iterate",
      measured=steps_with(0.0) - steps_with(1e6), equals=0, within=1e-15)

# %% [markdown]
# ## 1.2 Null directions: what the data cannot see
#
# What does the penalty do to the weights that training started from? Take two weights, no intercept and a single example. We train from
# three starts without penalty, and then go on with $\lambda = 1$:

# %%
x, target = np.array([1.0, 2.0]), 2.5


def descend(w, weight_decay, steps, lr=0.1):
    path = [w]
    for _ in range(steps):
        error = x @ path[-1] - target
        path.append(path[-1] - lr * (error * x + weight_decay * path[-1]))
    return np.array(path)


free = [descend(np.array(w), 0, steps=60) for w in ((-2.0, 0.7), (0.3, 2.9), (3.1, 1.6))]
decaying = [descend(path[-1], weight_decay=1, steps=600) for path in free]

# %% tags=["hide-input"]
def draw_runs(ax):
    line = np.array([-2.6, 2.9])
    ax.plot(line, (target - line) / 2, color=figures.GREY, lw=1, label="_perfect fits")
    for path, slide in zip(free, decaying, strict=True):
        ax.plot(*path.T, color=figures.BLUE, label="_training")
        ax.plot(*path[0], "o", color=figures.BLUE)
        ax.plot(*slide.T, color=figures.ORANGE, lw=1.8, label="_decay")
        for way, k, colour in ((path, 2, figures.BLUE), (slide, 12, figures.ORANGE)):
            ax.annotate("", way[k], way[k - 1], arrowprops={
                "arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})
        ax.plot(*path[-1], "s", ms=6, color=figures.BLUE, label="_interpolators")
    ax.plot(*nearest, "o", ms=6, mfc="white", color=figures.GREY, label="_nearest", zorder=6)
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
    note(ax, "λ = 1 slides on to its\nminimum, the star", decaying[0][-1], (-2.6, -0.75),
         figures.ORANGE, gap=11)
    note(ax, "the perfect fit\nnearest to zero", nearest, (1.0, 2.2), figures.GREY)
    ax.text(-2.5, 2.62, "all points of this\nline fit perfectly", color=figures.GREY, va="bottom")
    ax.text(-0.28, -0.06, "0", va="center")

# %% tags=["hide-input"]
nearest = target * x / (x @ x)
fig, ax = figures.subplots(figsize=(5.4, 4.4))
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
             f"smallest norm, ({ideal[0]:.1f}, {ideal[1]:.1f}).", number="1.2",
             caption="Blue: gradient descent with λ = 0 from three starts (dots) to its ends "
             "(squares). Orange: how each run goes on with λ = 1.")

# %% [markdown]
# Figure 1.2 shows three facts about linear models.
#
# 1. **The loss moves the weights only in directions that the data see.** Each example adds a multiple of its own
#    $x$ to the gradient. So nothing moves in a *null direction*, one at a right angle to all training inputs. Moving along it would change
#    no training answer.
# 2. **Without penalty, gradient descent ends at the perfect fit nearest to its start.** Perfect fits (*interpolators*) differ only
#    by moves in null directions, and by fact 1 training makes no such move. So it goes to them at a right angle, which is the shortest
#    way ([Gunasekar et al., 2018](https://arxiv.org/abs/1802.08246)).
# 3. **A penalty erases the null part of $w$.** The loss does not move this part, so each step multiplies it by
#    $1 - \eta\lambda$.
#
# <details>
# <summary>Under which conditions</summary>
#
# With an intercept, append a 1 to every input, so that it is one more weight. Fact 2 needs the squared loss, a perfect fit, and a descent that converges. *Nearest*
# means nearest in $(w, b)$. Fact 3 is for null directions of the weights alone, without the intercept, and $0 < \eta\lambda < 2$.
#
# </details>
#
# In the puzzle 20 examples span 20 of 200 directions, so {{below: null_count}} are null. Along each, a start from
# $N(0, 1)$ adds about 1 to the expected test error. Without penalty this error stays. But with $\lambda = 1.5$ each step
# multiplies the null part by {{below: shrink:.3f}}, and its squared error by {{below: shrink**2:.3f}}. After {{below: steps}} steps only {{below: null_count * shrink ** (2 * steps):.2f}} of the
# {{below: null_count}} is left.
#
# Three parts of each error:

# %%
null_count, steps, shrink = 200 - 20, 100 * 20 // 5, 1 - 0.006 * 1.5
parts = np.empty((60, 4, 3))  # data set, run, part of the error
for k, (X_toy, y_toy, start, fits) in enumerate(problems):
    null = np.eye(200) - np.linalg.pinv(X_toy) @ X_toy  # projects on the null directions
    for run, (w, b) in enumerate(fits):
        missing = w - 0.01
        unseen = null @ missing
        seen = missing - unseen
        parts[k, run] = unseen @ unseen, seen @ seen, (b - 0.05) ** 2

# %% tags=["hide-input"]
table = parts.mean(0)
mean_b = np.mean([[b for _, b in fits] for *_, fits in problems], axis=0)
puzzle_lam = 0.01**2 / (20 * 0.01**2)  # by (1.5)
imitation = np.mean([np.sum((np.linalg.pinv(X_toy) @ np.ones(20)) ** 2)  # ‖u‖²
                     for X_toy, *_ in problems])
assert 0.5 < imitation * table[0, 2] / table[0, 1] < 1.5, "the seen part is not the imitation's"

# %% tags=["hide-input"]
# At the exact minimum, with the true intercept given, and with a free one:
known = np.mean([[test_error(ridge(X_toy, y_toy - 0.05, lam, intercept=False)[0], 0.05)
                  for lam in (0, 1.5, puzzle_lam)] for X_toy, y_toy, *_ in problems], axis=0)
free_b = np.mean([[test_error(*ridge(X_toy, y_toy, lam)) for lam in (1e-6, 1.5)]
                  for X_toy, y_toy, *_ in problems], axis=0)
hardly = 1e-4
assert abs(1 - known[2] / known[0]) < hardly, "§1.6: this λ gains or loses more than 0.01 %"

# %% tags=["hide-input"]
small_gain = claims.interval((from_zero - both) / from_zero.mean())
assert free_b[0] < free_b[1] < from_zero.mean(), "the gain is not there for λ → 0"

# %% tags=["hide-input"]
claim("S2-25", "Started from zero without a penalty, the model's error is {} times that of the "
      "N(0,1) start with λ = 1.5.", measured=dots["zero start, λ = 0"].mean() / decayed.mean(),
      below=0.3)
claim("S2-25", "From zero, λ = 1.5 lowers the test error by "
      f"{small_gain.mean:.1%} on the mean of {len(both)} data sets. Its 95 % interval "
      "begins at {:.1%}.", measured=small_gain.low, above=0)

# %% [markdown]
# |start, and λ (means of {{len(parts)}} data sets)|null directions|directions that the data see|intercept|
# |---|---|---|---|
# |$N(0,1)$, λ = 0|**{{table[0, 0]:.0f}}**|{{table[0, 1]:.2g}}|{{table[0, 2]:.3f}}|
# |$N(0,1)$, λ = 1.5|**{{table[1, 0]:.2f}}**|{{table[1, 1]:.2g}}|{{table[1, 2]:.3f}}|
# |zero, λ = 0|{{table[2, 0]:.4f}}|{{table[2, 1]:.5f}}|{{table[2, 2]:.4f}}|
# |zero, λ = 1.5|{{table[3, 0]:.4f}}|{{table[3, 1]:.5f}}|{{table[3, 2]:.4f}}|
#
# From the first row to the second nearly all of the gain is in null directions. **So the penalty repaired the start, not the fit: it erased noise that the experimenter had put there.**
# From zero the penalty lowers the error by only {{1 - both.mean() / from_zero.mean():.1%}}, and
# {{(table[2, 2] - table[3, 2]) / (from_zero.mean() - both.mean()):.0%}} of this gain is in the intercept.
#
# <details>
# <summary>What no run can learn, and why the intercept gains</summary>
#
# No run can learn the null part of the true weights. This is {{null_count * 0.01**2:.3f}} in each row of the first column. In the second row it comes on
# top of the {{null_count * shrink ** (2 * steps):.2f}} that is left of the start.
#
# The weights can imitate an intercept: some short vector $u$ has $x^\top u = -1$ for each training input $x$. So
# $(w + u, b + 1)$ gives the same training answers as $(w, b)$, and the loss cannot choose between them. The penalty charges
# $w$ and not $b$, so it shrinks the imitation $u$, and $b$ takes over: it grows to {{mean_b[3]:.3f}} on average, in place of {{mean_b[2]:.3f}}.
# The true $b$ is 0.05.
#
# Even a tiny λ brings this gain. Descent from zero without penalty ends at a mean test error of {{from_zero.mean():.5f}}. At the
# exact minimum it is {{free_b[0]:.5f}} for $\lambda\to0$, and {{free_b[1]:.5f}} at $\lambda = 1.5$.
#
# The gain exists only because $b$ is free. If the true $b$ is given, $\lambda = 1.5$ raises the error at the minimum
# by {{known[1] / known[0] - 1:.1%}}.
#
# In the first two rows most of the intercept's error is noise of the start along $(u, 1)$. The same noise also sits in the weights, along $u$.
# There its square is only $\lVert u\rVert^2\approx{{imitation:.2f}}$ times as large. In the first row this
# is most of the {{table[0, 1]:.3f}} in directions that the data see.
#
# </details>

# %% tags=["hide-input"]
assert abs(parts[:, 0, 0].mean() - null_count) < 15, "a null direction's error is not about 1"
assert np.linalg.matrix_rank(X_toy - X_toy.mean(0)) == 200 - null_count - 1

# %% tags=["hide-input"]
moved, begun = [], np.array([path[0] for path in free])
corners = np.stack([plane["_interpolators"].x[:, 0], plane["_interpolators"].y[:, 0]], axis=1)
for X_toy, _, start, fits in problems[:10]:
    kernel = np.linalg.svd(X_toy)[2][20:]  # an orthonormal basis of the null directions
    for kept, (w, _) in zip((1, shrink**steps, 0, 0), fits, strict=True):
        moved.append(kernel @ (w - kept * start))

# %% tags=["hide-input"]
claim("01-nearest", "without penalty each run ends at the perfect fit nearest to its start",
      measured=corners - (begun + ((target - begun @ x) / (x @ x))[:, None] * x),
      equals=0, within=1e-9)
claim("01-slide", "with a penalty all three runs end at one point",
      measured=[path[-1] - target * x / (x @ x + 1) for path in decaying], equals=0, within=1e-9)
claim("01-null-weights", "null directions: the start as it was, or (1 − ηλ)ᵗ times, or 0",
      measured=moved, equals=0, within=1e-9)
claim("01-parts", "null part, seen part, intercept and noise add up to the test error drawn",
      measured=[parts[:, run].sum(1) + 0.01**2 - dots[name] for run, name in enumerate(names[:4])],
      equals=0, within=1e-9)
claim("01-changes", "the drawn changes and their mean are those of the two runs",
      measured=[*(changes["_changes"].x / 100 - np.sort(both - from_zero) / from_zero.mean()),
                changes["_mean"].x[0] / 100 + small_gain.mean,
                changes["_interval"].x.min() / 100 + small_gain.high],
      equals=0, within=1e-9)
claim("01-zero-dots", "answering zero costs the targets' mean square, 200·0.01² + 0.05² + 0.01²",
      measured=dots["always answer zero"] - (200 * 0.01**2 + 0.05**2 + 0.01**2),
      equals=0, within=1e-12)
claim("01-starts", "each data set has a start of its own",
      measured=len({start[0] for _, _, start, _ in problems}), equals=60, within=1e-9)

# %% [markdown]
# ## 1.3 Ridge regression: the minimum in closed form
#
# In null directions nothing resists the penalty. In all others the loss resists it. Where do loss and penalty balance? For a linear model we can compute this,
# with half the mean squared error as the loss:
#
# $$J(w,b)=\frac{1}{2n}\lVert y-Xw-b\mathbf 1\rVert^2+\frac{\lambda}{2}\lVert w\rVert^2.$$
#
# The rows of $X$ are the inputs, $y$ holds the targets, and $\mathbf 1$ only ones.
#
# 1. Set the derivative with respect to $b$ to zero: $b = \bar y - \bar x^\top w$, where bars are means. So from here on
#    $y$ and the columns of $X$ are *centred*, their means subtracted, and $b$ is gone. A null direction is now one at a
#    right angle to all centred inputs.
# 2. Set the gradient with respect to $w$ to zero: $-\frac1n X^\top(y - Xw) + \lambda w = 0$. Call the solution $w_\lambda$:
#
# $$(X^\top X+n\lambda I)\,w_\lambda=X^\top y.\tag{1.1}$$
#
# For $\lambda > 0$ the matrix is positive definite, so the minimum is unique. This is *ridge regression*
# ([Hoerl and Kennard, 1970](https://doi.org/10.1080/00401706.1970.10488634)).
#
# We fit it to {{below: n}} patients: {{below: X.shape[1]}} measurements each, and the progress of their diabetes
# a year later ([Efron et al., 2004](https://doi.org/10.1214/009053604000000067)). The larger
# an input's numbers, the smaller the weight that it needs, and the less penalty it pays. So we first *standardise* the inputs to mean 0 and variance 1.
#
# Predict: do all ten weights shrink?

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
shown = {"s2": ("LDL", "--", (0.017, 10)), "s3": ("HDL", "-", (0.35, -13)),
         "s1": ("total cholesterol", "-.", (0.0075, -26))}
crossings = [(i, k) for i in range(10)
             for k in np.flatnonzero(weights[:-1, i] * weights[1:, i] < 0)]  # between k and k + 1


def zero_between(i, k):
    """Where the line through two neighbours on the grid is zero."""
    here, there = weights[k : k + 2, i]
    return path_lams[k] + (path_lams[k + 1] - path_lams[k]) * here / (here - there)

# %% tags=["hide-input"]
def draw_paths(ax):
    for i, feature in enumerate(data.feature_names):
        name, style, place = shown.get(feature, ("", "-", (1, 0)))
        colour = {"": figures.GREY, "HDL": figures.ORANGE}.get(name, "black")
        ax.plot(path_lams[1:], weights[1:, i], style, color=colour, alpha=1 if name else 0.6,
                lw={"": 0.8, "HDL": 2.8}.get(name, 1.5), label=f"_{feature}",
                zorder=3 if name else 2)
        ax.plot(at_0, weights[0, i], "D", ms=6 if name else 3, color=figures.BLUE,
                label=f"_{feature} at 0")
        ax.text(*place, name, color=colour, va="center")
    ax.plot(0.1, w_ridge[6], "s", ms=6, color=figures.ORANGE, label="_HDL at 0.1")
    ax.axhline(0, color="black", lw=0.8)
    ax.text(18, 41, "grey: the other seven weights", color=figures.GREY, ha="right", va="top")
    for name, height in (("age", -2.8), ("sex", -13.5), ("triglycerides (log)", 38)):
        ax.text(3.2e-4, height, name, color=figures.GREY, va="center", fontsize=9)
    for i, k in crossings:
        name = data.feature_names[i]
        colour = {"s3": figures.ORANGE}.get(name, "black" if name in shown else figures.GREY)
        ax.plot(zero_between(i, k), 0, "o", ms=7 if name in shown else 5, mfc="white",
                mec=colour, zorder=5, label=f"_zero of {name}")

# %% tags=["hide-input"]
def set_path_axes(ax):
    ax.set(xscale="log", xlim=(4e-5, 20), xlabel="penalty λ", ylim=(-42, 42),
           ylabel="weight of the standardised input")
    ax.set_xticks([at_0, 1e-3, 1e-2, 0.1, 1, 10], ["0", "0.001", "0.01", "0.1", "1", "10"])
    ax.text(10**-3.77, -42, "//", ha="center", va="center", weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    for where, height, shift in ((at_0, w_hat[6], (13, 0)), (0.1, w_ridge[6], (0, -9))):
        ax.annotate(f"{height:+.0f}".replace("-", "−"), (where, height), xytext=shift,
                    textcoords="offset points", weight="bold", ha="center", va="center")
    ax.minorticks_off()


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 3.8))
draw_paths(ax), set_path_axes(ax)
curves = figures.drawn(ax)
ldl, hdl, total, age, sex = (curves["_zero of " + name].x.ravel()
                             for name in ("s2", "s3", "s1", "age", "sex"))
free_ldl, free_total = (curves[f"_{name} at 0"].y[0] for name in ("s2", "s1"))
turning = sum(name.startswith("_zero") for name in curves)
assert len(ldl) == 2, "LDL does not change its sign twice, as the caption says"
ends = curves["_s3 at 0"].y[0], curves["_HDL at 0.1"].y[0]
ax.set_title(f"HDL’s weight goes from {ends[0]:+.0f} at λ = 0 to {ends[1]:+.0f} at 0.1;\n"
             f"{turning} of ten weights change their sign (white dots)".replace("-", "−"), x=-0.1)
figures.show(fig, "Ten weights of ridge regression on the diabetes data against λ, HDL orange, "
             "LDL and total cholesterol black, a white dot at each change of sign. LDL falls from "
             f"{free_ldl:.0f} through zero near {ldl[0]:.2g} and comes back near {ldl[-1]:.2g}. "
             f"HDL goes from {ends[0]:.0f} through zero near {hdl[0]:.1g} to {ends[1]:.0f} at 0.1. "
             f"Total cholesterol rises from {free_total:.0f} through zero near {total[0]:.1g}. "
             f"Two grey weights change their sign, too: age near {age[0]:.1g}, sex near "
             f"{sex[0]:.2g}. All weights go to zero at large λ.", number="1.3",
             caption="Each curve is one weight of the fit, each blue diamond the same "
             "weight at λ = 0. A white dot marks a change of sign (LDL has two).")

# %% [markdown]
# No. In Figure 1.3 the weight of HDL cholesterol goes from
# {{w_hat[6]:.1f}} at $\lambda = 0$ to {{w_ridge[6]:.1f}} at $\lambda = 0.1$: it changes sign, and its size nearly doubles.
#
# Why? Four inputs are nearly redundant: LDL, HDL and log triglycerides predict total cholesterol with
# $R^2 = {{below: explained:.2f}}$. So large weights on the four can nearly cancel in the answer. The data hardly say
# how large these weights are, and least squares may choose large ones just to fit noise.
#
# **Single weights can grow with λ, but the norm of the whole vector cannot (§1.7).**

# %% tags=["hide-input"]
from sklearn.linear_model import Ridge

# %% tags=["hide-input"]
point = torch.tensor(w_ridge, requires_grad=True)
error = torch.tensor(y) - torch.tensor(X) @ point - y.mean()
(gradient,) = torch.autograd.grad(error.square().mean() / 2 + l2_penalty([point], 0.1), point)
theirs = Ridge(alpha=n * 0.1).fit(X, y)
others = X[:, [5, 6, 8]]  # LDL, HDL, triglycerides
explained = 1 - np.mean((X[:, 4] - others @ ridge(others, X[:, 4], 0)[0]) ** 2)

# %% tags=["hide-input"]
some = X[:50], y[:50]  # 50 patients: their inputs are not centred
off_zero = [ridge(X, y, zero_between(i, k))[0][i] / np.ptp(weights[k : k + 2, i])
            for i, k in crossings]  # a line and a smooth curve over a step of 6 % in λ
assert np.max(np.abs(off_zero)) < 0.05, "a white dot is not where the weight is zero"

# %% tags=["hide-input"]
claim("01-standardised", "each input has mean 0 and mean square 1",
      measured=[X.mean(0), (X**2).mean(0) - 1], equals=0, within=1e-12)
claim("01-minimum", "the gradient of the objective is zero at the solution of (1.1)",
      measured=gradient.abs(), below=1e-10)
claim("01-sklearn", "scikit-learn's Ridge with α = nλ finds the same weights and intercept",
      measured=np.append(theirs.coef_ - w_ridge, theirs.intercept_ - b_ridge), equals=0,
      within=1e-9)
claim("01-ridge", "… and so does `ridge`, which the rest of the chapter uses",
      measured=np.subtract(np.append(*ridge(*some, 0.1)), np.append(*ridge_by_hand(*some, 0.1))),
      equals=0, within=1e-9)
claim("01-sign", "weights change sign where the picture says: between that λ and the next",
      measured=[ridge(X, y, path_lams[k : k + 2])[0][:, i].prod() > 0 for i, k in crossings],
      equals=0, within=1e-9)
claim("01-turned", "the signs of HDL and total cholesterol end where the picture says",
      measured=np.sign(ridge(X, y, 1e6)[0] * w_hat)[[4, 6]] + 1, equals=0, within=1e-9)

# %% [markdown]
# ## 1.4 One direction at a time
#
# Along which directions does ridge shrink, and by how much? The cloud of patients in Figure 1.4 is long in one direction
# and narrow in another. The *singular value decomposition* $X = USV^\top$ finds such directions: $v_1$ is the one in
# which the centred data vary most, $v_2$ the one at a right angle to $v_1$ in which they vary most, and so on. The columns $u_i$ of $U$
# and $v_i$ of $V$ are orthonormal, and the diagonal matrix $S$ has the entries $s_1\ge s_2\ge\dots > 0$. The variance
# of the data along $v_i$ is $s_i^2/n$.
#
# Write $\hat w$ for the *least-squares* weights, the fit without penalty (of smallest norm, if there are many).
# By (1.1) with λ = 0, $X^\top y = X^\top X\hat w$. Put $X^\top X = VS^2V^\top$ into (1.1), and multiply by $v_i^\top$. Then each component of $w_\lambda$ is a share of that of $\hat w$:
#
# $$v_i^\top w_\lambda=\frac{s_i^2}{s_i^2+n\lambda}\;v_i^\top\hat w.\tag{1.2}$$
#
# So the penalty is a *filter*. **It keeps a share of each least-squares component: near 1 where the data vary much,
# near 0 where they vary little**, and exactly a half at $s_i^2/n = \lambda$. Neither $w_\lambda$ nor $\hat w$ has a part in a
# null direction (exercise 3).
#
# <details>
# <summary>The same near a minimum of any smooth loss</summary>
#
# The variance $s_i^2/n$ is also the *curvature* of $L$ along $v_i$, its second derivative. So the share is curvature/(curvature + λ).
# For other losses this holds nearly: near a minimum $\hat w$ the gradient of a smooth loss is about $H\,(w-\hat w)$, where the *Hessian* $H$ is the matrix of its second
# derivatives. Set it plus $\lambda w$ to zero, and multiply by an eigenvector $p_i$ of $H$ with eigenvalue $\rho_i > 0$, the curvature along it:
#
# $$p_i^\top w_\lambda\approx\frac{\rho_i}{\rho_i+\lambda}\;p_i^\top\hat w.$$
#
# This is exact to first order in λ if all $\rho_i > 0$ (a folded cell below checks it for logistic regression). Along
# directions with $\rho_i = 0$, as large networks have, even a tiny λ can move the minimum far.
#
# </details>

# %%
U, s, Vt = np.linalg.svd(X, full_matrices=False)
factors = s**2 / (s**2 + n * 0.1)  # `filter_factors(s, n, 0.1)` of l2lib

# %% tags=["hide-input"]
def draw_variances(ax):
    places = np.arange(1, 11)
    ax.plot(places, s**2 / n, "o", ms=8, color="black", label="_variances")
    below = factors < 0.5
    ax.plot(places[below], (s**2 / n)[below], "o", ms=5, color="white")
    for place, height, factor in zip(places, s**2 / n, factors, strict=True):
        above = factor > 0.5
        ax.text(place, height * (1.3 if above else 0.65), f"{factor:.0%}",
                ha="center", va="bottom" if above else "top", fontsize=9)
    ax.axhline(0.1, color=figures.ORANGE, lw=1.6, label="_0.1")
    ax.text(0.4, 0.09, "λ = 0.1", va="top", color=figures.ORANGE)
    ax.set(yscale="log", ylim=(0.003, 14), xlim=(0.3, 10.7), xticks=range(1, 11))
    ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    ax.minorticks_off()
    ax.set(xlabel="singular direction, strongest first", ylabel="variance of the data, s²/n")

# %% tags=["hide-input"]
cholesterol = X[:, [4, 5]]  # total and LDL


def draw_cloud(ax):
    ax.plot(*cholesterol[::3].T, "o", ms=3, mec="none", color="0.75",
            label="_a third of all patients")
    for k, (v, strength) in enumerate(zip(V_two, s_two**2 / n, strict=True)):
        ax.annotate("", 2 * np.sqrt(strength) * v, (0, 0), arrowprops={
            "arrowstyle": "-|>", "lw": 2.5, "shrinkA": 0, "shrinkB": 0, "color": "black"})
        ax.text(*((1.45, 1.85), (-0.5, 0.5))[k], f"v{'₁₂'[k]}", weight="bold", ha="right")
        ax.text(2.9, -1.9 - 0.6 * k, f"variance along v{'₁₂'[k]}: {strength:.2g}", size=9,
                ha="right")
    ax.set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    ax.set(xlabel="total cholesterol", ylabel="LDL")
    ax.grid(False)

# %% tags=["hide-input"]
def draw_kept(ax):
    """Least squares and ridge in the plane of two weights, along v₁ and v₂."""
    for lam, colour, words, place in ((0, figures.BLUE, "λ = 0", (10, -8)),
                                      (0.5, figures.ORANGE, "λ = 0.5", (13, 6))):
        w = ridge(cholesterol, y, lam)[0]
        corner = (V_two[0] @ w) * V_two[0]
        ax.plot(*np.transpose([0 * w, corner, w]), ":", lw=1.8, color=colour, label=f"_{lam}")
        ax.annotate("", w, (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2.5, "shrinkA": 0,
                                               "shrinkB": 0, "color": colour})
        ax.text(*place, words, color=colour, va="center")
        if not lam:
            ax.text(*(0.55 * corner + [-1, 1]), "along v₁", size=9, ha="right", rotation=45,
                    rotation_mode="anchor")
            ax.text(*(0.4 * corner + 0.6 * w + [0.8, 0.8]), "along v₂", size=9,
                    rotation=-45, ha="center", va="center", rotation_mode="anchor")
        else:
            note(ax, "", w, (13, 6), colour, gap=3)
    ax.set(xlabel="weight of total cholesterol", ylabel="weight of LDL")


# %% tags=["hide-input"]
def label_kept(ax):
    for k in range(2):
        kept = s_two[k] ** 2 / (s_two[k] ** 2 + n * 0.5)
        ax.plot(k, kept, alpha=0, label=f"_kept {k + 1}")
        ax.text(26.5, 15 - 3.2 * k, f"kept along v{'₁₂'[k]}: {kept:.0%}", va="center", ha="right",
                color=figures.ORANGE)
    ax.set(aspect="equal", xlim=(-4, 27), ylim=(-14, 17), xticks=[0, 10, 20], yticks=[-10, 0, 10])

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 2, figsize=(5.4, 6), height_ratios=[1.1, 1])
[ax.remove() for ax in axes[1]]
below = fig.add_subplot(axes[1, 0].get_gridspec()[1, :])
_, s_two, V_two = np.linalg.svd(cholesterol, full_matrices=False)
V_two *= np.sign(V_two[:, 1:])  # both point upwards
draw_cloud(axes[0, 0])
draw_kept(axes[0, 1]), label_kept(axes[0, 1])
axes[0, 0].set_title("Where the data\nvary little …", x=-0.2)
axes[0, 1].set_title("… the penalty takes\nthe largest share", x=-0.2)
below.set_title("Ten inputs: a direction keeps more\nthan half if its dot is above λ", x=-0.1)
draw_variances(below)

# %% tags=["hide-input"]
cloud, bars = map(figures.drawn, (axes[0, 1], below))
variances = bars["_variances"].y
keeps = variances / (variances + bars["_0.1"].y[0])
figures.show(fig, "Above, left, a narrow rising cloud of every third patient, LDL and total "
             "cholesterol, with arrows of two standard deviations along it and across it. Right, "
             "the plane of their two weights: least squares is an arrow to "
             f"({cloud['_0'].x[-1]:.0f}, {cloud['_0'].y[-1]:.0f}), ridge with λ = 0.5 one to "
             f"({cloud['_0.5'].x[-1]:.0f}, {cloud['_0.5'].y[-1]:.0f}), which keeps "
             f"{cloud['_kept 1'].y[0]:.0%} along the cloud and {cloud['_kept 2'].y[0]:.0%} across "
             "it. Below, dots for the variance of the diabetes data along ten directions, falling "
             f"from {variances[0]:.1f} to {variances[-1]:.4f}, and a line at λ = 0.1, where the "
             f"shares kept fall from {keeps[0]:.2f} to {keeps[-1]:.2f}; the last two dots are "
             "below the line.", number="1.4",
             caption="Left: every third patient; the arrows are two standard deviations long. "
             "Right, λ = 0.5: the fitted weights as arrows; dotted, their parts along v₁ and v₂. "
             "Below, λ = 0.1: numbers are shares kept; hollow if less than half.")

# %% [markdown]
# In the lower panel of Figure 1.4 ridge keeps least along the last direction, $v_{10}$: {{factors[9]:.0%}}.
# This is the combination that nearly cancels in §1.3.
# Least squares gives HDL the weight {{w_hat[6]:.0f}}, but without the part along $v_{10}$
# it would be {{below: w_hat[6] - tenth[6]:.0f}}. Ridge takes nearly all of this part away, so the weight of HDL falls below zero.
#
# <details>
# <summary>Degrees of freedom: how many directions are in use</summary>
#
# The sum of all shares is called the *degrees of freedom*. It is the trace of $A_\lambda = X(X^\top X + n\lambda I)^{-1}X^\top$.
# This matrix turns targets into fitted values, $\hat y = A_\lambda y$:
#
# $$\mathrm{df}(\lambda)=\operatorname{tr}A_\lambda=\sum_i\frac{s_i^2}{s_i^2+n\lambda}.\tag{1.3}$$
#
# </details>

# %% tags=["hide-input"]
freedom_lams = np.array([0.01, 0.1, 1])
freedom = filter_factors(s, n, freedom_lams).sum(-1)
claim("S3-12", "At λ = 1 the shares of ten directions add up to {} degrees of freedom.",
      measured=freedom[2], between=(3, 5))

# %% tags=["hide-input"]
eigenvalues = np.linalg.eigvalsh(X.T @ X / n)[::-1]
traces = [np.trace(X @ np.linalg.solve(X.T @ X + n * lam * np.eye(10), X.T))
          for lam in freedom_lams]
tenth = (Vt[9] @ w_hat) * Vt[9]  # the part of least squares along the tenth direction
along_two = np.linalg.svd(cholesterol)[2] @ np.transpose(ridge(cholesterol, y, [0, 0.5])[0])

# %% tags=["hide-input"]
def logistic(lam):
    """Penalised logistic regression without intercept, by Newton's method; and the Hessian."""
    w, sign = np.zeros(10), np.where(y > np.median(y), 1, -1)
    for _ in range(20):
        p = 1 / (1 + np.exp(sign * (X @ w)))  # of the other class
        H = X.T @ (X * (p * (1 - p))[:, None]) / n
        w = w - np.linalg.solve(H + lam * np.eye(10), lam * w - X.T @ (sign * p) / n)
    return w, H


(nearby, beyond), (free_fit, hessian) = (logistic(lam)[0] for lam in (1e-7, -1e-7)), logistic(0)
moved_by = (nearby - beyond) / 2e-7  # the derivative with respect to λ, at 0
h_values, h_vectors = np.linalg.eigh(hessian)

# %% tags=["hide-input"]
claim("01-filter", "(1.2) gives the ridge solution direction by direction",
      measured=factors * (Vt @ w_hat) - Vt @ w_ridge, equals=0, within=1e-9)
claim("01-cloud", "of two inputs' fit each direction keeps the share that the picture says",
      measured=[along_two[:, 1] / along_two[:, 0] - [cloud[f"_kept {k}"].y[0] for k in (1, 2)],
                *(ridge(cholesterol, y, [0, 0.5])[0].T
                  - [[cloud[name].x[-1] for name in ("_0", "_0.5")],
                     [cloud[name].y[-1] for name in ("_0", "_0.5")]])],
      equals=0, within=1e-9)
claim("01-bars", "the dots are the eigenvalues of X'X/n",
      measured=bars["_variances"].y - eigenvalues, equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-label", "the degrees of freedom are the trace of the hat matrix",
      measured=freedom - traces, equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-hessian", "logistic regression: by a small λ the weights move as ρ/(ρ + λ) says",
      measured=-h_values * (moved_by @ h_vectors) / (free_fit @ h_vectors), equals=1, within=1e-6)
claim("01-half-way", "a dot on the line λ = 0.1 would keep a half",
      measured=filter_factors(np.sqrt(n * bars["_0.1"].y), n, 0.1) - 0.5, equals=0, within=1e-9)

# %% [markdown]
# ## 1.5 λ is a price, not a bound
#
# Some books bound $\lVert w\rVert$ instead. Is that the same? For each λ there is a radius $R$, namely $\lVert w_\lambda\rVert$,
# such that $w_\lambda$ has the smallest loss of all $w$ with $\lVert w\rVert\le R$. Figure 1.5 shows this for total and LDL cholesterol. At
# the best point $-\nabla L(w) = \lambda w$: the loss pulls outwards as strongly as the penalty pulls in.
#
# <details>
# <summary>Proof, the converse, and the price</summary>
#
# If $\lVert w\rVert\le\lVert w_\lambda\rVert$, then
# $L(w) = J(w) - \frac\lambda2\lVert w\rVert^2 \ge J(w_\lambda) - \frac\lambda2\lVert w_\lambda\rVert^2 = L(w_\lambda)$.
# Conversely, let $0 < R < \lVert\hat w\rVert$. The best fit with $\lVert w\rVert\le R$ lies on the sphere, as inside it
# the gradient is nowhere zero. No step along the sphere lowers the loss, and none inwards, so $-\nabla L(w) = \lambda w$
# for some $\lambda > 0$: it is $w_\lambda$.
#
# The price: a small move $dw$ along the path changes the loss by $\nabla L^\top dw = -\lambda\,w^\top dw$, which is $-\lambda$ times the
# change of $\frac12R^2$.
#
# </details>

# %%
pair = X[:, [data.feature_names.index(name) for name in ("s1", "s2")]]


def half_mse(w):
    return np.mean((y - y.mean() - w @ pair.T) ** 2, axis=-1) / 2

# %% tags=["hide-input"]
axis = np.linspace(-33, 48, 163)
loss_map = half_mse(np.stack(np.meshgrid(axis, axis), -1))
trail = ridge(pair, y, np.append(0, np.logspace(-4, 2, 60)))[0]
walk = [np.zeros(2)]  # gradient descent from zero, without penalty
slope, curvature = pair.T @ (y - y.mean()) / n, pair.T @ pair / n
for _ in range(6000):
    walk.append(walk[-1] + 0.05 * (slope - curvature @ walk[-1]))

# %% tags=["hide-input"]
def pulls(ax, w, lam):
    """The two gradients at w, by one factor as long as the picture needs them."""
    by_loss = pair.T @ (y - y.mean() - pair @ w) / n
    for pull, words, name in ((by_loss, "−∇L", "_loss"), (-lam * w, "−λw", "_penalty")):
        arrow = 6.5 * pull / np.linalg.norm(lam * w)
        tip, across = w + arrow, np.array([-arrow[1], arrow[0]])
        ax.annotate("", tip, w, arrowprops={"arrowstyle": "-|>", "lw": 1.8, "shrinkA": 0,
                                            "shrinkB": 0})
        ax.plot(*tip, alpha=0, label=name)
        ax.text(*(tip + (0.45 * arrow if name == "_loss" else 0.35 * across)), words, ha="center",
                va="center")

# %% tags=["hide-input"]
ellipse, turns = {}, np.linspace(0, 2 * np.pi, 3600)
SHADES = ["0.78", "0.82", "0.86", "0.90", "0.94", "0.97"]  # the darker, the smaller the loss

# %% tags=["hide-input"]
def draw(lam):
    fig, ax = figures.subplots(figsize=(5.4, 4.9))
    w = ridge(pair, y, lam)[0]
    levels = half_mse(trail[0]) + np.array([0, 10, 40, 90, 160, 250, 360])
    ax.contourf(axis, axis, loss_map, levels=levels, colors=SHADES)
    thick = ax.contour(axis, axis, loss_map, levels=[half_mse(w)], colors="black", linewidths=2)
    ax.plot(*trail.T, lw=3.2, color=figures.ORANGE, label="_path")
    ax.plot(*trail[0], "o", color=figures.BLUE)
    ax.plot(*np.transpose(walk), ls=(0, (3, 3)), lw=1.4, color=figures.BLUE, label="_walk")
    circle = np.linalg.norm(w) * np.stack([np.cos(turns), np.sin(turns)])
    ax.fill(*circle, color=figures.ORANGE, alpha=0.15)
    ax.plot(*circle, lw=2, color=figures.ORANGE, label="_circle")
    ax.plot(*w, "o", color=figures.ORANGE, label="_best", ms=11, mec="white", mew=1.5, zorder=6)
    pulls(ax, w, lam)
    ellipse[lam] = figures.drawn(ax), thick.levels[0]
    return finish(fig, ax, lam)

# %% tags=["hide-input"]
def label_ellipse(ax, begin, best, lam):
    radius = np.hypot(*best)
    ax.plot(0, 0, "+", ms=10, color="black")
    note(ax, "least squares\n(λ = 0)", begin, (31, 2), figures.BLUE)
    note(ax, "solutions\nfor all λ > 0", (15.5, 0.3), (2, -23), figures.ORANGE, gap=2)
    note(ax, "gradient descent\nwith λ = 0 (§1.8)", (13.4, 2.3), (26, 11), figures.BLUE, gap=2)
    note(ax, f"λ = {lam:g}: best point of\nthe disc of radius {radius:.1f}", best, (-21, 17),
         figures.ORANGE, gap=8)
    ax.set(xlabel="weight of total cholesterol", ylabel="weight of LDL cholesterol")
    ax.set(aspect="equal", xlim=(-22, 48), ylim=(-32, 24))
    ax.grid(False)
    ax.set_title("The best point of the disc: a contour touches\n"
                 "the disc, and the two pulls cancel", x=-0.1)

# %% tags=["hide-input"]
def finish(fig, ax, lam):
    curves = figures.drawn(ax)
    begin = curves["_path"].x[0], curves["_path"].y[0]
    best = curves["_best"].x[0], curves["_best"].y[0]
    radius = np.hypot(*best)
    label_ellipse(ax, begin, best, lam)
    return fig, (
        "The loss over two weights, darker where it is smaller, stretched along a falling "
        "diagonal. A "
        f"path of solutions runs from ({begin[0]:.0f}, {begin[1]:.0f}) at λ = 0 to the origin. At "
        f"λ = {lam:g} the solution ({best[0]:.0f}, {best[1]:.0f}) lies on the edge of a disc of "
        f"radius {radius:.1f}, which touches a contour; two arrows of equal length, the pulls of "
        "loss and penalty, point out and in; their length is the same for every λ. "
        "The dashed path of gradient descent from zero leaves zero in the same direction, then "
        "runs above, and ends at "
        "least squares, too.")

# %%
figures.interactive(draw, lam=[0.5, 0.0001, 0.003, 0.01, 0.03, 0.1, 2, 5], number="1.5",
                    caption="Darker grey is a smaller loss, the black contour the loss of the best "
                    "point. Black arrows show where the two pulls point, not their size.")

# %% [markdown]
# Which $R$ goes with a λ depends on the data. **λ is a price** (a *Lagrange multiplier*): if $\frac12R^2$ grows by a
# little, the smallest loss in the disc falls by λ times as much.

# %% tags=["hide-input"]
radius, inside = np.linalg.norm(w_ridge), np.zeros(10)
for _ in range(1500):  # step down the loss, then back to the ball
    inside = inside + 0.2 * X.T @ (y - y.mean() - X @ inside) / n
    inside = inside * min(1, radius / np.linalg.norm(inside))

# %% tags=["hide-input"]
curves, thick = ellipse[0.5]
around = half_mse(np.stack([curves["_circle"].x, curves["_circle"].y], axis=1))
two = np.linalg.solve(pair.T @ pair + n * 0.5 * np.eye(2), pair.T @ y)
solved, (squares,), *_ = np.linalg.lstsq(np.column_stack([pair, np.ones(n)]), y)
_, s_pair, V_pair = np.linalg.svd(pair, full_matrices=False)
shares_100 = [(1 - (1 - 0.05 * s_pair**2 / n) ** t) * (V_pair @ solved[:2]) @ V_pair
              for t in (100, 6000)]
tips = [[curves[name].x[0], curves[name].y[0]] for name in ("_loss", "_penalty", "_path", "_best")]

# %% tags=["hide-input"]
claim("S2-17", "no point on the circle fits better than w_λ", measured=around.min() / half_mse(two),
      equals=1, within=1e-6)
claim("S2-17", "the best fit in the ball of radius ‖w_λ‖ is the penalised fit (relative error)",
      measured=np.linalg.norm(inside - w_ridge) / radius, below=1e-9)
claim("01-half-mse", "`half_mse` is the loss of NumPy's least squares (relative error)",
      measured=half_mse(solved[:2]) * 2 * n / squares - 1, equals=0, within=1e-9)
claim("01-dot", "the dot solves (1.1) for the two inputs, and the thick contour goes through it",
      measured=[*(tips[3] - two), thick / half_mse(two) - 1], equals=0, within=1e-9)
claim("01-walk", "the dashed path has the shares of (1.8), and ends at least squares",
      measured=[curves["_walk"].x[[100, -1]] - np.array(shares_100)[:, 0],
                curves["_walk"].y[[100, -1]] - np.array(shares_100)[:, 1]], equals=0, within=1e-9)
claim("01-pulls", "the two arrows cancel, and the path begins at least squares",
      measured=[np.add(*tips[:2]) - 2 * two, tips[2] - solved[:2]], equals=0, within=1e-9)

# %% [markdown]
# ## 1.6 When does shrinking help?
#
# When is $w_\lambda$ nearer to the truth than least squares? As the truth, $w^*$, we choose the least-squares fit of
# {{below: len(few)}} patients, and draw their targets, $y = Xw^* + \varepsilon$, again and again. The noise is
# independent, with mean 0 and standard deviation $\sigma={{below: sigma:.0f}}$, about that of all patients' residuals.
#
# The mean squared distance from the truth has two parts. The squared *bias* is the squared distance of the average fit; the *variance*
# says how much the fits scatter about it. Both are sums over the directions, if none is null:
# 1. Along $v_i$ least squares finds the true weight $v_i^\top w^*$, plus noise of standard deviation $\sigma/s_i$.
# 2. Ridge multiplies both by the share of (1.2). What it takes away of the true weight is bias; what it leaves of the noise makes the
#    variance:
#
# $$\mathbb E\,\lVert w_\lambda-w^*\rVert^2=
#   \underbrace{\sum_i\Big(\frac{n\lambda}{s_i^2+n\lambda}\Big)^2(v_i^\top w^*)^2}_{\text{bias}^2}
#   +\underbrace{\sigma^2\sum_i\frac{s_i^2}{(s_i^2+n\lambda)^2}}_{\text{variance}}.\tag{1.4}$$
#
# <details>
# <summary>Derivation, and the same for predictions</summary>
#
# By the singular value decomposition $v_i^\top \hat w = u_i^\top y/s_i = v_i^\top w^* + u_i^\top\varepsilon/s_i$.
# The bias is fixed and the noise has mean zero. So on average their squares add up.
#
# For predictions at the same inputs each direction counts by its variance, $s_i^2/n$:
#
# $$\mathbb E\,\frac1n\lVert X(w_\lambda-w^*)\rVert^2=
#   \sum_i\frac{s_i^2}{n}\cdot\frac{(n\lambda)^2(v_i^\top w^*)^2+\sigma^2 s_i^2}{(s_i^2+n\lambda)^2}.$$
#
# </details>
#
# This code computes both terms; Figure 1.6 compares them with fits to drawn noise:

# %%
few = X[:100] - X[:100].mean(0)
_, s_few, Vt_few = np.linalg.svd(few, full_matrices=False)
truth, sigma = ridge(few, y[:100], 0)[0], 54.0
along, some_lams = Vt_few @ truth, np.append(0, np.logspace(-3, 1, 25))
factor = filter_factors(s_few, 100, some_lams)
bias2 = ((1 - factor) ** 2 * along**2).sum(1)
variance = sigma**2 * ((factor / s_few) ** 2).sum(1)
bias2_answers = ((1 - factor) ** 2 * along**2 * s_few**2 / 100).sum(1)
variance_answers = sigma**2 / 100 * (factor**2).sum(1)

# %% tags=["hide-input"]
rng, tried = claims.rng(), [0, 1, 7, 10, 13, 16, 19]  # 0, 0.001, 0.01, 0.03, 0.1, 0.3, 1
simulated = {"weights": [], "predictions": []}  # bias² and variance, for each λ
for k in tried:
    noisy = few @ truth + rng.normal(0, sigma, (20_000, 100))
    found = np.linalg.solve(few.T @ few + 100 * some_lams[k] * np.eye(10), few.T @ noisy.T).T
    errors = {"weights": found - truth, "predictions": (found - truth) @ few.T / 10}
    for what, error in errors.items():
        simulated[what].append((np.sum(error.mean(0) ** 2), error.var(0).sum()))

# %% tags=["hide-input"]
fine_lams = np.logspace(-3, 1, 1921)  # every eightieth is one of `some_lams`
fine = filter_factors(s_few, 100, fine_lams)
bias, var = ((1 - fine) * along) ** 2, (sigma * fine / s_few) ** 2
size = {"weights": np.ones(10), "predictions": s_few**2 / 100}  # what a direction counts
free_error = {what: np.sum(count * sigma**2 / s_few**2) for what, count in size.items()}
terms = {"weights": (bias2, variance), "predictions": (bias2_answers, variance_answers)}
fine_best = fine_lams[np.sum(bias + var, axis=1).argmin()]
at_zero_lam = 10**-3.8  # where λ = 0 is drawn
told = {"weights": tried, "predictions": tried[:-1]}  # at λ = 1 these lie above the picture

# %% tags=["hide-input"]
def draw_terms(ax, what):
    unit = free_error[what]  # the error of least squares
    fine_bias, fine_var = bias @ size[what] / unit, var @ size[what] / unit
    ax.semilogx(fine_lams, fine_bias, "--", color="black", lw=1.4, label="bias²")
    ax.semilogx(fine_lams, fine_var, ":", color="black", lw=1.6, label="variance")
    ax.semilogx(fine_lams, fine_bias + fine_var, color=figures.ORANGE, label="sum")
    ax.axhline(1, color=figures.BLUE, lw=1.2, ls=(0, (1, 2)), label="_least squares")
    total = fine_bias + fine_var
    k = total.argmin()
    ax.plot(fine_lams[k], total[k], "|", ms=13, mew=1.6, color=figures.ORANGE, label="_best")
    ax.text(10**-3.4, 0, "//", ha="center", va="center", weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    points = np.array(simulated[what])[: len(told[what])] / unit
    places = [at_zero_lam, *some_lams[told[what][1:]]]
    for name, values, colour in zip(("bias²", "variance", "sum"), (*points.T, points.sum(1)),
                                    ("black", "black", figures.ORANGE), strict=True):
        ax.plot(places, values, "o", ms=5, mfc="white", color=colour, zorder=3, clip_on=False,
                label=f"_simulated {name}")
    ax.plot(at_zero_lam, points[0].sum(), "o", ms=5, color=figures.BLUE, zorder=4, label="_λ = 0")

# %% tags=["hide-input"]
def label_terms(ax, what):
    weights = what == "weights"
    ax.set(ylim=(0, 1.25), xlim=(10**-3.9, 1), xlabel="penalty λ")
    ax.set_ylabel("expected squared error\n(least squares: 1)").set_visible(weights)  # for both
    ax.set_xticks([at_zero_lam, 0.001, 0.01, 0.1, 1],
                  ["0", "0.001", "0.01", "0.1", "1"])
    ax.minorticks_off()
    ax.text(*((0.0013, 0.04) if weights else (0.016, 0.09)), "bias²")
    ax.text(*((0.00062, 0.2) if weights else (0.0035, 0.64)), "variance")
    ax.text(*((0.004, 0.62) if weights else (0.0012, 0.85)), "sum", color=figures.ORANGE)
    best = figures.drawn(ax)["_best"]
    note(ax, "best λ", (best.x[0], best.y[0]), (best.x[0] / 3.3, best.y[0] + 0.16), figures.ORANGE)

# %% tags=["hide-input"]
def draw_shares(ax):
    for what, side, colour in (("weights", -0.2, figures.BLUE),
                               ("predictions", 0.2, figures.SKY)):
        noise = size[what] * sigma**2 / s_few**2  # of least squares, by direction
        bars = ax.bar(np.arange(1, 11) + side, noise / free_error[what], 0.4, color=colour,
                      label=f"_{what}")
        if what == "weights":
            ax.bar_label(bars, [""] * 8 + [f"{share:.0%}" for share in bars.datavalues[8:]],
                         color=colour, padding=3)
    noisy_ones = 1 + np.flatnonzero(sigma / s_few > abs(along))
    ax.axvspan(noisy_ones[0] - 0.5, 10.5, color="0.92", lw=0, zorder=0)
    ax.text(noisy_ones[0] - 0.6, 1.02, "shaded: the noise σ/s\nexceeds the true weight", ha="right",
            va="top")
    ax.text(9.4, 0.6, "weights", color=figures.BLUE, ha="right", weight="bold")
    ax.plot(0.8, 0.19, "s", ms=9, color=figures.SKY, label="_key")
    ax.text(1.1, 0.15, "weights, 1 to 7: below 2 %\npredictions: all alike, at the same inputs",
            va="bottom", color=figures.BLUE)
    ax.set(xlabel="singular direction, strongest first", xticks=range(1, 11), ylim=(0, 1.08))
    ax.set(xlim=(0.5, 10.5))
    ax.set_ylabel("share of the error\nof least squares")

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 2, figsize=(5.4, 5.6), sharey="row", height_ratios=[1.2, 1])
[ax.remove() for ax in axes[1]]
below = fig.add_subplot(axes[1, 0].get_gridspec()[1, :])

# %% tags=["hide-input"]
marks, best, remaining = {}, {}, {}
for ax, what in zip(axes[0], terms, strict=True):
    draw_terms(ax, what)
    label_terms(ax, what)
    marks[what] = figures.drawn(ax)
    best[what], lowest = marks[what]["_best"].x[0], marks[what]["_best"].y[0]
    remaining[what] = lowest / marks[what]["_least squares"].y[0]

# %% tags=["hide-input"]
draw_shares(below)
noises = figures.drawn(below)
tenth_share = noises["_weights"].y[9]
axes[0, 0].set_title(f"Weights: the\nbest λ saves {1 - remaining['weights']:.0%}")
axes[0, 1].set_title(f"Predictions, same\ninputs: it saves {1 - remaining['predictions']:.0%}")
below.set_title(f"Why: the tenth direction makes {tenth_share:.0%} of the error of\n"
                f"the weights, and {noises['_predictions'].y[9]:.0%} of that of predictions",
                x=-0.1)
figures.show(fig, "Two panels of expected error over that of least squares against λ: bias squared "
             "rises, variance falls, and their sum has a minimum, near "
             f"λ = {best['weights']:.2g} for weights, where {remaining['weights']:.2f} times the "
             f"error of least squares is left, and near λ = {best['predictions']:.2g} for "
             f"predictions, where {remaining['predictions']:.2f} times is left. Circles of "
             "simulated fits lie on the curves. A third panel has bars for ten directions: the "
             "tenth makes "
             f"{tenth_share:.0%} of the weights' error, each {noises['_predictions'].y[9]:.0%} of "
             "the predictions'. Directions 8 to 10 are shaded.", number="1.6",
             caption="Above, lines are the two terms of the error and their sum: by (1.4) on the "
             "left, by its form for predictions on the right (blue: λ = 0). "
             f"Circles are means of {len(noisy):,} draws of the noise.")

# %% tags=["hide-input"]
claim("S3-01", "The best λ cuts the expected squared error of the weights to {} times that of "
      "least squares.", measured=remaining["weights"], below=0.5)
claim("01-predictions", "The best λ cuts the expected squared error of the predictions to {} "
      "times that of least squares.", measured=remaining["predictions"], between=(0.5, 1))

# %% [markdown]
# In Figure 1.6 too large a λ is worse for predictions than none. The best λ saves more for weights than for predictions. Why? Of the weights'
# error {{tenth_share:.0%}} is noise in the tenth direction, which shrinking mostly removes. In predictions at the same inputs each direction
# counts by its variance, so all have the same noise: $\frac{s_i^2}{n}\cdot\frac{\sigma^2}{s_i^2} = \frac{\sigma^2}{n}$.
#
# **Which λ is best?** In (1.4) the error of direction $i$ falls with λ up to
# $n\lambda = \sigma^2/(v_i^\top w^*)^2$, whatever its $s_i$, and rises beyond. So a small enough λ helps every direction, and beats least squares.
# But the best λ depends on the unknown $w^*$. To get a rule, suppose that the true weights are drawn independently, with mean 0 and variance $\tau^2$. On average over
# such $w^*$, every direction has its smallest error at the same λ:
#
# $$\lambda=\frac{\sigma^2}{n\tau^2}.\tag{1.5}$$
#
# Much noise, few examples or small weights call for a large λ. **Shrinking helps most in directions whose noise
# $\sigma/s_i$ is larger than their true weight. It pays most if your error
# is mainly made there.**
#
# <details>
# <summary>Derivation: each direction has its own best λ</summary>
#
# Write $c_i = v_i^\top w^*$ and $\nu = n\lambda$. The error of direction $i$ in (1.4),
# and its derivative with respect to $\nu$, are
#
# $$\frac{\nu^2 c_i^2 + \sigma^2 s_i^2}{(s_i^2 + \nu)^2}, \qquad
#   \frac{2\nu c_i^2\,(s_i^2 + \nu) - 2\,(\nu^2c_i^2 + \sigma^2s_i^2)}{(s_i^2 + \nu)^3}
#   = \frac{2 s_i^2\,(\nu c_i^2 - \sigma^2)}{(s_i^2 + \nu)^3} .$$
#
# The error falls as long as $\nu < \sigma^2/c_i^2$, and rises beyond. At $\nu = \sigma^2/c_i^2$ it is $\sigma^2/(s_i^2+\sigma^2/c_i^2)$. That is the
# $\sigma^2/s_i^2$ of least squares divided by $1+\sigma^2/(s_ic_i)^2$: one plus the square of the noise $\sigma/s_i$ over that of the true weight.
# In predictions the error only has the factor $s_i^2/n$. Replace $c_i^2$ by its average $\tau^2$: the same derivation gives (1.5).
#
# </details>
#
# <details>
# <summary>(1.5) tried in the puzzle and in Figure 1.6: a guide, not a guarantee</summary>
#
# As $\tau^2$ take the mean square of the true weights. In the puzzle of §1.1, (1.5) gives {{puzzle_lam:g}}. If the true intercept is given, this λ changes the error by less than
# {{hardly:.2%}}, and the λ of the puzzle raises it by {{known[1] / known[0] - 1:.1%}}. So there was nothing to cure.
#
# In Figure 1.6 it gives {{sigma**2 / 100 / np.mean(truth**2):.3f}}, and
# the best λ for the weights is {{fine_best:.2f}}. But (1.5) is best on average over $w^*$, not for each. Take the fit to all patients as
# $w^*$ and half the noise, still at the inputs of the {{len(few)}}. Then (1.5) gives {{below: calm_lam:.3f}} where {{below: calm_best:.4f}} is best, and makes the error of the weights
# {{below: calm_loss:.0%}} larger than that of least squares.
#
# </details>
#
# <details>
# <summary>The penalty as a prior</summary>
#
# A *prior* is a belief about the weights before the data are seen. If noise and weights are Gaussian, ridge with (1.5)
# finds the most probable weights:
#
# 1. With Gaussian noise, minus the log-likelihood is $\frac{1}{2\sigma^2}\lVert y - Xw\rVert^2$, up to a constant. ($X$ and
#    $y$ are centred: a flat prior on $b$ allows it.)
# 2. If we believe that each weight is drawn from $N(0, \tau^2)$, minus the log-prior is
#    $\frac{1}{2\tau^2}\lVert w\rVert^2$, up to a constant.
# 3. The most probable $w$ minimises the sum. Multiply the sum by $\sigma^2/n$, which moves no minimum: the first term
#    becomes half the mean squared error, and the second $\frac{\sigma^2}{2n\tau^2}\lVert w\rVert^2$, our penalty.
#
# </details>
#
# *A good place for a break.*

# %% tags=["hide-input"]
shares = [np.abs(np.array(simulated[what]).T - np.array(terms[what])[:, tried])
          / sum(terms[what])[tried] for what in terms]

# %% tags=["hide-input"]
matrix_form = []  # the four terms again, without singular values
for lam in some_lams:
    M = np.linalg.inv(few.T @ few + 100 * lam * np.eye(10))
    bias_vector, noise_map = 100 * lam * M @ truth, sigma * M @ few.T
    matrix_form.append([[np.sum(bias_vector**2), np.sum(noise_map**2)],
                        [np.mean((few @ bias_vector) ** 2), np.sum((few @ noise_map) ** 2) / 100]])
exact = dict(zip(terms, np.moveaxis(matrix_form, 0, 2), strict=True))
elsewhere = ((1 - fine) * (Vt_few @ w_hat)) ** 2  # bias² with another truth: the fit to all

# %% tags=["hide-input"]
calm = elsewhere.sum(1) + var.sum(1) / 4  # that truth, with half the noise: weights, for each λ
calm_best, calm_lam = fine_lams[calm.argmin()], (sigma / 2) ** 2 / 100 / np.mean(w_hat**2)
calm_fit, _ = ridge(few, few @ w_hat, calm_lam)
calm_noise = np.linalg.solve(few.T @ few + 100 * calm_lam * np.eye(10), few.T) * sigma / 2
calm_error = np.sum((calm_fit - w_hat) ** 2) + np.sum(calm_noise**2)
calm_loss = calm_error / (free_error["weights"] / 4) - 1

# %% tags=["hide-input"]
alone = np.diag(Vt_few @ np.linalg.inv(few.T @ few) @ Vt_few.T)  # noise of the weights / σ²
own = torch.tensor(sigma**2 / along**2, requires_grad=True)  # nλ, by direction
kept = torch.tensor(s_few**2) / (torch.tensor(s_few**2) + own)
each = ((1 - kept) * torch.tensor(along)) ** 2 + (sigma * kept / torch.tensor(s_few)) ** 2
(at_own,) = torch.autograd.grad(each.sum(), own)

# %% tags=["hide-input"]
assert np.max(shares) < 0.05, "the simulated bias² and variance are not those of (1.4)"

# %% tags=["hide-input"]
claim("01-own-best", "each direction's error is flat at its own nλ = σ²/(vᵢᵀw*)²: relative slope",
      measured=at_own * own / each, equals=0, within=1e-9)
claim("01-own-gain", "at its own best λ a direction has least squares' error over 1 + σ²/(sc)²",
      measured=each.detach().numpy() * (1 + sigma**2 * alone / along**2) / (sigma**2 * alone),
      equals=1, within=1e-9)
claim("01-shares", "the bars: each direction's share of the noise of least squares",
      measured=[noises["_weights"].y - alone / alone.sum(), noises["_predictions"].y - 0.1],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
for what, (bias_term, noise_term) in exact.items():
    drawn = marks[what]
    claim("01-curves", f"bias², variance and their sum are those of the matrix form, {what}",
          measured=[drawn["bias²"].y[::80] * noise_term[0] / bias_term[1:],
                    drawn["variance"].y[::80] * noise_term[0] / noise_term[1:],
                    drawn["sum"].y[::80] * noise_term[0] / (bias_term + noise_term)[1:],
                    terms[what][1][1:] / noise_term[1:], terms[what][0][1:] / bias_term[1:]],
          equals=1, within=1e-9)
    claim("01-least-squares", f"the dotted line is the error of least squares, {what}",
          measured=drawn["_least squares"].y * free_error[what] / noise_term[0], equals=1,
          within=1e-9)
claim("01-draw", "the last of the simulated fits is that of `ridge`",
      measured=ridge(few, noisy[-1], some_lams[tried[-1]])[0] - found[-1], equals=0, within=1e-9)
claim("01-circles", "the circles are what the cell above measured",
      measured=np.concatenate([marks[what]["_simulated " + name].y * free_error[what]
                               - np.array(simulated[what])[: len(told[what]), k]
                               for k, name in enumerate(("bias²", "variance"))
                               for what in terms]), equals=0, within=1e-9)
claim("01-truth", "the truth is the least-squares fit to these 100 patients",
      measured=few.T @ (y[:100] - few @ truth), equals=0, within=1e-8)

# %% [markdown]
# ## 1.7 Choosing λ without the test data
#
# How do you choose λ? Not by the objective on the training data: its minimum $F(\lambda) = \min_w J$
# never falls with λ, so $\lambda=0$ always looks best. When λ grows, the training loss never falls either, and $\lVert w_\lambda\rVert$ never rises.
#
# <details>
# <summary>Proofs: the slope of the minimum, the norm and the training loss</summary>
#
# For a fixed $w$, $J$ is a straight line in λ, with the slope $\frac12\lVert w\rVert^2\ge0$. $F$ is the lowest of all these lines,
# so it never falls, and it is concave. At each λ it touches the line of $w_\lambda$ from below. For λ > 0, $w_\lambda$ is unique and
# moves continuously, so $F$ has no kink, and has that line's slope:
#
# $$F'(\lambda)=\tfrac12\lVert w_\lambda\rVert^2.\tag{1.6}$$
#
# The slope of a concave function never rises, so $\lVert w_\lambda\rVert$ never rises.
#
# For the training loss take $\lambda_1 < \lambda_2$, with training losses $L_1, L_2$ and half squared norms $N_2\le N_1$. The second
# fit cannot beat the first at $\lambda_1$, so $L_2 + \lambda_1 N_2 \ge L_1 + \lambda_1 N_1 \ge L_1 + \lambda_1 N_2$. Hence $L_2\ge L_1$.
#
# </details>
#
# We need examples that the fit has not seen. To have something to cure, we add to the ten measurements their squares and products:
# {{below: inputs_in_all}} inputs. We split the patients at random {{below: len(splits)}} times: {{below: len(splits[0][0])}} for the fit,
# {{below: len(splits[0][1])}} for the test. The *test loss* is half the mean squared error on the test patients, who are used
# neither to choose λ nor to scale the inputs.

# %%
sex = data.feature_names.index("sex")  # sex² says nothing new
left, right = np.array([(i, j) for i in range(10) for j in range(i, 10) if (i, j) != (sex, sex)]).T


def widen(rows):
    """64 inputs of all patients, standardised by those of the given rows alone."""
    Z = (data.X - data.X[rows].mean(0)) / data.X[rows].std(0)
    Z = np.hstack([Z, Z[:, left] * Z[:, right]])
    return (Z - Z[rows].mean(0)) / Z[rows].std(0)

# %%
splits = [np.split(np.random.default_rng(seed).permutation(n), [150]) for seed in seeds(20)]
lams = np.append(0, np.logspace(-6, 3, 73))
train_loss, objective, test_loss = np.empty((3, 20, 74))
for row, (fit, held) in enumerate(splits):
    Z = widen(fit)
    w, b = ridge(Z[fit], y[fit], lams)  # a row of weights for each λ
    train_loss[row] = ((Z[fit] @ w.T + b - y[fit, None]) ** 2).mean(0) / 2
    objective[row] = train_loss[row] + lams / 2 * (w**2).sum(1)
    test_loss[row] = ((Z[held] @ w.T + b - y[held, None]) ** 2).mean(0) / 2

# %% tags=["hide-input"]
inputs_in_all = widen(splits[0][0]).shape[1]  # a name of its own: many cells call their inputs Z

# %% [markdown]
# **Way 1: a validation part.** Fit on {{below: len(learn)}} of the {{below: len(all_150)}}, and take the λ of the smallest loss
# on the other {{below: len(check)}}. Then fit all {{below: len(all_150)}} with it.
# The first split:

# %%
all_150, tested = splits[0]
learn, check = all_150[:100], all_150[100:]
inputs = widen(learn)
w_each, b_each = ridge(inputs[learn], y[learn], lams)  # one for each λ
on_the_50 = ((inputs[check] @ w_each.T + b_each - y[check, None]) ** 2).mean(0) / 2
lam_chosen = lams[on_the_50.argmin()]
inputs = widen(all_150)
w_again, b_again = ridge(inputs[all_150], y[all_150], lam_chosen)
lost = np.mean((inputs[tested] @ w_again + b_again - y[tested]) ** 2) / 2
print(f"λ = {lam_chosen:.2f} has a test loss of {lost:.0f}")

# %% [markdown]
# **Way 2: leave-one-out.** Test each example with a fit on all others. Ridge needs no refit: let $h_i$ be the rise of
# the answer $\hat y_i$ when its own target $y_i$ rises by 1. Then the fit without example $i$ has the error $(y_i - \hat y_i)/(1 - h_i)$ on it.
#
# <details>
# <summary>Why no refit is needed</summary>
#
# With $n-1$ examples we use $\lambda n/(n-1)$, so that the matrix of (1.1) gets the same $n\lambda I$. The inputs keep the
# scale of all $n$ examples. $h_i$ is the $i$-th diagonal entry of the $A_\lambda$ of §1.4, plus $1/n$ for the intercept.
#
# 1. The answers are linear in the targets: $\hat y = \bar y\,\mathbf 1 + A_\lambda(y - \bar y\,\mathbf 1)$, and
#    $A_\lambda\mathbf 1 = 0$, as $X$ is centred. So a change of the target $y_i$ by $c$ moves the answer $\hat y_i$ by $h_i c$, of
#    which $c/n$ comes through the mean.
# 2. Let $\tilde y_i$ be the answer of the fit without example $i$. Add this example back with the target $\tilde y_i$. Its
#    error is zero, so the fit does not move.
# 3. Hence a change of the target from $y_i$ to $\tilde y_i$ moves $\hat y_i$ to $\tilde y_i$. By step 1,
#    $\hat y_i - h_i(y_i - \tilde y_i) = \tilde y_i$.
# 4. Solve for the error: $y_i-\tilde y_i = (y_i - \hat y_i)/(1 - h_i)$.
#
# </details>
#
# <details>
# <summary>The size of the parts, K-fold and generalised cross-validation, and formulas</summary>
#
# Way 1 chooses λ for {{len(learn)}} patients, but then fits {{len(all_150)}}, for which (1.5) asks for a smaller one. Here that changes little.
#
# *K-fold cross-validation* takes each of $K$ parts in turn as the check of Way 1, and adds the losses.
#
# *Generalised cross-validation* (GCV, [Golub, Heath and Wahba, 1979](https://doi.org/10.1080/00401706.1979.10489751))
# replaces $h_i$ by its mean:
#
# $$\mathrm{LOO}(\lambda) = \frac{1}{2n}\sum_i \Big(\frac{y_i - \hat y_i}{1 - h_i}\Big)^2, \qquad
#   \mathrm{GCV}(\lambda) = \frac{1}{2n}\sum_i \Big(\frac{y_i - \hat y_i}{1 - (\mathrm{df}(\lambda) + 1)/n}\Big)^2. \tag{1.7}$$
#
# </details>

# %%
def without_refit(fit):
    """LOO and GCV of (1.7) on some patients, for every λ > 0."""
    U, s, _ = np.linalg.svd(widen(fit)[fit], full_matrices=False)
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
rows, choices = [], []  # l2lib.splits refuses to fit or choose on test examples
for fit, held in splits:
    patients = {"train": fit[:100], "validation": fit[100:], "test": held}
    narrow, broad, ten = (split(Z, y, **patients) for Z in (
        widen(fit[:100]), widen(fit), widen(fit)[:, :10]))
    candidates = linear(*ridge(*narrow.train, lams[1:]))  # fitted on 100, one for each λ
    choices.append(1 + narrow.choose(candidates, half_square))  # the best on the 50
    lam = lams[choices[-1]]
    models = ((broad, 0), (broad, lam), (ten, 0))
    refits = [(parts, linear(*ridge(*parts.refit, lam))) for parts, lam in models]  # on 150
    rows.append([parts.test_loss(model, half_square) for parts, model in refits])

# %% tags=["hide-input"]
(none, chosen, plain), oracle = np.array(rows).T, test_loss.min(1)

# %% tags=["hide-input"]
criteria = np.array([without_refit(fit) for fit, _ in splits])
by_loo, by_gcv = (test_loss[np.arange(20), 1 + criteria[:, k].argmin(1)] for k in (0, 1))
fewer = claims.interval(oracle - plain)

# %% tags=["hide-input"]
losses = {"objective": objective, "test loss": test_loss}
colours = {"objective": "black", "test loss": figures.ORANGE}
at_left = 10**-7.8  # where λ = 0 is drawn
constant = y.var() / 2  # the loss of answering the mean target
assert not any(np.intersect1d(fit, held).size for fit, held in splits)

# %% tags=["hide-input"]
def draw_losses(ax):
    ax.fill_between(lams[1:], test_loss.min(0)[1:], test_loss.max(0)[1:], color=figures.ORANGE,
                    alpha=0.18, lw=0)
    for name, edge in (("_lowest", test_loss.min(0)), ("_highest", test_loss.max(0))):
        ax.plot(lams[1:], edge[1:], color=figures.ORANGE, lw=0.5, alpha=0.5, label=name)
    ax.plot([at_left] * 2, [test_loss[:, 0].min(), test_loss[:, 0].max()], lw=6, alpha=0.25,
            color=figures.BLUE, solid_capstyle="butt", label="_band at 0")
    for name, values in losses.items():
        ax.plot(lams[1:], values.mean(0)[1:], color=colours[name], label=name)
        ax.plot(at_left, values.mean(0)[0], "D", color=figures.BLUE, label=f"_{name} at 0")
    ax.plot(lams[1:], criteria[:, 0].mean(0), ":", lw=1.8, color="black", label="_LOO", zorder=4)
    ax.axhline(constant, color=figures.GREY, ls="--", lw=1, label="_mean target")
    ax.axhline(plain.mean(), color=figures.BLUE, ls="-.", lw=1, label="_ten inputs")
    k = test_loss.mean(0).argmin()
    ax.plot(lams[k], test_loss.mean(0)[k], "o", ms=8, mfc="none", mew=1.6, zorder=5,
            color=figures.ORANGE, label="_best")
    ax.annotate("best λ", (lams[k], test_loss.mean(0)[k]), xytext=(0, 24), ha="center",
                textcoords="offset points", color=figures.ORANGE,
                arrowprops={"arrowstyle": "->", "color": figures.ORANGE, "shrinkB": 7})

# %% tags=["hide-input"]
def label_losses(ax):
    ax.text(4e-4, 4100, "test loss", color=figures.ORANGE, va="bottom")
    ax.text(6e-6, 650, "minimum of the objective, F(λ)", va="top")
    ax.text(at_left * 2, 650, "objective\nat λ = 0", color=figures.BLUE, va="top", size=9)
    ax.text(at_left * 2, test_loss[:, 0].mean(), "test loss\nat λ = 0", color=figures.BLUE,
            va="center", size=9)
    ax.text(2e-6, 2850, "dotted:\nleave-one-out", va="top")
    ax.text(500, constant + 300, "answering the\nmean target", color=figures.GREY, ha="right",
            va="bottom")
    ax.text(1e-6, plain.mean() - 60, "ten inputs, λ = 0", va="top", color=figures.BLUE)
    ax.set(xscale="log", xlim=(5e-9, 4e3), ylabel="loss, or objective", ylim=(0, 6500))
    ax.set_xlabel("penalty λ").set_visible(False)  # it stands below the strip
    ax.set_xticks([at_left, 1e-6, 1e-4, 1e-2, 1, 100], [""] * 6)


# %% tags=["hide-input"]
def draw_choices(ax):
    """A strip below: the λ that validation chooses, stacked where splits agree."""
    heights = [choices[:k].count(choice) for k, choice in enumerate(choices)]
    ax.plot(lams[choices], heights, "o", ms=4, color=figures.ORANGE, label="_chosen")
    ax.text(1e-6, max(heights) / 2, "λ that validation chooses\nin each of 20 splits",
            color=figures.ORANGE, va="center")
    ax.set(xscale="log", xlim=(5e-9, 4e3), xlabel="penalty λ", yticks=[])
    ax.set(ylabel="splits", ylim=(-1, max(heights) + 1))
    ax.set_xticks([at_left, 1e-6, 1e-4, 1e-2, 1, 100], ["0", "10⁻⁶", "10⁻⁴", "0.01", "1", "100"])
    gap = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    ax.text(10**-6.9, -1, "//", ha="center", va="center", weight="bold", bbox=gap)


# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.2), height_ratios=[4, 0.9])
draw_losses(axes[0]), label_losses(axes[0]), draw_choices(axes[1])
[ax.minorticks_off() for ax in axes]
curves, strip = map(figures.drawn, axes)
at_zero, star = curves["_test loss at 0"].y[0], curves["_best"]
edges = [[curves["_band at 0"].y.min(), curves["_band at 0"].y.max()],
         [curves[name].at(star.x[0]) for name in ("_lowest", "_highest")]]
assert len(splits) == 20, "labels and the caption say so"
axes[0].set_title(f"The test loss falls from {at_zero:.0f} to {star.y[0]:.0f} at "
                  f"λ = {star.x[0]:.1g};\nthe objective is blind to that, and only rises", x=-0.1)
figures.show(fig, "Loss against λ on the diabetes data with 64 inputs, mean of 20 splits. The "
             f"minimum of the objective rises. The test loss is {at_zero:.0f} at λ = 0, "
             f"{star.y[0]:.0f} at its lowest near λ = {star.x[0]:.1g}, then rises to that of the "
             f"mean target. Over splits it is {edges[0][0]:.0f} to {edges[0][1]:.0f} at λ = 0, "
             f"and {edges[1][0]:.0f} to {edges[1][1]:.0f} at the best λ. Validation chooses λ "
             f"from {strip['_chosen'].x.min():.1g} to {strip['_chosen'].x.max():.1g}. "
             "Leave-one-out follows its mean closely. Ten inputs without penalty are at "
             f"{curves['_ten inputs'].y[0]:.0f}, below the minimum.",
             number="1.7", caption="Curves are means of 20 splits, and the band is the range of "
             "the test loss over them. Blue marks show the same at λ = 0.")

# %% [markdown]
# |inputs, and λ by|mean test loss|
# |---|---|
# |{{inputs_in_all}}, no penalty|{{none.mean():.0f}}|
# |{{inputs_in_all}}, {{len(check)}} validation patients|{{chosen.mean():.0f}}|
# |{{inputs_in_all}}, leave-one-out|{{by_loo.mean():.0f}}|
# |{{inputs_in_all}}, GCV, see (1.7)|{{by_gcv.mean():.0f}}|
# |{{inputs_in_all}}, an oracle for each split|{{oracle.mean():.0f}}|
# |the ten original, no penalty|{{plain.mean():.0f}}|
#
# The *oracle* takes the λ of the smallest test loss. Validation, leave-one-out and GCV come close to it, as the curve in Figure 1.7 is flat
# near its minimum.
#
# **Why does λ save so much here?**
#
# In §1.6 the test inputs were the training inputs; here they are new.

# %% tags=["hide-input"]
spread = np.empty((20, 64))  # how much new patients vary, over how much the 150 do
for row, (fit, held) in enumerate(splits):
    Z = widen(fit)
    _, s_fit, Vt_fit = np.linalg.svd(Z[fit], full_matrices=False)
    spread[row] = np.mean((Z[held] @ Vt_fit.T) ** 2, axis=0) / (s_fit**2 / len(fit))
same_noise = sigma**2 / (2 * len(fit))  # what a direction adds to the loss at the same inputs
new_noise = same_noise * spread.sum(1).mean()

# %% tags=["hide-input"]
def draw_spread(ax):
    """How much more new patients vary along each direction than those of the fit."""
    places = np.arange(1, 65)
    ax.plot(places, spread.T, "o", ms=2, mec="none", color="0.75", zorder=1, label="_splits")
    ax.plot(places, np.median(spread, 0), "o", ms=4, color="black", label="_medians")
    ax.axhline(1, color=figures.GREY, lw=1.6, label="_alike")
    ax.text(15, 0.42, "as much as in the fit", color=figures.GREY, ha="center", va="top")
    arrow = {"arrowstyle": "->", "shrinkB": 6, "relpos": (1, 0.5)}
    ax.annotate("direction 64: its value is nearly\nthe same for every patient",
                (64, np.median(spread[:, 63])), xytext=(58, 0.25), ha="right", arrowprops=arrow)
    ax.set(yscale="log", ylim=(0.18, 300), xlim=(0, 65), xticks=[1, 10, 20, 30, 40, 50, 60])
    ax.set_yticks([1, 10, 100], ["1", "10", "100"])
    ax.set(xlabel="direction of the 64 inputs, strongest first")
    ax.set(ylabel="new patients’ variance\nover that of the 150")

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 2.7))
draw_spread(ax)
ax.minorticks_off()
wider = figures.drawn(ax)
medians = wider["_medians"].y
last_ten = np.median(medians[-10:])
ax.set_title("Along the ten weakest directions new patients\n"
             f"vary about {last_ten:.0f} times (median) as much as those of the fit", x=-0.1)
assert spread.shape == (20, 64), "axis labels and captions say so"
figures.show(fig, "The variance of new patients over that of the fitted ones, along 64 directions "
             "of the inputs, a dot for each of 20 splits and one for their median. The median is "
             f"{medians[0]:.2f} for the first direction, {medians[49]:.1f} for the 50th, and "
             f"{last_ten:.0f} for the last ten.", number="1.8",
             caption="Grey dots are splits, black ones their medians; variance is the mean square "
             "about the mean of the 150. Direction 64 combines total cholesterol, LDL, HDL and "
             "triglycerides to a number that is nearly the same for every patient, new ones too: "
             "its weakness is not chance.")

# %% [markdown]
# Along directions in which the fit's patients hardly vary, new patients vary several times as much. So there the weights' noise
# counts more (exercise 7). Why? The weakest $v_i$ were picked because
# these {{len(fit)}} patients vary little along them. With {{inputs_in_all}} inputs this is partly chance, which new patients do not repeat.
#
# Yet the ten original inputs alone, even without a penalty, have a test loss {{fewer.mean:.0f}} ± {{fewer.half:.0f}} lower than the oracle's
# on {{inputs_in_all}}. (± is half the width of a 95 % interval, too narrow because splits share patients.)

# %% tags=["hide-input"]
gain = claims.interval(np.log(none / chosen), level=0.95)  # logs: a rare ratio is above ten
assert np.exp(gain.low) > 1.3, "the chosen λ does not clearly divide the test loss"

# %% tags=["hide-input"]
claim("01-validation", "The λ chosen by validation has a test loss of {} times the oracle's.",
      measured=(chosen / oracle).mean(), below=1.12)
assert max(np.mean(each / oracle) for each in (by_loo, by_gcv)) < 1.12, "LOO or GCV choose badly"
claim("01-plain", f"Ten inputs without penalty have {{}} times the test loss of {inputs_in_all} "
      "inputs with the oracle's λ.", measured=(plain / oracle).mean(), below=1)

# %% [markdown]
# **Here one λ for all inputs limited the damage of {{inputs_in_all - 10}} extra inputs, but did not undo it.**

# %% tags=["hide-input"]
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

# %% tags=["hide-input"]
def scaled(rows):
    """`widen` by scikit-learn; column 20 is the square of sex."""
    ten = StandardScaler().fit(data.X[rows]).transform(data.X)
    products = PolynomialFeatures(2, include_bias=False).fit_transform(ten)
    products = np.delete(products, 20, axis=1)
    return StandardScaler().fit(products[rows]).transform(products)

# %% tags=["hide-input"]
wide_inputs, narrow_inputs = ([scaled(rows) for rows in which] for which in (
    [fit for fit, _ in splits], [fit[:100] for fit, _ in splits]))

# %% tags=["hide-input"]
def fitted(row, lam):
    """Test loss and objective of scikit-learn's fit."""
    (fit, held), wide = splits[row], wide_inputs[row]
    model = Ridge(alpha=len(fit) * lam).fit(wide[fit], y[fit])
    inside, outside = (
        np.mean((y[rows] - model.predict(wide[rows])) ** 2) / 2 for rows in (fit, held)
    )
    return outside, inside + lam / 2 * model.coef_ @ model.coef_

# %% tags=["hide-input"]
def left_out(fit, lam):
    """Half the mean squared error on examples that are left out one by one."""
    wide, keep = wide_inputs[0], [np.delete(fit, k) for k in range(len(fit))]
    models = [Ridge(alpha=len(fit) * lam).fit(wide[rows], y[rows]) for rows in keep]
    answers = [model.predict(wide[[row]])[0] for model, row in zip(models, fit, strict=True)]
    return np.mean((y[fit] - answers) ** 2) / 2

# %% tags=["hide-input"]
def least_squares(inputs):
    """Test losses of NumPy's least squares with an intercept."""
    found = []
    for (fit, held), Z in zip(splits, inputs, strict=True):
        A = np.column_stack([Z, np.ones(n)])
        w = np.linalg.lstsq(A[fit], y[fit])[0]
        found.append(np.mean((y[held] - A[held] @ w) ** 2) / 2)
    return np.array(found)

# %% tags=["hide-input"]
def by_their_loo(row):
    """Test loss with the λ that scikit-learn's leave-one-out takes."""
    (fit, held), some = splits[row], wide_inputs[row]
    model = RidgeCV(alphas=len(fit) * lams[1:]).fit(some[fit], y[fit])
    return np.mean((y[held] - model.predict(some[held])) ** 2) / 2

# %% tags=["hide-input"]
def validation_loss(row, choice):
    learn, check, wide = splits[row][0][:100], splits[row][0][100:], narrow_inputs[row]
    model = Ridge(alpha=100 * lams[choice]).fit(wide[learn], y[learn])
    return np.mean((y[check] - model.predict(wide[check])) ** 2)

# %% tags=["hide-input"]
def minimum(lam):
    w, b = ridge(X, y, lam)
    return np.mean((y - X @ w - b) ** 2) / 2 + lam / 2 * w @ w

# %% tags=["hide-input"]
lead = [validation_loss(row, i + step) - validation_loss(row, i)
        for row, i in enumerate(choices) for step in (-1, 1) if 1 < i < 73]
middle = 49
theirs = np.mean([fitted(row, lams[middle]) for row in range(20)], axis=0)
traces = [np.trace(np.linalg.solve(Z.T @ Z + 150 * lams[middle] * np.eye(64), Z.T @ Z))
          for Z in (wide[fit] for wide, (fit, _) in zip(wide_inputs, splits, strict=True))]
inverses = [np.linalg.inv(np.linalg.qr(wide[fit])[1])  # R of QR: (Z'Z)⁻¹ = R⁻¹R⁻ᵀ
            for wide, (fit, _) in zip(wide_inputs, splits, strict=True)]
per_answer = [np.mean(np.sum((wide[held] @ inverse) ** 2, axis=1))  # in units of σ²
              for wide, (_, held), inverse in zip(wide_inputs, splits, inverses, strict=True)]
along_last = np.linalg.svd(wide_inputs[0][splits[0][0]])[2][63]
new_over_old = np.divide(*((wide_inputs[0][rows] @ along_last) @ (wide_inputs[0][rows] @ along_last)
                           / len(rows) for rows in splits[0][::-1]))
difference = (minimum(0.1001) - minimum(0.0999)) / 0.0002
slope = np.sum(ridge(X, y, 0.1)[0] ** 2) / 2

# %% tags=["hide-input"]
claim("01-losses", f"scikit-learn's fits at λ = {lams[middle]:g} have the losses that are drawn",
      measured=[curves["test loss"].at(lams[middle]) / theirs[0],
                curves["objective"].at(lams[middle]) / theirs[1],
                curves["_mean target"].y[0] / half_square(y.mean(), y).mean(),
                curves["_LOO"].at(lams[middle]) / criteria[:, 0, middle - 1].mean(),
                curves["_band at 0"].y.min() / none.min(),
                curves["_band at 0"].y.max() / none.max()],
      equals=1, within=1e-6)
claim("01-loo", "(1.7) is the loss on patients left out one by one, by scikit-learn",
      measured=criteria[0, 0, middle - 1] / left_out(splits[0][0], lams[middle]), equals=1,
      within=1e-9)
claim("01-loo-choice", "leave-one-out chooses as scikit-learn's RidgeCV: ratio of test losses",
      measured=[by_loo[row] / by_their_loo(row) for row in range(3)], equals=1, within=1e-6)

# %% tags=["hide-input"]
claim("01-gcv-curve", "GCV is half the mean squared error over (1 − (df + 1)/n)²",
      measured=criteria[:, 1, middle - 1] * (1 - (np.array(traces) + 1) / 150) ** 2
      / train_loss[:, middle], equals=1, within=1e-9)
claim("01-first-split", "the plain code chooses what `choose` chooses, with its test loss",
      measured=[lam_chosen - lams[choices[0]], lost / chosen[0] - 1,
                2 * on_the_50[choices[0]] / validation_loss(0, choices[0]) - 1],
      equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-new-noise", "the weighted noise is σ²/2 times the mean of zᵀ(Z'Z)⁻¹z over new patients",
      measured=[new_noise / (sigma**2 / 2 * np.mean(per_answer)), spread[0, 63] / new_over_old,
                *(medians / np.median(spread, axis=0))],
      equals=1, within=1e-6)

# %% tags=["hide-input"]
claim("01-widen", "`widen` makes the inputs of scikit-learn's scalers, fitted on the given rows",
      measured=[[widen(fit) - wide, widen(fit[:100]) - narrow] for (fit, _), wide, narrow
                in zip(splits, wide_inputs, narrow_inputs, strict=True)],
      equals=0, within=1e-9)
claim("01-choice", "on the 50 patients the neighbours of each chosen λ on the grid do no better",
      measured=np.minimum(lead, 0), equals=0, within=1e-9)
claim("01-chosen", "the small dots are at the chosen λ, the first as in the code of Way 1",
      measured=[*(strip["_chosen"].x / lams[choices]), strip["_chosen"].x[0] / lam_chosen],
      equals=1, within=1e-9)
claim("01-refit", "fitted again to all 150, a chosen λ has the test loss of its place on the curve",
      measured=chosen / test_loss[np.arange(20), choices], equals=1, within=1e-9)
claim("01-plain-fits", "the two models without penalty are least squares, with an intercept",
      measured=[none / least_squares(wide_inputs), plain / least_squares(20 * [X]),
                20 * [at_zero / none.mean()]],
      equals=1, within=1e-6)
claim("S0-12", "F′ by finite differences agrees with ‖w_λ‖²/2 (relative error)",
      measured=abs(difference / slope - 1), below=1e-6)
claim("S3-02", "in every split each larger λ raises the training loss: exceptions",
      measured=np.sum(train_loss[:, 1:] <= train_loss[:, :-1]), equals=0, within=1e-9)

# %% [markdown]
# ## 1.8 Early stopping is nearly the same filter
#
# Training that stops early also leaves weights small. Along which directions? Consider gradient descent from zero, without penalty. Along $v_i$ each step
# multiplies the distance to $\hat w$ by $1 - \eta s_i^2/n$. So after $t$ steps the fit has reached the share
#
# $$1-\Big(1-\frac{\eta s_i^2}{n}\Big)^t\tag{1.8}$$
#
# of the least-squares component. If $\eta s_1^2/n\le1$, **weak directions are the slowest, so stopping early shrinks them most.** Where $\eta t\,s_i^2/n$ is small, (1.8) is about $\eta t\,s_i^2/n$, and ridge's share is about $s_i^2/(n\lambda)$. Both
# are the same with
#
# $$\lambda=\frac{1}{\eta t}.\tag{1.9}$$
#
# In strong directions both shares are near 1; in those between weak and strong, early stopping keeps more (Figure 1.9).

# %%
w_20 = np.zeros(10)
for _ in range(20):
    w_20 = w_20 + 0.2 * X.T @ (y - y.mean() - X @ w_20) / n
stopped = 1 - (1 - 0.2 * s**2 / n) ** 20
equivalent = 1 / (0.2 * 20)
print(f"tenth direction: {Vt[9] @ w_20 / (Vt[9] @ w_hat):.4f} of least squares after 20 steps, "
      f"{stopped[9]:.4f} by (1.8), {filter_factors(s, n, equivalent)[9]:.4f} for ridge")

# %% tags=["hide-input"]
strength = np.logspace(-2.3, 0.7, 200)


def draw_filters(ax):
    ax.semilogx(strength, strength / (strength + equivalent), color=figures.ORANGE, label="_ridge")
    ax.semilogx(strength, 1 - (1 - 0.2 * strength) ** 20, color=figures.BLUE, label="_stopped")
    ax.semilogx(s**2 / n, (Vt @ w_20) / (Vt @ w_hat), "o", ms=7, color=figures.BLUE,
                label="_measured")
    ax.semilogx(s**2 / n, (Vt @ ridge(X, y, equivalent)[0]) / (Vt @ w_hat), "o", ms=4,
                color=figures.ORANGE, label="_fitted")
    ax.fill_between(strength, strength / (strength + equivalent), 1 - (1 - 0.2 * strength) ** 20,
                    color=figures.BLUE, alpha=0.12, lw=0)
    ax.set(xlabel="variance of the data along the direction, s²/n", xlim=(0.005, 5.2))
    ax.set(ylabel="share of least squares kept")


# %% tags=["hide-input"]
def label_filters(ax):
    ax.text(0.62, 0.42, f"ridge,\nλ = 1/(ηt) = {equivalent:g}", color=figures.ORANGE, va="center")
    ax.text(0.26, 0.93, "early stopping, λ = 0:\n20 steps of η = 0.2", color=figures.BLUE,
            ha="right", va="center")
    k = ((1 - (1 - 0.2 * strength) ** 20) / (strength / (strength + equivalent))).argmax()
    ends = strength[k] / (strength[k] + equivalent), 1 - (1 - 0.2 * strength[k]) ** 20
    ax.plot([strength[k]] * 2, ends, color="black", lw=1.2, label="_widest", zorder=1)
    ax.plot([strength[k]] * 2, [0, ends[0]], color="black", lw=1, ls=":", zorder=1)
    ax.text(strength[k] * 1.07, 0.01, f"largest ratio of\nthe curves: {ends[1] / ends[0]:.2f},\n"
            f"at s²/n = {strength[k]:.2f}")
    ax.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.4, 3.4))
draw_filters(ax), label_filters(ax)
filters = figures.drawn(ax)
widest = filters["_widest"].y.max() / filters["_widest"].y.min()
ax.set_title("20 steps filter like λ = 1/(20 η) in weak directions,\n"
             f"and keep at most {widest:.2f} times as much in stronger ones", x=-0.1)
figures.show(fig, "Two rising curves of the share of the least-squares fit that is kept, "
             "against the variance of a direction, with dots for ten directions. Early stopping "
             "and ridge agree for weak directions; for stronger ones early stopping keeps "
             f"more, at most {widest:.2f} times as much, near {filters['_widest'].x[0]:.2f}.",
             number="1.9",
             caption="Dots are the ten directions of the diabetes data, large for early "
             "stopping. The black bar is a place on the curves, not one of the directions.")

# %% tags=["hide-input"]
z = np.linspace(0.001, 20, 20_000)
cost = np.max((1 - np.exp(-z)) * (1 + z) / z) ** 2  # how much larger the error can be

# %% [markdown]
# <details>
# <summary>How much worse than ridge can early stopping be?</summary>
#
# In the setting of §1.6, with very small steps, its expected error is at most {{cost:.2f}} times ridge's, for every $t$
# ([Ali, Kolter and Tibshirani, 2019](https://arxiv.org/abs/1810.10082)). Proof: write $z = \eta t s_i^2/n$. Ridge with
# (1.9) keeps $z/(1+z)$, and early stopping in very small steps keeps $1-e^{-z}$. Early stopping
# loses no more of the truth, as $e^{-z}\le 1/(1+z)$. It keeps at most {{np.sqrt(cost):.2f}} times as much noise, the maximum of
# $(1-e^{-z})(1+z)/z$, near $z = {{z[np.argmax((1 - np.exp(-z)) * (1 + z) / z)]:.1f}}$. So in each direction neither
# the squared bias nor the variance is more than ${{np.sqrt(cost):.2f}}^2\approx{{cost:.2f}}$ times ridge's. (Figure 1.9 has
# {{widest:.2f}} in place of {{np.sqrt(cost):.2f}}, because its steps are not small.)
#
# Test losses also contain the noise of the targets, the same for both methods, so their ratio is nearer to 1. On the {{inputs_in_all}} inputs
# the two differ by at most {{below: np.abs(ratio - 1).max():.1%}} at any stop between 10 and 1000 steps.
#
# </details>
#
# We try both on the {{inputs_in_all}} inputs of §1.7, with $\eta = 0.01$ and, for each $t$, the λ of (1.9).

# %%
times = np.arange(10, 1001)
stopped_loss, matched_loss = np.empty((2, 20, 991))
for row, (fit, held) in enumerate(splits):
    Z, w_t, path = widen(fit), np.zeros(64), []
    inputs, target = Z[fit], y[fit] - y[fit].mean()
    for _ in range(1000):
        w_t = w_t + 0.01 * inputs.T @ (target - inputs @ w_t) / 150
        path.append(w_t)
    answers = path[9:] @ Z[held].T + y[fit].mean()  # after 10, 11, … 1000 steps
    stopped_loss[row] = np.mean((answers - y[held]) ** 2, axis=1) / 2
    w, b = ridge(Z[fit], y[fit], 1 / (0.01 * times))
    matched_loss[row] = np.mean((w @ Z[held].T + b[:, None] - y[held]) ** 2, axis=1) / 2
ratio = stopped_loss.mean(0) / matched_loss.mean(0)

# %% [markdown]
# In hindsight the best $t$ has a mean test loss of {{stopped_loss.mean(0).min():.0f}}, and the best λ {{matched_loss.mean(0).min():.0f}}.

# %% tags=["hide-input"]
late = 300
claim("S3-03", f"Early stopping after {late} small steps, without any penalty, has {{}} times the "
      "test loss of least squares.", measured=stopped_loss[:, times == late].mean() / none.mean(),
      below=0.7)

# %% tags=["hide-input"]
by_filter, low, high = [], 1.0, 3.0
for _ in range(60):  # halve: where the derivative of (1 - exp(-z))(1 + z)/z is zero
    top = (low + high) / 2
    low, high = (top, high) if np.exp(-top) * (1 + top + top**2) > 1 else (low, top)
for (fit, held), wide in zip(splits, wide_inputs, strict=True):
    U_150, s_150, Vt_150 = np.linalg.svd(wide[fit], full_matrices=False)
    reached = (1 - (1 - 0.01 * s_150**2 / 150) ** late) * (U_150.T @ y[fit]) / s_150
    answers = wide[held] @ (reached @ Vt_150) + y[fit].mean()
    by_filter.append(np.mean((answers - y[held]) ** 2) / 2)

# %% tags=["hide-input"]
claim("S0-10", "stopping after 20 steps filters each direction as (1.8) says",
      measured=np.abs(Vt @ w_20 - stopped * (Vt @ w_hat)), below=1e-9)
claim("S0-10", "the measured dots lie on the curve of early stopping",
      measured=filters["_measured"].y - stopped, equals=0, within=1e-9)
claim("01-ridge-dots", "the dots of ridge lie on its curve",
      measured=filters["_fitted"].y - filter_factors(s, n, equivalent), equals=0, within=1e-9)
claim("01-widest", "the black bar is where the two curves have their largest ratio",
      measured=np.max(filters["_stopped"].y / filters["_ridge"].y) - widest, equals=0, within=1e-9)
claim("01-worth", "for weak directions both filters agree",
      measured=(1 - (1 - 0.2 * 1e-9) ** 20) / (1e-9 / (1e-9 + equivalent)), equals=1, within=1e-6)
claim("01-price", "the factor of early stopping is that of the z at which the derivative is zero",
      measured=((1 - np.exp(-top)) * (1 + top) / top) ** 2 - cost, equals=0, within=1e-6)
claim("S3-03", f"{late} steps answer as a fit filtered by (1.8) does: ratio of the test losses",
      measured=stopped_loss[:, times == late][:, 0] / by_filter, equals=1, within=1e-9)

# %% [markdown]
# ## 1.9 And a network?
#
# Does the penalty help a network, and does its start matter? We train a network with one hidden layer on {{below: images.train.X.shape[1]}} handwritten
# digits by {{below: run.step.values[-1]}} steps of gradient descent with *momentum*: each step adds {{below: optimizer.param_groups[0]["momentum"]}} of the previous step.
# For one *seed*, which fixes all random draws:

# %%
digits = load("digits")
order = np.random.default_rng(seeds(12)[0]).permutation(len(digits.y))
pixels, labels = torch.tensor(digits.X[order] / 16).float(), torch.tensor(digits.y[order]).long()
torch.manual_seed(seeds(12)[0])
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
weights, biases = [net[0].weight, net[2].weight], [net[0].bias, net[2].bias]
optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.0032}, {"params": biases}],
                            lr=0.3, momentum=0.9)
for _ in range(200):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(pixels[:100]), labels[:100]).backward()
    optimizer.step()
by_torch = 100 * (net(pixels[200:]).argmax(1) == labels[200:]).double().mean().item()
print(f"{by_torch:.0f} % of the test images are right")

# %% [markdown]
# `sweep` trains with {{below: len(lambdas)}} values of λ, one of them 0, for {{below: len(picked)}} seeds, and from two starts:
# PyTorch's, and one with all weights {{below: large}} times as large. For each seed and start we
# take the λ of the smallest loss on {{below: images.validation.X.shape[1]}} more images, and test on the others.
# Predict: how many points of accuracy does the penalty gain from each start?

# %%
orders = np.array([np.random.default_rng(seed).permutation(len(digits.y)) for seed in seeds(12)])
images = split(digits.X / 16, digits.y, train=orders[:, :100], validation=orders[:, 100:200],
               test=orders[:, 200:])

# %%
from l2lib.sweep import MLP, predict, sweep

lambdas, large = [0, 0.001, 0.0018, 0.0032, 0.0056, 0.01], 6
# The architecture above, for each seed, λ and start (the starts are drawn anew):
run = sweep(MLP((64, 32, 10)), *images.train, test=images.test, loss="cross_entropy", lr=0.3,
            momentum=0.9, weight_decay=lambdas, init_scale=[1, large], seeds=seeds(12), steps=200,
            record_every=25)

# %%
scores = torch.tensor(predict(run, images.validation.X).values).double()
right = torch.tensor(np.eye(10)[images.validation.y])[:, None, None]  # 1 for the right class
# The loss for each seed, λ and start; then the place of the best λ for each seed and start:
validation_loss = -(scores.log_softmax(-1) * right).sum(-1).mean(-1).numpy()
picked = validation_loss.argmin(1)

# %% tags=["hide-input"]
last = run.isel(step=-1)  # the last step; axes: seed, λ, start
accuracy, nats = 100 * last.test_accuracy.values, last.test_loss.values

# %% tags=["hide-input"]
cross_entropy = torch.nn.functional.cross_entropy


def at_picked(values):
    return np.take_along_axis(values, picked[:, None], axis=1)[:, 0]


chosen_accuracy, chosen_loss = at_picked(accuracy), at_picked(nats)

# %% tags=["hide-input"]
truths = torch.tensor(images.test.y).long()
chosen_drop = claims.interval(chosen_loss - nats[:, 0])
gained = claims.interval(chosen_accuracy - accuracy[:, 0])

# %% tags=["hide-input"]
null_counts, erased_loss, erased_right, left_over = [], [], [], []
for seed in range(12):  # the large start at λ = 0, without the null part of its first layer
    rows = images.train.X[seed]
    kernel = np.linalg.svd(rows)[2][np.linalg.matrix_rank(rows) :]
    null_counts.append(len(kernel))
    first, second, one, two = (run[name].values[seed, :, 1] for name in
                               ("weight0", "weight1", "bias0", "bias1"))
    seen_part = first[0] - first[0] @ kernel.T @ kernel
    hidden = np.maximum(images.test.X[seed] @ seen_part.T + one[0].ravel(), 0)
    answers = torch.tensor(hidden @ second[0].T + two[0].ravel())
    erased_loss.append(cross_entropy(answers, truths[seed]).item())
    erased_right.append(100 * (answers.argmax(1) == truths[seed]).double().mean().item())
    left_over.append(np.linalg.norm(first[3] @ kernel.T) / np.linalg.norm(first[0] @ kernel.T))
erased = np.mean(erased_loss) - nats[:, 0, 1].mean()
erased_points = np.mean(erased_right) - accuracy[:, 0, 1].mean()
assert last.train_accuracy.values[:, 0].mean() > 0.99, "training images are wrong at λ = 0"

# %% tags=["hide-input"]
longer = sweep(MLP((64, 32, 10)), *images.train, test=images.test, loss="cross_entropy", lr=0.3,
               momentum=0.9, weight_decay=[0, lambdas[3]], seeds=seeds(12),
               init_scale=[1.0, large], steps=600, record_every=200)
late_lag = claims.interval(-100 * longer.test_accuracy.diff("init_scale").values[:, :, 0, -1])
fade, left, pushed = (1 - 0.9) / (0.3 * lambdas[3]), [1.0], 0.0  # a weight without gradient
for _ in range(200):
    pushed = 0.9 * pushed + lambdas[3] * left[-1]
    left.append(left[-1] - 0.3 * pushed)

# %% tags=["hide-input"]
behind = -100 * run.test_accuracy.diff("init_scale").values[:, :, 0]  # seed, λ, step
lag, told_steps = claims.interval(behind), run.step.values[[2, -1]]
more_gained = claims.interval(np.diff(chosen_accuracy - accuracy[:, 0], axis=1)[:, 0])

# %% tags=["hide-input"]
uneven = [abs(np.diff(each.mean(0))[0]) for each in (accuracy[:, 0], chosen_accuracy)]
assert uneven[1] < uneven[0] / 2, "with the chosen λ both starts are not about as accurate"

# %% tags=["hide-input"]
def draw_columns(ax, values, names, digits):
    """Columns of seeds, a group for each start, joined by thin lines, with their means."""
    count = len(names)
    for start in range(2):
        places = np.arange(count) + start * (count + 0.4)
        ax.plot(places, values[:, start].T, color=figures.GREY, lw=0.5, alpha=0.5)
        for k, each in enumerate(values[:, start].T):
            colour, name = figures.ORANGE if "chosen" in names[k] else figures.BLUE, f"{start} {k}"
            ax.plot(np.full(12, places[k]), each, "o", ms=3, color=colour, alpha=0.6,
                    label=f"_seeds {name}")
            ax.plot(places[k], each.mean(), "_", ms=26, mew=3, color=colour, label=f"_mean {name}")
            ax.text(places[k], 0.89, f"{each.mean():.{digits}f}", color=colour, ha="center",
                    va="top", weight="bold", transform=ax.get_xaxis_transform())
    ax.set_xticks([*range(count), *(np.arange(count) + count + 0.4)], 2 * names, size=9)
    ax.axvline(count - 0.3, color=figures.GREY, lw=0.8)
    ax.set(xlim=(-0.5, 2 * count - 0.1))
    for middle, words in ((count / 2 - 0.5, "PyTorch's start"),
                          (1.5 * count - 0.1, f"{large} times as large")):
        ax.text(middle, 0.98, words, ha="center", va="top", transform=ax.get_xaxis_transform())
    ax.set_ylim(top=values.max() + 0.3 * np.ptp(values))  # room for the means

# %% tags=["hide-input"]
def draw_lag(ax):
    """How far the large start is behind, by steps, without penalty and with one λ."""
    after = run.step.values[2:]  # before, no network has learnt much
    for k, colour in ((0, figures.BLUE), (3, figures.ORANGE)):
        ax.fill_between(after, lag.low[k, 2:], lag.high[k, 2:], color=colour, alpha=0.15, lw=0)
        ax.plot(after, lag.mean[k, 2:], "o-", ms=4, color=colour, label=f"_{k}")
        end = late_lag.mean[k // 3]
        ax.errorbar(600, end, late_lag.half[k // 3], fmt="o", ms=4, color=colour, label=f"_end {k}")
        ax.plot([200, 600], [lag.mean[k, -1], end], ":", color=colour, lw=1.2)
        ax.text(560, end + 0.75, f"λ = {lambdas[k]:g}", color=colour, va="center", ha="right")
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xlabel="steps", xscale="log", xlim=(46, 680), ylim=(-0.6, None))
    ax.set_xticks([50, 100, 200, 600], ["50", "100", "200", "600"])
    ax.minorticks_off()
    ax.set_ylabel("points behind\nPyTorch's start")

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, figsize=(5.4, 5.8), height_ratios=[1.25, 1])
draw_columns(axes[0], np.stack([accuracy[:, 0], chosen_accuracy], axis=-1),
             ["λ = 0", "chosen λ"], 1)
draw_lag(axes[1])
axes[0].set(ylabel="test accuracy (%)", xlabel="penalty")
assert (large, len(picked)) == (6, 12), "the description says so"

# %% tags=["hide-input"]
upper, lower = map(figures.drawn, axes)
up = [upper[f"_mean {start} 1"].y[0] - upper[f"_mean {start} 0"].y[0] for start in range(2)]
axes[0].set_title(f"The chosen λ gains {up[0]:.1f} points from PyTorch's start,\n"
                  f"and {up[1]:.1f} from one {large} times as large", x=-0.1)
axes[1].set_title("With a penalty the large start catches up,\nbut only with time", x=-0.1)
free_line, decayed_line = lower["_0"].y, lower["_3"].y  # from step 50 to step 200
figures.show(fig, "A network on 100 digits, 12 seeds as dots that thin lines join, from PyTorch's "
             "start and from one with weights 6 times as large. Above, mean accuracy: "
             f"{upper['_mean 0 0'].y[0]:.1f} % at λ = 0 and {upper['_mean 0 1'].y[0]:.1f} % with "
             f"the chosen λ; from the large start {upper['_mean 1 0'].y[0]:.1f} % and "
             f"{upper['_mean 1 1'].y[0]:.1f} %. Below, how far the large start is behind, by "
             f"steps: at λ = 0 {free_line[0]:.1f} points after {lower['_0'].x[0]:.0f} steps, then "
             f"{free_line[-1]:.1f}, and {lower['_end 0'].y.ravel()[0]:.1f} after 600; with a "
             f"penalty {decayed_line[0]:.1f}, then {decayed_line[-1]:.1f}, and "
             f"{abs(lower['_end 3'].y.ravel()[0]):.1f} in the end.", number="1.10",
             caption="Above, small dots are 12 seeds, joined by thin lines; bars and numbers are "
             "means. Below, mean differences of accuracy with 95 % intervals (too narrow: seeds "
             "share images); orange is the λ chosen most often. Dotted lines lead to longer runs.")

# %% tags=["hide-input"]
claim("01-large-gain", f"From a start {large} times as large the chosen λ gains "
      f"{more_gained.mean:.1f} points more than from PyTorch's, on the mean of 12 seeds. The "
      "paired 95 % interval begins at {:.1f}.", measured=more_gained.low, above=0)

# %% [markdown]
# The claim's interval begins above 0 for 40 of 40 other sets of 12 seeds, too.
#
# **From PyTorch's start** the chosen λ gains {{gained.mean[0]:.1f}} ± {{gained.half[0]:.1f}} points of accuracy. **From the large start** it gains
# {{gained.mean[1]:.1f}} ± {{gained.half[1]:.1f}}: the network ends about as accurate as from PyTorch's.
#
# That takes time. At $\lambda = {{lambdas[3]}}$, chosen most often, the large start is {{lag.mean[3, 2]:.1f}} points behind PyTorch's after {{told_steps[0]}} steps,
# {{lag.mean[3, -1]:.1f}} after {{told_steps[1]}} and {{abs(late_lag.mean[1]):.1f}} ± {{late_lag.half[1]:.1f}} after {{longer.step.values[-1]}}. Without penalty it is {{lag.mean[0, 2]:.1f}} points behind, and in the end still {{late_lag.mean[0]:.1f}}.
#
# **So in this network the penalty helps from a good start, too. It also repairs a bad one, if it gets the time.**
#
# <details>
# <summary>How much time does it need?</summary>
#
# Each step repeats 0.9 of the previous one, so a gradient acts, in the long run, like $1/(1-0.9)=10$ of them. A weight without gradient then falls to
# $1/e$ in about $1/(10\,\eta\lambda)={{fade:.0f}}$ steps. After {{told_steps[0]}} steps {{left[told_steps[0]]:.0%}} of it is left, after {{told_steps[1]}} only
# {{left[told_steps[1]]:.0%}}. (Why a large start harms we do not show.)
#
# </details>
#
# <details>
# <summary>Is the harm of the large start in null directions of the images?</summary>
#
# Unlike in the puzzle, it is not. The {{images.train.X.shape[1]}} images leave {{min(null_counts)}} to {{max(null_counts)}} of the {{images.train.X.shape[2]}} input
# directions null. There the first layer keeps its start without penalty. But test images hardly use them: erasing this part
# changes the mean test loss (the cross-entropy, by natural logarithms) from the large start by {{abs(erased):.4f}}, and the accuracy by {{abs(erased_points):.2f}} points.
#
# </details>
#

# %% tags=["hide-input"]
inside = validation_loss.mean(0)[2:-1].min(0)
assert (validation_loss.mean(0)[[1, -1]] > inside).all(), "the best λ is at an end of the grid"

# %% tags=["hide-input"]
pairs = [(chosen_loss[:, start] - nats[:, 0, start], chosen_drop.mean[start],
          chosen_drop.high[start]) for start in range(2)]
pairs += [(upper[f"_seeds {start} 1"].y - upper[f"_seeds {start} 0"].y, gained.mean[start],
           gained.high[start]) for start in range(2)]
claim("01-paired", "losses, drawn accuracies: mean and Student's 95 % of 12 differences as told",
      equals=0, within=1e-6, measured=[[each.mean() - mean, (high - each.mean())
                 / (each.std(ddof=1) / np.sqrt(12)) - 2.2009851601] for each, mean, high in pairs])

# %% tags=["hide-input"]
assert abs(erased / chosen_drop.mean[1]) < 0.05, "the null part of the large start does harm"
assert max(left_over) < 0.2, "the penalty does not erase null directions"
assert abs(erased_points) < 0.5, "erasing the null part changes the accuracy"
claim("01-longer", "after 200 steps the longer runs are the shorter ones; their ends are drawn",
      measured=[*(longer.test_accuracy.values[..., 1]
                  - run.test_accuracy.values[:, [0, 3]][..., -1]).ravel(),
                *(lower[f"_end {k}"].y.ravel()[0] - late_lag.mean[k // 3] for k in (0, 3))],
      equals=0, within=1e-6)
claim("01-fade", f"With λ = {lambdas[3]:g} the part of the first layer in null directions of the "
      "images ends at {} times its start.",
      measured=left_over, equals=left[200], within=1e-4)
claim("01-accuracies", "the drawn accuracies, and the losses, are those of the sweep",
      measured=[[nats[:, 0, start] - last.test_loss.values[:, 0, start],
                 chosen_loss[:, start] - at_picked(last.test_loss.values)[:, start],
                 lower["_0"].y[-1] - np.repeat(np.mean(accuracy[:, 0] @ [1, -1]), 12),
                 lower["_3"].y[-1] - np.repeat(np.mean(accuracy[:, 3] @ [1, -1]), 12),
                 upper[f"_seeds {start} 0"].y - accuracy[:, 0, start],
                 upper[f"_seeds {start} 1"].y - chosen_accuracy[:, start]] for start in range(2)],
      equals=0, within=1e-6)

# %% [markdown]
# ## 1.10 What we have learnt
#
# Figure 1.11 shows where the weights along each kind of direction end, for three uncorrelated inputs of variance {{below: curvatures[0]:g}}, {{below: curvatures[1]:g}} and {{below: curvatures[2]:g}}, where least squares has the
# weight 1 for the first two. Two runs start at 0.5, with and without penalty, and one at 0, to be stopped early.

# %%
curvatures = np.array([1, 0.01, 0])  # strong, weak, null


def three_weights(weight_decay, start=0.5, steps=2000, lr=0.5):
    path = [np.full(3, start)]
    for _ in range(steps):
        pull = curvatures * (path[-1] - 1)  # the gradient of the loss
        path.append(path[-1] - lr * (pull + weight_decay * path[-1]))
    return np.array(path)


runs = {0: three_weights(0), 0.1: three_weights(0.1)}
to_stop = three_weights(0, start=0)

# %% tags=["hide-input"]
def draw_direction(ax, k):
    for lam, path in runs.items():
        colour = figures.ORANGE if lam else figures.BLUE
        ax.plot(np.arange(1, 2001), path[1:, k], color=colour, label=f"_{lam}")
        ax.plot([0.4, 1], path[:2, k], ":", lw=1.2, color=colour, label=f"_first {lam}", zorder=1)
    ax.plot(np.arange(1, 2001), to_stop[1:, k], "--", lw=1.2, color=figures.BLUE, label="_zero")
    ax.plot([20, 20], [-0.05, 1], color="black", lw=1, ls=":", label="_stop")
    ax.plot(0.4, 0.5, "o", ms=6, color="black", clip_on=False, label="_start")  # step 0
    ax.plot(0.4, to_stop[0, k], "o", ms=6, color=figures.BLUE, clip_on=False, label="_from")
    ax.plot([0.4, 1], to_stop[:2, k], ":", lw=1.2, color=figures.BLUE, label="_first", zorder=1)
    ax.plot(20, to_stop[20, k], "o", ms=7, mfc="white", mew=1.6, color=figures.BLUE,
            label="_stopped", zorder=5)
    ax.plot(2000, runs[0.1][-1, k], "s", ms=7, color=figures.ORANGE, clip_on=False, label="_end")
    if k < 2:
        ax.axhline(1, color=figures.GREY, lw=1, ls="--", zorder=0)

# %% tags=["hide-input"]
def label_direction(ax, k):
    ax.text(0.75, -0.05, "//", ha="center", va="center", weight="bold", size=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})
    ax.text(0.4, 1.19, f"s²/n = {curvatures[k]:g}", size=9)
    at, beside = ((60, 1.03), (2, 0.56), (60, 0.53))[k], (60, (0.82, 0.12, 0.05)[k])
    ax.text(*at, "λ = 0", color=figures.BLUE, size=9)
    ax.text(*beside, "λ = 0.1", color=figures.ORANGE, size=9)
    ax.set(xscale="log", xlim=(0.28, 2000), ylim=(-0.05, 1.3), xlabel="steps")
    ax.set_xticks([0.4, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"], size=8)
    ax.minorticks_off()

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 3, figsize=(5.4, 3.3), sharey=True)
axes[1].text(0.4, 1.02, "least squares", color=figures.GREY, va="bottom", size=9)
axes[1].text(0.36, 0.4, "start", size=9, va="center")
for ax, at in zip(axes, ((2.7, 0.6), (1.1, 0.14)), strict=False):
    ax.text(*at, "from\nzero", color=figures.BLUE, va="center", size=9)
axes[0].text(24, 0.45, "20 steps:\nηt = 1/λ", va="center", size=9)
for k, (ax, kind) in enumerate(zip(axes, ("strong", "weak", "null"), strict=True)):
    draw_direction(ax, k), label_direction(ax, k)
    ax.set_title(kind)
    ax.set_ylabel("weight along the direction").set_visible(k == 0)  # one axis for all three

# %% tags=["hide-input"]
kinds = [figures.drawn(ax) for ax in axes]
free_end, decayed_end = ([drawn[name].y[-1] for drawn in kinds] for name in ("_0", "_0.1"))
rings, squares_at = ([drawn[name].y[0] for drawn in kinds] for name in ("_stopped", "_end"))
figures.title(fig, "The penalty spares strong, shrinks weak and erases null\n"
              "directions (squares); stopping does nearly the same (rings)")
figures.show(fig, "Three panels of a weight against the steps of gradient descent, from a "
             "black dot at 0.5, for a strong, a weak and a null direction. With λ = 0 they end at "
             f"{free_end[0]:.2f}, "
             f"{free_end[1]:.2f} and {free_end[2]:.2f}; with λ = 0.1 at {decayed_end[0]:.2f}, "
             f"{decayed_end[1]:.2f} and {decayed_end[2]:.2f}. A dashed run from zero "
             f"with λ = 0 is stopped at 20 steps, where it has {rings[0]:.2f}, {rings[1]:.2f} and "
             f"{rings[2]:.2f}.", number="1.11",
             caption="Blue is gradient descent with λ = 0, orange with λ = 0.1. The dashed run "
             "from zero (blue dot) is stopped at the vertical line, by (1.9). Compare ring and "
             "square. The short dotted pieces are the first step.")

# %% [markdown]
# - **Strong directions** ($s_i^2/n\gg\lambda$) soon settle near least squares.
# - **Weak directions** reach least squares late, and by then carry all its noise (this toy has none). A penalty brings them near zero.
#   So does stopping a run from zero after $1/(\eta\lambda)$ steps.
# - **Null directions** keep the start for ever, unless a penalty erases it.

# %% tags=["hide-input"]
settled = {lam: curvatures / np.maximum(curvatures + lam, 1e-300) for lam in runs}  # (1.2)
settled[0][2] = 0.5  # nothing moves it
claim("01-three", "the drawn weights go from 0.5 to the share of (1.2) at the rate 1 − η(s²/n + λ)",
      measured=[drawn[f"_{lam}"].y - settled[lam][k] - (0.5 - settled[lam][k])
                * (1 - 0.5 * (curvatures[k] + lam)) ** np.arange(1, 2001)
                for lam in runs for k, drawn in enumerate(kinds)], equals=0, within=1e-9)
claim("01-rings", "the rings have the shares of (1.8), the squares those of (1.2)",
      measured=[*(rings - (1 - (1 - 0.5 * curvatures) ** 20)),
                *(squares_at - curvatures / (curvatures + 0.1))], equals=0, within=1e-9)

# %% tags=["hide-input"]
claim("01-stop", "the dotted line is where (1.9) translates η = 0.5 into λ = 0.1",
      measured=[1 / (0.5 * drawn["_stop"].x[0]) for drawn in kinds], equals=0.1, within=1e-9)

# %% [markdown]
# ## 1.11 In practice
#
# - **Linear models.** Standardise the inputs by the training part alone, and leave the intercept free. Try thirty λ, evenly spaced in
#   $\log\lambda$ from 10⁻⁴ times the largest $s_i^2/n$ to ten times it. If the best is at an end, extend the grid.
#   scikit-learn's `RidgeCV` does leave-one-out; its `alphas` are $n\lambda$. Pass them all: by default it tries {{len(RidgeCV().alphas)}}.
# - **Networks.** Begin with 0 and the common values of [chapter 3](03_one_lambda_many_meanings.ipynb), a factor of 3 apart;
#   then more finely near the best (§1.9). On AdamW see [chapter 9](09_adaptive_optimisers.ipynb).
#
# ## 1.12 Exercises
#
# Begin with 8.
#
# **1.** *(Think, then run.)* Every training example is listed twice. Does $w_\lambda$ change? Which
# `alpha` of scikit-learn gives it now? Which λ does leave-one-out choose?
#
# <details>
# <summary>Solution</summary>
#
# In (1.1) $X^\top X$, $n$ and $X^\top y$ all double, so $w_\lambda$ stays as it is. For the same fit `alpha`, which is $n\lambda$, has to
# double. Leave-one-out is deceived: the twin of the example that is left out is still in the fit, so its errors are too
# small, most of all for flexible fits. It chooses too small a λ. On the splits of §1.7
# `[lams[1 + without_refit(np.tile(fit, 2))[0].argmin()] for fit, _ in splits]` has the median 0.0013, against
# 0.56 if each is listed once.
#
# </details>
#
# **2.** *(Predict, then run.)* Penalise the intercept, too: in `train`, replace `error.mean(0)` in the step of `b` by
# `(error.mean(0) + weight_decay * b)`. What becomes of the intercept's error in the rows of §1.2's table? (The claim `01-train` will stop
# the notebook. Go on below it, to the cell of `parts`, and print `parts[:, :, 2].mean(0)`.)
#
# <details>
# <summary>Solution</summary>
#
# In the second row it falls from 0.047 to 0.0023. The $(u, 1)$ of §1.2 (the fold *What no run can learn*) is one more null direction, of weights and intercept
# together. A penalty on $w$ alone pulls only weakly along it, because $u$ is short. So after {{steps}} steps much of the start's noise is
# still there. A penalty on $b$, too, sees all of $(u, 1)$, so fact 3 now holds in all 181 null directions of $(w, b)$.
#
# But $b$ is now held near zero like the weights: it ends at 0.003 on average, where the truth is 0.05. This makes almost the whole error
# that is left: $(0.05 - 0.003)^2 \approx 0.0022$. Still, the whole test error of the second row
# falls, from 0.200 to 0.152. In the fourth row, where there is no noise of the start to erase, the
# penalised intercept is worse than the free one: 0.0021 against 0.0012. With a start at zero only the harm is left: so start at
# zero, and leave intercepts free.
#
# </details>
#
# **3.** *(Proof.)* Show that $w_\lambda$ has no part in null directions, and tends to $\hat w$ as $\lambda\to 0$.
#
# <details>
# <summary>Solution</summary>
#
# By (1.1) (which without an intercept holds uncentred, too) $w_\lambda = X^\top(y - Xw_\lambda)/(n\lambda)$: a sum of multiples of the training inputs. So it is at a right angle to all null
# directions, and the $v_i$ of §1.4 span all the others. By (1.2) $v_i^\top w_\lambda\to v_i^\top\hat w$ for each of them, and $\hat w$ has
# no null part either, since such a part would only make it longer. If perfect fits exist, $\hat w$ is the one of smallest norm: the
# white dot of Figure 1.2. The star there is $w_\lambda = 2.5\,x/(\lVert x\rVert^2 + \lambda)$ with $\lambda = 1$. For smaller λ it moves along $x$ to the white dot,
# which is $2.5\,x/\lVert x\rVert^2$.
#
# </details>
#
# **4.** *(Derive.)* Show that ridge on centred data is least squares with more examples: the rows of
# $\sqrt{n\lambda}\,I$, all with the target 0. What does each new example claim about the weights?
#
# <details>
# <summary>Solution</summary>
#
# The sum of squares becomes $\lVert y - Xw\rVert^2 + \lVert 0 - \sqrt{n\lambda}\,w\rVert^2 = 2n\,(L + \frac\lambda2\lVert w\rVert^2)$.
# Each new example says that one input alone, at $\sqrt{n\lambda}$, has the answer zero. Together they add $n\lambda$ to each $s_i^2$
# and nothing to $X^\top y$. That is (1.1): a direction that the data saw little is now seen, with the answer zero. With
# `np.linalg.lstsq(np.vstack([X, np.sqrt(n * 0.1) * np.eye(10)]), np.append(y - y.mean(), np.zeros(10)))[0]` the weight of HDL is -9.0, as in §1.3.
#
# </details>
#
# **5.** *(Predict, then look.)* Halve the noise in §1.6's code: `sigma` is 27.0 in place of 54.0. What becomes of the λ of (1.5), of the
# best λ, and of the share of the error that it leaves? (Below Figure 1.6 print `sigma**2 / 100 / np.mean(truth**2), best, remaining`: names of folded cells.)
#
# <details>
# <summary>Solution</summary>
#
# By (1.5) λ falls by a factor of 4, from 0.095 to 0.024. The best λ falls, too: for the predictions from 0.11 to 0.028, and for
# the weights from 0.11 to 0.013, by a factor of about 8. Why not 4? (1.5) is for the average over many $w^*$, and here is one. One direction makes
# 86 % of the error, so the smaller the noise, the closer the best λ is to the one that is best for this direction alone, $\sigma^2/(nc_{10}^2)$, where $c_{10} = v_{10}^\top w^*$: this falls from 0.048 to 0.012. The best λ now saves only
# 57 % of the error of the weights in place of 81 %. Of that of the predictions it saves 12 % in place of 26 %. The lesson: a penalty
# can only take noise away, and least squares has less of it now.
#
# </details>
#
# **6.** *(Derive, then run.)* Descend on $J$ from zero, and stop after $t$ steps. Which share of the least-squares
# component is reached along $v_i$? And for $t\to\infty$, or $\lambda\to0$?
#
# <details>
# <summary>Solution</summary>
#
# Write $\rho = s_i^2/n$, the curvature. Along $v_i$ each step replaces $c$ by $c + \eta\,(\rho\,(\hat c - c) - \lambda c)$, where $\hat c = v_i^\top\hat w$. It stands
# still at $c = \frac{\rho}{\rho+\lambda}\,\hat c$, and each step multiplies the distance to there by $1 - \eta(\rho+\lambda)$. So after $t$ steps from
# zero the share is
#
# $$\frac{s_i^2}{s_i^2+n\lambda}\,\Big(1-\big(1-\eta\,(s_i^2/n+\lambda)\big)^t\Big).$$
#
# For $t\to\infty$ it is ridge's (1.2), if $\eta(\rho+\lambda) < 2$, and for $\lambda\to0$ it is (1.8). Null directions stay at zero. With
# penalty and early stopping together, each direction settles at the rate $\rho+\lambda$ in place of $\rho$: once $\eta t\lambda\gg1$, it no longer matters when you stop. With
# `both_ways = factors * (1 - (1 - 0.2 * (s**2 / n + 0.1)) ** 20)` the tenth direction has
# the share 0.028 after 20 steps of $\eta = 0.2$ at $\lambda = 0.1$, and 0.079 in the end.
#
# </details>
#
# **7.** *(Derive.)* Let new inputs have $r_i$ times the variance of the training inputs along $v_i$. What becomes of the noise $\sigma^2/n$ in §1.6, and of (1.5)?
#
# <details>
# <summary>Hint</summary>
#
# The prediction for a new input $x$ is off by $\sum_i x^\top v_i\,e_i$, where $e_i$ is the error of the weight along $v_i$.
#
# </details>
#
# <details>
# <summary>Solution</summary>
#
# Let new inputs $x$ have mean zero, like the centred training inputs, and square the sum. The noise of different directions is uncorrelated, so of its products only
# the squares are left on average, and $(x^\top v_i)^2$ is on average $r_i s_i^2/n$. So the noise of direction $i$ is multiplied by $r_i$: without
# penalty it is $r_i\,\sigma^2/n$, and all together $\frac{\sigma^2}{n}\sum_i r_i$ (half of it in our loss). With the σ of §1.6, the noise of least squares should add about {{new_noise:.0f}} to the test loss on the splits of §1.7, and {{64 * same_noise:.0f}} at the training inputs.
# (This is a rough estimate: the measured {{none.mean():.0f}} of §1.7, less $\frac12\sigma^2$ for the noise of the test targets, leaves only {{none.mean() - sigma**2 / 2:.0f}}.)
#
# For one $w^*$ the bias also has products of different directions, if new
# inputs are correlated along them. For the independent true weights of (1.5) these products vanish on average, too. Then each
# direction's error is only multiplied by $r_i$, which moves no minimum: (1.5) stays. If, as in Figure 1.8, $r_i$ is largest in weak directions, these count more, and the gain grows.
#
# </details>
#
# **8.** *(By hand.)* Three directions have the variances 4, 1 and 0.01. Which shares does $\lambda=0.1$ keep? How many degrees of freedom?
#
# <details>
# <summary>Solution</summary>
#
# By (1.2) the shares are $4/4.1\approx0.98$, $1/1.1\approx0.91$ and $0.01/0.11\approx0.09$. By (1.3) their sum, 1.98, is the degrees of
# freedom: a little less than the two directions above λ.
#
# </details>
#
# ## 1.13 The sources, line by line
#
# Sentences of three sources ([chapter 0](00_start_here.ipynb)), judged:

# %% tags=["hide-input"]
from l2lib.claims import verdict

# %% tags=["hide-input"]
crushed, b_crushed = ridge(X, y, 1e12)
Z, penalties = np.column_stack([X, np.ones(n)]), np.diag([0.1] * 10 + [1e12])
b_penalised = np.linalg.solve(Z.T @ Z + n * penalties, Z.T @ y)[-1]

# %% tags=["hide-input"]
older, newer = np.split(np.arange(n), [221])
assert not np.intersect1d(older, newer).size
centre = ridge(X[older], y[older], 0)[0]
towards = [centre + ridge(X[newer], y[newer] - X[newer] @ centre, lam)[0] for lam in (0, 1e12)]
strong, weak = np.mean((X @ Vt[0]) ** 2), np.mean((X @ Vt[-1]) ** 2)

# %% tags=["hide-input"]
claim("S3-09", "at the minimum a huge λ makes the weights vanish", measured=np.abs(crushed),
      below=1e-6)
claim("S2-20", "λ = 0 is ordinary least squares",
      measured=w_hat - np.linalg.lstsq(X, y - y.mean())[0], equals=0, within=1e-8)
claim("S2-20", "λ = 10¹²: every prediction is the mean target",
      measured=X @ crushed + b_crushed - y.mean(), equals=0, within=1e-6)
claim("S2-18", "penalty 10¹² on b: the answer for the average patient is 0", measured=b_penalised,
      equals=0, within=1e-6)
claim("S2-18", "free b: the answer for the average patient is the mean target",
      measured=ridge(X, y, 0.1)[1] - y.mean(), equals=0, within=1e-9)
claim("S2-19", "for λ → ∞ the weights go to the centre you chose",
      measured=towards[1] - centre, equals=0, within=1e-6)
claim("S2-19", "for λ = 0 the choice is forgotten",
      measured=towards[0] - ridge(X[newer], y[newer], 0)[0], equals=0, within=1e-8)

# %% tags=["hide-input"]
million, many = torch.full((1_000_000,), 1e-4), torch.full((10_000,), 0.5)
claim("S2-21", "a w of norm 1 along vᵢ makes a function of mean square sᵢ²/n",
      measured=np.array([strong, weak]) * n / s[[0, -1]] ** 2, equals=1, within=1e-9)
claim("S2-21", "with whitened inputs a w of norm 1 makes a function of mean square 1",
      measured=np.mean((np.sqrt(n) * U @ Vt[0]) ** 2), equals=1, within=1e-12)
claim("S2-22", "a million entries of 10⁻⁴ have norm {}",
      measured=million.double().norm(), equals=0.1, within=1e-6)
claim("S2-23", "10,000 entries of 0.5 have norm {}", measured=many.norm(), equals=50, within=1e-6)
claim("S3-06", "the norm of a zero vector is 0", measured=torch.zeros(3).norm(),
      equals=0, within=1e-15)
claim("S3-07", "the norm of a zero matrix is 0", measured=torch.zeros(3, 2).norm(),
      equals=0, within=1e-15)

# %% tags=["hide-input"]
twice_X, twice_y = np.vstack([X, X]), np.hstack([y, y])
same = ridge(twice_X, twice_y, 0.1)[0] - ridge(X, y, 0.1)[0]
summed = np.linalg.solve(twice_X.T @ twice_X + n * 0.1 * np.eye(10), twice_X.T @ twice_y)
halved = np.linalg.solve(X.T @ X + n * 0.05 * np.eye(10), X.T @ y)
hundred = np.linalg.solve(1000 * X.T @ X + 442 * np.eye(10), 1000 * X.T @ y)
claim("S3-08", "λ/2 added to the mean loss: copying every example changes nothing",
      measured=same, equals=0, within=1e-9)
claim("S3-08", "λ/(2m), that is λ/2 added to the sum: copying is the same as halving λ",
      measured=summed - halved, equals=0, within=1e-9)
claim("S3-10", "λ/(2m): 1000 copies of each example shrink as a thousandth of λ does",
      measured=hundred - ridge(X, y, 1 / 1000)[0], equals=0, within=1e-8)

# %%
verdict("S2-25", "under conditions",
        f"With N(0,1) starts most of the gap is noise of the start in {null_count} directions "
        "that "
        "training cannot see. From zero it gains a few per cent, in the intercept.")
verdict("S0-12", "true",
        "The objective at its minimum never falls with λ, whatever the data: F′ = ‖w‖²/2 ≥ 0.")
verdict("S3-03", "false", "Early stopping adds none, and lowers the test loss.")

# %%
verdict("S0-03", "convention",
        "Without the ½ the same λ shrinks twice as fast; intercepts are left out here too.")
verdict("S0-09", "true", "Gradient descent sees the gradient only: a constant changes no iterate.")
verdict("S0-10", "true",
        "Early stopping is one: it adds no term. In small steps, and where curvatures differ, no λ "
        "gives its filter.")

# %%
verdict("S2-17", "false",
        "λ is its multiplier; the radius R(λ) depends on the data and falls with λ.")

# %%
verdict("S2-18", "under conditions",
        "A linear model is then linear: f(0) = 0 whatever the targets. A ReLU network without "
        "biases has f(0) = 0 as well, but is not linear.")
verdict("S2-19", "convention",
        "It is what this penalty shrinks to. Shrinking towards another centre is the same "
        "algebra.")

# %%
verdict("S2-20", "false",
        "λ = 0 is no penalty (training may still prefer one fit, §1.2). With a free intercept the "
        "limit λ → ∞ answers the mean target.")

# %%
verdict("S2-21", "under conditions",
        "‖w‖ is the root mean square of wᵀx for every w if XᵀX/n = I, and not otherwise.")
verdict("S2-22", "answered",
        f"No: a million entries of 10⁻⁴ have norm "
        f"{million.norm():.1f}. The norm adds squares and does not count.")

# %%
verdict("S2-23", "false",
        f"10,000 entries of 0.5 have norm {many.norm():.0f}. The other way round it holds: "
        "|w_i| ≤ ‖w‖.")

# %%
verdict("S3-01", "under conditions",
        "Variance falls, for any λ > 0. Whether the error falls depends on λ; some λ > 0 beats "
        "least "
        "squares in expectation.")

# %%
verdict("S3-02", "under conditions",
        "Training loss never falls with λ at global minima (§1.7); that test loss falls is not "
        "guaranteed.")

# %%
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
claims.identities()

# %% [markdown]
# ## Where next, and sources
#
# [Chapter 2](02_from_penalty_to_weight_decay.ipynb) looks at each step of training. On null directions and noise, read
# [Krogh and Hertz (1991)](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html).
