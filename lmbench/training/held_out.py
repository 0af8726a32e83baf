"""Test images must not be among those that a method is pretrained on: images that stand in two sets."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator

import datasets
import numpy as np
import pyarrow.compute

from lmbench import progress
from lmbench.config.model import RunConfig, digest_of
from lmbench.data.opening import OpenDataset
from lmbench.data.places import cache_root
from lmbench.data.schema import image_bytes
from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.store.files import read_json, write_json

ROWS_A_READ = 1024
FOLDER = "overlap"


def require_held_out(config: RunConfig, target: OpenDataset, source: OpenDataset | None) -> tuple[str, ...]:
    """The target's test images among those of another set that is pretrained on. Raises UsageError unless they are allowed."""
    if source is None or source is target or not any(s.data == "pretrain" for s in config.stages.values()):
        return ()
    leaked = tuple(shared_test_images(source, target))
    if leaked and not config.allow_test_images:
        raise UsageError(
            f"--pretrain-on {config.pretrain_on} holds {len(leaked)} of the {len(target.splits['test'])} test images of "
            f"{config.dataset} (first: {leaked[0]}): they would be trained on. Take them out, pretrain on {config.dataset} "
            "itself (its training images alone are used), or pass --allow-test-images, which the record then states."
        )
    return leaked


def shared_test_images(source: OpenDataset, target: OpenDataset) -> list[str]:
    """The ids of the target's test images whose file is also a training image of ``source``, byte for byte, in order.

    Files of other sizes are not read; what was found is kept for as long as neither set changes. The same photo encoded
    anew is another file, and is not found.
    """
    key = digest_of([source.fingerprint, target.fingerprint, 1])
    kept = cache_root() / FOLDER / f"{key[:20]}.json"
    if kept.is_file():
        try:
            note = read_json(kept)
            if note["key"] == key:
                return [str(i) for i in note["ids"]]
        except (LmbenchError, KeyError, TypeError):
            kept.unlink(missing_ok=True)
    ids = _shared(source, target)
    write_json(kept, {"key": key, "ids": ids})
    return ids


def _shared(source: OpenDataset, target: OpenDataset) -> list[str]:
    train, test = source.splits["train"], target.splits["test"]
    by_size: dict[int, list[int]] = defaultdict(list)
    for i, size in enumerate(_sizes(test, target.name)):
        by_size[size].append(i)
    alike = [i for i, size in enumerate(_sizes(train, source.name)) if size in by_size]
    if not alike:
        return []
    tested: dict[bytes, list[str]] = defaultdict(list)
    for source_id, digest in _digests(test, range(len(test)), target.name):
        tested[digest].append(source_id)
    found: set[str] = set()
    for _, digest in _digests(train, alike, source.name):
        found.update(tested.get(digest, ()))
    return [i for i in test.with_format(None)["source_id"][:] if i in found]


def _sizes(split: datasets.Dataset, where: str) -> Iterator[int]:
    """The bytes of each encoded image, without reading it."""
    table = split.with_format("arrow")
    for start in range(0, len(split), ROWS_A_READ):
        images = table[start : start + ROWS_A_READ]["image"].combine_chunks()
        lengths = pyarrow.compute.binary_length(images.field("bytes"))
        for length, path in zip(lengths.to_pylist(), images.field("path").to_pylist(), strict=True):
            if length is not None:
                yield length
                continue
            try:
                yield os.stat(path).st_size
            except OSError as error:
                raise DataError(f"{where}: {path}: {error.strerror or error}.") from None


def _digests(split: datasets.Dataset, rows: range | list[int], where: str) -> Iterator[tuple[str, bytes]]:
    """(id, SHA-256 of the encoded image) of some images."""
    plain, chosen = split.with_format(None), np.asarray(rows)
    with progress.task(f"looking for test images in {where}", len(chosen)) as bar:
        for start in range(0, len(chosen), ROWS_A_READ):
            part = plain[chosen[start : start + ROWS_A_READ]]
            for record, source_id in zip(part["image"], part["source_id"], strict=True):
                yield source_id, hashlib.sha256(image_bytes(record, where)).digest()
            bar.advance(len(part["source_id"]))
