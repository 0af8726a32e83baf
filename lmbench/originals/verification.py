"""Is a dataset what it claims to be? Everything that can be checked of files, lists, images and landmarks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import numpy as np

from lmbench import progress
from lmbench.data.images import summary
from lmbench.data.masks import decode_mask
from lmbench.data.opening import load_splits, open_prepared, part_there
from lmbench.data.places import default_data_root, prepared_folder
from lmbench.data.prepared import fingerprint
from lmbench.data.schema import Incomplete, Leaking, column, decode, image_bytes, reading_columns
from lmbench.errors import DataError
from lmbench.originals.leaks import copies, shared_identities
from lmbench.originals.plausibility import OF_SINGLE_SAMPLES, Labels, implausible
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec

SIZES_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One question, whether the answer is as it should be, and what was found."""

    name: str
    ok: bool
    found: str


@dataclass
class SplitImages:
    """What the images of one split are: sizes (N, 2) width and height (zero: unreadable), digests of their bytes by name."""

    sizes: np.ndarray
    digests: dict[str, str] = field(default_factory=dict)
    """By the image's name, so that one with several objects stands once."""
    problems: list[str] = field(default_factory=list)
    work: Counter[str] = field(default_factory=Counter)
    """What was done to how many of them to read them."""


def verify_dataset(
    name: str, data_root: Path | None = None, plugins: Plugins | None = None, partial: bool = False
) -> list[Check]:
    """All checks of a dataset, as far as they can be made. Raises UsageError for an unknown name.

    A prepared copy is checked where there is one, as a run would read it. ``partial``: it is no fault that a part is missing.
    """
    entry: Entry[DatasetSpec] = (plugins or get_plugins()).find("dataset", name)
    checks, splits = _open(name, entry, data_root or default_data_root(), partial)
    if entry.spec.describe:  # what was decided on the way from a user's files to a dataset
        checks.append(Check("read as", True, "; ".join(entry.spec.notes)))
    checks += _checksums(entry.spec, (data_root or default_data_root()) / entry.spec.folder)
    if splits:
        images = {split: _read(dataset, split) for split, dataset in splits.items()}
        checks.append(_counts(entry.spec, splits, partial))
        checks += _contents(entry.spec, splits, images)
        checks += _remarks(splits)
        checks += _held_out((data_root or default_data_root()) / entry.spec.folder, splits, images)
    return checks


def _open(
    name: str, entry: Entry[DatasetSpec], root: Path, partial: bool
) -> tuple[list[Check], Mapping[str, datasets.Dataset]]:
    """The checks of place and lists, and the splits as far as they are there."""
    spec = entry.spec
    prepared, folder = prepared_folder(entry, root), root / spec.folder
    if prepared.is_dir():
        return _open_prepared(name, entry, prepared)
    if spec.folder and not folder.is_dir():
        missing = f"{folder} is not there; get it from {spec.source or 'its authors'}, or pass --data-root"
        return [Check("folder", False, missing)], {}
    checks = [Check("folder", True, str(folder) if spec.folder else "none: it is embedded, or named by its path")]
    try:
        splits: Mapping[str, datasets.Dataset] = load_splits(name, entry, folder)
    except Leaking as error:
        return [*checks, Check("lists", True, "parsed"), Check("sides", False, str(error))], error.splits
    except Incomplete as error:
        there = part_there(spec, error.splits)
        said = f"partial: {there}. {error}" if there else str(error)
        return [*checks, Check("lists", True, "parsed"), Check("complete", partial and bool(there), said)], error.splits
    except DataError as error:
        return [*checks, Check("lists", False, str(error))], {}
    complete = Check("complete", True, "every image of the lists has a file")
    return [*checks, Check("lists", True, "parsed"), complete], splits


def _open_prepared(
    name: str, entry: Entry[DatasetSpec], folder: Path
) -> tuple[list[Check], Mapping[str, datasets.Dataset]]:
    try:
        opened = open_prepared(name, entry, folder)
    except DataError as error:
        return [Check("folder", False, str(error))], {}
    same = fingerprint(name, entry.spec, opened.splits) == opened.fingerprint
    said = "as when it was written" if same else "not what was written; delete the copy and prepare again"
    return [Check("folder", True, f"prepared copy {folder}"), Check("fingerprint", same, said)], opened.splits


def _checksums(spec: DatasetSpec, folder: Path) -> list[Check]:
    """Whether the published files that are there are byte for byte those; a loader tells of those it misses."""
    there = {path: digest for path, digest in spec.checksums.items() if (folder / path).is_file()}
    if not there:
        return []
    other = [path for path, digest in there.items() if _digest(folder / path, digest.partition(":")[0]) != digest]
    said = f"{len(there)} of {len(spec.checksums)} published files are there"
    return [Check("checksums", not other, f"{said}, differing: {', '.join(other) or 'none'}")]


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _remarks(splits: Mapping[str, datasets.Dataset]) -> list[Check]:
    """What a loader says of a split beyond its data."""
    said = [f"{split}: {d.info.description}" for split, d in splits.items() if d.info.description]
    return [Check("remarks", True, "; ".join(said))] if said else []


