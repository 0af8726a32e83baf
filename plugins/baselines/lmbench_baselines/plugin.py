"""What every method is compared with."""

from __future__ import annotations

from lmbench.api import BackboneSpec, HeadSpec, MapSpec, MethodSpec, hookimpl
from lmbench_baselines.recipe import METHODS, THEWLIS
from lmbench_baselines.settings import PixelsSettings, SixConvSettings, SupervisedSettings, TimmSettings

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return METHODS


@hookimpl
def lmbench_heads() -> list[HeadSpec]:
    return [
        HeadSpec(
            name="supervised_network",
            summary="a network and its regressor trained from scratch on the annotated images alone",
            target="lmbench_baselines.supervised:SupervisedNetwork",
            paper=THEWLIS,
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
            member_check="lmbench_baselines.timm_backbone:require_pyramid",
        ),
        BackboneSpec(
            name="pixels",
            summary="the image itself: cells of colours (rgb) and windows of them (patch); nothing is learnt",
            target="lmbench_baselines.pixels:Pixels",
            settings=PixelsSettings,
            maps=(MapSpec("rgb", 3, 2), MapSpec("patch", "patch_channels", 4)),
            min_size=4,
        ),
        BackboneSpec(
            name="position",
            summary="the place of a cell, whatever the image shows; nothing is learnt",
            target="lmbench_baselines.position:Position",
            maps=(MapSpec("place", 12, 4),),
            min_size=4,
        ),
        BackboneSpec(
            name="sixconv_pooled",
            summary="six convolutions, pooling after the first three: the supervised network of Thewlis et al.",
            target="lmbench_baselines.sixconv:SixConv",
            paper="Thewlis et al. 2017, supplement, sec. 3",
            year=2017,
            settings=SixConvSettings,
            maps=(MapSpec("conv2", 48, 4), MapSpec("conv6", "filters", 8)),
            min_size=8,
        ),
    ]
