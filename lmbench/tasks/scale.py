"""Sensitivity to scale: the regression's head, fitted once, on test images that are zoomed (Karmali et al. 2022, Fig. 9)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from lmbench.heads.base import HeadInputs, Subset
from lmbench.metrics.base import Predictions
from lmbench.report.plots import draw_scale
from lmbench.results.record import Row
from lmbench.tasks.base import TaskContext
from lmbench.tasks.heads import RunHead
from lmbench.tasks.regression import judged_by
from lmbench.tasks.settings import ScaleSettings
from lmbench.tasks.zooming import zoomed_pixels, zoomed_points


def run(context: TaskContext, settings: ScaleSettings) -> None:
    """Keeps the predictions of the head of all annotations for every factor; ``subset`` is the factor, as in ``0.8``.

    At factor 1 they are those of the regression. A landmark that leaves the image is not scored, and is counted.
    """
    wanted = [f for f in settings.factors if not context.kept(f"scale-{f:g}-nall")]
    if not wanted:
        return
    head = RunHead(context, context.settings_of("regression"))
    subsets = [Subset("all", 0, torch.arange(len(context.train)))]
    fitted = head.fitted(subsets)
    for factor in wanted:
        name = f"test-zoomed-{factor:g}"
        inputs = _zoomed_inputs(head, factor, name)
        judged = judged_at(context, factor, fitted.predict(inputs).numpy())
        context.keep(replace(judged, settings={**head.protocol(subsets, inputs, fitted), **judged.settings}))
        shutil.rmtree(
            context.scratch / name, ignore_errors=True
        )  # frozen maps are large, and no other task reads these


def judged_at(context: TaskContext, factor: float, predicted: np.ndarray) -> Predictions:
    """Predictions (S, N, L, 2) on the zoomed test images beside all by which the dataset judges them.

    Landmarks that the zoom takes out of the image are not scored. Their true places are known all the same, so an eye
    among them still normalises.
    """
    spec, test = context.dataset.spec, context.test
    assert test.source_scale is not None  # the images of a dataset are cut from files
    places = zoomed_points(test.landmarks, factor, spec.preprocessing, test.source_scale)
    zoomed = replace(test, landmarks=places, source_scale=test.source_scale * factor)
    judged = judged_by(spec, zoomed, predicted, context.settings_of("regression").score)
    left = judged.visible & _inside(test.landmarks, test.size) & ~_inside(places, test.size)
    return replace(
        judged,
        task="scale",
        n_annotations="all",
        subset=f"{factor:g}",
        visible=judged.visible & ~left,
        normaliser_annotated=spec.hidden_annotated or bool(left.any()),
        settings={"zoom_out_factor": factor, "landmarks_that_left_the_image": int(left.sum())},
    )


def rehearse(context: TaskContext, settings: ScaleSettings) -> Iterator[Predictions]:
    """The predictions of a head that is always right, known before any image is zoomed."""
    for factor in settings.factors:
        judged = judged_at(context, factor, context.test.landmarks[None])
        yield replace(judged, predicted=judged.target[None])


def draw(context: TaskContext, settings: ScaleSettings, results: Sequence[Predictions], rows: Sequence[Row]) -> None:
    """Draws ``scale.png``: each metric against the factor."""
    del settings, results
    draw_scale(rows, context.folder / "scale.png")


def _zoomed_inputs(head: RunHead, factor: float, name: str) -> HeadInputs:
    """What the head is given for the zoomed test images; the frozen maps of the regression at factor 1."""
    if factor == 1:
        return head.inputs("test")
    context = head.context
    pixels = zoomed_pixels(context.dataset, "test", factor).first(len(context.test))
    if context.extractor is None:
        return head.without_network(pixels)
    return context.freeze(pixels, name, f"encoding x {factor:g}")


def _inside(points: np.ndarray, side: int) -> np.ndarray:
    """(N, L) bool: landmarks within the image, from the first pixel's centre to the last one's."""
    return np.asarray(((points >= 0) & (points <= side - 1)).all(-1))
