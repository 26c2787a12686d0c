# %% [markdown]
# # Problem set 3: scale invariance
#
# Chapter 7 shows that a penalty in front of a norm penalises nothing. Here you take the idea where the chapter did not
# go: to other norms of outputs and of weights, to a classifier without a scale, to the network that you deploy, and to
# the statistics that a batch norm keeps. Afterwards you can say of a new layer which factors mean nothing, and what to
# penalise if you do want to penalise.
#
# *After chapter 7. 90 to 120 minutes, 21 points. The code runs in a few seconds.*
#
# **What to hand in.** This notebook. Write code in place of `raise NotImplementedError()`, and your derivations in
# place of the note that asks for them. Leave the names of functions and the order of the cells as they are. You may add
# cells.
#
# **How it is graded.** Below each function stand tests that you can run. They tell you that you are on the way, and no
# more: your functions are also called with cases that you do not see. Any right method counts; a result may be a Python
# number, a NumPy array or a torch tensor. Each question is graded for itself, so a question that you leave out costs
# you no other. Derivations and the last question are read by a person.
#
# The symbols are those of the book: $w$ a weight, λ the decay, η the learning rate, γ and β a norm's own scale and
# shift, ε its small constant.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch
from torch import nn

from l2lib import figures

# %% [markdown]
# ## Question 1: which degree? (1 point)
#
# A function is *homogeneous of degree k* if $f(\alpha p)=\alpha^kf(p)$ for all $\alpha>0$, where $p$ stands for all its
# parameters. Chapter 7 has $k=0$. Differentiate with respect to α at 1, as for (7.4), with a general $k$. What you find
# turns one value and one gradient into $k$.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q1-degree", "locked": false, "schema_version": 3, "solution": true, "task": false}
def degree(value, parameters, gradients):
    """Degree k of a homogeneous function, from one point.

    Args:
        value: f(p), a number other than 0.
        parameters: list of arrays p₁, p₂, …, each of any shape.
        gradients: list of the arrays ∂f/∂p₁, ∂f/∂p₂, …, of the same shapes.

    Returns:
        k, a number.
    """
    ### BEGIN SOLUTION
    slope = sum((g * p).sum() for p, g in zip(parameters, gradients, strict=True))
    return slope / value
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q1-degree-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch

w = np.array([1.0, 2.0, 2.0])
assert np.allclose(float(degree(27.0, [w], [9 * w])), 3, rtol=1e-4), (
    "q1: the cube of a vector's norm has degree 3")
assert abs(float(degree(5.0, [w], [np.array([2.0, -1.0, 0.0])]))) < 1e-4, (
    "q1: where the gradient is perpendicular to the parameters the degree is 0")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(31)
for layers in (1, 2, 4):
    widths = [3, *rng.integers(4, 7, layers - 1), 2]
    parts = [torch.tensor(rng.standard_normal((o, i)), requires_grad=True)
             for i, o in zip(widths, widths[1:], strict=False)]
    h = torch.tensor(rng.standard_normal((3, 5)))
    for number, part in enumerate(parts):
        h = part @ h if number == layers - 1 else torch.relu(part @ h)
    value = h.square().sum()
    grads = torch.autograd.grad(value, parts)
    found = degree(value.item(), [p.detach().numpy() for p in parts], [g.numpy() for g in grads])
    assert np.allclose(float(found), 2 * layers, rtol=1e-3), (
        "q1: wrong for a function of several matrices; sum over all entries of all of them")
power, A, B = rng.uniform(-3, 3), rng.standard_normal((2, 3)), rng.standard_normal((4, 2, 2))
size = np.sqrt((A**2).sum() + (B**2).sum())
grads = [power * size ** (power - 2) * A, power * size ** (power - 2) * B]
assert np.allclose(float(degree(size**power, [A, B], grads)), power, rtol=1e-3), (
    "q1: wrong for a power of a norm; k can be any number, negative ones too")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 2: who shares a norm? (2 points)
