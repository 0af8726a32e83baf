"""Filters of landmarks fitted to annotations: soft-argmax points, a read-out solved inside, Levenberg-Marquardt around it.

For each landmark, with x = softargmax(F z + prior) the points of its filters F = F0 + V basis':

    minimise over V:  min over A, b of  mean |y - A x - b|^2  +  s (ALPHA |A|^2 + strength |V|^2)

where s is the landmark's variance (mean of the axes). A and b are a ridge in closed form (variable projection with
Kaufman's Jacobian); steps in V are Levenberg-Marquardt's. Landmarks share nothing: as many as fit are refined side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lmbench.features import FeatureMaps
from lmbench.heads.blocks import Blocks

ALPHA = 0.01  # of the read-out while filters are refined; the one that predicts is chosen by cross-validation
SOLVER_STEPS = 10
SOLVED = 0.03  # of the gradient: more of a damped step buys nothing
TINY = 1e-30
NUMBERS = 1 << 28  # of derivatives that are held at a time: 1 GiB


@dataclass(frozen=True)
class Prior:
    """Where the points of K filters are looked for: log-prior -|u - centre|^2 x precision / 2 of cells u in [-1, 1]."""

    centres: Tensor
    precision: Tensor

    def on(self, size: tuple[int, int]) -> Tensor:
        """(K, H, W)"""
        x, y = (torch.linspace(-1, 1, n, device=self.centres.device) for n in (size[1], size[0]))
        squared = (y - self.centres[:, 1:]).square()[:, :, None] + (x - self.centres[:, :1]).square()[:, None]
        return -squared * (self.precision / 2)[:, None, None]

    def of(self, members: Tensor) -> Prior:
        return Prior(self.centres[members], self.precision[members])


def points(
    blocks: Blocks,
    images: Tensor,
    filters: Tensor,
    prior: Prior,
    derivatives: Tensor | None = None,
    variances: Tensor | None = None,
) -> Tensor:
    """(K, n, 2): the points of K filters (K, dim) in some images, in [-1, 1].

    Written where they are given: ``derivatives`` (K, n, 2, dim) by the filters, ``variances`` (K, n) of cells about points.
    """
    log_prior, (height, width) = prior.on(blocks.size), blocks.size
    x, y = (torch.linspace(-1, 1, n, device=filters.device) for n in (width, height))
    found = torch.empty(len(filters), len(images), 2, device=filters.device)
    for where, maps in blocks.of(images):
        p, at = expected(maps, filters, log_prior)
        found[:, where] = at.transpose(0, 1)
        if variances is not None:
            squared = p.sum(-2) @ x.square() + p.sum(-1) @ y.square()
            variances[:, where] = (squared - at.square().sum(-1)).clamp(min=0).T
        if derivatives is not None:
            moved = torch.cat((p * (x - at[..., :1])[..., None, :], p * (y - at[..., 1:])[..., None]), 1)
            derivatives[:, where] = maps.pool(moved).unflatten(1, (2, len(filters))).permute(2, 0, 1, 3)
    return found


def expected(maps: FeatureMaps, filters: Tensor, log_prior: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, H, W) and (B, K, 2): the probabilities of K filters' cells, and the points, in [-1, 1], that they make."""
    height, width = maps.size
    x, y = (torch.linspace(-1, 1, n, device=filters.device) for n in (width, height))
    p = (maps.project(filters) + log_prior).flatten(2).softmax(-1).unflatten(2, (height, width))
    return p, torch.stack((p.sum(-2) @ x, p.sum(-1) @ y), -1)


