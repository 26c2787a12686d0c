# %% [markdown]
# # 8 The effective learning rate
#
# Under a normalisation the size of a weight does not change the function. It changes how far the next step turns it.
# What sets that turn: the learning rate you asked for, the weight decay, or the initialisation? Afterwards you can
# compute a layer's turn per step before you train, say how long it takes to get there, and replace weight decay by a
# learning-rate schedule.
#
# *Reading time 25 minutes; the code runs in about 12 seconds.*

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.optim.sgd import sgd

from l2lib import claims, figures
from l2lib.claims import claim, seeds, verdict
from l2lib.datasets import load
from l2lib.sweep import MLP, sweep

# %% [markdown]
# ## 8.1 A puzzle: three learning rates, one speed
#
# We train a network with batch norm on handwritten digits, without weight decay, at the learning rates 0.1, 0.3 and 1.
# A matrix with norm $\lVert w\rVert$ that moves by $\eta\lVert g\rVert$ changes its *direction* in proportion to
# $\eta/\lVert w\rVert^2$, as section 8.2 shows. That is its *effective learning rate*. At the start they are in the
# proportion 1 to {{below: free.lr.values[1] / free.lr.values[0]:.0f}} to {{below: free.lr.values[2] / free.lr.values[0]:.0f}}, as asked. What do you expect after 1,000 steps?

# %%
digits = load("digits")
X, y = digits.scaled(16), digits.y
net = MLP((64, 32, 10), norm="batch", eps=1e-30)  # the layer `weight0` is normalised, the last not
common = {"loss": "cross_entropy", "batch_size": 16}

# %%
free = sweep(net, X, y, lr=[0.1, 0.3, 1], seeds=seeds(5), steps=1000, evaluate_every=1000, **common)
speed = free.effective_lr.sel(layer="weight0")
average = np.exp(np.log(speed).mean("seed")).values

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for i, eta in enumerate(free.lr.values):
    ax.loglog(free.step + 1, average[i], label=f"η = {eta:g}")
ax.set(xlabel="step", ylabel="effective learning rate η/‖w‖²", xlim=(1, 2200))
ax.set_title("Without decay, the learning rate you asked for is forgotten")
for i, line in enumerate(ax.get_lines()):
    ax.annotate(line.get_label(), (1000, line.get_ydata()[-1]), xytext=(5, (-6, 6, -2)[i]),
                textcoords="offset points", va="center", color=line.get_color())
curves = figures.drawn(ax)
starts, ends = ([curves[f"η = {eta}"].y[k] for eta in (0.1, 0.3, 1)] for k in (0, -1))
figures.show(fig, "Effective learning rate against the step, both axes logarithmic, averaged over "
             f"five seeds. The curves start at {starts[0]:.4f}, {starts[1]:.3f} and "
             f"{starts[2]:.3f}. The higher one starts, the sooner it falls; after 1,000 steps "
             f"all three lie within a factor of {max(ends) / min(ends):.2f} of each other.",
             number="8.1", caption="Each curve is the geometric mean of five seeds, for the "
             "layer that batch norm follows.")

# %%
for eta, norms in zip((0.1, 0.3, 1), free.norm.values[:, :, 0].swapaxes(0, 1), strict=True):
    claim("08-forgets", f"the curve of η = {eta}: η over the geometric mean of ‖w‖², to 10⁻⁹ of it",
          measured=curves[f"η = {eta}"].y * np.prod(norms, axis=0) ** (2 / 5) / eta,
          equals=1, within=1e-9)
claim("08-forgets", "effective learning rates at the start, η = 1 over η = 0.1",
      measured=starts[2] / starts[0], equals=10, within=1e-9)

# %%
claim("08-forgets", "after 1,000 steps the largest of the three is {:.2f} times the smallest",
      measured=max(ends) / min(ends), between=(1.3, 1.65))

# %% [markdown]
# A factor of {{starts[2] / starts[0]:.0f}} has shrunk to {{max(ends) / min(ends):.1f}}, and nobody scheduled it.
#
# ## 8.2 A step is a turn
#
# Chapter 7 shows two properties of a weight $w$ whose scale the loss ignores, $L(\alpha w) = L(w)$ for all
# $\alpha > 0$. Differentiate in α: the gradient is perpendicular, $\langle g, w\rangle = 0$. Differentiate in $w$: it
# shrinks as the weight grows, $g(\alpha w) = g(w)/\alpha$. Write $r = \lVert w\rVert$ for the norm, $u = w/r$ for the
# direction, $\tilde g = r\,g$ for the gradient at $u$ itself, and $G = \lVert\tilde g\rVert$. A step of SGD is
#
# $$w - \eta\, g \;=\; r\,\Big(u - \frac{\eta}{r^2}\,\tilde g\Big),\qquad \tan\theta = \frac{\eta G}{r^2}. \tag{8.1}$$
#
# The direction takes a step of length $\eta/r^2$ times its own gradient. The factor $r$ in front changes nothing. So
# scale the weight by 3, and the step turns it {{3**2}} times less (in its tangent); or scale η by {{3**2}} as well, and
# nothing happens. We try it on one layer with batch norm.

# %%
batch, labels = torch.tensor(X[:200]), torch.tensor(y[:200])
rng = claims.rng()
head, w0 = (torch.tensor(rng.standard_normal(shape)) / 8 for shape in ((32, 10), (64, 32)))


def normalise(h):
    return (h - h.mean(0)) / h.std(0, correction=0)


def gradient(w):
    w = w.clone().requires_grad_()
    h = normalise(batch @ w)
    loss = torch.nn.functional.cross_entropy(h.relu() @ head, labels)
    return torch.autograd.grad(loss, w)[0]


# %%
def tangent(w, step):
    """Tangent of the angle between w and w + step, for a step perpendicular to w."""
    return (step.norm() / w.norm()).item()


# %%
g = gradient(w0)
stepped, scaled = w0 - 0.5 * g, 3 * w0 - 9 * 0.5 * gradient(3 * w0)
torchs = torch.nn.functional.batch_norm(batch @ w0, None, None, training=True, eps=1e-30)
claim("08-library", "this batch norm and torch's: largest difference", below=1e-12,
      measured=(normalise(batch @ w0) - torchs).abs())
claim("S1-02", "cosine of weight and gradient", measured=(g * w0).sum() / g.norm() / w0.norm(),
      equals=0, within=1e-12)

# %%
u = w0 / w0.norm()
along = (stepped * u).sum()  # and what is left of the new weight is perpendicular to the old one
claim("S1-02", "(8.1): the tangent of the turn is η G / r², G being the gradient's norm at u",
      measured=(stepped - along * u).norm() / along - 0.5 * gradient(u).norm() / w0.norm() ** 2,
      equals=0, within=1e-12)
claim("S1-02", "3w: the tangent of the turn, over that of w, times 9", equals=1, within=1e-9,
      measured=9 * tangent(3 * w0, gradient(3 * w0)) / tangent(w0, g))
claim("S1-02", "3w and 9η instead of w and η: largest difference of the new directions",
      measured=(scaled / scaled.norm() - stepped / stepped.norm()).abs(), below=1e-12)

# %% [markdown]
# A penalty therefore acts in a roundabout way. It cannot change the function, but it shrinks $r$, and so it *raises*
# the effective learning rate.
#
# ## 8.3 Without decay: norms only grow
#
# A perpendicular step makes a right triangle with legs $r$ and $\eta\lVert g\rVert$. Pythagoras says
#
# $$\lVert w_{t+1}\rVert^2 = \lVert w_t\rVert^2 + \eta^2\lVert g_t\rVert^2 . \tag{8.2}$$
#
# No step ever makes the norm smaller. This is exact, and the network of the puzzle obeys it at each of its
# {{f"{free.sizes['step'] - 1:,}"}} steps:

