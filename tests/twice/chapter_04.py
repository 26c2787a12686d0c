"""Chapter 4's numbers a second time: from scikit-learn's data, by loops, other solvers and plain NumPy."""

import warnings
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import lasso_path
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

Array = NDArray[Any]
Way = Literal["sgd", "adamw", "one"]


# ---- the patients ----------------------------------------------------------------------------------
@cache
def patients() -> tuple[Array, Array, Array]:
    """Ten standardised measurements; these with their squares and products (sex² left out), standardised; targets."""
    raw, y = load_diabetes(return_X_y=True, scaled=False)
    ten = StandardScaler().fit_transform(raw)
    makes = PolynomialFeatures(2, include_bias=False).fit(ten)
    kept = [k for k, powers in enumerate(makes.powers_) if powers[1] < 2]
    return ten, StandardScaler().fit_transform(makes.transform(ten)[:, kept]), y


def lasso(X: Array, y: Array, lam: float, sweeps: int = 3000) -> Array:
    """The minimum of half the mean squared error plus λ times the sizes, one weight after another."""
    w, residual = np.zeros(X.shape[1]), y - y.mean()
    curvature = [float(column @ column) / len(y) for column in X.T]
    for _ in range(sweeps):
        before = w.copy()
        for i, column in enumerate(X.T):
            asks = column @ residual / len(y) + curvature[i] * w[i]
            new = max(abs(asks) - lam, 0.0) * (1 if asks > 0 else -1) / curvature[i]
            residual, w[i] = residual + column * (w[i] - new), new
        if abs(w - before).max() < 1e-12:
            break
    return w


@cache
def whole_lasso() -> Array:
    """The Lasso of all patients with 64 inputs at λ = 5."""
    _, X, y = patients()
    return lasso(X, y, 5.0)


@cache
def hopping(eta: float, steps: int, at_zero: float = 0.0) -> Array:
    """Every step's weights by gradient steps with λ = 5 times the sign added; at_zero is the sign of 0."""
    _, X, y = patients()
    w, path, H, q = np.zeros(64), [], X.T @ X / len(X), X.T @ (y - y.mean()) / len(X)
    for _ in range(steps):
        w = w - eta * (H @ w - q + 5 * np.where(w > 0, 1.0, np.where(w < 0, -1.0, at_zero)))
        path.append(w)
    return np.array(path)


@cache
def calmed() -> Array:
    """Weights after 2,000 such steps whose η falls from 0.02 to 0 along half a cosine."""
    _, X, y = patients()
    w, t = np.zeros(64), y - y.mean()
    for k in range(2000):
        slope = X.T @ (X @ w - t) / len(X)
        w = w - 0.02 * np.cos(np.pi * k / 4000) ** 2 * (slope + 5 * np.sign(w))
    return w


@cache
def landing() -> int:
    """The first step of η = 0.02 after which the hopping weight is 0 for good by proximal steps."""
    _, X, y = patients()
    w, t, zero_at = np.zeros(64), y - y.mean(), 0
    for step in range(1, 151):
        w = w - 0.02 * (X.T @ (X @ w - t) / len(X))
        w = np.array([0.0 if abs(x) <= 0.1 else x - 0.1 if x > 0 else x + 0.1 for x in w])
        zero_at = zero_at or (step if w[hopper()] == 0 else 0)
    return zero_at


@cache
def hopper() -> int:
    """Of the weights that are zero in the Lasso, the one that L1 in the loss leaves furthest from zero."""
    end = hopping(0.02, 2000)[-1]
    return max((i for i in range(64) if whole_lasso()[i] == 0), key=lambda i: abs(end[i]))


@cache
def by_batches(eta: float, size: int = 32) -> tuple[float, Array]:
    """4,000 proximal steps on batches (of 32) from the Lasso: its zeros in the mean of the last 1,000; the last weights."""
    _, X, y = patients()
    rng, w, t = np.random.default_rng([0, 4]), whole_lasso(), y - y.mean()
    zero, counts = w == 0, []
    for step in range(4000):
        rows = rng.choice(len(X), size, replace=False)
        moved = w - eta * X[rows].T @ (X[rows] @ w - t[rows]) / size
        w = moved - np.clip(moved, -5 * eta, 5 * eta)
        counts += [float((w[zero] == 0).sum())] if step >= 3000 else []
    return sum(counts) / 1000, w


