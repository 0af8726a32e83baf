"""``.pts``: one file an image, as iBUG writes them (300-W). Pixels count from one."""

from __future__ import annotations

from pathlib import Path

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample, known
from lmbench.errors import DataError
from lmbench.originals.pts import points_of
from lmbench.originals.texts import read_text


def problem(path: Path, options: Options) -> str:
    """Every ``.pts`` is taken for one; damage shows when it is read."""
    del path, options
    return ""


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample, its landmarks named ``0`` to ``L-1``. Raises DataError naming the line, or the image that is not there."""
    points = points_of(read_text(path, options.encoding), path)
    images = photos.beside(path)
    if len(images) != 1:
        said = "there is none" if not images else f"there are {', '.join(i.name for i in images)}"
        raise DataError(f"{path}: one image of this name is expected beside it; {said}.")
    names = tuple(map(str, range(len(points))))
    return Annotations(names, [Sample(images[0].name, path, points, known(points))])
