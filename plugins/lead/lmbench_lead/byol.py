"""Stage 1 of LEAD: BYOL (Grill et al. 2020; LEAD sec. 3.2, eq. 1)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, channels_of, draw_views, float32
from lmbench_lead.settings import BYOLSettings


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, BatchNorm, ReLU, linear: BYOL's projector and predictor."""
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs),
    )


@float32
def regression_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """(B,): |q - z|^2 of the L2-normalised vectors (B, D), 2 - 2 cos; the target gets no gradient. LEAD eq. 1.

    Eq. 1 prints no normalisation, but the text follows BYOL, which normalises both.
    """
    q = functional.normalize(predicted, dim=1)
    z = functional.normalize(target.detach(), dim=1)
    return (q - z).square().sum(1)


def symmetric_loss(predicted1: Tensor, predicted2: Tensor, target1: Tensor, target2: Tensor) -> Tensor:
    """Scalar: each view predicts the other's target, summed, mean over the batch."""
    return (regression_loss(predicted1, target2) + regression_loss(predicted2, target1)).mean()


class BYOL(Objective):
    """An online network predicts what a slowly following target network makes of another view of the same image."""

    settings: BYOLSettings

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: BYOLSettings) -> None:
        super().__init__(backbone, parent, settings)
        self.projector = mlp(channels_of(backbone, settings.layer), settings.hidden, settings.dim)
        self.predictor = mlp(settings.dim, settings.hidden, settings.dim)
        self.target = copy.deepcopy(nn.ModuleList([self.backbone, self.projector])).requires_grad_(False)

    def train(self, mode: bool = True) -> BYOL:
        """With frozen statistics the two backbones stay in eval mode (their norm layers' weights still learn)."""
        super().train(mode)
        if self.settings.batch_norm == "frozen":
            self.backbone.eval()
            self.target[0].eval()
        return self

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two views of each image, drawn by BYOL's asymmetric pair of augmentations."""
        return draw_views(images, self.settings.view1, generator), draw_views(images, self.settings.view2, generator)

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total``: eq. 1, both ways; ``spread``: standard deviation of normalised projections (0: collapsed)."""
        online = [self.project(self.backbone, self.projector, v) for v in views]
        predicted = [self.predictor(z) for z in online]
        with torch.no_grad():
            targets = [self.project(self.target[0], self.target[1], v) for v in views]
        total = symmetric_loss(predicted[0], predicted[1], targets[0], targets[1])
        spread = functional.normalize(online[0].detach().float(), dim=1).std(0).mean() * math.sqrt(online[0].shape[1])
        return {"total": total, "spread": spread}

    def project(self, backbone: nn.Module, projector: nn.Module, images: Tensor) -> Tensor:
        """(B, dim): the projection of the averaged map."""
        projected: Tensor = projector(backbone(images)[self.settings.layer].mean((2, 3)))
        return projected

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """The target follows: momentum 1 - (1 - base) (cos(pi step / total) + 1) / 2 (BYOL, sec. 3.2)."""
        momentum = 1 - (1 - self.settings.momentum) * (math.cos(math.pi * step / total_steps) + 1) / 2
        online = [*self.backbone.parameters(), *self.projector.parameters()]
        for slow, fast in zip(self.target.parameters(), online, strict=True):
            slow.lerp_(fast, 1 - momentum)
