"""The two readings of landmark matching in print: how features are read, where a cell lies, and what a pixel counts for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lmbench.features import Normalise

Length = TypeVar("Length", int, "np.ndarray")
ReadingName = Literal["cl", "dve"]

SIDE = 70  # pixels of the image that errors are stated in; DVE test_matching.py, the image size of its predecessors


@dataclass(frozen=True)
class Reading:
    """How one reference implementation reads features: grid cells a side, normalisation, and cell <-> pixel."""

    cells: int
    normalise: Normalise
    convention: Literal["corners", "stride"]

    def extent(self, side: Length) -> Length:
        """The length of a side of so many pixels or cells: from the first centre to the last, or from edge to edge."""
        return side - 1 if self.convention == "corners" else side

    def to_cells(self, points: Tensor, side: int) -> Tensor:
        """Nearest cells (integers) of pixels; rounding is half to even, as NumPy's is; clipped to the grid."""
        cells = points * self.extent(self.cells) / self.extent(side)
        return cells.double().round().long().clamp(0, self.cells - 1)

    def to_pixels(self, cells: Tensor, side: int) -> Tensor:
        """Pixels of cells."""
        return cells.double() * (self.extent(side) / self.extent(self.cells))


READINGS: dict[ReadingName, Reading] = {
    "cl": Reading(96, "layer", "corners"),  # CL train_feature_projector.py: 96x96, layer-wise L2, [-1, 1] coordinates
    "dve": Reading(48, "none", "stride"),  # DVE test_matching.py: 48x48, raw dot product, cell x stride
}