@cache
def by_pairs() -> Array:
    """Products uv after 3,000 steps of decay 5 on both factors, from u = 1 and v = 0."""
    _, X, y = patients()
    u, v, t = np.ones(64), np.zeros(64), y - y.mean()
    for _ in range(3000):
        slope = X.T @ (X @ (u * v) - t) / len(X)
        u, v = u - 0.004 * (slope * v + 5 * u), v - 0.004 * (slope * u + 5 * v)
    return np.asarray(u * v)


# ---- Lasso or ridge ---------------------------------------------------------------------------------
def of_ridge(X: Array, y: Array, lams: Array) -> Array:
    """Ridge weights at each λ of the penalty ½λ‖w‖² on half the mean squared error, inputs centred."""
    x, t = X - X.mean(0), y - y.mean()
    values, turned = np.linalg.eigh(x.T @ x / len(x))
    return np.array([turned @ ((turned.T @ (x.T @ t / len(x))) / (values + lam)) for lam in lams])


def of_lasso(X: Array, y: Array, lams: Array) -> Array:
    """Lasso weights at each λ by coordinate descent, inputs centred; rough at small λ, where 64 inputs overfit."""
    x, t = X - X.mean(0), y - y.mean()
    with warnings.catch_warnings(action="ignore"):
        return np.asarray(
            lasso_path(x, t, alphas=lams, tol=1e-5, max_iter=3000, precompute=True)[1].T
        )


@cache
def losses() -> dict[tuple[str, int], Array]:
    """Of each penalty and number of inputs the test losses of 20 splits: at the chosen λ, and at the best in the test."""
    ten, wide, y = patients()
    ways: dict[str, tuple[Callable[[Array, Array, Array], Array], Array]] = {
        "plain": (of_ridge, np.zeros(1)),
        "ridge": (of_ridge, 10 ** np.linspace(-2, 3, 60)),
        "Lasso": (of_lasso, 50 * 10 ** -np.linspace(0, 3, 31)),
    }
    found: dict[tuple[str, int], Array] = {}
    for X in (wide, ten):
        for name, (fit, lams) in ways.items():
            pairs = []
            for seed in range(20):
                order = np.random.default_rng(seed).permutation(len(y))
                train, choice, test = order[:100], order[100:150], order[150:442]
                on_choice = half_errors(fit(X[train], y[train], lams), X, y, train, choice)
                own = half_errors(
                    fit(X[order[:150]], y[order[:150]], lams), X, y, order[:150], test
                )
                pairs.append((own[on_choice.index(min(on_choice))], min(own)))
            found[name, X.shape[1]] = np.array(pairs)
    return found


def half_errors(weights: Array, X: Array, y: Array, fitted: Array, held: Array) -> list[float]:
    """Half the mean squared error on held rows, of weights that were fitted on others with a free intercept."""
    answers = [y[fitted].mean() + (X[held] - X[fitted].mean(0)) @ w for w in weights]
    return [sum((y[held] - each) ** 2) / 2 / len(held) for each in answers]


def mean_loss(name: str, inputs: int, which: Literal["chosen", "best"]) -> float:
    """A cell of the table: the mean over 20 splits."""
    return sum(on_splits(name, inputs, which)) / 20


def on_splits(name: str, inputs: int, which: Literal["chosen", "best"]) -> list[float]:
    """Test losses of 20 splits."""
    return [float(pair[1 if which == "best" else 0]) for pair in losses()[name, inputs]]


def mean_gap(one: list[float], other: list[float]) -> float:
    """The mean of the differences, split by split."""
    return sum(a - b for a, b in zip(one, other, strict=True)) / len(one)


def ends_of(values: Array, level: float = 0.95) -> tuple[float, float]:
    """Both ends of Student's interval of a mean."""
    low, high = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    return float(low), float(high)


def gap_ends(one: list[float], other: list[float]) -> tuple[float, float]:
    """Both ends of the 95 % interval of the mean difference."""
    return ends_of(np.subtract(one, other))


