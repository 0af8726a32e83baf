"""The settings of the backbones and of the supervised network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from lmbench.api import (
    BackboneName,
    Cells,
    Channels,
    ComponentSettings,
    Count,
    Ge,
    Le,
    MapOf,
    MinLen,
    NotNegative,
    Pretrained,
    Rate,
    SideOrZero,
    Surroundings,
    UsageError,
    WeightsFile,
)
from lmbench_baselines.installed import PACKAGE, packaged_weights, require_timm


@dataclass(frozen=True)
class TimmSettings:
    """``pretrained``: timm's own weights. ``weights``: a file instead of its download, or the package whose file is meant.
    ``maps``: as many as it has at least."""

    pretrained: Pretrained = False
    weights: Annotated[str, MinLen(1), WeightsFile((PACKAGE,))] | None = None
    maps: Annotated[int, Ge(1), Le(64)] = 4

    def files_meant(self) -> Mapping[str, Path]:
        """The file of the package that ``weights`` names. Raises DataError where that, or timm itself, is not installed."""
        require_timm()
        return {"weights": packaged_weights()} if self.weights == PACKAGE else {}


@dataclass(frozen=True)
class PixelsSettings:
    """``patch``: side of a window of cells."""

    patch: Annotated[int, Ge(1), Le(63)] = 5

    def __post_init__(self) -> None:
        if self.patch % 2 == 0:
            raise UsageError(f"patch is {self.patch}; it is the side of a window with a centre: 1, 3, 5 ...")

    @property
    def patch_channels(self) -> int:
        """Three colours of every cell of the window."""
        return 3 * self.patch**2


@dataclass(frozen=True)
class SixConvSettings:
    """``filters``: of the sixth layer. ``kernel``: side of all filters."""

    filters: Channels = 50
    kernel: Annotated[int, Ge(1), Le(31)] = 5

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise UsageError(f"kernel {self.kernel} must be odd.")


@dataclass(frozen=True)
class SupervisedSettings:
    """``backbone``: trained from scratch with its ``regressor`` on ``layers`` (deepest first; none named: all maps).

    ``softargmax``: the field's head; ``connected``: Thewlis' pooling of the deepest map and one fully connected layer. ``side``:
    images are brought to that many pixels (0: as they are). ``grid``: side of the grid the maps are read on. ``warp``: random
    thin-plate-spline warps of every image, as a factor on Thewlis' strengths (0: none).
    """

    backbone: Annotated[str, MinLen(1), BackboneName("backbone_settings")] = "sixconv_pooled"
    backbone_settings: ComponentSettings = field(default_factory=dict)
    regressor: Literal["softargmax", "connected"] = "softargmax"
    layers: tuple[Annotated[str, MapOf("backbone")], ...] = ()
    side: SideOrZero = 0
    grid: Cells = 24
    steps: Count = 2000
    batch_size: Annotated[int, Ge(2), Le(65_536)] = 16
    lr: Rate = 1e-3
    weight_decay: NotNegative = 5e-4  # Thewlis et al. 2017, sec. 4.1
    warp: Annotated[float, Ge(0), Le(100)] = 1.0

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for images that the maps have no whole cells of; of a family the network itself tells later."""
        known = around.maps_of(self.backbone)
        strides = [known[layer].stride for layer in self.layers or reversed(list(known)) if layer in known]
        side = self.side or (around.dataset.preprocessing.size if around.dataset else 0)
        if side and strides:
            self.require_cells(side, strides)

    def require_cells(self, side: int, strides: Sequence[int]) -> None:
        """Raises UsageError where images of ``side`` pixels have no whole cells of maps of these strides, deepest first."""
        if side < max(strides) or (self.regressor == "connected" and side % strides[0]):
            raise UsageError(
                f"images of {side} pixels do not make cells of {max(strides)}: set side to a multiple of them."
            )
