"""``.pts``: the landmarks of one image, as iBUG writes them: ``version: 1``, ``n_points: 68``, and x y lines between braces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.errors import DataError
from lmbench.originals.texts import coordinate


def points_of(text: str, path: Path) -> np.ndarray:
    """(L, 2) points as they are written (pixels count from one), NaN where it says so. Raises DataError naming the line."""
    opened, closed, said = False, False, ""
    points: list[list[float]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        before, brace, inside = line.partition("{")
        if not opened and before.strip().startswith("n_points"):
            said = before.partition(":")[2].strip()
        opened, line = opened or bool(brace), inside if brace else line
        if not opened:
            continue
        line, brace, _ = line.partition("}")
        cells = line.split()
        if cells and len(cells) != 2:
            raise DataError(f"{path}:{number}: x and y are expected, found {line!r}.")
        points += [[coordinate(cell, f"{path}:{number}") for cell in cells]] if cells else []
        if brace:
            closed = True
            break
    if not closed:
        raise DataError(
            f"{path}:{max(1, len(lines))}: points are expected between braces: version, n_points, {{, x y, }}."
        )
    if not points or said not in ("", str(len(points))):
        raise DataError(f"{path}: n_points says {said or 'nothing'}, the file has {len(points)} points.")
    return np.array(points)