def _counts(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset], partial: bool) -> Check:
    parts, ok = [], True
    for split, expected in spec.splits.items():
        found = len(splits[split]) if split in splits else 0
        ok = ok and found > 0 and (expected in (None, found) or (partial and found < (expected or 0)))
        if expected is None:
            parts.append(f"{split} {found} (any number will do)")
        elif found == expected:
            parts.append(f"{split} {found} of {expected}")
        else:
            wrong = f"{expected - found} missing" if found < expected else f"{found - expected} too many"
            parts.append(f"{split} {found} of {expected}: {wrong}")
    return Check("counts", ok, ", ".join(parts))


def _contents(
    spec: DatasetSpec, splits: Mapping[str, datasets.Dataset], images: Mapping[str, SplitImages]
) -> list[Check]:
    checks = [_images(images)]
    if spec.has_landmarks:
        checks += [_landmarks(splits, images), _plausible(spec, splits, images)]
        if spec.eyes is not None:
            checks.append(_eye_distance(splits, spec.eyes))
    if spec.classes:
        checks.append(_masks(spec.classes, splits, images))
    checks.append(_ids(splits))
    if all((column(d, "identity") >= 0).any() for d in splits.values()):
        checks.append(_identities(splits))
    checks.append(_twice(images, "leak" in spec.accepted))
    return checks


def _read(dataset: datasets.Dataset, split: str) -> SplitImages:
    """Decodes every image once."""
    found = SplitImages(np.zeros((len(dataset), 2), int))
    names: dict[str, str] = {}  # the first object of an image gives its name
    with progress.task(f"decoding {split}", len(dataset)) as bar:
        for i, row in enumerate(reading_columns(dataset)):
            try:
                content = image_bytes(row["image"], split)
                shown = names.setdefault(row["image"]["path"] or row["source_id"], row["source_id"])
                found.digests[shown] = hashlib.sha256(content).hexdigest()
                record = {"bytes": content, "path": row["image"]["path"]}
                image, work = decode({**row, "image": record}, split)
                found.sizes[i] = image.size
                found.work.update(work)
            except DataError as error:
                found.problems.append(str(error))
            bar.advance()
    return found


def _images(images: Mapping[str, SplitImages]) -> Check:
    problems = [p for found in images.values() for p in found.problems]
    if problems:
        return Check("images", False, f"{len(problems)} cannot be read; first: {problems[0]}")
    parts = []
    for split, found in images.items():
        sizes = Counter(map(tuple, found.sizes.tolist())).most_common()
        shown = [f"{number} of {width}x{height}" for (width, height), number in sizes[:SIZES_SHOWN]]
        rest = sum(number for _, number in sizes[SIZES_SHOWN:])
        parts.append(f"{split} {', '.join(shown)}" + (f", {rest} of other sizes" if rest else ""))
    done = [f"{split} {said}" for split, found in images.items() if (said := summary(found.work, len(found.digests)))]
    return Check("images", True, f"all decode: {'; '.join(parts + done)}")


def _landmarks(splits: Mapping[str, datasets.Dataset], images: Mapping[str, SplitImages]) -> Check:
    """Finite ones are demanded; ones outside the image are counted, since some annotations have them."""
    parts, ok = [], True
    for split, dataset in splits.items():
        points, visible = column(dataset, "landmarks"), column(dataset, "visible").astype(bool)
        finite = np.isfinite(points).all(-1)
        ok = ok and bool(finite.all())
        outside = ((points < -0.5) | (points > images[split].sizes[:, None] - 0.5)).any(-1) & finite
        parts.append(
            f"{split} {int(finite.sum())} of {finite.size} finite, {int((outside & visible).sum())} visible ones "
            f"outside their image" + _none_visible(visible)
        )
    return Check("landmarks", ok, "; ".join(parts))


def _plausible(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset], images: Mapping[str, SplitImages]) -> Check:
    """Whether landmarks and boxes can be meant as they stand; what the dataset says is meant is told.

    So are single samples of a published dataset: nobody can mend them.
    """
    meant = spec.accepted if spec.describe else (*spec.accepted, *OF_SINGLE_SAMPLES)
    found = {
        split: implausible(
            Labels(
                list(map(str, column(d, "source_id"))),
                column(d, "landmarks").astype(np.float64),
                column(d, "visible").astype(bool),
                images[split].sizes,
                None if spec.describe else column(d, "box").astype(np.float64),  # frames of boxes that were judged
            )
        )
        for split, d in splits.items()
    }
    said = [
        f"{split}: {'accepted, ' if f.word in meant else ''}{f.said}" for split, all_of in found.items() for f in all_of
    ]
    ok = all(f.word in meant for all_of in found.values() for f in all_of)
    return Check("plausible", ok, " ".join(said) or "landmarks lie where landmarks can lie")


