"""The backbones of the core."""

from __future__ import annotations

from lmbench.backbones.settings import FPNSettings, ResNetSettings
from lmbench.specs import BackboneSpec, MapSpec


def _resnet(name: str, width: int, summary: str) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        summary=summary,
        target="lmbench.backbones.resnet:build",
        paper="He et al. 2016",
        year=2016,
        settings=ResNetSettings,
        fixed={"model": name},
        maps=(MapSpec("conv1", 64, 2), *(MapSpec(f"conv{i + 2}_x", width * 2**i, 4 * 2**i) for i in range(4))),
    )


def _fpn(encoder: str, summary: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"{encoder}_fpn",
        summary=summary,
        target="lmbench.backbones.fpn:build",
        paper="LEAD, sec. 4 (Lin et al. 2017; upsampling blocks of Pinheiro et al. 2020)",
        year=2022,
        settings=FPNSettings,
        fixed={"encoder": encoder},
        maps=(MapSpec("dense", "dim", 4),),
    )


BACKBONES = [
    _resnet("resnet18", 64, "ResNet-18 as torchvision defines it; conv2_x..conv5_x, 960 channels in all"),
    _resnet("resnet50", 256, "ResNet-50 as torchvision defines it; conv2_x..conv5_x, 3840 channels in all"),
    _fpn("resnet18", "ResNet-18 with LEAD's FPN decoder: one dense map at 1/4 resolution"),
    _fpn("resnet50", "ResNet-50 with LEAD's FPN decoder: one dense map at 1/4 resolution"),
]
