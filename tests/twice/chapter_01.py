"""Chapter 1's numbers a second time: from raw data, by loops, kernels, eigenvectors, sklearn and networks by hand."""

import statistics
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import logsumexp
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.preprocessing import StandardScaler

from tests.twice import contours

Array = NDArray[Any]
off_map = contours.off_map
Start = Literal["wide", "zero", "small"]
What = Literal["weights", "predictions"]


def mean(values: Iterable[float]) -> float:
    """Their sum over their number."""
    every = [float(each) for each in values]
    return sum(every) / len(every)


def ends(values: Iterable[float]) -> tuple[float, float]:
    """Both ends of Student's 95 % interval of a mean."""
    every = [float(each) for each in values]
    low, high = stats.t.interval(0.95, len(every) - 1, mean(every), stats.sem(every))
    return float(low), float(high)


def half(values: Iterable[float]) -> float:
    """Half the width of Student's 95 % interval of a mean."""
    low, high = ends(values)
    return (high - low) / 2


# ---- the puzzle: 20 examples of 200 inputs -----------------------------------------------------------
PUZZLE: tuple[tuple[Start, float], ...] = (
    ("wide", 0.0),
    ("wide", 1.5),
    ("zero", 0.0),
    ("zero", 1.5),
    ("small", 0.0),
    ("small", 1.5),
)


@cache
def problems() -> tuple[Array, Array, Array]:
    """Inputs, targets and N(0, 1) starts of 60 data sets."""
    X, y, start = np.empty((60, 20, 200)), np.empty((60, 20)), np.empty((60, 200))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X[seed] = rng.standard_normal((20, 200))
        y[seed] = 0.05 + X[seed] @ np.full(200, 0.01) + rng.normal(0, 0.01, 20)
        start[seed] = np.random.default_rng([seed, 1]).standard_normal(200)
    return X, y, start


@cache
def trained(penalised: bool = False) -> dict[tuple[Start, float], tuple[Array, Array]]:
    """Weights and intercepts of 60 data sets after 100 epochs of SGD in batches of 5; intercepts are penalised, or free."""
    X, y, start = problems()
    rngs = [np.random.default_rng([seed, 2]) for seed in range(60)]
    scale = np.array([{"wide": 1.0, "zero": 0.0, "small": 0.01}[way] for way, _ in PUZZLE])
    lam = np.array([lam for _, lam in PUZZLE])
    w, b = start[:, :, None] * scale, np.zeros((60, 1, len(PUZZLE)))
    for _ in range(100):
        orders = np.array([rng.permutation(20) for rng in rngs])
        for rows in np.split(orders, 4, axis=1):
            x, t = np.take_along_axis(X, rows[..., None], 1), np.take_along_axis(y, rows, 1)
            miss = t[..., None] - x @ w - b
            w = (1 - 0.006 * lam) * w + 0.006 / 5 * (x.mT @ miss)
            b = (1 - 0.006 * lam * penalised) * b + 0.006 / 5 * miss.sum(1, keepdims=True)
    return {way: (w[..., k], b[:, 0, k]) for k, way in enumerate(PUZZLE)}


def expected(w: Array, b: float) -> float:
    """The expected squared error on new inputs: the squares of all that is off, and the noise."""
    return float(np.linalg.norm(w - 0.01) ** 2 + abs(b - 0.05) ** 2 + 1e-4)


@cache
def toy(start: Start, lam: float) -> list[float]:
    """Test errors of 60 data sets."""
    return [expected(w, b) for w, b in zip(*trained()[start, lam], strict=True)]


@cache
def toy_parts(start: Start, lam: float) -> tuple[float, float, float]:
    """Mean error of 60 data sets in null directions, in directions that the data see, and of the intercept."""
    X, _, _ = problems()
    found = []
    for x, w, b in zip(X, *trained()[start, lam], strict=True):
        ways = np.linalg.qr(x.T)[0].T  # orthonormal, in the span of the inputs
        seen = [float(way @ (w - 0.01)) ** 2 for way in ways]
        found.append((sum((w - 0.01) ** 2) - sum(seen), sum(seen), (b - 0.05) ** 2))
    null, visible, intercept = (mean(column) for column in zip(*found, strict=True))
    return null, visible, intercept


