"""The files below a folder of a user's own: what systems and programs left there is passed over, and counted."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEMS_FOLDERS = frozenset(
    {"__macosx", "@eadir", "@tmp", "#recycle", "@recycle", "$recycle.bin", "system volume information", "lost+found",
     "__pycache__"}
)  # fmt: skip
SYSTEMS_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
NAMED = 3


@dataclass(frozen=True)
class Walked:
    """``files``: every file that counts, those of a folder in order of their names. ``left_out``: path and reason."""

    folder: Path
    files: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...]

    def said(self) -> str:
        """``left out: 2 hidden files (._a.jpg, ._b.jpg), 1 folder of a system (@eaDir)``; empty where nothing was."""
        by_reason: dict[str, list[str]] = {}
        for path, reason in self.left_out:
            by_reason.setdefault(reason, []).append(path)
        parts = []
        for reason, paths in by_reason.items():
            rest = " ..." if len(paths) > NAMED else ""
            parts.append(f"{len(paths)} {_plural(reason, len(paths))} ({', '.join(paths[:NAMED])}{rest})")
        return f"left out: {', '.join(parts)}" if parts else ""


def walk(folder: Path) -> Walked:
    """Every file below a folder, through links to folders as well; each folder once, by its own place where it has one.

    Left out are hidden files and folders (``._a.jpg``, ``.Trash``, ``.ipynb_checkpoints``), what systems make (``@eaDir``,
    ``__MACOSX``, ``$RECYCLE.BIN``, ``Thumbs.db``), links to nothing, and names that are no UTF-8. The folder itself may be
    called what it likes.
    """
    files: list[Path] = []
    left_out: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    near, linked = deque([folder]), deque[Path]()  # what lies here comes before what a link leads to
    while near or linked:
        place = (near or linked).popleft()
        try:
            status = place.stat()
            entries = sorted(os.scandir(place), key=lambda e: e.name)
        except OSError:
            left_out.append((_shown(place, folder), "folder that cannot be opened"))
            continue
        if (status.st_dev, status.st_ino) in seen:
            left_out.append((_shown(place, folder), "link to a folder that was read"))
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = place / entry.name
            reason = _reason(entry)
            if reason:
                left_out.append((_shown(path, folder), reason))
            elif reason is None:
                continue
            elif entry.is_dir():
                (linked if entry.is_symlink() else near).append(path)
            else:
                files.append(path)
    return Walked(folder, tuple(sorted(files)), tuple(sorted(left_out)))


def without_hidden(paths: Iterable[Path]) -> list[Path]:
    """The paths, sorted, whose own names are not hidden: an archive unpacked on a Mac has ``._NAME`` beside every file."""
    return sorted(p for p in paths if not p.name.startswith("."))


def _reason(entry: os.DirEntry[str]) -> str | None:
    """Why an entry does not count, ``""`` where it does; None for what every folder has and nobody looks for."""
    name = entry.name.casefold()
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:  # a link to itself
        is_folder = is_file = False
    if is_folder:
        return "hidden folder" if name.startswith(".") else "folder of a system" * (name in SYSTEMS_FOLDERS)
    if name in SYSTEMS_FILES:
        return None
    if name.startswith("."):
        return "hidden file"
    if not is_file:
        return "link to nothing" if entry.is_symlink() else "thing that is no file"
    return "" if _is_text(entry.name) else "file whose name is not UTF-8"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path, folder: Path) -> str:
    return os.fsencode(os.path.relpath(path, folder)).decode(errors="backslashreplace").replace(os.sep, "/")


def _plural(reason: str, count: int) -> str:
    first, *rest = reason.split(" ")
    if count == 1:
        return reason
    if first == "hidden":
        return f"{reason}s"
    said = " ".join([f"{first}s", *rest])
    return said.replace("whose name is", "whose names are").replace("that is no file", "that are no files")
