# %% [markdown]
# # 3 One λ, many meanings
#
# On {{below: n}} examples scikit-learn's `Ridge(alpha=0.1)` is a penalty hundreds of
# times weaker than `weight_decay=0.1` in PyTorch's `SGD` on a mean loss. In `AdamW` the same number is no penalty:
# there each step also multiplies every weight by $1-\eta\lambda$, where η is the learning rate. Yet the weights come to rest as if there were a penalty (§3.4).
#
# After this chapter you can translate a λ from one library to another, say how fast a weight shrinks under Adam with L2 and AdamW and where it rests,
# find a first λ when you change between the two, and say what a schedule does to the decay.
#
# *Reading time an hour; the code runs in about 10 seconds.*
#
# ## 3.1 One number, six programs
#
# Six programs get the same number, $x=0.1$, for the penalty of a linear model. Do they fit the same weights? The data
# are the {{below: n}} patients of [chapter 1](01_what_an_l2_penalty_does.ipynb): ten measurements and a target, all standardised.
#
# Three programs use PyTorch's SGD, and differ in the loss: half the mean squared error (½ MSE), `MSELoss` (without the
# half), and the sum of the squared errors. A fourth adds $x\lVert w\rVert^2$ to ½ MSE by hand. The last two are scikit-learn's `Ridge`
# and an `MLPRegressor` without hidden layers.

# %% tags=["hide-input"]
from itertools import pairwise

import numpy as np
import torch
from matplotlib.patches import Rectangle
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from torch.nn import functional

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.conventions import convert, dictionary
from l2lib.datasets import load
from l2lib.penalty import ridge
from l2lib.splits import split

data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y = (data.y - data.y.mean()) / data.y.std()
n = len(data.y)


# %% tags=["hide-input"]
def fit(loss, weight_decay, lr, extra=0.0):
    """A linear model's weights, trained in PyTorch; ``extra`` stands before ‖w‖² in the loss."""
    inputs, targets = torch.tensor(X), torch.tensor(y)[:, None]
    W = torch.zeros(10, 1, dtype=torch.float64, requires_grad=True)
    # Momentum makes the training short; it does not move the minimum.
    optimizer = torch.optim.SGD([W], lr=lr, momentum=0.85, weight_decay=weight_decay)
    for _ in range(200):
        optimizer.zero_grad()
        (loss(inputs @ W, targets) + extra * W.square().sum()).backward()
        optimizer.step()
    return W.detach().numpy().squeeze()


# %% tags=["hide-input"]
def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


def sse(outputs, targets):
    return functional.mse_loss(outputs, targets, reduction="sum")


# %% tags=["hide-input"]
def perceptron(alpha):
    options = {"solver": "lbfgs", "tol": 1e-14, "max_iter": 1000, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=(), alpha=alpha, **options)
    return model.fit(X, y).coefs_[0][:, 0]


# %% tags=["hide-input"]
# At the rates 0.8, 0.4 and 0.4/n the gradients of the three losses give the same step.
programs = {
    "SGD, ½ MSE": lambda x: fit(half_mse, x, 0.8),
    "SGD, MSELoss": lambda x: fit(functional.mse_loss, x, 0.4),
    "SGD, summed loss": lambda x: fit(sse, x, 0.4 / n),
    "½ MSE + x‖w‖²": lambda x: fit(half_mse, 0, 0.8, extra=x),
    "Ridge": lambda x: Ridge(alpha=x).fit(X, y).coef_,
    "MLPRegressor": perceptron,
}
same_number = {name: program(0.1) for name, program in programs.items()}

# %% [markdown]
# Let $L$ be half the mean squared error, or for a classifier the mean cross-entropy. This
# book minimises $L+\frac\lambda2\lVert w\rVert^2$. For some λ this sum has its minimum where the program's objective has its own.
# We call it *the book's λ* of the number $x$ that you type (Figure 3.1).

# %% tags=["hide-input"]
x = 0.1  # what you type, and c and k of (3.1)
# MLPRegressor divides its penalty by the batch size; with L-BFGS the batch is all n examples.
c_and_k = {"SGD, ½ MSE": (1, x / 2), "SGD, MSELoss": (2, x / 2),
           "SGD, summed loss": (2 * n, x / 2), "½ MSE + x‖w‖²": (1, x),
           "Ridge": (2 * n, x), "MLPRegressor": (1, x / (2 * n))}
book_lams = {name: 2 * k / c for name, (c, k) in c_and_k.items()}
least, exact = ridge(X, y, 0)[0], ridge(X, y, 0.1)[0]  # weights at λ = 0 and 0.1
lengths = {name: np.linalg.norm(w) / np.linalg.norm(least) for name, w in same_number.items()}

# %% tags=["hide-input"]
assert max(lengths.values()) < 1, "weights longer than those of least squares: a program diverged"
by_n = "SGD, summed loss", "Ridge", "MLPRegressor"  # their x is divided by n


# %% tags=["hide-input"]
def draw_programs(ax, bars):
    """What x = 0.1 means in each program (dots), and the length of its weights (bars)."""
    ordered = sorted(programs, key=book_lams.get)
    for row, name in enumerate(ordered):
        colour = figures.GREEN if name in by_n else figures.GREY
        ax.plot(book_lams[name], row, "o", ms=9, color=colour, label=name)
        ax.annotate(f"{book_lams[name]:.2g}", (book_lams[name], row), xytext=(10, 0), va="center",
                    textcoords="offset points")
        bars.barh(row, 100 * lengths[name], height=0.6, color=colour, label=name)
        bars.text(100 * lengths[name] - 3, row, f"{lengths[name]:.0%}", va="center", ha="right",
                  color="white")
    ax.set_yticks(range(6), ["sklearn " * (name in by_n[1:]) + name
                             + ", by hand" * (name == "½ MSE + x‖w‖²") for name in ordered])
    ax.text(0.04, 1, "x is in effect\ndivided by n or 2n", va="center", ha="center",
            color=figures.GREEN)
    ax.text(0.006, 4, "x is not\ndivided by n", va="center", ha="center", color=figures.GREY)
    for axes in (ax, bars):
        axes.grid(axis="y", visible=False)


# %% tags=["hide-input"]
fig, (ax, bars) = figures.subplots(1, 2, figsize=(7.4, 3.3), sharey=True,
                                   gridspec_kw={"width_ratios": [1.5, 1]})
draw_programs(ax, bars)
ax.set(xscale="log", xlim=(6e-5, 0.9), ylim=(-0.6, 5.6), ylabel="program, given x = 0.1")
ax.set(xlabel="the book's λ that x = 0.1 means")
ax.set_xticks([1e-4, 1e-3, 0.01, 0.1], ["0.0001", "0.001", "0.01", "0.1"]), ax.minorticks_off()
bars.set(xlabel="‖w‖, % of least squares", xlim=(0, 100), ylabel=" ", xticks=(0, 50, 100))
bars.tick_params(axis="y", left=False)
drawn = figures.drawn(ax)
smallest, largest = drawn["SGD, summed loss"].x[0], drawn["½ MSE + x‖w‖²"].x[0]
ax.set_title(f"In six programs x = 0.1 means\nλ from {smallest:.1g} to {largest:.1g}")
bars.set_title("The larger λ,\nthe shorter w")
figures.show(fig, f"Six rows, sorted by the λ that x = 0.1 means. The summed loss is lowest "
             f"with {smallest:.2g}, then Ridge and MLPRegressor with {drawn['Ridge'].x[0]:.2g}, "
             f"MSELoss with {drawn['SGD, MSELoss'].x[0]:.2g}, half the mean squared error with "
             f"{drawn['SGD, ½ MSE'].x[0]:.1g}, and x‖w‖² by hand with {largest:.1g}. At the right "
             "bars show how much is left of the length of the least-squares weights: the larger "
             "λ, the less.", number="3.1",
             caption="Dots show the λ that x = 0.1 means, bars the length of the weights. "
             "In the green rows x is in effect divided by the number n of examples or by 2n.")

# %% tags=["hide-input"]
claim("S2-14", "Given the same 0.1, six programs fit weight vectors of very different lengths: the "
      "shortest is {} times as long as the longest", between=(0.5, 0.6),
      measured=min(lengths.values()) / max(lengths.values()))

# %% [markdown]
# How do we find a program's λ? `Ridge(alpha=x)`, for example, minimises $\lVert y-Xw\rVert^2+x\lVert w\rVert^2$. The first term
# is $2n$ times $L$. We divide by $2n$, which does not move the minimum:
# $L+\frac x{2n}\lVert w\rVert^2$ remains. So the book's λ is $x/n$.
#
# In general a program minimises $c\,L+k\lVert w\rVert^2$. We divide by $c$, and compare
# $k/c$ with $\lambda/2$:
#
# $$\lambda_{\text{book}} = \frac{2k}{c}. \tag{3.1}$$
#
# PyTorch's `SGD` adds $xw$ to the gradient. This is the gradient of $\frac x2\lVert w\rVert^2$, so $k=x/2$. `MLPRegressor` divides
# this by the batch size, here $n$: $k=x/(2n)$.

# %%
for name, (c, k) in c_and_k.items():
    print(f"{name:16}  c = {c:3g}   k = {k:8.2g}   2k/c = {2 * k / c:.2g}")

# %% [markdown]
# To translate, choose the new $x$ so that $2k/c$ stays the same. To get $\lambda=0.1$ from `Ridge`, type
# {{x * 0.1 / book_lams["Ridge"]:.1f}}:

# %%
target = 0.1  # the book's λ that you want
matched = {name: programs[name](x * target / book_lams[name]) for name in programs}
off = {name: np.linalg.norm(w - exact) / np.linalg.norm(exact) for name, w in matched.items()}
print(f"largest relative distance from ridge regression with λ = 0.1: {max(off.values()):.4f}")

# %% tags=["hide-input"]
claim("03-translated", "Given translated numbers, all six programs fit the weights of ridge "
      "regression with λ = 0.1: the largest relative error, that of MLPRegressor, is {:.4f}",
      measured=list(off.values()), below=1e-3)

# %% tags=["hide-input"]
shrunk = [lengths[name] for name in sorted(book_lams, key=book_lams.get)]
assert (np.diff(shrunk) < 1e-3).all(), "a larger λ leaves longer weights"
off.pop("MLPRegressor")
one_to_three = np.array([1, -1, 2])  # three targets: y, −y and 2y
W = torch.tensor(ridge(X, y, 0.1 * 3 / 2)[0][:, None] * one_to_three, requires_grad=True)
functional.mse_loss(torch.tensor(X) @ W, torch.tensor(y[:, None] * one_to_three)).backward()
claim("03-translated", "without MLPRegressor they do so exactly",
      measured=list(off.values()), equals=0, within=1e-6)
claim("03-dots", "each dot of the picture stands at the λ of (3.1)",
      measured=[drawn[name].x[0] / book_lams[name] for name in programs], equals=1, within=1e-12)
claim("03-targets", "with 3 targets and MSELoss, 0.1 means λ = 0.1 · 3/2", equals=0, within=1e-6,
      measured=W.grad + 0.1 * W.detach())

# %% [markdown]
# **The same number means a different λ in almost every program, and (3.1) translates it.**
#
# ## 3.2 Decays, and the dictionary
#
# Libraries use λ in two ways.
#
# - A *coupled* λ is the coefficient of a penalty: $\lambda w$ is added to the loss's gradient before the optimiser sees it.
# - A *decoupled* λ is a *decay*: the optimiser sees the gradient of the loss alone, and each step also shrinks
#   the weight.
#
# Write $\eta u$ for the optimiser's own step. Then a decay is
#
# $$w\leftarrow(1-\delta)\,w-\eta u, \tag{3.2}$$
#
# where δ is the fraction of the weight that a step removes. The decoupled optimisers of PyTorch, Keras, Optax and fastai take $\delta=\eta\lambda$.
# Under plain SGD the squared penalty gives the same step, with $\delta=\eta\lambda$ ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).
# With momentum μ a penalty shrinks a weight without gradient about $1/(1-\mu)$ times as fast.
#
# <details>
# <summary>Optional: no other penalty takes the same fraction of every weight vector</summary>
#
# Weight decay, says one of the texts of [chapter 0](00_start_here.ipynb), "is a generic term for any regularization that involves adding some kind of
# norm of W (regardless of which norm) to the loss". That depends on what we call a decay. In the strict sense a decay takes the same fraction of every vector, however long. Suppose that a step of plain SGD on a
# differentiable penalty $R$ multiplies every $w$ by the same number: $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 .$$
#
# So $R$ is the squared L2 norm, up to a constant. The L2 norm without the square has the gradient
# $w/\lVert w\rVert_2$: the longer the vector, the smaller the fraction that a step takes.
#
# </details>


