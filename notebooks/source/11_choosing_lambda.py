# %% [markdown]
# # 11 Choosing λ
#
# You have a model, a learning rate, a number of steps, and a setting called `weight_decay`. Which number do you type?
# **In our small runs, at a good learning rate, too small a λ raised the loss by at most {{below: up(too_small.max()):.2f}}, and too large a λ ($N = {{below: grid[5]:.0f}}$) by up to {{below: up(of_long[:, 5].max()):.2f}}.** By the end you can choose λ, carry it over to another run, and audit your own model.
#
# *In a hurry? §11.2 gives you a λ. Reading time an hour; the code runs in about 20 seconds.*


# %% tags=["hide-input"]
from importlib import resources
from itertools import chain, combinations, pairwise

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import nn
from torch.nn import functional

from l2lib import claims, figures
from l2lib.audit import Watch
from l2lib.claims import claim, interval, seeds
from l2lib.datasets import load, sonnets
from l2lib.sweep import CNN, MLP, sweep

# %% tags=["hide-input"]
bars = {n: interval(range(n)).half / np.std(range(n), ddof=1) for n in (3, 4, 5)}  # t/√n
by_luck = {n: claims.rng(4).standard_normal((n, 100_000)) for n in bars}  # no true gain


def clear(gains):
    """Whether the mean gain is clear, by the recipe's words; a row for each seed."""
    return gains.mean(0) > bars[len(gains)] * gains.std(0, ddof=1)


assert all(abs(clear(x).mean() - 0.025) < 0.004 for x in by_luck.values()), "5 %, one side"

# %% [markdown]
# ## 11.1 A puzzle: everybody types a different number
#
# A ResNet is trained with $\lambda = 10^{-4}$, a language model with {{below: lams["GPT-3 175B"]}}, a vision transformer with {{below: lams["ViT"]}}, and the network of
# [chapter 9](09_adaptive_optimisers.ipynb) with {{below: lams["our chapter 9"]:.0f}}. Can one other number explain them all?
#
# Step $t$ of AdamW, at the learning rate $\eta_t$, multiplies a weight by $1-\eta_t\lambda$ and adds the update. So does SGD without momentum. Each step takes away the fraction $\eta_t\lambda$. Over the $T$ steps these add up to
#
# $$N = \sum_{t=0}^{T-1}\eta_t\lambda. \tag{11.1}$$
#
# Call $N$ the run's *forgetting*. With no updates at all, decay would shrink a weight to about $e^{-N}$ of itself (§11.3). At $N = 1$ this is {{100 * np.exp(-1):.0f}} %, at $N = 4$ only {{100 * np.exp(-4):.0f}} %.
#
# Momentum repeats each decay step in every later step, shrunk by μ each time. In all that is $1+\mu+\mu^2+\dots = 1/(1-\mu)$ times the step, so under SGD $N$ is larger by this factor (chapter 2). Let $S$ be the sum of all η, under SGD divided by $1-\mu$. Then $N = \lambda S$.

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
    """N of (11.1). PyTorch's SGD with momentum multiplies the decay by 1/(1 − μ) (chapter 2)."""
    return weight_decay * lr * np.sum(factors) / (1 - momentum)


# %%
llama = factors_of(500_000, cosine, warmup=2000, end=0.1)
n_llama = forgettings(3e-4, 0.1, llama)

# %% [markdown]
# Llama 2 7B took about 500,000 steps with λ = 0.1, under a cosine from $3\cdot10^{-4}$ to 0.1 of that. The mean η is {{llama.mean():.2f}} of the peak, so $N = 0.1\cdot500{,}000\cdot{{llama.mean():.2f}}\cdot3\cdot10^{-4}\approx{{n_llama:.1f}}$. Figure 11.1 shows $S$ as an area and, below, λ against $S$ for more recipes.

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
vision = [*scratch]

# %% tags=["hide-input"]
of_24, of_10 = np.arange(24 * 97) / 97, np.arange(476) / 476  # passes, and the share of the run
short = {
    "cifar10-fast": (0.4, 5e-4, np.interp(of_24, [0, 5, 24], [0, 1, 0]), 0.9),
    "airbench94": (1.5, 0.0153 / 11.5, np.interp(of_10, [0, 0.23, 1], [0.2, 1, 0.07]), 0.85),
}

# %% tags=["hide-input"]
epochs = {"ResNet-50": 90, "ResNet-50, 2021": 600, "ResNet, CIFAR": 200, "DeiT": 300,
          "ConvNeXt-T": 300, "MAE": 800, "ViT-S, big_vision": 89.1, "ViT": 300,
          "cifar10-fast": 24, "airbench94": 9.9}
by_momentum = [name for name, recipe in (short | scratch).items() if len(recipe) == 4]
scratch = short | scratch

# %% tags=["hide-input"]
scratch |= {
    "BERT": (1e-4, 0.01, factors_of(1_000_000, linear, 10_000)),
    "GPT-3 175B": (6e-5, 0.1, factors_of(93_750, cosine, 117, 0.1, 81_250)),
    "Llama 65B": (1.5e-4, 0.1, factors_of(350_000, cosine, 2000, 0.1)),
    "Llama 2 70B": (1.5e-4, 0.1, llama), "Llama 2 7B": (3e-4, 0.1, llama),
    "Pythia 12B": (1.2e-4, 0.1, factors_of(143_000, cosine, 1430, 0.1)),
    "OLMo 7B": (3e-4, 0.1, factors_of(476_837, linear, 5000, 0.1)),
    "OLMo 2 1B": (4e-4, 0.1, factors_of(1_907_348, cosine, 4000, 0.1, 2_384_186)),
    "wav2vec 2.0": (5e-4, 0.01, factors_of(400_000, linear, 32_000)),
    "our chapter 9": (0.01, 3.0, factors_of(400, constant)),
}
published = [name for name in scratch if name != "our chapter 9"]

# %% tags=["hide-input"]
bert = 1_000_000 * 256 * (0.9 * 128 + 0.1 * 512)  # tokens that BERT saw
with_adam = [name for name in published if name not in by_momentum]
tuned = {"RoBERTa on MNLI": (1e-5, 0.1, factors_of(123_873, linear, 7432)),
         "LoRA, GPT-2 on E2E": (2e-4, 0.01, factors_of(26_289, linear, 500))}
recipes = scratch | tuned
lams = {name: recipe[1] for name, recipe in recipes.items()}
counts = {name: forgettings(*recipe) for name, recipe in recipes.items()}

# %% tags=["hide-input"]
names = [*short, *sorted(vision, key=lambda name: (lams[name], counts[name]))]
names += [name for name in recipes if name not in names]
names[10:18] = sorted(names[10:18], key=counts.get)  # the language models by N

# %% tags=["hide-input"]
tokens = {"GPT-3 175B": 300 / 175, "Pythia 12B": 143_000 * 2**21 / 12e9,  # per weight
          "Llama 65B": 1400 / 65, "Llama 2 70B": 2000 / 70, "Llama 2 7B": 2000 / 7,
          "OLMo 7B": 476_837 * 2**22 / 7e9, "OLMo 2 1B": 1_907_348 * 2**21 / 1.5e9}
of_root = np.array([counts[name] / k**0.5 for name, k in tokens.items()])  # N ÷ √k
assert {lams[name] for name in tokens} == {0.1}, "all type the same"
scatter = np.exp(np.abs(np.log(of_root / 0.5)).max())
below_bert = [0.5 * (bert / size) ** 0.5 / counts["BERT"] for size in (340e6, 110e6)]

# %% tags=["hide-input"]
steps_of = np.arange(10_001)
areas = {"constant": np.ones(10_001), "cosine to zero": (1 + np.cos(np.pi * steps_of / 1e4)) / 2,
         "warm-up and fall": np.interp(steps_of, [0, 2000, 8000, 10_000], [0, 1, 1, 0])}

# %% tags=["hide-input"]
fig, grid_of = figures.subplots(2, 3, sharey="row", figsize=(7.2, 6.9), height_ratios=[1, 2.5])
axes, below = grid_of[0], grid_of[1, 0].get_gridspec()
for ax, (name, factors) in zip(axes, areas.items(), strict=True):
    ax.plot(steps_of[::50], 0.001 * factors[::50], color=figures.BLUE, label=f"_{name}")
    ax.fill_between(steps_of[::50], 0.001 * factors[::50], color=figures.BLUE, alpha=0.25, lw=0)
    area = 0.001 * factors[:-1].sum()
    middle = 5000 if factors[5000] == 1 else 3300
    ax.text(middle, 0.0001, f"S = {area:.0f}\nN = 1:\nλ = {1 / area:.3g}", ha="center")
    ax.set(xlabel="step", ylabel=" ", xlim=(0, 10_400), ylim=(0, 0.0012))
    ax.set_xticks([0, 10_000], ["0", "10,000"])
    ax.set_yticks([0, 0.001], ["0", "0.001"])

# %% tags=["hide-input"]
sums = {name: counts[name] / lams[name] for name in recipes}  # S of each recipe
[ax.remove() for ax in grid_of[1]]
chart, span = fig.add_subplot(below[1, :]), np.array([0.1, 3e6])
for n, sign in ((0.05, "0.05"), (1 / 4, "¼"), (1, "1"), (4, "4"), (8, "8"), (16, "16")):
    chart.loglog(span, n / span, color=figures.GREEN, lw=1.2, zorder=0, label=f"_N{n}")
    rest = f" ({100 * np.exp(-n):.0f} %)" if n < 8 else ""  # of the start, nothing
    chart.text(600, n / 600, f"N = {sign}{rest}", color=figures.GREEN, fontsize=9,
               ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 1})
for name, total in sums.items():
    mark, paint = ("s", figures.ORANGE) if name in by_momentum else ("o", figures.BLUE)
    chart.plot(total, lams[name], mark, ms=6, label=f"_{name}", color=paint, zorder=4,
               mfc=paint if name in scratch else "white")

# %% tags=["hide-input"]
places = {"our chapter 9": (8, 3), "GPT-3 175B": (0, -12), "OLMo 2 1B": (8, 0), "ViT": (8, 0),
          "BERT": (0, -12), "ResNet-50": (8, 5), "airbench94": (8, 3), "MAE": (8, 1),
          "RoBERTa on MNLI": (0, 17), "LoRA, GPT-2 on E2E": (0, -12),
          "ResNet-50, 2021": (-50, -1), "ResNet, CIFAR": (8, 5)}
for name, at in places.items():
    words = "RoBERTa\non MNLI" if name[:3] == "RoB" else name
    chart.annotate(words, (sums[name], lams[name]), at, textcoords="offset points", fontsize=9,
                   ha="left" if at[0] == 8 else "center", va="center", zorder=3,
                   bbox={"fc": "white", "ec": "none", "pad": 0.5})

# %% tags=["hide-input"]
axes[0].set_ylabel("learning rate η")
for ax, title in zip(axes, ("Constant", "Cosine: half", "Ramps count half"), strict=True):
    ax.set_title(title)
chart.set(xlim=(0.1, 3e6), ylim=(6e-6, 30), xlabel="S, the sum of all η (SGD: ÷ (1 − μ))",
          ylabel="λ")
chart.set_xticks(10.0 ** np.arange(-1, 7), [f"{10**k:,g}" for k in range(-1, 6)] + ["10⁶"])
chart.set_yticks(10.0 ** np.arange(-5, 2), [f"{10.0**k:.5f}".rstrip("0.") or "1"
                                            for k in range(-5, 1)] + ["10"])
chart.tick_params(which="minor", length=3)
kinds = [chart.plot([], [], mark, color=color, ms=6, mfc=fill)[0] for mark, color, fill in (
    ("s", figures.ORANGE, figures.ORANGE), ("o", figures.BLUE, figures.BLUE),
    ("o", figures.BLUE, "white"))]
chart.legend(kinds, ["SGD", "Adam", "Adam, fine-tuning"], fontsize=9, loc="lower left")
last = chart.set_title("Read off λ: go up from your S to the line of your N")

# %% tags=["hide-input"]
cifar = forgettings(0.1, 1, factors_of(11_730, cosine), momentum=0.9)  # S of §11.2's example
chart.plot([cifar, cifar, 0.11], [6e-6, 4 / cifar, 4 / cifar], color=figures.PINK, lw=1.8,
           label="_example")
chart.plot(0.115, 4 / cifar, "<", ms=7, color=figures.PINK, label="_tip")
last = chart.text(0.13, 9e-4, f"S = {11_730 * 0.05 / 0.1:,.0f}, N = 4:\nλ = {4 / cifar:.4f}",
                  fontsize=9, color=figures.PINK, va="bottom")

# %% tags=["hide-input"]
drawn = [figures.drawn(ax)[f"_{name}"] for ax, name in zip(axes, areas, strict=True)]
sizes, dots = [np.trapezoid(curve.y, curve.x) for curve in drawn], figures.drawn(chart)
first, lower, corner = (dots[name] for name in ("_our chapter 9", "_ResNet-50, 2021", "_example"))
figures.show(fig, "Above, three schedules of 10,000 steps with the peak 0.001, the areas below "
             f"them shaded. A constant rate: area {sizes[0]:.0f}. A cosine to zero: "
             f"{sizes[1]:.0f}. A rise over the first fifth and a fall over the last: "
             f"{sizes[2]:.0f}. So N = 1 is λ = {1 / sizes[0]:.1f}, {1 / sizes[1]:.1f} and "
             f"{1 / sizes[2]:.3f}. Below, λ against S, both logarithmic, with slanted lines at N = "
             f"0.05, ¼, 1, 4, 8 and 16, where decay alone leaves {100 * np.exp(-0.05):.0f}, "
             f"{100 * np.exp(-1 / 4):.0f}, "
             f"{100 * np.exp(-1):.0f}, {100 * np.exp(-4):.0f}, 0 and 0 % of the start. "
             f"Dots, one for each recipe, go from λ = {first.y[0]:g} at S = "
             f"{first.x[0]:.0f} to {lower.y[0]:.5f} "
             f"at {lower.x[0]:,.0f}, most at an N of 1 or more. An arrow goes up from "
             f"the S of an example to the line N = 4 and left to λ = {corner.y[1]:.4f}.",
             number="11.1",
             caption="Above, the shaded area is the sum of all learning rates, S. Below, each "
             "mark is a recipe: squares are trained by SGD, dots by Adam, and open ones "
             "fine-tune. In brackets is the share that decay alone leaves of the start. "
             "Figure 11.2 names the other marks.")

# %% tags=["hide-input"]
median = np.median([counts[name] for name in vision])
assert sum(counts[name] < median for name in vision) == len(vision) / 2, "half lie below it"


def draw_recipes(ax, values):
    """A mark for each recipe: a square for SGD, a dot for Adam, open where it fine-tunes."""
    for row, name in enumerate(names):
        sgd = name in by_momentum
        color = figures.ORANGE if sgd else figures.BLUE
        ax.semilogx(values[name], row, "s" if sgd else "o", ms=6, color=color, label=f"_{name}",
                    mfc=color if name in scratch else "none")
    ax.set(ylabel=" ")
    ax.grid(axis="y", lw=0.4)
    for border in (1.5, 9.5, 17.5, 19.5):
        ax.axhline(border, color=figures.GREY, lw=0.8)


# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(7.2, 5.4))
ends = [pick(counts[name] for name in published) for pick in (min, max)]
ax.axvspan(*ends, color=figures.GREY, alpha=0.15, lw=0, zorder=-1)
draw_recipes(ax, counts)
ax.set_yticks(range(len(names)), [f"{name}, k = {tokens[name]:,.0f}" if name in tokens
                                  else name for name in names])
ax.set(xlabel="N, by the end", xlim=(0.015, 3000), ylim=(21.5, -1.6))
ax.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
ax.minorticks_off()
ax.plot([median] * 2, [1.6, 9.4], color=figures.GREEN, lw=2.5, zorder=1.8, label="_images")
rule = {name: 0.5 * k**0.5 for name, k in tokens.items()}  # the row's N for language
last = ax.plot([*rule.values()], [names.index(name) for name in rule], "|", ms=15,
               mew=2.5, color=figures.GREEN, zorder=1.8, label="_rule")

# %% tags=["hide-input"]
for row, name in enumerate(names):
    ax.text(430, row, f"{counts[name]:.2g}", fontsize=9, va="center", ha="right")
    ax.text(2700, row, f"{lams[name]:f}".rstrip("0."), fontsize=9, va="center", ha="right")
ax.text(430, -0.9, "N", fontsize=9, va="center", ha="right", weight="bold")
ax.text(2700, -0.9, "λ", fontsize=9, va="center", ha="right", weight="bold")
for row, text in ((0.5, "images,\nshort"), (5, "images,\nlonger"), (13.5, "language"),
                  (18.5, "others"), (20.5, "fine-\ntuning")):
    ax.text(3300, row, text, color=figures.GREEN, va="center")
marks = [ax.plot([], [], mark, color=color, ms=6, mfc=fill)[0] for mark, color, fill in (
    ("s", figures.ORANGE, figures.ORANGE), ("o", figures.BLUE, figures.BLUE),
    ("o", figures.BLUE, "none"))]
marks.append(ax.plot([], [], "|", ms=12, mew=2.5, color=figures.GREEN)[0])
legend = fig.legend(marks, ["SGD", "Adam", "Adam, fine-tuning", "median, or ½√k"], ncols=4,
                    loc="outside lower center")

# %% tags=["hide-input"]
of_n = {name: mark.x[0] for name, mark in figures.drawn(ax).items() if name[1:] in recipes}
of_lam = {name: mark.y[0] for name, mark in figures.drawn(chart).items()
          if name[1:] in recipes}  # drawn in Figure 11.1
wide = {(what, len(some)): np.divide(*np.sort([of[f"_{name}"] for name in some])[[-1, 0]])
        for what, of in (("λ", of_lam), ("N", of_n)) for some in (published, with_adam)}
apart = [of_lam["_ViT"] / of_lam["_ResNet-50, 2021"], of_lam["_ViT"] / of_lam["_BERT"],
         of_n["_OLMo 2 1B"] / of_n["_GPT-3 175B"]]  # the last of Adam alone, too
last = ax.set_title(f"All recipes: λ spreads {apart[0]:,.0f}-fold, N {apart[2]:.0f}-fold.\n"
                    f"Adam's alone: λ {apart[1]:.0f}-fold, N as before")

# %% tags=["hide-input"]
of_n = {name: mark.x[0] for name, mark in figures.drawn(ax).items() if name[1:] in recipes}
of_lam = {name: mark.y[0] for name, mark in figures.drawn(chart).items() if name[1:] in recipes}
middle = figures.drawn(ax)["_images"].x[0]
figures.show(fig, "A row for each recipe, with its N as a mark on a logarithmic axis and a band "
             "from the least to the most; squares are trained by SGD, dots by Adam. "
             "Recipes "
             f"that train from scratch lie between {of_n['_GPT-3 175B']:.2f} (GPT-3) and "
             f"{of_n['_OLMo 2 1B']:.0f} (OLMo 2 1B), DeiT and ConvNeXt near "
             f"{of_n['_DeiT']:.1f}; two fine-tuning recipes, drawn as open circles, at "
             f"{of_n['_RoBERTa on MNLI']:.2f} and {of_n['_LoRA, GPT-2 on E2E']:.2f}. "
             f"N and λ stand at the right of each row; λ goes from "
             f"{of_lam['_ResNet-50, 2021']:.5f} to {of_lam['_our chapter 9']:g}. "
             f"A green line marks the median of eight image recipes, {middle:.2g}; two short ones "
             "have less. Beside language models stand their tokens per weight, k, and a green "
             "mark at half the root of k.",
             number="11.2", caption="Each row is a recipe, with its N and λ at the right; k counts "
             "the tokens per weight of language models. Green: the median of the longer image "
             f"runs, {middle:.2g}, and ½√k for language. BERT, in many passes, is left out of that "
             f"rule: it lies {below_bert[0]:.0f} to {below_bert[1]:.0f} times below it. "
             "The band and the title leave out our chapter 9 and fine-tuning.")

