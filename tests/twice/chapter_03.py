"""Chapter 3's numbers a second time: from scikit-learn's data, by loops, other solvers and plain NumPy."""

import math
import statistics
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

Array = NDArray[Any]
LAMS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""AdamW's λ of the networks."""


def mean(values: Sequence[float] | Array) -> float:
    """The mean, summed one by one."""
    return math.fsum(map(float, values)) / len(values)


def median(values: Sequence[float] | Array) -> float:
    """The middle of the sorted values."""
    return statistics.median(map(float, values))


# ---- the patients --------------------------------------------------------------------------------
@cache
def patients() -> tuple[Array, Array]:
    """Ten standardised measurements, and standardised targets."""
    raw, y = load_diabetes(return_X_y=True, scaled=False)
    both = StandardScaler().fit_transform(np.column_stack([raw, y]))
    return both[:, :10], both[:, 10]


def shrunk(lam: float | Array) -> Array:
    """The minimum of half the mean squared error plus λ/2 ‖w‖², with a λ for each weight or one: by 10 more examples."""
    X, y = patients()
    more = np.diag(np.sqrt(len(y) * (np.zeros(10) + lam)))
    return np.asarray(np.linalg.lstsq(np.vstack([X, more]), np.append(y, np.zeros(10)))[0])


def size(w: Array) -> float:
    """The length of a weight vector."""
    return math.hypot(*w)


def meant(w: Array) -> float:
    """The λ with which half the mean squared error plus λ/2 ‖w‖² has weights of this length."""

    def longer(log: float) -> float:
        return size(shrunk(math.exp(log))) - size(w)

    return math.exp(optimize.brentq(longer, math.log(1e-6), 3, xtol=1e-12))


def of_logistic(C: float) -> float:
    """The λ in front of ½‖w‖² that balances the slope of the mean loss at LogisticRegression's weights."""
    X, y = patients()
    up = y > 0
    w = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, up)
    slope = (w.predict_proba(X)[:, 1] - up) @ X / len(y)
    return float(-slope @ w.coef_[0] / (w.coef_[0] @ w.coef_[0]))


# ---- Adam ----------------------------------------------------------------------------------------
def ignored(rule: str, lam: float, eta: float, steps: int) -> list[float]:
    """A weight of 5 that the loss ignores, after each step of Adam + L2 or AdamW."""
    w, m, v, path = 5.0, 0.0, 0.0, list[float]()
    for t in range(1, steps + 1):
        if rule == "AdamW":
            w -= eta * lam * w
        else:
            g = lam * w
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            w -= eta * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        path.append(w)
    return path


