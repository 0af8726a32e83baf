"""IMM's landmark detector: an encoder, a map for each landmark, and the paper's factorised soft-argmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import UsageError, denormalise_points
from lmbench_imm.settings import DetectorSettings


def factorised_soft_argmax(heatmaps: Tensor) -> Tensor:
    """(B, K, 2) points in [-1, 1], x before y, of maps (B, K, h, w): each axis has a softmax of its own.

    The map is averaged over the other axis, and the softmax of the averages weighs positions: *not* the expectation
    under one softmax over all cells. Half precision is computed in float32.

    Convention: cells lie on ``linspace(-1, 1)`` (``align_corners=True``).
    Source: Jakab et al. 2018, sec. 3; the order (mean, then softmax) is that of the reference code.
    """
    heatmaps = heatmaps.to(torch.promote_types(heatmaps.dtype, torch.float32))
    along_x, along_y = heatmaps.mean(-2).softmax(-1), heatmaps.mean(-1).softmax(-1)
    # Products and sums, not matmul: autocast would turn a matmul into bfloat16.
    x = (along_x * _axis(heatmaps.shape[-1], heatmaps)).sum(-1)
    y = (along_y * _axis(heatmaps.shape[-2], heatmaps)).sum(-1)
    return torch.stack((x, y), -1)


def gaussian_maps(points: Tensor, size: tuple[int, int], std: float) -> Tensor:
    """(B, K, h, w): exp(-d^2 / std^2) of the distance d from each cell to points (B, K, 2) in [-1, 1].

    No 1/2 in the exponent (reference code, mode "rot"), so ``std`` is sqrt(2) standard deviations.

    Convention: x before y, ``size`` is (h, w), cells lie on ``linspace(-1, 1)`` (``align_corners=True``).
    """
    x, y = points[..., 0, None], points[..., 1, None]
    across = torch.exp(-((_axis(size[1], points) - x) / std).square())
    down = torch.exp(-((_axis(size[0], points) - y) / std).square())
    return down[..., :, None] * across[..., None, :]


class Encoder(nn.Sequential):
    """``levels`` pairs of convolutions (reference code): 7x7 and 3x3 at full size, then 3x3 of stride 2 and 3x3.

    Each has BatchNorm and ReLU; channels are ``width``, doubled at every level.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        width = settings.width
        layers = [*convolution(3, width, 7), *convolution(width, width)]
        for level in range(1, settings.levels):
            channels = width * 2**level
            layers += [*convolution(channels // 2, channels, stride=2), *convolution(channels, channels)]
        super().__init__(*layers)


def convolution(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution of the same size (or half of it), BatchNorm, ReLU."""
    filters = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2)
    # He rather than the reference's 0.01: BatchNorm makes them equal in training, and an untrained network, whose
    # BatchNorm does nothing, keeps numbers that half precision can hold.
    nn.init.kaiming_normal_(filters.weight, nonlinearity="relu")
    nn.init.zeros_(filters.bias)  # type: ignore[arg-type]
    return [filters, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Detector(nn.Module):
    """The pose encoder: ``features`` at 1/8 of the image (1/2^(levels-1)), and from them ``landmarks`` heatmaps.

    ``side``: images are first brought to this side (0: taken as they come); the maps are then those of the resized
    images, and landmarks are in pixels of the given ones all the same.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.filters = nn.Conv2d(settings.channels, settings.landmarks, 1)
        nn.init.normal_(self.filters.weight, std=1 / math.sqrt(settings.channels))
        nn.init.zeros_(self.filters.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``features`` (B, 8 width, H/8, W/8) and ``heatmaps`` (B, K, H/8, W/8).

        Raises UsageError for images of fewer than two cells a side, on which no position can be told.
        """
        side, stride = self.settings.side, self.settings.stride
        if side:
            size = (side, side)
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        if min(images.shape[-2:]) < 2 * stride:
            raise UsageError(
                f"imm_detector: images of {tuple(images.shape[-2:])} pixels are too small for cells of {stride}; "
                f"they need a side of {2 * stride} or more."
            )
        features = self.encoder(images.contiguous(memory_format=torch.channels_last))
        return {"features": features, "heatmaps": self.filters(features)}

    def points(self, images: Tensor) -> Tensor:
        """(B, K, 2) landmarks in [-1, 1], x before y, ``align_corners=True``."""
        return factorised_soft_argmax(self(images)["heatmaps"])

    def landmarks(self, images: Tensor) -> Tensor:
        """(B, K, 2) landmarks in pixels of the given images, x before y."""
        return denormalise_points(self.points(images), (images.shape[-2], images.shape[-1]))


def _axis(length: int, like: Tensor) -> Tensor:
    return torch.linspace(-1, 1, length, dtype=like.dtype, device=like.device)