# %% tags=["hide-input"]
def share_lost(penalty, w):
    """The fraction of each weight that a step of size one takes away."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return (gradient / point).detach().numpy()


sizes = np.logspace(-1.5, 1.5, 13)
powers = {p: share_lost(lambda w, p=p: w.abs().pow(p).sum() / p, sizes) for p in (1, 1.5, 2, 3)}
claim("S2-11", "the penalty |w|^p/p takes the fraction |w|^(p − 2), the same for all if p = 2",
      measured=[powers[p] / sizes ** (p - 2) for p in powers], equals=1, within=1e-12)
claim("S2-11", "‖w‖ without the square takes 0.1 of the fraction from a vector 10 times as long",
      measured=share_lost(torch.linalg.norm, np.array([30.0, -10.0]))
      / share_lost(torch.linalg.norm, np.array([3.0, -1.0])), equals=0.1, within=1e-12)


# %% tags=["hide-input"]
def in_markdown(table):
    """The table, with x for what you type: the library's tables say λ."""
    rule = ("---",) * len(table.columns)
    head = [column.replace("λ stands", "x stands") for column in table.columns]
    rows = [[cell.replace("λ", "x") for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


# %% tags=["hide-input"]
told = {row[1].replace("λ", "x"): [cell.replace("λ", "x") for cell in row[-4:]]
        for kind in ("penalty", "decay") for row in dictionary(kind).rows}
by_default = {row[1]: row[4] for row in dictionary("decay").rows}
entries = {"PyTorch": "AdamW(weight_decay=λ)", "Optax": "adamw(weight_decay=λ)",
           "Keras' AdamW": "optimizers.…(weight_decay=λ)",
           "transformers": "TrainingArguments(weight_decay=λ)"}
of_adamw = ", ".join(f"{name} {by_default[row].split()[-1]}" for name, row in entries.items())
claim("03-defaults", "by default PyTorch's AdamW decays 100 times as fast as Optax's at the same η",
      measured=float(by_default["AdamW(weight_decay=λ)"])
      / float(by_default["adamw(weight_decay=λ)"]), equals=100, within=1e-6)
claim("03-paper", "AdamW's λ = 0.1 at η = 0.001 is 0.0001 in the published form", equals=1e-4,
      measured=convert(0.1, "torch_adamw", "adamw_paper", lr=1e-3), within=1e-12)

# %% [markdown]
# In the table *penalty x/c* means that the book's λ is $x/c$. The $c$ of (3.1) is {{c_and_k["SGD, ½ MSE"][0]}} for ½ MSE or the mean
# cross-entropy, and {{c_and_k["SGD, MSELoss"][0]}} for `MSELoss`.
#
# | you type | it means | default |
# |---|---|---|
# | PyTorch's `SGD` or `Adam(weight_decay=x)` | penalty {{told["Adam(weight_decay=x)"][1]}} | {{told["Adam(weight_decay=x)"][2]}} |
# | `AdamW(weight_decay=x)`; any `weight_decay=x` in Keras | decay δ = {{told["AdamW(weight_decay=x)"][0]}} | {{of_adamw}} |
# | by hand `loss + x * (w**2).sum()`, Keras' `L2(x)` | penalty {{told["kernel_regularizer=L2(x)"][1]}} | Keras {{told["kernel_regularizer=L2(x)"][2]}} |
# | `Ridge(alpha=x)` | penalty {{told["Ridge(alpha=x)"][1]}} | {{told["Ridge(alpha=x)"][2]}} |
# | `LogisticRegression(C=x)` | penalty {{told["LogisticRegression(C=x)"][1]}} | {{told["LogisticRegression(C=x)"][2]}} |
#
# <details>
# <summary>The whole dictionary: {{len(told)}} entries, with notes</summary>
#
# `dictionary("penalty")` gives the first table, with λ for our $x$. In the rows of glmnet, sd(y) is the standard deviation of the targets.
#
# {{in_markdown(dictionary("penalty"))}}
#
# `dictionary("decay")` gives the second. Under a schedule η is the rate of the step (§3.9).
#
# {{in_markdown(dictionary("decay"))}}
#
# Some notes:
#
# - If the loss is a sum over $B$ examples instead of a mean, $c$ is $B$ times as large.
# - Programs also differ in *what* they penalise: `weight_decay` in `torch.optim` acts on biases, too, and scikit-learn
#   spares the intercept ([chapter 6](06_bias_exclusion.ipynb)).
# - If `add_decayed_weights` stands *after* the optimiser in an Optax chain, $\delta=-x$ and the weights grow.
# - With $K$ targets per example `MSELoss` also averages over the targets, while $L$ sums over them. Then $c$ is $2/K$.
# - PyTorch's `Adam(decoupled_weight_decay=True)` is AdamW. The rows of glmnet need `standardize=FALSE`.
# - The row of `SGDClassifier` is for `loss="log_loss"`. Its default is the hinge loss.
#
# </details>
#
# `convert` translates by these tables, or refuses:

# %%
# Which weight_decay of SGD with MSELoss does the same as Ridge's 44.2 on 442 examples?
print(round(convert(44.2, "sklearn_ridge", "torch_sgd", n=442, target_loss="mse"), 6))
# With η = 0.001, which one in TensorFlow Addons' AdamW decays as fast as 0.1 in PyTorch's?
print(convert(0.1, "torch_adamw", "tfa", lr=0.001))
try:
    convert(0.01, "torch_adam", "torch_adamw", lr=0.001)
except ValueError as error:
    print(error)

# %% [markdown]
# **A λ is a penalty or a decay. The dictionary translates within each kind: a penalty keeps its minimum, a decay its δ.**
#
# ## 3.3 A puzzle: the same λ in Adam and in AdamW
#
# Why does `convert` refuse to turn a λ of Adam into one of AdamW? [Adam](https://arxiv.org/abs/1412.6980) keeps two running means for
# each weight: $m$ of the gradient $g$ that it sees, and $v$ of $g^2$. Its step is $m$ divided by $\sqrt v$:
#
# $$m\leftarrow\beta_1m+(1-\beta_1)\, g,\quad v\leftarrow\beta_2v+(1-\beta_2)\, g^2,\quad
# w\leftarrow w-\eta\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}. \tag{3.3}$$
#
# Both means start at zero. A hat marks the mean corrected for this: at step $t$, $\hat m=m/(1-\beta_1^t)$ and $\hat v=v/(1-\beta_2^t)$.
#
# We call `torch.optim.Adam` with a `weight_decay` *Adam + L2*. It differs from AdamW in where λ enters (Figure 3.2). From here on the loss is $L$, so that λ is the book's λ.
#
# | optimiser | $g$ in (3.3) | new weight |
# |---|---|---|
# | Adam + L2 | $g=\nabla L(w)+\lambda w$ | $w-\eta\,\hat m/(\sqrt{\hat v}+\epsilon)$ |
# | AdamW | $g=\nabla L(w)$ | $(1-\eta\lambda)\,w-\eta\,\hat m/(\sqrt{\hat v}+\epsilon)$ |

# %% tags=["hide-input"]
ROWS = (("Adam + L2", figures.BLUE, 3, "g = ∇L + λw", "w − η · step"),
        ("AdamW", figures.ORANGE, 1, "g = ∇L", "(1 − ηλ) w − η · step"))


def draw_step(ax):
    """A row of boxes for each optimiser: gradient, running means, step, new weight."""
    for name, colour, y, seen, new in ROWS:
        ax.text(0.1, y, name, color=colour, weight="bold", va="center")
        words = {3: seen, 5.5: "means m, v", 7.8: "step m̂ / √v̂", 10.8: new}
        boxes = [ax.text(x, y, word, ha="center", va="center", bbox={
            "boxstyle": "round,pad=0.45", "fc": "white", "lw": 2 if "λ" in word else 1,
            "ec": colour if "λ" in word else figures.GREY}) for x, word in words.items()]
        for here, there in pairwise(boxes):
            ax.annotate("", there.get_position(), here.get_position(), arrowprops={
                "arrowstyle": "-|>", "color": figures.GREY, "lw": 1.5, "shrinkA": 0, "shrinkB": 0,
                "patchA": here.get_bbox_patch(), "patchB": there.get_bbox_patch()})


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.4, 2.3))
draw_step(ax)
ax.text(3, 2.15, "λw enters here,\nand is divided by √v̂", color=figures.BLUE, ha="center",
        va="center")
ax.text(10.8, 0.15, "w shrinks here, undivided", color=figures.ORANGE, ha="center", va="center")
ax.set(xlim=(0, 12.8), ylim=(-0.1, 3.5), xticks=(), yticks=(), xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.grid(visible=False)
ax.set_title("Adam + L2 divides λw by √v̂, AdamW does not")
figures.show(fig, "Two rows of four boxes: gradient, running means m and v, step m̂ over root v̂, "
             "new weight. In the upper row, Adam + L2, the first box adds λw to the gradient, "
             "so that "
             "it is divided by root v̂. In the lower row, AdamW, the first box is the gradient "
             "alone, and the last one multiplies w by 1 − ηλ.", number="3.2",
             caption="A coloured box holds λ. The grey boxes are the same for both optimisers.")

# %% [markdown]
# In NumPy:


# %%
def adam_step(m, v, g, t, beta_1=0.9, beta_2=0.999):
    """The two running means after the gradient g, and the step in units of η."""
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g * g
    return m, v, m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + 1e-8)


# %%
def train(w, gradient, lr, steps, coupled=0.0, decoupled=0.0, **betas):
    m, v, path = 0.0, 0.0, []
    for t in range(1, steps + 1):
        m, v, step = adam_step(m, v, gradient(w) + coupled * w, t, **betas)
        w = (1 - lr * decoupled) * w - lr * step
        path.append(w)
    return np.array(path)


# %% [markdown]
# **Without gradient.** First let the loss ignore a weight (its gradient is zero). Predict what one step with
# $\eta=0.01$ and $\lambda=0.1$ takes from a weight of 1 under SGD, AdamW and Adam + L2.


# %%
def taken(make):
    """What one step with a zero gradient takes from a weight of 1."""
    w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    optimizer = make([w], lr=0.01, weight_decay=0.1)
    optimizer.step()
    return 1 - w.item()


# %%
one_step = {name: taken(getattr(torch.optim, name)) for name in ("SGD", "AdamW", "Adam")}
print(*(f"{name}: {amount:.4f}" for name, amount in one_step.items()), sep="\n")

# %% [markdown]
# SGD and AdamW take $\eta\lambda=0.001$. Adam takes $\eta=0.01$, *whatever λ is*: in the first step $\sqrt{\hat v}=\lambda|w|$, so that λ
# cancels in $\lambda w/\sqrt{\hat v}$, as long as ε is negligible.

# %% tags=["hide-input"]
five = np.full(1, 5.0)
walks = [train(five, np.zeros_like, 0.01, 100, coupled=each)[-1, 0] for each in (1, 1e-4)]


def draw_ignored(panels):
    """A weight that the loss ignores, under both rules, with three λ."""
    for ax, rule, colour in zip(panels, ("decoupled", "coupled"), (figures.ORANGE, figures.BLUE),
                                strict=True):
        for each, marker, first, place in ((1, "o", 25, (115, 1.9)), (0.1, "s", 50, (255, 4.1)),
                                           (1e-4, "^", 75, (250, 5.2))):
            path = train(five, np.zeros_like, 0.01, 500, **{rule: each})[:, 0]
            looks = {"marker": marker, "markevery": (first, 75)} if rule == "coupled" else {}
            ax.plot(np.append(5, path), color=colour, lw=1.8, label=f"_{each:g}", **looks)
            if rule == "decoupled":
                ax.text(*place, f"λ = {each:g}", color=colour)
        ax.set(xlabel="step", ylabel=" ", xlim=(0, 500), ylim=(0, 5.8), yticks=range(6))


# %% tags=["hide-input"]
fig, panels = figures.subplots(1, 2, figsize=(5.6, 3.1), sharey=True)
draw_ignored(panels)
panels[0].set(ylabel="the ignored weight")
panels[0].set_title("AdamW:\nλ sets the pace")
panels[1].set_title("Adam + L2: every λ\ngives the same path")
panels[1].legend(panels[1].lines, ["λ = 1", "λ = 0.1", "λ = 0.0001"], loc="lower left")
kept, walked = ([figures.drawn(ax)[f"_{each:g}"].y[-1] for each in (1, 0.1, 1e-4)]
                for ax in panels)
assert np.ptp(walked) < 0.001, "under Adam + L2 the path of an ignored weight depends on λ"
figures.show(fig, "A weight of 5 without gradient, over 500 steps with η = 0.01. Left, AdamW: with "
             f"λ = 1 it falls exponentially to {kept[0]:.2f}, with 0.1 to {kept[1]:.1f}, and "
             f"with 0.0001 it stays at {kept[2]:.1f}. Right, Adam + L2: the three λ give one path, "
             f"straight at first, which ends at {walked[0]:.2f}.", number="3.3",
             caption="At the right, three lines lie one on the other, and their markers alternate. "
             "The path bends because √v still holds larger, earlier gradients, so that later "
             "steps are smaller.")

# %% tags=["hide-input"]
claim("S2-13", "Adam + L2 with η = 0.01 brings an ignored weight from 5 to {} in 100 steps, "
      "whether λ is 1 or 0.0001", measured=walks, between=(4, 4.1))

# %% tags=["hide-input"]
generator = np.random.default_rng(0)
draws = 2 * generator.standard_normal((50, 40))
for rule, make in (("coupled", torch.optim.Adam), ("decoupled", torch.optim.AdamW)):
    w = torch.nn.Parameter(torch.full((40,), 5.0, dtype=torch.float64))
    optimizer, row = make([w], lr=0.01, weight_decay=0.5), iter(draws)
    for draw in draws:
        w.grad = torch.tensor(draw)
        optimizer.step()
    ours = train(np.full(40, 5.0), lambda w, row=row: next(row), 0.01, 50, **{rule: 0.5})[-1]
    claim("03-adam", f"our {rule} rule takes 50 steps of torch.optim.{make.__name__}",
          measured=ours - w.detach().numpy(), equals=0, within=1e-9)
claim("03-asked", "one step without gradient takes ηλ under SGD and AdamW",
      measured=[one_step["SGD"], one_step["AdamW"]], equals=0.01 * 0.1, within=1e-12)
claim("03-asked", "… and η under Adam, whatever λ is", measured=one_step["Adam"], equals=0.01,
      within=1e-8)

# %% [markdown]
# **With noise.** Minibatches make gradients noisy. Let a weight's gradient be its mean plus
# Gaussian noise of standard deviation σ. Two experiments have $\lambda=0.1$ and nine values of σ:
#
# 1. *How fast?* The mean gradient is zero, so that only λ moves a weight on average.
# 2. *Where does it rest?* The mean gradient is $w-1$, so that the loss draws each weight to its minimum at 1.
#
# <details>
# <summary>How we measure</summary>
#
# For each σ and each of five seeds there are forty weights, in twenty pairs. A pair gets opposite noise, so that the noise cancels in the
# mean of a pair, and the average movement remains. Every σ and every optimiser gets the same random draws, multiplied by σ. In the first experiment weights start at 4 and take 2000 steps with $\eta=0.002$. The second has
# $\eta=0.02$, and we average the later half of 3000 steps.
#
# </details>
#
# Predict: which answer depends on σ under AdamW, and which under Adam + L2?

# %%
lam, sigmas = 0.1, np.logspace(-1, 1, 9)


def with_noise(mean_gradient, seed):
    """A gradient: its mean plus noise, for weights of shape (9, 40): a row for each σ."""
    rng = np.random.default_rng(seed)

    def gradient(w):
        half = rng.standard_normal(20)
        return mean_gradient(w) + sigmas[:, None] * np.append(half, -half)  # 20 pairs ±

    return gradient


# %%
def rate_of_shrinking(seed, **rule):
    """How fast? For each σ the fraction that a step takes of the mean weight, in units of ηλ."""
    free = with_noise(np.zeros_like, seed)
    path = train(np.full((9, 40), 4.0), free, lr=0.002, steps=2000, **rule)
    return -np.log(path[-1].mean(-1) / 4) / (2000 * 0.002 * lam)  # by logarithms


def resting_point(seed, **rule):
    """Where to? For each σ the mean of weights that the loss draws to 1, over late steps."""
    drawn_to_1 = with_noise(lambda w: w - 1, seed)
    path = train(np.ones((9, 40)), drawn_to_1, lr=0.02, steps=3000, **rule)
    return path[1500:].mean((0, -1))


# %%
def two_experiments(**rule):
    """Rates and resting points: a row for each σ, a column for each seed."""
    return np.array([np.stack([experiment(seed, **rule) for seed in seeds(5)], axis=-1)
                     for experiment in (rate_of_shrinking, resting_point)])


# %%
speed_l2, rest_l2 = two_experiments(coupled=lam)
speed_w, rest_w = two_experiments(decoupled=lam)

# %% tags=["hide-input"]
def two_panels(l2, w, style="-", alpha=1.0):
    """Shrinking (above) and resting point (below) of both rules against the noise."""
    fig, panels = figures.subplots(2, 1, figsize=(5.4, 5.6), sharex=True)
    for axes, dots_l2, dots_w in zip(panels, l2, w, strict=True):
        looks = {"lw": 1, "ms": 6, "ls": style}
        axes.semilogx(sigmas, dots_l2.mean(-1), "o", color=figures.BLUE, label="_l2", alpha=alpha,
                      **looks)
        axes.semilogx(sigmas, dots_w.mean(-1), "s", color=figures.ORANGE, label="_w", **looks)
        axes.set(xlabel=" ", xlim=(0.08, 13))
        axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax, other = panels
    ax.set(yscale="log", ylabel="rate of shrinking, AdamW = 1", ylim=(0.08, 6.5))
    ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    other.set(xlabel="noise σ of the gradient", ylabel="where the weight rests", ylim=(0.4, 1.1))
    ax.minorticks_off(), other.minorticks_off()
    return fig, ax, other


