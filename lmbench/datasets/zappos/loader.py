"""UT-Zappos50k (Yu and Grauman 2014), shoes on white, unlabelled: what the 2017 paper shows landmarks on."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np

from lmbench.data.images import read_header
from lmbench.data.schema import landmark_dataset
from lmbench.errors import DataError
from lmbench.originals.lists import hashed
from lmbench.originals.walking import walk

HELD_OUT = 500  # 50,025 images; Thewlis et al. 2017, sec. 4.1 train on 49,525 of them and keep the rest
PADDED = 94 / 64  # supplement, sec. 2: 64x64 images padded with 15 white pixels on each side
GET = "Unpack ut-zap50k-images.zip (or -square) so that ut-zap50k-images lies in the data root."


def load(root: Path) -> dict[str, datasets.Dataset]:
    """All images but the 500 of smallest hash, each in a square with a white border.

    Raises DataError: no image, or one that cannot be read.
    """
    files = [f for f in walk(root).files if f.suffix == ".jpg"]
    if len(files) <= HELD_OUT:
        raise DataError(f"zappos: {len(files)} *.jpg under {root}; 50025 are expected. {GET}")
    ids = {f: f.relative_to(root).as_posix() for f in files}
    held_out = set(sorted(files, key=lambda f: hashed(ids[f]))[:HELD_OUT])
    files = [f for f in files if f not in held_out]
    boxes = np.array([_padded_square(f) for f in files], np.float32)
    return {"train": landmark_dataset(files, [ids[f] for f in files], boxes=boxes, where="zappos")}


def _padded_square(path: Path) -> tuple[int, int, int, int]:
    left, top, side, _ = frames_around(
        np.array([[0, 0, *read_header(path, str(path), "zappos").upright]]), np.zeros((1, 2))
    )[0]
    return int(left), int(top), int(side), int(side)


def frames_around(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, 4) squares about boxes (N, 4), ``PADDED`` times their longer side."""
    del sizes
    side = np.round(boxes[:, 2:].max(1, keepdims=True) * PADDED)
    return np.concatenate([boxes[:, :2] + (boxes[:, 2:] - side) // 2, side, side], axis=1)
