# %% [markdown]
# # 3 One λ, many meanings
#
# Every library has a number for weight decay, and the same number means different things in them. What does yours mean?
# Afterwards you can carry a λ from any framework into any other, say where that is impossible, and explain what decay a
# weight really gets under Adam.
#
# *Reading time 20 minutes; the code runs in about 12 seconds.*

# %%
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from torch.nn import functional

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.conventions import CONVENTIONS, convert
from l2lib.datasets import load
from l2lib.penalty import ridge

# %% [markdown]
# ## 3.1 A puzzle: six times 0.1
#
# Take the 442 patients of [chapter 1](01_what_an_l2_penalty_does.ipynb), ten measurements each, everything
# standardised. Fit a linear model with weight decay 0.1. In PyTorch that is a loop; the momentum saves steps and leaves
# the minimum where it is ([chapter 2](02_from_penalty_to_weight_decay.ipynb)).

# %%
data = load("diabetes")
X = (data.X - data.X.mean(0)) / data.X.std(0)
y, n = (data.y - data.y.mean()) / data.y.std(), len(data.y)
inputs, targets = torch.tensor(X), torch.tensor(y)


def fit(loss, weight_decay, lr, *, written=0.0, targets=targets, steps=200):
    model = torch.nn.Linear(10, 1, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    groups = [{"params": [model.weight], "weight_decay": weight_decay}, {"params": [model.bias]}]
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=0.85)
    for _ in range(steps):
        optimizer.zero_grad()
        penalty = written * model.weight.square().sum()  # one written into the loss
        (loss(model(inputs)[:, 0], targets) + penalty).backward()
        optimizer.step()
    return model.weight.detach().numpy()[0]


# %% [markdown]
# Three losses that libraries use for the same regression; a penalty $\lambda\lVert w\rVert^2$ written into the first, as
# textbooks do; and two of scikit-learn's models. All get 0.1. (A multi-layer perceptron without hidden layers is a linear
# model.)


# %%
def half_mse(outputs, targets):
    return functional.mse_loss(outputs, targets) / 2


def sse(outputs, targets):
    return functional.mse_loss(outputs, targets, reduction="sum")


# %%
def perceptron(alpha):
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=alpha, tol=1e-14,
                         max_iter=1000, random_state=0)
    return model.fit(X, y).coefs_[0][:, 0]


def six(half, mse, summed, written, alpha, mlp):
    """The fits of six programs, each with its own number."""
    return {"half the MSE": fit(half_mse, half, 0.8),
            "MSELoss": fit(functional.mse_loss, mse, 0.4),
            "MSELoss, sum": fit(sse, summed, 0.4 / n),
            "λ‖w‖² written out": fit(half_mse, 0, 0.8, written=written),
            "Ridge": Ridge(alpha=alpha).fit(X, y).coef_, "MLPRegressor": perceptron(mlp)}


# %%
same_number = six(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)

# %% [markdown]
# The line in the picture is theory: how much of the least-squares weights ridge regression leaves, if λ stands beside
# half the mean squared error. The dots are the six fits, each at the λ that the next section predicts for it.

# %%
meant = [convert(0.1, name, "book", loss=loss, target_loss="half_mse", n=n, batch_size=n)
         for name, loss in (("torch_sgd", "half_mse"), ("torch_sgd", "mse"), ("torch_sgd", "sse"),
                            ("no_half", "half_mse"), ("sklearn_ridge", "half_mse"),
                            ("sklearn_mlp", "half_mse"))]

# %%
whole = np.linalg.norm(ridge(X, y, 0)[0])
found = [np.linalg.norm(w) / whole for w in same_number.values()]
predicted = np.linalg.norm(ridge(X, y, meant)[0], axis=1) / whole

# %%
fig, ax = figures.subplots()
curve = np.logspace(-4.5, 0.5, 100)
ax.semilogx(curve, np.linalg.norm(ridge(X, y, curve)[0], axis=1) / whole, color=figures.GREY)
shifts = [(-72, -14), (8, 4), (4, -18), (10, 4), (9, 17), (9, 4)]
for name, x, height, shift in zip(same_number, meant, found, shifts, strict=True):
    style = {"ms": 12, "mfc": "none"} if name == "Ridge" else {}  # a ring: a dot lies inside
    ax.plot(x, height, "o", color=figures.BLUE, **style)
    ax.annotate(name, (x, height), xytext=shift, textcoords="offset points", color=figures.BLUE)
