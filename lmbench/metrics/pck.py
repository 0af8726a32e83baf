"""Distances and hits, of which every percentage of correct keypoints (PCK) is made (higher is better)."""

from __future__ import annotations

import numpy as np

from lmbench.metrics.base import Predictions
from lmbench.metrics.iod import FloatArray, as_float64, names_of, refuse_missing, scored_points


def distances(predictions: Predictions, metric: str, scale: float = 1.0) -> FloatArray:
    """(S, N, L) distances in image pixels times ``scale``, NaN for invisible landmarks.

    Raises DataError naming the image where a visible landmark or its prediction is NaN or infinite.
    """
    predicted, truth, scored = _checked(predictions, metric)
    return np.where(scored, np.linalg.norm((predicted - truth) * scale, axis=-1), np.nan)


def frame_distances(predictions: Predictions, metric: str) -> FloatArray:
    """(S, N, L) distances in pixels of the source images at half resolution; as `distances` for the rest.

    The toolkit halves coordinates that count from one, ``(x - 1) / 2 + 1``; exact boundaries ask for the same arithmetic.
    """
    predicted, truth, scored = _checked(predictions, metric)
    assert predictions.source_scale is not None
    scale = as_float64(predictions.source_scale)[:, None]
    half_predicted, half_true = (0.5 * (points * scale - 1) + 1 for points in (predicted, truth))
    return np.where(scored, np.linalg.norm(half_predicted - half_true, axis=-1), np.nan)


def hits(near: np.ndarray, scored: np.ndarray) -> FloatArray:
    """(S, N, L): 100 for a hit, 0 for a miss, NaN where nothing is scored."""
    return np.where(scored, 100.0 * near, np.nan)


def _checked(predictions: Predictions, metric: str) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Predictions, truth and which landmarks are scored, in float64."""
    predicted, truth = as_float64(predictions.predicted), as_float64(predictions.target)
    scored = scored_points(predictions.visible, truth.shape[:2])
    names = names_of("image", list(predictions.image_ids), len(truth))
    refuse_missing(predicted, truth, scored, names, metric)
    return predicted, truth, scored
