"""The picture that a synthetic face is painted on."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lmbench.datasets.synthfaces.loader.arrays import Array, Bools

SIZE: Final = 96
SUPERSAMPLING: Final = 2


class Canvas:
    """A supersampled picture that remembers which areas were painted over the face."""

    def __init__(self, background: Image.Image) -> None:
        # Nearest neighbour: reducing gives back exactly the background where nothing is painted.
        size = (SIZE * SUPERSAMPLING, SIZE * SUPERSAMPLING)
        self._image = background.resize(size, Image.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._image)
        self._covers: list[Array] = []

    def polygons(self, outlines: Array, colours: Array, covers: bool = False) -> None:
        """Fill `outlines` (Q, N, 2), pixels, with `colours` (Q, 3); `covers`: they hide landmarks below."""
        corners = self._grid(outlines).reshape(len(outlines), -1).tolist()
        for corner, ink in zip(corners, inks(colours), strict=True):
            self._draw.polygon(corner, ink)
        if covers:
            self._covers.append(outlines)

    def polygon(self, outline: Array, colour: Array, covers: bool = False) -> None:
        """Fill one `outline` (N, 2), pixels, with `colour` (3,)."""
        self.polygons(outline[None], colour[None], covers)

    def line(self, path: Array, colour: Array, width: float) -> None:
        """Draw `path` (N, 2), pixels, `width` pixels wide."""
        ink = inks(colour[None])[0]
        thick = max(1, round(width * SUPERSAMPLING))
        self._draw.line(self._grid(path).ravel().tolist(), fill=ink, width=thick, joint="curve")

    def covers(self, points: Array) -> Bools:
        """Return which of `points` (L, 2), pixels, lie under a polygon that covers."""
        hidden = np.zeros(len(points), dtype=bool)
        for outlines in self._covers:
            hidden |= _inside(points, outlines)
        return hidden

    def reduced(self) -> Image.Image:
        """Return the picture at its final size."""
        return self._image.reduce(SUPERSAMPLING)

    def _grid(self, points: Array) -> npt.NDArray[np.int64]:
        # Pillow truncates corners to whole pixels: rounding first keeps shapes centred.
        return np.floor(points * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2 + 0.5).astype(np.int64)


def inks(colours: Array) -> list[int]:
    """Return `colours` (Q, 3), 0 and more, as Pillow packs them: faster to draw with than tuples."""
    packed: list[int] = (np.minimum(colours, 255).astype(np.int64) @ [1, 1 << 8, 1 << 16]).tolist()
    return packed


def _inside(points: Array, outlines: Array) -> Bools:
    """Return which of `points` (L, 2) lie inside any of `outlines` (Q, N, 2), by the even-odd rule."""
    x, y = points[:, None, None, 0], points[:, None, None, 1]
    x0, y0 = outlines[..., 0], outlines[..., 1]
    following = outlines[:, [*range(1, outlines.shape[1]), 0]]
    x1, y1 = following[..., 0], following[..., 1]
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    crossings = straddles & (x < x0 + (y - y0) * (x1 - x0) / rise)
    return np.asarray((crossings.sum(axis=2) % 2 == 1).any(axis=1))


def dull_colours(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.uint8]:
    """Return random colours (*shape, 3), most of them greyish or brownish, as in photographs."""
    grey = rng.uniform(10, 240, (*shape, 1))
    chroma = rng.uniform(0, 60) * rng.standard_normal((*shape, 3)) + rng.uniform(-10, 30) * np.array([1, 0, -1])
    return np.clip(grey + chroma, 0, 255).astype(np.uint8)
