# %% [markdown]
# # 6 Bias exclusion
#
# The bias of the output layer is often left out of the penalty, says a textbook. Why? What does a penalty on a bias do,
# and when does it matter? Afterwards you can compute the damage before you train, say when there is none, and sort the
# tensors of a real model into those that decay and those that do not.
#
# *Reading time 25 minutes; the code runs in about 12 seconds.*

# %%
import numpy as np
import torch

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load, make_regression
from l2lib.groups import param_groups, roles, table
from l2lib.penalty import ridge
from l2lib.splits import split
from l2lib.sweep import MLP, predict, sweep

# %% [markdown]
# ## 6.1 A puzzle: colder in kelvin
#
# A year of daily temperatures, and a linear model with two inputs, the cosine and the sine of the date. All three
# parameters are penalised, the bias too, by a mild $\lambda = 0.01$. We fit the year in degrees Celsius. Then we fit
# the same year in kelvin, and take 273.15 off the predictions. What do you expect?

# %%
turn, noise = 2 * np.pi * np.arange(365) / 365, claims.rng()
date = np.sqrt(2) * np.column_stack([np.cos(turn), np.sin(turn)])  # each has mean 0, variance 1
celsius = 10 - 9 * np.cos(turn) - 3 * np.sin(turn) + noise.normal(0, 3, 365)


# %%
def fit(X, y, lam, lam_b):
    """Minimise half the mean squared error + lam/2 ‖w‖² + lam_b/2 b²."""
    Z = np.column_stack([X, np.ones(len(X))])
    penalties = np.diag([lam] * X.shape[1] + [lam_b])
    parameters = np.linalg.solve(Z.T @ Z + len(X) * penalties, Z.T @ y)
    return parameters[:-1], parameters[-1]


# %%
(w_C, b_C), (w_K, b_K) = fit(date, celsius, 0.01, 0.01), fit(date, celsius + 273.15, 0.01, 0.01)
in_celsius, in_kelvin = date @ w_C + b_C, date @ w_K + b_K - 273.15
gap = in_kelvin - in_celsius

# %%
fig, ax = figures.subplots()
ax.plot(celsius, ".", ms=4, color=figures.GREY, alpha=0.5)
ax.plot(in_celsius, color=figures.BLUE, label="fitted in °C")
ax.plot(in_kelvin, color=figures.ORANGE, label="fitted in kelvin")
ax.set(xlabel="day of the year", ylabel="temperature (°C)", xlim=(0, 455), xticks=range(0, 361, 60))
waves = figures.drawn(ax)
colder = (waves["fitted in °C"].y - waves["fitted in kelvin"].y).mean()
ax.set_title(f"In kelvin the same year is {colder:.1f} degrees colder")
figures.label_lines(ax)
figures.show(fig, "Daily temperatures over a year with two fitted waves. The one fitted in degrees "
             "Celsius runs through the middle of the dots. The one fitted in kelvin has the same "
             f"shape and lies {colder:.1f} degrees lower all year.", number="6.1",
             caption="Each dot is the temperature of one day. Both fitted lines are drawn in "
             "degrees Celsius.")

# %%
shape = date @ ridge(date, celsius, 0.01)[0]  # with a free bias, by the helper
claim("06-kelvin", "the curve in °C: that of a free bias, and its mean over 1 + λ", equals=0,
      measured=waves["fitted in °C"].y - shape - celsius.mean() / 1.01, within=1e-9)
claim("06-kelvin", "the curve in kelvin: the same with the mean in kelvin", equals=0, within=1e-9,
      measured=waves["fitted in kelvin"].y - shape + 273.15 - (celsius + 273.15).mean() / 1.01)
claim("06-kelvin", "the fit in kelvin minus the fit in °C, any day: −273.15 · λ/(1 + λ) degrees",
      measured=gap, equals=-273.15 * 0.01 / 1.01, within=1e-9)

# %% [markdown]
# Same weather, same weights; and every prediction has fallen by {{-gap.mean():.1f}} degrees, because somebody chose another zero.
#
# ## 6.2 What b² does
#
# Beside the penalty on the weights let the bias have one of its own, $\frac{\lambda_b}2b^2$. "So it just means that
# bias penalty is not negative?" asks a reader. "b is not same as the b in wx+b?" It is the same $b$. It may be
# negative; its square is not. The gradient $\lambda_b b$ has the sign of $b$, so a step pulls towards zero from both
# sides.

# %%
bias = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
penalty = 0.1 / 2 * bias**2
(pull,) = torch.autograd.grad(penalty, bias)
claim("S2-04", "b = −2, λ = 0.1: the penalty", measured=penalty, equals=0.2, within=1e-12)
claim("S2-04", "… and its gradient: a step raises b", measured=pull, equals=-0.2, within=1e-12)
claim("S2-04", f"the b of a fit to negative targets, mean −{100 - celsius.mean():.0f}, is negative",
      measured=fit(date, celsius - 100, 0.01, 0.01)[1], between=(-95, -80))

# %% [markdown]
# Now minimise $\frac1{2n}\sum_i(y_i - w^\top x_i - b)^2 + \frac\lambda2\lVert w\rVert^2 + \frac{\lambda_b}2b^2$. The
# derivative with respect to $b$ is $b - \bar y + w^\top\bar x + \lambda_b b$. If the inputs are centred,
# $\bar x = 0$, the weights drop out:
#
# $$\hat b = \frac{\bar y}{1+\lambda_b}. \tag{6.1}$$
#
# If your loss is a *sum* over examples (with ½), λ means $n$ times less, and the factor reads
# $\frac{n}{n+\lambda_{\rm sum}}$: the same number, but now it fades as data come in. Beside `MSELoss`, which has no ½,
# it is $\frac{2}{2+\lambda_b}$.

# %%
claim("S2-01", "centred inputs: b over the mean target is 1/(1 + λ)",
      measured=b_C / celsius.mean(), equals=1 / 1.01, within=1e-12)
claim("S2-01", "… n/(n + λ) with a summed loss and λ = 365 · 0.01: its slope at this b",
      measured=(date @ w_C + b_C - celsius).sum() + 3.65 * b_C, equals=0, within=1e-9)
claim("06-weights", "a penalty on b leaves the weights of centred inputs alone",
      measured=w_C - ridge(date, celsius, 0.01)[0], equals=0, within=1e-12)
claim("06-weights", "the inputs have mean 0 and variance 1", equals=0, within=1e-12,
      measured=[date.mean(0), (date**2).mean(0) - 1])

