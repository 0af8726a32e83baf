"""New images framed as those were that a detector was fitted on, and brought to what its network sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lmbench.data.boxes import central_squares, check_box, frames_of, made_of, own_frame
from lmbench.data.images import read_image
from lmbench.data.pixels import preprocess_image, restore_points, transform_points
from lmbench.detecting.regions import Filling, Region
from lmbench.errors import DataError, UsageError
from lmbench.geometry.framing import Framing, Preprocessing


@dataclass(frozen=True)
class Framed:
    """A region as the network sees it: ``pixels`` (size, size, 3) uint8 of the frame (4,), which ``said`` tells of in words.

    ``size``: width and height of the image that it was cut from; that ``image`` itself where it is still wanted.
    """

    region: Region
    size: tuple[int, int]
    frame: np.ndarray
    said: str
    pixels: np.ndarray
    image: Image.Image | None


@dataclass(frozen=True)
class Framer:
    """How the images of ``name`` were framed (None where its record does not state it) and what was done to them."""

    name: str
    steps: Preprocessing
    framing: Framing | None

    def require_boxes(self, regions: Iterable[Region], filling: Filling) -> None:
        """Raises UsageError, before anything is read, where the frames were made of more than the images."""
        if filling or (self.framing is not None and not self.framing.from_labels):
            return
        without = next((r.path for r in regions if r.box is None), None)
        if without is None:
            return
        if self.framing is None:
            reason = f"the record of {self.name} does not say how its images were framed"
            box = "a box is then read as it is, as the whole frame. Or give the run's command again with --resume never"
        else:
            reason = f"the images of {self.name} were cut by {made_of(self.framing)}"
            box = "the run's own margin is added"
        raise UsageError(
            f"{reason}, and {without} has no box. Say where the object is: --box LEFT,TOP,WIDTH,HEIGHT in pixels of the "
            f"image, or --boxes FILE.csv with the columns image,left,top,width,height ({box}). Where it fills the image: "
            "--boxes whole; where it fills the central square: --boxes central. (From Python: boxes=.)"
        )

    def read(self, path: Path) -> Image.Image:
        """An image file as the run read its own. Raises DataError for a file that is none."""
        return read_image(path, str(path), "predict", self.framing is not None and self.framing.raw)[0]

    def framed(
        self, image: Image.Image, regions: Sequence[Region], filling: Filling, keep_image: bool = False
    ) -> Iterator[Framed]:
        """The regions of one image. Raises DataError for a box that is none of this image, and for a frame beyond memory."""
        for region in regions:
            frame, said = self._frame(image, region, filling)
            try:
                pixels = preprocess_image(image, frame, self.steps)[0]
            except (Image.DecompressionBombError, MemoryError):
                width, height = frame[2:]
                raise DataError(
                    f"{region.path}: what is to be cut from this image of {image.width} x {image.height} pixels, {width:.0f} x "
                    f"{height:.0f} pixels, is more than memory holds. Make the image smaller, or give a box of the object."
                ) from None
            yield Framed(region, image.size, frame, said, pixels, image if keep_image else None)

    def restored(self, landmarks: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """(B, L, 2) pixels of the images, from pixels of what the network saw of their frames (B, 4)."""
        return restore_points(landmarks, frames, frames[:, 2:], self.steps)

    def seen(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """(B, P, 2) pixels of what the network sees of frames (B, 4), from pixels of the images: the way there."""
        return transform_points(points, frames, frames[:, 2:], self.steps)

    def _frame(self, image: Image.Image, region: Region, filling: Filling) -> tuple[np.ndarray, str]:
        """(4,) and what it is made of."""
        whole = np.array([[0, 0, *image.size]], np.float64)
        if region.box is None and not filling:
            assert self.framing is not None
            return own_frame(self.framing, image.size, str(region.path)), made_of(self.framing)
        if region.box is not None:
            check_box(region.box, image.size, str(region.path))
            box, said = np.array([region.box], np.float64), "the given box"
        else:
            box = whole if filling == "whole" else central_squares(whole)
            said = f"the {filling} image as the object's box, as asked for"
        return frames_of(self.framing, box, whole[:, 2:])[0], said
