"""Landmarks that a method discovers by itself, and what a linear head makes of them (Thewlis et al. 2017, Fig. 3 to 7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.errors import UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, require_same_images, require_same_truth, stored
from lmbench.figures.images import by_rank, discovered_landmarks, shown, test_images
from lmbench.figures.tiles import FOUND, TRUE, Tile, compare, compared, grid, put
from lmbench.metrics.base import Predictions
from lmbench.report.style import INCH_PT, MM, look
from lmbench.report.weights import RegressorWeights, read_weights
from lmbench.results.record import HEADS

IMAGES, WEIGHED, COLUMNS = 10, 4, 8
LARGEST = 0.11  # diameter of the point with the largest weight, of the width of its image
SMALLEST = 0.01


def discovered(asked: Asked) -> Drawn:
    """Two rows a method: its discovered landmarks, each in its colour and shape in all images, and what its head predicts from
    them. The images are the first of the test split: none is chosen.
    """
    require_same_images(asked.lines)
    pixels = test_images(asked.first.first, asked.data_root).first(asked.images or IMAGES)
    points = {line: discovered_landmarks(line.first, pixels, asked.device) for line in asked.lines}
    predictions = {line: _predictions(asked, line) for line in asked.lines}
    require_same_truth([(line.first, p) for line, p in predictions.items() if p is not None])
    pictures, rows, names = [Tile(image) for image in shown(pixels, range(len(pixels)))], [], []
    for line in asked.lines:
        rows.append(pictures)
        names.append(line.name)
        if predictions[line] is not None:
            rows.append(pictures)
            names.append("predicted")
    most = max(own.shape[1] for own in points.values())
    legend = compared() if any(p is not None for p in predictions.values()) else []
    made = grid(asked.page, rows, names, legend, most)
    row = 0
    for line in asked.lines:
        looks = [look(k) for k in range(points[line].shape[1])]
        for i, axis in enumerate(made.axes[row]):
            put(axis, points[line][i], made.point, [c for c, _ in looks], [m for _, m in looks])
        row += 1
        found = predictions[line]
        if found is None:
            continue
        for i, axis in enumerate(made.axes[row]):
            seen = found.visible[i]
            compare(axis, found.target[i][seen], found.predicted[0, i][seen], made.point)
        row += 1
    said = [
        f"Landmarks that a method discovers without labels ({', '.join(f'{n.name}: {p.shape[1]}' for n, p in points.items())}), "
        f"one colour and shape each, on the first {len(pixels)} test images"
        + ("; below, what its head predicts from them" if legend else ""),
        *basis(asked.lines, runs=[line.first for line in asked.lines]),
    ]
    return Drawn.saying(made.figure, said)


def _predictions(asked: Asked, line: Line) -> Predictions | None:
    """None for a run that was not judged by regression."""
    if not any(row.task == "regression" for row in line.record.rows):
        return None
    return stored(line.first, "regression", asked.annotations)


def weights(asked: Asked) -> Drawn:
    """A row for some annotated landmarks: where each is, and the discovered landmarks on the image, each as large as its share of
    the weights in the prediction (Thewlis et al. 2017, Fig. 7).
    """
    run = asked.only.first
    predictions = stored(run, "regression", asked.annotations)
    name = f"{predictions.name}.safetensors"
    found = read_weights(run.folder / HEADS / name, run.landmark_names)
    if found is None:
        raise UsageError(
            f"{run.name}: {HEADS}/{name} is not there, or no linear head on discovered landmarks: such are those of methods "
            "that discover landmarks, with a head like ols or ridge."
        )
    pixels = test_images(run, asked.data_root).first(asked.images or WEIGHED)
    points = discovered_landmarks(run, pixels, asked.device)
    if points.shape[1] != found.blocks.shape[2]:
        raise UsageError(
            f"{run.name}: its head is of {found.blocks.shape[2]} discovered landmarks, its network gives {points.shape[1]}."
        )
    chosen = by_rank(np.arange(len(found.names), dtype=float), COLUMNS)
    side = asked.page.width / len(chosen)
    tiles = [
        [Tile(image, "" if row else str(found.names[k]).replace("_", " ")) for k in chosen]
        for row, image in enumerate(shown(pixels, range(len(pixels))))
    ]
    made = grid(asked.page, tiles, handles=_weighed())
    for i, axes in enumerate(made.axes):
        for k, axis in zip(chosen, axes, strict=True):
            _weigh(axis, points[i], found, k, side)
            if pixels.visible[i, k]:
                put(axis, pixels.landmarks[i, [k]], made.point, TRUE)
    said = [
        f"{asked.only.name}: how much each discovered landmark weighs in the prediction of the annotated one above its column; "
        "areas are shares of the weight",
        *basis(asked.lines, runs=[line.first for line in asked.lines]),
    ]
    return Drawn.saying(made.figure, said)


def _weigh(axis: Any, points: np.ndarray, found: RegressorWeights, k: Any, side: float) -> None:
    """Points of which the areas are shares of the weight, the largest first, so that none is hidden."""
    shares = found.shares[0, k]
    sizes = np.sqrt(shares / max(float(shares.max()), 1e-12))
    for j in np.argsort(-sizes, kind="stable"):
        put(axis, points[[j]], max(SMALLEST, LARGEST * float(sizes[j])) * side * INCH_PT / MM, FOUND)


def _weighed() -> list[Any]:
    ring, dot = compared()
    ring.set(label="annotated", markerfacecolor=TRUE)
    dot.set_label("discovered, by weight")
    return [ring, dot]
