"""Which samples train and which test: as the files say, else by a hash of the image."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.samples import Sample
from lmbench.errors import DataError

WORDS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset"), "val"),
}
TEST_PART = 0.2
LEAST_TEST = 2  # matching needs a pair


def split_samples(samples: Sequence[Sample], options: Options, where: str) -> tuple[dict[str, list[Sample]], str]:
    """``{"train": ..., "test": ...}`` and one line on how they came about.

    Samples that no file or folder assigns train; a validation part tests where there is no test part, and is left out
    where there is. Raises DataError for too few images.
    """
    if options.test is None:
        named = [s.split or _named(s, options.folder) for s in samples]
        test = "test" if "test" in named else "val"
        train = [s for s, n in zip(samples, named, strict=True) if n in ("train", "")]
        held = [s for s, n in zip(samples, named, strict=True) if n == test]
        if train and held:
            rest = len(samples) - len(train) - len(held)
            said = f"split as the files name it ({test} is tested on" + (f", {rest} of val left out)" if rest else ")")
            return _checked({"train": train, "test": held}, where), said
    part = TEST_PART if options.test is None else options.test
    ids = [Path(os.path.relpath(s.photo, options.folder)).as_posix() for s in samples]
    photos = sorted(set(ids), key=lambda i: hashlib.sha256(i.encode()).digest())
    number = min(max(LEAST_TEST, round(part * len(photos))), len(photos) - 1)
    if number < LEAST_TEST:
        raise DataError(
            f"{where}: {len(photos)} labelled images; at least {LEAST_TEST + 1} are needed to fit and test."
        )
    chosen = set(photos[:number])
    splits = {
        "train": [s for s, i in zip(samples, ids, strict=True) if i not in chosen],
        "test": [s for s, i in zip(samples, ids, strict=True) if i in chosen],
    }
    return (
        splits,
        f"the files name no split: the {number} of {len(photos)} images whose path has the lowest sha256 test",
    )


def _checked(splits: dict[str, list[Sample]], where: str) -> dict[str, list[Sample]]:
    shared = {s.photo for s in splits["train"]} & {s.photo for s in splits["test"]}
    if shared:
        raise DataError(f"{where}: {len(shared)} images are in both splits (first: {min(shared)}).")
    return splits


def _named(sample: Sample, folder: Path) -> str:
    """The split in a word of the annotation's name (``keypoints_val2017.json``), else in a folder (``test``, ``val2017``)."""
    words = [] if sample.file.suffix.lower() == ".pts" else re.split(r"[^a-z]+", sample.file.stem.lower())
    for path in (sample.file, sample.photo):
        words += [re.sub(r"[^a-z]+", "", p.lower()) for p in Path(os.path.relpath(path, folder)).parts[:-1]]
    return next((WORDS[w] for w in words if w in WORDS), "")


def word_of(text: str) -> str | None:
    """The split that a cell of a table names, ``""`` for an empty one, None for another word."""
    return WORDS.get(text.strip().lower()) if text.strip() else ""
