"""Linear read-outs from points to landmarks: ridge in closed form, for all candidate strengths at once."""

from __future__ import annotations

import torch
from torch import Tensor

ALPHAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # ridge, in mean variances of the points
TOWARDS = (0.0, 1.0)  # nothing, or the mean movement of the landmark's own points: what the ridge draws to
CANDIDATES = tuple((alpha, towards) for alpha in ALPHAS for towards in TOWARDS)


def readouts(at: Tensor, target: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """(candidates, 2K, 2L) and (candidates, 2L): ``points @ linear + offset``, coordinates as x0, y0, x1, y1, ...

    From the points (K, n, 2) of all filters, those of a landmark in a row, to ``target`` (n, L, 2) where ``seen`` (n, L) is 1.
    Minimises the squared distance plus alpha x (mean variance of a coordinate of the points) x |linear - goal|^2, the goal being
    0 or the mean of the landmark's own points; computed in float64.
    """
    x, count = at.transpose(0, 1).flatten(1).double(), target.shape[1]
    y, seen = target.flatten(1).double(), seen.double()
    goal = _mean_of_own(x.shape[1], count).to(x)
    linear = x.new_zeros(len(CANDIDATES), x.shape[1], 2 * count)
    offset = x.new_zeros(len(CANDIDATES), 2 * count)
    landmarks = torch.arange(count, device=x.device)
    alike = bool((seen == seen[:, :1]).all())
    for group in [landmarks] if alike else landmarks.split(1):
        columns = (2 * group[:, None] + torch.arange(2, device=x.device)).flatten()
        weight = seen[:, group[0], None]
        total = weight.sum().clamp(min=1)
        middle, place = (weight * x).sum(0) / total, (weight * y[:, columns]).sum(0) / total
        centred = weight * (x - middle)
        squared, vectors = torch.linalg.eigh(centred.T @ centred)
        scale = squared.sum().clamp(min=0) / x.shape[1]
        moved = centred @ vectors
        moved = moved.T @ (weight * (y[:, columns] - place)), squared[:, None] * (vectors.T @ goal[:, columns])
        for k, (alpha, towards) in enumerate(CANDIDATES):
            change = (moved[0] - towards * moved[1]) / (squared + alpha * scale).clamp(min=1e-300)[:, None]
            change = vectors @ change
            linear[k][:, columns] = change + towards * goal[:, columns]
            offset[k][columns] = place - middle @ linear[k][:, columns]
    return linear.float(), offset.float()


def _mean_of_own(inputs: int, landmarks: int) -> Tensor:
    """(inputs, 2 landmarks): the read-out by which a landmark is the mean of its own points."""
    each = inputs // (2 * landmarks)
    return torch.block_diag(*[torch.eye(2).repeat(each, 1) / each for _ in range(landmarks)])
