"""Annotated points of one image, found again in another (LEAD, Fig. 3 and 4; Cheng et al. 2021, Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbench import progress
from lmbench.errors import StaleError, UsageError
from lmbench.figures.asking import Asked, Drawn, Line, basis, lacking, require_same_images, require_same_truth
from lmbench.figures.errors import mean_of_images
from lmbench.figures.images import as_pictures, by_rank, opened
from lmbench.figures.tiles import Tile, grid, join, named, put
from lmbench.geometry.framing import Preprocessing
from lmbench.metrics.base import Predictions
from lmbench.report.style import look
from lmbench.results.measuring import results
from lmbench.results.run import Run
from lmbench.seeds import generator_for
from lmbench.tasks.matching import choose_pairs, paired_views
from lmbench.tasks.settings import MatchingSettings
from lmbench.training.loop import resolve_device

TASK, PARTS = "matching", ("same", "different")
PAIRS = 8
AMONG = 64  # pairs of a run, the first ones, from which those that are shown are taken
CLOSE = 0.05  # pixels; views that are made again agree so far with what was stored


@dataclass(frozen=True)
class Views:
    """A pair as its network saw it: the image with its points (L, 2), and the one in which they are looked for."""

    source: np.ndarray
    points: np.ndarray
    target: np.ndarray


def matching(asked: Asked) -> Drawn:
    """The first row: images with their annotated points, each in its colour; below, a row for each method: where it found them,
    a line from there to where they are.
    """
    require_same_images(asked.lines, headed=False)
    part = asked.part or "different"
    if part not in PARTS:
        raise UsageError(f"--part {part}: pairs are of the {' or of '.join(PARTS)} image.")
    seed, found = _of_one_seed(asked, part)
    runs = {line: line.side.runs[seed] for line in asked.lines}
    require_same_truth([(runs[line], predictions) for line, predictions in found.items()])
    first, run = found[asked.first], runs[asked.first]
    errors = {line: _errors(runs[line], predictions) for line, predictions in found.items()}
    chosen = by_rank(errors[asked.first][:AMONG], asked.images or PAIRS)
    views = views_of(run, first, part, chosen, asked.data_root, asked.device)
    rows = [[Tile(views[i].source) for i in chosen]]
    rows += [[Tile(views[i].target, f"{errors[line][i]:.1f}") for i in chosen] for line in found]
    looks = [look(k) for k in range(first.target.shape[1])]
    colours, markers = [colour for colour, _ in looks], [marker for _, marker in looks]
    names = run.landmark_names
    legend = named(names, looks) if len(names) <= 20 else []
    made = grid(asked.page, rows, ["annotated", *(line.name for line in found)], legend, len(looks))
    for column, i in enumerate(chosen):
        seen = np.flatnonzero(first.visible[i])
        own, shapes = [colours[k] for k in seen], [markers[k] for k in seen]
        put(made.axes[0][column], views[i].points[seen], made.point, own, shapes)
        for row, predictions in enumerate(found.values(), 1):
            axis = made.axes[row][column]
            for k in seen:
                join(axis, predictions.predicted[0, i, k], predictions.target[i, k], 0.2 * made.point)
            put(axis, predictions.predicted[0, i][seen], made.point, own, shapes)
    what = "a warped copy of the same image" if part == "same" else "an image of another face or object, warped too"
    measured = next(r for r in run.record.rows if r.task == TASK)
    said = [
        f"Annotated points (first row) found in {what}; white lines end where they are; the number above each image is its "
        f"{measured.metric} in {measured.unit} (lower is better)",
        f"of the first {min(AMONG, len(first.target))} pairs, at equal steps of the rank of the error of {asked.first.name}",
        *basis(asked.lines, measured, runs=runs.values()),
    ]
    return Drawn.saying(made.figure, said)


def _of_one_seed(asked: Asked, part: str) -> tuple[int, Mapping[Line, Predictions]]:
    """A seed that all lines have, for another one warps other views, and their matches. Raises UsageError."""
    seeds = [set(line.side.seeds) for line in asked.lines]
    common = set.intersection(*seeds)
    if not common:
        raise UsageError(
            f"runs of other seeds match other views of the images: {asked.names} have no seed in common. Name runs of one."
        )
    found = {}
    for line in asked.lines:
        run = line.side.runs[min(common)]
        if not any(row.task == TASK and row.subset == part for row in run.record.rows):
            raise lacking(run, "it was not judged by the task matching", {"--tasks": "regression,matching"})
        predictions = run.predictions(TASK, None, part)
        if not isinstance(predictions, Predictions):
            raise UsageError(f"{run.name}: what its task matching stored are no points.")
        found[line] = predictions
    return min(common), found


def _errors(run: Run, predictions: Predictions) -> np.ndarray:
    """(N,): the mean error of each pair in the metric of the task, NaN where it shows no landmark."""
    (_, result), *_ = results(predictions, run.plugins)
    return mean_of_images(result.values)[0]


def views_of(
    run: Run, stored: Predictions, part: str, chosen: np.ndarray, data_root: Path | None, device: str
) -> dict[int, Views]:
    """The views of some pairs, made again as the run made them.

    Raises StaleError where their points are not those that the run stored.
    """
    settings, place = run.config.settings_of(TASK), resolve_device(device)
    if not isinstance(settings, MatchingSettings):
        raise UsageError(f"{run.name}: its task matching is not the core's; its pairs are not known.")
    dataset = opened(run, data_root)
    steps = dataset.spec.preprocessing
    whole = dataset.pixels("test", Preprocessing(steps.resize)).first(run.config.test_images)
    sources, partners = choose_pairs(whole.identity, settings.pairs)
    generator = generator_for(run.config.seed, TASK)
    found: dict[int, Views] = {}
    start, last = 0, int(chosen.max())
    with progress.task("views", last + 1, "pairs") as bar:
        for count, views in paired_views(whole, sources, partners, steps.crop, settings.points, generator, place):
            assert views.landmarks_a is not None and views.landmarks_b is not None
            targets = slice(0 if part == "same" else 1, None, 2)
            points = views.landmarks_b[targets].cpu().numpy()
            if not np.allclose(points, stored.target[start : start + count], atol=CLOSE):
                raise StaleError(
                    f"{run.name}: the views of its pairs cannot be made again as they were: their landmarks lie elsewhere. It "
                    "was measured on another kind of device, or by another version; give its command again."
                )
            for i in chosen[(chosen >= start) & (chosen < start + count)]:
                at = int(i) - start
                pictures = as_pictures(views.view_a[2 * at : 2 * at + 1])
                pictures += as_pictures(views.view_b[targets][at : at + 1])
                found[int(i)] = Views(pictures[0], views.landmarks_a[2 * at].cpu().numpy(), pictures[1])
            start += count
            bar.advance(count)
            if start > last:
                break
    return found