# %% [markdown]
# ## 6.3 Free, and only free, it follows the targets
#
# Add a constant $c$ to all targets. A sensible model adds $c$ to its predictions: it is *translation equivariant*.
#
# **If b is free, it is.** Let the model be $f = g_\theta + b$, the loss any function of the residuals $y - f$, the
# penalty any function $P(\theta)\ge0$ of the rest. Change $y$ to $y+c$ and $b$ to $b+c$: neither residuals nor penalty
# notice. So every minimum moves by $c$ in $b$, and in nothing else. ∎ Gradients do not notice either: training that
# starts at $b+c$ takes the same steps.

# %%
diabetes = load("diabetes")
people = (diabetes.X - diabetes.X.mean(0)) / diabetes.X.std(0)


def predictions_follow(X, y, lam, lam_b, c=100):
    """By how much predictions move when targets move by c, in units of c."""
    (w, b), (w_c, b_c) = fit(X, y, lam, lam_b), fit(X, y + c, lam, lam_b)
    return (X @ (w_c - w) + b_c - b) / c


# %%
moved = [predictions_follow(people, diabetes.y, 0.1, lam_b) for lam_b in (0, 0.1)]
claim("S2-02", "ridge with a free bias: targets move by 1, predictions by 1; largest error",
      measured=np.abs(moved[0] - 1), below=1e-12)
claim("S2-02", "bias penalised by 0.1, centred inputs: they move by 1/1.1; largest error",
      measured=np.abs(moved[1] - 1 / 1.1), below=1e-12)

# %% [markdown]
# **If b is penalised, something else must be free.** Let $\lambda_b>0$ and the loss be smooth, and suppose that
# predictions follow all the same, for every $c$. Call a global minimum $(\theta_c, b_c)$; its residuals do not depend
# on $c$.
#
# 1. The derivative with respect to $b$ is $\lambda_b b_c$ plus a function of the residuals. So $b_c = b_0$: it does not
#    move, and the rest of the model carries the whole constant, at a price $p(c) = P(\theta_c)$.
# 2. For targets $y+c'$ we could also take $\theta_c$ with the bias $b_0+c'-c$: the residuals are the same. A minimum
#    costs no more, so $p(c')\le p(c)+\lambda_bb_0(c'-c)+\frac{\lambda_b}2(c'-c)^2$.
# 3. Swap $c$ and $c'$, and you have a bound from below. So $p$ has the slope $\lambda_b b_0$ everywhere. A straight
#    line that never becomes negative is flat: $b_0 = 0$, and the price of every constant is the same.
#
# So a model follows its targets if and only if *some* constant is free, whatever its size: the bias, or something in
# $g_\theta$ that can stand in for it in the first proof. ∎ In ridge regression with $\lambda > 0$ there is nothing
# else: weights that add a larger constant cost more.
#
# How far does it fall short? For a given $b$ the weights fit $y - b\mathbf 1$, and leave the residuals
# $R(y-b\mathbf 1)$ with $R = I - X(X^\top X+n\lambda I)^{-1}X^\top$. Put them into the derivative for $b$, and let
# $s = \mathbf 1^\top R\,\mathbf 1$:
#
# $$\hat b = \frac{\mathbf 1^\top Ry}{s+n\lambda_b},\qquad
# \text{and a shift by } c \text{ leaves } \frac{n\lambda_b}{s+n\lambda_b}\,c\,R\mathbf 1 \text{ unexplained.} \tag{6.2}$$
#
# Centred inputs have $R\mathbf 1=\mathbf 1$ and $s = n$: the shift is $\frac{c}{1+\lambda_b}$, as in the puzzle. Others
# have $s<n$: there the weights take over a part of the constant.

# %%
raw, n = diabetes.X / 100, len(diabetes.y)  # not centred
moved = [predictions_follow(raw, diabetes.y, 0.1, lam_b) for lam_b in (0, 0.1)]
R = np.eye(n) - raw @ np.linalg.solve(raw.T @ raw + n * 0.1 * np.eye(10), raw.T)
s = R.sum()
short = n * 0.1 / (s + n * 0.1) * R.sum(1)
claim("S2-02", "inputs not centred, free bias: targets move by 1, predictions by 1; largest error",
      measured=np.abs(moved[0] - 1), below=1e-12)
claim("06-uncentred", "… all penalised by 0.1: (6.2) gives what is missing; largest error",
      measured=np.abs(1 - moved[1] - short), below=1e-12)
claim("06-uncentred", "… s/n is the mean that ridge without b leaves over of a constant 1",
      measured=1 - np.mean(raw @ ridge(raw, np.ones(n), 0.1, intercept=False)[0]) - s / n,
      equals=0, within=1e-12)
claim("06-uncentred", "… share of a constant that the weights alone leave over, s/n",
      measured=s / n, between=(0, 0.2))

# %% [markdown]
# A network takes the same steps, too, here with PyTorch's AdamW. By default that decays the bias like everything else:


# %%
def train(shift, free_bias):
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    net.double()
    net[2].bias.data += shift
    groups = [{"params": [p for p in net.parameters() if p is not net[2].bias]},
              {"params": [net[2].bias]} | ({"weight_decay": 0} if free_bias else {})]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=1.0)
    inputs, targets = torch.tensor(people), torch.tensor(diabetes.y / 100 + shift)
    for _ in range(50):
        optimizer.zero_grad()
        (net(inputs)[:, 0] - targets).square().mean().backward()
        optimizer.step()
    return net(inputs).detach() - shift


# %%
claim("06-steps", "50 steps from b + 10 on targets + 10, bias free: largest difference",
      measured=(train(10, True) - train(0, True)).abs(), below=1e-9)
claim("06-steps", "… bias decayed, as by default: largest difference",
      measured=(train(10, False) - train(0, False)).abs().max(), above=1)

# %% [markdown]
# ## 6.4 Press harder: what remains
#
# At a large λ a model with a free bias predicts the mean target for every patient; with a penalised bias, zero.

# %%
crushed = [people @ w + b for w, b in (fit(people, diabetes.y, 1e6, lam_b) for lam_b in (0, 1e6))]
claim("S2-16", f"λ = 10⁶, bias free: predictions minus the mean target, {diabetes.y.mean():.0f} "
      "(largest)", measured=np.abs(crushed[0] - diabetes.y.mean()), below=0.001)
claim("S2-16", "λ = 10⁶ on the bias as well: the largest prediction",
      measured=np.abs(crushed[1]), below=0.001)

# %% [markdown]
# Press on the bias alone, and a *linear* function through the origin remains: $f(0)=0$, and $f(2x)=2f(x)$. The slope
# pays for it:

# %%
rng = claims.rng()
x = np.linspace(4, 9, 30)
y = 6 + x + rng.normal(0, 0.5, 30)
presses = {"0": 0, "0.02": 0.02, "0.1": 0.1, "10⁹": 1e9}
lines = [(w[0], b) for w, b in (fit(x[:, None], y, 0, lam_b) for lam_b in presses.values())]
pivot = np.sum(x**2) / np.sum(x)

