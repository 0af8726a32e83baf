"""The square that a sample is cut to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.data.boxes import square_frames
from lmbench.datasets.conventions import PAPERS_FACES
from lmbench.datasets.folders.samples import Sample
from lmbench.errors import DataError
from lmbench.geometry.framing import Framing

MARGINS = {"box": 0.1, "landmarks": 0.25, "image": 0.0}
"""On each side, in parts of the longer side."""
FRAME = PAPERS_FACES.resize / PAPERS_FACES.size
"""The frame is larger than the square that the network sees, so that warped views have something to show."""


def frame_boxes(samples: Sequence[Sample], crop: str, margin: float | None, where: str) -> tuple[np.ndarray, str]:
    """(N, 4) square frames in whole pixels (left, top, side, side), and one line on what they are made of.

    ``crop``: the annotation's ``box``, the bounding box of the labelled ``landmarks``, or the whole ``image``. The
    square that the network sees holds it with its margin; where it leaves the image it is black. Raises DataError
    naming the first sample without a box, or whose landmarks span nothing.
    """
    margin = MARGINS[crop] if margin is None else margin
    if crop == "box":
        parts = [s.box or (0, 0, 0, 0) for s in samples]
        said, way_out = "the annotation's box", "Leave crop=box out, or choose crop=landmarks or crop=image."
    elif crop == "image":
        parts, said, way_out = [(0, 0, *s.shown) for s in samples], "the whole image", ""
    else:
        parts = [_around(s.points[s.visible]) for s in samples]
        said = "the bounding box of the labelled landmarks, in test images too"
        way_out = "One labelled landmark spans no square: choose crop=image."
    boxes = np.array(parts, np.float64)
    longer = boxes[:, 2:].max(1)
    bad = np.flatnonzero(~(longer > 0))
    if len(bad):
        raise DataError(f"{where}: crop={crop}: {len(bad)} samples have none (first: {samples[bad[0]].id}). {way_out}")
    return square_frames(boxes, framing_of(crop, margin).factor), (
        f"cut to a square around {said}, with a margin of {margin:g} of its longer side"
    )


def framing_of(crop: str, margin: float | None) -> Framing:
    """What `frame_boxes` does, for images that come later."""
    factor = (1 + 2 * (MARGINS[crop] if margin is None else margin)) * FRAME
    if crop == "image":
        return Framing(kind="padded", factor=factor, square=True)
    if crop == "box":
        return Framing(kind="box", of="the annotation's box", factor=factor, square=True)
    return Framing(kind="landmarks", of="the bounding box of the labelled landmarks", factor=factor, square=True)


def _around(points: np.ndarray) -> tuple[float, float, float, float]:
    (left, top), (width, height) = points.min(0), np.ptp(points, axis=0)
    return float(left), float(top), float(width), float(height)
