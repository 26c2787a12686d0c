# %% [markdown]
# # 11 Choosing λ
#
# You have a model, a learning rate, a number of steps, and a setting called `weight_decay`. Which number do you type?
# Published values differ by a factor of more than ten thousand, and a library's default was not chosen for your run. This
# chapter leads from your own run to a value that you can defend. It turns λ into three numbers that mean something, says what
# becomes of them when anything else changes, and reads them off a model in training.
#
# By the end you will be able to
#
# - compute how much of its start a run forgets, and compare any two recipes by it;
# - predict the size of the weights and how far they turn per step;
# - carry λ over to another learning rate, batch, length, width, optimiser or framework, and know which of these rules are exact;
# - audit your own model with three lines of code, and act on the verdicts;
# - choose λ from four values, and say when the choice does not matter.
#
# *Reading time an hour and a half; the code runs in about 20 seconds. If you have a run waiting, begin with §11.8: it needs nothing else.*

# %%
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from l2lib import claims, figures
from l2lib.audit import Watch
from l2lib.claims import claim, interval, seeds
from l2lib.datasets import load, sonnets
from l2lib.sweep import CNN, MLP, sweep

# %% [markdown]
# ## 11.1 A puzzle: everybody types another number
#
# A ResNet is trained with $\lambda = 10^{-4}$, a language model with 0.1, a vision transformer with 0.3, and the network of
# [chapter 9](09_adaptive_optimisers.ipynb) with 3. Do these people want such different things?
#
# λ never acts alone. Under SGD and AdamW one step multiplies a weight by $1-\eta_t\lambda$ before the loss moves it
# (chapter 2). So what counts is the learning rate $\eta_t$ of each step, times λ, added up over
# the run:
#
# $$N = \sum_{t=0}^{T-1}\eta_t\lambda. \tag{11.1}$$
#
# $N$ has no unit. Of the weights with which a run began, a share of about $e^{-N}$ is left at its end, as §11.2 shows. You need nothing but the
# recipe to compute $N$: the peak learning rate, λ, and the factors of the schedule.


# %%
def factors_of(steps, shape, warmup=0, end=0.0, until=None):
    """Factors on the peak learning rate: a linear warm-up, then a shape that falls to `end`."""
    t = np.arange(steps)
    done = np.clip((t - warmup) / ((until or steps) - warmup), 0, 1)
    return np.where(t < warmup, t / max(warmup, 1), end + (1 - end) * shape(done))


# %%
shapes = {"constant": np.ones_like,
          "cosine": lambda done: (1 + np.cos(np.pi * done)) / 2,
          "linear to zero": lambda done: 1 - done,
          "warm-up–stable–decay": lambda done: np.minimum(1, (1 - done) / 0.2)}
constant, cosine, linear, stable = shapes.values()


def forgettings(lr, weight_decay, factors, momentum=0.0):
    """N of (11.1). PyTorch's SGD with momentum divides the decay by 1 − μ (chapter 2)."""
    return weight_decay * lr * np.sum(factors) / (1 - momentum)


# %%
llama = factors_of(500_000, cosine, warmup=2000, end=0.1)
n_llama = forgettings(3e-4, 0.1, llama)

# %% [markdown]
# Llama 2 with seven billion weights took about 500,000 steps at a peak of $3\cdot10^{-4}$, on a cosine that ends at 0.1
# of it, with λ = 0.1. So $N = {{n_llama:.1f}}$. Figure 11.1 has λ and $N$ of recipes whose
# numbers we have seen in a paper or in code: squares for SGD, dots for Adam, open circles for fine-tuning. Where a source gives images or tokens, we divided by
# the batch to get steps.

# %% tags=["hide-input"]
def passes(epochs, batch):
    """Steps of so many passes over the images of ImageNet."""
    return round(epochs * 1_281_167 / batch)


old = np.repeat([1, 0.1, 0.01], passes(30, 256))
scratch = {  # name: learning rate, λ, factors, momentum of a coupled SGD
    "ResNet-50": (0.1, 1e-4, old, 0.9),
    "ResNet-50, 2021": (0.5, 2e-5, factors_of(passes(600, 1024), cosine, passes(5, 1024)), 0.9),
    "ResNet, CIFAR": (0.1, 5e-4, factors_of(78_200, cosine), 0.9),
    "DeiT": (1e-3, 0.05, factors_of(passes(300, 1024), cosine, passes(5, 1024), 0.01)),
    "ConvNeXt-T": (4e-3, 0.05, factors_of(passes(300, 4096), cosine, passes(20, 4096))),
    "MAE": (2.4e-3, 0.05, factors_of(passes(800, 4096), cosine, passes(40, 4096))),
    "ViT-S, big_vision": (1e-3, 0.1, factors_of(passes(89.1, 1024), cosine, 10_000)),
    "ViT": (3e-3, 0.3, factors_of(passes(300, 4096), cosine, 10_000)),
}

# %% tags=["hide-input"]
scratch |= {
    "BERT": (1e-4, 0.01, factors_of(1_000_000, linear, 10_000)),
    "wav2vec 2.0": (5e-4, 0.01, factors_of(400_000, linear, 32_000)),
    "GPT-3 175B": (6e-5, 0.1, factors_of(93_750, cosine, 117, 0.1, 81_250)),
    "Llama 2 7B": (3e-4, 0.1, llama),
    "Pythia 12B": (1.2e-4, 0.1, factors_of(143_000, cosine, 1430, 0.1)),
    "OLMo 7B": (3e-4, 0.1, factors_of(476_837, linear, 5000, 0.1)),
    "OLMo 2 1B": (4e-4, 0.1, factors_of(1_907_348, cosine, 4000, 0.1, 2_384_186)),
    "our chapter 9": (0.01, 3.0, factors_of(400, constant)),
}
published = [name for name in scratch if name != "our chapter 9"]
with_adam = [name for name in published if "ResNet" not in name]
tuned = {"RoBERTa on MNLI": (1e-5, 0.1, factors_of(123_873, linear, 7432)),
         "LoRA, GPT-2 on E2E": (2e-4, 0.01, factors_of(26_289, linear, 500))}
recipes = scratch | tuned
lams = {name: recipe[1] for name, recipe in recipes.items()}
counts = {name: forgettings(*recipe) for name, recipe in recipes.items()}

# %% tags=["hide-input"]
names = sorted(recipes, key=lambda name: (name in tuned, lams[name], counts[name]))


def draw_recipes(ax, values):
    """A mark for each recipe: a square for SGD, a dot for Adam, open where it fine-tunes."""
    for row, name in enumerate(names):
        sgd = "ResNet" in name
        color = figures.ORANGE if sgd else figures.BLUE
        ax.semilogx(values[name], row, "s" if sgd else "o", ms=6, color=color, label=f"_{name}",
                    mfc=color if name in scratch else "none")
    ax.set(xlim=(5e-6, 200), xticks=[1e-5, 1e-3, 1e-1, 10], ylabel=" ")
    ax.grid(axis="y", lw=0.4)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.8, 4.9))
draw_recipes(axes[0], lams), draw_recipes(axes[1], counts)
axes[0].set_yticks(range(len(names)), names)
axes[0].set(xlabel="λ, in PyTorch's form", ylim=(len(names) - 0.5, -0.7))
axes[1].set_xlabel("N, by the end")
of_lam, of_n = ({name: mark.x[0] for name, mark in figures.drawn(ax).items()} for ax in axes)
wide = {(what, len(some)): np.divide(*np.sort([of[f"_{name}"] for name in some])[[-1, 0]])
        for what, of in (("λ", of_lam), ("N", of_n)) for some in (published, with_adam)}
axes[0].set_title("λ: SGD far away"), axes[1].set_title("N: one scale")
figures.show(fig, "Two columns of marks on logarithmic axes, a row for each recipe; squares are "
             "trained by SGD, dots by Adam. Left, λ from "
             f"{of_lam['_ResNet-50, 2021']:.5f} to {of_lam['_our chapter 9']:g}. Right, N: recipes "
             f"that train from scratch lie between {of_n['_GPT-3 175B']:.2f} (GPT-3) and "
             f"{of_n['_OLMo 2 1B']:.0f} (OLMo 2 1B), DeiT and ConvNeXt near "
             f"{of_n['_DeiT']:.1f}; two fine-tuning recipes, drawn as open circles, at "
             f"{of_n['_RoBERTa on MNLI']:.2f} and {of_n['_LoRA, GPT-2 on E2E']:.2f}.")

# %% tags=["hide-input"]
images = [counts[name] for name in ("DeiT", "ConvNeXt-T", "MAE", "ViT-S, big_vision")]
by_sgd = [counts[name] for name in published if name not in with_adam]
claim("11-span", "Among the published recipes that train from scratch, λ spans a factor of {:,.0f}",
      measured=wide["λ", len(published)], above=10_000)
claim("11-span", "Their N spans a factor of {:.0f}, from that of GPT-3 to that of OLMo 2 1B",
      measured=wide["N", len(published)], below=1000)

# %% tags=["hide-input"]
claim("11-sgd", "The N of the three ResNets, up to {:.0f}, lie among those with Adam",
      measured=by_sgd, between=(of_n["_GPT-3 175B"], of_n["_OLMo 2 1B"]))
narrow = wide["λ", len(with_adam)]
claim("11-adam", f"Among those with Adam alone, λ spans a factor of {narrow:.0f}, and "
      "N one that is {:.0f} times as large",
      measured=wide["N", len(with_adam)] / narrow, above=2)

