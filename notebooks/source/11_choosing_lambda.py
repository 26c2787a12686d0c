# %% [markdown]
# # 11 Choosing λ
#
# You have a model, a learning rate, a number of steps, and a setting called `weight_decay`. Which number do you type?
# The values in published recipes differ by a factor of more than ten thousand, and a library's default was not chosen for your run. This
# chapter leads from your own run to a value that you can defend. It turns λ into three numbers that mean something. It says what
# becomes of them when you change anything else. And it reads them off a model while that is trained.
#
# By the end you will be able to
#
# - compute how often a run forgets its weights, and compare any two recipes by it;
# - predict the size of the weights and how far they turn per step;
# - carry λ over to another learning rate, batch, length, width, optimiser or framework, and know which of these rules are exact;
# - audit your own model with three lines of code, and act on the verdicts;
# - choose λ with four short runs, and say when the choice does not matter.
#
# *Reading time an hour and a half; the code runs in about 20 seconds. If you have a run waiting, begin with §11.8.*

# %%
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from l2lib import claims, figures
from l2lib.audit import Watch
from l2lib.claims import claim, interval, seeds
from l2lib.datasets import load, sonnets
from l2lib.sweep import CNN, MLP, predict, sweep

# %% [markdown]
# ## 11.1 A puzzle: everybody types another number
#
# A ResNet is trained with $\lambda = 10^{-4}$, a language model with 0.1, a vision transformer with 0.3, and
# [chapter 9](09_adaptive_optimisers.ipynb) with 3. Do these people want such different things?
#
# λ never acts alone. Under SGD and AdamW one step multiplies a weight by $1-\eta_t\lambda$ before the loss moves it
# (chapter 2). So what counts is the learning rate $\eta_t$ of each step, times λ, added up over
# the run:
#
# $$N = \sum_{t=0}^{T-1}\eta_t\lambda. \tag{11.1}$$
#
# $N$ has no unit. It says how often the run forgets its weights, as §11.2 shows. You need nothing but the
# recipe to compute it: the peak learning rate, λ, and the factors of the schedule.


# %%
def schedule(steps, shape, warmup=0, end=0.0, until=None):
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
llama = schedule(500_000, cosine, warmup=2000, end=0.1)
n_llama = forgettings(3e-4, 0.1, llama)

# %% [markdown]
# Llama 2 with seven billion weights was trained for about 500,000 steps at a peak of $3\cdot10^{-4}$, on a cosine that ends at 0.1
# of it, with λ = 0.1. So it forgot itself $N = {{n_llama:.1f}}$ times. Figure 11.1 has λ and $N$ of recipes whose
# numbers we have seen in a paper or in code. Where a source gives images or tokens, we divided by
# the batch to get steps.

# %% tags=["hide-input"]
def passes(epochs, batch):
    """Steps of so many passes over the images of ImageNet."""
    return round(epochs * 1_281_167 / batch)


old = np.repeat([1, 0.1, 0.01], passes(30, 256))
scratch = {  # name: learning rate, λ, factors, momentum of a coupled SGD
    "ResNet-50": (0.1, 1e-4, old, 0.9),
    "ResNet-50, 2021": (0.5, 2e-5, schedule(passes(600, 1024), cosine, passes(5, 1024)), 0.9),
    "ResNet, CIFAR": (0.1, 5e-4, schedule(78_200, cosine), 0.9),
    "DeiT": (1e-3, 0.05, schedule(passes(300, 1024), cosine, passes(5, 1024), 0.01)),
    "ConvNeXt-T": (4e-3, 0.05, schedule(passes(300, 4096), cosine, passes(20, 4096))),
    "MAE": (2.4e-3, 0.05, schedule(passes(800, 4096), cosine, passes(40, 4096))),
    "ViT-S, big_vision": (1e-3, 0.1, schedule(passes(89.1, 1024), cosine, 10_000)),
    "ViT": (3e-3, 0.3, schedule(passes(300, 4096), cosine, 10_000)),
}

# %% tags=["hide-input"]
scratch |= {
    "BERT": (1e-4, 0.01, schedule(1_000_000, linear, 10_000)),
    "wav2vec 2.0": (5e-4, 0.01, schedule(400_000, linear, 32_000)),
    "GPT-3 175B": (6e-5, 0.1, schedule(93_750, cosine, 117, 0.1, 81_250)),
    "Llama 2 7B": (3e-4, 0.1, llama),
    "Pythia 12B": (1.2e-4, 0.1, schedule(143_000, cosine, 1430, 0.1)),
    "OLMo 7B": (3e-4, 0.1, schedule(476_837, linear, 5000, 0.1)),
    "OLMo 2 1B": (4e-4, 0.1, schedule(1_907_348, cosine, 4000, 0.1, 2_384_186)),
    "our chapter 9": (0.01, 3.0, schedule(400, constant)),
}
tuned = {"RoBERTa on MNLI": (1e-5, 0.1, schedule(123_873, linear, 7432)),
         "LoRA, GPT-2 on E2E": (2e-4, 0.01, schedule(26_289, linear, 500))}
recipes = scratch | tuned
lams = {name: recipe[1] for name, recipe in recipes.items()}
counts = {name: forgettings(*recipe) for name, recipe in recipes.items()}

# %% tags=["hide-input"]
names = sorted(recipes, key=lambda name: (name in tuned, lams[name], counts[name]))


def draw_recipes(ax, values, color):
    """A dot for each recipe; an open circle where it fine-tunes."""
    for row, name in enumerate(names):
        full = {} if name in scratch else {"mfc": "none"}
        ax.semilogx(values[name], row, "o", ms=6, color=color, label=f"_{name}", **full)
    ax.set(xlim=(5e-6, 200), xticks=[1e-5, 1e-3, 1e-1, 10], ylabel=" ")
    ax.grid(axis="y", lw=0.4)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(5.8, 4.9))
draw_recipes(axes[0], lams, figures.ORANGE), draw_recipes(axes[1], counts, figures.BLUE)
axes[0].set_yticks(range(len(names)), names)
axes[0].set(xlabel="λ, as typed", ylim=(len(names) - 0.5, -0.7))
axes[1].set_xlabel("N, by the end")
of_lam, of_n = ({name: mark.x[0] for name, mark in figures.drawn(ax).items()} for ax in axes)
wide = {what: max(of[f"_{name}"] for name in scratch) / min(of[f"_{name}"] for name in scratch)
        for what, of in (("λ", of_lam), ("N", of_n))}