# %%
fig, ax = figures.subplots()
ax.plot(x, y, ".", color=figures.GREY, label="_points")
for i, name in enumerate(presses):
    slope, intercept = lines[i]
    ax.plot([0, 10], [intercept, intercept + 10 * slope], color=f"C{i}", label=f"_{name}")
    ax.text(-0.15, intercept, f"λ of b: {name}", color=f"C{i}", ha="right", va="center")
ax.plot(pivot, pivot * lines[0][0] + lines[0][1], "ko", mfc="white", label="_pivot")
pressed = figures.drawn(ax)
first, last = ((pressed[name].at(10) - pressed[name].at(0)) / 10 for name in ("_0", "_10⁹"))
points = pressed["_points"]
ax.set(xlabel="input x", ylabel="target and prediction", xlim=(-2, 10), xticks=range(0, 11, 2))
ax.set_title("Press on the bias, and the slope gives way")
figures.show(fig, f"{points.x.size} points with inputs from {points.x.min():.0f} to "
             f"{points.x.max():.0f}, and four fitted lines. With a free bias the line has slope "
             f"{first:.2f} and meets the axis at {pressed['_0'].at(0):.1f}. As the bias is "
             "penalised more the lines turn about one point among the data, until the last goes "
             f"through the origin with slope {last:.2f}.", number="6.2",
             caption="Grey dots are the data. The ring marks the point about which the lines turn.")

# %%
for name, lam_b in (("_0", 0), ("_0.02", 0.02), ("_0.1", 0.1)):
    # The penalty is one more example: an input of 0, a constant of √(nλ), a target of 0.
    columns = np.append(x, 0), np.append(np.ones(30), (30 * lam_b) ** 0.5)
    again = np.linalg.lstsq(np.column_stack(columns), np.append(y, 0), rcond=None)[0]
    claim("06-lines", f"the line labelled {name[1:]}: at 0 and at 10, by least squares",
          measured=pressed[name].y - [again[1], again[1] + 10 * again[0]], equals=0, within=1e-9)

# %%
claim("06-lines", "the dot, and at its place every line: Σxy/Σx", equals=0, within=1e-6, measured=[
    pressed["_pivot"].y[0] - np.sum(x * y) / np.sum(x),
    *(pivot * slope + b - np.sum(x * y) / np.sum(x) for slope, b in lines)])

# %%
claim("S2-18", "λ = 10⁹ on the bias: f(0)", measured=pressed["_10⁹"].at(0), equals=0, within=1e-6)
error = 0.5 / np.sqrt(np.sum((x - x.mean()) ** 2))  # the slope's standard error
Z = np.column_stack([x, np.ones(30)])
claim("S2-18", "its square: σ² times the slope's entry in the inverse of ZᵀZ", equals=0,
      measured=error**2 - 0.5**2 * np.linalg.inv(Z.T @ Z)[0, 0], within=1e-9)
claim("S2-18", "the slope, true value 1, with a free bias: {}, five standard errors allowed",
      measured=first, equals=1, within=round(5 * error, 2))
claim("S2-18", "… and with a crushed one, without noise 1 + 6·Σx/Σx²",
      measured=last, equals=1 + 6 * x.sum() / np.sum(x**2), within=0.07)

# %% [markdown]
# ## 6.5 When it matters: targets with an offset
#
# One number among many: does its decay make a small difference only? By (6.1) it is $c\frac{\lambda}{1+\lambda}$ in
# every prediction, whatever the number of weights. Ten inputs, ten true weights of 1, $\lambda = 0.01$, five data
# sets:

# %%
costs = {}
for offset in (0, 100):
    for seed in seeds(5):
        X, y = make_regression(200, seed=seed, n_inputs=10, weight=1, bias=offset, noise=0.5)
        X = X - X.mean(0)
        least, weights_only, both = (np.mean((X @ w + b - y) ** 2) for w, b in (
            fit(X, y, 0, 0), fit(X, y, 0.01, 0), fit(X, y, 0.01, 0.01)))
        row = (weights_only - least, both - weights_only, both / least, y.mean())
        costs.setdefault(offset, []).append(row)
small, large = np.array(costs[0]).mean(0), np.array(costs[100]).mean(0)

# %%
for offset, found in costs.items():
    claim("06-cost", f"offset {offset}: a decayed bias costs (λ/(1 + λ) times the mean target)²",
          measured=[row[1] - (0.01 / 1.01 * row[3]) ** 2 for row in found], equals=0, within=1e-9)
claim("S2-03", "offset 100: training error, bias decayed over nothing decayed",
      measured=large[2], between=(4, 7))
claim("S2-10", "offset 100: the harm of decaying one bias over that of ten weights",
      measured=large[1] / large[0], between=(300, 3000))
claim("S2-10", "offset 0: the same", measured=small[1] / small[0], below=0.1)

# %% [markdown]
# Does a network suffer as well? It has a choice: section 6.3 let something else carry the constant. Take a ReLU unit
# $v\,\mathrm{relu}(a^\top x + \beta)$, $v\ne0$, that is active on all examples. It adds the constant $v\beta$. We
# penalise everything by λ, beside half the mean squared error. Let δ be the mean residual. At a stationary point:
#
# 1. for the output bias, $\lambda b = \delta$;
# 2. for the unit's own, $\lambda\beta = \delta v$;
# 3. and the balance of [chapter 5](05_size_normalisation.ipynb) says $v^2 = \lVert a\rVert^2+\beta^2$. (Multiply the
#    derivatives for $a$ and β by $a$ and β, that for $v$ by $v$; the loss's parts are equal, as the unit's output is of
#    degree one in each.)
#
# So $v^2\ge\beta^2 = (\delta/\lambda)^2v^2$, that is
#
# $$|\delta|\le\lambda,\qquad |b|\le 1, \tag{6.3}$$
#
# however large the offset: as in §4.6, a product of two weights pays for a constant by its amount, not its
# square. And if hidden biases are free, line 2 reads $\delta v = 0$: the penalty on the output bias is evaded
# altogether. We train ten hidden units at a harsh $\lambda = 0.1$ on four offsets, five data sets each:

# %%
offsets = np.repeat([1.0, 2, 4, 8], 5)
problems = [make_regression(60, seed=seed, n_inputs=3, weight=1, bias=offset, noise=0.5)
            for seed, offset in zip(seeds(20), offsets, strict=True)]
inputs, targets = (np.stack(part) for part in zip(*problems, strict=True))
targets += offsets[:, None] - targets.mean(1, keepdims=True)  # let the mean be the offset


# %%
def one_by_one(hidden):
    """Whether a network has a unit that is active on each example: unit by unit."""
    return np.array([any(all(h > 0.1 for h in unit) for unit in network.T) for network in hidden])


