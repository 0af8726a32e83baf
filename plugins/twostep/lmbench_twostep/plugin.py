"""Two-step landmark discovery (Rahaman, Ghosh, Thiery 2021), and its ablation without the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, MapSpec, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, Window, hookimpl
from lmbench_twostep.paper import lmbench_papers as lmbench_papers
from lmbench_twostep.presets import (
    PAPER_CATS,
    PAPER_TRAINING,
    PRESETS,
    STEP1_DEFORMATION,
    STEP2_DEFORMATION,
    ablation,
    without_step1,
)
from lmbench_twostep.settings import (
    DetectorSettings,
    HourglassSettings,
    PixelNTXentSettings,
    TwoStepLandmarksSettings,
)

LMBENCH_API = 1

PAPER = "Rahaman, Ghosh, Thiery 2021"
LANDMARKS = (10, 20, 30, 50)  # K: cats 10 and 20, MAFL 30 and 50, BBC Pose 50 (Tables 1, 3, 4)

# Sec. 4.1: a linear regressor without bias, ridge 0.1. Unit and origin are open: pixels of the paper's 128x128 images.
RIDGE: Mapping[str, Any] = {
    "head": "ridge",
    "head_settings": {"alpha": 0.1, "bias": False, "origin": "corner", "unit": "pixel128"},
}


def _variant(landmarks: int, stages: tuple[str, ...]) -> VariantSpec:
    settings = {"landmarks": landmarks}
    return VariantSpec(
        name=f"k{landmarks}",
        summary=f"{landmarks} discovered landmarks",
        layers=("dense4",),
        stages=stages,
        backbone="twostep_detector",
        backbone_settings=settings,
        overrides={
            "stages": {"landmarks": {"backbone_settings": settings}},
            "regression": RIDGE,
        },
    )


CHOICES: Mapping[str, str] = {
    "channel widths, normalisation layers, depth of T": (
        "64 at full resolution, doubling to 512; no normalisation layer is named, none used; T: three residual blocks as "
        "wide as F at full resolution (fig. 1 shows three layers between F and the heatmaps)"
    ),
    "eq. 7 prints both features as F(x')": "f is read in x, f' in x': a slip; x is neither deformed nor recoloured",
    "cats": "frames of 100 pixels and patches of 10x10 in paper, as the paper says; 128 and 8x8 for all else",
    "locations, batch": "64 an image, among those visible in both views; 32 images",
    "strength of deformations and appearance changes": "see the stages' settings and pixel_ntxent's defaults",
    "weights of L_eqv, L_div, L_variance": (
        "`paper`: a plain sum in pixels, as printed (`terms=printed`); else 10, 0.5, 0.1 with coordinates in half image "
        "sides and the last two divided by K, lower in quick and small"
    ),
    "L_div and L_variance of which view": "the mean over both",
    "which way eq. 2 is taken": "the deformed view's landmarks are moved back: exact, where g itself has no formula",
    "input of T": "F's features at unit length times sqrt(D): eq. 7 trains directions alone",
    "unit and origin of the ridge regressor": "pixels of a 128x128 image, from its corner",
    "how F's full-resolution map is judged": "as means of 4x4 cells (`dense4`), by the core's head; the paper has no such head",
    "L2 regularisation": "Adam's weight_decay, as its PyTorch form",
    "presets quick and small": (
        "narrow networks at half resolution, views of the frame's centre, larger deformations (in step 2 shifts and zooms "
        "too), both views strongly recoloured, contrast within an image alone, Adam 3e-3 with a cosine, no L2"
    ),
}

TWOSTEP = MethodSpec(
    name="twostep",
    summary="every pixel's feature by contrast with a deformed copy; then K landmarks by equivariance on these, frozen",
    paper=PAPER,
    year=2021,
    backbone="twostep_hourglass",
    stages=(
        StageSpec(
            name="contrast",
            objective="pixel_ntxent",
            settings={"deformation": STEP1_DEFORMATION},
            training=PAPER_TRAINING,
        ),
        StageSpec(
            name="landmarks",
            objective="twostep_landmarks",
            backbone="twostep_detector",
            reads=("dense",),
            settings={"deformation": STEP2_DEFORMATION},
            training=PAPER_TRAINING,
        ),
    ),
    variants=(
        *(_variant(k, ("contrast", "landmarks")) for k in LANDMARKS),
        VariantSpec(
            name="dense64",
            summary="the 64-d feature of every pixel after step 1 alone",
            layers=("dense4",),
            stages=("contrast",),
            overrides={"tasks": ("regression", "matching")},
        ),
    ),
    default_variant="k30",
    presets=PRESETS,
    paper_on={"cats": PAPER_CATS},
    tasks=("regression",),  # matching of F's map is dense64's, whatever K
    published="lmbench_twostep:published.toml",
    choices=CHOICES,
)

END_TO_END = MethodSpec(
    name="end_to_end",
    summary="twostep without its first step: F and T trained together, from scratch, by the landmark losses (sec. 5.3)",
    paper=PAPER,
    year=2021,
    backbone="twostep_hourglass",
    stages=(
        StageSpec(
            name="landmarks",
            objective="twostep_landmarks",
            backbone="twostep_detector",
            settings={"deformation": STEP2_DEFORMATION, "features": "trained"},
            training=PAPER_TRAINING,
        ),
    ),
    variants=tuple(_variant(k, ("landmarks",)) for k in LANDMARKS),
    default_variant="k30",
    presets=ablation(PRESETS),
    paper_on={"cats": without_step1(PAPER_CATS)},
    published="lmbench_twostep:published.toml",
    choices=CHOICES,
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [TWOSTEP, END_TO_END]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="twostep_hourglass",
            summary="F: encoder and decoder of four blocks with skips, 64 channels at full resolution",
            target="lmbench_twostep.hourglass:Hourglass",
            paper=f"{PAPER}, sec. 4.1",
            year=2021,
            settings=HourglassSettings,
            maps=(MapSpec("dense4", 64, 4), MapSpec("dense", 64, 1)),
            min_size=16,
        ),
        BackboneSpec(
            name="twostep_detector",
            summary="T after F: residual blocks to K heatmaps at full resolution; discovers K landmarks",
            target="lmbench_twostep.detector:TwoStepDetector",
            paper=f"{PAPER}, secs. 3-4",
            year=2021,
            settings=DetectorSettings,
            maps=(
                MapSpec("dense4", 64, 4),
                MapSpec("dense", 64, 1),
                *(MapSpec(f"layer{i}", 64, 1) for i in (2, 3, 4)),
                MapSpec("heatmaps", None, 1),
            ),
            min_size=16,
        ),
    ]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="pixel_ntxent",
            summary="each pixel's feature is found again in a deformed, recoloured copy, among those of the batch (eq. 7)",
            target="lmbench_twostep.contrast:PixelNTXent",
            paper=f"{PAPER}, sec. 4",
            year=2021,
            settings=PixelNTXentSettings,
            needs_maps=("dense",),
            min_batch=2,
            cuts=Window(),
        ),
        ObjectiveSpec(
            name="twostep_landmarks",
            summary="heatmaps that move with the image, lie apart and are narrow (eqs. 2-3, L_variance)",
            target="lmbench_twostep.landmarks:TwoStepLandmarks",
            paper=f"{PAPER}, secs. 2 and 4",
            year=2021,
            settings=TwoStepLandmarksSettings,
            needs_maps=("heatmaps",),
            cuts=Window(),
        ),
    ]