# %% tags=["hide-input"]
fig, ax, other = two_panels((speed_l2, rest_l2), (speed_w, rest_w))
ax.text(0.1, 0.68, "AdamW", color=figures.ORANGE)
ax.text(1.3, 2, "Adam + L2", color=figures.BLUE)
other.text(3.6, 0.63, "AdamW", color=figures.ORANGE, ha="right")
other.text(1.3, 0.94, "Adam + L2", color=figures.BLUE)
for axes in (ax, other):
    axes.axvline(1, color=figures.GREY, lw=1, ls=":")
ax.text(0.93, 0.12, "in both panels the lines\ncross near σ = 1", color=figures.GREY, ha="right")
ax.set_title("How fast does a weight shrink?")
other.set_title("Where does a weight rest?")
fast, settled = figures.drawn(ax), figures.drawn(other)
figures.show(fig, "Two panels, each against the noise of the gradient from 0.1 to 10, with the "
             f"same λ. Above, what a step takes, relative to AdamW: AdamW is flat at "
             f"{fast['_w'].y[0]:.0f}, Adam "
             f"with L2 falls from {fast['_l2'].y[0]:.1f} to {fast['_l2'].y[-1]:.2f}. Below, where "
             f"the weight rests: Adam with L2 is flat at {settled['_l2'].y[0]:.2f}, AdamW falls "
             f"from {settled['_w'].y[0]:.2f} to {settled['_w'].y[-1]:.2f}. In both panels the "
             "lines cross near σ = 1.", number="3.4",
             caption="Dots and squares are means of five seeds with forty weights each. The dotted "
             "line marks σ = 1.")

# %% [markdown]
# In Figure 3.4 (above) Adam + L2 shrinks the noisiest weight {{speed_l2[0].mean() / speed_l2[-1].mean():.0f}} times more slowly than the quietest. Below,
# under Adam + L2 the weight rests at {{rest_l2.mean():.2f}} for every σ; under AdamW it rests lower the noisier its gradient is.
#
# **With this symmetric noise all weights without a mean gradient shrink at the same rate under AdamW. Under Adam + L2 every weight rests at the minimum of the loss plus one and the same penalty.**

# %% tags=["hide-input"]
seldom = 0.01  # the share of steps with large, positive noise


def rests_with_rare(beta_2, **rule):
    """Where 400 weights rest with one-sided noise of σ = 10."""
    rng, spread = claims.rng(), np.sqrt(seldom * (1 - seldom))

    def rare(w):
        return w - 1 + 10 * ((rng.random(400) < seldom) - seldom) / spread

    return train(np.ones(400), rare, 0.02, 3000, beta_2=beta_2, **rule)[1500:].mean()


# %% tags=["hide-input"]
one_sided = [[rests_with_rare(beta_2, **rule) for rule in ({"coupled": 0.1}, {"decoupled": 0.1})]
             for beta_2 in (0.999, 0.95)]
claim("03-rare", "With rare, one-sided gradients and β₂ = 0.95 a weight rests at {:.2f} or more, "
      "beyond the loss's minimum, under both optimisers", measured=one_sided[1], above=1.2)

# %% [markdown]
# ## 3.4 How fast does a weight shrink, and where does it rest?
#
# Why does noise slow Adam + L2, and move the point where AdamW rests? Assume that the noise is *symmetric* (a draw and its negative are
# equally likely) and *steady* (its size does not depend on the weight). A large $g$ also enlarges $v$, and so shortens its own step. With symmetric noise this happens equally in both directions (fold below).
# If $v$ hardly changes from step to step, a mean of zero is enough.
#
# For weight number $i$ let $\bar g_i$ be the mean
# gradient of the loss and $\sigma_i$ the size of the noise. From here on $v$ means the corrected $\hat v$.
#
# <details>
# <summary>Rare, one-sided gradients</summary>
#
# Let the noise be large and positive in {{100 * seldom:.0f}} % of the steps, and slightly negative in the others, with the mean 0 and the standard deviation 10. Again the loss draws the weight to 1, and λ is 0.1.
#
# | where the weight rests | Adam + L2 | AdamW |
# |---|---|---|
# | symmetric noise | {{1 / (1 + lam):.2f}} | {{1 / (1 + 10 * lam):.2f}} |
# | one-sided, $\beta_2=0.999$ | {{one_sided[0][0]:.2f}} | {{one_sided[0][1]:.2f}} |
# | one-sided, $\beta_2=0.95$ | {{one_sided[1][0]:.1f}} | {{one_sided[1][1]:.1f}} |
#
# The rare gradient enlarges $v$ at once, so that its own step is small. Most steps follow the many little negative gradients, divided by a small $\sqrt v$, and move the weight upwards.
# With 0.999 $v$ changes too slowly for this.
#
# </details>
#
# **How fast** does Adam + L2 shrink a weight whose mean gradient is zero?
#
# 1. Adam sees the gradient $\lambda w_i$ plus noise. In $m$ the noise cancels on average, and $\lambda w_i$ remains.
# 2. In $v$, a mean of squares, noise does not cancel. As $v$ averages over many steps, it stays near
#    $\sigma_i^2+\lambda^2w_i^2$.
# 3. So a step takes away $\eta\,\lambda w_i/\sqrt{v}$ on average. Divided by $w_i$, this is the fraction
#
# $$\delta_i\approx\frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$

# %% tags=["hide-input"]
many = np.logspace(-1, 1, 97)  # levels of noise for a smooth line
shrinking = np.full(97, 4.0)
for _ in range(2000):  # (3.4)
    shrinking -= 0.002 * lam * shrinking / np.sqrt(many**2 + (lam * shrinking) ** 2)
predicted = -np.log(shrinking / 4) / (2000 * 0.002 * lam)

# %% tags=["hide-input"]
theory, noisy = predicted[::12], sigmas > 0.9  # (3.4) at our nine levels
claim("S2-13", "At σ = 10 Adam + L2 shrinks a weight at least {} times more slowly than at σ = 1 "
      "at 95 % confidence", above=9,
      measured=claims.interval(speed_l2[4] / speed_l2[8], level=0.95).low)
claim("03-rate", "From σ = 1 on Adam + L2 shrinks a weight as fast as (3.4) says, with a "
      "relative error of at most {:.3f}", below=0.03,
      measured=np.abs(speed_l2.mean(-1) / theory - 1)[noisy])
claim("03-rate-w", "AdamW multiplies the mean of twins by 1 − ηλ at each step, whatever the noise",
      measured=0.002 * lam * speed_w + np.log(1 - 0.002 * lam), equals=0, within=1e-12)

# %% [markdown]
# **Where does it rest?** Noise keeps a weight moving. We say that it rests where on average it does not move.
#
# *Adam + L2.* If $\bar g_i+\lambda w_i=0$, Adam sees only symmetric noise, and its steps average to zero.
# So the weight rests at the minimum of loss plus penalty, with one λ for all weights.
#
# *AdamW.* Its average step on the loss is about $-\eta\,\bar g_i/\sqrt{v_i}$, and the decay adds $-\eta\lambda w_i$. The sum is zero if
#
# $$\frac{\bar g_i}{\sqrt{v_i}} = -\lambda w_i, \qquad\text{that is}\qquad
# \bar g_i=-\big(\lambda\sqrt{v_i}\big)\,w_i. \tag{3.5}$$
#
# The minimum with a penalty has $\bar g_i=-\lambda w_i$. So *AdamW rests at the minimum with a penalty whose coefficient is
# $\lambda\sqrt{v_i}$*, as long as $v$ stays what it is. We call it AdamW's *effective λ*.
#
# | optimiser | fraction that a step takes, if $\bar g_i=0$ | effective λ |
# |---|---|---|
# | AdamW | $\eta\lambda$ | $\lambda\sqrt{v_i}$ |
# | Adam + L2 | $\eta\lambda/\sqrt{v_i}$ | $\lambda$ |
#
# So the penalty of Adam + L2, $\frac\lambda2\sum_iw_i^2$, has circles as contours, and AdamW's, $\frac12\sum_i\lambda\sqrt{v_i}\,w_i^2$, has ellipses (Figure 3.5).

# %% tags=["hide-input"]
two_sigmas, strong = np.array([0.3, 3.0])[:, None], 0.5  # a quiet and a noisy weight; λ


def two_weights(**rule):
    """The mean path of two weights from the loss's minimum (1, 1): five seeds, forty twins each."""
    rngs = [np.random.default_rng(seed) for seed in seeds(5)]

    def gradient(w):
        half = np.hstack([rng.standard_normal((2, 20)) for rng in rngs])
        return w - 1 + two_sigmas * np.hstack([half, -half])

    return train(np.ones((2, 200)), gradient, 0.02, 3000, **rule).mean(-1)


# %% tags=["hide-input"]
paths = {"Adam + L2": two_weights(coupled=strong), "AdamW": two_weights(decoupled=strong)}
rested = {name: path[1500:].mean(0) for name, path in paths.items()}
# v is near σ² plus the square of the mean gradient, here w − 1.
two_roots = np.sqrt(two_sigmas[:, 0] ** 2 + (rested["AdamW"] - 1) ** 2)
costs = {"Adam + L2": strong * np.ones(2), "AdamW": strong * two_roots}  # effective λ
# %% tags=["hide-input"]
claim("03-ellipse", "Two weights, one quiet and one noisy, rest at the minimum of the loss plus a "
      "circular penalty under Adam + L2, plus an elliptical one under AdamW: the largest error is "
      "{:.4f}", below=0.01,
      measured=[np.abs(rested[name] - 1 / (1 + costs[name])) for name in costs])


# %% tags=["hide-input"]
def draw_two(ax, name, colour):
    """Contours of the loss and of a penalty through a resting point, and the path to it."""
    quiet, noisy = np.meshgrid(np.linspace(0, 1.45, 120), np.linspace(-0.75, 1.45, 180))
    loss = ((quiet - 1) ** 2 + (noisy - 1) ** 2) / 2
    penalty = (costs[name][0] * quiet**2 + costs[name][1] * noisy**2) / 2
    x, y = rested[name]
    here = ((x - 1) ** 2 + (y - 1) ** 2) / 2, (costs[name][0] * x**2 + costs[name][1] * y**2) / 2
    ax.contour(quiet, noisy, loss, here[0] * np.array([0.25, 1, 2.25]), colors=figures.GREY,
               linewidths=(1, 2, 1))
    ax.contour(quiet, noisy, penalty, here[1] * np.array([0.25, 1, 2.25]), colors=colour,
               linewidths=(1, 2, 1))
    ax.plot(*paths[name].T, color="black", lw=1.2, label="_path")
    ax.plot(1, 1, "k+", ms=10, mew=2, label="_minimum")
    ax.plot(x, y, "o", ms=9, color=colour, label="_rest")
    ax.text(x - 0.06, y - 0.03, f"({x:.2f}, {y:.2f})", ha="right", va="top", color=colour,
            bbox={"fc": "white", "ec": "none", "pad": 1})
    ax.set(xlabel=f"quiet weight, σ = {two_sigmas[0, 0]:g}", ylabel=" ", aspect="equal",
           xlim=(0, 1.45), ylim=(-0.3, 1.45), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))


# %% tags=["hide-input"]
fig, panels = figures.subplots(1, 2, figsize=(7.0, 4.1), sharey=True)
draw_two(panels[0], "Adam + L2", figures.BLUE), draw_two(panels[1], "AdamW", figures.ORANGE)
panels[0].set(ylabel=f"noisy weight, σ = {two_sigmas[1, 0]:g}")
panels[0].set_title("Adam + L2: a circle\nshrinks both weights alike")
panels[1].set_title("AdamW: an ellipse\nshrinks the noisy weight most")
for ax, colour in zip(panels, (figures.BLUE, figures.ORANGE), strict=True):
    ax.text(1.04, 1.06, "loss", color=figures.GREY)
    ax.text(0.06, -0.05, "penalty", color=colour)
both_rest = [figures.drawn(ax)["_rest"] for ax in panels]
figures.show(fig, "Two panels, each with two weights as axes, grey circles around the minimum of "
             "the loss at (1, 1), and contours of a penalty around zero. Left, circles: Adam + L2 "
             f"rests at ({both_rest[0].x[0]:.2f}, {both_rest[0].y[0]:.2f}), on the diagonal. "
             "Right, ellipses, narrow along the noisy weight: AdamW rests at "
             f"({both_rest[1].x[0]:.2f}, {both_rest[1].y[0]:.2f}), far below the diagonal. There "
             "a contour of the loss touches one of the penalty.", number="3.5",
             caption=f"Both with λ = {strong:g}. Each dot is the mean of the later half of 3000 "
             "steps, over five seeds with forty weights each; black lines are the mean paths from "
             "the loss's minimum (+). At a dot a contour of the loss (grey) touches one of the "
             "penalty (coloured).")

# %% [markdown]
# **Noise slows the shrinking under Adam + L2, and raises the effective λ under AdamW.**
#
# ## 3.5 One translation for both
#
# Can a λ for each weight make the two optimisers agree? Let $v_i$ be constant, and equal under both. Write $\lambda_A$ for the λ of Adam + L2, and
# $\lambda_W$ for AdamW's. The average change under Adam + L2 is $-\eta\,(\bar g_i+\lambda_Aw_i)/\sqrt{v_i}$, under AdamW
# $-\eta\,\bar g_i/\sqrt{v_i}-\eta\lambda_Ww_i$. The two are equal for *every* $w_i$, on the way and at the end, if
#
# $$\lambda_A=\lambda_W\sqrt{v_i}. \tag{3.6}$$
#
# We repeat both experiments with $\lambda_A=0.1\,\sigma$ under Adam + L2, because $\sqrt{v_i}$ is close to σ.

# %%
speed_c, rest_c = two_experiments(coupled=lam * sigmas[:, None])

# %% tags=["hide-input"]
def draw_theory(ax, other):
    """Lines of theory, rings for λ = 0.1 σ, and a key."""
    one, blue, orange = np.ones(97), {"color": figures.BLUE}, {"color": figures.ORANGE}
    for axes, l2, w in ((ax, predicted, one), (other, one / (1 + lam), 1 / (1 + lam * many))):
        axes.plot(many, l2, "-", lw=1.2, label="_theory", zorder=1.5, **blue)
        axes.plot(many, w, "-", lw=1.2, label="_theory_w", zorder=1.5, **orange)
    for axes, dots in ((ax, speed_c), (other, rest_c)):
        axes.plot(sigmas, dots.mean(-1), "o", ms=13, mfc="none", mew=2, label="_c", **blue)
    keys = [(axes.lines[0], "Adam + L2, λ = 0.1"), (axes.lines[1], "AdamW, λ = 0.1"),
            (axes.lines[-1], "Adam + L2, λ = 0.1 σ")]
    ax.legend(*zip(*keys, strict=True), loc="lower left")
    ax.text(0.6, 1.9, "theory (3.4)", **blue)
    other.text(4.2, 0.93, "1/(1 + λ)", ha="center", **blue)
    other.text(3.6, 0.68, "1/(1 + λσ)", ha="right", **orange)


