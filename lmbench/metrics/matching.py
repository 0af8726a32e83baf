"""Landmark matching error in pixels of a 70 x 70 image (lower is better).

Two readings of "70 x 70" are in print: DVE scales by image sides (70 / 96), ContrastLandmarks by the distance
between the first and the last pixel centre (69 / 95). The second is 1.0039 times smaller at 96 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbench.metrics.iod import FloatArray, as_float64, names_of, refuse_missing, scored_points
from lmbench.metrics.readings import READINGS, SIDE, ReadingName


def matching_errors(
    matches: Any,
    target: Any,
    size: tuple[int, int],
    reading: ReadingName = "dve",
    visible: Any | None = None,
    pair_ids: Sequence[Any] | None = None,
) -> FloatArray:
    """The distance ``(..., N, K)`` of every match from the true landmark, in pixels of a 70 x 70 image.

    Args:
        matches: ``(..., N, K, 2)``, pixels, x before y; array or tensor.
        target: ``(N, K, 2)``, pixels of the same image.
        size: ``(H, W)`` of the image as the network sees it (DVE: imwidth - 2 * crop on both sides).
        reading: ``"dve"``: pixels times 70 / W. ``"cl"``: pixels times 69 / (W - 1), which is ``(n + 1) / 2 *
            69`` of normalised coordinates n. y goes with H.
        visible: ``(N, K)`` bool; an invisible landmark scores NaN.
        pair_ids: ``(N,)``, names for error messages.

    Raises:
        DataError: naming the pair: a visible landmark is NaN or infinite, or its match is.
        ValueError: an unknown reading, or shapes that do not fit.

    Source: ``compute_pixel_err`` of DVE and of ContrastLandmarks.
    """
    if reading not in READINGS:
        raise ValueError(f"matching_error: expected reading {' or '.join(map(repr, READINGS))}, found {reading!r}")
    found, truth = as_float64(matches), as_float64(target)
    if truth.ndim != 3 or truth.shape[-1] != 2 or found.shape[-3:] != truth.shape:
        raise ValueError(
            f"matching_error: expected (..., N, K, 2) and (N, K, 2), found {found.shape} and {truth.shape}"
        )
    scored = scored_points(visible, truth.shape[:2])
    refuse_missing(found, truth, scored, names_of("pair", pair_ids, len(truth)), "matching_error")

    sides = np.array([size[1], size[0]], dtype=np.float64)
    extent = READINGS[reading].extent
    scale = extent(SIDE) / extent(sides)
    distance = np.linalg.norm((found - truth) * scale, axis=-1)
    return np.where(scored, distance, np.nan)
