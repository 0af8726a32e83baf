"""Who is shown on an image, where a column says so."""

from __future__ import annotations

from collections.abc import Mapping

from lmbench.datasets.folders.samples import MISSING, folded_name

WORDS = ("identity", "person", "subject", "person_id", "subject_id", "identity_id", "individual", "individual_id")


def person_in(columns: Mapping[str, str]) -> str:
    """The cell of the first column that names a person (`identity`, `subject_id` ...), ``""`` where there is none."""
    for name, cell in columns.items():
        if folded_name(name) in WORDS and cell.strip().lower() not in MISSING:
            return cell.strip()
    return ""
