"""What the page asks and tells: images, their marks, who else is at it, how far it has come. JSON in, JSON out; no HTTP here."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import Any

from lmbench.errors import DataError, LmbenchError, UsageError
from lmbench.labelling.documents import About, Item, Kept, Labelled, Listed, Progress, Proposed, State, Status
from lmbench.labelling.images import ImageFolder
from lmbench.labelling.proposals import Proposer
from lmbench.labelling.table import HIDDEN, LabelTable, Mark, Marks

PAGE = 50  # images that are listed at once
AWAKE = 8.0  # seconds after which a window that has not asked counts as closed


class ConflictError(LmbenchError):
    """Another window wrote the marks of an image meanwhile; ``now``: as they are."""

    def __init__(self, now: Labelled) -> None:
        super().__init__("another window wrote the marks of this image meanwhile.")
        self.now = now


class Session:
    """The labels of a folder while they are made. All that is asked may come from several threads."""

    def __init__(self, folder: ImageFolder, table: LabelTable, proposer: Proposer | None = None) -> None:
        self.folder, self.table, self.proposer = folder, table, proposer
        self._lock = threading.RLock()
        self._revisions: Counter[int] = Counter()
        self._windows: dict[str, float] = {}
        self._tell_proposer()

    def about(self) -> About:
        """What the page is made with."""
        return {
            "names": self.table.names,
            "total": len(self.folder),
            "file": self.table.path.name,
            "start": next((i for i in range(len(self.folder)) if not self._done(i)), 0),
            "proposals": self.proposer is not None,
            "page": PAGE,
        }

    def image(self, index: int) -> Labelled:
        """Name, size and marks of an image. What is no image has ``problem`` instead of a size."""
        self._require(index)
        with self._lock:
            found: Labelled = {
                "index": index,
                "name": self.folder.names[index],
                "marks": list(self.table.marks(self.folder.names[index])),
                "revision": self._revisions[index],
            }
        try:
            width, height = self.folder.size(index)
        except DataError as error:
            return {**found, "problem": str(error)}
        return {**found, "width": width, "height": height}

    def put(self, index: int, given: Any) -> Kept:
        """Keeps the ``marks`` of an image that the page last saw at ``revision``; the new revision and the progress.

        Raises ConflictError where another window was faster, UsageError for what are no marks of this image, StaleError and
        LmbenchError as `LabelTable.put`.
        """
        self._require(index)
        size = self.folder.size(index)
        marks = self._marks(given, size)
        with self._lock:
            if given.get("revision") != self._revisions[index]:
                raise ConflictError(self.image(index))
            self.table.put(self.folder.names[index], size, marks)
            self._revisions[index] += 1
            self._tell_proposer()
            return {"revision": self._revisions[index], "progress": self.progress()}

    def listed(self, start: int) -> Listed:
        """A page of images with how far each is."""
        start = max(0, min(start, len(self.folder) - 1)) // PAGE * PAGE
        with self._lock:
            images: list[Item] = [
                {"index": i, "name": self.folder.names[i], "state": self._state(i)}
                for i in range(start, min(start + PAGE, len(self.folder)))
            ]
        return {"start": start, "images": images}

    def status(self, window: str, index: int) -> Status:
        """Progress, how many windows are open, the revision of the image shown, and how the proposals are doing."""
        self._require(index)
        now = time.monotonic()
        with self._lock:
            self._windows[window[:40]] = now
            self._windows = {w: at for w, at in self._windows.items() if now - at < AWAKE}
            windows, revision, progress = len(self._windows), self._revisions[index], self.progress()
        try:
            self.table.require_unchanged()
            changed = ""
        except LmbenchError as error:
            changed = str(error)
        proposals = self.proposer.status() if self.proposer else None
        return {
            "progress": progress,
            "windows": windows,
            "revision": revision,
            "changed": changed,
            "proposals": proposals,
        }

    def proposed(self, index: int) -> Proposed:
        """Where the head that was fitted last sees the landmarks of an image; no points where there is none."""
        self._require(index)
        points = self.proposer.propose(index) if self.proposer else None
        return {"index": index, "points": points}

    def farthest(self, index: int) -> int:
        """The image that is farthest, by number, from all that are begun; ``index`` where none is left."""
        with self._lock:
            begun = [i for i in range(len(self.folder)) if self._state(i) != "none"]
        last = len(self.folder) - 1
        if not begun or len(begun) > last:
            return index if begun else 0
        gaps = [((b - a) // 2, (a + b) // 2) for a, b in pairwise(begun)]
        return max([(begun[0], 0), (last - begun[-1], last), *gaps])[1]

    def reread(self) -> None:
        """Takes the table as another program left it; every window is told by the revisions. Raises as `LabelTable`."""
        with self._lock:
            self.table = LabelTable(self.table.path, self.table.names)
            for i in range(len(self.folder)):
                self._revisions[i] += 1
            self._tell_proposer()

    def progress(self) -> Progress:
        """How many images are labelled, every landmark said of, and how many are begun."""
        with self._lock:
            states = Counter(self._state_of(self.table.marks(name)) for name in self.table if name in self._known)
        return {"labelled": states["done"], "begun": states["begun"]}

    @property
    def _known(self) -> frozenset[str]:
        if not hasattr(self, "_names"):
            self._names = frozenset(self.folder.names)
        return self._names

    def _require(self, index: int) -> None:
        if not 0 <= index < len(self.folder):
            raise UsageError(f"there is no image {index}: they are numbered from 0 to {len(self.folder) - 1}.")

    def _state(self, index: int) -> State:
        return self._state_of(self.table.marks(self.folder.names[index]))

    def _done(self, index: int) -> bool:
        return self._state(index) == "done"

    @staticmethod
    def _state_of(marks: Marks) -> State:
        said = sum(mark is not None for mark in marks)
        return "none" if not said else "done" if said == len(marks) else "begun"

    def _marks(self, given: Any, size: tuple[int, int]) -> Marks:
        marks = given.get("marks") if isinstance(given, dict) else None
        if not isinstance(marks, list) or len(marks) != len(self.table.names):
            raise UsageError(f"expected marks of {len(self.table.names)} landmarks.")
        return tuple(_mark(mark, size) for mark in marks)

    def _tell_proposer(self) -> None:
        if self.proposer:
            known = self._known
            self.proposer.learn({name: self.table.marks(name) for name in self.table if name in known})


def _mark(given: Any, size: tuple[int, int]) -> Mark:
    if given is None or given == HIDDEN:
        return given  # type: ignore[no-any-return]
    if isinstance(given, list) and len(given) == 2 and all(type(v) in (int, float) and math.isfinite(v) for v in given):
        x, y = float(given[0]), float(given[1])
        if -0.5 <= x <= size[0] - 0.5 and -0.5 <= y <= size[1] - 0.5:
            return x, y
    raise UsageError(f"{given!r:.60} is no point of an image of {size[0]} x {size[1]} pixels.")