def _masks(classes: Sequence[str], splits: Mapping[str, datasets.Dataset], images: Mapping[str, SplitImages]) -> Check:
    """Every mask has its image's size and no label beyond the classes; in how many images each class is seen is told."""
    problems, parts = [], []
    for split, dataset in splits.items():
        seen = np.zeros(len(classes), int)
        for i, row in enumerate(dataset.with_format(None).select_columns(["mask", "source_id"])):
            try:
                mask = decode_mask(row, len(classes))
            except DataError as error:
                problems.append(str(error))
                continue
            if mask.size != tuple(images[split].sizes[i]):
                problems.append(
                    f"the mask of {row['source_id']} has {mask.size} pixels, its image {images[split].sizes[i]}"
                )
            seen += np.bincount(np.asarray(mask).ravel(), minlength=len(classes)) > 0
        parts.append(f"{split} {', '.join(f'{name} in {n}' for name, n in zip(classes, seen, strict=True))}")
    if problems:
        return Check("masks", False, f"{len(problems)} are wrong; first: {problems[0]}")
    return Check("masks", True, "; ".join(parts))


def _none_visible(visible: np.ndarray) -> str:
    """Such an image is kept: nothing of it is scored."""
    number = int((~visible.any(1)).sum())
    return f", {number} images without a visible one" if number else ""


def _eye_distance(splits: Mapping[str, datasets.Dataset], eyes: tuple[int, int]) -> Check:
    parts, ok = [], True
    for split, dataset in splits.items():
        points, ids = column(dataset, "landmarks"), column(dataset, "source_id")
        distance = np.linalg.norm(points[:, eyes[0]].astype(np.float64) - points[:, eyes[1]], axis=1)
        zero = np.flatnonzero(~(distance > 0))
        ok = ok and not len(zero)
        at = int(distance.argmin())
        parts.append(
            f"{split} {len(zero)} times zero (first: {ids[zero[0]]})"
            if len(zero)
            else f"{split} at least {distance[at]:.1f} px ({ids[at]})"
        )
    return Check("eye distance", ok, "; ".join(parts))


def _ids(splits: Mapping[str, datasets.Dataset]) -> Check:
    """No id stands twice, in one split or in two."""
    found = {split: list(map(str, column(d, "source_id"))) for split, d in splits.items()}
    repeated = [f"{len(ids) - len(set(ids))} in {split}" for split, ids in found.items() if len(ids) > len(set(ids))]
    across = sorted(i for i, n in Counter(i for ids in found.values() for i in set(ids)).items() if n > 1)
    said = f"repeated within a split: {', '.join(repeated) or 'none'}"
    if len(found) > 1:
        said += f"; in two splits: {_all(across)}"
    return Check("ids", not across and not repeated, said)


def _twice(images: Mapping[str, SplitImages], accepted: bool) -> Check:
    """No image's content stands in two splits, all that do are named; how many stand twice within a split is told."""
    within, across = copies({split: found.digests for split, found in images.items()})
    repeated = ", ".join(f"{number} in {split}" for split, number in within.items() if number)
    said = f"repeated within a split: {repeated or 'none'}"
    further = {split: len(found.sizes) - len(found.digests) - len(found.problems) for split, found in images.items()}
    if any(further.values()):
        said += f"; further entries of an image: {', '.join(f'{n} in {split}' for split, n in further.items() if n)}"
    if len(images) > 1:
        said += f"; in two splits: {_all(across)}"
    return Check("images twice", accepted or not across, said)


def _all(found: Sequence[str]) -> str:
    return f"{len(found)}: {'; '.join(found)}" if found else "none"


def _identities(splits: Mapping[str, datasets.Dataset]) -> Check:
    people = {
        split: {str(n): int(i) for n, i in zip(column(d, "source_id"), column(d, "identity"), strict=True) if i >= 0}
        for split, d in splits.items()
    }
    shared = shared_identities(people)
    counts = ", ".join(f"{split} {len(set(found.values()))}" for split, found in people.items())
    return Check("identities", not shared, f"{counts}; in two splits: {_all(shared)}")


def _held_out(folder: Path, splits: Mapping[str, datasets.Dataset], images: Mapping[str, SplitImages]) -> list[Check]:
    """Whether a test face of MAFL is trained on, by name or byte for byte, where MAFL's list lies with the images."""
    listing = folder / "MAFL" / "testing.txt"
    if not listing.is_file() or "train" not in splits:
        return []
    held_out = set(listing.read_text(encoding="utf-8").split())
    ids = [str(i) for i in column(splits["train"], "source_id")]
    by_name = [i for i in ids if Path(i).name in held_out]
    present = [f for f in folder.rglob("*.jpg") if f.name in held_out]
    secret = {hashlib.sha256(f.read_bytes()).hexdigest() for f in present}
    by_bytes = sum(digest in secret for digest in images["train"].digests.values())
    said = (
        f"MAFL lists {len(held_out)} test faces, {len(present)} of them lie here; "
        f"trained on: {len(by_name) or 'none'} by name, {by_bytes or 'none'} by content"
    )
    return [Check("held out", not by_name and not by_bytes, said)]
