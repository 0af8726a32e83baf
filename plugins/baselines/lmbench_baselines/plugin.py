"""What every method is compared with: no learning at all, other people's supervised features, no image at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, MethodSpec, VariantSpec, hookimpl

LMBENCH_API = 1

HYPERCOLUMN = ("conv5_x", "conv4_x", "conv3_x", "conv2_x")

PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": {"backbone": "resnet18"},
    "quick": {"backbone": "resnet18"},
    "small": {"backbone": "resnet18"},
    "paper": {"backbone": "resnet50"},
}

RANDOM = MethodSpec(
    name="random",
    summary="an untrained network: what architecture and protocol give by themselves",
    paper="Cheng et al. 2021, Table 5",
    year=2021,
    supervision="none",
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="all four maps of an untrained ResNet",
            layers=HYPERCOLUMN,
            layers_alone=("conv4_x",),
        ),
        *(
            VariantSpec(
                name=f"dense{dim}",
                summary=f"the {dim}-d dense map of an untrained ResNet + FPN",
                layers=("dense",),
                backbone="{backbone}_fpn",
                backbone_settings={"dim": dim},
            )
            for dim in (64, 128, 256)
        ),
    ),
    presets=PRESETS,
)

MEAN_SHAPE = MethodSpec(
    name="mean_shape",
    summary="the mean of the annotated landmarks for every image: the floor",
    supervision="none",
    variants=(VariantSpec(name="none", summary="no features", layers=(), backbone="none"),),
    backbone="none",
    presets={p: {"regression": {"head": "mean_shape"}} for p in PRESETS},
    tasks=("regression",),
)

IMAGENET = MethodSpec(
    name="imagenet",
    summary="a ResNet with torchvision's ImageNet weights (supervised on ImageNet)",
    paper="Cheng et al. 2021, Table 5",
    year=2021,
    supervision="supervised on ImageNet",
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="all four maps of the ImageNet network",
            layers=HYPERCOLUMN,
            backbone_settings={"weights": "imagenet"},
            layers_alone=("conv4_x",),
        ),
    ),
    presets=PRESETS,
)

TIMM = MethodSpec(
    name="timm",
    summary="any timm model with its pretrained weights: --set backbone=timm/NAME",
    paper="timm (Wightman 2019)",
    year=2019,
    supervision="as the model's",
    backbone="timm/resnet18.a1_in1k",
    variants=(
        VariantSpec(
            name="maps",
            summary="the four deepest maps of the model",
            layers=("map-1", "map-2", "map-3", "map-4"),
            backbone_settings={"pretrained": True},
        ),
        VariantSpec(
            name="untrained",
            summary="the same maps with random weights",
            layers=("map-1", "map-2", "map-3", "map-4"),
            backbone_settings={"pretrained": False},
        ),
    ),
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [RANDOM, MEAN_SHAPE, IMAGENET, TIMM]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="timm/*",
            summary="any timm model that gives feature maps; map-1 is its deepest, map-4 three above",
            target="lmbench_baselines.timm_backbone:build",
            paper="timm (Wightman 2019)",
            year=2019,
            settings={"pretrained": False, "weights": None, "maps": 4},
        )
    ]