#
# On images a layer gives numbers $z$ of shape examples × channels × positions. Batch norm takes mean and variance per
# channel, over examples and positions. Other norms look at one example at a time:
#
# - *layer norm* takes mean and variance over all channels and positions;
# - *RMS norm* does as well, but subtracts no mean, and divides by the root of the mean square;
# - *group norm* splits the channels into groups of neighbours and takes mean and variance per group, over the group's
#   channels and all positions;
# - *instance norm* is group norm with a group for each channel.
#
# Now the layer in front: channel $c$ is $z_c = \langle w_c, x\rangle + b_c$ at each position. Its weights are
# multiplied by a factor $\alpha_c>0$ of its own. The biases, if there are any, stay as they are. How many of the
# factors may you choose freely so that no output of the norm changes, whatever the inputs ($\varepsilon = 0$, training
# mode)? If all channels must have the same factor, that is one; if every factor must be 1, none. You can try it with
# `nn.functional.group_norm` and its relatives.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q2-factors", "locked": false, "schema_version": 3, "solution": true, "task": false}
def free_factors(norm, channels, groups, bias):
    """Number of positive factors on channels' weights that can be chosen freely.

    Args:
        norm: "none", "batch", "instance", "layer", "rms" or "group".
        channels: number of channels, at least 2.
        groups: number of groups of "group", a divisor of channels; the others ignore it.
        bias: "none"; "equal", the same number in all channels, not 0; or "different", no two alike.

    Returns:
        A whole number from 0 to channels.
    """
    ### BEGIN SOLUTION
    parts = {"none": 0, "layer": 1, "rms": 1, "group": groups}.get(norm, channels)
    # a mean takes away what the channels that share it have in common
    harmless = bias == "none" or parts == channels or (bias == "equal" and norm != "rms")
    return parts if harmless else 0
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q2-factors-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

for bias in ("none", "equal", "different"):
    assert int(free_factors("batch", 32, 1, bias)) == 32, (
        "q2: under batch norm each channel has a factor of its own, with a bias or without")
assert int(free_factors("none", 32, 1, "none")) == 0, "q2: without a norm a factor changes outputs"
### BEGIN HIDDEN TESTS
def unit(z, axes):
    return (z - z.mean(axes, keepdims=True)) / z.std(axes, keepdims=True)


rules = {"none": lambda z, groups: z,
         "batch": lambda z, groups: unit(z, (0, 2)),
         "instance": lambda z, groups: unit(z, 2),
         "layer": lambda z, groups: unit(z, (1, 2)),
         "rms": lambda z, groups: z / np.sqrt((z**2).mean((1, 2), keepdims=True)),
         "group": lambda z, groups: unit(z.reshape(len(z), groups, -1), 2)}
rng = np.random.default_rng(33)
for norm, rule in rules.items():
    for channels, groups in ((6, 2), (4, 4), (6, 3), (5, 1), (9, 3)):
        for bias, spread in (("none", 0), ("equal", 0), ("different", 1)):
            pure = rng.standard_normal((3, channels, 7))
            b = (bias != "none") * (1 + spread * rng.uniform(0, 2, (channels, 1)))
            up, down = (np.exp(step * np.eye(channels))[..., None] for step in (1e-4, -1e-4))
            slopes = [rule(u * pure + b, groups) - rule(d * pure + b, groups)
                      for u, d in zip(up, down, strict=True)]  # by each factor's logarithm
            fixed = np.linalg.matrix_rank(np.reshape(slopes, (channels, -1)), tol=1e-8)
            fits = int(free_factors(norm, channels, groups, bias)) == channels - fixed
            assert fits or bias != "none", (
                "q2: wrong without biases, for one norm; which channels are divided by the same?")
            assert fits or bias != "equal", (
                "q2: wrong with equal biases, for one norm; what does its mean take away, if any?")
            assert fits, "q2: wrong with different biases, for one norm; is a bias left over?"
### END HIDDEN TESTS

