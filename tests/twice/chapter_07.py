"""Chapter 7's numbers a second time: normalised networks in plain NumPy, with gradients by hand."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from tests.twice import contours

Array = NDArray[Any]
off_map = contours.off_map
NORMS = (None, "batch", "layer", "weight")
LAMS = (0.0, 0.3, 1.0, 3.0, 0.1)
"""Of section 7.1, those that words speak of; the last for the plain network only."""
FEW = (0.0, 0.1, 1.0)
"""The same on MNIST-1D."""


# ---- data ---------------------------------------------------------------------------------------
@cache
def digits() -> tuple[Array, Array, Array, Array]:
    """Of 600 digits for training and of the others: grey levels less the mean of all, and labels."""
    data = load_digits()
    grey = data.data / 16
    grey = grey - sum(grey) / len(grey)
    order = np.random.default_rng(0).permutation(len(grey))
    own, rest = order[:600], order[600:]
    return grey[own], data.target[own], grey[rest], data.target[rest]


@cache
def signals() -> tuple[Array, Array, Array, Array]:
    """The same of MNIST-1D: its first 500 signals, and the others."""
    with np.load(Path(__file__).parents[2] / "l2lib" / "data" / "mnist1d.npz") as file:
        x, y = file["X"].astype(float), file["y"].astype(int)
    return x[:500], y[:500], x[500:], y[500:]


# ---- networks -----------------------------------------------------------------------------------
class Nets:
    """Networks side by side, with a hidden ReLU layer that has a norm, or none."""

    def __init__(
        self, norm: str | None, sizes: tuple[int, int, int], copies: int, seeds: tuple[int, ...]
    ) -> None:
        self.norm, parts = norm, list[list[Array]]()
        for seed in seeds:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
            own = []
            for k, out in ((sizes[0], sizes[1]), (sizes[1], sizes[2])):
                own += [
                    rng.uniform(-1, 1, (out, k)) / k**0.5,
                    rng.uniform(-1, 1, (1, out)) / k**0.5,
                ]
            parts += [own] * copies
        w, b, v, c = (np.array(part) for part in zip(*parts, strict=True))
        lengths = np.linalg.norm(w, axis=2)[:, None]
        scale = lengths if norm == "weight" else np.ones_like(b)
        self.p = [w, b, v, c, scale, np.zeros_like(b)]

    def hidden(self, x: Array, seen: Array | None = None) -> tuple[Array, Array, Array]:
        """Before the ReLU, normalised values, and what these were divided by; seen gives batch norm's statistics."""
        w, b, _, _, scale, shift = self.p
        if self.norm == "weight":
            lengths = np.linalg.norm(w, axis=2)[:, None]
            z = x @ w.mT / lengths
            return scale * z + b, z, lengths
        z = x @ w.mT + b
        if self.norm is None:
            return z, z, b
        of = z if seen is None or self.norm == "layer" else seen @ w.mT + b
        axis = 1 if self.norm == "batch" else 2
        mean = of.mean(axis, keepdims=True)
        spread = np.sqrt(((of - mean) ** 2).mean(axis, keepdims=True) + 1e-12)
        normed = (z - mean) / spread
        return scale * normed + shift, normed, spread

    def outputs(self, x: Array, seen: Array | None = None) -> Array:
        """Scores, (network, example, class)."""
        return np.asarray(np.maximum(self.hidden(x, seen)[0], 0) @ self.p[2].mT + self.p[3])

    def step(self, x: Array, y: Array, eta: float, lams: list[Array]) -> None:
        """One step of SGD; λ of the hidden and of the last matrix are added to gradients."""
        w, _, v, _, scale, _ = self.p
        before, normed, spread = self.hidden(x)
        h = np.maximum(before, 0)
        out = h @ v.mT + self.p[3]
        p = np.exp(out - out.max(2, keepdims=True))
        e = (p / p.sum(2, keepdims=True) - np.eye(10)[y]) / x.shape[1]
        back = (e @ v) * (before > 0)
        of_scale, of_shift = (back * normed).sum(1, keepdims=True), back.sum(1, keepdims=True)
        if self.norm == "weight":
            unit = w / spread.mT
            of_w = (back * scale).mT @ x
            of_w = (of_w - (of_w * unit).sum(2, keepdims=True) * unit) / spread.mT
            of_b, of_shift = of_shift, 0 * of_shift
        else:
            of_z = back
            if self.norm:
                axis = 1 if self.norm == "batch" else 2
                of_z = back * scale
                along = (of_z * normed).mean(axis, keepdims=True)
                of_z = (of_z - of_z.mean(axis, keepdims=True) - normed * along) / spread
            else:
                of_scale, of_shift = 0 * of_scale, 0 * of_shift
            of_w, of_b = of_z.mT @ x, of_z.sum(1, keepdims=True)
        slopes = [of_w + lams[0] * w, of_b, e.mT @ h + lams[1] * v, e.sum(1, keepdims=True)]
        slopes += [of_scale, of_shift]
        self.p = [each - eta * slope for each, slope in zip(self.p, slopes, strict=True)]


