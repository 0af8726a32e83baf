"""From a dataset's name to its splits: registry, data root, prepared copies, fingerprint, counts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets

from lmbench import progress
from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.data.places import cache_root, default_data_root, prepared_folder
from lmbench.data.prepared import NOTE, fingerprint, load_split, originals_of, save_prepared
from lmbench.data.schema import Incomplete, check_places
from lmbench.errors import ChangedError, DataError, StaleError
from lmbench.geometry.framing import Preprocessing
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.plugins.registry import Entry, family_member
from lmbench.specs import DatasetSpec
from lmbench.store import manifests
from lmbench.store.files import locked, read_json


class NotMade(DataError):
    """An embedded dataset was not rendered yet, and was to be left so."""


LEAST_TEST = 2  # matching needs a pair
GO_ON = (
    "What is there ({}) is used by itself with --partial (run, data verify, data show): its results carry these counts in "
    "their name and compare with no others."
)


@dataclass(frozen=True)
class OpenDataset:
    """A dataset whose files are there: its splits in the schema, and the fingerprint of all that enters a number."""

    name: str
    entry: Entry[DatasetSpec]
    splits: Mapping[str, datasets.Dataset]
    fingerprint: str
    origin: str
    """The folder it was read from; the name itself where that names the folder (``folder:DIR``)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    originals: Mapping[str, str] = field(default_factory=dict)
    """What the files of each split were when the fingerprint was taken; empty where they lie in a copy of lmbench's."""
    partial: str = ""
    """What is there of originals that are incomplete, as it stands in the name; empty for whole ones."""

    @property
    def spec(self) -> DatasetSpec:
        return self.entry.spec

    def pixels(self, split: str, steps: Preprocessing | None = None) -> PixelStore:
        """The pixel store of a split under its own preprocessing, or another size and crop. Raises DataError: no split."""
        if split not in self.splits:
            raise DataError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}.")
        own = self.spec.preprocessing
        steps = own if steps is None else replace(steps, fill=own.fill, centres=own.centres)
        return open_pixels(self.splits[split], self.fingerprint, split, steps, cache_root(), self.check_unchanged)

    def check_unchanged(self) -> None:
        """Raises ChangedError where a file was changed since the fingerprint was taken: what is read now is other data."""
        for split, then in self.originals.items():
            if originals_of(self.splits[split]) != then:
                raise ChangedError(
                    f"{self.name}: files of {self.origin} were changed while they were read. No number of them is kept; "
                    "give the same command again once they stay as they are."
                )


def open_dataset(
    name: str,
    data_root: Path | None = None,
    plugins: Plugins | None = None,
    partial: bool = False,
    make: bool = True,
) -> OpenDataset:
    """A dataset by name. Raises UsageError (unknown name) or DataError (missing or damaged files, wrong counts).

    An embedded one is rendered on first use, and again where its copy is damaged; without ``make`` nothing is rendered or
    written, and NotMade says that it would have to be. ``partial``: originals of which a part is missing are used as far as
    they are there, and the name says so: ``cub (partial: 620 of 1241 train, 190 of 383 test)``. No number of such a set is
    ever taken for one of the whole.
    """
    entry = (plugins or get_plugins()).find("dataset", name)
    spec: DatasetSpec = entry.spec
    root = data_root or default_data_root()
    folder = prepared_folder(entry, root)
    embedded = not spec.folder and not family_member(spec.name, name)
    if folder.is_dir():
        try:
            return open_prepared(name, entry, folder, make)
        except DataError as damaged:
            if not embedded:
                raise
            if make:
                with locked(folder):
                    progress.say(f"{damaged} It is rendered anew now.")
                    shutil.rmtree(folder, ignore_errors=True)
    if embedded and not make:
        raise NotMade(f"{name} is not rendered yet, so its fingerprint is not known, nor what could be reused")
    there = ""
    try:
        splits = load_splits(name, entry, root / spec.folder)
    except Incomplete as error:
        there = part_there(spec, error.splits)
        if not there:
            raise
        if not partial:
            raise Incomplete(f"{error} {GO_ON.format(there)}", error.splits) from None
        splits = {split: d for split, d in error.splits.items() if len(d)}
    if embedded:
        save_prepared(entry, splits, folder, "embedded")
        return open_prepared(name, entry, folder)
    origin = str(root / spec.folder) if spec.folder else name  # a user's folder is named, not below the root
    shown = f"{name} (partial: {there})" if there else name
    stand = {split: originals_of(dataset) for split, dataset in splits.items()}
    return OpenDataset(shown, entry, splits, fingerprint(name, spec, splits), origin, originals=stand, partial=there)


