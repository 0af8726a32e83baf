"""Which samples train and which test: as the files say, else by a hash of the image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from lmbench.datasets.folders.options import Options
from lmbench.datasets.folders.photos import below
from lmbench.datasets.folders.samples import Sample, folded_name
from lmbench.errors import DataError, UsageError

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
    where there is. Where none of them names a split, images are parted by the hash of their path, those of one group
    (``group=``, or a column of persons) staying together. Raises DataError for too few images or groups.
    """
    groups = groups_of(samples, options, where)
    named = [s.split or _named(s, options.folder) for s in samples]
    alone = next(filter(None, named), "")
    none = "the files name no split"
    if alone:
        none = f"the files name {alone} alone, so that it is parted" if options.test is None else "split anew, as asked"
    if options.test is None:
        test = "test" if "test" in named else "val"
        train = [s for s, n in zip(samples, named, strict=True) if n in ("train", "")]
        held = [s for s, n in zip(samples, named, strict=True) if n == test]
        if train and held:
            rest = len(samples) - len(train) - len(held)
            said = f"split as the files name it ({test} is tested on" + (f", {rest} of val left out)" if rest else ")")
            splits = {"train": train, "test": held}
            shared = shared_groups(splits, samples, groups) if options.group else []
            if shared:
                raise DataError(
                    f"{where}: group={options.group}: the files' own split has groups on both sides ({len(shared)}, first: "
                    f"{shared[0]}). Pass test={TEST_PART:g} to split anew, each group on one side."
                )
            return splits, said
    part = TEST_PART if options.test is None else options.test
    units = _units(samples, groups, options)
    chosen = _chosen(units, part, where, options)
    splits = {
        "train": [s for s in samples if s.photo not in chosen],
        "test": [s for s in samples if s.photo in chosen],
    }
    total = len({s.photo for s in samples})
    if not groups:
        how = f"the {len(chosen)} of {total} images whose path has the lowest sha256 test"
    else:
        by = f"group={options.group}" if options.group else "the person they show"
        inside = sum(unit <= chosen for unit in units)
        how = f"{len(chosen)} of {total} images test, {inside} of {len(units)} groups (by {by}), in order of a sha256"
    return splits, f"{none}: {how}"


def groups_of(samples: Sequence[Sample], options: Options, where: str) -> list[str]:
    """The group of each sample: by ``group=``, else the person it shows; empty where neither says anything.

    ``group=folder`` is the image's folder; a column's name its cells; else a regular expression on the path below the
    folder, its group or all that it matches. Raises UsageError, DataError: nothing of that name, or images without a group.
    """
    if not options.group:
        told = any(s.person for s in samples)
        return [s.person or f"the image {_id(s, options)}" for s in samples] if told else []
    columns = {folded_name(name): name for s in samples for name in s.columns}
    wanted = folded_name(options.group)
    if wanted in columns and re.fullmatch(r"[\w .-]+", options.group):
        found = [next((c for n, c in s.columns.items() if folded_name(n) == wanted), "") for s in samples]
    elif options.group == "folder":
        found = [Path(_id(s, options)).parent.as_posix() for s in samples]
    else:
        found = _matched(samples, options, where, tuple(columns.values()))
    lacking = [s for s, g in zip(samples, found, strict=True) if not g.strip()]
    if lacking:
        raise DataError(
            f"{where}: group={options.group}: {len(lacking)} of {len(samples)} samples are in no group "
            f"(first: {lacking[0].id})."
        )
    return found


def _matched(samples: Sequence[Sample], options: Options, where: str, columns: tuple[str, ...]) -> list[str]:
    """What a regular expression finds in the path of each image, ``""`` where it finds nothing."""
    try:
        pattern = re.compile(options.group)
    except re.error as error:
        raise UsageError(f"{where}: group={options.group} is no regular expression: {error}.") from None
    if pattern.groups > 1:
        raise UsageError(f"{where}: group={options.group} has {pattern.groups} groups in brackets; one is expected.")
    matches = [pattern.search(_id(s, options)) for s in samples]
    found = [(m[pattern.groups] or "") if m else "" for m in matches]
    if not any(found):
        there = f" (there are {', '.join(columns)})" if columns else ""
        raise UsageError(
            f"{where}: group={options.group} is no column{there}, and as a regular expression it finds nothing in the "
            f"paths of the images (first: {_id(samples[0], options)})."
        )
    return found


