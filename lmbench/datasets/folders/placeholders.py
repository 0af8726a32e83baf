"""Numbers that stand where a landmark is missing: (0, 0), (-1, -1), and what else people write there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmbench.datasets.folders.samples import Annotations, Box


def settled(found: Annotations, first_pixel: float, mirrored: bool, keep: bool) -> Annotations:
    """The samples with the first pixel's centre at 0, and without the points that only mark a missing landmark.

    No landmarks are: points with one coordinate alone; exactly (0, 0), in every format, whatever else is said of them;
    negative pairs of one whole number, as (-1, -1). ``mirrored``: and all pairs of which both are at most -1, as .pts files
    mark occluded points by their signs. Other negative coordinates are landmarks beyond the image's edge. ``keep``: such
    points are landmarks all the same. How many were found is noted.
    """
    if not found.samples:
        return found
    points = np.stack([s.points for s in found.samples])
    visible = np.stack([s.visible for s in found.samples])
    whole = np.isfinite(points).all(-1)
    half = np.isfinite(points).any(-1) & ~whole
    visible &= whole
    x, y = points[..., 0], points[..., 1]
    with np.errstate(invalid="ignore"):
        zero = visible & (x == 0) & (y == 0)
        negative = visible & (x < 0) & (x == y) & (x == np.round(x))
        if mirrored:
            negative = visible & (x <= -1) & (y <= -1)
    notes = [f"{_points(half)} with one coordinate alone: taken for unlabelled"] if half.any() else []
    for kind, what in ((zero, "at exactly (0, 0)"), (negative, f"as {_first(points, negative)}")):
        if kind.any() and keep:
            notes.append(f"accepted (accept=sentinels): {_points(kind)} {what} are landmarks")
        elif kind.any():
            visible &= ~kind
            notes.append(f"{_points(kind)} {what} taken for unlabelled (accept=sentinels: landmarks)")
    samples = [
        replace(s, points=p - first_pixel, visible=v, box=_shifted(s.box, first_pixel))
        for s, p, v in zip(found.samples, points, visible, strict=True)
    ]
    return Annotations(found.names, samples, (*found.notes, *notes))


def _points(chosen: np.ndarray) -> str:
    number = int(chosen.sum())
    return f"{number} point{'s' * (number != 1)}"


def _first(points: np.ndarray, chosen: np.ndarray) -> str:
    if not chosen.any():
        return ""
    x, y = points[chosen][0]
    return f"({x:g}, {y:g})"


def _shifted(box: Box | None, first_pixel: float) -> Box | None:
    return box and (box[0] - first_pixel, box[1] - first_pixel, box[2], box[3])
