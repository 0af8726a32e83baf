"""IMM as its paper has it: one stage, and three sizes of the bottleneck."""

from __future__ import annotations

from dataclasses import replace

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec

PAPER = "Jakab et al. 2018 (IMM)"
LANDMARKS = (10, 30, 50)  # the paper's three sizes on faces


def variant(count: int) -> VariantSpec:
    """The output of ``count`` landmarks."""
    return VariantSpec(
        name=f"k{count}",
        summary=f"{count} landmarks",
        layers=("features",),
        stages=("imm",),
        overrides={
            "stages": {"imm": {"backbone_settings": {"landmarks": count}}},
            "regression": {"head": "ols"},  # as it is: reference code, scripts/test.py
        },
    )


# Trained by the stage of k50, which is trained once for both. The paper has no such output.
K50_FEATURES = replace(
    variant(50),
    name="k50_features",
    summary="the map beneath the heatmaps of k50, as dense features (not in the paper)",
    overrides={"stages": variant(50).overrides["stages"]},
)

IMM = MethodSpec(
    name="imm",
    summary="landmarks are the bottleneck through which an image's geometry reaches a decoder that knows its appearance",
    paper=PAPER,
    year=2018,
    backbone="imm_detector",
    stages=(
        Stage(
            name="imm",
            objective="imm",
            backbone="imm_detector",
            training=Training(
                epochs=100,  # open: the reference code stops by hand, at 30 million steps at most
                batch_size=50,  # reference code
                frame=160,  # reference code: resized to 160, the central 128 are used
                optimiser=Optimiser(name="adam", lr=1e-3, weight_decay=1e-5, decay_norms=False),  # reference code
                schedule="exponential",
                decay=0.99834,  # 0.95 every 100,000 batches of 50, in epochs of 161,962 images: 0.95^(161962 / 50 / 100000)
            ),
        ),
    ),
    variants=(*map(variant, LANDMARKS), K50_FEATURES),
    default_variant="k50",
    presets="lmbench_imm:presets",
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
        "k50_features": "the detector's features, read by the core's head; the paper has no such output",
        "presets smoke, quick and small": "loss on pixels (`reconstruction=pixel`): no weights can be assumed",
        "presets quick and small": "48-pixel views and detector, 8 channels, 3 levels, Gaussians of 0.2, learning rate 2e-3, "
        "mirrored pixels instead of black ones beyond the border",
    },
)
