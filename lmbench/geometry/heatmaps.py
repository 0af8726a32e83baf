"""Points read off maps: the soft and the hard argmax.

Convention: maps are ``(..., H, W)``; normalised coordinates lie on ``linspace(-1, 1, W)``
(``align_corners=True``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def soft_argmax(logits: Tensor, multiplier: float = 1.0) -> Tensor:
    """The expected point ``(..., 2)`` in [-1, 1] of each map under a softmax over its H * W cells.

    Args:
        logits: ``(..., H, W)``; half precision is computed and returned in float32, for bfloat16 resolves no
            pixel.
        multiplier: factor on the logits before the softmax (100 in the regressors of DVE and
            ContrastLandmarks).

    The expectation is taken over the row and the column sums of the probabilities, so no coordinate grid is
    multiplied with the maps. Differentiable once.

    Convention: x before y, ``align_corners=True``.
    Source: Thewlis et al. 2017, sec. 3; DVE, ``IntermediateKeypointPredictor``.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    points: Tensor = _Expectation.apply(logits if multiplier == 1 else logits * multiplier)
    return points


class _Expectation(torch.autograd.Function):
    """The soft-argmax with its gradient written out: the derivative by a cell is p (x - E[x]), one pass over the maps
    where the derivatives of softmax, sums and products take five."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        height, width = logits.shape[-2:]
        probability = logits.flatten(-2).softmax(-1).view(logits.shape)
        # Products and sums, not matmul: autocast would turn a matmul into bfloat16.
        x = (probability.sum(-2) * _axis(width, logits)).sum(-1)
        y = (probability.sum(-1) * _axis(height, logits)).sum(-1)
        points = torch.stack((x, y), -1)
        ctx.save_for_backward(probability, points)
        return points

    @staticmethod
    @once_differentiable  # type: ignore[no-untyped-call]
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        probability, points = ctx.saved_tensors
        height, width = probability.shape[-2:]
        along_x = gradient[..., :1] * (_axis(width, points) - points[..., :1])
        along_y = gradient[..., 1:] * (_axis(height, points) - points[..., 1:])
        return (along_y[..., :, None] + along_x[..., None, :]).mul_(probability)


def argmax_points(maps: Tensor) -> Tensor:
    """The cell ``(..., 2)`` of each map's largest value, int64, x before y; of equals the first row by row.

    Convention: ``maps`` is ``(..., H, W)``; cells count from 0, with no half-cell offset.
    """
    width = maps.shape[-1]
    cell = maps.flatten(-2).argmax(-1)
    return torch.stack((cell % width, cell // width), -1)


def _axis(length: int, like: Tensor) -> Tensor:
    return torch.linspace(-1, 1, length, dtype=like.dtype, device=like.device)
