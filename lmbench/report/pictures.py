"""Pictures of images with landmarks: contact sheets and overlays."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError
from lmbench.metrics.base import Predictions
from lmbench.store.files import write_atomically

ZOOM = 2
LEGEND_LINE = 18  # pixels
Colour = tuple[int, int, int]
TRUE, PREDICTED = (
    (86, 180, 233),
    (240, 228, 66),
)  # sky and yellow of Okabe and Ito 2008: the colour-blind tell them apart, and
# in black rims both are seen on skin and on dark fur; truth is a ring, a prediction a dot, for prints in grey
COLOURS = (  # of landmarks; those of the page that labels them
    (230, 159, 0),
    (86, 180, 233),
    (0, 192, 138),
    (240, 228, 66),
    (77, 139, 255),
    (255, 106, 61),
    (229, 143, 197),
    (255, 255, 255),
)
RING = 5.5  # pixels of a tile from its middle to its outer rim


def contact_sheet(pixels: PixelStore, count: int, columns: int = 10) -> Image.Image:
    """A grid of the first images with their landmarks, each landmark in its colour; invisible ones are not drawn."""
    tiles = []
    for i in range(min(count, len(pixels))):
        tile, draw = zoomed_tile(pixels.images[i])
        for k, (point, seen) in enumerate(zip(pixels.landmarks[i], pixels.visible[i], strict=True)):
            if seen:
                draw_dot(draw, point, COLOURS[k % len(COLOURS)])
        tiles.append(tile)
    return tile_grid(tiles, columns)


def draw_overlay(predictions: Predictions, pixels: PixelStore, path: Path, count: int = 24) -> None:
    """Writes a sheet of test images from the best to the worst predicted: rings of truth, dots of the first draw.

    Images are taken at equal steps of the rank of their mean pixel error, so that the sheet shows the whole range.
    """
    errors = np.linalg.norm(predictions.predicted[0] - predictions.target, axis=-1)
    errors = np.where(predictions.visible, errors, np.nan)
    seen = predictions.visible.any(1)
    order = np.flatnonzero(seen)[np.argsort(np.nanmean(errors[seen], axis=1))]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]
    tiles = []
    for i in chosen:
        tiles.append(
            overlaid(pixels.images[i], predictions.predicted[0, i], predictions.target[i], predictions.visible[i])
        )
    save_png(over_legend(tile_grid(tiles, 8), {"annotated": TRUE, "predicted": PREDICTED}, rings=("annotated",)), path)


def overlaid(pixels: np.ndarray, predicted: np.ndarray, target: np.ndarray, visible: np.ndarray) -> Image.Image:
    """An image (H, W, 3), zoomed, with its landmarks (L, 2): a ring of truth, a dot of prediction, a line between the two."""
    tile, draw = zoomed_tile(pixels)
    for found, true, seen in zip(predicted, target, visible, strict=True):
        if seen:
            line = [_at(true), _at(found)]
            draw.line(line, fill=(0, 0, 0), width=3)
            draw.line(line, fill=(255, 255, 255))
            _ring(draw, _at(true), TRUE)
            draw_dot(draw, found, PREDICTED)
    return tile


def _ring(draw: ImageDraw.ImageDraw, place: tuple[float, float], colour: Colour, radius: float = RING) -> None:
    """A ring of two pixels in black rims, whose middle stays free."""
    x, y = place
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(0, 0, 0), width=4)
    inner = radius - 1
    draw.ellipse((x - inner, y - inner, x + inner, y + inner), outline=colour, width=2)


def draw_points(image: Image.Image, points: np.ndarray) -> Image.Image:
    """A copy of an image with points (L, 2) in its own pixels."""
    copy = image.convert("RGB")
    draw = ImageDraw.Draw(copy)
    radius = max(2, min(copy.size) // 60)
    for k, (x, y) in enumerate(points):
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=COLOURS[k % len(COLOURS)], outline=(0, 0, 0)
        )
    return copy


TILE = 320  # height in pixels of an image on a sheet of images of any size


def tile_of(image: Image.Image) -> Image.Image:
    """An image at the height it has on such a sheet."""
    return image.resize((max(1, round(image.width * TILE / image.height)), TILE), Image.Resampling.BICUBIC)


def side_by_side(tiles: list[Image.Image]) -> Image.Image:
    """Tiles of one height in rows of up to six, each in the middle of its place."""
    width = max(t.width for t in tiles)
    padded = []
    for tile in tiles:
        padded.append(Image.new("RGB", (width, tile.height), (30, 30, 30)))
        padded[-1].paste(tile, ((width - tile.width) // 2, 0))
    return tile_grid(padded, 6)


def over_legend(sheet: Image.Image, names: Mapping[str, Colour], rings: Collection[str] = ()) -> Image.Image:
    """A sheet above the names of its colours, in as many lines as they need; the sheet itself where there is none.

    ``rings``: names of what is drawn as rings.
    """
    if not names:
        return sheet
    font, x, y, places = ImageFont.load_default(), 0.0, 0, []
    for name, colour in names.items():
        width = 22 + font.getlength(name)
        if x and x + width > sheet.width:
            x, y = 0.0, y + LEGEND_LINE
        places.append((x, y, name, colour))
        x += width
    larger = Image.new("RGB", (sheet.width, sheet.height + y + LEGEND_LINE), (30, 30, 30))
    larger.paste(sheet, (0, 0))
    draw = ImageDraw.Draw(larger)
    for left, line, name, colour in places:
        top = sheet.height + line
        if name in rings:
            _ring(draw, (left + 8.5, top + 8.5), colour)
        else:
            draw.ellipse((left + 5, top + 5, left + 12, top + 12), fill=colour, outline=(0, 0, 0))
        draw.text((left + 16, top + 3), name, fill=(255, 255, 255), font=font)
    return larger


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a PNG atomically. Raises DataError for a name that is no .png."""
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: pictures are written as .png; choose such a name.")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())


def zoomed_tile(pixels: np.ndarray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An image (H, W, 3) of a store at ``ZOOM`` times its size, and what draws on it."""
    image = Image.fromarray(np.asarray(pixels))
    tile = image.resize((image.width * ZOOM, image.height * ZOOM), Image.Resampling.BICUBIC)
    return tile, ImageDraw.Draw(tile)


def _at(point: np.ndarray) -> tuple[float, float]:
    """A landmark's place on a zoomed tile: pixel centres stay pixel centres."""
    return (float(point[0]) + 0.5) * ZOOM - 0.5, (float(point[1]) + 0.5) * ZOOM - 0.5


def draw_dot(
    draw: ImageDraw.ImageDraw,
    point: np.ndarray,
    colour: tuple[int, int, int],
    radius: float = 3,
) -> None:
    """A dot of ``radius`` pixels of the tile at a landmark in pixels of its image."""
    x, y = _at(point)
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(box, fill=colour, outline=(0, 0, 0))


def tile_grid(tiles: list[Image.Image], columns: int) -> Image.Image:
    """Tiles of one size in rows of ``columns``. Raises DataError where there is none."""
    if not tiles:
        raise DataError("there is no image to draw.")
    columns = min(columns, len(tiles))
    width, height = tiles[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), (30, 30, 30))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    return sheet
