"""Points read off maps: the soft and the hard argmax.

Convention: maps are ``(..., H, W)``; normalised coordinates lie on ``linspace(-1, 1, W)``
(``align_corners=True``).
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft_argmax(logits: Tensor, multiplier: float = 1.0) -> Tensor:
    """The expected point ``(..., 2)`` in [-1, 1] of each map under a softmax over its H * W cells.

    Args:
        logits: ``(..., H, W)``; half precision is computed and returned in float32, for bfloat16 resolves no
            pixel.
        multiplier: factor on the logits before the softmax (100 in the regressors of DVE and
            ContrastLandmarks).

    The expectation is taken over the row and the column sums of the probabilities, so no coordinate grid is
    multiplied with the maps. Differentiable.

    Convention: x before y, ``align_corners=True``.
    Source: Thewlis et al. 2017, sec. 3; DVE, ``IntermediateKeypointPredictor``.
    """
    height, width = logits.shape[-2:]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probability = (logits * multiplier).flatten(-2).softmax(-1).reshape(logits.shape)
    # Products and sums, not matmul: autocast would turn a matmul into bfloat16.
    x = (probability.sum(-2) * _axis(width, logits)).sum(-1)
    y = (probability.sum(-1) * _axis(height, logits)).sum(-1)
    return torch.stack((x, y), -1)


def argmax_points(maps: Tensor) -> Tensor:
    """The cell ``(..., 2)`` of each map's largest value, int64, x before y; of equals the first row by row.

    Convention: ``maps`` is ``(..., H, W)``; cells count from 0, with no half-cell offset.
    """
    width = maps.shape[-1]
    cell = maps.flatten(-2).argmax(-1)
    return torch.stack((cell % width, cell // width), -1)


def _axis(length: int, like: Tensor) -> Tensor:
    return torch.linspace(-1, 1, length, dtype=like.dtype, device=like.device)
