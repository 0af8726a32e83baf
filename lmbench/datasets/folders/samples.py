"""What every format is read into: samples with landmarks by name."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from lmbench.errors import DataError, UsageError, did_you_mean
from lmbench.printable import counted

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sample:
    """One labelled object.

    ``points`` (L, 2) pixels, x before y, the first pixel's centre being 0; ``visible`` (L,). ``image`` is the path as
    the annotation has it, ``file`` the annotation. ``label`` tells the objects of an image apart. ``photo`` and ``id``
    are known once the image is found. ``size``: width and height of the image as the annotation states them; ``shown``:
    as it is read, which with ``raw`` is as its pixels are stored, against an EXIF orientation. ``person``: who or what is
    shown, where the annotation says so. ``columns``: what else it says, by the column's name.
    """

    image: str
    file: Path
    points: np.ndarray
    visible: np.ndarray
    box: Box | None = None
    label: str = ""
    split: str = ""
    photo: Path = Path()
    id: str = ""
    size: tuple[int, int] | None = None
    shown: tuple[int, int] = (0, 0)
    raw: bool = False
    person: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotations:
    """Landmark names, samples, and what was left out or decided."""

    names: tuple[str, ...]
    samples: list[Sample]
    notes: tuple[str, ...] = ()


def labelled_parts(found: Annotations, where: str, least: int = 2) -> Annotations:
    """Without landmarks that are never labelled, and without samples that have fewer than ``least``; both are noted.

    Raises DataError where no sample is left.
    """
    if not found.samples:
        raise DataError(f"{where}: the annotations name no image.")
    seen = np.any([s.visible for s in found.samples], axis=0)
    if not seen.any():
        raise DataError(
            f"{where}: all {len(found.names)} points of all {len(found.samples)} samples are invisible or empty; "
            "nothing can be fitted or judged. Label some, or name another file by file=."
        )
    notes = []
    if not seen.all():
        gone = [n for n, ok in zip(found.names, seen, strict=True) if not ok]
        notes.append(f"landmarks left out since no image has them: {', '.join(gone)}")
    least = min(least, int(seen.sum()))
    kept = [
        replace(s, points=s.points[seen], visible=s.visible[seen]) for s in found.samples if s.visible.sum() >= least
    ]
    dropped = len(found.samples) - len(kept)
    if dropped:
        notes.append(
            f"{dropped} of {len(found.samples)} samples left out: fewer than {counted(least, 'labelled landmark')}"
        )
    if not kept:
        raise DataError(
            f"{where}: no sample has {counted(least, 'labelled landmark')}; all {dropped} would be left out."
        )
    names = tuple(n for n, ok in zip(found.names, seen, strict=True) if ok)
    return Annotations(names, kept, (*found.notes, *notes))


def annotated_once(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, of those of one image and person with the very same landmarks the first alone."""
    found = {(s.photo, s.person, s.visible.tobytes(), s.points[s.visible].tobytes()): s for s in reversed(samples)}
    return [*reversed(found.values())]


def find_landmark(names: tuple[str, ...], wanted: str, where: str) -> int:
    """The index of a landmark named in an option: by its name (case and punctuation do not count) or its number from 0."""
    exact = [composed(n) for n in names]
    if exact.count(composed(wanted)) == 1:
        return exact.index(composed(wanted))
    folded = [folded_name(n) for n in names]
    if folded_name(wanted) and folded.count(folded_name(wanted)) == 1:
        return folded.index(folded_name(wanted))
    if wanted.isascii() and wanted.isdigit() and int(wanted) < len(names):
        return int(wanted)
    shown = [f or n for f, n in zip(folded, names, strict=True)]
    raise UsageError(
        f"{where}: no landmark {wanted!r}; there are {', '.join(shown)}.{did_you_mean(folded_name(wanted), shown)}"
    )


def composed(name: str) -> str:
    """A name whose accents are one with their letters (NFC): macOS writes them apart."""
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=1 << 12)
def folded_name(name: str) -> str:
    """``Left front leg: paw`` as ``left_front_leg_paw``: what can be typed in a shell. Letters of every script stay."""
    folded = composed(composed(name).casefold())
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in folded)
    return "_".join(kept.split())


def known(points: np.ndarray) -> np.ndarray:
    """(L,) bool: which of the points (L, 2) have both coordinates."""
    return np.asarray(np.isfinite(points).all(axis=1))


def box_of(left: float, top: float, width: float, height: float) -> Box | None:
    """A box, None where a number of it is missing or it has no area."""
    box = (left, top, width, height)
    return box if width > 0 and height > 0 and np.isfinite(box).all() else None