# %% [markdown]
# ## Question 3: the network that you deploy (4 points)
#
# In evaluation mode batch norm is affine, with stored mean $m$ and variance $V$ of each unit. So it can be *folded*
# into the layer in front: one layer with weights $W'$ and biases $b'$ that gives
# $\gamma\,\frac{Wx+b-m}{\sqrt{V+\varepsilon}}+\beta$ directly. Tools that prepare a network for a
# phone do this.
#
# **a)** (2 points) Fold, for linear layers and for convolutions.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q3-fold", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fold(W, b, gamma, beta, mean, var, eps):
    """Weights and biases of a layer with its batch norm (evaluation mode) folded in.

    Args:
        W: weights (units, inputs), or (units, inputs, height, width) of a convolution.
        b: biases (units,).
        gamma, beta: the norm's γ and β (units,).
        mean, var: the stored statistics m and V (units,).
        eps: ε.

    Returns:
        W' of the shape of W, and b' of shape (units,).
    """
    ### BEGIN SOLUTION
    factor = gamma / np.sqrt(var + eps)
    return factor.reshape(-1, *[1] * (W.ndim - 1)) * W, factor * (b - mean) + beta
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q3-fold-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch


def array(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=float)


W, one, zero = np.arange(6.0).reshape(2, 3), np.ones(2), np.zeros(2)
new_W, new_b = map(array, fold(W, one, one, zero, zero, one, 0.0))
assert new_W.shape == (2, 3) and new_b.shape == (2,), (
    "q3: W' must have the shape of W, and b' one number for each unit")
assert np.allclose(new_W, W), "q3: m = 0, V = γ = 1 must leave W as it is"
assert np.allclose(new_b, 1), "q3: m = β = 0, V = γ = 1 must leave b as it is"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(34)
for shape, image in (((5, 4), (7, 4)), ((3, 3), (6, 3)), ((4, 2, 3, 3), (2, 2, 6, 5)),
                     ((3, 3, 2, 2), (2, 3, 4, 4))):
    W, x = rng.standard_normal(shape), torch.tensor(rng.standard_normal(image))
    b, gamma, beta, mean = rng.standard_normal((4, shape[0]))
    var, eps = rng.uniform(0.2, 3, shape[0]), rng.uniform(0.1, 1)
    layer = torch.nn.functional.conv2d if len(shape) == 4 else torch.nn.functional.linear
    m, V, c, d = (torch.tensor(a) for a in (mean, var, gamma, beta))
    right = torch.nn.functional.batch_norm(layer(x, torch.tensor(W), torch.tensor(b)), m, V, c, d,
                                           training=False, eps=eps)
    new = fold(W.copy(), b.copy(), gamma.copy(), beta.copy(), mean.copy(), var.copy(), eps)
    new_W, new_b = (torch.tensor(array(a)) for a in new)
    assert new_W.shape == shape and new_b.shape == (shape[0],), (
        "q3: W' must have the shape of W, and b' one number for each unit")
    assert torch.allclose(layer(x, new_W, new_b), right, rtol=1e-3, atol=1e-4), (
        "q3: the folded layer must give what layer and batch norm give in evaluation mode; mind "
        "the bias, β and ε, and that each unit has its own factor")
### END HIDDEN TESTS

# %% [markdown]
# **b)** (2 points, by hand) Take one unit, $\varepsilon=0$, and as $V$ the variance over all training examples:
# $V=w^\top\Sigma w$, where Σ is the covariance matrix of the layer's inputs. Suppose that somebody penalises the folded
# weights, $\frac\lambda2\lVert w'\rVert^2$, instead of $\frac\lambda2\lVert w\rVert^2$. Write this penalty in terms of
# $w$, γ and Σ. Does it change with the length of $w$? For fixed γ, which $w$ make it smallest, and how small? Say in a
# sentence or two how that differs from weight decay of $w$.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q3-fold-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# By a) $w'=\gamma w/\sqrt{w^\top\Sigma w}$, so the penalty is
#
# $$P=\frac\lambda2\,\gamma^2\,\frac{\lVert w\rVert^2}{w^\top\Sigma w}.$$
#
# Put $\alpha w$ for $w$: numerator and denominator both get $\alpha^2$. $P$ does not change with the length, and like
# the loss it has a gradient perpendicular to $w$. The quotient is one over a Rayleigh quotient of Σ. It is smallest
# where that is largest: at the eigenvectors of the largest eigenvalue $\sigma_1$ of Σ, with
# $P=\lambda\gamma^2/(2\sigma_1)$.
#
# So $P$ prefers a function: units that look where the inputs vary most, as ridge regression does, and a small γ. Decay
# of $w$ prefers no function at all. It shortens $w$, along which the loss and the folded weights are constant.
#
# *Rubric.* 1 point: $w'$ and $P$ in terms of $w$, γ, Σ, and that α cancels (half for one of the two). 1 point: the
# direction of largest variance, by whatever argument, with its value (half), and a sentence that says that $P$ depends
# on the function and $\frac\lambda2\lVert w\rVert^2$ does not (half).
# ### END SOLUTION