def null_left() -> float:
    """The share of its squared norm that the start's null part keeps at λ = 1.5, over all data sets."""
    X, _, start = problems()
    kept, begun = [], []
    for x, first, w in zip(X, start, trained()["wide", 1.5][0], strict=True):
        ways = np.linalg.qr(x.T)[0]
        kept.append(sum((w - ways @ (ways.T @ w)) ** 2))
        begun.append(sum((first - ways @ (ways.T @ first)) ** 2))
    return float(sum(kept) / sum(begun))


def with_penalised(lam: float, start: Start) -> tuple[float, float, float]:
    """The mean intercept of 60 data sets where it is penalised, too, the mean of its squared error, and of the test error."""
    w, b = trained(penalised=True)[start, lam]
    errors = [expected(*each) for each in zip(w, b, strict=True)]
    return mean(b), mean((b - 0.05) ** 2), mean(errors)


def gains() -> list[float]:
    """What λ = 1.5 takes from the error of each data set from zero, over their mean error at λ = 0."""
    free, both = toy("zero", 0.0), toy("zero", 1.5)
    return [(a - b) / mean(free) for a, b in zip(free, both, strict=True)]


@cache
def at_minimum(lam: float, known: bool) -> float:
    """The mean test error at the exact minimum, by kernels; the true intercept is given, or free."""
    X, y, _ = problems()
    found = []
    for x, t in zip(X, y, strict=True):
        centred = x if known else x - x.mean(0)
        aims = t - (0.05 if known else t.mean())
        w = centred.T @ np.linalg.lstsq(centred @ centred.T + 20 * lam * np.eye(20), aims)[0]
        found.append(expected(w, 0.05 if known else t.mean() - x.mean(0) @ w))
    return mean(found)


def descent(
    point: tuple[float, float], lam: float, steps: int, lr: float = 0.1
) -> list[tuple[float, float]]:
    """All points of gradient descent on one example (1, 2) with the target 2.5."""
    path = [point]
    for _ in range(steps):
        u, v = path[-1]
        miss = u + 2 * v - 2.5
        path.append((u - lr * (miss + lam * u), v - lr * (2 * miss + lam * v)))
    return path


# ---- the patients ------------------------------------------------------------------------------------
class Patients(NamedTuple):
    """Ten standardised measurements, the raw ones, the targets, and the measurements' names."""

    X: Array
    raw: Array
    y: Array
    names: list[str]


@cache
def patients() -> Patients:
    """All 442, by scikit-learn."""
    data = load_diabetes(scaled=False)
    scaled = StandardScaler().fit_transform(data.data)
    return Patients(scaled, data.data, data.target, list(data.feature_names))


@cache
def ten_weights(lam: float) -> Array:
    """Ridge weights: least squares with ten more examples, each one input at √(nλ) with the target 0."""
    X, _, y, _ = patients()
    more = np.vstack([X, np.sqrt(442 * lam) * np.eye(10)])
    return np.asarray(np.linalg.lstsq(more, np.append(y - y.mean(), np.zeros(10)))[0])


def weight(name: str, lam: float) -> float:
    """One of them, by the input's name."""
    return float(ten_weights(lam)[patients().names.index(name)])


@cache
def signs(name: str) -> list[float]:
    """Every λ from 10⁻³·⁵ to 10¹·³ at which a weight is zero."""
    tried = np.linspace(-3.5, 1.3, 49)
    values = [weight(name, 10**t) for t in tried]
    there = [
        pair for pair, ab in zip(pairwise(tried), pairwise(values), strict=True) if np.prod(ab) < 0
    ]
    return [10 ** float(optimize.brentq(lambda t: weight(name, 10**t), *pair)) for pair in there]


def redundancy() -> float:
    """R² of total cholesterol, predicted by LDL, HDL and log triglycerides."""
    X, _, _, names = patients()
    others = X[:, [names.index(name) for name in ("s2", "s3", "s5")]]
    total = X[:, names.index("s1")]
    return float(LinearRegression().fit(others, total).score(others, total))


@cache
def directions() -> tuple[list[float], Array]:
    """Variances of the ten inputs along their principal directions, the largest first, and these as rows."""
    values, ways = np.linalg.eigh(np.cov(patients().X.T, bias=True))
    return [float(value) for value in values[::-1]], ways.T[::-1]


