"""AFLW_R: the tighter recrops of AFLW that Zhang et al. 2018 released, 10,122 for training and 2,991 for testing.

Layout: ``aflw_{train,test}_images.txt``, ``aflw_{train,test}_keypoints.mat`` and the crops under ``output/``. Traps: the
.mat stores y before x; crops differ in size and shape; 132 test entries are repeated, and the papers score them all.
"""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals
from lmbench.originals.matlab import read_mat

POINTS = 5
RELEASE = "aflw_release-2"  # the folder inside the archive
ADVICE = "Unpack aflw_data.tar.gz of lmdis-rep (or aflw-recrop.tar.gz of DVE) there, or pass --data-root."


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The released splits, whole crops squashed to a square. Raises DataError, Incomplete."""
    folder = root / RELEASE if (root / RELEASE).is_dir() else root
    originals = Originals("aflw_r", folder, ADVICE)
    return originals.splits({split: _part(originals, split) for split in ("train", "test")})


def unique_ids(names: list[str]) -> list[str]:
    """The names, those that stood before with ``#2``, ``#3`` ... behind them."""
    seen: dict[str, int] = {}
    ids = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        ids.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return ids


def _part(originals: Originals, split: str) -> Listed:
    folder = originals.root
    listing, mat = folder / f"aflw_{split}_images.txt", folder / f"aflw_{split}_keypoints.mat"
    names = [line.replace("\\", "/").removeprefix("output/") for line in originals.lines(listing)]
    points, sizes = (np.asarray(array, np.float64) for array in read_mat(originals.require(mat), "gt", "hw"))
    if points.shape != (len(names), POINTS, 2) or sizes.shape != (len(names), 2):
        raise DataError(
            f"{mat}: gt of shape ({len(names)}, {POINTS}, 2) and hw of ({len(names)}, 2) are expected for the "
            f"{len(names)} names of {listing.name}; found {points.shape} and {sizes.shape}."
        )
    if not (sizes > 0).all():
        raise DataError(f"{mat}: hw holds sizes that are not positive; fetch it again.")
    boxes = np.concatenate([np.zeros_like(sizes), sizes[:, ::-1]], axis=1)  # hw is what the papers scale by
    ids = unique_ids(names)
    repeated = sum("#" in i for i in ids)
    remark = f"{repeated} of {len(names)} entries repeat an earlier image and are scored again, as in the papers"
    return Listed([folder / "output" / n for n in names], ids, points[:, :, ::-1], boxes=boxes, remark=remark)
