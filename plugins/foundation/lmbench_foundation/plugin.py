"""Frozen vision transformers as dense features: what a user would try first today, with no training of his own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmbench.api import BackboneSpec, MethodSpec, VariantSpec, hookimpl
from lmbench_foundation.settings import ViTSettings

LMBENCH_API = 2

TOKENS = ("tokens",)

# The four blocks of the authors' own linear evaluation with four layers, deepest first: every third block of 12, and
# blocks 24, 18, 12, 5 of ViT-L (reference code of DINOv2: [2, 5, 8, 11] and [4, 11, 17, 23], counted from 0).
FOUR_OF_12 = ("tokens", "block-9", "block-6", "block-3")
FOUR_OF_24 = ("tokens", "block-18", "block-12", "block-5")

PRETRAINED: Mapping[str, Any] = {"pretrained": True}

# A smoke test has no network to download with, and its numbers mean nothing anyway.
SMOKE_READ: Mapping[str, Any] = {"backbone_settings": {"pretrained": False, "input_size": 64}}
PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": {"read": SMOKE_READ, "matching": {"pairs": 20}},
    "quick": {"read": {"backbone_settings": {"input_size": 112}}},
    "small": {"read": {"backbone_settings": {"input_size": 224}}},
    "paper": {"read": {"backbone_settings": {"input_size": 448}}},
}

CHOICES = {
    "the side that images are resized to": "224 px for 96-px images (112 in quick, 448 in paper): input_size",
    "which features of a block are read": "patch tokens after the model's final norm, as the authors' dense evaluations",
    "class and register tokens": "dropped: they belong to no place of the image",
    "resizing": "bicubic, antialias, align_corners=False: the token grid covers the whole image evenly",
    "position embeddings": "resampled bicubically from the checkpoint's grid to the image's (timm)",
}


def _sizes(names: Mapping[str, str]) -> tuple[VariantSpec, ...]:
    """For each size its patch tokens and its hypercolumn of four blocks; then the first size untrained."""
    variants = []
    for size, name in names.items():
        four = FOUR_OF_24 if size == "large" else FOUR_OF_12
        for variant, what, layers in (
            (size, f"patch tokens of ViT-{size[0].upper()}", TOKENS),
            (f"{size}_blocks", f"four blocks of ViT-{size[0].upper()} as a hypercolumn", four),
        ):
            variants.append(
                VariantSpec(
                    name=variant,
                    summary=what,
                    layers=layers,
                    backbone_settings=PRETRAINED,
                    overrides={"backbone": f"vit/{name}"},
                )
            )
    untrained = VariantSpec(name="untrained", summary="patch tokens of the same ViT with random weights", layers=TOKENS)
    return (*variants, untrained)


def _family(
    name: str, label: str, paper: str, year: int, names: Mapping[str, str], data: str, more: Mapping[str, str]
) -> MethodSpec:
    return MethodSpec(
        name=name,
        summary=f"{label}, frozen: patch tokens as dense features",
        paper=paper,
        year=year,
        backbone=f"vit/{names['small']}",
        variants=_sizes(names),
        default_variant="small",
        presets=PRESETS,
        supervision=f"self-supervised on {data}",
        choices={**CHOICES, **more},
    )


DINOV2 = _family(
    "dinov2",
    "DINOv2",
    "Oquab et al. 2023 (DINOv2)",
    2023,
    {size: f"vit_{size}_patch14_dinov2.lvd142m" for size in ("small", "base", "large")},
    "LVD-142M (web images of everything)",
    {"registers": "the models without (--set backbone=vit/vit_small_patch14_reg4_dinov2.lvd142m for those with)"},
)

DINOV3 = _family(
    "dinov3",
    "DINOv3",
    "Siméoni et al. 2025 (DINOv3)",
    2025,
    {size: f"vit_{size}_patch16_dinov3.lvd1689m" for size in ("small", "base", "large")},
    "LVD-1689M (web images of everything)",
    {"which four blocks": "those of DINOv2's code"},
)

VIT = MethodSpec(
    name="vit",
    summary="any plain ViT of timm, frozen: --set backbone=vit/NAME (DINO's ViT-S/16 where none is named)",
    paper="timm (Wightman 2019)",
    year=2019,
    backbone="vit/vit_small_patch16_224.dino",
    variants=(
        VariantSpec(name="tokens", summary="patch tokens", layers=TOKENS, backbone_settings=PRETRAINED),
        VariantSpec(
            name="blocks",
            summary="blocks 12, 9, 6 and 3 as a hypercolumn; for another depth set read.layers",
            layers=FOUR_OF_12,
            backbone_settings=PRETRAINED,
        ),
        VariantSpec(name="untrained", summary="patch tokens of random weights", layers=TOKENS),
    ),
    presets=PRESETS,
    supervision="as the model's",
    choices=CHOICES,
)


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [DINOV2, DINOV3, VIT]


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
        )
    ]
