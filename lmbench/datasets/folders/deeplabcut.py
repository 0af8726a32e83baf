"""DeepLabCut's CollectedData_*.csv: header rows scorer, [individuals,] bodyparts, coords; then one image a row.

The image's path is in the first column, or in pieces in the first three (newer projects). Missing points are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.rows import first_row, read_head_rows, read_rows
from lmbench.datasets.folders.samples import Annotations, Sample, folded_name, known
from lmbench.errors import DataError, UsageError
from lmbench.originals.texts import coordinate, is_blank

HEADERS = ("scorer", "individuals", "bodyparts", "coords")
UNIQUE = "single"
"""The individual under which multi-animal projects keep bodyparts that no animal has: they belong to the image."""


def problem(path: Path, options: Options) -> str:
    """Why a table is not DeepLabCut's, ``""`` where it is."""
    first = first_row(path, options.encoding)[:1]
    return "" if first == ["scorer"] else "not of DeepLabCut: the first cell is not 'scorer'"


def passed_over(files: Sequence[Path], options: Options) -> dict[Path, str]:
    """The tables of a project that are no labels or are there twice, each with the reason.

    Those whose rows are images can be read all the same; a table on the frames of a video cannot.
    """
    reasons: dict[Path, str] = {}
    for file in files:
        head = read_head_rows(file, len(HEADERS) + 1, options.encoding)
        coords = next((row for row in head if row[0] == "coords"), [])
        rows = [row[0] for row in head if row[0] not in HEADERS]
        collected = file.name.lower().startswith("collecteddata")
        if file.name.lower().startswith("machinelabels"):
            reasons[file] = "labels of the machine, to be refined"
        elif not collected and not {"x", "y"} <= set(coords):
            reasons[file] = "no coordinates x and y"
        elif not collected and "likelihood" in coords:
            what = "on the frames of a video" if rows and rows[0].isdigit() else "on images"
            reasons[file] = f"predictions of DeepLabCut, not annotations, {what}"
    labels = [f for f in files if f not in reasons]
    copies = [f for f in labels if "training-datasets" in f.parts]
    if len(copies) < len(labels):
        reasons |= dict.fromkeys(copies, "copies that a training set was made of")
    return reasons


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample an image (and individual). Raises DataError naming the line; UsageError for individuals not there."""
    del photos
    rows = [(number, [cell.strip() for cell in row], row) for number, row in read_rows(path, options.encoding)]
    headers = {row[0]: ["" if is_blank(c) else c for c in row] for _, row, _ in rows[:4] if row[0] in HEADERS}
    if not {"scorer", "bodyparts", "coords"} <= set(headers):
        raise DataError(f"{path}:1: the first rows must begin with scorer, bodyparts and coords.")
    coords, parts = headers["coords"], headers["bodyparts"]
    first = next((i for i, word in enumerate(coords[1:], 1) if word), len(coords))
    used = [i for i in range(first, len(coords)) if coords[i] != "likelihood"]
    if [coords[i] for i in used] != ["x", "y"] * (len(used) // 2) or not used:
        raise DataError(f"{path}: the row 'coords' must read x, y, x, y, ...; found {', '.join(coords[first:][:6])}.")
    owners = headers.get("individuals", [""] * len(coords))
    columns = {(owners[x], parts[x]): (x, y) for x, y in zip(used[::2], used[1::2], strict=True)}
    if 2 * len(columns) != len(used):
        raise DataError(f"{path}: a bodypart stands twice in the header.")
    chosen, notes = _individuals(list(dict.fromkeys(o for o, _ in columns)), columns, options, path)
    names = tuple(dict.fromkeys(part for owner, part in columns if owner in chosen))
    samples = []
    for number, row, raw in rows[len(headers) :]:
        image = "/".join(cell for cell in raw[:first] if cell.strip())
        if image.isdigit():
            raise DataError(
                f"{path}:{number}: {image} is the number of a frame, not an image: a table of predictions on a video. "
                "Name that of the labels by file=."
            )
        for owner in chosen:
            values = np.full((len(names), 2), np.nan)
            for k, name in enumerate(names):
                if (owner, name) in columns:
                    values[k] = [coordinate(row[i], f"{path}:{number}") for i in columns[owner, name]]
            samples.append(Sample(image, path, values, known(values), label=owner))
    return Annotations(names, samples, notes)


def _individuals(
    there: list[str], columns: dict[tuple[str, str], tuple[int, int]], options: Options, path: Path
) -> tuple[list[str], tuple[str, ...]]:
    """Whose bodyparts are read: the named, else all but the unique bodyparts, which are no animal's."""
    if options.individuals:
        folded = {folded_name(o): o for o in there}
        unknown = [name for name in options.individuals if folded_name(name) not in folded]
        if unknown:
            raise UsageError(
                f"{path}: no individual {unknown[0]!r}; there are {', '.join(filter(None, there)) or 'none'}."
            )
        chosen = [o for o in there if o in {folded[folded_name(n)] for n in options.individuals}]
        return chosen, (f"individuals: {', '.join(chosen)} of {', '.join(there)}",)
    chosen = [o for o in there if o != UNIQUE] or there
    if len(chosen) == len(there):
        return chosen, ()
    unique = [part for owner, part in columns if owner == UNIQUE]
    return chosen, (
        f"unique bodyparts left out, since they are no animal's: {', '.join(unique)} (individuals={UNIQUE} takes them alone)",
    )
