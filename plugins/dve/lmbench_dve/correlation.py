"""The dense correlation loss, with and without the exchange of descriptors, in memory that does not grow with pairs of cells.

For a cell u of view A whose content lies at g(u) in view B, features f (as DVE's reference code computes it):

    plain     q(w | u) = softmax_w <f_A(u), f_B(w)>
    exchange  q(w | u) = softmax_w <e(u), f_B(w)>,   e(u) = sum_v softmax_v(<f_A(u), f_X(v)>) f_X(v)
    loss      mean over u of  sum_w |g(u) - w|^power q(w | u)

X is another image, so a descriptor has to say the same thing in every face. Written out, batch 16 at 48x48 holds several
arrays of 85 million pairs. The loss is a plain mean over u, though, so rows are independent: one sweep over blocks of rows gives
loss *and* gradient, and nothing of the size of a block outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lmbench.api import UsageError, denormalise_points, float32, normalise_points, warp_images

# Pairs of cells in a block, by device type: what fits a core's cache; a GPU wants work enough for its kernels.
BLOCK_PAIRS = {"cpu": 2**18, "cuda": 2**24}

LOWEST_LOGIT = -60.0  # below the largest: a probability of 1e-26, far below what even float64 resolves beside 1


@float32  # logits reach 400: bf16 would round them by whole units
def dense_correlation_loss(
    view_a: Tensor,
    view_b: Tensor,
    grid: Tensor,
    *,
    exchange: bool = True,
    normalise: bool = True,
    factor: float = 20.0,
    power: float = 0.5,
    stride: int = 1,
    block_pairs: int | None = None,
) -> Tensor:
    """Scalar: how far from its place each cell of view A is found in view B, distance to the ``power``, in expectation.

    Args:
        view_a, view_b: features (B, C, h, w) of two views; half precision is computed in float32.
        grid: (B, H, W, 2): for each pixel of view A where in view B it lies, in [-1, 1]; H, W in input pixels.
        exchange: go by way of view A of the next image of the batch.
        normalise: descriptors of unit length times ``factor`` (else as they are).
        power: of the distance, which is in input pixels; 0.5 in both papers.
        stride: every how manieth row and column of cells of view A is asked (1: all).
        block_pairs: pairs of cells that are looked at at once; ``None``: `BLOCK_PAIRS` of the device.

    Raises UsageError for a batch of one with ``exchange``, ValueError for shapes that do not belong together.

    Convention: cell i of a map lies at pixel i * H / h (no half-cell offset); the grid is ``align_corners=True``; x before y.
    """
    if view_a.shape != view_b.shape or len(view_a) != len(grid) or stride < 1:
        found = f"{tuple(view_a.shape)}, {tuple(view_b.shape)}, grid {tuple(grid.shape)}, stride {stride}"
        raise ValueError(
            f"dense_correlation_loss: expected two maps of one shape, a grid each, stride >= 1; found {found}"
        )
    if exchange and len(view_a) < 2:
        raise UsageError(
            "dve: descriptors are exchanged by way of another image of the batch, and the batch holds one image. "
            "Use a batch_size of at least 2, or the setting exchange=False (Dense3D)."
        )
    size = (grid.shape[1], grid.shape[2])
    rows, columns = (
        torch.arange(n, dtype=grid.dtype, device=grid.device) * (s / n)
        for n, s in zip(view_a.shape[2:], size, strict=True)
    )
    f_a, f_b, dtype = view_a, view_b, view_a.dtype
    if normalise:
        f_a, f_b = (factor * functional.normalize(f, dim=1) for f in (f_a, f_b))
    targets = read_grid(grid, rows[::stride], columns[::stride]).to(dtype)
    f_x = descriptors(f_a.roll(-1, 0)) if exchange else None
    asked = descriptors(f_a[:, :, ::stride, ::stride])
    block = block_pairs or BLOCK_PAIRS.get(view_a.device.type, BLOCK_PAIRS["cuda"])
    loss: Tensor = BlockwiseCorrelation.apply(
        asked, descriptors(f_b), f_x, targets, rows.to(dtype), columns.to(dtype), power, block
    )
    return loss


def descriptors(features: Tensor) -> Tensor:
    """(B, h*w, C), row-major, of features (B, C, h, w)."""
    return features.flatten(2).transpose(1, 2).contiguous()


def read_grid(grid: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, R*S, 2): the pixels of view B that a grid (B, H, W, 2) names at pixel ``rows`` (R,) x ``columns`` (S,) of view A."""
    size = (grid.shape[1], grid.shape[2])
    y, x = torch.meshgrid(rows.to(grid.dtype), columns.to(grid.dtype), indexing="ij")
    where = normalise_points(torch.stack((x, y), -1), size).expand(len(grid), -1, -1, -1)
    read = warp_images(denormalise_points(grid, size).permute(0, 3, 1, 2), where)
    return read.flatten(2).transpose(1, 2)