# %%
short_of, always_active, output_bias = {}, {}, {}
for name, decay_factors in (("all biases decay", {"weight": 1, "bias": 1}),
                    ("only the output's", {"weight": 1, "bias1": 1})):
    run = sweep(MLP((3, 10, 1)), inputs, targets, seeds=seeds(20), lr=0.04, momentum=0.9,
                weight_decay=0.1, steps=600, decay_factors=decay_factors, record_every=600)
    hidden = np.einsum("snd,shd->snh", inputs, run.weight0) + run.bias0.values.swapaxes(1, 2)
    f = predict(run, inputs).values[..., 0]
    short_of[name] = (targets - f).mean(1).reshape(4, 5)
    output_bias[name] = run.bias1.values.reshape(4, 5)
    always_active[name] = (hidden.min(1) > 0.1).any(1).reshape(4, 5)
    by_units = np.maximum(hidden, 0) @ run.weight1.values.swapaxes(1, 2) + run.bias1.values
    apart = by_units[..., 0] - f, always_active[name].ravel() ^ one_by_one(hidden)
    claim("06-around", f"{name}: outputs by the hidden units, and which are active, unit by unit",
          measured=np.concatenate([part.ravel() for part in apart]), equals=0, within=1e-9)

# %%
linear = []
for X, y in zip(inputs, targets, strict=True):
    w, b = fit(X, y, 0.1, 0.1)
    linear.append(np.mean(y - X @ w - b))
    claim("06-missing", "the linear model, too, is short of λb (each data set)",
          measured=linear[-1] - 0.1 * b, equals=0, within=1e-12)

# %%
fig, ax = figures.subplots()
c = offsets[::5]
ax.loglog(c, c * 0.1 / 1.1, "--", lw=1, color=figures.BLUE, label="_(6.1)")
ax.loglog(offsets, linear, "o", ms=4, color=figures.BLUE, label="_linear")
ax.text(8.7, 8 / 11, "linear model:\n(6.1)", color=figures.BLUE, va="center")
ax.loglog(offsets, short_of["all biases decay"].ravel(), "o", ms=4, color=figures.ORANGE,
          label="_network")
ax.plot([0.9, 8.5], [0.1, 0.1], "--", lw=1, color=figures.ORANGE, label="_at most λ")
missing = figures.drawn(ax)
ax.text(8.7, 0.1, "network:\nat most λ", color=figures.ORANGE, va="center")
ax.set(xlabel="offset of the targets", ylabel="missing from the mean prediction")
ax.set(xlim=(0.9, 13.5), ylim=(0.001, 2), xticks=c, xticklabels=[f"{value:g}" for value in c])
ax.minorticks_off()
ax.set_title("A network walks round the penalty, a linear model cannot")
law = missing["_(6.1)"]
figures.show(fig, "How much is missing from the mean prediction against the offset of the targets, "
             "both axes logarithmic. For the linear model dots beside a straight line from "
             f"{law.at(1):.2f} at offset 1 to {law.at(8):.2f} at offset 8. For networks, dots that "
             f"lie lower and end just below {missing['_at most λ'].y[0]:.1f}.", number="6.3",
             caption="Each dot is one data set, five at each offset; dashes are (6.1) and (6.3).")

# %%
claim("06-missing", "the line of the linear model: (6.1) with λ = 0.1",
      measured=missing["_(6.1)"].y / missing["_(6.1)"].x, equals=1 - 1 / 1.1, within=1e-12)
claim("06-missing", "the line of the networks: λ",
      measured=missing["_at most λ"].y, equals=0.1, within=1e-12)
# The three inputs' means, each of standard deviation 1/√60, move the dots: five times that at most.
at_eight = missing["_linear"].x == 8
claim("06-missing", "offset 8: dots of the linear model over their line", equals=1,
      measured=missing["_linear"].y[at_eight] * 1.1 / 0.8, within=5 * (3 / 60) ** 0.5 / 8)
claim("06-missing", "dots of the networks over those of the linear model: medians, each offset",
      measured=np.median((missing["_network"].y / missing["_linear"].y).reshape(4, 5), axis=1),
      below=1)

# %%
claim("06-around", "at a stationary point λb is what is missing: largest difference over λ",
      measured=[output_bias[name] - short / 0.1 for name, short in short_of.items()],
      equals=0, within=0.1)
reach = np.abs(output_bias["all biases decay"])[always_active["all biases decay"]]
claim("06-around", f"(6.3): of {reach.size} networks with a unit that is always active, {{}} have "
      "|b| of 1 or more", measured=np.sum(reach >= 1), below=2)  # some are not quite at rest

# %%
at_8 = {name: short[3] for name, short in short_of.items()}
at_8["all biases decay"] = missing["_network"].y[missing["_network"].x == 8]
claim("06-around", "offset 8: {} of five networks have a unit that is active on all examples",
      measured=always_active["all biases decay"][3].sum(), above=2)
claim("S2-03", "network, all biases decay, offset 8: what is missing, over λ (median of five)",
      measured=np.median(at_8["all biases decay"]) / 0.1, below=1)
claim("06-around", "… and so the bound (6.3) is nearly reached: a part {} of it",
      measured=np.median(at_8["all biases decay"]) / 0.1, above=0.9)
claim("S2-03", "the linear model, on the same data: the same (smallest of five)",
      measured=np.array(linear[15:]) / 0.1, above=6)
claim("06-around", "network, only the output's bias decays: missing, over λ (median of five)",
      measured=np.median(np.abs(at_8["only the output's"])) / 0.1, below=0.1)

# %% [markdown]
# At offset 8 every network misses the mean by just under λ, the linear model by {{np.mean(linear[15:]) / at_8["all biases decay"].mean():.1f}} times as much. (At smaller
# offsets there need not be a unit that is always active, and (6.3) says nothing. The networks do well all the same.
# And now and then all hidden units of a network die in training. What is left is its output bias, which falls as short
# as that of the linear model. So the claims take medians.)
#
# ## 6.6 When it matters: rare classes
#
# In a classifier the output bias carries the classes' frequencies $\pi_k$. With probabilities $p_k$ from a softmax, the
# derivative of the mean cross-entropy with respect to $b_k$ is the mean of $p_k - [y = k]$. At any stationary point, of
# any network, therefore
#
# $$\overline{p_k} - \pi_k = -\lambda_b\, b_k \tag{6.4}$$
#
# over the training examples (and with one $b$ for two classes the same). With a free bias the mean predicted
# probability *equals* the class's frequency. With a penalised one a rare class, whose $b_k$ is negative, is predicted
# too often.
#
# Scikit-learn's `LogisticRegression` has both: of its solvers only `liblinear` penalises the intercept. (`C` is
# $1/(n\lambda)$.) Is a digit an eight? We keep so few eights that they are {{below: 100 * y.mean():.0f}} %:

# %%
from sklearn.linear_model import LogisticRegression, Ridge



