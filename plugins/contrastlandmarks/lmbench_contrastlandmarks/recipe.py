"""ContrastLandmarks (Cheng, Su, Maji, ICCV 2021): MoCo's hypercolumn, and two ways of making that compact."""

from __future__ import annotations

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec
from lmbench_contrastlandmarks.settings import HYPERCOLUMN

LAYERS = (*HYPERCOLUMN, "conv1")  # Table 3: #5 to #1

# Stage 1: sec. 4.1; its optimiser, and all of stage 2: reference code.
SGD = Optimiser(name="sgd", lr=0.03, momentum=0.9, weight_decay=1e-4)
STAGE1 = Training(epochs=800, batch_size=256, frame=136, optimiser=SGD, schedule="cosine")
ADAM = Optimiser(name="adam", lr=1e-3, betas=(0.5, 0.999), weight_decay=5e-4)
STAGE2 = Training(epochs=10, batch_size=32, frame=136, optimiser=ADAM, schedule="cosine", final_lr=8e-4)

MOCO = Stage(name="moco", objective="moco", training=STAGE1)  # sec. 3.1
PROJECTION = Stage(  # sec. 3.2
    name="projection", objective="cl_projection", backbone="{backbone}_proj", reads=HYPERCOLUMN, training=STAGE2
)
# Table 4, Fig. 5; how many images it was solved on is open.
ONCE = Training(epochs=1, images=4096, batch_size=32, frame=136)
NMF = Stage(name="nmf", objective="nmf", backbone="{backbone}_nmf", reads=HYPERCOLUMN, training=ONCE)


def compact(second: Stage, dim: int, summary: str) -> VariantSpec:
    """The variant that is judged by ``dim`` channels made of the hypercolumn."""
    changes: dict[str, dict[str, float]] = {"backbone_settings": {"dim": dim}}
    if (second, dim) == (PROJECTION, 64):  # reference code: constants of its own
        changes = {"backbone_settings": {"dim": dim, "multiplier": 6.5}, "settings": {"temperature": 8.0}}
    wide = {"backbone": "resnet50"} if dim > 960 else {}  # a ResNet-18's hypercolumn has 960 channels
    return VariantSpec(
        name=f"{'proj' if second == PROJECTION else 'nmf'}{dim}",
        summary=summary.format(dim),
        layers=("dense",),
        stages=(MOCO.name, second.name),
        overrides={**wide, "stages": {second.name: changes}},
    )


def stacked(layers: tuple[str, ...]) -> VariantSpec:
    """The variant that is judged by some layers of the MoCo network, as Table 3 has them."""
    name = layers[0] if len(layers) == 1 else f"{layers[-1]}-{layers[0]}"
    return VariantSpec(name=name, summary=f"{name} after MoCo (Table 3)", layers=layers, stages=(MOCO.name,))


CONTRASTLANDMARKS = MethodSpec(
    name="contrastlandmarks",
    summary="MoCo on whole images, its hypercolumn, and a projection of that which tells positions apart",
    paper="Cheng et al. 2021 (ContrastLandmarks)",
    year=2021,
    stages=(MOCO, PROJECTION, NMF),
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="conv5_x to conv2_x after MoCo",
            layers=HYPERCOLUMN,
            stages=("moco",),
            overrides={"regression": {"layers_alone": ["conv4_x"]}},
        ),
        *(compact(PROJECTION, dim, "the hypercolumn projected to {} dimensions") for dim in (256, 128, 64, 512)),
        compact(PROJECTION, 1280, "the hypercolumn projected to {} dimensions (always ResNet-50)"),
        *(compact(NMF, dim, "the hypercolumn's codes over {} non-negative components") for dim in (64, 128, 256)),
        *(stacked((layer,)) for layer in reversed(LAYERS)),
        *(stacked(LAYERS[:count]) for count in (2, 3, 5)),
    ),
    default_variant="hypercolumn",
    presets="lmbench_contrastlandmarks:presets",
    paper_on={"cub*": "paper_birds"},
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
