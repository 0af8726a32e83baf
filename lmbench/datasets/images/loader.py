"""Any folder of images as an unlabelled set for pretraining."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import datasets
import numpy as np

from lmbench.data.images import read_header, suffixes, summary, unread
from lmbench.data.schema import landmark_dataset
from lmbench.datasets.folders.options import ORIENTATION, take_options
from lmbench.errors import DataError
from lmbench.originals.walking import walk

EXAMPLE = "images:DIR:orientation=raw"


def load(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """All images below the folder of ``argument``, in order of their paths, each cut to its central square.

    What was left out and done is the split's description. Raises UsageError for a bad option; DataError: no such folder, no
    image in it, or a file that is none (named; nothing is skipped in silence).
    """
    del root
    where = f"images:{argument}"
    folder, given = take_options("images", argument, ORIENTATION, EXAMPLE)
    walked = walk(folder)
    files = [f for f in walked.files if f.suffix.lower() in suffixes()]
    beside = [note for note in (unread(walked.files), walked.said()) if note]
    if not files:
        more = f" {'; '.join(beside)}." if beside else ""
        raise DataError(f"{where}: no image file in it or below ({', '.join(sorted(suffixes()))}).{more}")
    headers = [read_header(f, str(f), where) for f in files]
    raw = [given.get("orientation") == "raw" and h.orientation != 1 for h in headers]
    boxes = np.array([_central_square(h.size(r)) for h, r in zip(headers, raw, strict=True)], np.float32)
    ids = [f.relative_to(folder).as_posix() for f in files]
    counts = Counter(work for h, r in zip(headers, raw, strict=True) for work in h.work(r))
    split = landmark_dataset(files, ids, boxes=boxes, where=where, raw=raw)
    split.info.description = "; ".join(filter(None, [summary(counts, len(files)), *beside]))
    return {"train": split}


def _central_square(size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    side = min(size)
    return (width - side) // 2, (height - side) // 2, side, side
