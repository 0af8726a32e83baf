"""imglab XML of dlib: images with boxes, boxes with named parts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lmbench.datasets.folders.foreign import known_xml
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, box_of, known
from lmbench.errors import DataError
from lmbench.originals.texts import coordinate, plain

HEAD = 1 << 16  # bytes in which a file shows what it is


def problem(path: Path, options: Options) -> str:
    """Why a file is not imglab's, ``""`` where it seems to be; damage shows when it is read."""
    del options
    with path.open("rb") as file:
        head = plain(file.read(HEAD))
    if re.search(rb"<(\w+:)?dataset\b", head) and re.search(rb"<(\w+:)?image\b", head):
        return ""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return f"damaged: {error}"
    return known_xml(_plain_tag(root)) or "not of imglab: no <dataset> with <images>"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample a box; the landmarks are all parts of all boxes. Raises DataError naming the line or the image."""
    del photos
    del options
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise DataError(f"{path}:{error.position[0]}: damaged XML: {error}.") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise DataError(f"{path}:1: damaged XML: {error}.") from None
    for element in root.iter():
        element.tag = _plain_tag(element)
    boxes = []
    for image in root.iter("image"):
        if not image.get("file"):
            raise DataError(f"{path}: an <image> has no file.")
        boxes += [(image.get("file", ""), k, b) for k, b in enumerate(image.findall("box")) if b.get("ignore") != "1"]
    parts = {p.get("name", "") for _, _, box in boxes for p in box.findall("part")}
    names = tuple(sorted(parts, key=lambda n: [int(w) if w.isdigit() else w for w in re.split(r"(\d+)", n)]))
    if not names:
        raise DataError(f"{path}: no <box> has a <part>: boxes without landmarks.")
    sizes = {image.get("file", ""): _size(image) for image in root.iter("image")}
    samples = [replace(_sample(*box, names, path), size=sizes[box[0]]) for box in boxes]
    ignored = sum(b.get("ignore") == "1" for b in root.iter("box"))
    return Annotations(names, samples, (f"{ignored} boxes left out: marked to be ignored",) if ignored else ())


def _plain_tag(element: ElementTree.Element) -> str:
    """The name of an element without its namespace; ``""`` for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _size(image: ElementTree.Element) -> tuple[int, int] | None:
    width, height = image.get("width", ""), image.get("height", "")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None


def _sample(image: str, number: int, box: ElementTree.Element, names: tuple[str, ...], path: Path) -> Sample:
    where = f"{path}: {image}"
    points = np.full((len(names), 2), np.nan)
    for part in box.findall("part"):
        k = names.index(part.get("name", ""))
        if np.isfinite(points[k]).any():
            raise DataError(f"{where}: the part {names[k]!r} stands twice in one box.")
        points[k] = [coordinate(part.get(axis, ""), where) for axis in ("x", "y")]
    left, top, width, height = (coordinate(box.get(a, ""), where) for a in ("left", "top", "width", "height"))
    return Sample(image, path, points, known(points), box_of(left, top, width, height), label=str(number))