# %% tags=["hide-input"]
images = [counts[name] for name in ("DeiT", "ConvNeXt-T", "MAE", "ViT-S, big_vision")]
by_sgd = [counts[name] for name in published if name not in with_adam]
of_images = [[recipes[name][:2] for name in vision if ("ResNet" in name) == sgd]
             for sgd in (True, False)]  # η and λ, by optimiser
with_sgd, by_adam = (np.exp(np.log(some).mean(0)) for some in of_images)
alike = [counts[name] for name in vision if lams[name] in (1e-4, 0.05)]
larger, smaller = with_sgd[0] / by_adam[0], by_adam[1] / with_sgd[1]
assert 1 / 3 < 10 * larger / smaller < 3, "SGD's η times momentum's ten makes up for its λ"
assert of_n["_GPT-3 175B"] < min(by_sgd) <= max(by_sgd) < of_n["_OLMo 2 1B"], "within Adam's"
steep = np.polyfit(*np.log([[*tokens.values()], [counts[name] for name in tokens]]), 1)[0]
weak = np.corrcoef(*np.log([[each[name] for name in vision] for each in (epochs, counts)]))[0, 1]

# %% [markdown]
# <details>
# <summary>Where each recipe was read, and what was assumed</summary>
#
# | recipe | read in |
# |---|---|
# | `ResNet-50`; 2021 | [torchvision](https://github.com/pytorch/vision)'s reference script, its defaults of old; its [new recipe](https://github.com/pytorch/vision/issues/3995) |
# | ResNet, CIFAR | [pytorch-cifar](https://github.com/kuangliu/pytorch-cifar), `main.py` |
# | cifar10-fast, airbench94 | their code: [cifar10-fast](https://github.com/davidcpage/cifar10-fast), `dawn.py`; [airbench](https://github.com/KellerJordan/cifar10-airbench), `airbench94.py`, without its *lookahead*; we converted λ and η to a loss that is the mean over the batch |
# | DeiT, ConvNeXt, MAE | the authors' code: [DeiT](https://github.com/facebookresearch/deit), [ConvNeXt](https://github.com/facebookresearch/ConvNeXt), [MAE](https://github.com/facebookresearch/mae) |
# | ViT-S, big_vision | [big_vision](https://github.com/google-research/big_vision), `vit_s16_i1k.py`. It types $10^{-4}$, as it does not multiply λ by the peak of η. This is our 0.1 (§11.5) |
# | ViT | the paper's table for ImageNet; we have not seen its code, and assume that it decays as PyTorch does |
# | BERT, wav2vec 2.0 | [BERT](https://github.com/google-research/bert)'s `optimization.py`; [fairseq](https://github.com/facebookresearch/fairseq)'s configuration |
# | GPT-3 | the paper; its smaller batches at the start are left out |
# | Llama, Llama 2 | [Table 1 of the paper on Llama 2](https://arxiv.org/abs/2307.09288), which has both; batches of four million tokens |
# | Pythia, OLMo | [Pythia](https://github.com/EleutherAI/pythia)'s and [OLMo](https://github.com/allenai/OLMo)'s configurations; that Pythia's Adam is decoupled is its library's default |
# | RoBERTa, LoRA | fairseq's configuration; [LoRA](https://github.com/microsoft/LoRA)'s commands for E2E |
#
# Recipes differ in what decays, too: OLMo 2 1B exempts its embeddings but not its norms and biases, and some exempt position embeddings and class tokens. The ½ of $\frac12\sqrt k$: the recipes' $N/\sqrt k$ has the geometric mean {{np.exp(np.log(of_root).mean()):.2f}}. A line fitted to their logarithms has the slope {{steep:.1f}}. But all typed λ = 0.1, which nobody seems to have tuned, so $N$ rises only because $S$ does. The better evidence is Bergsma et al. ([2025b](https://arxiv.org/abs/2505.13738)): they tuned λ, and their best $N$ follows a power law in $k$, too. Among the longer image runs $N$ goes less with the length of the run (the logarithms of $N$ and of the passes correlate by {{weak:.1f}}).
#
# Where a source gives images or tokens, we divided by the batch to get steps. Tokens per weight are steps times the tokens of a batch, divided by the weights: $2^{21}$ tokens a batch for Pythia and OLMo 2 1B (1.5 billion weights), $2^{22}$ for OLMo 7B;
# 300 billion tokens in all for GPT-3, 1,400 billion for Llama 65B, 2,000 billion for Llama 2. BERT's batches are 256 pieces, of 128 tokens in 90 % of the steps and of 512 in the rest: {{bert / 340e6:.0f}} tokens per weight (large) or {{bert / 110e6:.0f}} (base), in many passes. The $N$ of SGD includes the factor $1/(1-\mu)$ of momentum, 10 for μ = 0.9.
#
# </details>
#
# SGD has a small λ but a large η; the product, with momentum counted, is about Adam's. So $\lambda = 10^{-4}$ under SGD and 0.05 under Adam both have $N$ = {{min(alike):.0f}} to {{max(alike):.0f}}.
#
# **Over Adam's alone λ spreads only {{wide["λ", len(with_adam)]:.0f}}-fold, $N$ still {{wide["N", len(published)]:.0f}}-fold.** So $N$ explains why SGD's λ is small, and no more: it says how much of the start a run forgets, but not how much it should forget. (Chapter 9 takes λ = {{lams["our chapter 9"]:.0f}} so that its {{len(scratch["our chapter 9"][2])}} steps reach the equilibrium; that makes $N = {{counts["our chapter 9"]:.0f}}$.)

# %% tags=["hide-input"]
claim("11-span", "Of the published recipes that train from scratch OLMo 2 1B has the largest N, "
      "{:.0f} times that of GPT-3, which has the smallest",
      measured=wide["N", len(published)], between=(180, 182))
claim("11-tokens", "N/√k of each language model but BERT lies in the range that the table "
      "below tells you to try, ⅛ to 2; the smallest is {:.2f}",
      measured=of_root, between=(1 / 8, 2))

# %% tags=["hide-input"]
claim("11-short", "The two short image recipes have an N of {:.1f} at most; each longer one has "
      "more",
      measured=[counts[name] for name in short], below=min(counts[name] for name in vision))
claim("11-momentum", "Momentum of 0.9 multiplies the N of a coupled SGD by ten",
      measured=counts["ResNet-50"] / forgettings(0.1, 1e-4, old), equals=10, within=1e-9)

# %% tags=["hide-input"]
of_sums = 0.001 * np.sum([*areas.values()], 1, where=steps_of < 10_000)
gaps = np.abs(sizes - of_sums)  # 0 but for a step
assert gaps.max() < 0.001, "an area of Figure 11.1 is not the sum of its η"

# %% [markdown]
# ## 11.2 The recipe
#
# This section gives you a λ; the later ones say why, and how sure we are.
#
# **λ = N/S: the forgetting that you want, divided by the sum of your learning rates.** For example, {{below: cifar_passes}} *passes* (epochs) of a new ResNet over CIFAR are 11,730 steps of SGD with μ = 0.9, under a cosine from η = 0.1. Steps × mean η, divided by $1-\mu$, is $S = 11{,}730\cdot0.05/0.1 = 5{,}865$. The table below says $N = 4$, so λ = {{4 / cifar:.4f}}. In four steps:
#
# 1. **Add up the learning rates.** $S$ is the sum of η over all steps. If η is constant, it is steps × peak. Under a cosine or a line to zero it is about half of that. Under SGD with momentum μ divide it by $1-\mu$.
# 2. **Look up $N$** in the table, and compute $\lambda = N/S$. If peak η times λ exceeds *the limit*, take the $N$ at which it is the limit. Under AdamW this is {{below: most_peak}}: beyond it the theory of §11.3 no longer holds. Under SGD it is the smaller of ${{below: most_peak}}\,(1-\mu)$ and $(1-\sqrt\mu)^2$; beyond the second, decay by itself makes weights swing (chapter 2).
# 3. **Let only *matrices* decay:** tensors with two axes or more (chapter 6).
# 4. **Name the *fallback*,** the λ to beat. If earlier runs had the same model, data, η and length, it is their λ, even if that was the default. If they differ in one thing, carry their λ over by §11.5. Without such runs it is the row's $N$ divided by $S$.
#
# **With one run:** If you must not lose, type the fallback. If the run may be a trial, type the row's $N$ and keep the better of the two. Your η is probably not the best one, and there decay usually helped (§11.7).
#
# A λ far above the usual 0.1 can be right: {{below: short_steps:,}} steps of AdamW under a cosine from 0.001 have $S = {{below: short_s:.3f}}$, so the $N = 4$ of the last row needs λ = {{below: 4 / short_s:.1f}}.
#
# **Take the first row that fits. Its bold number is *the row's $N$*;** the others are for a search.
#
# | your run | try $N$ | because |
# |---|---|---|
# | fine-tuning | λ = {{below: usual}}, but no more than {{below: least_n}}/$S$ ($N\le$ **{{below: least_n}}**). Stop here (LoRA: fold). | A guess, as you want to keep the start. In print we have two recipes, LoRA and RoBERTa, of {{counts["LoRA, GPT-2 on E2E"]:.2f}} and {{counts["RoBERTa on MNLI"]:.2f}} (fold of §11.1). We tested none. |
# | continued pretraining | type the λ of the pretraining. Stop here. | A guess; we did not test it. |
# | like a published one, in model, optimiser, data, augmentation and passes | a quarter of that recipe's $N$, **its $N$**, four times it | Figure 11.2 |
# | language, $k$ tokens seen per weight (embeddings count) | $\frac18\sqrt k$, **½**$\sqrt k$, $2\sqrt k$; in many passes (epochs) also $8\sqrt k$ | Fitted to {{len(tokens)}} recipes, all within a factor of {{scatter:.1f}}. But all typed λ = 0.1, and BERT, in many passes, lies {{below_bert[0]:.0f}} to {{below_bert[1]:.0f}} times below: weak evidence (folds of §11.1 and §11.7). |
# | ≥ 50,000 images (CIFAR), about 10 to under {{below: few_of_images}} passes | 1, **4**, 16 | Two recipes, of {{epochs["airbench94"]:.1f}} and {{epochs["cifar10-fast"]}} passes, have {{counts["airbench94"]:.1f}} and {{counts["cifar10-fast"]:.1f}}. |
# | ≥ 50,000 images, {{below: few_of_images}} to under about {{below: round(long_images, -1):.0f}} passes | 2, **8**, 32 | No recipe; the geometric mean of the rows above and below. |
# | ≥ 50,000 images, about {{below: round(long_images, -1):.0f}} passes or more | SGD: 4, **16**, 64; AdamW: 2, **8**, 32 | {{len(vision)}} recipes, of {{below: long_images}} passes or more, have {{min(counts[name] for name in vision):.0f}} to {{max(counts[name] for name in vision):.0f}}. Their median is {{below: of_kind[0]:.0f}} under SGD, {{below: of_kind[1]:.1f}} under Adam. |
# | anything else (we tried at most {{below: pool:,}} examples), fewer than {{below: many_passes}} passes | ¼, **1**, 4, and λ = 0 | Figure 11.10 |
# | the same, {{below: many_passes}} passes or more | 1, **4**, 16, and λ = 0 | Figure 11.10 |
#
# Near the border of two rows take the smaller of their $N$, as too large a λ can cost more. If η stays constant to the end, take a quarter of the row's $N$: it averages over about the same stretch of the run (§11.3).
#
# The images were classified, but for MAE. The row of about 10 to under {{below: few_of_images}} passes rests on **SGD** alone; the last two rest on **AdamW** alone, without augmentation or dropout. For other optimisers all rows are a guess.
#
# The steps in code:
#
# ```python
# momentum = 0.0  # 0 under AdamW, μ under SGD
# rates = [peak * factor(step) for step in range(steps)]  # factor: what LambdaLR gets
# S = sum(rates) / (1 - momentum)  # one η for each optimizer.step(); other schedulers: exercise 4
# limit = min({{below: most_peak}} * (1 - momentum), (1 - momentum**0.5) ** 2)  # of peak ηλ
# lam = min(N / S, limit / peak)  # fine-tuning: min(0.01, 0.05 / S)
# # this is the fallback, if no earlier run has one
# decay = [p for p in model.parameters() if p.ndim >= 2]
# rest = [p for p in model.parameters() if p.ndim < 2]
# # not Adam(weight_decay=lam); Optax and Keras have the same λ in their AdamW (chapter 3)
# optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": lam},
#                                {"params": rest, "weight_decay": 0.0}], lr=peak)
# ```
#
# ### With more runs
#
# 5. **First settle η.** Multiply or divide it by 3. Each time compute $S$ and λ = $N/S$ again, for the row's $N$. Go on until $\eta/3$ and $3\eta$ are both no better, by the measure you care about. Then η is *settled*. By loss one seed each is enough; by error take three (fold below). If you changed η, forget the earlier fallback. The new one is the row's $N$ ÷ new $S$, which you have just run.
# 6. **Then try $N$:** each $N$ of your row and the fallback, at full length, with three seeds each. That is {{below: fewest_runs}} to {{below: most_runs}} more runs. If the best $N$ is at an end of your row, go on × 4 (or ÷ 4), up to the limit of step 2 and down to $N$ = {{below: least_n}}.
#
# **Type the $N$ with the lowest mean loss over three seeds. Say that it is better only if its gain is *clear* (fold below),** and test it once before you say so. If three seeds are too many, take one: type the lowest, and claim nothing.
#
# If the run is too large to repeat, take both steps with a *proxy* (fold below).
#
# <details>
# <summary>How many seeds for η? When is a gain clear? The proxy; Lion and Muon; LoRA</summary>
#
# Of our small runs, {{below: len(kinds_of)}} kinds were trained at several η with five seeds. A single seed has its lowest loss at the same η as all five in {{below: one_finds[0]}} of {{below: 5 * len(kinds_of)}} cases, but its fewest errors only in {{below: one_finds[1]}}. The mean of three seeds has its fewest errors there in {{below: three_find[1]}} of {{below: 10 * len(kinds_of)}}.
#
# For each seed, take the fallback's loss minus that of the $N$ you try; this is its gain. The mean gain must be larger than ${{bars[3]:.1f}}\,s$ with three seeds, ${{bars[4]:.1f}}\,s$ with four, ${{bars[5]:.2f}}\,s$ with five, where $s$ is the standard deviation of the gains. Even if no $N$ helps, chance makes the best of three tries look clear in {{below: 100 * by_chance:.0f}} % of cases (three seeds). This is why you test it once, on new data, before you claim a gain.
#
# A parameter group with an η of its own has its own $S$ and λ. *Lion*, in its usual form, decays as AdamW does: λ = $N/S$, with Lion's own η. *Muon* does so, too; the tensors that AdamW trains beside it have their own $S$ and λ. A proxy is a smaller model with as many passes, or in one-pass language with as many tokens per weight. Carry over its $N$, not its λ. For language in one pass others have tested this (Bergsma et al., 2025b); the rest is a guess.
#
# Fine-tuning wants to keep the start (but not that of a new head: give it a group of its own, with the $N$ of its row); $N = 1$ would leave {{100 * np.exp(-1):.0f}} % of it. Under LoRA decay pulls back to the *pretrained* weights ([chapter 4](04_other_penalties.ipynb)), so make two runs, with the λ of the first row and with $0.2/S$, and take the better one. We did not test this.
#
# </details>

# %% tags=["hide-input"]
rows = {"language": (1 / 8, 1 / 2, 2), "language, many": (1 / 8, 1 / 2, 2, 8),  # times √k
        "images": (1, 4, 16), "images, between": (2, 8, 32),
        "images, long": (4, 16, 64), "images, long, Adam": (2, 8, 32),
        "few passes": (1 / 4, 1, 4), "more passes": (1, 4, 16)}
besides = {"few passes": 0, "more passes": 0}  # λ = 0 is tried, too
usual = 0.01  # the default λ of PyTorch's AdamW
long_images = min(epochs[name] for name in vision)  # passes
few_of_images = 50  # a border between the passes of the short and of the longer recipes
assert max(epochs[name] for name in short) < few_of_images < long_images, "none is in between"
of_kind = [np.median([counts[name] for name in vision if (name in by_momentum) == sgd])
           for sgd in (True, False)]
assert rows["images"][1] == 4, "the bold one"
assert rows["images, between"][1] == (4 * 16) ** 0.5, "in the middle"
assert forgettings(0.1, 1, factors_of(11_730, cosine), momentum=0.9) == cifar, "as worked"
assert abs(cifar / 5865 - 1) < 1e-3, "as worked"
cifar_passes = 11_730 * 128 // 50_000  # in batches of 128
short_steps = 2350  # 30 passes of 20,000 rows in batches of 256, nearly
short_s = forgettings(0.001, 1, factors_of(short_steps, cosine))

# %% tags=["hide-input"]
fewest_runs = 3 * min(map(len, rows.values()))  # three seeds
most_runs = 3 * (max(map(len, rows.values())) + 1)  # a fallback that is none of them
assert all(4 * a == b for tried in rows.values() for a, b in pairwise(tried)), "by fours"

# %% [markdown]
# ## 11.3 Why N: weights are an average of updates
#
# If a run forgets its start, what takes its place? Let decay be *decoupled*, as in AdamW, and let step $i$ add $-\eta_iu_i$. Then the final weights are an average of the start and the updates:
#
# $$w_T\approx e^{-N}\,w_0+(1-e^{-N})\cdot\bigl(\text{average of the }-u_i/\lambda\bigr).$$
#
# Update $i$ counts in it with the share $c_i/\sum_j c_j$, where the *coefficient* $c_i$ is $\eta_i$ times what later decay leaves.
#
# <details>
# <summary>In three steps: (11.2) and (11.3)</summary>
#
# Write $w_t$ for the weights before step $t$ and $\eta_tu_t$ for the update.
#
# 1. One step is $w_{t+1} = (1-\eta_t\lambda)\,w_t-\eta_tu_t$.
# 2. Put the same formula, one step earlier, in place of $w_t$, and go on down to the start $w_0$. Each update has the factors of all later steps:
#
# $$w_T = w_0\prod_{t=0}^{T-1}(1-\eta_t\lambda)-\sum_{i=0}^{T-1}c_iu_i,\qquad
#   c_i = \eta_i\prod_{j=i+1}^{T-1}(1-\eta_j\lambda). \tag{11.2}$$
#
# 3. For small $x$, $\ln(1-x)\approx-x$. And $\lambda c_i = P_{i+1}-P_i$
#    with $P_i = \prod_{j\ge i}(1-\eta_j\lambda)$, so in the sum all but the first and the last cancel:
#
# $$\prod_{t=0}^{T-1}(1-\eta_t\lambda)\approx e^{-N},\qquad
#   \lambda\sum_{i=0}^{T-1}c_i = 1-\prod_{t=0}^{T-1}(1-\eta_t\lambda). \tag{11.3}$$
#
# So if $N$ is large, {{100 * (1 - np.exp(-1)):.0f}} % of the average comes, at a constant η, from the last $1/N$ of the run, and under a line to zero from the last $1/\sqrt N$.
#
# </details>
#
# At a constant η an update fades
# to $1/e$ in $1/(\eta\lambda)$ steps, the *memory*. $N$ is the length of the run divided by the memory.


