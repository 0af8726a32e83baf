"""timm's plain vision transformers as backbones: the patch tokens of every block as maps on the patch grid."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from timm.models import is_model_in_modules
from torch import Tensor, nn
from torch.nn import functional

from lmbench.api import DataError, InputNorm, MapSpec, UsageError, load_state, read_state
from lmbench_foundation.settings import ViTSettings

# timm's modules of transformers with one token grid from the first block to the last and a free image size.
PLAIN = ("vision_transformer", "vision_transformer_hybrid", "deit", "eva")
FIRST = ("patch_embed.proj.weight",)  # the tensor by which a ViT is found in a checkpoint
EXPECTED = "Expected timm's own file of that model or the one its authors published."
CLASSIFIER = ("head.", "head_dist.", "fc_norm.", "pre_logits.")


class NamedMaps(dict[str, Tensor]):
    """Maps by name; a name that is not there is a UsageError with those that are."""

    def __missing__(self, name: str) -> Tensor:
        blocks = sorted((k for k in self if k != "tokens"), key=lambda k: int(k.removeprefix("block-")))
        raise UsageError(
            f"this ViT has no map {name!r}; it has tokens and {blocks[0]} to {blocks[-1]}. "
            f"Name some of them, deepest first: --set \"read.layers=('tokens','{blocks[len(blocks) // 2]}')\"."
        )


class ViTMaps(nn.Module):
    """Patch tokens of a ViT. ``forward`` gives ``block-1`` .. ``block-N`` and ``tokens`` (the last block), all one size.

    Images in [0, 1] of any size are resized so that their longer side is ``input_size``, each side rounded to a multiple
    of the patch: bicubic, antialiased, ``align_corners=False``, so that the token grid covers the whole image. Mean and
    standard deviation are the model's own. Every map has gone through the model's final norm; class and register tokens
    are dropped. Position embeddings are resampled to the grid by timm.
    """

    network: Any  # a timm VisionTransformer or Eva

    def __init__(self, network: Any, input_size: int) -> None:
        super().__init__()
        self.network = network
        self.norm = InputNorm(tuple(network.pretrained_cfg["mean"]), tuple(network.pretrained_cfg["std"]))
        self.patch = int(network.patch_embed.feat_ratio())
        names = [*(f"block-{i}" for i in range(1, len(network.blocks) + 1)), "tokens"]
        self.maps = tuple(MapSpec(name, network.embed_dim, self.patch) for name in names)  # of the resized image
        if input_size < self.patch:
            raise UsageError(f"vit/*: input_size is {input_size}, less than one patch of {self.patch} pixels.")
        self.input_size = input_size

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) in [0, 1] to the maps by name, each (B, C, rows, columns) of patches."""
        size = self.resized(images.shape[-2], images.shape[-1])
        x = functional.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)
        blocks: list[Tensor] = self.network.forward_intermediates(
            self.norm(x.clamp(0, 1)), norm=True, intermediates_only=True
        )
        maps = NamedMaps({f"block-{i}": m for i, m in enumerate(blocks, 1)})
        maps["tokens"] = blocks[-1]
        return maps

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that the network sees: multiples of the patch, at least one."""
        scale = self.input_size / max(height, width)
        rows, columns = (max(1, round(side * scale / self.patch)) for side in (height, width))
        return rows * self.patch, columns * self.patch


def build(settings: ViTSettings, model: str) -> ViTMaps:
    """A ViT by its timm name, untrained, with timm's weights (``pretrained``) or with those of a file (``weights``).

    Raises UsageError for a model that timm lacks or that is no plain ViT, DataError where weights cannot be had, cannot
    be read, or are another model's.
    """
    network = _create(model, settings.pretrained and settings.weights is None)
    if settings.weights is not None:
        load_weights(network, Path(settings.weights), model)
    return ViTMaps(network, settings.input_size)


def load_weights(network: nn.Module, path: Path, model: str) -> None:
    """Loads a file into a timm ViT, strictly but for the classifier: timm's own files and the authors' original ones.

    Position embeddings and patch filters of another size are resampled. Raises DataError: unreadable, or another model's.
    """
    state: dict[str, Any] = dict(read_state(path, FIRST))
    convert: Callable[..., dict[str, Tensor]] | None = getattr(
        sys.modules[type(network).__module__], "checkpoint_filter_fn", None
    )
    try:
        if convert is not None:
            with contextlib.redirect_stdout(sys.stderr):  # timm's converters print, and stdout is for results
                state = convert(state, network)
    except Exception as error:  # whatever a foreign file makes of timm's converters
        said = (str(error).splitlines() or [type(error).__name__])[-1].strip().rstrip(".")
        raise DataError(f"{path}: no weights of timm's {model}: {said}. {EXPECTED}") from None
    kept = {k: v for k, v in state.items() if not k.startswith(CLASSIFIER) or k in network.state_dict()}
    try:
        load_state(network, kept, str(path), f"timm's {model}")
    except DataError as error:
        raise DataError(f"{error} {EXPECTED}") from None


def require_plain(model: str) -> None:
    """Raises UsageError for a name that timm does not know, with close ones, and for a model that is no plain ViT."""
    architecture = model.split(".")[0]
    if not timm.is_model(architecture):
        near = get_close_matches(architecture.lower(), timm.list_models(module=PLAIN[0]), n=4)
        has = f"It has {', '.join(near)}." if near else "`timm.list_models()` in Python says which it has."
        raise UsageError(f"timm has no model {model!r}. {has}")
    if not is_model_in_modules(architecture, PLAIN):
        raise UsageError(
            f"vit/{model} is no plain ViT, which is what vit/* takes; for feature pyramids try timm/{model}."
        )


def _create(model: str, pretrained: bool) -> nn.Module:
    require_plain(model)
    try:
        network: nn.Module = timm.create_model(model, pretrained=pretrained, num_classes=0, dynamic_img_size=True)
    except Exception as error:  # hub clients raise types of their own
        said = (str(error).splitlines() or [""])[0]
        if "pretrained tag" in said:
            tags = ", ".join(timm.list_pretrained(model.split(".")[0])) or "none"
            raise UsageError(f"timm has no weights {model!r}; it has {tags}.") from None
        if not pretrained:
            raise UsageError(f"timm cannot build vit/{model} for any image size ({said}).") from None
        raise DataError(
            f"timm's weights of {model} could not be had ({type(error).__name__}: {said}). Offline, pass a checkpoint "
            "file: --set network.backbone_settings.weights=/path/to/FILE (.safetensors or .pth), or judge the model "
            "untrained: --variant untrained."
        ) from None
    return network
