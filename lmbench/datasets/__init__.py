"""The datasets of the core: each package of this folder is one, or several that share a loader.

A package gives its ``SPECS`` and imports nothing heavy; the loaders stand beside them and are imported when asked for.
"""

from __future__ import annotations

import importlib
import pkgutil

from lmbench.specs import DatasetSpec

DATASETS: list[DatasetSpec] = [
    spec
    for found in pkgutil.iter_modules(__path__)
    if found.ispkg
    for spec in importlib.import_module(f"{__name__}.{found.name}").SPECS
]
