"""IMM: landmarks are what an image's geometry is told by when its appearance comes from another image (Jakab et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import DataError, Extractor, Objective, TPSStrength, UsageError, draw_tps_weights, tps_grid
from lmbench_imm.detector import Detector, Encoder, convolution, gaussian_maps
from lmbench_imm.perceptual import PerceptualLoss, load_vgg, pixel_loss
from lmbench_imm.settings import SOURCE_WARP, TARGET_WARP, check_sizes

# The border that the loss does not see, in pixels of a 128-pixel image, and how steep its edge is (reference code).
MASK_MARGIN, MASK_STEP, MASK_SOFTNESS = 10, 20, 0.4
MASK_SIDE = 128


def smooth_mask(size: int) -> Tensor:
    """(size, size): 0 on the border, 1 inside, and tanh steps between; a product of both axes. Reference code.

    A border of 10 pixels, then 20 pixels of 1/2 + tanh(t / 0.4) / 2 for t from -1 to 1, in a 128-pixel image; other
    sizes in proportion, rounded.
    """
    margin, step = (round(n * size / MASK_SIDE) for n in (MASK_MARGIN, MASK_STEP))
    rise = 0.5 + 0.5 * torch.tanh(torch.linspace(-1, 1, step) / MASK_SOFTNESS)
    flat = torch.ones(size - 2 * margin - 2 * step)
    strip = torch.cat([torch.zeros(margin), rise, flat, rise.flip(0), torch.zeros(margin)])
    return strip[:, None] * strip


class Renderer(nn.Sequential):
    """The decoder (reference code): pairs of 3x3 filters with BatchNorm and ReLU, each pair followed by a bilinear x2,
    until the image's size; channels start at ``8 width`` and are halved each time; the last filter gives RGB.
    """

    def __init__(self, inputs: int, width: int, doublings: int) -> None:
        channels = width * 2**doublings
        layers: list[nn.Module] = []
        for _ in range(doublings):
            layers += [*convolution(inputs, channels), *convolution(channels, channels)]
            layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)]
            inputs, channels = channels, channels // 2
        super().__init__(*layers, *convolution(inputs, channels), nn.Conv2d(channels, 3, 3, padding=1))


class IMM(Objective):
    """The target image is rendered from the appearance of the source and the landmarks of the target.

    Both are warps of one image. ``size``: side of the views in pixels. ``window``: the central part of the frame they are
    taken from, as a fraction of its side. ``border``: ``black``, the centre is cut first, and nothing lies outside it
    (reference code), or ``real``, the whole frame is warped, mirrored beyond its edge, and cut afterwards: no black
    edge tells the detector how an image was moved. ``std``: of the Gaussians, in half map sides. ``reconstruction``:
    ``perceptual``, on VGG-16 with ``perceptual_weights`` (``imagenet``: torchvision's download, or a file), or ``pixel``.
    ``target_warp``, ``source_warp``: fields of TPSStrength that differ from the paper's. ``clip``: the largest norm of
    every single tensor's gradient (0: any). Raises UsageError for impossible settings, DataError without the weights.
    """

    backbone: Detector

    def __init__(
        self,
        backbone: nn.Module,
        parent: Extractor | None = None,
        *,
        size: int = 128,
        window: float = 0.8,
        border: str = "black",
        std: float = 0.1,
        reconstruction: str = "perceptual",
        perceptual_weights: str = "imagenet",
        target_warp: Mapping[str, float] | None = None,
        source_warp: Mapping[str, float] | None = None,
        clip: float = 1.0,
    ) -> None:
        super().__init__(backbone, parent)
        if not isinstance(backbone, Detector):
            raise UsageError(f"imm trains the backbone imm_detector, not {type(backbone).__name__}.")
        check_sizes(size, backbone.levels, backbone.side, backbone.filters.out_channels)
        self.size, self.window, self.border, self.std = size, window, border, std
        self.target_strength = strength(TARGET_WARP, target_warp, "target_warp")
        self.source_strength = strength(SOURCE_WARP, source_warp, "source_warp")
        if reconstruction == "perceptual":
            self.reconstruction: Callable[[Tensor, Tensor, Tensor], Tensor] = PerceptualLoss(
                load_vgg(perceptual_weights)
            )
        else:
            self.reconstruction = pixel_loss
        self.content = Encoder(backbone.width, backbone.levels)
        inputs = self.content.channels + backbone.filters.out_channels
        self.renderer = Renderer(inputs, backbone.width, backbone.levels - 1)
        self.content.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.renderer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if clip > 0:
            for parameter in self.parameters():
                parameter.register_hook(lambda gradient: clipped(gradient, clip))

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Raises UsageError for settings that cannot be, DataError for a weights file that is not there."""
        window, std, border = settings["window"], settings["std"], settings["border"]
        reconstruction, weights = settings["reconstruction"], settings["perceptual_weights"]
        if not 0 < window <= 1 or not 0 < std < math.inf:
            raise UsageError(f"imm: window lies in (0, 1] and std is above 0; found window={window}, std={std}.")
        if border not in ("black", "real") or reconstruction not in ("perceptual", "pixel"):
            found = f"border={border!r}, reconstruction={reconstruction!r}"
            raise UsageError(f"imm: border is black or real, reconstruction is perceptual or pixel; found {found}.")
        strength(TARGET_WARP, settings["target_warp"], "target_warp")
        strength(SOURCE_WARP, settings["source_warp"], "source_warp")
        if reconstruction == "perceptual" and weights != "imagenet" and not Path(weights).is_file():
            raise DataError(
                f"imm: perceptual_weights={weights}: there is no such file. Give a state dict of torchvision's vgg16, "
                "imagenet for its download, or ask for the loss on pixels (reconstruction=pixel)."
            )

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(source, target, mask): the image's centre warped, the source once more than the target; the target's mask.

        Images (B, 3, size, size), mask (B, 1, size, size). With a black border the mask is warped with the target.
        """
        first = draw_tps_weights(len(images), self.target_strength, generator)
        second = draw_tps_weights(len(images), self.source_strength, generator)
        mask = smooth_mask(self.size).to(images).expand(len(images), 1, -1, -1)
        if self.border == "real":
            target = warped(images, first, "reflection")
            source, target = (self._centre(i) for i in (warped(target, second, "reflection"), target))
            return source, target, mask
        both = warped(torch.cat([self._centre(images), mask], 1), first, "zeros")
        target, mask = both[:, :3], both[:, 3:]
        return warped(target, second, "zeros"), target, mask

    def loss(self, views: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """``total``: the reconstruction; ``motion``: sd of a landmark over the batch, in half sides (0: collapsed);
        ``spread``: sd of the mean landmarks over the image (0: all in one place)."""
        source, target, mask = views
        points = self.backbone.points(target)
        rendered = self.render(source, points)
        found = points.detach()
        return {
            "total": self.reconstruction(rendered, target, mask),
            "motion": found.std(0, correction=0).mean(),
            "spread": found.mean(0).std(0, correction=0).mean(),
        }

    def _centre(self, images: Tensor) -> Tensor:
        return centre_crop(images, self.window, self.size)

    def render(self, source: Tensor, points: Tensor) -> Tensor:
        """(B, 3, size, size): the source's appearance with the landmarks at points (B, K, 2), about [0, 1]."""
        appearance = self.content(source.contiguous(memory_format=torch.channels_last))
        geometry = gaussian_maps(points, (appearance.shape[-2], appearance.shape[-1]), self.std)
        rendered: Tensor = self.renderer(torch.cat([appearance, geometry.to(appearance.dtype)], 1))
        return rendered.float()


def warped(images: Tensor, weights: Tensor, outside: str) -> Tensor:
    """Images (B, C, H, W) under thin-plate splines (B, M + 3, 2), ``zeros`` or their ``reflection`` outside.

    Convention: ``align_corners=True``, bilinear (as the reference code at its time, torch 0.4).
    """
    grid = tps_grid(weights.to(images), (images.shape[-2], images.shape[-1]))
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=True)


def centre_crop(images: Tensor, window: float, size: int) -> Tensor:
    """(B, 3, size, size): the central ``window`` of square images, resized with antialiasing."""
    side = images.shape[-1]
    inner = max(1, round(window * side))
    start = (side - inner) // 2
    centre = images[..., start : start + inner, start : start + inner]
    if inner == size:
        return centre
    return functional.interpolate(centre, (size, size), mode="bilinear", align_corners=False, antialias=True)


def clipped(gradient: Tensor, largest: float) -> Tensor:
    """The gradient of one tensor, scaled down to the norm ``largest`` where it is longer (reference code: each its own)."""
    return gradient * (largest / gradient.norm().clamp(min=largest))


def strength(paper: TPSStrength, changes: Mapping[str, float] | None, name: str) -> TPSStrength:
    """The paper's warp with some fields changed. Raises UsageError for a field that there is not."""
    fields = asdict(paper)
    unknown = sorted(set(changes or ()) - set(fields))
    if unknown:
        raise UsageError(f"imm: {name} has no field {unknown[0]!r}; it has {', '.join(fields)}.")
    return TPSStrength(**{**fields, **(changes or {})})