def keeps(k: int, lam: float) -> float:
    """The share that ridge keeps of the least-squares component along a direction, 1 to 10, from both fits."""
    way = directions()[1][k - 1]
    return float(way @ ten_weights(lam) / (way @ ten_weights(0.0)))


def without_tenth(name: str) -> float:
    """A least-squares weight without its part along the tenth direction."""
    w, way = ten_weights(0.0), directions()[1][9]
    return float((w - sum(w * way) * way)[patients().names.index(name)])


def two_weights(lam: float) -> tuple[float, float]:
    """Weights of total and LDL cholesterol alone, by Cramer's rule."""
    X, _, y, names = patients()
    total, ldl = X[:, names.index("s1")], X[:, names.index("s2")]
    a, b, c, d = 1 + lam, mean(total * ldl), mean(total * y), mean(ldl * y)
    return (a * c - b * d) / (a * a - b * b), (a * d - b * c) / (a * a - b * b)


def two_variance(k: int) -> float:
    """Variance of total and LDL cholesterol along their sum (1) or difference (2): one plus or minus their correlation."""
    X, _, _, names = patients()
    r = stats.pearsonr(X[:, names.index("s1")], X[:, names.index("s2")]).statistic
    return float(1 + r if k == 1 else 1 - r)


def two_loss(w: tuple[float, float]) -> float:
    """Half the mean squared error of weights of total and LDL cholesterol."""
    X, _, y, names = patients()
    answers = w[0] * X[:, names.index("s1")] + w[1] * X[:, names.index("s2")] + mean(y)
    return mean((y - answers) ** 2) / 2


# ---- when shrinking helps: 100 patients, and noise --------------------------------------------------
@cache
def hundred() -> tuple[Array, Array]:
    """Centred inputs of the first 100 patients, and the least-squares weights of their targets."""
    X, _, y, _ = patients()
    return X[:100] - X[:100].mean(0), LinearRegression().fit(X[:100], y[:100]).coef_


def error_at(
    lam: float, what: What, truth: Array | None = None, sigma: float = 54.0
) -> tuple[float, float]:
    """Squared bias and variance of ridge, of its weights or of its answers at the same inputs, by matrices."""
    x, fitted = hundred()
    w = fitted if truth is None else truth
    M = np.linalg.inv(x.T @ x / 100 + lam * np.eye(10))
    bias, spread = M @ (x.T @ (x @ w)) / 100 - w, sigma * M @ x.T / 100
    if what == "predictions":
        bias, spread = x @ bias / 10, x @ spread / 10
    return float(bias @ bias), float((spread**2).sum())


@cache
def best_lam(what: What, own: bool = True, sigma: float = 54.0) -> tuple[float, float]:
    """The best λ and the share of least squares' error that it leaves, by golden sections; the truth is theirs or all's."""
    truth = None if own else ten_weights(0.0)

    def error(t: float) -> float:
        return sum(error_at(10**t, what, truth, sigma))

    t = min((-3.5 + k / 20 for k in range(90)), key=error)
    found = optimize.minimize_scalar(error, (t - 0.05, t, t + 0.05), method="golden")
    return 10 ** float(found.x), float(found.fun) / sum(error_at(0.0, what, truth, sigma))


def noise_shares() -> list[float]:
    """Each direction's share of the noise in least-squares weights, the strongest direction first."""
    x, _ = hundred()
    values = sorted(np.linalg.eigvalsh(x.T @ x))[::-1]
    return [float(1 / value / sum(1 / each for each in values)) for value in values]


def expected_lam(truth: Array, sigma: float) -> float:
    """λ by (1.5): the noise's variance over 100 times the mean square of the true weights."""
    return sigma**2 / 100 / mean(w**2 for w in truth)


def calm_loss() -> float:
    """By how much (1.5) raises the error of the weights, if all's fit is the truth and the noise is 27."""
    truth = ten_weights(0.0)
    here = error_at(expected_lam(truth, 27.0), "weights", truth, 27.0)
    return sum(here) / sum(error_at(0.0, "weights", truth, 27.0)) - 1


# ---- 64 inputs, 20 splits ---------------------------------------------------------------------------
LAMS = (0.0, *(10 ** (-6 + k / 8) for k in range(73)))
"""λ = 0 and 73 from 10⁻⁶ to 10³."""


