"""The lists of a dataset's originals, read with errors that say where, and the splits that come of them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

from lmbench import progress
from lmbench.data.images import suffixes
from lmbench.data.schema import Incomplete, landmark_dataset
from lmbench.errors import DataError

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Listed:
    """A split as its list has it: files, ids, and for each file landmarks (N, L, 2), visible (N, L), boxes, identity (N,).

    ``mask``: called with the id of each image that is there, gives its encoded mask. ``remark``: what the data alone do not
    tell (derived boxes, repeated entries); kept as the split's description.
    """

    files: Sequence[Path]
    ids: Sequence[str]
    landmarks: np.ndarray | None = None
    visible: np.ndarray | None = None
    boxes: np.ndarray | None = None
    identity: np.ndarray | None = None
    mask: Callable[[str], bytes] | None = None
    remark: str = ""


@dataclass(frozen=True)
class Originals:
    """The folder of a dataset while its loader reads it: what errors name, and ``advice`` on how to get what is missing."""

    name: str
    root: Path
    advice: str

    def require(self, path: Path) -> Path:
        """The path of a file that is there. Raises DataError that says what lies in the dataset's folder instead."""
        if path.is_file():
            return path
        found = sorted(f.name for f in self.root.iterdir()) if self.root.is_dir() else []
        rest = " ..." if len(found) > NAMES_SHOWN else ""
        holds = f"{self.root} holds {', '.join(found[:NAMES_SHOWN]) or 'nothing'}{rest}"
        raise self.error(f"{self._below(path)} is missing; {holds}. {self.advice}")

    def text(self, path: Path) -> str:
        """The content of an annotation file. Raises DataError: not there, or no text."""
        try:
            return self.require(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(
                f"{path} is no text file ({error.reason} at byte {error.start}); fetch it again."
            ) from None

    def lines(self, path: Path) -> list[str]:
        """The lines of a text file without line ends, outer blanks and empty lines. Raises DataError for another kind."""
        return [line.strip() for line in self.text(path).splitlines() if line.strip()]

    def names(self, path: Path) -> list[str]:
        """The lines of a list of names, with forward slashes. Raises DataError: missing, empty, or a line stands twice."""
        seen: dict[str, int] = {}
        for number, line in enumerate(self.text(path).splitlines(), 1):
            name = line.strip().replace("\\", "/")
            if name and seen.setdefault(name, number) != number:
                raise self.error(f"{path}:{number}: {name} stands in line {seen[name]} already.")
        if not seen:
            raise self.error(f"{path} lists no image.")
        return list(seen)

    def numbers(self, path: Path, columns: int) -> np.ndarray:
        """(lines, columns) float64 of a table of finite numbers. Raises DataError naming file and line."""
        text = self.text(path)
        rows = sum(1 for line in text.splitlines() if line.strip())
        try:
            values: np.ndarray = np.array(text.split(), np.float64)
        except ValueError:
            values = np.empty(0)
        if rows == 0 or values.size != rows * columns or not np.isfinite(values).all():
            raise self.error(f"{path}{_first_bad_line(text, columns)}")
        return values.reshape(rows, columns)

    def splits(self, parts: Mapping[str, Listed], beside: Sequence[Path] = ()) -> dict[str, datasets.Dataset]:
        """The splits of all files that are there, without those of which nothing is.

        ``beside``: further files that have to be there. Raises DataError where no image is, Incomplete (with what is there)
        where some are missing.
        """
        folders: dict[Path, set[str]] = {}
        there = {split: _present(part.files, folders) for split, part in parts.items()}
        files = [f for part in parts.values() for f in part.files]
        missing = [f for split, part in parts.items() for f, ok in zip(part.files, there[split], strict=True) if not ok]
        if not files:
            raise self.error(f"the lists under {self.root} name no image.")
        lacking = [*missing, *(f for f in beside if not f.is_file())]
        said = ""
        if lacking:
            lying = set().union(*(folders[folder] for folder in {m.parent for m in missing}))
            others = sorted(n for n in lying - {f.name for f in files} if Path(n).suffix.lower() in suffixes())
            renamed = f" Beside them lie {len(others)} files of other names (first: {others[0]})." if others else ""
            said = (
                f"{len(lacking)} of {len(files) + len(beside)} files are missing under {self.root} "
                f"(first: {self._below(lacking[0])}).{renamed} {self.advice}"
            )
        if len(missing) == len(files):
            raise self.error(said)
        splits = {split: self._split(split, part, there[split]) for split, part in parts.items() if there[split].any()}
        if lacking:
            raise Incomplete(f"{self.name}: {said}", splits)
        return splits

    def error(self, said: str) -> DataError:
        """The error that says this of the dataset."""
        return DataError(f"{self.name}: {said}")

    def _split(self, split: str, part: Listed, there: np.ndarray) -> datasets.Dataset:
        chosen = np.flatnonzero(there).tolist()
        files, ids = [part.files[i] for i in chosen], [part.ids[i] for i in chosen]
        rows = (part.landmarks, part.visible, part.boxes, part.identity)
        landmarks, visible, boxes, identity = (None if a is None else a[chosen] for a in rows)
        masks: list[bytes] | None = None
        if part.mask is not None:
            masks = []
            with progress.task(f"reading masks of {self.name} {split}", len(ids)) as bar:
                for i in ids:
                    masks.append(part.mask(i))
                    bar.advance()
        where = f"{self.name} {split}"
        made = landmark_dataset(files, ids, landmarks, visible, identity, boxes, where, masks)
        made.info.description = part.remark
        return made

    def _below(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def _present(files: Sequence[Path], folders: dict[Path, set[str]]) -> np.ndarray:
    """Which files are there (N,), by one listing a folder: a look at each of 200,000 names takes minutes on a share."""
    for folder in {f.parent for f in files} - folders.keys():
        folders[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
    return np.array([f.name in folders[f.parent] for f in files], dtype=bool)


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
