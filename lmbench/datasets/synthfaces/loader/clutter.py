"""What makes a synthetic face hard to see: background, occluders, a poor camera."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from lmbench.datasets.synthfaces.loader.arrays import CIRCLE, Array
from lmbench.datasets.synthfaces.loader.canvas import SIZE, Canvas, dull_colours, inks
from lmbench.datasets.synthfaces.loader.identity import Identity

OCCLUDER_SHARE: Final = 0.30

# --- occluders ---


def paint_occluder(
    canvas: Canvas, identity: Identity, scale: float, landmarks: Array, rng: np.random.Generator
) -> None:
    """Paint something over a random landmark in some images; `scale` is pixels a unit."""
    if rng.random() > OCCLUDER_SHARE:
        return
    target = landmarks[rng.integers(len(landmarks))] + rng.normal(0, 3, 2)
    kind = rng.integers(4)
    if kind == 0:
        _paint_hand(canvas, identity.skin, scale, target, rng)
    elif kind == 1:
        _paint_card(canvas, scale, target, rng)
    elif kind == 2:
        _paint_blob(canvas, scale, target, rng)
    else:
        _paint_strands(canvas, identity.hair, scale, target, rng)


def _capsule(start: Array, end: Array, width: float) -> Array:
    """Return the outline (20, 2) of a bar with round ends."""
    along = (end - start) / np.linalg.norm(end - start)
    axes = np.array([along, [-along[1], along[0]]]) * width / 2
    return np.asarray(np.where(CIRCLE[:, :1] >= 0, end, start) + CIRCLE @ axes)


def _paint_hand(canvas: Canvas, skin: Array, scale: float, target: Array, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    back = np.array([np.cos(angle), np.sin(angle)]) * scale  # from the finger tips to the arm
    aside = np.array([-back[1], back[0]])
    colour = skin * rng.uniform(0.6, 1.05)
    palm = target + 0.75 * back
    canvas.polygon(_capsule(palm, palm + 1.6 * back, 0.62 * scale), 0.9 * colour, covers=True)
    for finger in range(4):
        offset = (finger - 1.5) * 0.17
        root = palm + offset * aside
        tip = palm + 1.25 * offset * aside - (0.75 - 0.12 * abs(finger - 1.3)) * back
        canvas.polygon(_capsule(root, tip, 0.19 * scale), 0.8 * colour, covers=True)
        canvas.polygon(_capsule(root, tip, 0.14 * scale), (1.0 - 0.03 * finger) * colour)


def _paint_card(canvas: Canvas, scale: float, target: Array, rng: np.random.Generator) -> None:
    angle, half = rng.uniform(0, np.pi), rng.uniform(0.12, 0.55, 2) * scale
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    card = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half @ turn
    edge, face = dull_colours(rng, 2).astype(float)
    canvas.polygon(target + card, edge, covers=True)
    canvas.polygon(target + 0.7 * card, face)


def _paint_blob(canvas: Canvas, scale: float, target: Array, rng: np.random.Generator) -> None:
    wobble = 1 + 0.25 * np.sin(np.arange(len(CIRCLE)) * np.pi / 10 * rng.integers(2, 5) + rng.uniform(0, 6))
    outline = CIRCLE * wobble[:, None] * rng.uniform(0.15, 0.5, 2) * scale
    canvas.polygon(target + outline, dull_colours(rng).astype(float), covers=True)


def _paint_strands(canvas: Canvas, hair: Array, scale: float, target: Array, rng: np.random.Generator) -> None:
    t = np.linspace(0, 1, 8)
    for _ in range(rng.integers(3, 9)):
        start, end = target + scale * (rng.normal(0, 0.25, 2) + [[0, -0.9], [0, 0.6]])
        path = start + t[:, None] * (end - start)
        path[:, 0] += rng.uniform(-0.25, 0.25) * scale * np.sin(np.pi * t)
        half = np.outer(rng.uniform(0.015, 0.05) * scale * (1 - 0.7 * t), [1, 0])
        outline = np.concatenate([path - half, (path + half)[::-1]])
        canvas.polygon(outline, hair * rng.uniform(0.7, 1.2), covers=True)


# --- background and degradation ---


def paint_background(rng: np.random.Generator) -> Image.Image:
    """Return a cluttered picture without a face: colour field, texture, shapes, sometimes out of focus."""
    size = (SIZE, SIZE)
    cells = int(rng.integers(2, 6))
    image = Image.fromarray(dull_colours(rng, cells, cells)).resize(size, Image.Resampling.BICUBIC)
    _paint_clutter(ImageDraw.Draw(image), rng)
    if rng.random() < 0.6:
        image = _textured(image, rng)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 4))))
    return image


def _paint_clutter(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    count = int(rng.integers(0, 14))
    boxes = rng.uniform([-20, -20, 3, 3], [SIZE, SIZE, 45, 45], (count, 4)).tolist()
    colours = inks(dull_colours(rng, count).astype(float))
    for (x, y, width, height), ink, kind in zip(boxes, colours, rng.integers(4, size=count).tolist(), strict=True):
        if kind == 0:
            draw.rectangle((x, y, x + width, y + height), ink)
        elif kind == 1:
            draw.ellipse((x, y, x + width, y + height), ink)
        elif kind == 2:
            draw.line((x, y, x + 4 * width - 60, y + 4 * height - 60), ink, 1 + int(width) // 8)
        else:
            draw.polygon((x, y, x + width, y + height / 2, x + height, y + width, x - width / 2, y + height), ink)


def _textured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    rows, columns = rng.integers(4, 97, 2).tolist()
    grain = Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8))
    grain = grain.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return Image.blend(image, Image.merge("RGB", (grain, grain, grain)), float(rng.uniform(0.05, 0.45)))


def degrade(image: Image.Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return `image` (96, 96, 3) as a poor camera stores it: focus, exposure, compression, noise."""
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9))))
    pixels = np.take(_exposure(rng), np.asarray(image) + CHANNEL_ROWS)
    if rng.random() < 0.3:
        pixels = _compressed(pixels, float(rng.uniform(6, 26)))
    grain = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    strength = np.float32(rng.uniform(0.5, 8) / 73.9)  # a random byte's standard deviation
    pixels = pixels + strength * (grain - np.float32(127.5))
    return np.asarray(np.clip(pixels, 0, 255), dtype=np.uint8)


