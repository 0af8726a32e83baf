"""Plots of curves: learning curves of stages, and the curves that stand behind a metric; of one run beside its record, or of
several in a figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmbench.report.style import (
    CYCLE,
    GREY,
    MARKERS,
    Page,
    legend_below,
    legend_lines,
    new_figure,
    save_figure,
    styled,
    wrapped,
)
from lmbench.results.record import Number, Row, TrainedStage

EPOCH = "epoch"
SHOWN_APART = (EPOCH, "lr")
FEW = 15  # points up to which each is marked
PANEL = 0.62  # height of a panel by its width
TALL, LOW = 2, 36.0  # rows of panels; where there are more, each is no higher than so many mm: all stand on one page
SOLID = ("-", "-.", (0, (7, 1.5, 1, 1.5, 1, 1.5)))  # of what was measured, one after the other as colours repeat
DASHES = {"control": "--", "published": ":", "floor": "--"}
HOLLOW = ("control", "published")


Kind = Literal["measured", "control", "published", "floor"]


@dataclass(frozen=True)
class Curve:
    """A line with its spread: ``low`` and ``high`` a band, or bars where it has ``bars``. ``number``: whose colour it has.

    A ``control`` is dashed and hollow, in the colour of what it controls; a ``published`` one is dotted and hollow; a ``floor``
    is grey and dashed.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    number: int = 0
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    kind: Kind = "measured"
    bars: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves in one pair of axes. ``xticks``: the only ones, with their names; ``mark``: an x that is marked."""

    curves: Sequence[Curve]
    xlabel: str
    ylabel: str
    title: str = ""
    xlim: tuple[float | None, float | None] = (None, None)
    ylim: tuple[float | None, float | None] = (None, None)
    xticks: Mapping[float, str] | None = None
    log: bool = False
    mark: float | None = None


def curves_figure(panels: Sequence[Sequence[Panel]], page: Page, title: str = "") -> Any:
    """Rows of panels above one legend; ``title`` stands over the legend. A curve's label is its entry, once for all panels."""
    columns = max(map(len, panels))
    labelled = list(dict.fromkeys(_key(c) for row in panels for panel in row for c in panel.curves if c.label))
    handles = [_handle(*key) for key in labelled]
    wide = page.width / columns
    high = height_of(wide) if len(panels) <= TALL else min(LOW, height_of(wide))
    body = len(panels) * (high + 3.2 * page.line)
    below = (legend_lines(handles, page) + bool(title)) * page.line + 2 if len(handles) > 1 or title else 0
    figure = new_figure(page, body + below)
    grid = figure.subplots(len(panels), columns, squeeze=False)
    for row, axes in zip(panels, grid, strict=True):
        for panel, axis in zip_longest(row, axes):
            if panel and panel.curves:
                draw_panel(panel, axis, page, wide, high)
            else:
                axis.axis("off")
                axis.set_title(panel.title if panel else "")
    if below:
        legend_below(figure, page, handles, title)
    return figure