# %% tags=["hide-input"]
fig, ax, other = two_panels((speed_l2, rest_l2), (speed_w, rest_w), style="", alpha=0.45)
draw_theory(ax, other)
ax.set_title("With λ = 0.1 σ Adam + L2 shrinks like AdamW …")
other.set_title("… and rests where AdamW does")
above, rings = figures.drawn(ax), (figures.drawn(ax)["_c"], figures.drawn(other)["_c"])
figures.show(fig, "The two panels of the puzzle, with blue rings for Adam + L2 whose λ is 0.1 "
             "times the noise, pale dots for Adam + L2 with λ = 0.1, and thin lines of theory. The "
             "dots lie on their lines, but above the first three are under the line (3.4), at "
             f"{above['_l2'].y[0]:.1f}, {above['_l2'].y[1]:.1f} and {above['_l2'].y[2]:.1f} "
             f"instead of {above['_theory'].y[0]:.1f}, {above['_theory'].y[12]:.1f} and "
             f"{above['_theory'].y[24]:.1f}. The rings lie on "
             "AdamW's squares: above, at "
             f"{rings[0].y.min():.2f} of AdamW for all nine levels of noise; below, at resting "
             f"points that fall from {rings[1].y[0]:.2f} to {rings[1].y[-1]:.2f}.", number="3.6",
             caption="Pale dots, squares and rings are means of five seeds, thin lines theory. "
             "Below, the theory is w − 1 = −λw and w − 1 = −λσw, with σ for √v. "
             "Above, the rings are slightly lower than the squares, because the penalty makes √v "
             "slightly larger than σ. At the left, pale dots lie under the line, because v still "
             "holds larger, earlier gradients.")

# %% tags=["hide-input"]
claim("03-one", "With λ = 0.1 σ Adam + L2 shrinks a weight at {} of AdamW's rate. It is the same "
      "for every σ, because all gradients are in proportion to σ, and Adam ignores a common "
      f"factor. (3.4) predicts at least {1 / np.hypot(1, 4 * lam):.3f}: at the start, w = 4, the "
      f"penalty's gradient is {4 * lam} σ, and 1/√(1 + {4 * lam}²) = "
      f"{1 / np.hypot(1, 4 * lam):.3f}",
      measured=speed_c.mean(-1) / speed_w.mean(-1), between=(1 / np.hypot(1, 4 * lam), 1))

# %% tags=["hide-input"]
claim("03-rest", "At nine noise levels Adam + L2 rests at 1/(1 + λ), AdamW where (3.5) says, and "
      "Adam + L2 with λ = 0.1 σ rests where AdamW does: the largest error is {:.4f}", below=0.01,
      measured=np.abs([rest_l2.mean(-1) - 1 / (1 + lam), rest_w.mean(-1) - 1 / (1 + lam * sigmas),
                       rest_c.mean(-1) - 1 / (1 + lam * sigmas)]))

# %% [markdown]
# (3.4) fits from σ = 1 on (Figure 3.6). For smaller σ weights shrink more slowly than (3.4) says, since $v$ still holds larger, earlier gradients.
#
# **With $\lambda_A=\lambda_W\sqrt{v_i}$ a weight shrinks about as fast and rests in the same place under both optimisers: each
# weight needs a λ of its own.**
#
# ## 3.6 One λ for a whole network: the translation
#
# Why translate? You have an old recipe for Adam and want AdamW, or a tuned AdamW run and want
# the minimum of a stated objective. By (3.6) each weight needs a λ of its own, but a program takes one for all.
#
# If we stretch all weights by a factor $r$, loss and penalty must balance at $r=1$: otherwise longer or shorter weights would be
# better (Figure 3.7). This gives one equation, enough for one λ.

# %% tags=["hide-input"]
digits = load("digits")
orders = np.array([np.random.default_rng(seed).permutation(len(digits.y)) for seed in seeds(5)])
parts = split(digits.X / 16, digits.y, train=orders[:, :200], test=orders[:, 200:])
pictures, labels = parts.train  # the first axis is the seed
shapes = (64, 32), (1, 32), (32, 10), (1, 10)  # weights and biases of two layers
counts = [rows * columns for rows, columns in shapes]
acts = np.repeat([1.0, 0.0, 1.0, 0.0], counts)
spread = np.repeat([np.sqrt(2 / 64), 0, np.sqrt(2 / 32), 0], counts)  # of the weights at the start


# %% tags=["hide-input"]
def in_layers(w):
    """Weights and biases of the two layers; axes: seed, λ, rows, columns."""
    parts = np.split(w, np.cumsum(counts)[:-1], axis=-1)
    return [part.reshape(*w.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)]


# %% tags=["hide-input"]
def answers(w, x):
    """Hidden units, and the probabilities of the classes; axes: seed, λ, picture, unit."""
    first, shift, second, last_shift = in_layers(w)
    hidden = np.maximum(x[:, None] @ first + shift, 0)
    scores = hidden @ second + last_shift
    each = np.exp(scores - scores.max(-1, keepdims=True))
    return hidden, each / each.sum(-1, keepdims=True)


# %% tags=["hide-input"]
def network_gradient(w, x, y):
    """The gradient of the mean cross-entropy, by the chain rule, for many networks."""
    hidden, error = answers(w, x)
    error = (error - (np.arange(10) == y[:, None, :, None])) / x.shape[1]
    inner = (error @ in_layers(w)[2].swapaxes(-1, -2)) * (hidden > 0)
    slopes = (x[:, None].swapaxes(-1, -2) @ inner, inner.sum(-2),
              hidden.swapaxes(-1, -2) @ error, error.sum(-2))
    return np.concatenate([each.reshape(*w.shape[:-1], -1) for each in slopes], axis=-1)


# %% tags=["hide-input"]
def judged(w, x=parts.test.X, y=parts.test.y):
    """The mean cross-entropy and the accuracy, on the test pictures or others, by seed and λ."""
    found, truth = answers(w, x)[1], y[:, None]
    right = np.take_along_axis(found, truth[..., None], -1)[..., 0]
    return -np.log(right).mean(-1), (found.argmax(-1) == truth).mean(-1)


# %% tags=["hide-input"]
def network(coupled=0.0, decoupled=0.0, ends=(600,), batch=20, beta_2=0.999, told=labels,
            lr=0.01, momentum=None):
    """Train networks, for several λ at once; a list of their w and √v after the steps in ends."""
    rngs, each = [np.random.default_rng(seed) for seed in seeds(5)], np.arange(5)[:, None]
    w = np.stack([spread * rng.standard_normal((1, len(spread))) for rng in rngs])  # (5, 1, 2410)
    m, v, found, shrink = 0.0, 0.0, [], 1 - lr * decoupled
    for t in range(1, ends[-1] + 1):
        rows = np.stack([rng.permutation(200)[:batch] for rng in rngs])  # minibatches: (5, 20)
        g = network_gradient(w, pictures[each, rows], told[each, rows]) + coupled * w  # as w
        if momentum:  # SGD
            m = momentum * m + g
            w = w - lr * m
        else:
            m, v, step = adam_step(m, v, g, t, beta_2=beta_2)  # (5, λ, 2410)
            w = shrink * w - lr * step
        if t in ends:
            found.append((w, np.sqrt(v / (1 - beta_2**t))))
    return found


# %% tags=["hide-input"]
# By seed, λ and parameter: w and √v after AdamW. acts is 1 for a weight, 0 for a bias.
lam_w = np.array([0.01, 0.03, 0.1, 0.3, 1])
w, root = network(decoupled=lam_w[:, None] * acts)[0]


def slope(w):
    """By seed and λ: how fast the training loss falls if all weights grow in proportion."""
    return -(network_gradient(w, pictures, labels) * w) @ acts


# %% tags=["hide-input"]
pull = lam_w * ((w**2 * root) @ acts)  # AdamW's
stretch = np.linspace(0.7, 1.4, 29)  # r, of the weights with λ = 0.1; the biases stay
stretched = w[:, 2:3] * np.where(acts, stretch[:, None], 1)


# %% tags=["hide-input"]
def draw_stretch(ax):
    """Loss, AdamW's effective penalty and their sum if all weights are stretched by r."""
    loss = judged(stretched, pictures, labels)[0].mean(0)
    penalty = stretch**2 * pull[:, 2].mean() / 2
    ax.plot(stretch, loss, color=figures.GREY, label="_loss")
    ax.plot(stretch, penalty, color=figures.ORANGE, label="_penalty")
    ax.plot(stretch, loss + penalty, color="black", lw=3, label="_sum")
    lowest = (loss + penalty).argmin()
    ax.plot(stretch[lowest], (loss + penalty)[lowest], "o", ms=10, mfc="white", mew=2,
            color="black", label="_lowest")
    ax.axvline(1, color=figures.GREY, lw=1, ls=":", label="_now")


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 3.3))
draw_stretch(ax)
ax.set(xlabel="factor r of all weights", ylabel="loss, penalty", xlim=(0.7, 1.4), ylim=(0, 0.24))
ax.set_title("Loss plus AdamW's penalty is lowest\nnear the weights that training found")
drawn = figures.drawn(ax)
ax.text(0.78, 0.195, "sum")
ax.text(0.72, 0.1, "loss", color=figures.GREY)
ax.text(1.17, 0.075, "AdamW's penalty", color=figures.ORANGE)
assert abs(drawn["_lowest"].x[0] - 1) < 0.06, "the sum is lower at another r"
figures.show(fig, "Training loss and AdamW's effective penalty against the factor r of all "
             "weights. The loss falls, the penalty grows, and a thick line, their sum, is lowest "
             "at "
             f"r = {drawn['_lowest'].x[0]:.2f}.", number="3.7",
             caption="Means of five networks, trained with AdamW and λ = 0.1. The weights "
             "that training found are at r = 1. The ring marks the lowest sum. The biases, "
             "and the √v in the penalty, stay the same for every r.")

# %% [markdown]
# 1. With stretched weights the penalty of Adam + L2 is $\frac{\lambda_A}2\sum_i(rw_i)^2$. At $r=1$ it grows with $r$ at the rate
#    $\lambda_A\sum_iw_i^2$. We call this its *pull*.
# 2. AdamW's penalty is $\frac12\sum_i\lambda_W\sqrt{v_i}\,(rw_i)^2$, with $v$ held fixed. Its pull is $\lambda_W\sum_iw_i^2\sqrt{v_i}$.
# 3. The loss must fall as fast as the penalty grows. How fast it falls, $-\sum_i\bar g_iw_i$, depends on the loss and the weights alone.
#    So if both optimisers came to the same weights, their pulls would be equal.
#
# > **The translation.** Multiply AdamW's λ by the mean of $\sqrt{v_i}$, *weighted by $w_i^2$*:
# >
# > $$\lambda_A=\lambda_W\;\frac{\sum_iw_i^2\sqrt{v_i}}{\sum_iw_i^2}. \tag{3.7}$$
# >
# > Read this mean at the end of an AdamW run of the planned length. It is a first guess: search. We tested it at $\beta_2=0.999$; at {{below: beta_low}} it misled us both ways (§3.7).
#
# To read this mean in PyTorch:


# %%
def mean_root_of(optimizer, skip=()):
    """The mean √v of torch.optim.Adam or AdamW (one λ, no amsgrad), weighted by w²."""
    above, below, skip = 0.0, 0.0, set(skip)
    for group in optimizer.param_groups:
        for w in group["params"]:
            if not group["weight_decay"] or w in skip:
                continue
            state = optimizer.state[w]
            if not state:
                continue  # frozen: never stepped
            v_hat = state["exp_avg_sq"] / (1 - group["betas"][1] ** int(state["step"]))
            above += (w.detach() ** 2 * v_hat.sqrt()).sum().item()
            below += (w.detach() ** 2).sum().item()
    if not below:
        raise ValueError("no weight decays: set weight_decay above 0, and take a step first")
    return above / below


# %% [markdown]
# A test on one network with 32 hidden units: 200 pictures of digits, 600 steps on minibatches of 20, $\eta=0.01$.

# %%
x_train, y_train = torch.tensor(pictures[0]), torch.tensor(labels[0])


def trained(make, decay, seed=0, batch=20, **options):
    """The optimiser after 600 steps, with gradients of the loss of all 200 pictures; this loss."""
    torch.manual_seed(seed)
    layers = torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    model = torch.nn.Sequential(*layers).double()
    optimizer = make(model.parameters(), lr=0.01, weight_decay=decay, **options)
    for _ in range(600):
        rows = torch.randperm(200)[:batch]
        optimizer.zero_grad()
        functional.cross_entropy(model(x_train[rows]), y_train[rows]).backward()
        optimizer.step()
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(x_train), y_train)
    loss.backward()
    return optimizer, loss.item()


# %%
optimizer, loss = trained(torch.optim.AdamW, 0.1)
lam_a = 0.1 * mean_root_of(optimizer)
weights = optimizer.param_groups[0]["params"]
loss_falls = -sum((p.grad * p).sum() for p in weights).item()
pulls = lam_a * sum((p**2).sum() for p in weights).item()
print(f"the loss falls at {loss_falls:.2f}, AdamW's pull is {pulls:.2f}")
for decay in (lam_a, 3 * lam_a, 0.1):
    ratio = trained(torch.optim.Adam, decay)[1] / loss
    print(f"Adam + L2 with λ = {decay:.5f}: {ratio:.1f} times AdamW's training loss")

# %% tags=["hide-input"]
assert 0.75 < loss_falls / pulls < 1.3, "the loss of the network in PyTorch does not balance"

# %% tags=["hide-input"]
def mean_root(w, root):
    """The mean √v, weighted by w², for each seed and λ."""
    return (w**2 * root) @ acts / (w**2 @ acts)


# %% tags=["hide-input"]
keep = (acts == 1) & (root[:, 2] > 1e-5)  # with λ = 0.1, by seed: not dead, not of a black pixel
low, high = np.array([np.quantile(roots[kept], [0.1, 0.9])
                      for roots, kept in zip(root[:, 2], keep, strict=True)]).T
spread_of = (high / low).min(), (high / low).max()
# %% tags=["hide-input"]
# (3.5) weight by weight, with λ = 0.1: ḡ and −λ √v w of each network.
slopes_now = network_gradient(w, pictures, labels)[:, 2, acts == 1]
wanted = -0.1 * (root * w)[:, 2, acts == 1]
alike = np.array([np.corrcoef(*each)[0, 1] for each in zip(slopes_now, wanted, strict=True)])
assert alike.max() < 0.8, "each weight of a network rests where (3.5) says"

# %% tags=["hide-input"]
assert (high / low > 10).all(), "the √v of a network's weights hardly differ"

# %% [markdown]
# Loss and penalty balance, and AdamW's training loss lies between those of the first two λ.
#
# Why only a guess? The two optimisers come to different weights, and (3.7) matches a sum, not each weight. (3.5) is about means over many steps. At the one step that we looked at, in the five networks of Figure 3.7, the gradients $\bar g_i$ correlate
# with the $-\lambda\sqrt{v_i}\,w_i$ of (3.5) at {{alike.min():.1f}} to {{alike.max():.1f}}, and the 90th percentile of the $\sqrt{v_i}$ is {{spread_of[0]:.0f}} to {{spread_of[1]:.0f}} times the 10th.

# %% tags=["hide-input"]
spared = torch.nn.Parameter(torch.ones(2))  # in a group without decay
weights = torch.nn.Parameter(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))
frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
normalised = torch.nn.Parameter(torch.ones(2))  # before a normalisation layer
optimizer = torch.optim.AdamW([{"params": [spared], "weight_decay": 0},
                               {"params": [frozen, weights, normalised]}])
for _ in range(5):  # constant gradients, so that √v is their size
    spared.grad, normalised.grad = torch.full((2,), 9.0), torch.full((2,), 9.0)
    weights.grad = torch.tensor([0.5, -2, 1]).double()
    optimizer.step()