# %% [markdown]
# <details>
# <summary>Where each recipe was read, and what was assumed</summary>
#
# | recipe | read in |
# |---|---|
# | ResNet-50; 2021 | [torchvision](https://github.com/pytorch/vision)'s reference script, its defaults of old; its [new recipe](https://github.com/pytorch/vision/issues/3995) |
# | ResNet, CIFAR | [pytorch-cifar](https://github.com/kuangliu/pytorch-cifar), `main.py` |
# | DeiT, ConvNeXt, MAE | the authors' code: [DeiT](https://github.com/facebookresearch/deit), [ConvNeXt](https://github.com/facebookresearch/ConvNeXt), [MAE](https://github.com/facebookresearch/mae) |
# | ViT-S, big_vision | [big_vision](https://github.com/google-research/big_vision), `vit_s16_i1k.py`; it types $10^{-4}$, which is our 0.1, as it does not multiply λ by the peak of η (§11.4) |
# | ViT | the paper's table for ImageNet; how its code decays we have not seen, so its $N$ supposes the form of PyTorch |
# | BERT, wav2vec 2.0 | [BERT](https://github.com/google-research/bert)'s `optimization.py`; [fairseq](https://github.com/facebookresearch/fairseq)'s configuration |
# | GPT-3 | the paper; its smaller batches at the start are left out |
# | Llama 2 | the paper; batches of four million tokens |
# | Pythia, OLMo | [Pythia](https://github.com/EleutherAI/pythia)'s and [OLMo](https://github.com/allenai/OLMo)'s configurations; that Pythia's Adam is decoupled is its library's default |
# | RoBERTa, LoRA | fairseq's configuration; [LoRA](https://github.com/microsoft/LoRA)'s commands for E2E |
#
# The $N$ of the three ResNets includes the factor $1/(1-\mu) = 10$ of momentum.
#
# </details>
#
# So $N$ puts recipes of *different optimisers* on one scale. The λ of the ResNets is up to {{lams["ViT"] / lams["ResNet-50, 2021"]:,.0f}} times smaller than that of the ViT, but their
# $N$ is {{counts["ResNet-50"]:.0f}} to {{counts["ResNet-50, 2021"]:.0f}}, against the ViT's {{counts["ViT"]:.0f}}. $N$ does not make recipes of *one* optimiser equal. Among those with Adam λ is between 0.01 and 0.3, and $N$ runs from
# {{counts["GPT-3 175B"]:.2f}} to {{counts["OLMo 2 1B"]:.0f}}: the same λ = 0.1 is next to nothing in one language model and very strong in another. Of the five recipes with AdamW
# for ImageNet, four lie between {{min(images):.1f}} and {{max(images):.0f}}, and the ViT at {{counts["ViT"]:.0f}}. Fine-tuning has an $N$ of a few hundredths. What does such a number do to the weights?
#
# ## 11.2 Three numbers instead of two knobs
#
# η and λ are knobs. What they do is better told by three numbers: $N$; the angle θ by which the weights turn in one
# step; and the size of the weights, as the root mean square (RMS) of their entries. This section derives all three.
# It supposes *decoupled* decay, as in AdamW, and calls the optimiser's own update $\eta_tu_t$.
#
# ### Weights are a moving average of updates
#
# 1. One step is $w_{t+1} = (1-\eta_t\lambda)\,w_t-\eta_tu_t$. It keeps most of $w_t$ and adds one update.
# 2. Put the same formula for $w_t$ in place of $w_t$. Now $u_{t-1}$ has the factor $\eta_{t-1}(1-\eta_t\lambda)$.
# 3. Go on down to the start $w_0$. Each update was multiplied by all the shrink factors that came after it:
#
# $$w_T = w_0\prod_{t=0}^{T-1}(1-\eta_t\lambda)-\sum_{i=0}^{T-1}c_iu_i,\qquad
#   c_i = \eta_i\prod_{j=i+1}^{T-1}(1-\eta_j\lambda). \tag{11.2}$$
#
# 4. For small $x$ the logarithm of $1-x$ is about $-x$. So the share of the start that survives is
#
# $$\prod_{t=0}^{T-1}(1-\eta_t\lambda)\approx e^{-N},\qquad
#   \lambda\sum_{i=0}^{T-1}c_i = 1-\prod_{t=0}^{T-1}(1-\eta_t\lambda). \tag{11.3}$$
#
# So the weights $\lambda c_i$ add up to nearly $1-e^{-N}$, and the missing $e^{-N}$ belongs to the start.
# ($\lambda c_i$ is the difference of two neighbouring products, so the sum telescopes.) So trained weights are $-1/\lambda$ times an average of
# past updates, plus $e^{-N}$ of the start. Its memory is $1/(\eta\lambda)$ steps long, and $N$ says how often it fits into the run.


# %%
def average(lr, weight_decay, factors):
    """The c_i of (11.2), and the share of the start that survives."""
    keep = 1 - lr * weight_decay * factors
    later = np.append(np.cumprod(keep[::-1])[::-1], 1.0)
    return lr * factors * later[1:], later[0]


# %% [markdown]
# We check it on `torch.optim.AdamW` itself. Its $u_t$ are the steps of a twin that gets the same gradients and does not decay.

# %%
rng, factors, updates = claims.rng(), factors_of(200, linear), []
start = torch.tensor(rng.standard_normal(50))
w, twin = nn.Parameter(start.clone()), nn.Parameter(start.clone())
pair = {w: torch.optim.AdamW([w], weight_decay=0.4),
        twin: torch.optim.AdamW([twin], weight_decay=0.0)}
for lr in 0.05 * factors:
    before, gradient = twin.detach().clone(), torch.tensor(rng.standard_normal(50))
    for weight, optimizer in pair.items():
        weight.grad, optimizer.param_groups[0]["lr"] = gradient.clone(), lr
        optimizer.step()
    updates.append((before - twin.detach()) / lr)

# %% tags=["hide-input"]
c, share = average(0.05, 0.4, factors)
rebuilt = share * start.numpy() - c @ torch.stack(updates).numpy()
claim("11-average", "AdamW's weights are the average (11.2) of its updates",
      measured=w.detach().numpy() - rebuilt, equals=0, within=1e-9)
claim("11-average", "a warm-up from zero counts half",
      measured=factors_of(200, constant, warmup=100)[:101].mean(), equals=0.5, within=1e-12)
claim("11-average", "λ times the sum of the c_i is one minus the share of the start",
      measured=0.4 * c.sum() + share, equals=1, within=1e-12)
claims.identities()

# %% [markdown]
# Which updates does the average hold? Figure 11.2 shows the $c_i$ for four schedules at three values of $N$. *Predict* where the
# curve of *linear to zero* has its highest point at $N = 2$.

# %% tags=["hide-input"]
def draw_average(ax, n, steps=1000):
    """The weights of updates, divided by their mean, under the four schedules."""
    colors = (figures.ORANGE, figures.GREEN, figures.BLUE, figures.PINK)
    for (name, shape), color, dash in zip(shapes.items(), colors, ("-", "--", "-", "-."),
                                          strict=True):
        factors = factors_of(steps, shape, warmup=50 if shape is stable else 0)
        c, _ = average(1.0, n / factors.sum(), factors)
        ax.plot(np.arange(steps) / steps, c / c.mean(), dash, color=color, label=name)
    ax.set(xlabel="when in the run", ylabel=" ", xticks=[0, 0.5, 1], ylim=(0, 8.4))


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 3, sharey=True, figsize=(7.2, 2.9))
for ax, n in zip(axes, (0.5, 2, 8), strict=True):
    draw_average(ax, n)
    ax.set_title(f"N = {n:g}")
axes[0].set_ylabel("weight of an update\n(1 is the mean)")
axes[0].legend(fontsize=7.5, loc="upper left")
curves = [figures.drawn(ax) for ax in axes]
peaks = [each["linear to zero"].x[each["linear to zero"].y.argmax()] for each in curves]
figures.title(fig, "A large N forgets the early updates; a schedule spreads the rest")
figures.show(fig, "Three panels with the weight of each update in the final average against when "
             "it was made. At N = 0.5 the curves are nearly those of the schedules. At N = 2 the "
             f"constant rate favours late updates, linear-to-zero those near {peaks[1]:.2f}. At "
             f"N = 8 a constant rate gives the last one {curves[2]['constant'].y[-1]:.1f} times "
             "the mean weight and the first half next to none; linear-to-zero is highest at "
             f"{peaks[2]:.2f}.")

# %% tags=["hide-input"]
shares = [average(1.0, 2 / factors_of(1000, shape).sum(), factors_of(1000, shape))[1]
          for shape in shapes.values()]
claim("11-share", "After N = 2 a share of {:.3f} of the start is left under all four schedules, "
      "near e^(−2)", measured=shares, equals=np.exp(-2), within=0.002)

# %% tags=["hide-input"]
claim("11-peak", "Under linear-to-zero the best-remembered update is made at 1 − 1/√(2N) of the "
      "run: for N = 2 at {:.2f}", measured=peaks[1], equals=1 - 1 / np.sqrt(4), within=0.01)

# %% [markdown]
# At $N = 0.5$ more than half of the start is still there ({{100 * np.exp(-0.5):.0f}} %). At $N = 8$ it is gone, and under a constant rate so is
# most of the run. Linear-to-zero forgets early and averages late. This is the trade-off in every choice of λ:
# *forget the bad beginning, but average over enough of the rest*
# ([Bergsma et al., 2025a](https://arxiv.org/abs/2502.15938), who draw such curves for language models).
#
# ### How large the weights get, and how far they turn
#
# Suppose that updates $u$ have RMS one and no preferred direction, and that each is independent of those before it. Adam's are such under pure noise without momentum ($\beta_1 = 0$). Then decay and updates reach a balance, the
# *equilibrium* of [chapter 8](08_effective_learning_rate.ipynb). Write $r$ for the norm of $w$, and $d$ for the number of its entries, so that its RMS is $r/\sqrt d$.
#
# 1. Decay takes $w$ to $(1-\eta\lambda)\,w$. The update, of length $\eta\sqrt d$, stands at a right angle to it, on average. By Pythagoras
#    $r_{t+1}^2 = (1-\eta\lambda)^2r_t^2+\eta^2d$ (Figure 11.3, left).
# 2. In equilibrium $r_{t+1} = r_t = r_*$. Solve for it:
#
# $$\frac{r_*}{\sqrt d}=\sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}}\approx\sqrt{\frac{\eta}{2\lambda}}. \tag{11.4}$$
#
# 3. In the right triangle the cosine of the angle is the leg over the hypotenuse, and the hypotenuse is as long as $w$:
#
# $$\cos\theta_* = 1-\eta\lambda,\qquad\theta_*\approx\sqrt{2\eta\lambda}. \tag{11.5}$$
#
# So the *ratio* η/λ sets the size, and the *product* ηλ sets the turn.
#
# With momentum, Adam's updates are *not* independent. It spends each gradient in portions of $(1-\beta_1)\beta_1^k$, one in each of the following steps. The portions
# add up to one, so over many steps the weights receive the same sum as without momentum, only later: the RMS stays (11.4). A *single* update mixes
# many gradients, which partly cancel. Its RMS is not one but $\sqrt{(1-\beta_1)/(1+\beta_1)} = {{np.sqrt(0.1 / 1.9):.2f}}$, and the turn of a single step is that factor times (11.5)
# ([chapter 9](09_adaptive_optimisers.ipynb)).

# %%
lr, weight_decay, starts = 0.002, 1.0, np.array([[0.1], [1.0], [5.0]])
w = nn.Parameter(torch.tensor(starts * np.sqrt(lr / 2) * rng.standard_normal((3, 1000))))
optimizer, path = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay), [w.detach().clone()]
for _ in range(2000):
    w.grad = torch.tensor(rng.standard_normal((3, 1000)))
    optimizer.step()
    path.append(w.detach().clone())
path = torch.stack(path).numpy()

# %% tags=["hide-input"]
rms = np.sqrt((path**2).mean(-1)) / np.sqrt(lr / 2 / weight_decay)
norms = np.linalg.norm(path, axis=-1)
cosines = (path[:-1] * path[1:]).sum(-1) / norms[:-1] / norms[1:]
turns = np.arccos(cosines)

