"""Curves that records hold: scale, equivariance, learning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from lmbench.errors import UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, lacking, require_same_images
from lmbench.report.plots import (
    EPOCH,
    Curve,
    Kind,
    Panel,
    accuracy_panel,
    curves_figure,
    direction,
    factor_of,
    measure_of,
    panels_of,
    scale_panel,
)
from lmbench.results.record import Row, TrainedStage
from lmbench.results.run import Run
from lmbench.tasks.equivariance import CHANCE

LOSS = "total"

Values = Mapping[float, float]
"""What a seed measured, by where on the axis."""


def scale(asked: Asked) -> Drawn:
    """Error against the zoom-out factor; the band is the standard deviation over seeds, of one seed its 95 % interval."""
    require_same_images(asked.lines)
    first = _first(asked.first, "scale", asked.metric, {"--tasks": "regression,scale"})
    curves = []
    for line in asked.lines:
        number, kind = asked.looks[line]
        _first(line, "scale", first.metric, {"--tasks": "regression,scale"})
        seeds = [sorted(_rows(run.record.rows, first), key=factor_of) for run in line.runs]
        made = over_seeds(line.label, number, [{factor_of(r): r.value for r in rows} for rows in seeds], kind)
        intervals = [row.ci95 for row in seeds[0]]
        if len(seeds) == 1 and all(intervals):
            low, high = zip(*(i for i in intervals if i), strict=True)
            made = Curve(made.label, made.x, made.y, number, low, high, kind)
        curves.append(made)
    said = [
        f"{measure_of(first)} against the zoom-out factor: above 1 the object is smaller than where the head was fitted",
        "bands: 95 % over test images, or the standard deviation over seeds",
        *basis(asked.lines, first),
    ]
    return Drawn.saying(curves_figure([[scale_panel(curves, first)]], asked.page), said)


def equivariance(asked: Asked) -> Drawn:
    """Accuracy curves: of one method by layer, of several each method's whole (or one ``part``); chance is dashed."""
    require_same_images(asked.lines, headed=False)
    wanted = {"--tasks": "regression,equivariance"}
    curves: list[Curve] = []
    if len(asked.lines) == 1 and not asked.part:
        named = {part: part or "all layers" for part in _parts(asked.first, wanted) if part != CHANCE}
        for number, (part, name) in enumerate(named.items()):
            curves.append(over_seeds(name, number, _curves(asked.first, part)))
    else:
        for line in asked.lines:
            number, kind = asked.looks[line]
            parts = _parts(line, wanted)
            part = asked.part or next(iter(parts))
            if part not in parts:
                there = ", ".join(p or "all layers" for p in parts)
                raise UsageError(f"--part {part}: {line.label} has no such layer; there are {there}.")
            name = f"{line.label}, {part}" if part and asked.part else line.label
            curves.append(over_seeds(name, number, _curves(line, part), kind))
    if CHANCE in _parts(asked.first, wanted):
        chance = over_seeds(CHANCE, 0, _curves(asked.first, CHANCE))
        curves.append(Curve(CHANCE, chance.x, chance.y, kind="floor"))
    first = next(row for row in asked.first.record.rows if row.task == "equivariance")
    said = [
        "Share of annotated points found within d pixels in a deformed copy of their own image, by the cosine similarity of "
        "frozen features (higher is better)",
        "bands: one standard deviation over seeds" if any(c.low is not None for c in curves) else "",
        *basis(asked.lines, first),
    ]
    return Drawn.saying(curves_figure([[accuracy_panel(curves)]], asked.page), said)


