# %% [markdown]
# # 7 Batch norm's scale invariance
#
# Multiply the weights in front of a batch norm by 10: the network computes what it computed before. So what can a
# penalty on the size of these weights do? Afterwards you can prove when it does nothing to the objective, say what
# breaks the proof, and find out by a short program which tensors of a model have no size that matters.
#
# *Reading time 25 minutes; the code runs in about 12 seconds.*

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.invariance import scale_invariance
from l2lib.splits import split
from l2lib.sweep import MLP, predict, sweep

# %% [markdown]
# ## 7.1 A puzzle: a penalty that does not hurt
#
# Four networks learn {{below: len(parts.train.y)}} digits: 64 inputs, 32 hidden units with ReLU, 10 outputs. One is plain. The
# others have batch norm, layer norm or weight norm in the hidden layer. We put weight decay on the hidden weights only
# and raise λ from {{below: lams[1]}} to {{below: lams[-1]}}. Five seeds each, SGD with $\eta = 0.1$, which falls to
# zero over the second half. What happens to the *training* loss, which the penalty is not part of?

# %%
digits = load("digits")
pixels = digits.scaled(16, centre=True)
order = claims.rng().permutation(len(pixels))
parts = split(pixels, digits.y, train=order[:600], test=order[600:])
lams = [0, 0.0001, 0.01, 0.1, 0.3, 1, 3]
names = {None: "plain", "batch": "batch norm", "layer": "layer norm", "weight": "weight norm"}
norms = [*names]


# %%
data = {"X": parts.train.X, "y": parts.train.y, "test": parts.test}


def learn(norm, lams=lams, decayed=("weight0",), lr=0.1, steps=400, data=data, widths=(64, 32, 10)):
    return sweep(MLP(widths, norm=norm, eps=1e-12), **data, loss="cross_entropy", lr=lr,
                 batch_size=50, weight_decay=lams, seeds=seeds(5),
                 decay_factors=dict.fromkeys(decayed, 1),
                 steps=steps, schedule=lambda t: min(1, 2 * (1 - t / steps)),
                 record_every=steps // 2)


# %%
runs = {norm: learn(norm) for norm in norms}
final = {norm: run.train_loss.values[..., -1] for norm, run in runs.items()}  # seed, λ
accuracy = {norm: run.test_accuracy.values[..., -1] for norm, run in runs.items()}


# %%
def against_decay(ax, lams, values):
    """Draw values (seed, λ) of the four networks against λ; 0 is drawn a decade lower."""
    at = np.array([lams[1] / 10, *lams[1:]])
    for k, (norm, name) in enumerate(names.items()):
        ax.plot(at, values[norm].T, "o", ms=3, color=f"C{k}", alpha=0.5, label=f"_{name}")
        ax.plot(at, values[norm].mean(0), color=f"C{k}", label=name)
    ax.set(xscale="log", xlabel="weight decay λ of the hidden weights")
    ax.set_xticks(at, ["0", *map(str, lams[1:])])
    ax.minorticks_off()


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(8.6, 3.7))
for ax, values in zip(axes, (final, accuracy), strict=True):
    against_decay(ax, lams, values)
losses, accuracies = (figures.drawn(ax) for ax in axes)
for line, height in zip(axes[0].get_lines()[5::6], (1.12, 1.12, 0.78, 0.78), strict=True):
    axes[0].text(1e-5, line.get_ydata()[0] * height, line.get_label(), color=line.get_color(),
                 va="center")
axes[0].set(yscale="log", ylabel="training loss (nat)")
axes[0].set_title("What ruins the plain network helps the others")
axes[1].set(ylabel="test accuracy", ylim=(0, 1))
ends = {name: ", ".join(f"{losses[name].y[k]:.2g}" for k in (0, 4, 6)) for name in names.values()}
floor = min(accuracies[f"_{name} norm"].y.min() for name in ("batch", "layer", "weight"))
figures.show(fig, "Training loss and test accuracy against λ for four networks, five seeds each. "
             f"Mean losses at λ = 0, 0.3 and 3: plain {ends['plain']}; batch norm "
             f"{ends['batch norm']}; layer norm {ends['layer norm']}; weight norm "
             f"{ends['weight norm']}. Accuracy of the plain network falls to "
             f"{accuracies['plain'].y[-1]:.2f}, the others' stays above {floor - 0.005:.2f}.",
             number="7.1", caption="Small dots are five seeds, lines join their means. The "
             "colours are named on the left.")


# %%
def times(norm, lam):
    """Training loss at λ over that without decay, one number a seed."""
    return final[norm][:, lams.index(lam)] / final[norm][:, 0]


# %%
fits = np.array([times(norm, 0.3) for norm in norms])  # network, seed
claim("S1-01", "plain, λ = 0.3: training loss {:.1f} times that at λ = 0, mean of five seeds",
      measured=fits[0].mean(), between=(2.8, 4.8))
claim("S1-01", "plain, λ = 1: {:.1f} times", measured=times(None, 1).mean(), between=(4, 8.2))
claim("S1-01", "… more than twice that at λ = 0, both, in {} of 10 runs", equals=10,
      measured=(fits[0] > 2).sum() + (times(None, 1) > 2).sum())
claim("S1-01", "with a norm, λ = 0.3: the loss is below that at λ = 0 in {} of 15 runs",
      measured=(fits[1:] < 1).sum(), equals=15)
claim("07-again", "a loss over itself", equals=1, within=1e-12,
      measured=[times(norm, 0) for norm in norms])
claim("S1-01", "… and {:.2f} times that, mean of five seeds, nearest to 1 of three norms",
      measured=fits[1:].mean(1), between=(0.5, 0.94))

# %% [markdown]
# Is the picture right? We take the trained weights, and compute what the networks say, their losses and their
# accuracies once more.


# %%
def scores_of(run, norm, k, x, data=data):
    """Outputs of the networks at the k-th λ for examples x: (seed, example, class)."""
    reference = data["X"] if norm == "batch" else None  # batch norm's statistics come from there
    return predict(run.isel(weight_decay=k), x, reference=reference).values


def loss_of(outputs, y):
    """Mean cross-entropy of outputs (seed, example, class), by seed."""
    right = np.take_along_axis(outputs, y[None, :, None], -1)[..., 0]
    return (np.log(np.exp(outputs).sum(-1)) - right).mean(1)


# %%
for norm in norms:
    name = f"{norm} norm" if norm else "plain"
    for k in (0, 4, 6):
        learnt = scores_of(runs[norm], norm, k, parts.train.X)
        right = scores_of(runs[norm], norm, k, parts.test.X).argmax(-1) == parts.test.y
        claim("07-again", f"{name}: the loss that is drawn, computed again from the weights",
              measured=losses[name].y[k] - loss_of(learnt, parts.train.y).mean(),
              equals=0, within=1e-9)
        claim("07-again", f"{name}: the accuracy that is drawn, too", equals=0, within=1e-9,
              measured=accuracies[f"_{name}"].y[:, k] - right.mean(1))

# %% [markdown]
# And the learnt function? Compare the classes given to the {{len(parts.test.y):,}} test digits with those of the same
# network without decay.


