"""The settings of the backbones and of the supervised network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from lmbench.api import (
    BackboneName,
    Cells,
    Channels,
    Count,
    Ge,
    Le,
    MapOf,
    MinLen,
    NotNegative,
    Rate,
    SideOrZero,
    UsageError,
    Weights,
)


@dataclass(frozen=True)
class TimmSettings:
    """``pretrained``: timm's own weights. ``weights``: a file instead of its download. ``maps``: how many, from the deepest."""

    pretrained: bool = False
    weights: Weights = None
    maps: Annotated[int, Ge(1), Le(64)] = 4


@dataclass(frozen=True)
class PixelsSettings:
    """``patch``: side of a window of cells."""

    patch: Annotated[int, Ge(1), Le(63)] = 5

    def __post_init__(self) -> None:
        if self.patch % 2 == 0:
            raise UsageError(f"patch is {self.patch}; it is the side of a window with a centre: 1, 3, 5 ...")


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
    """See SupervisedNetwork."""

    backbone: Annotated[str, MinLen(1), BackboneName("backbone_settings")] = "sixconv_pooled"
    backbone_settings: Mapping[str, Any] = field(default_factory=dict)
    regressor: Literal["softargmax", "connected"] = "softargmax"
    layers: tuple[Annotated[str, MapOf("backbone")], ...] = ()
    side: SideOrZero = 0
    grid: Cells = 24
    steps: Count = 2000
    batch_size: Annotated[int, Ge(2), Le(65_536)] = 16
    lr: Rate = 1e-3
    weight_decay: NotNegative = 5e-4  # Thewlis et al. 2017, sec. 4.1
    warp: Annotated[float, Ge(0), Le(100)] = 1.0
