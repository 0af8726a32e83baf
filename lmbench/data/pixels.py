"""The pixel store: every image decoded once, into a uint8 memory map at the size to which it is resized.

What is cropped is a slice of that map, so that training on frames and judging on their middle read the same file. Memory
does not grow with the number of images: building streams, reading maps pages. A store is addressed by what is in it
(dataset fingerprint, split, resizing), written beside its place and renamed, so a half-written one never is one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lmbench import progress
from lmbench.config.model import digest_of
from lmbench.data.images import summary
from lmbench.data.mapped import new_array_file
from lmbench.data.schema import column, decode, reading_columns
from lmbench.errors import DataError
from lmbench.geometry.framing import Preprocessing
from lmbench.store.files import building

FORMAT = 4  # of the files of a store; another one is built anew
READ_AHEAD = 256
IMAGES, ANNOTATIONS, META = "images.npy", "annotations.npz", "store.json"


@dataclass(frozen=True)
class PixelStore:
    """N square images of one size with their annotations, in pixels of these images.

    ``landmarks`` (N, L, 2) float32, ``visible`` (N, L) bool, ``identity`` (N,) int64 (-1: unknown),
    ``source_ids`` (N,). ``source_scale`` (N, 2): pixels of the source image in one pixel, x and y; ``None`` for images that
    were not cut from files. ``reading``: what was done to images of the whole split to read them, see `read_image`.
    """

    images: np.ndarray
    landmarks: np.ndarray
    visible: np.ndarray
    identity: np.ndarray
    source_ids: np.ndarray
    key: str
    source_scale: np.ndarray | None = None
    reading: str = ""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """The side of the images in pixels."""
        return int(self.images.shape[1])

    @cached_property
    def pixels_sha256(self) -> str:
        """The SHA-256 of all pixels, in order."""
        digest = hashlib.sha256()
        for start in range(0, len(self), READ_AHEAD):
            digest.update(self.images[start : start + READ_AHEAD].tobytes())
        return digest.hexdigest()

    def batch(self, indices: Tensor | np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """(B, 3, size, size) float32 in [0, 1] on the device."""
        raw = torch.from_numpy(self.images[np.asarray(indices)])
        return raw.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)

    def batches(self, size: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """All images in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))), device)

    def first(self, count: int | None) -> PixelStore:
        """The first ``count`` images (all of them for ``None``)."""
        if count is None or count >= len(self):
            return self
        return self.select(np.arange(count))

    def select(self, indices: np.ndarray) -> PixelStore:
        """Some of the images; contiguous ones stay mapped."""
        start, stop = (int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 0)
        span: Any = slice(start, stop) if stop - start == len(indices) else indices
        return PixelStore(
            self.images[span],
            self.landmarks[span],
            self.visible[span],
            self.identity[span],
            self.source_ids[span],
            digest_of([self.key, hashlib.sha256(np.ascontiguousarray(indices).tobytes()).hexdigest()]),
            None if self.source_scale is None else self.source_scale[span],
            self.reading,
        )


class DevicePixels:
    """Batches of a pixel store for training: held on the device as uint8 where it fits, else read from the map."""

    def __init__(self, store: PixelStore, device: torch.device) -> None:
        self.store, self.device = store, device
        self._held: Tensor | None = None
        if device.type == "cuda" and store.images.nbytes < torch.cuda.mem_get_info(device)[0] // 3:
            self._held = torch.from_numpy(np.ascontiguousarray(store.images)).to(device)

    def __len__(self) -> int:
        return len(self.store)

    def batch(self, indices: Tensor) -> Tensor:
        """(B, 3, size, size) float32 in [0, 1] on the device."""
        if self._held is None:
            return self.store.batch(indices, self.device)
        return self._held[indices.to(self.device)].permute(0, 3, 1, 2).float().div_(255)


def transform_points(points: np.ndarray, boxes: np.ndarray, sides: np.ndarray, steps: Preprocessing) -> np.ndarray:
    """(N, L, 2) float64: landmarks in pixels of the preprocessed image; see ``Preprocessing`` for the convention.

    ``boxes`` (N, 4) as in the schema, ``sides`` (N, 2): width and height of the part that is resized.
    """
    origin, half = boxes[:, None, :2], steps.half
    scale = steps.resize / sides[:, None, :]
    return np.asarray((points.astype(np.float64) + half - origin) * scale - half - steps.crop)


def restore_points(points: np.ndarray, boxes: np.ndarray, sides: np.ndarray, steps: Preprocessing) -> np.ndarray:
    """(N, L, 2) float64: landmarks in pixels of the source images; the inverse of `transform_points`."""
    origin, half = boxes[:, None, :2], steps.half
    scale = sides[:, None, :] / steps.resize
    return np.asarray((points.astype(np.float64) + half + steps.crop) * scale - half + origin)


