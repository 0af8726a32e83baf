"""Stored results of pixel classifiers, their accuracy and the overlap of their figure (higher is better)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lmbench.errors import DataError
from lmbench.metrics.base import MetricResult
from lmbench.metrics.stored import Columns, StoredResult


@dataclass(frozen=True, kw_only=True)
class Confusions(StoredResult):
    """How many pixels of each true class were given each class.

    ``counts`` (S, N, C, C) for S draws and N images: true class, then predicted class.
    """

    counts: np.ndarray
    classes: tuple[str, ...]

    def table(self) -> tuple[Columns, Sequence[int]]:
        """One row a draw, image and pair of classes."""
        draw, image, true, given = (i.ravel() for i in np.indices(self.counts.shape))
        columns = {
            "image": self.image_ids[image],
            "draw": draw.astype(np.int32),
            "true": true.astype(np.int16),
            "predicted": given.astype(np.int16),
            "pixels": self.counts.ravel().astype(np.int64),
        }
        return columns, self.counts.shape

    @classmethod
    def of_table(cls, columns: Columns, shape: tuple[int, ...], note: dict[str, Any]) -> Self:
        note["classes"] = tuple(note["classes"])
        ids = columns["image"].reshape(shape)[0, :, 0, 0]
        return cls(counts=columns["pixels"].reshape(shape), image_ids=ids, **note)

    def check(self) -> None:
        if self.counts.dtype.kind != "i" or (self.counts < 0).any() or len(self.classes) != self.counts.shape[-1]:
            raise ValueError("counts or classes of another kind than expected")

    def scored(self) -> np.ndarray:
        return np.ones((*self.counts.shape[:2], 1), bool)

    @classmethod
    def example(cls, task: str, noise: float, settings: Mapping[str, Any]) -> Self:
        """Two draws for six images; of 100 pixels of each of three classes, about ``noise`` more are given another class."""
        counts = np.random.default_rng(0).poisson(noise, (2, 6, 3, 3))
        counts[..., range(3), range(3)] = 100
        ids = np.array([f"image{i}" for i in range(6)])
        return cls(task=task, counts=counts, image_ids=ids, classes=("a", "b", "c"), settings=settings)


def pixel_accuracy(confusions: Confusions) -> MetricResult:
    """The share of all pixels that got their class, percent. Raises DataError naming an image without pixels."""
    pixels = _scored_pixels(confusions, "pixel_accuracy")
    right = np.trace(confusions.counts, axis1=2, axis2=3).astype(np.float64)
    return MetricResult(100 * (right / pixels)[:, :, None], 100 * right.sum(1) / pixels.sum(1))


def figure_iou(confusions: Confusions) -> MetricResult:
    """Intersection over union of the figure, which is every class but the first, percent: of an image, then their mean.

    An image without any figure, found or true, scores 100. Raises DataError naming an image without pixels.
    """
    pixels = _scored_pixels(confusions, "figure_iou")
    union = pixels - confusions.counts[..., 0, 0]
    shared = confusions.counts[..., 1:, 1:].sum((2, 3)).astype(np.float64)
    values = 100 * np.divide(shared, union, out=np.ones_like(union), where=union > 0)
    return MetricResult(values[:, :, None], values.mean(1))


def _scored_pixels(confusions: Confusions, metric: str) -> np.ndarray:
    """(S, N): how many pixels an image has. Raises DataError naming one without any."""
    pixels: np.ndarray = confusions.counts.sum((2, 3)).astype(np.float64)
    if not (pixels > 0).all():
        image = confusions.image_ids[int((pixels <= 0).any(0).argmax())]
        raise DataError(f"{metric}: no pixel of image {image} is scored.")
    return pixels