# %%
def classes(run, norm, k, data=data):
    """Class of each test example by the networks at the k-th λ: (seed, example)."""
    return scores_of(run, norm, k, data["test"].X, data).argmax(-1)


# %%
def changed(run, norm, k, data=data):
    """Share of test examples that get another class at the k-th λ than without decay, by seed."""
    return (classes(run, norm, k, data) != classes(run, norm, 0, data)).mean(1)


shares = np.array([changed(runs[norm], norm, lams.index(1)) for norm in norms])  # network, seed
claim("S1-01", "plain, λ = 1: share of test digits in another class than at λ = 0, mean of five",
      measured=shares[0].mean(), between=(0.35, 0.8))
claim("S1-01", "plain, in each network more than 20 % of them: {} of 5", equals=5,
      measured=(shares[0] > 0.2).sum())
claim("07-again", "no other class at the same λ", equals=0, within=1e-12,
      measured=[changed(runs[norm], norm, 0) for norm in norms])
claim("S1-01", "with a norm, λ = 1: less than 5 % of the test digits, in {} of 15 runs",
      measured=(shares[1:] < 0.05).sum(), equals=15)
claim("S1-01", "… share that does change, mean of five seeds, each norm",
      measured=shares[1:].mean(1), between=(0.002, 0.04))

# %% [markdown]
# Is it the digits? MNIST-1D is a harder set: noisy signals of {{below: signals.X.shape[1]}} values, ten classes. We take
# {{below: len(data1d["y"])}} of them and 48 hidden units, and change nothing else. Here even two networks that differ in
# their seed alone disagree on many test signals: a yardstick for what decay changes.

# %%
signals, lams1d = load("mnist1d"), [0, 0.001, 0.01, 0.1, 1]
few = split(signals.X, signals.y, train=np.arange(500), test=np.arange(500, len(signals.y)))
data1d = {"X": few.train.X, "y": few.train.y, "test": few.test}
runs1d = {norm: learn(norm, lams1d, data=data1d, widths=(40, 48, 10)) for norm in norms}
final1d = {norm: run.train_loss.values[..., -1] for norm, run in runs1d.items()}
times1d = {norm: loss / loss[:, :1] for norm, loss in final1d.items()}  # over that at λ = 0
accuracy1d = {norm: run.test_accuracy.values[..., -1].mean(0) for norm, run in runs1d.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6.4, 3.4))
against_decay(ax, lams1d, times1d)
ax.axhline(1, color=figures.GREY, ls=":", lw=1, label="_as without decay")
ax.set(ylabel="training loss / that at λ = 0")
ax.legend()
ax.set_title("MNIST-1D: alike up to λ = 0.1, but at λ = 1 all lose")
curves = figures.drawn(ax)
middle, end = ({name: curves[name].at(lam) for name in names.values()} for lam in (0.1, 1))
figures.show(fig, "Training loss on MNIST-1D over that without decay, against λ, five seeds each. "
             f"At λ = 0.1 the plain network is at {middle['plain']:.2f}, batch norm at "
             f"{middle['batch norm']:.2f}, layer norm at {middle['layer norm']:.2f}, weight norm "
             f"at {middle['weight norm']:.2f}. At λ = 1 they are at {end['plain']:.2f}, "
             f"{end['batch norm']:.2f}, {end['layer norm']:.2f}, {end['weight norm']:.2f}.",
             number="7.2", caption="Small dots are five seeds, each compared with its own run "
             "without decay; lines join their means.")

# %%
for norm in norms:
    name = f"{norm} norm" if norm else "plain"
    outputs = [scores_of(runs1d[norm], norm, k, few.train.X, data1d) for k in range(5)]
    learnt = np.array([loss_of(each, few.train.y) for each in outputs])
    claim("07-again", f"MNIST-1D, {name}: the curve that is drawn, computed again",
          measured=curves[name].y - (learnt / learnt[0]).mean(1), equals=0, within=1e-9)
    guessed = classes(runs1d[norm], norm, 3, data1d) == few.test.y
    claim("07-again", f"MNIST-1D, {name}, λ = 0.1: the accuracy, too", equals=0, within=1e-9,
          measured=accuracy1d[norm][3] - guessed.mean())
claim("07-again", "the dotted line is where the curves begin", equals=0, within=1e-9,
      measured=[curves["_as without decay"].y - curves[name].y[0] for name in names.values()])

# %%
fits = np.array([times1d[norm][:, 3] for norm in norms])  # network, seed
claim("S1-01", "MNIST-1D, plain, λ = 0.1: training loss over that at λ = 0, mean of five seeds",
      measured=fits[0].mean(), between=(1.15, 1.32))
claim("S1-01", "MNIST-1D, with a norm, λ = 0.1: below 1 in {} of 15 runs",
      measured=(fits[1:] < 1).sum(), equals=15)
claim("S1-01", "… {:.2f}, mean of five seeds, nearest to 1 of three norms",
      measured=fits[1:].mean(1), between=(0.6, 0.98))

# %%
gain = np.array([accuracy1d[norm][3] / accuracy1d[norm][0] for norm in norms])
claim("S1-01", "MNIST-1D, λ = 0.1: mean test accuracy of the 15 runs with a norm, over that at 0",
      measured=gain[1:].mean(), between=(1, 1.12))
claim("S1-01", "… the plain network's", measured=gain[0], between=(0.93, 1.03))

# %%
free = {norm: classes(runs1d[norm], norm, 0, data1d) for norm in norms}
by_seed = {norm: (free[norm] != np.roll(free[norm], 1, axis=0)).mean() for norm in norms}
claim("S1-01", "MNIST-1D, plain, no decay: share of test signals on which two seeds disagree",
      measured=by_seed[None], between=(0.28, 0.38))
for norm in norms[1:]:
    claim("S1-01", f"MNIST-1D, {norm} norm: answers changed by λ = 0.1, over those by another seed",
          measured=changed(runs1d[norm], norm, 3, data1d).mean() / by_seed[norm],
          between=(0.5, 0.95))
    claim("07-again", f"MNIST-1D, {norm} norm: these, from the classes at λ = 0.1 and λ = 0",
          measured=changed(runs1d[norm], norm, 3, data1d)
          - (classes(runs1d[norm], norm, 3, data1d) != free[norm]).mean(1),
          equals=0, within=1e-12)

# %%
claim("S1-01", "MNIST-1D, λ = 1: training loss above that at λ = 0 in {} of 20 runs, norm or not",
      measured=sum((times1d[norm][:, 4] > 1).sum() for norm in norms), equals=20)
claim("S1-01", "… by a factor of {:.2f}, weight norm's least of five",
      measured=times1d["weight"][:, 4], between=(1, 1.15))

