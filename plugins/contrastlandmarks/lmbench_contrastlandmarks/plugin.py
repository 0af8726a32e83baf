"""ContrastLandmarks (Cheng, Su, Maji, ICCV 2021): MoCo, its hypercolumn, and two ways of making that compact."""

from __future__ import annotations

from lmbench.api import BackboneSpec, Crops, MapSpec, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, hookimpl
from lmbench_contrastlandmarks.paper import lmbench_papers as lmbench_papers
from lmbench_contrastlandmarks.presets import (
    NMF_VIEW,
    PAPER_BIRDS,
    PAPER_MOCO,
    PAPER_NMF,
    PAPER_PROJECTION,
    PAPER_VIEW,
    PRESETS,
)
from lmbench_contrastlandmarks.settings import (
    HYPERCOLUMN,
    CLProjectionSettings,
    FactorisedSettings,
    MoCoSettings,
    NMFSettings,
    ProjectedSettings,
)

LMBENCH_API = 1

LAYERS = ("conv5_x", "conv4_x", "conv3_x", "conv2_x", "conv1")  # Table 3: #5 to #1
PAPER = "Cheng et al. 2021 (ContrastLandmarks)"


def projected(dim: int) -> VariantSpec:
    """The variant that is judged by ``dim`` projected dimensions; the reference code has its own constants for 64."""
    settings = {"dim": dim, "multiplier": 6.5 if dim == 64 else 7.0}
    stage = {"backbone_settings": settings, "settings": {"temperature": 8.0 if dim == 64 else 7.0}}
    wide = {"backbone": "resnet50"} if dim > 960 else {}  # a ResNet-18's hypercolumn has 960 channels
    return VariantSpec(
        name=f"proj{dim}",
        summary=f"the hypercolumn projected to {dim} dimensions{' (always ResNet-50)' if wide else ''}",
        layers=("dense",),
        stages=("moco", "projection"),
        backbone="{backbone}_proj",
        backbone_settings=settings,
        overrides={**wide, "stages": {"projection": stage}},
    )


def factorised(dim: int) -> VariantSpec:
    """The variant that is judged by ``dim`` non-negative components of the hypercolumn."""
    return VariantSpec(
        name=f"nmf{dim}",
        summary=f"the hypercolumn's codes over {dim} non-negative components",
        layers=("dense",),
        stages=("moco", "nmf"),
        backbone="{backbone}_nmf",
        backbone_settings={"dim": dim},
        overrides={"stages": {"nmf": {"backbone_settings": {"dim": dim}}}},
    )


def stacked(layers: tuple[str, ...]) -> VariantSpec:
    """The variant that is judged by some layers of the MoCo network, as Table 3 has them."""
    name = layers[0] if len(layers) == 1 else f"{layers[-1]}-{layers[0]}"
    return VariantSpec(name=name, summary=f"{name} after MoCo (Table 3)", layers=layers, stages=("moco",))


CONTRASTLANDMARKS = MethodSpec(
    name="contrastlandmarks",
    summary="MoCo on whole images, its hypercolumn, and a projection of that which tells positions apart",
    paper=PAPER,
    year=2021,
    stages=(
        StageSpec(
            name="moco", objective="moco", settings={"groups": 4, "view": PAPER_VIEW}, training=PAPER_MOCO
        ),  # 4 GPUs: reference code
        StageSpec(
            name="projection",
            objective="cl_projection",
            backbone="{backbone}_proj",
            reads=HYPERCOLUMN,
            settings={"view": PAPER_VIEW},
            training=PAPER_PROJECTION,
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
        VariantSpec(
            name="hypercolumn",
            summary="conv5_x to conv2_x after MoCo",
            layers=HYPERCOLUMN,
            stages=("moco",),
            layers_alone=("conv4_x",),
        ),
        *(projected(dim) for dim in (256, 128, 64, 512, 1280)),
        *(factorised(dim) for dim in (64, 128, 256)),
        *(stacked((layer,)) for layer in reversed(LAYERS)),
        *(stacked(LAYERS[:count]) for count in (2, 3, 5)),
    ),
    default_variant="hypercolumn",
    presets=PRESETS,
    paper_on={"cub*": PAPER_BIRDS},
    published="lmbench_contrastlandmarks:published.toml",
    choices={
        "projection: linear (text) or a softmax over each channel's cells (reference code)": "the softmax, as the code",
        "projection's resolution": "stride 4 in training and after it; the code trains at 24x24 and evaluates at 96x96",
        "projection: which checkpoint": "the last; the code keeps the best on 2000 MAFL training images with labels",
        "regression from projected features": "the published code has none: the head of the hypercolumn, no normalisation",
        "JPEG noise at another size": "the size is drawn once a batch, at most twice the image's",
        "colours": "one linear map (brightness, contrast, saturation) and lighting, clipped to [0, 1]",
        "ShuffleBN on 4 GPUs": "4 groups of the batch on one device, keys in shuffled order",
        "NMF's samples, solver and codes": "raw hypercolumn, mini-batch solver, 50 multiplicative updates for a new vector",
        "birds": "views of 96 from frames of 96, as the code",
        "few annotations, warped at every look": "regression.warped_copies, made beforehand; 0 unless set (reproduce: 10)",
        "presets quick and small": "tight views, AdamW, a short queue, frozen BatchNorm in stage 1",
    },
)


def compact(encoder: str, kind: str, target: str, summary: str, settings: type) -> BackboneSpec:
    return BackboneSpec(
        name=f"{encoder}_{kind}",
        summary=f"{encoder}'s hypercolumn, {summary}: one map at 1/4 resolution",
        target=target,
        paper=f"{PAPER}, sec. 3.2" if kind == "proj" else f"{PAPER}, Table 4",
        year=2021,
        settings=settings,
        fixed={"encoder": encoder},
        maps=(MapSpec("dense", None, 4),),
    )


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [CONTRASTLANDMARKS]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    package = "lmbench_contrastlandmarks"
    kinds = (
        ("proj", f"{package}.projection:build", "projected by 1x1 filters", ProjectedSettings),
        ("nmf", f"{package}.nmf:build", "as codes over non-negative components", FactorisedSettings),
    )
    return [compact(encoder, *kind) for encoder in ("resnet18", "resnet50") for kind in kinds]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="moco",
            summary="instance-level: tell another view of the image from a queue of others (Cheng eq. 5)",
            target="lmbench_contrastlandmarks.moco:MoCo",
            paper="He et al. 2020; Cheng et al. 2021, sec. 3.1",
            year=2020,
            settings=MoCoSettings,
            cuts=Crops(),
        ),
        ObjectiveSpec(
            name="cl_projection",
            summary="dense: positions of one image are told apart in a projection of its frozen hypercolumn (eq. 3)",
            target="lmbench_contrastlandmarks.projection:CLProjection",
            paper="Cheng et al. 2021, sec. 3.2",
            year=2021,
            settings=CLProjectionSettings,
            cuts=Crops(),
            needs_parent=True,
            needs_maps=("dense",),
        ),
        ObjectiveSpec(
            name="nmf",
            summary="closed form: non-negative matrix factorisation of the frozen hypercolumn (Table 4)",
            target="lmbench_contrastlandmarks.nmf:NMF",
            paper="Cheng et al. 2021, Table 4",
            year=2021,
            settings=NMFSettings,
            cuts=Crops(),
            needs_parent=True,
            needs_maps=("dense",),
            closed_form=True,
        ),
    ]
