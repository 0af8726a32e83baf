"""``.pts``: one file an image, as iBUG writes them (300-W). Pixels count from one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, coordinate, known
from lmbench.datasets.folders.texts import read_text
from lmbench.errors import DataError


def problem(path: Path, options: Options) -> str:
    """Every ``.pts`` is taken for one; damage shows when it is read."""
    del path, options
    return ""


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample, its landmarks named ``0`` to ``L-1``. Raises DataError naming the line, or the image that is not there."""
    points = read_points(path, options.encoding)
    images = photos.beside(path)
    if len(images) != 1:
        said = "there is none" if not images else f"there are {', '.join(i.name for i in images)}"
        raise DataError(f"{path}: one image of this name is expected beside it; {said}.")
    names = tuple(map(str, range(len(points))))
    return Annotations(names, [Sample(images[0].name, path, points, known(points))])


def read_points(path: Path, encoding: str = "") -> np.ndarray:
    """(L, 2) points as the file has them, NaN where it says so. Raises DataError."""
    lines = read_text(path, encoding).splitlines()
    marks = [line.strip() for line in lines]
    if "{" not in marks or "}" not in marks:
        raise DataError(f"{path}:{len(lines)}: points are expected between braces: version, n_points, {{, x y, }}.")
    start = marks.index("{")
    points = []
    for number, line in enumerate(marks[start + 1 : marks.index("}")], start + 2):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 2:
            raise DataError(f"{path}:{number}: x and y are expected, found {line!r}.")
        points.append([coordinate(cell, f"{path}:{number}") for cell in cells])
    said = [line.partition(":")[2].strip() for line in marks[:start] if line.startswith("n_points")]
    if not points or (said and said[0] != str(len(points))):
        raise DataError(f"{path}: n_points says {said[0] if said else 'nothing'}, the file has {len(points)} points.")
    return np.array(points)
