"""Who is shown on an image, where a column says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.datasets.folders.samples import folded_name
from lmbench.originals.texts import MISSING

KINDS = ("identity", "person", "subject", "individual", "participant", "patient")
WORDS = (*KINDS, *(f"{kind}_id" for kind in KINDS), *(f"{kind}id" for kind in KINDS))


def person_in(columns: Mapping[str, Any]) -> str:
    """The value of the first column that names a person (`identity`, `subject_id` ...), ``""`` where there is none."""
    for name, value in columns.items():
        if folded_name(name) in WORDS and isinstance(value, str | int | float):
            text = str(value).strip().removesuffix(".0")
            if text.lower() not in MISSING:
                return text
    return ""
