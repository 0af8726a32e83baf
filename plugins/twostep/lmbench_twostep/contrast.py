"""Step 1: features of single pixels by contrast (Rahaman et al. 2021, sec. 4, eq. 7)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import Objective, UsageError, ViewSettings, draw_views, float32, normalise_points
from lmbench_twostep.deformation import deformed_pair, read_points
from lmbench_twostep.settings import PixelNTXentSettings


@float32  # cosines over 0.1 need more than bf16
def pixel_log_probabilities(
    features: Tensor, others: Tensor, temperature: float, image: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(log p, log p') of eq. 7, each of shape ``(...)``, for features and those of the same places, both ``(..., D)``.

    Every place competes with all others of its own view and with all of the other view; similarity is the cosine.
    ``image``, of shape ``(...)``: places compete only with those of their own image.
    """
    f = functional.normalize(features.flatten(0, -2), dim=1)
    g = functional.normalize(others.flatten(0, -2), dim=1)
    both = torch.cat((f, g))
    similarity = both @ both.mT / temperature
    positive = (f * g).sum(1) / temperature
    excluded = torch.eye(len(both), dtype=torch.bool, device=both.device)
    if image is not None:
        owner = image.flatten().repeat(2)
        excluded = excluded | (owner[:, None] != owner)
    similarity = similarity.masked_fill(excluded, -torch.inf)
    total = similarity.logsumexp(1)
    shape = features.shape[:-1]
    return (positive - total[: len(f)]).view(shape), (positive - total[len(f) :]).view(shape)


def contrastive_loss(features: Tensor, others: Tensor, temperature: float, image: Tensor | None = None) -> Tensor:
    """Scalar, eq. 7: minus the mean over places of log p + log p'; ``image`` as in pixel_log_probabilities."""
    log_p, log_q = pixel_log_probabilities(features, others, temperature, image)
    return -(log_p + log_q).mean()


class PixelViews(NamedTuple):
    """Two views of a batch and places seen in both, as points in [-1, 1] of each view; ``seen`` marks those that count."""

    view: Tensor
    deformed: Tensor
    points: Tensor
    deformed_points: Tensor
    seen: Tensor


class PixelNTXent(Objective):
    """Every pixel's feature is found again in a deformed and recoloured copy of the image, among those of the batch."""

    settings: PixelNTXentSettings

    def views(self, images: Tensor, generator: torch.Generator) -> PixelViews:
        """x, x' = r(g(x)) and K places of x' that x shows as well, with their exact positions in x (sec. 4)."""
        s = self.settings
        view, deformed, grid = deformed_pair(images, s.size, s.window, s.deformation, generator)
        side = view.shape[-1]
        deformed = self.change_appearance(deformed, generator)
        if s.recolour == "both":
            view = self.change_appearance(view, generator)
        flat = grid.flatten(1, 2)
        inside = (flat.abs() <= 1).all(-1)
        lottery = torch.rand(inside.shape, generator=generator).to(inside.device)
        chosen = torch.where(inside, lottery, -1.0).topk(s.locations).indices
        points = flat.gather(1, chosen[..., None].expand(-1, -1, 2))
        pixels = torch.stack((chosen % side, chosen // side), -1).to(view)
        return PixelViews(view, deformed, points, normalise_points(pixels, (side, side)), inside.gather(1, chosen))

    def change_appearance(self, views: Tensor, generator: torch.Generator) -> Tensor:
        """r: the same geometry in other colours, with noise."""
        s = self.settings
        still = ViewSettings(**vars(s.appearance), size=views.shape[-1], scale=(1.0, 1.0), ratio=(1.0, 1.0))
        noise = torch.randn(views.shape, generator=generator).to(views)
        return (draw_views(views, still, generator) + s.noise * noise).clamp(0, 1)

    def loss(self, views: PixelViews) -> dict[str, Tensor]:
        """``total``: eq. 7 over the places that both views show; ``cosine``: mean similarity of a place to itself."""
        if len(views.view) < 2:
            raise UsageError("pixel_ntxent contrasts the images of a batch: it needs at least two, found one.")
        maps = self.backbone(torch.cat((views.view, views.deformed)))["dense"]
        first, second = maps.chunk(2)
        f = read_points(first, views.points)[views.seen]
        g = read_points(second, views.deformed_points)[views.seen]
        image = torch.arange(len(views.seen), device=f.device)[:, None].expand_as(views.seen)[views.seen]
        if len(f) < 2:
            raise UsageError("pixel_ntxent: no two places are visible in both views; weaken the deformation.")
        rivals = image if self.settings.rivals == "image" else None
        total = contrastive_loss(f, g, self.settings.temperature, rivals)
        return {"total": total, "cosine": functional.cosine_similarity(f.detach(), g.detach()).mean()}
