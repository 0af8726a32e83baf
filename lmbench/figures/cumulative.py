"""Cumulative curves of errors: which share of the images, or of the landmarks, is found within a distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench import progress
from lmbench.figures.asking import Asked, Drawn, Line, basis, require_same_images, require_same_truth, stored
from lmbench.figures.errors import errors_of
from lmbench.metrics.accuracy import SIDE, accuracy_at
from lmbench.metrics.base import Predictions
from lmbench.metrics.pck import distances
from lmbench.report.plots import Curve, Kind, Panel, accuracy_panel, curves_figure
from lmbench.results.run import Run

POINTS = 201  # of a curve
THRESHOLDS = (10.0, 20.0, 50.0, 100.0)
"""The first is the usual one; where more than half of the images of every line fail, the next is taken."""
WITHIN = 30.0  # pixels of a 128x128 image; Rahaman et al. 2021, Fig. 6


@dataclass(frozen=True)
class Cumulative:
    """Shares (percent) of some errors within each of ``at``: the mean over seeds and draws, their standard deviation (None for
    one), the area under the curve up to a threshold in percent of the whole, and the share beyond it."""

    at: np.ndarray
    share: np.ndarray
    spread: np.ndarray | None
    area: float
    failures: float

    @classmethod
    def of(cls, draws: Sequence[np.ndarray], threshold: float) -> Cumulative:
        """Of the errors of each seed and draw. The area is exact, whatever points the curve is drawn at."""
        at = np.linspace(0, threshold, POINTS)
        curves = np.stack([100 * accuracy_at(errors, at.tolist()) for errors in draws])
        areas = [np.clip(1 - errors / threshold, 0, None).mean() for errors in draws]
        spread = curves.std(0, ddof=1) if len(curves) > 1 else None
        return cls(at, curves.mean(0), spread, 100 * float(np.mean(areas)), 100 - float(curves[:, -1].mean()))

    def curve(self, label: str, number: int, kind: Kind) -> Curve:
        low, high = (None, None) if self.spread is None else (self.share - self.spread, self.share + self.spread)
        return Curve(
            label,
            self.at.tolist(),
            self.share.tolist(),
            number,
            None if low is None else np.clip(low, 0, 100).tolist(),
            None if high is None else np.clip(high, 0, 100).tolist(),
            kind,
        )


def ced(asked: Asked) -> Drawn:
    """Cumulative error distributions of the images' mean errors (300-W's figure), area and failures in the legend."""
    found = _predictions(asked)
    per_run = {run.name: errors_of(p, run.plugins, asked.metric) for run, p in found}
    errors = next(iter(per_run.values()))

    def of_images(run: Run, predictions: Predictions) -> np.ndarray:
        return per_run[run.name].of_images

    draws = _draws(asked.lines, found, of_images)
    threshold = asked.threshold or _fitting(list(draws.values()))
    made = {line: Cumulative.of(own, threshold) for line, own in draws.items()}
    curves = [
        c.curve(
            f"{line.label}:\N{NO-BREAK SPACE}{c.area:.1f};\N{NO-BREAK SPACE}{c.failures:.1f}\N{NO-BREAK SPACE}%",
            *asked.looks[line],
        )
        for line, c in made.items()
    ]
    panel = Panel(
        curves, f"mean {errors.axis}", "images within, percent (higher is better)", xlim=(0, threshold), ylim=(0, 100)
    )
    title = f"AUC; failures at {threshold:g} {errors.unit}"
    said = [
        f"Cumulative distribution of the mean {errors.axis} of each image (higher is better)",
        f"the legend states the area under the curve up to {threshold:g} {errors.unit} and the share of images beyond it",
        *_of_predictions(asked, found),
    ]
    return Drawn.saying(curves_figure([[panel]], asked.page, title), said)


def accuracy(asked: Asked) -> Drawn:
    """Accuracy curves of predicted landmarks (Rahaman et al. 2021, Fig. 6): the share of landmarks within d pixels."""
    found = _predictions(asked)

    def of_points(run: Run, predictions: Predictions) -> np.ndarray:
        values = distances(predictions, "accuracy", SIDE / predictions.image_size)
        seen = ~np.isnan(values[0])
        return values[:, seen]

    within = asked.threshold or WITHIN
    curves = [
        Cumulative.of(own, within).curve(line.label, *asked.looks[line])
        for line, own in _draws(asked.lines, found, of_points).items()
    ]
    said = [
        f"Share of predicted landmarks within d pixels of a {SIDE}x{SIDE} image (higher is better)",
        *_of_predictions(asked, found),
    ]
    return Drawn.saying(curves_figure([[accuracy_panel(curves, within)]], asked.page), said)


def _predictions(asked: Asked) -> list[tuple[Run, Predictions]]:
    """Those of every run, of the same images and labels."""
    require_same_images(asked.lines)
    found = [(run, stored(run, "regression", asked.annotations)) for line in asked.lines for run in line.runs]
    require_same_truth(found)
    return found


def _draws(
    lines: Sequence[Line],
    found: Sequence[tuple[Run, Predictions]],
    errors: Callable[[Run, Predictions], np.ndarray],
) -> dict[Line, list[np.ndarray]]:
    """Of each line the errors of every seed and draw."""
    by_run = {run.name: list(errors(run, predictions)) for run, predictions in found}
    return {line: [draw for run in line.runs for draw in by_run[run.name]] for line in lines}


def _fitting(lines: Sequence[Sequence[np.ndarray]]) -> float:
    """The first threshold within which one line has half of its images, or the last."""
    best = min(float(np.mean([np.median(draw) for draw in draws])) for draws in lines)
    threshold = next((t for t in THRESHOLDS if best <= t), THRESHOLDS[-1])
    if threshold > THRESHOLDS[0]:
        progress.say(
            f"more than half of the images of every line lie beyond {THRESHOLDS[0]:g}: drawn up to {threshold:g} "
            "(--threshold chooses)"
        )
    return threshold


def _of_predictions(asked: Asked, found: Sequence[tuple[Run, Predictions]]) -> list[str]:
    run, predictions = found[0]
    several = any(len(p.predicted) > 1 for _, p in found) or any(len(line.runs) > 1 for line in asked.lines)
    row = next(r for r in run.record.rows if r.task == "regression" and r.n_annotations == predictions.n_annotations)
    return [
        f"n = {predictions.n_annotations} annotated images",
        *(["bands: one standard deviation over seeds and draws"] if several else []),
        *basis(asked.lines, row),
    ]
