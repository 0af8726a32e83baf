"""The datasets of the core, one file each; a module gives ``SPECS``."""

from __future__ import annotations

from lmbench.datasets.specs import DATASETS

__all__ = ["DATASETS"]
