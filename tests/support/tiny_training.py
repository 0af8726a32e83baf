"""The smallest training that has everything: an objective on a tiny backbone, its images, and one call that trains it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lmbench.config.model import Optimiser, Training
from lmbench.data.pixels import PixelStore
from lmbench.training.augment import ViewSettings, draw_views
from lmbench.training.loop import train
from lmbench.training.objective import Objective

CPU = torch.device("cpu")
EVERY_STEP = 1e-9  # minutes
NEVER = 1e9
KEY = "k" * 64


@dataclass(frozen=True)
class TinyNetSettings:
    width: int = 4


@dataclass(frozen=True)
class TinySettings:
    noise: float = 0.1


class Backbone(nn.Module):
    def __init__(self, settings: TinyNetSettings = TinyNetSettings()) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, settings.width, 3, stride=2), nn.BatchNorm2d(settings.width)

    def forward(self, images):
        return {"map": self.norm(self.conv(images))}


class Tiny(Objective):
    """An objective with everything that a resumed run may forget: momentum, norm statistics, an average, random views."""

    steps_taken = 0  # by all of this class, for tests that nothing is trained
    dies_at = 0
    nan_at = 0
    pause = 0.0

    def __init__(self, backbone, parent=None, settings: TinySettings = TinySettings()) -> None:
        super().__init__(backbone, parent, settings)
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.seen: list[float] = []

    def views(self, images, generator):
        views = draw_views(images, ViewSettings(size=12, flip_p=0.5, blur_p=0.5), generator)
        return views + self.settings.noise * torch.randn(views.shape, generator=generator)

    def loss(self, views):
        maps = self.backbone(views)["map"]
        total = (maps.mean((0, 2, 3)) - self.average - 1).square().sum() + 0.1 * maps.square().mean()
        extra = total.detach() * 2
        if self.nan_at and int(self.count) + 1 >= self.nan_at:
            extra = extra * math.nan
        self.seen.append(float(total.detach()))
        return {"total": total, "extra": extra}

    def after_step(self, step, total_steps):
        Tiny.steps_taken += 1
        time.sleep(self.pause)
        if step == self.dies_at:
            raise ConnectionAbortedError("the machine is gone")
        self.count += 1
        self.average.lerp_(self.backbone.conv.bias.detach(), step / total_steps)


def pixels(count: int = 22, side: int = 20, seed: int = 0) -> PixelStore:
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    empty = np.zeros((count, 0, 2), np.float32)
    ids = np.array([str(i) for i in range(count)])
    return PixelStore(images, empty, np.zeros((count, 0), bool), np.full(count, -1), ids, key="tiny")


def config(**changes) -> Training:
    optimiser = Optimiser(name="adam", lr=0.05, amsgrad=True)
    return Training(**{"epochs": 3, "batch_size": 5, "frame": 20, "optimiser": optimiser, **changes})


def new_objective(**attributes) -> Tiny:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = Tiny(Backbone())
    for name, value in attributes.items():
        setattr(objective, name, value)
    return objective


def trained(
    checkpoint: Path, objective: Tiny | None = None, probe=None, probed="", key: str = KEY, seed: int = 0, **changes
):
    """(state, curve) of a training that may go on from ``checkpoint``."""
    objective = objective or new_objective()
    curve, _ = train(
        objective, pixels(), config(**changes), seed=seed, key=key, checkpoint=checkpoint, device=CPU,
        precision="fp32", label="tiny", probe=probe, probed=probed,
    )  # fmt: skip
    return objective.state_dict(), curve
