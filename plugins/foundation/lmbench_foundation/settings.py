"""The settings of the backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lmbench.api import Ge, Le, Pretrained, Weights


@dataclass(frozen=True)
class ViTSettings:
    """``pretrained``: timm's own weights. ``weights``: a file instead. ``input_size``: images' longer side, in pixels."""

    pretrained: Pretrained = False
    weights: Weights = None
    input_size: Annotated[int, Ge(8), Le(4_096)] = 224
