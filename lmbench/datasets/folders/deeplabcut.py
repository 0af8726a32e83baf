"""DeepLabCut's CollectedData_*.csv: header rows scorer, [individuals,] bodyparts, coords; then one image a row.

The image's path is in the first column, or in pieces in the first three (newer projects). Missing points are empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.rows import first_row, read_rows
from lmbench.datasets.folders.samples import Annotations, Sample, coordinate, known
from lmbench.errors import DataError

HEADERS = ("scorer", "individuals", "bodyparts", "coords")


def problem(path: Path) -> str:
    """Why a table is not DeepLabCut's, ``""`` where it is."""
    return "" if first_row(path)[:1] == ["scorer"] else "not of DeepLabCut: the first cell is not 'scorer'"


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample an image (and individual). Raises DataError naming the line."""
    del photos
    rows = list(read_rows(path))
    headers = {row[0]: row for _, row in rows[:4] if row[0] in HEADERS}
    if not {"scorer", "bodyparts", "coords"} <= set(headers):
        raise DataError(f"{path}:1: the first rows must begin with scorer, bodyparts and coords.")
    coords, parts = headers["coords"], headers["bodyparts"]
    if "likelihood" in coords:
        raise DataError(f"{path}: has a column 'likelihood': predictions of DeepLabCut, not annotations.")
    first = next((i for i, word in enumerate(coords[1:], 1) if word), len(coords))
    if coords[first:] != ["x", "y"] * ((len(coords) - first) // 2) or first == len(coords):
        raise DataError(f"{path}: the row 'coords' must read x, y, x, y, ...; found {', '.join(coords[first:][:6])}.")
    owners = headers.get("individuals", [""] * len(coords))
    columns = {(owners[i], parts[i]): i for i in range(first, len(coords), 2)}
    if 2 * len(columns) != len(coords) - first:
        raise DataError(f"{path}: a bodypart stands twice in the header.")
    names = tuple(dict.fromkeys(part for _, part in columns))
    samples = []
    for number, row in rows[len(headers) :]:
        image = "/".join(cell for cell in row[:first] if cell)
        for owner in dict.fromkeys(owner for owner, _ in columns):
            values = np.full((len(names), 2), np.nan)
            for k, name in enumerate(names):
                at = columns.get((owner, name))
                if at is not None:
                    values[k] = [coordinate(cell, f"{path}:{number}") for cell in row[at : at + 2]]
            points = values - (options.first_pixel or 0)
            samples.append(Sample(image, path, points, known(points), label=owner))
    return Annotations(names, samples)
