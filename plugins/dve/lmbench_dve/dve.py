"""DVE and Dense3D: a dense map learns where each of its cells lies in another view of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from lmbench.api import (
    TRAIN_PAIR,
    Extractor,
    Objective,
    TPSStrength,
    UsageError,
    draw_views,
    view_settings,
    warp_pairs,
)
from lmbench_dve.correlation import dense_correlation_loss
from lmbench_dve.settings import PHOTOMETRIC

Views = tuple[Tensor, Tensor, Tensor]

STILL: Mapping[str, Any] = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
GEOMETRIC = ("size", "scale", "ratio", "window", "rotation", "flip_p")


class DVE(Objective):
    """Two warps of every image; each cell of the first has to find its own content in the second.

    ``exchange``: by way of another image's descriptors (DVE), else straight (Dense3D). ``normalise``, ``factor``,
    ``power``, ``stride``: as `dense_correlation_loss`. ``crop``: fraction of the frame's side cut off each side after
    warping, so that the warp's black border does not show (20 of 136 pixels in the papers). ``warp``: fields of
    TPSStrength that differ from the papers' training pair. ``view``: fields of ViewSettings that differ from
    `PHOTOMETRIC`, colours alone; each view is coloured by itself. Needs a backbone with the map ``dense``.
    """

    def __init__(
        self,
        backbone: nn.Module,
        parent: Extractor | None = None,
        *,
        exchange: bool = True,
        normalise: bool = True,
        factor: float = 20.0,
        power: float = 0.5,
        crop: float = 20 / 136,
        stride: int = 1,
        warp: Mapping[str, float] | None = None,
        view: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, parent)
        self.check({"factor": factor, "power": power, "crop": crop, "stride": stride, "warp": warp, "view": view})
        self.exchange, self.normalise, self.factor, self.power = exchange, normalise, factor, power
        self.crop, self.stride = crop, stride
        self.strength = TPSStrength(**{**vars(TRAIN_PAIR), **(warp or {})})
        self.colours = view_settings({**STILL, **asdict(PHOTOMETRIC), **(view or {})})
        with torch.no_grad():
            maps = backbone.eval()(torch.zeros(1, 3, 64, 64))
        if "dense" not in maps:
            raise UsageError(
                f"dve needs a backbone with the map dense (smallnet, hourglass, resnet18_fpn); this one has "
                f"{', '.join(maps)}."
            )

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Raises UsageError for numbers out of range, unknown fields of ``warp`` or ``view``, and a view that moves."""
        crop, stride = settings.get("crop", 0.0), settings.get("stride", 1)
        factor, power = settings.get("factor", 1.0), settings.get("power", 1.0)
        if not 0 <= crop < 0.5 or factor <= 0 or power <= 0 or stride < 1:
            raise UsageError(
                f"dve: crop = {crop}, factor = {factor}, power = {power}, stride = {stride}; "
                "expected a crop of at least 0 and below 0.5, factor and power above 0, a stride of at least 1."
            )
        known = list(vars(TRAIN_PAIR))
        unknown = sorted(set(settings.get("warp") or {}) - set(known))
        if unknown:
            raise UsageError(f"dve: warp has no field {unknown[0]!r}; it has {', '.join(known)}.")
        moved = sorted(set(settings.get("view") or {}) & set(GEOMETRIC))
        if moved:
            raise UsageError(
                f"dve: view.{moved[0]} would move the content of a view after the warp that the loss knows; "
                "set warp and crop instead."
            )
        view_settings(settings.get("view"))

    def views(self, images: Tensor, generator: torch.Generator) -> Views:
        """(A, B, grid): two views of each image, and for each pixel of A where in B it lies (B, h, w, 2), in [-1, 1].

        Geometry first, then each view's colours by themselves, as the reference does.
        """
        crop = round(self.crop * images.shape[-1])
        pairs = warp_pairs(images, None, self.strength, generator, crop=crop)
        view_a, view_b = (self.coloured(view, generator) for view in (pairs.view_a, pairs.view_b))
        return view_a, view_b, pairs.grid

    def coloured(self, view: Tensor, generator: torch.Generator) -> Tensor:
        """The view (B, 3, S, S) in other colours, at its place."""
        return draw_views(view, replace(self.colours, size=view.shape[-1]), generator)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """``total``: the mean of |distance|^power, in input pixels, at which a cell is found from its place."""
        view_a, view_b, grid = views
        maps_a, maps_b = self.backbone(torch.cat((view_a, view_b)))["dense"].chunk(2)
        total = dense_correlation_loss(
            maps_a,
            maps_b,
            grid,
            exchange=self.exchange,
            normalise=self.normalise,
            factor=self.factor,
            power=self.power,
            stride=self.stride,
        )
        return {"total": total}
