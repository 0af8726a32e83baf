"""imglab XML of dlib: images with boxes, boxes with named parts."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, coordinate, known
from lmbench.errors import DataError

HEAD = 1 << 16  # bytes in which a file shows what it is


def problem(path: Path) -> str:
    """Why a file is not imglab's, ``""`` where it seems to be; damage shows when it is read."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"<dataset" in head and b"<image" in head:
        return ""
    try:
        ElementTree.parse(path)
    except ElementTree.ParseError as error:
        return f"damaged: {error}"
    return "not of imglab: no <dataset> with <images>"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample a box; the landmarks are all parts of all boxes. Raises DataError naming the line or the image."""
    del photos
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"{path}:{error.position[0]}: damaged XML: {error}.") from None
    boxes = []
    for image in root.iter("image"):
        if not image.get("file"):
            raise DataError(f"{path}: an <image> has no file.")
        boxes += [(image.get("file", ""), k, b) for k, b in enumerate(image.findall("box")) if b.get("ignore") != "1"]
    parts = {p.get("name", "") for _, _, box in boxes for p in box.findall("part")}
    names = tuple(sorted(parts, key=lambda n: [int(w) if w.isdigit() else w for w in re.split(r"(\d+)", n)]))
    if not names:
        raise DataError(f"{path}: no <box> has a <part>: boxes without landmarks.")
    return Annotations(names, [_sample(*box, names, path, options.first_pixel or 0) for box in boxes])


def _sample(
    image: str, number: int, box: ElementTree.Element, names: tuple[str, ...], path: Path, first_pixel: float
) -> Sample:
    where = f"{path}: {image}"
    points = np.full((len(names), 2), np.nan)
    for part in box.findall("part"):
        k = names.index(part.get("name", ""))
        if np.isfinite(points[k]).any():
            raise DataError(f"{where}: the part {names[k]!r} stands twice in one box.")
        points[k] = [coordinate(part.get(axis, ""), where) for axis in ("x", "y")]
    left, top, width, height = (coordinate(box.get(a, ""), where) for a in ("left", "top", "width", "height"))
    return Sample(
        image=image,
        file=path,
        points=points - first_pixel,
        visible=known(points),
        box=(left - first_pixel, top - first_pixel, width, height) if width > 0 and height > 0 else None,
        label=str(number),
    )
