# %% [markdown]
# # 0 Start here
#
# `weight_decay` is one number, its formula fits on a line, and what it does to a network is often not what the
# formula seems to say. This book derives what an L2 penalty does, and holds what it finds to experiments that can
# fail. This chapter shows one such experiment, how to read and run the rest, and the notation.
#
# *Reading time 10 minutes; the code runs in about 10 seconds.*
#
# ## 0.1 One picture
#
# A network for handwritten digits has three layers of weights: $256\times64$, $32\times256$ and $10\times32$. They
# have {{below: sizes[0]:,}}, {{below: sizes[1]:,}} and {{below: sizes[2]:,}} entries. All get the same penalty $\frac\lambda2\lVert W\rVert^2$. At the start the first
# layer makes up {{below: 100 * float(share[:, 0, 0].mean()):.0f}} % of the sum. If a layer is that big, says a well-known question, its term is bigger too,
# "effectively making the second term useless"; so divide each by the layer's size.
#
# Before you look: who pays how much of the penalty after training?

# %%
import numpy as np

from l2lib import figures
from l2lib.claims import ClaimError, claim, seeds
from l2lib.datasets import load
from l2lib.sweep import MLP, sweep

# %%
digits = load("digits")
pixels = digits.scaled(16, centre=True)
run = sweep(MLP((64, 256, 32, 10)), pixels, digits.y, loss="cross_entropy", seeds=seeds(5),
            lr=0.5, weight_decay=0.003, batch_size=64, steps=1500, record_every=50)
sizes = [run[f"weight{layer}"][0].size for layer in range(3)]
squares = run.norm ** 2
share = squares / squares.sum("layer")

# %% tags=["hide-input"]
fig, ax = figures.subplots()
for layer, size in enumerate(("256 × 64", "32 × 256", "10 × 32")):
    ax.plot(share.step, share[:, layer].T, color=f"C{layer}", lw=1.4, alpha=0.5, label=size)
    ax.text(-20, share[0, layer, 0], size, ha="right", va="center", color=f"C{layer}")
