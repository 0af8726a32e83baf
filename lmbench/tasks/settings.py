"""The settings of the core's tasks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from lmbench.config.ranges import (
    Annotations,
    Batch,
    Cells,
    ComponentSettings,
    Count,
    Draws,
    Fraction,
    Ge,
    HeadName,
    Le,
    MinLen,
    Name,
    Names,
    Once,
    Probability,
    Rate,
)
from lmbench.errors import UsageError
from lmbench.geometry.strength import SINGLE, TPSStrength
from lmbench.metrics.readings import ReadingName
from lmbench.specs import Surroundings


@dataclass(frozen=True)
class RegressionSettings:
    """``annotations``: numbers of annotated images, ``all`` being the whole training split; ``draws`` for each but all.

    ``layers_alone``: layers that are also judged by themselves, with all annotations. ``warped_copies``: each annotated image
    is also fitted as so many copies of itself under a TPS ``warp`` (the few-shot augmentation of DVE and Cheng).
    """

    head: Annotated[Name, HeadName("head_settings")] = "converged"
    head_settings: ComponentSettings = field(default_factory=dict)
    annotations: Annotations = ("all",)
    draws: Draws = 5
    layers_alone: Names = ()
    warped_copies: Annotated[int, Ge(0), Le(1_000)] = 0
    warp: TPSStrength = SINGLE
    score: Literal["visible", "all"] = "visible"

    def otherwise(self) -> list[str]:
        """What is done otherwise than in the papers, whatever they print, in words."""
        copies = f"{self.warped_copies} warped copies of each annotated image, not a fresh warp at every look"
        return [copies] if self.warped_copies else []

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for a layer that the variant does not have."""
        for layer in self.layers_alone:
            require_layer("layers_alone", layer, around)

    def of_control(self) -> RegressionSettings:
        """How the untrained control is judged: with all annotations, else with the most there are, by no layer alone."""
        numbers = [n for n in self.annotations if n != "all"]
        most = () if "all" in self.annotations else (max(numbers),)
        return replace(self, annotations=most or ("all",), layers_alone=())


@dataclass(frozen=True)
class MatchingSettings:
    """``reading``: ``cl`` (grid of 96 cells, layer-wise L2, 69/95 px) or ``dve`` (48 cells, plain dot product, 70/96 px).

    ``points``: the reference warps landmarks to the ``nearest`` grid pixel; ``exact`` does it to sub-pixel accuracy.
    """

    reading: ReadingName = "cl"
    pairs: Count = 500
    points: Literal["nearest", "exact"] = "nearest"


@dataclass(frozen=True)
class EquivarianceSettings:
    """``images``: the first so many test images. The deformation is a rotation by up to ``rotation`` degrees after an elastic
    displacement; ``elastic`` is its standard deviation, ``smoothness`` that of the Gaussian that smooths it, both as fractions
    of the image's side. The paper says rotations and elastic deformations, and not how strong.
    """

    images: Count = 1000
    rotation: Annotated[float, Ge(0), Le(180)] = 20.0
    elastic: Probability = 0.02
    smoothness: Fraction = 0.08


@dataclass(frozen=True)
class SegmentationSettings:
    """The pixel classifier: ``annotations`` and ``draws`` as in regression; fitted for ``steps`` batches on a grid of ``size``
    cells a side, judged at every pixel of the image.
    """

    annotations: Annotations = ("all",)
    draws: Draws = 5
    size: Cells = 64
    steps: Count = 400
    batch_size: Batch = 16
    lr: Rate = 0.01


@dataclass(frozen=True)
class ScaleSettings:
    """``factors``: the side of a test image's box is multiplied by each; above 1 the object looks smaller (zoom-out)."""

    factors: Annotated[tuple[Annotated[float, Ge(0.25), Le(4)], ...], MinLen(1), Once()] = (
        0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if len({f"{f:g}" for f in self.factors}) < len(self.factors):
            raise UsageError("factors that differ in their first six digits are needed.")


@dataclass(frozen=True)
class PartsSettings:
    """``k`` parts by each method of ``by``, found in all cells of the first ``images`` test images together.

    Maps are read on a grid of ``size`` cells a side: all layers of the variant joined, or one ``layer``. ``tsne`` embeds
    ``points`` of the cells in a plane, in the colours of ``kmeans``.
    """

    by: Annotated[tuple[Literal["nmf", "kmeans", "tsne"], ...], MinLen(1), Once()] = ("nmf", "kmeans", "tsne")
    k: Annotated[int, Ge(2), Le(1_000)] = 6
    images: Annotated[int, Ge(1), Le(10_000)] = 24
    size: Cells = 24
    layer: str = ""
    points: Annotated[int, Ge(100), Le(100_000)] = 2000

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for a layer that the variant does not have, and for more parts than there are cells."""
        if self.layer:
            require_layer("layer", self.layer, around)
        cells = self.images * self.size**2
        if self.k > cells:
            raise UsageError(f"k = {self.k}: {self.images} images have {cells} cells.")


def require_layer(setting: str, layer: str, around: Surroundings) -> None:
    """Raises UsageError for a layer that the variant does not have."""
    layers = around.read.layers
    if layer not in layers and layers != ("*",):
        raise UsageError(f"{setting}: the variant has no layer {layer!r}; it has {', '.join(layers)}.")
