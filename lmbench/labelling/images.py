"""The images of a folder, by number: their sizes, and their pixels as a browser shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from lmbench.data.images import read_header, read_image, suffixes, unread
from lmbench.errors import DataError
from lmbench.originals.walking import walk

QUALITY = 92  # of the JPEGs that images of other formats are shown as
AS_THEY_ARE = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
WHERE = "label"


class ImageFolder:
    """Every image below a folder, as a path with forward slashes, in order; ``notes``: what was left out.

    They are found once, and opened one at a time. Raises DataError where there is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder}: {'a file; name its folder' if folder.exists() else 'there is no such folder'}.")
        self.folder = folder
        walked = walk(folder)
        self.names: Sequence[str] = [
            f.relative_to(folder).as_posix() for f in walked.files if f.suffix.lower() in suffixes()
        ]
        self.notes = [note for note in (unread(walked.files), walked.said()) if note]
        if not self.names:
            said = f" ({'; '.join(self.notes)})" if self.notes else ""
            raise DataError(f"{folder}: no image file in it or below{said}. Read are {', '.join(sorted(suffixes()))}.")

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """The file of an image. Raises DataError where it is gone, or a link leads out of the folder."""
        path = self.folder / self.names[index]
        found = path.resolve()
        if not found.is_relative_to(self.folder.resolve()):
            raise DataError(
                f"{self.names[index]} is a link out of {self.folder}: nothing beyond the folder is shown. Copy it there."
            )
        if not found.is_file():
            raise DataError(f"{self.names[index]} is gone.")
        return path

    def size(self, index: int) -> tuple[int, int]:
        """Width and height, upright. Raises DataError for what is no image."""
        return read_header(self.path(index), self.names[index], WHERE).upright

    def shown(self, index: int) -> tuple[str, bytes]:
        """Content type and bytes, of the pixels that all of lmbench reads of the image. Raises DataError as `read_image`."""
        path, name = self.path(index), self.names[index]
        header = read_header(path, name, WHERE)
        kind = AS_THEY_ARE.get(path.suffix.lower())
        if kind and header.orientation == 1 and not header.done:
            content = path.read_bytes()
            if _is(kind, content):
                return kind, content
        buffer = io.BytesIO()
        read_image(path, name, WHERE)[0].save(buffer, "JPEG", quality=QUALITY)
        return "image/jpeg", buffer.getvalue()


def _is(kind: str, content: bytes) -> bool:
    """Whether a file is what its name says, by its first bytes."""
    starts = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF"}
    return content.startswith(starts[kind])
