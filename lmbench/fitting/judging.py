"""How good a head is: its errors on labelled images that it did not see, beside those of the mean shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from lmbench.results.resampling import Estimate, estimate

NAMED = 5  # worst landmarks


class LandmarkErrors(TypedDict):
    """The mean over the ``images`` that show a landmark, to a hundredth."""

    images: int
    error_px: float
    error_percent: float
    mean_shape_px: float


class LargestError(TypedDict):
    """One landmark in one image."""

    image: str
    landmark: str
    error_px: float


class CrossValidation(TypedDict):
    """`CrossValidated` as JSON, numbers to a hundredth."""

    images: int
    error_px: float
    error_percent: float
    mean_shape_px: float
    mean_shape_percent: float
    ci95_px: list[float] | None
    landmarks: dict[str, LandmarkErrors]
    worst: list[LargestError]


@dataclass(frozen=True)
class CrossValidated:
    """What heads found on N labelled images that they were not fitted to; all in pixels of these images, x before y.

    ``predicted``, ``target`` and ``mean_shape`` (N, L, 2): the last is the mean place of each landmark in the frames of
    the images fitted to. ``visible`` (N, L). ``sides`` (N,): the longer side of each frame. ``images``: what they are called.
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    predicted: np.ndarray
    mean_shape: np.ndarray
    target: np.ndarray
    visible: np.ndarray
    sides: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """(N, L) pixels, NaN where a landmark is not labelled."""
        return self._distances(self.predicted)

    @property
    def floor(self) -> np.ndarray:
        """(N, L) pixels, of the mean shape."""
        return self._distances(self.mean_shape)

    def _distances(self, points: np.ndarray) -> np.ndarray:
        return np.where(self.visible, np.linalg.norm(points - self.target, axis=-1), np.nan)

    def percent(self, distances: np.ndarray) -> np.ndarray:
        """Distances (N, L) in percent of the frames' sides."""
        return distances / self.sides[:, None] * 100

    @property
    def interval(self) -> Estimate:
        """The error in pixels with its interval of 95 % over images."""
        return estimate({0: np.nanmean(self.errors, axis=1)[None]})

    def worst(self) -> Iterator[tuple[str, str, float]]:
        """Image, landmark and error of the largest errors, falling."""
        errors = np.nan_to_num(self.errors, nan=-1.0)
        for flat in np.argsort(-errors, axis=None, kind="stable")[:NAMED]:
            i, k = np.unravel_index(flat, errors.shape)
            if errors[i, k] >= 0:
                yield self.images[i], self.names[k], float(errors[i, k])

    def rows(self) -> list[tuple[str, int, float, float, float]]:
        """Of each landmark: name, how many images show it, mean error in pixels, in percent, and that of the mean shape."""
        parts = self.percent(self.errors)
        means = [np.nanmean(values, axis=0).tolist() for values in (self.errors, parts, self.floor)]
        counts = self.visible.sum(0).tolist()
        return list(zip(self.names, counts, *means, strict=True))

    def document(self) -> CrossValidation:
        """As JSON, numbers to a hundredth."""
        found = self.interval
        return {
            "images": len(self.images),
            "error_px": _mean(self.errors),
            "error_percent": _mean(self.percent(self.errors)),
            "mean_shape_px": _mean(self.floor),
            "mean_shape_percent": _mean(self.percent(self.floor)),
            "ci95_px": None if found.low is None or found.high is None else [round(found.low, 2), round(found.high, 2)],
            "landmarks": {
                name: {
                    "images": n,
                    "error_px": round(px, 2),
                    "error_percent": round(pc, 2),
                    "mean_shape_px": round(floor, 2),
                }
                for name, n, px, pc, floor in self.rows()
            },
            "worst": [{"image": i, "landmark": name, "error_px": round(e, 2)} for i, name, e in self.worst()],
        }


def _mean(distances: np.ndarray) -> float:
    """Over images of the mean over the landmarks that each shows, to a hundredth."""
    return round(float(np.nanmean(np.nanmean(distances, axis=1))), 2)
