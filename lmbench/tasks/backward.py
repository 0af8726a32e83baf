"""The backward error of discovered landmarks: annotated landmarks predict them, as the head does the other way round.

The forward error alone hides landmarks that lie anywhere: a regressor gives them no weight (Sanchez and Tzimiropoulos
2019 score 3.99 forward and 14.74 backward on MAFL). Only images that show all annotated landmarks take part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lmbench import progress
from lmbench.data.pixels import PixelStore
from lmbench.heads.base import Head, Subset, TensorInputs
from lmbench.metrics.base import Predictions
from lmbench.seeds import generator_for
from lmbench.tasks.base import TaskContext

SUBSET = "backward"


def judge_backward(context: TaskContext, head: Head, settings: dict[str, Any]) -> None:
    """Keeps the predictions of all training images' map from annotated to discovered landmarks, where there are eyes.

    Nothing is kept for a dataset without eyes, by whose distance errors are divided, or without complete images.
    """
    eyes = context.dataset.spec.eyes
    if eyes is None or context.kept(f"regression-{SUBSET}-nall"):
        return
    whole_train, whole_test = (_complete(context, pixels) for pixels in (context.train, context.test))
    if not (whole_train.any() and whole_test.any()):
        progress.say("warning: no backward error: no image of the training or the test split shows all landmarks")
        return
    found_train, found_test = (context.frozen(split).landmarks() for split in ("train", "test"))
    seen = torch.ones(found_train.shape[:2], dtype=torch.bool)
    subset = Subset("all", 0, torch.from_numpy(np.flatnonzero(whole_train)))
    generator = generator_for(context.config.seed, "head", SUBSET)
    fitted = head.fit(_annotated(context.train), found_train, seen, [subset], generator)
    predicted = fitted.predict(_annotated(context.test))
    truth = np.array(context.test.landmarks, np.float64)
    context.keep(
        Predictions(
            task="regression",
            predicted=predicted.numpy(),
            target=found_test.numpy(),
            visible=np.repeat(whole_test[:, None], found_test.shape[1], 1),
            image_ids=context.test.source_ids,
            image_size=context.test.size,
            n_annotations="all",
            subset=SUBSET,
            settings=settings,
            metrics=("backward_iod",),
            normaliser=np.linalg.norm(truth[:, eyes[0]] - truth[:, eyes[1]], axis=-1),
        )
    )


def _complete(context: TaskContext, pixels: PixelStore) -> np.ndarray:
    """(N,) bool: images whose landmarks all have a position."""
    if context.dataset.spec.hidden_annotated:
        return np.ones(len(pixels), bool)
    return np.asarray(pixels.visible.all(1))


def _annotated(pixels: PixelStore) -> TensorInputs:
    """The annotated landmarks in the place of discovered ones."""
    return TensorInputs(pixels.size, landmarks=torch.from_numpy(np.array(pixels.landmarks)))