@cache
def orders() -> list[Array]:
    """The patients of 20 splits: the first 150 are for fits, of these the last 50 for choices, the others for tests."""
    return [np.random.default_rng(seed).permutation(442) for seed in range(20)]


def sixty_four(rows: Array) -> Array:
    """The ten measurements, their squares and products (sex² left out) of all patients, all scaled by some of them."""
    ten = StandardScaler().fit(patients().raw[rows]).transform(patients().raw)
    columns = [ten[:, i] for i in range(10)]
    columns += [ten[:, i] * ten[:, j] for i in range(10) for j in range(i, 10) if i != 1 or j != 1]
    wide = np.array(columns).T
    return np.asarray(StandardScaler().fit(wide[rows]).transform(wide))


@cache
def wide_inputs(split: int, few: bool = False) -> Array:
    """The 64 inputs of a split, scaled by its 150 patients or by the 100 of them that choices leave."""
    return sixty_four(orders()[split][: 100 if few else 150])


def curves(x: Array, rows: Array, held: Array, lams: Iterable[float]) -> tuple[Array, Array, Array]:
    """At each λ half the mean squared error of ridge on its own rows, on held ones, and its squared norm."""
    y = patients().y
    middle, level = x[rows].mean(0), y[rows].mean()
    values, ways = np.linalg.eigh(np.cov(x[rows].T, bias=True))
    asked = ways.T @ ((x[rows] - middle).T @ (y[rows] - level)) / len(rows)
    w = np.array([asked / (values + lam) for lam in lams]) @ ways.T
    own, new = (
        ((y[some] - level - w @ (x[some] - middle).T) ** 2).mean(1) / 2 for some in (rows, held)
    )
    return own, new, np.array([each @ each for each in w])


@cache
def on_split(split: int) -> tuple[Array, Array, Array]:
    """At each λ training loss, test loss and squared norm of the fit to 150 patients."""
    order = orders()[split]
    return curves(wide_inputs(split), order[:150], order[150:], LAMS)


@cache
def test_losses() -> Array:
    """Test losses of 20 splits at each λ, (20, 74)."""
    return np.array([on_split(split)[1] for split in range(20)])


@cache
def objectives() -> Array:
    """Training loss plus penalty of 20 splits at each λ, (20, 74)."""
    return np.array([own + np.array(LAMS) * norm / 2 for own, _, norm in map(on_split, range(20))])


@cache
def chosen() -> list[int]:
    """In each split the place of the λ with the smallest loss on 50 patients, after a fit to 100."""
    found = []
    for split, order in enumerate(orders()):
        on_50 = curves(wide_inputs(split, few=True), order[:100], order[100:150], LAMS)[1]
        found.append(min(range(1, 74), key=lambda k: on_50[k]))
    return found


@cache
def leave_one_out() -> Array:
    """Leave-one-out losses of 20 splits at each λ > 0 by scikit-learn, (20, 73)."""
    y, found = patients().y, []
    for split, order in enumerate(orders()):
        fit = order[:150]
        model = RidgeCV(alphas=150 * np.array(LAMS[1:]), store_cv_results=True)
        model.fit(wide_inputs(split)[fit], y[fit])
        found.append([mean(column) / 2 for column in model.cv_results_.T])
    return np.array(found)


def middle_choice(copies: int) -> float:
    """The median λ that leave-one-out chooses in 20 splits, where each example is listed once or twice."""
    y, found = patients().y, []
    for split, order in enumerate(orders()):
        fit = [*order[:150]] * copies
        model = RidgeCV(alphas=len(fit) * np.array(LAMS[1:]))
        found.append(float(model.fit(wide_inputs(split)[fit], y[fit]).alpha_) / len(fit))
    return statistics.median(found)


@cache
def generalised() -> Array:
    """Generalised cross-validation of 20 splits at each λ > 0, (20, 73): the training loss, and the trace of the hat matrix."""
    found = []
    for split, order in enumerate(orders()):
        x = wide_inputs(split)[order[:150]]
        values = np.linalg.eigvalsh(x.T @ x / 150)
        freedom = [1 + sum(value / (value + lam) for value in values) for lam in LAMS[1:]]
        found.append(on_split(split)[0][1:] / (1 - np.array(freedom) / 150) ** 2)
    return np.array(found)


