"""Thewlis, Bilen, Vedaldi, ICCV 2017: sparse landmarks by factorizing viewpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lmbench.api import BackboneSpec, MapSpec, Margin, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, hookimpl
from lmbench_sparse.paper import lmbench_papers as lmbench_papers
from lmbench_sparse.settings import FACES_G2, SparseAlignmentSettings, SparseNetSettings

LMBENCH_API = 1

PAPER = "Thewlis et al. 2017"
STAGES = ("alignment", "adaptation")

# The paper regresses by a layer without bias on the 2K coordinates, trained with weight decay. Least squares itself breaks
# where landmarks coincide: one test image then errs by a thousand percent (README, "Regression"). Origin: IMM's code.
REGRESSION: Mapping[str, Any] = {
    "head": "ridge",
    "head_settings": {"alpha": 1.0, "bias": False, "origin": "corner", "unit": "pixel128"},
    "warp": asdict(FACES_G2),  # of copies, where there are any: "using our warps as data augmentation" (sec. 4.1)
}


def preset(
    network: Mapping[str, Any],
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    adaptation: Mapping[str, Any],
    regression: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A preset in which both stages and what is read share one network.

    ``settings``: of the objective. ``adaptation``: the second stage's training, and its ``crop``, where they differ.
    """
    change = dict(adaptation)
    crop = {"crop": change.pop("crop")} if "crop" in change else {}
    return {
        "stages": {
            "alignment": {"backbone_settings": network, "settings": settings, "training": training},
            "adaptation": {
                "backbone_settings": network,
                "settings": {**settings, **crop},
                "training": {**training, **change},
            },
        },
        "read": {"backbone_settings": network},
        "regression": {**REGRESSION, **(regression or {})},
    }


# sec. 4.1: 100-pixel frames, warped, cropped to 80. The core frames faces at 136 and tests on 96 of them, so views are
# 108 of 136 pixels, and the network reads both at 80/108 of their size.
PAPER_NETWORK: Mapping[str, Any] = {"kernel": 5, "zoom": 80 / 108}
PAPER_TRAINING: Mapping[str, Any] = {
    "epochs": 40,
    "batch_size": 32,
    "frame": 136,
    "optimiser": {"name": "adam", "lr": 1e-4, "weight_decay": 5e-4},  # sec. 4.1
    "schedule": "steps",
    "milestones": (30,),  # sec. 4.1: "until convergence, then reduce by one tenth"
    "decay": 0.1,
}

# Cats: their test images are the paper's 100 pixels whole, so the views are the paper's 80 of 100 and nothing is resized.
CATS_STAGE: Mapping[str, Any] = {
    "backbone_settings": {"zoom": 1.0},
    "settings": {"crop": 10},
    "training": {"frame": 100},
}
PAPER_CATS: Mapping[str, Any] = {
    "stages": dict.fromkeys(STAGES, CATS_STAGE),
    "read": {"backbone_settings": {"zoom": 1.0}},
}

# What a small budget needs (README, "What matters at small scale"): coarse maps, sharper scores, a small gamma, gentler
# rotations, colours that differ between the views, a higher rate.
SMALL_NETWORK: Mapping[str, Any] = {"kernel": 3, "zoom": 1 / 3, "multiplier": 4.0}
SMALL_LOSS: Mapping[str, Any] = {
    "gamma": 1.0,
    "pool": 2,
    "colour": {"jitter": (0.4, 0.4, 0.4, 0.1), "jitter_p": 1.0, "grey_p": 0.1},
}
QUICK_G2: Mapping[str, Any] = {"rotsd": 8.0, "transsd": 0.2}
# Deviations count in half frames; the view is half the frame, so half of Table 1 moves its pixels as far.
HALF_G1: Mapping[str, Any] = {"warpsd_all": 0.0005, "warpsd_subset": 0.0005}
HALF_G2: Mapping[str, Any] = {"warpsd_all": 0.0005, "warpsd_subset": 0.005, "rotsd": 8.0, "transsd": 0.1}
LEAST_STEPS = (1000, 500)  # of the two stages, as many as `quick` takes on synthfaces
SMALL_TRAINING: Mapping[str, Any] = {
    "least_steps": LEAST_STEPS[0],
    "batch_size": 8,
    "optimiser": {"name": "adam", "lr": 4e-3, "weight_decay": 5e-4},
    "schedule": "cosine",
}

PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": preset(
        {"kernel": 3, "zoom": 0.5},
        {"crop": 4, "pool": 2},
        {"epochs": 2, "batch_size": 8, "images": 32, "frame": 48, "optimiser": {"name": "adam", "lr": 1e-3}},
        {"epochs": 1},
    ),
    "quick": preset(
        SMALL_NETWORK,
        {**SMALL_LOSS, "crop": 4, "g2": QUICK_G2},
        {**SMALL_TRAINING, "epochs": 2, "batch_size": 4, "frame": 96},
        {"epochs": 1, "least_steps": LEAST_STEPS[1]},
    ),
    "small": preset(  # the inner half of an aligned CelebA frame is framed as the target's crops are
        SMALL_NETWORK,
        {**SMALL_LOSS, "crop": 48, "g1": HALF_G1, "g2": HALF_G2},
        {**SMALL_TRAINING, "epochs": 2, "frame": 192},
        {"epochs": 3, "least_steps": LEAST_STEPS[1], "frame": 136, "crop": 20},  # the target's own frame and crop
    ),
    "paper": preset(
        PAPER_NETWORK, {"crop": 14}, PAPER_TRAINING, {"epochs": 10, "milestones": (8,)}, {"warped_copies": 4}
    ),
}