# %%
def average(lr, weight_decay, factors):
    """The c_i of (11.2), and the share of the start that survives."""
    keep = 1 - lr * weight_decay * factors
    later = np.append(np.cumprod(keep[::-1])[::-1], 1.0)
    return lr * factors * later[1:], later[0]


# %% [markdown]
# Does AdamW do this? A copy without decay gets the same gradients; its steps, divided by η, are the updates $u_t$.

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
claim("11-average", "A linear warm-up from zero counts half",
      measured=factors_of(200, constant, warmup=100)[:101].mean(), equals=0.5, within=1e-12)
claim("11-average", "λ times the sum of the c_i of (11.2) is one minus the share of the start",
      measured=0.4 * c.sum() + share, equals=1, within=1e-12)

# %% [markdown]
# It does, to $10^{-9}$. In training λ also changes the updates themselves, as gradients are taken at other weights. So the formula says what is remembered, not what is learned. Figure 11.3 shows the coefficients under four schedules. *Warm-up–stable–decay* falls to zero in the last fifth of the run.

# %% tags=["hide-input"]
def draw_average(ax, n, steps=1000):
    """The weights λc of (11.3), for a run of length one, under four schedules; the start's bar."""
    ax.bar(-0.05, 1, -np.exp(-n), align="edge", color=figures.GREY, label="_start")
    colors = (figures.ORANGE, figures.GREEN, figures.BLUE, figures.PINK)
    for (name, shape), color, dash in zip(shapes.items(), colors, ("-", "--", "-", "-."),
                                          strict=True):
        factors = factors_of(steps, shape, warmup=50 if shape is stable else 0)
        c, _ = average(1.0, n / factors.sum(), factors)
        ax.plot(np.arange(steps) / steps, n / factors.sum() * c * steps, dash, color=color,
                label=name)
    ax.set(xlabel="when in the run (0 = first step, 1 = last)", ylabel=" ",
           xlim=(-0.1 - np.exp(-n), 1.03), ylim=(0, 1.65 if n < 1 else 8.4))
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if n < 1:
        ax.text(-0.05 - np.exp(-n) / 2, 0.5, f"the start:\narea\n{np.exp(-n):.2f}", color="white",
                ha="center", va="center", fontsize=9)
    else:
        ax.text(0.05, 4.8, f"the start: area {np.exp(-n):.4f},\ntoo thin to see", fontsize=9,
                color=figures.GREY)


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.1))
for ax, n in zip(axes, (0.5, 8), strict=True):
    draw_average(ax, n)
axes[0].set_ylabel("share of an update\n(density)")
axes[0].legend(fontsize=9, loc="upper right")
axes[0].set_title(f"N = ½: {100 * np.exp(-0.5):.0f} % of the start survives")
last = axes[1].set_title("N = 8: late updates count most")

# %% tags=["hide-input"]
curves = [figures.drawn(ax) for ax in axes]
peak = curves[1]["linear to zero"].x[curves[1]["linear to zero"].y.argmax()]
ages = [c @ (1 - np.arange(1000) / 1000) / c.sum() for n, shape in ((1, constant), (4, linear))
        for c in [average(1.0, n / shape(np.arange(1000) / 1000).sum(),
                          factors_of(1000, shape))[0]]]  # of the updates, in runs
figures.show(fig, "Two panels with the coefficient of each update in the final weights against "
             "when it was made, and a bar for that of the start. At N = 0.5 the bar's area is "
             f"{np.exp(-0.5):.2f} and the curves are nearly those of the schedules. At "
             f"N = 8 the bar is gone, a constant rate rises to {curves[1]['constant'].y[-1]:.1f} "
             "and gives the first half next to none; linear-to-zero is highest at "
             f"{peak:.2f} of the run.", number="11.3",
             caption="A curve shows the coefficients of the updates under one schedule, "
             "and the bar is one high, so that its width is the share of the start. "
             "With the bar the area below each curve is one. The axes differ.")

# %% [markdown]
# At $N = 8$ the start is gone, and under a constant rate so is most of the run. So a constant rate needs less: at $N = 1$ its updates in the average are on average {{ages[0]:.2f}} of a run old, under a line to zero at $N = 4$ {{ages[1]:.2f}}. This is the trade-off:
# **forget the bad beginning, but average over enough of the rest** (Bergsma et al., [2025a](https://arxiv.org/abs/2502.15938)).
#
# ### How large the weights get, and how far they turn
#
# Two more numbers of a tensor $w$ with $d$ entries: its **RMS** (root mean square) is $\lVert w\rVert/\sqrt d$, the typical size of an entry. Its **turn** θ is the angle between $w$ before a step and $w$ after it.
#
# Decay shortens $w$ and updates lengthen it, until the two balance: the *equilibrium* of [chapter 8](08_effective_learning_rate.ipynb). At a constant η, on pure noise, Adam without momentum then has
#
# $$\frac{r_*}{\sqrt d}=\sqrt{\frac{\eta}{\lambda\,(2-\eta\lambda)}}\approx\sqrt{\frac{\eta}{2\lambda}}, \tag{11.4}$$
#
# $$\cos\theta_* = 1-\eta\lambda,\qquad\theta_*\approx\sqrt{2\eta\lambda}. \tag{11.5}$$
#
# The *ratio* η/λ sets the size, the *product* ηλ the turn. Momentum makes the turn smaller, by the factor $\sqrt{(1-\beta_1)/(1+\beta_1)} = {{np.sqrt(0.1 / 1.9):.2f}}$ for $\beta_1 = 0.9$.
#
# <details>
# <summary>Both in three steps, and the exact RMS with momentum</summary>
#
# Suppose that η is constant, and that each update $u$ has RMS one and a random direction, independent of those before it. Adam's updates have these properties if gradients are pure noise and $\beta_1 = 0$ (no momentum). Write $r_t$ for the norm $\lVert w_t\rVert$.
#
# 1. Decay takes $w$ to $(1-\eta\lambda)\,w$. The update has the length $\eta\sqrt d$ and stands, on average, at a right angle to $w$ (Figure 11.4, left). By Pythagoras
#    $r_{t+1}^2 = (1-\eta\lambda)^2r_t^2+\eta^2d$.
# 2. A small norm grows and a large one shrinks, until $r_{t+1} = r_t = r_*$. Solve for $r_*$ to get (11.4).
# 3. In the right triangle the cosine of the turn is the leg, $(1-\eta\lambda)\,r_*$, divided by the hypotenuse, $r_*$. For small angles $\cos\theta\approx1-\frac12\theta^2$. This is (11.5).
#
# With momentum, Adam's update averages past gradients, which partly cancel. So the update's RMS is smaller by that factor, and so is the turn. But neighbouring updates now point alike and add up, so the RMS of the weights is still nearly (11.4), if $\eta\lambda\ll1-\beta_1$. For the check below, where $\eta\lambda = 0.002$, it is {{below: with_momentum(0.002):.2f}} times $\sqrt{\eta/2\lambda}$; at 0.0375, as for the transformer of §11.6, {{below: with_momentum(0.0375):.2f}}. With $a = \beta_1(1-\eta\lambda)$ it is $\rho\,\sqrt{\eta/2\lambda}$, where
# on noise exactly $\rho=\sqrt{\frac2{2-\eta\lambda}\cdot\frac{1+a}{1-a}\cdot\frac{1-\beta_1}{1+\beta_1}}$. The formula sums the covariances of all pairs of updates. (Adam divides by an average of squared gradients, taken as constant.)
#
# </details>
#
# A check on pure noise:


# %%
def with_momentum(lr_decay, beta=0.9):
    """The exact RMS on noise, divided by √(η/2λ), for a product ηλ."""
    a = beta * (1 - lr_decay)
    return np.sqrt(2 / (2 - lr_decay) * (1 + a) / (1 - a) * (1 - beta) / (1 + beta))


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
for k, color in enumerate((figures.BLUE, figures.ORANGE, figures.GREEN)):
    axes[1].semilogy(np.arange(0, 2001, 20), rms[::20, k], color=color, label=f"_{k}")
axes[1].axhline(1, color=figures.GREY, ls=":")
axes[1].set(xlabel="step", ylabel="RMS ÷ √(η/2λ)", ylim=(0.08, 7))
axes[1].set_yticks([0.1, 1, 5], ["0.1", "1", "5"])
axes[1].text(420, 2.9, "starts too large", color=figures.GREEN)
axes[1].text(120, 0.3, "starts too small", color=figures.BLUE)
axes[1].text(700, 0.68, "starts in equilibrium", color=figures.ORANGE)
axes[1].set_title("AdamW on noise: every\nstart ends near 1")
ends = [figures.drawn(axes[1])[f"_{k}"].y[-1] for k in range(3)]
figures.show(fig, "Left, a drawing: the weight w shrinks along itself by the decay ηλw, the update "
             "ηu stands at a right angle to it, and the next w is as long as w, turned by θ. "
             "Right, the RMS of weights under AdamW, divided by √(η/2λ), over 2,000 steps from "
             f"three starts, the smallest at 0.1, the largest at 5: they end at {ends[0]:.2f}, "
             f"{ends[1]:.2f} and {ends[2]:.2f}.", number="11.4",
             caption="The left is not to scale. On the right AdamW runs on pure noise from three "
             "starts; the dotted line is the equilibrium without momentum.")

# %% tags=["hide-input"]
claim("11-rms", "Under AdamW on noise the RMS of the weights ends at {:.2f} times √(η/2λ), as "
      "predicted with momentum",
      measured=rms[1200:, :2].mean(), equals=with_momentum(lr * weight_decay), within=0.05)

# %% tags=["hide-input"]
claim("11-turn", "On the same noise the weights turn in each step by {:.2f} times the predicted "
      "√(2ηλ) √((1 − β₁)/(1 + β₁))",
      measured=turns[1200:, :2].mean() / np.sqrt(2 * lr * weight_decay * 0.1 / 1.9),
      equals=1, within=0.05)

# %% [markdown]
# **On noise, η, λ and $\beta_1$ alone predict the RMS and the turn of the weights.**
#
# ## 11.4 Which N is best?
#
# At a poor η the best $N$ moves with the length of the run; at a good one five seeds cannot tell. A small network with batch norm learns MNIST-1D, short
# signals in ten classes, by AdamW, while η falls linearly to zero. Two things make a run longer:
#
# - **more data**: {{below: amounts[0]}}, {{below: amounts[1]}} or {{below: amounts[2]:,}} signals, each *passed* {{below: 25 * lengths[0] / amounts[0]:.0f}} times;
# - **more passes**: always {{below: amounts[1]}} signals, passed {{below: 25 * lengths[0] / amounts[1]:.0f}}, {{below: 25 * lengths[1] / amounts[1]:.0f}} or {{below: 25 * lengths[2] / amounts[1]:.0f}} times.
#
# Both give {{below: lengths[0]}}, {{below: lengths[1]}} and {{below: lengths[2]}} steps, with five seeds. These are hard, short runs: about two answers in three are wrong ({{below: 100 * least_wrong:.0f}} to {{below: 100 * most_wrong:.0f}} %). We show the peak η = {{below: low_eta}}, which is too small, because there the curves are steep enough to see. Of the five η tried {{below: good_eta}} has the lowest loss in all runs but one.
#
# Loss and *error* (the share of wrong answers) are those of held-out signals. We compare within seeds. ± is half the 95-percent interval.


# %%
signals, grid = load("mnist1d"), np.array([0, 1 / 16, 1 / 4, 1, 4, 16, 32])
X, y = torch.tensor(signals.X), torch.tensor(signals.y)
low_eta, good_eta, pool = 0.03, 0.27, 4000  # two peak η; signals to train on, the rest is held out


# %% tags=["hide-input"]
def networks(sizes, draws, count):
    """Layers of weight, scale and shift; each seed draws its weights, the same for all λ."""
    layers = []
    for inputs, units in pairwise(sizes):
        weight = torch.stack([2 * torch.rand(1, inputs, units, generator=draw, dtype=X.dtype) - 1
                              for draw in draws]).mT.repeat(1, count, 1, 1) / inputs**0.5
        scale = torch.ones(len(draws), count, units, 1, dtype=X.dtype)
        layers.append([weight, scale, torch.zeros_like(scale)])
    return [[part.requires_grad_() for part in layer] for layer in layers]


# %% tags=["hide-input"]
def log_shares(layers, x, norm, first=None):
    """Logarithms of what the networks give each class; batch norm measures the first signals."""
    x = x[:, None].mT  # the axes are seed, λ, unit, signal
    for weight, scale, shift in layers[:-1]:
        x = weight @ x
        if norm and first is None:  # batch norm: each unit over the signals, its last axis
            x = functional.layer_norm(x, x.shape[-1:], eps=0)
        elif norm:
            deviation, mean = torch.std_mean(x[..., :first], -1, correction=0, keepdim=True)
            x = (x - mean) / deviation
        x = torch.relu(scale * x + shift if norm else x + shift)
    weight, _, shift = layers[-1]
    return (weight @ x + shift).log_softmax(-2).mT


def losses(logs, labels):
    """Cross-entropy by seed and λ."""
    labels = labels[:, None, :, None].expand(*logs.shape[:-1], 1)
    return -logs.gather(-1, labels).mean((-2, -1))


# %% tags=["hide-input"]
def train(decays, n, steps, sizes=(40, 32, 10), norm=True, peak=low_eta, batch=25):
    """Held-out losses and errors, by seed and λ. AdamW works entry by entry: one serves all."""
    lam = torch.tensor(decays)[:, None, None]
    draws = [torch.Generator().manual_seed(seed) for seed in seeds(5)]
    own = [torch.randperm(pool, generator=draw)[:n] for draw in draws]
    layers = networks(sizes, draws, len(decays))  # the first weights, the same for all λ
    optimizer = torch.optim.AdamW([*chain(*layers)], betas=(0.9, 0.98), weight_decay=0, fused=True)
    for step in range(steps):
        if (at := step * batch % n) == 0:  # a new pass, in a new order
            order = torch.stack([mine[torch.randperm(n, generator=draw)]
                                 for mine, draw in zip(own, draws, strict=True)])
        rows = order[:, at : at + batch]
        optimizer.zero_grad()
        losses(log_shares(layers, X[rows], norm), y[rows]).sum().backward()
        now = optimizer.param_groups[0]["lr"] = peak * (1 - step / steps)  # linear to zero
        with torch.no_grad():
            for weight, *_ in layers:
                weight.mul_(1 - now * lam)  # decay, of the matrices only
        optimizer.step()
    return held_out(layers, torch.stack(own)[:, :250], norm)  # on 1,000 other signals


# %% tags=["hide-input"]
def held_out(layers, rows, norm):
    """Loss and error on the 1,000 signals that no seed trains on; statistics are of 250 it did."""
    x, labels = torch.cat([X[rows], X[pool:].expand(5, -1, -1)], 1), y[pool:].expand(5, -1)
    with torch.no_grad():
        logs = log_shares(layers, x, norm, first=250)[..., 250:, :]
        wrong = logs.argmax(-1) != labels[:, None]
        return losses(logs, labels).numpy(), wrong.double().mean(-1).numpy()


# %% tags=["hide-input"]
def valley(n, steps):
    """The λ of the grid of N, and their held-out losses and errors."""
    decays = grid / forgettings(low_eta, 1, factors_of(steps, linear))
    return dict(zip(("λ", "loss", "error"), (decays, *train(decays, n, steps)), strict=True))


# %%
lengths, amounts = [100, 200, 400], [250, 500, 1000]  # steps, signals
# valley(n, steps), folded above: the λ of the grid of N; loss and error by seed and N
more_data = [valley(n, steps) for n, steps in zip(amounts, lengths, strict=True)]
more_passes = [valley(500, 100), more_data[1], valley(500, 400)]


# %% tags=["hide-input"]
def lowest(curve, at):
    # log₂ of where a cubic, fitted to the losses at all values above 0, is lowest between the
    # smallest and the largest. At one of these ends the answer is only a bound.
    tried = np.log2(at[at > 0])
    fine = np.linspace(tried[0], tried[-1], 2001)
    return fine[np.polyval(np.polyfit(tried, curve[at > 0], 3), fine).argmin()]


def ends_of(n, at):
    """−1 where the best N is only known to be at most the lowest tried, 1 at the highest."""
    low, high = np.log2(at[at > 0][[0, -1]])
    return (n > high - 1e-9).astype(int) - (n < low + 1e-9)


# %% tags=["hide-input"]
def best_of(runs):
    """log₂ of the best N and of the best λ, by run and seed."""
    n = np.array([[lowest(curve, grid) for curve in run["loss"]] for run in runs])
    return n, n + np.log2([[run["λ"][1] / grid[1]] for run in runs])


def slope(values):
    """Interval of the slope in the number of doublings, from log₂ by run and seed."""
    doublings = np.arange(len(values)) - (len(values) - 1) / 2
    return interval(doublings @ values / (doublings**2).sum())


# %% tags=["hide-input"]
two = {"more data": more_data, "more passes": more_passes}
best = {name: best_of(runs) for name, runs in two.items()}
bounds = {name: ends_of(n, grid) for name, (n, _) in best.items()}
slopes = {(name, what): slope(values) for name, pair in best.items()
          for what, values in zip("Nλ", pair, strict=True)}

# %% tags=["hide-input"]
with (resources.files("l2lib") / "data/learning_rates.txt").open() as file:
    of_file = np.loadtxt(file)
table = of_file[:, -2:].reshape(-1, 5, 7, 2)  # run, seed, N; loss and error
runs_stored = of_file[::35, :3]  # η, examples, steps; the batches have 25, or 20 or 100

# %% tags=["hide-input"]
stored, longer = table[:20].reshape(4, 5, 5, 7, 2), table[20:27]  # the first four by η
of_digits = table[27:33].reshape(2, 3, 5, 7, 2)  # 20 and 40 passes; η = 0.025, 0.05, 0.1
too_large = table[33:]  # the five runs at η = 0.81
best_eta = stored[..., 0].mean(2).min(-1).argmin(0)  # of four η, by run: the lowest loss
assert [*best_eta] == [3, 3, 2, 3, 3], "0.27, but 0.09 for 1,000 signals"
assert [*stored[..., 3, 0].mean(2).argmin(0)] == [*best_eta], "at N = 1, too"
settled = stored[best_eta, np.arange(5), ..., 0]  # losses at these η, by run, seed and N
of_40 = longer[3, ..., 0].mean(0)  # 40 passes, by N
long = [stored[3, 4], longer[5], *of_digits[:, 1]]  # 20 passes or more, each at the best η tried
of_long = np.array([run[..., 0].mean(0) - run[..., 0].mean(0).min() for run in long])  # by N

# %% tags=["hide-input"]
assert longer[:3, ..., 0].mean(1).min(-1).argmin() == 1, "of three η, 0.03 has the lowest loss"
of_4000 = 100 * longer[1, ..., 1]
to_four, to_one, past_four = (interval(of_4000[:, k] - of_4000[:, 4]) for k in (0, 3, 5))
loss_of_none, loss_of_16 = (interval(longer[1, :, k, 0] - longer[1, :, 4, 0]) for k in (0, 5))
assert grid[longer[1, ..., 0].mean(0).argmin()] == 1, "lowest loss"
assert grid[of_4000.mean(0).argmin()] == 4, "fewest errors"
assert of_40.argmin() == 6, "with 40 passes the largest N has the lowest loss"
by_eta = longer[3:7, :, 3, 0].mean(1), *of_digits[:, :, :, 3, 0].mean(2)  # losses at N = 1
assert [losses.argmin() for losses in by_eta] == [2, 1, 1], "best: 0.27 and, for digits, 0.05"

