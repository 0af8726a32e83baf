"""Error against the number of annotated images (LEAD, Fig. 8; Cheng et al. 2021, Fig. 4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lmbench.errors import UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, head_name, lacking, require_same_images
from lmbench.heads.specs import MEAN_SHAPE
from lmbench.papers.published import Cell, read_papers
from lmbench.papers.rules import Rules
from lmbench.papers.targets import Target, metric_of, target_of
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.report.plots import Curve, Kind, Panel, curves_figure, measure_of
from lmbench.results.record import Number, Record, Row

ALL = "all"
SHIFTED = 0.05  # of the axis, that all lines together are moved by
NUMBERS = "1,5,10,20,50,100,all"  # of annotated images; LEAD, Table 5

Amount = int | str


@dataclass(frozen=True)
class Point:
    """The mean over all seeds and draws, and their standard deviation; None for one."""

    value: float
    spread: float | None

    @classmethod
    def of(cls, numbers: Sequence[Number]) -> Point:
        """Of one number of each seed, the mean over its draws with their spread. Seeds count by their draws.

        The standard deviation is that of all draws of all seeds together, as if they were listed: sums of squares within
        seeds and between them add up.
        """
        counts = [number.draws or 1 for number in numbers]
        total = sum(counts)
        mean = sum(n * number.value for n, number in zip(counts, numbers, strict=True)) / total
        if total < 2:
            return cls(mean, None)
        squares = sum(
            (n - 1) * (number.std or 0.0) ** 2 + n * (number.value - mean) ** 2
            for n, number in zip(counts, numbers, strict=True)
        )
        return cls(mean, math.sqrt(squares / (total - 1)))


def few_shot(asked: Asked) -> Drawn:
    """Mean and spread over draws and seeds against the number of annotated images, beside what papers print of the same outputs
    and what the mean shape gives.

    Raises UsageError where a run has one number of annotations alone.
    """
    require_same_images(asked.lines)
    task = asked.task or "regression"
    first = _row(asked.first.record, task, asked.metric)
    if first is None:
        what = f"numbers of {task} by annotations" + (f" in {asked.metric}" if asked.metric else "")
        raise lacking(asked.first.first, f"its record has no {what}", _wanted(task))
    measured = {line: _points(line, first) for line in asked.lines}
    for line, points in measured.items():
        if len(points) < 2:
            there = f"n = {', '.join(map(str, points))} alone" if points else f"no {first.metric} of {task}"
            raise lacking(
                line.first, f"a curve over annotations has two points or more, its record has {there}", _wanted(task)
            )
    amounts = sorted({n for points in measured.values() for n in points}, key=_order)
    training = _training_images(asked.first.record)
    places = _places(amounts, training)
    curves = [
        _curve(line.label, points, at, *asked.looks[line])
        for (line, points), at in zip(measured.items(), _beside(places, len(measured)), strict=True)
    ]
    floor = (
        {} if any(head_name(line.record) == MEAN_SHAPE for line in asked.lines) else _floor(asked.lines, first, amounts)
    )
    if floor:
        curves.append(Curve("mean shape", [places[n] for n in floor], list(floor.values()), kind="floor"))
    printed = _published(asked, first, get_plugins())
    for (number, source), values in printed.items():
        shown = {n: value for n, value in sorted(values.items(), key=lambda item: _order(item[0])) if n in places}
        if shown:
            curves.append(Curve(source, [places[n] for n in shown], list(shown.values()), number, kind="published"))
    ticks = {places[n]: str(n) if n != ALL else f"all\n({training:,})" if training else ALL for n in amounts}
    panel = Panel(curves, "annotated images", measure_of(first), xticks=_apart(ticks), log=True)
    said = [
        f"{first.metric}{_of(first)} against the number of annotated images "
        f"({'higher' if first.higher_is_better else 'lower'} is better)",
        f"bars: one standard deviation over {_chance(asked.lines, first)}",
        "hollow: published, under the paper's own protocol" if any(c.kind == "published" for c in curves) else "",
        *basis(asked.lines, first),
    ]
    return Drawn.saying(curves_figure([[panel]], asked.page), said)


def _row(record: Record, task: str, metric: str) -> Row | None:
    """The first number of a task that is of annotated images."""
    return next(
        (
            row for row in record.rows
            if row.task == task and row.n_annotations is not None and row.subset is None and metric in ("", row.metric)
        ),
        None,
    )  # fmt: skip


def _points(line: Line, first: Row) -> dict[Amount, Point]:
    """By number of annotations."""
    found: dict[Amount, list[Number]] = {}
    for run in line.runs:
        for row in run.record.rows:
            if (row.task, row.metric, row.subset) == (first.task, first.metric, None) and row.n_annotations is not None:
                found.setdefault(row.n_annotations, []).append(row)
    return {n: Point.of(found[n]) for n in sorted(found, key=_order)}


def _beside(places: Mapping[Amount, float], count: int) -> list[dict[Amount, float]]:
    """The places of ``count`` lines, moved a little, that bars do not hide each other."""
    room = SHIFTED * math.log(max(places.values()) / min(places.values()))
    offs = [math.exp(room * ((i + 0.5) / count - 0.5)) for i in range(count)]
    return [{n: place * off for n, place in places.items()} for off in offs]


def _curve(
    label: str, points: Mapping[Amount, Point], places: Mapping[Amount, float], number: int, kind: Kind
) -> Curve:
    values = [point.value for point in points.values()]
    spreads = [point.spread or 0.0 for point in points.values()]
    low, high = ([v + sign * s for v, s in zip(values, spreads, strict=True)] for sign in (-1, 1))
    return Curve(label, [places[n] for n in points], values, number, low, high, kind, bars=True)


def _floor(lines: Iterable[Line], first: Row, amounts: Sequence[Amount]) -> dict[Amount, float]:
    """What the mean shape gives by the same draws, as records state it beside their numbers."""
    found: dict[Amount, list[float]] = {}
    for record in (run.record for line in lines for run in line.runs):
        for beside in record.references:
            if beside.reference == MEAN_SHAPE and (beside.task, beside.metric, beside.subset) == (
                first.task,
                first.metric,
                None,
            ):
                found.setdefault(beside.n_annotations or ALL, []).append(beside.value)
    return {n: fmean(found[n]) for n in amounts if n in found}


def _published(asked: Asked, first: Row, plugins: Plugins) -> dict[tuple[int, str], dict[Amount, float]]:
    """By line and paper's table what it prints of that output on the same dataset; by method where ``published`` names some.

    Raises UsageError for a method that no paper prints such numbers of.
    """
    rules, dataset = Rules(plugins), asked.first.record.dataset
    cells = [
        cell for own in read_papers(plugins)[0].values() for cell in own
        if cell.dataset == dataset and cell["task"] == first.task and cell.n_annotations is not None
        and metric_of(cell) == first.metric and not cell.here("pairs") and not cell.here("part")
    ]  # fmt: skip
    found: dict[tuple[int, str], dict[Amount, float]] = {}
    others: dict[str, int] = {}
    for cell in cells:
        target, n = target_of(cell, rules), cell.n_annotations
        number = _line_of(target, asked.lines) if isinstance(target, Target) else None
        if number is None if asked.published is None else cell["method"] not in asked.published:
            continue
        what = _printed(cell) if number is None else asked.lines[number].label
        if number is None:
            number = len(asked.lines) + others.setdefault(what, len(others))
        source = f"{what}, published in {cell.paper} {cell['table']}"
        found.setdefault((number, source), {})[n or ALL] = float(cell["value"])
    if asked.published and (unknown := {*asked.published} - {cell["method"] for cell in cells}):
        there = ", ".join(sorted({cell["method"] for cell in cells})) or "none"
        raise UsageError(
            f"--published {', '.join(sorted(unknown))}: no paper prints {first.metric} by annotations of it on {dataset}; "
            f"there are {there}."
        )
    return {key: values for key, values in found.items() if any(n != ALL for n in values)}


def _printed(cell: Cell) -> str:
    """What a printed output is called: method, variant and dimension."""
    dimension = f"{cell['feature_dim']}-d" if cell["feature_dim"] else ""
    return " ".join(filter(None, [cell["method"], cell["variant"], dimension]))


def _line_of(target: Target, lines: Sequence[Line]) -> int | None:
    """Which line measured what a printed number stands for."""
    wanted = target.method, target.variant
    return next((i for i, line in enumerate(lines) if (line.record.method, line.record.variant) == wanted), None)


def _wanted(task: str) -> dict[str, str]:
    if task == "regression":
        return {"--tasks": task, "--annotations": NUMBERS}
    return {"--tasks": task, "--set": f"{task}.annotations=({NUMBERS.replace('all', repr(ALL))})"}


def _training_images(record: Record) -> int | None:
    used = (record.data.used or {}).get("train")
    return used or record.data.counts.get("train")


def _order(n: Amount) -> float:
    return math.inf if n == ALL else float(n)


def _places(amounts: Sequence[Amount], training: int | None) -> dict[Amount, float]:
    """Where each number stands on an axis of logarithms; ``all`` apart from the others, no further than one decade."""
    numbers = [float(n) for n in amounts if n != ALL]
    last = numbers[-1] if numbers else 1.0
    beyond = min(max(float(training or 0), 2.2 * last), 10 * last)
    return {n: beyond if n == ALL else float(n) for n in amounts}


def _apart(ticks: Mapping[float, str]) -> dict[float, str]:
    """The ticks with names, but for those that would run into the one before."""
    kept: dict[float, str] = {}
    room = math.log10(max(ticks) / min(ticks)) / 11 if len(ticks) > 1 else 0.0
    for place, name in ticks.items():
        near = kept and math.log10(place / max(kept)) < room and not name.startswith(ALL)
        kept[place] = "" if near else name
    return kept


def _of(row: Row) -> str:
    return f" in {row.unit} of the {row.normaliser}" if row.normaliser else f" in {row.unit}"


def _chance(lines: Iterable[Line], first: Row) -> str:
    """What the bars are the spread of."""
    own = list(lines)
    draws = {
        row.draws
        for line in own
        for run in line.runs
        for row in run.record.rows
        if row.task == first.task and row.draws
    }
    several = max(len(line.runs) for line in own) > 1
    drawn = f"{' or '.join(map(str, sorted(draws)))} draws" if draws else "draws"
    return f"{drawn}{' and seeds' if several else ''}"
