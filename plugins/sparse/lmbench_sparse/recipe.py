"""Thewlis, Bilen, Vedaldi, ICCV 2017: unsupervised learning of object landmarks by factorized spatial embeddings (sparse)."""

from dataclasses import replace
from typing import Any

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec
from lmbench_sparse.settings import FACES_G2

PAPER = "Thewlis et al. 2017"

ALIGNMENT = Stage(
    name="alignment",
    objective="sparse_alignment",
    training=Training(
        epochs=40,
        batch_size=32,
        frame=136,
        optimiser=Optimiser(name="adam", lr=1e-4, weight_decay=5e-4),  # sec. 4.1
        schedule="steps",
        milestones=(30.0,),  # sec. 4.1: "until convergence, then reduce by one tenth"
        decay=0.1,
    ),
)

# Table 5: fine-tuned without labels. Shorter in preset paper.
ADAPTATION = replace(ALIGNMENT, name="adaptation", starts_from_parent=True, data="target")


def landmarks(count: int, summary: str, *stages: Stage, **settings: Any) -> VariantSpec:
    """A variant with K = ``count``; ``settings``: of the objective where they are its own."""
    change = {"backbone_settings": {"landmarks": count}, **({"settings": settings} if settings else {})}
    return VariantSpec(
        name=f"k{count}_finetuned" if ADAPTATION in stages else f"k{count}",
        summary=summary,
        layers=("conv5",),
        stages=tuple(stage.name for stage in stages),
        overrides={"stages": {stage.name: change for stage in stages}, "regression": RIDGE},
    )


# The paper regresses by a layer without bias on the 2K coordinates, trained with weight decay. Least squares itself breaks
# where landmarks coincide: one test image then errs by a thousand percent (README).
# Bias, origin and unit are the head's own.
RIDGE = {"head": "ridge", "head_settings": {"alpha": 1.0}, "warp": FACES_G2}

K50 = landmarks(50, "50 landmarks (Tables 1, 2 and 5)", ALIGNMENT)
# Trained by the stage of k50, which is trained once for both. The paper has no such output: no copies of its regressor either.
K50_CONV5 = replace(
    K50,
    name="k50_conv5",
    summary="the 256-d map beneath the score maps of k50, as dense features (not in the paper)",
    overrides={**K50.overrides, "regression": {"warped_copies": 0}},
)

SPARSE = MethodSpec(
    name="sparse",
    summary="K landmarks that follow known warps and keep apart; faces are regressed from their positions",
    paper=f"{PAPER} (Sparse)",
    year=2017,
    backbone="sparse_net",
    stages=(ALIGNMENT, ADAPTATION),
    variants=(
        landmarks(10, "10 landmarks (Table 1)", ALIGNMENT),
        landmarks(20, "20 landmarks (Rahaman et al. 2021, Table 3, cats)", ALIGNMENT),
        landmarks(30, "30 landmarks (Tables 1 and 4)", ALIGNMENT),
        K50,
        landmarks(
            50, "50 landmarks, then fine-tuned on the target's images without labels (Table 5)", ALIGNMENT, ADAPTATION
        ),
        landmarks(51, "51 landmarks in 3x3 blocks, fine-tuned without labels (Table 3)", ALIGNMENT, ADAPTATION, pool=3),
        K50_CONV5,
    ),
    default_variant="k50",
    presets="lmbench_sparse:presets",
    paper_on={"cats": "paper_cats"},
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
        "k50_conv5": "the map as dense features, read by the core's head; the paper has no such output",
        "presets quick and small": "3x3 filters, zoom 1/3, multiplier 4, gamma 1, 2x2 blocks, gentle g2, colours, Adam 4e-3",
    },
)