def preprocess_image(
    image: Image.Image, box: np.ndarray, steps: Preprocessing
) -> tuple[np.ndarray, tuple[float, float]]:
    """(uint8 (size, size, 3), (width, height) of the part that was resized) of an RGB image; outside it is ``steps.fill``.

    A box may begin and end within pixels: it is resampled as it is, so that image and landmarks stay together.
    """
    left, top, width, height = (float(v) for v in box) if box[2] > 0 else (0.0, 0.0, *map(float, image.size))
    x, y = math.floor(left), math.floor(top)
    end_x, end_y = math.ceil(left + width), math.ceil(top + height)
    if (x, y, end_x, end_y) != (0, 0, *image.size):
        image = _cut(image, (x, y, end_x, end_y), steps.fill)
    part = (left - x, top - y, min(left - x + width, image.width), min(top - y + height, image.height))
    if part != (0, 0, steps.resize, steps.resize):
        image = image.resize((steps.resize, steps.resize), Image.Resampling.BILINEAR, box=part)
    pixels = np.asarray(image)
    end = steps.resize - steps.crop
    return pixels[steps.crop : end, steps.crop : end], (width, height)


def _cut(image: Image.Image, box: tuple[int, int, int, int], fill: int) -> Image.Image:
    """The part (left, top, right, bottom) of an image; ``fill`` where it reaches beyond."""
    if fill == 0:  # Pillow's own
        return image.crop(box)
    part = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), (fill, fill, fill))
    part.paste(image, (-box[0], -box[1]))
    return part


def open_pixels(
    dataset: datasets.Dataset,
    fingerprint: str,
    split: str,
    steps: Preprocessing,
    cache: Path,
    check_unchanged: Callable[[], None] = lambda: None,
) -> PixelStore:
    """The pixel store of a split, built on first use (with progress) and mapped ever after; a damaged one is built anew.

    ``check_unchanged`` raises where the images were changed while they were decoded: such a store is not kept.
    """
    whole = replace(steps, crop=0)
    folder = cache / "pixels" / _key(fingerprint, split, whole)[:20]
    with building(folder) as draft:
        if draft is not None:
            _build(dataset, fingerprint, split, whole, draft)
            check_unchanged()
    return _open(folder, _key(fingerprint, split, steps), steps.crop)


def _key(fingerprint: str, split: str, steps: Preprocessing) -> str:
    return digest_of({"fingerprint": fingerprint, "split": split, "steps": asdict(steps), "format": FORMAT})


def _build(dataset: datasets.Dataset, fingerprint: str, split: str, steps: Preprocessing, draft: Path) -> None:
    count, size = len(dataset), steps.size
    if count == 0:
        raise DataError(f"the split {split!r} is empty.")
    images = new_array_file(draft / IMAGES, np.uint8, (count, size, size, 3))
    sides = np.zeros((count, 2))
    boxes = column(dataset, "box")
    done: Counter[str] = Counter()
    plain = reading_columns(dataset)
    with progress.task(f"decoding {split}", count) as bar:
        for start in range(0, count, READ_AHEAD):
            rows = plain[start : start + READ_AHEAD]
            for offset, values in enumerate(zip(*rows.values(), strict=True)):
                i = start + offset
                image, work = decode(dict(zip(rows, values, strict=True)), split)
                done.update(work)
                images[i], sides[i] = preprocess_image(image, boxes[i], steps)
            bar.advance(len(rows["source_id"]))
    images.flush()
    points, visible = np.zeros((count, 0, 2)), np.zeros((count, 0), bool)
    if "landmarks" in dataset.column_names:
        points = transform_points(column(dataset, "landmarks"), boxes, sides, steps)
        visible = column(dataset, "visible")
    np.savez(
        draft / ANNOTATIONS,
        landmarks=points,  # float64: a crop is taken off before they are rounded
        visible=visible,
        identity=column(dataset, "identity"),
        source_ids=column(dataset, "source_id"),
        source_scale=sides / steps.resize,
    )
    meta = {"fingerprint": fingerprint, "split": split, "steps": asdict(steps), "reading": summary(done, count)}
    (draft / META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _open(folder: Path, key: str, crop: int) -> PixelStore:
    """The store in a folder, ``crop`` pixels cut off each side of its images."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        notes = dict(np.load(folder / ANNOTATIONS, allow_pickle=False))
        images = np.load(folder / IMAGES, mmap_mode="r")
        landmarks = (notes.pop("landmarks") - crop).astype(np.float32)
        end = images.shape[1] - crop
        return PixelStore(images[:, crop:end, crop:end], landmarks, **notes, key=key, reading=meta["reading"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"pixel store {folder} is damaged ({error}); delete the folder, it will be built again."
        ) from None
