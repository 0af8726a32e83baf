"""Linear heads on discovered landmarks, with their bias, origin and unit stated; and the mean shape.

These three change the number: on the very same MAFL predictions a bias moves the error from 3.56 to 3.26 %, and ridge
0.1 with ten annotations gives 6.87, 7.73 or 8.61 % depending on the unit alone (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmbench.errors import UsageError
from lmbench.heads.base import HeadInputs, Subset, mean_shape
from lmbench.heads.settings import LeastSquaresSettings, RidgeSettings
from lmbench.specs import NoSettings

UNITS = {"pixel128": 128.0, "pm1": 2.0, "unit": 1.0}
"""Length of the image side in each unit."""


class FittedLinear:
    """S affine maps from 2K to 2L numbers, in the head's unit and origin; points are flattened point-major."""

    def __init__(self, weight: Tensor, bias: Tensor, scale: float, shift: float) -> None:
        self.weight, self.bias, self.scale, self.shift = weight, bias, scale, shift

    def predict(self, inputs: HeadInputs) -> Tensor:
        """(S, N, L, 2) pixels, in the precision of the discovered landmarks."""
        side = inputs.image_size
        found = inputs.landmarks()
        x = _to_unit(found, side, self.scale, self.shift)
        y = torch.einsum("nk,skl->snl", x, self.weight) + self.bias[:, None]
        fraction = (y.unflatten(-1, (-1, 2)) + self.shift) / self.scale
        return (fraction * (side - 1)).to(found.dtype)

    def state(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "bias": self.bias}


class Linear:
    """Ridge regression without or with a bias (never penalised): sum of squares + alpha |W|^2, in float64.

    Settings without ``alpha`` ask for ordinary least squares: the minimum-norm solution where the subset is smaller than the
    unknowns.

    ``unit``: the image side counts 128 (``pixel128``), 2 (``pm1``) or 1 (``unit``). ``origin``: ``corner`` of the image
    or its ``centre``. Without a bias both enter the result. Invisible landmarks are left out, each on its own.
    """

    def __init__(self, settings: LeastSquaresSettings) -> None:
        self.settings = settings
        self.alpha = settings.alpha if isinstance(settings, RidgeSettings) else 0.0

    def description(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "bias": self.settings.bias,
            "origin": self.settings.origin,
            "unit": self.settings.unit,
            "loss": "sum of squares",
        }

    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedLinear:
        """The fitted maps, one a subset."""
        del generator
        scale = UNITS[self.settings.unit]
        shift = scale / 2 if self.settings.origin == "centre" else 0.0
        x = _to_unit(inputs.landmarks(), inputs.image_size, scale, shift).numpy()
        y = _to_unit(landmarks, inputs.image_size, scale, shift).numpy()
        seen = visible.cpu().numpy().repeat(2, axis=1)
        solved = [self._solve(x[i], y[i], seen[i]) for i in (s.indices.numpy() for s in subsets)]
        weight = torch.from_numpy(np.stack([w for w, _ in solved]))
        bias = torch.from_numpy(np.stack([b for _, b in solved]))
        return FittedLinear(weight, bias, scale, shift)

    def restored(self, state: Mapping[str, Tensor]) -> FittedLinear:
        """The fitted maps again, from their tensors."""
        scale = UNITS[self.settings.unit]
        shift = scale / 2 if self.settings.origin == "centre" else 0.0
        return FittedLinear(state["weight"], state["bias"], scale, shift)

    def _solve(self, x: np.ndarray, y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if seen.all():
            return solve_linear(x, y, self.alpha, self.settings.bias)
        columns = [
            solve_linear(x[seen[:, j]], y[seen[:, j], j : j + 1], self.alpha, self.settings.bias)
            for j in range(y.shape[1])
        ]
        return np.concatenate([w for w, _ in columns], axis=1), np.concatenate([b for _, b in columns])


def solve_linear(x: np.ndarray, y: np.ndarray, alpha: float, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """(weights (k, l), bias (l,)) minimising the sum of |x W + b - y|^2 + alpha |W|^2, in float64.

    A bias is not penalised. ``alpha`` 0 gives the minimum-norm least-squares solution.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) == 0:
        raise UsageError("a linear head needs at least one visible annotation of every landmark.")
    mean_x, mean_y = (x.mean(0), y.mean(0)) if bias else (np.zeros(x.shape[1]), np.zeros(y.shape[1]))
    centred_x, centred_y = x - mean_x, y - mean_y
    if alpha > 0:  # augmented rows rather than normal equations: half the digits would be lost there
        centred_x = np.concatenate([centred_x, np.sqrt(alpha) * np.eye(x.shape[1])])
        centred_y = np.concatenate([centred_y, np.zeros((x.shape[1], y.shape[1]))])
    weights = np.linalg.lstsq(centred_x, centred_y, rcond=None)[0]
    return weights, mean_y - mean_x @ weights


def _to_unit(points: Tensor, side: int, scale: float, shift: float) -> Tensor:
    """(N, 2K) float64: pixels as fractions of the way from the first to the last pixel centre, scaled and shifted."""
    return (points.cpu().double() / (side - 1) * scale - shift).flatten(1)


class MeanShape:
    """The mean of the visible annotations of each landmark, the same for every image."""

    def __init__(self, settings: NoSettings) -> None:
        del settings

    def description(self) -> dict[str, Any]:
        return {}

    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedMeanShape:
        del inputs, generator
        return FittedMeanShape(torch.stack([mean_shape(landmarks[s.indices], visible[s.indices]) for s in subsets]))


class FittedMeanShape:
    """S mean shapes (S, L, 2) in pixels."""

    def __init__(self, shapes: Tensor) -> None:
        self.shapes = shapes

    def predict(self, inputs: HeadInputs) -> Tensor:
        return self.shapes[:, None].expand(-1, len(inputs), -1, -1).clone()

    def state(self) -> dict[str, Tensor]:
        return {"shapes": self.shapes}
