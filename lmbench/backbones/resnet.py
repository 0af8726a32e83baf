"""ResNets as torchvision defines them, giving conv1 and conv2_x to conv5_x."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from lmbench import progress
from lmbench.backbones.checkpoints import load_state, read_state
from lmbench.backbones.settings import ResNetSettings
from lmbench.errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FIRST = ("conv1.weight", "layer1.0.conv1.weight")  # tensors by which a ResNet is found in a checkpoint


class InputNorm(nn.Module):
    """Images in [0, 1] brought to a network's mean and standard deviation; its constants are no part of a checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ResNetMaps(nn.Module):
    """A torchvision ResNet without pooling and classifier. ``forward`` gives conv1 (after its norm and ReLU) at stride 2 and
    conv2_x..conv5_x at strides 4, 8, 16, 32."""

    def __init__(self, network: torchvision.models.ResNet) -> None:
        super().__init__()
        self.norm = InputNorm()
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu)
        self.pool = network.maxpool
        self.conv2_x, self.conv3_x = network.layer1, network.layer2
        self.conv4_x, self.conv5_x = network.layer3, network.layer4
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to the five maps by name."""
        first = self.stem(self.norm(images).contiguous(memory_format=torch.channels_last))
        maps, x = {"conv1": first}, self.pool(first)
        for name in ("conv2_x", "conv3_x", "conv4_x", "conv5_x"):
            x = maps[name] = getattr(self, name)(x)
        return maps


def build(settings: ResNetSettings, model: str) -> ResNetMaps:
    """A ResNet by its torchvision name.

    ``settings.weights``: ``None`` for random ones, ``imagenet`` for torchvision's IMAGENET1K_V1 (a download), or a
    checkpoint (see `lmbench.backbones.checkpoints.read_state`). Raises DataError where the download or the file fails.
    """
    network: torchvision.models.ResNet = getattr(torchvision.models, model)(weights=None)
    if settings.weights is not None:
        load_weights(network, settings.weights, model)
    return ResNetMaps(network)


def load_weights(network: nn.Module, weights: str, model: str) -> None:
    """Loads ``imagenet`` (torchvision's IMAGENET1K_V1) or a file into a torchvision network, strictly but for ``fc``."""
    state = _download(model) if weights == "imagenet" else read_state(Path(weights), FIRST)
    load_state(network, state, weights, f"torchvision's {model}", unused=("fc.",))


def _download(model: str) -> dict[str, Tensor]:
    """torchvision's IMAGENET1K_V1: what everybody had in 2021, and what "ImageNet" means in the papers' tables.

    torchvision's default for a ResNet-50 and larger is V2 today, another training.
    """
    try:
        weights = torchvision.models.get_model_weights(model).IMAGENET1K_V1
        with progress.drawing():
            return dict(weights.get_state_dict(progress=True, check_hash=True))
    except Exception as error:
        raise DataError(
            f"torchvision's ImageNet weights of {model} could not be downloaded ({type(error).__name__}: {error}). "
            f"Offline, pass a file: --set network.backbone_settings.weights=/path/to/{model}.pth"
        ) from None
