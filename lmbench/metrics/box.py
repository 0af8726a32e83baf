"""The size of an object by its landmarks, for objects without eyes."""

from __future__ import annotations

import numpy as np

from lmbench.metrics.iod import FloatArray, as_float64


def box_sides(target: np.ndarray, visible: np.ndarray) -> FloatArray:
    """(N,): sqrt(w * h) of the box around the visible landmarks of each image, in pixels; NaN where none is visible."""
    points, seen = as_float64(target), np.asarray(visible, bool)[..., None]
    low = np.where(seen, points, np.inf).min(1)
    high = np.where(seen, points, -np.inf).max(1)
    sides = np.where(seen.any(1), high - low, np.nan)
    return np.asarray(np.sqrt(sides.prod(-1)))
