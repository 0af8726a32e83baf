"""Images with two bright spots, and where they are: what anybody can label, and any network can find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("head", "tail")
SIZE = (80, 60)


def spots(count: int, seed: int = 0) -> np.ndarray:
    """(count, 2, 2) whole pixels, x before y."""
    drawn = np.random.default_rng(seed)
    return np.stack([drawn.integers(8, side - 8, (count, 2)) for side in SIZE], -1).astype(float)


def spotted(folder: Path, count: int, seed: int = 0) -> np.ndarray:
    """Writes ``img00.png`` ... with a red and a blue spot of five pixels; the points of both."""
    folder.mkdir(parents=True, exist_ok=True)
    points, noise = spots(count, seed), np.random.default_rng(seed + 1)
    for i, pair in enumerate(points.astype(int)):
        pixels = noise.integers(60, 90, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
        for (x, y), colour in zip(pair, ((255, 40, 40), (40, 40, 255)), strict=True):
            pixels[y - 2 : y + 3, x - 2 : x + 3] = colour
        Image.fromarray(pixels).save(folder / f"img{i:02}.png")
    return points


def labels_csv(points: np.ndarray, names: tuple[str, ...] = NAMES) -> str:
    lines = [",".join(["image", *(f"{n}_{axis}" for n in names for axis in "xy")])]
    lines += [",".join([f"img{i:02}.png", *(f"{v:g}" for v in pair.ravel())]) for i, pair in enumerate(points)]
    return "\n".join(lines) + "\n"
