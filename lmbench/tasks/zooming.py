"""Images seen larger or smaller: the same files read through other boxes."""

from __future__ import annotations

import datasets
import numpy as np

from lmbench.data.opening import OpenDataset
from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.data.places import cache_root
from lmbench.data.schema import column, decode, reading_columns
from lmbench.geometry.framing import Preprocessing


def zoomed_pixels(dataset: OpenDataset, split: str, factor: float) -> PixelStore:
    """The pixel store of a split under the dataset's own preprocessing, its boxes `zoomed`. Raises DataError."""
    if factor == 1:
        return dataset.pixels(split)
    name = f"{split}, boxes x {factor:g}"
    images = zoomed(dataset.splits[split], factor, split)
    steps = dataset.spec.preprocessing
    return open_pixels(images, dataset.fingerprint, name, steps, cache_root(), dataset.check_unchanged)


def zoomed(split: datasets.Dataset, factor: float, name: str) -> datasets.Dataset:
    """The split with the sides of every box multiplied by ``factor``, the box's centre staying where it is.

    Above 1 more of the source image is seen and the object is smaller (the zoom-out factor of Karmali et al. 2022, sec.
    4.4). A box that stood for the whole image becomes one in pixels. ``name`` is the split's, for errors. Raises DataError
    where the size of such an image cannot be read.
    """
    boxes = column(split, "box").astype(np.float64)
    images = reading_columns(split)
    for i in np.flatnonzero(boxes[:, 2] <= 0):
        boxes[i] = 0, 0, *decode(images[int(i)], name)[0].size
    boxes[:, :2] -= boxes[:, 2:] * (factor - 1) / 2
    boxes[:, 2:] *= factor
    plain = list(boxes.astype(np.float32))
    return split.remove_columns("box").add_column("box", plain, feature=split.features["box"])


def zoomed_points(points: np.ndarray, factor: float, steps: Preprocessing, source_scale: np.ndarray) -> np.ndarray:
    """(N, L, 2): where landmarks in pixels of preprocessed images lie after their boxes were zoomed.

    They move as the pixels under them do, about the image's centre. Under the papers' convention of ``Preprocessing`` a
    landmark lies beside its pixel by half a pixel's growth, which follows from ``source_scale`` (N, 2) and is the same for a
    head that was fitted at factor 1 whatever it is shown: zooming the landmarks by themselves would count that as an error.
    """
    beside = 0.5 - 0.5 / source_scale[:, None] if steps.centres == "papers" else 0.0
    fixed = (steps.size - 1) / 2 + beside
    return np.asarray(points + (fixed - points) * (1 - 1 / factor), np.float32)
