"""The originals of a dataset as its authors hand them out: a folder, or an archive that is unpacked once."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.errors import DataError, StaleError
from lmbench.originals.confined import Confined, Refused
from lmbench.specs import DatasetSpec
from lmbench.store.files import explained, locked

MEGABYTE = 1 << 20
HEADER_LIMIT = MEGABYTE  # a name or an extended header that is longer than this is an attack on memory
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    ValueError,
    LookupError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)
FOREIGN = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "zstd"}


@contextmanager
def originals(name: str, spec: DatasetSpec, source: Path, target: Path) -> Iterator[Path]:
    """The dataset's own folder in ``source``, a folder or a zip, tar or tar.gz archive, while the block runs.

    An archive is unpacked beside ``target`` and goes with the block; what a killed call had unpacked is used. Raises
    DataError: neither of these, a damaged archive, or a member that is refused (by name; see `unpack`).
    """
    if source.is_dir():
        yield _own_folder(source, spec)
        return
    if _format(source) is None:
        of = f" (of format {found}, which is not read here)" if (found := _foreign(source)) else ""
        raise DataError(
            f"{name}: {source} is no folder and no zip or tar archive{of}. Unpack {spec.source or 'the dataset'} and pass "
            "that folder, or pass the archive."
        )
    state = source.stat()
    key = hashlib.sha256(f"{source.resolve()}|{state.st_size}|{state.st_mtime_ns}".encode()).hexdigest()[:12]
    place = target.with_name(f".{target.name}.unpacked-{key}")
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        with locked(place):
            try:
                unpack(source, place)
                yield _own_folder(place, spec)
            except (DataError, StaleError):
                shutil.rmtree(place, ignore_errors=True)
                raise
            shutil.rmtree(place, ignore_errors=True)
    Path(f"{place}.lock").unlink(missing_ok=True)


def _own_folder(place: Path, spec: DatasetSpec) -> Path:
    return next((f for f in (place / spec.folder, *place.glob(f"*/{spec.folder}")) if f.is_dir()), place)


def unpack(archive: Path, folder: Path) -> None:
    """Writes the files of a zip or tar archive below ``folder``; those that are there in full are left as they are.

    Raises DataError naming archive and member: a link, a device, a path that leads out of the folder or that a file system
    could take for another one, more than the disk holds, more or less than the member declares, a damaged or encrypted
    archive. Nothing is ever written through a link, whoever made it.
    """
    try:
        with Confined(folder) as place:
            if _format(archive) == "zip":
                _unpack_zip(archive, place)
            else:
                _unpack_tar(archive, place)
    except Refused as refused:
        raise DataError(
            f"{archive}: the member {refused.member!r} is refused: {refused.why}. Get the archive from its authors, or "
            "unpack it yourself and pass the folder."
        ) from None
    except DAMAGED as error:
        raise _damaged(archive, error) from None
    except OSError as error:
        if error.errno is not None:  # the disk's, which `explained` knows
            raise
        raise _damaged(archive, error) from None  # gzip's and bz2's own


def _damaged(archive: Path, error: Exception) -> DataError:
    said = (str(error).splitlines() or [type(error).__name__])[-1].strip(" -.")  # tarfile tells all that it tried
    return DataError(f"{archive} cannot be unpacked: {said}. Fetch it again, or unpack it yourself.")


def _format(archive: Path) -> str | None:
    """``zip`` or ``tar``, or None for a file that is neither."""
    if not archive.is_file():
        return None
    try:
        if zipfile.is_zipfile(archive):
            return "zip"
        return "tar" if tarfile.is_tarfile(archive) else None
    except (*DAMAGED, OSError):  # begins like a compressed file and breaks off
        return "tar"


def _foreign(archive: Path) -> str | None:
    """The name of an archive's format that is not read here."""
    if not archive.is_file():
        return None
    with archive.open("rb") as file:
        begins = file.read(8)
    return next((name for magic, name in FOREIGN.items() if begins.startswith(magic)), None)


def _unpack_zip(archive: Path, folder: Confined) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        for member in members:  # all are looked at before the first is written
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Refused(member.filename, "it is a link or a device, neither file nor folder")
            folder.declare(member.filename, member.is_dir())
        folder.need(sum(m.file_size for m in members if not (m.is_dir() or folder.holds(m.filename, m.file_size))))
        with progress.task(f"unpacking {archive.name}", sum(m.file_size for m in members) // MEGABYTE, "MB") as bar:
            done = 0
            for member in members:
                if member.is_dir():
                    folder.make(member.filename)
                elif not folder.holds(member.filename, member.file_size):
                    with opened.open(member) as content:
                        folder.write(member.filename, content, member.file_size)
                done += member.file_size
                bar.advance(done // MEGABYTE - bar.done)


def _unpack_tar(archive: Path, folder: Confined) -> None:
    total = archive.stat().st_size // MEGABYTE
    with (
        archive.open("rb") as raw,
        tarfile.open(fileobj=raw, tarinfo=_Member) as opened,
        progress.task(f"unpacking {archive.name}", total, "MB") as bar,
    ):
        for member in opened:
            if not (member.isdir() or member.isreg()):
                raise Refused(member.name, "it is a link or a device, neither file nor folder")
            folder.declare(member.name, member.isdir())
            if member.isdir():
                folder.make(member.name)
            elif not folder.holds(member.name, member.size):
                folder.need(member.size)
                content = opened.extractfile(member)
                assert content is not None
                folder.write(member.name, content, member.size)
            opened.members = []  # type: ignore[attr-defined]  # tarfile keeps them all, and millions are possible
            bar.advance(raw.tell() // MEGABYTE - bar.done)


class _Member(tarfile.TarInfo):
    """A member whose header is looked at before tarfile acts on it.

    tarfile takes a broken header for the end of the archive, goes back for a negative size and for ever (CVE-2025-8194),
    and reads an extended header of any length into memory.
    """

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tar)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"broken header at byte {tar.offset} ({error})") from None

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        """What tarfile calls with each header; a place that it names for subclasses."""
        if self.size < 0 or (self.type not in tarfile.REGULAR_TYPES and self.size > HEADER_LIMIT):  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a header of size {self.size} at byte {tar.offset}")
        member = super()._proc_member(tar)  # type: ignore[misc]
        if member.size < 0:  # of an extended header
            raise tarfile.ReadError(f"a member of size {member.size} at byte {tar.offset}")
        return member
