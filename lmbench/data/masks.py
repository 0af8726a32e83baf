"""The masks of a split, under the preprocessing of its images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
from PIL import Image

from lmbench.data.images import read_grey
from lmbench.data.schema import column
from lmbench.errors import DataError
from lmbench.geometry.framing import Preprocessing


def encode_mask(classes: np.ndarray) -> bytes:
    """The classes (H, W) of an image's pixels as an encoded 8-bit PNG, as ``decode_mask`` reads it."""
    buffer = io.BytesIO()
    Image.fromarray(classes.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def decode_mask(row: Mapping[str, Any], classes: int) -> Image.Image:
    """The classes of an image's pixels, before preprocessing. Raises DataError: damaged, or a label that is no class."""
    name = row["source_id"]
    mask = Image.fromarray(read_grey(row["mask"]["bytes"] or b"", f"the mask of {name}", "the prepared data"))
    largest = int(np.asarray(mask).max())
    if largest >= classes:
        raise DataError(f"the mask of {name} has the label {largest}; there are {classes} classes.")
    return mask


def read_masks(dataset: datasets.Dataset, steps: Preprocessing, classes: int, count: int) -> np.ndarray:
    """(count, size, size) uint8: the classes of the pixels of the first images; labels are resized to the nearest.

    What a box takes from outside the image is class 0. Raises DataError naming the image whose mask is damaged, or has a
    label that is no class.
    """
    boxes = column(dataset, "box")
    plain = dataset.with_format(None)
    masks = np.empty((count, steps.size, steps.size), np.uint8)
    for i in range(count):
        mask = decode_mask(plain[i], classes)
        if boxes[i][2] > 0:
            left, top, width, height = (round(float(v)) for v in boxes[i])
            mask = mask.crop((left, top, left + width, top + height))
        labels = np.asarray(mask.resize((steps.resize, steps.resize), Image.Resampling.NEAREST))
        end = steps.resize - steps.crop
        masks[i] = labels[steps.crop : end, steps.crop : end]
    return masks