axes[0].set_title("λ: all over"), axes[1].set_title("N: closer")
figures.show(fig, "Two columns of dots on logarithmic axes, a row for each recipe. Left, λ from "
             f"{of_lam['_ResNet-50, 2021']:.5f} to {of_lam['_our chapter 9']:g}. Right, N: recipes "
             f"that train from scratch lie between {of_n['_GPT-3 175B']:.2f} (GPT-3) and "
             f"{of_n['_OLMo 2 1B']:.0f} (OLMo 2 1B), DeiT and ConvNeXt both at "
             f"{of_n['_DeiT']:.1f}; two fine-tuning recipes, drawn as open circles, at "
             f"{of_n['_RoBERTa on MNLI']:.2f} and {of_n['_LoRA, GPT-2 on E2E']:.2f}.")

# %% tags=["hide-input"]
images = [counts[name] for name in ("DeiT", "ConvNeXt-T", "MAE", "ViT-S, big_vision")]
claim("11-span", "Among the recipes that train from scratch, λ spans a factor of {:,.0f}",
      measured=wide["λ"], above=10_000)
claim("11-span", "Their N spans a factor of {:.0f}, from that of GPT-3 to that of OLMo 2 1B",
      measured=wide["N"], below=1000)
claim("11-images", "Four recipes for ImageNet with AdamW have N between 5 and 16: at most {:.1f}",
      measured=images, between=(5, 16))

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
# So $N$ brings the recipes closer, but it does not make them equal. The λ of language models has been 0.1 out of
# habit, and their $N$ runs from {{counts["GPT-3 175B"]:.2f}} to {{counts["OLMo 2 1B"]:.0f}}: the same λ is next to nothing in one run
# and very strong in another. Fine-tuning has an $N$ of a few hundredths. What does such a number do to the weights?
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
# The second equation says that the $c_i$, times λ, are the weights of an average which lacks the share of the start.
# ($\lambda c_i$ is the difference of two neighbouring products, so the sum telescopes.) Trained weights are an average of
# past updates, and $N$ says how many times its memory of $1/(\eta\lambda)$ steps fits into the run.


# %%
def average(lr, weight_decay, factors):
    """The c_i of (11.2), and the share of the start that survives."""
    keep = 1 - lr * weight_decay * factors
    later = np.append(np.cumprod(keep[::-1])[::-1], 1.0)
    return lr * factors * later[1:], later[0]


# %% [markdown]
# We check it on `torch.optim.AdamW` itself. Its $u_t$ are the steps of a twin that gets the same gradients and has no decay.

# %%
rng, factors, updates = claims.rng(), schedule(200, linear), []
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
        factors = schedule(steps, shape, warmup=50 if shape is stable else 0)
        c, _ = average(1.0, n / factors.sum(), factors)
        ax.plot(np.arange(steps) / steps, c / c.mean(), dash, color=color, label=name)
    ax.set(xlabel="when in the run", ylabel=" ", xticks=[0, 0.5, 1], ylim=(0, 5.5))


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
shares = [average(1.0, 2 / schedule(1000, shape).sum(), schedule(1000, shape))[1]
          for shape in shapes.values()]
claim("11-share", "After N = 2 a share of {:.3f} of the start is left under all four schedules, "
      "near e^(−2)", measured=shares, equals=np.exp(-2), within=0.002)

# %% tags=["hide-input"]
claim("11-peak", "Under linear-to-zero the best-remembered update is made at 1 − 1/√(2N) of the "
      "run: for N = 2 at {:.2f}", measured=peaks[1], equals=1 - 1 / np.sqrt(4), within=0.01)

# %% [markdown]
# At $N = 0.5$ more than half of the start is still there ({{100 * np.exp(-0.5):.0f}} %), and λ has little to say. At $N = 8$ the start is gone, and under a constant rate so is
# most of the run. Linear-to-zero forgets early and averages late. This is the trade-off in every choice of λ:
# *forget the bad beginning, but average over enough of the rest*
# ([Bergsma et al., 2025a](https://arxiv.org/abs/2502.15938), who draw such curves for language models).
#
# ### How large the weights get, and how far they turn
#
# Suppose that an update $u$ has RMS one, as Adam's has when gradients are mostly noise, and no preferred direction. Then decay and updates reach a balance, the
# *equilibrium* of [chapter 8](08_effective_learning_rate.ipynb). Write $r$ for the RMS of $w$ (the norm is $r$ times the
# root of the number of entries).
#
# 1. Decay takes $w$ to $(1-\eta\lambda)\,w$. The update stands at a right angle to it, on average. By Pythagoras
#    $r_{t+1}^2 = (1-\eta\lambda)^2r_t^2+\eta^2$ (Figure 11.3, left).
# 2. In equilibrium $r_{t+1} = r_t$. Solve for it:
#
# $$r_*=\sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}}\approx\sqrt{\frac{\eta}{2\lambda}}. \tag{11.4}$$
#
# 3. In the right triangle the cosine of the angle is the leg over the hypotenuse, and the hypotenuse is as long as $w$:
#
# $$\cos\theta_* = 1-\eta\lambda,\qquad\theta_*\approx\sqrt{2\eta\lambda}. \tag{11.5}$$
#
# So the *ratio* η/λ sets the size and the *product* ηλ sets the turn. Adam's update is itself an average over about ten
# gradients. Its single step is shorter, by the factor $\sqrt{(1-\beta_1)/(1+\beta_1)} = {{np.sqrt(0.1 / 1.9):.2f}}$, but ten in a row point
# the same way. So the size stays (11.4), and the turn of a *single* step is {{np.sqrt(0.1 / 1.9):.2f}} times (11.5)
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
before, after = path[:-1], path[1:]
norms = np.linalg.norm(path, axis=-1)
cosines = (before * after).sum(-1) / norms[:-1] / norms[1:]
turns = np.arccos(cosines)

