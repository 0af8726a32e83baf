"""IMM (Jakab et al., NeurIPS 2018): landmarks through conditional image generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, MapSpec, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, Window, hookimpl
from lmbench_imm.settings import DetectorSettings, IMMSettings

LMBENCH_API = 1

PAPER = "Jakab et al. 2018 (IMM)"
LANDMARKS = (10, 30, 50)  # the paper's three sizes on faces

# Reference code, scripts/test.py: least squares on pixels of a 128-pixel image, neither bias nor centring.
REGRESSION: Mapping[str, Any] = {
    "head": "ols",
    "head_settings": {"bias": False, "origin": "corner", "unit": "pixel128"},
}

PAPER_TRAINING: Mapping[str, Any] = {
    "epochs": 100,  # open: the reference code stops by hand, at 30 million steps at most
    "batch_size": 50,  # reference code
    "frame": 160,  # reference code: resized to 160, the central 128 are used
    "optimiser": {"name": "adam", "lr": 1e-3, "weight_decay": 1e-5, "decay_norms": False},  # reference code
    "schedule": "exponential",
    "decay": 0.99834,  # 0.95 every 100,000 batches of 50, in epochs of 161,962 images: 0.95^(161962 / 50 / 100000)
}

# A small budget: little images and a quarter of the width, because steps are what is short; one level less, so that maps
# keep 12 x 12 cells; Gaussians as wide against their wider cells; the loss on pixels, because no weights can be assumed.
SMALL_NETWORK: Mapping[str, Any] = {"width": 8, "levels": 3, "side": 48}
SMALL_SETTINGS: Mapping[str, Any] = {"reconstruction": "pixel", "size": 48, "std": 0.2, "border": "real"}
SMALL_TRAINING: Mapping[str, Any] = {
    "epochs": 5,
    "least_steps": 3750,  # as many as `quick` takes on synthfaces: 15 epochs of 2,000 images
    "batch_size": 8,
    "frame": 64,
    "optimiser": {"name": "adam", "lr": 2e-3, "weight_decay": 1e-5, "decay_norms": False},
    "schedule": "cosine",
    "warmup_epochs": 0.05,
}


def preset(network: Mapping[str, Any], settings: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of the one stage and of what is read after it, which must be the same network."""
    stage = {"backbone_settings": network, "settings": settings, "training": training}
    return {"stages": {"imm": stage}, "read": {"backbone_settings": network}}


PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": preset(
        {"width": 4, "levels": 3, "side": 32},
        {"reconstruction": "pixel", "size": 32, "std": 0.2},
        {"epochs": 2, "batch_size": 8, "images": 32, "frame": 40, "schedule": "constant"},
    ),
    "quick": preset(SMALL_NETWORK, {**SMALL_SETTINGS, "window": 1.0}, {**SMALL_TRAINING, "frame": 48, "epochs": 15}),
    "small": preset(SMALL_NETWORK, {**SMALL_SETTINGS, "window": 0.7}, SMALL_TRAINING),  # 0.7: the test crops, 96 of 136
    "paper": {**preset({"side": 128}, {}, {}), "regression": REGRESSION},  # the core's `paper` names a head for maps
}

IMM = MethodSpec(
    name="imm",
    summary="landmarks are the bottleneck through which an image's geometry reaches a decoder that knows its appearance",
    paper=PAPER,
    year=2018,
    backbone="imm_detector",
    stages=(StageSpec(name="imm", objective="imm", backbone="imm_detector", training=PAPER_TRAINING),),
    variants=tuple(
        VariantSpec(
            name=f"k{count}",
            summary=f"{count} landmarks",
            layers=("features",),
            stages=("imm",),
            backbone_settings={"landmarks": count},
            overrides={
                "stages": {"imm": {"backbone_settings": {"landmarks": count}}},
                "read": {"backbone_settings": {"landmarks": count}},
            },
        )
        for count in LANDMARKS
    ),
    default_variant="k50",
    defaults={"regression": REGRESSION},
    presets=PRESETS,
    published="lmbench_imm:published.toml",
    choices={
        "VGG-16 of the perceptual loss": "torchvision's, trained on ImageNet's classes, on RGB, after each ReLU; the paper's was "
        "trained to colour grey images",
        "units of images": "[0, 1] for encoders and decoder; the loss counts them in [0, 255]",
        "initial weights": "He's, and 1/sqrt(channels) for the heatmaps; the reference code has 0.01 everywhere, which BatchNorm "
        "undoes, but not in an untrained network",
        "gradient through the running averages": "none; in the reference code it takes 1 % off",
        "a control point's second draw": "replaces the first (as DVE), with a standard deviation of .00716; the reference "
        "code adds it, .00712",
        "frame of CelebA": "the central 0.8 of the 178x178 square; the reference code takes it of the whole image, squeezed",
        "pairs of video frames (BBC Pose), fine-tuning on AFLW": "not built: two warps of one image, CelebA's network as it is",
        "training images of the head": "all; the reference code leaves out the last tenth",
        "epochs of preset paper": "100: the reference code stops by hand",
        "learning rate": "x0.99834 an epoch: on CelebA the reference code's x0.95 every 100,000 batches",
        "presets smoke, quick and small": "loss on pixels (`reconstruction=pixel`): no weights can be assumed",
        "presets quick and small": "48-pixel views and detector, 8 channels, 3 levels, Gaussians of 0.2, learning rate 2e-3, "
        "mirrored pixels instead of black ones beyond the border",
    },
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [IMM]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="imm",
            summary="render a warped image from another warp's appearance and its own landmarks",
            target="lmbench_imm.imm:IMM",
            paper=PAPER,
            year=2018,
            settings=IMMSettings,
            needs_maps=("features", "heatmaps"),
            cuts=Window(),
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="imm_detector",
            summary="IMM's pose encoder: eight filters to 1/8 of the image, a map for each landmark, factorised soft-argmax",
            target="lmbench_imm.detector:Detector",
            paper=PAPER,
            year=2018,
            settings=DetectorSettings,
            maps=(MapSpec("features", None, 8), MapSpec("heatmaps", None, 8)),
            min_size=16,
            resizes_to="side",
        )
    ]
