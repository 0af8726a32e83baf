"""Test images of a run, with the annotated and the predicted landmarks, as pictures written into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lmbench.data.opening import OpenDataset, open_dataset
from lmbench.data.pixels import preprocess_image
from lmbench.data.schema import column, decode, reading_columns
from lmbench.errors import DataError, StaleError
from lmbench.pages.judged import Judged
from lmbench.report.pictures import overlaid
from lmbench.results.run import Run

WORST, OTHERS = 12, 6  # pictures of the worst images, and of the best and the median ones
QUALITY = 85  # of the JPEGs
LARGEST = 256  # px of a side


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, and what it shows."""

    source: str
    caption: str
    alt: str
    side: int


def picture_groups(run: Run, judged: Judged, data_root: Path | None = None) -> dict[str, list[Picture]]:
    """The worst, the best and the median test images by their mean error in the first draw.

    Raises DataError where the images are not on this machine, StaleError where they are not those that were judged. Nothing is
    written: images are read from their files, and no others than those shown.
    """
    errors = judged.by_image[0]
    order = np.flatnonzero(~np.isnan(errors))
    order = order[np.argsort(errors[order], kind="stable")]
    middle = max(0, (len(order) - OTHERS) // 2)
    groups = {"Worst": order[::-1][:WORST], "Median": order[middle : middle + OTHERS], "Best": order[:OTHERS]}
    images = _images(run, judged, np.concatenate(list(groups.values())), data_root)
    return {name: list(_pictures(judged, chosen, images)) for name, chosen in groups.items()}


def _images(
    run: Run, judged: Judged, chosen: Sequence[int] | np.ndarray, data_root: Path | None
) -> dict[int, np.ndarray]:
    """The chosen test images, by their place among the predictions, as the network saw them."""
    opened = open_dataset(run.config.dataset, data_root, run.plugins, run.config.partial, make=False)
    if opened.fingerprint != run.record.data.fingerprint:
        raise StaleError(f"{opened.name} holds other images or labels now than those that {run.name} was judged on.")
    return dict(zip(map(int, chosen), _read(opened, judged, chosen), strict=True))


def _read(opened: OpenDataset, judged: Judged, chosen: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
    test, steps = opened.splits["test"], opened.spec.preprocessing
    places = {name: i for i, name in enumerate(column(test, "source_id").tolist())}
    boxes, plain = column(test, "box"), reading_columns(test)
    for name in judged.predictions.image_ids[chosen].tolist():
        if name not in places or steps.size != judged.predictions.image_size:
            raise DataError(f"{opened.name}: the predictions are not of its test images as they are read now.")
        image, _ = decode(plain[places[name]], "test")
        yield preprocess_image(image, boxes[places[name]], steps)[0]


def _pictures(judged: Judged, chosen: np.ndarray, images: dict[int, np.ndarray]) -> Iterator[Picture]:
    p = judged.predictions
    for i in map(int, chosen):
        tile = overlaid(images[i], p.predicted[0, i], p.target[i], p.visible[i])
        tile.thumbnail((LARGEST, LARGEST))
        error = f"{judged.by_image[0, i]:.2f} {judged.metric.unit}"
        name = str(p.image_ids[i])
        alt = f"Test image {name} with its annotated (blue rings) and predicted (yellow dots) landmarks, {error} off on average"
        yield Picture(_jpeg(tile), f"{error}, {name}", alt, tile.width)


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