squares = weights.detach().numpy() ** 2
arrays = np.zeros((2, 1, 1, len(acts)))  # w and √v, as mean_root takes them
arrays[..., :3] = np.array([weights.tolist(), [0.5, 2, 1]])[:, None, None]
claim("03-read", "both functions give the mean √v, weighted by w², of what is trained and decays",
      measured=np.array([mean_root_of(optimizer, [normalised]), mean_root(*arrays).item()])
      - squares @ [0.5, 2, 1] / squares.sum(), equals=0, within=1e-9)

# %% tags=["hide-input"]
try:
    refused = mean_root_of(torch.optim.AdamW([spared], weight_decay=0))
except ValueError as error:
    refused = str(error)
assert "weight_decay above 0" in str(refused), "without decay there is no mean: say what to do"

# %% [markdown]
# <details>
# <summary>Why w²? And where the translation does not apply</summary>
#
# Why $w_i^2$? Take two weights, 1 with $\sqrt v=0.01$ and 0.1 with $\sqrt v=0.1$. The large one carries nearly the whole pull of Adam + L2, and the weighted mean
# is {{(1**2 * 0.01 + 0.1**2 * 0.1) / (1**2 + 0.1**2):.3f}}, near its $\sqrt v$.
#
# Where AdamW rests, (3.5) holds for each weight. Multiplied by $w_i$ and summed over all weights, it says $-\sum_i\bar g_iw_i=\lambda_W\sum_iw_i^2\sqrt{v_i}$:
# the loss falls at the rate of the pull. The translation needs this sum alone.
#
# - *Does your run balance?* Compute `loss_falls` and `pulls` as above, after `backward` on the loss of all training examples. A run that is too short does
#   not balance (§3.7).
# - *A normalisation layer* cancels the size of the weights before it: stretching them does not change the loss, which
#   cannot balance a pull ([Kosson et al., 2024](https://arxiv.org/abs/2305.17212)). Put these weights into `skip`, and find their λ by search. In a ResNet they are nearly all.
# - *A weight without gradient* has no translation: AdamW subtracts $\eta\lambda w$, Adam + L2 about η,
#   whatever λ is (§3.3).
# - *With a larger ε* the step is divided by $\sqrt{v_i}+\epsilon$. Then put this in the place of $\sqrt{v_i}$.
# - `mean_root_of` takes *one λ for all groups* that decay. With several, put each weight's λ inside both sums of (3.7).
#   With `amsgrad=True` the divisor is the largest $\sqrt v$ so far (`max_exp_avg_sq`).
# - *In a run as short as ours* $v$ is roughly the mean of $g^2$ so far. So what (3.7) gives depends on the run's length (§3.8).
#
# </details>
#
# **The translation (3.7) matches the total pull of the two penalties.**
#
# ## 3.7 Is a translated λ better than a copied one?
#
# For each of five λ AdamW now trains five networks, with other pictures and starts, and λ on weights only
# (folded). Adam + L2 then trains with each λ, once translated and once copied. Last, (3.7) leads back to AdamW, by division.

# %%
translated = lam_w * mean_root(w, root)  # by network and λ
w_c, root_c = network(coupled=translated[..., None] * acts)[0]
w_copied = network(coupled=lam_w[:, None] * acts)[0][0]
back = translated / mean_root(w_c, root_c)  # from each translated run, for AdamW
w_back = network(decoupled=back[..., None] * acts)[0][0]

# %% tags=["hide-input"]
landed = translated[:, 2]  # where (3.7) leads from AdamW's 0.1, by seed
by_rms = lam_w[1:] * np.sqrt((root**2 @ acts) / acts.sum())[:, 1:]  # a plain root mean square
others = np.hstack([0 * translated[:, :1], translated[:, 1:] / 3, translated[:, 1:] * 3, by_rms])
w_none, w_third, w_triple, w_rms = np.split(  # without λ; the others from AdamW's λ = 0.03 on
    network(coupled=others[..., None] * acts)[0][0], [1, 5, 9], axis=1)

# %% tags=["hide-input"]
# The same at another β₂.
beta_low = 0.95
w_95, root_95 = network(decoupled=lam_w[:, None] * acts, beta_2=beta_low)[0]
to_95 = lam_w * mean_root(w_95, root_95)
w_c95 = network(coupled=to_95[..., None] * acts, beta_2=beta_low)[0][0]

# %% tags=["hide-input"]
# And with random labels for some of the pictures, so that λ matters.
share = 0.3
draws = [np.random.default_rng([seed, 1]) for seed in seeds(5)]
astray = np.stack([np.where(rng.random(200) < share, rng.integers(0, 10, 200), truth)
                   for rng, truth in zip(draws, labels, strict=True)])
w_n, root_n = network(decoupled=lam_w[:, None] * acts, told=astray)[0]
to_n = np.hstack([lam_w * mean_root(w_n, root_n), np.zeros((5, 1))])  # the last: without λ
w_cn = network(coupled=to_n[..., None] * acts, told=astray)[0][0]
told_n, told_cn = judged(w_n)[0], judged(w_cn)[0]  # test losses, by seed and λ

# %% tags=["hide-input"]
# Training losses, by seed and λ.
fit_w, fit_c, fit_copied, fit_back, fit_none, fit_third, fit_triple, fit_rms, fit_95, fit_c95 = (
    judged(each, pictures, labels)[0] for each in (
        w, w_c, w_copied, w_back, w_none, w_third, w_triple, w_rms, w_95, w_c95))
to_adamw, copies, of_95 = fit_c / fit_w, fit_copied / fit_w, fit_c95 / fit_95
homewards = fit_back / fit_c
told_w, told_copied = judged(w)[1], judged(w_copied)[1]  # test accuracies
cost = 100 * (told_w - told_copied)[:, 2]  # points that a copied 0.1 costs


# %% tags=["hide-input"]
def means(ratio_of, base):
    """For each λ: the mean training loss of five networks, in units of another."""
    return ratio_of.mean(0) / base.mean(0)


# %% tags=["hide-input"]
# From λ = 0.03 on, in logs: how far the translated λ, its third and its triple are from AdamW.
missed = np.log(means(fit_c, fit_w))[1:]
missed_by = np.log([means(fit_third, fit_w[:, 1:]), means(fit_triple, fit_w[:, 1:])])
missed_rms = np.log(means(fit_rms, fit_w[:, 1:]))
upwards = 3 ** (missed / (missed - missed_by[1]))  # times the translated λ, by interpolation
# %% tags=["hide-input"]
size_w, size_c = ((each**2 @ acts).mean(0) for each in (w, w_c))  # Σw², by λ
shorter = 1 - size_c / size_w
balance_w, balance_c = slope(w) / pull, slope(w_c) / (translated * (w_c**2 @ acts))
larger = by_rms / translated[:, 1:]
tests_w, test_none = judged(w)[0].mean(0), judged(w_none)[0].mean()  # test losses
few = 100 * np.abs(tests_w[:4] / test_none - 1).max()  # % that λ up to 0.3 moves the test loss

# %% tags=["hide-input"]
total_w, total_c = (  # loss plus the penalty of Adam + L2, by seed and λ
    fits + translated / 2 * (each**2 @ acts) for fits, each in ((fit_w, w), (fit_c, w_c)))

# %% tags=["hide-input"]
point = torch.tensor(w, requires_grad=True)
first, shift, second, last_shift = (
    part.unflatten(-1, shape) for part, shape in zip(point.split(counts, -1), shapes, strict=True))
scores = (torch.tensor(pictures)[:, None] @ first + shift).relu() @ second + last_shift
truth = torch.tensor(labels)[:, None].expand(scores.shape[:-1])
(functional.cross_entropy(scores.movedim(-1, 1), truth, reduction="sum") / 200).backward()
claim("03-chain-rule", "our gradient of the networks' loss is PyTorch's", equals=0, within=1e-9,
      measured=network_gradient(w, pictures, labels) - point.grad.numpy())



# %% tags=["hide-input"]
def draw_copies(balance, ratio, test):
    """Balance; training losses in units of AdamW's; test losses with random labels."""
    blue, orange, pink = figures.BLUE, figures.ORANGE, figures.PINK
    ring = {"ms": 10, "mfc": "none", "mew": 2}
    balance.plot(lam_w, balance_w.mean(0), "s-", color=orange, label="_AdamW")
    balance.plot(lam_w, balance_c.mean(0), "o--", color=blue, label="_translated", **ring)
    ratio.fill_between(lam_w[1:], means(fit_third, fit_w[:, 1:]), means(fit_triple, fit_w[:, 1:]),
                       color=blue, alpha=0.15, lw=0)
    ratio.plot(0.93 * lam_w, of_95.T, ".", color=pink, label="_95")
    ratio.plot(lam_w[1:], means(fit_rms, fit_w[:, 1:]), "-", lw=1, color="black", label="_rms")
    ratio.vlines(lam_w, to_adamw.min(0), to_adamw.max(0), color=blue, lw=2)
    ratio.plot(lam_w, means(fit_c, fit_w), "o--", color=blue, label="_translated", **ring)
    test.axhline(told_cn[:, 5].mean(), color="black", lw=1, ls="-.", label="_none")
    test.plot(lam_w, told_n.mean(0), "s-", color=orange, label="_AdamW")
    test.plot(lam_w, told_cn[:, :5].mean(0), "o--", color=blue, label="_translated", **ring)
    for ax in (balance, ratio):
        ax.axhline(1, color="black", lw=1, ls=":", label="_one")


# %% tags=["hide-input"]
def dress_copies(balance, ratio, test):
    """Ticks, and what the lines are."""
    for ax in (balance, ratio, test):
        ax.set(xscale="log", xlabel=" ", xlim=(0.008, 1.25))
        ax.set_xticks(lam_w, ["0.01", "0.03", "0.1", "0.3", "1"])
    balance.set(ylabel="slope / pull", ylim=(0, 3.4), yticks=range(4))
    balance.text(0.0125, 2.75, "the run is too short")
    balance.set_title("From λ = 0.1 on loss and penalty balance")
    balance.minorticks_off()


# %% tags=["hide-input"]
def dress_more(ratio, test):
    """The same for the other two."""
    ratio.set(yscale="log", ylabel="training loss,\nAdamW = 1", ylim=(0.18, 9))
    ratio.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ratio.text(0.35, 6.2, f"copied λ: {copies.min():.0f} to {copies.max():.0f}, off the frame",
               va="center", ha="center", color=figures.BLUE)
    ratio.text(0.16, 0.29, "translated λ\n÷ 3 to × 3", color=figures.BLUE, va="center", ha="right")
    ratio.text(0.56, 1.05, "root mean\nsquare", va="bottom", ha="center")
    ratio.text(0.041, 4.2, "β₂ = 0.95", color=figures.PINK, va="center")
    ratio.set_title("A translated λ comes near AdamW, a copied one does not")
    test.set(ylabel="test loss", xlabel="λ of AdamW", ylim=(0.6, 1.3), yticks=(0.6, 0.8, 1, 1.2))
    test.text(0.35, 1.02, "AdamW", color=figures.ORANGE, ha="right")
    test.text(0.5, 0.76, "Adam + L2,\ntranslated λ", color=figures.BLUE, ha="center", va="center")
    test.text(1.2, told_cn[:, 5].mean() + 0.03, "without λ", ha="right")
    test.set_title("With 30 % random labels both are best at λ = 0.3")
    ratio.minorticks_off()


# %% tags=["hide-input"]
fig, panels = figures.subplots(3, 1, figsize=(5.8, 8.2), sharex=True,
                               gridspec_kw={"height_ratios": [0.6, 1.2, 0.9]})
draw_copies(*panels), dress_copies(*panels), dress_more(*panels[1:]), fig.align_ylabels()
balanced, drawn, tested = (figures.drawn(ax) for ax in panels)
ratios = [f"{ratio:.2f}" for ratio in balanced["_AdamW"].y]
nears, low_beta = [f"{ratio:.2f}" for ratio in drawn["_translated"].y], drawn["_95"].y
figures.show(fig, "Three panels against AdamW's λ from 0.01 to 1. Above, how fast the loss falls, "
             f"over the pull, is {', '.join(ratios)} under AdamW, and much the same under Adam + "
             "L2. In the middle, the training loss of Adam + L2 with the translated λ is "
             f"{', '.join(nears)} of AdamW's. Dots for β₂ = 0.95 scatter from "
             f"{low_beta.min():.1f} to {low_beta.max():.1f}. Below, the test loss with random "
             f"labels: without λ {tested['_none'].y[0]:.2f}, at λ = 0.3 "
             f"{tested['_AdamW'].at(0.3):.2f} under AdamW and "
             f"{tested['_translated'].at(0.3):.2f} under Adam + L2.", number="3.8",
             caption="Means of five networks after 600 steps. Squares are AdamW, rings Adam + L2 "
             "with the translated λ. In the middle, vertical bars go from the lowest of five "
             "networks to the highest, the band from the translated λ / 3 to 3 times it, the thin "
             "line has a plain root mean square of √v, and a pink dot is a network with "
             "β₂ = 0.95. Without random labels no λ up to 0.3 moves the test loss by more than "
             f"{few:.0f} %.")

# %% [markdown]
# *Balance* (Figure 3.8, above). From λ = {{lam_w[2]}} on the loss falls about as fast as the penalty grows. At {{lam_w[0]}} the run is too short.

# %% tags=["hide-input"]
off_balance = 100 * np.abs(balance_w - 1)[:, 2:]  # each network, with each λ from 0.1 on
claim("03-balance", "From λ = 0.1 on the slope of each network's loss agrees with AdamW's pull to "
      "within {:.0f} %", below=25, measured=off_balance)

# %% [markdown]
# *Training loss* (middle) shows how strong a penalty is. From λ = {{lam_w[1]}} on single networks with the translated λ end at {{to_adamw[:, 1:].min():.2f}} to {{to_adamw[:, 1:].max():.2f}} times AdamW's,
# so *search upwards first*: {{upwards.min():.1f}} to {{upwards.max():.1f}} times the translated λ does what AdamW's does. With a copied λ they end at {{copies.min():.0f}} to {{copies.max():.0f}} times AdamW's loss; at {{lam_w[2]}}
# a network loses {{cost.min():.0f}} to {{cost.max():.0f}} points of test accuracy.

# %% tags=["hide-input"]
claim("03-follows", "From AdamW's λ = 0.03 on the translated λ brings Adam + L2 nearer to AdamW "
      "than the copied λ, or a λ that is 3 times smaller or larger: its distance, the size of the "
      "logarithm of the ratio of training losses, is at most {:.2f} of theirs", below=1,
      measured=np.abs(missed) / np.abs([*missed_by, np.log(means(fit_copied, fit_w))[1:]]))

# %% [markdown]
# A plain root mean square of $\sqrt v$ (thin line), {{larger.mean():.1f}} times as large, comes nearer: in the mean to {{np.exp(missed_rms.min()):.2f}} to {{np.exp(missed_rms.max()):.2f}} of AdamW's loss,
# instead of {{np.exp(missed.min()):.2f}} to {{np.exp(missed.max()):.2f}}. The weights $w_i^2$ of (3.7) are derived, not found best.
#
# *At $\beta_2={{beta_low}}$*, common in language models, single networks end at {{of_95.min():.1f}} to {{of_95.max():.1f}} times AdamW's loss (pink). There search both ways.
#
# On 20 of 20 other sets of seeds the claims of this section and of §3.8 held, some of them (balance, $\beta_2$, the longer run) with less than three standard deviations of room.

