"""Content-addressed folders and atomic files: nothing half-written is ever found under its name."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from lmbench import progress
from lmbench.errors import LmbenchError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file under a temporary name, fsyncs it and renames it. Raises LmbenchError (disk full, not writable)."""
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as draft:
        draft.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and is gone when it does not."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
            _sync(draft)
            draft.chmod(0o644)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def building(folder: Path) -> Iterator[Path | None]:
    """A draft folder to fill when ``folder`` is not there yet (else ``None``); it is renamed when the block ends well.

    Another process that builds the same folder is waited for, and what it made is used.
    """
    if folder.is_dir():
        yield None
        return
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if folder.is_dir():
                yield None
                return
            for left in folder.parent.glob(
                f".{glob.escape(folder.name)}.*/"
            ):  # by a process that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            try:
                yield draft
                for file in draft.rglob("*"):
                    _sync(file)
                draft.chmod(0o755)
                draft.replace(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Holds the lock of a file or folder; waits, saying so, while another process holds it."""
    lock = filelock.FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress.say(f"waiting: another process is writing {target}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turns what the operating system says of a place into a message with the way out."""
    try:
        yield
    except OSError as error:
        elsewhere = "choose a folder of your own (--runs, --data-root, -o, $LMBENCH_CACHE)"
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and give the same command again: it goes on from there",
            errno.EDQUOT: "the disk quota is used up; free some space and give the same command again",
            errno.EACCES: f"no permission to write there; {elsewhere}",
            errno.EPERM: f"no permission to write there; {elsewhere}",
            errno.EROFS: f"the file system is read-only; {elsewhere}",
            errno.ENOTDIR: f"a file stands where a folder is needed; {elsewhere}",
            errno.EEXIST: f"a file stands where a folder is needed; {elsewhere}",
        }
        if error.errno in reasons:
            raise LmbenchError(f"cannot write {target}: {reasons[error.errno]}.") from None
        raise


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises LmbenchError naming it where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LmbenchError(f"{path} is damaged ({error}); move it away and give the command again.") from None


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically, in one fixed form."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    with contextlib.suppress(IsADirectoryError), open(path, "rb") as file:
        os.fsync(file.fileno())
