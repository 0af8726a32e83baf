"""What a user may set of the objective: type, range, default and source, written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from lmbench.api import MapName, Positive, ViewSettings


@dataclass(frozen=True)
class Settings:
    """``layer``: the map whose mean describes an image. ``view``: how both views are drawn."""

    layer: MapName = "conv5_x"
    temperature: Positive = 0.1  # the paper's section stands here
    view: ViewSettings = ViewSettings(size=64, scale=(0.4, 1.0))