# %% [markdown]
# The plain network does what chapters 1 to 6 lead you to expect. The others at first fit *better*, and only at large λ
# do they fit worse. Three questions, then: why does decay not hurt, why does it help, and what happens at the right
# end?
#
# ## 7.2 Three lines
#
# A unit computes $z_i = w^\top x_i + b$ on the examples $i$ of a batch. Let $m$ be the mean and $v$ the variance of
# these numbers. Batch norm hands on
#
# $$\mathrm{BN}(z)_i = \gamma\,\frac{z_i - m}{\sqrt{v+\varepsilon}} + \beta. \tag{7.1}$$
#
# 1. A bias $b$ moves $z_i$ and $m$ by the same amount. It has no effect at all.
# 2. Multiply $w$ by $\alpha > 0$. Then $z - m$ becomes $\alpha(z-m)$, and $v$ becomes $\alpha^2v$.
# 3. Divide numerator and denominator by α:
#
# $$\mathrm{BN}_\varepsilon(\alpha w) = \mathrm{BN}_{\varepsilon/\alpha^2}(w). \tag{7.2}$$
#
# So scaling a unit's weights is the same as changing ε, and with $\varepsilon = 0$ it is nothing: the output, and every
# loss computed from it, is *scale-invariant*, $L(\alpha w) = L(w)$. This holds for each unit with an α of its own,
# since each has its own $m$ and $v$. In code, with {{below: len(W)}} units and {{below: len(images)}} digits:

# %%
images, labels = (torch.tensor(part[:100]) for part in parts.train)
rng = claims.rng()
W, V = (torch.tensor(rng.standard_normal(shape)) / 8 for shape in ((16, 64), (10, 16)))
bias, gamma = torch.tensor(rng.standard_normal(16)), torch.tensor(rng.uniform(0.5, 1.5, 16))
beta = torch.tensor(rng.uniform(-0.3, 0.3, 16))


# %%
def normalise(z, eps, axis):
    centred = z - z.mean(axis, keepdim=True)
    return centred / (centred.square().mean(axis, keepdim=True) + eps).sqrt()


def scores(W, norm="batch", eps=1e-30, bias=bias, gamma=gamma):
    z = images @ W.T + bias  # examples × units
    if norm:
        z = gamma * normalise(z, eps, {"batch": 0, "layer": 1}[norm]) + beta
    return z.relu() @ V.T


# %%
def loss(W, **options):
    return nn.functional.cross_entropy(scores(W, **options), labels)


def change(before, after):
    """Largest change of a score, over the largest score."""
    return (after - before).abs().max() / before.abs().max()


assert change(torch.tensor([1.0, -4.0]), torch.tensor([3.0, -12.0])) == 2  # 8 over 4


# %%
z = images @ W.T + bias
torchs = {0: nn.functional.batch_norm(z, None, None, training=True, eps=0.1),
          1: nn.functional.layer_norm(z, (16,), eps=0.1)}
for axis, name in ((0, "batch"), (1, "layer")):
    claim("07-library", f"these two lines of code and torch's {name} norm: difference",
          measured=change(normalise(z, 0.1, axis), torchs[axis]), below=1e-9)

# %%
each = torch.tensor(10 ** rng.uniform(-1, 1, (16, 1)))  # a factor for each unit, from 0.1 to 10
assert len(each.unique()) == len(W)
claim("S1-04", "batch norm: each unit's weights times a factor of its own, change of the scores",
      measured=change(scores(W), scores(each * W)), below=1e-9)

# %%
claim("07-epsilon", "(7.2): weights times 0.1, or ε times 100, difference of the scores",
      measured=change(scores(0.1 * W, eps=1e-3), scores(W, eps=0.1)), below=1e-9)

# %% [markdown]
# **Layer norm** takes $m$ and $v$ over the units of one example. Step 2 now needs all $z$ of the layer to be
# multiplied by the same α: the layer as a whole is scale-invariant, a single unit is not. And step 1 fails: biases
# differ from unit to unit, so the mean does not remove them. A bias has a size of its own beside $Wx$; only $(W, b)$
# together can be scaled.

# %%
before = scores(W, norm="layer", bias=0.0)
claim("S1-04", "layer norm without bias: the layer times 10, change of the scores",
      measured=change(before, scores(10 * W, norm="layer", bias=0.0)), below=1e-9)
claim("S1-04", "… each unit times its own factor",
      measured=change(before, scores(each * W, norm="layer", bias=0.0)), above=0.01)

# %%
claim("07-bias", "layer norm with a bias: the weights times 10",
      measured=change(scores(W, norm="layer"), scores(10 * W, norm="layer")), above=0.01)
claim("07-bias", "… weights and bias times 10", below=1e-9,
      measured=change(scores(W, norm="layer"), scores(10 * W, norm="layer", bias=10 * bias)))
claim("07-bias", "batch norm: bias times 10", below=1e-9,
      measured=change(scores(W), scores(W, bias=10 * bias)))

# %% [markdown]
# **Weight norm** looks at no data. It writes a unit's weights as $w = g\,v/\lVert v\rVert$. The length of $v$ cancels,
# unit by unit, and the length of $w$ is $|g|$. So the function is scale-invariant in $v$, and not in $g$. It was $v$
# that decayed in section 7.1. In `torch.nn.utils.parametrizations.weight_norm` they are called `original1` and `original0`:

# %%
torch.manual_seed(seeds(1)[0])
layer = nn.utils.parametrizations.weight_norm(nn.Linear(64, 16)).double()
g, v = (layer.parametrizations.weight.original0, layer.parametrizations.weight.original1)
before = layer(images).detach()
v.data *= each
after_v = layer(images).detach()
g.data *= 3

# %%
claim("S1-04", "weight norm: each v times a factor of its own, change of the outputs",
      measured=change(before, after_v), below=1e-9)
claim("S1-04", "… g times 3", measured=change(before, layer(images)), above=0.1)
claim("S1-04", "… the outputs without bias are 3 times as large: difference", below=1e-9,
      measured=change(3 * (before - layer.bias), layer(images) - layer.bias))

# %% [markdown]
# ## 7.3 What breaks it
#
# **Frozen statistics.** In evaluation mode PyTorch's batch norm uses stored $m$ and $v$. They are constants, the layer
# is affine in $w$, and α acts in full, until the statistics are taken again.

# %%
net = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16, eps=1e-30, momentum=1.0), nn.ReLU(),
                    nn.Linear(16, 10)).double()
trained = net(images).detach()
frozen = net.eval()(images).detach()
net[0].weight.data *= 3
stale = net(images).detach()

# %%
claim("S1-04", "BatchNorm1d, evaluation mode, weights times 3: change of the outputs",
      measured=change(frozen, stale), above=0.5)
claim("S1-04", "… training mode: the same outputs as before",
      measured=change(trained, net.train()(images)), below=1e-9)
claim("07-frozen", "… evaluation mode with the statistics that this pass has stored",
      measured=change(frozen, net.eval()(images)), below=1e-9)

# %% [markdown]
# **A negative α.** Step 3 divides by $\sqrt{\alpha^2} = |\alpha|$, so that $\mathrm{BN}(-w)$ is
# $-\gamma\frac{z-m}{\sqrt v}+\beta$. The sign has moved to γ. Without an affine part a linear next layer could absorb
# it; a ReLU cuts off the other half of the unit's values, and the function is another one. What holds is
# $L(-w, -\gamma) = L(w, \gamma)$.

# %%
claim("S1-04", "α = −1: change of the scores", measured=change(scores(W), scores(-W)), above=0.1)
claim("07-sign", "… and γ times −1 as well",
      measured=change(scores(W), scores(-W, gamma=-gamma)), below=1e-9)

