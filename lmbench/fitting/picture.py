"""The labelled images with what heads found on them that they were not fitted to, from the best to the worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.fitting.fit import Fit
from lmbench.report.pictures import PREDICTED, TILE, TRUE, captioned, over_legend, overlaid, save_png, tile_grid

SHOWN, COLUMNS = 24, 4
LINE = 24  # pixels, of what stands below an image
NAMES = {"labelled": TRUE, "found without it": PREDICTED}


def draw(fit: Fit, path: Path) -> None:
    """Writes a sheet of the images as the network sees them, at equal steps of the rank of their errors in percent of the side;
    below each its name and error, in pixels of the image itself."""
    judged = fit.judged
    errors = np.nanmean(judged.errors, axis=1)
    order = np.argsort(errors / judged.sides, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int))]
    target, predicted = fit.drawn
    tiles = []
    for i in chosen:
        zoom = TILE / len(fit.pictures[i])
        tile = overlaid(fit.pictures[i], predicted[i], target[i], judged.visible[i], zoom)
        tiles.append(captioned(tile, f"{judged.images[i]}: {errors[i]:.1f} px", LINE))
    save_png(over_legend(tile_grid(tiles, COLUMNS), NAMES, LINE), path)