def checked(model, X, y):
    """A second way to what is measured: a logistic function, and scikit-learn's own score."""
    probability = 1 / (1 + np.exp(-X @ model.coef_[0] - model.intercept_))
    return probability.sum() / y.sum(), model.score(X, y)


# %%
digits, lams, rows = load("digits"), (0.001, 0.01, 0.1, 1), {"free": [], "penalised": []}
for seed in seeds(5):
    rng, eight = np.random.default_rng(seed), digits.y == 8
    some = np.concatenate([rng.permutation(np.flatnonzero(eight))[:80],
                           rng.permutation(np.flatnonzero(~eight))[:1520]])
    parts = split(digits.X / 16, eight, train=some[::2], test=some[1::2])
    parts = parts.standardised(spread=False)  # centred by the training part's means
    (X, y), X_test, y_test = parts.train, parts.test.X, parts.test.y
    assert y.sum() == y_test.sum() == 40  # eights, of 800
    for (name, results), solver in zip(rows.items(), ("newton-cholesky", "liblinear"), strict=True):
        for lam in lams:
            model = LogisticRegression(C=1 / (800 * lam), solver=solver, tol=1e-10).fit(X, y)
            p, p_test = (model.predict_proba(inputs)[:, 1] for inputs in (X, X_test))
            expected = 0 if solver != "liblinear" else -lam * model.intercept_[0]
            results.append((p.mean() - y.mean() - expected, p_test.mean() / y_test.mean(),
                            np.mean((p_test > 0.5) == y_test),
                            *checked(model, X_test, y_test)))

# %% tags=["hide-input"]
ratios = {name: np.array(results)[:, 1].reshape(5, 4) for name, results in rows.items()}
fig, ax = figures.subplots()
for (name, ratio), color in zip(ratios.items(), (figures.BLUE, figures.ORANGE), strict=True):
    ax.plot(np.tile(lams, (5, 1)).T, ratio.T, "o", ms=4, alpha=0.6, color=color)
    ax.plot(lams, ratio.mean(0), color=color, label=f"_{name}")
    ax.text(1.2, ratio[:, -1].mean(), f"intercept {name}", color=color, va="center")
ax.set(xscale="log", yscale="log", xlabel="weight decay λ", xlim=(7e-4, 12), ylim=(0.5, 20))
ax.set(ylabel="eights predicted / eights there", yticks=(1, 3, 10), yticklabels=("1", "3", "10"))
ax.set_title("A penalised intercept predicts a rare class too often")
eights = figures.drawn(ax)
worst = eights["_penalised"]
figures.show(fig, "Mean predicted probability of an eight over the share of eights, on test "
             "digits, against λ, both axes logarithmic, five draws. With a free intercept it stays "
             f"near 1. With a penalised one it rises from {worst.at(0.001):.1f} at λ = 0.001 over "
             f"{worst.at(0.1):.1f} at 0.1 to {worst.at(1):.0f} at λ = 1.", number="6.4",
             caption="Dots are five draws of training and test digits; lines join their means.")

# %%
errors = {name: np.array(results)[:, 0] for name, results in rows.items()}
accuracy = [np.array(results)[:, 2].reshape(5, 4)[:, 2].mean() for results in rows.values()]
claim("06-calibrated", "intercept free: mean probability minus frequency (largest of 20 fits)",
      measured=errors["free"], equals=0, within=1e-6)
claim("06-calibrated", "liblinear: the same minus −λb, by (6.4) (largest of 20 fits)",
      measured=errors["penalised"], equals=0, within=1e-6)
claim("06-rare", "probabilities by the logistic function, accuracies by scikit-learn's `score`",
      measured=[(row[1] - row[3], row[2] - row[4]) for both in rows.values() for row in both],
      equals=0, within=1e-9)
for name, results in rows.items():
    claim("06-rare", f"the curve of the intercept {name}: mean of the five draws at each λ",
          measured=eights[f"_{name}"].y - [np.mean([row[1] for row in results[k::4]])
                                           for k in range(4)], equals=0, within=1e-12)

# %%
claim("06-rare", "λ = 0.001: accuracy of either model, above 0.95, which never saying eight has",
      measured=[np.mean([row[2] for row in results[::4]]) for results in rows.values()],
      above=0.95)
claim("06-rare", "liblinear, λ = 0.1, test digits: eights predicted over eights there",
      measured=eights["_penalised"].at(0.1), between=(2, 6))
claim("06-rare", "a free intercept, any λ: the same", measured=eights["_free"].y,
      equals=1, within=0.2)
claim("06-rare", "… accuracy of either model minus 0.95, which never saying eight has (larger)",
      measured=np.abs(np.array(accuracy) - 0.95), below=0.005)

# %% [markdown]
# There are {{eights["_penalised"].at(0.1):.1f}} times as many eights as there should be, in probability, and the accuracy does not see it: at this λ neither model ever
# calls a digit an eight. Whoever uses the probabilities does see it.
#
# ## 6.7 When it does not: digits
#
# Ten classes of nearly equal size, centred pixels: there is no offset to carry. A network with one hidden layer, ten
# seeds, without and with decay on all biases:

# %%
pixels = digits.scaled(16, centre=True)
order = np.random.default_rng(0).permutation(len(pixels))
parts = split(pixels, digits.y, train=order[:1000], test=order[1000:])
runs = [sweep(MLP((64, 32, 10)), *parts.train, test=parts.test,
              loss="cross_entropy", seeds=seeds(10), lr=0.5, weight_decay=0.003, batch_size=50,
              steps=200, record_every=200, decay_factors=decay_factors)
        for decay_factors in ({"weight": 1}, {"weight": 1, "bias": 1})]

# %%
gains = (runs[0].test_accuracy - runs[1].test_accuracy).values[:, -1]
gain = claims.interval(gains)  # of the mean of ten seeds, 95 %
print(f"accuracy, biases free: {runs[0].test_accuracy.values[:, -1].mean():.3f}")
print(f"gain over decayed biases: {gain.mean:+.4f} ± {gain.half:.4f}")

# %%
missed = [np.mean(predict(run, parts.test).values.argmax(-1) != parts.test.y, axis=1)
          for run in runs]
claim("06-digits", "the gain of each seed, by the predictions on digits that were held back",
      measured=missed[1] - missed[0] - gains, equals=0, within=1e-12)
claim("06-digits", "accuracy of the networks with free biases, least of ten",
      measured=1 - missed[0], between=(0.9, 1))

# %%
sizes = [float(abs(run.bias0).mean()) for run in runs]
claim("06-digits", "sizes of hidden biases: the sum of all |b| over 10 · 32", equals=0, within=1e-9,
      measured=[np.linalg.norm(run.bias0.values.ravel(), 1) / (10 * 32) - size
                for run, size in zip(runs, sizes, strict=True)])
