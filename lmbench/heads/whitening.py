"""Channels without their units: frozen descriptors whitened by their covariance inside images; no label enters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmbench.errors import DataError
from lmbench.heads.blocks import Blocks

LATTICE = 8  # cells a side, evenly over the grid, at which the covariance is taken
MOST_IMAGES = 4000  # evenly among those there are: the covariance of more is the same
NULL = 1e-10  # of the largest eigenvalue: below it lies nothing but rounding (channels twice, maps of low rank)


@dataclass(frozen=True)
class Whitening:
    """``basis`` (dim, r): a filter ``basis @ v`` responds to v. r is the rank of the features inside images.

    ``spread`` (m,) and ``directions`` (r, m): how the mean map over images varies from place to place, the variances along
    orthogonal directions of v. Features that keep to their place vary there; what differs from image to image does not.
    """

    basis: Tensor
    spread: Tensor
    directions: Tensor

    def shrunk(self, v: Tensor, n: float) -> Tensor:
        """Means (..., r) over n images as the best guess of what many images would give: the Wiener filter of the noise I/n
        for a signal that varies as the mean map does."""
        keep = self.spread / (self.spread + 1 / n)
        return ((v @ self.directions) * keep) @ self.directions.T


def whitening(blocks: Blocks, ridge: float = 0.0) -> Whitening:
    """The whitening of all images of some blocks, in float64. Raises DataError where a map holds NaN or infinity.

    Covariance of descriptors about the mean of their own image, for a soft-argmax sees nothing else; full rank, so that any
    invertible mixing of channels cancels. Constant channels have no direction: r is 0 where all are. ``ridge``: added to the
    variance of each channel, in parts of it, where images are so few that others vary along directions that these do not.
    """
    covariance = mean = torch.zeros(())
    images = torch.arange(len(blocks))[:: -(-len(blocks) // MOST_IMAGES)]
    for _, maps in blocks.of(images):
        z = maps.read(LATTICE, maps.normalise).materialise().flatten(2).double()
        if not z.isfinite().all():
            raise DataError(
                "the frozen maps hold NaN or infinity; expected numbers. Look at how the network was trained."
            )
        z = z - z.mean(2, keepdim=True)
        mean = mean + z.sum(0)
        flat = z.transpose(0, 1).flatten(1)
        covariance = covariance + flat @ flat.T
    covariance, mean = covariance / (len(images) * LATTICE**2), mean / len(images)
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    scale = torch.where(
        deviation > 0, 1 / deviation, 0
    )  # correlations: units of channels must not decide what is rounding
    correlation = covariance * scale[:, None] * scale
    values, vectors = torch.linalg.eigh((correlation + ridge * correlation.diag().diag()) / (1 + ridge))
    kept = values > NULL * values.max()
    basis = scale[:, None] * vectors[:, kept] * values[kept].rsqrt()
    directions, singular, _ = torch.linalg.svd(basis.T @ mean, full_matrices=False)
    return Whitening(basis.float(), (singular.square() / LATTICE**2).float(), directions.float())