# %%
norm, slope = (free[name].sel(layer="weight0").values for name in ("norm", "gradient_norm"))
etas = free.lr.values[:, None]
grown = norm[..., :-1] ** 2 + (etas * slope[..., :-1]) ** 2
claim("S1-09", "norms over 1,000 steps, 15 runs: largest relative deviation from (8.2)",
      measured=np.abs(norm[..., 1:] ** 2 / grown - 1), below=1e-11)

# %%
claim("S1-09", "growth of a norm in 1,000 steps, as a factor, smallest of 15 runs",
      measured=(norm[..., -1] / norm[..., 0]).min(), between=(1.37, 1.5))
claim("S1-09", "… largest", measured=(norm[..., -1] / norm[..., 0]).max(), between=(4.8, 6.6))

# %% [markdown]
# Put $\lVert g\rVert = G/r$ into (8.2) and square it:
#
# $$r_{t+1}^4 = r_t^4 + 2\eta^2G^2 + \frac{\eta^4G^4}{r_t^4}. \tag{8.3}$$
#
# The last term fades as $r$ grows. Without it, at a constant $G$,
#
# $$r^4 = r_0^4 + 2\eta^2G^2t,\qquad \frac{\eta}{r^2} = \frac{\eta}{\sqrt{r_0^4+2\eta^2G^2t}}\;\to\;\frac1{G\sqrt{2t}}.
# \tag{8.4}$$
#
# In the limit η is gone. What remains is a schedule $t^{-1/2}$ that nobody wrote down. Many methods lower the learning
# rate in this way on purpose. Here it comes on top of your own. Before the limit there is a memory: until
# $t\approx r_0^4/(2\eta^2G^2)$ it is the *initial* norm that rules.

# %%
asked, t = np.array([0.1, 1.0, 10.0]), 20_000
r4, kept = np.ones(3), []
for _ in range(t):
    r4 = (np.sqrt(r4) + asked**2 / np.sqrt(r4)) ** 2  # (8.2) with G = 1
    kept.append(asked / np.sqrt(r4))

# %%
claim("S1-09", "η = 0.1, 1, 10: effective rate times √(2t) after 20,000 steps, furthest from 1",
      measured=np.abs(kept[-1] * np.sqrt(2 * t) - 1), below=0.005)
claim("S1-09", "each of them by (8.4), to 0.2 %: {} of 3", equals=3,
      measured=(np.abs(kept[-1] * np.sqrt(1 + 2 * asked**2 * t) / asked - 1) < 0.002).sum())

