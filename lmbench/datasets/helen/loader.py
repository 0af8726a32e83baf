"""HELEN with a part for every pixel (Smith et al. 2013), in the layout of SmithCVPR2013_dataset_resized.

Traps of the files: lists hold ``N , id`` lines; every part of a face is an image of its own, soft at its rim, and counts
where it is brighter than half.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.images import read_grey
from lmbench.data.masks import encode_mask
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals

PARTS = 11  # files lbl00 (background) to lbl10 (hair)
HAIR = 10
FOREGROUND = 0.5 * 255
GET = "Unpack SmithCVPR2013_dataset_resized there, or pass --data-root."
LISTS = {"train": ("exemplars.txt", "tuning.txt"), "test": ("testing.txt",)}


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Faces with masks of ten classes, hair being background.

    Raises DataError naming what is damaged or has no mask, Incomplete where images are missing.
    """
    originals = Originals("helen", root, GET)
    mask = partial(read_mask, root / "labels")
    parts = {}
    for split, lists in LISTS.items():
        ids = [i for name in lists for i in read_ids(originals, root / name)]
        parts[split] = Listed([root / "images" / f"{i}.jpg" for i in ids], ids, mask=mask)
    return originals.splits(parts)


def read_ids(originals: Originals, path: Path) -> list[str]:
    """The image ids of a list file. Raises DataError naming the line that is not ``N , id``."""
    ids = []
    for number, line in enumerate(originals.text(path).splitlines(), 1):
        if not line.strip():
            continue
        count, comma, name = (part.strip() for part in line.partition(","))
        if not comma or not count.isdigit() or not name or "/" in name or name.startswith("."):
            raise DataError(f"{path}:{number}: expected `N , id`, found {line.strip()!r}.")
        ids.append(name)
    if not ids:
        raise DataError(f"{path} lists no image.")
    return ids


def read_mask(folder: Path, name: str) -> bytes:
    """The classes of an image's pixels as an encoded 8-bit PNG: the brightest part above one half, else background.

    Raises DataError naming a part that is missing, no image, or of another size.
    """
    parts = []
    for k in range(PARTS):
        path = folder / name / f"{name}_lbl{k:02}.png"
        if not path.is_file():
            raise DataError(f"helen: {path} is missing; every face has {PARTS} parts.")
        parts.append(read_grey(path, str(path), "helen"))
        if parts[k].shape != parts[0].shape:
            raise DataError(f"helen: {path} has {parts[k].shape[::-1]} pixels, part 00 has {parts[0].shape[::-1]}.")
    values = np.stack(parts)
    values[0][values[0] <= FOREGROUND] = 0
    labels = np.where(values.max(0) > FOREGROUND, values.argmax(0), 0)
    labels[labels == HAIR] = 0
    return encode_mask(labels)