# %% tags=["hide-input"]
claim("03-rms", "From λ = 0.03 on a plain root mean square of √v comes nearer to AdamW's training "
      "loss than the mean weighted by w²: its distance in the same measure is at most {:.2f} of "
      "the other", measured=np.abs(missed_rms / missed), below=1)
# %% tags=["hide-input"]
claim("03-beta", "At β₂ = 0.95 the largest ratio of the training losses of a single network, Adam "
      "+ L2 with the translated λ over AdamW, is {:.0f} times the smallest", above=3,
      measured=of_95.max() / of_95.min())
claim("03-beta", "At β₂ = 0.999 it is {:.1f} times the smallest", below=2.5,
      measured=to_adamw.max() / to_adamw.min())

# %% [markdown]
# *Where λ matters* (below). With random labels for {{100 * share:.0f}} % of the pictures the test loss is {{told_cn[:, 5].mean():.2f}} without λ.
# AdamW's best λ, {{lam_w[3]}}, brings it to {{told_n[:, 3].mean():.2f}}, and its translation, the best for Adam + L2, to {{told_cn[:, 3].mean():.2f}}. At {{lam_w[4]:g}} they differ: {{told_n[:, 4].mean():.2f}} under AdamW, {{told_cn[:, 4].mean():.2f}} translated.

# %% tags=["hide-input"]
claim("03-matters", "With 30 % random labels the best of AdamW's five λ lowers the test loss to "
      "{:.2f} of that without λ, and its translation does the same for Adam + L2",
      measured=[told_n.mean(0).min() / told_cn[:, 5].mean(),
                told_cn[:, told_n.mean(0).argmin()].mean() / told_cn[:, 5].mean()], below=0.9)

# %% [markdown]
# *The way back:* there and back {{lam_w[2]}} becomes {{back[:, 2].mean():.2f}} and {{lam_w[4]:g}} becomes {{back[:, 4].mean():.1f}}, because $\sqrt v$ is larger under Adam + L2. Again search upwards.
#
# *From SGD to AdamW* the way leads through Adam + L2, which has SGD's penalty. A test with momentum 0.9 and $\eta=0.1$:

# %%
lam_sgd = np.array([0.003, 0.01])
w_sgd = network(coupled=lam_sgd[:, None] * acts, lr=0.1, momentum=0.9)[0][0]
between = network(coupled=lam_sgd[:, None] * acts)[0]  # Adam + L2 with SGD's λ
from_sgd = lam_sgd / mean_root(*between)  # (3.7)
w_to = network(decoupled=from_sgd[..., None] * acts)[0][0]
w_same = network(decoupled=lam_sgd[:, None] * acts)[0][0]  # copied
print("λ of AdamW:", *(f"{each:.2f}" for each in from_sgd.mean(0)))

# %% tags=["hide-input"]
fit_sgd, fit_to, fit_same = (judged(each, pictures, labels)[0] for each in (w_sgd, w_to, w_same))
after_sgd, same_sgd = fit_to / fit_sgd, fit_same / fit_sgd
assert same_sgd.max() < after_sgd.min(), "a copied λ of SGD comes as near as a translated one"
claim("03-sgd", "From SGD's penalty the translated λ brings AdamW nearer to SGD's training loss "
      "than the copied one: its distance is at most {:.2f} of the other", below=0.7,
      measured=np.abs(np.log(means(fit_to, fit_sgd)) / np.log(means(fit_same, fit_sgd))))

# %% [markdown]
# AdamW ends at {{after_sgd.min():.1f}} to {{after_sgd.max():.1f}} times SGD's training loss, and with the copied number at {{same_sgd.min():.2f}} to {{same_sgd.max():.2f}} times.

# %% tags=["hide-input"]
assert few < 15, "λ up to 0.3 moves the test loss"
assert (means(fit_c, fit_w) < 1).all(), "the translated λ gives a larger training loss than AdamW"
assert (means(fit_back, fit_c) < 1)[3:].all(), "on the way back λ is too large"
assert (to_adamw.max(0) < copies.min(0)).all(), "copies do good"
assert cost.min() > 5, "a copied 0.1 costs less than 5 points of test accuracy"
# %% tags=["hide-input"]
assert (total_c < total_w)[:, 2:].all(), "AdamW's loss plus penalty is smaller than Adam + L2's"
assert (np.abs(fit_copied.mean(0)[3:] - np.log(10)) < 0.06).all(), "a copied 0.3 tells classes"
assert ((upwards > 1) & (upwards < 3)).all(), "AdamW's fit is not between that of λ and of 3 λ"
assert (shorter > 0.1).all(), "with the translated λ Σw² is not smaller than under AdamW"

# %% [markdown]
# <details>
# <summary>Why no single λ matches, and how much larger a copied λ is</summary>
#
# With the translated λ the weights are smaller, too: $\sum_iw_i^2$ is {{100 * shorter.min():.0f}} to {{100 * shorter.max():.0f}} % less than AdamW's. So the translated λ is too small, judged by
# training loss, and too large, judged by the size of the weights: no single λ matches both. One reason for the smaller weights is
# that Adam + L2 aims at a minimum of $L+\frac{\lambda_A}2\sum_iw_i^2$, while AdamW's penalty weighs each $w_i^2$ by its $\sqrt{v_i}$.
#
# A copied 0.1 is about {{round(0.1 / np.mean(landed), -1):.0f}} times the translated λ, and with a copied {{lam_w[3]}} or {{lam_w[4]:g}} the network learns nothing. The other way round, from Adam + L2 to AdamW, a copied λ does next to nothing (exercise 3).
#
# On the way back AdamW ends, from λ = {{lam_w[3]}} on, at {{homewards[:, 3:].min():.1f}} to {{homewards[:, 3:].max():.1f}} times the loss of Adam + L2.
# `exp_avg_sq` of Adam + L2 holds the squares of $g=\nabla L+\lambda w$, not of $\nabla L$ alone.
#
# </details>
#
# **At $\beta_2=0.999$ a translated λ gives the right order of magnitude, a copied one does not. Search upwards first.**
#
# ## 3.8 When √v fades: full batches and longer runs
#
# What becomes of AdamW's effective λ, $\lambda\sqrt{v_i}$, if $\sqrt{v_i}$ falls during training?
#
# **Full batches.** Without noise $v_i$ is a mean of the squares of the loss's own gradient. This gradient shrinks on the way to
# $\hat w$, the minimum of the loss (here the *least-squares* fit), and so should the effective λ. We train on all patients at once, with $\lambda=0.1$:


# %%
def full_batch(w):
    return (w @ X.T - y) @ X / n  # the gradient of half the mean squared error


# %%
full_w = train(np.zeros(10), full_batch, 0.003, 8000, decoupled=0.1)
full_l2 = train(np.zeros(10), full_batch, 0.003, 8000, coupled=0.1)
plain = train(np.zeros(10), full_batch, 0.003, 3500)  # without λ
distance_w = np.linalg.norm(full_w - least, axis=1)  # from least squares, at each step
distance_l2 = np.linalg.norm(full_l2 - least, axis=1)
distance_plain = np.linalg.norm(plain - least, axis=1)

# %% tags=["hide-input"]
seen = full_batch(np.vstack([np.zeros(10), full_w[:-1]])) ** 2  # g² at each step
v, at_rest_now, curvature = 0.0, [], X.T @ X / n
for t, square in enumerate(seen, 1):
    v = 0.999 * v + 0.001 * square
    if t % 50 == 0:  # the weights at which (3.5) would hold with the present v
        coefficient = lam * np.sqrt(v / (1 - 0.999**t))
        rest = np.linalg.solve(curvature + np.diag(coefficient), curvature @ least)
        at_rest_now.append(np.linalg.norm(rest - least))

# %% tags=["hide-input"]
def draw_fading(ax):
    """Distances from least squares, where (3.5) holds, and a triangle: a factor e in 2000 steps."""
    steps = np.arange(10, 8001, 10)
    early = steps[: (distance_plain[9::10] > 0.001).argmin()]  # later it is rounding error
    ax.semilogy(early, distance_plain[early - 1], color=figures.GREY, lw=1, label="_plain")
    ax.semilogy(steps, distance_l2[steps - 1], color=figures.BLUE, label="_l2")
    ax.semilogy(steps, distance_w[steps - 1], color=figures.ORANGE, label="_w")
    ax.plot(steps[4::5], at_rest_now, ":", color="black", label="_rest")
    height = 1.5 * distance_w[4599]
    ax.plot([4600, 6600, 6600, 4600], height * np.exp([0, 0, -1, 0]), color="black", lw=1,
            label="_triangle")
    ax.text(4600, 1.2 * height, "2/(1 − β₂) = 2000 steps")
    ax.text(6680, 0.55 * height, "factor e")


# %% tags=["hide-input"]
def label_fading(ax):
    """What the lines are."""
    ax.text(7950, 0.72, "Adam + L2: at the ridge fit", color=figures.BLUE, ha="right")
    ax.text(2100, 0.17, "AdamW", color=figures.ORANGE)
    ax.text(2380, 0.012, "Adam without λ", color=figures.GREY, ha="right")
    ax.text(3050, 0.0084, "dotted: resting point\nfor the present v", va="center")
    ax.set(xlabel="step", ylabel="distance from least squares", xlim=(0, 8000), ylim=(1e-3, 1.3))
    ax.set_yticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
    ax.set_xticks(range(0, 8001, 2000))
    ax.minorticks_off()
    ax.set_title("With full batches Adam + L2 keeps its λ,\n"
                 "and AdamW's effective λ fades")


# %% tags=["hide-input"]
assert distance_plain[-1] < 0.001, "Adam without λ does not reach least squares"
fig, ax = figures.subplots(figsize=(5.6, 3.8))
draw_fading(ax), label_fading(ax)
drawn = figures.drawn(ax)
figures.show(fig, "Distance from least squares on a logarithmic axis against 8000 steps, both "
             f"rules with λ = 0.1. Adam + L2 soon stays at {drawn['_l2'].y[-1]:.2f}, where ridge "
             f"regression is. AdamW falls to {drawn['_w'].at(4000):.3f} at step 4000 and to "
             f"{drawn['_w'].y[-1]:.4f} at the end. A dotted line, the resting point for the "
             f"present v, is at {drawn['_rest'].at(1000):.2f} at step 1000 and then joins it. "
             "A triangle shows its slope at the end, a factor e in 2000 steps. Adam "
             "without λ, grey, is at first nearly "
             f"as late: at {drawn['_plain'].at(1000):.2f} at step 1000, where AdamW is at "
             f"{drawn['_w'].at(1000):.2f}.", number="3.9",
             caption="All lines are single runs from zero. For 1000 steps Adam without λ (grey) is "
             "nearly as slow as AdamW, because √v remembers the large early gradients. Later it "
             "leaves the frame below.")

# %% [markdown]
# In Figure 3.9 Adam + L2 stays at the ridge fit. AdamW
# nears the dotted line, the point where it would rest with the present $v$. From then on both sink together: to $1/e$ in $2/(1-\beta_2)=2000$ steps, because $\sqrt v$ forgets at this pace.

# %% tags=["hide-input"]
rate = 0.0005 * (1 - (lam * np.abs(least).max()) ** 2)  # of √v, half of v's: slowest weight
claim("03-full-beside", "After 4000 full batches with λ = 0.1 AdamW is {} times as far "
      "from least squares as ridge regression is", between=(0.01, 0.1),
      measured=distance_w[3999] / np.linalg.norm(exact - least))
claim("03-full-rate", "From step 7000 to 8000 AdamW's distance from least squares falls at "
      "the rate that is derived below for √v, with a relative error of {:.3f}", below=0.05,
      measured=np.abs(np.log(distance_w[6999] / distance_w[7999]) / 1000 / rate - 1))
claim("03-full-l2", "Adam + L2 ends at ridge regression", measured=full_l2[-1] - exact, equals=0,
      within=1e-9)
assert 0.8 < distance_plain[999] / distance_w[999] < 1, "Adam without λ is much faster than AdamW"

# %% [markdown]
# <details>
# <summary>In detail: why v falls, and how fast</summary>
#
# Let $\hat w$ be the only minimum, with
# $\lambda|\hat w_i|<1$ (exercise 5: the other case), and let $w$ have come so near to it that $\lambda|w_i|<1$, too. Suppose
# that AdamW has reached (3.5). There $|\bar g_i|=\lambda|w_i|\sqrt{v_i}<\sqrt{v_i}$. Each step feeds the running mean $v_i$ a square smaller
# than $v_i$. So $v_i$ falls, and AdamW follows, towards $\hat w$.
#
# How fast? Late in training $w\approx\hat w$, and by (3.5) $\bar g_i^2\approx\lambda^2\hat w_i^2\,v_i$. With this
# in the place of $g^2$ (and late, when the correction is 1), the running mean of (3.3) becomes
#
# $$v_i\leftarrow\left(1-(1-\beta_2)\left(1-\lambda^2\hat w_i^2\right)\right)v_i.$$
#
# Here $\lambda^2\hat w_i^2$ is at most {{100 * (lam * np.abs(least).max()) ** 2:.2f}} %, so that a step takes about the fraction $1-\beta_2$ of $v_i$, and half of this fraction of
# $\sqrt{v_i}$. In $2/(1-\beta_2)=2000$ steps $\sqrt{v_i}$ falls by a factor $e$, at nearly the same pace for all ten weights. So all ten effective λ keep their ratios, and
# a small penalty moves the minimum in proportion to them: AdamW's distance from $\hat w$ falls as fast, to a floor that η sets (exercise 6).
# With $\beta_2=0.95$ a factor $e$ of
# $\sqrt{v_i}$ takes {{2 / (1 - 0.95):.0f}} steps instead of 2000, again only once the gradients are small.
#
# The decay still takes the fraction $\eta\lambda$ in each step. The step on the loss makes up for it. For this ever smaller gradients are enough, since they are
# divided by an ever smaller $\sqrt v$.
#
# </details>
#
# **Longer runs.** We train AdamW with λ = 0.1 for 2000 steps.

# %%
longer = network(decoupled=0.1 * acts, ends=range(100, 2001, 100))  # AdamW
mean_roots = np.array([mean_root(*each) for each in longer])  # axes: time, seed, λ
later = 0.1 * mean_roots[-1, :, 0]  # where the rule leads after 2000 steps, by seed

# %% tags=["hide-input"]
# Adam + L2 with the λ read after 600 steps and after 2000.
read_lams = np.stack([landed, later], axis=1)  # by seed and run
both = network(coupled=read_lams[..., None] * acts, ends=range(100, 2001, 100))

# %% tags=["hide-input"]
# Training losses; axes: time, seed, run.
fits_long, fits_both = (np.array([judged(each, pictures, labels)[0] for each, _ in run])
                        for run in (longer, both))
course = fits_both / fits_long  # in units of AdamW's
early_end, late_end = course[-1].T  # by seed: λ read at step 600, at step 2000

# %% tags=["hide-input"]
# What √v keeps from step 600 to 2000 if no gradient comes, and what share of v at 2000 that is:
memory = np.sqrt(0.999**1400 * (1 - 0.999**600) / (1 - 0.999**2000))
remembered = np.array([np.median((memory * early[kept] / late[kept]) ** 2) for early, late, kept
                       in zip(longer[5][1][:, 0], longer[-1][1][:, 0], keep, strict=True)])


