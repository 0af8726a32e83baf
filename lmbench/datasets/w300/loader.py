"""300-W (Sagonas et al. 2013): 3,148 faces of AFW, HELEN and LFPW for training; 689 of HELEN, LFPW and IBUG for testing.

Layout: ``afw/``, ``helen/{trainset,testset}/``, ``lfpw/{trainset,testset}/``, ``ibug/`` with a ``.pts`` beside every
image, and ``Bounding Boxes/bounding_boxes_*.mat``. Points and boxes count pixels from one. Where a .mat is missing, the
landmarks' own extent stands in for its ``bb_ground_truth``, and the split says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import Incomplete
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals
from lmbench.originals.matlab import read_mat
from lmbench.originals.pts import points_of
from lmbench.originals.walking import without_hidden

POINTS = 68
PARTS = {
    "train": {"afw": "afw", "helen_trainset": "helen/trainset", "lfpw_trainset": "lfpw/trainset"},
    "test": {"helen_testset": "helen/testset", "lfpw_testset": "lfpw/testset", "ibug": "ibug"},
}
SUFFIXES = (".jpg", ".png")
ADVICE = "Unpack afw, helen, lfpw, ibug and `Bounding Boxes` of ibug.doc.ic.ac.uk/resources/300-W there."
# DVE, data loader of 300-W: the box is 52 pixels wide in a canvas of 100, 24 pixels from its left, and two pixels up.
FACE, CANVAS, MARGIN, LIFT = 52.0, 100.0, 24.0, 2.0

Face = tuple[Path, np.ndarray | None]
"""The file of an image, and its box (xmin, ymin, xmax, ymax) counted from one where a .mat has it."""


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The papers' splits, in the order of the .mat files (else of names). Raises DataError, Incomplete."""
    root = root / "300w" if (root / "300w").is_dir() else root
    folders = [folder for parts in PARTS.values() for folder in parts.values()]
    absent = [folder for folder in folders if not (root / folder).is_dir()]
    if len(absent) == len(folders):
        raise DataError(f"300w: none of {', '.join(folders)} is a folder under {root}. {ADVICE}")
    originals = Originals("300w", root, ADVICE)
    splits = originals.splits({split: _split(originals, parts) for split, parts in PARTS.items()})
    if absent:
        raise Incomplete(f"300w: {', '.join(absent)} is missing under {root}. {ADVICE}", splits)
    return splits


def read_points(originals: Originals, path: Path) -> np.ndarray:
    """(68, 2) landmarks of a .pts file as written, counted from one. Raises DataError; every image has its .pts beside it."""
    points = points_of(originals.text(path), path)
    if len(points) != POINTS:
        raise DataError(f"{path}: {POINTS} points are expected, found {len(points)}; fetch it again.")
    return points


def canvas_boxes(corners: np.ndarray) -> np.ndarray:
    """(N, 4) boxes in source pixels from (N, 4) face boxes (xmin, ymin, xmax, ymax) counted from one.

    They move landmarks exactly as the reference does: ``(p + 1) * s - 1 - (floor(s * c) - 50)`` with s = 52 / width and the
    centre c; in y ``floor(s * c) - 52``, the lift. The picture begins 1 - s canvas pixels further right and down than the
    reference's, which scales points that count from one but pixels that do not.
    """
    width = corners[:, 2:] - corners[:, :2] + 1
    scale = FACE / width[:, :1]
    centre = corners[:, :2] + (width + 1) / 2
    first = np.floor(scale * centre) - FACE / 2 - MARGIN - (0.0, LIFT)  # of the canvas, in scaled pixels
    return np.concatenate([(first + 1) / scale - 1, np.repeat(CANVAS / scale, 2, axis=1)], axis=1)


def frames_around(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, 4) canvases of face boxes (N, 4): left, top, width, height, the first pixel being 0."""
    del sizes
    return canvas_boxes(np.concatenate([boxes[:, :2] + 1, boxes[:, :2] + boxes[:, 2:]], axis=1))


def _split(originals: Originals, parts: dict[str, str]) -> Listed:
    root = originals.root
    files: list[Path] = []
    points: list[np.ndarray] = []
    corners: list[np.ndarray] = []
    derived = []
    for name, folder in parts.items():
        mat = root / "Bounding Boxes" / f"bounding_boxes_{name}.mat"
        if not mat.is_file() and (root / folder).is_dir():
            derived.append(name)
        for file, box in _faces(mat, root / folder):
            face = read_points(originals, file.with_suffix(".pts")) if file.is_file() else np.zeros((POINTS, 2))
            files.append(file)
            points.append(face)
            corners.append(np.concatenate([face.min(0), face.max(0)]) if box is None else box)
    ids = [str(f.relative_to(root)) for f in files]
    remark = f"face boxes are the landmarks' extent, for want of their .mat: {', '.join(derived)}" if derived else ""
    boxes = canvas_boxes(np.reshape(corners, (-1, 4)))
    return Listed(files, ids, np.reshape(points, (-1, POINTS, 2)) - 1, boxes=boxes, remark=remark)


def _faces(mat: Path, folder: Path) -> Iterable[Face]:
    if not mat.is_file():
        return [(f, None) for f in without_hidden(folder.glob("*")) if f.suffix.lower() in SUFFIXES]
    return [(folder / name, box) for name, box in read_boxes(mat) if folder.name != "ibug" or name.startswith("image")]


def read_boxes(mat: Path) -> list[tuple[str, np.ndarray]]:
    """File names and boxes (xmin, ymin, xmax, ymax), counted from one. Raises DataError."""
    (entries,) = read_mat(mat, "bounding_boxes", plain=True)
    found = []
    for entry in [entries] if isinstance(entries, dict) else entries:
        try:
            name, box = str(entry["imgName"]), np.asarray(entry["bb_ground_truth"], np.float64).ravel()
        except (IndexError, KeyError, ValueError, TypeError):
            raise DataError(f"{mat}: entries with imgName and bb_ground_truth are expected; fetch it again.") from None
        if box.shape != (4,) or not (box[2:] > box[:2]).all():
            raise DataError(f"{mat}: {name} has the box {box.tolist()}; xmin, ymin, xmax, ymax are expected.")
        found.append((name, box))
    return found