# %% tags=["hide-input"]
def draw_triangle(ax):
    """One step in equilibrium: w, what decay leaves of it, and the next w."""
    tip, arc = (2.9, 2.75), np.linspace(0, np.arctan2(2.75, 2.9))
    arrows = ((0, 0), (4, 0), figures.GREY), ((0, 0), tip, figures.BLUE), \
        ((2.9, 0), tip, figures.GREEN), ((4, -0.2), (2.9, -0.2), figures.ORANGE)
    for begin, end, color in arrows:
        ax.annotate("", end, begin, arrowprops={"arrowstyle": "->", "lw": 1.8, "color": color,
                                                "shrinkA": 0, "shrinkB": 0})
    ax.plot([2.65, 2.65, 2.9], [0, 0.25, 0.25], color=figures.GREY, lw=0.8)
    ax.plot(0.8 * np.cos(arc), 0.8 * np.sin(arc), color=figures.GREY, lw=0.8)
    ax.text(3.45, -0.65, "decay ηλw", color=figures.ORANGE, ha="center")
    ax.text(3.0, 1.3, "update ηu", color=figures.GREEN), ax.text(0.9, 0.25, "θ")
    ax.text(0.5, 1.55, "next w", color=figures.BLUE), ax.text(1.5, -0.45, "w", color=figures.GREY)
    ax.set(xlim=(-0.2, 4.9), ylim=(-0.9, 3.1), aspect="equal", xticks=[], yticks=[],
           xlabel="(decay is drawn far too large)", ylabel=" ")
    ax.spines[:].set_visible(False), ax.set_title("One step in equilibrium")


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 2.9))
draw_triangle(axes[0])
for k, name in enumerate(("from a tenth", "from equilibrium", "from five times")):
    axes[1].semilogy(np.arange(0, 2001, 20), rms[::20, k], label=name)
axes[1].axhline(1, color=figures.GREY, ls=":")
axes[1].set(xlabel="step", ylabel="RMS ÷ √(η/2λ)", ylim=(0.08, 7))
axes[1].set_yticks([0.1, 1, 5], ["0.1", "1", "5"]), axes[1].legend(fontsize=8)
axes[1].set_title("AdamW: every start ends there")
ends = [curve.y[-1] for curve in figures.drawn(axes[1]).values() if curve.y.size > 10]
figures.show(fig, "Left, a drawing: the weight w shrinks along itself by the decay ηλw, the update "
             "ηu stands at a right angle to it, and the next w is as long as w, turned by θ. "
             "Right, the RMS of weights under AdamW, divided by √(η/2λ), over 2,000 steps from "
             f"three starts, the smallest at 0.1, the largest at 5: they end at {ends[0]:.2f}, "
             f"{ends[1]:.2f} and {ends[2]:.2f}.")

# %% tags=["hide-input"]
claim("11-rms", "Under AdamW and noise, weights end at {:.2f} times the RMS √(η/2λ)",
      measured=rms[1200:, :2].mean(), equals=1, within=0.05)

# %% tags=["hide-input"]
claim("11-turn", "Their turn per step is {:.2f} times √(2ηλ) √((1 − β₁)/(1 + β₁))",
      measured=turns[1200:, :2].mean() / np.sqrt(2 * lr * weight_decay * 0.1 / 1.9),
      equals=1, within=0.05)

# %% [markdown]
# ### A budget that always holds
#
# Real gradients are not pure noise, and real runs are short. One equation needs no equilibrium at all. Let
# $p_t = \langle w_t,\eta_tu_t\rangle/r_t^2$ be the *push*: how much the update itself pulls the weight inwards. (A negative push is outwards.)
#
# 1. The inner product of $w_t$ with $w_{t+1} = (1-\eta_t\lambda)w_t-\eta_tu_t$ is $r_t^2(1-\eta_t\lambda-p_t)$.
# 2. Divide by $r_tr_{t+1}$ to get the cosine, and take the logarithm:
#
# $$-\ln\cos\theta_t = -\ln(1-\eta_t\lambda-p_t)+\ln\frac{r_{t+1}}{r_t}. \tag{11.6}$$
#
# For small angles it reads *½θ² = decay + push + growth*. A weight can only turn if it decays, is pushed inwards, or
# grows. In equilibrium there is no growth. Where the loss ignores the size of the weights, the gradient has no inward part, so under SGD there is
# no push either, and (11.5) is what remains.
#
# The same holds between two *looks* that are many steps apart. Put the product $\prod(1-\eta_t\lambda)$ in the place of $1-\eta_t\lambda$, and let the push be
# that of everything else that has moved $w$. These four lines are the heart of the audit in §11.5.

# %%
before, after = path[:-20:20], path[20::20]  # looks that are 20 steps apart
keep = (1 - lr * weight_decay) ** 20  # what decay alone leaves
push = keep - (before * after).sum(-1) / (before**2).sum(-1)
growth = np.log(norms[20::20] / norms[:-20:20])

# %% tags=["hide-input"]
cosine_of_looks = (before * after).sum(-1) / norms[:-20:20] / norms[20::20]
claim("11-budget", "Both sides of (11.6) agree between all looks at the three runs",
      measured=-np.log(keep - push) + growth + np.log(cosine_of_looks), equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# ### The plane of η and λ
#
# Figure 11.4 is a map of the three. On logarithmic axes lines of equal ηλ fall: along them $N$ and the turn stay. Lines of equal η/λ
# rise: along them the RMS stays. So to change the RMS alone, move along a falling line, and to change $N$ alone, along a rising one. λ alone changes both.

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.2, 3.9))
rates = np.array([1e-4, 3e-3])
for size in (0.02, 0.05):  # RMS² = η/2λ
    ax.loglog(rates, rates / 2 / size**2, ":", color=figures.ORANGE, label=f"RMS {size:g}")
for n in (0.25, 1, 4, 16):  # 10,000 steps, linear to zero: the mean rate is half the peak
    ax.loglog(rates, 2 * n / 10_000 / rates, color=figures.BLUE, label=f"N = {n:g}")
ax.plot(1e-3, 0.2, "o", color=figures.GREY, ms=8, label="_a run")
ax.annotate("", (1e-3, 0.8), (1e-3, 0.2),
            arrowprops={"arrowstyle": "->", "lw": 1.8, "color": figures.GREY})
ax.text(1.08e-3, 0.45, "4 λ", color=figures.GREY), ax.text(1.12e-3, 0.2, "a run", va="center")
ax.set(xlabel="peak η (10,000 steps, linear to zero)", ylabel="λ", ylim=(0.01, 10))
ax.set_xlim(1e-4, 8e-3), ax.minorticks_off(), figures.label_lines(ax)
ax.set_title("Two knobs, and what they do")
figures.show(fig, "The plane of η and λ on logarithmic axes. Falling lines join runs of equal N, "
             "from N = 0.25 to 16; rising dotted lines those of equal RMS, 0.02 and 0.05. A "
             "point at η = 0.001 and λ = 0.2 lies on N = 1; an arrow leads up to "
             "λ = 0.8, on N = 4 and with half the RMS.")

# %% [markdown]
# We do not yet know which values are good.
#
# ## 11.3 Which N is best?
#
# If $N$ told the whole story, one good $N$ would serve every run. We put this to a test that it can fail. A network with batch norm learns MNIST-1D (signals of
# 40 numbers, ten classes) by AdamW, linear to zero, in runs of 100, 200, 400 and 800 steps with batches of 25. There
# are two ways to make a run longer, and people often do not say which they mean:
#
# - **more data**: 250, 500, 1,000 and 2,000 signals, so that each run passes its data {{below: 25 * lengths[0] / 250:.0f}} times;
# - **more passes**: always the same 500 signals, passed {{below: 25 * lengths[0] / 500:.0f}} to {{below: 25 * lengths[3] / 500:.0f}} times.
#
# Here and below only the matrices decay: biases, γ and β do not.
#
# *Predict:* in which of the two does the best λ stay the same? In which does the best $N$?

# %%
signals, grid = load("mnist1d"), np.array([1 / 4, 1, 4, 16, 64])
orders = [np.random.default_rng(seed).permutation(4000) for seed in seeds(5)]
held_out = [np.stack([part[4000:]] * 5) for part in (signals.X, signals.y)]


# %%
def valley(n, steps, lr=0.03):
    """The λ of the grid of N, the held-out loss by seed and λ, and that of the default 0.01."""
    rows = np.stack([order[:n] for order in orders])  # each seed draws its own signals
    decays = grid / forgettings(lr, 1, factors_of(steps, linear))
    run = sweep(MLP((40, 32, 10), norm="batch"), signals.X[rows], signals.y[rows],
                test=held_out, loss="cross_entropy", optimizer="adamw", beta2=0.98, lr=lr,
                weight_decay=[0.01, *decays], schedule=lambda step: max(0, 1 - step / steps),
                steps=steps, batch_size=25, seeds=seeds(5), record_every=steps, evaluate_on=250)
    losses = run.test_loss.values[..., -1]
    return {"λ": decays, "loss": losses[:, 1:], "default": losses[:, 0]}


# %%
lengths = [100, 200, 400, 800]
more_data = [valley(n, steps) for n, steps in zip((250, 500, 1000, 2000), lengths, strict=True)]
more_passes = [valley(500, 100), more_data[1], valley(500, 400), valley(500, 800)]


# %% tags=["hide-input"]
def lowest(losses, at):
    """Where a parabola in log₂ through the lowest point and its two neighbours is lowest."""
    k = losses.argmin()
    if k in (0, len(at) - 1):
        return np.log2(at[k])
    around = slice(k - 1, k + 2)
    square, tilt, _ = np.polyfit(np.log2(at[around] / at[k]), losses[around], 2)
    return np.log2(at[k]) - tilt / (2 * square)


def best_of(runs):
    """log₂ of the best N and of the best λ, by run and seed."""
    n = np.array([[lowest(losses, grid) for losses in run["loss"]] for run in runs])
    return n, n + np.log2([[run["λ"][0] / grid[0]] for run in runs])


def slope(values):
    """Interval of the slope in the number of doublings, from log₂ by run and seed."""
    doublings = np.arange(len(values)) - (len(values) - 1) / 2
    return interval(doublings @ values / (doublings**2).sum())


# %% tags=["hide-input"]
two = {"more data": more_data, "more passes": more_passes}
best = {name: best_of(runs) for name, runs in two.items()}
slopes = {(name, what): slope(values) for name, pair in best.items()
          for what, values in zip("Nλ", pair, strict=True)}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.3))
colors = [figures.SKY, figures.GREEN, figures.ORANGE, figures.BLUE]
for ax, (name, runs) in zip(axes, two.items(), strict=True):
    for run, steps, color in zip(runs, lengths, colors, strict=True):
        mean, low, high, _ = interval(run["loss"])
        ax.semilogx(grid, mean, "o-", ms=4, color=color, label=f"{steps:,}")
        ax.fill_between(grid, low, high, color=color, alpha=0.2, lw=0)
        ax.plot(grid[mean.argmin()], mean.min(), "o", ms=11, mfc="none", color=color, label="_low")
    ax.set(xlabel="N", ylim=(1.2, 2.9), ylabel=" ", xticks=grid)
    ax.set_xticks(grid, ["¼", "1", "4", "16", "64"]), ax.minorticks_off()
