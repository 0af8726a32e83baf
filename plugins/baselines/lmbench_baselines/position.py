"""The place alone: what matching scores by answering with the same position in every image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmbench.api import NoSettings

STRIDE = 4
TURNS = (0.25, 0.5, 1.0)  # of a circle across half the image: the slowest tells all places apart, the fastest near ones


class Position(nn.Module):
    """``forward`` gives ``place`` (12 channels at stride 4): sines and cosines of x and y, whatever the image shows.

    The dot product of two cells falls with their distance along each axis, so a match is the same cell.
    """

    def __init__(self, settings: NoSettings) -> None:
        super().__init__()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) to ``place`` (B, 12, H / 4, W / 4)."""
        rows, columns = (max(1, round(int(side) / STRIDE)) for side in images.shape[-2:])
        y, x = (torch.linspace(-1, 1, n, device=images.device) for n in (rows, columns))
        grids = torch.meshgrid(y, x, indexing="ij")
        angles = [2 * math.pi * t * g for t in TURNS for g in grids]
        place = torch.stack([wave(a) for a in angles for wave in (torch.sin, torch.cos)])
        return {"place": place.expand(images.shape[0], -1, -1, -1)}
