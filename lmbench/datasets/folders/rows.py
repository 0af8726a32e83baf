"""Tables of text: the delimiter is found, line breaks inside quotes are kept, every row is as long as the header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmbench.errors import DataError
from lmbench.originals.texts import read_head, read_text

DELIMITERS = ",;\t"


def first_row(path: Path, encoding: str = "") -> list[str]:
    """The cells of the header, stripped (empty for a file that is no text)."""
    return next(iter(read_head_rows(path, 1, encoding)), [])


def read_head_rows(path: Path, count: int, encoding: str = "") -> list[list[str]]:
    """The cells of the first rows, stripped; fewer where the file has no more, or is damaged there."""
    reader, _ = _reader(read_head(path, encoding), strict=False)
    found: list[list[str]] = []
    try:
        for row in reader:
            if len(found) == count:
                break
            if _says_something(row):
                found.append([cell.strip() for cell in row])
    except csv.Error:
        pass
    return found


def delimiter_of(line: str) -> str:
    """The delimiter that stands most often in a line: comma, semicolon or tab."""
    return max(DELIMITERS, key=line.count)


def read_rows(path: Path, encoding: str = "") -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells as they are written (blanks kept), all rows as long as the first.

    Empty cells beyond the header are cut off. Raises DataError naming the line: a row of another length, or no text.
    """
    reader, skipped = _reader(read_text(path, encoding), strict=True)
    length = 0
    try:
        for row in reader:
            if not _says_something(row):
                continue
            line = reader.line_num + skipped
            length = length or len(row)
            if len(row) > length and not _says_something(row[length:]):
                row = row[:length]
            if len(row) != length:
                raise DataError(f"{path}:{line}: {len(row)} cells; the header has {length}.{_why(row, length)}")
            yield line, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num + skipped}: {error}.") from None


def _reader(text: str, strict: bool) -> tuple[Any, int]:
    """A reader of the rows, and how many lines before them it passed over (``sep=;``, Excel's own mark)."""
    told = re.match(r"sep=(.)\r?\n", text)
    if told:
        text = text[told.end() :]
    delimiter = told[1] if told else delimiter_of(text.partition("\n")[0])
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict), int(bool(told))


def _says_something(row: list[str]) -> bool:
    return any(cell.strip() for cell in row)


def _why(row: list[str], length: int) -> str:
    """What is likely to have happened, where it shows."""
    if len(row) == length + 1:
        return (
            " If the first cell of every row is its name, as R's write.table leaves it without a header, write the table "
            "with col.names=NA; if numbers have decimal commas, with decimal points."
        )
    return " Are there decimal commas? Write decimal points." if len(row) > length else ""