@cache
def trained(
    norm: str | None, set_of: str, both: bool = False, patient: bool = False
) -> tuple[Nets, Array]:
    """Networks of five seeds at each λ, and the hidden matrices' squared norms halfway.

    With both layers decayed λ is 0 or 0.1; patient ones have λ 0 or 3, a quarter of η and four times the steps, and
    are two only, the first seed's and the fourth's.
    """
    x, y, _, _ = digits() if set_of == "digits" else signals()
    lams: tuple[float, ...] = (0, 0.1) if both else (0, 3) if patient else FEW
    seeds = (0, 3) if patient else (0, 1, 2, 3, 4)
    if set_of == "digits" and not both and not patient:
        lams = LAMS if norm is None else LAMS[:4]
    nets = Nets(norm, (64, 32, 10) if set_of == "digits" else (40, 48, 10), len(lams), seeds)
    first = np.tile(lams, len(seeds))[:, None, None]
    decay = [first, first if both else 0 * first]
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
    steps, whole, halfway = 1600 if patient else 400, len(x) // 50, np.empty((0, 0))
    for t in range(steps):
        if t % whole == 0:
            epoch = np.repeat([rng.permutation(len(x)) for rng in rngs], len(lams), 0)
        if t == steps // 2:
            halfway = np.array([float((w * w).sum()) for w in nets.p[0]]).reshape(len(seeds), -1)
        rows = epoch[:, 50 * (t % whole) : 50 * (t % whole) + 50]
        eta = (0.025 if patient else 0.1) * min(1, 2 - 2 * t / steps)
        nets.step(x[rows], y[rows], eta, decay)
    return nets, halfway


def loss_of(outputs: Array, y: Array) -> Array:
    """Mean cross-entropy of each network."""
    top = outputs.max(2)
    own = np.array([each[range(len(y)), y] for each in outputs])
    odds = np.exp(outputs - top[..., None]).sum(2)
    return np.asarray((top + np.log(odds) - own).mean(1))


@cache
def losses(norm: str | None, set_of: str = "digits", **options: bool) -> Array:
    """Training losses after training, (seed, λ)."""
    x, y, _, _ = digits() if set_of == "digits" else signals()
    nets = trained(norm, set_of, **options)[0]
    return loss_of(nets.outputs(x), y).reshape(2 if "patient" in options else 5, -1)


@cache
def classes(norm: str | None, set_of: str = "digits") -> Array:
    """Classes of the test examples, (seed, λ, example); batch norm takes its statistics from all training inputs."""
    x, _, other, _ = digits() if set_of == "digits" else signals()
    found = trained(norm, set_of)[0].outputs(other, x).argmax(2)
    return np.asarray(found.reshape(5, -1, len(other)))


def right(norm: str | None, set_of: str = "digits") -> Array:
    """Test accuracies, (seed, λ)."""
    y = (digits() if set_of == "digits" else signals())[3]
    return np.asarray((classes(norm, set_of) == y).sum(2) / len(y))


def times(norm: str | None, lam: float, set_of: str = "digits", **options: bool) -> list[float]:
    """Training loss at a λ over that without decay, one number a seed."""
    lams = LAMS if set_of == "digits" else FEW
    k = 1 if options else lams.index(lam)
    return [float(row[k] / row[0]) for row in losses(norm, set_of, **options)]


def changed(norm: str | None, lam: float, set_of: str = "digits") -> list[float]:
    """Share of test examples in another class than without decay, one number a seed."""
    k = (LAMS if set_of == "digits" else FEW).index(lam)
    seeds = classes(norm, set_of)
    return [sum(a != b for a, b in zip(s[k], s[0], strict=True)) / len(s[0]) for s in seeds]


def seeds_apart(norm: str | None) -> float:
    """Share of test signals on which a seed and the next, in a circle, disagree without decay."""
    free = [seed[0].tolist() for seed in classes(norm, "signals")]
    pairs = [(a, b) for k in range(5) for a, b in zip(free[k], free[k - 1], strict=True)]
    return float(sum(a != b for a, b in pairs) / len(pairs))


def mean(values: Any) -> float:
    """The mean of some numbers."""
    kept = [float(value) for value in values]
    return sum(kept) / len(kept)


def faster(norm: str) -> float:
    """Halfway, η over the hidden weights' squared norm at λ = 0.3 over that without decay, mean of five seeds."""
    return mean(row[0] / row[1] for row in trained(norm, "digits")[1])


