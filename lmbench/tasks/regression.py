"""Landmark regression: a head fitted on frozen output with n annotated images, judged on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from lmbench.data.pixels import PixelStore
from lmbench.heads.base import Subset
from lmbench.heads.draws import draw_subsets
from lmbench.heads.linear import MeanShape
from lmbench.metrics.base import Predictions
from lmbench.report.pictures import draw_overlay
from lmbench.report.weights import draw_regressor
from lmbench.results.record import Row
from lmbench.seeds import generator_for
from lmbench.specs import DatasetSpec, NoSettings
from lmbench.tasks.backward import judge_backward
from lmbench.tasks.base import TaskContext
from lmbench.tasks.heads import RunHead, head_name
from lmbench.tasks.inputs import NoInputs
from lmbench.tasks.settings import RegressionSettings


def run(context: TaskContext, settings: RegressionSettings) -> None:
    """Keeps predictions for every number of annotations (all draws together) and for each layer judged alone; for a head
    on discovered landmarks, also those of the backward error.

    What an interrupted run has kept already is not fitted again. Raises UsageError for a head that does not suit the
    method, or more annotations than images.
    """
    head = RunHead(context, settings)
    subsets = draw_subsets(len(context.train), settings.annotations, settings.draws, context.config.seed)
    for n in settings.annotations:
        _judge(head, [s for s in subsets if s.n == n])
    if head.entry.spec.inputs == "landmarks" and "all" in settings.annotations:
        judge_backward(context, head.head, head.description())
    read = context.extractor.layers if context.extractor is not None else ()
    for layer in settings.layers_alone:
        if layer in read and len(read) > 1:
            _judge(head, [Subset("all", 0, torch.arange(len(context.train)))], layer)


def _judge(head: RunHead, subsets: Sequence[Subset], layer: str | None = None) -> None:
    context = head.context
    if context.kept(head_name(subsets, layer)):
        return
    fitted = head.fitted(subsets, layer)
    inputs = head.inputs("test", layer)
    predicted = fitted.predict(inputs).numpy()
    judged = judged_by(context.dataset.spec, context.test, predicted, head.settings.score)
    settings = head.protocol(subsets, inputs, fitted)
    context.keep(replace(judged, n_annotations=subsets[0].n, subset=layer, settings=settings))


def judged_by(spec: DatasetSpec, test: PixelStore, predicted: np.ndarray, score: str) -> Predictions:
    """Predictions (S, N, L, 2) beside all by which the dataset judges them; ``score``: ``visible`` landmarks or ``all``."""
    return Predictions(
        task="regression",
        predicted=predicted,
        target=np.array(test.landmarks),
        visible=np.array(test.visible) if score == "visible" else np.ones_like(test.visible),
        image_ids=test.source_ids,
        image_size=test.size,
        eyes=spec.eyes,
        normaliser_annotated=spec.hidden_annotated,
        metrics=spec.metrics,
        landmark_names=spec.landmark_names,
        parts=spec.parts,
        source_scale=test.source_scale,
    )


def rehearse(context: TaskContext, settings: RegressionSettings) -> Iterator[Predictions]:
    """The predictions of a head that is always right."""
    truth = np.array(context.test.landmarks)[None]
    yield judged_by(context.dataset.spec, context.test, truth, settings.score)


def mean_shape(context: TaskContext, settings: RegressionSettings) -> Iterator[Predictions]:
    """The mean of the annotated landmarks as predictions, by the same draws; nothing for a run that is judged by just that."""
    if context.plugins.find("head", settings.head).spec.inputs == "nothing":
        return
    train, test, seed = context.train, context.test, context.config.seed
    landmarks, visible = torch.from_numpy(np.array(train.landmarks)), torch.from_numpy(np.array(train.visible))
    inputs = NoInputs(len(test), test.size, torch.device("cpu"))
    subsets = draw_subsets(len(train), settings.annotations, settings.draws, seed)
    for n in settings.annotations:
        own = [s for s in subsets if s.n == n]
        fitted = MeanShape(NoSettings()).fit(inputs, landmarks, visible, own, generator_for(seed, "mean shape"))
        judged = judged_by(context.dataset.spec, test, fitted.predict(inputs).numpy(), settings.score)
        yield replace(judged, n_annotations=n)


def draw(
    context: TaskContext, settings: RegressionSettings, results: Sequence[Predictions], rows: Sequence[Row]
) -> None:
    """Draws ``overlay.png`` and, of a head that is linear in discovered landmarks, its weights."""
    del settings, rows
    whole = (p for p in results if p.subset is None and p.n_annotations == "all")
    shown = next(whole, results[0])
    draw_overlay(shown, context.test, context.folder / "overlay.png")
    draw_regressor(context.folder, shown, context.test)
