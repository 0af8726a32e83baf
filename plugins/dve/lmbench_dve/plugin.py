"""DVE (Thewlis et al. 2019) and Dense3D (Thewlis et al. 2017): one loss with and without exchange, two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, MapSpec, Margin, MethodSpec, ObjectiveSpec, StageSpec, VariantSpec, hookimpl
from lmbench_dve.settings import CROP, DVESettings, HourglassSettings, SmallNetSettings

LMBENCH_API = 1

DVE_PAPER = "Thewlis et al. 2019 (Unsupervised learning of landmarks by descriptor vector exchange)"
DENSE3D_PAPER = "Thewlis et al. 2017 (Unsupervised learning of object frames by dense equivariant image labelling)"

ADAM: Mapping[str, Any] = {"name": "adam", "lr": 1e-3, "weight_decay": 0.0, "amsgrad": True}  # reference code, all runs
HOURGLASS: Mapping[str, Any] = {
    "epochs": 100,
    "batch_size": 16,
    "frame": 136,
    "optimiser": ADAM,
    "schedule": "steps",
    "milestones": (50.0,),  # StepLR 50
    "decay": 0.1,
}
SMALLNET: Mapping[str, Any] = {**HOURGLASS, "batch_size": 32, "frame": 100, "milestones": (70.0, 90.0)}
FINETUNE: Mapping[str, Any] = {"epochs": 50, "milestones": (30.0, 40.0)}  # the reference's `*-ft` runs

RAW: Mapping[str, Any] = {"normalise": False}  # SmallNet's descriptors keep their length (reference code)
PLAIN: Mapping[str, Any] = {"normalise": False, "exchange": False}
SIDE = 70  # pixels that SmallNet is made for: 70 of 100 are the framing of 96 of 136


def _stages(
    name: str, backbone: str, network: Mapping[str, Any], settings: Mapping[str, Any], training: Mapping[str, Any]
) -> tuple[StageSpec, StageSpec]:
    """A stage, and its fine-tuning on the unlabelled training images of the target dataset."""
    first = StageSpec(
        name=name,
        objective="dve",
        backbone=backbone,
        backbone_settings=network,
        settings=settings,
        training=training,
    )
    finetuning = StageSpec(
        name=f"{name}_ft",
        objective="dve",
        backbone=backbone,
        backbone_settings=network,
        settings=settings,
        training={**training, **FINETUNE},
        starts_from_parent=True,
        data="target",
    )
    return first, finetuning


def _variants(stage: str, backbone: str, network: Mapping[str, Any], what: str) -> tuple[VariantSpec, VariantSpec]:
    """The variant of a stage, and the one that is fine-tuned on the target."""
    plain = VariantSpec(
        name=backbone,
        summary=what,
        layers=("dense",),
        stages=(stage,),
        backbone=backbone,
        backbone_settings=network,
    )
    finetuned = VariantSpec(
        name=f"{backbone}-ft",
        summary=f"{what}, then fine-tuned without labels on the target's training images",
        layers=("dense",),
        stages=(stage, f"{stage}_ft"),
        backbone=backbone,
        backbone_settings=network,
    )
    return plain, finetuned


SMALLNET_64: Mapping[str, Any] = {"dim": 64, "resize": SIDE}
SMALLNET_3: Mapping[str, Any] = {"dim": 3, "resize": SIDE}
HOURGLASS_64: Mapping[str, Any] = {"dim": 64, "resize": 0}


# What a CPU can train: views of 48 pixels (24x24 cells), one pass of a cosine. A core passes about 20 images a second through
# SmallNet and 3 through the hourglass, forward and backward.
CPU_TRAINING: Mapping[str, Any] = {
    "epochs": 1,
    "batch_size": 16,
    "schedule": "cosine",
    "milestones": (),
    "warmup_epochs": 0.05,
}


def _presets(images: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, Any]]:
    """Presets of a method: preset -> stage -> images (CPU presets), and what the paper's evaluation sets."""
    # As many steps as `quick` takes on synthfaces, which has all of its images.
    least = {stage: count // CPU_TRAINING["batch_size"] for stage, count in images["quick"].items()}
    quick = _on_views(48, 0.0, images["quick"], least=least)
    small = _on_views(48, CROP, images["small"], least=least)
    return {
        "smoke": _on_views(32, 0.0, dict.fromkeys(images["quick"], 32), {"batch_size": 8}),
        "quick": quick,
        "small": {**small, "probe": {"every": 1, "images": 400, "steps": 100}},
        "paper": {"regression": {"head_settings": {"recipe": "dve_faces"}}, "matching": {"reading": "dve"}},
    }


def _on_views(
    side: int,
    crop: float,
    images: Mapping[str, int],
    training: Mapping[str, Any] | None = None,
    least: Mapping[str, int] | None = None,
) -> Mapping[str, Any]:
    """Overrides that train the stages on so many images, and read the network, at views of ``side`` pixels.

    ``least``: of each stage's optimiser steps.
    """
    frame = round(side / (1 - 2 * crop))
    network = {"resize": side}
    stages = {
        stage: {
            "backbone_settings": network,
            "settings": {"crop": crop},
            "training": {
                **CPU_TRAINING,
                "least_steps": (least or {}).get(stage, 0),
                "frame": frame,
                "images": count,
                **(training or {}),
            },
        }
        for stage, count in images.items()
    }
    return {"stages": stages, "read": {"backbone_settings": network}}


def _paper_birds(*stages: str) -> Mapping[str, Any]:
    """Birds are resized to 96x96 without cropping, as Cheng et al. (sec. 4.1) compare DVE with theirs."""
    whole = {"settings": {"crop": 0.0}, "training": {"frame": 96}}
    return {"stages": {name: whole for stage in stages for name in (stage, f"{stage}_ft")}}


SMALLNET_IMAGES = {"quick": {"smallnet": 1400, "smallnet_ft": 300}, "small": {"smallnet": 8000, "smallnet_ft": 1600}}
HOURGLASS_IMAGES = {"quick": {"hourglass": 192, "hourglass_ft": 48}, "small": {"hourglass": 1120, "hourglass_ft": 160}}

CHOICES = {
    "view of the network": "SmallNet brings what it reads to its 70 pixels; lmbench's test images have 96",
    "JPEG noise and PCA lighting of the reference": "a Gaussian blur of up to 1 px with probability 1/2; no lighting",
    "rate 1e-5 for SmallNet's biases": "their rate is that of the weights: BatchNorm takes out all but the last layer's",
    "birds, which Cheng et al. resize to 96x96": "frames of 96, nothing cut off after warping: how DVE saw them is not said",
    "few annotations, warped": "regression.warped_copies, made beforehand; 0 unless set (reproduce: 10)",
    "cells of SmallNet when read": "regression and matching interpolate its 35x35 cells to their grid of 48",
    "presets quick and small": "views of 48 pixels (24x24 cells), one pass over some of the images, cosine; see the README",
}

DVE = MethodSpec(
    name="dve",
    summary="a dense map whose cells find their content in another view by way of another image's descriptors",
    paper=DVE_PAPER,
    year=2019,
    backbone="hourglass",
    stages=(
        *_stages("smallnet", "smallnet", SMALLNET_64, RAW, SMALLNET),
        *_stages("hourglass", "hourglass", HOURGLASS_64, {}, HOURGLASS),
    ),
    variants=(
        *_variants("smallnet", "smallnet", SMALLNET_64, "the 64-d map of SmallNet (0.35 million parameters)"),
        *_variants("hourglass", "hourglass", HOURGLASS_64, "the 64-d map of the hourglass (12.6 million parameters)"),
    ),
    default_variant="smallnet",
    paper_on={"cub*": _paper_birds("smallnet", "hourglass")},
    presets=_presets({p: {**SMALLNET_IMAGES[p], **HOURGLASS_IMAGES[p]} for p in ("quick", "small")}),
    published="lmbench_dve:published.toml",
    choices=CHOICES,
)

DENSE3D = MethodSpec(
    name="dense3d",
    summary="a dense 3-d map whose cells find their content in another view, without exchange",
    paper=DENSE3D_PAPER,
    year=2017,
    backbone="smallnet",
    stages=_stages("smallnet", "smallnet", SMALLNET_3, PLAIN, SMALLNET),
    variants=_variants("smallnet", "smallnet", SMALLNET_3, "the 3-d map of SmallNet"),
    default_variant="smallnet",
    paper_on={"cub*": _paper_birds("smallnet")},
    presets=_presets(SMALLNET_IMAGES),
    published="lmbench_dve:published.toml",
    choices={**CHOICES, "training": "DVE's reference code for SmallNet in 3 dimensions, of whose runs the numbers are"},
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [DVE, DENSE3D]


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec(
            name="dve",
            summary="dense: find each cell's content in another view, through another image's descriptors (or straight)",
            target="lmbench_dve.dve:DVE",
            paper=DVE_PAPER,
            year=2019,
            settings=DVESettings,
            needs_maps=("dense",),
            min_batch=2,
            cuts=Margin(fraction=True),
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="smallnet",
            summary="six layers with dilated filters, 0.35 million parameters: one dense map at 1/2 resolution",
            target="lmbench_dve.smallnet:SmallNet",
            paper=DENSE3D_PAPER,
            year=2017,
            settings=SmallNetSettings,
            maps=(MapSpec("dense", None, 2),),
            min_size=16,
            resizes_to="resize",
        ),
        BackboneSpec(
            name="hourglass",
            summary="one stack of four levels, 12.6 million parameters: one dense map at 1/2 resolution",
            target="lmbench_dve.hourglass:Hourglass",
            paper=DVE_PAPER,
            year=2019,
            settings=HourglassSettings,
            maps=(MapSpec("dense", None, 2),),
            min_size=32,
            resizes_to="resize",
        ),
    ]
