"""Tables of text: the delimiter is found, a byte-order mark is passed over, every row is as long as the header."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from lmbench.errors import DataError

DELIMITERS = ",;\t"


def first_row(path: Path) -> list[str]:
    """The cells of the first line (empty for a file that is no text)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline()
        return next(csv.reader([line], delimiter=delimiter_of(line)), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def delimiter_of(line: str) -> str:
    """The delimiter that stands most often in a line: comma, semicolon or tab."""
    return max(DELIMITERS, key=line.count)


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells. Raises DataError naming the line: a row of another length, or no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    reader = csv.reader(text.splitlines(), delimiter=delimiter_of(text.partition("\n")[0]), strict=True)
    length = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            length = length or len(row)
            if len(row) != length:
                raise DataError(f"{path}:{reader.line_num}: {len(row)} cells; the header has {length}.")
            yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}.") from None
