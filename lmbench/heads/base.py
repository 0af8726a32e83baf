"""What every landmark head is: fitted for all few-shot subsets at once, then asked for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lmbench.features import FeatureMaps


@dataclass(frozen=True)
class Subset:
    """The annotated images of one draw: ``n`` is their number or ``all``; ``indices`` into the training split."""

    n: int | str
    draw: int
    indices: Tensor

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

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every channel (dim,) over all images and cells."""
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

    def statistics(self) -> tuple[Tensor, Tensor]:
        assert self._maps is not None
        means = [m.mean((0, 2, 3)) for m in self._maps.maps]
        deviations = [m.std((0, 2, 3), correction=0) for m in self._maps.maps]
        return torch.cat(means), torch.cat(deviations)

    def landmarks(self) -> Tensor:
        assert self._landmarks is not None
        return self._landmarks


def mean_shape(points: Tensor, visible: Tensor) -> Tensor:
    """(L, 2): the mean of each landmark over the images that show it; over all images where none does."""
    weight = visible[..., None].to(points)
    weight = torch.where(weight.sum(0, keepdim=True) > 0, weight, torch.ones_like(weight))
    return torch.where(weight > 0, points, 0).sum(0) / weight.sum(0)
