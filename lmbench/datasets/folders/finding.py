"""Which format a folder is in, and its annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lmbench.datasets.folders import coco, deeplabcut, imglab, pts, table
from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import Photos
from lmbench.datasets.folders.samples import Annotations, Sample
from lmbench.errors import DataError, UsageError

FILES_NAMED = 5


@dataclass(frozen=True)
class Format:
    """``problem`` says why a file is not of this format ("" where it is); ``read`` gives names and samples of a file."""

    says: str
    suffixes: tuple[str, ...]
    problem: Callable[[Path], str]
    read: Callable[[Path, Options, Photos], Annotations]


FORMATS = {
    "coco": Format("COCO keypoints (*.json)", (".json",), coco.problem, coco.read),
    "deeplabcut": Format("DeepLabCut's CollectedData_*.csv", (".csv",), deeplabcut.problem, deeplabcut.read),
    "imglab": Format("imglab XML of dlib (*.xml)", (".xml",), imglab.problem, imglab.read),
    "pts": Format("*.pts beside the images", (".pts",), pts.problem, pts.read),
    "csv": Format("a table with image, NAME_x and NAME_y (*.csv, *.tsv)", (".csv", ".tsv"), table.problem, table.read),
}


def read_annotations(options: Options, photos: Photos, where: str) -> Annotations:
    """All annotations of the folder's one format, over all its files.

    Raises UsageError where there are two formats and none is named; DataError where there is none (with what was looked
    for and found), or a file is damaged.
    """
    files, format_name = _choose(options, photos, where)
    parts = [FORMATS[format_name].read(f, options, photos) for f in files]
    names = parts[0].names
    for file, part in zip(files, parts, strict=True):
        if set(part.names) != set(names):
            raise DataError(
                f"{where}: {photos.relative(files[0])} has {len(names)} landmarks ({_few(names)}), "
                f"{photos.relative(file)} has {len(part.names)} ({_few(part.names)}). Name one file by file=."
            )
    samples = [_ordered(s, part.names, names) for part in parts for s in part.samples]
    listed = _few(tuple(photos.relative(f) for f in files))
    notes = dict.fromkeys(n for part in parts for n in part.notes)
    return Annotations(names, samples, (f"{format_name}: {listed}", *notes))


def _choose(options: Options, photos: Photos, where: str) -> tuple[list[Path], str]:
    """The annotation files and their format."""
    files = photos.others
    if options.file:
        files = [f for f in files if options.file in (photos.relative(f), f.name)]
        if not files:
            raise UsageError(f"{where}: file={options.file}: no such file below {options.folder}.")
    if options.format:
        found = [f for f in files if f.suffix.lower() in FORMATS[options.format].suffixes]
        chosen = [f for f in found if not FORMATS[options.format].problem(f)]
        if not found:
            raise DataError(
                f"{where}: no {FORMATS[options.format].says} below {options.folder}; found {_contents(photos)}."
            )
        return chosen or found[:1], options.format  # reading it tells what is wrong with it
    matches = {name: [f for f in files if _is(form, f)] for name, form in FORMATS.items()}
    there = {name: found for name, found in matches.items() if found}
    if len(there) > 1:
        said = "; ".join(f"{name}: {_few(tuple(map(photos.relative, f)))}" for name, f in there.items())
        raise UsageError(
            f"{where}: annotations of {len(there)} formats ({said}). Name one: folder:{options.folder}:format="
            f"{next(iter(there))}, or one file by file=NAME."
        )
    if not there:
        raise DataError(_nothing(options, photos, files, where))
    name, found = next(iter(there.items()))
    return found, name


def _is(form: Format, file: Path) -> bool:
    return file.suffix.lower() in form.suffixes and not form.problem(file)


def _nothing(options: Options, photos: Photos, files: list[Path], where: str) -> str:
    if not len(photos) and not files:
        return f"{where}: {options.folder} is empty. Put images and their annotations there."
    looked = "; ".join(form.says for form in FORMATS.values())
    reasons = [
        f"{photos.relative(f)}: {form.problem(f)}"
        for f in files for form in FORMATS.values() if f.suffix.lower() in form.suffixes
    ]  # fmt: skip
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