def learning(asked: Asked) -> Drawn:
    """A column a stage: its loss and what was probed, against epochs; over seeds the mean with its standard deviation."""
    stages: dict[str, dict[Line, list[TrainedStage]]] = {}
    for line in asked.lines:
        for stage in (stage for run in line.runs for stage in run.record.stages if len(stage.curve) > 1):
            stages.setdefault(stage.name, {}).setdefault(line, []).append(stage)
    shown = {line for own in stages.values() for line in own}
    for line in asked.lines:
        if line not in shown:
            raise UsageError(
                f"{line.label}: no stage of it has a learning curve of two epochs or more"
                + (
                    "; nothing of it is trained before the head."
                    if not any(s.epochs for s in line.record.stages)
                    else ". Train it for longer."
                )
            )
    columns = {name: list(_quantities(own, asked.looks)) for name, own in stages.items()}
    order = list(dict.fromkeys(quantity for column in columns.values() for quantity, _ in column))
    order.sort(key=lambda quantity: quantity != LOSS)
    rows = []
    for number, quantity in enumerate(order):
        row = []
        for name, column in columns.items():
            curves = dict(column).get(quantity, [])
            row.append(Panel(curves, EPOCH, _called(quantity, asked.first.first), "" if number else name))
        rows.append(row)
    said = [
        "Learning curves of the stages: the training loss, and what frozen features gave on held-out training images",
        "bands: one standard deviation over seeds" if any(len(line.runs) > 1 for line in asked.lines) else "",
        *basis(asked.lines, headed=False),
    ]
    return Drawn.saying(curves_figure(rows, asked.page), said)


def _called(quantity: str, run: Run) -> str:
    """A column of a learning curve as the name of an axis, with its direction where that is known."""
    name = quantity.removeprefix("probe_")
    amount = re.match(r"n(\d+)_", name)
    higher = {spec.name: spec.higher_is_better for spec in (entry.spec for entry in run.plugins.registry("metric"))}
    metric = next((m for m in sorted(higher, key=len, reverse=True) if name.endswith(f"_{m}")), "")
    lower = quantity == LOSS or name == "matching_px"
    said = f"\n({direction(higher.get(metric, False))})" if metric or lower else ""
    if amount:
        name = f"{name[amount.end() :]}, n = {amount[1]}"
    return ("loss" if quantity == LOSS else name.replace("_", " ")) + said


def _quantities(
    found: Mapping[Line, Sequence[TrainedStage]], looks: Mapping[Line, tuple[int, Kind]]
) -> Iterator[tuple[str, list[Curve]]]:
    """What the stages of some lines have curves of: the loss, and what was probed."""
    for quantity in dict.fromkeys(q for stages in found.values() for s in stages for q in panels_of(s.curve)):
        if quantity != LOSS and not quantity.startswith("probe_"):
            continue  # a term of the loss, of one method
        curves = []
        for line, stages in found.items():
            values = [{float(e[EPOCH]): float(e[quantity]) for e in s.curve if quantity in e} for s in stages]
            if all(len(v) > 1 for v in values):
                number, kind = looks[line]
                curves.append(over_seeds(line.label, number, values, kind))
        if curves:
            yield quantity, curves


def over_seeds(label: str, number: int, seeds: Sequence[Values], kind: Kind = "measured") -> Curve:
    """The mean over seeds with a band of one standard deviation, where all seeds have a value."""
    at = [x for x in seeds[0] if all(x in own for own in seeds)]
    values = np.array([[own[x] for x in at] for own in seeds])
    mean = values.mean(0)
    if len(seeds) == 1:
        return Curve(label, at, mean.tolist(), number, kind=kind)
    spread = values.std(0, ddof=1)
    return Curve(label, at, mean.tolist(), number, (mean - spread).tolist(), (mean + spread).tolist(), kind)


def _first(line: Line, task: str, metric: str, wanted: dict[str, str]) -> Row:
    """The first number of a task. Raises UsageError with the command that makes one."""
    for row in line.record.rows:
        if row.task == task and metric in ("", row.metric):
            return row
    raise lacking(line.first, f"its record has no {metric or 'number'} of the task {task}", wanted)


def _rows(rows: Iterable[Row], like: Row) -> list[Row]:
    return [row for row in rows if (row.task, row.metric) == (like.task, like.metric)]


def _parts(line: Line, wanted: dict[str, str]) -> list[str]:
    """The parts that have a curve; ``""`` for all layers joined."""
    found = [row.subset or "" for row in line.record.rows if row.task == "equivariance" and row.curve]
    if not found:
        raise lacking(line.first, "its record has no curve of the task equivariance", wanted)
    return found


def _curves(line: Line, part: str) -> list[Values]:
    """Of each seed the accuracy curve of a part."""
    return [
        dict(row.curve)
        for run in line.runs
        for row in run.record.rows
        if row.task == "equivariance" and row.curve and (row.subset or "") == part
    ]
