"""A dataset as one copy that opens fast: Arrow shards with the images inside, and the fingerprint of all of it.

A copy is written beside its place, shard by shard; one that was killed goes on after its last finished shard, where the
originals are still the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import datasets

from lmbench import progress
from lmbench.config.model import digest_of
from lmbench.data.schema import column, image_bytes
from lmbench.errors import DataError
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec
from lmbench.store import manifests
from lmbench.store.files import explained, locked, replacing, write_json

IMAGES_A_READ = 512
IMAGES_A_WRITE = 100
IMAGES_A_SHARD = 10_000  # a kill loses no more than these; 200,000 images are 20 files to open, at some 17 ms each
NOTE, PLAN = "prepared.json", "plan.json"


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
        for record in rows.get("mask", []):
            total.update(hashlib.sha256(image_bytes(record, name)).digest())
        bar.advance(len(rows["source_id"]))
    _add_annotations(dataset, total)
    return total.hexdigest()


def _add_annotations(dataset: datasets.Dataset, total: Any) -> None:
    for key in sorted(set(dataset.column_names) - {"image", "mask", "source_id"}):
        for start in range(0, len(dataset), IMAGES_A_SHARD):
            part = dataset.select(range(start, min(start + IMAGES_A_SHARD, len(dataset))))
            total.update(column(part, key).tobytes())


def save_prepared(entry: Entry[DatasetSpec], splits: Mapping[str, datasets.Dataset], folder: Path, origin: str) -> None:
    """Writes the splits as Arrow with the images inside and their fingerprint. Keeps what is there.

    Shards that an interrupted call has finished are not written again. Raises DataError naming an image that cannot be
    read; nothing is left of the copy then.
    """
    if folder.is_dir():
        return
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if folder.is_dir():
                return
            draft = _draft(entry, splits, folder)
            try:
                _fill(entry, splits, draft, origin)
            except DataError:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            draft.replace(folder)


def _draft(entry: Entry[DatasetSpec], splits: Mapping[str, datasets.Dataset], folder: Path) -> Path:
    """The folder that is filled: that of an interrupted call where it was made from the same originals, else a new one."""
    draft = folder.with_name(f".{folder.name}.partial")
    plan = {
        "qualified": entry.qualified,
        "version": entry.spec.version,
        "splits": {split: originals_of(dataset) for split, dataset in splits.items()},
    }
    kept = None
    with suppress(OSError, ValueError):
        kept = json.loads((draft / PLAN).read_text(encoding="utf-8"))
    if kept != plan:
        shutil.rmtree(draft, ignore_errors=True)
        write_json(draft / PLAN, plan)
    return draft


def originals_of(dataset: datasets.Dataset) -> str:
    """A digest of the annotations and of each image file's path, size and time: what a copy is made from, unread."""
    total = hashlib.sha256()
    plain = dataset.with_format(None)
    for start in range(0, len(plain), IMAGES_A_READ):
        rows = plain[start : start + IMAGES_A_READ]
        for record, source_id in zip(rows["image"], rows["source_id"], strict=True):
            about: list[Any] = [source_id, record["path"]]
            if record["bytes"] is not None:
                about += [len(record["bytes"])]
            else:
                with suppress(OSError):
                    status = os.stat(record["path"])
                    about += [status.st_size, status.st_mtime_ns]
            total.update(json.dumps(about).encode())
    _add_annotations(dataset, total)
    return total.hexdigest()


def _fill(entry: Entry[DatasetSpec], splits: Mapping[str, datasets.Dataset], draft: Path, origin: str) -> None:
    spec = entry.spec
    for split, dataset in splits.items():
        _write_split(dataset, draft / split, f"preparing {spec.name} {split}")
    written = {split: load_split(draft / split) for split in splits}
    note = {
        "name": spec.name,
        "owner": entry.owner,
        "version": spec.version,
        "origin": origin,
        "fingerprint": fingerprint(spec.name, spec, written),
        "counts": {s: len(d) for s, d in written.items()},
        "remarks": {s: d.info.description for s, d in splits.items() if d.info.description},
    }
    write_json(draft / NOTE, note)
    (draft / PLAN).unlink()
    manifests.seal(draft)


def _write_split(dataset: datasets.Dataset, folder: Path, label: str) -> None:
    """Writes the shards of a split that are not there whole, with images' bytes instead of paths; a hundred at a time."""
    for left in set(folder.glob("*")) - {*folder.glob("shard-*.arrow"), folder / manifests.MANIFEST}:  # half a shard
        left.unlink()
    starts = range(0, len(dataset), IMAGES_A_SHARD)
    missing = [n for n in range(len(starts)) if manifests.damage(folder, _shard(folder, n).name) is not None]
    with progress.task(label, len(dataset)) as bar, quiet_datasets():
        lacking = sum(min(IMAGES_A_SHARD, len(dataset) - starts[n]) for n in missing)
        bar.skip(len(dataset) - lacking)

        def embed(row: dict[str, Any]) -> dict[str, Any]:
            bar.advance()
            files = {"image", "mask"} & set(row)
            return {name: {"bytes": image_bytes(row[name], label), "path": None} for name in files}

        for number in missing:
            part = dataset.select(range(starts[number], min(starts[number] + IMAGES_A_SHARD, len(dataset))))
            with replacing(_shard(folder, number), listed=True) as scratch:
                part.map(
                    embed,
                    features=dataset.features,
                    writer_batch_size=IMAGES_A_WRITE,
                    cache_file_name=str(scratch),
                    load_from_cache_file=False,
                    new_fingerprint=hashlib.sha256(str(scratch).encode()).hexdigest()[:16],  # no pickling of the bar
                )


def _shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05}.arrow"


def load_split(folder: Path) -> datasets.Dataset:
    """A split that was written as Arrow, mapped from disk."""
    shards = sorted(folder.glob("shard-*.arrow"))
    with quiet_datasets():
        if not shards:  # copies of the first releases
            return datasets.load_from_disk(str(folder))
        return datasets.concatenate_datasets([datasets.Dataset.from_file(str(s)) for s in shards])


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
