"""Dense matching in its simple form: one descriptor against every cell of the other map.

This is the oracle for the fast matching on `FeatureMaps`, and good enough for small maps. The two published
readings differ in every constant, so the caller always names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.geometry.heatmaps import argmax_points

MatchingReading = Literal["dve", "cl"]


def normalise_blocks(features: Tensor, blocks: Sequence[int] | None = None) -> Tensor:
    """Features ``(..., C, H, W)`` in which each block of channels has unit L2 norm at every cell.

    Args:
        features: ``(..., C, H, W)``.
        blocks: channels of each block in channel order (the layers of a hypercolumn); ``None``: one block.

    Raises:
        ValueError: the blocks do not add up to C.

    Source: ContrastLandmarks, ``layer_wise_normalize``.
    """
    channels = features.shape[-3]
    sizes = [channels] if blocks is None else [int(block) for block in blocks]
    if sum(sizes) != channels:
        raise ValueError(f"blocks {sizes} add up to {sum(sizes)} channels, the features have {channels}")
    return torch.cat([functional.normalize(part, dim=-3) for part in torch.split(features, sizes, -3)], -3)


def find_matches_dense(
    source: Tensor,
    target: Tensor,
    keypoints: Tensor,
    reading: MatchingReading = "dve",
    *,
    stride: float | None = None,
    blocks: Sequence[int] | None = None,
) -> Tensor:
    """The point of ``target`` whose descriptor is most like that of each keypoint of ``source``.

    Args:
        source, target: ``(C, H, W)`` or ``(B, C, H, W)``; the two may differ in H and W.
        keypoints: ``(K, 2)`` or ``(B, K, 2)`` in ``source``, x before y; NaN stays NaN.
        reading: ``"dve"``: keypoints and matches in pixels, cell = ``x / stride``, raw dot product.
            ``"cl"``: keypoints and matches in [-1, 1], cell = ``(x + 1) / 2 * (W - 1)``, every
            block of channels has unit norm before the dot product.
        stride: pixels between two cells (``"dve"`` only, required there).
        blocks: channels of each block (``"cl"`` only; ``None``: one block of all, as for projected maps).

    Returns:
        The matches, shape and unit of ``keypoints``, float64.

    Raises:
        ValueError: an unknown reading, or an argument that belongs to the other one.

    Convention: cells are rounded half to even, as NumPy does, and clipped to the map; a match is the cell
    itself, with no half-cell offset; ``"cl"`` has ``align_corners=True``.
    Source: ``find_descriptor`` of DVE (``test_matching.py``) and of ContrastLandmarks
    (``train_feature_projector.py``).
    """
    if reading not in ("dve", "cl"):
        raise ValueError(f"reading: expected 'dve' or 'cl', found {reading!r}")
    if (reading == "dve") != (stride is not None) or (reading == "dve" and blocks is not None):
        found = f"reading {reading!r} with stride={stride}, blocks={blocks}"
        raise ValueError(f"{found}: 'dve' needs a stride and takes no blocks, 'cl' takes no stride")
    if source.dim() == 3:
        matches = find_matches_dense(source[None], target[None], keypoints[None], reading, stride=stride, blocks=blocks)
        return matches[0]

    keypoints = keypoints.double()
    source_last, target_last = (
        torch.tensor([maps.shape[-1] - 1, maps.shape[-2] - 1], dtype=torch.float64, device=keypoints.device)
        for maps in (source, target)
    )
    if stride is None:
        source, target = normalise_blocks(source, blocks), normalise_blocks(target, blocks)
        position = (keypoints + 1) / 2 * source_last
    else:
        position = keypoints / stride
    cell = torch.minimum(position.nan_to_num().round().clamp(min=0), source_last).long()

    index = (cell[..., 1] * source.shape[-1] + cell[..., 0])[:, None].expand(-1, source.shape[1], -1)
    query = source.flatten(2).gather(2, index)
    similarity = torch.einsum("bck,bchw->bkhw", query, target)
    cells = argmax_points(similarity).double()
    matches = cells / target_last.clamp(min=1) * 2 - 1 if stride is None else cells * stride
    return matches.masked_fill(keypoints.isnan().any(-1, keepdim=True), torch.nan)