# Pushed alike at all steps, a decayed bias keeps the mean of (1 − ηλ)ᵗ over the 200 steps.
claim("06-digits", "digits: size of the decayed hidden biases over that of the free ones",
      measured=sizes[1] / sizes[0], equals=np.mean((1 - 0.5 * 0.003) ** np.arange(200)),
      within=0.05)

# %%
claim("S2-03", "digits: the mean gain in accuracy from free biases, ten seeds",
      measured=gain.mean, between=(-0.01, 0.01))
claim("S2-03", "… and the far end of its 95 % interval",
      measured=[gain.low, gain.high], between=(-0.01, 0.01))

# %% [markdown]
# The biases shrink, and the accuracy does not show it.
#
# ## 6.8 Hidden layers and norms
#
# A *hidden* bias says where a unit switches. Three facts, for ReLU, and one about norms.
#
# 1. **Free, it absorbs the origin of the inputs.** Move all inputs by $m$ and the first layer's biases by $-Wm$: the
#    outputs are the same, and so is the penalty if these biases are free.
# 2. **Penalised, a kink pays for its distance from the origin.** A unit $v\,\mathrm{relu}(ax+\beta)$ bends the function
#    at $t=-\beta/a$ and changes its slope by $v|a|$. With that product given, the cheapest split of
#    $\frac12(a^2+\beta^2+v^2) = \frac12(a^2(1+t^2)+v^2)$ costs $|va|\sqrt{1+t^2}$. With β free it costs $|va|$,
#    wherever the kink is ([Savarese et al., 2019](https://arxiv.org/abs/1902.05040)). The extra factor favours few
#    kinks ([Boursier and Flammarion, 2023](https://arxiv.org/abs/2303.01353)).
# 3. **Crushed, it leaves the network homogeneous.** Without biases $f(cx) = c\,f(x)$ for $c>0$: section 6.4 again,
#    along every ray from the origin.
# 4. **A norm's β is a bias, its γ a scale.** Fit $\gamma\hat x+\beta$, with $\hat x$ of mean 0 and variance 1, to
#    targets: decay leaves $\frac1{1+\lambda}$ of both, so γ goes to 0, not to 1. In a network the next weights can make
#    up for it (chapter 10).

# %%
splits, kink = np.logspace(-2, 2, 40_001), 3.0
price = (splits**2 * (1 + kink**2) + 1 / splits**2) / 2  # a = split, v = 1/a, β = -a·kink
start = MLP((64, 32, 10)).initial(seeds(1)[0])
W, V, beta = start["weight0"], start["weight1"], start["bias0"][:, 0]


def network(x, beta):
    return np.maximum(x @ W.T + beta, 0) @ V.T


# %%
claim("06-kink", "a kink at 3 with slope change 1 costs √(1 + 3²): cheapest of 40,001 splits",
      measured=price.min(), equals=np.sqrt(10), within=1e-6)
claim("06-inputs", "inputs + 5, hidden biases − 5·W1: the same outputs (largest difference)",
      measured=network(pixels + 5, beta - 5 * W.sum(1)) - network(pixels, beta),
      equals=0, within=1e-12)
claim("06-homogeneous", "no biases: f(3x) − 3f(x), largest over all digits",
      measured=network(3 * pixels, 0) - 3 * network(pixels, 0), equals=0, within=1e-12)
decayed, free = (np.append(*fit(people[:, [2]], diabetes.y, lam, lam)) for lam in (0.1, 0))
claim("06-norm", "γ and β after a norm, decayed by 0.1: share left minus 1/1.1 (larger)",
      measured=np.abs(decayed / free - 1 / 1.1), below=1e-12)

# %% [markdown]
# ## 6.9 Embeddings
#
# A token's row gets a gradient only when the token is in the batch. Weight decay comes at every step. Three tokens want
# the vector $z = (1, 1)$: a visit adds $\frac12\lVert e-z\rVert^2$ to the loss. One is visited at every step, one every
# 10 steps, one every 100; a fourth never.


# %%
def visit(optimizer, steps=600, **settings):
    rows = torch.nn.Embedding.from_pretrained(torch.ones(4, 2, dtype=torch.float64), freeze=False)
    optimizer, lengths = optimizer(rows.parameters(), **settings), []
    for step in range(1, steps + 1):
        tokens = torch.tensor([i for i, gap in enumerate((1, 10, 100)) if step % gap == 0])
        optimizer.zero_grad()
        ((rows(tokens) - 1).square().sum() / 2).backward()
        optimizer.step()
        lengths.append(rows.weight[:, 0].tolist())
    return np.array(lengths)


# %%
lr, lam = 0.5, 0.01
by_sgd = visit(torch.optim.SGD, lr=lr, weight_decay=lam)
by_adamw = visit(torch.optim.AdamW, 100, lr=lr, weight_decay=lam)
by_adam = [visit(torch.optim.Adam, 100, lr=0.001, weight_decay=lam) for lam in (1e-4, 1e-2)]
gaps = np.array([1, 10, 100])


# %%
def settled(lr):
    """Entry of a row right after a visit, and right before the next."""
    a = 1 - lr * lam
    after_visit = lr / (1 - (a - lr) * a ** (gaps - 1))
    return after_visit, after_visit * a ** (gaps - 1)



# %%
fig, ax = figures.subplots()
names = {"every step": 1.0, "every 10 steps": 0.91, "every 100 steps": 0.7, "never": 0.05}
for token, (name, height) in enumerate(names.items()):
    ax.plot(range(1, 601), by_sgd[:, token], color=f"C{token}", label=f"_{name}")
    ax.text(612, height, name, color=f"C{token}", va="center")
ax.plot([600] * 3, settled(lr)[0], "ko", mfc="white", ms=5, label="_settled")
entries = figures.drawn(ax)
ax.set(xlabel="step", ylabel="entry of the row (it should be 1)", xlim=(0, 755), ylim=(0, 1.05))
ax.set_xticks(range(0, 601, 100))
ax.set_title("The rarer the token, the more its row decays")
often, seldom = entries["_every 10 steps"], entries["_every 100 steps"]
figures.show(fig, "Entries of four rows of an embedding over 600 steps. Visited at every step it "
             f"stays at {entries['_every step'].at(600):.2f}. Visited every 10 steps it saws just "
             f"below {often.at(600):.2f}; every 100 steps between {seldom.at(599):.2f} and "
             f"{seldom.at(600):.2f}. Never visited it falls to {entries['_never'].at(600):.2f}.",
             number="6.5", caption="Each line is one token, named by how often it is visited. "
             "Rings are the value after a visit at which its row should settle.")

