"""The paper's photometric and geometric views: JPEG noise, random resized crop, colour jitter, lighting, centre crop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import draw_views
from lmbench_contrastlandmarks.settings import View

JPEG_QUALITY = (30, 99)  # reference code: randint, the upper end excluded
JPEG_RESIZE = (0.8, 2.0)  # smallest: reference code; largest: ours, its normal draw has no bound
# Krizhevsky et al. 2012, sec. 4.1: principal components of ImageNet's colours, as everybody uses them.
LIGHTING_VALUES = (0.2175, 0.0188, 0.0045)
LIGHTING_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

# ITU-T T.81, annex K: the quantisation tables (luminance, chrominance) that encoders scale by quality.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF


def draw(images: Tensor, view: View, generator: torch.Generator) -> Tensor:
    """(B, 3, side, side) in [0, 1]: one view of each image (B, 3, H, W), random by the CPU generator alone."""
    if view.jpeg:
        images = jpeg_noise(images, generator)
    views = draw_views(images, view, generator)
    if view.lighting > 0:
        views = shift_lighting(views, view.lighting * torch.randn(len(views), 3, generator=generator))
    return centre_crop(views, view.side)


def centre_crop(images: Tensor, side: int) -> Tensor:
    """(B, C, side, side): the middle of the images."""
    top, left = ((length - side) // 2 for length in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def shift_lighting(images: Tensor, amounts: Tensor) -> Tensor:
    """Images (B, 3, H, W) moved by ``amounts`` (B, 3) along ImageNet's colour components, clipped to [0, 1]."""
    components = torch.tensor(LIGHTING_VECTORS) * torch.tensor(LIGHTING_VALUES)
    return (images + (amounts @ components.T).to(images)[:, :, None, None]).clamp(0, 1)


def jpeg_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] compressed at another size and quality each, and brought back.

    The size factor is drawn once a batch (the reference draws one an image), the quality for each image.
    """
    smallest, largest = JPEG_RESIZE
    factor = min(max(smallest, 1 + 0.5 * float(torch.randn((), generator=generator))), largest)
    quality = torch.randint(*JPEG_QUALITY, (len(images),), generator=generator)
    size = images.shape[-2:]
    resized = _resize(images, (round(size[0] * factor), round(size[1] * factor)))
    return _resize(compress_jpeg(resized, quality), (size[0], size[1])).clamp(0, 1)


def compress_jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1]: what JPEG of ``quality`` (B,), 1 to 100, leaves of the images; 4:2:0, as libjpeg does it."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    matrix = torch.tensor(YCBCR, dtype=images.dtype, device=images.device)
    luma, chroma = torch.einsum("ij,bjhw->bihw", matrix, 255 * padded).split((1, 2), 1)
    luma = _quantise(luma - 128, LUMINANCE, quality) + 128
    chroma = _quantise(functional.avg_pool2d(chroma, 2), CHROMINANCE, quality)
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    restored = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix), torch.cat((luma, chroma), 1))
    return (restored[..., :height, :width] / 255).clamp(0, 1)


def _quantise(planes: Tensor, base: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """Planes (B, C, H, W) whose 8x8 cosine coefficients are rounded to multiples of the table at ``quality``."""
    scale = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)  # libjpeg's scale, in percent
    table = ((torch.tensor(base) * scale[:, None, None] + 50) // 100).clamp(1, 255).to(planes)[:, None, None, None]
    index = torch.arange(8, dtype=planes.dtype, device=planes.device)
    basis = 0.5 * torch.cos((2 * index + 1) * index[:, None] * (torch.pi / 16))
    basis[0] /= 2**0.5
    blocks = planes.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (B, C, rows, columns, 8, 8)
    coefficients = basis @ blocks @ basis.T
    blocks = basis.T @ ((coefficients / table).round() * table) @ basis
    return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
