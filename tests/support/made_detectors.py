"""A small detector that was made up: two maps under a converged head."""

from __future__ import annotations

import torch
from torch import nn

from lmbench.detecting.detector import Detector
from lmbench.detecting.framer import Framer
from lmbench.features import Extractor, Normalise
from lmbench.geometry.framing import WHOLE_IMAGE, Preprocessing
from lmbench.heads.converged import FittedConverged


class Small(nn.Module):
    """Two maps of different resolutions, whatever the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        fine = self.norm(self.first(images)).relu()
        return {"fine": fine, "coarse": self.second(fine)}


def detector_of(
    normalise: Normalise, filters: int, network: nn.Module | None = None, layers: tuple[str, ...] = ("coarse", "fine")
) -> Detector:
    """A small network at two resolutions, or another, under a converged head that was made up."""
    torch.manual_seed(3)
    extractor, side = Extractor(network or Small(), layers, 16, normalise), 48
    dim = extractor.maps(torch.zeros(1, 3, side, side)).dim
    state = {
        "filters": torch.randn(1, filters, dim), "centres": torch.rand(1, filters, 2) - 0.5,
        "precision": torch.full((1, filters), 4.0), "linear": torch.randn(1, 2 * filters, 10) / 5,
        "offset": torch.rand(1, 10) - 0.5, "cells": torch.tensor(12),
    }  # fmt: skip
    framer = Framer("made", Preprocessing(side), WHOLE_IMAGE)
    return Detector(framer, extractor, FittedConverged(state), "maps", tuple("abcde"), torch.device("cpu"))
