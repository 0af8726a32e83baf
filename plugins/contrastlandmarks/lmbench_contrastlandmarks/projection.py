"""Stage 2 of ContrastLandmarks: a linear projection of the frozen hypercolumn that tells positions of one image apart.

Cheng et al. sec. 3.2: eq. 3 with x' = x, over a projection w^T Phi. The reference code takes a softmax of each
projected channel over the image, and trains with views instead of plain images; both are settings here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, UsageError, float32, pixel_grid
from lmbench_contrastlandmarks.hypercolumn import HypercolumnNetwork, OnFrozenEncoder
from lmbench_contrastlandmarks.settings import CLProjectionSettings, ProjectedSettings
from lmbench_contrastlandmarks.views import draw

PAIRS_AT_ONCE = 1 << 25  # pairs of positions whose probabilities are held at a time: 128 MiB of float32


def spatial_softmax(responses: Tensor, multiplier: float) -> Tensor:
    """(B, C, h, w): softmax of ``multiplier`` x responses over the cells of each channel."""
    return (multiplier * responses).flatten(2).softmax(-1).view_as(responses)


@float32
def spatial_contrast(
    features: Tensor,
    stride: float,
    temperature: float,
    power: float = 0.5,
    blocks: Sequence[int] | None = None,
    pairs_at_once: int = PAIRS_AT_ONCE,
) -> Tensor:
    """Scalar: how far from u a descriptor of features (B, C, h, w) is expected to find its like in the same image.

    Eqs. 3 and 4 with x' = x: the mean over u and images of sum_v |u - v|^power p(v|u), where p is the softmax over all v
    (u itself among them) of ``temperature`` x the dot product. Every block of channels (``None``: all as one) has unit
    norm; distances are in input pixels, ``stride`` a cell. At most about ``pairs_at_once`` pairs of positions are held
    at a time, for the gradient too. In float32 at least, also under autocast.
    """
    parts = features.split(list(blocks or [features.shape[1]]), dim=1)
    unit = torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1).flatten(2)
    positions = stride * pixel_grid((features.shape[2], features.shape[3]), unit.dtype, unit.device).flatten(0, 1)
    count, cells = len(unit), len(positions)
    rows = max(1, pairs_at_once // (count * cells))
    total: Tensor = _ExpectedDistance.apply(unit, positions, temperature, power, rows)
    return total / (count * cells)


class _ExpectedDistance(torch.autograd.Function):
    """Scalar: sum over images, u and v of |u - v|^power p(v|u) for descriptors (B, C, n) at positions (n, 2).

    The gradient is made together with the value, some rows u at a time, so that no (n, n) table outlives its rows.
    """

    @staticmethod
    def forward(ctx: Any, unit: Tensor, positions: Tensor, temperature: float, power: float, rows: int) -> Tensor:
        total = unit.new_zeros(())
        gradient = torch.zeros_like(unit)
        for start in range(0, len(positions), rows):
            some = slice(start, start + rows)
            sources, distance = unit[..., some], _distances(positions[some], positions).pow(power)
            probability = (temperature * torch.bmm(sources.mT, unit)).softmax(-1)
            expected = (probability * distance).sum(-1, keepdim=True)
            total += expected.sum()
            if ctx.needs_input_grad[0]:
                slope = probability.mul_(distance - expected).mul_(temperature)  # of the dot products
                gradient[..., some] += torch.bmm(unit, slope.mT)
                gradient += torch.bmm(sources, slope)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None, None, None, None


def _distances(from_: Tensor, to: Tensor) -> Tensor:
    """(r, n) Euclidean distances; not by products, which leave 1e-2 of a pixel where two positions are the same."""
    return torch.cdist(from_, to, compute_mode="donot_use_mm_for_euclid_dist")


class ProjectedHypercolumn(HypercolumnNetwork):
    """A frozen encoder and a 1x1 projection of its hypercolumn: one map ``dense``.

    The softmax over each channel's cells is multiplied by their number, so that a channel has mean 1 on any grid: cosines do
    not change, and half precision holds it.
    """

    def __init__(self, settings: ProjectedSettings, encoder: str) -> None:
        super().__init__(settings, encoder)
        self.multiplier = settings.multiplier
        self.projection = nn.Conv2d(self.channels, settings.dim, 1)

    @float32
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense`` (B, dim, H / stride, W / stride), without autocast: the encoder is frozen."""
        maps = self.hypercolumn(images)
        responses = maps.project(self.projection.weight.flatten(1), self.projection.bias)
        if not self.multiplier:
            return {"dense": responses}
        return {"dense": spatial_softmax(responses, self.multiplier) * responses[0, 0].numel()}


class CLProjection(OnFrozenEncoder):
    """Positions of one image are made distinct in the dense map that a backbone has on its frozen encoder.

    That is the projection of a hypercolumn (``resnet*_proj``), or any other decoder that ends in ``dense`` (``resnet*_fpn``).
    """

    settings: CLProjectionSettings

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: CLProjectionSettings) -> None:
        super().__init__(backbone, parent, settings, "cl_projection")
        if not self.trainable():
            raise UsageError(
                "cl_projection needs a backbone with something to train on its frozen encoder (resnet18_proj, "
                f"resnet18_fpn, ...); {type(backbone).__name__} has nothing."
            )

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image; it is compared with itself."""
        return draw(images, self.settings.view, generator)

    def loss(self, views: Tensor) -> dict[str, Tensor]:
        """``total``: the expected square root of a distance in pixels; 0 where every position finds itself."""
        dense = self.backbone(views)["dense"]
        stride = views.shape[-1] / dense.shape[-1]
        return {"total": spatial_contrast(dense, stride, self.settings.temperature, self.settings.power)}
