"""Which format a folder is in, and its annotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from lmbench.datasets.folders import coco, deeplabcut, imglab, pts, table
from lmbench.datasets.folders.foreign import UNREAD
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.placeholders import settled
from lmbench.datasets.folders.samples import Annotations, Sample, composed
from lmbench.errors import DataError, UsageError, did_you_mean

FILES_NAMED = 5
ONE_BASED = 1.0  # MATLAB counts pixels from one


@dataclass(frozen=True)
class Format:
    """``problem`` says why a file is not of this format ("" where it is); ``read`` gives names and samples of a file.

    ``passed_over``: which of its files are no labels, and why. ``first_pixel``: what the format calls the first pixel.
    ``mirrored``: it marks occluded points by negative signs.
    """

    says: str
    suffixes: tuple[str, ...]
    problem: Callable[[Path, Options], str]
    read: Callable[[Path, Options, Photos], Annotations]
    passed_over: Callable[[Sequence[Path], Options], dict[Path, str]] = lambda files, options: {}
    first_pixel: float = 0.0
    mirrored: bool = False


FORMATS = {
    "coco": Format("COCO keypoints (*.json)", (".json",), coco.problem, coco.read),
    "deeplabcut": Format(
        "DeepLabCut's CollectedData_*.csv", (".csv",), deeplabcut.problem, deeplabcut.read, deeplabcut.passed_over
    ),
    "imglab": Format("imglab XML of dlib (*.xml)", (".xml",), imglab.problem, imglab.read),
    "pts": Format("*.pts beside the images", (".pts",), pts.problem, pts.read, first_pixel=ONE_BASED, mirrored=True),
    "csv": Format("a table with image, NAME_x and NAME_y (*.csv, *.tsv)", (".csv", ".tsv"), table.problem, table.read),
}


def read_annotations(options: Options, photos: Photos, where: str) -> Annotations:
    """All annotations of the folder's one format, over all its files.

    Raises UsageError where there are two formats and none is named; DataError where there is none (with what was looked
    for and found), or a file is damaged.
    """
    files, format_name, passed = _choose(options, photos, where)
    form = FORMATS[format_name]
    parts = [_composed(form.read(f, options, photos), f) for f in files]
    names = parts[0].names
    for file, part in zip(files, parts, strict=True):
        if set(part.names) != set(names):
            raise DataError(
                f"{where}: {photos.relative(files[0])} has {len(names)} landmarks ({_few(names)}), "
                f"{photos.relative(file)} has {len(part.names)} ({_few(part.names)}). Name one file by file=PATH."
            )
    samples = [_ordered(s, part.names, names) for part in parts for s in part.samples]
    listed = _few(tuple(photos.relative(f) for f in files))
    notes = dict.fromkeys(n for part in parts for n in part.notes)
    found = Annotations(names, samples, (f"{format_name}: {listed}", *passed, *notes))
    first_pixel = form.first_pixel if options.first_pixel is None else options.first_pixel
    return settled(found, first_pixel, form.mirrored, "sentinels" in options.accept)


def _composed(part: Annotations, file: Path) -> Annotations:
    """The annotations with their landmarks' names in one writing. Raises DataError where two become one."""
    names = tuple(composed(name.strip()) for name in part.names)
    if len(set(names)) != len(names):
        raise DataError(f"{file}: a landmark is named twice: {', '.join(names)}.")
    return replace(part, names=names)