@cache
def noisy() -> dict[str, tuple[Array, Array]]:
    """Speeds in units of ηλ and resting points under three rules; axes: σ, seed."""
    sigmas = np.array([10 ** (k / 4 - 1) for k in range(9)])[:, None]
    coupled = np.stack([0.1 + 0 * sigmas, 0 * sigmas, 0.1 * sigmas])[:, None]  # rule, seed, σ, 1
    decay = np.array([0, 0.1, 0]).reshape(3, 1, 1, 1)
    ends = []
    for eta, steps, start, pull in ((0.002, 2000, 4.0, 0), (0.02, 3000, 1.0, 1)):
        draws = np.stack(
            [np.random.default_rng(seed).standard_normal((steps, 20)) for seed in range(5)]
        )
        w = np.full((3, 5, 9, 40), start)
        m, v, late = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        for t in range(steps):
            half = sigmas * draws[:, None, t]
            g = pull * (w - 1) + np.concatenate([half, -half], -1) + coupled * w
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            root = np.sqrt(v / (1 - 0.999 ** (t + 1)))
            w = w - eta * decay * w - eta / (1 - 0.9 ** (t + 1)) * m / (root + 1e-8)
            late += w * (t >= steps // 2) / (steps - steps // 2)
        ends.append((late if pull else w).sum(-1) / 40)
    speed = (math.log(4) - np.log(ends[0])) / (2000 * 0.002 * 0.1)
    names = ("Adam + L2", "AdamW", "Adam + L2, λ = 0.1 σ")
    return {name: (speed[k].T, ends[1][k].T) for k, name in enumerate(names)}


def speeds(rule: str) -> list[float]:
    """The speed at each σ, in the mean of five seeds."""
    return [mean(row) for row in noisy()[rule][0]]


def rests(rule: str) -> list[float]:
    """The resting point at each σ, in the mean of five seeds."""
    return [mean(row) for row in noisy()[rule][1]]


def by_law(sigma: float) -> float:
    """The speed that (3.4) gives a weight that starts at 4, in units of ηλ."""
    w = 4.0
    for _ in range(2000):
        w *= 1 - 0.002 * 0.1 / math.hypot(sigma, 0.1 * w)
    return math.log(4 / w) / (2000 * 0.002 * 0.1)


def lower(values: Sequence[float] | Array) -> float:
    """The lower end of Student's 95 % interval of the mean."""
    s = statistics.stdev(map(float, values))
    return mean(values) - float(stats.t.ppf(0.975, len(values) - 1)) * s / math.sqrt(len(values))


class Course(NamedTuple):
    """A run on all patients, step by step."""

    w: Array
    v: Array
    """The corrected running mean of the squares that the optimiser saw."""


@cache
def on_all(rule: str, eta: float = 0.003, steps: int = 8000) -> Course:
    """Full batches with λ = 0.1, from zero, by the normal equations."""
    X, y = patients()
    H, q = np.cov(X.T, bias=True), X.T @ y / len(y)
    w, m, v = np.zeros(10), np.zeros(10), np.zeros(10)
    path, roots = np.empty((steps, 10)), np.empty((steps, 10))
    for t in range(steps):
        g = H @ w - q
        if rule == "Adam + L2":
            g += 0.1 * w
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        roots[t] = v / (1 - 0.999 ** (t + 1))
        if rule == "AdamW":
            w = w * (1 - eta * 0.1)
        w = w - eta * m / (1 - 0.9 ** (t + 1)) / (np.sqrt(roots[t]) + 1e-8)
        path[t] = w
    return Course(path, roots)


def off(rule: str, step: int) -> float:
    """The distance from least squares after so many steps."""
    return size(on_all(rule).w[step - 1] - shrunk(0))


def off_at_rest(step: int) -> float:
    """How far from least squares AdamW would rest, if v stayed as it is after so many steps."""
    return size(shrunk(0.1 * np.sqrt(on_all("AdamW").v[step - 1])) - shrunk(0))


# ---- the networks --------------------------------------------------------------------------------
class Net(NamedTuple):
    """Networks of one seed, a λ each; the first axis of the weights is λ."""

    weights: list[Array]
    roots: list[Array]


@cache
def digits(seed: int) -> tuple[Array, Array, Array, Array]:
    """200 pictures to learn and the rest, in grey levels from 0 to 1, with a one for the biases; their labels."""
    X, y = load_digits(return_X_y=True)
    X = np.hstack([X / 16, np.ones((len(y), 1))])
    order = np.random.default_rng(seed).permutation(len(y))
    seen, rest = order[:200], order[200:]
    return X[seen], y[seen], X[rest], y[rest]


def scores(net: list[Array], X: Array) -> tuple[Array, Array]:
    """Hidden units with a one, and the ten scores; axes: λ, picture, unit."""
    hidden = np.maximum(X @ net[0], 0)
    hidden = np.concatenate([hidden, np.ones((*hidden.shape[:2], 1))], -1)
    return hidden, hidden @ net[1]


def slopes(net: list[Array], X: Array, y: Array) -> list[Array]:
    """Gradients of the mean cross-entropy."""
    hidden, out = scores(net, X)
    miss = (softmax(out, -1) - np.eye(10)[y]) / len(y)
    back = (miss @ net[1][:, :-1].mT) * (hidden[..., :-1] > 0)
    return [X.T @ back, hidden.mT @ miss]


def learned(
    seed: int,
    coupled: Sequence[float],
    decoupled: Sequence[float],
    ends: Sequence[int] = (600,),
    memory: float = 0.999,
    told: Array | None = None,
) -> list[Net]:
    """Networks after the steps in ends, Adam with η = 0.01 on batches of 20; λ spares the biases (last rows)."""
    rng, (X, y, _, _) = np.random.default_rng(seed), digits(seed)
    y = y if told is None else told
    start = [rng.standard_normal(shape) for shape in (64 * 32, 32, 32 * 10, 10)]
    first = np.vstack([start[0].reshape(64, 32) / math.sqrt(32), np.zeros(32)])
    second = np.vstack([start[2].reshape(32, 10) / 4, np.zeros(10)])
    net = [np.stack([layer] * len(coupled)) for layer in (first, second)]
    spare = [np.append(np.ones(len(layer) - 1), 0)[:, None] for layer in (first, second)]
    a, b = (np.array(each)[:, None, None] for each in (coupled, decoupled))
    m, v, found = [0 * each for each in net], [0 * each for each in net], list[Net]()
    for t in range(1, ends[-1] + 1):
        rows = rng.permutation(200)[:20]
        for k, g in enumerate(slopes(net, X[rows], y[rows])):
            g = g + a * spare[k] * net[k]
            m[k] += 0.1 * (g - m[k])
            v[k] += (1 - memory) * (g * g - v[k])
            step = m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - memory**t)) + 1e-8)
            net[k] = net[k] - 0.01 * b * spare[k] * net[k] - 0.01 * step
        if t in ends:
            found.append(Net([*net], [np.sqrt(each / (1 - memory**t)) for each in v]))
    return found


