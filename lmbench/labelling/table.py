"""The table that points are kept in: image, width, height, then x, y and visible of every landmark; `lmbench fit` reads it.

What else stands in a table that was there before (other columns, rows of other images) stays in it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lmbench.datasets.folders import table as tables
from lmbench.datasets.folders.headers import box_named, columns_of
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.rows import read_rows
from lmbench.datasets.folders.samples import composed, folded_name
from lmbench.errors import DataError, StaleError, UsageError
from lmbench.originals.texts import coordinate
from lmbench.printable import printable
from lmbench.store.files import write_atomically

Mark = tuple[float, float] | Literal["hidden"] | None
"""A point in pixels, x before y, the first pixel's centre being 0; a landmark that is not to be seen; nothing said yet."""
Marks = tuple[Mark, ...]
HIDDEN: Literal["hidden"] = "hidden"
DIGITS = 2
MOST = 1000  # landmarks
NOWHERE = 0.01  # exactly (0, 0) means "not labelled" to those who read tables


class LabelTable:
    """Marks by image, in memory and in a file of the same content. ``names``: of the landmarks, in order."""

    def __init__(self, path: Path, asked: Sequence[str] = ()) -> None:
        """Reads what is there. ``asked``: landmarks that are to be labelled; those of the file must be among them.

        Raises UsageError for names that cannot be columns or leave out some of the file's, DataError for what is no such table.
        """
        self.path = path
        self._extra: dict[str, dict[str, str]] = {}
        self._own: dict[str, Marks] = {}
        self._others: list[str] = []
        self._digest = _digest_of(path)
        there = self._read() if self._digest is not None else ()
        self.names = _names(there, tuple(composed(name.strip()) for name in asked), path)
        self._own = {
            image: tuple(dict(zip(there, marks, strict=True)).get(name) for name in self.names)
            for image, marks in self._own.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def marks(self, image: str) -> Marks:
        return self._own.get(image, (None,) * len(self.names))

    def put(self, image: str, size: tuple[int, int], marks: Marks) -> None:
        """Keeps the marks of an image, in the file first. Raises StaleError where another program changed the file, LmbenchError
        where it cannot be written: nothing is kept then."""
        self.require_unchanged()
        own, extra = dict(self._own), dict(self._extra)
        own[image] = tuple(_rounded(mark) for mark in marks)
        extra[image] = {**extra.get(image, {}), "width": str(size[0]), "height": str(size[1])}
        if all(mark is None for mark in own[image]):
            del own[image]
            if set(extra[image]) == {"width", "height"}:
                del extra[image]
        text = self._text(own, extra)
        write_atomically(self.path, text)
        self._own, self._extra, self._digest = own, extra, hashlib.sha256(text.encode()).hexdigest()

    def require_unchanged(self) -> None:
        """Raises StaleError where the file is not as it was read or written here."""
        if _digest_of(self.path) != self._digest:
            raise StaleError(
                f"{self.path.name} was changed by another program since it was read here: nothing is written over it. Read "
                "it anew."
            )

    def _read(self) -> tuple[str, ...]:
        """The landmarks of the file; fills the rows."""
        tables.read(self.path, Options(self.path.parent), None)  # type: ignore[arg-type]  # names the line of what is wrong
        (_, header), *rows = list(read_rows(self.path))
        header = [cell.strip() for cell in header]
        columns = columns_of(header)
        used = {columns.image, *(i for pair in columns.points.values() for i in pair), *columns.visible.values()}
        self._others = [name for i, name in enumerate(header) if i not in used and name not in ("width", "height")]
        for number, row in rows:
            where, image = f"{self.path}:{number}", row[columns.image].strip().replace("\\", "/")
            if image in self._own:
                raise DataError(f"{where}: {image} stands twice; the page labels one object an image. Use another -o.")
            marks: list[Mark] = []
            for name, (x, y) in columns.points.items():
                point = (coordinate(row[x], where), coordinate(row[y], where))
                said = row[columns.visible[name]].strip().lower() if name in columns.visible else ""
                unseen = tables.SEEN[said] is False
                known = point[0] == point[0] and point[1] == point[1] and point != (0, 0)
                marks.append(HIDDEN if unseen else _rounded(point) if known else None)
            self._own[image] = tuple(marks)
            cells = dict(zip(header, row, strict=True))
            self._extra[image] = {k: cells[k] for k in (*self._others, "width", "height") if k in cells}
        return tuple(columns.points)

    def _text(self, own: Mapping[str, Marks], extra: Mapping[str, Mapping[str, str]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_header(self.names, self._others))
        for image in sorted(own.keys() | extra.keys()):
            beside = extra.get(image, {})
            cells = [beside.get(name, "") for name in ("width", "height")]
            for mark in own.get(image, (None,) * len(self.names)):
                cells += (
                    ["", "", ""] if mark is None else ["", "", "0"] if mark == HIDDEN else [*map(_number, mark), "1"]
                )
            writer.writerow([image, *cells, *(beside.get(name, "") for name in self._others)])
        return text.getvalue()


def _header(names: Sequence[str], others: Sequence[str] = ()) -> list[str]:
    ends = ("_x", "_y", "_visible")
    return ["image", "width", "height", *(name + end for name in names for end in ends), *others]


def _names(there: tuple[str, ...], asked: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Raises UsageError for names that tables cannot carry, and where the file has others than were asked for."""
    lost = [name for name in there if asked and name not in asked]
    if lost:
        raise UsageError(
            f"--landmarks {','.join(asked)}: {path} has {', '.join(there)}; {lost[0]} would be lost. Name all of these (new "
            "ones may be added), or write to another file by -o."
        )
    names = asked or there
    if not names:
        raise UsageError("which landmarks? Name them in the order of clicking: --landmarks nose,left_ear,tail_base.")
    folded = [folded_name(name) for name in names]
    header = _header(names)
    found = columns_of(header)
    if len(names) > MOST:
        raise UsageError(f"--landmarks: {len(names)} landmarks; at most {MOST} are labelled.")
    for i, name in enumerate(names):
        if not name or printable(name) != name or "\n" in name or len(name) > 100:
            raise UsageError(
                f"--landmarks: {name!r:.60} is no name: letters, digits and signs in one line are expected."
            )
        if folded[i] in folded[:i]:
            raise UsageError(
                f"--landmarks: {name} and {names[folded.index(folded[i])]} are one name to those who read tables."
            )
        if name not in found.points or name not in found.visible or box_named([name], header):
            raise UsageError(f"--landmarks: {name} reads like a box or another column of a table; call it otherwise.")
    return names


def _digest_of(path: Path) -> str | None:
    """The SHA-256 of what a file holds, None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _rounded(mark: Mark) -> Mark:
    if mark is None or mark == HIDDEN:
        return mark
    x, y = round(float(mark[0]), DIGITS), round(float(mark[1]), DIGITS)
    return (NOWHERE, y) if (x, y) == (0, 0) else (x, y)


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