axes[0].set_ylabel("loss on held-out signals")
legend = axes[1].legend(title="steps", fontsize=8)

# %% tags=["hide-input"]
axes[0].set_title("More data: best N falls"), axes[1].set_title("More passes: best N rises")
drawn = [figures.drawn(ax) for ax in axes]
lows = [[curve.x[curve.y.argmin()] for curve in each.values() if curve.y.size == 5]
        for each in drawn]
figures.show(fig, "Held-out loss against N on a logarithmic axis, with bands for the intervals "
             "of five seeds, and a ring around each lowest point. Left, with more data the curves "
             "move down, and their "
             f"lowest points to the left, from N = {lows[0][0]:g} at 100 steps to {lows[0][-1]:g} "
             "at 800. Right, with more passes over the same signals the left ends rise, to "
             f"{drawn[1]['800'].y[0]:.1f}, and the lowest points move from N = {lows[1][0]:g} "
             f"to {lows[1][-1]:g}.")

# %% [markdown]
# Look at Figure 11.5 for what stays the same, and you find neither. Figure 11.6 shows it as slopes. On logarithmic axes the
# rule *keep λ* is a flat line, and the rule *keep N* is a line of slope −1, as $N$ is proportional to λ times the number of steps.

# %% tags=["hide-input"]
def draw_best(ax, at, by_seed, rules):
    """The best λ with its intervals, and rules as lines through the middle of the points."""
    mean, low, high, _ = interval(by_seed.T)
    ax.vlines(at, 2**low, 2**high, color=figures.BLUE)
    ax.loglog(at, 2**mean, "o", ms=6, color=figures.BLUE, label="_best λ")
    for (rule, power), dash in zip(rules.items(), ("--", "-.", ":"), strict=False):
        middle = np.exp(np.log(at).mean())
        ax.plot(at, 2 ** mean.mean() * (at / middle) ** power, dash, color=figures.GREY, label=rule)
    ax.set_ylabel(" "), ax.set_xticks(at, [f"{value:,}" for value in at])
    ax.minorticks_off(), figures.label_lines(ax)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.1))
for ax, (_, by_seed) in zip(axes, best.values(), strict=True):
    draw_best(ax, np.array(lengths), by_seed, {"keep λ": 0, "keep N": -1})
    ax.set(xlabel="steps", xlim=(85, 1800), ylim=(0.01, 15))
axes[0].set_title("More data: λ falls fast"), axes[1].set_title("More passes: λ rises")
axes[0].set_ylabel("best λ")
found = [figures.drawn(ax)["_best λ"] for ax in axes]
figures.show(fig, "Best λ against the number of steps, both logarithmic, with intervals over five "
             f"seeds. Left, with more data it falls from {found[0].y[0]:.1f} to "
             f"{found[0].y[-1]:.2f}, steeper than the line of the rule keep N. Right, with "
             f"more passes it rises from {found[1].y[0]:.1f} to {found[1].y[-1]:.1f}, while "
             "the rule keep λ is flat and the rule keep N falls.")

# %% tags=["hide-input"]
claim("11-data", "With more data the best λ falls with the number of steps to the power {:.2f}, "
      "faster than keeping N, which is −1", measured=slopes["more data", "λ"].mean,
      between=(-1 - 8 / 3, -1))  # the grid of N spans eight doublings, the runs three

# %% tags=["hide-input"]
claim("11-passes", "With more passes over the same data the best λ goes with the power {:.2f} of "
      "the steps; to keep λ would be 0, to keep N −1",
      measured=slopes["more passes", "λ"].mean, above=0)

# %% tags=["hide-input"]
every = [*more_data, more_passes[0], *more_passes[2:]]  # the seven runs
saved = np.array([(run["default"] - run["loss"][:, 1]).mean() for run in every])
spread = {what: 2 ** np.ptp(np.concatenate([pair[k].mean(1) for pair in best.values()]))
          for k, what in enumerate("Nλ")}
claim("11-default", "PyTorch's default λ = 0.01 has on average {:.2f} more loss than a first "
      "try of N = 1", measured=saved.mean(), above=0)

# %% [markdown]
# What have we learnt?
#
# - **There is no universal best $N$.** Over the seven runs the best $N$ differs by a factor of {{spread["N"]:.0f}}, the best λ by {{spread["λ"]:.0f}}.
# - **More data: lower λ.** The slope is −{{abs(slopes["more data", "λ"].mean):.1f}} ± {{slopes["more data", "λ"].half:.1f}}, steeper than keeping $N$. (Here and below, what follows ± is half the width of the confidence interval over five seeds.)
# - **More passes: raise λ.** The slope is {{slopes["more passes", "λ"].mean:.1f}} ± {{slopes["more passes", "λ"].half:.1f}}. (Where a seed's best $N$ is at an end of our grid we took the end; without the ends both slopes would be steeper.)
# - **The floor is flat where data are plenty.** With 2,000 signals everything from λ = 0.01 to $N = 4$ lies within {{np.ptp(np.append(more_data[3]["loss"].mean(0)[:3], more_data[3]["default"].mean())):.2f}} of
#   loss. With 500 signals in {{25 * lengths[3] / 500:.0f}} passes it is a steep valley: λ = 0.01 costs {{more_passes[3]["default"].mean() - more_passes[3]["loss"].mean(0).min():.1f}}.
# - **A short run does not find the λ of a long one.** Tries must be of full length.
#
# (In the short runs our largest λ have $\eta\lambda$ near 1, where $e^{-N}$ is no longer the share of the start. They are far from the best.)
#
# Why? Two causes could explain this, and the experiment cannot tell them apart. More data leave less to regularise, and more passes more. But
# under batch norm λ also acts through ηλ, as a learning rate, and with a fixed η it may just have been too small in 100 steps.
#
# Others find other slopes. For Wang and Aitchison ([2025](https://arxiv.org/abs/2405.13698)) the best memory $1/(\eta\lambda)$,
# *in passes over the data*, is about constant: −1 for more data, 0 for more passes.
# For language models that see each token *once*, Bergsma et al. ([2025b](https://arxiv.org/abs/2505.13738)) find that the best memory as a *share of the run*, which is $1/N$,
# falls with the number of tokens per parameter, as a power. So for one model more data mean a *larger* $N$, and λ falls more slowly than $1/T$: the opposite of our left panel.
#
# No rule replaces trying. What $N$ gives you is a scale to try on. **The recipe:**
#
# 1. Compute $S = \sum\eta_t$, so that $N = \lambda S$. Run the λ that you have, and audit that run (§11.5).
# 2. Run $N = \frac14, 1, 4$, that is $\lambda = N/S$, on matrices only and at *full length*.
# 3. If the best is at an end, go on by factors of 4. Stop below $N = 0.05$: there decay takes less than {{100 * (1 - np.exp(-0.05)):.0f}} % of a weight, and little is left to find.
# 4. Choose on validation data. If over several seeds the best may be no better than what you had, keep what you had. Test once.
#
# §11.6 follows it on real data, and §11.8 has it on one page.
#
# ## 11.4 Carrying λ over to another run
#
# Suppose that λ is good, and you change something else. Each rule in the table follows from one question: which of the three numbers do
# you want to keep? An *identity* holds for every model, given its condition; an *observation* need not.
#
# | you change | do this to λ | it keeps | kind | who says so |
# |---|---|---|---|---|
# | $\eta\to c\,\eta$ | $\lambda\to\lambda/c$ | $N$, θ | identity, if the loss ignores scale, the start is scaled by $c$, and ε = 0 | chapter 9 |
# | the schedule | so that $\lambda\sum\eta_t$ stays | $N$ | identity for the start's share (11.3) | §11.2 |
# | batch $\to cB$, same passes, same η | $\lambda\to c\,\lambda$ | $N$ | identity for $N$; that it is *best* is an observation | [Bergsma et al.](https://arxiv.org/abs/2505.13738) |
# | data × $c$, same number of passes | $\lambda/c$; ours fell faster | $N$ | observations, which disagree | [Wang and Aitchison](https://arxiv.org/abs/2405.13698); §11.3 |
# | data × $c$, one pass | less than $\lambda$, more than $\lambda/c$ | no number: $N$ rises | observation, language models | [Bergsma et al.](https://arxiv.org/abs/2505.13738) |
# | passes × $c$, same data | λ stays; ours rose | memory in passes | observations, which disagree | [Wang and Aitchison](https://arxiv.org/abs/2405.13698); §11.3 |
# | width $m\to cm$ with $\eta\to\eta/c$ | they disagree: $\lambda$, $\sqrt c\lambda$, $c\lambda$ | see Figure 11.7 | observation | below |
# | PyTorch's form → the paper's form | $\lambda_\text{paper} = \eta\lambda$, η the peak | every step | identity | chapter 3 |
# | AdamW → SGD with momentum | $\lambda_\text{SGD}\,\eta_\text{SGD}/(1-\mu) = \lambda\eta$ | $N$ | identity while gradients are zero, after the first steps | chapter 2 |
# | AdamW → Muon | update × $0.2\sqrt{\max(m, n)}$, then same η, λ | $N$, and the update's RMS | identity for the update; the weights' RMS depends on its momentum, too | [Moonlight](https://arxiv.org/abs/2502.16982) |
#
# *Learning rate:* write $w = c\,\tilde w$ in the step of AdamW, whose update does not notice the scale: both sides divide by $c$.
# *Batch:* there are $1/c$ times as many steps, so λ must be $c$ times as large for the same sum.
# *Paper's form:* the original AdamW multiplies decay by the schedule's factor $s_t$ alone, and $s_t\lambda_\text{paper} = \eta_t\lambda$.
# *Muon:* its update $UV^\top$ of an $m\times n$ matrix has orthonormal columns or rows, so its RMS is $1/\sqrt{\max(m, n)}$; Adam's is about 0.2, the {{np.sqrt(0.1 / 1.9):.2f}} of §11.2.
# The next three cells test the identities.


# %%
def direction(lr, weight_decay, scale):
    """Train a weight whose length the loss ignores; return the direction after 300 steps."""
    rng = claims.rng(1)
    w = nn.Parameter(scale * torch.tensor(rng.standard_normal(20)))
    inputs, targets = (torch.tensor(rng.standard_normal(shape)) for shape in ((60, 20), 60))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay, eps=0)
    for _ in range(300):
        optimizer.zero_grad()
        (inputs @ w / w.norm() - targets).square().mean().backward()
        optimizer.step()
    return (w / w.norm()).detach().numpy()


