"""From stored predictions to rows of a record: every metric, of the whole and of its parts, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lmbench.errors import DataError
from lmbench.metrics.aggregates import interval
from lmbench.metrics.base import Metric, MetricResult, Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.plugins.loading import Plugins
from lmbench.results.record import Row
from lmbench.specs import MetricSpec

LANDMARKS_APART = 20
"""Up to so many landmarks a macro mean is also given landmark by landmark, where the dataset names no parts."""


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


def measured(predictions: Predictions | Confusions, plugins: Plugins) -> Iterator[Measured]:
    """The numbers of all metrics of the predictions, the whole before its parts; a part that is never visible has none."""
    for spec, result in results(predictions, plugins):
        parts = [(part, members, result.part(members)) for part, members in parts_of(predictions, result).items()]
        seen = [(part, members, found) for part, members, found in parts if found is not None]
        samples = result.resampled([None, *(members for _, members, _ in seen)])
        yield Measured(spec, predictions.subset, result, samples[0])
        for (part, _, found), drawn in zip(seen, samples[1:], strict=True):
            yield Measured(spec, part, found, drawn)


def results(predictions: Predictions | Confusions, plugins: Plugins) -> Iterator[tuple[MetricSpec, MetricResult]]:
    """Each metric that judges the predictions, those of the dataset or else of the task, and what it makes of them."""
    own = predictions.metrics if isinstance(predictions, Predictions) else ()
    for name in own or plugins.find("task", predictions.task).spec.metrics:
        spec: MetricSpec = plugins.find("metric", name).spec
        metric: Metric = spec.load()
        yield spec, metric(predictions)


def parts_of(predictions: Predictions | Confusions, result: MetricResult) -> Mapping[str, tuple[int, ...]]:
    """The parts that a result is also given for: those of the dataset, or each landmark of a macro mean over few."""
    if isinstance(predictions, Confusions) or predictions.subset is not None:  # a layer, the backward error: a whole
        return {}
    if predictions.parts or not result.macro or len(predictions.landmark_names) > LANDMARKS_APART:
        return predictions.parts
    return {name: (i,) for i, name in enumerate(predictions.landmark_names)}


def measure(predictions: Predictions | Confusions, plugins: Plugins) -> list[Row]:
    """The rows of a record for some predictions, one a number."""
    return [_row(found, predictions) for found in measured(predictions, plugins)]


def check_measurable(predictions: Predictions, plugins: Plugins) -> None:
    """Raises DataError where a metric could not judge even perfect predictions: before hours are spent on real ones."""
    for name in predictions.metrics:
        spec: MetricSpec = plugins.find("metric", name).spec
        wanted = plugins.find("task", predictions.task).spec.measured_as or predictions.task
        if spec.task != wanted:
            raise DataError(f"the metric {name} judges {spec.task}, not {wanted}.")
        spec.load()(predictions)


def interval_of(
    found: Measured, samples: np.ndarray, predictions: Predictions | Confusions
) -> tuple[float, float] | None:
    """The 95 % interval of resampled numbers, or None where one image, one pair or one draw of several stands behind them:
    drawn anew, one is always the same, and no interval of nothing is to be read as certainty.
    """
    one_draw = predictions.n_annotations not in (None, "all") and len(found.result.aggregate) < 2
    if one_draw or found.images < 2 or np.isnan(samples).all():
        return None
    return interval(samples)


def _row(found: Measured, predictions: Predictions | Confusions) -> Row:
    values, aggregate = found.result.values, found.result.aggregate
    draws = len(aggregate) if predictions.n_annotations not in (None, "all") else None
    return Row(
        task=predictions.task,
        metric=found.metric.name,
        subset=found.subset,
        n_annotations=predictions.n_annotations,
        value=float(aggregate.mean()),
        std=float(aggregate.std(ddof=1)) if draws and draws > 1 else None,
        draws=draws,
        ci95=interval_of(found, found.samples, predictions),
        images=found.images,
        points=int((~np.isnan(values[0])).sum()),
        unit=found.metric.unit,
        higher_is_better=found.metric.higher_is_better,
        normaliser=found.metric.normaliser or None,
        settings=dict(predictions.settings),
        curve=found.result.curve,
    )
