"""LEAD (Karmali et al., WACV 2022): both stages, both frozen outputs."""

from __future__ import annotations

from lmbench.api import Crops, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, hookimpl
from lmbench_lead.paper import lmbench_papers as lmbench_papers
from lmbench_lead.presets import (
    BYOL_SECOND,
    BYOL_VIEW,
    CL_GROUPS,
    CL_MOCO,
    CL_VIEW,
    NMF_VIEW,
    PAPER_BIRDS,
    PAPER_NMF,
    PAPER_STAGE1,
    PAPER_STAGE2,
    PRESETS,
)
from lmbench_lead.settings import BYOLSettings, DistillationSettings

LMBENCH_API = 1

HYPERCOLUMN = ("conv5_x", "conv4_x", "conv3_x", "conv2_x")
PAPER = "Karmali et al. 2022 (LEAD)"

DIMS = (64, 128, 256)  # LEAD Tables 1, 3, 4, 5
CL = "lmbench-contrastlandmarks"  # brings moco, cl_projection and nmf, which Tables 1 and 6 set LEAD's stages against


def dense(name: str, dim: int, stages: tuple[str, str], summary: str) -> VariantSpec:
    """A variant that is judged by a dense map of ``dim`` channels, which its second stage trains."""
    backbone = "{backbone}_nmf" if stages[1] == "nmf" else "{backbone}_fpn"
    return VariantSpec(
        name=name,
        summary=summary,
        layers=("dense",),
        stages=stages,
        backbone=backbone,
        backbone_settings={"dim": dim},
        overrides={"stages": {stages[1]: {"backbone_settings": {"dim": dim}}}},
        needs=() if stages == ("byol", "distillation") else (CL,),
    )


LEAD = MethodSpec(
    name="lead",
    summary="BYOL on whole images, then its hypercolumn's correspondences distilled into a compact dense map",
    paper=PAPER,
    year=2022,
    stages=(
        StageSpec(
            name="byol",
            objective="byol",
            settings={"view1": BYOL_VIEW, "view2": {**BYOL_VIEW, **BYOL_SECOND}},
            training=PAPER_STAGE1,
        ),
        StageSpec(name="moco", objective="moco", settings={"groups": CL_GROUPS, "view": CL_VIEW}, training=CL_MOCO),
        StageSpec(
            name="distillation",
            objective="correspondence_distillation",
            backbone="{backbone}_fpn",
            reads=HYPERCOLUMN,
            settings={"view": BYOL_VIEW, "view2": BYOL_SECOND},
            training=PAPER_STAGE2,
        ),
        StageSpec(
            name="projection",
            objective="cl_projection",
            backbone="{backbone}_fpn",
            reads=HYPERCOLUMN,
            settings={"view": BYOL_VIEW},
            training=PAPER_STAGE2,
        ),
        StageSpec(
            name="nmf",
            objective="nmf",
            backbone="{backbone}_nmf",
            reads=HYPERCOLUMN,
            settings={"view": NMF_VIEW},
            training=PAPER_NMF,
        ),
    ),
    variants=(
        *(dense(f"dense{d}", d, ("byol", "distillation"), f"the {d}-d dense map after both stages") for d in DIMS),
        VariantSpec(
            name="hypercolumn",
            summary="all four maps after stage 1",
            layers=HYPERCOLUMN,
            stages=("byol",),
            layers_alone=("conv4_x",),
        ),
        # Table 6 crosses the stages of both papers on LEAD's network; Table 1 has BYOL + NMF.
        *(dense(f"moco_dense{d}", d, ("moco", "distillation"), f"CL's stage 1, LEAD's stage 2, {d}-d") for d in DIMS),
        *(dense(f"byol_proj{d}", d, ("byol", "projection"), f"LEAD's stage 1, CL's stage 2, {d}-d") for d in DIMS),
        *(dense(f"moco_proj{d}", d, ("moco", "projection"), f"both stages of CL, {d}-d") for d in DIMS),
        *(dense(f"nmf{d}", d, ("byol", "nmf"), f"LEAD's stage 1, {d} components of its hypercolumn") for d in DIMS),
    ),
    default_variant="dense64",
    presets=PRESETS,
    paper_on={"cub*": PAPER_BIRDS},
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


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [LEAD]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="byol",
            summary="instance-level: predict the target network's projection of another view (LEAD eq. 1)",
            target="lmbench_lead.byol:BYOL",
            paper="Grill et al. 2020; LEAD sec. 3.2",
            year=2020,
            settings=BYOLSettings,
            min_batch=2,
            cuts=Crops(("view1", "view2")),
        ),
        ObjectiveSpec(
            name="correspondence_distillation",
            summary="dense: agree with the frozen hypercolumn on which positions of two images correspond (LEAD eqs. 2-3)",
            target="lmbench_lead.distillation:CorrespondenceDistillation",
            paper="LEAD sec. 3.3",
            year=2022,
            settings=DistillationSettings,
            needs_parent=True,
            needs_maps=("dense",),
            min_batch=2,
            cuts=Crops(),
        ),
    ]
