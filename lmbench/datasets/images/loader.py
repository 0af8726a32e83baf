"""Any folder of images as an unlabelled set for pretraining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.data.images import read_header, suffixes, summary, unread
from lmbench.datasets.folders.options import ORIENTATION, take_options
from lmbench.errors import DataError
from lmbench.originals.walking import walk

if TYPE_CHECKING:
    import datasets

EXAMPLE = "images:DIR:orientation=raw"


@dataclass(frozen=True)
class Found:
    """The images of a folder, the options that were given, and what was left out, in words."""

    folder: Path
    files: list[Path]
    given: Mapping[str, str]
    beside: list[str]


def describe(argument: str) -> dict[str, Any]:
    """The notes of the member's DatasetSpec: how many images there are and what was left out. Raises as `load` does."""
    found = _find(argument)
    return {"notes": (f"{len(found.files)} images, each cut to its central square", *found.beside)}


def load(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """All images below the folder of ``argument``, in order of their paths, each cut to its central square.

    What was left out and done is the split's description. Raises UsageError for a bad option; DataError: no such folder, no
    image in it, or a file that is none (named; nothing is skipped in silence).
    """
    from lmbench.data.schema import landmark_dataset

    del root
    where, found = f"images:{argument}", _find(argument)
    headers = [read_header(f, str(f), where) for f in found.files]
    raw = [found.given.get("orientation") == "raw" and h.orientation != 1 for h in headers]
    boxes = np.array([_central_square(h.size(r)) for h, r in zip(headers, raw, strict=True)], np.float32)
    ids = [f.relative_to(found.folder).as_posix() for f in found.files]
    counts = Counter(work for h, r in zip(headers, raw, strict=True) for work in h.work(r))
    split = landmark_dataset(found.files, ids, boxes=boxes, where=where, raw=raw)
    split.info.description = "; ".join(filter(None, [summary(counts, len(ids)), *found.beside]))
    return {"train": split}


def _find(argument: str) -> Found:
    folder, given = take_options("images", argument, ORIENTATION, EXAMPLE)
    walked = walk(folder)
    files = [f for f in walked.files if f.suffix.lower() in suffixes()]
    beside = [note for note in (unread(walked.files), walked.said()) if note]
    if not files:
        more = f" {'; '.join(beside)}." if beside else ""
        raise DataError(f"images:{argument}: no image file in it or below ({', '.join(sorted(suffixes()))}).{more}")
    return Found(folder, files, given, beside)


def _central_square(size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    side = min(size)
    return (width - side) // 2, (height - side) // 2, side, side
