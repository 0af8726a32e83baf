"""What the loaders of original files share: lists, tables, missing images, splits of our own, square boxes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import Incomplete
from lmbench.errors import DataError


def read_text(path: Path, dataset: str, get: str) -> str:
    """The content of an annotation file. Raises DataError: not there (``get`` says what to do), or no text."""
    if not path.is_file():
        raise DataError(f"{dataset}: {path} is missing. {get}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{dataset}: {path} is no text file ({error.reason} at byte {error.start}).") from None


def read_names(path: Path, dataset: str, get: str) -> list[str]:
    """The lines of a list, stripped, without empty ones. Raises DataError: missing, empty, or a line stands twice."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(read_text(path, dataset, get).splitlines(), 1):
        name = line.strip().replace("\\", "/")
        if not name:
            continue
        if name in seen:
            raise DataError(f"{dataset}: {path}:{number}: {name} stands in line {seen[name]} already.")
        seen[name] = number
        names.append(name)
    if not names:
        raise DataError(f"{dataset}: {path} lists no image.")
    return names


def read_numbers(path: Path, columns: int, dataset: str, get: str) -> np.ndarray:
    """(lines, columns) float64 of a table of finite numbers. Raises DataError naming file and line."""
    text = read_text(path, dataset, get)
    rows = sum(1 for line in text.splitlines() if line.strip())
    try:
        values: np.ndarray = np.array(text.split(), np.float64)
    except ValueError:
        values = np.empty(0)
    if rows == 0 or values.size != rows * columns or not np.isfinite(values).all():
        raise DataError(f"{dataset}: {path}{_first_bad_line(text, columns)}")
    return values.reshape(rows, columns)


def _first_bad_line(text: str, columns: int) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != columns:
            return f":{number}: {columns} columns are expected, {len(words)} found: {line.strip():.60}"
        if not all(_is_finite(word) for word in words):
            return f":{number}: numbers are expected, found: {line.strip():.60}"
    return " is empty."


def _is_finite(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def hashed(name: str) -> int:
    """A whole number from a name, the same everywhere: what splits of our own are made by."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def complete(
    dataset: str, expected: Iterable[Path], splits: Mapping[str, datasets.Dataset], get: str
) -> dict[str, datasets.Dataset]:
    """The splits that have images, where every expected file is there.

    Raises Incomplete with them, naming the first missing file; DataError where none is there.
    """
    there = {split: d for split, d in splits.items() if len(d)}
    files = list(expected)
    missing = [f for f in files if not f.is_file()]
    if files and len(missing) == len(files):
        raise DataError(f"{dataset}: none of its {len(files)} files is there (first: {files[0]}). {get}")
    if missing:
        raise Incomplete(
            f"{dataset}: {len(missing)} of {len(files)} files are missing (first: {missing[0]}). {get}", there
        )
    return there


def require_disjoint(dataset: str, lists: Mapping[str, Sequence[str]]) -> None:
    """Raises DataError where a name stands in two splits: what is tested on would be fitted on."""
    split_of: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if split_of.setdefault(name, split) != split:
                raise DataError(f"{dataset}: {name} stands in the lists of {split_of[name]} and {split}.")


def require_visible(visible: np.ndarray, dataset: str, source: Path) -> None:
    """Raises DataError where not one landmark of all images is visible: that file holds something else."""
    if visible.size and not visible.any():
        raise DataError(
            f"{dataset}: {source} marks no landmark of any of {len(visible)} images as visible; fetch it again."
        )


def square_boxes(points: np.ndarray, visible: np.ndarray, factor: float) -> np.ndarray:
    """(N, 4) squares of whole pixels around the visible landmarks: ``factor`` times the longer side of their rectangle.

    All zero (the whole image) where no landmark is visible. What reaches beyond the image will be black.
    """
    boxes = np.zeros((len(points), 4))
    for box, p, seen in zip(boxes, points, visible, strict=True):
        if not seen.any():
            continue
        low, high = p[seen].min(0), p[seen].max(0)
        side = max(1.0, round(factor * (high - low).max()))
        box[:] = *np.round((low + high - side) / 2), side, side
    return boxes


def rows(names: Sequence[str], chosen: Iterable[str]) -> np.ndarray:
    """The positions of ``chosen`` in ``names``, in the order of ``chosen``."""
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[name] for name in chosen], int)