# %%
for name, gap in (("every step", 1), ("every 10 steps", 10), ("every 100 steps", 100)):
    entry, path = 1.0, []
    for step in range(1, 601):
        entry += -lr * lam * entry + (lr * (1 - entry) if step % gap == 0 else 0)
        path.append(entry)
    claim("06-visits", f"the curve labelled “{name}”, step by step in plain Python",
          measured=entries[f"_{name}"].y - path, equals=0, within=1e-12)

# %% [markdown]
# A step without a visit multiplies a row by $a = 1-\eta\lambda$; a visit takes $e$ to $(a-\eta)e+\eta z$. With a visit
# every $k$ steps, the row settles at a value $u$ after each: $u = (a-\eta)\,a^{k-1}u + \eta z$. For small η that is
#
# $$u \approx \frac{z}{1+k\lambda}: \tag{6.5}$$
#
# the token meets $k$ times the λ. This is (6.1) once more: with $n_{\rm t}$ visits in $n$ steps the factor is
# $\frac{n_{\rm t}}{n_{\rm t}+n\lambda}$. Decide whether you want that.
#
# Adam with L2 inside is worse. Without visits the penalty is all there is in the gradient, and Adam divides it by its
# own size: the row falls by about η a step, for *any* λ (well above Adam's ε).

# %%
a, t = 1 - lr * lam, np.arange(1, 601)
claim("06-never", "SGD, never visited: distance from (1 − ηλ)ᵗ", equals=0, within=1e-12,
      measured=entries["_never"].y - a**t)
claim("06-never", "AdamW, 100 steps: the same", equals=0, within=1e-12,
      measured=by_adamw[:, 3] - a ** t[:100])
claim("06-visits", "SGD: distance from the circles, and from u·a^(k − 1) before a visit (largest)",
      measured=np.abs([by_sgd[-1, :3] - entries["_settled"].y, by_sgd[-2, :3] - settled(lr)[1]]),
      below=0.001)
claim("06-visits", "(6.5) at η = 0.0001: distance, after and before visits (largest of six)",
      measured=np.abs(np.array(settled(1e-4)) - 1 / (1 + lam * gaps)), below=0.001)

# %%
lost = [1 - path[-1, 3] for path in by_adam]
claim("06-adam", "Adam, λ = 0.0001, never visited: lost in 100 steps, over 100η",
      measured=lost[0] / 0.1, between=(0.9, 1))
claim("06-adam", f"… and with λ = 0.01, {1e-2 / 1e-4:.0f} times as much: ratio of the losses",
      measured=lost[1] / lost[0], equals=1, within=0.001)

# %% [markdown]
# ## 6.10 Groups by hand, and what rank alone gets wrong
#
# "Does that mean we can use w and b as bias penalty at the same time or separately?" asks the thread. Yes: by parameter
# groups, each with its λ. The shortest rule in use, [nanoGPT](https://github.com/karpathy/nanoGPT)'s, goes by rank: matrices decay; vectors, which are biases
# and the scales γ and shifts β of norms, do not. By hand:


# %%
def by_rank(model, weight_decay):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0}]


# %%
model = torch.nn.ModuleDict({
    "tokens": torch.nn.Embedding(50, 8),
    "attention": torch.nn.MultiheadAttention(8, 2, add_bias_kv=True),
    "norm": torch.nn.LayerNorm(8),
    "image": torch.nn.LayerNorm((4, 8)),
    "body": torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8)),
    "slope": torch.nn.PReLU(),
    "head": torch.nn.Linear(8, 50),
})

# %% [markdown]
# `roles` of `l2lib.groups` goes by the type of a module and the parameter's name in it. Where do the two part?

# %%
parameters, matrices = dict(model.named_parameters()), by_rank(model, 0.1)[0]["params"]
decays = {name: any(p is matrix for matrix in matrices) for name, p in parameters.items()}
differ = {name: role for name, role in roles(model).items() if decays[name] != (role == "weight")}
for name, role in differ.items():
    print(f"{role:10} {tuple(parameters[name].shape)!s:10} {name}")
claim("06-rank", "{} parameters of this small model decay by rank and should not",
      measured=len(differ), equals=6)

# %% [markdown]
# An embedding has rank 2. So have the length $g$ of weight norm, $8\times1$, and γ and β of a norm over an image.
# Attention's extra biases are $1\times1\times8$.
#
# ## 6.11 The helper, and a real trainer's list
#
# `param_groups` makes groups for any torch optimiser, one for each role and λ. Only weights decay, unless you say
# otherwise: give factors on λ by role. A factor for a pattern of names multiplies that of the role.

# %%
groups = param_groups(model, 0.1, decay_factors={"weight": 1, "embedding": 0.1, "head.*": 0.5})
print(table(model, groups))


# %%
def shrinkage_of(groups, **settings):
    """One step with zero gradients: what is left of each parameter, by name."""
    optimizer = torch.optim.SGD(groups, lr=1.0, **settings)
    for p in model.parameters():
        p.data.fill_(1.0)
        p.grad = torch.zeros_like(p)
    optimizer.step()
    return {name: p.detach().flatten()[0].item() for name, p in model.named_parameters()}


# %%
by_default = shrinkage_of(model.parameters(), weight_decay=0.1)
by_role = shrinkage_of(param_groups(model, 0.1))
claim("06-default", "PyTorch, one list of parameters: everything decays; the share left",
      measured=[*by_default.values()], equals=0.9, within=1e-6)
claim("S2-24", "groups: share left of each weight", equals=0.9, within=1e-6,
      measured=[by_role[name] for name, role in roles(model).items() if role == "weight"])
claim("S2-24", "… of each bias, norm or embedding", equals=1, within=1e-6,
      measured=[by_role[name] for name, role in roles(model).items() if role != "weight"])

# %% [markdown]
# A parameter that no rule covers is an error and not a guess. You write the rule:


