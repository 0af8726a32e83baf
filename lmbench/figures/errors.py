"""Errors of stored predictions, point by point, with what they are divided by in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.errors import UsageError
from lmbench.metrics.base import Predictions
from lmbench.metrics.pck import distances
from lmbench.plugins.loading import Plugins
from lmbench.results.measuring import results

OF_SIDE = "of_side"  # what is shown of data whose metrics count hits alone


@dataclass(frozen=True)
class Errors:
    """``values`` (S, N, L): S draws, N images, L landmarks, NaN where nothing is scored. ``unit`` and ``normaliser`` in words."""

    values: np.ndarray
    metric: str
    unit: str
    normaliser: str

    @property
    def of_images(self) -> np.ndarray:
        """(S, M): the mean error of each image that shows a landmark."""
        means = mean_of_images(self.values)
        return means[:, ~np.isnan(means).all(0)]

    @property
    def of_first_draw(self) -> np.ndarray:
        """(N,): the mean error of each image in the first draw, NaN where it shows no landmark."""
        return mean_of_images(self.values)[0]

    @property
    def axis(self) -> str:
        """What an axis is called."""
        return f"error, {self.of_what}"

    @property
    def of_what(self) -> str:
        return f"{self.unit} of the {self.normaliser}" if self.normaliser else self.unit


def mean_of_images(values: np.ndarray) -> np.ndarray:
    """(S, N): the mean over the landmarks of (S, N, L) that are scored, NaN where none is."""
    scored = ~np.isnan(values)
    counts = scored.sum(-1)
    return np.where(counts > 0, np.where(scored, values, 0).sum(-1) / np.maximum(counts, 1), np.nan)


def errors_of(predictions: Predictions, plugins: Plugins, metric: str = "") -> Errors:
    """The errors of a metric of their dataset, its first unless one is named; of metrics that count hits, distances in percent
    of the image's side.

    Raises UsageError for a metric that does not judge them, or whose values are no errors.
    """
    known = {spec.name: (spec, result) for spec, result in results(predictions, plugins)}
    errors = {name: found for name, found in known.items() if not found[0].higher_is_better}
    if metric in errors or (not metric and errors):
        spec, result = errors[metric or next(iter(errors))]
        return Errors(result.values, spec.name, spec.unit, spec.normaliser)
    if metric in ("", OF_SIDE):
        values = 100 * distances(predictions, OF_SIDE) / predictions.image_size
        return Errors(values, OF_SIDE, "percent", "side of the image")
    there = ", ".join([*errors, OF_SIDE])
    said = "counts hits, which are no errors" if metric in known else "does not judge this dataset"
    raise UsageError(f"--metric {metric}: it {said}; there are {there}.")
