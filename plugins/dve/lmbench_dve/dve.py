"""DVE and Dense3D: a dense map learns where each of its cells lies in another view of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from lmbench.api import Objective, ViewSettings, draw_views, warp_pairs
from lmbench_dve.correlation import dense_correlation_loss
from lmbench_dve.settings import DVESettings

Views = tuple[Tensor, Tensor, Tensor]


class DVE(Objective):
    """Two warps of every image; each cell of the first has to find its own content in the second.

    By way of another image's descriptors (DVE), or straight (Dense3D). Needs a backbone with the map ``dense``.
    """

    settings: DVESettings

    def views(self, images: Tensor, generator: torch.Generator) -> Views:
        """(A, B, grid): two views of each image, and for each pixel of A where in B it lies (B, h, w, 2), in [-1, 1].

        Geometry first, then each view's colours by themselves, as the reference does.
        """
        crop = round(self.settings.crop * images.shape[-1])
        pairs = warp_pairs(images, None, self.settings.warp, generator, crop=crop)
        view_a, view_b = (self.coloured(view, generator) for view in (pairs.view_a, pairs.view_b))
        return view_a, view_b, pairs.grid

    def coloured(self, view: Tensor, generator: torch.Generator) -> Tensor:
        """The view (B, 3, S, S) in other colours, at its place."""
        still = ViewSettings(**vars(self.settings.view), size=view.shape[-1], scale=(1.0, 1.0), ratio=(1.0, 1.0))
        return draw_views(view, still, generator)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``total``: the mean of |distance|^power, in input pixels, at which a cell is found from its place."""
        s = self.settings
        view_a, view_b, grid = views
        maps_a, maps_b = self.backbone(torch.cat((view_a, view_b)))["dense"].chunk(2)
        total = dense_correlation_loss(
            maps_a,
            maps_b,
            grid,
            exchange=s.exchange,
            normalise=s.normalise,
            factor=s.factor,
            power=s.power,
            stride=s.stride,
        )
        return {"total": total}