# %%
class Pool(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query = torch.nn.Parameter(torch.zeros(8))


model["pool"] = Pool()
try:
    roles(model)
except ValueError as error:
    print(error)
print(roles(model, rules={Pool: "weight"})["pool.query"])

# %% [markdown]
# The `Trainer` of Hugging Face's transformers spares modules of class `LayerNorm`, and parameters whose name holds
# bias, layernorm or rmsnorm, or has a part that is norm or ends in _norm. We compared both lists on 18 of its
# architectures, small and with random weights (`make peers`). Twelve of them needed `rules`, three entries at most,
# such as `{"*RMSNorm": "gamma"}`. Most tensors agree. These do not:
#
# | tensors | in all | decayed by | because |
# |---|---|---|---|
# | embeddings that are not tied to the output | 18 | Trainer | it has no rule for them |
# | γ of norms called `normalization`, `batchnorm`, `*_bn`, `norm_f` | 24 | Trainer | it does not know these names |
# | class tokens, positions, masks: bare parameters | 6 | Trainer | nor these; by our rules they are embeddings |
# | scales of channels and of weight norm | 3 | Trainer | nor these; to l2lib they are γ and $g$ |
# | CLIP's `logit_scale`, Mamba's `A_log` and `D` | 5 | Trainer | nor these; decay pulls scale and rates to $e^0=1$ |
# | every matrix in the body of RobertaPreLayerNorm | 13 | l2lib | the body is called `roberta_prelayernorm` |
# | linear layers of LayoutLMv3 called `rel_pos_*bias` | 3 | l2lib | linear by class, a bias by name |
#
# Mind the last but one: for one word in a name, 99.5 % of that model (at its default size) never decay.
#
# ## 6.12 What frameworks do by default
#
# Run in the versions that the project pins, or read in the source (*).
#
# | framework | decays unless told otherwise | to change it |
# |---|---|---|
# | PyTorch `optim`, `weight_decay` | all it is given: biases, γ, β, embeddings | parameter groups |
# | Optax `adamw` | everything | `mask` |
# | Keras optimisers, `weight_decay` | everything trainable | `exclude_from_weight_decay` |
# | Keras `kernel_regularizer` | that kernel only; `bias_regularizer` is another argument | |
# | scikit-learn `Ridge`, `Lasso`, `LogisticRegression`, `MLPClassifier` | never the intercept | |
# | its `LinearSVC` and `solver="liblinear"` | the intercept too | another solver; `intercept_scaling` |
# | fastai `Learner`* | weights; biases and norms are left out | `wd_bn_bias=True` |
# | MXNet, where the optimiser knows names* | names that end in `_weight` or `_gamma` | `set_wd_mult` |
# | MXNet Gluon* | everything | `wd_mult` of a parameter |

# %%
by_library = Ridge(alpha=len(date) * 0.01).fit(date, celsius + 273.15)
claim("06-sklearn", "scikit-learn's Ridge in kelvin: its year minus that of a free bias (largest)",
      measured=np.abs(by_library.predict(date) - date @ w_C - celsius.mean() - 273.15),
      below=1e-9)

# %% [markdown]
# ## 6.13 The sources, line by line
#
# (S2-18, of section 6.4, has its verdict in chapter 1.)

# %%
verdict("S2-01", "answered",
        "It pulls b to zero: to the share n/(n + λ) of the mean target if inputs are centred and "
        "losses summed, 1/(1 + λ) if they are averaged. Otherwise (6.2).")
verdict("S2-02", "true",
        "With reason: predictions follow a shift of the targets if and only if some constant is "
        "free. In ridge regression nothing but b can be it.")

# %%
verdict("S2-03", "under conditions",
        "On balanced digits less than 0.01 in accuracy. In a linear model cλ/(1 + λ) at offset c; "
        "with rare classes −λb in probability. A ReLU that is always active keeps it to λ.")
verdict("S2-04", "answered",
        "It is not negative, and it is the same b: b may be negative, b² is not, and its "
        "gradient pulls towards zero.")

# %%
verdict("S2-10", "under conditions",
        "What counts is its role and the offset, not its dimension: at offset 100 one bias costs "
        f"{large[1] / large[0]:.0f} times as much as ten weights, at offset 0 next to nothing.")
verdict("S2-16", "true",
        "Every prediction goes to zero; with a free b, to the mean target.")
verdict("S2-24", "answered", "By parameter groups, each with a λ of its own.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## 6.14 In practice
#
# **Take home.** Leave output biases free, start them at the mean target or the classes' log-frequencies, or standardise
# the targets. Before you train, print the table of what decays: group tensors by what they do, for rank does not tell.
#
# **Limits.** (6.1) to (6.4) are about stationary points of loss plus L2, on the training examples; AdamW strikes
# another balance ([chapter 3](03_one_lambda_many_meanings.ipynb)). Whether decay of embeddings or hidden biases *helps* a model
# was not asked.
#
# ## 6.15 Exercises
#
# **1.** Your loss is half the *sum* of squares, λ = 20, the inputs are centred, and the targets' mean is 50. What is
# the penalised bias with 200 examples, and with 20,000?
#
# <details>
# <summary>Solution</summary>
#
# $50\cdot\frac{200}{220}$ is {{50 * 200 / (200 + 20):.1f}}, and $50\cdot\frac{20000}{20020}$ is {{50 * 20000 / (20000 + 20):.2f}}. A summed loss forgets its penalty as data
# come in; the mean loss with $\lambda = 0.1$ gives {{50 / (1 + 0.1):.1f}} for both.
#
# </details>
#
# **2.** One example in a hundred is positive; λ = 0.1 on the bias, and the weights are crushed. Which probability does
# a logistic model predict?
#
# <details>
# <summary>Solution</summary>
#
# (6.4) with $b = \ln\frac{p}{1-p}$: $p - 0.01 = -0.1\ln\frac{p}{1-p}$ has the solution $p = 0.169$, 17 times too
# much.
#
# </details>
#
# **3.** Counts are fitted by Poisson regression: the mean of $e^{f} - yf$ is minimised, with $f = w^\top x+b$. Show
# that with a free bias the mean predicted count is the mean count.
#
# <details>
# <summary>Solution</summary>
#
# The derivative with respect to $b$ is the mean of $e^f - y$.
#
# </details>
#
# **4.** Tie the embedding to the head, `model["head"].weight = model["tokens"].weight`, and `del model["pool"]`. Which
# role does `roles` give the tensor, and why does the argument of section 6.9 no longer hold?
#
# <details>
# <summary>Solution</summary>
#
# It is a "weight". Through the output's softmax every row has a gradient at every step: it is pushed away from where it
# is not the answer.
#
# </details>
#
# **5.** (Open.) Train the rare eights with one hidden layer of ReLUs and all biases decayed, by `sweep` with two
# classes. Does the network walk round the penalty as in section 6.5? Measure the mean probability of an eight, and use (6.4).
#
# <details>
# <summary>A start</summary>
#
# For a unit that is always active, $\lambda\beta = \sum_k v_k\delta_k$ with $\delta_k = \pi_k - \overline{p_k}$. As in
# (6.3), with $v$ along δ, this bounds $\lVert b\rVert$ by 1. We found, at $\lambda = 0.01$, $b = \mp0.27$ and a mean
# probability of 0.053, against $\mp1.61$ and 0.066 of the linear model; at $\lambda = 0.1$, 0.109 against 0.142.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 7 turns to weights whose size a norm removes from the function.
#
# - [Savarese, Evron, Soudry and Srebro (2019)](https://arxiv.org/abs/1902.05040): weight decay with free hidden biases.
# - [Boursier and Flammarion (2023)](https://arxiv.org/abs/2303.01353): and with penalised ones.
# - [Zhang, Lipton, Li and Smola](https://arxiv.org/abs/2106.11342), *Dive into Deep Learning*: what the thread
#   discusses.
