"""Bodies: sign-language signers and sports."""

from __future__ import annotations

from lmbench.specs import DatasetSpec

BODIES: list[DatasetSpec] = []
