"""A plain table: ``image``, then ``NAME_x`` and ``NAME_y`` of every landmark; other columns are optional."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.rows import first_row, read_rows
from lmbench.datasets.folders.samples import Annotations, Box, Sample, coordinate, known
from lmbench.datasets.folders.splitting import word_of
from lmbench.errors import DataError

BOX = ("box_left", "box_top", "box_width", "box_height")
SEEN = {"": None, "1": True, "0": False, "true": True, "false": False}


def problem(path: Path) -> str:
    """Why a table is not one of landmarks, ``""`` where it is."""
    header = first_row(path)
    if "image" in header and _names(header):
        return ""
    return f"no table of landmarks: a header with image, NAME_x and NAME_y is needed, found {', '.join(header[:4])}"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample a row. Raises DataError naming the line."""
    del photos
    rows = list(read_rows(path))
    if not rows or problem(path):
        raise DataError(f"{path}:1: {problem(path)}.")
    header = rows[0][1]
    names = _names(header)
    half = [n for n in header if n[-2:] in ("_x", "_y") and n[:-2] not in names]
    if half or len(set(header)) != len(header):
        raise DataError(f"{path}:1: columns must be unique, and NAME_x and NAME_y come in pairs ({', '.join(header)}).")
    used = {"image", "id", "split", *BOX}
    used |= {name + end for name in names for end in ("_x", "_y", "_visible")}
    samples = [
        _sample(dict(zip(header, row, strict=True)), names, path, number, options.first_pixel or 0)
        for number, row in rows[1:]
    ]
    unknown = [column for column in header if column not in used]
    return Annotations(names, samples, (f"columns not used: {', '.join(unknown)}",) if unknown else ())


def _names(header: list[str]) -> tuple[str, ...]:
    return tuple(n[:-2] for n in header if n.endswith("_x") and n[:-2] + "_y" in header)


def _sample(cells: dict[str, str], names: tuple[str, ...], path: Path, number: int, first_pixel: float) -> Sample:
    where = f"{path}:{number}"
    points = np.array([[coordinate(cells[n + end], where) for end in ("_x", "_y")] for n in names]) - first_pixel
    visible = known(points)
    for k, name in enumerate(names):
        said = cells.get(f"{name}_visible", "").lower()
        if said not in SEEN:
            raise DataError(f"{where}: {name}_visible is {said!r}; 1, 0, true, false or nothing is expected.")
        visible[k] &= SEEN[said] is not False
    split = word_of(cells.get("split", ""))
    if split is None:
        raise DataError(f"{where}: the split is {cells['split']!r}; train, test, val or nothing is expected.")
    if not cells["image"]:
        raise DataError(f"{where}: the image is not named.")
    return Sample(cells["image"], path, points, visible, _box(cells, where, first_pixel), cells.get("id", ""), split)


def _box(cells: dict[str, str], where: str, first_pixel: float) -> Box | None:
    left, top, width, height = (coordinate(cells.get(c, ""), where) for c in BOX)
    return (left - first_pixel, top - first_pixel, width, height) if width > 0 and height > 0 else None