# %%
exponent = np.log(kept[-1][1] / kept[t // 10 - 1][1]) / np.log(10)
claim("S1-10", "η = 1: exponent of t from step 2,000 to 20,000",
      measured=exponent, equals=-0.5, within=0.01)

# %% [markdown]
# In a network $G$ changes as it learns. Put each step's own $G$ into (8.4), as a sum, and only the last term of (8.3)
# is missing. The exponent then depends on what $G$ does.

# %%
drive = np.cumsum((norm * slope)[..., :-1] ** 2, axis=-1)
predicted = etas / np.sqrt(norm[..., :1] ** 4 + 2 * etas**2 * drive)
claim("08-continuum", "network: effective rate over its prediction, furthest from 1 (15 runs, end)",
      measured=np.abs(speed.values[..., -1] / predicted[..., -1] - 1), below=0.005)
claim("08-continuum", "… it lies below its prediction, as (8.3) says, in {} of 15 runs",
      measured=(speed.values[..., -1] < predicted[..., -1]).sum(), equals=15)

# %%
claim("S1-10", "network, η = 1: exponent of t from step 100 to 1,000, mean of five seeds",
      measured=np.log(average[2, 1000] / average[2, 100]) / np.log(10), between=(-0.68, -0.5))

# %% [markdown]
# ## 8.4 With decay: a circle, and an angle that depends on ηλ alone
#
# Decay multiplies the weight by $a = 1-\eta\lambda$ before the step is added ((2.1) of [chapter
# 2](02_from_penalty_to_weight_decay.ipynb)). The triangle now has legs $a\,r$ and $\eta G/r$:
#
# $$r_{t+1}^2 = a^2r_t^2 + \frac{\eta^2G^2}{r_t^2},\qquad \tan\theta = \frac{\eta G}{a\,r^2}. \tag{8.5}$$
#
# 1. **The norm.** Growth and shrinkage cancel where $(1-a^2)\,r^4 = \eta^2G^2$. As
#    $1-a^2 = \eta\lambda(2-\eta\lambda)$,
#
#    $$r_*^4 = \frac{\eta\,G^2}{\lambda\,(2-\eta\lambda)}\;\approx\;\frac{\eta\,G^2}{2\lambda}. \tag{8.6}$$
# 2. **The angle.** There the hypotenuse is as long as the old weight, $r$, and one leg is $a\,r$. So
#
#    $$\cos\theta_* = a = 1-\eta\lambda\;\text{ exactly},\qquad\theta_*\approx\sqrt{2\eta\lambda}. \tag{8.7}$$
#
#    No $G$: whatever the layer, the loss and the data, it turns by the same angle.
# 3. **The effective learning rate** is $\eta/r_*^2\approx\sqrt{2\eta\lambda}/G$.
#
# The simplest loss without a scale lives in the plane: $G$ times the polar angle of $w$. Its gradient is constant in
# size on every circle. With the plane as complex numbers a step is one line.


# %%
def walk(w, lr, weight_decay, G=1.0, steps=150):
    path = [complex(w)]
    for _ in range(steps):
        w = path[-1]
        path.append((1 - lr * weight_decay) * w - lr * 1j * G * w / abs(w) ** 2)
    return np.array(path)


# %% [markdown]
# And (8.6) and (8.7) as a function. Section 8.5 derives what it does with momentum.


# %%
def equilibrium(lr, weight_decay, G, mu=0.0, form="sgd"):
    """Norm and angle per step at which a scale-invariant weight stays."""
    x, a = lr * weight_decay, 1 - lr * weight_decay
    if form == "sgd":  # the penalty inside the momentum
        r4, cosine = lr * G**2 / (weight_decay * (1 - mu) * (2 - x / (1 + mu))), 1 - x / (1 + mu)
    else:  # "sgdw": the decay beside it
        growth = (1 + a * mu) / ((1 - mu**2) * (1 - a * mu))
        r4, cosine = lr**2 * G**2 / (1 - a**2) * growth, (a + mu) / (1 + a * mu)
    return r4**0.25, np.arccos(cosine)

# %%
lr, weight_decay = 0.1, 0.2
radius, angle = equilibrium(lr, weight_decay, G=1.0)
last = walk(2.0, lr, weight_decay, steps=1000)[-2:]

# %%
claim("S1-05", "without momentum (8.10) is (8.6): r⁴ at G = 3 over it", equals=1, within=1e-12,
      measured=equilibrium(lr, weight_decay, 3.0)[0] ** 4 / (0.1 * 9 / (0.2 * (2 - 0.1 * 0.2))))
claim("S1-05", "from a norm of 2, after 1,000 steps: the norm over (8.6)",
      measured=abs(last[0]) / radius, equals=1, within=1e-12)
claim("08-angle", "… the angle of a step over arccos(1 − ηλ)",
      measured=-np.angle(last[1] / last[0]) / angle, equals=1, within=1e-12)

# %% [markdown]
# In a JupyterLab opened by `make lab` move the dials: which pairs (η, λ) have the same circle, and which the same
# angle? The dotted lines are (8.8), derived below.


# %%
def relaxation(start, lr, weight_decay, steps=150):
    """Norm by (8.8), from `start` on."""
    r4 = equilibrium(lr, weight_decay, G=1.0)[0] ** 4
    return (r4 + (start**4 - r4) * np.exp(-4 * lr * weight_decay * np.arange(steps + 1))) ** 0.25


# %% tags=["hide-input"]
def draw_walks(axes, lr, weight_decay):
    """Left walks in the plane and the circle, right their norms and (8.8)."""
    ring = equilibrium(lr, weight_decay, G=1.0)[0] * np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    axes[0].plot(ring.real, ring.imag, color=figures.GREY, ls="--", lw=1, label="_circle")
    paths = {"from 0.35": walk(0.35, lr, weight_decay), "from 2": walk(2.0, lr, weight_decay),
             "from 0.35, no decay": walk(0.35, lr, 0.0)}
    for i, (name, path) in enumerate(paths.items()):
        axes[0].plot(path.real[:71], path.imag[:71], ".-", ms=3, lw=0.8, color=f"C{i}",
                     label=f"_{name}")
        axes[1].semilogy(np.abs(path), color=f"C{i}", label=name)
    for start in (0.35, 2.0):
        axes[1].plot(relaxation(start, lr, weight_decay), color="black", ls=":", lw=1.2,
                     label=f"_(8.8) from {start:g}")
    axes[0].set(xlabel="first weight", ylabel="second weight", aspect="equal")
    axes[1].set(xlabel="step", ylabel="norm r (logarithmic)")


# %% tags=["hide-input"]
def draw(lr, weight_decay):
    fig, axes = figures.subplots(1, 2)
    draw_walks(axes, lr, weight_decay)
    plane, norms = (figures.drawn(ax) for ax in axes)
    radius = plane["_circle"].x.max()
    met = [np.argmax(np.abs(norms[name].y / radius - 1) < 0.05) for name in ("from 0.35", "from 2")]
    up_first = radius < 2 and met[0] > 0 and not 0 < met[1] <= met[0]
    axes[0].set_title(f"Decay leads to a circle, r = {radius:.2f}")
    axes[1].set_title("Quickly up, slowly down" if up_first else "Decay bounds the norm")
    axes[1].legend()
    return fig, describe(lr, weight_decay, plane, norms, met)


# %% tags=["hide-input"]
def describe(lr, weight_decay, plane, norms, met):
    radius = plane["_circle"].x.max()
    small, large = (f"at step {n}" if n else "not within 150 steps" for n in met)
    return (f"η = {lr:g}, λ = {weight_decay:g}. "
            f"Left, {plane['_from 2'].x.size - 1} steps in the plane of two weights: with decay, "
            f"from norm 0.35 and from 2, towards the circle of radius {radius:.2f}, where a "
            f"step turns by {np.arccos(1 - lr * weight_decay):.2f} rad; without decay on and on "
            "outwards. Right, the norms over 150 steps. They first come within 5 % of the "
            f"circle's: the one from 0.35 {small}, the one from 2 {large}. Without decay the norm "
            f"goes on growing, to {norms['from 0.35, no decay'].y[-1]:.2f}. Dotted lines of "
            "formula (8.8).")


# %%
figures.interactive(draw, lr=[0.1, 0.03, 0.3, 1.0], weight_decay=[0.2, 0.02, 0.06, 0.6],
                    number="8.2", caption="Left, each dot is one step, in the colours of the "
                    "right, and the dashed circle is the equilibrium. Dotted is formula (8.8).")

# %%
fig, axes = plt.subplots(1, 2)
draw_walks(axes, 0.1, 0.2)
plane, norms = (figures.drawn(ax) for ax in axes)
plt.close(fig)

# %%
circle = plane["_circle"].x + 1j * plane["_circle"].y
claim("08-picture", "where a long walk ends is the circle's radius", equals=0, within=1e-9,
      measured=np.abs(circle) - abs(walk(1.0, 0.1, 0.2, steps=2000)[-1]))
for start in (0.35, 2):
    off = norms[f"_(8.8) from {start}"].y ** 4 - abs(circle[0]) ** 4
    claim("08-picture", f"the dotted line from {start} begins there", equals=start, within=1e-9,
          measured=[norms[f"_(8.8) from {start}"].y[0], norms[f"from {start}"].y[0]])
    claim("08-picture", "… its distance from the circle, in r⁴, shrinks by e^(−4ηλ) a step",
          measured=off[1:] / off[:-1], equals=np.exp(-4 * 0.1 * 0.2), within=1e-9)
r4 = norms["from 0.35, no decay"].y ** 4
claim("08-picture", "without decay r⁴ grows by 2η² + η⁴/r⁴, as (8.3) says", equals=0, within=1e-9,
      measured=r4[1:] - r4[:-1] - 2 * 0.1**2 - 0.1**4 / r4[:-1])

# %% [markdown]
# **How fast?** Square (8.5) like (8.2), $r_{t+1}^4 = a^4r_t^4+2a^2\eta^2G^2+\eta^4G^4/r_t^4$, and differentiate with
# respect to $r_t^4$ at the equilibrium: a small deviation of $r^4$ is multiplied by $a^4-(1-a^2)^2 = 2a^2-1$ at each
# step. (That is $\cos2\theta_*$.) For small $\eta\lambda$ it is $1-4\eta\lambda$, and then the equation is linear even
# far away, unless $r$ is so small that one step throws it beyond the circle (exercise 4):
#
# $$r^4(t)\;\approx\;r_*^4 + (r_0^4-r_*^4)\,e^{-4\eta\lambda t}. \tag{8.8}$$
#
# So the time scale is $1/(4\eta\lambda)$ steps. You will also meet $1/(2\eta\lambda)$. It belongs to steps whose length
# does *not* depend on the weight, about as in AdamW: $r_{t+1}^2=a^2r_t^2+U^2$ relaxes by the factor $a^2\approx
# 1-2\eta\lambda$. Under SGD a larger weight also takes shorter steps, and this doubles the rate.
#
# Nor does $4\eta\lambda$ make every descent quick. Far above the circle nothing but decay acts: $r$ falls like
# $e^{-\eta\lambda t}$, and a norm $c$ times too large needs about $\ln c/(\eta\lambda)$ steps. From below the norm
# jumps.

# %%
near = walk(radius * (1 + 1e-6), lr, weight_decay, steps=1)
factor = (abs(near[1]) ** 4 - radius**4) / (abs(near[0]) ** 4 - radius**4)
a = 1 - lr * weight_decay
claim("08-relaxation", "a small deviation of r⁴ after one step, over before: 2a² − 1 = {:.4f}",
      measured=factor, equals=2 * a**2 - 1, within=1e-5)

# %%
for start, most in ((0.35, 0.05), (2, 0.01)):
    off = np.abs(np.abs(walk(start, lr, weight_decay)) / relaxation(start, lr, weight_decay) - 1)
    claim("08-relaxation", f"norm over (8.8), 150 steps from {start}: furthest from 1",
          measured=off, below=most)

# %%
r2 = [4.0]
for _ in range(2):
    r2.append(a**2 * r2[-1] + 0.1**2)  # steps of length 0.1, whatever r
claim("08-constant-steps", "steps of constant length: differences of r² shrink by a² a step",
      measured=(r2[2] - r2[1]) / (r2[1] - r2[0]), equals=a**2, within=1e-12)

# %%
start, slow = 10.0, 0.01  # ten times too large, ηλ = 0.01
r_star = equilibrium(0.1, slow / 0.1, G=1.0)[0]
norms = np.abs(walk(start * r_star, 0.1, slow / 0.1, steps=400)) / r_star
rising = np.abs(walk(0.5 * r_star, 0.1, slow / 0.1, steps=400)) / r_star
down, up = np.argmax(norms < 1.1), np.argmax(rising > 0.9)

# %%
claim("08-descent", "ηλ = 0.01, from 10 r* down to 1.1 r*: steps, over those by (8.8)",
      measured=down / (np.log((start**4 - 1) / (1.1**4 - 1)) / (4 * slow)), between=(0.97, 1.03))
claim("08-descent", "… over the steps from r*/2 up to 0.9 r*", measured=down / up,
      between=(8, 12))
claim("08-descent", "… these, too, over those by (8.8)", between=(0.9, 1.1),
      measured=up / (np.log((0.5**4 - 1) / (0.9**4 - 1)) / (4 * slow)))

# %%
claim("08-descent", "the first 100 steps of the descent: rate of ln r, over ηλ",
      measured=np.log(norms[0] / norms[100]) / 100 / slow, equals=1, within=0.02)

# %% [markdown]
# ## 8.5 Momentum, in both of its forms
#
# With momentum μ the weight remembers old steps. Write $s$ for the buffer times η. PyTorch's coupled form is
# $s' = \mu s+\eta g+\eta\lambda w$ and $w' = w-s'$. Suppose that a new gradient is perpendicular to the buffer as well
# as to $w$: successive minibatches agree in nothing. (In two dimensions that is impossible; in many it is nearly true.)
# At equilibrium let $A = \lVert w\rVert^2$, $B=\lVert s\rVert^2$, $C=\langle w,s\rangle$ and
# $S = \eta^2\lVert g\rVert^2$.
#
# 1. $\langle w,s'\rangle = \mu C+\eta\lambda A$. The norm stays: $A = A-2(\mu C+\eta\lambda A)+B$. So this product is
#    $B/2$, and the next $C$ is $\langle w-s',s'\rangle = B/2-B = -B/2$.
# 2. Both together: $B/2=-\mu B/2+\eta\lambda A$, so $B = \frac{2\eta\lambda}{1+\mu}A$. The step has length $\sqrt B$
#    between two weights of equal norm, $B = 2A(1-\cos\theta)$:
#
#    $$\cos\theta_* = 1-\frac{\eta\lambda}{1+\mu}. \tag{8.9}$$
# 3. $B=\mu^2B+S+\eta^2\lambda^2A+2\mu\eta\lambda C$ gives $S$, and with $S=\eta^2G^2/A$
#
#    $$r_*^4=\frac{\eta\,G^2}{\lambda(1-\mu)\left(2-\frac{\eta\lambda}{1+\mu}\right)}. \tag{8.10}$$
#
# The decoupled form, $s'=\mu s+\eta g$ and $w' = aw-s'$, goes the same way: $B = S/(1-\mu^2)$, $C=-B/(1-a\mu)$, and
#
# $$\cos\theta_*=\frac{a+\mu}{1+a\mu},\qquad
# r_*^4=\frac{\eta^2G^2}{1-a^2}\cdot\frac{1+a\mu}{(1-\mu^2)(1-a\mu)}. \tag{8.11}$$
#
# For small $\eta\lambda$ the angles are $\sqrt{2\eta\lambda/(1+\mu)}$ and $\sqrt{2\eta\lambda(1-\mu)/(1+\mu)}$, and the
# second norm is $r_*^4\approx\eta G^2/(2\lambda(1-\mu)^2)$. At $\mu=0.9$ the same numbers η and λ turn a layer
# {{(1 - 0.9) ** -0.5:.1f}} times as fast under `torch.optim.SGD` as under the decoupled form.
#
# We give PyTorch's own step gradients that keep the assumption: random, perpendicular to weight and buffer, of size
# $G/r$. The formulas then hold to rounding. The step is `torch.optim.sgd.sgd`, the function that does the work of
# `torch.optim.SGD` and loads faster.


# %%
def step(w, g, buffer, lr, weight_decay, mu):
    """One step of torch.optim.SGD, which changes w and buffer."""
    with torch.no_grad():
        sgd([w], [g], [buffer], lr=lr, weight_decay=weight_decay, momentum=mu, dampening=0.0,
            nesterov=False, maximize=False, foreach=False)


# %%
def perpendicular(rng, w, s):
    """A random direction, perpendicular to w and s."""
    q, _ = np.linalg.qr(np.stack([w, s], axis=1))
    n = rng.standard_normal(len(w))
    for _ in range(2):  # twice, against rounding
        n -= q @ (q.T @ n)
    return n / np.linalg.norm(n)

# %%
mu, G, rng = 0.9, 3.0, claims.rng()
weight, buffer = torch.tensor(rng.standard_normal(50)), torch.zeros(50, dtype=torch.float64)
w, s = weight.numpy(), buffer.numpy()  # the same memory

# %%
for _ in range(600):
    before = w.copy()
    g = G / np.linalg.norm(w) * perpendicular(rng, w, s)
    step(weight, torch.tensor(g), buffer, lr, weight_decay, mu)

# %%
v, z = before.copy(), np.zeros(50)
for _ in range(600):
    old, g = v, G / np.linalg.norm(v) * perpendicular(rng, v, z + 1e-30 * before)
    z = mu * z + g
    v = (1 - lr * weight_decay) * v - lr * z

# %%
for form, pair in (("sgd", (before, w)), ("sgdw", (old, v))):
    size = [np.linalg.norm(each) for each in pair]
    r_star, theta = equilibrium(lr, weight_decay, G, mu, form)
    name = {"sgd": "PyTorch's SGD", "sgdw": "decoupled"}[form]
    claim("08-momentum", f"{name}, momentum 0.9: norm over its formula",
          measured=size[1] / r_star, equals=1, within=1e-10)
    claim("08-momentum", f"{name}: cosine of the step's angle minus its formula",
          measured=pair[0] @ pair[1] / size[0] / size[1] - np.cos(theta), equals=0, within=1e-10)

# %% [markdown]
# ## 8.6 A real network
#
# Nothing in training is that regular: $G$ fluctuates from batch to batch and drifts as the network learns. Why should
# the formulas hold? Average (8.5) over a long time in which the norm neither grows nor shrinks:
# $(1-a^2)\,\overline{r^2}=\eta^2\,\overline{\lVert g\rVert^2}$, whatever the fluctuations. The square of (8.5) averages
# likewise: for small $\eta\lambda$ the mean of $G^2$ gives the mean of $r^4$. So these are what we compare, and the
# angle's root mean square. Four pairs (η, λ) without momentum, one with it in both forms, five seeds, batches of {{common["batch_size"]}}.
# Two pairs have the same product, two the same quotient. All run for at least
# {{500 * 4 * 0.1 * 0.02:.0f}} times $1/(4\eta\lambda)$ before we look.

# %%
long = common | {"seeds": seeds(5), "steps": 1300, "record_every": 4, "evaluate_every": 1300}
plain = sweep(net, X, y, lr=[0.1, 0.3], weight_decay=[0.02, 0.06], **long)
heavy = {form: sweep(net, X, y, lr=[0.02], weight_decay=[0.1],
                     momentum=0.9, optimizer=form, **long)
         for form in ("sgd", "sgdw")}


# %%
def compare(run, mu, form, layer="weight0"):
    """Predicted and measured norm and angle: each (lr · weight_decay, seeds)."""
    late = run.sel(layer=layer).sel(step=slice(500, 1296))
    r, theta = (late.norm**4).mean("step") ** 0.25, (late.angle**2).mean("step") ** 0.5
    G = ((late.norm * late.gradient_norm) ** 2).mean("step") ** 0.5
    r_star, theta_star = equilibrium(run.lr, run.weight_decay, G, mu, form)
    parts = (r_star, r, theta_star.broadcast_like(r), theta)
    return np.stack([p.transpose(..., "seed").values.reshape(-1, 5) for p in parts])

# %%
results = np.concatenate([compare(plain, 0, "sgd"), compare(heavy["sgd"], 0.9, "sgd"),
                          compare(heavy["sgdw"], 0.9, "sgdw")], axis=1)
ratio = results[[1, 3]] / results[[0, 2]]  # measured over predicted, of norms and of angles
output = compare(plain, 0, "sgd", layer="weight1")
names = ["η = 0.1, λ = 0.02", "0.1, 0.06", "0.3, 0.02", "0.3, 0.06",
         "0.02, 0.1, μ = 0.9", "… decoupled"]

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2)
for ax, (p, m), ends in zip(axes, ((2, 3), (0, 1)), ((0, 0.22), (1.3, 5)), strict=True):
    for i, label in enumerate(names):
        ax.plot(results[p, i], results[m, i], "o^svDP"[i], ms=6, alpha=0.7, label=label)
    ax.plot(output[p].ravel(), output[m].ravel(), "x", color=figures.GREY, ms=4, label="output")
    ax.plot(ends, ends, color="black", lw=0.8, ls="--", label="_as predicted")
    ax.set(xlim=ends, ylim=ends)
axes[0].set(xlabel="predicted angle per step (rad)", ylabel="measured angle (rad)")
axes[1].set(xlabel="predicted norm", ylabel="measured norm")
axes[0].set_title("Angles as predicted …")
axes[1].set_title("… and norms too")
axes[0].legend(fontsize=8)
turns, norms = (figures.drawn(ax) for ax in axes)
low, high = ([end([shown[name].y for name in names]) for shown in (turns, norms)]
             for end in (np.min, np.max))
figures.show(fig, "Measured against predicted values in six settings. Left the angle per step, "
             f"from {low[0]:.3f} to {high[0]:.2f} rad, right the norm, from {low[1]:.1f} to "
             f"{high[1]:.1f}: all points of the normalised layer lie along the diagonals. Grey "
             "crosses of the output layer lie below on the left, above on the right.",
             number="8.3", caption="Five seeds each; on the dashed line both values are equal.")

# %% [markdown]
# Is each point where its name says? We compute the four without momentum once more, from the records of their pair.

# %%
for eta, lam, name in ((0.1, 0.02, "η = 0.1, λ = 0.02"), (0.1, 0.06, "0.1, 0.06"),
                       (0.3, 0.02, "0.3, 0.02"), (0.3, 0.06, "0.3, 0.06")):
    pair = plain.sel(lr=eta, weight_decay=lam, layer="weight0")
    r, g, turn = (pair[kind].values[:, 125:325]  # every fourth step from 500 on
                  for kind in ("norm", "gradient_norm", "angle"))
    r_star = (eta * np.mean(r**2 * g**2, 1) / lam / (2 - eta * lam)) ** 0.25
    claim("08-picture", f"{name}: predicted and measured angles that are drawn",
          measured=[turns[name].x - np.arccos(1 - eta * lam),
                    turns[name].y - np.sqrt(np.mean(turn**2, 1))], equals=0, within=1e-9)
    claim("08-picture", f"{name}: predicted and measured norms that are drawn",
          measured=[norms[name].x - r_star, norms[name].y - np.mean(r**4, 1) ** 0.25],
          equals=0, within=1e-9)

# %%
claim("08-picture", "with momentum: cosines of the predicted angles, (8.9) and (8.11)",
      measured=np.cos([turns[name].x[0] for name in ("0.02, 0.1, μ = 0.9", "… decoupled")])
      - [1 - 0.002 / 1.9, (0.998 + 0.9) / (1 + 0.998 * 0.9)], equals=0, within=1e-12)
claim("08-picture", "the dashed lines are the diagonals", equals=0, within=1e-12,
      measured=[shown["_as predicted"].y - shown["_as predicted"].x for shown in (turns, norms)])

# %%
settings = ratio.mean(-1)  # over seeds
claim("08-network-angle", "… each of these ratios times arccos(1 − ηλ) is the mean measured angle",
      measured=settings[1, :4] * np.arccos([0.998, 0.994, 0.994, 0.982])
      - results[3, :4].mean(-1), equals=0, within=1e-9)
claim("08-network-angle", "four (η, λ): measured over predicted angle, furthest from 1: {:.3f}",
      measured=settings[1, :4], equals=1, within=0.05)
claim("08-network-norm", "… measured over predicted norm: {:.3f}",
      measured=settings[0, :4], equals=1, within=0.03)
claim("08-network-momentum", "momentum 0.9, both forms: angle and norm, furthest from 1: {:.3f}",
      measured=settings[:, 4:], equals=1, within=0.05)

# %%
claim("08-network-momentum", "same η and λ: angle inside the momentum over that beside it",
      measured=results[3, 4].mean() / results[3, 5].mean(), equals=(1 - 0.9) ** -0.5, within=0.1)
claim("08-network-product", "(0.1, 0.06) over (0.3, 0.02), the same product: angles",
      measured=results[3, 1].mean() / results[3, 2].mean(), equals=1, within=0.04)
equal = (0.1 / 0.06 / (0.3 / 0.02)) ** 0.25  # by (8.6), if G were the same
claim("08-network-product", f"… norms ({equal:.2f} at equal G)",
      measured=results[1, 1].mean() / results[1, 2].mean(), between=(0.44, 0.52))

# %%
angles, norms = output[3] / output[2], output[1] / output[0]  # pair, seed
claim("08-network-output", "the output layer, ηλ = 0.002: measured over predicted angle",
      measured=angles[0].mean(), between=(0.18, 0.34))
claim("08-network-output", "… at the other three pairs", measured=angles[1:], between=(0.15, 0.93))
claim("08-network-output", "… measured over predicted norm, all pairs",
      measured=norms, between=(1.04, 3.5))

# %%
equal = (0.02 / 0.06) ** 0.25  # by (8.6), if G were the same
claim("S1-05", f"λ = 0.06 over λ = 0.02 at η = 0.1: measured norms ({equal:.2f} at equal G)",
      measured=(results[1, 1] / results[1, 0]).mean(), between=(0.69, 0.75))

# %% [markdown]
# The output layer, which no norm follows, obeys neither formula. At a small $\eta\lambda$ it turns far more slowly.
#
# ## 8.7 Without decay, the first steps decide the run
#
# By (8.4) a run without decay remembers its initial norm, for about $r_0^4/(2\eta^2G^2)$ steps. We multiply the
# hidden layer's initial weights by 0.5, 1 and 3. The three start as *the same function*: to keep all else equal, the
# output matrix is held at norm one. In a second set the learning rate of the first 30 steps is multiplied by $c=10$.

# %%
short = common | {"lr": 0.1, "weight_decay": [0, 0.05], "decay_factors": {"weight0": 1},
                  "unit_norm": ("weight1",), "seeds": seeds(5), "steps": 700,
                  "record_every": 50, "evaluate_every": 50, "evaluate_on": 500}
scales = sweep(net, X, y, init_scale=[0.5, 1, 3], **short)
kicked = sweep(net, X, y, schedule=lambda t: 10.0 if t < 30 else 1.0, **short)

# %%
rates = scales.effective_lr.sel(layer="weight0").mean("seed").values  # (λ, scale, step)
after = kicked.effective_lr.sel(layer="weight0").mean("seed").values  # (λ, step)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True)
for ax, row, late, title in zip(axes, rates, after, ("No decay: the start decides",
                                                     "λ = 0.05: it is forgotten"), strict=True):
    for i, scale in enumerate((0.5, 1, 3)):
        ax.semilogy(scales.step, row[i], label=f"initial weights × {scale:g}")
    ax.semilogy(scales.step[1:], late[1:], "--", color=figures.GREY, label="× 1, hot start")
    ax.set(xlabel="step", ylabel="effective learning rate η/‖w‖²")
    ax.set_title(title)
axes[1].legend(fontsize=8, loc="lower right")
left, right = (figures.drawn(ax) for ax in axes)
ends = [left[f"initial weights × {scale}"].y[-1] for scale in (0.5, 1, 3)]
figures.show(fig, "Effective learning rate over 700 steps, on a logarithmic axis, for three "
             f"initial scales. Left, without decay, it ends at {ends[0]:.3f}, {ends[1]:.4f} and "
             f"{ends[2]:.4f}. Right, with λ = 0.05, all curves meet near "
             f"{right['initial weights × 1'].y[-1]:.3f} before the end, the one from 3 times the "
             "weights last. A run with a hot start lies lower on the left, and meets the others on "
             "the right.", number="8.4", caption="Each curve is the mean of five seeds. A hot "
             "start has 10 times the learning rate in the first 30 steps.")

# %%
for lam, shown in ((0, left), (0.05, right)):
    for scale in (0.5, 1, 3):
        r = scales.norm.sel(layer="weight0", weight_decay=lam, init_scale=scale).values
        drawn = shown[f"initial weights × {scale}"]
        claim("08-picture", f"λ = {lam}, × {scale}: the curve is the mean of η/‖w‖² over seeds",
              measured=drawn.y - (0.1 / r**2).mean(0), equals=0, within=1e-9)
        claim("08-picture", f"λ = {lam}, × {scale}: it starts at 1/scale² times that of × 1",
              measured=drawn.y[0] * scale**2 - shown["initial weights × 1"].y[0],
              equals=0, within=1e-9)
    hot = kicked.norm.sel(layer="weight0", weight_decay=lam).values
    claim("08-picture", f"λ = {lam}, hot start: at the end, the same", equals=0, within=1e-9,
          measured=shown["× 1, hot start"].y[-1] - (0.1 / hot[:, -1] ** 2).mean())

# %%
losses = scales.train_loss  # (seed, λ, scale, step)
gap = losses.sel(init_scale=3) - losses.sel(init_scale=1)
claim("S1-11", "initial weights × 3 and × 1: largest difference of their losses at step 0",
      measured=np.abs(gap.sel(step=0)), below=1e-10)

# %%
undecayed = gap.sel(weight_decay=0)
claim("S1-11", "no decay: largest gap between the two loss curves, mean of five seeds",
      measured=np.abs(undecayed).max("step").mean(), between=(0.22, 0.34))
claim("S1-11", "… gap after 700 steps", measured=undecayed.sel(step=700).mean(),
      between=(0.13, 0.19))
claim("S1-11", "no decay, after 700 steps: effective rate from × 0.5 over that from × 3",
      measured=rates[0, 0, -1] / rates[0, 2, -1], between=(11.5, 13.5))
claim("S1-11", "… with λ = 0.05", measured=rates[1, 0, -1] / rates[1, 2, -1], between=(0.95, 1.03))

# %%
claim("S1-11", "hot first 30 steps over cold ones, effective rate after 700, no decay",
      measured=after[0, -1] / rates[0, 1, -1], between=(0.64, 0.74))
claim("S1-11", "… with λ = 0.05", measured=after[1, -1] / rates[1, 1, -1], between=(0.93, 1))

# %%
lag = gap.sel(weight_decay=0.05).mean("seed")
claim("08-lag", "λ = 0.05, weights × 3: its loss minus that of × 1 at step 200, mean",
      measured=lag.sel(step=200), between=(0.11, 0.19))
claim("08-lag", "… at the end, over that at step 200",
      measured=lag.sel(step=700) / lag.sel(step=200), between=(0.02, 0.18))
sizes = (0.1 / scales.effective_lr.sel(layer="weight0", weight_decay=0.05, init_scale=3)) ** 0.5
sizes = sizes.mean("seed") / sizes.sel(step=700).mean("seed")
claim("08-lag", "… its norm at step 200, over that at the end", measured=sizes.sel(step=200),
      between=(2.35, 2.65))
claim("08-lag", "… at step 400", measured=sizes.sel(step=400), between=(1.05, 1.2))

# %%
claim("S1-02", "λ = 0.05 over none, standard start: effective rate after 700 steps",
      measured=rates[1, 1, -1] / rates[0, 1, -1], between=(5.6, 6.9))

# %% [markdown]
# Forgetting takes its time. At $\eta\lambda={{short["lr"] * short["weight_decay"][1]:g}}$ the norm from the largest weights is still
# {{float(sizes.sel(step=200)):.1f}} times its last value after 200 steps, and {{float(sizes.sel(step=400)):.1f}} times
# after 400. For much of that time the loss lags behind, with decay too.
#
# ## 8.8 Weight decay is an exponential schedule
#
# If only $\eta/r^2$ counts, decay can be replaced by a learning rate that grows. Let $w_t$ be trained with decay, and
# put $v_t = a^{-t}w_t$. It has the same direction, so the same function, and $g(w_t) = a^{-t}g(v_t)$. Then
#
# $$v_{t+1} = a^{-t-1}\big(a\,w_t-\eta\,g(w_t)\big) = v_t-\eta\,a^{-2t-1}\,g(v_t). \tag{8.12}$$
#
# This is SGD *without* decay, at the learning rate $\eta_t=\eta\,a^{-2t-1}$. One order of operations matters. PyTorch
# takes the gradient at the old weight and adds both terms at once. Whoever steps first and shrinks afterwards,
# $w\leftarrow a\,(w-\eta g)$, gets $\eta_t=\eta\,a^{-2t}$.
#
# **With momentum.** Eliminate the buffer of (2.2): $w_{t+1} = (1+\mu-\eta\lambda)\,w_t-\mu\,w_{t-1}-\eta g_t$, where
# $w_{-1}=w_0$, as the buffer starts empty. Put $w_t=\alpha^tv_t$ and divide by $\alpha^{t+1}$:
#
# $$v_{t+1} = \frac{1+\mu-\eta\lambda}{\alpha}v_t-\frac{\mu}{\alpha^2}v_{t-1}-\eta\,\alpha^{-2t-1}g(v_t).$$
#
# It is momentum without decay if the first two factors differ by one: $\alpha^2-(1+\mu-\eta\lambda)\,\alpha+\mu=0$.
# That is (2.3); take the larger root, which is real for $\eta\lambda\le(1-\sqrt\mu)^2$. The factor of the last step
# $v_t-v_{t-1}$ is then $\mu/\alpha^2$. PyTorch's buffer holds gradients, not steps, and
# $\eta_t/\eta_{t-1}=\alpha^{-2}$: so μ itself stays what it was. The start does not. From $v_{-1}=\alpha w_0$ to
# $v_0=w_0$ there was a step, and the buffer must know of it:
#
# $$b_0=-\frac{(1-\alpha)\,w_0}{\eta\,\alpha}. \tag{8.13}$$


# %%
def network():
    torch.manual_seed(seeds(1)[0])
    layers = [torch.nn.Linear(64, 32, bias=False), torch.nn.BatchNorm1d(32, eps=1e-30)]
    return torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(32, 10)).double()


