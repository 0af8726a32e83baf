"""What a head is fitted on: frozen maps (with warped copies of annotated images where asked for), images, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmbench.config.model import digest_of
from lmbench.data.mapped import new_array_file
from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.features import FeatureMaps
from lmbench.geometry.strength import SINGLE, TPSStrength
from lmbench.geometry.warps import warp_once
from lmbench.heads.base import HeadInputs, Subset
from lmbench.heads.specs import MEAN_SHAPE

WARP_BATCH = 64


@dataclass
class NoInputs:
    """Inputs of a head that looks at no image: their number."""

    count: int
    image_size: int
    device: torch.device

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Tensor) -> Any:
        raise UsageError(f"this method has no network; its head is {MEAN_SHAPE}.")

    def statistics(self, cells: int = 0) -> Any:
        return self.batch(torch.zeros(0))

    def landmarks(self) -> Any:
        return self.batch(torch.zeros(0))

    def images(self, indices: Tensor) -> Any:
        return self.batch(indices)


class ImageInputs(NoInputs):
    """Inputs of a head that trains a network of its own: the images themselves."""

    def __init__(self, pixels: PixelStore, device: torch.device) -> None:
        super().__init__(len(pixels), pixels.size, device)
        self.pixels = pixels

    def images(self, indices: Tensor) -> Tensor:
        """(B, 3, size, size) in [0, 1] on the device."""
        return self.pixels.batch(indices, self.device)


class JoinedInputs:
    """The inputs of ``first`` followed by those of ``second``; channel statistics are those of ``first``."""

    def __init__(self, first: HeadInputs, second: HeadInputs) -> None:
        self.first, self.second = first, second
        self.image_size, self.device = first.image_size, first.device

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def batch(self, indices: Tensor) -> FeatureMaps:
        """The maps of some images, in the order of ``indices``."""
        indices = indices.cpu()
        late = indices >= len(self.first)
        if not late.any():
            return self.first.batch(indices)
        if late.all():
            return self.second.batch(indices - len(self.first))
        parts = self.first.batch(indices[~late]), self.second.batch(indices[late] - len(self.first))
        order = torch.cat([torch.nonzero(~late).flatten(), torch.nonzero(late).flatten()]).argsort().to(self.device)
        maps = tuple(torch.cat(pair)[order] for pair in zip(parts[0].maps, parts[1].maps, strict=True))
        return replace(parts[0], maps=maps)

    def statistics(self, cells: int = 0) -> tuple[Tensor, Tensor]:
        return self.first.statistics(cells)

    def landmarks(self) -> Tensor:
        return torch.cat([self.first.landmarks(), self.second.landmarks()])


def with_copies(subsets: Sequence[Subset], images: int, copies: int) -> tuple[Tensor, list[Subset]]:
    """(originals, subsets): which images are warped, each ``copies`` times in turn, and the subsets with their copies.

    The copies are counted on from ``images``: copy c of the k-th original has index ``images + k * copies + c``.
    """
    originals = torch.cat([s.indices for s in subsets]).unique()
    offsets = torch.arange(copies)
    larger = []
    for subset in subsets:
        places = torch.searchsorted(originals, subset.indices)
        added = images + (places[:, None] * copies + offsets).flatten()
        larger.append(replace(subset, indices=torch.cat([subset.indices, added]), copies=copies, pool=images))
    return originals, larger


def warped_store(
    whole: PixelStore,
    crop: int,
    originals: Tensor,
    copies: int,
    folder: Path,
    generator: torch.Generator,
    strength: TPSStrength = SINGLE,
) -> PixelStore:
    """Warped copies of some images, in the order of `with_copies`, kept below ``folder``.

    As the references do it, the uncropped 8-bit image is warped (by DVE's WarperSingle unless ``strength`` says otherwise)
    and then cropped; landmarks follow exactly, to sub-pixel accuracy.
    """
    side = whole.size - 2 * crop
    chosen = originals.repeat_interleave(copies)
    folder.mkdir(parents=True, exist_ok=True)
    images = new_array_file(folder / "images.npy", np.uint8, (len(chosen), side, side, 3))
    landmarks = np.empty((len(chosen), *whole.landmarks.shape[1:]), np.float32)
    for start in range(0, len(chosen), WARP_BATCH):
        part = chosen[start : start + WARP_BATCH].numpy()
        points = torch.from_numpy(np.array(whole.landmarks[part]))
        warped = warp_once(whole.batch(part), points, strength, generator, crop, "exact")
        rows = slice(start, start + len(part))
        images[rows] = (warped.images * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        assert warped.landmarks is not None
        landmarks[rows] = warped.landmarks.numpy()
    images.flush()
    kept = chosen.numpy()
    return replace(
        whole,
        key=digest_of([whole.key, "warped", crop, chosen.tolist(), generator.initial_seed()]),
        images=images,
        landmarks=landmarks,
        visible=np.array(whole.visible[kept]),
        identity=np.array(whole.identity[kept]),
        source_ids=np.array(whole.source_ids[kept]),
        source_scale=None,
    )
