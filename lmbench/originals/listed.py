"""What a list file says of a split, and the splits that come of it: shared by loaders whose images are named in lists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.schema import Incomplete, landmark_dataset
from lmbench.errors import DataError

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Listed:
    """A split as its list has it: files, ids, and for each file landmarks (N, L, 2), boxes (N, 4), identities (N,).

    ``remark``: what the data alone do not tell (derived boxes, repeated entries); kept as the split's description.
    """

    files: Sequence[Path]
    ids: Sequence[str]
    landmarks: np.ndarray | None = None
    boxes: np.ndarray | None = None
    identity: np.ndarray | None = None
    remark: str = ""


def listed_splits(name: str, root: Path, parts: Mapping[str, Listed], advice: str) -> dict[str, datasets.Dataset]:
    """The splits of all files that are there.

    Raises DataError where none of them is, Incomplete (with the rest) where some are missing.
    """
    folders: dict[Path, set[str]] = {}
    there = {split: _present(part.files, folders) for split, part in parts.items()}
    missing = [f for split, part in parts.items() for f in np.array(part.files)[~there[split]]]
    listed = {f.name for part in parts.values() for f in part.files}
    total = sum(len(part.files) for part in parts.values())
    said = ""
    if missing:
        others = sorted(set().union(*(folders[f] for f in {m.parent for m in missing})) - listed)
        renamed = f" Beside them lie {len(others)} files of other names (first: {others[0]})." if others else ""
        said = (
            f"{name}: the lists name {total} images, {len(missing)} are missing under {root} "
            f"(first: {_below(missing[0], root)}).{renamed} {advice}"
        )
    if len(missing) == total:
        raise DataError(said or f"{name}: the lists under {root} name no image.")
    splits = {split: _dataset(f"{name} {split}", part, there[split]) for split, part in parts.items()}
    if missing:
        raise Incomplete(said, splits)
    return splits


def require(path: Path, name: str, root: Path, advice: str) -> Path:
    """The path of a list that is there. Raises DataError that says what lies in the dataset's folder instead."""
    if path.is_file():
        return path
    found = sorted(f.name for f in root.iterdir()) if root.is_dir() else []
    rest = " ..." if len(found) > NAMES_SHOWN else ""
    holds = f"{root} holds {', '.join(found[:NAMES_SHOWN]) or 'nothing'}{rest}"
    raise DataError(f"{name}: {_below(path, root)} is missing; {holds}. {advice}")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without line ends, outer blanks and empty lines. Raises DataError for another kind."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text file; fetch it again.") from None
    return [line.strip() for line in lines if line.strip()]


def _present(files: Sequence[Path], folders: dict[Path, set[str]]) -> np.ndarray:
    """Which files are there (N,), by one listing a folder: a look at each of 200,000 names takes minutes on a share."""
    for folder in {f.parent for f in files} - folders.keys():
        folders[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
    return np.array([f.name in folders[f.parent] for f in files], dtype=bool)


def _dataset(where: str, part: Listed, there: np.ndarray) -> datasets.Dataset:
    chosen = [i for i, keep in enumerate(there) if keep]
    landmarks, boxes, identity = (None if a is None else a[there] for a in (part.landmarks, part.boxes, part.identity))
    files, ids = [part.files[i] for i in chosen], [part.ids[i] for i in chosen]
    made = landmark_dataset(files, ids, landmarks, boxes=boxes, identity=identity, where=where)
    made.info.description = part.remark
    return made


def _below(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
