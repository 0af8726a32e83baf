"""A frozen encoder read as one hypercolumn, and what the two ways of making it compact have in common."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lmbench.api import Extractor, FeatureMaps, Objective, UsageError, build_backbone, channels_of, float32
from lmbench_contrastlandmarks.settings import CompactSettings


class HypercolumnNetwork(nn.Module):
    """An encoder by its registered name, whose ``layers`` are read as one hypercolumn of ``channels`` channels."""

    def __init__(self, settings: CompactSettings, encoder: str) -> None:
        super().__init__()
        self.encoder = build_backbone(encoder, {"weights": settings.weights})
        self.layers, self.stride = settings.layers, settings.stride
        self.channels = sum(channels_of(self.encoder, name) for name in settings.layers)

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

    def __init__(self, backbone: nn.Module, parent: Extractor | None, settings: Any, name: str) -> None:
        super().__init__(backbone, parent, settings)
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
