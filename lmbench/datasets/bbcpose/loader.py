"""BBC Pose (Charles et al. 2013): signers on television, seven joints of the upper body.

``bbcpose.mat`` counts pixels from one. Videos 1-10 have joints found by a tracker and serve training without labels;
11-15 (the papers fit their regressors on them) and 16-20 have 200 frames each that were annotated by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from lmbench.data.images import read_header
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals
from lmbench.originals.matlab import read_mat

JOINTS = 7
ONE_BASED = 1.0
HALF_SIDE = 150  # the papers' loose crop: 300x300 around the middle of the joints' rectangle
MARGIN = 60  # the reference code's training crop: the joints' rectangle and 60 px on each side
TRAIN, FIT, TEST = range(1, 11), range(11, 16), range(16, 21)
PLACES = ("code/bbcpose.mat", "bbcpose.mat")
GET = (
    "Unpack the 20 archives of bbcpose_data_1.0.zip and bbcpose_extbbcpose_code_1.0.tgz so that the folders 1 to 20 and "
    "code lie in the folder bbcpose of the data root."
)


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The frames annotated by hand: train are videos 11-15, test 16-20, cut to 300x300 around the joints.

    Raises DataError naming video and field for other annotations, Incomplete where frames are missing.
    """
    return _load(root, "bbcpose", {"train": FIT, "test": TEST}, "test", centre_boxes, labelled=True)


def load_train(root: Path) -> dict[str, datasets.Dataset]:
    """The frames of videos 1-10 in the training crop, unlabelled."""
    return _load(root, "bbcpose_train", {"train": TRAIN}, "train", margin_boxes, labelled=False)


def centre_boxes(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, 4) boxes of 300x300 px around the middle of the joints' rectangle, clipped to an image of ``size``."""
    middle = (joints.min(1) + joints.max(1)) / 2
    return _clipped(middle - HALF_SIDE, middle + HALF_SIDE, size)


def margin_boxes(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, 4) boxes of the joints' rectangle and 60 px on each side, clipped to an image of ``size``."""
    return _clipped(joints.min(1) - MARGIN, joints.max(1) + MARGIN, size)


def frames_around(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, 4) `centre_boxes` of joints whose rectangles are ``boxes`` (N, 4), in images of ``sizes`` (N, 2)."""
    return _around(boxes, sizes, centre_boxes)


def training_frames(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The same by `margin_boxes`."""
    return _around(boxes, sizes, margin_boxes)


def _around(
    boxes: np.ndarray, sizes: np.ndarray, boxes_of: Callable[[np.ndarray, tuple[int, int]], np.ndarray]
) -> np.ndarray:
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    frames = [boxes_of(c[None], (int(w), int(h))) for c, (w, h) in zip(corners, sizes, strict=True)]
    return np.concatenate(frames)


def _clipped(low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    low, high = np.maximum(np.round(low), 0), np.minimum(np.round(high), size)
    return np.concatenate([low, high - low], axis=1)


def _load(
    root: Path,
    dataset: str,
    videos: dict[str, range],
    field: str,
    boxes_of: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    *,
    labelled: bool,
) -> dict[str, datasets.Dataset]:
    path = next((root / p for p in PLACES if (root / p).is_file()), root / PLACES[0])
    (annotations,) = read_mat(path, "bbcpose", plain=True, advice=GET)
    parts = {}
    for split, numbers in videos.items():
        files: list[Path] = []
        points, boxes, identity = [], [], []
        for number in numbers:
            frames, joints = read_video(annotations, number, field, f"{dataset}: {path}")
            named = [root / str(number) / f"{frame}.jpg" for frame in frames]
            files += named
            points.append(joints)
            boxes.append(_boxes(named, joints, boxes_of, dataset))
            identity += [number] * len(named)
        parts[split] = Listed(
            files,
            [str(f.relative_to(root)) for f in files],
            np.concatenate(points) if labelled else None,
            boxes=np.concatenate(boxes),
            identity=np.array(identity),
        )
    return Originals(dataset, root, GET).splits(parts)


def _boxes(
    files: Sequence[Path],
    joints: np.ndarray,
    boxes_of: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    dataset: str,
) -> np.ndarray:
    """(N, 4) the boxes of a video's frames, which all share a size; zero for those that are not there."""
    boxes = np.zeros((len(files), 4))
    there = np.array([f.is_file() for f in files], bool)
    if there.any():
        present = [f for f, is_there in zip(files, there, strict=True) if is_there]
        boxes[there] = boxes_of(joints[there], read_header(present[0], str(present[0]), dataset).upright)
        _require_inside(boxes[there], present, dataset)
    return boxes


def read_video(annotations: Any, number: int, field: str, where: str) -> tuple[list[int], np.ndarray]:
    """The frame numbers of a video and their joints (N, 7, 2) in zero-based pixels; ``field``: ``train`` or ``test``."""
    try:
        video = annotations[number - 1]
        frames = np.atleast_1d(video[f"{field}_frames"]).astype(int)
        joints = np.asarray(video[f"{field}_joints"], np.float64)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"{where}: video {number} has no {field}_frames and {field}_joints ({said}).") from None
    if len(frames) == 0 or joints.size != 2 * JOINTS * len(frames) or joints.shape[:2] != (2, JOINTS):
        raise DataError(
            f"{where}: video {number} has {len(frames)} {field}_frames and {field}_joints of shape {joints.shape}; "
            f"(2, {JOINTS}, frames) is expected."
        )
    if len(set(frames.tolist())) < len(frames):
        raise DataError(f"{where}: video {number} names a frame twice in {field}_frames.")
    if not np.isfinite(joints).all():
        raise DataError(f"{where}: video {number} has a joint that is NaN or infinite in {field}_joints.")
    return frames.tolist(), joints.reshape(2, JOINTS, -1).transpose(2, 1, 0) - ONE_BASED


def _require_inside(boxes: np.ndarray, files: list[Path], dataset: str) -> None:
    outside = (boxes[:, 2:] < 1).any(1)
    if outside.any():
        raise DataError(
            f"{dataset}: the joints of {int(outside.sum())} frames lie outside their image (first: "
            f"{files[int(outside.argmax())]}); are these the original frames?"
        )
