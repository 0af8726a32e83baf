"""Where landmarks are likely to be, by a head that is fitted again in the background while images are labelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmbench.errors import told
from lmbench.labelling.documents import Points, Proposing
from lmbench.labelling.images import ImageFolder
from lmbench.labelling.table import HIDDEN, Marks

if TYPE_CHECKING:
    import numpy as np
    import torch

    from lmbench.detecting.framer import Framer
    from lmbench.features import Extractor, FeatureMaps
    from lmbench.heads.cross_fitted import FittedConverged

LEAST = 3  # labelled images
MOST = 60  # the images that a head is fitted to, evenly of those there are: no click waits for more

Labelled = Mapping[str, Marks]
Network = tuple["Extractor", "Framer", "torch.device"]


@dataclass(frozen=True)
class _Head:
    heads: FittedConverged
    seen: tuple[bool, ...]  # of each landmark whether an image shows it: of others a head knows nothing
    of: int
    said: str


class Proposer:
    """Fits a head whenever labels have changed and none is being fitted; proposes by the last one. It never sets a mark.

    ``load`` gives the frozen network, how images are framed, and the device; it is called in the background.
    """

    def __init__(self, folder: ImageFolder, load: Callable[[], Network]) -> None:
        self.folder, self._load = folder, load
        self._labelled: Labelled = {}
        self._changed, self._encoding = threading.Event(), threading.Lock()
        self._network: Network | None = None
        self._kept: dict[str, tuple[FeatureMaps, np.ndarray]] = {}
        self._head: _Head | None = None
        self._made = 0
        self._doing = "waiting"
        threading.Thread(target=self._work, daemon=True, name="proposals").start()

    def learn(self, labelled: Labelled) -> None:
        """Takes note of the labels as they are now."""
        self._labelled = labelled
        self._changed.set()

    def status(self) -> Proposing:
        """How it is doing."""
        head = self._head
        return {
            "made": self._made,
            "doing": self._doing,
            "of": head.of if head else 0,
            "said": head.said if head else "",
            "least": LEAST,
        }

    def propose(self, index: int) -> Points | None:
        """(L, 2) pixels of an image, None for a landmark that no labelled image shows, and where no head is fitted yet.

        Raises DataError for what is no image.
        """
        import numpy as np

        from lmbench.heads.base import TensorInputs

        head = self._head
        if head is None or self._network is None:
            return None
        framer = self._network[1]
        maps, frame = self._encoded(self.folder.names[index], self.folder.path(index))
        found = head.heads.predict(TensorInputs(framer.steps.size, maps))[0].numpy()
        width, height = self.folder.size(index)
        points = framer.restored(found, frame[None])[0]
        points = np.clip(points, -0.5, [width - 0.5, height - 0.5])
        return [
            [round(float(x), 2), round(float(y), 2)] if seen else None
            for (x, y), seen in zip(points, head.seen, strict=True)
        ]

    def _work(self) -> None:
        from lmbench import progress

        while True:
            self._changed.wait()
            self._changed.clear()
            labelled = {n: m for n, m in self._labelled.items() if any(isinstance(mark, tuple) for mark in m)}
            if len(labelled) < LEAST:
                continue
            self._doing = "fitting"
            try:
                with progress.silenced():
                    self._head = self._fitted(labelled)
                self._made += 1
                self._doing = "ready"
            except Exception as error:  # whatever it is, labelling goes on
                self._doing = f"failed: {told(error)}"

    def _fitted(self, labelled: Labelled) -> _Head:
        import numpy as np
        import torch

        from lmbench.fitting.fit import fitted

        if self._network is None:
            self._network = self._load()
        framer = self._network[1]
        names = sorted(labelled)
        names = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(MOST, len(names))).round().astype(int))]
        with self._encoding:  # of images that no head is fitted to any more nothing is kept, however long one labels
            self._kept = {name: self._kept[name] for name in names if name in self._kept}
        several = [self._encoded(name, self.folder.folder / name, keep=True) for name in names]
        maps = _stacked([m for m, _ in several])
        visible = np.array([[mark not in (None, HIDDEN) for mark in labelled[name]] for name in names])
        points = np.array(
            [[mark if isinstance(mark, tuple) else (0, 0) for mark in labelled[name]] for name in names], float
        )
        seen = torch.from_numpy(framer.seen(points, np.stack([frame for _, frame in several]))).float()
        heads, _ = fitted(maps, framer.steps.size, seen, torch.from_numpy(visible))
        return _Head(heads, tuple(bool(column.any()) for column in visible.T), len(names), heads.said[0])

    def _encoded(self, name: str, path: Path, keep: bool = False) -> tuple[FeatureMaps, np.ndarray]:
        """The maps of an image, and its frame; those that a head is fitted to are kept."""
        from lmbench.detecting.regions import Region
        from lmbench.fitting.fit import encoded

        assert self._network is not None
        network, framer, device = self._network
        with self._encoding:
            if (found := self._kept.get(name)) is None:
                framed = next(framer.framed(framer.read(path), [Region(path)], ""))
                found = encoded(network, [framed.pixels], device), framed.frame
                if keep:
                    self._kept[name] = found
        return found


def _stacked(several: list[FeatureMaps]) -> FeatureMaps:
    from dataclasses import replace

    import torch

    levels = zip(*(maps.maps for maps in several), strict=True)
    return replace(several[0], maps=tuple(torch.cat(level) for level in levels))
