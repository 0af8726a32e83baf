"""The core's metrics as functions of stored predictions."""

from __future__ import annotations

from lmbench.errors import DataError
from lmbench.metrics.base import MetricResult, Predictions, mean_of_scored
from lmbench.metrics.iod import inter_ocular_errors
from lmbench.metrics.matching import matching_errors


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
    return MetricResult(values, mean_of_scored(values))


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
    return MetricResult(values, mean_of_scored(values))