# %% [markdown]
# **ε.** Differentiate (7.2), read as $L(\alpha w;\varepsilon) = L(w;\varepsilon/\alpha^2)$, with respect to α at
# $\alpha = 1$:
#
# $$\langle\nabla_wL, w\rangle = -2\varepsilon\,\frac{\partial L}{\partial\varepsilon}. \tag{7.3}$$
#
# Give each unit an ε of its own, and this holds unit by unit. The slope along $w$ is proportional to ε while ε is small
# beside $v$. By (7.2) weights that are $c$ times smaller feel an ε that is $c^2$ times larger. PyTorch's default is
# $10^{-5}$. It does not take 0 in training, but in float64 $10^{-30}$ is as good.

# %%
try:
    nn.BatchNorm1d(16, eps=0.0)(images[:, :16].float())
except ValueError as error:
    print(error)


# %%
def slope_along_w(scale, eps):
    """Per unit, ⟨∇L, w⟩ and -2ε ∂L/∂ε, both over ‖∇L‖‖w‖."""
    w, eps = (scale * W).requires_grad_(), torch.full((16,), eps, dtype=torch.float64)
    eps.requires_grad_()
    gradient, by_eps = torch.autograd.grad(loss(w, eps=eps), (w, eps))
    size = gradient.norm(dim=1) * w.norm(dim=1)
    return ((gradient * w).sum(1) / size).detach(), (-2 * eps * by_eps / size).detach()


# %%
powers = [-3, -5, -8, -12, -16, -20, -25, -30]
found = {scale: [slope_along_w(scale, 10.0**k) for k in powers] for scale in (1, 0.1)}
cosine = {scale: [c.abs().max().item() for c, _ in rows] for scale, rows in found.items()}
theory = {scale: [t.abs().max().item() for _, t in rows] for scale, rows in found.items()}

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for scale, name, color in ((0.1, "weights / 10", figures.ORANGE), (1, "weights", figures.BLUE)):
    ax.loglog([10.0**k for k in powers], theory[scale], color=color, label=f"_{name}, (7.3)")
    ax.loglog([10.0**k for k in powers], np.maximum(cosine[scale], 1e-19), "o", color=color,
              label=f"_{name}", gid="rounding")  # which differs from one machine to the next
dots = figures.drawn(ax)
ax.text(1e-12, dots["_weights / 10, (7.3)"].at(1e-12) * 20, "weights / 10", color=figures.ORANGE,
        ha="right")
ax.text(4e-12, dots["_weights, (7.3)"].at(1e-12) / 10, "weights", color=figures.BLUE)
band = ax.axhspan(1e-19, 1e-14, color=figures.GREY, alpha=0.15, lw=0)
ax.text(2e-4, 3e-17, "rounding", color=figures.GREY, ha="right", va="center")
ax.set(xlabel="ε of batch norm", ylabel="|cosine of weights and gradient|", ylim=(1e-19, 1))
ax.set_title("ε leaves a slope along w, in proportion to ε")
at5 = [dots[name].at(1e-5) for name in ("_weights", "_weights / 10")]
figures.show(fig, "Largest cosine of a unit's weights and gradient against ε from 1e-30 to 1e-3, "
             "both logarithmic. Dots lie on the lines of (7.3), of slope one for small ε, until "
             f"they end in a grey band of rounding below {band.get_y() + band.get_height():.0e}. "
             f"At 1e-5 the cosine is {at5[0]:.0e}; for weights / 10 it is {at5[1]:.0e}, "
             f"{at5[1] / at5[0]:.0f} times that.", number="7.3",
             caption="Dots are measured, lines are formula (7.3), each the largest of 16 units.")


# %%
def gradient(W, **options):
    W = W.clone().requires_grad_()
    return torch.autograd.grad(loss(W, **options), W)[0]


def largest_cosine(W, eps):
    """Of weights and gradient, over the units."""
    return nn.functional.cosine_similarity(gradient(W, eps=eps), W).abs().max().item()


# %%
on_line, in_band, top = 0, 0, band.get_y() + band.get_height()
for name, w in (("weights", W), ("weights / 10", 0.1 * W)):
    dot, line = dots[f"_{name}"], dots[f"_{name}, (7.3)"]
    on_line += (np.abs(dot.y / line.y - 1)[line.y > top] < 0.2).sum()
    in_band += (dot.y[-3:] < top).sum()
    claim("07-slope", f"{name}: the dots that are drawn, computed again for one ε of all units",
          measured=[dot.at(eps) - largest_cosine(w, eps) for eps in (1e-3, 1e-5)],
          equals=0, within=1e-9)

# %%
claim("07-slope", "{} dots whose line is above the grey band lie on it, to 20 %",
      measured=on_line, equals=9)
claim("07-slope", "at ε = 10⁻²⁰ and less all {} dots lie in the band", measured=in_band, equals=6)

# %%
claim("S1-04", "cosine of weights and gradient at ε = 10⁻³ over that at 10⁻⁵",
      measured=cosine[1][0] / cosine[1][1], equals=100, within=15)
claim("S1-04", "… at ε = 10⁻³⁰, largest of 16 units", measured=cosine[1][-1], below=1e-12)

# %%
claim("07-slope", "(7.3), unit by unit: largest error over all ε and both sizes", below=1e-9,
      measured=[(c - t).abs().max() for rows in found.values() for c, t in rows])
claim("07-slope", "(7.2): cosines of weights / 10 at ε = 10⁻⁵ and of weights at 10⁻³, difference",
      measured=cosine[0.1][1] - cosine[1][0], equals=0, within=1e-9)

# %% [markdown]
# ## 7.4 Two identities
#
# Let $\varepsilon = 0$ from here on. Differentiate $L(\alpha w) = L(w)$
#
# - with respect to α, at $\alpha = 1$: $\langle\nabla L(w), w\rangle = 0$. The gradient is perpendicular to the weights
#   (Euler's theorem for degree 0).
# - with respect to $w$: $\alpha\nabla L(\alpha w) = \nabla L(w)$. Weights twice as large have half the gradient.
#
# $$\langle\nabla L(w), w\rangle = 0,\qquad \nabla L(\alpha w) = \frac1\alpha\nabla L(w). \tag{7.4}$$
#
# Both hold for whatever is scaled alone: per unit under batch norm, for the whole layer under layer norm.

# %%
G, G_layer = gradient(W), gradient(W, norm="layer", bias=0.0)
per_unit, per_unit_layer = (G * W).sum(1), (G_layer * W).sum(1)
claim("07-euler", "batch norm: ⟨gradient, weights⟩ is zero, to 10⁻¹², for {} of 16 units",
      measured=(per_unit.abs() < 1e-12).sum(), equals=16)
claim("07-euler", "layer norm: of the whole layer", measured=abs(per_unit_layer.sum()), below=1e-12)
claim("07-euler", "… not of its units: it is zero for {} of 16 with a gradient",
      measured=(per_unit_layer[G_layer.norm(dim=1) > 0].abs() < 1e-9).sum(), equals=0)
