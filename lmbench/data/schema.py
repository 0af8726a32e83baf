"""The landmark schema on Hugging Face `datasets`: what every loader gives, checked where it is made.

Columns: ``image`` (a file or encoded bytes), ``source_id`` (unique in a split), ``identity`` (-1: unknown), ``box``
(left, top, width, height of the part that is used, in source pixels; zero width: the whole image), and for labelled
data ``landmarks`` (L, 2) and ``visible`` (L,), or ``mask``
(an encoded 8-bit image of class labels). ``raw``, only where it is true of an image: its pixels are taken as they are stored,
against an EXIF orientation. Landmarks are in pixels of the source image, x before y, the centre of
the first pixel being 0: a loader takes off what its annotation adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image

from lmbench.data.images import read_image
from lmbench.errors import DataError

WHOLE = (0.0, 0.0, 0.0, 0.0)
FARTHEST = 1e6  # pixels; no image is that wide
OUTLYING = 50  # times what is usual in a dataset


class Incomplete(DataError):
    """Part of a dataset is missing. ``splits`` is what is there: enough for `lmbench data verify`, not for a number."""

    def __init__(self, message: str, splits: Mapping[str, datasets.Dataset]) -> None:
        super().__init__(message)
        self.splits = splits


class Leaking(DataError):
    """Images are in both splits. ``splits`` are as the files have them: enough for `lmbench data verify`, not for a number."""

    def __init__(self, message: str, splits: Mapping[str, datasets.Dataset]) -> None:
        super().__init__(message)
        self.splits = splits


def features(landmark_count: int, masks: bool = False, raw: bool = False) -> datasets.Features:
    """The schema for ``landmark_count`` landmarks (0: unlabelled), with or without ``masks`` and ``raw``."""
    columns: dict[str, Any] = {
        "image": datasets.Image(decode=False),
        "source_id": datasets.Value("string"),
        "identity": datasets.Value("int64"),
        "box": datasets.Sequence(datasets.Value("float32"), length=4),
    }
    if landmark_count:
        columns["landmarks"] = datasets.Array2D(shape=(landmark_count, 2), dtype="float32")
        columns["visible"] = datasets.Sequence(datasets.Value("bool"), length=landmark_count)
    if masks:
        columns["mask"] = datasets.Image(decode=False)
    if raw:
        columns["raw"] = datasets.Value("bool")
    return datasets.Features(columns)


def landmark_dataset(
    images: Sequence[str | Path | bytes],
    source_ids: Sequence[str],
    landmarks: Any = None,
    visible: Any = None,
    identity: Any = None,
    boxes: Any = None,
    where: str = "dataset",
    masks: Sequence[bytes] | None = None,
    raw: Sequence[bool] = (),
) -> datasets.Dataset:
    """A split in the schema.

    ``images``: paths or encoded bytes; ``masks``: encoded bytes; ``raw``: which images are read as they are stored.
    ``landmarks`` (N, L, 2), ``visible`` (N, L) and ``boxes`` (N, 4) as in the
    module's text; left out: unlabelled, all visible, the whole image. Raises DataError naming the sample for unequal
    lengths, a repeated id, NaN or infinite landmarks.
    """
    count = len(images)
    columns: dict[str, Any] = {
        "image": [
            {"bytes": i, "path": None} if isinstance(i, bytes) else {"bytes": None, "path": str(i)} for i in images
        ],
        "source_id": list(source_ids),
        "identity": np.full(count, -1) if identity is None else np.asarray(identity),
        "box": np.tile(np.array(WHOLE, np.float32), (count, 1)) if boxes is None else np.asarray(boxes, np.float32),
    }
    _check_ids(columns["source_id"], where)
    number = 0
    if landmarks is not None:
        points = np.asarray(landmarks, np.float32)
        if points.ndim != 3 or points.shape[2] != 2:
            raise DataError(f"{where}: landmarks have shape {points.shape}; (images, landmarks, 2) is expected.")
        bad = ~np.isfinite(points).all((1, 2))
        if bad.any():
            first = columns["source_id"][int(bad.argmax())]
            raise DataError(f"{where}: {int(bad.sum())} images have NaN or infinite landmarks (first: {first}).")
        number = points.shape[1]
        columns["landmarks"] = points
        columns["visible"] = np.ones(points.shape[:2], bool) if visible is None else np.asarray(visible, bool)
        _check_reach(_reach(points, columns["visible"]), FARTHEST, "landmarks", columns["source_id"], where)
    if masks is not None:
        columns["mask"] = [{"bytes": m, "path": None} for m in masks]
    if any(raw):
        columns["raw"] = list(raw)
    if boxes is not None:
        if not np.isfinite(columns["box"]).all() or (columns["box"].reshape(-1, 4)[:, 2:] < 0).any():
            raise DataError(f"{where}: a box has no finite place, or a side below zero.")
        _check_reach(np.abs(columns["box"]).max(1, initial=0), FARTHEST, "the box", columns["source_id"], where)
    for name, values in columns.items():
        if len(values) != count:
            raise DataError(f"{where}: {count} images but {len(values)} entries of {name!r}.")
        columns[name] = list(values)
    return datasets.Dataset.from_dict(columns, features=features(number, masks is not None, any(raw)))


def check_places(splits: Mapping[str, datasets.Dataset], where: str) -> None:
    """Raises DataError naming an image whose landmarks or box lie far beyond all others of a dataset.

    Of benchmarks alone, whose images are of one kind: a number of its lists that was damaged is found without opening every
    image. What a user brings is measured by its own image.
    """
    for name, what in (("landmarks", "landmarks"), ("box", "the box")):
        reach = {
            split: _reach(column(d, name), column(d, "visible") if name == "landmarks" else None)
            for split, d in splits.items()
            if len(d) and name in d.column_names
        }
        usual = np.concatenate(list(reach.values())) if reach else np.zeros(0)
        if len(usual) and np.median(usual) > 0:
            for split, values in reach.items():
                limit = OUTLYING * float(np.median(usual))
                _check_reach(values, limit, what, column(splits[split], "source_id"), f"{where} {split}")


def _reach(places: np.ndarray, visible: np.ndarray | None) -> np.ndarray:
    """(N,): the largest coordinate of each image's box, or of its visible landmarks."""
    if not places.size:
        return np.zeros(len(places))
    reach: np.ndarray = np.abs(places).reshape(len(places), -1, places.shape[-1]).max(2)
    if visible is not None and visible.shape == reach.shape:
        reach = np.where(visible, reach, 0)
    return reach.max(1, initial=0)