# %% tags=["hide-input"]
def at_stake(runs):
    """How much less loss the best N has than λ = 0, for losses by run, seed and N."""
    means = np.mean(runs, 1)
    return means[:, 0] - means.min(-1)


by_good, by_large = (np.stack([*five, one])[..., 0] for five, one in (
    (stored[3], longer[5]), (too_large, longer[6])))  # six runs, the last of 40 passes
at_good, at_large = at_stake(by_good), at_stake(by_large)
at_small = at_stake(np.concatenate([stored[:3].reshape(15, 5, 7, 2), longer[3:5]])[..., 0])
assert (by_large.mean(1) > by_good.mean(1)).all(), "0.81 has more loss in all runs, at every N"

# %% tags=["hide-input"]
tilts, lowest_n, at_rate, runs_at = {}, {}, {}, {}

# %% tags=["hide-input"]
for peak, by_run in zip((0.01, low_eta, 0.09, good_eta), stored[..., 0], strict=True):
    runs = [{"λ": grid / forgettings(peak, 1, factors_of(steps, linear)), "loss": loss}
            for steps, loss in zip((100, 200, 400, 100, 400), by_run, strict=True)]
    runs_at[peak] = [runs[:3], [runs[3], runs[1], runs[4]]]  # more data, more passes
    at_rate[peak] = [best_of(some) for some in runs_at[peak]]
    tilts[peak] = [slope(of_lam) for _, of_lam in at_rate[peak]]
    lowest_n[peak] = [", ".join(f"{grid[run['loss'].mean(0).argmin()]:g}" for run in some)
                      for some in runs_at[peak]]

# %% tags=["hide-input"]
sides = {peak: [ends_of(of_n, grid) for of_n, _ in pair] for peak, pair in at_rate.items()}
ended = [bool(np.any(of_runs)) for of_runs in sides.values()]
assert ended == [False, False, True, True], "best λ at an end of the grid, at the larger η only"
few_passes = [float(n) for data, passes in lowest_n.values()
              for n in data.split(", ") + passes.split(", ")[:2]]

# %% tags=["hide-input"]
of_slow = longer[0, ..., 0].mean(0)  # 4,000 signals at η = 0.01, by N
many_runs = np.concatenate([stored[:, 4], longer, of_digits.reshape(6, 5, 7, 2),
                            too_large[4:]])[..., 0]
few_passes += [*map(float, grid[too_large[:4, ..., 0].mean(1).argmin(-1)])]
times_bold = [*few_passes, *grid[many_runs.mean(1).argmin(-1)] / 4]  # best N ÷ the row's N
furthest, nearest = max(times_bold), min(n for n in times_bold if n)
assert times_bold.index(nearest) == len(few_passes) + 4, "the smallest: 4,000 signals at 0.01"
assert lowest_n[0.01][1].startswith("0, "), "5 passes at η = 0.01: the lowest loss is at λ = 0"
for peak in (0.01, 0.03, 0.09):
    assert tilts[peak][0].high < -1, "more data: not keep N, nor keep λ"
    assert tilts[peak][1].low > 0, "more passes: neither"
    for sign, ends in zip((-1, 1), sides[peak], strict=True):
        too_flat = sign * ends[0] <= 0, sign * ends[2] >= 0, ends[1] == 0
        assert np.all(too_flat), "a bound, used as the value, makes these slopes too flat"
at_rate[0.03] = [*best.values()]  # the runs above, not the stored ones
by_data, by_passes = tilts[0.27]
assert by_data.low < -1 < by_data.high < 0, "more data: not keep N, or keep λ"
assert -1 < by_passes.low < 0 < by_passes.high, "more passes: not keep λ, or keep N"

# %% tags=["hide-input"]
def draw_differences(ax, runs):
    """A run's loss at each N minus that at λ = 0; a ring at the lowest mean."""
    for run, steps, color in zip(runs, lengths, colors, strict=True):
        mean, low, high, _ = interval(run["loss"] - run["loss"][:, :1])
        ax.semilogx(grid[1:], mean[1:], "o-", ms=4, color=color, label=f"_{steps}")
        ax.fill_between(grid[1:], low[1:], high[1:], color=color, alpha=0.15, lw=0)
        beyond = low_eta * np.asarray(run["λ"]) > 0.1  # the limit of step 2
        ax.plot(grid[beyond], mean[beyond], "o", ms=4, mfc="white", color=color, zorder=3)
        ring = mean[1:].argmin()
        ax.plot(grid[1:][ring], mean[1:][ring], "o", ms=11, mfc="none", color=color)
    ax.axhline(0, color=figures.GREY, ls="--", lw=1)
    ax.set(xlim=(0.045, 44), xlabel=" ", ylabel=" ")
    ax.set_xticks(grid[1:], ["1/16", "¼", "1", "4", "16", "  32"]), ax.minorticks_off()


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.4))
colors = [figures.GREEN, figures.ORANGE, figures.BLUE]
words = [f"{n:,} signals" for n in amounts], [f"{n} passes" for n in (5, 10, 20)]
for ax, runs, of_runs in zip(axes, two.values(), words, strict=True):
    draw_differences(ax, runs)
    lines = [line for line in ax.get_lines() if line.get_label()[1:] in ("100", "200", "400")]
    ax.legend(lines, of_runs, loc="lower left", fontsize=9), ax.set_xlabel("N")
axes[0].set_ylabel("held-out loss −\nthat at λ = 0")
figures.title(fig, f"By loss, at η = {low_eta}, which is too small")
axes[0].set_title("More data: the best N falls")
last = axes[1].set_title("More passes: the best N rises")

# %% tags=["hide-input"]
every = [*more_data, more_passes[0], more_passes[2]]  # the five runs
drawn = [figures.drawn(ax) for ax in axes]
begin = [low_eta * run["λ"][5] for run in more_data]  # ηλ at the first step of N = 16
lows = [[each[f"_{steps}"].x[each[f"_{steps}"].y.argmin()] for steps in lengths]
        for each in drawn]
flat = 100 * max(abs((run["error"] - run["error"][:, :1]).mean(0)[:5]).max() for run in every)
figures.show(fig, "Two panels, at η = 0.03, against N on a logarithmic axis: the held-out loss "
             "minus that at λ = 0 with the same seed, bands of five seeds, a ring where the mean "
             "is lowest. The lowest points move with "
             f"more data from N = {lows[0][0]:g} at 100 steps to {lows[0][-1]:g} at 400, and with "
             f"more passes from N = {lows[1][0]:g} to {lows[1][-1]:g}, where it is "
             f"{abs(drawn[1]['_400'].y.min()):.2f} below that at λ = 0.",
             number="11.5", caption="Bands are 95-percent intervals over five seeds, a ring "
             "marks the lowest mean loss among N > 0, and the orange run is on both sides. "
             "Open dots are beyond the limit of step 2: they show what lies there. "
             f"N = 16 begins at ηλ = {begin[0]:.2f} in 100 steps and {begin[1]:.2f} in 200.")

# %% tags=["hide-input"]
by_none = [run["error"][:, 0].mean() for run in every]  # at λ = 0
least_wrong, most_wrong = min(by_none), max(by_none)
more_wrong = 100 * np.mean([run["error"][:, 5] - run["error"][:, 0] for run in every], 0)
by_error = [interval(100 * (run["error"][:, 4] - run["error"][:, 0])) for run in more_data]

# %% [markdown]
# By loss, the best $N$ changes, and so does the best λ. By error (not drawn) every $N$ below 16 is within {{flat:.1f}} points of λ = 0.
#
# Figure 11.6 has the *slope* at four η: the power $p$ in best λ ∝ steps$^p$. Here −1 is *keep N*, and 0 is *keep λ*.

# %% tags=["hide-input"]
none_at = (None, 0.01)  # with more passes: in the shortest run at this η λ = 0 is best


def draw_slopes(ax, which):
    """The slope of the best λ at each η; open where a best λ in it is only a bound."""
    for row, (peak, pair) in enumerate(tilts.items()):
        ax.plot([pair[which].low, pair[which].high], [row, row], color=figures.BLUE)
        ax.plot(pair[which].mean, row, "o", ms=7, color=figures.BLUE, label=f"_{peak}", zorder=3,
                mfc="white" if sides[peak][which].any() or peak == none_at[which] else figures.BLUE)
    for at, rule, dash, place in ((0, "keep λ", "--", "left"), (-1, "keep N", "-.", "right")):
        paint = figures.ORANGE if at == which - 1 else figures.GREY  # what the source predicts
        words = f" {rule} \n (predicted) " if at == which - 1 else f" {rule} "
        ax.axvline(at, ls=dash, color=paint)
        ax.text(at, -1.5, words, color=paint, ha=place, va="top")
    ax.set(ylim=(3.5, -1.7), xlim=(-2.6, 3.6) if which else (-4.7, 1.5), ylabel=" ",
           xlabel="slope of best λ: power of steps")
    ax.set_yticks(range(4), [str(peak) for peak in tilts])


# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, sharey=True, figsize=(7.2, 3.1))
for which, ax in enumerate(axes):
    draw_slopes(ax, which)
axes[0].set_ylabel("peak η")
axes[0].set_title("More data: best λ falls faster\nthan 1/steps (unclear at 0.27)")
last = axes[1].set_title("More passes: best λ rises\n(unclear at 0.27)")

# %% tags=["hide-input"]
at_rates = [[figures.drawn(ax)[f"_{peak}"].x[0] for peak in tilts] for ax in axes]
told = [", ".join(f"{x:.1f}".replace("-", "−") for x in each) for each in at_rates]
figures.show(fig, "The slope of the best λ by loss against the number of steps, with intervals, "
             f"at η = 0.01, 0.03, 0.09 and 0.27. Left, more data: {told[0]}. Right, more passes: "
             f"{told[1]}. Two vertical lines mark the rules keep N at −1 and keep λ at 0; only at "
             "0.27 does an interval contain one.", number="11.6",
             caption="A dot is the mean of five seeds, with its 95-percent interval; it is open "
             "where some best λ is only a bound. The vertical lines are two rules, in orange the "
             "one that Wang and Aitchison predict.")

# %% [markdown]
# Wang and Aitchison ([2025](https://arxiv.org/abs/2405.13698)) predict *keep N* for more data, *keep λ* for more passes. At η = {{good_eta}} both lie within the intervals, which are so wide that they rule out little. At the three smaller η neither does. **So no rule gives you the best $N$. It only tells you where to begin.**

# %% tags=["hide-input"]
claim("11-data", "At η = 0.03, with more data, the best λ by loss goes as the number of steps to "
      "the power {:.2f}: it falls faster than in the rule keep N, whose power is −1",
      measured=slopes["more data", "λ"].mean,
      between=(-1 - 10 / 2, -1))

# %% tags=["hide-input"]
claim("11-passes", "At η = 0.03, with more passes, the best λ by loss goes as the number of steps "
      "to the power {:.2f}: it rises, whereas the rule keep λ has the power 0",
      measured=slopes["more passes", "λ"].mean, above=0)

# %% tags=["hide-input"]
claim("11-ends", "Where the best N of a seed is an end of those tried, the slope comes out too "
      "flat, never too steep",
      measured=[side * ends[0] > 0 for side, ends in ((-1, bounds["more data"]),
                                                      (1, bounds["more passes"]))]
      + [side * ends[2] < 0 for side, ends in ((-1, bounds["more data"]),
                                               (1, bounds["more passes"]))]
      + [ends[1] != 0 for ends in bounds.values()], equals=0, within=1e-12)

# %% tags=["hide-input"]
four = [interval((stored[3, :, :, k] - stored[3, :, :, 4]).mean(0)[:, 0]) for k in (0, 3)]
four_errors = [interval(100 * (stored[3, :, :, k] - stored[3, :, :, 4]).mean(0)[:, 1])
               for k in (0, 3)]
assert grid[4] == 4
better = stored[3][..., [0, 3], :].mean(1) - stored[3][..., [4], :].mean(1)

# %% [markdown]
# ### Where the choice matters
#
# **By loss, at η = {{good_eta}} little is at stake up to $N = 4$.** A larger $N$ can cost more: with {{pool:,}} signals, at the best η tried, $N = 16$ has {{loss_of_16.mean:.2f}} more loss than $N = 4$.
#
# **Choose by the measure you will use.** Averaged over the runs of Figure 11.5, $N = 16$ has less loss than λ = 0, yet more errors.
#
# <details>
# <summary>How much is at stake at other η, how a best λ was found, and what others find</summary>
#
# In all five runs $N = 4$ was a little better than λ = 0 (by {{four[0].mean:.2f}} on average) and than $N = 1$, but we picked it after seeing them.
#
# **At an η that is too large more is at stake.** In six runs of signals the best $N$ saved {{at_good.min():.2f}} to {{at_good.max():.2f}} against λ = 0 at η = {{good_eta}}, but {{at_large.min():.2f}} to {{at_large.max():.2f}} at {{3 * good_eta:.2f}}, which is too large. At a smaller η the best $N$ saved between nothing and {{at_small.max():.2f}}.
#
# The best λ of a seed is where a cubic in $\log N$, fitted to its losses, is lowest. An open dot in Figure 11.6: for some seed this is an end of what we tried. For {{25 * lengths[0] // amounts[1]}} passes at η = {{[*tilts][0]}} λ = 0 is best. A logarithm needs λ > 0, so we took the best of the others. So the true slope is steeper.
#
# The stored runs were made once, by `python -m experiments.learning_rates`. Some of them are outside the theory of §11.3, which wants $\eta\lambda\ll0.1$: in 100 steps $N = 16$ begins at ηλ = {{16 / np.sum(factors_of(100, linear)):.2f}}.
#
# Why does the best λ move? Probably because a network overfits less with more data, and more with more passes. We have not shown this.
#
# Wang and Aitchison find that the best memory, counted
# in passes, is about constant (slopes −1 and 0). For language models of one pass, Bergsma et al. (2025b) find that more data mean a *larger* best $N$. They write it as a power law of $\tau = B/(\eta\lambda D)$, for $D$ tokens in batches of $B$. At a constant η that is $1/N$; under linear-to-zero, with the peak η, $1/(2N)$.
#
# </details>

# %% tags=["hide-input"]
claim("11-matters", "With 4,000 signals, in the five stored seeds, N = 4 makes fewer errors than "
      "λ = 0 and than N = 16: both 95-percent intervals begin at {:.1f} points or more",
      measured=[to_four.low, past_four.low], above=0)
assert np.min(at_large) > np.max(at_good), "more is at stake at an η that is too large"

# %% tags=["hide-input"]
claim("11-each", "At η = 0.27, in each of the five runs, N = 4 has less mean loss than λ = 0 and "
      "than N = 1, by {:.3f} at least", measured=better[..., 0], above=0)
assert better[..., 1].min() > 0, "N = 4 makes fewer errors, too"

# %% tags=["hide-input"]
claim("11-errors", "At η = 0.03, averaged over the five runs, N = 16 makes {:.1f} more errors in a "
      "hundred signals than λ = 0", measured=more_wrong.mean(), above=0)

# %% [markdown]
# ## 11.5 Carrying λ over to another run
#
# What should λ become when something is multiplied by $c$? The first three rows keep $N$. The rows with a question mark are other people's findings: our own runs contradict them at the three smaller η, and agree at η = {{good_eta}}, within wide intervals (Figure 11.6).
#
# | you change | new λ |
# |---|---|
# | η, or the schedule | λ × old $S$ ÷ new $S$ |
# | batch × $c$, same passes and η | $c\,\lambda$ |
# | data × $c$, same passes (?) | $\lambda/c$ |
# | data × $c$, one pass, same model, batch and η | about $\lambda/\sqrt c$, from $N = \frac12\sqrt k$: weak evidence |
# | passes × $c$, same data (?) | λ stays |
#
# When a formula for λ contains η, put in the η of the *new* run (exercise 7).
#
# <details>
# <summary>Limits, sources, and why; the three rules for the width</summary>
#
# - *η → cη, λ → λ/c:* this keeps every ηλ, so it keeps $N$. Under three conditions AdamW then even goes in the same directions: the loss ignores the size of $w$, the start is scaled by $c$, and Adam's ε is 0. To see it, write $w = c\,\tilde w$ in its step. As the loss ignores the size of $w$, its gradient is $c$ times smaller than at $\tilde w$, and Adam's update is the same. So divide the step by $c$: it is the step of $\tilde w$ with η and λ.
# - *Batch:* there are $1/c$ times as many steps. So for the same sum λ must be $c$ times as large. Bergsma et al. (2025b) measured that this is best.
# - *Batch × $c$, same passes, η × $\sqrt c$:* $\sqrt c\,\lambda$ keeps $N$.
# - *Data and passes:* with $m$ steps a pass the memory is $1/(\eta\lambda m)$ passes. Wang and Aitchison (2025) find that the best one stays. More data multiply $m$ by $c$, so $\lambda/c$ keeps it; more passes leave $m$, so λ keeps it. The row of one pass only follows from the rule $\frac12\sqrt k$: the recipes of §11.1 all typed the same λ, and a line fitted to them makes λ go as $c$ to the power −{{1 - steep:.1f}}. Our own runs are those of §11.4.
# - *PyTorch's AdamW → the AdamW paper's:* $\eta\lambda$, with the peak η, keeps every step. See chapter 3.
# - *AdamW → SGD with momentum μ:* $\lambda\,\eta\,(1-\mu)/\eta_\text{SGD}$ keeps $N$. It only tells you which sizes to try: the updates of the two optimisers differ, so the best λ may, too.
#
# *The width $m$:* the rule [μP](https://arxiv.org/abs/2203.03466) sets $\eta\propto1/m$ in hidden layers under Adam. What becomes of λ? Sources disagree, so try all three:
#
# | source | λ goes as $m$ to the power | this keeps |
# |---|---|---|
# | λ stays | 0 | how the RMS goes with the width at the start, as $1/\sqrt m$; but $N$ falls as $1/m$ |
# | Fan et al. ([2025](https://arxiv.org/abs/2510.15262)) | ½ | the largest singular value, which they measure to go as $\sqrt{\eta/\lambda}\,m^{3/4}$ |
# | Kosson et al. ([2025](https://arxiv.org/abs/2510.19093)); before them Wang and Aitchison (2025) | 1 | ηλ, so $N$ and the turn |
# | our three widths | {{below: power.mean:.2f}} ± {{below: power.half:.2f}}, near the ½ | |
#
# Our set-up is that of none of the three: two hidden layers without normalisation, 800 signals, 160 steps of 50, one base η, and $\eta\propto1/m$ in *all* tensors. For 8, 20 and 50 units the best λ is {{below: 2 ** by_seed[0].mean():.2f}}, {{below: 2 ** by_seed[1].mean():.2f}} and {{below: 2 ** by_seed[2].mean():.2f}} (geometric means of five seeds). That the power lies between 0 and 1 (the tick below) held on 20 of 20 other sets of seeds.
#
# </details>
#

# %% tags=["hide-input"]
widths, n_tried = np.array([8, 20, 50]), np.geomspace(0.125, 8, 5)


# %% tags=["hide-input"]
def by_width(width, lr=0.54):
    """log₂ of the best λ by seed, for η = 0.54/m."""
    decays = n_tried / forgettings(lr / width, 1, factors_of(160, linear))
    found, _ = train(decays, 800, 160, (40, width, width, 10), False, lr / width, batch=50)
    return [lowest(curve, decays) for curve in found]


# %% tags=["hide-input"]
by_seed = np.array([by_width(int(m)) for m in widths])
power = slope(by_seed / np.log2(2.5))  # neighbouring widths differ by a factor of 2.5

# %% tags=["hide-input"]
claim("11-width", "With η ∝ 1/m the best λ of our three widths goes as m to the power {:.2f}: "
      "between keeping λ, with the power 0, and λ ∝ m", measured=power.mean, between=(0, 1))

