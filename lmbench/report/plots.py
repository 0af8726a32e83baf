"""Plots of a run: the learning curves of its stages, and the curves that stand behind a metric."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.results.record import Row
from lmbench.store.files import write_atomically

SHOWN_APART = ("epoch", "lr")


def draw_curve(stages: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes one column of panels a stage: its loss terms, and each probed figure against epochs; nothing where no stage has
    two points, which make no curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    stages = [s for s in stages if s["curve"]]
    if all(len(s["curve"]) < 2 for s in stages):
        return
    names = [panels_of(s["curve"]) for s in stages]
    rows = max(len(n) for n in names)
    figure, axes = pyplot.subplots(rows, len(stages), figsize=(5.2 * len(stages), 2.4 * rows), squeeze=False)
    for column, (stage, panels) in enumerate(zip(stages, names, strict=True)):
        for row in range(rows):
            axis = axes[row][column]
            if row >= len(panels):
                axis.axis("off")
                continue
            name = panels[row]
            points = [(e["epoch"], e[name]) for e in stage["curve"] if name in e]
            axis.plot(*zip(*points, strict=True), marker="o" if len(points) < 40 else None, markersize=3)
            axis.set_ylabel(name.removeprefix("probe_"))
            axis.grid(alpha=0.3)
            if row == 0:
                axis.set_title(f"{stage['name']} ({stage['backbone']})")
        axes[len(panels) - 1][column].set_xlabel("epoch")
    save_figure(figure, path)


def draw_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Writes the accuracy curves of a record's rows, one line a part; chance is dashed (Rahaman et al. 2021, fig. 1)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5.2, 3.6))
    for row in rows:
        name = row.subset or "all layers"
        axis.plot(*zip(*row.curve, strict=True), label=name, linestyle="--" if name == "chance" else "-")
    axis.set(xlabel="d, px of a 128x128 image", ylabel="Acc(d), percent", ylim=(0, 100))
    axis.grid(alpha=0.3)
    axis.legend()
    save_figure(figure, path)


def draw_scale(rows: Sequence[Row], path: Path) -> None:
    """Writes one panel a metric of a record's rows of the task scale: value and its interval against the factor.

    The dotted line is the scale of the training images.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row.metric for row in rows))
    figure, axes = pyplot.subplots(1, len(names), figsize=(5.2 * len(names), 3.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        own = sorted((row for row in rows if row.metric == name), key=lambda row: float(row.subset or 1))
        factors, values = [float(row.subset or 1) for row in own], [row.value for row in own]
        intervals = [row.ci95 for row in own if row.ci95]
        if len(intervals) == len(own):
            low, high = zip(*intervals, strict=True)
            axis.fill_between(factors, low, high, alpha=0.2)
        axis.plot(factors, values, marker="o", markersize=4)
        axis.axvline(1, color="grey", linestyle=":")
        axis.set(xlabel="zoom-out factor", ylabel=f"{name}, {own[0].unit}", ylim=(0, None))
        axis.grid(alpha=0.3)
    save_figure(figure, path)


def draw_embedding(places: np.ndarray, parts: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Writes cells embedded in a plane (N, 2), each in the colour (k, 3), 0 to 1, of its part (N,) (LEAD, Fig. 5)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5.2, 5.2))
    axis.scatter(*places.T, c=colours[parts], s=5, linewidths=0)
    axis.set(xticks=[], yticks=[], aspect="equal")
    save_figure(figure, path)


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure as PNG, atomically, and closes it."""
    from matplotlib import pyplot

    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    write_atomically(path, buffer.getvalue())


def panels_of(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a curve's columns: losses first, then probed figures."""
    names = list(dict.fromkeys(k for entry in curve for k in entry if k not in SHOWN_APART))
    return sorted(names, key=lambda n: n.startswith("probe_"))