# %%
def train(lr, weight_decay, mu, replaced=False, corrected=True):
    model, rng = network(), claims.rng()
    w, alpha = model[0].weight, np.roots([1, -(1 + mu - lr * weight_decay), mu]).max()
    buffers = {p: torch.zeros_like(p) for p in model.parameters()}
    if replaced and mu and corrected:
        buffers[w] = -(1 - alpha) / (lr * alpha) * w.detach()
    rates = []
    for t in range(200):
        rows = torch.tensor(rng.choice(len(X), 64, replace=False))
        outputs = model(torch.tensor(X)[rows])
        loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(y)[rows])
        for p, g in zip(buffers, torch.autograd.grad(loss, [*buffers]), strict=True):
            rate = lr * alpha ** (-2 * t - 1) if replaced and p is w else lr
            step(p, g, buffers[p], rate, weight_decay if p is w and not replaced else 0.0, mu)
            rates += [rate] * (p is w)
    return model(torch.tensor(X)).detach(), rates[-1] / rates[0]


# %% [markdown]
# Only the normalised layer decays, and only its learning rate grows. γ, β and the output layer are trained alike. After
# 200 steps, the outputs for all digits:

# %%
def apart(one, other):
    return (one[0] - other[0]).abs().max()


for mu, name in ((0.0, "without momentum"), (0.9, "momentum 0.9, buffer corrected")):
    decayed, scheduled = train(0.1, 0.01, mu), train(0.1, 0.01, mu, replaced=True)
    claim("08-exponential", f"{name}: decay against schedule, largest difference of outputs",
          measured=apart(decayed, scheduled), below=1e-10)