# %% tags=["hide-input"]
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


# %% tags=["hide-input"]
pair = [sweep(MLP((40, 24, 10)), signals.X[:500], signals.y[:500], optimizer=name, lr=0.01,
              steps=50, loss="cross_entropy", batch_size=50, weight_decay=weight_decay,
              schedule=lambda step: 1 - step / 50).weight0.values
        for name, weight_decay in (("adamw", 3.0), ("adamw_paper", 0.01 * 3.0))]

# %% tags=["hide-input"]
claim("11-scale", "With η × 3, λ ÷ 3 and the start × 3, AdamW takes a "
      "scale-invariant weight in the same directions",
      measured=direction(0.03, 1 / 3, 3.0) - direction(0.01, 1.0, 1.0), equals=0, within=1e-6)
claim("11-paper", "Under a schedule, the paper's AdamW with λ_paper = ηλ takes the steps of "
      "PyTorch's",
      measured=pair[0] - pair[1], equals=0, within=1e-9)

# %% [markdown]
# ## 11.6 The audit: what λ does, tensor by tensor
#
# The audit says what λ does to each tensor of *your* model. In our first model everything decays.

# %%
def cross_entropy(model, batch):
    inputs, labels = batch
    return functional.cross_entropy(model(inputs), labels)


def small():
    torch.manual_seed(seeds(1)[0])
    mlp = nn.Sequential(nn.Linear(40, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
                        nn.Linear(48, 10)).double()
    return mlp, torch.optim.AdamW(mlp.parameters(), lr=0.02, weight_decay=0.5)


mlp, adamw = small()
batches = [(X[rows], y[rows]) for rows in torch.randperm(4000).repeat(4).split(40)]

# %%
w, N, lr, weight_decay = mlp[0].weight, 0.0, 0.02, 0.5
for batch in batches:
    adamw.zero_grad()
    cross_entropy(mlp, batch).backward()
    old = w.detach().clone()
    adamw.step()
    N += lr * weight_decay
new = w.detach()
ratio = new.square().mean().sqrt() / (lr / 2 / weight_decay) ** 0.5
turn = torch.acos((old * new).sum() / old.norm() / new.norm())
predicted = (2 * lr * weight_decay * 0.1 / 1.9) ** 0.5  # (11.5), with momentum's factor
print(f"N = {N:.1f}   RMS ratio {ratio:.2f}   last turn {turn:.3f}, on noise {predicted:.3f}")

# %% [markdown]
# The *RMS ratio* is the RMS divided by $\sqrt{\eta/2\lambda}$. Noise would give {{with_momentum(0.01):.2f}} at this ηλ = 0.01, and the ratio is near it. The book's tool does this for all tensors:


# %% tags=["hide-input"]
def audited(model, optimizer, loss, batches, scheduler=None, asked=True):
    """Train on the batches and look every 20 steps; if asked, the loss says what is invariant."""
    watch = Watch(model, optimizer, total_steps=len(batches))
    for step, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        if step % 20 == 0:
            watch.step()
        if scheduler:
            scheduler.step()
    return watch.result((lambda model: loss(model, batches[-1])) if asked else None)


# %% tags=["hide-input"]
def verdicts_of(audit, names=""):
    """The columns of an audit that fit a page, as lines of text."""
    for name in audit.data.tensor.values:
        if not name.startswith(names):
            continue
        row = audit.data.sel(tensor=name)
        ratio = f"RMS ratio {row.rms_ratio.item():.2f}" if row.N_end.item() else ""
        print(f"{name:22} N = {row.N_end.item():<4.2g}  {ratio:14}  {row.verdict.item()}")


# %%
of_mlp = audited(*small(), cross_entropy, batches)  # a Watch looks every 20 steps
verdicts_of(of_mlp)

# %% [markdown]
# The first matrix is *scale-invariant* ([chapter 7](07_scale_invariance.ipynb)): a batch norm follows it, so the loss ignores its size.
# Here λ only sets the turn. On the last matrix it changes the function, too. The biases and the norm's γ and β decay, which they rarely should ([chapter 6](06_bias_exclusion.ipynb)).

# %% tags=["hide-input"]
under_cosine = small()
to_end = torch.optim.lr_scheduler.LambdaLR(
    under_cosine[1], lambda step: cosine(step / len(batches)))
of_cosine = audited(*under_cosine, cross_entropy, batches, to_end)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.1))
for ax, audit in zip(axes, (of_mlp.data, of_cosine.data), strict=True):
    for name, size, color, mark in (("0.weight", 40 * 48, figures.BLUE, "o-"),
                                    ("3.weight", 48 * 10, figures.ORANGE, "s--")):
        rms = audit.norm_at.sel(tensor=name) / size**0.5
        eta = audit.rate_at.sel(tensor=name) / 20 / 0.5  # its mean since the look before
        ax.plot(audit.step, rms / np.sqrt(eta / 2 / 0.5), mark, ms=3, color=color,
                label=f"_{name}")
    ax.axhline(with_momentum(0.01), color=figures.GREY, ls=":", label="_noise")
    ax.set(xlabel="step", ylabel=" ", xlim=(0, 410))
axes[0].set(ylabel="RMS ratio", ylim=(0, 2.2)), axes[1].set(yscale="log", ylim=(0.3, 70))
axes[1].set_yticks([1, 10], ["1", "10"]), axes[1].minorticks_off()
axes[0].text(250, 1.35, "last matrix", color=figures.ORANGE)
axes[0].text(250, 0.62, "scale-invariant\nmatrix", color=figures.BLUE, va="top")
axes[0].text(400, 1.0, "noise", color=figures.GREY, ha="right")
axes[1].text(190, 3.5, "last matrix", color=figures.ORANGE, ha="center")
last = axes[1].text(390, 0.75, "scale-invariant\nmatrix", color=figures.BLUE, ha="right", va="top")

# %% tags=["hide-input"]
axes[0].set_title("Constant η: one matrix\nsettles near noise's ratio")
last = axes[1].set_title("Cosine to zero: both\nratios run away")
steady, away = ([figures.drawn(ax)[f"_{name}.weight"].y for name in (0, 3)] for ax in axes)
of_noise = figures.drawn(axes[0])["_noise"].y[0]
figures.show(fig, "The RMS ratio of the first and of the last matrix over 400 steps. At a constant "
             f"η the first, which is scale-invariant, ends at {steady[0][-1]:.2f}, near the "
             f"{of_noise:.2f} of noise, and the last at {steady[1][-1]:.2f}. Under a "
             f"cosine to zero they end at {away[0][-1]:.0f} and {away[1][-1]:.0f}.", number="11.7",
             caption="The audit looks every 20 steps, and takes the mean η of these. The dotted "
             "line is the ratio on pure noise. Nothing is wrong on the right: η falls to zero, and "
             "the norms cannot follow. The axes differ.")

# %% [markdown]
# **Read the RMS ratio only while η is (nearly) constant.** As η falls, $\sqrt{\eta/2\lambda}$ falls with it, but decay shrinks a norm only by the fraction ηλ in a step. So near the end of a cosine the ratio runs away (Figure 11.7, right), and the audit says *falling*, though nothing is wrong.
#
# What do you do about each verdict?
#
# | the audit says | why | what to do |
# |---|---|---|
# | in equilibrium | ηλ sets the turn (§11.3) | nothing |
# | falling, or rising, needs $n$ steps | the start still sets the norm; or η falls too fast for it | nothing; at a constant η perhaps a larger $N$ |
# | λ does nothing in this run | $N$ is next to zero | leave it; or try the $N$ of your row |
# | not invariant, here λ is a penalty | λ changes the function, too | choose λ on validation data |
# | decays though its role is … | a bias or a scale decays | two parameter groups (below) |
#
# <details>
# <summary>When the tool says that a tensor is in equilibrium; an audit of two checkpoints</summary>
#
# It says so if $r^2$ is within 20 % of $r_*^2$. As (11.4) holds for noise only, the tool estimates $r_*$ from the tensor's own norm, halfway and at the end. So the RMS ratio need not be 1. The audit needs no loop if you have two checkpoints: `python -m l2lib.audit before.pt after.pt --lr 3e-4 --weight-decay 0.1 --steps 1000`.
#
# </details>
#
# The second model, a small transformer with normalised queries and keys,
# learns to continue Shakespeare's sonnets in 80 steps with η = 0.01. So $S = {{below: states.N_end.sel(tensor="head.weight").item() / 3.75:.1f}}$, and λ = 3.75 makes $N = 3$. We take more than the row's $N$, because with less the norms would not reach equilibrium in 80 steps.

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
         for name, numbers in (("train", (1, 50)), ("validation", (51, 55)), ("test", (56, 60)))}


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
    others = [each for each in model.parameters() if each.ndim < 2]  # a temperature has no axes
    return [{"params": matrices, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0}]


def new_poet():
    torch.manual_seed(seeds(1)[0])
    poet = Poet(len(letters), d=32, blocks=1, context=24).double()  # the small transformer
    decayed = groups(poet, weight_decay=3.75)
    return poet, torch.optim.AdamW(decayed, lr=0.01, betas=(0.9, 0.98), eps=1e-5)


of_pages = pages(poems["train"], 80, 8, 24, seeds(1)[0])  # 80 batches of 8 pieces of text
of_poet = audited(*new_poet(), cross_entropy, of_pages)
verdicts_of(of_poet, "blocks.0")

# %% tags=["hide-input"]
odd = nn.Linear(3, 2)  # as CLIP has: a parameter without axes, and a class token
odd.logit_scale, odd.token = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.ones(1, 1, 3))
held = [id(each) for group in groups(odd, 0.1) for each in group["params"]]
assert sorted(held) == sorted(map(id, odd.parameters())), "every parameter is in one group"
assert held[-1] == id(odd.logit_scale), "no decay"
assert id(odd.token) in held[:2], "decay"

# %% [markdown]
# <details>
# <summary>The turn, split in three: decay, change of the norm, and push</summary>
#
# Only the sideways part of an update turns $w$; the part along $w$ is a *push*, $p_t = \langle w_t,\eta_tu_t\rangle/r_t^2$. We measure the turn by −ln cos θ, which is ½θ² for small θ.
#
# 1. The inner product of $w_t$ with $w_{t+1} = (1-\eta_t\lambda)w_t-\eta_tu_t$ is $r_t^2(1-\eta_t\lambda-p_t)$.
# 2. Divide by $r_tr_{t+1}$ to get $\cos\theta_t$, and take the logarithm:
#
# $$-\ln\cos\theta_t = -\ln(1-\eta_t\lambda-p_t)+\ln\frac{r_{t+1}}{r_t}. \tag{11.6}$$
#
# </details>

# %% tags=["hide-input"]
states = of_poet.data
parts = [f"blocks.0.{name}.weight" for name in ("query", "key")]
settled_qk = [states.verdict.sel(tensor=name).item() == "in equilibrium" for name in parts]

# %% tags=["hide-input"]
claim("11-audit", "No scale of a norm decays in the transformer",
      measured=[states.decay.sel(tensor=name).item() for name in states.tensor.values
                if "norm" in name], equals=0, within=1e-12)

# %% tags=["hide-input"]
claim("11-audit", "The tool finds the same RMS ratio and N as the lines of plain torch",
      measured=[of_mlp.data.rms_ratio.values[0] - ratio.item(), of_mlp.data.N.values[0] - N],
      equals=0, within=1e-9)
claim("11-audit", "The two sides of (11.6) agree for every tensor of the two models",
      measured=[*states.residual.values, *of_mlp.data.residual.values], equals=0, within=1e-9)
claims.identities()

# %% tags=["hide-input"]
claim("11-qk", "Of the transformer's two matrices of queries and keys {} end in equilibrium, "
      "says the audit",
      measured=sum(settled_qk), equals=2)

# %% [markdown]
# The third model is yours. In your loop (`pip install .` in the book's folder):
#
# ```python
# from l2lib.audit import Watch
#
# watch = Watch(model, optimizer, total_steps=steps)
# for step, batch in enumerate(batches, start=1):
#     train_on(batch)  # yours: zero_grad, backward, optimizer.step()
#     if step % 20 == 0:
#         watch.step()
# print(watch.result(lambda model: loss(model, batch)))  # your loss
# ```
#
# In its place we put a linear layer, with PyTorch's defaults:

# %%
your_model = nn.Linear(40, 10).double()
your_optimizer = torch.optim.AdamW(your_model.parameters(), lr=1e-3)  # λ is 0.01 by default
your_batches = batches[:100]

# %%
verdicts_of(audited(your_model, your_optimizer, cross_entropy, your_batches))

# %% [markdown]
# **In equilibrium ηλ sets the turn of a scale-invariant tensor; before that, the size of the start does, too. In other tensors λ also changes the function.**
#
# ## 11.7 From the default to a decision
#
# Here we follow the recipe twice, once in full and once without step 5: for a convolutional network on {{below: fitted.shape[1]}} handwritten digits, at η = {{below: rate}}, and for a smaller transformer on the sonnets, at η = {{below: poem_rate}}. We pretend that earlier runs had PyTorch's default λ, so this is the fallback.
#
# For the sonnets we keep η = {{below: poem_rate}}. A larger η is better there, but its results then differ from computer to computer, because rounding errors grow.


# %% tags=["hide-input"]
data, rate, tries = load("digits"), 0.05, np.array([1 / 4, 1, 4])
pixels, shuffled = data.scaled(16), [np.random.default_rng(s).permutation(1797) for s in seeds(5)]
fitted, validate = (np.stack([order[part] for order in shuffled])
                   for part in (slice(200), slice(200, 400)))

# %% [markdown]
# **Digits: first audit what you have.**

# %% tags=["hide-input"]
torch.manual_seed(seeds(1)[0])
cnn = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(6, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
                    nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 10)).double()
adamw = torch.optim.AdamW(groups(cnn, 0.01), lr=rate, betas=(0.9, 0.98))
to_zero = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: 1 - step / 100)
images, labels = torch.tensor(pixels[fitted[0]]).view(200, 1, 8, 8), torch.tensor(data.y[fitted[0]])
batches = [(images[rows], labels[rows]) for rows in torch.arange(2000).remainder(200).split(20)]
of_cnn = audited(cnn, adamw, cross_entropy, batches, to_zero)
verdicts_of(of_cnn, ("0.weight", "4.weight", "10.weight"))

# %% [markdown]
# The default does nothing: $S$ is only {{forgettings(rate, 1, factors_of(100, linear)):.2f}}, so $N$ is next to zero.
#
# **Step 5: η = {{rate}} is settled.** At the row's $N$ the validation loss is {{below: on_validation[:, 3].mean():.2f}}, and {{below: of_third:.2f}} with $\eta/3$, {{below: of_triple:.2f}} with $3\eta$.


# %% tags=["hide-input"]
def digits_at(lr, decays):
    """The network on the digits, for five seeds and each λ; η falls linearly to zero."""
    return sweep(CNN((12, 10), channels=(6, 12), norm="batch"), pixels[fitted], data.y[fitted],
                 test=(pixels[validate], data.y[validate]), loss="cross_entropy", lr=lr,
                 optimizer="adamw", beta2=0.98, schedule=lambda step: 1 - step / 100,
                 weight_decay=decays, steps=100, batch_size=20, seeds=seeds(5), record_every=100)


# %% tags=["hide-input"]
third, triple = (digits_at(lr, [rows["few passes"][1] / S]) for lr, S in (  # the row's N
    (lr, forgettings(lr, 1, factors_of(100, linear))) for lr in (rate / 3, 3 * rate)))
of_third, of_triple = (run.test_loss.values[..., -1].mean() for run in (third, triple))

# %% [markdown]
# **Then the tries of the row:** $N = \frac14$, 1 and 4, and λ = 0, which has the lowest loss. So the search ends.

# %% tags=["hide-input"]
digits_n = np.array([1 / 16, *tries])
decays = [0.01, *digits_n / forgettings(rate, 1, factors_of(100, linear)), 0.0]
digits = digits_at(rate, decays)
on_validation = digits.test_loss.values[..., -1]  # by seed and λ
assert on_validation[:, 3].mean() < min(of_third, of_triple), "step 5: η is settled"


# %%
def decide(found):
    """The column to type, and whether its gain over the fallback, column 0, is clear."""
    best = int(found.mean(0).argmin())
    return best, bool(clear(found[:, 0] - found[:, best]))


chosen, digits_sure = decide(on_validation)

# %% tags=["hide-input"]
luck = claims.rng(3).standard_normal((3, 10_000, 4))  # losses of the fallback and of three tries
lucky = interval(luck[..., :1] - luck).low[np.arange(10_000), luck.mean(0).argmin(-1)] > 0
by_chance = lucky.mean()  # how often decide() calls it clear
assert 0.025 < by_chance < 3 * 0.025, "more often than one try would be, less than three in all"

# %% tags=["hide-input"]
def train_poets(decays, seeds, steps=60, rate=0.02):
    """A poet for each seed and λ, all at once; AdamW works entry by entry, so it may be shared."""
    many, drawn = [], [pages(poems["train"], steps, 8, 20, seed) for seed in seeds]
    for seed in seeds:
        torch.manual_seed(seed)
        many += [Poet(len(letters), d=24, blocks=1, context=20).double()] * len(decays)
    weights, _ = torch.func.stack_module_state(many)
    lam = torch.tensor(decays * len(seeds), dtype=torch.float64)
    optimizer = torch.optim.AdamW(weights.values(), betas=(0.9, 0.98), weight_decay=0, fused=True)
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
def losses_on(part, poets):
    """Loss on a part of the sonnets, by seed and λ."""
    count = (len(poems[part]) - 1) // 20
    text = [poems[part][at : at + 20 * count].view(count, 20) for at in (0, 1)]
    with torch.no_grad():
        return poet_losses(*poets, text).view(5, -1).numpy()


# %% [markdown]
# **Sonnets: look up the row.** The run reads $k$ = {{below: letters_each:.2f}} letters per weight. So it tries $N$ = {{below: text_n[0]:.2f}}, {{below: text_n[1]:.2f}} (bold) and {{below: text_n[2]:.1f}}. The last is the best of these and at the end of its row. Four times as much would be beyond the limit, so the last try is the limit itself, $N$ = {{below: text_n[3]:.1f}}:

# %% tags=["hide-input"]
weights = sum(each.numel() for each in Poet(len(letters), 24, blocks=1, context=20).parameters())
letters_each, poem_rate = 60 * 8 * 20 / weights, 0.02
S = forgettings(poem_rate, 1, factors_of(60, linear))
text_n = np.append(np.array(rows["language"]) * letters_each**0.5, 0.1 * S / poem_rate)
poets = train_poets([0.01, *(text_n / S).tolist()], seeds(5))  # one for each seed and λ
of_text = losses_on("validation", poets)
chosen_text, text_sure = decide(of_text)
tested = losses_on("test", poets)[:, [0, chosen_text]]
at_twice = train_poets([text_n[1] / S / 2], seeds(5), rate=0.04)  # the row's N at twice the η
doubled = losses_on("validation", at_twice)

# %% tags=["hide-input"]
fig, axes = figures.subplots(1, 2, figsize=(7.2, 3.4))
places = [*tries, 1 / 64], text_n  # λ = 0 stands at the left
for ax, values, at in zip(axes, (on_validation, of_text), places, strict=True):
    apart = values[:, -len(at):] - values[:, :1]  # the same seed, so the same start and batches
    mean, low, high, _ = interval(apart)
    for k, one in enumerate(apart):
        ax.semilogx(np.array(at) * 1.07 ** (k - 2), one, "o", ms=3, mfc="none",
                    color=figures.ORANGE)
    ax.plot(at, mean, "o", ms=6, color=figures.BLUE, label="_all")
    ax.vlines(at, low, high, color=figures.BLUE)
    ax.axhline(0, color=figures.GREY, ls="--", label="_default")
    fractions = ["¼", "1", "4", "λ = 0"]
    ax.set_xticks(at, fractions if at is not text_n else [f"{n:.2g}" for n in at])
    ax.set(xlabel="N", ylabel=" ", xlim=(min(at) * 0.6, max(at) * 1.8)), ax.minorticks_off()