# %% [markdown]
# ## Question 4: a classifier without a scale (2 points)
#
# No norm follows the last layer, so the size of its weights matters: it says how sure the network may be. A *cosine
# classifier* takes the size away, from the weights and from the features that they meet. Example $i$ with features
# $h_i$ gets for class $c$ the score
#
# $$s\,\frac{\langle h_i,w_c\rangle}{\lVert h_i\rVert\lVert w_c\rVert},$$
#
# and a softmax turns scores into probabilities. A single number is left, the scale $s$.
#
# A cosine is at most 1, so for a given $s$ there is a least cross-entropy. Let all $C$ classes be equally frequent, and
# let $h_i$ have at least $C-1$ entries. The loss is least where each $h_i$ points along the weights of its class and
# the directions of the $C$ classes are as far from each other as possible: any two of them have the cosine
# $-\frac1{C-1}$. (They are the corners of a regular simplex. For $C=2$: opposite; for $C=3$: 120 degrees.)
#
# Which $s$ makes a loss of $L$ just possible? Then try 10 and 1000 classes at $L=0.01$. A plain last layer has no such
# bound, and its weights pay for certainty with their length. Here they do not, and a decay of $W$ says nothing.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q4-scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
def scale_needed(loss, classes):
    """Scale at which the least cross-entropy of a cosine classifier is `loss`.

    Args:
        loss: cross-entropy in nat, 0 < loss ≤ ln(classes).
        classes: number C of equally frequent classes, at least 2.

    Returns:
        s ≥ 0.
    """
    ### BEGIN SOLUTION
    # loss = ln(1 + (C - 1) exp(-s - s / (C - 1)))
    return (1 - 1 / classes) * np.log((classes - 1) / np.expm1(loss))
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q4-scale-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch

for classes in (2, 10):
    assert abs(float(scale_needed(np.log(classes), classes))) < 1e-3, (
        "q4: a loss of ln C is that of equal scores, s = 0")
assert float(scale_needed(0.1, 10)) > float(scale_needed(0.2, 10)) > 0, (
    "q4: a smaller loss needs a larger scale")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(36)
for classes in (2, 3, 10, 200, int(rng.integers(20, 100))):
    loss = rng.uniform(0.005, 0.6)
    corners = np.eye(classes) - 1 / classes
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    scores = torch.tensor(float(scale_needed(loss, classes)) * corners @ corners.T)
    reached = torch.nn.functional.cross_entropy(scores, torch.arange(classes)).item()
    assert np.allclose(reached, loss, rtol=5e-3), (
        "q4: at this s the regular simplex has another loss; the other classes have the score "
        "-s/(C - 1), and there are C - 1 of them")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 5: what is left of a penalty (2 points)