# %%
half = (1 + 0.9 - 0.1 * 0.01) / 2  # α is the larger root of (2.3)
claim("08-exponential", "… the last learning rate is {:.1f} times the first",
      measured=scheduled[1], equals=(half + (half**2 - 0.9) ** 0.5) ** -398, within=0.05)

# %%
claim("08-exponential", "… with an empty buffer instead of (8.13)",
      measured=apart(decayed, train(0.1, 0.01, 0.9, replaced=True, corrected=False)), above=1)
claim("08-exponential", "… with neither decay nor schedule",
      measured=apart(decayed, train(0.1, 0.0, 0.9)), above=1)

# %% [markdown]
# A learning rate that grows for ever sounds absurd. It is what everybody does who trains with batch norm and weight
# decay at a constant learning rate.
#
# ## 8.9 What a learning-rate drop does
#
# A schedule lowers η by a factor κ, here $\frac1{10}$. By (8.7) the turn should fall by $\sqrt\kappa$. But the norm
# does not know yet. Right after the drop $\tan\theta=\eta G/(a\,r^2)$ falls by the whole κ: the layer turns
# $\sqrt\kappa$ times as fast as its new equilibrium, so too slowly. Then (8.8) runs with the new η. With
# $q = r_0^4/r_*^4$ at the drop,
#
# $$\frac{\theta(t)}{\theta_*}\approx\frac1{\sqrt{1+(q-1)\,e^{-4\kappa\eta\lambda t}}},\qquad
# q=\frac1\kappa\text{ at equal } G. \tag{8.14}$$
#
# Back to $0.9\,\theta_*$ takes {{np.log(9 / (0.9**-2 - 1)) / 4:.2f}} times $1/(\kappa\eta\lambda)$ steps for $\kappa=\frac1{10}$. We measure, at $\eta=0.4$ and
# $\lambda=0.025$, on ten seeds.

