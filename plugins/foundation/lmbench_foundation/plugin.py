"""Frozen vision transformers: the methods, and timm's plain ViTs as backbones."""

from __future__ import annotations

from lmbench.api import BackboneSpec, MethodSpec, hookimpl
from lmbench_foundation.recipe import METHODS
from lmbench_foundation.settings import ViTSettings

LMBENCH_API = 2


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return METHODS


@hookimpl
def lmbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="vit/*",
            summary="any plain ViT of timm: tokens (last block), block-1 .. block-N, all on the patch grid",
            target="lmbench_foundation.vit:build",
            paper="Dosovitskiy et al. 2021; timm (Wightman 2019)",
            year=2021,
            settings=ViTSettings,
            member_check="lmbench_foundation.vit:require_plain",
        )
    ]
