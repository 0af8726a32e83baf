"""What a user's own split shares between its sides: images, copies of images, persons, frames of one video."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np

from lmbench.datasets.folders.samples import Sample
from lmbench.originals.leaks import copies

Splits = Mapping[str, Sequence[Sample]]
NAMED = 5
SERIES, LARGEST_SERIES = 5, 50  # fewer, or larger, series are kinds of things rather than persons


def shared_photos(splits: Splits) -> list[Path]:
    """The images that are in both splits."""
    train = {s.photo for s in splits["train"]}
    return sorted({s.photo for s in splits["test"] if s.photo in train})


def told_by_names(splits: Splits, relative: Callable[[Path], str], videos: bool) -> list[str]:
    """Lines on persons that are in both splits, and on what folders or names of files say of it.

    ``videos``: every folder holds the frames of one.
    """
    said = []
    people = _on_both(splits, lambda s: s.person)
    if people:
        shown = "; ".join(f"{p}: {a} train, {b} test" for p, (a, b) in list(people.items())[:NAMED])
        more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
        number = f"{len(people)} persons are" if len(people) > 1 else "1 person is"
        said.append(f"{number} in both splits ({shown}{more}); test=0.2 parts them anew, each on one side")
    if videos:
        shared = _on_both(splits, lambda s: Path(relative(s.photo)).parent.as_posix())
        if shared:
            folders = {Path(relative(s.photo)).parent for part in splits.values() for s in part}
            way_out = "group=folder keeps each on one side" if len(folders) > 1 else "label another video to test on it"
            said.append(
                f"frames of the same video are in both splits ({len(shared)} of {len(folders)} videos, first: "
                f"{next(iter(shared))}) and look alike: {way_out}"
            )
    elif not people:
        series = Counter(_series(relative(s.photo)) for part in splits.values() for s in part)
        shared = _on_both(splits, lambda s: _series(relative(s.photo)))
        if len(series) >= SERIES and shared and 2 <= median(series.values()) <= LARGEST_SERIES:
            said.append(
                f"by their names, {len(shared)} of {len(series)} series of images are in both splits (first: "
                f"{next(iter(shared))}); if these are persons or videos, group=REGEX keeps each on one side"
            )
    return said


def _on_both(splits: Splits, key: Callable[[Sample], str]) -> dict[str, tuple[int, int]]:
    """``{key: images that train, images that test}`` of those on both sides."""
    train, test = (Counter(map(key, splits[side])) for side in ("train", "test"))
    return {k: (train[k], test[k]) for k in sorted(train) if k and test[k]}


@lru_cache(maxsize=1 << 18)
def _series(path: str) -> str:
    """What a file's name is without its number: ``Ann_Smith`` for ``a/Ann_Smith_021.jpg``; empty where that is all it is."""
    name = re.sub(r"[\W\d_]+$", "", Path(path).stem)
    return name if re.search(r"[^\W\d_]{2}", name) and name != Path(path).stem else ""


def shared_contents(splits: Splits, relative: Callable[[Path], str]) -> list[str]:
    """Every content that an image of each split has, byte for byte. Only images of one size are opened."""
    sizes = {side: {s.photo: s.photo.stat().st_size for s in part} for side, part in splits.items()}
    common = set(sizes["train"].values()) & set(sizes["test"].values())
    digests = {
        side: {relative(p): hashlib.sha256(p.read_bytes()).hexdigest() for p, size in found.items() if size in common}
        for side, found in sizes.items()
    }
    return copies(digests)[1]


def identities(splits: Splits) -> dict[str, np.ndarray]:
    """(N,) the number of each sample's person, -1 where none is named; all -1 where they part no test images.

    Matching pairs images of different persons, so that one person alone says nothing to it.
    """
    people = sorted({s.person for part in splits.values() for s in part} - {""})
    number = (
        {person: i for i, person in enumerate(people)} if len({s.person for s in splits["test"]} - {""}) > 1 else {}
    )
    return {side: np.array([number.get(s.person, -1) for s in part]) for side, part in splits.items()}
