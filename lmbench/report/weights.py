"""What a linear head on discovered landmarks makes of them: its weights as a table and as pictures (Thewlis et al. 2017,
Fig. 7).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from lmbench.data.pixels import PixelStore
from lmbench.metrics.base import Predictions
from lmbench.printable import cell
from lmbench.report.pictures import PREDICTED, TRUE, draw_dot, save_png, tile_grid, zoomed_tile
from lmbench.report.style import Page, new_figure, save_figure, styled
from lmbench.store.files import write_atomically

COLUMNS = ("draw", "annotated", "discovered", "x_to_x", "y_to_x", "x_to_y", "y_to_y", "norm", "share")
LARGEST = 8.0  # radius on a tile, pixels, of the landmark that has the largest weight
ROWS, IMAGES = 6, 6


@dataclass(frozen=True)
class RegressorWeights:
    """``blocks`` (S, L, K, 2, 2): in draw s, how coordinate i of discovered landmark k enters coordinate j of annotated l.

    Both coordinates are in one unit, so a weight is pixels per pixel whatever the head's unit. ``names``: the annotated.
    """

    blocks: np.ndarray
    names: Sequence[str]

    @property
    def norms(self) -> np.ndarray:
        """(S, L, K): the Frobenius norm of each block."""
        return np.asarray(np.linalg.norm(self.blocks, axis=(-2, -1)))

    @property
    def shares(self) -> np.ndarray:
        """(S, L, K): each norm as a part of the sum over all discovered landmarks; 0 where there is no weight at all."""
        total = self.norms.sum(-1, keepdims=True)
        return np.asarray(np.divide(self.norms, total, out=np.zeros_like(self.norms), where=total > 0))


def draw_regressor(folder: Path, regression: Predictions, test: PixelStore) -> None:
    """Writes ``regressor_weights.csv`` and its pictures into a run's folder, where its head is linear in discovered landmarks.

    The landmarks on images come from the frozen output of the test split, while that is there.
    """
    weights = read_weights(folder / "heads" / f"{regression.name}.safetensors", regression.landmark_names)
    if weights is None:
        return
    write_weights(weights, folder / "regressor_weights.csv")
    draw_weights(weights, folder / "regressor_weights.png")
    discovered = folder / "frozen" / "test" / "landmarks.npy"
    if discovered.is_file():
        draw_weighted_landmarks(weights, np.load(discovered), test, folder / "regressor_landmarks.png")


def read_weights(head: Path, names: Sequence[str]) -> RegressorWeights | None:
    """The weights of a kept head that is linear in discovered landmarks; None where it is another, or not there."""
    state = safetensors.numpy.load_file(head) if head.is_file() else {}
    weight = state.get("weight", np.zeros(0))
    if weight.ndim != 3 or weight.shape[1] % 2 or weight.shape[2] != 2 * len(names):
        return None
    blocks = weight.reshape(len(weight), -1, 2, len(names), 2).transpose(0, 3, 1, 2, 4)
    return RegressorWeights(blocks, names)


def write_weights(weights: RegressorWeights, path: Path) -> None:
    """Writes a CSV, one row a draw, annotated and discovered landmark."""
    norms, shares = weights.norms, weights.shares
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(COLUMNS)
    for place in np.ndindex(norms.shape):
        (xx, xy), (yx, yy) = weights.blocks[place]
        numbers = (xx, yx, xy, yy, norms[place], shares[place])
        draw, annotated, discovered = place
        table.writerow([draw, cell(weights.names[annotated]), discovered, *(f"{n:.8g}" for n in numbers)])
    write_atomically(path, buffer.getvalue())


def draw_weights(weights: RegressorWeights, path: Path) -> None:
    """Writes the shares of the first draw as a matrix: a row an annotated landmark, a column a discovered one."""
    shares = weights.shares[0]
    rows, columns = shares.shape
    page = Page.on_screen(1 + columns // 20)
    with styled(page):
        figure = new_figure(page, 25 + 6.0 * rows)
        axis = figure.subplots()
        picture = axis.imshow(100 * shares, cmap="viridis", vmin=0, aspect="equal")
        axis.set(xlabel="discovered landmark", xticks=range(0, columns, 1 if columns <= 20 else 5))
        axis.set_yticks(range(rows), weights.names)
        axis.grid(False)
        figure.colorbar(picture, label="share of the weight, percent", fraction=0.05, pad=0.03)
        save_figure(figure, path)


def draw_weighted_landmarks(weights: RegressorWeights, discovered: np.ndarray, pixels: PixelStore, path: Path) -> None:
    """Writes test images with their discovered landmarks (N, K, 2) in yellow, each as large as its weight.

    A row for each of some annotated landmarks, which is blue. A circle's area is proportional to the weight in
    the first draw, the largest of a row always having the same.
    """
    shares = weights.shares[0]
    radii = LARGEST * np.sqrt(shares / np.maximum(shares.max(1, keepdims=True), 1e-12))
    chosen = np.unique(np.linspace(0, len(shares) - 1, min(ROWS, len(shares))).round().astype(int))
    images = range(min(IMAGES, len(pixels)))
    tiles = []
    for row in chosen:
        for i in images:
            tile, draw = zoomed_tile(pixels.images[i])
            for k in np.argsort(-radii[row], kind="stable"):  # the largest first, so that none is hidden
                draw_dot(draw, discovered[i, k], PREDICTED.colour, radius=max(1.0, float(radii[row, k])))
            if pixels.visible[i, row]:
                draw_dot(draw, pixels.landmarks[i, row], TRUE.colour)
            if i == 0:
                draw.text((3, 2), str(weights.names[row]), fill=TRUE.colour, stroke_width=1, stroke_fill=(0, 0, 0))
            tiles.append(tile)
    save_png(tile_grid(tiles, len(images)), path)
