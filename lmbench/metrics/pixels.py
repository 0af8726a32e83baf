"""Stored results of pixel classifiers, their accuracy and the overlap of their figure (higher is better)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmbench.errors import DataError
from lmbench.metrics.base import MetricResult, Predictions
from lmbench.metrics.stored import is_stored, reading, stored_name, write_stored


@dataclass(frozen=True)
class Confusions:
    """How many pixels of each true class were given each class: all that a metric of segmentation looks at.

    ``counts`` (S, N, C, C) for S draws and N images: true class, then predicted class. The rest is as in ``Predictions``.
    """

    task: str
    counts: np.ndarray
    image_ids: np.ndarray
    classes: tuple[str, ...]
    n_annotations: int | str | None = None
    subset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A file name of its own within the run."""
        return stored_name(self.task, self.subset, self.n_annotations)

    def write(self, folder: Path) -> Path:
        """Writes ``<name>.parquet`` (one row a draw, image and pair of classes) and its protocol as JSON."""
        draw, image, true, given = (i.ravel() for i in np.indices(self.counts.shape))
        frame = pd.DataFrame(
            {
                "image": self.image_ids[image],
                "draw": draw.astype(np.int32),
                "true": true.astype(np.int16),
                "predicted": given.astype(np.int16),
                "pixels": self.counts.ravel().astype(np.int64),
            }
        )
        return write_stored(folder, self.name, frame, vars(self), self.counts.shape)

    @classmethod
    def read(cls, folder: Path, name: str) -> Confusions | None:
        """The result of that name in a run's folder, or None. Raises DataError where it is damaged."""
        if not is_stored(folder, name):
            return None
        with reading(folder, name) as (note, shape, frame):
            note["classes"] = tuple(note["classes"])
            ids = frame["image"].to_numpy().reshape(shape)[0, :, 0, 0]
            return cls(counts=frame["pixels"].to_numpy().reshape(shape), image_ids=ids, **note)


def read_stored(folder: Path, name: str) -> Predictions | Confusions | None:
    """What a task stored under that name, of either kind, or None. Raises DataError where it is damaged."""
    note = folder / f"{name}.json"
    of_pixels = note.is_file() and b'"classes"' in note.read_bytes()
    return Confusions.read(folder, name) if of_pixels else Predictions.read(folder, name)


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