def _check_reach(reach: np.ndarray, limit: float, what: str, ids: Any, where: str) -> None:
    if len(reach) and not (reach <= limit).all():
        first = int((~(reach <= limit)).argmax())
        raise DataError(
            f"{where}: {what} of {ids[first]} at {reach[first]:g} pixels, where {limit:g} would be far: the list is damaged."
        )


def _check_ids(ids: list[str], where: str) -> None:
    seen: set[str] = set()
    for i in ids:
        if i in seen:
            raise DataError(f"{where}: the id {i!r} stands twice.")
        seen.add(i)


def column(dataset: datasets.Dataset, name: str) -> np.ndarray:
    """A column as one array (not for ``image``)."""
    if name == "source_id":
        return np.asarray(dataset.with_format(None)[name][:])
    return np.asarray(dataset.with_format("numpy")[name][:])


def reading_columns(dataset: datasets.Dataset) -> datasets.Dataset:
    """The columns that reading an image takes."""
    wanted = [name for name in ("image", "source_id", "raw") if name in dataset.column_names]
    return dataset.with_format(None).select_columns(wanted)


def image_bytes(record: Mapping[str, Any], where: str) -> bytes:
    """The encoded bytes of an entry of the column ``image``. Raises DataError naming the file."""
    if record["bytes"] is not None:
        return bytes(record["bytes"])
    try:
        return Path(record["path"]).read_bytes()
    except OSError as error:
        raise DataError(f"{where}: {record['path']}: {error.strerror or error}.") from None


def decode(sample: Mapping[str, Any], where: str) -> tuple[Image.Image, tuple[str, ...]]:
    """The image of a sample and what was done to it; see `read_image`. Raises DataError naming the file."""
    record = sample["image"]
    name = record["path"] or sample["source_id"]
    source = record["bytes"] if record["bytes"] is not None else Path(record["path"])
    return read_image(source, name, where, raw=bool(sample.get("raw")))