def shared_groups(splits: dict[str, list[Sample]], samples: Sequence[Sample], groups: Sequence[str]) -> list[str]:
    """The groups that have images on both sides."""
    group = {s.id: g for s, g in zip(samples, groups, strict=True)}
    train, test = ({group[s.id] for s in splits[side]} for side in ("train", "test"))
    return sorted(train & test)


def _id(sample: Sample, options: Options) -> str:
    return below(options.folder, sample.photo)


def _units(samples: Sequence[Sample], groups: Sequence[str], options: Options) -> list[set[Path]]:
    """The images that stay together, in order of a hash: those of one group, and of all groups that share an image."""
    if not groups:
        ids = {s.photo: _id(s, options) for s in samples}
        return [{photo} for photo in sorted(ids, key=lambda p: _hash(ids[p]))]
    unit_of: dict[Path, set[Path]] = {}
    first_of: dict[str, Path] = {}
    for s, group in zip(samples, groups, strict=True):
        own = unit_of.setdefault(s.photo, {s.photo})
        other = unit_of[first_of.setdefault(group, s.photo)]
        if own is not other:
            own |= other
            unit_of |= dict.fromkeys(other, own)
    names: dict[int, str] = {}
    for s, group in zip(samples, groups, strict=True):
        key = id(unit_of[s.photo])
        names[key] = min(group, names.get(key, group))
    return sorted({id(u): u for u in unit_of.values()}.values(), key=lambda u: _hash(names[id(u)]))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _chosen(units: Sequence[set[Path]], part: float, where: str, options: Options) -> set[Path]:
    """The images that test: units in their order as long as they fit. Raises DataError for too few."""
    total = sum(map(len, units))
    number = min(max(LEAST_TEST, round(part * total)), total - 1)
    if number < LEAST_TEST:
        raise DataError(f"{where}: {total} labelled images; at least {LEAST_TEST + 1} are needed to fit and test.")
    chosen: set[Path] = set()
    for unit in units:
        if len(chosen) + len(unit) <= number:
            chosen |= unit
    for unit in sorted(units, key=len):  # the smallest where the first were all too large
        if len(chosen) < LEAST_TEST and not unit <= chosen and len(chosen) + len(unit) < total:
            chosen |= unit
    if len(chosen) < LEAST_TEST:
        by = f"group={options.group}" if options.group else "the column of persons"
        raise DataError(
            f"{where}: {total} images in {len(units)} groups (by {by}) cannot be parted so that at least {LEAST_TEST} "
            "images test and one trains. Name smaller groups by group=, or the sides in a column split."
        )
    return chosen


def _named(sample: Sample, folder: Path) -> str:
    """The split in a word of the annotation's name (``keypoints_val2017.json``), else in a folder (``test``, ``val2017``)."""
    words = () if sample.file.suffix.lower() == ".pts" else _words(sample.file.stem)
    return next(
        filter(
            None, map(_split_in, (words, _folders(below(folder, sample.file)), _folders(below(folder, sample.photo))))
        ),
        "",
    )


@lru_cache(maxsize=1 << 12)
def _words(stem: str) -> tuple[str, ...]:
    return tuple(re.split(r"[^a-z]+", stem.lower()))


def _folders(path: str) -> tuple[str, ...]:
    """The folders of a path, without numbers and signs (``val2017`` as ``val``)."""
    return _letters(path.rpartition("/")[0])


@lru_cache(maxsize=1 << 12)
def _letters(folders: str) -> tuple[str, ...]:
    return tuple(re.sub(r"[^a-z]+", "", part.lower()) for part in folders.split("/"))


def _split_in(words: tuple[str, ...]) -> str:
    return next((WORDS[w] for w in words if w in WORDS), "")


def word_of(text: str) -> str | None:
    """The split that a cell of a table names, ``""`` for an empty one, None for another word."""
    return WORDS.get(text.strip().lower()) if text.strip() else ""
