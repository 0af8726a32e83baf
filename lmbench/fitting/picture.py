"""The labelled images with what heads found on them that they were not fitted to, from the best to the worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmbench.fitting.fit import Fit
from lmbench.report.pictures import PREDICTED, TRUE, over_legend, overlaid, save_png, tile_grid

SHOWN, COLUMNS = 24, 6
NAMES = {"labelled": TRUE, "found without it": PREDICTED}


def draw(fit: Fit, path: Path) -> None:
    """Writes a sheet of the images as the network sees them, at equal steps of the rank of their errors."""
    order = np.argsort(np.nanmean(fit.judged.percent(fit.judged.errors), axis=1), kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int))]
    target, predicted = fit.drawn
    tiles = [overlaid(fit.pictures[i], predicted[i], target[i], fit.judged.visible[i]) for i in chosen]
    save_png(over_legend(tile_grid(tiles, COLUMNS), NAMES), path)