def shorter(layer: int) -> float:
    """In the plain network, norm of a layer's weights at λ = 1 over that without decay, mean of five seeds."""
    w = trained(None, "digits")[0].p[(0, 2)[layer]]
    sizes = np.array([np.linalg.norm(each) for each in w]).reshape(5, -1)
    return mean(row[2] / row[0] for row in sizes)


# ---- one random layer ---------------------------------------------------------------------------
@cache
def layer() -> dict[str, Array]:
    """Section 7.2's weights, and a hundred digits."""
    rng = np.random.default_rng(0)
    W, V = rng.standard_normal((16, 64)) / 8, rng.standard_normal((10, 16)) / 8
    bias, gamma = rng.standard_normal(16), rng.uniform(0.5, 1.5, 16)
    beta = rng.uniform(-0.3, 0.3, 16)
    each = 10 ** rng.uniform(-1, 1, (16, 1))
    x, y, _, _ = digits()
    return {"W": W, "V": V, "bias": bias, "gamma": gamma, "beta": beta, "each": each} | {
        "x": x[:100],
        "y": y[:100],
    }


def scores(W: Array, axis: int = 0, eps: float = 0.0, bias: float = 1, sign: int = 1) -> Array:
    """Outputs of a batch norm's (axis 0) or layer norm's network; the bias and γ times a number."""
    own = layer()
    z = own["x"] @ W.T + bias * own["bias"]
    z = z - z.mean(axis, keepdims=True)
    z = z / np.sqrt(np.mean(z * z, axis, keepdims=True) + eps)
    return np.asarray(np.maximum(sign * own["gamma"] * z + own["beta"], 0) @ own["V"].T)


def apart(one: Array, other: Array) -> float:
    """The largest change of a score over the largest of the first scores."""
    gaps = [abs(a - b) for a, b in zip(one.flat, other.flat, strict=True)]
    return float(max(gaps) / max(abs(a) for a in one.flat))


def cosine(scale: float, eps: float) -> float:
    """The largest |cosine| of a unit's weights and gradient under batch norm with such an ε."""
    own = layer()
    W = scale * own["W"]
    z = own["x"] @ W.T + own["bias"]
    z = z - z.mean(0)
    spread = np.sqrt((z * z).mean(0) + eps)
    normed = z / spread
    before = own["gamma"] * normed + own["beta"]
    out = np.maximum(before, 0) @ own["V"].T
    p = np.exp(out) / np.exp(out).sum(1)[:, None]
    p[range(100), own["y"]] -= 1
    back = (p / 100 @ own["V"]) * (before > 0) * own["gamma"]
    back = (back - back.mean(0) - normed * (back * normed).mean(0)) / spread
    G = back.T @ own["x"]
    pairs = zip(G, W, strict=True)
    return max(float(abs(g @ w) / ((g @ g) * (w @ w)) ** 0.5) for g, w in pairs)


def stale(w: Array, b: Array, v: Array, c: Array) -> float:
    """Change of outputs when weights triple behind a batch norm that keeps the statistics of one pass."""
    x = layer()["x"]
    z = x @ w.T + b
    mean, spread = z.sum(0) / 100, z.std(0, ddof=1)
    old, new = ((out - mean) / spread for out in (z, 3 * x @ w.T + b))
    return apart(np.maximum(old, 0) @ v.T + c, np.maximum(new, 0) @ v.T + c)


# ---- a plane ------------------------------------------------------------------------------------
@cache
def leans() -> list[tuple[float, float]]:
    """Of 20 planes with ε = 0.1, how far arrows on a circle lean out where the loss is least, and largest."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 7])
        a = rng.standard_normal((60, 2))
        points = np.array([(1.2 * p, 0.3 * p + 0.9 * q) for p, q in a])
        sides = [1 if 0.5 * p + q > 0 else -1 for p, q in points]

        def loss(angle: float, r: float, eps: float, xy: Array = points, of: Any = sides) -> float:
            z = r * (xy @ [np.cos(angle), np.sin(angle)])
            z = (z - z.mean()) / np.sqrt(z.var() + eps)
            return float(np.mean([np.log(1 + np.exp(-s * v)) for s, v in zip(of, z, strict=True)]))

        angles = [2 * np.pi * k / 12 for k in range(12)]
        ends = [
            min(angles, key=lambda t: loss(t, 0.75, 0)),
            max(angles, key=lambda t: loss(t, 0.75, 0)),
        ]
        out = [(loss(t, 0.75 - 1e-5, 0.1) - loss(t, 0.75 + 1e-5, 0.1)) / 2e-5 for t in ends]
        found.append((out[0], out[1]))
    return found