# %% tags=["hide-input"]
def draw_triangle(ax):
    """One step in equilibrium: w, what decay leaves of it, and the next w."""
    foot, tip = (2.9, 0), (2.9, 2.75)
    arrows = ((0, 0), (4, 0), figures.GREY), ((0, 0), tip, figures.BLUE), \
        (foot, tip, figures.GREEN), ((4, 0), foot, figures.ORANGE)
    for begin, end, color in arrows:
        ax.annotate("", end, begin, arrowprops={"arrowstyle": "->", "lw": 1.8, "color": color})
    ax.plot([2.65, 2.65, 2.9], [0, 0.25, 0.25], color=figures.GREY, lw=0.8)
    ax.text(3.45, -0.5, "decay ηλw", color=figures.ORANGE, ha="center")
    ax.text(3.0, 1.3, "update ηu", color=figures.GREEN), ax.text(0.75, 0.2, "θ")
    ax.text(0.5, 1.55, "next w", color=figures.BLUE), ax.text(1.5, -0.5, "w", color=figures.GREY)
    ax.set(xlim=(-0.2, 4.9), ylim=(-0.9, 3.1), aspect="equal", xticks=[], yticks=[],
           xlabel="along w", ylabel="across w")
    ax.set_title("One step in equilibrium")


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
# Real gradients are not pure noise, and real runs are short. One equation needs no equilibrium at all. Let $r_t$ be the norm of $w_t$, and
# $p_t = \langle w_t,\eta_tu_t\rangle/r_t^2$ the *push*: how much the update itself pulls the weight inwards.
#
# 1. The inner product of $w_t$ with $w_{t+1} = (1-\eta_t\lambda)w_t-\eta_tu_t$ is $r_t^2(1-\eta_t\lambda-p_t)$.
# 2. Divide by $r_tr_{t+1}$ to get the cosine, and take the logarithm:
#
# $$-\ln\cos\theta_t = -\ln(1-\eta_t\lambda-p_t)+\ln\frac{r_{t+1}}{r_t}. \tag{11.6}$$
#
# For small angles it reads *½θ² = decay + push + growth*. A weight can only turn if it decays, is pushed inwards, or
# grows. In equilibrium there is no growth. Where the loss ignores the size of the weights, the gradient has no inward part, so under SGD there is
# no push either, and (11.5) is what remains. Everything else that can happen is a line in this budget, and the audit
# of §11.5 prints it for each tensor.

# %%
moved = before - after  # ηλw + ηu
push = (before * moved).sum(-1) / (before**2).sum(-1) - lr * weight_decay
growth = np.log(norms[1:] / norms[:-1])
budget = -np.log(1 - lr * weight_decay - push) + growth

# %% tags=["hide-input"]
claim("11-budget", "Both sides of (11.6) agree at every step of the three runs",
      measured=budget + np.log(cosines), equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# We now know what λ does in each run: $N$ says what is remembered, θ how fast the weights turn, and the RMS how large they are. We do not yet
# know which values are good.
# %% [markdown]
# ## 11.3 Which N is best?
#
# If $N$ told the whole story, one good $N$ would serve every run. We put this to a test that it can fail. A network with batch norm learns MNIST-1D (signals of
# 40 numbers, ten classes) by AdamW, linear to zero, in runs of 100, 200, 400 and 800 steps with batches of 25. There
# are two ways to make a run longer, and people often do not say which they mean:
#
# - **more data**: 250, 500, 1,000 and 2,000 signals, so that each run passes its data {{below: 25 * lengths[0] / 250:.0f}} times;
# - **more passes**: always the same 500 signals, passed {{below: 25 * lengths[0] / 500:.0f}} to {{below: 25 * lengths[3] / 500:.0f}} times.
#
# *Predict:* in which of the two does the best λ stay the same? In which does the best $N$?

# %%
signals, grid = load("mnist1d"), np.array([1 / 4, 1, 4, 16, 64])
orders = [np.random.default_rng(seed).permutation(4000) for seed in seeds(5)]
held_out = [np.stack([part[4000:]] * 5) for part in (signals.X, signals.y)]


# %%
def valley(n, steps, lr=0.03):
    """The λ tried, and the held-out loss by seed and λ: two usual values, then the grid of N."""
    rows = np.stack([order[:n] for order in orders])  # each seed draws its own signals
    decays = [0.01, 0.1, *grid / forgettings(lr, 1, schedule(steps, linear))]
    run = sweep(MLP((40, 32, 10), norm="batch"), signals.X[rows], signals.y[rows],
                test=held_out, loss="cross_entropy", optimizer="adamw", beta2=0.98, lr=lr,
                weight_decay=decays, schedule=lambda step: max(0, 1 - step / steps),
                steps=steps, batch_size=25, seeds=seeds(5), record_every=steps, evaluate_on=250)
    return np.array(decays), run.test_loss.values[..., -1]


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
    square, slope, _ = np.polyfit(np.log2(at[around] / at[k]), losses[around], 2)
    return np.log2(at[k]) - slope / (2 * square)


def best_of(runs):
    """log₂ of the best N and of the best λ, by run and seed."""
    n = np.array([[lowest(losses, grid) for losses in by_seed[:, 2:]] for _, by_seed in runs])
    return n, n + np.log2([[decays[2] / grid[0]] for decays, _ in runs])


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
    for (_, by_seed), steps, color in zip(runs, lengths, colors, strict=True):
        mean, low, high, _ = interval(by_seed[:, 2:])
        ax.semilogx(grid, mean, "o-", ms=4, color=color, label=f"{steps:,}")
        ax.fill_between(grid, low, high, color=color, alpha=0.2, lw=0)
    ax.set(xlabel="N", ylim=(1.2, 2.9), ylabel=" ", xticks=grid)
    ax.set_xticks(grid, ["¼", "1", "4", "16", "64"]), ax.minorticks_off()
    ax.set_title({"more data": "More data: N falls", "more passes": "More passes: N rises"}[name])
axes[0].set_ylabel("loss on held-out signals"), axes[1].legend(title="steps", fontsize=8)
drawn = [figures.drawn(ax) for ax in axes]
lows = [[curve.x[curve.y.argmin()] for curve in each.values() if curve.y.size == 5]
        for each in drawn]
figures.show(fig, "Held-out loss against N on a logarithmic axis, with bands for the intervals "
             "of five seeds. Left, with more data the curves move down, and their "
             f"lowest points to the left, from N = {lows[0][0]:g} at 100 steps to {lows[0][-1]:g} "
             "at 800. Right, with more passes over the same signals the left ends rise, to "
             f"{drawn[1]['800'].y[0]:.1f}, and the lowest points move from N = {lows[1][0]:g} "
             f"to {lows[1][-1]:g}.")

# %% [markdown]
# Look at Figure 11.4 for what stays the same, and you find neither. Figure 11.5 shows it as slopes. On logarithmic axes the
# rule *keep λ* is a flat line, and the rule *keep N* is a line of slope −1, as $N$ is proportional to λ times the number of steps.

# %% tags=["hide-input"]
def draw_best(ax, at, by_seed, rules, anchor):
    """The best λ with its intervals, and rules as lines: at[0] or the middle is their anchor."""
    mean, low, high, _ = interval(by_seed.T)
    ax.vlines(at, 2**low, 2**high, color=figures.BLUE)
    ax.loglog(at, 2**mean, "o", ms=6, color=figures.BLUE, label="_best λ")
    level = 2 ** (mean.mean() if anchor else mean[0])
    middle = np.exp(np.log(at).mean()) if anchor else at[0]
    for (rule, power), dash in zip(rules.items(), ("--", "-.", ":"), strict=False):
        ax.plot(at, level * (at / middle) ** power, dash, color=figures.GREY, label=rule)
    ax.set_ylabel(" "), ax.set_xticks(at, [f"{value:,}" for value in at])
    ax.minorticks_off(), figures.label_lines(ax)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.1))