#
# A network of $L$ layers, ReLU between them, no biases. Behind some layers, right behind the matrix and before the
# ReLU, stands a layer norm without γ and β ($\varepsilon=0$). All layers decay: the penalty is
# $\frac\lambda2\sum_l\lVert W_l\rVert^2$. Now multiply the layers by positive factors, one for each, that leave the
# function of the network as it is. How small can the penalty be made? (If it comes as near to a number as you like
# without reaching it, that number is the answer.)
#
# Follow a factor from its layer to the output. Which factors must have a product of one? Then compare means.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q5-penalty", "locked": false, "schema_version": 3, "solution": true, "task": false}
def least_penalty(norms, normalised, weight_decay):
    """Infimum of the penalty over all rescalings of layers that leave the function alone.

    Args:
        norms: norms ‖W₁‖, …, ‖W_L‖ of the layers, first layer first, a list of numbers > 0.
        normalised: list of L booleans: whether a layer norm follows this layer.
        weight_decay: λ.

    Returns:
        The infimum, a number ≥ 0.
    """
    ### BEGIN SOLUTION
    last = max((i for i, norm in enumerate(normalised) if norm), default=-1)
    tail = np.array(norms[last + 1 :], dtype=float)  # layers that no norm follows, near or far
    if len(tail) == 0:
        return 0.0
    return weight_decay / 2 * len(tail) * np.exp(2 * np.log(tail).mean())
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q5-penalty-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

assert np.allclose(float(least_penalty([2.0, 2.0], [False, False], 0.1)), 0.4, rtol=1e-3), (
    "q5: two plain layers of equal norms cannot be made cheaper")
assert abs(float(least_penalty([5.0], [True], 1.0))) < 1e-3, (
    "q5: a layer with a norm behind it can be made as short as you like")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(37)
cases = [[0], [0, 0], [0, 0, 0], [1, 0], [0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0, 0]]
cases += [rng.integers(0, 2, 4) for _ in range(4)]
for case in cases:
    norms, weight_decay = rng.uniform(0.5, 4, len(case)), rng.uniform(0.1, 2)
    felt = [not any(case[layer:]) for layer in range(len(case))]  # at the output
    balanced = norms[felt]
    for pair in 300 * [slice(i, i + 2) for i in range(len(balanced) - 1)]:
        balanced[pair] = np.sqrt(balanced[pair].prod())  # one up, one down: the best for two
    right = weight_decay / 2 * (balanced**2).sum()
    found = least_penalty([float(r) for r in norms], [bool(c) for c in case], float(weight_decay))
    assert np.allclose(float(found), right, rtol=1e-3, atol=1e-3), (
        "q5: wrong for another chain; a norm removes the factors of all layers before it, and "
        "of the layers behind the last norm only the product of the factors is fixed")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 6: normalise the weights instead (4 points)
#
# Weight norm divides a unit's weights by their length. One can divide by something else: *spectral norm* divides a
# matrix by its largest singular value, *weight standardisation* first subtracts a unit's mean weight and divides by the
# standard deviation. Let $n(W)>0$ be differentiable and homogeneous of degree 1, $\widehat W=W/n(W)$, and let the loss
# depend on $\widehat W$ only, with gradient $G=\partial L/\partial\widehat W$.
#
# **a)** (2 points, by hand) Derive $\partial L/\partial W$ from $G$, $\widehat W$, $n$ and $\nabla n$. Show from your
# formula that it is perpendicular to $W$, whatever $n$ and $G$ are. Then weight standardisation: a number added to all
# weights of a unit changes nothing. So which *second* direction is the unit's gradient perpendicular to? Training with
# SGD (no momentum) at a constant rate η and with decay λ, what is the mean of the unit's weights after $t$ steps?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q6-weights-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Let $W$ change by $dW$. Then $d\widehat W=\frac{dW}n-\frac{W}{n^2}\langle\nabla n,dW\rangle$, so
# $dL=\langle G,d\widehat W\rangle=\frac1n\langle G,dW\rangle-\frac1n\langle G,\widehat W\rangle\langle\nabla
# n,dW\rangle$ and
#
# $$\frac{\partial L}{\partial W}=\frac1{n}\big(G-\langle G,\widehat W\rangle\,\nabla n\big).$$
#
# By Euler, degree 1: $\langle\nabla n,W\rangle=n$. Hence $\langle\partial L/\partial W,W\rangle=\langle G,\widehat
# W\rangle-\langle G,\widehat W\rangle\,n/n=0$.
#
# Weight standardisation does not change either if the same number $c$ is added to all weights of a unit: the mean takes
# it away. Differentiate $L(w+c\mathbf 1)=L(w)$ with respect to $c$: $\langle\nabla L,\mathbf 1\rangle=0$. The gradient
# is perpendicular to $w$ *and* to the vector of ones, so it never changes the mean. Decay alone does: after $t$ steps
# the mean is $(1-\eta\lambda)^t$ times that at the start, whatever the data and the loss.
#
# *Rubric.* 1 point: the formula, by differentials or entry by entry (half), and $\langle\nabla n,W\rangle=n$ used for
# the perpendicular (half; a quarter if $L(\alpha W)=L(W)$ is differentiated instead, nothing for one special $n$). 1
# point: $\mathbf 1$ (half), and $(1-\eta\lambda)^t$ times the mean at the start (half).
# ### END SOLUTION

