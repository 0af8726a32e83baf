"""What the verbs that write a page have in common."""

from __future__ import annotations

from pathlib import Path

from lmbench.errors import UsageError


def require_page(path: Path, force: bool) -> None:
    """Raises UsageError where a page may not be written to a path."""
    if path.suffix.lower() != ".html":
        raise UsageError(f"-o {path}: pages are written as .html; choose such a name.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; choose another name or pass --force.")
