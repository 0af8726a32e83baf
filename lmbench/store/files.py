"""Content-addressed folders and atomic files: nothing half-written or damaged is ever found under its name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from lmbench import progress
from lmbench.errors import BusyError, LmbenchError
from lmbench.store import manifests

DRAFT = re.compile(r"\.(?P<of>.+)\.[a-z0-9_]{8}(?P<suffix>\.[^.]*)?")  # as tempfile names it

LONGEST_NAME = 200  # bytes of a name that are repeated in that of its draft; file systems take 255


def write_atomically(path: Path, content: bytes | str | memoryview, listed: bool = False) -> None:
    """Writes a file under a temporary name, fsyncs it and renames it. Raises LmbenchError (disk full, not writable).

    ``listed``: it is kept for reuse, and stands in its folder's manifest.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path, listed) as draft:
        draft.write_bytes(data)


@contextmanager
def replacing(path: Path, listed: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and is gone when it does not.

    ``listed``: see `write_atomically`; who writes such files of one folder holds its lock.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(_draft_of(path))}.*"):
            _clear_draft(left)
        handle, draft = _new_draft(path)
        try:
            yield draft
            _sync(draft)
            draft.chmod(0o644)
            if listed:
                write_atomically(path.parent / manifests.MANIFEST, manifests.listing(path, draft))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def building(folder: Path, aside: bool = False) -> Iterator[Path | None]:
    """A draft folder to fill when ``folder`` is not there whole (else ``None``); it is renamed when the block ends well.

    Another process that builds the same folder is waited for, and what it made is used. A damaged one is named and made
    anew; ``aside``: what is there of it is kept under another name.
    """
    if folder.is_dir() and manifests.damage(folder) is None:
        yield None
        return
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if folder.is_dir():
                wrong = manifests.damage(folder)
                if wrong is None:
                    yield None
                    return
                _remove_damaged(folder, wrong, aside)
            with _drafted(folder) as draft:
                yield draft
                _complete(draft)
                draft.replace(folder)
    manifests.damage(folder)  # known to be whole, and relied on from here


@contextmanager
def rebuilding(folder: Path) -> Iterator[Path]:
    """A draft folder to fill, which takes the place of what is in ``folder``, if anything, when the block ends well.

    What is there stays until then. Two renamings take a moment: after a kill between them `put_back` finds the old one.
    """
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder), _drafted(folder) as draft:
            yield draft
            _complete(draft)
            before = _before(folder)
            if folder.exists():
                shutil.rmtree(before, ignore_errors=True)
                folder.replace(before)
            try:
                draft.replace(folder)
            except BaseException:
                if before.is_dir():
                    before.replace(folder)
                raise
            shutil.rmtree(before, ignore_errors=True)


def put_back(folder: Path) -> None:
    """Gives a folder back that `rebuilding` had moved aside when it was killed, and says so; else nothing happens.

    Raises LmbenchError where it cannot be renamed.
    """
    folder = folder.absolute()
    if not folder.name or not os.path.isdir(before := _before(folder)):  # which knows no name that is too long
        return
    with explained(folder), locked(folder):
        if not before.is_dir():
            return
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            before.replace(folder)
            progress.say(f"{folder} was about to be replaced when that was cut off: what was there before is back")
        elif manifests.damage(folder) is None:  # the new one is there, and the old one was about to be removed
            shutil.rmtree(before, ignore_errors=True)


def _before(folder: Path) -> Path:
    """Where a folder is while another takes its place; no draft is called so."""
    return folder.with_name(f".{folder.name}.before~")


@contextmanager
def _drafted(folder: Path) -> Iterator[Path]:
    """A draft of a folder whose lock we hold; those of killed processes are cleared before, it itself at the end."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.{'[a-z0-9_]' * 8}/"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _complete(draft: Path) -> None:
    manifests.seal(draft)
    for file in draft.rglob("*"):
        _sync(file)
    draft.chmod(0o755)


@contextmanager
def locked(target: Path, wait: bool = True) -> Iterator[None]:
    """Holds the lock of a file or folder; waits, saying so, while another process holds it, or raises BusyError."""
    lock = filelock.FileLock(f"{target}.lock")
    with explained(target):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                raise BusyError(f"another process is writing {target}: wait until it has ended, or end it.") from None
            progress.say(f"waiting: another process is writing {target}")
            lock.acquire()
    try:
        yield
    finally:
        _release(lock)


@contextmanager
def free(target: Path) -> Iterator[bool]:
    """Whether nobody holds the lock of a file or folder; if so it is held within the block."""
    lock = filelock.FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except (filelock.Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        _release(lock)


def clear_drafts(folder: Path) -> None:
    """Removes what killed processes left half-written in a folder; what a living one writes stays."""
    if folder.is_dir():
        for left in folder.glob(".*"):
            _clear_draft(left)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turns what the operating system says of a place into a message with the way out."""
    try:
        yield
    except LmbenchError:
        raise
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise LmbenchError(f"cannot write {target}: {reason}.") from None


