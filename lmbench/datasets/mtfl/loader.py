"""MTFL and the two AFLW benchmarks that its files allow (Zhang et al. 2014).

Traps of the files: CRLF; a blank before every line but the first; ``\\`` in training.txt, ``/`` in testing.txt;
x1..x5 then y1..y5; coordinates count pixels from one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import Incomplete
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals, hashed

POINTS = 5
COLUMNS = 1 + 2 * POINTS + 4  # path, x1..x5, y1..y5, gender, smile, glasses, head pose
OFFICIAL_TRAIN = 10000
ONE_BASED = 1.0  # MATLAB counts pixels from one; DVE and CL subtract it too
FRAME_SIDE, FRAME_SHIFT = 5.26, (0.067, 0.063)  # medians over the aflw_split training crops
ADVICE = "Unpack MTFL.zip there, or pass --data-root with its parent folder."


@dataclass(frozen=True)
class Annotations:
    """The lines of a list: relative paths (forward slashes) and landmarks (N, 5, 2), zero-based pixels."""

    paths: list[str]
    landmarks: np.ndarray

    def select(self, mask: np.ndarray) -> Annotations:
        return Annotations([self.paths[i] for i in np.flatnonzero(mask)], self.landmarks[mask])

    def listed(self, root: Path, boxes: np.ndarray | None = None) -> Listed:
        return Listed([root / p for p in self.paths], self.paths, self.landmarks, boxes=boxes)


def load_mtfl(root: Path) -> dict[str, datasets.Dataset]:
    """The official splits. Raises Incomplete unless all 10,000 training and 2,995 test images are there."""
    originals = Originals("mtfl", root, ADVICE)
    train, test = read_list(originals, root / "training.txt"), read_list(originals, root / "testing.txt")
    splits = originals.splits({"train": train.listed(root), "test": test.listed(root)})
    if len(train.paths) != OFFICIAL_TRAIN:
        raise Incomplete(
            f"mtfl: training.txt lists {len(train.paths)} images, the official list {OFFICIAL_TRAIN} "
            f"({OFFICIAL_TRAIN - len(train.paths)} missing). Unpack MTFL.zip at {root}, or use --dataset aflw_mtfl, "
            "which takes whatever training images are present.",
            splits,
        )
    return splits


def load_aflw_split(root: Path) -> dict[str, datasets.Dataset]:
    """The 2,995 test crops divided by photo: no photo on both sides. Raises Incomplete where crops are missing."""
    originals = Originals("aflw_split", root, ADVICE)
    crops = read_list(originals, root / "testing.txt")
    is_test = np.array([is_test_photo(path) for path in crops.paths], dtype=bool)
    return originals.splits({"train": crops.select(~is_test).listed(root), "test": crops.select(is_test).listed(root)})


def load_aflw_mtfl(root: Path) -> dict[str, datasets.Dataset]:
    """Training: every image of training.txt that is present, boxed to the test framing. Test: all 2,995 crops.

    Raises DataError where no training image is present, Incomplete where crops are missing.
    """
    originals = Originals("aflw_mtfl", root, ADVICE)
    listed, test = read_list(originals, root / "training.txt"), read_list(originals, root / "testing.txt")
    train = listed.select(np.array([(root / p).is_file() for p in listed.paths]))
    if not train.paths:
        raise originals.error(
            f"none of the {len(listed.paths)} images of training.txt is under {root}. Unpack MTFL.zip there."
        )
    return originals.splits({"train": train.listed(root, framing_boxes(train.landmarks)), "test": test.listed(root)})


def is_test_photo(path: str) -> bool:
    """Whether a crop ``NNNN-imageNNNNN.jpg`` belongs to the testing third of ``aflw_split``. Raises DataError."""
    photo = re.search(r"image\d+", path)
    if photo is None:
        raise DataError(f"aflw_split: {path} does not name its photo (NNNN-imageNNNNN.jpg is expected).")
    return hashed(photo[0]) % 3 == 0


def framing_boxes(landmarks: np.ndarray) -> np.ndarray:
    """(N, 4) square boxes (left, top, width, height) that frame faces as the AFLW_M crops do."""
    centre = landmarks.mean(1)
    spread = np.sqrt(((landmarks - centre[:, None]) ** 2).sum(2).mean(1))
    side = np.round(FRAME_SIDE * spread)
    corner = np.round(centre + np.array(FRAME_SHIFT) * spread[:, None] - side[:, None] / 2)
    return np.concatenate([corner, side[:, None], side[:, None]], axis=1)


def read_list(originals: Originals, path: Path) -> Annotations:
    """The annotations of a list file. Raises DataError naming the line for wrong columns or a bad number."""
    paths, points = [], []
    for number, line in enumerate(originals.text(path).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != COLUMNS:
            raise DataError(
                f"{path}:{number}: expected {COLUMNS} columns (path, 5 x, 5 y, 4 attributes), found {len(fields)}."
            )
        try:
            values = np.array(fields[1 : 1 + 2 * POINTS], dtype=np.float64)
        except ValueError:
            raise DataError(f"{path}:{number}: a coordinate is no number: {' '.join(fields[1:11])}.") from None
        if not np.isfinite(values).all():
            raise DataError(f"{path}:{number}: a coordinate of {fields[0]} is NaN or infinite.")
        paths.append(fields[0].replace("\\", "/"))
        points.append(values.reshape(2, POINTS).T - ONE_BASED)
    if not paths:
        raise DataError(f"{path} lists no image.")
    return Annotations(paths, np.stack(points))