# %% [markdown]
# **b)** (2 points) Now spectral norm in code: $n(W)$ is the largest singular value, and with the singular vectors
# $u$ and $v$ that belong to it, $\nabla n=uv^\top$. You are given $G$.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q6-spectral", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spectral_gradient(W, G):
    """Gradient of a loss with respect to W, where it depends on W over its largest singular value.

    Args:
        W: matrix (rows, columns), its largest singular value simple.
        G: gradient with respect to the normalised matrix, of the same shape.

    Returns:
        The gradient with respect to W, of the same shape.
    """
    ### BEGIN SOLUTION
    left, values, right = np.linalg.svd(W, full_matrices=False)
    n, slope = values[0], np.outer(left[:, 0], right[0])
    return (G - (G * W / n).sum() * slope) / n
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q6-spectral-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np
import torch


def array(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=float)


W, G = np.diag([2.0, 1.0]), np.array([[1.0, 0.0], [3.0, 0.0]])
out = array(spectral_gradient(W.copy(), G.copy()))
assert out.shape == W.shape, "q6: the gradient must have the shape of W"
assert abs((out * W).sum()) < 1e-4, "q6: the gradient must be perpendicular to W"
assert np.allclose(out, [[0, 0], [1.5, 0]], atol=1e-4), (
    "q6: here only the entry of G beside the largest one is left, over n = 2")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(38)
for shape in ((3, 3), (5, 2), (2, 6), (4, 5)):
    W, G = rng.standard_normal(shape) * rng.uniform(0.5, 3), rng.standard_normal(shape)
    w = torch.tensor(W, requires_grad=True)
    loss = (w / torch.linalg.matrix_norm(w, ord=2) * torch.tensor(G)).sum()
    right = torch.autograd.grad(loss, w)[0].numpy()
    out = array(spectral_gradient(W.copy(), G.copy()))
    assert out.shape == shape and np.allclose(out, right, rtol=1e-3, atol=1e-3), (
        "q6: wrong for a general matrix; put n, its gradient and G into the formula of part a")
### END HIDDEN TESTS

# %% [markdown]
# ## Question 7: statistics that come too late (4 points)
#
# Chapter 7 freezes the statistics of a batch norm. In training they are not frozen, but late. In each pass PyTorch
# replaces the stored variance $V$ by $(1-m)V+m\,v$, where $v$ is the batch's own variance and the option `momentum` is
# $m$, 0.1 unless you say otherwise. (For this purpose $v$ has the divisor $n-1$.) Decay shortens weights in front of a
# norm step by step, and training does not mind. Evaluation mode divides by $\sqrt V$.
#
# **a)** (2 points) An experiment with a single layer, where nothing happens but decay. Begin with a new
# `nn.BatchNorm1d(units, eps=1e-30, affine=False, momentum=momentum)`, and give it the dtype of your data (NumPy's
# arrays are `double`). Then, `steps` times:
#
# 1. pass $XW^\top$ through it in training mode;
# 2. pass it through in evaluation mode, and note for each unit the *gain*: the standard deviation of its outputs in
#    evaluation mode over that in training mode;
# 3. multiply the weights by `shrink`.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-lag", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lag(X, W, shrink, steps, momentum):
    """Gains of a batch norm whose incoming weights shrink.

    Args:
        X: inputs (examples, inputs).
        W: weights at the start (units, inputs).
        shrink: factor on the weights after each step.
        steps: number of steps.
        momentum: PyTorch's option of the batch norm.

    Returns:
        Gains, an array (steps, units).
    """
    ### BEGIN SOLUTION
    X, W = torch.as_tensor(X), torch.as_tensor(W).clone()
    norm = nn.BatchNorm1d(len(W), eps=1e-30, affine=False, momentum=momentum).to(X.dtype)
    gains = []
    for _ in range(steps):
        trained = norm.train()(X @ W.T)
        evaluated = norm.eval()(X @ W.T)
        gains.append(evaluated.std(0) / trained.std(0))
        W = shrink * W
    return torch.stack(gains).numpy()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-lag-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

