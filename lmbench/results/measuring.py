"""From stored predictions to rows of a record: every metric, of the whole and of its parts, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbench.errors import DataError
from lmbench.metrics.aggregates import interval
from lmbench.metrics.base import Metric, MetricResult
from lmbench.metrics.stored import StoredResult, is_stored, task_of
from lmbench.plugins.loading import Plugins
from lmbench.results.record import Row
from lmbench.specs import MetricSpec, TaskSpec


@dataclass(frozen=True)
class Measured:
    """One number of a record with all that it comes from.

    ``samples``: the aggregate of resampled images, mean over draws (see `lmbench.metrics.aggregates.resample`).
    """

    metric: MetricSpec
    subset: str | None
    result: MetricResult
    samples: np.ndarray

    @property
    def images(self) -> int:
        """How many images (or pairs of them) are scored."""
        return int((~np.isnan(self.result.values)).any((0, 2)).sum())


def read_stored(folder: Path, name: str, plugins: Plugins) -> StoredResult | None:
    """What a task stored under that name in a folder of predictions, or None. Raises DataError where it is damaged."""
    if not is_stored(folder, name):
        return None
    spec: TaskSpec = plugins.find("task", task_of(folder, name)).spec
    kind: type[StoredResult] = spec.load(spec.predictions)
    return kind.read(folder, name)


def measured(stored: StoredResult, plugins: Plugins) -> Iterator[Measured]:
    """The numbers of all metrics of a result, the whole before its parts; a part that is never visible has none."""
    for spec, result in results(stored, plugins):
        parts = [(part, members, result.part(members)) for part, members in stored.parts_of(result).items()]
        seen = [(part, members, found) for part, members, found in parts if found is not None]
        samples = result.resampled([None, *(members for _, members, _ in seen)])
        yield Measured(spec, stored.subset, result, samples[0])
        for (part, _, found), drawn in zip(seen, samples[1:], strict=True):
            yield Measured(spec, part, found, drawn)


def results(stored: StoredResult, plugins: Plugins) -> Iterator[tuple[MetricSpec, MetricResult]]:
    """Each metric that judges a result, those that it names or else its task's, and what it makes of it.

    Raises DataError for a metric of another task, or whatever a metric says of a result that it cannot judge.
    """
    task: TaskSpec = plugins.find("task", stored.task).spec
    for name in stored.metrics or task.metrics:
        spec: MetricSpec = plugins.find("metric", name).spec
        if spec.task != (task.measured_as or task.name):
            raise DataError(f"the metric {name} judges {spec.task}, not {task.measured_as or task.name}.")
        metric: Metric = spec.load()
        yield spec, metric(stored)


def measure(stored: StoredResult, plugins: Plugins) -> list[Row]:
    """The rows of a record for a result, one a number."""
    return [_row(found, stored) for found in measured(stored, plugins)]


def interval_of(found: Measured, samples: np.ndarray, stored: StoredResult) -> tuple[float, float] | None:
    """The 95 % interval of resampled numbers, or None where one image, one pair or one draw of several stands behind them:
    drawn anew, one is always the same, and no interval of nothing is to be read as certainty.
    """
    one_draw = stored.n_annotations not in (None, "all") and len(found.result.aggregate) < 2
    if one_draw or found.images < 2 or np.isnan(samples).all():
        return None
    return interval(samples)


def _row(found: Measured, stored: StoredResult) -> Row:
    values, aggregate = found.result.values, found.result.aggregate
    draws = len(aggregate) if stored.n_annotations not in (None, "all") else None
    return Row(
        task=stored.task,
        metric=found.metric.name,
        subset=found.subset,
        n_annotations=stored.n_annotations,
        value=float(aggregate.mean()),
        std=float(aggregate.std(ddof=1)) if draws and draws > 1 else None,
        draws=draws,
        ci95=interval_of(found, found.samples, stored),
        images=found.images,
        points=int((~np.isnan(values[0])).sum()),
        unit=found.metric.unit,
        higher_is_better=found.metric.higher_is_better,
        normaliser=found.metric.normaliser or None,
        settings=dict(stored.settings),
        curve=found.result.curve,
    )
