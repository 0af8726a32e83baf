"""What a kept file must be: its size and SHA-256 in a manifest beside it, checked before it is used again.

A file that no manifest lists is not used again. Files are always read whole: SHA-256 takes 1.6 GB/s where the processor
knows it, which is less than decoding, training or fitting takes for the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.errors import ChangedError, DataError

MANIFEST = "manifest.json"
BLOCK = 1 << 20

Entry = dict[str, Any]

_digests: dict[tuple[int, ...], str] = {}  # of files as they stand, by what stat says of them
_relied_on: list[set[Path]] = []
_told: set[Path] = set()


def digest_of_file(path: Path, afresh: bool = False) -> str:
    """The SHA-256 of a file; one that this process has read and nobody has touched since is not read again."""
    stand = _stand(path)
    if afresh or stand not in _digests:
        with path.open("rb", buffering=0) as file:
            _digests[stand] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[stand]


def seal(folder: Path) -> None:
    """Writes the manifest of a folder that is complete: every file in it but hidden ones."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    entries = {p.relative_to(folder).as_posix(): [_entry(p)] for p in files if p != folder / MANIFEST}
    (folder / MANIFEST).write_text(_text(entries), encoding="utf-8")


def listing(path: Path, draft: Path) -> str:
    """The text of the manifest beside ``path`` once it also lists ``draft``, which is about to take that name.

    What lies under the name now stays listed, so that a kill before or after the renaming leaves a file that is known.
    """
    try:
        entries = _read(path.parent)
    except (OSError, ValueError):
        entries = {}
    there = [_entry(path)] if path.is_file() else []
    known = [e for e in entries.get(path.name, []) if e in there]
    return _text({**entries, path.name: [*known, _entry(draft)]})


def sealed(folder: Path) -> bool:
    """Whether a folder has a manifest; those of earlier versions have none."""
    return (folder / MANIFEST).is_file()


def listed(folder: Path) -> frozenset[str]:
    """The names in a folder's manifest; none where it has none that can be read."""
    try:
        return frozenset(_read(folder))
    except (OSError, ValueError):
        return frozenset()


def damage(folder: Path, *names: str, afresh: bool = False) -> str | None:
    """What is wrong with kept files of a folder (those named, else all), in words; None: they are as they were written.

    ``afresh``: they are read again, whatever this process knows of them.
    """
    try:
        entries = _read(folder)
    except FileNotFoundError:
        return f"it has no {MANIFEST}"
    except (OSError, ValueError):
        return f"its {MANIFEST} cannot be read"
    for name in names or entries:
        if name not in entries:
            return f"{name} is not in its {MANIFEST}"
        try:
            size = (folder / name).stat().st_size
            fitting = [e["sha256"] for e in entries[name] if e["bytes"] == size]
            if not fitting:
                return f"{name} has {size} bytes, {entries[name][-1]['bytes']} were written"
            if digest_of_file(folder / name, afresh) not in fitting:
                return f"the SHA-256 of {name} is not that of what was written"
        except OSError as error:
            return f"{name}: {error.strerror or error}"
    for folders in _relied_on:
        folders.add(folder)
    return None


def require(folder: Path, *names: str, way_out: str) -> None:
    """Raises DataError where kept files of a folder (those named, else all) are damaged: their names and the way out.

    Files of earlier versions, which have no manifest, are taken as they are, with a word.
    """
    if not sealed(folder):
        if folder not in _told:
            _told.add(folder)
            progress.say(f"{folder} was written without checksums, by an earlier lmbench: it is taken as it is")
        return
    wrong = damage(folder, *names)
    if wrong is not None:
        raise DataError(f"{folder} is damaged: {wrong}. {way_out}")


@contextmanager
def relying() -> Iterator[set[Path]]:
    """A block and the folders whose files were found whole in it: what a number that comes out of it depends on."""
    folders: set[Path] = set()
    _relied_on.append(folders)
    try:
        yield folders
    finally:
        _relied_on.pop()


def relied_on(folder: Path) -> bool:
    """Whether a number that is being made depends on a folder's files as they were found."""
    return any(folder in folders for folders in _relied_on)


def damaged_meanwhile(folder: Path, wrong: str) -> ChangedError:
    """The error of files that a number depends on and that are no longer what was read."""
    return ChangedError(
        f"{folder} was damaged while it was read ({wrong}). No number of it is kept; give the same command again."
    )


def confirm(folders: set[Path]) -> None:
    """Reads all files of some folders once more, but for those that were removed. Raises ChangedError where one has changed."""
    for folder in sorted(f for f in folders if f.is_dir()):
        wrong = damage(folder, afresh=True)
        if wrong is not None:
            raise damaged_meanwhile(folder, wrong)


def _stand(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _entry(path: Path) -> Entry:
    return {"bytes": path.stat().st_size, "sha256": digest_of_file(path)}


def _text(entries: dict[str, list[Entry]]) -> str:
    return json.dumps({"files": entries}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _read(folder: Path) -> dict[str, list[Entry]]:
    """The entries of a manifest by name. Raises OSError or ValueError where there is none, or none that can be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        entries: dict[str, list[Entry]] = found["files"]
        for several in entries.values():
            if not several or any({"bytes": e["bytes"], "sha256": e["sha256"]} != e for e in several):
                raise ValueError
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return entries
