"""Points of one image found in others by the frozen features alone, read as the task ``matching`` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmbench.detecting.framer import Framed, Framer
from lmbench.detecting.regions import Filling, Region
from lmbench.errors import UsageError
from lmbench.features import Extractor
from lmbench.geometry.heatmaps import argmax_points
from lmbench.metrics.readings import READINGS, ReadingName

TARGETS_AT_ONCE = 16


@dataclass(frozen=True)
class Matches:
    """``points`` (T, P, 2): where P points of the reference are in each of T targets, pixels, x before y, of the targets.

    ``similarity`` (T, P): of the descriptors there; a cosine summed over the layers where they are normalised.
    """

    points: np.ndarray
    similarity: np.ndarray
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Matcher:
    """A frozen network read by one of `READINGS`."""

    framer: Framer
    extractor: Extractor
    reading: ReadingName
    device: torch.device

    def match(
        self, reference: Region, points: Any, targets: Sequence[Region], filling: Filling = ""
    ) -> tuple[Matches, list[Framed]]:
        """Where ``points`` (P, 2), pixels of the reference, are in the targets; and what was looked at, the reference first.

        Raises UsageError for points that are none or that the network does not see, and where a box is needed.
        """
        given = _points(points)
        self.framer.require_boxes([reference, *targets], filling)
        looked_at = [self._framed(region, filling) for region in (reference, *targets)]
        side, reading = self.framer.steps.size, READINGS[self.reading]
        seen = self.framer.seen(given[None], looked_at[0].frame[None])[0]
        for (x, y), (u, v) in zip(given, seen, strict=True):
            if not (-0.5 <= u <= side - 0.5 and -0.5 <= v <= side - 0.5):
                box = ", ".join(f"{n:g}" for n in looked_at[0].frame)
                raise UsageError(
                    f"the point {x:g},{y:g} lies outside of what the network sees of {reference.path} ({looked_at[0].said}: "
                    f"left, top, width, height {box}). Points are in pixels of the image, x before y."
                )
        source = self._maps(looked_at[:1])
        queries = source.sample(reading.to_cells(torch.from_numpy(seen)[None].to(self.device), side))
        found, alike = [], []
        for start in range(1, len(looked_at), TARGETS_AT_ONCE):
            some = looked_at[start : start + TARGETS_AT_ONCE]
            response = self._maps(some).similarity(queries.expand(len(some), -1, -1))
            at = reading.to_pixels(argmax_points(response), side).cpu().numpy()
            found.append(self.framer.restored(at, np.stack([f.frame for f in some])))
            alike.append(response.flatten(2).amax(-1).cpu().numpy())
        return Matches(np.concatenate(found), np.concatenate(alike), tuple(str(t.path) for t in targets)), looked_at

    def _maps(self, framed: Sequence[Framed]) -> Any:
        reading = READINGS[self.reading]
        pixels = torch.from_numpy(np.stack([f.pixels for f in framed])).to(self.device)
        return self.extractor.maps(pixels.permute(0, 3, 1, 2).float().div_(255)).read(reading.cells, reading.normalise)

    def _framed(self, region: Region, filling: Filling) -> Framed:
        image = region.pixels or self.framer.read(Path(region.path))
        return next(self.framer.framed(image, [region], filling, keep_image=True))


def _points(points: Any) -> np.ndarray:
    try:
        found = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    found = found[None] if found.shape == (2,) else found
    if found.ndim != 2 or found.shape[1] != 2 or not len(found) or not np.isfinite(found).all():
        raise UsageError(
            f"points of shape {found.shape}: expected (P, 2) numbers, pixels of the reference, x before y."
        )
    return found
