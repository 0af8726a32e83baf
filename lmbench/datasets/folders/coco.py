"""COCO keypoints (cocodataset.org/#format-data): x, y and v of every landmark, v being 0 where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, folded_name
from lmbench.errors import DataError, UsageError


def problem(path: Path) -> str:
    """Why a file holds no COCO keypoints, ``""`` where it seems to; damage shows when it is read."""
    raw = path.read_bytes()
    lacking = [key for key in (b'"annotations"', b'"keypoints"') if key not in raw]
    if not lacking:
        return ""
    try:
        json.loads(raw)
    except ValueError as error:
        return f"damaged: {error}"
    return f"no COCO keypoints: {' and '.join(k.decode() for k in lacking)} not in it"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """The labelled objects of one category. Raises DataError naming file and annotation, UsageError: which category?"""
    del photos
    data = _parse(path)
    images = _by_id(data["images"], path, "image")
    categories = _by_id(data["categories"], path, "category")
    _by_id(data["annotations"], path, "annotation")
    objects = [a for a in data["annotations"] if "keypoints" in a and not a.get("iscrowd")]
    for a in objects:
        if a.get("category_id") not in categories:
            known = ", ".join(f"{i} ({c.get('name')})" for i, c in categories.items())
            raise DataError(
                f"{path}: annotation {a['id']} is of the category {a.get('category_id')!r}, which is not among its "
                f"categories: {known or 'none'}."
            )
        if a.get("image_id") not in images:
            raise DataError(f"{path}: annotation {a['id']} is of the image {a.get('image_id')!r}, which is not listed.")
    category = _choose(path, options, categories, [a["category_id"] for a in objects])
    names = tuple(str(n) for n in category["keypoints"])
    if len(set(names)) != len(names):
        raise DataError(f"{path}: the category {category.get('name')!r} names a keypoint twice: {', '.join(names)}.")
    least = 1 if options.occluded == "scored" else 2
    samples = [
        _sample(a, images[a["image_id"]], len(names), least, path, options.first_pixel or 0)
        for a in objects
        if a["category_id"] == category["id"]
    ]
    return Annotations(names, samples, (f"category {category.get('name')}, keypoints with v >= {least} count",))


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: damaged JSON: {error.msg} (column {error.colno}).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from None
    wanted = ("images", "annotations", "categories")
    lacking = [key for key in wanted if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if lacking:
        raise DataError(
            f"{path}: no COCO file: it has no list {', '.join(lacking)} ({', '.join(wanted)} are expected)."
        )
    return dict(data)


def _by_id(records: list[Any], path: Path, kind: str) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for number, record in enumerate(records):
        key = record.get("id") if isinstance(record, dict) else None
        if not isinstance(key, int | str) or (kind == "image" and not record.get("file_name")):
            raise DataError(f"{path}: {kind} number {number} has no id" + (" or file_name." * (kind == "image") or "."))
        if key in found:
            raise DataError(f"{path}: the {kind} id {key} stands twice; ids must be unique.")
        found[key] = record
    return found


def _choose(path: Path, options: Options, categories: dict[Any, dict[str, Any]], used: list[Any]) -> dict[str, Any]:
    able = [c for c in categories.values() if c.get("keypoints") and c["id"] in set(used)]
    listed = ", ".join(folded_name(str(c.get("name"))) for c in able)
    if options.category:
        wanted = folded_name(options.category)
        chosen = [c for c in able if wanted in (folded_name(str(c.get("name"))), str(c["id"]))]
        if not chosen:
            raise UsageError(f"{path}: no keypoints of a category {options.category!r}; there are {listed or 'none'}.")
        return chosen[0]
    if not able:
        raise DataError(f"{path}: no annotation is of a category that lists its keypoints.")
    if len(able) > 1:
        raise UsageError(f"{path}: keypoints of {len(able)} categories ({listed}): name one by category=NAME.")
    return able[0]


def _sample(
    annotation: dict[str, Any], image: dict[str, Any], count: int, least: int, path: Path, first_pixel: float
) -> Sample:
    try:
        values = np.array(annotation["keypoints"], np.float64).reshape(count, 3)
        box = np.array(annotation.get("bbox") or (0, 0, 0, 0), np.float64).reshape(4)
    except (ValueError, TypeError):
        raise DataError(
            f"{path}: annotation {annotation['id']}: {3 * count} numbers are expected in keypoints (x, y, v of {count}) "
            "and 4 in bbox."
        ) from None
    if not np.isfinite(values).all() or not np.isfinite(box).all():
        raise DataError(f"{path}: annotation {annotation['id']}: a number is NaN or infinite.")
    left, top, width, height = (float(v) for v in box)
    return Sample(
        image=str(image["file_name"]),
        file=path,
        points=values[:, :2] - first_pixel,
        visible=values[:, 2] >= least,
        box=(left - first_pixel, top - first_pixel, width, height) if width > 0 and height > 0 else None,
        label=str(annotation["id"]),
        size=_size(image),
    )


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height where the file states both as whole numbers."""
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width > 0 < height else None