rng = np.random.default_rng(2)
X, W = rng.standard_normal((500, 4)), rng.standard_normal((3, 4))
out = np.asarray(lag(X.copy(), W.copy(), 1.0, 100, 0.1), dtype=float)
assert out.shape == (100, 3), "q7: a row for each step, a column for each unit"
assert np.allclose(out[-1], 1, atol=0.01), (
    "q7: if the weights stay as they are, the gain comes to one (but for the divisor n - 1)")
late = np.asarray(lag(X.copy(), W.copy(), 0.98, 100, 0.1), dtype=float)
assert (late[-1] < 0.9).all(), "q7: weights that shrink must lead to a gain below one"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(39)
for shrink, momentum, n in ((0.97, 0.1, 8), (1.02, 0.3, 20), (0.9, 0.05, 50)):
    X, W = 1 + rng.standard_normal((n, 5)), 2 * rng.standard_normal((4, 5))
    V, v, right = np.ones(4), (X @ W.T).var(0), []
    for _ in range(12):
        V = (1 - momentum) * V + momentum * v * n / (n - 1)
        right.append(np.sqrt(v / V))
        v = v * shrink**2
    out = np.asarray(lag(X.copy(), W.copy(), shrink, 12, momentum), dtype=float)
    assert out.shape == (12, 4) and np.allclose(out, right, rtol=2e-3), (
        "q7: gains differ from the definition; train, evaluate, note, and only then shrink; "
        "evaluation over training, with the batch norm as described")
### END HIDDEN TESTS

# %% [markdown]
# **b)** (2 points) After some time the gain no longer changes. Find it for many examples ($n/(n-1)\approx1$): suppose
# that $V/v$ comes to rest while $v$ is multiplied by $a^2$ a step, and solve for it. There is a case in which it never
# rests: then $V$ cannot follow at all, and the gain goes to zero. The same formula says what happens while weights
# *grow*.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "q7-gain", "locked": false, "schema_version": 3, "solution": true, "task": false}
def eval_gain(shrink, momentum):
    """The gain that is reached after many steps, for many examples.

    Args:
        shrink: factor a > 0 on the weights at each step; above 1 they grow.
        momentum: PyTorch's m, 0 < m ≤ 1.

    Returns:
        The limit of the gain, ≥ 0.
    """
    ### BEGIN SOLUTION
    kept = (1 - momentum) / shrink**2  # of V/v, in one step
    return np.sqrt((1 - kept) / momentum) if kept < 1 else 0.0
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "q7-gain-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
import numpy as np

for m in (0.1, 0.5):
    assert np.allclose(float(eval_gain(1.0, m)), 1, atol=1e-4), "q7: constant weights have gain 1"
assert np.allclose(float(eval_gain(0.9, 1.0)), 1, atol=1e-4), (
    "q7: with momentum 1 the stored variance is the last one, and the gain 1")
