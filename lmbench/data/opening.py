"""From a dataset's name to its splits: registry, data root, prepared copies, fingerprint, counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from lmbench import progress
from lmbench.config import digest_of
from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.data.places import cache_root, default_data_root, prepared_folder
from lmbench.data.schema import Incomplete, column
from lmbench.errors import DataError, LmbenchError
from lmbench.plugins import Plugins, get_plugins
from lmbench.registry import Entry, family_member
from lmbench.specs import DatasetSpec, Preprocessing
from lmbench.store import building, read_json

IMAGES_A_READ = 512
IMAGES_A_WRITE = 100


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

    def pixels(self, split: str, steps: Preprocessing | None = None) -> PixelStore:
        """The pixel store of a split under its own preprocessing, or ``steps``. Raises DataError: no such split."""
        if split not in self.splits:
            raise DataError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}.")
        return open_pixels(self.splits[split], self.fingerprint, split, steps or self.spec.preprocessing, cache_root())


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
    splits: dict[str, datasets.Dataset] = loader(root=folder, argument=member) if member else loader(root=folder)
    for split, expected in spec.splits.items():
        found = len(splits[split]) if split in splits else 0
        if found == 0 or (expected is not None and found != expected):
            said = f"{name}: the split {split!r} has {found} images under {folder}; {expected or 'some'} are expected."
            raise Incomplete(said, splits)
    return splits


def fingerprint(name: str, spec: DatasetSpec, splits: Mapping[str, datasets.Dataset]) -> str:
    """SHA-256 over every image's bytes and every annotation, with the loader's version. Raises DataError."""
    with progress.task(f"reading {name}", sum(map(len, splits.values()))) as bar:
        digests = {split: _digest(dataset, name, bar) for split, dataset in splits.items()}
    return digest_of({"name": spec.name, "version": spec.version, "splits": digests})


def _digest(dataset: datasets.Dataset, name: str, bar: progress.Task) -> str:
    total = hashlib.sha256()
    plain = dataset.with_format(None)
    for start in range(0, len(plain), IMAGES_A_READ):
        rows = plain[start : start + IMAGES_A_READ]
        for record, source_id in zip(rows["image"], rows["source_id"], strict=True):
            total.update(source_id.encode())
            total.update(hashlib.sha256(image_bytes(record, name)).digest())
        bar.advance(len(rows["source_id"]))
    if "mask" in dataset.column_names:
        for record in plain["mask"]:
            total.update(hashlib.sha256(image_bytes(record, name)).digest())
    for key in sorted(set(dataset.column_names) - {"image", "source_id", "mask"}):
        total.update(column(dataset, key).tobytes())
    return total.hexdigest()


def image_bytes(record: Mapping[str, Any], where: str) -> bytes:
    """The encoded bytes of an entry of the column ``image``. Raises DataError naming the file."""
    if record["bytes"] is not None:
        return bytes(record["bytes"])
    try:
        return Path(record["path"]).read_bytes()
    except OSError as error:
        raise DataError(f"{where}: {record['path']}: {error.strerror or error}.") from None


def save_prepared(entry: Entry[DatasetSpec], splits: Mapping[str, datasets.Dataset], folder: Path, origin: str) -> None:
    """Writes the splits as Arrow with the images inside and their fingerprint, in one step. Keeps what is there."""
    spec = entry.spec
    with building(folder) as draft:
        if draft is None:
            return
        for split, dataset in splits.items():
            _write_split(dataset, draft / split, f"preparing {spec.name} {split}")
        written = {split: load_split(draft / split) for split in splits}
        note = {
            "name": spec.name,
            "version": spec.version,
            "origin": origin,
            "fingerprint": fingerprint(spec.name, spec, written),
            "counts": {s: len(d) for s, d in written.items()},
        }
        (draft / "prepared.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def _write_split(dataset: datasets.Dataset, folder: Path, label: str) -> None:
    """Writes a split with its images' bytes instead of their paths; memory holds a hundred images at a time."""
    scratch = folder.with_suffix(".arrow")
    with progress.task(label, len(dataset)) as bar, quiet_datasets():

        def embed(row: dict[str, Any]) -> dict[str, Any]:
            bar.advance()
            return {"image": {"bytes": image_bytes(row["image"], label), "path": None}}

        embedded = dataset.map(
            embed,
            features=dataset.features,
            writer_batch_size=IMAGES_A_WRITE,
            cache_file_name=str(scratch),
            new_fingerprint=hashlib.sha256(str(scratch).encode()).hexdigest()[:16],  # else `map` pickles the bar
        )
        embedded.save_to_disk(folder)
    scratch.unlink()


def load_split(folder: Path) -> datasets.Dataset:
    """A split that was written as Arrow, mapped from disk."""
    with quiet_datasets():
        return datasets.load_from_disk(str(folder))


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """A block without the progress bars of Hugging Face `datasets`; afterwards they are as they were."""
    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


def open_prepared(name: str, entry: Entry[DatasetSpec], folder: Path) -> OpenDataset:
    """A prepared copy. Raises DataError where it is damaged."""
    try:
        note = read_json(folder / "prepared.json")
        splits = {split: load_split(folder / split) for split in note["counts"]}
    except (OSError, KeyError, ValueError, LmbenchError) as error:
        raise DataError(
            f"{name}: the prepared copy {folder} is damaged ({error}); delete it and prepare again."
        ) from None
    return OpenDataset(name, entry, splits, note["fingerprint"], str(folder))
