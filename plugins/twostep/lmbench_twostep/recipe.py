"""Two-step landmark discovery (Rahaman, Ghosh, Thiery 2021), and its ablation without the first step."""

from dataclasses import replace

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec
from lmbench_twostep.settings import Deformation

PAPER = "Rahaman, Ghosh, Thiery 2021"

TRAINING = Training(
    epochs=20,  # sec. 4.1, both steps
    batch_size=32,  # open
    frame=128,  # sec. 5.2
    optimiser=Optimiser(name="adam", lr=3e-4, weight_decay=5e-4),  # sec. 4.1
    schedule="exponential",
    decay=0.9,  # sec. 4.1: every epoch
)

# Sec. 4.1: "random affine transformations, random crop and zoom operations", elastic; the strengths are ours.
ELASTIC = Deformation(rotation=20.0, elastic=0.02, smoothness=0.08)

CONTRAST = Stage(  # step 1: F
    name="contrast",
    objective="pixel_ntxent",
    settings={"deformation": replace(ELASTIC, zoom=(0.8, 1.25), shift=0.1, shear=0.1)},
    training=TRAINING,
)

LANDMARKS = Stage(  # step 2: T on F, which stays as it is
    name="landmarks",
    objective="twostep_landmarks",
    backbone="twostep_detector",
    settings={"deformation": ELASTIC},
    training=TRAINING,
    reads=("dense",),
)

TOGETHER = replace(LANDMARKS, settings={"deformation": ELASTIC, "features": "trained"}, reads=())  # sec. 5.3

# Sec. 4.1: a linear regressor without bias, ridge 0.1, which are the head's own defaults, as is pixels of 128x128 images.
RIDGE = {"head": "ridge"}


def discovering(*stages: Stage) -> tuple[VariantSpec, ...]:
    """A variant for each K: cats 10 and 20, MAFL 30 and 50, BBC Pose 50 (Tables 1, 3, 4)."""
    return tuple(
        VariantSpec(
            name=f"k{k}",
            summary=f"{k} discovered landmarks",
            layers=("dense4",),
            stages=tuple(stage.name for stage in stages),
            overrides={"stages": {"landmarks": {"backbone_settings": {"landmarks": k}}}, "regression": RIDGE},
        )
        for k in (10, 20, 30, 50)
    )


DENSE64 = VariantSpec(
    name="dense64",
    summary="the 64-d feature of every pixel after step 1 alone",
    layers=("dense4",),
    stages=("contrast",),
    overrides={"tasks": ("regression", "matching")},
)

CHOICES = {
    "channel widths, normalisation layers, depth of T": "64 at full resolution, doubling to 512; none is named, none used; "
    "three residual blocks as wide as F at full resolution (fig. 1 shows three layers between F and the heatmaps)",
    "eq. 7 prints both features as F(x')": "f is read in x, f' in x': a slip; x is neither deformed nor recoloured",
    "cats": "frames of 100 pixels and patches of 10x10 in paper, as the paper says; 128 and 8x8 for all else",
    "locations, batch": "64 an image, among those visible in both views; 32 images",
    "strength of deformations and appearance changes": "see the stages' settings and pixel_ntxent's defaults",
    "weights of L_eqv, L_div, L_variance": "`paper`: a plain sum in pixels, as printed (`terms=printed`); else 10, 0.5, 0.1 with "
    "coordinates in half image sides and the last two divided by K, lower in quick and small",
    "L_div and L_variance of which view": "the mean over both",
    "which way eq. 2 is taken": "the deformed view's landmarks are moved back: exact, where g itself has no formula",
    "input of T": "F's features at unit length times sqrt(D): eq. 7 trains directions alone",
    "unit and origin of the ridge regressor": "pixels of a 128x128 image, from its corner",
    "how F's full-resolution map is judged": "as means of 4x4 cells (`dense4`), by the core's head; the paper has no such head",
    "L2 regularisation": "Adam's weight_decay, as its PyTorch form",
    "presets quick and small": "narrow networks at half resolution, views of the frame's centre, larger deformations (in step 2 "
    "shifts and zooms too), both views strongly recoloured, contrast within an image alone, Adam 3e-3 with a cosine, no L2",
}

TWOSTEP = MethodSpec(
    name="twostep",
    summary="every pixel's feature by contrast with a deformed copy; then K landmarks by equivariance on these, frozen",
    paper=PAPER,
    year=2021,
    backbone="twostep_hourglass",
    stages=(CONTRAST, LANDMARKS),
    variants=(*discovering(CONTRAST, LANDMARKS), DENSE64),
    default_variant="k30",
    presets="lmbench_twostep:presets/twostep",
    paper_on={"cats": "paper_cats"},
    tasks=("regression",),  # matching of F's map is dense64's, whatever K
    published="lmbench_twostep:published.toml",
    choices=CHOICES,
)

# F's map after sec. 5.3's training, by the stage of k30, which is trained once for both. The paper has no such output.
K30_DENSE4 = replace(
    discovering(TOGETHER)[2],
    name="k30_dense4",
    summary="the 64-d feature of every pixel as k30 leaves it (not in the paper)",
    overrides={"stages": discovering(TOGETHER)[2].overrides["stages"]},
)

END_TO_END = replace(
    TWOSTEP,
    name="end_to_end",
    summary="twostep without its first step: F and T trained together, from scratch, by the landmark losses (sec. 5.3)",
    stages=(TOGETHER,),
    variants=(*discovering(TOGETHER), K30_DENSE4),
    presets="lmbench_twostep:presets/end_to_end",
    tasks=("regression", "matching"),
)
