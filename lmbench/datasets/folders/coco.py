"""COCO keypoints (cocodataset.org/#format-data): x, y and v of every landmark, v being 0 where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.datasets.folders.foreign import known_format
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.people import person_in
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, box_of, folded_name
from lmbench.errors import DataError, UsageError
from lmbench.originals.texts import plain, read_text

Id = int | float | str


def problem(path: Path, options: Options) -> str:
    """Why a file holds no COCO keypoints, ``""`` where it seems to; damage shows when it is read."""
    raw = plain(path.read_bytes())
    lacking = [key for key in (b'"annotations"', b'"keypoints"') if key not in raw]
    if not lacking:
        return ""
    try:
        data = json.loads(read_text(path, options.encoding))
    except (ValueError, RecursionError, DataError) as error:
        return f"damaged: {error}"
    other = known_format(data)
    return other or f"no COCO keypoints: {' and '.join(k.decode() for k in lacking)} not in it"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """The labelled objects of one category. Raises DataError naming file and annotation, UsageError: which category?"""
    del photos
    data = _parse(path, options)
    images = _by_id(data["images"], path, "image")
    categories = _by_id(data["categories"], path, "category")
    annotations = _by_id(data["annotations"], path, "annotation")
    labelled = {i: a for i, a in annotations.items() if a.get("keypoints") and not _is_crowd(a)}
    crowds = sum(map(_is_crowd, annotations.values()))
    if annotations and not labelled:
        raise DataError(
            f"{path}: none of its {len(annotations)} annotations can be used: {crowds} are of crowds (iscrowd), the others "
            "have no keypoints."
        )
    for i, a in labelled.items():
        if _id(a.get("category_id")) not in categories:
            known = ", ".join(f"{c} ({v.get('name')})" for c, v in categories.items())
            raise DataError(
                f"{path}: annotation {i} is of the category {a.get('category_id')!r}, which is not among its "
                f"categories: {known or 'none'}."
            )
        if _id(a.get("image_id")) not in images:
            raise DataError(f"{path}: annotation {i} is of the image {a.get('image_id')!r}, which is not listed.")
    chosen = _choose(path, options, categories, [_id(a["category_id"]) for a in labelled.values()])
    names = _names(categories[chosen], path)
    own = {i: a for i, a in labelled.items() if _id(a["category_id"]) == chosen}
    reader = _Reader(path, names, options)
    samples = [reader.sample(i, a, images[_id(a["image_id"]) or 0]) for i, a in own.items()]
    left_out = {
        "without keypoints": len(annotations) - len(labelled) - crowds,
        "of crowds": crowds,
        "of other categories": len(labelled) - len(own),
    }
    return Annotations(
        names,
        samples,
        (
            f"category {categories[chosen].get('name')}, keypoints with v >= {reader.least} count",
            *(f"{n} of {len(annotations)} objects left out: {kind}" for kind, n in left_out.items() if n),
            *reader.notes(),
        ),
    )


def _parse(path: Path, options: Options) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path, options.encoding), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: damaged JSON: {error.msg} (column {error.colno}).") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged JSON: {error}.") from None
    wanted = ("images", "annotations", "categories")
    lacking = [key for key in wanted if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if lacking:
        raise DataError(
            f"{path}: no COCO file: it has no list {', '.join(lacking)} ({', '.join(wanted)} are expected)."
        )
    return dict(data)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object ({', '.join(keys)[:80]})")
    return found


def _id(value: Any) -> Id | None:
    """An id by its value: ``1``, ``1.0`` and ``"1"`` are one; None for what is none."""
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9]\d{0,17})(\.0+)?", value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value != value or value == "":
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_crowd(annotation: dict[str, Any]) -> bool:
    """By the value of ``iscrowd``, which some programs write as text."""
    return str(annotation.get("iscrowd")).strip().lower() not in ("", "0", "0.0", "false", "none", "null")


def _by_id(records: list[Any], path: Path, kind: str) -> dict[Id, dict[str, Any]]:
    found: dict[Id, dict[str, Any]] = {}
    for number, record in enumerate(records):
        key = _id(record.get("id")) if isinstance(record, dict) else None
        named = kind != "image" or (isinstance(record, dict) and isinstance(record.get("file_name"), str))
        if key is None or not named or (kind == "image" and not record["file_name"].strip()):
            raise DataError(f"{path}: {kind} number {number} has no id" + (" or file_name." * (kind == "image") or "."))
        if key in found:
            raise DataError(f"{path}: the {kind} id {key} stands twice; ids must be unique.")
        found[key] = record
    return found


def _names(category: dict[str, Any], path: Path) -> tuple[str, ...]:
    given = category["keypoints"]
    words = given if isinstance(given, list) else []
    names = tuple(str(n) for n in words) if all(_word(n).strip() for n in words) else ()
    if not names or len(set(names)) != len(names):
        said = f"names a keypoint twice: {', '.join(names)}" if names else f"has no list of keypoints: {given!r:.80}"
        raise DataError(f"{path}: the category {category.get('name')!r} {said}.")
    return names


def _choose(path: Path, options: Options, categories: dict[Id, dict[str, Any]], used: list[Any]) -> Id:
    able = {i: c for i, c in categories.items() if c.get("keypoints") and i in set(used)}
    listed = ", ".join(folded_name(str(c.get("name"))) or str(i) for i, c in able.items())
    if options.category:
        wanted = folded_name(options.category)
        chosen = [i for i, c in able.items() if wanted in (folded_name(str(c.get("name"))), str(i))]
        if not chosen:
            raise UsageError(f"{path}: no keypoints of a category {options.category!r}; there are {listed or 'none'}.")
        if len(chosen) > 1:
            raise UsageError(f"{path}: {len(chosen)} categories are called {options.category!r}: name one by its id.")
        return chosen[0]
    if not able:
        raise DataError(f"{path}: no annotation is of a category that lists its keypoints.")
    if len(able) > 1:
        raise UsageError(f"{path}: keypoints of {len(able)} categories ({listed}): name one by category=NAME.")
    return next(iter(able))


class _Reader:
    """Reads the objects of one file, and counts what was accepted."""

    def __init__(self, path: Path, names: tuple[str, ...], options: Options) -> None:
        self.path, self.names, self.options = path, names, options
        self.least = 1 if options.occluded == "scored" else 2
        self.scores = 0

    def notes(self) -> list[str]:
        said = f"accepted (accept=scores): the third numbers of {self.scores} objects are scores, those above 0 are labelled"
        return [said] if self.scores else []

    def sample(self, i: Id, annotation: dict[str, Any], image: dict[str, Any]) -> Sample:
        """One object. Raises DataError naming it: other numbers than expected."""
        where, count = f"{self.path}: annotation {i}", len(self.names)
        try:
            values = np.array(annotation["keypoints"], np.float64).reshape(count, 3)
            box = np.array(annotation.get("bbox") or (0, 0, 0, 0), np.float64).reshape(4)
        except (ValueError, TypeError, OverflowError):
            raise DataError(
                f"{where}: {3 * count} numbers are expected in keypoints (x, y, v of {count}) and 4 in bbox."
            ) from None
        points, flags = values[:, :2], values[:, 2]
        if not np.isfinite(points[flags != 0]).all() or not np.isfinite(flags).all() or not np.isfinite(box).all():
            raise DataError(f"{where}: a number is NaN or infinite; only a keypoint with v = 0 may be without numbers.")
        odd = ~np.isin(flags, (0, 1, 2))
        if odd.any() and "scores" in self.options.accept:
            self.scores += 1
        elif odd.any():
            raise DataError(
                f"{where}: the third number of {self.names[int(odd.argmax())]} is {flags[odd.argmax()]:g}; v is 0 (not "
                "labelled), 1 (occluded) or 2. Scores of a pose estimator are no labels: write 2 for the points that are "
                "right and 0 for the rest, or pass accept=scores to take every point with a score above 0 as it is."
            )
        visible = flags > 0 if "scores" in self.options.accept else flags >= self.least
        left, top, width, height = (float(v) for v in box)
        return Sample(
            image=image["file_name"],
            file=self.path,
            points=np.where(visible[:, None], points, np.nan),
            visible=visible,
            box=box_of(left, top, width, height),
            label=str(i),
            size=_size(image),
            person=person_in(annotation) or person_in(image),
            columns=_columns(image, annotation) if self.options.group else {},
        )


def _word(value: Any) -> str:
    """A number or word as text, an id by its value; ``""`` for anything else."""
    return "" if _id(value) is None else str(_id(value))


def _columns(image: dict[str, Any], annotation: dict[str, Any]) -> dict[str, str]:
    """What `group=` may name: single values of image, annotation, and the annotation's attributes (CVAT)."""
    attributes = annotation.get("attributes")
    found = {**image, **annotation, **(attributes if isinstance(attributes, dict) else {})}
    return {key: _word(value) for key, value in found.items() if _word(value)}


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height where the file states both as whole numbers."""
    width, height = _id(image.get("width")), _id(image.get("height"))
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width > 0 < height else None
