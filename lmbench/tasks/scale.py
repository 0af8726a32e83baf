"""Sensitivity to scale: the regression's head, fitted once, on test images that are zoomed (Karmali et al. 2022, Fig. 9)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lmbench.config.model import RunConfig
from lmbench.data.pixels import PixelStore
from lmbench.data.zooming import zoomed_points
from lmbench.heads.base import HeadInputs, Subset
from lmbench.heads.frozen import freeze_maps
from lmbench.metrics.base import Predictions
from lmbench.specs import DatasetSpec, HeadSpec
from lmbench.tasks.base import TaskContext
from lmbench.tasks.regression import fitted_heads, head_inputs, head_protocol, inputs_without_network, judged_by
from lmbench.tasks.settings import ScaleSettings


def run(context: TaskContext, settings: ScaleSettings) -> None:
    """Keeps the predictions of the head of all annotations for every factor; ``subset`` is the factor, as in ``0.8``.

    At factor 1 they are those of the regression. A landmark that leaves the image is not scored, and is counted.
    """
    wanted = [f for f in settings.factors if not context.kept(f"scale-{f:g}-nall")]
    if not wanted:
        return
    entry = context.plugins.find("head", context.config.settings_of("regression").head)
    subsets = [Subset("all", 0, torch.arange(len(context.train)))]
    fitted = fitted_heads(context, entry, subsets)
    for factor in wanted:
        scratch = context.scratch / f"test-zoomed-{factor:g}"
        inputs = _zoomed_inputs(context, entry.spec, factor, scratch)
        judged = judged_at(context.dataset.spec, context.config, context.test, factor, fitted.predict(inputs).numpy())
        protocol = head_protocol(context, entry, subsets, inputs)
        context.keep(replace(judged, settings={**protocol, **judged.settings}))
        shutil.rmtree(scratch, ignore_errors=True)  # frozen maps are large, and no other task reads these


def judged_at(
    spec: DatasetSpec, config: RunConfig, test: PixelStore, factor: float, predicted: np.ndarray
) -> Predictions:
    """Predictions (S, N, L, 2) on the zoomed ``test`` images beside all by which the dataset judges them.

    Landmarks that the zoom takes out of the image are not scored. Their true places are known all the same, so an eye
    among them still normalises.
    """
    assert test.source_scale is not None  # the images of a dataset are cut from files
    places = zoomed_points(test.landmarks, factor, spec.preprocessing, test.source_scale)
    zoomed = replace(test, landmarks=places, source_scale=test.source_scale * factor)
    judged = judged_by(spec, zoomed, predicted, config.settings_of("regression").score)
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


def perfect_at_every_factor(spec: DatasetSpec, config: RunConfig, test: PixelStore) -> Iterator[Predictions]:
    """The predictions of a head that is always right, known before any image is zoomed: can they be judged?"""
    for factor in config.settings_of("scale").factors:
        wrong_nowhere = judged_at(spec, config, test, factor, test.landmarks[None])
        yield replace(wrong_nowhere, predicted=wrong_nowhere.target[None])


def _zoomed_inputs(context: TaskContext, head: HeadSpec, factor: float, scratch: Path) -> HeadInputs:
    """What a head of this kind is given for the zoomed test images; the frozen maps of the regression at factor 1."""
    if factor == 1:
        return head_inputs(context, head, "test")
    pixels = context.dataset.pixels("test", zoom=factor).first(len(context.test))
    if context.extractor is None:
        return inputs_without_network(head, pixels, context.device)
    config, label = context.config, f"encoding x {factor:g}"
    frozen = freeze_maps(context.extractor, pixels, scratch, context.device, config.encode_batch, label)
    return frozen.read(config.read.size, config.read.normalise)


def _inside(points: np.ndarray, side: int) -> np.ndarray:
    """(N, L) bool: landmarks within the image, from the first pixel's centre to the last one's."""
    return np.asarray(((points >= 0) & (points <= side - 1)).all(-1))
