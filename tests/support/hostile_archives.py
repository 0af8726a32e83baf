"""Archives of a hostile hand, each by what is wrong with it, for the tests and for the proof that none gets anywhere."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = {
    "climbs": "../evil",
    "climbs inside": "MTFL/../../evil",
    "absolute": "/tmp/lmbench-evil",
    "backslashes": "..\\evil",
    "drive": "C:\\evil",
    "escape sequence": "a/\x1b[2Jevil",
    "newline": "a/b\nevil",
    "right to left": "a/\u202egnp.evil",
    "long name": "a/" + "e" * 300,
    "deep": "d/" * 100 + "evil",
    "long path": ("d" * 200 + "/") * 8 + "evil",
    "device": "a/AUX.txt",
}


def file(tar: tarfile.TarFile, name: str, content: bytes = b"evil") -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def special(tar: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    tar.addfile(info)


def deep_links(tar: tarfile.TarFile, outside: Path) -> None:
    """CVE-2025-4517: links so deep that resolving their target stops half-way, then a file through them."""
    folder, path = "d" * 247, ""
    steps = "abcdefghijklmnop"
    for step in steps:
        special(tar, f"{path}{folder}", tarfile.DIRTYPE)
        special(tar, f"{path}{step}", tarfile.SYMTYPE, folder)
        path += f"{folder}/"
    far = "/".join(steps) + "/" + "l" * 254
    special(tar, far, tarfile.SYMTYPE, "../" * len(steps))
    special(tar, "escape", tarfile.SYMTYPE, f"{far}/" + "../" * 12 + str(outside).lstrip("/"))
    special(tar, "flag", tarfile.LNKTYPE, "escape/evil")
    file(tar, "flag")
    file(tar, "escape/evil")


def _tar(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w") as tar:
        file(tar, "MTFL/first.txt", b"good")
        fill(tar)
    return path


def _zip(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("MTFL/first.txt", b"good")
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            out.writestr(info, content)
    return path


def _sized(path: Path, size: int) -> Path:
    """A tar whose only header declares another size than its content has."""
    info = tarfile.TarInfo("a")
    if size < 0:
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        header[124:136] = b"\xff" + size.to_bytes(11, "big", signed=True)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        path.write_bytes(bytes(header) + b"x" * 1024)
    else:
        info.size = size
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)
    return path


def _understated(path: Path) -> Path:
    """A zip whose directory and header say ten bytes where a megabyte comes out."""
    _zip(path, {"bomb": b"\0" * (1 << 20)})
    data = bytearray(path.read_bytes())
    real = struct.pack("<I", 1 << 20)
    while (at := data.find(real)) >= 0:
        data[at : at + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    return path


def _declared(path: Path) -> Path:
    """A zip that says it holds four exabytes."""
    _zip(path, {"bomb": b"x" * 77})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    directory = data[at : data.rfind(b"PK\x05\x06")]
    extra = struct.pack("<HHQ", 1, 8, 1 << 62)
    name_length = struct.unpack("<H", directory[28:30])[0]
    directory[24:28] = b"\xff" * 4
    directory[30:32] = struct.pack("<H", len(extra))
    directory = directory[: 46 + name_length] + extra
    end = bytearray(data[data.rfind(b"PK\x05\x06") :])
    start = struct.unpack("<I", end[16:20])[0]
    before = data[start:at]
    end[12:16] = struct.pack("<I", len(before) + len(directory))
    path.write_bytes(bytes(data[:start] + before + directory + end))
    return path


def archives(folder: Path, outside: Path) -> Iterator[tuple[str, Path]]:
    """(what is wrong, archive): every one has to be refused, and nothing may come to lie outside."""
    for what, name in NAMES.items():
        yield f"tar, {what}", _tar(folder / f"{what}.tar", lambda tar, name=name: file(tar, name))
        yield f"zip, {what}", _zip(folder / f"{what}.zip", {name: b"evil"})
    for what, kind in {
        "symlink": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "device file": tarfile.CHRTYPE,
        "block device": tarfile.BLKTYPE, "unknown kind": b"Z",
    }.items():  # fmt: skip
        fill = lambda tar, kind=kind: (special(tar, "l", kind, str(outside)), file(tar, "l/evil"))  # noqa: E731
        if kind != b"Z":
            yield f"tar, {what}", _tar(folder / f"{what}.tar", fill)
    yield "tar, CVE-2025-4517", _tar(folder / "cve.tar", lambda tar: deep_links(tar, outside))
    yield (
        "zip, symlink",
        _zip(folder / "link.zip", {"l": str(outside).encode(), "l/evil": b"evil"}, stat.S_IFLNK | 0o777),
    )
    yield "zip, fifo", _zip(folder / "fifo.zip", {"f": b""}, stat.S_IFIFO | 0o644)
    yield "tar, twice", _tar(folder / "twice.tar", lambda tar: (file(tar, "a"), file(tar, "a", b"2")))
    yield "tar, case", _tar(folder / "case.tar", lambda tar: (file(tar, "a/B"), file(tar, "A/b")))
    yield "zip, case", _zip(folder / "case.zip", {"a/B": b"1", "A/b": b"2"})
    yield "tar, file and folder", _tar(folder / "both.tar", lambda tar: (file(tar, "a"), file(tar, "a/b")))
    yield "tar, size of -512", _sized(folder / "negative.tar", -512)
    yield "tar, size beyond the disk", _sized(folder / "huge.tar", 1 << 32)
    yield "zip, larger than it says", _understated(folder / "understated.zip")
    yield "zip, larger than the disk", _declared(folder / "declared.zip")
    whole = _tar(folder / "whole.tar", lambda tar: file(tar, "b", b"x" * 5000)).read_bytes()
    (folder / "cut.tar").write_bytes(whole[:3000])
    yield "tar, cut off", folder / "cut.tar"
    broken = bytearray(whole)
    broken[1024:1034] = b"\xff" * 10
    (folder / "broken.tar").write_bytes(broken)
    yield "tar, second header broken", folder / "broken.tar"
    (folder / "cut.tar.gz").write_bytes(gzip.compress(whole)[:60])
    yield "tar.gz, cut off", folder / "cut.tar.gz"
    giant = tarfile.TarInfo("x")
    giant.type, giant.size = tarfile.XHDTYPE, 1 << 31
    (folder / "pax.tar").write_bytes(giant.tobuf(tarfile.GNU_FORMAT) + b"x" * 2048)
    yield "tar, extended header of 2 GB", folder / "pax.tar"
    pax = tarfile.TarInfo("p")
    pax.pax_headers = {"size": "-1024"}
    (folder / "paxsize.tar").write_bytes(pax.tobuf(tarfile.PAX_FORMAT) + b"x" * 2048)
    yield "tar, extended size of -1024", folder / "paxsize.tar"
    loop = tarfile.TarInfo("l")
    loop.type, loop.size = tarfile.GNUTYPE_LONGNAME, 512
    (folder / "names.tar").write_bytes((loop.tobuf(tarfile.GNU_FORMAT) + b"n" * 512) * 3000)
    yield "tar, names of names", folder / "names.tar"
