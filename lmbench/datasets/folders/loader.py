"""A user's own labelled images: ``folder:DIR``, in any of five formats, without a line of code."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench import progress
from lmbench.data.images import unread
from lmbench.datasets.folders.finding import read_annotations
from lmbench.datasets.folders.framing import frame_boxes, framing_of
from lmbench.datasets.folders.leaking import identities, shared_contents, shared_photos, told_by_names
from lmbench.datasets.folders.options import Options, parse_options
from lmbench.datasets.folders.orienting import oriented
from lmbench.datasets.folders.photos import Photos, below
from lmbench.datasets.folders.samples import Annotations, Sample, annotated_once, find_landmark, labelled_parts
from lmbench.datasets.folders.splitting import split_samples
from lmbench.errors import DataError
from lmbench.geometry.framing import Framing
from lmbench.originals.plausibility import MEANT, Finding, Labels, implausible

if TYPE_CHECKING:
    import datasets

MEMBERS_HELD = 4
LEAKS_NAMED = 5


@dataclass(frozen=True)
class Member:
    """A folder as it was read: landmarks, the samples of each split, and what was decided on the way."""

    landmark_names: tuple[str, ...]
    eyes: tuple[int, int] | None
    splits: dict[str, list[Sample]]
    boxes: dict[str, np.ndarray]
    framing: Framing
    notes: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    """What ``accept=`` let pass, by its words."""


def describe(argument: str) -> dict[str, Any]:
    """The fields of the member's DatasetSpec: landmarks, eyes, metrics, counts, notes. Raises UsageError, DataError."""
    member = read_member(argument)
    if member.eyes:
        metrics: tuple[str, ...] = ("iod",)
    else:
        metrics = ("box_error", "pck_5pct") if len(member.landmark_names) > 1 else ("pck_5pct",)
    return {
        "landmark_names": member.landmark_names,
        "eyes": member.eyes,
        "metrics": metrics,
        "splits": {split: len(samples) for split, samples in member.splits.items()},
        "framing": member.framing,
        "notes": member.notes,
        "accepted": member.accepted,
    }


def load(root: Path, argument: str) -> dict[str, datasets.Dataset]:
    """The splits in the schema, each sample with its square frame.

    Raises UsageError or DataError naming the file; Leaking where an image is in both splits.
    """
    from lmbench.data.schema import Leaking, landmark_dataset

    del root
    member = read_member(argument)
    where = f"folder:{argument}"
    people = identities(member.splits)
    made = {
        split: landmark_dataset(
            [s.photo for s in samples],
            [s.id for s in samples],
            np.stack([np.where(s.visible[:, None], s.points, 0.0) for s in samples]),
            np.stack([s.visible for s in samples]),
            identity=people[split],
            boxes=member.boxes[split],
            where=where,
            raw=[s.raw for s in samples],
        )
        for split, samples in member.splits.items()
    }
    relative = partial(below, parse_options(argument).folder)
    shared = shared_photos(member.splits)
    if shared and "leak" not in member.accepted:
        raise Leaking(
            f"{where}: {len(shared)} images are in both splits (first: {relative(shared[0])}). Take them out of one (lmbench "
            "data verify names all), pass test=0.2 to split anew, or accept=leak to measure on images that were trained on.",
            made,
        )
    twice = shared_contents(member.splits, relative)
    if twice:
        remark = f"images in both splits by their content ({len(twice)}): {'; '.join(twice[:LEAKS_NAMED])}"
        remark += (
            f" and {len(twice) - LEAKS_NAMED} more (lmbench data verify names all)" if len(twice) > LEAKS_NAMED else ""
        )
        progress.say(f"{where}: warning: {remark}")
        made["test"].info.description = remark
    return made


def read_member(argument: str) -> Member:
    """The folder behind ``DIR[:option=value...]``, read once for as long as its files stay as they are."""
    options = parse_options(argument)
    photos = Photos(options.folder)
    state = tuple((str(f), s.st_size, s.st_mtime_ns) for f in photos.walked.files for s in [os.stat(f)])
    return _read(argument, os.getcwd(), state)


