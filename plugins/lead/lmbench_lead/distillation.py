"""Stage 2 of LEAD: correspondence distillation (LEAD sec. 3.3, eqs. 2 and 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, UsageError, channels_of, draw_views, float32
from lmbench_lead.settings import DistillationSettings


@float32
def correspondence(source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """(B, hw, hw) log-probabilities: for each position of ``source`` (B, C, h, w), where in ``target`` it corresponds.

    LEAD eq. 2: softmax over the positions of ``target`` of cosine similarity / temperature; rows are positions of
    ``source``, row-major.
    """
    f = functional.normalize(source.flatten(2), dim=1)
    g = functional.normalize(target.flatten(2), dim=1)
    return (torch.bmm(f.transpose(1, 2), g) / temperature).log_softmax(-1)


@float32
def distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(B,): cross-entropy of the student's correspondence to the teacher's, from log-probabilities (B, hw, hw).

    LEAD eq. 3: a plain sum over both positions; the teacher gets no gradient.
    """
    return -(teacher.detach().exp() * student).sum((1, 2))


class CorrespondenceDistillation(Objective):
    """The frozen stage-1 hypercolumn says which positions of two images correspond; the dense map learns to agree."""

    settings: DistillationSettings

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: DistillationSettings) -> None:
        super().__init__(backbone, parent, settings)
        if parent is None or not isinstance(getattr(backbone, "encoder", None), nn.Module):
            raise UsageError(
                "correspondence_distillation needs a stage before it and a backbone with an encoder (resnet*_fpn)."
            )
        self.encoder.load_state_dict(parent.network.state_dict())  # sec. 3.3: initialised with stage 1
        if settings.encoder == "frozen":
            self.encoder.requires_grad_(False)
        width = settings.projection
        self.projection = projection_head(channels_of(backbone, "dense"), width) if width else nn.Identity()

    @property
    def encoder(self) -> nn.Module:
        """The backbone's encoder."""
        assert isinstance(self.backbone.encoder, nn.Module)
        return self.backbone.encoder

    def train(self, mode: bool = True) -> CorrespondenceDistillation:
        """A frozen encoder keeps its BatchNorm statistics as well."""
        super().train(mode)
        if self.settings.encoder == "frozen":
            self.encoder.eval()
        return self

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x_i, x_j): views of the batch, and of the batch moved by one place (or again of itself)."""
        partners = images.roll(-1, 0) if self.settings.pairs == "another" else images
        first, second = self.settings.views
        return draw_views(images, first, generator), draw_views(partners, second, generator)

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total``: eq. 3 divided by the positions of x_i (the gradient of a mean), ``kl``: what is left above the teacher."""
        images = torch.cat(views)
        maps = self.backbone(images)["dense"]
        if self.settings.grid:
            maps = functional.adaptive_avg_pool2d(maps, self.settings.grid)
        f_i, f_j = self.projection(maps).chunk(2)
        teacher = self.teacher(images, f_i.shape[-1])
        student = correspondence(f_i, f_j, self.settings.temperature)
        positions = student.shape[1]
        total = distillation_loss(student, teacher).mean() / positions
        entropy = -(teacher.exp() * teacher).sum(-1).mean()
        return {"total": total, "kl": total.detach() - entropy}

    @torch.no_grad()
    @float32
    def teacher(self, images: Tensor, size: int) -> Tensor:
        """(B, hw, hw) log-probabilities of the hypercolumns of x_i and x_j, side by side in ``images``, on a grid of ``size``."""
        assert self.parent is not None
        maps = self.parent.maps(images).read(size, self.settings.teacher_normalise)
        h_i, h_j = maps.materialise().chunk(2)
        return correspondence(h_i, h_j, self.settings.teacher_temperature or self.settings.temperature)


def projection_head(dim: int, width: int) -> nn.Sequential:
    """Two linear layers (1x1 filters) with BatchNorm and ReLU between (LEAD sec. 4, implementation details)."""
    return nn.Sequential(
        nn.Conv2d(dim, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
    )
