"""From feature maps to landmarks, as trainable layers: virtual points by soft-argmax, or one fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import FeatureMaps, channels_of, soft_argmax
from lmbench_baselines.settings import SupervisedSettings

POINTS = 50  # virtual points a landmark; DVE model/keypoint_prediction.py, Cheng et al. 2021, sec. 4


class SoftargmaxRegressor(nn.Module):
    """The field's head as a layer: 1x1 filters on the hypercolumn, soft-argmax, a linear map of a landmark's 50 points.

    It starts at the mean shape: the filters' responses have a spread of about one, the linear map is the average of a
    landmark's points, and ``offset`` (L, 2) is the mean shape in [-1, 1].
    """

    def __init__(self, layers: Sequence[str], dim: int, grid: int, shape: Tensor) -> None:
        super().__init__()
        self.layers, self.grid = tuple(layers), grid
        self.filters = nn.Parameter(torch.randn(len(shape) * POINTS, dim) / math.sqrt(dim))
        self.linear = nn.Parameter((torch.eye(2).repeat(1, POINTS) / POINTS).expand(len(shape), -1, -1).clone())
        self.offset = nn.Parameter(shape.clone())

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """(B, L, 2) landmarks in [-1, 1]."""
        stack = FeatureMaps(tuple(maps[name].float() for name in self.layers), (self.grid, self.grid))
        points = soft_argmax(stack.project(self.filters))
        by_landmark = points.reshape(len(points), len(self.offset), -1)
        return torch.einsum("blp,ldp->bld", by_landmark, self.linear) + self.offset


class ConnectedRegressor(nn.Module):
    """Thewlis et al. 2017, supplement: the deepest map pooled (2 x 2, stride 2), then one fully connected layer.

    It starts at the mean shape: no weights yet, and a bias of ``shape`` (L, 2) in [-1, 1].
    """

    def __init__(self, layer: str, channels: int, cells: int, shape: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.linear = nn.Linear(channels * math.ceil(cells / 2) ** 2, shape.numel())
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(shape.flatten())

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """(B, L, 2) landmarks in [-1, 1]."""
        pooled = functional.max_pool2d(maps[self.layer].float(), 2, ceil_mode=True)
        flat: Tensor = self.linear(pooled.flatten(1))
        return flat.unflatten(1, (-1, 2))


class LandmarkNetwork(nn.Module):
    """A backbone and a regressor on it, for images of any size brought to ``side`` pixels."""

    def __init__(self, backbone: nn.Module, regressor: nn.Module, side: int) -> None:
        super().__init__()
        self.backbone, self.regressor, self.side = backbone, regressor, side

    def forward(self, images: Tensor) -> Tensor:
        """(B, L, 2) landmarks in [-1, 1] of images (B, 3, H, W) in [0, 1]."""
        landmarks: Tensor = self.regressor(self.backbone(resized(images, self.side)))
        return landmarks


def resized(images: Tensor, side: int) -> Tensor:
    """Images of ``side`` x ``side`` pixels. ``align_corners=True``, so that normalised landmarks stay where they are.

    Not antialiased: torch's antialiasing goes by ``align_corners=False`` whatever it is told, and would shift the image.
    """
    if images.shape[-2:] == (side, side):
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=True)


def build_regressor(settings: SupervisedSettings, backbone: nn.Module, side: int, shape: Tensor) -> nn.Module:
    """A new regressor for the maps that a backbone gives for images of ``side`` pixels; it starts at ``shape`` (L, 2).

    Raises UsageError for a map that is not there, and for images that do not make whole cells.
    """
    stated: Any = backbone.maps
    strides = {m.name: m.stride for m in stated}
    layers = settings.layers or tuple(reversed(strides))
    channels = [channels_of(backbone, layer) for layer in layers]
    settings.require_cells(side, [strides[layer] for layer in layers])
    if settings.regressor == "softargmax":
        return SoftargmaxRegressor(layers, sum(channels), settings.grid, shape)
    return ConnectedRegressor(layers[0], channels[0], side // strides[layers[0]], shape)
