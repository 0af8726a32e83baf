"""timm models as backbones."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmbench.api import DataError, MapSpec, UsageError, load_state, read_state
from lmbench_baselines import efficientnet
from lmbench_baselines.installed import without_timm
from lmbench_baselines.settings import TimmSettings

PLAIN_TRANSFORMERS = ("vision_transformer", "vision_transformer_hybrid", "deit", "eva")  # modules of timm


class TimmMaps(nn.Module):
    """The last maps of a timm model, by depth: ``map-1`` is the deepest. Images in [0, 1]; the model's own mean and std,
    of EfficientNet-lite the exact ones."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        known = list(zip(network.feature_info.channels(), network.feature_info.reduction(), strict=True))
        self.maps = tuple(MapSpec(f"map-{i}", *found) for i, found in enumerate(reversed(known), 1))
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        outputs = self.network((images - self.mean) / self.std)
        return {f"map-{i}": m for i, m in enumerate(reversed(outputs), 1)}


def build(settings: TimmSettings, model: str) -> TimmMaps:
    """A timm model by its name, with all its maps.

    Raises UsageError for a model that timm lacks or that gives no or too few maps, DataError where timm is missing or its
    weights cannot be had.
    """
    try:
        import timm
    except ImportError as error:
        raise DataError(without_timm(str(error))) from None
    require_pyramid(model)
    options: dict[str, Any] = {"features_only": True, "pretrained": settings.pretrained or settings.weights is not None}
    if settings.weights is not None:
        file = settings.files_meant().get("weights", Path(settings.weights))
        options["pretrained_cfg_overlay"] = {"state_dict": _state(model, file)}
    try:
        with _quiet(
            "timm.models._builder"
        ):  # it warns of the classifier, which maps have no use for; the rest `_state` checks
            network = timm.create_model(model, **options)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        if "feature" in str(error):
            raise UsageError(f"timm/{model} gives no feature maps: {error}.") from None
        raise DataError(_unreachable(model, error)) from None
    except Exception as error:  # hub clients raise types of their own
        raise DataError(_unreachable(model, error)) from None
    found = len(network.feature_info.channels())
    if found < settings.maps:
        raise UsageError(
            f"timm/{model} has {found} maps, not {settings.maps}; set layers and backbone_settings.maps to fewer."
        )
    config = network.pretrained_cfg if hasattr(network, "pretrained_cfg") else {}
    mean = tuple(config.get("mean", (0.485, 0.456, 0.406)))
    std = tuple(config.get("std", (0.229, 0.224, 0.225)))
    if efficientnet.LITE.match(model):
        mean, std = efficientnet.LITE_MEAN, efficientnet.LITE_STD
    return TimmMaps(network, mean, std)


def require_pyramid(model: str) -> None:
    """Raises UsageError for a name that timm does not know, with close ones, and for a model without a pyramid of maps."""
    import timm

    architecture = model.split(".")[0]
    if not timm.is_model(architecture):
        near = get_close_matches(architecture.lower(), timm.list_models(), n=4)
        has = f"It has {', '.join(near)}." if near else "`timm.list_models()` in Python says which it has."
        raise UsageError(f"timm has no model {model!r}. {has}")
    if timm.models.is_model_in_modules(architecture, PLAIN_TRANSFORMERS):
        raise UsageError(
            f"timm/{model}: a plain ViT, which has one token grid of one image size and no pyramid of maps. "
            f"Ask for vit/{model}, the backbone of lmbench-foundation, for instance --method vit --set backbone=vit/{model}."
        )


def _state(model: str, path: Path) -> dict[str, Tensor]:
    """All weights of a timm model by timm's names, from a file; those of its classifier are the untrained ones.

    timm itself loads what fits where it gives feature maps, and leaves the rest untrained without a word.
    """
    import timm

    whole = timm.create_model(model, pretrained=False)
    names = list(whole.state_dict())
    state = read_state(path, names[:1])
    if efficientnet.FIRST in state:
        state = efficientnet.by_timms_names(state, names)
    convert = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # timm's converters print, and stdout is for results
            state = convert(state, whole) if convert is not None else state
    except Exception as error:  # whatever a foreign file makes of timm's converters
        said = (str(error).splitlines() or [type(error).__name__])[-1].strip().rstrip(".")
        raise DataError(f"{path}: no weights of timm's {model}: {said}.") from None
    classifiers = whole.pretrained_cfg.get("classifier") or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    load_state(whole, state, str(path), f"timm's {model}", unused=tuple(f"{name}." for name in classifiers))
    return dict(whole.state_dict())


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A logger of that name that says nothing meanwhile."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _unreachable(model: str, error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    return (
        f"timm's weights of {model} could not be had ({type(error).__name__}: {said}). Offline, pass a file: "
        "--set network.backbone_settings.weights=/path/to/file, or judge it untrained with --variant untrained."
    )