# %% tags=["hide-input"]
axes[0].set_ylabel("validation loss −\nthat of the default λ")
beyond = figures.drawn(axes[0])["_all"].y[2]  # N = 4, cut off
axes[0].set_ylim(-0.03, 0.12), axes[1].set_ylim(-0.075, 0.045)
axes[0].text(3.4, 0.114, f"{beyond:.2f}", ha="right", va="center", color=figures.BLUE)
last = axes[0].annotate("", (4, 0.12), (4, 0.096),
                        arrowprops={"arrowstyle": "->", "color": figures.BLUE})

# %% tags=["hide-input"]
for ax, bold, high in zip(axes, (1, text_n[1]), (0.091, 0.024), strict=True):
    ax.axvline(bold, color=figures.GREY, ls=":", lw=1, zorder=0)
    last = ax.text(bold, high, "row's N", color=figures.GREY, ha="center", va="center", fontsize=9,
                   bbox={"fc": "white", "ec": "none", "pad": 1})

# %% tags=["hide-input"]
axes[0].set_title("Digits: no clear gain\nover the default")
axes[1].set_title("Sonnets, without step 5:\na clear gain")
gain = interval(tested[:, 0] - tested[:, 1])
axes[0].text(0.014, 0.1, "above the line: worse\nthan the default", fontsize=9, va="center")
ax.plot(place := text_n[chosen_text - 1] * 1.25, -gain.mean, "s", c=figures.GREEN, label="_test")
axes[1].vlines(place, -gain.high, -gain.low, color=figures.GREEN)
axes[1].text(place * 1.06, -gain.high, "test", color=figures.GREEN, va="center")
first, second = (figures.drawn(ax)["_all"].y for ax in axes)
on_test = figures.drawn(axes[1])["_test"].y[0]
figures.show(fig, "Validation loss less that of the default λ = 0.01 with the same seed: five "
             "seeds as small circles, means with intervals. Digits, for N = ¼, 1 and 4: "
             f"{first[0]:.2f}, {first[1]:.2f}, {first[2]:.2f}; for λ = 0: "
             f"{first[3]:.3f}. Sonnets, for four "
             f"N: {second[0]:.3f}, {second[1]:.3f}, {second[2]:.3f}, {second[3]:.3f}. "
             f"A square, on the test: {on_test:.3f}. The digits' largest N lies above its panel.",
             number="11.8", caption="Small circles are five seeds, spread sideways only to be "
             "seen, and dots their means with 95-percent intervals. The arrow leads to the digits' "
             "largest N, whose mean is beyond the panel. The square is the test, the dotted line "
             "the row's N. The axes differ.")

# %% tags=["hide-input"]
slower = interval(of_text[:, 2] - doubled[:, 0])  # at the row's N, η against twice the η
on_text = interval(of_text[:, 0] - of_text[:, 2])  # the row's N
none = interval(on_validation[:, 0] - on_validation[:, 5])  # λ = 0
wrong_of = 100 - 100 * digits.test_accuracy.values[..., -1]  # by seed and λ, in per cent
of_errors = wrong_of.mean(0)
earlier, tau, of_pass = rate / 4, 5, 200 // 20  # η and memory of a run; steps of a pass
right_lam, wrong_lam = (1 / (eta * of_pass * tau) for eta in (rate, earlier))
of_lams = [forgettings(rate, lam, factors_of(100, linear)) for lam in (right_lam, wrong_lam)]
assert np.allclose(decays[3:5], [right_lam, wrong_lam], rtol=0.02), "N = 1 and N = 4, nearly"
of_wrong = interval(on_validation[:, 4] - on_validation[:, 3])  # the λ of a smaller η
of_bold = interval(on_validation[:, 3] - on_validation[:, 0])  # the row's N against the default

# %% [markdown]
# **Digits** (left). λ = 0 has {{none.mean:.3f}} ± {{none.half:.3f}} less loss than the default, which is no clear gain. $N = 4$ is far worse. Here the row's $N = 1$ is clearly worse, too: by {{of_bold.mean:.2f}} ± {{of_bold.half:.2f}}. By error it is the best, but not clearly ({{of_errors[3]:.1f}} % wrong, the default {{of_errors[0]:.1f}} %). By loss we type λ = 0, and claim nothing.
#
# **Sonnets** (right). $N = {{text_n[chosen_text - 1]:.1f}}$ has the lowest loss, and the tries on both sides of it have more. We type it, and as its gain is clear we may say that it is better. On the test it has {{gain.mean:.3f}} ± {{gain.half:.3f}} less loss per letter.



# %% tags=["hide-input"]
claim("11-much", "On the validation digits N = 4 has {:.2f} more loss than the default λ of 0.01",
      measured=(on_validation[:, 4] - on_validation[:, 0]).mean(), above=0)
claim("11-none", "On the validation digits λ = 0 and the default λ of 0.01 differ by {:.3f} of "
      "loss, less than N = 4 and the default",
      measured=abs(none.mean), below=(on_validation[:, 4] - on_validation[:, 0]).mean())
claim("11-wrong", f"On the validation digits the rule with the old η, λ = {wrong_lam:.1f}, has "
      f"{{:.2f}} more loss than the rule with the new η, λ = {right_lam:.1f}",
      measured=of_wrong.mean, above=0)

# %% tags=["hide-input"]
claim("11-text", "On the validation sonnets the row's N has {:.3f} less loss than the default λ "
      "of 0.01",
      measured=on_text.mean, above=0)
claim("11-rate", "In this run a better η gains more: with twice the η, at the row's N, the sonnets "
      f"have {{:.2f}} less loss; the row's N itself gained {on_text.mean:.3f}",
      measured=slower.mean, above=on_text.mean)

# %% [markdown]
# ### The row's N, λ = 0, or the default?
#
# Two examples prove little. So we stored {{len(runs_stored)}} *settings* of data, length and η, each with five seeds; the digits above are one more. Of the η tried for each data set and length, the one with the lowest loss is the *best η tried*; the others are *too small* or *too large*. Figure 11.9 shows how much less loss the row's $N$ has than λ = 0. At the best η tried the lowest losses are {{below: of_lows[0]:.1f}} to {{below: of_lows[1]:.1f}} for signals and {{below: of_lows[2]:.1f}} to {{below: of_lows[3]:.1f}} for digits.


# %% tags=["hide-input"]
batch_of = np.select([runs_stored[:, 1] == n for n in (200, 4000)], [20, 100], 25)
is_long = runs_stored[:, 2] * batch_of >= 20 * runs_stored[:, 1]  # 20 passes or more
bold_at = np.where(is_long, 4, 3)  # the columns N = 4 and N = 1
by_seeds = table[np.arange(len(table))[:, None], :, np.stack([0 * bold_at, bold_at], 1)]
pairs, gains = by_seeds.mean(2), (by_seeds[:, 0] - by_seeds[:, 1])[..., 0].T  # by seed and run
is_clear = clear(gains) | clear(-gains)  # for or against the row's N
lowest_loss = table[..., 0].mean(1).min(-1)
pair_costs = pairs[..., 0] - lowest_loss[:, None]  # by run: λ = 0, the row's N
kinds_of = [np.flatnonzero((runs_stored[:, 1:] == kind).all(1))
            for kind in np.unique(runs_stored[:, 1:], axis=0)]
at_best = np.zeros(len(table), bool)
at_best[[some[lowest_loss[some].argmin()] for some in kinds_of]] = True

# %% tags=["hide-input"]
kept = [np.stack([table[k, :, bold_at[k]] for k in some]) for some in kinds_of]  # η, seed, measure
one_finds, three_find = (  # how often so many seeds find the η of all five: by loss, by error
    sum((by[:, [*some]].mean(1).argmin(0) == by.mean(1).argmin(0)).astype(int)
        for by in kept for some in combinations(range(5), count)) for count in (1, 3))

# %% tags=["hide-input"]
best_of_kind = {(n, steps): eta for eta, n, steps in runs_stored[at_best]}
above_best = np.array([eta > best_of_kind[n, steps] for eta, n, steps in runs_stored])
three = at_best, ~at_best & ~above_best, above_best  # the best η tried, too small, too large
of_four, of_rows = ([(table[some, :, columns_of[some], 0].mean(1) - lowest_loss[some]).mean()
                     for some in (at_best, ~at_best)]
                    for columns_of in (np.full(len(table), 4), bold_at))  # N = 4, the row's N


# %% tags=["hide-input"]
def on_others(k, count):
    """The lowest N by so many seeds: what it gains on the others; whether its gain is clear."""
    loss, own, found = table[k, ..., 0], bold_at[k], []
    peak = 2 * grid / (runs_stored[k, 2] + 1)  # ηλ at the first step, for each N
    tried = [c for c in (0, own - 1, own, own + 1) if peak[c] <= 0.1]  # the limit of step 2
    for some in map(list, combinations(range(5), count)):
        gain = loss[:, own] - loss[:, tried[loss[some][:, tried].mean(0).argmin()]]
        sure = count > 1 and bool(clear(gain[some]))
        found.append((np.delete(gain, some).mean(), sure))
    return np.array(found).T


def rule_over(some, count=3):
    """Mean gain of the lowest N; of taking it only where clear; how often it loses."""
    gain, sure = np.hstack([on_others(k, count) for k in np.flatnonzero(some)])
    return gain.mean(), (gain * sure).mean(), (gain < 0).mean()


by_rule = {"best": rule_over(at_best), "all": rule_over(at_best | True)}
by_one = rule_over(at_best, 1)  # the lowest of a single seed

# %% tags=["hide-input"]
called = [f"{n:,.0f} {'digits' if n == 200 else 'signals'}, {steps * size / n:.0f} passes"
          for (_, n, steps), size in zip(runs_stored, batch_of, strict=True)]
called.append("200 digits, 10 passes")  # of Figure 11.8
all_gains = np.column_stack([gains, on_validation[:, 5] - on_validation[:, 3]])
all_clear = clear(all_gains) | clear(-all_gains)
own_lows = [lowest_loss[at_best & ((runs_stored[:, 1] == 200) == small)] for small in (False, True)]
of_lows = [pick(some) for some in own_lows for pick in (min, max)]  # signals, then digits
of_means, in_three = all_gains.mean(0), [np.append(some, k == 0) for k, some in enumerate(three)]

# %% tags=["hide-input"]
groups_of = ("best η tried", "η too small", "η too large")
fig, ax = figures.subplots(figsize=(7.2, 7))
marks, ticks, top, orders = interval(all_gains), {}, 0.0, []
for name, some, pace in zip(groups_of, in_three, (1.5, 1.2, 1.2), strict=True):
    order = np.flatnonzero(some)[np.argsort(-of_means[some])]
    at = top + pace * np.arange(len(order))
    ax.hlines(at, marks.low[order], marks.high[order], color=figures.GREY, lw=1, zorder=1)
    for sure, color, fill, kind in (
            (~all_clear, figures.GREY, "white", ""), (all_clear & (of_means > 0), figures.BLUE,
            figures.BLUE, ", clearly lower"), (all_clear & (of_means < 0), figures.ORANGE,
                                               figures.ORANGE, ", clearly higher")):
        ax.plot(of_means[order][sure[order]], at[sure[order]], "o", ms=5, color=color,
                mfc=fill, label=f"_{name}{kind}")
    ticks |= dict(zip(at, [called[k] for k in order], strict=True)) if name == groups_of[0] else \
        {at.mean(): f"{len(order)} settings,\n{name}"}
    top = at[-1] + 2
    ax.axhline(top - 1, color=figures.GREY, lw=0.8) if name != groups_of[2] else None
    orders.append((order, at))

# %% tags=["hide-input"]
for k, place in zip(*orders[1], strict=True):  # name the first, and what is clearly left of zero
    left = of_means[k] < 0
    if k == orders[1][0][0] or (all_clear[k] and left):
        ax.text(0.03 if left else marks.low[k] - 0.02, place,
                f"{called[k]}, η = {runs_stored[k, 0]:g}", fontsize=9, va="center",
                ha="left" if left else "right")

# %% tags=["hide-input"]
ax.set_yticks([*ticks], [*ticks.values()], fontsize=9)
ax.axvline(0, color="black", lw=1, label="_zero")
ax.set(xlabel="loss at λ = 0 − loss at the row's N (right of 0: the row's N is better)", ylabel=" ",
       ylim=(top - 1, -1.2))
keys = [ax.plot([], [], "o", ms=5, color=color, mfc=fill)[0] for color, fill in (
    (figures.BLUE, figures.BLUE), (figures.ORANGE, figures.ORANGE), (figures.GREY, "white"))]
ax.legend(keys, ["row's N clearly better", "λ = 0 clearly better", "not clear"], fontsize=9,
          loc="lower right")
for_none = [f"{called[k]} (η = {runs_stored[k, 0]:g})"  # clearly better with λ = 0
            for k in orders[1][0] if all_clear[k] and of_means[k] < 0]
last = ax.set_title("Best η tried: nearly a tie. Other η: the row's N is\nclearly better "
                    "more often than clearly worse")

# %% tags=["hide-input"]
seen = figures.drawn(ax)
better, worse_of, unsure = ([seen[f"_{name}{kind}"].x for name in groups_of]
                            for kind in (", clearly lower", ", clearly higher", ""))
saved = [np.concatenate(parts) for parts in zip(better, worse_of, unsure, strict=True)]
won, sure, worse = ([len(each) for each in some] for some in (
    [x[x > 0] for x in saved], better, worse_of))
apart = np.concatenate(saved)
told = [f"{len(saving)} settings: the row's N is lower in {some}, clearly in {n} and clearly "
        f"higher in {m}; on average by {saving.mean():.3f}"
        for saving, some, n, m in zip(saved, won, sure, worse, strict=True)]
figures.show(fig, "A dot with its interval for each setting: loss at λ = 0 minus loss at the "
             f"row's N, in three groups. At the best η tried, {told[0]}. At an η too "
             f"small, {told[1]}. "
             f"At an η too large, {told[2]}.", number="11.9",
             caption="Each dot is one setting of data, length and η: the mean of five seeds, with "
             "its 95-percent interval. Of the settings with too small an η the top one is named, "
             f"and the {len(for_none)} where λ = 0 is clearly better. Of {len(all_clear)} "
             f"intervals about {0.05 * len(all_clear):.0f} would look "
             "clear by chance alone.")

# %% tags=["hide-input"]
points = 100 * (pairs[:, 0, 1] - pairs[:, 1, 1])  # fewer errors at the row's N
of_ten = np.append(points[at_best], 100 * (digits.test_accuracy.values[:, 3, -1]
                                           - digits.test_accuracy.values[:, 5, -1]).mean())
of_default = usual * runs_stored[:, 0] * runs_stored[:, 2] / 2  # N, under linear to zero
small_default = (of_default < np.array([1, 4])[bold_at - 3] / 2).sum()
assert points[at_best].min() > 0, "a stored setting has more errors"
assert of_ten.mean() > 0, "more errors on average"

# %% [markdown]
# - **At the best η tried it is nearly a tie by loss.** The row's $N$ was lower in {{won[0]}} of {{len(saved[0])}} settings, clearly in {{sure[0]}}; λ = 0 was clearly lower in {{worse[0]}}. On average the row's $N$ gained {{saved[0].mean():.3f}}. It made fewer errors in {{(of_ten > 0).sum()}}, on average by {{of_ten.mean():.1f}} points.
# - **At another η the row's $N$ usually had less loss,** in {{won[1] + won[2]}} of {{len(saved[1]) + len(saved[2])}} settings: clearly in {{sure[1] + sure[2]}}. λ = 0 was clearly lower in {{worse[1] + worse[2]}}. On average the row's $N$ gained {{np.concatenate(saved[1:]).mean():.2f}}.
#
# So without earlier runs type the row's $N$.
#
# **Which rule gains more?** We chose among the $N$ of the row by three of the five seeds, and looked at the two left out. At the best η tried the $N$ of the lowest mean loss gained {{by_rule["best"][0]:.3f}} over the row's $N$, but lost in {{100 * by_rule["best"][2]:.0f}} % of the choices; over all stored settings it gained {{by_rule["all"][0]:.3f}}, and lost in {{100 * by_rule["all"][2]:.0f}} %. Taken only where its gain was clear, it gained {{by_rule["best"][1]:.3f}} and {{by_rule["all"][1]:.3f}}. **So the lowest mean decides what you type; a clear gain decides what you may claim.** (These settings also chose the last two rows.)
#
# <details>
# <summary>Limits: how far the row's N was from the best</summary>
#
# The settings share tasks and seeds, and we chose the last two rows by them. So the counts do not test the rows. In the worst setting the row's $N$ had {{-apart.min():.2f}} more loss than λ = 0; in another λ = 0 had {{apart.max():.2f}} more. In these settings $N = 4$ in every row would have been better still: on average it ended {{of_four[0]:.3f}} above the lowest loss at the best η tried, the row's $N$ {{of_rows[0]:.3f}}, and at the other η {{of_four[1]:.3f}} and {{of_rows[1]:.3f}}. With the digits of Figure 11.8 counted, it is not (below). Even the lowest of a single seed gained {{by_one[0]:.3f}} over the row's $N$, on the four seeds left out. PyTorch's default, λ = {{usual}}, is close to 0: in {{small_default}} of the {{len(runs_stored)}} stored settings its $N$ is less than half of the row's $N$. One run, of {{amounts[-1]:,}} signals at η = {{3 * good_eta:.2f}}, learned nothing at either λ. At another η than the best the row's $N$ made fewer errors in {{(points[~at_best] > 0).sum()}} of {{(~at_best).sum()}}. We tried no augmentation and no dropout.
#
# The last two rows rest on at most {{amounts[-1]:,}} examples, except one run of {{pool:,}} signals in {{below: many_passes}} passes, at three η. In that run, at the best η tried, $N = 4$ made the fewest errors, but not clearly fewer than $N = 1$.
#
# The rows of language and images copy what others typed. The language models are within a factor of {{scatter:.1f}} of the row's $N$. The short image recipes have {{counts["cifar10-fast"]:.1f}} and {{counts["airbench94"]:.1f}}, the longer ones {{min(counts[name] for name in vision):.0f}} to {{max(counts[name] for name in vision):.0f}}.
# With many passes BERT has less ($N = {{counts["BERT"]:.1f}}$ at $k$ = {{bert / 340e6:.0f}} to {{bert / 110e6:.0f}}), but the best λ was once about 30 times the usual one ([Kim et al., 2025](https://arxiv.org/abs/2509.14786)), and Lovelace et al. ([2026](https://arxiv.org/abs/2605.01640)) find a best λ an order of magnitude above the usual one.
#
# In our stored small runs, at whatever η, the best of the $N$ tried was 1/{{1 / nearest:.0f}} to {{furthest:.0f}} times the row's own (§11.4). Both are at the ends of what we tried, so the true best $N$ may be still further away. Where it was 1/{{1 / nearest:.0f}} the choice hardly mattered: all $N$ up to 1 were equally good, within {{of_slow[:4].max() - of_slow.min():.3f}}.
#
# </details>

# %% [markdown]
# How much can you lose with the row's $N$? Figure 11.10 shows ten runs, each at the best η tried.


