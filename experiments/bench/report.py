"""What was measured, as tables, a picture and files."""

import json
import math
from pathlib import Path
from typing import Any

from l2lib import figures

Row = dict[str, Any]
DIGITS, SIGNAL, CNN = "MLP, batch norm", "MNIST-1D, batch norm", "CNN, batch norm"
OPTIONS = [("float32", "sgd"), ("float32", "adamw"), ("float64", "sgd"), ("float64", "adamw")]
COLOURS = {
    "l2lib": figures.BLUE, "l2lib (oneDNN)": figures.SKY, "JAX": figures.ORANGE,
    "JAX, patches": figures.ORANGE, "torch.func.vmap": figures.GREEN,
    "skorch": figures.PINK, "products alone": figures.AMBER, "plain loop": figures.GREY,
}  # fmt: skip
LEVEL = ("skorch", "products alone", "plain loop")  # their rate does not depend on K


def targets(rows: list[Row], ours: str, products: str) -> list[tuple[str, float, str, float | None, float | None]]:
    """What the engine should reach.

    Args:
        rows: of bench.json.
        ours: the contender, "l2lib" or "l2lib (oneDNN)".
        products: the same products alone.

    Returns:
        For each target: what it is; what was reached, nan if not measured; "≥" or "≤"; and the bounds with torch's own
        products and with oneDNN's, None where nothing is asked.
    """

    def at(work: str, contender: str = ours, **where: Any) -> float:
        """The best ratio to the plain loop."""
        where = {"work": work, "contender": contender, "dtype": "float32", "optimizer": "sgd", "workers": 1} | where
        return max((row["ratio_to_plain_loop"] for row in rows if where.items() <= row.items()), default=math.nan)

    one, two = at(DIGITS, k=192), at(DIGITS, k=192, workers=2)
    halved, whole = at(DIGITS, f"{ours}, chunks", k=96), at(DIGITS, f"{ours}, chunks", k=192)
    signal, cnn, decoupled = at(SIGNAL, k=192), at(CNN), {"k": 192, "optimizer": "adamw"}
    return [
        (f"{DIGITS}, K = 192, one core, against the plain loop", one, "≥", 2.5, 4.0),
        (f"{DIGITS}, K = 192, two cores, against the plain loop", two, "≥", 4.3, 6.5),
        (f"{SIGNAL}, K = 192, one core, against the plain loop", signal, "≥", 3.1, 5.0),
        (f"{DIGITS}, AdamW, one core, against the plain loop", at(DIGITS, **decoupled), "≥", None, 4.3),
        (f"{SIGNAL}, AdamW, one core, against the plain loop", at(SIGNAL, **decoupled), "≥", None, 5.0),
        ("linear, K = 1023, float32, one core, against the plain loop", at("linear", k=1023), "≥", 300, None),
        ("linear, K = 1023, float64, the same", at("linear", k=1023, dtype="float64"), "≥", 180, None),
        (f"{DIGITS}, one core, against JAX at its best K", one / at(DIGITS, "JAX"), "≥", None, 1.0),
        (f"{DIGITS}, two cores, against JAX at its best K", two / at(DIGITS, "JAX", workers=2), "≥", 1.1, 1.6),
        (f"{DIGITS}, share of the rate of its products alone, in %", 100 * one / at(DIGITS, products), "≥", 52, 37),
        (f"{CNN}, one core, against the plain loop", cnn, "≥", 1.5, None),
        (f"{CNN}, one core, against JAX", cnn / at(CNN, "JAX"), "≥", 9, None),
        (f"{DIGITS}, time for K = 192 over time for K = 96, chunks of one size", 2 * halved / whole, "≤", 2.1, None),
        (f"{DIGITS}, time that records add, in %", 100 * at(DIGITS, f"{ours}, no records") / one - 100, "≤", 12, None),
    ]