def decaying(layers: list[Array], k: int) -> Array:
    """The weights, or what belongs to them, of network k, without the biases, in a row."""
    return np.concatenate([layer[k, :-1].ravel() for layer in layers])


def rule(net: Net, k: int) -> float:
    """The mean √v of the weights of network k, each counted with its square."""
    return float(np.average(decaying(net.roots, k), weights=decaying(net.weights, k) ** 2))


@cache
def adamw(seed: int) -> Net:
    """Five networks after 600 steps of AdamW."""
    return learned(seed, [0] * 5, LAMS)[0]


@cache
def landed(seed: int) -> list[float]:
    """Where the rule leads from AdamW's five λ."""
    return [lam * rule(adamw(seed), k) for k, lam in enumerate(LAMS)]


KINDS = ("translated", "copied", "third", "triple", "none")


@cache
def adam(seed: int) -> dict[str, Net]:
    """Adam + L2 after 600 steps: five translated λ, five copied, a third and three times the translated, no λ."""
    there = landed(seed)
    lams = [*there, *LAMS, *(lam / 3 for lam in there), *(3 * lam for lam in there), 0.0]
    whole = learned(seed, lams, [0] * 21)[0]
    places = [*np.arange(20).reshape(4, 5), [20] * 5]
    parts = [
        ([layer[at] for layer in whole.weights], [layer[at] for layer in whole.roots])
        for at in places
    ]
    return {kind: Net(*part) for kind, part in zip(KINDS, parts, strict=True)}


def runs(kind: str, seed: int) -> Net:
    """AdamW's five networks, or five of Adam + L2."""
    return adamw(seed) if kind == "AdamW" else adam(seed)[kind]


@cache
def judged(kind: str, part: str) -> tuple[Array, Array]:
    """Mean cross-entropy and accuracy on the pictures to learn or the others; axes: seed, λ."""
    losses, right = np.zeros((5, 5)), np.zeros((5, 5))
    for seed in range(5):
        X, y = digits(seed)[:2] if part == "train" else digits(seed)[2:]
        out = scores(runs(kind, seed).weights, X)[1]
        for k in range(5):
            losses[seed, k] = -mean(log_softmax(out[k], -1)[range(len(y)), y])
            right[seed, k] = mean(out[k].argmax(-1) == y)
    return losses, right


def loss(kind: str, part: str, k: int) -> float:
    """The loss with the k-th λ, in the mean of five seeds."""
    return mean(judged(kind, part)[0][:, k])


def misses(kind: str) -> list[float]:
    """From λ = 0.03 on: the logarithm of the training loss of Adam + L2, in units of AdamW's."""
    return [math.log(loss(kind, "train", k) / loss("AdamW", "train", k)) for k in range(1, 5)]


@cache
def returned(k: int, times: float = 1) -> float:
    """AdamW's training loss with the λ that leads back from the k-th translated run, or some times it, in the mean of five seeds."""
    losses = []
    for seed in range(5):
        X, y = digits(seed)[:2]
        lam = times * landed(seed)[k] / rule(adam(seed)["translated"], k)
        out = scores(learned(seed, [0], [lam])[0].weights, X)[1][0]
        losses.append(-mean(log_softmax(out, -1)[range(len(y)), y]))
    return mean(losses)


