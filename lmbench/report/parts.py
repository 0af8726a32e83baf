"""Pictures of images with coloured parts."""

from __future__ import annotations

import colorsys
from pathlib import Path

import datasets
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lmbench.data.masks import read_masks
from lmbench.data.pixels import PixelStore
from lmbench.report.pictures import save_png, tile_grid, zoomed_tile
from lmbench.specs import DatasetSpec

OPACITY = 0.65  # of a part at its strongest
COLUMNS = 8


def draw_parts(pixels: PixelStore, strengths: Tensor, path: Path) -> None:
    """Writes the images, each above itself in the colours of its parts.

    ``strengths`` (N, k, h, w), 0 to 1: a pixel has the colour of its strongest part, the stronger the more opaque. A part
    has one colour in all images.
    """
    colours = part_colours(strengths.shape[1])
    tiles = []
    for image, strength in zip(pixels.images, strengths, strict=True):
        plain = zoomed_tile(image)[0]
        full = functional.interpolate(
            strength[None], (plain.height, plain.width), mode="bilinear", align_corners=False
        )[0].numpy()
        opacity = OPACITY * full.max(0)[..., None]
        painted = np.asarray(plain) * (1 - opacity) + colours[full.argmax(0)] * opacity
        tile = Image.new("RGB", (plain.width, 2 * plain.height))
        tile.paste(plain, (0, 0))
        tile.paste(Image.fromarray(painted.round().astype(np.uint8)), (0, plain.height))
        tiles.append(tile)
    save_png(tile_grid(tiles, COLUMNS), path)


def draw_masks(pixels: PixelStore, dataset: datasets.Dataset, spec: DatasetSpec, path: Path) -> None:
    """Writes the images of a store, the first of ``dataset``, above themselves in the colours of their classes but the first."""
    count = len(spec.classes)
    masks = torch.from_numpy(read_masks(dataset, spec.preprocessing, count, len(pixels)))
    draw_parts(pixels, functional.one_hot(masks.long(), count).movedim(-1, 1)[:, 1:].float(), path)


def part_colours(k: int) -> np.ndarray:
    """(k, 3): colours of k parts, 0 to 255, their hues at equal steps."""
    return np.array([colorsys.hsv_to_rgb(i / k, 1, 1) for i in range(k)]) * 255
