"""From a dataset's name to its splits: registry, data root, prepared copies, fingerprint, counts."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from lmbench.config import digest_of
from lmbench.data.pixels import PixelStore, open_pixels
from lmbench.data.schema import column
from lmbench.errors import DataError, LmbenchError
from lmbench.plugins import Plugins, get_plugins
from lmbench.registry import Entry, family_member
from lmbench.specs import DatasetSpec, Preprocessing
from lmbench.store import building, read_json


def default_data_root() -> Path:
    """``$LMBENCH_DATA``, else ``~/.cache/lmbench/data``."""
    return Path(os.environ.get("LMBENCH_DATA") or Path.home() / ".cache" / "lmbench" / "data")


def cache_root() -> Path:
    """Where derived data is kept (pixel stores, rendered sets): ``$LMBENCH_CACHE``, else ``~/.cache/lmbench``."""
    return Path(os.environ.get("LMBENCH_CACHE") or Path.home() / ".cache" / "lmbench")


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
        """The pixel store of a split under its own preprocessing, or under ``steps``. Raises DataError: no such split."""
        if split not in self.splits:
            raise DataError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}.")
        return open_pixels(self.splits[split], self.fingerprint, split, steps or self.spec.preprocessing, cache_root())


def open_dataset(name: str, data_root: Path | None = None, plugins: Plugins | None = None) -> OpenDataset:
    """A dataset by name. Raises UsageError (unknown name) or DataError (missing or damaged files, wrong counts)."""
    entry = (plugins or get_plugins()).find("dataset", name)
    spec: DatasetSpec = entry.spec
    root = data_root or default_data_root()
    folder = prepared_folder(spec, root)
    if folder.is_dir():
        return _open_prepared(name, entry, folder)
    splits = load_splits(name, entry, root)
    if not spec.folder and not family_member(spec.name, name):
        save_prepared(entry, splits, folder, "embedded")
        return _open_prepared(name, entry, folder)
    return OpenDataset(name, entry, splits, fingerprint(name, spec, splits), str(root / spec.folder))


def load_splits(name: str, entry: Entry[DatasetSpec], root: Path) -> dict[str, datasets.Dataset]:
    """The splits as the loader gives them, counted. Raises DataError naming folder, expectation and finding."""
    spec = entry.spec
    folder = root / spec.folder
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
            raise DataError(f"{name}: the split {split!r} has {found} images under {folder}; {expected or 'some'} are expected.")
    return splits


def fingerprint(name: str, spec: DatasetSpec, splits: Mapping[str, datasets.Dataset]) -> str:
    """SHA-256 over every image's bytes and every annotation, with the loader's version. Raises DataError."""
    return digest_of({"name": spec.name, "version": spec.version, "splits": {s: _digest(d, name) for s, d in splits.items()}})


def _digest(dataset: datasets.Dataset, name: str) -> str:
    total = hashlib.sha256()
    plain = dataset.with_format(None)
    for start in range(0, len(plain), 512):
        rows = plain[start : start + 512]
        for record, source_id in zip(rows["image"], rows["source_id"], strict=True):
            total.update(source_id.encode())
            total.update(hashlib.sha256(_content(record, name)).digest())
    for key in sorted(set(dataset.column_names) - {"image", "source_id"}):
        total.update(column(dataset, key).tobytes())
    return total.hexdigest()


def _content(record: Mapping[str, Any], name: str) -> bytes:
    if record["bytes"] is not None:
        return bytes(record["bytes"])
    try:
        return Path(record["path"]).read_bytes()
    except OSError as error:
        raise DataError(f"{name}: {record['path']}: {error.strerror or error}.") from None


def prepared_folder(spec: DatasetSpec, root: Path) -> Path:
    """Where a prepared copy stands: in the cache for an embedded set, else below the data root."""
    base = root / "prepared" if spec.folder else cache_root() / "prepared"
    return base / f"{spec.name}-{_loader_version(spec)}"


def _loader_version(spec: DatasetSpec) -> str:
    """The version of the spec, and for an embedded set also a digest of the code that draws it."""
    if spec.folder:
        return spec.version
    module = inspect.getmodule(spec.load())
    drawn = getattr(module, "render_face", None)
    source = inspect.getsource(module) if module else ""
    if drawn is not None and (renderer := inspect.getmodule(drawn)) is not None:
        source += str(getattr(renderer, "VERSION", ""))
    return f"{spec.version}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def save_prepared(entry: Entry[DatasetSpec], splits: Mapping[str, datasets.Dataset], folder: Path, origin: str) -> None:
    """Writes the splits as Arrow with the images inside and their fingerprint, in one step. Keeps what is there."""
    spec = entry.spec
    with building(folder) as draft:
        if draft is None:
            return
        for split, dataset in splits.items():
            dataset.map(_embed, desc=f"preparing {spec.name} {split}").save_to_disk(draft / split)
        note = {
            "name": spec.name,
            "version": spec.version,
            "origin": origin,
            "fingerprint": fingerprint(spec.name, spec, splits),
            "counts": {s: len(d) for s, d in splits.items()},
        }
        (draft / "prepared.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def _embed(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its image's bytes in it instead of a path."""
    record = row["image"]
    if record["bytes"] is None:
        row["image"] = {"bytes": Path(record["path"]).read_bytes(), "path": None}
    return row


def _open_prepared(name: str, entry: Entry[DatasetSpec], folder: Path) -> OpenDataset:
    try:
        note = read_json(folder / "prepared.json")
        splits = {split: datasets.load_from_disk(str(folder / split)) for split in note["counts"]}
    except (OSError, KeyError, ValueError, LmbenchError) as error:
        raise DataError(f"{name}: the prepared copy {folder} is damaged ({error}); delete it and prepare again.") from None
    return OpenDataset(name, entry, splits, note["fingerprint"], str(folder))


