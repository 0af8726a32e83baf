"""The settings of both objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.api import Channels, Ge, Le, MapName, Positive, Probability, ViewSettings


@dataclass(frozen=True)
class BYOLSettings:
    """``layer``: the map that is averaged before the projector. ``momentum``: the target's EMA at the start."""

    layer: MapName = "conv5_x"
    hidden: Channels = 4096  # OpenSelfSup
    dim: Channels = 256  # OpenSelfSup
    momentum: Probability = 0.996  # Grill et al. 2020, sec. 3.2
    batch_norm: Literal["batch", "frozen"] = "batch"
    view1: ViewSettings = ViewSettings()
    view2: ViewSettings = ViewSettings()


@dataclass(frozen=True)
class SecondView:
    """In what the view of a pair's second image differs from that of the first (None: alike)."""

    blur_p: Probability | None = None
    solarise_p: Probability | None = None


@dataclass(frozen=True)
class DistillationSettings:
    """``teacher_temperature``: where it is another one. ``projection``: 0 is none. ``grid``: 0 is the dense map's own."""

    temperature: Positive = 0.05  # LEAD, sec. 4
    teacher_temperature: Positive | None = None
    projection: Annotated[int, Ge(0), Le(65_536)] = 256  # LEAD, Table 3
    encoder: Literal["frozen", "trained"] = "frozen"  # supplement D
    pairs: Literal["another", "same"] = "another"
    teacher_normalise: Literal["global", "layer", "none"] = "global"
    grid: Annotated[int, Ge(0), Le(256)] = 0  # cells a side
    view: ViewSettings = ViewSettings()
    view2: SecondView = SecondView()
