"""Inputs with mistakes in them, and what becomes of each: works with plausible numbers, is refused in words, or is wrong.

Every trial runs in a forked process, so that a crash of the interpreter is an outcome like any other.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lmbench.data.opening import OpenDataset, load_splits
from lmbench.data.prepared import fingerprint
from lmbench.data.schema import Incomplete, column
from lmbench.errors import LmbenchError
from lmbench.plugins.loading import get_plugins

SECONDS = 120
ABSURD = 100  # times the larger side of an image
NUMBERS = ["nan", "1e30", "-1", "99999999999", "", "inf", "-1e308", "0", "1,5", "0x10", "one", "1e999", "-0.0", "99999"]
TEXT = (".txt", ".csv", ".json", ".xml", ".pts", ".cat", ".toml", ".info")


@dataclass(frozen=True)
class Subject:
    """A kind of input: its files, and the reader that is tried on them once one of them was changed."""

    name: str
    folder: Path
    read: Callable[[], object]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    subject: str
    change: str
    verdict: str  # works, refused or wrong
    said: str = ""


def trial(subject: Subject, seed: int) -> Outcome:
    """Changes one file of a subject, reads it in a process of its own, and puts the file back."""
    rng = random.Random(seed)
    file = rng.choice(subject.files)
    before = file.read_bytes()
    change, content = mutated(before, file.suffix.lower(), rng)
    file.write_bytes(content)
    try:
        verdict, said = in_a_fork(subject.read)
    finally:
        file.write_bytes(before)
    return Outcome(subject.name, f"{file.name}: {change} (seed {seed})", verdict, said)


def mutated(content: bytes, suffix: str, rng: random.Random) -> tuple[str, bytes]:
    """(what was done, the changed bytes)."""
    changes: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, splice, zeros, empty, noise]
    if suffix in TEXT:
        changes = [*changes, number, number, number, number, drop_field, drop_line, twice, recoded, word]
    change = rng.choice(changes)
    return change.__name__, change(content, rng)


def flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        if changed:
            changed[_place(len(changed), rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _place(length: int, rng: random.Random) -> int:
    """Half of the changes fall on the beginning, where the headers are."""
    return rng.randrange(min(length, 256) if rng.random() < 0.5 else length)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def splice(content: bytes, rng: random.Random) -> bytes:
    start, length, to = rng.randrange(len(content) + 1), rng.randrange(200), rng.randrange(len(content) + 1)
    return content[:to] + content[start : start + length] + content[to:]


def zeros(content: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(content) + 1), rng.randrange(64)
    return content[:start] + bytes(len(content[start : start + length])) + content[start + length :]


def empty(content: bytes, rng: random.Random) -> bytes:
    return b""


def noise(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.randbytes(50) + content[start:]


def number(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    for match in sorted(rng.sample(found, min(len(found), rng.choice([1, 1, 2]))), key=lambda m: -m.start()):
        content = content[: match.start()] + rng.choice(NUMBERS).encode() + content[match.end() :]
    return content


def drop_field(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    fields = re.split(rb"([ ,\t]+)", lines[at])
    del fields[rng.randrange(len(fields))]
    return b"\n".join([*lines[:at], b"".join(fields), *lines[at + 1 :]])


def drop_line(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def twice(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"\n".join(lines)


def recoded(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return rng.choice(
        [text.encode("utf-16"), text.encode("utf-8-sig"), ("é" + text).encode("cp1252", "replace"),
         text.replace("\n", "\r\n").encode(), text.replace("\n", "\r").encode(), text.replace(".", ",").encode()]
    )  # fmt: skip


def word(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"[A-Za-z_]+", content))
    if not found:
        return content
    match = rng.choice(found)
    other = rng.choice([b"", b"null", b"true", b"[]", b"{}", b"../../x", b"\x1b[2J", rng.choice(found)[0]])
    return content[: match.start()] + other + content[match.end() :]


def in_a_fork(read: Callable[[], object]) -> tuple[str, str]:
    """(verdict, words) of a reader, which runs in a copy of this process."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receive)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1), os.dup2(null, 2)
            signal.alarm(SECONDS)
            os.write(send, json.dumps(_verdict(read)).encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "wrong", f"the interpreter died: {signal.Signals(os.WTERMSIG(status)).name}"
    verdict, said = json.loads(answer) if answer else ("wrong", "no answer")
    return verdict, said


def _verdict(read: Callable[[], object]) -> tuple[str, str]:
    try:
        read()
    except LmbenchError as error:
        said = str(error)
        return ("refused", said[:200]) if said.strip() else ("wrong", "an empty message")
    except BaseException as error:
        where = [f for f in traceback.extract_tb(error.__traceback__) if "lmbench" in f.filename][-1:]
        place = f"{Path(where[0].filename).name}:{where[0].lineno}" if where else "?"
        return "wrong", f"{type(error).__name__} at {place}: {error}"[:300]
    return "works", ""


def read_dataset(name: str, root: Path, pixels: bool = True) -> None:
    """Opens a dataset, whole or in part. Raises ImplausibleError where a landmark or box of it is absurd."""
    entry = get_plugins().find("dataset", name)
    try:
        splits: Mapping[str, Any] = load_splits(name, entry, root / entry.spec.folder)
    except Incomplete as error:
        splits = error.splits
    for split, dataset in splits.items():
        if len(dataset) and "landmarks" in dataset.column_names:
            _check(f"{split} landmarks", column(dataset, "landmarks"), column(dataset, "visible"), _sides(dataset))
        if len(dataset) and not np.isfinite(column(dataset, "box")).all():
            raise ImplausibleError(f"{split}: a box that is not finite")
    if not pixels:
        return
    splits = {split: dataset for split, dataset in splits.items() if len(dataset)}
    opened = OpenDataset(name, entry, splits, fingerprint(name, entry.spec, splits), str(root))
    for split in splits:
        store = opened.pixels(split)
        assert np.asarray(store.images[:]).dtype == np.uint8
        if entry.spec.has_landmarks and len(store):
            side = np.full(len(store), float(entry.spec.preprocessing.size))
            _check(f"{split} pixels", np.asarray(store.landmarks), np.asarray(store.visible), side)


def _sides(dataset: Any) -> np.ndarray:
    """The larger side of every image; infinite where it is no image any more."""
    sides = []
    for record in dataset.with_format(None)["image"][:]:
        try:
            with Image.open(record["path"]) as image:
                sides.append(float(max(image.size)))
        except Exception:  # told when its pixels are read
            sides.append(np.inf)
    return np.array(sides)


def _check(what: str, landmarks: np.ndarray, visible: np.ndarray, sides: np.ndarray) -> None:
    seen = landmarks[visible]
    if not np.isfinite(seen).all():
        raise ImplausibleError(f"{what}: a landmark that is not finite")
    far = np.abs(landmarks).max(-1) * visible > ABSURD * sides[:, None]
    if far.any():
        raise ImplausibleError(
            f"{what}: a landmark at {np.abs(seen).max():g} in an image of {sides[far.any(1)][0]:g} pixels"
        )


class ImplausibleError(Exception):
    """A number passed that cannot be right."""