def target_table(rows: list[Row]) -> list[str]:
    """Lines of a table of what was reached beside what should be."""
    lines = ["| | reached | target | reached with oneDNN | target |", "|---|---:|---:|---:|---:|"]
    routes = targets(rows, "l2lib", "products alone"), targets(rows, "l2lib (oneDNN)", "products alone (oneDNN)")
    for (words, *own), (_, *onednn) in zip(*routes, strict=True):
        cells = []
        for value, sense, bound in ((*own[:2], own[2]), (*onednn[:2], onednn[3])):
            missed = bound is not None and (value < bound if sense == "≥" else value > bound)
            cells += [
                "–" if math.isnan(value) else f"{value:.3g}" + " (missed)" * missed,
                f"{sense} {bound:g}" if bound else "",
            ]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def work_table(rows: list[Row]) -> list[str]:
    """Lines of a table of one work's rates, each with its ratio to the plain loop."""
    shown = [how for how in OPTIONS if any(how == (row["dtype"], row["optimizer"]) for row in rows)]
    heads = ["contender", "cores", "K", *(f"{dtype}, {optimizer}" for dtype, optimizer in shown)]
    lines = ["| " + " | ".join(heads) + " |", "|---|---:|---:|" + "---:|" * len(shown)]
    cells: dict[tuple[str, int, int], dict[tuple[str, str], str]] = {}
    for row in rows:
        text = f"{row['config_steps_per_second']:,.0f} ({row['ratio_to_plain_loop']:.3g}×)"
        cells.setdefault((row["contender"], row["workers"], row["k"]), {})[row["dtype"], row["optimizer"]] = text
    for (contender, workers, k), values in cells.items():
        lines.append(f"| {contender} | {workers} | {k} | " + " | ".join(values.get(how, "") for how in shown) + " |")
    return lines


def picture(rows: list[Row], path: Path) -> str:
    """Draw ratios to the plain loop over K, on one core in float32 with SGD; return the picture in words."""
    points: dict[str, dict[str, dict[int, float]]] = {}  # work, contender, K
    for row in rows:
        if (row["dtype"], row["optimizer"], row["workers"]) == ("float32", "sgd", 1) and row["contender"] in COLOURS:
            ratios = points.setdefault(row["work"], {}).setdefault(row["contender"], {})
            ratios[row["k"]] = row["ratio_to_plain_loop"]
    n_rows = len(points) // 3 + 1  # one panel is the legend's
    fig, axes = figures.subplots(n_rows, 3, figsize=(10, 3 * n_rows), squeeze=False)
    words, handles = ["Ratios to the plain loop."], {}
    for ax, (work, contenders) in zip(axes.flat, points.items(), strict=False):
        for contender, ratios in contenders.items():
            colour, ends = COLOURS[contender], [ratios[k] for k in sorted({min(ratios), max(ratios)})]
            if contender in LEVEL:
                handles[contender] = ax.axhline(ends[0], color=colour, linestyle="--")
            else:
                style = "o:" if "patches" in contender else "o-"
                (handles[contender],) = ax.plot(*zip(*sorted(ratios.items()), strict=True), style, color=colour)
            words.append(f"{work}, {contender}: {' to '.join(f'{end:.3g}' for end in ends)}.")
        ax.set(title=work, xlabel="configurations K", ylabel="times the plain loop", xscale="log")
        ks = sorted({k for ratios in contenders.values() for k in ratios})
        ax.set_xticks(ks, labels=[str(k) for k in ks])
        ax.set_xticks([], minor=True)
        if max(max(ratios.values()) for ratios in contenders.values()) > 50:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
        else:
            ax.set_ylim(bottom=0)
    for ax in axes.flat[len(points) :]:
        ax.set_axis_off()
    axes.flat[-1].legend(handles.values(), handles.keys(), loc="center")
    fig.savefig(path, metadata={"Date": None})
    return " ".join(words)


def write(rows: list[Row], compiling: list[Row], machine: dict[str, str], folder: Path) -> str:
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
    for name, content in (("bench", rows), ("bench-machine", {"machine": machine, "compiling": compiling})):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    about = "Measured with " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."
    lines = []
    for work in dict.fromkeys(row["work"] for row in rows):
        lines += [f"### {work}", "", *work_table([row for row in rows if row["work"] == work]), ""]
        if seconds := [row["seconds"] for row in compiling if row["work"] == work]:
            lines += [f"JAX compiled {min(seconds):.1f} to {max(seconds):.1f} s, not counted in its rates.", ""]
    lines += ["### Targets", "", *target_table(rows), ""]
    shown = [about, "", f"![{picture(rows, folder / 'bench.svg')}](bench.svg)", "", *lines]
    (folder / "bench.md").write_text("\n".join(shown), encoding="utf-8")
    return "\n".join([about, "", *lines])
