"""The core's metrics as functions of stored predictions."""

from __future__ import annotations

import numpy as np

from lmbench.errors import DataError
from lmbench.metrics.base import MetricResult, Predictions
from lmbench.metrics.box import box_sides
from lmbench.metrics.iod import FloatArray, inter_ocular_errors, names_of, refuse, scored_points
from lmbench.metrics.matching import matching_errors
from lmbench.metrics.pck import distances, frame_distances, hits

PCK_5PCT = 0.05  # of the box, which is the image's side; Cheng et al. 2021, sec. 4
CUB_BOX = 48  # pixels; ContrastLandmarks' models/metric.py, boxsize
CUB_BATCH = 32  # images; ContrastLandmarks' eval_animal.py
BODY_SIDE, BODY_RADIUS = 128, 6  # pixels; Rahaman et al. 2021, Table 1
FRAME_RADIUS = 6  # pixels of a frame at half its resolution; the BBC Pose toolkit


def iod(predictions: Predictions) -> MetricResult:
    """Percent of the inter-ocular distance. Raises DataError naming the image for a zero or missing normaliser."""
    if predictions.eyes is None:
        raise DataError("iod needs a dataset that names its two eyes (DatasetSpec.eyes).")
    values = inter_ocular_errors(
        predictions.predicted,
        predictions.target,
        predictions.eyes,
        visible=predictions.visible,
        image_ids=list(predictions.image_ids),
        hidden_eyes_count=predictions.normaliser_annotated,
    )
    return MetricResult.of(values)


def backward_iod(predictions: Predictions) -> MetricResult:
    """Error of the *discovered* landmarks as predicted from the annotated ones, percent of the annotated eyes' distance.

    A landmark that the method puts anywhere cannot be predicted, however little it hurts the forward error.
    """
    return MetricResult.of(_relative(predictions, predictions.normaliser, "backward_iod", "the distance of the eyes"))


def box_error(predictions: Predictions) -> MetricResult:
    """Percent of sqrt(w * h), the box of the visible landmarks' true positions (Awan et al.'s code).

    Raises DataError naming the image whose box has no area.
    """
    sides = box_sides(predictions.target, predictions.visible)
    return MetricResult.of(_relative(predictions, sides, "box_error", "the box of the visible landmarks"))


def pck_5pct(predictions: Predictions) -> MetricResult:
    """Percent of points nearer than 5 % of the image's side: per landmark over the whole set, then the mean of those."""
    near = distances(predictions, "pck_5pct") < PCK_5PCT * predictions.image_size
    return MetricResult.of(hits(near, predictions.visible), macro=True)


def pck_cub_truncated(predictions: Predictions) -> MetricResult:
    """PCK as ContrastLandmarks' code computes it: 5 % of 48, of distances cut to whole pixels, so 6.25 %.

    A landmark annotated at x <= 0 or y <= 0 is not scored. Means are taken in batches of 32 images in order.
    """
    scale = (CUB_BOX - 1) / (predictions.image_size - 1)
    whole_pixels = np.floor(distances(predictions, "pck_cub_truncated", scale))
    inside = predictions.visible & (predictions.target > 0).all(-1)
    return MetricResult.of(hits(whole_pixels < PCK_5PCT * CUB_BOX, inside), macro=True, batch=CUB_BATCH)


def pck_6px(predictions: Predictions) -> MetricResult:
    """Percent of points within 6 px of a 128-px image: per joint over the whole set, then the mean over joints."""
    scale = BODY_SIDE / predictions.image_size
    near = distances(predictions, "pck_6px", scale) <= BODY_RADIUS
    return MetricResult.of(hits(near, predictions.visible), macro=True)


def bbc_pck(predictions: Predictions) -> MetricResult:
    """Percent of points within 6 px of the original frame at half its resolution, as the BBC Pose toolkit counts.

    Raises DataError where the predictions were stored without the scale of the source images.
    """
    if predictions.source_scale is None:
        raise DataError(
            "bbc_pck needs the scale of the source images, which these predictions were stored without. "
            "Measure anew with --resume never."
        )
    near = frame_distances(predictions, "bbc_pck") <= FRAME_RADIUS
    return MetricResult.of(hits(near, predictions.visible), macro=True)


def matching_error(predictions: Predictions) -> MetricResult:
    """Pixels on the scale of the reading that ``settings["reading"]`` names."""
    side = predictions.image_size
    values = matching_errors(
        predictions.predicted,
        predictions.target,
        (side, side),
        reading=predictions.settings["reading"],
        visible=predictions.visible,
        pair_ids=list(predictions.image_ids),
    )
    return MetricResult.of(values)


def _relative(predictions: Predictions, lengths: np.ndarray | None, metric: str, what: str) -> FloatArray:
    """(S, N, L): distances in percent of one length an image. Raises DataError naming an image without one."""
    if lengths is None:
        raise DataError(f"{metric} needs {what}, which these predictions were stored without.")
    scored = scored_points(predictions.visible, predictions.target.shape[:2])
    names = names_of("image", list(predictions.image_ids), len(scored))
    good = np.isfinite(lengths) & (lengths > 0)
    refuse(scored.any(1) & ~good, names, f"{metric}: {what}, by which errors are divided, is zero or missing")
    values = 100 * distances(predictions, metric) / np.where(good, lengths, np.nan)[:, None]
    return np.asarray(values)