def landmarks(count: int, summary: str, finetuned: bool = False, **settings: Any) -> VariantSpec:
    """A variant with K = ``count``; ``finetuned``: with the second stage; ``settings``: of the objective in ``paper``."""
    stages = STAGES if finetuned else STAGES[:1]
    change: dict[str, Any] = {"backbone_settings": {"landmarks": count}}
    if settings:
        change["settings"] = settings
    return VariantSpec(
        name=f"k{count}_finetuned" if finetuned else f"k{count}",
        summary=summary,
        layers=("conv5",),
        stages=stages,
        backbone_settings={"landmarks": count},
        overrides={"stages": dict.fromkeys(stages, change)},
    )


SPARSE = MethodSpec(
    name="sparse",
    summary="K landmarks that follow known warps and keep apart; faces are regressed from their positions",
    paper=f"{PAPER} (Sparse)",
    year=2017,
    backbone="sparse_net",
    stages=(
        StageSpec(name="alignment", objective="sparse_alignment", training=PAPER_TRAINING),
        StageSpec(
            name="adaptation",
            objective="sparse_alignment",
            training=PAPER_TRAINING,
            starts_from_parent=True,
            data="target",
        ),
    ),
    variants=(
        landmarks(10, "10 landmarks (Table 1)"),
        landmarks(20, "20 landmarks (Rahaman et al. 2021, Table 3, cats)"),
        landmarks(30, "30 landmarks (Tables 1 and 4)"),
        landmarks(50, "50 landmarks (Tables 1, 2 and 5)"),
        landmarks(50, "50 landmarks, then fine-tuned on the target's images without labels (Table 5)", finetuned=True),
        landmarks(51, "51 landmarks in 3x3 blocks, fine-tuned without labels (Table 3)", finetuned=True, pool=3),
    ),
    default_variant="k50",
    defaults={"regression": REGRESSION},
    presets=PRESETS,
    paper_on={"cats": PAPER_CATS},
    published="lmbench_sparse:published.toml",
    choices={
        "unit of u in eq. 6 (gamma = 500 is relative to it)": "cells of the score map, as both public ports count",
        "kernel sizes and padding": "5x5 (ports) in paper, padded: maps are said to be half the image",
        "Table 1: destination keypoints or kernel weights": "kernel weights, the first author's later code",
        "second perturbation: added or in place of the first": "in place of it, as that code",
        "batch, epochs, fall of the rate": "32; 40 epochs, a tenth after 30 (adaptation: 10, 8); 'until convergence'",
        "initial deviation": "He et al. 2015",
        "regressor: layer without bias, trained with warps and weight decay": "ridge 1 on sums of squares; 4 copies "
        "warped by g2 of Table 1 in paper",
        "origin and unit of coordinates": "pixels from the corner, side 128 (IMM's code)",
        "position of a cell": "middle of the pixels it was pooled from",
        "blocks where m does not divide the map": "smaller ones at the right and lower border",
        "g(v) outside x": "counted like any other place",
        "50 landmarks adapted to 51": "51 from the start",
        "80 of 100 pixels, in training and test": "108 of the core's 136, and test images, read at 80/108 (zoom); "
        "cats, whose test images are the 100 pixels whole, at their own size",
        "presets quick and small": "3x3 filters, zoom 1/3, multiplier 4, gamma 1, 2x2 blocks, gentle g2, colours, Adam 4e-3",
    },
)


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="sparse_net",
            summary="six filters (20-48-64-80-256-K), one pooling; K score maps and the landmarks they expect",
            target="lmbench_sparse.network:SparseNet",
            paper=f"{PAPER}, sec. 4.1; Zhang et al. 2016",
            year=2017,
            settings=SparseNetSettings,
            maps=(
                MapSpec("conv1", 20, 2),
                MapSpec("conv2", 48, 2),
                MapSpec("conv3", 64, 2),
                MapSpec("conv4", 80, 2),
                MapSpec("conv5", 256, 2),
                MapSpec("heatmaps", None, 2),
            ),
            min_size=8,
        )
    ]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="sparse_alignment",
            summary="score maps of an image and of its warp agree about the warp (eq. 6), and share no place (eq. 8)",
            target="lmbench_sparse.alignment:SparseAlignment",
            paper=f"{PAPER}, sec. 3.3",
            year=2017,
            settings=SparseAlignmentSettings,
            needs_maps=("heatmaps",),
            cuts=Margin(least=0.1),  # sec. 4.1 cuts a tenth off each side
        )
    ]


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [SPARSE]
