"""F: the hourglass that gives every pixel a feature (Rahaman et al. 2021, sec. 4.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import InputNorm, UsageError
from lmbench_twostep.settings import HourglassSettings

BLOCKS = 4  # sec. 4.1: "four convolution-maxpool blocks, each of which halves the spatial dimension"
SMALLEST = 2**BLOCKS
COARSE = 4  # pixels a side of a cell of `dense4`: at full resolution a map is 2 MB an image, more than heads can read


def convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 filters, ReLU after each: the convolution block of sec. 4.1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class Hourglass(nn.Module):
    """Encoder and decoder of four blocks each, joined by skips, with an output at the images' own resolution.

    The text names no normalisation layer, and there is none.
    """

    def __init__(self, settings: HourglassSettings) -> None:
        super().__init__()
        width = settings.width
        widths = [width * 2**i for i in range(BLOCKS)]
        self.scale = settings.scale
        self.norm = InputNorm()
        self.encoder = nn.ModuleList(convolutions(i, o) for i, o in zip([3, *widths], widths, strict=False))
        # A decoder block works at its input's resolution and then doubles it; what it takes is the block before and
        # the skip, side by side.
        outputs = [widths[-1], *widths[-2::-1]]
        inputs = [widths[-1], *(o + w for o, w in zip(outputs, widths[:0:-1], strict=False))]
        self.decoder = nn.ModuleList(convolutions(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.output = nn.Sequential(
            nn.Conv2d(outputs[-1] + width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, settings.dim, 1),
        )
        initialise(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense`` (B, dim, H, W) and ``dense4`` (B, dim, H/4, W/4), its means over cells.

        With a ``scale``, ``dense`` has that fraction of H and W.
        """
        dense = self.features(images)
        height, width = (-(-pixels // COARSE) for pixels in images.shape[2:])
        return {"dense4": functional.adaptive_avg_pool2d(dense, (height, width)), "dense": dense}

    def features(self, images: Tensor) -> Tensor:
        """(B, dim, H, W): F(x). Raises UsageError for images that four halvings leave nothing of."""
        if self.scale != 1:
            size = [round(self.scale * int(side)) for side in images.shape[2:]]
            # Not antialiased: torch then reads pixels as areas whatever align_corners says, and landmarks would shift.
            images = functional.interpolate(images, size=size, mode="bilinear", align_corners=True)
        if min(images.shape[2:]) < SMALLEST:
            raise UsageError(
                f"twostep_hourglass halves images four times: it needs {SMALLEST} pixels a side, "
                f"found {images.shape[3]}x{images.shape[2]} (scale {self.scale}). Raise the frame or the size of the views."
            )
        x = self.norm(images).contiguous(memory_format=torch.channels_last)
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = functional.max_pool2d(skips[-1], 2)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x = functional.interpolate(block(x), size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = torch.cat((x, skip), 1)
        dense: Tensor = self.output(x)
        return dense


def initialise(network: nn.Module) -> None:
    """He's initialisation for ReLU, biases zero: without norm layers the default one would shrink block by block."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