@dataclass
class Fit:
    """The read-outs of L landmarks from the points of their own filters on n images, and the objective that they leave."""

    linear: Tensor  # (L, 2P, 2)
    centred: Tensor  # (L, n, 2P), weighted mean taken off
    gram: Tensor  # (L, 2P, 2P) float64
    weight: Tensor  # (L, n, 1)
    residual: Tensor  # (L, n, 2)
    ridge: Tensor  # (L, 1): strength x variance
    value: Tensor  # (L,)

    @classmethod
    def of(cls, at: Tensor, target: Tensor, weight: Tensor, v: Tensor, strength: float) -> Fit:
        """The fit of points (K, n, 2) to ``target`` (L, n, 2) with weights (L, n) of mean 1; ``v`` (K, r) moved the filters."""
        w, n = weight[..., None], target.shape[1]
        x = at.unflatten(0, (len(target), -1)).permute(0, 2, 1, 3).flatten(2)
        x, y = x - (w * x).mean(1, keepdim=True), target - (w * target).mean(1, keepdim=True)
        variance = (w * y.square()).mean((1, 2))
        gram = (w * x).transpose(1, 2).double() @ x.double() / n
        identity = torch.eye(x.shape[2], dtype=torch.float64, device=x.device)
        gram = gram + (ALPHA * variance).double().clamp(min=TINY)[:, None, None] * identity
        linear = torch.linalg.solve(gram, (w * x).transpose(1, 2).double() @ y.double() / n).float()
        residual, ridge = y - x @ linear, strength * variance[:, None]
        value = (w * residual.square()).sum((1, 2)) / n
        value = (
            value
            + ALPHA * variance * linear.square().sum((1, 2))
            + ridge[:, 0] * by_landmark(v, target).square().sum(1)
        )
        return cls(linear, x, gram, w, residual, ridge, value)

    def of_landmarks(self, members: Tensor) -> Fit:
        """The fit of some landmarks alone."""
        return Fit(**{field.name: getattr(self, field.name)[members] for field in fields(self)})

    def projected(self, u: Tensor) -> Tensor:
        """What is left of changes (L, n, 2) of the predictions when the read-out follows them."""
        u = u - (self.weight * u).mean(1, keepdim=True)
        back = (self.centred.transpose(1, 2) @ (self.weight * u)).double() / u.shape[1]
        return u - self.centred @ torch.linalg.solve(self.gram, back).float()


def by_landmark(v: Tensor, target: Tensor) -> Tensor:
    """(L, P r) from (K, r)."""
    return v.reshape(len(target), -1)


def proposed(fit: Fit, v: Tensor, damping: Tensor, derivatives: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """(K, r) and (L,): the damped Gauss-Newton step from ``v``, by conjugate gradients, and how much lower the value should be.

    ``derivatives`` (K, n, 2, dim) of the points by the filters; ``damping`` (L, 1) is added to the ridge.
    """
    count, n = fit.residual.shape[:2]
    each, flat = len(v) // count, derivatives.flatten(1, 2)

    def pulled(u: Tensor) -> Tensor:
        """(L, P r): changes (L, n, 2) of the predictions pulled back to the filters."""
        back = (fit.weight * u) @ fit.linear.transpose(1, 2)
        back = back.unflatten(2, (each, 2)).permute(0, 2, 1, 3).reshape(-1, 1, 2 * n)
        return (torch.bmm(back, flat)[:, 0] @ basis).reshape(count, -1) / n

    def curved(d: Tensor) -> Tensor:
        """(L, P r): the Gauss-Newton matrix times d."""
        moved = torch.bmm(flat, (d.reshape(len(v), -1) @ basis.T)[:, :, None])
        columns = moved.reshape(count, each, n, 2).permute(0, 2, 1, 3).flatten(2)
        return pulled(fit.projected(columns @ fit.linear))

    gradient = pulled(fit.residual) - fit.ridge * by_landmark(v, fit.residual)
    damped = fit.ridge + damping
    x, left, d = torch.zeros_like(gradient), gradient.clone(), gradient.clone()
    size = first = left.square().sum(1, keepdim=True)
    for _ in range(SOLVER_STEPS):
        product = curved(d) + damped * d
        length = size / (d * product).sum(1, keepdim=True).clamp(min=TINY)
        x, left = x + length * d, left - length * product
        new = left.square().sum(1, keepdim=True)
        if bool((new <= SOLVED**2 * first).all()):
            break
        d, size = left + new / size.clamp(min=TINY) * d, new
    return x.view_as(v), (x * (gradient + damping * x)).sum(1)
