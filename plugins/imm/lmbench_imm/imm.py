"""IMM: landmarks are what an image's geometry is told by when its appearance comes from another image (Jakab et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import Extractor, Objective, draw_tps_weights, tps_grid
from lmbench_imm.detector import Detector, Encoder, convolution, gaussian_maps
from lmbench_imm.perceptual import PerceptualLoss, load_vgg, pixel_loss
from lmbench_imm.settings import IMMSettings

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

    Both are warps of one image. Raises DataError without the weights of a perceptual loss.
    """

    backbone: Detector
    settings: IMMSettings

    def __init__(self, backbone: Detector, parent: Extractor | None, settings: IMMSettings) -> None:
        super().__init__(backbone, parent, settings)
        detector = backbone.settings
        self.reconstruction: Callable[[Tensor, Tensor, Tensor], Tensor] = (
            PerceptualLoss(load_vgg(settings.perceptual_weights))
            if settings.reconstruction == "perceptual"
            else pixel_loss
        )
        self.content = Encoder(detector)
        self.renderer = Renderer(detector.channels + detector.landmarks, detector.width, detector.levels - 1)
        self.content.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.renderer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.clip > 0:
            for parameter in self.parameters():
                parameter.register_hook(lambda gradient: clipped(gradient, settings.clip))

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(source, target, mask): the image's centre warped, the source once more than the target; the target's mask.

        Images (B, 3, size, size), mask (B, 1, size, size). With a black border the mask is warped with the target.
        """
        first = draw_tps_weights(len(images), self.settings.target_warp, generator)
        second = draw_tps_weights(len(images), self.settings.source_warp, generator)
        mask = smooth_mask(self.settings.size).to(images).expand(len(images), 1, -1, -1)
        if self.settings.border == "real":
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
        return centre_crop(images, self.settings.window, self.settings.size)

    def render(self, source: Tensor, points: Tensor) -> Tensor:
        """(B, 3, size, size): the source's appearance with the landmarks at points (B, K, 2), about [0, 1]."""
        appearance = self.content(source.contiguous(memory_format=torch.channels_last))
        geometry = gaussian_maps(points, (appearance.shape[-2], appearance.shape[-1]), self.settings.std)
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