GREY_LEVELS: Final = np.linspace(0, 1, 256)
CHANNEL_ROWS: Final = np.array([0, 256, 512])  # where a channel's table starts


def _exposure(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return lookup tables (3 * 256,) of gain, gamma and colour cast for the three channels."""
    level = GREY_LEVELS ** rng.uniform(0.75, 1.2)
    gain = rng.uniform(0.75, 1.15) * rng.uniform(0.92, 1.08, 3)
    table = rng.uniform(0, 25) + level * gain[:, None] * 255
    return np.minimum(table, 255).astype(np.float32).ravel()


ORDER: Final = np.arange(8)
DCT: Final = (
    np.cos((2 * ORDER + 1) * ORDER[:, None] * np.pi / 16) * np.where(ORDER == 0, 1 / 8, 2 / 8)[:, None] ** 0.5
).astype(np.float32)
COARSENESS: Final = (1 + 0.6 * (ORDER + ORDER[:, None])).astype(np.float32)


def _compressed(pixels: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.float32]:
    """Return `pixels` (96, 96, 3) with the cosine coefficients of 8x8 blocks rounded, as JPEG does.

    Not JPEG itself: its decoders differ in the last bit, and every pixel of this dataset is promised.
    """
    blocks = pixels.reshape(SIZE // 8, 8, SIZE // 8, 8, 3).transpose(0, 2, 4, 1, 3)
    steps = np.float32(step) * COARSENESS
    coefficients = np.rint(DCT @ blocks @ DCT.T / steps) * steps
    restored = DCT.T @ coefficients @ DCT
    return np.ascontiguousarray(restored.transpose(0, 3, 1, 4, 2).reshape(SIZE, SIZE, 3))