@cache
def copies() -> dict[str, Array]:
    """Weights of 20 samples with two noisy copies of BMI: the Lasso and the elastic net."""
    ten, _, y = patients()
    found: dict[str, list[Array]] = {"Lasso": [], "elastic net": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((442, 2))
        rows = rng.choice(442, 200, replace=False)
        others = [ten[:, k] for k in range(10) if k != 2]
        both = [ten[:, 2] + 0.1 * noise[:, k] for k in range(2)]
        X = StandardScaler().fit_transform(np.stack([*both, *others], 1)[rows])
        t = y[rows] - y[rows].mean()
        # the squared penalty as eleven more patients, each with one input and the target 0
        wide = np.vstack([X, np.sqrt(0.5 * 200) * np.eye(11)]) * np.sqrt(211 / 200)
        longer = np.concatenate([t, np.zeros(11)]) * np.sqrt(211 / 200)
        found["Lasso"].append(lasso(X, t, 5.0))
        found["elastic net"].append(lasso(wide, longer, 5.0))
    return {name: np.array(each) for name, each in found.items()}


def shares(name: str) -> list[float]:
    """The first copy's share of both copies' weight, in each sample."""
    return [w[0] / (w[0] + w[1]) for w in copies()[name]]


# ---- the digits -------------------------------------------------------------------------------------
def whitened(pixels: Array) -> Array:
    """Images times the inverse root of their covariance; what never varies is left out."""
    x = pixels - pixels.mean(0)
    values, turned = np.linalg.eigh(x.T @ x / len(x))
    used = values > 1e-12 * values[-1]
    return np.asarray(x @ (turned[:, used] / np.sqrt(values[used])) @ turned[:, used].T)


@cache
def images() -> tuple[Array, Array, Array]:
    """Whitened pixels of all digits, the scores' centred targets, and centred grey levels from 0 to 1."""
    raw, labels = load_digits(return_X_y=True)
    pixels = raw[:, [k for k in range(64) if len({*raw[:, k]}) > 1]]
    targets = np.array([[float(label == k) for k in range(10)] for label in labels])
    grey = pixels / 16
    return whitened(pixels), targets - targets.mean(0), grey - grey.mean(0)


@cache
def wanted() -> Array:
    """The least-squares map of whitened pixels to scores."""
    Z, Y, _ = images()
    return np.linalg.lstsq(Z, Y)[0].T


def singular(W: Array) -> Array:
    """Singular values as roots of eigenvalues, the largest first."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(W @ W.T)[::-1], 0))


@cache
def puzzle() -> Array:
    """Singular values of UVᵀ after 800 steps of gradient descent with decay 0.24 on both."""
    Z, Y, _ = images()
    rng = np.random.default_rng(0)
    U, V = rng.uniform(-1, 1, (10, 16)) / 4, rng.uniform(-1, 1, (61, 16)) / np.sqrt(61)
    C, B = Z.T @ Z / len(Z), Y.T @ Z / len(Z)
    for _ in range(800):
        E = U @ V.T @ C - B
        U, V = 0.76 * U - E @ V, 0.76 * V - E.T @ U
    return np.linalg.svd(U @ V.T, compute_uv=False)


@cache
def unseen() -> dict[str, Array]:
    """Accuracy on unseen images in 10 splits at λ = 0, 0.01 … 0.32: shrunk, cut, divided, and two matched maps of 300 images."""
    pixels, labels = load_digits(return_X_y=True)
    rows: dict[str, list[list[float]]] = {
        "two": [],
        "cut": [],
        "one": [],
        "smaller": [],
        "uneven": [],
        "factor": [],
    }
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(labels))
        seen, held = order[:300], order[300:]
        centre = pixels[seen].mean(0)
        values, turned = np.linalg.eigh(np.cov(pixels[seen].T, bias=True))
        used = values > 1e-12 * values[-1]
        whitens = turned[:, used] / np.sqrt(values[used])
        targets = np.eye(10)[labels[seen]]
        fit = (targets - targets.mean(0)).T @ (pixels[seen] - centre) @ whitens / 300
        squares, P = np.linalg.eigh(fit @ fit.T)
        s = np.sqrt(np.maximum(squares, 1e-30))
        scores = (pixels[held] - centre) @ whitens @ fit.T @ P  # each direction's part
        lams = [k / 100 for k in range(33)]
        shares_kept = {
            "two": [np.maximum(1 - lam / s, 0) for lam in lams],
            "cut": [1.0 * (s > max(lam, 1e-9)) for lam in lams],
            "one": [(s > 1e-9) / (1 + lam) for lam in lams],
        }
        kept_s, left_s = s[s > 0.24], s[s > 0.24] - 0.24
        factor = float(np.sqrt((kept_s @ kept_s) / (left_s @ left_s)))
        shares_kept["smaller"] = [(s > 0.24) / factor]
        shares_kept["uneven"] = [np.maximum(1 - 0.24 / s, 0) * factor]
        rows["factor"].append([factor])
        for name, kept in shares_kept.items():
            said = [((scores * each) @ P.T).argmax(1) for each in kept]
            rows[name].append([sum(each == labels[held]) / len(held) for each in said])
    return {name: np.array(each) for name, each in rows.items()}


def accuracy(name: str, lam: float) -> float:
    """The mean accuracy of ten splits at a λ."""
    column = [float(row[round(100 * lam)]) for row in unseen()[name]]
    return sum(column) / len(column)


@cache
def on_raw(share: float) -> Array:
    """Singular values of the minimum on grey levels at a share of ‖E‖₂, by singular value thresholding."""
    _, Y, grey = images()
    C, B = grey.T @ grey / len(grey), Y.T @ grey / len(grey)
    eta, lam = 1 / np.linalg.eigvalsh(C)[-1], share * np.sqrt(np.linalg.eigvalsh(B @ B.T)[-1])
    W = ahead = np.zeros_like(B)
    momentum = 1.0
    for _ in range(1500):
        left, s, right = np.linalg.svd(ahead - eta * (ahead @ C - B), full_matrices=False)
        new = (left * np.maximum(s - eta * lam, 0)) @ right
        later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / later * (new - W)
        W, momentum = new, later
    return np.linalg.svd(W, compute_uv=False)


# ---- the adapters -----------------------------------------------------------------------------------
LAMS = {
    "sgd": (0.1, 0.2, 0.3, 0.4, 0.6),
    "adamw": (0.01, 1.0, 3.0, 10.0, 20.0, 30.0),
    "one": (0.01, 1.0, 3.0, 10.0, 20.0, 30.0),
}


@cache
def renamed() -> Array:
    """What is asked of the adapter: Ŵ with the first five scores in a circle, less Ŵ."""
    W = wanted()
    return np.array([W[(k + 1) % 5 if k < 5 else k] - W[k] for k in range(10)])


@cache
def adapters(way: Way) -> dict[str, Array]:
    """Five starts at each λ, 1,000 batches of 100: singular values, √(ab) and the largest entry, (5, λ, …)."""
    Z, Y, _ = images()
    goal = Y[:, [1, 2, 3, 4, 0, 5, 6, 7, 8, 9]] - Z @ wanted().T
    lams = np.array(LAMS[way])[:, None, None]
    begin, rngs = [], [np.random.default_rng([seed, 1]) for seed in range(5)]
    for seed in range(5):
        begin.append([np.random.default_rng(seed).uniform(-0.25, 0.25, (61, 8))] * len(lams))
    w = [np.zeros((5, len(lams), 10, 8)), np.array(begin)]
    m, v = ([0 * each for each in w] for _ in range(2))
    for step in range(1000):
        eta = (0.2 if way == "sgd" else 0.003) * (1 - step / 1000)
        rows = [rng.integers(len(Z), size=100) for rng in rngs]
        x, asked = Z[rows], goal[rows]
        cov, cross = x.mT @ x / 100, asked.mT @ x / 100
        low = w[1].mT @ cov[:, None]  # (…, 8, 61)
        E_V = w[0] @ (low @ w[1]) - cross[:, None] @ w[1]
        Et_U = low.mT @ (w[0].mT @ w[0]) - cross[:, None].mT @ w[0]
        for k, g in enumerate((E_V, Et_U)):
            square = np.mean(g**2, (2, 3), keepdims=True) + 0 * g if way == "one" else g**2
            m[k] = 0.9 * m[k] + 0.1 * g
            v[k] = 0.999 * v[k] + 0.001 * square
            root = np.sqrt(v[k] / (1 - 0.999 ** (step + 1))) + 1e-8
            move = g if way == "sgd" else m[k] / (1 - 0.9 ** (step + 1)) / root
            w[k] = w[k] - eta * lams * w[k] - eta * move
    a, b = (
        (np.sqrt(vs / (1 - 0.999**1000)) * ws**2).sum((2, 3)) / (ws**2).sum((2, 3)).clip(1e-300)
        for vs, ws in zip(v, w, strict=True)
    )
    size = np.maximum(*(abs(each).max((2, 3)) for each in w))
    s = np.linalg.svd(w[0] @ w[1].mT, compute_uv=False)
    return {"s": s, "root": np.sqrt(a * b), "entry": size * lams[:, 0, 0]}


def taken(lam: float) -> Array:
    """What AdamW takes of each of the four directions at a λ, in the mean of five runs."""
    kept = adapters("adamw")["s"][:, LAMS["adamw"].index(lam), :4]
    return np.asarray(singular(renamed())[:4] - sum(kept) / 5)


def roots() -> list[float]:
    """√(ab) at each λ, in the mean of five runs."""
    return [sum(column) / 5 for column in adapters("adamw")["root"].T]


# ---- small problems ---------------------------------------------------------------------------------
def on_circle(metric: Array, centre: Array, radius: float) -> Array:
    """The point of a circle around 0 where (w − centre)ᵀ metric (w − centre) is least."""

    def loss(angle: float) -> float:
        gap = radius * np.array([np.cos(angle), np.sin(angle)]) - centre
        return float(gap @ metric @ gap)

    angle = optimize.minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x
    return radius * np.array([np.cos(angle), np.sin(angle)])


def on_diamond(metric: Array, centre: Array, size: float) -> Array:
    """The point of the diamond |w₁| + |w₂| = size where the loss is least, of many on its edges."""
    t = np.linspace(0, 1, 100_001)[:, None]
    ends = size * np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)])
    edge = np.concatenate([(1 - t) * a + t * b for a, b in pairwise(ends)])
    return np.asarray(edge[np.einsum("ni,ij,nj->n", edge - centre, metric, edge - centre).argmin()])


def cheapest(product: float) -> float:
    """The least cost ½(u² + v²) of two factors of a product."""
    found = optimize.minimize_scalar(
        lambda log: (np.exp(2 * log) + product**2 * np.exp(-2 * log)) / 2, tol=1e-12
    )
    return float(found.fun)


def group() -> Array:
    """The minimum of ½‖w − z‖² + ‖w‖ at z = (3, −0.5, 1), by a descent that knows no formula."""
    z = np.array([3, -0.5, 1])
    found = optimize.minimize(
        lambda w: sum((w - z) ** 2) / 2 + np.sqrt(sum(w**2)),
        [1.0, 1, 1],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 5000, "maxfev": 5000},
    )
    return np.asarray(found.x)


def alone(decay: float, eta: float, steps: int) -> float:
    """What decay alone leaves of a product of two factors, step by step."""
    factor = 1.0
    for _ in range(steps):
        factor -= eta * decay * factor
    return factor * factor


def dead_input(decay: float, eta: float, steps: int) -> tuple[float, float]:
    """Of an adapter at rest, with four inputs that never occur: what steps leave of its living and of its dead part."""
    rng = np.random.default_rng(4)
    P, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    Q, _ = np.linalg.qr(rng.standard_normal((8, 6)))
    s = np.linspace(1.0, 0.5, 6)  # at rest; the data want decay more
    target = P @ np.diag(s + decay) @ Q.T
    U, V = P * np.sqrt(s), np.vstack([Q * np.sqrt(s), rng.standard_normal((4, 6))])
    before = U @ V.T
    for _ in range(steps):
        slopes = np.hstack([(U @ V.T)[:, :8] - target, np.zeros((6, 4))])
        U, V = U - eta * (slopes @ V + decay * U), V - eta * (slopes.T @ U + decay * V)
    after = U @ V.T
    alive, dead = (after[:, part] / before[:, part] for part in (slice(8), slice(8, 12)))
    return float(np.median(alive)), float(np.median(dead))


def scaled_adapter(c: float, h: float = 1.0) -> tuple[Array, Array]:
    """With W = W₀ + cUVᵀ, inputs of variance h, slopes divided by a and b: what decay takes from W − W₀; λ√(ab)/(ch)."""
    wanted_s, u, v, a, b = np.array([0.9, 0.5]), np.ones(2), np.ones(2), 0.02 * c, 0.08 * c
    for _ in range(40_000):
        slope = c * h * (c * u * v - wanted_s)
        u, v = u - 0.002 * (slope * v / a + u), v - 0.002 * (slope * u / b + v)
    return wanted_s - c * u * v, np.full(2, np.sqrt(a * b) / (c * h))


def lasso_of_two(metric: Array, centre: Array) -> Array:
    """The minimum of ½(w − centre)ᵀ metric (w − centre) plus |w₁| + |w₂|, one weight after another."""
    w = np.zeros(2)
    for _ in range(200):
        for i in range(2):
            asks = metric[i] @ (centre - w) + metric[i, i] * w[i]
            w[i] = max(abs(asks) - 1, 0) * (1 if asks > 0 else -1) / metric[i, i]
    return w


def halfway(decay: float) -> Array:
    """Where half the squared distance to (1, 0.6) plus decay times half the squared length is least."""
    goal = np.array([1, 0.6])
    found = optimize.minimize(lambda w: ((w - goal) @ (w - goal) + decay * w @ w) / 2, [0.0, 0.0])
    return np.asarray(found.x)


def pull(k: int) -> float:
    """Minus the slope of the loss in weight k at the Lasso of all patients."""
    _, X, y = patients()
    errors = y - y.mean() - X @ whole_lasso()
    return sum(float(a * b) for a, b in zip(errors, X[:, k], strict=True)) / len(y)


def furthest_off() -> float:
    """With one √v̂ a factor, how far a mean of five runs is from (4.10), at most."""
    runs, wants = adapters("one"), singular(renamed())
    gaps = []
    for j, lam in enumerate(LAMS["one"]):
        for k in range(4):
            law = [max(wants[k] - lam * root, 0) for root in runs["root"][:, j]]
            gaps.append(abs(sum(runs["s"][:, j, k]) - sum(law)) / 5)
    return float(max(gaps))


def furthest(eta: float, steps: int) -> float:
    """How far from zero L1 in the loss leaves a weight that is zero in the Lasso, at most; as a multiple of ηλ."""
    ends = zip(hopping(eta, steps)[-1], whole_lasso(), strict=True)
    return float(max(abs(w) for w, at_rest in ends if at_rest == 0) / (eta * 5))


def zeros_by_proximal(steps: int, lam: float = 5.0) -> int:
    """Weights that are exactly zero after so many proximal steps of η = 0.02."""
    _, X, y = patients()
    w, H, q = np.zeros(64), X.T @ X / len(X), X.T @ (y - y.mean()) / len(X)
    for _ in range(steps):
        w = w - 0.02 * (H @ w - q)
        edge = 0.02 * lam
        w = np.where(w > edge, w - edge, np.where(w < -edge, w + edge, 0.0))
    return sum(weight == 0 for weight in w)


def pairs_off() -> float:
    """How far a product uv ends from the Lasso's weight, at most, as a share of the largest weight."""
    gaps = [abs(a - b) for a, b in zip(by_pairs(), whole_lasso(), strict=True)]
    return float(max(gaps) / max(abs(w) for w in whole_lasso()))


def last_decay() -> float:
    """The largest singular value of the slopes at W = 0 on grey levels."""
    _, Y, grey = images()
    return float(
        singular(np.sum([np.outer(a, b) for a, b in zip(Y, grey, strict=True)], 0) / len(Y))[0]
    )


@cache
def five_starts(lam: float) -> Array:
    """Singular values of UVᵀ after 2,000 steps of η = 1 on whitened digits, from five starts."""
    found = []
    for seed in range(5):
        start = np.random.default_rng(seed).uniform(-0.25, 0.25, (71, 16))
        U, V = start[:10], start[10:] / 2
        for _ in range(2000):
            E = U @ V.T - wanted()
            U, V = U - E @ V - lam * U, V - E.T @ U - lam * V
        found.append(np.linalg.svd(U @ V.T, compute_uv=False))
    return np.array(found)


@cache
def one_matrix(lam: float) -> float:
    """The largest singular value of one matrix under weight decay: ridge, by examples that ask for zero."""
    Z, Y, _ = images()
    more = np.vstack([Z, np.sqrt(lam * len(Z)) * np.eye(61)])
    return float(singular(np.linalg.lstsq(more, np.vstack([Y, np.zeros((61, 10))]))[0].T)[0])


def downhill(metric: Array, centre: Array, at: Array) -> Array:
    """The direction in which ½(w − centre)ᵀ metric (w − centre) falls fastest, by trying 36,000 of them."""
    turns = np.linspace(0, 2 * np.pi, 36_001)
    ways = np.stack([np.cos(turns), np.sin(turns)], 1)
    there = np.asarray(at) + 1e-4 * ways - centre
    return np.asarray(ways[np.einsum("ni,ij,nj->n", there, metric, there).argmin()])


def price_ends(one: str, other: str, lams: tuple[float, float]) -> float:
    """The lower end of the interval of the accuracy that one map has more than another."""
    a, b = (
        unseen()[name][:, round(100 * lam)] for name, lam in zip((one, other), lams, strict=True)
    )
    return gap_ends(list(a), list(b))[0]


def largest_miss() -> float:
    """At λ = 3 and 10, how far what AdamW takes is from λ√(ab), at most, as a share of it."""
    reach = {lam: lam * root for lam, root in zip(LAMS["adamw"], roots(), strict=True)}
    return max(float(abs(loss / reach[lam] - 1)) for lam in (3.0, 10.0) for loss in taken(lam))


def runs(way: Way, k: int) -> tuple[Array, Array, Array, Array]:
    """At each λ of direction k: λ√(ab) in the mean of five runs, and the mean, least and largest singular value."""
    found, lams = adapters(way), LAMS[way]
    x = [lam * sum(found["root"][:, j]) / 5 for j, lam in enumerate(lams)]
    columns = [sorted(found["s"][:, j, k]) for j in range(len(lams))]
    means, low, high = zip(*[(sum(c) / 5, c[0], c[-1]) for c in columns], strict=True)
    return np.array(x), np.array(means), np.array(low), np.array(high)


def one_product(
    decay: float,
    eta: float,
    steps: int,
    start: tuple[float, float],
    wanted_s: float,
    a: float = 1.0,
    b: float = 1.0,
) -> Array:
    """After each step on ½(uv − ŝ)², slopes divided by a and b: what uv lacks, u² + v² and u² − v²."""
    (u, v), path = start, []
    for _ in range(steps):
        gap = wanted_s - u * v
        u, v = u * (1 - eta * decay) + eta * gap * v / a, v * (1 - eta * decay) + eta * gap * u / b
        path.append((wanted_s - u * v, u * u + v * v, u * u - v * v))
    return np.array(path)


@cache
def under_adam() -> tuple[float, float]:
    """Correlated inputs, slopes divided by a and b: the slopes' norm and their pull on W, in λ√(ab)."""
    rng, a, b, decay = np.random.default_rng(3), 0.5, 0.02, 0.6
    covariance = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, -0.1], [0.2, -0.1, 0.5]])
    target, U, V = (
        rng.standard_normal((3, 3)),
        rng.uniform(-1, 1, (3, 5)),
        rng.uniform(-1, 1, (3, 5)),
    )
    for _ in range(60_000):
        E = (U @ V.T - target) @ covariance
        U, V = U - 0.002 * (E @ V / a + decay * U), V - 0.002 * (E.T @ U / b + decay * V)
    W, scale = U @ V.T, decay * np.sqrt(a * b)
    E = (W - target) @ covariance
    return singular(E)[0] / scale, -(E * W).sum() / (scale * singular(W).sum())


@cache
def by_cross_entropy(lam: float) -> Array:
    """Singular values at the minimum of cross-entropy with half-smoothed labels plus λ times the nuclear norm."""
    Z, Y, _ = images()
    labels = 0.5 * (Y + (load_digits().target[:, None] == np.arange(10)).mean(0)) + 0.05
    W = ahead = np.zeros((10, Z.shape[1]))
    for k in range(3000):  # accelerated proximal steps
        p = np.exp(Z @ ahead.T)
        p /= p.sum(1, keepdims=True)
        moved = ahead - 2 * (p - labels).T @ Z / len(Z)
        P, s, Q = np.linalg.svd(moved, full_matrices=False)
        W, before = (P * np.maximum(s - 2 * lam, 0)) @ Q, W
        ahead = W + k / (k + 3) * (W - before)
    return np.linalg.svd(W - W.mean(0), compute_uv=False)
