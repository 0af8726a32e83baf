"""The plugin author's main class: a pretraining loss with all it trains beside the backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lmbench.features import Extractor


class Objective(nn.Module):
    """A loss on views of unlabelled images.

    Subclass it and write ``views`` and ``loss``; a constructor takes the same, and what its spec fixes, and begins with
    ``super().__init__(backbone, parent, settings)``. What must survive a killed run (EMA copies, queues, counters) lives in
    parameters or buffers.

    ``backbone``: gives named maps (see BackboneSpec; `lmbench.api.channels_of` says how many channels one has). ``parent``: the
    frozen extractor of the stage before, else ``None``. ``settings``: an object of the spec's dataclass.
    """

    def __init__(self, backbone: nn.Module, parent: Extractor | None = None, settings: Any = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = settings
        # Not a submodule: what is frozen is neither trained nor saved again.
        self.__dict__["parent"] = parent

    parent: Extractor | None

    def views(self, images: Tensor, generator: torch.Generator) -> Any:
        """What ``loss`` needs, made from images (B, 3, H, W) in [0, 1] on the device; random by ``generator`` alone.

        The generator is on the CPU. The images must not be changed in place.
        """
        raise NotImplementedError

    def loss(self, views: Any) -> dict[str, Tensor]:
        """Scalars by name: ``total`` is minimised, the others are worth a curve.

        In bf16 it runs under autocast, with the float32 views that ``views`` made; put `lmbench.api.float32` on what
        turns the networks' outputs into logits, distances or coordinates.
        """
        raise NotImplementedError

    def after_step(self, step: int, total_steps: int) -> None:
        """Called after optimiser step ``step`` (from 1): EMA, queues, schedules."""

    def trainable(self) -> list[nn.Parameter]:
        """The parameters the optimiser gets: those that require gradients."""
        return [p for p in self.parameters() if p.requires_grad]

    def extractor(self) -> Extractor:
        """What survives FREEZE; the layers that are read are set by the run."""
        return Extractor(self.backbone, ())

    def forward(self, views: Any) -> dict[str, Tensor]:
        """``loss``; the loop calls the module so that precision and device wrappers see it."""
        return self.loss(views)