claim("07-degree", "weights times 3: 3 times the new gradient against the old one",
      measured=change(G, 3 * gradient(3 * W)), below=1e-9)

# %% [markdown]
# The engine of this book takes $\varepsilon = 0$ and records the cosine:

# %%
options = {"loss": "cross_entropy", "lr": 0.1, "seeds": seeds(1), "steps": 3}
exact = sweep(MLP((64, 16, 10), norm="batch", eps=0.0), *parts.train, **options)
claim("07-engine", "l2lib's MLP, ε = 0, three steps: cosine of the layer's weights and gradient",
      measured=np.abs(exact.cosine.values[:, 0]), below=1e-12)
claim("07-engine", "… of the output layer, which no norm follows: above 10⁻⁶ in all {} records",
      measured=(np.abs(exact.cosine.values[0, 1]) > 1e-6).sum(), equals=4)

# %% [markdown]
# A unit with two inputs can be drawn. Its loss is constant along every ray from the origin, so the steepest way down
# goes round, never in or out:

# %%
def cloud(rng):
    """Sixty examples of two inputs, and on which side of a line each lies, as 1 or -1."""
    points = torch.tensor(rng.standard_normal((60, 2)) @ np.array([[1.2, 0.3], [0, 0.9]]))
    return points, torch.sign(points @ torch.tensor([0.5, 1.0], dtype=torch.float64))


drawn_from = cloud(claims.rng())


def plane_loss(w, epsilon=0.0, examples=drawn_from):
    """Logistic loss of one normalised unit, for weights of shape (…, 2)."""
    points, sides = examples
    z = normalise(w @ points.T, epsilon, -1)
    return nn.functional.softplus(-sides * z).mean(-1)


# %% [markdown]
# In a JupyterLab opened by `make lab` move the dials. A circle half as large has arrows twice as long; and ε spoils the
# rays, from the inside outwards. Where the fit is good the arrows then lean out, where it is bad they lean in.

# %%
span = torch.linspace(-2.5, 2.5, 160, dtype=torch.float64)
plane = torch.stack(torch.meshgrid(span, span, indexing="xy"), -1)
turn = torch.linspace(0, 2 * torch.pi, 13, dtype=torch.float64)[:-1]


def downhill(r, epsilon=0.0, examples=drawn_from):
    """Twelve points on the circle of radius r, and the way of steepest descent at each."""
    w = (r * torch.stack([turn.cos(), turn.sin()], -1)).requires_grad_()
    return w.detach(), -torch.autograd.grad(plane_loss(w, epsilon, examples).sum(), w)[0]


# %% tags=["hide-input"]
def draw_plane(ax, radius, epsilon):
    """Loss in colours, arrows on two circles; returns colours and, by circle, points and arrows."""
    colours = ax.contourf(span, span, plane_loss(plane, epsilon), 20, cmap="Blues_r")
    quivers = []
    for r in (radius, 2 * radius):
        w, arrows = downhill(r, epsilon)
        quivers.append(ax.quiver(*w.T, *arrows.T, color=figures.ORANGE, angles="xy",
                                 scale_units="xy", scale=1, width=0.006))
        ax.add_patch(plt.Circle((0, 0), r, fill=False, ls=":", color=figures.GREY))
    ax.set(xlabel="weight of the first input", ylabel="weight of the second input", aspect="equal")
    ax.grid(visible=False)
    return colours, [(torch.tensor(q.XY), torch.tensor(np.stack([q.U, q.V], 1))) for q in quivers]


# %% tags=["hide-input"]
def draw(radius, epsilon):
    fig, ax = figures.subplots(figsize=(5.6, 4.6))
    colours, drawn = draw_plane(ax, radius, epsilon)
    fig.colorbar(colours, ax=ax, label="loss (nat)")
    ax.set_title("With ε, down is also out, or in" if epsilon else "Down is round, never in or out")
    out = sum(int(((w * arrows).sum(1) > 0).sum()) for w, arrows in drawn)
    n = sum(len(w) for w, _ in drawn)
    seen = (f"{out} arrows lean outwards, the others inwards" if epsilon else "The loss is "
            "constant along every ray from the origin. All arrows are tangent to the circles; "
            "those on the inner one are twice as long")
    return fig, ("The plane of two weights coloured by the loss of a normalised unit, for ε = "
                 f"{epsilon:g}. {n} arrows of steepest descent on circles of radius {radius:g} and "
                 f"{2 * radius:g}. {seen}.")


# %%
figures.interactive(draw, radius=[0.75, 0.5, 1.0, 1.2], epsilon=[0.0, 0.01, 0.1, 1.0],
                    number="7.4", caption="Arrows point the way of steepest descent, from twelve "
                    "points on each of two dotted circles.")

# %%
fig, ax = plt.subplots()
colours, ((w, inner), (w_outer, outer)) = draw_plane(ax, 0.75, 0.0)
plt.close(fig)
edges = torch.tensor(colours.levels)
shown = colours.levels[np.digitize(plane_loss(w), colours.levels) - 1]

# %%
claim("07-plane", "the picture's {} inner arrows", measured=len(w), equals=12)
claim("07-plane", "all arrows: outward part, largest", below=1e-12,
      measured=[(inner * w).sum(1).abs().max(), (outer * w_outer).sum(1).abs().max()])
claim("07-plane", "inner arrows against twice the outer ones: change",
      measured=change(inner, 2 * outer), below=1e-12)
claim("07-plane", "the circles' radii, 0.75 and 1.5", equals=0, within=1e-9,
      measured=[w.norm(dim=1) - 0.75, w_outer.norm(dim=1) - 1.5])

# %%
claim("07-plane", "the loss twice as far out on every ray of the plane: change",
      measured=change(plane_loss(plane), plane_loss(2 * plane)), below=1e-12)
tiny = 1e-6 * inner
claim("07-plane", "steps of 10⁻⁶ along the arrows: fall of the loss over 10⁻⁶ minus length squared",
      measured=(plane_loss(w - tiny) - plane_loss(w + tiny)) / 2e-6 - inner.square().sum(1),
      equals=0, within=1e-8)

# %%
leans = []  # of the arrows where the loss is least and where it is largest, of other examples
for seed in seeds(20):
    examples = cloud(np.random.default_rng([seed, 7]))
    w, arrows = downhill(0.75, epsilon=0.1, examples=examples)
    lean, height = (w * arrows).sum(1) / 0.75, plane_loss(w, examples=examples)
    leans.append([lean[height.argmin()], lean[height.argmax()]])
best, worst = np.transpose(leans)

# %%
claim("07-plane", "ε = 0.1: outward part of the arrow where the loss is least, mean of 20 planes",
      measured=best.mean(), between=(0.02, 0.04))
claim("07-plane", "… where it is largest", measured=worst.mean(), between=(-0.12, -0.06))
claim("07-plane", "… the first leans out and the second in, in {} planes of 20", equals=20,
      measured=((best > 0) & (worst < 0)).sum())

