"""Frozen vision transformers as dense features: what a user would try first today, with no training of his own."""

from lmbench.api import MethodSpec, VariantSpec

# The four blocks of the authors' own linear evaluation with four layers, deepest first: every third block of 12, and
# blocks 24, 18, 12, 5 of ViT-L (reference code of DINOv2: [2, 5, 8, 11] and [4, 11, 17, 23], counted from 0).
FOUR_OF_12 = ("tokens", "block-9", "block-6", "block-3")
FOUR = {"small": FOUR_OF_12, "base": FOUR_OF_12, "large": ("tokens", "block-18", "block-12", "block-5")}

PRETRAINED = {"pretrained": True}
CHOICES = {
    "the side that images are resized to": "224 px for 96-px images (112 in quick, 448 in paper): input_size",
    "which features of a block are read": "patch tokens after the model's final norm, as the authors' dense evaluations",
    "class and register tokens": "dropped: they belong to no place of the image",
    "resizing": "bicubic, antialias, align_corners=False: the token grid covers the whole image evenly",
    "position embeddings": "resampled bicubically from the checkpoint's grid to the image's (timm)",
}


def _family(label: str, paper: str, model: str, data: str, choices: dict[str, str]) -> MethodSpec:
    """The method of ViTs in three sizes, which stand for ``{}`` in timm's name of the ``model``."""
    variants = [
        VariantSpec(
            name=f"{size}{blocks}",
            summary=f"four blocks of ViT-{size[0].upper()} as a hypercolumn"
            if blocks
            else f"patch tokens of ViT-{size[0].upper()}",
            layers=four if blocks else ("tokens",),
            backbone_settings=PRETRAINED,
            overrides={"backbone": f"vit/{model.format(size)}"},
        )
        for size, four in FOUR.items()
        for blocks in ("", "_blocks")
    ]
    untrained = "patch tokens of the same ViT with random weights"
    return MethodSpec(
        name=label.lower(),
        summary=f"{label}, frozen: patch tokens as dense features",
        paper=f"{paper} ({label})",
        year=int(paper[-4:]),
        backbone=f"vit/{model.format('small')}",
        variants=(*variants, VariantSpec(name="untrained", summary=untrained, layers=("tokens",))),
        presets="lmbench_foundation:presets",
        supervision=f"self-supervised on {data} (web images of everything)",
        choices={**CHOICES, **choices},
    )


REGISTERS = "the models without (--set backbone=vit/vit_small_patch14_reg4_dinov2.lvd142m for those with)"
METHODS = [
    _family("DINOv2", "Oquab et al. 2023", "vit_{}_patch14_dinov2.lvd142m", "LVD-142M", {"registers": REGISTERS}),
    _family(
        "DINOv3",
        "Siméoni et al. 2025",
        "vit_{}_patch16_dinov3.lvd1689m",
        "LVD-1689M",
        {"which four blocks": "those of DINOv2's code"},
    ),
    MethodSpec(
        name="vit",
        summary="any plain ViT of timm, frozen: --set backbone=vit/NAME (DINO's ViT-S/16 where none is named)",
        paper="timm (Wightman 2019)",
        year=2019,
        backbone="vit/vit_small_patch16_224.dino",
        variants=(
            VariantSpec(name="tokens", summary="patch tokens", layers=("tokens",), backbone_settings=PRETRAINED),
            VariantSpec(
                name="blocks",
                summary="blocks 12, 9, 6 and 3 as a hypercolumn; for another depth set read.layers",
                layers=FOUR_OF_12,
                backbone_settings=PRETRAINED,
            ),
            VariantSpec(name="untrained", summary="patch tokens of random weights", layers=("tokens",)),
        ),
        presets="lmbench_foundation:presets",
        supervision="as the model's",
        choices=CHOICES,
    ),
]
