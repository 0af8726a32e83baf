"""docs/head_measured.md holds what the proofs of the head measured, and nothing else."""

from __future__ import annotations

from pathlib import Path

import head_page

ROOT = Path(__file__).parents[1]


def test_the_page_is_made_of_the_kept_results() -> None:
    assert (ROOT / "docs/head_measured.md").read_text(encoding="utf-8") == head_page.page()