# %% [markdown]
# ## 7.5 A penalty without a minimum
#
# Let $L(w,\theta)$ be scale-invariant in $w\ne0$, θ being all other parameters, $\lambda>0$ and
# $F = L + \frac\lambda2\lVert w\rVert^2$.
#
# **The infimum of $F$ is the infimum of $L$.** $F\ge L$. And at any point
# $F(\alpha w,\theta) = L(w,\theta)+\frac\lambda2\alpha^2\lVert w\rVert^2$, which comes as near to $L(w,\theta)$ as you
# like as α falls. ∎
#
# **It is never attained; $F$ has not even a stationary point.** By (7.4)
#
# $$\langle\nabla F, w\rangle = \lambda\lVert w\rVert^2 > 0. \qquad∎ \tag{7.5}$$
#
# The same for other penalised parameters: leave their penalty in $L$. So the penalty singles out no function. Its pull
# $-\lambda w$ points along the ray, on which the function is constant: one step of decay shortens the weights of a
# normalised layer and moves no output. In a plain layer it moves them all at once.

# %%
shrunk = 0.99 * W  # a step of decay with ηλ = 0.01
claim("S1-01", "loss plus penalty at W/10⁶, minus the loss at W (λ = 1)",
      measured=loss(1e-6 * W) + (1e-6 * W).square().sum() / 2 - loss(W), equals=0, within=1e-8)
claim("07-pull", "one step of decay, batch norm: change of the scores",
      measured=change(scores(W), scores(shrunk)), below=1e-9)
claim("07-pull", "… the penalty becomes smaller by the factor 0.99²", equals=0.99**2, within=1e-9,
      measured=shrunk.square().sum() / W.square().sum())
claim("07-pull", "… plain, without biases: change of the scores", equals=0.01, within=1e-9,
      measured=change(scores(W, norm=None, bias=0.0), scores(shrunk, norm=None, bias=0.0)))

# %% [markdown]
# Does ε rescue the penalty? With a free γ it does not, as long as a batch is all there is. In (7.1) shrunken weights
# and ε only make $\frac{z-m}{\sqrt{v+\varepsilon}}$ smaller by a factor that is the same for all examples. A larger γ
# makes up for it exactly:
#
# $$L(\alpha w,\gamma';\varepsilon) = L(w,\gamma;\varepsilon),\qquad
# \gamma' = \gamma\sqrt{\frac{v+\varepsilon/\alpha^2}{v+\varepsilon}}. \tag{7.6}$$
#
# With minibatches $v$ differs from batch to batch, under layer norm from example to example; there (7.6) holds only
# nearly. So on one batch, with a free γ, the infimum adds nothing at any ε. With a fixed γ, ε sets a price, a small one
# (exercise 4).

# %%
variance = (images @ W.T).var(0, correction=0)
larger = gamma * ((variance + 1e-3 * 100) / (variance + 1e-3)).sqrt()
claim("07-gamma", "ε = 10⁻³, weights times 0.1: change of the scores",
      measured=change(scores(W, eps=1e-3), scores(0.1 * W, eps=1e-3)), above=0.05)
claim("07-gamma", "… and γ by (7.6)", below=1e-9,
      measured=change(scores(W, eps=1e-3), scores(0.1 * W, eps=1e-3, gamma=larger)))

# %% [markdown]
# ## 7.6 Is it the objective? A fair comparison
#
# Careful: the puzzle's plain network has a loophole, too. Only its hidden weights decay. Divide them and their biases
# by 10 and multiply the free last layer by 10: the same function at {{0.1**2:.2f}} times the penalty, as in
# [chapter 5](05_size_normalisation.ipynb). Its infimum adds nothing either!

# %%
plain = {name: torch.tensor(runs[None][name].values[0, [0]]) for name in
         ("weight0", "bias0", "weight1", "bias1")}
model, inputs = MLP((64, 32, 10)), torch.tensor(parts.test.X)[None]
factor = {"weight0": 0.1, "bias0": 0.1, "weight1": 10.0, "bias1": 1.0}
cheaper = {name: factor[name] * p for name, p in plain.items()}
claim("07-fair", "trained plain network, hidden layer over 10, last layer times 10: change",
      measured=change(model(plain, inputs), model(cheaper, inputs)), below=1e-9)
claim("07-fair", "… penalty of the hidden weights, times", equals=0.01, within=1e-9,
      measured=cheaper["weight0"].square().sum() / plain["weight0"].square().sum())
known = scores_of(runs[None], None, 0, parts.test.X)[0]
claim("07-fair", "… and before these were the scores of the puzzle's network: difference",
      measured=model(plain, inputs)[0].T.numpy() - known, equals=0, within=1e-9)

# %% [markdown]
# So the objective alone does not tell the two apart. What does is how the penalty acts. In the plain network every step
# of decay weakens the function, and the last layer would have to grow to make up for it. At large λ it does not: the
# hidden weights shrink towards $-\nabla L/\lambda$, what the hidden units say about the input fades, and with it the
# gradient of the last layer, which stays smaller than without decay. Shrinking a scale-invariant weight weakens
# nothing, and by (7.4) its gradient *grows*.

# %%
lengths = runs[None].norm.values[..., -1]  # seed, λ, layer
for layer, name, room in ((0, "hidden weights", (0.03, 0.13)), (1, "last layer", (0.3, 0.75))):
    claim("07-fade", f"plain, λ = 1: norm of the {name} over that at λ = 0, mean of five",
          measured=(lengths[:, 5, layer] / lengths[:, 0, layer]).mean(), between=room)
claim("07-fade", "… both norms are those of the weights: difference", equals=0, within=1e-9,
      measured=[lengths[0, 5, layer] - np.linalg.norm(runs[None][f"weight{layer}"].values[0, 5])
                for layer in (0, 1)])

# %% [markdown]
# For a plain network with a true price let both layers decay. Then by (5.5) every unit pays λ times the product of its
# two lengths, and the loss rises sooner.

# %%
both = learn(None, lams=[0, 0.1], decayed=("weight",)).train_loss.values[..., -1]
claim("07-both", "plain, both layers decay, λ = 0.1: training loss over that at 0, mean of five",
      measured=(both[:, 1] / both[:, 0]).mean(), between=(3.4, 6.2))
claim("07-both", "… over the same factor where the hidden weights alone decay, mean of five",
      measured=(both[:, 1] / both[:, 0] / times(None, 0.1)).mean(), between=(1.7, 2.8))

# %% [markdown]
# ## 7.7 But the dynamics change
#
# Decay shortens the weights. Shorter weights have longer gradients, by (7.4), and a step of the same length turns them
# further. So the angle of a step is proportional to $\eta/\lVert w\rVert^2$, the *effective learning rate*. It explains
# why the curves of section 7.1 first go *down*: these runs were short, and decay made them faster. (Chapter 8 shows that under
# SGD decay before a norm *is* a rising learning rate.) Halfway through:

# %%
speed = {norm: runs[norm].effective_lr.values[:, :, 0, 1] for norm in norms[1:]}  # seed, λ
for norm, room in (("batch", (6, 22)), ("layer", (5, 20)), ("weight", (16, 34))):
    claim("07-faster", f"{norm} norm, λ = 0.3: effective learning rate over that at 0, mean",
          measured=(speed[norm][:, 4] / speed[norm][:, 0]).mean(), between=room)