# %%
drop = 400
run = sweep(net, X, y, lr=0.4, weight_decay=0.025, schedule=lambda t: 1.0 if t < drop else 0.1,
            loss="cross_entropy", batch_size=16, seeds=seeds(10), steps=1800, record_every=4,
            evaluate_every=1800)

# %%
hidden = run.sel(layer="weight0").isel(step=slice(0, -1))
angles = (hidden.angle**2).mean("seed").values.reshape(-1, 5).mean(1) ** 0.5  # of 20 steps each
middle = hidden.step.values.reshape(-1, 5).mean(1)

# %%
later = hidden.sel(step=slice(drop, None))
G_after = ((later.norm * later.gradient_norm) ** 2).mean() ** 0.5
(_, before), (r_new, now) = equilibrium(0.4, 0.025, 1.0), equilibrium(0.04, 0.025, float(G_after))
q = float((later.norm[:, 0] ** 4).mean()) / r_new**4

# %%
since = np.arange(1800 - drop)
expected = [now / np.sqrt(1 + (k - 1) * np.exp(-4 * 0.04 * 0.025 * since)) for k in (10, q)]

# %% tags=["hide-input"]
fig, ax = figures.subplots()
ax.semilogy(middle, angles, color=figures.BLUE, lw=1.2, label="_measured")
for eta, level, ends in ((0.4, before, (0, drop)), (0.04, now, (drop, 1800))):
    ax.plot(ends, [level] * 2, color=figures.GREY, ls="--", lw=1, label=f"_equilibrium, η = {eta}")