@cache
def ways() -> dict[str, list[float]]:
    """Test losses of 20 splits: no penalty, λ by validation, leave-one-out, GCV or an oracle, and ten inputs without penalty."""
    y, found = patients().y, dict[str, list[float]]()
    chooses: dict[str, Callable[[int], int]] = {
        "none": lambda _: 0,
        "validation": lambda k: chosen()[k],
        "loo": lambda k: 1 + [*leave_one_out()[k]].index(min(leave_one_out()[k])),
        "gcv": lambda k: 1 + [*generalised()[k]].index(min(generalised()[k])),
        "oracle": lambda k: [*test_losses()[k]].index(min(test_losses()[k])),
    }
    for name, place in chooses.items():
        found[name] = [float(on_split(k)[1][place(k)]) for k in range(20)]
    found["ten"] = []
    for order in orders():
        raw = patients().raw
        model = LinearRegression().fit(raw[order[:150]], y[order[:150]])
        found["ten"].append(mean((y[order[150:]] - model.predict(raw[order[150:]])) ** 2) / 2)
    return found


def best_place() -> int:
    """The place of the λ with the smallest mean test loss of 20 splits."""
    means = [mean(column) for column in test_losses().T]
    return means.index(min(means))


def ratios(name: str, other: str) -> list[float]:
    """Test losses of one way over those of another, split by split."""
    return [a / b for a, b in zip(ways()[name], ways()[other], strict=True)]


@cache
def spreads() -> Array:
    """Variance of new patients (about the mean of the 150) over that of the fitted ones along 64 directions, (20, 64)."""
    found = []
    for split, order in enumerate(orders()):
        x = wide_inputs(split)
        values, axes = np.linalg.eigh(np.cov(x[order[:150]].T, bias=True))
        new = [mean((x[order[150:]] @ axis) ** 2) for axis in axes.T[::-1]]
        found.append(np.array(new) / values[::-1])
    return np.array(found)


def middle_spread(k: int) -> float:
    """The median of 20 splits along a direction, 1 to 64."""
    return statistics.median(float(each) for each in spreads()[:, k - 1])


def noise_in_loss() -> float:
    """What noise of 54 in the fit adds to the test loss: half its variance times zᵀ(Z'Z)⁻¹z, over new patients and splits."""
    found = []
    for split, order in enumerate(orders()):
        x = wide_inputs(split)
        solved = np.linalg.solve(x[order[:150]].T @ x[order[:150]], x[order[150:]].T)
        found.append(mean(np.einsum("ij,ji->i", x[order[150:]], solved)))
    return 54**2 / 2 * mean(found)


# ---- early stopping -----------------------------------------------------------------------------------
def walked(steps: int, lr: float, lam: float = 0.0) -> Array:
    """Weights of the ten inputs after steps of gradient descent from zero."""
    X, _, y, _ = patients()
    w = np.zeros(10)
    for _ in range(steps):
        miss = y - y.mean() - X @ w
        w = w + lr * (np.array([mean(column * miss) for column in X.T]) - lam * w)
    return w


def reached(k: int, steps: int, lr: float, lam: float = 0.0) -> float:
    """The share of least squares that they have along a direction, 1 to 10."""
    way = directions()[1][k - 1]
    return float(way @ walked(steps, lr, lam) / (way @ ten_weights(0.0)))


def widest() -> tuple[float, float]:
    """The largest ratio of 20 steps of 0.2 to ridge at λ = 1/4, and the variance where it is."""
    found = optimize.minimize_scalar(
        lambda v: -(1 - (1 - 0.2 * v) ** 20) * (v + 1 / 4) / v, (0.1, 0.5, 2.0)
    )
    return -float(found.fun), float(found.x)


def price() -> tuple[float, float]:
    """The maximum of (1 − exp(−z))(1 + z)/z, and where it is."""
    found = optimize.minimize_scalar(lambda z: np.expm1(-z) * (1 / z + 1), (0.5, 2.0, 6.0))
    return -float(found.fun), float(found.x)


