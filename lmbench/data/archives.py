"""The originals of a dataset as its authors hand them out: a folder, or an archive that is unpacked once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lmbench import progress
from lmbench.errors import DataError, StaleError
from lmbench.specs import DatasetSpec
from lmbench.store import explained, locked

MEGABYTE = 1 << 20
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError)


@contextmanager
def originals(name: str, spec: DatasetSpec, source: Path, target: Path) -> Iterator[Path]:
    """The dataset's own folder in ``source``, a folder or a zip, tar or tar.gz archive, while the block runs.

    An archive is unpacked beside ``target`` and goes with the block; what a killed call had unpacked is used. Raises
    DataError: neither of these, a damaged archive, or a member that would be written outside its folder (by name).
    """
    if source.is_dir():
        yield _own_folder(source, spec)
        return
    if not source.is_file() or not (zipfile.is_zipfile(source) or tarfile.is_tarfile(source)):
        raise DataError(
            f"{name}: {source} is no folder and no zip or tar archive. Unpack {spec.source or 'the dataset'} and pass "
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

    Raises DataError naming archive and member: a path or link that leads out of the folder, something that is neither
    file nor folder, a damaged or encrypted archive.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder)
        else:
            _unpack_tar(archive, folder)
    except DAMAGED as error:
        said = str(error) or type(error).__name__
        raise DataError(f"{archive} cannot be unpacked: {said}. Fetch it again, or unpack it yourself.") from None


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        places = [_place(m.filename, folder, archive) for m in members]  # all are looked at before the first is written
        with progress.task(f"unpacking {archive.name}", sum(m.file_size for m in members) // MEGABYTE, "MB") as bar:
            done = 0
            for member, place in zip(members, places, strict=True):
                if member.is_dir():
                    place.mkdir(parents=True, exist_ok=True)
                elif not _is_there(place, member.file_size):
                    with opened.open(member) as content:
                        _write(content, place)
                done += member.file_size
                bar.advance(done // MEGABYTE - bar.done)


def _unpack_tar(archive: Path, folder: Path) -> None:
    total = archive.stat().st_size // MEGABYTE
    with (
        archive.open("rb") as raw,
        tarfile.open(fileobj=raw) as opened,
        progress.task(f"unpacking {archive.name}", total, "MB") as bar,
    ):
        for member in opened:
            place = _place(member.name, folder, archive)
            try:
                checked = tarfile.data_filter(member, str(folder))
            except tarfile.FilterError as error:
                raise DataError(_outside(archive, member.name, str(error))) from None
            if checked.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif not checked.isreg():
                opened.extract(checked, folder, filter="data")  # a link within the folder
            elif not _is_there(place, checked.size):
                content = opened.extractfile(checked)
                assert content is not None
                _write(content, place)
            bar.advance(raw.tell() // MEGABYTE - bar.done)


def _place(member: str, folder: Path, archive: Path) -> Path:
    """Where a member goes. Raises DataError where that is not below the folder."""
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise DataError(_outside(archive, member, "its path leads out of the folder"))
    place = folder / path
    if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)):
        raise DataError(_outside(archive, member, "a link leads it out of the folder"))
    return place


def _outside(archive: Path, member: str, why: str) -> str:
    return f"{archive}: the member {member!r} is refused: {why}. Get the archive from its authors."


def _is_there(place: Path, size: int) -> bool:
    return place.is_file() and not place.is_symlink() and place.stat().st_size == size


def _write(content: IO[Any], place: Path) -> None:
    """One file under a temporary name, then renamed: what is there is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(f".{place.name}.part")
    with scratch.open("wb") as file:
        shutil.copyfileobj(content, file, MEGABYTE)
    scratch.replace(place)