for ax, (_, by_seed) in zip(axes, best.values(), strict=True):
    draw_best(ax, np.array(lengths), by_seed, {"keep λ": 0, "keep N": -1}, anchor=True)
    ax.set(xlabel="steps", xlim=(85, 1800), ylim=(0.01, 90))
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
      "faster than any rule that keeps N", measured=slopes["more data", "λ"].mean, below=-1)

# %% tags=["hide-input"]
claim("11-passes", "With more passes over the same data the best λ goes with the power {:.2f} of "
      "the steps; to keep λ would be 0, to keep N −1",
      measured=slopes["more passes", "λ"].mean, above=-0.5)

# %% tags=["hide-input"]
every = [(decays, by_seed.mean(0)) for decays, by_seed in
         [*more_data, more_passes[0], *more_passes[2:]]]
lost = np.array([loss[:2] - loss[2:].min() for _, loss in every])
tries = np.array([loss[3:6].min() - loss[2:].min() for _, loss in every])
fixed = np.array([np.interp(np.log([0.1, 0.4, 1.6]), np.log(decays[2:]), loss[2:]).min()
                  - loss[2:].min() for decays, loss in every])  # the same number of tries
spread = {what: 2 ** np.ptp(np.concatenate([pair[k].mean(1) for pair in best.values()]))
          for k, what in enumerate("Nλ")}
claim("11-default", "PyTorch's default λ = 0.01 has on average {:.2f} more loss than the best of "
      "N = 1, 4 and 16", measured=(lost[:, 0] - tries).mean(), above=0)

# %% tags=["hide-input"]
claim("11-tries", "In none of the seven runs does this best of three lose more than {:.3f} to the "
      "best of the whole grid", measured=tries, below=0.1)

# %% [markdown]
# What have we learnt?
#
# - **There is no universal best $N$.** Over the seven runs the best $N$ differs by a factor of {{spread["N"]:.0f}}, the best λ by {{spread["λ"]:.0f}}.
# - **More data: lower λ.** The slope is −{{abs(slopes["more data", "λ"].mean):.1f}} ± {{slopes["more data", "λ"].half:.1f}}. That is even steeper than keeping $N$, because the more data there are, the less there is to regularise.
# - **More passes: do not lower λ; raise it rather.** The slope is {{slopes["more passes", "λ"].mean:.1f}} ± {{slopes["more passes", "λ"].half:.1f}}. Each pass adds overfitting, and a larger $N$ holds it down.
# - **The floor is flat where data are plenty.** With 2,000 signals everything from λ = 0.01 to $N = 4$ lies within {{np.ptp(np.append(more_data[3][1].mean(0)[:2], more_data[3][1].mean(0)[2:5])):.2f}} of
#   loss. With 500 signals in {{25 * lengths[3] / 500:.0f}} passes it is a steep valley: λ = 0.01 costs {{lost[-1][0]:.1f}}.
# - **Three tries find it.** The usual λ = 0.01 and 0.1 cost {{lost[:, 0].mean():.2f}} and {{lost[:, 1].mean():.2f}} on average, the best of $N = 1, 4, 16$ at most {{tries.max():.3f}}. The fair rival is three
#   fixed values of λ, as far apart: the best of 0.1, 0.4 and 1.6 costs up to {{fixed.max():.2f}} (read off the curves). $N$ is not the answer, but it is a good scale to search on.
#
# Wang and Aitchison ([2025](https://arxiv.org/abs/2405.13698)) found for networks of useful size that the best memory $1/(\eta\lambda)$,
# *measured in passes over the data*, is about constant: more data, a lower λ; more passes, the same λ. Our small networks, which overfit more with each pass, went further in both directions.
# In language models that see each token once, the best memory, as a share of the run, follows a power law in the number of tokens per parameter
# ([Bergsma et al., 2025b](https://arxiv.org/abs/2505.13738)). So what does change λ, and by how much?
#
# ## 11.4 Carrying λ over to another run
#
# Suppose that λ is good, and you change something else. Each rule in the table follows from one question: which of the three numbers do
# you want to keep? Column *kind* separates what is an identity (it holds for every model, given its condition) from what is an observation.
#
# | you change | do this to λ | it keeps | kind | who says so |
# |---|---|---|---|---|
# | $\eta\to c\,\eta$ | $\lambda\to\lambda/c$ | $N$, θ | identity, if the loss ignores scale and the start is scaled by $c$ | chapter 9 |
# | the schedule | so that $\lambda\sum\eta_t$ stays | $N$ | identity for the start's share (11.3) | §11.2 |
# | batch $\to cB$, same passes, same η | $\lambda\to c\,\lambda$ | $N$ | identity for $N$; that it is *best* is an observation | [Bergsma et al.](https://arxiv.org/abs/2505.13738) |
# | data × $c$, same passes | $\lambda\to\lambda/c$ or less | $N$ or less | observation | [Wang and Aitchison](https://arxiv.org/abs/2405.13698), §11.3 |
# | passes × $c$, same data | λ stays, or rises | memory in passes | observation | the same; it rose in §11.3 |
# | width $m\to cm$ with $\eta\to\eta/c$ | they disagree: $\lambda$, $\sqrt c\lambda$, $c\lambda$ | see Figure 11.6 | observation | below |
# | PyTorch's form → the paper's form | $\lambda_\text{paper} = \eta\lambda$, η the peak | every step | identity | chapter 3 |
# | AdamW → SGD with momentum | $\lambda_\text{SGD}\,\eta_\text{SGD}/(1-\mu) = \lambda\eta$ | $N$ | identity while the loss is silent | chapter 2 |
# | AdamW → Muon | update × $0.2\sqrt{\max(m, n)}$, then same η, λ | $N$, RMS, θ | identity for the RMS | [Moonlight](https://arxiv.org/abs/2502.16982) |
#
# The derivations take a line each. *Learning rate:* write $w = c\,\tilde w$ in the step of AdamW, whose update does not notice the scale: both sides divide by $c$.
# *Batch:* there are $1/c$ times as many steps, so λ must be $c$ times as large for the same sum.
# *Paper's form:* the original AdamW multiplies decay by the schedule's factor $s_t$ alone, and $s_t\lambda_\text{paper} = \eta_t\lambda$.
# *Muon:* its update $UV^\top$ of an $m\times n$ matrix has orthonormal columns or rows, so its RMS is $1/\sqrt{\max(m, n)}$; Adam's is about 0.2.
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
left = {"constant, 800 steps": average(0.005, 1.0, schedule(800, constant))[1],
        "linear, 1600 steps": average(0.005, 1.0, schedule(1600, linear))[1],
        "twice the batch": average(0.005, 2.0, schedule(800, linear))[1],
        "three times η": average(0.015, 2 / 3, schedule(800, linear))[1]}