def part_there(spec: DatasetSpec, splits: Mapping[str, datasets.Dataset]) -> str:
    """``620 of 1241 train, 190 of 383 test``; empty where a split is empty, or has more than it should: no part to use."""
    parts = []
    for split, expected in spec.splits.items():
        found = len(splits.get(split, ()))
        if found < (LEAST_TEST if split == "test" else 1) or (expected is not None and found > expected):
            return ""
        parts.append(f"{found} of {expected} {split}" if expected else f"{found} {split}")
    return ", ".join(parts)


def load_splits(name: str, entry: Entry[DatasetSpec], folder: Path) -> dict[str, datasets.Dataset]:
    """The splits as the loader gives them from the dataset's own folder, counted.

    Raises DataError naming folder, expectation and finding; Incomplete where the rest can be used.
    """
    spec = entry.spec
    if spec.folder and not folder.is_dir():
        raise DataError(
            f"{name}: {folder} is not there. Get it from {spec.source or 'its authors'} and unpack it to that place, "
            "or pass --data-root with the folder that holds it."
        )
    loader = spec.load()
    member = family_member(spec.name, name)
    try:
        splits: dict[str, datasets.Dataset] = loader(root=folder, argument=member) if member else loader(root=folder)
    except Incomplete as error:
        check_places(error.splits if spec.folder else {}, name)
        raise
    check_places(splits if spec.folder else {}, name)
    for split, expected in spec.splits.items():
        found = len(splits[split]) if split in splits else 0
        if found == 0 or (expected is not None and found != expected):
            said = f"{name}: the split {split!r} has {found} images under {folder}; {expected or 'some'} are expected."
            raise Incomplete(said, splits)
    return splits


def open_prepared(name: str, entry: Entry[DatasetSpec], folder: Path, write: bool = True) -> OpenDataset:
    """A prepared copy, its fingerprint as it was written. Raises DataError: damaged; StaleError: of another dataset.

    A copy of an earlier version, which has no checksums, is held against its fingerprint and gets them where ``write``.
    """
    way_out = "delete it and prepare again."
    try:
        note = read_json(folder / NOTE)
        if (note["name"], note.get("owner", entry.owner)) != (entry.spec.name, entry.owner):
            raise StaleError(
                f"{folder} holds a prepared copy of {note.get('owner', '')}:{note['name']}, not of {entry.qualified}, and "
                "is left as it is. Prepare one of them below another --data-root."
            )
        wrong = _damage(folder, note) if manifests.sealed(folder) else None
        if wrong is not None:
            raise DataError(f"{name}: the prepared copy {folder} is damaged: {wrong}; {way_out}")
        splits = {split: load_split(folder / split) for split in note["counts"]}
        for split, remark in note.get("remarks", {}).items():
            splits[split].info.description = remark
        if not manifests.sealed(folder):
            if fingerprint(name, entry.spec, splits) != note["fingerprint"]:
                raise DataError(f"{name}: the prepared copy {folder} is not what was written; {way_out}")
            if write:
                with suppress(OSError):  # a data root that others keep
                    manifests.seal(folder)
    except (StaleError, DataError):
        raise
    except Exception as error:  # also what pyarrow and `datasets` raise of a damaged file
        raise DataError(f"{name}: the prepared copy {folder} is damaged ({error}); {way_out}") from None
    return OpenDataset(name, entry, splits, note["fingerprint"], str(folder))


def _damage(folder: Path, note: Mapping[str, Any]) -> str | None:
    """What is wrong with a prepared copy, in words; also a file among its shards that was not written with them."""
    wrong = manifests.damage(folder)
    shards = {p.relative_to(folder).as_posix() for split in note["counts"] for p in (folder / split).glob("*.arrow")}
    foreign = sorted(shards - manifests.listed(folder))
    return wrong or (f"{foreign[0]} was not written with it" if foreign else None)
