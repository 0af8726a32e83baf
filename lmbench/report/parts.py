"""Pictures of images with coloured parts."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lmbench.data.pixels import PixelStore
from lmbench.report.pictures import save_png, tile_grid, zoomed_tile

OPACITY = 0.65  # of a part at its strongest
COLUMNS = 8


def draw_parts(pixels: PixelStore, strengths: Sequence[Tensor], path: Path) -> None:
    """Writes the images, each above itself in the colours of its parts, once for every one of ``strengths``.

    ``strengths``, each (N, k, h, w), 0 to 1: a pixel has the colour of its strongest part, the stronger the more opaque. A
    part has one colour in all images.
    """
    tiles = []
    for i, image in enumerate(pixels.images):
        plain = zoomed_tile(image)[0]
        tile = Image.new("RGB", (plain.width, (1 + len(strengths)) * plain.height))
        tile.paste(plain, (0, 0))
        for row, strength in enumerate(strengths, 1):
            tile.paste(_painted(plain, strength[i]), (0, row * plain.height))
        tiles.append(tile)
    save_png(tile_grid(tiles, COLUMNS), path)


def draw_classes(pixels: PixelStore, masks: Sequence[Tensor], classes: int, path: Path) -> None:
    """Writes the images, each above itself in the colours of its classes but the first, once for each of ``masks`` (N, H, W)."""
    draw_parts(pixels, [functional.one_hot(m.long(), classes).movedim(-1, 1)[:, 1:].float() for m in masks], path)


def _painted(plain: Image.Image, strength: Tensor) -> Image.Image:
    """The image under the colours of its parts (k, h, w)."""
    size = (plain.height, plain.width)
    full = functional.interpolate(strength[None], size, mode="bilinear", align_corners=False)[0].numpy()
    opacity = OPACITY * full.max(0)[..., None]
    painted = np.asarray(plain) * (1 - opacity) + part_colours(len(strength))[full.argmax(0)] * opacity
    return Image.fromarray(painted.round().astype(np.uint8))


def part_colours(k: int) -> np.ndarray:
    """(k, 3): colours of k parts, 0 to 255, their hues at equal steps."""
    return np.array([colorsys.hsv_to_rgb(i / k, 1, 1) for i in range(k)]) * 255
