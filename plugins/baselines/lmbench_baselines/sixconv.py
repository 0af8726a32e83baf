"""The supervised network of Thewlis et al. 2017 (supplement, sec. 3) without its last layer."""

from __future__ import annotations

from torch import Tensor, nn

from lmbench.api import InputNorm
from lmbench_baselines.settings import SixConvSettings

WIDTHS = (20, 48, 64, 80, 256)  # sec. 4.1; the sixth layer has `filters`
POOLED = 3  # supplement, sec. 3: pooling (stride 2) after the first three convolutions


class SixConv(nn.Module):
    """Six convolutions, each with BatchNorm and ReLU, 2 x 2 max-pooling after the first three.

    ``forward`` gives ``conv2`` (48 channels, stride 4) and ``conv6`` (``filters`` channels, stride 8).
    """

    def __init__(self, settings: SixConvSettings) -> None:
        super().__init__()
        self.norm = InputNorm()
        layers: list[nn.Sequential] = []
        before = 3
        for i, width in enumerate((*WIDTHS, settings.filters)):
            layers.append(_layer(before, width, settings.kernel, pooled=i < POOLED))
            before = width
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to both maps, shallow to deep."""
        x = self.norm(images)
        maps = {}
        for i, layer in enumerate(self.layers, 1):
            x = maps[f"conv{i}"] = layer(x)
        return {name: maps[name] for name in ("conv2", "conv6")}


def _layer(before: int, width: int, kernel: int, pooled: bool) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(before, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts, *([nn.MaxPool2d(2)] if pooled else []))
