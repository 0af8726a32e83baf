"""The tasks of the core."""

from __future__ import annotations

from lmbench.heads.specs import MEAN_SHAPE
from lmbench.specs import TaskSpec
from lmbench.tasks.settings import (
    EquivarianceSettings,
    MatchingSettings,
    PartsSettings,
    RegressionSettings,
    ScaleSettings,
    SegmentationSettings,
)

TASKS = [
    TaskSpec(
        name="regression",
        summary="a landmark head fitted on frozen output with n annotated images, judged on the test split",
        target="lmbench.tasks.regression:run",
        settings=RegressionSettings,
        presets={"paper": {"head": "softargmax_linear"}},
        metrics=("iod",),
        needs=("landmarks",),
        rehearse="lmbench.tasks.regression:rehearse",
        pictures="lmbench.tasks.regression:draw",
        floors={MEAN_SHAPE: "lmbench.tasks.regression:mean_shape"},
        control="affordable",
    ),
    TaskSpec(
        name="matching",
        summary="annotated points of one image found in a warped copy and in another image by descriptor similarity",
        target="lmbench.tasks.matching:run",
        settings=MatchingSettings,
        paper="Thewlis et al. 2019 (DVE); Cheng et al. 2021",
        metrics=("matching_error",),
        needs=("network", "landmarks"),
        control="always",
    ),
    TaskSpec(
        name="equivariance",
        summary="annotated points found in a deformed copy of their own image, by every layer and by chance",
        target="lmbench.tasks.equivariance:run",
        settings=EquivarianceSettings,
        paper="Rahaman et al. 2021, sec. 3",
        metrics=("acc_20px", "acc_curve"),
        needs=("network", "landmarks"),
        pictures="lmbench.tasks.equivariance:draw",
    ),
    TaskSpec(
        name="segmentation",
        summary="a linear classifier of pixels fitted on frozen maps with n labelled images",
        target="lmbench.tasks.segmentation:run",
        settings=SegmentationSettings,
        paper="Thewlis et al. 2017, supplement, sec. 5",
        metrics=("pixel_accuracy", "figure_iou"),
        needs=("network", "masks"),
        predictions="lmbench.metrics.pixels:Confusions",
    ),
    TaskSpec(
        name="scale",
        summary="the regression's head, fitted once, on test images zoomed by several factors",
        target="lmbench.tasks.scale:run",
        settings=ScaleSettings,
        paper="Karmali et al. 2022 (LEAD), Fig. 9",
        metrics=("iod",),
        measured_as="regression",
        needs=("landmarks",),
        uses=("regression",),
        rehearse="lmbench.tasks.scale:rehearse",
        pictures="lmbench.tasks.scale:draw",
    ),
    TaskSpec(
        name="parts",
        summary="pictures of the parts into which NMF and k-means divide frozen maps of test images; no number",
        target="lmbench.tasks.parts:run",
        settings=PartsSettings,
        paper="Cheng et al. 2021, Fig. 5; Karmali et al. 2022 (LEAD), supplement, sec. C",
        leaves="pictures",
        needs=("network",),
    ),
]