assert abs(float(eval_gain(0.9, 0.1))) < 1e-4, "q7: at a = 0.9 and m = 0.1 the gain goes to zero"
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(40)
for beside in (1.01, 1.03, 1.1, 1.3, 0.97, 0.8):  # the factor over that at which V cannot follow
    m = rng.uniform(0.04, 0.5)
    shrink = beside * rng.uniform(1, 1.01) * np.sqrt(1 - m)
    V, v = 1.0, 1.0
    for _ in range(500):  # in units of the present v
        V = ((1 - m) * V + m * v) / (scale := shrink**2)
    right = 0.0 if V > 1e6 else 1 / np.sqrt(V * scale)
    assert np.allclose(float(eval_gain(shrink, m)), right, atol=2e-3), (
        "q7: the limit differs from that of the recursion; V and v belong to the same step, and "
        "the gain is a ratio of standard deviations, not of variances")
### END HIDDEN TESTS

# %% [markdown]
# Look at both together, for four factors. (All begin high, as the first $V$ is 1 and these weights have $v>1$.) Let
# decay bring weights that begin too large down to a tenth, with $\eta\lambda=0.06$, a factor of 0.94 a step. That takes
# 37 steps, and then evaluation mode hands on about 0.4 of what training mode does. It is easily taken for overfitting:
# the training loss is fine, the validation loss is not, and a few dozen steps after the norm has come to rest all is
# well.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "given-picture", "locked": true, "schema_version": 3, "solution": false, "task": false}
rng = np.random.default_rng(0)
inputs, start = rng.standard_normal((1000, 8)), rng.standard_normal((1, 8))
fig, ax = figures.subplots()
ends = {}
for k, a in enumerate((1.02, 1.0, 0.97, 0.94)):
    gains = np.asarray(lag(inputs, start, a, 80, 0.1))[:, 0]
    ax.plot(gains, color=f"C{k}", label=f"a = {a:g}")
    ax.axhline(float(eval_gain(a, 0.1)), color=f"C{k}", ls=":", lw=1)
    ends[a] = f"{gains[-1]:.2f}"
ax.set(xlabel="step", ylabel="gain in evaluation mode", title="Divided by an old variance")
ax.legend()
figures.show(fig, "Gain against the step for four factors on the weights. After 80 steps it is "
             + ", ".join(f"{gain} at a = {a:g}" for a, gain in ends.items())
             + "; dotted lines show the limits.")

# %% [markdown]
# ## Question 8: a penalty that means something (open, 2 points, by hand)
#
# Somebody wants of a network with batch norm what they once hoped to get from weight decay: a *simpler function* at a
# small price in training loss. Propose a penalty, or another change of the objective. Say which scalings must leave it
# alone, and why yours passes; what it prefers; and an experiment that could show you wrong. It must tell a change of
# the function apart from a change of the effective learning rate (section 7.7). Ten sentences are enough.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "q8-open-derive", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# One of several good answers. Penalise the folded weights of question 3, summed over units, with the variances of the
# batch: $\frac\lambda2\sum_k\gamma_k^2\lVert w_k\rVert^2/(w_k^\top\Sigma w_k)$, plus the output matrix. It must not
# change if a unit's weights are multiplied by any positive factor, and it does not, as numerator and denominator have
# the same degree. It prefers small γ and units that look along directions of large variance. It is not yet blind to
# everything: γ and β of an inner layer times $c$, in front of a normalised layer, change it but not the function. So
# for inner layers fix the norm of (γ, β), or penalise only the quotient.
#
# Experiment: keep the norm of each $w_k$ at one after every step, in all runs. Then no penalty can act through the
# norm. Compare λ = 0 with several λ > 0 at the *best* learning rate of each, not at one for all, on five seeds or more,
# and report training loss, test loss, and something that measures the function, such as the mean squared gradient of
# the outputs by the inputs. Shown wrong: if at its best learning rate λ = 0 has the same test loss, or if the measure
# of the function does not move while the norms of the steps do.
#
# *Rubric.* 1 point: an objective that depends on the function only or nearly so (a penalty of outputs, of gradients by
# inputs, of folded or of unit-norm weights, of the output layer and the last γ and β …), with the argument for its
# invariance; half if the invariance is asserted or holds for some layers only. 1 point: an experiment with an outcome
# that would refute it (half), in which the learning rate, or the norm, is controlled (half). No points for λ‖w‖² under
# another name.
# ### END SOLUTION