# %%
weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
optimizer = torch.optim.SGD([weight], lr=0.01, momentum=0.9, weight_decay=0.01)
for _ in range(4000):
    weight.grad = torch.zeros(1, dtype=torch.float64)  # the loss is silent
    optimizer.step()
left["SGD, μ = 0.9"] = weight.item()

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
      measured=np.array([*left.values()]) * np.exp(4), equals=1, within=0.04)

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
# (For a while nanochat shipped $\lambda\propto1/m^2$. Its author has since replaced it by a rule of the time scale: there, data grew together with width.)
# All three have evidence. We put them side by side on two networks. Two hidden layers of 12, 30 and 75
# units learn 1,000 signals in 240 steps, once without normalisation and once with batch norm. *Predict:* which rule fits which?

# %%
widths, tried = np.array([12, 30, 75]), np.array([0.5, 1, 2, 4, 8])
rows = np.stack(orders)[:, :1000]


def by_width(norm, width, lr=0.36):
    """log₂ of the best λ by seed, for η = 0.36/m."""
    decays = tried / forgettings(lr / width, 1, schedule(240, linear))
    run = sweep(MLP((40, width, width, 10), norm=norm), signals.X[rows], signals.y[rows],
                test=held_out, loss="cross_entropy", optimizer="adamw", beta2=0.98,
                lr=lr / width, weight_decay=decays, schedule=lambda step: 1 - step / 240,
                steps=240, batch_size=50, seeds=seeds(5), record_every=240, evaluate_on=250)
    return [lowest(losses, decays) for losses in run.test_loss.values[..., -1]]


nets = {"no normalisation": None, "batch norm": "batch"}
by_net = {name: np.array([by_width(norm, int(m)) for m in widths]) for name, norm in nets.items()}

# %% tags=["hide-input"]
powers = {name: slope(values / np.log2(2.5)) for name, values in by_net.items()}

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.2))
for ax, by_seed in zip(axes, by_net.values(), strict=True):
    draw_best(ax, widths, by_seed, {"λ": 0, "√m λ": 0.5, "m λ": 1}, anchor=False)
    ax.set(xlabel="width m (η ∝ 1/m)", xlim=(10, 125), ylim=(0.1, 12))
axes[0].set_title("No normalisation: near √m"), axes[1].set_title("Batch norm: near m")
axes[0].set_ylabel("best λ")
found = [figures.drawn(ax)["_best λ"] for ax in axes]
figures.show(fig, "Best λ against width, both logarithmic, with intervals over five seeds and the "
             "three rules as lines from the first point. Left, without normalisation, it rises "
             f"from {found[0].y[0]:.2f} to {found[0].y[-1]:.1f}, along the line of √m λ. Right, "
             f"with batch norm, from {found[1].y[0]:.2f} to {found[1].y[-1]:.1f}, along m λ.")

# %% tags=["hide-input"]
claim("11-width", "Without normalisation the best λ goes with the width to the power {:.2f}",
      measured=powers["no normalisation"].mean, between=(0, 1))
claim("11-width", "With batch norm it goes with the power {:.2f}, above the ½ of the root rule",
      measured=powers["batch norm"].mean, above=0.5)

# %% [markdown]
# Without normalisation the power is {{powers["no normalisation"].mean:.2f}} ± {{powers["no normalisation"].half:.2f}}: the interval holds the root rule, and neither 0 nor 1. With batch norm, where λ sets the turn, it is
# {{powers["batch norm"].mean:.2f}} ± {{powers["batch norm"].half:.2f}}. Here the best guess is to keep ηλ, the interval reaches down to the root rule as well, and 0 is outside. In neither network does it pay to keep λ itself.
# This does not settle the question. Fan et al. found the root rule in *normalised* language models, where our batch norm would have said $m$. What you can take along:
# with $\eta\propto1/m$ raise λ with the width, by a power between ½ and 1, and check at one width in between.
#
# ### A worked failure: the right law with the wrong η
#
# Giles Thomas trained a small GPT-2 and [asked](https://www.gilesthomas.com/2026/03/llm-from-scratch-32f-interventions-weight-decay) whether 0.1 is really the best λ. His baseline, with λ = 0.1, reached a test loss of 3.692. He
# then computed λ from a published scaling law and got a *worse* 3.814, and wrote that he suspected his derivation. A summary of his posts gives the two values:
# 0.337 at first, and about 0.096 after he had put it right. What had happened? A law for the memory fixes the *product* ηλ, as in the first line of the table. So an
# η that is too small by a factor asks for a λ that is too large by the same factor. Here the factor is {{0.337 / 0.096:.1f}}, the ratio of the two learning rates that he
# considered, 0.0014 and 0.0004. There is a second lesson: λ = 0.01, which no law had proposed, reached 3.643, his best. All these are
# single runs. A law brings you to the right decade; the three tries of §11.3 do the rest.

