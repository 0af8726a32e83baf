"""Pictures of images with landmarks: contact sheets and overlays."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from lmbench.data.pixels import PixelStore
from lmbench.errors import DataError
from lmbench.metrics.base import Predictions
from lmbench.printable import printable
from lmbench.report.marks import LIGHT, Colour, Mark, legend_of, mark_of
from lmbench.report.style import SKY, YELLOW
from lmbench.store.files import write_atomically

ZOOM = 2
LEGEND_LINE = 18  # pixels
RIM = 2  # pixels beside a captioned tile
DOT, RING = 3, 2.5  # pixels of a zoomed tile: the radii of a landmark and, within its ring, of an annotated one
BACKGROUND = (30, 30, 30)
TRUE, PREDICTED = Mark(ImageColor.getrgb(SKY), hollow=True), Mark(ImageColor.getrgb(YELLOW))
"""The colour-blind tell them apart; in dark rims both are seen on skin and on dark fur; ring and dot, for prints in grey."""
HIDDEN = "hollow: hidden"


def contact_sheet(
    pixels: PixelStore, count: int, names: Sequence[str] = (), hidden_annotated: bool = False, columns: int = 10
) -> Image.Image:
    """A grid of the first images with their landmarks above the names of their marks.

    An invisible landmark is drawn hollow where the dataset annotates hidden ones (``hidden_annotated``), and not at all where
    there is no label of it. More landmarks than marks tell apart have no names.
    """
    tiles, hidden = [], False
    for i in range(min(count, len(pixels))):
        tile, draw = zoomed_tile(pixels.images[i])
        for k, (point, seen) in enumerate(zip(pixels.landmarks[i], pixels.visible[i], strict=True)):
            if seen or hidden_annotated:
                mark_of(k, hollow=not seen).draw(draw, *_at(point), DOT)
                hidden |= not seen
        tiles.append(tile)
    sheet = tile_grid(tiles, columns)
    legend = legend_of(names) | ({HIDDEN: Mark(LIGHT, hollow=True)} if hidden else {})
    return over_legend(sheet, legend, max(LEGEND_LINE, tiles[0].height // 7))


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
    save_png(over_legend(tile_grid(tiles, 8), {"annotated": TRUE, "predicted": PREDICTED}), path)


def overlaid(
    pixels: np.ndarray, predicted: np.ndarray, target: np.ndarray, visible: np.ndarray, zoom: float = ZOOM
) -> Image.Image:
    """An image (H, W, 3), zoomed, with its landmarks (L, 2): a ring of truth, a dot of prediction, a line between the two."""
    tile, draw = zoomed_tile(pixels, zoom)
    for found, true, seen in zip(predicted, target, visible, strict=True):
        if seen:
            line = [_at(true, zoom), _at(found, zoom)]
            draw.line(line, fill=(0, 0, 0), width=3)
            draw.line(line, fill=(255, 255, 255))
            TRUE.draw(draw, *_at(true, zoom), RING)
            PREDICTED.draw(draw, *_at(found, zoom), DOT)
    return tile


def captioned(tile: Image.Image, text: str, line: int = LEGEND_LINE) -> Image.Image:
    """A tile above a line of text, of which the beginning is left out where there is no room for all of it; a rim at its sides
    keeps it apart from the next."""
    font = ImageFont.load_default(line * 0.58)
    said = printable(text).replace("\n", " ")
    kept = next((k for k in range(len(said)) if font.getlength(_ending(said, k)) <= tile.width), len(said))
    larger = Image.new("RGB", (tile.width + 2 * RIM, tile.height + line), BACKGROUND)
    larger.paste(tile, (RIM, 0))
    middle = larger.width / 2, tile.height + line / 2
    ImageDraw.Draw(larger).text(middle, _ending(said, kept), fill=LIGHT, font=font, anchor="mm")
    return larger


def _ending(text: str, start: int) -> str:
    return f"...{text[start:]}" if start else text


def draw_points(image: Image.Image, points: np.ndarray) -> Image.Image:
    """A copy of an image with points (L, 2) in its own pixels."""
    copy = image.convert("RGB")
    draw = ImageDraw.Draw(copy)
    radius = max(2, min(copy.size) // 60)
    for k, (x, y) in enumerate(points):
        mark_of(k).draw(draw, x, y, radius)
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
        padded.append(Image.new("RGB", (width, tile.height), BACKGROUND))
        padded[-1].paste(tile, ((width - tile.width) // 2, 0))
    return tile_grid(padded, 6)


def over_legend(sheet: Image.Image, names: Mapping[str, Colour | Mark], line: int = LEGEND_LINE) -> Image.Image:
    """A sheet above the names of its colours or marks, in as many lines of ``line`` pixels as they need; the sheet itself where
    there is none."""
    if not names:
        return sheet
    font = ImageFont.load_default(line * 0.58)
    widths = {name: line * 1.3 + font.getlength(name) for name in names}
    whole = max(sheet.width, math.ceil(max(widths.values())))
    x, y, places = 0.0, 0, []
    for name, mark in names.items():
        if x and x + widths[name] > whole:
            x, y = 0.0, y + line
        places.append((x, y, name, mark if isinstance(mark, Mark) else Mark(mark)))
        x += widths[name]
    larger = Image.new("RGB", (whole, sheet.height + y + line), BACKGROUND)
    larger.paste(sheet, (0, 0))
    draw = ImageDraw.Draw(larger)
    for left, top, name, mark in places:
        middle = sheet.height + top + line / 2
        mark.draw(draw, left + line * 0.5, middle, line * 0.2)
        draw.text((left + line * 0.9, middle), name, fill=LIGHT, font=font, anchor="lm")
    return larger


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a PNG atomically. Raises DataError for a name that is no .png."""
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: pictures are written as .png; choose such a name.")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())


def zoomed_tile(pixels: np.ndarray, zoom: float = ZOOM) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An image (H, W, 3) of a store at ``zoom`` times its size, and what draws on it."""
    image = Image.fromarray(np.asarray(pixels))
    tile = image.resize((round(image.width * zoom), round(image.height * zoom)), Image.Resampling.BICUBIC)
    return tile, ImageDraw.Draw(tile)


def _at(point: np.ndarray, zoom: float = ZOOM) -> tuple[float, float]:
    """A landmark's place on a zoomed tile: pixel centres stay pixel centres."""
    return (float(point[0]) + 0.5) * zoom - 0.5, (float(point[1]) + 0.5) * zoom - 0.5


def draw_dot(
    draw: ImageDraw.ImageDraw,
    point: np.ndarray,
    colour: Colour,
    radius: float = DOT,
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
    sheet = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height), BACKGROUND)
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    return sheet
