"""What the stored predictions of a run say beyond its numbers: errors image by image, and of each landmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.errors import LmbenchError
from lmbench.metrics.base import MetricResult, Predictions
from lmbench.results.measuring import Measured, interval_of, results
from lmbench.results.ranking import Interval
from lmbench.results.run import Run
from lmbench.specs import MetricSpec


@dataclass(frozen=True)
class Judged:
    """Predicted points of one number of annotations, as one metric judges them."""

    predictions: Predictions
    metric: MetricSpec
    result: MetricResult

    @property
    def n(self) -> str:
        return "" if self.predictions.n_annotations is None else str(self.predictions.n_annotations)

    @property
    def measure(self) -> str:
        """``iod, percent``."""
        return f"{self.metric.name}, {self.metric.unit}"

    @cached_property
    def by_image(self) -> np.ndarray:
        """(S, N): the mean of each draw and image over its scored landmarks; NaN where none is scored."""
        values = self.result.values
        scored = (~np.isnan(values)).sum(-1)
        return np.where(scored > 0, np.nansum(values, -1) / np.maximum(scored, 1), np.nan)

    def by_landmark(self) -> Iterator[tuple[str, float, Interval | None]]:
        """(name, value, its 95 % interval) of every landmark that is scored anywhere."""
        names = self.predictions.landmark_names or tuple(
            f"landmark {i + 1}" for i in range(self.result.values.shape[2])
        )
        for i, name in enumerate(names):
            part = self.result.part((i,))
            if part is not None and (added := part.contributions()) is not None:
                found = Measured(self.metric, name, part, added)
                yield name, float(part.aggregate.mean()), interval_of(found, self.predictions)


def judged(run: Run) -> list[Judged]:
    """The points that the run's first such task predicted, the most annotations last, by the first metric of it where less is
    better; nothing where no task predicts points of whole images. Raises DataError where predictions are gone or damaged.
    """
    found: dict[str, list[Judged]] = {}
    for stored in run.results():
        if isinstance(stored, Predictions) and stored.subset is None and stored.landmark_names:
            for metric, result in results(stored, run.plugins):
                if not metric.higher_is_better:
                    found.setdefault(stored.task, []).append(Judged(stored, metric, result))
                    break
    first = found.get(next((task for task in run.config.tasks if task in found), ""), [])
    return sorted(first, key=lambda own: float("inf") if own.n in ("", "all") else int(own.n))


def judged_or_why(run: Run) -> tuple[list[Judged], str]:
    """`judged`, and where that is nothing the reason in words."""
    try:
        found = judged(run)
    except LmbenchError as error:
        return [], str(error)
    return found, "" if found else "no task of this run keeps landmarks that it predicted on whole images"
