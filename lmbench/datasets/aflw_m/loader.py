"""AFLW_M: 10,122 training crops of AFLW by Thewlis et al. 2017, and MTFL's 2,995 test crops (150x150 pixels).

Layout: ``aflw_cropped/facedata_cropped.csv`` with its crops, and ``MTFL/`` in the same folder or beside it. Coordinates
count pixels from one in both.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np

from lmbench.datasets.mtfl import loader as mtfl
from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals

NAMED = ("image_file", "crop_file", "set")
TRAINING_SET = 1
COORDINATES = slice(4, 4 + 2 * mtfl.POINTS)  # x1, y1 .. x5, y5 are told by their place, not by a name
ADVICE = "Unpack aflw_10122train_cropped.zip as aflw_cropped and MTFL.zip as MTFL there, or pass --data-root."


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The papers' splits. Raises DataError (damaged lists, a test photo among the training crops), Incomplete."""
    table = root / "aflw_cropped" / "facedata_cropped.csv"
    originals = Originals("aflw_m", root, ADVICE)
    rows = read_crops(originals, table)
    folder = root / "MTFL" if (root / "MTFL").is_dir() else root.parent / "MTFL"
    test = mtfl.read_list(originals, folder / "testing.txt")
    training = [r for r in rows if r[2] == TRAINING_SET]
    if not training:
        raise DataError(f"{table}: no row has the set {TRAINING_SET}, which marks training crops. {ADVICE}")
    _refuse_leaks([r[0] for r in rows], [r[0] for r in training], test.paths, table)
    crops = [r[1] for r in training]
    points = np.stack([r[3] for r in training]) - mtfl.ONE_BASED
    parts = {
        "train": Listed([table.parent / c for c in crops], crops, points),
        "test": Listed([folder / p for p in test.paths], test.paths, test.landmarks),
    }
    return originals.splits(parts)


def read_crops(originals: Originals, path: Path) -> list[tuple[str, str, int, np.ndarray]]:
    """(photo, crop, set, landmarks (5, 2) as written) of each row. Raises DataError naming the line."""
    lines = list(csv.reader(originals.lines(path)))
    header = [name.strip() for name in lines[0]] if lines else []
    absent = [name for name in NAMED if name not in header]
    if absent or len(header) < COORDINATES.stop:
        found = ", ".join(header) or "nothing"
        raise DataError(
            f"{path}:1: the columns {', '.join(NAMED)} and 10 coordinates from the fifth on are expected; found {found}."
        )
    photo, crop, part = (header.index(name) for name in NAMED)
    rows = []
    for number, fields in enumerate(lines[1:], 2):
        try:
            if len(fields) != len(header):
                raise ValueError(f"{len(fields)} of {len(header)} columns")
            points = np.array(fields[COORDINATES], dtype=np.float64).reshape(mtfl.POINTS, 2)
            rows.append((fields[photo].strip(), fields[crop].strip(), int(float(fields[part])), points))
        except ValueError as error:
            raise DataError(f"{path}: row {number} is damaged ({error}); fetch it again.") from None
    return rows


def _refuse_leaks(photos: Sequence[str], training: Sequence[str], tests: Sequence[str], table: Path) -> None:
    """The reference code's two assertions: a test crop is named ``NNNN-<photo>`` after a photo of the table."""
    tested = {path.rpartition("/")[2].partition("-")[2] for path in tests}
    known = {name.rpartition("/")[2] for name in photos}
    if leaked := sorted(tested & {name.rpartition("/")[2] for name in training}):
        raise DataError(
            f"aflw_m: {len(leaked)} photos of MTFL's test list are marked as training photos in {table} "
            f"(first: {leaked[0]}); this is not the papers' split. {ADVICE}"
        )
    if strange := sorted(tested - known):
        raise DataError(
            f"aflw_m: {table} does not know {len(strange)} photos of MTFL's test list (first: {strange[0]}); "
            f"table and list are of different sets. {ADVICE}"
        )
