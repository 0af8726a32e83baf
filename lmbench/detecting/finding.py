"""What somebody names to be looked at: images, videos, folders of images, patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmbench.data.images import suffixes, unread
from lmbench.detecting.regions import Region
from lmbench.detecting.video import is_video
from lmbench.errors import DataError
from lmbench.originals.walking import walk
from lmbench.printable import counted

PATTERN = "*?["


def named_regions(names: Sequence[Path]) -> tuple[list[Region], list[str]]:
    """Every image or video of the names in their order, whole, and what was left out, in words.

    A folder gives all images below it in order of their paths; a pattern (``photos/**/*.jpg``, in quotes) the images and videos
    that it matches. Raises DataError where a name leads to nothing.
    """
    regions: list[Region] = []
    notes: list[str] = []
    for name in names:
        if name.is_dir():
            found, beside = _below(name)
            regions += found
            notes += beside
        elif name.is_file():
            regions.append(Region(name))
        elif any(letter in str(name) for letter in PATTERN):
            regions += _matching(str(name))
        else:
            raise DataError(f"{name}: there is no such file.")
    return list(dict.fromkeys(regions)), notes


def _below(folder: Path) -> tuple[list[Region], list[str]]:
    walked = walk(folder)
    found = [Region(f, chanced_upon=True) for f in walked.files if f.suffix.lower() in suffixes()]
    videos = [f for f in walked.files if is_video(f)]
    beside = [note for note in (unread(walked.files), walked.said()) if note]
    if videos:
        beside.append(f"{counted(len(videos), 'video')} of it not read: name them ({videos[0]})")
    if not found:
        said = f" ({'; '.join(beside)})" if beside else ""
        raise DataError(f"{folder}: no image file in it or below{said}. Read are {', '.join(sorted(suffixes()))}.")
    return found, [f"{folder}: {note}" for note in beside]


def _matching(pattern: str) -> Iterator[Region]:
    files = [Path(p) for p in sorted(glob.glob(pattern, recursive=True))]
    found = [f for f in files if f.is_file() and (f.suffix.lower() in suffixes() or is_video(f))]
    if not found:
        matched = f"{counted(len(files), 'file')} that are no image or video" if files else "nothing"
        raise DataError(f"{pattern}: the pattern matches {matched}.")
    return (Region(f, chanced_upon=True) for f in found)
