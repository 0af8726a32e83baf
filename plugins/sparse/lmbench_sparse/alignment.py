"""The objective of Thewlis et al. 2017: landmarks that follow a known warp, and keep apart (sec. 3.3 and 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import (
    Objective,
    UsageError,
    ViewSettings,
    denormalise_points,
    draw_tps_weights,
    draw_views,
    float32,
    pixel_grid,
    tps_grid,
    warp_images,
)
from lmbench_sparse.settings import SparseAlignmentSettings


@float32
def probabilities(scores: Tensor) -> Tensor:
    """(B, K, h, w): the softmax over positions of each landmark's score map (sec. 3.2), in float32 at least."""
    return scores.flatten(2).softmax(-1).view_as(scores)


@float32  # squares of up to 50 cells: bfloat16 is off by cells
def alignment_loss(probability: Tensor, warped: Tensor, grid: Tensor) -> Tensor:
    """(B,): the expected squared distance between a landmark u of x and g(v), v its place in x' = x o g; mean over K.

    ``probability``, ``warped``: p(u|x, r) and p(v|x', r), (B, K, h, w). ``grid``: (B, h, w, 2), g(v) for each cell v
    of x', in cells of x (x before y, the first is 0): what inverse warping reads, so that nothing is inverted.

    Thewlis et al. 2017, eq. 6, in its linear form E|u|^2 + E|g(v)|^2 - 2 E[u].E[g(v)].
    """
    height, width = probability.shape[-2:]
    cells = pixel_grid((height, width), probability.dtype, probability.device)
    # The loss does not change when u and g(v) move together; about the centre the three terms cancel least.
    centre = cells.new_tensor([(width - 1) / 2, (height - 1) / 2])
    mean_u, square_u = moments(probability, (cells - centre).expand(len(grid), -1, -1, -1))
    mean_v, square_v = moments(warped, grid.to(probability) - centre)
    return (square_u + square_v - 2 * (mean_u * mean_v).sum(-1)).mean(-1)


def moments(probability: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, 2) expected points and (B, K) expected squared norms, of points (B, h, w, 2) under (B, K, h, w)."""
    values = torch.cat((points, points.square().sum(-1, keepdim=True)), -1).flatten(1, 2)
    found = torch.bmm(probability.flatten(2), values)
    return found[..., :2], found[..., 2]


@float32
def diversity_loss(probability: Tensor, pool: int) -> Tensor:
    """(B,): K minus the sum over ``pool`` x ``pool`` blocks of the largest landmark's probability there; 0 to K - 1.

    Blocks do not overlap and are summed (eq. 8 and the last equation before 9); those at the right and lower border
    may be smaller, so that all probability counts.
    """
    count, (height, width) = probability.shape[1], probability.shape[-2:]
    padded = functional.pad(probability, (0, -width % pool, 0, -height % pool))
    blocks = functional.avg_pool2d(padded, pool) * pool**2
    return count - blocks.amax(1).sum((-2, -1))


def cells_of_grid(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, h, w, 2): a sampling grid between views, (B, H, W, 2) in pixels, as cells of maps of ``size`` (h, w).

    Convention: cell c lies at pixel ``(c + 1/2) * H / h - 1/2``, the middle of the pixels that it was pooled from.
    """
    at_cells = functional.interpolate(grid.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False)
    stride = grid.new_tensor([grid.shape[2] / size[1], grid.shape[1] / size[0]])
    return (at_cells.permute(0, 2, 3, 1) + 0.5) / stride - 0.5


@dataclass(frozen=True)
class Triplet:
    """x and x' = x o g, (B, 3, V, V) each, and g: (B, V, V, 2), for each pixel of x' where in x it lies, in pixels."""

    x: Tensor
    x_warped: Tensor
    grid: Tensor


class SparseAlignment(Objective):
    """Each landmark's probability map in x' = x o g lies where g takes it from x; landmarks keep to places of their own."""

    settings: SparseAlignmentSettings

    def views(self, images: Tensor, generator: torch.Generator) -> Triplet:
        """x = I o g1 and x' = x o g2, consecutively warped and only then cropped (sec. 4.1)."""
        size, crop = (images.shape[-2], images.shape[-1]), self.settings.crop
        first, second = (
            tps_grid(draw_tps_weights(len(images), g, generator, self.settings.control**2).to(images), size)
            for g in (self.settings.g1, self.settings.g2)
        )
        x = warp_images(images, first)
        x_warped = warp_images(x, second)
        kept = slice(crop, size[0] - crop), slice(crop, size[1] - crop)
        grid = denormalise_points(second[:, kept[0], kept[1]], size) - crop
        x, x_warped = (view[..., kept[0], kept[1]] for view in (x, x_warped))
        if self.settings.colour:
            still = ViewSettings(**vars(self.settings.colour), size=x.shape[-1], scale=(1.0, 1.0), ratio=(1.0, 1.0))
            x, x_warped = (draw_views(view, still, generator) for view in (x, x_warped))
        return Triplet(x, x_warped, grid)

    def loss(self, views: Triplet) -> dict[str, Tensor]:
        """``total``: eq. 9 without weight decay; ``alignment`` (eq. 6), ``diversity`` (eq. 8, of both views, 0 to 2K - 2).

        Raises UsageError for more landmarks than cells, or blocks wider than the maps.
        """
        gamma, pool = self.settings.gamma, self.settings.pool
        scores = self.backbone(torch.cat((views.x, views.x_warped)))["heatmaps"]
        count, size = scores.shape[1], (scores.shape[-2], scores.shape[-1])
        if count > size[0] * size[1] or pool > min(size):
            raise UsageError(
                f"sparse_alignment: {count} landmarks and pool = {pool} on score maps of {size[1]}x{size[0]} cells; "
                "there must be a cell for each landmark, and a block must fit. Enlarge the view (training.frame)."
            )
        probability, warped = probabilities(scores).chunk(2)
        cell = self.cell_length(size, views.x.shape[-1])
        alignment = cell**2 * alignment_loss(probability, warped, cells_of_grid(views.grid, size)).mean()
        diversity = (diversity_loss(probability, pool) + diversity_loss(warped, pool)).mean()
        return {"total": alignment + gamma * diversity, "alignment": alignment, "diversity": diversity}

    def cell_length(self, size: tuple[int, int], side: int) -> float:
        """How long a cell of a map of ``size`` is in the unit, in a view of ``side`` pixels."""
        return {"cell": 1.0, "pixel": side / size[1], "side": 2 / size[1]}[self.settings.unit]
