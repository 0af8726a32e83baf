"""A frozen encoder read as one hypercolumn, and what the two ways of making it compact have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lmbench.api import Extractor, FeatureMaps, Objective, UsageError, build_backbone, float32
from lmbench_contrastlandmarks.views import Augmentation


class HypercolumnNetwork(nn.Module):
    """An encoder by its registered name, with ``layers`` (deepest first) as a hypercolumn on a grid of ``stride`` pixels.

    ``channels``: of the hypercolumn. Raises UsageError where the encoder lacks a layer, or ``dim`` is not within 1 and
    ``channels``: what makes a hypercolumn compact must not be wider than it.
    """

    def __init__(self, encoder: str, dim: int, layers: Sequence[str], stride: int, weights: str | None) -> None:
        super().__init__()
        self.encoder = build_backbone(encoder, {"weights": weights} if weights else {})
        self.layers, self.stride = tuple(layers), stride
        with torch.no_grad():
            maps = self.encoder.eval()(torch.zeros(1, 3, 96, 96))
        missing = [name for name in self.layers if name not in maps]
        if missing:
            raise UsageError(f"{encoder} has no map {missing[0]!r}; it has {', '.join(maps)}.")
        self.channels = sum(maps[name].shape[1] for name in self.layers)
        if not 1 <= dim <= self.channels:
            raise UsageError(
                f"{dim} dimensions are no compact form of the {self.channels} channels of {encoder} "
                f"({', '.join(self.layers)}): expected 1 to {self.channels}. Lower dim, or take a wider backbone "
                "(--set backbone=resnet50)."
            )

    @float32
    def hypercolumn(self, images: Tensor) -> FeatureMaps:
        """The maps of images (B, 3, H, W), without autocast, read on (H / stride, W / stride) cells, never concatenated."""
        height, width = images.shape[-2:]
        if min(height, width) < self.stride:
            raise UsageError(f"images of {width}x{height} pixels are smaller than one cell of {self.stride} pixels.")
        outputs = self.encoder(images)
        maps = tuple(outputs[name] for name in self.layers)
        return FeatureMaps(maps, (height // self.stride, width // self.stride))


class OnFrozenEncoder(Objective):
    """What trains or fits a backbone with an ``encoder``: that gets the earlier stage's weights and stays frozen."""

    def __init__(
        self, backbone: nn.Module, parent: Extractor | None, name: str, view: Mapping[str, Any] | None
    ) -> None:
        super().__init__(backbone, parent)
        if parent is None or not isinstance(getattr(backbone, "encoder", None), nn.Module):
            raise UsageError(f"{name} needs a stage before it and a backbone with an encoder (resnet18_proj, ...).")
        try:
            self.encoder.load_state_dict(parent.network.state_dict())
        except RuntimeError as error:
            raise UsageError(
                f"{name}: the stage before trained another network than this backbone's encoder "
                f"({str(error).splitlines()[-1].strip()[:160]}). Give the backbone the same encoder."
            ) from None
        self.encoder.requires_grad_(False)
        self.augmentation = Augmentation.of(view)

    @property
    def encoder(self) -> nn.Module:
        """The backbone's encoder."""
        assert isinstance(self.backbone.encoder, nn.Module)
        return self.backbone.encoder

    def train(self, mode: bool = True) -> OnFrozenEncoder:
        """The encoder keeps its BatchNorm statistics as well."""
        super().train(mode)
        self.encoder.eval()
        return self