for norm in norms[1:]:
    claim("07-faster", f"{norm} norm, halfway: the rate is 0.1 over the squared norm, change",
          measured=speed[norm] * runs[norm].norm.values[:, :, 0, 1] ** 2, equals=0.1, within=1e-9)
    claim("07-faster", f"{norm} norm, at the end: it has fallen to zero", equals=0, within=1e-9,
          measured=runs[norm].effective_lr.values[:, :, 0, -1])

# %% [markdown]
# And why do they go up at the right end? At $\lambda = 3$ a step multiplies the weights by $1-\eta\lambda =
# {{1 - 0.1 * 3:.1f}}$. After two steps only {{100 * (1 - 0.1 * 3) ** 2:.0f}} % of what they knew is left, and what two
# minibatches say has taken the place of the rest. It is the *product* ηλ that is too large, not λ. Take $\lambda = 3$
# and batch norm again, with $\eta = 0.025$, and {{1600 / 400:.0f}} times as many steps:

# %%
patient = learn("batch", lams=[0, 3], lr=0.025, steps=1600)
slow = patient.train_loss.values[..., -1]

# %%
for norm, room in (("layer", (2, 4.6)), ("batch", (1.1, 2.2))):
    claim("07-noise", f"{norm} norm, λ = 3, η = 0.1: loss over that at λ = 0, mean of five",
          measured=times(norm, 3).mean(), between=room)
claim("07-noise", "batch norm, η = 0.025 and 1600 steps: loss below that at λ = 0 in {} of 5 runs",
      measured=(slow[:, 1] < slow[:, 0]).sum(), equals=5)
claim("07-noise", "… these took {} times as many steps as the others", equals=4, within=1e-9,
      measured=patient.step.values[-1] / runs["batch"].step.values[-1])
claim("07-noise", "… over that at λ = 0, mean of five seeds",
      measured=(slow[:, 1] / slow[:, 0]).mean(), between=(0.6, 0.9))

# %% [markdown]
# Batch norm is below its loss without decay again, at a λ that the plain network does not survive. Beyond
# $\eta\lambda = 2$ decay itself diverges, as [chapter 2](02_from_penalty_to_weight_decay.ipynb) says.
#
# Chapter 8 turns all this into numbers: where the norm settles, and how far a step turns the weights.
#
# ## 7.8 Which parameters are scale-invariant?
#
# In a real model, with skips, shared tensors and norms in odd places, a proof for each tensor is tedious. By (7.4) a
# program can tell. Multiply every tensor $p_i$ by $\alpha^{k_i}$: at $\alpha = 1$ the loss changes at the rate
#
# $$\sum_i k_i s_i,\qquad s_i = \langle\nabla_{p_i}L, p_i\rangle. \tag{7.7}$$
#
# A combination that is zero *everywhere* is an invariance, for finite α too.
#
# 1. Draw points at random near the model's parameters, and collect $s_i$ at each. It takes one backward pass.
# 2. A tensor whose $s_i$ vanishes at all points is invariant; if already each row's part of it does, each unit is. A
#    tensor without gradient has no effect.
# 3. Of the others, numbers $k$ with $\sum_ik_is_i = 0$ at all points are *joint* invariances. They are the null space
#    of the matrix of all $s$, one row a point. There are more points than tensors, so none appears by accident.
#
# By hand, for a residual block as in a transformer: a norm before the branch, none on the skip.


# %%
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(64, 8, bias=False)
        self.norm = nn.LayerNorm(8, elementwise_affine=False, eps=1e-30)
        self.up, self.down = nn.Linear(8, 16, bias=False), nn.Linear(16, 8, bias=False)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        stream = self.embed(x)
        stream = stream + self.down(nn.functional.gelu(self.up(self.norm(stream))))
        return self.head(self.norm(stream))


def model_loss(model):
    return nn.functional.cross_entropy(model(images), labels)


# %%
torch.manual_seed(seeds(1)[0])
block = Residual().double()
slopes = []
for _ in range(10):
    for p in block.parameters():
        p.data += 0.1 * torch.randn_like(p)
    gradients = torch.autograd.grad(model_loss(block), [*block.parameters()])
    pairs = zip(gradients, block.parameters(), strict=True)
    slopes.append([(g * p).sum().item() for g, p in pairs])
assert len(slopes) > len(slopes[0])  # more points than tensors

# %%
_, strength, rows = np.linalg.svd(slopes)
powers = rows[-1] / rows[-1, 0]
for (name, _), power in zip(block.named_parameters(), powers, strict=True):
    print(f"{name:12} × α^{round(power, 3) + 0:g}")

# %%
claim("07-null", "residual block: least singular value of the matrix of slopes, over the next",
      measured=strength[-1] / strength[-2], below=1e-12)
claim("07-null", "its exponents: 1 for embed and down, 0 for the others; largest deviation",
      measured=np.abs(powers - [1, 0, 1, 0, 0]), below=1e-9)

# %% [markdown]
# One combination has vanished: everything that writes to the stream, `embed` and `down`, times the same α, for the last
# norm to remove. `l2lib.invariance` does this for any model, per tensor and per unit. It works on a copy in float64 and
# sets every ε to $10^{-30}$. Four small models of `torch.nn` first, then the block again. Norms begin with $\gamma = 1$
# and $\beta = 0$, where γ alone would seem to be invariant though only (γ, β) is; so the program moves every tensor.

# %%
square, relu = nn.Unflatten(1, (1, 8, 8)), nn.ReLU()
models = {
    "convolution + batch norm": nn.Sequential(
        square, nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), relu, nn.Flatten(), nn.Linear(144, 10)),
    "linear + layer norm": nn.Sequential(
        nn.Linear(64, 8), nn.LayerNorm(8), relu, nn.Linear(8, 10)),
    "weight norm": nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(64, 8)), relu, nn.Linear(8, 10)),
    "γ and β before a normalised layer": nn.Sequential(
        nn.Linear(64, 8), nn.BatchNorm1d(8), relu, nn.Linear(8, 8, bias=False),
        nn.LayerNorm(8, elementwise_affine=False), relu, nn.Linear(8, 10)),
    "residual block": block,
}

# %%
result = {title: scale_invariance(model, model_loss) for title, model in models.items()}
for title, found in result.items():
    print(f"--- {title}\n{found}")

# %% [markdown]
# Read it model by model. The bias before batch norm has no effect; before layer norm it can be scaled with the weights
# only, and a tensor without bias as a whole, not unit by unit. γ and β scale together, against the head that reads
# them, or freely if a normalised layer does: a ReLU lets one positive factor pass. In the residual block no tensor
# alone is invariant. `up` is not, as a GELU does not let a factor pass.
#
# Trust it? Scale by the powers it found, by a finite α, where it says so each unit by one of its own, and look at the
# loss:


# %%
def factor_on_loss(model, powers, alpha=3.0, each=False):
    """Loss after scaling (each: units by factors from 1 to α) over that before, with ε = 1e-30."""
    model, losses = copy.deepcopy(model).double(), []
    for module in model.modules():
        module.eps = 1e-30
    for p in model.parameters():  # away from γ = 1 and β = 0
        p.data += 0.1 * torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view(p.shape)
    for _ in range(2):
        losses.append(model_loss(model).item())
        for name, k in powers.items():
            p = model.get_parameter(name).data
            factors = torch.linspace(1 if each else alpha, alpha, len(p), dtype=p.dtype) ** k
            p.view(len(p), -1).mul_(factors[:, None])
    return losses[1] / losses[0]


# %%
said, kept = [], []
for title, found in result.items():
    model, kinds = models[title], found.alone.items()
    said += [abs(factor_on_loss(model, powers) - 1) for powers in found.together]
    said += [abs(factor_on_loss(model, {name: 1}, each=kind != "whole tensor") - 1)
             for name, kind in kinds if kind != "no"]
    kept += [max(abs(factor_on_loss(model, {name: 1}, alpha) - 1) for alpha in (0.1, 10))
             for name, kind in kinds if kind == "no"]

# %%
claim("07-tool", "all that the program found, factors up to 3: largest change of the loss",
      measured=said, below=1e-9)
moved = [abs(factor_on_loss(models[title], {name: 1}) - 1) for title, found in result.items()
         for name, kind in found.alone.items() if kind == "no"]
claim("07-tool", "the same factor of 3 on any other tensor: least change", measured=moved,
      above=1e-4)
claim("07-tool", "tensors that it calls not invariant alone, times 10 or 0.1: least change",
      measured=kept, above=1e-4)

# %%
kinds = [kind for found in result.values() for kind in found.alone.values()]
claim("07-tool", "{} tensors are invariant alone, each unit, in five models",
      measured=kinds.count("each unit"), equals=3)
claim("07-tool", "{} as a whole tensor", measured=kinds.count("whole tensor"), equals=1)
claim("07-tool", "{} have no effect: the biases before a batch norm",
      measured=kinds.count("no effect"), equals=2)
claim("07-tool", "{} findings were tried: these, and 6 together", measured=len(said), equals=12)
claim("07-tool", "… residual block: embed and down together, and no other", equals=1,
      measured=result["residual block"].together == [{"embed.weight": 1, "down.weight": 1}])

# %% [markdown]
# ## 7.9 The sources, line by line

# %%
verdict("S1-01", "under conditions",
        "True of the objective where S1-04 holds: the infimum over scales adds nothing, and is "
        "never attained. But decay changes the steps: in section 7.1 the training loss falls with "
        "λ at first, and rises when ηλ is no longer small.")
verdict("S1-04", "under conditions",
        "α > 0 and ε = 0; batch norm per unit, with statistics of the batch, whatever the bias; "
        "layer norm for the whole layer, with its bias; weight norm in v, not in g.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## 7.10 In practice
#
# **Take home.** Before a norm, λ is not a penalty but a dial of the learning rate: tune ηλ, and do not expect a simpler
# function from it. Ask `scale_invariance` which tensors this is true of; the others, such as the head, are regularised
# as ever.
#
# **Limits.** The loss was measured on two small sets, with one hidden layer and SGD. That decay helped the normalised
# networks is a remark on short training, not on their best. The joint invariances are those of scalings of whole
# tensors; there may be others, such as unit by unit across a ReLU. Why a last layer and γ together are regularised at
# all is for chapter 10.
#
# ## 7.11 Exercises
#
# **1.** A unit's weights are smaller than last week by a factor of $c=100$, with PyTorch's default ε. Which ε would have done the
# same to last week's weights? When does it matter?
#
# <details>
# <summary>Solution</summary>
#
# By (7.2) $10^{-5}/0.01^2 = {{1e-5 / 0.01**2:.1f}}$. It matters if $v$, the variance of last week's $z$, is not much larger.
#
# </details>
#
# **2.** Let $H$ be the Hessian of a scale-invariant loss. Show that $Hw = -\nabla L$ and that, wherever the gradient is
# not zero, $H$ has a negative eigenvalue. How does $H$ change when $w$ is multiplied by α?
#
# <details>
# <summary>Solution</summary>
#
# Differentiate $\nabla L(\alpha w) = \nabla L(w)/\alpha$ with respect to α at 1. So $w^\top Hw = -\langle w,\nabla
# L\rangle = 0$. If $H$ had no negative eigenvalue, $w^\top Hw = 0$ would imply $Hw = 0$. Hence the loss is not convex
# around any point with a gradient. And $H(\alpha w) = H(w)/\alpha^2$: decay also sharpens.
#
# </details>
#
# **3.** Follow gradient flow, $\dot w = -\nabla L-\lambda w$. What is $\lVert w\rVert$ at time $t$, and what has the
# loss to do with it?
#
# <details>
# <summary>Solution</summary>
#
# $\frac{d}{dt}\lVert w\rVert^2 = 2\langle w,\dot w\rangle = -2\lambda\lVert w\rVert^2$ by (7.5), so
# $\lVert w\rVert = e^{-\lambda t}\lVert w_0\rVert$. Nothing. In finite steps the gradient adds $\eta^2\lVert\nabla
# L\rVert^2$ to the square (chapter 8).
#
# </details>
#
# **4.** Fix γ. Let $u$ have norm 1 and $D = \partial L(u;\varepsilon)/\partial\varepsilon > 0$ at $\varepsilon = 0$.
# Minimise $L(ru;\varepsilon)+\frac\lambda2r^2$ over $r$, for small ε. What does the penalty cost?
#
# <details>
# <summary>Solution</summary>
#
# By (7.2) it is about $L(u;0)+D\varepsilon/r^2+\frac\lambda2r^2$, with the minimum at $r^4 = 2D\varepsilon/\lambda$.
# The price is $\sqrt{2\lambda\varepsilon D}$: with $\lambda = 10^{-3}$, $\varepsilon = 10^{-5}$ and $D = 1$ it is
# {{(2 * 1e-3 * 1e-5 * 1) ** 0.5:.5f}}.
#
# </details>
#
# **5.** (Open.) Replace `gelu` by `relu` in the residual block, and `nn.LayerNorm(8)` by `nn.GroupNorm(2, 8)` in the
# second model. Predict what `scale_invariance` finds, then run it. What of attention, with and without a norm on
# queries and keys?
#
# <details>
# <summary>A start</summary>
#
# `up` and `down` then scale against each other, as in chapter 5. A group norm is a layer norm of each group: the tensor
# as a whole still needs its bias. Queries and keys enter as a product: without a norm $W_Q$ and $W_K$ scale against
# each other.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 8 follows norm and angle through training.
#
# - [van Laarhoven (2017)](https://arxiv.org/abs/1706.05350): the claims of section 7.9.
# - [Ioffe and Szegedy (2015)](https://arxiv.org/abs/1502.03167): batch norm.
# - [Ba, Kiros and Hinton (2016)](https://arxiv.org/abs/1607.06450): layer norm.
# - [Salimans and Kingma (2016)](https://arxiv.org/abs/1602.07868): weight norm.
# - [Zhang, Wang, Xu and Grosse (2019)](https://arxiv.org/abs/1810.12281): what weight decay does instead.
# - [Li and Arora (2020)](https://arxiv.org/abs/1910.07454): scale invariance and the learning rate.