# %%
shares_left = {"constant, 800 steps": average(0.005, 1.0, factors_of(800, constant))[1],
        "linear, 1600 steps": average(0.005, 1.0, factors_of(1600, linear))[1],
        "twice the batch": average(0.005, 2.0, factors_of(800, linear))[1],
        "three times η": average(0.015, 2 / 3, factors_of(800, linear))[1]}

# %%
weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer = torch.optim.SGD([weight], lr=0.01, momentum=0.9, weight_decay=0.01)
for _ in range(4000):
    weight.grad = torch.zeros(1, dtype=torch.float64)  # no gradient
    optimizer.step()
shares_left["SGD, μ = 0.9"] = weight.item()

# %%
few = {"lr": 0.01, "steps": 50, "loss": "cross_entropy", "batch_size": 50,
       "schedule": lambda step: 1 - step / 50}
pair = [sweep(MLP((40, 24, 10)), signals.X[:500], signals.y[:500], optimizer=name,
              weight_decay=weight_decay, **few).weight0.values
        for name, weight_decay in (("adamw", 3.0), ("adamw_paper", 0.01 * 3.0))]

# %%
matrix = torch.tensor(claims.rng(2).standard_normal((30, 70)))
U, _, V = torch.linalg.svd(matrix, full_matrices=False)
muon = 0.2 * 70**0.5 * (U @ V).square().mean().sqrt()

# %% tags=["hide-input"]
claim("11-scale", "If η is tripled, and λ and the start are adapted, AdamW goes the same way",
      measured=direction(0.03, 1 / 3, 3.0) - direction(0.01, 1.0, 1.0), equals=0, within=1e-6)
claim("11-paper", "λ_paper = ηλ takes the steps of PyTorch's AdamW, under a schedule",
      measured=pair[0] - pair[1], equals=0, within=1e-9)
claim("11-muon", "Muon's update has RMS 0.2 after the factor 0.2 √max(m, n)",
      measured=muon.item(), equals=0.2, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
claim("11-same", "Five runs with N = 4 leave e^(−4) of the start, to within 4 %",
      measured=np.array([*shares_left.values()]) * np.exp(4), equals=1, within=0.04)

# %% [markdown]
# ### Where the rules disagree: width
#
# For hidden layers of width $m$ the rule of maximal update ([μP](https://arxiv.org/abs/2203.03466)) sets $\eta\propto1/m$ under Adam. What becomes of λ? The literature has three
# answers.
#
# - **λ stays.** By (11.4) the RMS then goes as $1/\sqrt m$, as the initial weights do, but $N$ falls as $1/m$.
# - **$\lambda\propto\sqrt m$.** Fan et al. ([2025](https://arxiv.org/abs/2510.15262)) measure that the largest singular value goes
#   as $\sqrt{\eta/\lambda}\,m^{3/4}$, and this rule keeps it.
# - **$\lambda\propto m$.** Then ηλ is constant, and so are $N$ and θ. Kosson et al. ([2025](https://arxiv.org/abs/2510.19093)) and Wang and Aitchison argue for
#   this *independent* decay: after the start, decay sets the size of relative updates, and μP's assumptions no longer hold.
#
# We put them side by side on two networks. Two hidden layers of 12, 30 and 75
# units learn 1,000 signals in 240 steps, once without normalisation and once with batch norm. For simplicity η goes as $1/m$ in *all* tensors; in μP it would stay for the biases and the first matrix. *Predict:* which rule fits which?

# %%
widths, tried = np.array([12, 30, 75]), np.geomspace(0.125, 8, 5)
rows = np.stack(orders)[:, :1000]


def by_width(norm, width, lr=0.36):
    """log₂ of the best λ by seed, for η = 0.36/m."""
    decays = tried / forgettings(lr / width, 1, factors_of(240, linear))
    run = sweep(MLP((40, width, width, 10), norm=norm), signals.X[rows], signals.y[rows],
                test=held_out, loss="cross_entropy", optimizer="adamw", beta2=0.98,
                lr=lr / width, weight_decay=decays, schedule=lambda step: 1 - step / 240,
                steps=240, batch_size=50, seeds=seeds(5), record_every=240, evaluate_on=250)
    return [lowest(losses, decays) for losses in run.test_loss.values[..., -1]]


nets = {"no normalisation": None, "batch norm": "batch"}
by_net = {name: np.array([by_width(norm, int(m)) for m in widths]) for name, norm in nets.items()}

# %% tags=["hide-input"]
powers = {name: slope(values / np.log2(2.5)) for name, values in by_net.items()}
apart = slope((by_net["batch norm"] - by_net["no normalisation"]) / np.log2(2.5))

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.2))
for ax, by_seed in zip(axes, by_net.values(), strict=True):
    draw_best(ax, widths, by_seed, {"λ": 0, "√m λ": 0.5, "m λ": 1})
    ax.set(xlabel="width m (η ∝ 1/m)", xlim=(10, 125), ylim=(0.1, 12))
axes[0].set_title("No normalisation: λ rises"), axes[1].set_title("Batch norm: λ rises")
axes[0].set_ylabel("best λ")
found = [figures.drawn(ax)["_best λ"] for ax in axes]
figures.show(fig, "Best λ against width, both logarithmic, with intervals over five seeds and the "
             "three rules as lines through the middle. Left, without normalisation, it rises "
             f"from {found[0].y[0]:.2f} to {found[0].y[-1]:.1f}; right, with batch norm, from "
             f"{found[1].y[0]:.2f} to {found[1].y[-1]:.1f}. The flat line of the rule that keeps "
             "λ fits neither.")

# %% tags=["hide-input"]
claim("11-width", "Without normalisation the best λ rises with the width, to the power {:.2f}",
      measured=powers["no normalisation"].mean, above=0)
claim("11-width", "With batch norm it rises with the width, to the power {:.2f}",
      measured=powers["batch norm"].mean, above=0)

# %% [markdown]
# Without normalisation the power is {{powers["no normalisation"].mean:.2f}} ± {{powers["no normalisation"].half:.2f}}: the root rule fits. With batch norm it is {{powers["batch norm"].mean:.2f}} ± {{powers["batch norm"].half:.2f}}, and both others fit. The experiment
# rejects *keep λ*. It does not show that batch norm matters: the two powers differ by {{apart.mean:.1f}} ± {{apart.half:.1f}}.
# With $\eta\propto1/m$ raise λ with the width, by a power between ½ and 1, and check.
#
# ### A worked failure: a law used with the wrong η
#
# > Giles Thomas [asked](https://www.gilesthomas.com/2026/03/llm-from-scratch-32f-interventions-weight-decay) for the best λ of a small GPT-2. With 0.1 he reached a test loss of 3.692. A scaling law
# > gave him 0.337 and a *worse* 3.814, and he suspected his derivation; according to a summary of his posts the correct value was about 0.096.
# > A law for the memory fixes the *product* ηλ: an η too small by a factor gives a λ too large by the same factor, here
# > {{0.337 / 0.096:.1f}}, the ratio of two learning rates that he considered, 0.0014 and 0.0004. But λ = 0.01, which no law had proposed, reached 3.643, his best, {{0.096 / 0.01:.0f}} times below the corrected law. All are
# > single runs. A law is a place to begin the tries, not their end.

# %% [markdown]
# ## 11.5 The audit of a model
#
# What does λ do in a run, tensor by tensor? Three lines tell: make a `Watch`, call its
# `step()` now and then after `optimizer.step()`, ask for the result. It only reads: training is the same to the last bit.


# %%
def audited(model, optimizer, loss, batches, scheduler=None):
    """Train on the batches and look every 20 steps; the loss then says what is invariant."""
    watch = Watch(model, optimizer, total_steps=len(batches))
    for step, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        if step % 20 == 0:
            watch.step()
        if scheduler:
            scheduler.step()
    return watch.result(lambda model: loss(model, batches[-1]))


# %% [markdown]
# The first model is a network with batch norm, whose every parameter decays, as by default. What will the audit say of γ?

# %%
def cross_entropy(model, batch):
    inputs, labels = batch
    return functional.cross_entropy(model(inputs), labels)


# %%
X, y = (torch.tensor(part[orders[0]]) for part in (signals.X[:4000], signals.y[:4000]))
batches = [(X[rows], y[rows]) for rows in torch.arange(16_000).remainder(4000).split(40)]
torch.manual_seed(seeds(1)[0])
mlp = nn.Sequential(nn.Linear(40, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
                    nn.Linear(48, 10)).double()
adamw = torch.optim.AdamW(mlp.parameters(), lr=0.02, weight_decay=0.5)
of_mlp = audited(mlp, adamw, cross_entropy, batches)


# %%
def verdicts_of(audit, names=""):
    """The columns of an audit that fit a page, as lines of text."""
    for name in (name for name in audit.data.tensor.values if name.startswith(names)):
        row = audit.data.sel(tensor=name)
        ratio = f"RMS ratio {row.rms_ratio.item():.2f}" if row.N_end.item() else ""
        print(f"{name:22} N = {row.N_end.item():<4.2g}  {ratio:14}  {row.verdict.item()}")


verdicts_of(of_mlp)

# %% [markdown]
# *RMS ratio* is the RMS divided by $\sqrt{\eta/2\lambda}$ of (11.4). The batch norm makes the loss ignore the size of the first matrix,
# and its ratio is near 1: there λ sets the turn and nothing else. The last matrix is not invariant, and λ is a
# penalty on it, as in chapter 1. γ, β and the bias decay although their roles say that they rarely should ([chapter 6](06_bias_exclusion.ipynb)).
#
# The second model is a small transformer of the kind that is trained today: two blocks with RMSNorm in front, and queries and keys that are normalised
# as well (QK-norm). It learns to continue Shakespeare's sonnets, letter by letter.

# %% tags=["hide-input"]
class Block(nn.Module):
    """Attention with normalised queries and keys, then two layers; a norm before each part."""

    def __init__(self, d, heads=2):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.RMSNorm(d), nn.RMSNorm(d)
        self.query, self.key, self.value, self.out = (nn.Linear(d, d, bias=False) for _ in "qkvo")
        self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

    def forward(self, x):
        h, shape = self.norm1(x), (*x.shape[:2], self.heads, -1)
        q, k, v = (part(h).view(shape).transpose(1, 2) for part in (self.query, self.key,
                                                                    self.value))
        q, k = (functional.rms_norm(part, part.shape[-1:]) for part in (q, k))
        future = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(future, -torch.inf)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))
        return x + self.down(self.up(self.norm2(x)).relu())


# %% tags=["hide-input"]
class Poet(nn.Module):
    """A transformer that continues a text, letter by letter."""

    def __init__(self, letters, d, blocks, context):
        super().__init__()
        self.token, self.place = nn.Embedding(letters, d), nn.Embedding(context, d)
        self.blocks = nn.Sequential(*(Block(d) for _ in range(blocks)))
        self.norm, self.head = nn.RMSNorm(d), nn.Linear(d, letters, bias=False)

    def forward(self, letters):
        h = self.token(letters) + self.place.weight[: letters.shape[1]]
        return self.head(self.norm(self.blocks(h))).transpose(1, 2)


