"""The field's regressor: virtual points by soft-argmax, then a linear map to the annotated landmarks.

Per landmark, a 1x1 filter without bias gives 50 heatmaps; their soft-argmax gives 50 points; a linear map without bias
takes the 100 numbers to (x, y). Here is the function and the loss; `reference.py` finds the parameters as DVE and
ContrastLandmarks do, `conditioned.py` in a twentieth of the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import denormalise_points
from lmbench.geometry.heatmaps import soft_argmax
from lmbench.heads.base import HeadInputs

ALPHA = 10.0  # smooth L1 on 10 x the normalised coordinates; DVE and CL model/loss.py
PREDICT_BATCH = 64


class FittedSoftargmax:
    """S heads: ``filters`` (S, L*50, dim), ``linear`` (S, L, 2, 100), ``offset`` (S, L, 2) in normalised coordinates.

    ``cells``: for each head, the largest side of the maps and of the grid it reads; 0 (or none given): as they come.
    """

    def __init__(
        self, filters: Tensor, linear: Tensor, offset: Tensor, multiplier: float, cells: Sequence[int] = ()
    ) -> None:
        self.filters, self.linear, self.offset, self.multiplier = filters, linear, offset, multiplier
        self.cells = list(cells) or [0] * len(filters)

    @torch.no_grad()
    def predict(self, inputs: HeadInputs) -> Tensor:
        """(S, N, L, 2) pixels, on the CPU."""
        found = []
        for start in range(0, len(inputs), PREDICT_BATCH):
            maps = inputs.batch(torch.arange(start, min(start + PREDICT_BATCH, len(inputs))))
            read = {c: maps.coarse(c) if c else maps for c in set(self.cells)}
            normalised = torch.stack(
                [
                    head_forward(read[c].project(f), w, self.multiplier) + o
                    for f, w, o, c in zip(self.filters, self.linear, self.offset, self.cells, strict=True)
                ]
            )
            side = inputs.image_size
            found.append(denormalise_points(normalised, (side, side)).cpu())
        return torch.cat(found, dim=1)

    def on(self, maps: FeatureMaps, image_size: int) -> Tensor:
        """(B, L, 2) pixels: what the first head predicts of maps, as one computation without branches: for a graph."""
        maps = maps.coarse(self.cells[0]) if self.cells[0] else maps
        found = head_forward(maps.project(self.filters[0]), self.linear[0], self.multiplier) + self.offset[0]
        return denormalise_points(found, (image_size, image_size))

    def state(self) -> dict[str, Tensor]:
        return {
            "filters": self.filters,
            "linear": self.linear,
            "offset": self.offset,
            "multiplier": torch.tensor(self.multiplier),
            "cells": torch.tensor(self.cells),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> FittedSoftargmax:
        cells = state["cells"].tolist() if "cells" in state else ()  # heads of older runs read maps as they come
        return cls(state["filters"], state["linear"], state["offset"], float(state["multiplier"]), cells)


def head_forward(responses: Tensor, linear: Tensor, multiplier: float) -> Tensor:
    """(B, L, 2) normalised landmarks from filter responses (B, L*P, H, W) and the linear map (L, 2, 2P).

    Columns of the linear map are x0, y0, x1, y1, ...; source: DVE ``IntermediateKeypointPredictor.forward``.
    """
    return landmarks_of(soft_argmax(responses, multiplier), linear)


def landmarks_of(points: Tensor, linear: Tensor) -> Tensor:
    """(B, L, 2) normalised landmarks from virtual points (B, L*P, 2)."""
    return torch.einsum("blp,ldp->bld", points.reshape(points.shape[0], len(linear), -1), linear)


def regression_loss(predicted: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Smooth L1 of 10 x the normalised coordinates, mean over everything; invisible landmarks count as zero error.

    Dividing by *all* landmarks, seen or not, is what the reference does (CL models/loss.py).
    """
    # The target is replaced, not the error multiplied by zero: an absent landmark may stand as NaN.
    target = torch.where(visible[..., None], target, predicted.detach())
    return nn.functional.smooth_l1_loss(ALPHA * predicted, ALPHA * target)
