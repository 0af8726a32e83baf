"""What is looked at, and what was found there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import pandas

Filling = Literal["", "whole", "central"]
FILLING: tuple[Filling, ...] = ("whole", "central")


@dataclass(frozen=True)
class Region:
    """What is looked at: an image or a video, and in it the box (left, top, width, height) of an object called ``label``.

    Without a box the image is framed as the run framed its images. ``pixels``: the image where it is no file, and ``path`` is
    then what it is called; ``moment``: the number of a video's frame, and the second it is shown at. ``chanced_upon``: nobody
    named it, it lay in a folder, so that it is left out where it is no image.
    """

    path: Path
    box: tuple[float, ...] | None = None
    label: str = ""
    pixels: Image.Image | None = None
    moment: tuple[int, float] | None = None
    chanced_upon: bool = False


@dataclass(frozen=True)
class Detection:
    """Landmarks (L, 2) in pixels of an image of ``size`` (width, height) as it was read, and the frame (left, top, width,
    height) they were seen in.

    ``framed``: what the frame was made of, in words. ``confidence`` (L,): None where the detector states none. ``image``: the
    image itself where it was asked for.
    """

    region: Region
    size: tuple[int, int]
    frame: tuple[float, ...]
    framed: str
    landmarks: np.ndarray
    confidence: np.ndarray | None = None
    image: Image.Image | None = None


@dataclass(frozen=True)
class LeftOut:
    """An image of a folder that could not be read, or a part of a video, and why."""

    region: Region
    why: str


@dataclass(frozen=True)
class Landmarks:
    """What `Run.predict` gives: ``landmarks`` (B, L, 2), pixels, x before y, of the images as they were given.

    ``confidence`` (B, L): None where the detector states none. ``frames`` (B, 4): left, top, width and height of what the
    network saw of each image. Unpacks as ``landmarks, confidence = run.predict(images)``.
    """

    landmarks: np.ndarray
    confidence: np.ndarray | None
    names: tuple[str, ...]
    frames: np.ndarray
    images: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.landmarks)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.landmarks, self.confidence))

    @property
    def table(self) -> pandas.DataFrame:
        """A row for each landmark of each image: image, landmark, x, y and, where it is known, confidence."""
        import pandas

        count = len(self.names)
        columns: dict[str, np.ndarray] = {
            "image": np.repeat(np.array(self.images, object), count),
            "landmark": np.tile(np.array(self.names, object), len(self)),
            "x": self.landmarks[..., 0].ravel(),
            "y": self.landmarks[..., 1].ravel(),
        }
        if self.confidence is not None:
            columns["confidence"] = self.confidence.ravel()
        return pandas.DataFrame(columns)

    @classmethod
    def of(cls, found: Sequence[Detection], names: tuple[str, ...]) -> Landmarks:
        """Of detections, one an image."""
        sure = [d.confidence for d in found if d.confidence is not None]
        return cls(
            landmarks=np.stack([d.landmarks for d in found]) if found else np.zeros((0, len(names), 2)),
            confidence=np.stack(sure) if sure else None,
            names=names,
            frames=np.array([d.frame for d in found]).reshape(-1, 4),
            images=tuple(str(d.region.path) for d in found),
        )
