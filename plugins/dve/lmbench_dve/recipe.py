"""DVE (Thewlis et al. 2019) and Dense3D (Thewlis et al. 2017): one loss with and without exchange, two networks."""

from dataclasses import replace

from lmbench.api import MethodSpec, Optimiser, Stage, Training, VariantSpec

DVE_PAPER = "Thewlis et al. 2019 (Unsupervised learning of landmarks by descriptor vector exchange)"
DENSE3D_PAPER = "Thewlis et al. 2017 (Unsupervised learning of object frames by dense equivariant image labelling)"

# All numbers are those of DVE's reference code.
ADAM = Optimiser(name="adam", lr=1e-3, weight_decay=0.0, amsgrad=True)

HOURGLASS = Stage(
    name="hourglass",
    objective="dve",
    backbone="hourglass",
    training=Training(
        epochs=100, batch_size=16, frame=136, optimiser=ADAM, schedule="steps", milestones=(50.0,), decay=0.1
    ),
)

SMALLNET = Stage(
    name="smallnet",
    objective="dve",
    backbone="smallnet",
    backbone_settings={"resize": 70},  # what it is made for: 70 of 100 pixels are the framing of 96 of 136
    settings={"normalise": False},  # its descriptors keep their length
    training=replace(HOURGLASS.training, batch_size=32, frame=100, milestones=(70.0, 90.0)),
)

SMALLNET_3D = replace(
    SMALLNET, backbone_settings={"resize": 70, "dim": 3}, settings={"normalise": False, "exchange": False}
)


def finetuned(stage: Stage) -> Stage:
    """A stage that goes on without labels on the training images of the target (the reference's `*-ft` runs)."""
    training = replace(stage.training, epochs=50, milestones=(30.0, 40.0))
    return replace(stage, name=f"{stage.name}_ft", training=training, starts_from_parent=True, data="target")


def variants(stage: Stage, what: str) -> tuple[VariantSpec, VariantSpec]:
    """The map of a stage, and the one that is fine-tuned on the target."""
    first, second = stage.name, finetuned(stage).name
    then = f"{what}, then fine-tuned without labels on the target's training images"
    return (
        VariantSpec(name=first, summary=what, layers=("dense",), stages=(first,)),
        VariantSpec(name=f"{first}-ft", summary=then, layers=("dense",), stages=(first, second)),
    )


CHOICES = {
    "view of the network": "SmallNet brings what it reads to its 70 pixels; lmbench's test images have 96",
    "JPEG noise and PCA lighting of the reference": "a Gaussian blur of up to 1 px with probability 1/2; no lighting",
    "rate 1e-5 for SmallNet's biases": "their rate is that of the weights: BatchNorm takes out all but the last layer's",
    "birds, which Cheng et al. resize to 96x96": "frames of 96, nothing cut off after warping: how DVE saw them is not said",
    "few annotations, warped": "regression.warped_copies, made beforehand; 0 unless set (reproduce: 10)",
    "cells of SmallNet when read": "regression and matching interpolate its 35x35 cells to their grid of 48",
    "presets quick and small": "views of 48 pixels (24x24 cells), a cosine; see the README",
}

DVE = MethodSpec(
    name="dve",
    summary="a dense map whose cells find their content in another view by way of another image's descriptors",
    paper=DVE_PAPER,
    year=2019,
    backbone="hourglass",
    stages=(SMALLNET, finetuned(SMALLNET), HOURGLASS, finetuned(HOURGLASS)),
    variants=(
        *variants(SMALLNET, "the 64-d map of SmallNet (0.35 million parameters)"),
        *variants(HOURGLASS, "the 64-d map of the hourglass (12.6 million parameters)"),
    ),
    default_variant="smallnet",
    presets="lmbench_dve:presets/dve",
    paper_on={"cub*": "paper_birds"},
    published="lmbench_dve:published.toml",
    choices=CHOICES,
)

DENSE3D = replace(
    DVE,
    name="dense3d",
    summary="a dense 3-d map whose cells find their content in another view, without exchange",
    paper=DENSE3D_PAPER,
    year=2017,
    backbone="smallnet",
    stages=(SMALLNET_3D, finetuned(SMALLNET_3D)),
    variants=variants(SMALLNET_3D, "the 3-d map of SmallNet"),
    presets="lmbench_dve:presets/dense3d",
    choices={**CHOICES, "training": "DVE's reference code for SmallNet in 3 dimensions, of whose runs the numbers are"},
)
