"""Boxes as `lmbench predict` is given them: on the command line, or in a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lmbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from lmbench.detecting.regions import Region

SIDES = ("left", "top", "width", "height")


def parse_box(text: str) -> tuple[float, ...]:
    """``LEFT,TOP,WIDTH,HEIGHT``. Raises UsageError."""
    from lmbench.data.boxes import check_box

    try:
        box = tuple(float(v) for v in text.replace("_", "?").split(","))  # Python reads 1_0 as ten
    except ValueError:
        box = ()
    if len(box) != len(SIDES):
        raise UsageError(f"--box {text}: expected LEFT,TOP,WIDTH,HEIGHT in pixels, for instance 40,32.5,120,150.")
    try:
        check_box(box, None, "--box")
    except DataError as error:
        raise UsageError(str(error)) from None
    return box


def boxed(images: Sequence[Region], given: Sequence[str], table: str) -> list[Region]:
    """What is to be looked at: each image with its boxes, or without one. Raises UsageError, DataError naming the line."""
    from lmbench.detecting.regions import FILLING

    if given and table:
        raise UsageError("--box and --boxes exclude each other: give the boxes on the command line or in a table.")
    boxes = [parse_box(text) for text in given]
    if table and table not in FILLING:
        return _from_table(images, Path(table))
    if not boxes:
        return list(images)
    if len(boxes) == 1:
        return [replace(image, box=boxes[0]) for image in images]
    if len(images) == 1:
        return [replace(images[0], box=box, label=str(i)) for i, box in enumerate(boxes, 1)]
    if len(boxes) != len(images):
        raise UsageError(
            f"{len(boxes)} boxes are given for {len(images)} images; expected one for all of them, one for each in the same "
            "order, or several for one image. Other cases: --boxes FILE.csv."
        )
    return [replace(image, box=box) for image, box in zip(images, boxes, strict=True)]


def _from_table(images: Sequence[Region], table: Path) -> list[Region]:
    """The boxes of each image by its path from the table's folder or from here, else by a name that one image alone has."""
    rows = _read(table)
    places: dict[Path, list[str]] = defaultdict(list)
    called: dict[str, list[str]] = defaultdict(list)
    for name in rows:
        written = PurePosixPath(name.replace("\\", "/"))
        called[written.name].append(name)
        for base in (table.parent, Path()):
            places[(base / written).resolve()].append(name)
    namesakes = Counter(image.path.name for image in images)
    regions = []
    for image in images:
        path = image.path
        found, alike = list(dict.fromkeys(places.get(path.resolve(), ()))), called.get(path.name, [])
        if not found and len(alike) == 1 and namesakes[path.name] == 1:
            found = alike
        if not found:
            said = f"; {', '.join(alike[:3])} may be meant: give the path from the table's folder" if alike else ""
            raise DataError(f"{table} has no box of {path}{said}.")
        boxes = [row for name in found for row in rows[name]]
        numbered = len(boxes) > 1
        regions += [
            replace(image, box=box, label=label or (str(i) if numbered else ""))
            for i, (label, box) in enumerate(boxes, 1)
        ]
    return regions


def _read(table: Path) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """``{image: [(object, box), ...]}``. Raises DataError naming the line."""
    from lmbench.data.boxes import check_box
    from lmbench.datasets.folders.rows import read_rows
    from lmbench.detecting.regions import FILLING

    if not table.is_file():
        raise DataError(f"--boxes {table}: there is no such file (or write {' or '.join(FILLING)}).")
    lines = list(read_rows(table))
    header = [cell.lower() for cell in lines[0][1]] if lines else []
    columns = [next((n for n in (side, f"box_{side}") if n in header), side) for side in SIDES]
    missing = [c for c in ("image", *columns) if c not in header]
    if missing:
        raise DataError(
            f"{table}:1: the columns image,{','.join(SIDES)} are expected (or box_left ...; id tells several objects of an image "
            f"apart); {missing[0]} is missing among {', '.join(header) or 'nothing'}."
        )
    found: dict[str, list[tuple[str, tuple[float, ...]]]] = defaultdict(list)
    for number, cells in lines[1:]:
        row, where = dict(zip(header, cells, strict=True)), f"{table}:{number}"
        try:
            box = tuple(float(row[c]) for c in columns)
        except ValueError:
            said = ",".join(row[c] for c in columns)
            raise DataError(
                f"{where}: four numbers are expected for the box of {row['image']}, found {said}."
            ) from None
        check_box(box, None, where)
        found[row["image"]].append((row.get("id", ""), box))
    return found
