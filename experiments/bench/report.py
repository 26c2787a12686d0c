"""What was measured, as tables, a picture and files."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from experiments.bench.contest import Compiling, Row
from experiments.bench.job import Optimizer
from l2lib import figures

DIGITS, SIGNAL, CNN = "MLP, batch norm", "MNIST-1D, batch norm", "CNN, batch norm"


class Numbers(NamedTuple):
    """In which numbers, and by which optimizer, a work is trained."""

    dtype: str
    optimizer: Optimizer


PLAIN = Numbers("float32", "sgd")
NUMBERS = [
    PLAIN,
    Numbers("float32", "adamw"),
    Numbers("float64", "sgd"),
    Numbers("float64", "adamw"),
]
COLOURS = {
    "l2lib": figures.BLUE,
    "JAX": figures.ORANGE,
    "JAX, patches": figures.ORANGE,
    "torch.func.vmap": figures.GREEN,
    "skorch": figures.PINK,
    "products alone": figures.AMBER,
    "plain loop": figures.GREY,
}
LEVEL = ("skorch", "products alone", "plain loop")  # their rate does not depend on K


class Target(NamedTuple):
    """What the engine should reach, and what it has reached: nan if that was not measured."""

    words: str
    reached: float
    sense: str
    """"≥" or "≤"."""
    bound: float

    @property
    def missed(self) -> bool:
        """Whether it was measured, and is not met."""
        return self.reached < self.bound if self.sense == "≥" else self.reached > self.bound


class Ratios:
    """Ratios to the plain loop, the best that a contender reached."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)

    def best(
        self,
        work: str,
        contender: str = "l2lib",
        *,
        k: int | None = None,
        workers: int = 1,
        numbers: Numbers = PLAIN,
    ) -> float:
        """The best for these; of all K if none is given; nan if none was measured."""
        wanted = (work, contender, numbers, workers)
        found = [
            row.ratio_to_plain_loop
            for row in self.rows
            if (row.work, row.contender, Numbers(row.dtype, row.optimizer), row.workers) == wanted
            and k in (None, row.k)
        ]
        return max(found, default=math.nan)


def targets(rows: list[Row]) -> list[Target]:
    """What the engine should reach beside what it has reached."""
    best = Ratios(rows).best
    double = Numbers("float64", "sgd")
    one = best(DIGITS, k=192)
    two = best(DIGITS, k=192, workers=2)
    roof = best(DIGITS, "products alone")
    cnn = best(CNN)
    halved = best(DIGITS, "l2lib, chunks", k=96)
    whole = best(DIGITS, "l2lib, chunks", k=192)
    bare = best(DIGITS, "l2lib, no records")
    loop = "against the plain loop"
    twice = "time for K = 192 over time for K = 96, chunks of one size"
    return [
        Target(f"{DIGITS}, K = 192, one core, {loop}", one, "≥", 2.5),
        Target(f"{DIGITS}, K = 192, two cores, {loop}", two, "≥", 4.3),
        Target(f"{SIGNAL}, K = 192, one core, {loop}", best(SIGNAL, k=192), "≥", 3.1),
        Target(f"linear, K = 1023, float32, one core, {loop}", best("linear", k=1023), "≥", 300),
        Target(
            "linear, K = 1023, float64, the same", best("linear", k=1023, numbers=double), "≥", 180
        ),
        Target(
            f"{DIGITS}, two cores, against JAX at its best K",
            two / best(DIGITS, "JAX", workers=2),
            "≥",
            1.1,
        ),
        Target(
            f"{DIGITS}, share of the rate of its products alone, in %", 100 * one / roof, "≥", 52
        ),
        Target(f"{CNN}, one core, {loop}", cnn, "≥", 1.5),
        Target(f"{CNN}, one core, against JAX", cnn / best(CNN, "JAX"), "≥", 9),
        Target(f"{DIGITS}, {twice}", 2 * halved / whole, "≤", 2.1),
        Target(f"{DIGITS}, time that records add, in %", 100 * bare / one - 100, "≤", 12),
    ]


def target_table(rows: list[Row]) -> list[str]:
    """Lines of a table of what was reached beside what should be."""
    lines = ["| | reached | target |", "|---|---:|---:|"]
    for target in targets(rows):
        reached = "–" if math.isnan(target.reached) else f"{target.reached:.3g}"
        missed = " (missed)" if target.missed else ""
        lines.append(f"| {target.words} | {reached}{missed} | {target.sense} {target.bound:g} |")
    return lines


