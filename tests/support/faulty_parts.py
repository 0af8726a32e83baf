"""Components with one fault each, to see that the conformance kit finds it; without one they keep every promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.api import Channels, MetricResult, Objective, Predictions


@dataclass(frozen=True)
class FaultSettings:
    """``fault``: what is wrong, in words."""

    fault: str = ""


@dataclass(frozen=True)
class BackboneSettings(FaultSettings):
    """``width``: channels of the shallow map; the deep one has twice as many."""

    width: Channels = 4

    @property
    def deep(self) -> int:
        return 2 * self.width


class Backbone(nn.Module):
    """Two maps, at 1/4 and 1/8 of the resolution."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        self.fault, width = settings.fault, settings.width
        if self.fault == "unseeded weights":
            torch.manual_seed(int(torch.randint(0, 2**31, (), generator=CHANCE)))
        self.shallow = nn.Conv2d(3, width, 3, stride=4, padding=1)
        self.deep = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(2 * width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if self.fault == "changes images":
            images.sub_(0.5)
        shallow = self.shallow(images)
        deep = self.deep(shallow)
        deep = nn.functional.batch_norm(deep, None, None, training=True) if self.fault == "batch" else self.norm(deep)
        if self.fault == "dropout":
            deep = nn.functional.dropout(deep, 0.5, training=True)
        if self.fault == "not finite":
            deep = deep / 0
        if self.fault == "stride":
            deep = nn.functional.max_pool2d(deep, 2)
        if self.fault == "dies small" and images.shape[-1] < 48:
            deep = deep[..., :0]
        return {"shallow": shallow} if self.fault == "missing map" else {"shallow": shallow, "deep": deep}


CHANCE = torch.Generator().manual_seed(0)


class Agreement(Objective):
    """Two noisy views agree."""

    count: Tensor

    def __init__(self, backbone: nn.Module, parent: Any, settings: FaultSettings) -> None:
        super().__init__(backbone, parent, settings)
        self.fault = fault = settings.fault
        self.projector = nn.Conv2d(8, 4, 1)
        self.register_buffer("count", torch.zeros(()), persistent=fault != "lost state")

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.fault == "changes images":
            images.mul_(0.5)
        if self.fault == "unstated cuts":
            images = images[..., : images.shape[-1] // 2]
        source = None if self.fault == "global chance" else generator
        first, second = (images + 0.1 * torch.randn(images.shape, generator=source) for _ in range(2))
        return first, second

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        maps = [self.backbone(v)["deep"] for v in views]
        if self.fault == "no gradient":
            maps = [m.detach() for m in maps]
        if self.fault == "no bf16":
            maps[0].detach().numpy()
        first, second = (self.projector(m) for m in maps)
        total = (first - second).square()
        total = total if self.fault == "no scalar" else total.mean() * (1 + self.count)
        if self.fault == "not finite":
            total = total / 0
        return {"loss" if self.fault == "no total" else "total": total}

    def after_step(self, step: int, total_steps: int) -> None:
        self.count += 1

    def extractor(self) -> Any:
        extractor = super().extractor()
        if self.fault == "foreign network":
            extractor.network = nn.Sequential(self.backbone)
        return extractor


class MeanHead:
    """Predicts the mean of the visible landmarks of each subset."""

    def __init__(self, settings: FaultSettings) -> None:
        self.fault = settings.fault

    def description(self) -> Any:
        return [] if self.fault == "description" else {"fault": self.fault}

    def fit(
        self, inputs: Any, landmarks: Tensor, visible: Tensor, subsets: Any, generator: torch.Generator
    ) -> MeanHead:
        del inputs
        weight = torch.ones_like(visible) if self.fault == "looks at invisible" else visible
        chosen = [s.indices for s in (subsets[:1] if self.fault == "one subset" else subsets)]
        sums = [(landmarks[i] * weight[i, :, None]).sum(0) / weight[i, :, None].sum(0) for i in chosen]
        noise = torch.rand((), generator=None if self.fault == "global chance" else generator)
        self.means = torch.stack(sums) + 0.01 * noise
        return self

    def predict(self, inputs: Any) -> Tensor:
        predicted = self.means[:, None].expand(-1, len(inputs), -1, -1)
        return predicted * float("nan") if self.fault == "nan" else predicted

    def state(self) -> dict[str, Any]:
        return {"means": self.means.tolist() if self.fault == "state" else self.means}


class Forgetful(Predictions):
    """Results that are not read back as they were written."""

    @classmethod
    def of_table(cls, columns: Any, shape: tuple[int, ...], note: dict[str, Any]) -> Any:
        return super().of_table({**columns, "visible": ~columns["visible"]}, shape, note)


def pixel_error(predictions: Predictions, fault: str = "") -> MetricResult:
    """Mean distance in pixels."""
    values = np.linalg.norm(predictions.predicted - predictions.target, axis=-1)
    if fault != "scores invisible":
        values = np.where(predictions.visible, values, np.nan)
    if fault == "changes predictions":
        predictions.predicted[:] = 0
    if fault == "better is worse":
        values = -values
    aggregate = values.mean((1, 2)) if fault == "nan" else np.nanmean(values, axis=(1, 2))
    return MetricResult(values, aggregate[:1] if fault == "aggregate" else aggregate)


def _metric(fault: str) -> Any:
    return lambda predictions: pixel_error(predictions, fault)


METRIC_FAULTS = ("scores invisible", "changes predictions", "better is worse", "nan", "aggregate")
for _fault in METRIC_FAULTS:
    globals()[f"metric_{_fault.replace(' ', '_')}"] = _metric(_fault)


def load(root: Any) -> Any:
    """A dataset that the kit never loads."""
    raise NotImplementedError(root)


def judge(context: Any, settings: Any) -> None:
    """A task that the kit never runs."""
    raise NotImplementedError(context, settings)