def upwards() -> list[float]:
    """From λ = 0.03 on: by which factor the translated λ must grow to fit as AdamW does, by interpolating logarithms."""
    pairs = zip(misses("translated"), misses("triple"), strict=True)
    return [math.exp(float(np.interp(0, [a, b], [0, math.log(3)]))) for a, b in pairs]


def squares(kind: str, k: int) -> float:
    """The sum of the squared weights with the k-th λ, in the mean of five seeds."""
    return mean(
        [mean(w := decaying(runs(kind, seed).weights, k) ** 2) * len(w) for seed in range(5)]
    )


def smaller() -> list[float]:
    """At each λ: by which share Σw² is smaller with the translated λ than under AdamW."""
    return [1 - squares("translated", k) / squares("AdamW", k) for k in range(5)]


def grown(seed: int, k: int, r: float) -> float:
    """The training loss of AdamW's network if all weights, but no bias, are r times as large."""
    X, y = digits(seed)[:2]
    layers = [
        layer[[k]] * np.append(np.full(layer.shape[1] - 1, r), 1)[:, None]
        for layer in adamw(seed).weights
    ]
    return -mean(log_softmax(scores(layers, X)[1][0], -1)[range(200), y])


def pull(seed: int, k: int) -> float:
    """λ Σ w² √v of AdamW's network."""
    return landed(seed)[k] * float((decaying(adamw(seed).weights, k) ** 2).sum())


def balance(seed: int, k: int) -> float:
    """How fast the loss falls if AdamW's weights grow in proportion, over λ Σ w² √v."""
    return (grown(seed, k, 1 - 1e-5) - grown(seed, k, 1 + 1e-5)) / 2e-5 / pull(seed, k)


def balances(k: int) -> list[float]:
    """The same for five seeds."""
    return [balance(seed, k) for seed in range(5)]


def seen_roots(seed: int) -> list[float]:
    """√v of AdamW's weights with λ = 0.1, sorted, from 0.00001 on."""
    return sorted(float(root) for root in decaying(adamw(seed).roots, 2) if root > 1e-5)


def span(seed: int) -> float:
    """The 90th percentile of these over the 10th."""
    low, high = stats.scoreatpercentile(seen_roots(seed), [10, 90])
    return float(high / low)


def likeness(seed: int) -> float:
    """How the gradients of all pictures and what (3.5) asks of them correlate, in AdamW's network with λ = 0.1."""
    X, y = digits(seed)[:2]
    net = adamw(seed)
    found = slopes([layer[[2]] for layer in net.weights], X, y)
    wanted = [-0.1 * root * weight for root, weight in zip(net.roots, net.weights, strict=True)]
    pair = decaying(found, 0), decaying(wanted, 2)
    return float(stats.pearsonr(*pair).statistic)


def rms(seed: int, k: int) -> float:
    """AdamW's k-th λ times the root of its weights' mean v."""
    return LAMS[k] * math.sqrt(mean(decaying(adamw(seed).roots, k) ** 2))


def there_and_back(seed: int, k: int) -> float:
    """The λ that leads back to AdamW from where its k-th λ was led."""
    return landed(seed)[k] / rule(adam(seed)["translated"], k)


def losses_of(net: list[Array], X: Array, y: Array) -> list[float]:
    """The mean cross-entropy of each network."""
    return [-mean(log_softmax(out, -1)[range(len(y)), y]) for out in scores(net, X)[1]]


@cache
def astray_losses() -> tuple[list[float], list[float]]:
    """Test losses with random labels for 30 % of the pictures: AdamW's five λ; the translated ones, and none."""
    ours, theirs = [], []
    for seed in range(5):
        rng, (_, y, X_test, y_test) = np.random.default_rng([seed, 1]), digits(seed)
        swapped, drawn = rng.random(200) < 0.3, rng.integers(0, 10, 200)
        told = np.where(swapped, drawn, y)
        net = learned(seed, [0] * 5, LAMS, told=told)[0]
        lams = [lam * rule(net, k) for k, lam in enumerate(LAMS)] + [0.0]
        ours.append(losses_of(net.weights, X_test, y_test))
        theirs.append(losses_of(learned(seed, lams, [0] * 6, told=told)[0].weights, X_test, y_test))
    return [mean(c) for c in np.transpose(ours)], [mean(c) for c in np.transpose(theirs)]


