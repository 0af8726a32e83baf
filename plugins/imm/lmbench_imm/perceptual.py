"""The perceptual loss of IMM: weighted squared distances of VGG-16 features (Jakab et al. 2018, sec. 3)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import DataError, InputNorm, read_state

# The maps that are compared, with the weights that the running averages start from (reference code).
INITIAL_WEIGHTS = {"input": 100.0, "conv1_2": 1.6, "conv2_2": 2.3, "conv3_2": 1.8, "conv4_2": 2.8, "conv5_2": 100.0}
RATE = 0.01  # of the running averages: 1 - 0.99 (reference code)
SCALE = 1000.0  # of the whole loss (reference code)

# torchvision's VGG-16 up to conv5_2: index of each convolution in `features` and the name of its map, if it is compared.
# A max-pooling stands before the convolutions 5, 10, 17 and 24.
CONVOLUTIONS = {0: "", 2: "conv1_2", 5: "", 7: "conv2_2", 10: "", 12: "conv3_2", 14: "", 17: "", 19: "conv4_2"}
CONVOLUTIONS |= {21: "", 24: "", 26: "conv5_2"}
POOLED = (5, 10, 17, 24)
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512)  # Simonyan and Zisserman 2015, configuration D
CHANNELS = dict(zip(CONVOLUTIONS, pairwise(WIDTHS), strict=True))


class VGG(nn.Module):
    """torchvision's VGG-16 as fixed buffers, in no checkpoint: ``forward`` gives the maps that are compared.

    The paper took a VGG-16 trained to colour grey images (Larsson et al. 2017); this one was trained on ImageNet's classes
    and sees colours.
    """

    def __init__(self, state: dict[str, Tensor], origin: str) -> None:
        super().__init__()
        self.norm = InputNorm()
        for index in CONVOLUTIONS:
            for part in ("weight", "bias"):
                name = f"features.{index}.{part}"
                if name not in state:
                    raise DataError(
                        f"{origin}: not a state dict of torchvision's vgg16: it has no {name} "
                        f"(found {', '.join(list(state)[:3]) or 'nothing'}). Set stages.imm.settings.perceptual_weights."
                    )
                if state[name].shape != self._shape(index, part):
                    raise DataError(
                        f"{origin}: not a state dict of torchvision's vgg16: {name} is {tuple(state[name].shape)}, "
                        f"{self._shape(index, part)} is expected. Set stages.imm.settings.perceptual_weights."
                    )
                self.register_buffer(f"{part}{index}", state[name].float(), persistent=False)

    @staticmethod
    def _shape(index: int, part: str) -> tuple[int, ...]:
        given, made = CHANNELS[index]
        return (made, given, 3, 3) if part == "weight" else (made,)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps by name of images (B, 3, H, W), [0, 1]: ``input`` in [0, 255], the others after their ReLU."""
        maps = {"input": 255 * images}
        x = self.norm(images)
        for index, name in CONVOLUTIONS.items():
            if index in POOLED:
                x = functional.max_pool2d(x, 2)
            x = functional.conv2d(x, getattr(self, f"weight{index}"), getattr(self, f"bias{index}"), padding=1).relu()
            if name:
                maps[name] = x
        return maps


class PerceptualLoss(nn.Module):
    """1000 times the sum over maps of the masked mean squared difference, each divided by its own running average.

    The averages are a buffer and move in training mode alone: first the average is updated, then it divides (reference
    code). No gradient goes through it.
    """

    averages: Tensor

    def __init__(self, vgg: nn.Module) -> None:
        super().__init__()
        self.vgg = vgg
        self.register_buffer("averages", torch.tensor(list(INITIAL_WEIGHTS.values())))

    def forward(self, rendered: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Scalar, of images (B, 3, H, W) in [0, 1] and a mask (B, 1, H, W) that is resized to every map."""
        with torch.no_grad():
            wanted = self.vgg(target)
        found = self.vgg(rendered)
        differences = torch.stack([masked_square(found[name], wanted[name], mask) for name in INITIAL_WEIGHTS])
        updated = self.averages.lerp(differences.detach(), RATE)
        if self.training:
            self.averages.copy_(updated)
        return SCALE * (differences / updated).sum()


def masked_square(found: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Scalar float32: the mean of mask times squared difference over everything, masked cells included."""
    mask = functional.interpolate(mask.float(), found.shape[-2:], mode="bilinear", align_corners=False)
    return ((found.float() - wanted.float()).square() * mask).mean()


def pixel_loss(rendered: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Scalar: 1000 / 255 times the masked mean squared difference in [0, 255] (reference code, ``l2``)."""
    return SCALE / 255 * masked_square(255 * rendered.float(), 255 * target.float(), mask)


def load_vgg(weights: str) -> VGG:
    """VGG-16 from ``imagenet`` (torchvision's download) or a file. Raises DataError that names the setting."""
    if weights != "imagenet":
        try:
            return VGG(read_state(Path(weights), ("features.0.weight",)), weights)
        except DataError as error:
            raise DataError(f"stages.imm.settings.perceptual_weights={weights}: {error}") from None
    import torchvision

    try:
        state = torchvision.models.VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        raise DataError(
            f"imm: the perceptual loss needs torchvision's VGG-16, which could not be downloaded "
            f"({type(error).__name__}: {error}). Pass a file, --set stages.imm.settings.perceptual_weights=/path/to/vgg16.pth, "
            "or ask for the loss on pixels, --set stages.imm.settings.reconstruction=pixel."
        ) from None
    return VGG(dict(state), "torchvision's vgg16")
