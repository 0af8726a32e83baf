"""The loss: two views of an image are more alike than views of different images."""

from __future__ import annotations

import torch
from lmbench.api import Objective, draw_views, float32
from torch import Tensor
from torch.nn import functional

from lmbench_placeholder.settings import Settings


class InstanceContrast(Objective):
    """InfoNCE: each first view finds its second view among those of the batch."""

    settings: Settings

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two random views of each image; chance comes from the generator alone."""
        return draw_views(images, self.settings.view, generator), draw_views(images, self.settings.view, generator)

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total`` is minimised; the others are drawn as curves."""
        first, second = (self.backbone(view)[self.settings.layer].mean((2, 3)) for view in views)
        logits = similarities(first, second) / self.settings.temperature
        own = torch.arange(len(logits), device=logits.device)
        found = (logits.argmax(1) == own).float().mean()
        return {"total": functional.cross_entropy(logits, own), "found": found}


@float32
def similarities(first: Tensor, second: Tensor) -> Tensor:
    """(B, B): the cosine of each first descriptor (B, C) with each second one; in bf16 it would be off by tenths."""
    return functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
