"""The text of an annotation file, in whatever encoding says what it is, and the numbers in it."""

from __future__ import annotations

import codecs
import math
import re
from pathlib import Path

from lmbench.errors import DataError

MARKS = (  # longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HEAD = 1 << 20  # bytes in which a file shows what it is


def read_text(path: Path, encoding: str = "") -> str:
    """The content as text: by its byte-order mark, else in ``encoding``, else UTF-16 without a mark or UTF-8.

    Raises DataError naming the line where it is none of these; nothing is guessed, since a wrong guess spoils names.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None
    chosen = encoding_of(raw, encoding)
    try:
        return raw.decode(chosen)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        advice = (
            "Save it as UTF-8, or name its encoding: encoding=cp1252 (western Windows), encoding=gbk, encoding=shift_jis."
            if not encoding
            else "Name another encoding."
        )
        raise DataError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} cannot be read as {chosen.removesuffix('-sig').upper()}. {advice}"
        ) from None


def read_head(path: Path, encoding: str = "") -> str:
    """The beginning of a file as text, with a sign for what is none; ``""`` for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD)
    except OSError:
        return ""
    return raw.decode(encoding_of(raw, encoding), errors="replace")


def plain(head: bytes) -> bytes:
    """ASCII bytes as they are found in any encoding: without the zeros of UTF-16 and UTF-32."""
    return head.replace(b"\0", b"")


def encoding_of(raw: bytes, told: str) -> str:
    """The encoding that the first bytes show, else the one that was told, else UTF-8."""
    for mark, name in MARKS:
        if raw.startswith(mark):
            return name
    if told:
        return told
    zeros = [raw[start:1000:2].count(0) for start in (0, 1)]
    if max(zeros) > len(raw[:1000]) // 4:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return "utf-8"


def is_blank(cell: str) -> bool:
    """Whether a header's cell says nothing: empty, or what pandas writes for an empty one (``Unnamed: 1_level_0``)."""
    return not cell.strip() or re.fullmatch(r"Unnamed: ?\d+(_level_\d+)?", cell.strip()) is not None


MISSING = ("", "nan", "na", "n/a", "#n/a", "<na>", "null", "none")


def coordinate(text: str, where: str) -> float:
    """A number of a text annotation, NaN where it is empty or ``NA``. Raises DataError."""
    text = text.strip()
    if text.lower() in MISSING:
        return float("nan")
    try:
        value = float(text.replace("_", "?"))  # Python reads 1_0 as ten
    except ValueError:
        advice = "decimal points are expected"
        if re.fullmatch(r"-?\d+,\d+", text):
            advice = "it has a decimal comma; write the file with decimal points"
        raise DataError(f"{where}: {text!r} is no number ({advice}).") from None
    if math.isinf(value):
        raise DataError(f"{where}: a coordinate is infinite.")
    return value