# %% tags=["hide-input"]
letters = sorted(set(sonnets()))
poems = {name: torch.tensor([letters.index(letter) for letter in sonnets(*numbers)])
         for name, numbers in (("train", (1, 50)), ("validation", (51, 60)), ("test", (61, 70)))}


# %% tags=["hide-input"]
def pages(text, count, size, context, seed):
    """So many batches of pieces of a text, each with the letters that come next."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.randint(len(text) - context, (count, size, 1), generator=draw)
    return [(text[at + torch.arange(context)], text[at + 1 + torch.arange(context)])
            for at in places]


# %%
def groups(model, weight_decay):
    """Two parameter groups: matrices, the embeddings among them, decay, and nothing else does."""
    matrices = [each for each in model.parameters() if each.ndim > 1]
    others = [each for each in model.parameters() if each.ndim == 1]
    return [{"params": matrices, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0}]


torch.manual_seed(seeds(1)[0])
poet = Poet(len(letters), d=32, blocks=2, context=24).double()
adamw = torch.optim.AdamW(groups(poet, 3.75), lr=0.01, betas=(0.9, 0.98))
of_poet = audited(poet, adamw, cross_entropy, pages(poems["train"], 80, 8, 24, seeds(1)[0]))
verdicts_of(of_poet, "blocks.0")

# %% [markdown]
# Figure 11.8 shows the budget (11.6) of eight tensors, summed over the run.

# %% tags=["hide-input"]
states = of_poet.data
shown = ["token.weight", *(f"blocks.0.{name}.weight" for name in (
    "query", "key", "value", "out", "up", "down")), "head.weight"]

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.5))
for row, name in enumerate(shown):
    ends = {1: 0.0, -1: 0.0}
    for part, color in (("decay", figures.BLUE), ("push", figures.ORANGE),
                        ("growth", figures.GREEN)):
        length = states[part].sel(tensor=name).item()
        side = 1 if length > 0 else -1
        axes[0].barh(row, length, left=ends[side], color=color, height=0.7,
                     label=None if row else part)
        ends[side] += length
    axes[1].plot(states.turn.sel(tensor=name).item(), row, "ko", ms=7, label=f"_{name}")
axes[0].set_yticks(range(8), [name.removesuffix(".weight") for name in shown])
axes[0].set(xlabel="outwards, shrinks  ←  0  →  turns", xlim=(-3.2, 4.6), ylim=(7.6, -0.6))
axes[0].set_ylabel(" ")
axes[1].set(xlabel="their sum: Σ −ln cos θ", xlim=(0, 3.2), ylabel=" ")
axes[0].set_title("Decay is alike, the rest is not")
axes[1].set_title("Value and out turn most")
legend = axes[0].legend(loc="lower left", ncols=3, fontsize=8, bbox_to_anchor=(0, -0.38))

# %% tags=["hide-input"]
turned = {name.strip("_"): mark.x[0] for name, mark in figures.drawn(axes[1]).items()}
low, high = (turned[f"blocks.0.{name}.weight"] for name in ("key", "value"))
figures.show(fig, "Left, bars for eight tensors of the poet: decay to the right, as long for each; "
             "push and growth mostly to the left, where push is outwards and growth a norm that "
             f"shrinks. Right, their sum, the turn: {high:.1f} for value and "
             f"{turned['blocks.0.out.weight']:.1f} for out, {low:.1f} for the keys and "
             f"{turned['blocks.0.query.weight']:.1f} for the queries, "
             f"{turned['token.weight']:.1f} for the embedding, {turned['head.weight']:.1f} for the "
             "head.")

# %% tags=["hide-input"]
parts = [f"blocks.{k}.{name}.weight" for k in (0, 1) for name in ("query", "key")]
settled = [states.verdict.sel(tensor=name).item() == "in equilibrium" for name in parts]
claim("11-qk", "Of the two blocks' four matrices of queries and keys, {} are in equilibrium",
      measured=sum(settled), equals=4)
claim("11-audit", "No scale of a norm decays in the transformer",
      measured=[states.decay.sel(tensor=name).item() for name in states.tensor.values
                if "norm" in name], equals=0, within=1e-12)
claim("11-audit", "The marks of the picture are the audit's turns",
      measured=[turned[name] - states.turn.sel(tensor=name).item() for name in shown],
      equals=0, within=1e-9)
claim("11-audit", "The budget of turn holds for every tensor of the two models",
      measured=[*states.residual.values, *of_mlp.data.residual.values], equals=0, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
shrunk = np.exp(-states.growth.sel(tensor="token.weight").item())
claim("11-embedding", "The embedding's norm has shrunk {:.1f}-fold", measured=shrunk, above=3)
keys, values = (sum(states.turn.sel(tensor=f"blocks.{k}.{name}.weight").item() for k in (0, 1))
                for name in ("key", "value"))
claim("11-value", "In the two blocks together value turns {:.1f} times as much as the keys",
      measured=values / keys, above=1)
noise = -3 / 4 * 3 * 2 * 0.9 * (1 - 0.9**20) / (1 - 0.9**2) / 20  # the push that Adam makes itself
claim("11-inward", "Beyond what noise alone gives, the loss pushes value and out of the first "
      "block inwards, by {:.1f} at least",
      measured=[states.push.sel(tensor=f"blocks.0.{name}.weight").item() - noise
                for name in ("value", "out")], above=0)

# %% [markdown]
# For each matrix decay is worth {{states.decay.sel(tensor="head.weight").item():.0f}}, as $N$ is. What becomes of it? Part of the push is Adam's own. Its average goes on for some steps in the direction in which the weights
# were moving. Between looks that are 20 steps apart this pushes outwards by {{-noise:.1f}} in all, under pure noise (the first of the four intervals has no past). What the loss does is the rest.
#
# - **Queries and keys** are in equilibrium: push {{f"{states.push.sel(tensor='blocks.0.query.weight').item():.1f}".replace("-", "−")}} and {{f"{states.push.sel(tensor='blocks.0.key.weight').item():.1f}".replace("-", "−")}}, not far from what noise alone gives. The loss cannot push them.
# - **Value and out** turn most: the loss pushes them inwards, here by more than Adam pushes outwards.
# - **The head** is pushed outwards by the loss as well, so it turns little.
# - **The embedding** mostly just decays: it began large, and turns least.
#
# **Invariant together.** Most matrices read *not invariant, here λ is a penalty*. In a transformer with norms in front this says less than it seems. Multiply value by 2 and halve out,
# and the function is the same; so with up and down. And if the embeddings, all out and all down are doubled together, the next norm divides it away. So
# decay sets the pace of such a *set*, as in equilibrium. It changes the function only by the sizes of members relative to each other. No formula tells
# which λ is good for that: try.
#
# The third model is yours. Put it in the place of the first line, your optimiser and batches in those of the others, and run the two
# cells again. (`picture(audit)` of `l2lib.audit` draws the budget of all tensors; two checkpoints do instead of a run, with
# `python -m l2lib.audit before.pt after.pt --lr 3e-4 --weight-decay 0.1 --steps 1000`.)

# %%
your_model = nn.Linear(40, 10).double()
your_optimizer = torch.optim.AdamW(your_model.parameters(), lr=1e-3)  # λ is 0.01 by default
your_batches = batches[:100]

# %%
verdicts_of(audited(your_model, your_optimizer, cross_entropy, your_batches))

# %% [markdown]
# | verdict | what it means | what to do |
# |---|---|---|
# | in equilibrium | $r^p$ is within 20 % of $r_*^p$ ($p = 2$ by AdamW, 4 by SGD), so the turn within 10 %; ηλ sets it | tune ηλ as you tune a learning rate |
# | falling, needs $n$ steps | the norm is above $r_*$: its start, not λ, sets the turn for so long | nothing; or a smaller start, or a larger $N$ |
# | rising, needs $n$ steps | the norm is below $r_*$ | nothing; or a larger $N$; or a larger λ at the same ηλ, which lowers $r_*$ |
# | λ does nothing in this run | $N$ by the end is below 0.05 | leave it, or try $N = \frac14, 1, 4$ |
# | not invariant, here λ is a penalty | alone, λ changes the function, as in chapters 1 to 5; see *invariant together* | choose it by validation |
# | decays though its role is … | a bias or a scale is in the decaying group | two parameter groups (chapter 6) |
# | the loss ignores it: it only decays | no gradient reaches it | find out why |
#
# ## 11.6 Real data, from the default to a decision
#
# We follow the recipe of §11.3 twice: with a convolutional network on 300 handwritten digits, and with the poet. What we have is the default, λ = 0.01.

# %%
data, rate, tries = load("digits"), 0.03, np.array([1 / 4, 1, 4])
pixels, shuffled = data.scaled(16), [np.random.default_rng(s).permutation(1797) for s in seeds(5)]
train, validate = (np.stack([order[part] for order in shuffled])
                   for part in (slice(300), slice(300, 600)))

# %% [markdown]
# **Run what you have, and audit it.** This is the network in plain PyTorch:

# %%
torch.manual_seed(seeds(1)[0])
cnn = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(6, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
                    nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 10)).double()
adamw = torch.optim.AdamW(groups(cnn, 0.01), lr=rate, betas=(0.9, 0.98))
to_zero = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: 1 - step / 150)
images, labels = torch.tensor(pixels[train[0]]).view(300, 1, 8, 8), torch.tensor(data.y[train[0]])
batches = [(images[rows], labels[rows]) for rows in torch.arange(3000).remainder(300).split(20)]
of_cnn = audited(cnn, adamw, cross_entropy, batches, to_zero)
verdicts_of(of_cnn, ("0.weight", "4.weight", "10.weight"))

# %% [markdown]
# The default does nothing to the digits, as $S = {{forgettings(rate, 1, factors_of(150, linear)):.2f}}$ and $N = \lambda S$. **Then the three tries**, at full length and with five seeds:

# %%
decays = [0.01, *tries / forgettings(rate, 1, factors_of(150, linear))]
digits = sweep(CNN((12, 10), channels=(6, 12), norm="batch"), pixels[train], data.y[train],
               test=(pixels[validate], data.y[validate]), loss="cross_entropy", lr=rate,
               optimizer="adamw", beta2=0.98, schedule=lambda step: 1 - step / 150,
               weight_decay=decays, steps=150, batch_size=20, seeds=seeds(5), record_every=150)
on_validation = digits.test_loss.values[..., -1]  # by seed and λ


# %%
def decide(losses):
    """The column to take: the lowest, or 0 if over the seeds it may be no better than that."""
    best = int(losses.mean(0).argmin())
    return best if best and interval(losses[:, 0] - losses[:, best]).low > 0 else 0


chosen = decide(on_validation)


# %% tags=["hide-input"]
def train_poets(decays, seeds, steps=100, rate=0.01):
    """A poet for each seed and λ, all at once; AdamW works entry by entry, so it may be shared."""
    many, drawn = [], [pages(poems["train"], steps, 8, 20, seed) for seed in seeds]
    for seed in seeds:
        torch.manual_seed(seed)
        many += [Poet(len(letters), d=24, blocks=1, context=20).double()] * len(decays)
    weights, _ = torch.func.stack_module_state(many)
    lam = torch.tensor(decays * len(seeds), dtype=torch.float64)
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=0, betas=(0.9, 0.98))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = now = rate * (1 - step / steps)
        batch = [torch.stack([own[step][k] for own in drawn]).repeat_interleave(len(decays), 0)
                 for k in (0, 1)]
        optimizer.zero_grad()
        poet_losses(many[0], weights, batch, 0).sum().backward()
        with torch.no_grad():
            for each in (each for each in weights.values() if each.ndim > 2):  # matrices decay
                each.mul_((1 - now * lam)[:, None, None])
        optimizer.step()
    return many[0], weights


# %% tags=["hide-input"]
def poet_losses(model, weights, batch, dim=None):
    """The loss of each poet, on a batch of its own or on one for all."""
    def loss(own, *batch):
        return functional.cross_entropy(torch.func.functional_call(model, own, batch[0]), batch[1])

    return torch.func.vmap(loss, in_dims=(0, dim, dim))(weights, *batch)


# %% tags=["hide-input"]
def losses_on(part):
    """Loss on a part of the sonnets, by seed and λ."""
    count = (len(poems[part]) - 1) // 20
    text = [poems[part][at : at + 20 * count].view(count, 20) for at in (0, 1)]
    with torch.no_grad():
        return poet_losses(*poets, text).view(5, -1).numpy()


# %%
poet_decays = [0.01, *(tries / forgettings(0.01, 1, factors_of(100, linear))).tolist()]
poets = train_poets(poet_decays, seeds(5))
of_text = losses_on("validation")
chosen_text = decide(of_text)
tested = losses_on("test")[:, [0, chosen_text]]

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.0))
for ax, values, given in zip(axes, (on_validation, of_text), (decays, poet_decays), strict=True):
    default = tries[0] * given[0] / given[1]
    mean, low, high, _ = interval(values)
    ax.semilogx([default, *tries], mean, "o-", ms=5, color=figures.BLUE, label="_all")
    ax.vlines([default, *tries], low, high, color=figures.BLUE)
    ax.set_xticks([default, *tries], [f"{default:.2g}\n(default)", "¼", "1", "4"])
    ax.set(xlabel="N", ylabel="validation loss"), ax.minorticks_off()
axes[0].set_title("Digits: no try is better"), axes[1].set_title("Sonnets: a small gain")
first, second = (figures.drawn(ax)["_all"].y for ax in axes)
figures.show(fig, "Validation loss with intervals of five seeds for the default λ = 0.01 and for "
             f"N = ¼, 1 and 4. Digits: {first[0]:.2f}, {first[1]:.2f}, {first[2]:.2f}, "
             f"{first[3]:.2f}. Sonnets: {second[0]:.3f}, {second[1]:.3f}, {second[2]:.3f}, "
             f"{second[3]:.3f}.")

# %% tags=["hide-input"]
gain = interval(tested[:, 0] - tested[:, 1])
against = interval(on_validation[:, 1] - on_validation[:, 0])
claim("11-much", "On the validation digits N = 4 has {:.2f} more loss than the default",
      measured=(on_validation[:, 3] - on_validation[:, 0]).mean(), above=0)
claim("11-text", "On the validation sonnets N = 1 has {:.3f} less loss than the default",
      measured=(of_text[:, 0] - of_text[:, 2]).mean(), above=0)

# %% [markdown]
# **Digits** (Figure 11.9, left). On the validation data no try beats the default. $N = \frac14$ has {{against.mean:.3f}} ± {{against.half:.3f}} more loss, which may be nothing, and $N = 4$ is clearly worse.
# The best of all is the default itself, an end with an $N$ below 0.05, so there is nothing to try below it. Keep the default. The test data stay closed.
#
# **Text** (right). The default has $N = {{0.01 * forgettings(0.01, 1, factors_of(100, linear)):.3f}}$. $N = {{tries[chosen_text - 1]:g}}$ is lowest, is not at an end, and its interval against the default excludes zero. So take it. The test, made once, gives {{gain.mean:.3f}} ± {{gain.half:.3f}} less loss per letter. That is significant and small: the
# run is {{100 * 8 * 20 / len(poems["train"]):.1f}} passes long.
#
# ### A language model, on paper
#
# You are about to train one: AdamW, peak 0.0006, cosine to zero, 20,000 steps, one pass over the data. Which λ?

# %%
S = forgettings(6e-4, 1, factors_of(20_000, cosine))
for n in tries:
    lam = n / S
    print(f"N = {n:4.2f}   λ = {lam:.2f}   memory {1 / 6e-4 / lam:6,.0f} steps   "
          f"RMS {np.sqrt(6e-4 / 2 / lam):.3f}   turn {np.sqrt(2 * 6e-4 * lam * 0.1 / 1.9):.4f}")

# %% [markdown]
# $S = {{S:.1f}}$, and the usual 0.1 is $N = {{0.1 * S:.1f}}$, inside the tries. Memory, RMS and turn are those of equilibrium at the peak: a matrix that starts at an RMS of 0.02 grows under $N = 1$, and about stays under $N = 4$. Until the tries say otherwise keep 0.1. Where data are plenty the valley of §11.3 was flat, so do not expect much.
#
# How many seeds? To see a difference δ between two values of λ, where runs differ by a standard deviation $s$, takes about
# $16\,(s/\delta)^2$ runs of each (for a power of 80 % at the level of 5 %), and one or two more where that is few. In one
# [published record](https://github.com/KellerJordan/modded-nanogpt/pull/154) of a small GPT $s$ was 0.0013: to show a difference of {{0.0013 * 4 / np.sqrt(3):.3f}} takes four or five runs of each. If
# tries at full length cost too much, try a smaller model with the same number of tokens per parameter, and carry over $N$, not λ. That is a guess, which Bergsma et al. (2025b) support.
#
# ## 11.7 Fine-tuning, few passes, and what is not known
#
# This is what is in print.
#
# - **Fine-tuning.** Defaults disagree: 0 in the Hugging Face Trainer, 0.01 in BERT, 0.1 in RoBERTa and Llama 2. It hardly matters: with
#   $N = {{counts["RoBERTa on MNLI"]:.2f}}$ decay removes {{100 * (1 - np.exp(-counts["RoBERTa on MNLI"])):.0f}} % of a weight that is not trained. MAE, which fine-tunes for 100 passes, is an exception. And what a large $N$ would forget here is the pretrained model.
# - **LoRA.** Decay on the two factors pulls the model back to its *pretrained* weights
#   ([chapter 4](04_other_penalties.ipynb)). QLoRA uses 0.
# - **One pass.** We know of no comparison of λ with error bars at the size of a language model.
# - **Repeated data.** Two groups find that the best λ is far above the usual one: about 30 times, with 200 million tokens and many passes ([Kim et al., 2025](https://arxiv.org/abs/2509.14786)), and an
#   order of magnitude ([Lovelace et al., 2026](https://arxiv.org/abs/2605.01640)). This agrees with the right panel of Figure 11.5.
# - **Pretraining for fine-tuning.** In one study a larger λ made base models worse and their fine-tuned children better
#   ([Han et al., 2026](https://arxiv.org/abs/2602.11137)).
#
# ## 11.8 In practice: a page to tear out
#
# **λ acts through η.** One step takes $\eta_t\lambda$ of a weight. Over a run this adds up to $N = \lambda S$, with
#
# $S$ = number of steps × peak η × mean factor of the schedule (÷ $(1-\mu)$ for SGD with momentum μ).
#
# | schedule | constant | linear or cosine to zero | cosine to 0.1 of the peak | constant, then the last fifth linear to zero |
# |---|---|---|---|---|
# | mean factor | 1 | ½ | {{llama[2000:].mean():.2f}} | {{factors_of(1000, stable).mean():.1f}} |
#
# Form of PyTorch: decay is multiplied by η. Where it is not (as in the paper on AdamW, or big_vision), your λ is $\lambda_\text{paper}/\eta$, η the peak. *Matrices* are all tensors with two axes or more.
# Whether the embedding is among them differs in practice; we let it decay.
#
# 1. **You fine-tune, and $N = \lambda S$ is below 0.05?** Then decay does next to nothing. Keep your λ; if you have none, take 0.
# 2. **Run the λ that you have** to the end, and audit it: `from l2lib.audit import Watch`, then `watch = Watch(model, optimizer, total_steps=steps)`, `watch.step()` every 20 steps, `print(watch.result(loss))`, where `loss(model)` is that of a batch (without it the audit does not know what is invariant). Take biases, γ and β out of the decay.
# 3. **Run $N = \frac14, 1, 4$**, that is $\lambda = N/S$ on matrices, at full length.
# 4. **The best of these and yours is at an end?** Go on by factors of 4, but not below $N = 0.05$.
# 5. **Choose on validation data**, with three seeds or more. No clear gain? Keep what you had. Test once.
# 6. **You change the run later?** The table of §11.4. If nothing fits, keep $N$, and try again.
#
# Where the loss ignores the size of $w$, in equilibrium $\text{RMS}(w) = \sqrt{\eta/2\lambda}$, the memory is $1/(\eta\lambda)$ steps, and $w$ turns by $0.23\sqrt{2\eta\lambda}$ per step of AdamW with $\beta_1 = 0.9$.

# %% tags=["hide-input"]
boxes = {
    "tune": (2, 5, "fine-tuning, N < 0.05?", figures.GREY),
    "leave": (6, 5, "keep λ: it does\nnext to nothing", figures.BLUE),
    "run": (2, 4, "run the λ you have; audit;\nonly matrices decay", figures.GREY),
    "try": (2, 3, "run N = ¼, 1, 4: λ = N/S,\nfull length", figures.ORANGE),
    "end": (2, 2, "best at an end?", figures.GREY),
    "more": (6, 2, "go on × 4 or ÷ 4,\nnot below N = 0.05", figures.ORANGE),
    "gain": (2, 1, "clear gain over seeds,\non validation data?", figures.GREY),
    "keep": (6, 1, "keep what\nyou had", figures.BLUE),
    "test": (2, 0, "take it, test once", figures.ORANGE),
}
ways = [("tune", "leave", "yes"), ("tune", "run", "no"), ("run", "try", ""), ("try", "end", ""),
        ("end", "more", "yes"), ("end", "gain", "no"), ("gain", "keep", "no"),
        ("gain", "test", "yes")]

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(6, 5.6))
for x, y_at, text, color in boxes.values():
    half = 1.75 if x < 3 else 1.35
    ax.fill([x - half, x + half, x + half, x - half], np.repeat([y_at - 0.29, y_at + 0.29], 2),
            fc="white", ec=color, lw=1.5)
    ax.text(x, y_at, text, ha="center", va="center", fontsize=9.5)
for a, b, word in ways:
    (x, y_at), (to, y_to) = boxes[a][:2], boxes[b][:2]
    down = x == to
    begin = (x, y_at - 0.29) if down else (x + 1.75, y_at)
    end = (to, y_to + 0.29) if down else (to - 1.35, y_to)
    ax.annotate("", end, begin, arrowprops={"arrowstyle": "->", "color": figures.GREY, "lw": 1.4,
                                            "shrinkA": 0, "shrinkB": 0})
    ax.text(*((x + 0.12, y_at - 0.5) if down else (x + 2.2, y_at + 0.06)), word, fontsize=9,
            va="center" if down else "bottom", ha="left" if down else "center")

# %% tags=["hide-input"]
ax.plot([6, 6], [2.29, 2.5], color=figures.GREY, lw=1.4)  # back to the question
ax.annotate("", (2, 2.5), (6, 2.5), arrowprops={"arrowstyle": "->", "color": figures.GREY,
                                                "lw": 1.4, "shrinkA": 0, "shrinkB": 0})
ax.set(xlim=(0.1, 7.5), ylim=(-0.45, 5.45), xticks=[], yticks=[], xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.set_title("From your run to λ   (S = steps × mean η)")
figures.show(fig, "A decision tree. Fine-tuning with N below 0.05: keep λ. Else run the λ you "
             "have, audit it, and let only matrices decay; run N = ¼, 1 and 4, λ = N/S, at full "
             "length. If the best is at an end, go on by factors of 4, not below N = 0.05. If the "
             "gain over several seeds is clear on validation data, take it and test once; else "
             "keep what you had.")

# %% [markdown]
# | symptom | cause | what to do |
# |---|---|---|
# | λ does nothing | $N$ is below 0.05 | recipe, 3; or leave it |
# | norms still fall or rise at the end | the memory $1/(\eta\lambda)$ is longer than the run | the start sets the pace: scale it, or accept |
# | the embedding grows | it does not decay, and nothing else holds it | decay it, or leave it if the loss is fine |
# | the loss dips after a drop of η, then climbs | the turn falls at once; then the norm shrinks and the turn returns | less λ after the drop, or a shorter stage |
# | the first steps explode | $\eta\lambda$ is near 2 (chapter 2) | smaller η or λ |
# | the gradient norm rises at the end though the loss falls | η goes to zero and the weights shrink, see below | nothing is wrong; AdamC makes λ follow η ([Defazio, 2025](https://arxiv.org/abs/2506.02285)) |
#
# On the last line: on a weight whose size the loss ignores, a step of SGD without momentum turns by $\theta\approx\eta\lVert g\rVert/\lVert w\rVert$. In equilibrium (11.5) gives
#
# $$\frac{\lVert g\rVert}{\lVert w\rVert}\approx\sqrt{\frac{2\lambda}{\eta}}. \tag{11.7}$$
#
# As η falls, the ratio rises. Under AdamW it rises faster, as λ/η: the weights shrink as $\sqrt{\eta/\lambda}$ by (11.4), and the gradient grows as one over their size.
# Both hold while the memory $1/(\eta\lambda)$ is short against what is left of the run, so not to the very end. Chou ([2025](https://arxiv.org/abs/2512.08217)) reaches the same remedy, λ in proportion to η,
# without the argument from right angles.
#
# ## 11.9 Myths and limits
#
# - *With AdamW, λ does not depend on η.* It is decoupled from the gradient, not from η: if you halve η, you halve $N$.
# - *0.1 is the right weight decay for language models.* It is a habit; with it $N$ was {{counts["GPT-3 175B"]:.2f}} in one and {{counts["OLMo 2 1B"]:.0f}} in another.
# - *The best $N$ is a constant of nature.* In our runs it ranged over a factor of {{spread["N"]:.0f}}.
#
# What was not shown: our networks are small, our runs short, and η was fixed while λ moved; a joint search may end elsewhere.
# §11.3 and the width experiment are one task. The recipes of Figure 11.1 say what people did, not what was best.
#
# ## 11.10 Exercises
#
# **1.** (Choose λ.) Your run has 10,000 steps of AdamW, linear to zero from $\eta = 3\cdot10^{-4}$. Which three λ do you try? Which, if it is SGD with momentum 0.9 and η = 0.1?
#
# <details>
# <summary>Solution</summary>
#
# $S = 10{,}000\cdot3\cdot10^{-4}/2 = 1.5$, so λ = $N/S$ is {{0.25 / 1.5:.2f}}, {{1 / 1.5:.2f}} and {{4 / 1.5:.1f}}: all above the usual 0.1, which here is $N = {{0.1 * 1.5:.2f}}$. For SGD
# $S = 10{,}000\cdot0.1/2\,/\,(1-0.9) = {{10_000 * 0.1 / 2 / 0.1:,.0f}}$, so {{0.25 / 5000:.5f}}, {{1 / 5000:.4f}} and {{4 / 5000:.4f}}.
#
# </details>
#
# **2.** (Read this log.) What do you do about each line? The run has 2,000 steps of AdamW with η = 0.001 and λ = 0.1; this is after 100.
#
# ```text
# encoder.weight   N = 0.2   RMS ratio  0.31   rising, needs {{np.ceil(np.log((1 - 0.31**2) / 0.2) / 2e-4):,.0f}} steps and has 1,900
# encoder.bias     N = 0.2   RMS ratio  0.02   decays though its role is bias
# head.weight      N = 0.2   RMS ratio  0.11   not invariant, here λ is a penalty
# ```
#
# <details>
# <summary>Solution</summary>
#
# $N = \eta\lambda\cdot2{,}000 = {{0.001 * 0.1 * 2000:.1f}}$, so {{100 * np.exp(-0.2):.0f}} % of the start survives. The encoder stays below its equilibrium: $r^2/r_*^2-1$ is $0.31^2-1 = -{{1 - 0.31**2:.2f}}$ and shrinks as $e^{-2\eta\lambda t}$;
# to come within 0.2 takes $\ln({{1 - 0.31**2:.2f}}/0.2)/(2\eta\lambda)$ steps. So its start sets its turn. Leave it, or try a larger $N$. Take the bias out of the decaying group.
# For the head choose λ on validation data.
#
# </details>
#
# **3.** (A question from a forum.) *I fine-tune with $\eta = 5\cdot10^{-5}$ and λ = 0.01 for 5,000 steps. Does this compound to a measurable drag on my adapter?*
#
# <details>
# <summary>Solution</summary>
#
# No. $N$ is at most $\eta\lambda T = {{5e-5 * 0.01 * 5000:.4f}}$, so decay removes {{100 * (1 - np.exp(-5e-5 * 0.01 * 5000)):.2f}} % of a weight that nothing else moves.
#
# </details>
#
# **4.** (Proof.) Show that under linear-to-zero the update with the largest $c_i$ is made at the share $1-1/\sqrt{2N}$ of the run if $N\ge\frac12$, and at its beginning otherwise.
#
# <details>
# <summary>Solution</summary>
#
# Let $x$ be the share of the run that is done and $s = 1-x$ the factor of η. After $x$, η has the sum $\eta Ts^2/2$, and $N = \eta\lambda T/2$. So $c\propto s\,e^{-Ns^2}$. Its
# derivative in $s$ is zero at $2Ns^2 = 1$. If $2N<1$, this $s$ is above 1, and $c$ is largest at $s = 1$.
#
# </details>
#
# **5.** (Batch and η together.) You double the batch for the same passes, and raise η by $\sqrt2$. What becomes of λ, if $N$ is to stay? And the RMS?
#
# <details>
# <summary>Solution</summary>
#
# There are half as many steps, each with $\sqrt2\,\eta$. So $S$ falls by $\sqrt2$, and λ rises by $\sqrt2$. Then η/λ has not changed, and neither has the RMS. The turn per step is $\sqrt2$ times as large.
#
# </details>
#
# **6.** (Predict, then run.) Which share of the start survives 400 steps with η = 0.01 and λ = 1 under warm-up–stable–decay? Then type
# `average(0.01, 1.0, factors_of(400, stable))[1]`.
#
# <details>
# <summary>Solution</summary>
#
# The last fifth of the schedule is a ramp, which counts half. So $N\approx{{0.9 * 0.01 * 400:.1f}}$, and $e^{-N} = {{np.exp(-0.9 * 0.01 * 400):.3f}}$. The function says 0.0267.
#
# </details>
#
# **7.** (Your own network.) Audit a whole run. Which verdict has most of your parameters, and does it fit the $N$ that you computed?
#
# <details>
# <summary>For reference</summary>
#
# In the poet of §11.5 {{(states.verdict.values == "in equilibrium").sum()}} of {{states.sizes["tensor"]}} tensors are in equilibrium after $N = 3$, and {{(states.verdict.values == "not invariant, here λ is a penalty").sum()}} are not invariant.
#
# </details>
#
# **8.** (Criticise a sweep.) *We tried λ = 0.001, 0.01 and 0.1 in runs of 2,000 steps (AdamW, constant η = 0.001), one seed each. 0.1 won by 0.002. So we train for 200,000 steps with λ = 0.1.*
#
# <details>
# <summary>Solution</summary>
#
# $N$ was 0.002, 0.02 and {{0.1 * 0.001 * 2000:.1f}}: two of the three did nothing, so they differ by nothing but chance, and so may the third. The best is at an end. In the long run the same λ is $N = {{0.1 * 0.001 * 200_000:.0f}}$, which nobody tried. One seed says nothing about 0.002.
#
# </details>
#
# ## Where next, and sources
#
# [Chapter 8](08_effective_learning_rate.ipynb) and [chapter 9](09_adaptive_optimisers.ipynb) have the equilibrium in full, for SGD, momentum and Adam;
# [chapter 6](06_bias_exclusion.ipynb) has the groups, [chapter 3](03_one_lambda_many_meanings.ipynb) the conversions.
#
# [Wang and Aitchison (2025)](https://arxiv.org/abs/2405.13698): weights as an average, and its time scale.
# [Bergsma et al. (2025a)](https://arxiv.org/abs/2502.15938), [(2025b)](https://arxiv.org/abs/2505.13738): linear to zero; power laws.
# [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212), [(2025)](https://arxiv.org/abs/2510.19093): rotational equilibrium; decay and μP.
# [Fan et al. (2025)](https://arxiv.org/abs/2510.15262): the root rule. [Liu et al. (2025)](https://arxiv.org/abs/2502.16982): Moonlight.
# [Defazio (2025)](https://arxiv.org/abs/2506.02285), [Chou (2025)](https://arxiv.org/abs/2512.08217): the gradient norm at the end.
# [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101): AdamW.
