"""What every landmark head is: fitted for all few-shot subsets at once, then asked for predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from lmbench.features import FeatureMaps


@dataclass(frozen=True)
class Subset:
    """The annotated images of one draw: ``n`` is their number or ``all``; ``indices`` into the training split.

    ``copies``: behind each annotated image stand so many warped copies of it in ``indices``; ``pool``: how many images the
    draw was made from (0: all that the head is given). Recipes count annotated images, never copies.
    """

    n: int | str
    draw: int
    indices: Tensor
    copies: int = 0
    pool: int = 0

    @property
    def annotated(self) -> int:
        """How many images of it were annotated."""
        return len(self.indices) // (1 + self.copies)

    @property
    def label(self) -> str:
        return f"n={self.n}" + ("" if self.n == "all" else f" draw {self.draw}")


class HeadInputs(Protocol):
    """Frozen output of N images of ``image_size`` pixels (square), as heads see it."""

    image_size: int
    device: torch.device

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> FeatureMaps:
        """The maps of some images, float32 on the device."""
        ...

    def statistics(self, cells: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every channel (dim,) over all images, of what is read there: at the cells of the grid
        (or of a coarse one, see `FeatureMaps.coarse`), normalised as it is read."""
        ...

    def landmarks(self) -> Tensor:
        """(N, K, 2) discovered landmarks in pixels, for heads with ``inputs='landmarks'``."""
        ...

    # Heads with ``inputs='images'`` get inputs that have ``images(indices) -> (B, 3, size, size)`` in [0, 1] besides.


class FittedHeads(Protocol):
    """S fitted heads, one a subset."""

    def predict(self, inputs: HeadInputs) -> Tensor:
        """(S, N, L, 2) landmarks in pixels, x before y."""
        ...

    def state(self) -> dict[str, Tensor]:
        """The tensors that make the heads, for keeping them."""
        ...

    # Heads that can stand in one graph with their network have ``on(maps, image_size) -> (B, L, 2)`` besides: what the first of
    # them predicts of FeatureMaps, without branches that depend on values or on B.
    # Heads that choose among themselves have ``said: list[str]`` besides: what was chosen for each, for the record.
    # Heads that know how far they are to be trusted have ``predict_with_confidence(inputs)`` besides: see `FittedConverged`.


class Head(Protocol):
    """A head before it is fitted; made from a HeadSpec's target with its settings."""

    def fit(
        self,
        inputs: HeadInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedHeads:
        """Heads fitted to ``landmarks`` (N, L, 2) in pixels where ``visible`` (N, L), each on its own subset."""
        ...

    def description(self) -> dict[str, Any]:
        """All settings in force, for the record."""
        ...

    # A head that ``lmbench predict`` can use has ``restored(state) -> FittedHeads`` besides: what was fitted, from its tensors.


class TensorInputs:
    """Head inputs that stand in memory: some FeatureMaps, or discovered landmarks (N, K, 2) in pixels."""

    def __init__(self, image_size: int, maps: FeatureMaps | None = None, landmarks: Tensor | None = None) -> None:
        if (maps is None) == (landmarks is None):
            raise ValueError("TensorInputs takes either maps or landmarks")
        self.image_size = image_size
        self._maps, self._landmarks = maps, landmarks
        self.device = maps.maps[0].device if maps is not None else landmarks.device  # type: ignore[union-attr]

    def __len__(self) -> int:
        return len(self._maps) if self._maps is not None else len(self._landmarks)  # type: ignore[arg-type]

    def batch(self, indices: Tensor) -> FeatureMaps:
        assert self._maps is not None
        return FeatureMaps(tuple(m[indices] for m in self._maps.maps), self._maps.size, self._maps.normalise)

    def statistics(self, cells: int = 0) -> tuple[Tensor, Tensor]:
        assert self._maps is not None
        return channel_statistics([self._maps], cells)

    def landmarks(self) -> Tensor:
        assert self._landmarks is not None
        return self._landmarks


def channel_statistics(blocks: Iterable[FeatureMaps], cells: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel (dim,), see `HeadInputs.statistics`; blocks are added up in float64.

    Counted from the mean of the first image, so that a channel far from zero loses nothing to rounding.
    """
    about, total, count = torch.zeros(0), torch.zeros(()), 0
    for block in blocks:
        maps = block.coarse(cells) if cells else block
        if not count:
            first = replace(maps, maps=tuple(m[:1] for m in maps.maps))
            zero = torch.zeros(maps.dim, device=maps.maps[0].device)
            about = (first.channel_sums(zero)[0] / (maps.size[0] * maps.size[1])).float()
        total = total.to(about.device) + maps.channel_sums(about)
        count += len(maps) * maps.size[0] * maps.size[1]
    shift, square = total / count
    return (about + shift).float(), (square - shift.square()).clamp(min=0).sqrt().float()


def mean_shape(points: Tensor, visible: Tensor) -> Tensor:
    """(L, 2): the mean of each landmark over the images that show it; over all images where none does."""
    weight = visible[..., None].to(points)
    weight = torch.where(weight.sum(0, keepdim=True) > 0, weight, torch.ones_like(weight))
    return torch.where(weight > 0, points, 0).sum(0) / weight.sum(0)
