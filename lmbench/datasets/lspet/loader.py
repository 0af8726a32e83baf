"""Leeds Sports Pose Extended (Johnson and Everingham 2011): a stand-in for bodies, not one of the papers' sets."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals, hashed, require_visible, square_boxes
from lmbench.originals.matlab import read_mat

JOINTS = 14
FRAME = 1.4  # side of the box in sides of the visible joints' rectangle: limbs reach beyond their joints
TEST_PART = 4
GET = "Unpack lspet_dataset.zip so that joints.mat and images/ lie in the folder LSPET of the data root."


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Every image, cut to a square around its visible joints; one in four tests.

    An invisible joint has no position in ``joints.mat`` (zero, or far outside). Raises DataError: another matrix, no
    image, or images that are named otherwise; Incomplete where some are missing.
    """
    (joints,) = read_mat(root / "joints.mat", "joints", advice=GET)
    if not isinstance(joints, np.ndarray) or joints.ndim != 3 or joints.shape[:2] != (JOINTS, 3):
        found = getattr(joints, "shape", type(joints).__name__)
        raise DataError(f"lspet: joints of {root / 'joints.mat'} has shape {found}; ({JOINTS}, 3, images) is expected.")
    names = [f"im{i:05}.jpg" for i in range(1, joints.shape[2] + 1)]
    visible = joints[:, 2].T > 0
    require_visible(visible, "lspet", root / "joints.mat")
    points = np.where(visible[..., None], joints[:, :2].transpose(2, 0, 1), 0.0)
    boxes = square_boxes(points, visible, FRAME)
    is_test = np.array([hashed(name) % TEST_PART == 0 for name in names])
    parts = {}
    for split, chosen in (("train", np.flatnonzero(~is_test)), ("test", np.flatnonzero(is_test))):
        ids = [names[i] for i in chosen]
        files = [root / "images" / name for name in ids]
        parts[split] = Listed(files, ids, points[chosen], visible[chosen], boxes[chosen])
    return Originals("lspet", root, GET).splits(parts)
