"""The image itself as dense features: no network, no learning."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lmbench_baselines.settings import PixelsSettings

RGB_STRIDE, PATCH_STRIDE = 2, 4


class Pixels(nn.Module):
    """``forward`` gives ``rgb`` (3 channels at stride 2) and ``patch`` (3 x patch x patch channels at stride 4).

    A cell is the mean colour of the pixels it covers, brought from [0, 1] to [-1, 1]; ``patch`` puts the cells around it
    beside it (the border's are repeated outwards), channel-major: all of red row by row, then green, then blue. There
    are no weights: ``patch`` 5 is a window of 20 pixels.
    """

    def __init__(self, settings: PixelsSettings) -> None:
        super().__init__()
        self.patch = settings.patch

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to both maps, shallow to deep."""
        rgb, coarse = (_cells(images, stride) for stride in (RGB_STRIDE, PATCH_STRIDE))
        reach = self.patch // 2
        padded = functional.pad(coarse, (reach,) * 4, mode="replicate")
        patches = functional.unfold(padded, self.patch).unflatten(2, coarse.shape[2:])
        return {"rgb": rgb, "patch": patches}


def _cells(images: Tensor, stride: int) -> Tensor:
    """(B, 3, H / stride, W / stride) mean colours in [-1, 1]; sides that are no multiple are rounded, cells cover all."""
    rows, columns = (max(1, round(int(side) / stride)) for side in images.shape[-2:])
    return 2 * functional.adaptive_avg_pool2d(images, (rows, columns)) - 1