# %% tags=["hide-input"]
def draw_course(ax, other):
    """The effective λ of longer runs, and their training losses: each network, and medians."""
    times, blue, pink = np.arange(100, 2001, 100), figures.BLUE, figures.PINK
    kept = np.broadcast_to(read_lams, course.shape)
    for axes, lines in ((ax, ((0.1 * mean_roots[..., 0], "AdamW", "-", figures.ORANGE),
                              (kept[..., 0], "early", "-", blue),
                              (kept[..., 1], "late", "--", pink))),
                        (other, ((course[..., 0], "early", "-", blue),
                                 (course[..., 1], "late", "--", pink)))):
        for run, name, style, colour in lines:
            axes.semilogy(times, run, style, color=colour, lw=0.5, label="_seeds", alpha=0.35)
            axes.semilogy(times, np.median(run, 1), style, color=colour, label=f"_{name}")
    for end, run, colour in ((5, 0, blue), (19, 1, pink)):
        ax.plot(times[end], np.median(kept[end, :, run]), "o", ms=11, mfc="none", mew=2,
                color=colour, label=f"_read {times[end]}", clip_on=False)


# %% tags=["hide-input"]
def label_course(ax, other):
    """Ticks, and which line is which."""
    ax.set(xlabel=" ", ylabel="effective λ", xlim=(0, 2000), ylim=(0.00011, 0.0025))
    ax.set_yticks([0.0002, 0.0005, 0.001, 0.002], ["0.0002", "0.0005", "0.001", "0.002"])
    other.set(xlabel="step", ylabel="training loss,\nAdamW = 1", ylim=(0.25, 5))
    other.set_yticks([0.3, 1, 3], ["0.3", "1", "3"])
    ax.minorticks_off(), other.minorticks_off()
    other.axhline(1, color="black", lw=1, ls=":", label="_one")
    ax.text(400, 0.0014, "AdamW: 0.1 × mean √v", color=figures.ORANGE, va="center")
    ax.text(1980, 0.00092, "Adam + L2, λ read at step 600", color=figures.BLUE, ha="right",
            va="center")
    ax.text(1330, 0.00016, "Adam + L2, λ read at step 2000", color=figures.PINK, ha="right",
            va="center")


# %% tags=["hide-input"]
fig, (ax, other) = figures.subplots(2, 1, figsize=(5.6, 4.9), sharex=True)
draw_course(ax, other), label_course(ax, other), fig.align_ylabels()
penalty_of, ratio_of = figures.drawn(ax), figures.drawn(other)
ax.set_title("AdamW's effective λ fades, the λ of Adam + L2 stays")
other.set_title("Read early, λ ends too strong; read late, too weak")
figures.show(fig, "Two panels over 2000 steps, with medians. Above, AdamW's effective λ "
             f"falls from {penalty_of['_AdamW'].at(600):.5f} at step 600 to "
             f"{penalty_of['_AdamW'].at(2000):.5f} at step 2000. The two λ of Adam + L2 are level "
             "lines, which it meets there. Below, the training loss in units of AdamW's ends at "
             f"{ratio_of['_early'].y[-1]:.1f} with the λ read at step 600, and at "
             f"{ratio_of['_late'].y[-1]:.1f} with that read at step 2000.", number="3.10",
             caption="Thick lines are medians of five networks, thin ones single networks. Rings "
             "mark the step at which the λ of Adam + L2 was read. With it Adam + L2 then "
             "trained from "
             "the start, for 2000 steps.")

# %% [markdown]
# After 600 steps the translation gave {{np.median(landed):.4f}} (median), after 2000 only about {{np.median(later):.4f}} (Figure 3.10). The network soon fits its pictures so well that
# later gradients add little to $v$.
# So AdamW's effective λ fades, and the λ of Adam + L2 stays. Read at step 600, it ends at {{early_end.min():.1f}} to {{early_end.max():.1f}} times AdamW's training loss; read at step 2000, at {{late_end.min():.1f}} to {{late_end.max():.1f}} times.

# %% tags=["hide-input"]
claim("03-longer", "From step 600 to 2000 the translation of AdamW's 0.1 shrinks to at most {:.2f} "
      "of its value", measured=later / landed, below=0.5)
far = np.abs(np.log(course[-1])).mean(0)
claim("03-longer", "After 2000 steps the λ read at step 2000 is nearer to AdamW than the λ read "
      "at step 600: its mean distance in the measure of §3.7 is {:.2f} of the other",
      measured=far[1] / far[0], below=1)
# %% tags=["hide-input"]
claim("03-longer", "With the λ read at step 600 five networks end, in the median, at {:.1f} times "
      "AdamW's training loss", between=(1.3, 2.5), measured=np.median(early_end))
claim("03-longer", "With the λ read at step 2000 they end at {:.1f} times", between=(0.5, 0.9),
      measured=np.median(late_end))

# %% tags=["hide-input"]
assert 0.5 < remembered.mean() < 1, "late gradients add much to v"
assert np.median(early_end) > 1 > np.median(late_end), "early is not too strong, or late too weak"
assert np.median(course[5, :, 0]) < 1, "at step 600 search downwards first"

# %% [markdown]
# **Where gradients become small, AdamW's effective λ fades: with full batches AdamW ends near least squares, $e$ times nearer every 2000 steps. In a longer run read $\sqrt v$ at its end.**
#
# ## 3.9 What a learning-rate schedule does to the decay
#
# Should a decay follow the learning rate when a schedule lowers it? Let $\eta_t$ be the rate at step $t$, and
# $\eta_{\max}$ its peak. Three forms are in use for the fraction $\delta_t$ that step $t$ removes:
#
# $$\delta_t=\delta_{\max}s_t,\qquad \delta_t=\delta_{\max},\qquad \delta_t=\delta_{\max}s_t^2,
# \qquad\text{with } s_t=\eta_t/\eta_{\max}. \tag{3.8}$$
#
# - The first *follows the rate*. PyTorch, Keras and Optax take $\eta_t\lambda$.
# - The second is *independent* of the rate, as in TensorFlow Addons.
# - The third is [AdamC](https://arxiv.org/abs/2506.02285)'s *corrected* decay ([chapter 8](08_effective_learning_rate.ipynb)).
#
# <details>
# <summary>AdamW as published, and a second meaning of independent</summary>
#
# [As published](https://arxiv.org/abs/1711.05101), AdamW takes $\delta=s\lambda$, where $s\le1$ is the learning rate divided by
# its peak. [Wortsman et al. (2023)](https://arxiv.org/abs/2309.14322) call this form independent weight decay,
# although it follows the schedule: it is independent of the peak alone. What we call independent is another form, the second.
#
# </details>
#
# If the rate stayed at $\eta_t$, a weight under SGD would rest where $-\eta_t\bar g-\delta_tw=0$, at the minimum under a penalty with the coefficient $\delta_t/\eta_t$. In the
# first form this coefficient stays the same. In the second it grows as $1/\eta_t$, and in the third it falls with $\eta_t$.
# Under AdamW multiply it by $\sqrt{v_i}$ (3.5).
#
# Predict what 200 steps of plain SGD under a cosine do to an ignored weight, and to one with the gradient
# $w-1$.

# %%
cosine = (1 + np.cos(np.pi * np.arange(200) / 200)) / 2  # s_t; the rate is 0.1 s_t
delta_max = 0.01  # δ at the peak
factors = {"follows the rate": cosine, "independent": np.ones(200), "corrected": cosine**2}
left = {name: np.cumprod(1 - delta_max * factor) for name, factor in factors.items()}

# %%
drawn_to_1 = {name: [1.0] for name in factors}
for name, factor in factors.items():
    for eta, delta in zip(0.1 * cosine, delta_max * factor, strict=True):
        weight = drawn_to_1[name][-1]
        drawn_to_1[name].append((1 - delta) * weight - eta * (weight - 1))


# %% tags=["hide-input"]
def in_torch(weight_decay, lr, steps=200):
    """What torch.optim.AdamW and a cosine leave of a weight of 1 that the loss ignores."""
    w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(steps):
        w.grad = torch.zeros_like(w)
        optimizer.step()
        schedule.step()
    return w.item()


# %% tags=["hide-input"]
def draw_schedules(strip, ax, other):
    """Three decays under a cosine: the coefficient, an ignored weight, one drawn to 1."""
    for name, colour in colours.items():
        coefficient = delta_max * factors[name] / (0.1 * cosine)
        strip.semilogy(coefficient, color=colour, label=f"_{name}")
        ax.plot(np.append(1, left[name]), color=colour, label=f"_{name}")
        other.plot(drawn_to_1[name], color=colour, label=f"_{name}")
        other.plot(1 / (1 + coefficient), ":", lw=1, color=colour, label=f"_rest, {name}")
    strip.set(xlabel=" ", ylabel="coefficient\n" + r"$\delta_t\,/\,\eta_t$", ylim=(0.003, 3))
    strip.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"]), strip.minorticks_off()
    for axes, step, name, start, edge in ((strip, 177, "independent", 1.2, 3),
                                          (strip, 177, "corrected", 0.0075, 0.003),
                                          (other, 166, "independent", 0.49, 0.4)):
        axes.annotate("", (step, edge), (step, start), arrowprops={
            "arrowstyle": "-|>", "color": colours[name], "shrinkA": 0, "shrinkB": 0})
    ax.set(xlabel=" ", ylabel="the weight", ylim=(0, 1.05), xlim=(0, 200))
    other.set(xlabel="step of the cosine", ylabel="the weight", ylim=(0.4, 1.08))


colours = dict(zip(factors, ("black", figures.GREEN, figures.PINK), strict=True))


# %% tags=["hide-input"]
def label_schedules(strip, ax, other):
    """Which line is which, and where each ends."""
    other.text(3, 0.72, "dotted: where it would\nrest if the rate stayed", va="center")
    for axes, places in ((strip, (0.1, 2, 0.005)), (ax, (0.33, 0.12, 0.5)),
                         (other, (0.885, 0.5, 1.0))):
        lines = figures.drawn(axes)
        for (name, colour), place in zip(colours.items(), places, strict=True):
            end = "" if axes is strip else f" {lines[f'_{name}'].y[-1]:.2f}"
            axes.text(203, place, name + end, color=colour, va="center")


# %% tags=["hide-input"]
def schedules_in_words(first, ends):
    """The description of Figure 3.11."""
    ignored, kept = ends
    return ("Three panels over 200 steps of a cosine. In the first, on a logarithmic axis, the "
            f"coefficient δ_t/η_t is flat at {first['_follows the rate'].y[0]:.1f} if the decay "
            "follows the rate, grows without bound if it is independent, and falls to zero if it "
            "is corrected. In the others a weight begins at 1. In the second the loss ignores the "
            f"weight, which ends at {ignored['follows the rate']:.2f} if the decay follows the "
            f"rate, {ignored['independent']:.2f} if it is independent, "
            f"{ignored['corrected']:.2f} if it is corrected. In the third the loss draws it to 1, "
            f"and it ends at {kept['follows the rate']:.2f} if the decay follows the rate, "
            f"{kept['independent']:.2f} if it is independent, {kept['corrected']:.2f} if it is "
            "corrected. Thin dotted lines show where it would rest at the rate of each step.")


# %% tags=["hide-input"]
fig, (strip, ax, other) = figures.subplots(3, 1, figsize=(6.4, 5.6), sharex=True,
                                           gridspec_kw={"height_ratios": [0.8, 1, 1]})
draw_schedules(strip, ax, other), label_schedules(strip, ax, other)
ends = [{name: figures.drawn(axes)[f"_{name}"].y[-1] for name in factors} for axes in (ax, other)]
strip.set_title("Under SGD the penalty's coefficient stays, grows or falls")
ax.set_title("Ignored by the loss: independent decay takes most")
other.set_title("The loss wants 1: only following the rate keeps "
                f"{ends[1]['follows the rate']:.2f}")
fig.align_ylabels()
figures.show(fig, schedules_in_words(figures.drawn(strip), ends), number="3.11",
             caption="The three decays begin with the same δ. Arrows show where a line leaves the "
             "frame. The numbers give the weight at the end. In the last panel the independent "
             "(green) and corrected (pink) weights lag behind their dotted resting points, which "
             "move to 0 and to 1.")

# %% tags=["hide-input"]
claim("03-schedule", "PyTorch's AdamW leaves the product of 1 − η_t λ: the difference is zero",
      measured=in_torch(0.1, 0.1) - left["follows the rate"][-1], equals=0, within=1e-12)
claim("03-pulled", "Halfway, at step 100, each weight that the loss draws to 1 is within {:.3f} "
      "of where a penalty with the coefficient δ_t/η_t has its minimum",
      measured=[drawn_to_1[name][100]
                - 1 / (1 + delta_max * factors[name][100] / (0.1 * cosine[100]))
                for name in factors], equals=0, within=0.03)
claim("03-coupled", "With 10 times the learning rate and the same λ PyTorch's AdamW decays an "
      "ignored weight {} times as fast",
      measured=np.log(in_torch(0.1, 0.01)) / np.log(in_torch(0.1, 0.001)), equals=10, within=0.01)
claim("03-cosine", "the 200 factors of the cosine sum to 100.5",
      measured=cosine.sum(), equals=100.5, within=1e-9)
claim("03-cosine", "the squares of the 200 factors sum to 75.5",
      measured=(cosine**2).sum(), equals=75.5, within=1e-9)

# %% [markdown]
# **Under SGD only a decay that follows the rate keeps the resting point (Figure 3.11). As the rate falls, an independent one moves it
# towards 0, a corrected one towards the loss's minimum. Under AdamW a falling $\sqrt v$ moves it as well.**
#
# ## 3.10 In practice
#
# Figure 3.12 is a map.

# %% tags=["hide-input"]
PLACES = {"SGD + penalty,\nRidge": (1.45, 3.2), "Adam + L2": (8.55, 3.2),
          "SGD with decay\n(Keras)": (1.45, 0.8), "other decays,\nas in Lion": (5, 0.8),
          "AdamW": (8.55, 0.8)}
WAYS = (("SGD + penalty,\nRidge", "Adam + L2", "black", "keep 2k/c, tune η", (5, 3.4)),
        ("SGD + penalty,\nRidge", "SGD with decay\n(Keras)", "black",
         "momentum μ:\nλ = x / (1 − μ)", (1.65, 2)),
        ("Adam + L2", "AdamW", figures.PINK, "translate (3.7),\ntune λ", (8.35, 2)),
        ("SGD with decay\n(Keras)", "other decays,\nas in Lion", figures.PINK, "keep δ", (3.22, 1)),
        ("other decays,\nas in Lion", "AdamW", figures.PINK, "keep δ", (6.8, 1)))


