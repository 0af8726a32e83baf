"""What every method is compared with: no learning at all, other people's supervised features, no image at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, HeadSpec, MapSpec, MethodSpec, VariantSpec, hookimpl
from lmbench_baselines.settings import PixelsSettings, SixConvSettings, SupervisedSettings, TimmSettings

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
        VariantSpec(
            name="maps",
            summary="all maps of whatever network --set backbone=NAME names, untrained",
            layers=("*",),
        ),
    ),
    presets=PRESETS,
    published="lmbench_baselines:published.toml",
)

PIXELS = MethodSpec(
    name="pixels",
    summary="the image itself: no network, no learning",
    supervision="none",
    backbone="pixels",
    variants=(
        VariantSpec(
            name="patch", summary="the colours of the 5 x 5 cells around a cell of 4 pixels", layers=("patch",)
        ),
        VariantSpec(name="rgb", summary="the colour of a cell of 2 pixels", layers=("rgb",)),
    ),
    presets={preset: {} for preset in PRESETS},
)

POSITION = MethodSpec(
    name="position",
    summary="the place alone: every match is the same position, whatever the images show",
    supervision="none",
    backbone="position",
    variants=(VariantSpec(name="place", summary="sines and cosines of x and y", layers=("place",)),),
    presets={preset: {} for preset in PRESETS},
    tasks=("matching",),
)

MEAN_SHAPE = MethodSpec(
    name="mean_shape",
    summary="the mean of the annotated landmarks for every image: the floor",
    supervision="none",
    variants=(VariantSpec(name="none", summary="no features", layers=(), backbone="none"),),
    backbone="none",
    presets={p: {"regression": {"head": "mean_shape"}} for p in PRESETS},
    tasks=("regression",),
    published="lmbench_baselines:published.toml",
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
    published="lmbench_baselines:published.toml",
    choices={"which ImageNet weights": "torchvision's IMAGENET1K_V1, those of 2021, whatever its default is today"},
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


def _supervised(backbone: str, **settings: Any) -> Mapping[str, Any]:
    """A preset of ``supervised``: the backbone and the head's settings."""
    head = {"backbone": "{backbone}", "layers": HYPERCOLUMN, **settings}
    return {"backbone": backbone, "regression": {"head": "supervised_network", "head_settings": head}}


SUPERVISED = MethodSpec(
    name="supervised",
    summary="the same architecture trained from scratch on the n annotated images: what the labels give by themselves",
    paper="Thewlis et al. 2017, supplement, sec. 3; Cheng et al. 2021, Fig. 4",
    year=2017,
    supervision="supervised",
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="a ResNet with the field's soft-argmax regressor on its hypercolumn, end to end",
            layers=(),
            backbone="none",
        ),
        VariantSpec(
            name="connected",
            summary="six convolutions, pooling and a fully connected layer on 64-pixel images (Thewlis et al., Supp. Table 2)",
            layers=(),
            backbone="none",
            overrides={
                "regression": {
                    "head_settings": {
                        "backbone": "sixconv_pooled",
                        "regressor": "connected",
                        "layers": ("conv6",),
                        "side": 64,  # supplement, sec. 3
                    }
                }
            },
        ),
    ),
    presets={
        "smoke": _supervised("resnet18", steps=4, batch_size=8, side=32, grid=8),
        "quick": _supervised("resnet18", steps=400, batch_size=32, side=48, grid=12),
        "small": _supervised("resnet18", steps=500, batch_size=32, side=64, grid=24),
        "paper": _supervised("resnet50", steps=15000, batch_size=32, grid=48),
    },
    tasks=("regression",),
    published="lmbench_baselines:published.toml",
    choices={
        "steps, batch, learning rate": "15000 steps of 32 in paper, AdamW 1e-3, cosine: Thewlis has 'until convergence'",
        "augmentation": "thin-plate-spline warps of Supp. Table 1 (g2 of faces), drawn on kernel weights as DVE's code does",
        "landmarks that a warp moves out of the image": "not looked at",
        "initial prediction": "the mean shape of the annotated images",
        "connected: kernels and the sixth layer's filters": "5 x 5 with padding, 50 filters",
        "loss": "smooth L1 of 10 x the normalised error, as the field's regressors",
    },
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [PIXELS, POSITION, RANDOM, MEAN_SHAPE, SUPERVISED, IMAGENET, TIMM]


@hookimpl
def lmbench_heads() -> list[HeadSpec]:
    return [
        HeadSpec(
            name="supervised_network",
            summary="a network and its regressor trained from scratch on the annotated images alone",
            target="lmbench_baselines.supervised:SupervisedNetwork",
            paper="Thewlis et al. 2017, supplement, sec. 3; Cheng et al. 2021, Fig. 4",
            year=2017,
            settings=SupervisedSettings,
            inputs="images",
        )
    ]


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="timm/*",
            summary="any timm model that gives feature maps; map-1 is its deepest, map-4 three above",
            target="lmbench_baselines.timm_backbone:build",
            paper="timm (Wightman 2019)",
            year=2019,
            settings=TimmSettings,
        ),
        BackboneSpec(
            name="pixels",
            summary="the image itself: cells of colours (rgb) and windows of them (patch); nothing is learnt",
            target="lmbench_baselines.pixels:build",
            settings=PixelsSettings,
            maps=(MapSpec("rgb", 3, 2), MapSpec("patch", None, 4)),
            min_size=4,
        ),
        BackboneSpec(
            name="position",
            summary="the place of a cell, whatever the image shows; nothing is learnt",
            target="lmbench_baselines.position:build",
            maps=(MapSpec("place", 12, 4),),
            min_size=4,
        ),
        BackboneSpec(
            name="sixconv_pooled",
            summary="six convolutions, pooling after the first three: the supervised network of Thewlis et al.",
            target="lmbench_baselines.sixconv:build",
            paper="Thewlis et al. 2017, supplement, sec. 3",
            year=2017,
            settings=SixConvSettings,
            maps=(MapSpec("conv2", 48, 4), MapSpec("conv6", None, 8)),
            min_size=8,
        ),
    ]
