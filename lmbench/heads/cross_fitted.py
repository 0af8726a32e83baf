"""What the converged head leaves: the filters and read-outs of all folds' heads, whose mean predicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lmbench.features import FeatureMaps
from lmbench.geometry.coordinates import denormalise_points
from lmbench.heads.base import HeadInputs
from lmbench.heads.blocks import Blocks
from lmbench.heads.confidence import looked_up
from lmbench.heads.refining import Prior, expected, points


class FittedConverged:
    """S heads of M filters, in normalised coordinates.

    ``filters`` (S, M, dim), their prior ``centres`` (S, M, 2) and ``precision`` (S, M), the read-out ``linear`` (S, 2M, 2L) and
    ``offset`` (S, 2L). M counts the filters of all folds' heads, whose mean predicts.
    """

    def __init__(self, state: Mapping[str, Tensor], said: Sequence[str] = ()) -> None:
        self._state = dict(state)
        self.said = list(said)
        """What was chosen for each head, in words."""

    def state(self) -> dict[str, Tensor]:
        return self._state

    @torch.no_grad()
    def predict(self, inputs: HeadInputs) -> Tensor:
        """(S, N, L, 2) pixels, on the CPU."""
        return self.predict_with_confidence(inputs)[0]

    @torch.no_grad()
    def predict_with_confidence(self, inputs: HeadInputs) -> tuple[Tensor, Tensor]:
        """Landmarks (S, N, L, 2) in pixels, and (S, N, L) how probable it is that each is right to 5 % of the image's side, CPU.

        As probable as it was for held-out annotated images. NaN where none was held out, or the head was kept without.
        """
        kept, side = {k: v.to(inputs.device) for k, v in self._state.items()}, inputs.image_size
        blocks, everything = Blocks(inputs, int(kept["cells"])), torch.arange(len(inputs))
        found, sure = [], []
        for s, (linear, offset) in enumerate(zip(kept["linear"], kept["offset"], strict=True)):
            predicted, landmarks = offset.expand(len(inputs), -1), len(offset) // 2
            spread = offset.new_zeros(len(inputs), landmarks)
            if bool(linear.any()):
                used = kept["precision"][s] > 0  # another draw may have more filters
                variances = offset.new_empty(int(used.sum()), len(inputs))
                prior = Prior(kept["centres"][s][used], kept["precision"][s][used])
                at = points(blocks, everything, kept["filters"][s][used], prior, variances=variances)
                predicted = predicted + at.transpose(0, 1).flatten(1) @ linear[used.repeat_interleave(2)]
                if "calibration" in kept:
                    spread = spread_of(variances, int(kept["folds"]), landmarks)
            found.append(denormalise_points(predicted.unflatten(1, (-1, 2)), (side, side)).cpu())
            curves = kept["calibration"][s] if "calibration" in kept else None
            sure.append((torch.full_like(spread, math.nan) if curves is None else looked_up(curves, spread)).cpu())
        return torch.stack(found), torch.stack(sure)

    def on(self, maps: FeatureMaps, image_size: int) -> Tensor:
        """(B, L, 2) pixels: what the first head predicts of maps, as one computation without branches: for a graph."""
        filters, centres, precision, linear, offset = (
            self._state[name][0] for name in ("filters", "centres", "precision", "linear", "offset")
        )
        predicted = offset.expand(maps.maps[0].shape[0], -1)
        if len(filters):  # else it is the mean shape
            maps = maps.coarse(int(self._state["cells"]))
            at = expected(maps, filters, Prior(centres, precision).on(maps.size))[1]
            predicted = predicted + at.flatten(1) @ linear
        return denormalise_points(predicted.unflatten(1, (-1, 2)), (image_size, image_size))


def spread_of(variances: Tensor, folds: int, landmarks: int) -> Tensor:
    """(n, L): how far the cells of a landmark's own filters (folds x L x P, n) lie about their points, in [-1, 1]."""
    return variances.unflatten(0, (folds, landmarks, -1)).mean((0, 2)).sqrt().T
