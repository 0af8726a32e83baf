"""LEAD's encoder-decoder: a ResNet with a feature pyramid that ends in one dense map at 1/4 resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmbench.backbones.resnet import ResNetMaps
from lmbench.backbones.resnet import build as build_resnet
from lmbench.backbones.settings import FPNSettings, ResNetSettings

LEVELS = ("conv2_x", "conv3_x", "conv4_x", "conv5_x")


class FPN(nn.Module):
    """LEAD, sec. 4: the final map from features at 1/4, 1/8, 1/16 and 1/32, by an FPN and upsampling blocks.

    The pyramid of Lin et al. 2017: each level goes through a lateral 1x1 filter, from the deepest down each is doubled
    (nearest) and added to the next, and a 3x3 filter smooths the sums. Then every level is upsampled block by block (3x3
    filter, BatchNorm, ReLU, bilinear x2) to 1/4 resolution, the levels are summed, and a last 1x1 filter gives ``dim``
    channels. All have ``width`` channels. ``forward`` gives ``dense`` and the encoder's maps.
    """

    def __init__(self, encoder: ResNetMaps, channels: tuple[int, ...], dim: int, width: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.blocks = nn.ModuleList(
            nn.ModuleList(_block(width) for _ in range(max(i, 1))) for i in range(len(channels))
        )
        self.output = nn.Conv2d(width, dim, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense`` (B, dim, H/4, W/4) and the encoder's four maps."""
        maps = self.encoder(images)
        return {**maps, "dense": self.decode([maps[name] for name in LEVELS])}

    def decode(self, levels: list[Tensor]) -> Tensor:
        """The dense map of the encoder's maps, shallow to deep."""
        total: Tensor | None = None
        for level, (blocks, x) in enumerate(zip(self.blocks, self.pyramid(levels), strict=True)):
            assert isinstance(blocks, nn.ModuleList)
            for step, block in enumerate(blocks):
                x = block(x)
                if level > 0:
                    target = levels[level - step - 1].shape[2:]
                    x = nn.functional.interpolate(x, size=target, mode="bilinear", align_corners=False)
            total = x if total is None else total + x
        assert total is not None
        dense: Tensor = self.output(total)
        return dense

    def pyramid(self, levels: list[Tensor]) -> list[Tensor]:
        """What the top-down pathway makes of the encoder's maps, shallow to deep, each at its own resolution."""
        sums: list[Tensor] = []
        for lateral, features in zip(reversed(self.lateral), reversed(levels), strict=True):
            x = lateral(features)
            if sums:
                x = x + nn.functional.interpolate(sums[-1], size=x.shape[2:], mode="nearest")
            sums.append(x)
        return [smooth(x) for smooth, x in zip(self.smooth, reversed(sums), strict=True)]


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


def build(settings: FPNSettings, encoder: str) -> FPN:
    """A new FPN on a ResNet; weights as for the ResNet (they fill the encoder alone)."""
    network = build_resnet(ResNetSettings(settings.weights), encoder)
    base = 64 if encoder in ("resnet18", "resnet34") else 256
    return FPN(network, tuple(base * 2**i for i in range(4)), settings.dim)