for line, color, name in zip(expected, (figures.ORANGE, figures.GREEN),
                             ("(8.14), equal G", "(8.14), G after the drop"), strict=True):
    ax.plot(drop + since, line, ":", color=color, label=name)
ax.text(420, before, "equilibrium of η = 0.4", color=figures.GREY, va="center")
ax.text(420, now * 1.06, "equilibrium of η = 0.04", color=figures.GREY)
ax.set(xlabel="step", ylabel="angle per step (rad)")
ax.set_title("After a drop the layer turns too slowly")
ax.legend(loc="lower right")
curves = figures.drawn(ax)
old, new = (curves[f"_equilibrium, η = {eta}"].y[0] for eta in (0.4, 0.04))
share = curves["_measured"].y / new
figures.show(fig, f"Angle per step on a logarithmic axis over 1,800 steps. It stays at {old:.2f} "
             f"until the drop at step 400, falls to {share[20]:.2f} times the new equilibrium "
             f"{new:.3f}, and is at {share[69]:.2f} times that 1,000 steps later. The line of "
             "(8.14) with the G after the drop runs along it; with equal G it starts higher.",
             number="8.5", caption="Blue: root mean square of ten seeds over 20 steps at a time.")

# %% [markdown]
# Angles vary from batch to batch. So we record every step of the time before the drop.

# %%
claim("08-picture", "each level's name stands at its line, or a little above: over the level",
      measured=[word.get_position()[1] / level for word, level in zip(ax.texts, (old, new),
                                                                      strict=True)],
      between=(0.99, 1.1))

# %%
each_step = sweep(net, X, y, lr=0.4, weight_decay=0.025, loss="cross_entropy", batch_size=16,
                  seeds=seeds(10), steps=drop, record_every=1, evaluate_every=drop)
early = each_step.angle.sel(layer="weight0").values[:, :drop]

# %%
records = run.angle.sel(layer="weight0").values[:, :450]  # ten seeds, every fourth step
parts = [np.sqrt(np.mean(records[:, 5 * i : 5 * i + 5] ** 2)) for i in (0, 20, 21, 89)]
claim("08-picture", "the curve: root mean square of ten seeds and 20 steps", equals=0, within=1e-9,
      measured=curves["_measured"].y[[0, 20, 21, 89]] - parts)
claim("08-picture", "its first point after the drop is at step 408, the middle of a block",
      measured=curves["_measured"].x[20], equals=408, within=1e-9)
claim("08-picture", "before the drop, every fourth of all steps: angle minus that of the picture",
      measured=early[:, ::4] - records[:, :100], equals=0, within=1e-9)
claim("08-picture", "the dashed lines: arccos(1 − ηλ)", equals=0, within=1e-9,
      measured=[old - np.arccos(1 - 0.4 * 0.025), new - np.arccos(1 - 0.04 * 0.025)])

# %%
r, g = (run[kind].sel(layer="weight0").values[:, 100:450] for kind in ("norm", "gradient_norm"))
start = np.mean(r[:, 0] ** 4) / (0.04 * np.mean((r * g) ** 2) / (0.025 * (2 - 0.04 * 0.025)))
for name, ratio in (("(8.14), equal G", 10), ("(8.14), G after the drop", start)):
    line = curves[name]
    claim("08-picture", f"{name}: it starts at 1/√q of the new equilibrium", equals=1, within=1e-9,
          measured=line.at(400) / new * np.sqrt(ratio))
    rest = (new / line.y) ** 2 - 1
    claim("08-picture", f"{name}: θ*²/θ² − 1 shrinks by e^(−4κηλ) a step", within=1e-6,
          measured=rest[1:] / rest[:-1], equals=np.exp(-4 * 0.04 * 0.025))

