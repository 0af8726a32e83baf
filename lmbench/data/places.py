"""Where data lies: the data root, the cache, and prepared copies. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from lmbench.plugins.registry import Entry
from lmbench.specs import DatasetSpec


def default_data_root() -> Path:
    """``$LMBENCH_DATA``, else ``~/.cache/lmbench/data``."""
    return Path(os.environ.get("LMBENCH_DATA") or Path.home() / ".cache" / "lmbench" / "data")


def cache_root() -> Path:
    """Where derived data is kept (pixel stores, rendered sets): ``$LMBENCH_CACHE``, else ``~/.cache/lmbench``."""
    return Path(os.environ.get("LMBENCH_CACHE") or Path.home() / ".cache" / "lmbench")


def prepared_folder(entry: Entry[DatasetSpec], root: Path) -> Path:
    """Where a prepared copy stands: below the data root, or in the cache for an embedded set.

    The name holds the owner, since two distributions may bring one name, and the version of the loader.
    """
    base = root if entry.spec.folder else cache_root()
    return base / "prepared" / f"{entry.owner}-{entry.spec.name}-{loader_version(entry.spec)}"


def loader_version(spec: DatasetSpec) -> str:
    """The version of the spec, and for an embedded set also a digest of the code that draws it.

    The code is the loader's module, or every module of it where it is a package: a rendering in the cache never
    outlives a change of the renderer.
    """
    module = None if spec.folder else importlib.util.find_spec(spec.target.partition(":")[0])
    if module is None or module.origin is None or not Path(module.origin).is_file():
        return spec.version
    origin = Path(module.origin)
    files = sorted(origin.parent.rglob("*.py")) if module.submodule_search_locations else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{spec.version}-{digest.hexdigest()[:8]}"
