"""LEAD (Karmali et al., WACV 2022): features of whole images, then a dense map that has their correspondences."""

from __future__ import annotations

from dataclasses import asdict, replace

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec
from lmbench_lead.settings import FIRST_VIEW

HYPERCOLUMN = ("conv5_x", "conv4_x", "conv3_x", "conv2_x")
# Sec. 4; warm-up: supplement D; momentum and weight decay are open.
SGD = Optimiser(name="sgd", lr=0.03, momentum=0.9, weight_decay=1e-4)
STAGE1 = Training(epochs=200, batch_size=256, frame=136, optimiser=SGD, schedule="cosine", warmup_epochs=2)
STAGE2 = replace(STAGE1, epochs=20)  # sec. 4 (supplement D: 10)

BYOL = Stage(name="byol", objective="byol", training=STAGE1)  # sec. 3.2
DISTILLATION = Stage(  # sec. 3.3
    name="distillation",
    objective="correspondence_distillation",
    backbone="{backbone}_fpn",
    reads=HYPERCOLUMN,
    training=STAGE2,
)

# Tables 1 and 6 set these stages against those of ContrastLandmarks, which its plugin brings: MoCo as that trains it, ...
CL = "lmbench-contrastlandmarks"
MOCO = Stage(name="moco", objective="moco", training=replace(STAGE1, epochs=800, warmup_epochs=0))
# ... its projection on BYOL's views, and NMF of plain images that are framed as the test crops are.
VIEW = {**asdict(FIRST_VIEW), "centre": 0, "jpeg": False, "lighting": 0.0}
PLAIN = {**VIEW, "window": 96 / 136, "scale": (1.0, 1.0), "jitter_p": 0.0, "grey_p": 0.0, "blur_p": 0.0}
PROJECTION = replace(DISTILLATION, name="projection", objective="cl_projection", settings={"view": VIEW})
ONCE = Training(epochs=1, images=4096, batch_size=32, frame=136)  # open
NMF = Stage(
    name="nmf", objective="nmf", backbone="{backbone}_nmf", reads=HYPERCOLUMN, settings={"view": PLAIN}, training=ONCE
)


def dense(name: str, first: Stage, second: Stage, summary: str) -> list[VariantSpec]:
    """The variants that are judged by what the second stage makes: a dense map of 64, 128 or 256 channels (Tables 1 to 6)."""
    return [
        VariantSpec(
            name=f"{name}{dim}",
            summary=summary.format(dim),
            layers=("dense",),
            stages=(first.name, second.name),
            overrides={"stages": {second.name: {"backbone_settings": {"dim": dim}}}},
            needs=() if name == "dense" else (CL,),
        )
        for dim in (64, 128, 256)
    ]


LEAD = MethodSpec(
    name="lead",
    summary="BYOL on whole images, then its hypercolumn's correspondences distilled into a compact dense map",
    paper="Karmali et al. 2022 (LEAD)",
    year=2022,
    stages=(BYOL, MOCO, DISTILLATION, PROJECTION, NMF),
    variants=(
        *dense("dense", BYOL, DISTILLATION, "the {}-d dense map after both stages"),
        VariantSpec(
            name="hypercolumn",
            summary="all four maps after stage 1",
            layers=HYPERCOLUMN,
            stages=("byol",),
            overrides={"regression": {"layers_alone": ["conv4_x"]}},
        ),
        *dense("moco_dense", MOCO, DISTILLATION, "CL's stage 1, LEAD's stage 2, {}-d"),  # Table 6
        *dense("byol_proj", BYOL, PROJECTION, "LEAD's stage 1, CL's stage 2, {}-d"),  # Table 6
        *dense("moco_proj", MOCO, PROJECTION, "both stages of CL, {}-d"),  # Table 6
        *dense("nmf", BYOL, NMF, "LEAD's stage 1, {} components of its hypercolumn"),  # Table 1
    ),
    default_variant="dense64",
    presets="lmbench_lead:presets",
    paper_on={"cub*": "paper_birds"},
    published="lmbench_lead:published.toml",
    choices={
        "eq. 1 prints no normalisation": "both vectors L2-normalised, symmetric: the text follows BYOL",
        "eq. 2 prints a plain dot product": "cosine over channels, the hypercolumn as one block: the text says cosine",
        "eq. 3 sums over both positions": "divided by the positions of the first image, a constant factor",
        "stage 2: 20 epochs trained (text) or 10 frozen (supplement D)": "20 epochs, encoder frozen, in preset paper",
        "which images make a pair": "each image with the next of the batch; it gets BYOL's first view, the next its second",
        "decoder: an FPN with the upsampling blocks of Pinheiro et al. 2020, no widths given": (
            "Lin's top-down pathway (1x1 laterals, nearest x2, summed, 3x3 filter), then Kirillov's blocks (3x3 filter, "
            "BatchNorm, ReLU, bilinear x2), 128 channels throughout, summed"
        ),
        "EMA, weight decay, projector": "0.996 to 1 (BYOL), 1e-4, 4096-256 (OpenSelfSup)",
        "Table 6: MoCo and the projection on LEAD's network": (
            "MoCo as CL trains it (views, 4 ShuffleBN groups, 800 epochs); the projection's own defaults with LEAD's training"
        ),
        "BYOL + NMF: samples and solver, framing": "those of the objective nmf; plain images framed as the test crops are",
        "birds": "frames of 96x96, as Cheng et al. resize them",
        "presets quick and small": "no flips, tight views, both alike, AdamW, BatchNorm frozen in stage 1, teacher at 0.02",
    },
)