# %%
first = hidden.sel(step=slice(drop // 2, drop - 4))
G_before = ((first.norm * first.gradient_norm) ** 2).mean() ** 0.5
r_old = equilibrium(0.4, 0.025, float(G_before))[0]
claim("08-drop", "before the drop: norm over (8.6), with the G of that time",
      measured=float((first.norm**4).mean() ** 0.25) / r_old, equals=1, within=0.05)
claim("08-drop", "G after the drop over G before it", measured=G_after / G_before,
      between=(0.62, 0.77))


# %%
def turn(first, last):
    """Root mean square angle from the step `first` to before the step `last`, over ten seeds."""
    return float((hidden.angle.sel(step=slice(first, last - 1)) ** 2).mean() ** 0.5)


# %%
claim("08-drop", "all 200 steps before the drop: angle over arccos(1 − ηλ)",
      measured=(early[:, drop - 200 :] ** 2).mean() ** 0.5 / before, equals=1, within=0.03)
for first, last, room in ((0, 20, (0.2, 0.4)), (300, 500, (0.34, 0.48)),
                          (1200, 1400, (0.85, 1.1))):
    expects = f" ({0.1**0.5:.2f} at equal G)" if first == 0 else ""
    claim("08-drop", f"{first:,} to {last:,} steps after it, over the new equilibrium{expects}",
          measured=turn(drop + first, drop + last) / now, between=room)

# %%
at_drop = drop // 20
blocks = [values.reshape(7, -1).mean(1) for values in (angles[at_drop:], *expected)]
claim("08-drop", "measured over (8.14) with G after the drop, seven blocks of 200: furthest from 1",
      measured=np.abs(blocks[0] / blocks[2] - 1), below=0.12)
claim("08-drop", "… with equal G, first block", measured=blocks[0][0] / blocks[1][0],
      between=(0.58, 0.81))

# %% [markdown]
# For hundreds of steps the layer turns more slowly than the same η and λ would have it at rest. $G$ falls as well, as
# smaller steps find a lower loss, and that deepens the dip. Then the effective learning rate *rises*, with nobody
# touching a knob. Whoever judges a schedule within $1/(\kappa\eta\lambda)$ steps of the drop judges this transient.
#
# ## 8.10 The sources, line by line

# %%
verdict("S1-02", "true",
        "Under SGD the direction takes a step of η/‖w‖² times its gradient. Decay shrinks ‖w‖, "
        "and so raises that rate; the function at hand stays the same.")
verdict("S1-05", "true",
        "Without decay it only grows; with it ‖w‖⁴ settles at ηG²/(λ(2 − ηλ)), G being the "
        "gradient's norm at ‖w‖ = 1. Measured on digits, means of five seeds differ from that by "
        f"{100 * np.abs(settings[0] - 1).max():.1f} % at most.")

# %%
verdict("S1-09", "true",
        "Exactly: each step adds η²‖g‖² to ‖w‖². At constant G the rate goes to 1/(G√(2t)), "
        "whatever η.")
verdict("S1-10", "true",
        "They do so explicitly; a norm without decay does it unasked, with t^(−1/2) at constant "
        "G, and both act together.")

# %%
verdict("S1-11", "true",
        "Without decay: 3 times the initial weights, or 30 hot steps, change the effective "
        "rate for the whole run. With decay both are forgotten within a few times 1/(ηλ) steps.")
claims.verdicts()
claims.identities()

# %% [markdown]
# ## 8.11 In practice
#
# **Take home.** For a normalised layer under SGD read (η, λ) as an angle $\sqrt{2\eta\lambda}$ and a waiting time
# $1/(4\eta\lambda)$ to $1/(\eta\lambda)$, with momentum by (8.9) or (8.11). If the waiting time is not much shorter
# than each phase of your schedule, you are training on transients: look at $\eta/\lVert w\rVert^2$, not at η.
#
# **Limits.** The formulas speak of weights whose scale the loss ignores, of slowly varying $G$, and for momentum of
# gradients that do not repeat. We measured one small network. Which angle is *good* is another question: chapter 11.
# Adam has other exponents: chapter 9. Weights kept at norm one: chapter 10.
#
# ## 8.12 Exercises
#
# **1.** $\eta=0.1$, $\lambda=5\cdot10^{-4}$, PyTorch's SGD with momentum 0.9. By how much does a normalised layer turn
# per step? How long must a phase of the schedule be to reach this, if decay acts $1/(1-\mu)$ times as fast?
#
# <details>
# <summary>Solution</summary>
#
# (8.9): $\sqrt{2\cdot5\cdot10^{-5}/1.9}={{equilibrium(0.1, 5e-4, 1.0, 0.9)[1]:.4f}}$ rad, or
# {{np.degrees(equilibrium(0.1, 5e-4, 1.0, 0.9)[1]):.2f}} degrees. $\frac{1-\mu}{4\eta\lambda}={{(1 - 0.9) / (4 * 5e-5):.0f}}$
# steps is the time scale from nearby; from far above it is
# $\frac{1-\mu}{\eta\lambda}={{(1 - 0.9) / 5e-5:.0f}}$ steps for each factor $e$.
#
# </details>
#
# **2.** Show that (8.11) is an addition of rapidities: $\operatorname{artanh}\cos\theta_* =
# \operatorname{artanh}a+\operatorname{artanh}\mu$. What happens if you swap μ and $1-\eta\lambda$?
#
# <details>
# <summary>Solution</summary>
#
# $\tanh(x+y)=\frac{\tanh x+\tanh y}{1+\tanh x\tanh y}$. The angle stays: to a turning weight, momentum and decay are
# the same kind of memory.
#
# </details>
#
# **3.** At a drop of η by κ, by which factor must you multiply the normalised weights so that the new equilibrium
# holds at once?
#
# <details>
# <summary>Solution</summary>
#
# By (8.6) $r_*^4\propto\eta$ at equal $G$, so by $\kappa^{1/4}$; for $\kappa=\frac1{10}$ that is {{0.1**0.25:.2f}}. The
# function does not change.
#
# </details>
#
# **4.** A norm starts at $r_0\ll r_*$. Where is it after one step of (8.5)? When does it overshoot?
#
# <details>
# <summary>Solution</summary>
#
# $r_1\approx\eta G/r_0 = \sqrt{1-a^2}\;r_*^2/r_0$. With $y=r_0^2/r_*^2$ it is exactly $r_1^2/r_*^2=a^2y+(1-a^2)/y$, and
# this is 1 at $y=1$ and at $y=(1-a^2)/a^2$. It overshoots below the second, at
# $r_0<r_*\tan\theta_*\approx\sqrt{2\eta\lambda}\,r_*$. Too small an initial norm is thus thrown far out, and comes back
# at the slow rate $\eta\lambda$. Try
# `r = equilibrium(0.1, 0.1, 1.0)[0]; abs(walk(0.02 * r, 0.1, 0.1)) / r`.
#
# </details>
#
# **5.** (Open.) Change $q$ in (8.14) from $\frac1\kappa$ to κ: a *rise* of η by $\frac1\kappa$. How far does the angle
# overshoot, and for how long? Compare with a warm-up.
#
# <details>
# <summary>A start</summary>
#
# $\theta(0)/\theta_*=\kappa^{-1/2}$, so {{0.1**-0.5:.1f}} for $\kappa=\frac1{10}$ (while angles are small). With the
# larger η the time scale $1/(4\eta\lambda)$ is shorter by the factor κ: an overshoot is brief, a dip is long.
#
# </details>
#
# ## Where next, and sources
#
# Chapter 9 repeats all this for Adam, and asks which pairs (η, λ) are the same run.
#
# - [van Laarhoven (2017)](https://arxiv.org/abs/1706.05350): the penalty's effect is an effective learning rate.
# - [Hoffer, Banner, Golan and Soudry (2018)](https://arxiv.org/abs/1803.01814): the norm, decoupled from the objective.
# - [Wan, Zhu, Zhang and Sun (2021)](https://arxiv.org/abs/2006.08419): equilibrium of norm and angle, with momentum.
# - [Kosson, Messmer and Jaggi (2024)](https://arxiv.org/abs/2305.17212): the angle per step, across layers and
#   optimisers.
# - [Li and Arora (2020)](https://arxiv.org/abs/1910.07454): weight decay as an exponential schedule.
# - [Li, Lyu and Arora (2020)](https://arxiv.org/abs/2010.02916): the product ηλ as an intrinsic learning rate.