ax.set(xlabel="λ beside half the mean squared error", ylabel="‖w‖ over least squares' ‖w‖")
ax.set(ylim=(0, 1.2), xlim=(3e-5, 5))
ax.set_xticks([1e-4, 1e-3, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
ax.set_title("The number 0.1 means λ from 0.0001 to 0.2")
figures.show(fig, "A falling curve of the weights' norm against λ, with six dots on it. Summed "
             f"squared error is furthest left at λ = {min(meant):.2g} with {max(found):.2f} of "
             f"the least-squares norm; λ without the half is furthest right at {max(meant):.1f} "
             f"with {min(found):.2f}. Ridge, a ring, and the perceptron, the dot in it, coincide.")

# %%
claim("03-predicted", "norms of the six fits over theory: furthest from 1",
      measured=found / predicted, equals=1, within=1e-4)
claim("S2-14", "the same number 0.1 in six programs: largest λ over smallest (4n = 1768)",
      measured=max(meant) / min(meant), equals=4 * n, within=1e-6)
claim("S2-14", "… and the fits differ: smallest norm over largest",
      measured=min(found) / max(found), below=0.6)
claims.identities()

# %% [markdown]
# ## 3.2 What stands beside what
#
# A program minimises $c\,L + k\lambda\lVert w\rVert^2$, where $L$ is the mean loss, $c$ its scaling and $k$ that of the
# penalty. (For regressions let $L$ be half the mean squared error, with one output.) Divide by $c$: the minimum stays.
# So the program's λ means
#
# $$\lambda_{\text{book}} = \frac{2k}{c}\,\lambda. \tag{3.1}$$
#
# That is the whole dictionary, for penalties. Ridge minimises $\lVert y-Xw\rVert^2 + \alpha\lVert w\rVert^2$: $k = 1$
# and $c = 2n$ give $\alpha/n$. `LogisticRegression` puts its `C` beside the *sum* of losses and nothing but ½ beside
# the norm: $1/(nC)$. If you sum losses over a minibatch, $c$ is the batch size, and the meaning of λ changes with it.
# scikit-learn's perceptron takes the mean loss but divides its penalty by the batch (by $n$ under L-BFGS), which comes
# to the same. `torch.nn.MSELoss` has $c = 2$: who copies a λ from a text whose loss has the ½ gets half the strength.
#
# The minimum stays, but the steps do not: $c$ times the objective has $c$ times the gradient. SGD takes the same steps
# with
#
# $$\eta' = \eta/c,\qquad \lambda' = c\,\lambda; \tag{3.2}$$
#
# that is why the learning rates above differ. Adam, which divides by the gradient's size, keeps its η (but for its ε).
#
# The second kind of λ is no term of the objective. It is a *decay*: each step multiplies the weight by $1-\delta$ and
# subtracts the optimiser's own step. What libraries call λ gives the share $\delta = \eta\lambda$ (PyTorch's and
# Optax's AdamW, Keras's optimisers, fastai), or $\delta = \lambda$ (AdamW
# [as published](https://arxiv.org/abs/1711.05101), and Composer's). `convert` knows all of these. To mean $\lambda =
# 0.01$, or the share $\delta = 10^{-5}$, with $\eta = 0.001$, the 442 examples and batches of 32, write:

# %%
known = {"penalty": (0.01, "book"), "decay": (1e-5, "adamw_paper"),
         "l1": (0.01, "sklearn_lasso")}
for name, row in CONVENTIONS.items():
    value, source = known[row.kind]
    number = convert(value, source, name, lr=0.001, n=442, batch_size=32,
                     loss=row.loss or "half_mse")
    print(f"{row.kind:8} {name:17} {row.about:43} {number:.6g}")

# %% [markdown]
# Read some lines. Keras's `L2` has no ½; its optimisers decay *beside* the step even for SGD with momentum. PyTorch's
# `Adam(…, decoupled_weight_decay=True)` is its AdamW. In Optax the place in the chain decides: before the optimiser,
# `add_decayed_weights` is a penalty; after it, it *adds* λw to a step that is already negative, and the weights grow,
# unless λ is negative. (`adamw` has it in between: after Adam's division, before the learning rate.) The two L1
# penalties have no partner among the others.
#
# The rows of PyTorch and scikit-learn are trained in the project's tests, those of Keras and Optax by `make peers`.
# Those of MXNet, fastai and Composer come from their documentation.
#
# Now the six programs again, each with the number that means $\lambda = 0.1$:


# %%
def write(name, loss="half_mse"):
    return convert(0.1, "book", name, target_loss=loss, n=n, batch_size=n)


converted = six(write("torch_sgd"), write("torch_sgd", "mse"), write("torch_sgd", "sse"),
                write("no_half"), write("sklearn_ridge"), write("sklearn_mlp"))

# %%
exact = ridge(X, y, 0.1)[0]
*others, by_perceptron = converted.values()
claim("S2-14", "converted: distance of the first five programs' weights from (1.1)",
      measured=[np.abs(w - exact).max() for w in others], below=1e-6)
claim("S2-14", "… norm of the perceptron's over that of (1.1); its L-BFGS stops a little early",
      measured=np.linalg.norm(by_perceptron) / np.linalg.norm(exact), equals=1, within=1e-3)

# %% [markdown]
# And a classification: is a patient above the median?

# %%
above = (y > np.median(y)).astype(float)
C = convert(0.1, "torch_sgd", "sklearn_logistic", n=n, loss="cross_entropy")
theirs = LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(X, above).coef_[0]
ours = fit(functional.binary_cross_entropy_with_logits, 0.1, 1.0,
           targets=torch.tensor(above))
claim("03-logistic", f"SGD with λ = 0.1 and LogisticRegression with C = {C:.4f}: distance",
      measured=np.abs(theirs - ours), below=1e-6)
claims.identities()

# %% [markdown]
# Where no equivalent exists, `convert` says so:

# %%
for source, target in (("torch_adam", "torch_adamw"), ("sklearn_lasso", "torch_sgd")):
    try:
        convert(0.01, source, target, lr=0.001)
    except ValueError as error:
        print(f"{source} to {target}: {error}.")

# %% [markdown]
# Under plain SGD, penalty and decay *are* the same, by (2.1). Why not under Adam?
#
# ## 3.3 Adam, with the penalty inside or the decay beside
#
# [Adam](https://arxiv.org/abs/1412.6980) divides a running mean of the gradient by the root of a running mean of its
# square, each weight for itself:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g,\quad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2,\quad
# w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v}+\epsilon}, \tag{3.3}$$
#
# where the hats correct for the start. With a penalty *inside*, $g$ is $\nabla L+\lambda w$. In AdamW $g$ is $\nabla L$
# and $w$ is multiplied by $1-\eta\lambda$ *beside*. We write both at once. The loss is a toy: a given slope, plus noise
# of standard deviation σ, which stands for minibatches. The last axis holds weights, the one before it five seeds. Each
# draw is used with both signs, so that the noise cancels in averages and the decay is left.


# %%
def draw(rngs, size):
    noise = np.stack([rng.standard_normal(size // 2) for rng in rngs])
    return np.concatenate([noise, -noise], axis=-1)


def adam(w, sigma, lr, steps, inside=0.0, beside=0.0, slope=np.zeros_like):
    rngs, m, v, mean = [np.random.default_rng(s) for s in seeds(5)], 0.0, 0.0, 0.0
    for t in range(1, steps + 1):
        g = slope(w) + sigma * draw(rngs, w.shape[-1]) + inside * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = (1 - lr * beside) * w - lr * step
        mean = mean + (t > steps // 2) * w / (steps - steps // 2)
    return w, mean  # at the end, and over the second half of the steps


# %% [markdown]
# Is that PyTorch's Adam and AdamW? Give its optimisers the same gradients.

# %%
def theirs_after(optimizer_class, weight_decay, steps=50, **options):
    parameter = torch.nn.Parameter(torch.full((5, 4), 5.0, dtype=torch.float64))
    optimizer = optimizer_class([parameter], lr=0.01, weight_decay=weight_decay, **options)
    rngs = [np.random.default_rng(s) for s in seeds(5)]
    for _ in range(steps):
        parameter.grad = torch.tensor(2 * draw(rngs, 4))
        optimizer.step()
    return parameter.detach().numpy()


# %%
start = np.full((5, 4), 5.0)
inside = adam(start, 2.0, 0.01, 50, inside=0.5)[0] - theirs_after(torch.optim.Adam, 0.5)
beside = adam(start, 2.0, 0.01, 50, beside=0.5)[0] - theirs_after(torch.optim.AdamW, 0.5)
claim("03-adam", "torch.optim.Adam takes the same 50 steps",
      measured=np.abs(inside), below=1e-9)
claim("03-adamw", "… and so does AdamW", measured=np.abs(beside), below=1e-9)
flag = theirs_after(torch.optim.Adam, 0.5, decoupled_weight_decay=True)
claim("03-flag", "… and Adam with decoupled_weight_decay=True is AdamW",
      measured=np.abs(flag - theirs_after(torch.optim.AdamW, 0.5)), below=1e-12)

# %% [markdown]
# **A weight that the loss ignores.** Let $\sigma = 0$: a dead unit. The gradient is $\lambda w$ alone, and Adam divides
# it by its own size. The weight sets out for zero at about η per step, *whatever λ is*. (The root remembers larger
# weights, so the walk slows down as it goes.) Under AdamW the same weight shrinks by $1-\eta\lambda$ a step.

# %%
five = np.full((1, 5, 2), 5.0)
strong, weak = (adam(five, 0.0, 0.01, 100, inside=lam)[0].mean() for lam in (1, 1e-4))
claim("S2-13", "Adam with λ = 1 inside, loss ignored: 5 after 100 steps of η = 0.01",
      measured=strong, between=(4, 4.2))
claim("S2-13", "… with λ = 0.0001 the same, but for ε: difference",
      measured=weak - strong, between=(0, 1e-4))

# %%
claim("03-beside", "AdamW, λ = 1: it is multiplied by 0.99 a hundred times",
      measured=adam(five, 0.0, 0.01, 100, beside=1)[0].mean(), equals=5 * 0.99**100, within=1e-9)
claims.identities()

# %% [markdown]
# ## 3.4 The decay that a weight really gets
#
# Now the general case. Noise averages out of $m$, which becomes $\lambda w$, and stays in $v$, which becomes
# $\sigma^2+\lambda^2w^2$. So with the penalty inside, a step takes away the share
#
# $$\delta_i \approx \frac{\eta\lambda}{\sqrt{\sigma_i^2 + \lambda^2 w_i^2}}\;\to\;\frac{\eta\lambda}{\sigma_i}
# \quad\text{for } \sigma_i\gg\lambda|w_i|. \tag{3.4}$$
#
# *Weights with large gradients hardly decay.* Under AdamW every weight loses $\eta\lambda$. We take 2000 steps
# from 5, at $\eta\lambda = 0.0002$. The prediction iterates (3.4), with the memory of $v$.

# %%
lr, lam, steps = 0.0025, 0.08, 2000
sigmas = np.logspace(-1, 1.5, 11)
sigma = sigmas[:, None, None]
start = np.full((11, 5, 40), 5.0)  # noise levels, seeds, weights
left = [adam(start, sigma, lr, steps, **{where: lam})[0].mean(-1) / 5
        for where in ("inside", "beside")]
decay_in, decay_by = (-np.log(share) / (lr * lam * steps) for share in left)

# %%
w, v = np.full(11, 5.0), np.zeros(11)
for t in range(1, steps + 1):
    v = 0.999 * v + 0.001 * (sigmas**2 + (lam * w) ** 2)
    w = w - lr * lam * w / np.sqrt(v / (1 - 0.999**t))
theory = -np.log(w / 5) / (lr * lam * steps)

# %% [markdown]
# **Turn the question round.** The two rules trade places when we ask where a weight comes to *rest*. Penalty inside:
# Adam rests where its gradient is zero on average, $\bar g_i = -\lambda w_i$ with $\bar g = \nabla L$, and that is the
# minimum of loss plus penalty, however large the noise. AdamW rests where its mean step cancels the decay:
#
# $$\frac{\bar g_i}{\sqrt{v_i}} = -\lambda w_i, \qquad\text{that is}\qquad
# \bar g_i = -\big(\lambda\sqrt{v_i}\big)\, w_i . \tag{3.5}$$
#
# So AdamW acts like a penalty whose coefficient is $\lambda\sqrt{v_i}$: *uneven*, and strongest where gradients are
# noisy. With slope $w-1$ and $\lambda = 0.1$, Adam should rest at $1/1.1$ and AdamW at $1/(1+0.1\,\sigma)$.

# %%
quiet = sigmas[:9]  # 0.1 to 10
options = {"sigma": quiet[:, None, None], "lr": 0.02, "steps": 3000, "slope": lambda w: w - 1}
rest_in, rest_by = (adam(np.ones((9, 5, 40)), **options, **{where: 0.1})[1].mean(-1)
                    for where in ("inside", "beside"))

# %%
fig, (ax, other) = figures.subplots(1, 2)
ax.loglog(sigmas, theory, label="Adam + L2"), ax.loglog(sigmas, 1 + 0 * sigmas, label="AdamW")
other.semilogx(quiet, 1 / 1.1 + 0 * quiet), other.semilogx(quiet, 1 / (1 + 0.1 * quiet))
for axes, x, values in ((ax, sigmas, (decay_in, decay_by)), (other, quiet, (rest_in, rest_by))):
    for line, dots in zip(axes.get_lines(), values, strict=True):
        axes.plot(x, dots.mean(-1), "o", ms=5, color=line.get_color())
ax.set(xlabel="noise σ of the gradient", ylabel="decay, in units of ηλ")
other.set(xlabel="noise σ of the gradient", ylabel="weight at rest", ylim=(0, 1.05))
ax.set_yticks([0.1, 1], ["0.1", "1"])
for axes in (ax, other):
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set_title("Decay: even under AdamW …"), other.set_title("… rest: even under Adam + L2")
ax.legend()
figures.show(fig, "Two panels over the gradient's noise from 0.1 to 30; lines are theory, dots are "
             "measured and lie on them. Left, decay in units of ηλ: AdamW is flat at 1, Adam with "
             f"L2 falls from {theory[0]:.2g} to {theory[-1]:.2g}. Right, the weight at rest: Adam "
             f"with L2 is flat at 0.91, AdamW falls from {rest_by[0].mean():.2f} to "
             f"{rest_by[-1].mean():.2f}.")

# %% [markdown]
# One coordinate with noise 1, one with 10, the same λ: with the penalty inside Adam the first decays almost ten times
# faster. (Not quite ten, as $\lambda w$ is not negligible beside a noise of 1.)

# %%
ratio = claims.interval(decay_in[4] / decay_in[8])  # noise 1 over noise 10, five seeds
claim("S2-13", "log-decay at noise 1 over noise 10, lower end", measured=ratio.low, above=9)
claim("S2-13", "… upper end", measured=ratio.high, below=10)
claim("S2-13", "AdamW, every noise: what is left of 5 is 5·(1 − 0.0002)²⁰⁰⁰ = 3.35",
      measured=np.abs(left[1] - (1 - lr * lam) ** steps), below=1e-9)

# %%
claim("03-rate", "measured decay against (3.4), eleven noise levels: largest relative error",
      measured=np.abs(decay_in.mean(1) / theory - 1), below=0.02)
claim("03-rest-inside", "Adam + L2 rests at 1/1.1: largest distance over noise levels",
      measured=np.abs(rest_in.mean(1) - 1 / 1.1), below=0.01)
claim("03-rest-beside", "AdamW rests where (3.5) says: largest distance",
      measured=np.abs(rest_by.mean(1) - 1 / (1 + 0.1 * quiet)), below=0.01)

# %% [markdown]
# With full batches there is no noise. As the gradient falls, so does $\sqrt v$, and by (3.5) the penalty goes with it:
# AdamW should end near the *least-squares* fit, whatever λ is, as long as it is not huge (exercise 5). Adam with the
# penalty inside should end at ridge regression. The diabetes data, $\lambda = 0.1$:

# %%
H, c = X.T @ X / n, X.T @ y / n
options = {"sigma": 0, "lr": 0.003, "steps": 4000, "slope": lambda w: w @ H - c}
w_in, w_by = (adam(np.zeros((5, 10)), **options, **{where: 0.1})[0][0]
              for where in ("inside", "beside"))
least = ridge(X, y, 0)[0]
claim("03-full-inside", "Adam + L2 ends at ridge regression (1.1): distance",
      measured=np.abs(w_in - exact), below=1e-9)
claim("03-full-beside", "AdamW: distance from least squares over ridge's distance from it",
      measured=np.linalg.norm(w_by - least) / np.linalg.norm(exact - least), below=0.1)
claims.identities()

# %% [markdown]
# In a network the noise has no single size. On the digits, a first-layer gradient is proportional to its pixel: the
# pale pixels near the margin give small gradients. By (3.4) the penalty inside Adam shrinks *their* weights most, as
# $1/\sqrt v$. We train a linear classifier, read $v$ from the optimiser, and compare with what the pixels' sizes predict.

# %%
digits = load("digits")
pixels, labels = torch.tensor(digits.scaled(16)), torch.tensor(digits.y)
size = pixels.square().mean(0).sqrt().numpy()
live = size > 0.01  # some pixels of the margin are always white

# %%
low, high = np.quantile(size[live], [0.1, 0.9])
dark, pale = size >= high, live & (size <= low)


# %%
def uneven(seed, steps=100):
    model, rng = torch.nn.Linear(64, 10, dtype=torch.float64), np.random.default_rng(seed)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4)
    for _ in range(steps):
        rows = rng.choice(len(pixels), 32, replace=False)
        optimizer.zero_grad()
        functional.cross_entropy(model(pixels[rows]), labels[rows]).backward()
        optimizer.step()
    v = optimizer.state[model.weight]["exp_avg_sq"].mean(0).sqrt().numpy()
    return np.mean(1 / v[pale]) / np.mean(1 / v[dark])


# %%
measured = np.array([uneven(seed) for seed in seeds(5)])
expected = np.mean(1 / size[pale]) / np.mean(1 / size[dark])
claim("03-digits", "decay (3.4) of the palest tenth of pixels over the darkest, lower end",
      measured=claims.interval(measured).low, above=5)
claim("03-digits", "… mean of five seeds over what the pixels' sizes predict",
      measured=measured.mean() / expected, between=(0.5, 2))

# %% [markdown]
# ## 3.5 λ and the learning rate: PyTorch against the paper
#
# Does AdamW decouple λ from the learning rate? The paper's does, the libraries' does not. Let $s_t$ be a schedule's
# factor and η the base rate. Of a weight that the loss ignores there is left
#
# $$\prod_t (1 - s_t\,\eta\,\lambda)\ \text{ in PyTorch, Keras and Optax},\qquad
# \prod_t (1 - s_t\,\lambda)\ \text{ in the paper.} \tag{3.6}$$
#
# With $\lambda_{\text{torch}} = \lambda_{\text{paper}}/\eta$ the two are one, under every schedule. They part when you
# tune η: in PyTorch that changes the decay as well. We add an eleventh input that is always zero, start all weights at
# 1, and let PyTorch's own scheduler turn the learning rate down along a cosine. Beside it the paper's rule, written out.

# %%
H_11, c_11 = np.pad(H, (0, 1)), np.append(c, 0)  # the eleventh input never speaks


def cosine(t, steps=200):
    return 0.5 * (1 + np.cos(np.pi * t / steps))


def in_torch(lam, lr):
    w = torch.nn.Parameter(torch.ones(11, dtype=torch.float64))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=lam)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
    for _ in range(200):
        w.grad = torch.tensor(H_11) @ w.detach() - torch.tensor(c_11)
        optimizer.step(), schedule.step()
    return w.detach().numpy()


# %%
def in_paper(lam, lr):
    w, m, v = np.ones(11), 0.0, 0.0
    for t in range(200):
        g = H_11 @ w - c_11
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = m / (1 - 0.9 ** (t + 1)) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
        w = w - cosine(t) * (lr * step + lam * w)  # the schedule scales both, η only the step
    return w


# %%
same = convert(1e-3, "adamw_paper", "torch_adamw", lr=0.003)
paper, coupled = in_paper(1e-3, 0.003), in_torch(same, 0.003)
torch_left, paper_left = (np.log([run(lam, lr)[10] for lr in (0.001, 0.01)])
                          for run, lam in ((in_torch, 0.1), (in_paper, 1e-3)))

# %%
claim("03-schedule", "cosine schedule, λ converted: all eleven weights, largest difference",
      measured=np.abs(paper - coupled), below=1e-12)
claim("03-schedule-product", "… and of the ignored one there is left the product (3.6): difference",
      measured=abs(coupled[10] - np.prod([1 - 1e-3 * cosine(t) for t in range(200)])), below=1e-12)
claim("03-coupled", "ten times η at the same λ: its log-decay is {} times as large in PyTorch",
      measured=torch_left[1] / torch_left[0], equals=10, within=0.01)
claim("03-uncoupled", "… and the same in the paper's form",
      measured=paper_left[1] / paper_left[0], equals=1, within=1e-9)
claims.identities()

# %% [markdown]
# ## 3.6 Decay that a float32 cannot see
#
# A 32-bit float has 24 binary digits. Below 1 the next one is at $1-2^{-24}$, so $1-\eta\lambda$ *is* 1 when
# $\eta\lambda < 2^{-25} \approx 3\cdot 10^{-8}$. Above that, rounding the factor errs by up to $2^{-25}$ and rounding the
# product by up to $2^{-24}$ of the weight. The decay of a step is
#
# $$\delta = \eta\lambda \pm 1.5\cdot 2^{-24} \approx \eta\lambda \pm 9\cdot 10^{-8}. \tag{3.7}$$
#
# The cosine's last steps get there: $\eta = 10^{-6}$ with $\lambda = 0.01$ does nothing at all.

# %%
rng, rates = claims.rng(), np.logspace(-8.4, -5, 40)
weights = torch.tensor(rng.uniform(1, 2, 2000), dtype=torch.float32)


def realised(rate, steps=300):
    w = weights.clone()
    for _ in range(steps):
        w.mul_(1 - rate)  # the line of torch.optim.AdamW
    return -np.log((w.double() / weights.double()).numpy()) / steps


# %%
kept = np.array([realised(rate) for rate in rates])

# %%
parameter = torch.nn.Parameter(weights.clone())
optimizer = torch.optim.AdamW([parameter], lr=2**-10, weight_decay=3e-7 * 2**10)
for _ in range(300):
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
by_adamw = -np.log((parameter.detach().double() / weights.double()).numpy()) / 300

# %%
half = weights.bfloat16()
for _ in range(1000):
    half.mul_(1 - 1e-3)

# %%
fig, ax = figures.subplots()
ax.fill_between(rates, np.maximum(0, 1 - 1.5 * 2**-24 / rates), 1 + 1.5 * 2**-24 / rates,
                color=figures.SKY, alpha=0.3, lw=0)
ax.plot(rates, kept.mean(1) / rates, ".-", lw=0.8, color=figures.BLUE)
ax.axvline(2**-25, color=figures.GREY, ls="--", lw=1)
ax.text(2.8e-8, 2.2, "2⁻²⁵", ha="right", color=figures.GREY)
ax.text(1.5e-7, 1.75, "bounds (3.7)", color=figures.BLUE)
ax.set(xscale="log", xlabel="decay asked for, ηλ", ylabel="decay got over decay asked for")
ax.set_ylim(-0.1, 2.5)
ax.set_xticks([1e-8, 1e-7, 1e-6, 1e-5], ["10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵"])
ax.set_title("Below ηλ = 3·10⁻⁸ float32 does not decay at all")
figures.show(fig, "Decay that 2000 float32 weights get, over the decay asked for, against ηλ. It "
             "is exactly zero below 3e-8, then jumps above 2 and saws around 1 with shrinking "
             "teeth; from 1e-6 on it is 1 within a tenth. A funnel of the theoretical bounds "
             "holds all points.")

# %%
claim("03-lost", "ηλ below 2⁻²⁵ in float32: decay got",
      measured=kept[rates < 2**-25], equals=0, within=1e-15)
claim("03-rounding", "error of the decay over its bound (3.7), largest",
      measured=np.abs(kept - rates[:, None]) / (1.5 * 2**-24), below=1)

# %%
claim("03-float-adamw", "torch.optim.AdamW in float32 gets the same: largest difference",
      measured=np.abs(by_adamw - realised(3e-7)), below=1e-12)
claim("03-bfloat", "bfloat16, ηλ = 0.001, a thousand steps: largest change",
      measured=half - weights.bfloat16(), equals=0, within=1e-15)
claims.identities()

# %% [markdown]
# With 8 digits, as in bfloat16, hardly a usual decay survives: everything below $2^{-9}\approx 0.002$ is lost. Keep the
# master weights in float32, and let the schedule end above $\eta\lambda = 10^{-6}$, or know that what it decays there is
# rounding.
#
# ## 3.7 Is weight decay any norm's penalty?
#
# Weight decay, a reader proposes, "is a generic term for any regularization that involves adding some kind of norm of
# W (regardless of which norm) to the loss". Take a penalty $R$, and let a step of plain gradient descent on $R$ be
# *weight decay*: every $w$ is multiplied by the same number, $w-\eta\nabla R(w) = (1-\eta\lambda)\,w$. Then
#
# $$\nabla R(w) = \lambda w,\qquad R(w) = R(0) + \int_0^1 \nabla R(tw)\cdot w\;dt
# = R(0) + \frac\lambda2\lVert w\rVert_2^2 . \tag{3.8}$$
#
# So it is the squared L2 norm, and nothing else. No norm at all satisfies it: a norm grows in proportion,
# $N(10w) = 10\,N(w)$, hence its gradient (where it has one) is the same at $w$ and at $10w$, and a larger weight shrinks
# by a smaller share. That holds for the L2 norm itself, without the square. Squaring another norm repairs that, and
# bends the direction. For $\frac1p\sum|w_i|^p$ the share is proportional to $|w_i|^{p-2}$:


# %%
def share(penalty, w):
    """The share of each weight that a step of size one takes away."""
    point = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(penalty(point), point)
    return (gradient / point).detach().numpy()


# %%
sizes = np.logspace(-1.5, 1.5, 13)
powers = {p: share(lambda w, p=p: w.abs().pow(p).sum() / p, sizes) for p in (1, 1.5, 2, 3)}

# %%
fig, ax = figures.subplots()
for p, shares in powers.items():
    ax.loglog(sizes, sizes ** (p - 2), label=f"p = {p}")
    ax.loglog(sizes, shares, "o", ms=4, color=ax.lines[-1].get_color(), label="_")
ax.set(xlabel="size of the weight |w|", ylabel="share taken away, over ηλ", xlim=(0.03, 60))
for axis in (ax.xaxis, ax.yaxis):
    axis.set_ticks([0.1, 1, 10], ["0.1", "1", "10"])
ax.set_title("Only the squared L2 norm takes the same share from every weight")
figures.label_lines(ax)
figures.show(fig, "Share that one step takes from a weight, against the weight's size, on "
             "logarithmic axes. The line for p = 2 is flat at 1. For p = 1 it falls from 30 to "
             "0.03, for p = 1.5 half as steeply, for p = 3 it rises. Dots from autograd lie on "
             "the lines.")

# %%
claim("S2-11", "squared L2: the same share of every weight, largest minus smallest",
      measured=np.ptp(powers[2]), equals=0, within=1e-12)
claim("S2-11", "|w|: every weight loses the same amount, largest minus smallest",
      measured=np.ptp(powers[1] * sizes), equals=0, within=1e-12)
errors = [np.abs(shares / sizes ** (p - 2) - 1).max() for p, shares in powers.items()]
claim("S2-11", "the share goes as |w|^(p − 2): largest relative error for the four p",
      measured=errors, below=1e-12)

# %%
point = np.array([3.0, -1.0])
claim("S2-11", "‖w‖₂ without the square: share at 10w over share at w",
      measured=(share(torch.linalg.norm, 10 * point) / share(torch.linalg.norm, point))[0],
      equals=0.1, within=1e-12)
bent = share(lambda w: w.abs().sum() ** 2 / 2, point)
claim("S2-11", "‖w‖₁²/2 at (3, −1): share of the second weight over that of the first",
      measured=bent[1] / bent[0], equals=3, within=1e-12)
claims.identities()

# %% [markdown]
# And even the squared L2 norm gives weight decay only under plain SGD: momentum parts the two (chapter 2), and so does
# Adam (3.4).
#
# ## 3.8 The sources, line by line

# %%
verdict("S2-11", "false",
        "The same share of every weight is the squared L2 norm's alone, under plain SGD. "
        "L1 takes the same amount from each.")
verdict("S2-13", "under conditions",
        "Under plain SGD. Inside Adam a weight decays at about ηλ over its gradient's size, "
        "beside it (AdamW) at ηλ.")
verdict("S2-14", "true",
        "In six programs 0.1 means λ from 0.0001 to 0.2; and some multiply by the learning rate.")

# %% [markdown]
# ## 3.9 In practice
#
# **Take home.** With a λ write down four things: what the loss is (½? mean or sum?), penalty or decay, whether the
# learning rate multiplies it, and the optimiser. Convert, then check on one step: set the loss's gradient to zero and
# see what the weight is multiplied by.
#
# **Limits.** (3.4) and (3.5) are about independent, symmetric noise of constant size, and small η. In a network $v$ and $w$ move
# together. Nothing here says which rule generalises better. What rotation and norm make of them under batch norm is
# the subject of chapter 9.
#
# ## 3.10 Exercises
#
# **1.** A paper uses `Ridge(alpha=20)` on 1000 examples. Which `weight_decay` gives the same model with
# `torch.nn.MSELoss`?
#
# <details>
# <summary>Solution</summary>
#
# $k = 1$ and $c = 2n$ beside half the mean squared error: $\lambda = 20/1000 = 0.02$. Beside `MSELoss`, $c = 2$, so 0.04:
# `convert(20, "sklearn_ridge", "torch_sgd", n=1000, target_loss="mse")`.
#
# </details>
#
# **2.** You sum the loss over the batch and halve the batch size, at the same `weight_decay`. What happens to the
# penalty's strength?
#
# <details>
# <summary>Solution</summary>
#
# $c$ is the batch size, so by (3.1) λ doubles in the book's units.
#
# </details>
#
# **3.** AdamW with $\eta = 3\cdot 10^{-4}$, $\lambda = 0.1$. You go to $\eta = 10^{-3}$ and want the same decay per
# step. Which λ? And what would you write in Composer's?
#
# <details>
# <summary>Solution</summary>
#
# $\delta = 3\cdot 10^{-5}$, so $\lambda = 0.03$. In Composer's, $\delta$ itself: 0.00003, at both rates.
#
# </details>
#
# **4.** Which penalties shrink $w$ *along its own direction*, if the share may depend on $w$?
#
# <details>
# <summary>Solution</summary>
#
# $\nabla R(w) = h(w)\,w$ is normal to spheres, so $R$ is constant on them: $R = \phi(\lVert w\rVert_2)$, any
# function of the L2 norm. The same share for all $w$ leaves $\phi(r) = \frac\lambda2 r^2$.
#
# </details>
#
# **5.** (Open.) On full batches AdamW ended near the unpenalised minimum. When can it not?
#
# <details>
# <summary>A start</summary>
#
# At rest the mean of $\hat m/\sqrt{\hat v}$ is $-\lambda w_i$, and of a steady gradient that ratio is at most 1 in size.
# So $|w_i|\le 1/\lambda$: a box around zero, a constraint on the *largest* weight
# ([Xie and Li, 2024](https://arxiv.org/abs/2404.04454), prove it). Write `**{where: 5}` for `**{where: 0.1}` in the run
# on the diabetes data. Its claims, which are about $\lambda = 0.1$, fail. Print the largest weights of `least` and
# `w_by`: some of the least-squares weights are larger than 0.2, and AdamW's rest inside the wall.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 4 takes the penalties that are no weight decay: L1, and L2 on factors. Chapter 9 returns to Adam.
#
# - [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101), *Decoupled Weight Decay Regularization*: AdamW.
# - [Kingma and Ba (2015)](https://arxiv.org/abs/1412.6980), *Adam*.
# - [Xie and Li (2024)](https://arxiv.org/abs/2404.04454), *Implicit Bias of AdamW*: the box of exercise 5.
# - [Zhang, Wang, Xu and Grosse (2019)](https://arxiv.org/abs/1810.12281), *Three Mechanisms of Weight Decay
#   Regularization*.
# - [Bjorck, Weinberger and Gomes (2021)](https://arxiv.org/abs/2012.13841), *Understanding Decoupled and Early Weight
#   Decay*: what L2 does in Adam's averages.
