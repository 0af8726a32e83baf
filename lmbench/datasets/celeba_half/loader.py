"""The CelebA excerpt at half size (Liu et al. 2015), unlabelled."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import landmark_dataset
from lmbench.errors import DataError
from lmbench.originals.lists import Originals
from lmbench.originals.walking import without_hidden

BOX = (0, 15, 89, 89)  # the papers crop 178x178 from row 30 of the 178x218 image


def load(root: Path) -> dict[str, datasets.Dataset]:
    """One unlabelled split. Raises DataError where images or MAFL's test list are missing."""
    folder = root / "img_align_celeba_half"
    files = without_hidden(folder.glob("*.jpg"))
    if not files:
        raise DataError(f"celeba_half: no *.jpg under {folder}. Put the excerpt there, or pass --data-root.")
    lists = Originals("celeba_half", root, "Without it MAFL's test faces would be trained on.")
    held_out = set(lists.names(root / "MAFL" / "testing.txt"))
    files = [f for f in files if f.name not in held_out]
    boxes = np.tile(np.array(BOX, np.float32), (len(files), 1))
    return {"train": landmark_dataset(files, [f.name for f in files], boxes=boxes, where="celeba_half")}
