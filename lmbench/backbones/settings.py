"""The settings of the core's backbones."""

from __future__ import annotations

from dataclasses import dataclass

from lmbench.config.ranges import Channels, ImageNetWeights


@dataclass(frozen=True)
class ResNetSettings:
    """``weights``: random ones, torchvision's own download (``imagenet``), or the file of a state dict."""

    weights: ImageNetWeights = None


@dataclass(frozen=True)
class FPNSettings:
    """``dim``: channels of the dense map. ``weights``: as for the ResNet; they fill the encoder alone."""

    dim: Channels = 64  # LEAD, sec. 4
    weights: ImageNetWeights = None
