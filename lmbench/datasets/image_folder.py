"""Any folder of images as an unlabelled set for pretraining."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
from PIL import Image, UnidentifiedImageError

from lmbench.data.schema import landmark_dataset
from lmbench.data.walking import walk
from lmbench.errors import DataError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}


def load(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """All images below ``argument``, in order of their paths, each cut to its central square.

    Raises DataError: no such folder, no image in it, or a file that is none (named; nothing is skipped in silence).
    """
    del root
    folder = Path(argument).expanduser()
    if not folder.is_dir():
        raise DataError(f"images:{argument}: there is no such folder.")
    walked = walk(folder)
    files = [f for f in walked.files if f.suffix.lower() in SUFFIXES]
    if not files:
        said = f" ({walked.said()})" if walked.left_out else ""
        raise DataError(f"images:{argument}: no image file in it or below ({', '.join(sorted(SUFFIXES))}){said}.")
    boxes = np.array([_central_square(f) for f in files], np.float32)
    return {
        "train": landmark_dataset(
            files, [str(f.relative_to(folder)) for f in files], boxes=boxes, where=f"images:{argument}"
        )
    }


def _central_square(path: Path) -> tuple[int, int, int, int]:
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError):
        size = path.stat().st_size
        said = "is empty" if size == 0 else "is no image that Pillow can read"
        raise DataError(f"images: {path} {said}; remove it from the folder.") from None
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side
