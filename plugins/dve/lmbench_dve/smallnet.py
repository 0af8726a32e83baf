"""SmallNet: the six-layer network of Dense3D, which DVE also trains in 64 dimensions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import InputNorm
from lmbench_dve.settings import SmallNetSettings

FACE_MEAN = (0.5084, 0.4224, 0.3769)  # DVE's reference code: of CelebA
FACE_STD = (0.2599, 0.2371, 0.2323)

# Width, filter side and dilation of each layer but the last (DVE's reference code).
LAYERS = ((20, 5, 1), (48, 5, 1), (64, 5, 2), (80, 3, 4), (256, 3, 2))
LEAK = 0.2  # of every LeakyReLU


class SmallNet(nn.Module):
    """``forward`` gives ``dense`` (B, dim, H/2, W/2); the last layer is linear, every other has BatchNorm and LeakyReLU.

    A ``dim`` of 64 gives the reference's 350,552 parameters. ``resize`` is there so that a network made for 70 pixels reads
    the 96 of lmbench's protocol as its authors meant.
    """

    def __init__(self, settings: SmallNetSettings) -> None:
        super().__init__()
        self.resize = settings.resize
        self.norm = InputNorm(FACE_MEAN, FACE_STD)
        widths = [3, *(width for width, _, _ in LAYERS)]
        layers = [conv_block(a, b, side, dilation) for a, (b, side, dilation) in zip(widths, LAYERS, strict=False)]
        self.first = layers[0]
        self.pool = nn.MaxPool2d(2)
        self.rest = nn.Sequential(*layers[1:], nn.Conv2d(widths[-1], settings.dim, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to ``dense``."""
        x = self.norm(resized(images, self.resize))
        return {"dense": self.rest(self.pool(self.first(x)))}


def conv_block(inputs: int, outputs: int, side: int, dilation: int) -> nn.Sequential:
    """A filter that keeps the size, BatchNorm, LeakyReLU."""
    padding = dilation * (side - 1) // 2
    conv = nn.Conv2d(inputs, outputs, side, padding=padding, dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAK))


def resized(images: Tensor, side: int) -> Tensor:
    """The images with their longer side brought to ``side`` pixels (0: as they come), antialiased, ``align_corners=False``."""
    sides = [int(n) for n in images.shape[-2:]]
    longer = max(sides)
    if side in (0, longer):
        return images
    size = [max(1, round(n * side / longer)) for n in sides]
    return functional.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
