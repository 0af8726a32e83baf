"""What was found so far, a line an object, beside the files that are made of it: an interrupted prediction goes on from there.

It is safe to go on because nothing is taken on trust. The first line says what the others were made by: lmbench's version, the
digest of network and head, every image's path and box, how they were framed, on which kind of device; of another one nothing
is used. Each image stands there with the size and the time of its file, and counts while the file still has them. A line that
was cut off ends what counts, and all objects of an image count or none. A video begins anew. Files are written once the last
line is there, whole, and then the journal goes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from lmbench import __version__, progress
from lmbench.config.model import digest_of
from lmbench.detecting.regions import Detection, LeftOut, Region
from lmbench.detecting.video import is_video
from lmbench.errors import LmbenchError
from lmbench.store.files import explained

FORMAT = 1
SUFFIX = ".partial"


class Journal:
    """The journal of some regions, predicted by what ``made_by`` says."""

    def __init__(self, path: Path, regions: Sequence[Region], made_by: Any) -> None:
        self.path, self.regions = path, regions
        asked = [[str(r.path), r.box, r.label] for r in regions]
        self._head = {"journal": FORMAT, "version": __version__, "of": digest_of([asked, made_by])}
        self._file: IO[bytes] | None = None
        self._done = self._end = 0
        self._told = False

    def count(self) -> int:
        """How many regions are done, and may be gone on from; 0 where there is no journal of them."""
        self._done, self._end = self._counting() if self.path.is_file() else (0, 0)
        return self._done

    def forget(self) -> int:
        """Counts nothing: all is to be found anew."""
        self._done = self._end = 0
        return 0

    def begin(self) -> None:
        """Goes on from what was counted: what does not count is taken off, and more may be added."""
        self._told = bool(self._done)
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("r+b" if self._end else "wb")
        if self._end:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            progress.say(f"going on from {self.path}: {self._done:,} of {len(self.regions):,} are done")
        else:
            self._write([self._head])

    def add(self, found: Sequence[Detection | LeftOut]) -> None:
        """Adds all objects of an image."""
        assert self._file is not None
        self._write([_entry(one) for one in found])
        self._told = True

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a full disk, which was told when the line was written
                self._file.close()
            self._file = None

    def abandon(self) -> None:
        """Closes it before all is found; one that tells of nothing does not stay."""
        self.close()
        if not self._told:
            self.remove()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Detection | LeftOut]:
        """All that was found, in order."""
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                told = _read(line)
                if told is None:
                    raise LmbenchError(f"{self.path} was changed while it was read; give the same command again.")
                yield told[0]

    def _write(self, entries: Sequence[Any]) -> None:
        assert self._file is not None
        text = "".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries)
        with explained(self.path):
            self._file.write(text.encode("utf-8", "surrogatepass"))
            self._file.flush()

    def _counting(self) -> tuple[int, int]:
        """(regions that are done, bytes of the journal that tell of them); nothing of a journal of something else."""
        with self.path.open("rb") as file:
            head = file.readline()
            try:
                known = json.loads(head) == self._head
            except ValueError:
                known = False
            if not known:
                progress.say(f"{self.path} tells of another prediction: nothing of it is used")
                return 0, 0
            done = at = 0
            end = position = len(head)
            for line in file:
                told = _read(line)
                if told is None:
                    break
                found, stand = told
                while at < len(self.regions) and self._video(at) and self.regions[at].path != found.region.path:
                    at = done = self._behind(at)  # a video is whole once the next image is there
                    end = position
                if at == len(self.regions):
                    break
                position += len(line)
                if self._video(at):
                    continue
                if not _same(found.region, self.regions[at]) or stand != _stand(found.region):
                    break
                at += 1
                if at == self._behind(at - 1):
                    done, end = at, position
            return done, end

    def _video(self, at: int) -> bool:
        return is_video(self.regions[at].path)

    def _behind(self, at: int) -> int:
        """The first region behind those of the same image or video."""
        path = self.regions[at].path
        while at < len(self.regions) and self.regions[at].path == path:
            at += 1
        return at


def _entry(one: Detection | LeftOut) -> dict[str, Any]:
    region = one.region
    about = {
        "image": str(region.path),
        "box": region.box,
        "label": region.label,
        "moment": region.moment,
        "file": _stand(region),
    }
    if isinstance(one, LeftOut):
        return {**about, "left_out": one.why}
    sure = None if one.confidence is None else one.confidence.tolist()
    return {
        **about, "size": one.size, "frame": one.frame, "framed": one.framed, "landmarks": one.landmarks.tolist(),
        "confidence": sure,
    }  # fmt: skip


def _stand(region: Region) -> list[int]:
    try:
        found = os.stat(region.path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _read(line: bytes) -> tuple[Detection | LeftOut, list[int]] | None:
    """What a line tells, and how the image's file stood; None for one that is none."""
    try:
        entry: Any = json.loads(line.decode("utf-8", "surrogatepass")) if line.endswith(b"\n") else None
        moment = entry["moment"] and (int(entry["moment"][0]), float(entry["moment"][1]))
        box = entry["box"] and tuple(entry["box"])
        region = Region(Path(entry["image"]), box, entry["label"], moment=moment)
        if "left_out" in entry:
            return LeftOut(region, entry["left_out"]), entry["file"]
        width, height = entry["size"]
        sure = None if entry["confidence"] is None else np.array(entry["confidence"], np.float64)
        points, frame = np.array(entry["landmarks"], np.float64), tuple(entry["frame"])
        return Detection(region, (width, height), frame, entry["framed"], points, sure), entry["file"]
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _same(found: Region, asked: Region) -> bool:
    return (found.path, found.box, found.label) == (asked.path, asked.box and tuple(asked.box), asked.label)
