"""The landmark detector of Thewlis et al. 2017: six filters, one pooling, a spatial softmax (sec. 3.2 and 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import InputNorm, UsageError
from lmbench_sparse.settings import POOLING, WIDTHS, SparseNetSettings

MIN_SIZE = 8


class SparseNet(nn.Module):
    """Images to dense features and K score maps, one a landmark, all at half the images' resolution: filters are padded."""

    def __init__(self, settings: SparseNetSettings) -> None:
        super().__init__()
        self.multiplier, self.zoom, kernel = settings.multiplier, settings.zoom, settings.kernel
        self.norm = InputNorm()
        one, two, three, four, five = WIDTHS
        self.conv1 = filter_norm_relu(3, one, kernel)
        self.conv2 = filter_norm_relu(one, two, kernel)
        self.conv3 = filter_norm_relu(two, three, kernel)
        self.conv4 = filter_norm_relu(three, four, kernel)
        self.conv5 = filter_norm_relu(four, five, kernel)
        self.conv6 = filter_norm_relu(five, settings.landmarks, kernel)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to conv1 ... conv5 and ``heatmaps`` (B, K, H/2, W/2): scores before the softmax.

        Raises UsageError for images that the pooling leaves too little of.
        """
        x = self.norm(self.resized(images)).contiguous(memory_format=torch.channels_last)
        maps = {}
        x = functional.max_pool2d(self.conv1(x), POOLING)
        maps["conv1"] = x
        for name in ("conv2", "conv3", "conv4", "conv5"):
            x = maps[name] = getattr(self, name)(x)
        maps["heatmaps"] = self.multiplier * self.conv6(x)
        return maps

    def resized(self, images: Tensor) -> Tensor:
        """The images at the network's own scale, with even sides, so that maps cover them whole; antialiased bilinear."""
        height, width = (POOLING * round(int(side) * self.zoom / POOLING) for side in images.shape[-2:])
        if min(height, width) < MIN_SIZE:
            raise UsageError(
                f"sparse_net: images of {images.shape[-1]}x{images.shape[-2]} pixels reach the filters with "
                f"{width}x{height} (zoom {self.zoom}); at least {MIN_SIZE} a side are needed."
            )
        if (height, width) == tuple(images.shape[-2:]):
            return images
        return functional.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)

    def landmarks(self, images: Tensor) -> Tensor:
        """(B, K, 2), pixels of the images, x before y: the expected position under each landmark's softmax (eq. 4).

        Convention: a cell lies in the middle of the pixels that it was pooled from; pixel 0 is the centre of the first.
        """
        scores = self(images)["heatmaps"].float()
        return cells_to_pixels(expected_cells(scores.flatten(2).softmax(-1).view_as(scores)), scores, images)


def filter_norm_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A 'same' filter, BatchNorm, ReLU; Gaussian initial weights (sec. 4.1), their deviation after He et al. 2015."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def expected_cells(probability: Tensor) -> Tensor:
    """(B, K, 2): the expected cell (x, y), counted from 0, of probability maps (B, K, h, w)."""
    height, width = probability.shape[-2:]
    x = (probability.sum(-2) * torch.arange(width, device=probability.device)).sum(-1)
    y = (probability.sum(-1) * torch.arange(height, device=probability.device)).sum(-1)
    return torch.stack((x, y), -1)


def cells_to_pixels(cells: Tensor, maps: Tensor, images: Tensor) -> Tensor:
    """Points (..., 2) in cells of ``maps`` as pixels of ``images``: ``(cell + 1/2) * stride - 1/2`` on each axis."""
    stride = [images.shape[a] / maps.shape[a] for a in (-1, -2)]
    return (cells + 0.5) * torch.tensor(stride, dtype=cells.dtype, device=cells.device) - 0.5
