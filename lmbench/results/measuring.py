"""From stored predictions to rows of a record: every metric, of the whole and of its parts, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbench.errors import DataError
from lmbench.metrics.aggregates import contributions
from lmbench.metrics.base import Metric, MetricResult
from lmbench.metrics.stored import StoredResult, is_stored, task_of
from lmbench.plugins.loading import Plugins
from lmbench.results.record import Row
from lmbench.results.resampling import estimate
from lmbench.specs import MetricSpec, TaskSpec

MOST_GROUPS = 200
"""Of images that are left out together, where a metric has to be asked again without them."""


@dataclass(frozen=True)
class Measured:
    """One number of a record with all that it comes from.

    ``contributions`` (S, N): what each image adds to it in each draw; of a metric with an aggregate of its own, groups of
    images. Their mean over images is the aggregate.
    """

    metric: MetricSpec
    subset: str | None
    result: MetricResult
    contributions: np.ndarray

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
        yield Measured(spec, stored.subset, result, _contributions(spec, result, stored))
        for part, members in stored.parts_of(result).items():
            found = result.part(members)
            if found is not None:
                yield Measured(spec, part, found, _by_mean(found))


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


def few_shot(n_annotations: int | str | None) -> bool:
    """Whether the annotated images were drawn: not where there are none, nor where all were taken."""
    return n_annotations not in (None, "all")


def interval_of(found: Measured, stored: StoredResult) -> tuple[float, float] | None:
    """The 95 % interval of a number over images and draws, or None where one image, one pair or one draw of several stands
    behind it: drawn anew, one is always the same, and no interval of nothing is to be read as certainty.
    """
    if found.images < 2:
        return None
    known = estimate({0: found.contributions}, few_shot(stored.n_annotations))
    return None if known.low is None or known.high is None else (known.low, known.high)


def _contributions(spec: MetricSpec, result: MetricResult, stored: StoredResult) -> np.ndarray:
    """(S, N): see `Measured`."""
    found = result.contributions()
    if found is not None:
        return found
    metric: Metric = spec.load()
    try:
        return jackknife(metric, stored, result.aggregate)
    except Exception:  # results that are not stored by images, or that a metric of anybody cannot judge without some
        return _by_mean(result)


def jackknife(metric: Metric, stored: StoredResult, aggregate: np.ndarray) -> np.ndarray:
    """(S, G): what each of up to 200 groups of consecutive images adds to an aggregate, found by leaving it out.

    Raises ValueError for one image and for a result that is not stored by images, and whatever the metric says of what is left.
    """
    images = len(stored.image_ids)
    if images < 2:
        raise ValueError("nothing is left of one image")
    groups = np.array_split(np.arange(images), min(images, MOST_GROUPS))
    left = [metric(stored.of_images(np.setdiff1d(np.arange(images), group))).aggregate for group in groups]
    moved = np.stack(
        [(images / len(group) - 1) * (aggregate - one) for group, one in zip(groups, left, strict=True)], 1
    )
    return np.asarray(aggregate[:, None] + moved - moved.mean(1, keepdims=True))


def _by_mean(result: MetricResult) -> np.ndarray:
    """(S, N): those of the mean of a result's values, moved to its aggregate."""
    made = contributions(result.values, result.macro, result.batch)
    return made + (result.aggregate - made.mean(1))[:, None]


def _row(found: Measured, stored: StoredResult) -> Row:
    values, aggregate = found.result.values, found.result.aggregate
    draws = len(aggregate) if few_shot(stored.n_annotations) else None
    return Row(
        task=stored.task,
        metric=found.metric.name,
        subset=found.subset,
        n_annotations=stored.n_annotations,
        value=float(aggregate.mean()),
        std=float(aggregate.std(ddof=1)) if draws and draws > 1 else None,
        draws=draws,
        ci95=interval_of(found, stored),
        images=found.images,
        points=int((~np.isnan(values[0])).sum()),
        unit=found.metric.unit,
        higher_is_better=found.metric.higher_is_better,
        normaliser=found.metric.normaliser or None,
        settings=dict(stored.settings),
        curve=found.result.curve,
    )