@cache
def at_95(seed: int) -> list[float]:
    """At β₂ = 0.95: the training loss of Adam + L2 with the translated λ, in units of AdamW's."""
    X, y = digits(seed)[:2]
    net = learned(seed, [0] * 5, LAMS, memory=0.95)[0]
    lams = [lam * rule(net, k) for k, lam in enumerate(LAMS)]
    other = learned(seed, lams, [0] * 5, memory=0.95)[0]
    pairs = zip(losses_of(other.weights, X, y), losses_of(net.weights, X, y), strict=True)
    return [ours / theirs for ours, theirs in pairs]


def sgd_losses(seed: int) -> list[float]:
    """Training losses of SGD with momentum 0.9, η = 0.1 and a penalty of 0.003 or 0.01 on the weights."""
    rng, (X, y, _, _) = np.random.default_rng(seed), digits(seed)
    start = [rng.standard_normal(shape) for shape in (64 * 32, 32, 32 * 10, 10)]
    first = np.vstack([start[0].reshape(64, 32) / math.sqrt(32), np.zeros(32)])
    second = np.vstack([start[2].reshape(32, 10) / 4, np.zeros(10)])
    net = [np.stack([layer] * 2) for layer in (first, second)]
    spare = [np.append(np.ones(len(layer) - 1), 0)[:, None] for layer in (first, second)]
    lams, buffers = np.array([0.003, 0.01])[:, None, None], [0 * each for each in net]
    for _ in range(600):
        rows = rng.permutation(200)[:20]
        for k, g in enumerate(slopes(net, X[rows], y[rows])):
            buffers[k] = 0.9 * buffers[k] + g + lams * spare[k] * net[k]
            net[k] = net[k] - 0.1 * buffers[k]
    return losses_of(net, X, y)


TIMES = range(100, 2001, 100)


@cache
def longer(seed: int) -> list[Net]:
    """Every 100 of 2000 steps: AdamW with 0.1."""
    return learned(seed, [0], [0.1], TIMES)


def read(seed: int, step: int) -> float:
    """The mean √v by the rule at a step of the longer AdamW run."""
    return rule(longer(seed)[int(step) // 100 - 1], 0)


@cache
def both(seed: int) -> list[Net]:
    """Every 100 of 2000 steps: Adam + L2 with a tenth of AdamW's mean √v, read at step 600 or 2000."""
    early, late = 0.1 * read(seed, 600), 0.1 * read(seed, 2000)
    return learned(seed, [early, late], [0] * 2, TIMES)


@cache
def long_losses(which: str) -> Array:
    """Training losses of longer runs: AdamW, or Adam + L2 with the λ read early or late; axes: seed, time."""
    found = np.zeros((5, 20))
    place = int(which == "late")
    for seed in range(5):
        X, y = digits(seed)[:2]
        for at, net in enumerate(longer(seed) if which == "AdamW" else both(seed)):
            out = scores(net.weights, X)[1][place]
            found[seed, at] = -mean(log_softmax(out, -1)[range(200), y])
    return found


def long_loss(which: str, step: int) -> float:
    """The median of five seeds at a step."""
    return median(long_losses(which)[:, int(step) // 100 - 1])


def penalty(step: int) -> float:
    """AdamW's effective penalty at a step: 0.1 times the mean √v, the median of five seeds."""
    return 0.1 * median([read(seed, step) for seed in range(5)])


# ---- schedules -----------------------------------------------------------------------------------
SHAPES = {"follows the rate": 1, "independent": 0, "corrected": 2}
"""The power of η_t/η_max in δ_t."""


def scheduled(form: str, pulled: bool) -> list[float]:
    """A weight of 1 over 200 steps of a cosine from η = 0.1, δ = 0.01 at its peak, ignored or pulled to 1."""
    path = [1.0]
    for t in range(200):
        s = math.cos(math.pi * t / 400) ** 2
        step = 0.1 * s * (path[-1] - 1) if pulled else 0
        path.append(path[-1] - 0.01 * s ** SHAPES[form] * path[-1] - step)
    return path
