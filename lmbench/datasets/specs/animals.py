"""Animals: birds and cats."""

from __future__ import annotations

from lmbench.specs import DatasetSpec

ANIMALS: list[DatasetSpec] = []
