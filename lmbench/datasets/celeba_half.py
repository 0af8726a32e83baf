"""The CelebA excerpt at half size (Liu et al. 2015), unlabelled."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import landmark_dataset
from lmbench.datasets.folders.walking import without_hidden
from lmbench.errors import DataError

BOX = (0, 15, 89, 89)  # the papers crop 178x178 from row 30 of the 178x218 image


def load(root: Path) -> dict[str, datasets.Dataset]:
    """One unlabelled split. Raises DataError where images or MAFL's test list are missing."""
    folder = root / "img_align_celeba_half"
    files = without_hidden(folder.glob("*.jpg"))
    if not files:
        raise DataError(f"celeba_half: no *.jpg under {folder}. Put the excerpt there, or pass --data-root.")
    held_out = mafl_test_ids(root / "MAFL" / "testing.txt")
    files = [f for f in files if f.name not in held_out]
    boxes = np.tile(np.array(BOX, np.float32), (len(files), 1))
    return {"train": landmark_dataset(files, [f.name for f in files], boxes=boxes, where="celeba_half")}


def mafl_test_ids(path: Path) -> set[str]:
    """File names of MAFL's 1,000 test images, which no pretraining may see. Raises DataError."""
    if not path.is_file():
        raise DataError(f"celeba_half: {path} is missing; without it MAFL's test faces would be trained on.")
    return set(path.read_text(encoding="utf-8").split())