ax.axhline(1 / 3, color=figures.GREY, ls="--", lw=1, label="_third")
ax.set(xlabel="training step", ylabel="share of the penalty", xlim=(-200, 1500), ylim=(0, 1))
ax.set(xticks=range(0, 1501, 250))
ax.set_yticks([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
ax.set_title("Three layers of very different size end up paying the same")
curves = figures.drawn(ax)
layers = {size: curves[size] for size in ("256 × 64", "32 × 256", "10 × 32")}
first = [curve.at(0).mean() for curve in layers.values()]
far = max(abs(curve.y[curve.x >= 1000] - 1 / 3).max() for curve in layers.values())
figures.show(fig, "Share of the penalty that each of three layers pays, over 1500 training steps "
             f"and for five seeds. The layers start at {first[0]:.2f}, {first[1]:.2f} and "
             f"{first[2]:.2f}; from step 1000 on all are within {far:.2f} of 1/3.")

# %% [markdown]
# Nobody told them to. Nothing in the penalty or in the training step mentions the sizes. The layers differ by a
# factor of {{sizes[0] / sizes[-1]:.0f}} in size, and each pays one of three equal parts. (All five seeds are drawn; they
# coincide.) No division by size is needed here, because training balances layers by itself, if ReLU stands between them, one λ acts on all, biases are
# free, and training has come near its end. The proof takes three lines ([chapter 5](05_size_normalisation.ipynb)),
# and tells you when the balance fails.
#
# The book writes such a sentence with its measurement:

# %%
end = squares[..., -1]
claim("00-balance", "after training the largest layer pays {} times the smallest, worst of five",
      measured=end.max("layer") / end.min("layer"), below=1.1)
claim("00-start", "before training it pays {} times the smallest, least of five",
      measured=squares[..., 0].max("layer") / squares[..., 0].min("layer"), between=(15, 40))

# %% [markdown]
# Claims hold the picture, too: its dashed line, and that each label stands at its own curve. At the start, weights have
# variance 2 over the number of inputs. So a layer's share must be its number of outputs over that of all layers,
# 256 + 32 + 10.

# %%
outputs, inputs = np.array([size.split(" × ") for size in layers], dtype=int).T
claim("00-sizes", "outputs times inputs, as labelled, over the layer's number of weights",
      measured=outputs * inputs / sizes, equals=1, within=0.001)
claim("00-labels", "share at the start, minus outputs over all outputs: at most {}",
      measured=[abs(np.subtract(first, outputs / outputs.sum()))], below=0.02)
late = np.array([curve.y[:, curve.x[0] >= 1000] for curve in layers.values()])
claim("00-line", "from step 1000 on every layer is within {} of the dashed line",
      measured=abs(late - curves["_third"].y[0]), below=0.03)
claim("00-seeds", "at no step do two of the five runs of a layer differ by more than {}",
      measured=[np.ptp(curve.y, axis=0).max() for curve in layers.values()], below=0.05)

# %% [markdown]
# ## 0.2 A sentence that can fail
#
# `claim` takes a sentence, a measured number and the range in which it must lie. If it lies there, you see the line
# above. If not, the cell raises an error and so do the tests of the whole book. Try the popular belief:

# %%
biggest = share.isel(layer=0, step=-1)
try:
    claim("00-belief", "the biggest layer pays most of the penalty",
          measured=biggest, above=0.5)
except ClaimError as error:
    print(error)

# %% [markdown]
# And here is what holds:

# %%
claim("00-third", "after training the biggest layer pays a share of {}, near 1/3, in all five runs",
      measured=biggest, equals=1 / 3, within=0.03)

# %% [markdown]
# A notebook that runs without error may still say something false. Here an error planted in a chapter or in the helper
# code, such as a forgotten ½ or a decayed bias, makes some claim or test fail; the project plants more than a thousand
# such errors on purpose, to see that it is so.
#
# - Identities hold to rounding: their lines show the bound only.
# - Statistical claims use at least five seeds, and hold for seeds that nobody looked at while writing. Set the environment variable
#   `L2LIB_SEED=7` and run the book on a fresh set.
# - A claim that starts with `S` and two numbers, such as S2-05, decides a line of the *ledger*: {{len(__import__("l2lib").ledger.lines())}} claims, some wrong, from four short
#   texts that started the book. They are a question and answer on dividing the penalty by the layer's size (S0), the
#   paper of [van Laarhoven (2017)](https://arxiv.org/abs/1706.05350) (S1), a forum thread on a textbook's chapter (S2),
#   and a beginner's lesson (S3). Each gets a verdict, beside the source's own words: true, false, under conditions,
#   convention, for a question answered, or, where nothing can be measured, opinion or undecidable.
#
# ## 0.3 How to read, how to run
#
# Predict first, then look: each section says what theory predicts before it shows the picture. Every picture has a
# description in words below it. Every exercise has a solution, or a start, that unfolds.
#
# To run a chapter, open it with `make lab` and choose *Run, Run All Cells*. Everything works offline, on two cores,
# in seconds. Change a number and run again: a claim that fails is not a nuisance, it tells you which sentence your
# change has made false. Claims and pictures follow your change; the numbers in the sentences between them do not, they
# are those of the book's own run.
#
# You need derivatives, matrices and their eigenvalues, mean and variance, and some Python with NumPy. Singular
# values, Hessians and the like are introduced where they are first used. Chapters build on each other in order, but
# chapters 3 to 6 can be read after chapter 2 in any order, and chapters 7 to 10 belong together.
#
# ## 0.4 Notation
#
# | symbol | meaning | in code |
# |---|---|---|
# | $n$, $d$ | training examples, inputs | `n`, `n_inputs` |
# | $X$, $y$ | inputs ($n\times d$), targets | `X`, `y` |
# | $w$, $W$, $b$ | weights, a layer's weight matrix, bias | `weight0`, `bias0` |
# | $L$ | mean loss over the examples of a batch | `loss` |
# | $\lambda$ | coefficient of the penalty $\frac\lambda2\lVert w\rVert^2$ | `weight_decay` |
# | $\eta$ | learning rate | `lr` |
# | $\mu$ | momentum | `momentum` |
# | $a$ | shrink factor $1-\eta\lambda$ of one step | `shrink_factor` |
# | $g$, $\rho$ | gradient of $L$ with respect to $w$; an eigenvalue of its Hessian, a curvature | |
# | $s_i$, $v_i$ | singular values of $X$ and their directions in input space | `s`, `Vt` |
# | $\sigma$ | standard deviation of noise | `noise`, `sigma` |
# | $r$, $\theta$ | norm of a weight, angle it turns per step (from chapter 7 on) | |
#
# Losses are means, not sums. Half the mean squared error has the factor ½; `torch.nn.MSELoss` has not. Biases are not
# penalised unless a chapter says so. Random numbers come from NumPy, computations are in 64-bit floats: you will see
# the printed numbers on your machine.
#
# ## 0.5 The map
#
# | part | chapter | what it settles |
# |---|---|---|
# | I Penalty | [1 What an L2 penalty does](01_what_an_l2_penalty_does.ipynb) | shrinkage by direction, bias and variance, what a test error must be compared with |
# | | [2 From penalty to weight decay](02_from_penalty_to_weight_decay.ipynb) | the factor $1-\eta\lambda$, momentum, the step that blows up |
# | | [3 One λ, many meanings](03_one_lambda_many_meanings.ipynb) | λ from any framework into any other; where Adam parts from weight decay |
# | | [4 Other penalties](04_other_penalties.ipynb) | L1, sparsity, factors and the nuclear norm |
# | II Which weights | [5 Size normalisation](05_size_normalisation.ipynb) | does a big layer drown a small one? |
# | | [6 Bias exclusion](06_bias_exclusion.ipynb) | what penalising a bias does, and when it matters |
# | III Normalisation | [7 Batch norm's scale invariance](07_scale_invariance.ipynb) | what the penalty can no longer do |
# | | [8 The effective learning rate](08_effective_learning_rate.ipynb) | what it does instead |
# | | [9 Adaptive optimisers](09_adaptive_optimisers.ipynb) | how much of that Adam removes |
# | | [10 Weights of norm one](10_weights_of_norm_one.ipynb) | doing without |
# | IV Practice | 11 Choosing λ | time scales, transfer, an audit of your model |
# | | 12 Questions readers ask | every ledger line with its verdict |
#
# Chapters 11 and 12 are in preparation.
#
# ## 0.6 Exercises
#
# **1.** Set `weight_decay=0.0` in the experiment. What do you expect, and what do you see?
#
# <details>
# <summary>Solution</summary>
#
# The shares move towards each other while the weights grow, and have slowed down near 0.50, 0.26 and 0.24 at
# step 1500. They creep on only because the weights do: without decay, gradient flow conserves the *differences*
# of the layers' squared norms (chapter 5), so these become less important and never fade. The claim `00-balance`
# fails, as it should.
#
# </details>
#
# **2.** Double λ and halve the learning rate. Does balance arrive earlier, later, or at the same step?
#
# <details>
# <summary>Solution</summary>
#
# About the same: differences between layers fade like $(1-\eta\lambda)^{2t}$, and $\eta\lambda$ is unchanged. Chapter
# 2 is about this product.
#
# </details>
#
# **3.** Change the widths to `(64, 512, 8, 10)`. Where do the shares start, and where do they end?
#
# <details>
# <summary>Solution</summary>
#
# They start further apart, the first at 0.97, and end at 1/3 each.
#
# </details>
#
# **Next:** [Chapter 1](01_what_an_l2_penalty_does.ipynb) starts with the simplest model that has a penalty, and with
# a test error that is hard to believe.
