"""A plain table: ``image``, then ``NAME_x`` and ``NAME_y`` of every landmark; other columns are optional."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from lmbench.data.images import suffixes
from lmbench.datasets.folders import people
from lmbench.datasets.folders.foreign import known_table
from lmbench.datasets.folders.headers import Columns, box_named, columns_of
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.rows import first_row, read_rows
from lmbench.datasets.folders.samples import Annotations, Box, Sample, box_of, folded_name, known
from lmbench.datasets.folders.splitting import word_of
from lmbench.errors import DataError
from lmbench.originals.texts import MISSING, coordinate, is_blank

SEEN = {
    **dict.fromkeys(("1", "1.0", "2", "2.0", "true", "t", "yes"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no"), False),
    **dict.fromkeys(MISSING, None),
}
LEAST_PAIRS = 2


def problem(path: Path, options: Options) -> str:
    """Why a table is not one of landmarks, ``""`` where it is."""
    header = first_row(path, options.encoding)
    if options.columns == "pairs":
        return "" if len(header) > 2 * LEAST_PAIRS else "columns=pairs needs an image and pairs of numbers in every row"
    found = columns_of(header)
    if found.image >= 0 and (found.points or found.half):
        return ""
    if len(header) > 2 * LEAST_PAIRS and len(header) % 2 and all(map(_unnamed, header)):
        return (
            f"its columns have no names: {len(header) - 1} after the image. columns=pairs reads them as x and y of "
            f"{len(header) // 2} landmarks called 0 to {len(header) // 2 - 1}"
        )
    if {"x", "y"} <= {cell.lower() for cell in header}:
        return "its columns x and y name no landmark: a row an image, with columns NAME_x and NAME_y, is needed"
    shown = ", ".join(cell or "''" for cell in header[:4])
    other = known_table(header)
    return other or f"no table of landmarks: a header with image, NAME_x and NAME_y is needed, found {shown}"


def _unnamed(cell: str) -> bool:
    """Whether a header's cell is a number or a file's name, or says nothing: no name of a column."""
    return is_blank(cell) or _is_number(cell) or Path(cell).suffix.lower() in suffixes()


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d*)?([eE][+-]?\d+)?", cell.strip()) is not None


def read(path: Path, options: Options, photos: Photos) -> Annotations:
    """One sample a row. Raises DataError naming the line."""
    del photos
    rows = list(read_rows(path, options.encoding))
    said = problem(path, options)
    if not rows or said:
        raise DataError(f"{path}:1: {said or 'the file is empty'}.")
    if options.columns == "pairs":
        return _pairs(path, rows)
    header = ["" if is_blank(cell) else cell.strip() for cell in rows[0][1]]
    columns = columns_of(header)
    twice = [name for name, n in Counter(filter(None, header)).items() if n > 1]
    if columns.half or twice:
        what = f"{twice[0]} stands twice" if twice else f"{columns.half[0]} stands alone"
        raise DataError(f"{path}:1: columns must be unique, and NAME_x and NAME_y come in pairs: {what}.")
    boxes = box_named(list(columns.points), header)
    if boxes and "box_names" not in options.accept:
        raise DataError(
            f"{path}:1: {', '.join(boxes)}: called like a box, not like a landmark. A box is in the columns box_left, "
            "box_top, box_width and box_height (or bbox_x, bbox_y, bbox_w, bbox_h, or xmin, ymin, xmax, ymax): rename "
            "them, or pass accept=box_names to fit and score them as landmarks."
        )
    splits = _columns_of_splits(columns, rows[1:]) if columns.split < 0 else []
    if len(splits) == 1:
        columns.split = splits[0]
        columns.unused.remove(splits[0])
    unused = [header[i] for i in columns.unused if folded_name(header[i]) not in people.WORDS]
    reader = _Reader(path, header, columns, options)
    notes = [
        *([f"accepted (accept=box_names): {', '.join(boxes)} are landmarks"] if boxes else []),
        *([f"the box: {', '.join(header[i] for i in columns.box)}"] if columns.box else []),
        *([f"the split: {header[columns.split]}"] if splits and columns.split >= 0 else []),
        *([f"columns not used: {', '.join(unused)}"] if unused else []),
    ]
    return Annotations(tuple(columns.points), [reader.sample(row, number) for number, row in rows[1:]], tuple(notes))


def _columns_of_splits(columns: Columns, rows: list[tuple[int, list[str]]]) -> list[int]:
    """Columns of another name that hold nothing but words of splits, and more than one of them."""
    said = {i: {word_of(row[i]) for _, row in rows} for i in columns.unused}
    return [i for i, words in said.items() if None not in words and len(words - {""}) > 1]


def _pairs(path: Path, rows: list[tuple[int, list[str]]]) -> Annotations:
    """Rows of an image and numbers, x before y; a first row that names no image is a header."""
    if Path(rows[0][1][0].strip()).suffix.lower() not in suffixes():
        rows = rows[1:]
    width = len(rows[0][1]) if rows else 0
    if width % 2 == 0:
        raise DataError(f"{path}: columns=pairs: an image and pairs of numbers are expected, found {width} columns.")
    samples = []
    for number, row in rows:
        points = np.array([coordinate(cell, f"{path}:{number}") for cell in row[1:]]).reshape(-1, 2)
        if not row[0].strip():
            raise DataError(f"{path}:{number}: the image is not named.")
        samples.append(Sample(row[0], path, points, known(points)))
    names = tuple(map(str, range(width // 2)))
    return Annotations(names, samples, (f"columns without names, read as pairs: landmarks 0 to {len(names) - 1}",))


class _Reader:
    """Reads the rows of one table."""

    def __init__(self, path: Path, header: list[str], columns: Columns, options: Options) -> None:
        self.path, self.header, self.columns, self.options = path, header, columns, options

    def sample(self, row: list[str], number: int) -> Sample:
        """One row. Raises DataError naming its line."""
        at, where = self.columns, f"{self.path}:{number}"
        points = np.array([[coordinate(row[i], where) for i in pair] for pair in at.points.values()])
        visible = known(points)
        for k, name in enumerate(at.points):
            said = row[at.visible[name]].strip().lower() if name in at.visible else ""
            if said not in SEEN:
                column = self.header[at.visible[name]]
                raise DataError(f"{where}: {column} is {said!r}; 1, 0, true, false or nothing is expected.")
            visible[k] &= SEEN[said] is not False
        split = word_of(row[at.split]) if at.split >= 0 else ""
        if split is None:
            raise DataError(f"{where}: the split is {row[at.split]!r}; train, test, val or nothing is expected.")
        if not row[at.image].strip():
            raise DataError(f"{where}: the image is not named.")
        cells = {name: cell.strip() for name, cell in zip(self.header, row, strict=True) if name}
        return Sample(
            image=row[at.image],
            file=self.path,
            points=points,
            visible=visible,
            box=self._box(row, where),
            label=row[at.id].strip() if at.id >= 0 else "",
            split=split,
            size=self._size(row),
            person=people.person_in(cells),
            columns=cells if self.options.group else {},
        )

    def _box(self, row: list[str], where: str) -> Box | None:
        if self.columns.box is None:
            return None
        left, top, width, height = (coordinate(row[i], where) for i in self.columns.box)
        return (
            box_of(left, top, width - left, height - top) if self.columns.corners else box_of(left, top, width, height)
        )

    def _size(self, row: list[str]) -> tuple[int, int] | None:
        if self.columns.size is None:
            return None
        width, height = (row[i].strip().removesuffix(".0") for i in self.columns.size)
        return (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None