# %% [markdown]
# ## 11.5 The audit of a model
#
# So far we computed with λ. Now we look at what it does, tensor by tensor, in three lines: make a `Watch`, call its
# `step()` now and then after `optimizer.step()`, ask for the result. It only reads: training is the same to the last bit.


# %%
def audited(model, optimizer, loss, batches, every=20):
    """Train on the batches and look every 20 steps; the loss then says what is invariant."""
    watch = Watch(model, optimizer, total_steps=len(batches))
    for step, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        if step % every == 0:
            watch.step()
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
        print(f"{name:22} N = {row.N_end.item():.1f}  {ratio:14}  {row.verdict.item()}")


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
torch.manual_seed(seeds(1)[0])
poet = Poet(len(letters), d=32, blocks=2, context=24).double()
matrices = [each for each in poet.parameters() if each.ndim > 1]
scales = [each for each in poet.parameters() if each.ndim == 1]
groups = [{"params": matrices, "weight_decay": 1.0}, {"params": scales, "weight_decay": 0.0}]
adamw = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.98))
of_poet = audited(poet, adamw, cross_entropy, pages(poems["train"], 300, 8, 24, seeds(1)[0]))
verdicts_of(of_poet, "blocks.0")

# %% [markdown]
# Figure 11.7 shows the budget (11.6) of eight tensors, summed over the run.

# %% tags=["hide-input"]
states = of_poet.data
shown = ["token.weight", *(f"blocks.0.{name}.weight" for name in (
    "query", "key", "value", "out", "up", "down")), "head.weight"]
fig, ax = figures.subplots(figsize=(5.8, 3.6))
for row, name in enumerate(shown):
    ends = {1: 0.0, -1: 0.0}
    for part, color in (("decay", figures.BLUE), ("push", figures.ORANGE),
                        ("growth", figures.GREEN)):
        length = states[part].sel(tensor=name).item()
        side = 1 if length > 0 else -1
        ax.barh(row, length, left=ends[side], color=color, height=0.7,
                label=part if row == 0 else None)
        ends[side] += length
    ax.plot(states.turn.sel(tensor=name).item(), row, "k|", ms=12, mew=2.5, label=f"_{name}")
ax.set_yticks(range(8), [name.removesuffix(".weight") for name in shown]), ax.invert_yaxis()
ax.set(xlabel="part of Σ −ln cos θ (black: the sum)", ylabel=" ", xlim=(-4.5, 4.8))
ax.legend(loc="lower left", ncols=3, fontsize=8, bbox_to_anchor=(0, -0.32))
ax.set_title("The embedding and the head turn least")

# %% tags=["hide-input"]
turned = {name.strip("_"): mark.x[0] for name, mark in figures.drawn(ax).items() if name[0] == "_"}
figures.show(fig, "Bars for eight tensors of the poet: decay to the right, as long "
             "for each; push and growth mostly to the left. Black marks show the sum, the turn: "
             f"{turned['blocks.0.query.weight']:.1f} for the queries and "
             f"{turned['blocks.0.key.weight']:.1f} for the keys, "
             f"{turned['token.weight']:.1f} for the embedding, {turned['head.weight']:.1f} for the "
             "head.")

# %% tags=["hide-input"]
parts = [f"blocks.{k}.{name}.weight" for k in (0, 1) for name in ("query", "key")]
settled = [states.verdict.sel(tensor=name).item() == "in equilibrium" for name in parts]
claim("11-qk", "Of the two blocks' four matrices of queries and keys, {} are in equilibrium",
      measured=sum(settled), equals=4)
claim("11-audit", "The budget of turn holds for every tensor of the two models",
      measured=[*states.residual.values, *of_mlp.data.residual.values], equals=0, within=1e-9)
claims.identities()

# %% [markdown]
# For each matrix decay is worth {{states.decay.sel(tensor="head.weight").item():.0f}}, which is $N$. A push to the left points *outwards*. Part of it is Adam's own doing:
# its average goes on for about ten steps in the direction from which the weights have come, and these looks are only 20 steps apart. (The audit's predicted angle
# allows for it.) Growth to the left means that the norm has shrunk on the whole.
# The embedding began large and only shrinks: decay hardly turns it. The head is pushed outwards by the loss nearly as hard as decay pulls, so it turns
# little as well. Queries and keys, on which the loss cannot push, turn as far as the theory says.
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
# | in equilibrium | decay and updates balance; ηλ sets the turn | tune ηλ as you tune a learning rate |
# | falling (or rising), needs $n$ steps and has fewer | the start still rules the norm, not λ | a larger λ with the same ηλ, a smaller start, or nothing |
# | λ does nothing in this run | $N$ by the end is below 0.05 | leave it, or raise λ until $N\ge1$ |
# | not invariant, here λ is a penalty | λ changes the function, as in chapters 1 to 5 | choose it by validation, as ridge |
# | decays though its role is … | a bias or a scale is in the decaying group | two parameter groups (chapter 6) |
# | the loss ignores it: it only decays | no gradient reaches it | find out why |
#
# ## 11.6 Real data, from the default to a decision
#
# We go the whole way twice: a convolutional network on 300 handwritten digits, and the poet. The steps are always the same.
#
# 1. **Start from the default**, λ = 0.01 in PyTorch, and compute $N$.
# 2. **Try $N = 1, 4, 16$**, that is λ = $N/\sum\eta_t$. If the best is at an end, go one further.
# 3. **Choose on validation data**, with several seeds. **Test once.**

# %%
data, rate, times = load("digits"), 0.03, np.array([1, 4, 16])
pixels, shuffled = data.scaled(16), [np.random.default_rng(s).permutation(1797) for s in seeds(5)]
train, choose, test = (np.stack([order[part] for order in shuffled])
                       for part in (slice(300), slice(300, 600), slice(600, 1200)))

# %%
decays = [0.01, *times / forgettings(rate, 1, schedule(150, linear))]
digits = sweep(CNN((12, 10), channels=(6, 12), norm="batch"), pixels[train], data.y[train],
               test=(pixels[choose], data.y[choose]), loss="cross_entropy", optimizer="adamw",
               lr=rate, beta2=0.98, weight_decay=decays, schedule=lambda step: 1 - step / 150,
               steps=150, batch_size=20, seeds=seeds(5), record_every=150)