def draw_panel(panel: Panel, axis: Any, page: Page, width: float, height: float) -> None:
    """Draws the curves of a panel and names its axes; it is so many mm wide and high."""
    for curve in panel.curves:
        shown = look_of(curve.number, curve.kind)
        colour = shown["color"]
        if len(curve.x) > FEW:
            step = len(curve.x) // 4
            shown["markevery"] = ((step // 2 + 3 * curve.number) % step, step)
        if curve.low is not None and curve.high is not None:
            if curve.bars:
                off = np.maximum(0, [np.subtract(curve.y, curve.low), np.subtract(curve.high, curve.y)])
                axis.errorbar(curve.x, curve.y, yerr=off, fmt="none", ecolor=colour, elinewidth=0.8, capsize=2)
            else:
                axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        axis.plot(curve.x, curve.y, **shown)
    if panel.mark is not None:
        axis.axvline(panel.mark, color=GREY, linestyle=":", linewidth=0.8)
    if panel.log:
        axis.set_xscale("log")
    if panel.xticks is not None:
        axis.set_xticks(list(panel.xticks), list(panel.xticks.values()), minor=False)
        axis.set_xticks([], minor=True)
    xlabel, ylabel = wrapped(panel.xlabel, width - 14, page), wrapped(panel.ylabel, height, page)
    if panel.xlabel == EPOCH:
        axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=panel.title, xlim=panel.xlim, ylim=panel.ylim)


def height_of(width: float) -> float:
    """The height of a panel of some width, mm."""
    return max(30.0, PANEL * min(width, 100.0))


def _key(curve: Curve) -> tuple[str, int, Kind]:
    return curve.label, curve.number, curve.kind


def look_of(number: int, kind: Kind = "measured") -> dict[str, Any]:
    """The look of a line as matplotlib takes it: each has its own marker too, for prints in grey."""
    colour, marker = CYCLE[number % len(CYCLE)], MARKERS[number % len(MARKERS)]
    if kind == "floor":
        colour, marker = GREY, marker if number else ""
    return {
        "color": colour,
        "marker": marker or None,
        "markerfacecolor": "white" if kind in HOLLOW else colour,
        "linestyle": DASHES.get(kind, SOLID[number // len(CYCLE) % len(SOLID)]),
    }


def _handle(label: str, number: int, kind: Kind) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look_of(number, kind))


def measure_of(row: Number) -> str:
    """A metric as the name of an axis: ``iod, percent (lower is better)``."""
    return f"{row.metric}, {row.unit} ({direction(row.higher_is_better)})"


def direction(higher_is_better: bool) -> str:
    return "higher is better" if higher_is_better else "lower is better"


def panels_of(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a learning curve's columns: losses first, then probed figures."""
    names = list(dict.fromkeys(k for entry in curve for k in entry if k not in SHOWN_APART))
    return sorted(names, key=lambda n: n.startswith("probe_"))


def draw_curve(stages: Sequence[TrainedStage], path: Path) -> None:
    """Writes one column of panels a stage: its loss terms, and each probed figure against epochs; nothing where no stage has
    two points, which make no curve."""
    stages = [s for s in stages if s.curve]
    if all(len(s.curve) < 2 for s in stages):
        return
    columns = []
    for stage in stages:
        column: list[Panel] = []
        for name in panels_of(stage.curve):
            x, y = zip(*[(e[EPOCH], e[name]) for e in stage.curve if name in e], strict=True)
            title = "" if column else f"{stage.name} ({stage.backbone})"
            column.append(Panel([Curve("", x, y)], EPOCH, name.removeprefix("probe_"), title))
        columns.append(column)
    page = Page.on_screen(len(stages))
    with styled(page):
        save_figure(curves_figure(in_rows(columns), page), path)


def in_rows(columns: Sequence[Sequence[Panel]]) -> list[list[Panel]]:
    """Columns of panels as rows; where a column ends before the others nothing stands."""
    return [[panel or Panel([], "", "") for panel in row] for row in zip_longest(*columns)]


def accuracy_panel(curves: Sequence[Curve], within: float | None = None) -> Panel:
    """Accuracy curves (Rahaman et al. 2021, fig. 1) up to a distance."""
    return Panel(
        curves,
        "distance d, px of a 128x128 image",
        "Acc(d), percent (higher is better)",
        xlim=(0, within),
        ylim=(0, 100),
    )


def draw_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Writes the accuracy curves of a record's rows, one line a part; chance is dashed (Rahaman et al. 2021, fig. 1)."""
    curves = []
    for number, row in enumerate(rows):
        x, y = zip(*row.curve, strict=True)
        name = row.subset or "all layers"
        curves.append(Curve(name, x, y, number, kind="floor" if name == "chance" else "measured"))
    page = Page.on_screen()
    with styled(page):
        save_figure(curves_figure([[accuracy_panel(curves)]], page), path)


def scale_panel(curves: Sequence[Curve], row: Number) -> Panel:
    """A metric against the zoom-out factor; the scale of the training images is marked (LEAD, Fig. 9)."""
    return Panel(curves, "zoom-out factor", measure_of(row), ylim=(0, None), mark=1)


def draw_scale(rows: Sequence[Row], path: Path) -> None:
    """Writes one panel a metric of a record's rows of the task scale: value and its interval against the factor.

    The dotted line is the scale of the training images.
    """
    panels = []
    for name in dict.fromkeys(row.metric for row in rows):
        own = sorted((row for row in rows if row.metric == name), key=factor_of)
        low, high = bounds([row.ci95 for row in own])
        curve = Curve("", [factor_of(row) for row in own], [row.value for row in own], low=low, high=high)
        panels.append(scale_panel([curve], own[0]))
    page = Page.on_screen(len(panels))
    with styled(page):
        save_figure(curves_figure([panels], page), path)


def factor_of(row: Number) -> float:
    """The factor of a row of the task scale, of which its part is the name."""
    try:
        return float(row.subset or 1)
    except ValueError:
        return math.nan


def bounds(intervals: Sequence[tuple[float, float] | None]) -> tuple[list[float] | None, list[float] | None]:
    """(low ends, high ends); none where one interval is missing."""
    known = [interval for interval in intervals if interval]
    if not known or len(known) < len(intervals):
        return None, None
    low, high = zip(*known, strict=True)
    return list(low), list(high)


def draw_embedding(places: np.ndarray, parts: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Writes cells embedded in a plane (N, 2), each in the colour (k, 3), 0 to 1, of its part (N,) (LEAD, Fig. 5)."""
    page = Page.on_screen()
    with styled(page):
        figure = new_figure(page, page.width)
        axis = figure.subplots()
        axis.scatter(*places.T, c=colours[parts], s=5, linewidths=0)
        axis.set(xticks=[], yticks=[], aspect="equal")
        save_figure(figure, path)
