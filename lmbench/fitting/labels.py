"""Somebody's own points on some of his images, read as a ``folder:`` dataset is, in every format of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmbench.datasets.folders.loader import accepted_findings, read_samples
from lmbench.datasets.folders.options import Options, parse_options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Sample, annotated_once, find_landmark
from lmbench.errors import DataError, UsageError
from lmbench.printable import counted

FOLDS = 5  # in which a head is judged, and those it is cross-fitted in
LEAST = 5
"""Labelled images: fewer can be neither fitted nor judged by cross-validation."""
FEW = 5  # images that show a landmark: of fewer nothing can be said of it
STILL = 1.0  # pixels in which landmarks of different images lie that were copied and never moved


@dataclass(frozen=True)
class Labels:
    """Points of L landmarks on images, in the order of their paths.

    ``samples``: points (L, 2) in pixels, x before y, the first pixel's centre being 0; ``notes``: what was decided on the way.
    ``where``: what the labels are called in messages.
    """

    where: str
    names: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...]

    @property
    def boxed(self) -> bool:
        """Whether every sample has a box of its own."""
        return all(s.box for s in self.samples)

    @property
    def folds(self) -> np.ndarray:
        """(N,) the part with which each sample is held out."""
        return blocks([str(s.photo) for s in self.samples], FOLDS)

    def require_usable(self) -> None:
        """Raises DataError where no head can be fitted to them: too few images, a landmark in one fold alone, never moved."""
        photos = {s.photo for s in self.samples}
        if len(photos) < LEAST:
            raise DataError(
                f"{self.where}: {counted(len(photos), 'labelled image')}; at least {LEAST} are needed, 10 to 50 do well. Label "
                f"more (lmbench label). What was read: {'; '.join(self.notes)}."
            )
        points = np.stack([np.where(s.visible[:, None], s.points, np.nan) for s in self.samples])
        folds, seen = self.folds, np.isfinite(points[..., 0])
        rare = [name for k, name in enumerate(self.names) if len(set(folds[seen[:, k]])) < 2]
        if rare:
            rest = [name for name in self.names if name not in rare]
            raise DataError(
                f"{self.where}: {', '.join(rare)} {'is' if len(rare) == 1 else 'are'} labelled on one image alone, or on some "
                "beside each other by name, which are held out together: no head could be judged on it. Label more, or leave "
                f"out what is too rare: --landmarks {','.join(rest) or 'NAME'}."
            )
        spans = np.nanmax(points, axis=0) - np.nanmin(points, axis=0)
        if (spans <= STILL).all():
            x, y = np.nanmean(points, axis=(0, 1))
            raise DataError(
                f"{self.where}: every landmark is at the same place on all {len(photos)} images (about {x:.0f},{y:.0f}): "
                "copied and never moved? Put the points where the landmarks are."
            )

    def rare(self) -> dict[str, int]:
        """Landmarks that few images show, and how many do."""
        seen = np.sum([s.visible for s in self.samples], axis=0)
        return {name: int(n) for name, n in zip(self.names, seen, strict=True) if n < FEW}


def blocks(photos: Sequence[str], most: int) -> np.ndarray:
    """(N,) the fold of each sample: images in the order of their paths, in blocks; up to twice as many images, each alone."""
    order = sorted(set(photos))
    count = len(order) if len(order) <= 2 * most else most
    of = {photo: k for k, block in enumerate(np.array_split(np.array(order, object), count)) for photo in block}
    return np.array([of[photo] for photo in photos])


def read_labels(given: str, images: Path | None = None, landmarks: Sequence[str] = (), crop: str = "") -> Labels:
    """The labels of ``FILE[:option=value...]`` or ``DIR[:option=value...]``, with the options of ``folder:``.

    ``images``: the folder below which their images are, that of the file where none is named. ``landmarks``: these alone, in
    this order. ``crop``: ``box`` where boxes are to be used. Raises UsageError for a bad option or an unknown landmark, DataError
    naming file and line for what cannot be read or meant, and for images that are missing.
    """
    options = _options(given, images)
    photos = Photos(options.folder)
    where = given
    found, samples, reading = read_samples(options, photos, where, least=1)  # a head learns each landmark by itself
    chosen = _chosen(found.names, landmarks, where)
    names = tuple(found.names[k] for k in chosen)
    samples = [replace(s, points=s.points[chosen], visible=s.visible[chosen]) for s in samples]
    kept = annotated_once([s for s in samples if s.visible.any()])
    if not kept:
        raise DataError(f"{where}: no image shows {', '.join(names)}.")
    findings = accepted_findings(kept, crop, options, where, turned="EXIF" in reading)
    left = len(samples) - len(kept)
    notes = [
        *found.notes,
        *([f"{left} samples left out: they show none of these landmarks, or stand there twice"] if left else []),
        *(f"accepted (accept={f.word}): {f.said}" for f in findings),
        *([reading] if reading else []),
    ]
    return Labels(where, names, tuple(sorted(kept, key=lambda s: s.id)), tuple(notes))


def _options(given: str, images: Path | None) -> Options:
    """Raises UsageError, DataError where there is no such file or folder."""
    colons = [m.start() for m in re.finditer(r":(?=[A-Za-z_]+=)", given)]
    ends = [len(given), *reversed(colons)]
    place = next((given[:end] for end in ends if Path(given[:end]).expanduser().exists()), "")
    if not place:
        raise DataError(f"--labels {given}: there is no such file. `lmbench label DIR` writes one.")
    path, rest = Path(place).expanduser(), given[len(place) :]
    if framed := re.search(r":(crop|margin)=", rest):
        raise UsageError(
            f"--labels {given}: what the network sees is said by --frame and --margin, not by {framed[1]}=."
        )
    if path.is_dir():
        if images is not None:
            raise UsageError(
                "--images is for labels that are a file; name the folder of the images and their labels alone."
            )
        return parse_options(given)
    folder = images if images is not None else path.parent
    if not folder.is_dir():
        raise DataError(f"--images {folder}: there is no such folder.")
    options = parse_options(f"{folder}{rest}")
    if options.file:
        raise UsageError(f"--labels {given}: file= is {path} itself.")
    return replace(options, file=str(path.absolute()))


def _chosen(names: tuple[str, ...], wanted: Sequence[str], where: str) -> list[int]:
    if not wanted:
        return list(range(len(names)))
    chosen = [find_landmark(names, name, where) for name in wanted]
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"--landmarks {','.join(wanted)}: a landmark is named twice.")
    return chosen