@cache
def stopped() -> tuple[list[float], list[float]]:
    """Mean test loss of 20 splits after 10 to 1000 steps of 0.01, by each direction's share, and of ridge at λ = 100/steps."""
    y, early, matched = patients().y, np.zeros(991), np.zeros(991)
    for split, order in enumerate(orders()):
        x, rows, held = wide_inputs(split), order[:150], order[150:]
        values, axes = np.linalg.eigh(np.cov(x[rows].T, bias=True))
        full = axes.T @ (x[rows].T @ (y[rows] - y[rows].mean())) / 150 / values
        kept = -np.expm1(np.arange(10, 1001)[:, None] * np.log1p(-0.01 * values))
        answers = y[rows].mean() + (kept * full) @ (x[held] @ axes).T
        early += ((y[held] - answers) ** 2).sum(1) / 2 / len(held) / 20
        matched += curves(x, rows, held, [100 / t for t in range(10, 1001)])[1] / 20
    return [float(each) for each in early], [float(each) for each in matched]


# ---- the network --------------------------------------------------------------------------------------
LAMBDAS = (0, 0.001, 0.0018, 0.0032, 0.0056, 0.01)


@cache
def images() -> tuple[Array, Array, Array]:
    """Pixels from 0 to 1, labels, and the images' order for each of 12 seeds: 100 to train on, 100 to choose, 1597 to test."""
    raw, labels = load_digits(return_X_y=True)
    order = np.array([np.random.default_rng(seed).permutation(1797) for seed in range(12)])
    return raw / 16, labels, order


class Net(NamedTuple):
    """Networks side by side: weights and biases of both layers, (K, in, out) and (K, 1, out)."""

    first: torch.Tensor
    one: torch.Tensor
    second: torch.Tensor
    two: torch.Tensor

    def outputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden units and scores."""
        hidden = torch.baddbmm(self.one, x, self.first).clamp(min=0)
        return hidden, torch.baddbmm(self.two, hidden, self.second)


def steps_of(
    net: Net,
    x: torch.Tensor,
    labels: torch.Tensor,
    lam: torch.Tensor,
    after: Callable[[int, Net], None],
) -> Net:
    """200 steps of η = 0.3 and momentum 0.9 down the mean cross-entropy, by hand; λ is for weights alone."""
    wanted = torch.nn.functional.one_hot(labels, 10)
    speed = [torch.zeros_like(part) for part in net]
    for step in range(1, 201):
        hidden, scores = net.outputs(x)
        off = (scores.softmax(-1) - wanted) / x.shape[1]
        back = off @ net.second.mT * (hidden > 0)
        slopes = [x.mT @ back, back.sum(1, keepdim=True), hidden.mT @ off, off.sum(1, keepdim=True)]
        for k, (part, slope) in enumerate(zip(net, slopes, strict=True)):
            speed[k] = 0.9 * speed[k] + slope + (0 if k % 2 else lam * part)
        net = Net(*(part - 0.3 * move for part, move in zip(net, speed, strict=True)))
        after(step, net)
    return net


class Runs(NamedTuple):
    """The trained networks: seed by seed, λ by λ, both starts; scores are (12, 6, 2, images, classes)."""

    net: Net
    choice: Array
    test: Array
    right: dict[int, Array]


@cache
def runs() -> Runs:
    """12 seeds, 6 λ and 2 starts (weights as PyTorch draws them, or 6 times as large), trained again."""
    pixels, labels, order = images()
    kept = [(seed, lam, scale) for seed in range(12) for lam in LAMBDAS for scale in (1, 6)]
    drawn = []
    for seed in range(12):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        layers = [
            rng.uniform(-(n**-0.5), n**-0.5, shape)
            for n, shape in ((64, (32, 64)), (64, (32, 1)), (32, (10, 32)), (32, (10, 1)))
        ]
        drawn.append([layer.T for layer in layers])
    net = Net(
        *(
            torch.tensor(
                np.array([drawn[seed][k] * (1 if k % 2 else scale) for seed, _, scale in kept])
            )
            for k in range(4)
        )
    )
    parts = [
        np.repeat(order[:, cut], 12, axis=0)
        for cut in (slice(100), slice(100, 200), slice(200, None))
    ]
    x, on, held = (torch.tensor(pixels[rows]) for rows in parts)
    right = dict[int, Array]()

    def look(step: int, now: Net) -> None:
        if step < 50 or step % 25:
            return
        told = [k for k, (_, lam, _) in enumerate(kept) if step == 200 or lam in (0, 0.0032)]
        said = Net(*(part[told] for part in now)).outputs(held[told])[1].argmax(-1).numpy()
        found = np.full(144, np.nan)
        found[told] = 100 * (said == labels[parts[2][told]]).sum(1) / 1597
        right[step] = found.reshape(12, 6, 2)

    with torch.no_grad():
        lam = torch.tensor([lam for _, lam, _ in kept]).double()[:, None, None]
        net = steps_of(net, x, torch.tensor(labels[parts[0]]), lam, look)
        scores = [net.outputs(some)[1].numpy() for some in (on, held)]
    choice, test = (each.reshape(12, 6, 2, -1, 10) for each in scores)
    return Runs(net, choice, test, right)


def cross_entropy(scores: Array, labels: Array) -> float:
    """Minus the mean log of the probability of the right class."""
    return mean(
        logsumexp(scores, axis=1) - [row[label] for row, label in zip(scores, labels, strict=True)]
    )


@cache
def picks() -> list[list[int]]:
    """For each seed and start the place of the λ with the smallest loss on the 100 images for choices."""
    _, labels, order = images()
    found = []
    for seed in range(12):
        own = labels[order[seed, 100:200]]
        losses = [
            [cross_entropy(runs().choice[seed, k, start], own) for k in range(6)]
            for start in (0, 1)
        ]
        found.append([each.index(min(each)) for each in losses])
    return found


def accuracies(start: int, penalty: bool) -> list[float]:
    """Test accuracy of 12 seeds at the end, at λ = 0 or at the chosen λ."""
    at_end = runs().right[200]
    return [
        float(at_end[seed, picks()[seed][start] if penalty else 0, start]) for seed in range(12)
    ]


def accuracy_gains(start: int) -> list[float]:
    """Points of accuracy that the chosen λ gains, seed by seed."""
    both = zip(accuracies(start, penalty=True), accuracies(start, penalty=False), strict=True)
    return [after - before for after, before in both]


def behind(k: int, step: int) -> list[float]:
    """Points that the large start is behind PyTorch's, at the k-th λ after some steps, seed by seed."""
    return [float(own[0] - own[1]) for own in runs().right[step][:, k]]


