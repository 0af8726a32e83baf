"""The entry points of the group ``lmbench``, found without importing anything of theirs.

``importlib.metadata.entry_points`` is not used: one unreadable ``entry_points.txt`` anywhere would make it raise. Nor is
pluggy's ``load_setuptools_entrypoints``: it stops at the first broken import and drops the second of two equal names.
"""

from __future__ import annotations

import email
import importlib.metadata
import re
from dataclasses import dataclass

GROUP = "lmbench"


@dataclass(frozen=True)
class Candidate:
    """An entry point before anything of it is imported; ``problem`` says what is wrong with it already."""

    name: str
    module: str
    distribution: str
    version: str
    problem: str = ""


def installed() -> list[Candidate]:
    """Every entry point of the group, sorted by distribution and name."""
    found: dict[str, list[Candidate]] = {}
    for distribution in importlib.metadata.distributions():
        text = _read(distribution, "entry_points.txt")
        if f"[{GROUP}]" not in text:
            continue
        metadata = email.message_from_string(_read(distribution, "METADATA") or _read(distribution, "PKG-INFO"))
        name, version = metadata["Name"] or "unknown", metadata["Version"] or "0"
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in found or key == "unknown":  # the first on sys.path is the one that is imported
            found.setdefault(key, []).extend(_entry_points(text, name, version))
    return sorted((c for candidates in found.values() for c in candidates), key=lambda c: (c.distribution, c.name))


def _read(distribution: importlib.metadata.Distribution, file: str) -> str:
    """A file of a distribution's metadata, empty where it is missing or unreadable."""
    try:
        return distribution.read_text(file) or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _entry_points(text: str, distribution: str, version: str) -> list[Candidate]:
    """The lines of the section ``[lmbench]`` of an entry_points.txt, mistakes noted."""
    candidates = []
    section = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == GROUP and line and not line.startswith("#"):
            name, _, module = (part.strip() for part in line.partition("="))
            plain = all(part.isidentifier() for part in module.split("."))
            problem = (
                "" if plain else f"entry point {line!r}: expected NAME = package.module, the module holding the hooks."
            )
            candidates.append(Candidate(name, module, distribution, version, problem))
    return candidates