def _reason(error: Exception) -> str | None:
    """What the operating system refuses, with the way out; libraries that write by themselves tell it in their words."""
    elsewhere = "choose a folder of your own (--runs, --data-root, -o, $LMBENCH_CACHE)"
    full = "the disk is full; free some space and give the same command again: it goes on from there"
    quota = "the disk quota is used up; free some space and give the same command again"
    large = f"a file as large as this is not allowed there (ulimit -f, or the file system); {elsewhere}"
    reasons = {
        errno.ENOSPC: full,
        errno.EDQUOT: quota,
        errno.EFBIG: large,
        errno.EACCES: f"no permission to write there; {elsewhere}",
        errno.EPERM: f"no permission to write there; {elsewhere}",
        errno.EROFS: f"the file system is read-only; {elsewhere}",
        errno.ENAMETOOLONG: "its name is too long for the file system; choose a shorter one",
        errno.ENOTDIR: f"a file stands where a folder is needed; {elsewhere}",
        errno.EEXIST: f"a file stands where a folder is needed; {elsewhere}",
    }
    if isinstance(error, OSError) and error.errno is not None:
        return reasons.get(error.errno)
    said = str(error)
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return next((reasons[code] for code in codes if os.strerror(code).lower() in said.lower()), None)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises LmbenchError naming it where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LmbenchError(f"{path} is damaged ({error}); move it away and give the command again.") from None


def write_json(path: Path, value: Any, listed: bool = False) -> None:
    """Writes a JSON file atomically, in one fixed form; ``listed``: see `write_atomically`."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", listed)


def _new_draft(path: Path) -> tuple[int, Path]:
    """(handle, path) of a new temporary file whose lock we hold, by which others see that it is alive."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{_draft_of(path)}.", suffix=path.suffix, dir=path.parent)
        if _lock(handle, wait=True) and os.fstat(handle).st_nlink == 0:  # cleared before it was locked
            os.close(handle)
            continue
        return handle, Path(name)


def _draft_of(path: Path) -> str:
    """What drafts of a file are called after: its name, which a long one leaves no room for, and is then known by its digest."""
    if len(os.fsencode(path.name)) <= LONGEST_NAME:
        return path.name
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]


def _clear_draft(left: Path) -> None:
    """Removes a draft, file or folder, unless somebody holds its lock."""
    named = DRAFT.fullmatch(left.name)
    if named is None:
        return
    if left.is_dir():
        with free(left.with_name(named["of"])) as abandoned:
            if abandoned:
                shutil.rmtree(left, ignore_errors=True)
    else:
        with contextlib.suppress(OSError), left.open("rb") as file:
            if _lock(file.fileno(), wait=False):
                left.unlink()


def _lock(handle: int, wait: bool) -> bool:
    """Whether an open file is locked by us now; some network file systems know no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _release(lock: filelock.BaseFileLock) -> None:
    """Gives a lock back and leaves no file; whoever waits for the one that is removed takes a new one."""
    with contextlib.suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()


def _remove_damaged(folder: Path, wrong: str, aside: bool) -> None:
    """Makes room for a folder that is made anew. Raises ChangedError where a number in the making depends on it."""
    if manifests.relied_on(folder):
        raise manifests.damaged_meanwhile(folder, wrong)
    kept = ""
    if aside:
        number = 1
        while (place := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
            number += 1
        folder.replace(place)
        kept = f"; what is there of it is kept as {place.name}"
    else:
        shutil.rmtree(folder)
    progress.say(f"{folder} is damaged ({wrong}): it is made anew{kept}")


def _sync(path: Path) -> None:
    with contextlib.suppress(IsADirectoryError), open(path, "rb") as file:
        os.fsync(file.fileno())