# %%
on_validation = digits.test_loss.values[..., -1]  # by seed and λ
chosen = int(on_validation.mean(0).argmin())
said = predict(digits, pixels[test], reference=pixels[train]).values.argmax(-1)
wrong = 100 * (said != data.y[test][:, None]).mean(-1)  # test error in per cent


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
            for each in (each for each in weights.values() if each.ndim > 2):  # matrices
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
poet_decays = [0.01, *(times / forgettings(0.01, 1, schedule(100, linear))).tolist()]
poets = train_poets(poet_decays, seeds(5))
of_text, tested = losses_on("validation"), losses_on("test")
chosen_text = int(of_text.mean(0).argmin())

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.0))
for ax, values in zip(axes, (on_validation, of_text), strict=True):
    mean, low, high, _ = interval(values)
    ax.plot(range(4), mean, "o-", ms=5, color=figures.BLUE, label="_all")
    ax.vlines(range(4), low, high, color=figures.BLUE)
    ax.plot(mean.argmin(), mean.min(), "o", ms=12, mfc="none", color=figures.ORANGE)
    ax.set_xticks(range(4), ["default", "1", "4", "16"])
    ax.set(xlabel="N", ylabel="validation loss")
axes[0].set_title("Digits: decay only hurts"), axes[1].set_title("Sonnets: N = 1 helps a little")
first, second = (figures.drawn(ax)["_all"].y for ax in axes)
figures.show(fig, "Validation loss with intervals of five seeds for the default λ = 0.01 and for "
             f"N = 1, 4 and 16. Digits: {first[0]:.2f}, {first[1]:.2f}, {first[2]:.2f}, "
             f"{first[3]:.2f}. Sonnets: {second[0]:.2f}, {second[1]:.2f}, {second[2]:.2f}, "
             f"{second[3]:.2f}. A ring marks the lowest point of each.")

# %% tags=["hide-input"]
gain = interval(tested[:, 0] - tested[:, 1])
between = interval(wrong[:, 1] - wrong[:, 0])
claim("11-text", "On the test sonnets N = 1 has {:.3f} less loss than the default",
      measured=gain.mean, above=0)

# %% tags=["hide-input"]
claim("11-much", "N = 16 costs the digits {:.1f} points of test error",
      measured=(wrong[:, 3] - wrong[:, 0]).mean(), above=1)

# %% [markdown]
# Figure 11.8 shows the validation losses of both.
#
# **Digits.** The default has $N = {{0.01 * rate * 75.5:.2f}}$: λ does nothing. On validation data it has the lowest loss. $N = 1$ changes the test error by {{f"{between.mean:+.1f}".replace("-", "−")}} ± {{between.half:.1f}}
# points, which is {{"not significant" if between.low < 0 < between.high else "significant"}} with five seeds. So keep the default: *there is nothing to gain here, and the audit and four short runs have told you so*. What is significant is
# that $N = 16$ ruins the run.
#
# **Text.** The default has $N = {{0.01 * 0.01 * 50.5:.3f}}$. Validation chooses $N = {{times[chosen_text - 1]}}$, and the test, made once, gives {{gain.mean:.3f}} ± {{gain.half:.3f}} less loss per letter. That is significant and small: the
# run is {{100 * 8 * 20 / len(poems["train"]):.1f}} passes long, and §11.3 lets us expect little from decay in so few passes.
#
# ## 11.7 Fine-tuning, few passes, and what is not known
#
# Here our experiments end, and we only report what is in print.
#
# - **Fine-tuning.** Defaults disagree: 0 in the Hugging Face Trainer and in Stanford's Alpaca, 0.01 in BERT, 0.1 in RoBERTa and in the fine-tuning of Llama 2. It hardly matters: with
#   $N = {{counts["RoBERTa on MNLI"]:.2f}}$ decay removes {{100 * (1 - np.exp(-counts["RoBERTa on MNLI"])):.0f}} % of a weight that is not trained, and in Llama 2's two passes less than 0.1 %. An exception is MAE, which fine-tunes for 100 passes.
# - **LoRA.** Decay on the two factors pulls their product to zero, so the model back to its *pretrained* weights, not to zero
#   ([chapter 4](04_other_penalties.ipynb)). At usual values $N$ is a few hundredths. QLoRA uses 0 and recommends dropout.
# - **One pass over the data.** No comparison of λ with error bars has come to our notice at the size of a language model. GPT-3's $N$ was {{counts["GPT-3 175B"]:.2f}}, that of OLMo 2 1B
#   {{counts["OLMo 2 1B"]:.0f}}; nobody has published both for one model.
# - **Repeated data.** Two groups find that the best λ is far above the usual one: about 30 times, with 200 million tokens and many passes ([Kim et al., 2025](https://arxiv.org/abs/2509.14786)), and an
#   order of magnitude ([Lovelace et al., 2026](https://arxiv.org/abs/2605.01640)). This agrees with the right panel of Figure 11.4.
# - **Pretraining for fine-tuning.** A larger λ can make a base model worse and its fine-tuned child better
#   ([Han et al., 2026](https://arxiv.org/abs/2602.11137)). It is one study.
#
# ## 11.8 In practice: a page to tear out
#
# Figure 11.9 is the way from your run to a λ.

# %% tags=["hide-input"]
boxes = {
    "sum": (3, 9.3, "S = steps × mean learning rate\n(SGD with momentum: ÷ (1 − μ))", figures.GREY),
    "few": (1.35, 7.4, "few passes\nstart at N = 1", figures.BLUE),
    "many": (4.65, 7.4, "many passes\nstart at N = 4", figures.ORANGE),
    "lam": (3, 5.6, "λ = N / S, on matrices only", figures.GREY),
    "audit": (3, 4.2, "audit at 5 % of the run", figures.GREY),
    "idle": (1.35, 2.5, "λ does nothing:\nfine-tuning? leave it", figures.BLUE),
    "go": (4.65, 2.5, "try N/4 and 4N as well,\nchoose on validation data", figures.ORANGE),
    "end": (4.65, 0.7, "best at an end?\ngo one further", figures.GREY),
}
ways = [("sum", "few"), ("sum", "many"), ("few", "lam"), ("many", "lam"), ("lam", "audit"),
        ("audit", "idle"), ("audit", "go"), ("go", "end")]

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 5.6))
for x, y_at, text, color in boxes.values():
    ax.text(x, y_at, text, ha="center", va="center", fontsize=10,
            bbox={"boxstyle": "round,pad=0.4", "fc": "white", "ec": color, "lw": 1.5})
