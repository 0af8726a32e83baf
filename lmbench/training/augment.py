"""Random views of whole batches on the device: one resampling for all geometry, one colour matrix for all colours."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmbench.training.cuts import TRIES
from lmbench.training.views import ViewSettings

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as torchvision's greyscale


def draw_views(images: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """(B, 3, size, size) in [0, 1]: one random view of each image (B, 3, H, W); random by the CPU generator alone."""
    count, device = len(images), images.device
    grid = _crop_grid(count, settings, generator, images.shape[-2:]).to(device)
    views = nn.functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    views = _recolour(views, settings, generator)
    if settings.blur_p > 0:
        views = _blur(views, settings, generator)
    if settings.solarise_p > 0:
        chosen = (torch.rand(count, generator=generator) < settings.solarise_p).to(device)[:, None, None, None]
        views = torch.where(chosen & (views >= 0.5), 1 - views, views)
    return views


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _crop_grid(count: int, settings: ViewSettings, generator: torch.Generator, frame: torch.Size) -> Tensor:
    """(B, size, size, 2): where each pixel of the view is read, in [-1, 1] with ``align_corners=False``."""
    aspect = frame[1] / frame[0]
    sides = settings.window * _crop_sides(count, settings, generator)
    width, height = sides.unbind(-1)
    free_x, free_y = settings.window - width, settings.window - height
    x = (2 * torch.rand(count, generator=generator) - 1) * free_x
    y = (2 * torch.rand(count, generator=generator) - 1) * free_y
    flip = torch.where(torch.rand(count, generator=generator) < settings.flip_p, -1.0, 1.0)
    angle = _uniform(count, -settings.rotation, settings.rotation, generator) * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([width * cos * flip, -height * sin / aspect, x], -1),
            torch.stack([width * sin * flip * aspect, height * cos, y], -1),
        ],
        1,
    )
    return nn.functional.affine_grid(theta, [count, 3, settings.size, settings.size], align_corners=False)


def _crop_sides(count: int, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """(B, 2): width and height of each crop as fractions of the window, drawn as torchvision's RandomResizedCrop does.

    A crop that does not fit is drawn again, `TRIES` times at most; then it is the largest central one of an allowed ratio.
    All tries are drawn at once, so that what is drawn next does not depend on how many were needed.
    """
    area = _uniform(count * TRIES, *settings.scale, generator)
    ratio = _uniform(count * TRIES, math.log(settings.ratio[0]), math.log(settings.ratio[1]), generator).exp()
    tries = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], -1).view(count, TRIES, 2)
    fits = (tries <= 1).all(-1)
    first = tries[torch.arange(count), fits.int().argmax(1)]  # the first that fits; any where none does
    largest = min(1.0, settings.ratio[1]), min(1.0, 1 / settings.ratio[0])
    return torch.where(fits.any(1)[:, None], first, torch.tensor(largest))


def _recolour(views: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation, hue and greyscale: one 3x3 matrix and one offset an image."""
    count = len(views)
    jittered = torch.rand(count, generator=generator) < settings.jitter_p
    strength = [
        torch.where(jittered, (2 * torch.rand(count, generator=generator) - 1) * s, 0.0) for s in settings.jitter
    ]
    grey = torch.rand(count, generator=generator) < settings.grey_p
    brightness, contrast, saturation = (1 + s for s in strength[:3])
    luma = torch.tensor(LUMA)
    to_grey = luma.expand(3, 3)
    eye = torch.eye(3)
    matrix = _hue_matrix(strength[3]) @ (saturation[:, None, None] * eye + (1 - saturation)[:, None, None] * to_grey)
    matrix = torch.where(grey[:, None, None], to_grey @ matrix, matrix)
    matrix = matrix * (brightness * contrast)[:, None, None]
    matrix = matrix.to(views)
    mean = (views.mean((2, 3)) @ luma.to(views)) * (brightness * (1 - contrast)).to(views)
    return (torch.einsum("bij,bjhw->bihw", matrix, views) + mean[:, None, None, None]).clamp(0, 1)


def _hue_matrix(turn: Tensor) -> Tensor:
    """(B, 3, 3): a turn of the chroma plane of YIQ by ``turn`` (a fraction of the full circle)."""
    rgb_to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    angle = 2 * math.pi * turn
    rotation = torch.zeros(len(turn), 3, 3)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = angle.cos()
    rotation[:, 1, 2], rotation[:, 2, 1] = -angle.sin(), angle.sin()
    return torch.linalg.inv(rgb_to_yiq) @ rotation @ rgb_to_yiq


def _blur(views: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Gaussian blur, sigma drawn for each image; a kernel of about a tenth of the side, as BYOL has it."""
    count, channels, height, width = views.shape
    chosen = torch.rand(count, generator=generator) < settings.blur_p
    sigma = _uniform(count, *settings.blur, generator)
    radius = max(1, settings.size // 20)
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-(offsets**2) / (2 * sigma[:, None] ** 2))
    kernel = torch.where(chosen[:, None], kernel, (offsets == 0).float())
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(views).repeat_interleave(channels, 0)
    flat = nn.functional.pad(views.reshape(1, count * channels, height, width), (radius,) * 4, mode="reflect")
    flat = nn.functional.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    flat = nn.functional.conv2d(flat, kernel[:, None, :, None], groups=count * channels)
    return flat.view(count, channels, height, width)