@cache
def erased() -> tuple[list[int], float, float]:
    """Null directions of each seed's images; what erasing their part of the large start's first layer adds to loss and accuracy."""
    pixels, labels, order = images()
    counts, loss, points = [], [], []
    for seed in range(12):
        own, held, at = pixels[order[seed, :100]], order[seed, 200:], 12 * seed + 1
        first, one, second, two = (part[at].numpy() for part in runs().net)
        values, axes = np.linalg.eigh(own.T @ own)
        null = axes[:, values < 1e-9 * values[-1]]
        counts.append(null.shape[1])
        hidden = np.maximum(pixels[held] @ (first - null @ (null.T @ first)) + one, 0)
        scores, before = hidden @ second + two, runs().test[seed, 0, 1]
        loss.append(cross_entropy(scores, labels[held]) - cross_entropy(before, labels[held]))
        right = [100 * mean(each.argmax(1) == labels[held]) for each in (scores, before)]
        points.append(right[0] - right[1])
    return counts, mean(loss), mean(points)


@cache
def by_torch() -> float:
    """Test accuracy, in percent, of the network that PyTorch draws with seed 0, trained by hand with λ = 0.0032."""
    pixels, labels, order = images()
    torch.manual_seed(0)
    layers = torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)
    parts = [
        part.detach().view(len(part), -1).T[None]
        for layer in layers
        for part in (layer.weight, layer.bias)
    ]
    cuts = slice(100), slice(200, None)
    x, held = (torch.tensor(pixels[order[0][cut]]).float()[None] for cut in cuts)
    with torch.no_grad():
        net = steps_of(
            Net(*parts),
            x,
            torch.tensor(labels[order[0, :100]])[None],
            torch.tensor(0.0032),
            lambda *_: None,
        )
        said = net.outputs(held)[1][0].argmax(1).numpy()
    return 100 * mean(said == labels[order[0, 200:]])


# ---- three weights ------------------------------------------------------------------------------------
def settles(variance: float, lam: float, steps: int = 2000, start: float = 0.5) -> float:
    """A weight after steps of η = 0.5 towards the least-squares weight 1, by a loop."""
    w = start
    for _ in range(steps):
        w -= 0.5 * (variance * (w - 1) + lam * w)
    return w
