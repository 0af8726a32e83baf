"""Test images with landmarks where they are and where they were found."""

from __future__ import annotations

import numpy as np

from lmbench.errors import UsageError
from lmbench.figures.asking import Asked, Drawn, basis, lacking, require_same_images, require_same_truth, stored
from lmbench.figures.errors import errors_of
from lmbench.figures.images import by_rank, opened, shown, test_images
from lmbench.figures.tiles import Tile, compare, compared, grid
from lmbench.metrics.base import Predictions
from lmbench.report.plots import direction, factor_of
from lmbench.results.run import Run
from lmbench.tasks.zooming import zoomed_pixels

IMAGES = 8  # beside each other
ZOOMED = 4
BANDS = ("best", "median", "worst")


def detections(asked: Asked) -> Drawn:
    """One method: rows of its best, median and worst images; several: a row each, of the same images, from those that the first
    does best to those that it does worst. The first draw of a few-shot head is shown.
    """
    require_same_images(asked.lines)
    found = [(line.first, stored(line.first, "regression", asked.annotations)) for line in asked.lines]
    require_same_truth(found)
    errors = [errors_of(p, run.plugins) for run, p in found]
    own = errors[0].of_first_draw
    count, pixels = asked.images or IMAGES, test_images(found[0][0], asked.data_root)
    if len(found) == 1:
        names, chosen = list(BANDS), _bands(own, count)
        rows = [(found[0][1], errors[0], places) for places in chosen]
    else:
        names = [line.name for line in asked.lines]
        rows = [(p, e, by_rank(own, count)) for (_, p), e in zip(found, errors, strict=True)]
    tiles = [
        [Tile(image, f"{e.of_first_draw[i]:.1f}") for i, image in zip(places, shown(pixels, places), strict=True)]
        for _, e, places in rows
    ]
    made = grid(asked.page, tiles, names, compared(), found[0][1].target.shape[1])
    for (predictions, _, places), axes in zip(rows, made.axes, strict=True):
        for i, axis in zip(places, axes, strict=True):
            seen = predictions.visible[i]
            compare(axis, predictions.target[i][seen], predictions.predicted[0, i][seen], made.point)
    order = "at equal steps of the rank of the error" + (f" of {asked.first.name}" if len(found) > 1 else "")
    said = [
        f"Test images {'from best to worst' if len(found) == 1 else order}, the number above each its mean {errors[0].axis} "
        f"({direction(False)})",
        f"n = {found[0][1].n_annotations} annotated images",
        "of few annotated images the first draw is shown" if any(len(p.predicted) > 1 for _, p in found) else "",
        *basis(asked.lines, runs=[run for run, _ in found]),
    ]
    return Drawn.saying(made.figure, said)


def _bands(errors: np.ndarray, count: int) -> list[np.ndarray]:
    """Places of the ``count`` best, middle and worst images, each the best first; of few images fewer."""
    order = by_rank(errors, len(errors))
    count = max(1, min(count, len(order) // 3))
    middle = (len(order) - count) // 2
    return [order[:count], order[middle : middle + count], order[-count:]]


def zoomed(asked: Asked) -> Drawn:
    """A row an image, a column a zoom-out factor: the head was fitted at factor 1 (LEAD, Fig. 10)."""
    run = asked.only.first
    factors = sorted({factor_of(row) for row in run.record.rows if row.task == "scale"})
    if not factors:
        raise lacking(run, "it was not judged by the task scale", {"--tasks": "regression,scale"})
    found = {factor: _at(run, factor) for factor in factors}
    dataset = opened(run, asked.data_root)
    middle = factors[int(np.argmin(np.abs(np.array(factors) - 1)))]
    errors = errors_of(found[middle], run.plugins).of_first_draw
    places = by_rank(errors, asked.images or ZOOMED)
    pixels = {f: zoomed_pixels(dataset, "test", f).first(run.config.test_images) for f in factors}
    tiles = [
        [Tile(shown(pixels[f], [i])[0], "" if row else f"x {f:g}") for f in factors] for row, i in enumerate(places)
    ]
    made = grid(asked.page, tiles, handles=compared(), points=found[middle].target.shape[1])
    for i, axes in zip(places, made.axes, strict=True):
        for f, axis in zip(factors, axes, strict=True):
            seen = found[f].visible[i]
            compare(axis, found[f].target[i][seen], found[f].predicted[0, i][seen], made.point)
    said = [
        f"{asked.only.name}: test images at every zoom-out factor, at equal steps of the rank of the error at {middle:g}",
        *basis(asked.lines, runs=[run]),
    ]
    return Drawn.saying(made.figure, said)


def _at(run: Run, factor: float) -> Predictions:
    found = run.predictions("scale", "all", f"{factor:g}")
    if not isinstance(found, Predictions):
        raise UsageError(f"{run.name}: what its task scale stored are no points.")
    return found
