"""Stage 2 of LEAD: correspondence distillation (LEAD sec. 3.3, eqs. 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, UsageError, ViewSettings, draw_views, float32, view_settings


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
    """The frozen stage-1 hypercolumn says which positions of two images correspond; the dense map learns to agree.

    ``temperature``: LEAD sec. 4, 0.05. ``teacher_temperature``: the teacher's, where it is another one.
    ``projection``: width of the projection head that is dropped afterwards (Table 3; 0: none).
    ``encoder``: ``frozen`` (supplement D) or ``trained`` (main text). ``pairs``: the second image of a pair is
    ``another`` of the batch or a second view of the ``same``. ``teacher_normalise``: the hypercolumn is normalised
    as one block (``global``) or ``layer`` by layer. ``grid``: cells a side on which maps are compared (0: the dense
    map's own). ``view``: fields of ViewSettings for the first image of a pair; ``view2``: those in which the second's
    differ from them.
    """

    def __init__(
        self,
        backbone: nn.Module,
        parent: Extractor | None = None,
        *,
        temperature: float = 0.05,
        teacher_temperature: float | None = None,
        projection: int = 256,
        encoder: str = "frozen",
        pairs: str = "another",
        teacher_normalise: str = "global",
        grid: int = 0,
        view: Mapping[str, Any] | None = None,
        view2: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, parent)
        if parent is None or not hasattr(backbone, "encoder"):
            raise UsageError(
                "correspondence_distillation needs a stage before it and a backbone with an encoder (resnet*_fpn)."
            )
        assert isinstance(backbone.encoder, nn.Module)
        backbone.encoder.load_state_dict(parent.network.state_dict())  # sec. 3.3: initialised with stage 1
        self.encoder_frozen = encoder == "frozen"
        if self.encoder_frozen:
            backbone.encoder.requires_grad_(False)
        self.temperature, self.pairs, self.grid = temperature, pairs, grid
        self.teacher_temperature = teacher_temperature or temperature
        self.teacher_normalise = teacher_normalise
        self.view_settings = views_of(view, view2)
        with torch.no_grad():
            dim = backbone.eval()(torch.zeros(1, 3, 96, 96))["dense"].shape[1]
        self.projection = nn.Identity() if projection == 0 else projection_head(dim, projection)

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        views_of(settings["view"], settings["view2"])
        if settings["encoder"] not in ("frozen", "trained") or settings["pairs"] not in ("another", "same"):
            raise UsageError("correspondence_distillation: encoder is frozen or trained; pairs is another or same.")

    def train(self, mode: bool = True) -> CorrespondenceDistillation:
        """A frozen encoder keeps its BatchNorm statistics as well."""
        super().train(mode)
        if self.encoder_frozen:
            assert isinstance(self.backbone.encoder, nn.Module)
            self.backbone.encoder.eval()
        return self

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x_i, x_j): views of the batch, and of the batch moved by one place (or again of itself)."""
        partners = images.roll(-1, 0) if self.pairs == "another" else images
        first, second = self.view_settings
        return draw_views(images, first, generator), draw_views(partners, second, generator)

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total``: eq. 3 divided by the positions of x_i (the gradient of a mean), ``kl``: what is left above the teacher."""
        images = torch.cat(views)
        maps = self.backbone(images)["dense"]
        if self.grid:
            maps = functional.adaptive_avg_pool2d(maps, self.grid)
        f_i, f_j = self.projection(maps).chunk(2)
        teacher = self.teacher(images, f_i.shape[-1])
        student = correspondence(f_i, f_j, self.temperature)
        positions = student.shape[1]
        total = distillation_loss(student, teacher).mean() / positions
        entropy = -(teacher.exp() * teacher).sum(-1).mean()
        return {"total": total, "kl": total.detach() - entropy}

    @torch.no_grad()
    @float32
    def teacher(self, images: Tensor, size: int) -> Tensor:
        """(B, hw, hw) log-probabilities of the hypercolumns of x_i and x_j, side by side in ``images``, on a grid of ``size``."""
        assert self.parent is not None
        normalise: Any = self.teacher_normalise
        maps = self.parent.maps(images).read(size, normalise)
        h_i, h_j = maps.materialise().chunk(2)
        return correspondence(h_i, h_j, self.teacher_temperature)


def views_of(view: Mapping[str, Any] | None, view2: Mapping[str, Any] | None) -> tuple[ViewSettings, ViewSettings]:
    """The settings of both views of a pair. Raises UsageError for an unknown field."""
    differing = {name: value for name, value in (view2 or {}).items() if value is not None}
    return view_settings(view), view_settings({**(view or {}), **differing}, "view2")


def projection_head(dim: int, width: int) -> nn.Sequential:
    """Two linear layers (1x1 filters) with BatchNorm and ReLU between (LEAD sec. 4, implementation details)."""
    return nn.Sequential(
        nn.Conv2d(dim, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
    )