@lru_cache(maxsize=MEMBERS_HELD)
def _read(argument: str, place: str, state: tuple[Any, ...]) -> Member:
    del place, state  # they are what the answer is remembered by
    options = parse_options(argument)
    where = f"folder:{argument}"
    photos = Photos(options.folder)
    found, samples, read = read_samples(options, photos, where)
    parted, how = split_samples(samples, options, where)
    splits = {split: annotated_once(part) for split, part in parted.items()}
    twice = sum(len(parted[split]) - len(part) for split, part in splits.items())
    crop = options.crop or ("box" if all(s.box for s in samples) else "landmarks")
    boxed = sum(s.box is not None for s in samples)
    accepted = accepted_findings(samples, crop, options, where, turned="EXIF" in read)
    boxes, framed = {}, ""
    for split, part in splits.items():
        boxes[split], framed = frame_boxes(part, crop, options.margin, where)
    eyes = _eyes(found, options, where)
    _check_normaliser(splits["test"], eyes, found.names, where)
    unused = len(photos) - len({s.photo for part in splits.values() for s in part})
    leaks = told_by_names(splits, photos.relative, videos=found.notes[0].startswith("deeplabcut"))
    if "leak" in options.accept and shared_photos(splits):
        leaks.append(f"accepted (accept=leak): {len(shared_photos(splits))} images are in both splits")
    notes = (
        *found.notes,
        how,
        *([f"{twice} samples left out: another one of their image has the same landmarks"] if twice else []),
        framed,
        *([f"boxes are not used: {boxed} of {len(samples)} samples have one"] if 0 < boxed < len(samples) else []),
        *_unseen(found, splits["train"]),
        *([f"{unused} of {len(photos)} images are not used"] if unused > 0 else []),
        *(f"accepted (accept={f.word}): {f.said}" for f in accepted),
        *leaks,
        *filter(None, [read, unread(photos.walked.files), photos.walked.said()]),
    )
    told = [
        n
        for n in notes
        if re.search(r"left out|passed over|taken for unlabelled|in both splits|so that it is parted|^accepted", n)
    ]
    if told:
        progress.say(f"{where}: {'; '.join(told)}")
    words = tuple(dict.fromkeys((*(f.word for f in accepted), *(w for w in options.accept if w not in MEANT))))
    framing = replace(framing_of(crop, options.margin), raw=options.orientation == "raw")
    return Member(found.names, eyes, splits, boxes, framing, notes, words)


def read_samples(options: Options, photos: Photos, where: str, least: int = 2) -> tuple[Annotations, list[Sample], str]:
    """Landmarks with notes, the labelled samples with their images, and what reading these takes ("" for nothing).

    ``least``: landmarks that are labelled on a sample, or it is left out.

    Raises UsageError, and DataError naming the file: annotations that cannot be read, images that are missing.
    """
    found = labelled_parts(read_annotations(options, photos, where), where, least)
    found_photos = photos.resolve(found.samples, where, by_name=options.match == "name")
    samples, reading = oriented(found_photos, options.orientation, where)
    return found, samples, reading


def accepted_findings(samples: list[Sample], crop: str, options: Options, where: str, turned: bool) -> list[Finding]:
    """What cannot be meant and is accepted all the same. Raises DataError for what is not.

    ``turned``: images have an EXIF orientation, which labels may have been made with or without.
    """
    labels = Labels(
        [s.id for s in samples],
        np.stack([s.points for s in samples]),
        np.stack([s.visible for s in samples]),
        np.array([s.shown for s in samples], np.float64),
        np.array([s.box or (0, 0, 0, 0) for s in samples], np.float64) if crop == "box" else None,
        np.array([s.size or (0, 0) for s in samples]),
    )
    found = implausible(labels)
    refused = [f for f in found if f.word not in options.accept]
    if refused:
        files = {s.file.name for s in samples}
        of = f"{files.pop()}: " if len(files) == 1 else ""
        words = ",".join(dict.fromkeys((*options.accept, *filter(None, (f.word for f in refused)))))
        way_out = " crop=landmarks does without the boxes." if any(f.word == "box" for f in refused) else ""
        if turned and any(f.word in ("swapped", "outside", "sizes") for f in refused):
            other = "upright" if options.orientation == "raw" else "raw"
            way_out += f" Images have an EXIF orientation: orientation={other} reads them the other way."
        meant = f" If that is meant, pass accept={words}." if all(f.word for f in refused) else ""
        raise DataError(f"{where}: {of}{' '.join(f.said for f in refused)}{way_out}{meant}")
    return found


def _eyes(found: Annotations, options: Options, where: str) -> tuple[int, int] | None:
    if not options.eyes:
        return None
    first, second = (find_landmark(found.names, name, where) for name in options.eyes)
    return first, second


def _check_normaliser(samples: list[Sample], eyes: tuple[int, int] | None, names: tuple[str, ...], where: str) -> None:
    """Refuses test images that no error can be given for, before anything is trained."""
    if eyes:
        bad = [
            s for s in samples
            if not s.visible[list(eyes)].all() or not np.linalg.norm(s.points[eyes[0]] - s.points[eyes[1]]) > 0
        ]  # fmt: skip
        if bad:
            raise DataError(
                f"{where}: {names[eyes[0]]} and {names[eyes[1]]} are not both labelled, or at one place, in {len(bad)} of "
                f"{len(samples)} test images (first: {bad[0].id}). Name other landmarks by eyes=, or leave it out: errors "
                "are then in percent of the landmarks' bounding box."
            )
    elif len(names) > 1:
        bad = [s for s in samples if not np.ptp(s.points[s.visible], axis=0).all()]
        if bad:
            raise DataError(
                f"{where}: the labelled landmarks of {len(bad)} of {len(samples)} test images lie on one line, so their "
                f"bounding box has no area (first: {bad[0].id}). Name two landmarks by eyes=A,B, or mend these images."
            )


def _unseen(found: Annotations, train: list[Sample]) -> list[str]:
    seen = np.any([s.visible for s in train], axis=0)
    return [f"never labelled in training: {name}" for name, ok in zip(found.names, seen, strict=True) if not ok]
