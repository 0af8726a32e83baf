"""From a dataset's name to its splits: registry, data root, prepared copies, fingerprint, counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets

from lmbench.data.archives import originals
from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.data.places import cache_root, default_data_root, prepared_folder
from lmbench.data.preparing import NOTE, fingerprint, load_split, save_prepared
from lmbench.data.schema import Incomplete, check_places
from lmbench.data.zooming import zoomed
from lmbench.errors import DataError, LmbenchError, StaleError
from lmbench.plugins import Plugins, get_plugins
from lmbench.registry import Entry, family_member
from lmbench.specs import DatasetSpec, Preprocessing
from lmbench.store import read_json


@dataclass(frozen=True)
class OpenDataset:
    """A dataset whose files are there: its splits in the schema, and the fingerprint of all that enters a number."""

    name: str
    entry: Entry[DatasetSpec]
    splits: Mapping[str, datasets.Dataset]
    fingerprint: str
    origin: str
    """The folder it was read from, or ``embedded``."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> DatasetSpec:
        return self.entry.spec

    def pixels(self, split: str, steps: Preprocessing | None = None, zoom: float = 1.0) -> PixelStore:
        """The pixel store of a split under its own preprocessing, or another size and crop. Raises DataError: no split.

        ``zoom``: the side of every box is multiplied by it, about the box's centre; see `zoomed`.
        """
        if split not in self.splits:
            raise DataError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}.")
        own = self.spec.preprocessing
        steps = own if steps is None else replace(steps, fill=own.fill)
        if zoom == 1:
            return open_pixels(self.splits[split], self.fingerprint, split, steps, cache_root())
        name = f"{split}, boxes x {zoom:g}"
        return open_pixels(zoomed(self.splits[split], zoom, split), self.fingerprint, name, steps, cache_root())


def open_dataset(name: str, data_root: Path | None = None, plugins: Plugins | None = None) -> OpenDataset:
    """A dataset by name. Raises UsageError (unknown name) or DataError (missing or damaged files, wrong counts)."""
    entry = (plugins or get_plugins()).find("dataset", name)
    spec: DatasetSpec = entry.spec
    root = data_root or default_data_root()
    folder = prepared_folder(entry, root)
    if folder.is_dir():
        return open_prepared(name, entry, folder)
    splits = load_splits(name, entry, root / spec.folder)
    if not spec.folder and not family_member(spec.name, name):
        save_prepared(entry, splits, folder, "embedded")
        return open_prepared(name, entry, folder)
    return OpenDataset(name, entry, splits, fingerprint(name, spec, splits), str(root / spec.folder))


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


def open_prepared(name: str, entry: Entry[DatasetSpec], folder: Path) -> OpenDataset:
    """A prepared copy, its fingerprint as it was written. Raises DataError: damaged; StaleError: of another dataset."""
    try:
        note = read_json(folder / NOTE)
        if (note["name"], note.get("owner", entry.owner)) != (entry.spec.name, entry.owner):
            raise StaleError(
                f"{folder} holds a prepared copy of {note.get('owner', '')}:{note['name']}, not of {entry.qualified}, and "
                "is left as it is. Prepare one of them below another --data-root."
            )
        splits = {split: load_split(folder / split) for split in note["counts"]}
        for split, remark in note.get("remarks", {}).items():
            splits[split].info.description = remark
    except StaleError:
        raise
    except (OSError, KeyError, ValueError, LmbenchError) as error:
        raise DataError(
            f"{name}: the prepared copy {folder} is damaged ({error}); delete it and prepare again."
        ) from None
    return OpenDataset(name, entry, splits, note["fingerprint"], str(folder))


def prepare(name: str, entry: Entry[DatasetSpec], source: Path, target: Path) -> tuple[OpenDataset, bool]:
    """The prepared copy of a dataset at ``target``, made from ``source`` unless it is there, and whether it was.

    ``source`` is a folder or an archive. Raises StaleError where another copy, or that of another dataset, is there;
    DataError for what is missing or damaged.
    """
    existed = target.is_dir()
    if existed:
        prepared = open_prepared(name, entry, target)  # refuses that of another dataset before anything is read
    with originals(name, entry.spec, source, target) as folder:
        splits = load_splits(name, entry, folder)
        if not existed:
            save_prepared(entry, splits, target, str(source.resolve()))
            prepared = open_prepared(name, entry, target)
        elif fingerprint(name, entry.spec, splits) != prepared.fingerprint:
            raise StaleError(
                f"{target} holds another copy of {name} and is left as it is; delete that folder to prepare this one."
            )
    return prepared, existed
