"""The datasets of the core: each package of this folder is one, or several that share a loader.

A package gives its ``SPECS`` and imports nothing heavy; the loader stands beside them and is imported when asked for.
"""

from __future__ import annotations

import importlib
import pkgutil

from lmbench.specs import DatasetSpec


def find_datasets() -> list[DatasetSpec]:
    """The specs of every package of this folder, in the order of their names."""
    packages = [found.name for found in pkgutil.iter_modules(__path__) if found.ispkg]
    return [spec for name in packages for spec in importlib.import_module(f"{__name__}.{name}").SPECS]
