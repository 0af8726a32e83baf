"""Objects and digits, which the papers show without a score."""

from __future__ import annotations

from lmbench.specs import DatasetSpec

OBJECTS: list[DatasetSpec] = []