for a, b in ways:
    ax.annotate("", (boxes[b][0], boxes[b][1] + 0.55), (boxes[a][0], boxes[a][1] - 0.55),
                arrowprops={"arrowstyle": "->", "color": figures.GREY})
ax.set(xlim=(-0.2, 6.2), ylim=(-0.1, 10), xticks=[], yticks=[], xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False), ax.set_title("From your run to λ")
figures.show(fig, "A decision tree. Compute S, the number of steps times the mean learning rate; "
             "with momentum of SGD divide by 1 − μ. With few passes over the data start at N = 1, "
             "with many at N = 4. Set λ = N/S on matrices only, and audit at 5 % of the run. If λ "
             "does nothing and you fine-tune, leave it. Else try N/4 and 4N as well and choose on "
             "validation data; if the best is at an end, go one further.")

# %% [markdown]
# | symptom | cause | what to do |
# |---|---|---|
# | λ does nothing | $N$ is small, or the tensor is invariant and still far from equilibrium | compute $N$; audit |
# | the gradient norm rises at the end though the loss falls | η goes to zero, and (11.7) says that $\lVert g\rVert/\lVert w\rVert$ goes as $\sqrt{\lambda/\eta}$ | nothing is wrong; AdamC makes λ follow η ([Defazio, 2025](https://arxiv.org/abs/2506.02285)) |
# | the loss dips after a drop of η, then climbs | the turn falls at once, then the norm shrinks and the turn returns | less λ after the drop, or a shorter stage |
# | norms still fall at the end | $1/(2\eta\lambda)$ steps is longer than the run | the start rules; scale it, or accept |
# | the embedding grows | it does not decay, and nothing else holds it | decay it, or leave it if the loss is well: practice differs |
# | the first steps explode | $\eta\lambda$ is near 2 (chapter 2) | smaller η or λ |
#
# The second line is the question that is asked most. On a weight whose size the loss ignores, an SGD step without momentum turns by $\theta\approx\eta\lVert g\rVert/\lVert w\rVert$. Put this into (11.5):
#
# $$\frac{\lVert g\rVert}{\lVert w\rVert}\approx\sqrt{\frac{2\lambda}{\eta}}. \tag{11.7}$$
#
# As η falls, the weights shrink and the gradient grows, while the loss is falling. Chou ([2025](https://arxiv.org/abs/2512.08217)) derives the same remedy, λ in proportion to η,
# without the argument from right angles.
#
# ## 11.9 Myths and limits
#
# - *With AdamW, λ does not depend on η.* It is decoupled from the gradient, not from η. In PyTorch each step decays by ηλ. If you halve η, you halve $N$.
# - *0.1 is the right weight decay for language models.* It is a habit. With it $N$ was {{counts["GPT-3 175B"]:.2f}} in one model and {{counts["OLMo 2 1B"]:.0f}} in another.
# - *$N$ is a constant of nature.* In our runs the best $N$ ranged over a factor of {{spread["N"]:.0f}}.
#
# What was not shown: our networks are small, our runs short, and η was fixed while λ moved; a joint search may end elsewhere.
# §11.3 and the width experiment are one task, MNIST-1D. The recipes of Figure 11.1 say what people did, not what was best.
#
# ## 11.10 Exercises
#
# **1.** (One line.) Your run has 10,000 steps of AdamW, linear to zero from $\eta = 3\cdot10^{-4}$. Which λ gives $N = 2$? And if the schedule were constant?
#
# <details>
# <summary>Solution</summary>
#
# `2 / forgettings(3e-4, 1, schedule(10_000, linear))` is {{2 / forgettings(3e-4, 1, schedule(10_000, linear)):.2f}}; with a constant schedule {{2 / (3e-4 * 10_000):.2f}}.
#
# </details>
#
# **2.** (Read this log.) What do you do about each line? The run has 2,000 steps, η = 0.001 and λ = 0.1.
#
# ```text
# encoder.weight   N = 0.2   RMS ratio  0.31   rising, needs 6,100 steps and has 1,900
# encoder.bias     N = 0.2   RMS ratio  0.02   decays though its role is bias
# head.weight      N = 0.2   RMS ratio  0.11   not invariant, here λ is a penalty
# ```
#
# <details>
# <summary>Solution</summary>
#
# $\eta\lambda\cdot2{,}000 = {{0.001 * 0.1 * 2000:.1f}}$, so {{100 * np.exp(-0.2):.0f}} % of the start survives. The encoder will not reach its equilibrium: its
# turn is set by its start and η. If you want the effect of decay, raise λ tenfold ($N = 2$); if not, leave it. Take the bias out of the decaying group.
# For the head λ is a penalty: choose it on validation data.
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
# **5.** (Proof.) With μP and $\lambda\propto m$ a wide layer starts with an RMS of $k$ times its equilibrium. Show that its relative updates are those of the
# equilibrium times $(1+(k^2-1)(1-\eta\lambda)^{2t})^{-1/2}$: a warm-up that nobody typed.
#
# <details>
# <summary>Solution</summary>
#
# By step 1 of (11.4) $r_{t+1}^2-r_*^2 = (1-\eta\lambda)^2(r_t^2-r_*^2)$, so $r_t^2 = r_*^2\,(1+(k^2-1)(1-\eta\lambda)^{2t})$. A relative update is $\eta/r_t$.
# Kosson et al. (2025) found this in μP.
#
# </details>
#
# **6.** (Predict, then run.) Which share of the start survives 400 steps with η = 0.01 and λ = 1 under warm-up–stable–decay? Then type
# `average(0.01, 1.0, schedule(400, stable))[1]`.
#
# <details>
# <summary>Solution</summary>
#
# The last fifth of the schedule is a ramp, which counts half. So $N\approx{{0.9 * 0.01 * 400:.1f}}$, and $e^{-N} = {{np.exp(-0.9 * 0.01 * 400):.3f}}$. The function says 0.0267.
#
# </details>
#
# **7.** (Your own network.) Audit it at a twentieth of the run. Which verdict has most of your parameters, and does it fit the $N$ that you computed?
#
# <details>
# <summary>For reference</summary>
#
# In the poet of §11.5 {{(states.verdict.values == "in equilibrium").sum()}} of {{states.sizes["tensor"]}} tensors are in equilibrium after $N = 3$, and {{(states.verdict.values == "not invariant, here λ is a penalty").sum()}} are not invariant.
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