class BlockwiseCorrelation(torch.autograd.Function):
    """The loss of queries (B, U, C) among keys (B, W, C), by way of an auxiliary (B, V, C) or straight (``None``).

    Forward also computes the gradient, block by block, because the loss's own gradient is a mere number: the
    probabilities are made once and nothing is recomputed. First derivatives only.
    """

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        auxiliary: Tensor | None,
        targets: Tensor,
        rows: Tensor,
        columns: Tensor,
        power: float,
        block_pairs: int,
    ) -> Tensor:
        wanted = any(ctx.needs_input_grad[:3])
        inputs = [queries, keys, auxiliary]
        gradients = [torch.zeros_like(t) if wanted and t is not None else None for t in inputs]
        losses = queries.new_empty(queries.shape[:2])
        longest = max(keys.shape[1], 0 if auxiliary is None else auxiliary.shape[1])
        for images, asked in blocks(len(queries), queries.shape[1], longest, block_pairs):
            distance = distances(targets[images, asked], rows, columns, power)
            losses[images, asked] = sweep(queries, keys, auxiliary, distance, images, asked, gradients)
        ctx.save_for_backward(*(None if g is None else g.div_(losses.numel()) for g in gradients))
        return losses.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if g is None else g * upstream for g in ctx.saved_tensors)
        return (*gradients, None, None, None, None, None)


def sweep(
    queries: Tensor,
    keys: Tensor,
    auxiliary: Tensor | None,
    distance: Tensor,
    images: slice,
    asked: slice,
    gradients: list[Tensor | None],
) -> Tensor:
    """(b, u): the losses of one block of rows; adds its gradients. ``distance`` (b, u, W) is used up."""
    query, key = queries[images, asked], keys[images]
    exchanged, p = query, query
    other = None if auxiliary is None else auxiliary[images]
    if other is not None:
        p = probabilities_(query @ other.mT)
        exchanged = p @ other
    q = probabilities_(exchanged @ key.mT)
    loss = torch.linalg.vecdot(q, distance)
    to_query, to_key, to_other = gradients
    if to_query is None or to_key is None:
        return loss
    to_logits = distance.sub_(loss[..., None]).mul_(q)  # softmax's Jacobian: q (d - sum q d)
    del q
    to_key[images].baddbmm_(to_logits.mT, exchanged)
    to_exchanged = to_logits @ key
    if other is None or to_other is None:
        to_query[images, asked] = to_exchanged
        return loss
    to_other[images].baddbmm_(p.mT, to_exchanged)
    mean = torch.linalg.vecdot(to_exchanged, exchanged)  # sum_v p_v <to_exchanged, f_X(v)>
    to_logits = torch.bmm(to_exchanged, other.mT).sub_(mean[..., None]).mul_(p)
    to_query[images, asked] = to_logits @ other
    to_other[images].baddbmm_(to_logits.mT, query)
    return loss


def probabilities_(logits: Tensor) -> Tensor:
    """The softmax over the last dimension, in place, of logits that are cut off e^-60 below the largest.

    Logits span 800 with normalised descriptors, so that many probabilities would be subnormal numbers, which CPUs
    multiply slowly: the whole loss took 2.3 times as long.
    """
    logits.sub_(logits.amax(-1, keepdim=True)).clamp_(min=LOWEST_LOGIT).exp_()
    return logits.div_(logits.sum(-1, keepdim=True))


def distances(targets: Tensor, rows: Tensor, columns: Tensor, power: float) -> Tensor:
    """(b, u, R*S): |target - cell|^power from targets (b, u, 2), x before y, to the cells at ``rows`` x ``columns``."""
    x = (targets[..., 0, None] - columns).square_()
    y = (targets[..., 1, None] - rows).square_()
    squared = (y[..., :, None] + x[..., None, :]).flatten(2)
    if power == 1:
        return squared.sqrt_()
    return squared.sqrt_().sqrt_() if power == 0.5 else squared.pow_(power / 2)


def blocks(images: int, rows: int, longest: int, pairs: int) -> Iterator[tuple[slice, slice]]:
    """(images, rows) of each block of about ``pairs`` pairs: several whole images, or some rows of one."""
    at_once = max(1, pairs // (rows * longest))
    height = rows if rows * longest <= pairs else max(1, pairs // longest)
    for image in range(0, images, at_once):
        for row in range(0, rows, height):
            yield slice(image, image + at_once), slice(row, row + height)