# %% tags=["hide-input"]
costs_of = [(loss.mean(0), np.isin(grid, tries)) for loss in settled]  # at the best η tried
of_200 = on_validation[:, [5, 1, 2, 3, 4]]  # by N, without the default
costs_of.append((of_200.mean(0), np.isin([0, *digits_n], tries)))
costs = np.array([mean[some] - mean.min() for mean, some in costs_of])  # by run and N = ¼, 1, 4
of_nothing = np.array([mean[0] - mean.min() for mean, _ in costs_of])  # λ = 0
fewer = [0, 1, 2, 3, 5]  # few examples, fewer than 20 passes
over = (table[..., 0].mean(1) - lowest_loss[:, None])[at_best]  # by setting and N
of_tens = [np.append(found, last).mean() for found, last in (  # N = 4, the row's N, λ = 0
    (over[:, 4], costs[5, 2]), (over[range(9), bold_at[at_best]], costs[5, 1]),
    (over[:, 0], of_nothing[5]))]


def up(loss):
    """A loss rounded up to hundredths: "at most" must stay true."""
    return np.ceil(100 * loss) / 100


# %% tags=["hide-input"]
digits_four = interval(of_digits[0, 1, :, 4, 0] - of_digits[0, 1, :, 3, 0])  # 20 passes
assert min(each.low for each in four + four_errors) > 0, "N = 4 against λ = 0 and N = 1"

# %% tags=["hide-input"]
def draw_costs(ax, runs, bold):
    """Loss above the lowest of each run against N; the first mark is λ = 0."""
    for name, (at, losses, color, dash) in runs.items():
        at, mean = np.where(np.arange(len(at)) == 0, 1 / 64, at), losses.mean(0)
        ax.semilogx(at, mean - mean.min(), dash, ms=4, color=color, label=name)
    for at, losses, color, dash in runs.values():  # open: the largest N tried is the best
        if losses.mean(0).argmin() == len(at) - 1:
            ax.plot(at[-1], 0, dash[0], ms=8, mfc="white", color=color, label="_edge", zorder=4)
    ax.axhspan(0, 0.1, color=figures.GREY, alpha=0.12, lw=0)
    ax.axvline(bold, ymax=0.7, color="black", ls=":", lw=1.5, zorder=0)
    ax.text(bold, 0.245, "row's N", ha="center", fontsize=9)
    ax.grid(False, axis="x")
    ax.set(ylabel="loss above the lowest", xlabel=" ", ylim=(-0.02, 0.34), xlim=(0.012, 40))
    ax.set_yticks([0, 0.1, 0.2, 0.3])
    ax.set_xticks([1 / 64, *grid[1:]], ["λ = 0", "1/16", "¼", "1", "4", "16", "  32"])
    ax.minorticks_off()


# %% tags=["hide-input"]
of_short = {name: (grid, settled[k], color, dash) for k, name, color, dash in (
    (0, "250 signals", figures.GREEN, "o-"), (1, "500 signals", figures.ORANGE, "o-"),
    (2, "1,000 signals", figures.BLUE, "o-"), (3, "500 signals, 5 passes", figures.ORANGE, "D--"))}
of_short["200 digits"] = ([0, *digits_n], of_200, figures.PINK, "s-")
kinds = ((figures.ORANGE, "o-"), (figures.ORANGE, "o--"), (figures.PINK, "s-"),
         (figures.PINK, "s--"), (figures.AMBER, "D-"))
many_passes = 20  # from here on the recipe's second row of small data
in_long = ("500 signals, 20 passes", "500 signals, 40 passes", "200 digits, 20 passes",
           "200 digits, 40 passes", "4,000 signals, 20 passes")
of_more = {name: (grid, run[..., 0], *kind)
           for name, run, kind in zip(in_long, [*long, longer[1]], kinds, strict=True)}

# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 1, sharex=True, figsize=(7, 6.4))
nudges = ({"500 signals": 6, "250 signals": -6},
          {"500 signals, 20 passes": 6, "500 signals, 40 passes": -6})
for ax, runs, bold, nudge in zip(axes, (of_short, of_more), (1, 4), nudges, strict=True):
    draw_costs(ax, runs, bold)
    if bold == 4:  # the line that leaves the panel has its words where it leaves
        ax.get_lines()[2].set_label("_digits")
    figures.label_lines(ax, nudge=nudge)
leaves = of_digits[0, 1, ..., 0].mean(0)
too_small = np.concatenate([(mean := run.mean(0))[: mean.argmin()] - mean.min()
                            for _, run, *_ in chain(of_short.values(), of_more.values())])
axes[1].text(8, 0.29, f"200 digits, 20 passes:\n{leaves[5] - leaves.min():.2f} at N = 16",
             color=figures.PINK, ha="right")
axes[1].set_xlabel("N")
axes[0].set_title("Few passes: N = 4 beats N = 1 on signals, but fails on the digits")
axes[0].tick_params(labelbottom=True)
last = axes[1].set_title(f"{many_passes}+ passes: the row's N = 4 is low, N = 16 not always")

# %% tags=["hide-input"]
short_ones, long_ones = (figures.drawn(ax) for ax in axes)
upto_one = max(line.y[line.x <= 1].max() for line in short_ones.values() if len(line.x) > 2)
upto_one = np.ceil(100 * upto_one) / 100  # rounded up
upto_four = max(line.y[line.x <= 4].max() for line in long_ones.values() if len(line.x) > 2)
upto_four = np.ceil(100 * upto_four) / 100
figures.show(fig, "Loss above the lowest of its run against N, with λ = 0 at the left. Above, five "
             f"runs of fewer than 20 passes: up to N = 1 none is over {upto_one:.2f} above; at "
             f"N = 4 the digits are {short_ones['200 digits'].y[-1]:.2f} above. Below, five runs "
             f"of 20 or 40 passes: up to N = 4 at most {upto_four:.2f}; at N = 16 the digits are "
             f"{long_ones['_digits'].y[5]:.2f} above in 20 passes and "
             f"{long_ones[in_long[3]].y[5]:.2f} in 40.", number="11.10",
             caption="A line is the mean of five seeds of a run at the best learning rate tried. "
             "The dotted line is the row's N. Grey: less than 0.1 above the lowest. "
             "Open: the best N is the largest tried, so a larger one might be better still. "
             f"The line that leaves the panel is {leaves[6] - leaves.min():.2f} above at N = 32. "
             "In the upper panel signals and digits have "
             f"{25 * lengths[0] // amounts[0]} passes, unless it says 5; 1,000 signals have "
             "η = 0.09, other signals 0.27.")

# %% tags=["hide-input"]
decided = np.array([[0.97, 1.00, 0.99], [1.00, 1.04, 0.96], [0.96, 0.98, 1.01]])
ten = [interval(decided[:, 1] - decided[:, k]) for k in range(3)]  # exercise 5
decided_s = np.std(decided[:, 1] - decided[:, 0], ddof=1)
assert ten[0].low > 0 > ten[2].low, "N = 1 is a clear gain, N = 16 is none"
assert ten[0].mean > bars[3] * decided_s, "the recipe's words for it"

# %% [markdown]
# With fewer than {{many_passes}} passes all $N$ up to 1 ended within {{upto_one:.2f}} of the lowest loss; one at $N = 4$ was {{up(costs[5, 2]):.2f}} above. Over the ten runs $N = 4$ ended {{of_tens[0]:.3f}} above the lowest on average, λ = 0 {{of_tens[2]:.3f}}, and the row's $N$ {{of_tens[1]:.3f}}. So for few passes the row's $N$ is 1. With {{many_passes}} passes or more all $N$ up to 4 ended within {{upto_four:.2f}}; one at $N = {{grid[5]:.0f}}$ was {{up(of_long[:, 5].max()):.2f}} above.

# %% tags=["hide-input"]
claim("11-rule", "On the seeds left out, at the best η tried, the N of the lowest mean loss gains "
      f"{{:.3f}} over the row's N; taken only if its gain is clear, {by_rule['best'][1]:.3f}",
      measured=by_rule["best"][0], above=by_rule["best"][1])
claim("11-nothing", "At the best η tried N = ¼, N = 1 and λ = 0 end "
      "within {:.3f} of the lowest loss, in the five runs of signals and on the digits of §11.7; "
      f"there N = 4 ends {costs[5, 2]:.2f} above it",
      measured=[*costs[:, :2].ravel(), *of_nothing], below=costs[5, 2])
assert digits_four.mean > 0, "on the digits in 20 passes N = 1 has less loss than N = 4"

# %% tags=["hide-input"]
claim("11-long", "On 500 signals and on 200 digits, in 20 and in 40 passes, each at the best η "
      "tried, N = 4 ends within {:.2f} of the lowest loss; on the digits N = 16 ends "
      f"{of_long[2:, 5].min():.2f} above it or more",
      measured=of_long[:, 4], below=min(0.1, of_long[2:, 5].min()))

# %% [markdown]
# ### If η is not settled: search both
#
# The network of §11.4 (500 signals, ten passes) is trained at four η with four $N$ each.

# %% tags=["hide-input"]
rates, columns = [0.03, 0.09, 0.27, 0.81], np.array([1 / 4, 1, 4, 16])
totals = [forgettings(eta, 1, factors_of(200, linear)) for eta in rates]
all_seeds = [more_data[1]["loss"][:, 2:6]]  # η = 0.03 is of §11.4, its columns N = ¼ to 16
wrong = [more_data[1]["error"][:, 2:6]]
for eta, total in zip(rates[1:], totals[1:], strict=True):
    of_rate = train(columns / total, 500, 200, peak=eta)
    all_seeds.append(of_rate[0])
    wrong.append(of_rate[1])
all_seeds, wrong = np.array(all_seeds), np.array(wrong)  # by η, seed and N
by_rate = all_seeds.mean(1)
best_rate = by_rate[:, 1].argmin()  # first the column N = 1
best_column = by_rate[best_rate][:3].argmin()  # then along the row, up to the limit of ηλ
assert [rate, rate / 4] == [0.05, earlier], "exercise 7 prints the digits' η"

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(5.6, 3.6))
ax.pcolormesh(by_rate, cmap="Blues", vmin=1.55, vmax=2.2, label="_loss")
for row, means in enumerate(by_rate):
    for column, loss in enumerate(means):
        ax.text(column + 0.5, row + 0.5,
                f"loss {loss:.2f}\n{100 * wrong[row, :, column].mean():.0f} % wrong", ha="center",
                va="center",
                fontsize=9.5,
                color="black" if loss < 1.9 else "white")
ax.grid(False)
for corner, size in (((1, 0), (1, 4)), ((0, best_rate), (3, 1))):
    ax.add_patch(Rectangle(corner, *size, fill=False, ec=figures.ORANGE, lw=2.5, clip_on=False))
ax.axvline(3, color="black", ls="--", lw=1.5, label="_limit")  # to its right ηλ is above the limit
at = np.unravel_index(by_rate.argmin(), (4, 4))
ax.plot(at[1] + 0.88, at[0] + 0.84, "*", ms=11, color="black", label="_star")
assert 4 < 0.1 * factors_of(200, linear).sum() < 16, "the limit of ηλ lies between these N"

# %% tags=["hide-input"]
ax.set_xticks(np.arange(4) + 0.5, ["¼", "1", "4", "16\n(ηλ > 0.1)"])
ax.set_yticks(np.arange(4) + 0.5, [str(rate) for rate in rates])
ax.set(xlabel="N", ylabel="peak η")
cells = figures.drawn(ax)["_loss"].x  # by η and N
in_frames = min(cells[:, 1].min(), cells[best_rate, :3].min()) == cells.min()
ax.set_title("The six framed cells contain the lowest loss" if in_frames else
             "The framed cells find nearly the lowest loss")
first, (row, column) = cells[:, 1], np.unravel_index(cells.argmin(), cells.shape)
figures.show(fig, "A table of 16 cells, darker where the held-out loss is higher: four peak rates "
             "η against N = ¼, 1, 4 and 16, with loss and error in each cell. A frame marks the "
             "column N = 1, whose "
             f"loss goes {first[0]:.2f}, {first[1]:.2f}, {first[2]:.2f}, {first[3]:.2f} as η "
             "rises, and another the row of its lowest. The lowest of all cells, "
             f"{cells[row, column]:.2f}, is in row {row + 1} from below and column {column + 1}.",
             number="11.11", caption="Each cell is the mean of five seeds on held-out signals; "
             "darker is worse, and a star marks the lowest loss, "
             "though its neighbour on the right is higher only in the third decimal. The frames "
             "hold what the search tries. Right of the dashed line the peak ηλ is "
             f"{rates[0] * columns[3] / totals[0]:.2f}, beyond the limit of step 2: the "
             "recipe stops before it.")

# %% tags=["hide-input"]
claim("11-search", "The search tries six cells, η at N = 1 and then N at that η; the best of "
      "them has {:.3f} more loss than the lowest of all sixteen",
      measured=by_rate[best_rate, best_column] - by_rate.min(), below=0.05)

# %% [markdown]
# **So settle η at the row's $N$, by your own measure, then $N$ at that η.** At $N = 1$ step 5 settles on η = {{rates[best_rate]}} by loss, on {{rates[wrong.mean(1)[:, 1].argmin()]}} by error.
#
# <details>
# <summary>Can λ make up for a wrong η?</summary>
#
# By loss, only in part. With η too large (top row) the loss falls along the row from {{by_rate[3, 0]:.2f}} to {{by_rate[3].min():.2f}}, but with η too small (bottom row) only from {{by_rate[0, 0]:.2f}} to {{by_rate[0].min():.2f}}.
#
# </details>
#
# ## 11.8 In practice: a page to tear out
#
# Figure 11.12 is the recipe as a tree.


# %% tags=["hide-input"]
most_peak, least_n = 0.1, 0.05  # of peak ηλ; below this N decay does next to nothing
assert rate * decays[4] < most_peak, "the digits' largest N may be tried"
begins = poem_rate * text_n / S  # ηλ at the first step
assert begins[2] < most_peak < 4 * begins[2], "four times as much is beyond the limit"
assert abs(begins[3] / most_peak - 1) < 1e-9, "the last try is the limit"

# %% tags=["hide-input"]
boxes = {
    "tune": (0, 9, "1  fine-tuning, or\ncontinued pretraining?", figures.GREY),
    "leave": (1, 9, "take the first rows\nof the table", figures.BLUE),
    "one": (0, 8, "2  only one run, or too\nlarge to repeat?", figures.GREY),
    "single": (1, 8, "type the fallback; as\na trial the row's N", figures.BLUE),
    "rate": (0, 7, "3  is η settled?", figures.GREY),
    "settle": (1, 7, "move η by factors of\n3, at the row's N", figures.ORANGE),
    "few": (0, 6, f"4  can you afford\n{fewest_runs} to {most_runs} more runs?", figures.GREY),
    "less": (1, 6, "one seed each: type\nthe lowest, no claim", figures.BLUE),
    "try": (0, 5, "5  run the N of your row\nand the fallback", figures.ORANGE),
    "end": (0, 4, "6  is the best an N > 0\nat an end of your row?", figures.GREY),
    "more": (1, 4, "go on × 4 or ÷ 4,\nas far as the limits", figures.ORANGE),
    "type": (0, 3, "7  type the N with the\nlowest mean loss", figures.BLUE),
    "gain": (0, 2, "8  is its gain over the\nfallback clear?", figures.GREY),
    "keep": (1, 2, "claim nothing", figures.BLUE),
    "test": (0, 1, "9  test it once, then say\nthat it is better", figures.BLUE),
}

# %% tags=["hide-input"]
ways = [("tune", "leave", "yes"), ("tune", "one", "no"), ("one", "single", "yes"),
        ("one", "rate", "no"), ("rate", "settle", "no"), ("rate", "few", "yes"),
        ("few", "less", "no"), ("few", "try", "yes"), ("try", "end", ""), ("end", "more", "yes"),
        ("end", "type", "no"), ("type", "gain", ""),
        ("gain", "keep", "no"), ("gain", "test", "yes")]

# %% tags=["hide-input"]
def walk(**answers):
    """Where a way through the tree ends; what is not answered is answered as in §11.7."""
    box, turns = "tune", {(a, word): b for a, b, word in ways}
    as_there = dict.fromkeys(("tune", "one", "end"), "no") | {"few": "yes"}
    while box in {a for a, *_ in ways}:
        box = turns[box, (as_there | {"rate": "yes", "try": "", "type": ""} | answers)[box]]
    return box


for sure_there in (digits_sure, text_sure):  # the digits, then the sonnets
    assert walk(gain="yes" if sure_there else "no") == ("test" if sure_there else "keep"), "so"
assert [walk(tune="yes"), walk(one="yes")] == ["leave", "single"], "step 4 of the recipe"

# %% tags=["hide-input"]
fig, ax = figures.subplots(figsize=(4.6, 9.6))
arrow = {"arrowprops": {"arrowstyle": "->", "color": figures.GREY, "lw": 1.4, "shrinkA": 0,
                        "shrinkB": 0}}
middles, halves, tall = (1.15, 3.5), (1.1, 0.83), 0.3  # of the two columns
for column, y_at, text, color in boxes.values():
    x, half = middles[column], halves[column]
    ax.fill([x - half, x + half, x + half, x - half], np.repeat([y_at - tall, y_at + tall], 2),
            fc="white", ec=color, lw=1.5)
    ax.text(x, y_at, text, ha="center", va="center", fontsize=9.5)
for a, b, word in ways:
    y_at, y_to, down = boxes[a][1], boxes[b][1], boxes[b][0] == 0
    begin = (middles[0], y_at - tall) if down else (middles[0] + halves[0], y_at)
    end = (middles[0], y_to + tall) if down else (middles[1] - halves[1], y_to)
    ax.annotate("", end, begin, **arrow)
    ax.text(*((1.0, y_at - 0.46) if down else (2.44, y_at + 0.06)), word, fontsize=9.5,
            va="center" if down else "bottom", ha="right" if down else "center")

# %% tags=["hide-input"]
for row, turn_at in ((7, 6.4), (4, 4.5), (4, 3.4)):  # back to the left: on, again, no further
    side = np.sign(turn_at - row)
    ax.plot([3.5, 3.5], [row + side * tall, turn_at], color=figures.GREY, lw=1.4)
    ax.annotate("", (middles[0], turn_at), (3.5, turn_at), **arrow)
last = ax.text(2.9, 3.43, "limit reached", fontsize=9.5, ha="center", va="bottom")

# %% tags=["hide-input"]
top = ("S: the sum of all η (SGD: ÷ (1 − μ)).   λ = N/S.\n"
       "fallback: the λ of earlier runs like yours;\nwithout them the row's N ÷ S.\n"
       f"limits: N ≥ {least_n}; peak ηλ ≤ {most_peak}; under SGD\n"
       f"peak ηλ ≤ {most_peak} (1 − μ) and ≤ (1 − √μ)²")
end = (f"row's N: fine-tuning {least_n} at most; language ½√k;\n"
       f"≥ 50,000 images {rows['images'][1]}, from {few_of_images} passes "
       f"{rows['images, between'][1]}, "
       f"from {round(long_images, -1):.0f} {rows['images, long'][1]}\n(AdamW "
       f"{rows['images, long, Adam'][1]}); else {rows['few passes'][1]}, from {many_passes} passes "
       f"{rows['more passes'][1]}")
for words, y_at in ((top, 10.15), (end, 0.1)):
    ax.text(0.05, y_at, words, fontsize=9.5, va="center", linespacing=1.35,
            bbox={"fc": "#f4f4f4", "ec": figures.GREY, "lw": 0.6, "boxstyle": "round,pad=0.4"})
