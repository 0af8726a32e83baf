"""From originals, a folder or an archive, to the prepared copy that opens fast."""

from __future__ import annotations

from pathlib import Path

from lmbench.data.opening import OpenDataset, load_splits, open_prepared
from lmbench.data.prepared import fingerprint, save_prepared
from lmbench.errors import StaleError
from lmbench.originals.archives import originals
from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec


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
