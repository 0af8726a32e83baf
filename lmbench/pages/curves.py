"""The curves of a run: what was learned, errors image by image, few annotations against many, and what stands behind a metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lmbench.pages.charts import Series, line_chart
from lmbench.pages.judged import Judged
from lmbench.pages.skeleton import shown
from lmbench.report.plots import panels_of
from lmbench.results.record import Record, Row, TrainedStage

MOST_POINTS = 200  # of a curve of errors
SHOWN_ERRORS = 0.98  # the largest errors would leave the others no room
PROBE = "probe_"
FEW = 8  # points of a learning curve, each of which has a tick


@dataclass(frozen=True)
class Chart:
    """A chart and what stands below it."""

    drawing: Markup
    caption: str


def charts_of(record: Record, judged: Sequence[Judged]) -> list[Chart]:
    """The charts of a run, as far as there is something to draw."""
    found = [ced_chart([(f"n = {own.n}" if own.n else "", own) for own in judged])] if judged else []
    return [*found, *_few_shot(record), *_behind_metrics(record), *(c for s in record.stages for c in _learning(s))]


def ced_chart(named: Sequence[tuple[str, Judged]]) -> Chart:
    """The share of images whose mean error is at most x, a line each. All are of one metric."""
    errors = [own.by_image[~np.isnan(own.by_image)] for _, own in named]
    most = max(float(np.quantile(found, SHOWN_ERRORS)) for found in errors)
    at = np.linspace(0, most, MOST_POINTS)
    series = []
    for (name, _), found in zip(named, errors, strict=True):
        shares = np.searchsorted(np.sort(found), at, side="right") / len(found)
        series.append(Series(name, list(zip(at.tolist(), (100 * shares).tolist(), strict=True))))
    measure = named[0][1].measure
    caption = f"Share of test images (of all draws) whose mean error is at most x; the largest {1 - SHOWN_ERRORS:.0%} are beyond."
    return Chart(
        line_chart(series, measure, "percent of images", f"Cumulative errors: {measure}", above=(0.0, 100.0)), caption
    )


def _few_shot(record: Record) -> Iterator[Chart]:
    """One chart a metric: its value against the number of annotated images."""
    found: dict[tuple[str, str], list[tuple[int, Row]]] = {}
    whole = (record.data.used or {}).get("train") or record.data.counts.get("train")
    for row in record.rows:
        n = whole if row.n_annotations == "all" else row.n_annotations
        if row.subset is None and isinstance(n, int) and n > 0:
            found.setdefault((row.task, row.metric), []).append((n, row))
    for (task, metric), rows in found.items():
        rows.sort(key=lambda own: own[0])
        if len({n for n, _ in rows}) < 2:
            continue
        series = Series("", [(n, row.value) for n, row in rows], [row.ci95 for _, row in rows])
        ticks = [(float(n), f"all ({n})" if row.n_annotations == "all" else str(n)) for n, row in rows]
        measure = f"{metric} {'↑' if rows[0][1].higher_is_better else '↓'}, {rows[0][1].unit}"
        alt = f"{measure} against the number of annotated images"
        chart = line_chart([series], "annotated images", measure, alt, ticks, logarithmic=True)
        yield Chart(chart, shown(f"{task}: few annotations against many, with intervals of 95 %."))


def _behind_metrics(record: Record) -> Iterator[Chart]:
    """The curves that metrics keep with their numbers, those of a metric in one chart."""
    rows = [row for row in record.rows if len(row.curve) > 1]
    for task, metric in dict.fromkeys((row.task, row.metric) for row in rows):
        own = [row for row in rows if (row.task, row.metric) == (task, metric)]
        series = [Series(row.subset or "the whole", row.curve) for row in own]
        chart = line_chart(series, "d", f"{metric}, {own[0].unit}", f"The curve behind {metric}")
        yield Chart(chart, shown(f"{task}: the curve behind {metric}."))


def _learning(stage: TrainedStage) -> Iterator[Chart]:
    """One chart a figure of a stage's learning curve: losses and what was probed on held-out training images."""
    for name in panels_of(stage.curve):
        points = [(float(entry["epoch"]), float(entry[name])) for entry in stage.curve if name in entry]
        if len(points) > 1:
            told = name.removeprefix(PROBE)
            ticks = [(epoch, f"{epoch:g}") for epoch, _ in points] if len(points) <= FEW else []
            alt = f"{told} of stage {stage.name} against epochs"
            chart = line_chart([Series("", points)], "epoch", told, alt, ticks)
            probed = " on held-out training images" if name.startswith(PROBE) else ""
            yield Chart(chart, shown(f"Stage {stage.name}: {told}{probed}."))