def work_table(rows: list[Row]) -> list[str]:
    """Lines of a table of one work's rates, each with its ratio to the plain loop."""
    cells: dict[tuple[str, int, int], dict[Numbers, str]] = {}
    for row in rows:
        text = f"{row.config_steps_per_second:,.0f} ({row.ratio_to_plain_loop:.3g}×)"
        own = cells.setdefault((row.contender, row.workers, row.k), {})
        own[Numbers(row.dtype, row.optimizer)] = text
    shown = [numbers for numbers in NUMBERS if any(numbers in own for own in cells.values())]
    heads = ["contender", "cores", "K", *(f"{dtype}, {optimizer}" for dtype, optimizer in shown)]
    lines = [line_of(heads), "|---|---:|---:|" + "---:|" * len(shown)]
    for key, own in cells.items():
        lines.append(line_of([*key, *(own.get(numbers, "") for numbers in shown)]))
    return lines


def line_of(cells: Iterable[object]) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


Curve = dict[int, float]
"""Ratios by K."""


def curves(rows: list[Row]) -> dict[str, dict[str, Curve]]:
    """What is drawn, by work and contender: on one core, in float32 with SGD."""
    found: dict[str, dict[str, Curve]] = {}
    for row in rows:
        plain = (row.dtype, row.optimizer, row.workers) == (*PLAIN, 1)
        if plain and row.contender in COLOURS:
            curve = found.setdefault(row.work, {}).setdefault(row.contender, {})
            curve[row.k] = row.ratio_to_plain_loop
    return found


def picture(rows: list[Row], path: Path) -> str:
    """Draw ratios to the plain loop over K; return the picture in words."""
    works = curves(rows)
    n_rows = len(works) // 3 + 1  # one panel is the legend's
    fig, axes = figures.subplots(n_rows, 3, figsize=(10, 3 * n_rows), squeeze=False)
    words = ["Ratios to the plain loop."]
    handles: dict[str, Any] = {}
    for ax, (work, contenders) in zip(axes.flat, works.items(), strict=False):
        for contender, curve in contenders.items():
            handles[contender] = draw(ax, contender, curve)
            words.append(f"{work}, {contender}: {ends(curve)}.")
        label(ax, work, list(contenders.values()))
    for ax in axes.flat[len(works) :]:
        ax.set_axis_off()
    axes.flat[-1].legend(handles.values(), handles.keys(), loc="center")
    fig.savefig(path, metadata={"Date": None})
    return " ".join(words)


def draw(ax: Any, contender: str, curve: Curve) -> Any:
    """Draw one contender's line; return its handle for the legend."""
    colour = COLOURS[contender]
    ks = sorted(curve)
    if contender in LEVEL:
        return ax.axhline(curve[ks[0]], color=colour, linestyle="--")
    style = "o:" if contender == "JAX, patches" else "o-"
    (handle,) = ax.plot(ks, [curve[k] for k in ks], style, color=colour)
    return handle


def ends(curve: Curve) -> str:
    """The ratios at the smallest and at the largest K, in words."""
    return " to ".join(f"{curve[k]:.3g}" for k in sorted({min(curve), max(curve)}))


def label(ax: Any, work: str, shown: list[Curve]) -> None:
    """Title and axes of a panel."""
    ks = sorted({k for curve in shown for k in curve})
    ax.set(title=work, xlabel="configurations K", ylabel="times the plain loop", xscale="log")
    ax.set_xticks(ks, labels=[str(k) for k in ks])
    ax.set_xticks([], minor=True)
    if max(max(curve.values()) for curve in shown) > 50:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
    else:
        ax.set_ylim(bottom=0)


def write(
    rows: list[Row], compiling: list[Compiling], machine: dict[str, str], folder: Path
) -> str:
    """Write bench.json (rows), bench-machine.json, bench.svg and bench.md; return the tables.

    Args:
        rows: see the book's page on the benchmark.
        compiling: seconds that JAX compiled, by entry.
        machine: what the numbers depend on besides the code.
        folder: where to; it is made if need be.

    Returns:
        The tables, in Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seconds = [asdict(each) for each in compiling]
    write_json(folder / "bench.json", [asdict(row) for row in rows])
    write_json(folder / "bench-machine.json", {"machine": machine, "compiling": seconds})
    about = f"Measured with {', '.join(f'{name} {value}' for name, value in machine.items())}."
    tables: list[str] = []
    for work in dict.fromkeys(row.work for row in rows):
        tables += section(work, rows, compiling)
    tables += ["### Targets", "", *target_table(rows), ""]
    image = f"![{picture(rows, folder / 'bench.svg')}](bench.svg)"
    shown = "\n".join([about, "", image, "", *tables])
    (folder / "bench.md").write_text(shown, encoding="utf-8")
    return "\n".join([about, "", *tables])


def write_json(path: Path, content: object) -> None:
    """Write what JSON can hold."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def section(work: str, rows: list[Row], compiling: list[Compiling]) -> list[str]:
    """Lines on one work."""
    lines = [f"### {work}", "", *work_table([row for row in rows if row.work == work]), ""]
    seconds = [each.seconds for each in compiling if each.work == work]
    if seconds:
        span = f"{min(seconds):.1f} to {max(seconds):.1f} s"
        lines += [f"JAX compiled {span}, not counted in its rates.", ""]
    return lines