ax.set(xlim=(0, 4.4), ylim=(-0.4, 10.8), xticks=[], yticks=[], xlabel=" ", ylabel=" ")
ax.spines[:].set_visible(False)
last = ax.set_title("From your run to a λ")

# %% tags=["hide-input"]
figures.show(fig, "A decision tree in nine boxes. Fine-tuning or continued pretraining: the first "
             "rows of the table. Only one run, or too large to repeat: the fallback, or as a trial "
             "the row's N. If η is not settled, move it by factors of 3 at the row's N. If you "
             "cannot afford the runs of your row: one seed each, and the lowest. Else run the N "
             "of your row and the fallback. While the best is an N > 0 at an end of your row, go "
             "on by factors of 4, as far as the limits. Type the N with the lowest mean loss. If "
             "its gain over the fallback is clear, test it once and say that it is better; else "
             "claim nothing. A box above says what S, λ, the fallback and the limits are, one "
             "below the row's N of each kind of run.",
             number="11.12",
             caption="Grey boxes ask, orange ones say what to do, and blue ones type or end. "
             f"Under SGD peak ηλ is at most {most_peak} (1 − μ) and at most (1 − √μ)².")

# %% [markdown]
# <details>
# <summary>Why these limits</summary>
#
# Below $N = 0.05$ decay takes less than {{100 * (1 - np.exp(-0.05)):.0f}} % of a weight. At ηλ = 1 a single step erases a weight; beyond {{most_peak}} the theory of §11.3 no longer holds. Under SGD the effective rate is η/(1 − μ), so the same limit is {{most_peak}} (1 − μ). Under AdamW and linear-to-zero $N = 64$ needs a run of {{2 * 64 / most_peak:,.0f}} steps or more.
#
# </details>
#
# ### Four things you may see in a run
#
# Four things in a run often look like a fault, and we make each happen: three in a weight whose size the loss ignores ($y = \langle x, w\rangle/\lVert w\rVert$, fitted to noisy data, new in each step), one in an embedding before a norm (a small network guesses the next letter of a sonnet).


# %%
def neurons(rates, decays, copies=20, d=20):
    """Gradient norm, loss and RMS of w in each step, for each λ; AdamW, means of 20 copies."""
    rng, log = claims.rng(5), []
    goal = functional.normalize(torch.tensor(rng.standard_normal(d)), dim=0)
    start = torch.tensor(0.1 * rng.standard_normal((copies, 1, d)))
    w = nn.Parameter(start.repeat(1, len(decays), 1))
    adamw = torch.optim.AdamW([w], weight_decay=0)  # it decays below, each copy with its λ
    for lr, lams in zip(rates, np.transpose(decays), strict=True):
        x = torch.tensor(rng.standard_normal((4, copies, 1, d)))
        noise = torch.tensor(rng.standard_normal((4, copies, 1)))
        gap = w / w.norm(dim=-1, keepdim=True) - goal
        adamw.zero_grad()
        ((x * gap).sum(-1) - noise).square().mean(0).sum().backward()
        log.append([each.mean(0).tolist() for each in (
            w.grad.norm(dim=-1), gap.square().sum(-1), w.square().mean(-1).sqrt())])
        w.data *= 1 - lr * torch.tensor(lams)[:, None]
        adamw.param_groups[0]["lr"] = lr
        adamw.step()
    return np.moveaxis(log, 0, -1)  # what, λ, step


# %%
one = np.ones(600)
fall, drop = 1 - np.arange(600) / 600, np.where(np.arange(600) < 200, 1, 0.1)
falls = neurons(0.02 * fall, [2 * one, 2 * fall, 0 * one])  # λ constant, λ that falls as η, none
drops = neurons(0.02 * drop, [2 * one, 2 * drop])
idle = neurons(0.002 * one, [0 * one, 0.01 * one, 4 / (600 * 0.002) * one])  # the last has N = 4
n_idle = forgettings(0.002, 0.01, one)

# %% tags=["hide-input"]
def embed(lam, steps=600):
    """RMS of an embedding before a norm, its turn and the loss, in each step; λ for it alone."""
    torch.manual_seed(seeds(1)[0])
    model = nn.Sequential(nn.Embedding(len(letters), 16), nn.RMSNorm(16),
                          nn.Linear(16, len(letters), bias=False)).double()
    rows_of, *those = model.parameters()
    nn.init.normal_(rows_of, std=0.02)
    log, adamw = [], torch.optim.AdamW([{"params": [rows_of], "weight_decay": lam},
                                        {"params": those, "weight_decay": 0.0}], lr=0.01)
    for at in torch.randint(len(poems["train"]) - 1, (steps, 64)):
        before = rows_of.detach().clone()
        adamw.zero_grad()
        loss = functional.cross_entropy(model(poems["train"][at]), poems["train"][at + 1])
        loss.backward(), adamw.step()
        turn = functional.cosine_similarity(before.ravel(), rows_of.detach().ravel(), dim=0).acos()
        log.append((rows_of.detach().square().mean().sqrt().item(), turn.item(), loss.item()))
    return np.transpose(log)


free, held = embed(lam=0.0), embed(lam=1.0)


# %% tags=["hide-input"]
def smooth(path):
    """Means of 20 steps."""
    return path.reshape(-1, 20).mean(-1)


# %% tags=["hide-input"]
fig, axes = figures.subplots(2, 2, figsize=(7.2, 4.8))
at = np.arange(10, 600, 20)
panels = ((axes[0, 0], falls[0], ("λ constant", "λ falls as η", "λ = 0"), "norm of the gradient"),
          (axes[0, 1], idle[2], ("λ = 0", "λ = 0.01", "λ = 3.3 (N = 4)"), "RMS of w"),
          (axes[1, 0], drops[1], ("λ constant", "λ falls as η"), "loss above the noise"),
          (axes[1, 1], (free[0], held[0]), ("λ = 0", "λ = 1"), "RMS of the embedding"))
inks = ((figures.ORANGE, "-"), (figures.BLUE, "--"), (figures.GREY, ":"))
for ax, paths, names_of, words in panels:
    for path, name, (color, dash) in zip(paths, names_of, inks, strict=False):
        ax.plot(at, smooth(np.asarray(path)), dash, color=color, label=name)
    ax.set(xlabel="step", ylabel=words, ylim=(0, None))
    ax.legend(fontsize=9)
axes[0, 0].set_ylim(0, 38), axes[1, 0].set_ylim(0, 0.35)
axes[0, 0].set_title("η → 0: the gradient grows")
axes[0, 1].set_title("N near 0: λ does nothing")
axes[1, 0].set_title("η ÷ 10: loss dips, then rises")
last = axes[1, 1].set_title("No decay: the embedding grows")

# %% tags=["hide-input"]
(rise, fallen, unmoved), (grow, stay) = (
    [line.y for line in figures.drawn(ax).values()] for ax in axes[[0, 1], [0, 1]])
dip, steady = (line.y for line in figures.drawn(axes[1, 0]).values())
idled = [line.y for line in figures.drawn(axes[0, 1]).values()]
figures.show(fig, "Four panels over 600 steps. Norm of the gradient while η falls to zero: from "
             f"{rise[14]:.0f} at step 300 to {rise[-1]:.0f} with a constant λ, from "
             f"{fallen[14]:.1f} to {fallen[-1]:.1f} if λ falls as η, and to {unmoved[-1]:.1f} "
             f"without decay. RMS of w: {idled[0][-1]:.3f} at λ = 0, {idled[1][-1]:.3f} at "
             f"λ = 0.01, {idled[2][-1]:.3f} at N = 4. Loss above the noise after η is divided by "
             f"ten at step 200: down to {dip.min():.2f}, then up to {dip[-1]:.2f} with a constant "
             f"λ; {steady[-1]:.2f} at the end if λ falls as η. RMS of an embedding: "
             f"{grow[-1]:.2f} without decay, still growing, and {stay[-1]:.2f} at λ = 1.",
             number="11.13", caption="Each line is a mean of 20 steps; the first three panels are "
             "means of 20 copies. The upper right panel has two lines on top of each other.")

# %% [markdown]
# | you see | what to do |
# |---|---|
# | The gradient's norm rises as η falls (top left). | Nothing: the rise is no sign of trouble. |
# | λ does nothing (top right). | Compute $N$: here it is {{n_idle:.3f}}. Try the $N$ of your row. |
# | The loss dips after η drops, then rises (bottom left). | End with η at zero, or let λ fall with η. |
# | An embedding keeps growing (bottom right). | Often nothing: here its loss ended lower than with decay. If it should go on learning, let it decay. |
#
# These examples show what you may see, not which λ is good.
#
# <details>
# <summary>Why each happens</summary>
#
# - *Gradient:* weights shrink towards $\sqrt{\eta/2\lambda}$, and where the loss ignores their size a gradient goes as 1/size. If you let λ fall with η ([Defazio, 2025](https://arxiv.org/abs/2506.02285)), the rise disappears, and here the loss ended lower, too. $N$ is then smaller.
# - *Dip:* the turn falls tenfold at once. Then the weights shrink, so the turn grows again, and the loss with it. This is not overfitting: the data are new in each step.
# - *Embedding:* it does not decay, and a norm follows it. As it grows, its turn falls: here from {{free[1][100:200].mean():.3f}} to {{free[1][-100:].mean():.3f}} radians a step.
#
# </details>


# %% tags=["hide-input"]
ends = [path[-1] / path[14] for path in (rise, fallen, unmoved)]
claim("11-rise", "While η falls to zero at a constant λ, the gradient's norm rises from step 300 "
      f"to the end, by a factor of {{:.1f}}; by {ends[1]:.1f} if λ falls as η, and by "
      f"{ends[2]:.1f} without decay", measured=ends[0], above=max(1, *ends[1:]))
claim("11-idle", "At λ = 0.01 the weights end at {:.4f} of those without decay: N is "
      f"{n_idle:.3f}, so by "
      "(11.3) at least e^(−N) of each update is left",
      measured=idle[2, 1, -1] / idle[2, 0, -1], between=(np.exp(-n_idle), 1))
claim("11-dip", "After the drop the loss dips and ends {:.1f} times as high as in the dip; "
      f"{steady[-5:].mean() / steady.min():.1f} times if λ falls as η",
      measured=dip[-5:].mean() / dip.min(), above=steady[-5:].mean() / steady.min())
claim("11-grows", "From step 300 to the end the embedding without decay grows by a factor of "
      f"{{:.2f}}, that with decay by {stay[-1] / stay[14]:.2f}",
      measured=grow[-1] / grow[14], above=max(1, stay[-1] / stay[14]))

# %% [markdown]
# Our networks are small, our runs short, with one set of five seeds. **So trust your own validation data more than any row of the table.**
#
# ## 11.9 Exercises
#
# **1.** (Choose λ.) Your run on 1,000 examples has 300 steps of AdamW in batches of 32, linear to zero from $\eta = 0.01$. There are no earlier runs. Which λ do you type if you have one run? Which do you try if you have many? And under SGD, μ = 0.9, η = 0.1?
#
# <details>
# <summary>Solution</summary>
#
# These are fewer than 20 passes, so the row is the last but one: $N = \frac14$, 1, 4, and λ = 0. $S = 300\cdot0.01/2 = 1.5$, so λ = $N/S$ is {{0.25 / 1.5:.2f}}, {{1 / 1.5:.2f}} and {{4 / 1.5:.1f}}: all above the usual 0.1, which here is $N = {{forgettings(0.01, 0.1, factors_of(300, linear)):.2f}}$. With one run type the row's $N$, which is the fallback, too: λ = {{1 / 1.5:.2f}}. With many try all four, each with three seeds, once η is settled. For SGD
# $S = 300\cdot0.1/2\,/\,(1-0.9) = 150$, so {{0.25 / 150:.4f}} and {{1 / 150:.4f}}, and λ = 0. $N = 4$ would be λ = {{4 / 150:.4f}}, just beyond the limit of step 2: peak ηλ is at most $(1-\sqrt{0.9})^2 = {{(1 - 0.9**0.5) ** 2:.5f}}$, so the last try is λ = {{(1 - 0.9**0.5) ** 2 / 0.1:.3f}} ($N = {{150 * (1 - 0.9**0.5) ** 2 / 0.1:.2f}}$). The row rests on AdamW alone, so under SGD these are only a rough guide.
#
# </details>
#
# **2.** (Read this log.) What do you do about each line? A batch norm follows the encoder. The run has 2,000 steps of AdamW with η = 0.001 and λ = 0.1; the log is from step 100, `N` by the end.
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
# $N = \eta\lambda\cdot2{,}000 = {{forgettings(0.001, 0.1, np.ones(2000)):.1f}}$, so {{100 * np.exp(-0.2):.0f}} % of the start survives. The encoder stays below its equilibrium, so its start sets its turn. Leave it, or try a larger $N$. Where the number comes from, in three steps:
#
# 1. Let $r_*$ be that of (11.4), as on noise; the tool estimates it. Then $r^2/r_*^2-1$ is $0.31^2-1 = -{{1 - 0.31**2:.3f}}$ and shrinks as $e^{-2\eta\lambda t}$.
# 2. To come within 0.2 takes $\ln({{1 - 0.31**2:.3f}}/0.2)/(2\eta\lambda)$ steps.
# 3. So $2N$ must reach {{np.log((1 - 0.31**2) / 0.2):.1f}}, and from step 100 on it has only {{2 * forgettings(0.001, 0.1, np.ones(1900)):.2f}} left.
#
# The batch norm subtracts the encoder's bias again: drop it (`bias=False`).
# Bias and head get no verdict on equilibrium, as neither is scale-invariant. For the head choose λ on validation data.
#
# </details>
#
# **3.** (Criticise a sweep.) *We tried λ = 0.001, 0.01 and 0.1 in runs of 2,000 steps (AdamW, constant η = 0.001), one seed each. 0.1 won by 0.002. So we train for 200,000 steps with λ = 0.1 and the same η.*
#
# <details>
# <summary>Solution</summary>
#
# $N$ was 0.002, 0.02 and {{forgettings(0.001, 0.1, np.ones(2000)):.1f}}: two of the three did nothing, so they differ by nothing but chance, and so may the third. The best is at the edge of what was tried. In the long run the same λ is $N = {{forgettings(0.001, 0.1, np.ones(200_000)):.0f}}$, which nobody tried. One seed says nothing about 0.002. Instead, try the $N$ of your row, at full length, with three seeds each.
#
# </details>
#
# **4.** (Ask the scheduler.) A language model with 20 tokens per weight ($k = 20$, embeddings counted), in one pass, takes 1,000 steps of AdamW under `torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=1000)`. Which λ do you type for your only run? And with batch × 4 and η × 2, or with tokens × 10?
#
# <details>
# <summary>Solution</summary>
#
# ```python
# optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
# cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=1000)
# S = 0.0
# for _ in range(1000):
#     S += optimizer.param_groups[0]["lr"]
#     optimizer.step()
#     cycle.step()
# ```
#
# $S = 5.06$: about half of $1{,}000\cdot0.01$, as both the rise and the fall are half cosines. (By default this scheduler also moves AdamW's $\beta_1$, which leaves $S$ as it is.) The one-pass row gives the row's $N$: $\frac12\sqrt{20} = {{0.5 * 20**0.5:.1f}}$, so λ = {{0.5 * 20**0.5 / 5.06:.2f}}. (With one run you cannot try {{20**0.5 / 8 / 5.06:.2f}} and {{2 * 20**0.5 / 5.06:.1f}}. You could try them on a smaller model with as many tokens per weight.)
#
# Batch × 4 leaves 250 steps, and with η × 2 $S$ is about half of what it was. $k$ and the row's $N$ stay, so λ doubles: {{2 * 0.5 * 20**0.5 / 5.06:.2f}}, as §11.5 says for η × $\sqrt c$. Tokens × 10 makes $10\,S$, but $k = 200$ and $N = \frac12\sqrt{200} = {{0.5 * 200**0.5:.1f}}$. So λ = {{0.5 * 200**0.5 / 50.6:.2f}}: divided by $\sqrt{10}$, not by 10.
#
# </details>
#
# **5.** (Read a table.) A new model learns CIFAR from scratch, 20 passes, a settled η, no earlier runs. You can afford {{decided.size}} runs: $N = 1$, 4 and 16 with three seeds each. Validation losses:
#
# ```text
# seed   N = 1   N = 4   N = 16
#    0    0.97    1.00     0.99
#    1    1.00    1.04     0.96
#    2    0.96    0.98     1.01
# ```
#
# What do you type? With three more runs? With seed 1 only?
#
# <details>
# <summary>Solution</summary>
#
# The fallback is the row's $N = 4$. Compare within seeds. $N = 1$ gains {{ten[0].mean:.2f}} with the standard deviation $s = {{decided_s:.2f}}$, and $2.5\,s = {{bars[3] * decided_s:.3f}}$: a clear gain. It also has the lowest mean. It is the smallest you tried, but your runs are spent. So type λ = $1/S$, and test it once before you say that it is better. With three runs more try $N = \frac14$.
# $N = 16$ gains {{ten[2].mean:.2f}} ± {{ten[2].half:.2f}}, which is no evidence. With seed 1 only it looks best by far. Then you would type it and claim nothing, as one seed says nothing of how much seeds differ. (With three seeds two tries were compared with the fallback, and two look clear by chance more often than one: so test once.)
#
# </details>
#
# **6.** (Fine-tuning.) 3,000 steps of AdamW, a cosine to zero from $\eta = 2\cdot10^{-5}$, the default λ = 0.01. Which λ do you type? Which if η were 0.01?
#
# <details>
# <summary>Solution</summary>
#
# $S = 3{,}000\cdot2\cdot10^{-5}/2 = {{forgettings(2e-5, 1, factors_of(3000, cosine)):.2f}}$, so $0.05/S = {{0.05 / forgettings(2e-5, 1, factors_of(3000, cosine)):.1f}}$. The default is less: leave it. With η = 0.01 $S = {{forgettings(0.01, 1, factors_of(3000, cosine)):.0f}}$, so the default has $N = {{forgettings(0.01, 0.01, factors_of(3000, cosine)):.2f}}$: too much. Type $0.05/S = {{0.05 / forgettings(0.01, 1, factors_of(3000, cosine)):.4f}}$.
#
# </details>
#
# **7.** (The old η.) One published rule is $\lambda = 1/(\eta m\tau)$, for a memory of τ passes of $m$ steps (Wang and Aitchison, 2025). The digits of §11.7 first had η = {{earlier}}, τ = {{tau}} and $m = {{of_pass}}$, then η = {{rate}} with the old λ. How much too large is it?
#
# <details>
# <summary>Solution</summary>
#
# The old λ is $1/({{earlier}}\cdot{{of_pass}}\cdot{{tau}}) = {{wrong_lam:.1f}}$, but with the new η the rule gives $1/({{rate}}\cdot{{of_pass}}\cdot{{tau}}) = {{right_lam:.1f}}$. In {{100 // of_pass}} passes, linear to zero, these are $N$ = {{of_lams[1]:.0f}} and {{of_lams[0]:.0f}}. The validation losses are {{on_validation[:, 4].mean():.2f}} and {{on_validation[:, 3].mean():.2f}}: the old λ is {{wrong_lam / right_lam:.0f}} times too large, and costs {{of_wrong.mean:.2f}} ± {{of_wrong.half:.2f}} of loss.
#
# </details>
#
# ## Where next, and sources
#
# The equilibrium in full: [chapter 8](08_effective_learning_rate.ipynb), [chapter 9](09_adaptive_optimisers.ipynb), [Kosson et al. (2024)](https://arxiv.org/abs/2305.17212).
# AdamW: [Loshchilov and Hutter (2019)](https://arxiv.org/abs/1711.05101).