def _choose(options: Options, photos: Photos, where: str) -> tuple[list[Path], str, list[str]]:
    """The annotation files, their format, and what is said of the files that were passed over."""
    files, exact = _named(options, photos, where)
    there: dict[str, list[Path]] = {}
    passed: dict[Path, str] = {}
    for name, form in FORMATS.items():
        if options.format not in ("", name):
            continue
        found = [f for f in files if f.suffix.lower() in form.suffixes]
        if options.format and not found:
            raise DataError(f"{where}: no {form.says} below {options.folder}; found {_contents(photos)}.")
        chosen = [f for f in found if not form.problem(f, options)]
        if options.format:
            chosen = chosen or found[:1]  # reading it tells what is wrong with it
        reasons = {} if exact else form.passed_over(chosen, options)
        passed |= reasons
        chosen = [f for f in chosen if f not in reasons]
        if chosen:
            there[name] = chosen
    if len(there) > 1:
        said = "; ".join(f"{name}: {_few(tuple(map(photos.relative, f)))}" for name, f in there.items())
        raise UsageError(
            f"{where}: annotations of {len(there)} formats ({said}). Name one: folder:{options.folder}:format="
            f"{next(iter(there))}, or one file by file=PATH."
        )
    notes = _passed_over(passed, photos)
    if not there:
        said = f"{where}: no annotations: {'; '.join(notes)}." if notes else _nothing(options, photos, files, where)
        raise DataError(said)
    name, found = next(iter(there.items()))
    return found, name, notes


def _named(options: Options, photos: Photos, where: str) -> tuple[list[Path], bool]:
    """The files that may be annotations, and whether ``file=`` names the one by its path.

    Without a file of that path below the folder it names all files whose paths end so.
    """
    if not options.file:
        return photos.others, False
    wanted = PurePosixPath(options.file.replace("\\", "/"))
    exact = [f for f in photos.others if photos.relative(f) == wanted.as_posix()]
    exact = exact or [f for f in photos.others if f.absolute() == Path(os.path.abspath(wanted))]
    if not exact and wanted.is_absolute() and Path(wanted).is_file():  # beside the folder, or a hidden one
        exact = [Path(wanted)]
    if exact:
        return exact, True
    ends = [f for f in photos.others if f.parts[-len(wanted.parts) :] == wanted.parts]
    if not ends:
        close = did_you_mean(wanted.name, [f.name for f in photos.others])
        raise UsageError(f"{where}: file={options.file}: no such file below {options.folder}.{close}")
    return ends, False


def _passed_over(passed: dict[Path, str], photos: Photos) -> list[str]:
    """What is said of files that were passed over, a line a reason."""
    by_reason: dict[str, list[str]] = {}
    for file, reason in passed.items():
        by_reason.setdefault(reason, []).append(photos.relative(file))
    return [f"passed over: {_few(tuple(files))} ({reason}; file=PATH decides)" for reason, files in by_reason.items()]


def _nothing(options: Options, photos: Photos, files: list[Path], where: str) -> str:
    if not len(photos) and not files:
        return f"{where}: {options.folder} is empty. Put images and their annotations there."
    looked = "; ".join(form.says for form in FORMATS.values())
    reasons = [
        f"{photos.relative(f)}: {form.problem(f, options)}"
        for f in files for form in FORMATS.values() if f.suffix.lower() in form.suffixes
    ]  # fmt: skip
    reasons += [f"{photos.relative(f)}: {UNREAD[f.suffix.lower()]}" for f in files if f.suffix.lower() in UNREAD]
    why = f" ({'; '.join(reasons[:FILES_NAMED])})" if reasons else ""
    hint = "" if files else f" To pretrain on unlabelled images: images:{options.folder}."
    return f"{where}: no annotations found. Looked for {looked}. Found {_contents(photos)}{why}.{hint}"


def _contents(photos: Photos) -> str:
    others = _few(tuple(map(photos.relative, photos.others)))
    return f"{len(photos)} images and {others or 'no other file'}"


def _few(words: tuple[str, ...]) -> str:
    more = len(words) - FILES_NAMED
    return ", ".join(words[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ordered(sample: Sample, own: tuple[str, ...], names: tuple[str, ...]) -> Sample:
    if own == names:
        return sample
    order = [own.index(n) for n in names]
    return replace(sample, points=sample.points[order], visible=sample.visible[order])
