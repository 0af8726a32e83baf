"""DVE's hourglass: one stack, four levels deep, one dense map at half the image's resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import InputNorm, UsageError
from lmbench_dve.settings import HourglassSettings
from lmbench_dve.smallnet import FACE_MEAN, FACE_STD, resized

DEPTH = 4  # levels of an hourglass: 48 x 48 down to 3 x 3
NORM_MOMENTUM = 0.3  # of every BatchNorm; torch's default is 0.1


class Hourglass(nn.Module):
    """``forward`` gives ``dense`` (B, dim, H/2, W/2), linear in the last layer.

    The defaults give the reference's 12,609,472 parameters.
    """

    def __init__(self, settings: HourglassSettings) -> None:
        super().__init__()
        self.resize, width, blocks = settings.resize, settings.width, settings.blocks
        self.norm = InputNorm(FACE_MEAN, FACE_STD)
        stem, wide = width // 2, 2 * width
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 7, stride=2, padding=3),
            batch_norm(stem),
            nn.ReLU(inplace=True),
            Residual(stem, stem),
            Residual(2 * stem, width),
            Residual(wide, width),
        )
        self.levels = Level(width, blocks, DEPTH)
        self.output = nn.Sequential(
            *(Residual(wide, width) for _ in range(blocks)),
            nn.Conv2d(wide, wide, 1),
            batch_norm(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, settings.dim, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense``. Raises UsageError for images that the levels would pool away."""
        x = self.norm(resized(images, self.resize)).contiguous(memory_format=torch.channels_last)
        if min(x.shape[-2:]) < 2 ** (DEPTH + 1):
            found = "x".join(str(n) for n in x.shape[-2:])
            raise UsageError(
                f"hourglass: images of {found} pixels do not survive {DEPTH} levels at half resolution; "
                f"expected at least {2 ** (DEPTH + 1)} pixels a side."
            )
        return {"dense": self.output(self.levels(self.stem(x)))}


class Level(nn.Module):
    """One level: blocks at this resolution beside (pool, blocks, the level below, blocks, upsampling), summed."""

    def __init__(self, width: int, blocks: int, depth: int) -> None:
        super().__init__()

        def part() -> nn.Module:
            return nn.Sequential(*(Residual(2 * width, width) for _ in range(blocks)))

        self.beside, self.before, self.after = part(), part(), part()
        self.below = part() if depth == 1 else Level(width, blocks, depth - 1)

    def forward(self, x: Tensor) -> Tensor:
        beside = self.beside(x)
        deep = self.after(self.below(self.before(functional.max_pool2d(beside, 2))))
        # Nearest neighbour; to the size beside it, so that sides need not be multiples of 32.
        summed: Tensor = beside + functional.interpolate(deep, beside.shape[-2:], mode="nearest")
        return summed


class Residual(nn.Module):
    """A pre-activation bottleneck: 1x1 to ``width`` channels, 3x3, 1x1 to twice as many; biases everywhere."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            batch_norm(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, width, 1),
            batch_norm(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            batch_norm(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 1),
        )
        self.shortcut = nn.Identity() if inputs == 2 * width else nn.Conv2d(inputs, 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.body(x) + self.shortcut(x)
        return summed


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM)
