"""The metrics of the core."""

from __future__ import annotations

from lmbench.specs import MetricSpec

METRICS = [
    MetricSpec(
        name="iod",
        summary="mean landmark error over the inter-ocular distance of the image",
        target="lmbench.metrics.scoring:iod",
        paper="DVE and ContrastLandmarks reference code",
        task="regression",
        unit="percent",
        higher_is_better=False,
        normaliser="distance between the two annotated eyes",
    ),
    MetricSpec(
        name="matching_error",
        summary="mean distance between the matched and the true point, in pixels of the reading's scale",
        target="lmbench.metrics.scoring:matching_error",
        paper="Thewlis et al. 2019 (DVE), sec. 4.1",
        task="matching",
        unit="px",
        higher_is_better=False,
    ),
    MetricSpec(
        name="pixel_accuracy",
        summary="share of all pixels that are given their class",
        target="lmbench.metrics.pixels:pixel_accuracy",
        paper="Thewlis et al. 2017, supplement, sec. 5",
        task="segmentation",
        unit="percent",
        higher_is_better=True,
        of="pixels",
    ),
    MetricSpec(
        name="acc_20px",
        summary="share of landmarks found within 20 px (of a 128x128 image) in a deformed copy of their image",
        target="lmbench.metrics.accuracy:acc_20px",
        paper="Rahaman et al. 2021, eq. 6",
        task="equivariance",
        unit="percent",
        higher_is_better=True,
    ),
    MetricSpec(
        name="acc_curve",
        summary="area under the accuracy curve up to 20 px (of a 128x128 image), with the curve as data",
        target="lmbench.metrics.accuracy:acc_curve",
        paper="Rahaman et al. 2021, eq. 6",
        task="equivariance",
        unit="percent",
        higher_is_better=True,
    ),
]
