"""The accuracy curve of equivariance (higher is better): the share of points found within d pixels of where they are.

Distances are in pixels of a 128 x 128 image, the size at which the paper prints Acc(20), scaled by image sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbench.metrics.base import MetricResult, Predictions
from lmbench.metrics.iod import FloatArray, as_float64, names_of, refuse_missing, scored_points

SIDE = 128  # pixels; Rahaman et al. 2021, sec. 3
PRINTED = 20.0  # pixels; the threshold of their sec. 5
THRESHOLDS = tuple(float(d) for d in range(31))


def match_distances(
    matches: Any, target: Any, visible: Any | None = None, image_ids: Sequence[Any] | None = None
) -> FloatArray:
    """The distance ``(..., N, L)`` of every match from its true place; NaN where it is not visible.

    Args:
        matches: ``(..., N, L, 2)``, array or tensor.
        target: ``(N, L, 2)``, in the unit of ``matches``.
        visible: ``(N, L)`` bool; the others are not looked at.
        image_ids: ``(N,)``, names for error messages.

    Raises:
        DataError: naming the image: a visible point is NaN or infinite, or its match is.
        ValueError: the shapes do not fit.
    """
    found, truth = as_float64(matches), as_float64(target)
    if truth.ndim != 3 or truth.shape[-1] != 2 or found.shape[-3:] != truth.shape:
        raise ValueError(f"accuracy: expected (..., N, L, 2) and (N, L, 2), found {found.shape} and {truth.shape}")
    scored = scored_points(visible, truth.shape[:2])
    refuse_missing(found, truth, scored, names_of("image", image_ids, len(truth)), "accuracy")
    with np.errstate(invalid="ignore"):
        return np.where(scored, np.linalg.norm(found - truth, axis=-1), np.nan)


def accuracy_at(distances: FloatArray, thresholds: Sequence[float]) -> FloatArray:
    """Acc(d) of every threshold ``(T,)``, as fractions: the share of all distances that are at most d; NaN is left out.

    Source: Rahaman et al. 2021, eq. 6.
    """
    known = distances[~np.isnan(distances)]
    return np.array([(known <= d).mean() for d in thresholds])


def acc_20px(predictions: Predictions) -> MetricResult:
    """Acc(20) in percent. Raises DataError where no point is scored or a match is NaN."""
    distances = _distances(predictions)
    hits = np.where(np.isnan(distances), np.nan, 100.0 * (distances <= PRINTED))
    return MetricResult.of(hits)


def acc_curve(predictions: Predictions) -> MetricResult:
    """The area under the curve from 0 to 20 px, percent of the whole, with the curve beside it. Raises DataError.

    A point found d px away adds max(0, 1 - d / 20): the area is exact, whatever thresholds the curve is drawn at.
    """
    distances = _distances(predictions)
    area = 100 * np.clip(1 - distances / PRINTED, 0, None)
    percent = 100 * accuracy_at(distances, THRESHOLDS)
    return MetricResult.of(area, curve=tuple(zip(THRESHOLDS, percent.tolist(), strict=True)))


def _distances(predictions: Predictions) -> FloatArray:
    distances = match_distances(
        predictions.predicted, predictions.target, predictions.visible, list(predictions.image_ids)
    )
    return distances * (SIDE / predictions.image_size)