# %% tags=["hide-input"]
def draw_map(ax):
    """A box for each family of optimisers, and how λ goes from one to another."""
    for words, (x, y) in PLACES.items():
        colour = figures.BLUE if y > 2 else figures.ORANGE
        ax.add_patch(Rectangle((x - 1.2, y - 0.45), 2.4, 0.9, fc="white", ec=colour, lw=2))
        ax.text(x, y, words, ha="center", va="center", color=colour, weight="bold")
    for here, there, colour, words, place in WAYS:
        ends = np.array([PLACES[here], PLACES[there]])
        gap = np.where(ends[0] == ends[1], 0, np.sign(ends[1] - ends[0]) * [1.25, 0.5])
        ax.annotate("", ends[1] - gap, ends[0] + gap, arrowprops={
            "arrowstyle": "<|-|>", "lw": 1.8, "color": colour, "shrinkA": 0, "shrinkB": 0})
        side = "center" if ends[0, 1] == ends[1, 1] else "left" if place[0] < 5 else "right"
        ax.text(*place, words, ha=side, va="center" if side != "center" else "bottom", color=colour)


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.4, 3.5))
draw_map(ax)
ax.text(5, 2.85, "same minimum", ha="center", va="center")
ax.text(5, 2, "pink: a first guess", ha="center", va="center", color=figures.PINK)
ax.plot([1.45, 8.55], [3.2, 0.8], ",", color="white", label="_boxes")
ax.set(xlim=(0, 10), ylim=(0.2, 3.8), xticks=(), yticks=(), xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.grid(visible=False)
ax.set_title("A penalty keeps its minimum; between penalty\n"
             "and decay under Adam there is only a first guess")
figures.show(fig, "A map of five boxes. Above, in blue, two penalties: SGD with a penalty (with "
             "Ridge) and Adam + L2; a black arrow between them says keep 2k/c, tune η, same "
             "minimum. Below, in orange, three decays: SGD with decay, others as in Lion, AdamW; "
             "pink arrows say keep δ. A black arrow from SGD's penalty to SGD's decay says λ is x "
             "divided by one minus μ. A pink one from Adam + L2 to AdamW says translate (3.7).",
             number="3.12",
             caption="Blue boxes are penalties, orange ones decays. Black arrows keep the minimum, "
             "pink ones are first guesses. Not drawn: the same optimiser in another library makes "
             "the same run exactly, under a constant rate. Keeping δ keeps only the pace of a "
             "weight without gradient.")

# %% tags=["hide-input"]
sgd = {"lr": 0.1, "optimizer": "sgd", "momentum": 0.9}
claim("03-momentum", "From a penalty 0.01 in SGD with momentum 0.9, η = 0.1, to a decay `convert` "
      "multiplies λ by {:.2f}, near 1/(1 − μ) = 10", between=(10, 11.5),
      measured=convert(0.01, "torch_sgd", "keras_optimizer", **sgd) / 0.01)
# %% tags=["hide-input"]
still = []
for penalty, decay in ((0.1, 0), (0, 0.1), (0, 1)):  # on ½(w − 1)², momentum 0.9, η = 0.01
    w_now, buffer = 1.0, 0.0
    for _ in range(5000):
        buffer = 0.9 * buffer + w_now - 1 + penalty * w_now
        w_now = (1 - 0.01 * decay) * w_now - 0.01 * buffer
    still.append(w_now)
claim("03-momentum", "with the same number SGD's decay rests elsewhere than its penalty, with "
      "x/(1 − μ) at the same place, to {:.3f}", measured=still[2] - still[0], equals=0, within=0.01)
assert still[1] - still[0] > 0.05, "a copied number of SGD rests at the same place"

# %% [markdown]
# | you have | you want | do this |
# |---|---|---|
# | a penalty | another program's penalty | keep $2k/c$: the same minimum. With another optimiser tune η |
# | SGD's penalty $x$, momentum μ | SGD with a decay | divide $x$ by $1-\mu$ |
# | a decay | the same optimiser in another library | keep δ: exact under the same form of schedule (§3.9) |
# | a decay | another optimiser's decay | keep δ as a first guess; tune η and λ |
# | AdamW | Adam + L2 | $\lambda_A=\lambda_W\cdot$ `mean_root_of` the AdamW run (3.7); then search, first upwards (at $\beta_2={{beta_low}}$ both ways) |
# | Adam + L2 | AdamW | $\lambda_W=\lambda_A\,/$ `mean_root_of` the Adam + L2 run; then the same |
# | SGD's penalty | AdamW | Adam + L2 with the same λ, then the row above |
#
# - **Write five things beside every λ:** the loss (½? mean or sum?), penalty or decay, whether the
#   learning rate multiplies it, the optimiser, and the parameters on which λ acts.
# - **Which optimiser?** By default AdamW: its decay is the same for every weight, whatever the loss's scale (exercise 4). Take Adam + L2
#   if you need the minimum of a stated objective and the noise is symmetric: rare, one-sided gradients move the resting point (§3.4).

# %% [markdown]
# <details>
# <summary>First values, and special cases</summary>
#
# **Start at common values:** with SGD and momentum $\lambda=10^{-4}$ at $\eta=0.1$
# ([He et al., 2016](https://arxiv.org/abs/1512.03385)), with AdamW 0.1
# ([LLaMA](https://arxiv.org/abs/2302.13971)).
#
# **Momentum.** Dividing by $1-\mu$ keeps the resting point. `convert` keeps the pace at which a weight without gradient shrinks, and so gives a little more.
#
# **If you change η** under AdamW, keep $\eta\lambda$: then old updates fade from the weights at the same pace. Chapter 11 ([§11.5](11_choosing_lambda.ipynb)) compares this with other advice.
#
# **TensorFlow Addons' δ ignores the schedule.** To shrink an ignored weight as much under a cosine, halve δ on the way there, and double it on the way back.
# The resting point still differs (§3.9).
#
# **From one decay to another optimiser's**, such as AdamW to Lion, the same δ keeps only the pace of a weight without gradient. Where other weights rest depends on
# the optimiser's step (§3.4). `convert` keeps δ, and does not warn.
#
# **Keep the weights, or a master copy, in float32:** with $\eta=0.0003$ and $\lambda=0.1$ a step multiplies a weight by ${{1 - 0.0003 * 0.1:.5f}}$,
# and bfloat16 rounds this back to the weight.
#
# </details>


# %% tags=["hide-input"]
def moved(dtype):
    """How many of 2000 weights torch.optim.AdamW has moved after a thousand steps of decay."""
    start = torch.tensor(claims.rng().uniform(1, 2, 2000), dtype=dtype)
    w = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([w], 0.0003, weight_decay=0.1)
    for _ in range(1000):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    return (w != start).sum().item()


# %% tags=["hide-input"]
claim("03-bfloat", "in bfloat16, with η = 0.0003 and λ = 0.1, AdamW's decay moves none of 2000 "
      "weights in 1000 steps", measured=moved(torch.bfloat16), equals=0, within=1e-9)

# %% [markdown]
# **Limits.** (3.4) to (3.6) need symmetric, steady noise, small η and $\beta_2$ near 1. (3.5) needs weights at rest. In our networks we tested its sum,
# and single weights at one step only. (3.7) was tried at constant η on one small network. At $\beta_2={{beta_low}}$ it led to up to {{of_95.max():.0f}} times AdamW's training loss.
#
# ## 3.11 Exercises
#
# **1.** (One line.) A paper uses `Ridge(alpha=20)` on 1000 examples. Which `weight_decay` of SGD gives the same model
# with `torch.nn.MSELoss`, and which parameters must it spare?
#
# <details>
# <summary>Solution</summary>
#
# By (3.1) the book's λ is $20/1000 = {{convert(20, "sklearn_ridge", "book", n=1000)}}$. For `MSELoss` $c = 2$, so type
# {{convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse"):.2f}}:
# `convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse")`. Ridge does not
# penalise its intercept, so give the bias a parameter group with `weight_decay=0`.
#
# </details>
#
# **2.** (Read this log.) A weight has no gradient. After 0, 1000, 2000 and 3000 steps it is in run A
# 5.00{{"".join(f", {5 * (1 - 1e-4) ** t:.2f}" for t in (1000, 2000, 3000))}} and in
# run B 5.00{{"".join(f", {w:.2f}" for w in train(five, np.zeros_like, 1e-3, 3000, coupled=1e-4)[999::1000, 0])}}. Both
# use PyTorch with $\eta=10^{-3}$ and default settings but for λ. (a) Which optimisers can these be, and with which λ?
# (b) What would a cosine leave in A (§3.9)?
#
# <details>
# <summary>Solution</summary>
#
# (a) In A a thousand steps multiply the weight by {{(1 - 1e-4) ** 1000:.3f}}, so that each step takes the fraction
# $\delta = -\ln({{(1 - 1e-4) ** 1000:.3f}})/1000 = 10^{-4}$. This is plain SGD, AdamW or another
# optimiser with a decoupled decay, with $\lambda = \delta/\eta = {{1e-4 / 1e-3:.1f}}$. In B the first
# thousand steps subtract nearly $1000\,\eta = 1$, and later ones less, since $\sqrt v$ still holds larger, earlier gradients. This is
# Adam + L2. (`NAdam` with L2 comes within 0.02.) Its λ cannot be read off, because it cancels.
#
# (b) Over 3000 steps a cosine's $s_t$ (§3.9) has the mean ½, so that A loses half as much on a logarithmic scale: $5\,e^{-0.15} = {{5 * np.exp(-0.15):.2f}}$ is left
# instead of {{5 * (1 - 1e-4) ** 3000:.2f}}. An independent decay ignores the cosine, and {{5 * (1 - 1e-4) ** 3000:.2f}} stays: to take as little as the cosine does, halve its δ.
#
# </details>
#
# **3.** (A question from a forum.) I moved from `Adam(weight_decay=1e-4)` to `AdamW(weight_decay=1e-4)` with
# $\eta=10^{-3}$, and now I overfit more. Why? At the end of the old training `mean_root_of`
# was 0.002. Which λ should I try?
#
# <details>
# <summary>Solution</summary>
#
# AdamW takes $\eta\lambda = 10^{-7}$ of each weight a step, so that a weight halves in about
# {{np.log(2) / 1e-7 / 1e6:.0f}} million steps: the decay is practically off. By (3.7) begin at
# $10^{-4}/0.002 = {{1e-4 / 0.002:.2f}}$. In §3.7 this way back gave too small a λ. So search in factors of 3, first
# upwards, and choose on validation data.
#
# </details>
#
# **4.** (Sum or mean?) You replace the mean of the loss over a batch of 64 by the sum: $c=64$. Which η and `weight_decay` $x$ repeat the old run,
# step for step, with SGD, Adam + L2 and AdamW? What happens in each if you change nothing?
#
# <details>
# <summary>Solution</summary>
#
# SGD's step is $\eta\,(\nabla L+xw)$. The new loss has $c$ times the gradient, so the step becomes $\eta'(c\nabla L+x'w)$, which is the same if
#
# $$\eta' = \eta/c,\qquad x' = c\,x. \tag{3.9}$$
#
# This is also true with momentum. The book's λ stays: before it is $x$, afterwards $x'/c=x$.
#
# Adam divides by the size of its gradient, up to ε, so that its η stays. Adam + L2 needs $cx$, so that the penalty's
# fraction of the gradient stays. AdamW's decay never meets the gradient.
#
# | optimiser | new η | new $x$ | if you change nothing |
# |---|---|---|---|
# | SGD | $\eta/c$ | $c\,x$ | the penalty is $c$ times too weak, and much larger steps may diverge |
# | Adam + L2 | η | $c\,x$ | the penalty is $c$ times too weak |
# | AdamW | η | $x$ | nothing happens |
#
# </details>
#
# **5.** (Out of reach.) For one weight: without noise $\sqrt{v_i}$ is $|\bar g_i|$ at rest. By (3.5), where can a weight with $\bar g_i\ne0$ rest
# under AdamW? What if the minimum of the loss lies outside $|w_i|\le1/\lambda$?
#
# <details>
# <summary>Solution</summary>
#
# The left side of (3.5) is then $\pm1$, so that $|w_i| = 1/\lambda$. If the minimum lies outside, the loss draws it outward all
# the way to $1/\lambda$. There a step of size η just balances the decay $\eta\lambda|w_i|$, and further out the decay wins: AdamW
# stops at $1/\lambda$. To come near takes a few times $1/(\eta\lambda)$ steps. Inside it rests only where $\bar g_i = 0$, as without a penalty. So
# without noise AdamW's decay is a bound on the largest weight ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454)).
#
# </details>
#
# **6.** (Hard. Predict, then run.) Where does the fading of §3.8 end? Run
# `long = train(np.zeros(10), full_batch, 0.003, 20000, decoupled=0.1)` and look at
# `np.linalg.norm(long[15000:].mean(0) - least)`. Then repeat it with $\eta = 0.001$.
# Why?
#
# <details>
# <summary>Solution</summary>
#
# At a floor that η sets, around which the weights swing. The distance is then about 0.0027, and with $\eta = 0.001$ it is 0.0009. When $\sqrt v$ is very small, Adam's steps
# overshoot, the gradients grow, and these lift $\sqrt v$ again. How small? With $v$ fixed and the same for all weights, (3.3) is SGD with
# momentum $\beta_1$ and the rate $\eta(1-\beta_1)/\sqrt v$. Momentum is stable while rate times curvature is below $2(1+\beta_1)$
# ([chapter 2](02_from_penalty_to_weight_decay.ipynb)). For a loss with the largest curvature $\rho_{\max}$ this fails below
#
# $$\sqrt{v_{\min}} = \frac{1-\beta_1}{2\,(1+\beta_1)}\;\eta\,\rho_{\max}, \tag{3.10}$$
#
# which is proportional to η. So an effective λ of $\lambda\sqrt{v_{\min}}$ remains, and with it a distance. Ridge regression with this λ
# is {{np.linalg.norm(ridge(X, y, 0.1 * 0.1 / 3.8 * 0.003 * np.linalg.eigvalsh(X.T @ X / n)[-1])[0] - least):.4f}} from least squares, nearly as far as the first run ([Cohen et al., 2022](https://arxiv.org/abs/2207.14484)).
#
# </details>
#
# **7.** (Another $\beta_2$, or your own network.) Repeat the test of §3.6 with `betas=(0.9, 0.95)`. How near does the translated λ come?
#
# <details>
# <summary>Solution</summary>
#
# ```python
# betas = {"betas": (0.9, 0.95)}
# optimizer, loss = trained(torch.optim.AdamW, 0.1, **betas)
# found = 0.1 * mean_root_of(optimizer)
# for decay in (found / 3, found, 3 * found):
#     ratio = trained(torch.optim.Adam, decay, **betas)[1] / loss
#     print(f"λ = {decay:.5f}: {ratio:.1f} times AdamW's training loss")
# ```
#
# (3.7) gives about 0.00003. With it Adam + L2 ends at 0.5 times AdamW's training loss, with a λ 3 times smaller at 0.2 times and 3 times larger at 1.1 times.
# One run proves little: with `seed=3` in `trained` the translated λ ends at 0.1 times AdamW's loss, and with `seed=4` at 1.3 times.
#
# In a network with, say, `BatchNorm1d`, put the weight of the layer before each into `skip`.
#
# </details>
#
# ## Where next, and sources
#
# [Chapter 9](09_adaptive_optimisers.ipynb) continues. AdamW, and (3.5) for a fixed $v$, are
# from [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101).
#
# Verdicts on the texts of [chapter 0](00_start_here.ipynb):

# %% tags=["hide-input"]
verdict("S2-11", "convention",
        "A choice of words. Strictly, a decay takes the same fraction of every vector, "
        "however long. Then under plain SGD only the squared L2 norm qualifies. L1 takes the same "
        "amount from each weight.")
verdict("S2-13", "under conditions",
        "Under plain SGD. Under Adam + L2 a step takes about the fraction ηλ divided by √v, the "
        "size of the weight's recent gradients, under AdamW the fraction ηλ.")
verdict("S2-14", "true",
        f"In six programs 0.1 means λ from {min(book_lams.values()):.1g} to "
        f"{max(book_lams.values()):.1g}, and some multiply by the learning rate.")
claims.verdicts()
claims.identities()
