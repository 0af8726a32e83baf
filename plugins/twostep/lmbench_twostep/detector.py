"""T after F: the network that turns features into landmarks (Rahaman et al. 2021, secs. 3 and 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import denormalise_points, soft_argmax
from lmbench_twostep.hourglass import Hourglass, initialise
from lmbench_twostep.settings import DetectorSettings

LAYERS = ("layer2", "layer3", "layer4")  # fig. 1: three layers between F's output ("layer 1") and the heatmaps


class Residual(nn.Module):
    """A 1x1, a 3x3 and a 1x1 filter beside the identity, ReLU before each; at first it is the identity."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(dim, width, 1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        changed = functional.relu(self.middle(functional.relu(self.enter(functional.relu(x)))))
        moved: Tensor = x + self.leave(changed)
        return moved


class LandmarkDetector(nn.Module):
    """T: a fully convolutional network with residual connections at full resolution, ending in K heatmaps.

    Its blocks begin as identities, so that it starts from what F can tell apart by itself.
    """

    def __init__(self, dim: int, width: int, landmarks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Residual(dim, width) for _ in LAYERS)
        self.output = nn.Conv2d(dim, landmarks, 1)
        initialise(self)
        for block in self.blocks:
            assert isinstance(block, Residual)
            nn.init.zeros_(block.leave.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """``layer2`` to ``layer4`` and ``heatmaps`` (B, K, H, W), logits, of features (B, D, H, W)."""
        # Only the direction of a feature was trained (eq. 7 is made of cosines); its length says nothing.
        x = functional.normalize(features, dim=1) * features.shape[1] ** 0.5
        maps = {}
        for name, block in zip(LAYERS, self.blocks, strict=True):
            x = maps[name] = block(x)
        return {**maps, "heatmaps": self.output(x)}


class TwoStepDetector(nn.Module):
    """T o F: images to K heatmaps, and by their soft-argmax to K landmarks. T's blocks are as wide as F at full resolution."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.features = Hourglass(settings)
        self.detector = LandmarkDetector(settings.dim, settings.width, settings.landmarks)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense`` (F's output, "layer 1"), ``layer2``-``layer4`` and ``heatmaps``, all at
        full resolution, and ``dense4``."""
        maps: dict[str, Tensor] = self.features(images)
        return {**maps, **self.detector(maps["dense"])}

    def landmarks(self, images: Tensor) -> Tensor:
        """(B, K, 2): landmarks in pixels of the images, x before y (sec. 2)."""
        heatmaps = self.detector(self.features.features(images))["heatmaps"]
        height, width = images.shape[2:]
        return denormalise_points(soft_argmax(heatmaps), (height, width))
