"""The supervised baseline: a network and its regressor trained from scratch on the annotated images, and on no others.

After Thewlis et al. 2017 (supplement, sec. 3) and Cheng et al. 2021 (Fig. 4, "trained from scratch"): what the same
architecture learns from n labels alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import (
    HeadInputs,
    LmbenchError,
    Subset,
    TPSStrength,
    build_backbone,
    denormalise_points,
    draw_tps_weights,
    normalise_points,
    progress,
    tps_grid,
    warp_images,
    warp_points,
)
from lmbench_baselines.regressors import LandmarkNetwork, build_regressor, resized
from lmbench_baselines.settings import SupervisedSettings

FACES = TPSStrength(0.001, 0.01, 0.1, 0.05, 20.0)  # Thewlis et al. 2017, Supp. Table 1, g2 of faces
ALPHA = 10.0  # smooth L1 of 10 x the normalised error, as the heads of DVE and CL (model/loss.py)
PREDICT_BATCH = 64
CHECK_EVERY = 20  # steps between two looks at the loss: each waits for the device


class ImageInputs(HeadInputs, Protocol):
    """Head inputs of a HeadSpec with ``inputs="images"``."""

    def images(self, indices: Tensor) -> Tensor:
        """(B, 3, size, size) in [0, 1] on the device."""
        ...


class FittedNetworks:
    """S trained networks, one a subset."""

    def __init__(self, networks: Sequence[LandmarkNetwork]) -> None:
        self.networks = [network.eval() for network in networks]

    @torch.no_grad()
    def predict(self, inputs: ImageInputs) -> Tensor:
        """(S, N, L, 2) pixels, on the CPU."""
        side = inputs.image_size
        found = []
        for start in range(0, len(inputs), PREDICT_BATCH):
            images = inputs.images(torch.arange(start, min(start + PREDICT_BATCH, len(inputs))))
            batch = torch.stack([network(images) for network in self.networks])
            found.append(denormalise_points(batch.float(), (side, side)).cpu())
        return torch.cat(found, dim=1)

    def state(self) -> dict[str, Tensor]:
        """Every tensor of network s under ``s.<name>``."""
        return {f"{i}.{name}": t for i, n in enumerate(self.networks) for name, t in n.state_dict().items()}


class SupervisedNetwork:
    """A head that looks at images: trains a backbone and a regressor end to end, once for each subset.

    AdamW with one cycle of cosine after 5 % of warm-up. Every batch has ``batch_size`` images; a smaller subset is repeated,
    each copy under a warp of its own.
    """

    def __init__(self, settings: SupervisedSettings) -> None:
        self.settings = settings
        self.strength = FACES.scaled(settings.warp, settings.warp)

    def description(self) -> dict[str, Any]:
        return {
            **asdict(self.settings),
            "initialisation": "random",
            "loss": f"smooth L1 of {ALPHA:g} x the error in normalised units",
            "units": "normalised, align_corners=True",
            "optimiser": "adamw, cosine after 5 % warm-up",
            "warps": vars(self.strength) if self.settings.warp else None,
        }

    def fit(
        self,
        inputs: ImageInputs,
        landmarks: Tensor,
        visible: Tensor,
        subsets: Sequence[Subset],
        generator: torch.Generator,
    ) -> FittedNetworks:
        """The trained networks, one a subset, in order. Raises LmbenchError where a loss is no number."""
        side = inputs.image_size
        points = torch.where(visible[..., None], landmarks.float(), 0.0)  # what is not visible is not looked at
        target = normalise_points(points, (side, side))
        seeds = torch.randint(2**62, (len(subsets),), generator=generator).tolist()
        networks = []
        for i, (subset, seed) in enumerate(zip(subsets, seeds, strict=True)):
            label = f"training {subset.label} ({i + 1}/{len(subsets)})"
            networks.append(self._train(inputs, target, visible, subset, seed, label))
        return FittedNetworks(networks)

    def _train(
        self, inputs: ImageInputs, target: Tensor, visible: Tensor, subset: Subset, seed: int, label: str
    ) -> LandmarkNetwork:
        steps = self.settings.steps
        chance = torch.Generator().manual_seed(seed)
        network = self._build(inputs, target[subset.indices], visible[subset.indices], seed)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=self.settings.lr, weight_decay=self.settings.weight_decay
        )
        warm = max(1, steps // 20)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / warm, (1 + math.cos(math.pi * step / steps)) / 2)
        )
        stream = endless(subset.indices, self.settings.batch_size, chance)
        network.train()
        with progress.task(label, steps, "steps") as bar:
            for step in range(1, steps + 1):
                chosen = next(stream)
                images = resized(inputs.images(chosen), network.side)
                images, wanted, seen = self._warped(images, target[chosen], visible[chosen], chance)
                found = network(images)
                loss = landmark_loss(found, wanted.to(found), seen.to(found.device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                if step % CHECK_EVERY == 0 or step == steps:
                    _require_finite(float(loss.detach()), step, steps, label)
                bar.advance(1)
        return network

    def _build(self, inputs: ImageInputs, target: Tensor, visible: Tensor, seed: int) -> LandmarkNetwork:
        """A new network that predicts the subset's mean shape, its weights drawn under ``seed``."""
        settings = self.settings
        side = settings.side or inputs.image_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = build_backbone(settings.backbone, settings.backbone_settings)
            shape = mean_landmarks(target, visible)
            regressor = build_regressor(settings, backbone, side, shape)
        return LandmarkNetwork(backbone, regressor, side).to(inputs.device)

    def _warped(
        self, images: Tensor, target: Tensor, visible: Tensor, chance: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images, normalised landmarks and visibility under random warps; what leaves the image is no longer visible."""
        if not self.settings.warp:
            return images, target, visible
        size = (images.shape[-2], images.shape[-1])
        grid = tps_grid(draw_tps_weights(len(images), self.strength, chance), size)
        moved = normalise_points(warp_points(denormalise_points(target, size), grid, "exact"), size)
        inside = (moved.abs() < 1).all(-1)  # warp_points puts what has left on the border
        return warp_images(images, grid.to(images)), moved, visible & inside


def landmark_loss(predicted: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Scalar: smooth L1 of 10 x the normalised coordinates (B, L, 2), mean over everything, invisible ones at zero error."""
    target = torch.where(visible[..., None], target, predicted.detach())
    return functional.smooth_l1_loss(ALPHA * predicted, ALPHA * target)


def mean_landmarks(points: Tensor, visible: Tensor) -> Tensor:
    """(L, 2): the mean of each landmark over the images that show it; the centre (0, 0) where none does."""
    weight = visible[..., None].to(points)
    return (points * weight).sum(0) / weight.sum(0).clamp(min=1)


def endless(indices: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of exactly ``batch_size`` for ever: one permutation of the subset after the other, without a gap."""
    waiting = indices[:0]
    while True:
        while len(waiting) < batch_size:
            waiting = torch.cat([waiting, indices[torch.randperm(len(indices), generator=generator)]])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def _require_finite(loss: float, step: int, steps: int, label: str) -> None:
    if not math.isfinite(loss):
        raise LmbenchError(
            f"{label}: the loss is {loss} at step {step} of {steps}. "
            "Lower the learning rate: --set regression.head_settings.lr=..."
        )
