"""A folder that files are written into and never out of: names checked, links never followed, sizes kept to.

Every component of a path is opened below the one before it and without following links. A check of the path by its text,
or by where it resolves to, is not enough: links can be made so deep that resolving them stops half-way (CVE-2025-4517).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import unicodedata
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lmbench.errors import DataError

PART = ".being-unpacked.part"
CHUNK, GIGABYTE = 1 << 20, 1 << 30
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no fault of the member; `store.explained` says what to do
BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they make a name look like another
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 1024, 64  # bytes, bytes, folders: what every file system takes
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows opens these instead of a file
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Refused(Exception):
    """A member that is not written, and why."""

    def __init__(self, member: str, why: str) -> None:
        super().__init__(member, why)
        self.member, self.why = member, why


class Confined:
    """A folder that is written into while the block runs; members go by their names in the archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._declared: dict[str, tuple[PurePosixPath, bool]] = {}

    def __enter__(self) -> Confined:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def declare(self, member: str, is_folder: bool) -> None:
        """Takes note of a member. Raises Refused: its name leads elsewhere, or could be taken for another one's."""
        path = _path(member)
        if not (is_folder or path.parts):
            raise Refused(member, "it is a file without a name")
        for inner in reversed([p for p in (path, *path.parents) if p.parts]):
            folder = is_folder or inner != path
            folded = unicodedata.normalize("NFC", str(inner)).casefold()
            known, was_folder = self._declared.get(folded, (inner, folder))
            if known != inner:
                raise Refused(member, f"its name differs from that of {str(known)!r} in case or spelling alone")
            if folder != was_folder:
                raise Refused(member, f"{str(inner)!r} is both a file and a folder")
            if not folder and folded in self._declared:
                raise Refused(member, "it is there twice")
            self._declared[folded] = inner, folder

    def need(self, size: int) -> None:
        """Raises DataError where the disk has not so many bytes left."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise DataError(
                f"{self.folder}: {size / GIGABYTE:,.1f} GB are to be unpacked, and the disk has {free / GIGABYTE:,.1f} GB "
                "left. Free some space, or unpack the archive on another disk and pass the folder."
            )

    def make(self, member: str) -> None:
        """Makes a folder with those above it."""
        os.close(self._open(member, _path(member).parts))

    def holds(self, member: str, size: int) -> bool:
        """Whether a file of that size, and no link, stands there."""
        *above, name = _path(member).parts
        try:
            parent = self._open(member, above, make=False)
        except FileNotFoundError:
            return False
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        finally:
            os.close(parent)
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def write(self, member: str, content: IO[Any], size: int) -> None:
        """One file of ``size`` bytes under a temporary name, then renamed: what is there is whole.

        Raises Refused where the content is longer or shorter, and leaves nothing of it.
        """
        *above, name = _path(member).parts
        parent = self._open(member, above)
        try:
            with contextlib.suppress(FileNotFoundError):  # of a call that was killed
                os.unlink(PART, dir_fd=parent)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with open(os.open(PART, flags, 0o644, dir_fd=parent), "wb") as file:
                    _copy(content, file, member, size)
                os.rename(PART, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(PART, dir_fd=parent)
                raise
        except (IsADirectoryError, NotADirectoryError):
            raise Refused(member, "a folder stands in its place") from None
        finally:
            os.close(parent)

    def _open(self, member: str, parts: tuple[str, ...] | list[str], make: bool = True) -> int:
        """The descriptor of a folder, opened from the root down, each component without following links."""
        current = os.dup(self._root)
        try:
            for part in parts:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=current)
                below = os.open(part, FOLDER, dir_fd=current)
                os.close(current)
                current = below
        except OSError as error:
            os.close(current)
            if isinstance(error, FileNotFoundError | PermissionError) or error.errno in FULL:
                raise
            raise Refused(member, f"a link or a file stands where its folder {part!r} belongs") from None
        return current


def _path(member: str) -> PurePosixPath:
    """A member's path below the folder. Raises Refused where its name is no plain path of plain names."""
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", member):
        raise Refused(member, "its path leads out of the folder")
    if any(unicodedata.category(letter) in ("Cc", "Cs") or letter in BIDIRECTIONAL for letter in member):
        raise Refused(member, "its name holds control characters or is not UTF-8")
    if len(str(path).encode()) > LONGEST_PATH or len(path.parts) > DEEPEST:
        raise Refused(member, f"its path is longer than {LONGEST_PATH} bytes or {DEEPEST} folders")
    for part in path.parts:
        if len(part.encode()) > LONGEST_NAME:
            raise Refused(member, f"a name in it is longer than {LONGEST_NAME} bytes")
        if DEVICE.fullmatch(part):
            raise Refused(member, f"{part!r} is the name of a device in Windows")
    return path


def _copy(content: IO[Any], file: IO[bytes], member: str, size: int) -> None:
    written = 0
    while chunk := content.read(CHUNK):
        written += len(chunk)
        if written > size:
            raise Refused(member, f"it is longer than the {size} bytes that it declares")
        file.write(chunk)
    if written < size:
        raise Refused(member, f"it breaks off after {written} of {size} bytes")
